/*
 * text/wordpiece.h: BERT's words: the longest piece of the vocabulary that a word begins with, then
 * the longest with "##" before it, and so on; a word of which a part is in no piece is unknown.
 */
#ifndef VX_TEXT_WORDPIECE_H
#define VX_TEXT_WORDPIECE_H

#include "text/tokens.h"
#include "text/vocab.h"

#define VX_WORDPIECE_PREFIX 32

typedef struct vx_wordpiece {
    const vx_vocab *vocab; /* made with `prefixes` */
    char prefix[VX_WORDPIECE_PREFIX + 1];
    int unknown;
    size_t most; /* characters of a word; a longer one is unknown */
} vx_wordpiece;

int vx_wordpiece_encode(vx_tokens *out, const vx_wordpiece *wordpiece, vx_workspace *scratch,
                        const vx_char *word, size_t count);

#endif
