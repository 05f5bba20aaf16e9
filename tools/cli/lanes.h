/*
 * cli/lanes.h: how a command's pieces of work (pipeline.h) share the processors.
 *
 * With many pictures each lane is a thread that reads, runs and writes pictures of its own, with a
 * context of one thread: no processor waits for another, and decoding and encoding go on beside
 * the network by themselves. On a GPU there are two contexts: one prepares and copies while the
 * other computes. With few pictures, or without the memory for several contexts, there is one
 * with all threads, and another thread reads ahead.
 */
#ifndef CLI_LANES_H
#define CLI_LANES_H

#include "inputs.h"
#include "pipeline.h"
#include "session.h"

struct lanes {
    int count;               /* contexts                   */
    vitx_context **contexts; /* the first is the session's */
    int threads, slots;      /* as in struct pipeline      */
};

/* What the pictures do to a context. */
enum lanes_for {
    LANES_FORWARD, /* they run, each on its own                        */
    LANES_RECORD,  /* ..., and what is recorded may take the --budget  */
    LANES_ONE      /* they have one context in common                  */
};

/* For pictures that run by --batch. Starts the session, and complains if that fails; free lanes
 * whatever comes of it, before the session is closed. An exit status. */
int lanes_start(struct lanes *lanes, struct session *session, const struct common *common,
                char **files, int count, enum lanes_for what);
/* The pipeline whose stages are given; the rest of it is set here. An exit status. */
int lanes_run(const struct lanes *lanes, struct pipeline *stages);
void lanes_free(struct lanes *lanes);

/* Whether the pieces are done in turn by the calling thread. */
bool lanes_in_turn(const struct lanes *lanes);

/* Files whose pictures run `batch` at a time: a piece is a batch. */
struct series {
    char **files;
    int count, batch;
};

int series_pieces(const struct series *series);
/* The files of a piece: how many, and (first) the number of the first among all. */
int series_extent(const struct series *series, int piece, int *first);
/* batch_load() of a piece's files, for the stage load. If that is done in turn, the progress is
 * told of them. */
bool lanes_load(const struct lanes *lanes, struct batch *batch, const struct series *series,
                int piece, const struct common *common, int64_t *pixels);

#endif
