/*
 * render/stats.h: attention statistics as files.
 *
 * What is drawn or written is taken from the public functions of vitx/measure.h. A form writes
 * the whole file to a sink.
 */
#ifndef VX_RENDER_STATS_H
#define VX_RENDER_STATS_H

#include <vitx/render.h>

#include "base/sink.h"

/* opts are checked and complete: title and colormap are not NULL. */
int vx_stats_json(vx_sink *out, const vitx_stats *stats, const vitx_stats_render_opts *opts);

#endif
