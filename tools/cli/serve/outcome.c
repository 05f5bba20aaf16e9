/* serve/outcome.c: pictures through the model, by the plan of an ask; see outcome.h. */
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/progress.h"
#include "tools/cli/reason.h"

static int no_memory(struct problem *why)
{
    refuse(why, 503, "no_memory", NULL, "no memory");
    return VITX_INVALID;
}

/* What the library said, where it is not that the work was cancelled. */
static int failed(int code, struct problem *why)
{
    if (code == VITX_CANCELLED)
        return VITX_CANCELLED;
    const int status = code == VITX_NOMEM ? 503 : code == VITX_DEVICE ? 500 : 422;
    refuse(why, status, code == VITX_UNSUPPORTED ? "unsupported" : vitx_status_name(code), NULL,
           "%s", reason());
    return VITX_INVALID;
}

/* The same of a text tower, whose files are nobody's business. */
static int failed_text(int code, const struct ask *ask, struct problem *why)
{
    if (code == VITX_CANCELLED)
        return VITX_CANCELLED;
    refuse_as_said(why,
                   code == VITX_NOMEM    ? 503
                   : code == VITX_DEVICE ? 500
                                         : 422,
                   vitx_status_name(code), reason(), ask->model);
    return VITX_INVALID;
}

/* The labels of the request, or what its texts are told from. */
static int make_set(struct outcome *out, const struct labels_wanted *wanted, const struct ask *ask,
                    struct problem *why)
{
    const double begun = now_ms();
    const int code = label_sets_make(&out->labels, &out->texts, wanted, ask->model);
    out->texts_s += (now_ms() - begun) / 1e3;
    return code == VITX_OK ? code : failed_text(code, ask, why);
}

/* Of labels: those of the request, or of the server. */
static int rank_labels(struct outcome *out, const struct ask *ask, vitx_context *context,
                       const vitx_image *image, struct problem *why)
{
    const vitx_label_set *set = ask->model->session.labels;
    if (ask->labels.labels.count > 0) {
        const int made = make_set(out, &ask->labels, ask, why);
        if (made != VITX_OK)
            return made;
        set = held_set(out->labels);
    }
    const int code = vitx_classify_texts(context, &image, 1, set, out->top, ask->top);
    return code == VITX_OK ? code : failed(code, why);
}

static bool has_labels(const struct ask *ask)
{
    return ask->verb == VERB_CLASSIFY &&
           (ask->labels.labels.count > 0 || ask->model->session.labels);
}

/* Of a picture that was explained: the answer of the pass that made its maps. */
static int make_predictions(struct outcome *out, const struct ask *ask, vitx_context *context,
                            const vitx_image *image, struct problem *why)
{
    out->top = calloc((size_t)ask->top, sizeof *out->top);
    if (!out->top)
        return no_memory(why);
    if (has_labels(ask)) {
        out->top_count = ask->top;
        return rank_labels(out, ask, context, image, why);
    }
    const int code = out->map_count > 0 ? vitx_map_predictions(out->top, ask->top, out->maps[0],
                                                               ask->model->session.model)
                                        : vitx_classify(context, image, out->top, ask->top);
    out->top_count = code == VITX_OK ? ask->top : 0;
    return code == VITX_OK ? code : failed(code, why);
}

static int make_embedding(struct outcome *out, const struct ask *ask, vitx_context *context,
                          const vitx_image *image, struct problem *why)
{
    out->embedding = calloc((size_t)ask->model->session.info.classes, sizeof *out->embedding);
    if (!out->embedding)
        return no_memory(why);
    const int code = vitx_embed(context, image, out->embedding, ask->normalize);
    return code == VITX_OK ? code : failed(code, why);
}

static int embed_texts(struct outcome *out, const struct ask *ask, struct problem *why)
{
    const struct list *texts = &ask->texts;
    const size_t units = (size_t)ask->model->session.info.classes;
    const double begun = now_ms();
    out->embedding = calloc((size_t)texts->count * units, sizeof *out->embedding);
    if (!out->embedding)
        return no_memory(why);
    const int code =
        vitx_texts_embed(out->embedding, ask->model->session.texts,
                         (const char *const *)texts->items, texts->count, ask->normalize);
    out->texts = texts->count;
    out->texts_s = (now_ms() - begun) / 1e3;
    return code == VITX_OK ? code : failed_text(code, ask, why);
}

