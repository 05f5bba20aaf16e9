/*
 * model/roles.c: a role's name in a naming, and the tensor that has it, in the shape it must have.
 */
#include "model/roles.h"

#include <stdio.h>
#include <string.h>

const char *vx_role_template(const vx_naming *naming, vx_role role)
{
    const char *own = naming->names[role];
    return own || !naming->base ? own : naming->base->names[role];
}

const char *vx_write_name(char *text, size_t size, const char *name, const char *prefix, int block,
                          bool behind_prefix)
{
    size_t at = 0;
    text[0] = '\0';
    if (behind_prefix)
        at = (size_t)snprintf(text, size, "%s", prefix);
    for (const char *p = name; *p && *p != '|' && at + 1 < size; p++) {
        if (*p == '*')
            at += (size_t)snprintf(text + at, size - at, "%s", prefix);
        else if (*p == '#')
            at += (size_t)snprintf(text + at, size - at, "%d", block);
        else
            at += (size_t)snprintf(text + at, size - at, "%c", *p);
    }
    return text;
}

const char *vx_role_name(char *text, size_t size, const vx_naming *naming, const char *prefix,
                         vx_role role, int block)
{
    return vx_write_name(text, size,
                         vx_role_template(naming, role) ? vx_role_template(naming, role) : "",
                         prefix, block, !naming->names[role] && naming->base);
}

