/*
 * explain/smoothgrad.c: SmoothGrad (Smilkov et al. 2017), its squares and its variance (VarGrad,
 * Adebayo et al. 2018).
 *
 * With g_s = d score / d x at x + sigma (max x - min x) z_s, z_s standard normal, s = 0..n-1:
 *      mean    mean_s g_s
 *      square  mean_s g_s^2
 *      var     mean_s g_s^2 - (mean_s g_s)^2, for every channel of every pixel
 * and of that the channels made one as saliency does. Sample s takes stream s of the seed, so a
 * sample is the same in any batch.
 *
 * The references disagree on every default (docs/methods/smoothgrad.md): sigma and n are the
 * paper's.
 */
#include <limits.h>

#include "base/random.h"
#include "base/range.h"
#include "explain/pixels.h"

typedef enum kind { MEAN = 0, SQUARE, VAR } kind;

typedef struct settings {
    int n, seed;
    double sigma;
    kind kind;
    vx_reduce reduce;
    vx_grid grid;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    (void)need;
    settings *s = job->settings;
    int choice;
    VX_TRY(vx_setting_int(&s->n, &job->given, "n", 1, 10000));
    VX_TRY(vx_setting_number(&s->sigma, &job->given, "sigma", 0, 10));
    VX_TRY(vx_setting_choice(&choice, &job->given, "kind"));
    VX_TRY(vx_setting_int(&s->seed, &job->given, "seed", 0, INT_MAX));
    VX_TRY(vx_setting_reduce(&s->reduce, &job->given));
    VX_TRY(vx_setting_grid(&s->grid, job));
    s->kind = (kind)choice;
    vx_walk_prepare(job, s->n);
    return VITX_OK;
}

typedef struct samples {
    const settings *s;
    const float *input;      /* the picture's own, on the host ... */
    const vx_far *far_input; /* ... and on the device */
    float deviation;
    float *weights;      /* [n] 1/n each */
    vx_far *sum, *first; /* [C,H,W], device: what is summed; VAR: sample 0's gradient, and ... */
    vx_far *squares;     /* ... the squares of the differences */
    int64_t floats;
} samples;

static void fill(const void *payload, float *out, int v, size_t at, size_t floats)
{
    const samples *a = payload;
    vx_random_normals(out, (uint64_t)a->s->seed, (uint64_t)v, at, floats);
    for (size_t i = 0; i < floats; i++)
        out[i] = a->input[at + i] + a->deviation * out[i];
}

static void queue(const void *payload, const vx_job *job, vx_far *to, int first, int n)
{
    const samples *a = payload;
    job->dev->ops.add_noise(job->dev, &(vx_add_noise){.y = to,
                                                      .x = a->far_input,
                                                      .kind = VX_NOISE_NORMAL,
                                                      .scale = a->deviation,
                                                      .seed = (uint64_t)a->s->seed,
                                                      .first = (uint64_t)first,
                                                      .n = n,
                                                      .count = a->floats});
}

/* The variance is that of the differences from sample 0: the difference of two large means would
 * lose it in their rounding. */
static void subtract_first(const samples *a, vx_device *dev, vx_far *gradients, int first, int n)
{
    if (first == 0)
        dev->ops.copy_rows(
            dev,
            &(vx_copy_rows){.y = a->first, .x = gradients, .m = 1, .n = a->floats, .scale = 1});
    dev->ops.copy_rows(dev, &(vx_copy_rows){.y = gradients,
                                            .ldy = a->floats,
                                            .x = a->first,
                                            .m = n,
                                            .n = a->floats,
                                            .scale = -1,
                                            .accumulate = 1});
}

static void add(void *payload, const vx_job *job, vx_far *gradients, int first, int n)
{
    const samples *a = payload;
    if (a->s->kind == VAR)
        subtract_first(a, job->dev, gradients, first, n);
    vx_walk_add(job, a->sum, gradients, a->weights, n, a->s->kind == SQUARE);
    if (a->s->kind == VAR)
        vx_walk_add(job, a->squares, gradients, a->weights, n, true);
}

/* Walks over the samples and takes the map. host: weights [n], then a plane [H,W]. */
static int run_samples(const vx_job *job, vitx_map *map, samples *a, vx_far *plane, float *host)
{
    const settings *s = job->settings;
    const float minus_one = -1, *sum = a->sum;
    a->weights = host;
    for (int v = 0; v < s->n; v++)
        a->weights[v] = 1 / (float)s->n;
    VX_TRY(vx_walk_run(job, map, &(vx_walk){s->n, fill, queue, add, a}));
    if (s->kind == VAR) {
        vx_walk_add(job, a->squares, a->sum, &minus_one, 1, true);
        sum = a->squares;
    }
    map->info.is_signed = s->kind == MEAN && s->reduce == VX_REDUCE_SUM;
    return vx_pixels_map(map, host + s->n, job, plane, sum, NULL, s->reduce, s->grid);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *s = job->settings;
    const vitx_hooks scratch = job->scratch;
    const size_t count = vx_job_input_floats(job), pixels = count / (size_t)job->arch->channels;
    const size_t sums = s->kind == VAR ? 3 : 1;
    const float *input;
    float *sum, *host, low, high;
    VX_TRY(vx_job_host_input(&input, job, i));
    VX_TRY(vx_job_work(&sum, job, sums * count + pixels, "sums of gradients"));
    VX_TRY(vx_new(&host, &scratch, (size_t)s->n + pixels, sizeof *host, "a map of pixels"));
    samples a = {.s = s,
                 .input = input,
                 .far_input = vx_job_input(job, i),
                 .sum = sum,
                 .first = s->kind == VAR ? sum + count : NULL,
                 .squares = s->kind == VAR ? sum + 2 * count : NULL,
                 .floats = (int64_t)count};
    vx_range(&low, &high, a.input, count);
    a.deviation = (float)(s->sigma * (high - low));
    job->dev->ops.clear(job->dev, &(vx_clear){.y = sum, .count = (int64_t)(sums * count)});
    const int status = run_samples(job, map, &a, sum + sums * count, host);
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {
    {"n", "25", "1 to 10000", "number of noisy pictures"},
    {"sigma", "0.15", "0 to 10",
     "standard deviation of the noise, as a share of the input's range"},
    {"kind", "mean", "mean|square|var",
     "what is taken of the gradients: mean, mean square or variance"},
    VX_OPTION_REDUCE,
    {"seed", "0", "0 to 2147483647", "seed of the noise"},
    VX_OPTION_GRID,
};

const vx_method vx_method_smoothgrad = {
    .name = "smoothgrad",
    .summary = "the mean gradient of noisy copies of the picture",
    .cost = "n = 25 forwards and backwards",
    .reference = "Smilkov et al. 2017, SmoothGrad; Adebayo et al. 2018 for the variance",
    .uses_target = true,
    .on_pixels = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
