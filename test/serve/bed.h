/*
 * serve/bed.h: what the tests of a server's work share, from an ask to an answer and without HTTP:
 * models that are served, clients that wait, allocations that fail.
 */
#ifndef TEST_SERVE_BED_H
#define TEST_SERVE_BED_H

#include <pthread.h>

#include "tools/cli/serve/outcome.h"
#include "tools/cli/serve/work.h"

/* Allocations of this thread until one fails, and all after it; below 0: none does. */
extern _Thread_local int left;

/* One with classes; one without, and without texts; and of begin_texts() one that takes texts. */
enum { SERVED = 3 };
#define MODEL "models/vit-timm"
#define EMBEDDER "models/clip-hf"
#define READER "words/clip"
extern struct served served[SERVED];
extern struct work *work;

/* Of a golden folder; called by begin(). */
void open_model(struct served *model, const char *name, const char *folder);
struct work_opts usual(void);
void begin(const struct work_opts *opts);
/* The same with the third model. label_bytes: for the labels that are kept. */
void begin_texts(const struct work_opts *opts, size_t label_bytes);
void end(void);

/* From the words to the bytes, with a failure after so many allocations: nothing is lost (the
 * address sanitizer looks for that), and whoever asked is told. Whether it came to the end. */
bool answers_within(int allocations, struct served *model, enum verb verb, enum form form,
                    const struct field *fields, int count, const vitx_image *image);

struct client {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int times;
};
#define CLIENT_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER                        \
    }
struct bytes {
    void *data;
    size_t count;
};

/* For work_submit(), with a client. */
void on_ready(void *payload);
void wait_for(struct client *client);
/* A PNG that is read, and whose bytes say its number, behind its end. */
struct bytes picture(int number);
/* The options of a query, not encoded. NULL: the model cannot do that. */
struct ask *ask_if_able(struct served *model, enum verb verb, enum form form, const char *words);
struct ask *ask_of(struct served *model, enum verb verb, enum form form, const char *words);
/* The answer, to be left. */
struct ticket *answer(struct served *model, enum verb verb, enum form form, const char *words,
                      struct bytes picture);
double number_behind(const char *text, const char *name);
/* That one option is refused so, in the words of an address. */
void expect_refused(struct served *model, enum verb verb, enum form form, const char *name,
                    const char *value, int status, const char *words);
double metric(const char *name);
void nap(double seconds);

#endif
