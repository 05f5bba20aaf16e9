/*
 * explain/generic.c: attention times gradient, followed through the blocks: the generic method
 * (Chefer, Gur & Wolf 2021b, eq. 5 and 6) and gradient rollout.
 *
 * With A_l the attention of block l and G_l = d score / d A_l:
 *
 *     generic        Abar_l = mean_h max(A_l G_l, 0);  R = I;  R += Abar_l R, first block first
 *     grad-rollout   F_l = max(mean_h A_l G_l, 0);     R = prod rownorm(F_l + I)
 *     map = R[query, prefix..T-1], nothing normalised afterwards.
 *
 * R + Abar R is (I + Abar) R, so both are rows pushed through the blocks (roll.h). generic was
 * checked against hila-chefer/Transformer-MM-Explainability @ 58eaea8
 * (Transformer_MM_explainability_ViT.ipynb; the notebook for CLIP follows the last block alone:
 * start=-1), grad-rollout against jacobgil/vit-explain @ 15a81d3
 * (vit_grad_rollout.py), which has its own way of going wrong: it pairs the attention of block l
 * with the gradient of block L-1-l, divides column j by the sum of row j, exempts no entry from
 * discarding, and divides the map by its maximum. compat=vit-explain reproduces all of that.
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
    VX_TRY(vx_setting_block(&set->start, &job->given, "start", job->layer_first, job->arch->depth));
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
    VX_TRY(vx_setting_block(&set->start, &job->given, "start", job->layer_first, job->arch->depth));
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

/* One picture's, or those of n pictures whose gradients lie one behind the other, into space. */
static void multiply(vx_far *space, const vx_job *job, int first, int n, int layer, int paired,
                     int head)
{
    const settings *set = job->settings;
    const vx_recorded record = vx_job_attention(job, layer, first);
    job->dev->ops.attn_product(job->dev,
                               &(vx_attn_product){.out = space,
                                                  .p = record.data,
                                                  .dp = vx_job_dattention(job, paired, first),
                                                  .kind = set->product,
                                                  .head = head,
                                                  .batch = n,
                                                  .targets = 1,
                                                  .heads = job->arch->heads,
                                                  .tokens = vx_arch_tokens(job->arch)});
}

/* Abar_l or F_l: as the backward pass left it, or made of what it left. */
static const vx_far *product(const vx_job *job, int first, int n, int layer, int head,
                             vx_far *space)
{
    const settings *set = job->settings;
    const int t = vx_arch_tokens(job->arch), at_once = vx_job_at_once(job, n);
    const int64_t square = (int64_t)t * t;
    const int paired = set->compat ? job->arch->depth - 1 - layer : layer;
    const vx_far *f = vx_job_dattention(job, paired, first);
    if (job->plan->blocks[paired].dkeep == VX_DKEEP_ALL) {
        for (int i = 0; i < n; i += at_once)
            multiply(space + i * square, job, first + i, at_once, layer, paired, head);
        f = space;
    } else if (set->discard > 0 || at_once < n) {
        job->dev->ops.copy_rows(job->dev, &(vx_copy_rows){.y = space,
                                                          .ldy = square,
                                                          .x = f,
                                                          .ldx = square * job->plan->targets,
                                                          .m = n,
                                                          .n = square,
                                                          .scale = 1});
        f = space;
    }
    if (set->discard > 0)
        job->dev->ops.discard_smallest(
            job->dev,
            &(vx_discard_smallest){.f = space,
                                   .count = (int64_t)((double)t * (double)t * set->discard),
                                   .keep_first = !set->compat,
                                   .batch = n,
                                   .tokens = t});
    return f;
}

/* What attn_product makes of one row. */
static void pooled(float *row, const float *attention, const float *gradient, const vx_job *job,
                   int head)
{
    const settings *set = job->settings;
    const size_t t = (size_t)vx_arch_tokens(job->arch), heads = (size_t)job->arch->pool_heads;
    const size_t first = head < 0 ? 0 : (size_t)head, end = head < 0 ? heads : first + 1;
    for (size_t j = 0; j < t; j++) {
        double sum = 0;
        for (size_t h = first; h < end; h++) {
            const double v = (double)attention[h * t + j] * (double)gradient[h * t + j];
            sum += set->product == VX_PRODUCT_RELU_MEAN && v < 0 ? 0 : v;
        }
        row[j] = sum > 0 ? (float)(sum / (double)(end - first)) : 0;
    }
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *set = job->settings;
    const vx_roll roll = {.start = set->start,
                          .norm = set->norm,
                          .matrix = product,
                          .pooled = pooled,
                          .by_max = set->compat};
    return vx_roll_run(job, n, maps, &roll);
}

/* clang-format off */
#define OPTION_START                                                                               \
    { "start", "0", "0 to the last block followed, or -1, -2, ...", \
      "first block of the product; -1: the last block alone" }
/* clang-format on */

static const vitx_method_option generic_options[] = {OPTION_START};

const vx_method vx_method_generic = {
    .name = "generic",
    .summary = "attention times its gradient, followed through the blocks up to --layer",
    .cost = "1 forward, 1 backward down to the first block's attention",
    .reference = "Chefer, Gur & Wolf 2021, Generic Attention-model Explainability",
    .uses_target = true,
    .uses_query = true,
    .options = generic_options,
    .option_count = sizeof generic_options / sizeof generic_options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare_generic,
    .run_batch = run_batch,
};

static const vitx_method_option rollout_options[] = {
    VX_OPTION_DISCARD,
    OPTION_START,
    {"compat", "none", "none|vit-explain",
     "vit-explain: pairs blocks and normalises like that code"},
};

const vx_method vx_method_grad_rollout = {
    .name = "grad-rollout",
    .summary = "rollout of attention multiplied by its gradient",
    .cost = "1 forward, 1 backward down to the first block's attention",
    .reference = "Gildenblat 2020, jacobgil/vit-explain; after Abnar & Zuidema 2020",
    .uses_target = true,
    .uses_query = true,
    .options = rollout_options,
    .option_count = sizeof rollout_options / sizeof rollout_options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare_rollout,
    .run_batch = run_batch,
};
