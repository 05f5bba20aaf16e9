/*
 * explain/patches.h: what the model answers when patches of a picture are taken away.
 *
 * A variant is a set of kept patches. The others are filled, which means that they show the baseline,
 * or dropped: their tokens do not enter the first block, and those that stay keep their positions. As
 * patches are embedded one by one, the tokens of the picture and of its baseline are made once, and the
 * variants' are picked from them:
 *
 *      picture   P a b c d        filled    P a - c -    P - b - -    P a b - d
 *      baseline  P - - - -        dropped   P a c P b P a b d ...
 *
 * P, the prefix tokens, always stay. Dropped variants are shorter and lie one behind the other: as many
 * run at once as fill the memory of job->variants whole ones. Memory does not grow with their number.
 *
 * Of no patches at all a model with a class token sees its prefix; a head that reads the mean of the
 * patches gets the vector 0 for it (where a baseline fills them there is nothing special about it).
 */
#ifndef VX_EXPLAIN_PATCHES_H
#define VX_EXPLAIN_PATCHES_H

#include "explain/baseline.h"

/* What stands in the place of a patch that is taken away. */
typedef struct vx_removal {
    bool drop; /* nothing does */
    vx_baseline fill;
} vx_removal;

/* Reads the options VX_OPTION_REMOVE and VX_OPTION_BLUR. */
int vx_setting_removal(vx_removal *out, const vx_job *job);
/* clang-format off */
#define VX_OPTION_REMOVE                                                                           \
    {                                                                                              \
        "remove", "mean", "mean|black|white|blur|drop",                                            \
            "what a patch that is taken away shows; drop: its token is left out"                   \
    }

/* What sampling methods have in common. */
#define VX_MOST_SAMPLES 10000000
#define VX_OPTION_SEED                                                                             \
    { "seed", "0", "0 to 2147483647", "which random numbers are drawn" }
/* clang-format on */

/* For prepare: run() goes through `variants` of them. */
void vx_patches_prepare(vx_job *job, int64_t variants);

/* Writes which patches of variant v stay: kept [patches], 0 or 1. Called once for each, in order. */
typedef void vx_patches_choose(void *payload, int64_t v, unsigned char *kept);
/* Takes its score. Called once for each, in order, some time after it was chosen. */
typedef void vx_patches_take(void *payload, int64_t v, const unsigned char *kept, double score);

/*
 * Runs variants 0..n-1 of picture `i` of the batch, whose map is `map`: the score is the one that map
 * explains, and its info.forwards is set. What all patches answer is known and not run again. Uses the
 * context's work memory. VITX_NOMEM, VITX_CANCELLED, VITX_FORMAT, VITX_DEVICE; VITX_INVALID as
 * vx_baseline_fill.
 */
int vx_patches_run(const vx_job *job, int i, vitx_map *map, const vx_removal *removal, int64_t n,
                   vx_patches_choose *choose, vx_patches_take *take, void *payload);

/* How many patches are kept. */
int vx_patches_count(const unsigned char *kept, int count);

#endif
