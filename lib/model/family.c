/*
 * model/family.c: which family a file is of, and its tensors by role.
 *
 * Sizes are read from the tensors' shapes; what the configuration says besides must agree. Every
 * tensor of the file must be used or known to be harmless: one that is left over (a query norm, a
 * relative position bias) would change the answer.
 */
#include "model/family.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 1024
#define MAX_WIDTH 65536
#define MAX_HIDDEN (1 << 20)
#define MAX_CLASSES (1 << 24)
#define MAX_PATCH 1024

#define VX_FAMILY(name) extern const vx_family vx_family_##name;
#include "model/families.def"
#undef VX_FAMILY

static const vx_family *const families[] = {
#define VX_FAMILY(name) &vx_family_##name,
#include "model/families.def"
#undef VX_FAMILY
};
#define FAMILIES (sizeof families / sizeof families[0])

static const char *template_of(const vx_naming *naming, vx_role role)
{
    const char *own = naming->names[role];
    return own || !naming->base ? own : naming->base->names[role];
}

/* A name written out from its template, up to the end or to '|'. */
static const char *write_name(char *text, size_t size, const char *name, const char *prefix,
                              int block, bool behind_prefix)
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

const vx_family *vx_family_at(int index)
{
    return index >= 0 && (size_t)index < FAMILIES ? families[index] : NULL;
}

const char *vx_role_name(char *text, size_t size, const vx_naming *naming, const char *prefix,
                         vx_role role, int block)
{
    return write_name(text, size, template_of(naming, role) ? template_of(naming, role) : "",
                      prefix, block, !naming->names[role] && naming->base);
}

/* -------------------------------------------------------------------------- refusals ------ */

/* Tensor names that tell of networks vitx does not run: '^' begins so, else contains. */
static const struct {
    const char *pattern, *what;
} foreign[] = {
    {"^text_model.", "the text part of a CLIP or SigLIP"},
    {"^visual.attnpool.", "the residual network of a CLIP"},
    {"^visual.attn_pool.", "a CoCa, which pools with many queries"},
    {"q_norm.", "a model that normalises its queries and keys"},
    {"k_norm.", "a model that normalises its queries and keys"},
    {"relative_position", "a model with relative position bias, as BEiT and Swin have it"},
    {"rel_pos", "a model with relative position bias, as BEiT and SAM have it"},
    {"attn.q_bias", "a BEiT or EVA model"},
    {".attns.", "a model with parallel blocks"},
    {"blocks.0.in_proj.", "a model with parallel blocks"},
    {"mlp.fc1_g.", "an EVA, whose SwiGLU and rotary positions differ"},
    {"^layer.0.attention.q_proj.", "a DINOv3"},
    {"lm_head.", "a language model"},
    {"embed_tokens.", "a language model"},
    {"word_embeddings.", "a language model"},
    {"^model.layers.", "a language model"},
    {"^transformer.h.", "a language model"},
    {"decoder", "a masked autoencoder or another model with a decoder"},
    {"downsample", "a network in stages, as Swin"},
    {"^stages.", "a network in stages, as ConvNeXt"},
    {"convnext", "a ConvNeXt"},
    {"MAPHead_", "a model with an attention-pooling head"},
    {"conv_root/", "a hybrid of ResNet and ViT"},
    {"MixerBlock_", "an MLP-Mixer"},
    {"^resnet/", "a ResNet"},
    {"^timm_model.", "a timm model wrapped by transformers (timm's own file is read)"},
};

/* The same for timm's names of architectures, whose tensors alone would pass for a plain ViT. */
static const struct {
    const char *part, *what;
} foreign_architectures[] = {
    {"_rpn", "which normalises after each layer, not before"},
    {"dinov3", "a DINOv3"},
};

static bool matches(const char *name, const char *pattern)
{
    return pattern[0] == '^' ? strncmp(name, pattern + 1, strlen(pattern + 1)) == 0
                             : strstr(name, pattern) != NULL;
}

