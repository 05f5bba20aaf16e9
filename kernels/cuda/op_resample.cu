/*
 * kernels/cuda/op_resample.cu: pictures resized and normalised: a launch for each pass, over as
 * many pictures as a kernel's parameters take. A thread makes the three channels of a pixel. The
 * bits are the host's, so the Makefile has this file compiled without making one instruction of a
 * product and a sum.
 */
#include "kernels/cuda/cuda.h"

namespace
{

enum { THREADS = 256, PICTURES = 32 };

struct pictures {
    vx_resampled at[PICTURES];
};

struct inputs {
    float *y; /* of the list's first picture */
    int height, width;
    int by_255;
    float scale, mean[3], std[3], pad[3];
};

/* What lies between the passes. */
template <bool UNROUNDED> struct middle_of {
    using type = uint8_t;
};
template <> struct middle_of<true> {
    using type = float;
};

VX_DEVICE float round_sum(int sum)
{
    sum >>= VX_TAP_BITS;
    return (float)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Three channels of output i; inputs lie `step` elements apart, the first of all at `in`. */
template <bool UNROUNDED, class T>
VX_DEVICE void output(float (&v)[3], const vx_taps &t, int i, const T *in, size_t step)
{
    const int count = t.count[i];
    const size_t row = (size_t)i * (size_t)t.stride;
    in += (size_t)t.first[i] * step;
    if constexpr (UNROUNDED) {
        const double *weight = static_cast<const double *>(t.weight) + row;
        double sum[3] = {0, 0, 0};
        for (int j = 0; j < count; j++, in += step)
            for (int c = 0; c < 3; c++)
                sum[c] += weight[j] * (double)in[c];
        for (int c = 0; c < 3; c++)
            v[c] = (float)sum[c];
    } else {
        const int *weight = static_cast<const int *>(t.weight) + row;
        int sum[3] = {1 << (VX_TAP_BITS - 1), 1 << (VX_TAP_BITS - 1), 1 << (VX_TAP_BITS - 1)};
        for (int j = 0; j < count; j++, in += step)
            for (int c = 0; c < 3; c++)
                sum[c] += weight[j] * in[c];
        for (int c = 0; c < 3; c++)
            v[c] = round_sum(sum[c]);
    }
}

template <bool UNROUNDED>
__global__ void __launch_bounds__(THREADS) first_pass(const __grid_constant__ pictures list)
{
    using M = typename middle_of<UNROUNDED>::type;
    const vx_resampled &p = list.at[blockIdx.y];
    const size_t row = 3 * (size_t)p.columns;
    const size_t columns = (size_t)(p.down_first ? p.columns : p.x.n);
    const size_t pixels = columns * (size_t)(p.down_first ? p.y.n : p.rows);
    const size_t step = (size_t)gridDim.x * THREADS;
    M *const middle = static_cast<M *>(p.middle);
    for (size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x; i < pixels; i += step) {
        const size_t y = i / columns, x = i % columns;
        float v[3];
        if (p.down_first)
            output<UNROUNDED>(v, p.y, (int)y, p.pixels + 3 * x, row);
        else
            output<UNROUNDED>(v, p.x, (int)x, p.pixels + y * row, 3);
        for (int c = 0; c < 3; c++)
            middle[3 * i + (size_t)c] = (M)v[c];
    }
}

VX_DEVICE float normalised(const inputs &a, float v, int c)
{
    const float scaled = a.by_255 ? v / 255.0f : v * a.scale;
    return (scaled - a.mean[c]) / a.std[c];
}

template <bool UNROUNDED>
__global__ void __launch_bounds__(THREADS)
    second_pass(inputs a, const __grid_constant__ pictures list)
{
    using M = typename middle_of<UNROUNDED>::type;
    const vx_resampled &p = list.at[blockIdx.y];
    const M *const middle = static_cast<const M *>(p.middle);
    const size_t width = (size_t)a.width, plane = (size_t)a.height * width;
    const size_t step = (size_t)gridDim.x * THREADS;
    float *const out = a.y + blockIdx.y * 3 * plane;
    for (size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x; i < plane; i += step) {
        const int x = (int)(i % width) - p.left, y = (int)(i / width) - p.top;
        float v[3] = {a.pad[0], a.pad[1], a.pad[2]};
        if (x >= 0 && x < p.x.n && y >= 0 && y < p.y.n) {
            if (p.down_first)
                output<UNROUNDED>(v, p.x, x, middle + (size_t)y * 3 * (size_t)p.columns, 3);
            else
                output<UNROUNDED>(v, p.y, y, middle + 3 * (size_t)x, 3 * (size_t)p.x.n);
        }
        for (int c = 0; c < 3; c++)
            out[(size_t)c * plane + i] = normalised(a, v[c], c);
    }
}

template <bool UNROUNDED> void run(vx_cuda *cuda, const vx_resample *a)
{
    const size_t plane = (size_t)a->height * (size_t)a->width;
    inputs to = {a->y, a->height, a->width, a->by_255, a->scale, {}, {}, {}};
    memcpy(to.mean, a->mean, sizeof to.mean);
    memcpy(to.std, a->std, sizeof to.std);
    memcpy(to.pad, a->pad, sizeof to.pad);
    for (int b = 0; b < a->batch && plane > 0; b += PICTURES) {
        const int count = a->batch - b < PICTURES ? a->batch - b : PICTURES;
        size_t most = 0; /* pixels that a first pass makes */
        pictures list;
        memset(static_cast<void *>(&list), 0, sizeof list);
        for (int i = 0; i < count; i++) {
            list.at[i] = a->pictures[b + i];
            const size_t pixels = vx_resampled_room(&list.at[i], 0) / 3;
            most = pixels > most ? pixels : most;
        }
        to.y = a->y + (size_t)b * 3 * plane;
        if (most > 0)
            VX_LAUNCH((first_pass<UNROUNDED>), dim3(vx_blocks(most, THREADS), (unsigned)count),
                      THREADS, 0, &cuda->stream, list);
        VX_LAUNCH((second_pass<UNROUNDED>), dim3(vx_blocks(plane, THREADS), (unsigned)count),
                  THREADS, 0, &cuda->stream, to, list);
    }
}

} // namespace

extern "C" void vx_resample_cuda(vx_device *dev, const vx_resample *a)
{
    if (a->unrounded)
        run<true>(vx_cuda_of(dev), a);
    else
        run<false>(vx_cuda_of(dev), a);
}
