/*
 * kernels/cuda/list.cu: see list.h. Also which kernels have their shared memory.
 */
#include "kernels/cuda/cuda.h"

#include <pthread.h>
#include <stdio.h>

/* Entries, one behind the other. */
struct list {
    unsigned char *data;
    size_t room, bytes;
    void *graph;   /* NULL: there is none yet        */
    int failed;    /* captures that came to nothing  */
    unsigned used; /* when                           */
};

/* A capture fails by chance, too: if another thread of the program waits for the whole GPU. */
enum { ATTEMPTS = 3 };

struct vx_lists {
    vx_cuda *cuda;
    list own; /* that is written                            */
    list kept[VX_LISTS_KEPT];
    size_t wanted; /* by the longest so far                 */
    unsigned clock;
    const char *operation;
};

static pthread_mutex_t captures = PTHREAD_MUTEX_INITIALIZER;

void vx_captures_lock(void)
{
    pthread_mutex_lock(&captures);
}

void vx_captures_unlock(void)
{
    pthread_mutex_unlock(&captures);
}

size_t vx_lists_bytes(void)
{
    return sizeof(vx_lists);
}

void vx_lists_open(vx_lists *room, vx_cuda *cuda)
{
    room->cuda = cuda;
    room->wanted = VX_LIST_FIRST;
}

static void forget(list *l)
{
    vx_gpu_graph_destroy(l->graph);
    l->graph = NULL;
    l->bytes = 0;
    l->failed = 0;
}

void vx_lists_forget(vx_lists *lists)
{
    for (int i = 0; lists && i < VX_LISTS_KEPT; i++)
        forget(&lists->kept[i]);
}

static void release(vx_lists *lists, list *l)
{
    const vx_device_env *env = &lists->cuda->base.env;
    if (l->data)
        env->release(l->data, env->owner);
    l->data = NULL;
    l->room = 0;
}

void vx_lists_close(vx_lists *lists)
{
    if (!lists)
        return;
    vx_lists_forget(lists);
    for (list &l : lists->kept)
        release(lists, &l);
    release(lists, &lists->own);
}

/* -------------------------------------------------------------------------- writing ---- */

void vx_list_begin(vx_lists *lists)
{
    if (!lists || lists->cuda->base.profile)
        return;
    const vx_device_env *env = &lists->cuda->base.env;
    list *own = &lists->own;
    if (own->room < lists->wanted) {
        void *more = env->alloc(lists->wanted, env->owner);
        if (more) {
            release(lists, own);
            own->data = static_cast<unsigned char *>(more);
            own->room = lists->wanted;
        }
    }
    own->bytes = 0;
    if (own->data)
        lists->cuda->stream.list = lists;
}

bool vx_list_operation(vx_lists *lists, const char *operation)
{
    if (!lists || !lists->cuda->stream.list)
        return false;
    lists->operation = operation;
    return true;
}

void *vx_list_add(vx_gpu_stream *stream, const vx_entry *entry, size_t bytes)
{
    vx_lists *lists = stream->list;
    list *own = &lists->own;
    const size_t all = vx_round_up(sizeof *entry + bytes, alignof(vx_entry));
    if (all > own->room - own->bytes) {
        if (lists->wanted < VX_LIST_MOST)
            lists->wanted = 2 * own->room < VX_LIST_MOST ? 2 * own->room : (size_t)VX_LIST_MOST;
        vx_list_break(lists);
        return NULL;
    }
    vx_entry *to = reinterpret_cast<vx_entry *>(own->data + own->bytes);
    memset(static_cast<void *>(to), 0, all);
    memcpy(static_cast<void *>(to), entry, sizeof *entry);
    to->operation = lists->operation;
    to->bytes = all;
    vx_clear_gaps(to);
    own->bytes += all;
    return to + 1;
}

struct fill {
    void *at;
    size_t bytes;
    int byte;
};

static void play_fill(vx_gpu_stream *stream, const vx_entry *entry)
{
    const fill *f = reinterpret_cast<const fill *>(entry + 1);
    vx_gpu_fill(stream, f->at, f->byte, f->bytes);
}

void vx_queue_fill(vx_gpu_stream *stream, void *gpu, int byte, size_t bytes)
{
    const vx_entry entry = {play_fill, NULL, "fill", NULL, 0, {}, {}, 0};
    if (stream->error)
        return;
    fill *to = stream->list ? static_cast<fill *>(vx_list_add(stream, &entry, sizeof *to)) : NULL;
    if (!to) {
        vx_gpu_fill(stream, gpu, byte, bytes);
        return;
    }
    to->at = gpu;
    to->bytes = bytes;
    to->byte = byte;
}

