/* report/attention.c: attention that the caller has. */
#include "kernels/ops.h"
#include "report/report.h"

int vx_report_start_record(vitx_report *report, vx_report_picture *p)
{
    if (p->record.settled)
        return vx_fail(VITX_INVALID, "the picture is in a file already: its attention is complete");
    if (p->record.layers > 0)
        return VITX_OK;
    VX_TRY(vx_report_default_place(report, p));
    return vx_record_start(&p->record, report->model->arch.depth, report->level,
                           vx_report_share(report, report->expected - report->count + 1),
                           &report->hooks);
}

/* Picture `i` of a view [n,heads,R,T]. */
static int read_view(vx_record_rows *out, const vitx_report *report, const vx_report_picture *p,
                     const vitx_view *v, int i, int all)
{
    const vx_arch *a = &report->model->arch;
    const int tokens = vx_report_tokens(report, p);
    if (!v || !v->data || v->rank != 4 || (v->dtype != VITX_F32 && v->dtype != VITX_F16))
        return vx_fail(VITX_INVALID, "attention of a report is a view of rank 4");
    if (i < 0 || i >= v->shape[0])
        return vx_fail(VITX_INVALID, "picture %d of a view of %lld", i, (long long)v->shape[0]);
    const bool heads = v->shape[1] == all, square = v->shape[2] == tokens;
    if (v->shape[3] != tokens || (!heads && v->shape[1] != 1) || (!square && v->shape[2] != 1) ||
        (!heads && !square))
        return vx_fail(VITX_INVALID,
                       "attention [%lld,%lld,%lld,%lld]; the picture has %d heads and %d tokens",
                       (long long)v->shape[0], (long long)v->shape[1], (long long)v->shape[2],
                       (long long)v->shape[3], all, tokens);
    const size_t bytes = v->dtype == VITX_F32 ? 4 : 2;
    *out =
        (vx_record_rows){.data = (const char *)v->data + (int64_t)i * v->stride[0] * (int64_t)bytes,
                         .dtype = v->dtype,
                         .stride = {v->stride[1], v->stride[2], v->stride[3]},
                         .heads = (int)v->shape[1],
                         .rows = (int)v->shape[2],
                         .tokens = tokens,
                         .prefix = a->prefix};
    return VITX_OK;
}

/* A picture before its attention comes, for a call that fails. */
typedef struct before {
    vx_report_place place;
    bool started;
} before;

static before state_of(const vx_report_picture *p)
{
    return (before){p->place, p->record.layers > 0};
}

static int end(vitx_report *report, vx_report_picture *p, const before *was, int status)
{
    if (status == VITX_OK)
        return VITX_OK;
    p->place = was->place;
    if (!was->started && !p->record.settled)
        vx_record_dispose(&p->record, &report->hooks);
    return status;
}

static int add_layer(vitx_report *report, vx_report_picture *p, int layer, const vitx_view *v,
                     int picture)
{
    const vx_arch *a = &report->model->arch;
    vx_record_rows rows;
    if (layer < 0 || layer >= a->depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                       layer, a->depth - 1);
    VX_TRY(vx_report_start_record(report, p));
    VX_TRY(read_view(&rows, report, p, v, picture, report->model->arch.heads));
    return vx_record_layer(&p->record, layer, &rows, vx_default_query(a), NULL, &report->hooks);
}

int vitx_report_add_attention(vitx_report *report, int layer, const vitx_view *attention,
                              int picture)
{
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_attention"));
    const before was = state_of(p);
    return end(report, p, &was, add_layer(report, p, layer, attention, picture));
}

static int add_pool(vitx_report *report, vx_report_picture *p, const vitx_view *v, int picture)
{
    const int heads = report->model->arch.pool_heads;
    vx_record_rows rows;
    if (heads == 0)
        return vx_fail(VITX_INVALID, "the model has no pooling head");
    VX_TRY(vx_report_start_record(report, p));
    VX_TRY(read_view(&rows, report, p, v, picture, heads));
    if (rows.heads != heads || rows.rows != 1)
        return vx_fail(VITX_INVALID, "attention of a pooling head is [n,%d,1,%d]", heads,
                       rows.tokens);
    return vx_record_pool(&p->record, &rows, &report->hooks);
}

int vitx_report_add_pool_attention(vitx_report *report, const vitx_view *attention, int picture)
{
    vx_report_picture *p;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_pool_attention"));
    const before was = state_of(p);
    return end(report, p, &was, add_pool(report, p, attention, picture));
}
