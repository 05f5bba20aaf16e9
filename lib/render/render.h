/*
 * render/render.h: what an output format is.
 *
 * A format is one file that ends in one const vx_format, plus its row in formats.def. It gets a
 * job whose options are checked and complete, and writes the file to a sink, piece by piece.
 */
#ifndef VX_RENDER_RENDER_H
#define VX_RENDER_RENDER_H

#include <vitx/render.h>

#include "base/sink.h"
#include "explain/map.h"
#include "image/colormap.h"

typedef struct vx_render_job {
    const vitx_map *map;
    const vitx_image *image; /* NULL where no format needs it; else of the explained size */
    vitx_render_opts opts;   /* checked and complete: title is not NULL, nothing automatic */
    const vx_colormap *colormap;
    bool is_signed; /* 0 is the middle of the colours */
} vx_render_job;

typedef struct vx_format {
    const char *name;   /* also the ending of its files */
    bool draws_picture; /* needs job.image unless the layout is VITX_LAYOUT_MAP */
    int (*render)(vx_sink *out, const vx_render_job *job);
} vx_format;

/* What is known about a map as a JSON object without its closing brace: all but the values
 * (format_json.c). */
int vx_render_facts(vx_sink *out, const vx_render_job *job);
/* The colour map of that name; VITX_INVALID where there is none. */
int vx_render_colormap(const vx_colormap **out, const char *name);

#endif
