/* batch/choose.h: which shards a worker does. */
#ifndef CLI_BATCH_CHOOSE_H
#define CLI_BATCH_CHOOSE_H

#include <stdbool.h>

#include "tools/cli/words.h"

struct choice {
    int share, shares;       /* of --shard: shards whose number modulo shares is share */
    const struct list *list; /* of --shards: numbers and ranges; empty: all */
};

/* --shard I/N, auto, auto/N: from what Slurm, MPI, Kubernetes or GNU parallel have put into the
 * environment; NULL: all shards. Complains: an exit status. quiet: does not say what auto means. */
int choose(struct choice *out, const char *shard, const struct list *list, bool quiet);
bool is_chosen(const struct choice *choice, int shard);
/* The greatest shard that --shards names; -1: none. */
int choice_most(const struct choice *choice);

#endif
