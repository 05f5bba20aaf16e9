/*
 * model/fill.c: see fill.h. Tensors are read in chunks of rows through a small buffer that stays in
 * the cache, checked to be finite, and packed by the device.
 */
#include "model/fill.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "model/members.h"

/* -------------------------------------------------------------------------- vectors ------- */

static int put(const vx_filler *f, const vx_far *dst, const float *values, size_t count)
{
    return vx_weights_write(f->w, dst, values, count);
}

static const vx_far *vector_at(const void *place)
{
    return *(const vx_far *const *)place;
}

/* Elements first.. of t, to its end. */
static int fill_from(const vx_filler *f, const vx_far *dst, const vx_tensor *t, uint64_t first)
{
    for (uint64_t at = first; at < t->count;) {
        const uint64_t left = t->count - at, n = left < f->staging_size ? left : f->staging_size;
        VX_TRY(vx_tensor_read_f32(t, f->staging, at, n));
        VX_TRY(put(f, dst + (at - first), f->staging, (size_t)n));
        at += n;
    }
    return VITX_OK;
}

static int fill_vector(const vx_filler *f, const vx_far *dst, const vx_tensor *t)
{
    return t ? fill_from(f, dst, t, 0) : VITX_OK;
}

/* -------------------------------------------------------------------------- matrices ------ */

/* Where the rows of a matrix come from. */
typedef struct source {
    /* Writes rows first..first+rows-1 of the matrix, each k long. */
    int (*read)(const struct source *s, float *out, int first, int rows, size_t k);
    const vx_tensor *of[3]; /* one below the other, of `rows_of` rows each; NULL behind the last */
    int rows_of;
    int skip;            /* rows of of[0] before the matrix's first; of read_columns columns */
    size_t stride;       /* of read_turned and read_columns: a row's elements */
    const float *turned; /* of read_turned: [k, n] */
    const vx_arch *arch; /* of read_heads */
    float lambda;        /* of read_heads of differential attention */
} source;

/* The rows of a matrix as they stand in one tensor or in several. */
static int read_stack(const source *s, float *out, int first, int rows, size_t k)
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

static int read_turned(const source *s, float *out, int first, int rows, size_t k)
{
    for (int i = 0; i < rows; i++)
        for (size_t j = 0; j < k; j++)
            out[(size_t)i * k + j] = s->turned[j * s->stride + (size_t)(first + i)];
    return VITX_OK;
}

/* Columns of a tensor. */
static int read_columns(const source *s, float *out, int first, int rows, size_t k)
{
    for (int i = first; i < first + rows; i++, out += k)
        VX_TRY(vx_tensor_read_f32(s->of[0], out, (uint64_t)i * s->stride + (uint64_t)s->skip, k));
    return VITX_OK;
}

/* The tensor's row that is row `at` of queries, keys or values (part 0, 1, 2), and what it is
 * multiplied by; -1: there is none, it is 0. */
static int64_t row_of(float *factor, const source *s, int part, int at, int64_t rows)
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
static int read_heads(const source *s, float *out, int first, int rows, size_t k)
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

/* A matrix that is filled. */
typedef struct target {
    const vx_weight *w;
    const vx_far *gamma;
} target;

static target target_of(const vx_filler *f, const vx_member *m, const void *place, int block)
{
    return (target){place, vx_member_gamma(f->w, m, block)};
}

/* All rows, in whole panels. Bias and gamma are filled. */
static int pack(const vx_filler *f, target t, const source *s)
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

/* A tensor's rows; they are k long, whatever its shape. */
static int fill_matrix(const vx_filler *f, target t, const vx_tensor *weight, const vx_tensor *bias)
{
    VX_TRY(fill_vector(f, t.w->bias, bias));
    return pack(f, t, &(source){.read = read_stack, .of = {weight}});
}

/* What lambda begins with in training, and is added to. */
static double lambda_start(int block)
{
    return 0.8 - 0.6 * exp(-0.3 * block);
}

/* What is behind differential attention is multiplied by 1 - 0.8 + 0.6 exp(-0.3 block). */
static int fill_scaled(const vx_filler *f, const vx_far *dst, const vx_tensor *t, int block)
{
    VX_TRY(vx_tensor_read_f32(t, f->staging, 0, t->count));
    for (uint64_t i = 0; i < t->count; i++)
        f->staging[i] *= (float)(1 - lambda_start(block));
    return put(f, dst, f->staging, (size_t)t->count);
}

