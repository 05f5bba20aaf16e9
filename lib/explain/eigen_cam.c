/*
 * explain/eigen_cam.c: the first principal component of a block's tokens.
 *
 *     X[p,c] = x[p,c] - mean_p x[p,c];   x = a: eigencam,   x = a g: eigengradcam
 *     map = sqrt(lambda) u,  (lambda, u) the largest eigenpair of X X^T
 *
 * with a the tokens of the patches and g = d score / d a. sqrt(lambda) u is X v, v the first right
 * singular vector of X: what pytorch-grad-cam @ 084273b computes (utils/svd_on_activations.py),
 * where the sign is whatever LAPACK returns. Here the value of largest magnitude is positive, of
 * equal ones the first. Tokens that are all alike give 0 everywhere.
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

/* One picture's maps from its products [layers,P,P]. */
static int take(vitx_map *map, const float *grams, const vx_job *job, double *u)
{
    const vx_arch *a = job->arch;
    const int n = vx_arch_tokens(a) - a->prefix;
    float *out = map->values;
    double lambda;
    for (int l = job->layer_first; l <= job->layer_last; l++, out += n) {
        VX_TRY(vx_largest_eigenpair(&lambda, u, grams, n, &job->scratch));
        set_values(out, lambda, u, n);
        grams += (size_t)n * (size_t)n;
    }
    return VITX_OK;
}

/* Pictures first..first+some-1: products are queued for all, then read at once. */
static int run_some(const vx_job *job, int first, int some, vitx_map *const *maps, vx_far *device,
                    float *host, double *u)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const int tokens = vx_arch_tokens(a);
    const size_t square = (size_t)(tokens - a->prefix) * (size_t)(tokens - a->prefix);
    const size_t each = (size_t)(job->layer_last - job->layer_first + 1) * square;
    for (int i = 0; i < some; i++)
        for (int l = job->layer_first; l <= job->layer_last; l++)
            job->dev->ops.token_gram(
                job->dev,
                &(vx_token_gram){
                    .out = device + (size_t)i * each + (size_t)(l - job->layer_first) * square,
                    .a = vx_job_tokens(job, l, set->at, first + i),
                    .g = job->gradient ? vx_job_dtokens(job, l, set->at, first + i) : NULL,
                    .first = a->prefix,
                    .batch = 1,
                    .targets = 1,
                    .tokens = tokens,
                    .width = a->width});
    VX_TRY(vx_job_read(job, host, device, (size_t)some * each));
    for (int i = 0; i < some; i++)
        VX_TRY(take(maps[first + i], host + (size_t)i * each, job, u));
    return VITX_OK;
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const size_t patches = (size_t)(vx_arch_tokens(job->arch) - job->arch->prefix);
    const size_t each = (size_t)(job->layer_last - job->layer_first + 1) * patches * patches;
    const int at_once = vx_job_fit(each, n);
    const vitx_hooks scratch = job->scratch;
    float *device, *host;
    double *u = NULL;
    VX_TRY(vx_job_work(&device, job, (size_t)at_once * each, "products of tokens"));
    VX_TRY(vx_new(&host, &scratch, (size_t)at_once * each, sizeof *host, "products of tokens"));
    int status = vx_new(&u, &scratch, patches, sizeof *u, "an eigenvector");
    for (int i = 0; i < n && status == VITX_OK; i += at_once)
        status = run_some(job, i, n - i < at_once ? n - i : at_once, maps, device, host, u);
    vx_release(&scratch, u);
    vx_release(&scratch, host);
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
    .run_batch = run_batch,
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
    .run_batch = run_batch,
};
