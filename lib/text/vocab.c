/* text/vocab.c: see vocab.h. */
#include "text/vocab.h"

#include <string.h>

#define MOST_PROBES 2048
#define MOST_BYTES ((size_t)1 << 30)

/* The slot where a string is, or would be put; NULL where that takes too long. */
static vx_vocab_slot *slot_of(const vx_vocab *v, uint64_t hash, const char *bytes, size_t count)
{
    const uint64_t mixed = vx_hash_mixed(hash);
    const uint32_t tag = (uint32_t)(mixed >> 32);
    for (size_t probe = 0; probe < MOST_PROBES; probe++) {
        vx_vocab_slot *const slot = &v->slots[((size_t)mixed + probe) & v->mask];
        if (slot->entry == 0)
            return slot;
        if (slot->tag != tag)
            continue;
        const vx_vocab_entry *const e = &v->entries[slot->entry - 1];
        if (e->length == count && memcmp(v->bytes.data + e->offset, bytes, count) == 0)
            return slot;
    }
    return NULL;
}

static int collide(const char *file)
{
    return vx_fail_in(VITX_FORMAT, file, "thousands of its words have the same hash");
}

static int rehash(vx_vocab *v, const char *file)
{
    const size_t slots = v->slots ? (v->mask + 1) * 2 : 1024;
    vx_vocab_slot *fresh;
    VX_TRY(vx_new(&fresh, v->hooks, slots, sizeof *fresh, "a vocabulary"));
    vx_release(v->hooks, v->slots);
    v->slots = fresh;
    v->mask = slots - 1;
    for (size_t i = 0; i < v->count; i++) {
        const char *const bytes = v->bytes.data + v->entries[i].offset;
        const uint64_t hash = vx_hash_bytes(VX_HASH, bytes, v->entries[i].length);
        vx_vocab_slot *const slot = slot_of(v, hash, bytes, v->entries[i].length);
        if (!slot)
            return collide(file);
        *slot = (vx_vocab_slot){(uint32_t)(vx_hash_mixed(hash) >> 32), (uint32_t)i + 1};
    }
    return VITX_OK;
}

static int grow_ids(vx_vocab *v, int id)
{
    int size = v->ids_size ? v->ids_size : 1024;
    while (size <= id)
        size *= 2;
    uint8_t *grown;
    VX_TRY(vx_new(&grown, v->hooks, (size_t)size / 8, 1, "a vocabulary's ids"));
    if (v->ids)
        memcpy(grown, v->ids, (size_t)v->ids_size / 8);
    vx_release(v->hooks, v->ids);
    v->ids = grown;
    v->ids_size = size;
    return VITX_OK;
}

static int claim(vx_vocab *v, int id, const char *file)
{
    if (id < 0 || id >= VX_IDS)
        return vx_fail_in(VITX_FORMAT, file, "the id %d is not one from 0 to %d", id, VX_IDS - 1);
    if (id >= v->ids_size)
        VX_TRY(grow_ids(v, id));
    if (v->ids[id / 8] >> (id % 8) & 1)
        return vx_fail_in(VITX_FORMAT, file, "two words have the id %d", id);
    v->ids[id / 8] |= (uint8_t)(1 << (id % 8));
    v->size = id >= v->size ? id + 1 : v->size;
    return VITX_OK;
}

int vx_vocab_add(vx_vocab *v, const char *bytes, size_t count, int id, const char *file)
{
    if (v->count * 2 >= v->mask || !v->slots)
        VX_TRY(rehash(v, file));
    VX_TRY(vx_grow(&v->entries, &v->reserved, v->hooks, v->count, 1, sizeof *v->entries,
                   "a vocabulary"));
    if (count > MOST_BYTES || v->bytes.size > MOST_BYTES - count)
        return vx_fail_in(VITX_FORMAT, file, "words of more than 1 GiB");
    const uint64_t hash = vx_hash_bytes(VX_HASH, bytes, count);
    vx_vocab_slot *const slot = slot_of(v, hash, bytes, count);
    if (!slot)
        return collide(file);
    if (slot->entry)
        return vx_fail_in(VITX_FORMAT, file, "the word \"%.*s\" occurs twice",
                          (int)(count < 60 ? count : 60), bytes);
    VX_TRY(claim(v, id, file));
    v->bytes.hooks = v->hooks;
    v->entries[v->count] = (vx_vocab_entry){(uint32_t)v->bytes.size, (uint32_t)count, id};
    VX_TRY(vx_buffer_append(&v->bytes, bytes, count));
    *slot = (vx_vocab_slot){(uint32_t)(vx_hash_mixed(hash) >> 32), (uint32_t)++v->count};
    v->longest = count > v->longest ? count : v->longest;
    return VITX_OK;
}

int vx_vocab_finish(vx_vocab *v)
{
    if (v->ids) {
        vx_release(v->hooks, v->ids);
        v->ids = NULL;
    }
    if (!v->prefixes)
        return VITX_OK;
    uint64_t bits = 1024; /* eight or more for each beginning: at most an eighth are wrong */
    while (bits < (uint64_t)v->bytes.size * 8)
        bits *= 2;
    VX_TRY(vx_new(&v->begins, v->hooks, (size_t)(bits / 64), 8, "a vocabulary's beginnings"));
    v->begins_mask = bits - 1;
    for (size_t i = 0; i < v->count; i++) {
        uint64_t hash = VX_HASH;
        for (uint32_t k = 0; k < v->entries[i].length; k++) {
            hash = vx_hash(hash, v->bytes.data[v->entries[i].offset + k]);
            const uint64_t bit = vx_hash_mixed(hash) & v->begins_mask;
            v->begins[bit >> 6] |= UINT64_C(1) << (bit & 63);
        }
    }
    return VITX_OK;
}

void vx_vocab_dispose(vx_vocab *v)
{
    if (!v->hooks)
        return;
    v->bytes.hooks = v->hooks;
    vx_buffer_dispose(&v->bytes);
    vx_release(v->hooks, v->entries);
    vx_release(v->hooks, v->slots);
    vx_release(v->hooks, v->begins);
    vx_release(v->hooks, v->ids);
    *v = (vx_vocab){0};
}

int vx_vocab_at(const vx_vocab *v, uint64_t hash, const char *bytes, size_t count)
{
    const vx_vocab_slot *const slot = v->slots ? slot_of(v, hash, bytes, count) : NULL;
    return slot && slot->entry ? v->entries[slot->entry - 1].id : -1;
}

int vx_vocab_find(const vx_vocab *v, const char *bytes, size_t count)
{
    return vx_vocab_at(v, vx_hash_bytes(VX_HASH, bytes, count), bytes, count);
}

int vx_vocab_word(const vx_vocab *v, const char *word)
{
    return vx_vocab_find(v, word, strlen(word));
}