/* The norms of twins are in the matrices behind them. */
static int fill_same(const vx_filler *f, const vx_far *dst, float value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f->staging[i] = value;
    return put(f, dst, f->staging, n);
}

int vx_fill(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_tensor *t = vx_found_at(f->found, m->roles[0], block);
    if (m->matrix ? !((const vx_weight *)place)->data : !vector_at(place))
        return VITX_OK; /* the model has none */
    if (m->fill)
        return m->fill(f, m, place, block);
    if (m->roles[0] == VX_ATTN_NORM_W && f->arch->differential)
        return fill_scaled(f, vector_at(place), t, block);
    if (f->arch->twins && m->group == VX_GROUP_BLOCK && m->stream < VX_KEPT)
        return fill_same(f, vector_at(place), m->stream == VX_ONES, (size_t)f->arch->width);
    if (!m->matrix)
        return fill_vector(f, vector_at(place), t);
    return fill_matrix(f, target_of(f, m, place, block), t,
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
            VX_TRY(put(f, vector_at(place) + p * d, token, d));
        }
    }
    return VITX_OK;
}

/* The patches' rows of the position embeddings. */
int vx_fill_pos(const vx_filler *f, const vx_member *m, void *place, int block)
{
    (void)m;
    (void)block;
    return fill_from(f, vector_at(place), f->found->model[VX_POSITIONS],
                     (uint64_t)f->arch->prefix_pos * (uint64_t)f->arch->width);
}

int vx_fill_frequencies(const vx_filler *f, const vx_member *m, void *place, int block)
{
    (void)block;
    return fill_vector(f, vector_at(place), f->found->model[m->roles[0]]);
}

/* -------------------------------------------------------------------------- blocks -------- */

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
    *out = (float)(exp(sum[0]) - exp(sum[1]) + lambda_start(block));
    return VITX_OK;
}

/* Where a row of twins' qkv or fc1 comes from: each part of rows_of rows is the first twin's, then
 * the second's. */
static uint64_t row_of_twin(int *twin, const source *s, int row)
{
    const int half = s->rows_of / 2, at = row % s->rows_of;
    *twin = at / half;
    return (uint64_t)(row / s->rows_of) * (uint64_t)half + (uint64_t)(at % half);
}

/* Its columns are multiplied by the weight of its norm; `turned` holds both [2, k]. */
static int read_twins(const source *s, float *out, int first, int rows, size_t k)
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
static int read_twin_bias(float *out, const vx_filler *f, const source *s, int row,
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
static int fill_twins(const vx_filler *f, target t, const vx_role *roles, int rows_of, int block)
{
    const size_t d = (size_t)f->arch->width;
    const vx_tensor *from[8];
    float *norms, *bias;
    for (int i = 0; i < 8; i++)
        from[i] = vx_found_at(f->found, roles[i], block);
    VX_TRY(vx_new(&norms, f->hooks, 4 * d + (size_t)t.w->n, sizeof *norms, "norms"));
    bias = norms + 4 * d;
    const source s = {
        .read = read_twins, .of = {from[0], from[4]}, .rows_of = rows_of, .turned = norms};
    int status = VITX_OK;
    for (size_t i = 0; i < 4 && status == VITX_OK; i++)
        status = vx_tensor_read_f32(from[i / 2 + 2 + i % 2 * 4], norms + i * d, 0, d);
    for (int i = 0; i < t.w->n && status == VITX_OK; i++)
        status = read_twin_bias(bias + i, f, &s, i, (const vx_tensor *const[]){from[1], from[5]},
                                norms + 2 * d);
    if (status == VITX_OK)
        status = put(f, t.w->bias, bias, (size_t)t.w->n);
    if (status == VITX_OK)
        status = pack(f, t, &s);
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
        return fill_twins(f, target_of(f, m, place, block), twins, each, block);
    const vx_tensor *k = vx_found_at(f->found, VX_K_W, block);
    const vx_tensor *bias = vx_found_at(f->found, a->parallel ? VX_IN_B : VX_QKV_B, block);
    const vx_role matrices[] = {VX_Q_W, VX_K_W, VX_V_W}, vectors[] = {VX_Q_B, VX_K_B, VX_V_B};
    const bool mapped = a->differential || (k && k->shape[0] < each);
    source rows = {.read = mapped ? read_heads : read_stack,
                   .of = {vx_found_at(f->found, a->parallel ? VX_IN_W : VX_QKV_W, block)},
                   .rows_of = each,
                   .skip = a->parallel ? vx_arch_fc1(a) : 0,
                   .arch = a};
    if (a->differential)
        VX_TRY(read_lambda(&rows.lambda, f, block));
    source biases = rows;
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
        VX_TRY(put(f, w->bias + (ptrdiff_t)i * each, f->staging, (size_t)each));
    }
    return pack(f, target_of(f, m, place, block), &rows);
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
        status = put(f, vector_at(place), table, all);
    vx_release(f->hooks, table);
    return status;
}

