/*
 * kernels/cpu/maps.c: what methods make of gradients, spread over the workers. The arithmetic is
 * that of cpu->pieces (maps_vec.h).
 */
#include "kernels/cpu/cpu.h"

#include <string.h>

#define LEAST_FLOATS 8192 /* of a task, as in spread.c */
#define CHUNK 2048        /* numbers that stay in the first cache while heads are added to them */
#define COLUMNS 64        /* of attention that a task takes at least */
#define CHANNELS 16       /* of tokens that a task takes at least: a vector */

/* ------------------------------------------------------------------ attention's gradient --- */

/* The heads that an operation takes: one, or all. */
typedef struct range {
    size_t first, count;
} range;

static range heads_of(int head, int heads)
{
    return head < 0 ? (range){0, (size_t)heads} : (range){(size_t)head, 1};
}

/* Numbers at..at+n-1 of the matrix of gradient g. */
static void product_chunk(const vx_cpu *cpu, const vx_attn_product *a, size_t g, size_t at,
                          size_t n)
{
    const size_t matrix = (size_t)a->tokens * (size_t)a->tokens, all = (size_t)a->heads;
    const size_t b = g / (size_t)a->targets;
    const range heads = heads_of(a->head, a->heads);
    float *out = a->out + g * matrix + at;
    memset(out, 0, n * sizeof *out);
    for (size_t h = heads.first; h < heads.first + heads.count; h++)
        cpu->pieces.product(out, a->p + (b * all + h) * matrix + at,
                            a->dp + (g * all + h) * matrix + at, a->kind, n);
    cpu->pieces.scaled_relu(out, out, 1 / (float)heads.count, n);
}

static void product_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_attn_product *a = op;
    const size_t matrix = (size_t)a->tokens * (size_t)a->tokens;
    size_t i = (size_t)first;
    const size_t end = (size_t)(first + count);
    while (i < end) {
        const size_t at = i % matrix, left = matrix - at;
        size_t n = end - i < left ? end - i : left;
        n = n < CHUNK ? n : CHUNK;
        product_chunk(cpu, a, i / matrix, at, n);
        i += n;
    }
}

void vx_attn_product_cpu(vx_device *dev, const vx_attn_product *a)
{
    const int64_t matrix = (int64_t)a->tokens * a->tokens;
    vx_cpu_spread(vx_cpu_of(dev), product_part, a, (int64_t)a->batch * a->targets * matrix,
                  LEAST_FLOATS / (int64_t)heads_of(a->head, a->heads).count + 1);
}

/* Blocks of COLUMNS of out [G,T]. */
static void relu_mean_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_attn_relu_mean *a = op;
    const size_t t = (size_t)a->tokens, all = (size_t)a->heads;
    const size_t blocks = (size_t)vx_ceil_div(a->tokens, COLUMNS);
    const range heads = heads_of(a->head, a->heads);
    for (size_t i = (size_t)first; i < (size_t)(first + count); i++) {
        const size_t g = i / blocks, j = i % blocks * COLUMNS;
        const size_t n = t - j < COLUMNS ? t - j : COLUMNS;
        double sums[COLUMNS] = {0};
        cpu->pieces.relu_sums(sums, a->dp + (g * all + heads.first) * t * t + j, t, heads.count * t,
                              n);
        for (size_t c = 0; c < n; c++)
            a->out[g * t + j + c] = (float)(sums[c] / (double)(heads.count * t));
    }
}

void vx_attn_relu_mean_cpu(vx_device *dev, const vx_attn_relu_mean *a)
{
    const int64_t rows = (int64_t)heads_of(a->head, a->heads).count * a->tokens;
    vx_cpu_spread(vx_cpu_of(dev), relu_mean_part, a,
                  (int64_t)a->gradients * vx_ceil_div(a->tokens, COLUMNS),
                  LEAST_FLOATS / COLUMNS / rows + 1);
}

/* ------------------------------------------------------------------------------- tokens ---- */

/* [D], in the scratch of worker 0. */
static double *cam_weights(const vx_cpu *cpu)
{
    return (double *)(void *)vx_cpu_room_of(cpu, 0).strip;
}

static void weights_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_token_cam *a = op;
    const size_t width = (size_t)a->width, skipped = (size_t)a->first * width;
    const size_t c = (size_t)first * CHANNELS, n = (size_t)count * CHANNELS, left = width - c;
    cpu->pieces.cam_weights(cam_weights(cpu) + c, a->a + skipped + c, a->g + skipped + c, a->kind,
                            width, (size_t)(a->tokens - a->first), n < left ? n : left);
}

static void cam_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_token_cam *a = op;
    const size_t width = (size_t)a->width;
    for (int64_t t = first; t < first + count; t++) {
        const size_t at = (size_t)(a->first + t) * width;
        a->out[t] =
            (float)cpu->pieces.cam_token(cam_weights(cpu), a->a + at, a->g + at, a->kind, width);
    }
}

