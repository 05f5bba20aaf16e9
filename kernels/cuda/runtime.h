/*
 * kernels/cuda/runtime.h: GPUs, their memory and streams, as plain functions. The plug-in has them
 * over the CUDA runtime (runtime_cuda.cu), the host twin over the processor
 * (host/runtime_host.cpp).
 *
 * Functions that return int give 0 or an error's number; vx_gpu_error_name and vx_gpu_error_text
 * say what it is. What is queued on a stream returns nothing: the stream keeps the first error, and
 * vx_gpu_sync reports it.
 *
 * Threads: a GPU is chosen for each thread of the system by vx_gpu_use. A stream belongs to the GPU
 * that was chosen when it was made, and is used by one thread at a time, after vx_gpu_use.
 */
#ifndef VX_CUDA_RUNTIME_H
#define VX_CUDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* What the device is called, and the object of its class. */
#ifdef __CUDACC__
#define VX_GPU_NAME "cuda"
#define VX_GPU_CLASS vx_device_cuda_plugin
#else
#define VX_GPU_NAME "cuda-host"
#define VX_GPU_CLASS vx_device_cuda_host
#endif

/* Numbers of errors of CUDA, for failures that are not of the runtime. */
enum { VX_GPU_NO_ROOM = 1, VX_GPU_LAUNCH_FAILED = 719 };

#ifdef __cplusplus
extern "C" {
#endif

/* A queue of copies and kernels. The members are the runtime's. */
typedef struct vx_gpu_stream {
    void *handle;     /* what other libraries take: a cudaStream_t */
    void *mark;       /* how far others wait (vx_gpu_wait)         */
    int ordinal;      /* the GPU's                                 */
    int error;        /* the first since the last sync             */
    const char *what; /* that failed                               */
    /* list.h: launches become entries of this list; NULL: they are queued. Nothing that follows
     * here looks at it but VX_LAUNCH: while there is one, nothing else may be queued. */
    struct vx_lists *list;
} vx_gpu_stream;

typedef struct vx_gpu_info {
    char name[256];
    int major, minor;   /* compute capability                 */
    int processors;     /* streaming multiprocessors          */
    size_t block_bytes; /* shared memory that a block may have */
    size_t memory_free, memory_total;
} vx_gpu_info;

/* clang-format off */
int vx_gpu_count(int *count);
/* As 1000 major + 10 minor: the newest CUDA that the driver knows, 0 if there is no driver; the
 * CUDA that this was built with. */
void vx_gpu_versions(int *driver, int *built);
int vx_gpu_describe(int ordinal, vx_gpu_info *out);
/* Its compute capability, without starting anything on it. */
int vx_gpu_capability(int ordinal, int *major, int *minor);
int vx_gpu_use(int ordinal);
const char *vx_gpu_error_name(int error);
const char *vx_gpu_error_text(int error);
/* Nonzero: the error says that memory ran out. */
int vx_gpu_no_memory(int error);

/* Memory of the GPU that is chosen, 256-byte aligned; bytes 0: NULL. Free waits for what is queued,
 * and takes NULL. */
int vx_gpu_alloc(void **out, size_t bytes);
void vx_gpu_free(void *memory);
/* Memory of the host that a GPU reads and writes by itself (pinned). Copies from and to other
 * memory of the host may wait. */
int vx_gpu_host_alloc(void **out, size_t bytes);
void vx_gpu_host_free(void *memory);

int vx_gpu_stream_open(vx_gpu_stream *stream);
/* Waits for what is queued. A stream of zeros may be closed, too. */
void vx_gpu_stream_close(vx_gpu_stream *stream);
void vx_gpu_upload(vx_gpu_stream *stream, void *gpu, const void *host, size_t bytes);
void vx_gpu_download(vx_gpu_stream *stream, void *host, const void *gpu, size_t bytes);
void vx_gpu_copy(vx_gpu_stream *stream, void *gpu, const void *gpu_from, size_t bytes);
void vx_gpu_fill(vx_gpu_stream *stream, void *gpu, int byte, size_t bytes);
/* Queues on `stream` that it goes on when all is done that is queued on `other`, of the same
 * GPU. */
void vx_gpu_wait(vx_gpu_stream *stream, vx_gpu_stream *other);
/* Waits for everything queued. @return the first error since the last call, which is forgotten
 * then; what was queued after it may not have been done. *what: the kernel or the copy that failed.
 * An error of a kernel at work may be found by what comes after it, and stays for good. */
int vx_gpu_sync(vx_gpu_stream *stream, const char **what);
/* Keeps an error of somebody else who queues on the stream. what: a constant. */
void vx_gpu_fail(vx_gpu_stream *stream, int error, const char *what);

/* What is queued between the two does not run, but becomes a graph, which may be launched on this
 * stream as often as one likes. The thread neither allocates nor waits meanwhile, and copies
 * nothing from or to the host. end, after begin has given 0: *graph is NULL with an error, also one
 * that the stream has kept since begin, which is forgotten then. */
int vx_gpu_capture_begin(vx_gpu_stream *stream);
int vx_gpu_capture_end(vx_gpu_stream *stream, void **graph);
void vx_gpu_graph_launch(vx_gpu_stream *stream, void *graph);
/* It may be at work; NULL is taken, too. */
void vx_gpu_graph_destroy(void *graph);

/* Lets a kernel have all the shared memory that a block of the chosen GPU may have. */
int vx_gpu_allow_shared(const void *function);
/* The same, asked of GPU `ordinal`, which is chosen, once for a function. list.cu; any thread. */
int vx_shared_allow(int ordinal, const void *function);

/* For VX_LAUNCH. 0: the stream has failed. */
int vx_gpu_may_launch(vx_gpu_stream *stream, const char *kernel, const void *function,
                      size_t shared_bytes);
void vx_gpu_launched(vx_gpu_stream *stream, const char *kernel);
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif
