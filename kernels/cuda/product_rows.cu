/*
 * kernels/cuda/product_rows.cu: rows in the form of a matrix that they are multiplied by: as
 * floats, in 16 bits, or in two parts of 16 bits (packing.h).
 */
#include "kernels/cuda/product.h"

enum { THREADS = 128, MOST_ROWS = 65535 };

/* Where the parts of a bf16x3 row go: behind each other, as for x W^T, or the parts of each number
 * beside each other, as for dy W. */
enum form { WHOLE = 0, BEHIND, BESIDE };

struct rows_source {
    vx_view rows;
    const float *scale;
    int period, lead;

    template <int STEP> __device__ vx_some<STEP> read(int row, int c) const
    {
        const size_t at = (size_t)row + (period ? (size_t)(row / period + 1) * (size_t)lead : 0);
        vx_some<STEP> x = vx_get_some<STEP>(rows, at, (size_t)c);
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] *= scale ? scale[c + i] : 1;
        return x;
    }
};

struct pictures_source {
    vx_pictures of;

    __device__ float pixel(int row, int c) const
    {
        const int gw = of.width / of.patch_width, patches = of.height / of.patch_height * gw;
        const int plane = c / (of.patch_height * of.patch_width);
        const int inside = c % (of.patch_height * of.patch_width), patch = row % patches;
        const int y = patch / gw * of.patch_height + inside / of.patch_width;
        const int x = patch % gw * of.patch_width + inside % of.patch_width;
        const size_t channel = (size_t)(row / patches) * (size_t)of.channels + (size_t)plane;
        return of.image[(channel * (size_t)of.height + (size_t)y) * (size_t)of.width + (size_t)x];
    }

    template <int STEP> __device__ vx_some<STEP> read(int row, int c) const
    {
        vx_some<STEP> x;
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] = pixel(row, c + i);
        return x;
    }
};

/* What is left of x beside its high part; nothing, if that is not finite. */
VX_DEVICE float low_part(float x, float high)
{
    return high - high == 0 ? x - high : 0;
}

VX_DEVICE void split(float x, uint16_t *high, uint16_t *low)
{
    const vx_bf16 part = vx_to_bf16(x);
    *high = part.bits;
    *low = vx_to_bf16(low_part(x, vx_of_bf16(part))).bits;
}

template <int N> struct alignas(2 * N) some_bits {
    uint16_t bits[N];
};

template <int STEP>
VX_DEVICE void write_behind(uint16_t *row, int c, size_t part, const vx_some<STEP> &x)
{
    some_bits<STEP> high, low;
    VX_UNROLL
    for (int i = 0; i < STEP; i++)
        split(x.v[i], &high.bits[i], &low.bits[i]);
    *reinterpret_cast<some_bits<STEP> *>(row + c) = high;
    *reinterpret_cast<some_bits<STEP> *>(row + part + c) = high;
    *reinterpret_cast<some_bits<STEP> *>(row + 2 * part + c) = low;
}

template <int STEP> VX_DEVICE void write_beside(uint16_t *row, int c, const vx_some<STEP> &x)
{
    some_bits<STEP> out[3];
    VX_UNROLL
    for (int i = 0; i < STEP; i++) {
        uint16_t high, low;
        split(x.v[i], &high, &low);
        out[3 * i / STEP].bits[3 * i % STEP] = high;
        out[(3 * i + 1) / STEP].bits[(3 * i + 1) % STEP] = high;
        out[(3 * i + 2) / STEP].bits[(3 * i + 2) % STEP] = low;
    }
    VX_UNROLL
    for (int i = 0; i < 3; i++)
        reinterpret_cast<some_bits<STEP> *>(row + 3 * c)[i] = out[i];
}

/* Columns up to `columns`: those from k on become 0. */
template <class S, int FORM, int STEP>
static __global__ void __launch_bounds__(THREADS)
    rows_in_form(const S source, vx_view out, size_t part, int first, int m, int k, int columns)
{
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x) * STEP;
    if (c < columns)
        for (int r = (int)blockIdx.y; r < m; r += (int)gridDim.y) {
            vx_some<STEP> x;
            VX_UNROLL
            for (int i = 0; i < STEP; i++)
                x.v[i] = 0;
            if (c < k)
                x = source.template read<STEP>(first + r, c);
            uint16_t *row = static_cast<uint16_t *>(out.data) + (size_t)r * (size_t)out.ld;
            if (FORM == BEHIND)
                write_behind<STEP>(row, c, part, x);
            else if (FORM == BESIDE)
                write_beside<STEP>(row, c, x);
            else
                vx_put_some<STEP>(out, (size_t)r, (size_t)c, x);
        }
}

template <class S, int FORM, int STEP>
static void launch(vx_cuda *cuda, const S &source, const vx_view &out, size_t part, int first,
                   int m, int k, int columns)
{
    const dim3 grid(vx_blocks((size_t)columns, THREADS * STEP),
                    (unsigned)(m < MOST_ROWS ? m : MOST_ROWS));
    VX_LAUNCH((rows_in_form<S, FORM, STEP>), grid, THREADS, 0, &cuda->stream, source, out, part,
              first, m, k, columns);
}

template <class S, int STEP>
static void launch_form(vx_cuda *cuda, const S &source, const vx_view &out, bool in_parts,
                        bool turned, int first, int m, int k)
{
    const size_t part = vx_packed_part(k);
    if (!in_parts)
        launch<S, WHOLE, STEP>(cuda, source, out, part, first, m, k, (int)part);
    else if (!turned)
        launch<S, BEHIND, STEP>(cuda, source, out, part, first, m, k, (int)part);
    else
        launch<S, BESIDE, STEP>(cuda, source, out, part, first, m, k, k);
}

void vx_product_rows(vx_cuda *cuda, const vx_multiply *p, int first, int m, void *out, size_t lda)
{
    const vx_cuda_number number = vx_packing_number(p->w->packing);
    const int k = p->turned ? p->w->n : p->w->k;
    const bool in_parts = number == VX_CUDA_BF16X3;
    const vx_kind kind = number == VX_CUDA_F32   ? VX_KIND_F32
                         : number == VX_CUDA_F16 ? VX_KIND_F16
                                                 : VX_KIND_BF16;
    const vx_view to = {out, (int64_t)lda, kind};
    if (p->pictures) {
        launch_form<pictures_source, 1>(cuda, {*p->pictures}, to, in_parts, p->turned, first, m, k);
        return;
    }
    const rows_source source = {p->rows, p->scale, p->period, p->lead};
    if (k % 4 == 0 && vx_rows_in_fours(p->rows))
        launch_form<rows_source, 4>(cuda, source, to, in_parts, p->turned, first, m, k);
    else
        launch_form<rows_source, 1>(cuda, source, to, in_parts, p->turned, first, m, k);
}
