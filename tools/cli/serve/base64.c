/* serve/base64.c: see base64.h. */
#include "base64.h"

size_t base64_room(size_t length)
{
    return length / 4 * 3 + 3;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(uint8_t *out, size_t *bytes, const char *text, size_t length)
{
    uint32_t bits = 0;
    int held = 0; /* bits that are no byte yet */
    size_t n = 0, digits = 0, padding = 0;
    for (size_t i = 0; i < length; i++) {
        const int value = value_of(text[i]);
        if (text[i] == '\r' || text[i] == '\n')
            continue;
        if (text[i] == '=' && padding < 2) {
            padding++;
            continue;
        }
        if (value < 0 || padding > 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        held += 6;
        digits++;
        if (held >= 8) {
            held -= 8;
            out[n++] = (uint8_t)(bits >> held);
        }
    }
    *bytes = n;
    return digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0) &&
           (bits & ((1u << held) - 1)) == 0;
}
