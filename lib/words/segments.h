/* words/segments.h: a text cut into words, for people. */
#ifndef VX_WORDS_SEGMENTS_H
#define VX_WORDS_SEGMENTS_H

#include <vitx/explain.h>

#include "base/memory.h"
#include "text/tokenizer.h"

/*
 * The words of a text: runs of characters between white space; a Chinese or Japanese character, and
 * a mark of punctuation, is a word of its own. What one token stands for is never cut. Only start,
 * end and tokens are set. of [count of tokens]: which word each token belongs to; -1 for an added
 * one. The array is to be released.
 */
int vx_segments(vitx_word **out, int *count, int *of, const char *text, const vx_token *tokens,
                int token_count, const vitx_hooks *hooks);

/* Whether a text is nothing but white space, that of Unicode included. */
bool vx_blank(const char *text);

#endif
