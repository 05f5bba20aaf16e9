/* search/fill.c: embeds the pictures that an index lacks; see search.h. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "search.h"
#include "tools/cli/lanes.h"
#include "tools/cli/progress.h"

/* What came of a picture. */
struct made {
    struct mark mark; /* before it was read: what changes later is seen the next time */
    bool good;
    char *error; /* what is wrong with the file, to be remembered; NULL: it may be better later */
};

struct slot {
    struct made *made;   /* [batch] */
    vitx_image **images; /* [batch], NULL: not read */
    float *vectors;      /* [batch, units] */
    bool cancelled;
};

struct filling {
    struct index *index;
    const struct search_settings *settings;
    const struct pictures *pictures;
    int *lacking; /* [count]: pictures */
    char **names; /* [count] */
    int count, batch;
    struct lanes lanes;
    struct slot *slots; /* [lanes.slots] */
    int status;
};

void ask_for(struct index *index, const struct pictures *pictures)
{
    for (int i = 0; i < index->count; i++)
        index->entries[i].asked = -1;
    for (int i = 0; i < pictures->count; i++) {
        const int at = index_find(index, pictures->all[i].key);
        if (at >= 0)
            index->entries[at].asked = i;
    }
}

int count_asked(const struct index *index)
{
    int asked = 0;
    for (int i = 0; i < index->count; i++)
        asked += index->entries[i].asked >= 0 && index->entries[i].block >= 0;
    return asked;
}

int asked_owner(const struct index *index, int block, int row)
{
    const int at = index_owner(index, block, row);
    return at >= 0 && index->entries[at].asked >= 0 ? at : -1;
}

/* ------------------------------------------------------------------ what is to be done ----- */

static bool lacks(const struct index *index, const struct picture *p, bool retry)
{
    const int at = index_find(index, p->key);
    if (at < 0)
        return true;
    const struct entry *e = &index->entries[at];
    return e->mark.size != p->mark.size || e->mark.mtime != p->mark.mtime ||
           (e->block < 0 && (retry || !e->error));
}

static bool find_lacking(struct filling *f)
{
    const size_t n = (size_t)f->pictures->count + 1;
    f->lacking = calloc(n, sizeof *f->lacking);
    f->names = calloc(n, sizeof *f->names);
    for (int i = 0; i < f->pictures->count && f->lacking && f->names; i++)
        if (lacks(f->index, &f->pictures->all[i], f->settings->retry)) {
            f->names[f->count] = (char *)f->pictures->all[i].name;
            f->lacking[f->count++] = i;
        }
    return f->lacking && f->names;
}

/* Whether the file of an entry that nobody asks for is gone. */
static bool is_gone(const struct pictures *pictures, const char *key)
{
    struct stat info;
    const size_t size = strlen(pictures->folder) + strlen(key) + 1;
    char *path = malloc(size);
    if (!path)
        return false;
    memcpy(path, pictures->folder, strlen(pictures->folder) + 1);
    strcpy(key[0] == '/' ? path : path + strlen(path), key);
    const bool gone = lstat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
    free(path);
    return gone;
}

static bool drop_gone(struct index *index, const struct pictures *pictures)
{
    bool good = true;
    for (int i = 0; i < index->count && good && pictures->folder; i++) {
        const struct entry *e = &index->entries[i];
        if (e->asked < 0 && e->mark.size >= 0 && is_gone(pictures, e->name))
            good = index_add(index, e->name, e->mark, NULL, NULL);
    }
    return good && index_flush(index);
}

/* ------------------------------------------------------------------ stages ----------------- */

static int extent(const struct filling *f, int piece, int *first)
{
    *first = piece * f->batch;
    return f->count - *first < f->batch ? f->count - *first : f->batch;
}

/* Complains; what lies in the file itself is remembered. */
static void fail(struct made *made, const char *name, int code)
{
    if (code == VITX_FORMAT || code == VITX_UNSUPPORTED)
        made->error = strdup(reason());
    complain_last(name);
}

static bool load(void *payload, int piece, int at, int64_t *pixels)
{
    struct filling *f = payload;
    struct slot *slot = &f->slots[at];
    int first;
    const int n = extent(f, piece, &first);
    if (lanes_in_turn(&f->lanes))
        progress_step(first, n, f->names[first]);
    *pixels = 0;
    slot->cancelled = false;
    for (int i = 0; i < n; i++) {
        struct made *made = &slot->made[i];
        const char *name = f->names[first + i];
        *made = (struct made){.good = false};
        if (!mark_file(&made->mark, name)) {
            complain(name, "%s", strerror(errno));
            continue;
        }
        const int code = image_try(&slot->images[i], name, &f->settings->common);
        if (code != VITX_OK)
            fail(made, name, code);
        else
            *pixels +=
                (int64_t)vitx_image_width(slot->images[i]) * vitx_image_height(slot->images[i]);
    }
    return true;
}

/* All at once, if all were read. */
static int run_together(struct slot *slot, int n, vitx_context *context)
{
    for (int i = 0; i < n; i++)
        if (!slot->images[i])
            return VITX_INVALID;
    const int code =
        vitx_embed_batch(context, (const vitx_image *const *)slot->images, n, slot->vectors, 1);
    for (int i = 0; i < n && code == VITX_OK; i++)
        slot->made[i].good = true;
    return code;
}

