/* serve/fields.h: options as words: of the query of an address, or of a form. */
#ifndef CLI_SERVE_FIELDS_H
#define CLI_SERVE_FIELDS_H

#include "ask.h"

enum {
    FIELD_NAME_MOST = 64,      /* bytes                    */
    FIELD_VALUE_MOST = 1 << 16 /* bytes, of a vector, say  */
};

/* Zero before the first use. The texts are its own. */
struct fields {
    struct field *items;
    int count, room;
};

/* One more, copied. A zero byte in it is refused. set.KEY=VALUE is set=KEY=VALUE. */
bool fields_add(struct fields *fields, const char *name, size_t name_bytes, const char *value,
                size_t value_bytes, struct problem *why);
struct json;
/* The JSON object that a client sent, to be freed; NULL: *why. */
struct json *read_object(const void *text, size_t bytes, struct problem *why);
/* The members of a JSON object but that one; those of lists one by one, those of "set" as
 * set.KEY. */
bool fields_json(struct fields *fields, const struct json *object, const char *but,
                 struct problem *why);
/* "a=b&c=d", percent-encoded; a name without '=' has an empty value. */
bool fields_query(struct fields *fields, const char *query, struct problem *why);
/* The same of a body of that form. */
bool fields_form(struct fields *fields, const char *form, size_t bytes, struct problem *why);
/* The last one of that name; NULL: there is none. */
const char *fields_get(const struct fields *fields, const char *name);
/* Takes all of that name out. */
void fields_drop(struct fields *fields, const char *name);
void fields_free(struct fields *fields);

/* Decodes %XX strictly into out (bytes + 1 bytes), and '+' as a blank if `plus`. -1: malformed, or
 * it has a zero byte. */
long percent_decode(char *out, const char *text, size_t bytes, bool plus);

#endif
