/* report/fused.c: see fused.h. */
#include "report/fused.h"

#include <math.h>
#include <string.h>

#include "kernels/bits.h"
#include "kernels/ops.h"

#define CHUNK 16 /* rows of a task */
#define DIGIT 11 /* bits that one pass of the sort looks at */
#define DIGITS (1 << DIGIT)
#define TOP (32 - DIGIT)

typedef struct fusing {
    const vx_record_rows *from;
    const vx_coded *coded;
    vx_fuse fuse;
    int first, end; /* rows that are there as they are */
    float *value;   /* [R,T] */
    float *room;    /* [workers,3,T] */
    uint8_t *turn;  /* [T,T]; first the level */
    uint8_t *fine;  /* [T,fine_row]; NULL: none */
    size_t fine_row;
    double square[256]; /* (u / 255)^2 */
    float limit[VX_FUSED_STEPS];
    uint8_t start[DIGITS]; /* guess of the smallest number with these upper bits */
} fusing;

static void join(float *restrict out, const float *restrict row, int count, vx_fuse fuse)
{
    if (fuse == VX_FUSE_MAX)
        for (int i = 0; i < count; i++)
            out[i] = row[i] > out[i] ? row[i] : out[i];
    else
        for (int i = 0; i < count; i++)
            out[i] = row[i] < out[i] ? row[i] : out[i];
}

/* ------------------------------------------------------------------ as it is --------------- */

static void true_row(float *out, const fusing *f, float *room, int r)
{
    const vx_record_rows *from = f->from;
    const size_t bytes = (size_t)from->tokens * sizeof *out;
    if (f->fuse == VX_FUSE_MEAN) {
        memcpy(out, vx_rows_mean(room, from, 0, from->heads, r, r + 1), bytes);
        return;
    }
    memcpy(out, vx_rows_read(room, from, 0, r), bytes);
    for (int h = 1; h < from->heads; h++)
        join(out, vx_rows_read(room, from, h, r), from->tokens, f->fuse);
}

static int chunk_end(const fusing *f, int task)
{
    const int end = (task + 1) * CHUNK;
    return end < f->from->rows ? end : f->from->rows;
}

static float *room_of(const fusing *f, int worker)
{
    return f->room + (size_t)worker * 3 * (size_t)f->from->tokens;
}

static void fuse_chunk(void *arg, int task, int worker)
{
    const fusing *f = arg;
    for (int r = task * CHUNK; r < chunk_end(f, task); r++)
        true_row(f->value + (size_t)r * (size_t)f->from->tokens, f, room_of(f, worker), r);
}

/* ------------------------------------------------------------------ as the reader has it --- */

