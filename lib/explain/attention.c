/*
 * explain/attention.c: attention of one query as it is.
 *
 * The map of block l is the row of the query in A_l = softmax(q k^T / sqrt E), over the patch
 * columns: A_l[h, query, prefix..T-1], heads fused (mean, max, min) or one by one. Prefix columns
 * are dropped and nothing is normalised afterwards. Caron et al. 2021 (DINO) show such maps.
 */
#include <math.h>

#include "explain/method.h"

typedef struct settings {
    vx_fuse fuse;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_fuse(&set->fuse, job));
    vx_plan_need_attention(need, job->layer_first, job->layer_last, VX_KEEP_ROW, VX_FUSE_MEAN,
                           job->query);
    return VITX_OK;
}

/* rows [H,T] -> out [patches]: one head, or all of them fused. */
static void fuse_rows(float *out, const float *rows, const vx_arch *a, int head, vx_fuse fuse)
{
    const int tokens = vx_arch_tokens(a), from = head < 0 ? 0 : head,
              to = head < 0 ? a->heads - 1 : head;
    for (int p = a->prefix; p < tokens; p++) {
        float v = rows[(size_t)from * (size_t)tokens + (size_t)p];
        for (int h = from + 1; h <= to; h++) {
            const float next = rows[(size_t)h * (size_t)tokens + (size_t)p];
            v = fuse == VX_FUSE_MAX   ? fmaxf(v, next)
                : fuse == VX_FUSE_MIN ? fminf(v, next)
                                      : v + next;
        }
        out[p - a->prefix] = fuse == VX_FUSE_MEAN && head < 0 ? v / (float)a->heads : v;
    }
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    vitx_context *c = job->context;
    const size_t row = (size_t)a->heads * (size_t)vx_arch_tokens(a);
    const size_t plane = (size_t)a->grid_height * (size_t)a->grid_width;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);

    VX_TRY(vx_block_reserve(c, &c->work, row * sizeof(float), "attention rows"));
    float *rows;
    VX_TRY(vx_new(&rows, &scratch, row, sizeof *rows, "attention rows"));
    float *out = map->values;
    int status = VITX_OK;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++) {
        const vx_recorded record = vx_job_attention(job, l, i);
        c->dev->ops.attn_row(c->dev, c->work.memory, &record, job->query, a->prefix);
        c->dev->cls->download(c->dev, rows, c->work.memory, row * sizeof(float));
        status = vx_context_sync(c);
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK; h++, out += plane)
            fuse_rows(out, rows, a, h, set->fuse);
    }
    vx_release(&scratch, rows);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_FUSE};

const vx_method vx_method_attention = {
    .name = "attention",
    .summary = "attention of one query in one block, as it is",
    .cost = "1 forward",
    .reference = "Vaswani et al. 2017; shown as maps by Caron et al. 2021 (DINO)",
    .uses_query = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
