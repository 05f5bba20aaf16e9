/*
 * kernels/cuda/attention_tiles.cu: attention of long sequences by instructions for matrices.
 *
 * A block has 64 queries of a head, 16 a warp, and goes over the keys 64 at a time; while it works
 * on 64 of them the next come in. The largest score and the sum run along (Milakov & Gimelshein
 * 2018), unless probabilities are recorded: then a first pass over the keys finds them, and the
 * second makes each probability once, final.
 */
#include "kernels/cuda/attention_fast.h"

enum { KEYS = 64, FRAGMENTS = KEYS / VX_MMA, QUERIES = VX_MMA * VX_MMA_WARPS };

/* What a block has of its head, and where keys and values come to lie: those of odd tiles `odd`
 * elements behind those of even ones. */
struct tile_place {
    vx_head head;
    vx_half_rows k, v;
    int odd;
    vx_strip strip; /* of the warp */
    int keys;       /* all of them */
};

VX_DEVICE vx_half_rows room_of(vx_half_rows even, const tile_place &at, int t)
{
    even.at += t % 2 * at.odd;
    return even;
}

/* The running softmax of a warp's rows. */
struct running {
    float max[2], sum[2]; /* sum: the lane's part */
};

template <int NUMBER>
VX_DEVICE void load_tile(const vx_attend &a, const tile_place &at, int t, bool values)
{
    const int from = t * KEYS, n = vx_at_most(at.keys - from, KEYS), thread = (int)threadIdx.x;
    vx_copy_rows_in<NUMBER>(room_of(at.k, at, t), at.head.k, a.first + from, n, KEYS, a.width,
                            thread, VX_MMA_THREADS);
    if (values)
        vx_copy_rows_in<NUMBER>(room_of(at.v, at, t), at.head.v, a.first + from, n, KEYS, a.width,
                                thread, VX_MMA_THREADS);
    vx_cp_commit();
}

/* s into 2^(s - largest so far); what came before has to be multiplied by factor. */
VX_DEVICE void run_softmax(float (&s)[2 * FRAGMENTS][4], running &r, float (&factor)[2])
{
    const float ones[2] = {1, 1};
    float max[2] = {r.max[0], r.max[1]};
    vx_strip_max<FRAGMENTS>(max, s);
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        factor[half] = vx_softmax_factor(r.max[half], max[half]);
        r.max[half] = max[half];
        r.sum[half] *= factor[half];
    }
    vx_strip_exp<FRAGMENTS>(s, r.sum, max, ones);
}

/* o += p v, C times 16 columns. */
template <int NUMBER, int C>
VX_DEVICE void add_values(float (&o)[2 * C][4], const float (&s)[2 * FRAGMENTS][4],
                          const vx_strip &at)
{
    const int columns = at.v.ld - 8;
    VX_UNROLL
    for (int f = 0; f < FRAGMENTS; f++) {
        if (f >= at.fragments)
            break;
        vx_operand<NUMBER, 4> p;
        vx_strip_weights<NUMBER, FRAGMENTS>(p, s, f);
        VX_UNROLL
        for (int c = 0; c < C; c++) {
            if (c * VX_MMA >= columns)
                break;
            vx_operand<NUMBER, 4> v;
            vx_load_b_turned<NUMBER>(v, vx_half_rows_from(at.v, f * VX_MMA), c * VX_MMA);
            vx_mma_add<NUMBER>(o[2 * c], p, v, 0);
            vx_mma_add<NUMBER>(o[2 * c + 1], p, v, 1);
        }
    }
}

/* The tile's scores, of the warp's queries. */
template <int NUMBER>
VX_DEVICE void tile_scores(float (&s)[2 * FRAGMENTS][4], const vx_attend &a, tile_place &at, int t)
{
    at.strip.k = room_of(at.k, at, t);
    at.strip.v = room_of(at.v, at, t);
    at.strip.j = a.first + t * KEYS;
    at.strip.fragments = (at.keys - t * KEYS + VX_MMA - 1) / VX_MMA;
    vx_strip_products<NUMBER, FRAGMENTS, 1>(s, at.strip);
    vx_strip_scores<FRAGMENTS>(s, a, at.head, at.strip);
}

/* One pass over the keys. */
template <int NUMBER, int C, class F>
VX_DEVICE void over_tiles(const vx_attend &a, tile_place &at, bool values, F f)
{
    const int tiles = (at.keys + KEYS - 1) / KEYS;
    load_tile<NUMBER>(a, at, 0, values);
    for (int t = 0; t < tiles; t++) {
        float s[2 * FRAGMENTS][4];
        vx_cp_wait<0>();
        __syncthreads(); /* the tile has come, and nobody reads the one before */
        if (t + 1 < tiles)
            load_tile<NUMBER>(a, at, t + 1, values);
        tile_scores<NUMBER>(s, a, at, t);
        f(s);
    }
    __syncthreads();
}

/* The largest scores and 1/sum of the warp's rows. */
VX_DEVICE void end_softmax(const running &r, float (&inverse)[2])
{
    inverse[0] = 1.0f / vx_sum_of_4(r.sum[0]);
    inverse[1] = 1.0f / vx_sum_of_4(r.sum[1]);
}

/* The pass that makes o, and scale, which o has to be multiplied by. recorded: r and scale are
 * known, and o is final. */
