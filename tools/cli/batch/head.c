/* batch/head.c: what has to be the same in all runs on one plan: all that changes a byte of the
 * results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "run.h"
#include "sink.h"
#include "tools/cli/recipe.h"

extern const struct command cmd_batch;

/* Options that change no byte, and those that are told of in another way: the models and what they
 * make of labels and texts by digests, device and precision as what they came to. */
static const char *const no_bytes[] = {
    "threads",      "lanes",      "quiet", "verbose",  "progress",    "shard",
    "shards",       "out",        "write", "do",       "restart",     "plan-only",
    "retry-failed", "verify",     "model", "labels",   "device",      "precision",
    "lang",         "memory",     "label", "template", "label-cache", "text-model",
    "tokenizer",    "clean-text", "among", NULL};

static bool is_among(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* A file whose content counts: its digest. */
static void put_content(struct text *text, const char *path)
{
    uint8_t sum[DIGEST_BYTES];
    char words[DIGEST_TEXT] = "";
    int error;
    size_t bytes;
    char *data = file_get(NULL, path, (size_t)1 << 30, &bytes, &error);
    if (data) {
        digest_of(sum, data, bytes);
        digest_text(words, sum);
    }
    free(data);
    text_json(text, words);
}

static void put_list(struct text *text, const struct list *list)
{
    struct text all = {0};
    for (int i = 0; i < list->count; i++) {
        text_put(&all, i ? "," : "");
        text_put(&all, list->items[i]);
    }
    text_json(text, all.data ? all.data : "");
    text->failed |= all.failed;
    text_free(&all);
}

/* The option's value as JSON. */
static void put_value(struct text *text, const struct option *o, const void *settings)
{
    const void *at = (const char *)settings + o->offset;
    const struct size *size = at;
    const struct window *window = at;
    switch (o->kind) {
    case OPTION_FLAG:
        text_put(text, *(const bool *)at ? "1" : "0");
        break;
    case OPTION_TEXT:
        if (o->path && *(const char *const *)at)
            put_content(text, *(const char *const *)at);
        else
            text_json(text, *(const char *const *)at);
        break;
    case OPTION_INT:
    case OPTION_CHOICE:
        text_format(text, "%d", *(const int *)at);
        break;
    case OPTION_REAL:
        text_format(text, "%.17g", *(const double *)at);
        break;
    case OPTION_BYTES:
        text_format(text, "%zu", *(const size_t *)at);
        break;
    case OPTION_SIZE:
        text_format(text, "\"%dx%d\"", size->height, size->width);
        break;
    case OPTION_WINDOW:
        text_format(text, "\"%.17g,%.17g\"", window->low, window->high);
        break;
    case OPTION_LIST:
    case OPTION_NAMES:
        put_list(text, at);
        break;
    }
}

/* Not --batch on a CPU, where every picture runs alone. */
static bool counts(const struct run *run, const struct option *o)
{
    if (strcmp(o->name, "batch") == 0)
        return run->batch > 1;
    return !is_among(no_bytes, o->name);
}

static void put_options(struct text *text, const struct run *run)
{
    const struct option *o;
    bool any = false;
    text_put(text, "\"options\":{");
    for (int i = 0; (o = option_at(&cmd_batch, i)) != NULL; i++) {
        if (!counts(run, o))
            continue;
        text_format(text, "%s\"%s\":", any ? "," : "", o->name);
        put_value(text, o, run->settings);
        any = true;
    }
    text_put(text, "},");
}

/* The names of the model's classes. */
static void put_names(struct text *text, const struct run *run)
{
    uint8_t sum[DIGEST_BYTES];
    char words[DIGEST_TEXT];
    struct digest *digest = digest_begin();
    text->failed |= !digest;
    for (int i = 0; digest && i < run->session.info.classes; i++) {
        const char *label = vitx_model_label(run->session.model, i);
        digest_add(digest, label ? label : "", label ? strlen(label) + 1 : 1);
    }
    if (!digest)
        return;
    digest_end(digest, sum);
    digest_text(words, sum);
    text_format(text, "\"labels\":\"%s\",", words);
}

static void put_labels(struct text *text, const struct run *run)
{
    if (run->session.labels)
        text_format(text, "\"labels\":\"%s\",", run->labels);
    else
        put_names(text, run);
}

/* Texts that others are told from: their words, for whoever reads the plan or is refused, unless
 * they would make a plan too long for both; and what their vectors depend on. */
static void put_among(struct text *text, const struct run *run)
{
    enum { MOST = 1 << 20 };
    const vitx_label_set *set = run->session.among;
    struct text words = {0};
    const char *word;
    if (!set)
        return;
    for (int i = 0; (word = vitx_label_set_label(set, i)) != NULL && words.length <= MOST; i++) {
        text_put(&words, i ? "," : "");
        text_json(&words, word);
    }
    text->failed |= words.failed;
    if (words.length <= MOST && words.data) {
        text_put(text, "\"among\":[");
        text_put(text, words.data);
        text_put(text, "],");
    }
    text_format(text, "\"among_digest\":\"%s\",", run->among);
    text_free(&words);
}

bool put_head(struct text *text, const struct run *run)
{
    char digest[VITX_DIGEST_TEXT];
    if (vitx_model_digest(digest, run->session.model) != VITX_OK) {
        complain_last(run->session.path);
        return false;
    }
    text_format(text, "{\"vitx\":\"%s\",\"model\":\"%s\",", vitx_version(), digest);
    put_labels(text, run);
    text_put(text, "\"recipe\":\"");
    put_recipe(text, &run->session.recipe);
    text_put(text, "\",");
    text_format(text, "\"device\":\"%s\",\"precision\":\"%s\",\"do\":\"%s%s%s%s\",",
                run->session.size.device, run->session.size.precision,
                run->classifies ? "classify " : "", run->explains ? "explain " : "",
                run->embeds ? "embed " : "", run->measures ? "stats " : "");
    text_format(text, "\"write\":\"%s\",\"stream\":%d,", run->form->name, run->plan.listing.stream);
    put_options(text, run); /* --text among them, which says more than its digest */
    if (run->texts[0])
        text_format(text, "\"texts\":\"%s\",", run->texts);
    put_among(text, run);
    if (text->failed)
        complain(NULL, "no memory");
    return !text->failed;
}
