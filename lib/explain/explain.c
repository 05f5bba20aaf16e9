/* explain/explain.c: from options to jobs, from one forward pass to all maps. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/structs.h"
#include "explain/method.h"

#define VX_METHOD(name) extern const vx_method vx_method_##name;
#include "explain/methods.def"
#undef VX_METHOD

static const vx_method *const methods[] = {
#define VX_METHOD(name) &vx_method_##name,
#include "explain/methods.def"
#undef VX_METHOD
};

const vx_method *vx_method_at(int index)
{
    return index >= 0 && index < vitx_method_count() ? methods[index] : NULL;
}

int vitx_method_count(void)
{
    return (int)(sizeof methods / sizeof methods[0]);
}

void vitx_explain_opts_init(vitx_explain_opts *out, size_t struct_size)
{
    const vitx_explain_opts full = VITX_EXPLAIN_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_method_info_init(vitx_method_info *out, size_t struct_size)
{
    const vitx_method_info full = VITX_METHOD_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vitx_method_get(vitx_method_info *out, int index)
{
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_method_get: out is NULL");
    const vx_method *m = vx_method_at(index);
    if (!m)
        return vx_fail(VITX_INVALID, "method %d: there are %d", index, vitx_method_count());
    const vitx_method_info info = {sizeof info,  m->name,        m->summary, m->cost,
                                   m->reference, m->uses_target, m->options, m->option_count,
                                   m->is_signed, m->on_pixels};
    return VX_STRUCT_WRITE(out, &info, vitx_method_info, option_count);
}

/* ------------------------------------------------------------------ options to jobs -------- */

static int find_method(const vx_method **out, const char *name)
{
    char list[512] = "";
    size_t used = 0;
    if (!name)
        return vx_fail(VITX_INVALID, "no method is given");
    for (int i = 0; vx_method_at(i); i++) {
        if (strcmp(vx_method_at(i)->name, name) == 0) {
            *out = vx_method_at(i);
            return VITX_OK;
        }
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                     vx_method_at(i)->name);
    }
    return vx_fail(VITX_INVALID, "no method \"%s\"; there are: %s", name, list);
}

static int check_settings(const vx_job *job)
{
    if (job->opts.set_count < 0 || (job->opts.set_count > 0 && !job->opts.set))
        return vx_fail(VITX_INVALID, "set_count = %d does not fit set", job->opts.set_count);
    for (int i = 0; i < job->opts.set_count; i++) {
        const char *text = job->opts.set[i];
        const char *equals = text ? strchr(text, '=') : NULL;
        if (!equals)
            return vx_fail(VITX_INVALID, "option \"%s\" is not key=value", text ? text : "");
        const size_t length = (size_t)(equals - text);
        bool known = false;
        for (int k = 0; k < job->method->option_count; k++)
            known = known || (strlen(job->method->options[k].key) == length &&
                              memcmp(job->method->options[k].key, text, length) == 0);
        if (!known)
            return vx_fail(VITX_INVALID, "method %s has no option \"%.*s\"", job->method->name,
                           (int)(length > 64 ? 64 : length), text);
    }
    return VITX_OK;
}

/* first..last of `count` things, by a number, VITX_ALL, or VITX_AUTO (then first = last = automatic). */
static int resolve_range(int *first, int *last, int asked, int automatic, int count,
                         const char *what)
{
    if (asked < VITX_ALL || asked >= count)
        return vx_fail(VITX_INVALID, "%s %d is out of range: the model has %d (0 to %d)", what,
                       asked, count, count - 1);
    *first = asked == VITX_ALL ? 0 : asked == VITX_AUTO ? automatic : asked;
    *last = asked == VITX_ALL ? count - 1 : *first;
    return VITX_OK;
}

static int prepare_job(vx_job *job, vitx_context *c, const vitx_explain_opts *given)
{
    const vx_arch *a = &c->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const vitx_explain_opts *opts = &job->opts;
    *job = (vx_job){.context = c, .arch = a, .opts = VITX_EXPLAIN_OPTS_INIT};
    VX_TRY(VX_STRUCT_READ(&job->opts, given, vitx_explain_opts, set_count));
    VX_TRY(find_method(&job->method, opts->method));
    VX_TRY(resolve_range(&job->layer_first, &job->layer_last, opts->layer, a->depth - 1, a->depth,
                         "layer"));
    VX_TRY(resolve_range(&job->head_first, &job->head_last, opts->head, -1, a->heads, "head"));
    if (opts->query < VITX_AUTO || opts->query >= vx_arch_tokens(a))
        return vx_fail(VITX_INVALID, "query %d is out of range: the model has tokens 0 to %d",
                       opts->query, vx_arch_tokens(a) - 1);
    job->query = opts->query == VITX_AUTO ? vx_default_query(a) : opts->query;
    if (opts->target < VITX_AUTO || opts->target >= a->classes)
        return vx_fail(VITX_INVALID, "target %d is out of range: the model has classes 0 to %d",
                       opts->target, a->classes - 1);
    VX_TRY(check_settings(job));
    if (job->method->settings_size)
        VX_TRY(
            vx_new(&job->settings, &scratch, 1, job->method->settings_size, "a method's settings"));
    return job->method->prepare(job, &c->need);
}

/* ------------------------------------------------------------------ jobs to maps ----------- */