/* The page of `explain -o page.html`: a forward pass more, for its attention. */
static bool make_page(struct outcome *out, const struct explain_plan *plan, const vitx_image *image,
                      char **names, vitx_map *const *maps)
{
    struct page *page = NULL;
    const bool made = page_create(&page, plan, names, 1) &&
                      page_add(page, names[0], image, maps) == PAGE_ADDED &&
                      page_write(page, text_write, &out->page);
    page_free(page);
    return made;
}

/* The maps that came out move to the outcome; whether none is missing but those that are another
 * one's again. */
static bool take_maps(struct outcome *out, struct making *making, int count)
{
    out->maps = calloc((size_t)count, sizeof(vitx_map *));
    for (int i = 0; i < count && out->maps; i++)
        if (making->kept[i]) {
            out->maps[out->map_count++] = making->kept[i];
            making->kept[i] = NULL;
        }
    return out->maps != NULL;
}

static struct batch batch_of(vitx_image **image, char **name, int *order)
{
    return (struct batch){image, name, order, 1, 1};
}

/* The options of the ask's plan, which all threads read, with what its texts are told from; to be
 * freed. NULL: no memory. */
static vitx_explain_opts *tell_apart(const struct ask *ask, const struct held_labels *others)
{
    const size_t count = (size_t)ask->plan.opts_count;
    vitx_explain_opts *opts = calloc(count, sizeof *opts);
    if (!opts)
        return NULL;
    memcpy(opts, ask->plan.opts, count * sizeof *opts);
    if (others)
        give_among(opts, ask->plan.opts_count, held_set(others));
    return opts;
}

/* All complaints are held by the caller. */
static int make_held(struct outcome *out, const struct ask *ask, vitx_explain_opts *opts,
                     vitx_context *context, const vitx_image *image, bool *cancelled,
                     bool *lacks_memory)
{
    char name[] = "picture", *names[] = {name};
    int order = 0;
    vitx_image *images[] = {(vitx_image *)image}; /* is only read */
    const struct batch batch = batch_of(images, names, &order);
    struct session session = ask->model->session;
    struct explain_plan plan = ask->plan;
    struct making making;
    plan.opts = opts;
    session.context = context;
    plan.session = &session;
    int status = making_create(&making, &plan, 1) ? DONE : SOME_FAILED;
    if (status == DONE)
        status = making_run(&making, context, &batch, false);
    *cancelled = making.cancelled;
    *lacks_memory = making.lacks_memory;
    if (status == DONE && !making.cancelled && ask->form == FORM_HTML &&
        !make_page(out, &plan, image, names, making.kept))
        status = SOME_FAILED;
    if (status == DONE && !making.cancelled && !take_maps(out, &making, plan.opts_count))
        status = SOME_FAILED;
    making_free(&making);
    return status;
}

static int make_maps(struct outcome *out, const struct ask *ask, vitx_context *context,
                     const vitx_image *image, struct problem *why)
{
    char *said;
    size_t length;
    bool cancelled = false;
    const int told = ask->among.labels.count ? make_set(out, &ask->among, ask, why) : VITX_OK;
    if (told != VITX_OK)
        return told;
    say_hold(&said, &length);
    vitx_explain_opts *opts = tell_apart(ask, out->labels);
    bool lacks_memory = !opts;
    const int status =
        opts ? make_held(out, ask, opts, context, image, &cancelled, &lacks_memory) : SOME_FAILED;
    say_release();
    free(opts);
    if (status != DONE && lacks_memory)
        refuse(why, 503, "no_memory", NULL, "no memory for recorded attention and gradients");
    else if (status != DONE)
        refuse_as_said(why, 422, "failed", said, ask->model);
    free(said);
    return cancelled ? VITX_CANCELLED : status == DONE ? VITX_OK : VITX_INVALID;
}

