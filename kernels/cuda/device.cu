/*
 * kernels/cuda/device.cu: the device "cuda", and "cuda-host", its twin (host/machine.h).
 *
 * Site: a GPU. Its memory, with the packed weights of models, is the process's: contexts share it.
 * Instance: a stream of that GPU, a block of memory that operations work in, and cuBLASLt's handle.
 * A thread chooses the GPU before it queues anything; several instances may be at work in several
 * threads.
 */
#include "kernels/cuda/blaslt.h"
#include "kernels/cuda/packing.h"
#include "kernels/cuda/product.h"

#include <stdio.h>

extern "C" const vx_device_class VX_GPU_CLASS;

/* ----------------------------------------------------------------------- precisions ---- */

static const char *precision_at(int index)
{
    return vx_cuda_number_name(index);
}

static const char *automatic(void)
{
    return vx_cuda_number_name(VX_CUDA_BF16X3);
}

static const char *instructions_of(const char *precision)
{
    switch (vx_cuda_number_of(precision)) {
    case VX_CUDA_F32:
        return "fma f32";
    case VX_CUDA_F16:
        return "mma f16";
    default:
        return "mma bf16";
    }
}

static size_t narrow_bytes(const char *precision)
{
    return vx_cuda_number_of(precision) >= VX_CUDA_BF16 ? 2 : sizeof(float);
}

/* --------------------------------------------------------------------------- errors ---- */

int vx_cuda_failed(const vx_device_env *env, int error, const char *what, size_t bytes, char *err,
                   size_t err_size)
{
    vx_gpu_info gpu;
    if (!vx_gpu_no_memory(error)) {
        snprintf(err, err_size, "%s: %s", what, vx_gpu_error_text(error));
        return VX_DEVICE_FAILED;
    }
    memset(&gpu, 0, sizeof gpu);
    vx_gpu_describe(env->ordinal, &gpu);
    snprintf(err, err_size, "no memory for %s: %zu bytes, %zu free of %zu", what, bytes,
             gpu.memory_free, gpu.memory_total);
    return VX_DEVICE_NOMEM;
}

enum { INSUFFICIENT_DRIVER = 35, STUB_LIBRARY = 34 };

static void say_no_gpu(int error, char *why, size_t why_size)
{
    int driver, built;
    vx_gpu_versions(&driver, &built);
    if (error == STUB_LIBRARY)
        snprintf(why, why_size, "libcuda.so is a stub");
    else if (driver == 0)
        snprintf(why, why_size, "no NVIDIA driver");
    else if (error == INSUFFICIENT_DRIVER)
        snprintf(why, why_size, "the driver knows CUDA %d.%d, this build needs %d.%d",
                 driver / 1000, driver % 1000 / 10, built / 1000, built % 1000 / 10);
    else
        snprintf(why, why_size, "no GPU: %s", vx_gpu_error_text(error));
}

static int probe(int ordinal, char *why, size_t why_size)
{
    vx_gpu_info gpu;
    int count = 0, major = 0, minor = 0;
    int error = vx_gpu_count(&count);
    if (error) {
        say_no_gpu(error, why, why_size);
        return VX_DEVICE_FAILED;
    }
    if (ordinal < 0 || ordinal >= count) {
        snprintf(why, why_size, "no GPU number %d: this machine has %d", ordinal, count);
        return VX_DEVICE_FAILED;
    }
    error = vx_gpu_capability(ordinal, &major, &minor);
    if (error) {
        snprintf(why, why_size, "no GPU: %s", vx_gpu_error_text(error));
        return VX_DEVICE_FAILED;
    }
    if (major >= 8)
        return 0;
    memset(&gpu, 0, sizeof gpu);
    vx_gpu_describe(ordinal, &gpu);
    snprintf(why, why_size, "%s has compute capability %d.%d, 8.0 is needed",
             gpu.name[0] ? gpu.name : "the GPU", major, minor);
    return VX_DEVICE_FAILED;
}

/* ---------------------------------------------------------------- memory of the site ---- */

static void *mem_alloc(size_t bytes, const vx_device_env *env)
{
    void *memory = NULL;
    if (vx_gpu_use(env->ordinal) || vx_gpu_alloc(&memory, bytes ? bytes : 1))
        return NULL;
    return memory;
}

static void mem_free(void *memory, const vx_device_env *env)
{
    if (memory && vx_gpu_use(env->ordinal) == 0)
        vx_gpu_free(memory);
}

static void *host_alloc(size_t bytes, const vx_device_env *env)
{
    void *memory = NULL;
    if (vx_gpu_use(env->ordinal) || vx_gpu_host_alloc(&memory, bytes ? bytes : 1))
        return NULL;
    return memory;
}

static void host_free(void *memory, const vx_device_env *env)
{
    if (memory && vx_gpu_use(env->ordinal) == 0)
        vx_gpu_host_free(memory);
}

