/*
 * explain/rise.c: RISE, the mean of random masks weighed by what the model answers to the picture
 * seen through them (Petsiuk, Das & Saenko 2018, eq. 6).
 *
 *     map = 1/(N p) sum_i f(x m_i + b (1 - m_i)) m_i
 *
 * A mask: cells x cells bits, 1 with probability p, stretched bilinearly to (cells + 1) cells of
 * ceil(H / cells) x ceil(W / cells) pixels and cut to H x W at a random offset of less than a cell,
 * so that the mean of every pixel is p. As eclique/RISE @ d91ea00 (explanations.py), where
 * b = 0, the mean colour, too; but beyond the centres of their outer cells its masks are mirrored,
 * where these are continued.
 *
 * remove=drop leaves tokens out, which a soft mask cannot: a patch stays where the mean of its mask
 * is above a level. The level is 1/2 where p is 1/2 (but for a trifle that is drawn, so that a mean
 * of exactly 1/2 counts for neither side). For another p that would keep too many patches or too
 * few: the level is drawn for each mask, uniform in 0..1, and a patch stays with the probability
 * that its mask says. Either way each patch stays with probability p.
 */
#include <string.h>

#include "base/random.h"
#include "explain/patches.h"
#include "explain/pixels.h"
#include "explain/variants.h"

enum { MOST_CELLS = 64, PIECE = 256, STRIP = 16 };

typedef struct settings {
    vx_removal removal;
    vx_grid grid;
    int n, cells, seed;
    double p;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    (void)need;
    VX_TRY(vx_setting_removal(&set->removal, &job->given));
    VX_TRY(vx_setting_int(&set->n, &job->given, "n", 1, VX_MOST_SAMPLES));
    VX_TRY(vx_setting_int(&set->cells, &job->given, "cells", 1, MOST_CELLS));
    VX_TRY(vx_setting_int(&set->seed, &job->given, "seed", 0, INT32_MAX));
    VX_TRY(vx_setting_number(&set->p, &job->given, "p", 0, 1));
    VX_TRY(vx_setting_grid(&set->grid, job));
    if (set->p == 0 || set->p == 1)
        return vx_fail(VITX_INVALID,
                       "rise: p=%s: between 0 and 1 is expected, or all masks are one",
                       vx_setting(&job->given, "p"));
    vx_patches_prepare(job, set->n);
    if (set->removal.drop)
        job->pixels = false;
    else
        job->ticks = (int64_t)((set->n - 1) / job->variants + 1) * job->arch->depth;
    return VITX_OK;
}

/* ------------------------------------------------------------------ masks ----------------- */

/* Where each place of a stretched side lies between the cells. */
typedef struct side {
    int cell;          /* pixels of one */
    vx_between *place; /* [(cells + 1) * cell] */
} side;

typedef struct mask {
    int down, right; /* offset */
    double level;    /* of remove=drop */
    float cells[MOST_CELLS * MOST_CELLS];
} mask;

typedef struct masks {
    const settings *set;
    int height, width;
    side y, x;
    mask *at_hand; /* [job->variants] */
} masks;

static int create_side(side *out, int pixels, int cells, const vitx_hooks *hooks)
{
    out->cell = (pixels + cells - 1) / cells;
    const int length = (cells + 1) * out->cell;
    VX_TRY(vx_new(&out->place, hooks, (size_t)length, sizeof *out->place, "a mask's places"));
    for (int i = 0; i < length; i++)
        out->place[i] = vx_find_between(i + 0.5, length, cells);
    return VITX_OK;
}

static int create_masks(masks *out, const vx_job *job, const vitx_hooks *hooks)
{
    const settings *set = job->settings;
    const vitx_recipe *recipe = job->recipe;
    *out = (masks){.set = set, .height = recipe->input_height, .width = recipe->input_width};
    VX_TRY(create_side(&out->y, out->height, set->cells, hooks));
    VX_TRY(create_side(&out->x, out->width, set->cells, hooks));
    return vx_new(&out->at_hand, hooks, (size_t)job->variants, sizeof *out->at_hand, "masks");
}

static void dispose_masks(masks *m, const vitx_hooks *hooks)
{
    vx_release(hooks, m->at_hand);
    vx_release(hooks, m->x.place);
    vx_release(hooks, m->y.place);
}

static void draw(mask *out, const masks *m, int64_t sample)
{
    const settings *set = m->set;
    const uint64_t seed = (uint64_t)set->seed, stream = (uint64_t)sample;
    out->down = (int)(vx_random_uniform(seed, stream, 0) * m->y.cell);
    out->right = (int)(vx_random_uniform(seed, stream, 1) * m->x.cell);
    out->level = 0.5 + (vx_random_uniform(seed, stream, 2) - 0.5) * (set->p == 0.5 ? 1e-6 : 1);
    for (int k = 0; k < set->cells * set->cells; k++)
        out->cells[k] = vx_random_uniform(seed, stream, 3 + (uint64_t)k) < set->p;
}

static float between(float a, float b, float part)
{
    return a + part * (b - a);
}

