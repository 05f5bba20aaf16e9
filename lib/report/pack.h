/* report/pack.h: bytes as zlib streams, which end with a checksum. */
#ifndef VX_REPORT_PACK_H
#define VX_REPORT_PACK_H

#include <stdint.h>

#include "base/pool.h"

/* What is embedded, compressed or as it is; data NULL: nothing. */
typedef struct vx_packed {
    uint8_t *data;
    size_t bytes;
    int id; /* of the block in the file that is being written */
} vx_packed;

/* `raw` as one stream (RFC 1950). It is cut into pieces that the workers compress side by side
 * (pool NULL: the caller alone); the stream does not depend on how many there are. */
int vx_pack(vx_packed *out, const uint8_t *raw, size_t bytes, vx_pool *pool,
            const vitx_hooks *hooks);
/* The most bytes that vx_pack makes of so many. */
size_t vx_pack_bound(size_t bytes);
/* A zlib stream of exactly that many bytes, which the build made. */
int vx_unpack(uint8_t *out, size_t bytes, const uint8_t *data, size_t size,
              const vitx_hooks *hooks);
void vx_packed_dispose(vx_packed *packed, const vitx_hooks *hooks);

/* task(arg, 0..count-1, worker) by the pool, or one after the other. */
void vx_share_out(vx_pool *pool, void (*task)(void *arg, int i, int worker), void *arg, int count);
int vx_workers(const vx_pool *pool);

#endif
