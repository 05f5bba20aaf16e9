/*
 * model/bind.c: binds tensors to roles: a model's sizes, and its tensors by role.
 *
 * Sizes are read from the tensors' shapes; what the configuration says besides must agree. Every
 * tensor of the file must be used or known to be harmless: one that is left over (a query norm, a
 * relative position bias) would change the answer.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "model/bind.h"
#include "model/leftovers.h"

#define MAX_WIDTH 65536
#define MAX_CLASSES (1 << 24)

/* -------------------------------------------------------------------------- sizes --------- */

/* The block that a tensor belongs to, -1 for none: its name against what stands before and after
 * the number. */
static int block_of(const char *name, const char *start, char after)
{
    const size_t n = strlen(start);
    int block = 0;
    if (strncmp(name, start, n) != 0)
        return -1;
    const char *p = name + n;
    for (; *p >= '0' && *p <= '9' && block <= VX_MAX_DEPTH; p++)
        block = block * 10 + (*p - '0');
    return p > name + n && *p == after ? block : -1;
}

static int count_blocks(vx_reader *r)
{
    char start[200];
    const vx_naming *naming = r->match->dialect->naming;
    const char after = vx_role_number(start, sizeof start, naming, r->match->prefix, VX_NORM1_W);
    for (int i = 0; i < r->container->count; i++) {
        const int block = block_of(r->container->tensors[i].key, start, after);
        if (block >= VX_MAX_DEPTH)
            return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                              "tensor %.100s: at most %d blocks are supported",
                              r->container->tensors[i].name, VX_MAX_DEPTH);
        if (block >= r->arch->depth)
            r->arch->depth = block + 1;
    }
    return r->arch->depth ? VITX_OK : vx_role_missing(r, VX_NORM1_W, 0);
}

const char *vx_said_by(const vx_reader *r)
{
    return r->hints->path ? r->hints->path : r->config->config_path;
}

bool vx_role_has(const vx_reader *r, vx_role role, int block)
{
    return vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, role, block);
}

int vx_agree(const vx_reader *r, const char *what, int declared, int actual)
{
    if (declared == 0 || declared == actual)
        return VITX_OK;
    return vx_fail_in(VITX_FORMAT, vx_said_by(r), " says %s is %d, but in %s it is %d", what,
                      declared, r->container->path, actual);
}

/* Meta's heads of DINOv2 that read the last four blocks. */
static int refuse_linear4(const vx_reader *r)
{
    const vx_tensor *t =
        vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, VX_HEAD_W, 0);
    if (t && r->sizes.concatenates && t->rank == 2 && t->shape[1] == 5 * (int64_t)r->arch->width)
        return vx_fail_in(
            VITX_UNSUPPORTED, r->container->path,
            "its head reads the class tokens of the last four blocks (tensor %.100s "
            "of 5 x %d columns), which vitx does not run; the head of one block is run",
            t->name, r->arch->width);
    return VITX_OK;
}

/* The norm behind differential attention is of each head by itself, and tells their number. */
static int read_attn_norm(vx_reader *r)
{
    vx_arch *a = r->arch;
    a->differential = vx_role_has(r, VX_LAMBDA_Q1, 0);
    a->attn_norm = vx_role_has(r, VX_ATTN_NORM_W, 0) ? a->width : 0;
    if (!a->differential)
        return VITX_OK;
    VX_TRY(vx_role_size(&a->attn_norm, r, VX_ATTN_NORM_W, 0, 0, a->width, "a width"));
    a->heads = a->width / a->attn_norm;
    return VITX_OK;
}

/* There are two softmaxes for each head, or two attentions. */
static int double_heads(const vx_reader *r)
{
    vx_arch *a = r->arch;
    if (a->twins && (a->qk_norm || a->rotary.kind || a->relative || a->differential))
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has two attentions side by side, which vitx runs with queries and keys "
                          "that are neither normalised nor rotated, and scores as they are");
    if (a->twins)
        a->heads *= 2;
    if (!a->differential)
        return VITX_OK;
    if (a->qk_norm || a->rotary.kind || a->relative || a->head_width % 2 ||
        a->attn_norm != a->head_width)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has a differential attention of heads of %d numbers in a width of %d; "
                          "vitx runs it with an even number that divides the width, and queries "
                          "and keys that are neither normalised nor rotated",
                          a->attn_norm, a->width);
    a->heads *= 2;
    return VITX_OK;
}

