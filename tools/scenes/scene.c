/* scenes/scene.c: see scene.h. */
#include "scene.h"

#include "backdrop.h"

#include <stdlib.h>
#include <string.h>

#define SHAPE(name, en, zh, article, measure) shape shape_##name;
#include "shapes.def"
#undef SHAPE

static const struct {
    shape *draw;
    const char *en, *zh;
} classes[] = {
#define SHAPE(name, en, zh, article, measure) {shape_##name, en, zh},
#include "shapes.def"
#undef SHAPE
};
enum { CLASSES = sizeof classes / sizeof *classes };

const struct scene_opts scene_defaults = {224, 224, 1, 3, 0.3, 0.75};

struct studio {
    struct scene scene; /* first: it is what the caller holds */
    struct scene_opts opts;
    float *picture; /* [height,width,3]                                  */
    float *soft;    /* [height,width] the layer's alpha, blurred         */
    float *between; /* [height,width] after blurring along rows          */
    struct layer layer;
    struct pen pen;
};

/* Of one scene: where its light comes from. */
struct light {
    double x, y; /* a unit vector towards it */
    double shadow, relief;
};

int scene_classes(void)
{
    return CLASSES;
}

const char *scene_label(int kind)
{
    return kind >= 0 && kind < CLASSES ? classes[kind].en : NULL;
}

const char *scene_label_zh(int kind)
{
    return kind >= 0 && kind < CLASSES ? classes[kind].zh : NULL;
}

/* ---------------------------------- memory ------------------------------- */

static bool opts_valid(const struct scene_opts *o)
{
    return o->width >= SCENE_SIDE_MIN && o->width <= SCENE_SIDE_MAX &&
           o->height >= SCENE_SIDE_MIN && o->height <= SCENE_SIDE_MAX && o->least >= 1 &&
           o->most <= SCENE_OBJECTS && o->least <= o->most && o->smallest >= 0.1 &&
           o->largest <= 1 && o->smallest <= o->largest;
}

struct scene *scene_new(const struct scene_opts *opts)
{
    if (!opts_valid(opts))
        return NULL;
    size_t w = (size_t)opts->width, h = (size_t)opts->height;
    struct studio *studio = calloc(1, sizeof *studio);
    if (!studio)
        return NULL;
    struct layer *layer = &studio->layer;
    studio->opts = *opts;
    studio->scene.width = layer->width = layer->raster.width = opts->width;
    studio->scene.height = layer->height = layer->raster.height = opts->height;
    studio->scene.rgb = malloc(w * h * 3);
    studio->scene.owner = malloc(w * h);
    studio->picture = malloc(w * h * 3 * sizeof(float));
    studio->soft = malloc(w * h * sizeof(float));
    studio->between = malloc(w * h * sizeof(float));
    layer->rgb = malloc(w * h * 3 * sizeof(float));
    layer->alpha = calloc(w * h, sizeof(float));
    layer->coverage = malloc(w * sizeof(float));
    layer->raster.area = calloc((w + 2) * h, sizeof(float));
    if (!studio->scene.rgb || !studio->scene.owner || !studio->picture || !studio->soft ||
        !studio->between || !layer->rgb || !layer->alpha || !layer->coverage ||
        !layer->raster.area) {
        scene_free(&studio->scene);
        return NULL;
    }
    raster_clear(&layer->raster);
    return &studio->scene;
}

void scene_free(struct scene *scene)
{
    struct studio *studio = (struct studio *)scene;
    if (!studio)
        return;
    free(studio->scene.rgb);
    free(studio->scene.owner);
    free(studio->picture);
    free(studio->soft);
    free(studio->between);
    free(studio->layer.rgb);
    free(studio->layer.alpha);
    free(studio->layer.coverage);
    free(studio->layer.raster.area);
    free(studio);
}

