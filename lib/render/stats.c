/* render/stats.c: the public face of rendering statistics, and their heat map. */
#include "render/stats.h"

#include <stdio.h>

#include "base/file.h"
#include "base/structs.h"
#include "base/text.h"
#include "measure/stats.h"
#include "render/heat.h"
#include "render/render.h"

void vitx_stats_render_opts_init(vitx_stats_render_opts *out, size_t struct_size)
{
    const vitx_stats_render_opts full = VITX_STATS_RENDER_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

static int render_png(vx_sink *out, const vitx_stats *stats, const vitx_stats_render_opts *opts)
{
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    char subtitle[160];
    VX_TRY(vitx_stats_get_info(&info, stats));
    snprintf(subtitle, sizeof subtitle, "%.64s%s%s%lld picture%s", opts->title,
             opts->title[0] ? ", " : "", info.pictures > 1 ? "mean of " : "",
             (long long)info.pictures, info.pictures > 1 ? "s" : "");
    const vx_colormap *colormap;
    VX_TRY(vx_render_colormap(&colormap, opts->colormap));
    const vx_heat heat = {.title = vitx_stat_summary((int)opts->stat),
                          .subtitle = subtitle,
                          .across = "layer",
                          .down = "head",
                          .values = vitx_stats_mean(stats, opts->stat),
                          .rows = info.heads,
                          .columns = info.layers,
                          .row_step = 1,
                          .column_step = info.heads,
                          .colormap = colormap};
    vx_canvas canvas = {0};
    int status = vx_heat_draw(&canvas, &heat, out->hooks);
    if (status == VITX_OK)
        status = vx_canvas_png(out, &canvas, NULL);
    vx_canvas_dispose(&canvas);
    return status;
}

static const struct {
    const char *name;
    int (*render)(vx_sink *out, const vitx_stats *stats, const vitx_stats_render_opts *opts);
} forms[] = {{"png", render_png}, {"json", vx_stats_json}};

/* The whole output; path is NULL where opts must name the format. */
static int render(vx_sink *out, const vitx_stats *stats, const char *path,
                  const vitx_stats_render_opts *opts)
{
    vitx_stats_render_opts o = VITX_STATS_RENDER_OPTS_INIT;
    const vx_colormap *colormap;
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_stats_render_opts, title));
    const char *name = o.format ? o.format : path ? vx_path_ending(path) : NULL;
    if (!vitx_stat_name((int)o.stat))
        return vx_fail(VITX_INVALID, "stat %d is none of vitx_stat", (int)o.stat);
    if (*stats->now.pictures == 0)
        return vx_fail(VITX_INVALID, "no picture was added to the statistics yet");
    o.title = o.title ? o.title : "";
    o.colormap = o.colormap ? o.colormap : "viridis";
    VX_TRY(vx_render_colormap(&colormap, o.colormap));
    for (size_t i = 0; name && i < sizeof forms / sizeof forms[0]; i++)
        if (vx_same_word(name, forms[i].name))
            return forms[i].render(out, stats, &o);
    if (o.format || !path)
        return vx_fail(VITX_INVALID, "no format \"%s\" for statistics; there are png, json",
                       name ? name : "");
    return vx_fail_in(VITX_INVALID, path,
                      "the ending of the name is of no format for statistics; there are png, json");
}

int vitx_stats_render(const vitx_stats *stats, const char *path, const vitx_stats_render_opts *opts)
{
    if (!stats || !path)
        return vx_fail(VITX_INVALID, "vitx_stats_render: %s is NULL", stats ? "path" : "stats");
    vx_sink out = vx_sink_file(path, &stats->hooks);
    return vx_sink_end(&out, render(&out, stats, path, opts));
}

int vitx_stats_render_write(const vitx_stats *stats, vitx_writer *write, void *payload,
                            const vitx_stats_render_opts *opts)
{
    if (!stats || !write)
        return vx_fail(VITX_INVALID, "vitx_stats_render_write: %s is NULL",
                       stats ? "write" : "stats");
    vx_sink out = vx_sink_writer(write, payload, &stats->hooks);
    return vx_sink_end(&out, render(&out, stats, NULL, opts));
}
