/*
 * kernels/cuda/op_attention.cu: attention in f32, for every width, length and record. Where
 * instructions for matrices serve, attention_fast.h's kernels are taken instead.
 *
 * The largest score and the sum of each row are found first and kept in the scratch (row_stats);
 * the other kernels make each probability from them, final at once, so what is recorded is what
 * the values were multiplied by. Causal attention is theirs alone.
 */
#include "kernels/cuda/attention_fast.h"

/* ------------------------------------------------------------------------------- lists ---- */

static __global__ void copy_list(const __grid_constant__ vx_list list, int *to, int count, int less)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count)
        to[i] = list.at[i] - less;
}

void vx_list_copy(vx_cuda *cuda, int *to, const int *list, size_t count, int less)
{
    for (size_t at = 0; at < count; at += VX_LIST) {
        vx_list part;
        const size_t n = count - at < (size_t)VX_LIST ? count - at : (size_t)VX_LIST;
        memcpy(part.at, list + at, n * sizeof *list);
        memset(part.at + n, 0, (VX_LIST - n) * sizeof *list);
        VX_LAUNCH(copy_list, vx_blocks(n, 128), 128, 0, &cuda->stream, part, to + at, (int)n, less);
    }
}

/* ------------------------------------------------------------------------------- stats ---- */

/* The rows lo..hi-1, 64 queries of a sequence and head a block. */
static __global__ void __launch_bounds__(VX_TILE_THREADS)
    row_stats(vx_attend a, int tiles, int lo, int hi)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.heads);
    const vx_head head = vx_head_of(a, at.b, at.h);
    const int i = lo + at.tile * VX_TILE;
    const int m = vx_at_most(vx_at_most(hi, head.tokens) - i, VX_TILE);
    vx_softmax_row rows[4];
    VX_UNROLL
    for (int k = 0; k < 4; k++)
        rows[k] = vx_softmax_none();
    const int end = vx_keys_end(a, head, i + m - 1);
    for (int j = a.first; m > 0 && j < end; j += VX_TILE) {
        const int n = vx_at_most(end - j, VX_TILE);
        vx_share c;
        vx_scores<false>(c, s, a, head, i, m, j, n);
        vx_softmax_take(rows, c, n);
    }
    vx_softmax_meet(rows);
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        const int r = vx_tile_y() + 16 * k;
        if (vx_tile_x() == 0 && r < m)
            a.stats[(head.row + (size_t)(i + r)) * (size_t)a.heads + (size_t)head.h] = {
                rows[k].max, rows[k].sum};
    }
}

void vx_attend_stats(vx_cuda *cuda, const vx_attend &a, int batch, int lo, int hi)
{
    const int tiles = vx_tiles(hi - lo);
    VX_LAUNCH(row_stats, vx_blocks((size_t)tiles * (size_t)a.heads * (size_t)batch, 1),
              VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, tiles, lo, hi);
}

/* ----------------------------------------------------------------- values and the record ---- */

struct attend_out {
    vx_view y;
    int queries;    /* rows of y from `first` on                  */
    int rows;       /* that are looked at: queries, or all if they are recorded */
    vx_view record; /* of VX_KEEP_ALL; at NULL: nothing is recorded */
};

/* What of P a thread has into the record [B,H,T,T]. */
VX_DEVICE void record_tile(const vx_view &record, const vx_attend &a, const vx_head &head,
                           const vx_share &p, int i, int m, int j, int n)
{
    const size_t t = (size_t)a.tokens;
    const size_t base = ((size_t)head.b * (size_t)a.heads + (size_t)head.h) * t;
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++) {
            const int r = vx_tile_y() + 16 * k, c = vx_tile_x() + 16 * l;
            if (r < m && c < n)
                vx_write(record, (base + (size_t)(i + r)) * t + (size_t)(j + c), p.at[k][l]);
        }
    }
}

