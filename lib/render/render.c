/*
 * render/render.c: the public face of rendering: checks the options, finds the format, and opens
 * what it writes to: a file or the caller's function.
 */
#include "render/render.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/structs.h"
#include "base/text.h"
#include "image/blur.h"
#include "render/scale.h"
#include "render/sheet.h"

#define VX_FORMAT(name) extern const vx_format vx_format_##name;
#include "render/formats.def"
#undef VX_FORMAT

static const vx_format *const formats[] = {
#define VX_FORMAT(name) &vx_format_##name,
#include "render/formats.def"
#undef VX_FORMAT
};
#define FORMAT_COUNT ((int)(sizeof formats / sizeof formats[0]))

void vitx_render_opts_init(vitx_render_opts *out, size_t struct_size)
{
    const vitx_render_opts full = VITX_RENDER_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

const char *vitx_format_name(int index)
{
    return index >= 0 && index < FORMAT_COUNT ? formats[index]->name : NULL;
}

const char *vitx_colormap_name(int index)
{
    const vx_colormap *map = vx_colormap_at(index);
    return map ? map->name : NULL;
}

static int find_format(const vx_format **out, const char *name, const char *path)
{
    char list[128];
    for (int i = 0; name && i < FORMAT_COUNT; i++)
        if (vx_same_word(name, formats[i]->name)) {
            *out = formats[i];
            return VITX_OK;
        }
    vx_name_list(list, sizeof list, vitx_format_name);
    if (!path)
        return vx_fail(VITX_INVALID, "no format \"%s\"; there are %s", name ? name : "", list);
    return vx_fail_in(VITX_INVALID, path,
                      "the ending of the name is of no known format; there are %s", list);
}

int vx_render_colormap(const vx_colormap **out, const char *name)
{
    int index;
    *out = NULL;
    VX_TRY(vx_find_name(&index, name, vitx_colormap_name, "colour map"));
    *out = vx_colormap_at(index);
    return VITX_OK;
}

/* What VITX_SCALE_AUTO stands for. */
static vitx_scale suitable_scale(const vitx_map *map)
{
    if (map->info.is_signed)
        return map->on_pixels ? VITX_SCALE_SIGNED_P99 : VITX_SCALE_SIGNED;
    if (map->info.min > 0.25f * map->info.max) /* or everything would look hot */
        return VITX_SCALE_MINMAX;
    return map->on_pixels ? VITX_SCALE_P99 : VITX_SCALE_MAX;
}

static int check_opts(vx_render_job *job)
{
    vitx_render_opts *o = &job->opts;
    if (!(o->alpha >= 0 && o->alpha <= 1) && o->alpha != VITX_AUTO)
        return vx_fail(VITX_INVALID, "alpha is %g, it must be 0 to 1", (double)o->alpha);
    if (!(o->smooth >= 0 && o->smooth <= 256) && o->smooth != VITX_AUTO)
        return vx_fail(VITX_INVALID, "smooth is %g, it must be 0 to 256", (double)o->smooth);
    if (o->layout < VITX_LAYOUT_OVERLAY || o->layout > VITX_LAYOUT_MAP)
        return vx_fail(VITX_INVALID, "layout %d is none of vitx_layout", (int)o->layout);
    if (o->scale < VITX_SCALE_AUTO || o->scale > VITX_SCALE_RANGE)
        return vx_fail(VITX_INVALID, "scale %d is none of vitx_scale", (int)o->scale);
    if (o->frame < VITX_FRAME_PICTURE || o->frame > VITX_FRAME_INPUT)
        return vx_fail(VITX_INVALID, "frame %d is none of vitx_frame", (int)o->frame);
    if (o->underlay < VITX_UNDERLAY_AUTO || o->underlay > VITX_UNDERLAY_NONE)
        return vx_fail(VITX_INVALID, "underlay %d is none of vitx_underlay", (int)o->underlay);
    if (o->interpolation < VITX_INTERPOLATION_SMOOTH ||
        o->interpolation > VITX_INTERPOLATION_NEAREST)
        return vx_fail(VITX_INVALID, "interpolation %d is none of vitx_interpolation",
                       (int)o->interpolation);
    if (o->scale == VITX_SCALE_AUTO)
        o->scale = suitable_scale(job->map);
    const bool colours = vx_map_is_tinted(&job->map->info);
    const bool range = o->scale == VITX_SCALE_RANGE;
    if (range && !(isfinite(o->low) && isfinite(o->high) && o->low < o->high))
        return vx_fail(VITX_INVALID, "a scale from %g to %g: the first must be the smaller one",
                       (double)o->low, (double)o->high);
    const bool is_signed = !colours && (range ? o->low == -o->high : vx_scale_is_signed(o->scale));
    job->is_signed = is_signed;
    if (o->underlay == VITX_UNDERLAY_AUTO)
        o->underlay = is_signed ? VITX_UNDERLAY_GREY : VITX_UNDERLAY_PHOTO;
    if (o->alpha < 0)
        o->alpha = job->map->info.mask > 0 ? 0.75f : colours ? 1 : is_signed ? 0.8f : 0.5f;
    if (o->smooth < 0)
        o->smooth = vx_map_smooth(job->map);
    if (!o->colormap)
        o->colormap = is_signed ? "coolwarm" : "inferno";
    return vx_render_colormap(&job->colormap, o->colormap);
}

static int check_image(const vx_render_job *job, const vx_format *format)
{
    if (job->map->info.channels > 0 && format->draws_picture && !job->map->tint.drawn)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: %d numbers per patch as they are: npy and json hold them, no %s",
                       job->map->info.method, job->map->info.channels, format->name);
    const vitx_image *image = job->image;
    const vitx_map_info *info = &job->map->info;
    if (!image && format->draws_picture && job->opts.layout != VITX_LAYOUT_MAP)
        return vx_fail(VITX_INVALID,
                       "%s of this layout needs the picture; VITX_LAYOUT_MAP does not",
                       format->name);
    if (image && (image->width != info->picture_width || image->height != info->picture_height))
        return vx_fail(VITX_INVALID, "the picture is %d x %d, the one explained was %d x %d",
                       image->width, image->height, info->picture_width, info->picture_height);
    return VITX_OK;
}

