/* Forms as clients send them: the first line is the boundary, the rest the body. What comes of the
 * body lies within it, and the parts do not overlap. A query, base64 and JSON are read as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tools/cli/serve/base64.h"
#include "tools/cli/serve/fields.h"
#include "tools/cli/json.h"
#include "tools/cli/serve/media.h"
#include "tools/cli/serve/multipart.h"
#include "tools/cli/serve/sniff.h"

static void check_that(bool holds)
{
    if (!holds)
        abort();
}

static void read_form(const char *type, const uint8_t *body, size_t bytes)
{
    struct multipart reader;
    struct part part;
    const uint8_t *end = body;
    int more = -1, count = 0;
    if (!multipart_begin(&reader, type, body, bytes))
        return;
    while ((more = multipart_next(&reader, &part)) == 1) {
        check_that(part.data >= end && part.bytes <= (size_t)(body + bytes - part.data));
        check_that(part.name[0] && strlen(part.name) < sizeof part.name);
        end = part.data + part.bytes;
        count++;
    }
    if (more == 0 && count > 0)
        fuzz_accepted++;
}

static void read_query(const char *text)
{
    struct fields fields = {.count = 0};
    struct problem why;
    if (!fields_query(&fields, text, &why))
        check_that(why.status == 400 && why.text[0] && !strchr(why.text, '\n'));
    for (int i = 0; i < fields.count; i++)
        check_that(fields_get(&fields, fields.items[i].name) != NULL);
    fields_free(&fields);
}

static void read_words(const uint8_t *data, size_t bytes)
{
    struct fields fields = {.count = 0};
    struct problem why;
    if (!fields_form(&fields, (const char *)data, bytes, &why))
        check_that(why.status == 400 && why.text[0]);
    fields_free(&fields);
}

static void read_json(const uint8_t *data, size_t bytes)
{
    struct fields fields = {.count = 0};
    struct problem why;
    struct json *json = json_read(data, bytes);
    if (json && !fields_json(&fields, json, "image", &why))
        check_that(why.status == 400);
    fields_free(&fields);
    json_free(json);
}

static void read_base64(const char *text, size_t length)
{
    size_t bytes = 0;
    uint8_t *out = malloc(base64_room(length));
    if (out && base64_decode(out, &bytes, text, length))
        check_that(bytes <= length);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/json", "image/png", "text/html"};
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    const size_t line = newline ? (size_t)(newline - data) : size;
    char text[512];
    int64_t pixels;
    snprintf(text, sizeof text, "multipart/form-data; boundary=%.*s",
             (int)(line < 400 ? line : 400), (const char *)data);
    if (newline)
        read_form(text, newline + 1, size - line - 1);
    check_that(media_choose(text, types, 3) < 3);
    check_that(media_choose(strchr(text, '=') + 1, types, 3) < 3);
    read_query(strchr(text, '=') + 1);
    read_base64((const char *)data, size);
    read_words(data, size);
    read_json(data, size);
    sniff_picture(data, size, &pixels);
    return 0;
}
