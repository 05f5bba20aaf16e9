/* batch/sink_gallery.c: the gallery's scripts of a shard, and its page (gallery_sheet.h). */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gallery_sheet.h"
#include "sink.h"
#include "tools/cli/labels.h"

#define PAGE "gallery/index.html"

struct gallery {
    struct gallery_sheet sheet; /* what is not written yet */
    struct part *list, *rest;
    FILE *old_list, *old_rest; /* of --retry-failed: the scripts of the run before */
};

/* ------------------------------------------------------------------ the page --------------- */

/* The names of all maps, one behind the other, each ended by '\0'; NULL: no memory. */
static const char **map_names(const struct run *run)
{
    const size_t count = (size_t)run->maps.opts_count;
    const char **names = malloc(count * (sizeof *names + MAP_NAME) + 1);
    char *text = (char *)(names + count);
    for (size_t i = 0; names && i < count; i++, text += MAP_NAME) {
        map_name(text, run, (int)i);
        names[i] = text;
    }
    return names;
}

/* The last part of the model's path; NULL: there is none, as of ".". */
static const char *model_name(const struct run *run)
{
    const char *path = run->session.path;
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    return name && *name && *name != '.' ? name : NULL;
}

/* Which of --text a map is of; -1: of none, as it is the same for all. */
static int text_of(const struct run *run, int map)
{
    const vitx_explain_opts *opts = &run->maps.opts[map];
    const struct list *texts = &run->settings->explain.texts;
    vitx_method_info method;
    if (!opts->text || method_find(&method, opts->method) != DONE || !method.uses_target)
        return -1;
    for (int i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], opts->text) == 0)
            return i;
    return -1;
}

/* Of all maps; NULL: no memory. */
static int *texts_of_maps(const struct run *run)
{
    int *texts = malloc((size_t)run->maps.opts_count * sizeof *texts + 1);
    for (int i = 0; texts && i < run->maps.opts_count; i++)
        texts[i] = text_of(run, i);
    return texts;
}

bool gallery_put_page(const struct run *run)
{
    const bool stream = run->plan.listing.stream;
    const struct list *texts = &run->settings->explain.texts;
    const char **names = map_names(run);
    int *of_maps = texts_of_maps(run);
    struct text page = {0};
    const struct gallery_run facts = {
        .title = run->settings->explain.title,
        .model = model_name(run),
        .shards = stream ? -1 : run->plan.shards,
        .maps = names,
        .map_count = run->maps.opts_count,
        .texts = (const char *const *)texts->items,
        .text_count = texts->count,
        .text_of = of_maps,
        .probable = has_probabilities(&run->session),
    };
    bool put = names && of_maps;
    if (put)
        gallery_page(&page, &facts);
    if (!put || page.failed) {
        complain(PAGE, "no memory");
        put = false;
    }
    size_t bytes = 0;
    int error = 0;
    char *old = put ? file_get(run->folder, PAGE, page.length + 1, &bytes, &error) : NULL;
    if (put && (!old || bytes != page.length || memcmp(old, page.data, bytes) != 0))
        put = file_put(run->folder, PAGE, page.data, page.length);
    free(old);
    free(names);
    free(of_maps);
    text_free(&page);
    return put;
}

/* ------------------------------------------------------------------ a shard ---------------- */

/* Hands what there is to the files. */
static bool flush(struct gallery *g)
{
    struct text *list = &g->sheet.list, *sheet = &g->sheet.sheet;
    if (list->failed || sheet->failed) {
        complain(PAGE, "no memory");
        return false;
    }
    const bool put = part_write(g->list, list->data, list->length) &&
                     part_write(g->rest, sheet->data, sheet->length);
    list->length = sheet->length = 0;
    return put;
}

enum { NAME_ROOM = 80 };

static const char *script_name(char out[NAME_ROOM], const struct sinking *s, const char *suffix)
{
    char name[64];
    shard_name(name, sizeof name, s->shard, suffix);
    snprintf(out, NAME_ROOM, "gallery/%s", name);
    return out;
}

static bool begin(struct sinking *s)
{
    char name[NAME_ROOM];
    struct gallery *g = calloc(1, sizeof *g);
    s->state = g;
    if (!g) {
        complain(PAGE, "no memory");
        return false;
    }
    g->list = part_open(s->parts, script_name(name, s, "list.js"));
    g->rest = g->list ? part_open(s->parts, script_name(name, s, "js")) : NULL;
    if (!g->rest)
        return false;
    gallery_sheet_begin(&g->sheet, s->shard);
    return flush(g);
}

static void describe_text(struct gallery_text *texts, int which, const vitx_map_info *info)
{
    if (which >= 0)
        texts[which] = (struct gallery_text){.known = true,
                                             .cosine = info->text_value,
                                             .empty = info->empty_value,
                                             .probability = (double)info->probability};
}

/* How the maps are drawn, and the names of their classes, or their texts; both [opts_count]. texts:
 * what is known of each of --text. */
