/* serve/problem.c: see problem.h. */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

_Bool refuse(struct problem *why, int status, const char *code, const char *hint,
             const char *format, ...)
{
    va_list args;
    *why = (struct problem){.status = status, .code = code, .retry_after = status == 503};
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    if (hint)
        snprintf(why->hint, sizeof why->hint, "%s", hint);
    return 0;
}

void problem_write(struct text *out, const struct problem *why)
{
    text_put(out, "{\"error\":");
    text_json(out, why->text);
    text_put(out, ",\"code\":");
    text_json(out, why->code);
    if (why->hint[0]) {
        text_put(out, ",\"hint\":");
        text_json(out, why->hint);
    }
    text_put(out, "}\n");
}