/* Row y of a mask between its columns: [cells]. */
static void mask_line(float *line, const masks *m, const mask *one, int y)
{
    const vx_between at = m->y.place[y + one->down];
    const float *first = one->cells + at.first * m->set->cells;
    const float *second = one->cells + at.second * m->set->cells;
    for (int k = 0; k < m->set->cells; k++)
        line[k] = between(first[k], second[k], at.part);
}

/* n pixels of that row from x on. */
static void mask_pixels(float *out, const masks *m, const mask *one, const float *line, int x,
                        int n)
{
    const vx_between *at = m->x.place + x + one->right;
    for (int i = 0; i < n; i++)
        out[i] = between(line[at[i].first], line[at[i].second], at[i].part);
}

/* ------------------------------------------------------------------ soft masks on pixels -- */

typedef struct soft {
    const vx_job *job;
    masks masks;
    const float *picture; /* [C,H,W] on the host */
    float *baseline;      /* [C,H,W] */
    double *sum;          /* [H,W] */
    double *scores;       /* [job->variants] */
    int n, strips;        /* variants at hand; strips of a mask's rows */
} soft;

static int strip_end(const soft *s, int strip)
{
    const int end = (strip + 1) * STRIP;
    return end < s->masks.height ? end : s->masks.height;
}

/* A strip of the input of one variant. */
static void blend(void *arg, int i, int worker)
{
    const soft *s = arg;
    const masks *m = &s->masks;
    const int v = i / s->strips, strip = i % s->strips, channels = s->job->arch->channels;
    const size_t plane = (size_t)m->height * (size_t)m->width;
    float *out = vx_variant_input(s->job, v), line[MOST_CELLS], part[PIECE];
    (void)worker;
    for (int y = strip * STRIP; y < strip_end(s, strip); y++) {
        mask_line(line, m, &m->at_hand[v], y);
        for (int x = 0; x < m->width; x += PIECE) {
            const int left = m->width - x, n = left < PIECE ? left : PIECE;
            mask_pixels(part, m, &m->at_hand[v], line, x, n);
            for (int c = 0; c < channels; c++) {
                const size_t at = (size_t)c * plane + (size_t)y * (size_t)m->width + (size_t)x;
                for (int k = 0; k < n; k++)
                    out[at + (size_t)k] =
                        between(s->baseline[at + (size_t)k], s->picture[at + (size_t)k], part[k]);
            }
        }
    }
}

/* A strip of the sum: every mask at hand times its score. */
static void add(void *arg, int strip, int worker)
{
    const soft *s = arg;
    const masks *m = &s->masks;
    float line[MOST_CELLS], part[PIECE];
    (void)worker;
    for (int y = strip * STRIP; y < strip_end(s, strip); y++)
        for (int v = 0; v < s->n; v++) {
            mask_line(line, m, &m->at_hand[v], y);
            for (int x = 0; x < m->width; x += PIECE) {
                const int left = m->width - x, n = left < PIECE ? left : PIECE;
                double *sum = s->sum + (size_t)y * (size_t)m->width + (size_t)x;
                mask_pixels(part, m, &m->at_hand[v], line, x, n);
                for (int k = 0; k < n; k++)
                    sum[k] += s->scores[v] * part[k];
            }
        }
}

static int run_batches(soft *s, vitx_map *map)
{
    const vx_job *job = s->job;
    const settings *set = job->settings;
    for (int first = 0; first < set->n; first += job->variants) {
        s->n = set->n - first < job->variants ? set->n - first : job->variants;
        for (int v = 0; v < s->n; v++)
            draw(&s->masks.at_hand[v], &s->masks, (int64_t)first + v);
        vx_job_parallel(job, blend, s, s->n * s->strips);
        VX_TRY(vx_variants_score(s->scores, job, vx_map_target(map), s->n));
        for (int v = 0; v < s->n; v++)
            vx_map_saw(map, s->scores[v]);
        vx_job_parallel(job, add, s, s->strips);
    }
    return VITX_OK;
}

/* The sum over the masks is done: the map. */
static int finish(const soft *s, vitx_map *map, const vitx_hooks *scratch)
{
    const settings *set = s->job->settings;
    const size_t pixels = (size_t)s->masks.height * (size_t)s->masks.width;
    float *plane = map->values;
    if (set->grid != VX_GRID_NONE)
        VX_TRY(vx_new(&plane, scratch, pixels, sizeof *plane, "a map of pixels"));
    for (size_t k = 0; k < pixels; k++)
        plane[k] = (float)(s->sum[k] / (set->n * set->p));
    if (set->grid != VX_GRID_NONE) {
        vx_pixels_pool(map->values, plane, s->job->arch, s->masks.width, set->grid);
        vx_release(scratch, plane);
    }
    map->info.forwards = set->n;
    return VITX_OK;
}

