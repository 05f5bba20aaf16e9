/*
 * base/pool.h: the worker threads of one context.
 *
 * vx_pool_run hands the numbers 0..count-1 to the workers, the caller's thread being worker 0, and
 * returns when all are done. Which worker gets which number is not fixed, so tasks must not depend
 * on it. No more workers take part in a run than there are processors for (base/cpus.h). One run at
 * a time (a context belongs to one thread). Between runs as many workers spin for some
 * microseconds, then sleep. In the child of a fork, where there are no workers, the caller does
 * all.
 */
#ifndef VX_BASE_POOL_H
#define VX_BASE_POOL_H

#include "base/memory.h"

typedef struct vx_pool vx_pool;

/* @param threads  1..256, the caller included: 1 starts none. VITX_NOMEM where a thread cannot be
 *                 started. Signals are blocked in the workers. */
int vx_pool_create(vx_pool **out, const vitx_hooks *hooks, int threads);
void vx_pool_free(vx_pool *pool);
int vx_pool_threads(const vx_pool *pool);
void vx_pool_run(vx_pool *pool, void (*task)(void *arg, int i, int worker), void *arg, int count);

#endif
