/* measure/subject.c: the map that is measured, its picture, and what it is compared with. */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "engine/run.h"
#include "engine/size.h"
#include "measure/followed.h"
#include "measure/trial.h"

bool vx_subject_of_vector(const vitx_map *map)
{
    return map->info.explains == VITX_EXPLAINED_VECTOR ||
           map->info.explains == VITX_EXPLAINED_PICTURE ||
           map->info.explains == VITX_EXPLAINED_TEXT;
}

/* Whether the map lies in the picture where this context's input does: then it was made with the
 * same recipe and fit, and was not taken to the picture's coordinates. */
static bool same_place(const vx_placement *map, const vx_placement *own, const vx_subject *s)
{
    return map->left == own->left && map->top == own->top && map->scale_x == own->scale_x &&
           map->scale_y == own->scale_y &&
           (map->input_w == own->input_w || map->input_w == s->seen_width) &&
           (map->input_h == own->input_h || map->input_h == s->seen_height);
}

static int check_map(const vx_subject *s)
{
    const vitx_map_info *info = &s->map->info;
    const vitx_image *image = s->image;
    vx_placement own;
    if (info->channels > 0)
        return vx_fail(VITX_INVALID,
                       "%s: a map of %d numbers per patch: only maps of one number can be measured",
                       info->method, info->channels);
    if (vx_map_planes(s->map) != 1)
        return vx_fail(VITX_INVALID,
                       "a map of %d planes: one layer and one head at a time can be measured",
                       vx_map_planes(s->map));
    if (image->width != info->picture_width || image->height != info->picture_height)
        return vx_fail(VITX_INVALID, "the picture is %d x %d, the one explained was %d x %d",
                       image->width, image->height, info->picture_width, info->picture_height);
    if (!vx_subject_of_vector(s->map) && (info->target < 0 || info->target >= s->arch->classes))
        return vx_fail(VITX_INVALID, "the map is of class %d, the model has classes 0 to %d",
                       info->target, s->arch->classes - 1);
    VX_TRY(vx_place(&own, s->recipe, image->width, image->height));
    if (!same_place(&s->map->placement, &own, s))
        return vx_fail(
            VITX_INVALID,
            "the map does not lie over this model's input: it was made with another model "
            "or fit, or was taken to the picture");
    for (size_t i = 0; i < s->map->count; i++)
        if (!isfinite(s->plane[i]))
            return vx_fail(VITX_INVALID, "the map holds a value that is not finite");
    return VITX_OK;
}

int vx_subject_describe(vx_subject *s, vitx_context *c, const vitx_image *image,
                        const vitx_map *map)
{
    if (image)
        VX_TRY(vx_size_take(c, image));
    *s = (vx_subject){.context = c,
                      .arch = &c->arch,
                      .recipe = &c->recipe,
                      .scratch = vx_scratch_hooks(&c->scratch),
                      .workers = vx_pool_threads(c->pool),
                      .input_floats = vx_context_input_count(c),
                      .image = image,
                      .map = map,
                      .versus = VITX_AUTO,
                      .input_height = c->recipe.input_height,
                      .input_width = c->recipe.input_width,
                      .seen_height = c->arch.grid_height * c->arch.patch_height,
                      .seen_width = c->arch.grid_width * c->arch.patch_width};
    if (!map)
        return VITX_OK;
    s->plane = vx_map_plane(map, 0, &s->height, &s->width);
    return check_map(s);
}

int vx_subject_run(vx_subject *s)
{
    vitx_context *c = s->context;
    const vitx_map_info *info = &s->map->info;
    const float *logits = c->act.host.logits, *probabilities = c->act.host.probabilities;
    const bool vector = s->similarity[0].vector != NULL;
    const float *input;
    VX_TRY(vx_context_run(c, &s->image, 1, 0, NULL));
    VX_TRY(vx_context_host_input(&input, c, 0));
    memcpy(s->input, input, s->input_floats * sizeof *s->input);
    if (!vector && vx_subject_of_vector(s->map))
        return VITX_OK; /* nobody asks */
    VX_TRY(vx_followed_resolve(s));
    s->explains = vector ? vx_followed_vector(s, info->score)
                         : (vx_target){.score = info->score,
                                       .target = info->target,
                                       .versus = info->versus,
                                       .outputs = info->outputs};
    s->value = vector ? vx_target_value(s->explains, logits, probabilities) : info->value;
    s->followed = vx_target_value(s->follows, logits, probabilities);
    return VITX_OK;
}

int vx_subject_compare(vx_subject *s, const vitx_evaluate_opts *opts, int m)
{
    static const vitx_score scores[] = {
        [VX_AS_IT_IS] = VITX_SCORE_DOT, [VX_OF_LENGTH_1] = VITX_SCORE_COSINE};
    const char *given = (const char *)opts;
    for (int j = 0; j < m && !s->similarity[0].vector; j++, given += opts->struct_size) {
        vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
        vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
        VX_TRY(VX_STRUCT_READ(&o, (const vitx_evaluate_opts *)(const void *)given,
                              vitx_evaluate_opts, mask_width));
        if (o.explain)
            VX_TRY(VX_STRUCT_READ(&e, o.explain, vitx_explain_opts, set_count));
        if (!e.vector && !e.like && !e.text)
            continue;
        for (int i = 0; i < 2; i++) {
            vx_similarity *d = &s->similarity[i];
            e.score = scores[i];
            VX_TRY(vx_similarity_check(&e, s->arch->classes));
            VX_TRY(vx_similarity_prepare(d, s->context, &e));
            for (int k = 0; e.like && k < s->arch->classes; k++)
                d->vector[k] = 1;
        }
    }
    s->similarity[0].next = &s->similarity[1];
    return VITX_OK;
}

void vx_subject_release(vx_subject *s)
{
    for (int i = 0; i < 2; i++)
        vx_release(&s->scratch, s->similarity[i].vector);
    vx_release(&s->scratch, s->input);
}
