/*
 * kernels/cuda/attention.h: what the files of attention share: where a block stands among the
 * sequences and heads, and scores and probabilities of a tile of queries and keys in f32.
 *
 * Scores are in base 2: the scale that comes with them has log2(e) in it, so a probability is
 * 2^(score - largest) / sum.
 */
#ifndef VX_CUDA_ATTENTION_H
#define VX_CUDA_ATTENTION_H

#include "kernels/cuda/attention_tile.h"

constexpr float VX_LOG2E = 1.44269504088896341f;

/* What is known of one query's row before its probabilities are. */
struct vx_row_stats {
    float max, inverse; /* of its scores; of the sum */
};

/* The inputs, as a kernel gets them. */
struct vx_attend {
    vx_view qkv;
    int heads, width, tokens, first; /* tokens: of the longest sequence */
    int causal;
    float scale;                   /* times log2(e)                   */
    const int *starts, *tokens_of; /* memory of the GPU, or NULL      */
    vx_relative relative;
    vx_row_stats *stats; /* [rows,H]                           */
    const float *p;      /* [B,H,T,T], or NULL: computed again */
};

/* What attention and its gradients have in common: vx_attention, vx_attention_bwd. */
template <class T> static inline vx_attend vx_attend_of(const vx_cuda *cuda, const T *op)
{
    vx_attend a = {};
    a.qkv = vx_view_of(cuda, op->qkv, op->qkv_n, 0);
    a.heads = op->heads;
    a.width = op->head_width;
    a.tokens = op->tokens;
    a.first = op->first;
    a.causal = op->causal;
    a.scale = op->scale * VX_LOG2E;
    a.relative = op->relative;
    return a;
}

/* One head of one sequence. */
struct vx_head {
    int b, h;
    int tokens;      /* of the sequence; the present ones are first..tokens-1 */
    size_t row;      /* its first                                             */
    vx_rows q, k, v; /* row r is token r                                      */
    const float *table;
    size_t table_count;
    const float *p;
};

VX_DEVICE vx_head vx_head_of(const vx_attend &a, int b, int h)
{
    const size_t width = (size_t)a.width, all = (size_t)a.heads * width;
    const size_t t = (size_t)a.tokens;
    vx_head head = {};
    head.b = b;
    head.h = h;
    head.tokens = a.starts ? a.starts[b + 1] - a.starts[b] : a.tokens;
    head.row = a.starts ? (size_t)a.starts[b] : (size_t)b * t;
    head.q = {a.qkv, head.row * 3 * all + (size_t)h * width, 3 * all};
    head.k = {a.qkv, head.q.first + all, 3 * all};
    head.v = {a.qkv, head.k.first + all, 3 * all};
    if (a.relative.table) {
        head.table_count =
            (2 * (size_t)a.relative.height - 1) * (2 * (size_t)a.relative.width - 1) + 3;
        head.table = a.relative.table + (size_t)h * head.table_count;
    }
    head.p = a.p ? a.p + ((size_t)b * (size_t)a.heads + (size_t)h) * t * t : nullptr;
    return head;
}

/* Where a block stands: grid x counts the tiles of a sequence, then heads, then sequences. */
struct vx_stand {
    int tile, h, b;
};

VX_DEVICE vx_stand vx_stand_of(int tiles, int heads)
{
    const unsigned x = blockIdx.x, rest = x / (unsigned)tiles;
    return {(int)(x % (unsigned)tiles), (int)(rest % (unsigned)heads),
            (int)(rest / (unsigned)heads)};
}

static inline int vx_tiles(int n)
{
    return (n + VX_TILE - 1) / VX_TILE;
}

VX_DEVICE int vx_at_most(int n, int most)
{
    return n < most ? n : most;
}

/* ------------------------------------------------------------------ relative positions ---- */

struct vx_seat {
    int y, x; /* of the grid; y -1: it is no patch */
};

/* Tokens behind the sequence, of which a tile may have some, count as no patches. */
VX_DEVICE vx_seat vx_seat_of(const vx_attend &a, const vx_head &head, int t)
{
    if (t >= head.tokens)
        return {-1, 0};
    const int token = a.tokens_of ? a.tokens_of[head.row + (size_t)t] : t;
    const int patch = token - a.relative.prefix;
    if (patch < 0)
        return {-1, 0};
    return {patch / a.relative.width, patch % a.relative.width};
}

VX_DEVICE float vx_table_at(const vx_relative &r, const float *table, vx_seat query, vx_seat key)
{
    const int across = 2 * r.width - 1;
    if (query.y < 0 || key.y < 0)
        return table[(2 * r.height - 1) * across + (key.y >= 0 ? 0 : query.y >= 0 ? 1 : 2)];
    return table[(key.y - query.y + r.height - 1) * across + key.x - query.x + r.width - 1];
}

VX_DEVICE float vx_added(const vx_attend &a, const vx_head &head, vx_seat query, vx_seat key)
{
    return vx_table_at(a.relative, head.table, query, key);
}