/* Norms that do not subtract the mean have a weight alone. But a norm that does may lack its bias,
 * too, so the configuration has to say so. */
static int read_norms(vx_reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    const char *prefix = r->match->prefix;
    const vx_tensor *weight = vx_role_find(r->container, naming, prefix, VX_NORM1_W, 0);
    r->arch->rms = weight && !vx_role_find(r->container, naming, prefix, VX_NORM1_B, 0) &&
                   !vx_role_find(r->container, naming, prefix, VX_NORM2_B, 0);
    if (vx_role_find(r->container, naming, prefix, VX_Q_NORM_W, 0))
        VX_TRY(vx_role_size(&r->arch->qk_norm, r, VX_Q_NORM_W, 0, 0, MAX_WIDTH, "a width"));
    else if (r->hints->qk_norm)
        return vx_role_missing(r, VX_Q_NORM_W, 0);
    VX_TRY(read_attn_norm(r));
    if (r->arch->rms == r->hints->rms)
        return VITX_OK;
    if (r->hints->rms)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                          " says that norms are RMSNorms, but those of %s %s", r->container->path,
                          "have a bias");
    return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                      "its norms have no bias, and no configuration says that they are RMSNorms "
                      "(tensor %.100s)",
                      weight->name);
}

/* Without a head, where the configuration says of none, the outputs are the pooled features. */
static int read_head_size(vx_reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    vx_arch *a = r->arch;
    const bool turned = vx_role_named(naming, VX_HEAD_T);
    a->bare = r->hints->headless ||
              (!vx_role_find(r->container, naming, r->match->prefix, VX_HEAD_W, 0) &&
               !vx_role_find(r->container, naming, r->match->prefix, VX_HEAD_B, 0) &&
               !vx_role_find(r->container, naming, r->match->prefix, VX_HEAD_T, 0) &&
               r->hints->classes == 0 && !r->hints->has_head);
    a->units = a->bare || r->hints->units;
    a->classes = a->width;
    if (a->bare)
        return VITX_OK;
    if (turned)
        return vx_role_size(&a->classes, r, VX_HEAD_T, 0, 1, MAX_CLASSES, "a number of outputs");
    VX_TRY(refuse_linear4(r));
    return vx_role_size(&a->classes, r, VX_HEAD_W, 0, 0, MAX_CLASSES, "a number of classes");
}

/* fc1 has as many rows as fc2 has columns, or, with SwiGLU, twice as many, which may lie in two
 * tensors. */
static int read_hidden(vx_reader *r)
{
    vx_arch *a = r->arch;
    int rows, columns;
    a->swiglu = vx_role_has(r, VX_GATE_W, 0);
    if (r->hints->gated_known && r->hints->gated != a->swiglu)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r), " says use_gated_mlp is %s, but %s %s a gate",
                          r->hints->gated ? "true" : "false", r->container->path,
                          a->swiglu ? "has" : "lacks");
    if (a->swiglu)
        return vx_role_size(&a->hidden, r, VX_GATE_W, 0, 0, VX_MAX_HIDDEN, "a hidden width");
    a->parallel = vx_role_has(r, VX_IN_W, 0);
    if (a->parallel && vx_role_has(r, VX_OUT_W, 0)) {
        VX_TRY(vx_role_size(&columns, r, VX_OUT_W, 0, 1, VX_MAX_HIDDEN, "a width"));
        a->hidden = columns - a->width;
        return a->hidden > 0 ? VITX_OK : vx_role_missing(r, VX_FC2_W, 0);
    }
    if (a->parallel)
        return vx_role_size(&a->hidden, r, VX_FC2_W, 0, 1, VX_MAX_HIDDEN, "a hidden width");
    VX_TRY(vx_role_size(&rows, r, VX_FC1_W, 0, 0, VX_MAX_HIDDEN, "a hidden width"));
    VX_TRY(vx_role_size(&columns, r, VX_FC2_W, 0, 1, VX_MAX_HIDDEN, "a hidden width"));
    a->swiglu = rows == 2 * columns;
    a->hidden = a->swiglu ? columns : rows;
    a->twins = vx_role_has(r, VX_TWIN_NORM1_W, 0);
    if (a->twins && (a->swiglu || a->rms))
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has two attentions side by side, and gates or RMSNorms: no known model "
                          "has both");
    a->hidden *= a->twins ? 2 : 1;
    return VITX_OK;
}