static bool harmless(const char *name, const char *const *list, const char *prefix)
{
    for (; *list; list++) {
        char full[200];
        const char *rest = *list;
        snprintf(full, sizeof full, "%s%s", *rest == '*' ? prefix : "",
                 *rest == '*' ? rest + 1 : rest);
        const size_t n = strlen(full);
        const bool beginning = full[n - 1] == '.' || full[n - 1] == '/';
        if (strcmp(name, full) == 0 || (beginning && strncmp(name, full, n) == 0))
            return true;
    }
    return false;
}

/* d: what the file was taken for, whose harmless tensors (a text tower) do not count; or NULL. */
static int refuse_foreign_tensors(const vx_container *c, const vx_dialect *d)
{
    for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++)
        for (int i = 0; i < c->count; i++)
            if (matches(c->tensors[i].name, foreign[k].pattern) &&
                !(d && harmless(c->tensors[i].name, d->naming->harmless, d->prefix)))
                return vx_fail(VITX_UNSUPPORTED,
                               "%s: looks like %s, which vitx does not run (tensor %.100s)",
                               c->path, foreign[k].what, c->tensors[i].name);
    return VITX_OK;
}

static int refuse_foreign_architecture(const vx_container *c, const char *architecture)
{
    for (size_t k = 0; k < sizeof foreign_architectures / sizeof foreign_architectures[0]; k++)
        if (strstr(architecture, foreign_architectures[k].part))
            return vx_fail(VITX_UNSUPPORTED, "%s: architecture %.100s, %s, is not run by vitx",
                           c->path, architecture, foreign_architectures[k].what);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- matching ------ */

static const vx_tensor *find_role(const vx_container *c, const vx_naming *naming,
                                  const char *prefix, vx_role role, int block)
{
    char name[200];
    const bool behind_prefix = !naming->names[role]; /* then it is the base's, if any */
    const vx_tensor *found = NULL;
    for (const char *p = template_of(naming, role); p && !found;) {
        found =
            vx_container_find(c, write_name(name, sizeof name, p, prefix, block, behind_prefix));
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    return found;
}

static bool begins_with_one_of(const char *text, const char *const *beginnings)
{
    for (; beginnings && *beginnings; beginnings++)
        if (**beginnings == '*' ? strstr(text, *beginnings + 1) != NULL
                                : strncmp(text, *beginnings, strlen(*beginnings)) == 0)
            return true;
    return false;
}

static bool match_dialect(const vx_dialect *d, const vx_container *c, const vx_config *config)
{
    char name[200];
    if (!find_role(c, d->naming, d->prefix, VX_PATCH_W, 0) ||
        !find_role(c, d->naming, d->prefix, d->with, 0))
        return false;
    for (const char *const *t = d->tensors; t && *t; t++)
        if (!vx_container_find(c, write_name(name, sizeof name, *t, d->prefix, 0, false)))
            return false;
    const char *architecture = d->naming->architecture(config);
    return !d->architectures ||
           (architecture && begins_with_one_of(architecture, d->architectures));
}

static int refuse_unknown(const vx_container *c)
{
    if (c->count == 0)
        return vx_fail(VITX_FORMAT, "%s: holds no tensor", c->path);
    return vx_fail(VITX_UNSUPPORTED,
                   "%s: no Vision Transformer that vitx knows: there is neither tensor "
                   "patch_embed.proj.weight (timm) nor vit.embeddings.patch_embeddings."
                   "projection.weight (Hugging Face) nor embedding/kernel (Google) among its %d; "
                   "the first is %.100s",
                   c->path, c->count, c->tensors[0].name);
}

int vx_family_match(vx_match *out, const vx_container *container, const vx_config *config)
{
    for (size_t f = 0; f < FAMILIES; f++)
        for (const vx_dialect *d = families[f]->dialects; d->naming; d++) {
            if (!match_dialect(d, container, config))
                continue;
            const char *architecture = d->naming->architecture(config);
            *out = (vx_match){families[f], d, d->prefix};
            VX_TRY(refuse_foreign_tensors(container, d));
            return architecture ? refuse_foreign_architecture(container, architecture) : VITX_OK;
        }
    VX_TRY(refuse_foreign_tensors(container, NULL));
    return refuse_unknown(container);
}

/* -------------------------------------------------------------------------- shapes -------- */

typedef enum dim { DIM_END = 0, ONE, ROWS, R, D, D2, D3, F1, F, K, KD, C, PH, PW } dim;

/* Shape of each role, and whether a model may lack it; WITH: there if the role before it is. */
typedef enum need { REQUIRED = 0, OPTIONAL, WITH } need;
static const struct {
    need need;
    unsigned char shape[5];
} roles[VX_ROLES] = {
    [VX_PATCH_W] = {REQUIRED, {D, C, PH, PW}},
    [VX_PATCH_B] = {OPTIONAL, {D}},
    [VX_CLASS_TOKEN] = {OPTIONAL, {ONE, ONE, D}},
    [VX_DISTILLATION_TOKEN] = {OPTIONAL, {ONE, ONE, D}},
    [VX_REGISTERS] = {OPTIONAL, {ONE, R, D}},
    [VX_POSITIONS] = {REQUIRED, {ONE, ROWS, D}},
    [VX_NORM_PRE_W] = {OPTIONAL, {D}},
    [VX_NORM_PRE_B] = {WITH, {D}},
    [VX_NORM_W] = {OPTIONAL, {D}},
    [VX_NORM_B] = {WITH, {D}},
    [VX_FC_NORM_W] = {OPTIONAL, {D}},
    [VX_FC_NORM_B] = {WITH, {D}},
    [VX_HEAD_W] = {OPTIONAL, {K, KD}}, /* see needed() */
    [VX_HEAD_B] = {OPTIONAL, {K}},
    [VX_HEAD2_W] = {OPTIONAL, {K, D}},
    [VX_HEAD2_B] = {WITH, {K}},
    [VX_HEAD_T] = {OPTIONAL, {D, K}},
    [VX_POOL_PROBE] = {OPTIONAL, {ONE, ONE, D}},
    [VX_POOL_QKV_W] = {OPTIONAL, {D3, D}},
    [VX_POOL_QKV_B] = {OPTIONAL, {D3}},
    [VX_POOL_Q_W] = {OPTIONAL, {D, D}},
    [VX_POOL_Q_B] = {OPTIONAL, {D}},
    [VX_POOL_KV_W] = {OPTIONAL, {D2, D}},
    [VX_POOL_KV_B] = {OPTIONAL, {D2}},
    [VX_POOL_PROJ_W] = {OPTIONAL, {D, D}},
    [VX_POOL_PROJ_B] = {OPTIONAL, {D}},
    [VX_POOL_NORM_W] = {OPTIONAL, {D}},
    [VX_POOL_NORM_B] = {WITH, {D}},
    [VX_POOL_FC1_W] = {OPTIONAL, {F, D}},
    [VX_POOL_FC1_B] = {OPTIONAL, {F}},
    [VX_POOL_FC2_W] = {OPTIONAL, {D, F}},
    [VX_POOL_FC2_B] = {OPTIONAL, {D}},
    [VX_NORM1_W] = {REQUIRED, {D}},
    [VX_NORM1_B] = {REQUIRED, {D}},
    [VX_QKV_W] = {REQUIRED, {D3, D}},
    [VX_QKV_B] = {OPTIONAL, {D3}},
    [VX_Q_W] = {REQUIRED, {D, D}},
    [VX_Q_B] = {OPTIONAL, {D}},
    [VX_K_W] = {REQUIRED, {D, D}},
    [VX_K_B] = {OPTIONAL, {D}},
    [VX_V_W] = {REQUIRED, {D, D}},
    [VX_V_B] = {OPTIONAL, {D}},
    [VX_PROJ_W] = {REQUIRED, {D, D}},
    [VX_PROJ_B] = {OPTIONAL, {D}},
    [VX_LS1] = {OPTIONAL, {D}},
    [VX_NORM2_W] = {REQUIRED, {D}},
    [VX_NORM2_B] = {REQUIRED, {D}},
    [VX_FC1_W] = {REQUIRED, {F1, D}},
    [VX_FC1_B] = {OPTIONAL, {F1}},
    [VX_FC2_W] = {REQUIRED, {D, F}},
    [VX_FC2_B] = {OPTIONAL, {D}},
    [VX_LS2] = {OPTIONAL, {D}},
};

/* What the reading functions share. */
typedef struct reader {
    vx_found *found;
    vx_arch *arch;
    int64_t position_rows;
    int registers;
    const vx_match *match;
    const vx_hints *hints;
    const vx_container *container;
    const vx_config *config;
    bool *used; /* [container->count] */
} reader;

static int64_t dim_size(const reader *r, unsigned char code)
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

static int check_shape(const reader *r, const vx_tensor *t, vx_role role)
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
    return vx_fail(VITX_FORMAT, "%s: tensor %.100s has shape %s, expected %s", r->container->path,
                   t->name, vx_shape_text(is, sizeof is, t->shape, t->rank),
                   vx_shape_text(expected, sizeof expected, shape, rank));
}

static int missing(const reader *r, vx_role role, int block)
{
    char name[200];
    vx_role_name(name, sizeof name, r->match->dialect->naming, r->match->prefix, role, block);
    return vx_fail(VITX_FORMAT, "%s: lacks tensor %s", r->container->path, name);
}

/* One role; *out NULL where the model has none. `there`: an optional one must be there. */
static int take(const vx_tensor **out, reader *r, vx_role role, int block, bool there)
{
    const vx_naming *naming = r->match->dialect->naming;
    const vx_tensor *t = find_role(r->container, naming, r->match->prefix, role, block);
    *out = t;
    if (!template_of(naming, role) || (!t && !there))
        return VITX_OK;
    if (!t)
        return missing(r, role, block);
    if (t->dtype == VX_DTYPE_OTHER)
        return vx_fail(VITX_UNSUPPORTED, "%s: tensor %.100s is %s; vitx reads F32, F16 and BF16",
                       r->container->path, t->name, t->dtype_name);
    r->used[t - r->container->tensors] = true;
    return check_shape(r, t, role);
}

/* A size from a shape: dimension `at` of a role's tensor. */
static int size_of_role(int *out, const reader *r, vx_role role, int block, int at, int most,
                        const char *what)
{
    const vx_tensor *t =
        find_role(r->container, r->match->dialect->naming, r->match->prefix, role, block);
    char shape[200];
    if (!t)
        return missing(r, role, block);
    const int without = left_out(t, role);
    at -= without;
    if (t->rank + without != (int)strlen((const char *)roles[role].shape))
        return vx_fail(VITX_FORMAT, "%s: tensor %.100s has shape %s, expected %zu dimensions",
                       r->container->path, t->name,
                       vx_shape_text(shape, sizeof shape, t->shape, t->rank),
                       strlen((const char *)roles[role].shape));
    if (t->shape[at] < 1 || t->shape[at] > most)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: tensor %.100s has shape %s: %s from 1 to %d is supported",
                       r->container->path, t->name,
                       vx_shape_text(shape, sizeof shape, t->shape, t->rank), what, most);
    *out = (int)t->shape[at];
    return VITX_OK;
}

