/*
 * explain/attn_gradcam.c: Grad-CAM on one block's attention, each head a channel.
 *
 *     w_h = mean over the patch columns of G[h, query, :];  map = mean over heads of w_h A[h,
 *     query, :]
 *
 * over the patch columns, before any clipping; G = d score / d A of the block. As attn_gradcam in
 * hila-chefer/Transformer-Explainability @ c3e578f (ViT_LRP.py), which then clips at 0. Of a model
 * that pools by attention the default is the attention of its head (pool_query.h).
 */
#include "explain/pool_query.h"

static int prepare(vx_job *job, vx_plan *need)
{
    job->gradient = true;
    job->at_pool = vx_job_of_head(job);
    if (vx_job_pools(job))
        vx_plan_need_pool(need, job->at_pool);
    if (job->at_pool)
        return VITX_OK;
    vx_plan_need_dattention(need, job->layer_first, job->layer_last, VX_DKEEP_ALL,
                            VX_PRODUCT_RELU_MEAN);
    return VITX_OK;
}

/* One plane from the query's rows of attention and gradient, [H,T] each. */
static void combine(float *out, const float *attention, const float *gradient, const vx_arch *a,
                    int first, int last)
{
    const size_t t = (size_t)vx_arch_tokens(a), prefix = (size_t)a->prefix;
    for (size_t p = prefix; p < t; p++)
        out[p - prefix] = 0;
    for (int h = first; h <= last; h++) {
        const float *row = attention + (size_t)h * t, *d = gradient + (size_t)h * t;
        double weight = 0;
        for (size_t p = prefix; p < t; p++)
            weight += d[p];
        weight /= (double)(t - prefix) * (last - first + 1);
        for (size_t p = prefix; p < t; p++)
            out[p - prefix] += (float)(weight * row[p]);
    }
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const vx_arch *a = job->arch;
    const size_t row = (size_t)job->heads * (size_t)vx_arch_tokens(a);
    const size_t plane = (size_t)a->grid_height * (size_t)a->grid_width;
    const size_t floats = vx_query_floats(job, n), gradients = (size_t)n * row;
    const vitx_hooks scratch = job->scratch;
    float *rows, *device;
    VX_TRY(vx_job_work(&device, job, floats, "rows of attention"));
    VX_TRY(vx_new(&rows, &scratch, floats, sizeof *rows, "rows of attention"));
    int status = VITX_OK;
    size_t at = 0;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++) {
        status = vx_query_read(rows, device, job, n, l);
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK; h++, at += plane)
            for (size_t i = 0; i < (size_t)n; i++)
                combine(maps[i]->values + at, rows + i * row, rows + gradients + i * row, a,
                        h < 0 ? 0 : h, h < 0 ? job->heads - 1 : h);
    }
    vx_release(&scratch, rows);
    return status;
}

const vx_method vx_method_attn_gradcam = {
    .name = "attn-gradcam",
    .summary = "Grad-CAM on one block's attention, with the heads as channels",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Selvaraju et al. 2017 on attention, as in Chefer, Gur & Wolf 2021",
    .uses_target = true,
    .is_signed = true,
    .uses_query = true,
    .of_pool_query = true,
    .prepare = prepare,
    .run_batch = run_batch,
};
