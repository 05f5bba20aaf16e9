/*
 * cli/direction.h: --vector, --like and --text, which stand in place of --target.
 */
#ifndef CLI_DIRECTION_H
#define CLI_DIRECTION_H

#include "session.h"

/* What was given on the command line. */
struct direction_words {
    const char *vector, *like; /* NULL: not given */
    int score;                 /* as vitx_score */
    int texts;                 /* how many --text there are */
    int others;                /* how many other things were named that can be explained */
};

struct direction {
    float *vector; /* NULL: none */
    int count;
    vitx_image *like; /* NULL: none */
};

/* All give an exit status and complain where it is not DONE. */

/* The numbers of a file of --vector, which has so many. */
int vector_load(float *out, int count, const char *file);
/* That one thing is explained, and --score is of such. `others` names theirs, in a message. */
int direction_check(const struct direction_words *words, const char *others);
/* That a --text says something. */
int text_check(const char *text);
/* Reads the file, for a model that is open. Free it whatever comes of it. */
int direction_load(struct direction *out, const struct direction_words *words,
                   const struct session *session, const struct common *common);
/* To all opts, if there is one. */
void direction_give(const struct direction *direction, vitx_explain_opts *opts, int count);
void direction_free(struct direction *direction);

#endif
