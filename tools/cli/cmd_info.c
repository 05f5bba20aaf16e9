/* cli/cmd_info.c: what a model is; without -m, what this vitx can do, and the bundled model. No
 * weights are read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundled.h"
#include "outputs.h"
#include "results.h"
#include "session.h"

struct settings {
    struct common common;
    bool json;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS};

static const struct option options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object"},
};

/* ------------------------------------------------------------------ the program ------------ */

static const char *method_name(int index)
{
    vitx_method_info m;
    vitx_method_info_init(&m, sizeof m);
    return index < vitx_method_count() && vitx_method_get(&m, index) == VITX_OK ? m.name : NULL;
}

static const struct {
    const char *what;
    const char *(*name_at)(int index);
} lists[] = {
    {"methods", method_name},
    {"formats", format_name},
    {"colormaps", vitx_colormap_name},
};

/* Of the device of the options. */
static void print_precisions(const char *device, bool json)
{
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
    printf(json ? ",\"precisions\":[" : "precisions  ");
    int i = 0;
    for (; vitx_precision_get(&p, device, i) == VITX_OK; i++) {
        printf(i ? json ? "," : ", " : "");
        if (json) {
            printf("{\"name\":\"%s\",\"instructions\":", p.name);
            json_text(p.instructions);
            printf(",\"default\":%s,\"auto\":%s}", p.is_default ? "true" : "false",
                   p.is_auto ? "true" : "false");
        } else {
            printf("%s (%s%s%s)", p.name, text_or(p.instructions, "emulated"),
                   p.is_default ? "; default" : "", p.is_auto ? "; auto" : "");
        }
    }
    printf(json ? "]" : i ? "\n" : "none\n"); /* none: the device is not there */
}

static bool is_there(const char *device)
{
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
    return vitx_precision_get(&p, device, 0) == VITX_OK;
}

/* A device that this machine has: "cuda", and where there are more of them "cuda:1". */
static int print_device(const char *device, bool json, int printed)
{
    enum { MOST = 64 };
    char name[48];
    int numbers = 0;
    for (snprintf(name, sizeof name, "%s", device); numbers < MOST && is_there(name); numbers++) {
        printf(json ? "%s\"%s\"" : "%s%s", printed + numbers ? json ? "," : ", " : "", name);
        snprintf(name, sizeof name, "%s:%d", device, numbers + 1);
    }
    return printed + numbers;
}

/* Those that this machine has not, with the reason. */
static int print_missing(const char *device, bool json, int printed)
{
    if (is_there(device))
        return printed;
    char start[48];
    snprintf(start, sizeof start, "device %s: ", device);
    const char *all = vitx_last_error();
    const char *why = strncmp(all, start, strlen(start)) == 0 ? all + strlen(start) : all;
    if (json) {
        printf("%s\"%s\":", printed ? "," : "", device);
        json_text(why);
    } else {
        printf("; %s is not available: %s", device, why);
    }
    return printed + 1;
}

static void print_devices(bool json)
{
    const char *name;
    int printed = 0;
    printf(json ? ",\"devices\":[" : "devices     ");
    for (int i = 0; (name = vitx_device_name(i)) != NULL; i++)
        printed = print_device(name, json, printed);
    printf(json ? "],\"missing_devices\":{" : "");
    printed = 0;
    for (int i = 0; (name = vitx_device_name(i)) != NULL; i++)
        printed = print_missing(name, json, printed);
    printf(json ? "}" : "\n");
}

static void print_program(const char *device, bool json)
{
    printf(json ? "{\"version\":\"%s\"" : "version     %s\n", vitx_version());
    print_devices(json);
    print_precisions(device, json);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const char *name;
        printf(json ? ",\"%s\":[" : "%-12s", lists[i].what);
        for (int k = 0; (name = lists[i].name_at(k)) != NULL; k++) {
            printf("%s", k ? json ? "," : ", " : "");
            if (json)
                json_text(name);
            else
                printf("%s", name);
        }
        printf(json ? "]" : "\n");
    }
}

/* ------------------------------------------------------------------ a model ---------------- */

/* Bytes that recorded attention takes for one picture. */
static const struct trace {
    const char *key, *words;
    vitx_record record;
    vitx_dtype storage;
} traces[] = {
    {"row", "one query's row", VITX_RECORD_ROW, VITX_F32},
    {"fused", "heads fused", VITX_RECORD_FUSED, VITX_F32},
    {"all", "everything", VITX_RECORD_ALL, VITX_F32},
    {"all_f16", "everything, half precision", VITX_RECORD_ALL, VITX_F16},
};
#define TRACES (sizeof traces / sizeof traces[0])

