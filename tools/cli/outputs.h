/*
 * cli/outputs.h: the names of the files that explain writes.
 *
 * OUT is one name, or a pattern with {image} (the picture's name without folder and ending),
 * {method} and {target} (the class's number).
 */
#ifndef CLI_OUTPUTS_H
#define CLI_OUTPUTS_H

#include <stdbool.h>

/* Which files the pictures are, whatever name leads to them, so that no map replaces one. */
struct pictures {
    struct file_id *ids; /* sorted */
    int count;
};
bool pictures_know(struct pictures *pictures, char **files, int count); /* complains */
bool pictures_have(const struct pictures *pictures, const char *path);
void pictures_free(struct pictures *pictures);

/* {target} of a map whose class is known only after the picture has been run. */
#define TARGET_LATER (-1)

/* Whether OUT has a {field} at all. */
bool is_pattern(const char *out);
/* An unknown {field}, or an ending of no known format: complains, WRONG_USAGE. */
int check_pattern(const char *out);

/* The name of one map's file, to be freed; NULL without memory. */
char *output_name(const char *out, const char *image, const char *method, int target);

/* Whether two of [images] x [methods] x [targets] get one name, or one gets a picture's:
 * complains, WRONG_USAGE. */
int check_collisions(const char *out, const struct pictures *pictures, char **images,
                     int image_count, char *const *methods, int method_count, const int *targets,
                     int target_count);

/* Makes the folders that the file's name runs through. Complains where that fails. */
bool make_folders(const char *path);

#endif
