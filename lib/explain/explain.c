/* explain/explain.c: from one forward pass to all maps. */
#include <math.h>

#include "base/structs.h"
#include "engine/feed.h"
#include "engine/pass.h"
#include "engine/size.h"
#include "explain/explain.h"
#include "explain/jobs.h"

void vitx_explain_opts_init(vitx_explain_opts *out, size_t struct_size)
{
    const vitx_explain_opts full = VITX_EXPLAIN_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
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

/* All that a call works on: n pictures, m jobs, and the maps of one batch, [batch, m]. */
typedef struct call {
    vitx_context *c;
    vx_feed feed;
    const vx_inputs *inputs; /* n inputs in place of feed's, all of its picture 0; NULL: none */
    int n, m;
    vx_job *jobs;
    vitx_map **pending; /* maps without values */
} call;

static vitx_map **pending_of(const call *k, int i, int j)
{
    return &k->pending[(size_t)i * (size_t)k->m + (size_t)j];
}

/* The gradients of the batch's n pictures: each job's gradient of the logits, then one backward
 * pass for all. */
static int run_backward(const call *k, int n)
{
    vitx_context *c = k->c;
    vx_plan *plan = &c->need;
    const size_t classes = (size_t)c->arch.classes, gradients = (size_t)n * (size_t)plan->targets;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    float *cotangents;
    if (plan->targets == 0)
        return VITX_OK;
    VX_TRY(vx_new(&cotangents, &scratch, gradients * classes, sizeof *cotangents,
                  "gradients of the logits"));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k->m; j++) {
            const size_t g = (size_t)i * (size_t)plan->targets + (size_t)k->jobs[j].cotangent;
            vitx_map *map = *pending_of(k, i, j);
            if (!k->jobs[j].gradient)
                continue;
            const float *logits = c->act.host.logits + (size_t)i * classes;
            const float *probabilities = c->act.host.probabilities + (size_t)i * classes;
            map->traces.flat = vx_target_is_flat(vx_map_target(map), logits, probabilities);
            vx_target_cotangent(cotangents + g * classes, vx_map_target(map), logits, probabilities,
                                c->arch.classes);
        }
    c->dev->cls->upload(c->dev, plan->dlogits, cotangents,
                        gradients * classes * sizeof *cotangents);
    const int status = vx_context_settle(
        c, vx_pass_backward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = n}));
    vx_release(&scratch, cotangents);
    return status;
}

/* Hands a finished map over. */
static int finish(vitx_map **out, vitx_map **pending)
{
    VX_TRY(check_values(*pending));
    vx_map_finish(*pending);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is there, or is not finished */
    (*pending)->vector = NULL; /* it goes with the job */
    *out = *pending;
    *pending = NULL;
    return VITX_OK;
}

/* One job on pictures first..first+n-1 of the batch. */
static int run_job(vitx_map **out, const call *k, int j, int first, int n)
{
    vitx_map **maps;
    const vitx_hooks scratch = vx_scratch_hooks(&k->c->scratch);
    VX_TRY(vx_new(&maps, &scratch, (size_t)n, sizeof(vitx_map *), "maps"));
    for (int i = 0; i < n; i++)
        maps[i] = *pending_of(k, first + i, j);
    int status = vx_job_run(&k->jobs[j], first, n, maps);
    vx_release(&scratch, maps);
    for (int i = first; i < first + n && status == VITX_OK; i++)
        status = finish(&out[(size_t)i * (size_t)k->m + (size_t)j], pending_of(k, i, j));
    return status;
}

/* First the methods that take a batch whole, then the others picture by picture. */
static int run_jobs(vitx_map **out, const call *k, int n)
{
    for (int j = 0; j < k->m; j++)
        if (k->jobs[j].method->run_batch)
            VX_TRY(run_job(out, k, j, 0, n));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k->m; j++)
            if (!k->jobs[j].method->run_batch)
                VX_TRY(run_job(out, k, j, i, 1));
    return VITX_OK;
}

static int run_forward(const call *k, int first, int n, int next)
{
    if (k->inputs)
        return vx_context_run_inputs(k->c, k->feed.images[0], k->inputs, first, n, &k->c->need);
    return vx_feed_run(k->c, &k->feed, first, n, next, &k->c->need);
}

/* NULL: number i is an input that is no picture's. */
static const vitx_image *picture_of(const call *k, int i)
{
    return k->feed.images ? k->feed.images[k->inputs ? 0 : i] : NULL;
}

