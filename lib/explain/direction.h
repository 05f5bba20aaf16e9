/*
 * explain/direction.h: scores that compare the outputs with a vector, in place of a target: one
 * that the caller gives, or what the model answers for another picture.
 */
#ifndef VX_EXPLAIN_DIRECTION_H
#define VX_EXPLAIN_DIRECTION_H

#include <vitx/explain.h>

/* A vector that outputs are compared with. */
typedef struct vx_direction {
    const vitx_image *like;    /* the vector is what the model answers for it; NULL: it is given */
    vitx_score score;          /* the cosine or dot; nothing without a vector */
    float *vector;             /* [classes], of length 1 for the cosine; NULL: there is none */
    struct vx_direction *next; /* the list of all that a call has; NULL: the last */
} vx_direction;

/* Checks the options. The vector is the context's scratch, also after a failure; it is filled if
 * it was given. next is NULL. */
int vx_direction_prepare(vx_direction *out, vitx_context *c, const vitx_explain_opts *opts);
/* How many pictures are to be run for the vectors of the list. */
int vx_direction_count(const vx_direction *list);
/* Runs them, and fills in the rest. */
int vx_direction_look(vitx_context *c, vx_direction *list);

#endif
