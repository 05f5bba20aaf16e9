/*
 * test/cuda/attention.cu: a head of attention by tiles: 32 queries a block, 16 a warp; 32 keys at a
 * time, two tiles of them in shared memory, one of which is on its way; online softmax.
 */
#include "kernels/cuda/gpu.h"
#include "test/cuda/bugs.h"

enum { E = VX_TILE_WIDTH, ROW = E + 8, KEYS = 32, QUERIES = 32, THREADS = 64, CHUNKS = E / 8 };

struct tile_shared {
    vx_bf16 q[QUERIES][ROW], k[2][KEYS][ROW], v[2][KEYS][ROW];
};

struct tile_args {
    float *y, *scores;
    const vx_bf16 *q, *k, *v;
    int tokens;
};

/* What a warp holds of its 16 queries; [0], [1]: of rows lane/4 and lane/4 + 8. */
struct tile_state {
    float most[2], sum[2], out[E / 8][4];
};

template <int BUG>
static __device__ void load(vx_bf16 (&to)[KEYS][ROW], const vx_bf16 *from, int first, int tokens)
{
    constexpr int off = BUG == VX_BUG_tile_copies_unaligned ? 4 : 0;
    for (int i = (int)threadIdx.x; i < KEYS * CHUNKS; i += THREADS) {
        const int row = i / CHUNKS, column = i % CHUNKS * 8;
        vx_cp_async16(&to[row][column], from + (first + row) * E + column + off,
                      first + row < tokens);
    }
}

/* Scores of 16 queries and 32 keys: four fragments of 8 keys. */
template <int BUG>
static __device__ void multiply(float (&s)[KEYS / 8][4], const vx_bf16 (&q)[QUERIES][ROW],
                                const vx_bf16 (&k)[KEYS][ROW])
{
    constexpr int off = BUG == VX_BUG_tile_row_unaligned ? 1 : 0;
    const int lane = vx_lane();
    for (int e = 0; e < E; e += 16) {
        uint32_t a[4];
        vx_ldmatrix_x4(a, &q[vx_warp() * 16 + lane % 16][e + lane / 16 * 8 + off]);
        for (int j = 0; j < KEYS / 8; j += 2) {
            uint32_t b[4];
            vx_ldmatrix_x4(b, &k[j * 8 + lane / 16 * 8 + lane % 8][e + lane / 8 % 2 * 8]);
            const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
            if (BUG != VX_BUG_tile_mma_by_some || lane < 20)
                vx_mma_bf16(s[j], a, low);
            vx_mma_bf16(s[j + 1], a, high);
        }
    }
}

/* Writes scores; those of keys that are not there become -infinity. */
template <int BUG>
static __device__ void record(const tile_args &args, float (&s)[KEYS / 8][4], int query, int first)
{
    for (int j = 0; j < KEYS / 8; j++)
        for (int c = 0; c < 4; c++) {
            const int key = first + j * 8 + vx_lane() % 4 * 2 + c % 2, row = query + c / 2 * 8;
            if (row < args.tokens && (key < args.tokens || BUG == VX_BUG_tile_scores_past_end))
                args.scores[row * args.tokens + key] = s[j][c];
            if (key >= args.tokens && BUG != VX_BUG_tile_no_mask)
                s[j][c] = -INFINITY;
        }
}

template <int BUG> static __device__ float over_row(float v, bool most)
{
    for (int d = 1; d <= 2; d *= 2) {
        const float w =
            __shfl_xor_sync(VX_ALL_LANES, v, BUG == VX_BUG_tile_wrong_lanes ? 4 * d : d);
        v = most ? fmaxf(v, w) : v + w;
    }
    return v;
}

