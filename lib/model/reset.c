/* model/reset.c: see reset.h. */
#include "model/reset.h"

#include <math.h>

#include "base/random.h"

#define ROWS 64    /* chunks are whole panels of any device */
#define STREAMS 16 /* of each part: two a matrix */

typedef struct resetter {
    const vx_weights *w;
    float *staging; /* [floats] */
    size_t floats;
    uint64_t seed, stream;
} resetter;

/* The pointers of vx_weights are const for those who run the model; here they are written. */
static void put(const resetter *r, const float *dst, size_t count)
{
    r->w->cls->upload(NULL, (void *)(uintptr_t)dst, r->staging, count * sizeof *dst);
}

static void draw(const resetter *r, uint64_t stream, size_t first, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++)
        r->staging[i] = (float)(bound * (2 * vx_random_uniform(r->seed, stream, first + i) - 1));
}

static void reset_within(resetter *r, const vx_weight *w, double bound)
{
    const size_t k = (size_t)w->k;
    for (int row = 0; w->data && row < w->n; row += ROWS) {
        const int rows = w->n - row < ROWS ? w->n - row : ROWS;
        draw(r, r->stream, (size_t)row * k, (size_t)rows * k, bound);
        r->w->cls->weight_pack(r->w->precision, (void *)(uintptr_t)w->data, r->staging, row, rows,
                               w->n, w->k);
    }
    for (int at = 0; w->bias && at < w->n;) {
        const size_t left = (size_t)(w->n - at), n = left < r->floats ? left : r->floats;
        draw(r, r->stream + 1, (size_t)at, n, bound);
        put(r, w->bias + at, n);
        at += (int)n;
    }
    r->stream += 2;
}

static void reset_matrix(resetter *r, const vx_weight *w)
{
    reset_within(r, w, 1 / sqrt((double)w->k));
}

/* Two heads are the halves of one with twice the inputs, or two of which each counts half. */
static void reset_heads(resetter *r, const vx_arch *a)
{
    const double inputs = a->pool == VX_POOL_TOKEN_AVG    ? 2.0 * a->width
                          : a->pool == VX_POOL_TWO_TOKENS ? 4.0 * a->width
                                                          : a->width;
    reset_within(r, &r->w->head, 1 / sqrt(inputs));
    reset_within(r, &r->w->head2, 1 / sqrt(inputs));
}

static void reset_norm(const resetter *r, const float *weight, const float *bias, int width)
{
    const float *const at[] = {weight, bias};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < width; i++)
            r->staging[i] = k == 0;
        if (at[k])
            put(r, at[k], (size_t)width);
    }
}

static void reset_pool(resetter *r, int width)
{
    const vx_pool_weights *p = &r->w->pool;
    draw(r, r->stream++, 0, (size_t)width, 1 / sqrt((double)width));
    put(r, p->query, (size_t)width);
    reset_matrix(r, &p->kv);
    reset_matrix(r, &p->proj);
    reset_matrix(r, &p->fc1);
    reset_matrix(r, &p->fc2);
    reset_norm(r, p->norm_w, p->norm_b, width);
}

static void reset_part(resetter *r, const vx_arch *a, int part)
{
    const vx_weights *w = r->w;
    if (part == 0) {
        reset_heads(r, a);
        if (a->pool == VX_POOL_MAP)
            reset_pool(r, a->width);
        reset_norm(r, w->norm_w, w->norm_b, a->width);
        reset_norm(r, w->fc_norm_w, w->fc_norm_b, a->width);
    } else if (part <= a->depth) {
        const vx_block_weights *b = &w->blocks[a->depth - part];
        reset_matrix(r, &b->qkv);
        reset_matrix(r, &b->proj);
        reset_matrix(r, &b->fc1);
        reset_matrix(r, &b->fc2);
        reset_norm(r, b->norm1_w, b->norm1_b, a->width);
        reset_norm(r, b->norm2_w, b->norm2_b, a->width);
    } else {
        reset_matrix(r, &w->patch);
        reset_norm(r, w->norm_pre_w, w->norm_pre_b, a->width);
    }
}

int vx_weights_reset(vx_weights *weights, const vitx_model *model, int part, int seed)
{
    const vx_arch *a = &model->arch;
    const int inputs[] = {a->width, a->hidden, a->channels * a->patch_height * a->patch_width};
    resetter r = {.w = weights, .seed = (uint64_t)seed, .stream = (uint64_t)part * STREAMS};
    for (int i = 0; i < 3; i++)
        if (ROWS * (size_t)inputs[i] > r.floats)
            r.floats = ROWS * (size_t)inputs[i];
    VX_TRY(vx_new(&r.staging, &model->hooks, r.floats, sizeof *r.staging, "the staging buffer"));
    reset_part(&r, a, part);
    vx_release(&model->hooks, r.staging);
    return VITX_OK;
}
