/* explain/job.c: one method and one call's options: checked, what it sees of the pass, its maps. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "explain/method.h"
#include "explain/pool_query.h"
#include "words/words.h"

/* ------------------------------------------------------------------ options to jobs -------- */

static const char *method_name(int index)
{
    const vx_method *method = vx_method_at(index);
    return method ? method->name : NULL;
}

static int find_method(const vx_method **out, const char *name)
{
    int index;
    VX_TRY(vx_find_name(&index, name, method_name, "method"));
    *out = vx_method_at(index);
    return VITX_OK;
}

static int check_settings(const vx_job *job)
{
    VX_TRY(vx_settings_check(&job->given, "method"));
    if (job->opts.baseline && strcmp(vx_setting(&job->given, "baseline"), "picture") != 0)
        return vx_fail(VITX_INVALID,
                       "method %s: a baseline picture is given without baseline=picture",
                       job->method->name);
    return VITX_OK;
}

/* first..last of `count` things, by a number, VITX_ALL, or VITX_AUTO (then first = last =
 * automatic). */
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

/* Numbers that the model bounds. */
static int check_outputs(const vitx_explain_opts *opts, const vx_arch *a, bool grid_open)
{
    const char *const kind = a->units ? "units" : "classes";
    if (opts->query < VITX_AUTO || (opts->query >= vx_arch_tokens(a) && !grid_open))
        return vx_fail(VITX_INVALID, "query %d is out of range: the model has tokens 0 to %d",
                       opts->query, vx_arch_tokens(a) - 1);
    if (opts->target < VITX_AUTO || opts->target >= a->classes)
        return vx_fail(VITX_INVALID, "target %d is out of range: the model has %s 0 to %d",
                       opts->target, kind, a->classes - 1);
    VX_TRY(vx_score_check(opts->score, a));
    if (opts->versus < VITX_AUTO || opts->versus >= a->classes)
        return vx_fail(VITX_INVALID, "versus %d is out of range: the model has %s 0 to %d",
                       opts->versus, kind, a->classes - 1);
    return VITX_OK;
}

/* What the score is, unless a vector is given. */
static vitx_score score_of(const vx_job *job)
{
    const vitx_score by_default = job->method->score;
    if (job->opts.score)
        return job->opts.score;
    if (!by_default ||
        (by_default == VITX_SCORE_PROBABILITY && !vx_arch_has_probability(job->arch)))
        return VITX_SCORE_LOGIT;
    return by_default;
}

/* Options that the method does not have. */
static int check_method(const vx_method *method, const vitx_explain_opts *opts)
{
    if (method->no_layers && opts->layer != VITX_AUTO)
        return vx_fail(VITX_INVALID, "method %s takes no layer", method->name);
    if (method->no_heads && opts->head != VITX_AUTO)
        return vx_fail(VITX_INVALID, "method %s takes no head", method->name);
    if (opts->basis && method->channels == 0)
        return vx_fail(VITX_INVALID, "method %s takes no basis", method->name);
    if ((opts->among || opts->among_later) && !method->among)
        return vx_fail_field(VITX_INVALID, "among",
                             "method %s compares no texts: it takes no among", method->name);
    if (!method->uses_query && opts->query != VITX_AUTO)
        return vx_fail(VITX_INVALID, "method %s takes no query", method->name);
    return VITX_OK;
}

vx_job vx_job_of(vitx_context *c, const vx_method *method, const vitx_explain_opts *opts)
{
    return (vx_job){
        .method = method,
        .context = c,
        .dev = c->dev,
        .arch = &c->arch,
        .recipe = &c->recipe,
        .plan = &c->need,
        .variants_need = &c->variants.need,
        .scratch = vx_scratch_hooks(&c->scratch),
        .grid_open = c->grid_open,
        .opts = *opts,
        .given = {method->name, method->options, method->option_count, opts->set, opts->set_count}};
}

/* How many heads a map can be of. */
static int heads_of(const vx_job *job)
{
    const bool pool = job->method->of_pool ? job->arch->pool == VX_POOL_MAP
                                           : job->method->of_pool_query && vx_job_of_head(job);
    return pool ? job->arch->pool_heads : job->arch->heads;
}

