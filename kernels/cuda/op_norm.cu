/*
 * kernels/cuda/op_norm.cu: layernorm, its gradient, softmax.
 *
 * A team, a warp or a block, takes a row and holds it in registers: memory is read once and written
 * once. Means are taken of what is left when a first mean was subtracted, variances in a pass of
 * their own, so a row far from 0 loses nothing. Rows whose variance leaves the range of floats
 * are done in double. Longer rows than a block holds are read again for each pass.
 */
#include "kernels/cuda/act.h"
#include "kernels/cuda/rows.h"

namespace
{

enum { TEAM_WARPS = 8 };

/* A team of so many warps; each thread holds K columns, W neighbours at once. */
template <int WARPS_, int K_, int W_> struct shape {
    enum : int {
        WARPS = WARPS_,
        K = K_,
        W = W_,
        LANES = WARPS * VX_WARP,
        TEAMS = WARPS == 1 ? 4 : 1 /* in a block */
    };
};

struct team_sums {
    double of[TEAM_WARPS];
};

template <class S> VX_DEVICE int own_lane()
{
    return S::WARPS == 1 ? vx_lane() : (int)threadIdx.x;
}

template <class S> VX_DEVICE int64_t first_row()
{
    return (int64_t)blockIdx.x * S::TEAMS + (S::WARPS == 1 ? vx_warp() : 0);
}

template <class S> VX_DEVICE int64_t row_step()
{
    return (int64_t)gridDim.x * S::TEAMS;
}

/* The column of this thread's number k. */
template <class S> VX_DEVICE int column(int k)
{
    return (k / S::W * S::LANES + own_lane<S>()) * S::W + k % S::W;
}

/* Of all threads of a team, the same in each. All of a block must come. */
template <class S, class T> VX_DEVICE T team_sum(T x)
{
    x = vx_warp_sum(x);
    if constexpr (S::WARPS > 1) {
        team_sums &sums = vx_shared<team_sums>();
        __syncthreads(); /* the last sum was read */
        if (vx_lane() == 0)
            sums.of[vx_warp()] = (double)x;
        __syncthreads();
        double all = 0;
        VX_UNROLL
        for (int w = 0; w < S::WARPS; w++)
            all += sums.of[w];
        x = (T)all;
    }
    return x;
}

template <class S> VX_DEVICE float team_max(float x)
{
    x = vx_warp_max(x);
    if constexpr (S::WARPS > 1) {
        team_sums &sums = vx_shared<team_sums>();
        __syncthreads();
        if (vx_lane() == 0)
            sums.of[vx_warp()] = (double)x;
        __syncthreads();
        VX_UNROLL
        for (int w = 0; w < S::WARPS; w++)
            x = fmaxf(x, (float)sums.of[w]);
    }
    return x;
}

template <class S, vx_kind KIND>
VX_DEVICE void load_typed(float (&v)[S::K], vx_view row, int n, float beyond)
{
    row.kind = KIND;
    VX_UNROLL
    for (int k = 0; k < S::K; k += S::W) {
        const int at = column<S>(k);
        if (at < n)
            vx_read_some<S::W>(row, at, v + k);
        else
            for (int i = 0; i < S::W; i++)
                v[k + i] = beyond;
    }
}

/* v = the row; `beyond` in columns that it does not have. */
template <class S> VX_DEVICE void load_row(float (&v)[S::K], vx_view row, int n, float beyond)
{
    if (row.kind == VX_KIND_F32)
        load_typed<S, VX_KIND_F32>(v, row, n, beyond);
    else if (row.kind == VX_KIND_BF16)
        load_typed<S, VX_KIND_BF16>(v, row, n, beyond);
    else
        load_typed<S, VX_KIND_F16>(v, row, n, beyond);
}

template <class S> VX_DEVICE float sum_of(const float (&v)[S::K])
{
    float sum = 0;
    VX_UNROLL
    for (int k = 0; k < S::K; k++)
        sum += v[k];
    return team_sum<S>(sum);
}

/* v -= mean where there is a column. */
template <class S> VX_DEVICE void subtract(float (&v)[S::K], float mean, int n)
{
    VX_UNROLL
    for (int k = 0; k < S::K; k++)
        v[k] = column<S>(k) < n ? v[k] - mean : 0.0f;
}

/* ------------------------------------------------------------------------ statistics ---- */

/* v = (row - mean) / sqrt(var + eps) in double. @return 1 / sqrt(var + eps) */
template <class S>
VX_DEVICE float normalise_wide(float (&v)[S::K], vx_view row, int n, float eps, int rms)
{
    double mean = 0, var = 0;
    load_row<S>(v, row, n, 0);
    for (int k = 0; k < S::K && !rms; k++)
        mean += (double)v[k];
    mean = rms ? 0 : team_sum<S>(mean) / n;
    for (int k = 0; k < S::K; k++) {
        const double d = column<S>(k) < n ? (double)v[k] - mean : 0;
        var += d * d;
    }
    const double scale = 1 / sqrt(team_sum<S>(var) / n + (double)eps);
    VX_UNROLL
    for (int k = 0; k < S::K; k++)
        v[k] = column<S>(k) < n ? (float)(((double)v[k] - mean) * scale) : 0.0f;
    return (float)scale;
}

/* The same. */
template <class S>
VX_DEVICE float normalise(float (&v)[S::K], vx_view row, int n, float eps, int rms)
{
    float var = 0;
    load_row<S>(v, row, n, 0);
    if (!rms) {
        subtract<S>(v, sum_of<S>(v) / (float)n, n);
        subtract<S>(v, sum_of<S>(v) / (float)n, n); /* what that mean's rounding left */
    }
    VX_UNROLL
    for (int k = 0; k < S::K; k++)
        var = fmaf(v[k], v[k], var);
    var = team_sum<S>(var) / (float)n + eps;
    if (!(var > 1e-30f && var < 1e35f)) /* or NaN; of the whole team */
        return normalise_wide<S>(v, row, n, eps, rms);
    const float scale = 1.0f / sqrtf(var);
    VX_UNROLL
    for (int k = 0; k < S::K; k++)
        v[k] *= scale;
    return scale;
}

/* Of a row that stays in memory, by a block: the mean, and 1 / sqrt(var + eps). */
using block_shape = shape<TEAM_WARPS, 1, 1>;
VX_DEVICE double long_statistics(double *mean, vx_view row, int n, float eps, int rms)
{
    double sum = 0, var = 0;
    for (int j = (int)threadIdx.x; j < n && !rms; j += block_shape::LANES)
        sum += (double)vx_read(row, j);
    *mean = rms ? 0 : team_sum<block_shape>(sum) / n;
    for (int j = (int)threadIdx.x; j < n; j += block_shape::LANES) {
        const double d = (double)vx_read(row, j) - *mean;
        var += d * d;
    }
    return 1 / sqrt(team_sum<block_shape>(var) / n + (double)eps);
}

/* ------------------------------------------------------------------------- layernorm ---- */

struct norm_args {
    vx_view y, x, residual;
    const float *weight, *bias;
    int64_t parts; /* rows times groups */
    float eps;
    int n, rms, groups;
};

/* Part `part`: one group of a row. */
VX_DEVICE vx_view part_of(vx_view a, int64_t part, int groups, int n)
{
    int64_t group;
    const int64_t row = vx_divide(part, groups, &group);
    return vx_from(a, row * a.ld + group * n);
}

/* W columns from `at` on. */
template <int W> VX_DEVICE void load_floats(const float *from, int at, float *x)
{
    vx_read_some<W>({const_cast<float *>(from), 0, VX_KIND_F32}, at, x);
}

template <class S> __global__ void __launch_bounds__(S::LANES *S::TEAMS) layernorm(norm_args a)
{
    constexpr int W = S::W;
    for (int64_t part = first_row<S>(); part < a.parts; part += row_step<S>()) {
        const vx_view y = part_of(a.y, part, a.groups, a.n);
        const vx_view residual =
            a.residual.data ? part_of(a.residual, part, a.groups, a.n) : a.residual;
        float v[S::K];
        normalise<S>(v, part_of(a.x, part, a.groups, a.n), a.n, a.eps, a.rms);
        VX_UNROLL
        for (int k = 0; k < S::K; k += W) {
            const int at = column<S>(k);
            if (at >= a.n)
                continue;
            float w[W], bias[W] = {}, more[W] = {};
            load_floats<W>(a.weight, at, w);
            if (a.bias)
                load_floats<W>(a.bias, at, bias);
            if (residual.data)
                vx_read_some<W>(residual, at, more);
            for (int i = 0; i < W; i++)
                w[i] = more[i] + fmaf(v[k + i], w[i], bias[i]);
            vx_write_some<W>(y, at, w);
        }
    }
}

__global__ void __launch_bounds__(block_shape::LANES) long_layernorm(norm_args a)
{
    for (int64_t part = blockIdx.x; part < a.parts; part += gridDim.x) {
        const vx_view x = part_of(a.x, part, a.groups, a.n);
        const vx_view y = part_of(a.y, part, a.groups, a.n);
        const vx_view residual =
            a.residual.data ? part_of(a.residual, part, a.groups, a.n) : a.residual;
        double mean;
        const double scale = long_statistics(&mean, x, a.n, a.eps, a.rms);
        for (int j = (int)threadIdx.x; j < a.n; j += block_shape::LANES) {
            const float hat = (float)(((double)vx_read(x, j) - mean) * scale);
            const float more = residual.data ? vx_read(residual, j) : 0.0f;
            vx_write(y, j, more + fmaf(hat, a.weight[j], a.bias ? a.bias[j] : 0.0f));
        }
    }
}

/* -------------------------------------------------------------------- layernorm_bwd ---- */

struct norm_bwd_args {
    vx_view dx, dy, x, pre;
    const float *weight;
    int64_t parts;
    float eps;
    int n, rms, groups, tokens, targets, accumulate;
    vx_act act;
};

/* Where a part lies in the four arrays. */
VX_DEVICE void places_of(norm_bwd_args *a, int64_t part)
{
    int64_t group, token;
    const int64_t row = vx_divide(part, a->groups, &group);
    const int64_t picture = vx_divide(row, a->tokens, &token) / a->targets;
    const int64_t forward = picture * a->tokens + token;
    a->dx = vx_from(a->dx, row * a->dx.ld + group * a->n);
    a->dy = vx_from(a->dy, row * a->dy.ld + group * a->n);
    a->x = vx_from(a->x, forward * a->x.ld + group * a->n);
    if (a->act != VX_ACT_NONE)
        a->pre = vx_from(a->pre, forward * a->pre.ld);
}

/* W columns of dx from d, which is what the norm gives. */
template <int W> VX_DEVICE void store_gradient(const norm_bwd_args &a, int at, float *d)
{
    float pre[W], more[W];
    if (a.accumulate) {
        vx_read_some<W>(a.dx, at, more);
        for (int i = 0; i < W; i++)
            d[i] += more[i];
    }
    if (a.act == VX_ACT_SWIGLU) {
        vx_read_some<W>(a.pre, at, pre);
        vx_read_some<W>(a.pre, (int64_t)a.n + at, more);
        for (int i = 0; i < W; i++)
            vx_swiglu_slopes(pre[i], more[i], d[i], &d[i], &more[i]);
        vx_write_some<W>(a.dx, (int64_t)a.n + at, more);
    } else if (a.act != VX_ACT_NONE) {
        vx_read_some<W>(a.pre, at, pre);
        for (int i = 0; i < W; i++)
            d[i] *= vx_act_slope(a.act, pre[i]);
    }
    vx_write_some<W>(a.dx, at, d);
}

template <class S>
__global__ void __launch_bounds__(S::LANES *S::TEAMS) layernorm_bwd(norm_bwd_args given)
{
    constexpr int W = S::W;
    for (int64_t part = first_row<S>(); part < given.parts; part += row_step<S>()) {
        norm_bwd_args a = given;
        places_of(&a, part);
        float hat[S::K], u[S::K], dot = 0;
        const float scale = normalise<S>(hat, a.x, a.n, a.eps, a.rms);
        load_row<S>(u, a.dy, a.n, 0);
        VX_UNROLL
        for (int k = 0; k < S::K; k += W) {
            float w[W] = {};
            if (column<S>(k) < a.n)
                load_floats<W>(a.weight, column<S>(k), w);
            for (int i = 0; i < W; i++) {
                u[k + i] *= w[i];
                dot = fmaf(u[k + i], hat[k + i], dot);
            }
        }
        const float mean = a.rms ? 0.0f : sum_of<S>(u) / (float)a.n;
        dot = team_sum<S>(dot) / (float)a.n;
        VX_UNROLL
        for (int k = 0; k < S::K; k += W) {
            for (int i = 0; i < W; i++)
                u[k + i] = (u[k + i] - mean - hat[k + i] * dot) * scale;
            if (column<S>(k) < a.n)
                store_gradient<W>(a, column<S>(k), u + k);
        }
    }
}

__global__ void __launch_bounds__(block_shape::LANES) long_layernorm_bwd(norm_bwd_args given)
{
    for (int64_t part = blockIdx.x; part < given.parts; part += gridDim.x) {
        norm_bwd_args a = given;
        places_of(&a, part);
        double mean, sum = 0, dot = 0;
        const double scale = long_statistics(&mean, a.x, a.n, a.eps, a.rms);
        for (int j = (int)threadIdx.x; j < a.n; j += block_shape::LANES) {
            const double u = (double)a.weight[j] * (double)vx_read(a.dy, j);
            sum += u;
            dot += u * ((double)vx_read(a.x, j) - mean) * scale;
        }
        sum = a.rms ? 0 : team_sum<block_shape>(sum) / a.n;
        dot = team_sum<block_shape>(dot) / a.n;
        for (int j = (int)threadIdx.x; j < a.n; j += block_shape::LANES) {
            const double u = (double)a.weight[j] * (double)vx_read(a.dy, j);
            const double hat = ((double)vx_read(a.x, j) - mean) * scale;
            float d = (float)((u - sum - hat * dot) * scale);
            store_gradient<1>(a, j, &d);
        }
    }
}

/* --------------------------------------------------------------------------- softmax ---- */

template <class S>
__global__ void __launch_bounds__(S::LANES *S::TEAMS)
    softmax(float *y, const float *x, int64_t m, int n)
{
    for (int64_t row = first_row<S>(); row < m; row += row_step<S>()) {
        const vx_view in = {const_cast<float *>(x) + row * n, n, VX_KIND_F32};
        float v[S::K], most = -INFINITY;
        load_row<S>(v, in, n, -INFINITY);
        VX_UNROLL
        for (int k = 0; k < S::K; k++)
            most = fmaxf(most, v[k]);
        most = team_max<S>(most);
        VX_UNROLL
        for (int k = 0; k < S::K; k++)
            v[k] = expf(v[k] - most);
        const float scale = 1.0f / sum_of<S>(v);
        VX_UNROLL
        for (int k = 0; k < S::K; k++)
            if (column<S>(k) < n)
                y[row * n + column<S>(k)] = v[k] * scale;
    }
}

__global__ void __launch_bounds__(block_shape::LANES)
    long_softmax(float *y, const float *x, int64_t m, int n)
{
    constexpr int LANES = block_shape::LANES;
    for (int64_t row = blockIdx.x; row < m; row += gridDim.x) {
        const float *in = x + row * n;
        float *out = y + row * n, most = -INFINITY;
        double sum = 0;
        for (int j = (int)threadIdx.x; j < n; j += LANES)
            most = fmaxf(most, in[j]);
        most = team_max<block_shape>(most);
        for (int j = (int)threadIdx.x; j < n; j += LANES)
            sum += (double)expf(in[j] - most);
        const float scale = (float)(1 / team_sum<block_shape>(sum));
        for (int j = (int)threadIdx.x; j < n; j += LANES)
            out[j] = expf(in[j] - most) * scale;
    }
}

/* -------------------------------------------------------------------------- launches ---- */

/* Calls f with the shape for rows of n columns; fours: they are aligned for four at once. @return
 * whether there is one */
template <class F> bool with_shape(int n, bool fours, F f)
{
    if (!fours && n <= 256)
        f(shape<1, 8, 1>{});
    else if (!fours && n <= 2048)
        f(shape<TEAM_WARPS, 8, 1>{});
    else if (fours && n <= 256)
        f(shape<1, 8, 4>{});
    else if (fours && n <= 768)
        f(shape<1, 24, 4>{});
    else if (fours && n <= 2048)
        f(shape<TEAM_WARPS, 8, 4>{});
    else if (fours && n <= 6144)
        f(shape<TEAM_WARPS, 24, 4>{});
    else
        return false;
    return true;
}

unsigned blocks_for(int64_t rows, int teams)
{
    const int64_t blocks = (rows + teams - 1) / teams;
    return (unsigned)(blocks < 1 << 20 ? blocks : 1 << 20);
}

template <class S> constexpr size_t shared_of(S)
{
    return S::WARPS > 1 ? sizeof(team_sums) : 0;
}

} // namespace

