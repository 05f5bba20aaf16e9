/* model/randomise.c: see randomise.h. */
#include "model/randomise.h"

#include <math.h>

#include "base/random.h"
#include "model/members.h"

#define ROWS 64    /* at once, or a panel */
#define STREAMS 16 /* of each part */

typedef struct randomiser {
    const vx_weights *w;
    const vx_arch *arch;
    float *staging; /* [floats] */
    size_t floats;
    uint64_t seed, first_stream;
} randomiser;

static int put(const randomiser *r, const vx_far *dst, size_t count)
{
    return vx_weights_write(r->w, dst, r->staging, count);
}

/* Rows of a matrix that are packed at once: whole panels. */
static int rows_of(const vx_weight *w)
{
    const int panel = w->packing->panel;
    return panel < ROWS ? ROWS / panel * panel : panel;
}

/* count numbers of a stream, from its number `first` on. */
static void draw(const randomiser *r, float *out, uint64_t stream, size_t first, size_t count,
                 double bound)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(bound * (2 * vx_random_uniform(r->seed, stream, first + i) - 1));
}

/* Rows of a matrix. A head that reads two vectors is drawn as two, the second two streams on. */
static void draw_rows(const randomiser *r, const vx_member *m, const vx_weight *w, int first,
                      int rows, double bound)
{
    const bool two = m->roles[0] == VX_HEAD_W && vx_arch_two_vectors(r->arch);
    const size_t parts = two ? 2 : 1, d = (size_t)w->k / parts;
    const uint64_t stream = r->first_stream + (uint64_t)m->stream;
    for (size_t i = 0; i < (size_t)rows * parts; i++)
        draw(r, r->staging + i * d, stream + 2 * (i % parts), ((size_t)first + i / parts) * d, d,
             bound);
}

/* If a head is made of two (model/fill_head.c), each of them counts half. */
static double bound_of(const randomiser *r, const vx_member *m, int k)
{
    const bool head = m->roles[0] == VX_HEAD_W;
    const double inputs = head && r->arch->pool == VX_POOL_TWO_TOKENS ? 2.0 * k : 1.0 * k;
    return 1 / sqrt(inputs);
}

static int draw_matrix(const randomiser *r, const vx_member *m, const vx_weight *w, int block)
{
    const double bound = bound_of(r, m, w->k);
    const int step = rows_of(w);
    for (size_t at = 0; w->bias && at < (size_t)w->n;) {
        const size_t left = (size_t)w->n - at, n = left < r->floats ? left : r->floats;
        draw(r, r->staging, r->first_stream + (uint64_t)m->stream + 1, at, n, bound);
        VX_TRY(put(r, w->bias + at, n));
        at += n;
    }
    VX_TRY(vx_weights_begin(r->w, w, vx_member_gamma(r->w, m, block)));
    for (int row = 0; row < w->n; row += step) {
        const int rows = w->n - row < step ? w->n - row : step;
        draw_rows(r, m, w, row, rows, bound);
        VX_TRY(vx_weights_pack(r->w, w, r->staging, row, rows));
    }
    return VITX_OK;
}

/* The elements of a vector. */
static size_t size_of(const randomiser *r, const vx_member *m)
{
    int64_t n, k;
    vx_member_size(&n, &k, m, r->arch);
    return (size_t)(n * k);
}

/* A vector: ones, zeros, or random. */
static int draw_vector(const randomiser *r, const vx_member *m, const vx_far *at)
{
    const size_t n = size_of(r, m);
    for (size_t i = 0; i < n; i++)
        r->staging[i] = m->stream == VX_ONES;
    if (m->stream >= 0)
        draw(r, r->staging, r->first_stream + (uint64_t)m->stream, 0, n, 1 / sqrt((double)n));
    return put(r, at, n);
}

/* vx_visit_fn: room for the member's chunks. */
static int grow_staging(const vx_member *m, void *place, int block, void *arg)
{
    randomiser *r = arg;
    const vx_weight *w = place;
    size_t floats = 0;
    (void)block;
    if (!m->matrix && m->stream != VX_KEPT)
        floats = size_of(r, m);
    else if (m->matrix && w->data)
        floats = (size_t)rows_of(w) * (size_t)w->k;
    r->floats = floats > r->floats ? floats : r->floats;
    return VITX_OK;
}

/* vx_visit_fn */
static int randomise(const vx_member *m, void *place, int block, void *arg)
{
    const randomiser *r = arg;
    const float *const *vector = place;
    const vx_weight *w = place;
    if (m->stream == VX_KEPT)
        return VITX_OK;
    if (m->matrix)
        return w->data ? draw_matrix(r, m, w, block) : VITX_OK;
    return *vector ? draw_vector(r, m, *vector) : VITX_OK;
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
    randomiser r = {.w = weights,
                    .arch = a,
                    .floats = (size_t)a->width,
                    .seed = (uint64_t)seed,
                    .first_stream = (uint64_t)part * STREAMS};
    vx_visit_all(weights, a->depth, grow_staging, &r); /* which cannot fail */
    VX_TRY(vx_new(&r.staging, &model->hooks, r.floats, sizeof *r.staging, "the staging buffer"));
    const int status = randomise_part(&r, part);
    vx_release(&model->hooks, r.staging);
    return status;
}
