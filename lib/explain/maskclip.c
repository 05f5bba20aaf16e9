/*
 * explain/maskclip.c: MaskCLIP (Zhou, Loy & Dai 2022, section 3.2): where no token of the last
 * block attends to another, each patch has an answer of its own.
 *
 *     v = W_o (W_v norm1(x));  y = x + v;  y = y + mlp(norm2(y));  map_p = score of head(norm(y_p))
 *
 * residual=drop: y = v. x are the tokens before the last block, the score of a text or another
 * vector is the raw cosine. Where the head pools by attention, that attention is the last one:
 * map_p is the head's answer to the value of patch p alone, as the authors take it of their
 * ResNets, and there is no residual to drop. Of a model with classes the score is what the
 * classifier answers to the patch.
 *
 * As in chongzhou96/MaskCLIP @ 245d31f (mmseg/models/backbones/vit.py, decode_heads/
 * maskclip_head.py), which keeps residual and perceptron. Its settings of eps, activation and means
 * are not the model's; vitx takes the model's own. Its prompt denoising and key smoothing compare
 * several texts, and do nothing for one.
 */
#include "explain/dense.h"

typedef struct settings {
    bool residual;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    const int last = job->arch->depth - 1;
    int choice;
    VX_TRY(vx_setting_choice(&choice, &job->given, "residual"));
    set->residual = choice == 0;
    job->channels = true;
    if (job->arch->pool == VX_POOL_MAP) {
        vx_plan_need_tokens(need, last, VX_AT_OUTPUT);
        return VITX_OK;
    }
    vx_plan_need_tokens(need, last, VX_AT_NORM1);
    vx_plan_need_tokens(need, last, VX_AT_INPUT);
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const int last = job->arch->depth - 1;
    if (job->arch->pool == VX_POOL_MAP)
        return vx_dense_tokens(job, map, vx_job_tokens(job, last, VX_AT_OUTPUT, i));
    return vx_dense_values(job, map, vx_job_tokens(job, last, VX_AT_INPUT, i),
                           vx_job_tokens(job, last, VX_AT_NORM1, i), set->residual);
}

static const vitx_method_option options[] = {
    {"residual", "keep", "keep|drop",
     "keep: the block's input and perceptron; drop: what its attention gives alone"},
};

const vx_method vx_method_maskclip = {
    .name = "maskclip",
    .summary = "the head's answer to each patch, if the last block mixes no tokens",
    .cost = "1 forward, and the last block's perceptron and the head for each patch",
    .reference = "Zhou, Loy & Dai 2022, Extract Free Dense Labels from CLIP",
    .uses_target = true,
    .is_signed = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