int vx_job_check(vx_job *job, vitx_context *c, const vitx_explain_opts *given)
{
    const vx_arch *a = &c->arch;
    const vitx_explain_opts *opts = &job->opts;
    const vx_method *method;
    vitx_explain_opts read = VITX_EXPLAIN_OPTS_INIT;
    *job = (vx_job){0};
    VX_TRY(VX_STRUCT_READ(&read, given, vitx_explain_opts, set_count));
    VX_TRY(find_method(&method, read.method));
    *job = vx_job_of(c, method, &read);
    VX_TRY(resolve_range(&job->layer_first, &job->layer_last, opts->layer, a->depth - 1, a->depth,
                         "layer"));
    VX_TRY(check_outputs(opts, a, c->grid_open));
    VX_TRY(check_method(job->method, opts));
    job->query = opts->query == VITX_AUTO ? vx_default_query(a) : opts->query;
    job->heads = heads_of(job);
    VX_TRY(resolve_range(&job->head_first, &job->head_last, opts->head, -1, job->heads, "head"));
    job->score = score_of(job);
    job->pixels = job->method->on_pixels;
    job->map_channels = job->method->channels;
    VX_TRY(vx_similarity_check(opts, a->classes));
    if (opts->among_later && !c->previewed)
        return vx_fail(VITX_INVALID, "among_later is for vitx_explain_bytes and "
                                     "vitx_explain_forwards: a map needs the texts themselves");
    return check_settings(job);
}

int vx_job_prepare(vx_job *job)
{
    vitx_context *c = job->context;
    VX_TRY(vx_similarity_prepare(&job->similarity, c, &job->opts));
    if (job->similarity.vector)
        job->score = job->similarity.score;
    if (job->method->settings_size)
        VX_TRY(vx_new(&job->settings, &job->scratch, 1, job->method->settings_size,
                      "a method's settings"));
    return job->method->prepare(job, &c->need);
}

int vx_job_run(const vx_job *job, int first, int n, vitx_map *const *maps)
{
    job->context->work_taken = false;
    if (job->method->run_batch)
        return job->method->run_batch(job, n, maps);
    return job->method->run(job, first, maps[0]);
}

/* ------------------------------------------------------------------ jobs to maps ----------- */

vx_recorded vx_job_attention(const vx_job *job, int layer, int i)
{
    return vx_recorded_picture(&job->context->need.attention[layer], job->arch, i);
}

/* The gradient of picture `i` that is this job's, of rows of `floats`. */
static vx_far *gradient_of(const vx_job *job, vx_far *all, int i, size_t floats)
{
    const size_t g = (size_t)i * (size_t)job->context->need.targets + (size_t)job->cotangent;
    return all + g * floats;
}

vx_far *vx_job_dattention(const vx_job *job, int layer, int i)
{
    const vx_block_plan *b = &job->context->need.blocks[layer];
    const size_t t = (size_t)vx_arch_tokens(job->arch);
    return gradient_of(job, b->dattention, i,
                       (b->dkeep == VX_DKEEP_ALL ? (size_t)job->arch->heads : 1) * t * t);
}

