/*
 * model/npz.c: NumPy's .npz: a zip archive of .npy members (numpy/lib/format.py, 1.0 to 3.0).
 *
 *      "\x93NUMPY" | major | minor | u16 or (from 2.0) u32 N | N bytes of header | elements
 *      {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *
 * A bfloat16 array is written as 2-byte raw data ("V2"). A member must be exactly as long as its
 * header says, so nothing unfolds to more than its shape takes.
 *
 * How elements are read: a member's bytes are met from first to last (deflate allows no other way,
 * and a checksum covers all of them), but matrices lie transposed in these files and the engine
 * wants rows. So a tensor is loaded whole, brought into the order of its axes, and kept until the
 * next one is loaded: twice the largest tensor's bytes at most, for as long as weights are packed.
 * A member that holds the matrices of all layers is many tensors; its reader stays where the last
 * one ended, since the next layer follows. As many readers are kept as such a layer has members,
 * and one that must go back begins anew.
 */
#include "model/npz.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/zip.h"

#define READERS 32        /* a layer has 16 members; a reader takes some 60 KB */
#define MAX_HEADER 65535u /* numpy writes at most 10,000 */
#define TILE 32           /* elements a side: both sides of a transposition stay in the cache */
#define MAX_SIZE (UINT64_C(1) << 53)

typedef struct reader {
    vx_zip_stream *stream; /* NULL: free */
    int member;
    uint64_t used; /* when, in loads */
} reader;

struct vx_npz {
    vitx_hooks hooks;
    vx_zip zip;
    char (*descr)[16]; /* of each member, what dtype_name of its tensors points to */
    reader readers[READERS];
    uint64_t loads;
    vx_tensor loaded; /* whose elements `data` are, NULL for none */
    void *data;
};

/* -------------------------------------------------------------------------- header -------- */

/* What is left of a header: a Python literal. */
typedef struct literal {
    const char *at, *end;
} literal;

static void skip_spaces(literal *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\t'))
        l->at++;
}

/* Whether `mark` is next, after spaces; it is passed. */
static bool next_is(literal *l, char mark)
{
    skip_spaces(l);
    if (l->at == l->end || *l->at != mark)
        return false;
    l->at++;
    return true;
}

/* A string without escapes, as all of these are. */
static bool read_string(char *out, size_t size, literal *l)
{
    skip_spaces(l);
    if (l->at == l->end || (*l->at != '\'' && *l->at != '"'))
        return false;
    const char quote = *l->at++;
    size_t n = 0;
    while (l->at < l->end && *l->at != quote) {
        if (*l->at == '\\' || *l->at < ' ' || n + 1 == size)
            return false;
        out[n++] = *l->at++;
    }
    out[n] = '\0';
    return next_is(l, quote);
}

static bool read_bool(bool *out, literal *l)
{
    static const char *const words[] = {"False", "True"};
    skip_spaces(l);
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(l->end - l->at) >= n && memcmp(l->at, words[i], n) == 0) {
            l->at += n;
            *out = i;
            return true;
        }
    }
    return false;
}

/* A whole number up to 2^53; Python 2 wrote an L after long ones. */
static bool read_size(uint64_t *out, literal *l)
{
    uint64_t value = 0;
    skip_spaces(l);
    const char *const start = l->at;
    for (; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++) {
        value = value * 10 + (uint64_t)(*l->at - '0');
        if (value > MAX_SIZE)
            return false;
    }
    if (l->at == start)
        return false;
    if (l->at < l->end && *l->at == 'L')
        l->at++;
    *out = value;
    return true;
}

/* (), (2,), (2, 3) or (2, 3,). False: none of them, or more than VX_MAX_RANK. */
static bool read_shape(vx_tensor *t, literal *l)
{
    bool comma = true;
    t->rank = 0;
    if (!next_is(l, '('))
        return false;
    while (!next_is(l, ')')) {
        uint64_t size;
        if (!comma || t->rank == VX_MAX_RANK || !read_size(&size, l))
            return false;
        t->shape[t->rank++] = (int64_t)size;
        comma = next_is(l, ',');
    }
    return t->rank != 1 || comma; /* (2) is a number */
}

