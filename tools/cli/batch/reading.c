/* batch/reading.c: see reading.h. */
#define _POSIX_C_SOURCE 200809L
#include "reading.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "tools/cli/folder.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"
#include "zip.h"

struct reading {
    struct plan *plan;
    const struct cut *cut;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t moved;
    int turn; /* the piece that may read */
    struct pack *pack;
    int archive;               /* whose pack it is; NO_ARCHIVE: none is open */
    struct pack_member member; /* the one that was read, or comes next */
    bool has_member;           /* member comes next */
    /* Of a stream: what the shard has got until now; it is full; there is no more. */
    int inputs;
    int64_t bytes;
    uint32_t crc; /* of their names */
    bool full, over;
    bool broken;   /* the program is to stop, so what came last says nothing */
    char *failure; /* an input that stands for what could not be read; NULL: none */
};

struct reading *reading_begin(struct plan *plan, const struct cut *cut)
{
    struct reading *r = calloc(1, sizeof *r);
    if (!r) {
        complain(NULL, "no memory");
        return NULL;
    }
    r->plan = plan;
    r->cut = cut;
    r->archive = NO_ARCHIVE;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->moved, NULL);
    return r;
}

void reading_end(struct reading *r)
{
    if (!r)
        return;
    pack_close(r->pack);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->moved);
    free(r->failure);
    free(r);
}

void reading_shard(struct reading *r)
{
    r->turn = 0;
    r->inputs = 0;
    r->bytes = 0;
    r->crc = 0;
    r->full = false;
}

bool reading_full(const struct reading *r)
{
    return !r->broken && (r->full || reading_over(r));
}

bool reading_over(const struct reading *r)
{
    return r->over && !r->failure;
}

void taken_clear(struct taken *t)
{
    if (t->input == &t->own) {
        free(t->own.name);
        free(t->own.error);
    }
    free(t->data);
    free(t->error);
    *t = (struct taken){0};
}

/* ------------------------------------------------------------------ archives of the plan --- */

static void close_pack(struct reading *r)
{
    pack_close(r->pack);
    r->pack = NULL;
    r->archive = NO_ARCHIVE;
    r->has_member = false;
}

/* Whether what comes next has the input's name, which is ARCHIVE:MEMBER. */
static bool is_member(const struct reading *r, const struct input *i)
{
    const size_t n = strlen(r->plan->listing.archives.items[i->archive]);
    return strlen(i->name) > n && strcmp(i->name + n + 1, r->member.name) == 0;
}

/* The archive, before that member; false: *why. */
static bool seek(struct reading *r, const struct input *i, char **why)
{
    const int archive = i->archive;
    const int64_t member = i->member;
    enum pack_step step = PACK_MEMBER;
    const bool passed = r->has_member ? r->member.number > member : r->member.number >= member;
    if (r->archive != archive || passed)
        close_pack(r);
    if (!r->pack) {
        r->pack = pack_open(r->plan->listing.archives.items[archive], why);
        r->archive = r->pack ? archive : NO_ARCHIVE;
        r->member.number = -1;
    }
    if (!r->pack)
        return false;
    while (r->member.number < member && (step = pack_next(r->pack, &r->member)) == PACK_MEMBER)
        ;
    r->has_member = step == PACK_MEMBER;
    if (step == PACK_FAILED)
        *why = strdup(pack_why(r->pack));
    else if (step == PACK_END || r->member.number != member || !is_member(r, i))
        *why = strdup("is no longer in its archive, or no longer there in it");
    if (!*why)
        return true;
    close_pack(r);
    return false;
}

static void take_member(struct reading *r, struct taken *t)
{
    const struct input *i = t->input;
    char *why = NULL;
    if (seek(r, i, &why)) {
        r->has_member = false;
        if (t->wanted >= 0 && r->member.size != t->wanted)
            why = strdup("changed since the plan");
        else if (!pack_take(r->pack, &t->data, &t->bytes)) {
            why = strdup(pack_why(r->pack));
            close_pack(r);
        }
    }
    t->error = why;
}

/* ------------------------------------------------------------------ a stream --------------- */

/* The next picture of the stream in r->member; false: there is none. */
static bool peek(struct reading *r)
{
    enum pack_step step = PACK_MEMBER;
    char *why = NULL;
    if (r->has_member || r->over)
        return r->has_member;
    if (!r->pack)
        r->pack = pack_open(NULL, &why);
    while (r->pack && (step = pack_next(r->pack, &r->member)) == PACK_MEMBER &&
           !ends_as_a_picture(r->member.name))
        ;
    r->has_member = r->pack && step == PACK_MEMBER;
    r->over = !r->has_member;
    if (r->pack && step == PACK_FAILED)
        why = strdup(pack_why(r->pack));
    r->broken |= progress_interrupted();
    if (!r->broken) {
        r->failure = why;
        return r->has_member;
    }
    free(why);
    return false;
}

/* Whether the shard takes one more; the same cut as that of a list. */
static bool fits(struct reading *r, int64_t size)
{
    size = size > 0 ? size : 0;
    if (r->inputs > 0 && (r->inputs == r->cut->inputs || size > r->cut->bytes - r->bytes))
        r->full = true;
    if (r->full)
        return false;
    r->inputs++;
    r->bytes += size < r->cut->bytes ? size : r->cut->bytes;
    return true;
}

static bool set_own(struct reading *r, struct taken *t, const char *path, char *error)
{
    *t = (struct taken){.own = {.archive = NO_ARCHIVE, .size = -1, .error = error}};
    r->crc = zip_crc(r->crc, path, strlen(path) + 1);
    t->own.key = keys_add(&r->plan->listing.keys, path);
    t->own.name = strdup(path);
    t->input = &t->own;
    if (t->own.key && t->own.name)
        return true;
    complain(NULL, "no memory");
    taken_clear(t);
    r->over = r->full = true;
    return false;
}

/* The next input of the stream, if it belongs to the shard. */
static bool take_next(struct reading *r, struct taken *t)
{
    if (!peek(r)) {
        char *failure = r->failure;
        if (!failure || !fits(r, 0))
            return false;
        r->failure = NULL;
        return set_own(r, t, STREAM_NAME, failure);
    }
    if (!fits(r, r->member.size) || !set_own(r, t, r->member.name, NULL))
        return false;
    t->own.size = r->member.size;
    t->own.mtime = r->member.mtime;
    r->has_member = false;
    if (pack_take(r->pack, &t->data, &t->bytes))
        return true;
    t->error = strdup(pack_why(r->pack));
    r->broken |= progress_interrupted();
    return true;
}

/* ------------------------------------------------------------------ in turn ---------------- */

int reading_take(struct reading *r, int piece, int first, int n, struct taken *out)
{
    int count = 0;
    pthread_mutex_lock(&r->lock);
    while (r->turn != piece)
        pthread_cond_wait(&r->moved, &r->lock);
    if (r->plan->listing.stream) {
        while (count < n && take_next(r, &out[count]))
            count++;
    } else {
        for (; count < n; count++) {
            out[count].input = &r->plan->listing.inputs[first + count];
            if (out[count].input->archive != NO_ARCHIVE && !out[count].passed)
                take_member(r, &out[count]);
        }
    }
    r->turn++;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
    return count;
}

uint32_t reading_crc(const struct reading *r)
{
    return r->crc;
}

int reading_skip(struct reading *r)
{
    struct taken one = {0};
    int count = 0;
    reading_shard(r);
    while (take_next(r, &one)) {
        taken_clear(&one);
        count++;
    }
    return count;
}
