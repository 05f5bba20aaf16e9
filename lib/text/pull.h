/*
 * text/pull.h: JSON read value by value, without a tree: a vocabulary has up to a million words,
 * of which a tree would take a hundred bytes each.
 *
 *      VX_TRY(vx_pull_open(&r, '{'));
 *      for (bool more;;) {
 *          VX_TRY(vx_pull_more(&r, &more));
 *          if (!more) break;
 *          VX_TRY(vx_pull_key(&r, &key));
 *          ... one value: _string, _number, _int, _open, _skip
 *      }
 *
 * The grammar is RFC 8259's, text is UTF-8, "\u0000" is a character. What breaks them is
 * VITX_FORMAT and names the file.
 */
#ifndef VX_TEXT_PULL_H
#define VX_TEXT_PULL_H

#include "base/memory.h"

enum { VX_PULL_DEPTH = 64 };

typedef struct vx_pull {
    const char *at, *end;
    const char *start, *name; /* for messages */
    int depth;
    char open[VX_PULL_DEPTH]; /* the brackets round the place */
    bool fresh;               /* an object or array was just opened: no comma is due */
} vx_pull;

vx_pull vx_pull_over(const char *text, size_t bytes, const char *name);
/* What comes next: the first character of the value, 0 at the end. */
int vx_pull_peek(vx_pull *reader);
int vx_pull_open(vx_pull *reader, char bracket);
/* Whether one more follows; passes over the comma, or over the bracket that closes. */
int vx_pull_more(vx_pull *reader, bool *more);
/* Replaces what is in `out`. */
int vx_pull_string(vx_pull *reader, vx_buffer *out);
int vx_pull_key(vx_pull *reader, vx_buffer *out);
int vx_pull_number(vx_pull *reader, double *out);
int vx_pull_int(vx_pull *reader, int *out);
/* A value of any kind, which it checks: nested at most 64 deep. */
int vx_pull_skip(vx_pull *reader);
/* Nothing but space may follow. */
int vx_pull_end(vx_pull *reader);
/* VITX_FORMAT with the line. */
int vx_pull_refuse(const vx_pull *reader, const char *what);

#endif
