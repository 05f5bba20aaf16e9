/*
 * base/pool.c: workers that share one counter.
 *
 * A run is a task, a count and some seats, at most one for each processor that the process may use
 * beside the caller's. A worker that takes a seat takes numbers from `next` until they are used up,
 * then lowers `busy`. The caller works too, takes back the seats that nobody has taken by then, and
 * waits for `busy` to reach zero, so no worker can still be inside a run when the next one begins.
 * It never waits for a worker that has not begun: on a busy machine that may take long.
 *
 * A forward pass is some hundred short runs: sleeping between them would cost more than it saves,
 * so workers look for the next one for some microseconds before they sleep. No more of them do so
 * than there are seats: those beyond the processors would take away the time of those that work.
 */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/cpus.h"
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
    int most_seats;      /* of a run                                                   */
    atomic_int seats;    /* still free; raised under the lock                          */
    atomic_int busy;     /* seats of this run, free or taken, whose work is not done   */
    atomic_int next;     /* number that is done next                                   */
    atomic_int sleeping; /* workers; changed under the lock                            */
    atomic_bool stopping;
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

static bool take_seat(vx_pool *pool)
{
    int vacant = atomic_load_explicit(&pool->seats, memory_order_relaxed);
    while (vacant > 0)
        if (atomic_compare_exchange_weak_explicit(&pool->seats, &vacant, vacant - 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

/* Workers that are not asleep. */
static int count_awake(vx_pool *pool)
{
    return pool->threads - 1 - atomic_load_explicit(&pool->sleeping, memory_order_relaxed);
}

/* Waits for a seat; false when the pool is to end. */
static bool await_seat(vx_pool *pool)
{
    const bool spins = count_awake(pool) <= pool->most_seats;
    for (int i = 0; spins && i < SPIN_ROUNDS; i++) {
        if (take_seat(pool))
            return true;
        vx_relax();
    }
    bool seated = false;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->sleeping, 1, memory_order_relaxed);
    while (!(seated = take_seat(pool)) && !atomic_load(&pool->stopping))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub_explicit(&pool->sleeping, 1, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    return seated;
}

static void *run_worker(void *argument)
{
    const struct worker *self = argument;
    vx_pool *pool = self->pool;
    while (await_seat(pool)) {
        work(pool, self->index);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

/* Workers that spin see the seats at once; those that sleep are woken if there are too few
 * awake. */
static void offer_seats(vx_pool *pool, int seats)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store_explicit(&pool->seats, seats, memory_order_release);
    for (int awake = count_awake(pool); awake < seats; awake++)
        pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

/* Waits until the work of all seats is done; those that are free still are taken back. */
static void finish_run(vx_pool *pool)
{
    const int vacant = atomic_exchange_explicit(&pool->seats, 0, memory_order_relaxed);
    atomic_fetch_sub_explicit(&pool->busy, vacant, memory_order_relaxed);
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

void vx_pool_run(vx_pool *pool, void (*task)(void *arg, int i, int worker), void *arg, int count)
{
    const int seats = count - 1 < pool->most_seats ? count - 1 : pool->most_seats;
    if (seats < 1 || pool->process != getpid()) {
        for (int i = 0; i < count; i++)
            task(arg, i, 0);
        return;
    }
    pool->task = task;
    pool->arg = arg;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, seats, memory_order_relaxed);
    offer_seats(pool, seats);
    work(pool, 0);
    finish_run(pool);
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
    const int cpus = vx_cpu_count();
    pool->most_seats = (threads < cpus ? threads : cpus) - 1;
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
        pthread_mutex_lock(&pool->lock);
        atomic_store(&pool->stopping, true);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
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
