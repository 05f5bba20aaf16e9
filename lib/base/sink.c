/* base/sink.c: see sink.h. */
#define _GNU_SOURCE
#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD ((size_t)1 << 16)
#define PIECE ((size_t)1 << 20) /* so that a writer that wants to stop is heard */

/* ------------------------------------------------------------------ a file ----------------- */

static int fail_file(const vx_sink *sink)
{
    return vx_fail_in(VITX_IO, sink->path, "%s", strerror(errno));
}

/* A new file in the folder of the target. It is not made of the target's own name, which may be as
 * long as a name can be. mkstemp's 0600 would be a surprise: without asking the umask, which can
 * only be read by changing it, a new file gets the mode that open() gives one. */
static int open_beside(vx_sink *sink, mode_t mode)
{
    static const char pattern[] = ".vitx-XXXXXX";
    const char *slash = strrchr(sink->path, '/');
    const size_t folder = slash ? (size_t)(slash - sink->path) + 1 : 0;
    VX_TRY(vx_new(&sink->temporary, sink->hooks, folder + sizeof pattern, 1, "a path"));
    memcpy(sink->temporary, sink->path, folder);
    for (unsigned try = 0; try < 100 && sink->fd < 0; try++) {
        snprintf(sink->temporary + folder, sizeof pattern, ".vitx-%06x",
                 ((unsigned)getpid() * 100 + try) & 0xffffff);
        sink->fd = open(sink->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (sink->fd < 0 && errno != EEXIST)
            break;
    }
    return sink->fd >= 0 ? VITX_OK : fail_file(sink);
}

static int open_file(vx_sink *sink)
{
    struct stat info;
    const bool there = lstat(sink->path, &info) == 0;
    if (!there || S_ISREG(info.st_mode))
        return open_beside(sink, there ? info.st_mode & 0777 : 0666);
    /* A pipe, a device, a link: its name must stay what it is. */
    sink->fd = open(sink->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    return sink->fd >= 0 ? VITX_OK : fail_file(sink);
}

static int pass_to_file(vx_sink *sink, const char *data, size_t bytes)
{
    if (sink->fd < 0)
        VX_TRY(open_file(sink));
    while (bytes) {
        const ssize_t done = write(sink->fd, data, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_file(sink);
        if (done == 0)
            return vx_fail_in(VITX_IO, sink->path, "nothing was written");
        data += done;
        bytes -= (size_t)done;
    }
    return VITX_OK;
}

static int close_file(vx_sink *sink, int status)
{
    if (sink->fd >= 0 && close(sink->fd) != 0 && status == VITX_OK)
        status = fail_file(sink);
    if (status == VITX_OK && sink->temporary && rename(sink->temporary, sink->path) != 0)
        status = fail_file(sink);
    if (status != VITX_OK && sink->fd >= 0 && sink->temporary)
        unlink(sink->temporary);
    vx_release(sink->hooks, sink->temporary);
    return status;
}

vx_sink vx_sink_file(const char *path, const vitx_hooks *hooks)
{
    return (vx_sink){
        .hooks = hooks, .held.hooks = hooks, .path = path, .fd = -1, .pass = pass_to_file};
}

/* ------------------------------------------------------------------ the other ends --------- */

static int pass_to_writer(vx_sink *sink, const char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PIECE) {
        const size_t piece = bytes - at < PIECE ? bytes - at : PIECE;
        if (sink->write(data + at, piece, sink->payload) != 0)
            return vx_fail(VITX_IO, "the writer stopped");
    }
    return VITX_OK;
}

vx_sink vx_sink_writer(vitx_writer *write, void *payload, const vitx_hooks *hooks)
{
    return (vx_sink){.hooks = hooks,
                     .held.hooks = hooks,
                     .write = write,
                     .payload = payload,
                     .pass = pass_to_writer};
}

vx_sink vx_sink_buffer(vx_buffer *buffer)
{
    return (vx_sink){.hooks = buffer->hooks, .buffer = buffer};
}

vx_sink vx_sink_function(vx_sink_take *take, void *payload, const vitx_hooks *hooks)
{
    return (vx_sink){.hooks = hooks, .take = take, .payload = payload};
}

/* ------------------------------------------------------------------ putting ---------------- */

static int flush(vx_sink *sink)
{
    if (sink->held.size)
        VX_TRY(sink->pass(sink, sink->held.data, sink->held.size));
    sink->held.size = 0;
    return VITX_OK;
}

int vx_sink_put(vx_sink *sink, const void *data, size_t bytes)
{
    sink->put += bytes;
    if (sink->buffer)
        return vx_buffer_append(sink->buffer, data, bytes);
    if (sink->take)
        return sink->take(sink->payload, data, bytes);
    if (sink->held.size + bytes > HELD) /* what is held is never more */
        VX_TRY(flush(sink));
    return bytes > HELD ? sink->pass(sink, data, bytes)
                        : vx_buffer_append(&sink->held, data, bytes);
}

int vx_sink_text(vx_sink *sink, const char *text)
{
    return vx_sink_put(sink, text, strlen(text));
}

int vx_sink_printf(vx_sink *sink, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text)
        return vx_fail(VITX_INVALID, "a text that cannot be formatted");
    return vx_sink_put(sink, text, (size_t)length);
}

int vx_sink_end(vx_sink *sink, int status)
{
    if (status == VITX_OK && sink->path && sink->fd < 0 && sink->held.size == 0)
        status = open_file(sink); /* an empty one */
    if (status == VITX_OK)
        status = flush(sink);
    if (sink->path)
        status = close_file(sink, status);
    if (sink->held.hooks)
        vx_buffer_dispose(&sink->held);
    return status;
}
