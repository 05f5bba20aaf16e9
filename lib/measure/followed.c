/*
 * measure/followed.c: see followed.h.
 *
 *     vector or picture   the cosine, or with score dot the product
 *     none                the score that was asked for; else the class's probability, or its logit
 *                         if the model has no probability that says more (one output,
 *                         plain numbers)
 */
#include "measure/followed.h"

#include "base/structs.h"
#include "engine/context.h"

static bool has_vector(const vx_subject *s)
{
    return s->similarity[0].vector != NULL;
}

static int check(const vx_subject *s)
{
    const bool of_vector = s->asked == VITX_SCORE_COSINE || s->asked == VITX_SCORE_DOT;
    if (s->asked == VITX_SCORE_AUTO)
        return VITX_OK;
    VX_TRY(vx_score_check(s->asked, s->arch));
    if (of_vector != has_vector(s))
        return vx_fail_field(VITX_INVALID, "score",
                             has_vector(s)
                                 ? "score: curves of a vector follow cosine or dot"
                                 : "score: curves of cosine or dot need the vector of explain");
    if (s->versus < VITX_AUTO || s->versus >= s->arch->classes)
        return vx_fail_field(VITX_INVALID, "versus",
                             "versus %d is out of range: the model has classes 0 to %d", s->versus,
                             s->arch->classes - 1);
    return VITX_OK;
}

int vx_followed_read(vx_subject *s, const vitx_evaluate_opts *opts, int m)
{
    const char *given = (const char *)opts;
    for (int j = 0; j < m && s->asked == VITX_SCORE_AUTO; j++, given += opts->struct_size) {
        vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
        VX_TRY(VX_STRUCT_READ(&o, (const vitx_evaluate_opts *)(const void *)given,
                              vitx_evaluate_opts, mask_width));
        s->asked = o.score;
        s->versus = o.versus;
    }
    return check(s);
}

vx_target vx_followed_vector(const vx_subject *s, vitx_score score)
{
    const vx_similarity *d =
        &s->similarity[score == VITX_SCORE_DOT ? VX_AS_IT_IS : VX_OF_LENGTH_1];
    return (vx_target){.score = d->score,
                       .target = VITX_AUTO,
                       .versus = VITX_AUTO,
                       .vector = d->vector,
                       .count = s->arch->classes,
                       .length = d->length};
}

int vx_followed_resolve(vx_subject *s)
{
    const vitx_context *c = s->context;
    const vitx_map_info *info = &s->map->info;
    if (has_vector(s)) {
        s->follows = vx_followed_vector(s, s->asked);
        return VITX_OK;
    }
    const vitx_score score = s->asked                            ? s->asked
                             : vx_arch_has_probability(&c->arch) ? VITX_SCORE_PROBABILITY
                                                                 : VITX_SCORE_LOGIT;
    const bool same = info->score == VITX_SCORE_DIFFERENCE && s->versus == VITX_AUTO;
    return vx_target_resolve(&s->follows, score, info->target, same ? info->versus : s->versus,
                             c->act.host.logits, c->arch.classes);
}

bool vx_followed_known(const vx_subject *s)
{
    return !s->arch->units || has_vector(s) || s->asked != VITX_SCORE_AUTO;
}
