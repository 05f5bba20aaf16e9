/*
 * render/format_json.c: the raw map and what is known about it as one JSON object on one line.
 *
 *   {"image","method","target","label","logit","probability",
 *    "score","versus","value","base_value","completeness_error","forwards","explains",
 *    "layer","head","query","shape","grid":[h,w],"picture":[h,w],"seen":[x0,y0,x1,y1],
 *    "signed","nothing","min","max","model","settings":{KEY:"VALUE"..},"flip","channels",
 *    "mask","version","values":[[..]..]}
 *
 * layer and head are a number, "all", or null where there is none; query is null for the mean over
 * the patches; explains is "class", "unit", "vector" or "picture", of which target and logit are
 * null for the last two, and probability for all but the first and for outputs that are plain
 * numbers; score is "logit", "probability", "difference", "cosine" or "dot", null with value where
 * the method explains none; versus is null but for a difference, base_value and completeness_error
 * where the method has no baseline; channels is null for one number per patch, mask
 * for a map that is no mask.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "render/number.h"
#include "render/render.h"

static int append_choice(vx_sink *out, const char *before, int value)
{
    VX_TRY(vx_sink_text(out, before));
    if (value == VITX_ALL)
        return vx_sink_text(out, "\"all\"");
    return value < 0 ? vx_sink_text(out, "null") : vx_sink_printf(out, "%d", value);
}

/* What was explained; see vitx_map_info. */
static int append_score(vx_sink *out, const vitx_map_info *info)
{
    static const char *const names[] = {NULL,         "logit",  "probability",
                                        "difference", "cosine", "dot"};
    const int known = (int)(sizeof names / sizeof names[0]);
    const int score = (int)info->score;
    const char *name = score >= 0 && score < known ? names[score] : NULL;
    const bool has_base = info->base_value != 0 || info->completeness_error != 0;
    VX_TRY(vx_put_quoted(out, ",\"score\":", name));
    VX_TRY(append_choice(out, ",\"versus\":", score == VITX_SCORE_DIFFERENCE ? info->versus : -1));
    VX_TRY(vx_put_number(out, ",\"value\":", name ? info->value : NAN));
    VX_TRY(vx_put_number(out, ",\"base_value\":", has_base ? info->base_value : NAN));
    VX_TRY(
        vx_put_number(out, ",\"completeness_error\":", has_base ? info->completeness_error : NAN));
    VX_TRY(vx_sink_printf(out, ",\"forwards\":%lld", (long long)info->forwards));
    static const char *const explains[] = {"class", "unit", "vector", "picture"};
    return vx_put_quoted(out, ",\"explains\":", explains[info->explains]);
}

static int append_facts(vx_sink *out, const vitx_map_info *info, const vitx_render_opts *opts)
{
    VX_TRY(vx_put_quoted(out, "{\"image\":", opts->title));
    VX_TRY(vx_put_quoted(out, ",\"method\":", info->method));
    const bool probable =
        info->explains == VITX_EXPLAINED_CLASS && info->outputs != VITX_OUTPUTS_NONE;
    VX_TRY(append_choice(out, ",\"target\":", info->target));
    VX_TRY(vx_put_quoted(out, ",\"label\":", opts->label));
    VX_TRY(vx_put_number(out, ",\"logit\":", info->target < 0 ? NAN : (double)info->logit));
    VX_TRY(vx_put_number(out, ",\"probability\":", probable ? (double)info->probability : NAN));
    VX_TRY(append_score(out, info));
    VX_TRY(append_choice(out, ",\"layer\":", info->layer));
    VX_TRY(append_choice(out, ",\"head\":", info->head));
    VX_TRY(append_choice(out, ",\"query\":", info->query));
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

/* "key=value key=value" as an object; no value holds a blank. */
static int append_settings(vx_sink *out, const char *settings)
{
    const char *before = ",\"settings\":{";
    char text[256];
    for (const char *p = settings; *p; before = ",") {
        const size_t length = strcspn(p, " "), key = strcspn(p, "=");
        snprintf(text, sizeof text, "%.*s", (int)key, p);
        VX_TRY(vx_put_quoted(out, before, text));
        snprintf(text, sizeof text, "%.*s", (int)(length - key - 1), p + key + 1);
        VX_TRY(vx_put_quoted(out, ":", text));
        p += length + (p[length] == ' ');
    }
    return vx_sink_text(out, *settings ? "}" : ",\"settings\":{}");
}

int vx_render_facts(vx_sink *out, const vx_render_job *job)
{
    const vitx_map_info *info = &job->map->info;
    VX_TRY(append_facts(out, info, &job->opts));
    VX_TRY(vx_put_quoted(out, ",\"model\":", info->model));
    VX_TRY(append_settings(out, info->settings));
    VX_TRY(vx_sink_text(out, info->flip ? ",\"flip\":true" : ",\"flip\":false"));
    VX_TRY(append_choice(out, ",\"channels\":", info->channels > 0 ? info->channels : -1));
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
