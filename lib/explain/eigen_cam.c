/*
 * explain/eigen_cam.c: the first principal component of a block's tokens.
 *
 *     X[p,c] = x[p,c] - mean_p x[p,c];   x = a: eigencam,   x = a g: eigengradcam
 *     map = sqrt(lambda) u,  (lambda, u) the largest eigenpair of X X^T
 *
 * with a the tokens of the patches and g = d score / d a. sqrt(lambda) u is X v, v the first right
 * singular vector of X: what pytorch-grad-cam @ 084273b computes (utils/svd_on_activations.py), where the
 * sign is whatever LAPACK returns. Here the value of largest magnitude is positive, of equal ones the
 * first. Tokens that are all alike give 0 everywhere.
 */
#include "explain/lanczos.h"
#include "explain/tokens.h"

#include <math.h>

typedef struct settings {
    vx_at at;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    return vx_tokens_prepare(&set->at, job, need, job->method->uses_target);
}

/* map = sqrt(lambda) u. */
static void set_values(float *map, double lambda, const double *u, int n)
{
    int peak = 0;
    for (int p = 1; p < n; p++)
        peak = fabs(u[p]) > fabs(u[peak]) ? p : peak;
    /* X X^T has no eigenvalue below 0, but rounding has. */
    const double scale = lambda < 0 ? 0 : copysign(sqrt(lambda), u[peak]);
    for (int p = 0; p < n; p++)
        map[p] = (float)(scale * u[p]);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    vitx_context *c = job->context;
    const int tokens = vx_arch_tokens(a), n = tokens - a->prefix;
    const size_t count = (size_t)n * (size_t)n;
    const vitx_hooks scratch = job->scratch;
    float *gram, *out = map->values;
    double *u = NULL, lambda;
    VX_TRY(vx_block_reserve(c, &c->work, count * sizeof(float), "products of tokens"));
    VX_TRY(vx_new(&gram, &scratch, count, sizeof *gram, "products of tokens"));
    int status = vx_new(&u, &scratch, (size_t)n, sizeof *u, "an eigenvector");
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++, out += n) {
        c->dev->ops.token_gram(
            c->dev, &(vx_token_gram){.out = c->work.memory,
                                     .a = vx_job_tokens(job, l, set->at, i),
                                     .g = job->gradient ? vx_job_dtokens(job, l, set->at, i) : NULL,
                                     .first = a->prefix,
                                     .tokens = tokens,
                                     .width = a->width});
        c->dev->cls->download(c->dev, gram, c->work.memory, count * sizeof *gram);
        status = vx_context_sync(c);
        if (status == VITX_OK)
            status = vx_largest_eigenpair(&lambda, u, gram, n, &scratch);
        if (status == VITX_OK)
            set_values(out, lambda, u, n);
    }
    vx_release(&scratch, u);
    vx_release(&scratch, gram);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_AT};

const vx_method vx_method_eigencam = {
    .name = "eigencam",
    .summary = "first principal component of a block's tokens",
    .cost = "1 forward",
    .reference = "Muhammad & Yeasin 2020, Eigen-CAM",
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};

const vx_method vx_method_eigengradcam = {
    .name = "eigengradcam",
    .summary = "first principal component of tokens times gradient",
    .cost = "1 forward, the backward of the blocks above",
    .reference = "Gildenblat 2021, EigenGradCAM of jacobgil/pytorch-grad-cam",
    .uses_target = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
