/*
 * batch/keys.h: the keys of inputs, which name their results.
 *
 * A key is the input's path without its ending, as it leads into whatever folder stands before it,
 * with _ in place of dots (WebDataset cuts a name at its first dot), of control characters and of
 * what is no UTF-8. No two inputs have one key: a later one has its ending behind it, or a number.
 */
#ifndef CLI_BATCH_KEYS_H
#define CLI_BATCH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* Keys that are taken. Zero before. */
struct keys {
    char **places; /* [room], NULL: free; owned */
    size_t count, room;
};

/* The key of the input that has that path; owned by the keys. NULL without memory. */
const char *keys_add(struct keys *keys, const char *path);
/* Whether a text was new, and is now among them; -1 without memory. */
int keys_put(struct keys *keys, const char *text);
/* The text as the keys have it; NULL: they have not. */
const char *keys_find(const struct keys *keys, const char *text);
void keys_free(struct keys *keys);

#endif
