/* batch/pack.c: which names are archives, and what stands in for libarchive where it is not. */
#define _POSIX_C_SOURCE 200809L
#include "pack.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool is_pack(const char *name)
{
    static const char *const endings[] = {".tar",    ".tar.gz", ".tgz", ".tar.zst", ".tzst",
                                          ".tar.xz", ".txz",    ".zip", ".tar.bz2", ".tbz2"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(name + length - n, endings[i]) == 0)
            return true;
    }
    return false;
}

#ifndef VX_WITH_ARCHIVE
struct pack *pack_open(const char *path, char **why)
{
    (void)path;
    *why = strdup("archives are read by libarchive, which was not there when this vitx-cli was "
                  "built");
    return NULL;
}

enum pack_step pack_next(struct pack *pack, struct pack_member *out)
{
    (void)pack, (void)out;
    return PACK_END;
}

bool pack_take(struct pack *pack, void **data, size_t *bytes)
{
    (void)pack, (void)data, (void)bytes;
    return false;
}

const char *pack_why(const struct pack *pack)
{
    (void)pack;
    return "";
}

void pack_close(struct pack *pack)
{
    (void)pack;
}
#endif
