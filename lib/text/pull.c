/* text/pull.c: see pull.h. */
#include "text/pull.h"

#include <string.h>

#include "base/text.h"
#include "text/chars.h"

vx_pull vx_pull_over(const char *text, size_t bytes, const char *name)
{
    const size_t mark = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return (vx_pull){.at = text + mark, .end = text + bytes, .start = text, .name = name};
}

int vx_pull_refuse(const vx_pull *r, const char *what)
{
    size_t line = 1;
    for (const char *p = r->start; p < r->at; p++)
        line += *p == '\n';
    return vx_fail_in(VITX_FORMAT, r->name, "line %zu: %s", line, what);
}

int vx_pull_peek(vx_pull *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
    return r->at < r->end ? (unsigned char)*r->at : 0;
}

int vx_pull_open(vx_pull *r, char bracket)
{
    if (vx_pull_peek(r) != bracket)
        return vx_pull_refuse(r,
                              bracket == '{' ? "an object was expected" : "an array was expected");
    if (r->depth == VX_PULL_DEPTH)
        return vx_pull_refuse(r, "nested more than 64 deep");
    r->at++;
    r->open[r->depth++] = bracket;
    r->fresh = true;
    return VITX_OK;
}

int vx_pull_more(vx_pull *r, bool *more)
{
    const int c = vx_pull_peek(r);
    const bool first = r->fresh;
    r->fresh = false;
    *more = c != '}' && c != ']';
    if (!*more) {
        if (r->depth == 0 || c != (r->open[r->depth - 1] == '{' ? '}' : ']'))
            return vx_pull_refuse(r, "the wrong bracket closes");
        r->at++;
        r->depth--;
        return VITX_OK;
    }
    if (first)
        return VITX_OK;
    if (c != ',')
        return vx_pull_refuse(r, "',' or a closing bracket was expected");
    r->at++;
    const int next = vx_pull_peek(r);
    return next == '}' || next == ']' ? vx_pull_refuse(r, "a value was expected") : VITX_OK;
}