/* -------------------------------------------------------------------------- sizes --------- */

/* The block that a tensor belongs to, -1 for none: its name against what stands before and after the
 * number. */
static int block_of(const char *name, const char *start, char after)
{
    const size_t n = strlen(start);
    int block = 0;
    if (strncmp(name, start, n) != 0)
        return -1;
    const char *p = name + n;
    for (; *p >= '0' && *p <= '9' && block <= MAX_DEPTH; p++)
        block = block * 10 + (*p - '0');
    return p > name + n && *p == after ? block : -1;
}

static int count_blocks(reader *r)
{
    char start[200];
    const vx_naming *naming = r->match->dialect->naming;
    const char *const pattern = template_of(naming, VX_NORM1_W);
    const char *const number = strchr(pattern, '#');
    const bool starred = pattern[0] == '*', of_base = !naming->names[VX_NORM1_W];
    snprintf(start, sizeof start, "%s%.*s", starred || of_base ? r->match->prefix : "",
             (int)(number - pattern) - starred, pattern + starred);
    for (int i = 0; i < r->container->count; i++) {
        const int block = block_of(r->container->tensors[i].name, start, number[1]);
        if (block >= MAX_DEPTH)
            return vx_fail(VITX_UNSUPPORTED, "%s: tensor %.100s: at most %d blocks are supported",
                           r->container->path, r->container->tensors[i].name, MAX_DEPTH);
        if (block >= r->arch->depth)
            r->arch->depth = block + 1;
    }
    return r->arch->depth ? VITX_OK : missing(r, VX_NORM1_W, 0);
}