void vx_token_cam_cpu(vx_device *dev, const vx_token_cam *a)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    const int64_t tokens = a->tokens - a->first;
    for (int g = 0; g < a->batch * a->targets && tokens > 0; g++) {
        const vx_token_cam one = vx_token_cam_of(a, g);
        if (a->kind <= VX_CAM_XGRAD)
            vx_cpu_spread(cpu, weights_part, &one, vx_ceil_div(a->width, CHANNELS),
                          LEAST_FLOATS / CHANNELS / tokens + 1);
        vx_cpu_spread(cpu, cam_part, &one, tokens, LEAST_FLOATS / a->width + 1);
    }
}

typedef struct gram {
    vx_cpu *cpu;
    const vx_token_gram *a;
    float *centred;                   /* [P, channels], in the scratch of worker 0 */
    size_t tokens, channel, channels; /* tokens: P; the channels at hand           */
    vx_tiling tiling;
} gram;

static void centre_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const gram *r = op;
    const vx_token_gram *a = r->a;
    const size_t c = (size_t)first * CHANNELS, n = (size_t)count * CHANNELS, left = r->channels - c;
    const size_t at = (size_t)a->first * (size_t)a->width + r->channel + c;
    cpu->pieces.centre(r->centred + c, r->channels, a->a + at, a->g ? a->g + at : NULL,
                       (size_t)a->width, r->tokens, n < left ? n : left);
}

static void gram_tile(void *arg, int i, int worker)
{
    const gram *r = arg;
    const vx_tile t = vx_cpu_tile(&r->tiling, i);
    vx_cpu_gemm(r->cpu, worker,
                &(vx_gemm){.c = r->a->out + (size_t)t.m0 * r->tokens + (size_t)t.n0,
                           .a = r->centred + (size_t)t.m0 * r->channels,
                           .b = r->centred + (size_t)t.n0 * r->channels,
                           .ldc = (int)r->tokens,
                           .lda = (int)r->channels,
                           .ldb = (int)r->channels,
                           .accumulate = r->channel > 0,
                           .alpha = 1,
                           .m = t.m,
                           .n = t.n,
                           .k = (int)r->channels});
}

/* One gradient: as many channels at once as the scratch of one worker holds of all tokens. */
static void token_gram(vx_device *dev, const vx_token_gram *a)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    const vx_cpu_room room = vx_cpu_room_of(cpu, 0);
    const int patches = a->tokens - a->first;
    const size_t width = (size_t)a->width;
    if (patches <= 0)
        return;
    gram r = {.cpu = cpu,
              .a = a,
              .centred = room.strip,
              .tokens = (size_t)patches,
              .tiling = vx_cpu_tiling(cpu, patches, patches, CHANNELS)};
    const size_t fit = room.strip_floats / r.tokens;
    for (; r.channel < width; r.channel += fit) {
        r.channels = width - r.channel < fit ? width - r.channel : fit;
        vx_cpu_spread(cpu, centre_part, &r, vx_ceil_div((int)r.channels, CHANNELS),
                      LEAST_FLOATS / CHANNELS / (int64_t)r.tokens + 1);
        dev->env.parallel(gram_tile, &r, r.tiling.count, dev->env.owner);
    }
}

void vx_token_gram_cpu(vx_device *dev, const vx_token_gram *a)
{
    for (int g = 0; g < a->batch * a->targets; g++) {
        const vx_token_gram one = vx_token_gram_of(a, g);
        token_gram(dev, &one);
    }
}

/* ------------------------------------------------------------------ samples and channels --- */

static void add_weighted_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_add_weighted *a = op;
    cpu->pieces.weighted_sums(a->sum + first, a->x + first, a->weights, a->squared, a->samples,
                              (size_t)a->n, (size_t)count);
}

void vx_add_weighted_cpu(vx_device *dev, const vx_add_weighted *a)
{
    vx_add_weighted group = *a;
    for (int g = 0; g < a->groups; g++, group.sum += a->n, group.x += a->samples * a->n)
        vx_cpu_spread(vx_cpu_of(dev), add_weighted_part, &group, a->n,
                      LEAST_FLOATS / (a->samples + 1) + 1);
}

static void reduce_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_reduce_channels *a = op;
    cpu->pieces.reduced(a->out + first, a->g + first, a->x ? a->x + first : NULL, a->kind,
                        a->channels, (size_t)a->n, (size_t)count);
}

void vx_reduce_channels_cpu(vx_device *dev, const vx_reduce_channels *a)
{
    for (int g = 0; g < a->batch * a->targets; g++) {
        const vx_reduce_channels one = vx_reduce_channels_of(a, g);
        vx_cpu_spread(vx_cpu_of(dev), reduce_part, &one, a->n,
                      LEAST_FLOATS / (a->channels + 1) + 1);
    }
}
