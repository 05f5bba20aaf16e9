/* explain/baseline.c: see baseline.h. */
#include "explain/baseline.h"

#include "base/random.h"
#include "base/range.h"
#include "engine/context.h"
#include "image/blur.h"

int vx_setting_baseline(vx_baseline *out, const vx_settings *given, const char *key)
{
    int kind;
    VX_TRY(vx_setting_choice(&kind, given, key));
    VX_TRY(vx_setting_number(&out->sigma, given, "sigma", 0, 256));
    out->kind = (vx_baseline_kind)kind;
    return VITX_OK;
}

static void fill(float *out, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

static void noise(float *out, const float *input, size_t count, uint64_t seed, int channel)
{
    float low, high;
    vx_range(&low, &high, input, count);
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

int vx_baseline_fill(float *out, const vx_baseline *b, vitx_context *c, const float *input)
{
    const int channels = c->arch.channels;
    const size_t count = vx_context_input_count(c), plane = count / (size_t)channels;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    if (b->kind == VX_BASELINE_BLUR)
        return vx_blur(out, input, channels, c->recipe.input_height, c->recipe.input_width,
                       b->sigma, vx_blur_radius(b->sigma), false, &scratch);
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

int vx_baseline_fill_job(float *out, const vx_baseline *b, const vx_job *job, int i,
                         const vitx_map *map)
{
    vitx_context *c = job->context;
    if (b->kind == VX_BASELINE_PICTURE)
        return picture(out, c, job->opts.baseline, i, map);
    const float *input = NULL;
    if (vx_baseline_reads(b))
        VX_TRY(vx_job_host_input(&input, job, i));
    return vx_baseline_fill(out, b, c, input);
}
