/* search/query.c: vectors of what is asked for; see search.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "tools/cli/direction.h"
#include "tools/cli/inputs.h"
#include "tools/cli/labels.h"

/* Square of the distance up to which two vectors of length 1 are those of one text. */
#define SAME 1e-12

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static bool create(struct queries *q, int count)
{
    q->all = calloc((size_t)count + 1, sizeof *q->all);
    q->count = q->all ? count : 0;
    bool there = q->all != NULL;
    for (int i = 0; i < q->count; i++) {
        q->all[i].vector = calloc((size_t)q->units, sizeof(float));
        q->all[i].own = calloc((size_t)q->units, sizeof(float));
        there &= q->all[i].vector && q->all[i].own;
    }
    return there;
}

/* ------------------------------------------------------------------ texts ------------------ */

static int embed_text(float *out, const struct session *s, const struct common *common,
                      const char *text)
{
    const char *const list[] = {text};
    const int code = vitx_texts_embed(out, s->texts, list, 1, 1);
    if (code != VITX_OK)
        return refused(code, s->path);
    warn_if_cut(s, common, text);
    return DONE;
}

static int open_tower(struct queries *q, struct session *s, const struct common *common)
{
    vitx_texts_info info = VITX_TEXTS_INFO_INIT;
    const int status = texts_open(s, common);
    if (status != DONE)
        return status;
    if (vitx_texts_get_info(&info, s->texts) != VITX_OK)
        return refused(VITX_INVALID, s->path);
    q->scale = info.scale;
    q->bias = info.bias;
    q->sigmoid = info.outputs == VITX_OUTPUTS_SIGMOID;
    return DONE;
}

static int make_texts(struct queries *q, const struct session *s,
                      const struct search_settings *settings)
{
    const struct common *common = &settings->common;
    q->texts = true;
    q->empty = calloc((size_t)q->units, sizeof *q->empty);
    int status = q->empty ? embed_text(q->empty, s, common, "") : no_memory();
    for (int i = 0; i < q->count && status == DONE; i++) {
        q->all[i].what = settings->texts.items[i];
        status = embed_text(q->all[i].own, s, common, q->all[i].what);
    }
    return status;
}

/* ------------------------------------------------------------------ a picture, a vector ---- */

/* In a context that ends here: the pictures have contexts of their own. */
static int make_like(struct queries *q, struct session *s, const struct search_settings *settings)
{
    vitx_image *image = NULL;
    q->all[0].what = settings->like;
    if (!image_load_beside(&image, settings->like, &settings->common))
        return SOME_FAILED;
    int status = session_start(s, &settings->common, VITX_FIT_RECIPE);
    if (status == DONE && vitx_embed(s->context, image, q->all[0].own, 1) != VITX_OK) {
        complain_last(settings->like);
        status = SOME_FAILED;
    }
    vitx_context_free(s->context);
    s->context = NULL;
    vitx_image_free(image);
    return status;
}

static int make_vector(struct queries *q, const struct search_settings *settings)
{
    float *own = q->all[0].own;
    double square = 0;
    q->all[0].what = settings->vector;
    const int status = vector_load(own, q->units, settings->vector);
    if (status != DONE)
        return status;
    for (int k = 0; k < q->units; k++)
        square += (double)own[k] * own[k];
    if (!(square > 0)) {
        complain(settings->vector, "all its numbers are 0");
        return SOME_FAILED;
    }
    for (int k = 0; k < q->units; k++)
        own[k] = (float)(own[k] / sqrt(square));
    return DONE;
}

/* ------------------------------------------------------------------ in order --------------- */

static int subtract_from(struct query *query, const float *other, int units)
{
    double square = 0;
    for (int k = 0; k < units; k++) {
        query->vector[k] = query->own[k] - other[k];
        square += (double)query->vector[k] * query->vector[k];
    }
    return square > SAME ? DONE
                         : wrong_usage("--versus: \"%s\" is the same to the model: nothing speaks "
                                       "for the one and not for the other",
                                       query->what);
}

/* What is ranked by: the vector, without --versus. */
static int subtract(struct queries *q, const struct session *s,
                    const struct search_settings *settings)
{
    float *other = calloc((size_t)q->units, sizeof *other);
    int status = other ? DONE : no_memory();
    if (status == DONE && settings->versus)
        status = embed_text(other, s, &settings->common, settings->versus);
    for (int i = 0; i < q->count && status == DONE; i++)
        status = subtract_from(&q->all[i], other, q->units);
    free(other);
    return status;
}

int queries_make(struct queries *q, struct session *s, const struct search_settings *settings)
{
    const int texts = settings->texts.count, others = settings->like || settings->vector;
    *q = (struct queries){.units = s->info.classes};
    if (!create(q, texts + others))
        return no_memory();
    int status = texts || settings->versus ? open_tower(q, s, &settings->common) : DONE;
    if (status == DONE && texts)
        status = make_texts(q, s, settings);
    if (status == DONE && settings->like)
        status = make_like(q, s, settings);
    if (status == DONE && settings->vector)
        status = make_vector(q, settings);
    return status == DONE ? subtract(q, s, settings) : status;
}

double here_logit(const struct queries *q, double own, double empty)
{
    return q->sigmoid ? q->scale * own + q->bias : q->scale * (own - empty);
}

void queries_free(struct queries *q)
{
    for (int i = 0; i < q->count; i++) {
        free(q->all[i].vector);
        free(q->all[i].own);
    }
    free(q->all);
    free(q->empty);
    *q = (struct queries){.count = 0};
}
