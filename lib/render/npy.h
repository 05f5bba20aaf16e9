/* render/npy.h: NumPy files, of float32 in C order. */
#ifndef VX_RENDER_NPY_H
#define VX_RENDER_NPY_H

#include <stdint.h>

#include "base/sink.h"

/* The start of a file; rank 2 to 4. All its values are to follow. */
int vx_npy_header(vx_sink *out, const int64_t *shape, int rank);
int vx_npy_values(vx_sink *out, const float *values, size_t count);

#endif
