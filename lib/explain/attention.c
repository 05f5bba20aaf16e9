/*
 * explain/attention.c: attention of one query as it is.
 *
 * The map of block l is the row of the query in A_l = softmax(q k^T / sqrt E), over the patch
 * columns: A_l[h, query, prefix..T-1], heads fused (mean, max, min) or one by one. Prefix columns
 * are dropped and nothing is normalised afterwards. Caron et al. 2021 (DINO) show such maps. Of a model
 * that pools by attention the default is the attention of its head (pool.h).
 */
#include <string.h>

#include "explain/pool.h"

typedef struct settings {
    vx_fuse fuse;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_fuse(&set->fuse, &job->given));
    job->at_pool = vx_job_of_head(job);
    if (vx_job_pools(job))
        vx_plan_need_pool(need, false);
    if (!job->at_pool)
        vx_plan_need_attention(need, job->layer_first, job->layer_last,
                               vx_job_pools(job) ? VX_KEEP_ALL : VX_KEEP_ROW, VX_FUSE_MEAN,
                               job->query);
    return VITX_OK;
}

/* One head's row, or all of them fused, over the patches. */
static void take_row(float *out, float *rows, const vx_job *job, int head)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a), prefix = (size_t)a->prefix;
    float *const row = rows + (size_t)a->heads * t;
    vx_fuse_rows(row, rows, a, head, set->fuse);
    memcpy(out, row + prefix, (t - prefix) * sizeof *out);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const vx_arch *a = job->arch;
    vitx_context *c = job->context;
    const size_t row = (size_t)a->heads * (size_t)vx_arch_tokens(a);
    const size_t plane = (size_t)a->grid_height * (size_t)a->grid_width;
    const vitx_hooks scratch = job->scratch;
    float *rows;
    VX_TRY(
        vx_new(&rows, &scratch, row + (size_t)vx_arch_tokens(a), sizeof *rows, "attention rows"));
    float *out = map->values;
    int status = VITX_OK;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++) {
        const vx_recorded record = vx_job_attention(job, l, i);
        status = job->at_pool ? vx_pool_download(rows, job, i, false)
                              : vx_query_rows(rows, job, i, &record);
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK; h++, out += plane)
            take_row(out, rows, job, h);
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
