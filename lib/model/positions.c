/*
 * model/positions.c: see positions.h.
 *
 * Each axis on its own: output i of an axis is a weighted sum of a few inputs ("taps"), and a row
 * of the result is the sum of rows, along x first. Places and weights are computed in
 * float32, with the fused multiply-adds that PyTorch's build for AVX2 and AVX-512 has
 * (aten/src/ATen/native/UpSample.h, cpu/UpSampleKernel.cpp): the cubic kernel is a difference of
 * large numbers, and without them PyTorch's own results are 1e-6 away. scipy computes in double.
 */
#include "model/positions.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/model.h>

#include "base/text.h"

typedef enum kernel { LINEAR, CUBIC } kernel;

static const struct rule {
    const char *name;
    kernel kernel;
    bool antialias;     /* PyTorch: the kernel is widened where there are more inputs, a = -0.5 */
    bool align_corners; /* the first and last input keep their places */
    double offset;      /* added to the output's size where the step is computed */
} rules[VX_POS_RULES] = {
    /* layers/pos_embed.py, resample_abs_pos_embed @ aa4b585 */
    [VX_POS_TIMM] = {"timm", CUBIC, .antialias = true},
    /* models/vision_transformer.py, _load_weights: what is loaded from Google's files */
    [VX_POS_TIMM_NPZ] = {"timm-npz", LINEAR, .antialias = false},
    /* interpolate_pos_encoding of ViT, DeiT, DINOv2, CLIP and SigLIP in transformers */
    [VX_POS_HF] = {"hf", CUBIC, .antialias = false},
    /* modeling_dinov2_with_registers.py */
    [VX_POS_HF_REGISTERS] = {"hf-registers", CUBIC, .antialias = true},
    /* modeling_siglip2.py, resize_positional_embeddings */
    [VX_POS_HF_NAFLEX] = {"hf-naflex", LINEAR, .antialias = true},
    /* open_clip @ 89fb801, model.py, resize_pos_embed */
    [VX_POS_OPEN_CLIP] = {"open_clip", CUBIC, .antialias = true},
    /* dinov2 @ b8931f7, vision_transformer.py: the models without registers have
     * interpolate_offset 0.1, which moves every sample; those with registers have 0 and
     * antialias */
    [VX_POS_DINOV2] = {"dinov2", CUBIC, .offset = 0.1},
    [VX_POS_DINOV2_REGISTERS] = {"dinov2-registers", CUBIC, .antialias = true},
    /* vision_transformer @ c6de1e5 and big_vision @ 0127fb6: scipy.ndimage.zoom(order=1) */
    [VX_POS_JAX] = {"jax", LINEAR, .align_corners = true},
};

vx_pos_rule vx_pos_rule_with_registers(vx_pos_rule rule)
{
    if (rule == VX_POS_HF)
        return VX_POS_HF_REGISTERS;
    return rule == VX_POS_DINOV2 ? VX_POS_DINOV2_REGISTERS : rule;
}

const char *vx_pos_rule_name(vx_pos_rule rule)
{
    return rules[rule].name;
}

const char *vitx_pos_resample_name(int index)
{
    return index >= 0 && index < VX_POS_RULES - 1 ? rules[index + 1].name : NULL;
}

int vx_pos_rule_find(vx_pos_rule *out, const char *name)
{
    char list[160];
    for (int i = 0; vitx_pos_resample_name(i); i++)
        if (strcmp(vitx_pos_resample_name(i), name) == 0) {
            *out = (vx_pos_rule)(i + 1);
            return VITX_OK;
        }
    return vx_fail(VITX_INVALID, "pos_resample \"%.40s\" is none of %s", name,
                   vx_name_list(list, sizeof list, vitx_pos_resample_name));
}

/* -------------------------------------------------------------------------- taps ---------- */

/* Output i is the sum over k of weight[i*taps+k] * input[index[i*taps+k]]. */
typedef struct axis {
    int taps;
    int *index;
    float *weight;
} axis;

/* The cubic convolution kernel (Keys 1981) within 1 and from 1 to 2. */
static float cubic_near(float x, float a)
{
    return fmaf(fmaf(a + 2, x, -(a + 3)) * x, x, 1);
}

static float cubic_far(float x, float a)
{
    return fmaf(fmaf(fmaf(a, x, -5 * a), x, 8 * a), x, -4 * a);
}

static int clamp(int v, int count)
{
    return v < 0 ? 0 : v >= count ? count - 1 : v;
}

/* PyTorch's scale: inputs an output is apart from the next. */
static float step_of(const struct rule *r, int out, int in)
{
    return r->offset > 0 ? (float)(1.0 / ((out + r->offset) / in)) : (float)in / (float)out;
}

