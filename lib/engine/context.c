/* engine/context.c: making and freeing a context; see context.h for its memory. */
#include "engine/context.h"

#include <string.h>

#include "base/cpus.h"
#include "base/structs.h"
#include "base/text.h"
#include "engine/footprint.h"
#include "engine/pictures.h"
#include "engine/run.h"
#include "engine/size.h"
#include "kernels/plugin.h"
#include "model/fill.h"
#include "model/rotary.h"

const char *vitx_device_name(int index)
{
    const vx_device_class *device = vx_device_at(index);
    return device ? device->name : NULL;
}

int vitx_device_load(const char *path)
{
    char why[480];
    if (!path || path[0] != '/')
        return vx_fail(VITX_INVALID, "vitx_device_load: path is %s: a full path is needed",
                       path ? path : "NULL");
    if (!vx_plugin_load_cuda(path, why, sizeof why))
        return vx_fail(VITX_DEVICE, "device cuda: %s", why);
    return VITX_OK;
}

void vitx_context_opts_init(vitx_context_opts *out, size_t struct_size)
{
    const vitx_context_opts full = VITX_CONTEXT_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_context_info_init(vitx_context_info *out, size_t struct_size)
{
    const vitx_context_info full = VITX_CONTEXT_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

size_t vx_context_input_count(const vitx_context *c)
{
    if (c->arch.vocabulary)
        return (size_t)vx_arch_tokens(&c->arch) * (size_t)c->arch.width;
    return (size_t)c->arch.channels * (size_t)c->recipe.input_height *
           (size_t)c->recipe.input_width;
}

/* What a device gets from its context. */
static void *context_alloc(size_t bytes, void *owner)
{
    return vx_alloc(&((vitx_context *)owner)->hooks, bytes);
}

static void context_release(void *memory, void *owner)
{
    vx_release(&((vitx_context *)owner)->hooks, memory);
}

static void context_parallel(void (*task)(void *arg, int i, int worker), void *arg, int count,
                             void *owner)
{
    vx_pool_run(((vitx_context *)owner)->pool, task, arg, count);
}

static void context_log(const char *line, void *owner)
{
    vx_log(&((vitx_context *)owner)->hooks, VITX_LOG_DEBUG, "%s", line);
}

/* What does not depend on the input's size. */
static int create_plans(vitx_context *c)
{
    const vx_arch *a = &c->arch;
    VX_TRY(vx_new(&c->placements, &c->hooks, (size_t)c->max_batch, sizeof *c->placements,
                  "placements"));
    if (c->dev->cls->pictures)
        VX_TRY(vx_pictures_create(c));
    VX_TRY(vx_plan_create(&c->wish, a, &c->hooks));
    VX_TRY(vx_plan_create(&c->need, a, &c->hooks));
    VX_TRY(vx_plan_create(&c->variants.need, a, &c->hooks));
    return vx_plan_create(&c->variants.plan, a, &c->hooks);
}

static void release_host(vitx_context *c, vx_host_block *block)
{
    if (block->pinned)
        c->dev->cls->host_free(block->memory, &c->env);
    else
        vx_release(&c->hooks, block->memory);
    *block = (vx_host_block){0};
}

int vx_host_block_reserve(vitx_context *c, vx_host_block *block, size_t bytes, const char *what)
{
    const vx_device_class *cls = c->dev->cls;
    if (block->bytes >= bytes)
        return VITX_OK;
    VX_TRY(vx_context_sync(c)); /* a call that failed may have left a copy queued */
    release_host(c, block);
    if (cls->host_alloc)
        block->memory = cls->host_alloc(bytes, &c->env);
    block->pinned = block->memory != NULL;
    if (!block->pinned)
        VX_TRY(vx_new(&block->memory, &c->hooks, bytes, 1, what));
    block->bytes = bytes;
    return VITX_OK;
}

int vx_activations_reserve_host(vitx_context *c, vx_activations *act, int batch, int sequences)
{
    const size_t input = (size_t)batch * vx_context_input_count(c),
                 answers = 2 * (size_t)sequences * (size_t)c->arch.classes;
    vx_host_side *host = &act->host;
    if (c->dev->cls->host_memory) {
        *host = (vx_host_side){
            .input = act->input, .logits = act->logits, .probabilities = act->probabilities};
        return VITX_OK;
    }
    if (input + answers > SIZE_MAX / sizeof(float))
        return vx_fail(VITX_NOMEM, "inputs and answers are more than can be counted");
    VX_TRY(vx_host_block_reserve(c, &host->copies, (input + answers) * sizeof(float),
                                 "inputs and answers on the host"));
    host->logits = host->copies.memory;
    host->probabilities = host->logits + answers / 2;
    host->input = host->logits + answers;
    return VITX_OK;
}

static int device_failed(int code, const char *name, const char *text)
{
    return vx_fail(code == VX_DEVICE_NOMEM ? VITX_NOMEM : VITX_DEVICE, "device %s: %s", name, text);
}

int vx_context_reserve_device(vitx_context *c)
{
    char text[160];
    const vx_device_class *cls = c->dev->cls;
    const vx_dims dims = vx_context_dims(c);
    const int failed = cls->reserve(c->dev, &dims, text, sizeof text);
    return failed ? device_failed(failed, cls->name, text) : VITX_OK;
}

void vitx_precision_info_init(vitx_precision_info *out, size_t struct_size)
{
    const vitx_precision_info full = VITX_PRECISION_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* hooks: where to log which device "auto" has passed over, or NULL. */
static int find_site(vx_site *out, const char **precision, const vitx_context_opts *o,
                     const vitx_hooks *hooks)
{
    char text[480];
    const int failed = vx_site_find(out, o->device, text, sizeof text);
    if (failed == VX_DEVICE_UNKNOWN && o->device)
        return vx_fail(VITX_DEVICE, "no device \"%s\"; there are: %s", o->device,
                       vx_name_list(text, sizeof text, vitx_device_name));
    if (failed)
        return device_failed(failed, o->device ? o->device : VX_DEFAULT_DEVICE, text);
    if (hooks && text[0])
        vx_log(hooks, VITX_LOG_DEBUG, "device %s", text);
    *precision = vx_device_precision(out->cls, o->precision);
    if (*precision)
        return VITX_OK;
    return vx_fail(VITX_DEVICE, "device %s has no precision \"%s\"; it has %s", out->cls->name,
                   o->precision, vx_name_list(text, sizeof text, out->cls->precision_at));
}

int vitx_precision_get(vitx_precision_info *out, const char *device, int index)
{
    vx_site site;
    const char *first;
    const vitx_context_opts opts = {.device = device};
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_precision_get: out is NULL");
    VX_TRY(find_site(&site, &first, &opts, NULL));
    const vx_device_class *cls = site.cls;
    const char *name = cls->precision_at(index);
    if (!name)
        return vx_fail(VITX_INVALID, "device %s has no precision %d", cls->name, index);
    const vitx_precision_info info = {sizeof info, name,
                                      cls->instructions_of ? cls->instructions_of(name) : cls->name,
                                      name == first, name == vx_device_precision(cls, "auto")};
    return VX_STRUCT_WRITE(out, &info, vitx_precision_info, is_auto);
}

int vx_context_turned_bytes(size_t *out, const vitx_model *model, const vitx_context_opts *o,
                            int from)
{
    vx_site site;
    const char *precision;
    size_t bytes;
    VX_TRY(find_site(&site, &precision, o, NULL));
    return vx_model_weight_bytes(&bytes, out, model, &site, precision, from);
}

int vx_context_plan_device(vx_plan_device *out, const vitx_context_opts *o)
{
    vx_site site;
    const char *precision;
    VX_TRY(find_site(&site, &precision, o, NULL));
    *out = vx_plan_device_of(site.cls, vx_narrow_bytes(site.cls, precision));
    return VITX_OK;
}

static int open_device(vitx_context *c, const vitx_context_opts *o)
{
    char text[160];
    vx_site site;
    const char *precision;
    VX_TRY(find_site(&site, &precision, o, &c->hooks));
    c->env = (vx_device_env){.alloc = context_alloc,
                             .release = context_release,
                             .parallel = context_parallel,
                             .log = context_log,
                             .owner = c,
                             .workers = vx_pool_threads(c->pool),
                             .ordinal = site.ordinal};
    const vx_device_class *cls = site.cls;
    c->narrow = vx_narrow_bytes(cls, precision);
    int failed = cls->open(&c->dev, &c->env, precision, VX_FEATURES_ALL, text, sizeof text);
    if (failed)
        c->dev = NULL;
    if (failed)
        return device_failed(failed, cls->name, text);
    size_t bytes; /* past the budget is found before the weights are read */
    VX_TRY(vx_context_bytes(&bytes, c, c->dev));
    return vx_model_weights(&c->weights, c->model, &site, precision);
}

/* Host memory while positions are made. */
typedef struct positions {
    const float *weights; /* where the host can read them */
    float *copy, *made;
} positions;

static int read_weights(positions *p, vitx_context *c, const float *weights, size_t floats)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    p->weights = weights;
    if (c->dev->cls->host_memory || !weights)
        return VITX_OK;
    VX_TRY(vx_new(&p->copy, &scratch, floats, sizeof *p->copy, "positions"));
    c->dev->cls->download(c->dev, p->copy, weights, floats * sizeof *p->copy);
    p->weights = p->copy;
    return vx_context_sync(c);
}

static void release_positions(positions *p, vitx_context *c)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_release(&scratch, p->copy);
    vx_release(&scratch, p->made);
}

static int resample(vitx_context *c, positions *p)
{
    const vx_arch *a = &c->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const vx_pos_grid from = {a->pos_height, a->pos_width}, to = {a->grid_height, a->grid_width};
    const size_t width = (size_t)a->width, row = width * sizeof(float),
                 rows = (size_t)to.height * (size_t)to.width;
    VX_TRY(read_weights(p, c, c->weights->pos, (size_t)from.height * (size_t)from.width * width));
    VX_TRY(vx_new(&p->made, &scratch, rows, row, "position embeddings"));
    VX_TRY(vx_positions_resample(p->made, to, p->weights, from, a->width, c->positions, &scratch));
    VX_TRY(vx_block_reserve(c, &c->pos_memory, rows * row, "position embeddings"));
    c->dev->cls->upload(c->dev, c->pos_memory.memory, p->made, rows * row);
    VX_TRY(vx_context_sync(c));
    c->pos = c->pos_memory.memory;
    return VITX_OK;
}

/* A context's position embeddings are its own where its grid is not that of the weights. */
static int resample_positions(vitx_context *c)
{
    positions p = {0};
    c->pos = NULL;
    if (!c->weights->pos || !vx_arch_resamples(&c->arch))
        return VITX_OK;
    const int status = resample(c, &p);
    release_positions(&p, c);
    return status;
}

static int rotate(vitx_context *c, positions *p)
{
    const vx_arch *a = &c->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const size_t floats = vx_rotary_floats(a), bytes = floats * sizeof *p->made;
    VX_TRY(read_weights(p, c, c->weights->frequencies, (size_t)a->depth * (size_t)a->width));
    VX_TRY(vx_new(&p->made, &scratch, floats, sizeof *p->made, "rotary positions"));
    VX_TRY(vx_block_reserve(c, &c->rotation_memory, bytes, "rotary positions"));
    vx_rotary_fill(p->made, a, p->weights);
    c->dev->cls->upload(c->dev, c->rotation_memory.memory, p->made, bytes);
    VX_TRY(vx_context_sync(c));
    c->rotations = c->rotation_memory.memory;
    return VITX_OK;
}

/* Rotary positions of this grid. */
static int make_rotations(vitx_context *c)
{
    positions p = {0};
    c->rotations = NULL;
    if (vx_rotary_floats(&c->arch) == 0)
        return VITX_OK;
    const int status = rotate(c, &p);
    release_positions(&p, c);
    return status;
}

/* Relative positions of one block: out [H,count]; own has room for the file's. */
static int resample_block(float *out, float *own, const vitx_context *c, int block,
                          const vitx_hooks *hooks)
{
    const vx_arch *a = &c->arch;
    vx_arch grid = *a;
    vx_filler f = {.found = &c->model->found, .arch = a, .hooks = hooks};
    if (!vx_found_at(f.found, VX_RELATIVE, block)) { /* made for any grid */
        grid.pos_height = a->grid_height;
        grid.pos_width = a->grid_width;
        f.arch = &grid;
        return vx_relative_read(out, &f, block);
    }
    const vx_pos_grid from = {a->pos_height, a->pos_width}, to = {a->grid_height, a->grid_width};
    VX_TRY(vx_relative_read(own, &f, block));
    for (int h = 0; h < a->heads; h++, out += vx_relative_count(to.height, to.width),
             own += vx_relative_count(from.height, from.width))
        VX_TRY(vx_relative_resample(out, to, own, from, c->positions, hooks));
    return VITX_OK;
}

/* Relative positions are a context's own, too, where its grid is not that of the weights. */
static int resample_relative(vitx_context *c)
{
    const vx_arch *a = &c->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const size_t all = vx_arch_relative_floats(a), each = all / (size_t)a->depth,
                 own = (size_t)a->heads * vx_relative_count(a->pos_height, a->pos_width);
    float *made;
    c->relative = NULL;
    if (!all)
        return VITX_OK;
    VX_TRY(vx_new(&made, &scratch, all + own, sizeof *made, "relative positions"));
    int status = vx_block_reserve(c, &c->relative_memory, all * sizeof *made, "relative positions");
    for (int l = 0; l < a->depth && status == VITX_OK; l++)
        status = resample_block(made + (size_t)l * each, made + all, c, l, &scratch);
    if (status == VITX_OK) {
        c->dev->cls->upload(c->dev, c->relative_memory.memory, made, all * sizeof *made);
        status = vx_context_sync(c);
        c->relative = c->relative_memory.memory;
    }
    vx_release(&scratch, made);
    return status;
}

int vx_context_reserve(vitx_context *c)
{
    size_t bytes;
    c->sized = false;
    c->variants.capacity = c->variants.sequences = 0;
    c->variants.planned = 0;
    c->channels.capacity = 0;
    c->inputs_away = 0;
    VX_TRY(vx_context_bytes(&bytes, c, c->dev));
    VX_TRY(vx_block_reserve(c, &c->memory, vx_context_activation_bytes(c), "the activations"));
    vx_arena arena = {.base = c->memory.memory};
    const int sequences = vx_context_sequences(c);
    vx_activations_place(&c->act, &arena, c, c->max_batch, sequences);
    VX_TRY(vx_activations_reserve_host(c, &c->act, c->max_batch, sequences));
    VX_TRY(vx_context_reserve_device(c));
    VX_TRY(resample_positions(c));
    VX_TRY(make_rotations(c));
    VX_TRY(resample_relative(c));
    c->sized = true;
    return VITX_OK;
}

static int texts_at_once(const vx_arch *a, int wanted)
{
    const int fit = VX_TEXTS_ROWS / vx_arch_tokens(a), most = fit > 0 ? fit : 1;
    return wanted > 0 && wanted < most ? wanted : most;
}

/* Options that say how large things are: what a preview needs. */
static int read_sizes(vitx_context *c, int *threads, const vitx_context_opts *o)
{
    vx_size size;
    if (o->threads < 0 || o->threads > 256)
        return vx_fail(VITX_INVALID, "threads = %d: 0 (all processors) to 256 are accepted",
                       o->threads);
    if (o->max_batch < 0 || o->max_batch > 1024)
        return vx_fail(VITX_INVALID, "max_batch = %d: 1 to 1024 are accepted", o->max_batch);
    *threads = o->threads ? o->threads : vx_cpu_count();
    *threads = *threads > 256 ? 256 : *threads;
    c->max_batch = c->model->arch.vocabulary ? texts_at_once(&c->model->arch, o->max_batch)
                   : o->max_batch            ? o->max_batch
                                             : 1;
    VX_TRY(vx_size_begin(&size, c->model, o));
    c->arch = size.arch;
    c->recipe = size.recipe;
    c->positions = size.positions;
    c->max_tokens = size.max_tokens;
    c->memory_budget = o->memory_budget;
    c->varies = size.varies;
    c->max_patches = size.max_patches;
    c->within_height = o->input_height;
    c->within_width = o->input_width;
    return VITX_OK;
}

static void warn_of_threads(const vitx_context *c, int threads)
{
    const int cpus = vx_cpu_count();
    if (threads > cpus)
        vx_log(&c->hooks, VITX_LOG_WARNING,
               "%d threads, but this process may use %d processor%s: no more of them work at once",
               threads, cpus, cpus == 1 ? "" : "s");
}

static int create(vitx_context *c, const vitx_context_opts *o)
{
    int threads;
    VX_TRY(read_sizes(c, &threads, o));
    if (o->gradients < VITX_GRADIENTS_AUTO || o->gradients > VITX_GRADIENTS_RECOMPUTE)
        return vx_fail(VITX_INVALID, "gradients = %d is no vitx_gradients", (int)o->gradients);
    c->keep = o->gradients == VITX_GRADIENTS_KEEP;
    c->recompute = o->gradients == VITX_GRADIENTS_RECOMPUTE;
    c->trace_budget = vx_context_trace_budget(o);
    c->progress = o->progress;
    c->progress_payload = o->progress_payload;
    vx_scratch_init(&c->scratch, &c->hooks);
    VX_TRY(vx_pool_create(&c->pool, &c->hooks, threads));
    warn_of_threads(c, threads);
    VX_TRY(open_device(c, o));
    VX_TRY(create_plans(c));
    return vx_context_reserve(c);
}

int vitx_context_create(vitx_context **out, vitx_model *model, const vitx_context_opts *opts)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_context_create: out is NULL");
    *out = NULL;
    if (!model)
        return vx_fail(VITX_INVALID, "vitx_context_create: model is NULL");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_context_opts, progress_payload));
    vitx_context *c;
    VX_TRY(vx_new(&c, &model->hooks, 1, sizeof *c, "a context"));
    c->hooks = model->hooks;
    c->model = model;
    vx_model_hold(model);
    const int status = create(c, &o);
    if (status != VITX_OK) {
        vitx_context_free(c);
        return status;
    }
    vx_log(&c->hooks, VITX_LOG_INFO, "%s, %s, %d threads: %s", c->dev->cls->name,
           c->weights->precision, vx_pool_threads(c->pool), c->dev->kernels);
    *out = c;
    return VITX_OK;
}

