/*
 * model/weights.c: from the file to a device.
 *
 * One block of device memory holds everything. layout() runs twice over it (base/arena.h), first
 * to measure, then to place; fill() then reads the tensors in chunks of rows through a small
 * buffer that stays in the cache, checks that they are finite, and lets the device pack them.
 */
#include "model/model.h"

#include <string.h>

#include "base/arena.h"

#define STAGING 262144 /* floats: 1 MiB */
#define ROWS 64        /* chunks are whole panels of any device where a row is not too long */

/* -------------------------------------------------------------------------- layout -------- */

typedef struct layout_state {
    vx_arena arena;
    const vx_device_class *cls;
    const char *precision;
} layout_state;

static float *place_vector(layout_state *s, const vx_tensor *t, size_t count)
{
    return t ? vx_arena_take(&s->arena, count, sizeof(float)) : NULL;
}

static vx_weight place_matrix(layout_state *s, int n, int k, bool bias)
{
    vx_weight w = {.n = n, .k = k};
    w.data = vx_arena_take(&s->arena, s->cls->weight_bytes(s->precision, n, k), 1);
    w.bias = bias ? vx_arena_take(&s->arena, (size_t)n, sizeof(float)) : NULL;
    return w;
}

static void layout_block(layout_state *s, vx_block_weights *w, const vx_found *f, int b,
                         const vx_arch *a)
{
    const size_t d = (size_t)a->width;
    const bool qkv_bias = vx_found_block(f, b, VX_QKV_B) || vx_found_block(f, b, VX_Q_B);
    w->norm1_w = place_vector(s, vx_found_block(f, b, VX_NORM1_W), d);
    w->norm1_b = place_vector(s, vx_found_block(f, b, VX_NORM1_B), d);
    w->qkv = place_matrix(s, 3 * a->width, a->width, qkv_bias);
    w->proj = place_matrix(s, a->width, a->width, vx_found_block(f, b, VX_PROJ_B));
    w->ls1 = place_vector(s, vx_found_block(f, b, VX_LS1), d);
    w->norm2_w = place_vector(s, vx_found_block(f, b, VX_NORM2_W), d);
    w->norm2_b = place_vector(s, vx_found_block(f, b, VX_NORM2_B), d);
    w->fc1 = place_matrix(s, vx_arch_fc1(a), a->width, vx_found_block(f, b, VX_FC1_B));
    w->fc2 = place_matrix(s, a->width, a->hidden, vx_found_block(f, b, VX_FC2_B));
    w->ls2 = place_vector(s, vx_found_block(f, b, VX_LS2), d);
}

static void layout_pool(layout_state *s, vx_pool_weights *p, const vx_found *f, const vx_arch *a)
{
    const size_t d = (size_t)a->width;
    const vx_tensor *const *model = f->model;
    p->query = vx_arena_take(&s->arena, d, sizeof(float));
    p->kv = place_matrix(s, 2 * a->width, a->width,
                         model[VX_POOL_QKV_B] || model[VX_POOL_KV_B] || model[VX_POOL_K_B]);
    p->proj = place_matrix(s, a->width, a->width, model[VX_POOL_PROJ_B]);
    p->norm_w = place_vector(s, model[VX_POOL_NORM_W], d);
    p->norm_b = place_vector(s, model[VX_POOL_NORM_B], d);
    p->fc1 = place_matrix(s, a->hidden, a->width, model[VX_POOL_FC1_B]);
    p->fc2 = place_matrix(s, a->width, a->hidden, model[VX_POOL_FC2_B]);
}

