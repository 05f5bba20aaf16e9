/* serve/sniff.h: what the first bytes of a picture say of it. */
#ifndef CLI_SERVE_SNIFF_H
#define CLI_SERVE_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether that is the beginning of a JPEG, of a PNG, or of a PPM, which pixels come as. Decoders of
 * other kinds are other people's, and not for what strangers send. *pixels: what its header claims;
 * 0: it says nothing that can be read without decoding. */
bool sniff_picture(const void *data, size_t bytes, int64_t *pixels);

#endif
