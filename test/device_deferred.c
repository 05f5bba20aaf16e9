/*
 * test/device_deferred.c: the device "deferred": ref, whose operations and copies run at sync, as
 * late as device.h allows. Its memory is walled as well, and it says so if an operation is given
 * memory of the host.
 *
 * What an operation has on the host (its struct, its vx_weight or vx_recorded, its host arrays) is
 * copied at the call. The host's side of a copy is not: an upload reads its source at sync, and
 * says so if it is no longer what it was at the call; a download fills its target with 0xff (NaN)
 * at the call, and says so if somebody wrote there before sync. (Freed memory is overwritten if
 * MALLOC_PERTURB_ is set, and test/run.sh sets it.)
 */
#include "device_deferred.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "far_memory.h"
#include "kernels/host.h"

extern const vx_device_class vx_device_deferred;

enum { KEPT = 2 };

typedef struct task {
    struct task *next;
    void (*run)(vx_device *dev, struct task *t);
    void *args;               /* an operation's struct */
    void *kept[KEPT];         /* what it points to on the host */
    void *far, *near, *found; /* a copy: its sides; what the host's side held at the call */
    size_t bytes;
    bool is_copy;
} task;

typedef struct list {
    task *first, **last;
} list;

typedef struct deferred {
    vx_device dev;
    list tasks, early; /* early uploads that have not been joined */
    bool in_list;
    char broken[120]; /* the first promise that was not kept; "" */
} deferred;

static void *must(void *memory)
{
    if (memory)
        return memory;
    fprintf(stderr, "deferred: no memory\n");
    abort();
}

static void *twin(const void *from, size_t bytes)
{
    return memcpy(must(malloc(bytes ? bytes : 1)), from, bytes);
}

static task *append(list *to, void (*run)(vx_device *, task *))
{
    task *t = must(calloc(1, sizeof *t));
    t->run = run;
    *to->last = t;
    to->last = &t->next;
    return t;
}

static task *queue(vx_device *dev, void (*run)(vx_device *, task *))
{
    return append(&((deferred *)dev)->tasks, run);
}

static int count_in(const list *in, bool copies)
{
    int n = 0;
    for (const task *t = in->first; t; t = t->next)
        n += !copies || t->is_copy;
    return n;
}

static int count(const vx_device *dev, bool copies)
{
    const deferred *d = (const deferred *)dev;
    return count_in(&d->tasks, copies) + count_in(&d->early, copies);
}

int deferred_queued(const vx_device *dev)
{
    return count(dev, false);
}

int deferred_copies(const vx_device *dev)
{
    return count(dev, true);
}

/* ------------------------------------------------------------------ operations ------------- */

/* A copy of host memory that goes with the task. */
static const void *keep(task *t, const void *from, size_t bytes)
{
    if (!from)
        return NULL;
    int i = 0;
    while (t->kept[i])
        i++;
    return t->kept[i] = twin(from, bytes);
}

static void keep_nothing(task *t, void *a)
{
    (void)t;
    (void)a;
}

#define KEEPS_WEIGHT(name)                                                                         \
    static void keep_##name(task *t, vx_##name *a)                                                 \
    {                                                                                              \
        a->w = keep(t, a->w, sizeof *a->w);                                                        \
    }
KEEPS_WEIGHT(linear)
KEEPS_WEIGHT(linear_bwd)
KEEPS_WEIGHT(patch_embed)
KEEPS_WEIGHT(patch_embed_bwd)

static void keep_resample(task *t, vx_resample *a)
{
    a->pictures = keep(t, a->pictures, (size_t)a->batch * sizeof *a->pictures);
}

static void keep_attention(task *t, vx_attention *a)
{
    if (a->starts)
        a->tokens_of = keep(t, a->tokens_of, (size_t)a->starts[a->batch] * sizeof *a->tokens_of);
    a->starts = keep(t, a->starts, ((size_t)a->batch + 1) * sizeof *a->starts);
}

static void keep_rotate(task *t, vx_rotate *a)
{
    a->tokens_of = keep(t, a->tokens_of, (size_t)a->rows * sizeof *a->tokens_of);
}

static void keep_mean_tokens(task *t, vx_mean_tokens *a)
{
    a->starts = keep(t, a->starts, ((size_t)a->batch + 1) * sizeof *a->starts);
}

static void keep_attention_replaced(task *t, vx_attention_replaced *a)
{
    a->channels = keep(t, a->channels, (size_t)a->count * sizeof *a->channels);
}

static void keep_replace_channels(task *t, vx_replace_channels *a)
{
    a->channels = keep(t, a->channels, (size_t)a->count * sizeof *a->channels);
}

static void keep_gather_rows(task *t, vx_gather_rows *a)
{
    a->from = keep(t, a->from, (size_t)a->rows * sizeof *a->from);
}

