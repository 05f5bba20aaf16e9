/* batch/journal.c: the lines of a shard; see journal.h. */
#define _POSIX_C_SOURCE 200809L
#include "journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/say.h"

enum { MOST_JOURNAL = 1 << 28 };

struct journal {
    FILE *file;
    struct text line;
    struct keys before; /* "KEY CRC" of the attempts before, and "KEY" of their pictures */
    bool torn;          /* what is there ends within a line */
};

/* A line that was cut short by an end is none. */
static void know(struct journal *j, const char *line, size_t length)
{
    struct json *row = json_read(line, length);
    const char *key = json_string(json_get(row, "key"));
    const int64_t crc = json_int(json_get(row, "crc"), -1);
    struct text text = {0};
    const char *status = json_string(json_get(row, "status"));
    if (key && crc >= 0 && status && strcmp(status, "ok") == 0) {
        text_format(&text, "%s %" PRId64, key, crc);
        if (!text.failed && keys_put(&j->before, key) >= 0)
            keys_put(&j->before, text.data);
    }
    text_free(&text);
    json_free(row);
}

static void read_before(struct journal *j, const char *folder, const char *name)
{
    size_t bytes = 0;
    int error;
    char *all = file_get(folder, name, MOST_JOURNAL, &bytes, &error);
    for (char *line = all, *end; all && (end = strchr(line, '\n')) != NULL; line = end + 1)
        know(j, line, (size_t)(end - line));
    j->torn = bytes > 0 && all[bytes - 1] != '\n';
    free(all);
}

struct journal *journal_open(const char *folder, int shard)
{
    char name[64];
    struct journal *j = calloc(1, sizeof *j);
    snprintf(name, sizeof name, "state/%05d.jsonl", shard);
    char *path = path_in(folder, name);
    if (j && path) {
        read_before(j, folder, name);
        j->file = fopen(path, "ae");
        if (j->file && j->torn)
            fputs("\n", j->file);
        if (!j->file)
            complain(path, "%s", strerror(errno));
    } else {
        complain(NULL, "no memory");
    }
    free(path);
    if (j && j->file)
        return j;
    free(j);
    return NULL;
}

bool journal_add(struct journal *j, const char *key, const char *error, int made, uint32_t crc)
{
    j->line.length = 0;
    text_put(&j->line, "{\"key\":");
    text_json(&j->line, key);
    text_format(&j->line, ",\"status\":\"%s\",\"error\":", error ? "failed" : "ok");
    text_json(&j->line, error);
    text_format(&j->line, ",\"n_out\":%d,\"crc\":%" PRIu32 "}\n", made, crc);
    if (j->line.failed)
        return false;
    return fwrite(j->line.data, 1, j->line.length, j->file) == j->line.length &&
           fflush(j->file) == 0;
}

bool journal_differs(const struct journal *j, const char *key, uint32_t crc)
{
    struct text text = {0};
    bool differs = keys_find(&j->before, key) != NULL;
    if (differs) {
        text_format(&text, "%s %" PRIu32, key, crc);
        differs = !text.failed && !keys_find(&j->before, text.data);
    }
    text_free(&text);
    return differs;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    fclose(j->file);
    text_free(&j->line);
    keys_free(&j->before);
    free(j);
}
