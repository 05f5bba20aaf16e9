/*
 * explain/scorecam.c: Score-CAM (Wang et al. 2020, algorithm 1).
 *
 *     m_c = the map of channel c of a block's tokens, resized to the input, (m - min) / (max - min
 *     + 1e-8) s_c = score of x m_c;  w = softmax over the channels of s;  map_p = sum_c w_c a[p,c]
 *
 * with a the tokens of the patches and x the normalised input, so that what is masked away becomes
 * the mean colour. Resized bilinearly with the corner patches in the input's corners (torch's
 * align_corners=True). No score of a baseline is subtracted, though algorithm 1 has one: under
 * softmax it changes nothing. As in jacobgil/pytorch-grad-cam @ 084273b (score_cam.py).
 */
#include <math.h>

#include "explain/tokens.h"
#include "explain/variants.h"

typedef struct settings {
    vx_at at;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_tokens_prepare(&set->at, job, need, false));
    const int most = vx_variants_most(job), width = job->arch->width;
    job->variants = width < most ? width : most;
    const int runs = (width - 1) / job->variants + 1;
    job->ticks = (int64_t)(job->layer_last - job->layer_first + 1) * runs * job->arch->depth;
    return VITX_OK;
}

/* ------------------------------------------------------------------ masked inputs ---------- */

/* What the workers make the inputs of variants from. */
typedef struct masking {
    const vx_job *job;
    const float *x;      /* [C,H,W] */
    const float *tokens; /* [T,D] */
    vx_between *rows,
        *columns; /* [H], [W]: between which rows and columns of the grid a pixel lies */
    int first;    /* channel of variant 0 */
    /* Where the device makes them: */
    vx_masks masks;   /* of the block's channels */
    vx_far *range;    /* [variants,2] */
    const vx_far *to; /* x */
} masking;

/* Pixel 0 at the first of `count` samples, the last pixel at the last one. */
static void find_places(vx_between *out, int size, int count)
{
    for (int i = 0; i < size; i++) {
        const double at = size > 1 ? (double)i * (count - 1) / (size - 1) : 0;
        const int first = (int)at;
        out[i] = (vx_between){first, first + 1 < count ? first + 1 : first, (float)(at - first)};
    }
}

/* The channel's map resized: mask [H,W], by way of rows [gh,W]. Its least and largest value. */
static void resize(float *mask, float *rows, const masking *m, int channel, float *least,
                   float *largest)
{
    const vx_arch *a = m->job->arch;
    const int height = m->job->recipe->input_height, width = m->job->recipe->input_width;
    const size_t step = (size_t)width;
    for (int y = 0; y < a->grid_height; y++)
        for (int x = 0; x < width; x++) {
            const vx_between at = m->columns[x];
            const float *token = m->tokens + (size_t)channel +
                                 (size_t)(a->prefix + y * a->grid_width) * (size_t)a->width;
            const float left = token[(size_t)at.first * (size_t)a->width];
            const float right = token[(size_t)at.second * (size_t)a->width];
            rows[(size_t)y * step + (size_t)x] = left + (right - left) * at.part;
        }
    *least = INFINITY;
    *largest = -INFINITY;
    for (int y = 0; y < height; y++) {
        const vx_between at = m->rows[y];
        const float *upper = rows + (size_t)at.first * step;
        const float *lower = rows + (size_t)at.second * step;
        for (size_t x = 0; x < step; x++) {
            const float v = upper[x] + (lower[x] - upper[x]) * at.part;
            *least = v < *least ? v : *least;
            *largest = v > *largest ? v : *largest;
            mask[(size_t)y * step + x] = v;
        }
    }
}

/* The input of variant i: its first plane holds the mask until the others are made. */
static void make_input(void *arg, int i, int worker)
{
    (void)worker;
    const masking *m = arg;
    const vitx_recipe *recipe = m->job->recipe;
    const size_t plane = (size_t)recipe->input_height * (size_t)recipe->input_width;
    float *const input = vx_variant_input(m->job, i), *const mask = input;
    float least, largest;
    resize(mask, input + plane, m, m->first + i, &least, &largest);
    const float scale = 1 / (largest - least + 1e-8f);
    for (size_t p = 0; p < plane; p++)
        mask[p] = (mask[p] - least) * scale;
    for (int k = m->job->arch->channels - 1; k >= 0; k--)
        for (size_t p = 0; p < plane; p++)
            input[(size_t)k * plane + p] = m->x[(size_t)k * plane + p] * mask[p];
}

