/* batch/shard.c: the pictures of one shard through the pipeline, into the sinks. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "journal.h"
#include "pack.h"
#include "reading.h"
#include "sink.h"
#include "tools/cli/folder.h"
#include "tools/cli/progress.h"
#include "zip.h"

/* Pictures under way that run together, [run.batch] of each. */
struct slot {
    struct taken *taken;
    int64_t *sizes; /* of the files that were read; -1: not looked at */
    vitx_image **images;
    char **errors;
    int count;
    struct batch good; /* those that could be read; names are their inputs' */
    int *which;        /* their places */
    struct making making;
    vitx_map **maps;        /* [batch, opts_count] */
    vitx_prediction *top;   /* [batch, run.top] */
    float *vectors;         /* [batch, run.units] */
    struct parcel *parcels; /* [batch, MOST_SINKS] */
    char *said;             /* warnings */
    bool cancelled;
};

struct work {
    struct run *run;
    struct reading *reading;
    int shard, first, count; /* count -1: of a stream */
    struct slot *slots;
    const struct sink *sinks[MOST_SINKS];
    struct sinking sinking[MOST_SINKS];
    struct parts parts;
    struct journal *journal;
    struct marking marking;
    bool recalls; /* --retry-failed: what did not fail is taken from the results before */
    bool unlike;  /* they are not as they should be */
    const struct json *before; /* the marker of a run before; NULL: there is none */
    int pieces, finished;
    bool stopped;
};

/* ------------------------------------------------------------------ slots ------------------ */

static void clear_slot(const struct run *run, struct slot *s)
{
    for (int i = 0; i < s->count; i++) {
        taken_clear(&s->taken[i]);
        vitx_image_free(s->images[i]);
        s->images[i] = NULL;
        free(s->errors[i]);
        s->errors[i] = NULL;
        for (int j = 0; j < run->maps.opts_count; j++) {
            vitx_map_free(s->maps[i * run->maps.opts_count + j]);
            s->maps[i * run->maps.opts_count + j] = NULL;
        }
        for (int k = 0; k < MOST_SINKS; k++)
            parcel_clear(&s->parcels[i * MOST_SINKS + k]);
    }
    free(s->said);
    s->said = NULL;
    s->good.count = s->count = 0;
    s->cancelled = false;
}

static bool create_slot(const struct run *run, struct slot *s)
{
    const size_t n = (size_t)run->batch, m = (size_t)run->maps.opts_count;
    s->taken = calloc(n, sizeof *s->taken);
    s->sizes = calloc(n, sizeof *s->sizes);
    s->images = calloc(n, sizeof *s->images);
    s->errors = calloc(n, sizeof *s->errors);
    s->which = calloc(n, sizeof *s->which);
    s->maps = calloc(n * m + 1, sizeof *s->maps);
    s->top = calloc(n * (size_t)run->top + 1, sizeof *s->top);
    s->vectors = calloc(n * (size_t)run->units + 1, sizeof *s->vectors);
    s->parcels = calloc(n * MOST_SINKS, sizeof *s->parcels);
    return s->taken && s->sizes && s->images && s->errors && s->which && s->maps && s->top &&
           s->vectors && s->parcels && batch_create(&s->good, run->batch) &&
           (!run->explains || making_create(&s->making, &run->maps, run->batch));
}

static void free_slot(const struct run *run, struct slot *s)
{
    if (s->taken && s->parcels && s->maps && s->images && s->errors)
        clear_slot(run, s);
    for (int i = 0; i < run->batch * MOST_SINKS && s->parcels; i++)
        parcel_free(&s->parcels[i]);
    s->good.count = 0; /* the pictures are not its own */
    batch_free(&s->good);
    if (run->explains && s->making.plan)
        making_free(&s->making);
    free(s->taken);
    free(s->sizes);
    free(s->images);
    free(s->errors);
    free(s->which);
    free(s->maps);
    free(s->top);
    free(s->vectors);
    free(s->parcels);
}

static void fail(struct slot *s, int i, const char *why)
{
    if (!s->errors[i])
        s->errors[i] = strdup(why);
    /* Without memory the picture still fails. */
    if (!s->errors[i])
        s->cancelled = true;
}