/* The file of the configuration. */
static const char *said_by(const reader *r)
{
    return r->hints->path ? r->hints->path : r->config->config_path;
}

static int agree(const reader *r, const char *what, int told, int is)
{
    if (told == 0 || told == is)
        return VITX_OK;
    return vx_fail(VITX_FORMAT, "%s says %s is %d, but in %s it is %d", said_by(r), what, told,
                   r->container->path, is);
}

/* Meta's heads of DINOv2 that read the last four blocks. */
static int refuse_linear4(const reader *r)
{
    const vx_tensor *t =
        find_role(r->container, r->match->dialect->naming, r->match->prefix, VX_HEAD_W, 0);
    if (t && r->match->dialect->concatenates && t->rank == 2 &&
        t->shape[1] == 5 * (int64_t)r->arch->width)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: its head reads the class tokens of the last four blocks (tensor %.100s "
                       "of 5 x %d columns), which vitx does not run; the head of one block is run",
                       r->container->path, t->name, r->arch->width);
    return VITX_OK;
}

/* Without a head, where the configuration says of none, the outputs are the pooled features. */
static int read_head_size(reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    vx_arch *a = r->arch;
    const bool turned = template_of(naming, VX_HEAD_T) != NULL;
    a->bare = !find_role(r->container, naming, r->match->prefix, VX_HEAD_W, 0) &&
              !find_role(r->container, naming, r->match->prefix, VX_HEAD_B, 0) &&
              !find_role(r->container, naming, r->match->prefix, VX_HEAD_T, 0) &&
              r->hints->classes == 0 && !r->hints->classifies;
    a->units = a->bare || r->hints->units;
    a->classes = a->width;
    if (a->bare)
        return VITX_OK;
    if (turned)
        return size_of_role(&a->classes, r, VX_HEAD_T, 0, 1, MAX_CLASSES, "a number of outputs");
    VX_TRY(refuse_linear4(r));
    return size_of_role(&a->classes, r, VX_HEAD_W, 0, 0, MAX_CLASSES, "a number of classes");
}