void vitx_context_free(vitx_context *context)
{
    vitx_context *c = context;
    if (!c)
        return;
    const vitx_hooks hooks = c->hooks;
    if (c->dev) {
        const vx_device_class *cls = c->dev->cls;
        char text[160];
        cls->sync(c->dev, text, sizeof text);
        void *const device_memory[] = {c->memory.memory,
                                       c->pos_memory.memory,
                                       c->rotation_memory.memory,
                                       c->relative_memory.memory,
                                       c->trace.memory,
                                       c->work.memory,
                                       c->variants.memory.memory,
                                       c->variants.trace.memory,
                                       c->channels.memory.memory,
                                       c->pictures.rooms[0].memory.memory,
                                       c->pictures.rooms[1].memory.memory};
        for (size_t i = 0; i < sizeof device_memory / sizeof device_memory[0]; i++)
            if (device_memory[i])
                cls->mem_free(device_memory[i], &c->env);
        release_host(c, &c->act.host.copies);
        release_host(c, &c->variants.act.host.copies);
        release_host(c, &c->channels.act.host.copies);
        release_host(c, &c->pictures.rooms[0].staging);
        release_host(c, &c->pictures.rooms[1].staging);
        cls->close(c->dev);
    }
    vx_release(&hooks, c->channels.starts);
    vx_release(&hooks, c->trace_copy.memory);
    vx_release(&hooks, c->profile);
    vx_release(&hooks, c->placements);
    vx_release(&hooks, c->pictures.sent);
    vx_release(&hooks, c->pictures.list);
    vx_plan_dispose(&c->wish, &hooks);
    vx_plan_dispose(&c->need, &hooks);
    vx_plan_dispose(&c->variants.need, &hooks);
    vx_plan_dispose(&c->variants.plan, &hooks);
    vx_scratch_dispose(&c->scratch);
    vx_pool_free(c->pool);
    vx_model_drop(c->model);
    vx_release(&hooks, c);
}

