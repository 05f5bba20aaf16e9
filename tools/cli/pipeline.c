/* cli/pipeline.c: see pipeline.h. */
#define _POSIX_C_SOURCE 200809L
#include "pipeline.h"

#include <pthread.h>
#include <stdlib.h>

#include "parallel.h"
#include "progress.h"
#include "say.h"

enum { STAGES = 3, MOST_THREADS = 256, REDRAW_MS = 100 };

/* What a slot's piece waits for, or what is done with it. */
enum state { TO_LOAD, LOADING, TO_RUN, RUNNING, TO_SAVE, SAVING, READY };

struct slot {
    enum state state;
    int64_t pixels;
    char *said[STAGES]; /* its complaints, until they are printed */
};

struct flow {
    const struct pipeline *p;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t news;
    struct slot *slots;
    bool *taken;     /* [context_count] */
    int first, next; /* the piece that is finished next, that is begun next */
    int64_t pixels;  /* of all slots */
    bool stopped;
    bool over; /* the calling thread's: a piece was finished that is the last to be told of */
};

static struct slot *slot_of(const struct flow *f, int piece)
{
    return &f->slots[piece % f->p->slots];
}

static int free_context(const struct flow *f)
{
    for (int i = 0; i < f->p->context_count; i++)
        if (!f->taken[i])
            return i;
    return -1;
}

/* The oldest piece in that state, -1: none. */
static int oldest(const struct flow *f, enum state state)
{
    for (int i = f->first; i < f->next; i++)
        if (slot_of(f, i)->state == state)
            return i;
    return -1;
}

static bool may_begin(const struct flow *f)
{
    const struct pipeline *p = f->p;
    if (f->stopped || progress_interrupted() || f->next == p->count)
        return false;
    return f->next - f->first < p->slots && (f->pixels < p->most_pixels || f->next == f->first);
}

/* What has gone furthest comes first: memory is given back soonest then. */
static int take(struct flow *f, int *context)
{
    int piece = oldest(f, TO_SAVE);
    *context = -1;
    if (piece >= 0) {
        slot_of(f, piece)->state = SAVING;
        return piece;
    }
    *context = free_context(f);
    piece = *context >= 0 ? oldest(f, TO_RUN) : -1;
    if (piece >= 0) {
        slot_of(f, piece)->state = RUNNING;
        f->taken[*context] = true;
        return piece;
    }
    if (!may_begin(f))
        return -1;
    piece = f->next++;
    slot_of(f, piece)->state = LOADING;
    return piece;
}

static bool do_stage(const struct flow *f, int piece, enum state state, int context)
{
    const struct pipeline *p = f->p;
    const int slot = piece % p->slots;
    size_t length;
    bool more;
    say_hold(&f->slots[slot].said[state / 2], &length);
    if (state == LOADING)
        more = p->load(p->payload, piece, slot, &f->slots[slot].pixels);
    else if (state == RUNNING)
        more = p->run(p->payload, piece, slot, p->contexts[context]);
    else
        more = p->save(p->payload, piece, slot);
    say_release();
    return more;
}

/* The stage of the piece was done. */
static void pass_on(struct flow *f, int piece, int context)
{
    struct slot *slot = slot_of(f, piece);
    if (slot->state == LOADING) {
        f->pixels += slot->pixels;
        slot->state = TO_RUN;
    } else if (slot->state == RUNNING) {
        f->taken[context] = false;
        slot->state = f->p->save ? TO_SAVE : READY;
    } else {
        slot->state = READY;
    }
}

/* Stages of pieces, as long as there are some that could be begun. */
static void *work(void *arg)
{
    struct flow *f = arg;
    pthread_mutex_lock(&f->lock);
    while (f->first < f->p->count && !(f->stopped && f->first == f->next)) {
        int context;
        const int piece = take(f, &context);
        if (piece < 0) {
            pthread_cond_wait(&f->news, &f->lock);
            continue;
        }
        const enum state state = slot_of(f, piece)->state;
        pthread_mutex_unlock(&f->lock);
        const bool more = do_stage(f, piece, state, context);
        pthread_mutex_lock(&f->lock);
        f->stopped |= !more;
        pass_on(f, piece, context);
        pthread_cond_broadcast(&f->news);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Waits for a piece; false: it will not be begun. */
static bool await(struct flow *f, int piece)
{
    bool begun;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        begun = piece < f->next;
        if (begun ? slot_of(f, piece)->state == READY : f->stopped)
            break;
        if (progress_interrupted() && !f->stopped) {
            f->stopped = true;
            pthread_cond_broadcast(&f->news);
            continue;
        }
        news_await(&f->news, &f->lock, REDRAW_MS);
        pthread_mutex_unlock(&f->lock);
        progress_tick(0, 1, NULL);
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return begun;
}

/* Its slot is free afterwards. */
static void finish(struct flow *f, int piece, bool begun)
{
    const struct pipeline *p = f->p;
    struct slot *slot = slot_of(f, piece);
    for (int i = 0; begun && i < STAGES; i++) {
        if (!f->over || i < STAGES - 1)
            say_held(slot->said[i]);
        free(slot->said[i]);
    }
    const bool more = p->finish(p->payload, piece, piece % p->slots, begun);
    f->over |= !more;
    pthread_mutex_lock(&f->lock);
    if (begun) {
        f->pixels -= slot->pixels;
        *slot = (struct slot){.state = TO_LOAD};
        f->first = piece + 1;
    }
    f->stopped |= !more;
    pthread_cond_broadcast(&f->news);
    pthread_mutex_unlock(&f->lock);
}

/* false: the system has no thread for it. */
static bool run_beside(struct flow *f)
{
    const struct pipeline *p = f->p;
    pthread_t handles[MOST_THREADS];
    const int threads = p->threads < MOST_THREADS ? p->threads : MOST_THREADS;
    const int started = start_threads(handles, threads, work, f);
    if (started == 0)
        return false;
    for (int i = 0; i < p->count; i++)
        finish(f, i, await(f, i));
    for (int i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    return true;
}

static void run_in_turn(const struct pipeline *p)
{
    bool more = true;
    int64_t pixels;
    for (int i = 0; i < p->count; i++) {
        const bool begun = more && !progress_interrupted();
        if (begun)
            more = p->load(p->payload, i, 0, &pixels) && p->run(p->payload, i, 0, p->contexts[0]) &&
                   (!p->save || p->save(p->payload, i, 0));
        more = p->finish(p->payload, i, 0, begun) && more;
    }
}

static void flow_free(struct flow *f)
{
    free(f->slots);
    free(f->taken);
}

bool pipeline_run(const struct pipeline *p)
{
    struct flow f = {.p = p};
    if (p->threads < 2) {
        run_in_turn(p);
        return true;
    }
    f.slots = calloc((size_t)p->slots, sizeof *f.slots);
    f.taken = calloc((size_t)p->context_count, sizeof *f.taken);
    if (!f.slots || !f.taken) {
        flow_free(&f);
        complain(NULL, "no memory");
        return false;
    }
    news_create(&f.news);
    pthread_mutex_init(&f.lock, NULL);
    const bool started = run_beside(&f);
    pthread_mutex_destroy(&f.lock);
    pthread_cond_destroy(&f.news);
    flow_free(&f);
    if (!started)
        run_in_turn(p);
    return true;
}
