/* image/image.h: the inside of a picture, and the way from a picture to a model's input. */
#ifndef VX_IMAGE_IMAGE_H
#define VX_IMAGE_IMAGE_H

#include <vitx/image.h>
#include <vitx/model.h> /* vitx_recipe, vitx_filter */

#include "base/kind.h"
#include "base/memory.h"

struct vitx_image {
    vitx_hooks hooks;
    int width, height;
    uint8_t *pixels; /* [height, width, 3] */
};

/* Decoding (decode.c): RGB, 8 bit, before orientation, which is then told. max_pixels is checked
 * before anything large is allocated. */
struct vx_source; /* image/codec.h */
struct vx_picture;
int vx_decode(struct vx_picture *out, const struct vx_source *source);

/* The same refusal of what is no picture, from a file's first bytes alone (fewer where it ends). */
#define VX_SIGNATURE_BYTES VX_KIND_BYTES
int vx_check_signature(const uint8_t *data, size_t bytes, const char *name);

/* EXIF orientation 1..8 of a JPEG (APP1), PNG (eXIf) or WebP (EXIF); 1 where there is none or it
 * is damaged. */
int vx_exif_orientation(const uint8_t *data, size_t bytes);

/*
 * Pillow's Image.resize for 8-bit pictures, bit for bit (resize.c).
 * dst [dst_h, dst_w, channels], src [src_h, src_w, channels], rows without gaps. The box is the
 * part of the source that is resized; whole: 0, 0, src_w, src_h.
 */
int vx_resize_u8(uint8_t *dst, int dst_w, int dst_h, const uint8_t *src, int src_w, int src_h,
                 int channels, vitx_filter filter, const vitx_hooks *hooks);

/*
 * Where the model's input lies in the picture: input pixel (x, y) (continuous, 0..W) is the
 * picture's (x + left) * scale_x, (y + top) * scale_y. Maps go back by the same numbers.
 */
typedef struct vx_placement {
    int resized_w, resized_h; /* the picture after the resize                             */
    int left, top;            /* corner of the crop in it; negative where it was padded    */
    int input_w, input_h;
    double scale_x, scale_y; /* picture pixels per resized pixel                          */
    vitx_filter filter;
    uint8_t pad[3]; /* colour of the input where the picture is not                        */
} vx_placement;

/* Turn a recipe into the one of another vitx_fit, for the input's size: VITX_FIT_SQUASH, _CROP,
 * _PAD (whose colour is model/recipe.h's to say). */
void vx_recipe_squash(vitx_recipe *recipe);
void vx_recipe_crop(vitx_recipe *recipe);
void vx_recipe_pad(vitx_recipe *recipe);

/* What a recipe does to a picture of that size.
 * VITX_UNSUPPORTED if the resized picture would be absurdly large (a side above 65535, or more
 * than 2^28 pixels: a picture of 1 x 60000), and if a recipe without a crop does not give the
 * input's size. */
int vx_place(vx_placement *out, const vitx_recipe *recipe, int width, int height);

/* The picture is the input itself: nothing is resized or cropped. */
void vx_place_whole(vx_placement *out, const vitx_recipe *recipe);

/* What a pixel of value v, 0..255, becomes in that channel of the model's input. */
float vx_pixel_value(const vitx_recipe *recipe, int channel, int v);

/* The normalised input: out f32 [3, input_h, input_w] = (pixel*scale - mean)/std, float32
 * arithmetic as torchvision's ToTensor and Normalize do it; padding has the recipe's colour. */
int vx_preprocess(float *out, const vitx_image *image, const vitx_recipe *recipe,
                  const vx_placement *placement, const vitx_hooks *hooks);

/* The same before normalising: out u8 [input_h, input_w, 3] (what the model saw). */
int vx_preprocess_u8(uint8_t *out, const vitx_image *image, const vx_placement *placement,
                     const vitx_hooks *hooks);

#endif
