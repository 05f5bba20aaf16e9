/*
 * text/reader.h: JSON read value by value, without a tree: a vocabulary has up to a million words,
 * of which a tree would take a hundred bytes each.
 *
 *      VX_TRY(vx_stream_open(&r, '{'));
 *      for (bool more;;) {
 *          VX_TRY(vx_stream_more(&r, &more));
 *          if (!more) break;
 *          VX_TRY(vx_stream_key(&r, &key));
 *          ... one value: _string, _number, _int, _open, _skip
 *      }
 *
 * The grammar is RFC 8259's, text is UTF-8, "\u0000" is a character. What breaks them is VITX_FORMAT
 * and names the file.
 */
#ifndef VX_TEXT_READER_H
#define VX_TEXT_READER_H

#include "base/memory.h"

typedef struct vx_stream {
    const char *at, *end;
    const char *start, *name; /* for messages */
    int depth;
    bool fresh; /* an object or array was just opened: no comma is due */
} vx_stream;

vx_stream vx_stream_over(const char *text, size_t bytes, const char *name);
/* What comes next: the first character of the value, 0 at the end. */
int vx_stream_peek(vx_stream *reader);
int vx_stream_open(vx_stream *reader, char bracket);
/* Whether one more follows; passes over the comma, or over the bracket that closes. */
int vx_stream_more(vx_stream *reader, bool *more);
/* Replaces what is in `out`. */
int vx_stream_string(vx_stream *reader, vx_buffer *out);
int vx_stream_key(vx_stream *reader, vx_buffer *out);
int vx_stream_number(vx_stream *reader, double *out);
int vx_stream_int(vx_stream *reader, int *out);
/* A value of any kind, which it checks: nested at most 64 deep. */
int vx_stream_skip(vx_stream *reader);
/* Nothing but space may follow. */
int vx_stream_end(vx_stream *reader);
/* VITX_FORMAT with the line. */
int vx_stream_refuse(const vx_stream *reader, const char *what);

#endif