/* In the order in which a forward pass reads them. */
static void layout(layout_state *s, vx_weights *w, const vx_found *f, const vx_arch *a)
{
    const size_t d = (size_t)a->width, patches = (size_t)a->pos_height * (size_t)a->pos_width;
    w->patch = place_matrix(s, a->width, a->channels * a->patch_height * a->patch_width,
                            f->model[VX_PATCH_B]);
    w->prefix = a->prefix ? vx_arena_take(&s->arena, (size_t)a->prefix * d, sizeof(float)) : NULL;
    w->pos = place_vector(s, f->model[VX_POSITIONS], patches * d);
    w->norm_pre_w = place_vector(s, f->model[VX_NORM_PRE_W], d);
    w->norm_pre_b = place_vector(s, f->model[VX_NORM_PRE_B], d);
    for (int b = 0; b < a->depth; b++)
        layout_block(s, &w->blocks[b], f, b, a);
    w->norm_w = place_vector(s, f->model[VX_NORM_W], d);
    w->norm_b = place_vector(s, f->model[VX_NORM_B], d);
    if (a->pool == VX_POOL_MAP)
        layout_pool(s, &w->pool, f, a);
    w->fc_norm_w = place_vector(s, f->model[VX_FC_NORM_W], d);
    w->fc_norm_b = place_vector(s, f->model[VX_FC_NORM_B], d);
    if (!a->bare)
        w->head = place_matrix(s, a->classes, a->width, f->model[VX_HEAD_B]);
    if (vx_arch_two_heads(a) && !a->bare)
        w->head2 = place_matrix(s, a->classes, a->width, false);
}

/* -------------------------------------------------------------------------- values -------- */

typedef struct filler {
    const vx_device_class *cls;
    const char *precision;
    float *staging;
    size_t staging_size; /* floats */
} filler;

/* Floats to the device. The pointers of vx_weights are const for those who run the model; here they
 * are written. */
static void put(const filler *f, const float *dst, const float *values, size_t count)
{
    f->cls->upload(NULL, (void *)(uintptr_t)dst, values, count * sizeof *values);
}

/* Elements first.. of t, to its end. */
static int fill_from(const filler *f, const float *dst, const vx_tensor *t, uint64_t first)
{
    for (uint64_t at = first; at < t->count;) {
        const uint64_t left = t->count - at, n = left < f->staging_size ? left : f->staging_size;
        VX_TRY(vx_tensor_read_f32(t, f->staging, at, n));
        put(f, dst + (at - first), f->staging, (size_t)n);
        at += n;
    }
    return VITX_OK;
}

static int fill_vector(const filler *f, const float *dst, const vx_tensor *t)
{
    return t ? fill_from(f, dst, t, 0) : VITX_OK;
}

/* Rows first_row.. of w from t without its first `skip` rows; the tensor's rows are w.k long, whatever
 * its shape. */
static int fill_rows_from(const filler *f, const vx_weight *w, const vx_tensor *t, int skip,
                          int first_row)
{
    const size_t k = (size_t)w->k;
    const int rows = (int)(t->count / k) - skip;
    int step = (int)(f->staging_size / k);
    step = step > ROWS ? step / ROWS * ROWS : step;
    for (int r = 0; r < rows; r += step) {
        const int n = rows - r < step ? rows - r : step;
        VX_TRY(vx_tensor_read_f32(t, f->staging, (uint64_t)(skip + r) * k, (uint64_t)n * k));
        f->cls->weight_pack(f->precision, (void *)(uintptr_t)w->data, f->staging, first_row + r, n,
                            w->n, w->k);
    }
    return VITX_OK;
}

static int fill_rows(const filler *f, const vx_weight *w, const vx_tensor *t, int first_row)
{
    return fill_rows_from(f, w, t, 0, first_row);
}

static int fill_matrix(const filler *f, const vx_weight *w, const vx_tensor *weight,
                       const vx_tensor *bias)
{
    VX_TRY(fill_rows(f, w, weight, 0));
    return fill_vector(f, w->bias, bias);
}

/* One tensor [3D, D], or three [D, D] one below the other; so the bias, whose part of the keys may be
 * left out. */
static int fill_qkv(const filler *f, const vx_weight *w, const vx_found *found, int b)
{
    const vx_role weights[] = {VX_Q_W, VX_K_W, VX_V_W}, biases[] = {VX_Q_B, VX_K_B, VX_V_B};
    const vx_tensor *whole = vx_found_block(found, b, VX_QKV_W);
    const vx_tensor *bias = vx_found_block(found, b, VX_QKV_B);
    const int d = w->n / 3;
    if (whole)
        VX_TRY(fill_matrix(f, w, whole, bias));
    for (int i = 0; i < 3 && !whole; i++)
        VX_TRY(fill_rows(f, w, vx_found_block(found, b, weights[i]), i * d));
    for (int i = 0; i < 3 && w->bias && !bias; i++) {
        const vx_tensor *part = vx_found_block(found, b, biases[i]);
        const float *dst = w->bias + (ptrdiff_t)i * d;
        if (part) {
            VX_TRY(fill_vector(f, dst, part));
        } else {
            memset(f->staging, 0, (size_t)d * sizeof *f->staging);
            put(f, dst, f->staging, (size_t)d);
        }
    }
    return VITX_OK;
}

