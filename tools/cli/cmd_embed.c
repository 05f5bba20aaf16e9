/* cli/cmd_embed.c: the embeddings of pictures by models without classes. */
#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "numbers.h"
#include "outputs.h"
#include "progress.h"
#include "results.h"

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
     .help = "one JSON object per picture, one per line",
     .more = "{\"image\",\"embedding\":[..]}"},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .offset = offsetof(struct settings, out),
     .value = "X.npy",
     .help = "NumPy file to write the embeddings to; -: standard output",
     .more =
         "float32 [pictures, numbers], in the order of the arguments. It is written only if all "
         "pictures\n"
         "could be read. explain --vector takes a file of one picture."},
    {.name = "normalize",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, normalize),
     .help = "divide each embedding by its Euclidean length"},
};

static size_t size_of(const struct session *s, const void *settings)
{
    (void)settings;
    return (size_t)s->info.classes * sizeof(float);
}

static int embed(void *values, const struct session *s, const void *settings, vitx_context *context,
                 const vitx_image *const *images, int n)
{
    const struct settings *o = settings;
    (void)s;
    return vitx_embed_batch(context, images, n, values, o->normalize);
}

static void print(const struct session *s, const void *settings, const char *name,
                  const void *values)
{
    const struct settings *o = settings;
    const float *embedding = values;
    progress_before_results();
    if (o->json) {
        struct text line = {0};
        text_put(&line, "{\"image\":");
        text_json(&line, name);
        text_put(&line, ",");
        put_embedding(&line, embedding, s->info.classes);
        text_put(&line, "}\n");
        print_text(&line);
        return;
    }
    printf("%s\n", name);
    for (int k = 0; k < s->info.classes; k++)
        printf("%s%.9g", k ? " " : "", (double)embedding[k]);
    printf("\n");
}

static int save(const struct session *s, const void *settings, const void *values, int count,
                int status)
{
    const struct settings *o = settings;
    const char *const name = strcmp(o->out, "-") == 0 ? "standard output" : o->out;
    if (status != DONE) {
        complain(name, "not written, since not all pictures could be run");
    } else if (name != o->out) { /* what fails there is said by main */
        vitx_vectors_write(values, count, s->info.classes, output_write, NULL);
    } else if (vitx_vectors_save(values, count, s->info.classes, o->out) != VITX_OK) {
        complain_last(o->out);
        return SOME_FAILED;
    }
    return status;
}

static int check_out(const struct settings *o, char **files, int count)
{
    struct sources sources = {0};
    sources_gather(&sources, &o->common, files, count);
    const int status = sources_ready(&sources)
                           ? check_output(o->out, &sources, "the embeddings", false)
                           : SOME_FAILED;
    sources_free(&sources);
    return status;
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    struct answers how = {.units = true, .size = size_of, .run = embed, .print = print};
    if (count == 0)
        return wrong_usage("needs at least one picture");
    const size_t length = o->out ? strlen(o->out) : 0;
    const bool to_file = o->out && strcmp(o->out, "-") != 0;
    if (to_file && (length < 5 || strcmp(o->out + length - 4, ".npy") != 0))
        return wrong_usage("-o %s: the name must end in .npy", o->out);
    if (o->out && o->json)
        return wrong_usage("--json prints, -o writes a file: one of them");
    const int status = to_file ? check_out(o, files, count) : DONE;
    if (status != DONE)
        return status;
    how.all = o->out != NULL;
    how.finish = o->out ? save : NULL;
    return answers_run(&how, settings, files, count);
}

const struct command cmd_embed = {
    .name = "embed",
    .summary = "Gives the embeddings of pictures.",
    .usage = "-m MODEL [OPTIONS] IMAGE...",
    .details = "For models without classes (CLIP, SigLIP, DINO, bare backbones): prints each "
               "picture's name and, on the next line, the numbers of its embedding. They are "
               "the numbers that the model's library gives. A picture that cannot be read is "
               "reported and skipped.\n"
               "\n"
               "  vitx-cli embed -m clip --json *.jpg > embeddings.jsonl\n"
               "  vitx-cli embed -m clip --normalize -o dog.npy dog.jpg\n"
               "  vitx-cli explain -m clip --method gradcam --vector dog.npy -o why.png "
               "park.jpg",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
