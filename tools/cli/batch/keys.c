/* batch/keys.c: see keys.h. */
#include "keys.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/text.h"

enum { MOST_KEY = 1000 }; /* bytes: with the run's folder and an ending it is to be a path */
enum { MOST_PART = 200 }; /* bytes of a part of a key: endings are to fit into a file's name, too */

/* Where the text is, or would be. */
static size_t place_of(char **places, size_t room, const char *text)
{
    size_t at = (size_t)text_hash(text) & (room - 1);
    while (places[at] && strcmp(places[at], text) != 0)
        at = (at + 1) & (room - 1);
    return at;
}

static bool grow(struct keys *keys)
{
    const size_t room = keys->room ? 2 * keys->room : 1024;
    char **places = calloc(room, sizeof *places);
    if (!places)
        return false;
    for (size_t i = 0; i < keys->room; i++)
        if (keys->places[i])
            places[place_of(places, room, keys->places[i])] = keys->places[i];
    free(keys->places);
    keys->places = places;
    keys->room = room;
    return true;
}

/* The place of a text that is put there, if it is new; NULL without memory. */
static char **put(struct keys *keys, const char *text, bool *added)
{
    if (2 * (keys->count + 1) > keys->room && !grow(keys))
        return NULL;
    char **place = &keys->places[place_of(keys->places, keys->room, text)];
    *added = !*place;
    if (*place)
        return place;
    const size_t size = strlen(text) + 1;
    *place = malloc(size);
    if (!*place)
        return NULL;
    memcpy(*place, text, size);
    keys->count++;
    return place;
}

int keys_put(struct keys *keys, const char *text)
{
    bool added;
    return put(keys, text, &added) ? added : -1;
}

const char *keys_find(const struct keys *keys, const char *text)
{
    return keys->room ? keys->places[place_of(keys->places, keys->room, text)] : NULL;
}

/* ------------------------------------------------------------------ from a path ------------ */

/* Bytes of the UTF-8 character at p; 0: none, or one of control. */
static size_t character(const unsigned char *p)
{
    return *p < 0x20 || *p == 0x7f ? 0 : (size_t)utf8_length(p);
}

/* FNV-1a of 32 bits, as it stands behind what was cut */
static char *put_hash(char *to, const char *text, size_t length)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return to + sprintf(to, "_%08x", (unsigned)h);
}

/* One part of a path, `length` bytes; a long one is cut, and has its hash behind it. */
static char *put_part(char *to, const char *part, size_t length)
{
    char *const begin = to;
    const unsigned char *p = (const unsigned char *)part, *const end = p + length;
    while (p < end) {
        const size_t n = *p == '.' || *p == '\\' ? 0 : character(p);
        if (to - begin + (n ? (ptrdiff_t)n : 1) > MOST_PART - 9)
            return put_hash(to, part, length);
        if (n)
            memcpy(to, p, n);
        else
            *to = '_';
        to += n ? n : 1;
        p += n ? n : 1;
    }
    return to;
}

static bool is_dots(const char *part, size_t length)
{
    return length == 0 || (length == 1 && part[0] == '.') ||
           (length == 2 && part[0] == '.' && part[1] == '.');
}

/* Behind it `spare` bytes are free; *ending: that of the path, without its dot, or "". */
static char *key_of(const char *path, const char **ending, size_t spare)
{
    char *key = malloc(strlen(path) + spare + 16), *to = key;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const size_t stem = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    *ending = dot && dot != name ? dot + 1 : "";
    if (!key)
        return NULL;
    for (const char *p = path; p < name;) {
        const size_t length = strcspn(p, "/");
        if (!is_dots(p, length)) {
            to = put_part(to, p, length);
            *to++ = '/';
        }
        p += length + 1;
    }
    to = is_dots(name, stem) ? to : put_part(to, name, stem);
    if (to == key || to[-1] == '/')
        *to++ = '_';
    if (to - key > MOST_KEY) { /* the folders that there is room for, and its hash */
        for (to = key + MOST_KEY; to[-1] != '/'; to--)
            ;
        to = put_hash(to, path, strlen(path));
    }
    *to = '\0';
    return key;
}

const char *keys_add(struct keys *keys, const char *path)
{
    const char *ending;
    const size_t spare = 48;
    char *key = key_of(path, &ending, spare), *place = NULL;
    if (!key)
        return NULL;
    const size_t length = strlen(key);
    bool added = false;
    for (long i = 0; !added; i++) {
        if (i == 1 && *ending && strlen(ending) < 16) {
            key[length] = '_';
            *put_part(key + length + 1, ending, strlen(ending)) = '\0';
        } else if (i > 0) {
            snprintf(key + length, spare, "_%ld", i + 1);
        }
        char **at = put(keys, key, &added);
        place = at ? *at : NULL;
        if (!at)
            break;
    }
    free(key);
    return place;
}

void keys_free(struct keys *keys)
{
    for (size_t i = 0; i < keys->room; i++)
        free(keys->places[i]);
    free(keys->places);
    *keys = (struct keys){0};
}
