/*
 * explain/dense.h: maps whose value at a patch is the score of the head's answer to that patch's
 * token (engine/dual.h): raw scores, cosines if a vector is asked for.
 */
#ifndef VX_EXPLAIN_DENSE_H
#define VX_EXPLAIN_DENSE_H

#include "explain/method.h"

/* 1 / temperature of a block's attention, of its norm1 tokens [T,D] on the host. */
typedef double vx_sharpness(const vx_arch *arch, const float *norm1);

/* How many of the last blocks a second stream goes through. */
/* clang-format off */
#define VX_OPTION_BLOCKS                                                                           \
    { "blocks", "auto", "1 to the number of blocks", \
      "so many of the last blocks; auto: 6, or all of fewer" }
/* clang-format on */
int vx_setting_blocks(int *out, const vx_job *job);

/*
 * A second stream through the last `blocks` blocks, whose attention follows how alike queries, keys
 * and values are (VX_DUAL_ALL) with that sharpness; NULL: values alone (VX_DUAL_VALUES). For
 * prepare: what it needs. VITX_UNSUPPORTED: the head pools by attention, or the blocks have no
 * such stream.
 */
int vx_dense_prepare(vx_job *job, vx_plan *need, int blocks, vx_sharpness *sharpness);
/* The same of picture i, and the map of its patch tokens. Takes the work memory. with [classes]: in
 * place of the score the map has the product of this vector and each answer, divided by the
 * answer's length; NULL: the score. */
int vx_dense_run(const vx_job *job, int i, vitx_map *map, int blocks, vx_sharpness *sharpness,
                 const float *with);

/* Patch tokens whose answers are asked for. The job has channels (vx_job). */
typedef struct vx_dense_of {
    const vx_far *x;     /* [T,D] the tokens as they are; with norm1 the input of the last block */
    const vx_far *norm1; /* [T,D] or NULL. Then it is about what the last block makes of both if
                          * every token attends to itself alone ... */
    bool residual;       /* ... or, without it, what its attention gives then */
} vx_dense_of;

/* Their map. */
int vx_dense_map(const vx_job *job, vitx_map *map, const vx_dense_of *of);
/* The head's answers themselves, [P,classes] on the host. */
int vx_dense_answers(float *out, const vx_job *job, const vx_dense_of *of);
/* What they are found by (vx_answers_keys), [P,D] on the host. */
int vx_dense_keys(float *out, const vx_job *job, const vx_dense_of *of);

#endif
