/*
 * kernels/cuda/host/graph.h: streams of the host twin and their graphs. A graph is a copy of what
 * was queued during a capture, done again each time it is launched. What a GPU does not allow
 * during a capture ends the process with a report.
 */
#ifndef VX_CUDA_HOST_GRAPH_H
#define VX_CUDA_HOST_GRAPH_H

#include "kernels/cuda/host/machine.h"
#include "kernels/cuda/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Errors, by CUDA's numbers. */
enum { VX_HOST_NOT_CAPTURED = 900, VX_HOST_INVALIDATED = 901 };

/* A stream's handle; NULL: no memory. */
void *vx_host_stream_make(void);
void vx_host_stream_free(void *handle);

/* Puts off what is copied to memory of the GPU, as a GPU may: until something else is queued on the
 * stream, it is waited for, or another one waits for it. Until then the memory holds 0xff. */
void vx_host_put_off(void *handle, void *to, const void *from, size_t bytes);
void vx_host_catch_up(void *handle);

/* Does run(args) now; during a capture of the stream, whenever the graph is launched, with a copy
 * of the arguments. _launch: with a machine of that shape. */
void vx_host_do(void *handle, void (*run)(void *), void *args, size_t bytes);
void vx_host_do_launch(void *handle, const vx_launch_shape *shape, void (*run)(void *), void *args,
                       size_t bytes);

/* Reports `what` if this thread captures; ..., if any does. */
void vx_host_no_capture(const char *what);
void vx_host_no_captures(const char *what);

/* runtime_host.cpp. A launch of a kernel, done or captured. */
void vx_host_launch(vx_gpu_stream *stream, const vx_launch_shape *shape, const void *function,
                    void (*run)(void *), void *args, size_t bytes);
/* Reports a stream that is not open, is another GPU's, or has a list. 0: it has failed. */
int vx_host_usable(vx_gpu_stream *stream, const char *what);

#ifdef __cplusplus
}
#endif

#endif