int vx_cuda_copy_now(const vx_device_env *env, char which, void *to, const void *from, size_t bytes,
                     char *err, size_t err_size)
{
    vx_gpu_stream stream;
    const char *what = "copy";
    memset(&stream, 0, sizeof stream);
    int error = vx_gpu_use(env->ordinal);
    if (!error)
        error = vx_gpu_stream_open(&stream);
    if (error)
        return vx_cuda_failed(env, error, "a queue", 0, err, err_size);
    if (which == 'w')
        vx_gpu_upload(&stream, to, from, bytes);
    else if (which == 'r')
        vx_gpu_download(&stream, to, from, bytes);
    else
        vx_gpu_copy(&stream, to, from, bytes);
    error = vx_gpu_sync(&stream, &what);
    vx_gpu_stream_close(&stream);
    return error ? vx_cuda_failed(env, error, what ? what : "copy", bytes, err, err_size) : 0;
}

static int mem_write(const vx_device_env *env, void *device_dst, const void *host_src, size_t bytes,
                     char *err, size_t err_size)
{
    return vx_cuda_copy_now(env, 'w', device_dst, host_src, bytes, err, err_size);
}

static int mem_read(const vx_device_env *env, void *host_dst, const void *device_src, size_t bytes,
                    char *err, size_t err_size)
{
    return vx_cuda_copy_now(env, 'r', host_dst, device_src, bytes, err, err_size);
}

static int mem_copy(const vx_device_env *env, void *device_dst, const void *device_src,
                    size_t bytes, char *err, size_t err_size)
{
    return vx_cuda_copy_now(env, 'c', device_dst, device_src, bytes, err, err_size);
}

/* ----------------------------------------------------------------------- operations ---- */

/* Before anything is queued: what a list holds is before it, and the thread has the GPU. */
static bool begin(vx_cuda *cuda)
{
    vx_list_break(cuda->lists);
    vx_gpu_fail(&cuda->stream, vx_gpu_use(cuda->ordinal), "GPU");
    return !cuda->stream.error;
}

/* Around each operation; what a list holds is queued later, and says itself which it was. */
static bool begin_operation(vx_cuda *cuda, const char *operation)
{
    return vx_list_operation(cuda->lists, operation) ? !cuda->stream.error : begin(cuda);
}

static void end(vx_cuda *cuda, const char *operation)
{
    if (cuda->stream.error && !cuda->failed)
        cuda->failed = operation;
}

