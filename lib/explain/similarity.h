/*
 * explain/similarity.h: scores that compare the outputs with a vector, in place of a target: one
 * that the caller gives, that of a text, or what the model answers for another picture.
 */
#ifndef VX_EXPLAIN_SIMILARITY_H
#define VX_EXPLAIN_SIMILARITY_H

#include <stdbool.h>
#include <vitx/explain.h>

/* A vector that outputs are compared with. */
typedef struct vx_similarity {
    const vitx_image *like; /* the vector is what the model answers for it; NULL: it is given */
    vitx_score score;       /* the cosine or dot; nothing without a vector */
    float *vector;          /* [classes], of length 1 for the cosine; NULL: there is none */
    double length;          /* what the cosine counts: of two texts the length of the difference of
                             * their vectors, else 1 */
    /* What a text tower adds, if the vector is a text's. Vectors have length 1, and there are none
     * without texts. */
    float *empty; /* [classes] of the empty text, behind `vector` in its memory; or NULL: there is
                   * no text, or another is set against it, beside which the empty one cancels */
    const float *others; /* [other_count, classes] of texts that stand for all else: those of
                          * vitx_explain_opts.among, or the empty one */
    int other_count;
    bool among;                 /* the former */
    float scale;                /* of cosines among others: exp of the model's logit scale */
    struct vx_similarity *next; /* the list of all that a call has; NULL: the last */
} vx_similarity;

/* Refuses what can be seen to be wrong before a text is run; count: of the model's outputs. */
int vx_similarity_check(const vitx_explain_opts *opts, int count);
/* Then, of options that were checked: runs the texts. The vector is the context's scratch, also
 * after a failure; it is filled if it was given. next is NULL. */
int vx_similarity_prepare(vx_similarity *out, vitx_context *c, const vitx_explain_opts *opts);
/* How many pictures are to be run for the vectors of the list. */
int vx_similarity_pictures(const vx_similarity *list);
/* Runs them, and fills in the rest. The context has the size of its input that it had before;
 * memory may not be laid out for it (vx_size_reserve). */
int vx_similarity_run(vitx_context *c, vx_similarity *list);

/* The vector [units] of a text that a method needs itself, of length 1. VITX_INVALID: the text
 * tower's vectors have another length. */
int vx_similarity_vector(float *out, int units, vitx_texts *texts, const char *text);
/* The cosine of outputs and a text. */
int vx_similarity_of_text(double *out, vitx_texts *texts, const char *text, const float *outputs);

#endif
