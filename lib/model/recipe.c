/* model/recipe.c: see recipe.h. */
#include "model/recipe.h"

#include <math.h>
#include <string.h>

#define MAX_SIDE 65535

double vx_recipe_resized(int input, double crop_pct)
{
    return floor(input / crop_pct);
}

void vx_recipe_begin(vitx_recipe *out, const vx_recipe_defaults *defaults, const vx_hints *hints,
                     const vx_arch *arch)
{
    *out =
        (vitx_recipe){.resize = defaults->resize, .filter = defaults->filter, .scale = 1.0f / 255};
    out->from_input = hints->image_height ? VITX_FROM_CONFIG : VITX_FROM_TENSORS;
    out->input_height =
        hints->image_height ? hints->image_height : arch->grid_height * arch->patch_height;
    out->input_width =
        hints->image_height ? hints->image_width : arch->grid_width * arch->patch_width;
    out->resize_height = (int)vx_recipe_resized(out->input_height, defaults->crop_pct);
    out->resize_width = (int)vx_recipe_resized(out->input_width, defaults->crop_pct);
    memcpy(out->mean, defaults->mean, sizeof out->mean);
    memcpy(out->std, defaults->std, sizeof out->std);
}

int vx_recipe_check(const vitx_recipe *r, const vx_arch *a, const char *path)
{
    if (r->resize_height < 1 || r->resize_height > MAX_SIDE || r->resize_width < 1 ||
        r->resize_width > MAX_SIDE)
        return vx_fail(
            VITX_FORMAT,
            "%s: pictures would be resized to %dx%d; 1 to %d pixels a side are supported", path,
            r->resize_height, r->resize_width, MAX_SIDE);
    if (r->input_height / a->patch_height != a->grid_height ||
        r->input_width / a->patch_width != a->grid_width)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: the recipe (%s) gives pictures of %dx%d, the position embeddings "
                       "are for %dx%d (%dx%d patches of %dx%d); other sizes are not supported",
                       path, vitx_source_name(r->from_input), r->input_height, r->input_width,
                       a->grid_height * a->patch_height, a->grid_width * a->patch_width,
                       a->grid_height, a->grid_width, a->patch_height, a->patch_width);
    for (int i = 0; i < 3; i++)
        if (!isfinite(r->mean[i]) || !isfinite(r->std[i]) || !(r->std[i] > 0))
            return vx_fail(VITX_FORMAT, "%s: mean %g and std %g of channel %d do not normalise",
                           path, (double)r->mean[i], (double)r->std[i], i);
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
    case VITX_FROM_TENSORS:
        return "tensors";
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
