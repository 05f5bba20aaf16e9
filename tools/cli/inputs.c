/* cli/inputs.c: see inputs.h. */
#define _POSIX_C_SOURCE 200809L
#include "inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "progress.h"
#include "session.h"

/* ------------------------------------------------------------------ pipes ------------------ */

struct bytes {
    char *data;
    size_t count, room;
};

/* Room for more; false without memory, or beyond what the library takes of a file. */
static bool grow(struct bytes *b, const char *name)
{
    const size_t most = (size_t)1 << 30;
    const size_t room = b->room ? 2 * b->room : 1 << 16;
    if (room > most) {
        complain(name, "more than %zu bytes, which is no picture", most);
        return false;
    }
    char *data = realloc(b->data, room);
    if (!data) {
        complain(name, "no memory for its %zu bytes", b->count);
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

/* All there is. Ctrl-C ends the wait for more; that is said by whoever asks
 * progress_cancelled(). */
static bool read_all(struct bytes *b, int fd, const char *name)
{
    for (;;) {
        if (b->count == b->room && !grow(b, name))
            return false;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&wait, 1, -1);
        if (got >= 0)
            got = read(fd, b->data + b->count, b->room - b->count);
        if (got == 0)
            return true;
        if (got < 0 && progress_interrupted())
            return false;
        if (got < 0 && errno != EINTR) {
            complain(name, "%s", strerror(errno));
            return false;
        }
        b->count += got > 0 ? (size_t)got : 0;
    }
}

/* From where the reading stands to the end. */
static bool load_stream(vitx_image **out, int fd, const char *name, const vitx_image_opts *opts)
{
    struct bytes b = {0};
    bool loaded = read_all(&b, fd, name);
    if (loaded && vitx_image_open_memory(out, b.data, b.count, name, opts) != VITX_OK) {
        complain_last(name);
        loaded = false;
    }
    free(b.data);
    return loaded;
}

static bool load_standard_input(vitx_image **out, const vitx_image_opts *opts)
{
    static const char *const name = "standard input";
    static bool used;
    if (used) {
        complain(name, "was read already: - can be given once");
        return false;
    }
    used = true;
    return load_stream(out, STDIN_FILENO, name, opts);
}

bool image_is_stream(const char *file)
{
    struct stat info;
    return strcmp(file, "-") == 0 ||
           (stat(file, &info) == 0 &&
            (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISCHR(info.st_mode)));
}

static bool load_pipe(vitx_image **out, const char *file, const vitx_image_opts *opts)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        complain(file, "%s", strerror(errno));
        return false;
    }
    const bool loaded = load_stream(out, fd, file, opts);
    close(fd);
    return loaded;
}

/* hooks has to live as long as the options. */
static vitx_image_opts image_opts(const struct common *common, vitx_hooks *hooks)
{
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    *hooks = hooks_of(common);
    opts.hooks = hooks;
    opts.max_pixels = common->max_pixels;
    opts.allow_truncated = common->allow_truncated;
    opts.page = common->page;
    opts.window_low = common->window.low;
    opts.window_high = common->window.high;
    return opts;
}

bool image_load_bytes(vitx_image **out, const void *data, size_t bytes, const char *name,
                      const struct common *common)
{
    vitx_hooks hooks;
    const vitx_image_opts opts = image_opts(common, &hooks);
    if (vitx_image_open_memory(out, data, bytes, name, &opts) == VITX_OK)
        return true;
    complain_last(name);
    return false;
}

int image_try(vitx_image **out, const char *file, const struct common *common)
{
    vitx_hooks hooks;
    const vitx_image_opts opts = image_opts(common, &hooks);
    return vitx_image_open_with(out, file, &opts);
}

bool image_load(vitx_image **out, const char *file, const struct common *common)
{
    vitx_hooks hooks;
    const vitx_image_opts opts = image_opts(common, &hooks);
    if (strcmp(file, "-") == 0)
        return load_standard_input(out, &opts);
    if (image_is_stream(file))
        return load_pipe(out, file, &opts);
    if (vitx_image_open_with(out, file, &opts) == VITX_OK)
        return true;
    complain_last(file);
    return false;
}

bool image_load_beside(vitx_image **out, const char *file, const struct common *common)
{
    struct common c = *common;
    c.page = 0;
    return image_load(out, file, &c);
}

/* ------------------------------------------------------------------ batches ---------------- */

bool batch_create(struct batch *batch, int capacity)
{
    *batch = (struct batch){.capacity = capacity};
    batch->images = calloc((size_t)capacity, sizeof *batch->images);
    batch->names = calloc((size_t)capacity, sizeof *batch->names);
    batch->order = calloc((size_t)capacity, sizeof *batch->order);
    if (batch->images && batch->names && batch->order)
        return true;
    complain(NULL, "no memory");
    batch_free(batch);
    return false;
}

bool batch_load(struct batch *batch, char **files, int n, const struct common *common)
{
    bool all = true;
    batch_clear(batch);
    for (int i = 0; i < n; i++) {
        if (!image_load(&batch->images[batch->count], files[i], common)) {
            all = false;
            continue;
        }
        batch->names[batch->count] = files[i];
        batch->order[batch->count++] = i;
    }
    return all;
}

int64_t batch_pixels(const struct batch *batch)
{
    int64_t pixels = 0;
    for (int i = 0; i < batch->count; i++)
        pixels += (int64_t)vitx_image_width(batch->images[i]) * vitx_image_height(batch->images[i]);
    return pixels;
}

void batch_drop_images(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        vitx_image_free(batch->images[i]);
        batch->images[i] = NULL;
    }
}

void batch_clear(struct batch *batch)
{
    batch_drop_images(batch);
    batch->count = 0;
}

void batch_free(struct batch *batch)
{
    batch_clear(batch);
    free(batch->images);
    free(batch->names);
    free(batch->order);
    *batch = (struct batch){0};
}
