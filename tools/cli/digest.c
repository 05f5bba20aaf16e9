/* cli/digest.c: see digest.h. */
#include "digest.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <stdlib.h>

struct digest {
    struct sha256_ctx state;
};

/* Nettle 4 takes no length any more. */
static void finish(struct digest *digest, uint8_t out[DIGEST_BYTES])
{
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(&digest->state, out);
#else
    sha256_digest(&digest->state, DIGEST_BYTES, out);
#endif
}

struct digest *digest_begin(void)
{
    struct digest *digest = malloc(sizeof *digest);
    if (digest)
        sha256_init(&digest->state);
    return digest;
}

void digest_add(struct digest *digest, const void *data, size_t bytes)
{
    sha256_update(&digest->state, bytes, data);
}

void digest_end(struct digest *digest, uint8_t out[DIGEST_BYTES])
{
    if (digest && out)
        finish(digest, out);
    free(digest);
}

void digest_of(uint8_t out[DIGEST_BYTES], const void *data, size_t bytes)
{
    struct digest digest;
    sha256_init(&digest.state);
    digest_add(&digest, data, bytes);
    finish(&digest, out);
}

void digest_text(char out[DIGEST_TEXT], const uint8_t digest[DIGEST_BYTES])
{
    for (int i = 0; i < DIGEST_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

bool same_bytes(const void *a, const void *b, size_t bytes)
{
    return memeql_sec(a, b, bytes);
}
