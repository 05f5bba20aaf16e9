/* report/fused.c: see fused.h. */
#include "report/fused.h"

#include <math.h>
#include <string.h>

#include "kernels/bits.h"
#include "kernels/ops.h"

#define CHUNK 16 /* rows of a task */
#define DIGIT 11 /* bits that one pass of the sort looks at */
#define DIGITS (1 << DIGIT)
#define KINDS 3 /* of fusions */
#define ROOM 5  /* rows of a worker */

/* One fusion. */
typedef struct fusion {
    float *value;  /* [R,T], as it is */
    uint8_t *turn; /* [R,T] */
    float limit[VX_FUSED_STEPS];
    bool tied; /* of the entries that are equal to a limit, some are dropped and some are not */
    size_t left[VX_FUSED_STEPS]; /* how many of those are dropped: the first ones */
    uint32_t low;                /* smallest entry, as bits */
    int shift;                   /* (bits - low) >> shift is below DIGITS */
    uint8_t start[DIGITS];       /* guess of the smallest number that has this place */
} fusion;

typedef struct fusing {
    const vx_record_rows *from;
    const vx_coded *coded;
    int first, end; /* rows that are there as they are */
    int count;      /* of fusions */
    float *room;    /* [workers,ROOM,T] */
    uint8_t *fine;  /* [R,fine_row] */
    size_t fine_row;
    double square[256]; /* (u / 255)^2 */
    fusion of[KINDS];
} fusing;

/* ------------------------------------------------------------------ as it is --------------- */

static void larger(float *restrict out, const float *restrict row, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = row[i] > out[i] ? row[i] : out[i];
}

static void smaller(float *restrict out, const float *restrict row, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = row[i] < out[i] ? row[i] : out[i];
}

/* Row r of all fusions. */
static void true_row(const fusing *f, float *room, int r)
{
    const vx_record_rows *from = f->from;
    const size_t at = (size_t)r * (size_t)from->tokens;
    const size_t bytes = (size_t)from->tokens * sizeof(float);
    memcpy(f->of[VX_FUSE_MEAN].value + at, vx_rows_mean(room, from, 0, from->heads, r, r + 1),
           bytes);
    for (int h = 0; f->count > 1 && h < from->heads; h++) {
        const float *row = vx_rows_read(room, from, h, r);
        float *most = f->of[VX_FUSE_MAX].value + at, *least = f->of[VX_FUSE_MIN].value + at;
        if (h == 0) {
            memcpy(most, row, bytes);
            memcpy(least, row, bytes);
            continue;
        }
        larger(most, row, from->tokens);
        smaller(least, row, from->tokens);
    }
}

static int chunk_end(const fusing *f, int task)
{
    const int end = (task + 1) * CHUNK;
    return end < f->from->rows ? end : f->from->rows;
}

static float *room_of(const fusing *f, int worker)
{
    return f->room + (size_t)worker * ROOM * (size_t)f->from->tokens;
}

static void fuse_chunk(void *arg, int task, int worker)
{
    const fusing *f = arg;
    for (int r = task * CHUNK; r < chunk_end(f, task); r++)
        true_row(f, room_of(f, worker), r);
}

/* ------------------------------------------------------------------ as the reader has it --- */

/* A row of all fusions, the head of each of the smallest, and space for the weights of a head. */
typedef struct row {
    float *of[KINDS], *head, *weight;
} row;

