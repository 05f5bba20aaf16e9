/*
 * An .npz file. The first byte says how the rest becomes one:
 *
 *      even   it is the file
 *      odd    a list of members, which are put together with matching headers, sizes and
 *             checksums, so that what lies behind them is reached: "name\n", "dict\n", u16 n,
 *             n bytes of elements. 2: deflated, 4: zip64
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../archive.h"
#include "fuzz.h"

/* Text up to a newline, which becomes '\0'; NULL where there is none. */
static char *line(char **at, const char *end)
{
    char *const start = *at, *const stop = memchr(start, '\n', (size_t)(end - start));
    if (!stop)
        return NULL;
    *stop = '\0';
    *at = stop + 1;
    return start;
}

static archive assemble(char *text, size_t size, int flags)
{
    archive_member members[ARCHIVE_MEMBERS];
    char *at = text, *const end = text + size;
    int count = 0;
    while (count < ARCHIVE_MEMBERS) {
        const char *name = line(&at, end), *dict = name ? line(&at, end) : NULL;
        uint16_t n;
        if (!dict || end - at < 2)
            break;
        memcpy(&n, at, 2);
        at += 2;
        const size_t bytes = n < end - at ? n : (size_t)(end - at);
        members[count++] = archive_array(name, dict, at, bytes, flags & 2);
        at += bytes;
    }
    const archive a = archive_build(members, count, flags & 4);
    archive_free_members(members, count);
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        fuzz_write("weights.npz", data + 1, size - 1);
    } else {
        char *text = malloc(size);
        memcpy(text, data + 1, size - 1);
        const archive a = assemble(text, size - 1, data[0]);
        fuzz_write("weights.npz", a.data, a.size);
        free(a.data);
        free(text);
    }
    fuzz_model(fuzz_folder(), NULL);
    return 0;
}
