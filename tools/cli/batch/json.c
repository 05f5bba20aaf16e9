/* batch/json.c: see json.h. A struct json is a cJSON under another name. */
#include "json.h"

#include <cjson/cJSON.h>

static const cJSON *node_of(const struct json *node)
{
    return (const cJSON *)node;
}

struct json *json_parse(const char *text, size_t bytes)
{
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, bytes, &end, 0);
    if (!root)
        return NULL;
    for (; end < text + bytes; end++)
        if (*end != ' ' && *end != '\n' && *end != '\r' && *end != '\t') {
            cJSON_Delete(root);
            return NULL;
        }
    return (struct json *)root;
}

void json_free(struct json *root)
{
    cJSON_Delete((cJSON *)root);
}

const struct json *json_get(const struct json *object, const char *key)
{
    return (const struct json *)cJSON_GetObjectItemCaseSensitive(node_of(object), key);
}

const struct json *json_first(const struct json *node)
{
    const bool walks = cJSON_IsArray(node_of(node)) || cJSON_IsObject(node_of(node));
    return walks ? (const struct json *)node_of(node)->child : NULL;
}

const struct json *json_next(const struct json *node)
{
    return node ? (const struct json *)node_of(node)->next : NULL;
}

const char *json_key(const struct json *node)
{
    return node ? node_of(node)->string : NULL;
}

const char *json_string(const struct json *node)
{
    return cJSON_GetStringValue(node_of(node));
}

int64_t json_int(const struct json *node, int64_t fallback)
{
    if (!cJSON_IsNumber(node_of(node)))
        return fallback;
    const double v = node_of(node)->valuedouble;
    return v >= -9007199254740992.0 && v <= 9007199254740992.0 && v == (double)(int64_t)v
               ? (int64_t)v
               : fallback;
}

bool json_same(const struct json *a, const struct json *b)
{
    return a && b && cJSON_Compare(node_of(a), node_of(b), 1);
}
