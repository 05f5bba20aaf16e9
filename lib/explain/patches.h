/*
 * explain/patches.h: what the model answers when patches of a picture are taken away.
 *
 * A variant is a set of kept patches. The others are filled, which means that they show the
 * baseline, or dropped: their tokens do not enter the first block, and those that stay keep their
 * positions. As patches are embedded one by one, the tokens of the picture and of its baseline are
 * made once, and the variants' are picked from them:
 *
 *      picture   P a b c d        filled    P a - c -    P - b - -    P a b - d
 *      baseline  P - - - -        dropped   P a c P b P a b d ...
 *
 * P, the prefix tokens, always stay. Dropped variants are shorter and lie one behind the other: as
 * many run at once as fill the memory of `at_once` whole ones. Memory does not grow with their
 * number.
 *
 * If all patches are dropped, a model with a class token still sees its prefix, and a head that
 * reads the mean of the patches gets a zero vector. With a baseline no case is special.
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
int vx_setting_removal(vx_removal *out, const vx_settings *given);
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

/* Writes which patches of variant v stay: kept [patches], 0 or 1. Called once for each, in
 * order. */
typedef void vx_patches_write_kept(void *payload, int64_t v, unsigned char *kept);
/* Takes its score. Called once for each, in order, some time after its kept was written. */
typedef void vx_patches_take_score(void *payload, int64_t v, const unsigned char *kept,
                                   double score);

/* A picture, its variants 0..n-1, and who makes and reads them. */
typedef struct vx_patches {
    const float *input;    /* [C,H,W] normalised, on the host; NULL, if there is a picture, and
                            * what patches are filled with is not made of it */
    const vx_far *picture; /* the same on the device; NULL: it is sent there */
    vx_target target;   /* the score */
    double whole;       /* the score of the picture itself */
    vitx_map *map;      /* sees the scores (vx_map_saw); NULL: none is made of them */
    const vx_removal *removal;
    int at_once; /* vx_patches_at_once */
    int64_t n;
    vx_patches_write_kept *write_kept;
    vx_patches_take_score *take_score;
    void *payload;
} vx_patches;

/* How many of n variants run at once. So many variants have to be reserved. */
int vx_patches_at_once(vitx_context *c, int64_t n);
/*
 * Runs the variants and adds the number of forward passes to *forwards. What all patches answer is
 * known and not run again. Takes the context's work memory. VITX_NOMEM, VITX_CANCELLED,
 * VITX_FORMAT, VITX_DEVICE.
 */
int vx_patches_run(int64_t *forwards, vitx_context *c, const vx_patches *patches);

/* The same for a method. For prepare: run() goes through n variants. */
void vx_patches_prepare(vx_job *job, int64_t n);
/* Runs them for picture `i` of the batch, whose map is `map`: the score is the one that the map
 * explains, and its info.forwards is set. */
int vx_patches_run_job(const vx_job *job, int i, vitx_map *map, const vx_removal *removal,
                       int64_t n, vx_patches_write_kept *write_kept,
                       vx_patches_take_score *take_score, void *payload);

/* How many patches are kept. */
int vx_patches_count(const unsigned char *kept, int count);

#endif
