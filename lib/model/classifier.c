/*
 * model/classifier.c: see classifier.h.
 *
 * People put a classifier of their own behind a network: fc, head.1 behind a dropout, heads.head.
 * It is a matrix [K, D] of the network's width (or [K, 2D] where the library's reads two vectors)
 * that belongs to no block and has no other name that is known. A square one may be a layer of
 * another kind, so it needs a name that a classifier has.
 */
#include "model/classifier.h"

#include <stdio.h>
#include <string.h>

#include "model/leftovers.h"
#include "model/naming_timm.h"
#include "model/roles.h"

/* Whether one of the words that dots and underscores separate is in a list. */
static bool has_word(const char *key, const char *const *words)
{
    for (; *words; words++) {
        const size_t n = strlen(*words);
        for (const char *at = strstr(key, *words); at; at = strstr(at + 1, *words))
            if ((at == key || at[-1] == '.' || at[-1] == '_') &&
                (at[n] == '.' || at[n] == '_' || at[n] == '\0'))
                return true;
    }
    return false;
}

/* Layers that read the network's width and are followed by others. */
static const char *const others[] = {
    "pooler",  "pre_logits", "proj",      "projection", "projector",  "predictor", "decoder",
    "adapter", "embed",      "embedding", "lora",       "bottleneck", NULL};
static const char *const classifiers[] = {"fc",     "head",   "heads",  "classifier",
                                          "linear", "logits", "output", NULL};

typedef struct search {
    const vx_container *c;
    const vx_match *match;
    int width;
    const vx_tensor *found[4];
    int count;
} search;

/* Whether a naming has that key for something. */
static bool is_named(const search *s, const vx_tensor *t)
{
    const vx_naming *naming = s->match->dialect->naming;
    char start[200];
    for (int role = VX_NO_ROLE + 1; role < VX_MODEL_ROLES; role++)
        if (vx_role_find(s->c, naming, s->match->prefix, (vx_role)role, 0) == t)
            return true;
    vx_role_number(start, sizeof start, naming, s->match->prefix, VX_NORM1_W);
    return strncmp(t->key, start, strlen(start)) == 0 ||
           vx_harmless(t->key, naming->harmless, s->match->prefix) || vx_is_leftover(s->c, t);
}

static bool ends_in_weight(const char *key)
{
    const size_t n = strlen(key);
    return n >= 6 && strcmp(key + n - 6, "weight") == 0 && (n == 6 || key[n - 7] == '.');
}

static bool may_be(const search *s, const vx_tensor *t)
{
    const bool two = s->match->dialect->concatenates && t->rank == 2 && t->shape[1] == 2 * s->width;
    if (t->rank != 2 || (t->shape[1] != s->width && !two) || t->shape[0] < 1 ||
        !ends_in_weight(t->key) || has_word(t->key, others))
        return false;
    return (t->shape[0] != s->width || has_word(t->key, classifiers)) && !is_named(s, t);
}

/* A matrix that reads what `first` makes: NULL where there is none. */
static const vx_tensor *next_layer(const search *s, const vx_tensor *first)
{
    for (int i = 0; i < s->c->count; i++) {
        const vx_tensor *t = &s->c->tensors[i];
        if (t != first && t->rank == 2 && t->shape[1] == first->shape[0] &&
            ends_in_weight(t->key) && !is_named(s, t))
            return t;
    }
    return NULL;
}

static int refuse_layers(const search *s, const vx_tensor *next)
{
    char one[60], other[60];
    const vx_tensor *first = s->found[0];
    return vx_fail_in(VITX_UNSUPPORTED, s->c->path,
                      "its head has several layers (%.60s %s, %.60s %s); vitx runs heads of one",
                      first->name, vx_shape_text(one, sizeof one, first->shape, first->rank),
                      next->name, vx_shape_text(other, sizeof other, next->shape, next->rank));
}

