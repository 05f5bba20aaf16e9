/*
 * measure/road.c: ROAD, remove and debias (Rong et al. 2022): what is left of the answer when the
 * pixels that the map holds most, or least, relevant are taken away without leaving a trace of
 * where they were.
 *
 *     k-th percentage: i / (steps + 1), i = 1..steps; removed: floor(pixels i / (steps + 1)) of
 *     them
 *     morf  most relevant first:  mean over the percentages of the class's probability (low is
 *     good)
 *     lerf  least relevant first: the same (high is good)
 *     road  = (lerf - morf) / 2
 *
 * Removed pixels are imputed (impute.h) and get normal noise of standard deviation `noise`, in
 * units of pixel values 0..1. The percentage is always the share that is removed, by count; equal
 * values rank from the top left on, for lerf from the bottom right on.
 *
 * The codes differ: tleemann/road_evaluation @ e6b9987 removes by count and imputes before
 * normalising (this is what is done here; imputing commutes with normalising, but for the noise),
 * and its percentage of LeRF is the share kept. pytorch-grad-cam @ 084273b takes percentile p to
 * mean that the top 100 - p % are removed (and all that equal the threshold), adds 0.01 noise in
 * normalised units, and reports differences from the picture's own score, which road's (lerf -
 * morf) / 2 does not notice. Quantus reports accuracy alone.
 */
#include <limits.h>
#include <string.h>

#include "base/random.h"
#include "measure/impute.h"
#include "measure/metric.h"
#include "measure/plane.h"
#include "measure/rank.h"

typedef struct settings {
    int steps, seed;
    double noise;
} settings;

static int prepare(vx_trial *trial)
{
    settings *set = trial->settings;
    VX_TRY(vx_setting_int(&set->steps, &trial->given, "steps", 1, 999));
    VX_TRY(vx_setting_number(&set->noise, &trial->given, "noise", 0, 1));
    VX_TRY(vx_setting_int(&set->seed, &trial->given, "seed", 0, INT_MAX));
    trial->points = set->steps;
    VX_TRY(vx_trial_variants(trial, 2 * set->steps));
    return VITX_OK;
}

/* A worker's own. */
typedef struct room {
    uint8_t *unknown; /* [H,W] */
    double *numbers;  /* [vx_impute_room] */
} room;

typedef struct removing {
    const vx_subject *s;
    const settings *set;
    float *values;   /* the map on pixels */
    uint32_t *order; /* of these, and as much again as space */
    room *rooms;     /* [s->workers] */
} removing;

/* Which pixels of the input are removed: of the seen ones, those order[from..to-1]. */
static void mark(uint8_t *unknown, const removing *r, size_t from, size_t to)
{
    const vx_subject *s = r->s;
    const size_t seen = (size_t)s->seen_width, width = (size_t)s->input_width;
    memset(unknown, 0, (size_t)s->input_height * width);
    for (size_t i = from; i < to; i++)
        unknown[r->order[i] / seen * width + r->order[i] % seen] = 1;
}

/* Variants 0..steps-1 are MoRF, the others LeRF. */
static void fill(const void *payload, int v, float *input, int worker)
{
    const removing *r = payload;
    const vx_subject *s = r->s;
    const vitx_recipe *recipe = s->recipe;
    const room *mine = &r->rooms[worker];
    const size_t all = vx_subject_pixels(s), channels = (size_t)s->arch->channels;
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    const size_t i = (size_t)(v % r->set->steps) + 1, parts = (size_t)r->set->steps + 1;
    const size_t removed = all / parts * i + all % parts * i / parts; /* all * i / parts */
    const bool morf = v < r->set->steps;
    memcpy(input, s->input, channels * plane * sizeof *input);
    mark(mine->unknown, r, morf ? 0 : all - removed, morf ? removed : all);
    for (size_t c = 0; c < channels; c++) {
        float *to = input + c * plane;
        const double unit =
            (double)vx_pixel_value(recipe, (int)c, 255) - vx_pixel_value(recipe, (int)c, 0);
        vx_impute(to, mine->unknown, s->input_height, s->input_width, mine->numbers);
        for (size_t p = 0; p < plane && r->set->noise > 0; p++)
            if (mine->unknown[p])
                to[p] +=
                    (float)(r->set->noise * unit *
                            vx_random_normal((uint64_t)r->set->seed, (uint64_t)v, c * plane + p));
    }
}

