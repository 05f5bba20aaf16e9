/*
 * text/bpe.h: byte pair encoding: a word begins as its characters, and the pair of neighbours that
 * was learned first is joined again and again, the leftmost first.
 *
 * Words of a byte-level vocabulary are bytes shown as characters (pretokenise.h). A vocabulary with
 * byte fallback has "<0x00>" to "<0xFF>" for what it has no character for. SentencePiece's BPE is
 * the same with every way to cut a piece in two as a pair, ordered by the piece's score.
 */
#ifndef VX_TEXT_BPE_H
#define VX_TEXT_BPE_H

#include "text/tokens.h"
#include "text/vocab.h"

#define VX_AFFIX 32 /* bytes of a suffix or prefix, at most */

typedef struct vx_merge {
    uint32_t left, right; /* ids */
    uint32_t rank;
    int id; /* of both together; -1: an empty place */
} vx_merge;

typedef struct vx_bpe {
    const vitx_hooks *hooks;
    const vx_vocab *vocab;
    char suffix[VX_AFFIX + 1]; /* of a word's last character: "</w>" */
    char prefix[VX_AFFIX + 1]; /* of all but a word's first character: "##" */
    int unknown;               /* id, -1: what is unknown is left out */
    bool fuse_unknown, byte_fallback, ignore_merges;
    vx_merge *merges; /* by hash */
    size_t mask, count;
    int *common;      /* ids of the first characters of Unicode, see bpe.c */
    const int *bytes; /* [256]: ids of "<0x..>", -1 */
} vx_bpe;

/* A pair and its rank; one that was there takes the new rank. VITX_FORMAT if both together are not
 * in the vocabulary, or the left or right is not. */
int vx_bpe_add(vx_bpe *bpe, const char *left, size_t left_bytes, const char *right,
               size_t right_bytes, uint32_t rank, const char *file);
int vx_bpe_add_ids(vx_bpe *bpe, int left, int right, int id, uint32_t rank, const char *file);
/* After the last pair and when all options are set. */
int vx_bpe_finish(vx_bpe *bpe);
void vx_bpe_dispose(vx_bpe *bpe);

int vx_bpe_encode(vx_tokens *out, const vx_bpe *bpe, vx_workspace *scratch, const vx_char *word,
                  size_t count);

#endif
