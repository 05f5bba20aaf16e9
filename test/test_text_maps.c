/*
 * test_text_maps.c: what methods for texts do with the vectors that a text tower gives beside the
 * text's own (vx_similarity): the empty text of surgery, the texts of clip-es. (Their maps of one
 * vector: test_methods.c. Which models they are not defined for: test_every_method.c.)
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/run.h"
#include "explain/explain.h"
#include "explain/method.h"
#include "util.h"

enum { UNITS = 64, PATCHES = 25 };

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
    int units;
    float text[UNITS], other[UNITS]; /* of length 1 */
    double settings[8];
} bench;

static void make_unit(float *v, int n, double step)
{
    double square = 0;
    for (int k = 0; k < n; k++)
        square += sin(step * (k + 1)) * sin(step * (k + 1));
    for (int k = 0; k < n; k++)
        v[k] = (float)(sin(step * (k + 1)) / sqrt(square));
}

static void open_bench(bench *b)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    *b = (bench){0};
    o.threads = 1;
    ck_ok(vitx_model_open(&b->model, golden_path("models/clip-hf"), NULL));
    ck_ok(vitx_context_create(&b->c, b->model, &o));
    ck_ok(vitx_image_open(&b->image, golden_path("models/picture.png")));
    b->units = b->c->arch.classes;
    ck_assert_int_le(b->units, UNITS);
    make_unit(b->text, b->units, 1);
    make_unit(b->other, b->units, 0.37);
}

static void close_bench(bench *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

static vitx_explain_opts ask(const bench *b, const char *method, const float *vector)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = method;
    o.vector = vector;
    o.vector_count = b->units;
    return o;
}

/* The map of a vector; what the passes left stays in the context. */
static vitx_map *explain(bench *b, const char *method, const float *vector)
{
    const vitx_explain_opts o = ask(b, method, vector);
    vitx_map *map;
    ck_ok(vitx_explain(&map, b->c, b->image, &o));
    ck_assert_uint_eq(map->count, PATCHES);
    return map;
}

static const vx_method *method(const char *name)
{
    for (int i = 0; vx_method_at(i); i++)
        if (strcmp(vx_method_at(i)->name, name) == 0)
            return vx_method_at(i);
    ck_abort_msg("no method %s", name);
    return NULL;
}

/* The map of b->text once more, on what the passes left, with what a text tower adds. */
static void run_again(float *out, bench *b, const char *name, vx_similarity added)
{
    vitx_map *map = explain(b, name, b->text);
    const vitx_explain_opts o = ask(b, name, b->text);
    vx_plan ignored;
    const vitx_hooks hooks = b->c->hooks;
    vx_job job = vx_job_of(b->c, method(name), &o);
    ck_assert_uint_le(job.method->settings_size, sizeof b->settings);
    ck_ok(vx_plan_create(&ignored, &b->c->arch, &hooks));
    added.vector = b->text;
    added.score = VITX_SCORE_COSINE;
    job.settings = b->settings;
    job.similarity = added;
    job.score = VITX_SCORE_COSINE;
    ck_ok(job.method->prepare(&job, &ignored));
    map->vector = b->text;
    map->vector_count = b->units;
    vx_context_begin(b->c, 1000000);
    ck_ok(vx_job_run(&job, 0, 1, &map));
    memcpy(out, map->values, PATCHES * sizeof *out);
    map->vector = NULL;
    vx_plan_dispose(&ignored, &hooks);
    vitx_map_free(map);
}

static double cosine(const float *answer, const float *vector, int n)
{
    double dot = 0, square = 0;
    for (int k = 0; k < n; k++) {
        dot += (double)answer[k] * (double)vector[k];
        square += (double)answer[k] * (double)answer[k];
    }
    return dot / sqrt(square);
}

/* The cosine with the text less that with the empty text. */
START_TEST(test_surgery__takes_the_empty_text_away)
{
    bench b;
    float found[PATCHES];
    double expected[PATCHES];
    open_bench(&b);
    vitx_map *text = explain(&b, "surgery", b.text), *empty = explain(&b, "surgery", b.other);
    for (int p = 0; p < PATCHES; p++)
        expected[p] = (double)text->values[p] - (double)empty->values[p];
    run_again(found, &b, "surgery", (vx_similarity){.empty = b.other});
    ck_assert_double_lt(max_error_f32(found, expected, PATCHES), 1e-5);
    run_again(found, &b, "surgery", (vx_similarity){.empty = NULL});
    ck_assert(memcmp(found, text->values, sizeof found) == 0);
    vitx_map_free(text);
    vitx_map_free(empty);
    close_bench(&b);
}
END_TEST