/* fc1 has as many rows as fc2 has columns, or, with SwiGLU, twice as many. */
static int read_hidden(reader *r)
{
    vx_arch *a = r->arch;
    int rows, columns;
    VX_TRY(size_of_role(&rows, r, VX_FC1_W, 0, 0, MAX_HIDDEN, "a hidden width"));
    VX_TRY(size_of_role(&columns, r, VX_FC2_W, 0, 1, MAX_HIDDEN, "a hidden width"));
    a->swiglu = rows == 2 * columns;
    a->hidden = a->swiglu ? columns : rows;
    return VITX_OK;
}

static int read_sizes(reader *r)
{
    vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    VX_TRY(size_of_role(&a->width, r, VX_PATCH_W, 0, 0, MAX_WIDTH, "a width"));
    VX_TRY(size_of_role(&a->channels, r, VX_PATCH_W, 0, 1, MAX_PATCH, "a number of channels"));
    VX_TRY(size_of_role(&a->patch_height, r, VX_PATCH_W, 0, 2, MAX_PATCH, "a patch height"));
    VX_TRY(size_of_role(&a->patch_width, r, VX_PATCH_W, 0, 3, MAX_PATCH, "a patch width"));
    if (a->channels != 3)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: reads pictures of %d channels; vitx has RGB, 3 channels",
                       r->container->path, a->channels);
    VX_TRY(read_head_size(r));
    VX_TRY(count_blocks(r));
    VX_TRY(read_hidden(r));
    VX_TRY(agree(r, "the depth", h->depth, a->depth));
    VX_TRY(agree(r, "the width", h->width, a->width));
    VX_TRY(agree(r, "the hidden width", h->hidden, a->hidden));
    VX_TRY(agree(r, "the number of classes", h->classes, a->classes));
    VX_TRY(agree(r, "the patch height", h->patch_height, a->patch_height));
    return agree(r, "the patch width", h->patch_width, a->patch_width);
}

