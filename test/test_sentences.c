/*
 * What is said of scenes: which facts are true, false or neither, and how they are said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/scenes/sentence.h"
#include "util.h"

/* ------------------------------------------------------------------ facts ------------------ */

START_TEST(test_facts__are_numbered)
{
    const int total = fact_total(), things = scene_classes();
    int of_kind[FACT_KINDS] = {0};
    for (int i = 0; i < total; i++) {
        const struct fact fact = fact_at(i);
        ck_assert(fact.thing >= 0 && fact.thing < things && fact.other >= 0 &&
                  fact.other < things && fact.value >= 0 && fact.value < fact_values(fact.kind));
        of_kind[fact.kind]++;
    }
    ck_assert_int_eq(of_kind[FACT_THING], things);
    ck_assert_int_eq(of_kind[FACT_COLOUR], things * fact_values(FACT_COLOUR));
    ck_assert_int_eq(of_kind[FACT_PLACE], things * fact_values(FACT_PLACE));
    ck_assert_int_eq(of_kind[FACT_COUNT], SCENE_OBJECTS);
    ck_assert_int_eq(of_kind[FACT_RELATION], things * things * fact_values(FACT_RELATION));
}
END_TEST

static int kind_of(const char *label)
{
    for (int k = 0; k < scene_classes(); k++)
        if (strcmp(scene_label(k), label) == 0)
            return k;
    ck_abort_msg("no %s", label);
}

/* The row of words.def that is called so. */
static int value_of(enum fact_kind kind, const char *english)
{
    for (int value = 0; value < fact_values(kind); value++) {
        const struct fact fact = {.kind = kind, .other = 1, .value = value};
        char text[SENTENCE_BYTES];
        sentence_write(text, &fact, 0, LANGUAGE_EN);
        if (strstr(text, english))
            return value;
    }
    ck_abort_msg("no %s", english);
}

/* A scene of one solid colour a thing, in boxes that the test chooses. */
enum { SIDE = 125 };
static uint8_t rgb[SIDE * SIDE * 3], owner[SIDE * SIDE];

struct box {
    const char *label;
    int x0, y0, x1, y1;
    uint8_t colour[3];
};

static struct facts measured(const struct box *boxes, int count)
{
    struct scene scene = {
        .width = SIDE, .height = SIDE, .rgb = rgb, .owner = owner, .count = count};
    struct facts out;
    memset(rgb, 127, sizeof rgb);
    memset(owner, 0, sizeof owner);
    for (int k = 0; k < count; k++) {
        const struct box *box = &boxes[k];
        for (int y = box->y0; y < box->y1; y++)
            for (int x = box->x0; x < box->x1; x++) {
                owner[y * SIDE + x] = (uint8_t)(k + 1);
                memcpy(rgb + 3 * (y * SIDE + x), box->colour, 3);
            }
        const int pixels = (box->x1 - box->x0) * (box->y1 - box->y0);
        scene.objects[k] = (struct scene_object){.kind = kind_of(box->label),
                                                 .whole = pixels,
                                                 .visible = pixels,
                                                 .x0 = box->x0,
                                                 .y0 = box->y0,
                                                 .x1 = box->x1,
                                                 .y1 = box->y1};
    }
    facts_measure(&out, &scene);
    return out;
}

static enum truth judge(const struct facts *facts, enum fact_kind kind, const char *thing,
                        const char *other, const char *value)
{
    const struct fact fact = {.kind = kind,
                              .thing = kind_of(thing),
                              .other = other ? kind_of(other) : 0,
                              .value = value ? value_of(kind, value) : 0};
    return fact_judge(facts, &fact);
}

static const struct box two[] = {{"cat", 10, 20, 50, 50, {220, 30, 20}},
                                 {"car", 80, 70, 120, 110, {20, 40, 210}}};

START_TEST(test_judge__things_and_counts)
{
    const struct facts facts = measured(two, 2);
    ck_assert_int_eq(judge(&facts, FACT_THING, "cat", NULL, NULL), TRUTH_TRUE);
    ck_assert_int_eq(judge(&facts, FACT_THING, "car", NULL, NULL), TRUTH_TRUE);
    ck_assert_int_eq(judge(&facts, FACT_THING, "fish", NULL, NULL), TRUTH_FALSE);
    for (int n = 0; n < SCENE_OBJECTS; n++) {
        const struct fact fact = {.kind = FACT_COUNT, .value = n};
        ck_assert_int_eq(fact_judge(&facts, &fact), n == 1 ? TRUTH_TRUE : TRUTH_FALSE);
    }
}
END_TEST

