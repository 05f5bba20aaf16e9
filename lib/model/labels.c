/* model/labels.c: see labels.h. */
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define MAX_FILE ((size_t)1 << 25)
#define MAX_VALUES ((size_t)1 << 20)

void vx_labels_dispose(vx_labels *labels, const vitx_hooks *hooks)
{
    for (int i = 0; i < labels->count; i++)
        vx_release(hooks, labels->names[i]);
    vx_release(hooks, labels->names);
    *labels = (vx_labels){0};
}

static int begin(vx_labels *out, int count, const vitx_hooks *hooks)
{
    VX_TRY(vx_new(&out->names, hooks, (size_t)count, sizeof *out->names, "class names"));
    out->count = count;
    return VITX_OK;
}

/* "n01440764 tench, Tinca tinca" without its WordNet id. */
static const char *skip_wordnet_id(const char *text, size_t bytes)
{
    if (bytes < 11 || text[0] != 'n' || (text[9] != ' ' && text[9] != '\t'))
        return text;
    for (int i = 1; i < 9; i++)
        if (text[i] < '0' || text[i] > '9')
            return text;
    return text + 10;
}

/* An empty name is no name. */
static int set(vx_labels *out, int index, const char *text, size_t bytes, const vitx_hooks *hooks)
{
    const char *end = text + bytes;
    text = skip_wordnet_id(text, bytes);
    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (text == end)
        return VITX_OK;
    const size_t length = (size_t)(end - text);
    VX_TRY(vx_new(&out->names[index], hooks, length + 1, 1, "a class name"));
    memcpy(out->names[index], text, length);
    return VITX_OK;
}

/* A class number written as JSON objects write it: "0", "17", not "017". -1 if it is none. */
static int decimal(const char *key)
{
    int value;
    const bool digits = key && key[0] && strspn(key, "0123456789") == strlen(key);
    if (!digits || (key[0] == '0' && key[1]) || !vx_parse_int(key, &value))
        return -1;
    return value;
}

static int wrong_count(const char *path, int count, int classes)
{
    return vx_fail_in(VITX_FORMAT, path, "%d class names, but the model has %d classes", count,
                      classes);
}

/* -------------------------------------------------------------------------- text ---------- */

