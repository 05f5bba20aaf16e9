/* serve/name.c: see name.h. */
#define _DEFAULT_SOURCE
#include "name.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

bool make_name(char out[NAME_ROOM])
{
    uint8_t bytes[(NAME_ROOM - 1) / 2];
    size_t got = 0;
    while (got < sizeof bytes) {
        const ssize_t n = getrandom(bytes + got, sizeof bytes - got, 0);
        if (n < 0 && errno != EINTR)
            return false;
        got += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
