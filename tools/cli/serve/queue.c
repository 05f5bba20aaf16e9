/* serve/queue.c: pieces of work from one who asks to one who works, and back; see pieces.h. */
#define _POSIX_C_SOURCE 200809L
#include "pieces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "together.h"

/* For those who look at the server. */
static void show(const struct work *work)
{
    double cost = 0;
    for (int i = 0; i < work->opts.model_count; i++)
        cost += work->models[i].queued[LANE_FAST] + work->models[i].queued[LANE_SLOW];
    metrics_set(GAUGE_QUEUE_COST, cost);
    metrics_set(GAUGE_INFLIGHT, work->pieces);
}

/* ------------------------------------------------------------------ lanes ------------------ */

static void enter_lane(struct piece *piece)
{
    struct lodged *m = piece->model;
    piece->next = NULL;
    *m->last[piece->lane] = piece;
    m->last[piece->lane] = &piece->next;
    m->queued[piece->lane] += piece->ask->cost;
    m->waiting[piece->lane]++;
}

void queue_add(struct work *work, struct piece *piece)
{
    enter_lane(piece);
    piece->older = work->newest;
    piece->newer = NULL;
    *(work->newest ? &work->newest->newer : &work->oldest) = piece;
    work->newest = piece;
    work->pieces++;
    show(work);
    pthread_cond_broadcast(&work->more);
}

static void leave_lane(struct piece *piece)
{
    struct lodged *m = piece->model;
    struct piece **at = &m->first[piece->lane];
    while (*at != piece)
        at = &(*at)->next;
    *at = piece->next;
    if (m->last[piece->lane] == &piece->next)
        m->last[piece->lane] = at;
    m->queued[piece->lane] -= piece->ask->cost;
    m->waiting[piece->lane]--;
    if (m->waiting[piece->lane] == 0)
        m->queued[piece->lane] = 0; /* no rests of sums */
}

void queue_hurry(struct work *work, struct piece *piece)
{
    leave_lane(piece);
    piece->lane = LANE_FAST;
    enter_lane(piece);
    pthread_cond_broadcast(&work->more);
}

static bool waits(const struct work *work)
{
    int pieces = 0;
    for (int i = 0; i < work->opts.model_count; i++)
        pieces += work->models[i].waiting[LANE_FAST] + work->models[i].waiting[LANE_SLOW];
    return pieces > 0;
}

/* Out of all lists. */
static void leave_all(struct work *work, struct piece *piece)
{
    struct lodged *m = piece->model;
    if (piece->stage == PIECE_QUEUED) {
        leave_lane(piece);
    } else {
        m->running[piece->lane] -= piece->ask->cost;
        m->slow_running -= piece->lane == LANE_SLOW && !piece->joined;
    }
    *(piece->newer ? &piece->newer->older : &work->newest) = piece->older;
    *(piece->older ? &piece->older->newer : &work->oldest) = piece->newer;
    work->pieces--;
    show(work);
    if (waits(work)) /* another worker may take one now than before */
        pthread_cond_broadcast(&work->more);
    pthread_cond_broadcast(&work->moved);
}

/* The slow lane's next one, if it may run beside those that do. */
static struct piece *next_slow(const struct worker *worker)
{
    const struct lodged *m = worker->model;
    const int most = m->contexts > 1 ? m->contexts - 1 : 1;
    return worker->fast_only || m->slow_running >= most ? NULL : m->first[LANE_SLOW];
}

/* Whether a piece is left to the worker that has all threads: it is the only one there is. */
static bool is_alone(const struct worker *worker)
{
    const struct lodged *m = worker->model;
    const struct worker *last = &m->workers[m->worker_count - 1];
    return last->wide && last->count == 0 && worker->work->pieces == 1;
}

/* The piece runs now, of that worker. */
static void begin(struct worker *worker, struct piece *piece)
{
    struct lodged *m = worker->model;
    leave_lane(piece);
    worker->pieces[worker->count++] = piece;
    piece->stage = PIECE_RUNNING;
    m->running[piece->lane] += piece->ask->cost;
    m->slow_running += piece->lane == LANE_SLOW && !piece->joined;
}

/* Whether the piece, which waits, may run together with the first: neither makes the other wait for
 * long. */
static bool may_join(const struct piece *first, const struct piece *piece, double cost)
{
    return cost + piece->ask->cost <= SLOW_COST &&
           memcmp(first->picture_key, piece->picture_key, DIGEST_BYTES) == 0 &&
           asks_agree(first->ask, piece->ask);
}

/* What waits for the same picture runs in the place of the worker's piece. Of the slow lane, cheap
 * jobs do; what is in the fast lane does not join one of these, which make room for it. */
static void take_others(struct worker *worker)
{
    const struct piece *first = worker->pieces[0];
    double cost = first->ask->cost;
    struct piece *next;
    for (int lane = first->lane; lane < LANES; lane++)
        for (struct piece *p = worker->model->first[lane]; p && worker->count < MOST_TOGETHER;
             p = next) {
            next = p->next;
            if (!may_join(first, p, cost))
                continue;
            cost += p->ask->cost;
            p->joined = true;
            begin(worker, p);
            metrics_add(COUNT_MERGED, 1);
        }
}

bool queue_take(struct worker *worker)
{
    struct lodged *m = worker->model;
    struct piece *fast = m->first[LANE_FAST], *slow = next_slow(worker);
    if (worker->work->stopping || (worker->guest && !m->guest_turn) ||
        worker->wide != is_alone(worker))
        return false;
    struct piece *next = !fast ? slow : !slow || fast->begun <= slow->begun ? fast : slow;
    if (!next)
        return false;
    begin(worker, next);
    if (worker->single)
        take_others(worker);
    show(worker->work);
    return true;
}

