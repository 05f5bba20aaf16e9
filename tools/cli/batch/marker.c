/* batch/marker.c: the markers of shards that are done, and what is made of all of them; see
 * journal.h. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "tools/cli/say.h"

enum { MOST_MARKER = 1 << 28 };

static void marker_name(char *out, size_t size, int shard)
{
    snprintf(out, size, "state/%05d.done", shard);
}

/* ------------------------------------------------------------------ writing ---------------- */

void marking_fail(struct marking *m, const struct input *input, const char *error)
{
    m->failed++;
    text_put(&m->failures, m->failures.length ? ",\n{\"key\":" : "{\"key\":");
    text_json(&m->failures, input->key);
    text_put(&m->failures, ",\"image\":");
    text_json(&m->failures, input->name);
    text_put(&m->failures, ",\"error\":");
    text_json(&m->failures, error);
    text_put(&m->failures, "}");
}

void marking_accept(struct marking *m, const struct input *input, int64_t size)
{
    text_put(&m->accepted, m->accepted.length ? ",\n" : "");
    text_json(&m->accepted, input->key);
    text_format(&m->accepted, ":%" PRId64, size);
}

bool marking_write(struct marking *m, const char *folder, int shard, const struct parts *parts)
{
    char name[64];
    struct text t = {0};
    text_format(&t,
                "{\"shard\":%d,\"inputs\":%d,\"names\":%" PRIu32 ",\"failed\":%d,\"outputs\":[\n",
                shard, m->inputs, m->names, m->failed);
    for (int i = 0; i < parts->count; i++) {
        const struct part_info p = part_info(parts, i);
        text_put(&t, i ? ",\n{\"name\":" : "{\"name\":");
        text_json(&t, p.name);
        text_format(&t, ",\"bytes\":%" PRId64 ",\"sha256\":\"%s\"", p.bytes, p.digest);
        if (p.key) {
            text_put(&t, ",\"key\":");
            text_json(&t, p.key);
        }
        text_put(&t, "}");
    }
    text_put(&t, "],\n\"failures\":[");
    text_add(&t, m->failures.data, m->failures.length);
    text_put(&t, "],\n\"accepted\":{");
    text_add(&t, m->accepted.data, m->accepted.length);
    text_put(&t, "}}\n");
    marker_name(name, sizeof name, shard);
    const bool failed = t.failed || m->failures.failed || m->accepted.failed;
    if (failed)
        complain(name, "no memory");
    const bool written = !failed && file_put(folder, name, t.data, t.length);
    text_free(&t);
    return written;
}

void marking_free(struct marking *m)
{
    text_free(&m->failures);
    text_free(&m->accepted);
    *m = (struct marking){0};
}

/* ------------------------------------------------------------------ reading ---------------- */

struct json *marker_read(const char *folder, int shard)
{
    char name[64];
    size_t bytes = 0;
    int error;
    marker_name(name, sizeof name, shard);
    char *text = file_get(folder, name, MOST_MARKER, &bytes, &error);
    struct json *marker = text ? json_read(text, bytes) : NULL;
    free(text);
    if (json_int(json_get(marker, "shard"), -1) == shard)
        return marker;
    json_free(marker);
    return NULL;
}

/* Names of our own making; others are not to lead anywhere. */
static const char *output_of(const struct json *output)
{
    const char *name = json_string(json_get(output, "name"));
    return name && name[0] != '/' && !strstr(name, "..") ? name : NULL;
}

static bool has_digest(const char *path, const char *wanted)
{
    static const size_t size = 1 << 16;
    uint8_t sum[DIGEST_BYTES];
    char text[DIGEST_TEXT];
    FILE *file = fopen(path, "re");
    struct digest *digest = file ? digest_begin() : NULL;
    char *piece = digest ? malloc(size) : NULL;
    size_t n;
    while (piece && (n = fread(piece, 1, size, file)) > 0)
        digest_add(digest, piece, n);
    const bool read = piece && !ferror(file);
    if (digest)
        digest_end(digest, sum);
    if (file)
        fclose(file);
    free(piece);
    if (!read)
        return false;
    digest_text(text, sum);
    return wanted && strcmp(text, wanted) == 0;
}

static bool is_there(const char *folder, const struct json *output, bool verify)
{
    struct stat info;
    const char *name = output_of(output);
    char *path = name ? path_in(folder, name) : NULL;
    bool there = path && stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
                 (int64_t)info.st_size == json_int(json_get(output, "bytes"), -1);
    if (there && verify)
        there = has_digest(path, json_string(json_get(output, "sha256")));
    free(path);
    return there;
}

bool marker_fits(const struct json *marker, const char *folder, bool verify)
{
    bool fits = marker != NULL;
    const struct json *o = json_first(json_get(marker, "outputs"));
    for (; o && fits; o = json_next(o))
        fits = is_there(folder, o, verify);
    return fits;
}

void marker_tidy(const struct json *marker, const char *folder)
{
    const struct json *o = json_first(json_get(marker, "outputs"));
    for (; o; o = json_next(o)) {
        const char *name = output_of(o);
        char *path = name ? path_in(folder, name) : NULL;
        struct text part = {0};
        text_format(&part, "%s.part", path ? path : "");
        if (path && !part.failed)
            unlink(part.data);
        text_free(&part);
        free(path);
    }
}

