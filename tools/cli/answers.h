/*
 * cli/answers.h: what classify and embed share: the numbers of each picture, batch by batch, a
 * picture that fails at the cost of no other.
 */
#ifndef CLI_ANSWERS_H
#define CLI_ANSWERS_H

#include "session.h"

/* How a command answers; settings are its own, which begin with a struct common. */
struct answers {
    bool units; /* of models without classes, else of those with; the others are refused */
    bool texts; /* classes may be texts, of models without classes: session->labels (labels.h) */
    bool all;   /* values of all pictures lie one behind the other, else of a batch */
    /* Bytes of a picture's values. */
    size_t (*size)(const struct session *session, const void *settings);
    /* Values of n pictures, on any thread; the library's status. */
    int (*run)(void *values, const struct session *session, const void *settings,
               vitx_context *context, const vitx_image *const *images, int n);
    void (*print)(const struct session *session, const void *settings, const char *name,
                  const void *values);
    /* What is done in the end, `status` being what came of the pictures, with `all` to all values:
     * the command's exit status. NULL: nothing. */
    int (*finish)(const struct session *session, const void *settings, const void *values,
                  int count, int status);
};

/* From the model's opening to its closing; gives the exit status. */
int answers_run(const struct answers *how, const void *settings, char **files, int count);

#endif