/* ------------------------------------------------------------------ time ------------------- */

static double wait_of(const struct lodged *m, double cost)
{
    const int fast = m->contexts > m->slow_running ? m->contexts - m->slow_running : 1;
    const int slow = m->contexts > 1 ? m->contexts - 1 : 1;
    double forwards = m->queued[LANE_FAST] + m->running[LANE_FAST] / 2;
    double wait = (forwards * m->forward_s + m->waiting[LANE_FAST] * m->extra_s) / fast;
    if (cost <= SLOW_COST)
        return wait;
    forwards = m->queued[LANE_SLOW] + m->running[LANE_SLOW] / 2;
    return wait + (forwards * m->forward_s + m->waiting[LANE_SLOW] * m->extra_s) / slow;
}

double queue_wait(const struct work *work, const struct lodged *model, double cost)
{
    double worst = 0;
    for (int i = 0; i < work->opts.model_count; i++)
        if (!model || model == &work->models[i])
            worst = fmax(worst, wait_of(&work->models[i], cost));
    return worst;
}

/* ------------------------------------------------------------------ ends ------------------- */

/* Where there is no memory to say that there is none. */
static struct answer *last_resort(void)
{
    static const char body[] = "{\"error\":\"no memory\",\"code\":\"no_memory\"}\n";
    static struct answer answer = {.holders = 1,
                                   .reply = {.status = 503,
                                             .type = "application/json",
                                             .body = body,
                                             .bytes = sizeof body - 1,
                                             .retry_after = 1}};
    return answer_hold(&answer);
}

/* Tells one client, and all of its ticket if the client has left meanwhile. */
static void tell(struct work *work, struct ticket *ticket)
{
    ticket->ready(ticket->payload);
    pthread_mutex_lock(&work->lock);
    ticket->calling = false;
    const bool left = ticket->left;
    pthread_cond_broadcast(&work->moved);
    pthread_mutex_unlock(&work->lock);
    if (left)
        ticket_leave(ticket);
}

/* The answer, which it takes, is about to be told. */
static void give(struct ticket *ticket, struct answer *answer)
{
    ticket->piece = NULL;
    ticket->answer = answer ? answer : last_resort();
    ticket->caller = pthread_self();
    ticket->calling = true;
}

void piece_finish(struct work *work, struct piece *piece, struct answer *answer)
{
    struct ticket *next, *tickets = piece->tickets;
    if (!answer)
        answer = last_resort();
    for (struct ticket *t = tickets; t; t = t->next)
        give(t, answer_hold(answer));
    leave_all(work, piece);
    pthread_mutex_unlock(&work->lock);
    for (struct ticket *t = tickets; t; t = next) {
        next = t->next;
        tell(work, t);
    }
    answer_drop(answer);
    piece_free(piece);
    pthread_mutex_lock(&work->lock);
}

void piece_forget(struct work *work, struct piece *piece)
{
    leave_all(work, piece);
    piece_free(piece);
}

void piece_free(struct piece *piece)
{
    ask_free(piece->ask);
    free(piece->picture);
    free(piece);
}

void ticket_detach(struct work *work, struct ticket *ticket)
{
    struct piece *piece = ticket->piece;
    struct ticket **at = &piece->tickets;
    while (*at != ticket)
        at = &(*at)->next;
    *at = ticket->next;
    ticket->piece = NULL;
    if (piece->tickets)
        return;
    piece->cancelled = true;
    metrics_add(COUNT_CANCELLED, 1);
    if (piece->stage == PIECE_QUEUED)
        piece_forget(work, piece);
}

/* ------------------------------------------------------------------ too late --------------- */

static struct piece *find_expired(const struct work *work, double now)
{
    for (struct piece *p = work->oldest; p; p = p->newer)
        if (p->stage == PIECE_QUEUED && p->queue_until < now)
            return p;
    return NULL;
}

static struct ticket *find_late(const struct work *work, double now)
{
    for (struct piece *p = work->oldest; p; p = p->newer)
        for (struct ticket *t = p->tickets; t; t = t->next)
            if (t->until < now)
                return t;
    return NULL;
}

static void expire_tickets(struct work *work, double now)
{
    struct ticket *ticket;
    while ((ticket = find_late(work, now)) != NULL) {
        struct problem why;
        const double most = ticket->piece->late ? (double)ticket->piece->run_s
                                                : work->opts.queue_s + work->opts.compute_s;
        refuse(&why, 504, "deadline", "ask for a job: Prefer: respond-async",
               "the work took longer than %.3g s", most);
        ticket_detach(work, ticket);
        give(ticket, answer_refusing(&why));
        pthread_mutex_unlock(&work->lock);
        tell(work, ticket);
        pthread_mutex_lock(&work->lock);
    }
}

void queue_expire(struct work *work, double now)
{
    struct piece *piece;
    expire_tickets(work, now);
    while ((piece = find_expired(work, now)) != NULL) {
        struct problem why;
        refuse(&why, 503, "queue_timeout", NULL, "no worker became free within %.0f s",
               work->opts.queue_s);
        why.retry_after = 1 + (int)queue_wait(work, piece->model, piece->ask->cost);
        metrics_rejected("queue_timeout");
        piece_finish(work, piece, answer_refusing(&why));
    }
}