static void fill_cubic(const axis *x, int i, float step, int in)
{
    const float at = fmaf(step, (float)i + 0.5f, -0.5f), low = floorf(at);
    const float a = -0.75f, t = at - low, rest = 1 - t;
    const float weights[4] = {cubic_far(t + 1, a), cubic_near(t, a), cubic_near(rest, a),
                              cubic_far(rest + 1, a)};
    for (int k = 0; k < 4; k++) {
        x->index[i * 4 + k] = clamp((int)low - 1 + k, in);
        x->weight[i * 4 + k] = weights[k];
    }
}

static void fill_linear(const axis *x, int i, float step, int in)
{
    const float at = fmaxf(fmaf(step, (float)i + 0.5f, -0.5f), 0);
    const int low = clamp((int)at, in);
    const float t = fminf(fmaxf(at - (float)low, 0), 1);
    x->index[i * 2] = low;
    x->index[i * 2 + 1] = clamp(low + 1, in);
    x->weight[i * 2] = 1 - t;
    x->weight[i * 2 + 1] = t;
}

/* scipy: in double. Where rounding puts the last place beyond the last input (8 to 26 is such a
 * pair), scipy 1.17 takes what is outside, 0; here it is that input's. */
static void fill_aligned(const axis *x, int i, int out, int in)
{
    const double at = out > 1 ? (double)i * ((in - 1) / (double)(out - 1)) : 0;
    const int low = clamp((int)at, in);
    const double t = low + 1 < in ? at - low : 0;
    x->index[i * 2] = low;
    x->index[i * 2 + 1] = clamp(low + 1, in);
    x->weight[i * 2] = (float)(1 - t);
    x->weight[i * 2 + 1] = (float)t;
}

/* Inputs that the widened kernel of antialiasing reaches. */
static int widened(kernel k, float step)
{
    const float support = (k == CUBIC ? 2.0f : 1.0f) * fmaxf(step, 1);
    return (int)ceilf(support) * 2 + 1;
}

static void fill_antialiased(const axis *x, int i, float step, int in, kernel kind)
{
    const float support = (kind == CUBIC ? 2.0f : 1.0f) * fmaxf(step, 1);
    const float center = step * ((float)i + 0.5f), inverse = step >= 1 ? 1 / step : 1;
    int first = (int)(center - support + 0.5f), last = (int)(center + support + 0.5f);
    float sum = 0;
    first = first < 0 ? 0 : first;
    last = last > in ? in : last;
    for (int k = 0; k < x->taps; k++) {
        const float d = fabsf(((float)(k + first) - center + 0.5f) * inverse);
        float w = kind == LINEAR ? fmaxf(1 - d, 0)
                  : d < 1        ? cubic_near(d, -0.5f)
                  : d < 2        ? cubic_far(d, -0.5f)
                                 : 0;
        w = first + k < last ? w : 0;
        x->index[i * x->taps + k] = clamp(first + k, in);
        x->weight[i * x->taps + k] = w;
        sum += w;
    }
    for (int k = 0; k < x->taps && sum != 0; k++)
        x->weight[i * x->taps + k] = x->weight[i * x->taps + k] / sum;
}

