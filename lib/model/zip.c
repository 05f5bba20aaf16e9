/*
 * model/zip.c: see zip.h. The format: APPNOTE.TXT of PKWARE, 4.3 and 4.5.3 (zip64); what NumPy's
 * savez writes by Python's zipfile: zip64 in the header before each member, plain fields elsewhere.
 *
 *      [header, name, extra, data]... | directory: [entry, name, extra, comment]... | end
 *
 * with zip64 a second, larger end record and its locator before the end. All little-endian.
 */
#include "model/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/json.h"
#include "base/kind.h"

#define END 22 /* sizes of the records without what varies */
#define LOCATOR 20
#define END64 56
#define ENTRY 46
#define HEADER 30
#define MAX_COMMENT 65535u
#define MAX_MEMBERS 65536u
#define MAX_DIRECTORY (1u << 24)
#define MAX_RATIO 1032u /* of deflate: 258 bytes from 2 bits */
#define CHUNK 16384     /* of packed bytes read at once */

/* flags of a member */
#define ENCRYPTED (1u << 0 | 1u << 6 | 1u << 13)
#define DEFLATE_OPTIONS (1u << 1 | 1u << 2)
#define DESCRIPTOR (1u << 3) /* sizes follow the data, those in the header are 0 */
#define UTF8 (1u << 11)

static uint16_t u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const unsigned char *p)
{
    return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

static bool is_record(const unsigned char *p, unsigned char third, unsigned char fourth)
{
    return p[0] == 'P' && p[1] == 'K' && p[2] == third && p[3] == fourth;
}

/* -------------------------------------------------------------------------- directory ----- */

typedef struct directory {
    uint64_t count, size, offset;
    uint64_t end; /* what follows it: the end record, of zip64 or not */
} directory;

/* A field of the end record says the same as zip64's, or all ones. */
static bool same_field(uint64_t small, uint64_t large, uint64_t ones)
{
    return small == large || small == ones;
}

/* Where a locator stands before the end record at `end`, its record counts. */
static int read_end64(directory *d, uint64_t end, const vx_file *file)
{
    unsigned char locator[LOCATOR], p[END64];
    if (end < LOCATOR)
        return VITX_OK;
    VX_TRY(vx_file_read(file, locator, end - LOCATOR, LOCATOR));
    if (!is_record(locator, 6, 7))
        return VITX_OK;
    const uint64_t at = u64(locator + 8), limit = end - LOCATOR;
    if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
        return vx_fail_in(VITX_UNSUPPORTED, file->path, "a zip archive in several parts");
    if (at > limit || limit - at < END64)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "its zip64 record is said to be at %llu, before %llu",
                          (unsigned long long)at, (unsigned long long)limit);
    VX_TRY(vx_file_read(file, p, at, END64));
    if (!is_record(p, 6, 6) || u64(p + 4) != limit - at - 12)
        return vx_fail_in(VITX_FORMAT, file->path, "damaged zip64 record at %llu",
                          (unsigned long long)at);
    if (u32(p + 16) != 0 || u32(p + 20) != 0 || u64(p + 24) != u64(p + 32))
        return vx_fail_in(VITX_UNSUPPORTED, file->path, "a zip archive in several parts");
    if (!same_field(d->count, u64(p + 32), 0xffff) ||
        !same_field(d->size, u64(p + 40), 0xffffffff) ||
        !same_field(d->offset, u64(p + 48), 0xffffffff))
        return vx_fail_in(VITX_FORMAT, file->path, "its two end records do not agree");
    *d = (directory){u64(p + 32), u64(p + 40), u64(p + 48), at};
    return VITX_OK;
}

/* What is known to be another kind of file; VITX_OK for what may be a zip archive. */
static int refuse_other_format(const vx_file *file)
{
    unsigned char bytes[VX_KIND_BYTES] = {0};
    const size_t n = file->size < sizeof bytes ? (size_t)file->size : sizeof bytes;
    VX_TRY(vx_file_read(file, bytes, 0, n));
    const char *kind = memcmp(bytes, "PK", 2) == 0 ? NULL : vx_kind_of(bytes, n);
    return kind ? vx_fail_in(VITX_FORMAT, file->path, "%s, no .npz file", kind) : VITX_OK;
}