#define VX_OP(name)                                                                                \
    static void do_##name(vx_device *dev, const vx_##name *a)                                      \
    {                                                                                              \
        if (!begin_operation(vx_cuda_of(dev), #name))                                              \
            return;                                                                                \
        vx_##name##_cuda(dev, a);                                                                  \
        end(vx_cuda_of(dev), #name);                                                               \
    }
#include "kernels/ops.def"
#undef VX_OP

static void fill_table(vx_ops *ops)
{
#define VX_OP(name) ops->name = do_##name;
#include "kernels/ops.def"
#undef VX_OP
}

/* ------------------------------------------------------------------------- instances ---- */

static void close_cuda(vx_device *dev)
{
    if (!dev)
        return;
    vx_cuda *cuda = vx_cuda_of(dev);
    const vx_device_env env = dev->env;
    if (vx_gpu_use(cuda->ordinal) == 0) {
        vx_lists_close(cuda->lists);
        vx_products_close(cuda->products);
        vx_gpu_stream_close(&cuda->copies);
        vx_gpu_stream_close(&cuda->stream);
        vx_gpu_free(cuda->memory);
    }
    env.release(cuda, env.owner);
}

/* An instance is one block: itself, its lists, what it keeps of cuBLASLt. */
static size_t lists_at(void)
{
    return vx_round_up(sizeof(vx_cuda), 64);
}

static size_t products_at(void)
{
    return lists_at() + vx_round_up(vx_lists_bytes(), 64);
}

static char *part_of(vx_cuda *cuda, size_t at)
{
    return reinterpret_cast<char *>(cuda) + at;
}

static void open_lists(vx_cuda *cuda)
{
    if (!(cuda->features & VX_CUDA_LISTS))
        return;
    cuda->lists = reinterpret_cast<vx_lists *>(part_of(cuda, lists_at()));
    vx_lists_open(cuda->lists, cuda);
}

/* cuBLASLt, if it is there and may be used. */
static void open_products(vx_cuda *cuda)
{
    char why[200], line[300];
    vx_products *room = reinterpret_cast<vx_products *>(part_of(cuda, products_at()));
    if (!(cuda->features & VX_CUDA_BLAS))
        return;
    if (vx_products_open(room, why, sizeof why) == 0) {
        cuda->products = room;
        return;
    }
    snprintf(line, sizeof line, "device " VX_GPU_NAME ": without cuBLASLt, products are slower: %s",
             why);
    if (cuda->base.env.log)
        cuda->base.env.log(line, cuda->base.env.owner);
}

static void describe(vx_cuda *cuda)
{
    char products[48] = "own products";
    if (cuda->products) {
        const size_t version = vx_products_version(cuda->products);
        snprintf(products, sizeof products, "cuBLASLt %zu.%zu", version / 10000,
                 version % 10000 / 100);
    }
    snprintf(cuda->base.kernels, sizeof cuda->base.kernels, "%.64s (%d.%d), %s, %s", cuda->gpu.name,
             cuda->gpu.major, cuda->gpu.minor, products,
             cuda->features & VX_CUDA_MMA ? "tensor cores" : "no tensor cores of our own");
}

static int start(vx_cuda *cuda, char *err, size_t err_size)
{
    const vx_device_env *env = &cuda->base.env;
    int error = vx_gpu_use(env->ordinal);
    if (!error)
        error = vx_gpu_describe(env->ordinal, &cuda->gpu);
    if (!error)
        error = vx_gpu_stream_open(&cuda->stream);
    if (!error)
        error = vx_gpu_stream_open(&cuda->copies);
    if (error)
        return vx_cuda_failed(env, error, "a queue", 0, err, err_size);
    open_lists(cuda);
    open_products(cuda);
    describe(cuda);
    return 0;
}

static int open_cuda(vx_device **out, const vx_device_env *env, const char *precision,
                     unsigned features, char *err, size_t err_size)
{
    const vx_cuda_number number = vx_cuda_number_of(precision);
    const size_t bytes = products_at() + vx_products_bytes();
    *out = NULL;
    if (number == VX_CUDA_NUMBERS) {
        snprintf(err, err_size,
                 "device " VX_GPU_NAME " has no precision \"%s\"; it has f32, bf16x3, bf16, f16",
                 precision);
        return VX_DEVICE_FAILED;
    }
    vx_cuda *cuda = static_cast<vx_cuda *>(env->alloc(bytes, env->owner));
    if (!cuda) {
        snprintf(err, err_size, "no memory for the device " VX_GPU_NAME);
        return VX_DEVICE_NOMEM;
    }
    memset(static_cast<void *>(cuda), 0, bytes);
    cuda->base.cls = &VX_GPU_CLASS;
    cuda->base.env = *env;
    cuda->number = number;
    cuda->features = features;
    cuda->ordinal = env->ordinal;
    fill_table(&cuda->base.ops);
    const int status = start(cuda, err, err_size);
    if (status == 0)
        *out = &cuda->base;
    else
        close_cuda(&cuda->base);
    return status;
}

/* --------------------------------------------------------------------------- reserve ---- */

/* Rows for which there is scratch at once: more of them are done in several parts. */
static const size_t MOST_SCRATCH = (size_t)128 << 20;
static const size_t MOST_WORKSPACE = (size_t)32 << 20;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t positive(int x)
{
    return x > 0 ? (size_t)x : 1;
}

/* The longest row of any operation. */
static size_t widest_row(const vx_dims *d)
{
    const size_t attention = 3 * positive(d->heads) * positive(d->head_width);
    const size_t patch =
        positive(d->channels) * positive(d->patch_height) * positive(d->patch_width);
    return larger(
        larger(larger(attention, patch), larger(positive(d->width), 2 * positive(d->hidden))),
        positive(d->classes));
}

/* SIZE_MAX: more than there can be. */
static void sizes_of(const vx_dims *d, size_t *scratch, size_t *workspace)
{
    const size_t widest = widest_row(d), tokens = positive(d->tokens);
    const size_t row = vx_product_row_bytes(widest) + sizeof(float) * (widest + 8);
    const size_t fit = smaller(positive(d->batch) * tokens, MOST_SCRATCH / row);
    const size_t rows = larger(tokens, fit), fixed = vx_product_fixed_bytes(widest) + 512;
    *workspace =
        smaller(vx_round_up(4 * rows * sizeof(float) * smaller(widest, 4096), 256), MOST_WORKSPACE);
    *scratch =
        rows > (SIZE_MAX / 2 - fixed) / row ? SIZE_MAX / 2 : vx_round_up(fixed + rows * row, 256);
    *scratch = larger(*scratch, VX_CUDA_SCRATCH);
}

static size_t reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    size_t scratch, workspace;
    (void)dev;
    sizes_of(max, &scratch, &workspace);
    return scratch + workspace;
}

static int reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    size_t scratch, workspace;
    sizes_of(max, &scratch, &workspace);
    /* Neither becomes smaller: cuBLASLt's ways were chosen for the workspace that there was. */
    scratch = larger(scratch, cuda->scratch_bytes);
    workspace = larger(workspace, cuda->workspace_bytes);
    int error = vx_gpu_use(cuda->ordinal);
    if (!error && cuda->memory_bytes < scratch + workspace) {
        vx_lists_forget(cuda->lists);
        vx_gpu_free(cuda->memory);
        cuda->memory = NULL;
        cuda->memory_bytes = 0;
        cuda->scratch_bytes = cuda->workspace_bytes = 0;
        error = vx_gpu_alloc(&cuda->memory, scratch + workspace);
    }
    if (error)
        return vx_cuda_failed(&dev->env, error, "room to work in", scratch + workspace, err,
                              err_size);
    cuda->memory_bytes = larger(cuda->memory_bytes, scratch + workspace);
    cuda->workspace = static_cast<char *>(cuda->memory);
    cuda->workspace_bytes = workspace;
    cuda->scratch = cuda->workspace + workspace;
    cuda->scratch_bytes = scratch;
    return 0;
}

/* ------------------------------------------------------------------- copies and sync ---- */

static void upload(vx_device *dev, void *device_dst, const void *host_src, size_t bytes)
{
    if (begin(vx_cuda_of(dev)))
        vx_gpu_upload(&vx_cuda_of(dev)->stream, device_dst, host_src, bytes);
}

static void upload_early(vx_device *dev, void *device_dst, const void *host_src, size_t bytes)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    if (!begin(cuda))
        return;
    vx_gpu_upload(&cuda->copies, device_dst, host_src, bytes);
    cuda->copying = true;
}

