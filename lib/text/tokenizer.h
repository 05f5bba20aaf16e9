/*
 * text/tokenizer.h: from a text to the token ids that a text tower reads.
 *
 * Which files are read, in this order: tokenizer.json, vocab.json with merges.txt, vocab.txt,
 * spiece.model, sentencepiece.model, sentencepiece.bpe.model, tokenizer.model,
 * bpe_simple_vocab_16e6.txt[.gz]. The ids are those of transformers (the Rust tokenizers), and for
 * spiece.model those of sentencepiece.
 * Whatever a tokenizer.json asks for that is not done here is refused by its name.
 */
#ifndef VX_TEXT_TOKENIZER_H
#define VX_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

/* A tokenizer. Immutable once it is open: any number of threads may encode with it. */
typedef struct vx_tokenizer vx_tokenizer;

/* What is done to a text before the tokenizer's own rules: the file does not say it, the kind of
 * model does (open_clip's tokenizer_kwargs.clean, transformers' SiglipTokenizer). */
typedef enum vx_clean {
    VX_CLEAN_NONE = 0,     /* nothing: the files say all */
    VX_CLEAN_LOWER,        /* white space runs become one space, trimmed, lower case */
    VX_CLEAN_WHITESPACE,   /* white space runs become one space, trimmed */
    VX_CLEAN_CANONICALIZE, /* "_" becomes a space, other ASCII punctuation goes, then as LOWER */
    VX_CLEAN_SIGLIP,       /* lower case, ASCII punctuation ("_", too) goes, white space runs
                              become one space, trimmed: transformers' SiglipTokenizer */
    VX_CLEAN_SIGLIP2       /* lower case for all but the special tokens, and nothing else:
                              transformers' Siglip2Tokenizer, whatever the file says */
} vx_clean;

typedef struct vx_token {
    int id;
    uint32_t start, end; /* the bytes [start, end) of the text that the token stands for, however
                            the text was normalised; start == end for a token that was added, and
                            for one that stands for a space put before the text */
} vx_token;

/* Ids of one text after another; grows. {0} is empty. */
typedef struct vx_tokens {
    vx_token *at;
    int count, reserved;
    vitx_hooks hooks; /* where `at` is from: those of the tokenizer that first wrote here */
} vx_tokens;

/* Reads the tokenizer that lies in a folder. VITX_IO if none of the files is there; VITX_FORMAT
 * (damaged), VITX_UNSUPPORTED (names what is not done here), VITX_NOMEM. */
int vx_tokenizer_open(vx_tokenizer **out, const char *folder, vx_clean clean);
/* Likewise among the files of a shelf, with the caller's memory (hooks may be NULL). */
int vx_tokenizer_open_in(vx_tokenizer **out, vx_shelf shelf, const char *folder, vx_clean clean,
                         const vitx_hooks *hooks);
void vx_tokenizer_free(vx_tokenizer *tokenizer);

/* The largest id + 1 that encode() can give: at most the rows of an embedding. */
int vx_tokenizer_size(const vx_tokenizer *tokenizer);
/* The id that short texts are filled up with, -1 if the files name none. */
int vx_tokenizer_pad(const vx_tokenizer *tokenizer);
/* The id that ends a text, -1 if none is added. */
int vx_tokenizer_end(const vx_tokenizer *tokenizer);
/* The id of a word of the vocabulary or of an added token, -1 if there is none: "<pad>". */
int vx_tokenizer_id(const vx_tokenizer *tokenizer, const char *word);
/* What it was read from and how it works: "tokenizer.json (BPE, 49408 ids)". Owned by it. */
const char *vx_tokenizer_about(const vx_tokenizer *tokenizer);

/*
 * Appends the ids of a text, with those that begin and end it. Bytes that are no UTF-8 count as
 * U+FFFD, one a byte; a zero byte is a character. No filling up.
 *
 * limit: the most ids, those added among them. A longer text keeps what is added at both ends and
 *        loses its tail, like transformers with truncation; *cut says that it did. 0: no limit.
 *        VITX_INVALID if it is less than what is added
 * cut:   may be NULL
 * VITX_INVALID (more than 16 MiB of text), VITX_NOMEM. After a failure *out is as it was.
 */
int vx_tokenizer_encode(vx_tokens *out, const vx_tokenizer *tokenizer, const char *text,
                        size_t bytes, int limit, bool *cut);
void vx_tokens_free(vx_tokens *tokens);

#endif
