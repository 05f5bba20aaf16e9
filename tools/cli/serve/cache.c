/*
 * serve/cache.c: see cache.h.
 *
 * Of answers the bytes are kept, not the maps: an answer that is there costs its client no decoding
 * and no drawing, which take as long as the network does for a small model, and one form is mostly
 * what a client asks for.
 */
#include "cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096 };

struct entry {
    uint8_t key[DIGEST_BYTES];
    void *item;
    size_t bytes;
    struct entry *in_slot;       /* the next one of the slot */
    struct entry *newer, *older; /* by their last use */
};

struct cache {
    const struct cache_kind *kind;
    pthread_mutex_t lock;
    size_t bytes, most;
    struct entry *newest, *oldest;
    struct entry *slots[SLOTS];
};

/* Keys are digests: any of their bytes are spread evenly. */
static struct entry **slot_of(struct cache *cache, const uint8_t *key)
{
    return &cache->slots[(key[0] | key[1] << 8) % SLOTS];
}

static struct entry **find(struct cache *cache, const uint8_t *key)
{
    struct entry **at = slot_of(cache, key);
    while (*at && memcmp((*at)->key, key, DIGEST_BYTES) != 0)
        at = &(*at)->in_slot;
    return at;
}

static void unlink_use(struct cache *cache, struct entry *e)
{
    if (e->newer)
        e->newer->older = e->older;
    else
        cache->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        cache->oldest = e->newer;
}

static void link_newest(struct cache *cache, struct entry *e)
{
    e->newer = NULL;
    e->older = cache->newest;
    *(e->older ? &e->older->newer : &cache->oldest) = e;
    cache->newest = e;
}

static void free_entry(const struct cache *cache, struct entry *e)
{
    cache->kind->drop(e->item);
    free(e);
}

static void drop_oldest(struct cache *cache)
{
    struct entry *e = cache->oldest, **at = find(cache, e->key);
    if (*at)
        *at = e->in_slot;
    cache->oldest = e->newer;
    if (e->newer)
        e->newer->older = NULL;
    else
        cache->newest = NULL;
    cache->bytes -= e->bytes;
    free_entry(cache, e);
}

struct cache *cache_create(size_t bytes, const struct cache_kind *kind)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    cache->most = bytes;
    cache->kind = kind;
    return cache;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    struct entry *older;
    for (struct entry *e = cache->newest; e; e = older) {
        older = e->older;
        free_entry(cache, e);
    }
    metrics_set(cache->kind->gauge, 0);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

void *cache_find(struct cache *cache, const uint8_t key[DIGEST_BYTES])
{
    void *found = NULL;
    pthread_mutex_lock(&cache->lock);
    struct entry *e = *find(cache, key);
    if (e) {
        unlink_use(cache, e);
        link_newest(cache, e);
        found = cache->kind->hold(e->item);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void cache_add(struct cache *cache, const uint8_t key[DIGEST_BYTES], void *item)
{
    const size_t bytes = sizeof(struct entry) + cache->kind->bytes(item);
    struct entry *e = bytes <= cache->most ? calloc(1, sizeof *e) : NULL;
    if (!e)
        return;
    pthread_mutex_lock(&cache->lock);
    struct entry **at = find(cache, key);
    if (*at) { /* it came in meanwhile, and is the same */
        free(e);
    } else {
        memcpy(e->key, key, DIGEST_BYTES);
        e->item = cache->kind->hold(item);
        e->bytes = bytes;
        *at = e;
        link_newest(cache, e);
        cache->bytes += bytes;
        while (cache->oldest && cache->bytes > cache->most)
            drop_oldest(cache);
    }
    const size_t now = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    metrics_set(cache->kind->gauge, (double)now);
}
