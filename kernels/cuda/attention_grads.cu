/*
 * kernels/cuda/attention_grads.cu: gradients through attention by instructions for matrices.
 *
 * Two kernels, each of which owns what it writes. The first has 64 queries a block, 16 a warp, and
 * goes over the keys twice: once for the largest score, the sum and rowsum(p dp) of each row, which
 * it leaves behind, then for ds and dq (and dp). The second has 64 keys a block and goes over the
 * queries, with the scores turned: rows are keys. Nothing but the sums of rows is kept between
 * them.
 */
#include "kernels/cuda/attention_grads.h"

enum { SIDE = 32, FRAGMENTS = SIDE / VX_MMA, OWN = VX_MMA * VX_MMA_WARPS };

/* What a block has of a gradient's head. A warp owns 16 rows of two arrays (queries and dy, or keys
 * and values); 32 rows of the two others come by, tile by tile. */
struct grad_place {
    vx_head head;
    vx_rows dy, dqkv; /* row r is token r */
    size_t index;     /* g*H + h          */
    vx_half_rows own[2], side[2];
    int odd;  /* from the room of even tiles to that of odd ones        */
    int i, m; /* the warp's first token, and how many it has            */
    int end;  /* behind the last query                                  */
};

typedef float grad_share[2 * FRAGMENTS][4];

template <int NUMBER> VX_DEVICE grad_place grad_place_of(const vx_grads &a, const vx_stand &stand)
{
    constexpr int planes = vx_planes<NUMBER>;
    const vx_attend &f = a.forward;
    const size_t width = (size_t)f.width, all = (size_t)f.heads * width;
    const int ld = vx_mma_ld(f.width), own = planes * VX_MMA * ld, side = planes * SIDE * ld;
    uint16_t *room = vx_shared<vx_words>().at, *mine = room + 4 * side + vx_warp() * 2 * own;
    grad_place at = {};
    at.head = vx_head_of(f, stand.b / a.targets, stand.h);
    at.index = (size_t)stand.b * (size_t)f.heads + (size_t)stand.h;
    at.dy = vx_dy_of(a, stand.b, stand.h);
    at.dqkv = {a.dqkv, (size_t)stand.b * (size_t)f.tokens * 3 * all + (size_t)stand.h * width,
               3 * all};
    at.own[0] = {mine, ld, VX_MMA * ld};
    at.own[1] = {mine + own, ld, VX_MMA * ld};
    at.side[0] = {room, ld, SIDE * ld};
    at.side[1] = {room + side, ld, SIDE * ld};
    at.odd = 2 * side;
    at.i = f.first + stand.tile * OWN + vx_warp() * VX_MMA;
    at.end = f.first + a.queries;
    return at;
}

VX_DEVICE vx_half_rows side_of(const grad_place &at, int which, int t)
{
    vx_half_rows rows = at.side[which];
    rows.at += t % 2 * at.odd;
    return rows;
}

/* The 32 rows from token `from` on, below token `end`. */
template <int NUMBER>
VX_DEVICE void load_side(const grad_place &at, const vx_rows &a, const vx_rows &b, int from,
                         int end, int t, int width)
{
    const int n = vx_at_most(end - from, SIDE), thread = (int)threadIdx.x;
    vx_copy_rows_in<NUMBER>(side_of(at, 0, t), a, from, n, SIDE, width, thread, VX_MMA_THREADS);
    vx_copy_rows_in<NUMBER>(side_of(at, 1, t), b, from, n, SIDE, width, thread, VX_MMA_THREADS);
    vx_cp_commit();
}

/* Goes over the tokens first..end-1 of a and b: f(t, token). */
template <int NUMBER, class F>
VX_DEVICE void over_sides(const vx_grads &g, const grad_place &at, const vx_rows &a,
                          const vx_rows &b, int end, F f)
{
    const int first = g.forward.first, width = g.forward.width;
    load_side<NUMBER>(at, a, b, first, end, 0, width);
    for (int t = 0, from = first; from < end; t++, from += SIDE) {
        vx_cp_wait<0>();
        __syncthreads(); /* the tile has come, and nobody reads the one before */
        if (from + SIDE < end)
            load_side<NUMBER>(at, a, b, from + SIDE, end, t + 1, width);
        f(t, from);
    }
    __syncthreads();
}

