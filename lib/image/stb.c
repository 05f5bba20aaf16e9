/*
 * image/stb.c: the one file that includes stb_image.
 *
 * Only JPEG and PNG are compiled. Memory comes from the caller's hooks, by way of a pointer of the
 * thread, and is zeroed: stb_image leaves blocks that a damaged file does not mention unwritten.
 *
 * stb_image 2.27, which distributions ship, computes beyond what C defines when a JPEG is damaged.
 * Two of its functions are therefore replaced while it is included; see "Repairs" below. The other
 * weak place, Huffman tables with more than 256 codes, is closed by image/jpeg.c, which refuses
 * such files before they come here.
 */
#include "image/stb.h"

#include <limits.h>
#include <string.h>

static _Thread_local struct {
    const vitx_hooks *hooks;
    bool refused; /* an allocation failed */
} memory;

static void *allocate(size_t bytes)
{
    void *p = vx_alloc(memory.hooks, bytes);
    if (p)
        memset(p, 0, bytes);
    else
        memory.refused = true;
    return p;
}

static void release(void *p)
{
    vx_release(memory.hooks, p);
}

/* Nothing here is grown: PNG data is inflated into a buffer of known size. */
static void *refuse_to_grow(void *p, size_t old_bytes, size_t bytes)
{
    (void)p;
    (void)old_bytes;
    (void)bytes;
    return NULL;
}

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_GIF
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_SIMD
#define STBI_MAX_DIMENSIONS VX_MAX_SIDE
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(bytes) allocate(bytes)
#define STBI_REALLOC_SIZED(p, old_bytes, bytes) refuse_to_grow(p, old_bytes, bytes)
#define STBI_FREE(p) release(p)

/* Version 2.27 declares this function by one name and defines it by the other. */
#define stbi_set_unpremultiply_on_load_thread stbi__unpremultiply_on_load_thread

/*
 * Repairs. A macro renames a function of stb_image where it is defined and sends its calls to ours;
 * the two are told apart by the last argument's first word, which at a definition is a type. (So
 * the parentheses of these macros do not balance.)
 *
 * stbi__grow_buffer_unsafe(j) reads entropy-coded bytes until more than 24 bits are there. At a
 * marker it stops short, the count of bits goes below zero, and the next call shifts by more than
 * 31. fill_bits() goes on with zero bits instead, as libjpeg does.
 *
 * stbi__jpeg_decode_block and its two progressive kin, stbi__jpeg_reset: where the data run out,
 * and at a restart marker that is not the expected one, ours go on as libjpeg does (see "Restarts"
 * below), where stb_image decodes zeros, or leaves out the rest of the scan.
 *
 * stbi__extend_receive(j, t) is the difference of two DC values; summed up and multiplied by the
 * quantiser it can leave int. dc_difference() keeps the sum within 16 bits, where every
 * real picture's is. (AC values come through stbi__extend_receive(j,s), which stays.)
 */
static void fill_bits(void *jpeg);
static void begin_scan(void *jpeg);
static int decode_block(void *jpeg, short *data, void *dc, void *ac, short *fast, int component,
                        unsigned short *dequant);
static int decode_dc(void *jpeg, short *data, void *dc, int component);
static int decode_ac(void *jpeg, short *data, void *ac, short *fast);
static unsigned char next_marker(void *jpeg);
static int dc_difference(int component, int bits, void *jpeg);

#define stbi__grow_buffer_unsafe(j) STB_FILL_##j)
#define STB_FILL_stbi__jpeg original_grow_buffer(stbi__jpeg
#define STB_FILL_j fill_bits(j
#define STB_FILL_z fill_bits(z

#define stbi__jpeg_reset(j) STB_RESET_##j)
#define STB_RESET_stbi__jpeg original_reset(stbi__jpeg
#define STB_RESET_z begin_scan(z

