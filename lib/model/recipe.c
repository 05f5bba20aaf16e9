/* model/recipe.c: see recipe.h. */
#include "model/recipe.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define MAX_SIDE 65535
#define USUAL_SIDE 224 /* of a model that says none and has no positions that would tell */

double vx_recipe_resized(int input, double crop_pct)
{
    return floor(input / crop_pct);
}

void vx_recipe_begin(vitx_recipe *out, const vx_recipe_defaults *defaults, const vx_hints *hints,
                     const vx_arch *arch)
{
    *out =
        (vitx_recipe){.resize = defaults->resize, .filter = defaults->filter, .scale = 1.0f / 255};
    out->from_input = hints->image_height ? VITX_FROM_CONFIG
                      : arch->pos_height  ? VITX_FROM_TENSORS
                                          : VITX_FROM_DEFAULT;
    out->input_height = hints->image_height ? hints->image_height
                        : arch->pos_height  ? arch->pos_height * arch->patch_height
                                            : USUAL_SIDE;
    out->input_width = hints->image_height ? hints->image_width
                       : arch->pos_width   ? arch->pos_width * arch->patch_width
                                           : USUAL_SIDE;
    out->resize_height = (int)vx_recipe_resized(out->input_height, defaults->crop_pct);
    out->resize_width = (int)vx_recipe_resized(out->input_width, defaults->crop_pct);
    out->crop_pct = defaults->crop_pct;
    out->max_patches = hints->max_patches;
    if (hints->max_patches) {
        out->resize = VITX_RESIZE_PATCHES;
        out->filter = VITX_BILINEAR; /* image_processing_siglip2.py */
    }
    memcpy(out->mean, defaults->mean, sizeof out->mean);
    memcpy(out->std, defaults->std, sizeof out->std);
    out->unrounded = defaults == &vx_hf_dinov3_processor;
}

void vx_recipe_pad_colour(vitx_recipe *recipe)
{
    const double unit = recipe->scale == 1.0f / 255.0f ? 255 : 1 / (double)recipe->scale;
    for (int c = 0; c < 3; c++) /* rint: half to even */
        recipe->pad[c] = (uint8_t)rint(fmin(fmax((double)recipe->mean[c] * unit, 0), 255));
}

int vx_recipe_check(const vitx_recipe *r, const char *path)
{
    if (r->resize_height < 1 || r->resize_height > MAX_SIDE || r->resize_width < 1 ||
        r->resize_width > MAX_SIDE)
        return vx_fail_in(VITX_FORMAT, path,
                          "pictures would be resized to %dx%d; 1 to %d pixels a side are supported",
                          r->resize_height, r->resize_width, MAX_SIDE);
    for (int i = 0; i < 3; i++)
        if (!isfinite(r->mean[i]) || !isfinite(r->std[i]) || !(r->std[i] > 0))
            return vx_fail_in(VITX_FORMAT, path,
                              "mean %g and std %g of channel %d do not normalise",
                              (double)r->mean[i], (double)r->std[i], i);
    return VITX_OK;
}

static double grown(const vitx_recipe *r, int resize, int from, int to)
{
    const int64_t in_proportion = (int64_t)to * resize / from;
    return r->crop_pct > 0 ? vx_recipe_resized(to, r->crop_pct) : (double)in_proportion;
}

int vx_recipe_set_input(vitx_recipe *r, int height, int width, const char *what)
{
    const double h = grown(r, r->resize_height, r->input_height, height),
                 w = grown(r, r->resize_width, r->input_width, width);
    const bool in_proportion = r->resize == VITX_RESIZE_SHORTEST || r->resize == VITX_RESIZE_COVER;
    if (!(h >= 1) || !(w >= 1) || h > MAX_SIDE || w > MAX_SIDE)
        return vx_fail(VITX_INVALID,
                       "%s: for an input of %dx%d pictures would be resized to %.0fx%.0f; 1 to "
                       "%d pixels a side are supported",
                       what, height, width, h, w, MAX_SIDE);
    r->input_height = height;
    r->input_width = width;
    r->resize_height = (int)h;
    r->resize_width = (int)w;
    if (in_proportion)
        r->resize = r->resize_height == r->resize_width ? VITX_RESIZE_SHORTEST : VITX_RESIZE_COVER;
    return VITX_OK;
}

int vx_arch_set_input(vx_arch *a, int height, int width, const char *what)
{
    const int64_t rows = height / a->patch_height, columns = width / a->patch_width;
    const int64_t tokens = rows * columns + a->prefix;
    if (rows < 1 || columns < 1)
        return vx_fail(VITX_UNSUPPORTED, "%s: an input of %dx%d holds no patch of %dx%d", what,
                       height, width, a->patch_height, a->patch_width);
    if (tokens > VX_MAX_TOKENS)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: an input of %dx%d makes %lld tokens; at most %d are supported", what,
                       height, width, (long long)tokens, VX_MAX_TOKENS);
    if (tokens > INT_MAX / a->width) /* kernels count the steps between pictures in int */
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: %lld tokens of width %d: more than %d numbers a picture", what,
                       (long long)tokens, a->width, INT_MAX);
    a->grid_height = (int)rows;
    a->grid_width = (int)columns;
    return VITX_OK;
}

const char *vitx_source_name(vitx_source source)
{
    switch (source) {
    case VITX_FROM_CONFIG:
        return "config.json";
    case VITX_FROM_PREPROCESSOR:
        return "preprocessor_config.json";
    case VITX_FROM_OPEN_CLIP:
        return "open_clip_config.json";
    case VITX_FROM_PROCESSOR:
        return "processor_config.json";
    case VITX_FROM_TENSORS:
        return "tensors";
    case VITX_FROM_OPTIONS:
        return "options";
    default:
        return "default";
    }
}

const char *vitx_filter_name(vitx_filter filter)
{
    static const char *const names[] = {"nearest", "box", "bilinear", "bicubic", "lanczos"};
    const unsigned i = (unsigned)filter;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}