/* The model's answer for picture i of the batch, into those of its maps that are to keep it. */
static int keep_answer(const call *k, int i)
{
    const vitx_context *c = k->c;
    const vx_host_side *host = &c->act.host;
    const size_t row = (size_t)i * (size_t)c->arch.classes;
    vx_answer *answer = NULL;
    for (int j = 0; j < k->m; j++) {
        if (!k->jobs[j].opts.answer)
            continue;
        if (!answer)
            VX_TRY(vx_answer_create(&answer, host->logits + row, host->probabilities + row,
                                    c->arch.classes, c->arch.units, &c->hooks));
        (*pending_of(k, i, j))->answer = vx_answer_hold(answer);
    }
    vx_answer_drop(answer);
    return VITX_OK;
}

/* Pictures first..first+n-1, behind which `next` come. If it fails, maps are left pending. */
static int explain_pending(vitx_map **out, const call *k, int first, int n, int next)
{
    VX_TRY(run_forward(k, first, n, next));
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < k->m; j++)
            VX_TRY(vx_job_map(pending_of(k, i, j), &k->jobs[j], picture_of(k, first + i), i));
        VX_TRY(keep_answer(k, i));
    }
    VX_TRY(run_backward(k, n));
    return run_jobs(out, k, n);
}

/* The same, and no map is left pending. */
static int explain_batch(vitx_map **out, const call *k, int first, int n, int next)
{
    const int status = explain_pending(out, k, first, n, next);
    for (size_t i = 0; i < (size_t)n * (size_t)k->m; i++) {
        vitx_map_free(k->pending[i]);
        k->pending[i] = NULL;
    }
    return status;
}

/* Prepares the jobs for number `first` and those behind it that have its size: *alike of them. */
static int prepare_at(int *alike, const call *k, const vitx_explain_opts *opts, int first)
{
    const vitx_hooks scratch = vx_scratch_hooks(&k->c->scratch);
    vx_jobs_release(k->jobs, k->m, &scratch);
    VX_TRY(vx_feed_measure(alike, k->c, &k->feed, k->inputs ? 0 : first,
                           k->inputs ? 1 : k->n - first));
    if (k->inputs)
        *alike = k->n;
    return vx_jobs_prepare(k->jobs, k->m, k->c, opts);
}

static int most(const vitx_context *c, int n)
{
    return n < c->max_batch ? n : c->max_batch;
}

/* Pictures of one size. */
static int explain_alike(vitx_map **out, const call *k, int first, int n)
{
    vitx_context *c = k->c;
    VX_TRY(vx_similarity_run(c, &k->jobs->similarity));
    VX_TRY(vx_size_reserve(c));
    VX_TRY(vx_jobs_reserve(c, k->jobs, k->m));
    for (int at = first, count; at < first + n; at += count) {
        count = most(c, first + n - at);
        VX_TRY(explain_batch(out + (size_t)at * (size_t)k->m, k, at, count,
                             most(c, first + n - at - count)));
    }
    return VITX_OK;
}

/* Size after size: what the jobs plan depends on it. The work is counted before, so that the
 * progress knows its end. If all pictures have one size, the jobs are prepared once. */
static int explain_all(vitx_map **out, const call *k, const vitx_explain_opts *opts)
{
    int64_t ticks = 0;
    int n = 0;
    for (int at = 0; at < k->n; at += n) {
        VX_TRY(prepare_at(&n, k, opts, at));
        ticks += vx_jobs_ticks(k->jobs, k->m, k->c, n);
    }
    if (!k->inputs)
        vx_context_begin(k->c, ticks);
    if (n == k->n)
        return explain_alike(out, k, 0, n);
    for (int at = 0; at < k->n; at += n) {
        VX_TRY(prepare_at(&n, k, opts, at));
        VX_TRY(explain_alike(out, k, at, n));
    }
    return VITX_OK;
}

/* Fills in the rest of k, and out, which holds n * m times NULL. */
static int explain_call(vitx_map **out, call *k, const vitx_explain_opts *opts)
{
    const size_t batch = (size_t)(k->n < k->c->max_batch ? k->n : k->c->max_batch);
    const vitx_hooks scratch = vx_scratch_hooks(&k->c->scratch);
    VX_TRY(vx_new(&k->jobs, &scratch, (size_t)k->m, sizeof *k->jobs, "jobs"));
    int status = vx_new(&k->pending, &scratch, batch * (size_t)k->m, sizeof(vitx_map *), "maps");
    if (status == VITX_OK)
        status = explain_all(out, k, opts);
    vx_release(&scratch, k->pending);
    vx_jobs_free(k->jobs, k->m, &scratch);
    return status;
}

