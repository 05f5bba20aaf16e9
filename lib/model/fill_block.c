/* model/fill_block.c: the members of a block that are no single tensor. */
#include <math.h>
#include <string.h>

#include "model/fill_parts.h"

/* -------------------------------------------------------------------------- rows ---------- */

/* Columns of a tensor. */
static int read_columns(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    for (int i = first; i < first + rows; i++, out += k)
        VX_TRY(vx_tensor_read_f32(s->of[0], out, (uint64_t)i * s->stride + (uint64_t)s->skip, k));
    return VITX_OK;
}

/* The tensor's row that is row `at` of queries, keys or values (part 0, 1, 2), and what it is
 * multiplied by; -1: there is none, it is 0. */
static int64_t row_of(float *factor, const vx_fill_source *s, int part, int at, int64_t rows)
{
    const int e = s->arch->head_width, half = s->arch->heads / 2, head = at / e, within = at % e;
    const int of = head % half, queries = vx_arch_query_width(s->arch);
    *factor = 1;
    if (!s->arch->differential) /* a head of keys and values may serve several of queries */
        return head / (s->arch->heads / (rows / e)) * e + within;
    if (part < 2)
        return within < queries ? (int64_t)(2 * of + head / half) * queries + within : -1;
    *factor = head < half ? 1 : -s->lambda;
    return (int64_t)of * e + within;
}