/* w_0 times the cosines with the text, less the mean of w_c times those with each, where w is a
 * softmax of the whole picture's cosines. */
START_TEST(test_surgery__takes_the_mean_of_texts_away)
{
    enum { TEXTS = 4 };
    bench b;
    float found[PATCHES], texts[TEXTS * UNITS] = {0};
    double expected[PATCHES] = {0}, w[TEXTS], sum = 0;
    open_bench(&b);
    memcpy(texts, b.text, (size_t)b.units * sizeof *texts);
    memcpy(texts + b.units, b.other, (size_t)b.units * sizeof *texts);
    texts[2 * b.units] = texts[3 * b.units + 1] = 1;
    vitx_map *maps[TEXTS];
    for (int c = 0; c < TEXTS; c++) {
        maps[c] = explain(&b, "surgery", texts + c * b.units);
        w[c] = exp(2 * cosine(b.c->act.host.logits, texts + c * b.units, b.units));
        sum += w[c] / TEXTS;
    }
    for (int c = 0; c < TEXTS; c++) {
        for (int p = 0; p < PATCHES; p++)
            expected[p] += ((c == 0) - 1.0 / TEXTS) * w[c] / sum * (double)maps[c]->values[p];
        vitx_map_free(maps[c]);
    }
    run_again(
        found, &b, "surgery",
        (vx_similarity){
            .empty = b.other, .others = texts + b.units, .other_count = TEXTS - 1, .among = true});
    ck_assert_double_lt(max_error_f32(found, expected, PATCHES), 1e-5);
    close_bench(&b);
}
END_TEST

/* Among itself a text can gain nothing; against its opposite p = 1 / (1 + exp(-2 s cos)), whose
 * slope is 2 s p (1 - p) times that of the cosine. */
START_TEST(test_clip_es__is_the_text_among_others)
{
    enum { SCALE = 3 };
    bench b;
    float found[PATCHES], opposite[UNITS];
    double expected[PATCHES];
    open_bench(&b);
    vitx_map *text = explain(&b, "clip-es", b.text);
    const double cos = cosine(b.c->variants.act.host.logits, b.text, b.units);
    const double p = 1 / (1 + exp(-2 * SCALE * cos));
    for (int k = 0; k < b.units; k++)
        opposite[k] = -b.text[k];
    run_again(found, &b, "clip-es",
              (vx_similarity){.others = opposite, .other_count = 1, .scale = SCALE});
    for (int i = 0; i < PATCHES; i++)
        expected[i] = 2 * SCALE * p * (1 - p) * (double)text->values[i];
    ck_assert_double_lt(max_error_f32(found, expected, PATCHES), 1e-4);
    run_again(found, &b, "clip-es",
              (vx_similarity){.others = b.text, .other_count = 1, .scale = SCALE});
    for (int i = 0; i < PATCHES; i++)
        ck_assert_double_lt(fabs((double)found[i]), 1e-5 * (double)text->info.max);
    run_again(found, &b, "clip-es", (vx_similarity){.scale = SCALE});
    ck_assert(memcmp(found, text->values, sizeof found) == 0);
    vitx_map_free(text);
    close_bench(&b);
}
END_TEST

/* start=-N counts from behind, and says what it takes. */
START_TEST(test_start__counts_from_behind)
{
    static const char *const from_behind[] = {"start=-1"}, *const from_front[] = {"start=1"},
                             *const wrong[] = {"start=-3"};
    static const char *const names[] = {"legrad", "generic", "grad-rollout"};
    bench b;
    open_bench(&b);
    ck_assert_int_eq(b.c->arch.depth, 2);
    for (int m = 0; m < 3; m++) {
        vitx_explain_opts o = ask(&b, names[m], b.text);
        vitx_map *map, *other;
        o.set = from_behind;
        o.set_count = 1;
        ck_ok(vitx_explain(&map, b.c, b.image, &o));
        o.set = from_front;
        ck_ok(vitx_explain(&other, b.c, b.image, &o));
        ck_assert(memcmp(map->values, other->values, PATCHES * sizeof(float)) == 0);
        vitx_map_free(map);
        vitx_map_free(other);
        o.set = wrong;
        ck_fails(vitx_explain(&map, b.c, b.image, &o), VITX_INVALID, "from -2 to -1");
    }
    close_bench(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("text maps");
    TCase *t = tcase_create("text maps");
    tcase_add_test(t, test_surgery__takes_the_empty_text_away);
    tcase_add_test(t, test_surgery__takes_the_mean_of_texts_away);
    tcase_add_test(t, test_clip_es__is_the_text_among_others);
    tcase_add_test(t, test_start__counts_from_behind);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
