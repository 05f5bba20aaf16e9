/* report/fused.c: see fused.h. */
#include "report/fused.h"

#include <math.h>
#include <string.h>

#include "kernels/bits.h"
#include "kernels/ops.h"

#define CHUNK 16 /* rows of a task */
#define DIGIT 11 /* bits that one pass of the sort looks at */
#define DIGITS (1 << DIGIT)

typedef struct fusing {
    const vx_record_rows *from;
    const vx_coded *coded;
    vx_fuse fuse;
    int first, end; /* rows that are there as they are */
    float *value;   /* [R,T] */
    float *room;    /* [workers,2,T] */
    uint8_t *turn;  /* [T,T]; first the level */
    uint8_t *fine;  /* [T,fine_row]; NULL: none */
    size_t fine_row;
    float limit[VX_FUSED_STEPS];
} fusing;

static void join(float *out, const float *row, int count, vx_fuse fuse)
{
    for (int i = 0; i < count; i++)
        if (fuse == VX_FUSE_MAX ? row[i] > out[i] : row[i] < out[i])
            out[i] = row[i];
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
    return f->room + (size_t)worker * 2 * (size_t)f->from->tokens;
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

/* out += part * row, rounded as fused.h says. */
static void add_coded(float *out, const fusing *f, size_t row, double part)
{
    const vx_coded *c = f->coded;
    const size_t prefix = (size_t)f->from->prefix, tokens = (size_t)f->from->tokens;
    const uint8_t *weight = c->weight + row * (tokens - prefix);
    const double scale = part * (double)half_at(c->scale + 2 * row);
    for (size_t t = 0; t < prefix; t++)
        out[t] =
            (float)((double)out[t] + part * (double)half_at(c->prefix + 2 * (row * prefix + t)));
    for (size_t t = prefix; t < tokens; t++) {
        const double root = weight[t - prefix] / 255.0;
        out[t] = (float)((double)out[t] + scale * (root * root));
    }
}

/* The smallest weight of all heads on patch i of row r, and the code and scale it has. */
static float least(const fusing *f, int r, size_t i, uint8_t *u, double *scale)
{
    const vx_coded *c = f->coded;
    const size_t patches = (size_t)(f->from->tokens - f->from->prefix);
    float best = INFINITY;
    for (int h = 0; h < c->heads; h++) {
        const size_t row = (size_t)h * (size_t)c->rows + (size_t)r;
        const double s = (double)half_at(c->scale + 2 * row);
        const double root = c->weight[row * patches + i] / 255.0;
        const float v = (float)(s * (root * root));
        if (v < best) {
            best = v;
            *u = c->weight[row * patches + i];
            *scale = s;
        }
    }
    return best;
}

/* The patches' part of a row of minima. */
static void refine(float *out, const fusing *f, int r)
{
    const size_t prefix = (size_t)f->from->prefix, patches = (size_t)f->from->tokens - prefix;
    const uint8_t *fine = f->fine + (size_t)r * f->fine_row;
    for (size_t i = 0; i < patches; i++) {
        uint8_t u = 0;
        double scale = 0;
        out[prefix + i] = least(f, r, i, &u, &scale);
        if (u > 0) {
            const double root = (u + (fine[i / 8] >> i % 8 & 1 ? 0.25 : -0.25)) / 255;
            out[prefix + i] = (float)(scale * (root * root));
        }
    }
}

static void fine_chunk(void *arg, int task, int worker)
{
    const fusing *f = arg;
    const size_t tokens = (size_t)f->from->tokens, prefix = (size_t)f->from->prefix;
    (void)worker;
    for (int r = task * CHUNK; r < chunk_end(f, task); r++)
        for (size_t i = 0; i < tokens - prefix; i++) {
            uint8_t u;
            double scale;
            if (f->value[(size_t)r * tokens + prefix + i] >= least(f, r, i, &u, &scale))
                f->fine[(size_t)r * f->fine_row + i / 8] |= (uint8_t)(1 << i % 8);
        }
}

/* Row r in room [2,T]. */
static const float *coded_row(const fusing *f, float *room, int r)
{
    const int tokens = f->from->tokens, heads = f->coded->heads;
    float *out = room, *one = room + tokens;
    if (r >= f->first && r < f->end)
        return f->value + (size_t)r * (size_t)tokens;
    memset(out, 0, (size_t)tokens * sizeof *out);
    for (int h = 0; h < heads; h++) {
        const size_t row = (size_t)h * (size_t)f->coded->rows + (size_t)r;
        if (f->fuse == VX_FUSE_MEAN || h == 0) {
            add_coded(out, f, row, f->fuse == VX_FUSE_MEAN ? 1.0 / heads : 1);
            continue;
        }
        memset(one, 0, (size_t)tokens * sizeof *one);
        add_coded(one, f, row, 1);
        join(out, one, tokens, f->fuse);
    }
    if (f->fuse == VX_FUSE_MIN)
        refine(out, f, r);
    return out;
}

/* ------------------------------------------------------------------ levels ----------------- */

/* The first step whose limit is not below v. */
static int guess(const fusing *f, float v)
{
    int low = 0, high = VX_FUSED_STEPS;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (f->limit[middle] >= v)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
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
        for (size_t t = 0; t < tokens; t++)
            turn[t] = (uint8_t)(turn[t] - guess(f, row[t]));
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
    if (f->fuse == VX_FUSE_MIN)
        vx_share_out(pool, fine_chunk, f, tasks);
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
        status = vx_new(&f.room, hooks, workers * 2 * tokens, sizeof *f.room, "rollout of a block");
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
