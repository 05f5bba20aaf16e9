/* engine/size.c: see size.h. */
#include "engine/size.h"

#include <math.h>
#include <stdio.h>

#include "model/recipe.h"

#define MAX_SIDE 65535
#define MAX_TOKENS 16384 /* unless asked for: minutes of a large model, 1024 tokens squared */

/* -------------------------------------------------------------------------- options ------- */

static int check_side(int side, int own, int patch, const char *what)
{
    if (side < 1 || side > MAX_SIDE)
        return vx_fail(VITX_INVALID, "an input of %s %d: 1 to %d pixels are accepted", what, side,
                       MAX_SIDE);
    const int below = side / patch * patch;
    if (below == side || side == own)
        return VITX_OK;
    if (below == 0 || below + patch > MAX_SIDE)
        return vx_fail(VITX_INVALID,
                       "an input of %s %d: no multiple of the patch's %d pixels; %d is", what, side,
                       patch, below ? below : patch);
    return vx_fail(VITX_INVALID,
                   "an input of %s %d: no multiple of the patch's %d pixels; %d and %d are", what,
                   side, patch, below, below + patch);
}

static int check_tokens(const vx_arch *a, int max_tokens, const char *what)
{
    if (vx_arch_tokens(a) <= max_tokens)
        return VITX_OK;
    return vx_fail_field(
        VITX_UNSUPPORTED, "max_tokens",
        "%s makes %d tokens (%d rows of %d patches), max_tokens is %d: take a smaller size, or "
        "raise it",
        what, vx_arch_tokens(a), a->grid_height, a->grid_width, max_tokens);
}

/* Size, then fit: the recipe is brought to the size, and where the fit is another one replaced. */
static int apply(vx_size *s, const vitx_model *model, const vitx_context_opts *o)
{
    const vx_arch *a = &model->arch;
    const int own_h = model->recipe.input_height, own_w = model->recipe.input_width;
    if (o->input_height || o->input_width) {
        VX_TRY(check_side(o->input_height, own_h, a->patch_height, "height"));
        VX_TRY(check_side(o->input_width, own_w, a->patch_width, "width"));
        s->recipe.from_input = VITX_FROM_OPTIONS;
    }
    if (o->input_height && (o->input_height != own_h || o->input_width != own_w)) {
        VX_TRY(vx_arch_set_input(&s->arch, o->input_height, o->input_width, model->path));
        if (o->fit == VITX_FIT_RECIPE)
            VX_TRY(vx_recipe_set_input(&s->recipe, o->input_height, o->input_width, model->path));
        s->recipe.input_height = o->input_height;
        s->recipe.input_width = o->input_width;
    }
    if (o->fit == VITX_FIT_SQUASH || o->fit == VITX_FIT_KEEP ||
        (s->recipe.resize == VITX_RESIZE_PATCHES && !s->max_patches))
        vx_recipe_squash(&s->recipe);
    else if (o->fit == VITX_FIT_CROP)
        vx_recipe_crop(&s->recipe);
    else if (o->fit == VITX_FIT_PAD) {
        vx_recipe_pad(&s->recipe);
        vx_recipe_pad_colour(&s->recipe);
    }
    if (o->fit != VITX_FIT_RECIPE)
        s->recipe.from_resize = s->recipe.from_crop = VITX_FROM_OPTIONS;
    return VITX_OK;
}

/* Whether the recipe counts patches, and how many; 0: the input has one size. */
static int count_patches(int *out, const vitx_model *model, const vitx_context_opts *o)
{
    const vitx_recipe *r = &model->recipe;
    const bool counts = r->resize == VITX_RESIZE_PATCHES && o->fit == VITX_FIT_RECIPE &&
                        !o->input_height && !o->input_width;
    if (o->max_patches < 0 || o->max_patches > VX_MAX_TOKENS)
        return vx_fail_field(VITX_INVALID, "max_patches", "max_patches = %d: 1 to %d are accepted",
                             o->max_patches, VX_MAX_TOKENS);
    if (o->max_patches && !counts)
        return vx_fail_field(VITX_INVALID, "max_patches",
                             "max_patches = %d: that is for models that take pictures of any shape "
                             "(SigLIP 2 NaFlex), without another fit or size",
                             o->max_patches);
    *out = !counts ? 0 : o->max_patches ? o->max_patches : r->max_patches;
    return VITX_OK;
}