#define stbi__jpeg_decode_block(j, ...) STB_BLOCK_##j, __VA_ARGS__)
#define STB_BLOCK_stbi__jpeg original_block(stbi__jpeg
#define STB_BLOCK_z decode_block(z

#define stbi__jpeg_decode_block_prog_dc(j, ...) STB_DC_##j, __VA_ARGS__)
#define STB_DC_stbi__jpeg original_dc(stbi__jpeg
#define STB_DC_z decode_dc(z

#define stbi__jpeg_decode_block_prog_ac(j, ...) STB_AC_##j, __VA_ARGS__)
#define STB_AC_stbi__jpeg original_ac(stbi__jpeg
#define STB_AC_z decode_ac(z

#define stbi__get_marker(j) STB_MARKER_##j)
#define STB_MARKER_stbi__jpeg original_marker(stbi__jpeg
#define STB_MARKER_j next_marker(j
#define STB_MARKER_z next_marker(z

#define stbi__extend_receive(j, n) STB_RECEIVE_##n, j)
#define STB_RECEIVE_int extend_receive(int
#define STB_RECEIVE_s extend_receive(s
#define STB_RECEIVE_t dc_difference(b, t

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* The entropy-coded scan under way; see "Restarts". */
static _Thread_local struct {
    int unit, block;    /* blocks of an interleaved unit; which of them is next      */
    int interval, left; /* units between restarts, 0: none; units to the next one    */
    int expected;       /* the number of the next restart marker                     */
    int zeros;          /* bits in the buffer that the data did not have             */
    bool empty;         /* bits beyond the data were used                            */
    bool skipped;       /* the unit at hand                                          */
} scan;

static void fill_bits(void *jpeg)
{
    stbi__jpeg *j = jpeg;
    do {
        unsigned byte = j->nomore ? 0 : stbi__get8(j->s);
        bool there = !j->nomore;
        if (byte == 0xff) {
            unsigned next = stbi__get8(j->s);
            while (next == 0xff) /* fill bytes */
                next = stbi__get8(j->s);
            if (next != 0) {
                j->marker = (unsigned char)next;
                j->nomore = 1;
                byte = 0;
                there = false;
            }
        }
        scan.zeros += there ? 0 : 8;
        j->code_buffer |= byte << (24 - j->code_bits);
        j->code_bits += 8;
    } while (j->code_bits <= 24);
}

/*
 * Restarts. libjpeg (jdhuff.c, jdmarker.c) counts the units of an interval itself. At its end it
 * takes the next marker; if that is not the expected one it skips markers that are behind it, and
 * waits at those ahead of it, or at the end of the data. A unit that needs more bits than there are
 * gets zeros, and those after it nothing at all, until a restart: in a sequential file they are
 * grey.
 */
/* The next marker of the data, over whatever lies before it; fill bytes and stuffed zeros, too. */
static unsigned scan_for_marker(stbi__jpeg *j)
{
    while (!stbi__at_eof(j->s)) {
        if (stbi__get8(j->s) != 0xff)
            continue;
        unsigned next = 0xff;
        while (next == 0xff && !stbi__at_eof(j->s))
            next = stbi__get8(j->s);
        if (next != 0 && next != 0xff)
            return next;
    }
    return 0xd9;
}

/* Behind a scan restart markers may be left over; libjpeg passes over them. */
static unsigned char next_marker(void *jpeg)
{
    stbi__jpeg *j = jpeg;
    unsigned marker = original_marker(j);
    while (j->scan_n > 0 && marker >= 0xd0 && marker <= 0xd7)
        marker = scan_for_marker(j);
    return (unsigned char)marker;
}

/* Of one scan, and of one interval; `todo` is never used up, so stb_image itself sees no
 * restarts. */
static void begin_scan(void *jpeg)
{
    stbi__jpeg *j = jpeg;
    original_reset(j);
    memset(&scan, 0, sizeof scan);
    scan.interval = scan.left = j->restart_interval;
    for (int k = 0; k < j->scan_n; k++)
        scan.unit += j->img_comp[j->order[k]].h * j->img_comp[j->order[k]].v;
    if (j->scan_n == 1)
        scan.unit = 1;
    j->todo = INT_MAX;
}

