/*
 * kernels/cuda/product_mma.cu: products by mma.sync, m16n8k16, of bf16 or f16.
 *
 * A block makes ROWS x COLUMNS elements, a warp ROWS/2 x 32 of them. 32 columns of both operands
 * lie in shared memory while the next 32 are on their way there (cp.async). Rows there are 16 bytes
 * longer than they need to be, so that ldmatrix meets no bank twice.
 */
#include "kernels/cuda/product.h"

enum { DEEP = 32, PAD = 8, WARP_COLUMNS = 32 };

template <int ROWS, int COLUMNS, bool TURNED> struct stage {
    uint16_t a[ROWS][DEEP + PAD];
    uint16_t w[TURNED ? DEEP : COLUMNS][(TURNED ? COLUMNS : DEEP) + PAD];
};

/* 16 rows of a warp's part of the product, as they are finished. */
struct strip {
    alignas(16) float rows[16][WARP_COLUMNS + 4];
};

template <int ROWS, int COLUMNS, bool TURNED> struct mma_shared {
    union {
        stage<ROWS, COLUMNS, TURNED> stages[2];
        strip strips[COLUMNS / WARP_COLUMNS * 2];
    };
};

/* Rows row0.. and columns column0.. of a matrix of 16-bit elements; 0 outside of it. */
template <int ROWS, int COLUMNS, int THREADS>
VX_DEVICE void bring(uint16_t (&to)[ROWS][COLUMNS + PAD], const uint16_t *from, size_t ld, int row0,
                     int rows, int column0, int columns)
{
    constexpr int pieces = COLUMNS / 8;
    static_assert(ROWS * pieces % THREADS == 0, "each thread brings as many");
    VX_UNROLL
    for (int i = 0; i < ROWS * pieces / THREADS; i++) {
        const int at = (int)threadIdx.x + i * THREADS, row = at / pieces, piece = at % pieces * 8;
        const int left = columns - column0 - piece;
        const bool there = row0 + row < rows && left > 0;
        const uint16_t *source =
            there ? from + (size_t)(row0 + row) * ld + (size_t)(column0 + piece) : from;
        vx_cp_async16_part(&to[row][piece], source, !there ? 0 : left < 8 ? left * 2 : 16);
    }
}

template <int ROWS, int COLUMNS, bool TURNED>
VX_DEVICE void bring_stage(stage<ROWS, COLUMNS, TURNED> &to, const vx_operands &o, int row0,
                           int column0, int depth)
{
    constexpr int threads = COLUMNS / WARP_COLUMNS * 2 * VX_WARP;
    const uint16_t *a = static_cast<const uint16_t *>(o.a);
    const uint16_t *w = static_cast<const uint16_t *>(o.w);
    bring<ROWS, DEEP, threads>(to.a, a, o.lda, row0, o.m, depth, o.k);
    if constexpr (TURNED)
        bring<DEEP, COLUMNS, threads>(to.w, w, o.ldw, depth, o.k, column0, o.n);
    else
        bring<COLUMNS, DEEP, threads>(to.w, w, o.ldw, column0, o.n, depth, o.k);
}

VX_DEVICE void mma_of(vx_bf16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    vx_mma_bf16(d, a, b);
}

VX_DEVICE void mma_of(vx_f16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    vx_mma_f16(d, a, b);
}

/* The two 16x8 operands at columns column.. and depth depth.. of a stage. */
template <int R, int C>
VX_DEVICE void load_w(uint32_t (&b)[4], const uint16_t (&w)[R][C], bool turned, int column,
                      int depth)
{
    const int lane = vx_lane(), inner = lane % 8, first = lane / 8 % 2 * 8, second = lane / 16 * 8;
    if (turned)
        vx_ldmatrix_x4_trans(b, &w[depth + inner + first][column + second]);
    else
        vx_ldmatrix_x4(b, &w[column + inner + second][depth + first]);
}

/* What a warp holds of the product: TALL x 4 tiles of 16 x 8. */
template <class N, int TALL, int ROWS, int COLUMNS, bool TURNED>
VX_DEVICE void add_stage(float (&sum)[TALL][4][4], const stage<ROWS, COLUMNS, TURNED> &s, int row0,
                         int column0)
{
    const int lane = vx_lane();
    VX_UNROLL
    for (int depth = 0; depth < DEEP; depth += 16) {
        uint32_t w[2][4];
        VX_UNROLL
        for (int j = 0; j < 2; j++)
            load_w(w[j], s.w, TURNED, column0 + 16 * j, depth);
        VX_UNROLL
        for (int i = 0; i < TALL; i++) {
            uint32_t a[4];
            vx_ldmatrix_x4(a, &s.a[row0 + 16 * i + lane % 16][depth + lane / 16 * 8]);
            VX_UNROLL
            for (int j = 0; j < 4; j++) {
                const uint32_t b[2] = {w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]};
                mma_of(N{}, sum[i][j], a, b);
            }
        }
    }
}

