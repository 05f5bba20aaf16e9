/*
 * engine/dual.h: a second residual stream beside the blocks of a picture, and the head's answer to
 * each token of it.
 *
 * Models of pictures and words are asked where a text is by the answer of their head to every
 * token. The tokens of the network itself are poor at that: the last blocks mix into each what
 * the class token is after. So the stream is run once more through some blocks without their
 * perceptrons, and attention follows how alike tokens are, not queries and keys. The blocks read
 * what the first stream left (its norm1), so the network's own answer stays as it is.
 *
 * What stands in place of softmax(q k^T / sqrt E) v, head by head:
 *
 *      VX_DUAL_VALUES   softmax(v v^T / sqrt E) v
 *      VX_DUAL_ALL      the mean over x in {v, k, q} of softmax(t y y^T) v,
 *                       y = unit(softmax(t u u^T) u), u = unit(x)
 *
 * q and k are what the product gives: neither norms nor rotations of theirs are applied.
 * Everything is queued. Letters: T tokens, D width, A = heads * head width, E head width, K
 * classes.
 */
#ifndef VX_ENGINE_DUAL_H
#define VX_ENGINE_DUAL_H

#include "engine/context.h"

typedef enum vx_dual_kind { VX_DUAL_VALUES = 0, VX_DUAL_ALL } vx_dual_kind;

/* Of one picture. */
typedef struct vx_dual {
    vx_dual_kind kind;
    vx_far *stream;                    /* [T,D] */
    vx_narrow *qkv, *mixed, *attended; /* [T,3A], [T,3A], [T,A] */
    vx_far *sum, *units, *branch;      /* [T,A], [E], [T,D] */
} vx_dual;

/* Whether a model's blocks have such a second stream: values are those of differential attention,
 * whose halves stand for two attentions, in no block. */
bool vx_dual_serves(const vx_arch *arch);
/* Bytes of device memory that a stream takes; SIZE_MAX: more than can be counted. */
size_t vx_dual_bytes(const vitx_context *c, vx_dual_kind kind);
/* The stream in that memory: it begins as x [T,D], the input of the first block it goes through. */
void vx_dual_begin(vx_dual *out, vitx_context *c, vx_dual_kind kind, void *memory, const vx_far *x);
/* Adds what block `layer` gives: norm1 [T,D] is what the block's attention read in the first
 * stream, t the inverse temperature of VX_DUAL_ALL. VITX_CANCELLED. */
int vx_dual_block(vitx_context *c, const vx_dual *d, int layer, const vx_far *norm1, double t);

/* Which tokens the head answers to. */
typedef enum vx_answers_to {
    VX_ANSWERS_TOKENS = 0, /* x as they are                                                    */
    VX_ANSWERS_VALUES,     /* proj(v) of the last block, v of norm1                            */
    VX_ANSWERS_BLOCK       /* the last block's output, if each token of its input x attended to
                            * itself alone                                                     */
} vx_answers_to;

/*
 * The head's answer to each of n tokens: what the model answers if the vector that its head reads
 * of the picture is made of that token, and where two are read, both. A pooling head attends to
 * that token alone: its answer is that of the token's value. n is at most vx_channels_at_once, for
 * whose memory was reserved; logits and probabilities are then in c->channels.act.host [n,K].
 * VITX_FORMAT, VITX_DEVICE.
 */
int vx_answers(vitx_context *c, vx_answers_to what, const vx_far *x, const vx_far *norm1, int n);
/* What n tokens are found by, to out [n,D] on the host: proj(k) of the last block, k of norm1; of a
 * pooling head its k, of x, what that block puts out. k is what the product gives, as above. n as
 * above. VITX_DEVICE. */
int vx_answers_keys(vitx_context *c, float *out, const vx_far *x, const vx_far *norm1, int n);

#endif
