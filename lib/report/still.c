/* report/still.c: what can be read without a script: photo, first map, predictions. */
#include <math.h>

#include "render/number.h"
#include "report/escape.h"
#include "report/write.h"

static int put_data(vx_sink *out, const char *type, const vx_packed *data)
{
    VX_TRY(vx_sink_printf(out, " href=\"data:image/%s;base64,", type));
    VX_TRY(vx_base64(out, data->data, data->bytes));
    return vx_sink_text(out, "\"");
}

static int put_attribute(vx_sink *out, const char *name, double value)
{
    char text[VX_NUMBER_TEXT];
    vx_number_text(text, value, 7);
    return vx_sink_printf(out, " %s=\"%s\"", name, text);
}

/* Over the part that the model saw, in pixels of the embedded photo. */
static int put_first(vx_sink *out, const vx_report_picture *p)
{
    const double *seen = p->place.seen;
    const double x = (double)p->shown_width / p->width, y = (double)p->shown_height / p->height;
    VX_TRY(vx_sink_text(out, "\n<image class=\"first\""));
    VX_TRY(put_data(out, "png", &p->first));
    VX_TRY(put_attribute(out, "x", seen[0] * x));
    VX_TRY(put_attribute(out, "y", seen[1] * y));
    VX_TRY(put_attribute(out, "width", (seen[2] - seen[0]) * x));
    VX_TRY(put_attribute(out, "height", (seen[3] - seen[1]) * y));
    return vx_sink_text(out, " preserveAspectRatio=\"none\" opacity=\"0.6\"/>");
}

static int put_photo(vx_sink *out, const vx_report_picture *p)
{
    VX_TRY(vx_sink_printf(out,
                          "<svg class=\"photo\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                          p->shown_width, p->shown_height));
    VX_TRY(vx_html_text(out, p->name));
    VX_TRY(vx_sink_text(out, "\">\n<image class=\"base\""));
    VX_TRY(put_data(out, "jpeg", &p->jpeg));
    VX_TRY(vx_sink_printf(out, " width=\"%d\" height=\"%d\"/>", p->shown_width, p->shown_height));
    if (p->first.data)
        VX_TRY(put_first(out, p));
    return vx_sink_text(out, "\n</svg>\n");
}

static int put_caption(vx_sink *out, const vx_report_map *m)
{
    static const char *const explains[] = {"class", "unit", "a vector", "a picture", "a text"};
    VX_TRY(vx_sink_text(out, "<p class=\"caption\">"));
    VX_TRY(vx_html_text(out, m->info.method));
    VX_TRY(vx_sink_printf(out, ", %s", explains[m->info.explains]));
    if (m->info.target >= 0)
        VX_TRY(vx_sink_printf(out, " %d", m->info.target));
    if (m->label) {
        VX_TRY(vx_sink_text(out, " <bdi>"));
        VX_TRY(vx_html_text(out, m->label));
        VX_TRY(vx_sink_text(out, "</bdi>"));
    }
    return vx_sink_text(out, "</p>\n");
}

static int put_row(vx_sink *out, const vitx_prediction *top, bool probable)
{
    char text[VX_NUMBER_TEXT];
    vx_number_text(text, probable ? 100 * (double)top->probability : (double)top->logit, 4);
    VX_TRY(vx_sink_text(out, "<tr><td><bdi>"));
    if (top->label)
        VX_TRY(vx_html_text(out, top->label));
    return vx_sink_printf(out, "</bdi></td><td>%d</td><td>%s%s</td></tr>\n", top->index, text,
                          probable ? " %" : "");
}

static int put_predictions(vx_sink *out, const vitx_report *r, const vx_report_picture *p)
{
    const bool probable = vx_report_probable(r);
    if (p->predictions == 0)
        return VITX_OK;
    VX_TRY(vx_sink_printf(out,
                          "<table class=\"predictions\"><caption>What the model answers</caption>\n"
                          "<thead><tr><th scope=\"col\">Label</th><th scope=\"col\">Class</th>"
                          "<th scope=\"col\">%s</th></tr></thead>\n<tbody>\n",
                          probable ? "Probability" : "Value"));
    for (int i = 0; i < p->predictions; i++)
        VX_TRY(put_row(out, &p->top[i], probable));
    return vx_sink_text(out, "</tbody></table>\n");
}

int vx_report_still(vx_sink *out, const vitx_report *report, const vx_report_picture *p, int index)
{
    VX_TRY(vx_sink_printf(out, "<section class=\"still\" id=\"still-%d\">\n<h2><bdi>", index));
    VX_TRY(vx_html_text(out, p->name));
    VX_TRY(vx_sink_text(out, "</bdi></h2>\n"));
    VX_TRY(put_photo(out, p));
    if (p->maps)
        VX_TRY(put_caption(out, p->maps));
    VX_TRY(put_predictions(out, report, p));
    return vx_sink_text(out, "</section>\n");
}
