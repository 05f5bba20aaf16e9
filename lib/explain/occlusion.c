/*
 * explain/occlusion.c: what the score loses when patches are covered (Zeiler & Fergus 2014, section
 * 4.2).
 *
 *     map[p] = mean over the windows W that cover p of  f(x) - f(x without W)
 *
 * A window is a square of patches; it moves from the top left in steps of `stride` until it reaches
 * the other edge, where its part outside the grid is cut off. Windows that overlap are averaged and
 * the last ones cut off as in captum @ faac087 (attr/_core/occlusion.py), against which it was
 * checked.
 */
#include <string.h>

#include "explain/patches.h"

typedef struct settings {
    vx_removal removal;
    int window, stride;
    int down, across; /* windows */
} settings;

/* Windows along a side of `patches`. */
static int windows(int patches, int window, int stride)
{
    return (patches - window + stride - 1) / stride + 1;
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    const vx_arch *a = job->arch;
    (void)need;
    VX_TRY(vx_setting_removal(&set->removal, &job->given));
    VX_TRY(vx_setting_int(&set->window, &job->given, "window", 1, INT32_MAX));
    VX_TRY(vx_setting_int(&set->stride, &job->given, "stride", 1, INT32_MAX));
    if (set->stride > set->window)
        return vx_fail(VITX_INVALID,
                       "occlusion: stride=%d is more than window=%d: no window would cover the "
                       "patches between",
                       set->stride, set->window);
    const int shorter = a->grid_height < a->grid_width ? a->grid_height : a->grid_width;
    if (set->window > shorter && !job->grid_open)
        return vx_fail(VITX_INVALID,
                       "occlusion: window=%d: the grid has %d x %d patches, a window has to fit",
                       set->window, a->grid_height, a->grid_width);
    set->window = set->window < shorter ? set->window : shorter; /* a picture's may be larger */
    set->stride = set->stride < shorter ? set->stride : shorter;
    set->down = windows(a->grid_height, set->window, set->stride);
    set->across = windows(a->grid_width, set->window, set->stride);
    vx_patches_prepare(job, (int64_t)set->down * set->across);
    return VITX_OK;
}

typedef struct sums {
    const settings *set;
    const vx_arch *arch;
    double value; /* of the picture */
    double *lost; /* [P] over the windows so far */
    int *covered; /* [P] by how many */
} sums;

static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    const sums *s = payload;
    const int gh = s->arch->grid_height, gw = s->arch->grid_width, window = s->set->window;
    const int top = (int)(v / s->set->across) * s->set->stride;
    const int left = (int)(v % s->set->across) * s->set->stride;
    memset(kept, 1, (size_t)gh * (size_t)gw);
    for (int y = top; y < top + window && y < gh; y++)
        for (int x = left; x < left + window && x < gw; x++)
            kept[y * gw + x] = 0;
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    sums *s = payload;
    (void)v;
    for (int p = 0; p < s->arch->grid_height * s->arch->grid_width; p++)
        if (!kept[p]) {
            s->lost[p] += s->value - score;
            s->covered[p]++;
        }
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vitx_hooks scratch = job->scratch;
    sums s = {.set = set, .arch = job->arch, .value = map->info.value};
    vx_map_saw(map, s.value);
    int status = vx_new(&s.lost, &scratch, map->count, sizeof *s.lost, "sums of patches");
    if (status == VITX_OK)
        status = vx_new(&s.covered, &scratch, map->count, sizeof *s.covered, "counts");
    if (status == VITX_OK)
        status = vx_patches_run_job(job, i, map, &set->removal, (int64_t)set->down * set->across,
                                    write_kept, take_score, &s);
    for (size_t p = 0; status == VITX_OK && p < map->count; p++)
        map->values[p] = (float)(s.lost[p] / s.covered[p]);
    vx_release(&scratch, s.lost);
    vx_release(&scratch, s.covered);
    return status;
}

static const vitx_method_option options[] = {
    {"window", "1", "1 to the grid's shorter side",
     "side of the square that is covered, in patches"},
    {"stride", "1", "1 to window", "step of the square, in patches"},
    VX_OPTION_REMOVE,
    VX_OPTION_BLUR,
};

const vx_method vx_method_occlusion = {
    .name = "occlusion",
    .summary = "what the score loses if a patch is covered",
    .cost = "1 forward, and 1 for each window, by default each patch",
    .reference = "Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks",
    .uses_target = true,
    .is_signed = true,
    .of_score = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
