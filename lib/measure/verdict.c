/* measure/verdict.c: what the statistics mean, in words; vitx/measure.h has the rules. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "measure/stats.h"

const char *vitx_pattern_name(vitx_pattern pattern)
{
    switch (pattern) {
    case VITX_PATTERN_SINK:
        return "sink";
    case VITX_PATTERN_LOCAL:
        return "local";
    case VITX_PATTERN_GLOBAL:
        return "global";
    case VITX_PATTERN_MIXED:
        return "mixed";
    }
    return "unknown";
}

static double mean_of(const vitx_stats *s, vitx_stat stat, size_t cell)
{
    return vitx_stats_mean(s, stat)[cell];
}

static vitx_pattern pattern_of(const vitx_stats *s, size_t cell)
{
    const double distance = mean_of(s, VITX_STAT_DISTANCE, cell),
                 uniform = s->common.distance_uniform;
    if (mean_of(s, VITX_STAT_SINK, cell) >= VITX_STATS_SINK)
        return VITX_PATTERN_SINK;
    if (distance <= VITX_STATS_LOCAL * uniform)
        return VITX_PATTERN_LOCAL;
    return distance >= VITX_STATS_GLOBAL * uniform ? VITX_PATTERN_GLOBAL : VITX_PATTERN_MIXED;
}

/* Heads of one block beside each other; those before `head` are judged already. */
static void compare_heads(vitx_head_info *info, const vitx_head_info *heads, const double *cosine,
                          int head, int count)
{
    const double *row = cosine + (size_t)head * (size_t)count;
    info->twin = info->redundant_with = -1;
    info->twin_similarity = 0;
    for (int g = 0; g < count; g++) {
        if (g != head && (info->twin < 0 || row[g] > info->twin_similarity)) {
            info->twin = g;
            info->twin_similarity = row[g];
        }
        if (g < head && info->redundant_with < 0 && heads[g].redundant_with < 0 &&
            row[g] >= VITX_STATS_ALIKE)
            info->redundant_with = g;
    }
}

/* ------------------------------------------------------------------ warnings --------------- */

static void warn(vitx_stats *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(vitx_stats *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->warnings[s->warning_count++], VX_STATS_WARNING_TEXT, format, args);
    va_end(args);
}

/* Per cent, rounded down: 99.7 % is not 100 %. Whole numbers, for the locale may have its own
 * point. */
static int percent(double share)
{
    return (int)floor(share * 100 + 1e-9);
}

/* How many heads are at `limit` or above in a statistic divided by `unit`, and the one that is
 * most. */
static int count_heads(const vitx_stats *s, vitx_stat stat, double unit, double limit, size_t *most)
{
    const size_t cells = (size_t)s->arch.depth * (size_t)s->arch.heads;
    const double *mean = vitx_stats_mean(s, stat);
    int count = 0;
    *most = 0;
    for (size_t i = 0; i < cells; i++) {
        count += mean[i] >= limit * unit;
        *most = mean[i] > mean[*most] ? i : *most;
    }
    return count;
}

static void warn_of_entropy(vitx_stats *s)
{
    const double limit = log(s->common.tokens);
    const int heads = s->arch.heads, all = s->arch.depth * heads;
    size_t most;
    const int count = count_heads(s, VITX_STAT_ENTROPY, limit, VITX_STATS_DIFFUSE, &most);
    if (count * 4 >= all)
        warn(s,
             "attention is spread over everything: %d of %d heads have %d %% or more of the "
             "greatest possible entropy (most: block %d, head %d with %d %%)",
             count, all, percent(VITX_STATS_DIFFUSE), (int)most / heads, (int)most % heads,
             percent(mean_of(s, VITX_STAT_ENTROPY, most) / limit));
}

