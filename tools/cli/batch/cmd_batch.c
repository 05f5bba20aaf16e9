/* batch/cmd_batch.c: very many pictures, in shards that several workers do. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "journal.h"
#include "reading.h"
#include "sink.h"
#include "tools/cli/folder.h"
#include "tools/cli/labels.h"
#include "tools/cli/progress.h"
#include "tools/cli/results.h"

extern const struct command cmd_explain;

static const char *const progresses[] = {"auto", "json", "none", NULL}; /* as enum lines_form */

static const struct run_settings defaults = {
    .explain = {.common = {.batch = 1, .fit = -1, .labels_may_be_texts = true},
                .layer = VITX_AUTO,
                .head = VITX_AUTO,
                .alpha = VITX_AUTO,
                .smooth = VITX_AUTO},
    .name = "{path}.{method}.png",
    .shard_size = 256,
    .shard_bytes = (size_t)64 << 20,
    .top = 5};

#define AT(member) .offset = offsetof(struct run_settings, member)
static const struct option options[] = {
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     AT(out),
     .value = "DIR",
     .path = true,
     .help = "folder for everything that is written; also what a resumed run goes on with"},
    {.name = "do",
     .kind = OPTION_NAMES,
     AT(deeds),
     .value = "NAME[,NAME...]",
     .help =
         "classify, explain, embed, stats (default: what the model or --label gives, and explain "
         "with --method)"},
    {.name = "write",
     .kind = OPTION_CHOICE,
     AT(form),
     .value = "files|tar|npz",
     .choices = form_names,
     .help = "what a shard becomes (default files)",
     .more =
         "files: DIR/NNNNN.predictions.jsonl and a file for each map below DIR/maps, by --name. "
         "tar: DIR/NNNNN.tar\n"
         "in the form of WebDataset: KEY.json, KEY.METHOD.npy, KEY.METHOD.png. npz: "
         "DIR/NNNNN.predictions.jsonl\n"
         "and DIR/NNNNN.maps.npz with an array KEY.METHOD for each map, and with embed the "
         "array embeddings."},
    {.name = "name",
     .kind = OPTION_TEXT,
     AT(name),
     .value = "PATTERN",
     .help = "names of maps' files below DIR/maps (default '{path}.{method}.png')",
     .more = "As -o of explain; {path} is the picture's key: its path without ending, with _ for "
             "dots. The ending is\n"
             ".png, .npy or .json."},
    LABEL_OPTIONS,
    {.name = "top",
     .kind = OPTION_INT,
     AT(top),
     .value = "K",
     .low = 1,
     .high = 1000000,
     .word = "all",
     .word_value = 0,
     .help = "how many classes (default 5), or all"},
    {.name = "normalize",
     .kind = OPTION_FLAG,
     AT(normalize),
     .help = "divide each embedding by its Euclidean length"},
    {.name = "gallery",
     .kind = OPTION_FLAG,
     AT(gallery),
     .help = "also DIR/gallery/index.html, a page over all pictures"},
    {.name = "pages",
     .kind = OPTION_FLAG,
     AT(pages),
     .help = "also DIR/pages/KEY.html, a report page for each picture",
     .more = "With its maps and its answer, without attention: some 0.2 MB each."},
    {.name = "one-pass",
     .kind = OPTION_FLAG,
     AT(one_pass),
     .help = "classes and embeddings from the pass that the maps are made with",
     .more = "Saves a forward pass a picture. What maps record changes the order of sums: last\n"
             "digits of the answers differ from those of a run without maps."},
    {.name = "shard-size",
     .kind = OPTION_INT,
     AT(shard_size),
     .value = "N",
     .low = 1,
     .high = 1000000,
     .help = "pictures of a shard (default 256), which is what is lost at most when a worker ends"},
    {.name = "shard-bytes",
     .kind = OPTION_BYTES,
     AT(shard_bytes),
     .value = "BYTES",
     .help = "a shard ends before its pictures' files are larger (default 64M)"},
    {.name = "shard",
     .kind = OPTION_TEXT,
     AT(shard),
     .value = "I/N|auto|auto/N",
     .help = "only every Nth shard, from I (0 to N-1): one of N workers",
     .more = "auto: as Slurm (arrays, srun), Open MPI or PMI say in the environment; Kubernetes' "
             "indexed jobs and GNU\n"
             "parallel do not say how many workers there are, auto/N or VITX_SHARDS does."},
    {.name = "shards",
     .kind = OPTION_NAMES,
     AT(shards),
     .value = "A[,B-C...]",
     .help = "only these shards"},
    {.name = "plan-only",
     .kind = OPTION_FLAG,
     AT(plan_only),
     .help = "makes the plan and prints how many shards it has, as JSON"},
    {.name = "retry-failed",
     .kind = OPTION_FLAG,
     AT(retry_failed),
     .help = "does again what failed, as if it were done for the first time"},
    {.name = "restart",
     .kind = OPTION_FLAG,
     AT(restart),
     .help = "discards the plan in DIR and all results of it"},
    {.name = "verify",
     .kind = OPTION_FLAG,
     AT(verify),
     .help = "does a shard again if the SHA-256 of a file of it differs (else: its size)"},
    {.name = "progress",
     .kind = OPTION_CHOICE,
     AT(progress),
     .value = "auto|json|none",
     .choices = progresses,
     .help = "a line on a terminal (auto), or JSON lines on standard error"},
};

