/* serve/outcome.h: what came of a picture, and the bytes that a client gets of it. */
#ifndef CLI_SERVE_OUTCOME_H
#define CLI_SERVE_OUTCOME_H

#include "asked.h"

/* Zero before the first use. */
struct outcome {
    vitx_prediction *top; /* [top_count] */
    int top_count;
    struct held_labels *labels; /* whose texts stand in `top` (NULL: the model's own), or that the
                                 * maps' texts are told from */
    float *embedding;           /* [ask's texts, or 1 of the picture][session.info.classes] */
    int texts;                  /* texts that were run, but for those of maps, */
    double texts_s;             /* and the seconds that they took              */
    vitx_map **maps;            /* [map_count]; none is NULL */
    int map_count;
    struct text page; /* of FORM_HTML */
};

/* Runs the picture (NULL: the ask needs none) on a context of the ask's model, and fills the
 * outcome; *why where it fails.
 * VITX_CANCELLED where the context's progress said so, VITX_INVALID for any other failure. */
int outcome_make(struct outcome *out, const struct ask *ask, vitx_context *context,
                 const vitx_image *image, struct problem *why);
/* The same for several asks, of which each two agree (together.h): one call for all of their maps,
 * and a forward before it if any of them explains the best classes. made [count]: that outcome is
 * whole; the other asks are to be carried out alone, and their outcomes are empty. *forwards: what
 * it took; 0: it failed. */
void outcomes_make(struct outcome *outcomes, bool *made, double *forwards,
                   const struct ask *const *asks, int count, vitx_context *context,
                   const vitx_image *image);
void outcome_free(struct outcome *outcome);

/* In the ask's form; image: the picture that was run. The content's type is *type. */
bool outcome_write(struct text *out, const char **type, const struct outcome *outcome,
                   const struct ask *ask, const vitx_image *image, struct problem *why);

#endif