/* The prefix tokens, each with its row of the position embeddings, where there is one for it; then the
 * patches' rows. */
static int fill_tokens(const filler *f, const vx_weights *w, const vx_found *found,
                       const vx_arch *a)
{
    const size_t d = (size_t)a->width;
    const vx_tensor *pos = found->model[VX_POSITIONS];
    const vx_role roles[] = {VX_CLASS_TOKEN, VX_DISTILLATION_TOKEN, VX_REGISTERS};
    float *const token = f->staging, *const place = f->staging + d;
    size_t p = 0;
    for (int i = 0; i < 3; i++) {
        const vx_tensor *tokens = found->model[roles[i]];
        for (uint64_t at = 0; tokens && at < tokens->count; at += d, p++) {
            VX_TRY(vx_tensor_read_f32(tokens, token, at, d));
            if (p < (size_t)a->prefix_pos)
                VX_TRY(vx_tensor_read_f32(pos, place, p * d, d));
            for (size_t j = 0; p < (size_t)a->prefix_pos && j < d; j++)
                token[j] += place[j];
            put(f, w->prefix + p * d, token, d);
        }
    }
    return fill_from(f, w->pos, pos, (uint64_t)a->prefix_pos * d);
}

/* w from columns first.. of t, whose rows are `columns` long; halved where two heads are averaged. */
static int fill_columns(const filler *f, const vx_weight *w, const vx_tensor *t, size_t first,
                        size_t columns, bool half)
{
    const size_t k = (size_t)w->k;
    int step = (int)(f->staging_size / k);
    step = step > ROWS ? step / ROWS * ROWS : step;
    for (int r = 0; r < w->n; r += step) {
        const int n = w->n - r < step ? w->n - r : step;
        for (int i = 0; i < n; i++)
            VX_TRY(vx_tensor_read_f32(t, f->staging + (size_t)i * k,
                                      (uint64_t)(r + i) * columns + first, k));
        for (size_t i = 0; half && i < (size_t)n * k; i++)
            f->staging[i] *= 0.5f;
        f->cls->weight_pack(f->precision, (void *)(uintptr_t)w->data, f->staging, r, n, w->n, w->k);
    }
    return VITX_OK;
}

/* (b1 + b2) / 2 */
static int fill_mean_bias(const filler *f, const vx_weight *w, const vx_tensor *one,
                          const vx_tensor *other)
{
    const size_t half = f->staging_size / 2, count = (size_t)w->n;
    for (size_t at = 0; at < count; at += half) {
        const size_t n = count - at < half ? count - at : half;
        VX_TRY(vx_tensor_read_f32(one, f->staging, at, n));
        VX_TRY(vx_tensor_read_f32(other, f->staging + half, at, n));
        for (size_t i = 0; i < n; i++)
            f->staging[i] = 0.5f * f->staging[i] + 0.5f * f->staging[half + i];
        put(f, w->bias + at, f->staging, n);
    }
    return VITX_OK;
}

/* One head; one of twice the columns, in two; or two whose answers are averaged. */
static int fill_heads(const filler *f, const vx_weights *w, const vx_found *found, const vx_arch *a)
{
    const vx_tensor *const *model = found->model;
    const size_t d = (size_t)a->width;
    if (!vx_arch_two_heads(a))
        return fill_matrix(f, &w->head, model[VX_HEAD_W], model[VX_HEAD_B]);
    if (a->pool == VX_POOL_TOKEN_AVG) {
        VX_TRY(fill_columns(f, &w->head, model[VX_HEAD_W], 0, 2 * d, false));
        VX_TRY(fill_columns(f, &w->head2, model[VX_HEAD_W], d, 2 * d, false));
        return fill_vector(f, w->head.bias, model[VX_HEAD_B]);
    }
    VX_TRY(fill_columns(f, &w->head, model[VX_HEAD_W], 0, d, true));
    VX_TRY(fill_columns(f, &w->head2, model[VX_HEAD2_W], 0, d, true));
    return fill_mean_bias(f, &w->head, model[VX_HEAD_B], model[VX_HEAD2_B]);
}

