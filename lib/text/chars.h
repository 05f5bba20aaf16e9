/*
 * text/chars.h: a text as characters, each of which knows the bytes it came from.
 *
 * Every step of a tokenizer (cleaning, normalising, cutting) maps characters to characters. A
 * character that was put in or changed keeps the place of those it stands for, so that a token's
 * place in the caller's text is that of its first and last character.
 */
#ifndef VX_TEXT_CHARS_H
#define VX_TEXT_CHARS_H

#include <stdint.h>

#include "base/memory.h"

typedef struct vx_char {
    uint32_t code;
    uint32_t start, end; /* bytes of the caller's text */
} vx_char;

/* A step may multiply a text (a long string put in place of every blank): what comes out is held to
 * this, and VITX_INVALID beyond. */
#define VX_MOST_CHARS (32 << 20)

/* Start from {.hooks = h}. */
typedef struct vx_chars {
    const vitx_hooks *hooks;
    vx_char *at;
    size_t count, reserved;
} vx_chars;

/* Makes room for `more` characters beyond count; those there stay. */
int vx_chars_reserve(vx_chars *chars, size_t more);
int vx_chars_put(vx_chars *chars, uint32_t code, uint32_t start, uint32_t end);
int vx_chars_copy(vx_chars *chars, const vx_char *from, size_t count);
/* Swaps what two hold. */
void vx_chars_swap(vx_chars *a, vx_chars *b);
void vx_chars_dispose(vx_chars *chars);

/* The smallest range of the caller's text that holds where all of [count >= 1] came from. */
void vx_chars_range(uint32_t *start, uint32_t *end, const vx_char *at, size_t count);

/* Appends a text. A byte that is no part of a UTF-8 character becomes U+FFFD. */
int vx_chars_decode(vx_chars *chars, const char *text, size_t bytes);
/* As UTF-8 behind what is in `out`. */
int vx_chars_encode(vx_buffer *out, const vx_char *at, size_t count);

/* The character at text [left >= 1]: how many bytes it has; U+FFFD and 1 where there is none. */
size_t vx_utf8_read(uint32_t *code, const char *text, size_t left);
/* Its bytes, 1 to 4. */
size_t vx_utf8_write(char out[4], uint32_t code);

#endif
