/*
 * model/container.c: what every container format shares: lookup by name, and values as f32.
 *
 * Half formats: value = (-1)^s 2^(e-15) (1 + m/1024), or (-1)^s m 2^-24 where e is 0 (IEEE 754
 * binary16); bfloat16 is the upper half of a float. Files are little-endian, and so are the
 * processors that vitx runs on.
 */
#include "model/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "kernels/bits.h"
#include "model/lora.h"
#include "model/npz.h"

#define LANES 256  /* a constant number of steps lets the compiler use vectors */
#define CHUNK 1024 /* doubles read at once, or four times as many halfs: 8 KiB of stack */
#define MAX_KEY 400

int vx_container_open(vx_container **out, vx_shelf shelf, const char *path, const char *weights_key,
                      const vitx_hooks *hooks)
{
    const char *ending = vx_path_ending(path);
    if (!ending || !vx_same_word(ending, "npz"))
        return vx_safetensors_open(out, shelf, path, weights_key, hooks);
    if (weights_key)
        return vx_container_keyless(weights_key, path, "NumPy's archives");
    return vx_npz_open(out, shelf, path, hooks);
}

int vx_container_keyless(const char *weights_key, const char *path, const char *form)
{
    return vx_fail_field_in(VITX_INVALID, path, "weights_key",
                            "weights_key is \"%.40s\", but %s have no keys", weights_key, form);
}

int vx_container_make(vx_container **out, vx_shelf shelf, const char *path, const char *weights_key,
                      const vitx_hooks *hooks, int (*open)(vx_container *container))
{
    vx_container *c;
    *out = NULL;
    VX_TRY(vx_new(&c, hooks, 1, sizeof *c, "a list of tensors"));
    c->hooks = *hooks;
    c->shelf = shelf;
    c->weights_key = weights_key;
    int status = vx_strdup(&c->path, hooks, path);
    if (status == VITX_OK)
        status = open(c);
    c->shelf = (vx_shelf){0}; /* the caller's array and text may go */
    c->weights_key = NULL;
    if (status != VITX_OK) {
        vx_container_close(c);
        return status;
    }
    *out = c;
    return VITX_OK;
}

int vx_container_grow(vx_container *c, int count, size_t bytes)
{
    vx_tensor *tensors = NULL;
    char *names = NULL;
    int status = vx_new(&tensors, &c->hooks, (size_t)c->count + (size_t)count + 1, sizeof *tensors,
                        "the list of tensors");
    if (status == VITX_OK)
        status = vx_new(&names, &c->hooks, c->names_size + bytes + 1, 1, "the tensors' names");
    if (status != VITX_OK) {
        vx_release(&c->hooks, tensors);
        return status;
    }
    if (c->count) {
        memcpy(names, c->names, c->names_size);
        memcpy(tensors, c->tensors, (size_t)c->count * sizeof *tensors);
    }
    for (int i = 0; i < c->count; i++) {
        tensors[i].name = names + (c->tensors[i].name - c->names);
        if (tensors[i].key)
            tensors[i].key = names + (c->tensors[i].key - c->names);
    }
    vx_release(&c->hooks, c->tensors);
    vx_release(&c->hooks, c->names);
    c->tensors = tensors;
    c->names = names;
    return VITX_OK;
}

const char *vx_container_keep(vx_container *c, const char *name, size_t length)
{
    char *const kept = memcpy(c->names + c->names_size, name, length);
    kept[length] = '\0';
    c->names_size += length + 1;
    return kept;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const vx_tensor *)a)->key, ((const vx_tensor *)b)->key);
}

static int sort_keys(vx_container *c)
{
    if (c->count) /* of none there is no list, and qsort() takes no NULL */
        qsort(c->tensors, (size_t)c->count, sizeof *c->tensors, by_key);
    for (int i = 1; i < c->count; i++) {
        const vx_tensor *one = &c->tensors[i - 1], *other = &c->tensors[i];
        if (strcmp(one->key, other->key) != 0)
            continue;
        if (strcmp(one->name, other->name) != 0)
            return vx_fail_field_in(
                VITX_FORMAT, c->path, "ignore",
                "tensors %.100s and %.100s both stand for %.100s: leave one of them "
                "out with ignore",
                one->name, other->name, one->key);
        if (one->file == other->file)
            return vx_fail_in(VITX_FORMAT, c->path, "tensor %.100s occurs twice", one->name);
        return vx_fail_in(VITX_FORMAT, c->path, "tensor %.100s is in both %s and %s", one->name,
                          one->file->path, other->file->path);
    }
    return VITX_OK;
}

int vx_container_sort(vx_container *c)
{
    for (int i = 0; i < c->count; i++)
        c->tensors[i].key = c->tensors[i].name;
    return sort_keys(c);
}