extern "C" void vx_layernorm_cuda(vx_device *dev, const vx_layernorm *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const norm_args args = {vx_view_of(cuda, a->y, a->y_n, a->ldy),
                            vx_view_of(cuda, a->x, a->x_n, a->ldx),
                            vx_float_view(a->residual, a->ldr),
                            a->weight,
                            a->bias,
                            (int64_t)a->m * vx_groups(a->groups),
                            a->eps,
                            a->n,
                            a->rms,
                            vx_groups(a->groups)};
    if (a->m <= 0 || a->n <= 0)
        return;
    const bool fours = vx_fours(args.y, a->n) && vx_fours(args.x) && vx_aligned(a->weight, 16) &&
                       vx_aligned(a->bias, 16) && (!a->residual || vx_fours(args.residual));
    const bool done = with_shape(a->n, fours, [&](auto s) {
        using S = decltype(s);
        VX_LAUNCH((layernorm<S>), blocks_for(args.parts, S::TEAMS), S::LANES * S::TEAMS,
                  shared_of(s), &cuda->stream, args);
    });
    if (!done)
        VX_LAUNCH(long_layernorm, blocks_for(args.parts, 1), block_shape::LANES, sizeof(team_sums),
                  &cuda->stream, args);
}

extern "C" void vx_layernorm_bwd_cuda(vx_device *dev, const vx_layernorm_bwd *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const norm_bwd_args args = {vx_view_of(cuda, a->dx, a->dx_n, a->lddx),
                                vx_view_of(cuda, a->dy, a->dy_n, a->lddy),
                                vx_view_of(cuda, a->x, a->x_n, a->ldx),
                                vx_view_of(cuda, a->pre, a->pre_n, a->ldp),
                                a->weight,
                                (int64_t)a->m * vx_groups(a->groups),
                                a->eps,
                                a->n,
                                a->rms,
                                vx_groups(a->groups),
                                a->tokens,
                                a->targets,
                                a->accumulate,
                                a->act};
    if (a->m <= 0 || a->n <= 0)
        return;
    const bool fours = vx_fours(args.dx, a->n) && vx_fours(args.dy) && vx_fours(args.x) &&
                       vx_aligned(a->weight, 16) && (a->act == VX_ACT_NONE || vx_fours(args.pre));
    const bool done = with_shape(a->n, fours, [&](auto s) {
        using S = decltype(s);
        VX_LAUNCH((layernorm_bwd<S>), blocks_for(args.parts, S::TEAMS), S::LANES * S::TEAMS,
                  shared_of(s), &cuda->stream, args);
    });
    if (!done)
        VX_LAUNCH(long_layernorm_bwd, blocks_for(args.parts, 1), block_shape::LANES,
                  sizeof(team_sums), &cuda->stream, args);
}

extern "C" void vx_softmax_cuda(vx_device *dev, const vx_softmax *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int64_t m = a->m;
    const float *x = a->x;
    if (a->m <= 0 || a->n <= 0)
        return;
    const bool done = with_shape(a->n, false, [&](auto s) {
        using S = decltype(s);
        VX_LAUNCH((softmax<S>), blocks_for(m, S::TEAMS), S::LANES * S::TEAMS, shared_of(s),
                  &cuda->stream, a->y, x, m, a->n);
    });
    if (!done)
        VX_LAUNCH(long_softmax, blocks_for(m, 1), block_shape::LANES, sizeof(team_sums),
                  &cuda->stream, a->y, x, m, a->n);
}
