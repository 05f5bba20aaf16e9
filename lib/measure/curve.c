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
    const vitx_hooks *scratch = &s->scratch;
    const int h = s->input_height, width = s->input_width;
    const size_t plane = (size_t)h * (size_t)width;
    float *half;
    VX_TRY(vx_new(&half, scratch, plane, sizeof *half, "a blurred picture"));
    blur_weights(w);
    for (int c = 0; c < s->arch->channels; c++) {
        blur_lines(half, s->input + (size_t)c * plane, w, h, (size_t)width, width, 1);
        blur_lines(out + (size_t)c * plane, half, w, width, 1, h, (size_t)width);
    }
    vx_release(scratch, half);
    return VITX_OK;
}

static int fill_substrate(float *out, vx_substrate kind, const vx_subject *s)
{
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    if (kind == VX_SUBSTRATE_BLUR)
        return blur(out, s);
    for (int c = 0; c < s->arch->channels; c++) {
        const float v = kind == VX_SUBSTRATE_MEAN
                            ? 0
                            : vx_pixel_value(s->recipe, c, kind == VX_SUBSTRATE_WHITE ? 255 : 0);
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
    size_t step;
    uint32_t *order;        /* of the seen pixels, and as much again as space */
    float *substrate;       /* [C,H,W] */
    const float *from, *to; /* the substrate and the picture, or the other way round */
    /* Where the device makes the inputs: */
    float *changes;                          /* [H,W] from which point on a pixel shows `to` */
    vx_far *far_from, *far_to, *far_changes; /* the same on the device */
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
    memcpy(input, w->from, (size_t)s->arch->channels * plane * sizeof *input);
    for (size_t i = 0; i < changed; i++) {
        const size_t y = w->order[i] / seen_width, x = w->order[i] % seen_width;
        const size_t at = y * (size_t)s->input_width + x;
        for (int c = 0; c < s->arch->channels; c++)
            input[(size_t)c * plane + at] = w->to[(size_t)c * plane + at];
    }
}

static void queue_points(const void *payload, vx_device *dev, vx_far *to, int first, int n)
{
    const walking *w = payload;
    dev->ops.blend(dev, &(vx_blend){.y = to,
                                    .from = w->far_from,
                                    .to = w->far_to,
                                    .by = VX_BLEND_ORDER,
                                    .order = w->far_changes,
                                    .first = first,
                                    .n = n,
                                    .channels = w->s->arch->channels,
                                    .height = w->s->input_height,
                                    .width = w->s->input_width});
}

/* What that is made of. Points are fewer than a float can count. */
static int send(walking *w, const vx_trial *trial)
{
    const vx_subject *s = w->s;
    const size_t pixels = vx_subject_pixels(s), width = (size_t)s->seen_width;
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    const size_t input = vx_job_piece(s->input_floats);
    VX_TRY(vx_new(&w->changes, &s->scratch, plane, sizeof *w->changes, "an order of pixels"));
    VX_TRY(vx_trial_work(&w->far_from, trial, 2 * input + plane, "a walk between two pictures"));
    w->far_to = w->far_from + input;
    w->far_changes = w->far_to + input;
    for (size_t p = 0; p < plane; p++)
        w->changes[p] = INFINITY;
    for (size_t i = 0; i < pixels; i++)
        w->changes[w->order[i] / width * (size_t)s->input_width + w->order[i] % width] =
            (float)(i / w->step + 1);
    vx_trial_write(trial, w->far_from, w->from, s->input_floats);
    vx_trial_write(trial, w->far_to, w->to, s->input_floats);
    vx_trial_write(trial, w->far_changes, w->changes, plane);
    return VITX_OK;
}

/* The seen pixels in the map's order: walking.order. */
static int order_pixels(uint32_t *order, const vx_subject *s)
{
    const vitx_hooks *scratch = &s->scratch;
    const size_t pixels = vx_subject_pixels(s);
    float *values;
    VX_TRY(vx_new(&values, scratch, pixels, sizeof *values, "the map on pixels"));
    vx_plane_on_pixels(values, s);
    vx_order(order, values, pixels, order + pixels);
    vx_release(scratch, values);
    return VITX_OK;
}

static int walk_pixels(const vx_trial *trial, vitx_evaluation *out, walking *w, bool insert)
{
    const vx_subject *s = w->s;
    const vx_pixel_walk *walk = trial->settings;
    const int n = trial->points - 1;
    const double all = (double)vx_subject_pixels(s);
    VX_TRY(vx_new(&w->order, &s->scratch, 2 * vx_subject_pixels(s), sizeof *w->order, "an order"));
    VX_TRY(
        vx_new(&w->substrate, &s->scratch, s->input_floats, sizeof *w->substrate, "a substrate"));
    VX_TRY(order_pixels(w->order, s));
    VX_TRY(fill_substrate(w->substrate, walk->substrate, s));
    w->from = insert ? w->substrate : s->input;
    w->to = insert ? s->input : w->substrate;
    if (vx_trial_is_far(trial))
        VX_TRY(send(w, trial));
    VX_TRY(
        vx_trial_score(out->curves, trial, out, &(vx_inputs){fill_point, w, queue_points}, n + 1));
    for (int i = 0; i <= n; i++)
        out->x[i] = fmin(1, (double)i * (double)w->step / all);
    out->values[0] = area_under(out->curves, n);
    return VITX_OK;
}

int vx_pixel_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert)
{
    const vx_subject *s = trial->subject;
    const vx_pixel_walk *walk = trial->settings;
    walking w = {.s = s, .step = (size_t)walk->step};
    const int status = walk_pixels(trial, out, &w, insert);
    vx_release(&s->scratch, w.changes);
    vx_release(&s->scratch, w.order);
    vx_release(&s->scratch, w.substrate);
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
    float *values;   /* the map on patches */
    uint32_t *order; /* of these, and as much again as space */
    size_t patches;
    bool insert;
    double *curve;
} patch_walk;

static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    const patch_walk *w = payload;
    memset(kept, w->insert ? 0 : 1, w->patches);
    for (int64_t i = 0; i < v; i++)
        kept[w->order[i]] = w->insert;
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    const patch_walk *w = payload;
    (void)kept;
    w->curve[v] = score;
}

static int walk_patches(const vx_trial *trial, vitx_evaluation *out, patch_walk *w)
{
    const vx_subject *s = trial->subject;
    const vx_patch_walk *walk = trial->settings;
    const size_t n = w->patches;
    VX_TRY(vx_new(&w->order, &s->scratch, 2 * n, sizeof *w->order, "an order"));
    VX_TRY(vx_new(&w->values, &s->scratch, n, sizeof *w->values, "the map on patches"));
    vx_plane_on_patches(w->values, s);
    vx_order(w->order, w->values, n, w->order + n);
    VX_TRY(vx_trial_run_patches(trial, out, true, &walk->removal, trial->points, write_kept,
                                take_score, w));
    for (size_t i = 0; i <= n; i++)
        out->x[i] = (double)i / (double)n;
    out->values[0] = area_under(out->curves, (int)n);
    return VITX_OK;
}

int vx_patch_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert)
{
    const vx_subject *s = trial->subject;
    patch_walk w = {.patches = vx_subject_patches(s), .insert = insert, .curve = out->curves};
    const int status = walk_patches(trial, out, &w);
    vx_release(&s->scratch, w.order);
    vx_release(&s->scratch, w.values);
    return status;
}
