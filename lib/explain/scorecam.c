/*
 * explain/scorecam.c: Score-CAM (Wang et al. 2020, algorithm 1) and gScoreCAM (Chen et al. 2022).
 *
 *     m_c = the map of channel c of a block's tokens, resized to the input, (m - min) / (max - min
 *     + 1e-8) s_c = score of x m_c;  w = softmax over the channels of s;  map_p = sum_c w_c a[p,c]
 *
 * with a the tokens of the patches and x the normalised input, so that what is masked away becomes
 * the mean colour. Resized bilinearly with the corner patches in the input's corners (torch's
 * align_corners=True). No score of a baseline is subtracted, though algorithm 1 has one: under
 * softmax it changes nothing. As in jacobgil/pytorch-grad-cam @ 084273b (score_cam.py).
 *
 * gScoreCAM takes the channels whose gradient is largest, d score / d a[t,c] summed over all tokens
 * t, and w is the softmax of `scale` times their scores: CLIP's logits are 100 times the cosine. As
 * in anguyen8/gScoreCAM @ 87c35a1 (gscore_cam.py), which reads the output of CLIP's last block,
 * where the class token alone has a gradient. Its softmax has the channels that were not chosen,
 * too, with a score of 0: nothing beside logits of 20 to 30, nearly all of the weight beside
 * negative ones; vitx leaves them out. It adds 1e-6 where 1e-8 stands above, and clips and scales
 * the map.
 */
#include <math.h>

#include "explain/tokens.h"
#include "explain/variants.h"

enum { CHANNELS = 300, CLIP_SCALE = 100 }; /* as gScoreCAM and CLIP have it */

typedef struct settings {
    vx_at at;
    int channels; /* that are tried */
    double scale; /* of scores in the softmax */
} settings;

/* How many variants run at once, and in how many runs. */
static void count_runs(vx_job *job, int channels)
{
    const int most = vx_variants_most(job);
    job->variants = channels < most ? channels : most;
    const int runs = (channels - 1) / job->variants + 1;
    job->ticks = (int64_t)(job->layer_last - job->layer_first + 1) * runs * job->arch->depth;
}

static int prepare_all(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_tokens_prepare(&set->at, job, need, false));
    set->channels = job->arch->width;
    set->scale = 1;
    count_runs(job, set->channels);
    return VITX_OK;
}

static int prepare_chosen(vx_job *job, vx_plan *need)
{
    static const vx_at places[] = {VX_AT_OUTPUT, VX_AT_NORM1}; /* in the option's order */
    settings *set = job->settings;
    const int width = job->arch->width;
    int choice;
    VX_TRY(vx_setting_choice(&choice, &job->given, "at"));
    set->at = places[choice];
    set->channels = width < CHANNELS ? width : CHANNELS;
    if (!vx_setting_is_auto(&job->given, "channels"))
        VX_TRY(vx_setting_int(&set->channels, &job->given, "channels", 1, width));
    set->scale = job->score == VITX_SCORE_COSINE ? CLIP_SCALE : 1;
    if (!vx_setting_is_auto(&job->given, "scale"))
        VX_TRY(vx_setting_number(&set->scale, &job->given, "scale", 0, 1e6));
    for (int l = job->layer_first; l <= job->layer_last; l++) {
        vx_plan_need_tokens(need, l, set->at);
        vx_plan_need_dtokens(need, l, set->at);
    }
    job->gradient = true;
    count_runs(job, set->channels);
    return VITX_OK;
}

/* ------------------------------------------------------------------ masked inputs ---------- */

