/* cli/parallel.c: see parallel.h. */
#define _POSIX_C_SOURCE 200809L
#include "parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "say.h"

enum { MOST_THREADS = 8 }; /* the calling one included; each holds a picture while it draws */

struct pool {
    const struct pieces *pieces;
    pthread_mutex_t lock; /* of all below, and of the states */
    pthread_cond_t done;
    int next;
    bool stopped;
};

/* The piece that is begun next; -1: there is none. */
static int take(struct pool *pool)
{
    const struct pieces *p = pool->pieces;
    pthread_mutex_lock(&pool->lock);
    const int i = pool->stopped || pool->next == p->count ? -1 : pool->next++;
    if (i >= 0)
        p->states[i].begun = true;
    pthread_mutex_unlock(&pool->lock);
    return i;
}

static void stop(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopped = true;
    pthread_mutex_unlock(&pool->lock);
}

static void do_piece(struct pool *pool, int i)
{
    const struct pieces *p = pool->pieces;
    struct piece_state *state = &p->states[i];
    say_hold(&state->said, &state->length);
    const bool more = p->work(p->payload, i);
    say_release();
    pthread_mutex_lock(&pool->lock);
    pool->stopped |= !more;
    state->done = true;
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

static void *help(void *arg)
{
    for (int i; (i = take(arg)) >= 0;)
        do_piece(arg, i);
    return NULL;
}

/* Helps until piece i is done, or will never be begun. */
static void await(struct pool *pool, int i)
{
    const struct piece_state *state = &pool->pieces->states[i];
    for (bool ready = false; !ready;) {
        pthread_mutex_lock(&pool->lock);
        ready = state->done;
        pthread_mutex_unlock(&pool->lock);
        const int other = ready ? -1 : take(pool);
        if (other >= 0) {
            do_piece(pool, other);
        } else if (!ready) {
            pthread_mutex_lock(&pool->lock);
            while (state->begun && !state->done)
                pthread_cond_wait(&pool->done, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
            ready = true;
        }
    }
}

void news_create(pthread_cond_t *news)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(news, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void news_await(pthread_cond_t *news, pthread_mutex_t *lock, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(news, lock, &until);
}

int start_threads(pthread_t *handles, int count, void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    int started = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < count && pthread_create(&handles[started], NULL, body, arg) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void do_in_parallel(const struct pieces *p)
{
    pthread_t handles[MOST_THREADS];
    struct pool pool = {
        .pieces = p, .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    int threads = p->threads < p->count ? p->threads : p->count;
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    memset(p->states, 0, (size_t)p->count * sizeof *p->states);
    const int started = threads > 1 ? start_threads(handles, threads - 1, help, &pool) : 0;
    for (int i = 0; i < p->count; i++) {
        await(&pool, i);
        struct piece_state *state = &p->states[i];
        if (!p->listens || p->listens(p->payload, i))
            say_held(state->said);
        if (!p->finish(p->payload, i, state->begun))
            stop(&pool);
        free(state->said);
        state->said = NULL;
    }
    for (int i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    pthread_cond_destroy(&pool.done);
    pthread_mutex_destroy(&pool.lock);
}
