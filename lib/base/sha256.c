/* base/sha256.c: see sha256.h. */
#include "base/sha256.h"

#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(vx_sha256), "Nettle's state has grown");

void vx_sha256_begin(vx_sha256 *hash)
{
    sha256_init((struct sha256_ctx *)(void *)hash);
}

void vx_sha256_add(vx_sha256 *hash, const void *data, size_t bytes)
{
    sha256_update((struct sha256_ctx *)(void *)hash, bytes, data);
}

void vx_sha256_add_text(vx_sha256 *hash, const char *text)
{
    vx_sha256_add(hash, text, strlen(text) + 1);
}

/* Nettle 4 takes no length any more. */
void vx_sha256_end(uint8_t digest[VX_SHA256], vx_sha256 *hash)
{
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest((struct sha256_ctx *)(void *)hash, digest);
#else
    sha256_digest((struct sha256_ctx *)(void *)hash, VX_SHA256, digest);
#endif
}

void vx_sha256_text(char out[2 * VX_SHA256 + 1], const uint8_t digest[VX_SHA256])
{
    for (size_t i = 0; i < VX_SHA256; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
