/* serve/cache.h: answers that are kept, least recently used out first; any thread. */
#ifndef CLI_SERVE_CACHE_H
#define CLI_SERVE_CACHE_H

#include "answer.h"
#include "tools/cli/digest.h"

struct cache;

/* Of so many bytes; 0: nothing is kept. NULL without memory. */
struct cache *cache_create(size_t bytes);
void cache_free(struct cache *cache);
/* Held for the caller; NULL: it is not there. */
struct answer *cache_find(struct cache *cache, const uint8_t key[DIGEST_BYTES]);
/* Keeps the answer, if there is room for it in an empty cache, and memory. */
void cache_add(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct answer *answer);

#endif