static const char *const taken[] = {
    "method",      "target", "unit",     "text",     "among",    "vector", "like",
    "score",       "versus", "baseline", "layer",    "head",     "query",  "set",
    "components",  "flip",   "layout",   "underlay", "colormap", "alpha",  "smooth",
    "interpolate", "scale",  "mask",     "frame",    "colorbar", NULL};

/* ------------------------------------------------------------------ the folder ------------- */

/* state: a name in the folder's own folder, to be freed. */
static int open_folder(char **state, size_t *before, const struct run_settings *o)
{
    struct stat info;
    *state = path_in(o->out, "state/x");
    if (!*state) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    *before = folders_there(*state);
    if (stat(o->out, &info) == 0 && !S_ISDIR(info.st_mode))
        return wrong_usage("--out %s is no folder", o->out);
    return make_folders(*state) ? DONE : STOPPED;
}

static bool is_below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Whether `inner`, or the folder that it lies in, is below `outer`. */
static bool leads_into(const char *inner, bool its_folder, const char *outer)
{
    const char *slash = its_folder ? strrchr(inner, '/') : NULL;
    char *name = !its_folder      ? strdup(inner)
                 : !slash         ? strdup(".")
                 : slash == inner ? strdup("/")
                                  : strndup(inner, (size_t)(slash - inner));
    char *a = name ? realpath(name, NULL) : NULL, *b = realpath(outer, NULL);
    const bool leads = a && b && is_below(a, b);
    free(name);
    free(a);
    free(b);
    return leads;
}

static bool same_folder(const char *a, const char *b)
{
    const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    const size_t n = x ? (size_t)(x - a) : 0, m = y ? (size_t)(y - b) : 0;
    return !x == !y && n == m && strncmp(a, b, n) == 0;
}

/* That no input lies in the folder, whose files are replaced, nor the folder in an input, which
 * would have results among its pictures then. */
static int check_places(const char *folder, const struct listing *l)
{
    const char *last = NULL;
    for (int i = 0; i < l->folders.count; i++)
        if (leads_into(folder, false, l->folders.items[i]))
            return wrong_usage("--out %s lies in the input %s", folder, l->folders.items[i]);
    for (int i = 0; i < l->count + l->archives.count; i++) {
        const bool file = i < l->count;
        const char *name = file ? l->inputs[i].name : l->archives.items[i - l->count];
        if ((file && l->inputs[i].archive != NO_ARCHIVE) || (last && same_folder(last, name)))
            continue;
        if (leads_into(name, true, folder))
            return wrong_usage("%s lies in --out %s, whose files are replaced", name, folder);
        last = name;
    }
    return DONE;
}