/* ------------------------------------------------------------------ load ------------------- */

/* The message alone: the first line of what was said, without the picture. */
static char *message_of(const char *said, const char *name)
{
    const size_t n = strlen(name);
    size_t length;
    const char *line = say_line(said, false, &length);
    const bool named =
        length >= n + 2 && strncmp(line, name, n) == 0 && line[n] == ':' && line[n + 1] == ' ';
    return named ? strndup(line + n + 2, length - n - 2) : strndup(line, length);
}

/* The size that makes it the picture of the plan; -1: any, as it is tried again, or may be. */
static int64_t size_wanted(const struct work *w, const struct input *in)
{
    const int64_t accepted = w->before ? marker_accepted(w->before, in->key) : -1;
    if (w->run->settings->retry_failed && w->before && marker_has_failed(w->before, in->key))
        return -1;
    return accepted >= 0 ? accepted : in->size;
}

/* Whether the file is still the one of the plan; false: it has failed. */
static bool check_file(struct work *w, struct slot *s, int i)
{
    const struct input *in = s->taken[i].input;
    struct stat info;
    const bool again =
        w->run->settings->retry_failed && w->before && marker_has_failed(w->before, in->key);
    const bool there = stat(in->name, &info) == 0;
    if (!there || !S_ISREG(info.st_mode)) {
        fail(s, i, there ? "is no regular file" : "No such file or directory");
        return false;
    }
    s->sizes[i] = (int64_t)info.st_size;
    if (again || s->sizes[i] == size_wanted(w, in))
        return true;
    fail(s, i, "changed since the plan");
    return false;
}

static void decode(struct work *w, struct slot *s, int i)
{
    const struct run *run = w->run;
    struct taken *t = &s->taken[i];
    const struct common *common = &run->settings->explain.common;
    const char *name = t->input->name;
    char *said;
    size_t length;
    if (t->error) { /* of an archive; or the reading was stopped */
        s->cancelled |= progress_interrupted();
        fail(s, i, t->error);
        return;
    }
    if (t->input->error && (w->count < 0 || is_pack(name) || is_folder(name))) {
        fail(s, i, t->input->error);
        return;
    }
    if (!t->data && !check_file(w, s, i))
        return;
    if (t->data && w->count >= 0 && t->input->size >= 0)
        s->sizes[i] = (int64_t)t->bytes;
    say_hold(&said, &length);
    const bool loaded = t->data ? image_load_bytes(&s->images[i], t->data, t->bytes, name, common)
                                : image_load(&s->images[i], name, common);
    say_release();
    free(t->data);
    t->data = NULL;
    if (!loaded) {
        s->errors[i] = message_of(said ? said : "no memory", name);
        s->cancelled |= !s->errors[i];
    } else if (said && !s->said) {
        s->said = said;
        said = NULL;
    }
    free(said);
}

/* Whether the results of the shard's picture `place` are those of the run before. A stream that
 * broke off then may have more pictures now. */
static bool is_recalled(const struct work *w, const struct input *input, int place)
{
    return w->recalls && (w->count >= 0 || place < marker_pictures(w->before)) &&
           !marker_has_failed(w->before, input->key);
}

static bool load(void *payload, int piece, int at, int64_t *pixels)
{
    struct work *w = payload;
    struct slot *s = &w->slots[at];
    const int begin = piece * w->run->batch;
    int n = w->run->batch;
    if (w->count >= 0 && w->count - begin < n)
        n = w->count - begin;
    for (int i = 0; i < n && w->count >= 0; i++) {
        const struct input *in = &w->run->plan.listing.inputs[w->first + begin + i];
        s->taken[i].passed = is_recalled(w, in, begin + i);
        s->taken[i].wanted = size_wanted(w, in);
    }
    s->count = reading_take(w->reading, piece, w->first + begin, n, s->taken);
    for (int i = 0; i < s->count; i++) {
        s->sizes[i] = -1;
        s->taken[i].passed = is_recalled(w, s->taken[i].input, begin + i);
        if (!s->taken[i].passed)
            decode(w, s, i);
        if (!s->images[i])
            continue;
        s->good.images[s->good.count] = s->images[i];
        s->good.names[s->good.count] = s->taken[i].input->name;
        s->which[s->good.count++] = i;
    }
    *pixels = batch_pixels(&s->good);
    return s->count == n;
}

