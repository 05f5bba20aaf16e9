/* batch/plan.c: see plan.h. */
#define _POSIX_C_SOURCE 200809L
#include "plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit.h"
#include "journal.h"
#include "tools/cli/json.h"
#include "tools/cli/say.h"

#define PLAN "plan.json"

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

bool plan_is_there(const char *folder)
{
    char *path = path_in(folder, PLAN);
    const bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* ------------------------------------------------------------------ writing ---------------- */

/* A name as JSON has it; where that is not all of its bytes, these as well. */
static void put_name(struct text *text, const char *name)
{
    const size_t before = text->length;
    text_json(text, name);
    if (text->failed || !strstr(text->data + before, "\xef\xbf\xbd"))
        return;
    text_put(text, ",\"bytes\":\"");
    for (const char *p = name; *p; p++)
        text_format(text, "%02x", (unsigned char)*p);
    text_put(text, "\"");
}

static void put_input(struct text *text, const struct input *i)
{
    text_put(text, "{\"key\":");
    text_json(text, i->key);
    text_put(text, ",\"name\":");
    put_name(text, i->name);
    if (i->archive != NO_ARCHIVE)
        text_format(text, ",\"archive\":%d,\"member\":%" PRId64, i->archive, i->member);
    text_format(text, ",\"size\":%" PRId64 ",\"mtime\":%" PRId64, i->size, i->mtime);
    if (i->error) {
        text_put(text, ",\"error\":");
        text_json(text, i->error);
    }
    text_put(text, "}");
}

static bool flush(struct part *part, struct text *text)
{
    const bool put = !text->failed && part_write(part, text->data, text->length);
    text->length = 0;
    return put;
}

static bool write_inputs(struct part *part, const struct listing *l)
{
    struct text line = {0};
    bool put = true;
    for (int i = 0; i < l->count && put; i++) {
        put_input(&line, &l->inputs[i]);
        text_put(&line, i + 1 < l->count ? ",\n" : "\n");
        put = flush(part, &line);
    }
    text_put(&line, "]}\n");
    put = put && flush(part, &line);
    text_free(&line);
    return put;
}

static bool write_head(struct part *part, const struct text *head, const struct listing *l)
{
    struct text text = {0};
    text_add(&text, head->data, head->length);
    text_put(&text, "\"archives\":[");
    for (int i = 0; i < l->archives.count; i++) {
        text_put(&text, i ? ",{\"name\":" : "{\"name\":");
        put_name(&text, l->archives.items[i]);
        text_put(&text, "}");
    }
    text_put(&text, "],\"inputs\":[\n");
    const bool put = flush(part, &text);
    text_free(&text);
    return put;
}

/* The whole file gets its name, if that is free: by a link, which one worker alone can make even
 * where there are no locks. */
static bool name_plan(const char *folder, const char *mine)
{
    char *from = path_in(folder, mine), *to = path_in(folder, PLAN);
    bool named = from && to && (link(from, to) == 0 || errno == EEXIST);
    if (!named && from && to) /* no links here; the lock is held */
        named = rename(from, to) == 0;
    if (!named)
        complain(to ? to : folder, "%s", from && to ? strerror(errno) : "no memory");
    if (from)
        unlink(from);
    free(from);
    free(to);
    return named && folder_sync(folder);
}

/* Where the plan is written before it has its name: one place, which whoever has the lock may use;
 * without locks a place of this process. */
static void place_plan(char *out, size_t size, const struct locks *locks)
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    for (char *p = host; *p; p++)
        *p = *p == '/' || *p == '.' ? '_' : *p;
    if (locks->none)
        snprintf(out, size, "state/plan-%s-%ld", host, (long)getpid());
    else
        snprintf(out, size, "state/plan");
}

/* What is left of a worker that was killed while it wrote. The lock is held. */
static void clear_place(const char *folder, const struct locks *locks)
{
    static const char *const names[] = {"state/plan", "state/plan.part"};
    for (int i = 0; i < 2 && !locks->none; i++) {
        char *path = path_in(folder, names[i]);
        if (path)
            unlink(path);
        free(path);
    }
}

static int write_plan(const char *folder, const struct text *head, const struct listing *l,
                      const struct locks *locks)
{
    char mine[128];
    struct parts parts = {.folder = folder};
    place_plan(mine, sizeof mine, locks);
    struct part *part = part_open(&parts, mine);
    bool put = write_head(part, head, l) && write_inputs(part, l) && parts_commit(&parts);
    if (!put && !parts.stopped)
        complain(NULL, "no memory");
    parts_end(&parts);
    put = put && name_plan(folder, mine);
    return put ? DONE : STOPPED;
}

/* ------------------------------------------------------------------ reading ---------------- */

