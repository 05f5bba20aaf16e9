/* measure/curve.c: see curve.h. */
#include "measure/curve.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "measure/patches.h"
#include "measure/plane.h"
#include "measure/rank.h"

/* The area under p [n+1]. */
static double area_under(const double *p, int n)
{
    double sum = -(p[0] + p[n]) / 2;
    for (int i = 0; i <= n; i++)
        sum += p[i];
    return sum / n;
}

/* ------------------------------------------------------------------ substrates ------------- */

#define BLUR 11 /* taps */

/*
 * RISE's kernel: a Gaussian of sigma 5 around the middle of 11 places, made by SciPy's
 * gaussian_filter from a 1 there. That filter cuts off at 20 places and mirrors at the edges, so
 * the tails are folded back into the 11.
 */
static void blur_weights(double w[BLUR])
{
    double sum = 0;
    for (int i = 0; i < BLUR; i++)
        w[i] = 0;
    for (int j = -20; j <= 20; j++) {
        const int at = (BLUR / 2 + j + 2 * BLUR) % (2 * BLUR);
        const double g = exp(-0.5 * j * j / 25.0);
        w[at < BLUR ? at : 2 * BLUR - 1 - at] += g;
        sum += g;
    }
    for (int i = 0; i < BLUR; i++)
        w[i] /= sum;
}

/* One pass along lines of `length` values `step` apart; beyond their ends lies 0. */
static void blur_lines(float *out, const float *in, const double w[BLUR], int lines, size_t apart,
                       int length, size_t step)
{
    for (int l = 0; l < lines; l++)
        for (int i = 0; i < length; i++) {
            double sum = 0;
            for (int k = 0; k < BLUR; k++) {
                const int at = i + k - BLUR / 2;
                if (at >= 0 && at < length)
                    sum += w[k] * in[(size_t)l * apart + (size_t)at * step];
            }
            out[(size_t)l * apart + (size_t)i * step] = (float)sum;
        }
}

static int blur(float *out, const vx_subject *s)
{
    double w[BLUR];
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    const int h = s->input_height, width = s->input_width;
    const size_t plane = (size_t)h * (size_t)width;
    float *half;
    VX_TRY(vx_new(&half, &scratch, plane, sizeof *half, "a blurred picture"));
    blur_weights(w);
    for (int c = 0; c < s->context->arch.channels; c++) {
        blur_lines(half, s->input + (size_t)c * plane, w, h, (size_t)width, width, 1);
        blur_lines(out + (size_t)c * plane, half, w, width, 1, h, (size_t)width);
    }
    vx_release(&scratch, half);
    return VITX_OK;
}

static int fill_substrate(float *out, vx_substrate kind, const vx_subject *s)
{
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    if (kind == VX_SUBSTRATE_BLUR)
        return blur(out, s);
    for (int c = 0; c < s->context->arch.channels; c++) {
        const float v =
            kind == VX_SUBSTRATE_MEAN
                ? 0
                : vx_pixel_value(&s->context->recipe, c, kind == VX_SUBSTRATE_WHITE ? 255 : 0);
        for (size_t i = 0; i < plane; i++)
            out[(size_t)c * plane + i] = v;
    }
    return VITX_OK;
}

/* ------------------------------------------------------------------ pixels ----------------- */

#define MOST_POINTS 10000000

int vx_pixel_walk_prepare(vx_trial *trial)
{
    vx_pixel_walk *walk = trial->settings;
    int substrate;
    VX_TRY(vx_setting_choice(&substrate, &trial->given, "fill"));
    walk->substrate = (vx_substrate)substrate;
    walk->step = trial->subject->input_width;
    if (strcmp(vx_setting(&trial->given, "step"), "row") != 0)
        VX_TRY(vx_setting_int(&walk->step, &trial->given, "step", 1, INT32_MAX));
    const size_t steps = (vx_subject_pixels(trial->subject) - 1) / (size_t)walk->step + 1;
    if (steps >= MOST_POINTS)
        return vx_fail(VITX_INVALID, "%s: step=%d makes %zu steps, fewer than %d are accepted",
                       trial->metric->name, walk->step, steps, MOST_POINTS);
    trial->points = (int)steps + 1;
    VX_TRY(vx_trial_variants(trial, trial->points));
    return VITX_OK;
}

typedef struct walking {
    const vx_subject *s;
    const uint32_t *order;  /* of the seen pixels */
    const float *from, *to; /* [C,H,W] */
    size_t step;
} walking;