/* Makes the layer transparent. */
static void layer_clear(struct layer *layer)
{
    for (int y = layer->y0; y < layer->y1; y++)
        memset(layer->alpha + (size_t)y * (size_t)layer->width + layer->x0, 0,
               (size_t)(layer->x1 - layer->x0) * sizeof(float));
    layer->x0 = layer->width;
    layer->y0 = layer->height;
    layer->x1 = layer->y1 = 0;
}

/* ------------------------------- soft borders ---------------------------- */

static int clamped(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* A part of the picture: x1 and y1 are behind the last. */
struct area {
    int x0, y0, x1, y1;
};

/* out[k*step] = the mean of in over k-radius..k+radius, 0 outside of 0..n-1. */
static void blur_line(float *out, const float *in, int n, size_t step, int radius)
{
    float sum = 0, scale = 1 / (float)(2 * radius + 1);
    for (int k = 0; k < radius && k < n; k++)
        sum += in[(size_t)k * step];
    for (int k = 0; k < n; k++) {
        if (k + radius < n)
            sum += in[(size_t)(k + radius) * step];
        if (k - radius - 1 >= 0)
            sum -= in[(size_t)(k - radius - 1) * step];
        out[(size_t)k * step] = sum * scale;
    }
}

/* The layer's alpha, blurred by a square, into studio->soft: over the layer's box and `radius`
 * around it, which is returned. */
static struct area soften(struct studio *studio, int radius)
{
    const struct layer *layer = &studio->layer;
    size_t width = (size_t)layer->width;
    struct area area = {clamped(layer->x0 - radius - 1, 0, layer->width),
                        clamped(layer->y0 - radius - 1, 0, layer->height),
                        clamped(layer->x1 + radius + 1, 0, layer->width),
                        clamped(layer->y1 + radius + 1, 0, layer->height)};
    for (int y = area.y0; y < area.y1; y++) {
        size_t at = (size_t)y * width + (size_t)area.x0;
        blur_line(studio->between + at, layer->alpha + at, area.x1 - area.x0, 1, radius);
    }
    for (int x = area.x0; x < area.x1; x++) {
        size_t at = (size_t)area.y0 * width + (size_t)x;
        blur_line(studio->soft + at, studio->between + at, area.y1 - area.y0, width, radius);
    }
    return area;
}

static float soft_at(const struct studio *studio, const struct area *area, int x, int y)
{
    if (x < area->x0 || y < area->y0 || x >= area->x1 || y >= area->y1)
        return 0;
    return studio->soft[(size_t)y * (size_t)studio->scene.width + (size_t)x];
}

/* ------------------------------- compositing ----------------------------- */

static int rounded(double value)
{
    return value < 0 ? -(int)(0.5 - value) : (int)(value + 0.5);
}

/* Darkens the picture where the layer's shadow falls, away from the light. */
static void cast_shadow(struct studio *studio, const struct light *light, double size)
{
    int radius = clamped((int)(size * 0.05), 1, 64);
    struct area area = soften(studio, radius);
    int dx = rounded(-light->x * size * 0.07), dy = rounded(-light->y * size * 0.07);
    for (int y = clamped(area.y0 + dy, 0, studio->scene.height);
         y < clamped(area.y1 + dy, 0, studio->scene.height); y++)
        for (int x = clamped(area.x0 + dx, 0, studio->scene.width);
             x < clamped(area.x1 + dx, 0, studio->scene.width); x++) {
            float dark = 1 - (float)light->shadow * soft_at(studio, &area, x - dx, y - dy);
            float *rgb =
                studio->picture + 3 * ((size_t)y * (size_t)studio->scene.width + (size_t)x);
            rgb[0] *= dark;
            rgb[1] *= dark;
            rgb[2] *= dark;
        }
}

/* Lays the layer over the picture, brighter on the side of the light; pixels that it covers by more
 * than half get `owner`. Gives the number of those. */
static int lay_over(struct studio *studio, const struct light *light, double size, int owner)
{
    struct layer *layer = &studio->layer;
    int radius = clamped((int)(size * 0.06), 1, 64), whole = 0;
    struct area area = soften(studio, radius);
    int dx = rounded(light->x * (radius + 1)), dy = rounded(light->y * (radius + 1));
    for (int y = layer->y0; y < layer->y1; y++)
        for (int x = layer->x0; x < layer->x1; x++) {
            size_t at = (size_t)y * (size_t)layer->width + (size_t)x;
            float share = layer->alpha[at];
            if (share == 0)
                continue;
            const float *from = layer->rgb + 3 * at;
            float *to = studio->picture + 3 * at;
            float slope =
                soft_at(studio, &area, x - dx, y - dy) - soft_at(studio, &area, x + dx, y + dy);
            float more = 1 + (float)light->relief * slope;
            for (int c = 0; c < 3; c++)
                to[c] += (from[c] * more - to[c]) * share;
            if (share > 0.5f) {
                studio->scene.owner[at] = (uint8_t)owner;
                whole++;
            }
        }
    return whole;
}

/* -------------------------------- the parts ------------------------------ */

/* The mean colour of the picture around a place. */
static struct colour around(const struct studio *studio, double x, double y, double size)
{
    struct colour sum = {0, 0, 0};
    for (int i = 0; i < 16; i++) {
        int px = clamped((int)(x + (i % 4 - 1.5) * size / 4), 0, studio->scene.width - 1);
        int py = clamped((int)(y + ((i >> 2) - 1.5) * size / 4), 0, studio->scene.height - 1);
        const float *rgb =
            studio->picture + 3 * ((size_t)py * (size_t)studio->scene.width + (size_t)px);
        sum.r += rgb[0] / 16;
        sum.g += rgb[1] / 16;
        sum.b += rgb[2] / 16;
    }
    return sum;
}

/* A colour that stands out from two others, or of a dozen tried the one that does so most. */
static struct colour roll_apart(struct dice *dice, struct colour a, float from_a, struct colour b,
                                float from_b)
{
    struct colour best = a;
    float best_by = -1;
    for (int i = 0; i < 12; i++) {
        struct colour colour = colour_roll(dice, 0.3, 1);
        float by_a = colour_distance(colour, a) / from_a,
              by_b = colour_distance(colour, b) / from_b;
        float by = by_a < by_b ? by_a : by_b;
        if (by > best_by) {
            best = colour;
            best_by = by;
        }
        if (by >= 1)
            break;
    }
    return best;
}

static struct paint plain(struct colour colour)
{
    struct paint out = {colour, colour, {.kind = PATTERN_PLAIN}};
    return out;
}

static struct paint textured(struct dice *dice, struct colour colour, double size)
{
    struct paint out = plain(colour);
    if (dice_chance(dice, 0.35))
        return out;
    enum pattern_kind kind = (enum pattern_kind)dice_below(dice, PATTERN_COUNT);
    struct colour other = colour_roll(dice, 0.2, 1);
    out.second = colour_mix(colour, other, (float)dice_in(dice, 0.1, 0.4));
    out.pattern = pattern_roll(dice, kind, size * dice_in(dice, 0.08, 0.3));
    return out;
}

static void roll_paints(struct pen *pen, struct dice *dice, struct colour behind, double size)
{
    struct colour body = roll_apart(dice, behind, 0.45f, behind, 0.45f);
    struct colour second = roll_apart(dice, body, 0.45f, behind, 0.25f);
    double hue = dice_in(dice, 0, 1);
    struct colour dark = colour_hsv(hue, 0.5, dice_in(dice, 0.02, 0.22));
    struct colour light = colour_hsv(1 - hue, dice_in(dice, 0, 0.2), 1);
    pen->paints[ROLE_BODY] = textured(dice, body, size);
    pen->paints[ROLE_SECOND] =
        dice_chance(dice, 0.3) ? textured(dice, second, size) : plain(second);
    pen->paints[ROLE_DARK] = plain(dark);
    pen->paints[ROLE_LIGHT] = plain(light);
    pen->ink = dice_chance(dice, 0.3) ? dice_in(dice, 0.02, 0.05) : 0;
}

static struct light roll_light(struct dice *dice)
{
    double turn = dice_in(dice, 0.55, 0.95); /* from above */
    struct light out = {.x = pen_cos(turn), .y = pen_sin(turn)};
    out.shadow = dice_chance(dice, 0.7) ? dice_in(dice, 0.15, 0.6) : 0;
    out.relief = dice_chance(dice, 0.7) ? dice_in(dice, 0.1, 0.55) : 0;
    return out;
}

/* Things that belong to no class, behind the objects (or, one thin thing, before them). */
static void add_clutter(struct studio *studio, struct dice *dice, const struct light *light, int n,
                        double largest)
{
    double side =
        studio->opts.width < studio->opts.height ? studio->opts.width : studio->opts.height;
    for (int i = 0; i < n; i++) {
        double x = dice_in(dice, 0, studio->opts.width), y = dice_in(dice, 0, studio->opts.height);
        double size = side * dice_in(dice, 0.05, largest), turn = dice_in(dice, 0, 1);
        roll_paints(&studio->pen, dice, around(studio, x, y, size), size);
        layer_clear(&studio->layer);
        pen_place(&studio->pen, x, y, size, turn);
        clutter_draw(&studio->pen, dice);
        if (studio->layer.x0 >= studio->layer.x1)
            continue;
        if (light->shadow > 0)
            cast_shadow(studio, light, size);
        lay_over(studio, light, size, 0);
    }
}

static void add_object(struct studio *studio, struct dice *dice, const struct light *light, int k)
{
    struct scene_object *object = &studio->scene.objects[k];
    double size = object->size;
    roll_paints(&studio->pen, dice, around(studio, object->x, object->y, size), size);
    layer_clear(&studio->layer);
    pen_place(&studio->pen, object->x, object->y, size, object->turn);
    classes[object->kind].draw(&studio->pen, dice);
    if (light->shadow > 0)
        cast_shadow(studio, light, size);
    object->whole = lay_over(studio, light, size, k + 1);
}

/* --------------------------------- the scene ----------------------------- */

/* How far the middles of two objects are from each other, as a part of what keeps them apart. */
static double apart(const struct scene_object *a, const struct scene_object *b)
{
    double x = a->x - b->x, y = a->y - b->y, reach = (a->size + b->size) / 2;
    return (x * x + y * y) / (reach * reach);
}

static bool kind_taken(const struct scene *scene, int k)
{
    for (int i = 0; i < k; i++)
        if (scene->objects[i].kind == scene->objects[k].kind)
            return true;
    return false;
}

/* Objects of different classes at places where they hide little of each other. `closest`: 1 keeps
 * them apart, 0.5 lets them overlap. */
static void place_objects(struct studio *studio, struct dice *dice, double closest)
{
    static const double smaller[SCENE_OBJECTS] = {1, 0.72, 0.56};
    const struct scene_opts *opts = &studio->opts;
    struct scene *scene = &studio->scene;
    double side = opts->width < opts->height ? opts->width : opts->height;
    scene->count = opts->least + dice_below(dice, opts->most - opts->least + 1);
    if (scene->count > CLASSES)
        scene->count = CLASSES;
    for (int k = 0; k < scene->count; k++) {
        struct scene_object *object = &scene->objects[k];
        do
            object->kind = dice_below(dice, CLASSES);
        while (kind_taken(scene, k));
        object->size =
            side * dice_in(dice, opts->smallest, opts->largest) * smaller[scene->count - 1];
        object->turn =
            dice_chance(dice, 0.15) ? dice_in(dice, -0.2, 0.2) : dice_in(dice, -0.08, 0.08);
        double margin = object->size * 0.54;
        double across = margin * 2 < opts->width ? margin : opts->width / 2.0;
        double down = margin * 2 < opts->height ? margin : opts->height / 2.0;
        double best = -1;
        for (int i = 0; i < 24 && best < closest * closest; i++) {
            struct scene_object trial = *object;
            trial.x = dice_in(dice, across, opts->width - across);
            trial.y = dice_in(dice, down, opts->height - down);
            double least = 16;
            for (int other = 0; other < k; other++) {
                double by = apart(&trial, &scene->objects[other]);
                least = by < least ? by : least;
            }
            if (least > best) {
                best = least;
                *object = trial;
            }
        }
    }
}

static void measure_objects(struct scene *scene)
{
    for (int k = 0; k < scene->count; k++) {
        struct scene_object *object = &scene->objects[k];
        object->visible = 0;
        object->x0 = scene->width;
        object->y0 = scene->height;
        object->x1 = object->y1 = 0;
    }
    for (int y = 0; y < scene->height; y++)
        for (int x = 0; x < scene->width; x++) {
            int owner = scene->owner[(size_t)y * (size_t)scene->width + (size_t)x];
            if (owner == 0)
                continue;
            struct scene_object *object = &scene->objects[owner - 1];
            object->visible++;
            object->x0 = x < object->x0 ? x : object->x0;
            object->y0 = y < object->y0 ? y : object->y0;
            object->x1 = x + 1 > object->x1 ? x + 1 : object->x1;
            object->y1 = y + 1 > object->y1 ? y + 1 : object->y1;
        }
}

/* To bytes, with grain, contrast and brightness of a camera. */
static void develop(struct studio *studio, struct dice *dice)
{
    size_t n = (size_t)studio->scene.width * (size_t)studio->scene.height * 3;
    float grain = dice_chance(dice, 0.5) ? (float)dice_in(dice, 0, 12) : 0;
    float contrast = (float)dice_in(dice, 0.75, 1.1), middle = (float)dice_in(dice, 0.4, 0.55);
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0)
            bits = dice_bits(dice);
        float noise = ((float)(bits & 255) - 127.5f) / 127.5f;
        bits >>= 8;
        float value =
            (middle + (studio->picture[i] - middle) * contrast) * 255 + noise * grain + 0.5f;
        studio->scene.rgb[i] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
    }
}

