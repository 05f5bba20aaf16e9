/* text/gunzip.c: see gunzip.h. */
#include "text/gunzip.h"

#include <limits.h>
#include <string.h>
#define ZLIB_CONST /* next_in may point to what is const */
#include <zlib.h>

static voidpf take(voidpf hooks, uInt items, uInt size)
{
    size_t bytes;
    return vx_mul_size(&bytes, items, size) ? vx_alloc(hooks, bytes) : NULL;
}

static void give_back(voidpf hooks, voidpf memory)
{
    vx_release(hooks, memory);
}

static int unpack(vx_buffer *out, z_stream *z, size_t most, const char *name)
{
    const size_t before = out->size;
    char piece[1 << 14];
    for (int code = Z_OK; code != Z_STREAM_END;) {
        z->next_out = (unsigned char *)piece;
        z->avail_out = sizeof piece;
        code = inflate(z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return vx_fail(VITX_NOMEM, "no memory to unpack a file");
        const size_t n = sizeof piece - z->avail_out;
        if ((code != Z_OK && code != Z_STREAM_END) || (n == 0 && code == Z_OK))
            return vx_fail_in(VITX_FORMAT, name, "it does not unpack");
        if (n > most - (out->size - before))
            return vx_fail_in(VITX_FORMAT, name, "unpacked it has more than %zu bytes", most);
        VX_TRY(vx_buffer_append(out, piece, n));
    }
    return VITX_OK;
}

int vx_gunzip(vx_buffer *out, const char *data, size_t bytes, size_t most, const char *name)
{
    vitx_hooks hooks = *out->hooks;
    z_stream z = {.zalloc = take, .zfree = give_back, .opaque = &hooks};
    if (bytes > UINT_MAX)
        return vx_fail_in(VITX_FORMAT, name, "a packed file of 4 GiB or more");
    z.next_in = (const unsigned char *)data;
    z.avail_in = (unsigned)bytes;
    if (inflateInit2(&z, 15 + 16) != Z_OK) /* +16: a gzip header */
        return vx_fail(VITX_NOMEM, "no memory to unpack a file");
    const int status = unpack(out, &z, most, name);
    inflateEnd(&z);
    return status;
}