static float half_at(const uint8_t *bytes)
{
    return vx_half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

static size_t row_of(const fusing *f, int h, int r)
{
    return (size_t)h * (size_t)f->coded->rows + (size_t)r;
}

/* Weights on prefix tokens, one head after the other. */
static void join_prefix(float *out, const fusing *f, int r)
{
    const size_t prefix = (size_t)f->from->prefix;
    const int heads = f->coded->heads;
    for (int h = 0; h < heads; h++)
        for (size_t t = 0; t < prefix; t++) {
            const float v = half_at(f->coded->prefix + 2 * (row_of(f, h, r) * prefix + t));
            if (f->fuse == VX_FUSE_MEAN)
                out[t] = (float)((double)(h == 0 ? 0 : out[t]) + 1.0 / heads * (double)v);
            else if (h == 0 || (f->fuse == VX_FUSE_MAX ? v > out[t] : v < out[t]))
                out[t] = v;
        }
}

/* The same on patches. `head`: of the smallest. Rounded as fused.h says. */
static void join_patches(float *restrict out, float *restrict head, const fusing *f, int r)
{
    const int heads = f->coded->heads, patches = f->from->tokens - f->from->prefix;
    const double *square = f->square, part = f->fuse == VX_FUSE_MEAN ? 1.0 / heads : 1;
    for (int i = 0; i < patches; i++)
        out[i] = f->fuse == VX_FUSE_MIN ? INFINITY : 0;
    for (int h = 0; h < heads; h++) {
        const size_t row = row_of(f, h, r);
        const uint8_t *weight = f->coded->weight + row * (size_t)patches;
        const double scale = part * (double)half_at(f->coded->scale + 2 * row);
        if (f->fuse == VX_FUSE_MEAN) {
            for (int i = 0; i < patches; i++)
                out[i] = (float)((double)out[i] + scale * square[weight[i]]);
            continue;
        }
        for (int i = 0; i < patches; i++) {
            const float v = (float)(scale * square[weight[i]]);
            const bool takes = f->fuse == VX_FUSE_MAX ? v > out[i] : v < out[i];
            out[i] = takes ? v : out[i];
            head[i] = takes ? (float)h : head[i];
        }
    }
}

/* Writes the row's bits of `fine` and uses them. */
static void refine(float *out, const float *head, const fusing *f, int r)
{
    const size_t tokens = (size_t)f->from->tokens, prefix = (size_t)f->from->prefix;
    const float *exact = f->value + (size_t)r * tokens + prefix;
    uint8_t *fine = f->fine + (size_t)r * f->fine_row;
    for (size_t i = 0; i < tokens - prefix; i++) {
        const size_t row = row_of(f, (int)head[i], r);
        const uint8_t u = f->coded->weight[row * (tokens - prefix) + i];
        const bool up = exact[i] >= out[i];
        if (up)
            fine[i / 8] |= (uint8_t)(1 << i % 8);
        if (u > 0) {
            const double root = (u + (up ? 0.25 : -0.25)) / 255;
            out[i] = (float)((double)half_at(f->coded->scale + 2 * row) * (root * root));
        }
    }
}

/* Row r in room [2,T]. */
static const float *coded_row(const fusing *f, float *room, int r)
{
    const size_t tokens = (size_t)f->from->tokens, prefix = (size_t)f->from->prefix;
    if (r >= f->first && r < f->end)
        return f->value + (size_t)r * tokens;
    join_prefix(room, f, r);
    join_patches(room + prefix, room + tokens, f, r);
    if (f->fuse == VX_FUSE_MIN)
        refine(room + prefix, room + tokens, f, r);
    return room;
}

/* ------------------------------------------------------------------ levels ----------------- */

/* The first step whose limit is not below v. */
static int guess(const fusing *f, float v)
{
    int s = f->start[vx_float_bits(v) >> TOP];
    while (s < VX_FUSED_STEPS && f->limit[s] < v)
        s++;
    return s;
}

/* The bits of floats that are not negative are in the order of the floats. */
static void sort_bits(uint32_t *bits, uint32_t *space, size_t count)
{
    uint32_t *from = bits, *to = space;
    for (int shift = 0; shift < 32; shift += DIGIT) {
        size_t start[DIGITS] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            start[from[i] >> shift & (DIGITS - 1)]++;
        for (int d = 0; d < DIGITS; d++) {
            const size_t n = start[d];
            start[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++)
            to[start[from[i] >> shift & (DIGITS - 1)]++] = from[i];
        uint32_t *other = from;
        from = to;
        to = other;
    }
    memcpy(bits, from, count * sizeof *bits);
}

/* Limits, and how many of the entries that are equal to a limit are dropped: the first ones. */
static void find_limits(fusing *f, size_t left[VX_FUSED_STEPS], uint32_t *sorted, uint32_t *space,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) /* + 0: no -0 */
        sorted[i] = vx_float_bits(f->value[i] + 0.0f);
    sort_bits(sorted, space, count);
    for (int s = 0; s < VX_FUSED_STEPS; s++) {
        /* As method rollout counts. */
        size_t drop = (size_t)((double)count * ((s + 1) / 20.0)), below = drop;
        f->limit[s] = drop > 0 ? vx_bits_float(sorted[drop - 1]) : -1;
        while (below > 0 && sorted[below - 1] == sorted[drop - 1])
            below--;
        left[s] = drop - below;
    }
    for (uint32_t d = 0, s = 0; d < DIGITS; d++) {
        while (s < VX_FUSED_STEPS && f->limit[s] < vx_bits_float(d << TOP))
            s++;
        f->start[d] = (uint8_t)s;
    }
}

static void find_levels(fusing *f, size_t left[VX_FUSED_STEPS], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = f->value[i];
        int level = VX_FUSED_STEPS, s = guess(f, v);
        for (; s < VX_FUSED_STEPS && !(f->limit[s] > v); s++)
            if (left[s] > 0) {
                left[s]--;
                level = s < level ? s : level;
            }
        f->turn[i] = (uint8_t)(s < level ? s : level);
    }
}

static void turn_chunk(void *arg, int task, int worker)
{
    const fusing *f = arg;
    const size_t tokens = (size_t)f->from->tokens;
    for (int r = task * CHUNK; r < chunk_end(f, task); r++) {
        const float *row = coded_row(f, room_of(f, worker), r);
        uint8_t *turn = f->turn + (size_t)r * tokens;
        for (size_t t = 0; t < tokens; t++) {
            const int level = turn[t];
            const bool right = (level == VX_FUSED_STEPS || row[t] <= f->limit[level]) &&
                               (level == 0 || row[t] > f->limit[level - 1]);
            turn[t] = right ? 0 : (uint8_t)(level - guess(f, row[t]));
        }
    }
}

