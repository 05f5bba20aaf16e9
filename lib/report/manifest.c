/* report/manifest.c: what the page knows beside its blocks, as one JSON object;
 * docs/report-file.md has its form. */
#include <math.h>
#include <string.h>

#include "render/facts.h"
#include "render/number.h"
#include "render/stats.h"
#include "report/write.h"

static int put_int(vx_sink *out, const char *before, int value)
{
    return vx_sink_printf(out, "%s%d", before, value);
}

static int put_pair(vx_sink *out, const char *before, int a, int b)
{
    return vx_sink_printf(out, "%s[%d,%d]", before, a, b);
}

static int put_bool(vx_sink *out, const char *before, bool value)
{
    return vx_sink_printf(out, "%s%s", before, value ? "true" : "false");
}

static int put_block(vx_sink *out, const char *before, const vx_packed *block)
{
    return block->data ? vx_sink_printf(out, "%s\"vx-b%d\"", before, block->id)
                       : vx_sink_printf(out, "%snull", before);
}

/* ------------------------------------------------------------------ the model -------------- */

static int put_model(vx_sink *out, const vitx_report *r, const char *digest)
{
    vitx_model_info m = VITX_MODEL_INFO_INIT;
    char name[256];
    VX_TRY(vitx_model_get_info(&m, r->model));
    vx_model_name(name, sizeof name, r->model);
    VX_TRY(vx_put_quoted(out, ",\"model\":{\"name\":", name));
    VX_TRY(vx_sink_printf(out, ",\"digest\":\"sha256:%s\"", digest));
    VX_TRY(vx_put_quoted(out, ",\"family\":", m.family));
    VX_TRY(vx_put_quoted(out, ",\"architecture\":", m.architecture));
    VX_TRY(put_int(out, ",\"layers\":", m.depth));
    VX_TRY(put_int(out, ",\"heads\":", m.heads));
    if (m.pool_heads && m.pool_heads != m.heads)
        VX_TRY(put_int(out, ",\"pool_heads\":", m.pool_heads));
    VX_TRY(put_int(out, ",\"width\":", m.width));
    VX_TRY(put_int(out, ",\"tokens\":", m.tokens));
    VX_TRY(put_int(out, ",\"prefix\":", m.prefix_tokens));
    VX_TRY(put_int(out, ",\"registers\":", m.registers));
    VX_TRY(vx_put_quoted(out, ",\"pooling\":", m.pooling));
    VX_TRY(vx_put_quoted(out, ",\"outputs\":", vitx_outputs_name((int)m.outputs)));
    VX_TRY(put_bool(out, ",\"units\":", m.units != 0));
    VX_TRY(put_int(out, ",\"classes\":", m.classes));
    VX_TRY(put_pair(out, ",\"patch\":", m.patch_height, m.patch_width));
    VX_TRY(put_pair(out, ",\"input\":", m.recipe->input_height, m.recipe->input_width));
    VX_TRY(vx_put_quoted(out, ",\"precision\":", r->precision));
    VX_TRY(vx_put_quoted(out, ",\"device\":", r->device));
    return vx_sink_text(out, "}");
}

/* ------------------------------------------------------------------ maps ------------------- */

static bool find_method(vitx_method_info *out, const char *name)
{
    for (int i = 0; i < vitx_method_count(); i++)
        if (vitx_method_get(out, i) == VITX_OK && strcmp(out->name, name) == 0)
            return true;
    return false;
}

