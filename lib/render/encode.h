/* render/encode.h: a canvas as the bytes of a PNG file. */
#ifndef VX_RENDER_ENCODE_H
#define VX_RENDER_ENCODE_H

#include "render/canvas.h"

int vx_png_encode(vx_buffer *out, const vx_canvas *canvas);

#endif
