/*
 * serve/texts.h: what the server does with texts: the text towers of its models, the classes that
 * its command line gave them, and the sets of labels that requests bring, which are kept.
 *
 * A tower does one thing at a time, and threads wait for it. So only workers (worker.c) ask it for
 * vectors; a thread that reads requests finds what is kept, and makes plans without vectors.
 */
#ifndef CLI_SERVE_TEXTS_H
#define CLI_SERVE_TEXTS_H

#include "ask.h"
#include "tools/cli/digest.h"

enum {
    LABELS_MOST = 1000,     /* of a request; also texts that others are told from */
    SENTENCES_MOST = 10000, /* its labels in its templates */
    TEXTS_MOST = 16         /* texts that a request explains or embeds */
};

/* A set with its holders. */
struct held_labels;
const vitx_label_set *held_set(const struct held_labels *held);
/* NULL is allowed. */
void held_drop(struct held_labels *held);

/* Labels of a request, or texts that others are told from; zero before the first use. */
struct labels_wanted {
    struct list labels, templates; /* none: the model's own classes, or the empty text */
    uint8_t key[DIGEST_BYTES];
    struct held_labels *found; /* it was kept; NULL: it is to be made */
};

/* Takes what the request names, which has no files, for a model with a text tower. Complains; an
 * exit status. */
int labels_want(struct labels_wanted *out, const struct common *common, const struct served *model);
/* The same of texts as they stand. */
int texts_want(struct labels_wanted *out, const struct list *texts, const struct served *model);
/* Sentences that have to be run for it. */
int labels_cost(const struct labels_wanted *wanted);
void labels_wanted_free(struct labels_wanted *wanted);

/* ------------------------------------------------------------------ kept sets -------------- */

/* Those of all models. */
struct label_sets;

/* NULL without memory. */
struct label_sets *label_sets_create(size_t bytes);
void label_sets_free(struct label_sets *sets);
/* The set, to be dropped: kept, or made now, or by another thread meanwhile. *sentences: what was
 * run for it. The library's status. */
int label_sets_make(struct held_labels **out, int *sentences, const struct labels_wanted *wanted,
                    const struct served *model);

/* ------------------------------------------------------------------ towers ----------------- */

/* The text tower of an open model, without its classes. Does not complain: the library's status,
 * VITX_UNSUPPORTED if there is none. */
int texts_start(struct served *model, struct label_sets *sets);
/* What all answers with texts depend on, into model->texts_digest, once the classes are there. The
 * library's status. */
int texts_know(struct served *model);
/* From now on towers that this thread waits for stop when wanted(payload) says no. */
void texts_watch(bool (*wanted)(void *payload), void *payload);

#endif
