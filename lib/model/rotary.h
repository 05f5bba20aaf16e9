/*
 * model/rotary.h: the angles of rotary positions (Su et al. 2021, arXiv:2104.09864; in two
 * dimensions Heo et al. 2024, arXiv:2403.13298), made anew for each grid.
 */
#ifndef VX_MODEL_ROTARY_H
#define VX_MODEL_ROTARY_H

#include <stddef.h>

#include "model/arch.h"

/* Floats of the tables for the arch's grid; 0: it rotates nothing. Sizes of a model that was opened
 * are bounded. */
size_t vx_rotary_floats(const vx_arch *a);

/* The same of one block's table, 0 where all blocks share one. */
size_t vx_rotary_step(const vx_arch *a);

/* Heads whose tables differ: 1, or all. */
int vx_rotary_tables(const vx_arch *a);

/*
 * Fills `out` as operation rotate reads it: [patches,E], or of VX_ROTATE_LEARNT
 * [depth,patches,H,E]. Of E/2 angles (k = 0..E/4-1; u of the row, or of the column where the
 * columns are first, then v of the other)
 *   GRID     u base^(-4k/E),       u = (index + offset) / size * reference, or without a reference
 *                                  index + offset
 *   CENTRED  2 pi u base^(-4k/E),  u = 2 (index + 1/2 + offset) / size - 1
 * and of LEARNT angle i is u f[0,block,head,i] + v f[1,block,head,i], frequencies f
 * [2,depth,H,E/2]. In double; cosines and sines are rounded once.
 */
void vx_rotary_fill(float *out, const vx_arch *a, const float *frequencies);

#endif
