/*
 * model/weights.c: packed weights of a model, made once for a site and a precision.
 *
 * One block of device memory holds everything. layout() runs twice over it (base/arena.h), first
 * to measure, then to place; vx_fill() then gives each member its values.
 */
#include "model/model.h"

#include <string.h>

#include "base/arena.h"
#include "base/memory.h"
#include "model/fill.h"
#include "model/head.h"
#include "model/members.h"

#define STAGING 262144 /* floats: 1 MiB */

/* -------------------------------------------------------------------------- layout -------- */

typedef struct layout_state {
    vx_arena arena;
    const vx_weights *w;
    const vx_found *found;
    const vx_arch *arch;
} layout_state;

/* vx_visit_fn: places a member, if the model has it. */
static int place_member(const vx_member *m, void *place, int block, void *arg)
{
    layout_state *s = arg;
    int64_t n, k;
    vx_member_size(&n, &k, m, s->arch);
    const bool there = n > 0 && vx_found_any(s->found, m->roles, block);
    if (!m->matrix) {
        *(const float **)place =
            there ? vx_arena_take(&s->arena, (size_t)(n * k), sizeof(float)) : NULL;
        return VITX_OK;
    }
    vx_weight *w = place;
    *w = (vx_weight){0};
    if (!there)
        return VITX_OK;
    w->n = (int)n;
    w->k = (int)k;
    w->packing = s->w->site.cls->packing_for(s->w->precision, m->layer, block);
    w->data = vx_arena_take(&s->arena, w->packing->bytes(w->n, w->k), 1);
    if (vx_found_any(s->found, m->biases, block))
        w->bias = vx_arena_take(&s->arena, (size_t)n, sizeof(float));
    return VITX_OK;
}

/* Sets the pointers of w, all NULL if base is. @return the arena, whose size is what it takes. */
static vx_arena layout(const vx_weights *w, const vitx_model *m, void *base)
{
    layout_state s = {.arena = {.base = base}, .w = w, .found = &m->found, .arch = &m->arch};
    vx_visit_all(w, m->arch.depth, place_member, &s); /* which cannot fail */
    return s.arena;
}

/* -------------------------------------------------------------------------- the site ------ */

/* What a function of the site returned, with its reason, as the library's. */
static int told(const vx_weights *w, int failed, const char *text)
{
    return failed ? vx_fail(failed == VX_DEVICE_NOMEM ? VITX_NOMEM : VITX_DEVICE, "device %s: %s",
                            w->site.cls->name, text)
                  : VITX_OK;
}

/* The pointers of vx_weights are const for those who run the model; here they are written. */
int vx_weights_write(const vx_weights *weights, const vx_far *device, const float *host,
                     size_t count)
{
    char text[160];
    return told(weights,
                weights->site.cls->mem_write(&weights->env, (void *)(uintptr_t)device, host,
                                             count * sizeof *host, text, sizeof text),
                text);
}

int vx_weights_begin(const vx_weights *weights, const vx_weight *w, const vx_far *gamma)
{
    char text[160];
    if (!w->packing->begin)
        return VITX_OK;
    return told(weights, w->packing->begin(&weights->env, w, gamma, text, sizeof text), text);
}

int vx_weights_pack(const vx_weights *weights, const vx_weight *w, const float *rows, int first,
                    int count)
{
    char text[160];
    return told(weights, w->packing->pack(&weights->env, w, rows, first, count, text, sizeof text),
                text);
}

/* -------------------------------------------------------------------------- packing ------- */

/* The environment of the packed weights, as far as their memory needs one. The context that asks
 * for them may be gone when they are freed, so its own cannot be kept: this one leads to the
 * model. */
static void *env_alloc(size_t bytes, void *model)
{
    return vx_alloc(&((vitx_model *)model)->hooks, bytes);
}

static void env_release(void *memory, void *model)
{
    vx_release(&((vitx_model *)model)->hooks, memory);
}

static void free_view(vx_weights *v, const vitx_hooks *hooks)
{
    if (v->turned_memory)
        v->site.cls->mem_free(v->turned_memory, &v->env);
    vx_release(hooks, v->blocks);
    vx_release(hooks, v);
}

static void free_weights(vx_weights *w, const vitx_hooks *hooks)
{
    if (!w)
        return;
    while (w->views) {
        vx_weights *const v = w->views;
        w->views = v->next;
        free_view(v, hooks);
    }
    if (w->memory)
        w->site.cls->mem_free(w->memory, &w->env);
    vx_release(hooks, w->blocks);
    vx_release(hooks, w);
}