/* Sizes that the architecture's name stands for, where the number of heads comes from that name,
 * too. */
static int agree_with_name(const vx_reader *r)
{
    const vx_named *n = &r->hints->named;
    const vx_arch *a = r->arch;
    const struct {
        const char *what;
        int named, is;
    } sizes[] = {{"width", n->width, a->width},
                 {"depth", n->depth, a->depth},
                 {"patch height", n->patch, a->patch_height},
                 {"patch width", n->patch, a->patch_width}};
    if (!n->architecture || r->hints->from_heads == VITX_FROM_TENSORS ||
        r->hints->from_heads == VITX_FROM_OPTIONS)
        return VITX_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].named && sizes[i].named != sizes[i].is)
            return vx_fail_in(
                VITX_FORMAT, vx_said_by(r),
                "architecture %.100s has a %s of %d, but in %s it is %d; a network of "
                "other sizes says them: \"model_args\": {\"embed_dim\": %d, "
                "\"num_heads\": N}",
                n->architecture, sizes[i].what, sizes[i].named, r->container->path, sizes[i].is,
                a->width);
    return VITX_OK;
}

int vx_read_block_sizes(vx_reader *r)
{
    const vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    VX_TRY(read_head_size(r));
    VX_TRY(count_blocks(r));
    VX_TRY(read_norms(r));
    VX_TRY(read_hidden(r));
    VX_TRY(vx_agree(r, "the depth", h->depth, a->depth));
    VX_TRY(vx_agree(r, "the width", h->width, a->width));
    VX_TRY(vx_agree(r, "the hidden width", h->hidden, a->hidden));
    VX_TRY(vx_agree(r, h->units ? "the embedding's size" : "the number of classes", h->classes,
                    a->classes));
    return vx_agree(r, "the number of features", h->features, a->width);
}

static int read_sizes(vx_reader *r)
{
    vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    VX_TRY(vx_role_size(&a->width, r, VX_PATCH_W, 0, 0, MAX_WIDTH, "a width"));
    VX_TRY(vx_role_size(&a->channels, r, VX_PATCH_W, 0, 1, VX_MAX_PATCH, "a number of channels"));
    VX_TRY(vx_role_size(&a->patch_height, r, VX_PATCH_W, 0, 2, VX_MAX_PATCH, "a patch height"));
    VX_TRY(vx_role_size(&a->patch_width, r, VX_PATCH_W, 0, 3, VX_MAX_PATCH, "a patch width"));
    if (a->channels != 3)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "reads pictures of %d channels; vitx has RGB, 3 channels", a->channels);
    VX_TRY(vx_read_block_sizes(r));
    VX_TRY(vx_agree(r, "the number of channels", h->channels, a->channels));
    VX_TRY(vx_agree(r, "the patch height", h->patch_height, a->patch_height));
    VX_TRY(vx_agree(r, "the patch width", h->patch_width, a->patch_width));
    return agree_with_name(r);
}

/* Where nobody says: widths for which all published networks have the same number of heads
 * (Dosovitskiy et al. 2020, table 1; Zhai et al. 2021, table 2; timm's). 1536 wide, DINOv2's with
 * SwiGLU has 24, SigLIP's has 16. Any other width is shared by no usual number. */
static int guess_heads(int width, int depth, bool swiglu)
{
    static const struct {
        int width, heads;
    } usual[] = {{192, 3},  {256, 4},  {320, 5},   {384, 6},   {512, 8},   {640, 10},  {768, 12},
                 {832, 13}, {896, 14}, {1024, 16}, {1152, 16}, {1280, 16}, {1408, 16}, {1664, 16}};
    if (width == 768 && depth == 8) /* the small ones of older libraries: 8, or 12 */
        return 0;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (usual[i].width == width)
            return usual[i].heads;
    return width == 1536 && swiglu ? 24 : 0;
}

