/* render/curves.c: the public face of plots. */
#include <math.h>

#include "base/file.h"
#include "base/structs.h"
#include "base/text.h"
#include "render/npy.h"
#include "render/plot.h"

typedef struct plot {
    const vitx_curve *curves;
    int n;
    vitx_plot_opts opts; /* complete */
    vitx_hooks hooks;
} plot;

void vitx_plot_opts_init(vitx_plot_opts *out, size_t struct_size)
{
    const vitx_plot_opts full = VITX_PLOT_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

static int to_png(vx_sink *out, const plot *p)
{
    vx_canvas canvas = {0};
    int status = vx_plot_draw(&canvas, p->curves, p->n, &p->opts, &p->hooks);
    if (status == VITX_OK)
        status = vx_canvas_png(out, &canvas, NULL);
    vx_canvas_dispose(&canvas);
    return status;
}

static int append_row(vx_sink *out, const double *row, int count)
{
    for (int i = 0; i < count; i++) {
        const float v = (float)row[i];
        VX_TRY(vx_npy_values(out, &v, 1));
    }
    return VITX_OK;
}

static int to_npy(vx_sink *out, const plot *p)
{
    const vitx_curve *c = p->curves;
    const int64_t shape[2] = {(int64_t)p->n + 1, c[0].count};
    for (int i = 1; i < p->n; i++) {
        bool same = c[i].count == c[0].count;
        for (int k = 0; same && k < c[0].count; k++)
            same = c[i].x[k] == c[0].x[k];
        if (!same)
            return vx_fail(VITX_INVALID, "an npy of curves: \"%s\" and \"%s\" do not share their x",
                           c[0].name, c[i].name);
    }
    VX_TRY(vx_npy_header(out, shape, 2));
    VX_TRY(append_row(out, c[0].x, c[0].count));
    for (int i = 0; i < p->n; i++)
        VX_TRY(append_row(out, c[i].y, c[i].count));
    return VITX_OK;
}

static const struct {
    const char *name;
    int (*render)(vx_sink *out, const plot *p);
} forms[] = {{"png", to_png}, {"npy", to_npy}};

static int check_curves(const vitx_curve *curves, int n)
{
    if (!curves || n < 1 || n > 1000)
        return vx_fail(VITX_INVALID, "%d curves: 1 to 1000 are accepted", curves ? n : 0);
    for (int i = 0; i < n; i++) {
        const vitx_curve *c = &curves[i];
        if (!c->name || !c->x || !c->y || c->count < 1)
            return vx_fail(VITX_INVALID, "curve %d of %d has no name or no points", i, n);
        if (c->style < VITX_CURVE_GREY)
            return vx_fail(VITX_INVALID, "curve \"%s\": style %d is unknown", c->name, c->style);
        for (int k = 0; k < c->count; k++)
            if (!isfinite(c->x[k]) || !isfinite(c->y[k]))
                return vx_fail(VITX_INVALID, "curve \"%s\": point %d is not finite", c->name, k);
    }
    return VITX_OK;
}

static int open_plot(plot *p, const vitx_curve *curves, int n, const vitx_plot_opts *opts)
{
    *p = (plot){.curves = curves, .n = n, .opts = VITX_PLOT_OPTS_INIT};
    VX_TRY(VX_STRUCT_READ(&p->opts, opts, vitx_plot_opts, hooks));
    VX_TRY(vx_hooks_resolve(&p->hooks, p->opts.hooks));
    p->opts.title = p->opts.title ? p->opts.title : "";
    p->opts.x_label = p->opts.x_label ? p->opts.x_label : "";
    p->opts.y_label = p->opts.y_label ? p->opts.y_label : "";
    return check_curves(curves, n);
}

/* The whole output; path is NULL where opts must name the format. */
static int render(vx_sink *out, const plot *p, const char *path)
{
    const char *name = p->opts.format ? p->opts.format : path ? vx_path_ending(path) : NULL;
    for (size_t i = 0; name && i < sizeof forms / sizeof forms[0]; i++)
        if (vx_same_word(name, forms[i].name))
            return forms[i].render(out, p);
    if (p->opts.format || !path)
        return vx_fail(VITX_INVALID, "no format \"%s\" for curves; there are png, npy",
                       name ? name : "");
    return vx_fail_in(VITX_INVALID, path,
                      "the ending of the name is of no format for curves; there are png, npy");
}

int vitx_plot(const vitx_curve *curves, int n, const char *path, const vitx_plot_opts *opts)
{
    plot p;
    if (!path)
        return vx_fail(VITX_INVALID, "vitx_plot: path is NULL");
    VX_TRY(open_plot(&p, curves, n, opts));
    vx_sink out = vx_sink_file(path, &p.hooks);
    return vx_sink_end(&out, render(&out, &p, path));
}

int vitx_plot_write(const vitx_curve *curves, int n, vitx_writer *write, void *payload,
                    const vitx_plot_opts *opts)
{
    plot p;
    if (!write)
        return vx_fail(VITX_INVALID, "vitx_plot_write: write is NULL");
    VX_TRY(open_plot(&p, curves, n, opts));
    vx_sink out = vx_sink_writer(write, payload, &p.hooks);
    return vx_sink_end(&out, render(&out, &p, NULL));
}
