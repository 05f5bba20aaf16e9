/* text/gunzip.h: a file packed by gzip, by zlib. */
#ifndef VX_TEXT_GUNZIP_H
#define VX_TEXT_GUNZIP_H

#include "base/memory.h"

/* Appends what `data` packs: one member, at most `most` bytes. VITX_FORMAT, naming `name`. */
int vx_gunzip(vx_buffer *out, const char *data, size_t bytes, size_t most, const char *name);

#endif