static int allocate(vx_weights *w, const vitx_model *m)
{
    VX_TRY(vx_new(&w->blocks, &m->hooks, (size_t)m->arch.depth, sizeof *w->blocks,
                  "the list of blocks"));
    const vx_arena measured = layout(w, m, NULL);
    if (measured.overflow)
        return vx_fail_in(VITX_NOMEM, m->path, "its packed weights have no size that fits memory");
    w->bytes = measured.size;
    w->memory = w->site.cls->mem_alloc(w->bytes, &w->env);
    if (!w->memory)
        return vx_fail_in(VITX_NOMEM, m->path,
                          "no memory for %zu bytes of packed weights on device %s", w->bytes,
                          w->site.cls->name);
    layout(w, m, w->memory);
    return VITX_OK;
}

int vx_model_weight_bytes(size_t *out, size_t *turned, const vitx_model *model, const vx_site *site,
                          const char *precision, int from)
{
    const int depth = model->arch.depth;
    vx_weights w = {.site = *site, .precision = precision};
    VX_TRY(vx_new(&w.blocks, &model->hooks, (size_t)depth, sizeof *w.blocks, "the list of blocks"));
    const vx_arena measured = layout(&w, model, NULL);
    if (turned)
        *turned = vx_weights_turned_bytes(&w, depth, from);
    vx_release(&model->hooks, w.blocks);
    *out = measured.overflow ? SIZE_MAX : measured.size;
    return VITX_OK;
}

/* vx_visit_fn: a panel of the member's rows. */
static int grow_staging(const vx_member *m, void *place, int block, void *arg)
{
    vx_filler *f = arg;
    const vx_weight *w = place;
    (void)block;
    if (!m->matrix || !w->data)
        return VITX_OK;
    const size_t rows = (size_t)(w->n < w->packing->panel ? w->n : w->packing->panel);
    if (rows * (size_t)w->k > f->staging_size)
        f->staging_size = rows * (size_t)w->k;
    return VITX_OK;
}

static int fill_member(const vx_member *m, void *place, int block, void *filler)
{
    return vx_fill(filler, m, place, block);
}

/* The staging buffer holds a panel of the longest rows, and three rows of tokens. */
static int fill_all(const vx_weights *w, const vitx_model *m)
{
    const vx_arch *a = &m->arch;
    vx_filler f = {
        .w = w, .found = &m->found, .arch = a, .hooks = &m->hooks, .staging_size = STAGING};
    if (3 * (size_t)a->width > f.staging_size)
        f.staging_size = 3 * (size_t)a->width;
    vx_visit_all(w, a->depth, grow_staging, &f); /* which cannot fail */
    VX_TRY(vx_new(&f.staging, &m->hooks, f.staging_size, sizeof *f.staging, "the staging buffer"));
    int status = vx_visit_all(w, a->depth, fill_member, &f);
    for (int i = 0; i < m->container->file_count && status == VITX_OK; i++)
        status = vx_file_unchanged(m->container->files[i]);
    vx_container_rest(m->container);
    vx_release(&m->hooks, f.staging);
    return status;
}

static int copy_all(const vx_weights *to, const vx_weights *from)
{
    char text[160];
    return told(
        to,
        to->site.cls->mem_copy(&to->env, to->memory, from->memory, from->bytes, text, sizeof text),
        text);
}

/* From the model's files, or from weights that are packed already. */
static int pack(vx_weights **out, vitx_model *m, const vx_site *site, const char *precision,
                const vx_weights *from)
{
    vx_weights *w;
    VX_TRY(vx_new(&w, &m->hooks, 1, sizeof *w, "packed weights"));
    w->site = *site;
    w->precision = precision;
    w->turned_from = m->arch.depth + 1;
    w->changes = from != NULL;
    w->env = (vx_device_env){
        .alloc = env_alloc, .release = env_release, .owner = m, .ordinal = site->ordinal};
    int status = allocate(w, m);
    if (status == VITX_OK)
        status = from ? copy_all(w, from) : fill_all(w, m);
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
    return pack(out, model, &weights->site, weights->precision, weights);
}

void vx_weights_free(vx_weights *weights, const vitx_model *model)
{
    free_weights(weights, &model->hooks);
}

static bool same_site(const vx_site *a, const vx_site *b)
{
    return a->cls == b->cls && a->ordinal == b->ordinal;
}

/* The model's, or NULL. The lock is held. */
static vx_weights *packed_for(const vitx_model *model, const vx_site *site, const char *precision)
{
    vx_weights *w = model->packed;
    while (w && !(same_site(&w->site, site) && w->precision == precision))
        w = w->next;
    return w;
}

