/*
 * report/pack.c: see pack.h.
 *
 * Attention weights as bytes have no repetitions worth a search, but for runs: zlib's strategy
 * Z_RLE gives the size of level 6 within a percent in a third of the time (docs/performance.md).
 * Each piece is raw deflate and ends at a byte (Z_SYNC_FLUSH), so that pieces put one behind the
 * other are one stream. Two bytes before them and the checksum behind them make it zlib's: a reader
 * finds out if the file is damaged.
 */
#include "report/pack.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#define PIECE ((size_t)1 << 17)
#define MEMORY 7 /* of zlib: smaller blocks, each with a code that suits it */

typedef struct packing {
    const uint8_t *raw;
    size_t bytes, bound;
    int pieces;
    z_stream *streams; /* [workers] */
    int ready;         /* of them */
    uint8_t *packed;   /* [pieces,bound] */
    size_t *sizes;     /* [pieces]; 0: it failed */
} packing;

static voidpf take(voidpf hooks, uInt count, uInt size)
{
    size_t bytes;
    return vx_mul_size(&bytes, count, size) ? vx_alloc(hooks, bytes) : NULL;
}

static void give_back(voidpf hooks, voidpf memory)
{
    vx_release(hooks, memory);
}

static z_stream stream_of(const vitx_hooks *hooks)
{
    return (z_stream){.zalloc = take, .zfree = give_back, .opaque = (voidpf)(uintptr_t)hooks};
}

void vx_share_out(vx_pool *pool, void (*task)(void *arg, int i, int worker), void *arg, int count)
{
    if (pool)
        vx_pool_run(pool, task, arg, count);
    for (int i = 0; !pool && i < count; i++)
        task(arg, i, 0);
}

int vx_workers(const vx_pool *pool)
{
    return pool ? vx_pool_threads(pool) : 1;
}

static void pack_piece(void *arg, int i, int worker)
{
    packing *p = arg;
    z_stream *z = &p->streams[worker];
    const size_t at = (size_t)i * PIECE;
    const bool last = i == p->pieces - 1;
    z->next_in = (z_const Bytef *)(uintptr_t)(p->raw + at);
    z->avail_in = (uInt)(last ? p->bytes - at : PIECE);
    z->next_out = p->packed + (size_t)i * p->bound;
    z->avail_out = (uInt)p->bound;
    const int result = deflate(z, last ? Z_FINISH : Z_SYNC_FLUSH);
    p->sizes[i] = result == (last ? Z_STREAM_END : Z_OK) && z->avail_in == 0 && z->avail_out > 0
                      ? p->bound - z->avail_out
                      : 0;
    deflateReset(z);
}

static int prepare(packing *p, int workers, const vitx_hooks *hooks)
{
    VX_TRY(vx_new(&p->streams, hooks, (size_t)workers, sizeof *p->streams, "compression"));
    for (; p->ready < workers; p->ready++) {
        p->streams[p->ready] = stream_of(hooks);
        if (deflateInit2(&p->streams[p->ready], 1, Z_DEFLATED, -MAX_WBITS, MEMORY, Z_RLE) != Z_OK)
            return vx_fail(VITX_NOMEM, "no memory for compression");
    }
    p->bound = deflateBound(p->streams, PIECE) + 16; /* and the flush */
    VX_TRY(vx_new(&p->sizes, hooks, (size_t)p->pieces, sizeof *p->sizes, "compression"));
    return vx_new(&p->packed, hooks, (size_t)p->pieces, p->bound, "compressed bytes");
}

/* The pieces one behind the other, in memory of just their size. */
static int join(vx_packed *out, const packing *p, const vitx_hooks *hooks)
{
    static const uint8_t head[] = {0x78, 0x01}; /* deflate, a window of 32 KiB, quick */
    const uLong sum = adler32(1, (const Bytef *)p->raw, (uInt)p->bytes);
    size_t bytes = sizeof head + 4;
    for (int i = 0; i < p->pieces; i++) {
        if (p->sizes[i] == 0)
            return vx_fail(VITX_FORMAT, "zlib did not compress");
        bytes += p->sizes[i];
    }
    out->data = vx_alloc(hooks, bytes);
    if (!out->data)
        return vx_fail(VITX_NOMEM, "no memory for %zu compressed bytes", bytes);
    out->bytes = bytes;
    memcpy(out->data, head, sizeof head);
    uint8_t *to = out->data + sizeof head;
    for (int i = 0; i < p->pieces; to += p->sizes[i++])
        memcpy(to, p->packed + (size_t)i * p->bound, p->sizes[i]);
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(sum >> (24 - 8 * i));
    return VITX_OK;
}

/* What does not compress is stored, 5 bytes for each 8 KiB; each piece has an end. */
size_t vx_pack_bound(size_t bytes)
{
    return bytes + bytes / 512 + 64;
}

int vx_pack(vx_packed *out, const uint8_t *raw, size_t bytes, vx_pool *pool,
            const vitx_hooks *hooks)
{
    *out = (vx_packed){0};
    if (bytes > INT_MAX / 2)
        return vx_fail(VITX_UNSUPPORTED, "%zu bytes of attention in one block of a report", bytes);
    packing p = {.raw = raw, .bytes = bytes, .pieces = (int)((bytes + PIECE - 1) / PIECE)};
    p.pieces = p.pieces > 0 ? p.pieces : 1;
    const int workers = p.pieces > 1 ? vx_workers(pool) : 1;
    int status = prepare(&p, workers, hooks);
    if (status == VITX_OK) {
        vx_share_out(workers > 1 ? pool : NULL, pack_piece, &p, p.pieces);
        status = join(out, &p, hooks);
    }
    while (p.ready > 0)
        deflateEnd(&p.streams[--p.ready]);
    vx_release(hooks, p.streams);
    vx_release(hooks, p.sizes);
    vx_release(hooks, p.packed);
    return status;
}

int vx_unpack(uint8_t *out, size_t bytes, const uint8_t *data, size_t size, const vitx_hooks *hooks)
{
    z_stream z = stream_of(hooks);
    if (inflateInit(&z) != Z_OK)
        return vx_fail(VITX_NOMEM, "no memory for the parts of the page");
    z.next_in = (z_const Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)bytes;
    const int result = inflate(&z, Z_FINISH);
    const bool whole = result == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? VITX_OK : vx_fail(VITX_NOMEM, "no memory for the parts of the page");
}

void vx_packed_dispose(vx_packed *packed, const vitx_hooks *hooks)
{
    vx_release(hooks, packed->data);
    *packed = (vx_packed){0};
}
