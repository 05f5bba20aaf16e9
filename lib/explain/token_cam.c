/*
 * explain/token_cam.c: the Grad-CAM family on a block's tokens, each channel of the width a map.
 *
 * With a[t,c] the tokens, g[t,c] = d score / d a, t over the P patches (prefix tokens are dropped before
 * anything is pooled):
 *
 *     gradcam      map_t = sum_c w_c a[t,c],  w_c = mean_t g[t,c]
 *     gradcam++    likewise,                  w_c = sum_t max(g,0) g^2 / (2 g^2 + S_c g^3 + 1e-6), S_c = sum_t a
 *     xgradcam     likewise,                  w_c = sum_t g a / (S_c + 1e-7)
 *     hirescam     map_t = sum_c g a
 *     elementwise  map_t = sum_c max(g a, 0)
 *     layercam     map_t = sum_c max(g, 0) a
 *
 * before any clipping. Tokens: what norm1 gives (default), or the block's output. As in
 * jacobgil/pytorch-grad-cam @ 084273b (grad_cam.py and its neighbours, with the reshape_transform of
 * its vit_example.py), which clips and scales what comes out. The formulas are operation token_cam.
 */
#include "explain/tokens.h"

typedef struct settings {
    vx_at at;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    return vx_tokens_prepare(&set->at, job, need, true);
}

static int run(const vx_job *job, int i, vitx_map *map, vx_cam kind)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    vitx_context *c = job->context;
    const int tokens = vx_arch_tokens(a), patches = tokens - a->prefix;
    const size_t layers = (size_t)(job->layer_last - job->layer_first + 1);
    const size_t bytes = layers * (size_t)patches * sizeof(float);
    VX_TRY(vx_block_reserve(c, &c->work, bytes, "maps of tokens"));
    float *out = c->work.memory;
    for (int l = job->layer_first; l <= job->layer_last; l++, out += patches)
        c->dev->ops.token_cam(c->dev, &(vx_token_cam){.out = out,
                                                      .a = vx_job_tokens(job, l, set->at, i),
                                                      .g = vx_job_dtokens(job, l, set->at, i),
                                                      .kind = kind,
                                                      .batch = 1,
                                                      .targets = 1,
                                                      .first = a->prefix,
                                                      .tokens = tokens,
                                                      .width = a->width});
    return vx_context_read(c, map->values, c->work.memory, bytes);
}

static const vitx_method_option options[] = {VX_OPTION_AT};

/* The method vx_method_<id>, and how it runs. */
#define CAM(id, label, kind, signs, line, paper)                                                   \
    static int run_##id(const vx_job *job, int i, vitx_map *map)                                   \
    {                                                                                              \
        return run(job, i, map, kind);                                                             \
    }                                                                                              \
    const vx_method vx_method_##id = {                                                             \
        .name = (label),                                                                           \
        .summary = (line),                                                                         \
        .cost = "1 forward, the backward of the blocks above",                                     \
        .reference = (paper),                                                                      \
        .uses_target = true,                                                                       \
        .is_signed = (signs),                                                                      \
        .no_heads = true,                                                                          \
        .options = options,                                                                        \
        .option_count = sizeof options / sizeof options[0],                                        \
        .settings_size = sizeof(settings),                                                         \
        .prepare = prepare,                                                                        \
        .run = run_##id,                                                                           \
    };

CAM(gradcam, "gradcam", VX_CAM_GRADCAM, true, "tokens' channels weighted by their mean gradient",
    "Selvaraju et al. 2017, Grad-CAM")
CAM(gradcam_plusplus, "gradcam++", VX_CAM_PLUSPLUS, true,
    "tokens' channels weighted by their positive gradients, each by its share",
    "Chattopadhay et al. 2018, Grad-CAM++")
CAM(xgradcam, "xgradcam", VX_CAM_XGRAD, true,
    "tokens' channels weighted by their gradient's mean over the activation",
    "Fu et al. 2020, Axiom-based Grad-CAM")
CAM(hirescam, "hirescam", VX_CAM_HIRES, true, "tokens times gradient, summed over the channels",
    "Draelos & Carin 2020, HiResCAM")
CAM(elementwise, "elementwise", VX_CAM_ELEMENTWISE, false,
    "tokens times gradient where that is positive, summed over the channels",
    "Gildenblat 2021, GradCAMElementWise of jacobgil/pytorch-grad-cam")
CAM(layercam, "layercam", VX_CAM_LAYER, true,
    "tokens times positive gradient, summed over the channels", "Jiang et al. 2021, LayerCAM")