/* ------------------------------------------------------------------ run -------------------- */

static float *vector_of(const struct run *run, const struct slot *s, int k)
{
    return s->vectors + (size_t)k * (size_t)run->units;
}

/* Whether vectors get length 1. */
static bool normalizes(const struct run *run)
{
    return run->embeds && run->settings->normalize;
}

/* The best labels that are texts, if there are any, of the good picture number k by its vector. */
static int rank_labels(const struct run *run, struct slot *s, int k)
{
    const vitx_label_set *labels = run->session.labels;
    return labels
               ? vitx_label_set_rank(s->top + k * run->top, run->top, labels, vector_of(run, s, k))
               : VITX_OK;
}

/* Pictures from .. from + n - 1 of the good ones; a status of the library. */
static int answer_some(const struct run *run, struct slot *s, vitx_context *context, int from,
                       int n)
{
    const vitx_image *const *images = (const vitx_image *const *)s->good.images + from;
    int code = VITX_OK;
    if (run->classifies && !run->session.labels)
        code = vitx_classify_batch(context, images, n, s->top + from * run->top, run->top);
    if (code == VITX_OK && run->units)
        code = vitx_embed_batch(context, images, n, vector_of(run, s, from), normalizes(run));
    for (int k = from; k < from + n && code == VITX_OK; k++)
        code = rank_labels(run, s, k);
    return code;
}

/* Their maps. false: they failed, and *said, to be freed, has why. */
static bool explain_some(const struct run *run, struct slot *s, vitx_context *context, int from,
                         int n, char **said)
{
    const int m = run->maps.opts_count;
    const struct batch some = {s->good.images + from, s->good.names + from, s->good.order, n, n};
    size_t length;
    say_hold(said, &length);
    const int status = making_run(&s->making, context, &some, false);
    say_release();
    s->cancelled |= s->making.cancelled;
    for (int k = 0; k < n * m && status == DONE; k++) {
        vitx_map **map = &s->maps[s->which[from + k / m] * m + k % m];
        vitx_map_free(*map); /* of an attempt with others, whose answer failed */
        *map = s->making.kept[k];
        s->making.kept[k] = NULL;
    }
    making_clear(&s->making);
    return status == DONE;
}

/* The answer for the good picture number k, which was explained: a map of it has it, and only if
 * there is none the model runs again. */
static int answer_by_map(const struct run *run, struct slot *s, vitx_context *context, int k)
{
    const int m = run->maps.opts_count;
    const vitx_map *map = NULL;
    for (int j = 0; j < m && !map; j++)
        map = s->maps[s->which[k] * m + j];
    if (!map)
        return answer_some(run, s, context, k, 1);
    int code = VITX_OK;
    if (run->classifies && !run->session.labels)
        code = vitx_map_predictions(s->top + k * run->top, run->top, map, run->session.model);
    if (code == VITX_OK && run->units)
        code = vitx_map_embedding(vector_of(run, s, k), normalizes(run), map);
    return code == VITX_OK ? rank_labels(run, s, k) : code;
}

/* The maps of pictures from .. from + n - 1, as explain_some; of one alone the error is kept, and
 * warnings are until they are said. */
static bool explain_or_fail(const struct run *run, struct slot *s, vitx_context *context, int from,
                            int n)
{
    char *said = NULL;
    const bool done = explain_some(run, s, context, from, n, &said);
    if (!done && n == 1) {
        char *why = message_of(said ? said : "no map", s->good.names[from]);
        fail(s, s->which[from], why ? why : "no memory");
        free(why);
    } else if (done && said && !s->said) {
        s->said = said;
        said = NULL;
    }
    free(said);
    return done;
}

/* Their answers: of the maps' pass, or of one of their own. */
static int answer_all(const struct run *run, struct slot *s, vitx_context *context, int from, int n)
{
    int code = VITX_OK;
    if (!run->explains || !run->settings->one_pass)
        return answer_some(run, s, context, from, n);
    for (int k = from; k < from + n && code == VITX_OK; k++)
        code = answer_by_map(run, s, context, k);
    return code;
}