static int64_t square_root(int64_t n)
{
    int64_t s = 0;
    while ((s + 1) * (s + 1) <= n)
        s++;
    return s;
}

/* What is wrong with position embeddings that make neither the image size's patches nor a square. */
static int refuse_positions(const reader *r, int rows, int64_t patches)
{
    const vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    if (h->image_height)
        return vx_fail(VITX_FORMAT,
                       "%s has %d position embeddings, but %dx%d pixels (%s) in patches of "
                       "%dx%d and %d more tokens make %lld",
                       r->container->path, rows, h->image_height, h->image_width, said_by(r),
                       a->patch_height, a->patch_width, a->prefix,
                       (long long)(patches + a->prefix));
    return vx_fail(VITX_UNSUPPORTED,
                   "%s: %d position embeddings make no square of patches; say the image "
                   "size in config.json (timm: model_args.img_size, Hugging Face: "
                   "image_size)",
                   r->container->path, rows);
}

static int count_positions(reader *r, int *rows)
{
    const vx_naming *naming = r->match->dialect->naming;
    char name[200];
    if (!find_role(r->container, naming, r->match->prefix, VX_POSITIONS, 0))
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: has no position embeddings (%s); models that rotate queries and keys "
                       "instead, as DINOv3 and EVA, are not run",
                       r->container->path,
                       vx_role_name(name, sizeof name, naming, r->match->prefix, VX_POSITIONS, 0));
    VX_TRY(size_of_role(rows, r, VX_POSITIONS, 0, 1, VX_MAX_TOKENS, "a number of tokens"));
    r->position_rows = *rows;
    return VITX_OK;
}

/* The grid of the position embeddings: the image size's where they are as many, else a square one,
 * which is then resampled; and which prefix tokens have rows among them: all, none, or the class token
 * without the registers. */
static int read_grid(reader *r)
{
    vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    const int ways[] = {a->prefix, r->registers && r->found->model[VX_CLASS_TOKEN] ? 1 : 0, 0};
    int rows = 0;
    VX_TRY(count_positions(r, &rows));
    a->pos_height = h->image_height / a->patch_height;
    a->pos_width = h->image_width / a->patch_width;
    const int64_t patches = (int64_t)a->pos_height * a->pos_width;
    if (h->image_height && patches == 0)
        return refuse_positions(r, rows, patches);
    for (int i = 0; i < 3 && patches > 0; i++)
        if (rows == patches + ways[i]) {
            a->prefix_pos = ways[i];
            return VITX_OK;
        }
    for (int i = 0; i < 3; i++) {
        const int64_t side = square_root(rows - ways[i]);
        if (side > 0 && side * side == rows - ways[i]) {
            a->prefix_pos = ways[i];
            a->pos_height = a->pos_width = (int)side;
            return VITX_OK;
        }
    }
    return refuse_positions(r, rows, patches);
}

/* Where nobody says, the published sizes (Dosovitskiy et al. 2020, table 1; Zhai et al. 2021,
 * table 2; the so400m of SigLIP), else heads of 64, as all smaller ones have them. */
static int guess_heads(int width)
{
    if (width == 1152 || width == 1280 || width == 1408 || width == 1664)
        return 16;
    return width % 64 == 0 ? width / 64 : 0;
}

