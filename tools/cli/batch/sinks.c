/* batch/sinks.c: the forms of output; and what several sinks use. */
#define _POSIX_C_SOURCE 200809L
#include "sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct sink sink_files, sink_tar, sink_npz, sink_rows, sink_stats, sink_gallery,
    sink_pages;

const struct form forms[] = {
    {"files", {&sink_rows, &sink_files}},
    {"tar", {&sink_tar}},
    {"npz", {&sink_rows, &sink_npz}},
};
const char *const form_names[] = {"files", "tar", "npz", NULL};

static const struct {
    const struct sink *sink;
    sink_recall *recall;
} recalls[] = {{&sink_rows, recall_row},
               {&sink_files, recall_files},
               {&sink_tar, recall_members},
               {&sink_npz, recall_arrays},
               {&sink_gallery, recall_pictures}};

sink_recall *recall_of(const struct sink *sink)
{
    for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++)
        if (recalls[i].sink == sink)
            return recalls[i].recall;
    return NULL;
}

void sinks_of(const struct run *run, const struct sink **out)
{
    int n = 0;
    if (run->measures)
        out[n++] = &sink_stats;
    for (int i = 0; run->form->sinks[i]; i++)
        out[n++] = run->form->sinks[i];
    if (run->settings->pages)
        out[n++] = &sink_pages;
    if (run->settings->gallery)
        out[n++] = &sink_gallery;
    out[n] = NULL;
}

void shard_name(char *out, size_t size, int shard, const char *suffix)
{
    snprintf(out, size, "%05d.%s", shard, suffix);
}

/* ------------------------------------------------------------------ parcels ---------------- */

static struct item *new_item(struct parcel *p)
{
    if (p->count == p->room) {
        const int room = p->room ? 2 * p->room : 8;
        struct item *items = realloc(p->items, (size_t)room * sizeof *items);
        if (!items)
            return NULL;
        p->items = items;
        p->room = room;
    }
    p->items[p->count] = (struct item){0};
    return &p->items[p->count++];
}

struct text *parcel_add(struct parcel *p, const char *format, ...)
{
    struct text name = {0};
    char words[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    text_put(&name, words);
    struct item *item = name.failed ? NULL : new_item(p);
    if (!item) {
        text_free(&name);
        return NULL;
    }
    item->name = name.data;
    return &item->data;
}

void parcel_clear(struct parcel *p)
{
    for (int i = 0; i < p->count; i++) {
        free(p->items[i].name);
        text_free(&p->items[i].data);
    }
    p->count = 0;
}

void parcel_free(struct parcel *p)
{
    parcel_clear(p);
    free(p->items);
    *p = (struct parcel){0};
}

/* ------------------------------------------------------------------ results before ----------- */

bool old_open(struct sinking *s, const char *suffix)
{
    char name[64];
    if (s->old)
        return true;
    shard_name(name, sizeof name, s->shard, suffix);
    char *path = path_in(s->run->folder, name);
    s->old = path ? fopen(path, "re") : NULL;
    free(path);
    return s->old != NULL;
}

bool old_copy(struct sinking *s, struct part *part, uint64_t bytes)
{
    char piece[1 << 14];
    while (bytes > 0) {
        const size_t n = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
        if (fread(piece, 1, n, s->old) != n || !part_write(part, piece, n))
            return false;
        bytes -= n;
    }
    return true;
}

bool is_of_key(const char *name, const char *key)
{
    const size_t n = strlen(key);
    return strncmp(name, key, n) == 0 && name[n] == '.';
}

/* ------------------------------------------------------------------ maps ------------------- */

bool put_map(struct text *text, const struct run *run, const struct outcome *outcome, int j,
             const char *format)
{
    const double share = run->settings->explain.mask / 100;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_map *mask = NULL;
    bool put = share <= 0 || vitx_map_mask(&mask, outcome->maps[j], share) == VITX_OK;
    const vitx_map *map = mask ? mask : outcome->maps[j];
    if (put && vitx_map_get_info(&info, map) == VITX_OK) {
        vitx_render_opts opts = explain_map_opts(&run->maps, &info, outcome->input->name);
        opts.format = format;
        put = vitx_render_write(map, outcome->image, text_write, text, &opts) == VITX_OK;
    }
    vitx_map_free(mask);
    return put && !text->failed;
}