static bool all_show(const struct scene *scene)
{
    for (int k = 0; k < scene->count; k++)
        if (scene->objects[k].visible * 2 < scene->objects[k].whole ||
            scene->objects[k].visible == 0)
            return false;
    return true;
}

static void draw_once(struct studio *studio, struct dice *dice, double closest)
{
    struct scene *scene = &studio->scene;
    memset(scene->owner, 0, (size_t)scene->width * (size_t)scene->height);
    studio->pen.layer = &studio->layer;
    struct light light = roll_light(dice);
    place_objects(studio, dice, closest);
    backdrop_draw(studio->picture, scene->width, scene->height, dice);
    int n = dice_chance(dice, 0.7) ? dice_below(dice, 9) : 0;
    add_clutter(studio, dice, &light, n, 0.25);
    for (int k = 0; k < scene->count; k++)
        add_object(studio, dice, &light, k);
    if (dice_chance(dice, 0.2))
        add_clutter(studio, dice, &light, 1, 0.2);
    develop(studio, dice);
    measure_objects(scene);
}

void scene_draw(struct scene *scene, uint64_t seed, uint64_t index)
{
    struct studio *studio = (struct studio *)scene;
    struct dice dice = dice_start(seed, index);
    /* Rarely something hides too much: the scene is drawn again, its objects further apart. */
    double closest = dice_in(&dice, 0.65, 1);
    int tries = 0;
    do {
        draw_once(studio, &dice, closest);
        closest += 0.1;
    } while (!all_show(scene) && ++tries < 16);
}