template <int NUMBER, int C>
VX_DEVICE void attend_tile(float (&o)[2 * C][4], float (&scale)[2], running &r, const vx_attend &a,
                           const vx_fast_out &out, tile_place &at, bool recorded)
{
    over_tiles<NUMBER, C>(a, at, true, [&](float(&s)[2 * FRAGMENTS][4]) {
        if (recorded) {
            float sum[2] = {};
            vx_strip_exp<FRAGMENTS>(s, sum, r.max, scale);
            vx_strip_record<FRAGMENTS>(s, a, at.head, out, at.strip);
        } else {
            float factor[2];
            run_softmax(s, r, factor);
            VX_UNROLL
            for (int c = 0; c < 2 * C; c++) {
                VX_UNROLL
                for (int k = 0; k < 4; k++)
                    o[c][k] *= factor[k / 2];
            }
        }
        add_values<NUMBER, C>(o, s, at.strip);
    });
}

/* The warp's queries, and room for tiles. */
template <int NUMBER>
VX_DEVICE tile_place tile_place_of(const vx_attend &a, const vx_fast_out &out,
                                   const vx_stand &stand)
{
    constexpr int planes = vx_planes<NUMBER>;
    uint16_t *all = vx_shared<vx_words>().at;
    const int ld = vx_mma_ld(a.width), part = planes * KEYS * ld;
    const int i = (stand.tile * VX_MMA_WARPS + vx_warp()) * VX_MMA;
    tile_place at = {};
    at.head = vx_head_of(a, stand.b, stand.h);
    at.keys = at.head.tokens - a.first;
    at.k = {all, ld, KEYS * ld};
    at.v = {all + part, ld, KEYS * ld};
    at.odd = 2 * part;
    at.strip.q = {all + 4 * part + vx_warp() * planes * VX_MMA * ld, ld, VX_MMA * ld};
    at.strip.i = a.first + i;
    at.strip.m = vx_at_most(vx_at_most(out.rows, at.keys) - i, VX_MMA);
    at.strip.end = at.head.tokens;
    return at;
}

template <int NUMBER, int C>
static __global__ void __launch_bounds__(VX_MMA_THREADS)
    attend_tiles(vx_attend a, vx_fast_out out, int tiles)
{
    const vx_stand stand = vx_stand_of(tiles, a.heads);
    tile_place at = tile_place_of<NUMBER>(a, out, stand);
    if (stand.tile * QUERIES >= at.keys)
        return; /* the whole block: the sequence is shorter */
    const vx_strip &strip = at.strip;
    const bool recorded = vx_recorded_here(out, a.first + stand.tile * QUERIES, QUERIES);
    running r = {{-INFINITY, -INFINITY}, {}};
    float o[2 * C][4] = {}, scale[2] = {1, 1}, factor[2];
    vx_copy_rows_in<NUMBER>(strip.q, at.head.q, strip.i, strip.m, VX_MMA, a.width, vx_lane(),
                            VX_WARP);
    if (recorded) {
        over_tiles<NUMBER, C>(a, at, false,
                              [&](float(&s)[2 * FRAGMENTS][4]) { run_softmax(s, r, factor); });
        end_softmax(r, scale);
    }
    attend_tile<NUMBER, C>(o, scale, r, a, out, at, recorded);
    if (!recorded)
        end_softmax(r, scale);
    vx_strip_stats(a, at.head, out, strip, r.max, scale);
    if (recorded)
        scale[0] = scale[1] = 1;
    const int m = vx_at_most(a.first + out.queries - strip.i, strip.m);
    const vx_rows y = vx_rows_from(vx_y_of(a, out, at.head), strip.i);
    VX_UNROLL
    for (int c = 0; c < 2 * C; c++)
        vx_mma_write(y, o[c], m, 8 * c, a.width, scale);
}

/* ------------------------------------------------------------------------- for the host ---- */

static size_t shared_bytes(const vx_cuda *cuda, int width)
{
    const size_t planes = cuda->number == VX_CUDA_BF16X3 ? 2 : 1;
    return planes * (4 * KEYS + QUERIES) * (size_t)vx_mma_ld(width) * 2;
}

template <int NUMBER>
static void launch(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch)
{
    const int tiles = (out.rows + QUERIES - 1) / QUERIES;
    const dim3 grid(vx_blocks((size_t)tiles * (size_t)a.heads * (size_t)batch, 1));
    const size_t bytes = shared_bytes(cuda, a.width);
    if (a.width <= 64)
        VX_LAUNCH((attend_tiles<NUMBER, 4>), grid, VX_MMA_THREADS, bytes, &cuda->stream, a, out,
                  tiles);
    else
        VX_LAUNCH((attend_tiles<NUMBER, 8>), grid, VX_MMA_THREADS, bytes, &cuda->stream, a, out,
                  tiles);
}

bool vx_attend_tiles_serve(const vx_cuda *cuda, int width)
{
    return width <= 128 && shared_bytes(cuda, width) <= cuda->gpu.block_bytes;
}

void vx_attend_tiles(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch)
{
    if (cuda->number == VX_CUDA_BF16X3)
        launch<VX_CUDA_BF16X3>(cuda, a, out, batch);
    else if (cuda->number == VX_CUDA_BF16)
        launch<VX_CUDA_BF16>(cuda, a, out, batch);
    else
        launch<VX_CUDA_F16>(cuda, a, out, batch);
}
