/*
 * base/structs.h: public structs that carry their size, from programs built with older headers.
 *
 *      0                          least                caller's struct_size       size here
 *      | struct_size | members of the first version | appended, caller has them | ... has not |
 *
 * Such a struct grows at its end only, and a new member never lies in what was padding before. What
 * the caller has not keeps its default (options) or is not written (infos). A struct larger than
 * this library's comes from newer headers and asks for what is not here: it is refused.
 */
#ifndef VX_BASE_STRUCTS_H
#define VX_BASE_STRUCTS_H

#include <stddef.h>

#include "base/status.h"

/* What the public _init functions do: the first struct_size bytes of `full`, then zeroes. */
void vx_struct_init(void *out, size_t struct_size, const void *full, size_t size);

/* The caller's options over `out`, which holds the defaults; given NULL: nothing. */
int vx_struct_read(void *out, size_t size, const void *given, size_t least, const char *type);

/* As much of `full` as the caller has room for; his struct_size stays. */
int vx_struct_write(void *out, const void *full, size_t size, size_t least, const char *type);

/* `last` is the last member of the struct's first version. */
#define VX_STRUCT_LEAST(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))
#define VX_STRUCT_READ(out, given, type, last)                                                     \
    vx_struct_read((out), sizeof(type), (given), VX_STRUCT_LEAST(type, last), #type)
#define VX_STRUCT_WRITE(out, full, type, last)                                                     \
    vx_struct_write((out), (full), sizeof(type), VX_STRUCT_LEAST(type, last), #type)

#endif
