/* cli/cmd_classify.c: the most probable classes of pictures. */
#include <stdio.h>

#include "answers.h"
#include "labels.h"
#include "numbers.h"
#include "progress.h"
#include "results.h"

struct settings {
    struct common common;
    int top; /* 0: all */
    bool json;
};

static const struct settings defaults = {
    .common = {.batch = 1, .fit = -1, .labels_may_be_texts = true}, .top = 5};

static const struct option options[] = {
    LABEL_OPTIONS,
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
     .help = "one JSON object per picture, one per line",
     .more = "{\"image\",\"predictions\":[{\"index\",\"label\",\"probability\",\"logit\"}]}, best "
             "first; label is null\n"
             "if the class has no name, probability if the outputs are plain numbers."},
};

static void print_json(const char *name, const vitx_prediction *top, int k, bool probable)
{
    struct text line = {0};
    text_put(&line, "{\"image\":");
    text_json(&line, name);
    text_put(&line, ",");
    put_predictions(&line, top, k, probable);
    text_put(&line, "}\n");
    print_text(&line);
}

/* logit, probability, class, name */
static void print_table(const char *name, const vitx_prediction *top, int k, int classes,
                        bool probable)
{
    char widest[16];
    const int digits = snprintf(widest, sizeof widest, "%d", classes - 1);
    printf("%s\n", name);
    for (int i = 0; i < k && top[i].index >= 0; i++) {
        char probability[16] = "     -";
        if (probable)
            snprintf(probability, sizeof probability, "%6.4f", (double)top[i].probability);
        printf("%10.5f  %s  %*d%s", (double)top[i].logit, probability, digits, top[i].index,
               top[i].label ? "  " : "");
        put_printable(stdout, text_or(top[i].label, ""));
        printf("\n");
    }
}

static int top_of(const struct session *s, const struct settings *o)
{
    const int classes = classes_of(s);
    return o->top && o->top < classes ? o->top : classes;
}

static size_t size_of(const struct session *s, const void *settings)
{
    return (size_t)top_of(s, settings) * sizeof(vitx_prediction);
}

static int classify(void *top, const struct session *s, const void *settings, vitx_context *context,
                    const vitx_image *const *images, int n)
{
    if (s->labels)
        return vitx_classify_texts(context, images, n, s->labels, top, top_of(s, settings));
    return vitx_classify_batch(context, images, n, top, top_of(s, settings));
}

static void print(const struct session *s, const void *settings, const char *name, const void *top)
{
    const struct settings *o = settings;
    const bool probable = has_probabilities(s);
    progress_before_results();
    if (o->json)
        print_json(name, top, top_of(s, o), probable);
    else
        print_table(name, top, top_of(s, o), classes_of(s), probable);
}

static int run(const void *settings, char **files, int count)
{
    static const struct answers how = {
        .texts = true, .size = size_of, .run = classify, .print = print};
    if (count == 0)
        return wrong_usage("needs at least one picture");
    return answers_run(&how, settings, files, count);
}

const struct command cmd_classify = {
    .name = "classify",
    .summary = "Says what is in pictures.",
    .usage = "[-m MODEL] [OPTIONS] IMAGE...",
    .details =
        "Prints the most probable classes of each picture (JPEG, PNG and other kinds: vitx-cli "
        "--version lists\n"
        "them), in the order of the arguments: logit, probability, class, name. A picture that "
        "cannot "
        "be read is\n"
        "reported and skipped.\n"
        "\n"
        "  vitx-cli classify -m deit_tiny --top 3 cat.jpg dog.jpg\n"
        "  vitx-cli classify -m deit_tiny --json --batch 16 *.jpg > answers.jsonl\n"
        "\n"
        "For models with a text tower (CLIP, SigLIP, Chinese-CLIP) classes are texts, in any "
        "language that the\nmodel knows. Each is scored by its cosine with the picture. For "
        "SigLIP each probability stands alone,\nso none may fit; else they sum to 1.\n"
        "\n"
        "  vitx-cli classify -m clip --label 'a photo of a cat' --label 一张狗的照片 cat.jpg\n"
        "  vitx-cli classify -m clip --labels animals.txt --template imagenet80 *.jpg\n"
        "\n"
        "Without -m these options take the bundled pair of a picture and a text tower. For a model "
        "with classes\n"
        "--labels FILE has their names: -m is needed then.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
