/*
 * image/webp.c: WebP to RGB by libwebp; of a film the first frame, as Pillow's WebPImagePlugin
 * shows it (RFC 9649).
 *
 * The containers are read here: "RIFF", a size, "WEBP", then chunks of a name, a size and data.
 * libwebp gets the picture's own chunks. It allocates by itself, a small multiple of the pixels
 * that max_pixels allows; the pixels it writes are the caller's.
 */
#include "image/codec.h"

#include <string.h>
#include <webp/decode.h>

enum { FRAME_HEADER = 16 };

typedef struct webp {
    int width, height;   /* of the canvas */
    int left, top;       /* of the picture in it */
    const uint8_t *data; /* what libwebp decodes: the whole file, or a frame's chunks */
    size_t bytes;
} webp;

static unsigned le24(const uint8_t *p)
{
    return vx_le16(p) | (unsigned)p[2] << 16;
}

/* The first frame of a film, with where it lies. */
static int find_frame(webp *w, const vx_source *s)
{
    size_t at = 12;
    while (s->bytes - at >= 8) {
        const uint8_t *p = s->data + at;
        const size_t length = vx_le32(p + 4);
        if (length > s->bytes - at - 8)
            return vx_fail_truncated(s);
        if (memcmp(p, "ANMF", 4) == 0 && length > FRAME_HEADER) {
            w->left = 2 * (int)le24(p + 8);
            w->top = 2 * (int)le24(p + 11);
            w->data = p + 8 + FRAME_HEADER;
            w->bytes = length - FRAME_HEADER;
            return VITX_OK;
        }
        at += 8 + length + (length & 1);
        if (at > s->bytes)
            break;
    }
    return vx_fail_in(VITX_FORMAT, s->name, "damaged WebP: a film without a frame");
}

static int read_sizes(webp *w, const vx_source *s)
{
    WebPBitstreamFeatures f;
    *w = (webp){.data = s->data, .bytes = s->bytes};
    if (s->bytes < 30 || vx_le32(s->data + 4) > s->bytes - 8)
        return vx_fail_truncated(s);
    const VP8StatusCode status = WebPGetFeatures(s->data, s->bytes, &f);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA)
        return vx_fail_truncated(s);
    if (status != VP8_STATUS_OK)
        return vx_fail_in(VITX_FORMAT, s->name, "damaged WebP: its header");
    VX_TRY(vx_check_picture_size(s->name, f.width, f.height, s->max_pixels));
    w->width = f.width;
    w->height = f.height;
    return f.has_animation ? find_frame(w, s) : VITX_OK;
}

static int fail(const vx_source *s, VP8StatusCode status)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return vx_fail_in(VITX_NOMEM, s->name, "no memory for the decoder");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return vx_fail_in(VITX_FORMAT, s->name, "damaged WebP: less data than the picture has");
    default:
        return vx_fail_in(VITX_FORMAT, s->name, "damaged WebP: the picture data");
    }
}

int vx_decode_webp(vx_picture *out, const vx_source *source)
{
    webp w;
    WebPDecoderConfig c;
    VX_TRY(read_sizes(&w, source));
    if (!WebPInitDecoderConfig(&c))
        return vx_fail_in(VITX_UNSUPPORTED, source->name,
                          "another libwebp than vitx was built for");
    VP8StatusCode status = WebPGetFeatures(w.data, w.bytes, &c.input);
    if (status != VP8_STATUS_OK)
        return fail(source, status);
    if (c.input.width > w.width - w.left || c.input.height > w.height - w.top)
        return vx_fail_in(VITX_FORMAT, source->name,
                          "damaged WebP: a frame of %d x %d at %d, %d of %d x %d pixels",
                          c.input.width, c.input.height, w.left, w.top, w.width, w.height);
    VX_TRY(vx_new_picture(out, source, w.width, w.height));
    const size_t row = 3 * (size_t)w.width;
    const size_t corner = row * (size_t)w.top + 3 * (size_t)w.left;
    c.output.colorspace = MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = out->pixels + corner;
    c.output.u.RGBA.stride = (int)row;
    c.output.u.RGBA.size = row * (size_t)w.height - corner;
    status = WebPDecode(w.data, w.bytes, &c);
    WebPFreeDecBuffer(&c.output);
    return status == VP8_STATUS_OK ? VITX_OK : fail(source, status);
}
