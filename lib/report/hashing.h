/*
 * report/hashing.h: the digest of the weights, while maps are made: to read and hash the files
 * takes as long as a forward pass or two. If the thread cannot be started, or fails, the digest is
 * made when the file is written, and the reason is told there.
 */
#ifndef VX_REPORT_HASHING_H
#define VX_REPORT_HASHING_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "model/model.h"

/* Starts from zeroes; stays where it is while it runs. */
typedef struct vx_hashing {
    vitx_model *model;
    bool running;
    pid_t process; /* in the child of a fork there is no thread */
    pthread_t thread;
    atomic_bool stop;
} vx_hashing;

void vx_hashing_start(vx_hashing *hashing, vitx_model *model);
void vx_hashing_wait(vx_hashing *hashing);
void vx_hashing_stop(vx_hashing *hashing);

#endif
