/* model/recipe.h: how a picture becomes the model's input; what the namings share. */
#ifndef VX_MODEL_RECIPE_H
#define VX_MODEL_RECIPE_H

#include "model/family.h"

/* The family's defaults for a model of that size (hints->image_*, else grid times patch). */
void vx_recipe_begin(vitx_recipe *out, const vx_recipe_defaults *defaults, const vx_hints *hints,
                     const vx_arch *arch);

/* The size that is resized to for an input of `input` pixels: floor(input / crop_pct). */
double vx_recipe_resized(int input, double crop_pct);

/* Padding gets the colour that normalises to 0, as timm's crop mode "border" has it: round(255
 * mean). */
void vx_recipe_pad_colour(vitx_recipe *recipe);

/* Sizes and values within bounds. */
int vx_recipe_check(const vitx_recipe *recipe, const char *path);

/*
 * The recipe for an input of another size: what is resized to grows with it (vitx_recipe.crop_pct),
 * as timm's data configuration does it when input_size is changed. Where sides are in proportion,
 * an input that is not square is covered, as there. VITX_INVALID past the bounds; `what` stands in
 * messages, as the model's path.
 */
int vx_recipe_set_input(vitx_recipe *recipe, int height, int width, const char *what);
/* The arch's grid for an input of that size: whole patches, a margin is not seen. VITX_UNSUPPORTED
 * where there is no whole patch or there are too many. */
int vx_arch_set_input(vx_arch *arch, int height, int width, const char *what);

#endif
