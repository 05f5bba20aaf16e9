/* base/kind.h: what a file is that is not what was expected. */
#ifndef VX_BASE_KIND_H
#define VX_BASE_KIND_H

#include <stddef.h>

/* So many of a file's first bytes are looked at. */
#define VX_KIND_BYTES 512

/*
 * "an HTML page", "GGUF weights" and the like, for messages; NULL for what is not known. `data` are
 * the file's first bytes, fewer than VX_KIND_BYTES only if there are no more.
 */
const char *vx_kind_of(const void *data, size_t bytes);

#endif
