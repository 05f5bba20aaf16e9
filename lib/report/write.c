/*
 * report/write.c: the file.
 *
 *      head      policy, title, style sheet
 *      body      constant part, one section for each picture (still.c), constant part
 *      data      the manifest, then the maps of the first picture
 *      script    here already: it shows the first map while the browser reads on
 *      data      all other blocks
 */
#include "report/write.h"

#include "base/structs.h"
#include "render/stats.h"
#include "report/escape.h"
#include "report/page.h"

/* ------------------------------------------------------------------ blocks ----------------- */

typedef int each_block(void *payload, vx_packed *block);

static int visit(each_block *each, void *payload, vx_packed *block)
{
    return block->data ? each(payload, block) : VITX_OK;
}

static int visit_maps(const vx_report_picture *p, each_block *each, void *payload)
{
    for (vx_report_map *m = p->maps; m; m = m->next)
        VX_TRY(visit(each, payload, &m->block));
    return VITX_OK;
}

/* All but the maps of the first picture, in the order of the file: maps, then attention from the
 * last block on, which the page shows first. */
static int visit_rest(const vitx_report *r, each_block *each, void *payload)
{
    for (vx_report_picture *p = r->pictures; p; p = p->next) {
        if (p != r->pictures)
            VX_TRY(visit_maps(p, each, payload));
        VX_TRY(visit(each, payload, &p->record.pool));
        VX_TRY(visit(each, payload, &p->record.pool_fused));
        for (int l = p->record.layers - 1; l >= 0; l--) {
            vx_report_layer *layer = &p->record.layer[l];
            VX_TRY(visit(each, payload, &layer->code[VX_WAY_ROW]));
            VX_TRY(visit(each, payload, &layer->code[VX_WAY_MEAN]));
            VX_TRY(visit(each, payload, &layer->code[VX_WAY_ALL]));
            VX_TRY(visit(each, payload, vx_record_fused(layer)));
        }
    }
    return VITX_OK;
}

static int number_block(void *payload, vx_packed *block)
{
    int *next = payload;
    block->id = (*next)++;
    return VITX_OK;
}

static int put_block(void *payload, vx_packed *block)
{
    vx_sink *out = payload;
    VX_TRY(
        vx_sink_printf(out, "<script type=\"application/octet-stream\" id=\"vx-b%d\">", block->id));
    VX_TRY(vx_base64(out, block->data, block->bytes));
    return vx_sink_text(out, "</script>\n");
}

/* ------------------------------------------------------------------ the file --------------- */

static int put_head(vx_sink *out, const vitx_report *r, const vx_page *page)
{
    const vx_page_data *d = &vx_page_embedded;
    VX_TRY(vx_sink_printf(out,
                          "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"viewport\" content=\"width=device-width, "
                          "initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" "
                          "content=\"",
                          r->lang ? r->lang : "en"));
    VX_TRY(vx_sink_text(out, d->policy));
    VX_TRY(vx_sink_text(out, "\">\n<meta name=\"generator\" content=\"vitx " VITX_VERSION
                             "\">\n<title>"));
    VX_TRY(vx_html_text(out, r->title));
    VX_TRY(vx_sink_text(out, "</title>\n<style>"));
    VX_TRY(vx_sink_put(out, page->css, d->css));
    return vx_sink_text(out, "</style>\n</head>\n<body>\n");
}

static int put_manifest(vx_sink *out, vitx_report *r)
{
    vx_script_json state;
    vx_sink json = vx_script_json_sink(&state, out);
    VX_TRY(vx_sink_text(out, "<script type=\"application/json\" id=\"vx-report\">"));
    VX_TRY(vx_report_manifest(&json, r));
    VX_TRY(vx_script_json_end(&state));
    return vx_sink_text(out, "</script>\n");
}