/* What follows from arch and recipe. */
static void fill_size(vitx_context_info *info, const vitx_context *c)
{
    const vx_arch *a = &c->arch;
    info->max_batch = c->max_batch;
    info->input_height = c->recipe.input_height;
    info->input_width = c->recipe.input_width;
    info->grid_height = a->grid_height;
    info->grid_width = a->grid_width;
    info->tokens = vx_arch_tokens(a);
    info->max_tokens = c->max_tokens;
    info->flops = vx_arch_flops(a);
    info->pos_resample = vx_arch_resamples(a) ? vx_pos_rule_name(c->positions) : NULL;
}

int vitx_context_get_info(vitx_context_info *out, const vitx_context *context)
{
    if (!out || !context)
        return vx_fail(VITX_INVALID, "vitx_context_get_info: an argument is NULL");
    const vx_dims dims = vx_context_dims(context);
    vitx_context_info info = {
        .device = context->dev->cls->name,
        .precision = context->weights->precision,
        .kernels = context->dev->kernels,
        .threads = vx_pool_threads(context->pool),
        .weight_bytes = context->weights->bytes + context->weights->turned_bytes,
        .activation_bytes = context->memory.bytes + context->pos_memory.bytes +
                            context->rotation_memory.bytes + context->relative_memory.bytes +
                            context->dev->cls->reserve_bytes(context->dev, &dims) +
                            vx_pictures_most(context->dev->cls, context->max_batch),
        .trace_bytes = context->trace.bytes,
        .recipe = &context->recipe};
    fill_size(&info, context);
    return VX_STRUCT_WRITE(out, &info, vitx_context_info, trace_bytes);
}