/* The last place among the file's last n bytes where an end record's comment ends with the file. */
static int look_for_end(bool *found, directory *d, unsigned char *tail, size_t n,
                        const vx_file *file)
{
    *found = false;
    VX_TRY(vx_file_read(file, tail, file->size - n, n));
    for (size_t at = n - END + 1; at-- > 0 && !*found;) {
        const unsigned char *const p = tail + at;
        *found = is_record(p, 5, 6) && u16(p + 20) == n - at - END;
        if (*found && (u16(p + 4) || u16(p + 6) || u16(p + 8) != u16(p + 10)))
            return vx_fail_in(VITX_UNSUPPORTED, file->path, "a zip archive in several parts");
        *d = (directory){u16(p + 10), u32(p + 12), u32(p + 16), file->size - n + at};
    }
    return VITX_OK;
}

static int find_end(directory *d, const vx_file *file, const vitx_hooks *hooks)
{
    const uint64_t most = END + MAX_COMMENT;
    const size_t n = (size_t)(file->size < most ? file->size : most);
    unsigned char last[END], *tail;
    bool found;
    VX_TRY(refuse_other_format(file));
    if (n < END)
        return vx_fail_in(VITX_FORMAT, file->path, "%llu bytes, too short for a zip archive",
                          (unsigned long long)file->size);
    VX_TRY(look_for_end(&found, d, last, END, file)); /* few have a comment */
    if (!found) {
        VX_TRY(vx_new(&tail, hooks, n, 1, "the end of a zip file"));
        const int status = look_for_end(&found, d, tail, n, file);
        vx_release(hooks, tail);
        VX_TRY(status);
    }
    if (!found)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "no zip archive, or cut short: it has no directory at its end");
    return read_end64(d, d->end, file);
}

static int check_directory(const directory *d, const vx_file *file)
{
    if (d->offset > d->end || d->size != d->end - d->offset)
        return vx_fail_in(
            VITX_FORMAT, file->path, "its directory is said to be %llu bytes at %llu, up to %llu",
            (unsigned long long)d->size, (unsigned long long)d->offset, (unsigned long long)d->end);
    if (d->size > MAX_DIRECTORY || d->count > MAX_MEMBERS)
        return vx_fail_in(VITX_UNSUPPORTED, file->path,
                          "a directory of %llu members in %llu bytes; at most %u in %u are read",
                          (unsigned long long)d->count, (unsigned long long)d->size, MAX_MEMBERS,
                          MAX_DIRECTORY);
    if (d->count > d->size / ENTRY)
        return vx_fail_in(VITX_FORMAT, file->path, "%llu members cannot be listed in %llu bytes",
                          (unsigned long long)d->count, (unsigned long long)d->size);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- members ------- */

/* The zip64 field among the extra ones; *bytes 0 where there is none. False: they do not add up. */
static bool find_extra64(const unsigned char **field, size_t *bytes, const unsigned char *p,
                         size_t n)
{
    *bytes = 0;
    *field = NULL;
    while (n >= 4) {
        const size_t size = u16(p + 2);
        if (size > n - 4)
            return false;
        if (u16(p) == 1) {
            if (*field)
                return false;
            *field = p + 4;
            *bytes = size;
        }
        p += 4 + size;
        n -= 4 + size;
    }
    return n == 0;
}

/* Replaces a value that is all ones by the zip64 field's next one. */
static bool take64(uint64_t *value, const unsigned char **field, size_t *bytes)
{
    if (*value != 0xffffffff)
        return true;
    if (*bytes < 8)
        return false;
    *value = u64(*field);
    *field += 8;
    *bytes -= 8;
    return true;
}

static int check_member(const vx_zip_member *m, const vx_file *file)
{
    if (m->flags & ENCRYPTED)
        return vx_fail_in(VITX_UNSUPPORTED, file->path, "member %.100s is encrypted", m->name);
    if (m->flags & ~(DEFLATE_OPTIONS | DESCRIPTOR | UTF8))
        return vx_fail_in(VITX_UNSUPPORTED, file->path,
                          "member %.100s has flags 0x%x, which vitx does not know", m->name,
                          m->flags);
    if (m->method != 0 && m->method != 8)
        return vx_fail_in(VITX_UNSUPPORTED, file->path,
                          "member %.100s is packed by method %d; vitx reads stored (0) and "
                          "deflated (8)",
                          m->name, m->method);
    if (m->method == 0 && m->packed != m->size)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "member %.100s is stored, but has %llu bytes in %llu", m->name,
                          (unsigned long long)m->size, (unsigned long long)m->packed);
    if (m->packed > file->size || m->size / MAX_RATIO > m->packed)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "member %.100s: %llu bytes cannot be packed in %llu", m->name,
                          (unsigned long long)m->size, (unsigned long long)m->packed);
    return VITX_OK;
}