/* c = own side^T */
template <int NUMBER>
VX_DEVICE void products(grad_share &c, const vx_half_rows &own, const vx_half_rows &side)
{
    VX_UNROLL
    for (int f = 0; f < 2 * FRAGMENTS; f++)
        c[f][0] = c[f][1] = c[f][2] = c[f][3] = 0;
    for (int e = 0; e < own.ld - 8; e += VX_MMA) {
        vx_operand<NUMBER, 4> a;
        vx_load_a<NUMBER>(a, own, e);
        VX_UNROLL
        for (int f = 0; f < FRAGMENTS; f++) {
            vx_operand<NUMBER, 4> b;
            vx_load_b<NUMBER>(b, vx_half_rows_from(side, f * VX_MMA), e);
            vx_mma_add<NUMBER>(c[2 * f], a, b, 0);
            vx_mma_add<NUMBER>(c[2 * f + 1], a, b, 1);
        }
    }
}

/* o += c side, C times 16 columns. */
template <int NUMBER, int C>
VX_DEVICE void add_products(float (&o)[2 * C][4], const grad_share &c, const vx_half_rows &side)
{
    VX_UNROLL
    for (int f = 0; f < FRAGMENTS; f++) {
        vx_operand<NUMBER, 4> a;
        vx_strip_weights<NUMBER, FRAGMENTS>(a, c, f);
        VX_UNROLL
        for (int k = 0; k < C; k++) {
            if (k * VX_MMA >= side.ld - 8)
                break;
            vx_operand<NUMBER, 4> b;
            vx_load_b_turned<NUMBER>(b, vx_half_rows_from(side, f * VX_MMA), k * VX_MMA);
            vx_mma_add<NUMBER>(o[2 * k], a, b, 0);
            vx_mma_add<NUMBER>(o[2 * k + 1], a, b, 1);
        }
    }
}

template <int C>
VX_DEVICE void write_rows(const vx_rows &to, const float (&o)[2 * C][4], int m, int width)
{
    const float ones[2] = {1, 1};
    VX_UNROLL
    for (int c = 0; c < 2 * C; c++)
        vx_mma_write(to, o[c], m, 8 * c, width, ones);
}

/* Columns of the tokens before `first`: 0. */
VX_DEVICE void clear_before(const vx_rows &to, int first, int width)
{
    for (int i = (int)threadIdx.x; i < first * width; i += VX_MMA_THREADS)
        vx_write(to.array, to.first + (size_t)(i / width) * to.ld + (size_t)(i % width), 0.0f);
}

/* ------------------------------------------------------------------------------ queries ---- */

/* Scores of the warp's queries and the keys from token j on. */
template <int NUMBER>
VX_DEVICE void query_scores(grad_share &s, const vx_grads &g, const grad_place &at, int t, int j)
{
    vx_strip strip = {};
    strip.i = at.i;
    strip.j = j;
    strip.end = at.head.tokens;
    products<NUMBER>(s, at.own[0], side_of(at, 0, t));
    vx_strip_scores<FRAGMENTS>(s, g.forward, at.head, strip);
}

/* Largest score, 1/sum and rowsum(p dp) of the warp's queries. */
template <int NUMBER>
VX_DEVICE void sum_queries(float (&max)[2], float (&inverse)[2], float (&dot)[2], const vx_grads &g,
                           const grad_place &at)
{
    float sum[2] = {};
    over_sides<NUMBER>(g, at, at.head.k, at.head.v, at.head.tokens, [&](int t, int j) {
        grad_share s, dp;
        const float before[2] = {max[0], max[1]}, ones[2] = {1, 1};
        query_scores<NUMBER>(s, g, at, t, j);
        products<NUMBER>(dp, at.own[1], side_of(at, 1, t));
        vx_strip_max<FRAGMENTS>(max, s);
        VX_UNROLL
        for (int half = 0; half < 2; half++) {
            const float factor = vx_softmax_factor(before[half], max[half]);
            sum[half] *= factor;
            dot[half] *= factor;
        }
        vx_strip_exp<FRAGMENTS>(s, sum, max, ones);
        VX_UNROLL
        for (int f = 0; f < 2 * FRAGMENTS; f++) {
            VX_UNROLL
            for (int k = 0; k < 4; k++)
                dot[k / 2] += s[f][k] * dp[f][k];
        }
    });
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        inverse[half] = 1.0f / vx_sum_of_4(sum[half]);
        dot[half] = vx_sum_of_4(dot[half]) * inverse[half];
    }
}

/* dp of the warp's rows, 0 where there is no query, and the keys from token j on. */
VX_DEVICE void write_dp(const vx_grads &g, const grad_place &at, const grad_share &dp, int j)
{
    const int end = g.forward.first + g.out.dp_rows;
    VX_UNROLL
    for (int f = 0; f < 2 * FRAGMENTS; f++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            const int token = at.i + vx_mma_row(k / 2), key = j + 8 * f + vx_mma_column() + k % 2;
            if (token < end && key < g.forward.tokens)
                g.out.dp[vx_dp_at(g.forward, g.out.dp_rows, at.index, token, key)] =
                    token < at.end ? dp[f][k] : 0.0f;
        }
    }
}