int vitx_context_preview(vitx_context_info *out, vitx_recipe *recipe, size_t recipe_size,
                         const vitx_model *model, const vitx_context_opts *opts)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vx_site site;
    const char *precision;
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vitx_context_preview: an argument is NULL");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_context_opts, progress_payload));
    /* Never run, and so never freed: the model is only read. */
    vitx_context c = {.hooks = model->hooks, .model = (vitx_model *)(uintptr_t)model};
    vitx_context_info info = {.kernels = "", .recipe = recipe};
    VX_TRY(read_sizes(&c, &info.threads, &o));
    VX_TRY(find_site(&site, &precision, &o, NULL));
    c.narrow = vx_narrow_bytes(site.cls, precision);
    const vx_device dev = {.cls = site.cls,
                           .env = {.workers = info.threads, .ordinal = site.ordinal}};
    VX_TRY(vx_context_bytes(&info.activation_bytes, &c, &dev));
    VX_TRY(vx_model_weight_bytes(&info.weight_bytes, NULL, model, &site, precision, 0));
    info.device = site.cls->name;
    info.precision = precision;
    fill_size(&info, &c);
    VX_TRY(VX_STRUCT_WRITE(out, &info, vitx_context_info, trace_bytes));
    if (recipe)
        memcpy(recipe, &c.recipe, recipe_size < sizeof c.recipe ? recipe_size : sizeof c.recipe);
    return VITX_OK;
}

int vx_block_reserve(vitx_context *c, vx_block *block, size_t bytes, const char *what)
{
    if (block->bytes >= bytes)
        return VITX_OK;
    if (block->memory) {
        VX_TRY(vx_context_sync(c)); /* what a failed call left behind may use it */
        c->dev->cls->mem_free(block->memory, &c->env);
    }
    *block = (vx_block){0};
    block->memory = c->dev->cls->mem_alloc(bytes, &c->env);
    if (!block->memory)
        return vx_fail(VITX_NOMEM, "no memory for %s (%zu bytes)", what, bytes);
    block->bytes = bytes;
    return VITX_OK;
}