/* ------------------------------------------------------------------ shards ----------------- */

/* Pictures of the shards that were chosen; -1: that is not known before. */
static int count_inputs(const struct run *run)
{
    int count = 0;
    if (run->plan.listing.stream)
        return -1;
    for (int i = 0; i < run->plan.shards; i++)
        if (is_chosen(&run->choice, i))
            count += run->plan.first[i + 1] - run->plan.first[i];
    return count;
}

/* What has become of all shards. */
struct course {
    int failed, last;  /* pictures; the shard that was worked on last */
    struct list taken; /* shards that other workers had */
    bool stopped, over, other;
    bool none; /* of a stream: there was nothing for the shard behind the last one */
};

/* A shard that another worker has is tried once more behind all others: that one may have ended. */
static void put_off(struct course *c, int shard)
{
    char text[16];
    const int n = snprintf(text, sizeof text, "%d", shard);
    if (!list_add(&c->taken, text, (size_t)n))
        c->stopped = true;
}

static void do_one(struct run *run, struct reading *reading, int shard, struct course *c)
{
    int failed = 0;
    const enum shard_end end = shard_do(run, reading, shard, &failed);
    c->last = shard;
    c->failed += end == SHARD_DONE ? failed : 0;
    c->stopped |= end == SHARD_STOPPED || end == SHARD_OTHER;
    c->over |= end == SHARD_NONE;
    c->none |= end == SHARD_NONE;
    c->other |= end == SHARD_OTHER;
    if (end == SHARD_TAKEN)
        put_off(c, shard);
}

/* A stream has come to its end before that shard. If it broke off there before, what says so goes;
 * if there were pictures, that was another stream. */
static void end_stream(struct run *run, int shard, struct course *c)
{
    struct json *last = shard > 0 ? marker_read(run->folder, shard - 1) : NULL;
    struct json *marker = marker_read(run->folder, shard);
    const bool broke = marker_inputs(last) > marker_pictures(last); /* or: it has, again */
    if (marker && !broke && marker_pictures(marker) > 0)
        c->other = c->stopped = true;
    else if (marker && !broke && lock_take(&run->locks, shard)) {
        discard_shard(run->folder, shard);
        lock_give(&run->locks, shard);
    }
    json_free(last);
    json_free(marker);
}

static void do_all(struct run *run, struct reading *reading, struct course *c)
{
    const bool stream = run->plan.listing.stream;
    int i = 0;
    for (; (stream ? !c->over : i < run->plan.shards) && !c->stopped; i++) {
        if (progress_interrupted())
            c->stopped = true;
        else if (is_chosen(&run->choice, i))
            do_one(run, reading, i, c);
        else if (stream)
            c->over = c->none = reading_skip(reading) == 0;
        c->over |= stream && reading_over(reading);
    }
    if (stream && c->over && !c->stopped && !progress_interrupted())
        end_stream(run, c->none ? i - 1 : i, c);
}

/* Those that were put off; a stream has gone by. */
static void do_taken(struct run *run, struct reading *reading, struct course *c)
{
    struct list again = c->taken;
    c->taken = (struct list){0};
    for (int i = 0; i < again.count && !c->stopped; i++) {
        const int shard = atoi(again.items[i]);
        if (!run->plan.listing.stream && !progress_interrupted())
            do_one(run, reading, shard, c);
        else
            put_off(c, shard);
    }
    for (int i = 0; i < c->taken.count && i < 3; i++) {
        const int shard = atoi(c->taken.items[i]);
        complain(run->folder, "shard %d is worked on by process %ld", shard,
                 lock_holder(&run->locks, shard));
    }
    list_free(&again);
}

