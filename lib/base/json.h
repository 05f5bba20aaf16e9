/*
 * base/json.h: reading JSON, by cJSON, whose header only json.c includes.
 *
 * A vx_json is a node of a parsed tree; the root is freed with vx_json_free. Getters take NULL
 * and nodes of another type and answer "not there" (NULL, false), so lookups can be chained.
 */
#ifndef VX_BASE_JSON_H
#define VX_BASE_JSON_H

#include "base/sink.h"

typedef struct cJSON vx_json;

/* Parses `bytes` bytes; a byte order mark and spaces around the value are allowed, anything else
 * after it is not. A zero byte in a string (\u0000) is refused, too, since it would cut the text.
 * Refused (VITX_FORMAT, naming `name`): what is no JSON, invalid UTF-8, a key that occurs twice in
 * one object, a number that is not finite, nesting past 64, more than max_values values. */
int vx_json_parse(vx_json **out, const char *text, size_t bytes, const char *name,
                  size_t max_values);
void vx_json_free(vx_json *root);

const vx_json *vx_json_get(const vx_json *object, const char *key);
bool vx_json_is_object(const vx_json *node);
bool vx_json_is_array(const vx_json *node);
bool vx_json_is_null(const vx_json *node);
int vx_json_size(const vx_json *node); /* of an array or object, else 0 */
/* Walking an array (in its order) or object (in the order of its keys, by bytes): first, next; the
 * key of an object's member. */
const vx_json *vx_json_first(const vx_json *node);
const vx_json *vx_json_next(const vx_json *node);
const char *vx_json_key(const vx_json *node);

const char *vx_json_string(const vx_json *node); /* NULL if no string */
bool vx_json_number(const vx_json *node, double *out);
bool vx_json_int(const vx_json *node, int *out);      /* false unless a whole number that fits */
bool vx_json_u64(const vx_json *node, uint64_t *out); /* false unless one from 0 to 2^53 */
bool vx_json_bool(const vx_json *node, bool *out);

/* Whether the bytes are whole UTF-8 characters, none overlong, no surrogate. */
bool vx_utf8_valid(const char *text, size_t bytes);

/* Writes `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
int vx_json_quote(vx_sink *out, const char *text);

#endif
