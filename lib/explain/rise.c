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
    int length;        /* (cells + 1) * cell */
    vx_between *place; /* [length] */
} side;

typedef struct masks {
    const settings *set;
    int height, width, count; /* count: of the cells of a mask */
    side y, x;
    /* Of the masks at hand, [job->variants]: */
    float *cells; /* [,count] */
    int *offsets; /* [,2] down, right */
    double level; /* of remove=drop, of the mask that was drawn last */
} masks;

static int create_side(side *out, int pixels, int cells, const vitx_hooks *hooks)
{
    out->cell = (pixels + cells - 1) / cells;
    out->length = (cells + 1) * out->cell;
    VX_TRY(vx_new(&out->place, hooks, (size_t)out->length, sizeof *out->place, "a mask's places"));
    for (int i = 0; i < out->length; i++)
        out->place[i] = vx_find_between(i + 0.5, out->length, cells);
    return VITX_OK;
}

static int create_masks(masks *out, const vx_job *job, const vitx_hooks *hooks)
{
    const settings *set = job->settings;
    const vitx_recipe *recipe = job->recipe;
    const size_t variants = (size_t)job->variants, count = (size_t)set->cells * (size_t)set->cells;
    *out = (masks){.set = set,
                   .height = recipe->input_height,
                   .width = recipe->input_width,
                   .count = (int)count};
    VX_TRY(create_side(&out->y, out->height, set->cells, hooks));
    VX_TRY(create_side(&out->x, out->width, set->cells, hooks));
    VX_TRY(vx_new(&out->offsets, hooks, 2 * variants, sizeof *out->offsets, "masks"));
    return vx_new(&out->cells, hooks, variants * count, sizeof *out->cells, "masks");
}

static void dispose_masks(masks *m, const vitx_hooks *hooks)
{
    vx_release(hooks, m->cells);
    vx_release(hooks, m->offsets);
    vx_release(hooks, m->x.place);
    vx_release(hooks, m->y.place);
}

/* Mask v at hand. */
static void draw(masks *m, int v, int64_t sample)
{
    const settings *set = m->set;
    const uint64_t seed = (uint64_t)set->seed, stream = (uint64_t)sample;
    float *cells = m->cells + (size_t)v * (size_t)m->count;
    m->offsets[2 * v] = (int)(vx_random_uniform(seed, stream, 0) * m->y.cell);
    m->offsets[2 * v + 1] = (int)(vx_random_uniform(seed, stream, 1) * m->x.cell);
    m->level = 0.5 + (vx_random_uniform(seed, stream, 2) - 0.5) * (set->p == 0.5 ? 1e-6 : 1);
    for (int k = 0; k < m->count; k++)
        cells[k] = vx_random_uniform(seed, stream, 3 + (uint64_t)k) < set->p;
}

static float between(float a, float b, float part)
{
    return a + part * (b - a);
}

/* Row y of mask v between its columns: [cells]. */
static void mask_line(float *line, const masks *m, int v, int y)
{
    const float *cells = m->cells + (size_t)v * (size_t)m->count;
    const vx_between at = m->y.place[y + m->offsets[2 * v]];
    const float *first = cells + at.first * m->set->cells;
    const float *second = cells + at.second * m->set->cells;
    for (int k = 0; k < m->set->cells; k++)
        line[k] = between(first[k], second[k], at.part);
}

/* n pixels of that row from x on. */
static void mask_pixels(float *out, const masks *m, int v, const float *line, int x, int n)
{
    const vx_between *at = m->x.place + x + m->offsets[2 * v + 1];
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
    /* Where the device makes variants: */
    vx_far *far_sum;      /* [H,W] doubles; NULL: the host makes them */
    vx_far *far_baseline; /* [C,H,W] */
    vx_far *far_cells;    /* [job->variants,count] */
    vx_masks far_masks;   /* of the variants at hand */
    const vx_far *far_picture;
    float *places; /* on the host, of both sides */
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
        mask_line(line, m, v, y);
        for (int x = 0; x < m->width; x += PIECE) {
            const int left = m->width - x, n = left < PIECE ? left : PIECE;
            mask_pixels(part, m, v, line, x, n);
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
            mask_line(line, m, v, y);
            for (int x = 0; x < m->width; x += PIECE) {
                const int left = m->width - x, n = left < PIECE ? left : PIECE;
                double *sum = s->sum + (size_t)y * (size_t)m->width + (size_t)x;
                mask_pixels(part, m, v, line, x, n);
                for (int k = 0; k < n; k++)
                    sum[k] += s->scores[v] * part[k];
            }
        }
}

/* ------------------------------------------------------------------ the same on a device -- */

/* Memory of the device. The host's side of what is sent stays until the scores of a batch are
 * there. */
