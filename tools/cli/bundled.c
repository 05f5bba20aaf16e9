/* cli/bundled.c: see bundled.h. */
#define _XOPEN_SOURCE 700
#include "bundled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the program's file: PREFIX/bin/vitx-cli; build/vitx-cli; build/asan/vitx-cli. */
static const char *const beside[] = {"../../share/vitx", "../../weights", "../../../weights"};
enum { BESIDE = sizeof beside / sizeof beside[0], PLACES = BESIDE + 1 };

static const char *called;

void bundled_begin(const char *program)
{
    called = program;
}

/* The program's file, to be freed; NULL if unknown. */
static char *own_path(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    if (!path && called && strchr(called, '/'))
        path = realpath(called, NULL);
    return path;
}

/* "folder/name", to be freed; what each "../" at the beginning of name leads out of is cut off. */
static char *join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    for (; strncmp(name, "../", 3) == 0; name += 3)
        while (length && folder[--length] != '/') {
        }
    const size_t size = length + 1 + strlen(name) + 1;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%.*s/%s", (int)length, folder, name);
    return path;
}

/* Place i of PLACES of something bundled, to be freed; NULL if the program does not know where it
 * is. */
static char *place(int i, const char *name)
{
    if (i == BESIDE)
        return join(VITX_BUNDLED, name);
    char *own = own_path(), *folder = own ? join(own, beside[i]) : NULL;
    char *path = folder ? join(folder, name) : NULL;
    free(own);
    free(folder);
    return path;
}

char *bundled_file(const char *name)
{
    for (int i = 0; i < PLACES; i++) {
        char *path = place(i, name);
        if (path && access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

char *bundled_model(const char *name)
{
    char *weights = join(name, "model.safetensors");
    char *path = weights ? bundled_file(weights) : NULL;
    free(weights);
    if (path)
        *strrchr(path, '/') = '\0';
    return path;
}

char *bundled_places(const char *name)
{
    char *list = calloc(1, 1);
    size_t length = 0;
    for (int i = 0; list && i < PLACES; i++) {
        char *path = place(i, name);
        if (!path)
            continue;
        const size_t more = strlen(path) + sizeof " or ";
        char *longer = realloc(list, length + more);
        if (longer) {
            const char *comma = length == 0 ? "" : i == PLACES - 1 ? " or " : ", ";
            length += (size_t)snprintf(longer + length, more, "%s%s", comma, path);
        } else {
            free(list);
        }
        list = longer;
        free(path);
    }
    return list;
}