/* Queries and keys are normalised both, head by head or all heads at once. */
static int check_qk_norm(const vx_reader *r)
{
    const vx_arch *a = r->arch;
    const vx_tensor *const *first = r->found->blocks[0];
    const vx_tensor *q = first[VX_Q_NORM_W - VX_MODEL_ROLES];
    if (!q != !first[VX_K_NORM_W - VX_MODEL_ROLES])
        return vx_role_missing(r, q ? VX_K_NORM_W : VX_Q_NORM_W, 0);
    if (q && a->qk_norm != a->head_width && a->qk_norm != a->width)
        return vx_fail_in(
            VITX_FORMAT, r->container->path,
            "tensor %.100s has %d numbers, expected the %d of one of %d heads, or the "
            "%d of all",
            q->name, a->qk_norm, a->head_width, a->heads, a->width);
    return VITX_OK;
}

/* Each head of keys and values serves as many heads of queries. */
static int check_key_heads(const vx_reader *r)
{
    vx_arch *a = r->arch;
    a->key_heads = a->heads;
    for (int b = 0; b < a->depth; b++) {
        const vx_tensor *k = vx_found_at(r->found, VX_K_W, b);
        const int64_t heads = k ? k->shape[0] / a->head_width : a->heads;
        if (heads < 1 || a->heads % heads || (k && k->shape[0] % a->head_width))
            return vx_fail_in(VITX_FORMAT, r->container->path,
                              "tensor %.100s has %lld rows, which make no number of heads of %d "
                              "that divides %d",
                              k->name, (long long)k->shape[0], a->head_width, a->heads);
        a->key_heads = heads < a->key_heads ? (int)heads : a->key_heads;
    }
    return VITX_OK;
}

/* A pooling head has heads of its own if the configuration says so. */
static int read_pool_heads(const vx_reader *r)
{
    vx_arch *a = r->arch;
    if (!r->found->model[VX_POOL_PROBE])
        return VITX_OK;
    a->pool_heads = r->hints->pool_heads ? r->hints->pool_heads : a->heads;
    if (a->pool_heads <= a->width && a->width % a->pool_heads == 0)
        return VITX_OK;
    return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                      " says that the pooling head has %d attention heads, which cannot share the "
                      "width of %d in %s",
                      a->pool_heads, a->width, r->container->path);
}

int vx_read_heads(vx_reader *r, vx_hints *hints)
{
    vx_arch *a = r->arch;
    if (a->heads && hints->from_heads != VITX_FROM_DEFAULT)
        VX_TRY(vx_agree(r, "the number of attention heads", hints->heads, a->heads));
    if (a->heads || (hints->heads == 0 && a->qk_norm && a->qk_norm < a->width)) {
        /* a table of relative positions, or the norm of one head */
        hints->heads = a->heads ? a->heads : a->width / a->qk_norm;
        hints->from_heads = VITX_FROM_TENSORS;
    }
    a->heads = hints->heads;
    if (a->heads == 0) {
        a->heads = guess_heads(a->width, a->depth, a->swiglu);
        hints->from_heads = VITX_FROM_DEFAULT;
        if (a->heads == 0)
            return vx_fail_field_in(
                VITX_UNSUPPORTED, r->container->path, "heads",
                "nothing says how many attention heads share the width of %d; say it in "
                "config.json "
                "(timm: \"model_args\": {\"num_heads\": N}, Hugging Face: \"num_attention_heads\": "
                "N), or with heads",
                a->width);
        vx_log(&r->container->hooks, VITX_LOG_INFO,
               "%s: %d attention heads taken from its width of %d", r->container->path, a->heads,
               a->width);
    }
    if (a->heads > a->width || a->width % a->heads)
        return vx_fail_in(VITX_FORMAT, r->container->path,
                          "its width of %d cannot be shared by %d attention heads", a->width,
                          a->heads);
    a->head_width = a->width / a->heads;
    VX_TRY(check_key_heads(r));
    VX_TRY(read_pool_heads(r));
    VX_TRY(vx_agree(r, "the number of heads", r->sizes.frequency_heads, a->heads));
    if (a->rotary.kind && a->head_width % 4)
        return vx_fail_in(VITX_FORMAT, r->container->path,
                          "rotates queries and keys by rows and columns, and %d heads have a width "
                          "of %d, no multiple of 4",
                          a->heads, a->head_width);
    VX_TRY(check_qk_norm(r));
    return double_heads(r);
}

