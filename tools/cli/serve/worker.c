/*
 * serve/worker.c: the threads that work. Each has a context and takes its pictures from the bytes
 * of a file to those of an answer, so that decoding and encoding of one go on beside the network of
 * another; see pieces.h.
 *
 * Where a model has one context alone, a slow piece makes room between two blocks of the network:
 * its thread waits while a guest, which has a context of its own, does one piece of the fast lane.
 * While it runs texts the guest works beside it.
 */
#include "pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "outcome.h"
#include "tools/cli/parallel.h"
#include "tools/cli/reason.h"

enum { MOST_CONTEXTS = 64, GPU_CONTEXTS = 2 };

#define LEARN 0.1 /* what the newest measurement counts */

/* ------------------------------------------------------------------ between blocks --------- */

/* A guest's turn, if there is something for it. */
static void make_room(struct worker *worker)
{
    struct work *work = worker->work;
    struct lodged *m = worker->model;
    const double before = seconds_now();
    pthread_mutex_lock(&work->lock);
    if (m->first[LANE_FAST] && !work->stopping) {
        m->guest_turn = true;
        pthread_cond_broadcast(&work->more);
        while (m->guest_turn && !work->stopping)
            pthread_cond_wait(&work->moved, &work->lock);
    }
    pthread_mutex_unlock(&work->lock);
    worker->paused += seconds_now() - before;
}

/* Whether a slow piece runs on the only context. A guest, which may do cheap jobs together with its
 * own piece, would wait for itself. */
static bool may_make_room(const struct worker *worker)
{
    const struct lodged *m = worker->model;
    return m->workers[m->worker_count - 1].guest && !worker->guest &&
           worker->pieces[worker->at]->lane == LANE_SLOW;
}

/* A guest's turn beside a text tower. Nobody waits for it: what it does may wait for the same
 * tower. */
static void lend_room(struct worker *worker)
{
    struct work *work = worker->work;
    struct lodged *m = worker->model;
    pthread_mutex_lock(&work->lock);
    if (m->first[LANE_FAST] && !work->stopping && !m->guest_turn) {
        m->guest_turn = true;
        pthread_cond_broadcast(&work->more);
    }
    pthread_mutex_unlock(&work->lock);
}

/* A piece had its time while others of its run go on: the clock tells its clients so. */
static void end_waits(struct work *work, struct piece *piece)
{
    pthread_mutex_lock(&work->lock);
    for (struct ticket *t = piece->tickets; t; t = t->next)
        t->until = 0;
    pthread_mutex_unlock(&work->lock);
}

/* Whether somebody waits for the piece, and it has not had its time. */
static bool is_wanted(struct worker *worker, struct piece *piece)
{
    if (!piece->late && seconds_now() - worker->began - worker->paused > piece->run_s) {
        piece->late = true;
        if (worker->end - worker->at > 1)
            end_waits(worker->work, piece);
    }
    return !piece->cancelled && !piece->late;
}

static bool any_is_wanted(struct worker *worker)
{
    bool wanted = false;
    for (int i = worker->at; i < worker->end; i++)
        wanted |= is_wanted(worker, worker->pieces[i]);
    return wanted;
}

/* For a text tower. */
static bool still_wanted(void *payload)
{
    struct worker *worker = payload;
    if (worker->at == worker->end)
        return true;
    if (may_make_room(worker))
        lend_room(worker);
    return any_is_wanted(worker);
}

/* For vitx_context_opts.progress. */
static int tick(int64_t done, int64_t total, void *payload)
{
    struct worker *worker = payload;
    if (worker->at == worker->end)
        return 0;
    for (int i = worker->at; i < worker->end; i++)
        worker->pieces[i]->share = total > 0 ? (double)done / (double)total : 0;
    if (!any_is_wanted(worker))
        return 1;
    if (may_make_room(worker)) {
        make_room(worker);
        return !any_is_wanted(worker);
    }
    return 0;
}

/* ------------------------------------------------------------------ a piece ---------------- */

