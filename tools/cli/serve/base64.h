/* serve/base64.h: bytes in base64 (RFC 4648, section 4), read strictly. */
#ifndef CLI_SERVE_BASE64_H
#define CLI_SERVE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that so many characters stand for at most. */
size_t base64_room(size_t length);
/* Into out (base64_room(length) bytes); *bytes: how many they are. Padding may be absent; blanks,
 * other characters, and bits beyond the last byte are refused. */
bool base64_decode(uint8_t *out, size_t *bytes, const char *text, size_t length);

#endif