static int fill_block(const filler *f, const vx_block_weights *w, const vx_found *found, int b)
{
    VX_TRY(fill_vector(f, w->norm1_w, vx_found_block(found, b, VX_NORM1_W)));
    VX_TRY(fill_vector(f, w->norm1_b, vx_found_block(found, b, VX_NORM1_B)));
    VX_TRY(fill_qkv(f, &w->qkv, found, b));
    VX_TRY(fill_matrix(f, &w->proj, vx_found_block(found, b, VX_PROJ_W),
                       vx_found_block(found, b, VX_PROJ_B)));
    VX_TRY(fill_vector(f, w->ls1, vx_found_block(found, b, VX_LS1)));
    VX_TRY(fill_vector(f, w->norm2_w, vx_found_block(found, b, VX_NORM2_W)));
    VX_TRY(fill_vector(f, w->norm2_b, vx_found_block(found, b, VX_NORM2_B)));
    VX_TRY(fill_matrix(f, &w->fc1, vx_found_block(found, b, VX_FC1_W),
                       vx_found_block(found, b, VX_FC1_B)));
    VX_TRY(fill_matrix(f, &w->fc2, vx_found_block(found, b, VX_FC2_W),
                       vx_found_block(found, b, VX_FC2_B)));
    return fill_vector(f, w->ls2, vx_found_block(found, b, VX_LS2));
}

/* The probe as the query's projection leaves it, the same for all pictures. */
static int fill_query(const filler *f, const vx_pool_weights *p, const vx_found *found)
{
    const vx_tensor *const *model = found->model;
    const vx_tensor *w = model[VX_POOL_QKV_W] ? model[VX_POOL_QKV_W] : model[VX_POOL_Q_W];
    const vx_tensor *b = model[VX_POOL_QKV_W] ? model[VX_POOL_QKV_B] : model[VX_POOL_Q_B];
    const size_t d = (size_t)p->proj.k;
    float *const probe = f->staging, *const row = probe + d, *const query = row + d;
    VX_TRY(vx_tensor_read_f32(model[VX_POOL_PROBE], probe, 0, d));
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
    put(f, p->query, query, d);
    return VITX_OK;
}

/* Keys and values: one tensor, which may have the query's rows before them, or two. */
static int fill_keys(const filler *f, const vx_weight *kv, const vx_tensor *const *model)
{
    const bool one = model[VX_POOL_QKV_W] != NULL;
    const int d = kv->k, skip = one ? d : 0;
    const vx_tensor *bias = model[one ? VX_POOL_QKV_B : VX_POOL_KV_B];
    if (model[VX_POOL_K_W]) {
        VX_TRY(fill_rows(f, kv, model[VX_POOL_K_W], 0));
        VX_TRY(fill_rows(f, kv, model[VX_POOL_V_W], d));
        VX_TRY(fill_vector(f, kv->bias, model[VX_POOL_K_B]));
        return kv->bias ? fill_vector(f, kv->bias + d, model[VX_POOL_V_B]) : VITX_OK;
    }
    VX_TRY(fill_rows_from(f, kv, model[one ? VX_POOL_QKV_W : VX_POOL_KV_W], skip, 0));
    return bias ? fill_from(f, kv->bias, bias, (uint64_t)skip) : VITX_OK;
}

static int fill_pool(const filler *f, const vx_pool_weights *p, const vx_found *found)
{
    const vx_tensor *const *model = found->model;
    VX_TRY(fill_query(f, p, found));
    VX_TRY(fill_keys(f, &p->kv, model));
    VX_TRY(fill_matrix(f, &p->proj, model[VX_POOL_PROJ_W], model[VX_POOL_PROJ_B]));
    VX_TRY(fill_vector(f, p->norm_w, model[VX_POOL_NORM_W]));
    VX_TRY(fill_vector(f, p->norm_b, model[VX_POOL_NORM_B]));
    VX_TRY(fill_matrix(f, &p->fc1, model[VX_POOL_FC1_W], model[VX_POOL_FC1_B]));
    return fill_matrix(f, &p->fc2, model[VX_POOL_FC2_W], model[VX_POOL_FC2_B]);
}

