/* explain/similarity.c: see similarity.h. */
#include "explain/similarity.h"

#include <math.h>
#include <string.h>

#include "engine/run.h"
#include "engine/size.h"

/* What the options may not say together. */
static int check(const vitx_explain_opts *o)
{
    const bool of_vector = o->score == VITX_SCORE_COSINE || o->score == VITX_SCORE_DOT;
    if (!o->vector && !o->like) {
        if (of_vector)
            return vx_fail(VITX_INVALID, "score %s: neither a vector nor a picture is given",
                           o->score == VITX_SCORE_DOT ? "dot" : "cosine");
        return VITX_OK;
    }
    if (o->vector && o->like)
        return vx_fail(VITX_INVALID,
                       "both a vector and a picture are given: one of them is explained");
    if (o->target != VITX_AUTO || o->versus != VITX_AUTO)
        return vx_fail(VITX_INVALID,
                       "a target is given with a vector or a picture, which stand in place of one");
    if (o->score != VITX_SCORE_AUTO && !of_vector)
        return vx_fail(VITX_INVALID,
                       "a vector or a picture is compared by score cosine or dot, not another");
    return VITX_OK;
}

/* d->vector [count]: `from`, its length 1 for the cosine. */
static int set_vector(vx_similarity *d, const float *from, int count)
{
    double square = 0;
    for (int k = 0; k < count; k++) {
        if (!isfinite(from[k]))
            return vx_fail(VITX_INVALID, "number %d of the vector is %s", k,
                           isnan(from[k]) ? "a NaN" : "an infinity");
        square += (double)from[k] * from[k];
    }
    if (!(square > 0))
        return vx_fail(VITX_INVALID, "the vector is 0 and has no direction");
    const double scale = d->score == VITX_SCORE_COSINE ? 1 / sqrt(square) : 1;
    for (int k = 0; k < count; k++)
        d->vector[k] = (float)(from[k] * scale);
    return VITX_OK;
}

int vx_similarity_prepare(vx_similarity *out, vitx_context *c, const vitx_explain_opts *o)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const int count = c->arch.classes;
    *out = (vx_similarity){.like = o->like};
    VX_TRY(check(o));
    if (!o->vector && !o->like)
        return VITX_OK;
    if (o->vector && o->vector_count != count)
        return vx_fail(VITX_INVALID, "a vector of %d numbers: the model's outputs are %d",
                       o->vector_count, count);
    out->score = o->score == VITX_SCORE_DOT ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    VX_TRY(vx_new(&out->vector, &scratch, (size_t)count, sizeof *out->vector, "a vector"));
    return o->vector ? set_vector(out, o->vector, count) : VITX_OK;
}

/* Whether one of the list, before d, has the same picture. */
static bool is_run_before(const vx_similarity *list, const vx_similarity *d)
{
    while (list != d && list->like != d->like)
        list = list->next;
    return list != d;
}

int vx_similarity_pictures(const vx_similarity *list)
{
    int count = 0;
    for (const vx_similarity *d = list; d; d = d->next)
        count += d->like && !is_run_before(list, d);
    return count;
}

/* Each picture once, for all that have it. */
int vx_similarity_run(vitx_context *c, vx_similarity *list)
{
    const int height = c->recipe.input_height, width = c->recipe.input_width;
    for (vx_similarity *d = list; d; d = d->next) {
        if (!d->like || is_run_before(list, d))
            continue;
        VX_TRY(vx_context_run(c, &d->like, 1, 0, NULL));
        for (vx_similarity *other = d; other; other = other->next)
            if (other->like == d->like)
                VX_TRY(set_vector(other, c->act.host.logits, c->arch.classes));
    }
    return vx_size_return(c, height, width);
}
