/* cli/digest.h: SHA-256, and a comparison whose time tells nothing; by nettle. */
#ifndef CLI_DIGEST_H
#define CLI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_TEXT = 65 };

/* A digest that grows; on the heap, as nettle's struct is not shown here. NULL without memory. */
struct digest *digest_begin(void);
void digest_add(struct digest *digest, const void *data, size_t bytes);
/* Frees it; out NULL: only that. */
void digest_end(struct digest *digest, uint8_t out[DIGEST_BYTES]);

void digest_of(uint8_t out[DIGEST_BYTES], const void *data, size_t bytes);
/* Small hexadecimal digits, ended by '\0'. */
void digest_text(char out[DIGEST_TEXT], const uint8_t digest[DIGEST_BYTES]);
/* Takes the same time whatever the bytes are. */
bool same_bytes(const void *a, const void *b, size_t bytes);

#endif