/* What jpeg_resync_to_restart does with a marker: true: it is dropped and decoding goes on. */
static bool accept_marker(stbi__jpeg *j, unsigned *marker)
{
    while (*marker < 0xd0 || *marker > 0xd7 || (*marker & 7) != (unsigned)scan.expected) {
        const unsigned ahead = (*marker - 0xd0 - (unsigned)scan.expected) & 7;
        if (*marker >= 0xc0 && (*marker < 0xd0 || *marker > 0xd7 || ahead == 1 || ahead == 2))
            return false;
        if (*marker >= 0xc0 && ahead != 6 && ahead != 7)
            return true; /* too far away to tell */
        *marker = scan_for_marker(j);
    }
    return true;
}

static void restart(stbi__jpeg *j)
{
    unsigned marker = j->nomore ? j->marker : scan_for_marker(j);
    const bool accepted = accept_marker(j, &marker);
    original_reset(j);
    j->todo = INT_MAX;
    scan.zeros = 0;
    scan.left = scan.interval;
    scan.expected = (scan.expected + 1) & 7;
    if (accepted) {
        scan.empty = false;
    } else {
        j->marker = (unsigned char)marker;
        j->nomore = 1;
    }
}

/* Before each block: whether it is to be decoded. */
static bool begin_block(stbi__jpeg *j)
{
    if (scan.block == 0) {
        scan.empty = scan.empty || scan.zeros > j->code_bits;
        if (scan.interval > 0 && scan.left-- == 0) {
            restart(j);
            scan.left--;
        }
        scan.skipped = scan.empty;
    }
    scan.block = scan.block + 1 < scan.unit ? scan.block + 1 : 0;
    return !scan.skipped;
}

static int decode_block(void *jpeg, short *data, void *dc, void *ac, short *fast, int component,
                        unsigned short *dequant)
{
    if (begin_block(jpeg))
        return original_block(jpeg, data, dc, ac, fast, component, dequant);
    memset(data, 0, 64 * sizeof *data);
    return 1;
}

static int decode_dc(void *jpeg, short *data, void *dc, int component)
{
    return !begin_block(jpeg) || original_dc(jpeg, data, dc, component);
}

static int decode_ac(void *jpeg, short *data, void *ac, short *fast)
{
    return !begin_block(jpeg) || original_ac(jpeg, data, ac, fast);
}

static int dc_difference(int component, int bits, void *jpeg)
{
    stbi__jpeg *j = jpeg;
    const int before = j->img_comp[component].dc_pred;
    const int after = before + extend_receive(bits, j);
    return (after < SHRT_MIN ? SHRT_MIN : after > SHRT_MAX ? SHRT_MAX : after) - before;
}

/*
 * Tables K.3 to K.6 of ITU-T T.81: how many codes of 1 to 16 bits there are, then the values. First
 * luminance, then chrominance.
 */
