/*
 * test/cuda_bed.h: the device that the tests of the CUDA device run on: its host twin, or, with
 * VX_TEST_CUDA, a GPU. The tests read and write its memory by upload and download alone.
 *
 *      build/release/test_cuda                                          the twin
 *      VX_TEST_CUDA=build/libvitx-cuda.so.0 build/release/test_cuda     the plug-in's first GPU
 */
#ifndef VX_TEST_CUDA_BED_H
#define VX_TEST_CUDA_BED_H

#include "kernels/device.h"
#include "util.h"

/* Fails the test if there is no such device. */
const vx_device_class *cuda_class(void);

/* Whether a GPU is wished. */
bool cuda_wished(void);
/* Whether it is the twin. What asks its machine for something (vx_machine_fail_launch and others)
 * is skipped on a GPU, with a line that names `what`. */
bool cuda_is_twin(const char *what);

/* malloc and free, one worker, GPU `ordinal`. */
vx_device_env cuda_env(int ordinal);

/* Opens it, and reserves. */
vx_device *cuda_open(int ordinal, const char *precision, unsigned features, const vx_dims *dims);
void cuda_sync(vx_device *dev);

/* Memory of the device between guards of its own. A piece begins `skip` bytes further than it would
 * be aligned. host NULL: it is filled with a pattern. */
typedef struct cuda_piece {
    vx_device *dev;
    char *memory;
    size_t bytes, skip;
} cuda_piece;
cuda_piece cuda_send(vx_device *dev, const void *host, size_t bytes, size_t skip);
void *cuda_at(const cuda_piece *piece);
/* Waits for what is queued, and fails the test if something was written beside the piece. */
void cuda_fetch(void *host, const cuda_piece *piece, const char *what);
void cuda_free(cuda_piece *piece);

#endif