/* A matrix that the file holds as [k,n]. It is read whole: its rows lie across it. */
static int fill_turned(const filler *f, const vx_weight *w, const vx_tensor *t,
                       const vitx_hooks *hooks)
{
    const size_t n = (size_t)w->n, k = (size_t)w->k;
    float *whole;
    VX_TRY(vx_new(&whole, hooks, n, k * sizeof *whole, "a matrix to turn"));
    int status = vx_tensor_read_f32(t, whole, 0, n * k);
    int step = (int)(f->staging_size / k);
    step = step > ROWS ? step / ROWS * ROWS : step;
    for (int r = 0; r < w->n && status == VITX_OK; r += step) {
        const int rows = w->n - r < step ? w->n - r : step;
        for (int i = 0; i < rows; i++)
            for (size_t j = 0; j < k; j++)
                f->staging[(size_t)i * k + j] = whole[j * n + (size_t)(r + i)];
        f->cls->weight_pack(f->precision, (void *)(uintptr_t)w->data, f->staging, r, rows, w->n,
                            w->k);
    }
    vx_release(hooks, whole);
    return status;
}

static int fill(const filler *f, const vx_weights *w, const vx_found *found, const vx_arch *a,
                const vitx_hooks *hooks)
{
    const vx_tensor *const *model = found->model;
    VX_TRY(fill_matrix(f, &w->patch, model[VX_PATCH_W], model[VX_PATCH_B]));
    VX_TRY(fill_tokens(f, w, found, a));
    VX_TRY(fill_vector(f, w->norm_pre_w, model[VX_NORM_PRE_W]));
    VX_TRY(fill_vector(f, w->norm_pre_b, model[VX_NORM_PRE_B]));
    for (int b = 0; b < a->depth; b++)
        VX_TRY(fill_block(f, &w->blocks[b], found, b));
    VX_TRY(fill_vector(f, w->norm_w, model[VX_NORM_W]));
    VX_TRY(fill_vector(f, w->norm_b, model[VX_NORM_B]));
    if (a->pool == VX_POOL_MAP)
        VX_TRY(fill_pool(f, &w->pool, found));
    VX_TRY(fill_vector(f, w->fc_norm_w, model[VX_FC_NORM_W]));
    VX_TRY(fill_vector(f, w->fc_norm_b, model[VX_FC_NORM_B]));
    if (model[VX_HEAD_T])
        return fill_turned(f, &w->head, model[VX_HEAD_T], hooks);
    return a->bare ? VITX_OK : fill_heads(f, w, found, a);
}

/* -------------------------------------------------------------------------- packing ------- */

/* The environment of the packed weights, as far as their memory needs one. The context that asks for
 * them may be gone when they are freed, so its own cannot be kept: this one leads to the model. */
static void *env_alloc(size_t bytes, void *model)
{
    return vx_alloc(&((vitx_model *)model)->hooks, bytes);
}

static void env_release(void *memory, void *model)
{
    vx_release(&((vitx_model *)model)->hooks, memory);
}

static void free_weights(vx_weights *w, const vitx_hooks *hooks)
{
    if (!w)
        return;
    if (w->memory)
        w->cls->mem_free(w->memory, &w->env);
    vx_release(hooks, w->blocks);
    vx_release(hooks, w);
}

static int allocate(vx_weights *w, const vitx_model *m)
{
    layout_state s = {.cls = w->cls, .precision = w->precision};
    VX_TRY(vx_new(&w->blocks, &m->hooks, (size_t)m->arch.depth, sizeof *w->blocks,
                  "the list of blocks"));
    layout(&s, w, &m->found, &m->arch);
    if (s.arena.overflow)
        return vx_fail_in(VITX_NOMEM, m->path, "its packed weights have no size that fits memory");
    w->bytes = s.arena.size;
    w->memory = w->cls->mem_alloc(w->bytes, &w->env);
    if (!w->memory)
        return vx_fail_in(VITX_NOMEM, m->path,
                          "no memory for %zu bytes of packed weights on device %s", w->bytes,
                          w->cls->name);
    s.arena = (vx_arena){.base = w->memory};
    layout(&s, w, &m->found, &m->arch);
    return VITX_OK;
}