/* 64 queries of a sequence and head, 64 columns of the values (grid y). */
static __global__ void __launch_bounds__(VX_TILE_THREADS)
    attend(vx_attend a, attend_out out, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.heads);
    const vx_head head = vx_head_of(a, at.b, at.h);
    const int i = a.first + at.tile * VX_TILE, e = (int)blockIdx.y * VX_TILE;
    const int m = vx_at_most(vx_at_most(a.first + out.rows, head.tokens) - i, VX_TILE);
    const int end = out.record.data ? head.tokens : vx_keys_end(a, head, i + m - 1);
    vx_share o;
    vx_share_clear(o);
    for (int j = a.first; m > 0 && j < end; j += VX_TILE) {
        const int n = vx_at_most(end - j, VX_TILE);
        vx_share p;
        vx_probabilities<false>(p, s, a, head, i, m, j, n);
        if (out.record.data && e == 0)
            record_tile(out.record, a, head, p, i, m, j, n);
        vx_tile_put(s, p);
        vx_tile_add(o, s, vx_rows_from(head.v, j), n, e, a.width);
    }
    const size_t all = (size_t)a.heads * (size_t)a.width;
    const vx_rows y = {out.y, head.row * all + (size_t)head.h * (size_t)a.width, all};
    vx_tile_write(vx_rows_from(y, i), o, vx_at_most(a.first + out.queries - i, m), e, a.width);
}

/* ------------------------------------------------------------------------ fused, one row ---- */

/* 64 queries and 64 keys (grid y) of a sequence, all heads. */
static __global__ void __launch_bounds__(VX_TILE_THREADS)
    record_fused(vx_attend a, vx_view record, vx_fuse fuse, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, 1);
    const int i = at.tile * VX_TILE, m = vx_at_most(a.tokens - i, VX_TILE);
    const int j = (int)blockIdx.y * VX_TILE, n = vx_at_most(a.tokens - j, VX_TILE);
    vx_share sum;
    vx_share_clear(sum);
    for (int h = 0; h < a.heads; h++) {
        vx_share p;
        vx_probabilities<false>(p, s, a, vx_head_of(a, at.b, h), i, m, j, n);
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            VX_UNROLL
            for (int l = 0; l < 4; l++)
                sum.at[k][l] = vx_fused(fuse, sum.at[k][l], p.at[k][l], h);
        }
    }
    const float heads = fuse == VX_FUSE_MEAN ? (float)a.heads : 1.0f;
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++)
            sum.at[k][l] /= heads;
    }
    vx_attend one = a; /* the record is that of one head */
    one.heads = 1;
    record_tile(record, one, vx_head_of(one, at.b, 0), sum, i, m, j, n);
}

/* 64 keys of a sequence and head: the mean over the queries lo..hi-1. */
static __global__ void __launch_bounds__(VX_TILE_THREADS)
    record_row(vx_attend a, vx_view record, int tiles, int lo, int hi)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.heads);
    const vx_head head = vx_head_of(a, at.b, at.h);
    const int i = a.first + at.tile * VX_TILE, m = vx_at_most(a.tokens - i, VX_TILE);
    const size_t row = ((size_t)at.b * (size_t)a.heads + (size_t)at.h) * (size_t)a.tokens;
    float sum[4] = {};
    for (int j = lo; j < hi; j += VX_TILE) {
        vx_share p;
        vx_probabilities<true>(p, s, a, head, i, m, j, vx_at_most(hi - j, VX_TILE));
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            sum[k] += vx_sum_of_16(p.at[k][0] + p.at[k][1] + p.at[k][2] + p.at[k][3]);
    }
    VX_UNROLL
    for (int k = 0; k < 4; k++)
        if (vx_tile_x() == 0 && vx_tile_y() + 16 * k < m)
            vx_write(record, row + (size_t)(i + vx_tile_y() + 16 * k), sum[k] / (float)(hi - lo));
    for (int t = (int)threadIdx.x; at.tile == 0 && t < a.first; t += VX_TILE_THREADS)
        vx_write(record, row + (size_t)t, 0.0f);
}

/* ------------------------------------------------------------------------- for the host ---- */

