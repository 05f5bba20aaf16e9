/* search/index_tidy.c: writes the file of an index anew, without what is dead; see index.h. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index_parts.h"
#include "tools/cli/say.h"

enum { FEW = 64 }; /* blocks or vectors that are no matter */

static bool is_worth_it(const struct index *index)
{
    int alive = 0;
    for (int i = 0; i < index->count; i++)
        alive += index->entries[i].block >= 0;
    const int dead = index->owner_count - alive;
    const int full = alive / rows_of_block(index->units) + 1;
    return (dead > FEW && dead > alive / 4) || (index->block_count > FEW + 4 * full);
}

/* Entries of a block into another index; `vectors` has room for them. A damaged block is left out,
 * so that its pictures are embedded again. */
static bool copy_block(struct index *to, const struct index *from, int block, float *vectors)
{
    if (!index_read(from, block, vectors))
        return true;
    for (int row = 0; row < from->blocks[block].rows; row++) {
        const int at = index_owner(from, block, row);
        const float *vector = vectors + (size_t)row * (size_t)from->units;
        if (at >= 0 && !index_add(to, from->entries[at].name, from->entries[at].mark, vector, NULL))
            return false;
    }
    return true;
}

static bool copy_all(struct index *to, const struct index *from)
{
    float *vectors = malloc(index_block_bytes(from));
    bool good = vectors != NULL;
    for (int b = 0; b < from->block_count && good; b++)
        good = copy_block(to, from, b, vectors);
    for (int i = 0; i < from->count && good; i++)
        if (from->entries[i].error)
            good = index_add(to, from->entries[i].name, from->entries[i].mark, NULL,
                             from->entries[i].error);
    free(vectors);
    return good && index_flush(to) && !to->full && index_sync(to);
}

void index_tidy(struct index *index, const char *terms)
{
    struct index anew;
    if (!index->writable || index->full || index->files[1] >= 0 || !is_worth_it(index))
        return;
    const size_t size = strlen(index->path) + sizeof ".part";
    char *part = malloc(size);
    if (!part)
        return;
    snprintf(part, size, "%s.part", index->path);
    bool good = index_open(&anew, part, terms, index->units, INDEX_ANEW, true) == DONE;
    good = good && copy_all(&anew, index);
    /* Its lock is held since it was opened, so that who waits for the old file waits for this. */
    if (good && rename(part, index->path) != 0) {
        complain(index->path, "%s", strerror(errno));
        good = false;
    }
    if (!good)
        unlink(part);
    index_close(&anew);
    free(part);
}
