/*
 * render/facts.h: what is known about a map as members of JSON, for files of single maps and for
 * reports. Each function begins with a comma, or with `before`.
 */
#ifndef VX_RENDER_FACTS_H
#define VX_RENDER_FACTS_H

#include <vitx/explain.h>

#include "base/sink.h"

/* A number from 0 on; "all" for VITX_ALL, null for any other below 0. */
int vx_put_choice(vx_sink *out, const char *before, int value);
/* "logit", "probability", "score", "versus", "value", "base_value", "completeness_error": null
 * where the map has none. */
int vx_put_answer(vx_sink *out, const vitx_map_info *info);
/* "explains": "class", "unit", "vector", "picture" or "text". */
int vx_put_explains(vx_sink *out, const vitx_map_info *info);
/* "text", "versus_text", "text_value", "empty_value", "among"; nothing if no text was explained. */
int vx_put_words(vx_sink *out, const vitx_map_info *info);
/* "settings": an object of "key=value key=value". */
int vx_put_settings(vx_sink *out, const char *settings);

#endif
