/*
 * model/safetensors.c: the safetensors format (README and safetensors/src/tensor.rs of
 * huggingface/safetensors@24b0b28).
 *
 *      u64 N, little-endian | N bytes of JSON, beginning with '{' | tensors
 *      {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Offsets count from byte 8+N. In the order of their offsets the tensors must lie side by side,
 * without holes or overlap, up to the file's last byte. A sharded model is several such files and
 * a .index.json whose "weight_map" says which tensor is in which.
 */
#include "model/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/kind.h"
#include "model/torch.h"

#define MAX_HEADER 100000000u        /* as the reference implementation */
#define MAX_VALUES ((size_t)1 << 20) /* of the header: 75,000 tensors of rank 8, some 100 MB */
#define MAX_INDEX ((size_t)1 << 24)
#define MAX_SHARDS 256 /* each stays open */

/* Bits of an element; the names are all that the format defines. */
static const struct {
    const char *name;
    vx_dtype dtype;
    unsigned bits;
} dtypes[] = {
    {"F32", VX_F32, 32},
    {"F16", VX_F16, 16},
    {"BF16", VX_BF16, 16},
    {"BOOL", VX_DTYPE_OTHER, 8},
    {"U8", VX_DTYPE_OTHER, 8},
    {"I8", VX_DTYPE_OTHER, 8},
    {"U16", VX_DTYPE_OTHER, 16},
    {"I16", VX_DTYPE_OTHER, 16},
    {"U32", VX_DTYPE_OTHER, 32},
    {"I32", VX_DTYPE_OTHER, 32},
    {"U64", VX_DTYPE_OTHER, 64},
    {"I64", VX_DTYPE_OTHER, 64},
    {"F64", VX_F64, 64},
    {"C64", VX_DTYPE_OTHER, 64},
    {"F4", VX_DTYPE_OTHER, 4},
    {"F6_E2M3", VX_DTYPE_OTHER, 6},
    {"F6_E3M2", VX_DTYPE_OTHER, 6},
    {"F8_E5M2", VX_DTYPE_OTHER, 8},
    {"F8_E4M3", VX_DTYPE_OTHER, 8},
    {"F8_E8M0", VX_DTYPE_OTHER, 8},
    {"F8_E4M3FNUZ", VX_DTYPE_OTHER, 8},
    {"F8_E5M2FNUZ", VX_DTYPE_OTHER, 8},
};

/* -------------------------------------------------------------------------- one tensor ---- */

static int read_dtype(vx_tensor *t, unsigned *bits, const vx_json *entry, const char *path)
{
    const char *name = vx_json_string(vx_json_get(entry, "dtype"));
    if (!name)
        return vx_fail_in(VITX_FORMAT, path, "tensor %.100s has no dtype", t->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            t->dtype_name = dtypes[i].name;
            t->dtype = dtypes[i].dtype;
            *bits = dtypes[i].bits;
            return VITX_OK;
        }
    return vx_fail_in(VITX_FORMAT, path,
                      "tensor %.100s has dtype \"%.20s\", which safetensors does not define",
                      t->name, name);
}

/* In C order, as the reference multiplies: a dimension of 0 makes what follows harmless. */
static int read_shape(vx_tensor *t, const vx_json *entry, const char *path)
{
    const vx_json *shape = vx_json_get(entry, "shape");
    if (!vx_json_is_array(shape))
        return vx_fail_in(VITX_FORMAT, path, "tensor %.100s has no shape", t->name);
    t->count = 1;
    for (const vx_json *d = vx_json_first(shape); d; d = vx_json_next(d)) {
        uint64_t size;
        if (t->rank == VX_MAX_RANK)
            return vx_fail_in(VITX_FORMAT, path, "tensor %.100s has more than %d dimensions",
                              t->name, VX_MAX_RANK);
        if (!vx_json_u64(d, &size))
            return vx_fail_in(VITX_FORMAT, path,
                              "dimension %d of tensor %.100s is no whole number up to 2^53",
                              t->rank, t->name);
        if (!vx_mul_u64(&t->count, t->count, size))
            return vx_fail_in(VITX_FORMAT, path, "the shape of tensor %.100s overflows", t->name);
        t->shape[t->rank++] = (int64_t)size;
    }
    return VITX_OK;
}

