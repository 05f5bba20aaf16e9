/* cli/folder.h: a folder among the pictures, which stands for the pictures in it. */
#ifndef CLI_FOLDER_H
#define CLI_FOLDER_H

#include <stdbool.h>

#include "words.h"

bool is_folder(const char *name);
/* Whether a file's name ends as those of pictures do: .jpg, .png and the like. */
bool ends_as_a_picture(const char *name);

/* Folders that cannot be read, and a reason for each; zero before the first use. */
struct unread {
    struct list names, reasons;
};
void unread_free(struct unread *unread);

/* Adds the names of all files in it, and in the folders in it, that end as pictures do (.jpg, .png
 * and the like, in small letters or capitals), in the order of their bytes. Names that begin with a
 * dot are left out, and so are links to folders, which may lead in a circle. What cannot be read
 * comes to `unread`, and the rest goes on. Complains if there is no picture in all of it, and all
 * of it was read: an exit status. */
int folder_expand(struct list *out, struct unread *unread, const char *name);

#endif