int marker_inputs(const struct json *marker)
{
    return (int)json_int(json_get(marker, "inputs"), 0);
}

int marker_pictures(const struct json *marker)
{
    int inputs = marker_inputs(marker);
    const struct json *row = json_first(json_get(marker, "failures"));
    for (; row; row = json_next(row)) {
        const char *image = json_string(json_get(row, "image"));
        inputs -= image && strcmp(image, STREAM_NAME) == 0;
    }
    return inputs;
}

uint32_t marker_names(const struct json *marker)
{
    return (uint32_t)json_int(json_get(marker, "names"), 0);
}

int marker_failed(const struct json *marker)
{
    return (int)json_int(json_get(marker, "failed"), 0);
}

bool marker_has_failed(const struct json *marker, const char *key)
{
    const struct json *row = json_first(json_get(marker, "failures"));
    for (; row; row = json_next(row)) {
        const char *failed = json_string(json_get(row, "key"));
        if (failed && strcmp(failed, key) == 0)
            return true;
    }
    return false;
}

int64_t marker_accepted(const struct json *marker, const char *key)
{
    return json_int(json_get(json_get(marker, "accepted"), key), -1);
}

/* ------------------------------------------------------------------ failed.jsonl ----------- */

static void put_failures(struct text *text, const struct json *marker)
{
    static const char *const members[] = {"key", "image", "error"};
    const struct json *row = json_first(json_get(marker, "failures"));
    for (; row; row = json_next(row)) {
        for (int i = 0; i < 3; i++) {
            text_format(text, "%s\"%s\":", i ? "," : "{", members[i]);
            text_json(text, json_string(json_get(row, members[i])));
        }
        text_put(text, "}\n");
    }
}

/* How many markers there are. */
static int gather(struct text *text, const char *folder, int shards)
{
    int found = 0;
    for (int i = 0; shards < 0 || i < shards; i++) {
        struct json *marker = marker_read(folder, i);
        if (!marker && shards < 0)
            break;
        found += marker != NULL;
        put_failures(text, marker);
        json_free(marker);
    }
    return found;
}

bool failures_gather(const char *folder, int shards)
{
    struct text text = {0};
    gather(&text, folder, shards);
    if (text.failed)
        complain("failed.jsonl", "no memory");
    const bool put =
        !text.failed && file_put(folder, "failed.jsonl", text.data ? text.data : "", text.length);
    text_free(&text);
    return put;
}

/* ------------------------------------------------------------------ --restart -------------- */

static void remove_in(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    if (path)
        unlink(path);
    free(path);
}

void discard_shard(const char *folder, int shard)
{
    char name[64];
    struct json *marker = marker_read(folder, shard);
    const struct json *o = json_first(json_get(marker, "outputs"));
    for (; o; o = json_next(o))
        if (output_of(o))
            remove_in(folder, output_of(o));
    json_free(marker);
    marker_name(name, sizeof name, shard);
    remove_in(folder, name);
    snprintf(name, sizeof name, "state/%05d.jsonl", shard);
    remove_in(folder, name);
}

/* What a run that was killed has left under way. Links are not followed. */
static void remove_parts(const char *folder, int depth)
{
    DIR *dir = depth < 64 ? opendir(folder) : NULL;
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        const size_t n = strlen(e->d_name);
        char *path = e->d_name[0] == '.' ? NULL : path_in(folder, e->d_name);
        struct stat info;
        if (path && lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            remove_parts(path, depth + 1);
        else if (path && n > 5 && strcmp(e->d_name + n - 5, ".part") == 0)
            unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

/* The shard of a name like 00012.done; -1: none. */
static int shard_of(const char *name, const char *ending)
{
    char *end;
    const long shard = strtol(name, &end, 10);
    const bool fits = end != name && shard >= 0 && shard < INT32_MAX && strcmp(end, ending) == 0;
    return fits ? (int)shard : -1;
}

static DIR *open_state(const char *folder)
{
    char *state = path_in(folder, "state");
    DIR *dir = state ? opendir(state) : NULL;
    free(state);
    return dir;
}

bool has_markers(const char *folder)
{
    DIR *dir = open_state(folder);
    bool has = false;
    for (const struct dirent *e; dir && !has && (e = readdir(dir)) != NULL;)
        has = shard_of(e->d_name, ".done") >= 0;
    if (dir)
        closedir(dir);
    return has;
}

bool discard_all(const char *folder)
{
    DIR *dir = open_state(folder);
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        const int done = shard_of(e->d_name, ".done"), begun = shard_of(e->d_name, ".jsonl");
        if (done >= 0 || begun >= 0)
            discard_shard(folder, done >= 0 ? done : begun);
    }
    if (dir)
        closedir(dir);
    remove_parts(folder, 0);
    remove_in(folder, "failed.jsonl");
    remove_in(folder, "gallery/index.html");
    remove_in(folder, "plan.json");
    return folder_sync(folder);
}
