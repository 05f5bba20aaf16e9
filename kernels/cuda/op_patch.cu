/* kernels/cuda/op_patch.cu: patch_embed and its gradient: products (product.h) whose rows are the
 * patches of pictures. */
#include "kernels/cuda/product.h"

enum { THREADS = 256 };

static __global__ void __launch_bounds__(THREADS)
    write_prefix(float *y, const float *prefix, size_t count, size_t picture, int batch)
{
    const size_t all = count * (size_t)batch, step = (size_t)gridDim.x * THREADS;
    for (size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x; i < all; i += step)
        y[i / count * picture + i % count] = prefix[i % count];
}

void vx_patch_embed_cuda(vx_device *dev, const vx_patch_embed *a)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const int patches = a->height / a->patch_height * (a->width / a->patch_width);
    const size_t d = (size_t)a->w->n, count = (size_t)a->prefix_count * d;
    const vx_pictures pictures = {a->image, a->channels,     a->height,
                                  a->width, a->patch_height, a->patch_width};
    if (a->batch <= 0)
        return;
    if (count > 0)
        VX_LAUNCH(write_prefix, vx_blocks(count * (size_t)a->batch, THREADS), THREADS, 0,
                  &cuda->stream, a->y, a->prefix, count, count + (size_t)patches * d, a->batch);
    if (patches <= 0)
        return;
    vx_multiply p = {};
    p.w = a->w;
    p.m = a->batch * patches;
    p.pictures = &pictures;
    p.scratch = cuda->scratch;
    p.scratch_bytes = cuda->scratch_bytes;
    p.finish.y = {a->y, (int64_t)d, VX_KIND_F32};
    p.finish.residual = {const_cast<float *>(a->pos), (int64_t)d, VX_KIND_F32};
    p.finish.bias = a->w->bias;
    p.finish.period = patches;
    p.finish.lead = a->prefix_count;
    vx_product_do(cuda, &p);
}

/* Each pixel has its place in the row of one patch; those beyond the last whole patch have none. */
static __global__ void __launch_bounds__(THREADS)
    rows_to_pixels(float *dimage, const float *rows, size_t ld, vx_pictures of, size_t count)
{
    const size_t step = (size_t)gridDim.x * THREADS, width = (size_t)of.width;
    const int gh = of.height / of.patch_height, gw = of.width / of.patch_width;
    for (size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x; i < count; i += step) {
        const int x = (int)(i % width), y = (int)(i / width % (size_t)of.height);
        const size_t plane = i / width / (size_t)of.height;
        const int channel = (int)(plane % (size_t)of.channels);
        const int row = y / of.patch_height, column = x / of.patch_width;
        const int at =
            (channel * of.patch_height + y % of.patch_height) * of.patch_width + x % of.patch_width;
        const size_t patch =
            (plane / (size_t)of.channels * (size_t)gh + (size_t)row) * (size_t)gw + (size_t)column;
        dimage[i] = row < gh && column < gw ? rows[patch * ld + (size_t)at] : 0;
    }
}

/* The gradients of as many pictures at once as the scratch has room for. */
static int pictures_at_once(const vx_cuda *cuda, const vx_patch_embed_bwd *a, int patches)
{
    const int widest = a->w->n > a->w->k ? a->w->n : a->w->k;
    const size_t row = vx_product_row_bytes((size_t)widest) +
                       vx_round_up((size_t)a->w->k, VX_CUDA_EIGHT) * sizeof(float);
    const size_t fixed = vx_product_fixed_bytes((size_t)widest) + 256;
    const size_t room = cuda->scratch_bytes > fixed ? cuda->scratch_bytes - fixed : 0;
    const size_t fit = patches ? room / (row * (size_t)patches) : (size_t)a->batch;
    return fit < (size_t)a->batch ? (int)fit : a->batch;
}

void vx_patch_embed_bwd_cuda(vx_device *dev, const vx_patch_embed_bwd *a)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const int patches = a->height / a->patch_height * (a->width / a->patch_width);
    const size_t pixels = (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    const size_t tokens = (size_t)(a->prefix_count + patches), d = (size_t)a->w->n;
    const size_t ld = vx_round_up((size_t)a->w->k, VX_CUDA_EIGHT);
    const vx_pictures of = {NULL,     a->channels,     a->height,
                            a->width, a->patch_height, a->patch_width};
    const int most = pictures_at_once(cuda, a, patches);
    if (a->batch > 0 && most < 1)
        vx_gpu_fail(&cuda->stream, VX_GPU_NO_ROOM, "patch_embed_bwd: no room was reserved");
    for (int first = 0; first < a->batch && most > 0; first += most) {
        const int count = a->batch - first < most ? a->batch - first : most;
        const size_t rows = (size_t)count * (size_t)patches;
        const size_t bytes = vx_round_up(rows * ld * sizeof(float), 256);
        vx_multiply p = {};
        p.w = a->w;
        p.turned = true;
        p.rows = {const_cast<float *>(a->dy) + (size_t)first * tokens * d, (int64_t)d, VX_KIND_F32};
        p.period = patches;
        p.lead = a->prefix_count;
        p.m = (int)rows;
        p.scratch = cuda->scratch + bytes;
        p.scratch_bytes = cuda->scratch_bytes - bytes;
        p.finish.y = {cuda->scratch, (int64_t)ld, VX_KIND_F32};
        if (rows)
            vx_product_do(cuda, &p);
        VX_LAUNCH(rows_to_pixels, vx_blocks((size_t)count * pixels, THREADS), THREADS, 0,
                  &cuda->stream, a->dimage + (size_t)first * pixels,
                  reinterpret_cast<const float *>(cuda->scratch), ld, of, (size_t)count * pixels);
    }
}