int vx_size_begin(vx_size *s, const vitx_model *model, const vitx_context_opts *o)
{
    const int own = vx_arch_tokens(&model->arch);
    *s = (vx_size){.arch = model->arch,
                   .recipe = model->recipe,
                   .positions = model->positions,
                   .max_tokens = o->max_tokens};
    if (model->arch.vocabulary) { /* texts: what is asked for concerns pictures */
        s->max_tokens = own;
        s->varies = true;
        return VITX_OK;
    }
    if (o->fit < VITX_FIT_RECIPE || o->fit > VITX_FIT_KEEP)
        return vx_fail(VITX_INVALID, "fit = %d is no vitx_fit", (int)o->fit);
    if (o->max_tokens < 0 || o->max_tokens > VX_MAX_TOKENS)
        return vx_fail_field(VITX_INVALID, "max_tokens", "max_tokens = %d: 1 to %d are accepted",
                             o->max_tokens, VX_MAX_TOKENS);
    if (s->max_tokens == 0)
        s->max_tokens = own > MAX_TOKENS ? own : MAX_TOKENS;
    if (o->pos_resample)
        VX_TRY(vx_pos_rule_find(&s->positions, o->pos_resample));
    VX_TRY(count_patches(&s->max_patches, model, o));
    VX_TRY(apply(s, model, o));
    s->varies = o->fit == VITX_FIT_KEEP || s->max_patches > 0;
    return s->varies ? VITX_OK : check_tokens(&s->arch, s->max_tokens, "the input");
}

/* -------------------------------------------------------------------------- texts --------- */

int vx_size_take_tokens(vitx_context *c, int tokens)
{
    if (tokens < 1 || tokens > c->max_tokens)
        return vx_fail(VITX_INVALID, "a text of %d tokens: 1 to %d are accepted", tokens,
                       c->max_tokens);
    if (c->arch.grid_width != tokens) {
        c->recorded = 0; /* views are of the old layout */
        c->differentiated = c->explained = false;
        c->sized = false;
        c->arch.grid_width = tokens;
    }
    return vx_size_reserve(c);
}

/* -------------------------------------------------------------------------- pictures ------ */

/* A side of the picture's times `scale`, in whole patches; not past `most` pixels (0: any
 * number). */
static int64_t rounded(int side, double scale, int patch, int most)
{
    int64_t patches = (int64_t)(side * scale / patch + 0.5);
    if (most && patches > most / patch)
        patches = most / patch;
    return (patches < 1 ? 1 : patches) * patch;
}

/* A side of the picture's times `scale`, up to whole patches. */
static int64_t patches_of(int side, double scale, int patch)
{
    const double patches = ceil(side * scale / patch);
    return patches < 1 ? 1 : (int64_t)patches;
}

/* The largest scale with at most `most` patches, found by halving, as transformers finds it
 * (image_processing_siglip2.py, get_image_size_for_max_num_patches). */
static void size_by_patches(int64_t *height, int64_t *width, const vx_arch *a, int most,
                            const vitx_image *image)
{
    const double step = 1e-5;
    double low = step / 10, high = 100;
    while (high - low >= step) {
        const double scale = (low + high) / 2;
        if ((double)patches_of(image->height, scale, a->patch_height) *
                (double)patches_of(image->width, scale, a->patch_width) <=
            most)
            low = scale;
        else
            high = scale;
    }
    *height = patches_of(image->height, low, a->patch_height) * a->patch_height;
    *width = patches_of(image->width, low, a->patch_width) * a->patch_width;
}

