/* explain/pixels.c: see pixels.h. */
#include "explain/pixels.h"

#include <string.h>

#include "engine/run.h"
#include "engine/variants.h"

int vx_setting_reduce(vx_reduce *out, const vx_settings *given)
{
    static const vx_reduce kinds[] = {VX_REDUCE_MAX, VX_REDUCE_L1, VX_REDUCE_MEAN, VX_REDUCE_L2,
                                      VX_REDUCE_SUM};
    int choice;
    VX_TRY(vx_setting_choice(&choice, given, "reduce"));
    *out = kinds[choice];
    return VITX_OK;
}

int vx_setting_grid(vx_grid *out, vx_job *job)
{
    int choice;
    VX_TRY(vx_setting_choice(&choice, &job->given, "grid"));
    *out = (vx_grid)choice;
    job->pixels = *out == VX_GRID_NONE;
    return VITX_OK;
}

void vx_pixels_pool(float *out, const float *plane, const vx_arch *a, int width, vx_grid grid)
{
    const double share = grid == VX_GRID_MEAN ? 1.0 / (a->patch_height * a->patch_width) : 1;
    for (int gy = 0; gy < a->grid_height; gy++)
        for (int gx = 0; gx < a->grid_width; gx++) {
            double sum = 0;
            for (int y = gy * a->patch_height; y < (gy + 1) * a->patch_height; y++)
                for (int x = gx * a->patch_width; x < (gx + 1) * a->patch_width; x++)
                    sum += plane[(size_t)y * (size_t)width + (size_t)x];
            *out++ = (float)(sum * share);
        }
}

void vx_pixels_reduce(const vx_job *job, vx_far *plane, const vx_far *g, const vx_far *x,
                      vx_reduce reduce)
{
    const int channels = job->arch->channels;
    job->dev->ops.reduce_channels(
        job->dev, &(vx_reduce_channels){.out = plane,
                                        .g = g,
                                        .x = x,
                                        .kind = reduce,
                                        .batch = 1,
                                        .targets = 1,
                                        .channels = channels,
                                        .n = (int64_t)vx_job_input_floats(job) / channels});
}

void vx_pixels_take(vitx_map *map, const vx_job *job, const float *plane, vx_grid grid)
{
    if (grid == VX_GRID_NONE)
        memcpy(map->values, plane, map->count * sizeof *plane);
    else
        vx_pixels_pool(map->values, plane, job->arch, job->recipe->input_width, grid);
}

int vx_pixels_map(vitx_map *map, float *host, const vx_job *job, vx_far *plane, const vx_far *g,
                  const vx_far *x, vx_reduce reduce, vx_grid grid)
{
    const size_t pixels = vx_job_input_floats(job) / (size_t)job->arch->channels;
    vx_pixels_reduce(job, plane, g, x, reduce);
    VX_TRY(vx_job_read(job, host, plane, pixels));
    vx_pixels_take(map, job, host, grid);
    return VITX_OK;
}

/* ------------------------------------------------------------------ variants -------------- */

void vx_walk_prepare(vx_job *job, int count)
{
    vitx_context *c = job->context;
    vx_plan *need = job->variants_need;
    need->targets = 1;
    need->pixels = true;
    const int at_once = vx_variants_at_once(c, need);
    job->variants = count < at_once ? count : at_once;
    job->variants_kept = true;
    const int64_t runs = (count - 1) / job->variants + 1;
    job->ticks += runs * (c->arch.depth + vx_pass_backward_ticks(need));
}

enum { FILL_FLOATS = 16384 }; /* of a task: noise takes some 0.2 ms for so many */

typedef struct filling {
    vitx_context *c;
    const vx_walk *walk;
    int first;
    size_t floats, tasks; /* of one variant */
} filling;

static void fill_part(void *arg, int i, int worker)
{
    (void)worker;
    const filling *f = arg;
    const int v = (int)((size_t)i / f->tasks);
    const size_t at = (size_t)i % f->tasks * FILL_FLOATS, left = f->floats - at;
    f->walk->fill(f->walk->payload, vx_variants_input(f->c, v) + at, f->first + v, at,
                  left < FILL_FLOATS ? left : FILL_FLOATS);
}

/* The variants first..first+n-1 filled in and run, and the gradients of their scores. Each has its
 * own answer, so each its own gradient of the logits. */
static int gradients(const vx_job *job, const vitx_map *map, const vx_walk *walk, int first, int n)
{
    vitx_context *c = job->context;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const size_t classes = (size_t)job->arch->classes, floats = vx_context_input_count(c);
    filling f = {c, walk, first, floats, (floats - 1) / FILL_FLOATS + 1};
    float *cotangents;
    if (vx_variants_on_device(c))
        walk->queue(walk->payload, job, vx_variants_input(c, 0), first, n);
    else
        vx_job_parallel(job, fill_part, &f, n * (int)f.tasks);
    VX_TRY(vx_variants_run_kept(c, n));
    VX_TRY(vx_new(&cotangents, &scratch, (size_t)n * classes, sizeof *cotangents,
                  "gradients of the logits"));
    for (size_t v = 0; v < (size_t)n; v++)
        vx_target_cotangent(cotangents + v * classes, vx_map_target(map),
                            c->variants.act.host.logits + v * classes,
                            c->variants.act.host.probabilities + v * classes, job->arch->classes);
    c->dev->cls->upload(c->dev, c->variants.plan.dlogits, cotangents,
                        (size_t)n * classes * sizeof *cotangents);
    const int status = vx_context_settle(c, vx_variants_backward(c, n));
    vx_release(&scratch, cotangents);
    return status;
}

int vx_walk_run(const vx_job *job, vitx_map *map, const vx_walk *walk)
{
    vitx_context *c = job->context;
    for (int at = 0; at < walk->count; at += job->variants) {
        const int left = walk->count - at, n = left < job->variants ? left : job->variants;
        VX_TRY(gradients(job, map, walk, at, n));
        walk->add(walk->payload, job, c->variants.plan.dinput, at, n);
    }
    map->info.forwards += walk->count;
    return vx_context_sync(c);
}

void vx_walk_add(const vx_job *job, vx_far *sum, const vx_far *gradients, const float *weights,
                 int n, bool squared)
{
    enum { MOST = 64 }; /* samples that an operation takes at once */
    const size_t floats = vx_job_input_floats(job);
    for (int at = 0; at < n; at += MOST)
        job->dev->ops.add_weighted(job->dev,
                                   &(vx_add_weighted){.sum = sum,
                                                      .x = gradients + (size_t)at * floats,
                                                      .weights = weights + at,
                                                      .squared = squared,
                                                      .groups = 1,
                                                      .samples = n - at < MOST ? n - at : MOST,
                                                      .n = (int64_t)floats});
}
