/*
 * explain/saliency.c: saliency and input x gradient.
 *
 * With g = d score / d x, x the normalised input [C,H,W]:
 *      saliency      the channels of g made one: max |g| (Simonyan et al. 2014), sum |g|, mean |g|,
 *                    sqrt(sum g^2), or the signed sum
 *      input-x-grad  sum over channels of x g, signed (Shrikumar et al. 2017). x is what the model
 *      sees,
 *                    so a pixel of the mean colour counts nothing
 * The gradient is the one that all methods of the call share.
 *
 * Captum's Saliency and InputXGradient are these before their channels are made one.
 */
#include "explain/pixels.h"

typedef struct settings {
    vx_reduce reduce;
    vx_grid grid;
} settings;

static int prepare_gradient(vx_job *job, vx_plan *need)
{
    settings *s = job->settings;
    s->reduce = VX_REDUCE_SUM;
    VX_TRY(vx_setting_grid(&s->grid, job));
    job->gradient = true;
    need->pixels = true;
    return VITX_OK;
}

static int prepare_saliency(vx_job *job, vx_plan *need)
{
    settings *s = job->settings;
    VX_TRY(prepare_gradient(job, need));
    return vx_setting_reduce(&s->reduce, &job->given);
}

enum { SALIENCY = 0, INPUT_X_GRAD }; /* of vx_method.kind */

/* The maps of the gradients, or of these times x. */
static int run(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *s = job->settings;
    const vitx_hooks scratch = job->scratch;
    const size_t pixels = vx_job_input_floats(job) / (size_t)job->arch->channels;
    float *planes, *host;
    VX_TRY(vx_job_work(&planes, job, (size_t)n * pixels, "maps of pixels"));
    VX_TRY(vx_new(&host, &scratch, (size_t)n * pixels, sizeof *host, "maps of pixels"));
    for (int i = 0; i < n; i++)
        vx_pixels_reduce(job, planes + (size_t)i * pixels, vx_job_dinput(job, i),
                         job->method->kind == INPUT_X_GRAD ? vx_job_input(job, i) : NULL,
                         s->reduce);
    const int status = vx_job_read(job, host, planes, (size_t)n * pixels);
    for (int i = 0; i < n && status == VITX_OK; i++) {
        maps[i]->info.is_signed = s->reduce == VX_REDUCE_SUM;
        vx_pixels_take(maps[i], job, host + (size_t)i * pixels, s->grid);
    }
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_GRID, VX_OPTION_REDUCE};

const vx_method vx_method_saliency = {
    .name = "saliency",
    .summary = "how much the score changes with each pixel",
    .cost = "1 forward, 1 backward",
    .reference = "Simonyan, Vedaldi & Zisserman 2014, Deep inside convolutional networks",
    .uses_target = true,
    .on_pixels = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = 2,
    .settings_size = sizeof(settings),
    .prepare = prepare_saliency,
    .run_batch = run,
};

const vx_method vx_method_input_x_grad = {
    .name = "input-x-grad",
    .summary = "gradient times input: what each pixel would add to the score of a linear model",
    .cost = "1 forward, 1 backward",
    .reference = "Shrikumar, Greenside & Kundaje 2017, Learning important features",
    .uses_target = true,
    .is_signed = true,
    .on_pixels = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = 1, /* the grid */
    .settings_size = sizeof(settings),
    .prepare = prepare_gradient,
    .kind = INPUT_X_GRAD,
    .run_batch = run,
};
