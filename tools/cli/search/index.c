/* search/index.c: the entries of an index in memory; see index.h. */
#define _POSIX_C_SOURCE 200809L
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "index_parts.h"

/* Where the name is, or would be. */
static size_t place_of(const struct index *index, const char *name)
{
    size_t at = (size_t)text_hash(name) & (index->place_room - 1);
    while (index->places[at] >= 0 && strcmp(index->entries[index->places[at]].name, name) != 0)
        at = (at + 1) & (index->place_room - 1);
    return at;
}

static bool grow_places(struct index *index)
{
    const size_t room = index->place_room ? 2 * index->place_room : 1024;
    int *places = malloc(room * sizeof *places);
    if (!places)
        return false;
    memset(places, 0xff, room * sizeof *places);
    free(index->places);
    index->places = places;
    index->place_room = room;
    for (int i = 0; i < index->count; i++)
        places[place_of(index, index->entries[i].name)] = i;
    return true;
}

/* Room for one more of an array of things of `size` bytes; false without memory. */
static bool make_room(void **array, int count, int *room, size_t size)
{
    if (count < *room)
        return true;
    const int more = *room ? 2 * *room : 256;
    void *larger = more > *room ? realloc(*array, (size_t)more * size) : NULL;
    if (!larger)
        return false;
    *array = larger;
    *room = more;
    return true;
}

int index_find(const struct index *index, const char *name)
{
    return index->place_room ? index->places[place_of(index, name)] : -1;
}

static int entry_new(struct index *index, const char *name)
{
    void *entries = index->entries;
    const bool room = make_room(&entries, index->count, &index->room, sizeof *index->entries);
    index->entries = entries;
    if (!room || (2 * (size_t)(index->count + 1) > index->place_room && !grow_places(index)))
        return -1;
    char *copy = strdup(name);
    if (!copy)
        return -1;
    const size_t at = place_of(index, name);
    index->entries[index->count] = (struct entry){.name = copy, .block = -1, .asked = -1};
    index->places[at] = index->count;
    return index->count++;
}

int entry_set(struct index *index, const char *name, struct mark mark, const char *error)
{
    char *copy = error ? strdup(error) : NULL;
    int at = index_find(index, name);
    if (error && !copy)
        return -1;
    if (at < 0)
        at = entry_new(index, name);
    if (at < 0) {
        free(copy);
        return -1;
    }
    struct entry *e = &index->entries[at];
    free(e->error);
    e->error = copy;
    e->mark = mark;
    e->block = -1;
    return at;
}

bool block_add(struct index *index, const struct index_block *block, const int *entries)
{
    void *blocks = index->blocks, *owners = index->owners;
    bool room = make_room(&blocks, index->block_count, &index->block_room, sizeof *index->blocks);
    index->blocks = blocks;
    const int first = index->owner_count;
    for (int i = 0; i < block->rows && room; i++) {
        room = make_room(&owners, index->owner_count, &index->owner_room, sizeof(int));
        index->owners = owners;
        if (room)
            index->owners[index->owner_count++] = entries[i];
    }
    if (!room) {
        index->owner_count = first;
        return false;
    }
    struct index_block *b = &index->blocks[index->block_count];
    *b = *block;
    b->first = first;
    for (int i = 0; i < b->rows; i++) {
        index->entries[entries[i]].block = index->block_count;
        index->entries[entries[i]].row = i;
    }
    index->block_count++;
    return true;
}

int index_owner(const struct index *index, int block, int row)
{
    const int at = index->owners[index->blocks[block].first + row];
    const struct entry *e = &index->entries[at];
    return e->block == block && e->row == row ? at : -1;
}

void index_forget(struct index *index)
{
    for (int i = 0; i < index->count; i++) {
        free(index->entries[i].name);
        free(index->entries[i].error);
    }
    free(index->entries);
    free(index->places);
    free(index->blocks);
    free(index->owners);
    index->entries = NULL;
    index->places = NULL;
    index->blocks = NULL;
    index->owners = NULL;
    index->place_room = 0;
    index->count = index->room = index->block_count = index->block_room = 0;
    index->owner_count = index->owner_room = 0;
    pending_free(index);
}
