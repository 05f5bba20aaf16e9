/* base/status.c: the message of a thread's last failure, and the names of things. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of the thread's last failure. A file's name may be as long as systems take one. */
static _Thread_local vx_message last; /* its field is static text, or NULL */

const char *vitx_version(void)
{
    return VITX_VERSION;
}

const char *vitx_last_error(void)
{
    return last.text;
}

const char *vitx_last_error_subject(void)
{
    return last.subject[0] ? last.subject : NULL;
}

const char *vitx_last_error_field(void)
{
    return last.field;
}

const char *vitx_status_name(int status)
{
    static const char *const names[] = {"ok",          "invalid", "nomem",     "io",  "format",
                                        "unsupported", "device",  "cancelled", "busy"};
    const int count = (int)(sizeof names / sizeof names[0]);
    return status <= 0 && status > -count ? names[-status] : "unknown";
}

/* Names can be longer than a message: the middle makes way, so that what comes last, the reason,
 * stays. No UTF-8 character is cut in two. */
static void shorten(char *text, size_t length)
{
    static const char gap[] = " ... ";
    const size_t half = (sizeof last.text - sizeof gap) / 2;
    size_t head = half, tail = length - half;
    if (length < sizeof last.text)
        return;
    while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80)
        head--;
    while (tail < length && ((unsigned char)text[tail] & 0xc0) == 0x80)
        tail++;
    memcpy(text + head, gap, sizeof gap - 1);
    memmove(text + head + sizeof gap - 1, text + tail, length - tail + 1);
}

/* "named: text"; a text that begins with a blank follows the name as it stands. */
static void keep(const char *named, const char *format, va_list args)
{
    char text[12288]; /* two paths as long as systems take them */
    int start = 0;
    if (named)
        start = snprintf(text, sizeof text, format[0] == ' ' ? "%s" : "%s: ", named);
    if (start < (int)sizeof text)
        vsnprintf(text + start, sizeof text - (size_t)start, format, args);
    if (named != last.subject)
        snprintf(last.subject, sizeof last.subject, "%s", named ? named : "");
    shorten(text, strlen(text));
    /* Names in messages come from files: they must not break the line or drive a terminal. */
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    memcpy(last.text, text, strlen(text) + 1);
    last.field = NULL;
}

void vx_message_keep(vx_message *out)
{
    *out = last;
}

void vx_message_put_back(const vx_message *kept)
{
    last = *kept;
}

#undef vx_fail /* status.h */
int vx_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(NULL, format, args);
    va_end(args);
    return code;
}

#undef vx_fail_in
int vx_fail_in(int code, const char *named, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(named, format, args);
    va_end(args);
    return code;
}

#undef vx_fail_field
int vx_fail_field(int code, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(NULL, format, args);
    va_end(args);
    last.field = name;
    return code;
}

#undef vx_fail_field_in
int vx_fail_field_in(int code, const char *named, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(named, format, args);
    va_end(args);
    last.field = name;
    return code;
}