/* Waits until there is room for the pixels of a picture. A guest takes them, as its host may hold
 * what it would wait for. */
static void claim_pixels(struct worker *worker, int64_t pixels)
{
    struct work *work = worker->work;
    pthread_mutex_lock(&work->lock);
    while (!worker->guest && work->pixels > 0 && work->pixels > work->opts.pixels - pixels &&
           !work->stopping)
        pthread_cond_wait(&work->moved, &work->lock);
    work->pixels += pixels;
    metrics_set(GAUGE_PIXELS, (double)work->pixels);
    pthread_mutex_unlock(&work->lock);
}

static void free_pixels(struct work *work, int64_t pixels)
{
    pthread_mutex_lock(&work->lock);
    work->pixels -= pixels;
    metrics_set(GAUGE_PIXELS, (double)work->pixels);
    pthread_cond_broadcast(&work->moved);
    pthread_mutex_unlock(&work->lock);
}

static bool decode(vitx_image **image, const struct piece *piece, const struct work_opts *opts,
                   struct problem *why)
{
    const struct ask *ask = piece->ask;
    const struct common *common = ask->explain ? ask->explain : ask->answers;
    vitx_image_opts how = VITX_IMAGE_OPTS_INIT;
    how.max_pixels = opts->max_pixels;
    how.window_low = common->window.low;
    how.window_high = common->window.high;
    const int code = vitx_image_open_memory(image, piece->picture, piece->bytes, "picture", &how);
    if (code == VITX_OK)
        return true;
    if (code == VITX_NOMEM)
        return refuse(why, 503, "no_memory", NULL, "no memory for the picture");
    return refuse(why, 422, "unreadable", NULL, "%s", reason());
}

/* What stopped it. */
static void refuse_cancelled(const struct piece *piece, struct problem *why)
{
    if (piece->late)
        refuse(why, 504, "deadline", "ask for a job: Prefer: respond-async",
               "the work took longer than %.3g s", (double)piece->run_s);
    else
        refuse(why, 503, "cancelled", NULL, "the work was cancelled");
}

/* What a forward takes, as it has been lately. */
static void learn_forward(struct worker *worker, double compute_s, double forwards)
{
    struct lodged *m = worker->model;
    metrics_stage(STAGE_COMPUTE, compute_s);
    if (forwards <= 0) /* texts alone */
        return;
    pthread_mutex_lock(&worker->work->lock);
    m->forward_s += LEARN * (compute_s * worker->share / forwards - m->forward_s);
    pthread_mutex_unlock(&worker->work->lock);
    metrics_add(COUNT_FORWARDS, forwards);
    metrics_add(COUNT_BATCHES, 1);
}

/* The same of a piece beside its forwards. */
static void learn_extra(struct worker *worker, double encode_s)
{
    struct lodged *m = worker->model;
    pthread_mutex_lock(&worker->work->lock);
    m->extra_s += LEARN * (worker->decode_s + encode_s - m->extra_s);
    pthread_mutex_unlock(&worker->work->lock);
    metrics_stage(STAGE_ENCODE, encode_s);
}

static struct answer *answer_of(const struct piece *piece, const char *type, struct text *body)
{
    struct answer *answer = answer_create(200, type, body);
    char text[DIGEST_TEXT];
    if (!answer)
        return NULL;
    digest_text(text, piece->key);
    /* Weak: the last digits may depend on the threads of the context that was free. */
    snprintf(answer->reply.etag, sizeof answer->reply.etag, "W/\"%.32s\"", text);
    return answer;
}

/* The bytes of what came out of the network; NULL: *why. Frees the outcome. */
static struct answer *encode(struct worker *worker, const struct piece *piece,
                             struct outcome *outcome, const vitx_image *image, struct problem *why)
{
    const double begun = seconds_now();
    struct text body = {0};
    const char *type = NULL;
    const bool written = outcome_write(&body, &type, outcome, piece->ask, image, why);
    outcome_free(outcome);
    if (!written) {
        text_free(&body);
        return NULL;
    }
    learn_extra(worker, seconds_now() - begun);
    struct answer *answer = answer_of(piece, type, &body);
    if (!answer)
        refuse(why, 503, "no_memory", NULL, "no memory");
    return answer;
}

