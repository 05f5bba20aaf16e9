/*
 * text/charsmap.h: the table of replacements that SentencePiece compiles into its models.
 *
 * 32 bits: how many bytes the trie has, then the trie, a double array of 32-bit units after Darts,
 * then the replacements, each ended by a zero byte; the trie says where one begins. The trie is
 * hostile: every index is checked, and a walk takes a byte of the text at each step, so that a
 * cycle ends with the text.
 */
#ifndef VX_TEXT_CHARSMAP_H
#define VX_TEXT_CHARSMAP_H

#include "text/chars.h"

/* {0}: replaces nothing. */
typedef struct vx_charsmap {
    const vitx_hooks *hooks;
    uint32_t *units;
    size_t unit_count;
    char *text; /* ends in a zero byte */
    size_t bytes;
} vx_charsmap;

/* Copies. VITX_FORMAT, naming `file`. No bytes: {0}. */
int vx_charsmap_read(vx_charsmap *map, const char *data, size_t bytes, const vitx_hooks *hooks,
                     const char *file);
void vx_charsmap_dispose(vx_charsmap *map);

/* The longest beginning of `text` that is replaced, or the shortest: how many bytes of it, 0: none;
 * and by what. */
size_t vx_charsmap_longest(const char **by, const vx_charsmap *map, const char *text, size_t bytes);
size_t vx_charsmap_shortest(const char **by, const vx_charsmap *map, const char *text,
                            size_t bytes);

#endif
