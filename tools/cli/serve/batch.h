/* serve/batch.h: requests of several pictures, as KServe's clients send them: an ask and a ticket
 * for each, and one answer. */
#ifndef CLI_SERVE_BATCH_H
#define CLI_SERVE_BATCH_H

#include "exchange.h"
#include "fields.h"

/* Zero before the first use. */
struct batch {
    struct served *model;
    enum verb verb;
    struct fields fields;
    void *pictures[TICKETS_MOST]; /* malloc */
    size_t bytes[TICKETS_MOST];
    int count;
    size_t most; /* numbers that its body can hold */
};

/* One more, taken; NULL: no memory. */
bool batch_add(struct batch *batch, void *picture, size_t bytes, struct problem *why);
/* One more, in base64. */
bool batch_add_base64(struct batch *batch, const char *text, struct problem *why);
void batch_free(struct batch *batch);

/* Submits all, whose answers `compose` makes into one. Takes the pictures. */
void batch_submit(struct exchange *x, struct batch *batch, void (*compose)(struct exchange *x));
/* Whether all answers are good; else the exchange's answer is the first that is not. */
bool batch_good(struct exchange *x);

/* The model that the address names; NULL: the answer says that there is none. */
struct served *batch_model(struct exchange *x);

#endif
