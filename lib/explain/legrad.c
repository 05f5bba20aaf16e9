/*
 * explain/legrad.c: LeGrad (Bousselham et al. 2024, section 3).
 *
 *     s_l = the score of the head's answer to the mean over all tokens behind block l
 *     map = sum over l of mean over heads and queries of max(d s_l / d A_l, 0), prefix columns dropped
 *
 * Every block has a score of its own, so each is a backward pass through one block. Where the head pools by
 * attention, s_l is the head's answer to block l's tokens and A_l the head's own attention over them, as
 * the reference has it for SigLIP (which leaves out the norm before the head). The attention's
 * values are not used. Checked against the formula in PyTorch; the reference, WalBouss/LeGrad, begins at
 * the last but one block by default and scales the sum to 0..1.
 */
#include "explain/method.h"

typedef struct settings {
    int start;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_int(&set->start, &job->given, "start", 0, job->layer_first));
    need->own_from = set->start < need->own_from ? set->start : need->own_from;
    need->all_tokens = true;
    job->ticks = job->layer_last - set->start + 1;
    return VITX_OK;
}

/* The pictures of a call. */
typedef struct batch {
    const vx_job *job;
    vitx_map *const *maps;
    int n;
    float *logits, *probabilities, *dlogits; /* [n,classes] each, on the host */
} batch;

/* The gradient of each picture's own score, of this block's answer. The backward pass waits for the
 * device, so dlogits is free again behind it. */
static int put_gradients(const batch *s)
{
    vitx_context *c = s->job->context;
    const size_t k = (size_t)s->job->arch->classes, bytes = (size_t)s->n * k * sizeof(float);
    c->dev->cls->download(c->dev, s->logits, c->act.logits, bytes);
    c->dev->cls->download(c->dev, s->probabilities, c->act.probabilities, bytes);
    VX_TRY(vx_context_sync(c));
    for (size_t i = 0; i < (size_t)s->n; i++)
        vx_target_cotangent(s->dlogits + i * k, vx_map_target(s->maps[i]), s->logits + i * k,
                       s->probabilities + i * k, (int)k);
    c->dev->cls->upload(c->dev, c->need.dlogits, s->dlogits, bytes);
    return VITX_OK;
}

/* Adds block l's part to the planes of all pictures: one for each layer asked for from l on. */
static int add_block(const batch *s, int l, float *device, float *host)
{
    const vx_job *job = s->job;
    vitx_context *c = job->context;
    const vx_arch *a = job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix;
    const int t = vx_arch_tokens(a) - a->pool_first, prefix = a->prefix - a->pool_first;
    const int heads = job->head_last - job->head_first + 1;
    /* A pooling head has one, of which the mean over all that it attends to is taken. */
    const float queries = a->pool == VX_POOL_MAP ? (float)t : 1;
    for (int h = job->head_first; h <= job->head_last; h++) {
        c->dev->ops.attn_relu_mean(c->dev, &(vx_attn_relu_mean){.out = device,
                                                                .dp = c->need.dp,
                                                                .head = h,
                                                                .gradients = s->n,
                                                                .heads = a->heads,
                                                                .tokens = t});
        c->dev->cls->download(c->dev, host, device, (size_t)s->n * (size_t)t * sizeof *host);
        VX_TRY(vx_context_sync(c));
        for (int i = 0; i < s->n; i++)
            for (int layer = l > job->layer_first ? l : job->layer_first; layer <= job->layer_last;
                 layer++) {
                const int plane = (layer - job->layer_first) * heads + h - job->head_first;
                float *out = s->maps[i]->values + (size_t)plane * (size_t)patches;
                for (int p = 0; p < patches; p++)
                    out[p] += queries * host[(size_t)i * (size_t)t + (size_t)(prefix + p)];
            }
    }
    return VITX_OK;
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *set = job->settings;
    vitx_context *c = job->context;
    const size_t k = (size_t)n * (size_t)job->arch->classes;
    const size_t rows = (size_t)n * (size_t)vx_arch_tokens(job->arch);
    const vitx_hooks scratch = job->scratch;
    const vx_pass pass = {.act = &c->act, .plan = &c->need, .batch = n};
    float *host;
    VX_TRY(vx_block_reserve(c, &c->work, rows * sizeof(float), "legrad"));
    VX_TRY(vx_new(&host, &scratch, rows + 3 * k, sizeof *host, "legrad"));
    const batch s = {job, maps, n, host + rows, host + rows + k, host + rows + 2 * k};
    int status = VITX_OK;
    for (int l = job->layer_last; l >= set->start && status == VITX_OK; l--) {
        vx_pass_answer(c, &pass, l);
        status = put_gradients(&s);
        if (status == VITX_OK)
            status = vx_pass_answer_backward(c, &pass, l);
        if (status == VITX_OK)
            status = add_block(&s, l, c->work.memory, host);
    }
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {
    {"start", "0", "0 to the last block summed", "first block of the sum"},
};

const vx_method vx_method_legrad = {
    .name = "legrad",
    .summary = "gradient of each block's own answer by its attention, summed up to --layer",
    .cost = "1 forward, about 1 backward",
    .reference = "Bousselham et al. 2024, LeGrad",
    .uses_target = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run_batch,
};
