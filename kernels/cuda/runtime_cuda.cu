/*
 * kernels/cuda/runtime_cuda.cu: runtime.h over the CUDA runtime.
 */
#include "kernels/cuda/runtime.h"

#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

static cudaStream_t queue(const vx_gpu_stream *stream)
{
    return (cudaStream_t)stream->handle;
}

/* The runtime keeps the last error of a call as well: it is taken back, so that no launch finds it
 * and counts as failed. */
static int reported(cudaError_t error)
{
    if (error != cudaSuccess)
        cudaGetLastError();
    return error;
}

int vx_gpu_count(int *count)
{
    *count = 0;
    return reported(cudaGetDeviceCount(count));
}

void vx_gpu_versions(int *driver, int *built)
{
    *driver = 0;
    *built = CUDART_VERSION;
    reported(cudaDriverGetVersion(driver));
}

int vx_gpu_describe(int ordinal, vx_gpu_info *out)
{
    cudaDeviceProp has;
    int error = reported(cudaGetDeviceProperties(&has, ordinal));
    if (error)
        return error;
    snprintf(out->name, sizeof out->name, "%s", has.name);
    out->major = has.major;
    out->minor = has.minor;
    out->processors = has.multiProcessorCount;
    out->block_bytes = has.sharedMemPerBlockOptin;
    error = reported(cudaSetDevice(ordinal));
    return error ? error : reported(cudaMemGetInfo(&out->memory_free, &out->memory_total));
}

int vx_gpu_capability(int ordinal, int *major, int *minor)
{
    const int error =
        reported(cudaDeviceGetAttribute(major, cudaDevAttrComputeCapabilityMajor, ordinal));
    if (error)
        return error;
    return reported(cudaDeviceGetAttribute(minor, cudaDevAttrComputeCapabilityMinor, ordinal));
}

int vx_gpu_use(int ordinal)
{
    return reported(cudaSetDevice(ordinal));
}

const char *vx_gpu_error_name(int error)
{
    return cudaGetErrorName((cudaError_t)error);
}

const char *vx_gpu_error_text(int error)
{
    return cudaGetErrorString((cudaError_t)error);
}

int vx_gpu_no_memory(int error)
{
    return error == cudaErrorMemoryAllocation;
}

int vx_gpu_alloc(void **out, size_t bytes)
{
    *out = NULL;
    return bytes ? reported(cudaMalloc(out, bytes)) : 0;
}

void vx_gpu_free(void *memory)
{
    if (memory)
        reported(cudaFree(memory));
}

int vx_gpu_host_alloc(void **out, size_t bytes)
{
    *out = NULL;
    return bytes ? reported(cudaHostAlloc(out, bytes, cudaHostAllocDefault)) : 0;
}

void vx_gpu_host_free(void *memory)
{
    if (memory)
        reported(cudaFreeHost(memory));
}

int vx_gpu_stream_open(vx_gpu_stream *stream)
{
    cudaStream_t handle = NULL;
    memset(stream, 0, sizeof *stream);
    int error = reported(cudaGetDevice(&stream->ordinal));
    if (!error)
        error = reported(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking));
    stream->handle = handle;
    return error;
}

void vx_gpu_stream_close(vx_gpu_stream *stream)
{
    if (stream->handle) {
        reported(cudaStreamSynchronize(queue(stream)));
        reported(cudaStreamDestroy(queue(stream)));
    }
    if (stream->mark)
        reported(cudaEventDestroy((cudaEvent_t)stream->mark));
    memset(stream, 0, sizeof *stream);
}

void vx_gpu_fail(vx_gpu_stream *stream, int error, const char *what)
{
    if (!error || stream->error)
        return;
    stream->error = error;
    stream->what = what;
}

static void copy(vx_gpu_stream *stream, void *to, const void *from, size_t bytes,
                 cudaMemcpyKind kind, const char *what)
{
    if (bytes && !stream->error)
        vx_gpu_fail(stream, reported(cudaMemcpyAsync(to, from, bytes, kind, queue(stream))), what);
}

void vx_gpu_upload(vx_gpu_stream *stream, void *gpu, const void *host, size_t bytes)
{
    copy(stream, gpu, host, bytes, cudaMemcpyHostToDevice, "copy to the GPU");
}