/* -------------------------------------------------------------------------- reading ------- */

/* Whether a role comes with the one before it. */
static bool follows(const vx_reader *r, vx_role role)
{
    const vx_need need = vx_role_need(role);
    const bool rms = r->arch->rms || (role == VX_ATTN_NORM_B && r->arch->differential);
    return need == VX_WITH || (need == VX_CENTRED && !rms);
}

/* Whether the model cannot do without a role; a projection needs no bias. */
static bool needed(const vx_reader *r, int role)
{
    const vx_arch *a = r->arch;
    const bool pool = r->found->model[VX_POOL_PROBE] != NULL;
    switch (role) {
    case VX_HEAD_W:
    case VX_HEAD_T: /* a naming has one of them */
        return !a->bare;
    case VX_HEAD_B: /* people's own classifiers may lack it */
        return !a->units && r->hints->has_head && !r->match->own_head;
    case VX_FREQUENCIES:
        return r->hints->rotary.kind == VX_ROTATE_LEARNT;
    case VX_POOL_QKV_W: /* a naming has this one or the others */
        return pool;
    case VX_POOL_Q_W:
        return pool && !r->found->model[VX_POOL_QKV_W] && !r->hints->pool_plain;
    case VX_POOL_KV_W: /* a naming has this one or the next */
    case VX_POOL_K_W:
        return pool && !r->found->model[VX_POOL_QKV_W];
    case VX_POOL_PROJ_W:
        return pool;
    case VX_POOL_NORM_W:
    case VX_POOL_FC1_W:
    case VX_POOL_FC2_W:
        return pool && !r->hints->pool_plain;
    default:
        break;
    }
    return vx_role_need(role) == VX_REQUIRED || (follows(r, role) && r->found->model[role - 1]);
}

/* Whether the answer is the mean of a class token's and a distillation token's. */
static bool reads_two_tokens(const vx_reader *r)
{
    const vx_tensor *const *model = r->found->model;
    return model[VX_HEAD2_W] || (model[VX_CLASS_TOKEN] && model[VX_DISTILLATION_TOKEN] &&
                                 r->match->dialect->naming->two_heads);
}

/* A distillation token's head makes two, or there is none. */
static int check_heads(const vx_reader *r)
{
    const vx_tensor *const *model = r->found->model;
    if (model[VX_HEAD2_W] && !(model[VX_CLASS_TOKEN] && model[VX_DISTILLATION_TOKEN]))
        return vx_role_missing(r, VX_DISTILLATION_TOKEN, 0);
    if (model[VX_HEAD2_W] && r->arch->bare)
        return vx_role_missing(r, VX_HEAD_W, 0);
    if (model[VX_HEAD2_W] && !model[VX_HEAD_B]) /* of one alone there is no mean */
        return vx_role_missing(r, VX_HEAD_B, 0);
    if (!model[VX_HEAD2_W] && reads_two_tokens(r) && !r->arch->bare)
        return vx_role_missing(r, VX_HEAD2_W, 0);
    if ((reads_two_tokens(r) || r->sizes.concatenates) && model[VX_FC_NORM_W])
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has a norm after pooling and a head that reads two vectors: no known "
                          "model has both");
    return VITX_OK;
}

/* A head that the configuration tells of none is left alone, as timm drops it. */
static bool leave_head(vx_reader *r, vx_role role)
{
    const vx_tensor *t;
    if (!r->hints->headless || role < VX_HEAD_W || role > VX_HEAD_T)
        return false;
    t = vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, role, 0);
    if (t)
        r->used[t - r->container->tensors] = true;
    return true;
}

