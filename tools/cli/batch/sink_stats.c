/* batch/sink_stats.c: NNNNN.stats.json, what stats says of a shard's pictures, which are added in
 * their order by one context. */
#include "sink.h"
#include "tools/cli/given.h"

static bool begin(struct sinking *s)
{
    vitx_stats *stats;
    if (vitx_stats_create(&stats, s->run->measuring) != VITX_OK) {
        complain_last(NULL);
        return false;
    }
    s->state = stats;
    return true;
}

static bool take(struct sinking *s, const struct outcome *outcome)
{
    return vitx_stats_add(s->state, &outcome->image, 1) == VITX_OK;
}

static bool add(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel)
{
    (void)s, (void)outcome, (void)parcel;
    return true;
}

static bool finish(struct sinking *s)
{
    char name[64];
    struct text text = {0};
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    opts.format = "json";
    opts.title = last_part(s->run->session.path);
    shard_name(name, sizeof name, s->shard, "stats.json");
    struct part *part = part_open(s->parts, name);
    bool put = part && vitx_stats_get_info(&info, s->state) == VITX_OK;
    if (put && info.pictures == 0)
        text_put(&text, "{\"pictures\":0}\n");
    else if (put)
        put = vitx_stats_render_write(s->state, text_write, &text, &opts) == VITX_OK;
    if (part && !put)
        complain_last(name);
    put = put && !text.failed && part_write(part, text.data, text.length) && part_close(part);
    text_free(&text);
    return put;
}

static void end(struct sinking *s)
{
    vitx_stats_free(s->state);
    s->state = NULL;
}

const struct sink sink_stats = {"stats", begin, NULL, take, add, finish, end};