static int send(soft *s, int i)
{
    const vx_job *job = s->job;
    masks *m = &s->masks;
    const int cells = m->set->cells;
    const size_t input = vx_job_piece(vx_job_input_floats(job));
    const size_t sum = vx_job_piece(2 * (size_t)m->height * (size_t)m->width);
    const size_t y = 2 * (size_t)m->y.length, x = 2 * (size_t)m->x.length;
    VX_TRY(vx_new(&s->places, &job->scratch, y + x, sizeof *s->places, "a mask's places"));
    VX_TRY(vx_job_work(&s->far_sum, job,
                       sum + input + vx_job_piece(y + x) + (size_t)job->variants * (size_t)m->count,
                       "a sum of masks"));
    s->far_baseline = s->far_sum + sum;
    s->far_cells = s->far_baseline + input + vx_job_piece(y + x);
    s->far_picture = vx_job_input(job, i);
    vx_far *const places = s->far_baseline + input;
    s->far_masks = (vx_masks){
        .samples = s->far_cells,
        .of_variant = m->count,
        .of_row = cells,
        .of_column = 1,
        .down = vx_places_send(job, places, s->places, m->y.place, m->y.length, cells),
        .across = vx_places_send(job, places + y, s->places + y, m->x.place, m->x.length, cells),
        .shifts = m->offsets};
    vx_job_write(job, s->far_baseline, s->baseline, vx_job_input_floats(job));
    job->dev->ops.clear(job->dev, &(vx_clear){.y = s->far_sum, .count = (int64_t)sum});
    return VITX_OK;
}

/* The masks at hand, and the inputs of the variants. */
static void queue_blend(const soft *s)
{
    const masks *m = &s->masks;
    vx_device *dev = s->job->dev;
    vx_job_write(s->job, s->far_cells, m->cells, (size_t)s->n * (size_t)m->count);
    dev->ops.blend(dev, &(vx_blend){.y = vx_variant_input(s->job, 0),
                                    .from = s->far_baseline,
                                    .to = s->far_picture,
                                    .by = VX_BLEND_MASKS,
                                    .masks = s->far_masks,
                                    .n = s->n,
                                    .channels = s->job->arch->channels,
                                    .height = m->height,
                                    .width = m->width});
}

static void queue_add(const soft *s)
{
    vx_device *dev = s->job->dev;
    dev->ops.add_masks(dev, &(vx_add_masks){.sum = (double *)(void *)s->far_sum,
                                            .weights = s->scores,
                                            .masks = s->far_masks,
                                            .n = s->n,
                                            .height = s->masks.height,
                                            .width = s->masks.width});
}

static int fetch(const soft *s)
{
    const size_t pixels = (size_t)s->masks.height * (size_t)s->masks.width;
    return vx_job_read(s->job, (float *)(void *)s->sum, s->far_sum, 2 * pixels);
}

/* ------------------------------------------------------------------ batches --------------- */

static int run_batches(soft *s, vitx_map *map)
{
    const vx_job *job = s->job;
    const settings *set = job->settings;
    for (int first = 0; first < set->n; first += job->variants) {
        s->n = set->n - first < job->variants ? set->n - first : job->variants;
        for (int v = 0; v < s->n; v++)
            draw(&s->masks, v, (int64_t)first + v);
        if (s->far_sum)
            queue_blend(s);
        else
            vx_job_parallel(job, blend, s, s->n * s->strips);
        VX_TRY(vx_variants_score(s->scores, job, vx_map_target(map), s->n));
        for (int v = 0; v < s->n; v++)
            vx_map_saw(map, s->scores[v]);
        if (s->far_sum)
            queue_add(s);
        else
            vx_job_parallel(job, add, s, s->strips);
    }
    return s->far_sum ? fetch(s) : VITX_OK;
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
    if (vx_variants_are_far(job))
        VX_TRY(send(s, i));
    VX_TRY(run_batches(s, map));
    return finish(s, map, scratch);
}

static int run_soft(const vx_job *job, int i, vitx_map *map)
{
    soft s = {.job = job};
    if (!vx_variants_are_far(job))
        VX_TRY(vx_job_host_input(&s.picture, job, i));
    const int status = run_masked(&s, i, map);
    vx_release(&job->scratch, s.places);
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
    masks *m = &d->masks;
    const int cells = m->set->cells;
    double weights[MOST_CELLS];
    draw(m, 0, v);
    for (int gy = 0; gy < a->grid_height; gy++) {
        double *row = d->rows + (size_t)gy * (size_t)cells;
        mean_weights(weights, &m->y, gy * a->patch_height + m->offsets[0], a->patch_height, cells);
        for (int k = 0; k < cells; k++) {
            row[k] = 0;
            for (int j = 0; j < cells; j++)
                row[k] += weights[j] * m->cells[j * cells + k];
        }
    }
    for (int gx = 0; gx < a->grid_width; gx++) {
        mean_weights(weights, &m->x, gx * a->patch_width + m->offsets[1], a->patch_width, cells);
        for (int gy = 0; gy < a->grid_height; gy++) {
            double mean = 0;
            for (int k = 0; k < cells; k++)
                mean += weights[k] * d->rows[gy * cells + k];
            kept[gy * a->grid_width + gx] = mean > m->level;
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