/* -------------------------------------------------------------------------- playing ---- */

static void play(vx_cuda *cuda, const list *l)
{
    for (size_t at = 0; at < l->bytes && !cuda->stream.error;) {
        const vx_entry *entry = reinterpret_cast<const vx_entry *>(l->data + at);
        entry->play(&cuda->stream, entry);
        if (cuda->stream.error)
            cuda->failed = entry->operation;
        at += entry->bytes;
    }
}

/* The list is no longer written; its thread may queue on the stream. false: nothing is queued. */
static bool close_list(vx_cuda *cuda)
{
    cuda->stream.list = NULL;
    if (cuda->stream.error)
        return false;
    vx_gpu_fail(&cuda->stream, vx_gpu_use(cuda->ordinal), "GPU");
    return !cuda->stream.error;
}

void vx_list_break(vx_lists *lists)
{
    if (lists && lists->cuda->stream.list && close_list(lists->cuda))
        play(lists->cuda, &lists->own);
}

static list *find(vx_lists *lists)
{
    for (list &l : lists->kept)
        if (l.bytes == lists->own.bytes && memcmp(l.data, lists->own.data, l.bytes) == 0)
            return &l;
    return NULL;
}

/* In the place of the one that was not used for the longest time, whose memory is written next. */
static void keep(vx_lists *lists)
{
    list *place = &lists->kept[0];
    for (list &l : lists->kept)
        if (!l.bytes || (place->bytes && l.used < place->used))
            place = &l;
    forget(place);
    const list own = lists->own;
    lists->own = *place;
    *place = own;
    place->used = ++lists->clock;
}

static void say(vx_cuda *cuda, int error)
{
    const vx_device_env *env = &cuda->base.env;
    char line[200];
    snprintf(line, sizeof line, "device " VX_GPU_NAME ": a pass is no graph: %s",
             vx_gpu_error_text(error));
    if (env->log)
        env->log(line, env->owner);
}

/* Nothing runs. What fails here is played in the usual way next, and then reported by sync if it
 * fails again. */
static void capture(vx_cuda *cuda, list *l)
{
    const char *const failed = cuda->failed;
    vx_captures_lock();
    int error = vx_gpu_capture_begin(&cuda->stream);
    if (!error) {
        play(cuda, l);
        error = vx_gpu_capture_end(&cuda->stream, &l->graph);
    }
    vx_captures_unlock();
    cuda->failed = failed;
    if (error && ++l->failed == ATTEMPTS)
        say(cuda, error);
}

void vx_list_end(vx_lists *lists)
{
    if (!lists || !lists->cuda->stream.list)
        return;
    vx_cuda *cuda = lists->cuda;
    if (!close_list(cuda) || !lists->own.bytes)
        return;
    list *l = find(lists);
    if (!l) {
        play(cuda, &lists->own);
        if (!cuda->stream.error)
            keep(lists);
        return;
    }
    l->used = ++lists->clock;
    if (!l->graph && l->failed < ATTEMPTS)
        capture(cuda, l);
    if (l->graph)
        vx_gpu_graph_launch(&cuda->stream, l->graph);
    else
        play(cuda, l);
    if (cuda->stream.error)
        forget(l);
}

/* --------------------------------------------------------------------- shared memory ---- */

/* Functions that may have more than 48 KiB, each with the GPU on which: a pointer has 48 bits.
 * Entries are added, never taken away, so nobody needs a lock. */
enum { ALLOWED = 1024, PROBES = 16 };
static uint64_t allowed[ALLOWED];

int vx_shared_allow(int ordinal, const void *function)
{
    const uint64_t key = (uint64_t)(uintptr_t)function | (uint64_t)(ordinal + 1) << 48;
    const uint64_t from = key * 0x9e3779b97f4a7c15u >> 32;
    for (unsigned i = 0; i < PROBES; i++) {
        uint64_t *at = &allowed[(from + i) % ALLOWED];
        uint64_t found = __atomic_load_n(at, __ATOMIC_ACQUIRE);
        if (found == key)
            return 0;
        if (found)
            continue;
        const int error = vx_gpu_allow_shared(function);
        if (!error)
            __atomic_compare_exchange_n(at, &found, key, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
        return error;
    }
    return vx_gpu_allow_shared(function); /* there is no place left for it */
}
