/*
 * batch/sink_tar.c: NNNNN.tar in the form of WebDataset: KEY.json, KEY.METHOD.npy, KEY.METHOD.png,
 * the members of a key one behind the other. Owner, mode and time are the same in all of them, so
 * that the same pictures give the same bytes.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"

enum { BLOCK = 512, MOST_NAME = 100 };

static bool begin(struct sinking *s)
{
    char name[64];
    shard_name(name, sizeof name, s->shard, "tar");
    s->state = part_open(s->parts, name);
    return s->state != NULL;
}

static bool pack(const struct sinking *s, const struct outcome *outcome, struct parcel *parcel)
{
    static const char *const formats[] = {"npy", "png"};
    const char *key = outcome->input->key;
    char name[MAP_NAME];
    struct text *row = parcel_add(parcel, "%s.json", key);
    if (!row)
        return false;
    put_row(row, s->run, outcome);
    bool packed = !row->failed;
    for (int i = 0; i < 2 * s->run->maps.opts_count && packed; i++) {
        if (!outcome->maps[i / 2])
            continue;
        map_name(name, s->run, i / 2);
        struct text *data = parcel_add(parcel, "%s.%s.%s", key, name, formats[i % 2]);
        packed = data && put_map(data, s->run, outcome, i / 2, formats[i % 2]);
    }
    return packed;
}

/* ------------------------------------------------------------------ the format ------------- */

/* POSIX.1-1988; size fits in 11 octal digits, as a member is in memory and below 8 GiB. */
static void fill_header(char *h, const char *name, size_t size, char type)
{
    unsigned sum = 0;
    memset(h, 0, BLOCK);
    memcpy(h, name, strlen(name) < MOST_NAME ? strlen(name) : MOST_NAME);
    memcpy(h + 100, "0000644", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    snprintf(h + 124, 12, "%011" PRIo64, (uint64_t)size & UINT64_C(077777777777));
    memcpy(h + 136, "00000000000", 12);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 257, "ustar", 6);
    memcpy(h + 263, "00", 2);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum & 0777777);
}

static bool put(struct part *part, const char *name, const void *data, size_t size, char type)
{
    static const char zeros[BLOCK];
    char header[BLOCK];
    fill_header(header, name, size, type);
    return part_write(part, header, BLOCK) && part_write(part, data, size) &&
           part_write(part, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

/* A name that the header has no room for: a record "LENGTH path=NAME\n", whose length counts its
 * own digits. */
static bool put_long_name(struct part *part, const char *name)
{
    struct text record = {0};
    size_t length = strlen(name) + strlen(" path=\n"), digits = 1;
    for (size_t most = 10; length + digits >= most; most *= 10)
        digits++;
    text_format(&record, "%zu path=%s\n", length + digits, name);
    const bool added = !record.failed && put(part, "pax", record.data, record.length, 'x');
    text_free(&record);
    return added;
}

static bool add(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel)
{
    bool added = true;
    for (int i = 0; i < parcel->count && added && !outcome->error; i++) {
        const struct item *item = &parcel->items[i];
        if (strlen(item->name) > MOST_NAME)
            added = put_long_name(s->state, item->name);
        added = added && put(s->state, item->name, item->data.data, item->data.length, '0');
    }
    return added;
}

/* ------------------------------------------------------------------ a tar of before --------- */

/* A member of our own making. */
struct member {
    char name[8192];
    uint64_t bytes; /* of its headers, its bytes and what fills up its last block */
};

static uint64_t whole_blocks(const char *header)
{
    char digits[12];
    memcpy(digits, header + 124, 11);
    digits[11] = '\0';
    return (strtoull(digits, NULL, 8) + BLOCK - 1) / BLOCK * BLOCK;
}

/* "LENGTH path=NAME\n" */
static bool read_long_name(FILE *file, struct member *m, uint64_t bytes)
{
    char record[sizeof m->name + BLOCK];
    if (bytes >= sizeof record || fread(record, 1, (size_t)bytes, file) != bytes)
        return false;
    record[bytes] = '\0';
    const char *name = strstr(record, " path="), *end = name ? strchr(name, '\n') : NULL;
    if (!end || (size_t)(end - name) >= sizeof m->name)
        return false;
    name += strlen(" path=");
    memcpy(m->name, name, (size_t)(end - name));
    m->name[end - name] = '\0';
    return true;
}

static bool read_member(FILE *file, struct member *m)
{
    char header[BLOCK];
    if (fread(header, 1, BLOCK, file) != BLOCK || !header[0])
        return false;
    m->bytes = BLOCK + whole_blocks(header);
    if (header[156] != 'x') {
        memcpy(m->name, header, MOST_NAME);
        m->name[MOST_NAME] = '\0';
        return true;
    }
    if (!read_long_name(file, m, whole_blocks(header)) || fread(header, 1, BLOCK, file) != BLOCK)
        return false;
    m->bytes += BLOCK + whole_blocks(header);
    return true;
}

/* The members that come next, as long as they are the picture's; one at least. */
bool recall_members(struct sinking *s, const char *key)
{
    struct member m;
    int count = 0;
    if (!old_open(s, "tar"))
        return false;
    for (;;) {
        const off_t at = ftello(s->old);
        const bool mine = read_member(s->old, &m) && is_of_key(m.name, key);
        if (at < 0 || fseeko(s->old, at, SEEK_SET) != 0)
            return false;
        if (!mine)
            return count > 0;
        if (!old_copy(s, s->state, m.bytes))
            return false;
        count++;
    }
}

static bool finish(struct sinking *s)
{
    static const char zeros[2 * BLOCK];
    return part_write(s->state, zeros, sizeof zeros) && part_close(s->state);
}

static void end(struct sinking *s)
{
    (void)s;
}

const struct sink sink_tar = {"tar", begin, pack, NULL, add, finish, end};
