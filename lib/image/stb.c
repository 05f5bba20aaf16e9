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
 * stbi__extend_receive(j, t) is the difference of two DC values; summed up and multiplied by the
 * quantiser it can leave int. dc_difference() keeps the sum within 16 bits, where every
 * real picture's is. (AC values come through stbi__extend_receive(j,s), which stays.)
 */
static void fill_bits(void *jpeg);
static int dc_difference(int component, int bits, void *jpeg);

#define stbi__grow_buffer_unsafe(j) STB_FILL_##j)
#define STB_FILL_stbi__jpeg original_grow_buffer(stbi__jpeg
#define STB_FILL_j fill_bits(j
#define STB_FILL_z fill_bits(z

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

static void fill_bits(void *jpeg)
{
    stbi__jpeg *j = jpeg;
    do {
        unsigned byte = j->nomore ? 0 : stbi__get8(j->s);
        if (byte == 0xff) {
            unsigned next = stbi__get8(j->s);
            while (next == 0xff) /* fill bytes */
                next = stbi__get8(j->s);
            if (next != 0) {
                j->marker = (unsigned char)next;
                j->nomore = 1;
                byte = 0;
            }
        }
        j->code_buffer |= byte << (24 - j->code_bits);
        j->code_bits += 8;
    } while (j->code_bits <= 24);
}

static int dc_difference(int component, int bits, void *jpeg)
{
    stbi__jpeg *j = jpeg;
    const int before = j->img_comp[component].dc_pred;
    const int after = before + extend_receive(bits, j);
    return (after < SHRT_MIN ? SHRT_MIN : after > SHRT_MAX ? SHRT_MAX : after) - before;
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

int vx_stb_jpeg_planes(vx_jpeg_planes *out, const vx_source *source, vx_jpeg_idct_fn *idct)
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
    const int ok = stbi__decode_jpeg_image(j);
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
