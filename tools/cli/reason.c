/* cli/reason.c: see reason.h. */
#include "reason.h"

#include <stdio.h>
#include <string.h>
#include <vitx/base.h>

#include "say.h"

/* The option for a field of the C API; the field where there is none. */
static const char *option_of(const char *field)
{
    static const char *const pairs[][2] = {{"trace_budget", "--budget"},
                                           {"memory_budget", "--memory"},
                                           {"max_tokens", "--max-tokens"},
                                           {"max_patches", "--max-patches"},
                                           {"labels", "--labels"},
                                           {"outputs", "--outputs"},
                                           {"heads", "--heads"},
                                           {"ignore", "--ignore"},
                                           {"weights_key", "--weights-key"},
                                           {"score", "--score"},
                                           {"fit", "--fit"},
                                           {"among", "--among"},
                                           {"vector", "--vector or --like"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(pairs[i][0], field) == 0)
            return pairs[i][1];
    return field;
}

const char *reason(void)
{
    static _Thread_local char text[1024];
    const char *all = vitx_last_error(), *field = vitx_last_error_field();
    const char *at = NULL;
    /* The last: names of files stand before it. */
    for (const char *p = all; field && (p = strstr(p, field)) != NULL; p++)
        at = p;
    if (!at)
        return all;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - all), all, option_of(field),
             at + strlen(field));
    return text;
}

void complain_of(const char *picture, const char *method, const char *why)
{
    const size_t n = strlen(method);
    if (strncmp(why, method, n) == 0 && why[n] == ':')
        complain(picture, "%s", why);
    else
        complain(picture, "%s: %s", method, why);
}

void complain_last(const char *what)
{
    complain(vitx_last_error_subject() || !what || !*what ? NULL : what, "%s", reason());
}

int refused(int code, const char *what)
{
    if (code == VITX_INVALID)
        return wrong_usage("%s", reason());
    if (code == VITX_CANCELLED)
        complain(NULL, "stopped");
    else
        complain_last(what);
    return SOME_FAILED;
}