/* What is known of a call before there is a picture; forwards may be NULL. */
static int preview(size_t *out, int64_t *forwards, vitx_context *c, const vitx_explain_opts *opts,
                   int m)
{
    vx_job *jobs;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    VX_TRY(vx_new(&jobs, &scratch, (size_t)m, sizeof *jobs, "jobs"));
    c->recorded = 0;
    c->grid_open = c->varies;
    c->previewed = true;
    int status = vx_jobs_prepare(jobs, m, c, opts);
    c->grid_open = c->previewed = false;
    if (status == VITX_OK)
        status = vx_jobs_bytes(out, c, jobs, m);
    if (status == VITX_OK && forwards)
        *forwards = vx_jobs_forwards(jobs, m, c);
    vx_jobs_free(jobs, m, &scratch);
    return status;
}

int vitx_explain_bytes(size_t *out, vitx_context *context, const vitx_explain_opts *opts, int m)
{
    if (!out || !context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_explain_bytes: an argument is NULL or m is %d", m);
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, preview(out, NULL, context, opts, m));
}

int vitx_explain_forwards(int64_t *out, vitx_context *context, const vitx_explain_opts *opts, int m)
{
    size_t bytes;
    if (!out || !context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_explain_forwards: an argument is NULL or m is %d", m);
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, preview(&bytes, out, context, opts, m));
}

/* n pictures or inputs by m methods; `name` is the public function's. */
static int explain_feed(vitx_map **out, vitx_context *c, const vx_feed *feed, int n,
                        const vitx_explain_opts *opts, int m, const char *name)
{
    if (n < 1 || m < 1)
        return vx_fail(VITX_INVALID, "%d pictures, %d methods: at least one of each is needed", n,
                       m);
    size_t count;
    if (!vx_mul_size(&count, (size_t)n, (size_t)m))
        return vx_fail(VITX_INVALID, "%d pictures x %d methods are too many", n, m);
    for (size_t i = 0; out && i < count; i++)
        out[i] = NULL;
    if (!out || !c || !(feed->images || feed->tensors) || !opts)
        return vx_fail(VITX_INVALID, "%s: an argument is NULL", name);
    VX_TRY(vx_context_enter(c));
    call k = {.c = c, .feed = *feed, .n = n, .m = m};
    int status = vx_feed_check(c, feed, n);
    if (status == VITX_OK)
        status = explain_call(out, &k, opts);
    c->explained = status == VITX_OK && n == 1;
    return vx_context_leave(c, status);
}

int vitx_explain_many(vitx_map **out, vitx_context *context, const vitx_image *const *images, int n,
                      const vitx_explain_opts *opts, int m)
{
    return explain_feed(out, context, &(vx_feed){.images = images}, n, opts, m,
                        "vitx_explain_many");
}

int vitx_explain_inputs(vitx_map **out, vitx_context *context, const float *inputs, int n,
                        int height, int width, const vitx_explain_opts *opts, int m)
{
    return explain_feed(out, context, &(vx_feed){NULL, inputs, height, width}, n, opts, m,
                        "vitx_explain_inputs");
}

int vitx_explain(vitx_map **out, vitx_context *context, const vitx_image *image,
                 const vitx_explain_opts *opts)
{
    if (out)
        *out = NULL;
    return vitx_explain_many(out, context, &image, 1, opts, 1);
}

int vx_explain_inputs(vitx_map **out, vitx_context *c, const vitx_image *image,
                      const vx_inputs *inputs, int n, const vitx_explain_opts *opts)
{
    call k = {.c = c, .feed = {.images = &image}, .inputs = inputs, .n = n, .m = 1};
    for (int i = 0; i < n; i++)
        out[i] = NULL;
    return explain_call(out, &k, opts);
}

int vx_explain_ticks(int64_t *out, vitx_context *c, const vitx_explain_opts *opts, int n)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_job *job;
    VX_TRY(vx_new(&job, &scratch, 1, sizeof *job, "a job"));
    const int status = vx_jobs_prepare(job, 1, c, opts);
    if (status == VITX_OK)
        *out = vx_jobs_ticks(job, 1, c, n);
    vx_jobs_free(job, 1, &scratch);
    return status;
}
