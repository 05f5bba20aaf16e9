/*
 * explain/components.h: the principal components of patch tokens, of one picture or of several.
 *
 * First moments are gathered picture by picture, then components are found, then tokens are
 * projected on them. Letters: P patches, D width, N components.
 */
#ifndef VX_EXPLAIN_COMPONENTS_H
#define VX_EXPLAIN_COMPONENTS_H

#include <stdint.h>

#include "base/memory.h"

#define VX_COMPONENTS_MOST 64

/* What is kept of tokens; all sums are of token - origin. */
typedef struct vx_moments {
    int width;
    int64_t count, edge_count; /* tokens; those at the edge of their picture */
    double *origin;            /* [D] the first token: sums stay small beside their differences */
    double *sum, *edge;        /* [D] over all tokens, and over those at the edge */
    double *products;          /* [D,D] */
} vx_moments;

int vx_moments_create(vx_moments *m, int width, const vitx_hooks *hooks);
void vx_moments_dispose(vx_moments *m, const vitx_hooks *hooks);

/* The tokens of one picture, [rows * columns, D], on their way into moments. */
typedef struct vx_moments_share {
    vx_moments *to;
    const float *tokens;
    int rows, columns;
} vx_moments_share;

/* First vx_moments_begin, then vx_moments_add for every task 0..vx_moments_tasks - 1, in any order
 * and by any number of threads: the sums are the same. `share` is a vx_moments_share. */
void vx_moments_begin(const vx_moments_share *share);
int vx_moments_tasks(const vx_moments *m);
void vx_moments_add(void *share, int task, int worker);

typedef struct vx_components {
    int width, count;
    double *mean;    /* [D] */
    double *vectors; /* [N,D], of length 1, the largest weight by magnitude positive. One that no
                        token differs along is 0 */
    double *spread;  /* [N] the standard deviation of the tokens along each */
    double edge;     /* the mean of the first component over the patches at the edge */
} vx_components;

/* The first `count` components, 1 <= count <= D; one memory block, released through `mean`.
 * VITX_FORMAT if the tokens are not finite. */
int vx_components_find(vx_components *out, const vx_moments *m, int count, const vitx_hooks *hooks);
void vx_components_dispose(vx_components *c, const vitx_hooks *hooks);

/* out [N]: one token on each component. */
void vx_components_project(double *out, const vx_components *c, const float *token);

#endif