/* All that is done to pictures from .. from + n - 1; of one alone the error is kept. */
static bool run_some(const struct run *run, struct slot *s, vitx_context *context, int from, int n)
{
    const bool first = run->explains && run->settings->one_pass;
    if (first && !explain_or_fail(run, s, context, from, n))
        return false;
    if (s->cancelled)
        return true;
    const int code = answer_all(run, s, context, from, n);
    s->cancelled |= code == VITX_CANCELLED;
    if (code != VITX_OK && n == 1)
        fail(s, s->which[from], reason());
    if (code != VITX_OK || s->cancelled || first || !run->explains)
        return code == VITX_OK;
    return explain_or_fail(run, s, context, from, n);
}

static bool run_pictures(void *payload, int piece, int at, vitx_context *context)
{
    const struct work *w = payload;
    struct slot *s = &w->slots[at];
    const int n = s->good.count;
    (void)piece;
    if (n == 0 || (n > 1 && run_some(w->run, s, context, 0, n)))
        return true;
    for (int i = 0; i < n && !s->cancelled; i++)
        run_some(w->run, s, context, i, 1);
    return true;
}

/* ------------------------------------------------------------------ save ------------------- */

/* The place among the slot's good pictures; -1: it is none. */
static int good_place(const struct slot *s, int i)
{
    for (int k = 0; k < s->good.count; k++)
        if (s->which[k] == i)
            return k;
    return -1;
}

static struct outcome outcome_of(const struct run *run, const struct slot *s, int i)
{
    const int k = good_place(s, i);
    return (struct outcome){.input = s->taken[i].input,
                            .image = s->images[i],
                            .top = k >= 0 ? s->top + k * run->top : NULL,
                            .embedding = k >= 0 && run->embeds ? vector_of(run, s, k) : NULL,
                            .maps = s->maps + i * run->maps.opts_count,
                            .error = s->errors[i]};
}

static bool save(void *payload, int piece, int at)
{
    const struct work *w = payload;
    struct slot *s = &w->slots[at];
    (void)piece;
    for (int i = 0; i < s->count && !s->cancelled; i++) {
        for (int k = 0; w->sinks[k] && !s->errors[i] && !s->taken[i].passed; k++) {
            const struct outcome o = outcome_of(w->run, s, i);
            if (w->sinks[k]->pack &&
                !w->sinks[k]->pack(&w->sinking[k], &o, &s->parcels[i * MOST_SINKS + k]))
                fail(s, i, *reason() ? reason() : "no memory");
        }
    }
    return true;
}

/* ------------------------------------------------------------------ finish ----------------- */

static uint32_t crc_of(const struct slot *s, int i, int *made)
{
    uint32_t crc = 0;
    *made = 0;
    for (int k = 0; k < MOST_SINKS; k++) {
        const struct parcel *p = &s->parcels[i * MOST_SINKS + k];
        for (int j = 0; j < p->count; j++)
            crc = zip_crc(crc, p->items[j].data.data, p->items[j].data.length);
        *made += p->count;
    }
    return crc;
}

static bool write_line(struct work *w, struct slot *s, int i)
{
    const char *key = s->taken[i].input->key, *error = s->errors[i];
    int made = 0;
    const uint32_t crc = error ? 0 : crc_of(s, i, &made);
    if (!error && journal_differs(w->journal, key, crc))
        complain("warning",
                 "%s: other numbers than before the run was interrupted: another "
                 "processor, or another library",
                 s->taken[i].input->name);
    if (journal_add(w->journal, key, error, made, crc))
        return true;
    complain("state", "the journal of shard %d cannot be written", w->shard);
    return false;
}

static void note(struct work *w, const struct slot *s, int i)
{
    const struct input *in = s->taken[i].input;
    const struct run_settings *o = w->run->settings;
    w->marking.inputs++;
    if (s->errors[i]) {
        marking_fail(&w->marking, in, s->errors[i]);
        if (!o->explain.common.quiet && o->progress != LINES_JSON)
            complain(in->name, "%s", s->errors[i]);
    } else if (s->sizes[i] >= 0 && s->sizes[i] != in->size) {
        marking_accept(&w->marking, in, s->sizes[i]);
    }
}