/* What the workers make the inputs of variants from. */
typedef struct masking {
    const vx_job *job;
    const float *x;       /* [C,H,W] */
    const float *samples; /* [P,channels] of the patches */
    int channels;
    vx_between *rows,
        *columns; /* [H], [W]: between which rows and columns of the grid a pixel lies */
    int first;    /* channel of variant 0 */
    /* Where the device makes them: */
    vx_masks masks;   /* of the block's channels */
    vx_far *range;    /* [variants,2] */
    vx_far *chosen;   /* [P,channels], where not all channels are tried */
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
            const float *sample =
                m->samples + (size_t)channel + (size_t)(y * a->grid_width) * (size_t)m->channels;
            const float left = sample[(size_t)at.first * (size_t)m->channels];
            const float right = sample[(size_t)at.second * (size_t)m->channels];
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
    const size_t ranges = vx_job_piece(2 * (size_t)job->variants);
    const size_t patches = (size_t)(a->grid_height * a->grid_width);
    const size_t chosen = job->gradient ? patches * (size_t)m->channels : 0;
    vx_far *far;
    VX_TRY(vx_job_work(&far, job, 2 * (h + w) + ranges + chosen, "places of masks"));
    const vx_places down = vx_places_send(job, far, axes, m->rows, (int)h, a->grid_height);
    const vx_places across =
        vx_places_send(job, far + 2 * h, axes + 2 * h, m->columns, (int)w, a->grid_width);
    m->masks = (vx_masks){.of_variant = 1,
                          .of_row = (int64_t)a->grid_width * m->channels,
                          .of_column = m->channels,
                          .down = down,
                          .across = across,
                          .columns_first = 1};
    m->range = far + 2 * (h + w);
    m->chosen = m->range + ranges;
    m->to = vx_job_input(job, i);
    return VITX_OK;
}

/* ------------------------------------------------------------------ scores ----------------- */

/* weights[channels]: the score of each channel's masked input, then their softmax. */
static int weigh(double *weights, masking *m, vitx_map *map)
{
    const vx_job *job = m->job;
    const settings *set = job->settings;
    double max = -INFINITY, sum = 0;
    for (m->first = 0; m->first < m->channels; m->first += job->variants) {
        const int left = m->channels - m->first, n = left < job->variants ? left : job->variants;
        if (m->to)
            queue_inputs(m, n);
        else
            vx_job_parallel(job, make_input, m, n);
        VX_TRY(vx_variants_score(weights + m->first, job, vx_map_target(map), n));
    }
    for (int k = 0; k < m->channels; k++) {
        vx_map_saw(map, weights[k]);
        max = fmax(max, weights[k]);
    }
    for (int k = 0; k < m->channels; k++)
        sum += weights[k] = exp(set->scale * (weights[k] - max));
    for (int k = 0; k < m->channels; k++)
        weights[k] /= sum;
    return VITX_OK;
}

/* order[channels]: the channels whose gradient, summed over the tokens of g [T,D], is largest, the
 * largest first; of equal ones the first. `sums` has room for D. */
static void choose(int *order, double *sums, const float *g, const vx_arch *a, int channels)
{
    const int tokens = vx_arch_tokens(a), width = a->width;
    for (int c = 0; c < width; c++) {
        sums[c] = 0;
        for (int t = 0; t < tokens; t++)
            sums[c] += (double)g[t * width + c];
    }
    for (int k = 0; k < channels; k++) {
        int best = -1;
        for (int c = 0; c < width; c++)
            if (!isnan(sums[c]) && (best < 0 || sums[c] > sums[best]))
                best = c;
        order[k] = best < 0 ? 0 : best;
        sums[order[k]] = NAN; /* taken */
    }
}

/* What a run on the host needs. */
typedef struct room {
    float *tokens, *samples, *axes; /* [T,D], [P,channels], [2(H+W)] */
    double *weights;                /* [D] */
    int *order;                     /* [channels] */
} room;

