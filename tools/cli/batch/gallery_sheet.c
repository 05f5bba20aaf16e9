/* cli/batch/gallery_sheet.c: see gallery_sheet.h. */
#include "tools/cli/batch/gallery_sheet.h"

#include "tools/cli/batch/gallery_page.h"
#include "tools/cli/batch/thumbnail.h"

#include <string.h>

/* ------------------------------------------------------------------ a row ------------------ */

/* [class, probability, label], of the best one; of none [-1, null, null]. */
static void put_answer(struct text *out, const vitx_prediction *top)
{
    text_format(out, "%d,", top ? top->index : -1);
    if (top)
        text_number(out, (double)top->probability);
    else
        text_put(out, "null");
    text_put(out, ",");
    text_json(out, top ? top->label : NULL);
}

/* [cosine, that of the empty text, probability] of each text; null where it is not known. */
static void put_texts(struct text *out, const struct gallery_picture *p)
{
    text_put(out, ",[");
    for (int i = 0; i < p->text_count; i++) {
        const struct gallery_text *t = &p->texts[i];
        text_put(out, i ? "," : "");
        if (!t->known) {
            text_put(out, "null");
            continue;
        }
        text_put(out, "[");
        text_number(out, t->cosine);
        text_put(out, ",");
        text_number(out, t->empty);
        text_put(out, ",");
        text_number(out, t->probability);
        text_put(out, "]");
    }
    text_put(out, "]");
}

static void put_list(struct text *out, const struct gallery_picture *p)
{
    text_put(out, "[");
    text_json(out, p->key);
    text_put(out, ",");
    text_json(out, p->error);
    text_put(out, ",");
    put_answer(out, p->top_count > 0 && p->top[0].index >= 0 ? p->top : NULL);
    if (p->text_count > 0)
        put_texts(out, p);
    text_put(out, "]");
}

static void put_top(struct text *out, const struct gallery_picture *p)
{
    text_put(out, "\"top\":[");
    for (int i = 0; i < p->top_count && p->top[i].index >= 0; i++) {
        text_put(out, i ? ",[" : "[");
        put_answer(out, p->top + i);
        text_put(out, "]");
    }
    text_put(out, "]");
}

static void put_values(struct text *out, const struct thumbnail_map *m)
{
    text_format(out, "\"signed\":%s,\"width\":%d,\"height\":%d,\"low\":",
                m->is_signed ? "true" : "false", m->width, m->height);
    text_number(out, (double)m->low);
    text_put(out, ",\"high\":");
    text_number(out, (double)m->high);
    for (int i = 0; i < 4; i++) {
        text_put(out, i ? "," : ",\"box\":[");
        text_format(out, "%.6g", m->box[i]);
    }
    text_put(out, "],\"values\":\"");
    text_add(out, m->values.data ? m->values.data : "", m->values.length);
    text_put(out, "\"");
}

/* A map that is no field of numbers is a drawing of its own. false: it cannot be drawn. */
static bool put_drawing(struct text *out, const vitx_map *map, const vitx_image *image,
                        const vitx_render_opts *opts)
{
    vitx_image *drawn = NULL;
    if (!image || vitx_render_image(&drawn, map, image, opts) != VITX_OK)
        return false;
    text_put(out, "\"drawing\":\"");
    const bool put = thumbnail_picture(out, drawn);
    text_put(out, "\"");
    vitx_image_free(drawn);
    return put;
}

static bool put_look(struct text *out, const struct gallery_picture *p, int which)
{
    struct thumbnail_map small;
    const bool values = thumbnail_map(&small, p->maps[which], p->opts + which);
    if (values)
        put_values(out, &small);
    text_free(&small.values);
    return values || put_drawing(out, p->maps[which], p->image, p->opts + which);
}

static void put_map(struct text *out, const struct gallery_picture *p, int which)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    struct text look = {0};
    if (!p->maps[which] || vitx_map_get_info(&info, p->maps[which]) != VITX_OK ||
        !put_look(&look, p, which)) {
        text_put(out, "null");
    } else {
        text_format(out, "{\"target\":%d,\"label\":", info.target);
        text_json(out, p->labels ? p->labels[which] : NULL);
        text_format(out, ",\"nothing\":%s,", info.nothing ? "true" : "false");
        text_add(out, look.data, look.length);
        text_put(out, "}");
    }
    out->failed = out->failed || look.failed;
    text_free(&look);
}

