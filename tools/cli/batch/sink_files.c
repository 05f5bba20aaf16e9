/* batch/sink_files.c: a file for each map, by the pattern of --name. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"

static bool begin(struct sinking *s)
{
    (void)s;
    return true;
}

/* The key is what {path} and its like are made of; an ending, which they leave out, is put behind
 * it. */
static char *file_name(const struct run *run, const struct outcome *outcome, int j)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    struct text key = {0};
    char *name = NULL;
    text_put(&key, outcome->input->key);
    text_put(&key, ".x");
    if (!key.failed && vitx_map_get_info(&info, outcome->maps[j]) == VITX_OK)
        name =
            output_name(run->pattern, key.data, info.method, info.target, info.explains, info.text);
    text_free(&key);
    return name;
}

static bool pack(const struct sinking *s, const struct outcome *outcome, struct parcel *parcel)
{
    bool packed = true;
    for (int j = 0; j < s->run->maps.opts_count && packed; j++) {
        if (!outcome->maps[j])
            continue;
        char *name = file_name(s->run, outcome, j);
        struct text *data = name ? parcel_add(parcel, "%s", name) : NULL;
        packed = data && put_map(data, s->run, outcome, j, strrchr(name, '.') + 1);
        free(name);
    }
    return packed;
}

static bool add(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel)
{
    bool added = true;
    for (int i = 0; i < parcel->count && added && !outcome->error; i++) {
        const struct item *item = &parcel->items[i];
        struct part *part = part_open(s->parts, item->name);
        added = part && part_belongs(part, outcome->input->key) &&
                part_write(part, item->data.data, item->data.length) && part_close(part);
    }
    return added;
}

/* The files stay where they are. In the marker they have the order of the pictures. */
bool recall_files(struct sinking *s, const char *key)
{
    bool taken = true;
    for (; s->outputs && taken; s->outputs = json_next(s->outputs)) {
        const char *name = json_string(json_get(s->outputs, "name"));
        const char *of = json_string(json_get(s->outputs, "key"));
        const char *digest = json_string(json_get(s->outputs, "sha256"));
        if (!of)
            continue;
        if (strcmp(of, key) != 0)
            break;
        taken = name && digest &&
                part_keep(s->parts, name, key, json_int(json_get(s->outputs, "bytes"), -1), digest);
    }
    return taken;
}

static bool finish(struct sinking *s)
{
    (void)s;
    return true;
}

static void end(struct sinking *s)
{
    (void)s;
}

const struct sink sink_files = {"files", begin, pack, NULL, add, finish, end};