static const uint8_t standard_dc[2][16 + 12] = {
    {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
    {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
};
static const uint8_t standard_ac[2][16 + 162] = {
    {0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125,
     0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
     0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
     0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18,
     0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
     0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57,
     0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75,
     0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
     0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
     0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
     0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8,
     0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
     0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa},
    {0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119,
     0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
     0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
     0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
     0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
     0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56,
     0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74,
     0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
     0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
     0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
     0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6,
     0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
     0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa},
};

static int set_table(stbi__huffman *table, const uint8_t *from)
{
    int sizes[16], n = 0;
    for (int i = 0; i < 16; i++)
        n += sizes[i] = from[i];
    if (!stbi__build_huffman(table, sizes))
        return 0;
    memcpy(table->values, from + 16, (size_t)n);
    return 1;
}

/* What a frame of a camera or a film uses without saying so. The file's own tables replace them. A
 * progressive file has to bring its tables: libjpeg asks for them, too. */
static int set_standard_tables(stbi__jpeg *j)
{
    for (int i = 0; i < 2; i++) {
        if (!set_table(&j->huff_dc[i], standard_dc[i]) ||
            !set_table(&j->huff_ac[i], standard_ac[i]))
            return 0;
        stbi__build_fast_ac(j->fast_ac[i], &j->huff_ac[i]);
    }
    return 1;
}

/* What stb_image says is a word or two: "no SOI", "bad huffman code". */
static int fail(const vx_source *source, const char *format)
{
    if (memory.refused)
        return vx_fail_in(VITX_NOMEM, source->name, "no memory for the decoder");
    const char *reason = stbi_failure_reason();
    return vx_fail_in(VITX_FORMAT, source->name, "damaged %s: %s", format,
                      reason ? reason : "unknown reason");
}

static void begin(const vx_source *source)
{
    memory.hooks = source->hooks;
    memory.refused = false;
    stbi__g_failure_reason = NULL;
}

/* Takes the planes out of the decoder, which then frees the rest. */
static void take_planes(vx_jpeg_planes *out, stbi__jpeg *j)
{
    out->count = j->s->img_n;
    for (int i = 0; i < out->count; i++) {
        out->plane[i] = (vx_jpeg_plane){
            .data = j->img_comp[i].data,
            .stride = j->img_comp[i].w2,
            .width = j->img_comp[i].x,
            .height = j->img_comp[i].y,
            .across = j->img_h_max / j->img_comp[i].h,
            .down = j->img_v_max / j->img_comp[i].v,
        };
        out->memory[i] = j->img_comp[i].raw_data;
        j->img_comp[i].raw_data = NULL;
    }
}

int vx_stb_jpeg_planes(vx_jpeg_planes *out, const vx_source *source, bool progressive,
                       vx_jpeg_idct_fn *idct)
{
    *out = (vx_jpeg_planes){0};
    if (source->bytes > INT_MAX)
        return vx_fail_in(VITX_UNSUPPORTED, source->name, "a JPEG of %zu bytes", source->bytes);
    begin(source);
    stbi__context context = {0};
    stbi__start_mem(&context, source->data, (int)source->bytes);
    stbi__jpeg *j = allocate(sizeof *j);
    if (!j)
        return fail(source, "JPEG");
    j->s = &context;
    stbi__setup_jpeg(j);
    j->idct_block_kernel = idct;
    const int ok = (progressive || set_standard_tables(j)) && stbi__decode_jpeg_image(j);
    if (ok)
        take_planes(out, j);
    stbi__cleanup_jpeg(j);
    release(j);
    return ok ? VITX_OK : fail(source, "JPEG");
}

void vx_jpeg_planes_dispose(vx_jpeg_planes *planes, const vitx_hooks *hooks)
{
    for (int i = 0; i < 4; i++)
        vx_release(hooks, planes->memory[i]);
    *planes = (vx_jpeg_planes){0};
}

int vx_stb_inflate(uint8_t *out, int capacity, const uint8_t *data, int bytes)
{
    return stbi_zlib_decode_buffer((char *)out, capacity, (const char *)data, bytes);
}

int vx_stb_png_samples(uint8_t **out, const vx_png_layout *layout, uint8_t *raw, size_t bytes,
                       const vx_source *source)
{
    *out = NULL;
    begin(source);
    stbi__context context = {0};
    context.img_x = (stbi__uint32)layout->width;
    context.img_y = (stbi__uint32)layout->height;
    context.img_n = layout->channels;
    stbi__png png = {.s = &context, .depth = layout->depth};
    if (!stbi__create_png_image(&png, raw, (stbi__uint32)bytes, layout->channels, layout->depth,
                                layout->color_type, layout->interlaced)) {
        release(png.out);
        return fail(source, "PNG");
    }
    *out = png.out;
    return VITX_OK;
}