/* What the run before has of a picture into all sinks. */
static bool recall_one(struct work *w, const struct input *input)
{
    const int64_t accepted = marker_accepted(w->before, input->key);
    for (int k = 0; w->sinks[k]; k++)
        if (!recall_of(w->sinks[k])(&w->sinking[k], input->key)) {
            w->unlike = !w->parts.stopped;
            return false;
        }
    w->marking.inputs++;
    if (accepted >= 0)
        marking_accept(&w->marking, input, accepted);
    lines_step(&w->run->lines, w->shard, false, input->name);
    return true;
}

/* One picture into all sinks; false: nothing more can be done. */
static bool add_one(struct work *w, struct slot *s, int i)
{
    if (s->taken[i].passed)
        return recall_one(w, s->taken[i].input);
    struct outcome o = outcome_of(w->run, s, i);
    for (int k = 0; w->sinks[k] && !s->errors[i]; k++)
        if (w->sinks[k]->take && !w->sinks[k]->take(&w->sinking[k], &o)) {
            if (progress_interrupted())
                return false;
            fail(s, i, reason());
        }
    o.error = s->errors[i];
    if (!write_line(w, s, i))
        return false;
    for (int k = 0; w->sinks[k]; k++)
        if (!w->sinks[k]->add(&w->sinking[k], &o, &s->parcels[i * MOST_SINKS + k]))
            return false;
    note(w, s, i);
    lines_step(&w->run->lines, w->shard, o.error != NULL, o.input->name);
    return true;
}

static bool finish(void *payload, int piece, int at, bool begun)
{
    struct work *w = payload;
    struct slot *s = &w->slots[at];
    (void)piece;
    if (!begun)
        return false;
    if (s->said)
        say_held(s->said);
    for (int i = 0; i < s->count && !w->stopped; i++)
        w->stopped = s->cancelled || !add_one(w, s, i);
    w->stopped |= s->cancelled;
    w->finished++;
    clear_slot(w->run, s);
    return !w->stopped;
}

/* ------------------------------------------------------------------ a shard ---------------- */

static bool create_slots(struct work *w)
{
    const int n = w->run->lanes.slots;
    w->slots = calloc((size_t)n, sizeof *w->slots);
    bool created = w->slots != NULL;
    for (int i = 0; i < n && created; i++)
        created = create_slot(w->run, &w->slots[i]);
    if (!created)
        complain(NULL, "no memory");
    return created;
}

static void free_work(struct work *w)
{
    for (int i = 0; i < w->run->lanes.slots && w->slots; i++)
        free_slot(w->run, &w->slots[i]);
    free(w->slots);
    w->slots = NULL;
    for (int k = 0; w->sinks[k]; k++)
        if (w->sinking[k].run)
            w->sinks[k]->free(&w->sinking[k]);
    for (int k = 0; w->sinks[k]; k++)
        if (w->sinking[k].old)
            fclose(w->sinking[k].old);
    journal_close(w->journal);
    w->journal = NULL;
    memset(w->sinking, 0, sizeof w->sinking);
    marking_free(&w->marking);
    parts_end(&w->parts);
}

static bool open_sinks(struct work *w)
{
    bool opened = true;
    for (int k = 0; w->sinks[k] && opened; k++) {
        w->sinking[k] = (struct sinking){.run = w->run, .parts = &w->parts, .shard = w->shard};
        w->sinking[k].outputs = json_first(json_get(w->before, "outputs"));
        opened = w->sinks[k]->open(&w->sinking[k]);
    }
    return opened;
}

/* Whether every picture of the shard was finished. */
static bool is_complete(const struct work *w)
{
    if (w->stopped)
        return false;
    return w->count < 0 ? reading_full(w->reading) : w->finished == w->pieces;
}

/* All pictures; false: not all are done. */
static bool run_all(struct work *w)
{
    const int batch = w->run->batch,
              count = w->count < 0 ? w->run->settings->shard_size + 1 : w->count;
    w->pieces = (count + batch - 1) / batch;
    reading_shard(w->reading);
    struct pipeline stages = {.count = w->pieces,
                              .payload = w,
                              .load = load,
                              .run = run_pictures,
                              .save = save,
                              .finish = finish};
    return lanes_run(&w->run->lanes, &stages) == DONE && is_complete(w);
}

