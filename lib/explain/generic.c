/*
 * explain/generic.c: attention times gradient, followed through the blocks: the generic method
 * (Chefer, Gur & Wolf 2021b, eq. 5 and 6) and gradient rollout.
 *
 * With A_l the attention of block l and G_l = d score / d A_l:
 *
 *     generic        Abar_l = mean_h max(A_l G_l, 0);  R = I;  R += Abar_l R from the first block on
 *     grad-rollout   F_l = max(mean_h A_l G_l, 0);     R = prod rownorm(F_l + I)
 *     map = R[query, prefix..T-1], nothing normalised afterwards.
 *
 * R + Abar R is (I + Abar) R, so both are rows pushed through the blocks (roll.h). generic was checked
 * against hila-chefer/Transformer-MM-Explainability @ 58eaea8 (Transformer_MM_explainability_ViT.ipynb),
 * grad-rollout against jacobgil/vit-explain @ 15a81d3 (vit_grad_rollout.py), which has its own way of
 * going wrong: it pairs the attention of block l with the gradient of block L-1-l, divides column j by
 * the sum of row j, exempts no entry from discarding, and divides the map by its maximum.
 * compat=vit-explain reproduces all of that.
 */
#include "explain/roll.h"

typedef struct settings {
    vx_product product;
    vx_norm norm;
    int start;
    double discard;
    bool compat;
} settings;

static int prepare_generic(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_int(&set->start, &job->given, "start", 0, job->layer_first));
    set->product = VX_PRODUCT_RELU_MEAN;
    set->norm = VX_NORM_NONE;
    job->gradient = true;
    vx_roll_prepare(job, need);
    vx_plan_need_dattention(need, set->start, job->layer_last,
                            job->head_first < 0 ? VX_DKEEP_PRODUCT : VX_DKEEP_ALL, set->product);
    return VITX_OK;
}

static int prepare_rollout(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    int compat;
    VX_TRY(vx_setting_discard(&set->discard, &job->given));
    VX_TRY(vx_setting_int(&set->start, &job->given, "start", 0, job->layer_first));
    VX_TRY(vx_setting_choice(&compat, &job->given, "compat"));
    set->compat = compat == 1;
    set->product = VX_PRODUCT_MEAN_RELU;
    set->norm = set->compat ? VX_NORM_COLUMNS : VX_NORM_ROWS;
    job->gradient = true;
    vx_roll_prepare(job, need);
    if (set->compat) /* block l meets the gradient of block L-1-l */
        vx_plan_need_dattention(need, 0, job->arch->depth - 1, VX_DKEEP_ALL, set->product);
    else
        vx_plan_need_dattention(need, set->start, job->layer_last,
                                job->head_first < 0 ? VX_DKEEP_PRODUCT : VX_DKEEP_ALL,
                                set->product);
    return VITX_OK;
}

/* Abar_l or F_l: as the backward pass left it, or made of what it left. */
static const float *product(const vx_job *job, int i, int layer, int head, float *space)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    vx_device *dev = job->context->dev;
    const int t = vx_arch_tokens(a), paired = set->compat ? a->depth - 1 - layer : layer;
    const float *gradient = vx_job_dattention(job, paired, i), *f = gradient;
    if (job->context->need.blocks[paired].dkeep == VX_DKEEP_ALL) {
        const vx_recorded record = vx_job_attention(job, layer, i);
        dev->ops.attn_product(dev, &(vx_attn_product){.out = space,
                                                      .p = record.data,
                                                      .dp = gradient,
                                                      .kind = set->product,
                                                      .head = head,
                                                      .batch = 1,
                                                      .targets = 1,
                                                      .heads = a->heads,
                                                      .tokens = t});
        f = space;
    }
    if (set->discard > 0) {
        if (f != space)
            dev->ops.copy_rows(
                dev, &(vx_copy_rows){.y = space, .x = f, .m = 1, .n = (int64_t)t * t, .scale = 1});
        dev->ops.discard_smallest(
            dev, &(vx_discard_smallest){.f = space,
                                        .count = (int64_t)((double)t * (double)t * set->discard),
                                        .keep_first = !set->compat,
                                        .batch = 1,
                                        .tokens = t});
        f = space;
    }
    return f;
}

/* What attn_product makes of one row. */
static void pooled(float *row, const float *rows, const vx_job *job, int head)
{
    const settings *set = job->settings;
    const size_t t = (size_t)vx_arch_tokens(job->arch), heads = (size_t)job->arch->heads;
    const size_t first = head < 0 ? 0 : (size_t)head, end = head < 0 ? heads : first + 1;
    const float *gradient = rows + heads * t;
    for (size_t j = 0; j < t; j++) {
        double sum = 0;
        for (size_t h = first; h < end; h++) {
            const double v = (double)rows[h * t + j] * (double)gradient[h * t + j];
            sum += set->product == VX_PRODUCT_RELU_MEAN && v < 0 ? 0 : v;
        }
        row[j] = sum > 0 ? (float)(sum / (double)(end - first)) : 0;
    }
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    return vx_roll(job, i, map, set->start, set->norm, product, pooled, set->compat);
}

/* clang-format off */
#define OPTION_START                                                                               \
    { "start", "0", "0 to the last block followed", "first block of the product" }
/* clang-format on */

static const vitx_method_option generic_options[] = {OPTION_START};

const vx_method vx_method_generic = {
    .name = "generic",
    .summary = "attention times its gradient, followed through the blocks up to --layer",
    .cost = "1 forward, 1 backward to the first block's attention",
    .reference = "Chefer, Gur & Wolf 2021, Generic Attention-model Explainability",
    .uses_target = true,
    .uses_query = true,
    .options = generic_options,
    .option_count = sizeof generic_options / sizeof generic_options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare_generic,
    .run = run,
};

static const vitx_method_option rollout_options[] = {
    VX_OPTION_DISCARD,
    OPTION_START,
    {"compat", "none", "none|vit-explain", "reproduce that code's pairing and normalisation"},
};

const vx_method vx_method_grad_rollout = {
    .name = "grad-rollout",
    .summary = "rollout of attention weighed by its gradient",
    .cost = "1 forward, 1 backward to the first block's attention",
    .reference = "Gildenblat 2020, jacobgil/vit-explain; after Abnar & Zuidema 2020",
    .uses_target = true,
    .uses_query = true,
    .options = rollout_options,
    .option_count = sizeof rollout_options / sizeof rollout_options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare_rollout,
    .run = run,
};
