/*
 * explain/vector.c: vectors from .npy files (numpy/lib/format.py): of one dimension, others being
 * 1.
 *
 *   \x93NUMPY major minor | u16 length (version 1) or u32 (2, 3) | a dictionary in Python's words |
 *   numbers
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <vitx/explain.h>

#include "base/file.h"
#include "base/status.h"

#define MAX_HEADER 65536
#define MAX_COUNT (1 << 24)

typedef struct header {
    const char *text; /* the dictionary, and a '\0' behind it */
    size_t data;      /* where the numbers begin */
    int bytes;        /* of one: 2, 4 or 8 */
} header;

static int damaged(const char *path, const char *what)
{
    return vx_fail_in(VITX_FORMAT, path, "no .npy file: %s", what);
}

/* Cuts the dictionary out of a file; writes a '\0' behind it in `text`, which has room for it. */
static int read_start(header *out, char *text, const char *file, size_t size, const char *path)
{
    const unsigned char *u = (const unsigned char *)file;
    if (size < 10 || memcmp(file, "\x93NUMPY", 6) != 0)
        return damaged(path, "it does not begin as one");
    if (u[6] < 1 || u[6] > 3)
        return vx_fail_in(VITX_UNSUPPORTED, path, "version %d of .npy; 1 to 3 are read", u[6]);
    const size_t start = u[6] == 1 ? 10 : 12;
    if (size < start)
        return damaged(path, "it ends in its header");
    size_t length = (size_t)u[8] | (size_t)u[9] << 8;
    if (u[6] > 1)
        length |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
    if (length > MAX_HEADER || length > size - start)
        return damaged(path, "its header is longer than the file, or than 64 KiB");
    memcpy(text, file + start, length);
    text[length] = '\0';
    *out = (header){.text = text, .data = start + length};
    return VITX_OK;
}

/* What stands behind 'key': in the dictionary; NULL: it is not there. */
static const char *value_of(const header *h, const char *key)
{
    const char *at = strstr(h->text, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':')
        return NULL;
    return at + 1 + strspn(at + 1, " ");
}

static int read_type(header *h, const char *path)
{
    static const struct {
        const char *descr;
        int bytes;
    } types[] = {{"'<f4'", 4}, {"'<f8'", 8}, {"'<f2'", 2}};
    const char *descr = value_of(h, "'descr'");
    if (!descr)
        return damaged(path, "its header has no descr");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strncmp(descr, types[i].descr, 5) == 0)
            h->bytes = types[i].bytes;
    if (!h->bytes)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "numbers of type %.*s; '<f2', '<f4' and '<f8' are read",
                          (int)(strcspn(descr, ",}") < 20 ? strcspn(descr, ",}") : 20), descr);
    return VITX_OK;
}

/* One dimension of `count`, the others 1. */
static int read_shape(const header *h, int count, const char *path)
{
    const char *p = value_of(h, "'shape'"), *const shape = p;
    int long_ones = 0, dims = 0;
    int64_t total = 1;
    if (!p || *p != '(')
        return damaged(path, "its header has no shape");
    for (p++; *p && *p != ')'; dims++) {
        int64_t n = 0;
        p += strspn(p, " ,");
        if (*p == ')')
            break;
        if (*p < '0' || *p > '9' || dims > 32)
            return damaged(path, "its shape is none");
        for (; *p >= '0' && *p <= '9'; p++)
            n = n < MAX_COUNT ? n * 10 + (*p - '0') : n;
        long_ones += n != 1;
        total = total < MAX_COUNT ? total * n : total;
        p += strspn(p, " ,");
    }
    if (*p != ')')
        return damaged(path, "its shape is none");
    if (long_ones > 1 || total != count)
        return vx_fail_in(VITX_INVALID, path, "its shape is %.*s; a vector of %d numbers is needed",
                          (int)(p + 1 - shape < 60 ? p + 1 - shape : 60), shape, count);
    return VITX_OK;
}

static float half(const unsigned char *u)
{
    const int bits = u[0] | u[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                                      : ldexpf((float)fraction, -24);
    return bits >> 15 ? -size : size;
}

static double number_at(const unsigned char *u, int bytes)
{
    uint64_t bits = 0;
    for (int i = 0; i < bytes; i++)
        bits |= (uint64_t)u[i] << (8 * i);
    if (bytes == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return bytes == 2 ? half(u) : value;
}

static int read_vector(float *out, int count, const char *file, size_t size, char *text,
                       const char *path)
{
    header h = {0};
    VX_TRY(read_start(&h, text, file, size, path));
    VX_TRY(read_type(&h, path));
    VX_TRY(read_shape(&h, count, path));
    if ((size - h.data) / (size_t)h.bytes != (size_t)count ||
        (size - h.data) % (size_t)h.bytes != 0)
        return damaged(path, "its numbers are not as many as its header says");
    for (int k = 0; k < count; k++) {
        const unsigned char *at =
            (const unsigned char *)file + h.data + (size_t)k * (size_t)h.bytes;
        const double value = number_at(at, h.bytes);
        if (!isfinite((float)value))
            return vx_fail_in(VITX_FORMAT, path, "number %d is no finite float", k);
        out[k] = (float)value;
    }
    return VITX_OK;
}

int vitx_vector_load(float *out, int count, const char *path)
{
    vitx_hooks hooks;
    char *file = NULL, *text = NULL;
    size_t size;
    if (!out || !path)
        return vx_fail(VITX_INVALID, "vitx_vector_load: an argument is NULL");
    if (count < 1 || count > MAX_COUNT)
        return vx_fail(VITX_INVALID, "a vector of %d numbers: 1 to %d are accepted", count,
                       MAX_COUNT);
    VX_TRY(vx_hooks_resolve(&hooks, NULL));
    VX_TRY(vx_file_load(&file, &size, path, (size_t)count * 8 + MAX_HEADER + 12, &hooks));
    int status = vx_new(&text, &hooks, MAX_HEADER + 1, 1, "a header");
    if (status == VITX_OK)
        status = read_vector(out, count, file, size, text, path);
    vx_release(&hooks, text);
    vx_release(&hooks, file);
    return status;
}