/* Learnt frequencies have an axis of heads. */
static int read_frequencies(vx_reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    const vx_tensor *t = vx_role_find(r->container, naming, r->match->prefix, VX_FREQUENCIES, 0);
    const bool learnt = r->hints->rotary.kind == VX_ROTATE_LEARNT;
    if (t && !learnt)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "rotates its queries and keys (tensor %.100s), and no configuration says "
                          "how: timm's has \"model_args\": {\"rope_type\": \"mixed\"}",
                          t->name);
    return learnt ? vx_role_size(&r->sizes.frequency_heads, r, VX_FREQUENCIES, 0, 2, MAX_WIDTH,
                                 "a number of heads")
                  : VITX_OK;
}

int vx_take_model_roles(vx_reader *r)
{
    for (int i = 0; i < VX_MODEL_ROLES; i++)
        if (i != VX_POSITIONS && !leave_head(r, (vx_role)i)) {
            const bool there = needed(r, i);
            if (vx_role_need(i) >= VX_WITH && !there)
                continue; /* a bias without its weight is left over, and refused as such */
            VX_TRY(vx_role_take(&r->found->model[i], r, (vx_role)i, 0, there));
        }
    return VITX_OK;
}

/* What a picture's network has beside its blocks. */
static int take_front_and_back(vx_reader *r)
{
    const vx_tensor **model = r->found->model;
    VX_TRY(read_frequencies(r));
    if (vx_role_has(r, VX_POOL_FC1_W, 0))
        VX_TRY(vx_role_size(&r->arch->pool_hidden, r, VX_POOL_FC1_W, 0, 0, VX_MAX_HIDDEN,
                            "a hidden width"));
    if (vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, VX_REGISTERS, 0))
        VX_TRY(vx_role_size(&r->sizes.registers, r, VX_REGISTERS, 0, 1, VX_MAX_TOKENS,
                            "a number of registers"));
    VX_TRY(vx_take_model_roles(r));
    VX_TRY(vx_agree(r, "the number of registers", r->hints->registers, r->sizes.registers));
    if (model[VX_DISTILLATION_TOKEN] && model[VX_REGISTERS])
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has registers and a distillation token: no known model has both");
    r->arch->prefix = (model[VX_CLASS_TOKEN] != NULL) + (model[VX_DISTILLATION_TOKEN] != NULL) +
                      r->sizes.registers;
    VX_TRY(check_heads(r));
    VX_TRY(vx_read_relative(r));
    VX_TRY(vx_read_grid(r));
    return vx_role_take(&model[VX_POSITIONS], r, VX_POSITIONS, 0, r->sizes.position_rows > 0);
}

/* timm's networks with a norm before the blocks and a pooling head, or without a norm behind them,
 * are Perception Encoders. */
static int refuse_unrotated(const vx_reader *r)
{
    const vx_tensor *const *model = r->found->model;
    const vx_tensor *before = model[VX_NORM_PRE_W];
    const bool encoder = model[VX_POOL_PROBE] || (!model[VX_NORM_W] && !model[VX_FC_NORM_W]);
    if (r->match->dialect->naming != &vx_naming_timm || r->hints->network_told || !before ||
        model[VX_PATCH_B] || !encoder || r->arch->rotary.kind)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                      "is a Perception Encoder by its tensors (%.100s, and %s), and no "
                      "configuration says how it rotates queries and keys; say it in config.json: "
                      "\"architecture\": \"vit_pe_...\"",
                      before->name,
                      model[VX_POOL_PROBE] ? model[VX_POOL_PROBE]->name
                                           : "no norm behind the blocks");
}

/* Biases of queries, keys and values lie in one tensor, or apart: then all are there, but for those
 * of the keys where the matrices are one tensor, as EVA has it. */
