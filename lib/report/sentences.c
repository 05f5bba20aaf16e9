/*
 * report/sentences.c: texts whose words are shown, as JSON for the manifest:
 *
 *   {"text","method","value","empty_value","added","cut","parts":[["gap","word",relevance]..],
 *    "rest"}       gap: what lies between the word before and this one; rest: behind the last word
 */
#include <string.h>

#include "render/number.h"
#include "report/report.h"

/* Bytes start..end of a text as a JSON string. */
static int put_part(vx_sink *out, const char *before, const char *text, size_t start, size_t end,
                    const vitx_hooks *hooks)
{
    char *part;
    VX_TRY(vx_new(&part, hooks, end - start + 1, 1, "a word"));
    memcpy(part, text + start, end - start);
    const int status = vx_put_quoted(out, before, part);
    vx_release(hooks, part);
    return status;
}

static int put_sentence(vx_sink *out, const vitx_words_info *w, const vitx_hooks *hooks)
{
    size_t at = 0;
    VX_TRY(vx_put_quoted(out, "{\"text\":", w->text));
    VX_TRY(vx_put_quoted(out, ",\"method\":", w->method));
    VX_TRY(vx_put_number(out, ",\"value\":", w->value));
    VX_TRY(vx_put_number(out, ",\"empty_value\":", w->empty_value));
    VX_TRY(vx_put_number(out, ",\"added\":", w->added));
    VX_TRY(vx_sink_text(out, w->cut ? ",\"cut\":true,\"parts\":[" : ",\"cut\":false,\"parts\":["));
    for (int i = 0; i < w->count; i++) {
        const vitx_word *word = &w->words[i];
        VX_TRY(put_part(out, i ? ",[" : "[", w->text, at, word->start, hooks));
        VX_TRY(put_part(out, ",", w->text, word->start, word->end, hooks));
        VX_TRY(vx_put_number(out, ",", (double)word->relevance));
        VX_TRY(vx_sink_text(out, "]"));
        at = word->end;
    }
    VX_TRY(put_part(out, "],\"rest\":", w->text, at, strlen(w->text), hooks));
    return vx_sink_text(out, "}");
}

int vitx_report_add_words(vitx_report *report, const vitx_words *words)
{
    vitx_words_info info = VITX_WORDS_INFO_INIT;
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_words"));
    VX_TRY(vitx_words_get_info(&info, words));
    p->sentences.hooks = &report->hooks;
    const size_t before = p->sentences.size;
    vx_sink out = vx_sink_buffer(&p->sentences);
    int status = before ? vx_sink_text(&out, ",") : VITX_OK;
    if (status == VITX_OK)
        status = put_sentence(&out, &info, &report->hooks);
    if (status != VITX_OK)
        p->sentences.size = before;
    return status;
}