static int load_lines(vx_labels *out, const char *text, size_t bytes, const char *path, int classes,
                      const vitx_hooks *hooks)
{
    if (!vx_utf8_valid(text, bytes) || memchr(text, '\0', bytes))
        return vx_fail_in(VITX_FORMAT, path, "class names that are not UTF-8 text");
    while (bytes && strchr(" \t\r\n", text[bytes - 1]))
        bytes--;
    int lines = bytes > 0;
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    if (lines != classes)
        return wrong_count(path, lines, classes);
    VX_TRY(begin(out, classes, hooks));
    const char *const end = text + bytes;
    for (int i = 0; i < classes; i++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop)
            stop = end;
        VX_TRY(set(out, i, text, (size_t)(stop - text), hooks));
        text = stop < end ? stop + 1 : end;
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- JSON ---------- */

/* A name, or Keras's ["n01440764", "tench"]; NULL for anything else. */
static const char *name_of(const vx_json *node)
{
    const vx_json *last = node;
    if (vx_json_is_array(node))
        for (const vx_json *m = vx_json_first(node); m; m = vx_json_next(m))
            last = m;
    return vx_json_string(last);
}

static int take_array(vx_labels *out, const vx_json *array, const char *path,
                      const vitx_hooks *hooks)
{
    int i = 0;
    for (const vx_json *m = vx_json_first(array); m; m = vx_json_next(m), i++) {
        const char *name = name_of(m);
        if (!name && !vx_json_is_null(m))
            return vx_fail_in(VITX_FORMAT, path, "the name of class %d is no string", i);
        if (name)
            VX_TRY(set(out, i, name, strlen(name), hooks));
    }
    return VITX_OK;
}

static int take_numbered(vx_labels *out, const vx_json *object, const char *path,
                         const vitx_hooks *hooks)
{
    for (const vx_json *m = vx_json_first(object); m; m = vx_json_next(m)) {
        const int index = decimal(vx_json_key(m));
        const char *name = name_of(m);
        if (index < 0 || index >= out->count)
            return vx_fail_in(VITX_FORMAT, path, "\"%.40s\" is no class of a model of %d classes",
                              vx_json_key(m), out->count);
        if (!name)
            return vx_fail_in(VITX_FORMAT, path, "the name of class %d is no string", index);
        VX_TRY(set(out, index, name, strlen(name), hooks));
    }
    return VITX_OK;
}

/* {"tench": 0, ...}, as transformers' label2id: names with a number for each class. */
static bool is_named(const vx_json *names, int classes)
{
    int number;
    const vx_json *m = vx_json_is_object(names) ? vx_json_first(names) : NULL;
    while (m && vx_json_int(m, &number))
        m = vx_json_next(m);
    return !m && vx_json_is_object(names) && vx_json_size(names) == classes;
}

static int take_named(vx_labels *out, const vx_json *object, const char *path,
                      const vitx_hooks *hooks)
{
    for (const vx_json *m = vx_json_first(object); m; m = vx_json_next(m)) {
        const char *name = vx_json_key(m);
        int index = -1;
        if (!vx_json_int(m, &index) || index < 0 || index >= out->count)
            return vx_fail_in(VITX_FORMAT, path,
                              "%d of \"%.40s\" is no class of a model of %d classes", index, name,
                              out->count);
        if (out->names[index])
            return vx_fail_in(VITX_FORMAT, path, "class %d has two names: \"%.40s\" and \"%.40s\"",
                              index, out->names[index], name);
        VX_TRY(set(out, index, name, strlen(name), hooks));
    }
    return VITX_OK;
}

/* {"imagenet1k": [...], ...}: the one array, or the one with as many entries as classes. */
static int choose_array(const vx_json **out, const vx_json *root, const char *path, int classes)
{
    const vx_json *only = NULL, *fitting = NULL;
    int arrays = 0, fits = 0;
    for (const vx_json *m = vx_json_first(root); m; m = vx_json_next(m)) {
        if (!vx_json_is_array(m))
            continue;
        arrays++;
        only = m;
        if (vx_json_size(m) == classes) {
            fits++;
            fitting = m;
        }
    }
    *out = fits == 1 ? fitting : only;
    if (fits == 1 || arrays == 1)
        return VITX_OK;
    if (arrays == 0)
        return vx_fail_in(VITX_FORMAT, path,
                          "neither an array of class names nor an object of numbers");
    return vx_fail_in(VITX_FORMAT, path, "%d of its %d arrays have %d names, one of them must",
                      fits, arrays, classes);
}

static int load_json(vx_labels *out, const vx_json *root, const char *path, int classes,
                     const vitx_hooks *hooks)
{
    const vx_json *names = root, *within = vx_json_get(root, "id2label");
    if (!vx_json_first(within))
        within = vx_json_get(root, "label2id");
    if (vx_json_first(within)) /* a configuration */
        names = root = within;
    const bool named = is_named(root, classes);
    const bool numbered =
        !named && vx_json_is_object(root) && decimal(vx_json_key(vx_json_first(root))) >= 0;
    if (!vx_json_is_array(root) && !numbered && !named)
        VX_TRY(choose_array(&names, root, path, classes));
    if (vx_json_size(names) != classes)
        return wrong_count(path, vx_json_size(names), classes);
    VX_TRY(begin(out, classes, hooks));
    if (named)
        return take_named(out, names, path, hooks);
    return numbered ? take_numbered(out, names, path, hooks) : take_array(out, names, path, hooks);
}

int vx_labels_load(vx_labels *out, vx_shelf shelf, const char *path, int classes,
                   const vitx_hooks *hooks)
{
    char *text = NULL;
    size_t bytes;
    vx_json *root = NULL;
    *out = (vx_labels){0};
    VX_TRY(vx_file_load_in(&text, &bytes, shelf, path, MAX_FILE, hooks));
    const size_t mark = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const char first = text[mark + strspn(text + mark, " \t\r\n")];
    int status;
    if (first == '[' || first == '{') {
        status = vx_json_parse(&root, text, bytes, path, MAX_VALUES);
        if (status == VITX_OK)
            status = load_json(out, root, path, classes, hooks);
        vx_json_free(root);
    } else {
        status = load_lines(out, text + mark, bytes - mark, path, classes, hooks);
    }
    vx_release(hooks, text);
    if (status != VITX_OK)
        vx_labels_dispose(out, hooks);
    return status;
}

/* -------------------------------------------------------------------------- config -------- */

/* The members of an object, in the order of their keys, for bsearch. */
typedef struct dictionary {
    const vx_json **members;
    size_t count;
} dictionary;

static int by_key(const void *key, const void *member)
{
    return strcmp(key, vx_json_key(*(const vx_json *const *)member));
}

static const char *look_up(const dictionary *d, const char *key)
{
    const vx_json **m =
        d->count ? bsearch(key, d->members, d->count, sizeof *d->members, by_key) : NULL;
    return m ? vx_json_string(*m) : NULL;
}

static int make_dictionary(dictionary *out, const vx_json *object, const vitx_hooks *hooks)
{
    size_t count = 0;
    if (!vx_json_is_object(object) || !vx_json_first(object))
        return VITX_OK;
    VX_TRY(vx_new(&out->members, hooks, (size_t)vx_json_size(object), sizeof *out->members,
                  "class names"));
    for (const vx_json *m = vx_json_first(object); m; m = vx_json_next(m))
        out->members[count++] = m;
    out->count = count;
    return VITX_OK;
}

/* transformers writes LABEL_0, LABEL_1, ... where nobody gave names. */
static bool dummy(const char *name, int index)
{
    char text[24];
    snprintf(text, sizeof text, "LABEL_%d", index);
    return strcmp(text, name) == 0;
}

/* An array, or an object of numbers; names that `texts` describes are replaced by that. */
static int take_config(vx_labels *out, const vx_json *names, const dictionary *texts,
                       const char *path, const vitx_hooks *hooks)
{
    const bool array = vx_json_is_array(names);
    int i = 0, left_out = 0;
    for (const vx_json *m = vx_json_first(names); m; m = vx_json_next(m), i++) {
        const int index = array ? i : decimal(vx_json_key(m));
        const char *name = vx_json_string(m);
        if (index < 0 || index >= out->count || !name) {
            left_out++;
            continue;
        }
        const char *text = look_up(texts, name);
        if (!dummy(name, index))
            VX_TRY(set(out, index, text ? text : name, strlen(text ? text : name), hooks));
    }
    if (left_out)
        vx_log(hooks, VITX_LOG_WARNING, "%s: %d class names are left out: no name, or no class",
               path, left_out);
    return VITX_OK;
}

static const vx_json *somewhere(const vx_config *config, const char *key)
{
    const vx_json *node = vx_json_get(config->config, key);
    return node ? node : vx_json_get(config->pretrained, key);
}

int vx_labels_from_config(vx_labels *out, const vx_config *config, int classes,
                          const vitx_hooks *hooks)
{
    const vx_json *names = somewhere(config, "label_names");
    dictionary texts = {0};
    *out = (vx_labels){0};
    if (!names)
        names = vx_json_get(config->config, "id2label");
    if (!vx_json_first(names))
        return VITX_OK;
    if (vx_json_size(names) != classes) {
        vx_log(hooks, VITX_LOG_WARNING,
               "%s: its %d class names are left out: the model has %d classes", config->config_path,
               vx_json_size(names), classes);
        return VITX_OK;
    }
    int status = make_dictionary(&texts, somewhere(config, "label_descriptions"), hooks);
    if (status == VITX_OK)
        status = begin(out, classes, hooks);
    if (status == VITX_OK)
        status = take_config(out, names, &texts, config->config_path, hooks);
    vx_release(hooks, texts.members);
    if (status != VITX_OK)
        vx_labels_dispose(out, hooks);
    return status;
}

/* -------------------------------------------------------------------------- finding ------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_bytes(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* The whole name, or one of its parts between commas, spaces around it left out. */
static bool name_matches(const char *name, const char *text, size_t n)
{
    if (strlen(name) == n && same_bytes(name, text, n))
        return true;
    while (*name) {
        name += strspn(name, " ,");
        size_t part = strcspn(name, ",");
        const char *const next = name + part;
        while (part && name[part - 1] == ' ')
            part--;
        if (part == n && same_bytes(name, text, n))
            return true;
        name = next;
    }
    return false;
}

int vx_labels_find(int *out, const vx_labels *labels, int classes, const char *text,
                   const char *path)
{
    const size_t n = strlen(text);
    int found = -1;
    bool named = false;
    if (n && strspn(text, "0123456789") == n) {
        int index;
        if (!vx_parse_int(text, &index) || index >= classes)
            return vx_fail(VITX_INVALID, "class %.40s: %s has classes 0 to %d", text, path,
                           classes - 1);
        *out = index;
        return VITX_OK;
    }
    for (int i = 0; i < labels->count && n; i++) {
        named |= labels->names[i] != NULL;
        if (!labels->names[i] || !name_matches(labels->names[i], text, n))
            continue;
        if (found >= 0)
            return vx_fail(
                VITX_INVALID,
                "\"%.100s\" names more than one class: %d (%.100s) and %d (%.100s); give "
                "the number",
                text, found, labels->names[found], i, labels->names[i]);
        found = i;
    }
    if (found < 0 && !named)
        return vx_fail_field(
            VITX_INVALID, "labels",
            "\"%.100s\" names none of the %d classes of %s: it has no class names, "
            "which labels can give it",
            text, classes, path);
    if (found < 0)
        return vx_fail(VITX_INVALID, "\"%.100s\" names none of the %d classes of %s", text, classes,
                       path);
    *out = found;
    return VITX_OK;
}
