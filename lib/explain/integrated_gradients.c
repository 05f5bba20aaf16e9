/*
 * explain/integrated_gradients.c: integrated gradients (Sundararajan et al. 2017, eq. 1).
 *
 *      map = sum over channels of (x - x') * sum_i w_i (d score / d x at x' + a_i (x - x'))
 *
 * with nodes a_i and weights w_i of a rule on [0,1] and a baseline x'. Up to the rule's error the
 * values add up to score(x) - score(x'); what is missing stands beside the map.
 *
 * compat=captum: Captum @ faac087, _utils/approximation_methods.py, gives the trapezoid rule n
 * weights of 1/n with halved ends, which sum to 1 - 1/n. Its other rules are these.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "explain/baseline.h"
#include "explain/pixels.h"
#include "explain/variants.h"

#define PI 3.14159265358979323846

typedef enum rule { GAUSS_LEGENDRE = 0, TRAPEZOID, LEFT, RIGHT, MIDDLE } rule;

typedef struct settings {
    int steps;
    rule rule;
    bool captum;
    vx_baseline baseline;
    vx_grid grid;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    (void)need;
    settings *s = job->settings;
    int choice, compat;
    VX_TRY(vx_setting_int(&s->steps, &job->given, "steps", 1, 10000));
    VX_TRY(vx_setting_choice(&choice, &job->given, "rule"));
    VX_TRY(vx_setting_choice(&compat, &job->given, "compat"));
    VX_TRY(vx_setting_baseline(&s->baseline, &job->given, "baseline"));
    VX_TRY(vx_setting_int(&s->baseline.seed, &job->given, "seed", 0, INT_MAX));
    VX_TRY(vx_setting_grid(&s->grid, job));
    s->rule = (rule)choice;
    s->captum = compat == 1;
    if (s->baseline.kind == VX_BASELINE_PICTURE && !job->opts.baseline)
        return vx_fail(VITX_INVALID, "%s: baseline=picture: no baseline picture is given",
                       job->method->name);
    if (s->rule == TRAPEZOID && s->steps == 1)
        return vx_fail(VITX_INVALID, "%s: rule=trapezoid takes at least 2 steps",
                       job->method->name);
    vx_walk_prepare(job, s->steps);
    job->ticks += job->arch->depth; /* the baseline's own score */
    return VITX_OK;
}

/* ------------------------------------------------------------------ rules ----------------- */

/* Roots of the Legendre polynomial P_n by Newton's method, mapped from [-1,1]; the weight of root x
 * is 2 / ((1 - x^2) P_n'(x)^2). Good to some units in the last place. */
