/* words/segments.c: see segments.h. */
#include "words/segments.h"

#include <string.h>

enum kind { SPACE, JOINED, ALONE };

/* The character at p and its bytes; a byte that is no UTF-8 counts as one of its own. */
static uint32_t decode(const char *text, size_t at, size_t bytes, size_t *length)
{
    const unsigned char *p = (const unsigned char *)text + at;
    const int more = p[0] < 0x80                   ? 0
                     : p[0] >= 0xC2 && p[0] < 0xE0 ? 1
                     : p[0] >= 0xE0 && p[0] < 0xF0 ? 2
                     : p[0] >= 0xF0 && p[0] < 0xF5 ? 3
                                                   : -1;
    uint32_t code = more == 0 ? p[0] : more == 1 ? p[0] & 31u : more == 2 ? p[0] & 15u : p[0] & 7u;
    *length = 1;
    if (more < 0 || at + (size_t)more >= bytes)
        return more == 0 ? code : 0xFFFD;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0xFFFD;
        code = code << 6 | (p[i] & 63u);
    }
    *length = (size_t)more + 1;
    return code;
}

/* The blocks whose characters are words: ideographs, kana, their punctuation, full-width forms. */
static bool stands_alone(uint32_t c)
{
    static const uint32_t ranges[][2] = {{0x2E80, 0x2FDF}, {0x3001, 0x30FF},   {0x3400, 0x4DBF},
                                         {0x4E00, 0x9FFF}, {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},
                                         {0xFF01, 0xFF65}, {0x20000, 0x2FFFF}, {0x30000, 0x3FFFF}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return c < 128 && c > 32 && strchr("!\"#$%&()*+,./:;<=>?@[\\]^_`{|}~", (int)c) != NULL;
}

static enum kind kind_of(uint32_t c)
{
    const bool space = c <= 32 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
                       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
                       c == 0x205F || c == 0x3000;
    return space ? SPACE : stands_alone(c) ? ALONE : JOINED;
}

bool vx_blank(const char *text)
{
    const size_t bytes = strlen(text);
    for (size_t at = 0, length; at < bytes; at += length)
        if (kind_of(decode(text, at, bytes, &length)) != SPACE)
            return false;
    return true;
}

/* The words by their characters alone, at most as many as there are bytes. */
static int cut(vitx_word *words, const char *text, size_t bytes)
{
    int count = 0;
    bool open = false;
    for (size_t at = 0, length; at < bytes; at += length) {
        const enum kind kind = kind_of(decode(text, at, bytes, &length));
        if (kind == SPACE) {
            open = false;
            continue;
        }
        if (kind == ALONE || !open)
            words[count++] = (vitx_word){.start = at};
        words[count - 1].end = at + length;
        open = kind == JOINED;
    }
    return count;
}

/* The first word that ends behind a place; count: none. */
static int word_behind(const vitx_word *words, int count, size_t place)
{
    int low = 0, high = count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (words[middle].end > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Joins the words that one token stands for; marks are 1 where a word goes on in the next. */
static void mark(unsigned char *marks, const vitx_word *words, int count, const vx_token *tokens,
                 int token_count)
{
    for (int i = 0; i < token_count; i++) {
        if (tokens[i].end <= tokens[i].start)
            continue;
        const int first = word_behind(words, count, tokens[i].start);
        for (int w = first; w + 1 < count && words[w + 1].start < tokens[i].end; w++)
            marks[w] = 1;
    }
}

static int join(vitx_word *words, int count, const unsigned char *marks)
{
    int n = 0;
    for (int w = 0; w < count; w++) {
        if (w > 0 && marks[w - 1])
            words[n - 1].end = words[w].end;
        else
            words[n++] = words[w];
    }
    return n;
}

int vx_segments(vitx_word **out, int *count, int *of, const char *text, const vx_token *tokens,
                int token_count, const vitx_hooks *hooks)
{
    const size_t bytes = strlen(text);
    unsigned char *marks;
    vitx_word *words;
    VX_TRY(vx_new(&words, hooks, bytes + 1, sizeof *words, "words"));
    const int status = vx_new(&marks, hooks, bytes + 1, 1, "words");
    if (status != VITX_OK) {
        vx_release(hooks, words);
        return status;
    }
    int n = cut(words, text, bytes);
    mark(marks, words, n, tokens, token_count);
    n = join(words, n, marks);
    vx_release(hooks, marks);
    for (int i = 0; i < token_count; i++) {
        const int w = word_behind(words, n, tokens[i].start);
        const bool there =
            tokens[i].end > tokens[i].start && w < n && words[w].start < tokens[i].end;
        of[i] = there ? w : -1;
        if (there)
            words[w].tokens++;
    }
    *out = words;
    *count = n;
    return VITX_OK;
}