static int put_map(vx_sink *out, const char *before, const vx_report_map *m)
{
    const vitx_map_info *info = &m->info;
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    const bool known = find_method(&method, info->method);
    VX_TRY(vx_put_quoted(out, before, info->method));
    VX_TRY(vx_put_quoted(out, ",\"summary\":", known ? method.summary : NULL));
    VX_TRY(vx_put_choice(out, ",\"target\":", info->target));
    VX_TRY(vx_put_quoted(out, ",\"label\":", m->label));
    VX_TRY(vx_put_answer(out, info));
    VX_TRY(vx_put_explains(out, info));
    VX_TRY(vx_put_words(out, info));
    VX_TRY(vx_put_choice(out, ",\"layer\":", info->layer));
    VX_TRY(vx_put_choice(out, ",\"head\":", info->head));
    VX_TRY(vx_put_choice(out, ",\"query\":", info->query));
    VX_TRY(vx_put_settings(out, m->settings));
    VX_TRY(put_bool(out, ",\"signed\":", info->is_signed != 0));
    VX_TRY(put_bool(out, ",\"nothing\":", info->nothing != 0));
    VX_TRY(vx_put_number(out, ",\"min\":", (double)info->min));
    VX_TRY(vx_put_number(out, ",\"max\":", (double)info->max));
    VX_TRY(vx_sink_printf(out, m->colours ? ",\"shape\":[%d,%d,3]" : ",\"shape\":[%d,%d]",
                          m->height, m->width));
    VX_TRY(vx_put_quoted(out, ",\"on\":", m->on_input ? "input" : "grid"));
    VX_TRY(put_bool(out, ",\"uses_target\":", known && method.uses_target));
    VX_TRY(vx_put_quoted(out, ",\"code\":", m->code));
    VX_TRY(put_block(out, ",\"block\":", &m->block));
    VX_TRY(vx_put_number(out, ",\"smooth\":", (double)m->smooth));
    return vx_sink_text(out, "}");
}

/* ------------------------------------------------------------------ pictures --------------- */

static int put_predictions(vx_sink *out, const vitx_report *r, const vx_report_picture *p)
{
    const bool probable = vx_report_probable(r);
    VX_TRY(vx_sink_text(out, ",\"predictions\":["));
    for (int i = 0; i < p->predictions; i++) {
        const vitx_prediction *t = &p->top[i];
        VX_TRY(put_int(out, i ? ",{\"index\":" : "{\"index\":", t->index));
        VX_TRY(vx_put_quoted(out, ",\"label\":", t->label));
        VX_TRY(vx_put_number(out, ",\"logit\":", (double)t->logit));
        VX_TRY(vx_put_number(out, ",\"probability\":", probable ? (double)t->probability : NAN));
        VX_TRY(vx_sink_text(out, "}"));
    }
    if (p->norm < 0)
        return vx_sink_text(out, "],\"vector\":null");
    VX_TRY(vx_put_number(out, "],\"vector\":{\"norm\":", p->norm));
    return vx_sink_text(out, "}");
}

static int put_attention(vx_sink *out, const vx_record *r)
{
    if (r->layers == 0)
        return vx_sink_text(out, ",\"attention\":null");
    VX_TRY(vx_put_quoted(out, ",\"attention\":{\"level\":", vitx_report_level_name((int)r->level)));
    VX_TRY(vx_put_quoted(out, ",\"left_out\":", r->left_out[0] ? r->left_out : NULL));
    VX_TRY(vx_sink_text(out, ",\"layers\":["));
    for (int l = 0; l < r->layers; l++) {
        VX_TRY(put_block(out, l ? ",{\"all\":" : "{\"all\":", &r->layer[l].code[VX_WAY_ALL]));
        VX_TRY(put_block(out, ",\"mean\":", &r->layer[l].code[VX_WAY_MEAN]));
        VX_TRY(put_block(out, ",\"class\":", &r->layer[l].code[VX_WAY_ROW]));
        VX_TRY(put_block(out, ",\"fused\":", vx_record_fused(&r->layer[l])));
        VX_TRY(vx_sink_text(out, "}"));
    }
    VX_TRY(put_block(out, "],\"pool\":", &r->pool));
    VX_TRY(put_block(out, ",\"pool_fused\":", &r->pool_fused));
    return vx_sink_text(out, "}");
}

