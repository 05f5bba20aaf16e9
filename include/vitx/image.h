/*
 * vitx/image.h: pictures.
 *
 * A vitx_image is 8-bit RGB, upright, in the picture's own size. The model's recipe (vitx/model.h)
 * says how a picture is resized, cropped and normalised for a model. This happens in the context.
 */
#ifndef VITX_IMAGE_H
#define VITX_IMAGE_H

#include <vitx/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A decoded picture. Immutable after it is made: any number of threads may read it. */
typedef struct vitx_image vitx_image;

typedef struct vitx_image_opts {
    size_t struct_size;
    const vitx_hooks *hooks;  /**< NULL: malloc, no log                                        */
    int64_t max_pixels;       /**< larger pictures are refused before decoding; 0: 178,956,970
                                   (Pillow's limit for a decompression bomb)                    */
    int ignore_orientation;   /**< nonzero: EXIF orientation is not applied                    */
    int64_t allow_truncated;  /**< nonzero: a truncated JPEG or PNG is read up to its end, with a
                                   warning in the log. The rest is grey (JPEG) or 0 (PNG), like
                                   with Pillow's LOAD_TRUNCATED_IMAGES. 0: a truncated file is
                                   VITX_FORMAT                                                  */
    int64_t page;             /**< which picture of a TIFF with several, counted from 1; 0: the
                                   first. VITX_UNSUPPORTED if the file has no such page         */
    double window_low;        /**< for samples of more than 8 bits: this value of the file becomes
                                   0 (black) ...                                                */
    double window_high;       /**< ... and this value 255, those between in proportion, rounded;
                                   values outside are clamped. Both 0: no window, see
                                   vitx_image_open()                                            */
} vitx_image_opts;

#define VITX_IMAGE_OPTS_INIT { sizeof(vitx_image_opts), NULL, 0, 0, 0, 0, 0, 0 }
VITX_API void vitx_image_opts_init(vitx_image_opts *out, size_t struct_size);

/**
 * Decodes a picture file: JPEG, PNG, BMP, GIF (its first frame) and PNM (PBM, PGM, PPM, PFM); and
 * WebP (of a film the first frame), TIFF, AVIF and HEIC if their library was there when this vitx
 * was built (vitx_image_kind()).
 *
 * Pixels equal those of Pillow's convert("RGB"), bit for bit for all kinds but AVIF and HEIC, whose
 * libraries differ among versions by 1; docs/pictures.md says more. EXIF
 * orientation is applied. Grey becomes RGB. An alpha channel is dropped without blending. Colour
 * profiles (ICC) are not applied, like in Pillow. JPEG pixels equal the pixels of libjpeg-turbo's
 * default decoder, and so also those of torchvision. A PNG whose picture is complete is read even
 * if the data after the picture is missing, like in Pillow.
 *
 * Samples of more than 8 bits: with a window (vitx_image_opts.window_low) as it says. Without one,
 * unsigned samples of 16 bits keep their high byte (Pillow clips grey ones to 255), and a picture
 * that uses less than 1/16 of the range brings a warning in the log. All other samples (signed, of
 * 32 bits, floating point) are spread from the picture's least to its greatest value over 0 to 255,
 * with a warning in the log, because two pictures are then not comparable.
 *
 * @param out   the picture; free it with vitx_image_free()
 * @param path  file name in the encoding of the file system
 * @return VITX_OK, VITX_IO, VITX_FORMAT (not a picture, damaged), VITX_UNSUPPORTED (too large, of a
 *         kind that this vitx does not read), VITX_NOMEM
 */
VITX_API int vitx_image_open(vitx_image **out, const char *path);
/** vitx_image_open() with options; `opts` may be NULL. */
VITX_API int vitx_image_open_with(vitx_image **out, const char *path, const vitx_image_opts *opts);

/**
 * vitx_image_open_with() for a file in memory. `name` is used in messages ("upload 17"); NULL:
 * "picture in memory". `data` is not kept.
 */
VITX_API int vitx_image_open_memory(vitx_image **out, const void *data, size_t bytes,
                                    const char *name, const vitx_image_opts *opts);

/**
 * The kinds of pictures, one after the other, index from 0: "JPEG", "PNG", ...
 *
 * @param missing  may be NULL; receives NULL if this vitx reads that kind, else the name of the
 *                 library that was not there when it was built, like "libwebp"
 * @return a static string; NULL if there is no kind of that index
 */
VITX_API const char *vitx_image_kind(int index, const char **missing);

/**
 * Copies pixels that the program already has.
 *
 * @param rgb     row 0 at the top, 3 bytes per pixel, [height, stride]
 * @param width   1 to 65535
 * @param height  1 to 65535
 * @param stride  bytes from one row to the next; 0: 3*width; else at least 3*width
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (too large), VITX_NOMEM
 */
VITX_API int vitx_image_from_rgb(vitx_image **out, const uint8_t *rgb, int width, int height,
                                 size_t stride, const vitx_image_opts *opts);

/** What the bytes of a pixel are, 8 bits each. */
typedef enum vitx_pixels {
    VITX_PIXELS_RGB = 0,
    VITX_PIXELS_BGR = 1,       /**< the order of OpenCV                                         */
    VITX_PIXELS_RGBA = 2,
    VITX_PIXELS_BGRA = 3,
    VITX_PIXELS_GREY = 4,      /**< grey becomes red, green and blue                            */
    VITX_PIXELS_GREY_ALPHA = 5
} vitx_pixels;

/**
 * vitx_image_from_rgb() for pixels of other layouts. Alpha is dropped without blending, like for
 * files: a transparent pixel keeps the colour of its bytes. A program that wants another background
 * must draw the picture over that background first.
 *
 * @param stride  bytes from one row to the next; 0: rows without gaps; else at least a row's bytes
 * @return like vitx_image_from_rgb(); VITX_INVALID for a layout that is no vitx_pixels
 */
VITX_API int vitx_image_from_pixels(vitx_image **out, const uint8_t *pixels, vitx_pixels layout,
                                    int width, int height, size_t stride,
                                    const vitx_image_opts *opts);

VITX_API void vitx_image_free(vitx_image *image);

VITX_API int vitx_image_width(const vitx_image *image);
VITX_API int vitx_image_height(const vitx_image *image);
/** @return the pixels, [height, width, 3], rows without gaps; they live as long as the image. */
VITX_API const uint8_t *vitx_image_pixels(const vitx_image *image);

#ifdef __cplusplus
}
#endif
#endif