static bool good_name(const char *name, size_t length)
{
    return length > 0 && !memchr(name, '\0', length) && vx_utf8_valid(name, length);
}

/* One entry of the directory at *at; `end` is where it ends. The name goes to *names. */
static int read_entry(vx_zip_member *m, const unsigned char **at, const unsigned char *end,
                      char **names, const vx_file *file)
{
    const unsigned char *p = *at, *field;
    const size_t left = (size_t)(end - p);
    size_t bytes;
    if (left < ENTRY || !is_record(p, 1, 2))
        return vx_fail_in(VITX_FORMAT, file->path, "damaged directory of its zip archive");
    const size_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
    if (name + extra + comment > left - ENTRY || !good_name((const char *)p + ENTRY, name))
        return vx_fail_in(VITX_FORMAT, file->path,
                          "damaged name in the directory of its zip archive");
    m->name = memcpy(*names, p + ENTRY, name);
    (*names)[name] = '\0';
    *names += name + 1;
    m->flags = u16(p + 8);
    m->method = u16(p + 10);
    m->crc = u32(p + 16);
    m->packed = u32(p + 20);
    m->size = u32(p + 24);
    m->header = u32(p + 42);
    if (u16(p + 34) != 0)
        return vx_fail_in(VITX_UNSUPPORTED, file->path, "a zip archive in several parts");
    if (!find_extra64(&field, &bytes, p + ENTRY + name, extra) ||
        !take64(&m->size, &field, &bytes) || !take64(&m->packed, &field, &bytes) ||
        !take64(&m->header, &field, &bytes))
        return vx_fail_in(VITX_FORMAT, file->path,
                          "member %.100s: damaged extra fields in the directory", m->name);
    *at = p + ENTRY + name + extra + comment;
    return check_member(m, file);
}

/* The header before the data, with its name and extra fields, must say what the directory says. */
static int check_header(vx_zip_member *m, uint64_t limit, const unsigned char *p,
                        const vx_file *file)
{
    const size_t name = u16(p + 26), extra = u16(p + 28);
    const unsigned char *field;
    size_t bytes;
    uint64_t packed = u32(p + 18), size = u32(p + 22);
    const bool same = u16(p + 6) == m->flags && u16(p + 8) == m->method && name == strlen(m->name);
    const bool sizes_follow = m->flags & DESCRIPTOR;
    m->offset = m->header + HEADER + name + extra;
    if (!same || memcmp(p + HEADER, m->name, name) != 0 ||
        !find_extra64(&field, &bytes, p + HEADER + name, extra) || !take64(&size, &field, &bytes) ||
        !take64(&packed, &field, &bytes) ||
        (!sizes_follow && (size != m->size || packed != m->packed || u32(p + 14) != m->crc)))
        return vx_fail_in(VITX_FORMAT, file->path,
                          "member %.100s: its header and the directory do not agree", m->name);
    if (m->packed > limit - m->offset)
        return vx_fail_in(VITX_FORMAT, file->path,
                          "member %.100s: its %llu bytes reach into the directory", m->name,
                          (unsigned long long)m->packed);
    return VITX_OK;
}

/* Reads that header; most are short, and a file has one for each tensor. `limit`: where the
 * directory begins. */