/* Adds them to the scores of the rows from token i on and the columns from token j on; TURNED: rows
 * are keys. */
template <bool TURNED>
VX_DEVICE void vx_add_relative(vx_share &c, const vx_attend &a, const vx_head &head, int i, int m,
                               int j, int n)
{
    vx_seat rows[4], columns[4];
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        rows[k] = vx_seat_of(a, head, i + vx_tile_y() + 16 * k);
        columns[k] = vx_seat_of(a, head, j + vx_tile_x() + 16 * k);
    }
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++)
            if (vx_tile_y() + 16 * k < m && vx_tile_x() + 16 * l < n)
                c.at[k][l] += VX_LOG2E * (TURNED ? vx_added(a, head, columns[l], rows[k])
                                                 : vx_added(a, head, rows[k], columns[l]));
    }
}

/* ------------------------------------------------------------- scores and probabilities ---- */

/* The keys of a tile of queries, of which the last is token `last`. */
VX_DEVICE int vx_keys_end(const vx_attend &a, const vx_head &head, int last)
{
    return a.causal ? vx_at_most(head.tokens, last + 1) : head.tokens;
}

/* -infinity where the key lies behind the query. */
template <bool TURNED> VX_DEVICE void vx_mask_behind(vx_share &c, int i, int j)
{
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++) {
            const int row = i + vx_tile_y() + 16 * k, column = j + vx_tile_x() + 16 * l;
            if (TURNED ? row > column : column > row)
                c.at[k][l] = -INFINITY;
        }
    }
}

/* Of the m rows from token i on and the n columns from token j on. */
template <bool TURNED>
VX_DEVICE void vx_scores(vx_share &c, vx_tile &s, const vx_attend &a, const vx_head &head, int i,
                         int m, int j, int n)
{
    vx_tile_dot(c, s, vx_rows_from(TURNED ? head.k : head.q, i), m,
                vx_rows_from(TURNED ? head.q : head.k, j), n, a.width);
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++)
            c.at[k][l] *= a.scale;
    }
    if (a.relative.table)
        vx_add_relative<TURNED>(c, a, head, i, m, j, n);
    if (a.causal)
        vx_mask_behind<TURNED>(c, i, j);
}

VX_DEVICE vx_row_stats vx_stats_of(const vx_attend &a, const vx_head &head, int t)
{
    return a.stats[(head.row + (size_t)t) * (size_t)a.heads + (size_t)head.h];
}

/* Probabilities from scores, or as they were recorded; 0 outside of the m rows and n columns. */
template <bool TURNED>
VX_DEVICE void vx_probabilities(vx_share &c, vx_tile &s, const vx_attend &a, const vx_head &head,
                                int i, int m, int j, int n)
{
    if (!head.p)
        vx_scores<TURNED>(c, s, a, head, i, m, j, n);
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++) {
            const int r = vx_tile_y() + 16 * k, e = vx_tile_x() + 16 * l;
            const int query = TURNED ? j + e : i + r, key = TURNED ? i + r : j + e;
            float p = 0;
            if (r < m && e < n && head.p) {
                p = head.p[(size_t)query * (size_t)a.tokens + (size_t)key];
            } else if (r < m && e < n) {
                const vx_row_stats row = vx_stats_of(a, head, query);
                p = vx_softmax_factor(c.at[k][l], row.max) * row.inverse;
            }
            c.at[k][l] = p;
        }
    }
}

/* Takes in head h's probability of a pair: see enum vx_fuse. A NaN stays. */
VX_DEVICE float vx_fused(vx_fuse fuse, float so_far, float p, int h)
{
    if (h == 0)
        return p;
    if (fuse == VX_FUSE_MEAN)
        return so_far + p;
    if (so_far != so_far || p != p)
        return so_far != so_far ? so_far : p;
    return (fuse == VX_FUSE_MAX) == (p > so_far) ? p : so_far;
}

/* ------------------------------------------------------------------------- for the host ---- */

/* What is left of the scratch. An operation does as many sequences at once as have room in it; the
 * room for one is always there (device.cu: it is for rows of 3 H E numbers). */
struct vx_attend_room {
    char *next;
    size_t left;
};

/* bytes of the room, or NULL if there are not so many. */
static inline void *vx_room_take(vx_attend_room *room, size_t bytes)
{
    void *at = room->next;
    bytes = vx_round_up(bytes, 256);
    if (bytes > room->left)
        return nullptr;
    room->next += bytes;
    room->left -= bytes;
    return at;
}

/* Copies a list of the host to the GPU, as kernels' parameters. */
void vx_list_copy(vx_cuda *cuda, int *to, const int *list, size_t count, int less);

/* Writes the stats of the rows lo..hi-1 of each sequence and head. */
void vx_attend_stats(vx_cuda *cuda, const vx_attend &a, int batch, int lo, int hi);

#endif