/* Sets offset to that within the buffer, for now. */
static int read_place(vx_tensor *t, unsigned bits, const vx_json *entry, const char *path)
{
    const vx_json *offsets = vx_json_get(entry, "data_offsets");
    const vx_json *first = vx_json_first(offsets);
    uint64_t begin, end, size;
    if (!vx_json_is_array(offsets) || vx_json_size(offsets) != 2 || !vx_json_u64(first, &begin) ||
        !vx_json_u64(vx_json_next(first), &end))
        return vx_fail_in(VITX_FORMAT, path,
                          "data_offsets of tensor %.100s are not two whole numbers up to 2^53",
                          t->name);
    if (end < begin)
        return vx_fail_in(VITX_FORMAT, path, "tensor %.100s ends at %llu, before its begin at %llu",
                          t->name, (unsigned long long)end, (unsigned long long)begin);
    if (!vx_mul_u64(&size, t->count, bits))
        return vx_fail_in(VITX_FORMAT, path, "the size of tensor %.100s overflows", t->name);
    char shape[200];
    if (size % 8 || size / 8 != end - begin)
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s takes %llu bytes, but %s of %s are %llu bits", t->name,
                          (unsigned long long)(end - begin),
                          vx_shape_text(shape, sizeof shape, t->shape, t->rank), t->dtype_name,
                          (unsigned long long)size);
    t->offset = begin;
    t->bytes = end - begin;
    return VITX_OK;
}

static int check_metadata(const vx_json *metadata, const char *path)
{
    if (!vx_json_is_object(metadata))
        return vx_fail_in(VITX_FORMAT, path, "__metadata__ is no object");
    for (const vx_json *m = vx_json_first(metadata); m; m = vx_json_next(m))
        if (!vx_json_string(m))
            return vx_fail_in(VITX_FORMAT, path, "__metadata__ \"%.100s\" is no string",
                              vx_json_key(m));
    return VITX_OK;
}

/* -------------------------------------------------------------------------- one file ------ */

static int by_offset(const void *a, const void *b)
{
    const vx_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Side by side from the buffer's first byte to the file's last. */
static int check_places(vx_tensor *tensors, int count, uint64_t buffer, const vx_file *file)
{
    uint64_t at = 0;
    qsort(tensors, (size_t)count, sizeof *tensors, by_offset);
    for (int i = 0; i < count; i++) {
        vx_tensor *t = &tensors[i];
        if (t->offset != at)
            return vx_fail_in(VITX_FORMAT, file->path,
                              "tensor %.100s begins at %llu, expected %llu: tensors %s", t->name,
                              (unsigned long long)t->offset, (unsigned long long)at,
                              t->offset < at ? "overlap" : "have a hole between them");
        at += t->bytes; /* below 2^54: both offsets are at most 2^53 */
        t->offset += buffer;
        t->file = file;
    }
    if (at != file->size - buffer)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "its tensors take %llu bytes, but %llu follow the header",
                          (unsigned long long)at, (unsigned long long)(file->size - buffer));
    return VITX_OK;
}

static int add_tensors(vx_container *c, const vx_json *header, uint64_t buffer, const vx_file *file)
{
    int count = 0;
    size_t bytes = 0;
    for (const vx_json *m = vx_json_first(header); m; m = vx_json_next(m), count++)
        bytes += strlen(vx_json_key(m)) + 1;
    VX_TRY(vx_container_grow(c, count, bytes));
    vx_tensor *const first = c->tensors + c->count;
    int added = 0;
    for (const vx_json *m = vx_json_first(header); m; m = vx_json_next(m)) {
        const char *name = vx_json_key(m);
        if (strcmp(name, "__metadata__") == 0) {
            VX_TRY(check_metadata(m, file->path));
            continue;
        }
        vx_tensor *t = &first[added++];
        *t = (vx_tensor){.name = vx_container_keep(c, name, strlen(name))};
        unsigned bits = 0;
        if (!vx_json_is_object(m))
            return vx_fail_in(VITX_FORMAT, file->path, "the entry of tensor %.100s is no object",
                              name);
        VX_TRY(read_dtype(t, &bits, m, file->path));
        VX_TRY(read_shape(t, m, file->path));
        VX_TRY(read_place(t, bits, m, file->path));
    }
    VX_TRY(check_places(first, added, buffer, file));
    c->count += added;
    return VITX_OK;
}

