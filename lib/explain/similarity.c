/* explain/similarity.c: see similarity.h. */
#include "explain/similarity.h"

#include <math.h>
#include <string.h>

#include "engine/run.h"
#include "engine/size.h"
#include "explain/score.h"
#include "words/words.h"

static bool has_vector(const vitx_explain_opts *o)
{
    return o->vector || o->like || o->text;
}

static int check_texts(const vitx_explain_opts *o)
{
    if (o->text && !o->texts)
        return vx_fail(VITX_INVALID, "a text is given without a text tower (vitx_texts_create)");
    if (o->versus_text && !o->text)
        return vx_fail(VITX_INVALID, "a text to set against is given without a text");
    return VITX_OK;
}

/* What the options may not say together. */
static int check(const vitx_explain_opts *o)
{
    const bool of_vector = o->score == VITX_SCORE_COSINE || o->score == VITX_SCORE_DOT;
    if (!has_vector(o)) {
        if (of_vector)
            return vx_fail(VITX_INVALID, "score %s: no vector, picture or text is given",
                           o->score == VITX_SCORE_DOT ? "dot" : "cosine");
        return check_texts(o);
    }
    if (!!o->vector + !!o->like + !!o->text > 1)
        return vx_fail(VITX_INVALID,
                       "of a vector, a picture and a text one is explained; %s are "
                       "given",
                       o->vector && o->like && o->text ? "three" : "two");
    if (o->target != VITX_AUTO || o->versus != VITX_AUTO)
        return vx_fail(VITX_INVALID,
                       "a target is given with a vector, a picture or a text, which stand in place "
                       "of one");
    if (o->score != VITX_SCORE_AUTO && !of_vector)
        return vx_fail(VITX_INVALID,
                       "a vector, a picture or a text is compared by score cosine or dot, not "
                       "another");
    return check_texts(o);
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
    d->length = 1;
    for (int k = 0; k < count; k++)
        d->vector[k] = (float)(from[k] * scale);
    return VITX_OK;
}

/* The text's vector, or what it has more than that of the text set against it. */
static int set_texts(vx_similarity *d, const vitx_explain_opts *o, int count,
                     const vitx_hooks *scratch)
{
    float *other;
    double square = 0;
    VX_TRY(vx_words_vector(d->vector, o->texts, o->text));
    if (!o->versus_text) {
        d->empty = d->vector + count;
        VX_TRY(vx_words_vector(d->empty, o->texts, ""));
        d->others = d->empty;
        d->other_count = 1;
        d->scale = o->texts->model->text.scale;
        return set_vector(d, d->vector, count);
    }
    VX_TRY(vx_new(&other, scratch, (size_t)count, sizeof *other, "a vector"));
    const int status = vx_words_vector(other, o->texts, o->versus_text);
    for (int k = 0; k < count && status == VITX_OK; k++) {
        d->vector[k] -= other[k];
        square += (double)d->vector[k] * d->vector[k];
    }
    vx_release(scratch, other);
    VX_TRY(status);
    if (!(square > 1e-12))
        return vx_fail(VITX_INVALID, "both texts are the same to the model: nothing speaks for one "
                                     "and not for the other");
    VX_TRY(set_vector(d, d->vector, count));
    d->length = d->score == VITX_SCORE_COSINE ? sqrt(square) : 1;
    return VITX_OK;
}

int vx_similarity_prepare(vx_similarity *out, vitx_context *c, const vitx_explain_opts *o)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const int count = c->arch.classes;
    *out = (vx_similarity){.like = o->like};
    VX_TRY(check(o));
    if (!has_vector(o))
        return VITX_OK;
    if (o->text && vx_words_units(o->texts) != count)
        return vx_fail(VITX_INVALID,
                       "the texts' vectors have %d numbers, the model's outputs are %d",
                       vx_words_units(o->texts), count);
    if (o->vector && o->vector_count != count)
        return vx_fail(VITX_INVALID, "a vector of %d numbers: the model's outputs are %d",
                       o->vector_count, count);
    out->score = o->score == VITX_SCORE_DOT ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    VX_TRY(vx_new(&out->vector, &scratch, (size_t)count * (o->text ? 2 : 1), sizeof *out->vector,
                  "a vector"));
    if (o->text)
        return set_texts(out, o, count, &scratch);
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

int vx_similarity_of_text(double *out, vitx_texts *texts, const char *text, const float *outputs)
{
    const int count = vx_words_units(texts);
    float *vector;
    VX_TRY(vx_new(&vector, &texts->hooks, (size_t)count, sizeof *vector, "a vector"));
    const int status = vx_words_vector(vector, texts, text);
    const vx_target t = {.score = VITX_SCORE_COSINE, .vector = vector, .count = count};
    if (status == VITX_OK)
        *out = vx_target_value(t, outputs, NULL);
    vx_release(&texts->hooks, vector);
    return status;
}
