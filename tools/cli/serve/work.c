/* serve/work.c: see work.h. */
#define _POSIX_C_SOURCE 200809L
#include "work.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metrics.h"
#include "pieces.h"
#include "sniff.h"
#include "tools/cli/parallel.h"

enum { EXPIRY_MS = 50 }; /* how often those who wait are looked at */

/* ------------------------------------------------------------------ keys ------------------- */

static void add_text(struct digest *digest, const char *text)
{
    digest_add(digest, text ? text : "", strlen(text ? text : "") + 1);
}

/* What the answers of a model depend on as long as the program runs: the weights, the way of
 * pictures into them, the arithmetic, the names. */
static bool make_prefix(struct lodged *m)
{
    const struct common *c = &m->served->common;
    const struct session *s = &m->served->session;
    struct digest *digest = digest_begin();
    char numbers[128];
    if (!digest)
        return false;
    snprintf(numbers, sizeof numbers, "%d %d %d %d %d %d %d %d", c->fit, s->size.input_height,
             s->size.input_width, s->size.max_tokens, c->max_patches, c->gradients, c->outputs,
             c->allow_truncated);
    const char *const texts[] = {vitx_version(),  m->served->name,   m->served->digest,
                                 s->size.device,  s->size.precision, numbers,
                                 c->pos_resample, c->weights_key,    c->ignore};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        add_text(digest, texts[i]);
    digest_add(digest, m->served->texts_digest, DIGEST_BYTES);
    for (int i = 0; i < s->info.classes && !s->info.units; i++)
        add_text(digest, vitx_model_label(s->model, i));
    digest_end(digest, m->prefix);
    return true;
}

static bool make_key(struct piece *piece)
{
    struct digest *digest = digest_begin();
    if (!digest)
        return false;
    digest_of(piece->picture_key, piece->picture, piece->bytes);
    const char form = (char)piece->ask->form;
    digest_add(digest, piece->model->prefix, DIGEST_BYTES);
    digest_add(digest, &form, 1);
    digest_add(digest, piece->ask->canonical.data, piece->ask->canonical.length + 1);
    digest_add(digest, piece->picture_key, DIGEST_BYTES);
    digest_end(digest, piece->key);
    return true;
}

/* ------------------------------------------------------------------ start and stop --------- */

