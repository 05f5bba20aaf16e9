/*
 * scenes/sentence.h: facts of a scene as sentences, in English and Chinese.
 */
#ifndef SCENES_SENTENCE_H
#define SCENES_SENTENCE_H

#include "facts.h"

enum language { LANGUAGE_EN, LANGUAGE_ZH, LANGUAGES };

/* How many ways there are to say a fact of the kind: as many in both languages, alike in meaning.
 * Form 0 is no sentence but a name, for a label or a template: "red cat". */
int sentence_forms(enum fact_kind kind);

enum { SENTENCE_BYTES = 160 }; /* more than any has, with its zero */
/* UTF-8, form 0..sentence_forms()-1. */
void sentence_write(char out[SENTENCE_BYTES], const struct fact *fact, int form,
                    enum language language);

struct sentence {
    struct fact fact;
    bool truth; /* false: it says what is not so */
    /* The scene's objects of which it speaks, in the order of its words, and how many: none if it
     * speaks of a thing that is not there. */
    int about, objects[SCENE_OBJECTS];
    char text[LANGUAGES][SENTENCE_BYTES];
};

/* One true and one false of every kind, for every object or pair. */
enum { SENTENCES_MOST = 2 * (3 * SCENE_OBJECTS + 1 + SCENE_OBJECTS * (SCENE_OBJECTS - 1)) };

/* Sentences of scene `index` of `seed`, whose facts are given; returns how many. Every true one is
 * followed by a false one of its kind: a thing that is not there, another colour, place, number of
 * things or relation of the same things. What is neither true nor false is not said. */
int sentences_make(struct sentence out[SENTENCES_MOST], const struct facts *facts, uint64_t seed,
                   uint64_t index);

/* The name of a colour of facts_colour(). */
const char *colour_name(int colour);

#endif
