/*
 * batch/lock.h: two workers never do one shard.
 *
 * A byte of the file state/lock stands for each shard, and is locked by fcntl(): the lock ends with
 * its process, however that ends, so none is left behind; and NFS knows it from machine to machine
 * (flock() is the same there, and a file that says whose it is outlives a dead machine).
 */
#ifndef CLI_BATCH_LOCK_H
#define CLI_BATCH_LOCK_H

#include <stdbool.h>

struct locks {
    int fd;    /* stays open: closing it gives all locks back */
    bool none; /* the file system has no locks, which was said */
};

/* In place of a shard: the plan, and what is made of all shards; all shards there may be. */
enum { LOCK_PLAN = -1, LOCK_ALL = -2 };

/* Complains if it fails. */
bool locks_open(struct locks *locks, const char *folder);
/* false: another process has it. */
bool lock_take(struct locks *locks, int shard);
/* Its number; 0: that is not known. */
long lock_holder(const struct locks *locks, int shard);
/* The same as lock_take, and waits. */
void lock_await(struct locks *locks, int shard);
/* Until the process ends: it works by the plan, so nobody gets LOCK_ALL. Any number of processes
 * do; waits for one that has LOCK_ALL. */
void lock_join(struct locks *locks);
void lock_give(struct locks *locks, int shard);
void locks_close(struct locks *locks);

#endif