static int damaged(const char *folder)
{
    return wrong_usage("%s/" PLAN " is damaged; --restart discards it", folder);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a name, to be freed; NULL: it is none. */
static char *name_of(const struct json *node)
{
    const char *name = json_string(json_get(node, "name"));
    const char *hex = json_string(json_get(node, "bytes"));
    if (!hex)
        return name ? strdup(name) : NULL;
    char *bytes = calloc(strlen(hex) / 2 + 1, 1);
    for (size_t i = 0; bytes && hex[2 * i] && hex[2 * i + 1]; i++) {
        const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (char)(16 * high + low);
    }
    return bytes;
}

/* A key is a part of names of files. */
static bool is_key(const char *key)
{
    if (!key || !*key)
        return false;
    for (const char *p = key; *p;) {
        const size_t n = strcspn(p, "/");
        if (n == 0 || n > 255 || memchr(p, '.', n) || memchr(p, '\\', n))
            return false;
        p += n + (p[n] == '/');
        if (p[-1] == '/' && !*p)
            return false;
    }
    return true;
}

static bool read_input(struct listing *l, const struct json *node)
{
    struct input one = {.archive = (int)json_int(json_get(node, "archive"), NO_ARCHIVE),
                        .member = json_int(json_get(node, "member"), 0),
                        .size = json_int(json_get(node, "size"), -1),
                        .mtime = json_int(json_get(node, "mtime"), 0)};
    const char *key = json_string(json_get(node, "key"));
    const char *error = json_string(json_get(node, "error"));
    if (!is_key(key) || one.archive < NO_ARCHIVE || one.archive >= l->archives.count)
        return false;
    if (keys_put(&l->keys, key) != 1)
        return false;
    one.key = keys_find(&l->keys, key);
    one.name = name_of(node);
    one.error = error ? strdup(error) : NULL;
    return listing_add(l, &one, NULL);
}

static bool read_archives(struct listing *l, const struct json *head)
{
    const struct json *a = json_first(json_get(head, "archives"));
    for (; a; a = json_next(a)) {
        char *name = name_of(a);
        const bool added = name && list_add(&l->archives, name, strlen(name));
        free(name);
        if (!added)
            return false;
    }
    return true;
}

/* The first line, as an object without inputs; NULL: it is none. */
static struct json *read_head(FILE *file, char **line, size_t *room)
{
    const ssize_t n = getline(line, room, file);
    static const char end[] = "\"inputs\":[\n";
    const size_t length = n > 0 ? (size_t)n : 0, tail = sizeof end - 1;
    if (length < tail || strcmp(*line + length - tail, end) != 0)
        return NULL;
    char *text = malloc(length + 4);
    if (!text)
        return NULL;
    memcpy(text, *line, length);
    strcpy(text + length, "]}");
    struct json *head = json_read(text, length + 2);
    free(text);
    return head;
}

static bool read_lines(struct listing *l, FILE *file, char **line, size_t *room)
{
    ssize_t n;
    while ((n = getline(line, room, file)) > 0) {
        if (strcmp(*line, "]}\n") == 0)
            return true;
        while (n > 0 && ((*line)[n - 1] == '\n' || (*line)[n - 1] == ','))
            n--;
        struct json *node = json_read(*line, (size_t)n);
        const bool read = node && read_input(l, node);
        json_free(node);
        if (!read)
            return false;
    }
    return false;
}

/* *head is to be freed. */
static int read_plan(struct listing *l, struct json **head, const char *folder)
{
    char *path = path_in(folder, PLAN), *line = NULL;
    size_t room = 0;
    FILE *file = path ? fopen(path, "re") : NULL;
    *head = NULL;
    if (!file) {
        complain(path ? path : folder, "%s", path ? strerror(errno) : "no memory");
        free(path);
        return SOME_FAILED;
    }
    *head = read_head(file, &line, &room);
    const bool read = *head && read_archives(l, *head) && read_lines(l, file, &line, &room);
    fclose(file);
    free(line);
    free(path);
    return read ? DONE : damaged(folder);
}

/* ------------------------------------------------------------------ comparing -------------- */

static void quote(char *out, size_t size, const char *text)
{
    snprintf(out, size, "\"%.*s\"", text_beginning(text, 200), text);
}

/* "a, b" of a list of texts. */
static void list_text(char *out, size_t size, const struct json *node)
{
    struct text all = {0};
    for (const struct json *item = json_first(node); item && all.length < size;
         item = json_next(item)) {
        const char *text = json_string(item);
        text_put(&all, all.length ? ", " : "");
        text_put(&all, text ? text : "");
    }
    quote(out, size, all.data && !all.failed ? all.data : "");
    text_free(&all);
}

static void value_text(char *out, size_t size, const struct json *node)
{
    const char *text = json_string(node);
    if (json_kind(node) == JSON_LIST)
        list_text(out, size, node);
    else if (text)
        quote(out, size, text);
    else if (node)
        snprintf(out, size, "%" PRId64, json_int(node, 0));
    else
        snprintf(out, size, "nothing");
}

/* plan: what is in the plan, run: what this run has. */
static int differ(const char *key, bool option, const struct json *plan, const struct json *run)
{
    char planned[256], now[256];
    value_text(planned, sizeof planned, plan);
    value_text(now, sizeof now, run);
    return wrong_usage("the plan has %s%s %s, and this run %s; --restart discards what was done",
                       option ? "--" : "", key, planned, now);
}

/* The first member of either that is not the same in the other is told of. */
static int compare_members(const struct json *plan, const struct json *run, bool options)
{
    for (const struct json *m = json_first(run); m; m = json_next(m)) {
        const struct json *there = json_get(plan, json_name(m));
        int status = DONE;
        if (strcmp(json_name(m), "inputs") == 0)
            continue;
        if (!options && strcmp(json_name(m), "options") == 0)
            status = compare_members(there, m, true);
        else if (!json_same(m, there))
            status = differ(json_name(m), options, there, m);
        if (status != DONE)
            return status;
    }
    for (const struct json *m = json_first(plan); m; m = json_next(m))
        if (strcmp(json_name(m), "archives") != 0 && !json_get(run, json_name(m)))
            return differ(json_name(m), options, m, NULL);
    return DONE;
}

static int compare_heads(const struct text *head, const struct json *there)
{
    struct text all = {0};
    text_add(&all, head->data, head->length);
    text_put(&all, "\"inputs\":[]}");
    struct json *now = all.failed ? NULL : json_read(all.data, all.length);
    text_free(&all);
    if (!now)
        return no_memory();
    const int status = compare_members(there, now, false);
    json_free(now);
    return status;
}

/* Where an input's bytes are: a file of its own, or its archive. */
static const char *file_of(const struct listing *l, const struct input *i)
{
    return i->archive == NO_ARCHIVE ? i->name : l->archives.items[i->archive];
}

/* That all of `some` are in `all`; those of the plan may have gone from the disk, or from their
 * archive. */
static int find_all(const struct listing *some, const struct listing *all, bool planned)
{
    struct keys names = {0};
    int status = DONE;
    for (int i = 0; i < all->count && status == DONE; i++)
        status = keys_put(&names, all->inputs[i].name) < 0 ? no_memory() : DONE;
    for (int i = 0; i < all->archives.count && status == DONE && planned; i++)
        status = keys_put(&names, all->archives.items[i]) < 0 ? no_memory() : DONE;
    for (int i = 0; i < some->count && status == DONE; i++) {
        const char *file = file_of(some, &some->inputs[i]);
        if (keys_find(&names, some->inputs[i].name) || (planned && keys_find(&names, file)))
            continue;
        if (!planned)
            status = wrong_usage("%s is not in the plan; --restart makes another plan, and "
                                 "discards what was done",
                                 some->inputs[i].name);
        else if (access(file, F_OK) == 0)
            status = wrong_usage("%s is in the plan, and not among the inputs now; --restart makes "
                                 "another plan, and discards what was done",
                                 file);
    }
    keys_free(&names);
    return status;
}

/* ------------------------------------------------------------------ in order --------------- */

int shards_of(int *first, const struct listing *l, const struct cut *cut)
{
    int64_t bytes = 0;
    int begin = 0, shards = 0;
    for (int i = 0; i < l->count; i++) {
        const int64_t size = l->inputs[i].size > 0 ? l->inputs[i].size : 0;
        if (i > begin && (i - begin == cut->inputs || size > cut->bytes - bytes)) {
            begin = i;
            bytes = 0;
            shards++;
            if (first)
                first[shards] = begin;
        }
        bytes += size < cut->bytes ? size : cut->bytes;
    }
    shards += l->count > 0;
    if (first)
        first[shards] = l->count;
    return shards;
}

static int cut_shards(struct plan *plan, const struct cut *cut)
{
    plan->first = calloc((size_t)plan->listing.count + 2, sizeof *plan->first);
    if (!plan->first)
        return no_memory();
    plan->shards = shards_of(plan->first, &plan->listing, cut);
    return DONE;
}

static int read_and_compare(struct plan *plan, const char *folder, const struct text *head,
                            const struct listing *now)
{
    struct json *there;
    plan->listing.stream = now->stream;
    int status = read_plan(&plan->listing, &there, folder);
    if (status == DONE)
        status = compare_heads(head, there);
    if (status == DONE)
        status = find_all(now, &plan->listing, false);
    if (status == DONE)
        status = find_all(&plan->listing, now, true);
    json_free(there);
    return status;
}

int plan_agree(struct plan *plan, const char *folder, const struct text *head,
               struct listing *listing, const struct cut *cut, struct locks *locks)
{
    int status = DONE;
    *plan = (struct plan){0};
    lock_await(locks, LOCK_PLAN);
    if (!plan_is_there(folder) && has_markers(folder))
        status = wrong_usage("%s has results, and their " PLAN " is gone; --restart discards them",
                             folder);
    else if (!plan_is_there(folder))
        status = write_plan(folder, head, listing, locks);
    else
        clear_place(folder, locks);
    lock_give(locks, LOCK_PLAN);
    if (status == DONE)
        status = read_and_compare(plan, folder, head, listing);
    listing_free(listing);
    return status == DONE ? cut_shards(plan, cut) : status;
}

void plan_free(struct plan *plan)
{
    listing_free(&plan->listing);
    free(plan->first);
}
