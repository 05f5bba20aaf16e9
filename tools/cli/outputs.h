/*
 * cli/outputs.h: the names of the files that explain writes.
 *
 * OUT is one name, or a pattern with {image} (the picture's name without folder and ending),
 * {folder} (the name of the folder that it lies in), {path} (its path without ending; what would
 * lead out of a folder before it is left out), {method} and {target} (the number of the class or
 * unit).
 */
#ifndef CLI_OUTPUTS_H
#define CLI_OUTPUTS_H

#include <stdbool.h>
#include <vitx/explain.h>

#include "sources.h"

/* The formats: those of a map ("png"), then "html", a page; NULL past the last one. */
const char *format_name(int index);
/* Whether that is a page: by the format, or (NULL) by the ending. */
bool is_page(const char *out, const char *format);

/* Whether OUT has a {field} at all, and whether it has {target}. */
bool is_pattern(const char *out);
bool has_target(const char *out);
/* An unknown {field}, one of a map in the name of a page, or (format NULL) an ending of no known
 * format: complains, WRONG_USAGE. */
int check_pattern(const char *out, const char *format);

/* What {target} becomes: a class's or a unit's number, "top1" of a rank, "?" of a class that is
 * known only after the picture has been run, "vector", "like", the words of a text (`what`). */
enum { TARGET_NAME = 64 };
void target_name(char out[TARGET_NAME], int target, vitx_explained explains, const char *what);

/* The name of one map's file, to be freed; NULL without memory. A class that is known only after
 * the picture has been run is VITX_AUTO or a rank; what is no class is named "vector" or "like",
 * and a text by its own words, `what`. */
char *output_name(const char *out, const char *image, const char *method, int target,
                  vitx_explained explains, const char *what);

/* The name of the file of a picture's map by opts, as far as it is known before the work, or
 * (NULL) of its page; to be freed; NULL without memory. */
char *name_of(const char *out, const char *image, const vitx_explain_opts *opts);

/* Whether two maps of the pictures by opts[m] get one name, or one gets that of a file that is
 * read: complains, WRONG_USAGE; or one cannot be written: SOME_FAILED. opts NULL, m 1: a page of
 * each picture. */
int check_collisions(const char *out, const struct sources *sources, char **images, int image_count,
                     const vitx_explain_opts *opts, int m);
/* The same for one file, whose content messages call `what`: "a table". */
int check_output(const char *name, const struct sources *sources, const char *what,
                 bool makes_folders);

/* Makes the folders that the file's name runs through. Complains where that fails. */
bool make_folders(const char *path);
/* How many of the path's bytes lead through folders that are there. */
size_t folders_there(const char *path);
/* Removes those that make_folders made behind that many bytes, as far as they are empty. */
void remove_folders(const char *path, size_t there);

#endif
