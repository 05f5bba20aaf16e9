/* render/stats_json.c: statistics as one JSON object on one line; vitx/render.h has the form. */
#include "render/number.h"
#include "render/stats.h"

/* [[..]..] of rows x columns. */
static int put_matrix(vx_sink *out, const char *before, const double *values, int rows, int columns)
{
    VX_TRY(vx_sink_text(out, before));
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++)
            VX_TRY(vx_put_number(out, c ? "," : r ? ",[" : "[[", *values++));
        VX_TRY(vx_sink_text(out, "]"));
    }
    return vx_sink_text(out, "]");
}

static int put_statistics(vx_sink *out, const vitx_stats *s, const vitx_stats_info *info)
{
    for (int i = 0; vitx_stat_name(i); i++) {
        VX_TRY(vx_put_quoted(out, i ? "}," : ",\"statistics\":{", vitx_stat_name(i)));
        VX_TRY(put_matrix(out, ":{\"mean\":", vitx_stats_mean(s, (vitx_stat)i), info->layers,
                          info->heads));
        VX_TRY(put_matrix(out, ",\"spread\":", vitx_stats_spread(s, (vitx_stat)i), info->layers,
                          info->heads));
    }
    return vx_sink_text(out, "}}");
}

static int put_heads(vx_sink *out, const vitx_stats *s, const vitx_stats_info *info)
{
    vitx_head_info head = VITX_HEAD_INFO_INIT;
    bool any = false;
    for (int l = 0; l < info->layers; l++) {
        for (int h = 0; h < info->heads; h++) {
            VX_TRY(vitx_stats_head(&head, s, l, h));
            VX_TRY(vx_put_quoted(out,
                                 h   ? ","
                                 : l ? ",["
                                     : ",\"patterns\":[[",
                                 vitx_pattern_name(head.pattern)));
        }
        VX_TRY(vx_sink_text(out, "]"));
    }
    for (int l = 0; l < info->layers; l++)
        VX_TRY(put_matrix(out, l ? "," : "],\"similarity\":[", vitx_stats_similarity(s, l),
                          info->heads, info->heads));
    VX_TRY(vx_sink_text(out, "],\"redundant\":["));
    for (int i = 0; i < info->layers * info->heads; i++) {
        const int l = i / info->heads, h = i % info->heads;
        VX_TRY(vitx_stats_head(&head, s, l, h));
        if (head.redundant_with < 0)
            continue;
        VX_TRY(vx_sink_printf(out, "%s{\"layer\":%d,\"head\":%d,\"with\":%d", any ? "," : "", l, h,
                              head.redundant_with));
        VX_TRY(vx_put_number(
            out, ",\"cosine\":",
            vitx_stats_similarity(
                s, l)[(size_t)h * (size_t)info->heads + (size_t)head.redundant_with]));
        VX_TRY(vx_sink_text(out, "}"));
        any = true;
    }
    return vx_sink_text(out, "]");
}

static int put_artifacts(vx_sink *out, const vitx_stats *s, const vitx_stats_info *info)
{
    for (int l = 0; l < info->layers; l++) {
        vitx_artifacts a = VITX_ARTIFACTS_INIT;
        bool any = false;
        VX_TRY(vitx_stats_artifacts(&a, s, l));
        VX_TRY(vx_sink_printf(out, "%s{\"layer\":%d,\"count\":%lld,\"pictures\":%lld",
                              l ? "," : ",\"artifacts\":[", l, (long long)a.count,
                              (long long)a.pictures));
        VX_TRY(vx_put_number(out, ",\"largest\":", a.largest));
        VX_TRY(vx_put_number(out, ",\"median\":", a.median));
        VX_TRY(vx_sink_text(out, ",\"positions\":["));
        for (int i = 0; i < info->grid_height * info->grid_width; i++) {
            if (a.positions[i] == 0)
                continue;
            VX_TRY(vx_sink_printf(out, "%s[%d,%d,%lld]", any ? "," : "", i / info->grid_width,
                                  i % info->grid_width, (long long)a.positions[i]));
            any = true;
        }
        VX_TRY(vx_sink_text(out, "]}"));
    }
    return vx_sink_text(out, "]");
}

int vx_stats_json(vx_sink *out, const vitx_stats *stats, const vitx_stats_render_opts *opts)
{
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    VX_TRY(vitx_stats_get_info(&info, stats));
    VX_TRY(vx_put_quoted(out, "{\"model\":", opts->title));
    VX_TRY(vx_sink_printf(out,
                          ",\"pictures\":%lld,\"layers\":%d,\"heads\":%d,\"tokens\":%d,"
                          "\"prefix_tokens\":%d,\"grid\":[%d,%d],\"patch\":[%d,%d]",
                          (long long)info.pictures, info.layers, info.heads, info.tokens,
                          info.prefix_tokens, info.grid_height, info.grid_width, info.patch_height,
                          info.patch_width));
    VX_TRY(vx_put_number(out, ",\"entropy_limit\":", info.entropy_limit));
    VX_TRY(vx_put_number(out, ",\"distance_uniform\":", info.distance_uniform));
    VX_TRY(put_statistics(out, stats, &info));
    VX_TRY(put_heads(out, stats, &info));
    VX_TRY(put_artifacts(out, stats, &info));
    VX_TRY(vx_sink_text(out, ",\"warnings\":["));
    for (int i = 0; i < info.warnings; i++)
        VX_TRY(vx_put_quoted(out, i ? "," : "", vitx_stats_warning(stats, i)));
    return vx_sink_text(out, "]}\n");
}
