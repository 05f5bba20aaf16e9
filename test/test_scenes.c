/*
 * Scenes: the same bytes for ever, masks that lie where the objects are, hostile options.
 * VX_TEST_THREADS
 *
 * test_scenes --write writes test/golden/scenes/hashes.txt again: after a change that is meant to
 * change scenes.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/scenes/scene.h"
#include "util.h"

/* ------------------------------------------------------------------ memory that runs out --- */

/* The linker leads malloc, calloc and free of this program here (Makefile). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *at);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *at);

static struct {
    bool counting;
    int left, live; /* allocations that are granted; of them those not freed */
} memory;

static bool grants(void)
{
    if (!memory.counting)
        return true;
    if (memory.left == 0)
        return false;
    memory.left--;
    memory.live++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return grants() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return grants() ? __real_calloc(count, size) : NULL;
}

void __wrap_free(void *at)
{
    if (memory.counting && at)
        memory.live--;
    __real_free(at);
}

/* Whether there was a scene with so many allocations granted. Nothing stays. */
static bool new_with(int granted)
{
    memory.left = granted;
    memory.counting = true;
    struct scene *scene = scene_new(&scene_defaults);
    scene_free(scene);
    memory.counting = false;
    ck_assert_int_eq(memory.live, 0);
    return scene != NULL;
}

START_TEST(test_new__without_memory)
{
    int granted = 0;
    while (!new_with(granted))
        granted++;
    ck_assert_int_gt(granted, 5);
    scene_free(NULL);
}
END_TEST

/* ------------------------------------------------------------------ the same bytes --------- */

static struct scene *open_scene(int width, int height, int least, int most)
{
    struct scene_opts opts = scene_defaults;
    opts.width = width;
    opts.height = height;
    opts.least = least;
    opts.most = most;
    return scene_new(&opts);
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3;
    return hash;
}

/* Of the picture, the mask, and what is said of the objects in whole numbers. */
static uint64_t hash_of(const struct scene *s)
{
    const size_t n = (size_t)s->width * (size_t)s->height;
    uint64_t hash = mix(mix(0xcbf29ce484222325, s->rgb, 3 * n), s->owner, n);
    for (int k = 0; k < s->count; k++) {
        const struct scene_object *o = &s->objects[k];
        char text[160];
        const int length = snprintf(text, sizeof text, "%d %d %d %d %d %d %d", o->kind, o->whole,
                                    o->visible, o->x0, o->y0, o->x1, o->y1);
        hash = mix(hash, text, (size_t)length);
    }
    return hash;
}

static const struct pin {
    uint64_t seed, index;
    int width, height, least, most;
} pins[] = {
    {1, 0, 224, 224, 1, 3},
    {1, 1, 224, 224, 1, 3},
    {2, 7, 224, 224, 1, 1},
    {20261, 0, 224, 224, 1, 1},
    {20261, 0, 224, 224, 2, 2},
    {20261, 99, 384, 384, 3, 3},
    {UINT64_MAX, UINT64_MAX, 224, 224, 1, 3},
    {0, 0, 32, 32, 1, 3},
    {3, 3, 33, 2048, 3, 3},
    {3, 4, 640, 101, 2, 3},
    {1000001, 12345678901234, 112, 112, 1, 2},
};
enum { PINS = sizeof pins / sizeof *pins };
static const char pins_path[] = "test/golden/scenes/hashes.txt";

static uint64_t draw_pin(const struct pin *p)
{
    struct scene *scene = open_scene(p->width, p->height, p->least, p->most);
    scene_draw(scene, p->seed, p->index);
    const uint64_t hash = hash_of(scene);
    scene_free(scene);
    return hash;
}

static void put_pin(char *text, size_t size, const struct pin *p)
{
    snprintf(text, size, "%" PRIu64 " %" PRIu64 " %dx%d %d-%d %016" PRIx64 "\n", p->seed, p->index,
             p->width, p->height, p->least, p->most, draw_pin(p));
}

