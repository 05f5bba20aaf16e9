/* report/escape.c: see escape.h. */
#include "report/escape.h"

#include <string.h>

#include "base/json.h"

/* ------------------------------------------------------------------ JSON ------------------- */

static bool is_special(unsigned char c)
{
    return c == '<' || c == '>' || c == '&' || c == 0xe2;
}

/* U+2028 and U+2029 are E2 80 A8 and E2 80 A9; a character may come in two pieces. */
static int take_json(void *payload, const void *data, size_t bytes)
{
    vx_script_json *s = payload;
    const unsigned char *p = data, *const end = p + bytes;
    while (p < end) {
        const unsigned char *from = p;
        if (s->count == 2 && (*p == 0xa8 || *p == 0xa9)) {
            s->count = 0;
            VX_TRY(vx_sink_text(s->out, *p++ == 0xa8 ? "\\u2028" : "\\u2029"));
            continue;
        }
        if (s->count == 1 && *p == 0x80) {
            s->held[s->count++] = *p++;
            continue;
        }
        VX_TRY(vx_script_json_end(s)); /* another character */
        while (p < end && !is_special(*p))
            p++;
        VX_TRY(vx_sink_put(s->out, from, (size_t)(p - from)));
        if (p < end && *p == 0xe2)
            s->held[s->count++] = *p++;
        else if (p < end)
            VX_TRY(vx_sink_printf(s->out, "\\u%04x", (unsigned)*p++));
    }
    return VITX_OK;
}

int vx_script_json_end(vx_script_json *s)
{
    const size_t count = (size_t)s->count;
    s->count = 0;
    return count ? vx_sink_put(s->out, s->held, count) : VITX_OK;
}

vx_sink vx_script_json_sink(vx_script_json *state, vx_sink *out)
{
    *state = (vx_script_json){.out = out};
    return vx_sink_function(take_json, state, out->hooks);
}

/* ------------------------------------------------------------------ HTML ------------------- */

int vx_html_text(vx_sink *out, const char *text)
{
    const char *end = text + strlen(text);
    for (const char *p = text; p < end;) {
        const unsigned char c = (unsigned char)*p;
        const char *const reference = c == '&'    ? "&amp;"
                                      : c == '<'  ? "&lt;"
                                      : c == '>'  ? "&gt;"
                                      : c == '"'  ? "&quot;"
                                      : c == '\'' ? "&#39;"
                                                  : NULL;
        const size_t length = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        const bool good =
            c >= 0x20 && c != 0x7f && length <= (size_t)(end - p) && vx_utf8_valid(p, length);
        if (reference)
            VX_TRY(vx_sink_text(out, reference));
        else if (good)
            VX_TRY(vx_sink_put(out, p, length));
        else
            VX_TRY(vx_sink_text(out, "\xef\xbf\xbd"));
        p += good ? length : 1;
    }
    return VITX_OK;
}

/* ------------------------------------------------------------------ base64 ----------------- */

int vx_base64(vx_sink *out, const uint8_t *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[4096];
    size_t n = 0;
    for (size_t i = 0; i < bytes; i += 3) {
        const size_t left = bytes - i;
        const uint32_t group = (uint32_t)data[i] << 16 |
                               (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)data[i + 2] : 0);
        text[n++] = digits[group >> 18];
        text[n++] = digits[group >> 12 & 63];
        text[n++] = left > 1 ? digits[group >> 6 & 63] : '=';
        text[n++] = left > 2 ? digits[group & 63] : '=';
        if (n == sizeof text) {
            VX_TRY(vx_sink_put(out, text, n));
            n = 0;
        }
    }
    return n ? vx_sink_put(out, text, n) : VITX_OK;
}