static bool run(void *payload, int piece, int at, vitx_context *context)
{
    struct filling *f = payload;
    struct slot *slot = &f->slots[at];
    int first;
    const int n = extent(f, piece, &first);
    const size_t units = (size_t)f->index->units;
    int code = run_together(slot, n, context);
    for (int i = 0; i < n && code != VITX_OK && code != VITX_CANCELLED; i++) {
        if (!slot->images[i])
            continue;
        const int one = vitx_embed(context, slot->images[i], slot->vectors + (size_t)i * units, 1);
        slot->made[i].good = one == VITX_OK;
        if (one == VITX_CANCELLED)
            code = one;
        else if (one != VITX_OK)
            fail(&slot->made[i], f->names[first + i], one);
    }
    slot->cancelled = code == VITX_CANCELLED;
    for (int i = 0; i < n; i++) {
        vitx_image_free(slot->images[i]);
        slot->images[i] = NULL;
    }
    return true;
}

/* A picture whose file could not be read this time; what was known of it is no longer true. */
static bool forget(struct filling *f, const struct picture *p, const struct made *made)
{
    const int at = index_find(f->index, p->key);
    return at < 0 || f->index->entries[at].block < 0 ||
           index_add(f->index, p->key, made->mark, NULL, NULL);
}

/* What came of the batch into the index; false: it takes nothing any more. */
static bool keep(struct filling *f, struct slot *slot, int first, int n)
{
    bool kept = true;
    for (int i = 0; i < n; i++) {
        struct made *made = &slot->made[i];
        const struct picture *p = &f->pictures->all[f->lacking[first + i]];
        const float *vector = slot->vectors + (size_t)i * (size_t)f->index->units;
        if (kept && (made->good || made->error))
            kept = index_add(f->index, p->key, made->mark, made->good ? vector : NULL, made->error);
        else if (kept && !slot->cancelled)
            kept = forget(f, p, made);
        if (!made->good && !slot->cancelled)
            f->status = SOME_FAILED;
        free(made->error);
        *made = (struct made){.good = false};
    }
    return kept && (!index_is_due(f->index) || index_flush(f->index));
}

static bool finish(void *payload, int piece, int at, bool begun)
{
    struct filling *f = payload;
    struct slot *slot = &f->slots[at];
    int first;
    const int n = extent(f, piece, &first);
    if ((!begun || slot->cancelled) && progress_cancelled())
        f->status = SOME_FAILED;
    if (!begun)
        return false;
    const bool kept = keep(f, slot, first, n);
    if (!kept)
        f->status = SOME_FAILED;
    if (first + n < f->count)
        progress_step(first + n, 1, f->names[first + n]);
    return kept;
}

/* ------------------------------------------------------------------ in order --------------- */

static bool create_slots(struct filling *f)
{
    const size_t n = (size_t)f->batch;
    f->slots = calloc((size_t)f->lanes.slots, sizeof *f->slots);
    bool there = f->slots != NULL;
    for (int i = 0; i < f->lanes.slots && there; i++) {
        struct slot *s = &f->slots[i];
        s->made = calloc(n, sizeof *s->made);
        s->images = calloc(n, sizeof(vitx_image *));
        s->vectors = calloc(n * (size_t)f->index->units, sizeof *s->vectors);
        there = s->made && s->images && s->vectors;
    }
    if (!there)
        complain(NULL, "no memory");
    return there;
}

static void free_slots(struct filling *f)
{
    for (int i = 0; i < f->lanes.slots && f->slots; i++) {
        free(f->slots[i].made);
        free(f->slots[i].images);
        free(f->slots[i].vectors);
    }
    free(f->slots);
}

static int embed_all(struct filling *f, struct session *session)
{
    const struct common *common = &f->settings->common;
    f->batch = common->batch < f->count ? common->batch : f->count;
    int status = lanes_start(&f->lanes, session, common, f->names, f->count, LANES_FORWARD);
    if (status == DONE && !create_slots(f))
        status = SOME_FAILED;
    if (status == DONE) {
        progress_begin(common, f->count, 1, "pictures");
        status =
            lanes_run(&f->lanes, &(struct pipeline){.count = (f->count + f->batch - 1) / f->batch,
                                                    .payload = f,
                                                    .load = load,
                                                    .run = run,
                                                    .finish = finish});
        progress_hide();
    }
    if (!index_flush(f->index) || !index_sync(f->index))
        status = SOME_FAILED;
    free_slots(f);
    lanes_free(&f->lanes);
    return status > f->status ? status : f->status;
}

int fill_index(struct index *index, struct session *session, const struct search_settings *settings,
               const struct pictures *pictures, int *broken)
{
    struct filling f = {.index = index, .settings = settings, .pictures = pictures};
    int status = DONE;
    ask_for(index, pictures);
    if (!find_lacking(&f)) {
        complain(NULL, "no memory");
        status = SOME_FAILED;
    }
    *broken = 0;
    for (int i = 0; i < index->count; i++)
        *broken += index->entries[i].asked >= 0 && index->entries[i].error &&
                   !lacks(index, &pictures->all[index->entries[i].asked], settings->retry);
    if (status == DONE && !drop_gone(index, pictures))
        status = SOME_FAILED;
    if (status == DONE && f.count > 0)
        status = embed_all(&f, session);
    ask_for(index, pictures);
    free(f.lacking);
    free(f.names);
    return index->full ? SOME_FAILED : status;
}
