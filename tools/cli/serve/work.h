/*
 * serve/work.h: from an ask and the bytes of a picture to the bytes of an answer: queue, workers,
 * cache. It knows nothing of HTTP but status numbers and content types.
 */
#ifndef CLI_SERVE_WORK_H
#define CLI_SERVE_WORK_H

#include "ask.h"
#include "name.h"

struct work_opts {
    struct served *models;
    int model_count;
    int contexts, threads;  /* 0: chosen here. Contexts of a model, threads of each             */
    size_t cache_bytes;     /* of the maps and answers that are kept                            */
    int64_t pixels;         /* decoded at the same time, all requests together                  */
    int max_pixels;         /* of a picture, looked at before it is decoded                     */
    double queue_s;         /* seconds that a request may wait for a worker                     */
    double compute_s;       /* seconds that a request may be worked on                          */
    double most_cost;       /* forwards of a request; more is 422                               */
    double async_cost;      /* forwards from which a request has to be a job                    */
    const char *job_folder; /* NULL: jobs end with the program                                  */
};

struct work;
struct ticket; /* a client's share in a piece of work; several clients may share one */

struct reply {
    int status;
    const char *type; /* of the content */
    const void *body;
    size_t bytes;
    char etag[80];   /* with its quotes; empty: none */
    int retry_after; /* seconds; 0: none */
};

/* Complains if it fails: an exit status. */
int work_start(struct work **out, const struct work_opts *opts);
/* Cancels what runs, and waits for it. */
void work_stop(struct work *work);

/* Whether the queue has room for that many forwards before the deadline; changes nothing. To be
 * asked before the body is read. */
bool work_has_room(struct work *work, double cost, struct problem *why);

/* Takes the ask and the picture (malloc), whatever comes of it. ready(payload) is called once, on a
 * worker's thread or within this call, so perhaps before this call has returned, and not after
 * ticket_leave() has returned. NULL: *why. */
struct ticket *work_submit(struct work *work, struct ask *ask, void *picture, size_t bytes,
                           void (*ready)(void *payload), void *payload, struct problem *why);
/* Of a ticket that is ready; owned by the ticket. */
const struct reply *ticket_reply(const struct ticket *ticket);
/* The client has its answer, or has gone: work that nobody waits for any more is cancelled. */
void ticket_leave(struct ticket *ticket);

/* Until nothing is queued or running, at most that many seconds: whether that is so. */
bool work_drain(struct work *work, double seconds);

/* ------------------------------------------------------------------ jobs ------------------- */

enum { JOB_ID = NAME_ROOM };

/* A job goes on without its client. Takes the ask and the picture. */
bool job_create(char id[JOB_ID], struct work *work, struct ask *ask, void *picture, size_t bytes,
                struct problem *why);
/* {"id","state":"queued|running|done|failed|cancelled",...} into *body (free()), with its bytes. */
bool job_state(struct work *work, const char *id, char **body, size_t *bytes, struct problem *why);
/* The answer of a job that is done; *ticket has it, to be left. */
bool job_result(struct work *work, const char *id, struct ticket **ticket, struct problem *why);
bool job_cancel(struct work *work, const char *id, struct problem *why);

#endif
