/* scenes/sentence.c: see sentence.h. */
#include "sentence.h"

#include "dice.h"

#include <string.h>

static const struct {
    const char *article, *measure;
} things[] = {
#define SHAPE(name, en, zh, article, measure) {article, measure},
#include "shapes.def"
#undef SHAPE
};

static const char *const colours[][LANGUAGES] = {
#define COLOUR(name, english, chinese) {english, chinese},
#include "words.def"
};

static const char *const places[][LANGUAGES] = {
#define PLACE(name, english, chinese) {english, chinese},
#include "words.def"
};

static const char *const relations[][LANGUAGES] = {
#define RELATION(name, english, chinese) {english, chinese},
#include "words.def"
};

static const char *const counts[][LANGUAGES] = {{"one", "一"}, {"two", "两"}, {"three", "三"}};

static const struct form {
    enum fact_kind kind;
    const char *text[LANGUAGES];
} forms[] = {
#define FORM(kind, english, chinese) {FACT_##kind, {english, chinese}},
#include "words.def"
};
enum { FORMS = sizeof forms / sizeof *forms };

const char *colour_name(int colour)
{
    return colours[colour][LANGUAGE_EN];
}

int sentence_forms(enum fact_kind kind)
{
    int count = 0;
    for (int i = 0; i < FORMS; i++)
        count += forms[i].kind == kind;
    return count;
}

/* --------------------------------- writing ------------------------------- */

struct writer {
    char *out;
    size_t length;
    const struct fact *fact;
    enum language language;
};

/* What does not fit is left out. */
static void put(struct writer *writer, const char *text)
{
    for (; *text && writer->length + 1 < SENTENCE_BYTES; text++)
        writer->out[writer->length++] = *text;
    writer->out[writer->length] = '\0';
}

static void put_noun(struct writer *writer, int thing)
{
    put(writer, writer->language == LANGUAGE_EN ? scene_label(thing) : scene_label_zh(thing));
}

static bool is_plural(int thing)
{
    return strncmp(things[thing].article, "a pair", 6) == 0;
}

/* The thing, after its colour if that is what the fact is about. */
static void put_name(struct writer *writer)
{
    if (writer->fact->kind == FACT_COLOUR) {
        put(writer, colours[writer->fact->value][writer->language]);
        put(writer, writer->language == LANGUAGE_EN ? " " : "的");
    }
    put_noun(writer, writer->fact->thing);
}

/* Before the thing, or before its colour (NULL: that is not said). */
static void put_article(struct writer *writer, int thing, const char *colour)
{
    if (writer->language == LANGUAGE_ZH) {
        put(writer, "一");
        put(writer, things[thing].measure);
        return;
    }
    const char *article = things[thing].article;
    if (colour && !is_plural(thing))
        article = strchr("aeiou", *colour) ? "an" : "a";
    put(writer, article);
    put(writer, " ");
}

static void put_slot(struct writer *writer, char slot)
{
    const struct fact *fact = writer->fact;
    bool one = fact->kind == FACT_COUNT ? fact->value == 0 : !is_plural(fact->thing);
    switch (slot) {
    case 'n':
        put_name(writer);
        break;
    case 't':
        put_noun(writer, fact->thing);
        break;
    case 'a':
        put_article(writer, fact->thing,
                    fact->kind == FACT_COLOUR ? colours[fact->value][LANGUAGE_EN] : NULL);
        put_name(writer);
        break;
    case 'o':
        put_noun(writer, fact->other);
        break;
    case 'b':
        put_article(writer, fact->other, NULL);
        put_noun(writer, fact->other);
        break;
    case 'c':
        put(writer, colours[fact->value][writer->language]);
        break;
    case 'p':
        put(writer, places[fact->value][writer->language]);
        break;
    case 'r':
        put(writer, relations[fact->value][writer->language]);
        break;
    case 'k':
        put(writer, counts[fact->value][writer->language]);
        break;
    case 'v':
        put(writer, one ? "is" : "are");
        break;
    default:
        put(writer, one ? "thing" : "things");
    }
}

void sentence_write(char out[SENTENCE_BYTES], const struct fact *fact, int form,
                    enum language language)
{
    struct writer writer = {.out = out, .fact = fact, .language = language};
    int first = 0;
    while (forms[first].kind != fact->kind)
        first++;
    for (const char *at = forms[first + form].text[language]; *at; at++) {
        char letter[2] = {*at, '\0'};
        if (*at == '%')
            put_slot(&writer, *++at);
        else
            put(&writer, letter);
    }
}

/* --------------------------------- choosing ------------------------------ */

struct author {
    const struct facts *facts;
    struct dice dice;
    struct sentence *out;
    int count;
};

/* A value with which the fact is judged so, all as likely; -1 if there is none. */
static int roll_value(struct author *author, struct fact fact, enum truth wanted)
{
    int found = 0, values[32];
    for (fact.value = 0; fact.value < fact_values(fact.kind); fact.value++)
        if (fact_judge(author->facts, &fact) == wanted)
            values[found++] = fact.value;
    return found ? values[dice_below(&author->dice, found)] : -1;
}

static void say(struct author *author, const struct fact *fact, bool truth)
{
    struct sentence *out = &author->out[author->count++];
    *out = (struct sentence){.fact = *fact, .truth = truth};
    int form = dice_below(&author->dice, sentence_forms(fact->kind));
    for (int language = 0; language < LANGUAGES; language++)
        sentence_write(out->text[language], fact, form, (enum language)language);
    if (fact->kind == FACT_COUNT)
        for (int k = 0; k < author->facts->count; k++)
            out->objects[out->about++] = k;
    else if (facts_find(author->facts, fact->thing) >= 0)
        out->objects[out->about++] = facts_find(author->facts, fact->thing);
    if (fact->kind == FACT_RELATION)
        out->objects[out->about++] = facts_find(author->facts, fact->other);
}

/* A true and a false one that differ in their value alone. */
static void say_values(struct author *author, struct fact fact)
{
    struct fact other = fact;
    fact.value = roll_value(author, fact, TRUTH_TRUE);
    other.value = roll_value(author, other, TRUTH_FALSE);
    if (fact.value < 0 || other.value < 0)
        return;
    say(author, &fact, true);
    say(author, &other, false);
}

/* There are more classes than a scene has objects. */
static void say_thing(struct author *author, int kind)
{
    struct fact there = {.kind = FACT_THING, .thing = kind}, absent = {.kind = FACT_THING};
    do
        absent.thing = dice_below(&author->dice, scene_classes());
    while (facts_find(author->facts, absent.thing) >= 0);
    say(author, &there, true);
    say(author, &absent, false);
}

int sentences_make(struct sentence out[SENTENCES_MOST], const struct facts *facts, uint64_t seed,
                   uint64_t index)
{
    /* Other chances than those by which the scene was drawn. */
    struct author author = {facts, dice_start(seed ^ UINT64_C(0x73656e74656e6365), index), out, 0};
    for (int k = 0; k < facts->count; k++) {
        int kind = facts->objects[k].kind;
        say_thing(&author, kind);
        say_values(&author, (struct fact){.kind = FACT_COLOUR, .thing = kind});
        say_values(&author, (struct fact){.kind = FACT_PLACE, .thing = kind});
        for (int other = 0; other < facts->count; other++)
            if (other != k)
                say_values(&author, (struct fact){.kind = FACT_RELATION,
                                                  .thing = kind,
                                                  .other = facts->objects[other].kind});
    }
    say_values(&author, (struct fact){.kind = FACT_COUNT});
    return author.count;
}
