/*
 * image/preprocess.c: from a picture to a model's input.
 *
 * Resize (Pillow), centre crop, times `scale`, minus mean, over std, as the training libraries do
 * it before they run a model: torchvision's transforms for timm, the image processors of
 * transformers for Hugging Face. They differ in how half a pixel of the crop is rounded.
 */
#include "image/image.h"
#include "image/resize.h"

#include <math.h>

#include "image/codec.h" /* VX_MAX_SIDE */

#define MAX_RESIZED_PIXELS ((int64_t)1 << 28)

/* Python's round(): to the nearest, halves to even. */
static int64_t round_half_even(double v)
{
    const double low = floor(v), rest = v - low;
    const int64_t n = (int64_t)low;
    return rest > 0.5 || (rest == 0.5 && n % 2 != 0) ? n + 1 : n;
}

/* The shortest side becomes `size`, the other int(size * long / short). */
static void fit_shortest(int64_t *w, int64_t *h, int64_t size)
{
    if (*w <= *h) {
        *h = size * *h / *w;
        *w = size;
    } else {
        *w = size * *w / *h;
        *h = size;
    }
}

/* Both sides cover the target (timm's ResizeKeepRatio with longest = 0). */
static void fit_cover(int64_t *w, int64_t *h, int target_w, int target_h)
{
    const double ratio_w = (double)*w / target_w, ratio_h = (double)*h / target_h;
    const double ratio = ratio_w < ratio_h ? ratio_w : ratio_h;
    *w = round_half_even((double)*w / ratio);
    *h = round_half_even((double)*h / ratio);
}

/*
 * The crop's first row or column in the resized picture. transformers' center_crop and
 * torchvision's CenterCrop; where the picture is smaller, both pad, and an odd pixel of padding
 * goes before the picture in the first and after it in the second.
 */
static int crop_offset(int size, int crop, int crop_round)
{
    const int spare = size - crop;
    if (spare < 0)
        return crop_round ? -(-spare / 2) : -((1 - spare) / 2);
    return crop_round ? (int)round_half_even(spare / 2.0) : spare / 2;
}

/* Both sides lie within the target (the same with longest = 1). */
static void fit_within(int64_t *w, int64_t *h, int target_w, int target_h)
{
    const double ratio = fmax((double)*w / target_w, (double)*h / target_h);
    *w = round_half_even((double)*w / ratio);
    *h = round_half_even((double)*h / ratio);
    *w = *w < 1 ? 1 : *w;
    *h = *h < 1 ? 1 : *h;
}

static int resized_size(int64_t *w, int64_t *h, const vitx_recipe *r)
{
    const bool both = r->resize != VITX_RESIZE_SHORTEST;
    const int target_w = r->resize_width, target_h = r->resize_height;
    if (r->input_width < 1 || r->input_height < 1 || r->input_width > VX_MAX_SIDE ||
        r->input_height > VX_MAX_SIDE)
        return vx_fail(VITX_INVALID, "recipe: an input of %d x %d pixels", r->input_width,
                       r->input_height);
    if (r->resize != VITX_RESIZE_NONE && (target_h < 1 || target_h > VX_MAX_SIDE ||
                                          (both && (target_w < 1 || target_w > VX_MAX_SIDE))))
        return vx_fail(VITX_INVALID, "recipe: resizing to %d x %d pixels", target_w, target_h);
    if (r->resize == VITX_RESIZE_EXACT) {
        *w = target_w;
        *h = target_h;
    } else if (r->resize == VITX_RESIZE_SHORTEST) {
        fit_shortest(w, h, target_h);
    } else if (r->resize == VITX_RESIZE_COVER) {
        fit_cover(w, h, target_w, target_h);
    } else if (r->resize == VITX_RESIZE_WITHIN) {
        fit_within(w, h, target_w, target_h);
    }
    return VITX_OK;
}

static void resize_to_input(vitx_recipe *recipe, vitx_resize resize)
{
    recipe->resize = resize;
    recipe->resize_width = recipe->input_width;
    recipe->resize_height = recipe->input_height;
    recipe->no_crop = 0;
}

void vx_recipe_squash(vitx_recipe *recipe)
{
    resize_to_input(recipe, VITX_RESIZE_EXACT);
}

void vx_recipe_crop(vitx_recipe *recipe)
{
    resize_to_input(recipe, recipe->input_width == recipe->input_height ? VITX_RESIZE_SHORTEST
                                                                        : VITX_RESIZE_COVER);
}

void vx_recipe_pad(vitx_recipe *recipe)
{
    resize_to_input(recipe, VITX_RESIZE_WITHIN);
}