/* ------------------------------------------------------------------ a block ---------------- */

/* Of the K fusions and Q rows that this block has. */
typedef struct shape {
    int fusions, reads;
    bool ordered; /* limit and turn */
    size_t entries, row_bytes, limit_bytes, fine_row, bytes;
} shape;

static shape shape_of(const fusing *f)
{
    const vx_record_rows *from = f->from;
    shape s = {.fusions = f->coded->heads > 1 ? 3 : 1, .reads = f->end - f->first};
    s.ordered = from->rows > 1 && from->tokens <= VX_FUSED_TOKENS;
    s.entries = s.ordered ? (size_t)from->rows * (size_t)from->tokens : 0;
    s.row_bytes = (size_t)s.reads * (size_t)from->tokens * 4;
    s.limit_bytes = s.ordered ? (size_t)VX_FUSED_STEPS * 4 : 0;
    s.fine_row = s.ordered && s.fusions > 1 ? (size_t)(from->tokens - from->prefix + 7) / 8 : 0;
    s.bytes = (size_t)s.fusions * (s.row_bytes + s.limit_bytes + s.entries) +
              (size_t)from->rows * s.fine_row;
    return s;
}

/* Fusion k into the three arrays. */
static void put_fusion(fusing *f, uint8_t *raw, const shape *s, int k, uint32_t *sorted,
                       vx_pool *pool)
{
    const size_t count = s->entries, K = (size_t)s->fusions, tokens = (size_t)f->from->tokens;
    const int tasks = (f->from->rows + CHUNK - 1) / CHUNK;
    uint8_t *limits = raw + K * s->row_bytes, *turns = limits + K * s->limit_bytes;
    size_t left[VX_FUSED_STEPS];
    f->fuse = (vx_fuse)k;
    vx_share_out(pool, fuse_chunk, f, tasks);
    vx_put_floats(raw + (size_t)k * s->row_bytes, f->value + (size_t)f->first * tokens,
                  s->row_bytes / 4);
    if (!s->ordered)
        return;
    f->turn = turns + (size_t)k * count;
    find_limits(f, left, sorted, sorted + count, count);
    find_levels(f, left, count);
    vx_put_floats(limits + (size_t)k * s->limit_bytes, f->limit, VX_FUSED_STEPS);
    f->fine = turns + K * count;
    f->fine_row = s->fine_row;
    vx_share_out(pool, turn_chunk, f, tasks);
}

int vx_fused_code(vx_packed *out, const vx_record_rows *rows, const vx_coded *coded, int query,
                  vx_pool *pool, const vitx_hooks *hooks)
{
    const bool patches = query == VX_QUERY_PATCHES && rows->rows > 1;
    fusing f = {.from = rows,
                .coded = coded,
                .first = rows->rows == 1 ? 0 : vx_query_first(query, rows->prefix),
                .end = rows->rows == 1 ? 1 : vx_query_end(query, rows->prefix, rows->tokens)};
    if (patches)
        f.end = f.first;
    for (int u = 0; u < 256; u++)
        f.square[u] = u / 255.0 * (u / 255.0);
    const shape s = shape_of(&f);
    const size_t tokens = (size_t)rows->tokens, workers = (size_t)vx_workers(pool);
    uint8_t *raw = NULL;
    uint32_t *sorted = NULL;
    *out = (vx_packed){0};
    if (s.bytes == 0)
        return VITX_OK;
    int status = vx_new(&raw, hooks, s.bytes, 1, "rollout of a block");
    if (status == VITX_OK)
        status = vx_new(&sorted, hooks, s.entries + 1, 2 * sizeof *sorted, "rollout of a block");
    if (status == VITX_OK)
        status = vx_new(&f.value, hooks, (size_t)rows->rows * tokens, sizeof *f.value,
                        "rollout of a block");
    if (status == VITX_OK)
        status = vx_new(&f.room, hooks, workers * 3 * tokens, sizeof *f.room, "rollout of a block");
    for (int k = 0; k < s.fusions && status == VITX_OK; k++)
        put_fusion(&f, raw, &s, k, sorted, pool);
    if (status == VITX_OK)
        status = vx_pack(out, raw, s.bytes, pool, hooks);
    vx_release(hooks, f.room);
    vx_release(hooks, f.value);
    vx_release(hooks, sorted);
    vx_release(hooks, raw);
    return status;
}
