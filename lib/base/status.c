/* base/status.c: the message of a thread's last failure, and the names of things. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[512];

const char *vitx_version(void)
{
    return VITX_VERSION;
}

const char *vitx_last_error(void)
{
    return message;
}

const char *vitx_status_name(int status)
{
    static const char *const names[] = {"ok",     "invalid",     "nomem",  "io",
                                        "format", "unsupported", "device", "cancelled"};
    const int count = (int)(sizeof names / sizeof names[0]);
    return status <= 0 && status > -count ? names[-status] : "unknown";
}

/* Names can be longer than a message: the middle makes way, so that what comes last, the reason,
 * stays. No UTF-8 character is cut in two. */
static void shorten(char *text, size_t length)
{
    static const char gap[] = " ... ";
    const size_t half = (sizeof message - sizeof gap) / 2;
    size_t head = half, tail = length - half;
    if (length < sizeof message)
        return;
    while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80)
        head--;
    while (tail < length && ((unsigned char)text[tail] & 0xc0) == 0x80)
        tail++;
    memcpy(text + head, gap, sizeof gap - 1);
    memmove(text + head + sizeof gap - 1, text + tail, length - tail + 1);
}

#undef vx_fail /* status.h */
int vx_fail(int code, const char *format, ...)
{
    char text[12288]; /* two paths as long as systems take them */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    shorten(text, strlen(text));
    /* Names in messages come from files: they must not break the line or drive a terminal. */
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    memcpy(message, text, strlen(text) + 1);
    return code;
}
