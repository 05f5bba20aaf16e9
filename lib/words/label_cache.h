/*
 * words/label_cache.h: the vectors of a set of labels in a file.
 *
 *      "vitx labels 1\n" | key 32 | u32 labels | u32 numbers of a vector | u32 cut texts |
 *      f32 vectors [labels, numbers] | SHA-256 of all that 32          little-endian
 *
 * The key is the SHA-256 of what the labels' and the templates' vectors depend on (terms.h):
 * another key is another set.
 */
#ifndef VX_WORDS_LABEL_CACHE_H
#define VX_WORDS_LABEL_CACHE_H

#include "words/words.h"

typedef struct vx_label_key {
    uint8_t bytes[32];
} vx_label_key;

/* Reads the weight files once, if nobody has done so yet. */
int vx_label_key_make(vx_label_key *out, const vitx_label_set *set, vitx_texts *t,
                      const vitx_label_set_opts *opts);

/* Whether the file may be used: *usable if it is not there, empty, or a file of labels' vectors.
 * What is no regular file is not, with a warning. VITX_INVALID: another file, which must stay. */
int vx_label_cache_check(bool *usable, const vitx_label_set *set, const char *path);

/* Fills in set->vectors and info.cut. false: the file is not there, damaged, or of another set. */
bool vx_label_cache_read(vitx_label_set *set, const char *path, const vx_label_key *key);
/* A file that cannot be written is a warning in the log. */
void vx_label_cache_write(const vitx_label_set *set, const char *path, const vx_label_key *key);

#endif