static void upload_join(vx_device *dev)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    if (begin(cuda))
        vx_gpu_wait(&cuda->stream, &cuda->copies);
}

static void download(vx_device *dev, void *host_dst, const void *device_src, size_t bytes)
{
    if (begin(vx_cuda_of(dev)))
        vx_gpu_download(&vx_cuda_of(dev)->stream, host_dst, device_src, bytes);
}

/* Both queues. */
static int wait_for(vx_cuda *cuda, const char **what)
{
    const char *of_copies = NULL;
    const int copies = cuda->copying ? vx_gpu_sync(&cuda->copies, &of_copies) : 0;
    const int error = vx_gpu_sync(&cuda->stream, what);
    cuda->copying = false;
    if (copies && !error)
        *what = of_copies;
    return error ? error : copies;
}

static int sync(vx_device *dev, char *err, size_t err_size)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const char *what = NULL;
    begin(cuda);
    const int error = wait_for(cuda, &what);
    const char *operation = cuda->failed;
    cuda->failed = NULL;
    if (!error)
        return 0;
    if (operation)
        snprintf(err, err_size, "%s: %s (%s)", operation, vx_gpu_error_text(error),
                 what ? what : "kernel");
    else
        snprintf(err, err_size, "%s: %s", what ? what : "queue", vx_gpu_error_text(error));
    return vx_gpu_no_memory(error) ? VX_DEVICE_NOMEM : VX_DEVICE_FAILED;
}

static void list_begin(vx_device *dev)
{
    vx_list_begin(vx_cuda_of(dev)->lists);
}

static void list_end(vx_device *dev)
{
    vx_list_end(vx_cuda_of(dev)->lists);
}

/* ----------------------------------------------------------------------------- class ---- */

/* 256 pictures of 224 x 224 pixels in patches of 16, and what 8 of ViT-L record. */
static const int VARIANT_TOKENS = 256 * 197;
static const size_t VARIANT_BYTES = (size_t)2 << 30;

static constexpr vx_device_class make_class()
{
    vx_device_class c{};
    c.name = VX_GPU_NAME;
    c.pictures = 1;
    c.precision_at = precision_at;
    c.automatic = automatic;
    c.instructions_of = instructions_of;
    c.packings = vx_cuda_packings;
    c.packing_for = vx_cuda_packing_for;
    c.narrow_bytes = narrow_bytes;
    c.recomputes_p = 1;
    c.variant_tokens = VARIANT_TOKENS;
    c.variant_bytes = VARIANT_BYTES;
    c.probe = probe;
    c.open = open_cuda;
    c.close = close_cuda;
    c.reserve = reserve;
    c.reserve_bytes = reserve_bytes;
    c.mem_alloc = mem_alloc;
    c.mem_free = mem_free;
    c.host_alloc = host_alloc;
    c.host_free = host_free;
    c.mem_write = mem_write;
    c.mem_read = mem_read;
    c.mem_copy = mem_copy;
    c.upload = upload;
    c.upload_early = upload_early;
    c.upload_join = upload_join;
    c.download = download;
    c.sync = sync;
    c.list_begin = list_begin;
    c.list_end = list_end;
    return c;
}

constexpr vx_device_class the_class = make_class();
const vx_device_class VX_GPU_CLASS = the_class;
