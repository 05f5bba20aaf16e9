/* report/report.c: making a report, and beginning its pictures. */
#include "report/report.h"

#include "base/structs.h"
#include "base/text.h"

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

static void free_picture(vx_report_picture *p, const vitx_hooks *hooks)
{
    vx_report_drop_predictions(p, hooks);
    vx_report_maps_free(p->maps, hooks);
    vx_buffer_dispose(&p->sentences);
    vx_record_dispose(&p->record, hooks);
    vx_packed_dispose(&p->jpeg, hooks);
    vx_packed_dispose(&p->first, hooks);
    vx_release(hooks, p->name);
    vx_release(hooks, p);
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
        vx_report_free_absent(a, &hooks);
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

/* ------------------------------------------------------------------ a picture -------------- */

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
    int status = vx_report_copy(&p->name, report, vx_base_name(name));
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
