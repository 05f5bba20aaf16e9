/*
 * explain/answer.h: what the model answered for a picture, shared by the maps that keep it.
 */
#ifndef VX_EXPLAIN_ANSWER_H
#define VX_EXPLAIN_ANSWER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/memory.h"

/* Immutable; maps of several threads may hold and drop it. */
typedef struct vx_answer {
    vitx_hooks hooks;
    atomic_int holders;
    int classes;
    bool units;                    /* the logits are an embedding */
    float *logits, *probabilities; /* [classes] each; behind it */
} vx_answer;

/* A copy of both [classes], held once. */
int vx_answer_create(vx_answer **out, const float *logits, const float *probabilities, int classes,
                     bool units, const vitx_hooks *hooks);
/* One more who has to drop it; gives it back. NULL: NULL. */
vx_answer *vx_answer_hold(vx_answer *answer);
/* The last one frees it. NULL is harmless. */
void vx_answer_drop(vx_answer *answer);

#endif
