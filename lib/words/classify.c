/* words/classify.c: pictures and labels that are texts. */
#include <math.h>

#include "base/best.h"
#include "engine/run.h"
#include "words/scores.h"
#include "words/words.h"

/* softmax or sigmoid of one logit among all */
typedef struct scale {
    double most, sum; /* of the softmax */
    bool sigmoid;
} scale;

static scale scale_of(const float *logits, int n, bool sigmoid)
{
    scale s = {.most = logits[0], .sigmoid = sigmoid};
    for (int i = 1; i < n; i++)
        if (logits[i] > s.most)
            s.most = logits[i];
    for (int i = 0; i < n && !sigmoid; i++)
        s.sum += exp(logits[i] - s.most);
    return s;
}

static float probability(scale s, double logit)
{
    if (s.sigmoid)
        return (float)(logit >= 0 ? 1 / (1 + exp(-logit)) : exp(logit) / (1 + exp(logit)));
    return (float)(exp(logit - s.most) / s.sum);
}

static double length_of(const float *vector, int count)
{
    double square = 0;
    for (int k = 0; k < count; k++)
        square += (double)vector[k] * vector[k];
    return sqrt(square);
}

/* logits: [count], scratch. */
static void rank(vitx_prediction *top, int k, float *logits, const vitx_label_set *set,
                 const float *vector)
{
    const vitx_label_set_info *info = &set->info;
    const double length = length_of(vector, info->units);
    vx_scores(logits, set->vectors, vector, info->count, info->units);
    for (int i = 0; i < info->count; i++)
        logits[i] = (float)(info->scale * (length > 0 ? logits[i] / length : 0) + info->bias);
    const scale s = scale_of(logits, info->count, info->outputs == VITX_OUTPUTS_SIGMOID);
    const int there = vx_best(&top->index, sizeof *top, k, logits, info->count);
    for (int i = 0; i < there; i++) {
        const int index = top[i].index;
        top[i] = (vitx_prediction){index, logits[index], probability(s, logits[index]),
                                   set->labels[index]};
    }
    for (int i = there; i < k; i++)
        top[i] = (vitx_prediction){.index = -1};
}

static int logits_new(float **logits, const vitx_label_set *set)
{
    return vx_new(logits, &set->hooks, (size_t)set->info.count, sizeof **logits,
                  "scores of labels");
}

int vitx_label_set_rank(vitx_prediction *top, int k, const vitx_label_set *set, const float *vector)
{
    float *logits;
    if (!top || !set || !vector || k < 1)
        return vx_fail(VITX_INVALID, "vitx_label_set_rank: an argument is NULL, or k is %d", k);
    for (int i = 0; i < set->info.units; i++)
        if (!isfinite(vector[i]))
            return vx_fail(VITX_INVALID, "number %d of the vector is not finite", i);
    VX_TRY(logits_new(&logits, set));
    rank(top, k, logits, set, vector);
    vx_release(&set->hooks, logits);
    return VITX_OK;
}

static int classify(vitx_context *c, const vitx_image *const *images, int n,
                    const vitx_label_set *set, vitx_prediction *top, int k, float *vectors)
{
    float *logits;
    VX_TRY(vitx_embed_batch(c, images, n, vectors, 0));
    VX_TRY(logits_new(&logits, set));
    for (int i = 0; i < n; i++)
        rank(top + (size_t)i * (size_t)k, k, logits, set,
             vectors + (size_t)i * (size_t)set->info.units);
    vx_release(&set->hooks, logits);
    return VITX_OK;
}

int vitx_classify_texts(vitx_context *context, const vitx_image *const *images, int n,
                        const vitx_label_set *set, vitx_prediction *top, int k)
{
    float *vectors;
    if (!context || !images || !set || !top || n < 1 || k < 1)
        return vx_fail(VITX_INVALID, "vitx_classify_texts: an argument is NULL, or n or k is "
                                     "below 1");
    if (!context->arch.units || context->arch.classes != set->info.units)
        return vx_fail_in(VITX_INVALID, context->model->path,
                          "gives %d %s; the labels have vectors of %d numbers",
                          context->arch.classes, context->arch.units ? "numbers" : "classes",
                          set->info.units);
    size_t count;
    if (!vx_mul_size(&count, (size_t)n, (size_t)set->info.units))
        return vx_fail(VITX_INVALID, "%d pictures are too many", n);
    VX_TRY(vx_new(&vectors, &context->hooks, count, sizeof *vectors, "vectors of pictures"));
    const int status = classify(context, images, n, set, top, k, vectors);
    vx_release(&context->hooks, vectors);
    return status;
}