static void launch_attend(vx_cuda *cuda, const vx_attend &a, const attend_out &out, int batch)
{
    const int tiles = vx_tiles(out.rows);
    const dim3 grid(vx_blocks((size_t)tiles * (size_t)a.heads * (size_t)batch, 1),
                    (unsigned)vx_tiles(a.width));
    VX_LAUNCH(attend, grid, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, out, tiles);
}

static void launch_fused(vx_cuda *cuda, const vx_attend &a, const vx_recorded *r, vx_view record)
{
    const int tiles = vx_tiles(a.tokens);
    const dim3 grid(vx_blocks((size_t)tiles * (size_t)r->batch, 1), (unsigned)tiles);
    VX_LAUNCH(record_fused, grid, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, record,
              r->fuse, tiles);
}

static void launch_row(vx_cuda *cuda, const vx_attend &a, const vx_recorded *r, vx_view record)
{
    const int lo = vx_query_first(r->query, r->prefix),
              hi = vx_query_end(r->query, r->prefix, a.tokens);
    const int tiles = vx_tiles(a.tokens - a.first);
    VX_LAUNCH(record_row, vx_blocks((size_t)tiles * (size_t)a.heads * (size_t)r->batch, 1),
              VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, record, tiles, lo, hi);
}

static int queries_of(const vx_attention *op)
{
    const int present = op->tokens - op->first;
    return op->queries > 0 && op->queries < present ? op->queries : present;
}

/* What is made from probabilities of several heads or several rows, from the rows' stats. */
static void record_sums(vx_cuda *cuda, const vx_attention *op, const vx_attend &a)
{
    if (op->record.keep == VX_KEEP_FUSED)
        launch_fused(cuda, a, &op->record, vx_record_view(&op->record, 0));
    if (op->record.keep == VX_KEEP_ROW)
        launch_row(cuda, a, &op->record, vx_record_view(&op->record, 0));
}

/* All sequences of an operation, with their stats in the scratch. */
static void attend_plain(vx_cuda *cuda, const vx_attention *op, const vx_attend &a)
{
    const int present = a.tokens - a.first, queries = queries_of(op);
    const bool all = op->record.keep == VX_KEEP_ALL;
    vx_attend_stats(cuda, a, op->batch, a.first,
                    a.first + (op->record.keep == VX_KEEP_NONE ? queries : present));
    const attend_out out = {vx_view_of(cuda, op->y, op->y_n, 0), queries, all ? present : queries,
                            all ? vx_record_view(&op->record, 0) : vx_view{}};
    launch_attend(cuda, a, out, op->batch);
    record_sums(cuda, op, a);
}

/* The same by instructions for matrices. */
static void attend_fast(vx_cuda *cuda, const vx_attention *op, const vx_attend &a)
{
    const vx_recorded *r = &op->record;
    const int present = a.tokens - a.first, queries = queries_of(op);
    const bool row = r->keep == VX_KEEP_ROW && r->query >= 0;
    const bool sums = r->keep != VX_KEEP_NONE && r->keep != VX_KEEP_ALL && !row;
    vx_fast_out out = {};
    out.y = vx_view_of(cuda, op->y, op->y_n, 0);
    out.queries = queries;
    out.rows = sums || r->keep == VX_KEEP_ALL ? present : queries;
    if (row && r->query - a.first >= queries)
        out.rows = r->query - a.first + 1;
    out.keep = sums ? VX_KEEP_NONE : r->keep;
    out.query = r->query;
    out.record = vx_record_view(r, 0);
    out.stats = sums ? a.stats : nullptr;
    if (vx_attend_strips_serve(cuda, present, a.width))
        vx_attend_strips(cuda, a, out, op->batch);
    else
        vx_attend_tiles(cuda, a, out, op->batch);
    if (sums && (r->keep != VX_KEEP_FUSED || !vx_attend_fused(cuda, a, out, r->fuse, op->batch)))
        record_sums(cuda, op, a);
}

/* Whether they serve: the numbers have to be those that are multiplied, of all pairs. */
static bool is_fast(const vx_cuda *cuda, const vx_attention *op)
{
    const bool narrow = op->qkv_n && cuda->number >= VX_CUDA_BF16;
    return !op->causal && (cuda->features & VX_CUDA_MMA) &&
           (narrow || cuda->number == VX_CUDA_BF16X3) &&
           (vx_attend_strips_serve(cuda, op->tokens - op->first, op->head_width) ||
            vx_attend_tiles_serve(cuda, op->head_width));
}

