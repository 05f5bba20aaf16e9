/*
 * kernels/cpu/maps.c: what methods make of gradients, spread over the workers. The arithmetic is
 * that of cpu->pieces (maps_vec.h).
 */
#include "kernels/cpu/cpu.h"

#include <string.h>

#define LEAST_FLOATS 8192 /* of a task, as in spread.c */
#define CHUNK 2048        /* numbers that stay in the first cache while heads are added to them */
#define COLUMNS 64        /* of attention that a task takes at least */
#define CHANNELS 16       /* likewise, of tokens: a vector */

/* ------------------------------------------------------------------ attention's gradient --- */

typedef struct products {
    const vx_cpu *cpu;
    float *out;
    const float *p, *dp;
    vx_product kind;
    int targets;
    size_t first, heads, all; /* heads that are taken; that there are */
    size_t matrix;            /* T*T */
} products;

/* Numbers at..at+n-1 of the matrix of gradient g. */
static void product_chunk(const products *r, size_t g, size_t at, size_t n)
{
    const size_t b = g / (size_t)r->targets;
    float *out = r->out + g * r->matrix + at;
    memset(out, 0, n * sizeof *out);
    for (size_t h = r->first; h < r->first + r->heads; h++)
        r->cpu->pieces.product(out, r->p + (b * r->all + h) * r->matrix + at,
                               r->dp + (g * r->all + h) * r->matrix + at, r->kind, n);
    r->cpu->pieces.scaled_relu(out, out, 1 / (float)r->heads, n);
}

static void product_part(void *arg, int64_t first, int64_t count)
{
    const products *r = arg;
    size_t i = (size_t)first;
    const size_t end = (size_t)(first + count);
    while (i < end) {
        const size_t at = i % r->matrix, left = r->matrix - at;
        size_t n = end - i < left ? end - i : left;
        n = n < CHUNK ? n : CHUNK;
        product_chunk(r, i / r->matrix, at, n);
        i += n;
    }
}

void vx_attn_product_cpu(vx_device *dev, float *out, const float *p, const float *dp,
                         vx_product kind, int head, int batch, int targets, int heads, int tokens)
{
    const products r = {.cpu = vx_cpu_of(dev),
                        .out = out,
                        .p = p,
                        .dp = dp,
                        .kind = kind,
                        .targets = targets,
                        .first = head < 0 ? 0 : (size_t)head,
                        .heads = head < 0 ? (size_t)heads : 1,
                        .all = (size_t)heads,
                        .matrix = (size_t)tokens * (size_t)tokens};
    vx_cpu_spread(r.cpu, product_part, (void *)&r, (int64_t)batch * targets * (int64_t)r.matrix,
                  LEAST_FLOATS / (int64_t)r.heads + 1);
}

typedef struct relu_means {
    const vx_cpu *cpu;
    float *out;
    const float *dp;
    size_t first, heads, all; /* as above */
    size_t tokens, blocks;    /* blocks of COLUMNS in a row */
} relu_means;

static void relu_mean_part(void *arg, int64_t first, int64_t count)
{
    const relu_means *r = arg;
    const size_t t = r->tokens;
    for (size_t i = (size_t)first; i < (size_t)(first + count); i++) {
        const size_t g = i / r->blocks, j = i % r->blocks * COLUMNS;
        const size_t n = t - j < COLUMNS ? t - j : COLUMNS;
        double sums[COLUMNS] = {0};
        r->cpu->pieces.relu_sums(sums, r->dp + (g * r->all + r->first) * t * t + j, t, r->heads * t,
                                 n);
        for (size_t c = 0; c < n; c++)
            r->out[g * t + j + c] = (float)(sums[c] / (double)(r->heads * t));
    }
}

void vx_attn_relu_mean_cpu(vx_device *dev, float *out, const float *dp, int head, int g, int heads,
                           int tokens)
{
    relu_means r = {.cpu = vx_cpu_of(dev),
                    .out = out,
                    .dp = dp,
                    .first = head < 0 ? 0 : (size_t)head,
                    .heads = head < 0 ? (size_t)heads : 1,
                    .all = (size_t)heads,
                    .tokens = (size_t)tokens,
                    .blocks = (size_t)vx_ceil_div(tokens, COLUMNS)};
    vx_cpu_spread(r.cpu, relu_mean_part, &r, (int64_t)g * (int64_t)r.blocks,
                  LEAST_FLOATS / COLUMNS / (int64_t)(r.heads * r.tokens) + 1);
}

/* ------------------------------------------------------------------------------- tokens ---- */

typedef struct cam {
    const vx_cpu *cpu;
    float *out;
    const float *a, *g; /* of the first token that counts */
    double *weights;    /* [D], in the scratch of worker 0 */
    vx_cam kind;
    size_t tokens, width;
} cam;

static void weights_part(void *arg, int64_t first, int64_t count)
{
    const cam *r = arg;
    const size_t c = (size_t)first * CHANNELS, n = (size_t)count * CHANNELS, left = r->width - c;
    r->cpu->pieces.cam_weights(r->weights + c, r->a + c, r->g + c, r->kind, r->width, r->tokens,
                               n < left ? n : left);
}