/* A strip at (row0, column0) of the product. The loops are not unrolled: what is done to an element
 * is long. */
template <int STEP>
VX_DEVICE void finish_strip(const vx_finish &f, const strip &s, int row0, int column0, int m, int n)
{
    constexpr int groups = WARP_COLUMNS / STEP;
    VX_ROLLED
    for (int at = vx_lane(); at < 16 * groups; at += VX_WARP) {
        const int row = at / groups, column = at % groups * STEP;
        if (row0 + row >= m || column0 + column >= n)
            continue;
        vx_some<STEP> x;
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] = s.rows[row][column + i];
        vx_finish_some<STEP>(f, row0 + row, column0 + column, x);
    }
}

/* Lane l holds elements (l/4, 2(l%4)) and the next, and those 8 rows below, of each 16 x 8 tile. */
VX_DEVICE void write_strip(strip &s, const float (&sum)[4][4])
{
    const int row = vx_lane() / 4, column = vx_lane() % 4 * 2;
    VX_UNROLL
    for (int j = 0; j < 4; j++)
        VX_UNROLL
    for (int i = 0; i < 4; i++)
        s.rows[row + i / 2 * 8][column + 8 * j + i % 2] = sum[j][i];
}

template <class N, int ROWS, int COLUMNS, bool TURNED>
static __global__ void __launch_bounds__(COLUMNS / WARP_COLUMNS * 2 * VX_WARP)
    product_mma(vx_operands o, vx_finish f)
{
    constexpr int tall = ROWS / 32;
    auto &s = vx_shared<mma_shared<ROWS, COLUMNS, TURNED>>();
    const int row0 = (int)blockIdx.x * ROWS, column0 = (int)blockIdx.y * COLUMNS;
    const int warp_row = vx_warp() % 2 * (ROWS / 2), warp_column = vx_warp() / 2 * WARP_COLUMNS;
    const int steps = (o.k + DEEP - 1) / DEEP;
    float sum[tall][4][4] = {};
    for (int i = -1; i < steps; i++) {
        if (i + 1 < steps)
            bring_stage(s.stages[(i + 1) % 2], o, row0, column0, (i + 1) * DEEP);
        vx_cp_commit();
        if (i < 0)
            continue;
        vx_cp_wait<1>();
        __syncthreads();
        add_stage<N, tall, ROWS, COLUMNS, TURNED>(sum, s.stages[i % 2], warp_row, warp_column);
        __syncthreads();
    }
    vx_cp_wait<0>();
    strip &own = s.strips[vx_warp()];
    VX_ROLLED
    for (int i = 0; i < tall; i++) {
        VX_UNROLL
        for (int j = 0; j < tall; j++)
            if (i == j)
                write_strip(own, sum[j]);
        __syncwarp();
        const int row = row0 + warp_row + 16 * i, column = column0 + warp_column;
        if (f.step == 4)
            finish_strip<4>(f, own, row, column, o.m, o.n);
        else
            finish_strip<1>(f, own, row, column, o.m, o.n);
        __syncwarp();
    }
}

template <class N, int ROWS, int COLUMNS, bool TURNED>
static void launch(vx_cuda *cuda, const vx_operands *o, const vx_finish *f)
{
    const dim3 grid((unsigned)((o->m + ROWS - 1) / ROWS),
                    (unsigned)((o->n + COLUMNS - 1) / COLUMNS));
    const int threads = COLUMNS / WARP_COLUMNS * 2 * VX_WARP;
    VX_LAUNCH((product_mma<N, ROWS, COLUMNS, TURNED>), grid, threads,
              sizeof(mma_shared<ROWS, COLUMNS, TURNED>), &cuda->stream, *o, *f);
}

/* Large blocks move less, but there must be one for each processor. */
template <class N, bool TURNED>
static void sized(vx_cuda *cuda, const vx_operands *o, const vx_finish *f)
{
    enum { LARGE = 128, SMALL = 64 };
    const int64_t rows = (o->m + LARGE - 1) / LARGE, columns = (o->n + LARGE - 1) / LARGE;
    if (rows * columns >= cuda->gpu.processors)
        launch<N, LARGE, LARGE, TURNED>(cuda, o, f);
    else
        launch<N, SMALL, SMALL, TURNED>(cuda, o, f);
}

void vx_product_mma(vx_cuda *cuda, const vx_operands *o, const vx_finish *f)
{
    if (o->number == VX_CUDA_F16 && o->turned)
        sized<vx_f16, true>(cuda, o, f);
    else if (o->number == VX_CUDA_F16)
        sized<vx_f16, false>(cuda, o, f);
    else if (o->turned)
        sized<vx_bf16, true>(cuda, o, f);
    else
        sized<vx_bf16, false>(cuda, o, f);
}
