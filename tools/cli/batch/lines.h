/* batch/lines.h: how far a run is: the line of a terminal, or lines of JSON for programs. */
#ifndef CLI_BATCH_LINES_H
#define CLI_BATCH_LINES_H

#include <stdbool.h>

#include "tools/cli/options.h"

enum lines_form { LINES_AUTO, LINES_JSON, LINES_NONE };

struct lines {
    enum lines_form form;
    struct common common;    /* quiet, unless the line is for a terminal */
    int done, failed, total; /* done: failed ones are among them. total: -1: not known */
    int before;              /* those that were done when the run began */
    double began, said;      /* ms */
};

/* total: pictures of all shards that this worker does; -1: not known. */
void lines_begin(struct lines *lines, const struct common *common, enum lines_form form, int total);
/* A shard that was done before. */
void lines_skip(struct lines *lines, int done, int failed);
void lines_step(struct lines *lines, int shard, bool failed, const char *name);
/* A shard did not come to its end: its pictures are to be done again. */
void lines_take_back(struct lines *lines, int done, int failed);
void lines_end(struct lines *lines, int shard);

#endif
