/*
 * model/naming_google.c: Google's own weights, .npz files of vision_transformer and big_vision
 * (google-research/vision_transformer@c6de1e5, big_vision@0127fb6; read as timm's _load_weights in
 * models/vision_transformer.py of 1.0.31 reads them).
 *
 * Flax keeps matrices as [in, out], heads apart, and patches as [height, width, colour, out]:
 *
 *      embedding/kernel            [P, P, 3, D]   shown as [D, 3, P, P]
 *      .../query,key,value/kernel  [D, H, Dh]              [H*Dh, D]
 *      .../query,key,value/bias    [H, Dh]                 [H*Dh]
 *      .../out/kernel              [H, Dh, D]              [D, H*Dh]
 *      Dense, head                 [in, out]               [out, in]
 *
 * The same in MAPHead_0/, big_vision's head that pools by attention, as SigLIP has it.
 *
 * Where big_vision ran its blocks by lax.scan, Transformer/encoderblock/... holds all of them, one
 * below the other; they are shown as Transformer/encoderblock_0/..., _1/... Files with another
 * prefix than the model's hold other things (an optimizer, a text tower), which are dropped.
 *
 * The text tower of SigLIP (models/proj/image_text/text_transformer.py) has the same blocks below
 * Encoder_0/, and its table of tokens as it is; text_big_vision.c says what its files mean.
 *
 * eps is 1e-6 and GELU is exact, as in timm and transformers: their published numbers for these
 * weights are those; of some sizes of SigLIP timm's GELU is the tanh approximation. Where the file
 * has the text tower, too, it is the tanh approximation for all sizes, as in Flax and in
 * transformers' SiglipModel. pre_logits, a layer of models trained on ImageNet-21k, is left out as
 * timm does. config.json, if there is one, is timm's.
 */
#include <stdio.h>
#include <string.h>

#include "model/npz.h"
#include "model/recipe.h"

#define MAX_TENSORS (1 << 17) /* after unstacking  */
#define MAX_NAMES (1u << 24)  /* bytes, after that  */
#define PICTURES "Transformer/"
#define TEXTS "Encoder_0/"

static const char *const harmless_names[] = {"*pre_logits/", NULL};

/* How a tensor is shown, by the end of its name: vx_tensor_permute. */
static const struct {
    const char *end;
    int rank;
    unsigned char order[4], groups[5];
    int heads; /* which dimension they are; -1: none */
} layouts[] = {
    {"embedding/kernel", 4, {3, 2, 0, 1}, {1, 1, 1, 1}, -1},
    {"/query/kernel", 3, {1, 2, 0}, {2, 1}, 1},
    {"/key/kernel", 3, {1, 2, 0}, {2, 1}, 1},
    {"/value/kernel", 3, {1, 2, 0}, {2, 1}, 1},
    {"/query/bias", 2, {0, 1}, {2}, 0},
    {"/key/bias", 2, {0, 1}, {2}, 0},
    {"/value/bias", 2, {0, 1}, {2}, 0},
    {"/out/kernel", 3, {2, 0, 1}, {1, 2}, 0},
    {"/Dense_0/kernel", 2, {1, 0}, {1, 1}, -1},
    {"/Dense_1/kernel", 2, {1, 0}, {1, 1}, -1},
    {"head/kernel", 2, {1, 0}, {1, 1}, -1},
    {"txt/pos_embedding", 3, {0, 1, 2}, {2, 1}, -1},
};

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* -------------------------------------------------------------------------- blocks -------- */

/* Room for as many digits as a block's number has, and for '_'. */
#define DIGITS 5

/* Where the blocks of a tower lie. */
typedef struct stack {
    const char *prefix; /* of the tower */
    size_t length;      /* of the prefix */
    const char *blocks; /* of the blocks behind it */
    bool alone;         /* what is not under the prefix is dropped */
} stack;

static bool is_under(const stack *s, const vx_tensor *t)
{
    return strncmp(t->name, s->prefix, s->length) == 0;
}

/* What follows "encoderblock/" in the name of a tensor that holds all blocks; NULL: of others. */
static const char *stacked(const stack *s, const vx_tensor *t)
{
    static const char all[] = "encoderblock/";
    const size_t n = strlen(s->blocks);
    if (!is_under(s, t) || strncmp(t->name + s->length, s->blocks, n) != 0)
        return NULL;
    const char *const rest = t->name + s->length + n;
    return strncmp(rest, all, sizeof all - 1) == 0 ? rest + sizeof all - 1 : NULL;
}