START_TEST(test_judge__colours)
{
    static const struct {
        const char *is, *perhaps; /* NULL: it has no name */
        uint8_t colour[3];
    } known[] = {
        {"red", NULL, {220, 30, 20}},        {"orange", NULL, {250, 140, 20}},
        {"yellow", NULL, {240, 220, 40}},    {"green", NULL, {30, 160, 50}},
        {"blue", NULL, {20, 40, 210}},       {"purple", NULL, {130, 40, 190}},
        {"pink", NULL, {250, 120, 200}},     {"pink", NULL, {250, 170, 170}},
        {"brown", NULL, {120, 70, 30}},      {"white", NULL, {250, 250, 250}},
        {"grey", NULL, {128, 128, 128}},     {"black", NULL, {10, 10, 10}},
        {"turquoise", NULL, {40, 210, 200}}, {NULL, "yellow", {250, 185, 20}},
        {NULL, "orange", {250, 185, 20}},    {NULL, "grey", {60, 60, 60}},
        {NULL, "black", {60, 60, 60}},       {NULL, "white", {200, 200, 200}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct box box = two[0];
        memcpy(box.colour, known[i].colour, 3);
        const struct facts facts = measured(&box, 1);
        const int named = facts_colour(&facts, 0);
        ck_assert_msg(known[i].is ? named >= 0 && strcmp(colour_name(named), known[i].is) == 0
                                  : named < 0,
                      "colour %zu is %s", i, named < 0 ? "none" : colour_name(named));
        const char *perhaps = known[i].is ? known[i].is : known[i].perhaps;
        ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, perhaps),
                         known[i].is ? TRUTH_TRUE : TRUTH_UNCLEAR);
        if (strcmp(perhaps, "purple") != 0 && strcmp(perhaps, "blue") != 0)
            ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, "blue"), TRUTH_FALSE);
    }
    const struct facts facts = measured(two, 2);
    ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, "red"), TRUTH_TRUE);
    ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, "blue"), TRUTH_FALSE);
    ck_assert_int_eq(judge(&facts, FACT_COLOUR, "car", NULL, "blue"), TRUTH_TRUE);
    ck_assert_int_eq(judge(&facts, FACT_COLOUR, "fish", NULL, "red"), TRUTH_FALSE);
}
END_TEST

/* `share` of 40 rows of a red cat become green. */
START_TEST(test_judge__a_colour_of_a_part)
{
    static const struct {
        int share;
        enum truth red, green;
    } known[] = {{0, TRUTH_TRUE, TRUTH_FALSE},    {4, TRUTH_TRUE, TRUTH_FALSE},
                 {5, TRUTH_TRUE, TRUTH_UNCLEAR},  {19, TRUTH_TRUE, TRUTH_UNCLEAR},
                 {21, TRUTH_UNCLEAR, TRUTH_TRUE}, {36, TRUTH_FALSE, TRUTH_TRUE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct box box = {"cat", 40, 40, 80, 80, {220, 30, 20}};
        struct facts facts = measured(&box, 1);
        for (int at = 0; at < known[i].share * 40; at++)
            memcpy(rgb + 3 * ((40 + at / 40) * SIDE + 40 + at % 40), (uint8_t[]){30, 160, 50}, 3);
        struct scene scene = {
            .width = SIDE, .height = SIDE, .rgb = rgb, .owner = owner, .count = 1};
        scene.objects[0] = (struct scene_object){.kind = kind_of("cat"),
                                                 .whole = 1600,
                                                 .visible = 1600,
                                                 .x0 = 40,
                                                 .y0 = 40,
                                                 .x1 = 80,
                                                 .y1 = 80};
        facts_measure(&facts, &scene);
        ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, "red"), known[i].red);
        ck_assert_int_eq(judge(&facts, FACT_COLOUR, "cat", NULL, "green"), known[i].green);
    }
}
END_TEST