static int refuse_several(const search *s)
{
    char text[300] = "", shape[60];
    size_t at = 0;
    for (int i = 0; i < s->count && i < 4 && at < sizeof text; i++)
        at += (size_t)snprintf(
            text + at, sizeof text - at, "%s%.60s %s", i ? ", " : "", s->found[i]->name,
            vx_shape_text(shape, sizeof shape, s->found[i]->shape, s->found[i]->rank));
    return vx_fail_field_in(
        VITX_UNSUPPORTED, s->c->path, "ignore",
        "has %d matrices that may be its classifier (%s): leave out all but one with "
        "ignore, unless they are layers of one head, which vitx does not run",
        s->count, text);
}

/* What looks like a classifier and was not taken, for the message that there is none. */
static void note_like(vx_match *match, const search *s)
{
    char shape[60];
    if (s->match->dialect->naming->architecture == vx_timm_architecture)
        snprintf(match->like, sizeof match->like,
                 "; without a classifier, \"num_classes\": 0 in config.json makes an embedding the "
                 "answer");
    for (int i = 0; i < s->c->count; i++) {
        const vx_tensor *t = &s->c->tensors[i];
        if (t->rank == 2 && t->shape[1] == s->width && !is_named(s, t)) {
            snprintf(match->like, sizeof match->like, "; %.60s %s is there, but has no name of one",
                     t->name, vx_shape_text(shape, sizeof shape, t->shape, t->rank));
            return;
        }
    }
}

/* The keys of the classifier and its bias: as they are, and as they become. */
typedef struct renaming {
    char weight[200], bias[200], to_weight[200], to_bias[200];
} renaming;

static bool rename_head(char *key, size_t size, const vx_tensor *t, void *arg)
{
    const renaming *r = arg;
    const bool bias = strcmp(t->key, r->bias) == 0;
    if (!bias && strcmp(t->key, r->weight) != 0)
        return false;
    return snprintf(key, size, "%s", bias ? r->to_bias : r->to_weight) < (int)size;
}

static int take(vx_container *c, const vx_match *match, const char *key)
{
    const vx_naming *naming = match->dialect->naming;
    const size_t n = strlen(key);
    renaming r;
    if (n >= sizeof r.weight)
        return VITX_OK;
    snprintf(r.weight, sizeof r.weight, "%s", key);
    snprintf(r.bias, sizeof r.bias, "%.*sbias", (int)(n - strlen("weight")), key);
    vx_role_name(r.to_weight, sizeof r.to_weight, naming, match->prefix, VX_HEAD_W, 0);
    vx_role_name(r.to_bias, sizeof r.to_bias, naming, match->prefix, VX_HEAD_B, 0);
    return vx_container_rename(c, rename_head, &r);
}

int vx_classifier_find(vx_match *match, vx_hints *hints, vx_container *c)
{
    const vx_naming *naming = match->dialect->naming;
    const vx_tensor *patch = vx_role_find(c, naming, match->prefix, VX_PATCH_W, 0);
    search s = {.c = c, .match = match};
    if (hints->headless || !vx_role_named(naming, VX_HEAD_W) || !patch || patch->rank < 2 ||
        patch->shape[0] < 1 || patch->shape[0] > INT32_MAX / 2 ||
        vx_role_find(c, naming, match->prefix, VX_HEAD_W, 0) ||
        vx_role_find(c, naming, match->prefix, VX_HEAD2_W, 0))
        return VITX_OK;
    s.width = (int)patch->shape[0];
    for (int i = 0; i < c->count; i++)
        if (may_be(&s, &c->tensors[i]) && s.count++ < 4)
            s.found[s.count - 1] = &c->tensors[i];
    if (s.count > 1)
        return refuse_several(&s);
    if (s.count == 0) {
        note_like(match, &s);
        return VITX_OK;
    }
    const vx_tensor *next = next_layer(&s, s.found[0]);
    if (next)
        return refuse_layers(&s, next);
    match->own_head = true;
    match->reads_one = s.found[0]->shape[1] == s.width;
    hints->units = false;
    return take(c, match, s.found[0]->key);
}