static float half_at(const uint8_t *bytes)
{
    return vx_half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

static size_t row_of(const fusing *f, int h, int r)
{
    return (size_t)h * (size_t)f->coded->rows + (size_t)r;
}

/* Weights on prefix tokens, one head after the other. */
static void join_prefix(const row *to, const fusing *f, int r)
{
    const size_t prefix = (size_t)f->from->prefix;
    const int heads = f->coded->heads;
    float *mean = to->of[VX_FUSE_MEAN], *most = to->of[VX_FUSE_MAX], *least = to->of[VX_FUSE_MIN];
    for (int h = 0; h < heads; h++)
        for (size_t t = 0; t < prefix; t++) {
            const float v = half_at(f->coded->prefix + 2 * (row_of(f, h, r) * prefix + t));
            mean[t] = (float)((double)(h == 0 ? 0 : mean[t]) + 1.0 / heads * (double)v);
            most[t] = h == 0 || v > most[t] ? v : most[t];
            least[t] = h == 0 || v < least[t] ? v : least[t];
        }
}

static void join_mean(float *restrict mean, const uint8_t *restrict weight, int count,
                      const double *restrict square, double part)
{
    for (int i = 0; i < count; i++)
        mean[i] = (float)((double)mean[i] + part * square[weight[i]]);
}

/* Of head h, from its weights `v`. */
static void join_ends(float *restrict most, float *restrict least, float *restrict head,
                      const float *restrict v, int count, float h)
{
    for (int i = 0; i < count; i++) {
        const bool less = v[i] < least[i];
        most[i] = v[i] > most[i] ? v[i] : most[i];
        head[i] = less ? h : head[i];
        least[i] = less ? v[i] : least[i];
    }
}

/* The same on patches. Rounded as fused.h says. */
static void join_patches(const row *to, const fusing *f, int r)
{
    const int heads = f->coded->heads, prefix = f->from->prefix, count = f->from->tokens - prefix;
    for (int i = prefix; i < f->from->tokens; i++) {
        to->of[VX_FUSE_MEAN][i] = to->of[VX_FUSE_MAX][i] = 0;
        to->of[VX_FUSE_MIN][i] = INFINITY;
    }
    for (int h = 0; h < heads; h++) {
        const size_t at = row_of(f, h, r);
        const uint8_t *weight = f->coded->weight + at * (size_t)count;
        const double scale = (double)half_at(f->coded->scale + 2 * at);
        join_mean(to->of[VX_FUSE_MEAN] + prefix, weight, count, f->square, 1.0 / heads * scale);
        for (int i = 0; i < count && f->count > 1; i++)
            to->weight[i] = (float)(scale * f->square[weight[i]]);
        if (f->count > 1)
            join_ends(to->of[VX_FUSE_MAX] + prefix, to->of[VX_FUSE_MIN] + prefix, to->head + prefix,
                      to->weight, count, (float)h);
    }
}

/* Writes the row's bits of `fine` and uses them. */
static void refine(const row *to, const fusing *f, int r)
{
    const size_t tokens = (size_t)f->from->tokens, prefix = (size_t)f->from->prefix;
    const float *exact = f->of[VX_FUSE_MIN].value + (size_t)r * tokens + prefix;
    const float *head = to->head + prefix;
    float *out = to->of[VX_FUSE_MIN] + prefix;
    uint8_t *fine = f->fine + (size_t)r * f->fine_row;
    for (size_t i = 0; i < tokens - prefix; i++) {
        const size_t at = row_of(f, (int)head[i], r);
        const uint8_t u = f->coded->weight[at * (tokens - prefix) + i];
        const bool up = exact[i] >= out[i];
        fine[i / 8] |= (uint8_t)(up << i % 8);
        if (u > 0) {
            const double root = (u + (up ? 0.25 : -0.25)) / 255;
            out[i] = (float)((double)half_at(f->coded->scale + 2 * at) * (root * root));
        }
    }
}

/* ------------------------------------------------------------------ levels ----------------- */

/* Entries of a small range have places of their own. The bits of floats that are not negative are
 * in the order of the floats. */
static size_t place_of(const fusion *f, float v)
{
    const uint32_t bits = vx_float_bits(v + 0.0f); /* + 0: no -0 */
    const uint32_t place = bits > f->low ? (bits - f->low) >> f->shift : 0;
    return place < DIGITS ? place : DIGITS - 1;
}

/* The first step whose limit is not below v. */
static int guess(const fusion *f, float v)
{
    int s = f->start[place_of(f, v)];
    while (s < VX_FUSED_STEPS && f->limit[s] < v)
        s++;
    return s;
}

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

/* How many entries rollout drops at a step: as method rollout counts. */
static size_t dropped(size_t count, int step)
{
    return (size_t)((double)count * ((step + 1) / 20.0));
}

static void find_range(fusion *f, size_t count)
{
    uint32_t low = UINT32_MAX, high = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = vx_float_bits(f->value[i] + 0.0f);
        low = bits < low ? bits : low;
        high = bits > high ? bits : high;
    }
    f->low = low;
    f->shift = 0;
    while ((high - low) >> f->shift >= DIGITS)
        f->shift++;
}

/* Entries at the places where limits are, in ascending order. less[p] [DIGITS + 1] of all entries
 * are before place p, before[p] of those are in `sorted`. */
