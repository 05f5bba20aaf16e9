/* report/hashing.c: see hashing.h. */
#define _GNU_SOURCE
#include "report/hashing.h"

#include <signal.h>
#include <unistd.h>

#include "model/digest.h"

static void *hash(void *arg)
{
    vx_hashing *h = arg;
    vx_model_find_digest(h->model, &h->stop);
    return NULL;
}

void vx_hashing_start(vx_hashing *h, vitx_model *model)
{
    sigset_t all, before;
    if (vx_model_has_digest(model))
        return;
    h->model = model;
    h->process = getpid();
    atomic_init(&h->stop, false);
    /* Signals are the host's business: its handlers must not run on our threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->running = pthread_create(&h->thread, NULL, hash, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void vx_hashing_wait(vx_hashing *h)
{
    if (h->running && h->process == getpid())
        pthread_join(h->thread, NULL);
    h->running = false;
}

void vx_hashing_stop(vx_hashing *h)
{
    if (h->running)
        atomic_store(&h->stop, true);
    vx_hashing_wait(h);
}
