/*
 * model/fill.c: see fill.h. Tensors are read in chunks of rows through a small buffer that stays in
 * the cache, checked to be finite, and packed by the device. Members that are no single tensor:
 * those of blocks are in fill_block.c, those of the head in fill_head.c, tokens here.
 */
#include <limits.h>
#include <math.h>

#include "model/fill_parts.h"

/* -------------------------------------------------------------------------- vectors ------- */

int vx_fill_put(const vx_filler *f, const vx_far *dst, const float *values, size_t count)
{
    return vx_weights_write(f->w, dst, values, count);
}

int vx_fill_from(const vx_filler *f, const vx_far *dst, const vx_tensor *t, uint64_t first)
{
    for (uint64_t at = first; at < t->count;) {
        const uint64_t left = t->count - at, n = left < f->staging_size ? left : f->staging_size;
        VX_TRY(vx_tensor_read_f32(t, f->staging, at, n));
        VX_TRY(vx_fill_put(f, dst + (at - first), f->staging, (size_t)n));
        at += n;
    }
    return VITX_OK;
}

int vx_fill_vector(const vx_filler *f, const vx_far *dst, const vx_tensor *t)
{
    return t ? vx_fill_from(f, dst, t, 0) : VITX_OK;
}

/* -------------------------------------------------------------------------- matrices ------ */

int vx_fill_stack(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    while (rows > 0) {
        const int i = s->of[1] ? first / s->rows_of : 0, at = first - i * s->rows_of;
        const int left = s->of[1] ? s->rows_of - at : rows, n = left < rows ? left : rows;
        VX_TRY(vx_tensor_read_f32(s->of[i], out, (uint64_t)(s->skip + at) * k, (uint64_t)n * k));
        out += (size_t)n * k;
        first += n;
        rows -= n;
    }
    return VITX_OK;
}

vx_fill_target vx_fill_target_of(const vx_filler *f, const vx_member *m, const void *place,
                                 int block)
{
    return (vx_fill_target){place, vx_member_gamma(f->w, m, block)};
}

int vx_fill_pack(const vx_filler *f, vx_fill_target t, const vx_fill_source *s)
{
    const vx_weight *w = t.w;
    const int panel = w->packing->panel;
    const size_t k = (size_t)w->k, fit = f->staging_size / k;
    const int step =
        fit < (size_t)panel ? w->n : (int)(fit < INT_MAX ? fit : INT_MAX) / panel * panel;
    VX_TRY(vx_weights_begin(f->w, w, t.gamma));
    for (int r = 0; r < w->n; r += step) {
        const int rows = w->n - r < step ? w->n - r : step;
        VX_TRY(s->read(s, f->staging, r, rows, k));
        VX_TRY(vx_weights_pack(f->w, w, f->staging, r, rows));
    }
    return VITX_OK;
}

int vx_fill_matrix(const vx_filler *f, vx_fill_target t, const vx_tensor *weight,
                   const vx_tensor *bias)
{
    VX_TRY(vx_fill_vector(f, t.w->bias, bias));
    return vx_fill_pack(f, t, &(vx_fill_source){.read = vx_fill_stack, .of = {weight}});
}

double vx_fill_lambda(int block)
{
    return 0.8 - 0.6 * exp(-0.3 * block);
}

/* What is behind differential attention is multiplied by 1 - 0.8 + 0.6 exp(-0.3 block). */
static int fill_scaled(const vx_filler *f, const vx_far *dst, const vx_tensor *t, int block)
{
    VX_TRY(vx_tensor_read_f32(t, f->staging, 0, t->count));
    for (uint64_t i = 0; i < t->count; i++)
        f->staging[i] *= (float)(1 - vx_fill_lambda(block));
    return vx_fill_put(f, dst, f->staging, (size_t)t->count);
}

/* The norms of twins are in the matrices behind them. */
static int fill_same(const vx_filler *f, const vx_far *dst, float value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f->staging[i] = value;
    return vx_fill_put(f, dst, f->staging, n);
}

int vx_fill(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_tensor *t = vx_found_at(f->found, m->roles[0], block);
    if (m->matrix ? !((const vx_weight *)place)->data : !vx_fill_vector_at(place))
        return VITX_OK; /* the model has none */
    if (m->fill)
        return m->fill(f, m, place, block);
    if (m->roles[0] == VX_ATTN_NORM_W && f->arch->differential)
        return fill_scaled(f, vx_fill_vector_at(place), t, block);
    if (f->arch->twins && m->group == VX_GROUP_BLOCK && m->stream < VX_KEPT)
        return fill_same(f, vx_fill_vector_at(place), m->stream == VX_ONES, (size_t)f->arch->width);
    if (!m->matrix)
        return vx_fill_vector(f, vx_fill_vector_at(place), t);
    return vx_fill_matrix(f, vx_fill_target_of(f, m, place, block), t,
                          vx_found_at(f->found, m->biases[0], block));
}

/* -------------------------------------------------------------------------- tokens -------- */

/* The prefix tokens, each with its row of the position embeddings, where there is one for it. */
int vx_fill_prefix(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const size_t d = (size_t)f->arch->width;
    const vx_tensor *pos = f->found->model[VX_POSITIONS];
    float *const token = f->staging, *const row = f->staging + d;
    size_t p = 0;
    (void)block;
    for (const vx_role *role = m->roles; *role; role++) {
        const vx_tensor *tokens = f->found->model[*role];
        for (uint64_t at = 0; tokens && at < tokens->count; at += d, p++) {
            VX_TRY(vx_tensor_read_f32(tokens, token, at, d));
            if (p < (size_t)f->arch->prefix_pos)
                VX_TRY(vx_tensor_read_f32(pos, row, p * d, d));
            for (size_t j = 0; p < (size_t)f->arch->prefix_pos && j < d; j++)
                token[j] += row[j];
            VX_TRY(vx_fill_put(f, vx_fill_vector_at(place) + p * d, token, d));
        }
    }
    return VITX_OK;
}

/* The patches' rows of the position embeddings. */
int vx_fill_pos(const vx_filler *f, const vx_member *m, void *place, int block)
{
    (void)m;
    (void)block;
    return vx_fill_from(f, vx_fill_vector_at(place), f->found->model[VX_POSITIONS],
                        (uint64_t)f->arch->prefix_pos * (uint64_t)f->arch->width);
}

int vx_fill_frequencies(const vx_filler *f, const vx_member *m, void *place, int block)
{
    (void)block;
    return vx_fill_vector(f, vx_fill_vector_at(place), f->found->model[m->roles[0]]);
}