static void warn_of_focus(vitx_stats *s)
{
    const int heads = s->arch.heads, all = s->arch.depth * heads;
    size_t most;
    const int count = count_heads(s, VITX_STAT_FOCUS, 1, VITX_STATS_STUCK, &most);
    if (count)
        warn(s,
             "attention is stuck on few patches: in %d of %d heads %d of the %d patches get %d %% "
             "or more of all attention (most: block %d, head %d with %d %%)",
             count, all, s->common.few, s->common.tokens - s->common.prefix,
             percent(VITX_STATS_STUCK), (int)most / heads, (int)most % heads,
             percent(mean_of(s, VITX_STAT_FOCUS, most)));
}

static void warn_of_twins(vitx_stats *s)
{
    enum { NAMED = 3 };
    const int heads = s->arch.heads, all = s->arch.depth * heads;
    char named[160] = "";
    size_t used = 0;
    int count = 0;
    for (int i = 0; i < all; i++) {
        const int with = s->heads[i].redundant_with, layer = i / heads, head = i % heads;
        if (with < 0 || count++ >= NAMED)
            continue;
        const double cosine =
            vitx_stats_similarity(s, layer)[(size_t)head * (size_t)heads + (size_t)with];
        used += (size_t)snprintf(named + used, sizeof named - used,
                                 "%sblock %d, head %d as %d with %d.%02d", used ? "; " : "", layer,
                                 head, with, percent(cosine) / 100, percent(cosine) % 100);
    }
    if (count)
        warn(s,
             "heads are alike: %d of %d do what another of their block does, cosine 0.%d or more "
             "(%s%s)",
             count, all, percent(VITX_STATS_ALIKE), named, count > NAMED ? "; ..." : "");
}

static void warn_of_collapse(vitx_stats *s)
{
    const size_t heads = (size_t)s->arch.heads;
    const double *sink = vitx_stats_mean(s, VITX_STAT_SINK);
    double largest = 0;
    int count = 0, most = 0;
    for (int l = 0; l < s->arch.depth; l++) {
        double sum = 0;
        for (size_t h = 0; h < heads; h++)
            sum += sink[(size_t)l * heads + h];
        count += sum >= VITX_STATS_SINK * (double)heads;
        if (sum > largest) {
            largest = sum;
            most = l;
        }
    }
    if (count)
        warn(s,
             "attention has collapsed onto the class token: in %d of %d blocks the patches give it "
             "%d %% or more of theirs (most: block %d with %d %%)",
             count, s->arch.depth, percent(VITX_STATS_SINK), most,
             percent(largest / (double)heads));
}

static void warn_of_artifacts(vitx_stats *s)
{
    const vx_totals *t = &s->now;
    int blocks = 0, most = 0;
    for (int l = 0; l < s->arch.depth; l++) {
        blocks += t->count[l] > 0;
        most = t->count[l] > t->count[most] ? l : most;
    }
    if (blocks)
        warn(s,
             "artifact tokens: behind %d of %d blocks patch tokens have more than %d times the "
             "median norm (most: block %d, %lld in %lld of %lld pictures, the largest %d times)",
             blocks, s->arch.depth, (int)VITX_STATS_ARTIFACT, most, (long long)t->count[most],
             (long long)t->with[most], (long long)*t->pictures, (int)fmin(t->largest[most], 1e9));
}

void vx_stats_judge(vitx_stats *s)
{
    const size_t heads = (size_t)s->arch.heads, cells = (size_t)s->arch.depth * heads;
    for (size_t i = 0; i < VX_STAT_COUNT * cells; i++)
        s->spread[i] = sqrt(s->now.square[i] / (double)*s->now.pictures);
    for (size_t i = 0; i < cells; i++) {
        const size_t layer = i / heads;
        s->heads[i].pattern = pattern_of(s, i);
        compare_heads(&s->heads[i], &s->heads[layer * heads], vitx_stats_similarity(s, (int)layer),
                      (int)(i % heads), s->arch.heads);
    }
    s->warning_count = 0;
    warn_of_entropy(s);
    warn_of_focus(s);
    warn_of_twins(s);
    warn_of_collapse(s);
    warn_of_artifacts(s);
}
