/* kernels/cuda/host/graph.cpp: see graph.h. */
#include "kernels/cuda/host/graph.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Something queued, with its arguments behind it. */
struct alignas(16) node {
    node *next;
    void (*run)(void *);
    vx_launch_shape shape; /* kernel NULL: it is none */
};

struct graph {
    node *first, **last;
};

struct upload {
    upload *next;
    void *to;
    const void *from;
    size_t bytes;
};

struct handle {
    graph *capturing;
    upload *first, **last;
};

enum { OUT_OF_MEMORY = 2, LAUNCH_FAILED = 719 };

static __thread int captures; /* of this thread, that are open */
static __thread vx_captures behaviour;
static int captures_of_all;

void vx_machine_captures(vx_captures how)
{
    behaviour = how;
}

void *vx_host_stream_make(void)
{
    handle *h = (handle *)calloc(1, sizeof *h);
    if (h)
        h->last = &h->first;
    return h;
}

void vx_host_stream_free(void *what)
{
    if (what)
        vx_host_catch_up(what);
    free(what);
}

void vx_host_put_off(void *stream, void *to, const void *from, size_t bytes)
{
    handle *h = (handle *)stream;
    upload *u = (upload *)malloc(sizeof *u);
    if (!u)
        vx_machine_stop(NULL, 0, "no memory for a copy");
    *u = {NULL, to, from, bytes};
    *h->last = u;
    h->last = &u->next;
    memset(to, 0xff, bytes);
}

void vx_host_catch_up(void *stream)
{
    handle *h = (handle *)stream;
    upload *next;
    for (upload *u = h->first; u; u = next) {
        next = u->next;
        memcpy(u->to, u->from, u->bytes);
        free(u);
    }
    h->first = NULL;
    h->last = &h->first;
}

void vx_host_no_capture(const char *what)
{
    if (captures)
        vx_machine_stop(NULL, 0, "%s: during a capture", what);
}

void vx_host_no_captures(const char *what)
{
    if (__atomic_load_n(&captures_of_all, __ATOMIC_RELAXED))
        vx_machine_stop(NULL, 0, "%s: during a capture of some thread", what);
}

static void append(graph *g, const vx_launch_shape *shape, void (*run)(void *), const void *args,
                   size_t bytes)
{
    node *n = (node *)malloc(sizeof *n + bytes);
    if (!n)
        vx_machine_stop(NULL, 0, "no memory for a graph");
    *n = {NULL, run, shape ? *shape : vx_launch_shape{}};
    memcpy(n + 1, args, bytes);
    *g->last = n;
    g->last = &n->next;
}

void vx_host_do(void *stream, void (*run)(void *), void *args, size_t bytes)
{
    graph *g = ((handle *)stream)->capturing;
    if (g) {
        append(g, NULL, run, args, bytes);
        return;
    }
    vx_host_catch_up(stream);
    vx_machine_tally()->queued++;
    run(args);
}

void vx_host_do_launch(void *stream, const vx_launch_shape *shape, void (*run)(void *), void *args,
                       size_t bytes)
{
    graph *g = ((handle *)stream)->capturing;
    if (g) {
        append(g, shape, run, args, bytes);
        return;
    }
    vx_host_catch_up(stream);
    vx_machine_tally()->queued++;
    vx_machine_launch(shape, run, args);
}

int vx_gpu_capture_begin(vx_gpu_stream *stream)
{
    handle *h = (handle *)stream->handle;
    vx_host_no_capture("vx_gpu_capture_begin");
    vx_host_usable(stream, "vx_gpu_capture_begin");
    vx_machine_tally()->captures++;
    if (behaviour == VX_CAPTURES_NONE)
        return VX_HOST_NOT_CAPTURED;
    graph *g = (graph *)malloc(sizeof *g);
    if (!g)
        return OUT_OF_MEMORY;
    *g = {NULL, &g->first};
    h->capturing = g;
    captures++;
    __atomic_add_fetch(&captures_of_all, 1, __ATOMIC_RELAXED);
    return 0;
}

int vx_gpu_capture_end(vx_gpu_stream *stream, void **out)
{
    handle *h = (handle *)stream->handle;
    graph *g = h->capturing;
    *out = NULL;
    if (!g)
        vx_machine_stop(NULL, 0, "vx_gpu_capture_end: there is no capture");
    const int error = stream->error                       ? stream->error
                      : behaviour == VX_CAPTURES_INVALID  ? (int)VX_HOST_INVALIDATED
                      : behaviour == VX_CAPTURES_NO_GRAPH ? (int)OUT_OF_MEMORY
                                                          : 0;
    if (behaviour == VX_CAPTURES_SLOW)
        usleep(20000);
    h->capturing = NULL;
    captures--;
    __atomic_sub_fetch(&captures_of_all, 1, __ATOMIC_RELAXED);
    stream->error = 0;
    stream->what = NULL;
    vx_machine_tally()->alive++;
    if (error)
        vx_gpu_graph_destroy(g);
    else
        *out = g;
    return error;
}

void vx_gpu_graph_launch(vx_gpu_stream *stream, void *what)
{
    if (!vx_host_usable(stream, "graph"))
        return;
    vx_host_no_capture("vx_gpu_graph_launch");
    vx_host_catch_up(stream->handle);
    vx_machine_tally()->queued++;
    vx_machine_tally()->graphs++;
    for (node *n = ((graph *)what)->first; n; n = n->next) {
        if (!n->shape.kernel) {
            n->run(n + 1);
            continue;
        }
        if (vx_machine_launch_fails()) {
            vx_gpu_fail(stream, LAUNCH_FAILED, "graph");
            return;
        }
        vx_machine_launch(&n->shape, n->run, n + 1);
    }
}

void vx_gpu_graph_destroy(void *what)
{
    graph *g = (graph *)what;
    node *next;
    if (!g)
        return;
    vx_machine_tally()->alive--;
    for (node *n = g->first; n; n = next) {
        next = n->next;
        free(n);
    }
    free(g);
}
