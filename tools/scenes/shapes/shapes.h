/*
 * scenes/shapes/shapes.h: the functions of shapes.def. Each fills the square -1..1 along its longer
 * side.
 */
#ifndef SCENES_SHAPES_H
#define SCENES_SHAPES_H

#include "../pen.h"

#define SHAPE(function, english, chinese, article, measure) shape shape_##function;
#include "../shapes.def"
#undef SHAPE

#endif
