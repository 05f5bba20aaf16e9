/* cli/cmd_explain.c: maps of pictures. */
#include <limits.h>
#include <string.h>

#include "explain.h"

static const struct explain_settings defaults = {.common = COMMON_DEFAULTS,
                                                 .layer = VITX_AUTO,
                                                 .head = VITX_AUTO,
                                                 .alpha = VITX_AUTO,
                                                 .smooth = VITX_AUTO};

/* In the order of vitx_layout, vitx_underlay, vitx_frame and vitx_interpolation. */
static const char *const layouts[] = {"overlay", "side", "map", NULL};
static const char *const underlays[] = {"auto", "grey", "photo", "none", NULL};
static const char *const frames[] = {"picture", "input", NULL};
static const char *const interpolations[] = {"smooth", "nearest", NULL};

/* In the order of vitx_report_level. */
static const char *const levels[] = {"auto", "all", "mean", "class", "none", NULL};

#define AT(member) .offset = offsetof(struct explain_settings, member)
static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     AT(methods),
     .value = "NAME[,NAME...]",
     .help = "how to explain, or all, or all-fast; vitx-cli methods lists them",
     .more = "all: every method that can explain the model. all-fast: the methods that cost at "
             "most 3 forward passes\n"
             "together, for one target. A backward pass counts like a forward pass."},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     AT(out),
     .value = "OUT",
     .path = true,
     .help = "file to write, or a pattern; its ending picks the format",
     .more =
         "In a pattern {image} is the picture's name without folder and ending, {folder} the name "
         "of the\n"
         "picture's folder, {path} its path without ending, {method} the method, {target} the "
         "number of the\n"
         "class or unit, or the words of --text. Missing folders of a pattern are made. A pattern "
         "that would write two maps to one\n"
         "file, or a map over a file that is read (a picture, the weights), is wrong usage. - is "
         "standard\n"
         "output: one map, or for json any number of maps, one per line.\n"
         "html is a page to look at, in one file that needs no network: a name without a field is "
         "one page of\n"
         "all pictures with all their maps, a pattern of {image}, {folder} and {path} a page of "
         "each."},
    {.name = "format",
     .kind = OPTION_TEXT,
     AT(format),
     .value = "png|npy|json|html",
     .help = "what to write (default: what the ending of OUT says)"},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .help = "each map as one JSON object per line, on standard output",
     .more = "Prints the content of a json file, in place of the list of files. -o is not needed "
             "then."},
    {.name = "skip-existing",
     .kind = OPTION_FLAG,
     AT(skip_existing),
     .help = "makes no map if its file exists already"},
    {.name = "target",
     .kind = OPTION_LIST,
     AT(targets),
     .value = "N|LABEL|topK",
     .help = "class to explain, repeatable (default: the top class)",
     .more =
         "A class's number, its name, or one of the names between commas in it; upper and lower "
         "case are\n"
         "equal. top1 to top100: the K best classes of each picture, which costs one more forward; "
         "a class\n"
         "that has such a name is given by its number. If a method's map does not depend on the "
         "class, one map is written, unless OUT "
         "has\n"
         "{target}."},
    {.name = "unit",
     .kind = OPTION_LIST,
     AT(units),
     .value = "N",
     .help = "component of an embedding to explain, repeatable",
     .more = "In place of --target, for models without classes."},
    {.name = "text",
     .kind = OPTION_LIST,
     AT(texts),
     .value = "TEXT",
     .help = "explain the similarity to a text, repeatable",
     .more = "In place of --target, for models with a text tower: what in the picture matches the "
             "words. Without -m:\n"
             "the bundled pair of a picture and a text tower. Several texts are several targets."},
    {.name = "among",
     .kind = OPTION_LIST,
     AT(among),
     .value = "TEXT|@FILE",
     .listed = true,
     .help = "with --text: other texts that it is told from, repeatable",
     .more =
         "For methods that compare texts (surgery, clip-es, and maskclip with denoise or smooth): "
         "what else may be\n"
         "in the picture, or behind things. A file has one text a line; @@x is the text @x. "
         "Default: "
         "surgery and\n"
         "clip-es tell the text from the empty one."},
    {.name = "vector",
     .kind = OPTION_TEXT,
     AT(vector),
     .value = "V.npy",
     .path = true,
     .help = "explain the similarity to a vector",
     .more =
         "In place of --target: the cosine of the embedding and the file's numbers, of any type "
         "of float;\n"
         "with --score dot their dot product. embed -o writes such files. A text's embedding is "
         "also such a\n"
         "vector."},
    {.name = "like",
     .kind = OPTION_TEXT,
     AT(like),
     .value = "PICTURE",
     .path = true,
     .help = "explain the similarity to another picture",
     .more = "In place of --target: what makes the picture similar to PICTURE. The vector is "
             "PICTURE's\n"
             "embedding."},
    {.name = "score",
     .kind = OPTION_CHOICE,
     AT(score),
     .value = "auto|logit|probability|difference|cosine|dot",
     .choices = score_names,
     .help = "score to explain",
     .more =
         "logit: the target's; probability: its softmax or sigmoid; difference: its logit minus "
         "the logit of\n"
         "--versus. cosine, dot: with --text, --vector or --like. Default auto: the choice of the "
         "method's authors;\n"
         "with a vector: cosine."},
    {.name = "versus",
     .kind = OPTION_TEXT,
     AT(versus),
     .value = "N|LABEL|TEXT",
     .help = "why the target and not that class, or that text",
     .more = "With --text: a text whose cosine is subtracted. Else the other class (for an "
             "embedding: unit) of --score difference; --score is not needed "
             "then.\n"
             "Default: the most probable class that is not the target."},
    {.name = "baseline",
     .kind = OPTION_TEXT,
     AT(baseline),
     .value = "FILE",
     .path = true,
     .help = "picture to compare with, as large as the explained one",
     .more = "For methods with an option baseline that takes picture. Sets baseline=picture, too."},
    {.name = "layer",
     .kind = OPTION_INT,
     AT(layer),
     .value = "L|all",
     .low = 0,
     .high = INT_MAX,
     .word = "all",
     .word_value = VITX_ALL,
     .help = "block, from 0 (default: the method's own)",
     .more = "all: every block; a png is then a sheet of tiles, npy and json get a leading axis."},
    {.name = "head",
     .kind = OPTION_INT,
     AT(head),
     .value = "H|all",
     .low = 0,
     .high = INT_MAX,
     .word = "all",
     .word_value = VITX_ALL,
     .help = "head, from 0 (default: fused)",
     .more = "all: every head, like --layer."},
    {.name = "query",
     .kind = OPTION_TEXT,
     AT(query),
     .value = "Q",
     .help = "token that looks: number, row,col or cls",
     .more = "row,col is a patch of the grid, from 0,0 at the top left. Default: what the model's "
             "head reads."},
    {.name = "set",
     .kind = OPTION_LIST,
     AT(set),
     .value = "KEY=VALUE",
     .help = "option of the method, repeatable",
     .more = "With several methods: for those methods that have the option."},
    {.name = "components",
     .kind = OPTION_INT,
     AT(components),
     .value = "N",
     .low = 1,
     .high = 64,
     .help = "features: components that a map holds (default 3)",
     .more = "Like --set features.components=N."},
    {.name = "together",
     .kind = OPTION_FLAG,
     AT(together),
     .help = "features: one basis for all pictures",
     .more = "The same part has the same colour in all of them. All pictures are read twice."},
    {.name = "flip",
     .kind = OPTION_FLAG,
     AT(flip),
     .help = "the mean of each map and the map of the mirror image",
     .more = "Steadier maps at twice the cost. The mirror image's map is mirrored back; both "
             "explain the\n"
             "same class."},
    {.name = "layout",
     .kind = OPTION_CHOICE,
     AT(layout),
     .value = "overlay|side|map",
     .choices = layouts,
     .help = "what a png shows (default overlay)",
     .more = "overlay: the map over the picture; side: the picture and the overlay; map: the map "
             "alone."},
    {.name = "underlay",
     .kind = OPTION_CHOICE,
     AT(underlay),
     .value = "auto|grey|photo|none",
     .choices = underlays,
     .help = "what is under the map of a png",
     .more = "grey: the picture without its colours, so that red and blue are the map's; none: "
             "nothing.\n"
             "Default auto: grey for maps with signs, else photo."},
    {.name = "colormap",
     .kind = OPTION_TEXT,
     AT(colormap),
     .value = "NAME",
     .help = "colours of a png; vitx-cli info lists them",
     .more = "Default inferno; coolwarm with a signed scale: red is evidence for the target, blue "
             "against the\n"
             "target. cividis is for colour-blind eyes, too."},
    {.name = "alpha",
     .kind = OPTION_REAL,
     AT(alpha),
     .value = "A",
     .low = 0,
     .high = 1,
     .help = "weight of the map in an overlay (default 0.5; signed 0.8)",
     .more =
         "With a signed scale: the weight of the largest value; where the map is 0 the picture is "
         "unchanged."},
    {.name = "smooth",
     .kind = OPTION_REAL,
     AT(smooth),
     .value = "SIGMA",
     .low = 0,
     .high = 256,
     .help = "a Gaussian over the map of a png, in input pixels",
     .more =
         "Default: half a patch for signed maps on pixels (neighbour values cancel there), else "
         "0."},
    {.name = "interpolate",
     .kind = OPTION_CHOICE,
     AT(interpolate),
     .value = "smooth|nearest",
     .choices = interpolations,
     .help = "what a png shows between patches (default smooth)",
     .more = "nearest: each patch is a square of one colour, as a page draws it; smooth: values "
             "between those of\n"
             "neighbour patches."},
    {.name = "scale",
     .kind = OPTION_TEXT,
     AT(scale),
     .value = "NAME|shared|LOW,HIGH",
     .help = "how values become colours",
     .more =
         "NAME is auto, max, minmax, p99, signed or signed-p99. shared is auto with the same ends "
         "for all maps\n"
         "of a method, so that pictures can be compared; all pictures are explained twice. "
         "LOW,HIGH are the\n"
         "values at the ends of the colours, equal for all pictures; values beyond them are "
         "clipped. max: negative values "
         "to 0, then\n"
         "divided by the maximum. minmax: minimum to maximum. p99: like max, with the 99th "
         "percentile.\n"
         "signed: 0 in the middle. signed-p99: like signed, with the 99th percentile. Default "
         "auto: max, or\n"
         "signed if the method has signed values; with p99 for maps on pixels. npy and json keep "
         "the raw\n"
         "values."},
    {.name = "mask",
     .kind = OPTION_REAL,
     AT(mask),
     .value = "PERCENT",
     .low = 0.001,
     .high = 100,
     .help = "only which patches hold so much of the map",
     .more =
         "The smallest set of patches whose values (those below 0 count as 0) add up to PERCENT of "
         "all. npy\n"
         "and json hold 1 and 0; a png is the picture with the rest darkened, with --layout map "
         "white and black."},
    {.name = "frame",
     .kind = OPTION_CHOICE,
     AT(frame),
     .value = "picture|input",
     .choices = frames,
     .help = "the whole picture (default), or what the model saw"},
    {.name = "embed",
     .kind = OPTION_CHOICE,
     AT(embed),
     .value = "auto|all|mean|class|none",
     .choices = levels,
     .help = "attention in a page (default auto: what fits)",
     .more =
         "all: every head of every block. mean: the mean over the heads of every block, and of "
         "each head the\n"
         "row that the model's head reads. class: these rows. none: none. auto takes the first of "
         "these that\n"
         "fits in --embed-budget, and the page says what it lacks; the others are taken for "
         "any size of the file."},
    {.name = "embed-budget",
     .kind = OPTION_REAL,
     AT(embed_budget),
     .value = "MB",
     .low = 0.01,
     .high = 100000,
     .help = "size of a page's whole file, in millions of bytes (default 16)",
     .more = "Maps are always in the page, and photos get smaller if they must."},
    {.name = "title",
     .kind = OPTION_TEXT,
     AT(title),
     .value = "TEXT",
     .help = "title of a page (default: the model's name)"},
    {.name = "colorbar",
     .kind = OPTION_FLAG,
     AT(colorbar),
     .help = "a bar with the raw values at its ends",
     .more = "The colours as they look over the picture's mean colour. >= or <= before a number: "
             "the map has\n"
             "values beyond it."},
};

