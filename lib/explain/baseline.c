/* explain/baseline.c: see baseline.h. */
#include "explain/baseline.h"

#include <math.h>

#include "base/random.h"

int vx_setting_baseline(vx_baseline *out, const vx_job *job, const char *key)
{
    int kind;
    VX_TRY(vx_setting_choice(&kind, job, key));
    VX_TRY(vx_setting_number(&out->sigma, job, "sigma", 0, 256));
    out->kind = (vx_baseline_kind)kind;
    if (out->kind == VX_BASELINE_PICTURE && !job->opts.baseline)
        return vx_fail(VITX_INVALID, "%s: %s=picture: no baseline picture is given",
                       job->method->name, key);
    return VITX_OK;
}

/* ------------------------------------------------------------------ blur ------------------ */

/* One of the two passes of a separable filter over planes [H,W], all of them one behind the other. */
typedef struct filter {
    float *dst;
    const float *src;
    const double *weights; /* [2 * radius + 1] */
    int radius, height, width;
    bool down; /* along columns */
} filter;

static int clamp(int v, int last)
{
    return v < 0 ? 0 : v > last ? last : v;
}

/* Row `i` of all rows of all planes. */
static void filter_row(void *arg, int i, int worker)
{
    (void)worker;
    const filter *f = arg;
    const int y = i % f->height, r = f->radius;
    const size_t w = (size_t)f->width;
    const float *plane = f->src + (size_t)(i - y) * w;
    for (int x = 0; x < f->width; x++) {
        double sum = 0;
        for (int k = -r; f->down && k <= r; k++)
            sum += f->weights[k + r] * plane[(size_t)clamp(y + k, f->height - 1) * w + (size_t)x];
        for (int k = -r; !f->down && k <= r; k++)
            sum += f->weights[k + r] * plane[(size_t)y * w + (size_t)clamp(x + k, f->width - 1)];
        f->dst[(size_t)i * w + (size_t)x] = (float)sum;
    }
}

/* Cut off at four standard deviations and made to sum to 1. */
static void gaussian(double *weights, int radius, double sigma)
{
    double sum = 0;
    for (int k = -radius; k <= radius; k++)
        sum += weights[k + radius] = sigma > 0 ? exp(-0.5 * k * k / (sigma * sigma)) : 1;
    for (int k = 0; k <= 2 * radius; k++)
        weights[k] /= sum;
}

static int blur(float *out, const float *input, vitx_context *c, double sigma)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const int h = c->recipe.input_height, w = c->recipe.input_width, rows = c->arch.channels * h;
    const int radius = (int)(4 * sigma + 0.5);
    double *weights;
    float *half;
    VX_TRY(vx_new(&weights, &scratch, 2 * (size_t)radius + 1, sizeof *weights, "a blur's weights"));
    const int status = vx_new(&half, &scratch, vx_context_input_count(c), sizeof *half, "a blur");
    if (status == VITX_OK) {
        gaussian(weights, radius, sigma);
        filter pass = {half, input, weights, radius, h, w, false};
        c->env.parallel(filter_row, &pass, rows, c->env.owner);
        pass = (filter){out, half, weights, radius, h, w, true};
        c->env.parallel(filter_row, &pass, rows, c->env.owner);
        vx_release(&scratch, half);
    }
    vx_release(&scratch, weights);
    return status;
}

/* ------------------------------------------------------------------ the others ------------ */

static void fill(float *out, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

static void noise(float *out, const float *input, size_t count, uint64_t seed, int channel)
{
    float low = input[0], high = input[0];
    for (size_t i = 1; i < count; i++) {
        low = fminf(low, input[i]);
        high = fmaxf(high, input[i]);
    }
    for (size_t i = 0; i < count; i++)
        out[i] =
            (float)(low + ((double)high - low) * vx_random_uniform(seed, (uint64_t)channel, i));
}

static int picture(float *out, vitx_context *c, const vitx_image *image, int i, const vitx_map *map)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    if (image->width != map->info.picture_width || image->height != map->info.picture_height)
        return vx_fail(
            VITX_INVALID, "the baseline picture is %d x %d pixels, the explained one %d x %d",
            image->width, image->height, map->info.picture_width, map->info.picture_height);
    return vx_preprocess(out, image, &c->recipe, &c->placements[i], &scratch);
}

int vx_baseline_fill(float *out, const vx_baseline *b, const vx_job *job, int i,
                     const vitx_map *map)
{
    vitx_context *c = job->context;
    const int channels = c->arch.channels;
    const size_t count = vx_context_input_count(c), plane = count / (size_t)channels;
    const float *input = c->host_input + (size_t)i * count;
    if (b->kind == VX_BASELINE_BLUR)
        return blur(out, input, c, b->sigma);
    if (b->kind == VX_BASELINE_PICTURE)
        return picture(out, c, job->opts.baseline, i, map);
    for (int k = 0; k < channels; k++) {
        const size_t at = (size_t)k * plane;
        if (b->kind == VX_BASELINE_NOISE)
            noise(out + at, input + at, plane, (uint64_t)b->seed, k);
        else if (b->kind == VX_BASELINE_MEAN)
            fill(out + at, plane, 0);
        else
            fill(out + at, plane,
                 vx_pixel_value(&c->recipe, k, b->kind == VX_BASELINE_WHITE ? 255 : 0));
    }
    return VITX_OK;
}
