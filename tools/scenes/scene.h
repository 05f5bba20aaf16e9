/*
 * scenes/scene.h: pictures of which every object is known to the pixel.
 *
 * A scene is made of (options, seed, index) and of nothing else: the same bytes on every machine,
 * in any order, by any thread. 1 to 3 objects of different classes stand on a background with
 * clutter that is no object of any class; colours, texture, background, light and place are drawn
 * independently of the class.
 */
#ifndef SCENES_SCENE_H
#define SCENES_SCENE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCENE_OBJECTS = 3, SCENE_SIDE_MIN = 32, SCENE_SIDE_MAX = 2048 };

struct scene_opts {
    int width, height; /* SCENE_SIDE_MIN..SCENE_SIDE_MAX                                     */
    int least, most;   /* objects, 1..SCENE_OBJECTS                                          */
    /* The longer side of an object as a part of the picture's shorter side, 0.1..1; where several
     * stand in a picture they are drawn smaller, so that they fit. */
    double smallest, largest;
};
/* 224 x 224, 1 to 3 objects, 0.3 to 0.75 */
extern const struct scene_opts scene_defaults;

struct scene_object {
    int kind;           /* the class: 0..scene_classes()-1                                    */
    double x, y;        /* its middle, in pixels                                              */
    double size;        /* pixels                                                             */
    double turn;        /* whole turns, clockwise                                             */
    int whole, visible; /* its pixels, and those that no other object hides                   */
    int x0, y0, x1, y1; /* the box around the visible ones; x1 and y1 are behind the last     */
};

struct scene {
    int width, height;
    uint8_t *rgb; /* [height,width,3]                                                          */
    /* [height,width]: 0 background, k the pixel shows objects[k-1]: more than half of it is covered
     * by that object, and by none before it. Shadows are background. */
    uint8_t *owner;
    int count;
    struct scene_object objects[SCENE_OBJECTS]; /* from the back to the front */
};

/* A scene to draw into; its memory serves for any number of scenes, one after the other. NULL: no
 * memory, or options outside their bounds. Own it: scene_free(). */
struct scene *scene_new(const struct scene_opts *opts);
void scene_free(struct scene *scene);

/* Draws scene `index` of `seed`. Every object shows at least half of its pixels. Not for two
 * threads on one scene. */
void scene_draw(struct scene *scene, uint64_t seed, uint64_t index);

int scene_classes(void);
/* NULL outside 0..scene_classes()-1. */
const char *scene_label(int kind);
const char *scene_label_zh(int kind);

#endif
