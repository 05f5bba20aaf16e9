/*
 * kernels/cuda/product.cu: see product.h. Which kernel makes a product, kernels for any operands,
 * and the pass that follows cuBLASLt.
 */
#include "kernels/cuda/product.h"

#include "kernels/cuda/blaslt.h"

enum { TILE = 64, DEEP = 16, THREADS = 256, FINISH_THREADS = 128, MOST_ROWS = 65535, FEW = 8 };

/* ------------------------------------------------------ any operands, number by number ---- */

struct tiles_shared {
    float a[DEEP][TILE + 4], w[DEEP][TILE + 4];
};

/* Elements [row0..+63, k0..+15] of rows of k, turned round; 0 beyond them. */
template <class T>
VX_DEVICE void load_rows(float (&to)[DEEP][TILE + 4], const T *from, size_t ld, int row0, int rows,
                         int k0, int k)
{
    VX_UNROLL
    for (int i = 0; i < TILE * DEEP / THREADS; i++) {
        const int at = (int)threadIdx.x + i * THREADS, row = at / DEEP, depth = at % DEEP;
        const bool there = row0 + row < rows && k0 + depth < k;
        to[depth][row] = there ? vx_get(from[(size_t)(row0 + row) * ld + (size_t)(k0 + depth)]) : 0;
    }
}

/* Elements [k0..+15, column0..+63] of k rows, as they lie. */
template <class T>
VX_DEVICE void load_columns(float (&to)[DEEP][TILE + 4], const T *from, size_t ld, int column0,
                            int columns, int k0, int k)
{
    VX_UNROLL
    for (int i = 0; i < TILE * DEEP / THREADS; i++) {
        const int at = (int)threadIdx.x + i * THREADS, depth = at / TILE, column = at % TILE;
        const bool there = column0 + column < columns && k0 + depth < k;
        to[depth][column] =
            there ? vx_get(from[(size_t)(k0 + depth) * ld + (size_t)(column0 + column)]) : 0;
    }
}

VX_DEVICE void finish_four(const vx_finish &f, int row, int column, int n, const float (&x)[4])
{
    if (f.step == 4) {
        if (column < n)
            vx_finish_some<4>(f, row, column, {{x[0], x[1], x[2], x[3]}});
        return;
    }
    VX_UNROLL
    for (int i = 0; i < 4; i++)
        if (column + i < n)
            vx_finish_some<1>(f, row, column + i, {{x[i]}});
}

