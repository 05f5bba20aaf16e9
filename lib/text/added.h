/*
 * text/added.h: tokens that are found in a text as they are written, before it is cut into words:
 * the "added_tokens" of a tokenizer.json. At each place the longest counts.
 */
#ifndef VX_TEXT_ADDED_H
#define VX_TEXT_ADDED_H

#include "text/tokens.h"
#include "text/vocab.h"

#define VX_ADDED_BYTES 256 /* of a token's text, at most */

typedef struct vx_added_token {
    int id;
    bool left, right; /* takes the white space beside it along: lstrip, rstrip */
    bool alone;       /* not inside a word: single_word */
} vx_added_token;

/* Start from {.hooks = h}. */
typedef struct vx_added {
    const vitx_hooks *hooks;
    vx_vocab words; /* what it gives is an index of tokens */
    vx_added_token *tokens;
    size_t count, reserved;
} vx_added;

int vx_added_put(vx_added *added, const char *text, size_t bytes, vx_added_token token,
                 const char *file);
int vx_added_finish(vx_added *added);
void vx_added_dispose(vx_added *added);

/* The longest token at a place: its characters, 0: none; and its index. */
size_t vx_added_longest(size_t *token, const vx_added *added, const vx_char *at, size_t count);
/* Appends the pieces that at [count] consists of: tokens, and text between them. */
int vx_added_cut(vx_spans *out, const vx_added *added, const vx_char *at, size_t count);

#endif
