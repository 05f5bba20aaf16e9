/* model/randomise.c: see randomise.h. */
#include "model/randomise.h"

#include <math.h>

#include "base/random.h"
#include "model/members.h"

#define ROWS VX_PANEL /* at once */
#define STREAMS 16    /* of each part */

typedef struct randomiser {
    const vx_weights *w;
    const vx_arch *arch;
    float *staging; /* [floats] */
    size_t floats;
    uint64_t seed, first_stream;
} randomiser;

/* The pointers of vx_weights are const for those who run the model; here they are written. */
static void put(const randomiser *r, const float *dst, size_t count)
{
    r->w->cls->upload(NULL, (void *)(uintptr_t)dst, r->staging, count * sizeof *dst);
}

static void draw(const randomiser *r, uint64_t stream, size_t first, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++)
        r->staging[i] = (float)(bound * (2 * vx_random_uniform(r->seed, stream, first + i) - 1));
}

/* Two heads are the halves of one with twice the inputs, or two of which each counts half. */
static double bound_of(const randomiser *r, const vx_member *m, int k)
{
    const bool head = m->roles[0] == VX_HEAD_W;
    const double inputs = !head                                 ? 1.0 * k
                          : r->arch->pool == VX_POOL_TOKEN_AVG  ? 2.0 * k
                          : r->arch->pool == VX_POOL_TWO_TOKENS ? 4.0 * k
                                                                : 1.0 * k;
    return 1 / sqrt(inputs);
}

static void draw_matrix(const randomiser *r, const vx_member *m, const vx_weight *w)
{
    const uint64_t stream = r->first_stream + (uint64_t)m->stream;
    const double bound = bound_of(r, m, w->k);
    const size_t k = (size_t)w->k;
    for (int row = 0; w->data && row < w->n; row += ROWS) {
        const int rows = w->n - row < ROWS ? w->n - row : ROWS;
        draw(r, stream, (size_t)row * k, (size_t)rows * k, bound);
        r->w->cls->weight_pack(r->w->precision, (void *)(uintptr_t)w->data, r->staging, row, rows,
                               w->n, w->k);
    }
    for (size_t at = 0; w->bias && at < (size_t)w->n;) {
        const size_t left = (size_t)w->n - at, n = left < r->floats ? left : r->floats;
        draw(r, stream + 1, at, n, bound);
        put(r, w->bias + at, n);
        at += n;
    }
}

/* A vector of the model's width: ones, zeros, or random. */
static void draw_vector(const randomiser *r, const vx_member *m, const float *at)
{
    const size_t n = (size_t)r->arch->width;
    for (size_t i = 0; i < n; i++)
        r->staging[i] = m->stream == VX_ONES;
    if (m->stream >= 0)
        draw(r, r->first_stream + (uint64_t)m->stream, 0, n, 1 / sqrt((double)n));
    put(r, at, n);
}

/* vx_visit_fn */
static int randomise(const vx_member *m, void *place, int block, void *arg)
{
    const randomiser *r = arg;
    (void)block;
    if (m->stream == VX_KEPT)
        return VITX_OK;
    if (m->matrix)
        draw_matrix(r, m, place);
    else if (*(const float *const *)place)
        draw_vector(r, m, *(const float *const *)place);
    return VITX_OK;
}

static int randomise_part(randomiser *r, int part)
{
    const int depth = r->arch->depth;
    if (part == 0) {
        VX_TRY(vx_visit_group(r->w, VX_GROUP_BACK, 0, randomise, r));
        return vx_visit_group(r->w, VX_GROUP_POOL, 0, randomise, r);
    }
    if (part <= depth)
        return vx_visit_group(r->w, VX_GROUP_BLOCK, depth - part, randomise, r);
    return vx_visit_group(r->w, VX_GROUP_FRONT, 0, randomise, r);
}

int vx_weights_randomise(vx_weights *weights, const vitx_model *model, int part, int seed)
{
    const vx_arch *a = &model->arch;
    const int inputs[] = {a->width, a->hidden, a->channels * a->patch_height * a->patch_width};
    randomiser r = {
        .w = weights, .arch = a, .seed = (uint64_t)seed, .first_stream = (uint64_t)part * STREAMS};
    for (int i = 0; i < 3; i++)
        if (ROWS * (size_t)inputs[i] > r.floats)
            r.floats = ROWS * (size_t)inputs[i];
    VX_TRY(vx_new(&r.staging, &model->hooks, r.floats, sizeof *r.staging, "the staging buffer"));
    const int status = randomise_part(&r, part);
    vx_release(&model->hooks, r.staging);
    return status;
}
