/* model/fill_head.c: what pools the tokens and answers: the query, keys and values of a pooling
 * head, and the head. */
#include <string.h>

#include "model/fill_parts.h"

/* The probe as the query's projection leaves it, if there is one; the same for all pictures. */
int vx_fill_query(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_tensor *const *model = f->found->model;
    const vx_tensor *w = model[VX_POOL_QKV_W] ? model[VX_POOL_QKV_W] : model[VX_POOL_Q_W];
    const vx_tensor *b = model[VX_POOL_QKV_W] ? model[VX_POOL_QKV_B] : model[VX_POOL_Q_B];
    const size_t d = (size_t)f->arch->width;
    float *const probe = f->staging, *const row = probe + d, *const query = row + d;
    (void)block;
    VX_TRY(vx_tensor_read_f32(model[m->roles[0]], probe, 0, d));
    if (!w)
        return vx_fill_put(f, vx_fill_vector_at(place), probe, d);
    for (size_t i = 0; i < d; i++) {
        double sum = 0;
        VX_TRY(vx_tensor_read_f32(w, row, i * d, d));
        for (size_t j = 0; j < d; j++)
            sum += (double)row[j] * probe[j];
        query[i] = (float)sum;
    }
    if (b)
        VX_TRY(vx_tensor_read_f32(b, row, 0, d));
    for (size_t i = 0; b && i < d; i++)
        query[i] += row[i];
    return vx_fill_put(f, vx_fill_vector_at(place), query, d);
}

/* Keys and values: one tensor, which may have the query's rows before them, or two. */
int vx_fill_kv(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_weight *kv = place;
    const vx_tensor *const *model = f->found->model;
    const bool one = model[VX_POOL_QKV_W] != NULL;
    const int d = kv->k, skip = one ? d : 0;
    const vx_tensor *bias = model[one ? VX_POOL_QKV_B : VX_POOL_KV_B];
    const vx_fill_target t = vx_fill_target_of(f, m, place, block);
    if (model[VX_POOL_K_W]) {
        VX_TRY(vx_fill_vector(f, kv->bias, model[VX_POOL_K_B]));
        if (kv->bias)
            VX_TRY(vx_fill_vector(f, kv->bias + d, model[VX_POOL_V_B]));
        return vx_fill_pack(f, t,
                            &(vx_fill_source){.read = vx_fill_stack,
                                              .of = {model[VX_POOL_K_W], model[VX_POOL_V_W]},
                                              .rows_of = d});
    }
    if (bias)
        VX_TRY(vx_fill_from(f, kv->bias, bias, (uint64_t)skip));
    return vx_fill_pack(f, t,
                        &(vx_fill_source){.read = vx_fill_stack,
                                          .of = {model[one ? VX_POOL_QKV_W : VX_POOL_KV_W]},
                                          .skip = skip});
}

static int read_turned(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    for (int i = 0; i < rows; i++)
        for (size_t j = 0; j < k; j++)
            out[(size_t)i * k + j] = s->turned[j * s->stride + (size_t)(first + i)];
    return VITX_OK;
}

/* A matrix that the file holds as [k,n]. It is read whole: its rows lie across it. */
static int fill_turned(const vx_filler *f, vx_fill_target to, const vx_tensor *t)
{
    const size_t n = (size_t)to.w->n, k = (size_t)to.w->k;
    float *whole;
    VX_TRY(vx_new(&whole, f->hooks, n, k * sizeof *whole, "a matrix to turn"));
    int status = vx_tensor_read_f32(t, whole, 0, n * k);
    if (status == VITX_OK)
        status = vx_fill_pack(f, to,
                              &(vx_fill_source){.read = read_turned, .turned = whole, .stride = n});
    vx_release(f->hooks, whole);
    return status;
}

/* (b1 + b2) / 2 */
static int fill_mean_bias(const vx_filler *f, const vx_weight *w, const vx_tensor *one,
                          const vx_tensor *other)
{
    const size_t half = f->staging_size / 2, count = (size_t)w->n;
    for (size_t at = 0; at < count; at += half) {
        const size_t n = count - at < half ? count - at : half;
        VX_TRY(vx_tensor_read_f32(one, f->staging, at, n));
        VX_TRY(vx_tensor_read_f32(other, f->staging + half, at, n));
        for (size_t i = 0; i < n; i++)
            f->staging[i] = 0.5f * f->staging[i] + 0.5f * f->staging[half + i];
        VX_TRY(vx_fill_put(f, w->bias + at, f->staging, n));
    }
    return VITX_OK;
}

