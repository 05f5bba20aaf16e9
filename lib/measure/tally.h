/*
 * measure/tally.h: the arithmetic of attention statistics: one pass over one block's attention of
 * one picture, [H,T,T], query by query with all heads side by side.
 *
 * A tally holds sums over some of the query rows, in double. Tallies of different rows add up, so a
 * picture's rows can be shared out; what comes out depends on how they were, not on who did it.
 */
#ifndef VX_MEASURE_TALLY_H
#define VX_MEASURE_TALLY_H

#include <vitx/measure.h>

#include "base/arena.h"
#include "base/memory.h"
#include "model/arch.h"

#define VX_STAT_COUNT 8 /* of vitx_stat */

/* What all tallies of a model share. */
typedef struct vx_tally_common {
    int heads, tokens, prefix, grid_height, grid_width;
    int top;          /* keys of VITX_STAT_TOP10 */
    int few;          /* patches of VITX_STAT_FOCUS */
    double *distance; /* [grid_height, 2 grid_width - 1]: pixels between patches so many rows and
                         columns apart, columns from -(grid_width - 1) on */
    double distance_uniform;
    double *ranks; /* [T]: 2 i - T - 1 for i from 1 */
} vx_tally_common;

int vx_tally_common_create(vx_tally_common *out, const vx_arch *arch, const vitx_hooks *hooks);
void vx_tally_common_dispose(vx_tally_common *common, const vitx_hooks *hooks);

/* Sums over query rows of one head. */
typedef struct vx_head_tally {
    double entropy, gini, top, prefix; /* over all rows */
    double sink, distance, patches;    /* over the patches' rows: A on token 0, A d, A on patches */
} vx_head_tally;

typedef struct vx_tally {
    vx_head_tally *heads; /* [H] */
    double *products;     /* [H,H]: sum of A_g A_h, g <= h */
    double *received;     /* [H,T]: what each key gets */
    int bad_head;         /* where something is not finite; -1: nowhere */
} vx_tally;

/* Takes a tally's places from an arena of host memory. */
void vx_tally_place(vx_tally *tally, vx_arena *arena, const vx_tally_common *common);
void vx_tally_clear(vx_tally *tally, const vx_tally_common *common);
void vx_tally_add(vx_tally *tally, const vx_tally *other, const vx_tally_common *common);

/* Room for one worker. */
typedef struct vx_tally_room {
    double *rows;           /* [H,T] */
    uint32_t *keys, *space; /* [T] */
    double *sorted;         /* [T] */
} vx_tally_room;

void vx_tally_room_place(vx_tally_room *room, vx_arena *arena, const vx_tally_common *common);

/* Adds the rows of queries first..last-1 of a [H,T,T]; ends when it meets what is not finite. */
void vx_tally_rows(vx_tally *tally, const float *a, int first, int last,
                   const vx_tally_common *common, const vx_tally_room *room);

/* What the whole of a picture's rows comes to: values [VX_STAT_COUNT,H], cosines [H,H]. Reorders
 * tally->received. */
void vx_tally_values(double *values, double *cosines, vx_tally *tally,
                     const vx_tally_common *common);

/* The middle of `count` values, or of the two in the middle their mean; reorders them. */
double vx_median(double *values, int count);

#endif