static int hex4(vx_pull *r, uint32_t *out)
{
    *out = 0;
    if (r->end - r->at < 4)
        return vx_pull_refuse(r, "\\u without four hex digits");
    for (int i = 0; i < 4; i++) {
        const int c = *r->at++, lower = c | 0x20;
        if (c >= '0' && c <= '9')
            *out = *out * 16 + (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *out = *out * 16 + (uint32_t)(lower - 'a' + 10);
        else
            return vx_pull_refuse(r, "\\u without four hex digits");
    }
    return VITX_OK;
}

/* Behind "\u". */
static int unicode_escape(vx_pull *r, vx_buffer *out)
{
    uint32_t code, low;
    VX_TRY(hex4(r, &code));
    if (code >= 0xd800 && code <= 0xdfff) {
        if (code > 0xdbff || r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return vx_pull_refuse(r, "half a surrogate pair");
        r->at += 2;
        VX_TRY(hex4(r, &low));
        if (low < 0xdc00 || low > 0xdfff)
            return vx_pull_refuse(r, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    char bytes[4];
    return vx_buffer_append(out, bytes, vx_utf8_write(bytes, code));
}

static int escape(vx_pull *r, vx_buffer *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char c = r->at < r->end ? *r->at++ : '\0';
    if (c == 'u')
        return unicode_escape(r, out);
    const char *const found = c ? strchr(names, c) : NULL;
    if (!found)
        return vx_pull_refuse(r, "an unknown escape");
    return vx_buffer_append(out, &values[found - names], 1);
}

/* Bytes at `at` that stand for themselves; 0 at a quote, a backslash or what may not be there. */
static size_t plain(const char *at, const char *end)
{
    const char *p = at;
    while (p < end) {
        const unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        uint32_t code;
        const size_t n = c < 0x80 ? 1 : vx_utf8_read(&code, p, (size_t)(end - p));
        if (n == 1 && c >= 0x80)
            break;
        p += n;
    }
    return (size_t)(p - at);
}

int vx_pull_string(vx_pull *r, vx_buffer *out)
{
    if (vx_pull_peek(r) != '"')
        return vx_pull_refuse(r, "a string was expected");
    r->at++;
    out->size = 0;
    VX_TRY(vx_buffer_append(out, "", 0));
    for (;;) {
        const size_t n = plain(r->at, r->end);
        VX_TRY(vx_buffer_append(out, r->at, n));
        r->at += n;
        if (r->at == r->end)
            return vx_pull_refuse(r, "a string without its end");
        const char c = *r->at;
        if (c != '"' && c != '\\')
            return vx_pull_refuse(r, (unsigned char)c < 0x20 ? "a control character in a string"
                                                             : "bytes that are not UTF-8");
        r->at++;
        if (c == '"')
            return VITX_OK;
        VX_TRY(escape(r, out));
    }
}

int vx_pull_key(vx_pull *r, vx_buffer *out)
{
    VX_TRY(vx_pull_string(r, out));
    if (vx_pull_peek(r) != ':')
        return vx_pull_refuse(r, "':' was expected");
    r->at++;
    return VITX_OK;
}

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Where the number at `p` ends; NULL if there is none. */
static const char *number_end(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    const char *q = digits(p, end);
    if (q == p || (*p == '0' && q - p > 1))
        return NULL;
    if (q < end && *q == '.') {
        p = q + 1;
        if ((q = digits(p, end)) == p)
            return NULL;
    }
    if (q < end && (*q == 'e' || *q == 'E')) {
        p = q + 1;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if ((q = digits(p, end)) == p)
            return NULL;
    }
    return q;
}

int vx_pull_number(vx_pull *r, double *out)
{
    char text[64];
    vx_pull_peek(r);
    const char *const stop = number_end(r->at, r->end);
    if (!stop)
        return vx_pull_refuse(r, "a number was expected");
    const size_t n = (size_t)(stop - r->at);
    if (n >= sizeof text)
        return vx_pull_refuse(r, "a number of more than 63 characters");
    memcpy(text, r->at, n);
    text[n] = '\0';
    if (!vx_parse_double(text, out))
        return vx_pull_refuse(r, "a number beyond the range");
    r->at = stop;
    return VITX_OK;
}

int vx_pull_int(vx_pull *r, int *out)
{
    double number;
    VX_TRY(vx_pull_number(r, &number));
    if (!(number >= -2147483647.0 && number <= 2147483647.0) || number != (double)(int)number)
        return vx_pull_refuse(r, "a whole number of 32 bits was expected");
    *out = (int)number;
    return VITX_OK;
}

static int skip_string(vx_pull *r)
{
    for (r->at++;;) {
        r->at += plain(r->at, r->end);
        if (r->at == r->end || (*r->at != '"' && *r->at != '\\'))
            return vx_pull_refuse(r, "a string without its end, or with bytes that may not be "
                                     "in it");
        if (*r->at++ == '"')
            return VITX_OK;
        if (r->at < r->end)
            r->at++; /* what it is, the reading says */
    }
}

static int skip_scalar(vx_pull *r)
{
    static const char *const words[] = {"true", "false", "null"};
    if (vx_pull_peek(r) == '"')
        return skip_string(r);
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(r->end - r->at) >= n && memcmp(r->at, words[i], n) == 0) {
            r->at += n;
            return VITX_OK;
        }
    }
    const char *const stop = number_end(r->at, r->end);
    if (!stop)
        return vx_pull_refuse(r, "a value was expected");
    r->at = stop;
    return VITX_OK;
}

static int skip_key(vx_pull *r)
{
    if (vx_pull_peek(r) != '"')
        return vx_pull_refuse(r, "a key was expected");
    VX_TRY(skip_string(r));
    if (vx_pull_peek(r) != ':')
        return vx_pull_refuse(r, "':' was expected");
    r->at++;
    return VITX_OK;
}

int vx_pull_skip(vx_pull *r)
{
    const int outer = r->depth;
    do {
        const int c = vx_pull_peek(r);
        if (c == '{' || c == '[')
            VX_TRY(vx_pull_open(r, (char)c));
        else
            VX_TRY(skip_scalar(r));
        for (bool more = false; r->depth > outer && !more;) {
            VX_TRY(vx_pull_more(r, &more));
            if (more && r->open[r->depth - 1] == '{')
                VX_TRY(skip_key(r));
        }
    } while (r->depth > outer);
    r->fresh = false;
    return VITX_OK;
}

int vx_pull_end(vx_pull *r)
{
    return vx_pull_peek(r) == 0 && r->at == r->end ? VITX_OK
                                                   : vx_pull_refuse(r, "something after the end");
}
