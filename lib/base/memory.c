/* base/memory.c: the caller's hooks, checked sizes, and a growing buffer. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/structs.h"

enum { LARGE_PAGE = 2 << 20 };

/* Linux then gives large pages, if it is set to. Whole matrices are read in order, many at a time:
 * with small pages a product of packed matrices alone took up to a fifth longer. */
static void *default_alloc(size_t bytes, void *payload)
{
    (void)payload;
#ifdef MADV_HUGEPAGE
    void *memory;
    if (bytes >= 2 * LARGE_PAGE && posix_memalign(&memory, LARGE_PAGE, bytes) == 0) {
        (void)madvise(memory, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
        return memory;
    }
#endif
    return malloc(bytes);
}

static void default_release(void *memory, void *payload)
{
    (void)payload;
    free(memory);
}

void vitx_hooks_init(vitx_hooks *out, size_t struct_size)
{
    const vitx_hooks full = VITX_HOOKS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vx_hooks_resolve(vitx_hooks *out, const vitx_hooks *hooks)
{
    *out = (vitx_hooks)VITX_HOOKS_INIT;
    VX_TRY(VX_STRUCT_READ(out, hooks, vitx_hooks, payload));
    if (!out->alloc != !out->release)
        return vx_fail(VITX_INVALID, "hooks: alloc and release come together or not at all");
    if (!out->alloc) {
        out->alloc = default_alloc;
        out->release = default_release;
    }
    return VITX_OK;
}

bool vx_mul_size(size_t *out, size_t a, size_t b)
{
    if (a != 0 && b > SIZE_MAX / a)
        return false;
    *out = a * b;
    return true;
}

bool vx_add_size(size_t *out, size_t a, size_t b)
{
    if (b > SIZE_MAX - a)
        return false;
    *out = a + b;
    return true;
}

void *vx_alloc(const vitx_hooks *hooks, size_t bytes)
{
    return hooks->alloc(bytes ? bytes : 1, hooks->payload);
}

int vx_new(void *out_pointer, const vitx_hooks *hooks, size_t count, size_t size, const char *what)
{
    size_t bytes;
    void *memory = NULL;
    const bool fits = vx_mul_size(&bytes, count, size);
    if (fits)
        memory = vx_alloc(hooks, bytes);
    memcpy(out_pointer, &memory, sizeof memory); /* the caller's pointer is of any type */
    if (!memory)
        return vx_fail(VITX_NOMEM, "no memory for %s (%zu x %zu bytes)", what, count, size);
    memset(memory, 0, bytes);
    return VITX_OK;
}

void vx_release(const vitx_hooks *hooks, void *memory)
{
    if (memory)
        hooks->release(memory, hooks->payload);
}

int vx_grow(void *array_pointer, size_t *reserved, const vitx_hooks *hooks, size_t count,
            size_t more, size_t size, const char *what)
{
    size_t need, bytes;
    void *old, *grown = NULL;
    const bool counted = vx_add_size(&need, count, more);
    if (counted && need <= *reserved)
        return VITX_OK;
    size_t fresh = *reserved < 32 ? 64 : *reserved > SIZE_MAX / 2 ? SIZE_MAX : *reserved * 2;
    fresh = counted && fresh < need ? need : fresh;
    if (counted && vx_mul_size(&bytes, fresh, size))
        grown = vx_alloc(hooks, bytes);
    if (!grown)
        return vx_fail(VITX_NOMEM, "no memory for %s (%zu x %zu bytes)", what, fresh, size);
    memcpy(&old, array_pointer, sizeof old);
    if (count)
        memcpy(grown, old, count * size);
    vx_release(hooks, old);
    memcpy(array_pointer, &grown, sizeof grown);
    *reserved = fresh;
    return VITX_OK;
}

int vx_strdup(char **out, const vitx_hooks *hooks, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    VX_TRY(vx_new(out, hooks, bytes, 1, "a string"));
    memcpy(*out, text, bytes);
    return VITX_OK;
}

void vx_log(const vitx_hooks *hooks, vitx_log_level level, const char *format, ...)
{
    if (!hooks->log)
        return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    hooks->log(level, line, hooks->payload);
}

/* Makes room for `bytes` more and the '\0' behind them. The hooks have no realloc: doubling keeps
 * the copying linear. */
static int reserve(vx_buffer *buffer, size_t bytes)
{
    size_t need;
    if (!vx_add_size(&need, buffer->size, bytes) || !vx_add_size(&need, need, 1))
        return vx_fail(VITX_NOMEM, "a buffer of more bytes than can be counted");
    if (need <= buffer->capacity)
        return VITX_OK;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *grown = vx_alloc(buffer->hooks, capacity);
    if (!grown)
        return vx_fail(VITX_NOMEM, "no memory for a buffer of %zu bytes", capacity);
    if (buffer->size)
        memcpy(grown, buffer->data, buffer->size);
    vx_release(buffer->hooks, buffer->data);
    buffer->data = grown;
    buffer->capacity = capacity;
    return VITX_OK;
}

int vx_buffer_append(vx_buffer *buffer, const void *data, size_t bytes)
{
    VX_TRY(reserve(buffer, bytes));
    if (bytes)
        memcpy(buffer->data + buffer->size, data, bytes);
    buffer->size += bytes;
    buffer->data[buffer->size] = '\0';
    return VITX_OK;
}

int vx_buffer_printf(vx_buffer *buffer, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0)
        return vx_fail(VITX_INVALID, "a text that cannot be formatted");
    if ((size_t)length < sizeof text)
        return vx_buffer_append(buffer, text, (size_t)length);
    VX_TRY(reserve(buffer, (size_t)length));
    va_start(args, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, args);
    va_end(args);
    buffer->size += (size_t)length;
    return VITX_OK;
}

void vx_buffer_dispose(vx_buffer *buffer)
{
    vx_release(buffer->hooks, buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}
