/* text/chars.c: see chars.h. */
#include "text/chars.h"

#include <string.h>

int vx_chars_reserve(vx_chars *chars, size_t more)
{
    size_t need;
    if (!vx_add_size(&need, chars->count, more) || need > VX_MOST_CHARS)
        return vx_fail(VITX_INVALID, "a text of more than %d million characters once normalised",
                       VX_MOST_CHARS >> 20);
    return vx_grow(&chars->at, &chars->reserved, chars->hooks, chars->count, more,
                   sizeof *chars->at, "a text's characters");
}

int vx_chars_put(vx_chars *chars, uint32_t code, uint32_t start, uint32_t end)
{
    if (chars->count == chars->reserved)
        VX_TRY(vx_chars_reserve(chars, 1));
    chars->at[chars->count++] = (vx_char){code, start, end};
    return VITX_OK;
}

int vx_chars_copy(vx_chars *chars, const vx_char *from, size_t count)
{
    VX_TRY(vx_chars_reserve(chars, count));
    if (count)
        memcpy(chars->at + chars->count, from, count * sizeof(vx_char));
    chars->count += count;
    return VITX_OK;
}

void vx_chars_swap(vx_chars *a, vx_chars *b)
{
    const vx_chars held = *a;
    *a = *b;
    *b = held;
}

void vx_chars_dispose(vx_chars *chars)
{
    vx_release(chars->hooks, chars->at);
    chars->at = NULL;
    chars->count = chars->reserved = 0;
}

void vx_chars_range(uint32_t *start, uint32_t *end, const vx_char *at, size_t count)
{
    *start = at[0].start;
    *end = at[0].end;
    for (size_t i = 1; i < count; i++) {
        *start = at[i].start < *start ? at[i].start : *start;
        *end = at[i].end > *end ? at[i].end : *end;
    }
}

/* Of the Unicode standard, table 3-7. */
size_t vx_utf8_read(uint32_t *code, const char *text, size_t left)
{
    const unsigned char *const p = (const unsigned char *)text;
    *code = p[0];
    if (p[0] < 0x80)
        return 1;
    *code = 0xfffd;
    const size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 1;
    uint32_t value = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | (p[i] & 0x3f);
    }
    const uint32_t least = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *code = value;
    return n;
}

size_t vx_utf8_write(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> n & 0xff) | code);
    return n;
}

int vx_chars_decode(vx_chars *chars, const char *text, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n) {
        uint32_t code;
        n = vx_utf8_read(&code, text + i, bytes - i);
        VX_TRY(vx_chars_put(chars, code, (uint32_t)i, (uint32_t)(i + n)));
    }
    return VITX_OK;
}

int vx_chars_encode(vx_buffer *out, const vx_char *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char bytes[4];
        const size_t n = vx_utf8_write(bytes, at[i].code);
        VX_TRY(vx_buffer_append(out, bytes, n));
    }
    return VITX_OK;
}