static int run(const void *given, char **files, int count)
{
    struct explain_settings settings = *(const struct explain_settings *)given;
    struct explain_plan plan;
    int status = explain_check(&settings, count);
    if (status != DONE)
        return status;
    settings.common.words.wanted = settings.texts.count > 0;
    /* A page speaks the language of --lang even if the model's classes have no names in it. */
    const char *language = settings.common.language;
    settings.common.may_lack_language = language && strcmp(language, "zh") == 0 && settings.out &&
                                        is_page(settings.out, settings.format);
    status = explain_plan(&plan, &settings, files, count);
    int failed = DONE;
    if (status == DONE && settings.together)
        status = explain_together(&plan, files, &count, &failed);
    if (status == DONE && plan.shared)
        status = explain_shared(&plan, files, &count, &failed);
    if (status == DONE)
        status = explain_run(&plan, files, count);
    status = status == DONE ? failed : status;
    explain_plan_free(&plan);
    return status;
}

const struct command cmd_explain = {
    .name = "explain",
    .summary = "Shows why: writes maps of where the model looked.",
    .usage = "[-m MODEL] --method NAME -o OUT [OPTIONS] IMAGE...",
    .details =
        "Writes one map for each picture, method and target, and prints a line for each "
        "file written: its\n"
        "name, the method, the class. All maps of a picture come from one forward pass.\n"
        "\n"
        "  vitx-cli explain -m deit_tiny --method rollout -o cat.png cat.jpg\n"
        "  vitx-cli explain -m deit_tiny --method attention --layer all --head all -o "
        "heads.png cat.jpg\n"
        "  vitx-cli explain -m deit_tiny --method rollout,attention --target malamute "
        "--target tandem \\\n"
        "      -o 'maps/{image}.{method}.{target}.npy' *.jpg\n"
        "  vitx-cli explain -m deit_tiny --method all-fast --target top2 -o dog.html dog.jpg\n"
        "  vitx-cli explain -m clip --method gradcam --like dog.jpg -o why.png park.jpg\n"
        "  vitx-cli explain -m clip --method legrad,generic --text 'a dog on the left' -o why.html "
        "park.jpg",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
