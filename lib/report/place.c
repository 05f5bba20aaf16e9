/* report/place.c: where in a picture the model's input lies, and its grid. */
#include "base/structs.h"
#include "report/report.h"

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

void vx_report_place_whole(const vitx_report *report, vx_report_picture *p)
{
    const vitx_recipe *recipe = &report->model->recipe;
    const vx_arch *arch = &report->model->arch;
    if (p->place.known)
        return;
    p->place = (vx_report_place){.known = true,
                                 .seen = {0, 0, p->width, p->height},
                                 .grid_height = arch->grid_height,
                                 .grid_width = arch->grid_width,
                                 .input_height = recipe->input_height,
                                 .input_width = recipe->input_width};
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
    const vx_report_place before = p->place;
    VX_TRY(vx_report_fit(p, &place));
    const int status = vx_report_keep_device(report, i.device, i.precision);
    p->place = status == VITX_OK ? p->place : before;
    return status;
}

int vx_report_keep_device(vitx_report *report, const char *device, const char *precision)
{
    if (!report->device)
        VX_TRY(vx_report_copy(&report->device, report, device));
    return report->precision ? VITX_OK : vx_report_copy(&report->precision, report, precision);
}