/* Answers those who have waited too long for a worker. */
static void *watch_clock(void *payload)
{
    struct work *work = payload;
    pthread_mutex_lock(&work->lock);
    while (!work->stopping) {
        if (work->pieces > 0)
            news_await(&work->moved, &work->lock, EXPIRY_MS);
        else
            pthread_cond_wait(&work->more, &work->lock);
        queue_expire(work, seconds_now());
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

static bool create_locks(struct work *work)
{
    if (pthread_mutex_init(&work->lock, NULL) != 0)
        return false;
    pthread_cond_init(&work->more, NULL);
    news_create(&work->moved);
    return true;
}

/* The last one who held it. */
static void work_drop(struct work *work)
{
    if (atomic_fetch_sub(&work->holders, 1) > 1)
        return;
    cache_free(work->cache);
    free(work->models);
    pthread_cond_destroy(&work->more);
    pthread_cond_destroy(&work->moved);
    pthread_mutex_destroy(&work->lock);
    free(work);
}

static int begin_models(struct work *work)
{
    work->cache = cache_create(work->opts.cache_bytes, &answers_kept);
    work->models = calloc((size_t)work->opts.model_count, sizeof *work->models);
    bool there = work->cache && work->models;
    for (int i = 0; i < work->opts.model_count && there; i++) {
        struct lodged *m = &work->models[i];
        m->served = &work->opts.models[i];
        for (int lane = 0; lane < LANES; lane++)
            m->last[lane] = &m->first[lane];
        there = make_prefix(m);
    }
    if (there)
        return DONE;
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static int start_all(struct work *work)
{
    int status = begin_models(work);
    if (status == DONE)
        status = workers_start(work);
    if (status != DONE)
        return status;
    work->clock_begun = start_threads(&work->clock, 1, watch_clock, work) == 1;
    if (!work->clock_begun) {
        complain(NULL, "no thread");
        return SOME_FAILED;
    }
    return jobs_start(work) ? DONE : SOME_FAILED;
}

int work_start(struct work **out, const struct work_opts *opts)
{
    struct work *work = calloc(1, sizeof *work);
    *out = NULL;
    if (!work || !create_locks(work)) {
        free(work);
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    atomic_init(&work->holders, 1);
    work->opts = *opts;
    const int status = start_all(work);
    if (status == DONE)
        *out = work;
    else
        work_stop(work);
    return status;
}

/* All that is queued or runs. */
static void cancel_all(struct work *work)
{
    struct piece *p = work->oldest;
    while (p) {
        p->cancelled = true;
        if (p->stage == PIECE_RUNNING) {
            p = p->newer;
            continue;
        }
        struct problem why;
        refuse(&why, 503, "stopping", NULL, "the server stops");
        piece_finish(work, p, answer_refusing(&why));
        p = work->oldest;
    }
}

void work_stop(struct work *work)
{
    if (!work)
        return;
    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    pthread_cond_broadcast(&work->more);
    pthread_cond_broadcast(&work->moved);
    cancel_all(work);
    pthread_mutex_unlock(&work->lock);
    workers_stop(work);
    if (work->clock_begun)
        pthread_join(work->clock, NULL);
    jobs_stop(work->jobs);
    work_drop(work);
}

bool work_drain(struct work *work, double seconds)
{
    const double until = seconds_now() + seconds;
    struct timespec t = {.tv_sec = (time_t)until, .tv_nsec = (long)((until - floor(until)) * 1e9)};
    pthread_mutex_lock(&work->lock);
    while (work->pieces > 0 && seconds_now() < until)
        pthread_cond_timedwait(&work->moved, &work->lock, &t);
    const bool empty = work->pieces == 0;
    pthread_mutex_unlock(&work->lock);
    return empty;
}

/* ------------------------------------------------------------------ in and out ------------- */

static bool refuse_full(const struct work *work, double wait, struct problem *why)
{
    refuse(why, 503, "busy", NULL, "the queue is full: a worker would be free in %.1f s", wait);
    why->retry_after = 1 + (int)fmin(fmax(wait - work->opts.queue_s, 0), 600);
    metrics_rejected("queue");
    return false;
}

bool work_has_room(struct work *work, double cost, struct problem *why)
{
    pthread_mutex_lock(&work->lock);
    const double wait = queue_wait(work, NULL, cost);
    pthread_mutex_unlock(&work->lock);
    return wait <= work->opts.queue_s || refuse_full(work, wait, why);
}

/* What can be said before the picture is decoded. */
static bool check_picture(struct piece *piece, const struct work_opts *opts, struct problem *why)
{
    if (!ask_needs_picture(piece->ask))
        return piece->bytes == 0 ||
               refuse(why, 400, "text_and_picture", NULL, "a picture or texts: one of them");
    if (!sniff_picture(piece->picture, piece->bytes, &piece->pixels))
        return refuse(why, 415, "unsupported_media_type", NULL,
                      "the picture is no JPEG and no PNG");
    if (piece->pixels > opts->max_pixels)
        return refuse(why, 422, "too_many_pixels", NULL, "the picture has more than %d pixels",
                      opts->max_pixels);
    return true;
}

static bool check_cost(const struct work_opts *opts, const struct ask *ask, bool job,
                       struct problem *why)
{
    if (ask->cost > opts->most_cost)
        return refuse(why, 422, "too_costly", "ask for a cheaper method, or for fewer samples",
                      "it takes some %.0f forward passes, %.0f are allowed", ask->cost,
                      opts->most_cost);
    if (!job && ask->cost > opts->async_cost)
        return refuse(why, 422, "too_costly", "ask for a job: Prefer: respond-async",
                      "it takes some %.0f forward passes, %.0f are allowed without a job",
                      ask->cost, opts->async_cost);
    return true;
}

static struct lodged *find_model(const struct work *work, const struct served *served)
{
    for (int i = 0; i < work->opts.model_count; i++)
        if (work->models[i].served == served)
            return &work->models[i];
    return NULL;
}

/* Takes the ask and the picture. NULL: *why. */
static struct piece *piece_create(const struct work *work, struct ask *ask, void *picture,
                                  size_t bytes, bool job, struct problem *why)
{
    struct piece *piece = calloc(1, sizeof *piece);
    if (!piece) {
        ask_free(ask);
        free(picture);
        refuse(why, 503, "no_memory", NULL, "no memory");
        return NULL;
    }
    *piece = (struct piece){.ask = ask,
                            .picture = picture,
                            .bytes = bytes,
                            .model = find_model(work, ask->model),
                            .lane = job || ask->cost > SLOW_COST ? LANE_SLOW : LANE_FAST,
                            .begun = seconds_now()};
    piece->queue_until = job ? INFINITY : piece->begun + work->opts.queue_s;
    piece->run_s = job ? INFINITY : work->opts.compute_s;
    if (check_cost(&work->opts, ask, job, why) && check_picture(piece, &work->opts, why)) {
        if (make_key(piece))
            return piece;
        refuse(why, 503, "no_memory", NULL, "no memory");
    }
    piece_free(piece);
    return NULL;
}

static struct ticket *ticket_create(struct work *work, void (*ready)(void *payload), void *payload,
                                    struct problem *why)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket) {
        refuse(why, 503, "no_memory", NULL, "no memory");
        return NULL;
    }
    ticket->work = work;
    ticket->ready = ready;
    ticket->payload = payload;
    ticket->until = INFINITY;
    atomic_fetch_add(&work->holders, 1);
    return ticket;
}

struct ticket *ticket_of(struct work *work, struct answer *answer)
{
    struct problem why;
    struct ticket *ticket = ticket_create(work, NULL, NULL, &why);
    if (ticket)
        ticket->answer = answer;
    else
        answer_drop(answer);
    return ticket;
}

/* The same work, if somebody waits for it already. */
static struct piece *find_same(const struct work *work, const struct piece *piece)
{
    for (struct piece *p = work->newest; p; p = p->older)
        if (!p->cancelled && memcmp(p->key, piece->key, sizeof p->key) == 0)
            return p;
    return NULL;
}

/* A client without a job may join the piece of one, but waits no longer for that. */
static void join(struct piece *piece, struct ticket *ticket, double until)
{
    ticket->until = until;
    ticket->piece = piece;
    ticket->next = piece->tickets;
    piece->tickets = ticket;
}

/* With the lock held. What comes of the piece: *ticket waits for it or for the same one, or has its
 * answer. `piece` is freed unless it is the one that waits. */
static bool enter(struct work *work, struct piece *piece, struct ticket *ticket, bool job,
                  struct problem *why)
{
    const double until = piece->queue_until + (double)piece->run_s;
    struct piece *same = find_same(work, piece);
    if (same) {
        same->queue_until = fmax(same->queue_until, piece->queue_until);
        same->run_s = fmax(same->run_s, piece->run_s);
        /* Of a job, perhaps, behind others that take minutes. */
        if (same->stage == PIECE_QUEUED && same->lane > piece->lane)
            queue_hurry(work, same);
        join(same, ticket, until);
        piece_free(piece);
        return true;
    }
    ticket->answer = cache_find(work->cache, piece->key);
    metrics_add(ticket->answer ? COUNT_HITS : COUNT_MISSES, 1);
    if (ticket->answer) {
        piece_free(piece);
        return true;
    }
    const double wait = queue_wait(work, piece->model, piece->ask->cost);
    const bool room = job || wait <= work->opts.queue_s || refuse_full(work, wait, why);
    if (room && !work->stopping) {
        join(piece, ticket, until);
        queue_add(work, piece);
        return true;
    }
    if (room)
        refuse(why, 503, "stopping", NULL, "the server stops");
    piece_free(piece);
    return false;
}

static struct ticket *submit(struct work *work, struct ask *ask, void *picture, size_t bytes,
                             bool job, void (*ready)(void *payload), void *payload,
                             struct problem *why)
{
    struct piece *piece = piece_create(work, ask, picture, bytes, job, why);
    struct ticket *ticket = piece ? ticket_create(work, ready, payload, why) : NULL;
    if (!ticket) {
        if (piece)
            piece_free(piece);
        return NULL;
    }
    pthread_mutex_lock(&work->lock);
    const bool entered = enter(work, piece, ticket, job, why);
    const bool there = entered && ticket->answer && !ticket->calling;
    pthread_mutex_unlock(&work->lock);
    if (there)
        ready(payload);
    if (entered)
        return ticket;
    work_drop(work);
    free(ticket);
    return NULL;
}

struct ticket *work_submit(struct work *work, struct ask *ask, void *picture, size_t bytes,
                           void (*ready)(void *payload), void *payload, struct problem *why)
{
    return submit(work, ask, picture, bytes, false, ready, payload, why);
}

struct ticket *work_submit_job(struct work *work, struct ask *ask, void *picture, size_t bytes,
                               void (*ready)(void *payload), void *payload, struct problem *why)
{
    return submit(work, ask, picture, bytes, true, ready, payload, why);
}

const struct reply *ticket_reply(const struct ticket *ticket)
{
    return &ticket->answer->reply;
}

void ticket_leave(struct ticket *ticket)
{
    if (!ticket)
        return;
    struct work *work = ticket->work;
    pthread_mutex_lock(&work->lock);
    if (ticket->piece)
        ticket_detach(work, ticket);
    const bool own = ticket->calling && pthread_equal(ticket->caller, pthread_self());
    ticket->left = own; /* within ready: whoever called it ends the ticket */
    while (ticket->calling && !own)
        pthread_cond_wait(&work->moved, &work->lock);
    pthread_mutex_unlock(&work->lock);
    if (own)
        return;
    answer_drop(ticket->answer);
    free(ticket);
    work_drop(work);
}
