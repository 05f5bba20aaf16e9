/*
 * image/avif.c: AVIF to RGB by libavif; of a film the first frame. As Pillow's AvifImagePlugin:
 * turned as the container says, not as EXIF does.
 *
 * libavif checks the sizes before it decodes, by limits that it is given; of its decoders only
 * dav1d keeps to them, so no other is used. What cannot be had from here: libavif before 1.0 ends
 * the process when there is no memory, and dav1d prints a line about some damaged files.
 */
#include "image/codec.h"

#include <avif/avif.h>

static int fail(const avifDecoder *d, avifResult result, const vx_source *s)
{
    const bool memory = result == AVIF_RESULT_OUT_OF_MEMORY;
    const bool unsupported =
        result == AVIF_RESULT_NOT_IMPLEMENTED || result == AVIF_RESULT_NO_CODEC_AVAILABLE;
    if (result == AVIF_RESULT_TRUNCATED_DATA)
        return vx_fail_truncated(s);
    return vx_fail_in(memory        ? VITX_NOMEM
                      : unsupported ? VITX_UNSUPPORTED
                                    : VITX_FORMAT,
                      s->name, "damaged AVIF: %s%s%s", avifResultToString(result),
                      d->diag.error[0] ? ": " : "", d->diag.error);
}

/* The boxes irot (quarters of a turn to the left) and then imir, as EXIF counts. */
static int orientation_of(const avifImage *image)
{
    static const uint8_t turned[4] = {1, 8, 3, 6};
    static const uint8_t mirrored[2][4] = {{4, 5, 2, 7}, {2, 7, 4, 5}};
    const unsigned turns = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3u : 0;
    if (!(image->transformFlags & AVIF_TRANSFORM_IMIR))
        return turned[turns];
#if AVIF_VERSION >= 1000000
    return mirrored[image->imir.axis & 1][turns];
#else
    return mirrored[image->imir.mode & 1][turns];
#endif
}

/* Without its alpha libavif would draw the picture on black: it is asked for and dropped. */
static int take_pixels(vx_picture *out, const avifImage *image, const avifDecoder *d,
                       const vx_source *s)
{
    const size_t pixels = (size_t)image->width * image->height;
    const bool alpha = image->alphaPlane != NULL;
    const unsigned channels = alpha ? 4 : 3;
    uint8_t *four = NULL;
    avifRGBImage rgb;
    VX_TRY(vx_new_picture(out, s, (int)image->width, (int)image->height));
    if (alpha)
        VX_TRY(vx_new(&four, s->hooks, pixels, 4, "the pixels of an AVIF"));
    avifRGBImageSetDefaults(&rgb, image);
    rgb.format = alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.depth = 8;
    rgb.pixels = alpha ? four : out->pixels;
    rgb.rowBytes = channels * image->width;
    const avifResult result = avifImageYUVToRGB(image, &rgb);
    for (size_t i = 0; alpha && i < pixels; i++)
        for (size_t k = 0; k < 3; k++)
            out->pixels[3 * i + k] = four[4 * i + k];
    vx_release(s->hooks, four);
    return result == AVIF_RESULT_OK ? VITX_OK : fail(d, result, s);
}

static int decode(vx_picture *out, avifDecoder *d, const vx_source *s)
{
    if (!avifCodecName(AVIF_CODEC_CHOICE_DAV1D, AVIF_CODEC_FLAG_CAN_DECODE))
        return vx_fail_in(VITX_UNSUPPORTED, s->name,
                          "an AVIF picture, and the libavif of this machine has no dav1d");
    d->codecChoice = AVIF_CODEC_CHOICE_DAV1D;
    d->maxThreads = 1;
    d->ignoreExif = d->ignoreXMP = AVIF_TRUE;
    d->strictFlags = AVIF_STRICT_DISABLED; /* as Pillow: some writers leave boxes out */
    d->imageDimensionLimit = VX_MAX_SIDE;
    if (s->max_pixels < d->imageSizeLimit)
        d->imageSizeLimit = (uint32_t)s->max_pixels;
    avifResult result = avifDecoderSetIOMemory(d, s->data, s->bytes);
    if (result == AVIF_RESULT_OK)
        result = avifDecoderParse(d);
    if (result != AVIF_RESULT_OK)
        return fail(d, result, s);
    VX_TRY(vx_check_picture_size(s->name, d->image->width, d->image->height, s->max_pixels));
    const uint32_t width = d->image->width, height = d->image->height;
    result = avifDecoderNextImage(d);
    if (result != AVIF_RESULT_OK)
        return fail(d, result, s);
    if (d->image->width != width || d->image->height != height)
        return vx_fail_in(VITX_FORMAT, s->name, "damaged AVIF: a frame of another size");
    out->orientation = orientation_of(d->image);
    return take_pixels(out, d->image, d, s);
}

int vx_decode_avif(vx_picture *out, const vx_source *source)
{
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder)
        return vx_fail_in(VITX_NOMEM, source->name, "no memory for the decoder");
    const int status = decode(out, decoder, source);
    avifDecoderDestroy(decoder);
    return status;
}
