/* model/folder.h: which file of a folder holds the weights. */
#ifndef VX_MODEL_FOLDER_H
#define VX_MODEL_FOLDER_H

#include "base/file.h"

/* The weight file and the folder of the JSON files, both to be released, also after a failure.
 * `path` is a folder or a weight file. VITX_IO names what a folder holds if none of it, or more
 * than one file, may be meant. */
int vx_folder_locate(char **weights, char **folder, vx_shelf shelf, const char *path,
                     const vitx_hooks *hooks);

/* folder/name if it exists, to be released; *out NULL if not. */
int vx_folder_file(char **out, vx_shelf shelf, const char *folder, const char *name,
                   const vitx_hooks *hooks);

#endif
