/* cli/words.c: see words.h. */
#include "words.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

bool list_add(struct list *list, const char *text, size_t length)
{
    const size_t count = (size_t)list->count;
    if ((count & (count - 1)) == 0) { /* full */
        char **items = realloc(list->items, (count ? 2 * count : 1) * sizeof *items);
        if (!items)
            return false;
        list->items = items;
    }
    char *item = malloc(length + 1);
    if (!item)
        return false;
    memcpy(item, text, length);
    item[length] = '\0';
    list->items[list->count++] = item;
    return true;
}

bool list_has(const struct list *list, const char *text)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

void list_free(struct list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct list){0};
}

/* Levenshtein's distance, of texts up to 31 characters; longer ones are far from everything. */
static int distance(const char *a, const char *b)
{
    int row[32];
    const size_t n = strlen(a), m = strlen(b);
    if (n > 31 || m > 31)
        return INT_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            const int above = row[j], change = corner + (a[i - 1] != b[j - 1]);
            int least = above + 1 < row[j - 1] + 1 ? above + 1 : row[j - 1] + 1;
            if (change < least)
                least = change;
            corner = above;
            row[j] = least;
        }
    }
    return row[m];
}

const char *nearest(const char *text, const char *const *names)
{
    const char *best = NULL;
    int least = 3;
    for (; *names; names++) {
        const size_t length = strlen(text);
        const int d = length > 2 && strncmp(text, *names, length) == 0 ? 0 : distance(text, *names);
        if (d < least && d < (int)strlen(*names)) {
            least = d;
            best = *names;
        }
    }
    return best;
}

int find_name(int *out, const char *text, const char *(*name_at)(int index), const char *what)
{
    const char *names[32] = {NULL};
    char list[256] = "";
    for (int i = 0; i < 31 && name_at(i); i++) {
        names[i] = name_at(i);
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return DONE;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest(text, names);
    if (near)
        return wrong_usage("no %s \"%s\"; did you mean %s?", what, text, near);
    return wrong_usage("no %s \"%s\"; there are %s", what, text, list);
}