/* The network for the worker's piece i alone, and the bytes of what came out of it; NULL: *why. */
static struct answer *run_alone(struct worker *worker, int i, const vitx_image *image,
                                struct problem *why)
{
    const struct piece *piece = worker->pieces[i];
    struct outcome outcome = {0};
    const double begun = seconds_now() - worker->paused;
    worker->at = i;
    worker->end = i + 1;
    const int code = outcome_make(&outcome, piece->ask, worker->context, image, why);
    const double compute_s = seconds_now() - worker->paused - begun;
    worker->at = worker->end = 0;
    if (code == VITX_CANCELLED)
        refuse_cancelled(piece, why);
    if (code != VITX_OK) {
        outcome_free(&outcome);
        return NULL;
    }
    learn_forward(worker, compute_s - outcome.texts_s, piece->ask->cost - piece->ask->of_texts);
    metrics_add(COUNT_TEXTS, outcome.texts);
    return encode(worker, piece, &outcome, image, why);
}

/* The network once for all pieces; made[i]: what came out of it for that one is whole. */
static void run_together(struct worker *worker, struct outcome *outcomes, bool *made,
                         const vitx_image *image)
{
    const struct ask *asks[MOST_TOGETHER];
    double forwards = 0;
    for (int i = 0; i < worker->count; i++)
        asks[i] = worker->pieces[i]->ask;
    const double begun = seconds_now() - worker->paused;
    worker->end = worker->count;
    outcomes_make(outcomes, made, &forwards, asks, worker->count, worker->context, image);
    worker->at = worker->end = 0;
    if (forwards > 0)
        learn_forward(worker, seconds_now() - worker->paused - begun, forwards);
}

/* Of the worker's piece i; NULL: *why, or what it was before if there is no image and has to be
 * one. What did not come out of the run together is done alone, so that no failure of one costs the
 * others theirs. */
static struct answer *answer_piece(struct worker *worker, int i, struct outcome *outcome, bool made,
                                   const vitx_image *image, struct problem *why)
{
    const struct piece *piece = worker->pieces[i];
    if (piece->cancelled || piece->late) {
        outcome_free(outcome);
        refuse_cancelled(piece, why);
        return NULL;
    }
    if (!image && ask_needs_picture(piece->ask))
        return NULL;
    if (made)
        return encode(worker, piece, outcome, image, why);
    return run_alone(worker, i, image, why);
}

/* The worker's pieces that are left have a place of their own, or none is left. */
static void hand_on(struct worker *worker, int next)
{
    if (next == worker->count) {
        worker->count = 0;
        return;
    }
    struct piece *piece = worker->pieces[next];
    piece->joined = false;
    worker->model->slow_running += piece->lane == LANE_SLOW;
}

/* Of the worker's piece i; takes the answer (NULL: there is none, but *why). */
static void finish(struct worker *worker, int i, struct answer *answer, const struct problem *why)
{
    struct work *work = worker->work;
    struct piece *piece = worker->pieces[i];
    if (answer)
        cache_add(work->cache, piece->key, answer);
    else
        answer = answer_refusing(why);
    pthread_mutex_lock(&work->lock);
    hand_on(worker, i + 1);
    piece_finish(work, piece, answer);
    pthread_mutex_unlock(&work->lock);
}

/* The picture of the worker's pieces, from now on; NULL: *why, or nobody waits for it, or there is
 * none. */