/* The row sums of the warp's queries for the other kernel. */
VX_DEVICE void leave_sums(const vx_grads &g, const grad_place &at, const float (&max)[2],
                          const float (&inverse)[2], const float (&dot)[2])
{
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        const int token = at.i + vx_mma_row(half);
        const size_t row = at.index * (size_t)g.queries + (size_t)(token - g.forward.first);
        if (vx_lane() % 4 == 0 && token < at.end)
            g.sums[row] = {max[half], inverse[half], dot[half], 0.0f};
    }
}

/* dq (and dp) of 64 tokens, the second time over the keys. */
template <int NUMBER, int C>
VX_DEVICE void query_products(float (&o)[2 * C][4], const vx_grads &g, const grad_place &at,
                              const float (&max)[2], const float (&inverse)[2],
                              const float (&dot)[2])
{
    over_sides<NUMBER>(g, at, at.head.k, at.head.v, at.head.tokens, [&](int t, int j) {
        grad_share s, dp;
        float sum[2] = {};
        products<NUMBER>(dp, at.own[1], side_of(at, 1, t));
        if (g.out.dp)
            write_dp(g, at, dp, j);
        if (!g.dqkv.data)
            return;
        query_scores<NUMBER>(s, g, at, t, j);
        vx_strip_exp<FRAGMENTS>(s, sum, max, inverse);
        VX_UNROLL
        for (int f = 0; f < 2 * FRAGMENTS; f++) {
            VX_UNROLL
            for (int k = 0; k < 4; k++)
                s[f][k] *= g.scale * (dp[f][k] - dot[k / 2]);
        }
        add_products<NUMBER, C>(o, s, side_of(at, 0, t));
    });
}

/* The sums of 64 tokens, dq and dp. */
template <int NUMBER, int C>
static __global__ void __launch_bounds__(VX_MMA_THREADS, 2) query_grads(vx_grads g, int tiles)
{
    const vx_stand stand = vx_stand_of(tiles, g.forward.heads);
    grad_place at = grad_place_of<NUMBER>(g, stand);
    const int width = g.forward.width, m = vx_at_most(at.end - at.i, VX_MMA);
    float max[2] = {-INFINITY, -INFINITY}, inverse[2] = {}, dot[2] = {}, o[2 * C][4] = {};
    vx_copy_rows_in<NUMBER>(at.own[0], at.head.q, at.i, m, VX_MMA, width, vx_lane(), VX_WARP);
    vx_copy_rows_in<NUMBER>(at.own[1], at.dy, at.i, m, VX_MMA, width, vx_lane(), VX_WARP);
    if (g.dqkv.data || g.out.product) {
        sum_queries<NUMBER>(max, inverse, dot, g, at);
        leave_sums(g, at, max, inverse, dot);
    }
    if (g.dqkv.data || g.out.dp)
        query_products<NUMBER, C>(o, g, at, max, inverse, dot);
    if (!g.dqkv.data)
        return;
    VX_UNROLL
    for (int c = 0; c < 2 * C; c++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            o[c][k] = vx_mma_row(k / 2) < m ? o[c][k] : 0.0f;
    }
    write_rows<C>(vx_rows_from(at.dqkv, at.i), o, vx_at_most(g.forward.tokens - at.i, VX_MMA),
                  width);
    if (stand.tile == 0)
        clear_before(at.dqkv, g.forward.first, width);
}

/* --------------------------------------------------------------------------------- keys ---- */

/* p and ds of the warp's keys (rows) and the queries from token j on, from scores and dp. */
VX_DEVICE void turn(grad_share &s, grad_share &dp, const vx_grads &g, const grad_place &at, int j)
{
    const float4 *sums = g.sums + at.index * (size_t)g.queries;
    vx_seat keys[2] = {};
    for (int half = 0; g.forward.relative.table && half < 2; half++)
        keys[half] = vx_seat_of(g.forward, at.head, at.i + vx_mma_row(half));
    VX_UNROLL
    for (int f = 0; f < 4 * FRAGMENTS; f++) {
        const int query = j + 8 * (f / 2) + vx_mma_column() + f % 2;
        const bool there = query < at.end;
        const float4 row = there ? sums[query - g.forward.first] : float4{0, 0, 0, 0};
        vx_seat seat = {};
        if (g.forward.relative.table)
            seat = vx_seat_of(g.forward, at.head, query);
        VX_UNROLL
        for (int half = 0; half < 2; half++) {
            float &x = s[f / 2][2 * half + f % 2], &d = dp[f / 2][2 * half + f % 2];
            x *= g.forward.scale;
            if (g.forward.relative.table && there && vx_mma_row(half) < at.m)
                x += VX_LOG2E * vx_added(g.forward, at.head, seat, keys[half]);
            x = there ? vx_exp2(x - row.x) * row.y : 0.0f;
            d = there ? g.scale * x * (d - row.z) : 0.0f;
        }
    }
}

