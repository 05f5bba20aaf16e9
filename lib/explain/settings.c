/* explain/settings.c: see settings.h. */
#include "explain/settings.h"

#include <string.h>

#include "base/status.h"
#include "base/text.h"

static const vitx_method_option *find_option(const vx_settings *given, const char *key,
                                             size_t length)
{
    for (int i = 0; i < given->count; i++)
        if (strlen(given->options[i].key) == length &&
            memcmp(given->options[i].key, key, length) == 0)
            return &given->options[i];
    return NULL;
}

int vx_settings_check(const vx_settings *given, const char *what)
{
    if (given->set_count < 0 || (given->set_count > 0 && !given->set))
        return vx_fail(VITX_INVALID, "set_count = %d does not fit set", given->set_count);
    for (int i = 0; i < given->set_count; i++) {
        const char *text = given->set[i];
        const char *equals = text ? strchr(text, '=') : NULL;
        if (!equals)
            return vx_fail(VITX_INVALID, "option \"%s\" is not key=value", text ? text : "");
        const size_t length = (size_t)(equals - text);
        if (!find_option(given, text, length))
            return vx_fail(VITX_INVALID, "%s %s has no option \"%.*s\"", what, given->owner,
                           (int)(length > 64 ? 64 : length), text);
    }
    return VITX_OK;
}

const char *vx_setting(const vx_settings *given, const char *key)
{
    const size_t length = strlen(key);
    for (int i = given->set_count - 1; i >= 0; i--)
        if (strncmp(given->set[i], key, length) == 0 && given->set[i][length] == '=')
            return given->set[i] + length + 1;
    const vitx_method_option *option = find_option(given, key, length);
    return option ? option->fallback : "";
}

bool vx_setting_is_auto(const vx_settings *given, const char *key)
{
    return strcmp(vx_setting(given, key), "auto") == 0;
}

int vx_setting_number(double *out, const vx_settings *given, const char *key, double low,
                      double high)
{
    const char *text = vx_setting(given, key);
    if (!vx_parse_double(text, out) || !(*out >= low && *out <= high))
        return vx_fail(VITX_INVALID, "%s: %s=%s: a number from %g to %g is expected", given->owner,
                       key, text, low, high);
    return VITX_OK;
}

int vx_setting_int(int *out, const vx_settings *given, const char *key, int low, int high)
{
    const char *text = vx_setting(given, key);
    if (!vx_parse_int(text, out) || *out < low || *out > high)
        return vx_fail(VITX_INVALID, "%s: %s=%s: a whole number from %d to %d is expected",
                       given->owner, key, text, low, high);
    return VITX_OK;
}

int vx_setting_block(int *out, const vx_settings *given, const char *key, int last, int depth)
{
    const char *text = vx_setting(given, key);
    if (!vx_parse_int(text, out) || *out < -depth || *out > last ||
        (*out < 0 && *out + depth > last))
        return vx_fail(VITX_INVALID,
                       "%s: %s=%s: a block from 0 to %d is expected, or one counted from behind, "
                       "from %d to %d",
                       given->owner, key, text, last, -depth, last - depth);
    *out += *out < 0 ? depth : 0;
    return VITX_OK;
}

int vx_setting_choice(int *out, const vx_settings *given, const char *key)
{
    const char *text = vx_setting(given, key);
    const char *values = find_option(given, key, strlen(key))->values;
    int index = 0;
    for (const char *p = values; *p; index++) {
        const size_t length = strcspn(p, "|");
        if (strlen(text) == length && memcmp(p, text, length) == 0) {
            *out = index;
            return VITX_OK;
        }
        p += length + (p[length] == '|');
    }
    return vx_fail(VITX_INVALID, "%s: %s=%s: one of %s is expected", given->owner, key, text,
                   values);
}

int vx_setting_fuse(vx_fuse *out, const vx_settings *given)
{
    int choice;
    VX_TRY(vx_setting_choice(&choice, given, "fuse"));
    *out = (vx_fuse)choice; /* the words stand in the order of vx_fuse */
    return VITX_OK;
}

int vx_setting_discard(double *out, const vx_settings *given)
{
    VX_TRY(vx_setting_number(out, given, "discard", 0, 1));
    if (*out == 1)
        return vx_fail(VITX_INVALID, "%s: discard=%s: below 1 is expected, or nothing is left",
                       given->owner, vx_setting(given, "discard"));
    return VITX_OK;
}