START_TEST(test_draw__the_same_bytes_as_ever)
{
    char *known = read_file(pins_path, NULL), *at = known, line[160];
    for (int i = 0; i < PINS; i++) {
        put_pin(line, sizeof line, &pins[i]);
        ck_assert_msg(strncmp(at, line, strlen(line)) == 0, "%s has %.*s, drawn was %s", pins_path,
                      (int)strcspn(at, "\n"), at, line);
        at += strlen(line);
    }
    ck_assert_int_eq(*at, '\0');
    free(known);
}
END_TEST

static int write_pins(void)
{
    FILE *file = fopen(pins_path, "w");
    char line[160];
    for (int i = 0; file && i < PINS; i++) {
        put_pin(line, sizeof line, &pins[i]);
        fputs(line, file);
    }
    return !file || fclose(file) != 0;
}

START_TEST(test_draw__nothing_is_left_of_other_scenes)
{
    struct scene *used = open_scene(150, 90, 1, 3);
    for (uint64_t i = 0; i < 40; i++) {
        struct scene *fresh = open_scene(150, 90, 1, 3);
        scene_draw(fresh, 5, 39 - i);
        scene_draw(used, 5, 39 - i);
        ck_assert_uint_eq(hash_of(used), hash_of(fresh));
        scene_free(fresh);
    }
    scene_draw(used, 5, 0);
    const uint64_t first = hash_of(used);
    scene_draw(used, 5, 1);
    ck_assert_uint_ne(hash_of(used), first);
    scene_draw(used, 6, 0);
    ck_assert_uint_ne(hash_of(used), first);
    scene_free(used);
}
END_TEST

enum { THREADS = 4, EACH = 12 };

static void *draw_some(void *out)
{
    uint64_t *hashes = out;
    struct scene *scene = open_scene(96, 96, 1, 3);
    for (uint64_t i = 0; i < EACH; i++) {
        scene_draw(scene, 9, i);
        hashes[i] = hash_of(scene);
    }
    scene_free(scene);
    return NULL;
}

START_TEST(test_draw__by_any_thread)
{
    uint64_t hashes[THREADS][EACH], expected[EACH];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, draw_some, hashes[i]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    draw_some(expected);
    for (int i = 0; i < THREADS; i++)
        ck_assert_mem_eq(hashes[i], expected, sizeof expected);
}
END_TEST

/* ------------------------------------------------------------------ objects and masks ------ */

/* What the mask shows of an object. */
static void look(struct scene_object *out, const struct scene *s, int k)
{
    *out = (struct scene_object){.x0 = s->width, .y0 = s->height};
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            if (s->owner[y * s->width + x] != k + 1)
                continue;
            out->visible++;
            out->x0 = x < out->x0 ? x : out->x0;
            out->y0 = y < out->y0 ? y : out->y0;
            out->x1 = x + 1 > out->x1 ? x + 1 : out->x1;
            out->y1 = y + 1 > out->y1 ? y + 1 : out->y1;
        }
}

static int largest_owner(const struct scene *s)
{
    int most = 0;
    for (int i = 0; i < s->width * s->height; i++)
        most = s->owner[i] > most ? s->owner[i] : most;
    return most;
}

static void check_objects(const struct scene *s, int least, int most)
{
    ck_assert(s->count >= least && s->count <= most);
    ck_assert_int_le(largest_owner(s), s->count);
    for (int k = 0; k < s->count; k++) {
        const struct scene_object *o = &s->objects[k];
        struct scene_object seen;
        look(&seen, s, k);
        ck_assert_ptr_nonnull(scene_label(o->kind));
        ck_assert_int_gt(o->visible, 0);
        ck_assert_int_eq(o->visible, seen.visible);
        ck_assert(2 * o->visible >= o->whole && o->visible <= o->whole);
        ck_assert(o->x0 == seen.x0 && o->y0 == seen.y0 && o->x1 == seen.x1 && o->y1 == seen.y1);
        ck_assert(o->x >= 0 && o->x <= s->width && o->y >= 0 && o->y <= s->height);
        ck_assert(o->size > 0 && o->x1 - o->x0 <= 1.2 * o->size + 2 &&
                  o->y1 - o->y0 <= 1.2 * o->size + 2);
        for (int i = 0; i < k; i++)
            ck_assert_int_ne(s->objects[i].kind, o->kind);
    }
}

