/*
 * explain/baseline.h: the picture that says nothing: what integrated gradients starts from, and
 * what the perturbing methods put in place of parts of the picture.
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

/* Reads the option `key`, whose values are the first words of the list above in that order
 * ("mean|black|white|blur"), and the option VX_OPTION_BLUR. The seed is the caller's to set. */
int vx_setting_baseline(vx_baseline *out, const vx_settings *given, const char *key);
/* clang-format off */
#define VX_OPTION_BLUR                                                                             \
    { "sigma", "8", "0 to 256", "standard deviation of the blur, in pixels of the model's input" }
/* clang-format on */

/* Whether it is made of the picture's own input. */
static inline bool vx_baseline_reads(const vx_baseline *baseline)
{
    return baseline->kind == VX_BASELINE_BLUR || baseline->kind == VX_BASELINE_NOISE;
}
/* Fills out [C,H,W] for the picture whose input [C,H,W] on the host is given (NULL, if it is not
 * read). Any kind but VX_BASELINE_PICTURE. */
int vx_baseline_fill(float *out, const vx_baseline *baseline, vitx_context *c, const float *input);
/* The same for picture `i` of the batch, whose map is `map`, with the job's baseline picture if
 * that is the kind. VITX_INVALID if it is of another size than the explained picture. */
int vx_baseline_fill_job(float *out, const vx_baseline *baseline, const vx_job *job, int i,
                         const vitx_map *map);

#endif
