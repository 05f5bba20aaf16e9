/*
 * batch/sink_npz.c: NNNNN.maps.npz, an array KEY.METHOD for each map, and with --do embed the array
 * `embeddings`, whose rows are those of NNNNN.predictions.jsonl.
 *
 * An array's length stands before its numbers, and how many pictures fail is known at the end
 * alone. So embeddings wait in a file without a name.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"
#include "zip.h"

struct state {
    struct zip zip;
    FILE *waiting; /* the embeddings' numbers; NULL: none are wanted */
    int64_t rows;
    off_t embeddings; /* where those of the npz before begin; 0: not looked for */
};

static bool lacks(struct sinking *s, const char *what, int error)
{
    complain(what, "%s", error ? strerror(error) : "no memory");
    s->parts->stopped = true;
    return false;
}

/* In the run's folder, where the room is that the results need. */
static FILE *open_unnamed(const struct run *run, int shard)
{
    char name[64];
    snprintf(name, sizeof name, "state/%05d.waiting.part", shard);
    char *path = path_in(run->folder, name);
    FILE *file = path ? fopen(path, "w+e") : NULL;
    if (file)
        unlink(path);
    free(path);
    return file;
}

static bool begin(struct sinking *s)
{
    char name[64];
    struct state *state = calloc(1, sizeof *state);
    s->state = state;
    if (!state)
        return lacks(s, "maps.npz", 0);
    shard_name(name, sizeof name, s->shard, "maps.npz");
    state->zip.part = part_open(s->parts, name);
    if (state->zip.part && s->run->embeds) {
        state->waiting = open_unnamed(s->run, s->shard);
        if (!state->waiting)
            return lacks(s, name, errno);
    }
    return state->zip.part != NULL;
}

static bool pack(const struct sinking *s, const struct outcome *outcome, struct parcel *parcel)
{
    bool packed = true;
    char name[MAP_NAME];
    for (int j = 0; j < s->run->maps.opts_count && packed; j++) {
        if (!outcome->maps[j])
            continue;
        map_name(name, s->run, j);
        struct text *data = parcel_add(parcel, "%s.%s.npy", outcome->input->key, name);
        packed = data && put_map(data, s->run, outcome, j, "npy");
    }
    return packed;
}

static bool add(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel)
{
    struct state *state = s->state;
    bool added = true;
    for (int i = 0; i < parcel->count && added && !outcome->error; i++)
        added = zip_add(&state->zip, parcel->items[i].name, parcel->items[i].data.data,
                        parcel->items[i].data.length);
    if (!added || !state->waiting || outcome->error)
        return added;
    const size_t n = (size_t)s->run->session.info.classes;
    state->rows++;
    errno = 0;
    return fwrite(outcome->embedding, sizeof(float), n, state->waiting) == n ||
           lacks(s, "embeddings", errno ? errno : EIO);
}

/* ------------------------------------------------------------------ an npz of before -------- */

enum { NPY_HEADER = 128, NAME_ROOM = 8192 };

/* Where the embeddings' numbers begin: the last member's; -1: there are none. */
static off_t find_embeddings(FILE *file)
{
    char name[NAME_ROOM];
    uint64_t bytes;
    uint32_t crc;
    while (zip_read(file, name, sizeof name, &bytes, &crc)) {
        if (strcmp(name, "embeddings.npy") == 0)
            return ftello(file) + NPY_HEADER;
        if (bytes > INT64_MAX / 2 || fseeko(file, (off_t)bytes, SEEK_CUR) != 0)
            break;
    }
    return -1;
}

/* The picture's row of the embeddings. */
static bool recall_embedding(struct sinking *s, struct state *state)
{
    const size_t n = (size_t)s->run->session.info.classes;
    float *row = malloc(n * sizeof *row);
    const off_t back = ftello(s->old);
    bool taken = row && back >= 0;
    if (taken && state->embeddings == 0)
        taken =
            fseeko(s->old, 0, SEEK_SET) == 0 && (state->embeddings = find_embeddings(s->old)) > 0;
    taken = taken &&
            fseeko(s->old, state->embeddings + (off_t)(s->rows * (int64_t)(n * sizeof *row)),
                   SEEK_SET) == 0 &&
            fread(row, sizeof *row, n, s->old) == n && fseeko(s->old, back, SEEK_SET) == 0;
    s->rows++;
    state->rows++;
    if (taken && fwrite(row, sizeof *row, n, state->waiting) != n)
        taken = lacks(s, "embeddings", EIO);
    free(row);
    return taken;
}

/* The arrays that come next, as long as they are the picture's. */
bool recall_arrays(struct sinking *s, const char *key)
{
    struct state *state = s->state;
    char name[NAME_ROOM];
    uint64_t bytes;
    uint32_t crc;
    if (!old_open(s, "maps.npz"))
        return false;
    for (;;) {
        const off_t at = ftello(s->old);
        const bool mine = zip_read(s->old, name, sizeof name, &bytes, &crc) && is_of_key(name, key);
        if (at < 0 || (!mine && fseeko(s->old, at, SEEK_SET) != 0))
            return false;
        if (!mine)
            break;
        if (!zip_begin(&state->zip, name, bytes, crc) || !old_copy(s, state->zip.part, bytes))
            return false;
    }
    return !state->waiting || recall_embedding(s, state);
}

/* ------------------------------------------------------------------ the end ----------------- */

/* What waits, a piece at a time: into the crc, or (out) behind its header. */
static bool copy_waiting(struct state *state, uint32_t *crc, struct part *out)
{
    char piece[1 << 16];
    size_t n;
    bool good = fflush(state->waiting) == 0 && fseek(state->waiting, 0, SEEK_SET) == 0;
    while (good && (n = fread(piece, 1, sizeof piece, state->waiting)) > 0) {
        if (crc)
            *crc = zip_crc(*crc, piece, n);
        good = !out || part_write(out, piece, n);
    }
    return good && !ferror(state->waiting);
}

static bool add_embeddings(struct sinking *s, struct state *state)
{
    const int columns = s->run->session.info.classes;
    const uint64_t bytes = (uint64_t)state->rows * (uint64_t)columns * sizeof(float);
    struct text head = {0};
    npy_header(&head, state->rows, columns);
    uint32_t crc = head.failed ? 0 : zip_crc(0, head.data, head.length);
    errno = 0;
    const bool added = !head.failed && copy_waiting(state, &crc, NULL) &&
                       zip_begin(&state->zip, "embeddings.npy", head.length + bytes, crc) &&
                       part_write(state->zip.part, head.data, head.length) &&
                       copy_waiting(state, NULL, state->zip.part);
    text_free(&head);
    return added || s->parts->stopped || lacks(s, "embeddings", errno);
}

static bool finish(struct sinking *s)
{
    struct state *state = s->state;
    if (state->waiting && !add_embeddings(s, state))
        return false;
    return zip_end(&state->zip) && part_close(state->zip.part);
}

static void end(struct sinking *s)
{
    struct state *state = s->state;
    if (state && state->waiting)
        fclose(state->waiting);
    if (state)
        text_free(&state->zip.directory);
    free(state);
    s->state = NULL;
}

const struct sink sink_npz = {"npz", begin, pack, NULL, add, finish, end};
