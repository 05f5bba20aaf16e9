/* cli/text.c: see text.h. */
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *text, size_t bytes)
{
    if (text->failed || bytes >= (size_t)-1 / 4 - text->length)
        text->failed = true;
    if (text->failed || text->length + bytes + 1 <= text->room)
        return !text->failed;
    const size_t least = text->length + bytes + 1, twice = 2 * text->room;
    const size_t room = least > twice ? least : twice;
    char *data = realloc(text->data, room);
    text->failed = !data;
    if (!data)
        return false;
    text->data = data;
    text->room = room;
    return true;
}

void text_add(struct text *text, const void *data, size_t bytes)
{
    if (!make_room(text, bytes))
        return;
    if (bytes)
        memcpy(text->data + text->length, data, bytes);
    text->length += bytes;
    text->data[text->length] = '\0';
}

void text_put(struct text *text, const char *words)
{
    text_add(text, words, strlen(words));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    if (length < 0)
        text->failed = true;
    else if (make_room(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

int text_beginning(const char *text, int most)
{
    int bytes = 0, length;
    while (text[bytes] && (length = utf8_length((const unsigned char *)text + bytes)) > 0 &&
           bytes + length <= most)
        bytes += length;
    return bytes;
}

size_t text_mark(const char *text, size_t bytes)
{
    static const char mark[3] = "\xef\xbb\xbf";
    return bytes >= sizeof mark && memcmp(text, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

int utf8_length(const unsigned char *p)
{
    const int n = p[0] < 0x80                   ? 1
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                  : (p[0] & 0xf0) == 0xe0       ? 3
                  : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                : 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

uint64_t text_hash(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return h;
}

void text_json(struct text *text, const char *words)
{
    if (!words) {
        text_put(text, "null");
        return;
    }
    text_put(text, "\"");
    for (const unsigned char *p = (const unsigned char *)words; *p;) {
        const int n = utf8_length(p);
        if (n == 0)
            text_put(text, "\xef\xbf\xbd");
        else if (*p == '"' || *p == '\\')
            text_format(text, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            text_format(text, "\\u%04x", *p);
        else
            text_add(text, p, (size_t)n);
        p += n ? n : 1;
    }
    text_put(text, "\"");
}

void text_number(struct text *text, double value)
{
    if (isfinite(value))
        text_format(text, "%.9g", value);
    else
        text_put(text, "null");
}

void text_base64(struct text *text, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (; bytes > 0; p += 3) {
        const size_t left = bytes < 3 ? bytes : 3;
        const unsigned group = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) |
                               (left > 2 ? (unsigned)p[2] : 0);
        const char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                              left > 1 ? digits[group >> 6 & 63] : '=',
                              left > 2 ? digits[group & 63] : '='};
        text_add(text, four, sizeof four);
        bytes -= left;
    }
}

int text_write(const void *data, size_t bytes, void *payload)
{
    struct text *text = payload;
    text_add(text, data, bytes);
    return text->failed;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}
