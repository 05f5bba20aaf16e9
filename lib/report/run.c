/*
 * report/run.c: one pass of the model for a picture.
 *
 * The pass is that of the report's attention statistics (measure/stats.h), which show each block
 * here before the next one runs: it is coded at once, and only the code is kept. If the picture has
 * just been explained, its blocks may be there already (engine/explained.h).
 */
#include "engine/size.h"
#include "kernels/ops.h"
#include "report/report.h"

typedef struct run {
    vitx_report *report;
    vx_report_picture *picture;
    vitx_context *context;
} run;

static int watch(void *payload, int layer, const float *attention)
{
    const run *r = payload;
    const vx_arch *a = &r->context->arch;
    const int tokens = vx_arch_tokens(a);
    const vx_record_rows rows = vx_record_rows_of(attention, a->heads, tokens, tokens, a->prefix);
    return vx_record_layer(&r->picture->record, layer, &rows, vx_default_query(a), r->context->pool,
                           &r->report->hooks);
}

/* The collection that the picture belongs to: the report's own if its grid is that of the pictures
 * before, else one that is given up behind it, *other. */
static int choose_stats(vitx_stats **out, vitx_stats **other, const run *r, const vitx_image *image)
{
    vitx_report *report = r->report;
    if (!report->stats)
        VX_TRY(vitx_stats_create(&report->stats, r->context));
    *out = report->stats;
    if (!r->context->varies || *report->stats->now.pictures == 0)
        return VITX_OK;
    VX_TRY(vx_size_take(r->context, image));
    const vx_arch *a = &r->context->arch, *first = &report->stats->arch;
    if (a->grid_height == first->grid_height && a->grid_width == first->grid_width)
        return VITX_OK;
    VX_TRY(vitx_stats_create(other, r->context));
    *out = *other;
    return VITX_OK;
}

static int keep_answers(const run *r)
{
    vitx_context *c = r->context;
    const int k = VX_REPORT_TOP;
    vitx_prediction top[VX_REPORT_TOP];
    if (c->arch.units) {
        r->picture->norm = vx_report_length(c->act.host.logits, c->arch.classes);
        return VITX_OK;
    }
    vx_rank(top, k, c->act.host.logits, c->act.host.probabilities, c->arch.classes, c->model);
    return vx_report_predict(r->report, r->picture, top, k);
}

static int keep_pool(const run *r, const vitx_stats *s)
{
    vitx_context *c = r->context;
    const int heads = c->arch.pool_heads, tokens = vx_arch_tokens(&c->arch);
    const vitx_hooks *hooks = &r->report->hooks;
    float *values;
    if (!s->plan.pool_wanted)
        return VITX_OK;
    const size_t count = (size_t)heads * (size_t)tokens;
    VX_TRY(vx_new(&values, hooks, count, sizeof *values, "attention of the pooling head"));
    int status = vx_context_read(c, values, s->plan.pool_p, count * sizeof *values);
    const vx_record_rows rows = vx_record_rows_of(values, heads, 1, tokens, c->arch.prefix);
    if (status == VITX_OK)
        status = vx_record_pool(&r->picture->record, &rows, hooks);
    vx_release(hooks, values);
    return status;
}

/* The size of the input is known now: with VITX_FIT_KEEP each picture has its own. */
static int start(const run *r, const vitx_image *image)
{
    vitx_context *c = r->context;
    vx_placement placement;
    if (c->varies)
        VX_TRY(vx_size_take(c, image));
    VX_TRY(vx_place(&placement, &c->recipe, image->width, image->height));
    const vx_report_place place = vx_report_place_of(&placement, &c->arch);
    VX_TRY(vx_report_fit(r->picture, &place));
    VX_TRY(vx_report_start_record(r->report, r->picture));
    vx_record_expect(&r->picture->record, c->arch.heads, vx_arch_tokens(&c->arch), c->arch.prefix,
                     c->arch.pool == VX_POOL_MAP ? c->arch.pool_heads : 0);
    return VITX_OK;
}

static int run_picture(const run *r, const vitx_image *image)
{
    const vx_report_place place = r->picture->place;
    vitx_stats *stats, *other = NULL;
    int status = start(r, image);
    if (status == VITX_OK)
        status = choose_stats(&stats, &other, r, image);
    if (status == VITX_OK)
        status = vx_stats_add_watched(stats, image, watch, (void *)(uintptr_t)r);
    if (status == VITX_OK)
        status = keep_answers(r);
    if (status == VITX_OK)
        status = keep_pool(r, stats);
    vitx_stats_free(other);
    if (status != VITX_OK) {
        r->picture->place = place;
        if (!r->picture->record.settled)
            vx_record_dispose(&r->picture->record, &r->report->hooks);
    }
    return status;
}

int vitx_report_run(vitx_report *report, vitx_context *context, const vitx_image *image)
{
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_run"));
    if (!context || !image)
        return vx_fail(VITX_INVALID, "vitx_report_run: %s is NULL", context ? "image" : "context");
    if (image->width != p->width || image->height != p->height)
        return vx_fail(VITX_INVALID, "the picture is %d x %d, the one added was %d x %d",
                       image->width, image->height, p->width, p->height);
    if (context->model != report->model || (report->context && report->context != context))
        return vx_fail(VITX_INVALID, "vitx_report_run: a context of another %s",
                       context->model != report->model ? "model" : "report");
    const run r = {report, p, context};
    VX_TRY(vitx_context_get_info(&info, context));
    VX_TRY(vx_report_keep_device(report, info.device, info.precision));
    report->context = context;
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, run_picture(&r, image));
}
