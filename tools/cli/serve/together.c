/*
 * serve/together.c: see together.h.
 *
 * A call of the library records what one of its methods needs, and the last block of a model that
 * reads its class token alone computes no more than that. A product of one row may have other last
 * digits than the same row among many. So calls that go equally far there give equal bits, whatever
 * else they record, and others need not: the table says how far each method goes. The numbers of
 * targets do not matter to one thread. test_serve_work compares the bits.
 */
#include "together.h"

#include <string.h>

/* What the last block computes behind its keys and values. */
enum reach {
    REACH_UNKNOWN, /* runs alone */
    REACH_TOKEN,   /* the row of the class token */
    REACH_RECORD,  /* the attention of all tokens, then that row */
    REACH_ALL      /* all tokens */
};

/* With their own settings. A method that is not here runs alone, and so does whatever explains a
 * text. */
static const struct {
    const char *method;
    enum reach reach;
} reaches[] = {
    {"attention", REACH_TOKEN},    {"eigencam", REACH_TOKEN},      {"scorecam", REACH_TOKEN},
    {"ablationcam", REACH_TOKEN},  {"rollout", REACH_RECORD},      {"grad-rollout", REACH_RECORD},
    {"generic", REACH_RECORD},     {"attn-gradcam", REACH_RECORD}, {"gradcam", REACH_RECORD},
    {"gradcam++", REACH_RECORD},   {"xgradcam", REACH_RECORD},     {"hirescam", REACH_RECORD},
    {"elementwise", REACH_RECORD}, {"layercam", REACH_RECORD},     {"eigengradcam", REACH_RECORD},
    {"saliency", REACH_RECORD},    {"input-x-grad", REACH_RECORD}, {"legrad", REACH_ALL},
    {"features", REACH_ALL},
};

static enum reach reach_of(const vitx_explain_opts *e)
{
    if (e->text || e->layer != VITX_AUTO || e->head != VITX_AUTO || e->query != VITX_AUTO ||
        e->set_count)
        return REACH_UNKNOWN;
    for (size_t i = 0; i < sizeof reaches / sizeof reaches[0]; i++)
        if (strcmp(reaches[i].method, e->method) == 0)
            return reaches[i].reach;
    return REACH_UNKNOWN;
}

/* The furthest of an ask's methods, if all are known. */
static enum reach furthest(const struct ask *ask)
{
    enum reach furthest = REACH_UNKNOWN;
    for (int i = 0; i < ask->plan.opts_count; i++) {
        const enum reach reach = reach_of(&ask->plan.opts[i]);
        if (reach == REACH_UNKNOWN)
            return REACH_UNKNOWN;
        furthest = reach > furthest ? reach : furthest;
    }
    return furthest;
}

/* Whether the call is of the same kind, and the picture the same once it is decoded. A page is made
 * of what the call for its maps alone has left behind. */
static bool run_alike(const struct ask *a, const struct ask *b)
{
    const struct explain_settings *x = a->explain, *y = b->explain;
    return a->model == b->model && a->form != FORM_HTML && b->form != FORM_HTML &&
           x->flip == y->flip && x->common.window.low == y->common.window.low &&
           x->common.window.high == y->common.window.high;
}

bool asks_agree(const struct ask *a, const struct ask *b)
{
    if (a->verb != VERB_EXPLAIN || b->verb != VERB_EXPLAIN || !run_alike(a, b))
        return false;
    const enum reach x = furthest(a), y = furthest(b);
    if (x == REACH_UNKNOWN || y == REACH_UNKNOWN)
        return false;
    return x == y || strcmp(a->model->session.info.pooling, "token") != 0;
}