/* samples = the channels of block `l`'s patches that are tried. */
static int take_samples(masking *m, room *r, int l, int i)
{
    const vx_job *job = m->job;
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const int patches = a->grid_height * a->grid_width;
    const size_t count = (size_t)vx_arch_tokens(a) * (size_t)a->width;
    if (job->gradient) {
        VX_TRY(vx_job_read(job, r->tokens, vx_job_dtokens(job, l, set->at, i), count));
        choose(r->order, r->weights, r->tokens, a, m->channels);
    } else {
        for (int k = 0; k < m->channels; k++)
            r->order[k] = k;
    }
    VX_TRY(vx_tokens_download(r->tokens, job, l, set->at, i));
    for (int p = 0; p < patches; p++)
        for (int k = 0; k < m->channels; k++)
            r->samples[(size_t)p * (size_t)m->channels + (size_t)k] =
                r->tokens[(size_t)(a->prefix + p) * (size_t)a->width + (size_t)r->order[k]];
    m->samples = r->samples;
    if (m->to && job->gradient)
        vx_job_write(job, m->chosen, r->samples, (size_t)patches * (size_t)m->channels);
    m->masks.samples =
        job->gradient ? m->chosen
                      : vx_job_tokens(job, l, set->at, i) + (size_t)a->prefix * (size_t)a->width;
    return VITX_OK;
}

static int run_layers(const vx_job *job, int i, vitx_map *map, masking *m, room *r)
{
    const int patches = job->arch->grid_height * job->arch->grid_width;
    float *out = map->values;
    for (int l = job->layer_first; l <= job->layer_last; l++, out += patches) {
        VX_TRY(take_samples(m, r, l, i));
        VX_TRY(weigh(r->weights, m, map));
        vx_tokens_sum(out, m->samples, r->weights, patches, m->channels);
        map->info.forwards += m->channels;
    }
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const size_t width = (size_t)a->width, tokens = (size_t)vx_arch_tokens(a) * width;
    const size_t samples = (size_t)(a->grid_height * a->grid_width) * (size_t)set->channels;
    const int h = job->recipe->input_height, w = job->recipe->input_width;
    const size_t axes = 2 * ((size_t)h + (size_t)w);
    const vitx_hooks scratch = job->scratch;
    const bool far = vx_variants_are_far(job);
    masking m = {.job = job, .channels = set->channels};
    room r = {0};
    if (!far)
        VX_TRY(vx_job_host_input(&m.x, job, i));
    VX_TRY(vx_new(&r.tokens, &scratch, tokens + samples + axes, sizeof *r.tokens, "scorecam"));
    int status =
        vx_new(&r.weights, &scratch, width, sizeof *r.weights + sizeof *r.order, "scorecam");
    if (status == VITX_OK)
        status = vx_new(&m.rows, &scratch, (size_t)h + (size_t)w, sizeof *m.rows, "scorecam");
    if (status == VITX_OK) {
        r.samples = r.tokens + tokens;
        r.axes = r.samples + samples;
        r.order = (int *)(void *)(r.weights + width);
        m.columns = m.rows + h;
        find_places(m.rows, h, a->grid_height);
        find_places(m.columns, w, a->grid_width);
        if (far)
            status = send_places(&m, r.axes, i);
        if (status == VITX_OK)
            status = run_layers(job, i, map, &m, &r);
    }
    vx_release(&scratch, m.rows);
    vx_release(&scratch, r.weights);
    vx_release(&scratch, r.tokens);
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
    .prepare = prepare_all,
    .run = run,
};

static const vitx_method_option chosen_options[] = {
    {"at", "output", "output|norm1", "the block's tokens after the block, or after its first norm"},
    {"channels", "auto", "1 to the width", "channels that are tried; auto: 300, or all of fewer"},
    {"scale", "auto", "0 to 1000000",
     "of the scores in the softmax; auto: 100 of a cosine, as CLIP's logits have it, else 1"},
};

const vx_method vx_method_gscorecam = {
    .name = "gscorecam",
    .summary = "like scorecam, of the channels with the largest gradients",
    .cost = "1 forward, the backward of the blocks above, and 1 forward for each channel tried",
    .reference = "Chen et al. 2022, gScoreCAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = chosen_options,
    .option_count = sizeof chosen_options / sizeof chosen_options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare_chosen,
    .run = run,
};
