/* measure/patches.h: metrics that take patches away; explain/patches.h does it. */
#ifndef VX_MEASURE_PATCHES_H
#define VX_MEASURE_PATCHES_H

#include "explain/patches.h"
#include "measure/metric.h"

/* For prepare: reads VX_OPTION_REMOVE and VX_OPTION_BLUR; run() will go through `n` variants. */
int vx_trial_patches(vx_trial *trial, vx_removal *removal, int64_t n);
/* As vx_patches_run on the picture. The score is, with `followed`, what curves are of, else what
 * the map explains. Adds to evaluation->info.forwards. */
int vx_trial_run_patches(const vx_trial *trial, vitx_evaluation *evaluation, bool followed,
                         const vx_removal *removal, int64_t n, vx_patches_write_kept *write_kept,
                         vx_patches_take_score *take_score, void *payload);

#endif
