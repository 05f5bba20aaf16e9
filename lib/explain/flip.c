/*
 * explain/flip.c: maps averaged over a picture and its mirror image.
 *
 *     map = (M(picture) + mirror(M(mirror(picture)))) / 2,  both for the same target
 *
 * The mirror image is a second picture for the model: noise that comes from where the patches'
 * borders lie differs between the two, and evidence does not. pytorch-grad-cam calls this part of
 * its aug_smooth (jacobgil/pytorch-grad-cam @ 084273b, base_cam.py).
 */
#include <string.h>

#include "base/range.h"
#include "base/structs.h"
#include "engine/context.h"
#include "explain/map.h"

/* The second call for one picture: the options of the first one with everything mirrored or made
 * definite that depends on the picture. */
typedef struct mirror_call {
    vitx_image *picture;
    vitx_image **baselines;  /* [m], NULL: none */
    vitx_explain_opts *opts; /* [m] */
    vitx_map **maps;         /* [m] */
    int m;
    const vitx_hooks *hooks;
} mirror_call;

static int mirror_image(vitx_image **out, const vitx_image *image, const vitx_hooks *hooks)
{
    const vitx_image_opts opts = {.struct_size = sizeof opts,
                                  .hooks = hooks,
                                  .max_pixels = (int64_t)image->width * image->height};
    VX_TRY(vitx_image_from_rgb(out, image->pixels, image->width, image->height, 0, &opts));
    for (int y = 0; y < image->height; y++) {
        uint8_t *left = (*out)->pixels + (size_t)y * (size_t)image->width * 3;
        uint8_t *right = left + 3 * (size_t)(image->width - 1);
        for (; left < right; left += 3, right -= 3)
            for (int k = 0; k < 3; k++) {
                const uint8_t byte = left[k];
                left[k] = right[k];
                right[k] = byte;
            }
    }
    return VITX_OK;
}

/* The same patch after mirroring; prefix tokens stay. */
static int mirror_query(int query, int prefix, int grid_width)
{
    if (query < prefix || grid_width < 1)
        return query;
    const int patch = query - prefix;
    return query + grid_width - 1 - 2 * (patch % grid_width);
}

/* Options that explain in the mirror image what `first` explains in the picture. */
static int mirror_opts(mirror_call *call, int j, const vitx_explain_opts *given,
                       const vitx_map *first, int prefix)
{
    vitx_explain_opts *o = &call->opts[j];
    const vitx_map_info *info = &first->info;
    const vitx_explain_opts full = VITX_EXPLAIN_OPTS_INIT;
    *o = full;
    VX_TRY(VX_STRUCT_READ(o, given, vitx_explain_opts, set_count));
    o->struct_size = sizeof *o;
    o->answer = 0; /* the answer is that of the picture */
    if (info->explains == VITX_EXPLAINED_CLASS || info->explains == VITX_EXPLAINED_UNIT)
        o->target = info->target;
    if (info->score == VITX_SCORE_DIFFERENCE)
        o->versus = info->versus;
    o->query = mirror_query(o->query, prefix, info->grid_width);
    if (!o->baseline)
        return VITX_OK;
    VX_TRY(mirror_image(&call->baselines[j], o->baseline, call->hooks));
    o->baseline = call->baselines[j];
    return VITX_OK;
}

/* `to` becomes the mean of itself and the mirrored `from`, row by row. */
static int average(vitx_map *to, const vitx_map *from)
{
    const int64_t width = to->info.shape[to->info.rank - 1];
    if (to->info.channels > 0)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: a map of %d numbers per patch is not averaged with the mirror image's",
                       to->info.method, to->info.channels);
    if (to->count != from->count || width != from->info.shape[from->info.rank - 1])
        return vx_fail(VITX_UNSUPPORTED, "%s: the mirror image has a map of another shape",
                       to->info.method);
    for (size_t row = 0; row < to->count; row += (size_t)width)
        for (int64_t x = 0; x < width; x++)
            to->values[row + (size_t)x] = 0.5f * to->values[row + (size_t)x] +
                                          0.5f * from->values[row + (size_t)(width - 1 - x)];
    to->info.flip = 1;
    to->info.forwards += from->info.forwards + 1;
    to->info.completeness_error = 0;
    to->info.nothing = to->info.nothing && from->info.nothing;
    vx_range(&to->info.min, &to->info.max, to->values, to->count);
    return VITX_OK;
}

static int run_mirrored(mirror_call *call, vitx_map **firsts, vitx_context *context,
                        const vitx_image *image, const vitx_explain_opts *opts)
{
    const char *given = (const char *)opts; /* the caller's struct may be shorter */
    VX_TRY(mirror_image(&call->picture, image, call->hooks));
    for (int j = 0; j < call->m; j++, given += opts->struct_size)
        VX_TRY(mirror_opts(call, j, (const vitx_explain_opts *)(const void *)given, firsts[j],
                           context->arch.prefix));
    VX_TRY(vitx_explain_many(call->maps, context, (const vitx_image *const *)&call->picture, 1,
                             call->opts, call->m));
    for (int j = 0; j < call->m; j++)
        VX_TRY(average(firsts[j], call->maps[j]));
    return VITX_OK;
}

/* One picture; a map that is not finished goes, so that no half of an average is left. */
static int flip_one(vitx_map **out, vitx_context *context, const vitx_image *image,
                    const vitx_explain_opts *opts, int m)
{
    const vitx_hooks hooks = context->hooks;
    mirror_call call = {.m = m, .hooks = &hooks};
    int status = vitx_explain_many(out, context, &image, 1, opts, m);
    if (status == VITX_OK)
        status = vx_new(&call.baselines, &hooks, (size_t)m, sizeof *call.baselines, "pictures");
    if (status == VITX_OK)
        status = vx_new(&call.opts, &hooks, (size_t)m, sizeof *call.opts, "options");
    if (status == VITX_OK)
        status = vx_new(&call.maps, &hooks, (size_t)m, sizeof *call.maps, "maps");
    if (status == VITX_OK)
        status = run_mirrored(&call, out, context, image, opts);
    for (int j = 0; j < m; j++) {
        if (call.maps)
            vitx_map_free(call.maps[j]);
        if (call.baselines)
            vitx_image_free(call.baselines[j]);
        if (status != VITX_OK) {
            vitx_map_free(out[j]);
            out[j] = NULL;
        }
    }
    vx_release(&hooks, call.maps);
    vx_release(&hooks, call.opts);
    vx_release(&hooks, call.baselines);
    vitx_image_free(call.picture);
    return status;
}

int vitx_explain_flip(vitx_map **out, vitx_context *context, const vitx_image *const *images, int n,
                      const vitx_explain_opts *opts, int m)
{
    size_t count;
    if (n < 1 || m < 1 || !vx_mul_size(&count, (size_t)n, (size_t)m))
        return vx_fail(VITX_INVALID, "%d pictures, %d methods: at least one of each is needed", n,
                       m);
    for (size_t i = 0; out && i < count; i++)
        out[i] = NULL;
    if (!out || !context || !images || !opts)
        return vx_fail(VITX_INVALID, "vitx_explain_flip: an argument is NULL");
    for (int i = 0; i < n; i++) {
        if (!images[i])
            return vx_fail(VITX_INVALID, "picture %d is NULL", i);
        VX_TRY(flip_one(out + (size_t)i * (size_t)m, context, images[i], opts, m));
    }
    return VITX_OK;
}