static int check_biases(const vx_reader *r)
{
    const vx_tensor *const *first = r->found->blocks[0];
    const vx_tensor *q = first[VX_Q_B - VX_MODEL_ROLES], *k = first[VX_K_B - VX_MODEL_ROLES],
                    *v = first[VX_V_B - VX_MODEL_ROLES], *all = first[VX_QKV_B - VX_MODEL_ROLES];
    const bool keys = k || r->hints->no_key_bias || first[VX_QKV_W - VX_MODEL_ROLES];
    if (all && (q || k || v))
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has tensor %.100s beside %.100s: one of them is read",
                          (q   ? q
                           : v ? v
                               : k)
                              ->name,
                          all->name);
    if (!q != !v || (q && !keys) || (k && !q))
        return vx_role_missing(r, !q ? VX_Q_B : !v ? VX_V_B : VX_K_B, 0);
    if (r->arch->swiglu && q && !k && r->arch->rotary.kind == VX_ROTATE_NONE)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "is an EVA-02 by its tensors (%.100s beside a gated perceptron), and no "
                          "configuration says how it rotates queries and keys; say it in "
                          "config.json: \"architecture\": \"eva02_...\"",
                          q->name);
    VX_TRY(refuse_unrotated(r));
    if (r->hints->qkv_bias_known && r->hints->qkv_bias != (all || q))
        return vx_fail_in(VITX_FORMAT, vx_said_by(r), "says qkv_bias is %s, but %s %s such biases",
                          r->hints->qkv_bias ? "true" : "false", r->container->path,
                          all || q ? "has" : "lacks");
    return VITX_OK;
}

/* Whether a block cannot do without a role: of what is one tensor or several apart, either. */
static bool block_needs(const vx_reader *r, vx_role role, int block)
{
    switch (role) {
    case VX_QKV_W:
        return !vx_role_has(r, VX_Q_W, block) && !r->arch->parallel;
    case VX_Q_W:
    case VX_K_W:
    case VX_V_W:
        return !vx_found_at(r->found, VX_QKV_W, block) && !r->arch->parallel;
    case VX_NORM2_W:
        return !r->arch->parallel;
    case VX_PROJ_W:
    case VX_FC2_W:
        return !vx_role_has(r, VX_OUT_W, 0);
    case VX_TWIN_QKV_W:
    case VX_TWIN_PROJ_W:
    case VX_TWIN_NORM2_W:
    case VX_TWIN_FC1_W:
    case VX_TWIN_FC2_W:
        return r->arch->twins;
    case VX_LAMBDA_Q2:
        return vx_role_has(r, VX_LAMBDA_Q1, block);
    case VX_FC1_W:
        return (!r->arch->swiglu || !vx_role_has(r, VX_GATE_W, 0)) && !r->arch->parallel;
    default:
        return vx_role_need(role) == VX_REQUIRED;
    }
}

/* An optional tensor that block 0 has is in all blocks, or it is left over. */
int vx_take_block_roles(vx_reader *r)
{
    for (int b = 0; b < r->arch->depth; b++) {
        r->sizes.key_rows = r->arch->width;
        if (vx_role_has(r, VX_K_W, b))
            VX_TRY(vx_role_size(&r->sizes.key_rows, r, VX_K_W, b, 0, r->arch->width, "rows"));
        for (int i = 0; i < VX_BLOCK_ROLES; i++) {
            const vx_role role = (vx_role)(VX_MODEL_ROLES + i);
            const vx_need need = vx_role_need(role);
            const bool there = block_needs(r, role, b) || (b > 0 && r->found->blocks[0][i]) ||
                               (follows(r, role) && r->found->blocks[b][i - 1]);
            const bool whole = role == VX_FC1_W || role == VX_FC1_B;
            if (((b > 0 || need >= VX_WITH) && !there) || (whole && vx_role_has(r, VX_GATE_W, b)))
                continue;
            VX_TRY(vx_role_take(&r->found->blocks[b][i], r, role, b, there));
        }
        if (b == 0)
            VX_TRY(check_biases(r));
        r->arch->masked_keys = r->hints->masked_keys;
        r->arch->mlp_norm = vx_found_at(r->found, VX_MLP_NORM_W, b);
    }
    return VITX_OK;
}

