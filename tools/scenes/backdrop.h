/* scenes/backdrop.h: what stands behind the objects. */
#ifndef SCENES_BACKDROP_H
#define SCENES_BACKDROP_H

#include "draw.h"

/* rgb[height,width,3]: gradients, noise, stripes, or a ground below a sky, finer noise on top. */
void backdrop_draw(float *rgb, int width, int height, struct dice *dice);

/* Draws a thing that is no object of any class (discs, bars, rings, scribbles, ...) onto the pen's
 * layer, whose paints are set. */
void clutter_draw(struct pen *pen, struct dice *dice);

#endif
