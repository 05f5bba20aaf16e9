/* batch/json.h: reading JSON, by cJSON, whose header only json.c includes. Getters take NULL, and
 * nodes of another kind, and answer "not there". */
#ifndef CLI_BATCH_JSON_H
#define CLI_BATCH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* One value and nothing behind it; NULL: that is none, or no memory. */
struct json *json_parse(const char *text, size_t bytes);
void json_free(struct json *root);

const struct json *json_get(const struct json *object, const char *key);
/* Walking an array or object; the key of an object's member. */
const struct json *json_first(const struct json *node);
const struct json *json_next(const struct json *node);
const char *json_key(const struct json *node);

const char *json_string(const struct json *node); /* NULL: no string */
int64_t json_int(const struct json *node, int64_t fallback);
bool json_same(const struct json *a, const struct json *b);

#endif