static int read_heads(reader *r, vx_hints *hints)
{
    vx_arch *a = r->arch;
    a->heads = hints->heads;
    if (a->heads == 0) {
        a->heads = guess_heads(a->width);
        hints->from_heads = VITX_FROM_DEFAULT;
        if (a->heads == 0)
            return vx_fail(VITX_UNSUPPORTED,
                           "%s: nothing says how many attention heads share the width of "
                           "%d; say it in config.json (timm: \"model_args\": {\"num_heads\": "
                           "N}, Hugging Face: \"num_attention_heads\": N)",
                           r->container->path, a->width);
        vx_log(&r->container->hooks, VITX_LOG_INFO,
               "%s: %d attention heads taken from its width of %d", r->container->path, a->heads,
               a->width);
    }
    if (a->heads > a->width || a->width % a->heads)
        return vx_fail(VITX_FORMAT, "%s: its width of %d cannot be shared by %d attention heads",
                       r->container->path, a->width, a->heads);
    a->head_width = a->width / a->heads;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- reading ------- */

/* Whether the model cannot do without a role; a projection needs no bias. */
static bool needed(const reader *r, int role)
{
    const vx_arch *a = r->arch;
    const bool pool = r->found->model[VX_POOL_PROBE] != NULL;
    switch (role) {
    case VX_HEAD_W:
    case VX_HEAD_T: /* a naming has one of them */
        return !a->bare;
    case VX_HEAD_B:
        return !a->units;
    case VX_POOL_Q_W:
    case VX_POOL_KV_W:
        return pool && !r->found->model[VX_POOL_QKV_W];
    case VX_POOL_PROJ_W:
    case VX_POOL_NORM_W:
    case VX_POOL_FC1_W:
    case VX_POOL_FC2_W:
        return pool;
    default:
        break;
    }
    return roles[role].need == REQUIRED || (roles[role].need == WITH && r->found->model[role - 1]);
}

/* A distillation token's head makes two. */
static int check_heads(const reader *r)
{
    const vx_tensor *const *model = r->found->model;
    const bool token = model[VX_CLASS_TOKEN] && model[VX_DISTILLATION_TOKEN];
    if (model[VX_HEAD2_W] && !token)
        return missing(r, VX_DISTILLATION_TOKEN, 0);
    if (!model[VX_HEAD2_W] && token && r->match->dialect->naming->two_heads)
        return missing(r, VX_HEAD2_W, 0);
    if ((model[VX_HEAD2_W] || r->match->dialect->concatenates) && model[VX_FC_NORM_W])
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: has a norm after pooling and a head that reads two vectors: no known "
                       "model has both",
                       r->container->path);
    return VITX_OK;
}

static int take_model_roles(reader *r)
{
    const vx_tensor **model = r->found->model;
    if (find_role(r->container, r->match->dialect->naming, r->match->prefix, VX_REGISTERS, 0))
        VX_TRY(size_of_role(&r->registers, r, VX_REGISTERS, 0, 1, VX_MAX_TOKENS,
                            "a number of registers"));
    for (int i = 0; i < VX_MODEL_ROLES; i++)
        if (i != VX_POSITIONS) {
            const bool there = needed(r, i);
            if (roles[i].need == WITH && !there)
                continue; /* a bias without its weight is left over, and refused as such */
            VX_TRY(take(&model[i], r, (vx_role)i, 0, there));
        }
    if (model[VX_DISTILLATION_TOKEN] && model[VX_REGISTERS])
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: has registers and a distillation token: no known model has both",
                       r->container->path);
    r->arch->prefix =
        (model[VX_CLASS_TOKEN] != NULL) + (model[VX_DISTILLATION_TOKEN] != NULL) + r->registers;
    VX_TRY(check_heads(r));
    VX_TRY(read_grid(r));
    return take(&model[VX_POSITIONS], r, VX_POSITIONS, 0, true);
}

/* An optional tensor that block 0 has is in all blocks, or it is left over. */
static int take_block_roles(reader *r)
{
    for (int b = 0; b < r->arch->depth; b++)
        for (int i = 0; i < VX_BLOCK_ROLES; i++) {
            const vx_role role = (vx_role)(VX_MODEL_ROLES + i);
            const bool there = roles[role].need == REQUIRED || (b > 0 && r->found->blocks[0][i]);
            if (b > 0 && !there)
                continue;
            VX_TRY(take(&r->found->blocks[b][i], r, role, b, there));
        }
    const vx_tensor *const *first = r->found->blocks[0];
    const bool q = first[VX_Q_B - VX_MODEL_ROLES], k = first[VX_K_B - VX_MODEL_ROLES],
               v = first[VX_V_B - VX_MODEL_ROLES];
    if (q != k || q != v)
        return missing(r, !q ? VX_Q_B : !k ? VX_K_B : VX_V_B, 0);
    return VITX_OK;
}

