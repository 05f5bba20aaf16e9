/*
 * model/guesses.c: see guesses.h.
 *
 * A field that a file leaves out is no guess if the file names the network: then its library fills
 * it in, and so does vitx. Without such a file the libraries refuse to run the weights.
 */
#include "model/guesses.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct list {
    char text[400];
    size_t at;
} list;

static void __attribute__((format(printf, 2, 3))) add(list *l, const char *format, ...)
{
    va_list values;
    if (l->at && l->at + 2 < sizeof l->text)
        l->at += (size_t)snprintf(l->text + l->at, sizeof l->text - l->at, ", ");
    if (l->at >= sizeof l->text)
        return;
    va_start(values, format);
    const int n = vsnprintf(l->text + l->at, sizeof l->text - l->at, format, values);
    va_end(values);
    l->at += n > 0 ? (size_t)n : 0;
}

static void add_network(list *l, const vitx_model *m)
{
    if (m->from_act == VITX_FROM_DEFAULT)
        add(l, "activation %s", vx_act_name(m->arch.act));
    if (m->from_eps == VITX_FROM_DEFAULT)
        add(l, "norm eps %g", (double)m->arch.eps);
}

/* Networks whose tensors are these, too, but which compute something else with them. */
static void add_others(list *l, const vitx_model *m)
{
    const vx_arch *a = &m->arch;
    const vx_tensor *scale = vx_found_at(&m->found, VX_LS1, 0);
    const bool biased = vx_found_at(&m->found, VX_QKV_B, 0), pos = m->found.model[VX_POSITIONS];
    if (a->rotary.kind == VX_ROTATE_NONE && !a->relative && scale && pos && biased &&
        strstr(scale->name, "gamma_1"))
        add(l, "queries and keys as they are (a RoPE-ViT with positions rotates them)");
    if (!a->post_norm && !a->parallel && !scale && !m->found.model[VX_CLASS_TOKEN] &&
        m->naming == &vx_naming_timm && (a->relative || !biased))
        add(l, "norms before attention and mlp (timm's rpn networks have them behind)");
}

static void add_pictures(list *l, const vitx_recipe *r)
{
    if (r->from_mean == VITX_FROM_DEFAULT)
        add(l, "mean %g %g %g", (double)r->mean[0], (double)r->mean[1], (double)r->mean[2]);
    if (r->from_std == VITX_FROM_DEFAULT)
        add(l, "std %g %g %g", (double)r->std[0], (double)r->std[1], (double)r->std[2]);
    if (r->from_resize == VITX_FROM_DEFAULT)
        add(l, "resizing to %d", r->resize_height);
    if (r->from_filter == VITX_FROM_DEFAULT)
        add(l, "filter %s", vitx_filter_name(r->filter));
}

int vx_guesses_tell(vitx_model *m, const vx_hints *hints)
{
    list l = {.at = 0};
    if (hints->heads == 0)
        add(&l, "%d attention head%s of %d", m->arch.heads, m->arch.heads > 1 ? "s" : "",
            m->arch.head_width);
    if (!hints->network_told && !m->naming->code_tells)
        add_network(&l, m);
    if (!hints->network_told && m->from_heads != VITX_FROM_CONFIG)
        add_others(&l, m);
    if (!hints->pictures_told && !m->naming->code_tells)
        add_pictures(&l, &m->recipe);
    VX_TRY(vx_strdup(&m->guesses, &m->hooks, l.text));
    if (l.at)
        vx_log(
            &m->hooks, VITX_LOG_WARNING,
            "%s: guessed, since no file beside it says so: %s. If the model was made with others, "
            "its answers are wrong",
            m->path, m->guesses);
    return VITX_OK;
}