/* A block makes 64 x 64 elements, a thread 4 x 4 of them. */
template <class T, bool TURNED>
static __global__ void __launch_bounds__(THREADS) product_tiles(vx_operands o, vx_finish f)
{
    tiles_shared &s = vx_shared<tiles_shared>();
    const T *const a = static_cast<const T *>(o.a), *const w = static_cast<const T *>(o.w);
    const int row0 = (int)blockIdx.x * TILE, column0 = (int)blockIdx.y * TILE;
    const int row = (int)threadIdx.x / 16 * 4, column = (int)threadIdx.x % 16 * 4;
    float sum[4][4] = {};
    for (int k0 = 0; k0 < o.k; k0 += DEEP) {
        load_rows(s.a, a, o.lda, row0, o.m, k0, o.k);
        if (TURNED)
            load_columns(s.w, w, o.ldw, column0, o.n, k0, o.k);
        else
            load_rows(s.w, w, o.ldw, column0, o.n, k0, o.k);
        __syncthreads();
        for (int d = 0; d < DEEP; d++) {
            VX_UNROLL
            for (int i = 0; i < 4; i++)
                VX_UNROLL
            for (int j = 0; j < 4; j++)
                sum[i][j] = fmaf(s.a[d][row + i], s.w[d][column + j], sum[i][j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        if (row0 + row + i < o.m)
            finish_four(f, row0 + row + i, column0 + column, o.n, sum[i]);
}

template <class T> static void tiles(vx_cuda *cuda, const vx_operands *o, const vx_finish *f)
{
    const dim3 grid((unsigned)((o->m + TILE - 1) / TILE), (unsigned)((o->n + TILE - 1) / TILE));
    if (o->turned)
        VX_LAUNCH((product_tiles<T, true>), grid, THREADS, sizeof(tiles_shared), &cuda->stream, *o,
                  *f);
    else
        VX_LAUNCH((product_tiles<T, false>), grid, THREADS, sizeof(tiles_shared), &cuda->stream, *o,
                  *f);
}

/* -------------------------------------------------------------------------- a few rows ---- */

/* Four of x from column c on; 0 from k on. */
VX_DEVICE vx_some<4> load_four(const vx_view &x, int row, int c, int k, bool aligned)
{
    vx_some<4> out;
    if (aligned && c + 4 <= k)
        return vx_get_some<4>(x, (size_t)row, (size_t)c);
    VX_UNROLL
    for (int i = 0; i < 4; i++)
        out.v[i] = c + i < k ? vx_get_some<1>(x, (size_t)row, (size_t)(c + i)).v[0] : 0;
    return out;
}

/* A warp makes one column for all rows. w [n,k], rows padded with zeros to a multiple of 4; `low`:
 * where the second part of each of its numbers lies, or 0. */
static __global__ void __launch_bounds__(FINISH_THREADS)
    product_few(vx_view x, bool aligned, vx_view w, size_t low, int m, int n, int k, vx_finish f)
{
    const int lane = vx_lane(), column = (int)blockIdx.x * (FINISH_THREADS / VX_WARP) + vx_warp();
    float sum[FEW] = {}, mine = 0;
    for (int c = lane * 4; column < n && c < k; c += 4 * VX_WARP) {
        vx_some<4> of = vx_get_some<4>(w, (size_t)column, (size_t)c);
        if (low) {
            const vx_some<4> rest = vx_get_some<4>(w, (size_t)column, low + (size_t)c);
            VX_UNROLL
            for (int i = 0; i < 4; i++)
                of.v[i] += rest.v[i];
        }
        VX_UNROLL
        for (int r = 0; r < FEW; r++)
            if (r < m) {
                const vx_some<4> in = load_four(x, r, c, k, aligned);
                VX_UNROLL
                for (int i = 0; i < 4; i++)
                    sum[r] = fmaf(in.v[i], of.v[i], sum[r]);
            }
    }
    VX_UNROLL
    for (int r = 0; r < FEW; r++) {
        for (int by = VX_WARP / 2; by; by /= 2)
            sum[r] += __shfl_xor_sync(VX_ALL_LANES, sum[r], by);
        mine = lane == r ? sum[r] : mine;
    }
    if (lane < m && column < n)
        vx_finish_some<1>(f, lane, column, {{mine}});
}

static vx_kind number_kind(vx_cuda_number number)
{
    if (number == VX_CUDA_F32)
        return VX_KIND_F32;
    return number == VX_CUDA_F16 ? VX_KIND_F16 : VX_KIND_BF16;
}

static void few(vx_cuda *cuda, const vx_multiply *p, vx_cuda_number number)
{
    const vx_weight *w = p->w;
    const size_t low = number == VX_CUDA_BF16X3 ? vx_packed_part(w->k) : 0;
    const vx_view matrix = {const_cast<void *>(w->data), (int64_t)vx_packed_ld(number, w->k),
                            number_kind(number)};
    VX_LAUNCH(product_few, vx_blocks((size_t)w->n, FINISH_THREADS / VX_WARP), FINISH_THREADS, 0,
              &cuda->stream, p->rows, vx_rows_in_fours(p->rows), matrix, low, p->m, w->n, w->k,
              p->finish);
}

/* ------------------------------------------------------------------------- finishing ---- */

template <int STEP>
static __global__ void __launch_bounds__(FINISH_THREADS)
    finish_rows(vx_view from, int m, int n, vx_finish f)
{
    const int c = (int)(blockIdx.x * FINISH_THREADS + threadIdx.x) * STEP;
    if (c < n)
        for (int r = (int)blockIdx.y; r < m; r += (int)gridDim.y)
            vx_finish_some<STEP>(f, r, c, vx_get_some<STEP>(from, (size_t)r, (size_t)c));
}

void vx_finish_rows(vx_cuda *cuda, const vx_view *from, int m, int n, const vx_finish *f)
{
    const unsigned rows = (unsigned)(m < MOST_ROWS ? m : MOST_ROWS);
    if (f->step == 4 && vx_rows_in_fours(*from))
        VX_LAUNCH(finish_rows<4>, dim3(vx_blocks((size_t)n, 4 * FINISH_THREADS), rows),
                  FINISH_THREADS, 0, &cuda->stream, *from, m, n, *f);
    else
        VX_LAUNCH(finish_rows<1>, dim3(vx_blocks((size_t)n, FINISH_THREADS), rows), FINISH_THREADS,
                  0, &cuda->stream, *from, m, n, *f);
}

int vx_finish_step(const vx_finish *f, int n)
{
    return n % 4 == 0 && vx_rows_in_fours(f->y) && vx_rows_in_fours(f->pre) &&
                   vx_rows_in_fours(f->residual) && vx_rows_in_fours(f->slope)
               ? 4
               : 1;
}

/* -------------------------------------------------------------------------- cuBLASLt ---- */

static int lt_type(vx_kind kind)
{
    if (kind == VX_KIND_F32)
        return VX_LT_R_32F;
    return kind == VX_KIND_BF16 ? VX_LT_R_16BF : VX_LT_R_16F;
}

static bool lt_takes(const vx_view &r)
{
    return vx_lt_suits(r.data, r.ld, lt_type(r.kind));
}

/* How a product by cuBLASLt is finished. */
struct lt_way {
    vx_view to; /* where it goes: y, pre, or the scratch */
    bool raw;   /* the scratch                           */
    bool add;   /* the residual, too                     */
    int epilogue;
    bool after; /* a pass follows                        */
};

static int lt_epilogue(const vx_finish &f)
{
    if (f.act == VX_ACT_RELU)
        return VX_LT_EPILOGUE_RELU;
    /* Its GELU is the form with tanh: 4e-4 off the other one, which 16 bits do not show. */
    const bool gelu = f.act == VX_ACT_GELU || f.act == VX_ACT_GELU_TANH;
    return gelu && f.y.kind != VX_KIND_F32 ? VX_LT_EPILOGUE_GELU : 0;
}

static lt_way lt_plan(const vx_finish &f)
{
    lt_way way = {f.pre.data ? f.pre : f.y, false, false, 0, f.pre.data && f.y.data};
    const bool bias_fits = !f.bias || vx_aligned(f.bias, 16);
    if (!f.pre.data) {
        const bool acts = f.act != VX_ACT_NONE && !f.slope.data;
        way.epilogue = acts && !f.residual.data && !f.gamma ? lt_epilogue(f) : 0;
        way.add =
            f.residual.data && !acts && !f.gamma && f.y.kind == VX_KIND_F32 && lt_takes(f.residual);
        way.after =
            f.gamma || f.slope.data || (acts && !way.epilogue) || (f.residual.data && !way.add);
    }
    const bool overwrites = way.after && !f.pre.data && f.residual.data == f.y.data;
    if (f.period || overwrites || !bias_fits || !lt_takes(way.to)) {
        way.raw = way.after = true;
        way.add = false;
        way.epilogue = 0;
    }
    return way;
}

/* The scratch of a product: rows in the matrix's form, the raw product, the bias in 16 bits. */
struct places {
    char *a, *raw, *bias;
    size_t lda, raw_ld;
    const lt_way *way; /* NULL: cuBLASLt is not asked */
};

static vx_view shifted(const vx_view &r, int rows)
{
    return r.data ? vx_from(r, rows * r.ld) : r;
}

/* The bias in the type of what it is added to. */
static const void *lt_bias(vx_cuda *cuda, const vx_finish &f, int n, const vx_view &to, char *room)
{
    if (!f.bias || to.kind == VX_KIND_F32)
        return f.bias;
    const vx_view from = {const_cast<float *>(f.bias), n, VX_KIND_F32};
    vx_finish copy = {};
    copy.y = {room, n, to.kind};
    copy.step = vx_finish_step(&copy, n);
    vx_finish_rows(cuda, &from, 1, n, &copy);
    return room;
}

static bool lt_product(vx_cuda *cuda, const vx_operands *o, const vx_finish *f, const places &at)
{
    const lt_way &way = *at.way;
    const vx_view to =
        way.raw ? vx_view{at.raw, (int64_t)at.raw_ld, VX_KIND_F32} : shifted(way.to, f->first);
    const bool with_bias = !way.raw && (!way.after || f->pre.data);
    const vx_view residual = shifted(f->residual, f->first);
    vx_lt_product p = {};
    p.a = o->a;
    p.lda = (int64_t)o->lda;
    p.w = o->w;
    p.ldw = (int64_t)o->ldw;
    p.d = to.data;
    p.ldd = to.ld;
    p.c = way.add ? residual.data : NULL;
    p.ldc = residual.ld;
    p.bias = with_bias ? lt_bias(cuda, *f, o->n, to, at.bias) : NULL;
    p.m = o->m;
    p.n = o->n;
    p.k = o->k;
    p.type = lt_type(number_kind(o->number));
    p.type_d = lt_type(to.kind);
    p.turned = o->turned;
    p.epilogue = way.epilogue;
    if (!vx_products_multiply(cuda, &p))
        return false;
    if (way.after) {
        vx_finish rest = *f;
        rest.bias = with_bias ? NULL : f->bias;
        rest.pre.data = way.raw ? f->pre.data : NULL;
        vx_finish_rows(cuda, &to, o->m, o->n, &rest);
    }
    return true;
}

/* ------------------------------------------------------------------- which one, and how ---- */

static void multiply(vx_cuda *cuda, const vx_operands *o, const vx_finish *f, const places &at)
{
    const int type = lt_type(number_kind(o->number));
    const bool suits =
        vx_lt_suits(o->a, (int64_t)o->lda, type) && vx_lt_suits(o->w, (int64_t)o->ldw, type);
    if (at.way && suits && lt_product(cuda, o, f, at))
        return;
    if (o->number == VX_CUDA_F32)
        tiles<float>(cuda, o, f);
    else if (suits && cuda->features & VX_CUDA_MMA)
        vx_product_mma(cuda, o, f);
    else if (o->number == VX_CUDA_F16)
        tiles<vx_f16>(cuda, o, f);
    else
        tiles<vx_bf16>(cuda, o, f);
}

/* x itself is in the matrix's form. */
static bool fits_as_it_is(const vx_multiply *p, vx_cuda_number number)
{
    const vx_kind kind = number_kind(number);
    if (p->pictures || p->scale || p->period || number == VX_CUDA_BF16X3 || p->rows.kind != kind)
        return false;
    return number == VX_CUDA_F32 || lt_takes(p->rows);
}

static size_t form_ld(const vx_multiply *p, vx_cuda_number number)
{
    if (!p->turned)
        return vx_packed_ld(number, p->w->k);
    return vx_round_up(vx_packed_parts(number) * (size_t)p->w->n, VX_CUDA_EIGHT);
}

static vx_operands operands_of(const vx_multiply *p, vx_cuda_number number, bool as_it_is)
{
    const int parts = (int)vx_packed_parts(number), k = p->turned ? p->w->n : p->w->k;
    vx_operands o = {};
    o.w = p->w->data;
    o.number = number;
    o.turned = p->turned;
    o.n = p->turned ? p->w->k : p->w->n;
    /* Turned, the parts of a row of the matrix are rows. */
    o.ldw = p->turned ? vx_packed_part(p->w->k) : vx_packed_ld(number, p->w->k);
    o.k = as_it_is ? k : p->turned ? parts * k : (int)vx_packed_ld(number, k);
    return o;
}

size_t vx_product_row_bytes(size_t widest)
{
    const size_t eight = vx_round_up(widest, VX_CUDA_EIGHT);
    return eight * (3 * sizeof(uint16_t) + sizeof(float));
}

enum { SLACK = 1024 }; /* for three places that begin at multiples of 256 bytes */

size_t vx_product_fixed_bytes(size_t widest)
{
    return vx_round_up(2 * widest, 256) + SLACK;
}

/* How many rows the scratch has room for, and where. */
static int place(places *at, const vx_multiply *p, vx_cuda_number number, bool as_it_is, int n)
{
    const size_t element = vx_packed_element(number);
    const size_t bias = vx_round_up((size_t)n * 2, 256), fixed = vx_product_fixed_bytes((size_t)n);
    at->lda = as_it_is ? (size_t)p->rows.ld : form_ld(p, number);
    at->raw_ld = vx_round_up((size_t)n, VX_CUDA_EIGHT);
    const size_t a = as_it_is ? 0 : at->lda * element;
    const size_t raw = at->way && at->way->raw ? at->raw_ld * sizeof(float) : 0;
    const size_t room = p->scratch_bytes < fixed ? 0 : p->scratch_bytes - fixed;
    const size_t rows = a + raw ? room / (a + raw) : (size_t)p->m;
    const size_t most = rows < (size_t)p->m ? rows : (size_t)p->m;
    at->bias = p->scratch;
    at->a = p->scratch + bias;
    at->raw = at->a + vx_round_up(most * a, 256);
    return at->way && p->scratch_bytes < fixed ? 0 : (int)most;
}

void vx_product_do(vx_cuda *cuda, const vx_multiply *p)
{
    const vx_cuda_number number = vx_packing_number(p->w->packing);
    const bool as_it_is = fits_as_it_is(p, number);
    vx_operands o = operands_of(p, number, as_it_is);
    vx_finish f = p->finish;
    const lt_way way = lt_plan(f);
    places at = {};
    f.step = vx_finish_step(&f, o.n);
    at.way = cuda->products && o.n % 8 == 0 ? &way : NULL;
    if (p->m <= FEW && !p->turned && !p->pictures) {
        few(cuda, p, number);
        return;
    }
    const int most = place(&at, p, number, as_it_is, o.n);
    if (most < 1) {
        vx_gpu_fail(&cuda->stream, VX_GPU_NO_ROOM, "product: no room was reserved");
        return;
    }
    for (int first = 0; first < p->m; first += most) {
        o.m = p->m - first < most ? p->m - first : most;
        o.lda = at.lda;
        o.a = as_it_is ? static_cast<char *>(p->rows.data) +
                             (size_t)first * at.lda * vx_packed_element(number)
                       : at.a;
        if (!as_it_is)
            vx_product_rows(cuda, p, first, o.m, at.a, at.lda);
        f.first = first;
        multiply(cuda, &o, &f, at);
    }
}
