/*
 * text/normalise.h: the steps that change a text's characters before it is cut into words: the
 * "normalizer" of a tokenizer.json.
 */
#ifndef VX_TEXT_NORMALISE_H
#define VX_TEXT_NORMALISE_H

#include "text/added.h"
#include "text/charsmap.h"

enum { VX_STEPS = 32, VX_SHORT = 32 };

/* A few characters: what is looked for, or put in its place. */
typedef struct vx_short {
    uint32_t at[VX_SHORT];
    size_t count;
} vx_short;

typedef enum vx_change_kind {
    VX_NFC,
    VX_NFD,
    VX_LOWERCASE,      /* each character's own lower case */
    VX_REPLACE,        /* `from` by `to` */
    VX_REPLACE_SPACE,  /* runs of white space by `to`: \s+ */
    VX_REPLACE_BLANKS, /* runs of two blanks or more by `to`: " {2,}" */
    VX_STRIP,          /* white space off the ends: left, right */
    VX_STRIP_ACCENTS,  /* marks, of any kind */
    VX_PREPEND,        /* `to` before a text that is not empty */
    VX_PRECOMPILED,    /* the charsmap as the Rust tokenizers apply it */
    VX_CHARSMAP,       /* the charsmap as SentencePiece applies it */
    VX_SPIECE_SPACE,   /* SentencePiece's blanks: `left` puts one before the text, `right` makes one
                          of runs and trims; they become `to` */
    VX_BERT_CLEAN,     /* controls go, white space becomes blanks */
    VX_BERT_SPACE,     /* blanks round ideographs */
    VX_BERT_ACCENTS,   /* NFD, then Mn goes */
    VX_SIGLIP_CLEAN,   /* ASCII punctuation goes */
    VX_LOWER_TEXT      /* lower case as Python's */
} vx_change_kind;

typedef struct vx_change {
    vx_change_kind kind;
    vx_short from, to;
    bool left, right;
} vx_change;

typedef struct vx_normaliser {
    vx_change steps[VX_STEPS];
    int count;
    vx_charsmap charsmap; /* of the one step that has one */
    vx_added kept;        /* what VX_CHARSMAP leaves as it is: SentencePiece's pieces of the user */
} vx_normaliser;

/* Changes `text` in place; `spare` holds nothing afterwards that is needed. */
int vx_normalise(vx_chars *text, vx_chars *spare, const vx_normaliser *normaliser);

#endif
