/* cli/json.c: see json.h. */
#include "json.h"

#include <cjson/cJSON.h>
#include <string.h>

static const cJSON *of(const struct json *json)
{
    return (const cJSON *)(const void *)json;
}

static const struct json *to(const cJSON *json)
{
    return (const struct json *)(const void *)json;
}

bool json_has_zero(const void *text, size_t bytes)
{
    const char *at = text, *const end = at + bytes;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0)
            return true;
        at += 2; /* what is escaped may be a backslash */
    }
    return false;
}

struct json *json_read(const void *text, size_t bytes)
{
    /* cJSON ends texts at a zero byte, so one in the input would hide what stands behind it. */
    if (bytes == 0 || memchr(text, '\0', bytes) || json_has_zero(text, bytes))
        return NULL;
    const char *end = NULL, *const last = (const char *)text + bytes;
    cJSON *read = cJSON_ParseWithLengthOpts(text, bytes, &end, 0);
    while (read && end < last && strchr(" \t\r\n", *end))
        end++;
    if (read && end != last) {
        cJSON_Delete(read);
        return NULL;
    }
    return (struct json *)(void *)read;
}

void json_free(struct json *json)
{
    cJSON_Delete((cJSON *)(void *)json);
}

enum json_kind json_kind(const struct json *json)
{
    const cJSON *j = of(json);
    return cJSON_IsBool(j)     ? JSON_BOOL
           : cJSON_IsNumber(j) ? JSON_NUMBER
           : cJSON_IsString(j) ? JSON_TEXT
           : cJSON_IsArray(j)  ? JSON_LIST
           : cJSON_IsObject(j) ? JSON_OBJECT
                               : JSON_NULL;
}

const struct json *json_get(const struct json *json, const char *name)
{
    return cJSON_IsObject(of(json)) ? to(cJSON_GetObjectItemCaseSensitive(of(json), name)) : NULL;
}

const struct json *json_first(const struct json *json)
{
    const bool walks = cJSON_IsArray(of(json)) || cJSON_IsObject(of(json));
    return walks ? to(of(json)->child) : NULL;
}

const struct json *json_next(const struct json *item)
{
    return item ? to(of(item)->next) : NULL;
}

int json_count(const struct json *json)
{
    return json ? cJSON_GetArraySize(of(json)) : 0;
}

const char *json_name(const struct json *member)
{
    return member ? of(member)->string : NULL;
}

const char *json_string(const struct json *json)
{
    return cJSON_IsString(of(json)) ? of(json)->valuestring : NULL;
}

bool json_number(double *out, const struct json *json)
{
    if (!cJSON_IsNumber(of(json)))
        return false;
    *out = of(json)->valuedouble;
    return true;
}

int64_t json_int(const struct json *json, int64_t fallback)
{
    const double most = 9007199254740992.0;
    double v;
    const bool whole = json_number(&v, json) && v >= -most && v <= most && v == (double)(int64_t)v;
    return whole ? (int64_t)v : fallback;
}

bool json_same(const struct json *a, const struct json *b)
{
    return a && b && cJSON_Compare(of(a), of(b), 1);
}

bool json_true(const struct json *json)
{
    return cJSON_IsTrue(of(json));
}