int outcome_make(struct outcome *out, const struct ask *ask, vitx_context *context,
                 const vitx_image *image, struct problem *why)
{
    int code = VITX_OK;
    if (ask->verb == VERB_EMBED)
        code = image ? make_embedding(out, ask, context, image, why) : embed_texts(out, ask, why);
    if (ask->verb == VERB_EXPLAIN)
        code = make_maps(out, ask, context, image, why);
    if (code == VITX_OK && ask->top > 0)
        code = make_predictions(out, ask, context, image, why);
    return code;
}

/* ------------------------------------------------------------------ several asks ----------- */

/* One ask of several. */
struct portion {
    struct session session;
    struct explain_plan plan;
};

/* As many of the best classes as any of them explains. */
static int most_classes(const struct ask *const *asks, int count)
{
    int most = 0;
    for (int i = 0; i < count; i++)
        most = asks[i]->plan.ranks > most ? asks[i]->plan.ranks : most;
    return most;
}

/* What the ask wants of what came out; false: something is missing, or there is no memory. Its
 * classes are those of its maps' pass, as they would be alone. */
static bool take_portion(struct outcome *out, const struct ask *ask, struct making *making)
{
    for (int j = 0; j < ask->plan.opts_count; j++)
        if (!making->settled[j])
            return false;
    out->top = ask->top > 0 ? calloc((size_t)ask->top, sizeof *out->top) : NULL;
    bool taken = (ask->top == 0 || out->top) && take_maps(out, making, ask->plan.opts_count);
    if (taken && out->top)
        taken = out->map_count > 0 && vitx_map_predictions(out->top, ask->top, out->maps[0],
                                                           ask->model->session.model) == VITX_OK;
    out->top_count = taken ? ask->top : 0;
    if (!taken)
        outcome_free(out);
    return taken;
}

/* Makings [count] for one picture each; false: no memory. */
static bool create_makings(struct making *makings, struct portion *portions,
                           const struct ask *const *asks, int count, vitx_context *context)
{
    bool created = true;
    for (int i = 0; i < count; i++) {
        portions[i] = (struct portion){asks[i]->model->session, asks[i]->plan};
        portions[i].session.context = context;
        portions[i].plan.session = &portions[i].session;
        created = making_create(&makings[i], &portions[i].plan, 1) && created;
    }
    return created;
}

static void make_portions(struct outcome *outcomes, bool *made, double *forwards,
                          const struct ask *const *asks, int count, struct making *makings,
                          vitx_context *context, const vitx_image *image)
{
    const int most = most_classes(asks, count);
    char name[] = "picture", *names[] = {name};
    int order = 0;
    vitx_image *images[] = {(vitx_image *)image}; /* is only read */
    const struct batch batch = batch_of(images, names, &order);
    vitx_prediction *best = calloc((size_t)most + 1, sizeof *best);
    if (best && (most == 0 || vitx_classify(context, image, best, most) == VITX_OK)) {
        makings_run(makings, count, context, &batch, best, forwards);
        *forwards += *forwards > 0 && most > 0;
        for (int i = 0; i < count; i++)
            made[i] = take_portion(&outcomes[i], asks[i], &makings[i]);
    }
    free(best);
}

void outcomes_make(struct outcome *outcomes, bool *made, double *forwards,
                   const struct ask *const *asks, int count, vitx_context *context,
                   const vitx_image *image)
{
    struct making *makings = calloc((size_t)count, sizeof *makings);
    struct portion *portions = calloc((size_t)count, sizeof *portions);
    char *said;
    size_t length;
    *forwards = 0;
    memset(made, 0, (size_t)count * sizeof *made);
    say_hold(&said, &length); /* what fails is done alone, and complains then */
    if (makings && portions && create_makings(makings, portions, asks, count, context))
        make_portions(outcomes, made, forwards, asks, count, makings, context, image);
    for (int i = 0; i < count && makings; i++)
        making_free(&makings[i]);
    say_release();
    free(said);
    free(makings);
    free(portions);
}

void outcome_free(struct outcome *outcome)
{
    for (int i = 0; i < outcome->map_count; i++)
        vitx_map_free(outcome->maps[i]);
    free(outcome->maps);
    free(outcome->top);
    held_drop(outcome->labels);
    free(outcome->embedding);
    text_free(&outcome->page);
    *outcome = (struct outcome){0};
}