int vx_model_weight_bytes(size_t *out, const vitx_model *model, const vx_device_class *cls,
                          const char *precision)
{
    vx_weights w = {.cls = cls, .precision = precision};
    layout_state s = {.cls = cls, .precision = precision};
    VX_TRY(vx_new(&w.blocks, &model->hooks, (size_t)model->arch.depth, sizeof *w.blocks,
                  "the list of blocks"));
    layout(&s, &w, &model->found, &model->arch);
    vx_release(&model->hooks, w.blocks);
    *out = s.arena.overflow ? SIZE_MAX : s.arena.size;
    return VITX_OK;
}

/* The staging buffer holds the longest row, and three rows of tokens. */
static int fill_all(const vx_weights *w, const vitx_model *m)
{
    const vx_arch *a = &m->arch;
    filler f = {.cls = w->cls, .precision = w->precision, .staging_size = STAGING};
    const int k[] = {a->channels * a->patch_height * a->patch_width, a->hidden, 3 * a->width};
    for (int i = 0; i < 3; i++)
        if ((size_t)k[i] > f.staging_size)
            f.staging_size = (size_t)k[i];
    VX_TRY(vx_new(&f.staging, &m->hooks, f.staging_size, sizeof *f.staging, "the staging buffer"));
    int status = fill(&f, w, &m->found, a, &m->hooks);
    for (int i = 0; i < m->container->file_count && status == VITX_OK; i++)
        status = vx_file_unchanged(m->container->files[i]);
    vx_container_rest(m->container);
    vx_release(&m->hooks, f.staging);
    return status;
}

/* Through the host, in pieces: no instance of the device is at hand. */
static int copy_all(const vx_weights *to, const vx_weights *from, const vitx_hooks *hooks)
{
    const size_t piece = STAGING * sizeof(float);
    char *staging;
    VX_TRY(vx_new(&staging, hooks, piece, 1, "the staging buffer"));
    for (size_t at = 0; at < from->bytes; at += piece) {
        const size_t n = from->bytes - at < piece ? from->bytes - at : piece;
        from->cls->download(NULL, staging, (const char *)from->memory + at, n);
        from->cls->upload(NULL, (char *)to->memory + at, staging, n);
    }
    vx_release(hooks, staging);
    return VITX_OK;
}

/* From the model's files, or from weights that are packed already. */
static int pack(vx_weights **out, vitx_model *m, const vx_device_class *cls, const char *precision,
                const vx_weights *from)
{
    vx_weights *w;
    VX_TRY(vx_new(&w, &m->hooks, 1, sizeof *w, "packed weights"));
    w->cls = cls;
    w->precision = precision;
    w->env = (vx_device_env){.alloc = env_alloc, .release = env_release, .owner = m};
    int status = allocate(w, m);
    if (status == VITX_OK)
        status = from ? copy_all(w, from, &m->hooks) : fill_all(w, m);
    if (status != VITX_OK) {
        free_weights(w, &m->hooks);
        return status;
    }
    *out = w;
    return VITX_OK;
}

int vx_weights_copy(vx_weights **out, vitx_model *model, const vx_weights *weights)
{
    *out = NULL;
    return pack(out, model, weights->cls, weights->precision, weights);
}

void vx_weights_free(vx_weights *weights, const vitx_model *model)
{
    free_weights(weights, &model->hooks);
}

int vx_model_weights(const vx_weights **out, vitx_model *model, const vx_device_class *cls,
                     const char *precision)
{
    *out = NULL;
    const char *name = vx_device_precision(cls, precision);
    if (!name)
        return vx_fail(VITX_DEVICE, "device %s has no precision \"%.40s\"", cls->name, precision);
    pthread_mutex_lock(&model->lock);
    vx_weights *w = model->packed;
    while (w && (w->cls != cls || w->precision != name))
        w = w->next;
    int status = VITX_OK;
    if (!w) {
        status = pack(&w, model, cls, name, NULL);
        if (status == VITX_OK) {
            w->next = model->packed;
            model->packed = w;
        }
    }
    pthread_mutex_unlock(&model->lock);
    *out = status == VITX_OK ? w : NULL;
    return status;
}

void vx_model_free_weights(vitx_model *model)
{
    while (model->packed) {
        vx_weights *const w = model->packed;
        model->packed = w->next;
        free_weights(w, &model->hooks);
    }
}