static int status_of(const struct run *run, const struct course *c, bool gathered)
{
    if (c->other)
        return wrong_usage("standard input is not the stream that was read before; --restart "
                           "discards what was done");
    if (!c->stopped && c->taken.count == 0 && gathered)
        return c->failed ? SOME_FAILED : DONE;
    complain(run->folder, "not all is done; the same command goes on with it");
    return STOPPED;
}

static struct cut cut_of(const struct run_settings *o)
{
    return (struct cut){o->shard_size, (int64_t)o->shard_bytes};
}

static int do_shards(struct run *run)
{
    const struct run_settings *o = run->settings;
    const struct cut cut = cut_of(o);
    struct course c = {.last = -1};
    struct reading *reading = reading_begin(&run->plan, &cut);
    if (!reading)
        return STOPPED;
    lines_begin(&run->lines, &o->explain.common, (enum lines_form)o->progress, count_inputs(run));
    do_all(run, reading, &c);
    do_taken(run, reading, &c);
    lines_end(&run->lines, c.last);
    reading_end(reading);
    lock_await(&run->locks, LOCK_PLAN);
    const bool gathered =
        failures_gather(run->folder, run->plan.listing.stream ? -1 : run->plan.shards);
    lock_give(&run->locks, LOCK_PLAN);
    const int status = status_of(run, &c, gathered);
    list_free(&c.taken);
    return status;
}

static int print_plan(const struct run *run)
{
    const struct plan *p = &run->plan;
    printf("{\"out\":");
    json_text(run->folder);
    if (p->listing.stream)
        printf(",\"inputs\":null,\"shards\":null}\n");
    else
        printf(",\"inputs\":%d,\"shards\":%d}\n", p->listing.count, p->shards);
    return output_works() ? DONE : STOPPED; /* main complains */
}

/* ------------------------------------------------------------------ in order --------------- */

static int check_settings(struct run *run)
{
    const struct run_settings *o = run->settings;
    if (!o->out)
        return wrong_usage("needs --out DIR");
    if (o->restart && o->retry_failed)
        return wrong_usage("--restart and --retry-failed: one of them");
    if (o->restart && (o->shard || o->shards.count))
        return wrong_usage("--restart is for one worker; the others then join it without");
    return choose(&run->choice, o->shard, &o->shards,
                  o->explain.common.quiet || o->progress == LINES_JSON);
}

/* --restart, while nobody works. */
static int discard(struct run *run)
{
    if (!lock_take(&run->locks, LOCK_ALL)) {
        complain(run->folder, "process %ld works in it; --restart is for when it has ended",
                 lock_holder(&run->locks, LOCK_ALL));
        return STOPPED;
    }
    const bool discarded = discard_all(run->folder);
    lock_give(&run->locks, LOCK_ALL);
    return discarded ? DONE : STOPPED;
}

static int check_choice(const struct run *run, bool stream, int shards)
{
    const int most = choice_most(&run->choice);
    if (stream || most < shards)
        return DONE;
    return wrong_usage("--shards: there is no shard %d, the plan has %d", most, shards);
}

/* The head of the plan, and that --shards are in the plan if this run makes it: then nothing is
 * written for a run that is refused. */
static int prepare_plan(struct text *head, struct run *run, const struct listing *listing)
{
    const struct cut cut = cut_of(run->settings);
    run->plan.listing.stream = listing->stream;
    if (!put_head(head, run))
        return SOME_FAILED;
    if (plan_is_there(run->folder))
        return DONE;
    return check_choice(run, listing->stream, shards_of(NULL, listing, &cut));
}

/* The plan that all workers agree on. */
static int agree(struct run *run, const struct text *head, struct listing *listing)
{
    const struct cut cut = cut_of(run->settings);
    int status = run->settings->restart ? discard(run) : DONE;
    if (status == DONE)
        lock_join(&run->locks);
    if (status == DONE)
        status = plan_agree(&run->plan, run->folder, head, listing, &cut, &run->locks);
    const struct plan *p = &run->plan;
    return status == DONE ? check_choice(run, p->listing.stream, p->shards) : status;
}

