/*
 * image/image.c: the public face of pictures: open, turn upright, hand out.
 */
#include "image/image.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/structs.h"
#include "image/codec.h"

/* What Pillow refuses as a decompression bomb: twice 1 GiB / 4 / 3 pixels. */
#define DEFAULT_MAX_PIXELS INT64_C(178956970)
/* No picture within that size needs a longer file. */
#define MAX_FILE_BYTES ((size_t)1 << 30)

void vitx_image_opts_init(vitx_image_opts *out, size_t struct_size)
{
    const vitx_image_opts full = VITX_IMAGE_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* Options with their defaults filled in. */
typedef struct settings {
    vitx_hooks hooks;
    int64_t max_pixels;
    bool upright, allow_truncated, windowed;
    double low, high;
    int64_t page; /* from 0 */
} settings;

static int read_settings(settings *out, const vitx_image_opts *opts)
{
    vitx_image_opts o = VITX_IMAGE_OPTS_INIT;
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_image_opts, ignore_orientation));
    if (o.max_pixels < 0)
        return vx_fail(VITX_INVALID,
                       "vitx_image_opts.max_pixels is %" PRId64
                       ", expected a positive number, or 0 for the default",
                       o.max_pixels);
    if (o.page < 0)
        return vx_fail(
            VITX_INVALID,
            "vitx_image_opts.page is %" PRId64 ", expected 1 or more, or 0 for the first", o.page);
    const bool windowed = o.window_low != 0 || o.window_high != 0;
    const double span = o.window_high - o.window_low;
    if (windowed && !(span > 0 && isfinite(span)))
        return vx_fail(
            VITX_INVALID,
            "vitx_image_opts.window_low is %g, window_high %g; expected two numbers, the "
            "greater one last",
            o.window_low, o.window_high);
    *out = (settings){.max_pixels = o.max_pixels > 0 ? o.max_pixels : DEFAULT_MAX_PIXELS,
                      .upright = !o.ignore_orientation,
                      .allow_truncated = o.allow_truncated != 0,
                      .windowed = windowed,
                      .low = o.window_low,
                      .high = o.window_high,
                      .page = o.page > 0 ? o.page - 1 : 0};
    return vx_hooks_resolve(&out->hooks, o.hooks);
}

/*
 * Turns pixels [h, w, 3] by EXIF orientation 2..8 into `dst`, whose sides are swapped from 5 on.
 * In the order of the numbers: mirrored, turned by 180 degrees, flipped, transposed, turned right,
 * transversed, turned left; as PIL.ImageOps.exif_transpose does it.
 */
static void turn(uint8_t *dst, const uint8_t *src, int w, int h, int orientation)
{
    const bool swap = orientation >= 5;
    const bool from_right =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int width = swap ? h : w, height = swap ? w : h;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, dst += 3) {
            const int u = swap ? y : x, v = swap ? x : y;
            const size_t sx = (size_t)(from_right ? w - 1 - u : u);
            const size_t sy = (size_t)(from_bottom ? h - 1 - v : v);
            memcpy(dst, src + (sy * (size_t)w + sx) * 3, 3);
        }
}

static int make_upright(vitx_image *image, int orientation)
{
    uint8_t *turned;
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    VX_TRY(vx_new(&turned, &image->hooks, pixels, 3, "a picture"));
    turn(turned, image->pixels, image->width, image->height, orientation);
    vx_release(&image->hooks, image->pixels);
    image->pixels = turned;
    if (orientation >= 5) {
        const int width = image->width;
        image->width = image->height;
        image->height = width;
    }
    return VITX_OK;
}

static int create(vitx_image **out, const settings *s)
{
    VX_TRY(vx_new(out, &s->hooks, 1, sizeof **out, "a picture"));
    (*out)->hooks = s->hooks;
    return VITX_OK;
}

static int open_memory(vitx_image **out, const void *data, size_t bytes, const char *name,
                       const settings *s)
{
    vitx_image *image = NULL;
    vx_picture picture = {0};
    int status = create(&image, s);
    if (status == VITX_OK)
        status = vx_decode(&picture, &(vx_source){.data = data,
                                                  .bytes = bytes,
                                                  .name = name,
                                                  .max_pixels = s->max_pixels,
                                                  .allow_truncated = s->allow_truncated,
                                                  .hooks = &image->hooks,
                                                  .windowed = s->windowed,
                                                  .low = s->low,
                                                  .high = s->high,
                                                  .page = s->page});
    if (status == VITX_OK) {
        image->pixels = picture.pixels;
        image->width = picture.width;
        image->height = picture.height;
        if (s->upright && picture.orientation != 1)
            status = make_upright(image, picture.orientation);
    }
    if (status != VITX_OK) {
        vitx_image_free(image);
        return status;
    }
    *out = image;
    return VITX_OK;
}

int vitx_image_open(vitx_image **out, const char *path)
{
    return vitx_image_open_with(out, path, NULL);
}

static int begin_output(vitx_image **out)
{
    if (!out)
        return vx_fail(VITX_INVALID, "opening a picture: out is NULL");
    *out = NULL;
    return VITX_OK;
}

