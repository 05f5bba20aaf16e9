/* model/spelling.c: see spelling.h. */
#include "model/spelling.h"

#include <stdio.h>
#include <string.h>

/* Parts of a block. Those of DINOv2 differ in the attention alone. */
static const struct {
    const char *memory, *file;
    bool dinov2;
} parts[] = {
    {"attention.q_proj.", "attention.attention.query.", true},
    {"attention.k_proj.", "attention.attention.key.", true},
    {"attention.v_proj.", "attention.attention.value.", true},
    {"attention.o_proj.", "attention.output.dense.", true},
    {"layernorm_before.", "layernorm_before.", false},
    {"layernorm_after.", "layernorm_after.", false},
    {"mlp.fc1.", "intermediate.dense.", false},
    {"mlp.fc2.", "output.dense.", false},
};

/* Parts of a block of CLIP. transformers' AltCLIP calls the list of blocks encoder.layers in
 * memory, and writes encoder.layer, which its text tower has, for both towers. */
static const char *const of_clip[] = {"layer_norm1.", "layer_norm2.", "self_attn.", "mlp."};

/* Which networks the file has, by the tensors that no other has. */
typedef struct kinds {
    bool vit, dinov2, swag, altclip;
} kinds;

/* Behind `list` and a number; where the list begins is *from. NULL: it is not there. */
static const char *behind_number(const char **from, const char *key, const char *list)
{
    for (const char *p = strstr(key, list); p; p = strstr(p + 1, list)) {
        const char *digits = p + strlen(list), *end = digits + strspn(digits, "0123456789");
        *from = p;
        if ((p == key || p[-1] == '.') && end > digits && *end == '.')
            return end + 1;
    }
    return NULL;
}

/* The names of SWAG's own files, where torchvision has encoder_layer_N and one dimension of
 * positions before the other (facebookresearch/SWAG, models/vision_transformer.py). */
static const char swag[] = "encoder.layers.layer_";

static bool respell_swag(char *key, size_t size, const vx_tensor *t)
{
    const char *p = strstr(t->key, swag);
    return p && (p == t->key || p[-1] == '.') &&
           snprintf(key, size, "%.*sencoder.layers.encoder_layer_%s", (int)(p - t->key), t->key,
                    p + strlen(swag)) < (int)size;
}

/* [N, 1, D] is [1, N, D] in memory, too. */
static void turn_positions(vx_tensor *t)
{
    static const char name[] = "encoder.pos_embedding";
    const size_t n = strlen(t->key);
    if (n < sizeof name - 1 || strcmp(t->key + n - (sizeof name - 1), name) != 0 || t->rank != 3 ||
        t->shape[1] != 1)
        return;
    t->shape[1] = t->shape[0];
    t->shape[0] = 1;
}

static bool respell_altclip(char *key, size_t size, const vx_tensor *t)
{
    const char *from = NULL, *rest = behind_number(&from, t->key, "encoder.layer.");
    for (size_t i = 0; rest && i < sizeof of_clip / sizeof of_clip[0]; i++)
        if (strncmp(rest, of_clip[i], strlen(of_clip[i])) == 0)
            return snprintf(key, size, "%.*sencoder.layers.%s", (int)(from - t->key), t->key,
                            from + strlen("encoder.layer.")) < (int)size;
    return false;
}

static bool respell(char *key, size_t size, const vx_tensor *t, void *arg)
{
    const kinds *has = arg;
    if (has->swag)
        return respell_swag(key, size, t);
    if (has->altclip)
        return respell_altclip(key, size, t);
    const char *from = NULL, *list = "layers.";
    const char *rest = has->vit ? behind_number(&from, t->key, list) : NULL;
    const bool dinov2 = !rest && has->dinov2;
    if (dinov2)
        rest = behind_number(&from, t->key, list = "encoder.layer.");
    for (size_t i = 0; rest && i < sizeof parts / sizeof parts[0]; i++) {
        const size_t n = strlen(parts[i].memory);
        if (strncmp(rest, parts[i].memory, n) != 0 || (dinov2 && !parts[i].dinov2))
            continue;
        const char *number = from + strlen(list);
        return snprintf(key, size, "%.*sencoder.layer.%.*s%s%s", (int)(from - t->key), t->key,
                        (int)(rest - number), number, parts[i].file, rest + n) < (int)size;
    }
    return false;
}

int vx_spelling_take(vx_container *c)
{
    kinds has = {.vit = false};
    for (int i = 0; i < c->count; i++) {
        const char *key = c->tensors[i].key;
        has.vit = has.vit || strstr(key, ".0.layernorm_before.");
        has.swag = has.swag || strstr(key, "encoder.layers.layer_0.ln_1.");
        has.altclip = has.altclip || strstr(key, "encoder.layer.0.layer_norm1.");
        has.dinov2 = has.dinov2 || strstr(key, "encoder.layer.0.layer_scale1.");
    }
    for (int i = 0; i < c->count && has.swag; i++)
        turn_positions(&c->tensors[i]);
    return has.vit || has.dinov2 || has.swag || has.altclip ? vx_container_rename(c, respell, &has)
                                                            : VITX_OK;
}