static int open_rooms(removing *r)
{
    const vx_subject *s = r->s;
    const size_t plane = (size_t)s->input_height * (size_t)s->input_width;
    VX_TRY(vx_new(&r->rooms, &s->scratch, (size_t)s->workers, sizeof *r->rooms, "workers"));
    for (int i = 0; i < s->workers; i++) {
        VX_TRY(vx_new(&r->rooms[i].unknown, &s->scratch, plane, 1, "removed pixels"));
        VX_TRY(vx_new(&r->rooms[i].numbers, &s->scratch,
                      vx_impute_room(s->input_height, s->input_width), sizeof(double),
                      "equations of removed pixels"));
    }
    return VITX_OK;
}

/* x, both curves, and what they come to. */
static int score(const vx_trial *trial, vitx_evaluation *out, const removing *r)
{
    const int n = r->set->steps;
    VX_TRY(vx_trial_score(out->curves, trial, out, &(vx_inputs){fill, r, NULL}, 2 * n));
    out->values[1] = out->values[2] = 0;
    for (int i = 0; i < n; i++) {
        out->x[i] = (double)(i + 1) / (n + 1);
        out->values[1] += out->curves[i] / n;
        out->values[2] += out->curves[n + i] / n;
    }
    out->values[0] = (out->values[2] - out->values[1]) / 2;
    return VITX_OK;
}

static int remove_pixels(const vx_trial *trial, vitx_evaluation *out, removing *r)
{
    const vx_subject *s = r->s;
    const size_t pixels = vx_subject_pixels(s);
    VX_TRY(vx_new(&r->order, &s->scratch, 2 * pixels, sizeof *r->order, "an order"));
    VX_TRY(vx_new(&r->values, &s->scratch, pixels, sizeof *r->values, "the map on pixels"));
    VX_TRY(open_rooms(r));
    vx_plane_on_pixels(r->values, s);
    vx_order(r->order, r->values, pixels, r->order + pixels);
    return score(trial, out, r);
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vx_subject *s = trial->subject;
    removing r = {.s = s, .set = trial->settings};
    const int status = remove_pixels(trial, out, &r);
    for (int i = 0; r.rooms && i < s->workers; i++) {
        vx_release(&s->scratch, r.rooms[i].unknown);
        vx_release(&s->scratch, r.rooms[i].numbers);
    }
    vx_release(&s->scratch, r.rooms);
    vx_release(&s->scratch, r.values);
    vx_release(&s->scratch, r.order);
    return status;
}

static const char *const value_names[] = {"road", "morf", "lerf"};
static const char *const curve_names[] = {"morf", "lerf"};
static const vitx_method_option options[] = {
    {"steps", "9", "1 to 999", "number of shares removed: 9 are 10 % to 90 %"},
    {"noise", "0.01", "0 to 1",
     "standard deviation of the noise on removed pixels (pixels are 0..1)"},
    {"seed", "0", "0 to 2147483647", "seed of the noise"},
};

const vx_metric vx_metric_road = {
    .name = "road",
    .summary =
        "how much longer the answer lasts if the least relevant pixels go first, not the most",
    .cost = "2 steps forwards: 18, and as many imputed pictures",
    .reference = "Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution",
    .higher_is_better = true,
    .value_names = value_names,
    .value_count = 3,
    .curve_names = curve_names,
    .curve_count = 2,
    .x_name = "share of the pixels removed",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
