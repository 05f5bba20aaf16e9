/*
 * kernels/cuda/host/runtime_host.cpp: runtime.h for the host twin. What is queued is done at once.
 * Memory of a twin's GPU has its very size, with bytes around it that nobody may write; at first
 * all of it is 0xff, which is a NaN. Copies look whether their memory is the GPU's, and this GPU's.
 */
#include "kernels/cuda/runtime.h"

#include "kernels/cuda/host/fiber.h"
#include "kernels/cuda/host/graph.h"
#include "kernels/cuda/host/machine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers as CUDA's. */
enum {
    INVALID_VALUE = 1,
    NO_MEMORY = 2,
    INVALID_CONFIGURATION = 9,
    NO_GPU = 100,
    INVALID_GPU = 101,
    LAUNCH_FAILED = 719
};

enum { ALIGNED = 256, GUARD = VX_UNDER_ASAN ? 0 : 64, FRONT = VX_UNDER_ASAN ? 0 : ALIGNED };

/* A piece of a GPU's memory, or pinned memory of the host (ordinal -1). */
struct piece {
    piece *next;
    unsigned char *at;
    size_t bytes;
    int ordinal;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static piece *pieces;
static int gpus = 1;
static size_t gpu_bytes = (size_t)16 << 30;
static __thread int chosen;

void vx_machine_gpus(int count, size_t bytes)
{
    pthread_mutex_lock(&lock);
    gpus = count;
    gpu_bytes = bytes;
    pthread_mutex_unlock(&lock);
}

static int count_gpus()
{
    pthread_mutex_lock(&lock);
    const int n = gpus;
    pthread_mutex_unlock(&lock);
    return n;
}

int vx_gpu_count(int *count)
{
    *count = count_gpus();
    return *count ? 0 : NO_GPU;
}

void vx_gpu_versions(int *driver, int *built)
{
    *driver = *built = 13000;
}

/* With the lock. */
static size_t used(int ordinal)
{
    size_t sum = 0;
    for (const piece *p = pieces; p; p = p->next)
        sum += p->ordinal == ordinal ? p->bytes : 0;
    return sum;
}

int vx_gpu_describe(int ordinal, vx_gpu_info *out)
{
    if (ordinal < 0 || ordinal >= count_gpus())
        return INVALID_GPU;
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "host twin %d", ordinal);
    out->major = 9;
    out->processors = 132;
    out->block_bytes = 232448;
    pthread_mutex_lock(&lock);
    out->memory_total = gpu_bytes;
    out->memory_free = gpu_bytes - used(ordinal);
    pthread_mutex_unlock(&lock);
    return 0;
}

int vx_gpu_capability(int ordinal, int *major, int *minor)
{
    *major = 9;
    *minor = 0;
    return ordinal < 0 || ordinal >= count_gpus() ? INVALID_GPU : 0;
}

int vx_gpu_use(int ordinal)
{
    if (ordinal < 0 || ordinal >= count_gpus())
        return INVALID_GPU;
    chosen = ordinal;
    return 0;
}

