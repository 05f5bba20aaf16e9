/* cli/cmd_classify.c: the most probable classes of pictures. */
#include <stdio.h>
#include <stdlib.h>

#include "progress.h"
#include "session.h"

struct settings {
    struct common common;
    int top; /* 0: all */
    bool json;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS, .top = 5};

static const struct option options[] = {
    {.name = "top",
     .kind = OPTION_INT,
     .offset = offsetof(struct settings, top),
     .value = "K",
     .low = 1,
     .high = 1000000,
     .word = "all",
     .word_value = 0,
     .help = "how many classes (default 5), or all"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object a picture, one a line",
     .more = "{\"image\",\"predictions\":[{\"index\",\"label\",\"probability\",\"logit\"}]}, best "
             "first; label is null\n"
             "where the class has no name."},
};

static void print_json(const char *name, const vitx_prediction *top, int k)
{
    printf("{\"image\":");
    json_text(name);
    printf(",\"predictions\":[");
    for (int i = 0; i < k && top[i].index >= 0; i++) {
        printf("%s{\"index\":%d,\"label\":", i ? "," : "", top[i].index);
        json_text(top[i].label);
        printf(",\"probability\":%.9g,\"logit\":%.9g}", (double)top[i].probability,
               (double)top[i].logit);
    }
    printf("]}\n");
}

/* logit, probability, class, name */
static void print_table(const char *name, const vitx_prediction *top, int k, int classes)
{
    char widest[16];
    const int digits = snprintf(widest, sizeof widest, "%d", classes - 1);
    printf("%s\n", name);
    for (int i = 0; i < k && top[i].index >= 0; i++)
        printf("%10.5f  %6.4f  %*d%s%s\n", (double)top[i].logit, (double)top[i].probability, digits,
               top[i].index, top[i].label ? "  " : "", text_or(top[i].label, ""));
}

static void print_answer(const struct session *s, const struct settings *o, const char *name,
                         const vitx_prediction *top, int k)
{
    progress_before_results();
    if (o->json)
        print_json(name, top, k);
    else
        print_table(name, top, k, s->info.classes);
}

/* Runs a batch; where it fails, its pictures one by one, so that one does not cost the others. */
static bool run_batch(const struct session *s, const struct settings *o, const struct batch *batch,
                      vitx_prediction *top, int k)
{
    const vitx_image *const *images = (const vitx_image *const *)batch->images;
    bool all = true;
    if (batch->count == 0)
        return true;
    int code = vitx_classify_batch(s->context, images, batch->count, top, k);
    const bool together = code == VITX_OK;
    for (int i = 0; i < batch->count; i++) {
        vitx_prediction *mine = top + (size_t)i * (size_t)k;
        if (!together && code != VITX_CANCELLED)
            code = vitx_classify(s->context, images[i], mine, k);
        if (code == VITX_CANCELLED)
            return !progress_cancelled();
        if (code == VITX_OK)
            print_answer(s, o, batch->names[i], mine, k);
        else
            complain_last(batch->names[i]);
        all &= code == VITX_OK;
    }
    return all;
}

static int classify(const struct session *s, const struct settings *o, char **files, int count)
{
    const int size = o->common.batch < count ? o->common.batch : count;
    const int k = o->top && o->top < s->info.classes ? o->top : s->info.classes;
    struct batch batch;
    int status = DONE;
    if (!batch_create(&batch, size))
        return SOME_FAILED;
    vitx_prediction *top = calloc((size_t)size * (size_t)k, sizeof *top);
    if (!top)
        complain(NULL, "no memory");
    progress_begin(&o->common, count);
    for (int i = 0; top && i < count && output_works(); i += size) {
        const int n = count - i < size ? count - i : size;
        if (progress_cancelled()) {
            status = SOME_FAILED;
            break;
        }
        progress_step(i, n, files[i]);
        if (!batch_load(&batch, files + i, n, &o->common))
            status = SOME_FAILED;
        if (!run_batch(s, o, &batch, top, k))
            status = SOME_FAILED;
    }
    progress_hide();
    batch_free(&batch);
    if (!top)
        status = SOME_FAILED;
    free(top);
    return status;
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    struct session s;
    if (count == 0)
        return wrong_usage("needs at least one picture");
    int status = session_open(&s, &o->common);
    if (status == DONE && s.info.units) {
        complain(o->common.model,
                 "has no classes; vitx-cli embed gives its embedding of %d numbers",
                 s.info.classes);
        status = SOME_FAILED;
    }
    if (status == DONE)
        status = session_start(&s, &o->common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = classify(&s, o, files, count);
    session_close(&s);
    return status;
}

const struct command cmd_classify = {
    .name = "classify",
    .summary = "Says what is in pictures.",
    .usage = "[-m MODEL] [OPTIONS] IMAGE...",
    .details =
        "Prints the most probable classes of each JPEG, PNG or BMP file, in the order of the "
        "arguments:\n"
        "logit, probability, class, name. A picture that cannot be read is reported and skipped.\n"
        "\n"
        "  vitx-cli classify -m deit_tiny --top 3 cat.jpg dog.jpg\n"
        "  vitx-cli classify -m deit_tiny --json --batch 16 *.jpg > answers.jsonl",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
