/*
 * report/escape.h: text from outside, put into a page. Names of files and classes are input: these
 * two functions are the only ways into the page for them.
 */
#ifndef VX_REPORT_ESCAPE_H
#define VX_REPORT_ESCAPE_H

#include "base/sink.h"

/*
 * JSON inside <script>. A sink that passes JSON on to `out` with <, >, &, U+2028 and U+2029 as
 * \uXXXX: they stand in strings alone, so it stays the same JSON, and no "</script>" or "<!--" can
 * end the element. Give it to code that writes JSON (base/json.h has made valid UTF-8 of strings).
 */
typedef struct vx_script_json {
    vx_sink *out;
    unsigned char held[2]; /* the start of what may be U+2028 */
    int count;
} vx_script_json;
vx_sink vx_script_json_sink(vx_script_json *state, vx_sink *out);
/* What is held back at the end. */
int vx_script_json_end(vx_script_json *state);

/* Text of an element, or of an attribute in double quotes: & < > " ' as references. Bytes that are
 * no UTF-8, and control characters, become U+FFFD. */
int vx_html_text(vx_sink *out, const char *text);

/* In base64, without line breaks. */
int vx_base64(vx_sink *out, const uint8_t *data, size_t bytes);

#endif
