/*
 * render/format_json.c: the raw map and what is known about it as one JSON object on one line.
 *
 *   {"image","method","target","label","logit","probability",
 *    "score","versus","value","base_value","completeness_error","forwards","explains",
 *    "layer","head","query","shape","grid":[h,w],"picture":[h,w],"seen":[x0,y0,x1,y1],
 *    "signed","nothing","min","max","model","settings":{KEY:"VALUE"..},"version","values":[[..]..]}
 *
 * layer and head are a number, "all", or null where there is none; query is null for the mean over
 * the patches; explains is "class", "unit", "vector" or "picture", of which target and logit are null
 * for the last two, and probability for all but the first and for outputs that are plain numbers; score is "logit", "probability",
 * "difference", "cosine" or "dot", null with value where the method explains none; versus is null but for a difference, base_value and completeness_error where the
 * method has no baseline. Nine digits give every float32 back exactly.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "render/number.h"
#include "render/render.h"

static int append(vx_buffer *out, const char *text)
{
    return vx_buffer_append(out, text, strlen(text));
}

/* A value that is not finite is null. */
static int append_number(vx_buffer *out, const char *before, double value)
{
    char text[VX_NUMBER_TEXT];
    vx_number_text(text, value, 9);
    VX_TRY(append(out, before));
    return append(out, text);
}

static int append_string(vx_buffer *out, const char *before, const char *text)
{
    VX_TRY(append(out, before));
    return text ? vx_json_quote(out, text) : append(out, "null");
}

static int append_choice(vx_buffer *out, const char *before, int value)
{
    VX_TRY(append(out, before));
    if (value == VITX_ALL)
        return append(out, "\"all\"");
    return value < 0 ? append(out, "null") : vx_buffer_printf(out, "%d", value);
}

/* What was explained; see vitx_map_info. */
static int append_score(vx_buffer *out, const vitx_map_info *info)
{
    static const char *const names[] = {NULL,         "logit",  "probability",
                                        "difference", "cosine", "dot"};
    const int known = (int)(sizeof names / sizeof names[0]);
    const int score = (int)info->score;
    const char *name = score >= 0 && score < known ? names[score] : NULL;
    const bool has_base = info->base_value != 0 || info->completeness_error != 0;
    VX_TRY(append_string(out, ",\"score\":", name));
    VX_TRY(append_choice(out, ",\"versus\":", score == VITX_SCORE_DIFFERENCE ? info->versus : -1));
    VX_TRY(append_number(out, ",\"value\":", name ? info->value : NAN));
    VX_TRY(append_number(out, ",\"base_value\":", has_base ? info->base_value : NAN));
    VX_TRY(
        append_number(out, ",\"completeness_error\":", has_base ? info->completeness_error : NAN));
    VX_TRY(vx_buffer_printf(out, ",\"forwards\":%lld", (long long)info->forwards));
    static const char *const explains[] = {"class", "unit", "vector", "picture"};
    return append_string(out, ",\"explains\":", explains[info->explains]);
}

static int append_facts(vx_buffer *out, const vitx_map_info *info, const vitx_render_opts *opts)
{
    VX_TRY(append_string(out, "{\"image\":", opts->title));
    VX_TRY(append_string(out, ",\"method\":", info->method));
    const bool probable =
        info->explains == VITX_EXPLAINED_CLASS && info->outputs != VITX_OUTPUTS_NONE;
    VX_TRY(append_choice(out, ",\"target\":", info->target));
    VX_TRY(append_string(out, ",\"label\":", opts->label));
    VX_TRY(append_number(out, ",\"logit\":", info->target < 0 ? NAN : (double)info->logit));
    VX_TRY(append_number(out, ",\"probability\":", probable ? (double)info->probability : NAN));
    VX_TRY(append_score(out, info));
    VX_TRY(append_choice(out, ",\"layer\":", info->layer));
    VX_TRY(append_choice(out, ",\"head\":", info->head));
    VX_TRY(append_choice(out, ",\"query\":", info->query));
    VX_TRY(append(out, ",\"shape\":["));
    for (int i = 0; i < info->rank; i++)
        VX_TRY(vx_buffer_printf(out, i ? ",%lld" : "%lld", (long long)info->shape[i]));
    VX_TRY(vx_buffer_printf(out, "],\"grid\":[%d,%d]", info->grid_height, info->grid_width));
    VX_TRY(
        vx_buffer_printf(out, ",\"picture\":[%d,%d]", info->picture_height, info->picture_width));
    for (int i = 0; i < 4; i++)
        VX_TRY(append_number(out, i ? "," : ",\"seen\":[", info->seen[i]));
    VX_TRY(append(out, info->is_signed ? "],\"signed\":true" : "],\"signed\":false"));
    VX_TRY(append(out, info->nothing ? ",\"nothing\":true" : ",\"nothing\":false"));
    VX_TRY(append_number(out, ",\"min\":", (double)info->min));
    return append_number(out, ",\"max\":", (double)info->max);
}

/* "key=value key=value" as an object; no value holds a blank. */
static int append_settings(vx_buffer *out, const char *settings)
{
    const char *before = ",\"settings\":{";
    char text[256];
    for (const char *p = settings; *p; before = ",") {
        const size_t length = strcspn(p, " "), key = strcspn(p, "=");
        snprintf(text, sizeof text, "%.*s", (int)key, p);
        VX_TRY(append_string(out, before, text));
        snprintf(text, sizeof text, "%.*s", (int)(length - key - 1), p + key + 1);
        VX_TRY(append_string(out, ":", text));
        p += length + (p[length] == ' ');
    }
    return append(out, *settings ? "}" : ",\"settings\":{}");
}

int vx_render_facts(vx_buffer *out, const vx_render_job *job)
{
    const vitx_map_info *info = &job->map->info;
    VX_TRY(append_facts(out, info, &job->opts));
    VX_TRY(append_string(out, ",\"model\":", info->model));
    VX_TRY(append_settings(out, info->settings));
    return append_string(out, ",\"version\":", VITX_VERSION);
}

/* Nested as the shape: before value i stands a '[' for every axis that starts there. */
static int append_values(vx_buffer *out, const vitx_map *map)
{
    const vitx_map_info *info = &map->info;
    for (size_t i = 0; i < map->count; i++) {
        size_t block = 1;
        if (i)
            VX_TRY(append(out, ","));
        for (int axis = info->rank - 1; axis >= 0; axis--) {
            block *= (size_t)info->shape[axis];
            if (i % block == 0)
                VX_TRY(append(out, "["));
        }
        VX_TRY(append_number(out, "", (double)map->values[i]));
        block = 1;
        for (int axis = info->rank - 1; axis >= 0; axis--) {
            block *= (size_t)info->shape[axis];
            if ((i + 1) % block == 0)
                VX_TRY(append(out, "]"));
        }
    }
    return VITX_OK;
}

static int render(vx_buffer *out, const vx_render_job *job)
{
    VX_TRY(vx_render_facts(out, job));
    VX_TRY(append(out, ",\"values\":"));
    VX_TRY(append_values(out, job->map));
    return append(out, "}\n");
}

const vx_format vx_format_json = {.name = "json", .render = render};