int vx_model_weights(const vx_weights **out, vitx_model *model, const vx_site *site,
                     const char *precision)
{
    *out = NULL;
    const char *name = vx_device_precision(site->cls, precision);
    if (!name)
        return vx_fail(VITX_DEVICE, "device %s has no precision \"%.40s\"", site->cls->name,
                       precision);
    pthread_mutex_lock(&model->lock);
    vx_weights *w = packed_for(model, site, name);
    int status = VITX_OK;
    if (!model->packed)
        status = vx_head_check(model);
    if (!w && status == VITX_OK) {
        status = pack(&w, model, site, name, NULL);
        if (status == VITX_OK) {
            w->next = model->packed;
            model->packed = w;
        }
    }
    pthread_mutex_unlock(&model->lock);
    *out = status == VITX_OK ? w : NULL;
    return status;
}

/* -------------------------------------------------------------------------- turning ------- */

typedef struct turning {
    vx_arena arena;
    const vx_weights *w;
    vx_device *dev; /* NULL: it is only measured */
} turning;

/* vx_visit_fn: W^T of a matrix, if the model has it. */
static int turn_member(const vx_member *m, void *place, int block, void *arg)
{
    turning *t = arg;
    vx_weight *w = place;
    const vx_device_class *cls = t->w->site.cls;
    const size_t bytes = m->matrix && w->n ? cls->turned_bytes(w) : 0;
    if (!bytes)
        return VITX_OK;
    void *const to = vx_arena_take(&t->arena, bytes, 1);
    if (t->dev) {
        cls->turn(t->dev, w, vx_member_gamma(t->w, m, block), to);
        w->turned = to;
    }
    return VITX_OK;
}

/* Blocks from..to-1; to > depth: and the pooling head, which gradients go through first. The
 * patches and the head are read once a picture. */
static void turn_groups(turning *t, int depth, int from, int to)
{
    if (to > depth)
        vx_visit_group(t->w, VX_GROUP_POOL, 0, turn_member, t); /* which cannot fail */
    for (int b = from; b < to && b < depth; b++)
        vx_visit_group(t->w, VX_GROUP_BLOCK, b, turn_member, t);
}

size_t vx_weights_turned_bytes(const vx_weights *weights, int depth, int from)
{
    turning t = {.w = weights};
    if (weights->site.cls->turn && from <= depth)
        turn_groups(&t, depth, from, depth + 1);
    return t.arena.overflow ? SIZE_MAX : t.arena.size;
}

/* Gives the view v what `last` lacks. */
static int turn_rest(vx_weights *v, const vx_weights *last, vx_device *dev, int depth, int from)
{
    char text[160];
    turning t = {.w = v};
    turn_groups(&t, depth, from, last->turned_from);
    const size_t bytes = t.arena.size;
    if (t.arena.overflow || !vx_add_size(&v->turned_bytes, v->turned_bytes, bytes))
        return vx_fail(VITX_NOMEM, "transposed weights have no size that fits memory");
    v->turned_from = from;
    if (!bytes)
        return VITX_OK;
    v->turned_memory = v->site.cls->mem_alloc(bytes, &v->env);
    if (!v->turned_memory)
        return vx_fail(VITX_NOMEM, "no memory for %zu bytes of transposed weights on device %s",
                       bytes, v->site.cls->name);
    t = (turning){.arena = {.base = v->turned_memory}, .w = v, .dev = dev};
    turn_groups(&t, depth, from, last->turned_from);
    return told(v, v->site.cls->sync(dev, text, sizeof text), text);
}

/* A new view in front of base->views. The lock is held. */
static int add_view(vx_weights *base, const vitx_model *m, vx_device *dev, int from)
{
    const vx_weights *last = base->views ? base->views : base;
    const size_t depth = (size_t)m->arch.depth;
    vx_weights *v;
    VX_TRY(vx_new(&v, &m->hooks, 1, sizeof *v, "packed weights"));
    *v = *last;
    v->next = base->views;
    v->views = NULL;
    v->turned_memory = NULL;
    int status = vx_new(&v->blocks, &m->hooks, depth, sizeof *v->blocks, "the list of blocks");
    if (status == VITX_OK) {
        memcpy(v->blocks, last->blocks, depth * sizeof *v->blocks);
        status = turn_rest(v, last, dev, m->arch.depth, from);
    }
    if (status != VITX_OK) {
        free_view(v, &m->hooks);
        return status;
    }
    base->views = v;
    return VITX_OK;
}

int vx_weights_turn(const vx_weights **out, vitx_model *model, const vx_weights *weights,
                    vx_device *dev, int from)
{
    const vx_device_class *cls = weights->site.cls;
    int status = VITX_OK;
    *out = weights;
    if (!cls->turn || weights->changes || weights->turned_from <= from)
        return VITX_OK;
    pthread_mutex_lock(&model->lock);
    vx_weights *base = packed_for(model, &weights->site, weights->precision);
    if (!base->views || base->views->turned_from > from)
        status = add_view(base, model, dev, from);
    if (status == VITX_OK)
        *out = base->views;
    pthread_mutex_unlock(&model->lock);
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