static void put_sheet(struct text *out, const struct gallery_picture *p)
{
    text_put(out, "{");
    if (p->image) {
        text_format(out, "\"size\":[%d,%d],\"picture\":\"", vitx_image_width(p->image),
                    vitx_image_height(p->image));
        if (!thumbnail_picture(out, p->image))
            out->failed = true;
        text_put(out, "\",");
    }
    put_top(out, p);
    text_put(out, ",\"maps\":[");
    for (int i = 0; i < p->map_count; i++) {
        text_put(out, i ? "," : "");
        put_map(out, p, i);
    }
    text_put(out, "]");
    if (p->report) {
        text_put(out, ",\"report\":");
        text_json(out, p->report);
    }
    text_put(out, "}");
}

bool gallery_row_make(struct gallery_row *row, const struct gallery_picture *picture)
{
    put_list(&row->list, picture);
    put_sheet(&row->sheet, picture);
    return !row->list.failed && !row->sheet.failed;
}

void gallery_row_free(struct gallery_row *row)
{
    text_free(&row->list);
    text_free(&row->sheet);
}

/* ------------------------------------------------------------------ a shard ---------------- */

void gallery_sheet_begin(struct gallery_sheet *sheet, int shard)
{
    text_format(&sheet->list, "gallery.list(%d,[", shard);
    text_format(&sheet->sheet, "gallery.sheet(%d,[", shard);
}

static void put_row(struct text *out, const struct text *row, int rows)
{
    text_put(out, rows ? ",\n" : "\n");
    text_add(out, row->data ? row->data : "", row->length);
    out->failed = out->failed || row->failed;
}

void gallery_sheet_put(struct gallery_sheet *sheet, const struct gallery_row *row)
{
    put_row(&sheet->list, &row->list, sheet->rows);
    put_row(&sheet->sheet, &row->sheet, sheet->rows);
    sheet->rows++;
}

void gallery_sheet_end(struct gallery_sheet *sheet)
{
    text_put(&sheet->list, "\n]);\n");
    text_put(&sheet->sheet, "\n]);\n");
}

void gallery_sheet_free(struct gallery_sheet *sheet)
{
    text_free(&sheet->list);
    text_free(&sheet->sheet);
    sheet->rows = 0;
}

/* ------------------------------------------------------------------ the page --------------- */

/* JSON inside an element of script, which no name may end. */
static void put_inside(struct text *out, const struct text *json)
{
    for (size_t i = 0; i < json->length; i++) {
        const char c = json->data[i];
        if (c == '<' || c == '>' || c == '&')
            text_format(out, "\\u%04x", (unsigned)c);
        else
            text_add(out, &c, 1);
    }
    out->failed = out->failed || json->failed;
}

static void put_texts_of_run(struct text *json, const struct gallery_run *run)
{
    text_put(json, "],\"texts\":[");
    for (int i = 0; i < run->text_count; i++) {
        text_put(json, i ? "," : "");
        text_json(json, run->texts[i]);
    }
    text_put(json, "],\"text_of\":[");
    for (int i = 0; i < run->map_count; i++)
        text_format(json, "%s%d", i ? "," : "", run->text_of ? run->text_of[i] : -1);
    text_put(json, "]");
}

void gallery_page(struct text *out, const struct gallery_run *run)
{
    struct text json = {0};
    text_put(&json, "{\"title\":");
    text_json(&json, run->title);
    text_put(&json, ",\"model\":");
    text_json(&json, run->model);
    text_put(&json, ",\"version\":");
    text_json(&json, vitx_version());
    text_format(&json, ",\"shards\":%d,\"probable\":%s,\"maps\":[", run->shards,
                run->probable ? "true" : "false");
    for (int i = 0; i < run->map_count; i++) {
        text_put(&json, i ? "," : "");
        text_json(&json, run->maps[i]);
    }
    put_texts_of_run(&json, run);
    text_put(&json, "}");
    text_put(out, (const char *)gallery_page_top);
    put_inside(out, &json);
    text_put(out, (const char *)gallery_page_bottom);
    text_free(&json);
}