const vx_tensor *vx_role_find(const vx_container *c, const vx_naming *naming, const char *prefix,
                              vx_role role, int block)
{
    char name[200];
    const bool behind_prefix = !naming->names[role]; /* then it is the base's, if any */
    const vx_tensor *found = NULL;
    for (const char *p = vx_role_template(naming, role); p && !found;) {
        found =
            vx_container_find(c, vx_write_name(name, sizeof name, p, prefix, block, behind_prefix));
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    return found;
}

bool vx_harmless(const char *name, const char *const *list, const char *prefix)
{
    char full[200];
    for (; *list; list++) {
        const size_t n = strlen(vx_write_name(full, sizeof full, *list, prefix, 0, false));
        const bool beginning = full[n - 1] == '.' || full[n - 1] == '/';
        if (strcmp(name, full) == 0 || (beginning && strncmp(name, full, n) == 0))
            return true;
    }
    return false;
}

/* -------------------------------------------------------------------------- shapes -------- */

typedef enum dim { DIM_END = 0, ONE, ROWS, R, D, D2, D3, F1, F, K, KD, C, PH, PW } dim;

/* Shape of each role, and whether a model may lack it. */
static const struct {
    vx_need need;
    unsigned char shape[5];
} roles[VX_ROLES] = {
    [VX_PATCH_W] = {VX_REQUIRED, {D, C, PH, PW}},
    [VX_PATCH_B] = {VX_OPTIONAL, {D}},
    [VX_CLASS_TOKEN] = {VX_OPTIONAL, {ONE, ONE, D}},
    [VX_DISTILLATION_TOKEN] = {VX_OPTIONAL, {ONE, ONE, D}},
    [VX_REGISTERS] = {VX_OPTIONAL, {ONE, R, D}},
    [VX_POSITIONS] = {VX_REQUIRED, {ONE, ROWS, D}},
    [VX_NORM_PRE_W] = {VX_OPTIONAL, {D}},
    [VX_NORM_PRE_B] = {VX_WITH, {D}},
    [VX_NORM_W] = {VX_OPTIONAL, {D}},
    [VX_NORM_B] = {VX_WITH, {D}},
    [VX_FC_NORM_W] = {VX_OPTIONAL, {D}},
    [VX_FC_NORM_B] = {VX_WITH, {D}},
    [VX_HEAD_W] = {VX_OPTIONAL, {K, KD}}, /* see needed() */
    [VX_HEAD_B] = {VX_OPTIONAL, {K}},
    [VX_HEAD2_W] = {VX_OPTIONAL, {K, D}},
    [VX_HEAD2_B] = {VX_WITH, {K}},
    [VX_HEAD_T] = {VX_OPTIONAL, {D, K}},
    [VX_POOL_PROBE] = {VX_OPTIONAL, {ONE, ONE, D}},
    [VX_POOL_QKV_W] = {VX_OPTIONAL, {D3, D}},
    [VX_POOL_QKV_B] = {VX_OPTIONAL, {D3}},
    [VX_POOL_Q_W] = {VX_OPTIONAL, {D, D}},
    [VX_POOL_Q_B] = {VX_OPTIONAL, {D}},
    [VX_POOL_KV_W] = {VX_OPTIONAL, {D2, D}},
    [VX_POOL_KV_B] = {VX_OPTIONAL, {D2}},
    [VX_POOL_K_W] = {VX_OPTIONAL, {D, D}},
    [VX_POOL_V_W] = {VX_WITH, {D, D}},
    [VX_POOL_K_B] = {VX_OPTIONAL, {D}},
    [VX_POOL_V_B] = {VX_WITH, {D}},
    [VX_POOL_PROJ_W] = {VX_OPTIONAL, {D, D}},
    [VX_POOL_PROJ_B] = {VX_OPTIONAL, {D}},
    [VX_POOL_NORM_W] = {VX_OPTIONAL, {D}},
    [VX_POOL_NORM_B] = {VX_WITH, {D}},
    [VX_POOL_FC1_W] = {VX_OPTIONAL, {F, D}},
    [VX_POOL_FC1_B] = {VX_OPTIONAL, {F}},
    [VX_POOL_FC2_W] = {VX_OPTIONAL, {D, F}},
    [VX_POOL_FC2_B] = {VX_OPTIONAL, {D}},
    [VX_NORM1_W] = {VX_REQUIRED, {D}},
    [VX_NORM1_B] = {VX_REQUIRED, {D}},
    [VX_QKV_W] = {VX_REQUIRED, {D3, D}},
    [VX_QKV_B] = {VX_OPTIONAL, {D3}},
    [VX_Q_W] = {VX_REQUIRED, {D, D}},
    [VX_Q_B] = {VX_OPTIONAL, {D}},
    [VX_K_W] = {VX_REQUIRED, {D, D}},
    [VX_K_B] = {VX_OPTIONAL, {D}},
    [VX_V_W] = {VX_REQUIRED, {D, D}},
    [VX_V_B] = {VX_OPTIONAL, {D}},
    [VX_PROJ_W] = {VX_REQUIRED, {D, D}},
    [VX_PROJ_B] = {VX_OPTIONAL, {D}},
    [VX_LS1] = {VX_OPTIONAL, {D}},
    [VX_NORM2_W] = {VX_REQUIRED, {D}},
    [VX_NORM2_B] = {VX_REQUIRED, {D}},
    [VX_FC1_W] = {VX_REQUIRED, {F1, D}},
    [VX_FC1_B] = {VX_OPTIONAL, {F1}},
    [VX_FC2_W] = {VX_REQUIRED, {D, F}},
    [VX_FC2_B] = {VX_OPTIONAL, {D}},
    [VX_LS2] = {VX_OPTIONAL, {D}},
};

vx_need vx_role_need(vx_role role)
{
    return roles[role].need;
}

static int64_t dim_size(const vx_reader *r, unsigned char code)
{
    const vx_arch *a = r->arch;
    const int64_t sizes[] = {[ONE] = 1,
                             [ROWS] = r->position_rows,
                             [R] = r->registers,
                             [D] = a->width,
                             [D2] = 2 * (int64_t)a->width,
                             [D3] = 3 * (int64_t)a->width,
                             [F1] = vx_arch_fc1(a),
                             [F] = a->hidden,
                             [K] = a->classes,
                             [KD] = (r->match->dialect->concatenates ? 2 : 1) * (int64_t)a->width,
                             [C] = a->channels,
                             [PH] = a->patch_height,
                             [PW] = a->patch_width};
    return sizes[code];
}

/* The dimensions of 1 that a role's shape begins with and this tensor leaves out. */
static int left_out(const vx_tensor *t, vx_role role)
{
    int n = 0;
    while (roles[role].shape[n] == ONE &&
           t->rank + n < (int)strlen((const char *)roles[role].shape))
        n++;
    return n;
}

static int check_shape(const vx_reader *r, const vx_tensor *t, vx_role role)
{
    int64_t shape[5];
    int rank = 0;
    bool same = true;
    for (int n = left_out(t, role); roles[role].shape[n]; n++, rank++) {
        shape[rank] = dim_size(r, roles[role].shape[n]);
        same = same && rank < t->rank && t->shape[rank] == shape[rank];
    }
    if (same && rank == t->rank)
        return VITX_OK;
    char expected[120], is[200];
    return vx_fail_in(VITX_FORMAT, r->container->path, "tensor %.100s has shape %s, expected %s",
                      t->name, vx_shape_text(is, sizeof is, t->shape, t->rank),
                      vx_shape_text(expected, sizeof expected, shape, rank));
}

int vx_role_missing(const vx_reader *r, vx_role role, int block)
{
    char name[200];
    vx_role_name(name, sizeof name, r->match->dialect->naming, r->match->prefix, role, block);
    return vx_fail_in(VITX_FORMAT, r->container->path, "lacks tensor %s", name);
}

int vx_role_take(const vx_tensor **out, vx_reader *r, vx_role role, int block, bool there)
{
    const vx_naming *naming = r->match->dialect->naming;
    const vx_tensor *t = vx_role_find(r->container, naming, r->match->prefix, role, block);
    *out = t;
    if (!vx_role_template(naming, role) || (!t && !there))
        return VITX_OK;
    if (!t)
        return vx_role_missing(r, role, block);
    if (t->dtype == VX_DTYPE_OTHER)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "tensor %.100s is %s; vitx reads F32, F16 and BF16", t->name,
                          t->dtype_name);
    r->used[t - r->container->tensors] = true;
    return check_shape(r, t, role);
}

int vx_role_size(int *out, const vx_reader *r, vx_role role, int block, int at, int most,
                 const char *what)
{
    const vx_tensor *t =
        vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, role, block);
    char shape[200];
    if (!t)
        return vx_role_missing(r, role, block);
    const int without = left_out(t, role);
    at -= without;
    if (t->rank + without != (int)strlen((const char *)roles[role].shape))
        return vx_fail_in(VITX_FORMAT, r->container->path,
                          "tensor %.100s has shape %s, expected %zu dimensions", t->name,
                          vx_shape_text(shape, sizeof shape, t->shape, t->rank),
                          strlen((const char *)roles[role].shape));
    if (t->shape[at] < 1 || t->shape[at] > most)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "tensor %.100s has shape %s: %s from 1 to %d is supported", t->name,
                          vx_shape_text(shape, sizeof shape, t->shape, t->rank), what, most);
    *out = (int)t->shape[at];
    return VITX_OK;
}