static void cam_part(void *arg, int64_t first, int64_t count)
{
    const cam *r = arg;
    for (size_t t = (size_t)first; t < (size_t)(first + count); t++)
        r->out[t] = (float)r->cpu->pieces.cam_token(r->weights, r->a + t * r->width,
                                                    r->g + t * r->width, r->kind, r->width);
}

void vx_token_cam_cpu(vx_device *dev, float *out, const float *a, const float *g, vx_cam kind,
                      int first, int tokens, int width)
{
    const size_t skipped = (size_t)first * (size_t)width;
    cam r = {.cpu = vx_cpu_of(dev),
             .out = out,
             .a = a + skipped,
             .g = g + skipped,
             .kind = kind,
             .tokens = (size_t)(tokens - first),
             .width = (size_t)width};
    if (first >= tokens)
        return;
    r.weights = (double *)(void *)vx_cpu_room_of(r.cpu, 0).strip;
    if (kind <= VX_CAM_XGRAD)
        vx_cpu_spread(r.cpu, weights_part, &r, vx_ceil_div(width, CHANNELS),
                      LEAST_FLOATS / CHANNELS / (int64_t)r.tokens + 1);
    vx_cpu_spread(r.cpu, cam_part, &r, (int64_t)r.tokens, LEAST_FLOATS / width + 1);
}

typedef struct gram {
    const vx_cpu *cpu;
    float *out;
    const float *a, *g;
    float *centred;                          /* [P, channels], in the scratch of worker 0 */
    size_t tokens, width, channel, channels; /* tokens: P; the channels at hand */
    vx_tiling tiling;
} gram;

static void centre_part(void *arg, int64_t first, int64_t count)
{
    const gram *r = arg;
    const size_t c = (size_t)first * CHANNELS, n = (size_t)count * CHANNELS, left = r->channels - c,
                 at = r->channel + c;
    r->cpu->pieces.centre(r->centred + c, r->channels, r->a + at, r->g ? r->g + at : NULL, r->width,
                          r->tokens, n < left ? n : left);
}

static void gram_tile(void *arg, int i, int worker)
{
    const gram *r = arg;
    const vx_tile t = vx_cpu_tile(&r->tiling, i);
    vx_cpu_gemm(r->cpu, worker,
                &(vx_gemm){.c = r->out + (size_t)t.m0 * r->tokens + (size_t)t.n0,
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

/* As many channels at once as the scratch of one worker holds of all tokens. */
void vx_token_gram_cpu(vx_device *dev, float *out, const float *a, const float *g, int first,
                       int tokens, int width)
{
    const size_t skipped = (size_t)first * (size_t)width;
    const vx_cpu_room room = vx_cpu_room_of(vx_cpu_of(dev), 0);
    const int patches = tokens - first;
    if (patches <= 0)
        return;
    gram r = {.cpu = vx_cpu_of(dev),
              .out = out,
              .a = a + skipped,
              .g = g ? g + skipped : NULL,
              .centred = room.strip,
              .tokens = (size_t)patches,
              .width = (size_t)width,
              .tiling = vx_cpu_tiling(vx_cpu_of(dev), patches, patches, CHANNELS)};
    const size_t fit = room.strip_floats / r.tokens;
    for (; r.channel < r.width; r.channel += fit) {
        r.channels = r.width - r.channel < fit ? r.width - r.channel : fit;
        vx_cpu_spread(r.cpu, centre_part, &r, vx_ceil_div((int)r.channels, CHANNELS),
                      LEAST_FLOATS / CHANNELS / (int64_t)r.tokens + 1);
        dev->env.parallel(gram_tile, &r, r.tiling.count, dev->env.owner);
    }
}

/* ------------------------------------------------------------------ samples and channels --- */

typedef struct pixels {
    const vx_cpu *cpu;
    float *out;
    const float *x, *g, *weights;
    int count, squared; /* samples or channels */
    vx_reduce kind;
    int64_t n;
} pixels;

static void add_weighted_part(void *arg, int64_t first, int64_t count)
{
    const pixels *r = arg;
    r->cpu->pieces.weighted_sums(r->out + first, r->x + first, r->weights, r->squared, r->count,
                                 (size_t)r->n, (size_t)count);
}

void vx_add_weighted_cpu(vx_device *dev, float *sum, const float *x, const float *weights,
                         int squared, int s, int64_t n)
{
    pixels r = {.cpu = vx_cpu_of(dev),
                .out = sum,
                .x = x,
                .weights = weights,
                .count = s,
                .squared = squared,
                .n = n};
    vx_cpu_spread(r.cpu, add_weighted_part, &r, n, LEAST_FLOATS / (s + 1) + 1);
}

static void reduce_part(void *arg, int64_t first, int64_t count)
{
    const pixels *r = arg;
    r->cpu->pieces.reduced(r->out + first, r->g + first, r->x ? r->x + first : NULL, r->kind,
                           r->count, (size_t)r->n, (size_t)count);
}

void vx_reduce_channels_cpu(vx_device *dev, float *out, const float *g, const float *x,
                            vx_reduce kind, int c, int64_t n)
{
    pixels r = {
        .cpu = vx_cpu_of(dev), .out = out, .g = g, .x = x, .kind = kind, .count = c, .n = n};
    vx_cpu_spread(r.cpu, reduce_part, &r, n, LEAST_FLOATS / (c + 1) + 1);
}
