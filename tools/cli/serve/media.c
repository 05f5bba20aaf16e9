/* serve/media.c: see media.h. */
#define _POSIX_C_SOURCE 200809L
#include "media.h"

#include <string.h>
#include <strings.h>

/* q of a range's parameters, in thousandths; 0 also for what is none. */
static int quality(const char *text, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++) {
        if (text[i] != ';')
            continue;
        while (i + 1 < n && text[i + 1] == ' ')
            i++;
        if (i + 3 >= n || (text[i + 1] != 'q' && text[i + 1] != 'Q') || text[i + 2] != '=')
            continue;
        int q = text[i + 3] == '1' ? 1000 : 0, scale = 100;
        for (size_t d = i + 5; d < n && scale && text[d] >= '0' && text[d] <= '9'; d++, scale /= 10)
            q += (text[d] - '0') * scale;
        return q > 1000 ? 1000 : q;
    }
    return 1000;
}

/* How exactly a range names a type, whatever parameters that has: 3: itself, 2: its half before
 * '/', 1: all types, 0: not. */
static int fit(const char *range, size_t n, const char *type)
{
    const size_t slash = strcspn(type, "/");
    if (n == strcspn(type, ";") && strncasecmp(range, type, n) == 0)
        return 3;
    if (n == slash + 2 && strncasecmp(range, type, slash + 1) == 0 && range[n - 1] == '*')
        return 2;
    return n == 3 && memcmp(range, "*/*", 3) == 0;
}

/* What the client's most exact range says of a type, in thousandths. */
static int liking(const char *accept, const char *type)
{
    int best = 0, q = 0;
    while (*accept) {
        const size_t n = strcspn(accept, ",");
        const char *range = accept + strspn(accept, " \t");
        size_t length = strcspn(range, "; \t,");
        if (range < accept + n) {
            const int exact = fit(range, length, type);
            if (exact > best) {
                best = exact;
                q = quality(range, n - (size_t)(range - accept));
            }
        }
        accept += n + (accept[n] == ',');
    }
    return q;
}

int media_choose(const char *accept, const char *const *types, int count)
{
    int best = -1, most = 0;
    if (!accept || accept[strspn(accept, " \t")] == '\0')
        return 0;
    for (int i = 0; i < count; i++) {
        const int q = liking(accept, types[i]);
        if (q > most) {
            most = q;
            best = i;
        }
    }
    return best;
}

bool media_is(const char *content_type, const char *type)
{
    const size_t n = strlen(type);
    return content_type && strncasecmp(content_type, type, n) == 0 &&
           strchr("; \t", content_type[n]) != NULL;
}