static int read_header(vx_zip_member *m, uint64_t limit, const vx_zip *zip)
{
    unsigned char most[256], *whole;
    const char *const path = zip->file->path;
    if (m->header > limit || limit - m->header < HEADER)
        return vx_fail_in(VITX_FORMAT, path,
                          "member %.100s is said to be at %llu, behind the last one", m->name,
                          (unsigned long long)m->header);
    const uint64_t left = limit - m->header;
    const size_t n = left < sizeof most ? (size_t)left : sizeof most;
    VX_TRY(vx_file_read(zip->file, most, m->header, n));
    const size_t bytes = (size_t)HEADER + u16(most + 26) + u16(most + 28);
    if (!is_record(most, 3, 4) || left < bytes)
        return vx_fail_in(VITX_FORMAT, path, "member %.100s: no header at %llu", m->name,
                          (unsigned long long)m->header);
    if (bytes <= n)
        return check_header(m, limit, most, zip->file);
    VX_TRY(vx_new(&whole, zip->hooks, bytes, 1, "a member's header"));
    int status = vx_file_read(zip->file, whole, m->header, bytes);
    if (status == VITX_OK)
        status = check_header(m, limit, whole, zip->file);
    vx_release(zip->hooks, whole);
    return status;
}

static int by_place(const void *a, const void *b)
{
    const vx_zip_member *x = *(const vx_zip_member *const *)a,
                        *y = *(const vx_zip_member *const *)b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const vx_zip_member *const *)a)->name,
                  (*(const vx_zip_member *const *)b)->name);
}