static int refuse_left_over(const reader *r)
{
    const vx_dialect *d = r->match->dialect;
    for (int i = 0; i < r->container->count; i++) {
        const char *name = r->container->tensors[i].name;
        if (!r->used[i] && !harmless(name, d->naming->harmless, r->match->prefix))
            return vx_fail(VITX_UNSUPPORTED,
                           "%s: tensor %.100s is not part of family %s in the names of %s",
                           r->container->path, name, r->match->family->name, d->naming->title);
    }
    return VITX_OK;
}

/* With an attention-pooling head its tensors and the configuration must agree. */
static int check_map(const reader *r)
{
    const bool there = r->found->model[VX_POOL_PROBE] != NULL;
    char name[200];
    if (there != (r->arch->pool == VX_POOL_MAP))
        return vx_fail(VITX_FORMAT, "%s %s attention pooling, but %s %s %s", said_by(r),
                       there ? "says nothing of" : "says", r->container->path,
                       there ? "holds" : "lacks",
                       vx_role_name(name, sizeof name, r->match->dialect->naming, r->match->prefix,
                                    VX_POOL_PROBE, 0));
    if (there && r->arch->prefix)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: attention pooling beside a class token is not supported",
                       r->container->path);
    return VITX_OK;
}

static int read_pool(reader *r)
{
    const vx_tensor **model = r->found->model;
    const bool class_token = model[VX_CLASS_TOKEN] != NULL;
    const bool average = !class_token || (model[VX_FC_NORM_W] && !model[VX_NORM_W]);
    vx_arch *a = r->arch;
    a->pool = r->hints->pool_known   ? r->hints->pool
              : model[VX_POOL_PROBE] ? VX_POOL_MAP
              : average              ? VX_POOL_AVG
                                     : VX_POOL_TOKEN;
    if (model[VX_HEAD2_W])
        a->pool = VX_POOL_TWO_TOKENS;
    else if (model[VX_HEAD_W] && r->match->dialect->concatenates)
        a->pool = VX_POOL_TOKEN_AVG;
    VX_TRY(check_map(r));
    if (r->hints->norm_after && !model[VX_FC_NORM_W]) {
        model[VX_FC_NORM_W] = model[VX_NORM_W];
        model[VX_FC_NORM_B] = model[VX_NORM_B];
        model[VX_NORM_W] = model[VX_NORM_B] = NULL;
    }
    if (a->pool != VX_POOL_AVG && a->pool != VX_POOL_MAP && !class_token)
        return vx_fail(VITX_FORMAT, "%s says that the class token is read, but %s has none",
                       said_by(r), r->container->path);
    return VITX_OK;
}

static int read_all(reader *r, vx_hints *hints, const vitx_hooks *hooks)
{
    vx_arch *a = r->arch;
    VX_TRY(read_sizes(r));
    VX_TRY(vx_new(&r->found->blocks, hooks, (size_t)a->depth, sizeof *r->found->blocks,
                  "the list of blocks"));
    VX_TRY(vx_new(&r->used, hooks, (size_t)r->container->count, sizeof *r->used,
                  "the list of used tensors"));
    VX_TRY(take_model_roles(r));
    VX_TRY(take_block_roles(r));
    VX_TRY(refuse_left_over(r));
    VX_TRY(read_heads(r, hints));
    VX_TRY(read_pool(r));
    if (hints->from_eps == VITX_FROM_DEFAULT && r->match->dialect->eps > 0)
        hints->eps = r->match->dialect->eps;
    a->eps = (float)hints->eps;
    a->act = a->swiglu ? VX_ACT_NONE : hints->act;
    if (a->swiglu)
        hints->from_act = VITX_FROM_TENSORS;
    return VITX_OK;
}

int vx_family_read(vx_found *found, vx_arch *arch, const vx_match *match, vx_hints *hints,
                   const vx_container *container, const vx_config *config, const vitx_hooks *hooks)
{
    *found = (vx_found){0};
    *arch = (vx_arch){0};
    reader r = {.found = found,
                .arch = arch,
                .match = match,
                .hints = hints,
                .container = container,
                .config = config};
    const int status = read_all(&r, hints, hooks);
    vx_release(hooks, r.used);
    return status;
}
