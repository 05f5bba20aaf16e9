/* measure/external_maps.c: maps that no method made: of a caller, or blind ones. */
#include <math.h>
#include <string.h>

#include <vitx/evaluate.h>

#include "base/random.h"
#include "engine/run.h"
#include "explain/map.h"
#include "explain/score.h"

static const char *const blind_names[] = {"random", "centre"};

const char *vitx_blind_name(int blind)
{
    return blind >= 0 && blind < (int)(sizeof blind_names / sizeof blind_names[0])
               ? blind_names[blind]
               : NULL;
}

/* A map of zeros for the picture that has just been run. */
static int create(vitx_map **out, vitx_context *c, const vitx_image *image, const char *name,
                  int height, int width, int target)
{
    const vx_arch *a = &c->arch;
    vx_target t;
    VX_TRY(
        vx_target_resolve(&t, VITX_SCORE_LOGIT, target, VITX_AUTO, c->act.host.logits, a->classes));
    char model[256];
    vx_model_name(model, sizeof model, c->model);
    const vitx_map_info info = {.struct_size = sizeof info,
                                .method = name,
                                .target = t.target,
                                .logit = c->act.host.logits[t.target],
                                .probability = c->act.host.probabilities[t.target],
                                .layer = VITX_AUTO,
                                .head = VITX_AUTO,
                                .query = VITX_AUTO,
                                .rank = 2,
                                .shape = {height, width, 1, 1},
                                .grid_height = a->grid_height,
                                .grid_width = a->grid_width,
                                .picture_height = image->height,
                                .picture_width = image->width,
                                .score = t.score,
                                .versus = t.versus,
                                .value = c->act.host.logits[t.target],
                                .explains = a->units ? VITX_EXPLAINED_UNIT : VITX_EXPLAINED_CLASS,
                                .outputs = a->outputs,
                                .model = model};
    vx_placement placement = c->placements[0];
    placement.input_h = a->grid_height * a->patch_height;
    placement.input_w = a->grid_width * a->patch_width;
    return vx_map_create(out, &info, &placement, &c->hooks);
}

static int check(const vitx_context *c, const vitx_image *image, const void *out, int target)
{
    if (!out || !c || !image)
        return vx_fail(VITX_INVALID, "a map of given values: an argument is NULL");
    if (target < VITX_AUTO || target >= c->arch.classes)
        return vx_fail(VITX_INVALID, "target %d is out of range: the model has classes 0 to %d",
                       target, c->arch.classes - 1);
    return VITX_OK;
}

/* The model's answer, and the map without values: height x width of them, 0 x 0 for the model's
 * grid. */
static int run(vitx_map **out, vitx_context *c, const vitx_image *image, const char *method,
               int height, int width, int target)
{
    VX_TRY(vx_context_enter(c));
    vx_context_begin(c, c->arch.depth);
    int status = vx_context_run(c, &image, 1, 0, NULL);
    if (status == VITX_OK)
        status = create(out, c, image, method, height ? height : c->arch.grid_height,
                        width ? width : c->arch.grid_width, target);
    return vx_context_leave(c, status);
}

int vitx_map_of_values(vitx_map **out, vitx_context *context, const vitx_image *image,
                       const float *values, int height, int width, int target)
{
    if (out)
        *out = NULL;
    VX_TRY(check(context, image, out, target));
    if (!values || height < 1 || width < 1 || height > 65535 || width > 65535)
        return vx_fail(VITX_INVALID, "a map of %d x %d values: sides of 1 to 65535 are accepted",
                       values ? width : 0, values ? height : 0);
    const size_t count = (size_t)height * (size_t)width;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return vx_fail(VITX_INVALID, "value %zu of the map is not finite", i);
    VX_TRY(run(out, context, image, "values", height, width, target));
    memcpy((*out)->values, values, count * sizeof *values);
    (*out)->traces.given = true;
    vx_map_finish(*out);
    (*out)->info.is_signed = (*out)->info.min < 0;
    return VITX_OK;
}

static double gaussian(int at, int count)
{
    const double z = ((at + 0.5) / count - 0.5) / 0.25;
    return exp(-0.5 * z * z);
}

int vitx_map_blind(vitx_map **out, vitx_context *context, const vitx_image *image, vitx_blind blind,
                   int seed, int target)
{
    if (out)
        *out = NULL;
    VX_TRY(check(context, image, out, target));
    if (!vitx_blind_name((int)blind) || seed < 0)
        return vx_fail(VITX_INVALID,
                       "blind = %d, seed = %d: a vitx_blind and a number from 0 are "
                       "accepted",
                       (int)blind, seed);
    const vx_arch *a = &context->arch;
    VX_TRY(run(out, context, image, vitx_blind_name((int)blind), 0, 0, target));
    for (size_t i = 0; i < (*out)->count; i++) {
        const int y = (int)i / a->grid_width, x = (int)i % a->grid_width;
        (*out)->values[i] = (float)(blind == VITX_BLIND_RANDOM
                                        ? vx_random_uniform((uint64_t)seed, 0, i)
                                        : gaussian(y, a->grid_height) * gaussian(x, a->grid_width));
    }
    vx_map_finish(*out);
    return VITX_OK;
}