static int top_class(const float *logits, int count)
{
    int best = 0;
    for (int k = 1; k < count; k++)
        if (logits[k] > logits[best])
            best = k;
    return best;
}

vx_recorded vx_job_attention(const vx_job *job, int layer, int i)
{
    return vx_recorded_picture(&job->context->need.attention[layer], job->arch, i);
}

/* The map of picture `i` of the batch that has just run, still without values. */
static int create_map(vitx_map **out, const vx_job *job, const vitx_image *image, int i)
{
    vitx_context *c = job->context;
    const vx_arch *a = job->arch;
    const float *logits = c->host_logits + (size_t)i * (size_t)a->classes;
    const int target =
        job->opts.target == VITX_AUTO ? top_class(logits, a->classes) : job->opts.target;
    vitx_map_info info = {
        .struct_size = sizeof info,
        .method = job->method->name,
        .target = target,
        .logit = logits[target],
        .probability = c->host_probabilities[(size_t)i * (size_t)a->classes + (size_t)target],
        .layer = job->opts.layer == VITX_ALL ? VITX_ALL : job->layer_first,
        .head = job->opts.head,
        .query = job->query,
        .grid_height = a->grid_height,
        .grid_width = a->grid_width,
        .picture_height = image->height,
        .picture_width = image->width};
    if (job->layer_last > job->layer_first || job->opts.layer == VITX_ALL)
        info.shape[info.rank++] = job->layer_last - job->layer_first + 1;
    if (job->opts.head == VITX_ALL)
        info.shape[info.rank++] = a->heads;
    info.shape[info.rank++] = a->grid_height;
    info.shape[info.rank++] = a->grid_width;
    for (int axis = info.rank; axis < 4; axis++)
        info.shape[axis] = 1;
    /* A grid covers whole patches: where the input's sides are no multiples, a margin is not seen. */
    vx_placement placement = c->placements[i];
    placement.input_h = a->grid_height * a->patch_height;
    placement.input_w = a->grid_width * a->patch_width;
    return vx_map_create(out, &info, &placement, &c->hooks);
}

/* The logits may be finite where what a map is made of is not: the last block's other tokens do not
 * reach the class token. */
static int check_values(const vitx_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        if (!isfinite(map->values[i]))
            return vx_fail(VITX_FORMAT,
                           "the map holds %s: the model's weights overflow in single precision",
                           isnan(map->values[i]) ? "a NaN" : "an infinity");
    return VITX_OK;
}

static int explain_batch(vitx_map **out, vitx_context *c, const vitx_image *const *images, int n,
                         const vx_job *jobs, int m)
{
    VX_TRY(vx_context_run(c, images, n, &c->need));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            VX_TRY(create_map(&out[(size_t)i * (size_t)m + (size_t)j], &jobs[j], images[i], i));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            vitx_map *map = out[(size_t)i * (size_t)m + (size_t)j];
            VX_TRY(jobs[j].method->run(&jobs[j], i, map));
            VX_TRY(check_values(map));
            vx_map_finish(map);
        }
    return VITX_OK;
}

static int explain_all(vitx_map **out, vitx_context *c, const vitx_image *const *images, int n,
                       const vitx_explain_opts *opts, vx_job *jobs, int m)
{
    vx_plan_clear(&c->need);
    /* The caller's array may be of structs of an older, shorter version: his size is the step. */
    const char *given = (const char *)opts;
    for (int j = 0; j < m; j++, given += opts->struct_size)
        VX_TRY(prepare_job(&jobs[j], c, (const vitx_explain_opts *)(const void *)given));
    vx_context_begin(c, (n - 1) / c->max_batch + 1);
    for (int at = 0; at < n; at += c->max_batch) {
        const int count = n - at < c->max_batch ? n - at : c->max_batch;
        VX_TRY(explain_batch(out + (size_t)at * (size_t)m, c, images + at, count, jobs, m));
    }
    return VITX_OK;
}

int vitx_explain_many(vitx_map **out, vitx_context *context, const vitx_image *const *images, int n,
                      const vitx_explain_opts *opts, int m)
{
    if (n < 1 || m < 1)
        return vx_fail(VITX_INVALID, "%d pictures, %d methods: at least one of each is needed", n,
                       m);
    size_t count;
    if (!vx_mul_size(&count, (size_t)n, (size_t)m))
        return vx_fail(VITX_INVALID, "%d pictures x %d methods are too many", n, m);
    for (size_t i = 0; out && i < count; i++)
        out[i] = NULL;
    if (!out || !context || !images || !opts)
        return vx_fail(VITX_INVALID, "vitx_explain_many: an argument is NULL");
    vx_job *jobs;
    const vitx_hooks scratch = vx_scratch_hooks(&context->scratch);
    VX_TRY(vx_new(&jobs, &scratch, (size_t)m, sizeof *jobs, "jobs"));
    const int status = explain_all(out, context, images, n, opts, jobs, m);
    for (int j = 0; j < m; j++)
        vx_release(&scratch, jobs[j].settings);
    vx_release(&scratch, jobs);
    for (size_t i = 0; status != VITX_OK && i < count; i++) {
        vitx_map_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

int vitx_explain(vitx_map **out, vitx_context *context, const vitx_image *image,
                 const vitx_explain_opts *opts)
{
    if (out)
        *out = NULL;
    return vitx_explain_many(out, context, &image, 1, opts, 1);
}
