/* render/format_png.c: maps for the eye (sheet.h says how they are drawn) as PNG files (png.c). */
#include "render/sheet.h"

static int render(vx_buffer *out, const vx_render_job *job)
{
    vx_canvas canvas = {0};
    int status = vx_sheet_draw(&canvas, job);
    if (status == VITX_OK)
        status = vx_canvas_png(out, &canvas);
    vx_canvas_dispose(&canvas);
    return status;
}

const vx_format vx_format_png = {.name = "png", .draws_picture = true, .render = render};