/* Rows of two matrices side by side, half of each: the mean of two heads' answers is the answer of
 * one head to both vectors. */
static int read_halves(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    const size_t d = k / 2;
    for (int i = 0; i < rows; i++)
        for (size_t half = 0; half < 2; half++)
            VX_TRY(vx_tensor_read_f32(s->of[half], out + (size_t)i * k + half * d,
                                      (uint64_t)(first + i) * d, d));
    for (size_t i = 0; i < (size_t)rows * k; i++)
        out[i] *= 0.5f;
    return VITX_OK;
}

/* The product of two matrices, w [n,m] in [m,k], for fill_product. */
typedef struct product {
    const vx_tensor *w, *bias, *in_bias;
    size_t m;
    float *in;   /* [m,k] */
    float *row;  /* [m]: of w */
    float *add;  /* [m]: in_bias, or 0 */
    float *made; /* [k,n]: as read_turned has it */
    float *sums; /* [n]: the product's bias */
    double *one; /* [k] */
} product;

static int multiply_row(const product *p, size_t i, size_t n, size_t k)
{
    float bias = 0;
    VX_TRY(vx_tensor_read_f32(p->w, p->row, i * p->m, p->m));
    if (p->bias)
        VX_TRY(vx_tensor_read_f32(p->bias, &bias, i, 1));
    double sum = (double)bias;
    memset(p->one, 0, k * sizeof *p->one);
    for (size_t j = 0; j < p->m; j++) {
        const double w = (double)p->row[j];
        sum += w * (double)p->add[j];
        for (size_t c = 0; c < k; c++)
            p->one[c] += w * (double)p->in[j * k + c];
    }
    for (size_t c = 0; c < k; c++)
        p->made[c * n + i] = (float)p->one[c];
    p->sums[i] = (float)sum;
    return VITX_OK;
}

static int fill_multiplied(const vx_filler *f, vx_fill_target t, const product *p)
{
    const size_t n = (size_t)t.w->n, k = (size_t)t.w->k;
    for (size_t i = 0; i < n; i++)
        VX_TRY(multiply_row(p, i, n, k));
    if (t.w->bias)
        VX_TRY(vx_fill_put(f, t.w->bias, p->sums, n));
    return vx_fill_pack(f, t,
                        &(vx_fill_source){.read = read_turned, .turned = p->made, .stride = n});
}

/* A head that reads what another matrix makes of the pooled vector: one matrix, in double. */
static int fill_product(const vx_filler *f, vx_fill_target t)
{
    const vx_tensor *const *model = f->found->model;
    const vx_tensor *in = model[VX_HEAD_IN_W];
    const size_t n = (size_t)t.w->n, k = (size_t)t.w->k;
    product p = {.w = model[VX_HEAD_W],
                 .bias = model[VX_HEAD_B],
                 .in_bias = model[VX_HEAD_IN_B],
                 .m = (size_t)in->shape[0]};
    VX_TRY(vx_new(&p.one, f->hooks, k, sizeof *p.one, "a row of a product"));
    int status =
        vx_new(&p.in, f->hooks, p.m + n, (k + 2) * sizeof *p.in, "two matrices to multiply");
    if (status == VITX_OK) {
        p.row = p.in + p.m * k;
        p.add = p.row + p.m;
        p.made = p.add + p.m;
        p.sums = p.made + n * k;
        status = vx_tensor_read_f32(in, p.in, 0, p.m * k);
    }
    if (status == VITX_OK && p.in_bias)
        status = vx_tensor_read_f32(p.in_bias, p.add, 0, p.m);
    if (status == VITX_OK)
        status = fill_multiplied(f, t, &p);
    vx_release(f->hooks, p.in);
    vx_release(f->hooks, p.one);
    return status;
}

/* One head, which may lie the other way, or two, one for each token. */
int vx_fill_head(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_fill_target t = vx_fill_target_of(f, m, place, block);
    const vx_tensor *const *model = f->found->model;
    if (model[VX_HEAD_T])
        return fill_turned(f, t, model[VX_HEAD_T]);
    if (model[VX_HEAD_IN_W])
        return fill_product(f, t);
    if (!model[VX_HEAD2_W])
        return vx_fill_matrix(f, t, model[VX_HEAD_W], model[VX_HEAD_B]);
    VX_TRY(fill_mean_bias(f, t.w, model[VX_HEAD_B], model[VX_HEAD2_B]));
    return vx_fill_pack(
        f, t, &(vx_fill_source){.read = read_halves, .of = {model[VX_HEAD_W], model[VX_HEAD2_W]}});
}
