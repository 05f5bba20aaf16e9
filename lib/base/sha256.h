/* base/sha256.h: SHA-256, by Nettle, whose header only sha256.c includes. */
#ifndef VX_BASE_SHA256_H
#define VX_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define VX_SHA256 32 /* bytes of a digest */

/* A digest under way; copies are independent. */
typedef struct vx_sha256 {
    uint64_t state[16]; /* Nettle's, checked to fit */
} vx_sha256;

void vx_sha256_begin(vx_sha256 *hash);
void vx_sha256_add(vx_sha256 *hash, const void *data, size_t bytes);
/* A text with its zero byte, so that two texts are not one. */
void vx_sha256_add_text(vx_sha256 *hash, const char *text);
void vx_sha256_end(uint8_t digest[VX_SHA256], vx_sha256 *hash);
/* In 64 hexadecimal digits and a zero byte. */
void vx_sha256_text(char out[2 * VX_SHA256 + 1], const uint8_t digest[VX_SHA256]);

#endif