static size_t token_floats(const vx_job *job)
{
    return (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
}

const vx_far *vx_job_tokens(const vx_job *job, int layer, vx_at at, int i)
{
    return job->context->need.blocks[layer].tokens[at] + (size_t)i * token_floats(job);
}

const vx_far *vx_job_dtokens(const vx_job *job, int layer, vx_at at, int i)
{
    return gradient_of(job, job->context->need.blocks[layer].dtokens[at], i, token_floats(job));
}

static size_t pool_floats(const vx_job *job)
{
    return (size_t)job->arch->pool_heads * (size_t)vx_arch_tokens(job->arch);
}

const vx_far *vx_job_pool(const vx_job *job, int i)
{
    return job->context->need.pool_p + (size_t)i * pool_floats(job);
}

const vx_far *vx_job_dpool(const vx_job *job, int i)
{
    return gradient_of(job, job->context->need.pool_dp, i, pool_floats(job));
}

const vx_far *vx_job_dinput(const vx_job *job, int i)
{
    return gradient_of(job, job->context->need.dinput, i, vx_context_input_count(job->context));
}

const vx_far *vx_job_input(const vx_job *job, int i)
{
    return job->context->act.input + (size_t)i * vx_context_input_count(job->context);
}

int vx_job_host_input(const float **out, const vx_job *job, int i)
{
    return vx_context_host_input(out, job->context, i);
}

size_t vx_job_input_floats(const vx_job *job)
{
    return vx_context_input_count(job->context);
}

int vx_job_work(vx_far **out, const vx_job *job, size_t floats, const char *what)
{
    vitx_context *c = job->context;
    if (c->work_taken)
        return vx_fail(VITX_INVALID, "%s takes its work memory twice", job->method->name);
    VX_TRY(vx_block_reserve(c, &c->work, floats * sizeof(float), what));
    c->work_taken = true;
    *out = c->work.memory;
    return VITX_OK;
}

int vx_job_read(const vx_job *job, float *host, const vx_far *device, size_t floats)
{
    return vx_context_read(job->context, host, device, floats * sizeof *host);
}

void vx_job_write(const vx_job *job, vx_far *device, const float *host, size_t floats)
{
    job->dev->cls->upload(job->dev, device, host, floats * sizeof *host);
}

static vx_pass pass_of(const vx_job *job, int n)
{
    vitx_context *c = job->context;
    return (vx_pass){.act = &c->act, .plan = &c->need, .batch = n};
}

int vx_job_answer(const vx_job *job, int n, int layer, bool bare, float *logits,
                  float *probabilities)
{
    vx_pass pass = pass_of(job, n);
    pass.bare = bare;
    vx_pass_answer(job->context, &pass, layer);
    return vx_context_read_answers(job->context, pass.act, logits, probabilities, n);
}

int vx_job_answer_backward(const vx_job *job, int n, int layer, const float *cotangents)
{
    const vx_pass pass = pass_of(job, n);
    vx_job_write(job, pass.plan->dlogits, cotangents, (size_t)n * (size_t)job->arch->classes);
    return vx_pass_answer_backward(job->context, &pass, layer);
}

void vx_job_parallel(const vx_job *job, void (*task)(void *arg, int i, int worker), void *arg,
                     int count)
{
    vx_pool_run(job->context->pool, task, arg, count);
}

vx_target vx_map_target(const vitx_map *map)
{
    return (vx_target){map->info.score,   map->info.target,  map->info.versus,  map->vector,
                       map->vector_count, map->info.outputs, map->vector_length};
}

/* The axes of a job's map. */
static void set_shape(vitx_map_info *info, const vx_job *job)
{
    const vitx_recipe *recipe = &job->context->recipe;
    if (!job->method->no_layers && job->opts.layer == VITX_ALL)
        info->shape[info->rank++] = job->layer_last - job->layer_first + 1;
    if (!job->method->no_heads && job->opts.head == VITX_ALL)
        info->shape[info->rank++] = job->heads;
    info->shape[info->rank++] = job->pixels ? recipe->input_height : job->arch->grid_height;
    info->shape[info->rank++] = job->pixels ? recipe->input_width : job->arch->grid_width;
    info->channels = job->map_channels;
    if (job->map_channels > 0)
        info->shape[info->rank++] = job->map_channels;
    for (int axis = info->rank; axis < 4; axis++)
        info->shape[axis] = 1;
}

enum { MODEL_TEXT = 256, SETTINGS_TEXT = 512 };

/* "key=value key=value", of all options. */
static void settings_text(char *out, size_t size, const vx_job *job)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < job->method->option_count && n < size; i++) {
        const char *key = job->method->options[i].key;
        n += (size_t)snprintf(out + n, size - n, "%s%s=%s", i ? " " : "", key,
                              vx_setting(&job->given, key));
    }
}