static int run_masked(soft *s, int i, vitx_map *map)
{
    const vx_job *job = s->job;
    const settings *set = job->settings;
    const vitx_hooks *scratch = &job->scratch;
    const size_t input = vx_job_input_floats(job), pixels = input / (size_t)job->arch->channels;
    VX_TRY(create_masks(&s->masks, job, scratch));
    s->strips = (s->masks.height + STRIP - 1) / STRIP;
    VX_TRY(vx_new(&s->baseline, scratch, input, sizeof *s->baseline, "a baseline"));
    VX_TRY(vx_new(&s->sum, scratch, pixels, sizeof *s->sum, "a sum of masks"));
    VX_TRY(vx_new(&s->scores, scratch, (size_t)job->variants, sizeof *s->scores, "scores"));
    VX_TRY(vx_baseline_fill_job(s->baseline, &set->removal.fill, job, i, map));
    VX_TRY(run_batches(s, map));
    return finish(s, map, scratch);
}

static int run_soft(const vx_job *job, int i, vitx_map *map)
{
    soft s = {.job = job, .picture = vx_job_host_input(job, i)};
    const int status = run_masked(&s, i, map);
    vx_release(&job->scratch, s.scores);
    vx_release(&job->scratch, s.sum);
    vx_release(&job->scratch, s.baseline);
    dispose_masks(&s.masks, &job->scratch);
    return status;
}

/* ------------------------------------------------------------------ patches dropped ------- */

typedef struct dropped {
    const vx_arch *arch;
    masks masks;
    double *rows; /* [gh, cells] the rows of patches between the cells: means over their pixels */
    double *sum;  /* [P] */
} dropped;

/* weights [cells]: how the mean over pixels first..first+n-1 of a side is made of the cells. */
static void mean_weights(double *weights, const side *s, int first, int n, int cells)
{
    memset(weights, 0, (size_t)cells * sizeof *weights);
    for (int i = first; i < first + n; i++) {
        const vx_between at = s->place[i];
        weights[at.first] += (1 - (double)at.part) / n;
        weights[at.second] += (double)at.part / n;
    }
}

static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    dropped *d = payload;
    const vx_arch *a = d->arch;
    const masks *m = &d->masks;
    const int cells = m->set->cells;
    double weights[MOST_CELLS];
    mask *one = m->at_hand;
    draw(one, m, v);
    for (int gy = 0; gy < a->grid_height; gy++) {
        double *row = d->rows + (size_t)gy * (size_t)cells;
        mean_weights(weights, &m->y, gy * a->patch_height + one->down, a->patch_height, cells);
        for (int k = 0; k < cells; k++) {
            row[k] = 0;
            for (int j = 0; j < cells; j++)
                row[k] += weights[j] * one->cells[j * cells + k];
        }
    }
    for (int gx = 0; gx < a->grid_width; gx++) {
        mean_weights(weights, &m->x, gx * a->patch_width + one->right, a->patch_width, cells);
        for (int gy = 0; gy < a->grid_height; gy++) {
            double mean = 0;
            for (int k = 0; k < cells; k++)
                mean += weights[k] * d->rows[gy * cells + k];
            kept[gy * a->grid_width + gx] = mean > one->level;
        }
    }
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    dropped *d = payload;
    (void)v;
    for (int p = 0; p < d->arch->grid_height * d->arch->grid_width; p++)
        d->sum[p] += score * kept[p];
}

static int run_dropped(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const vitx_hooks scratch = job->scratch;
    dropped d = {.arch = a};
    int status = create_masks(&d.masks, job, &scratch);
    if (status == VITX_OK)
        status = vx_new(&d.rows, &scratch, (size_t)a->grid_height * (size_t)set->cells,
                        sizeof *d.rows, "rows of a mask");
    if (status == VITX_OK)
        status = vx_new(&d.sum, &scratch, map->count, sizeof *d.sum, "a sum of masks");
    if (status == VITX_OK)
        status = vx_patches_run_job(job, i, map, &set->removal, set->n, write_kept, take_score, &d);
    const double pixels = set->grid == VX_GRID_SUM ? a->patch_height * a->patch_width : 1;
    for (size_t k = 0; status == VITX_OK && k < map->count; k++)
        map->values[k] = (float)(pixels * d.sum[k] / (set->n * set->p));
    vx_release(&scratch, d.sum);
    vx_release(&scratch, d.rows);
    dispose_masks(&d.masks, &scratch);
    return status;
}

/* ------------------------------------------------------------------ the method ------------ */

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    return set->removal.drop ? run_dropped(job, i, map) : run_soft(job, i, map);
}

static const vitx_method_option options[] = {
    {"n", "4000", "1 to 10000000", "number of masks"},
    {"cells", "8", "1 to 64", "cells of a mask along each side"},
    {"p", "0.5", "above 0 to below 1", "probability that a cell is seen"},
    VX_OPTION_SEED,
    VX_OPTION_REMOVE,
    VX_OPTION_BLUR,
    VX_OPTION_GRID,
};

const vx_method vx_method_rise = {
    .name = "rise",
    .summary = "mean of random masks, each weighted by the answer to the picture seen through it",
    .cost = "n forwards: 4000",
    .reference = "Petsiuk, Das & Saenko 2018, RISE",
    .uses_target = true,
    .on_pixels = true,
    .no_layers = true,
    .no_heads = true,
    .score = VITX_SCORE_PROBABILITY,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
