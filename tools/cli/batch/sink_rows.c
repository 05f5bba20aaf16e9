/* batch/sink_rows.c: NNNNN.predictions.jsonl, a row for each picture that did not fail. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "sink.h"

static bool begin(struct sinking *s)
{
    char name[64];
    shard_name(name, sizeof name, s->shard, "predictions.jsonl");
    s->state = part_open(s->parts, name);
    return s->state != NULL;
}

static bool pack(const struct sinking *s, const struct outcome *outcome, struct parcel *parcel)
{
    struct text *row = parcel_add(parcel, "row");
    if (!row)
        return false;
    put_row(row, s->run, outcome);
    text_put(row, "\n");
    return !row->failed;
}

static bool add(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel)
{
    if (outcome->error)
        return true;
    const struct text *row = &parcel->items[0].data;
    return part_write(s->state, row->data, row->length);
}

/* The next line, which is this picture's. */
bool recall_row(struct sinking *s, const char *key)
{
    char *line = NULL;
    size_t room = 0;
    struct text begins = {0};
    text_put(&begins, "{\"key\":");
    text_json(&begins, key);
    const ssize_t n =
        old_open(s, "predictions.jsonl") && !begins.failed ? getline(&line, &room, s->old) : -1;
    const bool mine = n > 0 && (size_t)n > begins.length &&
                      strncmp(line, begins.data, begins.length) == 0 && line[n - 1] == '\n';
    const bool taken = mine && part_write(s->state, line, (size_t)n);
    text_free(&begins);
    free(line);
    return taken;
}

static bool finish(struct sinking *s)
{
    return part_close(s->state);
}

static void end(struct sinking *s)
{
    (void)s;
}

const struct sink sink_rows = {"rows", begin, pack, NULL, add, finish, end};
