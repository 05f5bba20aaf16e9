/* measure/evaluation.c: the numbers that a metric leaves behind. */
#include "base/structs.h"
#include "engine/context.h"
#include "measure/trial.h"

void vitx_evaluation_info_init(vitx_evaluation_info *out, size_t struct_size)
{
    const vitx_evaluation_info full = VITX_EVALUATION_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vx_evaluation_create(vitx_evaluation **out, const vx_trial *t)
{
    const vx_metric *m = t->metric;
    const vitx_hooks *hooks = &t->subject->context->hooks;
    const size_t values = (size_t)vx_metric_value_count(m), points = (size_t)t->points;
    vitx_evaluation *e;
    *out = NULL;
    VX_TRY(vx_new(&e, hooks, 1, sizeof *e, "an evaluation"));
    e->hooks = *hooks;
    const int status = vx_new(&e->values, hooks, values + points * (1 + (size_t)m->curve_count),
                              sizeof *e->values, "the numbers of an evaluation");
    if (status != VITX_OK) {
        vitx_evaluation_free(e);
        return status;
    }
    e->x = e->values + values;
    e->curves = e->x + points;
    e->info = (vitx_evaluation_info){.struct_size = sizeof e->info,
                                     .metric = m->name,
                                     .values = e->values,
                                     .value_count = (int)values,
                                     .x = points ? e->x : NULL,
                                     .curves = points ? e->curves : NULL,
                                     .point_count = t->points,
                                     .curve_count = points ? m->curve_count : 0};
    *out = e;
    return VITX_OK;
}

void vitx_evaluation_free(vitx_evaluation *evaluation)
{
    if (!evaluation)
        return;
    const vitx_hooks hooks = evaluation->hooks;
    vx_release(&hooks, evaluation->values);
    vx_release(&hooks, evaluation);
}

int vitx_evaluation_get_info(vitx_evaluation_info *out, const vitx_evaluation *evaluation)
{
    if (!out || !evaluation)
        return vx_fail(VITX_INVALID, "vitx_evaluation_get_info: an argument is NULL");
    return VX_STRUCT_WRITE(out, &evaluation->info, vitx_evaluation_info, forwards);
}