template <int BUG> static __device__ void soften(tile_state &at, float (&s)[KEYS / 8][4])
{
    constexpr float log2e = 1.4426950408889634f;
    for (int r = 0; r < 2; r++) {
        float most = at.most[r], sum = 0;
        for (int j = 0; j < KEYS / 8; j++)
            most = fmaxf(most, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
        most = over_row<BUG>(most, true);
        const float scale = vx_exp2((at.most[r] - most) * log2e);
        for (int j = 0; j < KEYS / 8; j++)
            for (int c = 2 * r; c < 2 * r + 2; c++) {
                s[j][c] = vx_exp2((s[j][c] - most) * log2e);
                sum += s[j][c];
            }
        for (int n = 0; n < E / 8; n++) {
            at.out[n][2 * r] *= scale;
            at.out[n][2 * r + 1] *= scale;
        }
        at.sum[r] = at.sum[r] * scale + over_row<VX_BUG_none>(sum, false);
        at.most[r] = most;
    }
}

/* The scores' fragments are those of P as it is multiplied with V. */
template <int BUG>
static __device__ void weigh(tile_state &at, const float (&s)[KEYS / 8][4],
                             const vx_bf16 (&v)[KEYS][ROW])
{
    const int lane = vx_lane();
    for (int c = 0; c < KEYS / 16; c++) {
        const float(&one)[4] = s[2 * c], (&two)[4] = s[2 * c + 1];
        uint32_t a[4] = {vx_pack_bf16(one[0], one[1]), vx_pack_bf16(one[2], one[3]),
                         vx_pack_bf16(two[0], two[1]), vx_pack_bf16(two[2], two[3])};
        if (BUG == VX_BUG_tile_fragments_swapped) {
            const uint32_t t = a[1];
            a[1] = a[2];
            a[2] = t;
        }
        for (int n = 0; n < E / 8; n += 2) {
            uint32_t b[4];
            const vx_bf16 *row = &v[c * 16 + lane % 16][(n + lane / 16) * 8];
            if (BUG == VX_BUG_tile_not_transposed)
                vx_ldmatrix_x4(b, row);
            else
                vx_ldmatrix_x4_trans(b, row);
            const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
            vx_mma_bf16(at.out[n], a, low);
            vx_mma_bf16(at.out[n + 1], a, high);
        }
    }
}

template <int BUG>
static __device__ void finish(const tile_args &args, const tile_state &at, int query)
{
    const int lane = vx_lane(), t = BUG == VX_BUG_tile_column_of_row ? lane / 4 : lane % 4;
    for (int n = 0; n < E / 8; n++)
        for (int c = 0; c < 4; c++) {
            const int row = query + c / 2 * 8, column = n * 8 + t * 2 + c % 2;
            if (row < args.tokens && column < E)
                args.y[row * E + column] = at.out[n][c] / at.sum[c / 2];
        }
}

/* Tile i + 1 sets out, tile i arrives. */
template <int BUG>
static __device__ void next_tile(tile_shared &s, const tile_args &args, int i, int tiles)
{
    const int b = (i + 1) % 2;
    if (i + 1 < tiles) {
        load<BUG>(s.k[b], args.k, (i + 1) * KEYS, args.tokens);
        load<BUG>(s.v[b], args.v, (i + 1) * KEYS, args.tokens);
        vx_cp_commit();
        vx_cp_wait<1>();
    } else if (BUG == VX_BUG_tile_waits_too_little || BUG == VX_BUG_tile_never_waits) {
        vx_cp_wait<1>();
    } else {
        vx_cp_wait<0>();
    }
    if (BUG != VX_BUG_tile_no_barrier_after_wait)
        __syncthreads();
}

template <int BUG>
static __global__ void __launch_bounds__(THREADS) tile(const __grid_constant__ tile_args args)
{
    tile_shared &s = vx_shared<tile_shared>();
    const int first = (int)blockIdx.x * QUERIES, query = first + vx_warp() * 16 + vx_lane() / 4;
    const int tiles = (args.tokens + KEYS - 1) / KEYS;
    tile_state at = {{-INFINITY, -INFINITY}, {0, 0}, {}};
    load<VX_BUG_none>(s.q, args.q, first, args.tokens);
    load<BUG>(s.k[0], args.k, 0, args.tokens);
    load<BUG>(s.v[0], args.v, 0, args.tokens);
    vx_cp_commit();
    for (int i = 0; i < tiles; i++) {
        const int b = BUG == VX_BUG_tile_wrong_buffer ? (i + 1) % 2 : i % 2;
        float scores[KEYS / 8][4] = {};
        next_tile<BUG>(s, args, i, tiles);
        multiply<BUG>(scores, s.q, s.k[b]);
        record<BUG>(args, scores, query, i * KEYS);
        soften<BUG>(at, scores);
        weigh<BUG>(at, scores, s.v[b]);
        if (BUG != VX_BUG_tile_no_barrier_before_reuse)
            __syncthreads();
    }
    if (BUG == VX_BUG_tile_waits_too_little)
        vx_cp_wait<0>();
    finish<BUG>(args, at, query);
}

void vx_test_tile(vx_bug bug, vx_gpu_stream *stream, float *y, float *scores, const uint16_t *q,
                  const uint16_t *k, const uint16_t *v, int tokens)
{
#define VX_BUG(kernel, name, runs, text, what) VX_BUG_OF_##kernel(name)
#define VX_BUG_OF_norm(name)
#define VX_BUG_OF_tile(name)                                                                       \
    case VX_BUG_tile_##name:                                                                       \
        VX_LAUNCH(tile<VX_BUG_tile_##name>, blocks, THREADS, sizeof(tile_shared), stream, args);   \
        break;
#define VX_BUG_OF_exchange(name)
    const tile_args args = {y,
                            scores,
                            reinterpret_cast<const vx_bf16 *>(q),
                            reinterpret_cast<const vx_bf16 *>(k),
                            reinterpret_cast<const vx_bf16 *>(v),
                            tokens};
    const int blocks = (tokens + QUERIES - 1) / QUERIES;
    switch ((int)bug) {
#include "test/cuda/bugs.def"
    default:
        VX_LAUNCH(tile<VX_BUG_none>, blocks, THREADS, sizeof(tile_shared), stream, args);
    }
}