int vitx_image_open_with(vitx_image **out, const char *path, const vitx_image_opts *opts)
{
    settings s;
    char *data = NULL;
    uint8_t start[VX_SIGNATURE_BYTES];
    size_t bytes = sizeof start;
    VX_TRY(begin_output(out));
    VX_TRY(read_settings(&s, opts));
    if (!path)
        return vx_fail(VITX_INVALID, "vitx_image_open: path is NULL");
    /* So that what is no picture is not read in full, which may be a gigabyte. */
    VX_TRY(vx_file_peek(start, &bytes, path, &s.hooks));
    VX_TRY(vx_check_signature(start, bytes, path));
    VX_TRY(vx_file_load(&data, &bytes, path, MAX_FILE_BYTES, &s.hooks));
    const int status = open_memory(out, data, bytes, path, &s);
    vx_release(&s.hooks, data);
    return status;
}

int vitx_image_open_memory(vitx_image **out, const void *data, size_t bytes, const char *name,
                           const vitx_image_opts *opts)
{
    settings s;
    VX_TRY(begin_output(out));
    VX_TRY(read_settings(&s, opts));
    if (!data && bytes > 0)
        return vx_fail(VITX_INVALID, "vitx_image_open_memory: data is NULL");
    return open_memory(out, data, bytes, name ? name : "picture in memory", &s);
}

/* Where a pixel has its colours: bytes of a pixel, and of these the red, green and blue one. */
static const struct layout {
    int bytes, red, green, blue;
} layouts[] = {
    [VITX_PIXELS_RGB] = {3, 0, 1, 2},  [VITX_PIXELS_BGR] = {3, 2, 1, 0},
    [VITX_PIXELS_RGBA] = {4, 0, 1, 2}, [VITX_PIXELS_BGRA] = {4, 2, 1, 0},
    [VITX_PIXELS_GREY] = {1, 0, 0, 0}, [VITX_PIXELS_GREY_ALPHA] = {2, 0, 0, 0},
};

static void copy_row(uint8_t *to, const uint8_t *from, int width, const struct layout *l)
{
    if (l->bytes == 3 && l->red == 0) {
        memcpy(to, from, 3 * (size_t)width);
        return;
    }
    for (int x = 0; x < width; x++, to += 3, from += l->bytes) {
        to[0] = from[l->red];
        to[1] = from[l->green];
        to[2] = from[l->blue];
    }
}

/* `name` is the public function's. */
static int from_pixels(vitx_image **out, const uint8_t *pixels, vitx_pixels layout, int width,
                       int height, size_t stride, const vitx_image_opts *opts, const char *name)
{
    settings s;
    vitx_image *image = NULL;
    VX_TRY(begin_output(out));
    VX_TRY(read_settings(&s, opts));
    if (!pixels || width < 1 || height < 1)
        return vx_fail(VITX_INVALID, "%s: %s, %d x %d pixels", name,
                       pixels ? "pixels" : "pixels is NULL", width, height);
    if ((int)layout < 0 || (size_t)layout >= sizeof layouts / sizeof layouts[0])
        return vx_fail(VITX_INVALID, "%s: layout = %d is no vitx_pixels", name, (int)layout);
    VX_TRY(vx_check_picture_size("picture in memory", width, height, s.max_pixels));
    const size_t row = (size_t)width * 3, least = (size_t)width * (size_t)layouts[layout].bytes;
    if (stride == 0)
        stride = least;
    if (stride < least)
        return vx_fail(VITX_INVALID, "%s: stride %zu, at least %zu expected", name, stride, least);
    int status = create(&image, &s);
    if (status == VITX_OK)
        status = vx_new(&image->pixels, &s.hooks, row, (size_t)height, "a picture");
    if (status != VITX_OK) {
        vitx_image_free(image);
        return status;
    }
    image->width = width;
    image->height = height;
    for (size_t y = 0; y < (size_t)height; y++)
        copy_row(image->pixels + y * row, pixels + y * stride, width, &layouts[layout]);
    *out = image;
    return VITX_OK;
}

int vitx_image_from_rgb(vitx_image **out, const uint8_t *rgb, int width, int height, size_t stride,
                        const vitx_image_opts *opts)
{
    return from_pixels(out, rgb, VITX_PIXELS_RGB, width, height, stride, opts,
                       "vitx_image_from_rgb");
}

int vitx_image_from_pixels(vitx_image **out, const uint8_t *pixels, vitx_pixels layout, int width,
                           int height, size_t stride, const vitx_image_opts *opts)
{
    return from_pixels(out, pixels, layout, width, height, stride, opts, "vitx_image_from_pixels");
}

void vitx_image_free(vitx_image *image)
{
    if (!image)
        return;
    const vitx_hooks hooks = image->hooks;
    vx_release(&hooks, image->pixels);
    vx_release(&hooks, image);
}

int vitx_image_width(const vitx_image *image)
{
    return image ? image->width : 0;
}

int vitx_image_height(const vitx_image *image)
{
    return image ? image->height : 0;
}

const uint8_t *vitx_image_pixels(const vitx_image *image)
{
    return image ? image->pixels : NULL;
}