static void keep_add_weighted(task *t, vx_add_weighted *a)
{
    a->weights = keep(t, a->weights, (size_t)a->samples * sizeof *a->weights);
}

static void keep_masks(task *t, vx_masks *m, int n)
{
    m->shifts = keep(t, m->shifts, 2 * (size_t)n * sizeof *m->shifts);
}

static void keep_blend(task *t, vx_blend *a)
{
    a->values = keep(t, a->values, (size_t)a->n * sizeof *a->values);
    keep_masks(t, &a->masks, a->n);
}

static void keep_mask_range(task *t, vx_mask_range *a)
{
    keep_masks(t, &a->masks, a->n);
}

static void keep_add_masks(task *t, vx_add_masks *a)
{
    a->weights = keep(t, a->weights, (size_t)a->n * sizeof *a->weights);
    keep_masks(t, &a->masks, a->n);
}

static void keep_attn_fuse(task *t, vx_attn_fuse *a)
{
    a->record = keep(t, a->record, sizeof *a->record);
}

static void keep_attn_row(task *t, vx_attn_row *a)
{
    a->record = keep(t, a->record, sizeof *a->record);
}

/* What of an operation lies on the host beside its struct: ops.h names it. */
#define KEEP(a)                                                                                    \
    _Generic(*(a), vx_linear                                                                       \
             : keep_linear, vx_linear_bwd                                                          \
             : keep_linear_bwd, vx_patch_embed                                                     \
             : keep_patch_embed, vx_patch_embed_bwd                                                \
             : keep_patch_embed_bwd, vx_resample                                                   \
             : keep_resample, vx_attention                                                         \
             : keep_attention, vx_rotate                                                           \
             : keep_rotate, vx_mean_tokens                                                         \
             : keep_mean_tokens, vx_attention_replaced                                             \
             : keep_attention_replaced, vx_replace_channels                                        \
             : keep_replace_channels, vx_gather_rows                                               \
             : keep_gather_rows, vx_add_weighted                                                   \
             : keep_add_weighted, vx_blend                                                         \
             : keep_blend, vx_mask_range                                                           \
             : keep_mask_range, vx_add_masks                                                       \
             : keep_add_masks, vx_attn_fuse                                                        \
             : keep_attn_fuse, vx_attn_row                                                         \
             : keep_attn_row, default                                                              \
             : keep_nothing)

/* The tensors of an operation lie in far memory. Nothing says which members are pointers, so every
 * eight bytes that are an address of the process's own memory count as one, unless the lower four
 * look like an int: the upper four are padding then, which may hold anything. */
static void check_far(vx_device *dev, const task *t, const char *name, const void *args,
                      size_t bytes)
{
    deferred *d = (deferred *)dev;
    for (size_t at = 0; at + sizeof(void *) <= bytes; at += sizeof(void *)) {
        const void *p;
        memcpy(&p, (const char *)args + at, sizeof p);
        bool kept = ((uintptr_t)p & 0xffffffff) < 1 << 20 || p == (const void *)far_packings[0];
        for (size_t i = 0; i < KEPT; i++)
            kept = kept || p == t->kept[i];
        if (!kept && near_holds(p) && !d->broken[0])
            snprintf(d->broken, sizeof d->broken, "the operation %s was given host memory", name);
    }
}