static const struct {
    int number;
    const char *name, *text;
} errors[] = {
    {0, "cudaSuccess", "no error"},
    {INVALID_VALUE, "cudaErrorInvalidValue", "invalid argument"},
    {NO_MEMORY, "cudaErrorMemoryAllocation", "out of memory"},
    {INVALID_CONFIGURATION, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {NO_GPU, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {INVALID_GPU, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {LAUNCH_FAILED, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {VX_HOST_NOT_CAPTURED, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {VX_HOST_INVALIDATED, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
};

const char *vx_gpu_error_name(int error)
{
    for (const auto &e : errors)
        if (e.number == error)
            return e.name;
    return "unrecognized error code";
}

const char *vx_gpu_error_text(int error)
{
    for (const auto &e : errors)
        if (e.number == error)
            return e.text;
    return "unrecognized error code";
}

int vx_gpu_no_memory(int error)
{
    return error == NO_MEMORY;
}

/* ---------------------------------------------- memory --------------------------------------- */

static void check_guard(const piece *p, const char *when)
{
    for (int i = 0; i < GUARD; i++) {
        if (p->at[-1 - i] != 0xff)
            vx_machine_stop(NULL, 0, "%s: byte -%d of memory of %zu bytes was written", when, 1 + i,
                            p->bytes);
        if (p->at[p->bytes + (size_t)i] != 0xff)
            vx_machine_stop(NULL, 0, "%s: byte %zu of memory of %zu bytes was written", when,
                            p->bytes + (size_t)i, p->bytes);
    }
}

void vx_machine_check_guards(const char *kernel)
{
    pthread_mutex_lock(&lock);
    for (const piece *p = pieces; p; p = p->next)
        check_guard(p, kernel);
    pthread_mutex_unlock(&lock);
}

static int take(void **out, size_t bytes, int ordinal)
{
    void *memory = NULL;
    vx_host_no_capture("memory is allocated");
    *out = NULL;
    if (!bytes)
        return 0;
    pthread_mutex_lock(&lock);
    const int fits = ordinal < 0 || bytes <= gpu_bytes - used(ordinal);
    pthread_mutex_unlock(&lock);
    piece *p = fits ? (piece *)malloc(sizeof *p) : NULL;
    if (!p || posix_memalign(&memory, ALIGNED, FRONT + bytes + GUARD) != 0) {
        free(p);
        return NO_MEMORY;
    }
    memset(memory, 0xff, FRONT + bytes + GUARD);
    p->at = (unsigned char *)memory + FRONT;
    p->bytes = bytes;
    p->ordinal = ordinal;
    pthread_mutex_lock(&lock);
    p->next = pieces;
    pieces = p;
    pthread_mutex_unlock(&lock);
    *out = p->at;
    return 0;
}

static void give_back(void *memory, const char *what)
{
    if (!memory)
        return;
    vx_host_no_capture(what);
    pthread_mutex_lock(&lock);
    piece **at = &pieces;
    while (*at && (*at)->at != memory)
        at = &(*at)->next;
    piece *p = *at;
    if (p)
        *at = p->next;
    pthread_mutex_unlock(&lock);
    if (!p)
        vx_machine_stop(NULL, 0, "%s: %p was not allocated", what, memory);
    check_guard(p, what);
    free(p->at - FRONT);
    free(p);
}

int vx_gpu_alloc(void **out, size_t bytes)
{
    return take(out, bytes, chosen);
}

void vx_gpu_free(void *memory)
{
    give_back(memory, "vx_gpu_free");
}

int vx_gpu_host_alloc(void **out, size_t bytes)
{
    return take(out, bytes, -1);
}

void vx_gpu_host_free(void *memory)
{
    give_back(memory, "vx_gpu_host_free");
}

/* ---------------------------------------------- the queue ------------------------------------ */

int vx_gpu_stream_open(vx_gpu_stream *stream)
{
    vx_host_no_capture("vx_gpu_stream_open");
    memset(stream, 0, sizeof *stream);
    stream->handle = vx_host_stream_make(); /* so that a stream that is not closed is a leak */
    stream->ordinal = chosen;
    return stream->handle ? 0 : NO_MEMORY;
}

void vx_gpu_stream_close(vx_gpu_stream *stream)
{
    vx_host_no_capture("vx_gpu_stream_close");
    vx_host_stream_free(stream->handle);
    memset(stream, 0, sizeof *stream);
}

void vx_gpu_fail(vx_gpu_stream *stream, int error, const char *what)
{
    if (!error || stream->error)
        return;
    stream->error = error;
    stream->what = what;
}

int vx_host_usable(vx_gpu_stream *stream, const char *what)
{
    if (!stream->handle)
        vx_machine_stop(NULL, 0, "%s: the stream is not open", what);
    if (stream->ordinal != chosen)
        vx_machine_stop(NULL, 0, "%s: the stream is GPU %d's, but GPU %d was chosen", what,
                        stream->ordinal, chosen);
    if (stream->list)
        vx_machine_stop(NULL, 0, "%s: it passes by the stream's list", what);
    return !stream->error;
}

/* Of which GPU a piece is in which the bytes lie; -1 if they are the host's. */
static int place_of(const void *at, size_t bytes, const char *what)
{
    const unsigned char *from = (const unsigned char *)at;
    const piece *in = NULL;
    pthread_mutex_lock(&lock);
    for (const piece *p = pieces; p && !in; p = p->next)
        if (from < p->at + p->bytes && from + bytes > p->at)
            in = p;
    const piece found = in ? *in : piece{NULL, NULL, 0, -1};
    pthread_mutex_unlock(&lock);
    if (in && (from < found.at || from + bytes > found.at + found.bytes))
        vx_machine_stop(NULL, 0, "%s: bytes %td to %td of memory of %zu bytes", what,
                        from - found.at, from + bytes - found.at, found.bytes);
    return found.ordinal;
}

static int may_copy(vx_gpu_stream *stream, const void *gpu, const void *other, int other_gpu,
                    size_t bytes, const char *what)
{
    if (!vx_host_usable(stream, what) || !bytes)
        return 0;
    const int place = place_of(gpu, bytes, what);
    if (place != stream->ordinal)
        vx_machine_stop(NULL, 0, "%s: %p is not memory of GPU %d", what, gpu, stream->ordinal);
    if (other && place_of(other, bytes, what) != other_gpu)
        vx_machine_stop(NULL, 0, "%s: %p is not memory of %s", what, other,
                        other_gpu < 0 ? "the host" : "this GPU");
    return 1;
}

/* A graph copies nothing. */
static int may_copy_now(vx_gpu_stream *stream, const void *gpu, const void *other, int other_gpu,
                        size_t bytes, const char *what)
{
    vx_host_no_capture(what);
    const int may = may_copy(stream, gpu, other, other_gpu, bytes, what);
    vx_machine_tally()->queued += may;
    return may;
}

void vx_gpu_upload(vx_gpu_stream *stream, void *gpu, const void *host, size_t bytes)
{
    if (may_copy_now(stream, gpu, host, -1, bytes, "copy to the GPU"))
        vx_host_put_off(stream->handle, gpu, host, bytes);
}

void vx_gpu_download(vx_gpu_stream *stream, void *host, const void *gpu, size_t bytes)
{
    if (!may_copy_now(stream, gpu, host, -1, bytes, "copy from the GPU"))
        return;
    vx_host_catch_up(stream->handle);
    memcpy(host, gpu, bytes);
}

void vx_gpu_copy(vx_gpu_stream *stream, void *gpu, const void *gpu_from, size_t bytes)
{
    if (!may_copy_now(stream, gpu, gpu_from, stream->ordinal, bytes, "copy on the GPU"))
        return;
    vx_host_catch_up(stream->handle);
    memcpy(gpu, gpu_from, bytes);
}

void vx_gpu_wait(vx_gpu_stream *stream, vx_gpu_stream *other)
{
    vx_host_no_capture("vx_gpu_wait");
    if (vx_host_usable(stream, "vx_gpu_wait"))
        vx_host_catch_up(other->handle);
}

struct filling {
    void *at;
    size_t bytes;
    int byte;
};

static void do_fill(void *what)
{
    const filling *f = (const filling *)what;
    memset(f->at, f->byte, f->bytes);
}

void vx_gpu_fill(vx_gpu_stream *stream, void *gpu, int byte, size_t bytes)
{
    filling f = {gpu, bytes, byte};
    if (may_copy(stream, gpu, NULL, -1, bytes, "fill"))
        vx_host_do(stream->handle, do_fill, &f, sizeof f);
}

int vx_gpu_sync(vx_gpu_stream *stream, const char **what)
{
    vx_host_no_capture("vx_gpu_sync");
    vx_host_usable(stream, "vx_gpu_sync");
    vx_host_catch_up(stream->handle);
    const int error = stream->error;
    if (what)
        *what = stream->what;
    stream->error = 0;
    stream->what = NULL;
    return error;
}

/* ---------------------------------------------- launches ------------------------------------- */

/* What has more than 48 KiB of shared memory, and on which GPU. */
enum { LARGE = 512 };
static struct {
    const void *function;
    int ordinal;
} large[LARGE];
static int larges;

static int is_large(const void *function)
{
    int found = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < larges && !found; i++)
        found = large[i].function == function && large[i].ordinal == chosen;
    pthread_mutex_unlock(&lock);
    return found;
}

int vx_gpu_allow_shared(const void *function)
{
    vx_host_no_capture("vx_gpu_allow_shared");
    vx_machine_tally()->allowed++;
    if (is_large(function))
        return 0;
    pthread_mutex_lock(&lock);
    const int full = larges == LARGE;
    if (!full)
        large[larges++] = {function, chosen};
    pthread_mutex_unlock(&lock);
    if (full)
        vx_machine_stop(NULL, 0, "more than %d kernels with much shared memory", LARGE);
    return 0;
}

int vx_gpu_may_launch(vx_gpu_stream *stream, const char *kernel, const void *function,
                      size_t shared_bytes)
{
    if (!vx_host_usable(stream, kernel))
        return 0;
    if (shared_bytes > 48 * 1024) {
        vx_gpu_fail(stream, vx_shared_allow(stream->ordinal, function), kernel);
        if (!stream->error && !is_large(function))
            vx_gpu_fail(stream, INVALID_VALUE, kernel);
    }
    return !stream->error;
}

void vx_host_launch(vx_gpu_stream *stream, const vx_launch_shape *shape, const void *function,
                    void (*run)(void *), void *args, size_t bytes)
{
    if (!vx_gpu_may_launch(stream, shape->kernel, function, shape->shared_bytes))
        return;
    if (vx_machine_refuses(shape))
        vx_gpu_fail(stream, INVALID_CONFIGURATION, shape->kernel);
    else if (vx_machine_launch_fails())
        vx_gpu_fail(stream, LAUNCH_FAILED, shape->kernel);
    else
        vx_host_do_launch(stream->handle, shape, run, args, bytes);
}
