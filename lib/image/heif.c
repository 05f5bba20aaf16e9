/*
 * image/heif.c: HEIC, and other HEIF, to RGB by libheif: the primary picture, as pillow-heif shows
 * it. libheif itself turns and crops the picture as its boxes say.
 *
 * The size is checked before anything is decoded, and libheif is given it as a limit for parts of
 * the picture. What cannot be had from here: libde265, which decodes, has a thread of its own,
 * takes the memory that the coded picture asks for, whatever size the container tells (libheif 1.19
 * checks it), and prints a line about some damaged files.
 */
#include "image/codec.h"

#include <libheif/heif.h>
#include <math.h>
#include <string.h>

static int fail(struct heif_error error, const vx_source *s)
{
    int status = VITX_FORMAT;
    if (error.code == heif_error_Memory_allocation_error &&
        error.subcode != heif_suberror_Security_limit_exceeded)
        status = VITX_NOMEM;
    if (error.code == heif_error_Unsupported_filetype ||
        error.code == heif_error_Unsupported_feature)
        status = VITX_UNSUPPORTED;
    return vx_fail_in(status, s->name, "%s HEIF: %s",
                      status == VITX_UNSUPPORTED ? "an unknown kind of" : "damaged",
                      error.message ? error.message : "no reason");
}

static int take_pixels(vx_picture *out, const struct heif_image *image, const vx_source *s)
{
    int stride = 0;
    const uint8_t *from = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    const int width = heif_image_get_width(image, heif_channel_interleaved);
    const int height = heif_image_get_height(image, heif_channel_interleaved);
    VX_TRY(vx_check_picture_size(s->name, width, height, s->max_pixels));
    if (!from || stride < 3 * width)
        return vx_fail_in(VITX_FORMAT, s->name, "damaged HEIF: no pixels");
    VX_TRY(vx_new_picture(out, s, width, height));
    const size_t row = 3 * (size_t)width;
    for (size_t y = 0; y < (size_t)height; y++)
        memcpy(out->pixels + y * row, from + y * (size_t)stride, row);
    out->orientation = 1; /* it has been turned */
    return VITX_OK;
}

static int decode_handle(vx_picture *out, const struct heif_image_handle *handle,
                         const vx_source *s)
{
    struct heif_image *image = NULL;
    VX_TRY(vx_check_picture_size(s->name, heif_image_handle_get_width(handle),
                                 heif_image_handle_get_height(handle), s->max_pixels));
    if (heif_image_handle_is_premultiplied_alpha(handle))
        return vx_fail_in(VITX_UNSUPPORTED, s->name, "a HEIF of premultiplied alpha");
    struct heif_decoding_options *options = heif_decoding_options_alloc();
    if (!options)
        return vx_fail_in(VITX_NOMEM, s->name, "no memory for the decoder");
    options->convert_hdr_to_8bit = 1;
    const struct heif_error error = heif_decode_image(handle, &image, heif_colorspace_RGB,
                                                      heif_chroma_interleaved_RGB, options);
    heif_decoding_options_free(options);
    if (error.code != heif_error_Ok)
        return fail(error, s);
    const int status = take_pixels(out, image, s);
    heif_image_release(image);
    return status;
}

int vx_decode_heic(vx_picture *out, const vx_source *source)
{
    struct heif_image_handle *handle = NULL;
    struct heif_context *c = heif_context_alloc();
    if (!c)
        return vx_fail_in(VITX_NOMEM, source->name, "no memory for the decoder");
    heif_context_set_maximum_image_size_limit(c, (int)ceil(sqrt((double)source->max_pixels)));
    heif_context_set_max_decoding_threads(c, 0);
    struct heif_error error =
        heif_context_read_from_memory_without_copy(c, source->data, source->bytes, NULL);
    if (error.code == heif_error_Ok)
        error = heif_context_get_primary_image_handle(c, &handle);
    int status = error.code == heif_error_Ok ? VITX_OK : fail(error, source);
    if (status == VITX_OK)
        status = decode_handle(out, handle, source);
    heif_image_handle_release(handle);
    heif_context_free(c);
    return status;
}