#define VX_OP(name)                                                                                \
    static void run_##name(vx_device *dev, task *t)                                                \
    {                                                                                              \
        vx_##name##_ref(dev, t->args);                                                             \
    }                                                                                              \
    static void deferred_##name(vx_device *dev, const vx_##name *a)                                \
    {                                                                                              \
        task *t = queue(dev, run_##name);                                                          \
        vx_##name *args = t->args = twin(a, sizeof *a);                                            \
        KEEP(args)(t, args);                                                                       \
        check_far(dev, t, #name, args, sizeof *args);                                              \
    }
#include "kernels/ops.def"
#undef VX_OP

/* ------------------------------------------------------------------ copies ----------------- */

static void check(vx_device *dev, const task *t, const char *what)
{
    deferred *d = (deferred *)dev;
    if (memcmp(t->near, t->found, t->bytes) != 0 && !d->broken[0])
        snprintf(d->broken, sizeof d->broken, "%s before sync (%zu bytes)", what, t->bytes);
}

static void run_upload(vx_device *dev, task *t)
{
    check(dev, t, "the source of an upload was changed");
    far_upload(t->far, t->near, t->bytes);
}

static void run_download(vx_device *dev, task *t)
{
    check(dev, t, "the target of a download was written");
    far_download(t->near, t->far, t->bytes);
}

static void queue_copy(list *to, void (*run)(vx_device *, task *), void *far, void *near,
                       size_t bytes)
{
    task *t = append(to, run);
    t->far = far;
    t->near = near;
    t->bytes = bytes;
    t->found = twin(near, bytes);
    t->is_copy = true;
}

static void upload(vx_device *dev, void *device_dst, const void *host_src, size_t bytes)
{
    queue_copy(&((deferred *)dev)->tasks, run_upload, device_dst, (void *)(uintptr_t)host_src,
               bytes);
}

/* An early upload has begun when it is called, so that what was queued before finds no numbers
 * there, and ends with the next join. */
static void upload_early(vx_device *dev, void *device_dst, const void *host_src, size_t bytes)
{
    unsigned char poison[4096];
    deferred *d = (deferred *)dev;
    memset(poison, 0xff, sizeof poison);
    queue_copy(&d->early, run_upload, device_dst, (void *)(uintptr_t)host_src, bytes);
    far_open();
    for (size_t at = 0; at < bytes; at += sizeof poison)
        far_upload((char *)device_dst + at, poison,
                   bytes - at < sizeof poison ? bytes - at : sizeof poison);
    far_close();
}

static void upload_join(vx_device *dev)
{
    deferred *d = (deferred *)dev;
    if (!d->early.first)
        return;
    *d->tasks.last = d->early.first;
    d->tasks.last = d->early.last;
    d->early = (list){NULL, &d->early.first};
}

static void download(vx_device *dev, void *host_dst, const void *device_src, size_t bytes)
{
    memset(host_dst, 0xff, bytes);
    queue_copy(&((deferred *)dev)->tasks, run_download, (void *)(uintptr_t)device_src, host_dst,
               bytes);
}

/* ------------------------------------------------------------------ lists ------------------ */

static void list_step(vx_device *dev, bool begins)
{
    deferred *d = (deferred *)dev;
    if (d->in_list == begins && !d->broken[0])
        snprintf(d->broken, sizeof d->broken, "a list %s",
                 begins ? "began in another one" : "ended that had not begun");
    d->in_list = begins;
}

static void list_begin(vx_device *dev)
{
    list_step(dev, true);
}

static void list_end(vx_device *dev)
{
    list_step(dev, false);
}

/* ------------------------------------------------------------------ the device ------------- */

static int sync(vx_device *dev, char *err, size_t err_size)
{
    deferred *d = (deferred *)dev;
    task *next;
    upload_join(dev);
    far_open();
    for (task *t = d->tasks.first; t; t = next) {
        t->run(dev, t);
        next = t->next;
        for (size_t i = 0; i < KEPT; i++)
            free(t->kept[i]);
        free(t->args);
        free(t->found);
        free(t);
    }
    far_close();
    d->tasks = (list){NULL, &d->tasks.first};
    if (!d->broken[0])
        return 0;
    snprintf(err, err_size, "%s", d->broken);
    d->broken[0] = '\0';
    return VX_DEVICE_FAILED;
}

static int open_deferred(vx_device **out, const vx_device_env *env, const char *precision,
                         unsigned features, char *err, size_t err_size)
{
    (void)features;
    *out = NULL;
    if (vx_host_check_precision("deferred", precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    deferred *d = env->alloc(sizeof *d, env->owner);
    if (!d) {
        snprintf(err, err_size, "no memory for the device deferred");
        return VX_DEVICE_NOMEM;
    }
    *d = (deferred){.dev = {.cls = &vx_device_deferred, .env = *env},
                    .tasks = {NULL, &d->tasks.first},
                    .early = {NULL, &d->early.first}};
    snprintf(d->dev.kernels, sizeof d->dev.kernels, "scalar reference, as late as possible");
#define VX_OP(name) d->dev.ops.name = deferred_##name;
#include "kernels/ops.def"
#undef VX_OP
    *out = &d->dev;
    return 0;
}

static void close_deferred(vx_device *dev)
{
    if (!dev)
        return;
    if (deferred_queued(dev) || ((deferred *)dev)->in_list) {
        fprintf(stderr, "deferred: closed with work queued, or in a list\n");
        abort();
    }
    dev->env.release(dev, dev->env.owner);
}

static int reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    (void)dev;
    (void)max;
    (void)err;
    (void)err_size;
    return 0;
}

static size_t reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    (void)dev;
    (void)max;
    return 0;
}

const vx_device_class vx_device_deferred = {
    .name = "deferred",
    .host_memory = 0,
    .pictures = 1,
    .precision_at = vx_host_precision_at,
    .packings = far_packings,
    .packing_for = far_packing_for,
    .probe = vx_host_probe,
    .open = open_deferred,
    .close = close_deferred,
    .reserve = reserve,
    .reserve_bytes = reserve_bytes,
    .mem_alloc = far_alloc,
    .mem_free = far_free,
    .mem_write = far_mem_write,
    .mem_read = far_mem_read,
    .mem_copy = far_mem_copy,
    .upload = upload,
    .upload_early = upload_early,
    .upload_join = upload_join,
    .download = download,
    .sync = sync,
    .list_begin = list_begin,
    .list_end = list_end,
};
