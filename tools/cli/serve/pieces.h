/*
 * serve/pieces.h: what the files behind work.h share: pieces of work, the queue that they wait in,
 * the workers that do them.
 *
 * One lock is for all of it. It is held for looking and linking, never while a picture is decoded,
 * run or encoded, nor while a client is told.
 */
#ifndef CLI_SERVE_PIECES_H
#define CLI_SERVE_PIECES_H

#include <pthread.h>

#include "answer.h"
#include "asked.h"
#include "cache.h"
#include "tools/cli/progress.h"

enum {
    SLOW_COST = 50,    /* forwards from which a piece is in the slow lane */
    MOST_TOGETHER = 16 /* pieces in one run */
};

enum lane { LANE_FAST, LANE_SLOW, LANES };

enum piece_stage { PIECE_QUEUED, PIECE_RUNNING };

/* Work that one or more clients wait for. What is of one picture may run together, with others. */
struct piece {
    struct piece *next;          /* in its lane */
    struct piece *newer, *older; /* of all that are queued or running */
    struct ask *ask;
    void *picture;
    size_t bytes;
    int64_t pixels; /* as far as its header says */
    uint8_t key[DIGEST_BYTES], picture_key[DIGEST_BYTES];
    struct lodged *model;
    enum lane lane;
    enum piece_stage stage;
    bool joined;               /* it runs in the place of another one */
    struct ticket *tickets;    /* of those who wait */
    double begun, queue_until; /* seconds of the clock                        */
    _Atomic double run_s;      /* that it may run                             */
    atomic_bool cancelled;     /* nobody waits any more                       */
    atomic_bool late;          /* it has run for longer                       */
    _Atomic double share;      /* of the running call that is done, 0..1      */
};

struct ticket {
    struct ticket *next; /* of the piece */
    struct work *work;
    struct piece *piece;   /* NULL: the answer is there */
    struct answer *answer; /* held */
    void (*ready)(void *payload);
    void *payload;
    double until;     /* seconds of the clock: then the client is told that it was too long */
    pthread_t caller; /* of ready, while `calling` */
    bool calling, left;
};

/* A thread with a context. */
struct worker {
    struct work *work;
    struct lodged *model;
    vitx_context *context;
    pthread_t thread;
    bool begun;                          /* the thread was */
    bool fast_only;                      /* a guest; or so that the slow lane never has all */
    bool guest;                          /* works only while another one makes room for it */
    bool wide;                           /* has all threads, for a piece that is alone */
    bool single;                         /* of one thread, on a CPU: pieces may run together */
    double share;                        /* threads of its own for one of the others */
    struct piece *pieces[MOST_TOGETHER]; /* that it does now, of one picture */
    int count;                           /* of them; one has a place, the others have joined it */
    int at, end;                         /* those of the call that runs */
    double decode_s;                     /* that their picture took, a share each */
    double began, paused;                /* when; seconds of it that a guest worked */
};

/* A served model with its workers. */
struct lodged {
    struct served *served;
    struct worker
        *workers; /* [worker_count]: those with the contexts, then a guest or a wide one */
    int worker_count, contexts;
    struct piece *first[LANES], **last[LANES];
    double queued[LANES], running[LANES]; /* forwards */
    int waiting[LANES], slow_running;     /* pieces */
    double forward_s, extra_s;    /* measured: of a forward; of a piece beside its forwards */
    bool guest_turn;              /* the guest works, and its host waits */
    uint8_t prefix[DIGEST_BYTES]; /* all that answers depend on, but picture and ask */
};

struct jobs;

struct work {
    struct work_opts opts;
    pthread_mutex_t lock;
    pthread_cond_t more; /* for workers: there may be something to do */
    pthread_cond_t
        moved; /* for all others: a piece has ended, a client was told, pixels are free */
    struct lodged *models; /* [opts.model_count] */
    struct cache *cache;
    struct jobs *jobs;
    struct piece *newest, *oldest; /* of all that are queued or running */
    int pieces;
    int64_t pixels;     /* decoded now */
    atomic_int holders; /* its tickets, and whoever started it */
    pthread_t clock;
    bool clock_begun, stopping;
};

/* Of the program's one clock. */
static inline double seconds_now(void)
{
    return now_ms() / 1e3;
}

/* ------------------------------------------------------------------ queue.c ---------------- */

/* All with the lock held, unless they say otherwise. */

void queue_add(struct work *work, struct piece *piece);
/* One that waits goes over to the fast lane. */
void queue_hurry(struct work *work, struct piece *piece);
/* The next piece for the worker, and what waits that may run together with it, into
 * worker->pieces: they run then. False: there is none. */
bool queue_take(struct worker *worker);
/* Seconds that a piece of that cost would wait, of that model (NULL: of the one that is worst). */
double queue_wait(const struct work *work, const struct lodged *model, double cost);
/* The same answer for all who wait; frees the piece. Takes the answer (NULL: no memory). Lets the
 * lock go while clients are told. */
void piece_finish(struct work *work, struct piece *piece, struct answer *answer);
/* Out of the lane that it waits in, and freed; nobody waits for it. */
void piece_forget(struct work *work, struct piece *piece);
void piece_free(struct piece *piece);
/* Out of its piece, whose work ends if nobody waits for it any more. */
void ticket_detach(struct work *work, struct ticket *ticket);
/* With the lock let go at times: those that have waited too long are answered. */
void queue_expire(struct work *work, double now);

/* ------------------------------------------------------------------ worker.c --------------- */

/* Threads and contexts; complains. An exit status. */
int workers_start(struct work *work);
/* Waits for them, once work->stopping is set. Without the lock. */
void workers_stop(struct work *work);

/* ------------------------------------------------------------------ jobs.c ----------------- */

/* Into work->jobs; false: complained. */
bool jobs_start(struct work *work);
void jobs_stop(struct jobs *jobs);

/* work_submit() of a job: no deadline, and no bound of what is queued. */
struct ticket *work_submit_job(struct work *work, struct ask *ask, void *picture, size_t bytes,
                               void (*ready)(void *payload), void *payload, struct problem *why);
/* A ticket with an answer, which it takes. NULL without memory, and the answer is dropped. */
struct ticket *ticket_of(struct work *work, struct answer *answer);

#endif