static int put_file(vx_sink *out, vitx_report *r, const vx_page *page)
{
    const vx_page_data *d = &vx_page_embedded;
    int index = 0;
    VX_TRY(put_head(out, r, page));
    VX_TRY(vx_sink_put(out, page->top, d->top));
    for (const vx_report_picture *p = r->pictures; p; p = p->next)
        VX_TRY(vx_report_still(out, r, p, index++));
    VX_TRY(vx_sink_put(out, page->bottom, d->bottom));
    VX_TRY(put_manifest(out, r));
    VX_TRY(visit_maps(r->pictures, put_block, out));
    VX_TRY(vx_sink_text(out, "<script>"));
    VX_TRY(vx_sink_put(out, page->script, d->script));
    VX_TRY(vx_sink_text(out, "</script>\n"));
    VX_TRY(visit_rest(r, put_block, out));
    return vx_sink_text(out, "</body>\n</html>\n");
}

/* Everything is decided, and every block has its number. */
static int finish(vitx_report *r)
{
    int next = 0;
    for (vx_report_picture *p = r->pictures; p; p = p->next) {
        /* A picture that cannot be run (65535 x 1) must not cost the others their page. */
        if (vx_report_default_place(r, p) != VITX_OK)
            vx_report_place_whole(r, p);
        vx_record_settle(&p->record, &r->hooks);
    }
    VX_TRY(visit_maps(r->pictures, number_block, &next));
    return visit_rest(r, number_block, &next);
}

static int write_report(vx_sink *out, vitx_report *r)
{
    vx_page page;
    if (!r->pictures)
        return vx_fail(VITX_INVALID, "a report without a picture");
    VX_TRY(finish(r));
    vx_hashing_wait(&r->hashing);
    VX_TRY(vx_page_open(&page, &r->hooks));
    const int status = put_file(out, r, &page);
    vx_page_close(&page, &r->hooks);
    return status;
}

static int end(vitx_report *r, vx_sink *out, int status)
{
    status = vx_sink_end(out, status);
    if (status == VITX_OK)
        r->written = (int64_t)out->put;
    return status;
}

int vitx_report_save(vitx_report *report, const char *path)
{
    if (!report || !path)
        return vx_fail(VITX_INVALID, "vitx_report_save: %s is NULL", report ? "path" : "report");
    vx_sink out = vx_sink_file(path, &report->hooks);
    return end(report, &out, write_report(&out, report));
}

int vitx_report_write(vitx_report *report, vitx_writer *write, void *payload)
{
    if (!report || !write)
        return vx_fail(VITX_INVALID, "vitx_report_write: %s is NULL", report ? "write" : "report");
    vx_sink out = vx_sink_writer(write, payload, &report->hooks);
    return end(report, &out, write_report(&out, report));
}

/* ------------------------------------------------------------------ what it holds ---------- */

int vitx_report_get_info(vitx_report_info *out, vitx_report *report)
{
    if (!out || !report)
        return vx_fail(VITX_INVALID, "vitx_report_get_info: an argument is NULL");
    vitx_report_info info = {.pictures = report->count, .left_out = "", .bytes = report->written};
    for (vx_report_picture *p = report->pictures; p; p = p->next) {
        vx_record_settle(&p->record, &report->hooks);
        if (p->record.left_out[0])
            info.left_out = p->record.left_out;
    }
    info.level = vx_report_lowest(report);
    return VX_STRUCT_WRITE(out, &info, vitx_report_info, bytes);
}

int vitx_report_add_stats(vitx_report *report, const vitx_stats *stats)
{
    if (!report || !stats)
        return vx_fail(VITX_INVALID, "vitx_report_add_stats: %s is NULL",
                       report ? "stats" : "report");
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    vx_buffer text = {.hooks = &report->hooks};
    vx_sink json = vx_sink_buffer(&text);
    opts.title = "";
    int status = *stats->now.pictures > 0
                     ? vx_stats_json(&json, stats, &opts)
                     : vx_fail(VITX_INVALID, "no picture was added to the statistics yet");
    if (status != VITX_OK) {
        vx_buffer_dispose(&text);
        return status;
    }
    vx_buffer_dispose(&report->given_stats);
    report->given_stats = text;
    return VITX_OK;
}