int vx_container_rename(vx_container *c, vx_rename_fn *rename, void *arg)
{
    char key[MAX_KEY];
    const char **next; /* until the last is made, `rename` may look up the old ones */
    size_t bytes = 0;
    for (int i = 0; i < c->count; i++)
        if (rename(key, sizeof key, &c->tensors[i], arg))
            bytes += strlen(key) + 1;
    if (bytes == 0)
        return VITX_OK;
    VX_TRY(vx_container_grow(c, 0, bytes));
    VX_TRY(vx_new(&next, &c->hooks, (size_t)c->count, sizeof *next, "the tensors' names"));
    for (int i = 0; i < c->count; i++)
        if (rename(key, sizeof key, &c->tensors[i], arg))
            next[i] = vx_container_keep(c, key, strlen(key));
    for (int i = 0; i < c->count; i++)
        if (next[i])
            c->tensors[i].key = next[i];
    vx_release(&c->hooks, next);
    return sort_keys(c);
}

void vx_container_drop(vx_container *c, bool (*goes)(const vx_tensor *t, void *arg), void *arg)
{
    int left = 0;
    for (int i = 0; i < c->count; i++)
        if (!goes(&c->tensors[i], arg))
            c->tensors[left++] = c->tensors[i];
    c->count = left;
}

void vx_container_rest(vx_container *container)
{
    vx_npz_rest(container->npz);
}

void vx_container_close(vx_container *container)
{
    if (!container)
        return;
    const vitx_hooks hooks = container->hooks;
    vx_npz_close(container->npz);
    for (int i = 0; i < container->file_count; i++)
        vx_file_close(container->files[i]);
    vx_release(&hooks, container->files);
    vx_release(&hooks, container->loras);
    vx_release(&hooks, container->tensors);
    vx_release(&hooks, container->names);
    vx_release(&hooks, container->path);
    vx_release(&hooks, container);
}

static const vx_tensor *find_key(const vx_container *container, const char *key)
{
    int low = 0, high = container->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = strcmp(key, container->tensors[middle].key);
        if (order == 0)
            return &container->tensors[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const vx_tensor *vx_container_find(const vx_container *c, const char *key)
{
    char whole[MAX_KEY];
    const vx_tensor *found = NULL;
    if (c->through && snprintf(whole, sizeof whole, "%s%s", c->through, key) < MAX_KEY)
        found = find_key(c, whole);
    return found ? found : find_key(c, key);
}

const char *vx_dtype_name(vx_dtype dtype)
{
    static const char *const names[] = {"F32", "F16", "BF16", "F64", "other"};
    return names[dtype];
}

size_t vx_dtype_size(vx_dtype dtype)
{
    static const unsigned char sizes[] = {4, 2, 2, 8, 0};
    return sizes[dtype];
}

const char *vx_shape_text(char *text, size_t size, const int64_t *shape, int rank)
{
    size_t at = 0;
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "[", (long long)shape[i]);
    if (at < size)
        snprintf(text + at, size - at, "%s", rank ? "]" : "[]");
    return text;
}

/* -------------------------------------------------------------------------- views --------- */

/* A packed tensor's dimensions as axes. */
static void own_axes(vx_axis axis[VX_MAX_RANK], const vx_tensor *t)
{
    uint64_t stride = 1;
    if (t->axes) {
        memcpy(axis, t->axis, sizeof t->axis);
        return;
    }
    for (int i = t->rank - 1; i >= 0; i--) {
        axis[i] = (vx_axis){(uint64_t)t->shape[i], stride};
        stride *= axis[i].size; /* may wrap where a size is 0: then nothing is read */
    }
}

void vx_tensor_permute(vx_tensor *t, const unsigned char *order, const unsigned char *groups)
{
    vx_axis own[VX_MAX_RANK];
    own_axes(own, t);
    t->axes = t->rank;
    for (int i = 0; i < t->rank; i++)
        t->axis[i] = own[order[i]];
    int at = 0, rank = 0;
    for (; groups[rank]; rank++) {
        uint64_t size = 1;
        for (int i = 0; i < groups[rank]; i++)
            size *= t->axis[at++].size;
        t->shape[rank] = (int64_t)size;
    }
    t->rank = rank;
}

void vx_tensor_slice(vx_tensor *t, uint64_t i)
{
    vx_axis own[VX_MAX_RANK];
    own_axes(own, t);
    const uint64_t item = t->count ? t->bytes / t->count : 0;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): there is a first one */
    t->offset += i * own[0].stride * item;
    t->count /= own[0].size;
    t->bytes /= own[0].size;
    t->rank--;
    for (int k = 0; k < t->rank; k++) {
        t->shape[k] = t->shape[k + 1];
        t->axis[k] = own[k + 1];
    }
    t->axes = t->axes ? t->rank : 0;
}

/* -------------------------------------------------------------------------- values -------- */

/* All cases are computed and one is chosen by masks; no f32 subnormal occurs on the way, so it also
 * holds where the process has denormals read as zero. */
