/* words/memory.c: the vectors of the texts that were asked for last. */
#include <string.h>

#include "words/words.h"

/* Of texts and vectors. When there are more, all are forgotten: who explains texts has few. */
#define MOST_BYTES ((size_t)16 << 20)

typedef struct vx_remembered {
    struct vx_remembered *next;
    size_t length; /* of the text */
    float *vector; /* behind the struct; the text, with its zero byte, behind the vector */
    char *text;
} vx_remembered;

/* FNV-1a, its bytes folded into one. */
static unsigned bucket_of(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return (hash ^ hash >> 8 ^ hash >> 16 ^ hash >> 24) & 255u;
}

const float *vx_text_memory_find(const vx_text_memory *memory, const char *text)
{
    const size_t length = strlen(text);
    for (const vx_remembered *r = memory->buckets[bucket_of(text, length)]; r; r = r->next)
        if (r->length == length && memcmp(r->text, text, length) == 0)
            return r->vector;
    return NULL;
}

void vx_text_memory_keep(vx_text_memory *memory, const char *text, const float *vector, int units,
                         const vitx_hooks *hooks)
{
    const size_t length = strlen(text), numbers = (size_t)units * sizeof *vector;
    const size_t bytes = sizeof(vx_remembered) + numbers + length + 1;
    if (length > MOST_BYTES / 4 || bytes > MOST_BYTES / 2)
        return;
    if (memory->bytes + bytes > MOST_BYTES)
        vx_text_memory_dispose(memory, hooks);
    vx_remembered *r = vx_alloc(hooks, bytes);
    if (!r)
        return;
    vx_remembered **bucket = &memory->buckets[bucket_of(text, length)];
    *r = (vx_remembered){.next = *bucket, .length = length, .vector = (float *)(r + 1)};
    r->text = (char *)r->vector + numbers;
    memcpy(r->vector, vector, numbers);
    memcpy(r->text, text, length + 1);
    memory->bytes += bytes;
    *bucket = r;
}

void vx_text_memory_dispose(vx_text_memory *memory, const vitx_hooks *hooks)
{
    for (int i = 0; i < 256; i++)
        for (vx_remembered *r = memory->buckets[i], *next; r; r = next) {
            next = r->next;
            vx_release(hooks, r);
        }
    memset(memory, 0, sizeof *memory);
}
