/*
 * engine/run.h: running what lies in a context: a batch of pictures in, answers out; progress;
 * waiting for the device.
 */
#ifndef VX_ENGINE_RUN_H
#define VX_ENGINE_RUN_H

#include "engine/context.h"
#include "engine/inputs.h"

/* ------------------------------------------------------------------ a public call ---------- */

/* Around the work of every public call that changes the context: nothing else may be in one then
 * (VITX_BUSY, and no leave). Views that were handed out before become stale. */
int vx_context_enter(vitx_context *c);
int vx_context_leave(vitx_context *c, int status); /* gives `status` back */

/* ------------------------------------------------------------------ a batch ---------------- */

/* Runs `n` <= max_batch pictures, recording what `plan` says (NULL: nothing). Their answers are
 * then in c->act.host, checked to be finite. next: so many pictures, <= max_batch, behind these are
 * what this call runs next, so they may be copied to the device meanwhile; 0: it is not known. */
int vx_context_run(vitx_context *c, const vitx_image *const *images, int n, int next,
                   vx_plan *plan);

/* Before such a run: what an earlier one recorded is lost, and the plan gets its places for `n`
 * pictures, or for max_batch. */
int vx_context_begin_run(vitx_context *c, vx_plan *plan, int n);

/* Writes inputs first..first+n-1 to `to`, one behind the other. */
void vx_inputs_write(vitx_context *c, const vx_inputs *inputs, float *to, int first, int n);
/* As vx_context_run with n of these, made on the device if it makes variants and they can be
 * queued: to the methods they are pictures of `image`'s size and
 * place, or, if that is NULL, pictures that are the input as it is. */
int vx_context_run_inputs(vitx_context *c, const vitx_image *image, const vx_inputs *inputs,
                          int first, int n, vx_plan *plan);

/* The first n inputs of act->host to the device. */
void vx_context_upload_inputs(vitx_context *c, const vx_activations *act, int n);
/* Input i of the last such run, on the host: if the device has made the inputs, they are copied
 * once. */
int vx_context_host_input(const float **out, vitx_context *c, int i);
/* The answers of a pass over n sequences to the host, [n,K] each; one download if all that fit
 * were run. */
int vx_context_read_answers(vitx_context *c, const vx_activations *act, float *logits,
                            float *probabilities, int n);
/* The answers of a pass over n sequences to act->host: logits and probabilities [n,K].
 * VITX_FORMAT if a logit is not finite. */
int vx_context_answers(vitx_context *c, const vx_activations *act, int n);

/* The k best of a picture's answers [classes], as vitx_classify() gives them; model NULL: without
 * labels. */
void vx_rank(vitx_prediction *top, int k, const float *logits, const float *probabilities,
             int classes, const vitx_model *model);
/* Divides a vector by its length; false: it is 0, and stays. */
bool vx_make_unit(float *vector, int count);
/* The same for a model's answer: VITX_FORMAT if it is 0. */
int vx_embedding_make_unit(float *embedding, int count);

/* ------------------------------------------------------------------ progress --------------- */

/* Starts a public call: progress goes from 0 to `ticks`, which counts blocks of passes. */
void vx_context_begin(vitx_context *c, int64_t ticks);
/* Tells the caller how far the work is: so many blocks further. VITX_CANCELLED if it asks to
 * stop. */
int vx_context_advance(vitx_context *c, int64_t ticks);
int vx_context_tick(vitx_context *c); /* one */

/* ------------------------------------------------------------------ waiting ---------------- */

/* Bytes of the device's to the host: they are there on return. VITX_DEVICE. */
int vx_context_read(vitx_context *c, void *host, const void *device, size_t bytes);
/* Waits for the device; VITX_DEVICE if it failed. */
int vx_context_sync(vitx_context *c);
/* At the end of a pass that gave `status`: what was queued goes on if that is VITX_OK; else the
 * device is waited for, since the caller has nothing to wait for. `status` and its message stay. */
int vx_context_queued(vitx_context *c, int status);
/* Around what a pass queues, which the device may put off until the end and queue as one
 * (kernels/device.h); end after vx_context_queued. */
void vx_context_list_begin(vitx_context *c);
int vx_context_list_end(vitx_context *c, int status); /* gives `status` back */
/* vx_context_sync at the end of work that gave `status`: if that is a failure, the device is
 * still waited for, since what was queued may use memory that the caller gives back next;
 * `status` and its message stay. */
int vx_context_settle(vitx_context *c, int status);

#endif
