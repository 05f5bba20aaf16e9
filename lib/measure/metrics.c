/* measure/metrics.c: the table of metrics. */
#include "base/structs.h"
#include "measure/metric.h"

#define VX_METRIC(name) extern const vx_metric vx_metric_##name;
#include "measure/metrics.def"
#undef VX_METRIC

static const vx_metric *const metrics[] = {
#define VX_METRIC(name) &vx_metric_##name,
#include "measure/metrics.def"
#undef VX_METRIC
};

const vx_metric *vx_metric_at(int index)
{
    return index >= 0 && index < vitx_metric_count() ? metrics[index] : NULL;
}

int vitx_metric_count(void)
{
    return (int)(sizeof metrics / sizeof metrics[0]);
}

void vitx_metric_info_init(vitx_metric_info *out, size_t struct_size)
{
    const vitx_metric_info full = VITX_METRIC_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vx_metric_value_count(const vx_metric *m)
{
    return m->value_names ? m->value_count : 1;
}

int vitx_metric_get(vitx_metric_info *out, int index)
{
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_metric_get: out is NULL");
    const vx_metric *m = vx_metric_at(index);
    if (!m)
        return vx_fail(VITX_INVALID, "metric %d: there are %d", index, vitx_metric_count());
    const vitx_metric_info info = {.name = m->name,
                                   .summary = m->summary,
                                   .cost = m->cost,
                                   .reference = m->reference,
                                   .higher_is_better = m->higher_is_better,
                                   .needs_mask = m->needs_mask,
                                   .needs_other = m->needs_other,
                                   .needs_explain = m->needs_explain,
                                   .value_names = m->value_names ? m->value_names : &m->name,
                                   .value_count = vx_metric_value_count(m),
                                   .curve_names = m->curve_names,
                                   .curve_count = m->curve_count,
                                   .x_name = m->x_name,
                                   .options = m->options,
                                   .option_count = m->option_count};
    return VX_STRUCT_WRITE(out, &info, vitx_metric_info, option_count);
}