/* With an attention-pooling head its tensors and the configuration must agree. */
static int check_map(const vx_reader *r)
{
    const bool there = r->found->model[VX_POOL_PROBE] != NULL;
    const vx_naming *naming = r->match->dialect->naming;
    char name[200] = "such a head";
    if (vx_role_named(naming, VX_POOL_PROBE))
        vx_role_name(name, sizeof name, naming, r->match->prefix, VX_POOL_PROBE, 0);
    if (there != (r->arch->pool == VX_POOL_MAP))
        return vx_fail_in(VITX_FORMAT, vx_said_by(r), " %s attention pooling, but %s %s %s",
                          there ? "says nothing of" : "says", r->container->path,
                          there ? "holds" : "lacks", name);
    if (there && r->arch->swiglu && !r->hints->pool_plain)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "has SwiGLU and attention pooling: no known model has both");
    r->arch->mean_prefix = r->arch->pool == VX_POOL_AVG && r->hints->pool_prefix;
    r->arch->pool_first = there && !r->hints->pool_prefix ? r->arch->prefix : 0;
    return VITX_OK;
}

static int read_pool(vx_reader *r)
{
    const vx_tensor **model = r->found->model;
    const bool class_token = model[VX_CLASS_TOKEN] != NULL;
    const bool average = !class_token || (model[VX_FC_NORM_W] && !model[VX_NORM_W]);
    vx_arch *a = r->arch;
    a->pool = r->hints->pool_known   ? r->hints->pool
              : model[VX_POOL_PROBE] ? VX_POOL_MAP
              : average              ? VX_POOL_AVG
                                     : VX_POOL_TOKEN;
    if (reads_two_tokens(r))
        a->pool = VX_POOL_TWO_TOKENS;
    else if (model[VX_HEAD_W] && r->sizes.concatenates)
        a->pool = VX_POOL_TOKEN_AVG;
    VX_TRY(check_map(r));
    if (r->hints->norm_after && !model[VX_FC_NORM_W]) {
        model[VX_FC_NORM_W] = model[VX_NORM_W];
        model[VX_FC_NORM_B] = model[VX_NORM_B];
        model[VX_NORM_W] = model[VX_NORM_B] = NULL;
    }
    if (a->pool != VX_POOL_AVG && a->pool != VX_POOL_MAP && !class_token)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                          " says that the class token is read, but %s has none",
                          r->container->path);
    return VITX_OK;
}

static int read_all(vx_reader *r, vx_hints *hints, const vitx_hooks *hooks)
{
    vx_arch *a = r->arch;
    VX_TRY(read_sizes(r));
    VX_TRY(vx_new(&r->found->blocks, hooks, (size_t)a->depth, sizeof *r->found->blocks,
                  "the list of blocks"));
    VX_TRY(vx_new(&r->used, hooks, (size_t)r->container->count, sizeof *r->used,
                  "the list of used tensors"));
    VX_TRY(take_front_and_back(r));
    VX_TRY(vx_take_block_roles(r));
    VX_TRY(vx_leave_out(&r->found->left_out, r));
    VX_TRY(vx_read_heads(r, hints));
    VX_TRY(read_pool(r));
    if (hints->from_eps == VITX_FROM_DEFAULT && r->match->dialect->eps > 0)
        hints->eps = r->match->dialect->eps;
    a->eps = (float)hints->eps;
    a->post_norm = hints->post_norm;
    a->pos_late = hints->pos_late && r->found->model[VX_NORM_PRE_W];
    a->act = a->swiglu ? VX_ACT_SWIGLU : hints->act;
    if (a->swiglu)
        hints->from_act = VITX_FROM_TENSORS;
    return VITX_OK;
}

int vx_family_bind(vx_found *found, vx_arch *arch, const vx_match *match, vx_hints *hints,
                   const vx_container *container, const vx_config *config, const vitx_hooks *hooks)
{
    *found = (vx_found){0};
    *arch = (vx_arch){0};
    vx_reader r = {
        .found = found,
        .arch = arch,
        .sizes = {.arch = arch, .concatenates = match->dialect->concatenates && !match->reads_one},
        .match = match,
        .hints = hints,
        .container = container,
        .config = config};
    const int status = read_all(&r, hints, hooks);
    vx_release(hooks, r.used);
    return status;
}