/* One tensor, or the gate's and the value's one below the other. */
int vx_fill_fc1(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_weight *w = place;
    const vx_tensor *whole = vx_found_at(f->found, VX_FC1_W, block);
    const target t = target_of(f, m, place, block);
    static const vx_role twins[] = {VX_FC1_W,      VX_FC1_B,      VX_NORM2_W,      VX_NORM2_B,
                                    VX_TWIN_FC1_W, VX_TWIN_FC1_B, VX_TWIN_NORM2_W, VX_TWIN_NORM2_B};
    if (f->arch->twins)
        return fill_twins(f, t, twins, w->n, block);
    if (whole)
        return fill_matrix(f, t, whole, vx_found_at(f->found, VX_FC1_B, block));
    if (f->arch->parallel) { /* the first rows of a matrix that goes on with queries */
        const source rows = {.read = read_stack, .of = {vx_found_at(f->found, VX_IN_W, block)}},
                     biases = {.read = read_stack, .of = {vx_found_at(f->found, VX_IN_B, block)}};
        VX_TRY(fill_vector(f, w->bias, vx_found_at(f->found, VX_FC1_B, block)));
        if (biases.of[0]) {
            VX_TRY(read_stack(&biases, f->staging, 0, w->n, 1));
            VX_TRY(put(f, w->bias, f->staging, (size_t)w->n));
        }
        return pack(f, t, &rows);
    }
    VX_TRY(fill_vector(f, w->bias, vx_found_at(f->found, VX_GATE_B, block)));
    if (w->bias)
        VX_TRY(fill_vector(f, w->bias + w->n / 2, vx_found_at(f->found, VX_VALUE_B, block)));
    return pack(f, t,
                &(source){.read = read_stack,
                          .of = {vx_found_at(f->found, VX_GATE_W, block),
                                 vx_found_at(f->found, VX_VALUE_W, block)},
                          .rows_of = w->n / 2});
}

/* A block's matrix that has a tensor of its own, or columns of the one that parallel blocks may
 * have. */
static int fill_output(const vx_filler *f, const vx_member *m, void *place, int block, int skip)
{
    const vx_tensor *whole = vx_found_at(f->found, VX_OUT_W, block);
    const target t = target_of(f, m, place, block);
    const vx_weight *w = place;
    if (!whole)
        return fill_matrix(f, t, vx_found_at(f->found, m->roles[0], block),
                           vx_found_at(f->found, m->biases[0], block));
    if (w->bias)
        VX_TRY(fill_vector(f, w->bias, vx_found_at(f->found, VX_OUT_B, block)));
    return pack(
        f, t,
        &(source){
            .read = read_columns, .of = {whole}, .skip = skip, .stride = (size_t)whole->shape[1]});
}

/* Rows of two matrices side by side, each times its LayerScale; `turned` holds both [2, n]. */
static int read_beside(const source *s, float *out, int first, int rows, size_t k)
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
static int fill_beside(const vx_filler *f, target t, const vx_role *roles, int block)
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
        status = put(f, t.w->bias, sum, n);
    if (status == VITX_OK)
        status =
            pack(f, t,
                 &(source){
                     .read = read_beside, .of = {from[0], from[3]}, .stride = n, .turned = scales});
    vx_release(f->hooks, scales);
    return status;
}

int vx_fill_proj(const vx_filler *f, const vx_member *m, void *place, int block)
{
    static const vx_role twins[] = {VX_PROJ_W,      VX_PROJ_B,      VX_SIDE_LS1,
                                    VX_TWIN_PROJ_W, VX_TWIN_PROJ_B, VX_TWIN_LS1};
    return f->arch->twins ? fill_beside(f, target_of(f, m, place, block), twins, block)
                          : fill_output(f, m, place, block, 0);
}

