/* cli/filelist.h: the pictures that words of the command line stand for: @LIST for the names in a
 * file, a folder for the pictures in it. */
#ifndef CLI_FILELIST_H
#define CLI_FILELIST_H

#include "words.h"

/* The names of the command line with those of lists in place of @LIST: one a line, read from
 * standard input for @-. Empty lines are left out. What is there under that very name is a picture.
 * Then the pictures of folders in place of these (folder.h). Complains of each folder that cannot
 * be read, and goes on with the others: *failed. Complains if a list cannot be read, and gives an
 * exit status, which is no DONE if nothing is left; list_free(out) whatever comes of it. */
int filelist_expand(struct list *out, bool *failed, char **names, int count);

#endif
