/* serve/json.h: JSON that clients send, read by libcjson. */
#ifndef CLI_SERVE_JSON_H
#define CLI_SERVE_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* A value; the first one owns all others. */
struct json;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT };

/* NULL: it is no JSON, something stands behind it, or there is no memory. */
struct json *json_read(const void *text, size_t bytes);
void json_free(struct json *json);

enum json_kind json_kind(const struct json *json);
/* A member of an object, case-sensitive; NULL: none, or json is NULL or no object. */
const struct json *json_get(const struct json *json, const char *name);
/* The first item of a list or an object, and the one behind an item; NULL: there is none. */
const struct json *json_first(const struct json *json);
const struct json *json_next(const struct json *item);
int json_count(const struct json *json);
/* The name of an object's member. */
const char *json_name(const struct json *member);
/* NULL: it is no text. */
const char *json_string(const struct json *json);
/* false: it is no number. */
bool json_number(double *out, const struct json *json);
/* Whether it is true. */
bool json_true(const struct json *json);

#endif
