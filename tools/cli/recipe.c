/* cli/recipe.c: see recipe.h. */
#include "recipe.h"

void put_recipe(struct text *text, const vitx_recipe *r)
{
    text_format(text,
                "input %dx%d, resize %d to %dx%d, filter %d, crop %d %d %.17g, scale "
                "%.9g, mean %.9g %.9g %.9g, std %.9g %.9g %.9g, pad %d %d %d, patches %d, %d",
                r->input_height, r->input_width, (int)r->resize, r->resize_height, r->resize_width,
                (int)r->filter, r->crop_round, r->no_crop, r->crop_pct, (double)r->scale,
                (double)r->mean[0], (double)r->mean[1], (double)r->mean[2], (double)r->std[0],
                (double)r->std[1], (double)r->std[2], r->pad[0], r->pad[1], r->pad[2],
                r->max_patches, r->unrounded);
}
