/* batch/lock.c: see lock.h. */
#define _POSIX_C_SOURCE 200809L
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commit.h"
#include "tools/cli/say.h"

bool locks_open(struct locks *locks, const char *folder)
{
    char *path = path_in(folder, "state/lock");
    locks->none = false;
    locks->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (locks->fd < 0)
        complain(path ? path : folder, "%s", path ? strerror(errno) : "no memory");
    free(path);
    return locks->fd >= 0;
}

static struct flock part_of(int shard, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    lock.l_start = shard == LOCK_ALL ? 1 : (off_t)shard + 1;
    lock.l_len = shard == LOCK_ALL ? 0 : 1; /* 0: to the end of all files */
    return lock;
}

/* Where there are no locks at all the work goes on: workers that got shards of their own, by
 * --shard, need none. */
static bool lacks_locks(struct locks *locks, int error)
{
    if (error == EACCES || error == EAGAIN || error == EINTR)
        return false;
    if (!locks->none)
        complain("warning",
                 "no locks in the output's file system (%s): no two workers may be "
                 "given one shard",
                 strerror(error));
    locks->none = true;
    return true;
}

bool lock_take(struct locks *locks, int shard)
{
    struct flock lock = part_of(shard, F_WRLCK);
    return locks->none || fcntl(locks->fd, F_SETLK, &lock) == 0 || lacks_locks(locks, errno);
}

long lock_holder(const struct locks *locks, int shard)
{
    struct flock lock = part_of(shard, F_WRLCK);
    if (locks->none || fcntl(locks->fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return (long)lock.l_pid;
}

void lock_await(struct locks *locks, int shard)
{
    struct flock lock = part_of(shard, F_WRLCK);
    while (!locks->none && fcntl(locks->fd, F_SETLKW, &lock) != 0 && !lacks_locks(locks, errno))
        ;
}

void lock_join(struct locks *locks)
{
    /* Behind all shards that there may be. */
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = INT32_MAX, .l_len = 1};
    while (!locks->none && fcntl(locks->fd, F_SETLKW, &lock) != 0 && !lacks_locks(locks, errno))
        ;
}

void lock_give(struct locks *locks, int shard)
{
    struct flock lock = part_of(shard, F_UNLCK);
    if (!locks->none)
        fcntl(locks->fd, F_SETLK, &lock);
}

void locks_close(struct locks *locks)
{
    if (locks->fd >= 0)
        close(locks->fd);
    locks->fd = -1;
}