static vitx_explained explains(const vx_job *job)
{
    return job->opts.text     ? VITX_EXPLAINED_TEXT
           : job->opts.like   ? VITX_EXPLAINED_PICTURE
           : job->opts.vector ? VITX_EXPLAINED_VECTOR
           : job->arch->units ? VITX_EXPLAINED_UNIT
                              : VITX_EXPLAINED_CLASS;
}

/* What is told of a map of a text beside its score. */
static int text_numbers(vitx_map_info *info, const vx_job *job, const float *outputs)
{
    vitx_texts *texts = job->opts.texts;
    const vx_text_rules *rules = &texts->model->text;
    info->text = job->opts.text;
    info->versus_text = job->opts.versus_text;
    info->among = job->similarity.among ? job->similarity.other_count : 0;
    VX_TRY(vx_similarity_of_text(&info->text_value, texts, job->opts.text, outputs));
    VX_TRY(vx_similarity_of_text(&info->empty_value, texts, "", outputs));
    info->logit = (float)(rules->scale * info->text_value + rules->bias);
    const double odds =
        rules->sigmoid ? info->logit : rules->scale * (info->text_value - info->empty_value);
    info->probability = (float)(1 / (1 + exp(-odds)));
    return VITX_OK;
}

const float *vx_job_outputs(const vx_job *job, int i)
{
    return job->context->act.host.logits + (size_t)i * (size_t)job->arch->classes;
}

int vx_job_map(vitx_map **out, const vx_job *job, const vitx_image *image, int i)
{
    vitx_context *c = job->context;
    const vx_arch *a = job->arch;
    const size_t row = (size_t)i * (size_t)a->classes;
    const float *logits = c->act.host.logits + row,
                *probabilities = c->act.host.probabilities + row;
    vx_target t = {job->score,
                   VITX_AUTO,
                   VITX_AUTO,
                   job->similarity.vector,
                   a->classes,
                   a->outputs,
                   job->similarity.length};
    if (!job->similarity.vector)
        VX_TRY(vx_target_resolve(&t, job->score, job->opts.target, job->opts.versus, logits,
                                 a->classes));
    char model[MODEL_TEXT], settings[SETTINGS_TEXT];
    vitx_map_info info = {.struct_size = sizeof info,
                          .method = job->method->name,
                          .target = t.target,
                          .logit = t.target < 0 ? 0 : logits[t.target],
                          .probability = t.target < 0 ? 0 : probabilities[t.target],
                          .layer = job->method->no_layers || job->at_pool ? VITX_AUTO
                                   : job->opts.layer == VITX_ALL          ? VITX_ALL
                                                                          : job->layer_first,
                          .head = job->opts.head,
                          .query =
                              job->method->uses_query && job->query >= 0 ? job->query : VITX_AUTO,
                          .grid_height = a->grid_height,
                          .grid_width = a->grid_width,
                          .picture_height = image ? image->height : c->recipe.input_height,
                          .picture_width = image ? image->width : c->recipe.input_width,
                          .is_signed = job->method->is_signed,
                          .score = t.score,
                          .versus = t.versus,
                          .value = vx_target_value(t, logits, probabilities),
                          .explains = explains(job),
                          .outputs = a->outputs,
                          .model = model,
                          .settings = settings};
    vx_model_name(model, sizeof model, c->model);
    settings_text(settings, sizeof settings, job);
    set_shape(&info, job);
    vx_placement placement = c->placements[i];
    if (!job->pixels) {
        /* A grid covers whole patches: where the input's sides are no multiples, a margin is not
         * seen. */
        placement.input_h = a->grid_height * a->patch_height;
        placement.input_w = a->grid_width * a->patch_width;
    }
    if (job->opts.text)
        VX_TRY(text_numbers(&info, job, logits));
    VX_TRY(vx_map_create(out, &info, &placement, &c->hooks));
    (*out)->vector = job->similarity.vector;
    (*out)->vector_count = a->classes;
    (*out)->vector_length = job->similarity.length;
    (*out)->traces.of_score = job->method->of_score;
    return VITX_OK;
}