static int put_picture(vx_sink *out, const vitx_report *r, const vx_report_picture *p, int index)
{
    const vx_report_place *at = &p->place;
    VX_TRY(vx_put_quoted(out, index ? ",{\"name\":" : "{\"name\":", p->name));
    VX_TRY(put_pair(out, ",\"size\":", p->width, p->height));
    VX_TRY(put_pair(out, ",\"shown\":", p->shown_width, p->shown_height));
    VX_TRY(vx_sink_printf(out, ",\"still\":\"still-%d\"", index));
    for (int i = 0; i < 4; i++)
        VX_TRY(vx_put_number(out, i ? "," : ",\"seen\":[", at->seen[i]));
    VX_TRY(put_pair(out, "],\"grid\":", at->grid_height, at->grid_width));
    VX_TRY(put_pair(out, ",\"input\":", at->input_height, at->input_width));
    VX_TRY(put_int(out, ",\"tokens\":", vx_report_tokens(r, p)));
    VX_TRY(put_int(out, ",\"prefix\":", r->model->arch.prefix));
    VX_TRY(put_predictions(out, r, p));
    VX_TRY(vx_sink_text(out, ",\"maps\":["));
    for (const vx_report_map *m = p->maps; m; m = m->next)
        VX_TRY(put_map(out, m == p->maps ? "{\"method\":" : ",{\"method\":", m));
    VX_TRY(vx_sink_text(out, "],\"sentences\":["));
    if (p->sentences.size)
        VX_TRY(vx_sink_put(out, p->sentences.data, p->sentences.size));
    VX_TRY(vx_sink_text(out, "]"));
    VX_TRY(put_attention(out, &p->record));
    return vx_sink_text(out, "}");
}

/* ------------------------------------------------------------------ all -------------------- */

static int put_stats(vx_sink *out, const vitx_report *r)
{
    VX_TRY(vx_sink_text(out, "],\"stats\":"));
    if (r->given_stats.size)
        return vx_sink_put(out, r->given_stats.data, r->given_stats.size);
    if (!r->stats || *r->stats->now.pictures == 0)
        return vx_sink_text(out, "null");
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    opts.title = "";
    return vx_stats_json(out, r->stats, &opts);
}

static int put_absent(vx_sink *out, const vitx_report *r)
{
    VX_TRY(vx_sink_text(out, ",\"absent\":["));
    for (const vx_report_absent *a = r->absent; a; a = a->next) {
        VX_TRY(put_int(out, a == r->absent ? "{\"target\":" : ",{\"target\":", a->target));
        VX_TRY(vx_put_quoted(out, ",\"label\":", a->label));
        VX_TRY(vx_put_quoted(out, ",\"command\":", a->command));
        VX_TRY(vx_sink_text(out, "}"));
    }
    return vx_sink_text(out, "]}");
}

vitx_report_level vx_report_lowest(const vitx_report *report)
{
    vitx_report_level lowest = report->pictures ? VITX_REPORT_ALL : VITX_REPORT_NONE;
    for (const vx_report_picture *p = report->pictures; p; p = p->next) {
        const vitx_report_level level = p->record.layers ? p->record.level : VITX_REPORT_NONE;
        lowest = level > lowest ? level : lowest;
    }
    return lowest;
}

int vx_report_manifest(vx_sink *out, vitx_report *r)
{
    char digest[VITX_DIGEST_TEXT];
    int index = 0;
    VX_TRY(vitx_model_digest(digest, r->model));
    VX_TRY(vx_sink_text(out, "{\"format\":1,\"version\":\"vitx " VITX_VERSION "\""));
    VX_TRY(vx_put_quoted(out, ",\"lang\":", r->lang));
    VX_TRY(vx_put_quoted(out, ",\"title\":", r->title));
    VX_TRY(vx_put_quoted(out, ",\"command\":", r->command));
    VX_TRY(put_model(out, r, digest));
    VX_TRY(vx_sink_printf(out, ",\"embed\":{\"budget\":%lld,\"level\":\"%s\"},\"pictures\":[",
                          (long long)r->budget, vitx_report_level_name((int)vx_report_lowest(r))));
    for (const vx_report_picture *p = r->pictures; p; p = p->next)
        VX_TRY(put_picture(out, r, p, index++));
    VX_TRY(put_stats(out, r));
    return put_absent(out, r);
}
