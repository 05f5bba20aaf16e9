/*
 * explain/token_cam.c: the Grad-CAM family on a block's tokens, each channel of the width a map.
 *
 * With a[t,c] the tokens, g[t,c] = d score / d a, t over the P patches (prefix tokens are dropped
 * before anything is pooled):
 *
 *     gradcam      map_t = sum_c w_c a[t,c],  w_c = mean_t g[t,c]
 *     gradcam++    the same with              w_c = sum_t max(g,0) g^2 / (2 g^2 + S_c g^3 + 1e-6)
 *     xgradcam     the same with              w_c = sum_t g a / (S_c + 1e-7)
 *     hirescam     map_t = sum_c g a
 *     elementwise  map_t = sum_c max(g a, 0)
 *     layercam     map_t = sum_c max(g, 0) a
 *
 * before any clipping; S_c = sum_t a[t,c]. Tokens: what norm1 gives (default), or the block's
 * output. As in jacobgil/pytorch-grad-cam @ 084273b (grad_cam.py and its neighbours, with
 * the reshape_transform of its vit_example.py), which clips and scales what comes out. The formulas
 * are operation token_cam.
 */
#include <string.h>

#include "explain/tokens.h"

typedef struct settings {
    vx_at at;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    return vx_tokens_prepare(&set->at, job, need, true);
}

/* The maps of all pictures, layer by layer: [layers,n,P], read at once. */
static int run(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const vitx_hooks scratch = job->scratch;
    const size_t patches = (size_t)(vx_arch_tokens(a) - a->prefix), plane = (size_t)n * patches;
    const size_t count = (size_t)(job->layer_last - job->layer_first + 1) * plane;
    float *out, *host;
    VX_TRY(vx_job_work(&out, job, count, "maps of tokens"));
    VX_TRY(vx_new(&host, &scratch, count, sizeof *host, "maps of tokens"));
    const int at_once = vx_job_at_once(job, n);
    for (int l = job->layer_first; l <= job->layer_last; l++)
        for (int i = 0; i < n; i += at_once, out += (size_t)at_once * patches)
            job->dev->ops.token_cam(job->dev,
                                    &(vx_token_cam){.out = out,
                                                    .a = vx_job_tokens(job, l, set->at, i),
                                                    .g = vx_job_dtokens(job, l, set->at, i),
                                                    .kind = (vx_cam)job->method->kind,
                                                    .first = a->prefix,
                                                    .batch = at_once,
                                                    .targets = 1,
                                                    .tokens = vx_arch_tokens(a),
                                                    .width = a->width});
    const int status = vx_job_read(job, host, out - count, count);
    for (int i = 0; i < n && status == VITX_OK; i++)
        for (int l = 0; l <= job->layer_last - job->layer_first; l++)
            memcpy(maps[i]->values + (size_t)l * patches,
                   host + (size_t)l * plane + (size_t)i * patches, patches * sizeof *host);
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_AT};

const vx_method vx_method_gradcam = {
    .name = "gradcam",
    .summary = "tokens' channels weighted by their mean gradient",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Selvaraju et al. 2017, Grad-CAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_GRADCAM,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};

const vx_method vx_method_gradcam_plusplus = {
    .name = "gradcam++",
    .summary = "tokens' channels weighted by their positive gradients",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Chattopadhay et al. 2018, Grad-CAM++",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_PLUSPLUS,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};

const vx_method vx_method_xgradcam = {
    .name = "xgradcam",
    .summary = "tokens' channels weighted by gradient times activation, as a share of activation",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Fu et al. 2020, Axiom-based Grad-CAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_XGRAD,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};

const vx_method vx_method_hirescam = {
    .name = "hirescam",
    .summary = "tokens times gradient, summed over the channels",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Draelos & Carin 2020, HiResCAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_HIRES,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};

const vx_method vx_method_elementwise = {
    .name = "elementwise",
    .summary = "positive parts of tokens times gradient, summed over the channels",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Gildenblat 2021, GradCAMElementWise of jacobgil/pytorch-grad-cam",
    .uses_target = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_ELEMENTWISE,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};

const vx_method vx_method_layercam = {
    .name = "layercam",
    .summary = "tokens times positive gradient, summed over the channels",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Jiang et al. 2021, LayerCAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .kind = VX_CAM_LAYER,
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run,
};