/* How many tensors a tensor becomes, and the bytes of their names. */
static int measure(uint64_t *count, size_t *bytes, const stack *s, const vx_tensor *t,
                   const char *path)
{
    if (s->alone && !is_under(s, t))
        return VITX_OK;
    const bool all = stacked(s, t);
    if (all && t->rank == 0)
        return vx_fail_in(VITX_FORMAT, path, "tensor %.100s has no dimension of blocks", t->name);
    if (all && t->shape[0] > VX_MAX_DEPTH)
        return vx_fail_in(VITX_UNSUPPORTED, path, "tensor %.100s: at most %d blocks are supported",
                          t->name, VX_MAX_DEPTH);
    const uint64_t n = all ? (uint64_t)t->shape[0] : 1;
    *count += n;
    *bytes += (size_t)n * (strlen(t->name) + DIGITS + 1); /* names in zip have 16 bits of length */
    if (*count > MAX_TENSORS || *bytes > MAX_NAMES)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "more than %d tensors, or more than %u bytes of their names", MAX_TENSORS,
                          MAX_NAMES);
    return VITX_OK;
}

static void add_blocks(vx_container *to, const vx_tensor *t, const char *rest)
{
    for (uint64_t i = 0; i < (uint64_t)t->shape[0]; i++) {
        vx_tensor *one = &to->tensors[to->count++];
        char *const name = to->names + to->names_size;
        *one = *t;
        one->name = name;
        vx_tensor_slice(one, i);
        to->names_size += 1 + (size_t)snprintf(name, strlen(t->name) + DIGITS + 1, "%.*s_%d/%s",
                                               (int)(rest - 1 - t->name), t->name, (int)i, rest);
    }
}

/* Makes one tensor a block of those that hold all. */
static int unstack(vx_container *c, const stack *s)
{
    uint64_t count = 0;
    size_t bytes = 0;
    for (int i = 0; i < c->count; i++)
        VX_TRY(measure(&count, &bytes, s, &c->tensors[i], c->path));
    vx_container next = {.hooks = c->hooks, .path = c->path};
    VX_TRY(vx_container_grow(&next, (int)count, bytes));
    for (int i = 0; i < c->count; i++) {
        const vx_tensor *t = &c->tensors[i];
        const char *const rest = stacked(s, t);
        if (s->alone && !is_under(s, t))
            continue;
        if (rest) {
            add_blocks(&next, t, rest);
        } else {
            next.tensors[next.count] = *t;
            next.tensors[next.count++].name = vx_container_keep(&next, t->name, strlen(t->name));
        }
    }
    vx_release(&c->hooks, c->tensors);
    vx_release(&c->hooks, c->names);
    c->tensors = next.tensors;
    c->count = next.count;
    c->names = next.names;
    c->names_size = next.names_size;
    return vx_container_sort(c);
}

/* -------------------------------------------------------------------------- shapes -------- */

/* Heads are a dimension of the kernels, whatever an architecture's name in config.json would make
 * one believe; all blocks have the same number. */
static int read_heads(vx_hints *hints, const vx_tensor *t, int64_t heads, const vx_container *c)
{
    if (heads < 1 || heads > 65536)
        return vx_fail_in(VITX_UNSUPPORTED, c->path, "tensor %.100s has %lld attention heads",
                          t->name, (long long)heads);
    if (hints->from_heads == VITX_FROM_TENSORS && hints->heads != heads)
        return vx_fail_in(VITX_FORMAT, c->path,
                          "tensor %.100s has %lld attention heads, others have %d", t->name,
                          (long long)heads, hints->heads);
    hints->from_heads = VITX_FROM_TENSORS;
    hints->heads = (int)heads;
    return VITX_OK;
}

