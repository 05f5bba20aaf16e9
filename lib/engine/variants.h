/*
 * engine/variants.h: running many variants of one picture: noisy ones, masked ones, ones with
 * tokens taken away.
 *
 * Variants have activations of their own, for so many at once as the methods of a call asked for,
 * so what the pass over the pictures left behind stays where it is. A method makes the inputs of
 * some variants, runs them, reads their logits, and goes on: memory does not grow with the number
 * of variants. Inputs are made where they are run: by the host if device memory is its own, else by
 * the device. What has to be made on the host all the same goes through a few places there.
 */
#ifndef VX_ENGINE_VARIANTS_H
#define VX_ENGINE_VARIANTS_H

#include "engine/inputs.h"
#include "engine/pass.h"

/* How many at once are worth their memory, unless the class says otherwise
 * (vx_device_class.variant_tokens): on a processor, products of more rows than these are no
 * faster. */
#define VX_VARIANTS_AT_ONCE 8
#define VX_VARIANTS_MOST 1024 /* for small inputs on a device that takes many */
/* What those that need gradients may take beyond the first, unless the class says more. */
#define VX_VARIANTS_BYTES ((size_t)192 << 20)
/* How many times as many sequences fit where they are shorter; what they hold a sequence beside
 * their tokens is a small part of it. */
#define VX_VARIANTS_SHORTER 8

/* How many to run at once: at least max_batch of the context, or VX_VARIANTS_AT_ONCE, more if the
 * class wants more; fewer, at least 1, if what the plan records of them (NULL: nothing) would take
 * more than VX_VARIANTS_BYTES, or if so many are past the memory_budget. */
int vx_variants_at_once(vitx_context *c, vx_plan *plan);
/* Bytes that reserving takes. */
size_t vx_variants_bytes(vitx_context *c, int count, int kept, vx_plan *plan);
/* Memory for `count` at once, `kept` of them with what the plan records. kept 0: plan may be NULL.
 * The needs are copied to c->variants.plan, whose places are then the variants' own. */
int vx_variants_reserve(vitx_context *c, int count, int kept, const vx_plan *plan);

/* Whether the device makes variants, by the operations of kernels/variants.h. If not, its memory is
 * the host's. */
bool vx_variants_on_device(const vitx_context *c);
/* The place of variant i's input in device memory: [C,H,W]. */
vx_far *vx_variants_input(const vitx_context *c, int i);
/* A place on the host for one of the first c->variants.on_host inputs: the same place, if memory is
 * the host's. */
float *vx_variants_host_input(const vitx_context *c, int i);
/* Brings inputs first..first+n-1 from there to the device. */
void vx_variants_upload(vitx_context *c, int first, int n);
/* Makes inputs first..first+n-1 of `inputs`, n of those reserved: on the device if it makes
 * variants and they can be queued, else on the host. VITX_DEVICE. */
int vx_variants_write(vitx_context *c, const vx_inputs *inputs, int first, int n);

/* Runs the first n inputs: logits and probabilities are then in c->variants.act.host
 * [n,classes]. */
int vx_variants_run(vitx_context *c, int n);
/* The same for n of the `kept` ones, with recording by c->variants.plan. If the plan has gradients:
 * its dlogits [n*targets,classes] is to be filled, then vx_variants_backward queues what makes
 * them. */
int vx_variants_run_kept(vitx_context *c, int n);
int vx_variants_backward(vitx_context *c, int n);
/* Embeds the first n inputs: tokens [n,T,D] are then in c->variants.act.x. */
void vx_variants_embed(vitx_context *c, int n);
/* What a model whose head reads patches alone answers if there are none, as variant 0. */
int vx_variants_no_patches(vitx_context *c);
/* A pass of the caller's own making, in c->variants.act, with act->x (and more) already filled:
 * no more tokens than were reserved for, and no more sequences than c->variants.sequences. */
int vx_variants_run_blocks(vitx_context *c, const vx_pass *pass);

#endif
