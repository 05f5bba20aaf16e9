/* render/facts.c: see facts.h. */
#include "render/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "render/number.h"

int vx_put_choice(vx_sink *out, const char *before, int value)
{
    VX_TRY(vx_sink_text(out, before));
    if (value == VITX_ALL)
        return vx_sink_text(out, "\"all\"");
    return value < 0 ? vx_sink_text(out, "null") : vx_sink_printf(out, "%d", value);
}

int vx_put_answer(vx_sink *out, const vitx_map_info *info)
{
    static const char *const names[] = {NULL,         "logit",  "probability",
                                        "difference", "cosine", "dot"};
    const int known = (int)(sizeof names / sizeof names[0]);
    const int score = (int)info->score;
    const char *name = score >= 0 && score < known ? names[score] : NULL;
    const bool has_base = info->base_value != 0 || info->completeness_error != 0;
    const bool text = info->explains == VITX_EXPLAINED_TEXT;
    const bool probable =
        text || (info->explains == VITX_EXPLAINED_CLASS && info->outputs != VITX_OUTPUTS_NONE);
    VX_TRY(
        vx_put_number(out, ",\"logit\":", info->target < 0 && !text ? NAN : (double)info->logit));
    VX_TRY(vx_put_number(out, ",\"probability\":", probable ? (double)info->probability : NAN));
    VX_TRY(vx_put_quoted(out, ",\"score\":", name));
    VX_TRY(vx_put_choice(out, ",\"versus\":", score == VITX_SCORE_DIFFERENCE ? info->versus : -1));
    VX_TRY(vx_put_number(out, ",\"value\":", name ? info->value : NAN));
    VX_TRY(vx_put_number(out, ",\"base_value\":", has_base ? info->base_value : NAN));
    return vx_put_number(out,
                         ",\"completeness_error\":", has_base ? info->completeness_error : NAN);
}

int vx_put_explains(vx_sink *out, const vitx_map_info *info)
{
    static const char *const explains[] = {"class", "unit", "vector", "picture", "text"};
    return vx_put_quoted(out, ",\"explains\":", explains[info->explains]);
}

int vx_put_words(vx_sink *out, const vitx_map_info *info)
{
    if (info->explains != VITX_EXPLAINED_TEXT)
        return VITX_OK;
    VX_TRY(vx_put_quoted(out, ",\"text\":", info->text));
    VX_TRY(
        vx_put_quoted(out, ",\"versus_text\":", info->versus_text[0] ? info->versus_text : NULL));
    VX_TRY(vx_put_number(out, ",\"text_value\":", info->text_value));
    VX_TRY(vx_put_number(out, ",\"empty_value\":", info->empty_value));
    return vx_put_choice(out, ",\"among\":", info->among ? info->among : -1);
}

/* "key=value key=value" as an object; no value holds a blank. */
int vx_put_settings(vx_sink *out, const char *settings)
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