/* What a job is rendered to: a format's file, or the drawing itself. */
typedef struct target {
    vx_sink *file;
    vx_canvas *canvas;
} target;

static int render_to(const target *to, const vx_render_job *job, const vx_format *format)
{
    return to->canvas ? vx_sheet_draw(to->canvas, job) : format->render(to->file, job);
}

/* A map that says nothing is drawn as 0: stretched over the colours, rounding would look like
 * much. */
static int render_nothing(const target *to, const vx_render_job *job, const vx_format *format)
{
    vitx_map flat = *job->map;
    vx_render_job drawn = *job;
    VX_TRY(vx_new(&flat.values, &flat.hooks, flat.count, sizeof *flat.values, "a map of zeros"));
    flat.info.min = flat.info.max = 0;
    drawn.map = &flat;
    const int status = render_to(to, &drawn, format);
    vx_release(&flat.hooks, flat.values);
    return status;
}

/* The whole output; path is NULL where opts must name the format. */
static int render(const target *to, const vitx_map *map, const vitx_image *image, const char *path,
                  const vitx_render_opts *opts)
{
    vx_render_job job = {.map = map, .image = image, .opts = VITX_RENDER_OPTS_INIT};
    const vx_format *format = NULL;
    VX_TRY(VX_STRUCT_READ(&job.opts, opts, vitx_render_opts, label));
    if (!job.opts.title)
        job.opts.title = "";
    if (to->canvas)
        format = &vx_format_png; /* whose drawing it is */
    else if (job.opts.format)
        VX_TRY(find_format(&format, job.opts.format, NULL));
    else
        VX_TRY(find_format(&format, path ? vx_path_ending(path) : NULL, path));
    VX_TRY(check_opts(&job));
    VX_TRY(check_image(&job, format));
    if (map->info.nothing && format->draws_picture)
        return render_nothing(to, &job, format);
    return render_to(to, &job, format);
}

