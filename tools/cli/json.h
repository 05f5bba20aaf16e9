/* cli/json.h: JSON that is read: by libcjson, whose header only json.c includes. Getters take NULL,
 * and values of another kind, and answer "not there". */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value; the first one owns all others. */
struct json;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT };

/* NULL: it is no JSON, something stands behind it, it has a zero byte, or there is no memory. */
struct json *json_read(const void *text, size_t bytes);
/* Whether a text of it holds the escape \u0000, which would end the text for whoever reads it. */
bool json_has_zero(const void *text, size_t bytes);
void json_free(struct json *json);

enum json_kind json_kind(const struct json *json);
/* A member of an object, case-sensitive; NULL: none, or json is NULL or no object. */
const struct json *json_get(const struct json *json, const char *name);
/* The first item of a list or an object, and the one behind an item; NULL: there is none. */
const struct json *json_first(const struct json *json);
const struct json *json_next(const struct json *item);
int json_count(const struct json *json);
/* The name of an object's member; NULL: it is none. */
const char *json_name(const struct json *member);
/* NULL: it is no text. */
const char *json_string(const struct json *json);
/* false: it is no number. */
bool json_number(double *out, const struct json *json);
/* A whole number that a double holds exactly; else the fallback. */
int64_t json_int(const struct json *json, int64_t fallback);
/* Whether both are there and hold the same, whatever the order of an object's members. */
bool json_same(const struct json *a, const struct json *b);
/* Whether it is true. */
bool json_true(const struct json *json);

#endif
