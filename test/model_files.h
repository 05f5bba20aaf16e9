/*
 * model_files.h: models for tests, made from the golden ones.
 *
 * A golden model's files are copied to a folder and edited there. A weight file is taken apart into
 * header and data, its header's text edited, and put together again.
 */
#ifndef VX_TEST_MODEL_FILES_H
#define VX_TEST_MODEL_FILES_H

#include <stddef.h>
#include <vitx/vitx.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))
/* A tensor in the header of a safetensors file. */
#define T(dtype, shape, begin, end)                                                                \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

typedef struct weights_file {
    char *header, *data; /* header ends in '\0' */
    size_t header_size, data_size;
} weights_file;

/* Paths, valid until the next call. */
const char *in_folder(const char *folder, const char *name);
const char *golden_model(const char *name);

/* A file taken apart, to be freed; put together again. */
weights_file load_weights(const char *path);
void save_weights(const char *path, const weights_file *w);
void free_weights_file(weights_file *w);

/* The first `find` in *text, which is allocated anew, becomes `replace`. The test fails if there is
 * none. */
void edit(char **text, const char *find, const char *replace);
void edit_header(weights_file *w, const char *find, const char *replace);

/* A golden model's files in a fresh folder: remove_folder, free. */
char *copy_golden(const char *name);
void write_text(const char *folder, const char *name, const char *text);
void edit_file(const char *folder, const char *name, const char *find, const char *replace);
void edit_weights(const char *folder, const char *find, const char *replace); /* their header */

/* Every `find` becomes `replace`, which is as long; the test fails if there is none. */
void replace_bytes(unsigned char *data, size_t size, const char *find, const char *replace);

/* Opening fails with this code and a message that holds `part`. */
void try_open(const char *path, int code, const char *part);
vitx_model *open_ok(const char *path);
/* Of a model that is opened and freed; its recipe lasts for 8 calls. */
vitx_model_info info_of(const char *path);

#endif
