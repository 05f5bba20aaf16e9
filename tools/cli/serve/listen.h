/* serve/listen.h: the socket that a server listens on. */
#ifndef CLI_SERVE_LISTEN_H
#define CLI_SERVE_LISTEN_H

#include <stdbool.h>

enum { LISTEN_TEXT = 128 };

struct listening {
    int fd;
    bool local;             /* only this machine reaches it */
    char text[LISTEN_TEXT]; /* its address, with the port that the system chose: "127.0.0.1:8080" */
};

/* HOST:PORT with numbers, [HOST]:PORT for IPv6, localhost:PORT, unix:PATH; port 0: any. A socket
 * that the system's manager passed (LISTEN_FDS) is taken in its place. Complains: an exit
 * status. */
int listen_on(struct listening *out, const char *address);

/* Tells the system's manager (NOTIFY_SOCKET), if there is one: "READY=1". */
void tell_manager(const char *state);

#endif