int vx_fill_fc2(const vx_filler *f, const vx_member *m, void *place, int block)
{
    static const vx_role twins[] = {VX_FC2_W,      VX_FC2_B,      VX_SIDE_LS2,
                                    VX_TWIN_FC2_W, VX_TWIN_FC2_B, VX_TWIN_LS2};
    return f->arch->twins ? fill_beside(f, target_of(f, m, place, block), twins, block)
                          : fill_output(f, m, place, block, f->arch->width);
}

/* -------------------------------------------------------------------------- heads --------- */

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
        return put(f, vector_at(place), probe, d);
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
    return put(f, vector_at(place), query, d);
}

/* Keys and values: one tensor, which may have the query's rows before them, or two. */
int vx_fill_kv(const vx_filler *f, const vx_member *m, void *place, int block)
{
    const vx_weight *kv = place;
    const vx_tensor *const *model = f->found->model;
    const bool one = model[VX_POOL_QKV_W] != NULL;
    const int d = kv->k, skip = one ? d : 0;
    const vx_tensor *bias = model[one ? VX_POOL_QKV_B : VX_POOL_KV_B];
    const target t = target_of(f, m, place, block);
    if (model[VX_POOL_K_W]) {
        VX_TRY(fill_vector(f, kv->bias, model[VX_POOL_K_B]));
        if (kv->bias)
            VX_TRY(fill_vector(f, kv->bias + d, model[VX_POOL_V_B]));
        return pack(f, t,
                    &(source){.read = read_stack,
                              .of = {model[VX_POOL_K_W], model[VX_POOL_V_W]},
                              .rows_of = d});
    }
    if (bias)
        VX_TRY(fill_from(f, kv->bias, bias, (uint64_t)skip));
    return pack(f, t,
                &(source){.read = read_stack,
                          .of = {model[one ? VX_POOL_QKV_W : VX_POOL_KV_W]},
                          .skip = skip});
}

/* A matrix that the file holds as [k,n]. It is read whole: its rows lie across it. */
static int fill_turned(const vx_filler *f, target to, const vx_tensor *t)
{
    const size_t n = (size_t)to.w->n, k = (size_t)to.w->k;
    float *whole;
    VX_TRY(vx_new(&whole, f->hooks, n, k * sizeof *whole, "a matrix to turn"));
    int status = vx_tensor_read_f32(t, whole, 0, n * k);
    if (status == VITX_OK)
        status = pack(f, to, &(source){.read = read_turned, .turned = whole, .stride = n});
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
        VX_TRY(put(f, w->bias + at, f->staging, n));
    }
    return VITX_OK;
}

/* Rows of two matrices side by side, half of each: the mean of two heads' answers is the answer of
 * one head to both vectors. */
static int read_halves(const source *s, float *out, int first, int rows, size_t k)
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

static int fill_multiplied(const vx_filler *f, target t, const product *p)
{
    const size_t n = (size_t)t.w->n, k = (size_t)t.w->k;
    for (size_t i = 0; i < n; i++)
        VX_TRY(multiply_row(p, i, n, k));
    if (t.w->bias)
        VX_TRY(put(f, t.w->bias, p->sums, n));
    return pack(f, t, &(source){.read = read_turned, .turned = p->made, .stride = n});
}

/* A head that reads what another matrix makes of the pooled vector: one matrix, in double. */
static int fill_product(const vx_filler *f, target t)
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
    const target t = target_of(f, m, place, block);
    const vx_tensor *const *model = f->found->model;
    if (model[VX_HEAD_T])
        return fill_turned(f, t, model[VX_HEAD_T]);
    if (model[VX_HEAD_IN_W])
        return fill_product(f, t);
    if (!model[VX_HEAD2_W])
        return fill_matrix(f, t, model[VX_HEAD_W], model[VX_HEAD_B]);
    VX_TRY(fill_mean_bias(f, t.w, model[VX_HEAD_B], model[VX_HEAD2_B]));
    return pack(f, t, &(source){.read = read_halves, .of = {model[VX_HEAD_W], model[VX_HEAD2_W]}});
}
