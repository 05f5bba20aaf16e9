/* report/code.c: see code.h. */
#include "report/code.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/bits.h"
#include "kernels/ops.h"
#include "report/fused.h"

#define CHUNK 64 /* rows of a task */

static void put_half(uint8_t out[2], float value)
{
    const uint16_t half = vx_float_to_half(value);
    out[0] = (uint8_t)(half & 255);
    out[1] = (uint8_t)(half >> 8);
}

void vx_put_halves(uint8_t *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_half(out + 2 * i, values[i]);
}

void vx_put_floats(uint8_t *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = vx_float_bits(values[i]);
        for (int k = 0; k < 4; k++)
            out[4 * i + (size_t)k] = (uint8_t)(bits >> (8 * k));
    }
}

/* ------------------------------------------------------------------ a row ------------------ */

/* A softmax may be a little above 1 by rounding. */
static bool is_weight(float a)
{
    return (a >= 0) & (a <= 1.001f);
}

bool vx_code_row(uint8_t *scale, uint8_t *prefix, uint8_t *weight, const float *row, int tokens,
                 int prefix_tokens)
{
    /* As bits, so that a compiler may take several at once. */
    int32_t most = 0;
    int wrong = 0;
    for (int i = 0; i < tokens; i++)
        wrong |= !is_weight(row[i]);
    for (int i = prefix_tokens; i < tokens; i++) {
        const int32_t bits = (int32_t)vx_float_bits(row[i]);
        most = bits > most ? bits : most;
    }
    const float largest = vx_bits_float((uint32_t)most);
    put_half(scale, largest);
    vx_put_halves(prefix, row, (size_t)prefix_tokens);
    /* What the reader divides by, not what was rounded. */
    const float rounded = vx_half_to_float(vx_float_to_half(largest));
    const float inverse = rounded > 0 ? 1 / rounded : 0;
    for (int i = prefix_tokens; !wrong && i < tokens; i++) {
        const int u = (int)(255 * sqrtf(row[i] * inverse) + 0.5f);
        weight[i - prefix_tokens] = (uint8_t)(u > 255 ? 255 : u);
    }
    return !wrong;
}

/* ------------------------------------------------------------------ a block ---------------- */

vx_record_rows vx_record_rows_of(const float *data, int heads, int rows, int tokens, int prefix)
{
    return (vx_record_rows){.data = (const char *)data,
                            .dtype = VITX_F32,
                            .stride = {(int64_t)rows * tokens, tokens, 1},
                            .heads = heads,
                            .rows = rows,
                            .tokens = tokens,
                            .prefix = prefix};
}

typedef struct coding {
    const vx_record_rows *from;
    vx_take take;
    int query;
    int heads, rows; /* G, R */
    uint8_t *scale, *prefix, *weight;
    float *room; /* [workers,2,T] */
    atomic_bool bad;
} coding;

const float *vx_rows_read(float *room, const vx_record_rows *from, int h, int r)
{
    const int64_t at = h * from->stride[0] + r * from->stride[1];
    const float *floats = (const float *)(const void *)from->data;
    const uint16_t *halves = (const uint16_t *)(const void *)from->data;
    if (from->dtype == VITX_F32 && from->stride[2] == 1)
        return floats + at;
    for (int i = 0; i < from->tokens; i++) {
        const int64_t k = at + i * from->stride[2];
        room[i] = from->dtype == VITX_F32 ? floats[k] : vx_half_to_float(halves[k]);
    }
    return room;
}

const float *vx_rows_mean(float *room, const vx_record_rows *from, int h0, int h1, int first,
                          int end)
{
    float *sum = room, *copy = room + from->tokens;
    /* As the kernels fuse heads. */
    const float part = 1 / ((float)(h1 - h0) * (float)(end - first));
    memset(sum, 0, (size_t)from->tokens * sizeof *sum);
    for (int h = h0; h < h1; h++)
        for (int r = first; r < end; r++) {
            const float *row = vx_rows_read(copy, from, h, r);
            for (int i = 0; i < from->tokens; i++)
                sum[i] += row[i];
        }
    for (int i = 0; i < from->tokens; i++)
        sum[i] *= part;
    return sum;
}

