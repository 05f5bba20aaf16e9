/*
 * text/pretokenise.h: the steps that cut a text into words: the "pre_tokenizer" of a
 * tokenizer.json.
 */
#ifndef VX_TEXT_PRETOKENISE_H
#define VX_TEXT_PRETOKENISE_H

#include "text/normalise.h"
#include "text/tokens.h"

typedef enum vx_cut_kind {
    VX_CUT_CLIP,      /* specials, 's 't ..., runs of letters, one number, runs of what is left */
    VX_CUT_BEHIND,    /* behind each `mark`: Split(" ", MergedWithPrevious) */
    VX_CUT_BYTES,     /* cuts nothing: bytes become characters, a blank before it at first */
    VX_CUT_GPT2,      /* the cut of a ByteLevel with use_regex, then as VX_CUT_BYTES */
    VX_CUT_BERT,      /* white space goes, each punctuation character alone */
    VX_CUT_METASPACE, /* blanks become `mark`, one more before it; cut before each */
    VX_CUT_SPACE,     /* white space goes: WhitespaceSplit */
    VX_CUT_WORDS      /* runs of word characters, runs of what is left: Whitespace */
} vx_cut_kind;

typedef enum vx_scheme { VX_ALWAYS, VX_FIRST, VX_NEVER } vx_scheme;

typedef struct vx_cut {
    vx_cut_kind kind;
    uint32_t mark;
    vx_scheme scheme; /* whether something is put before */
    bool split;       /* of VX_CUT_METASPACE: it cuts, too */
    bool specials; /* of VX_CUT_CLIP: "<|startoftext|>" and "<|endoftext|>" are words */
} vx_cut;

typedef struct vx_pretokeniser {
    vx_cut steps[VX_STEPS];
    int count;
} vx_pretokeniser;

/* A text and where its words lie in it. */
typedef struct vx_cut_words {
    vx_chars chars;
    vx_spans pieces;
} vx_cut_words;

/* Cuts what words->chars holds; `spare` holds nothing afterwards that is needed. */
int vx_pretokenise(vx_cut_words *words, vx_cut_words *spare, const vx_pretokeniser *pretokeniser);

/* The character that stands for a byte in a byte-level vocabulary. */
uint32_t vx_byte_shown(unsigned char byte);

#endif