/* A file of another kind, if its first bytes tell it; VITX_OK for what may be safetensors. */
static int refuse_other_format(const vx_file *file)
{
    unsigned char bytes[VX_KIND_BYTES] = {0};
    const size_t n = file->size < sizeof bytes ? (size_t)file->size : sizeof bytes;
    VX_TRY(vx_file_read(file, bytes, 0, n));
    if (n > 8 && bytes[8] == '{' && memcmp(bytes + 4, "\0\0\0", 4) == 0)
        return VITX_OK; /* a length, then the header */
    const char *kind = vx_kind_of(bytes, n);
    if (memcmp(bytes, "version ", 8) == 0) /* what git leaves where git-lfs is not installed */
        return vx_fail_in(VITX_FORMAT, file->path,
                          "a pointer of Git LFS, not the weights: git lfs pull gets them");
    if (bytes[0] == '{')
        return vx_fail_in(VITX_FORMAT, file->path,
                          "JSON, not weights: give the folder, or its weights' file");
    return kind ? vx_fail_in(VITX_FORMAT, file->path, "%s, no safetensors file", kind) : VITX_OK;
}

/* The header's length, checked against the file; *n is at most MAX_HEADER. */
static int read_length(size_t *n, const vx_file *file)
{
    unsigned char bytes[8];
    uint64_t length = 0;
    VX_TRY(refuse_other_format(file));
    if (file->size < 8)
        return vx_fail_in(VITX_FORMAT, file->path, "%llu bytes, too short for a safetensors file",
                          (unsigned long long)file->size);
    VX_TRY(vx_file_read(file, bytes, 0, 8));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > MAX_HEADER)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "no safetensors file: its first 8 bytes tell of a header of %llu bytes, "
                          "at most %u are allowed",
                          (unsigned long long)length, MAX_HEADER);
    if (length > file->size - 8)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "cut short: the header is %llu bytes, but only %llu follow",
                          (unsigned long long)length, (unsigned long long)(file->size - 8));
    *n = (size_t)length;
    return VITX_OK;
}

/* The n bytes behind the length, read into text [n+1]. */
static int parse_header(vx_json **out, char *text, size_t n, const vx_file *file)
{
    VX_TRY(vx_file_read(file, text, 8, n));
    if (n == 0 || text[0] != '{')
        return vx_fail_in(VITX_FORMAT, file->path,
                          "no safetensors file: its header does not begin with {");
    /* An entry of 14 values (rank 8) takes more than 56 bytes, so n/4 is never reached by what the
     * format allows; the tree stays within some 30 times the header's length. */
    const size_t most = n / 4 + 64 < MAX_VALUES ? n / 4 + 64 : MAX_VALUES;
    return vx_json_parse(out, text, n, file->path, most);
}

/* *buffer: where the tensors begin. */
static int read_header(vx_json **out, size_t *buffer, const vx_file *file, const vitx_hooks *hooks)
{
    char *text;
    size_t n = 0;
    VX_TRY(read_length(&n, file));
    VX_TRY(vx_new(&text, hooks, n + 1, 1, "a safetensors header"));
    const int status = parse_header(out, text, n, file);
    vx_release(hooks, text);
    *buffer = 8 + n;
    return status;
}

/* Opens one file and adds its tensors. The file belongs to the container from then on. */
static int add_file(vx_container *c, const char *path)
{
    vx_file *file;
    vx_json *header;
    size_t buffer;
    bool torch;
    VX_TRY(vx_file_open_in(&file, c->shelf, path, &c->hooks));
    c->files[c->file_count++] = file;
    VX_TRY(vx_torch_add(&torch, c, file));
    if (torch)
        return VITX_OK;
    if (c->weights_key)
        return vx_container_keyless(c->weights_key, path, "safetensors files");
    VX_TRY(read_header(&header, &buffer, file, &c->hooks));
    snprintf(c->form, sizeof c->form, "safetensors");
    const int status = add_tensors(c, header, buffer, file);
    vx_json_free(header);
    return status;
}

/* -------------------------------------------------------------------------- shards -------- */

