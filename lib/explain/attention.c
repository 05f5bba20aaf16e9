/*
 * explain/attention.c: attention of one query as it is.
 *
 * The map of block l is the row of the query in A_l = softmax(q k^T / sqrt E), over the patch
 * columns: A_l[h, query, prefix..T-1], heads fused (mean, max, min) or one by one. Prefix columns
 * are dropped and nothing is normalised afterwards. Caron et al. 2021 (DINO) show such maps. Of a
 * model that pools by attention the default is the attention of its head (pool_query.h).
 */
#include <string.h>

#include "explain/pool_query.h"

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

/* One head's row, or all of them fused, over the patches; rows [H,T], room [T]. */
static void take_row(float *out, const float *rows, float *room, const vx_job *job, int head)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a), prefix = (size_t)a->prefix;
    vx_fuse_rows(room, rows, job->heads, t, head, set->fuse);
    memcpy(out, room + prefix, (t - prefix) * sizeof *out);
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a), floats = vx_query_floats(job, n);
    const size_t plane = t - (size_t)a->prefix;
    const vitx_hooks scratch = job->scratch;
    float *rows, *device;
    VX_TRY(vx_job_work(&device, job, floats, "attention rows"));
    VX_TRY(vx_new(&rows, &scratch, floats + t, sizeof *rows, "attention rows"));
    int status = VITX_OK;
    size_t at = 0;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++) {
        status = vx_query_read(rows, device, job, n, l);
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK; h++, at += plane)
            for (size_t i = 0; i < (size_t)n; i++)
                take_row(maps[i]->values + at, rows + i * (size_t)job->heads * t, rows + floats,
                         job, h);
    }
    vx_release(&scratch, rows);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_FUSE};

const vx_method vx_method_attention = {
    .name = "attention",
    .summary = "attention of one query in one block, unchanged",
    .cost = "1 forward",
    .reference = "Vaswani et al. 2017; shown as maps by Caron et al. 2021 (DINO)",
    .uses_query = true,
    .of_pool_query = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run_batch,
};