static vitx_image *begin_pieces(struct worker *worker, struct problem *why)
{
    const struct piece *first = worker->pieces[0];
    vitx_image *image = NULL;
    bool wanted = false;
    worker->began = seconds_now();
    worker->paused = 0;
    for (int i = 0; i < worker->count; i++) {
        metrics_stage(STAGE_QUEUE, worker->began - worker->pieces[i]->begun);
        wanted |= !worker->pieces[i]->cancelled;
    }
    if (!wanted || !ask_needs_picture(first->ask) ||
        !decode(&image, first, &worker->work->opts, why))
        return NULL;
    const double decode_s = seconds_now() - worker->began;
    worker->decode_s = decode_s / worker->count;
    metrics_stage(STAGE_DECODE, decode_s);
    return image;
}

/* From the bytes of the picture to those of the answers; each is told as soon as it is there.
 * Without the lock. */
static void carry_out(struct worker *worker)
{
    struct work *work = worker->work;
    const struct piece *first = worker->pieces[0];
    const int64_t unknown = ask_needs_picture(first->ask) ? work->opts.max_pixels : 0;
    const int64_t pixels = first->pixels ? first->pixels : unknown;
    const int count = worker->count;
    struct outcome outcomes[MOST_TOGETHER] = {0};
    bool made[MOST_TOGETHER] = {0};
    struct problem unreadable = {0};
    claim_pixels(worker, pixels);
    vitx_image *image = begin_pieces(worker, &unreadable);
    if (image && count > 1)
        run_together(worker, outcomes, made, image);
    for (int i = 0; i < count; i++) {
        struct problem why = unreadable;
        struct answer *answer = answer_piece(worker, i, &outcomes[i], made[i], image, &why);
        if (i == count - 1) {
            vitx_image_free(image);
            free_pixels(work, pixels);
        }
        finish(worker, i, answer, &why);
    }
}

/* ------------------------------------------------------------------ threads ---------------- */

/* With the lock held: waits for pieces; false: there will be none. */
static bool wait_for_pieces(struct worker *worker)
{
    struct work *work = worker->work;
    while (!work->stopping) {
        if (queue_take(worker))
            return true;
        if (worker->guest && worker->model->guest_turn) { /* it has gone meanwhile */
            worker->model->guest_turn = false;
            pthread_cond_broadcast(&work->moved);
        }
        pthread_cond_wait(&work->more, &work->lock);
    }
    return false;
}

