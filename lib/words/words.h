/*
 * words/words.h: the inside of vitx_texts and of a set of labels.
 *
 *      text -> tokenizer -> ids, cut behind the row that is read (model/text.h) -> text tower
 *      (engine/texts.h) -> vector
 */
#ifndef VX_WORDS_WORDS_H
#define VX_WORDS_WORDS_H

#include <pthread.h>

#include <vitx/texts.h>

#include "engine/texts.h"

/* Vectors of texts that were asked for one by one; a text that is explained is asked for often. */
typedef struct vx_text_memory {
    struct vx_remembered *buckets[256];
    size_t bytes;
} vx_text_memory;

struct vitx_texts {
    vitx_hooks hooks;
    vx_text_model *model;
    vitx_context *context;
    vx_tokenizer *tokenizer;
    vx_text_memory memory;
    pthread_mutex_t lock; /* of context and memory */
};

/* Numbers of a vector. */
static inline int vx_words_units(const vitx_texts *t)
{
    return t->model->arch.classes;
}

static inline vitx_outputs vx_words_outputs(const vitx_texts *t)
{
    return t->model->text.sigmoid ? VITX_OUTPUTS_SIGMOID : VITX_OUTPUTS_SOFTMAX;
}

/* Appends the tokens of a text that the tower runs: what stands behind the row that is read is left
 * out. rows: how many it runs; those that are missing are filled up with vx_words_pad. *cut: the
 * text was too long. Any thread. */
int vx_words_tokens(vx_tokens *out, int *rows, bool *cut, const vitx_texts *t, const char *text);
/* The id that fills up, below 0 where nothing says so. */
int vx_words_pad(const vitx_texts *t);
/* What the tower runs, [rows]: the ids of the tokens, then that. */
void vx_words_ids(int *ids, int rows, const vitx_texts *t, const vx_token *tokens, int count);

/* A call that runs `all` texts, how many are done, and how many of these were too long. */
typedef struct vx_words_course {
    int64_t all, done;
    int cut;
} vx_words_course;

/* The vectors [n,K] of n more of them, as the tower gives them. Takes the lock, for some texts at a
 * time. */
int vx_words_run(float *out, vx_words_course *course, vitx_texts *t, const char *const *list,
                 int n);

/* The vector [K] of one text, of length 1. Takes the lock. VITX_FORMAT: it is 0. */
int vx_words_vector(float *out, vitx_texts *t, const char *text);

/* words/memory.c. find: NULL if there is none. keep: what cannot be kept is not. */
const float *vx_text_memory_find(const vx_text_memory *memory, const char *text);
void vx_text_memory_keep(vx_text_memory *memory, const char *text, const float *vector, int units,
                         const vitx_hooks *hooks);
void vx_text_memory_dispose(vx_text_memory *memory, const vitx_hooks *hooks);

struct vitx_label_set {
    vitx_hooks hooks;
    vitx_label_set_info info;
    char **labels;  /* [count], in one block */
    float *vectors; /* [count,K] */
};

#endif
