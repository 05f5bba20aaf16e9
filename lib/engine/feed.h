/*
 * engine/feed.h: what a public call runs: pictures, which the recipe turns into inputs, or inputs
 * that the caller has normalised already. What follows does not know the difference.
 */
#ifndef VX_ENGINE_FEED_H
#define VX_ENGINE_FEED_H

#include "engine/context.h"

typedef struct vx_feed {
    const vitx_image *const *images; /* [n]; NULL: tensors                       */
    const float *tensors;            /* [n,C,height,width]; host memory          */
    int height, width;               /* of tensors                               */
} vx_feed;

/* VITX_INVALID if tensors cannot be what they are said to be: a size that the context does not
 * run, a number that is not finite. Pictures are checked when they run. */
int vx_feed_check(const vitx_context *c, const vx_feed *feed, int n);

/* How many of the n from `first` on make inputs of one size; at least 1. */
int vx_feed_alike(const vitx_context *c, const vx_feed *feed, int first, int n);
/* vx_size_measure for number `first`, and then vx_feed_alike. */
int vx_feed_measure(int *alike, vitx_context *c, const vx_feed *feed, int first, int n);

/* vx_context_run for the numbers first..first+n-1; `next` of those behind them run next. */
int vx_feed_run(vitx_context *c, const vx_feed *feed, int first, int n, int next, vx_plan *plan);

#endif
