/* cli/recipe.h: a recipe in words, for files that are of no use with another one. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include <vitx/vitx.h>

#include "text.h"

/* All numbers of it that change an input, in one line without quotes. */
void put_recipe(struct text *text, const vitx_recipe *recipe);

#endif
