/*
 * text/unicode.h: what Unicode says of characters, by utf8proc, whose header only unicode.c
 * includes. Categories and maps are those of the utf8proc that is installed.
 */
#ifndef VX_TEXT_UNICODE_H
#define VX_TEXT_UNICODE_H

#include "text/chars.h"

/* White_Space, which is also \s. */
bool vx_is_space(uint32_t code);
bool vx_is_letter(uint32_t code);      /* L */
bool vx_is_number(uint32_t code);      /* N */
bool vx_is_punctuation(uint32_t code); /* P */
bool vx_is_accent(uint32_t code);      /* Mn */
bool vx_is_mark(uint32_t code);        /* M */
bool vx_is_control(uint32_t code);     /* Cc, Cf, Cs, Co: not what is unassigned */
bool vx_is_word(uint32_t code);        /* \w: letters, marks, digits, what joins, \p{Alphabetic} */
bool vx_is_ascii_punctuation(uint32_t code);
/* Ideographs that BERT sets spaces round. */
bool vx_is_ideograph(uint32_t code);

/* The character's own lower case, whatever stands round it: one character, or two for U+0130. */
int vx_lower(uint32_t out[2], uint32_t code);
/* For a whole text as Python does it: a capital sigma that ends a word becomes the final one. */
int vx_lower_text(vx_chars *out, const vx_char *at, size_t count);

/* Canonical decomposition; and composition after it. Append to `out`. */
int vx_nfd(vx_chars *out, const vx_char *at, size_t count);
int vx_nfc(vx_chars *out, const vx_char *at, size_t count);

/* Where the first grapheme of at [count >= 1] ends: its number of characters. */
size_t vx_grapheme(const vx_char *at, size_t count);

#endif
