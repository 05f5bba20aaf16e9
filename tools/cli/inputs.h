/* cli/inputs.h: pictures that are read: files, pipes and standard input, and those that run
 * together. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include <stdint.h>
#include <vitx/image.h>

#include "options.h"

/* Reads a picture: "-" is standard input, which can be read once; a pipe is read to its end.
 * Complains if it fails. */
bool image_load(vitx_image **out, const char *file, const struct common *common);
/* The same for what is a file, without a complaint: the library's status. */
int image_try(vitx_image **out, const char *file, const struct common *common);
/* The same for a file in memory. */
bool image_load_bytes(vitx_image **out, const void *data, size_t bytes, const char *name,
                      const struct common *common);
/* A picture beside those that the command is about, like a baseline: --page is not meant for it. */
bool image_load_beside(vitx_image **out, const char *file, const struct common *common);

/* Whether that is standard input or a pipe, which cannot be read twice. */
bool image_is_stream(const char *file);

/* Pictures that run together; names[i] is images[i]'s file. */
struct batch {
    vitx_image **images;
    char **names;
    int *order; /* the file's place among those given to batch_load */
    int count, capacity;
};

bool batch_create(struct batch *batch, int capacity);
/* Opens files[0..n-1], n at most the capacity; complains about those that fail: false then. */
bool batch_load(struct batch *batch, char **files, int n, const struct common *common);
/* Of the pictures that it holds. */
int64_t batch_pixels(const struct batch *batch);
void batch_clear(struct batch *batch);
/* The same, but for the names. */
void batch_drop_images(struct batch *batch);
void batch_free(struct batch *batch);

#endif
