/* text/base64.h: the bytes that a text in base64 stands for. */
#ifndef VX_TEXT_BASE64_H
#define VX_TEXT_BASE64_H

#include "base/memory.h"

/* Appends. VITX_FORMAT, naming `file` and `what`, for anything but whole groups of four. */
int vx_base64_read(vx_buffer *out, const char *text, const char *file, const char *what);

#endif