START_TEST(test_objects__are_what_the_mask_shows)
{
    for (int n = 0; n <= SCENE_OBJECTS; n++) {
        const int least = n ? n : 1, most = n ? n : SCENE_OBJECTS;
        struct scene *scene = open_scene(128, 128, least, most);
        for (uint64_t i = 0; i < 60; i++) {
            scene_draw(scene, 77, i);
            check_objects(scene, least, most);
        }
        scene_free(scene);
    }
}
END_TEST

START_TEST(test_objects__in_pictures_of_any_shape)
{
    static const int sides[][2] = {{32, 32}, {33, 2048}, {2048, 32}, {35, 37}, {1023, 61}};
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
        struct scene_opts opts = {sides[k][0], sides[k][1], 1, 3, 0.1, 1};
        struct scene *scene = scene_new(&opts);
        ck_assert_ptr_nonnull(scene);
        for (uint64_t i = 0; i < 12; i++) {
            scene_draw(scene, 31, i);
            check_objects(scene, 1, 3);
        }
        scene_free(scene);
    }
}
END_TEST

static double step_between(const struct scene *s, int a, int b)
{
    double sum = 0;
    for (int c = 0; c < 3; c++)
        sum += fabs((double)s->rgb[3 * a + c] - s->rgb[3 * b + c]);
    return sum;
}

/* How much the colour changes between neighbours on both sides of a mask's border, over what it
 * does between any neighbours. The mask is moved, around the picture's edges. */
static double contrast(const struct scene *s, int by)
{
    double border = 0, all = 0;
    int at_border = 0, pairs = 0;
    const int w = s->width, h = s->height;
    for (int y = 0; y < h; y++)
        for (int x = 0; x + 1 < w; x++) {
            const int row = (y + by) % h * w, a = (x + by) % w, b = (x + 1 + by) % w;
            const double step = step_between(s, y * w + x, y * w + x + 1);
            const bool crosses = s->owner[row + a] != s->owner[row + b];
            border += crosses ? step : 0;
            at_border += crosses;
            all += step;
            pairs++;
        }
    return border / at_border / (all / pairs);
}

/* Objects stand out from what is behind them: where the mask ends the colour changes, and it does
 * not where a mask in a wrong place ends. */
START_TEST(test_objects__end_where_the_mask_ends)
{
    struct scene *scene = open_scene(224, 224, 1, 2);
    double in_place = 0, moved = 0;
    int clear = 0;
    enum { N = 60 };
    for (uint64_t i = 0; i < N; i++) {
        scene_draw(scene, 41, i);
        const double own = contrast(scene, 0);
        in_place += own / N;
        moved += contrast(scene, 9) / N;
        clear += own > 2;
    }
    scene_free(scene);
    ck_assert_msg(clear > 0.95 * N, "%d of %d borders are seen", clear, N);
    ck_assert_msg(in_place > 3 * moved, "%g in place, %g moved", in_place, moved);
}
END_TEST

START_TEST(test_objects__all_classes_as_often)
{
    int count[256] = {0};
    const int classes = scene_classes();
    struct scene *scene = open_scene(32, 32, 1, 1);
    ck_assert_int_le(classes, 255); /* what a byte of --raw can hold */
    for (uint64_t i = 0; i < 60 * (uint64_t)classes; i++) {
        scene_draw(scene, 8, i);
        count[scene->objects[0].kind]++;
    }
    scene_free(scene);
    for (int k = 0; k < classes; k++) /* 60 expected, 7.6 its deviation */
        ck_assert_msg(abs(count[k] - 60) < 39, "%d of %s", count[k], scene_label(k));
}
END_TEST