static void *work_on_pieces(void *payload)
{
    struct worker *worker = payload;
    struct work *work = worker->work;
    texts_watch(still_wanted, worker);
    pthread_mutex_lock(&work->lock);
    while (wait_for_pieces(worker)) {
        pthread_mutex_unlock(&work->lock);
        carry_out(worker);
        pthread_mutex_lock(&work->lock);
        if (worker->guest) {
            worker->model->guest_turn = false;
            pthread_cond_broadcast(&work->moved);
        }
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* A context for each thread, like lanes: as many as there is memory for. */
static int choose_contexts(const struct work_opts *opts, const struct session *session,
                           const struct common *common)
{
    const bool cpu = strcmp(session->size.device, "cpu") == 0;
    const int most = !cpu                                    ? GPU_CONTEXTS
                     : session->size.threads < MOST_CONTEXTS ? session->size.threads
                                                             : MOST_CONTEXTS;
    const size_t budget = common->budget ? common->budget : (size_t)1 << 30;
    const size_t each = session->size.activation_bytes + budget;
    const size_t fit = machine_memory() / 2 / each / (size_t)opts->model_count;
    if (opts->contexts)
        return opts->contexts;
    return fit < 1 ? 1 : fit < (size_t)most ? (int)fit : most;
}

static bool create_context(struct worker *worker, int threads)
{
    struct served *served = worker->model->served;
    struct common each = served->common;
    each.threads = threads;
    vitx_context_opts opts = session_context_opts(&each, VITX_FIT_RECIPE);
    opts.progress = tick;
    opts.progress_payload = worker;
    return vitx_context_create(&worker->context, served->session.model, &opts) == VITX_OK;
}

/* One more worker; false without memory. */
static bool add_worker(struct lodged *m, struct work *work, int threads)
{
    struct worker *worker = &m->workers[m->worker_count];
    const bool cpu = strcmp(m->served->session.size.device, "cpu") == 0;
    *worker = (struct worker){.work = work, .model = m, .share = 1, .single = cpu && threads == 1};
    if (!create_context(worker, threads))
        return false;
    m->worker_count++;
    return true;
}

/* A guest for the only context; or, of several that were chosen here, one that has all threads, so
 * that a client alone waits no longer than on the command line. */
static void add_helper(struct lodged *m, struct work *work, int threads)
{
    const struct session *session = &m->served->session;
    const int all = session->size.threads;
    const bool cpu = strcmp(session->size.device, "cpu") == 0;
    struct worker *worker = &m->workers[m->worker_count];
    if (m->contexts == 1 && add_worker(m, work, threads)) {
        worker->guest = worker->fast_only = true; /* it makes room for nobody */
    } else if (m->contexts > 1 && !work->opts.contexts && cpu && all > threads &&
               add_worker(m, work, all)) {
        worker->wide = true;
        worker->share = (double)all / threads;
    }
}

/* The contexts of a model; fewer than wanted if there is no memory for more. */
static int create_contexts(struct work *work, struct lodged *m)
{
    const struct session *session = &m->served->session;
    const int wanted = choose_contexts(&work->opts, session, &m->served->common);
    const int share = session->size.threads / wanted;
    const int threads = work->opts.threads ? work->opts.threads : share > 1 ? share : 1;
    m->workers = calloc((size_t)wanted + 1, sizeof *m->workers);
    if (!m->workers) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    while (m->contexts < wanted && add_worker(m, work, threads))
        m->contexts++;
    if (m->contexts == 0) {
        complain_last(m->served->name);
        return SOME_FAILED;
    }
    m->workers[0].fast_only = m->contexts > 1;
    add_helper(m, work, threads);
    return DONE;
}

/* A forward's time, by the second of two, as the first one takes memory. */
static int measure(struct lodged *m)
{
    const int height = m->served->session.size.input_height;
    const int width = m->served->session.size.input_width;
    uint8_t *grey = malloc((size_t)height * (size_t)width * 3);
    vitx_image *image = NULL;
    int code = grey ? VITX_OK : VITX_NOMEM;
    if (grey) {
        memset(grey, 127, (size_t)height * (size_t)width * 3);
        code = vitx_image_from_rgb(&image, grey, width, height, 0, NULL);
    }
    for (int i = 0; i < 2 && code == VITX_OK; i++) {
        const vitx_image *const images[] = {image};
        const double begun = seconds_now();
        code = vitx_forward(m->workers[0].context, images, 1);
        m->forward_s = seconds_now() - begun;
    }
    vitx_image_free(image);
    free(grey);
    if (code == VITX_OK)
        return DONE;
    complain_last(m->served->name);
    return SOME_FAILED;
}

static bool start_thread(struct worker *worker)
{
    worker->begun = start_threads(&worker->thread, 1, work_on_pieces, worker) == 1;
    return worker->begun;
}

int workers_start(struct work *work)
{
    int status = DONE;
    for (int i = 0; i < work->opts.model_count && status == DONE; i++) {
        struct lodged *m = &work->models[i];
        status = create_contexts(work, m);
        if (status == DONE)
            status = measure(m);
        for (int k = 0; k < m->worker_count && status == DONE; k++)
            if (!start_thread(&m->workers[k])) {
                complain(NULL, "no thread");
                status = SOME_FAILED;
            }
    }
    return status;
}

void workers_stop(struct work *work)
{
    for (int i = 0; i < work->opts.model_count && work->models; i++) {
        struct lodged *m = &work->models[i];
        for (int k = 0; k < m->worker_count; k++)
            if (m->workers[k].begun)
                pthread_join(m->workers[k].thread, NULL);
    }
    for (int i = 0; i < work->opts.model_count && work->models; i++) {
        struct lodged *m = &work->models[i];
        for (int k = 0; k < m->worker_count; k++)
            vitx_context_free(m->workers[k].context);
        free(m->workers);
        m->workers = NULL;
        m->worker_count = 0;
    }
}