bool vx_safetensors_is_index(const char *path)
{
    static const char ending[] = ".index.json";
    const size_t n = strlen(path), m = sizeof ending - 1;
    return n >= m && strcmp(path + n - m, ending) == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool plain_name(const char *name)
{
    return name[0] && !strchr(name, '/') && !strchr(name, '\\') && !strstr(name, "..");
}

/* The different shard names of a weight_map, sorted; they belong to the map. */
static int list_shards(const char **shards, int *count, const vx_json *map, const char *path)
{
    *count = 0;
    for (const vx_json *m = vx_json_first(map); m; m = vx_json_next(m)) {
        const char *name = vx_json_string(m);
        if (!name || !plain_name(name))
            return vx_fail_in(VITX_FORMAT, path, "the shard of tensor %.100s is no plain file name",
                              vx_json_key(m));
        if (*count && bsearch(&name, shards, (size_t)*count, sizeof *shards, by_text))
            continue;
        if (*count == MAX_SHARDS)
            return vx_fail_in(VITX_FORMAT, path, "more than %d shards", MAX_SHARDS);
        shards[(*count)++] = name;
        qsort(shards, (size_t)*count, sizeof *shards, by_text);
    }
    return VITX_OK;
}

/* Both lists are sorted by name, so they are compared side by side. */
static int check_map(const vx_container *c, const vx_json *map, const char *const *shards)
{
    int i = 0;
    for (const vx_json *m = vx_json_first(map); m; m = vx_json_next(m), i++) {
        const char *name = vx_json_key(m), *shard = vx_json_string(m);
        const int order = i < c->count ? strcmp(c->tensors[i].key, name) : 1;
        if (order > 0)
            return vx_fail_in(VITX_FORMAT, c->path,
                              "tensor %.100s is not in shard %.100s, nor in another", name, shard);
        if (order < 0)
            break;
        int at = 0;
        while (c->files[at] != c->tensors[i].file)
            at++;
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): no shards, no tensors */
        if (strcmp(shards[at], shard) != 0)
            return vx_fail_in(VITX_FORMAT, c->path,
                              "tensor %.100s is in shard %s, expected in %.100s", name, shards[at],
                              shard);
    }
    if (i < c->count)
        return vx_fail_in(VITX_FORMAT, c->path, "does not list tensor %.100s of %s",
                          c->tensors[i].name, c->tensors[i].file->path);
    return VITX_OK;
}

static int add_shard(vx_container *c, const char *folder, const char *name)
{
    char *path;
    VX_TRY(vx_path_join(&path, &c->hooks, folder, name));
    const int status = add_file(c, path);
    vx_release(&c->hooks, path);
    return status;
}

static int add_shards(vx_container *c, const char *const *shards, int count)
{
    char *folder;
    VX_TRY(vx_new(&c->files, &c->hooks, (size_t)count + 1, sizeof *c->files, "a list of files"));
    VX_TRY(vx_path_folder(&folder, &c->hooks, c->path));
    int status = VITX_OK;
    for (int i = 0; i < count && status == VITX_OK; i++)
        status = add_shard(c, folder, shards[i]);
    vx_release(&c->hooks, folder);
    return status;
}

static int open_shards(vx_container *c, const vx_json *index)
{
    const vx_json *map = vx_json_get(index, "weight_map");
    const char *shards[MAX_SHARDS];
    int count;
    if (!vx_json_is_object(map))
        return vx_fail_in(VITX_FORMAT, c->path, "has no weight_map");
    VX_TRY(list_shards(shards, &count, map, c->path));
    VX_TRY(add_shards(c, shards, count));
    VX_TRY(vx_container_sort(c));
    return check_map(c, map, shards);
}

static int parse_index(vx_json **out, const vx_container *c)
{
    char *text;
    size_t bytes;
    VX_TRY(vx_file_load_in(&text, &bytes, c->shelf, c->path, MAX_INDEX, &c->hooks));
    const int status = vx_json_parse(out, text, bytes, c->path, bytes / 4 + 64);
    vx_release(&c->hooks, text);
    return status;
}

static int open_index(vx_container *c)
{
    vx_json *index;
    VX_TRY(parse_index(&index, c));
    const int status = open_shards(c, index);
    vx_json_free(index);
    return status;
}

static int open_single(vx_container *c)
{
    VX_TRY(vx_new(&c->files, &c->hooks, 1, sizeof *c->files, "a list of files"));
    VX_TRY(add_file(c, c->path));
    return vx_container_sort(c);
}

static int open_any(vx_container *c)
{
    return vx_safetensors_is_index(c->path) ? open_index(c) : open_single(c);
}

int vx_safetensors_open(vx_container **out, vx_shelf shelf, const char *path,
                        const char *weights_key, const vitx_hooks *hooks)
{
    return vx_container_make(out, shelf, path, weights_key, hooks, open_any);
}
