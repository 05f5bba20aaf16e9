/* model/fill_parts.h: what the files share that fill the members of weights.def (fill.h). */
#ifndef VX_MODEL_FILL_PARTS_H
#define VX_MODEL_FILL_PARTS_H

#include "model/members.h"

/* Values to the device. */
int vx_fill_put(const vx_filler *f, const vx_far *dst, const float *values, size_t count);
/* Elements first.. of t, to its end. */
int vx_fill_from(const vx_filler *f, const vx_far *dst, const vx_tensor *t, uint64_t first);
/* All of t; NULL: nothing. */
int vx_fill_vector(const vx_filler *f, const vx_far *dst, const vx_tensor *t);

/* The vector of a member's place. */
static inline const vx_far *vx_fill_vector_at(const void *place)
{
    return *(const vx_far *const *)place;
}

/* Where the rows of a matrix come from. */
typedef struct vx_fill_source {
    /* Writes rows first..first+rows-1 of the matrix, each k long. */
    int (*read)(const struct vx_fill_source *s, float *out, int first, int rows, size_t k);
    const vx_tensor *of[3]; /* one below the other, of `rows_of` rows each; NULL behind the last */
    int rows_of;
    int skip; /* rows of of[0] before the matrix's first; columns, if it is columns of of[0] */
    /* What else a way to read may need. */
    size_t stride;       /* elements of a row that is read in part */
    const float *turned; /* numbers that lie ready: the matrix as [k,n], or factors */
    const vx_arch *arch;
    float lambda; /* of differential attention */
} vx_fill_source;

/* vx_fill_source.read: the rows of a matrix as they stand in one tensor or in several. */
int vx_fill_stack(const vx_fill_source *s, float *out, int first, int rows, size_t k);

/* A matrix that is filled. */
typedef struct vx_fill_target {
    const vx_weight *w;
    const vx_far *gamma;
} vx_fill_target;

vx_fill_target vx_fill_target_of(const vx_filler *f, const vx_member *m, const void *place,
                                 int block);
/* All rows, in whole panels. Bias and gamma are filled. */
int vx_fill_pack(const vx_filler *f, vx_fill_target t, const vx_fill_source *s);
/* A tensor's rows; they are k long, whatever its shape. */
int vx_fill_matrix(const vx_filler *f, vx_fill_target t, const vx_tensor *weight,
                   const vx_tensor *bias);

/* What lambda begins with in training, and is added to. */
double vx_fill_lambda(int block);

#endif
