/*
 * engine/channels.h: a picture with one channel of its tokens after the other set to a value, at
 * the end of the network, for models whose head reads the class token alone.
 *
 * From the last block's attention on, such a variant is one row: its class token. And since q, k
 * and v are linear in what norm1 gives, they change by a column of the weights (operation
 * attention_replaced) and are not computed anew. So all D variants of a picture cost what D rows
 * cost, where running the last block for each would cost D*T.
 */
#ifndef VX_ENGINE_CHANNELS_H
#define VX_ENGINE_CHANNELS_H

#include "engine/pass.h"

/* Rows at once, unless the class says more (vx_device_class.variant_tokens) and there is no
 * memory_budget: with more of them products are no faster on a processor. */
#define VX_CHANNELS_AT_ONCE 256

/* Whether what lies behind the tokens of block `layer` can be run so: the block computes the class
 * token alone, and its scores are products of q and k as they are and nothing else. */
bool vx_channels_serve(const vx_arch *arch, int layer);
/* How many to run at once, in parts of about one size. */
int vx_channels_at_once(const vitx_context *c);
/* Bytes that reserving takes. */
size_t vx_channels_bytes(const vitx_context *c);
int vx_channels_reserve(vitx_context *c);

/* Of the last block: its input x and what norm1 makes of it, y, [T,D] each. */
typedef struct vx_channels_of {
    const vx_far *x, *y;
} vx_channels_of;

/* Before the first run at norm1: q, k and v of the picture. */
void vx_channels_begin(vitx_context *c, vx_channels_of p);
/* y with channels[i] set to `value` in all tokens, for i = 0..n-1: logits and probabilities are
 * then in c->channels.act.host [n,K]. */
int vx_channels_run(vitx_context *c, vx_channels_of p, const int *channels, float value, int n);
/* The same of the last block's output [T,D]: only the head is run. */
int vx_channels_run_output(vitx_context *c, const vx_far *output, const int *channels, float value,
                           int n);

#endif
