/* serve/multipart.c: see multipart.h. */
#define _POSIX_C_SOURCE 200809L
#include "multipart.h"

#include <string.h>
#include <strings.h>

/* The value of a parameter such as name="x" or boundary=x; quoted pairs are taken as they stand.
 * false: it is absent, there twice, or has no end. */
static bool parameter(const char **value, size_t *bytes, const char *text, size_t length,
                      const char *name)
{
    const size_t n = strlen(name);
    bool found = false;
    for (size_t i = 0; i < length;) {
        const char *semicolon = memchr(text + i, ';', length - i);
        if (!semicolon)
            break;
        i = (size_t)(semicolon - text) + 1;
        while (i < length && (text[i] == ' ' || text[i] == '\t'))
            i++;
        const bool is_it =
            length - i > n && strncasecmp(text + i, name, n) == 0 && text[i + n] == '=';
        while (i < length && text[i] != '=' && text[i] != ';')
            i++;
        if (i == length || text[i] == ';')
            continue;
        size_t start = ++i, end;
        if (i < length && text[i] == '"') {
            for (start = ++i; i < length && text[i] != '"'; i++)
                if (text[i] == '\\' && i + 1 < length && text[i + 1] == '"')
                    i++;
            if (i == length)
                return false;
            end = i;
        } else {
            while (i < length && text[i] != ';' && text[i] != ' ')
                i++;
            end = i;
        }
        if (is_it && found)
            return false;
        if (is_it) {
            *value = text + start;
            *bytes = end - start;
            found = true;
        }
    }
    return found;
}

bool multipart_begin(struct multipart *reader, const char *content_type, const void *body,
                     size_t bytes)
{
    const char *boundary;
    size_t n;
    *reader = (struct multipart){.at = body, .end = (const unsigned char *)body + bytes};
    if (!parameter(&boundary, &n, content_type, strlen(content_type), "boundary") || n == 0 ||
        n > BOUNDARY_MOST)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)boundary[i] < ' ' || (unsigned char)boundary[i] > '~')
            return false;
    memcpy(reader->line, "\r\n--", 4);
    memcpy(reader->line + 4, boundary, n);
    reader->length = n + 4;
    return boundary[n - 1] != ' ';
}

static bool begins(const unsigned char *at, const unsigned char *end, const char *with, size_t n)
{
    return (size_t)(end - at) >= n && memcmp(at, with, n) == 0;
}

/* The line between two parts; its CR LF first belongs to it. NULL: there is none. */
static const unsigned char *next_line(const struct multipart *r, const unsigned char *from)
{
    const unsigned char *at = from;
    while (at < r->end && (at = memchr(at, '\r', (size_t)(r->end - at))) != NULL) {
        if (begins(at, r->end, r->line, r->length))
            return at;
        at++;
    }
    return NULL;
}

/* Behind the boundary: another part, the end, or neither (-1). */
static int after_boundary(struct multipart *r)
{
    if (begins(r->at, r->end, "\r\n", 2)) {
        r->at += 2;
        return 1;
    }
    if (!begins(r->at, r->end, "--", 2))
        return -1;
    r->at += 2;
    r->over = true;
    if (begins(r->at, r->end, "\r\n", 2))
        r->at += 2;
    return r->at == r->end ? 0 : -1;
}

static bool header_is(const char *line, size_t n, const char *name)
{
    return n > strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static bool read_disposition(struct part *part, const char *line, size_t n)
{
    static const char kind[] = "form-data";
    const size_t before = strlen("content-disposition:");
    size_t at = before, bytes;
    const char *name, *file;
    while (at < n && line[at] == ' ')
        at++;
    if (n - at < sizeof kind - 1 || strncasecmp(line + at, kind, sizeof kind - 1) != 0 ||
        part->name[0] || !parameter(&name, &bytes, line, n, "name") || bytes == 0 ||
        bytes >= sizeof part->name || memchr(name, '\0', bytes))
        return false;
    memcpy(part->name, name, bytes);
    part->name[bytes] = '\0';
    part->file = parameter(&file, &bytes, line, n, "filename");
    return true;
}

static bool read_header(struct part *part, const char *line, size_t n)
{
    static const char encoding[] = "content-transfer-encoding:";
    if (header_is(line, n, "content-disposition:"))
        return read_disposition(part, line, n);
    if (header_is(line, n, encoding)) {
        const char *value = line + sizeof encoding - 1;
        size_t left = n - (sizeof encoding - 1);
        while (left && *value == ' ')
            value++, left--;
        return (left == 6 && strncasecmp(value, "binary", 6) == 0) ||
               (left == 4 &&
                (strncasecmp(value, "8bit", 4) == 0 || strncasecmp(value, "7bit", 4) == 0));
    }
    return memchr(line, ':', n) != NULL;
}

/* The lines of a part's head, up to the empty one. */
static bool read_head(struct multipart *r, struct part *part)
{
    const unsigned char *const limit =
        r->end - r->at > PART_HEAD_MOST ? r->at + PART_HEAD_MOST : r->end;
    while (!begins(r->at, limit, "\r\n", 2)) {
        const unsigned char *end = r->at;
        do {
            end = memchr(end, '\r', (size_t)(limit - end));
        } while (end && ++end < limit && *end != '\n');
        if (!end || end >= limit ||
            !read_header(part, (const char *)r->at, (size_t)(end - 1 - r->at)))
            return false;
        r->at = end + 1;
    }
    r->at += 2;
    return part->name[0] != '\0';
}

int multipart_next(struct multipart *r, struct part *part)
{
    if (r->over)
        return 0;
    *part = (struct part){.bytes = 0};
    if (!r->begun) {
        /* The first line has no CR LF before it. */
        if (!begins(r->at, r->end, r->line + 2, r->length - 2))
            return -1;
        r->at += r->length - 2;
        r->begun = true;
    }
    const int more = after_boundary(r);
    if (more != 1)
        return more;
    if (!read_head(r, part))
        return -1;
    const unsigned char *line = next_line(r, r->at);
    if (!line)
        return -1;
    part->data = r->at;
    part->bytes = (size_t)(line - r->at);
    r->at = line + r->length;
    return 1;
}
