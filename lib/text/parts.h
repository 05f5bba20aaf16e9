/* text/parts.h: what a tokenizer consists of. The readers of files fill it in; encode.c runs it. */
#ifndef VX_TEXT_PARTS_H
#define VX_TEXT_PARTS_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/normalise.h"
#include "text/pretokenise.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

enum { VX_AROUND = 16 }; /* tokens put before or behind a text, at most */

typedef enum vx_text_model { VX_MODEL_NONE, VX_BPE, VX_UNIGRAM, VX_WORDPIECE } vx_text_model;

struct vx_tokenizer {
    vitx_hooks hooks;
    vx_normaliser clean;          /* of the whole text, before anything else */
    vx_added plain;               /* found in the text as it is */
    vx_normaliser normaliser;     /* of what lies between */
    vx_added normal;              /* found in the normalised text */
    vx_pretokeniser pretokeniser; /* of what lies between those */
    vx_text_model kind;
    vx_vocab vocab;
    vx_bpe bpe;
    vx_unigram unigram;
    double *scores; /* the unigram's */
    int bytes[256]; /* ids of "<0x00>" to "<0xFF>", -1 */
    bool has_bytes; /* the file said which they are: they are not looked up in the vocabulary */
    vx_wordpiece wordpiece;
    int before[VX_AROUND], before_count; /* ids put before a text, and behind it */
    int behind[VX_AROUND], behind_count;
    bool trim; /* white space at the ends of a token is not in its place */
    int size, pad;
    char about[160];
};

/* Readers. Each fills in a tokenizer whose hooks are set and that holds nothing else; `text` is the
 * file, `name` its name for messages. What they leave behind after a failure the caller gives
 * back. */
int vx_read_tokenizer_json(vx_tokenizer *t, const char *text, size_t bytes, const char *name);
int vx_read_vocab_merges(vx_tokenizer *t, const char *vocab, size_t vocab_bytes,
                         const char *vocab_name, const char *merges, size_t merges_bytes,
                         const char *merges_name);
int vx_read_simple_vocab(vx_tokenizer *t, const char *text, size_t bytes, const char *name);
int vx_read_vocab_txt(vx_tokenizer *t, const char *text, size_t bytes, const char *name,
                      bool lowercase);
/* fairseq: the ids of XLM-R, one more than the file's. */
int vx_read_spiece(vx_tokenizer *t, const char *data, size_t bytes, const char *name, bool fairseq);

/* The "model" of a tokenizer.json. */
int vx_read_json_model(vx_tokenizer *t, const char *text, size_t bytes, const char *name);
/* An object of words and ids into the vocabulary: {"a": 0, ...}. */
int vx_read_json_vocab(vx_tokenizer *t, const char *text, size_t bytes, const char *name);
/* The line at *at, which moves behind it; the line is without its "\n" or "\r\n". false at the end
 * of the text. */
bool vx_next_line(const char **line, size_t *bytes, const char **at, const char *end);
/* The cutting and normalising that CLIP's files leave unsaid; its specials as added tokens. */
int vx_clip_rules(vx_tokenizer *t, const char *name);

/* The last of all: sizes, tables, what the model points to. */
int vx_tokenizer_ready(vx_tokenizer *t, const char *name);

#endif