/* Each of the three keys once, in any order. */
static bool read_dict(vx_tensor *t, char descr[16], bool *fortran, literal *l)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false, false, false}, comma = true;
    if (!next_is(l, '{'))
        return false;
    while (!next_is(l, '}')) {
        char key[16];
        int k = 0;
        if (!comma || !read_string(key, sizeof key, l) || !next_is(l, ':'))
            return false;
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen[k])
            return false;
        seen[k] = true;
        if (k == 0   ? !read_string(descr, 16, l)
            : k == 1 ? !read_bool(fortran, l)
                     : !read_shape(t, l))
            return false;
        comma = next_is(l, ',');
    }
    skip_spaces(l);
    return l->at == l->end && seen[0] && seen[1] && seen[2];
}

/* Bytes of an element; 0: unknown, or without a size, as Python's objects. */
static uint64_t read_descr(vx_dtype *dtype, const char *descr)
{
    static const struct {
        const char *descr;
        vx_dtype dtype;
    } known[] = {
        {"<f4", VX_F32}, {"<f2", VX_F16}, {"|V2", VX_BF16}, {"<V2", VX_BF16}, {"<f8", VX_F64}};
    int digits;
    *dtype = VX_DTYPE_OTHER;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(descr, known[i].descr) == 0)
            *dtype = known[i].dtype;
    if (strlen(descr) < 3 || !strchr("<>|=", descr[0]) || !strchr("biufcVSU", descr[1]) ||
        !vx_parse_int(descr + 2, &digits) || digits < 1)
        return 0;
    return (uint64_t)digits * (descr[1] == 'U' ? 4 : 1);
}

/* -------------------------------------------------------------------------- member -------- */

/* Axes of an array whose first index runs fastest. */
static void set_fortran_axes(vx_tensor *t)
{
    uint64_t stride = 1;
    if (t->rank < 2 || t->count < 2)
        return;
    t->axes = t->rank;
    for (int i = 0; i < t->rank; i++) {
        t->axis[i] = (vx_axis){(uint64_t)t->shape[i], stride};
        stride *= (uint64_t)t->shape[i];
    }
}

/* Whether the member is as long as its header says; `start` is where its elements begin. */
static int check_size(vx_tensor *t, uint64_t item, uint64_t start, const vx_zip_member *m,
                      const char *path)
{
    char shape[200];
    t->count = 1;
    for (int i = 0; i < t->rank; i++)
        if (!vx_mul_u64(&t->count, t->count, (uint64_t)t->shape[i]))
            return vx_fail_in(VITX_FORMAT, path, "the shape of tensor %.100s overflows", t->name);
    if (!vx_mul_u64(&t->bytes, t->count, item))
        return vx_fail_in(VITX_FORMAT, path, "the size of tensor %.100s overflows", t->name);
    if (m->size < start || m->size - start != t->bytes)
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s takes %llu bytes behind its header, but %s of %s are %llu",
                          t->name, (unsigned long long)(m->size - start),
                          vx_shape_text(shape, sizeof shape, t->shape, t->rank), t->dtype_name,
                          (unsigned long long)t->bytes);
    t->offset = start;
    return VITX_OK;
}

/* The .npy header at the beginning of a member; `text` has room for MAX_HEADER bytes. */
static int read_header(literal *out, uint64_t *start, char *text, vx_zip_stream *stream,
                       const vx_tensor *t, const char *path)
{
    unsigned char magic[12];
    VX_TRY(vx_zip_read(stream, magic, 10));
    if (memcmp(magic, "\x93NUMPY", 6) != 0)
        return vx_fail_in(VITX_FORMAT, path, "member %.100s.npy is no .npy array", t->name);
    if (magic[6] < 1 || magic[6] > 3 || magic[7] != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "tensor %.100s has .npy version %d.%d; 1.0 to 3.0 are read", t->name,
                          magic[6], magic[7]);
    if (magic[6] > 1)
        VX_TRY(vx_zip_read(stream, magic + 10, 2));
    else
        magic[10] = magic[11] = 0;
    const uint32_t n =
        magic[8] | (uint32_t)magic[9] << 8 | (uint32_t)magic[10] << 16 | (uint32_t)magic[11] << 24;
    if (n > MAX_HEADER)
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s has a header of %u bytes, at most %u are read", t->name, n,
                          MAX_HEADER);
    VX_TRY(vx_zip_read(stream, text, n));
    *out = (literal){text, text + n};
    *start = vx_zip_at(stream);
    return VITX_OK;
}

