/* measure/stats_info.c: what a collection of attention statistics says of itself. */
#include <math.h>

#include "base/structs.h"
#include "measure/stats.h"

static const struct {
    const char *name, *summary;
} names[VX_STAT_COUNT] = {
    {"entropy", "entropy of the rows, nats"},
    {"distance", "attention distance, pixels"},
    {"gini", "Gini coefficient of the rows"},
    {"top10", "share of the top 10 % of the keys"},
    {"prefix", "share of the prefix tokens"},
    {"sink", "share that the patches give the class token"},
    {"similarity", "mean cosine with the other heads of the block"},
    {"focus", "share of the 2 % of the patches that get most"},
};

const char *vitx_stat_name(int index)
{
    return index >= 0 && index < VX_STAT_COUNT ? names[index].name : NULL;
}

const char *vitx_stat_summary(int index)
{
    return index >= 0 && index < VX_STAT_COUNT ? names[index].summary : NULL;
}

void vitx_stats_info_init(vitx_stats_info *out, size_t struct_size)
{
    const vitx_stats_info full = VITX_STATS_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_head_info_init(vitx_head_info *out, size_t struct_size)
{
    const vitx_head_info full = VITX_HEAD_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_artifacts_init(vitx_artifacts *out, size_t struct_size)
{
    const vitx_artifacts full = VITX_ARTIFACTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vitx_stats_get_info(vitx_stats_info *out, const vitx_stats *stats)
{
    const vitx_stats *s = stats;
    if (!out || !s)
        return vx_fail(VITX_INVALID, "vitx_stats_get_info: an argument is NULL");
    vitx_stats_info info = {.pictures = *s->now.pictures,
                            .layers = s->arch.depth,
                            .heads = s->arch.heads,
                            .tokens = s->common.tokens,
                            .prefix_tokens = s->arch.prefix,
                            .grid_height = s->arch.grid_height,
                            .grid_width = s->arch.grid_width,
                            .patch_height = s->arch.patch_height,
                            .patch_width = s->arch.patch_width,
                            .entropy_limit = log(s->common.tokens),
                            .distance_uniform = s->common.distance_uniform,
                            .warnings = s->warning_count};
    for (int l = 0; l < s->arch.depth; l++)
        info.artifacts += s->now.count[l];
    return VX_STRUCT_WRITE(out, &info, vitx_stats_info, warnings);
}

static const double *values_of(const double *values, const vitx_stats *s, vitx_stat stat)
{
    const size_t cells = (size_t)s->arch.depth * (size_t)s->arch.heads;
    const int index = (int)stat;
    return index >= 0 && index < VX_STAT_COUNT ? values + (size_t)index * cells : NULL;
}

const double *vitx_stats_mean(const vitx_stats *stats, vitx_stat stat)
{
    return stats ? values_of(stats->now.mean, stats, stat) : NULL;
}

const double *vitx_stats_spread(const vitx_stats *stats, vitx_stat stat)
{
    return stats ? values_of(stats->spread, stats, stat) : NULL;
}

const double *vitx_stats_similarity(const vitx_stats *stats, int layer)
{
    if (!stats || layer < 0 || layer >= stats->arch.depth)
        return NULL;
    const size_t heads = (size_t)stats->arch.heads;
    return stats->now.cosine + (size_t)layer * heads * heads;
}

static int check_layer(const vitx_stats *s, int layer)
{
    if (layer < 0 || layer >= s->arch.depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                       layer, s->arch.depth - 1);
    if (*s->now.pictures == 0)
        return vx_fail(VITX_INVALID, "no picture was added to the statistics yet");
    return VITX_OK;
}

int vitx_stats_head(vitx_head_info *out, const vitx_stats *stats, int layer, int head)
{
    if (!out || !stats)
        return vx_fail(VITX_INVALID, "vitx_stats_head: an argument is NULL");
    VX_TRY(check_layer(stats, layer));
    if (head < 0 || head >= stats->arch.heads)
        return vx_fail(VITX_INVALID, "head %d is out of range: the model has heads 0 to %d", head,
                       stats->arch.heads - 1);
    const vitx_head_info *info =
        &stats->heads[(size_t)layer * (size_t)stats->arch.heads + (size_t)head];
    return VX_STRUCT_WRITE(out, info, vitx_head_info, redundant_with);
}

int vitx_stats_artifacts(vitx_artifacts *out, const vitx_stats *stats, int layer)
{
    if (!out || !stats)
        return vx_fail(VITX_INVALID, "vitx_stats_artifacts: an argument is NULL");
    VX_TRY(check_layer(stats, layer));
    const vx_totals *t = &stats->now;
    const vitx_artifacts info = {.count = t->count[layer],
                                 .pictures = t->with[layer],
                                 .largest = t->largest[layer],
                                 .median = t->median[layer],
                                 .positions = t->places + (size_t)layer * vx_stats_patches(stats)};
    return VX_STRUCT_WRITE(out, &info, vitx_artifacts, positions);
}

const char *vitx_stats_warning(const vitx_stats *stats, int index)
{
    return stats && index >= 0 && index < stats->warning_count ? stats->warnings[index] : NULL;
}