/* Neither two members of one name, nor two that share a byte. */
static int check_members(const vx_zip *zip)
{
    const vx_zip_member **sorted;
    const size_t n = (size_t)zip->count;
    int status = VITX_OK;
    VX_TRY(vx_new(&sorted, zip->hooks, n + 1, sizeof *sorted, "a list of members"));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &zip->members[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 1; i < n && status == VITX_OK; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            status = vx_fail_in(VITX_FORMAT, zip->file->path, "member %.100s occurs twice",
                                sorted[i]->name);
    qsort(sorted, n, sizeof *sorted, by_place);
    for (size_t i = 1; i < n && status == VITX_OK; i++)
        if (sorted[i - 1]->offset + sorted[i - 1]->packed > sorted[i]->header)
            status = vx_fail_in(VITX_FORMAT, zip->file->path, "members %.100s and %.100s overlap",
                                sorted[i - 1]->name, sorted[i]->name);
    vx_release(zip->hooks, sorted);
    return status;
}

static int read_members(vx_zip *zip, const directory *d, const unsigned char *p)
{
    const unsigned char *const end = p + d->size;
    char *names = zip->names;
    for (; (uint64_t)zip->count < d->count; zip->count++)
        VX_TRY(read_entry(&zip->members[zip->count], &p, end, &names, zip->file));
    if (p != end)
        return vx_fail_in(VITX_FORMAT, zip->file->path, "%zu bytes are left over in its directory",
                          (size_t)(end - p));
    for (int i = 0; i < zip->count; i++)
        VX_TRY(read_header(&zip->members[i], d->offset, zip));
    return check_members(zip);
}

int vx_zip_open(vx_zip *out, const vx_file *file, const vitx_hooks *hooks)
{
    directory d = {0};
    unsigned char *text = NULL;
    *out = (vx_zip){.hooks = hooks, .file = file};
    VX_TRY(find_end(&d, file, hooks));
    VX_TRY(check_directory(&d, file));
    const size_t count = (size_t)d.count, size = (size_t)d.size;
    VX_TRY(vx_new(&out->members, hooks, count + 1, sizeof *out->members, "a list of members"));
    /* an entry is longer than its name and a '\0' */
    VX_TRY(vx_new(&out->names, hooks, size + 1, 1, "the members' names"));
    VX_TRY(vx_new(&text, hooks, size + 1, 1, "the directory of a zip file"));
    int status = vx_file_read(file, text, d.offset, size);
    if (status == VITX_OK)
        status = read_members(out, &d, text);
    vx_release(hooks, text);
    return status;
}

void vx_zip_dispose(vx_zip *zip)
{
    vx_release(zip->hooks, zip->members);
    vx_release(zip->hooks, zip->names);
    zip->members = NULL;
    zip->names = NULL;
    zip->count = 0;
}

/* -------------------------------------------------------------------------- contents ------ */

struct vx_zip_stream {
    const vx_zip *zip;
    const vx_zip_member *member;
    uint64_t at, packed_at; /* bytes given out; bytes taken from the file */
    uint32_t crc;
    bool ended; /* inflate has met the end */
    z_stream z;
    unsigned char chunk[CHUNK];
};

static void *z_alloc(void *hooks, unsigned count, unsigned size)
{
    size_t bytes;
    return vx_mul_size(&bytes, count, size) ? vx_alloc(hooks, bytes) : NULL;
}

static void z_release(void *hooks, void *memory)
{
    vx_release(hooks, memory);
}

int vx_zip_start(vx_zip_stream **out, const vx_zip *zip, int member)
{
    vx_zip_stream *s;
    *out = NULL;
    VX_TRY(vx_new(&s, zip->hooks, 1, sizeof *s, "a member's reader"));
    s->zip = zip;
    s->member = &zip->members[member];
    s->crc = (uint32_t)crc32(0, NULL, 0);
    s->z.zalloc = z_alloc;
    s->z.zfree = z_release;
    s->z.opaque = (void *)(uintptr_t)zip->hooks;
    if (s->member->method != 0 && inflateInit2(&s->z, -15) != Z_OK) { /* -15: no zlib header */
        vx_release(zip->hooks, s);
        return vx_fail(VITX_NOMEM, "no memory to inflate a member");
    }
    *out = s;
    return VITX_OK;
}

void vx_zip_stop(vx_zip_stream *s)
{
    if (!s)
        return;
    if (s->member->method != 0)
        inflateEnd(&s->z);
    vx_release(s->zip->hooks, s);
}

uint64_t vx_zip_at(const vx_zip_stream *s)
{
    return s->at;
}

static int damaged(const vx_zip_stream *s, const char *what)
{
    return vx_fail_in(VITX_FORMAT, s->zip->file->path, "member %.100s is damaged: %s",
                      s->member->name, what);
}

/* More packed bytes for inflate. */
static int refill(vx_zip_stream *s)
{
    const uint64_t left = s->member->packed - s->packed_at;
    const size_t n = left < CHUNK ? (size_t)left : CHUNK;
    if (n == 0)
        return damaged(s, "its packed data are too short");
    VX_TRY(vx_file_read(s->zip->file, s->chunk, s->member->offset + s->packed_at, n));
    s->packed_at += n;
    s->z.next_in = s->chunk;
    s->z.avail_in = (unsigned)n;
    return VITX_OK;
}

/* Up to `bytes` bytes, all of them unless the data end before. */
static int inflate_some(vx_zip_stream *s, unsigned char *dst, unsigned bytes)
{
    s->z.next_out = dst;
    s->z.avail_out = bytes;
    while (s->z.avail_out && !s->ended) {
        if (s->z.avail_in == 0)
            VX_TRY(refill(s));
        const int code = inflate(&s->z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return vx_fail(VITX_NOMEM, "no memory to inflate a member");
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return damaged(s, "it does not inflate");
        s->ended = code == Z_STREAM_END;
    }
    return VITX_OK;
}

static int read_some(vx_zip_stream *s, unsigned char *dst, unsigned bytes)
{
    if (s->member->method == 0) {
        VX_TRY(vx_file_read(s->zip->file, dst, s->member->offset + s->at, bytes));
    } else {
        VX_TRY(inflate_some(s, dst, bytes));
        if (s->z.avail_out)
            return damaged(s, "it inflates to less than the directory says");
    }
    s->crc = (uint32_t)crc32(s->crc, dst, bytes);
    s->at += bytes;
    return VITX_OK;
}

static int check_end(vx_zip_stream *s)
{
    unsigned char more;
    if (s->member->method != 0) {
        VX_TRY(inflate_some(s, &more, 1));
        if (s->z.avail_out == 0)
            return damaged(s, "it inflates to more than the directory says");
        if (s->z.avail_in || s->packed_at != s->member->packed)
            return damaged(s, "its packed data end before their place does");
    }
    return s->crc == s->member->crc ? VITX_OK : damaged(s, "its checksum is wrong");
}

int vx_zip_read(vx_zip_stream *s, void *dst, uint64_t bytes)
{
    unsigned char passed[4096] = {0}, *to = dst;
    if (bytes > s->member->size - s->at)
        return damaged(s, "it ends too early");
    while (bytes) {
        const uint64_t most = to ? 1u << 30 : sizeof passed;
        const unsigned n = (unsigned)(bytes < most ? bytes : most);
        VX_TRY(read_some(s, to ? to : passed, n));
        to = to ? to + n : NULL;
        bytes -= n;
        if (s->at == s->member->size)
            VX_TRY(check_end(s));
    }
    return VITX_OK;
}
