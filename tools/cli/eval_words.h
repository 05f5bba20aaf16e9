/*
 * cli/eval_words.h: scenes asked for in words, for models with a text tower: each object by a
 * sentence that names its thing. Beside the maps: whether the model says which things are there,
 * and whether true sentences come before false ones.
 */
#ifndef CLI_EVAL_WORDS_H
#define CLI_EVAL_WORDS_H

#include "session.h"
#include "tools/scenes/sentence.h"

struct share {
    int right, all;
};

struct eval_words {
    const struct session *session;
    enum language language;
    bool told_apart; /* each thing from all others: --among-things */
    int units;
    char (*things)[SENTENCE_BYTES]; /* [scene_classes()]: a sentence that names the thing */
    float *vectors;                 /* [scene_classes() + 1, units], the last of the empty text */
    float *picture;                 /* [units] of the scene at hand, of length 1 */
    double *cosines;                /* [scene_classes() + 1] of that picture */
    struct share there, absent;     /* things of scenes above the empty text; others not above it */
    struct share kinds[FACT_KINDS]; /* true sentences above the false ones that go with them */
};

/* The languages of --words, in the order of enum language, ended by NULL. */
extern const char *const word_languages[];

/* The sentences' vectors, of a session whose text tower is open. Complains; an exit status. Free it
 * whatever comes of it. */
int eval_words_create(struct eval_words *words, const struct session *session,
                      enum language language);
/* session->among: those sentences, for a session whose text tower is open. Complains; an exit
 * status. */
int eval_words_among(struct session *session, enum language language);
void eval_words_free(struct eval_words *words);

/* Runs the scene's picture and compares it with all things and sentences. right: the best things
 * are the scene's. @return the library's status */
int eval_words_ask(struct eval_words *words, bool *right, const struct scene *scene,
                   const vitx_image *image, uint64_t seed, uint64_t index);

void eval_words_print(const struct eval_words *words);
/* ,"words":{..} */
void eval_words_print_json(const struct eval_words *words);

#endif
