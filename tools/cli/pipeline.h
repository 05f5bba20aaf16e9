/*
 * cli/pipeline.h: pieces of work (a picture or a batch of them) that go through stages: load, run,
 * save. Several are under way at once, each in a slot of its own, so that decoding, the network and
 * encoding go on beside each other. What came of them is told of in their order.
 *
 * A stage of a piece is done by any thread, but for finish, which the calling thread does: nothing
 * else prints. Signals stay with the calling thread, too: the others block them. After Ctrl-C, or
 * if a stage says that there is no more, no piece is begun.
 */
#ifndef CLI_PIPELINE_H
#define CLI_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vitx/vitx.h>

struct pipeline {
    int count;               /* pieces                                                     */
    int threads;             /* 1: all is done in turn by the calling thread; else beside it */
    int slots;               /* pieces that are under way at once                          */
    vitx_context **contexts; /* as many pieces run at once                                 */
    int context_count;
    int64_t most_pixels; /* no piece is loaded beside others that hold so many             */
    void *payload;       /* of all calls                                                   */
    /* All give whether there will be more. Nothing else of the program may be written there, but
     * what belongs to the slot; complain() may be called. *pixels: those that the slot holds then.
     * save: NULL if there is nothing to. */
    bool (*load)(void *payload, int piece, int slot, int64_t *pixels);
    bool (*run)(void *payload, int piece, int slot, vitx_context *context);
    bool (*save)(void *payload, int piece, int slot);
    /* In their order, by the calling thread, after what the stages have complained of is printed
     * (after one that was the last, what save complains of is not: it says the same). begun false:
     * no stage was; none of a later piece is then. */
    bool (*finish)(void *payload, int piece, int slot, bool begun);
};

/* Does all pieces, or those before the one that says that there is no more, and those that had
 * begun. false: no memory. */
bool pipeline_run(const struct pipeline *pipeline);

#endif
