/* scenes/facts.c: see facts.h. */
#include "facts.h"

#include <stddef.h>

enum {
#define COLOUR(name, english, chinese) COLOUR_##name,
#include "words.def"
    COLOURS
};

enum {
#define PLACE(name, english, chinese) PLACE_##name,
#include "words.def"
    PLACES
};

enum {
#define RELATION(name, english, chinese) RELATION_##name,
#include "words.def"
    RELATIONS
};

static const struct range {
    int colour, hue_from, hue_to, saturation_from, saturation_to, value_from, value_to;
} ranges[] = {
#define RANGE(colour, hue_from, hue_to, saturation_from, saturation_to, value_from, value_to)      \
    {COLOUR_##colour, hue_from, hue_to, saturation_from, saturation_to, value_from, value_to},
#include "words.def"
};
enum { RANGES = sizeof ranges / sizeof *ranges };

/* Percent of an object's pixels: with so many at its clearest it has the colour; with so many that
 * are near it perhaps. And how far near reaches. */
enum { NAMED = 50, PERHAPS = 12, NEAR_HUE = 14, NEAR_SATURATION = 12, NEAR_VALUE = 30 };
/* Thousandths of the picture's sides. */
enum { OUTER = 380, INNER = 450, CENTRAL = 90, BESIDE = 180, APART = 120, BEHIND = 40 };

const char *fact_kind_name(enum fact_kind kind)
{
    static const char *const names[] = {"thing", "colour", "place", "count", "relation"};
    return names[kind];
}

int fact_values(enum fact_kind kind)
{
    static const int values[] = {1, COLOURS, PLACES, SCENE_OBJECTS, RELATIONS};
    return values[kind];
}

/* ------------------------------- the numbers ----------------------------- */

/* How many facts of a kind there are. */
static int total_of(enum fact_kind kind)
{
    int things = kind == FACT_COUNT ? 1 : scene_classes();
    return things * (kind == FACT_RELATION ? scene_classes() : 1) * fact_values(kind);
}

int fact_total(void)
{
    int total = 0;
    for (int kind = 0; kind < FACT_KINDS; kind++)
        total += total_of((enum fact_kind)kind);
    return total;
}

struct fact fact_at(int number)
{
    int kind = 0;
    while (number >= total_of((enum fact_kind)kind))
        number -= total_of((enum fact_kind)kind++);
    struct fact out = {.kind = (enum fact_kind)kind};
    out.value = number % fact_values(out.kind);
    number /= fact_values(out.kind);
    if (out.kind == FACT_RELATION) {
        out.other = number % scene_classes();
        number /= scene_classes();
    }
    out.thing = number;
    return out;
}

/* --------------------------------- colours ------------------------------- */

struct shade {
    int hue, saturation, value; /* degrees, percent, 0..255 */
};

static struct shade shade_of(const uint8_t *rgb)
{
    int r = rgb[0], g = rgb[1], b = rgb[2];
    int high = r > g ? r : g, low = r < g ? r : g;
    high = high > b ? high : b;
    low = low < b ? low : b;
    struct shade out = {0, high ? 100 * (high - low) / high : 0, high};
    if (high == low)
        return out;
    int sixth = high == r ? 0 : high == g ? 2 : 4;
    int from = high == r ? g - b : high == g ? b - r : r - g;
    out.hue = (360 + 60 * sixth + 60 * from / (high - low)) % 360;
    return out;
}

/* Whether the shade lies in the range, made wider on all sides by `near` of NEAR_. */
static bool within(const struct range *range, struct shade shade, bool near)
{
    int hue = near ? NEAR_HUE : 0, saturation = near ? NEAR_SATURATION : 0,
        value = near ? NEAR_VALUE : 0;
    if (shade.saturation < range->saturation_from - saturation ||
        shade.saturation > range->saturation_to + saturation ||
        shade.value < range->value_from - value || shade.value > range->value_to + value)
        return false;
    for (int turn = -360; turn <= 360; turn += 360)
        if (shade.hue + turn >= range->hue_from - hue && shade.hue + turn <= range->hue_to + hue)
            return true;
    return false;
}

/* Colours as bits that a pixel has. */
static unsigned colours_of(struct shade shade, bool near)
{
    unsigned out = 0;
    for (int i = 0; i < RANGES; i++)
        if (within(&ranges[i], shade, near))
            out |= 1u << ranges[i].colour;
    return out;
}

struct tally {
    int named[COLOURS], perhaps[COLOURS];
};

static void add(int counts[COLOURS], unsigned colours)
{
    for (int c = 0; c < COLOURS; c++)
        counts[c] += (int)(colours >> c & 1);
}

static void count_colours(struct tally tallies[SCENE_OBJECTS], const struct scene *scene)
{
    size_t n = (size_t)scene->width * (size_t)scene->height;
    for (size_t i = 0; i < n; i++) {
        if (!scene->owner[i])
            continue;
        struct shade shade = shade_of(scene->rgb + 3 * i);
        struct tally *tally = &tallies[scene->owner[i] - 1];
        add(tally->named, colours_of(shade, false));
        add(tally->perhaps, colours_of(shade, true));
    }
}

/* Colours as bits that `percent` of `all` pixels have. */
static unsigned enough(const int counts[COLOURS], int all, int percent)
{
    unsigned out = 0;
    for (int c = 0; c < COLOURS; c++)
        if (counts[c] * INT64_C(100) >= all * (int64_t)percent)
            out |= 1u << c;
    return out;
}

void facts_measure(struct facts *out, const struct scene *scene)
{
    struct tally tallies[SCENE_OBJECTS] = {{{0}, {0}}};
    count_colours(tallies, scene);
    *out = (struct facts){.count = scene->count};
    for (int k = 0; k < scene->count; k++) {
        const struct scene_object *object = &scene->objects[k];
        out->objects[k].kind = object->kind;
        out->objects[k].x = (object->x0 + object->x1) * 500 / scene->width;
        out->objects[k].y = (object->y0 + object->y1) * 500 / scene->height;
        out->objects[k].named = enough(tallies[k].named, object->visible, NAMED);
        out->objects[k].perhaps = enough(tallies[k].perhaps, object->visible, PERHAPS);
    }
}

/* ---------------------------------- truth -------------------------------- */

int facts_find(const struct facts *facts, int kind)
{
    for (int k = 0; k < facts->count; k++)
        if (facts->objects[k].kind == kind)
            return k;
    return -1;
}

int facts_colour(const struct facts *facts, int k)
{
    for (int c = 0; c < COLOURS; c++)
        if (facts->objects[k].named >> c & 1)
            return c;
    return -1;
}

static enum truth judged(bool is, bool is_not)
{
    return is ? TRUTH_TRUE : is_not ? TRUTH_FALSE : TRUTH_UNCLEAR;
}

/* The lesser of two: of what has to hold together. */
static enum truth both(enum truth a, enum truth b)
{
    if (a == TRUTH_FALSE || b == TRUTH_FALSE)
        return TRUTH_FALSE;
    return a == TRUTH_TRUE && b == TRUTH_TRUE ? TRUTH_TRUE : TRUTH_UNCLEAR;
}

/* Near the end where thousandths begin. */
static enum truth outer(int at)
{
    return judged(at <= OUTER, at >= INNER);
}

static enum truth central(int at)
{
    int off = at < 500 ? 500 - at : at - 500;
    return judged(off <= CENTRAL, off >= BESIDE);
}

static enum truth judge_place(int x, int y, int place)
{
    switch (place) {
    case PLACE_left:
        return outer(x);
    case PLACE_right:
        return outer(1000 - x);
    case PLACE_top:
        return outer(y);
    case PLACE_bottom:
        return outer(1000 - y);
    case PLACE_middle:
        return both(central(x), central(y));
    case PLACE_top_left:
        return both(outer(x), outer(y));
    case PLACE_top_right:
        return both(outer(1000 - x), outer(y));
    case PLACE_bottom_left:
        return both(outer(x), outer(1000 - y));
    default:
        return both(outer(1000 - x), outer(1000 - y));
    }
}

/* Of two objects, x and y from the first to the second. */
static enum truth judge_relation(int x, int y, int relation)
{
    int way = relation == RELATION_left_of    ? x
              : relation == RELATION_right_of ? -x
              : relation == RELATION_above    ? y
                                              : -y;
    return judged(way >= APART, way <= -BEHIND);
}

enum truth fact_judge(const struct facts *facts, const struct fact *fact)
{
    if (fact->kind == FACT_COUNT)
        return fact->value + 1 == facts->count ? TRUTH_TRUE : TRUTH_FALSE;
    int k = facts_find(facts, fact->thing), other;
    if (k < 0)
        return TRUTH_FALSE;
    switch (fact->kind) {
    case FACT_COLOUR:
        return judged(facts->objects[k].named >> fact->value & 1,
                      !(facts->objects[k].perhaps >> fact->value & 1));
    case FACT_PLACE:
        return judge_place(facts->objects[k].x, facts->objects[k].y, fact->value);
    case FACT_RELATION:
        other = facts_find(facts, fact->other);
        if (other < 0 || other == k)
            return TRUTH_FALSE;
        return judge_relation(facts->objects[other].x - facts->objects[k].x,
                              facts->objects[other].y - facts->objects[k].y, fact->value);
    default:
        return TRUTH_TRUE;
    }
}
