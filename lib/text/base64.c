/* text/base64.c: see base64.h. */
#include "text/base64.h"

#include <stdint.h>
#include <string.h>

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

/* A group of four: how many bytes it stands for, 0 if it is none. */
static size_t group(char out[3], const char *text)
{
    uint32_t bits = 0;
    const size_t n = text[2] == '=' && text[3] == '=' ? 1 : text[3] == '=' ? 2 : 3;
    for (size_t i = 0; i < 4; i++) {
        const int value = i <= n ? value_of(text[i]) : 0;
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i < 3; i++)
        out[i] = (char)(bits >> (16 - 8 * i));
    return n;
}

int vx_base64_read(vx_buffer *out, const char *text, const char *file, const char *what)
{
    const size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i += 4) {
        char three[3];
        const size_t n = bytes - i >= 4 ? group(three, text + i) : 0;
        if (n == 0 || (n < 3 && bytes - i > 4))
            return vx_fail_in(VITX_FORMAT, file, "%s is no base64", what);
        VX_TRY(vx_buffer_append(out, three, n));
    }
    return VITX_OK;
}