static bool trace_bytes(size_t *out, const struct session *s, const struct common *common,
                        const struct trace *trace)
{
    const vitx_context_opts size = context_opts_of(common, VITX_FIT_RECIPE);
    vitx_trace_opts opts = VITX_TRACE_OPTS_INIT;
    opts.record = trace->record;
    opts.storage = trace->storage;
    if (vitx_trace_bytes_with(out, s->model, &size, &opts, 1) == VITX_OK)
        return true;
    complain_last(NULL);
    return false;
}

/* A switch without default: a value that is new in the header is a warning here. */
static const char *resize_name(vitx_resize resize)
{
    switch (resize) {
    case VITX_RESIZE_SHORTEST:
        return "shortest";
    case VITX_RESIZE_EXACT:
        return "exact";
    case VITX_RESIZE_NONE:
        return "none";
    case VITX_RESIZE_COVER:
        return "cover";
    case VITX_RESIZE_WITHIN:
        return "within";
    case VITX_RESIZE_PATCHES:
        return "patches";
    }
    return "unknown";
}

static void resize_words(char *text, size_t size, const vitx_recipe *r)
{
    if (r->resize == VITX_RESIZE_NONE)
        snprintf(text, size, "none");
    else if (r->resize == VITX_RESIZE_SHORTEST)
        snprintf(text, size, "shortest side to %d", r->resize_height);
    else if (r->resize == VITX_RESIZE_WITHIN)
        snprintf(text, size, "within %d x %d, the rest %d %d %d", r->resize_height, r->resize_width,
                 r->pad[0], r->pad[1], r->pad[2]);
    else if (r->resize == VITX_RESIZE_PATCHES)
        snprintf(text, size, "in proportion, to at most %d whole patches", r->max_patches);
    else
        snprintf(text, size, "%s %d x %d", resize_name(r->resize), r->resize_height,
                 r->resize_width);
}

static void print_recipe(const vitx_recipe *r)
{
    char resize[64];
    resize_words(resize, sizeof resize, r);
    printf("recipe (height x width)\n");
    printf("  input         %d x %d  (%s)\n", r->input_height, r->input_width,
           vitx_source_name(r->from_input));
    printf("  resize        %s  (%s)\n", resize, vitx_source_name(r->from_resize));
    printf("  filter        %s  (%s)\n", vitx_filter_name(r->filter),
           vitx_source_name(r->from_filter));
    printf("  centre crop   %s  (%s)\n",
           r->no_crop      ? "none: pictures have the input's size, or need --fit"
           : r->crop_round ? "offset rounded"
                           : "offset rounded down",
           vitx_source_name(r->from_crop));
    printf("  scale         %.6g  (%s)\n", (double)r->scale, vitx_source_name(r->from_scale));
    printf("  mean          %.6g %.6g %.6g  (%s)\n", (double)r->mean[0], (double)r->mean[1],
           (double)r->mean[2], vitx_source_name(r->from_mean));
    printf("  std           %.6g %.6g %.6g  (%s)\n", (double)r->std[0], (double)r->std[1],
           (double)r->std[2], vitx_source_name(r->from_std));
}

/* Position embeddings, and what their grid costs. */
static void print_size(const struct session *s)
{
    const vitx_model_info *m = &s->info;
    if (s->size.pos_resample)
        printf("positions       %d x %d, resampled to the grid as %s does\n", m->pos_height,
               m->pos_width, s->size.pos_resample);
    else if (m->pos_height)
        printf("positions       %d x %d, as the file has them\n", m->pos_height, m->pos_width);
    if (m->rotary)
        printf("rotary          queries and keys of patches, by their place in the grid\n");
    if (s->varies)
        printf("input           each picture's own, of at most %d tokens; all that depends on it "
               "is for %d x %d\n",
               s->size.max_tokens, m->recipe->input_height, m->recipe->input_width);
}

