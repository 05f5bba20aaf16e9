/*
 * text/unigram.h: SentencePiece's unigram model: of all ways to cut a word into pieces the one with
 * the largest sum of scores (Viterbi), the first found where several have it.
 */
#ifndef VX_TEXT_UNIGRAM_H
#define VX_TEXT_UNIGRAM_H

#include "text/tokens.h"
#include "text/vocab.h"

#define VX_UNIGRAM_BYTES 256 /* of a piece, at most */

typedef struct vx_unigram {
    const vx_vocab *vocab; /* made with `prefixes` */
    const double *scores;  /* by id, as many as the vocabulary's size */
    double unknown_score;  /* of a character that is no piece */
    int unknown;           /* id; those beside one another are one token */
    bool byte_fallback;    /* the bytes of what is unknown, where the vocabulary has them */
    bool single;           /* sums as SentencePiece has them, in float */
    const int *bytes;      /* [256]: ids of "<0x..>", -1 */
} vx_unigram;

int vx_unigram_encode(vx_tokens *out, const vx_unigram *unigram, vx_workspace *scratch,
                      const vx_char *word, size_t count);

#endif