int vx_place(vx_placement *out, const vitx_recipe *recipe, int width, int height)
{
    int64_t w = width, h = height;
    if (width < 1 || height < 1)
        return vx_fail(VITX_INVALID, "a picture of %d x %d pixels", width, height);
    VX_TRY(resized_size(&w, &h, recipe));
    if (w < 1 || h < 1 || w > VX_MAX_SIDE || h > VX_MAX_SIDE || w * h > MAX_RESIZED_PIXELS)
        return vx_fail(
            VITX_UNSUPPORTED,
            "a picture of %d x %d pixels would be resized to %lld x %lld; at most %d a side "
            "and %lld in all",
            width, height, (long long)w, (long long)h, VX_MAX_SIDE, (long long)MAX_RESIZED_PIXELS);
    if (recipe->no_crop && (w != recipe->input_width || h != recipe->input_height))
        return vx_fail_field(
            VITX_UNSUPPORTED, "fit",
            "a picture of %d x %d pixels for an input of %d x %d, and the model's recipe neither "
            "resizes nor crops: choose with fit (squash, crop or pad)",
            width, height, recipe->input_width, recipe->input_height);
    *out = (vx_placement){
        .resized_w = (int)w,
        .resized_h = (int)h,
        .left = crop_offset((int)w, recipe->input_width, recipe->crop_round),
        .top = crop_offset((int)h, recipe->input_height, recipe->crop_round),
        .input_w = recipe->input_width,
        .input_h = recipe->input_height,
        .scale_x = (double)width / (double)w,
        .scale_y = (double)height / (double)h,
        .filter = recipe->filter,
        .pad = {recipe->pad[0], recipe->pad[1], recipe->pad[2]},
    };
    return VITX_OK;
}

void vx_place_whole(vx_placement *out, const vitx_recipe *recipe)
{
    *out = (vx_placement){
        .resized_w = recipe->input_width,
        .resized_h = recipe->input_height,
        .input_w = recipe->input_width,
        .input_h = recipe->input_height,
        .scale_x = 1,
        .scale_y = 1,
        .filter = recipe->filter,
    };
}

vx_resize_part vx_placement_part(size_t *place, const vitx_image *image, const vx_placement *p)
{
    const size_t row = (size_t)p->input_w * 3;
    const int x0 = p->left < 0 ? -p->left : 0, y0 = p->top < 0 ? -p->top : 0;
    const int left = p->left < 0 ? 0 : p->left, top = p->top < 0 ? 0 : p->top;
    const int spare_w = p->resized_w - left, spare_h = p->resized_h - top;
    *place = (size_t)y0 * row + (size_t)x0 * 3;
    return (vx_resize_part){
        .dst_stride = row,
        .left = left,
        .top = top,
        .width = spare_w < p->input_w - x0 ? spare_w : p->input_w - x0,
        .height = spare_h < p->input_h - y0 ? spare_h : p->input_h - y0,
        .dst_w = p->resized_w,
        .dst_h = p->resized_h,
        .src = image->pixels,
        .src_w = image->width,
        .src_h = image->height,
        .channels = 3,
        .filter = p->filter,
    };
}

int vx_preprocess_u8(uint8_t *out, const vitx_image *image, const vx_placement *p,
                     const vitx_hooks *hooks)
{
    size_t place;
    vx_resize_part part = vx_placement_part(&place, image, p);
    part.dst = out + place;
    if (part.width < p->input_w || part.height < p->input_h)
        for (size_t i = 0; i < part.dst_stride * (size_t)p->input_h; i++)
            out[i] = p->pad[i % 3];
    return vx_resize_part_u8(&part, hooks);
}

/* Resized in floats: out [3,H,W] of values 0..255 that need not be whole. */
static int preprocess_f32(float *out, const vitx_image *image, const vitx_recipe *recipe,
                          const vx_placement *p, const vitx_hooks *hooks)
{
    const size_t pixels = (size_t)p->input_w * (size_t)p->input_h;
    size_t place;
    float *values;
    const vx_resize_part part = vx_placement_part(&place, image, p);
    VX_TRY(vx_new(&values, hooks, pixels, 3 * sizeof *values, "the model's input"));
    for (size_t i = 0; i < 3 * pixels; i++)
        values[i] = p->pad[i % 3];
    const int status = vx_resize_part_f32(values + place, &part, hooks);
    for (size_t i = 0; status == VITX_OK && i < 3 * pixels; i++)
        out[i % 3 * pixels + i / 3] =
            (values[i] * recipe->scale - recipe->mean[i % 3]) / recipe->std[i % 3];
    vx_release(hooks, values);
    return status;
}

/*
 * torchvision divides by 255 in float; transformers multiplies by 1/255 in double and rounds: the
 * same float for all 256 values. Another scale is multiplied by.
 */
bool vx_recipe_divides(const vitx_recipe *r)
{
    return r->scale == 1.0f / 255.0f;
}

float vx_pixel_value(const vitx_recipe *r, int channel, int v)
{
    const float scaled = vx_recipe_divides(r) ? (float)v / 255.0f : (float)v * r->scale;
    return (scaled - r->mean[channel]) / r->std[channel];
}

bool vx_recipe_unrounded(const vitx_recipe *recipe, const vx_placement *placement)
{
    return recipe->unrounded && placement->filter != VITX_NEAREST;
}

int vx_preprocess(float *out, const vitx_image *image, const vitx_recipe *recipe,
                  const vx_placement *placement, const vitx_hooks *hooks)
{
    const size_t pixels = (size_t)placement->input_w * (size_t)placement->input_h;
    uint8_t *input;
    if (vx_recipe_unrounded(recipe, placement))
        return preprocess_f32(out, image, recipe, placement, hooks);
    VX_TRY(vx_new(&input, hooks, pixels, 3, "the model's input"));
    const int status = vx_preprocess_u8(input, image, placement, hooks);
    for (int c = 0; status == VITX_OK && c < 3; c++) {
        float table[256];
        for (int v = 0; v < 256; v++)
            table[v] = vx_pixel_value(recipe, c, v);
        for (size_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = table[input[3 * i + (size_t)c]];
    }
    vx_release(hooks, input);
    return status;
}
