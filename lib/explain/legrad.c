/*
 * explain/legrad.c: LeGrad (Bousselham et al. 2024, section 3).
 *
 *     s_l = the score of the head's answer to the mean over all tokens behind block l
 *     map = sum over l of mean over heads and queries of max(d s_l / d A_l, 0), prefix columns
 *     dropped
 *
 * Every block has a score of its own, so each is a backward pass through one block. Where the head
 * pools by attention, s_l is the head's answer to block l's tokens and A_l the head's own attention
 * over them, as the reference has it for SigLIP. The attention's values are not used. Of a text t
 * the reference's s_l is t norm(proj(ln_post(mean))), the cosine of that answer.
 *
 * As in WalBouss/LeGrad @ a9edb03 (legrad/wrapper.py), which begins at the last but one block by
 * default (start=-2) and scales the sum to 0..1. For SigLIP it also leaves out the norm before the
 * head (norm=drop), and sets the map to 0 where that of the text "a photo of a", which is no more
 * than what all captions begin with, is above 0.8 of its range (correction=0.8).
 */
#include "base/range.h"
#include "explain/method.h"

static const char prompt[] = "a photo of a";

typedef struct settings {
    int start;
    bool bare;         /* no norm before a pooling head */
    double correction; /* the share of the range of the prompt's map; 0: none */
} settings;

static int read_settings(settings *set, const vx_job *job)
{
    int norm;
    VX_TRY(vx_setting_block(&set->start, &job->given, "start", job->layer_first, job->arch->depth));
    VX_TRY(vx_setting_choice(&norm, &job->given, "norm"));
    VX_TRY(vx_setting_number(&set->correction, &job->given, "correction", 0, 1));
    set->bare = norm == 1;
    if (set->bare && job->arch->pool != VX_POOL_MAP)
        return vx_fail(VITX_INVALID, "legrad: norm=drop is for a head that pools by attention");
    if (set->correction > 0 && !job->opts.texts)
        return vx_fail(VITX_INVALID,
                       "legrad: correction=%s takes the text \"%s\", and there is no text tower",
                       vx_setting(&job->given, "correction"), prompt);
    return VITX_OK;
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(read_settings(set, job));
    need->own_from = set->start < need->own_from ? set->start : need->own_from;
    need->all_tokens = true;
    job->ticks = (job->layer_last - set->start + 1) * (set->correction > 0 ? 2 : 1);
    return VITX_OK;
}

/* The pictures of a call, and memory for them. */
typedef struct batch {
    const vx_job *job;
    vitx_map *const *maps;
    int n;
    float *logits, *probabilities, *cotangents; /* [n,classes] each, on the host */
    float *vector;                              /* [classes] of the prompt */
    float *sums;                                /* [n,count of a map's values] of its maps */
    vx_far *device, *host;                      /* [n,rows,T] */
    bool of_prompt;                             /* what is summed now */
} batch;

static vx_target target_of(const batch *s, int i)
{
    vx_target t = vx_map_target(s->maps[i]);
    if (!s->of_prompt)
        return t;
    t.score = t.score == VITX_SCORE_DOT ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    t.vector = s->vector;
    t.length = 1; /* two texts' difference has another */
    return t;
}

static float *values_of(const batch *s, int i)
{
    return s->of_prompt ? s->sums + (size_t)i * s->maps[i]->count : s->maps[i]->values;
}

/* Rows of means over the queries that a picture has: one for each head if several are asked for, or
 * if the device has made them with the gradient. */
static int rows_of(const vx_job *job)
{
    return job->plan->relu_mean || job->head_first != job->head_last ? job->heads : 1;
}

/* The gradient of each picture's own score, of this block's answer, down to the block's
 * attention. */
static int run_block(const batch *s, int layer)
{
    const vx_job *job = s->job;
    const size_t k = (size_t)job->arch->classes;
    const settings *set = job->settings;
    VX_TRY(vx_job_answer(job, s->n, layer, set->bare, s->logits, s->probabilities));
    for (size_t i = 0; i < (size_t)s->n; i++)
        vx_target_cotangent(s->cotangents + i * k, target_of(s, (int)i), s->logits + i * k,
                            s->probabilities + i * k, (int)k);
    return vx_job_answer_backward(job, s->n, layer, s->cotangents);
}

/* Adds one head's part of block l, or that of the mean of all, to the planes of picture i: one for
 * each layer asked for from l on. */
static void add_plane(const batch *s, int l, int head, int i, const float *row)
{
    const vx_job *job = s->job;
    const vx_arch *a = job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix;
    const int heads = job->head_last - job->head_first + 1;
    /* A pooling head has one query; the mean over all that it attends to is taken. */
    const float queries = a->pool == VX_POOL_MAP ? (float)(vx_arch_tokens(a) - a->pool_first) : 1;
    for (int layer = l > job->layer_first ? l : job->layer_first; layer <= job->layer_last;
         layer++) {
        const int plane = (layer - job->layer_first) * heads + head;
        float *out = values_of(s, i) + (size_t)plane * (size_t)patches;
        for (int p = 0; p < patches; p++)
            out[p] += queries * row[p];
    }
}