static int read_tensor(vx_tensor *t, char descr[16], char *text, vx_zip_stream *stream,
                       const vx_zip_member *m, const char *path)
{
    literal l;
    uint64_t start = 0;
    bool fortran = false;
    VX_TRY(read_header(&l, &start, text, stream, t, path));
    if (!read_dict(t, descr, &fortran, &l))
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s: its .npy header is no {'descr', 'fortran_order', "
                          "'shape'} of a plain array of at most %d dimensions",
                          t->name, VX_MAX_RANK);
    const uint64_t item = read_descr(&t->dtype, descr);
    t->dtype_name = descr;
    if (item == 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "tensor %.100s is of dtype \"%.15s\", which vitx does not read", t->name,
                          descr);
    VX_TRY(check_size(t, item, start, m, path));
    if (fortran)
        set_fortran_axes(t);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- opening ------- */

static int add_member(vx_container *c, int member, char *text)
{
    vx_npz *const npz = c->npz;
    const vx_zip_member *m = &npz->zip.members[member];
    const size_t length = strlen(m->name);
    vx_zip_stream *stream;
    if (length < 4 || strcmp(m->name + length - 4, ".npy") != 0)
        return vx_fail_in(VITX_FORMAT, c->path, "member %.100s is no .npy array", m->name);
    vx_tensor *t = &c->tensors[c->count++];
    *t = (vx_tensor){.name = vx_container_keep(c, m->name, length - 4),
                     .file = npz->zip.file,
                     .npz = npz,
                     .member = member};
    VX_TRY(vx_zip_start(&stream, &npz->zip, member));
    const int status = read_tensor(t, npz->descr[member], text, stream, m, c->path);
    vx_zip_stop(stream);
    return status;
}

static int add_members(vx_container *c)
{
    const vx_zip *zip = &c->npz->zip;
    char *text;
    size_t bytes = 0;
    for (int i = 0; i < zip->count; i++)
        bytes += strlen(zip->members[i].name) + 1;
    VX_TRY(vx_container_grow(c, zip->count, bytes));
    VX_TRY(vx_new(&c->npz->descr, &c->hooks, (size_t)zip->count + 1, sizeof *c->npz->descr,
                  "the dtypes of an .npz file"));
    VX_TRY(vx_new(&text, &c->hooks, MAX_HEADER, 1, "an .npy header"));
    int status = VITX_OK;
    for (int i = 0; i < zip->count && status == VITX_OK; i++)
        status = add_member(c, i, text);
    vx_release(&c->hooks, text);
    return status == VITX_OK ? vx_container_sort(c) : status;
}

int vx_npz_new(vx_npz **out, const vitx_hooks *hooks)
{
    VX_TRY(vx_new(out, hooks, 1, sizeof **out, "a reader of tensors"));
    (*out)->hooks = *hooks;
    return VITX_OK;
}

static int open_npz(vx_container *c)
{
    vx_file *file;
    VX_TRY(vx_new(&c->files, &c->hooks, 1, sizeof *c->files, "a list of files"));
    VX_TRY(vx_file_open_in(&file, c->shelf, c->path, &c->hooks));
    c->files[c->file_count++] = file;
    VX_TRY(vx_npz_new(&c->npz, &c->hooks));
    VX_TRY(vx_zip_open(&c->npz->zip, file, &c->npz->hooks));
    snprintf(c->form, sizeof c->form, "NumPy .npz");
    return add_members(c);
}

int vx_npz_open(vx_container **out, vx_shelf shelf, const char *path, const vitx_hooks *hooks)
{
    return vx_container_make(out, shelf, path, NULL, hooks, open_npz);
}

int vx_npz_take_zip(vx_npz *npz, vx_zip *zip)
{
    if (npz->zip.hooks)
        return vx_fail_in(VITX_UNSUPPORTED, zip->file->path,
                          "its tensors are packed; among several files vitx reads packed tensors "
                          "in one");
    npz->zip = *zip;
    *zip = (vx_zip){.hooks = NULL};
    return VITX_OK;
}

void vx_npz_show_bytes(vx_tensor *t)
{
    const vx_zip_member *m = t->npz && t->member >= 0 ? &t->npz->zip.members[t->member] : NULL;
    if (!m || m->method != 0 || t->axes || t->big)
        return;
    t->offset += m->offset;
    t->npz = NULL;
    t->member = -1;
}

void vx_npz_rest(vx_npz *npz)
{
    if (!npz)
        return;
    for (int i = 0; i < READERS; i++) {
        vx_zip_stop(npz->readers[i].stream);
        npz->readers[i].stream = NULL;
    }
    vx_release(&npz->hooks, npz->data);
    npz->data = NULL;
}

void vx_npz_close(vx_npz *npz)
{
    if (!npz)
        return;
    const vitx_hooks hooks = npz->hooks;
    vx_npz_rest(npz);
    if (npz->zip.hooks)
        vx_zip_dispose(&npz->zip);
    vx_release(&hooks, npz->descr);
    vx_release(&hooks, npz);
}

/* -------------------------------------------------------------------------- elements ------ */

/* The reader of the tensor's member if it has not passed the tensor yet; else a new one in the
 * place of what was not used for longest. */
static int find_reader(reader **out, vx_npz *npz, const vx_tensor *t)
{
    reader *oldest = &npz->readers[0];
    for (int i = 0; i < READERS; i++) {
        reader *r = &npz->readers[i];
        if (r->stream && r->member == t->member) {
            oldest = r;
            if (vx_zip_at(r->stream) <= t->offset) {
                *out = r;
                return VITX_OK;
            }
            break;
        }
        if (!r->stream || (oldest->stream && r->used < oldest->used))
            oldest = r;
    }
    vx_zip_stop(oldest->stream);
    *oldest = (reader){.member = t->member};
    VX_TRY(vx_zip_start(&oldest->stream, &npz->zip, t->member));
    *out = oldest;
    return VITX_OK;
}

/* Bytes from the tensor's first on. A reader that has failed or has nothing more to give is
 * stopped. */
static int read_bytes(void *dst, vx_npz *npz, const vx_tensor *t, size_t bytes)
{
    reader *r;
    if (t->member < 0)
        return vx_file_read(t->file, dst, t->offset, bytes);
    VX_TRY(find_reader(&r, npz, t));
    r->used = ++npz->loads;
    int status = vx_zip_read(r->stream, NULL, t->offset - vx_zip_at(r->stream));
    if (status == VITX_OK)
        status = vx_zip_read(r->stream, dst, bytes);
    if (status != VITX_OK || vx_zip_at(r->stream) == npz->zip.members[t->member].size) {
        vx_zip_stop(r->stream);
        r->stream = NULL;
    }
    return status;
}

/* rows x columns elements; d and s: how far the next row and the next column are. */
static inline void copy_tile(char *dst, const char *src, size_t rows, size_t columns, size_t item,
                             size_t d_row, size_t s_row, size_t s_column)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            memcpy(dst + (i * d_row + j) * item, src + (i * s_row + j * s_column) * item, item);
}

