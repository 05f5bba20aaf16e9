/* batch/stdin.h: standard input, which a signal to stop does not leave waiting, on any thread. */
#ifndef CLI_BATCH_STDIN_H
#define CLI_BATCH_STDIN_H

#include <sys/types.h>

/* What there is, at most `room` bytes; 0: the end; -1: it failed, or the program is to stop. */
ssize_t stdin_read(void *to, size_t room);

#endif