START_TEST(test_judge__places)
{
    const struct facts facts = measured(two, 2);
    static const char *const of_cat[] = {"on the left", "at the top", "top left"},
                             *const not_of_cat[] = {"on the right", "at the bottom",
                                                    "middle",       "top right",
                                                    "bottom left",  "bottom right"};
    for (size_t i = 0; i < sizeof of_cat / sizeof *of_cat; i++)
        ck_assert_int_eq(judge(&facts, FACT_PLACE, "cat", NULL, of_cat[i]), TRUTH_TRUE);
    for (size_t i = 0; i < sizeof not_of_cat / sizeof *not_of_cat; i++)
        ck_assert_int_eq(judge(&facts, FACT_PLACE, "cat", NULL, not_of_cat[i]), TRUTH_FALSE);
    ck_assert_int_eq(judge(&facts, FACT_PLACE, "car", NULL, "bottom right"), TRUTH_TRUE);
    ck_assert_int_eq(judge(&facts, FACT_PLACE, "car", NULL, "top left"), TRUTH_FALSE);
    ck_assert_int_eq(judge(&facts, FACT_PLACE, "fish", NULL, "on the left"), TRUTH_FALSE);

    const struct box middle = {"cat", 40, 40, 84, 84, {0}}, between = {"cat", 32, 40, 72, 84, {0}};
    struct facts other = measured(&middle, 1);
    ck_assert_int_eq(judge(&other, FACT_PLACE, "cat", NULL, "middle"), TRUTH_TRUE);
    ck_assert_int_eq(judge(&other, FACT_PLACE, "cat", NULL, "on the left"), TRUTH_FALSE);
    other = measured(&between, 1); /* its middle at 416 thousandths */
    ck_assert_int_eq(judge(&other, FACT_PLACE, "cat", NULL, "on the left"), TRUTH_UNCLEAR);
    ck_assert_int_eq(judge(&other, FACT_PLACE, "cat", NULL, "on the right"), TRUTH_FALSE);
}
END_TEST

START_TEST(test_judge__relations)
{
    const struct facts facts = measured(two, 2);
    static const char *const of_cat[] = {"to the left of", "above"}, *const of_car[] = {
                                                                         "to the right of",
                                                                         "below"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "cat", "car", of_cat[i]), TRUTH_TRUE);
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "cat", "car", of_car[i]), TRUTH_FALSE);
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "car", "cat", of_car[i]), TRUTH_TRUE);
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "car", "cat", of_cat[i]), TRUTH_FALSE);
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "cat", "fish", of_cat[i]), TRUTH_FALSE);
        ck_assert_int_eq(judge(&facts, FACT_RELATION, "cat", "cat", of_cat[i]), TRUTH_FALSE);
    }
    const struct box near[] = {{"cat", 10, 20, 50, 50, {0}}, {"car", 14, 70, 64, 110, {0}}};
    const struct facts other = measured(near, 2); /* 72 thousandths apart from left to right */
    ck_assert_int_eq(judge(&other, FACT_RELATION, "cat", "car", "to the left of"), TRUTH_UNCLEAR);
    ck_assert_int_eq(judge(&other, FACT_RELATION, "cat", "car", "to the right of"), TRUTH_FALSE);
    ck_assert_int_eq(judge(&other, FACT_RELATION, "cat", "car", "above"), TRUTH_TRUE);
}
END_TEST

/* ------------------------------------------------------------------ words ------------------ */

