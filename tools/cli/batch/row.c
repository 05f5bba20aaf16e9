/* batch/row.c: a picture's row in predictions.jsonl, which is also its KEY.json in a tar. */
#include <stdio.h>
#include <string.h>

#include "run.h"
#include "tools/cli/labels.h"
#include "tools/cli/numbers.h"

void map_name(char out[MAP_NAME], const struct run *run, int j)
{
    char target[TARGET_NAME];
    const vitx_explain_opts *opts = run->maps.opts;
    int same = 0;
    for (int i = 0; i < run->maps.opts_count; i++)
        same += strcmp(opts[i].method, opts[j].method) == 0;
    target_name(target, opts[j].target, opts[j].text ? VITX_EXPLAINED_TEXT : VITX_EXPLAINED_CLASS,
                opts[j].text);
    snprintf(out, MAP_NAME, same > 1 ? "%s.%s" : "%s", opts[j].method, target);
}

/* What explain's JSON says of a text, in its words. */
static void put_text_info(struct text *text, const vitx_map_info *info)
{
    text_put(text, "\"text\":");
    text_json(text, info->text);
    text_put(text, ",\"versus_text\":");
    text_json(text, info->versus_text[0] ? info->versus_text : NULL);
    text_put(text, ",\"text_value\":");
    text_number(text, info->text_value);
    text_put(text, ",\"empty_value\":");
    text_number(text, info->empty_value);
    text_put(text, ",\"probability\":");
    text_number(text, (double)info->probability);
    text_put(text, ",");
}

/* What is known of a map beside its values. */
static void put_map_info(struct text *text, const struct run *run, int j, const vitx_map *map)
{
    char name[MAP_NAME];
    vitx_map_info info = VITX_MAP_INFO_INIT;
    map_name(name, run, j);
    text_json(text, name);
    text_put(text, ":{");
    if (vitx_map_get_info(&info, map) == VITX_OK) {
        if (info.target >= 0) {
            text_format(text, "\"target\":%d,\"label\":", info.target);
            text_json(text, vitx_model_label(run->session.model, info.target));
            text_put(text, ",");
        }
        if (info.explains == VITX_EXPLAINED_TEXT)
            put_text_info(text, &info);
        text_put(text, "\"value\":");
        text_number(text, info.value);
        text_put(text, ",\"min\":");
        text_number(text, (double)info.min);
        text_put(text, ",\"max\":");
        text_number(text, (double)info.max);
        text_format(text, ",\"nothing\":%s", info.nothing ? "true" : "false");
    }
    text_put(text, "}");
}

void put_row(struct text *text, const struct run *run, const struct outcome *o)
{
    bool any = false;
    text_put(text, "{\"key\":");
    text_json(text, o->input->key);
    text_put(text, ",\"image\":");
    text_json(text, o->input->name);
    text_format(text, ",\"width\":%d,\"height\":%d", vitx_image_width(o->image),
                vitx_image_height(o->image));
    if (run->classifies) {
        text_put(text, ",");
        put_predictions(text, o->top, run->top, has_probabilities(&run->session));
    }
    if (run->embeds) {
        text_put(text, ",");
        put_embedding(text, o->embedding, run->session.info.classes);
    }
    if (run->explains)
        text_put(text, ",\"maps\":{");
    for (int j = 0; j < run->maps.opts_count; j++) {
        if (!o->maps[j])
            continue;
        text_put(text, any ? "," : "");
        put_map_info(text, run, j, o->maps[j]);
        any = true;
    }
    text_put(text, run->explains ? "}}" : "}");
}