/* From the last picture to the marker. */
static bool commit(struct work *w)
{
    bool good = true;
    for (int k = 0; w->sinks[k] && good; k++)
        good = w->sinks[k]->close(&w->sinking[k]);
    return good && parts_commit(&w->parts) &&
           marking_write(&w->marking, w->run->folder, w->shard, &w->parts);
}

/* Of a stream: what came is not what came before. That one had come to its end, or fewer
 * pictures came now. */
static bool is_other_stream(const struct work *w)
{
    const int before = marker_inputs(w->before), pictures = marker_pictures(w->before);
    if (w->count >= 0 || !w->before)
        return false;
    if (before > pictures)
        return w->marking.inputs < pictures;
    return w->marking.inputs != before || w->marking.names != marker_names(w->before);
}

static enum shard_end do_shard(struct work *w, int *failed)
{
    const int done = w->run->lines.done, failures = w->run->lines.failed;
    enum shard_end end = SHARD_STOPPED;
    w->journal = journal_open(w->run->folder, w->shard);
    if (w->journal && open_sinks(w) && create_slots(w) && run_all(w)) {
        w->marking.names = w->count < 0 ? reading_crc(w->reading) : 0;
        if (is_other_stream(w))
            end = SHARD_OTHER;
        else if (w->marking.inputs == 0)
            end = SHARD_NONE;
        else if (commit(w))
            end = SHARD_DONE;
    }
    *failed = w->marking.failed;
    if (end != SHARD_DONE)
        lines_take_back(&w->run->lines, w->run->lines.done - done, w->run->lines.failed - failures);
    return end;
}

/* Does the shard, and takes over what there is (fits: of a run before, and it is as it was). */
static enum shard_end make_shard(struct work *w, bool fits, int *failed)
{
    sinks_of(w->run, w->sinks);
    w->recalls = fits;
    for (int k = 0; w->sinks[k]; k++)
        w->recalls &= recall_of(w->sinks[k]) != NULL;
    enum shard_end end = do_shard(w, failed);
    free_work(w);
    if (w->unlike && w->count < 0)
        return SHARD_OTHER;
    if (!w->unlike)
        return end;
    complain("warning", "shard %d is done again as a whole: what is there is in another form",
             w->shard);
    w->recalls = w->unlike = w->stopped = false;
    w->finished = 0;
    end = do_shard(w, failed);
    free_work(w);
    return end;
}

/* It was done before. Of a stream its pictures are passed over. */
static enum shard_end pass_shard(struct work *w, int *failed)
{
    *failed = marker_failed(w->before);
    if (*failed)
        marker_tidy(w->before, w->run->folder);
    lines_skip(&w->run->lines, marker_inputs(w->before), *failed);
    if (w->count >= 0 || (reading_skip(w->reading) == marker_inputs(w->before) &&
                          reading_crc(w->reading) == marker_names(w->before)))
        return SHARD_DONE;
    return progress_interrupted() ? SHARD_STOPPED : SHARD_OTHER;
}

/* The shard is this worker's. */
static enum shard_end do_locked(struct work *w, int *failed)
{
    const struct run_settings *o = w->run->settings;
    struct json *marker = marker_read(w->run->folder, w->shard);
    w->before = marker;
    /* What is taken over into new files is looked at first. */
    const bool again = o->retry_failed && marker_failed(marker) > 0;
    const bool fits = marker_fits(marker, w->run->folder, o->verify || again);
    const enum shard_end end = fits && !again ? pass_shard(w, failed) : make_shard(w, fits, failed);
    json_free(marker);
    return end;
}

enum shard_end shard_do(struct run *run, struct reading *reading, int shard, int *failed)
{
    const struct plan *plan = &run->plan;
    struct work w = {.run = run, .reading = reading, .shard = shard, .count = -1};
    w.parts.folder = run->folder;
    if (!plan->listing.stream) {
        w.first = plan->first[shard];
        w.count = plan->first[shard + 1] - w.first;
    }
    if (lock_take(&run->locks, shard)) {
        const enum shard_end end = do_locked(&w, failed);
        lock_give(&run->locks, shard);
        return end;
    }
    if (w.count < 0)
        reading_skip(reading);
    return SHARD_TAKEN;
}