/* Rows of queries, keys and values whose heads do not lie in the file as they are run. */
static int read_heads(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    for (int i = first; i < first + rows; i++, out += k) {
        const int part = i / s->rows_of;
        const vx_tensor *t = s->of[s->of[1] ? part : 0];
        const int64_t before = s->of[1] ? 0 : s->skip + (int64_t)part * s->arch->width;
        float factor;
        const int64_t row =
            row_of(&factor, s, part, i % s->rows_of, s->of[1] ? t->shape[0] : s->arch->width);
        if (row < 0)
            memset(out, 0, k * sizeof *out);
        else
            VX_TRY(vx_tensor_read_f32(t, out, (uint64_t)(before + row) * k, k));
        for (size_t j = 0; factor != 1 && j < k; j++)
            out[j] *= factor;
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- members ------- */

/* exp(q1 k1) - exp(q2 k2) + 0.8 - 0.6 exp(-0.3 block) (Ye et al. 2024, arXiv:2410.05258, eq. 2) */
static int read_lambda(float *out, const vx_filler *f, int block)
{
    const vx_role roles[] = {VX_LAMBDA_Q1, VX_LAMBDA_K1, VX_LAMBDA_Q2, VX_LAMBDA_K2};
    const size_t n = (size_t)vx_arch_query_width(f->arch);
    double sum[2] = {0};
    for (size_t i = 0; i < 4; i++)
        VX_TRY(
            vx_tensor_read_f32(vx_found_at(f->found, roles[i], block), f->staging + i * n, 0, n));
    for (size_t i = 0; i < 2 * n; i++)
        sum[i / n] += (double)f->staging[i / n * n + i] * (double)f->staging[i / n * n + n + i];
    *out = (float)(exp(sum[0]) - exp(sum[1]) + vx_fill_lambda(block));
    return VITX_OK;
}

/* Where a row of twins' qkv or fc1 comes from: each part of rows_of rows is the first twin's, then
 * the second's. */
static uint64_t row_of_twin(int *twin, const vx_fill_source *s, int row)
{
    const int half = s->rows_of / 2, at = row % s->rows_of;
    *twin = at / half;
    return (uint64_t)(row / s->rows_of) * (uint64_t)half + (uint64_t)(at % half);
}

/* Its columns are multiplied by the weight of its norm; `turned` holds both [2, k]. */
static int read_twins(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    for (int i = first, twin; i < first + rows; i++, out += k) {
        const uint64_t row = row_of_twin(&twin, s, i);
        VX_TRY(vx_tensor_read_f32(s->of[twin], out, row * k, k));
        for (size_t j = 0; j < k; j++)
            out[j] *= s->turned[(size_t)twin * k + j];
    }
    return VITX_OK;
}

/* Bias + what the matrix makes of the norm's bias, for row `row`. */
static int read_twin_bias(float *out, const vx_filler *f, const vx_fill_source *s, int row,
                          const vx_tensor *const *biases, const float *norms)
{
    const size_t k = (size_t)f->arch->width;
    int twin;
    const uint64_t at = row_of_twin(&twin, s, row);
    float bias = 0;
    if (biases[twin])
        VX_TRY(vx_tensor_read_f32(biases[twin], &bias, at, 1));
    VX_TRY(vx_tensor_read_f32(s->of[twin], f->staging, at * k, k));
    double sum = (double)bias;
    for (size_t j = 0; j < k; j++)
        sum += (double)f->staging[j] * (double)norms[(size_t)twin * k + j];
    *out = (float)sum;
    return VITX_OK;
}

/* roles: matrix, bias, weight and bias of the norm, of the first and then of the second. rows_of:
 * the rows that one part has of both. */
static int fill_twins(const vx_filler *f, vx_fill_target t, const vx_role *roles, int rows_of,
                      int block)
{
    const size_t d = (size_t)f->arch->width;
    const vx_tensor *from[8];
    float *norms, *bias;
    for (int i = 0; i < 8; i++)
        from[i] = vx_found_at(f->found, roles[i], block);
    VX_TRY(vx_new(&norms, f->hooks, 4 * d + (size_t)t.w->n, sizeof *norms, "norms"));
    bias = norms + 4 * d;
    const vx_fill_source s = {
        .read = read_twins, .of = {from[0], from[4]}, .rows_of = rows_of, .turned = norms};
    int status = VITX_OK;
    for (size_t i = 0; i < 4 && status == VITX_OK; i++)
        status = vx_tensor_read_f32(from[i / 2 + 2 + i % 2 * 4], norms + i * d, 0, d);
    for (int i = 0; i < t.w->n && status == VITX_OK; i++)
        status = read_twin_bias(bias + i, f, &s, i, (const vx_tensor *const[]){from[1], from[5]},
                                norms + 2 * d);
    if (status == VITX_OK)
        status = vx_fill_put(f, t.w->bias, bias, (size_t)t.w->n);
    if (status == VITX_OK)
        status = vx_fill_pack(f, t, &s);
    vx_release(f->hooks, norms);
    return status;
}

/* One tensor [3D, D], which may stand behind the rows of fc1, or three one below the other. The
 * bias is the same; its part of the keys may be left out. */
int vx_fill_qkv(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_weight *w = place;
    const vx_arch *a = f->arch;
    const int each = w->n / 3;
    static const vx_role twins[] = {VX_QKV_W,      VX_QKV_B,      VX_NORM1_W,      VX_NORM1_B,
                                    VX_TWIN_QKV_W, VX_TWIN_QKV_B, VX_TWIN_NORM1_W, VX_TWIN_NORM1_B};
    if (a->twins)
        return fill_twins(f, vx_fill_target_of(f, m, place, block), twins, each, block);
    const vx_tensor *k = vx_found_at(f->found, VX_K_W, block);
    const vx_tensor *bias = vx_found_at(f->found, a->parallel ? VX_IN_B : VX_QKV_B, block);
    const vx_role matrices[] = {VX_Q_W, VX_K_W, VX_V_W}, vectors[] = {VX_Q_B, VX_K_B, VX_V_B};
    const bool mapped = a->differential || (k && k->shape[0] < each);
    vx_fill_source rows = {.read = mapped ? read_heads : vx_fill_stack,
                           .of = {vx_found_at(f->found, a->parallel ? VX_IN_W : VX_QKV_W, block)},
                           .rows_of = each,
                           .skip = a->parallel ? vx_arch_fc1(a) : 0,
                           .arch = a};
    if (a->differential)
        VX_TRY(read_lambda(&rows.lambda, f, block));
    vx_fill_source biases = rows;
    biases.of[0] = bias;
    for (int i = 0; i < 3; i++) {
        if (k)
            rows.of[i] = vx_found_at(f->found, matrices[i], block);
        if (!bias)
            biases.of[i] = vx_found_at(f->found, vectors[i], block);
    }
    const bool no_keys = (!bias && !biases.of[1]) || a->masked_keys;
    if (!bias && !biases.of[1]) /* three there are, nevertheless */
        biases.of[1] = biases.of[0];
    for (int i = 0; i < 3 && w->bias; i++) {
        if (i == 1 && no_keys)
            memset(f->staging, 0, (size_t)each * sizeof *f->staging);
        else
            VX_TRY(biases.read(&biases, f->staging, i * each, each, 1));
        VX_TRY(vx_fill_put(f, w->bias + (ptrdiff_t)i * each, f->staging, (size_t)each));
    }
    return vx_fill_pack(f, vx_fill_target_of(f, m, place, block), &rows);
}

/* sign(d) ln(1 + |d|) */
static double way_of(int d)
{
    return d < 0 ? -log(1.0 - d) : log(1.0 + d);
}

/* What a perceptron makes of the logarithms of rows and columns from key to query: table [ways,H].
 * timm: layers/pos_embed_rel.py, RelPosMlp of mode cr. */
static int make_ways(const vx_filler *f, float *table, int block)
{
    const vx_tensor *t[] = {
        vx_found_at(f->found, VX_WAY_FC1_W, block), vx_found_at(f->found, VX_WAY_FC1_B, block),
        vx_found_at(f->found, VX_WAY_FC2_W, block), vx_found_at(f->found, VX_WAY_FC2_B, block)};
    const size_t n = (size_t)t[0]->shape[0], heads = (size_t)f->arch->heads;
    const int rows = f->arch->pos_height, columns = f->arch->pos_width;
    float *w, *part[4];
    VX_TRY(vx_new(&w, f->hooks, 3 * n + n * heads + heads, sizeof *w, "relative positions"));
    int status = VITX_OK;
    size_t at = 0;
    for (int i = 0; i < 4 && status == VITX_OK; i++) {
        part[i] = w + at;
        at += i == 0 ? 2 * n : i == 1 ? n : n * heads;
        status = t[i] ? vx_tensor_read_f32(t[i], part[i], 0, t[i]->count) : VITX_OK;
    }
    for (int y = 1 - rows; y < rows && status == VITX_OK; y++)
        for (int x = 1 - columns; x < columns; x++)
            for (size_t h = 0; h < heads; h++, table++) {
                double sum = (double)part[3][h];
                for (size_t i = 0; i < n; i++) {
                    const double v = part[0][2 * i] * way_of(y) + part[0][2 * i + 1] * way_of(x) +
                                     (double)part[1][i];
                    sum += v > 0 ? v * part[2][h * n + i] : 0;
                }
                *table = (float)sum;
            }
    vx_release(f->hooks, w);
    return status;
}

/* A file has a row for each way that a query lies from a key, and a column for each head. Here a
 * head's numbers lie together, in the order of the key's way from the query. */
int vx_relative_read(float *out, const vx_filler *f, int block)
{
    const vx_tensor *t = vx_found_at(f->found, VX_RELATIVE, block);
    const size_t heads = (size_t)f->arch->heads;
    const size_t all = vx_relative_count(f->arch->pos_height, f->arch->pos_width), ways = all - 3;
    float *table; /* 0: a file without prefix tokens has no last three */
    VX_TRY(vx_new(&table, f->hooks, heads * all, sizeof *table, "relative positions"));
    const int status = t ? vx_tensor_read_f32(t, table, 0, t->count) : make_ways(f, table, block);
    for (size_t i = 0; i < heads * all; i++) {
        const size_t at = i % all;
        out[i] = table[(at < ways ? ways - 1 - at : at) * heads + i / all];
    }
    vx_release(f->hooks, table);
    return status;
}

int vx_fill_relative(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const size_t all =
        (size_t)f->arch->heads * vx_relative_count(f->arch->pos_height, f->arch->pos_width);
    float *table;
    (void)m;
    VX_TRY(vx_new(&table, f->hooks, all, sizeof *table, "relative positions"));
    int status = vx_relative_read(table, f, block);
    if (status == VITX_OK)
        status = vx_fill_put(f, vx_fill_vector_at(place), table, all);
    vx_release(f->hooks, table);
    return status;
}

/* One tensor, or the gate's and the value's one below the other. */
int vx_fill_fc1(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_weight *w = place;
    const vx_tensor *whole = vx_found_at(f->found, VX_FC1_W, block);
    const vx_fill_target t = vx_fill_target_of(f, m, place, block);
    static const vx_role twins[] = {VX_FC1_W,      VX_FC1_B,      VX_NORM2_W,      VX_NORM2_B,
                                    VX_TWIN_FC1_W, VX_TWIN_FC1_B, VX_TWIN_NORM2_W, VX_TWIN_NORM2_B};
    if (f->arch->twins)
        return fill_twins(f, t, twins, w->n, block);
    if (whole)
        return vx_fill_matrix(f, t, whole, vx_found_at(f->found, VX_FC1_B, block));
    if (f->arch->parallel) { /* the first rows of a matrix that goes on with queries */
        const vx_fill_source rows = {.read = vx_fill_stack,
                                     .of = {vx_found_at(f->found, VX_IN_W, block)}},
                             biases = {.read = vx_fill_stack,
                                       .of = {vx_found_at(f->found, VX_IN_B, block)}};
        VX_TRY(vx_fill_vector(f, w->bias, vx_found_at(f->found, VX_FC1_B, block)));
        if (biases.of[0]) {
            VX_TRY(vx_fill_stack(&biases, f->staging, 0, w->n, 1));
            VX_TRY(vx_fill_put(f, w->bias, f->staging, (size_t)w->n));
        }
        return vx_fill_pack(f, t, &rows);
    }
    VX_TRY(vx_fill_vector(f, w->bias, vx_found_at(f->found, VX_GATE_B, block)));
    if (w->bias)
        VX_TRY(vx_fill_vector(f, w->bias + w->n / 2, vx_found_at(f->found, VX_VALUE_B, block)));
    return vx_fill_pack(f, t,
                        &(vx_fill_source){.read = vx_fill_stack,
                                          .of = {vx_found_at(f->found, VX_GATE_W, block),
                                                 vx_found_at(f->found, VX_VALUE_W, block)},
                                          .rows_of = w->n / 2});
}

/* A block's matrix that has a tensor of its own, or columns of the one that parallel blocks may
 * have. */
static int fill_output(const vx_filler *f, const vx_member *m, void *place, int block, int skip)
{
    const vx_tensor *whole = vx_found_at(f->found, VX_OUT_W, block);
    const vx_fill_target t = vx_fill_target_of(f, m, place, block);
    const vx_weight *w = place;
    if (!whole)
        return vx_fill_matrix(f, t, vx_found_at(f->found, m->roles[0], block),
                              vx_found_at(f->found, m->biases[0], block));
    if (w->bias)
        VX_TRY(vx_fill_vector(f, w->bias, vx_found_at(f->found, VX_OUT_B, block)));
    return vx_fill_pack(
        f, t,
        &(vx_fill_source){
            .read = read_columns, .of = {whole}, .skip = skip, .stride = (size_t)whole->shape[1]});
}

/* Rows of two matrices side by side, each times its LayerScale; `turned` holds both [2, n]. */
static int read_beside(const vx_fill_source *s, float *out, int first, int rows, size_t k)
{
    const size_t half = k / 2;
    for (int i = first; i < first + rows; i++)
        for (size_t twin = 0; twin < 2; twin++, out += half) {
            VX_TRY(vx_tensor_read_f32(s->of[twin], out, (uint64_t)i * half, half));
            for (size_t j = 0; j < half; j++)
                out[j] *= s->turned[twin * s->stride + (size_t)i];
        }
    return VITX_OK;
}

/* roles: matrix, bias and LayerScale of the first, then of the second. */
static int fill_beside(const vx_filler *f, vx_fill_target t, const vx_role *roles, int block)
{
    const size_t n = (size_t)t.w->n;
    const vx_tensor *from[6];
    float *scales, *sum, *one;
    for (int i = 0; i < 6; i++)
        from[i] = vx_found_at(f->found, roles[i], block);
    VX_TRY(vx_new(&scales, f->hooks, 4 * n, sizeof *scales, "LayerScales"));
    sum = scales + 2 * n; /* 0 so far */
    one = sum + n;
    int status = VITX_OK;
    for (size_t twin = 0; twin < 2 && status == VITX_OK; twin++) {
        float *scale = scales + twin * n;
        for (size_t i = 0; i < n; i++)
            scale[i] = 1;
        if (from[twin * 3 + 2])
            status = vx_tensor_read_f32(from[twin * 3 + 2], scale, 0, n);
        memset(one, 0, n * sizeof *one);
        if (from[twin * 3 + 1] && status == VITX_OK)
            status = vx_tensor_read_f32(from[twin * 3 + 1], one, 0, n);
        for (size_t i = 0; i < n; i++)
            sum[i] += scale[i] * one[i];
    }
    if (status == VITX_OK && t.w->bias)
        status = vx_fill_put(f, t.w->bias, sum, n);
    if (status == VITX_OK)
        status = vx_fill_pack(
            f, t,
            &(vx_fill_source){
                .read = read_beside, .of = {from[0], from[3]}, .stride = n, .turned = scales});
    vx_release(f->hooks, scales);
    return status;
}

int vx_fill_proj(const vx_filler *f, const vx_member *m, void *place, int block)
{
    static const vx_role twins[] = {VX_PROJ_W,      VX_PROJ_B,      VX_SIDE_LS1,
                                    VX_TWIN_PROJ_W, VX_TWIN_PROJ_B, VX_TWIN_LS1};
    return f->arch->twins ? fill_beside(f, vx_fill_target_of(f, m, place, block), twins, block)
                          : fill_output(f, m, place, block, 0);
}

int vx_fill_fc2(const vx_filler *f, const vx_member *m, void *place, int block)
{
    static const vx_role twins[] = {VX_FC2_W,      VX_FC2_B,      VX_SIDE_LS2,
                                    VX_TWIN_FC2_W, VX_TWIN_FC2_B, VX_TWIN_LS2};
    return f->arch->twins ? fill_beside(f, vx_fill_target_of(f, m, place, block), twins, block)
                          : fill_output(f, m, place, block, f->arch->width);
}