START_TEST(test_write__known_sentences)
{
    const int cat = kind_of("cat"), scissors = kind_of("scissors"), umbrella = kind_of("umbrella");
    const int red = value_of(FACT_COLOUR, "red"), orange = value_of(FACT_COLOUR, "orange");
    const int left = value_of(FACT_PLACE, "left"), above = value_of(FACT_RELATION, "above");
    const struct {
        struct fact fact;
        int form;
        const char *en, *zh;
    } known[] = {
        {{FACT_THING, cat, 0, 0}, 0, "cat", "猫"},
        {{FACT_THING, cat, 0, 0}, 1, "a cat", "一只猫"},
        {{FACT_THING, umbrella, 0, 0}, 2, "a picture of an umbrella", "一张雨伞的图片"},
        {{FACT_THING, scissors, 0, 0}, 3, "there is a pair of scissors", "图中有一把剪刀"},
        {{FACT_COLOUR, cat, 0, red}, 0, "red cat", "红色的猫"},
        {{FACT_COLOUR, umbrella, 0, red}, 1, "a red umbrella", "一把红色的雨伞"},
        {{FACT_COLOUR, cat, 0, orange}, 1, "an orange cat", "一只橙色的猫"},
        {{FACT_COLOUR, scissors, 0, red}, 1, "a pair of red scissors", "一把红色的剪刀"},
        {{FACT_COLOUR, scissors, 0, red}, 2, "the scissors are red", "剪刀是红色的"},
        {{FACT_PLACE, cat, 0, left}, 0, "cat on the left", "左边的猫"},
        {{FACT_PLACE, cat, 0, left},
         3,
         "there is a cat on the left of the picture",
         "图的左边有一只猫"},
        {{FACT_COUNT, 0, 0, 0}, 0, "one thing", "一样东西"},
        {{FACT_COUNT, 0, 0, 1}, 2, "there are two things", "图中有两样东西"},
        {{FACT_RELATION, cat, umbrella, above}, 0, "cat above an umbrella", "雨伞上方的猫"},
        {{FACT_RELATION, scissors, cat, above},
         2,
         "the scissors are above the cat",
         "剪刀在猫的上方"},
        {{FACT_RELATION, cat, scissors, above},
         1,
         "a cat above a pair of scissors",
         "一把剪刀上方有一只猫"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[SENTENCE_BYTES];
        sentence_write(text, &known[i].fact, known[i].form, LANGUAGE_EN);
        ck_assert_str_eq(text, known[i].en);
        sentence_write(text, &known[i].fact, known[i].form, LANGUAGE_ZH);
        ck_assert_str_eq(text, known[i].zh);
    }
}
END_TEST

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Nothing is cut off, no two facts are said alike, and what JSON would escape does not occur. */
START_TEST(test_write__every_sentence)
{
    const enum language language = (enum language)_i;
    int count = 0, total = fact_total();
    for (int i = 0; i < total; i++)
        count += sentence_forms(fact_at(i).kind);
    char(*all)[SENTENCE_BYTES] = malloc((size_t)count * SENTENCE_BYTES);
    count = 0;
    for (int i = 0; i < total; i++) {
        const struct fact fact = fact_at(i);
        for (int form = 0; form < sentence_forms(fact.kind); form++) {
            char *text = all[count++];
            sentence_write(text, &fact, form, language);
            ck_assert_int_gt(strlen(text), 0);
            ck_assert_int_lt(strlen(text), SENTENCE_BYTES - 1);
            ck_assert_ptr_null(strpbrk(text, "%\"\\\n\t"));
            ck_assert_ptr_null(strstr(text, "  "));
        }
    }
    qsort(all, (size_t)count, SENTENCE_BYTES, by_text);
    for (int i = 1; i < count; i++)
        ck_assert_str_ne(all[i - 1], all[i]);
    free(all);
}
END_TEST

/* ------------------------------------------------------------------ sentences of scenes ---- */

static struct facts drawn(struct scene *scene, uint64_t seed, uint64_t index)
{
    struct facts facts;
    scene_draw(scene, seed, index);
    facts_measure(&facts, scene);
    return facts;
}

static void check_pair(const struct sentence *true_one, const struct sentence *false_one,
                       const struct facts *facts)
{
    const struct fact *a = &true_one->fact, *b = &false_one->fact;
    ck_assert(true_one->truth && !false_one->truth);
    ck_assert_int_eq(fact_judge(facts, a), TRUTH_TRUE);
    ck_assert_int_eq(fact_judge(facts, b), TRUTH_FALSE);
    ck_assert_int_eq(a->kind, b->kind);
    if (a->kind == FACT_THING) {
        ck_assert_int_eq(false_one->about, 0);
        ck_assert_int_eq(true_one->about, 1);
    } else {
        ck_assert(a->thing == b->thing && a->other == b->other && a->value != b->value);
        ck_assert_int_eq(false_one->about, true_one->about);
    }
    if (a->kind != FACT_COUNT)
        ck_assert_int_eq(facts->objects[true_one->objects[0]].kind, a->thing);
    if (a->kind == FACT_RELATION)
        ck_assert_int_eq(facts->objects[true_one->objects[1]].kind, a->other);
}

START_TEST(test_make__says_what_is_so_and_what_is_not)
{
    struct scene *scene = scene_new(&scene_defaults);
    int of_kind[FACT_KINDS] = {0}, forms[FACT_KINDS] = {0};
    for (uint64_t i = 0; i < 60; i++) {
        struct sentence sentences[SENTENCES_MOST];
        const struct facts facts = drawn(scene, 21, i);
        const int count = sentences_make(sentences, &facts, 21, i);
        ck_assert(count % 2 == 0 && count >= 4 && count <= SENTENCES_MOST);
        for (int k = 0; k < count; k += 2) {
            check_pair(&sentences[k], &sentences[k + 1], &facts);
            of_kind[sentences[k].fact.kind]++;
            char text[SENTENCE_BYTES];
            sentence_write(text, &sentences[k].fact, 0, LANGUAGE_EN);
            forms[sentences[k].fact.kind] += strcmp(text, sentences[k].text[LANGUAGE_EN]) == 0;
        }
    }
    for (int kind = 0; kind < FACT_KINDS; kind++) {
        ck_assert_int_gt(of_kind[kind], 20);
        ck_assert(forms[kind] > 0 && forms[kind] < of_kind[kind]); /* by chance, among several */
    }
    scene_free(scene);
}
END_TEST

START_TEST(test_make__the_same_again)
{
    struct scene *scene = scene_new(&scene_defaults);
    struct sentence first[SENTENCES_MOST], again[SENTENCES_MOST], other[SENTENCES_MOST];
    const struct facts facts = drawn(scene, 5, 7);
    const int count = sentences_make(first, &facts, 5, 7);
    const struct facts same = drawn(scene, 5, 7);
    ck_assert_int_eq(sentences_make(again, &same, 5, 7), count);
    ck_assert_int_eq(sentences_make(other, &same, 5, 8), count);
    bool differ = false;
    for (int i = 0; i < count; i++)
        for (int language = 0; language < LANGUAGES; language++) {
            ck_assert_str_eq(first[i].text[language], again[i].text[language]);
            differ |= strcmp(first[i].text[language], other[i].text[language]) != 0;
        }
    ck_assert(differ);
    scene_free(scene);
}
END_TEST

/* Seen in a mirror, what was on the left is on the right, and everything else is as it was. */
START_TEST(test_judge__in_a_mirror)
{
    struct scene_opts opts = scene_defaults;
    opts.width = opts.height = SIDE;
    struct scene *scene = scene_new(&opts);
    static const char *const sides[][2] = {{"on the left", "on the right"},
                                           {"top left", "top right"},
                                           {"bottom left", "bottom right"},
                                           {"at the top", "at the top"},
                                           {"middle", "middle"}};
    for (uint64_t i = 0; i < 40; i++) {
        const struct facts facts = drawn(scene, 33, i);
        struct scene mirror = *scene;
        mirror.rgb = rgb;
        mirror.owner = owner;
        for (int at = 0; at < SIDE * SIDE; at++) {
            const int to = at / SIDE * SIDE + SIDE - 1 - at % SIDE;
            owner[to] = scene->owner[at];
            memcpy(rgb + 3 * to, scene->rgb + 3 * at, 3);
        }
        for (int k = 0; k < mirror.count; k++) {
            mirror.objects[k].x0 = SIDE - scene->objects[k].x1;
            mirror.objects[k].x1 = SIDE - scene->objects[k].x0;
        }
        struct facts seen;
        facts_measure(&seen, &mirror);
        for (int k = 0; k < mirror.count; k++) {
            const char *label = scene_label(mirror.objects[k].kind);
            for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
                ck_assert_int_eq(judge(&facts, FACT_PLACE, label, NULL, sides[s][0]),
                                 judge(&seen, FACT_PLACE, label, NULL, sides[s][1]));
            ck_assert_int_eq(facts.objects[k].named, seen.objects[k].named);
            ck_assert_int_eq(facts.objects[k].perhaps, seen.objects[k].perhaps);
        }
    }
    scene_free(scene);
}
END_TEST

/* Of many things the colour has a name, and every colour is the name of some. */
START_TEST(test_measure__colours_have_names)
{
    struct scene_opts opts = scene_defaults;
    opts.width = opts.height = 48;
    struct scene *scene = scene_new(&opts);
    int things = 0, named = 0, of_colour[32] = {0};
    for (uint64_t i = 0; i < 600; i++) {
        const struct facts facts = drawn(scene, 51, i);
        for (int k = 0; k < facts.count; k++) {
            const int colour = facts_colour(&facts, k);
            things++;
            named += colour >= 0;
            if (colour >= 0)
                of_colour[colour]++;
        }
    }
    scene_free(scene);
    ck_assert_msg(named > 0.3 * things && named < 0.6 * things, "%d of %d", named, things);
    for (int c = 0; c < fact_values(FACT_COLOUR); c++)
        ck_assert_msg(of_colour[c] > 0 || strcmp(colour_name(c), "black") == 0, "nothing is %s",
                      colour_name(c));
}
END_TEST

/* ------------------------------------------------------------------ suite ------------------ */

static Suite *suite(void)
{
    Suite *s = suite_create("sentences");
    TCase *tcase = tcase_create("sentences");
    tcase_add_test(tcase, test_facts__are_numbered);
    tcase_add_test(tcase, test_judge__things_and_counts);
    tcase_add_test(tcase, test_judge__colours);
    tcase_add_test(tcase, test_judge__a_colour_of_a_part);
    tcase_add_test(tcase, test_judge__places);
    tcase_add_test(tcase, test_judge__relations);
    tcase_add_test(tcase, test_judge__in_a_mirror);
    tcase_add_test(tcase, test_measure__colours_have_names);
    tcase_add_test(tcase, test_write__known_sentences);
    tcase_add_loop_test(tcase, test_write__every_sentence, 0, LANGUAGES);
    tcase_add_test(tcase, test_make__says_what_is_so_and_what_is_not);
    tcase_add_test(tcase, test_make__the_same_again);
    suite_add_tcase(s, tcase);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