/* Rows of the sequences b..b+n-1, and bytes of scratch that they take. */
static size_t rows_of(const vx_attention *op, int b, int n)
{
    return vx_start_of(op->starts, b + n, op->tokens) - vx_start_of(op->starts, b, op->tokens);
}

static size_t scratch_of(size_t rows, int heads, int sequences, bool lists)
{
    const size_t stats = vx_round_up(rows * (size_t)heads * sizeof(vx_row_stats), 256);
    const size_t starts = vx_round_up(((size_t)sequences + 1) * sizeof(int), 256);
    return stats + (lists ? starts + vx_round_up(rows * sizeof(int), 256) : 0);
}

/* The operation of the sequences b..b+n-1 alone, but for `starts`. */
static vx_attention part_of(vx_cuda *cuda, const vx_attention *op, int b, int n)
{
    const size_t width = (size_t)op->heads * (size_t)op->head_width, t = (size_t)op->tokens;
    const size_t row = vx_start_of(op->starts, b, op->tokens), at = (size_t)b;
    const size_t element = vx_element(cuda, {op->qkv_n, op->qkv_n != nullptr});
    const size_t y_element = vx_element(cuda, {op->y_n, op->y_n != nullptr});
    const size_t recorded[] = {0, (size_t)op->heads * t, t * t, (size_t)op->heads * t * t};
    vx_attention one = *op;
    one.batch = one.record.batch = n;
    one.qkv = op->qkv ? op->qkv + row * 3 * width : nullptr;
    one.qkv_n = op->qkv_n ? vx_narrow_at(op->qkv_n, element, row * 3 * width) : nullptr;
    one.y = op->y ? op->y + row * width : nullptr;
    one.y_n = op->y_n ? vx_narrow_at(op->y_n, y_element, row * width) : nullptr;
    one.tokens_of = op->tokens_of ? op->tokens_of + row : nullptr;
    one.starts = op->starts ? op->starts + b : nullptr;
    if (op->record.keep)
        one.record.data =
            static_cast<char *>(op->record.data) +
            at * recorded[op->record.keep] * (op->record.store == VX_STORE_F16 ? 2u : 4u);
    return one;
}

static vx_attend attend_of(vx_cuda *cuda, const vx_attention *op)
{
    const size_t rows = rows_of(op, 0, op->batch);
    vx_attend_room room = {cuda->scratch, cuda->scratch_bytes};
    vx_attend a = vx_attend_of(cuda, op);
    a.stats = static_cast<vx_row_stats *>(
        vx_room_take(&room, rows * (size_t)op->heads * sizeof(vx_row_stats)));
    if (op->starts) {
        int *starts =
            static_cast<int *>(vx_room_take(&room, ((size_t)op->batch + 1) * sizeof(int)));
        vx_list_copy(cuda, starts, op->starts, (size_t)op->batch + 1, op->starts[0]);
        a.starts = starts;
    }
    if (op->tokens_of && op->relative.table) {
        int *tokens = static_cast<int *>(vx_room_take(&room, rows * sizeof(int)));
        vx_list_copy(cuda, tokens, op->tokens_of, rows, 0);
        a.tokens_of = tokens;
    }
    return a;
}

extern "C" void vx_attention_cuda(vx_device *dev, const vx_attention *op)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const bool lists = op->starts || op->tokens_of;
    for (int b = 0, n; b < op->batch; b += n) {
        for (n = op->batch - b; n > 1; n = (n + 1) / 2)
            if (scratch_of(rows_of(op, b, n), op->heads, n, lists) <= cuda->scratch_bytes)
                break;
        const vx_attention one = part_of(cuda, op, b, n);
        const vx_attend a = attend_of(cuda, &one);
        if (is_fast(cuda, op))
            attend_fast(cuda, &one, a);
        else
            attend_plain(cuda, &one, a);
    }
}