static void describe_maps(const struct run *run, const struct outcome *o, vitx_render_opts *opts,
                          const char **labels, struct gallery_text *texts)
{
    for (int j = 0; j < run->maps.opts_count; j++) {
        vitx_map_info info = VITX_MAP_INFO_INIT;
        labels[j] = NULL;
        if (!o->maps[j] || vitx_map_get_info(&info, o->maps[j]) != VITX_OK)
            continue;
        opts[j] = explain_map_opts(&run->maps, &info, o->input->name);
        if (info.explains == VITX_EXPLAINED_TEXT) {
            labels[j] = info.text;
            describe_text(texts, text_of(run, j), &info);
        } else if (info.target >= 0)
            labels[j] = vitx_model_label(run->session.model, info.target);
    }
}

/* A picture's row goes into two items of its parcel. */
static bool hand_over(struct parcel *parcel, struct gallery_row *row)
{
    struct text *item = parcel_add(parcel, "list");
    if (item) {
        *item = row->list;
        row->list = (struct text){0};
        item = parcel_add(parcel, "sheet");
    }
    if (item) {
        *item = row->sheet;
        row->sheet = (struct text){0};
    }
    gallery_row_free(row);
    return item != NULL;
}

static bool pack(const struct sinking *s, const struct outcome *o, struct parcel *parcel)
{
    const struct run *run = s->run;
    const size_t count = (size_t)run->maps.opts_count;
    vitx_render_opts *opts = malloc(count * sizeof *opts + 1);
    const char **labels = malloc(count * sizeof *labels + 1);
    const int text_count = run->settings->explain.texts.count;
    struct gallery_text *texts = calloc((size_t)text_count + 1, sizeof *texts);
    const bool room = opts && labels && texts;
    struct text report = {0};
    struct gallery_row row = {0};
    struct gallery_picture picture = {.key = o->input->key,
                                      .image = o->image,
                                      .top = run->classifies ? o->top : NULL,
                                      .top_count = run->classifies ? run->top : 0,
                                      .maps = o->maps,
                                      .labels = labels,
                                      .map_count = (int)count,
                                      .texts = texts,
                                      .text_count = text_count,
                                      .opts = opts};
    if (run->settings->pages) {
        text_format(&report, "../pages/%s.html", o->input->key);
        picture.report = report.data;
    }
    if (room)
        describe_maps(run, o, opts, labels, texts);
    const bool made = room && !report.failed && gallery_row_make(&row, &picture);
    text_free(&report);
    free(texts);
    free(labels);
    free(opts);
    return hand_over(parcel, &row) && made;
}

static bool add(struct sinking *s, const struct outcome *o, const struct parcel *parcel)
{
    struct gallery *g = s->state;
    struct gallery_row row = {0};
    if (o->error) {
        const struct gallery_picture failed = {.key = o->input->key, .error = o->error};
        gallery_row_make(&row, &failed); /* a lack of memory stays in its texts */
        gallery_sheet_put(&g->sheet, &row);
        gallery_row_free(&row);
    } else {
        row = (struct gallery_row){parcel->items[0].data, parcel->items[1].data};
        gallery_sheet_put(&g->sheet, &row); /* the parcel keeps them */
    }
    return flush(g);
}

/* ------------------------------------------------------------------ a gallery of before ----- */

/* Behind the first line, which begins the call. */
static FILE *open_old(const struct sinking *s, const char *suffix)
{
    char name[NAME_ROOM], *line = NULL;
    size_t room = 0;
    char *path = path_in(s->run->folder, script_name(name, s, suffix));
    FILE *file = path ? fopen(path, "re") : NULL;
    if (file && getline(&line, &room, file) < 0) {
        fclose(file);
        file = NULL;
    }
    free(line);
    free(path);
    return file;
}

/* A row of the script, without the comma and the end of line. */
static bool read_row(struct text *row, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, file);
    n -= n > 0 && line[n - 1] == '\n';
    n -= n > 0 && line[n - 1] == ',';
    row->length = 0;
    if (n > 0)
        text_add(row, line, (size_t)n);
    free(line);
    return n > 0 && !row->failed;
}

/* The next row that is this picture's; rows before it are of pictures that failed. */
bool recall_pictures(struct sinking *s, const char *key)
{
    struct gallery *g = s->state;
    struct gallery_row row = {0};
    struct text begins = {0};
    bool mine = false;
    g->old_list = g->old_list ? g->old_list : open_old(s, "list.js");
    g->old_rest = g->old_rest ? g->old_rest : open_old(s, "js");
    text_put(&begins, "[");
    text_json(&begins, key);
    text_put(&begins, ",");
    while (!mine && !begins.failed && g->old_list && g->old_rest &&
           read_row(&row.list, g->old_list) && read_row(&row.sheet, g->old_rest))
        mine = row.list.length > begins.length &&
               memcmp(row.list.data, begins.data, begins.length) == 0;
    if (mine)
        gallery_sheet_put(&g->sheet, &row);
    gallery_row_free(&row);
    text_free(&begins);
    return mine && flush(g);
}

/* ------------------------------------------------------------------ the end ----------------- */

static bool finish(struct sinking *s)
{
    struct gallery *g = s->state;
    gallery_sheet_end(&g->sheet);
    return flush(g) && part_close(g->list) && part_close(g->rest);
}

static void end(struct sinking *s)
{
    struct gallery *g = s->state;
    if (g) {
        gallery_sheet_free(&g->sheet);
        if (g->old_list)
            fclose(g->old_list);
        if (g->old_rest)
            fclose(g->old_rest);
    }
    free(g);
}

const struct sink sink_gallery = {"gallery", begin, pack, NULL, add, finish, end};