/* The ends of one plane; room is as large as the plane. */
static int plane_ends(float *low, float *high, float *room, const vx_render_job *job, int plane)
{
    int h, w;
    const vitx_map *map = job->map;
    const float *values = vx_map_plane(map, plane, &h, &w);
    const double sigma = (double)job->opts.smooth * w / map->placement.input_w;
    *low = job->opts.low;
    *high = job->opts.high;
    if (sigma > 0)
        VX_TRY(vx_blur(room, values, 1, h, w, sigma, vx_blur_radius(sigma), false, &map->hooks));
    return vx_scale_values(room, low, high, sigma > 0 ? room : values, (size_t)h * (size_t)w,
                           job->opts.scale, &map->hooks);
}

int vitx_render_ends(float *low, float *high, const vitx_map *map, const vitx_render_opts *opts)
{
    vx_render_job job = {.map = map, .opts = VITX_RENDER_OPTS_INIT};
    int h, w;
    float *room;
    if (!low || !high || !map)
        return vx_fail(VITX_INVALID, "vitx_render_ends: an argument is NULL");
    *low = *high = 0;
    VX_TRY(VX_STRUCT_READ(&job.opts, opts, vitx_render_opts, label));
    VX_TRY(check_opts(&job));
    if (vx_map_is_tinted(&map->info))
        return vx_fail(VITX_INVALID, "%s: a map of colours or of a mask has no scale",
                       map->info.method);
    if (map->info.nothing)
        return VITX_OK;
    vx_map_plane(map, 0, &h, &w);
    VX_TRY(vx_new(&room, &map->hooks, (size_t)h * (size_t)w, sizeof *room, "a scaled map"));
    int status = VITX_OK;
    for (int i = 0; i < vx_map_planes(map) && status == VITX_OK; i++) {
        float first = 0, last = 0;
        status = plane_ends(&first, &last, room, &job, i);
        *low = i > 0 ? fminf(*low, first) : first;
        *high = i > 0 ? fmaxf(*high, last) : last;
    }
    vx_release(&map->hooks, room);
    return status;
}

int vitx_render(const vitx_map *map, const vitx_image *image, const char *path,
                const vitx_render_opts *opts)
{
    if (!map || !path)
        return vx_fail(VITX_INVALID, "vitx_render: %s is NULL", map ? "path" : "map");
    vx_sink out = vx_sink_file(path, &map->hooks);
    return vx_sink_end(&out, render(&(target){.file = &out}, map, image, path, opts));
}

int vitx_render_write(const vitx_map *map, const vitx_image *image, vitx_writer *write,
                      void *payload, const vitx_render_opts *opts)
{
    if (!map || !write)
        return vx_fail(VITX_INVALID, "vitx_render_write: %s is NULL", map ? "write" : "map");
    vx_sink out = vx_sink_writer(write, payload, &map->hooks);
    return vx_sink_end(&out, render(&(target){.file = &out}, map, image, NULL, opts));
}

int vitx_render_image(vitx_image **out, const vitx_map *map, const vitx_image *image,
                      const vitx_render_opts *opts)
{
    if (out)
        *out = NULL;
    if (!out || !map)
        return vx_fail(VITX_INVALID, "vitx_render_image: %s is NULL", out ? "map" : "out");
    vitx_image_opts io = VITX_IMAGE_OPTS_INIT;
    vx_canvas canvas = {0};
    io.hooks = &map->hooks;
    io.max_pixels = VX_CANVAS_MAX_PIXELS;
    int status = render(&(target){.canvas = &canvas}, map, image, NULL, opts);
    if (status == VITX_OK)
        status = vitx_image_from_rgb(out, canvas.pixels, canvas.width, canvas.height, 0, &io);
    vx_canvas_dispose(&canvas);
    return status;
}
