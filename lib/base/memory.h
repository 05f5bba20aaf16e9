/* base/memory.h: the caller's hooks, checked size arithmetic, and a growing byte buffer.
 * Nothing in lib/ calls malloc or free itself. */
#ifndef VX_BASE_MEMORY_H
#define VX_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Copies the caller's hooks (NULL: none), filling in malloc and free. VITX_INVALID for half a
 * pair. */
int vx_hooks_resolve(vitx_hooks *out, const vitx_hooks *hooks);

/* Memory from resolved hooks. vx_alloc gives NULL and sets no message; vx_new sets one naming
 * `what`. Both count*size products are checked. vx_new zeroes. vx_release(NULL) is harmless. */
void *vx_alloc(const vitx_hooks *hooks, size_t bytes);
int vx_new(void *out_pointer, const vitx_hooks *hooks, size_t count, size_t size, const char *what);
void vx_release(const vitx_hooks *hooks, void *memory);
/* Makes room for `more` elements of `size` bytes behind the first `count` of an array; `*reserved`,
 * how many it has room for, at least doubles when it changes. *array_pointer may be NULL; after a
 * failure (VITX_NOMEM, naming `what`) nothing has changed. */
int vx_grow(void *array_pointer, size_t *reserved, const vitx_hooks *hooks, size_t count,
            size_t more, size_t size, const char *what);
int vx_strdup(char **out, const vitx_hooks *hooks, const char *text);

/* A line to the caller's log, if there is one. */
void vx_log(const vitx_hooks *hooks, vitx_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* out = a*b, out = a+b; false (and out untouched) where it does not fit. */
bool vx_mul_size(size_t *out, size_t a, size_t b);
bool vx_add_size(size_t *out, size_t a, size_t b);

/* Bytes that grow. Start from {.hooks = h}; a failed append sets the message and returns
 * VITX_NOMEM, what was there stays. After a success data[size] is '\0'. */
typedef struct vx_buffer {
    const vitx_hooks *hooks;
    char *data;
    size_t size, capacity;
} vx_buffer;

int vx_buffer_append(vx_buffer *buffer, const void *data, size_t bytes);
/* For the tests; the library prints into sinks (base/sink.h). */
int vx_buffer_printf(vx_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void vx_buffer_dispose(vx_buffer *buffer);

#endif
