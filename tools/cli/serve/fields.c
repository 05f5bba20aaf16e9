/* serve/fields.c: see fields.h. */
#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/json.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

long percent_decode(char *out, const char *text, size_t bytes, bool plus)
{
    long n = 0;
    for (size_t i = 0; i < bytes; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            const int high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < bytes ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = high << 4 | low;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return -1;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n;
}

static char *copy_of(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

/* "KEY=VALUE" */
static char *joined(const char *key, size_t key_bytes, const char *value, size_t value_bytes)
{
    char *text = malloc(key_bytes + value_bytes + 2);
    if (!text)
        return NULL;
    memcpy(text, key, key_bytes);
    text[key_bytes] = '=';
    memcpy(text + key_bytes + 1, value, value_bytes);
    text[key_bytes + 1 + value_bytes] = '\0';
    return text;
}

static bool make_room(struct fields *fields)
{
    const int room = fields->room ? 2 * fields->room : 16;
    if (fields->count < fields->room)
        return true;
    struct field *items = realloc(fields->items, (size_t)room * sizeof *items);
    if (!items)
        return false;
    fields->items = items;
    fields->room = room;
    return true;
}

bool fields_add(struct fields *fields, const char *name, size_t name_bytes, const char *value,
                size_t value_bytes, struct problem *why)
{
    if (fields->count == FIELDS_MOST)
        return refuse(why, 400, "too_many_options", NULL, "there are more than %d options",
                      FIELDS_MOST);
    if (name_bytes == 0 || name_bytes > FIELD_NAME_MOST || memchr(name, '\0', name_bytes))
        return refuse(why, 400, "bad_option", NULL, "an option has no name that can be one");
    if (value_bytes > FIELD_VALUE_MOST || memchr(value, '\0', value_bytes))
        return refuse(why, 400, "bad_option", NULL,
                      "the value of an option has a zero byte, or more than %d bytes",
                      FIELD_VALUE_MOST);
    char *own_name, *own_value;
    if (name_bytes > 4 && memcmp(name, "set.", 4) == 0) {
        own_name = copy_of("set", 3);
        own_value = joined(name + 4, name_bytes - 4, value, value_bytes);
    } else {
        own_name = copy_of(name, name_bytes);
        own_value = copy_of(value, value_bytes);
    }
    if (!own_name || !own_value || !make_room(fields)) {
        free(own_name);
        free(own_value);
        return refuse(why, 503, "no_memory", NULL, "no memory");
    }
    fields->items[fields->count++] = (struct field){.name = own_name, .value = own_value};
    return true;
}

static bool add_pair(struct fields *fields, const char *pair, size_t bytes, struct problem *why)
{
    enum { PAIR_MOST = 3 * (FIELD_NAME_MOST + FIELD_VALUE_MOST) + 1 }; /* all of it as %XX */
    if (bytes > PAIR_MOST)
        return refuse(why, 400, "bad_option", NULL, "an option has more than %d bytes", PAIR_MOST);
    const char *equals = memchr(pair, '=', bytes);
    const size_t name_bytes = equals ? (size_t)(equals - pair) : bytes;
    const size_t value_bytes = equals ? bytes - name_bytes - 1 : 0;
    char *decoded = malloc(bytes + 2);
    if (!decoded)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    const long name = percent_decode(decoded, pair, name_bytes, true);
    char *rest = decoded + name_bytes + 1;
    const long value = percent_decode(rest, equals ? equals + 1 : pair, value_bytes, true);
    const bool good = name >= 0 && value >= 0
                          ? fields_add(fields, decoded, (size_t)name, rest, (size_t)value, why)
                          : refuse(why, 400, "bad_query",
                                   "percent-encode what is no letter, digit or one of -._~",
                                   "the options are not percent-encoded as they have to be");
    free(decoded);
    return good;
}

bool fields_form(struct fields *fields, const char *form, size_t bytes, struct problem *why)
{
    while (bytes > 0) {
        const char *end = memchr(form, '&', bytes);
        const size_t pair = end ? (size_t)(end - form) : bytes;
        if (pair && !add_pair(fields, form, pair, why))
            return false;
        form += pair + (end != NULL);
        bytes -= pair + (end != NULL);
    }
    return true;
}

bool fields_query(struct fields *fields, const char *query, struct problem *why)
{
    return !query || fields_form(fields, query, strlen(query), why);
}

/* ------------------------------------------------------------------ of JSON ---------------- */

struct json *read_object(const void *text, size_t bytes, struct problem *why)
{
    struct json *json = json_read(text, bytes);
    if (json && json_kind(json) == JSON_OBJECT)
        return json;
    json_free(json);
    if (json_has_zero(text, bytes))
        refuse(why, 400, "bad_json", NULL, "a text of the JSON holds \\u0000");
    else
        refuse(why, 400, "bad_json", NULL, "the body is no JSON object");
    return NULL;
}

/* A value that is one word: texts, numbers, true and false. */
static bool add_value(struct fields *fields, const char *name, const struct json *value,
                      struct problem *why)
{
    const char *text = json_string(value);
    char number[32];
    double v;
    if (!text && json_number(&v, value)) {
        snprintf(number, sizeof number, "%.17g", v);
        text = number;
    } else if (!text && json_kind(value) == JSON_BOOL) {
        text = json_true(value) ? "true" : "false";
    }
    if (!text)
        return refuse(why, 400, "bad_option", NULL,
                      "an option of the JSON is a text, a number, true, false or a list of those");
    return fields_add(fields, name, strlen(name), text, strlen(text), why);
}

/* {"set": {"KEY": value}} is set.KEY=value. */
static bool add_set(struct fields *fields, const struct json *set, struct problem *why)
{
    for (const struct json *m = json_first(set); m; m = json_next(m)) {
        char name[FIELD_NAME_MOST + 2];
        snprintf(name, sizeof name, "set.%s", json_name(m));
        if (!add_value(fields, name, m, why))
            return false;
    }
    return true;
}

bool fields_json(struct fields *fields, const struct json *object, const char *but,
                 struct problem *why)
{
    if (json_kind(object) != JSON_OBJECT)
        return refuse(why, 400, "bad_json", NULL, "options are a JSON object");
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        const char *name = json_name(m);
        bool good = true;
        if (strcmp(name, but) == 0)
            continue;
        if (json_kind(m) == JSON_OBJECT && strcmp(name, "set") == 0)
            good = add_set(fields, m, why);
        else if (json_kind(m) == JSON_LIST)
            for (const struct json *i = json_first(m); i && good; i = json_next(i))
                good = add_value(fields, name, i, why);
        else if (json_kind(m) != JSON_NULL)
            good = add_value(fields, name, m, why);
        if (!good)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ use -------------------- */

const char *fields_get(const struct fields *fields, const char *name)
{
    for (int i = fields->count; i-- > 0;)
        if (strcmp(fields->items[i].name, name) == 0)
            return fields->items[i].value;
    return NULL;
}

static void free_field(const struct field *field)
{
    free((void *)field->name);
    free((void *)field->value);
}

void fields_drop(struct fields *fields, const char *name)
{
    int kept = 0;
    for (int i = 0; i < fields->count; i++) {
        if (strcmp(fields->items[i].name, name) == 0)
            free_field(&fields->items[i]);
        else
            fields->items[kept++] = fields->items[i];
    }
    fields->count = kept;
}

void fields_free(struct fields *fields)
{
    for (int i = 0; i < fields->count; i++)
        free_field(&fields->items[i]);
    free(fields->items);
    *fields = (struct fields){0};
}