static void sort_some(uint32_t *sorted, uint32_t less[], uint32_t before[], const fusion *f,
                      size_t count)
{
    bool wanted[DIGITS] = {false};
    uint32_t sum = 0, n = 0;
    memset(less, 0, DIGITS * sizeof *less);
    for (size_t i = 0; i < count; i++)
        less[place_of(f, f->value[i])]++;
    for (int p = 0, s = 0; p < DIGITS; p++) {
        const uint32_t here = less[p];
        less[p] = sum;
        before[p] = n;
        sum += here;
        for (; s < VX_FUSED_STEPS && dropped(count, s) <= sum; s++)
            wanted[p] = wanted[p] || dropped(count, s) > 0;
        n += wanted[p] ? here : 0;
    }
    less[DIGITS] = sum;
    before[DIGITS] = n;
    n = 0;
    for (size_t i = 0; i < count; i++)
        if (wanted[place_of(f, f->value[i])])
            sorted[n++] = vx_float_bits(f->value[i] + 0.0f);
    sort_bits(sorted, sorted + count, n);
}

/* sorted [2,count] */
static void find_limits(fusion *f, uint32_t *sorted, size_t count)
{
    uint32_t less[DIGITS + 1], before[DIGITS + 1];
    find_range(f, count);
    sort_some(sorted, less, before, f, count);
    f->tied = false;
    for (int s = 0, p = 0; s < VX_FUSED_STEPS; s++) {
        const size_t drop = dropped(count, s);
        f->limit[s] = -1;
        f->left[s] = 0;
        if (drop == 0)
            continue;
        while (less[p + 1] < drop)
            p++;
        const size_t last = before[p] + (drop - 1 - less[p]);
        size_t first = last;
        f->limit[s] = vx_bits_float(sorted[last]);
        while (first > before[p] && sorted[first - 1] == sorted[last])
            first--;
        f->left[s] = last - first + 1;
        f->tied |= last + 1 < before[p + 1] && sorted[last + 1] == sorted[last];
    }
    for (uint32_t d = 0, s = 0; d < DIGITS; d++) {
        while (s < VX_FUSED_STEPS && f->limit[s] < vx_bits_float(f->low + (d << f->shift)))
            s++;
        f->start[d] = (uint8_t)s;
    }
}

/* Levels, where entries that are equal have several. */
static void find_levels(fusion *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = f->value[i];
        int level = VX_FUSED_STEPS, s = guess(f, v);
        for (; s < VX_FUSED_STEPS && !(f->limit[s] > v); s++)
            if (f->left[s] > 0) {
                f->left[s]--;
                level = s < level ? s : level;
            }
        f->turn[i] = (uint8_t)(s < level ? s : level);
    }
}

/* Row r: what the reader has to turn. `coded` is as the reader has it. */
static void turn_row(const fusion *f, const float *coded, size_t tokens, size_t r)
{
    const float *value = f->value + r * tokens;
    uint8_t *turn = f->turn + r * tokens;
    for (size_t t = 0; t < tokens; t++) {
        const int level = f->tied ? turn[t] : guess(f, value[t]);
        turn[t] = (uint8_t)(level - guess(f, coded[t]));
    }
}

static void turn_chunk(void *arg, int task, int worker)
{
    const fusing *f = arg;
    const size_t tokens = (size_t)f->from->tokens;
    float *room = room_of(f, worker);
    const row coded = {
        {room, room + tokens, room + 2 * tokens}, room + 3 * tokens, room + 4 * tokens};
    for (int r = task * CHUNK; r < chunk_end(f, task); r++) {
        const bool known = r >= f->first && r < f->end;
        if (!known) {
            join_prefix(&coded, f, r);
            join_patches(&coded, f, r);
            if (f->count > 1)
                refine(&coded, f, r);
        }
        for (int k = 0; k < f->count; k++)
            turn_row(&f->of[k], known ? f->of[k].value + (size_t)r * tokens : coded.of[k], tokens,
                     (size_t)r);
    }
}

/* ------------------------------------------------------------------ a block ---------------- */

/* Of the K fusions and Q rows that this block has. */
typedef struct shape {
    int fusions, reads;
    bool ordered; /* limit and turn */
    size_t entries, row_bytes, limit_bytes, fine_row, bytes;
} shape;