/* The input that a picture makes by itself. */
static void own_size(int64_t *height, int64_t *width, const vitx_context *c,
                     const vitx_image *image)
{
    const vx_arch *a = &c->arch;
    double scale = 1;
    if (c->max_patches) {
        size_by_patches(height, width, a, c->max_patches, image);
        return;
    }
    if (c->within_height) {
        const double h = (double)c->within_height / image->height,
                     w = (double)c->within_width / image->width;
        scale = h < w ? h : w;
    }
    *height = rounded(image->height, scale, a->patch_height, c->within_height);
    *width = rounded(image->width, scale, a->patch_width, c->within_width);
}

/* The input of a context that goes from size to size. */
static int set_input(vitx_context *c, int64_t height, int64_t width, const char *what)
{
    vx_arch arch = c->arch;
    vx_recipe_squash(&c->recipe);
    if (height == c->recipe.input_height && width == c->recipe.input_width)
        return check_tokens(&arch, c->max_tokens, what);
    if (height > MAX_SIDE || width > MAX_SIDE)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s makes an input of %lld x %lld in whole patches; at most %d a side are "
                       "supported",
                       what, (long long)width, (long long)height, MAX_SIDE);
    VX_TRY(vx_arch_set_input(&arch, (int)height, (int)width, what));
    VX_TRY(check_tokens(&arch, c->max_tokens, what));
    c->recorded = 0; /* views are of the old layout */
    c->differentiated = c->explained = false;
    c->sized = false;
    c->arch = arch;
    c->recipe.input_height = (int)height;
    c->recipe.input_width = (int)width;
    vx_recipe_squash(&c->recipe);
    return VITX_OK;
}

int vx_size_measure(vitx_context *c, const vitx_image *image)
{
    if (!c->varies)
        return VITX_OK;
    if (!image)
        return vx_fail(VITX_INVALID, "a picture is NULL");
    char what[64];
    int64_t height, width;
    own_size(&height, &width, c, image);
    snprintf(what, sizeof what, "a picture of %d x %d pixels", image->width, image->height);
    return set_input(c, height, width, what);
}

int vx_size_reserve(vitx_context *c)
{
    return !c->varies || c->sized ? VITX_OK : vx_context_reserve(c);
}

int vx_size_take(vitx_context *c, const vitx_image *image)
{
    VX_TRY(vx_size_measure(c, image));
    return vx_size_reserve(c);
}

int vx_size_return(vitx_context *c, int height, int width)
{
    return c->varies ? set_input(c, height, width, "the input") : VITX_OK;
}

int vx_size_check_input(const vitx_context *c, int height, int width)
{
    const vitx_recipe *r = &c->recipe;
    if (c->varies) {
        VX_TRY(check_side(height, 0, c->arch.patch_height, "height"));
        return check_side(width, 0, c->arch.patch_width, "width");
    }
    if (height == r->input_height && width == r->input_width)
        return VITX_OK;
    return vx_fail(VITX_INVALID, "inputs of %d x %d (height x width): the context's are %d x %d",
                   height, width, r->input_height, r->input_width);
}

int vx_size_measure_input(vitx_context *c, int height, int width)
{
    VX_TRY(vx_size_check_input(c, height, width));
    return c->varies ? set_input(c, height, width, "an input of this size") : VITX_OK;
}

int vx_size_take_input(vitx_context *c, int height, int width)
{
    VX_TRY(vx_size_measure_input(c, height, width));
    return vx_size_reserve(c);
}

int vx_size_alike(const vitx_context *c, const vitx_image *const *images, int n)
{
    int64_t height, width, h, w;
    int count = 1;
    if (!c->varies)
        return n;
    if (!images[0])
        return 1;
    own_size(&height, &width, c, images[0]);
    for (; count < n && images[count]; count++) {
        own_size(&h, &w, c, images[count]);
        if (h != height || w != width)
            break;
    }
    return count;
}
