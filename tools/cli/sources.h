/*
 * cli/sources.h: the files that a command reads, whatever name leads to them, so that no output
 * replaces one: pictures, masks, and the model's files.
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include <stdbool.h>

#include "options.h"

struct sources {
    struct source *files; /* sorted once all are there */
    int count, room;
    bool lacks_memory;
};

/* Those of every command: the pictures `files`, the files of --model (or of the bundled model) and
 * --labels, those of the text tower and the tokenizer, templates, lists (@LIST). Of a model's
 * folder these are all files but pictures, maps and pages; of a single file also those beside it
 * that have names of weights, configurations or labels. */
void sources_gather(struct sources *sources, const struct common *common, char **files, int count);
/* One more; NULL, "-" and what is no file are left out. */
void sources_add(struct sources *sources, const char *path);
/* After the last one; complains if there was no memory for them. */
bool sources_ready(struct sources *sources);

/* What a file of that name is, for a message: "the picture"; NULL: none of these files. */
const char *sources_find(const struct sources *sources, const char *path);
void sources_free(struct sources *sources);

#endif
