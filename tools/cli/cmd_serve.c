/* cli/cmd_serve.c: classes, maps and embeddings over HTTP. What it does is in serve/, which is
 * compiled if libmicrohttpd is there. */
#include "serve/serve.h"

#include <stdio.h>

#include "labels.h"

#ifdef VX_WITH_HTTP
#include "serve/http.h"
#endif

static const struct serve_settings defaults = {
    .common = {.batch = 1, .fit = -1, .labels_may_be_texts = true},
    .listen = "127.0.0.1:8080",
    .connections = 1024,
    .per_address = 128,
    .per_client = -1,
    .pixels = 200,
    .body = (size_t)20 << 20,
    .body_memory = (size_t)512 << 20,
    .cache = (size_t)256 << 20,
    .queue_s = 5,
    .compute_s = 30,
    .most_cost = 100000,
    .async_cost = 5000,
    .grace_s = 5};

static const struct option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = OPTION_LIST,
     .offset = offsetof(struct serve_settings, models),
     .value = "[NAME=]MODEL",
     .path = true,
     .help =
         "a model's folder or weight file, and its name in addresses (default: the bundled one)",
     .more = "May stand there several times; the first one answers where a request names none. "
             "Without NAME\n"
             "it is the last part of the path."},
    LABEL_OPTIONS,
    {.name = "listen",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct serve_settings, listen),
     .value = "ADDRESS",
     .help = "HOST:PORT in numbers, or unix:PATH (default 127.0.0.1:8080)",
     .more = "Port 0 is one that the system chooses; the first lines on standard error say which. "
             "A socket from\n"
             "systemd is taken in its place. Outside of 127.0.0.1 take --keys, and a proxy with "
             "TLS in front."},
    {.name = "keys",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct serve_settings, keys),
     .value = "FILE",
     .path = true,
     .help = "keys, one a line; a request has to show one",
     .more = "As Authorization: Bearer KEY or X-Api-Key: KEY. Health, the start page and "
             "/openapi.json need none."},
    {.name = "contexts",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, contexts),
     .value = "N",
     .low = 1,
     .high = 64,
     .word = "auto",
     .word_value = 0,
     .help = "pictures of a model that are worked on side by side (default: auto)"},
    {.name = "per-client",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, per_client),
     .value = "N",
     .low = 0,
     .high = 100000,
     .word = "auto",
     .word_value = -1,
     .help = "requests of one client that may run, 0 for any number (default: auto)",
     .more = "A client is a key or, without keys, an address; more is refused with 429. auto: 8, "
             "and any number\n"
             "for programs of this machine, which have one address."},
    {.name = "connections",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, connections),
     .value = "N",
     .low = 8,
     .high = 60000,
     .help = "connections that may be open (default 1024)"},
    {.name = "per-address",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, per_address),
     .value = "N",
     .low = 0,
     .high = 60000,
     .help = "connections of one address, 0 for any number (default 128; this machine: any)"},
    {.name = "max-body",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct serve_settings, body),
     .value = "BYTES",
     .help = "limit for the body of a request (default 20M)"},
    {.name = "body-memory",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct serve_settings, body_memory),
     .value = "BYTES",
     .help = "memory for all bodies together (default 512M)"},
    {.name = "cache",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct serve_settings, cache),
     .value = "BYTES",
     .zero = true,
     .help = "memory for answers that are kept, 0 for none (default 256M)"},
    {.name = "pixels",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, pixels),
     .value = "N",
     .low = 1,
     .high = 100000,
     .help = "millions of pixels that may be decoded at the same time (default 200)"},
    {.name = "max-pixels",
     .kind = OPTION_INT,
     .offset = offsetof(struct serve_settings, common.max_pixels),
     .value = "N",
     .low = 1,
     .high = 2147483647,
     .help = "limit for the pixels of one picture (default 50000000)"},
    {.name = "queue-time",
     .kind = OPTION_REAL,
     .offset = offsetof(struct serve_settings, queue_s),
     .value = "S",
     .low = 0.1,
     .high = 3600,
     .help = "seconds that a request may have to wait; else it is refused at once (default 5)"},
    {.name = "compute-time",
     .kind = OPTION_REAL,
     .offset = offsetof(struct serve_settings, compute_s),
     .value = "S",
     .low = 0.001,
     .high = 86400,
     .help = "seconds that a request may be worked on (default 30)"},
    {.name = "most-cost",
     .kind = OPTION_REAL,
     .offset = offsetof(struct serve_settings, most_cost),
     .value = "N",
     .low = 1,
     .high = 1e12,
     .help = "forward passes that a request may take (default 100000)"},
    {.name = "async-cost",
     .kind = OPTION_REAL,
     .offset = offsetof(struct serve_settings, async_cost),
     .value = "N",
     .low = 1,
     .high = 1e12,
     .help = "forward passes from which a request has to be a job (default 5000)"},
    {.name = "job-dir",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct serve_settings, job_folder),
     .value = "DIR",
     .path = true,
     .help = "where jobs outlive the program (default: they do not)"},
    {.name = "grace",
     .kind = OPTION_REAL,
     .offset = offsetof(struct serve_settings, grace_s),
     .value = "S",
     .low = 0,
     .high = 3600,
     .help = "seconds that it still takes requests after SIGTERM, while it says that it is not "
             "ready (default 5)"},
};

const char *serve_library(void)
{
#ifdef VX_WITH_HTTP
    static char text[64];
    bool has_holes;
    snprintf(text, sizeof text, "libmicrohttpd %s", http_library(&has_holes));
    return text;
#else
    return NULL;
#endif
}

static int run(const void *settings, char **files, int count)
{
    if (count > 0)
        return wrong_usage("it takes no pictures: requests bring them (%s)", files[0]);
#ifdef VX_WITH_HTTP
    return serve_run(settings);
#else
    (void)settings;
    complain("serve", "built without libmicrohttpd");
    return SOME_FAILED;
#endif
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "Answers over HTTP: classes, maps, embeddings.",
    .usage = "[-m [NAME=]MODEL]... [OPTIONS]",
    .details = "Serves the bundled model, or those that are named, to programs and to people: the "
               "start page takes a\n"
               "picture and shows the report. /openapi.json lists all addresses; docs/serve.md is "
               "the manual.\n"
               "\n"
               "  vitx-cli serve -m deit_tiny\n"
               "  curl --data-binary @dog.jpg '127.0.0.1:8080/v1/explain?method=rollout'\n"
               "\n"
               "Models with a text tower take texts. --label, --labels and --template give them "
               "classes; requests bring\n"
               "their own, and texts to look for.\n"
               "\n"
               "  vitx-cli serve -m clip --labels animals.txt\n"
               "  curl --data-binary @dog.jpg '127.0.0.1:8080/v1/explain?text=a+dog&format=html'\n"
               "\n"
               "SIGTERM or Ctrl-C ends it: what runs is finished first; a second one ends it at "
               "once. /v2/models/NAME\n"
               "is the Open Inference Protocol (KServe, Triton's clients), /metrics is for "
               "Prometheus.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