static void copy_plane(char *dst, const char *src, size_t rows, size_t columns, size_t item,
                       size_t d_row, size_t s_row, size_t s_column)
{
    for (size_t i = 0; i < rows; i += TILE)
        for (size_t j = 0; j < columns; j += TILE) {
            const size_t n = rows - i < TILE ? rows - i : TILE;
            const size_t m = columns - j < TILE ? columns - j : TILE;
            char *to = dst + (i * d_row + j) * item;
            const char *from = src + (i * s_row + j * s_column) * item;
            if (item == 4) /* a constant size is a move */
                copy_tile(to, from, n, m, 4, d_row, s_row, s_column);
            else if (item == 2)
                copy_tile(to, from, n, m, 2, d_row, s_row, s_column);
            else
                copy_tile(to, from, n, m, item, d_row, s_row, s_column);
        }
}

/* Elements in the order of the axes. A plane is the last axis and the one that runs fastest in the
 * file; the others are counted through. */
static void arrange(char *dst, const char *src, const vx_tensor *t, size_t item)
{
    const int last = t->axes - 1;
    size_t step[VX_MAX_RANK] = {0}, index[VX_MAX_RANK] = {0}, d = 0, s = 0;
    int fast = -1;
    for (int i = last, n = 1; i >= 0; i--, n = 0)
        step[i] = n ? 1 : step[i + 1] * (size_t)t->axis[i + 1].size;
    for (int i = 0; i < last; i++)
        if (t->axis[i].size > 1 && (fast < 0 || t->axis[i].stride < t->axis[fast].stride))
            fast = i;
    const size_t rows = fast < 0 ? 1 : (size_t)t->axis[fast].size;
    const size_t d_row = fast < 0 ? 0 : step[fast];
    const size_t s_row = fast < 0 ? 0 : (size_t)t->axis[fast].stride;
    for (int i = 0; i >= 0;) {
        copy_plane(dst + d * item, src + s * item, rows, (size_t)t->axis[last].size, item, d_row,
                   s_row, (size_t)t->axis[last].stride);
        for (i = last - 1; i >= 0; i--) { /* the next plane */
            if (i == fast)
                continue;
            d += step[i];
            s += (size_t)t->axis[i].stride;
            if (++index[i] < t->axis[i].size)
                break;
            d -= index[i] * step[i];
            s -= index[i] * (size_t)t->axis[i].stride;
            index[i] = 0;
        }
    }
}