/* What the head reads; the names of vitx_model_info.pooling. */
static const char *pooling_words(const char *pooling)
{
    static const char *const words[][2] = {
        {"token", "class token"},
        {"avg", "mean of the patches"},
        {"map", "attention of a learnt query"},
        {"token+avg", "class token and mean of the patches, one behind the other"},
        {"token+dist", "class token and distillation token; the mean of both answers"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(pooling, words[i][0]) == 0)
            return words[i][1];
    return pooling;
}

/* The way of a picture through the model. Norms beside the blocks' own, LayerScale and a projection
 * are not in vitx_model_info, and not drawn. */
static void draw_model(const vitx_model_info *m)
{
    const int height = m->recipe->input_height, width = m->recipe->input_width;
    const int left = m->prefix_tokens - m->registers;
    printf("  picture 3 x %d x %d\n", height, width);
    printf("     |    %d x %d patches of %d x %d%s\n", m->grid_height, m->grid_width,
           m->patch_height, m->patch_width,
           m->grid_height * m->patch_height < height || m->grid_width * m->patch_width < width
               ? ", a margin is not seen"
               : "");
    printf("  %s%s", left > 0 ? "class token + " : "", left > 1 ? "distillation token + " : "");
    if (m->registers)
        printf("%d register%s + ", m->registers, m->registers > 1 ? "s" : "");
    printf("%d patches, %d wide\n", m->tokens - m->prefix_tokens, m->width);
    printf("     |    %d x [ %s ]\n", m->depth, m->block);
    printf("  %s", pooling_words(m->pooling));
    if (m->pool_heads)
        printf(", %d heads of %d", m->pool_heads, m->width / m->pool_heads);
    printf("\n     |\n");
    printf(m->units ? "  embedding of %d numbers\n\n" : "  %d classes\n\n", m->classes);
}

static int print_model(const struct session *s, const struct common *common)
{
    const vitx_model_info *m = &s->info;
    draw_model(m);
    printf("family          %s, %s names\n", m->family, m->naming);
    if (m->wrapping[0])
        printf("names           %s\n", m->wrapping);
    if (m->classifier[0])
        printf("%-15s %s\n", m->units ? "projection" : "classifier", m->classifier);
    if (m->adapter[0])
        printf("adapter         %s\n", m->adapter);
    if (m->text[0])
        printf("text tower      %s\n", m->text);
    if (m->left_out[0])
        printf("left out        %s\n", m->left_out);
    printf("architecture    %s\n", text_or(m->architecture, "not named"));
    printf("depth           %d blocks\n", m->depth);
    printf("width           %d, mlp %d\n", m->width, m->mlp_hidden);
    printf("heads           %d  (%s)\n", m->heads, vitx_source_name(m->from_heads));
    printf("activation      %s  (%s)\n", m->activation, vitx_source_name(m->from_activation));
    printf("norm eps        %.6g  (%s)\n", (double)m->norm_eps, vitx_source_name(m->from_eps));
    printf("patches         %d x %d pixels, grid %d x %d\n", m->patch_height, m->patch_width,
           m->grid_height, m->grid_width);
    printf("tokens          %d, the first %d before the patches", m->tokens, m->prefix_tokens);
    if (m->registers)
        printf(", %d of them registers", m->registers);
    printf("\n");
    print_size(s);
    printf("pooling         %s\n", m->pooling);
    if (m->units)
        printf("embedding       %d numbers, no classes\n", m->classes);
    else
        printf("classes         %d, %d with a name\n", m->classes, m->labels);
    if (!m->units)
        printf("outputs         %s  (%s)\n", vitx_outputs_name((int)m->outputs),
               vitx_source_name(m->from_outputs));
    printf("parameters      %" PRId64 "\n", m->parameters);
    printf("container       %s\n", m->container);
    printf("weights         %s, %" PRId64 " bytes\n", m->weight_dtype, m->weight_bytes);
    printf("forward         %.3f GFLOP a picture\n", (double)m->flops / 1e9);
    printf("activations     %zu bytes, a batch of %d, %d threads\n", s->size.activation_bytes,
           s->size.max_batch, s->size.threads);
    print_recipe(m->recipe);
    printf("memory of recorded attention, one picture\n");
    for (size_t i = 0; i < TRACES; i++) {
        size_t bytes;
        if (!trace_bytes(&bytes, s, common, &traces[i]))
            return SOME_FAILED;
        printf("  %-26s  %12zu bytes\n", traces[i].words, bytes);
    }
    return DONE;
}

static void json_from(const char *key, vitx_source source, bool last)
{
    printf("\"%s\":\"%s\"%s", key, vitx_source_name(source), last ? "" : ",");
}

static void json_recipe(const vitx_recipe *r)
{
    printf("\"recipe\":{\"input\":[%d,%d],\"resize\":\"%s\",\"resize_to\":[%d,%d],",
           r->input_height, r->input_width, resize_name(r->resize), r->resize_height,
           r->resize_width);
    if (r->max_patches)
        printf("\"max_patches\":%d,", r->max_patches);
    printf("\"filter\":\"%s\",\"crop\":%s,\"crop_round\":%d,\"scale\":%.9g,",
           vitx_filter_name(r->filter), r->no_crop ? "false" : "true", r->crop_round,
           (double)r->scale);
    printf("\"mean\":[%.9g,%.9g,%.9g],", (double)r->mean[0], (double)r->mean[1],
           (double)r->mean[2]);
    printf("\"std\":[%.9g,%.9g,%.9g],\"from\":{", (double)r->std[0], (double)r->std[1],
           (double)r->std[2]);
    json_from("input", r->from_input, false);
    json_from("resize", r->from_resize, false);
    json_from("filter", r->from_filter, false);
    json_from("crop_round", r->from_crop, false);
    json_from("scale", r->from_scale, false);
    json_from("mean", r->from_mean, false);
    json_from("std", r->from_std, true);
    printf("}}");
}

static void json_pair(const char *key, const char *text)
{
    printf("\"%s\":", key);
    json_text(text);
    putchar(',');
}

static int json_model(const struct session *s, const struct common *common)
{
    const vitx_model_info *m = &s->info;
    putchar('{');
    json_pair("model", s->path);
    json_pair("family", m->family);
    json_pair("naming", m->naming);
    json_pair("architecture", m->architecture);
    json_pair("activation", m->activation);
    json_pair("pooling", m->pooling);
    json_pair("weight_dtype", m->weight_dtype);
    json_pair("guesses", m->guesses);
    json_pair("container", m->container);
    json_pair("wrapping", m->wrapping);
    json_pair("classifier", m->classifier);
    json_pair("left_out", m->left_out);
    json_pair("adapter", m->adapter);
    json_pair("text", m->text);
    json_pair("block", m->block);
    printf("\"weight_bytes\":%" PRId64 ",\"parameters\":%" PRId64 ",\"flops\":%" PRId64 ",",
           m->weight_bytes, m->parameters, m->flops);
    printf("\"depth\":%d,\"width\":%d,\"heads\":%d,\"mlp_hidden\":%d,", m->depth, m->width,
           m->heads, m->mlp_hidden);
    printf("\"patch\":[%d,%d],\"grid\":[%d,%d],", m->patch_height, m->patch_width, m->grid_height,
           m->grid_width);
    printf("\"prefix_tokens\":%d,\"registers\":%d,", m->prefix_tokens, m->registers);
    printf("\"tokens\":%d,\"classes\":%d,\"labels\":%d,", m->tokens, m->units ? 0 : m->classes,
           m->labels);
    printf("\"embedding\":%d,\"outputs\":\"%s\",", m->units ? m->classes : 0,
           vitx_outputs_name((int)m->outputs));
    printf("\"rotary\":%s,", m->rotary ? "true" : "false");
    printf("\"positions\":[%d,%d],\"pos_resample\":", m->pos_height, m->pos_width);
    json_text(s->size.pos_resample);
    printf(",\"activation_bytes\":%zu,", s->size.activation_bytes);
    printf("\"norm_eps\":%.9g,\"from\":{", (double)m->norm_eps);
    json_from("norm_eps", m->from_eps, false);
    json_from("activation", m->from_activation, false);
    json_from("heads", m->from_heads, false);
    json_from("outputs", m->from_outputs, true);
    printf("},");
    json_recipe(m->recipe);
    for (size_t i = 0; i < TRACES; i++) {
        size_t bytes;
        if (!trace_bytes(&bytes, s, common, &traces[i]))
            return SOME_FAILED;
        printf("%s\"%s\":%zu", i ? "," : ",\"trace_bytes\":{", traces[i].key, bytes);
    }
    printf("}}");
    return DONE;
}

/* Before the model, which may not have been opened, or of the bundled one not found. */
static void print_all(const struct session *s, const char *device, bool json)
{
    print_program(device, json);
    if (json) {
        printf(",\"bundled\":%s", s->model ? "" : "null");
    } else if (s->path) {
        printf("model       %s\n%s", s->path, s->model ? "\n" : "");
    } else {
        char *places = bundled_places("scenes");
        printf("model       none in %s\n", text_or(places, "its folder"));
        free(places);
    }
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    struct session s = {.path = NULL};
    if (count)
        return wrong_usage("takes no files: %s; a model comes with -m", files[0]);
    char *bundled = o->common.model ? NULL : bundled_model("scenes");
    const bool all = !o->common.model, any = o->common.model || bundled;
    int status = any ? session_open(&s, &o->common) : check_device(o->common.device);
    if (all && status != WRONG_USAGE)
        print_all(&s, o->common.device, o->json);
    if (s.model)
        status = o->json ? json_model(&s, &o->common) : print_model(&s, &o->common);
    if (o->json && (s.model || (all && status != WRONG_USAGE)))
        printf("%s\n", all ? "}" : "");
    session_close(&s);
    free(bundled);
    return status;
}

const struct command cmd_info = {
    .name = "info",
    .summary = "Describes a model; without -m, this vitx and its bundled model.",
    .usage = "[-m MODEL] [OPTIONS]",
    .details =
        "For a model: a drawing of it, what it is, how a picture becomes its input and "
        "which file says so, and how much memory its recorded attention takes. Without "
        "-m: version, devices, precisions (and what multiplies their numbers here), methods, "
        "formats and colour maps, then the bundled "
        "model.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
