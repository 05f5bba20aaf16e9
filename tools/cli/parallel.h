/*
 * cli/parallel.h: pieces of work done by a few threads, and told of in their order.
 *
 * Signals stay with the thread that calls: the others block them.
 */
#ifndef CLI_PARALLEL_H
#define CLI_PARALLEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* One piece: what the threads know of it. Zero before. */
struct piece_state {
    bool begun, done;
    char *said; /* its complaints, until they are printed */
    size_t length;
};

struct pieces {
    int count, threads;         /* threads: the calling one included                       */
    struct piece_state *states; /* [count]                                                 */
    void *payload;              /* of both calls                                           */
    /* Does piece i, on any thread; false: no piece is begun any more. Nothing else of the program
     * may be written there; complain() may be called. */
    bool (*work)(void *payload, int i);
    /* Both are called for each piece in order, by the calling thread. listens: whether what work
     * complained of is printed before finish; NULL: always. `begun`: work was called; false from
     * finish as from work. */
    bool (*listens)(void *payload, int i);
    bool (*finish)(void *payload, int i, bool begun);
};

/* Starts up to `count` threads, fewer if the system has no more: how many. Only the calling thread
 * gets the program's signals. */
int start_threads(pthread_t *handles, int count, void *(*body)(void *), void *arg);

/* A condition that is waited for by a clock that only goes forward. */
void news_create(pthread_cond_t *news);
/* Until there is news, or so long; the lock is held. */
void news_await(pthread_cond_t *news, pthread_mutex_t *lock, int ms);

/* Does all pieces, or those before the one that says stop and those under way. */
void do_in_parallel(const struct pieces *pieces);

#endif
