/* serve/base64.h: bytes in base64 (RFC 4648, section 4), read strictly, but in lines or not (RFC
 * 2045). */
#ifndef CLI_SERVE_BASE64_H
#define CLI_SERVE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that so many characters stand for at most. */
size_t base64_room(size_t length);
/* What a refusal says to whoever sent something else. */
#define BASE64_HINT "letters, digits, + and /, with = at the end; line ends may stand between them"

/* Into out (base64_room(length) bytes); *bytes: how many they are. Padding may be absent; CR and LF
 * may stand anywhere; blanks, other characters, and bits beyond the last byte are refused. */
bool base64_decode(uint8_t *out, size_t *bytes, const char *text, size_t length);

#endif
