/* report/answers.c: predictions, embeddings, and classes without a map. */
#include <math.h>

#include "report/report.h"

#define MAX_PREDICTIONS 100

void vx_report_drop_predictions(vx_report_picture *p, const vitx_hooks *hooks)
{
    for (int i = 0; p->labels && i < p->predictions; i++)
        vx_release(hooks, p->labels[i]);
    vx_release(hooks, p->labels);
    vx_release(hooks, p->top);
    p->labels = NULL;
    p->top = NULL;
    p->predictions = 0;
}

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
        vx_report_drop_predictions(&new, hooks);
        return status;
    }
    vx_report_drop_predictions(p, hooks);
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

bool vx_report_probable(const vitx_report *report)
{
    const vx_arch *a = &report->model->arch;
    return a->units || a->outputs != VITX_OUTPUTS_NONE;
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

/* ------------------------------------------------------------------ without a map ---------- */

void vx_report_free_absent(vx_report_absent *a, const vitx_hooks *hooks)
{
    vx_release(hooks, a->label);
    vx_release(hooks, a->command);
    vx_release(hooks, a);
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
        vx_report_free_absent(a, &report->hooks);
        return status;
    }
    *(report->last_absent ? &report->last_absent->next : &report->absent) = a;
    report->last_absent = a;
    return VITX_OK;
}