static const float *take_row(const coding *c, float *room, int h, int r)
{
    const vx_record_rows *from = c->from;
    if (c->take == VX_TAKE_MEAN)
        return vx_rows_mean(room, from, 0, from->heads, r, r + 1);
    if (c->take == VX_TAKE_QUERY)
        return vx_rows_mean(room, from, h, h + 1, vx_query_first(c->query, from->prefix),
                            vx_query_end(c->query, from->prefix, from->tokens));
    return vx_rows_read(room, from, h, r);
}

static void code_chunk(void *arg, int task, int worker)
{
    coding *c = arg;
    const int tokens = c->from->tokens, prefix = c->from->prefix, patches = tokens - prefix;
    float *room = c->room + (size_t)worker * 2 * (size_t)tokens;
    const int end =
        (task + 1) * CHUNK < c->heads * c->rows ? (task + 1) * CHUNK : c->heads * c->rows;
    for (int i = task * CHUNK; i < end; i++) {
        const float *row = take_row(c, room, i / c->rows, i % c->rows);
        if (!vx_code_row(c->scale + 2 * (size_t)i, c->prefix + 2 * (size_t)i * (size_t)prefix,
                         c->weight + (size_t)i * (size_t)patches, row, tokens, prefix))
            atomic_store(&c->bad, true);
    }
}

size_t vx_code_bytes(int heads, int rows, int tokens, int prefix)
{
    size_t bytes;
    const size_t row = 2 + 2 * (size_t)prefix + (size_t)(tokens - prefix);
    return vx_mul_size(&bytes, row, (size_t)heads) && vx_mul_size(&bytes, bytes, (size_t)rows)
               ? bytes
               : (size_t)-1;
}

int vx_code_attention(vx_packed *out, vx_packed *fused, const vx_record_rows *rows, vx_take take,
                      int query, const char *what, vx_pool *pool, const vitx_hooks *hooks)
{
    coding c = {.from = rows, .take = take, .query = query};
    uint8_t *raw = NULL;
    c.heads = take == VX_TAKE_MEAN ? 1 : rows->heads;
    c.rows = take == VX_TAKE_QUERY ? 1 : rows->rows;
    const int all = c.heads * c.rows, workers = vx_workers(pool);
    const size_t bytes = vx_code_bytes(c.heads, c.rows, rows->tokens, rows->prefix);
    *out = (vx_packed){0};
    if (fused)
        *fused = (vx_packed){0};
    atomic_init(&c.bad, false);
    raw = vx_alloc(hooks, bytes);
    if (!raw)
        return vx_fail(VITX_NOMEM, "no memory for %zu bytes of attention", bytes);
    c.scale = raw;
    c.prefix = c.scale + 2 * (size_t)all;
    c.weight = c.prefix + 2 * (size_t)all * (size_t)rows->prefix;
    int status = vx_new(&c.room, hooks, (size_t)workers * 2 * (size_t)rows->tokens, sizeof *c.room,
                        "rows of attention");
    if (status == VITX_OK)
        vx_share_out(pool, code_chunk, &c, (all + CHUNK - 1) / CHUNK);
    if (status == VITX_OK && atomic_load(&c.bad))
        status = vx_fail(VITX_INVALID, "%s: a number that is no weight from 0 to 1", what);
    if (status == VITX_OK)
        status = vx_pack(out, raw, bytes, pool, hooks);
    if (status == VITX_OK && fused)
        status =
            vx_fused_code(fused, rows, &(vx_coded){c.scale, c.prefix, c.weight, c.heads, c.rows},
                          query, pool, hooks);
    if (status != VITX_OK)
        vx_packed_dispose(out, hooks);
    vx_release(hooks, c.room);
    vx_release(hooks, raw);
    return status;
}
