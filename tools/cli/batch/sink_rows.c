/* batch/sink_rows.c: NNNNN.predictions.jsonl, a row for each picture that did not fail. */
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
    const struct text *row = &parcel->items[0].data;
    return outcome->error || part_write(s->state, row->data, row->length);
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
