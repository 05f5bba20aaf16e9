/*
 * measure/curve.h: what insertion and deletion share.
 *
 * Both walk from one input to another, taking pixels (or patches) in the order of the map, largest
 * first, equal ones from the top left on; after every step the model is asked again. With p_0..p_n
 * the probability of the map's class after each step
 *
 *      AUC = (p_0 / 2 + p_1 + ... + p_(n-1) + p_n / 2) / n
 *
 * between 0 and 1.
 */
#ifndef VX_MEASURE_CURVE_H
#define VX_MEASURE_CURVE_H

#include "explain/patches.h"
#include "measure/metric.h"

typedef enum vx_substrate {
    VX_SUBSTRATE_MEAN = 0, /* 0 in normalised space */
    VX_SUBSTRATE_BLACK,
    VX_SUBSTRATE_WHITE,
    VX_SUBSTRATE_BLUR /* RISE's */
} vx_substrate;

typedef struct vx_pixel_walk {
    vx_substrate substrate;
    int step;    /* pixels */
} vx_pixel_walk; /* a metric's settings */

#define VX_OPTION_STEP                                                                             \
    {                                                                                              \
        "step", "row", "row, or 1 and more",                                                       \
            "pixels that change between two points; row: as many as the input is wide"             \
    }
#define VX_OPTION_SUBSTRATE(fallback, help)                                                        \
    {                                                                                              \
        "fill", fallback, "mean|black|white|blur", help                                            \
    }

int vx_pixel_walk_prepare(vx_trial *trial);
/* insert: from the substrate to the picture, else from the picture to the substrate. */
int vx_pixel_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert);

typedef struct vx_patch_walk {
    vx_removal removal;
} vx_patch_walk; /* a metric's settings */

/* Options: VX_OPTION_REMOVE and VX_OPTION_BLUR. */
int vx_patch_walk_prepare(vx_trial *trial);
int vx_patch_walk_run(const vx_trial *trial, vitx_evaluation *out, bool insert);

#endif
