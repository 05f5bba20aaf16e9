/* engine/classify.c: pictures in, logits and predictions out. */
#include <math.h>
#include <string.h>

#include "base/best.h"
#include "engine/feed.h"
#include "engine/run.h"
#include "engine/size.h"

void vx_rank(vitx_prediction *top, int k, const float *logits, const float *probabilities,
             int classes, const vitx_model *model)
{
    const int n = vx_best(&top->index, sizeof *top, k, logits, classes);
    for (int i = 0; i < n; i++)
        top[i] = (vitx_prediction){top[i].index, logits[top[i].index], probabilities[top[i].index],
                                   vitx_model_label(model, top[i].index)};
    for (int i = n; i < k; i++)
        top[i] = (vitx_prediction){.index = -1};
}

/* How many of the n, from number `first` on, run next; of 0: 0. */
static int next_batch(const vitx_context *c, const vx_feed *feed, int first, int n)
{
    return n ? vx_feed_alike(c, feed, first, n < c->max_batch ? n : c->max_batch) : 0;
}

static int64_t count_batches(const vitx_context *c, const vx_feed *feed, int n)
{
    int64_t batches = 0;
    for (int at = 0; at < n; at += next_batch(c, feed, at, n - at))
        batches++;
    return batches;
}

static int classify(vitx_context *c, const vx_feed *feed, int n, vitx_prediction *top, int k)
{
    if (n < 1 || k < 1)
        return vx_fail(VITX_INVALID, "%d pictures, %d classes: at least one of each is needed", n,
                       k);
    if (c->arch.units)
        return vx_fail_in(VITX_UNSUPPORTED, c->model->path,
                          "has no classes, its answer is an embedding of %d numbers; vitx_embed "
                          "(vitx-cli embed) gives it",
                          c->arch.classes);
    VX_TRY(vx_feed_check(c, feed, n));
    const size_t classes = (size_t)c->arch.classes;
    vx_context_begin(c, count_batches(c, feed, n) * c->arch.depth);
    for (int at = 0, count = next_batch(c, feed, 0, n), next; at < n; at += count, count = next) {
        next = next_batch(c, feed, at + count, n - at - count);
        VX_TRY(vx_feed_run(c, feed, at, count, next, NULL));
        for (int i = 0; i < count; i++)
            vx_rank(top + (size_t)(at + i) * (size_t)k, k, c->act.host.logits + (size_t)i * classes,
                    c->act.host.probabilities + (size_t)i * classes, c->arch.classes, c->model);
    }
    return VITX_OK;
}

int vitx_classify_batch(vitx_context *context, const vitx_image *const *images, int n,
                        vitx_prediction *top, int k)
{
    if (!context || !images || !top)
        return vx_fail(VITX_INVALID, "vitx_classify_batch: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, classify(context, &(vx_feed){.images = images}, n, top, k));
}

int vitx_classify_inputs(vitx_context *context, const float *inputs, int n, int height, int width,
                         vitx_prediction *top, int k)
{
    if (!context || !inputs || !top)
        return vx_fail(VITX_INVALID, "vitx_classify_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, classify(context, &feed, n, top, k));
}

int vitx_classify(vitx_context *context, const vitx_image *image, vitx_prediction *top, int k)
{
    return vitx_classify_batch(context, &image, 1, top, k);
}

bool vx_make_unit(float *vector, int count)
{
    double square = 0;
    for (int i = 0; i < count; i++)
        square += (double)vector[i] * vector[i];
    if (!(square > 0))
        return false;
    for (int i = 0; i < count; i++)
        vector[i] = (float)(vector[i] / sqrt(square));
    return true;
}

int vx_embedding_make_unit(float *embedding, int count)
{
    return vx_make_unit(embedding, count)
               ? VITX_OK
               : vx_fail(VITX_FORMAT, "the embedding is 0 and has no direction");
}

static int embed(vitx_context *c, const vx_feed *feed, int n, float *out, int normalize)
{
    if (n < 1)
        return vx_fail(VITX_INVALID, "%d pictures: at least one is needed", n);
    if (!c->arch.units)
        return vx_fail_in(VITX_UNSUPPORTED, c->model->path,
                          "answers with %d classes, not with an embedding; vitx_classify "
                          "(vitx-cli classify) gives them",
                          c->arch.classes);
    VX_TRY(vx_feed_check(c, feed, n));
    const size_t k = (size_t)c->arch.classes;
    vx_context_begin(c, count_batches(c, feed, n) * c->arch.depth);
    for (int at = 0, count = next_batch(c, feed, 0, n), next; at < n; at += count, count = next) {
        next = next_batch(c, feed, at + count, n - at - count);
        float *const to = out + (size_t)at * k;
        VX_TRY(vx_feed_run(c, feed, at, count, next, NULL));
        memcpy(to, c->act.host.logits, (size_t)count * k * sizeof *to);
        for (int i = 0; normalize && i < count; i++)
            VX_TRY(vx_embedding_make_unit(to + (size_t)i * k, c->arch.classes));
    }
    return VITX_OK;
}

int vitx_embed_batch(vitx_context *context, const vitx_image *const *images, int n, float *out,
                     int normalize)
{
    if (!context || !images || !out)
        return vx_fail(VITX_INVALID, "vitx_embed_batch: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context,
                            embed(context, &(vx_feed){.images = images}, n, out, normalize));
}

int vitx_embed_inputs(vitx_context *context, const float *inputs, int n, int height, int width,
                      float *out, int normalize)
{
    if (!context || !inputs || !out)
        return vx_fail(VITX_INVALID, "vitx_embed_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, embed(context, &feed, n, out, normalize));
}

int vitx_embed(vitx_context *context, const vitx_image *image, float *out, int normalize)
{
    return vitx_embed_batch(context, &image, 1, out, normalize);
}

static int forward(vitx_context *c, const vx_feed *feed, int n)
{
    if (n < 1 || n > c->max_batch)
        return vx_fail(VITX_INVALID, "%d pictures: 1 to max_batch = %d are accepted", n,
                       c->max_batch);
    VX_TRY(vx_feed_check(c, feed, n));
    vx_context_begin(c, c->arch.depth);
    VX_TRY(vx_feed_run(c, feed, 0, n, 0, &c->wish));
    c->recorded = n;
    return VITX_OK;
}

int vitx_forward(vitx_context *context, const vitx_image *const *images, int n)
{
    if (!context || !images)
        return vx_fail(VITX_INVALID, "vitx_forward: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, forward(context, &(vx_feed){.images = images}, n));
}

int vitx_forward_inputs(vitx_context *context, const float *inputs, int n, int height, int width)
{
    if (!context || !inputs)
        return vx_fail(VITX_INVALID, "vitx_forward_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, forward(context, &feed, n));
}
