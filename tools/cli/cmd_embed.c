/* cli/cmd_embed.c: the embeddings of pictures by models without classes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "session.h"

struct settings {
    struct common common;
    bool json, normalize;
    const char *out;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS};

static const struct option options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object a picture, one a line",
     .more = "{\"image\",\"embedding\":[..]}"},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .offset = offsetof(struct settings, out),
     .value = "X.npy",
     .help = "write them to a NumPy file instead",
     .more =
         "float32 [pictures, numbers], in the order of the arguments. It is written only if all "
         "pictures\n"
         "could be read. explain --vector takes a file of one picture."},
    {.name = "normalize",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, normalize),
     .help = "divide each by its Euclidean length"},
};

static void print_one(const struct settings *o, const char *name, const float *embedding, int count)
{
    progress_before_results();
    if (o->json) {
        printf("{\"image\":");
        json_text(name);
        printf(",\"embedding\":[");
    } else {
        printf("%s\n", name);
    }
    for (int k = 0; k < count; k++)
        printf("%s%.9g", !k ? "" : o->json ? "," : " ", (double)embedding[k]);
    printf(o->json ? "]}\n" : "\n");
}

/* Runs a batch; where it fails, its pictures one by one, so that one does not cost the others. With
 * `out` they are only counted. */
static bool run_batch(const struct session *s, const struct settings *o, const struct batch *batch,
                      float *to)
{
    const vitx_image *const *images = (const vitx_image *const *)batch->images;
    const int k = s->info.classes;
    bool all = true;
    if (batch->count == 0)
        return true;
    int code = vitx_embed_batch(s->context, images, batch->count, to, o->normalize);
    const bool together = code == VITX_OK;
    for (int i = 0; i < batch->count; i++) {
        float *mine = to + (size_t)i * (size_t)k;
        if (!together && code != VITX_CANCELLED)
            code = vitx_embed(s->context, images[i], mine, o->normalize);
        if (code == VITX_CANCELLED)
            return !progress_cancelled();
        if (code != VITX_OK)
            complain_last(batch->names[i]);
        else if (!o->out)
            print_one(o, batch->names[i], mine, k);
        all &= code == VITX_OK;
    }
    return all;
}

static int embed(const struct session *s, const struct settings *o, char **files, int count,
                 float *values)
{
    const int size = o->common.batch < count ? o->common.batch : count;
    struct batch batch;
    int status = DONE;
    if (!batch_create(&batch, size))
        return SOME_FAILED;
    progress_begin(&o->common, count);
    for (int i = 0; i < count && output_works(); i += size) {
        const int n = count - i < size ? count - i : size;
        if (progress_cancelled()) {
            status = SOME_FAILED;
            break;
        }
        progress_step(i, n, files[i]);
        if (!batch_load(&batch, files + i, n, &o->common))
            status = SOME_FAILED;
        if (!run_batch(s, o, &batch, values + (o->out ? (size_t)i * (size_t)s->info.classes : 0)))
            status = SOME_FAILED;
    }
    progress_hide();
    batch_free(&batch);
    return status;
}

/* Room for all pictures where they go into one file, else for a batch. */
static int embed_all(const struct session *s, const struct settings *o, char **files, int count)
{
    const int rows = o->out || count < o->common.batch ? count : o->common.batch;
    float *values = calloc((size_t)rows, (size_t)s->info.classes * sizeof *values);
    if (!values) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    int status = embed(s, o, files, count, values);
    if (o->out && status != DONE)
        complain(o->out, "not written, since not all pictures could be run");
    if (o->out && status == DONE &&
        vitx_vectors_save(values, count, s->info.classes, o->out) != VITX_OK) {
        complain_last(o->out);
        status = SOME_FAILED;
    }
    free(values);
    return status;
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    struct session s;
    if (count == 0)
        return wrong_usage("needs at least one picture");
    const size_t length = o->out ? strlen(o->out) : 0;
    if (o->out && (length < 5 || strcmp(o->out + length - 4, ".npy") != 0))
        return wrong_usage("-o %s: the name must end in .npy", o->out);
    if (o->out && o->json)
        return wrong_usage("--json prints, -o writes a file: one of them");
    int status = session_open(&s, &o->common);
    if (status == DONE && !s.info.units) {
        complain(o->common.model,
                 "answers with %d classes, not with an embedding; vitx-cli "
                 "classify gives them",
                 s.info.classes);
        status = SOME_FAILED;
    }
    if (status == DONE)
        status = session_start(&s, &o->common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = embed_all(&s, o, files, count);
    session_close(&s);
    return status;
}

const struct command cmd_embed = {
    .name = "embed",
    .summary = "Gives the embeddings of pictures.",
    .usage = "-m MODEL [OPTIONS] IMAGE...",
    .details =
        "For models without classes (CLIP, SigLIP, DINO, bare backbones): prints each picture's "
        "name "
        "and,\n"
        "on the next line, the numbers of its embedding as the model's library gives it. A picture "
        "that\n"
        "cannot be read is reported and skipped.\n"
        "\n"
        "  vitx-cli embed -m clip --json *.jpg > embeddings.jsonl\n"
        "  vitx-cli embed -m clip --normalize -o dog.npy dog.jpg\n"
        "  vitx-cli explain -m clip --method gradcam --vector dog.npy -o why.png park.jpg",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
