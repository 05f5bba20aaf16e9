/*
 * kernels/cuda/op_discard.cu: the smallest entries of matrices set to 0. The limit's 32 bits
 * (vx_order_key in kernels/bits.h) are found 11 at a time, as in a radix sort: each step counts the
 * entries that agree with the bits found so far by the bits that follow. Entries equal to the limit
 * are numbered in the order in which they lie, so the result does not depend on the scheduling.
 *
 * A matrix is cut into pieces, a block each; counts are integers in scratch.
 */
#include "kernels/cuda/rows.h"

namespace
{

enum { BINS = 2048, LEVELS = 3, THREADS = 256, WARPS = THREADS / VX_WARP };

struct matrices {
    float *f;
    unsigned *bins;  /* [matrix][LEVELS][BINS] */
    unsigned *equal; /* [matrix][piece]: entries equal to the limit */
    int64_t n;       /* entries of a matrix */
    int64_t each;    /* of a piece, a multiple of THREADS */
    int64_t count;   /* that fall of each matrix, 1..n */
    int pieces, keep_first;
};

struct places {
    unsigned bins[BINS];
    int64_t warps[WARPS];
    int64_t rank;
    unsigned bin;
};

/* Where a block is at work: entries first..end-1 of a matrix. */
struct piece {
    float *f;
    unsigned *bins, *equal;
    int64_t first, end;
    int number;
};

VX_DEVICE piece own_piece(const matrices &m)
{
    int64_t number;
    const int64_t matrix = vx_divide(blockIdx.x, m.pieces, &number);
    const int64_t first = number * m.each, end = first + m.each;
    return {m.f + matrix * m.n,          m.bins + matrix * LEVELS * BINS,
            m.equal + matrix * m.pieces, first,
            end < m.n ? end : m.n,       (int)number};
}

/* -0 is as large as +0, every NaN the largest. */
VX_DEVICE unsigned order_key(float x)
{
    const unsigned u = vx_bits_of(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return 0xffffffffu;
    if (u == 0x80000000u)
        return 0x80000000u;
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

/* What the known bits leave over. */
VX_DEVICE int shift_of(int level)
{
    return level == 0 ? 21 : level == 1 ? 10 : 0;
}

/* Of the block's threads up to this one. */
VX_DEVICE int64_t sum_up_to(places &p, int64_t x)
{
    for (unsigned by = 1; by < VX_WARP; by *= 2) {
        const int64_t before = __shfl_up_sync(VX_ALL_LANES, x, by);
        x += vx_lane() >= (int)by ? before : 0;
    }
    __syncthreads();
    if (vx_lane() == VX_WARP - 1)
        p.warps[vx_warp()] = x;
    __syncthreads();
    for (int w = 0; w < vx_warp(); w++)
        x += p.warps[w];
    return x;
}

/* The bin in which the entry number *rank (from 1 on) lies; *rank becomes its number there. */
VX_DEVICE unsigned find_bin(places &p, const unsigned *bins, int64_t *rank)
{
    constexpr int EACH = BINS / THREADS;
    int64_t own = 0;
    bins += (int)threadIdx.x * EACH;
    for (int i = 0; i < EACH; i++)
        own += bins[i];
    const int64_t up_to = sum_up_to(p, own);
    int64_t before = up_to - own;
    if (before < *rank && *rank <= up_to)
        for (int i = 0; i < EACH; i++) {
            if (before < *rank && *rank <= before + bins[i]) {
                p.bin = threadIdx.x * EACH + (unsigned)i;
                p.rank = *rank - before;
            }
            before += bins[i];
        }
    __syncthreads();
    *rank = p.rank;
    return p.bin;
}

/* The limit's bits that the first `levels` levels tell; *rank: of the entry, among those that agree
 * with them. */
VX_DEVICE unsigned limit_of(places &p, const unsigned *bins, int levels, int64_t *rank)
{
    unsigned limit = 0;
    for (int level = 0; level < levels; level++) {
        const unsigned bin = find_bin(p, bins + level * BINS, rank);
        limit = limit << (level == LEVELS - 1 ? 10 : 11) | bin;
        __syncthreads(); /* the bin was read */
    }
    return limit;
}

/* Counts a level's bins, when the ones before are complete. */
__global__ void __launch_bounds__(THREADS, 4) count_bins(matrices m, int level)
{
    places &p = vx_shared<places>();
    const piece own = own_piece(m);
    const int shift = shift_of(level), known = level ? shift_of(level - 1) : 0;
    const unsigned mask = level == LEVELS - 1 ? 1023u : 2047u;
    int64_t rank = m.count;
    const unsigned prefix = limit_of(p, own.bins, level, &rank);
    for (int i = (int)threadIdx.x; i < BINS; i += THREADS)
        p.bins[i] = 0;
    __syncthreads();
    for (int64_t i = own.first + threadIdx.x; i < own.end; i += THREADS) {
        const unsigned key = order_key(own.f[i]);
        if (level == 0 || key >> known == prefix)
            vx_atomic_add(&p.bins[key >> shift & mask], 1u);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < BINS; i += THREADS)
        if (p.bins[i])
            vx_atomic_add(own.bins + level * BINS + i, p.bins[i]);
}

/* The entries of each piece that are equal to the limit. */
__global__ void __launch_bounds__(THREADS, 4) count_equal(matrices m)
{
    places &p = vx_shared<places>();
    const piece own = own_piece(m);
    int64_t rank = m.count, equal = 0;
    const unsigned limit = limit_of(p, own.bins, LEVELS, &rank);
    for (int64_t i = own.first + threadIdx.x; i < own.end; i += THREADS)
        equal += order_key(own.f[i]) == limit;
    equal = sum_up_to(p, equal);
    if (threadIdx.x == THREADS - 1)
        own.equal[own.number] = (unsigned)equal;
}

VX_DEVICE int bits_set(unsigned x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return (int)(((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24);
}

/* A warp's entries first..end-1, whole rows of 32; `before`: how many that are equal to the limit
 * lie in front of them. */
VX_DEVICE void drop_entries(const matrices &m, float *f, int64_t first, int64_t end, unsigned limit,
                            int64_t before, int64_t fall)
{
    const unsigned below = (1u << vx_lane()) - 1;
    for (int64_t i = first + vx_lane(); i - vx_lane() < end; i += VX_WARP) {
        const unsigned key = i < end ? order_key(f[i]) : 0;
        const bool is_equal = i < end && key == limit;
        const unsigned equal = __ballot_sync(VX_ALL_LANES, is_equal);
        const bool drops =
            i < end && (key < limit || (is_equal && before + bits_set(equal & below) < fall));
        if (drops && !(m.keep_first && i == 0))
            f[i] = 0;
        before += bits_set(equal);
    }
}

__global__ void __launch_bounds__(THREADS, 4) drop(matrices m)
{
    places &p = vx_shared<places>();
    const piece own = own_piece(m);
    int64_t fall = m.count, before = 0, equal = 0; /* so many of the equal ones fall */
    const unsigned limit = limit_of(p, own.bins, LEVELS, &fall);
    for (int i = (int)threadIdx.x; i < own.number; i += THREADS)
        before += own.equal[i];
    (void)sum_up_to(p, before);
    for (int w = 0; w < WARPS; w++)
        equal += p.warps[w]; /* of the pieces before */
    const int64_t each = m.each / WARPS, from = own.first + vx_warp() * each;
    const int64_t end = from + each < own.end ? from + each : own.end;
    before = 0;
    for (int64_t i = from + vx_lane(); i < end; i += VX_WARP)
        before += order_key(own.f[i]) == limit;
    const int64_t here = vx_warp_sum(before);
    __syncthreads();
    if (vx_lane() == 0)
        p.warps[vx_warp()] = here;
    __syncthreads();
    for (int w = 0; w < vx_warp(); w++)
        equal += p.warps[w];
    drop_entries(m, own.f, from, end, limit, equal, fall);
}

} // namespace

extern "C" void vx_discard_smallest_cuda(vx_device *dev, const vx_discard_smallest *a)
{
    constexpr int64_t LEAST = 4096, MOST_PIECES = 4096;
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int64_t n = (int64_t)a->tokens * a->tokens;
    const int64_t wanted = (n + MOST_PIECES - 1) / MOST_PIECES;
    const int64_t each = (int64_t)vx_round_up((size_t)(wanted > LEAST ? wanted : LEAST), THREADS);
    matrices m = {a->f,
                  nullptr,
                  nullptr,
                  n,
                  each,
                  a->count < n ? a->count : n,
                  (int)((n + each - 1) / each),
                  a->keep_first};
    const size_t bins = LEVELS * BINS * sizeof(unsigned);
    const int64_t at_once =
        (int64_t)(cuda->scratch_bytes / (bins + (size_t)m.pieces * sizeof(unsigned)));
    if (m.count <= 0)
        return;
    if (at_once <= 0) {
        vx_gpu_fail(&cuda->stream, VX_GPU_NO_ROOM, "discard_smallest: no room was reserved");
        return;
    }
    for (int64_t b = 0; b < a->batch; b += at_once) {
        const int64_t here = a->batch - b < at_once ? a->batch - b : at_once;
        const unsigned blocks = (unsigned)(here * m.pieces);
        m.f = a->f + b * n;
        m.bins = reinterpret_cast<unsigned *>(cuda->scratch);
        m.equal = m.bins + here * LEVELS * BINS;
        vx_queue_fill(&cuda->stream, m.bins, 0, (size_t)here * bins);
        for (int level = 0; level < LEVELS; level++)
            VX_LAUNCH(count_bins, blocks, THREADS, sizeof(places), &cuda->stream, m, level);
        VX_LAUNCH(count_equal, blocks, THREADS, sizeof(places), &cuda->stream, m);
        VX_LAUNCH(drop, blocks, THREADS, sizeof(places), &cuda->stream, m);
    }
}
