/*
 * measure/impute.h: pixels that are not known from those that are.
 *
 * As ROAD does it (Rong et al. 2022, noisy linear imputation): an unknown pixel is the weighted
 * mean of its neighbours, with 1/6 for the four beside it and 1/12 for the four at its corners,
 * those beyond the edge left out:
 *
 *      (sum of its w_ij) x_i - sum over unknown j of w_ij x_j = sum over known j of w_ij x_j
 *
 * The matrix is symmetric and, where any pixel is known, positive definite: conjugate gradients.
 */
#ifndef VX_MEASURE_IMPUTE_H
#define VX_MEASURE_IMPUTE_H

#include <stddef.h>
#include <stdint.h>

/* The doubles that one imputation needs as room. */
size_t vx_impute_room(int height, int width);

/* Replaces the pixels of plane [height,width] where unknown [height,width] is nonzero; at least one
 * is known. The residual is then below 1e-7 of its right-hand side. */
void vx_impute(float *plane, const uint8_t *unknown, int height, int width, double *room);

#endif
