/* batch/sink_pages.c: a report page for each picture, DIR/pages/KEY.html, of what the run has: its
 * maps and its answer. Attention is not in it: that would take one more run of the model. */
#include <stdio.h>

#include "sink.h"
#include <vitx/report.h>

enum { MOST_TOP = 100 }; /* classes that a page takes */

static bool begin(struct sinking *s)
{
    (void)s;
    return true;
}

static bool add_answer(vitx_report *report, const struct run *run, const struct outcome *o)
{
    const int top = run->top < MOST_TOP ? run->top : MOST_TOP;
    if (run->classifies)
        return vitx_report_add_predictions(report, o->top, top) == VITX_OK;
    if (run->embeds)
        return vitx_report_add_embedding(report, o->embedding, run->session.info.classes) ==
               VITX_OK;
    return true;
}

static bool fill(vitx_report *report, const struct run *run, const struct outcome *o)
{
    bool filled = vitx_report_add(report, o->image, o->input->name) == VITX_OK;
    for (int j = 0; j < run->maps.opts_count && filled; j++)
        if (o->maps[j])
            filled = vitx_report_add_map(report, o->maps[j], NULL) == VITX_OK;
    return filled && add_answer(report, run, o);
}

static bool pack(const struct sinking *s, const struct outcome *o, struct parcel *parcel)
{
    vitx_report *report = NULL;
    struct text *page = parcel_add(parcel, "pages/%s.html", o->input->key);
    const bool packed = page &&
                        vitx_report_create(&report, s->run->session.model, NULL) == VITX_OK &&
                        fill(report, s->run, o) &&
                        vitx_report_write(report, text_write, page) == VITX_OK && !page->failed;
    vitx_report_free(report);
    return packed;
}

static bool add(struct sinking *s, const struct outcome *o, const struct parcel *parcel)
{
    if (o->error)
        return true;
    const struct item *item = &parcel->items[0];
    struct part *part = part_open(s->parts, item->name);
    return part && part_belongs(part, o->input->key) &&
           part_write(part, item->data.data, item->data.length) && part_close(part);
}

static bool finish(struct sinking *s)
{
    (void)s;
    return true;
}

static void end(struct sinking *s)
{
    (void)s;
}

const struct sink sink_pages = {"pages", begin, pack, NULL, add, finish, end};