START_TEST(test_classes__have_names)
{
    for (int k = 0; k < scene_classes(); k++) {
        ck_assert(scene_label(k)[0] && scene_label_zh(k)[0]);
        ck_assert_ptr_null(strpbrk(scene_label(k), "\t\n\",\\"));
        ck_assert_ptr_null(strpbrk(scene_label_zh(k), "\t\n\",\\"));
        for (int i = 0; i < k; i++) {
            ck_assert_str_ne(scene_label(i), scene_label(k));
            ck_assert_str_ne(scene_label_zh(i), scene_label_zh(k));
        }
    }
    ck_assert_int_ge(scene_classes(), SCENE_OBJECTS);
    ck_assert_ptr_null(scene_label(-1));
    ck_assert_ptr_null(scene_label(scene_classes()));
    ck_assert_ptr_null(scene_label_zh(-1));
    ck_assert_ptr_null(scene_label_zh(scene_classes()));
}
END_TEST

/* ------------------------------------------------------------------ options ---------------- */

START_TEST(test_new__refuses)
{
    static const struct scene_opts bad[] = {
        {31, 224, 1, 3, 0.3, 0.7},   {224, 31, 1, 3, 0.3, 0.7},       {2049, 224, 1, 3, 0.3, 0.7},
        {224, 2049, 1, 3, 0.3, 0.7}, {-224, 224, 1, 3, 0.3, 0.7},     {0, 0, 1, 3, 0.3, 0.7},
        {224, 224, 0, 3, 0.3, 0.7},  {224, 224, 1, 4, 0.3, 0.7},      {224, 224, 3, 2, 0.3, 0.7},
        {224, 224, -1, 3, 0.3, 0.7}, {224, 224, 1, 3, 0.09, 0.7},     {224, 224, 1, 3, 0.3, 1.01},
        {224, 224, 1, 3, 0.7, 0.3},  {224, 224, 1, 3, NAN, 0.7},      {224, 224, 1, 3, 0.3, NAN},
        {224, 224, 1, 3, -1, 0.7},   {224, 224, 1, 3, 0.3, INFINITY},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(scene_new(&bad[i]) == NULL, "options %zu are accepted", i);
    ck_assert_int_eq(scene_defaults.width, 224);
    const struct scene_opts ends = {SCENE_SIDE_MIN, SCENE_SIDE_MIN, 1, 1, 0.1, 0.1};
    struct scene *scene = scene_new(&ends);
    ck_assert_ptr_nonnull(scene);
    scene_draw(scene, 1, 1);
    check_objects(scene, 1, 1);
    scene_free(scene);
}
END_TEST

/* ------------------------------------------------------------------ suite ------------------ */

static Suite *suite(void)
{
    Suite *s = suite_create("scenes");
    TCase *tcase = tcase_create("scenes");
    tcase_add_test(tcase, test_draw__the_same_bytes_as_ever);
    tcase_add_test(tcase, test_draw__nothing_is_left_of_other_scenes);
    tcase_add_test(tcase, test_draw__by_any_thread);
    tcase_add_test(tcase, test_objects__are_what_the_mask_shows);
    tcase_add_test(tcase, test_objects__in_pictures_of_any_shape);
    tcase_add_test(tcase, test_objects__end_where_the_mask_ends);
    tcase_add_test(tcase, test_objects__all_classes_as_often);
    tcase_add_test(tcase, test_classes__have_names);
    tcase_add_test(tcase, test_new__refuses);
    tcase_add_test(tcase, test_new__without_memory);
    suite_add_tcase(s, tcase);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_pins();
    return run_suite(suite());
}