/* Makes the mean of `count` rows of t floats the first of them. */
static void take_mean(float *rows, int count, int t)
{
    for (int j = 0; j < t; j++) {
        double sum = 0;
        for (int r = 0; r < count; r++)
            sum += (double)rows[r * t + j];
        rows[j] = (float)(sum / count);
    }
}

/* The same of all heads and pictures, which are read at once. */
static int add_block(const batch *s, int l)
{
    const vx_job *job = s->job;
    const vx_arch *a = job->arch;
    const int t = vx_arch_tokens(a) - a->pool_first, prefix = a->prefix - a->pool_first;
    const int heads = job->head_last - job->head_first + 1, count = rows_of(job);
    const vx_far *made = job->plan->relu_mean;
    const size_t rows = (size_t)count * (size_t)t;
    if (!made) /* several heads are gradients of one head each */
        job->dev->ops.attn_relu_mean(job->dev,
                                     &(vx_attn_relu_mean){.out = s->device,
                                                          .dp = job->plan->dp,
                                                          .head = count > 1 ? -1 : job->head_first,
                                                          .gradients = count * s->n,
                                                          .heads = count > 1 ? 1 : job->heads,
                                                          .tokens = t});
    VX_TRY(vx_job_read(job, s->host, made ? made : s->device, (size_t)s->n * rows));
    for (int i = 0; i < s->n; i++) {
        float *means = s->host + (size_t)i * rows;
        if (job->head_first < 0)
            take_mean(means, count, t);
        for (int h = 0; h < heads; h++) {
            const int row = count > 1 && job->head_first >= 0 ? job->head_first + h : 0;
            add_plane(s, l, h, i, means + (size_t)row * (size_t)t + prefix);
        }
    }
    return VITX_OK;
}

static int sum_blocks(const batch *s)
{
    const settings *set = s->job->settings;
    for (int l = s->job->layer_last; l >= set->start; l--) {
        VX_TRY(run_block(s, l));
        VX_TRY(add_block(s, l));
    }
    return VITX_OK;
}

/* Sets a plane to 0 where the prompt's [count] is above that share of its range. A prompt's map
 * that is the same everywhere points at no place. */
static void cut_plane(float *plane, const float *of_prompt, int count, double share)
{
    float low, high;
    vx_range(&low, &high, of_prompt, (size_t)count);
    const double range = (double)high - (double)low;
    for (int p = 0; p < count; p++)
        if ((double)of_prompt[p] - (double)low > share * range)
            plane[p] = 0;
}

/* The same blocks once more, for the prompt. */
static int correct(batch *s)
{
    const settings *set = s->job->settings;
    const vx_arch *a = s->job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix;
    VX_TRY(vx_similarity_vector(s->vector, a->classes, s->job->opts.texts, prompt));
    s->of_prompt = true;
    VX_TRY(sum_blocks(s));
    for (int i = 0; i < s->n; i++) {
        const size_t count = s->maps[i]->count;
        for (size_t at = 0; at < count; at += (size_t)patches)
            cut_plane(s->maps[i]->values + at, values_of(s, i) + at, patches, set->correction);
    }
    return VITX_OK;
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *set = job->settings;
    const size_t classes = (size_t)job->arch->classes, k = (size_t)n * classes;
    const size_t rows = (size_t)rows_of(job) * (size_t)n * (size_t)vx_arch_tokens(job->arch);
    const bool corrects = set->correction > 0;
    const size_t sums = corrects ? (size_t)n * maps[0]->count : 0;
    const vitx_hooks scratch = job->scratch;
    float *host, *device;
    VX_TRY(vx_job_work(&device, job, rows, "legrad"));
    VX_TRY(vx_new(&host, &scratch, 3 * k + classes + sums + rows, sizeof *host, "legrad"));
    batch s = {.job = job,
               .maps = maps,
               .n = n,
               .logits = host,
               .probabilities = host + k,
               .cotangents = host + 2 * k,
               .vector = host + 3 * k,
               .sums = host + 3 * k + classes,
               .device = device,
               .host = host + 3 * k + classes + sums};
    int status = sum_blocks(&s);
    if (status == VITX_OK && corrects)
        status = correct(&s);
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {
    {"start", "0", "0 to the last block summed, or -1, -2, ...",
     "first block of the sum; -1: the last block, -2: the last two"},
    {"norm", "keep", "keep|drop",
     "drop: a head that pools by attention reads the tokens without the norm before it"},
    {"correction", "0", "0 to 1",
     "where the map of the text \"a photo of a\" is above that share of its range, the map is 0; "
     "0: nowhere"},
};

const vx_method vx_method_legrad = {
    .name = "legrad",
    .summary = "gradient of each block's own answer by its attention, summed up to --layer",
    .cost = "1 forward, about 1 backward; with correction about 2",
    .reference = "Bousselham et al. 2024, LeGrad",
    .uses_target = true,
    .of_pool = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run_batch,
};
