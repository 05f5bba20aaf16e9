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
    static const char *const names[] = {"ok",          "invalid", "nomem",  "io",
                                        "format", "unsupported", "device", "cancelled"};
    const int count = (int)(sizeof names / sizeof names[0]);
    return status <= 0 && status > -count ? names[-status] : "unknown";
}

int vx_fail(int code, const char *format, ...)
{
    char text[sizeof message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* Names in messages come from files: they must not break the line or drive a terminal. */
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    memcpy(message, text, sizeof message);
    return code;
}
