/* measure/random_weights.c: see random_weights.h. */
#include "measure/random_weights.h"

#include "engine/context.h"
#include "model/randomise.h"

int vx_random_weights_parts(const vx_arch *arch)
{
    return vx_randomise_parts(arch);
}

int vx_random_weights_begin(vx_random_weights *out, const vx_subject *s)
{
    vitx_context *c = s->context;
    *out = (vx_random_weights){.context = c, .own = c->weights};
    VX_TRY(vx_weights_copy(&out->copy, c->model, out->own));
    c->weights = out->copy;
    return VITX_OK;
}

void vx_random_weights_end(const vx_random_weights *w)
{
    w->context->weights = w->own;
    vx_weights_free(w->copy, w->context->model);
}

int vx_random_weights_part(const vx_random_weights *w, int part, int seed)
{
    return vx_weights_randomise(w->copy, w->context->model, part, seed);
}