static int make_axis(axis *x, int out, int in, const struct rule *r, const vitx_hooks *hooks)
{
    const float step = step_of(r, out, in);
    x->taps = r->antialias ? widened(r->kernel, step) : r->kernel == CUBIC ? 4 : 2;
    const size_t count = (size_t)out * (size_t)x->taps; /* grids have at most 2^16 rows */
    VX_TRY(vx_new(&x->index, hooks, count, sizeof *x->index, "position embeddings"));
    VX_TRY(vx_new(&x->weight, hooks, count, sizeof *x->weight, "position embeddings"));
    for (int i = 0; i < out; i++)
        if (r->antialias)
            fill_antialiased(x, i, step, in, r->kernel);
        else if (r->align_corners)
            fill_aligned(x, i, out, in);
        else if (r->kernel == CUBIC)
            fill_cubic(x, i, step, in);
        else
            fill_linear(x, i, step, in);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- resampling ---- */

/* dst [channels] += the point `i` of the x axis in a row of the source, times `weight`. */
static void add_point(float *dst, const float *row, const axis *x, int i, float weight,
                      int channels)
{
    const int *index = x->index + (size_t)i * (size_t)x->taps;
    const float *w = x->weight + (size_t)i * (size_t)x->taps;
    for (int d = 0; d < channels; d++) {
        float sum = 0;
        for (int k = 0; k < x->taps; k++)
            sum += w[k] * row[(size_t)index[k] * (size_t)channels + (size_t)d];
        dst[d] += weight * sum;
    }
}

static void fill_row(float *dst, int width, const float *src, vx_pos_grid from, const axis *x,
                     const axis *y, int row, int channels)
{
    const size_t c = (size_t)channels;
    memset(dst, 0, (size_t)width * c * sizeof *dst);
    for (int k = 0; k < y->taps; k++) {
        const size_t at = (size_t)row * (size_t)y->taps + (size_t)k;
        const float *line = src + (size_t)y->index[at] * (size_t)from.width * c;
        for (int i = 0; i < width && y->weight[at] != 0; i++)
            add_point(dst + (size_t)i * c, line, x, i, y->weight[at], channels);
    }
}

static void release_axis(const axis *x, const vitx_hooks *hooks)
{
    vx_release(hooks, x->index);
    vx_release(hooks, x->weight);
}

int vx_positions_resample(float *dst, vx_pos_grid to, const float *src, vx_pos_grid from,
                          int channels, vx_pos_rule rule, const vitx_hooks *hooks)
{
    const struct rule *r = &rules[rule];
    axis x = {0}, y = {0};
    int status = make_axis(&x, to.width, from.width, r, hooks);
    if (status == VITX_OK)
        status = make_axis(&y, to.height, from.height, r, hooks);
    for (int row = 0; status == VITX_OK && row < to.height; row++)
        fill_row(dst + (size_t)row * (size_t)to.width * (size_t)channels, to.width, src, from, &x,
                 &y, row, channels);
    release_axis(&x, hooks);
    release_axis(&y, hooks);
    return status;
}

/* -------------------------------------------------------------------------- ways ---------- */

/* q for which 1 + q + q^2 ... of n terms is about `sum`, from 1.01 to 1.5. */
static double ratio_of(int n, int sum)
{
    double left = 1.01, right = 1.5, q = 1.5;
    while (right - left > 1e-6) {
        q = (left + right) / 2;
        if ((1 - pow(q, n)) / (1 - q) > sum)
            right = q;
        else
            left = q;
    }
    return q;
}

/* The ways of `in` patches are taken to lie at sums of a geometric series that reaches as far as
 * those of `out` patches do, and between two of them lies a straight line: timm's
 * resize_rel_pos_bias_table (layers/pos_embed_rel.py) without scipy. */
static int make_ways_axis(axis *x, int out, int in, const vitx_hooks *hooks)
{
    const int ways = 2 * out - 1, own = 2 * in - 1;
    const double q = ratio_of(in - 1, out - 1);
    x->taps = 2;
    VX_TRY(vx_new(&x->index, hooks, 2 * (size_t)ways, sizeof *x->index, "relative positions"));
    VX_TRY(vx_new(&x->weight, hooks, 2 * (size_t)ways, sizeof *x->weight, "relative positions"));
    for (int i = 0; i < ways; i++) {
        const int way = abs(i - out + 1), sign = i < out - 1 ? -1 : 1;
        double low = 0, high = 0, step = 1;
        int k = 0; /* of the first place that is not nearer */
        for (; k < in - 1 && high < way; k++, step *= q) {
            low = high;
            high += step;
        }
        const double t = high > low ? (way - low) / (high - low) : 0;
        x->index[2 * i] = clamp(in - 1 + sign * (k - 1), own);
        x->index[2 * i + 1] = in - 1 + sign * k;
        x->weight[2 * i + 1] = (float)(t > 1 || k == 0 ? 1 : t);
        x->weight[2 * i] = 1 - x->weight[2 * i + 1];
    }
    return VITX_OK;
}

int vx_relative_resample(float *dst, vx_pos_grid to, const float *src, vx_pos_grid from,
                         vx_pos_rule rule, const vitx_hooks *hooks)
{
    const vx_pos_grid ways = {2 * to.height - 1, 2 * to.width - 1},
                      own = {2 * from.height - 1, 2 * from.width - 1};
    const size_t n = (size_t)ways.height * (size_t)ways.width,
                 m = (size_t)own.height * (size_t)own.width;
    axis x = {0}, y = {0};
    memcpy(dst + n, src + m, 3 * sizeof *dst);
    if (rule == VX_POS_HF || rule == VX_POS_HF_REGISTERS)
        return vx_positions_resample(dst, ways, src, own, 1, VX_POS_TIMM_NPZ, hooks);
    int status = make_ways_axis(&x, to.width, from.width, hooks);
    if (status == VITX_OK)
        status = make_ways_axis(&y, to.height, from.height, hooks);
    for (int row = 0; status == VITX_OK && row < ways.height; row++)
        fill_row(dst + (size_t)row * (size_t)ways.width, ways.width, src, own, &x, &y, row, 1);
    release_axis(&x, hooks);
    release_axis(&y, hooks);
    return status;
}
