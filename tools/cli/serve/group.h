/* serve/group.h: requests of several pictures, as KServe's clients send them: an ask and a ticket
 * for each, and one answer. */
#ifndef CLI_SERVE_GROUP_H
#define CLI_SERVE_GROUP_H

#include "exchange.h"
#include "fields.h"
#include "tools/cli/json.h"

/* Zero before the first use. */
struct group {
    struct served *model;
    enum verb verb;
    struct fields fields;
    void *pictures[TICKETS_MOST]; /* malloc */
    size_t bytes[TICKETS_MOST];
    int count;
    size_t most; /* numbers that its body can hold */
};

/* One more, taken; NULL: no memory. */
bool group_add(struct group *group, void *picture, size_t bytes, struct problem *why);
/* One more, in base64. */
bool group_add_base64(struct group *group, const char *text, struct problem *why);
void group_free(struct group *group);

/* The options of the address, which hold as those among the parameters do. */
bool group_query(struct group *group, const struct exchange *x, struct problem *why);
/* That no option stands among the members of an object, where nobody would read it. */
bool group_no_options(const struct json *object, struct problem *why);

/* Submits all, whose answers `compose` makes into one. Takes the pictures. */
void group_submit(struct exchange *x, struct group *group, void (*compose)(struct exchange *x));
/* Whether all answers are good; else the exchange's answer is the first that is not. */
bool group_good(struct exchange *x);

/* The model that the address names; NULL: the answer says that there is none. */
struct served *group_model(struct exchange *x);

#endif
