/*
 * kernels/cpu/attention_replaced.c: one query's attention with one channel after the other of its
 * tokens replaced.
 *
 * A variant s changes row t of qkv by d[s,t] u[s,:] (d = value - x[t,channel], u its column of the
 * weights), so with its own query q' = q + d[s,query] u_q the variants are rows of two products:
 *
 *     p[s,:] = softmax(scale (q'[s,:] k^T + (q'[s,:] . u_k[s,:]) d[s,:]))
 *     y[s,:] = p[s,:] v + (p[s,:] . d[s,:]) u_v[s,:]
 *
 * A task is a strip of variants of one head; q', d and p lie in its worker's scratch.
 */
#include "kernels/cpu/cpu.h"

#define MOST_ROWS 64 /* of a strip: k and v are packed once for each */

typedef struct run {
    vx_cpu *cpu;
    const vx_attention_replaced *a;
    int strips, rows; /* of one head */
} run;

/* Variants first..first+rows-1 of head h. */
typedef struct strip {
    const run *r;
    int worker, h, first, rows;
    float *p, *d; /* [rows,T] */
    float *q;     /* [rows,E] */
} strip;

/* Head h of q, k or v (part 0, 1, 2) of row i of qkv or columns: [E]. */
static const float *part_of(const strip *s, const float *rows, int part, int i)
{
    const vx_attention_replaced *a = s->r->a;
    const size_t e = (size_t)a->head_width, heads = (size_t)a->heads;
    return rows + (((size_t)i * 3 + (size_t)part) * heads + (size_t)s->h) * e;
}

static float dot(const float *a, const float *b, int n)
{
    float sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    float rest = 0;
    for (; i < n; i++)
        rest += a[i] * b[i];
    return rest + ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* y += scale * x */
static void add(float *y, const float *x, float scale, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += scale * x[i];
}

/* d and q' of the strip. */
static void replace(const strip *s)
{
    const vx_attention_replaced *a = s->r->a;
    const float *q = part_of(s, a->qkv, 0, a->query);
    for (int i = 0; i < s->rows; i++) {
        float *d = s->d + (size_t)i * (size_t)a->tokens;
        float *row = s->q + (size_t)i * (size_t)a->head_width;
        const float *x = a->x + a->channels[s->first + i];
        for (int t = 0; t < a->tokens; t++)
            d[t] = a->value - x[(size_t)t * (size_t)a->width];
        for (int e = 0; e < a->head_width; e++)
            row[e] = q[e];
        add(row, part_of(s, a->columns, 0, s->first + i), d[a->query], a->head_width);
    }
}

static void probabilities(const strip *s)
{
    const vx_attention_replaced *a = s->r->a;
    vx_cpu_gemm(s->r->cpu, s->worker,
                &(vx_gemm){.c = s->p,
                           .a = s->q,
                           .b = part_of(s, a->qkv, 1, 0),
                           .ldc = a->tokens,
                           .lda = a->head_width,
                           .ldb = 3 * a->heads * a->head_width,
                           .alpha = a->scale,
                           .m = s->rows,
                           .n = a->tokens,
                           .k = a->head_width});
    for (int i = 0; i < s->rows; i++) {
        const size_t at = (size_t)i * (size_t)a->tokens;
        const float change = dot(s->q + (size_t)i * (size_t)a->head_width,
                                 part_of(s, a->columns, 1, s->first + i), a->head_width);
        add(s->p + at, s->d + at, a->scale * change, a->tokens);
    }
    s->r->cpu->serial.softmax(&s->r->cpu->base,
                              &(vx_softmax){.y = s->p, .x = s->p, .m = s->rows, .n = a->tokens});
}

static void values(const strip *s)
{
    const vx_attention_replaced *a = s->r->a;
    const int width = a->heads * a->head_width;
    float *y = a->y + (size_t)s->first * (size_t)width + (size_t)s->h * (size_t)a->head_width;
    vx_cpu_gemm(s->r->cpu, s->worker,
                &(vx_gemm){.c = y,
                           .a = s->p,
                           .b = part_of(s, a->qkv, 2, 0),
                           .b_is_kn = 1,
                           .ldc = width,
                           .lda = a->tokens,
                           .ldb = 3 * width,
                           .alpha = 1,
                           .m = s->rows,
                           .n = a->head_width,
                           .k = a->tokens});
    for (int i = 0; i < s->rows; i++) {
        const size_t at = (size_t)i * (size_t)a->tokens;
        add(y + (size_t)i * (size_t)width, part_of(s, a->columns, 2, s->first + i),
            dot(s->p + at, s->d + at, a->tokens), a->head_width);
    }
}

static void run_strip(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_attention_replaced *a = r->a;
    strip s = {.r = r, .worker = worker, .h = i / r->strips, .first = i % r->strips * r->rows};
    s.rows = vx_least(r->rows, a->count - s.first);
    s.p = vx_cpu_room_of(r->cpu, worker).strip;
    s.d = s.p + (size_t)s.rows * (size_t)a->tokens;
    s.q = s.d + (size_t)s.rows * (size_t)a->tokens;
    replace(&s);
    probabilities(&s);
    values(&s);
}

void vx_attention_replaced_cpu(vx_device *dev, const vx_attention_replaced *given)
{
    const vx_attention_replaced floats = vx_attention_replaced_floats(given), *a = &floats;
    run r = {.cpu = vx_cpu_of(dev), .a = a};
    const size_t room = vx_cpu_room_of(r.cpu, 0).strip_floats;
    const size_t row = 2 * (size_t)a->tokens + (size_t)a->head_width;
    if (a->count <= 0)
        return;
    r.rows = vx_least(MOST_ROWS, room / row < MOST_ROWS ? (int)(room / row) : MOST_ROWS);
    r.strips = vx_ceil_div(a->count, r.rows);
    r.rows = vx_ceil_div(a->count, r.strips);
    dev->env.parallel(run_strip, &r, a->heads * r.strips, dev->env.owner);
}
