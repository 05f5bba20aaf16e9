/* serve/serve.h: the program that vitx-cli serve becomes: models, server, life and end. */
#ifndef CLI_SERVE_SERVE_H
#define CLI_SERVE_SERVE_H

#include "tools/cli/options.h"

struct serve_settings {
    struct common common;
    struct list models; /* MODEL or NAME=MODEL; none: the bundled one */
    const char *listen, *keys, *job_folder;
    int contexts; /* 0: work.h chooses */
    int connections, per_address;
    int per_client; /* -1: as server.h says */
    int pixels;     /* millions, decoded at the same time */
    size_t body, body_memory, cache;
    double queue_s, compute_s, most_cost, async_cost, grace_s;
};

/* "libmicrohttpd 1.0.1"; NULL: built without it (cmd_serve.c). */
const char *serve_library(void);

/* Until a signal says stop: an exit status. */
int serve_run(const struct serve_settings *settings);

#endif
