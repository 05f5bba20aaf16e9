/* report/report.c: making a report, its pictures, and their predictions. */
#include "report/report.h"

#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "report/page.h"

#define MAX_PREDICTIONS 100

const char *vitx_report_level_name(int level)
{
    static const char *const names[] = {"auto", "all", "mean", "class", "none"};
    const int count = (int)(sizeof names / sizeof names[0]);
    return level >= 0 && level < count ? names[level] : NULL;
}

void vitx_report_opts_init(vitx_report_opts *out, size_t struct_size)
{
    const vitx_report_opts full = VITX_REPORT_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_report_info_init(vitx_report_info *out, size_t struct_size)
{
    const vitx_report_info full = VITX_REPORT_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vx_report_copy(char **out, const vitx_report *report, const char *text)
{
    *out = NULL;
    return text ? vx_strdup(out, &report->hooks, text) : VITX_OK;
}

/* ------------------------------------------------------------------ making ----------------- */

static const char *language_at(int index)
{
    static const char *const names[] = {"en", "zh", NULL};
    return names[index];
}

static int check_opts(const vitx_report_opts *o)
{
    int language;
    if (o->budget < 0 || o->budget > VX_REPORT_MAX_BUDGET)
        return vx_fail_field(VITX_INVALID, "budget", "budget is %lld, it must be 0 to %lld",
                             (long long)o->budget, (long long)VX_REPORT_MAX_BUDGET);
    if (o->pictures < 0)
        return vx_fail_field(VITX_INVALID, "pictures", "pictures is %d, it must not be negative",
                             o->pictures);
    if (!vitx_report_level_name((int)o->level))
        return vx_fail_field(VITX_INVALID, "level", "level %d is none of vitx_report_level",
                             (int)o->level);
    return o->lang ? vx_find_name(&language, o->lang, language_at, "language of a report")
                   : VITX_OK;
}

static int open_report(vitx_report *r, const vitx_report_opts *o)
{
    char name[256];
    vx_model_name(name, sizeof name, r->model);
    r->budget = o->budget ? o->budget : VX_REPORT_BUDGET;
    r->expected = o->pictures ? o->pictures : 1;
    r->level = o->level;
    r->given_stats.hooks = &r->hooks;
    vx_hashing_start(&r->hashing, r->model);
    VX_TRY(vx_report_copy(&r->title, r, o->title ? o->title : name));
    VX_TRY(vx_report_copy(&r->command, r, o->command));
    return vx_report_copy(&r->lang, r, o->lang);
}

int vitx_report_create(vitx_report **out, vitx_model *model, const vitx_report_opts *opts)
{
    vitx_report_opts o = VITX_REPORT_OPTS_INIT;
    vitx_hooks hooks;
    vitx_report *r;
    if (out)
        *out = NULL;
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vitx_report_create: %s is NULL", out ? "model" : "out");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_report_opts, hooks));
    VX_TRY(vx_hooks_resolve(&hooks, o.hooks));
    VX_TRY(check_opts(&o));
    VX_TRY(vx_new(&r, &hooks, 1, sizeof *r, "a report"));
    r->hooks = hooks;
    r->model = model;
    const int status = open_report(r, &o);
    if (status != VITX_OK) {
        vitx_report_free(r);
        return status;
    }
    *out = r;
    return VITX_OK;
}

static void drop_predictions(vx_report_picture *p, const vitx_hooks *hooks)
{
    for (int i = 0; p->labels && i < p->predictions; i++)
        vx_release(hooks, p->labels[i]);
    vx_release(hooks, p->labels);
    vx_release(hooks, p->top);
    p->labels = NULL;
    p->top = NULL;
    p->predictions = 0;
}

static void free_picture(vx_report_picture *p, const vitx_hooks *hooks)
{
    drop_predictions(p, hooks);
    vx_report_maps_free(p->maps, hooks);
    vx_record_dispose(&p->record, hooks);
    vx_packed_dispose(&p->jpeg, hooks);
    vx_packed_dispose(&p->first, hooks);
    vx_release(hooks, p->name);
    vx_release(hooks, p);
}

static void free_absent(vx_report_absent *a, const vitx_hooks *hooks)
{
    vx_release(hooks, a->label);
    vx_release(hooks, a->command);
    vx_release(hooks, a);
}

void vitx_report_free(vitx_report *report)
{
    if (!report)
        return;
    const vitx_hooks hooks = report->hooks;
    vx_hashing_stop(&report->hashing);
    for (vx_report_picture *p = report->pictures, *next; p; p = next) {
        next = p->next;
        free_picture(p, &hooks);
    }
    for (vx_report_absent *a = report->absent, *next; a; a = next) {
        next = a->next;
        free_absent(a, &hooks);
    }
    vitx_stats_free(report->stats);
    vx_release(&hooks, report->given_stats.data);
    vx_release(&hooks, report->title);
    vx_release(&hooks, report->command);
    vx_release(&hooks, report->lang);
    vx_release(&hooks, report->device);
    vx_release(&hooks, report->precision);
    vx_release(&hooks, report);
}

/* ------------------------------------------------------------------ shares ----------------- */

/* A text, which stands in the file three times at most: some bytes become three or six. */
static size_t text_bytes(const char *text)
{
    size_t bytes = 0;
    for (const char *p = text; p && *p; p++) {
        const bool escaped = strchr("<>&\"'\\", *p) || *p == 0x7f || (*p > 0 && *p < 0x20);
        bytes += escaped ? 18 : (unsigned char)*p >= 0x80 ? 9 : 3;
    }
    return bytes;
}

/* What a picture takes beside its blocks: in the manifest, and in the page without a script. */
static size_t facts_bytes(const vitx_report *r, const vx_report_picture *p)
{
    size_t bytes = 4096 + 100 * (size_t)r->model->arch.depth + text_bytes(p->name);
    for (int i = 0; i < p->predictions; i++)
        bytes += 200 + text_bytes(p->labels[i]);
    for (const vx_report_map *m = p->maps; m; m = m->next)
        bytes += 1200 + strlen(m->settings) + text_bytes(m->label);
    return bytes;
}

static size_t picture_bytes(const vitx_report *r, const vx_report_picture *p)
{
    size_t bytes = facts_bytes(r, p) + vx_block_bytes(p->jpeg.bytes) +
                   vx_block_bytes(p->first.bytes) + vx_record_bytes(&p->record);
    for (const vx_report_map *m = p->maps; m; m = m->next)
        bytes += vx_block_bytes(m->block.bytes);
    return bytes;
}

/* The page itself, and the statistics. */
static size_t fixed_bytes(const vitx_report *r)
{
    const size_t heads = (size_t)r->model->arch.heads, cells = heads * (size_t)r->model->arch.depth;
    const size_t stats =
        cells * (2 * VX_STAT_COUNT * 14 + heads * 14 + 24) + 2000 * (size_t)r->model->arch.depth;
    size_t bytes = vx_page_bytes() + 8192 + text_bytes(r->title) + text_bytes(r->command);
    for (const vx_report_absent *a = r->absent; a; a = a->next)
        bytes += 100 + text_bytes(a->label) + text_bytes(a->command);
    return bytes + (r->given_stats.size ? r->given_stats.size : stats);
}

size_t vx_report_share(const vitx_report *r, int pictures)
{
    size_t used = fixed_bytes(r);
    for (const vx_report_picture *p = r->pictures; p; p = p->next)
        used += picture_bytes(r, p);
    const size_t budget = (size_t)r->budget;
    return used < budget ? (budget - used) / (size_t)(pictures > 0 ? pictures : 1) : 0;
}

/* ------------------------------------------------------------------ a picture -------------- */

/* A name may come from another system, and its folder is nobody's business. */
static const char *base_name(const char *name)
{
    const char *base = name;
    for (const char *p = name; *p; p++)
        if ((*p == '/' || *p == '\\') && p[1])
            base = p + 1;
    return base;
}

int vx_report_last(vx_report_picture **out, vitx_report *report, const char *caller)
{
    *out = report ? report->last : NULL;
    if (!report)
        return vx_fail(VITX_INVALID, "%s: report is NULL", caller);
    return *out ? VITX_OK : vx_fail(VITX_INVALID, "%s: no picture was added yet", caller);
}

int vitx_report_add(vitx_report *report, const vitx_image *image, const char *name)
{
    vx_report_picture *p;
    if (!report || !image || !name)
        return vx_fail(VITX_INVALID, "vitx_report_add: an argument is NULL");
    const vitx_hooks *hooks = &report->hooks;
    /* The one before is complete: what it left of its share is for the others. */
    if (report->last)
        vx_record_settle(&report->last->record, hooks);
    VX_TRY(vx_new(&p, hooks, 1, sizeof *p, "a picture of a report"));
    p->width = image->width;
    p->height = image->height;
    p->norm = -1;
    int status = vx_report_copy(&p->name, report, base_name(name));
    if (status == VITX_OK)
        status = vx_report_photo(
            p, image, vx_report_share(report, report->expected - report->count) / 2, hooks);
    if (status != VITX_OK) {
        free_picture(p, hooks);
        return status;
    }
    *(report->last ? &report->last->next : &report->pictures) = p;
    report->last = p;
    report->count++;
    return VITX_OK;
}

/* ------------------------------------------------------------------ its place -------------- */

vx_report_place vx_report_place_of(const vx_placement *placement, const vx_arch *arch)
{
    vx_report_place place = {.known = true,
                             .grid_height = arch->grid_height,
                             .grid_width = arch->grid_width,
                             .input_height = placement->input_h,
                             .input_width = placement->input_w};
    vx_placement_seen(place.seen, placement);
    return place;
}

int vx_report_fit(vx_report_picture *p, const vx_report_place *place)
{
    if (!p->place.known)
        p->place = *place;
    if (p->place.grid_height == place->grid_height && p->place.grid_width == place->grid_width)
        return VITX_OK;
    return vx_fail(VITX_INVALID, "a grid of %d x %d patches; the picture's is %d x %d",
                   place->grid_height, place->grid_width, p->place.grid_height,
                   p->place.grid_width);
}

int vx_report_default_place(vitx_report *report, vx_report_picture *p)
{
    vx_placement placement;
    if (p->place.known)
        return VITX_OK;
    VX_TRY(vx_place(&placement, &report->model->recipe, p->width, p->height));
    p->place = vx_report_place_of(&placement, &report->model->arch);
    return VITX_OK;
}

int vx_report_tokens(const vitx_report *report, const vx_report_picture *p)
{
    return report->model->arch.prefix + p->place.grid_height * p->place.grid_width;
}

int vitx_report_set_input(vitx_report *report, const vitx_context_info *info)
{
    vitx_context_info i = VITX_CONTEXT_INFO_INIT;
    vx_report_picture *p;
    vx_placement placement;
    VX_TRY(vx_report_last(&p, report, "vitx_report_set_input"));
    if (!info)
        return vx_fail(VITX_INVALID, "vitx_report_set_input: info is NULL");
    VX_TRY(VX_STRUCT_READ(&i, info, vitx_context_info, recipe));
    if (!i.recipe || i.grid_height < 1 || i.grid_width < 1 ||
        (int64_t)i.grid_height * i.grid_width > VX_MAX_TOKENS)
        return vx_fail(VITX_INVALID, "vitx_report_set_input: no information of a context");
    VX_TRY(vx_place(&placement, i.recipe, p->width, p->height));
    const vx_arch arch = {.grid_height = i.grid_height, .grid_width = i.grid_width};
    const vx_report_place place = vx_report_place_of(&placement, &arch);
    VX_TRY(vx_report_fit(p, &place));
    return vx_report_keep_device(report, i.device, i.precision);
}

int vx_report_keep_device(vitx_report *report, const char *device, const char *precision)
{
    if (!report->device)
        VX_TRY(vx_report_copy(&report->device, report, device));
    return report->precision ? VITX_OK : vx_report_copy(&report->precision, report, precision);
}

/* ------------------------------------------------------------------ its answers ------------ */

int vx_report_predict(vitx_report *report, vx_report_picture *p, const vitx_prediction *top, int k)
{
    const vitx_hooks *hooks = &report->hooks;
    vx_report_picture new = {0};
    int status = vx_new(&new.top, hooks, (size_t)k, sizeof *new.top, "predictions");
    if (status == VITX_OK)
        status = vx_new(&new.labels, hooks, (size_t)k, sizeof *new.labels, "predictions");
    for (int i = 0; i < k && status == VITX_OK; i++) {
        if (top[i].index < 0)
            continue;
        new.top[new.predictions] = top[i];
        status = vx_report_copy(&new.labels[new.predictions], report, top[i].label);
        new.top[new.predictions].label = new.labels[new.predictions];
        new.predictions++;
    }
    if (status != VITX_OK) {
        drop_predictions(&new, hooks);
        return status;
    }
    drop_predictions(p, hooks);
    p->top = new.top;
    p->labels = new.labels;
    p->predictions = new.predictions;
    return VITX_OK;
}

int vitx_report_add_predictions(vitx_report *report, const vitx_prediction *top, int k)
{
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_predictions"));
    if (!top || k < 1 || k > MAX_PREDICTIONS)
        return vx_fail(VITX_INVALID, "%d predictions: 1 to %d are accepted", top ? k : 0,
                       MAX_PREDICTIONS);
    return vx_report_predict(report, p, top, k);
}

int vitx_report_get_predictions(vitx_prediction *top, int k, vitx_report *report)
{
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_get_predictions"));
    if (!top || k < 1)
        return vx_fail(VITX_INVALID, "vitx_report_get_predictions: %d predictions", top ? k : 0);
    for (int i = 0; i < k; i++)
        top[i] = i < p->predictions ? p->top[i] : (vitx_prediction){.index = -1};
    return VITX_OK;
}

double vx_report_length(const float *values, int count)
{
    double square = 0;
    for (int i = 0; i < count; i++)
        square += (double)values[i] * (double)values[i];
    return sqrt(square);
}

int vitx_report_add_embedding(vitx_report *report, const float *values, int count)
{
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_embedding"));
    if (!values || count < 1)
        return vx_fail(VITX_INVALID, "vitx_report_add_embedding: no values");
    const double norm = vx_report_length(values, count);
    if (!isfinite(norm))
        return vx_fail(VITX_INVALID, "vitx_report_add_embedding: a value is not finite");
    p->norm = norm;
    return VITX_OK;
}

int vitx_report_add_absent(vitx_report *report, int target, const char *label, const char *command)
{
    vx_report_absent *a;
    if (!report)
        return vx_fail(VITX_INVALID, "vitx_report_add_absent: report is NULL");
    VX_TRY(vx_new(&a, &report->hooks, 1, sizeof *a, "a class without a map"));
    a->target = target;
    label = label ? label : vitx_model_label(report->model, target);
    int status = vx_report_copy(&a->label, report, label);
    if (status == VITX_OK)
        status = vx_report_copy(&a->command, report, command);
    if (status != VITX_OK) {
        free_absent(a, &report->hooks);
        return status;
    }
    *(report->last_absent ? &report->last_absent->next : &report->absent) = a;
    report->last_absent = a;
    return VITX_OK;
}
