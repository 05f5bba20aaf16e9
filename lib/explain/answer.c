/* explain/answer.c: see answer.h. */
#include "explain/answer.h"

#include <string.h>

#include "engine/run.h"
#include "explain/map.h"

int vx_answer_create(vx_answer **out, const float *logits, const float *probabilities, int classes,
                     bool units, const vitx_hooks *hooks)
{
    const size_t bytes = (size_t)classes * sizeof *logits;
    vx_answer *answer;
    VX_TRY(vx_new(&answer, hooks, 1, sizeof *answer + 2 * bytes, "a picture's answer"));
    answer->hooks = *hooks;
    atomic_init(&answer->holders, 1);
    answer->classes = classes;
    answer->units = units;
    answer->logits = (float *)(answer + 1);
    answer->probabilities = answer->logits + classes;
    memcpy(answer->logits, logits, bytes);
    memcpy(answer->probabilities, probabilities, bytes);
    *out = answer;
    return VITX_OK;
}

vx_answer *vx_answer_hold(vx_answer *answer)
{
    if (answer)
        atomic_fetch_add(&answer->holders, 1);
    return answer;
}

void vx_answer_drop(vx_answer *answer)
{
    if (!answer || atomic_fetch_sub(&answer->holders, 1) > 1)
        return;
    const vitx_hooks hooks = answer->hooks;
    vx_release(&hooks, answer);
}

static int check(const vitx_map *map, const void *out, const char *name)
{
    if (!map || !out)
        return vx_fail(VITX_INVALID, "%s: an argument is NULL", name);
    if (!map->answer)
        return vx_fail(VITX_INVALID,
                       "%s: the map keeps no answer: vitx_explain_opts.answer was not set", name);
    return VITX_OK;
}

int vitx_map_predictions(vitx_prediction *top, int k, const vitx_map *map, const vitx_model *model)
{
    VX_TRY(check(map, top, "vitx_map_predictions"));
    const vx_answer *answer = map->answer;
    if (k < 1)
        return vx_fail(VITX_INVALID, "%d classes: at least one is needed", k);
    if (answer->units)
        return vx_fail(VITX_UNSUPPORTED,
                       "the model has no classes, its answer is an embedding of %d numbers; "
                       "vitx_map_embedding gives it",
                       answer->classes);
    if (model && model->arch.classes != answer->classes)
        return vx_fail(VITX_INVALID, "a model of %d classes: that of the map has %d",
                       model->arch.classes, answer->classes);
    vx_rank(top, k, answer->logits, answer->probabilities, answer->classes, model);
    return VITX_OK;
}

int vitx_map_embedding(float *out, int normalize, const vitx_map *map)
{
    VX_TRY(check(map, out, "vitx_map_embedding"));
    const vx_answer *answer = map->answer;
    if (!answer->units)
        return vx_fail(VITX_UNSUPPORTED,
                       "the model answers with %d classes, not with an embedding; "
                       "vitx_map_predictions gives them",
                       answer->classes);
    memcpy(out, answer->logits, (size_t)answer->classes * sizeof *out);
    return normalize ? vx_embedding_make_unit(out, answer->classes) : VITX_OK;
}