/* The same for n variants, by the device. */
static void queue_inputs(const masking *m, int n)
{
    const vitx_recipe *recipe = m->job->recipe;
    const int height = recipe->input_height, width = recipe->input_width;
    vx_device *dev = m->job->dev;
    vx_masks masks = m->masks;
    masks.samples += m->first;
    dev->ops.mask_range(dev, &(vx_mask_range){m->range, masks, n, height, width});
    masks.range = m->range;
    dev->ops.blend(dev, &(vx_blend){.y = vx_variant_input(m->job, 0),
                                    .to = m->to,
                                    .by = VX_BLEND_MASKS,
                                    .masks = masks,
                                    .n = n,
                                    .channels = m->job->arch->channels,
                                    .height = height,
                                    .width = width});
}

/* What those masks are made of, but for the samples, which are a block's; axes [2(H+W)] is host
 * memory, which gets the places. */
static int send_places(masking *m, float *axes, int i)
{
    const vx_job *job = m->job;
    const vx_arch *a = job->arch;
    const size_t h = (size_t)job->recipe->input_height, w = (size_t)job->recipe->input_width;
    vx_far *far;
    VX_TRY(vx_job_work(&far, job, 2 * (h + w) + 2 * (size_t)job->variants, "places of masks"));
    const vx_places down = vx_places_send(job, far, axes, m->rows, (int)h, a->grid_height);
    const vx_places across =
        vx_places_send(job, far + 2 * h, axes + 2 * h, m->columns, (int)w, a->grid_width);
    m->masks = (vx_masks){.of_variant = 1,
                          .of_row = (int64_t)a->grid_width * a->width,
                          .of_column = a->width,
                          .down = down,
                          .across = across,
                          .columns_first = 1};
    m->range = far + 2 * (h + w);
    m->to = vx_job_input(job, i);
    return VITX_OK;
}

/* ------------------------------------------------------------------ scores ----------------- */

/* weights[D]: the score of each channel's masked input, then their softmax. */
static int weigh(double *weights, masking *m, vitx_map *map)
{
    const vx_job *job = m->job;
    const int width = job->arch->width;
    double max = -INFINITY, sum = 0;
    for (m->first = 0; m->first < width; m->first += job->variants) {
        const int left = width - m->first, n = left < job->variants ? left : job->variants;
        if (m->to)
            queue_inputs(m, n);
        else
            vx_job_parallel(job, make_input, m, n);
        VX_TRY(vx_variants_score(weights + m->first, job, vx_map_target(map), n));
    }
    for (int k = 0; k < width; k++) {
        vx_map_saw(map, weights[k]);
        max = fmax(max, weights[k]);
    }
    for (int k = 0; k < width; k++)
        sum += weights[k] = exp(weights[k] - max);
    for (int k = 0; k < width; k++)
        weights[k] /= sum;
    return VITX_OK;
}

static int run_layers(const vx_job *job, int i, vitx_map *map, masking *m, float *tokens,
                      double *weights)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    float *out = map->values;
    for (int l = job->layer_first; l <= job->layer_last; l++) {
        m->masks.samples = vx_job_tokens(job, l, set->at, i) + (size_t)a->prefix * (size_t)a->width;
        VX_TRY(vx_tokens_download(tokens, job, l, set->at, i));
        VX_TRY(weigh(weights, m, map));
        vx_tokens_sum(out, tokens, weights, a);
        out += a->grid_height * a->grid_width;
        map->info.forwards += a->width;
    }
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const vx_arch *a = job->arch;
    const size_t width = (size_t)a->width, tokens = (size_t)vx_arch_tokens(a) * width;
    const int h = job->recipe->input_height, w = job->recipe->input_width;
    const size_t axes = 2 * ((size_t)h + (size_t)w);
    const vitx_hooks scratch = job->scratch;
    const bool far = vx_variants_are_far(job);
    masking m = {.job = job};
    float *floats;
    double *weights = NULL;
    if (!far)
        VX_TRY(vx_job_host_input(&m.x, job, i));
    VX_TRY(vx_new(&floats, &scratch, tokens + (far ? axes : 0), sizeof *floats, "scorecam"));
    int status = vx_new(&weights, &scratch, width, sizeof *weights, "scorecam");
    if (status == VITX_OK)
        status = vx_new(&m.rows, &scratch, (size_t)h + (size_t)w, sizeof *m.rows, "scorecam");
    if (status == VITX_OK) {
        m.tokens = floats;
        m.columns = m.rows + h;
        find_places(m.rows, h, a->grid_height);
        find_places(m.columns, w, a->grid_width);
        if (far)
            status = send_places(&m, floats + tokens, i);
        if (status == VITX_OK)
            status = run_layers(job, i, map, &m, floats, weights);
    }
    vx_release(&scratch, m.rows);
    vx_release(&scratch, weights);
    vx_release(&scratch, floats);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_AT};

const vx_method vx_method_scorecam = {
    .name = "scorecam",
    .summary = "channels weighted by the score of the picture masked with them",
    .cost = "1 forward, and 1 for each channel of the width",
    .reference = "Wang et al. 2020, Score-CAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
