/*
 * render/format_json.c: the raw map and what is known about it as one JSON object on one line.
 *
 *   {"image","method","target","label","logit","probability",
 *    "score","versus","value","base_value","completeness_error","forwards","explains",
 *    ["text","versus_text","text_value","empty_value","among",]
 *    "layer","head","query","shape","grid":[h,w],"picture":[h,w],"seen":[x0,y0,x1,y1],
 *    "signed","nothing","min","max","model","settings":{KEY:"VALUE"..},"flip","channels",
 *    "mask","version","values":[[..]..]}
 *
 * layer and head are a number, "all", or null where there is none; query is null for the mean over
 * the patches; explains is "class", "unit", "vector", "picture" or "text"; target is null for the
 * last three, logit for a vector and a picture, probability for all but a class and a text, and for
 * outputs that are plain numbers; text and what follows it are there for a text alone; score is
 * "logit", "probability", "difference", "cosine" or "dot", null with value where the method
 * explains none; versus is null but for a difference, base_value and completeness_error where the
 * method has no baseline; channels is null for one number per patch, mask for a map that is no
 * mask.
 */
#include <math.h>

#include "render/facts.h"
#include "render/number.h"
#include "render/render.h"

static int append_facts(vx_sink *out, const vitx_map_info *info, const vitx_render_opts *opts)
{
    VX_TRY(vx_put_quoted(out, "{\"image\":", opts->title));
    VX_TRY(vx_put_quoted(out, ",\"method\":", info->method));
    VX_TRY(vx_put_choice(out, ",\"target\":", info->target));
    VX_TRY(vx_put_quoted(out, ",\"label\":", opts->label));
    VX_TRY(vx_put_answer(out, info));
    VX_TRY(vx_sink_printf(out, ",\"forwards\":%lld", (long long)info->forwards));
    VX_TRY(vx_put_explains(out, info));
    VX_TRY(vx_put_words(out, info));
    VX_TRY(vx_put_choice(out, ",\"layer\":", info->layer));
    VX_TRY(vx_put_choice(out, ",\"head\":", info->head));
    VX_TRY(vx_put_choice(out, ",\"query\":", info->query));
    VX_TRY(vx_sink_text(out, ",\"shape\":["));
    for (int i = 0; i < info->rank; i++)
        VX_TRY(vx_sink_printf(out, i ? ",%lld" : "%lld", (long long)info->shape[i]));
    VX_TRY(vx_sink_printf(out, "],\"grid\":[%d,%d]", info->grid_height, info->grid_width));
    VX_TRY(vx_sink_printf(out, ",\"picture\":[%d,%d]", info->picture_height, info->picture_width));
    for (int i = 0; i < 4; i++)
        VX_TRY(vx_put_number(out, i ? "," : ",\"seen\":[", info->seen[i]));
    VX_TRY(vx_sink_text(out, info->is_signed ? "],\"signed\":true" : "],\"signed\":false"));
    VX_TRY(vx_sink_text(out, info->nothing ? ",\"nothing\":true" : ",\"nothing\":false"));
    VX_TRY(vx_put_number(out, ",\"min\":", (double)info->min));
    return vx_put_number(out, ",\"max\":", (double)info->max);
}

int vx_render_facts(vx_sink *out, const vx_render_job *job)
{
    const vitx_map_info *info = &job->map->info;
    VX_TRY(append_facts(out, info, &job->opts));
    VX_TRY(vx_put_quoted(out, ",\"model\":", info->model));
    VX_TRY(vx_put_settings(out, info->settings));
    VX_TRY(vx_sink_text(out, info->flip ? ",\"flip\":true" : ",\"flip\":false"));
    VX_TRY(vx_put_choice(out, ",\"channels\":", info->channels > 0 ? info->channels : -1));
    VX_TRY(vx_put_number(out, ",\"mask\":", info->mask > 0 ? info->mask : NAN));
    return vx_put_quoted(out, ",\"version\":", VITX_VERSION);
}

/* Nested as the shape: before value i stands a '[' for every axis that starts there. */
static int append_values(vx_sink *out, const vitx_map *map)
{
    const vitx_map_info *info = &map->info;
    for (size_t i = 0; i < map->count; i++) {
        size_t block = 1;
        if (i)
            VX_TRY(vx_sink_text(out, ","));
        for (int axis = info->rank - 1; axis >= 0; axis--) {
            block *= (size_t)info->shape[axis];
            if (i % block == 0)
                VX_TRY(vx_sink_text(out, "["));
        }
        VX_TRY(vx_put_number(out, "", (double)map->values[i]));
        block = 1;
        for (int axis = info->rank - 1; axis >= 0; axis--) {
            block *= (size_t)info->shape[axis];
            if ((i + 1) % block == 0)
                VX_TRY(vx_sink_text(out, "]"));
        }
    }
    return VITX_OK;
}

static int render(vx_sink *out, const vx_render_job *job)
{
    VX_TRY(vx_render_facts(out, job));
    VX_TRY(vx_sink_text(out, ",\"values\":"));
    VX_TRY(append_values(out, job->map));
    return vx_sink_text(out, "}\n");
}

const vx_format vx_format_json = {.name = "json", .render = render};