void vx_gpu_download(vx_gpu_stream *stream, void *host, const void *gpu, size_t bytes)
{
    copy(stream, host, gpu, bytes, cudaMemcpyDeviceToHost, "copy from the GPU");
}

void vx_gpu_copy(vx_gpu_stream *stream, void *gpu, const void *gpu_from, size_t bytes)
{
    copy(stream, gpu, gpu_from, bytes, cudaMemcpyDeviceToDevice, "copy on the GPU");
}

void vx_gpu_fill(vx_gpu_stream *stream, void *gpu, int byte, size_t bytes)
{
    if (bytes && !stream->error)
        vx_gpu_fail(stream, reported(cudaMemsetAsync(gpu, byte, bytes, queue(stream))), "fill");
}

/* The mark is made once, and set again each time: who waits, waits for what it was then. */
static int set_mark(vx_gpu_stream *stream)
{
    cudaEvent_t made = NULL;
    int error = 0;
    if (!stream->mark) {
        error = reported(cudaEventCreateWithFlags(&made, cudaEventDisableTiming));
        stream->mark = made;
    }
    return error ? error : reported(cudaEventRecord((cudaEvent_t)stream->mark, queue(stream)));
}

void vx_gpu_wait(vx_gpu_stream *stream, vx_gpu_stream *other)
{
    if (stream->error)
        return;
    int error = set_mark(other);
    if (!error)
        error = reported(cudaStreamWaitEvent(queue(stream), (cudaEvent_t)other->mark, 0));
    vx_gpu_fail(stream, error, "wait");
}

int vx_gpu_sync(vx_gpu_stream *stream, const char **what)
{
    vx_gpu_fail(stream, reported(cudaStreamSynchronize(queue(stream))), "queue");
    const int error = stream->error;
    if (what)
        *what = stream->what;
    stream->error = 0;
    stream->what = NULL;
    return error;
}

/* Another thread may do what it likes, but for waiting for the whole GPU. */
int vx_gpu_capture_begin(vx_gpu_stream *stream)
{
    return reported(cudaStreamBeginCapture(queue(stream), cudaStreamCaptureModeThreadLocal));
}

int vx_gpu_capture_end(vx_gpu_stream *stream, void **graph)
{
    cudaGraph_t list = NULL;
    cudaGraphExec_t made = NULL;
    const int ended = reported(cudaStreamEndCapture(queue(stream), &list));
    int error = stream->error ? stream->error : ended;
    stream->error = 0;
    stream->what = NULL;
    if (!error)
        error = reported(cudaGraphInstantiateWithFlags(&made, list, 0));
    if (list)
        reported(cudaGraphDestroy(list));
    *graph = error ? NULL : made;
    return error;
}

void vx_gpu_graph_launch(vx_gpu_stream *stream, void *graph)
{
    if (!stream->error)
        vx_gpu_fail(stream, reported(cudaGraphLaunch((cudaGraphExec_t)graph, queue(stream))),
                    "graph");
}

/* One that is at work ends its work (the driver's manual, cuGraphExecDestroy). */
void vx_gpu_graph_destroy(void *graph)
{
    if (graph)
        reported(cudaGraphExecDestroy((cudaGraphExec_t)graph));
}

/* It is always the same number: the attribute belongs to the kernel, not to the stream, so a
 * smaller one, set by another thread between this call and the launch, would make the launch
 * fail. */
int vx_gpu_allow_shared(const void *function)
{
    int ordinal = 0, most = 0;
    int error = reported(cudaGetDevice(&ordinal));
    if (!error)
        error = reported(
            cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal));
    if (error)
        return error;
    return reported(
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
}

/* More than 48 KiB of shared memory are asked for kernel by kernel. More than there is makes the
 * launch fail. */
int vx_gpu_may_launch(vx_gpu_stream *stream, const char *kernel, const void *function,
                      size_t shared_bytes)
{
    if (!stream->error && shared_bytes > 48 * 1024)
        vx_gpu_fail(stream, vx_shared_allow(stream->ordinal, function), kernel);
    return !stream->error;
}

void vx_gpu_launched(vx_gpu_stream *stream, const char *kernel)
{
    vx_gpu_fail(stream, cudaGetLastError(), kernel);
}