/* Point v: the first v * step pixels have changed. */
static void fill_point(const void *payload, int v, float *input, int worker)
{
    (void)worker;
    const walking *w = payload;
    const vx_subject *s = w->s;
    const size_t all = vx_subject_pixels(s), seen_width = (size_t)s->seen_width;
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    const size_t changed = (size_t)v * w->step < all ? (size_t)v * w->step : all;
    memcpy(input, w->from, (size_t)s->context->arch.channels * plane * sizeof *input);
    for (size_t i = 0; i < changed; i++) {
        const size_t y = w->order[i] / seen_width, x = w->order[i] % seen_width;
        const size_t at = y * (size_t)s->input_width + x;
        for (int c = 0; c < s->context->arch.channels; c++)
            input[(size_t)c * plane + at] = w->to[(size_t)c * plane + at];
    }
}

/* The seen pixels in the map's order: order [pixels], and as much again as space. */
static int order_pixels(uint32_t *order, const vx_subject *s)
{
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    const size_t pixels = vx_subject_pixels(s);
    float *values;
    VX_TRY(vx_new(&values, &scratch, pixels, sizeof *values, "the map on pixels"));
    vx_plane_on_pixels(values, s);
    vx_order(order, values, pixels, order + pixels);
    vx_release(&scratch, values);
    return VITX_OK;
}

static int walk_pixels(const vx_trial *trial, vitx_evaluation *out, const walking *w)
{
    const int n = trial->points - 1;
    const double all = (double)vx_subject_pixels(trial->subject);
    VX_TRY(vx_trial_score(out->curves, trial, out, &(vx_inputs){fill_point, w}, n + 1));
    for (int i = 0; i <= n; i++)
        out->x[i] = fmin(1, (double)i * (double)w->step / all);
    out->values[0] = area_under(out->curves, n);
    return VITX_OK;
}

int vx_pixel_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert)
{
    const vx_subject *s = trial->subject;
    const vx_pixel_walk *walk = trial->settings;
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    uint32_t *order = NULL;
    float *substrate = NULL;
    int status = vx_new(&order, &scratch, 2 * vx_subject_pixels(s), sizeof *order, "an order");
    if (status == VITX_OK)
        status = vx_new(&substrate, &scratch, vx_context_input_count(s->context), sizeof *substrate,
                        "a substrate");
    if (status == VITX_OK)
        status = order_pixels(order, s);
    if (status == VITX_OK)
        status = fill_substrate(substrate, walk->substrate, s);
    if (status == VITX_OK)
        status = walk_pixels(trial, out,
                             &(walking){s, order, insert ? substrate : s->input,
                                        insert ? s->input : substrate, (size_t)walk->step});
    vx_release(&scratch, order);
    vx_release(&scratch, substrate);
    return status;
}

/* ------------------------------------------------------------------ patches ---------------- */

int vx_patch_walk_prepare(vx_trial *trial)
{
    vx_patch_walk *walk = trial->settings;
    VX_TRY(vx_trial_need_followed(trial));
    trial->points = (int)vx_subject_patches(trial->subject) + 1;
    return vx_trial_patches(trial, &walk->removal, trial->points);
}

typedef struct patch_walk {
    const uint32_t *order;
    size_t patches;
    bool insert;
    double *curve;
} patch_walk;

static void choose(void *payload, int64_t v, unsigned char *kept)
{
    const patch_walk *w = payload;
    memset(kept, w->insert ? 0 : 1, w->patches);
    for (int64_t i = 0; i < v; i++)
        kept[w->order[i]] = w->insert;
}

static void take(void *payload, int64_t v, const unsigned char *kept, double score)
{
    const patch_walk *w = payload;
    (void)kept;
    w->curve[v] = score;
}

int vx_patch_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert)
{
    const vx_subject *s = trial->subject;
    const vx_patch_walk *walk = trial->settings;
    const size_t n = vx_subject_patches(s);
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    uint32_t *order = NULL;
    float *values = NULL;
    int status = vx_new(&order, &scratch, 2 * n, sizeof *order, "an order");
    if (status == VITX_OK)
        status = vx_new(&values, &scratch, n, sizeof *values, "the map on patches");
    if (status == VITX_OK) {
        vx_plane_on_patches(values, s);
        vx_order(order, values, n, order + n);
        status = vx_trial_run_patches(trial, out, true, &walk->removal, trial->points, choose, take,
                                      &(patch_walk){order, n, insert, out->curves});
    }
    for (size_t i = 0; i <= n && status == VITX_OK; i++)
        out->x[i] = (double)i / (double)n;
    if (status == VITX_OK)
        out->values[0] = area_under(out->curves, (int)n);
    vx_release(&scratch, order);
    vx_release(&scratch, values);
    return status;
}
