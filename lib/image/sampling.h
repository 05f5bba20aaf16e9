/*
 * image/sampling.h: vx_preprocess in two halves, for a device that has the operation `resample`
 * (kernels/resample.h). The host chooses pixels and computes weights, the device does the sums: the
 * same bits.
 */
#ifndef VX_IMAGE_SAMPLING_H
#define VX_IMAGE_SAMPLING_H

#include "image/resize.h"
#include "kernels/ops.h"

/* One axis of a part, resampled by the operation `resample`, with the sums that vx_resize_part_u8
 * takes, or (unrounded) vx_resize_part_f32. */
typedef struct vx_sampled_axis {
    int in, out, from, n; /* pixels from..from+n-1 of `in` that become `out` */
    vitx_filter filter;
    bool unrounded;
    /* By vx_sampled_axis_measure: the inputs that they are made of (at least one), and room for
     * the weights of one. */
    int first, count, stride;
} vx_sampled_axis;

void vx_sampled_axis_measure(vx_sampled_axis *axis);
size_t vx_sampled_axis_bytes(const vx_sampled_axis *axis); /* a multiple of 8 */
/* Writes so many bytes to `memory`, aligned to 8. The result is for their copy at `far`, and counts
 * inputs from axis->first on. */
vx_taps vx_sampled_axis_fill(const vx_sampled_axis *axis, void *memory, const void *far);

/* What a picture takes to become an input. */
typedef struct vx_sampling {
    const vitx_image *image;
    vx_sampled_axis x, y;
    int left, top; /* of the picture in the input */
    bool down_first;
    size_t bytes; /* what the device is sent: weights, and the pixels that are used; a multiple of
                   * 16 */
    size_t room;  /* between the passes, on the device; a multiple of 16 */
} vx_sampling;

void vx_sampling_plan(vx_sampling *out, const vitx_image *image, const vitx_recipe *recipe,
                      const vx_placement *placement);
/* Writes sampling->bytes bytes to `memory`, aligned to 16, whose copy on the device will lie at
 * `far`. room: sampling->room bytes of the device. Any number of threads. */
void vx_sampling_fill(vx_resampled *out, const vx_sampling *sampling, void *memory, const void *far,
                      void *room);
/* Sets what the operation has of recipe and placement, which all pictures of a batch share. */
void vx_sampling_normalise(vx_resample *out, const vitx_recipe *recipe,
                           const vx_placement *placement);

#endif
