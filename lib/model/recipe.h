/* model/recipe.h: how a picture becomes the model's input; what the namings share. */
#ifndef VX_MODEL_RECIPE_H
#define VX_MODEL_RECIPE_H

#include "model/family.h"

/* The family's defaults for a model of that size (hints->image_*, else grid times patch). */
void vx_recipe_begin(vitx_recipe *out, const vx_recipe_defaults *defaults, const vx_hints *hints,
                     const vx_arch *arch);

/* The size that is resized to for an input of `input` pixels: floor(input / crop_pct). */
double vx_recipe_resized(int input, double crop_pct);

/* Sizes within bounds, and an input that the model's patches fit. */
int vx_recipe_check(const vitx_recipe *recipe, const vx_arch *arch, const char *path);

#endif