/* The folder of a run that is refused goes, if the run has made it and it is empty. */
static int begin_in_folder(struct run *run, const struct text *head, struct listing *listing)
{
    char *state;
    size_t before = 0;
    int status = open_folder(&state, &before, run->settings);
    if (status == DONE)
        status = check_places(run->folder, listing);
    if (status == DONE)
        status = locks_open(&run->locks, run->folder) ? DONE : STOPPED;
    if (status == DONE)
        status = agree(run, head, listing);
    if (status != DONE && state)
        remove_folders(state, before);
    free(state);
    return status;
}

static int begin(struct run *run, char **words, int count)
{
    struct listing listing = {0};
    struct text head = {0};
    int status = check_settings(run);
    if (status == DONE)
        status = listing_make(&listing, words, count);
    if (status == DONE && !listing.stream && listing.count == 0)
        status = wrong_usage("no pictures among the inputs");
    if (status == DONE)
        status = run_start(run, listing.count);
    if (status == DONE)
        status = prepare_plan(&head, run, &listing);
    if (status == DONE)
        status = begin_in_folder(run, &head, &listing);
    text_free(&head);
    listing_free(&listing);
    return status;
}

/* What all shards have in common. */
static bool put_common(struct run *run)
{
    if (!run->settings->gallery)
        return true;
    lock_await(&run->locks, LOCK_PLAN);
    const bool put = gallery_put_page(run);
    lock_give(&run->locks, LOCK_PLAN);
    return put;
}

/* A disk that is full, and a limit of a file's size, are said by write(); not by a signal. */
static void prepare_signals(void)
{
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
    progress_stoppable();
}

static int run_batch(const void *given, char **words, int count)
{
    struct run_settings settings = *(const struct run_settings *)given;
    struct run run = {.settings = &settings, .folder = settings.out, .locks = {.fd = -1}};
    settings.explain.json = true; /* maps go nowhere by explain's own words */
    settings.explain.common.words.wanted = settings.explain.texts.count > 0;
    prepare_signals();
    int status = begin(&run, words, count);
    if (status == DONE && settings.plan_only)
        status = print_plan(&run);
    else if (status == DONE)
        status = put_common(&run) ? do_shards(&run) : STOPPED;
    else if (status != STOPPED)
        status = WRONG_USAGE;
    run_end(&run);
    locks_close(&run.locks);
    return status;
}

const struct command cmd_batch = {
    .name = "batch",
    .summary =
        "Does very many pictures in shards, alone or beside other workers; goes on after any end.",
    .usage = "[-m MODEL] --out DIR [OPTIONS] INPUT...",
    .details =
        "An INPUT is a picture, a folder (with the folders in it), a pattern, - (a list of names "
        "on "
        "standard input), @LIST, a tar or zip, or tar:- (a tar on standard input). What is to be "
        "done is written to DIR/plan.json; the pictures are cut into shards, and a shard's files "
        "appear all together once they are complete. Called again the same way, batch goes on "
        "where "
        "it stopped. A picture that fails is a line in DIR/failed.jsonl.\n"
        "\n"
        "  vitx-cli batch --out answers photos/\n"
        "  vitx-cli batch --out maps --method rollout --write tar photos.tar\n"
        "  vitx-cli batch --out maps --method rollout --shard 0/4 photos/    (and 1/4, 2/4, 3/4 "
        "elsewhere)\n"
        "  vitx-cli batch -m clip --out dogs --label 'a dog' --label 'a wolf' --method legrad "
        "--text 'a dog' photos/\n"
        "\n"
        "Exit status: 0 all done; 1 done, some pictures failed; 2 wrong usage, or another plan; 75 "
        "stopped (a signal, a full disk, a shard that another worker does): the same command goes "
        "on.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .like = &cmd_explain,
    .taken = taken,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run_batch,
};
