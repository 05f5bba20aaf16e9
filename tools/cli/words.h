/* cli/words.h: lists of words, and names that are nearly right. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    char **items;
    int count;
};

/* false without memory */
bool list_add(struct list *list, const char *text, size_t length);
/* Whether `text` is one of them. */
bool list_has(const struct list *list, const char *text);
void list_free(struct list *list);

/* The one of `names` (ended by NULL) that is most like `text`; NULL where none is near. */
const char *nearest(const char *text, const char *const *names);
/* The place of `text` among the names that name_at gives until NULL; where it is none of them,
 * complains, naming them, and gives WRONG_USAGE. */
int find_name(int *out, const char *text, const char *(*name_at)(int index), const char *what);

#endif
