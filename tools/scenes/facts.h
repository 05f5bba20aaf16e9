/*
 * scenes/facts.h: what is true of a scene, false, or neither.
 *
 * A fact is what a sentence says in any language: which thing, of which colour, where. It is judged
 * from the scene's objects and from the pixels that show them, in whole numbers: the same answers
 * on every machine. Between true and false lie things of which people would not agree: a colour
 * between two names, a pattern of several, a place near the border of two.
 */
#ifndef SCENES_FACTS_H
#define SCENES_FACTS_H

#include "scene.h"

enum fact_kind { FACT_THING, FACT_COLOUR, FACT_PLACE, FACT_COUNT, FACT_RELATION, FACT_KINDS };

struct fact {
    enum fact_kind kind;
    int thing; /* the class; 0 for FACT_COUNT                                                    */
    int other; /* FACT_RELATION: the class of what it is beside; else 0                          */
    /* FACT_COLOUR, FACT_PLACE, FACT_RELATION: a row of words.def; FACT_COUNT: objects less 1;
     * FACT_THING: 0 */
    int value;
};

/* "thing", "colour", "place", "count", "relation". */
const char *fact_kind_name(enum fact_kind kind);
/* How many values facts of a kind have: the rows of words.def, or 1. */
int fact_values(enum fact_kind kind);

/* Facts are numbered from 0 to fact_total()-1. A thing beside itself is among them: never true. */
int fact_total(void);
struct fact fact_at(int number);

/* What facts are judged by. */
struct facts {
    int count;
    struct {
        int kind;                /* the class                                                    */
        int x, y;                /* middle of the box around what is seen, thousandths           */
        unsigned named, perhaps; /* bits: colours that it has; that it may be said to have       */
    } objects[SCENE_OBJECTS];    /* as the scene's                                               */
};

void facts_measure(struct facts *out, const struct scene *scene);

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNCLEAR };
enum truth fact_judge(const struct facts *facts, const struct fact *fact);

/* The object of a class, or -1. */
int facts_find(const struct facts *facts, int kind);
/* The colour of object k: a row of words.def, or -1 if it has none that everybody would name. */
int facts_colour(const struct facts *facts, int k);

#endif