static void turn_bytes(char *data, uint64_t count, size_t item)
{
    for (; count > 0; count--, data += item)
        for (size_t i = 0; i < item / 2; i++) {
            const char byte = data[i];
            data[i] = data[item - 1 - i];
            data[item - 1 - i] = byte;
        }
}

/* From the tensor's first element in the file to its last: a layer's matrix may have gaps. */
static uint64_t span(const vx_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->axes; i++)
        n += (t->axis[i].size - 1) * t->axis[i].stride;
    return t->axes ? n : t->count;
}

static bool same_elements(const vx_tensor *a, const vx_tensor *b)
{
    if (a->file != b->file || a->member != b->member || a->offset != b->offset ||
        a->count != b->count || a->axes != b->axes)
        return false;
    for (int i = 0; i < a->axes; i++)
        if (a->axis[i].size != b->axis[i].size || a->axis[i].stride != b->axis[i].stride)
            return false;
    return true;
}

int vx_npz_load(const void **out, const vx_tensor *t)
{
    vx_npz *const npz = t->npz;
    const size_t item = vx_dtype_size(t->dtype);
    const size_t bytes = (size_t)(span(t) * item); /* within what the member holds */
    char *raw, *arranged = NULL;
    *out = npz->data;
    if (npz->data && same_elements(&npz->loaded, t))
        return VITX_OK;
    vx_release(&npz->hooks, npz->data);
    npz->data = NULL;
    VX_TRY(vx_new(&raw, &npz->hooks, bytes, 1, t->name));
    int status = read_bytes(raw, npz, t, bytes);
    if (status == VITX_OK && t->big)
        turn_bytes(raw, span(t), item);
    if (status == VITX_OK && t->axes) {
        status = vx_new(&arranged, &npz->hooks, (size_t)t->bytes, 1, t->name);
        if (status == VITX_OK)
            arrange(arranged, raw, t, item);
        vx_release(&npz->hooks, raw);
        raw = arranged;
    }
    if (status != VITX_OK) {
        vx_release(&npz->hooks, raw);
        return status;
    }
    npz->loaded = *t;
    *out = npz->data = raw;
    return VITX_OK;
}