static shape shape_of(int heads, const vx_record_rows *from, int reads)
{
    shape s = {.fusions = heads > 1 ? 3 : 1, .reads = reads};
    s.ordered = from->rows > 1 && from->tokens <= VX_FUSED_TOKENS;
    s.entries = s.ordered ? (size_t)from->rows * (size_t)from->tokens : 0;
    s.row_bytes = (size_t)s.reads * (size_t)from->tokens * 4;
    s.limit_bytes = s.ordered ? (size_t)VX_FUSED_STEPS * 4 : 0;
    s.fine_row = s.ordered && s.fusions > 1 ? (size_t)(from->tokens - from->prefix + 7) / 8 : 0;
    s.bytes = (size_t)s.fusions * (s.row_bytes + s.limit_bytes + s.entries) +
              (size_t)from->rows * s.fine_row;
    return s;
}

size_t vx_fused_bytes(int heads, int rows, int tokens, int prefix)
{
    const vx_record_rows from = {.rows = rows, .tokens = tokens, .prefix = prefix};
    return shape_of(heads, &from, prefix > 0 ? prefix : 1).bytes;
}

/* All arrays of the block into `raw`. */
static void put_fusions(fusing *f, uint8_t *raw, const shape *s, uint32_t *sorted, vx_pool *pool)
{
    const size_t K = (size_t)s->fusions, tokens = (size_t)f->from->tokens;
    const int tasks = (f->from->rows + CHUNK - 1) / CHUNK;
    uint8_t *limits = raw + K * s->row_bytes, *turns = limits + K * s->limit_bytes;
    vx_share_out(pool, fuse_chunk, f, tasks);
    for (size_t k = 0; k < K; k++)
        vx_put_floats(raw + k * s->row_bytes, f->of[k].value + (size_t)f->first * tokens,
                      s->row_bytes / 4);
    if (!s->ordered)
        return;
    for (size_t k = 0; k < K; k++) {
        fusion *one = &f->of[k];
        one->turn = turns + k * s->entries;
        find_limits(one, sorted, s->entries);
        if (one->tied)
            find_levels(one, s->entries);
        vx_put_floats(limits + k * s->limit_bytes, one->limit, VX_FUSED_STEPS);
    }
    f->fine = turns + K * s->entries;
    f->fine_row = s->fine_row;
    vx_share_out(pool, turn_chunk, f, tasks);
}

int vx_fused_code(vx_packed *out, const vx_record_rows *rows, const vx_coded *coded, int query,
                  vx_pool *pool, const vitx_hooks *hooks)
{
    const bool patches = query == VX_QUERY_PATCHES && rows->rows > 1;
    fusing f = {.from = rows,
                .coded = coded,
                .count = coded->heads > 1 ? KINDS : 1,
                .first = rows->rows == 1 ? 0 : vx_query_first(query, rows->prefix),
                .end = rows->rows == 1 ? 1 : vx_query_end(query, rows->prefix, rows->tokens)};
    if (patches)
        f.end = f.first;
    for (int u = 0; u < 256; u++)
        f.square[u] = u / 255.0 * (u / 255.0);
    const shape s = shape_of(coded->heads, rows, f.end - f.first);
    const size_t tokens = (size_t)rows->tokens, workers = (size_t)vx_workers(pool);
    const size_t entries = (size_t)rows->rows * tokens;
    uint8_t *raw = NULL;
    uint32_t *sorted = NULL;
    float *value = NULL;
    *out = (vx_packed){0};
    if (s.bytes == 0)
        return VITX_OK;
    int status = vx_new(&raw, hooks, s.bytes, 1, "rollout of a block");
    if (status == VITX_OK)
        status = vx_new(&sorted, hooks, s.entries + 1, 2 * sizeof *sorted, "rollout of a block");
    if (status == VITX_OK)
        status =
            vx_new(&value, hooks, entries, (size_t)s.fusions * sizeof *value, "rollout of a block");
    if (status == VITX_OK)
        status =
            vx_new(&f.room, hooks, workers * ROOM * tokens, sizeof *f.room, "rollout of a block");
    for (int k = 0; k < s.fusions; k++)
        f.of[k].value = value + (size_t)k * entries;
    if (status == VITX_OK) {
        put_fusions(&f, raw, &s, sorted, pool);
        status = vx_pack(out, raw, s.bytes, pool, hooks);
    }
    vx_release(hooks, f.room);
    vx_release(hooks, value);
    vx_release(hooks, sorted);
    vx_release(hooks, raw);
    return status;
}