static void gauss_legendre(double *at, double *weight, int n)
{
    for (int i = 0; i < (n + 1) / 2; i++) {
        double x = cos(PI * (i + 0.75) / (n + 0.5)), slope = 1, step = 1;
        for (int turn = 0; turn < 20 && fabs(step) > 1e-15; turn++) {
            double p = 1, before = 0;
            for (int k = 0; k < n; k++) {
                const double next = ((2 * k + 1) * x * p - k * before) / (k + 1);
                before = p;
                p = next;
            }
            slope = n * (x * p - before) / (x * x - 1);
            step = p / slope;
            x -= step;
        }
        at[i] = (1 - x) / 2;
        at[n - 1 - i] = (1 + x) / 2;
        weight[i] = weight[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
    }
}

static void make_rule(double *at, double *weight, const settings *s)
{
    const int n = s->steps;
    if (s->rule == GAUSS_LEGENDRE) {
        gauss_legendre(at, weight, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        at[i] = s->rule == TRAPEZOID ? (double)i / (n - 1)
                : s->rule == LEFT    ? (double)i / n
                : s->rule == RIGHT   ? (double)(i + 1) / n
                                     : (i + 0.5) / n;
        weight[i] = 1.0 / (s->rule == TRAPEZOID && !s->captum ? n - 1 : n);
    }
    if (s->rule == TRAPEZOID) {
        weight[0] /= 2;
        weight[n - 1] /= 2;
    }
}

/* ------------------------------------------------------------------ the path -------------- */

typedef struct path {
    double *at, *exact;       /* [steps] nodes, and their weights */
    float *weight, *node;     /* [steps] the same weights and nodes */
    float *start;             /* the baseline, on the host */
    float *way;               /* the picture less the baseline, on the host, if it makes variants */
    float *values;            /* [H,W] on the host */
    vx_far *sum, *device_way; /* [C,H,W], device */
    vx_far *far_start;        /* [C,H,W], device; NULL: the host makes the variants */
    const vx_far *far_input;  /* the picture, device */
    vx_far *plane;            /* [H,W], device */
    size_t floats;
} path;

static void fill(const void *payload, float *out, int v, size_t at, size_t floats)
{
    const path *p = payload;
    const float a = p->node[v];
    for (size_t i = at; i < at + floats; i++)
        *out++ = p->start[i] + a * p->way[i];
}

static void queue(const void *payload, const vx_job *job, vx_far *to, int first, int n)
{
    const path *p = payload;
    const vitx_recipe *recipe = job->recipe;
    job->dev->ops.blend(job->dev, &(vx_blend){.y = to,
                                              .from = p->far_start,
                                              .to = p->far_input,
                                              .by = VX_BLEND_VALUES,
                                              .values = p->node + first,
                                              .n = n,
                                              .channels = job->arch->channels,
                                              .height = recipe->input_height,
                                              .width = recipe->input_width});
}

static void add(void *payload, const vx_job *job, vx_far *gradients, int first, int n)
{
    const path *p = payload;
    vx_walk_add(job, p->sum, gradients, p->weight + first, n, false);
}

/* The way, and where the device makes variants, the baseline, in device memory. */
static void send_path(path *p, const vx_job *job, const float *input)
{
    const int64_t n = (int64_t)p->floats;
    const vx_ops *ops = &job->dev->ops;
    if (p->far_start) {
        vx_job_write(job, p->far_start, p->start, p->floats);
        ops->copy_rows(
            job->dev,
            &(vx_copy_rows){.y = p->device_way, .x = p->far_input, .m = 1, .n = n, .scale = 1});
        ops->copy_rows(job->dev, &(vx_copy_rows){.y = p->device_way,
                                                 .x = p->far_start,
                                                 .m = 1,
                                                 .n = n,
                                                 .scale = -1,
                                                 .accumulate = 1});
    } else {
        for (size_t k = 0; k < p->floats; k++)
            p->way[k] = input[k] - p->start[k];
        vx_job_write(job, p->device_way, p->way, p->floats);
    }
    ops->clear(job->dev, &(vx_clear){.y = p->sum, .count = n});
}

/* Leaves what it got in `p`: free_path. */
static int make_path(path *p, const vx_job *job, int i, const vitx_map *map)
{
    const settings *s = job->settings;
    const vitx_hooks scratch = job->scratch;
    const size_t count = vx_job_input_floats(job), pixels = count / (size_t)job->arch->channels;
    const size_t steps = (size_t)s->steps;
    const bool far = vx_variants_are_far(job);
    const float *input = NULL;
    p->floats = count;
    p->far_input = vx_job_input(job, i);
    if (!far)
        VX_TRY(vx_job_host_input(&input, job, i));
    VX_TRY(vx_job_work(&p->sum, job, (far ? 3 : 2) * count + pixels, "sums of gradients"));
    p->device_way = p->sum + count;
    p->far_start = far ? p->device_way + count : NULL;
    p->plane = p->device_way + (far ? 2 : 1) * count;
    VX_TRY(vx_new(&p->at, &scratch, 2 * steps, sizeof *p->at, "steps"));
    VX_TRY(vx_new(&p->weight, &scratch, 2 * steps, sizeof *p->weight, "weights of steps"));
    VX_TRY(vx_new(&p->start, &scratch, (far ? 1 : 2) * count + pixels, sizeof *p->start,
                  "a baseline"));
    p->exact = p->at + steps;
    p->node = p->weight + steps;
    p->values = p->start + count;
    p->way = far ? NULL : p->values + pixels;
    make_rule(p->at, p->exact, s);
    for (size_t k = 0; k < steps; k++) {
        p->weight[k] = (float)p->exact[k];
        p->node[k] = (float)p->at[k];
    }
    VX_TRY(vx_baseline_fill_job(p->start, &s->baseline, job, i, map));
    send_path(p, job, input);
    return VITX_OK;
}

static void free_path(path *p, const vx_job *job)
{
    const vitx_hooks scratch = job->scratch;
    vx_release(&scratch, p->at);
    vx_release(&scratch, p->weight);
    vx_release(&scratch, p->start);
}

/* The baseline's score, of its own forward pass. */
static int run_baseline(const vx_job *job, vitx_map *map, const path *p)
{
    if (p->far_start)
        job->dev->ops.copy_rows(job->dev, &(vx_copy_rows){.y = vx_variant_input(job, 0),
                                                          .x = p->far_start,
                                                          .m = 1,
                                                          .n = (int64_t)p->floats,
                                                          .scale = 1});
    else
        memcpy(vx_variant_input(job, 0), p->start, p->floats * sizeof *p->start);
    VX_TRY(vx_variants_score(&map->info.base_value, job, vx_map_target(map), 1));
    map->info.forwards++;
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *s = job->settings;
    path p = {0};
    double sum = 0;
    int status = make_path(&p, job, i, map);
    if (status == VITX_OK)
        status = run_baseline(job, map, &p);
    if (status == VITX_OK)
        status = vx_walk_run(job, map, &(vx_walk){s->steps, fill, queue, add, &p});
    if (status == VITX_OK)
        status =
            vx_pixels_map(map, p.values, job, p.plane, p.sum, p.device_way, VX_REDUCE_SUM, s->grid);
    for (size_t k = 0; k < p.floats / (size_t)job->arch->channels && status == VITX_OK; k++)
        sum += p.values[k];
    /* Of the pixels, whatever they are pooled to. */
    map->info.completeness_error = sum - (map->info.value - map->info.base_value);
    free_path(&p, job);
    return status;
}

static const vitx_method_option options[] = {
    {"steps", "50", "1 to 10000", "points on the line from the baseline to the picture"},
    {"rule", "gauss-legendre", "gauss-legendre|trapezoid|left|right|middle",
     "where the points lie, and their weights"},
    {"compat", "none", "none|captum",
     "captum: Captum's weights of the trapezoid rule, whose sum is 1 - 1/steps"},
    {"baseline", "mean", "mean|black|white|blur|noise|picture",
     "what the picture is compared with; picture: the one of --baseline"},
    VX_OPTION_BLUR,
    {"seed", "0", "0 to 2147483647", "seed of baseline=noise"},
    VX_OPTION_GRID,
};

const vx_method vx_method_integrated_gradients = {
    .name = "integrated-gradients",
    .summary = "what each pixel adds to the score on the line from a baseline to the picture",
    .cost = "steps = 50 forwards and backwards, 1 forward of the baseline",
    .reference = "Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks",
    .uses_target = true,
    .is_signed = true,
    .of_score = true,
    .on_pixels = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