static int permute(vx_tensor *t, vx_hints *hints, const vx_container *c)
{
    char shape[200];
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (!ends_in(t->name, layouts[i].end))
            continue;
        if (t->rank != layouts[i].rank)
            return vx_fail_in(
                VITX_FORMAT, c->path, "tensor %.100s has shape %s, expected %d dimensions", t->name,
                vx_shape_text(shape, sizeof shape, t->shape, t->rank), layouts[i].rank);
        if (layouts[i].heads >= 0 &&
            (strstr(t->name, "/encoderblock_") || strstr(t->name, "MAPHead_")))
            VX_TRY(read_heads(hints, t, t->shape[layouts[i].heads], c));
        vx_tensor_permute(t, layouts[i].order, layouts[i].groups);
        return VITX_OK;
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- SigLIP ------- */

static const vx_tensor *find(const vx_container *c, const char *prefix, const char *rest, int rank)
{
    char name[100];
    snprintf(name, sizeof name, "%s%s", prefix, rest);
    const vx_tensor *t = vx_container_find(c, name);
    return t && t->rank == rank ? t : NULL;
}

/* The SigLIPs that timm runs with the tanh approximation of GELU, by the sizes that their names
 * stand for: patches of 32, so400m with patches of 16, giantopt, large for 512 pixels. */
static bool is_tanh(const vx_container *c, const char *prefix)
{
    const vx_tensor *patch = find(c, prefix, "embedding/kernel", 4);
    const vx_tensor *positions = find(c, prefix, "pos_embedding", 3);
    if (!patch || !positions || !find(c, prefix, "MAPHead_0/probe", 3))
        return false;
    const int64_t side = patch->shape[0], width = patch->shape[3];
    return side == 32 || width == 1536 || (width == 1152 && side == 16) ||
           (width == 1024 && positions->shape[1] == 32 * 32);
}

/* What only the names of a config.json of timm's say otherwise; and that the head of one tower of
 * two projects into what they share. */
static void read_tower(vx_hints *hints, const vx_container *c, const char *prefix,
                       const vx_config *config, bool texts)
{
    if (hints->from_act == VITX_FROM_DEFAULT && !vx_naming_timm.architecture(config) &&
        (texts || is_tanh(c, prefix))) {
        hints->act = VX_ACT_GELU_TANH;
        hints->from_act = VITX_FROM_TENSORS;
    }
    hints->units = hints->units || ends_in(prefix, "img/");
}

static int arrange(vx_container *c, vx_hints *hints, const char *prefix, const vx_config *config)
{
    const stack s = {prefix, strlen(prefix), PICTURES, .alone = true};
    const bool texts = vx_container_find(c, "params/" VX_BIG_VISION_TOKENS) ||
                       vx_container_find(c, VX_BIG_VISION_TOKENS);
    int told = 0;
    VX_TRY(unstack(c, &s));
    read_tower(hints, c, prefix, config, texts);
    VX_TRY(
        vx_config_int(&told, NULL, config->model_args, "num_heads", 1, 65536, config->config_path));
    for (int i = 0; i < c->count; i++) {
        VX_TRY(permute(&c->tensors[i], hints, c));
        if (ends_in(c->tensors[i].name, "pre_logits/kernel"))
            vx_log(&c->hooks, VITX_LOG_INFO, "%s: its pre_logits are left out, as timm does",
                   c->path);
    }
    if (told && hints->from_heads == VITX_FROM_TENSORS && told != hints->heads)
        return vx_fail_in(VITX_FORMAT, config->config_path,
                          " says num_heads is %d, but in %s it is %d", told, c->path, hints->heads);
    return VITX_OK;
}

/* The text tower; the pictures' is left as it is. The table of tokens is read row by row. */
static int arrange_texts(vx_container *c, vx_hints *hints, const char *prefix,
                         const vx_config *config)
{
    const stack s = {prefix, strlen(prefix), TEXTS, .alone = false};
    (void)config;
    VX_TRY(unstack(c, &s));
    for (int i = 0; i < c->count; i++) {
        vx_tensor *t = &c->tensors[i];
        if (!is_under(&s, t))
            continue;
        VX_TRY(permute(t, hints, c));
        if (ends_in(t->name, VX_BIG_VISION_TOKENS))
            vx_npz_show_bytes(t);
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- timm's -------- */

static const char *architecture(const vx_config *config)
{
    return vx_naming_timm.architecture(config);
}

static int read_hints(vx_hints *out, const vx_config *config)
{
    return vx_naming_timm.read_hints(out, config);
}

static int read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect)
{
    return vx_naming_timm.read_recipe(out, config, dialect);
}

/* The two differ in the numbers that Flax gave to the layers of a block, and in the positions:
 * big_vision adds them before the class token is there. */
#define BLOCKS(blocks, attention, norm2, mlp)                                                      \
    [VX_NORM_W] = "*" blocks "encoder_norm/scale", [VX_NORM_B] = "*" blocks "encoder_norm/bias",   \
    [VX_HEAD_W] = "*head/kernel", [VX_HEAD_B] = "*head/bias",                                      \
    [VX_NORM1_W] = BLOCK(blocks) "LayerNorm_0/scale",                                              \
    [VX_NORM1_B] = BLOCK(blocks) "LayerNorm_0/bias",                                               \
    [VX_Q_W] = BLOCK(blocks) attention "query/kernel",                                             \
    [VX_Q_B] = BLOCK(blocks) attention "query/bias",                                               \
    [VX_K_W] = BLOCK(blocks) attention "key/kernel",                                               \
    [VX_K_B] = BLOCK(blocks) attention "key/bias",                                                 \
    [VX_V_W] = BLOCK(blocks) attention "value/kernel",                                             \
    [VX_V_B] = BLOCK(blocks) attention "value/bias",                                               \
    [VX_PROJ_W] = BLOCK(blocks) attention "out/kernel",                                            \
    [VX_PROJ_B] = BLOCK(blocks) attention "out/bias", [VX_NORM2_W] = BLOCK(blocks) norm2 "scale",  \
    [VX_NORM2_B] = BLOCK(blocks) norm2 "bias", [VX_FC1_W] = BLOCK(blocks) mlp "Dense_0/kernel",    \
    [VX_FC1_B] = BLOCK(blocks) mlp "Dense_0/bias",                                                 \
    [VX_FC2_W] = BLOCK(blocks) mlp "Dense_1/kernel",                                               \
    [VX_FC2_B] = BLOCK(blocks) mlp "Dense_1/bias",
#define BLOCK(blocks) "*" blocks "encoderblock_#/"
#define NAMES(positions, attention, norm2, mlp)                                                    \
    BLOCKS(PICTURES, attention, norm2, mlp)                                                        \
    [VX_PATCH_W] = "*embedding/kernel", [VX_PATCH_B] = "*embedding/bias",                          \
    [VX_CLASS_TOKEN] = "*cls", [VX_POSITIONS] = (positions),

#define MAP "*MAPHead_0/"
#define MAP_ATTENTION MAP "MultiHeadDotProductAttention_0/"
#define POOL                                                                                       \
    [VX_POOL_PROBE] = MAP "probe", [VX_POOL_Q_W] = MAP_ATTENTION "query/kernel",                   \
    [VX_POOL_Q_B] = MAP_ATTENTION "query/bias", [VX_POOL_K_W] = MAP_ATTENTION "key/kernel",        \
    [VX_POOL_V_W] = MAP_ATTENTION "value/kernel", [VX_POOL_K_B] = MAP_ATTENTION "key/bias",        \
    [VX_POOL_V_B] = MAP_ATTENTION "value/bias", [VX_POOL_PROJ_W] = MAP_ATTENTION "out/kernel",     \
    [VX_POOL_PROJ_B] = MAP_ATTENTION "out/bias", [VX_POOL_NORM_W] = MAP "LayerNorm_0/scale",       \
    [VX_POOL_NORM_B] = MAP "LayerNorm_0/bias", [VX_POOL_FC1_W] = MAP "MlpBlock_0/Dense_0/kernel",  \
    [VX_POOL_FC1_B] = MAP "MlpBlock_0/Dense_0/bias",                                               \
    [VX_POOL_FC2_W] = MAP "MlpBlock_0/Dense_1/kernel",                                             \
    [VX_POOL_FC2_B] = MAP "MlpBlock_0/Dense_1/bias",

const vx_naming vx_naming_google = {
    .name = "google",
    .title = "Google's vision_transformer",
    .positions = VX_POS_TIMM_NPZ,
    .names = {NAMES("*Transformer/posembed_input/pos_embedding", "MultiHeadDotProductAttention_1/",
                    "LayerNorm_2/", "MlpBlock_3/")},
    .harmless = harmless_names,
    .code_tells = true,
    .architecture = architecture,
    .read_hints = read_hints,
    .arrange = arrange,
    .read_recipe = read_recipe,
};

const vx_naming vx_naming_big_vision = {
    .name = "big_vision",
    .title = "Google's big_vision",
    .positions = VX_POS_TIMM_NPZ,
    .names = {NAMES("*pos_embedding", "MultiHeadDotProductAttention_0/", "LayerNorm_1/",
                    "MlpBlock_0/") POOL},
    .harmless = harmless_names,
    .code_tells = true,
    .architecture = architecture,
    .read_hints = read_hints,
    .arrange = arrange,
    .read_recipe = read_recipe,
};

static const char *const harmless_texts[] = {"params/img/", "params/t", "params/b", "img/",
                                             "t",           "b",        NULL};

const vx_naming vx_naming_big_vision_texts = {
    .name = "big_vision",
    .title = "Google's big_vision",
    .names = {BLOCKS(TEXTS, "MultiHeadDotProductAttention_0/", "LayerNorm_1/",
                     "MlpBlock_0/")[VX_TOKENS] = "*Embed_0/embedding",
              [VX_PLACES] = "*pos_embedding"},
    .harmless = harmless_texts,
    .code_tells = true,
    .arrange = arrange_texts,
};
