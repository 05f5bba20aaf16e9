/* serve/cache.h: things that are kept, least recently used out first; any thread. */
#ifndef CLI_SERVE_CACHE_H
#define CLI_SERVE_CACHE_H

#include "metrics.h"
#include "tools/cli/digest.h"

/* What is kept: things that are not changed, with several holders each. */
struct cache_kind {
    void *(*hold)(void *item); /* gives it */
    void (*drop)(void *item);
    size_t (*bytes)(const void *item);
    enum metrics_gauge gauge; /* the bytes of all */
};

struct cache;

/* Of so many bytes; 0: nothing is kept. NULL without memory. */
struct cache *cache_create(size_t bytes, const struct cache_kind *kind);
void cache_free(struct cache *cache);
/* Held for the caller; NULL: it is not there. */
void *cache_find(struct cache *cache, const uint8_t key[DIGEST_BYTES]);
/* Keeps it, if there is room for it in an empty cache, and memory. */
void cache_add(struct cache *cache, const uint8_t key[DIGEST_BYTES], void *item);

#endif
