/* explain/similarity.c: see similarity.h. */
#include "explain/similarity.h"

#include <math.h>
#include <string.h>

#include "engine/run.h"
#include "engine/size.h"
#include "explain/score.h"
#include "words/words.h"

enum { MOST_AMONG = 10000 };
/* Square of the distance up to which two vectors of length 1 are those of one text. */
#define SAME 1e-12

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
    if (o->among && (!o->text || o->versus_text))
        return vx_fail_field(VITX_INVALID, "among",
                             "%s: texts to be told from are given %s: see among", o->method,
                             o->text ? "with a text to set against" : "without a text");
    if (o->among_later && !(o->vector && o->texts))
        return vx_fail(VITX_INVALID, "among_later is for a vector beside a text tower");
    return VITX_OK;
}

static int check_among(const vitx_label_set *set, int count)
{
    if (set && set->info.units != count)
        return vx_fail_field(VITX_INVALID, "among",
                             "the vectors of the texts to be told from have %d numbers, the "
                             "model's outputs are %d: see among",
                             set->info.units, count);
    if (set && set->info.count > MOST_AMONG)
        return vx_fail_field(VITX_INVALID, "among",
                             "%d texts to be told from, at most %d are accepted: see among",
                             set->info.count, MOST_AMONG);
    return VITX_OK;
}

static int check_units(const vitx_texts *texts, int count)
{
    if (vx_words_units(texts) != count)
        return vx_fail(VITX_INVALID,
                       "the texts' vectors have %d numbers, the model's outputs are %d",
                       vx_words_units(texts), count);
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

/* Texts that differ in case alone are often the same to a tower. */
static bool is_same(const float *a, const float *b, int count)
{
    double square = 0;
    for (int k = 0; k < count; k++)
        square += ((double)a[k] - b[k]) * ((double)a[k] - b[k]);
    return square <= SAME;
}

/* The empty text, or those of the set but for the text itself, behind d->vector. */
static int set_others(vx_similarity *d, const vitx_explain_opts *o, int count)
{
    const size_t units = (size_t)count;
    d->empty = d->vector + units;
    d->scale = o->texts->model->text.scale;
    d->others = d->empty;
    d->other_count = 1;
    VX_TRY(vx_words_vector(d->empty, o->texts, ""));
    if (!o->among)
        return VITX_OK;
    float *to = d->empty + units;
    d->others = to;
    d->other_count = 0;
    d->among = true;
    for (int i = 0; i < o->among->info.count; i++) {
        const float *other = o->among->vectors + (size_t)i * units;
        if (strcmp(o->among->labels[i], o->text) != 0 && !is_same(other, d->vector, count))
            memcpy(to + (size_t)d->other_count++ * units, other, units * sizeof *to);
    }
    return d->other_count
               ? VITX_OK
               : vx_fail_field(VITX_INVALID, "among",
                               "%s: no text to be told from is another than \"%.60s\": see among",
                               o->method, o->text);
}

/* The text's vector, or what it has more than that of the text set against it. */
static int set_texts(vx_similarity *d, const vitx_explain_opts *o, int count,
                     const vitx_hooks *scratch)
{
    float *other;
    double square = 0;
    VX_TRY(vx_words_vector(d->vector, o->texts, o->text));
    if (!o->versus_text) {
        VX_TRY(set_others(d, o, count));
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
    if (!(square > SAME))
        return vx_fail(VITX_INVALID, "both texts are the same to the model: nothing speaks for one "
                                     "and not for the other");
    VX_TRY(set_vector(d, d->vector, count));
    d->length = d->score == VITX_SCORE_COSINE ? sqrt(square) : 1;
    return VITX_OK;
}

int vx_similarity_check(const vitx_explain_opts *o, int count)
{
    VX_TRY(check(o));
    if (o->text)
        VX_TRY(check_units(o->texts, count));
    if (o->vector && o->vector_count != count)
        return vx_fail(VITX_INVALID, "a vector of %d numbers: the model's outputs are %d",
                       o->vector_count, count);
    return check_among(o->among, count);
}

int vx_similarity_prepare(vx_similarity *out, vitx_context *c, const vitx_explain_opts *o)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const int count = c->arch.classes;
    *out = (vx_similarity){.like = o->like};
    if (!has_vector(o))
        return VITX_OK;
    out->score = o->score == VITX_SCORE_DOT ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    const size_t vectors =
        (size_t)(o->text ? 2 : 1) + (size_t)(o->among ? o->among->info.count : 0);
    VX_TRY(vx_new(&out->vector, &scratch, (size_t)count * vectors, sizeof *out->vector, "vectors"));
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

int vx_similarity_vector(float *out, int units, vitx_texts *texts, const char *text)
{
    VX_TRY(check_units(texts, units));
    return vx_words_vector(out, texts, text);
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
