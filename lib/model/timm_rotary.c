/*
 * model/timm_rotary.c: timm's class Eva (models/eva.py @ 1.0.31): DINOv3, EVA-02, Perception
 * Encoder, RoPE-ViT and others. What an architecture's name implies of it, and the arguments of a
 * configuration that say otherwise. No tensor tells any of it.
 */
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "model/naming_timm.h"

#define DINOV3                                                                                     \
    {                                                                                              \
        .kind = VX_ROTATE_CENTRED, .half = true, .base = 100                                       \
    }
#define GRID(...)                                                                                  \
    {                                                                                              \
        .kind = VX_ROTATE_GRID, .base = 10000, __VA_ARGS__                                         \
    }
#define ENCODER(side, first) GRID(.columns_first = true, .offset = first, .reference = side), 1e-5

/* Beginnings of names, or, behind a '*', parts; the first that matches counts. */
static const struct {
    const char *part;
    vx_pool_kind pool; /* the default of global_pool */
    vx_rotary rotary;
    double eps;
} known[] = {
    {"*_dinov3", VX_POOL_AVG, DINOV3, 1e-5},
    {"*_lingbot", VX_POOL_TOKEN, DINOV3, 1e-5},
    {"*_sapiens2", VX_POOL_TOKEN, DINOV3, 1e-6},
    {"eva02_enormous_", VX_POOL_TOKEN, {.kind = VX_ROTATE_NONE}, 1e-6},
    {"eva02_base_patch16_clip_", VX_POOL_TOKEN, GRID(.reference = 16), 1e-6},
    {"eva02_large_patch14_clip_", VX_POOL_TOKEN, GRID(.reference = 16), 1e-6},
    {"eva02_", VX_POOL_AVG, GRID(.reference = 16), 1e-6},
    {"*_rope_mixed_", VX_POOL_TOKEN, {.kind = VX_ROTATE_LEARNT, .columns_first = true}, 1e-6},
    {"*_rope_reg", VX_POOL_AVG, GRID(.reference = 16), 1e-6},
    {"*_rope_", VX_POOL_TOKEN, {.kind = VX_ROTATE_GRID, .columns_first = true, .base = 100}, 1e-6},
    {"vit_pe_core_gigantic_", VX_POOL_MAP, ENCODER(32, 0)},
    {"vit_pe_core_base_", VX_POOL_MAP, ENCODER(14, 1)},
    {"vit_pe_core_", VX_POOL_MAP, ENCODER(24, 1)},
    {"vit_pe_lang_gigantic_", VX_POOL_AVG, ENCODER(32, 0)},
    {"vit_pe_spatial_gigantic_", VX_POOL_AVG, ENCODER(32, 0)},
    {"vit_pe_", VX_POOL_AVG, ENCODER(32, 1)},
};

static bool is_named(const char *architecture, const char *part)
{
    return *part == '*' ? strstr(architecture, part + 1) != NULL
                        : strncmp(architecture, part, strlen(part)) == 0;
}

void vx_timm_rotary(vx_hints *out, const char *architecture)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_named(architecture, known[i].part)) {
            out->rotary = known[i].rotary;
            out->pool = known[i].pool;
            out->pool_known = true;
            out->pool_prefix = known[i].pool == VX_POOL_MAP;
            out->pool_heads = known[i].pool == VX_POOL_MAP ? 8 : 0;
            out->eps = known[i].eps;
            out->from_eps = VITX_FROM_CONFIG;
            return;
        }
}

static int read_type(vx_rotary *out, const vx_config *config)
{
    static const struct {
        const char *name;
        vx_rotation kind;
    } types[] = {
        {"cat", VX_ROTATE_GRID}, {"mixed", VX_ROTATE_LEARNT}, {"dinov3", VX_ROTATE_CENTRED}};
    const char *name = NULL, *path = config->config_path;
    VX_TRY(vx_config_string(&name, NULL, config->model_args, "rope_type", path));
    for (size_t i = 0; name && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(name, types[i].name) == 0) {
            out->kind = types[i].kind;
            return VITX_OK;
        }
    return !name ? VITX_OK
                 : vx_fail_in(VITX_UNSUPPORTED, path,
                              "rope_type \"%.40s\" is none of cat, mixed, dinov3", name);
}

static int read_order(vx_rotary *out, const vx_config *config)
{
    const char *name = NULL, *path = config->config_path;
    VX_TRY(vx_config_string(&name, NULL, config->model_args, "rope_grid_indexing", path));
    if (name && strcmp(name, "xy") != 0 && strcmp(name, "ij") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "rope_grid_indexing \"%.40s\" is neither ij nor xy", name);
    if (name)
        out->columns_first = name[0] == 'x';
    return VITX_OK;
}

int vx_timm_rotary_arguments(vx_hints *out, const vx_config *config)
{
    const vx_json *args = config->model_args;
    const char *path = config->config_path;
    vx_rotary *r = &out->rotary;
    bool rotates = r->kind != VX_ROTATE_NONE;
    int height = r->reference, width = height;
    VX_TRY(vx_config_bool(&rotates, NULL, args, "use_rot_pos_emb", path));
    if (!rotates) {
        *r = (vx_rotary){.kind = VX_ROTATE_NONE};
        return VITX_OK;
    }
    if (r->kind == VX_ROTATE_NONE) /* the defaults of the class */
        *r = (vx_rotary)GRID(.offset = 0);
    VX_TRY(read_type(r, config));
    VX_TRY(read_order(r, config));
    VX_TRY(vx_config_bool(&r->half, NULL, args, "rope_rotate_half", path));
    VX_TRY(vx_config_number(&r->base, NULL, args, "rope_temperature", 1, 1e9, path));
    VX_TRY(vx_config_number(&r->offset, NULL, args, "rope_grid_offset", -1e6, 1e6, path));
    VX_TRY(vx_config_size(&height, &width, NULL, args, "ref_feat_shape", path));
    if (height != width)
        return vx_fail_in(VITX_UNSUPPORTED, path, "ref_feat_shape %d x %d is no square", height,
                          width);
    r->reference = r->kind == VX_ROTATE_GRID ? height : 0;
    return VITX_OK;
}
