/*
 * base/sink.h: where a file goes that is written piece by piece.
 *
 *      vx_sink out = vx_sink_file(path, hooks);     or _writer, _buffer, _function
 *      int status = write_it(&out);                 vx_sink_put, _text, _printf
 *      return vx_sink_end(&out, status);            always
 *
 * Small pieces are held back and passed on together, so that nothing is opened or called before
 * there are 64 KiB or the end: what is found wrong before that leaves everything untouched.
 */
#ifndef VX_BASE_SINK_H
#define VX_BASE_SINK_H

#include <stdint.h>

#include "base/memory.h"

typedef struct vx_sink vx_sink;

/* Takes a piece over; fails with a message. */
typedef int vx_sink_take(void *payload, const void *data, size_t bytes);

struct vx_sink {
    const vitx_hooks *hooks;
    vx_buffer held;
    uint64_t put; /* bytes so far, those held back among them */
    int (*pass)(vx_sink *sink, const char *data, size_t bytes);
    const char *path; /* of a file */
    char *temporary;  /* NULL: written in place */
    int fd;           /* -1: not yet opened */
    vitx_writer *write;
    vx_sink_take *take;
    void *payload;
    vx_buffer *buffer;
};

/* A regular file is replaced in one step: written beside it, then renamed; a failure leaves the old
 * one. What is no regular file (a pipe, /dev/stdout) is written in place. `path` is not copied. */
vx_sink vx_sink_file(const char *path, const vitx_hooks *hooks);
/* The caller's function; VITX_IO if it wants to stop. */
vx_sink vx_sink_writer(vitx_writer *write, void *payload, const vitx_hooks *hooks);
/* Memory: appends, holds nothing back, needs no end. */
vx_sink vx_sink_buffer(vx_buffer *buffer);
/* Another part of the library. Holds nothing back, needs no end. */
vx_sink vx_sink_function(vx_sink_take *take, void *payload, const vitx_hooks *hooks);

int vx_sink_put(vx_sink *sink, const void *data, size_t bytes);
int vx_sink_text(vx_sink *sink, const char *text);
/* At most 1023 bytes. */
int vx_sink_printf(vx_sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of work that gave `status`: what is held back is passed on and the file is put in its
 * place; after a failure the file is taken away. Gives `status` back, or what went wrong here. */
int vx_sink_end(vx_sink *sink, int status);

#endif