/* dk and dv of 64 tokens. */
template <int NUMBER, int C>
static __global__ void __launch_bounds__(VX_MMA_THREADS, 2) key_grads(vx_grads g, int tiles)
{
    const vx_stand stand = vx_stand_of(tiles, g.forward.heads);
    grad_place at = grad_place_of<NUMBER>(g, stand);
    const int width = g.forward.width;
    const size_t all = (size_t)g.forward.heads * (size_t)width;
    at.m = vx_at_most(g.forward.tokens - at.i, VX_MMA);
    float dk[2 * C][4] = {}, dv[2 * C][4] = {};
    vx_copy_rows_in<NUMBER>(at.own[0], at.head.k, at.i, at.m, VX_MMA, width, vx_lane(), VX_WARP);
    vx_copy_rows_in<NUMBER>(at.own[1], at.head.v, at.i, at.m, VX_MMA, width, vx_lane(), VX_WARP);
    over_sides<NUMBER>(g, at, at.head.q, at.dy, at.end, [&](int t, int j) {
        grad_share s, dp;
        products<NUMBER>(s, at.own[0], side_of(at, 0, t));
        products<NUMBER>(dp, at.own[1], side_of(at, 1, t));
        turn(s, dp, g, at, j);
        add_products<NUMBER, C>(dv, s, side_of(at, 1, t));
        add_products<NUMBER, C>(dk, dp, side_of(at, 0, t));
    });
    const vx_rows to_k = {at.dqkv.array, at.dqkv.first + all, at.dqkv.ld},
                  to_v = {at.dqkv.array, to_k.first + all, at.dqkv.ld};
    write_rows<C>(vx_rows_from(to_k, at.i), dk, at.m, width);
    write_rows<C>(vx_rows_from(to_v, at.i), dv, at.m, width);
    if (stand.tile == 0) {
        clear_before(to_k, g.forward.first, width);
        clear_before(to_v, g.forward.first, width);
    }
}

/* ------------------------------------------------------------------------- for the host ---- */

static size_t shared_bytes(const vx_cuda *cuda, int width)
{
    const size_t planes = cuda->number == VX_CUDA_BF16X3 ? 2 : 1;
    return planes * (4 * SIDE + 2 * OWN) * (size_t)vx_mma_ld(width) * 2;
}

template <int NUMBER, int C> static void launch(vx_cuda *cuda, const vx_grads &g, int gradients)
{
    const int tiles = (g.forward.tokens - g.forward.first + OWN - 1) / OWN;
    const dim3 grid(vx_blocks((size_t)tiles * (size_t)g.forward.heads * (size_t)gradients, 1));
    const size_t bytes = shared_bytes(cuda, g.forward.width);
    if (g.dqkv.data || g.out.dp || g.out.product)
        VX_LAUNCH((query_grads<NUMBER, C>), grid, VX_MMA_THREADS, bytes, &cuda->stream, g, tiles);
    if (g.dqkv.data)
        VX_LAUNCH((key_grads<NUMBER, C>), grid, VX_MMA_THREADS, bytes, &cuda->stream, g, tiles);
}

bool vx_attend_grads_serve(const vx_cuda *cuda, int width)
{
    return width <= 128 && shared_bytes(cuda, width) <= cuda->gpu.block_bytes;
}

void vx_attend_grads(vx_cuda *cuda, const vx_grads &g, int gradients)
{
    const bool narrow = g.forward.width <= 64;
    if (cuda->number == VX_CUDA_BF16X3)
        narrow ? launch<VX_CUDA_BF16X3, 4>(cuda, g, gradients)
               : launch<VX_CUDA_BF16X3, 8>(cuda, g, gradients);
    else if (cuda->number == VX_CUDA_BF16)
        narrow ? launch<VX_CUDA_BF16, 4>(cuda, g, gradients)
               : launch<VX_CUDA_BF16, 8>(cuda, g, gradients);
    else
        narrow ? launch<VX_CUDA_F16, 4>(cuda, g, gradients)
               : launch<VX_CUDA_F16, 8>(cuda, g, gradients);
}
