/*
 * explain/baseline.h: the picture that says nothing: what integrated gradients starts from, and what
 * the perturbing methods put in place of parts of the picture.
 *
 * All are normalised inputs [C,H,W] on the host:
 *      mean     0: the mean colour of the model's training pictures
 *      black    pixel value 0 through the recipe's scale, mean and std; white: 255
 *      blur     the picture's own input through a Gaussian, edge pixels repeated (as SciPy's
 *               gaussian_filter with mode="nearest")
 *      noise    uniform between the smallest and the largest value of each channel of that input
 *      picture  vitx_explain_opts.baseline through the same recipe
 */
#ifndef VX_EXPLAIN_BASELINE_H
#define VX_EXPLAIN_BASELINE_H

#include "explain/method.h"

typedef enum vx_baseline_kind {
    VX_BASELINE_MEAN = 0,
    VX_BASELINE_BLACK,
    VX_BASELINE_WHITE,
    VX_BASELINE_BLUR,
    VX_BASELINE_NOISE,
    VX_BASELINE_PICTURE
} vx_baseline_kind;

typedef struct vx_baseline {
    vx_baseline_kind kind;
    double sigma; /* of the blur: standard deviation in pixels of the input */
    int seed;     /* of the noise */
} vx_baseline;

/* Reads the method's option `key`, whose values are the first words of the list above in that order
 * ("mean|black|white|blur"), and its option VX_OPTION_BLUR. The seed is the caller's to set.
 * VITX_INVALID too where a picture is needed and none is given. */
int vx_setting_baseline(vx_baseline *out, const vx_job *job, const char *key);
/* clang-format off */
#define VX_OPTION_BLUR                                                                             \
    { "sigma", "8", "0 to 256", "standard deviation of the blur, in pixels of the model's input" }
/* clang-format on */

/* Fills out [C,H,W] for picture `i` of the batch; map is that picture's. VITX_INVALID where the
 * baseline picture is of another size than the explained one. */
int vx_baseline_fill(float *out, const vx_baseline *baseline, const vx_job *job, int i,
                     const vitx_map *map);

#endif
