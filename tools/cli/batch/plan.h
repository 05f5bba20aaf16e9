/*
 * batch/plan.h: what a run is: DIR/plan.json, written once by whichever worker comes first, and
 * compared by all others. It is one JSON object, with a line for each input.
 */
#ifndef CLI_BATCH_PLAN_H
#define CLI_BATCH_PLAN_H

#include "listing.h"
#include "lock.h"
#include "tools/cli/text.h"

/* A stream has no list and no shards before it is read: listing.stream. */
struct plan {
    struct listing listing;
    int *first; /* [shards + 1]: the input that a shard begins with */
    int shards;
};

/* How inputs become shards: a shard is full with so many, or before it would have so many bytes. */
struct cut {
    int inputs;
    int64_t bytes;
};

/* The plan in `folder`, which is made of the head and the listing if there is none. head: members
 * of a JSON object, "{" before and a comma behind them. Takes the listing. Complains of what is
 * different in the plan that is there: an exit status. plan_free() whatever comes of it. */
int plan_agree(struct plan *plan, const char *folder, const struct text *head,
               struct listing *listing, const struct cut *cut, struct locks *locks);
bool plan_is_there(const char *folder);
/* Shards that a listing becomes; first [count + 2]: as in struct plan, or NULL. */
int shards_of(int *first, const struct listing *l, const struct cut *cut);
void plan_free(struct plan *plan);

#endif
