/*
 * serve/ask.h: what a request asks of a model, made of words: the options of the command line, in
 * the query of the address.
 */
#ifndef CLI_SERVE_ASK_H
#define CLI_SERVE_ASK_H

#include <pthread.h>

#include "problem.h"
#include "tools/cli/digest.h"
#include "tools/cli/session.h"

struct label_sets;

/* A model that is served; all requests share it. */
struct served {
    const char *name;       /* in addresses */
    struct session session; /* started: its context serves questions about methods alone ... */
    pthread_mutex_t asking; /* ... under this lock: PTHREAD_MUTEX_INITIALIZER */
    struct common common;   /* what it was opened with */
    char digest[VITX_DIGEST_TEXT];
    struct label_sets *sets; /* of requests: there if session.texts is (texts.h) */
    uint8_t texts_digest[DIGEST_BYTES];
};

enum verb { VERB_CLASSIFY, VERB_EXPLAIN, VERB_EMBED };
/* JSON: of explain with the maps' values. PNG, NPY: of explain alone. HTML: the report page. */
enum form { FORM_JSON, FORM_PNG, FORM_NPY, FORM_HTML };

/* Of a request: its labels or texts to be told from, and some more. */
enum { FIELDS_MOST = 1100 };

struct field {
    const char *name, *value; /* as on the command line, without dashes: "method", "rollout" */
};

/* Whether a client may give an option of that name, to any verb. */
bool ask_is_option(const char *name);

/* Not changed once it is made: any thread may read it. */
struct ask;

/* Checks everything that can be wrong without the picture. Texts are copied. */
bool ask_create(struct ask **out, struct served *model, enum verb verb, enum form form,
                const struct field *fields, int count, struct problem *why);
void ask_free(struct ask *ask);
/* Or whether it is of texts alone. */
bool ask_needs_picture(const struct ask *ask);
/* Forward passes that it takes; a backward pass counts like one. */
double ask_cost(const struct ask *ask);

#endif
