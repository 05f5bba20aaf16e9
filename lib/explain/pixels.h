/*
 * explain/pixels.h: what the methods on gradients of pixels share: channels made one, pixels pooled
 * to patches, and the gradients of many variants of a picture.
 */
#ifndef VX_EXPLAIN_PIXELS_H
#define VX_EXPLAIN_PIXELS_H

#include "explain/method.h"

typedef enum vx_grid { VX_GRID_NONE = 0, VX_GRID_MEAN, VX_GRID_SUM } vx_grid;

/* clang-format off */
#define VX_OPTION_REDUCE                                                                           \
    { "reduce", "max", "max|sum|mean|l2|signed",                                                   \
      "what is taken of a pixel's channels: largest, sum or mean of magnitudes, norm, signed sum" }
#define VX_OPTION_GRID                                                                             \
    { "grid", "none", "none|mean|sum", "pools the pixels to the model's patches" }
/* clang-format on */

int vx_setting_reduce(vx_reduce *out, const vx_settings *given);
/* Sets job->pixels as well: a pooled map has the size of the grid. */
int vx_setting_grid(vx_grid *out, vx_job *job);

/* A plane [H,W] pooled to patches: out [gh,gw]. Pixels beyond the last whole patch belong to
 * none. */
void vx_pixels_pool(float *out, const float *plane, const vx_arch *a, int width, vx_grid grid);

/* Channels of g [C,H,W], times x unless x is NULL, reduced into `plane` [H,W]: all device
 * memory. */
void vx_pixels_reduce(const vx_job *job, vx_far *plane, const vx_far *g, const vx_far *x,
                      vx_reduce reduce);
/* That plane, now on the host, pooled or as it is into map->values. */
void vx_pixels_take(vitx_map *map, const vx_job *job, const float *plane, vx_grid grid);
/* The one and the other for one map; host [H,W] gets the plane. */
int vx_pixels_map(vitx_map *map, float *host, const vx_job *job, vx_far *plane, const vx_far *g,
                  const vx_far *x, vx_reduce reduce, vx_grid grid);

/*
 * The gradients of `count` variants of a picture, some at a time. They are made by the host or by
 * the device (explain/variants.h): fill writes `floats` values from `at` on of variant v's input
 * [C,H,W] to out, called by several workers at once; queue queues operations that write the inputs
 * of variants first..first+n-1 to `to`. add takes the gradients of these, [n,C,H,W] in device
 * memory, which it may change.
 */
typedef struct vx_walk {
    int count;
    void (*fill)(const void *payload, float *out, int v, size_t at, size_t floats);
    void (*queue)(const void *payload, const vx_job *job, vx_far *to, int first, int n);
    void (*add)(void *payload, const vx_job *job, vx_far *gradients, int first, int n);
    void *payload;
} vx_walk;

/* For prepare: what a walk over so many variants needs. */
void vx_walk_prepare(vx_job *job, int count);
/* Adds what was run to map->info.forwards. */
int vx_walk_run(const vx_job *job, vitx_map *map, const vx_walk *walk);
/* For add: sum [C,H,W] += over v of weights[v] * gradients[v], or of their squares. weights [n] is
 * host memory. */
void vx_walk_add(const vx_job *job, vx_far *sum, const vx_far *gradients, const float *weights,
                 int n, bool squared);

#endif
