/* text/charsmap.c: see charsmap.h. */
#include "text/charsmap.h"

#include <string.h>

static uint32_t little_endian(const char *data)
{
    const unsigned char *const p = (const unsigned char *)data;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int vx_charsmap_read(vx_charsmap *map, const char *data, size_t bytes, const vitx_hooks *hooks,
                     const char *file)
{
    *map = (vx_charsmap){.hooks = hooks};
    if (bytes == 0)
        return VITX_OK;
    const size_t trie = bytes >= 4 ? little_endian(data) : 0;
    if (bytes < 8 || trie > bytes - 4 || trie % 4 != 0 || trie < 4)
        return vx_fail_in(VITX_FORMAT, file, "its table of replacements is damaged");
    map->unit_count = trie / 4;
    map->bytes = bytes - 4 - trie;
    VX_TRY(vx_new(&map->units, hooks, map->unit_count, 4, "a table of replacements"));
    for (size_t i = 0; i < map->unit_count; i++)
        map->units[i] = little_endian(data + 4 + 4 * i);
    VX_TRY(vx_new(&map->text, hooks, map->bytes + 1, 1, "a table of replacements"));
    memcpy(map->text, data + 4 + trie, map->bytes);
    return VITX_OK;
}

void vx_charsmap_dispose(vx_charsmap *map)
{
    if (!map->hooks)
        return;
    vx_release(map->hooks, map->units);
    vx_release(map->hooks, map->text);
    *map = (vx_charsmap){0};
}

/* Of a unit: where its children's places are counted from. */
static uint32_t children(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

static size_t match(const char **by, const vx_charsmap *map, const char *text, size_t bytes,
                    bool shortest)
{
    size_t found = 0;
    if (map->unit_count == 0)
        return 0;
    uint32_t place = children(map->units[0]);
    for (size_t i = 0; i < bytes && text[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)text[i];
        place ^= c;
        if (place >= map->unit_count)
            break;
        const uint32_t unit = map->units[place];
        if ((unit & (UINT32_C(1) << 31 | 0xff)) != c)
            break;
        place ^= children(unit);
        if (!(unit >> 8 & 1))
            continue;
        const uint32_t value =
            place < map->unit_count ? map->units[place] & 0x7fffffff : UINT32_MAX;
        if (value >= map->bytes)
            continue;
        *by = map->text + value;
        found = i + 1;
        if (shortest)
            break;
    }
    return found;
}

size_t vx_charsmap_longest(const char **by, const vx_charsmap *map, const char *text, size_t bytes)
{
    return match(by, map, text, bytes, false);
}

size_t vx_charsmap_shortest(const char **by, const vx_charsmap *map, const char *text, size_t bytes)
{
    return match(by, map, text, bytes, true);
}