static float half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
    const uint32_t tiny = vx_float_bits((float)(int32_t)magnitude * 0x1p-24f);
    const uint32_t normal = (112u << 23) + (magnitude << 13);
    const uint32_t is_tiny = 0u - (magnitude < 0x400), is_infinite = 0u - (magnitude >= 0x7c00);
    return vx_bits_float(sign | (tiny & is_tiny) | (normal & ~is_tiny) |
                         (0x7f800000 & is_infinite));
}

static float bfloat_to_float(uint16_t bfloat)
{
    return vx_bits_float((uint32_t)bfloat << 16);
}

static void half_lanes(float *restrict dst, const uint16_t *restrict src)
{
    for (int i = 0; i < LANES; i++)
        dst[i] = half_to_float(src[i]);
}

static void bfloat_lanes(float *restrict dst, const uint16_t *restrict src)
{
    for (int i = 0; i < LANES; i++)
        dst[i] = bfloat_to_float(src[i]);
}

/* Any number beyond those of float becomes an infinity, which is refused as every one is. */
static void from_doubles(float *dst, const double *src, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)src[i];
}

/* From F16, BF16 or F64. */
static void convert(float *dst, const void *from, size_t count, vx_dtype dtype)
{
    const uint16_t *const src = from;
    size_t i = 0;
    if (dtype == VX_F64) {
        from_doubles(dst, from, count);
        return;
    }
    for (; count - i >= LANES; i += LANES)
        (dtype == VX_F16 ? half_lanes : bfloat_lanes)(dst + i, src + i);
    for (; i < count; i++)
        dst[i] = dtype == VX_F16 ? half_to_float(src[i]) : bfloat_to_float(src[i]);
}

static bool finite_lanes(const float *x)
{
    uint32_t bad = 0;
    for (int i = 0; i < LANES; i++)
        bad |= 0u - ((vx_float_bits(x[i]) & 0x7f800000) == 0x7f800000);
    return !bad;
}

/* First element that is no finite number, or count. */
static uint64_t find_bad(const float *x, uint64_t count)
{
    uint64_t i = 0;
    while (count - i >= LANES && finite_lanes(x + i))
        i += LANES;
    while (i < count && (vx_float_bits(x[i]) & 0x7f800000) != 0x7f800000)
        i++;
    return i;
}

static int read_others(const vx_tensor *tensor, float *dst, uint64_t first, uint64_t count)
{
    double piece[CHUNK];
    const size_t item = vx_dtype_size(tensor->dtype), most = sizeof piece / item;
    for (uint64_t i = 0; i < count; i += most) {
        const size_t n = count - i < most ? (size_t)(count - i) : most;
        VX_TRY(vx_file_read(tensor->file, piece, tensor->offset + item * (first + i), n * item));
        convert(dst + i, piece, n, tensor->dtype);
    }
    return VITX_OK;
}

static int read_loaded(const vx_tensor *tensor, float *dst, uint64_t first, size_t count)
{
    const void *data;
    VX_TRY(vx_npz_load(&data, tensor));
    if (tensor->dtype == VX_F32)
        memcpy(dst, (const float *)data + first, count * sizeof *dst);
    else
        convert(dst, (const char *)data + first * vx_dtype_size(tensor->dtype), count,
                tensor->dtype);
    return VITX_OK;
}

int vx_tensor_read_f32(const vx_tensor *tensor, float *dst, uint64_t first, uint64_t count)
{
    if (tensor->dtype == VX_DTYPE_OTHER)
        return vx_fail_in(VITX_UNSUPPORTED, tensor->file->path,
                          "tensor %.100s is %s; vitx reads F64, F32, F16 and BF16", tensor->name,
                          tensor->dtype_name);
    if (first > tensor->count || count > tensor->count - first || count > SIZE_MAX / sizeof *dst)
        return vx_fail_in(VITX_INVALID, tensor->file->path,
                          "tensor %.100s has %llu elements, asked for %llu from %llu", tensor->name,
                          (unsigned long long)tensor->count, (unsigned long long)count,
                          (unsigned long long)first);
    if (count == 0)
        return VITX_OK;
    if (tensor->npz)
        VX_TRY(read_loaded(tensor, dst, first, (size_t)count));
    else if (tensor->dtype == VX_F32)
        VX_TRY(vx_file_read(tensor->file, dst, tensor->offset + 4 * first, (size_t)count * 4));
    else
        VX_TRY(read_others(tensor, dst, first, count));
    if (tensor->lora)
        VX_TRY(vx_lora_add(tensor->lora, dst, first, count));
    const uint64_t bad = find_bad(dst, count);
    if (bad < count)
        return vx_fail_in(VITX_FORMAT, tensor->file->path, "tensor %.100s holds %s at element %llu",
                          tensor->name, vx_float_bits(dst[bad]) << 9 ? "a NaN" : "an infinity",
                          (unsigned long long)(first + bad));
    return VITX_OK;
}
