/*
 * text/vocab.h: strings and their ids, looked up by hash.
 *
 *      uint64_t h = VX_HASH;
 *      for each byte: h = vx_hash(h, byte);
 *      id = vx_vocab_at(vocab, h, bytes, n);
 *
 * One that was made with `prefixes` also says whether any string may begin with the bytes so far,
 * wrong at times in saying "yes": the longest string at a place, or all of them, are found by
 * lengthening byte by byte and stopping at a "no".
 *
 * Files are hostile: strings may have been made to collide. Where one would have to be looked for
 * in thousands of places the file is refused.
 */
#ifndef VX_TEXT_VOCAB_H
#define VX_TEXT_VOCAB_H

#include <stdint.h>

#include "base/memory.h"

#define VX_IDS (1 << 24) /* ids are below it */

typedef struct vx_vocab_entry {
    uint32_t offset, length; /* in bytes */
    int id;
} vx_vocab_entry;

typedef struct vx_vocab_slot {
    uint32_t tag, entry; /* part of the hash; index + 1, 0: empty */
} vx_vocab_slot;

/* Start from {.hooks = h, .prefixes = ...}. */
typedef struct vx_vocab {
    const vitx_hooks *hooks;
    bool prefixes;
    vx_buffer bytes;
    vx_vocab_entry *entries;
    size_t count, reserved;
    vx_vocab_slot *slots;
    size_t mask;
    uint64_t *begins; /* bits by the hash of a beginning */
    uint64_t begins_mask;
    uint8_t *ids; /* bits: which ids have a string */
    int ids_size; /* how many bits */
    int size;     /* largest id + 1 */
    size_t longest;
} vx_vocab;

#define VX_HASH UINT64_C(0xcbf29ce484222325)

static inline uint64_t vx_hash(uint64_t h, char byte)
{
    return (h ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t vx_hash_bytes(uint64_t h, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        h = vx_hash(h, bytes[i]);
    return h;
}

static inline uint64_t vx_hash_mixed(uint64_t h)
{
    h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

/* VITX_FORMAT, naming `file`: a string or an id that is there already, an id that is negative or
 * not below VX_IDS. */
int vx_vocab_add(vx_vocab *vocab, const char *bytes, size_t count, int id, const char *file);
/* After the last string, where `prefixes` is set. */
int vx_vocab_finish(vx_vocab *vocab);
void vx_vocab_dispose(vx_vocab *vocab);

/* The id of a string, -1 if it has none. */
int vx_vocab_at(const vx_vocab *vocab, uint64_t hash, const char *bytes, size_t count);
int vx_vocab_find(const vx_vocab *vocab, const char *bytes, size_t count);
int vx_vocab_word(const vx_vocab *vocab, const char *word);

/* Whether a string may begin with what has that hash. */
static inline bool vx_vocab_begins(const vx_vocab *vocab, uint64_t hash)
{
    const uint64_t bit = vx_hash_mixed(hash) & vocab->begins_mask;
    return vocab->begins && (vocab->begins[bit >> 6] >> (bit & 63) & 1) != 0;
}

#endif
