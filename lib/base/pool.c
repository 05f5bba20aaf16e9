/*
 * base/pool.c: workers that share one counter.
 *
 * A run is a generation number, a task and a count. The caller publishes them and raises the
 * generation; every worker that sees a new generation takes numbers from `next` until they are
 * used up, then reports by lowering `busy`. The caller works too, then waits for `busy` to reach
 * zero, so no worker can still be inside a run when the next one is published.
 *
 * A forward pass is some hundred short runs: sleeping between them would cost more than it saves,
 * so a worker looks for the next one for some microseconds before it sleeps.
 */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "kernels/relax.h"

#define SPIN_ROUNDS 4000 /* about 20 to 60 microseconds */

struct worker {
    struct vx_pool *pool;
    int index;
};

struct vx_pool {
    vitx_hooks hooks;
    pid_t process; /* that started the workers: they do not live on in the child of a fork */
    int threads;   /* the caller included */
    int started;   /* threads that run, to be joined */
    pthread_t *handles;
    struct worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint generation; /* raised under the lock; read outside it while spinning */
    atomic_int busy, next;
    int sleeping;  /* under the lock */
    bool stopping; /* under the lock, published by generation */
    void (*task)(void *arg, int i, int worker);
    void *arg;
    int count;
};

static void work(vx_pool *pool, int worker)
{
    for (;;) {
        const int i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->count)
            return;
        pool->task(pool->arg, i, worker);
    }
}

/* Waits for a generation other than `seen`. */
static unsigned await(vx_pool *pool, unsigned seen)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        const unsigned now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        vx_relax();
    }
    pthread_mutex_lock(&pool->lock);
    pool->sleeping++;
    unsigned now;
    while ((now = atomic_load_explicit(&pool->generation, memory_order_acquire)) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    pool->sleeping--;
    pthread_mutex_unlock(&pool->lock);
    return now;
}

static void *run_worker(void *argument)
{
    const struct worker *self = argument;
    vx_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = await(pool, seen);
        if (pool->stopping)
            return NULL;
        work(pool, self->index);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

/* Raises the generation; workers that spin see it at once, those that sleep are woken. */
static void publish(vx_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    if (pool->sleeping)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void vx_pool_run(vx_pool *pool, void (*task)(void *arg, int i, int worker), void *arg, int count)
{
    if (pool->threads == 1 || count <= 1 || pool->process != getpid()) {
        for (int i = 0; i < count; i++)
            task(arg, i, 0);
        return;
    }
    pool->task = task;
    pool->arg = arg;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    publish(pool);
    work(pool, 0);
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0)
            return;
        vx_relax();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->busy, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static int start_workers(vx_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals are the host's business: its handlers must not run on our threads. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = VITX_OK;
    for (int i = 0; i < pool->threads - 1 && status == VITX_OK; i++) {
        pool->workers[i] = (struct worker){pool, i + 1};
        const int error = pthread_create(&pool->handles[i], NULL, run_worker, &pool->workers[i]);
        if (error)
            status = vx_fail(VITX_NOMEM, "worker thread %d of %d: %s", i + 1, pool->threads - 1,
                             strerror(error));
        else
            pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

int vx_pool_create(vx_pool **out, const vitx_hooks *hooks, int threads)
{
    *out = NULL;
    if (threads < 1 || threads > 256)
        return vx_fail(VITX_INVALID, "%d threads: 1 to 256 are accepted", threads);
    vx_pool *pool;
    VX_TRY(vx_new(&pool, hooks, 1, sizeof *pool, "worker threads"));
    pool->hooks = *hooks;
    pool->threads = threads;
    pool->process = getpid();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    int status =
        vx_new(&pool->handles, hooks, (size_t)threads, sizeof *pool->handles, "worker threads");
    if (status == VITX_OK)
        status =
            vx_new(&pool->workers, hooks, (size_t)threads, sizeof *pool->workers, "worker threads");
    if (status == VITX_OK)
        status = start_workers(pool);
    if (status != VITX_OK) {
        vx_pool_free(pool);
        return status;
    }
    *out = pool;
    return VITX_OK;
}

void vx_pool_free(vx_pool *pool)
{
    if (!pool)
        return;
    const vitx_hooks hooks = pool->hooks;
    if (pool->process == getpid()) {
        pool->stopping = true;
        publish(pool);
        for (int i = 0; i < pool->started; i++)
            pthread_join(pool->handles[i], NULL);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->done);
    }
    vx_release(&hooks, pool->handles);
    vx_release(&hooks, pool->workers);
    vx_release(&hooks, pool);
}

int vx_pool_threads(const vx_pool *pool)
{
    return pool->threads;
}
