/* batch/lines.c: see lines.h. */
#include "lines.h"

#include <stdio.h>

#include "tools/cli/progress.h"

enum { JSON_MS = 500 };

void lines_begin(struct lines *l, const struct common *common, enum lines_form form, int total)
{
    *l = (struct lines){.form = form, .common = *common, .total = total};
    l->common.quiet |= form != LINES_AUTO || total < 0;
    l->began = now_ms();
    progress_begin(&l->common, total > 0 ? total : 1, 1, NULL);
}

/* One line, as a whole. */
static void say(struct lines *l, int shard, double now)
{
    const double s = (now - l->began) / 1e3, rate = s > 0 ? (l->done - l->before) / s : 0;
    char total[16] = "null", eta[32] = "null", line[256];
    if (l->total >= 0)
        snprintf(total, sizeof total, "%d", l->total);
    if (l->total >= 0 && rate > 0)
        snprintf(eta, sizeof eta, "%.1f", (l->total - l->done) / rate);
    else if (l->total == l->done)
        snprintf(eta, sizeof eta, "0.0");
    snprintf(line, sizeof line,
             "{\"done\":%d,\"failed\":%d,\"total\":%s,\"rate\":%.3f,\"eta_s\":%s,\"shard\":%d}\n",
             l->done, l->failed, total, rate, eta, shard);
    fputs(line, stderr);
    fflush(stderr);
    l->said = now;
}

void lines_skip(struct lines *l, int done, int failed)
{
    l->done += done;
    l->before += done;
    l->failed += failed;
}

void lines_step(struct lines *l, int shard, bool failed, const char *name)
{
    const double now = now_ms();
    l->done++;
    l->failed += failed;
    progress_step(l->done, 1, name);
    if (l->form == LINES_JSON && now - l->said >= JSON_MS)
        say(l, shard, now);
}

void lines_take_back(struct lines *l, int done, int failed)
{
    l->done -= done;
    l->failed -= failed;
}

void lines_end(struct lines *l, int shard)
{
    progress_hide();
    if (l->form == LINES_JSON)
        say(l, shard, now_ms());
}
