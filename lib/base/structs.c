/* base/structs.c: see structs.h. */
#include "base/structs.h"

#include <string.h>

static size_t size_of(const void *given)
{
    size_t size; /* the first member of every such struct */
    memcpy(&size, given, sizeof size);
    return size;
}

static int check(const void *given, size_t size, size_t least, const char *type)
{
    const size_t found = size_of(given);
    if (found >= least && found <= size)
        return VITX_OK;
    return vx_fail(VITX_INVALID,
                   "%s.struct_size is %zu, this library knows %zu to %zu: start from its "
                   "_INIT macro or _init function",
                   type, found, least, size);
}

void vx_struct_init(void *out, size_t struct_size, const void *full, size_t size)
{
    if (!out || struct_size < sizeof struct_size)
        return;
    memset(out, 0, struct_size);
    memcpy(out, full, struct_size < size ? struct_size : size);
    memcpy(out, &struct_size, sizeof struct_size);
}

int vx_struct_read(void *out, size_t size, const void *given, size_t least, const char *type)
{
    if (!given)
        return VITX_OK;
    VX_TRY(check(given, size, least, type));
    memcpy(out, given, size_of(given));
    memcpy(out, &size, sizeof size);
    return VITX_OK;
}

int vx_struct_write(void *out, const void *full, size_t size, size_t least, const char *type)
{
    VX_TRY(check(out, size, least, type));
    const size_t room = size_of(out);
    memcpy(out, full, room);
    memcpy(out, &room, sizeof room);
    return VITX_OK;
}
