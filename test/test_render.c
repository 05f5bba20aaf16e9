/* test_render.c: colour maps, scaling, and every output format. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "base/json.h"
#include "explain/map.h"
#include "image/blur.h"
#include "image/colormap.h"
#include "render/canvas.h"
#include "render/number.h"
#include "render/scale.h"
#include "util.h"

/* ------------------------------------------------------------------ support ---------------- */

/* An allocator that fails once, at allocation number fail_at (from 1; 0: never). */
struct meter {
    int count, live, fail_at;
};

static void *metered_alloc(size_t bytes, void *payload)
{
    struct meter *m = payload;
    if (++m->count == m->fail_at)
        return NULL;
    m->live++;
    return malloc(bytes);
}

static void metered_release(void *memory, void *payload)
{
    ((struct meter *)payload)->live--;
    free(memory);
}

static vitx_hooks metered(struct meter *meter)
{
    vitx_hooks hooks = VITX_HOOKS_INIT;
    hooks.alloc = metered_alloc;
    hooks.release = metered_release;
    hooks.payload = meter;
    return hooks;
}

static vitx_hooks plain_hooks(void)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return hooks;
}

/* A map of a 60 x 40 picture whose input of 32 x 32 is the middle of the picture at 48 x 32, so
 * that the columns 10 to 50 of the picture are seen. */
static const vx_placement middle = {.resized_w = 48,
                                    .resized_h = 32,
                                    .left = 8,
                                    .top = 0,
                                    .input_w = 32,
                                    .input_h = 32,
                                    .scale_x = 1.25,
                                    .scale_y = 1.25,
                                    .filter = VITX_BILINEAR};

static vitx_map *make_map(int rank, const int64_t *shape, const vitx_hooks *hooks)
{
    vitx_map *map;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    rng r = {5};
    info.method = "rollout";
    info.target = 7;
    info.logit = 1.5f;
    info.probability = 0.25f;
    info.layer = info.head = info.query = VITX_AUTO;
    info.rank = rank;
    for (int i = 0; i < 4; i++)
        info.shape[i] = i < rank ? shape[i] : 1;
    info.grid_height = (int)shape[rank - 2];
    info.grid_width = (int)shape[rank - 1];
    info.picture_width = 60;
    info.picture_height = 40;
    ck_ok(vx_map_create(&map, &info, &middle, hooks));
    for (size_t i = 0; i < map->count; i++)
        map->values[i] = rng_float(&r, -0.25f, 1);
    vx_map_finish(map);
    return map;
}

static vitx_map *make_grid_map(void)
{
    const vitx_hooks hooks = plain_hooks();
    return make_map(2, (const int64_t[]){4, 4}, &hooks);
}

static vitx_image *make_image(int w, int h)
{
    vitx_image *image;
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);
    rng r = {11};
    ck_assert(rgb != NULL);
    for (int i = 0; i < w * h * 3; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, w, h, 0, NULL));
    free(rgb);
    return image;
}

/* Output of vitx_render_write in a growing block. */
struct sink {
    char *data;
    size_t size;
    int pieces, stop_at;
};

static int collect(const void *data, size_t bytes, void *payload)
{
    struct sink *sink = payload;
    if (++sink->pieces == sink->stop_at)
        return 1;
    sink->data = realloc(sink->data, sink->size + bytes + 1);
    ck_assert(sink->data != NULL);
    memcpy(sink->data + sink->size, data, bytes);
    sink->size += bytes;
    sink->data[sink->size] = '\0';
    return 0;
}

/* Two pictures of the same pixels. */
static void check_same_picture(const vitx_image *a, const vitx_image *b)
{
    ck_assert_int_eq(vitx_image_width(a), vitx_image_width(b));
    ck_assert_int_eq(vitx_image_height(a), vitx_image_height(b));
    ck_assert_mem_eq(vitx_image_pixels(a), vitx_image_pixels(b),
                     3 * (size_t)vitx_image_width(a) * (size_t)vitx_image_height(a));
}

/* The png of a map, decoded again; vitx_render_image gives the same. */
static vitx_image *draw(const vitx_map *map, const vitx_image *image, const vitx_render_opts *opts)
{
    struct sink sink = {0};
    vitx_image *png, *pixels;
    vitx_render_opts o = *opts;
    ck_ok(vitx_render_image(&pixels, map, image, &o));
    o.format = "png";
    ck_ok(vitx_render_write(map, image, collect, &sink, &o));
    ck_ok(vitx_image_open_memory(&png, sink.data, sink.size, "png", NULL));
    free(sink.data);
    check_same_picture(png, pixels);
    vitx_image_free(pixels);
    return png;
}

static const uint8_t *pixel(const vitx_image *image, int x, int y)
{
    return vitx_image_pixels(image) + 3 * (y * vitx_image_width(image) + x);
}

static int difference(const uint8_t *a, const uint8_t *b)
{
    int worst = 0;
    for (int c = 0; c < 3; c++)
        worst = abs(a[c] - b[c]) > worst ? abs(a[c] - b[c]) : worst;
    return worst;
}

/* ------------------------------------------------------------------ colour maps ------------ */

START_TEST(test_colormap__matches_matplotlib)
{
    npy golden = read_npy(golden_path("render/colormaps.npy"));
    int worst = 0;
    for (size_t m = 0; m < golden.shape[0]; m++)
        for (int i = 0; i < 256; i++) {
            uint8_t rgb[3];
            ck_assert(vx_colormap_at((int)m) != NULL);
            vx_colormap_rgb(rgb, vx_colormap_at((int)m), (float)i / 255);
            for (int c = 0; c < 3; c++) {
                const int d = abs(rgb[c] - (int)golden.data[(m * 256 + (size_t)i) * 3 + (size_t)c]);
                worst = d > worst ? d : worst;
            }
        }
    ck_assert_int_le(worst, 2);
    ck_assert(vx_colormap_at((int)golden.shape[0]) == NULL);
    free_npy(&golden);
}
END_TEST

START_TEST(test_colormap__names_are_those_promised)
{
    static const char *const names[] = {"turbo", "viridis",  "inferno", "jet",
                                        "grey",  "coolwarm", "rdbu",    "cividis"};
    for (int i = 0; i < 8; i++) {
        ck_assert_str_eq(vitx_colormap_name(i), names[i]);
        ck_assert(vx_colormap_find(names[i]) == vx_colormap_at(i));
    }
    ck_assert(vitx_colormap_name(8) == NULL && vitx_colormap_name(-1) == NULL);
    ck_assert(vx_colormap_find("gray") == NULL);
}
END_TEST

/* Blue below, red above, and no colour where a signed map is 0. */
START_TEST(test_colormap__diverging_ones_have_a_neutral_middle)
{
    static const char *const names[] = {"coolwarm", "rdbu"};
    for (int i = 0; i < 2; i++) {
        uint8_t low[3], mid[3], high[3];
        const vx_colormap *map = vx_colormap_find(names[i]);
        vx_colormap_rgb(low, map, 0.2f);
        vx_colormap_rgb(mid, map, 0.5f);
        vx_colormap_rgb(high, map, 0.8f);
        ck_assert_int_gt(low[2], low[0] + 60);
        ck_assert_int_gt(high[0], high[2] + 60);
        ck_assert_int_le(abs(mid[0] - mid[1]), 1);
        ck_assert_int_le(abs(mid[1] - mid[2]), 1);
        ck_assert_int_gt(mid[0], 200);
    }
}
END_TEST

/* The next name in the page's script, behind *at: its start and length. */
static const char *next_word(const char **at, size_t *length)
{
    const char *start = *at + strspn(*at, " \n,+");
    *length = strcspn(start, ":' \n}");
    *at = start + *length;
    return start;
}

/* The points of one colour map in the page's script, which are hexadecimal digits in pieces, into
 * rgb; how many there are. */
static int page_points(uint8_t (*rgb)[3], int room, const char **at)
{
    int digits = 0;
    while (**at == '\'') {
        for ((*at)++; **at != '\''; (*at)++, digits++) {
            const char two[2] = {**at, '\0'};
            ck_assert_int_lt(digits, 6 * room);
            ck_assert(strspn(two, "0123456789abcdef") == 1);
            uint8_t *byte = &rgb[digits / 6][digits % 6 / 2];
            *byte = (uint8_t)(*byte << 4 | strtol(two, NULL, 16));
        }
        (*at)++;
        *at += strspn(*at, " +\n");
    }
    ck_assert_int_eq(digits % 6, 0);
    return digits / 6;
}

/* The report page draws with the colours of the pictures. */
START_TEST(test_colormap__is_that_of_the_page)
{
    size_t bytes, length;
    char *file = read_file("lib/report/page/colours.js", &bytes);
    char *text = calloc(1, bytes + 1);
    memcpy(text, file, bytes);
    const char *at = strstr(text, "colourPoints = {");
    int found = 0;
    ck_assert_ptr_nonnull(at);
    for (at = strchr(at, '{') + 1;; found++) {
        char name[32] = "";
        uint8_t rgb[256][3] = {{0}};
        const char *word = next_word(&at, &length);
        if (length == 0)
            break;
        ck_assert_uint_lt(length, sizeof name);
        memcpy(name, word, length);
        const vx_colormap *map = vx_colormap_find(name);
        ck_assert_msg(map, "the page has a colour map %s", name);
        at += strspn(at, ": \n");
        ck_assert_int_eq(page_points(rgb, 256, &at), map->count);
        ck_assert_mem_eq(rgb, map->points, 3 * (size_t)map->count);
    }
    ck_assert_int_eq(found, 7); /* all but jet */
    free(text);
    free(file);
}
END_TEST

START_TEST(test_colormap__ends_and_nan)
{
    const vx_colormap *grey = vx_colormap_find("grey");
    static const struct {
        float v;
        uint8_t grey;
    } cases[] = {{0, 0},         {1, 255},        {-3, 0},    {9, 255},
                 {-INFINITY, 0}, {INFINITY, 255}, {NAN, 128}, {0.2f, 51}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t rgb[3];
        vx_colormap_rgb(rgb, grey, cases[i].v);
        for (int c = 0; c < 3; c++)
            ck_assert_int_eq(rgb[c], cases[i].grey);
    }
}
END_TEST

/* ------------------------------------------------------------------ numbers ---------------- */

static void check_number(double v, int digits)
{
    char got[VX_NUMBER_TEXT], want[64];
    vx_number_text(got, v, digits);
    snprintf(want, sizeof want, "%.*g", digits, v);
    ck_assert_str_eq(got, want);
}

START_TEST(test_number__is_what_printf_gives)
{
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    -1,
                                    10,
                                    100,
                                    0.1,
                                    0.25,
                                    1e-4,
                                    1.5e-5,
                                    999999999,
                                    1e9,
                                    1.25e9,
                                    1e100,
                                    1e-300,
                                    5e-324,
                                    1.7976931348623157e308,
                                    0.999999999999,
                                    123456789,
                                    7.70569,
                                    -6.74987};
    rng r = {3};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (int digits = 1; digits <= 17; digits++)
            check_number(values[i], digits);
    for (int i = 0; i < 20000; i++) {
        const uint32_t bits = (uint32_t)rng_next(&r);
        float v;
        memcpy(&v, &bits, 4);
        if (isfinite(v))
            check_number((double)v, 1 + i % 10);
    }
}
END_TEST

START_TEST(test_number__what_is_not_finite_is_null)
{
    char text[VX_NUMBER_TEXT];
    vx_number_text(text, NAN, 9);
    ck_assert_str_eq(text, "null");
    vx_number_text(text, -INFINITY, 9);
    ck_assert_str_eq(text, "null");
}
END_TEST

START_TEST(test_number__keeps_its_point_in_any_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8",
                                        "ps_AF.UTF-8"};
    char text[VX_NUMBER_TEXT];
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found)
        printf("skipped: no locale with a decimal comma is installed\n");
    vx_number_text(text, -1234.5, 9);
    setlocale(LC_ALL, "C");
    ck_assert_str_eq(text, "-1234.5");
}
END_TEST

/* ------------------------------------------------------------------ scaling ---------------- */

static void check_scale(vitx_scale scale, const float *src, const float *want, size_t n, float low,
                        float high)
{
    const vitx_hooks hooks = plain_hooks();
    float got[8], l, h;
    ck_ok(vx_scale_values(got, &l, &h, src, n, scale, &hooks));
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) < 1e-6f, "scale %d, value %zu: %g, expected %g",
                      (int)scale, i, (double)got[i], (double)want[i]);
    ck_assert_float_eq(l, low);
    ck_assert_float_eq(h, high);
}

START_TEST(test_scale__each_mode)
{
    const float v[] = {-2, 0, 1, 4};
    check_scale(VITX_SCALE_MAX, v, (const float[]){0, 0, 0.25f, 1}, 4, 0, 4);
    check_scale(VITX_SCALE_MINMAX, v, (const float[]){0, 2.0f / 6, 0.5f, 1}, 4, -2, 4);
    check_scale(VITX_SCALE_SIGNED, v, (const float[]){0.25f, 0.5f, 0.625f, 1}, 4, -4, 4);
    /* numpy.percentile([0, 0, 1, 4], 99) = 3.91 */
    check_scale(VITX_SCALE_P99, v, (const float[]){0, 0, 1 / 3.91f, 1}, 4, 0, 3.91f);
    /* numpy.percentile([2, 0, 1, 4], 99) = 3.94 */
    check_scale(VITX_SCALE_SIGNED_P99, v,
                (const float[]){0.5f - 1 / 3.94f, 0.5f, 0.5f + 0.5f / 3.94f, 1}, 4, -3.94f, 3.94f);
    const float w[] = {-8, 1};
    check_scale(VITX_SCALE_SIGNED_P99, w, (const float[]){0, 0.5f + 0.5f / 7.93f}, 2, -7.93f,
                7.93f);
}
END_TEST

START_TEST(test_scale__constant_zero_and_negative_maps)
{
    const float zero[3] = {0}, two[] = {2, 2, 2}, minus[] = {-2, -2, -2};
    const float ones[] = {1, 1, 1}, halves[] = {0.5f, 0.5f, 0.5f};
    check_scale(VITX_SCALE_MAX, zero, zero, 3, 0, 0);
    check_scale(VITX_SCALE_MINMAX, zero, zero, 3, 0, 0);
    check_scale(VITX_SCALE_P99, zero, zero, 3, 0, 0);
    check_scale(VITX_SCALE_SIGNED, zero, halves, 3, 0, 0);
    check_scale(VITX_SCALE_SIGNED_P99, zero, halves, 3, 0, 0);
    check_scale(VITX_SCALE_MAX, two, ones, 3, 0, 2);
    check_scale(VITX_SCALE_MINMAX, two, zero, 3, 2, 2);
    check_scale(VITX_SCALE_MAX, minus, zero, 3, 0, 0);
    check_scale(VITX_SCALE_SIGNED, minus, zero, 3, -2, 2);
    check_scale(VITX_SCALE_SIGNED_P99, minus, zero, 3, -2, 2);
}
END_TEST

START_TEST(test_scale__extremes_and_what_is_not_finite)
{
    const float v[] = {-3e38f, 3e38f, NAN, INFINITY};
    check_scale(VITX_SCALE_MINMAX, v, (const float[]){0, 1, 0.5f, 0.5f}, 4, -3e38f, 3e38f);
    check_scale(VITX_SCALE_SIGNED, v, (const float[]){0, 1, 0.5f, 0.5f}, 4, -3e38f, 3e38f);
    check_scale(VITX_SCALE_MAX, v, (const float[]){0, 1, 0, 0}, 4, 0, 3e38f);
}
END_TEST

START_TEST(test_scale__p99_of_few_points_is_the_maximum)
{
    const vitx_hooks hooks = plain_hooks();
    float v[400] = {0}, got[400], low, high;
    v[17] = 8;
    ck_ok(vx_scale_values(got, &low, &high, v, 400, VITX_SCALE_P99, &hooks));
    ck_assert_float_eq(high, 8);
    ck_assert_float_eq(got[17], 1);
    ck_assert_float_eq(got[18], 0);
    v[17] = -8;
    ck_ok(vx_scale_values(got, &low, &high, v, 400, VITX_SCALE_SIGNED_P99, &hooks));
    ck_assert_float_eq(low, -8);
    ck_assert_float_eq(high, 8);
    ck_assert_float_eq(got[17], 0);
    ck_assert_float_eq(got[18], 0.5f);
}
END_TEST

/* ------------------------------------------------------------------ npy -------------------- */

START_TEST(test_npy__holds_the_raw_values)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(4, (const int64_t[]){2, 3, 4, 5}, &hooks);
    char *folder = make_folder(), path[128];
    size_t bytes;
    snprintf(path, sizeof path, "%s/map.npy", folder);
    ck_ok(vitx_render(map, NULL, path, NULL));
    npy got = read_npy(path);
    ck_assert_int_eq(got.rank, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(got.shape[i], (size_t)i + 2);
    for (size_t i = 0; i < got.count; i++)
        ck_assert_double_eq(got.data[i], (double)map->values[i]);
    unsigned char *file = read_file(path, &bytes);
    ck_assert(memcmp(file, "\x93NUMPY\x01\x00", 8) == 0);
    ck_assert_uint_eq((10 + file[8] + 256u * file[9]) % 64, 0);
    ck_assert_int_eq(file[9 + file[8] + 256 * file[9]], '\n');
    ck_assert(strstr((char *)file + 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, 5), }") != NULL);
    free(file);
    free_npy(&got);
    remove_folder(folder);
    free(folder);
    vitx_map_free(map);
}
END_TEST

/* ------------------------------------------------------------------ json ------------------- */

static double number_at(const vx_json *node, const char *key)
{
    double v;
    ck_assert_msg(vx_json_number(vx_json_get(node, key), &v), "%s is no number", key);
    return v;
}

static vx_json *render_json(const vitx_map *map, const vitx_render_opts *opts)
{
    struct sink sink = {0};
    vx_json *root;
    vitx_render_opts o = *opts;
    o.format = "json";
    ck_ok(vitx_render_write(map, NULL, collect, &sink, &o));
    ck_assert_int_eq(sink.data[sink.size - 1], '\n');
    ck_ok(vx_json_parse(&root, sink.data, sink.size, "json", 100000));
    free(sink.data);
    return root;
}

START_TEST(test_json__says_what_the_map_is)
{
    vitx_map *map = make_grid_map();
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.title = "a \"b\"\n\xff.jpg";
    opts.label = "tench, Tinca tinca";
    vx_json *root = render_json(map, &opts);
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "image")), "a \"b\"\n\xef\xbf\xbd.jpg");
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "method")), "rollout");
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "label")), opts.label);
    ck_assert_double_eq(number_at(root, "target"), 7);
    ck_assert_double_eq(number_at(root, "logit"), 1.5);
    ck_assert_double_eq(number_at(root, "probability"), 0.25);
    ck_assert(vx_json_is_null(vx_json_get(root, "layer")));
    ck_assert(vx_json_is_null(vx_json_get(root, "head")));
    ck_assert(vx_json_is_null(vx_json_get(root, "query")));
    ck_assert_double_eq_tol(number_at(root, "min"), (double)map->info.min, 1e-8);
    ck_assert_double_eq_tol(number_at(root, "max"), (double)map->info.max, 1e-8);
    const vx_json *seen = vx_json_first(vx_json_get(root, "seen"));
    for (int i = 0; i < 4; i++, seen = vx_json_next(seen)) {
        double v;
        ck_assert(vx_json_number(seen, &v));
        ck_assert_double_eq_tol(v, map->info.seen[i], 1e-6);
    }
    vx_json_free(root);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_json__says_what_was_explained)
{
    static const char *const absent[] = {"score", "versus", "value", "base_value",
                                         "completeness_error"};
    const vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    bool is_signed;
    vitx_map *map = make_grid_map();
    vx_json *root = render_json(map, &opts);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        ck_assert_msg(vx_json_is_null(vx_json_get(root, absent[i])), "%s", absent[i]);
    ck_assert_double_eq(number_at(root, "forwards"), 0);
    ck_assert(vx_json_bool(vx_json_get(root, "signed"), &is_signed) && !is_signed);
    vx_json_free(root);
    map->info.is_signed = 1;
    map->info.score = VITX_SCORE_PROBABILITY;
    map->info.value = 0.25;
    map->info.versus = 3; /* means nothing here */
    map->info.forwards = INT64_C(5000000000);
    root = render_json(map, &opts);
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "score")), "probability");
    ck_assert_double_eq(number_at(root, "value"), 0.25);
    ck_assert_double_eq(number_at(root, "forwards"), 5e9);
    ck_assert(vx_json_is_null(vx_json_get(root, "versus")));
    ck_assert(vx_json_is_null(vx_json_get(root, "base_value")));
    ck_assert(vx_json_bool(vx_json_get(root, "signed"), &is_signed) && is_signed);
    vx_json_free(root);
    map->info.score = VITX_SCORE_DIFFERENCE;
    map->info.versus = 0;
    map->info.value = -4.5;
    map->info.base_value = -1.5;
    root = render_json(map, &opts);
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "score")), "difference");
    ck_assert_double_eq(number_at(root, "versus"), 0);
    ck_assert_double_eq(number_at(root, "value"), -4.5);
    ck_assert_double_eq(number_at(root, "base_value"), -1.5);
    ck_assert_double_eq(number_at(root, "completeness_error"), 0);
    vx_json_free(root);
    map->info.base_value = 0;
    map->info.completeness_error = 0.125;
    map->info.score = (vitx_score)9;
    root = render_json(map, &opts);
    ck_assert(vx_json_is_null(vx_json_get(root, "score")));
    ck_assert_double_eq(number_at(root, "base_value"), 0);
    ck_assert_double_eq(number_at(root, "completeness_error"), 0.125);
    vx_json_free(root);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_json__nests_values_as_the_shape)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(3, (const int64_t[]){2, 3, 4}, &hooks);
    map->info.layer = VITX_ALL;
    map->info.head = 2;
    vx_json *root = render_json(map, &(vitx_render_opts)VITX_RENDER_OPTS_INIT);
    const float *want = map->values;
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "layer")), "all");
    ck_assert_double_eq(number_at(root, "head"), 2);
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "image")), "");
    ck_assert(vx_json_is_null(vx_json_get(root, "label")));
    const vx_json *values = vx_json_get(root, "values");
    ck_assert_int_eq(vx_json_size(values), 2);
    for (const vx_json *plane = vx_json_first(values); plane; plane = vx_json_next(plane)) {
        ck_assert_int_eq(vx_json_size(plane), 3);
        for (const vx_json *row = vx_json_first(plane); row; row = vx_json_next(row)) {
            ck_assert_int_eq(vx_json_size(row), 4);
            for (const vx_json *v = vx_json_first(row); v; v = vx_json_next(v)) {
                double number;
                ck_assert(vx_json_number(v, &number));
                ck_assert_float_eq((float)number, *want++); /* nine digits give a float back */
            }
        }
    }
    vx_json_free(root);
    vitx_map_free(map);
}
END_TEST

/* ------------------------------------------------------------------ png -------------------- */

/* A map as large as the input: nothing is interpolated, every pixel is its value's colour. */
START_TEST(test_png__map_alone_shows_each_value)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(2, (const int64_t[]){32, 32}, &hooks);
    for (int i = 0; vitx_colormap_name(i); i++) {
        vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
        opts.layout = VITX_LAYOUT_MAP;
        opts.frame = VITX_FRAME_INPUT;
        opts.colormap = vitx_colormap_name(i);
        vitx_image *png = draw(map, NULL, &opts);
        ck_assert_int_eq(vitx_image_width(png), 32);
        ck_assert_int_eq(vitx_image_height(png), 32);
        for (int k = 0; k < 32 * 32; k++) {
            uint8_t want[3];
            vx_colormap_rgb(want, vx_colormap_at(i), fmaxf(map->values[k], 0) / map->info.max);
            ck_assert_int_le(difference(pixel(png, k % 32, k / 32), want), 1);
        }
        vitx_image_free(png);
    }
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__alpha_0_is_the_picture_where_it_was_seen)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.alpha = 0;
    vitx_image *png = draw(map, image, &opts);
    ck_assert_int_eq(vitx_image_width(png), 60);
    ck_assert_int_eq(vitx_image_height(png), 40);
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 60; x++) {
            const uint8_t *want = pixel(image, x, y), *got = pixel(png, x, y);
            if (x >= 10 && x < 50) /* (0 + 8) * 1.25 to (32 + 8) * 1.25 */
                ck_assert_int_eq(difference(got, want), 0);
            else
                for (int c = 0; c < 3; c++)
                    ck_assert_int_eq(got[c], want[c] * 90 / 256);
        }
    vitx_image_free(png);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__alpha_mixes_picture_and_map)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.layout = VITX_LAYOUT_MAP;
    vitx_image *colours = draw(map, image, &opts);
    opts.layout = VITX_LAYOUT_OVERLAY;
    opts.alpha = 0.25f;
    vitx_image *png = draw(map, image, &opts);
    for (int y = 0; y < 40; y++)
        for (int x = 10; x < 50; x++)
            for (int c = 0; c < 3; c++) {
                const double want = 0.75 * pixel(image, x, y)[c] + 0.25 * pixel(colours, x, y)[c];
                ck_assert_double_eq_tol(pixel(png, x, y)[c], want, 1);
            }
    vitx_image_free(png);
    vitx_image_free(colours);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* The map's highest cell lies where vitx_map_to_picture says. */
START_TEST(test_png__the_map_lies_where_the_model_saw_it)
{
    vitx_map *map = make_grid_map(), *there;
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.layout = VITX_LAYOUT_MAP;
    opts.colormap = "grey";
    for (size_t i = 0; i < map->count; i++)
        map->values[i] = i == 6 ? 2 : 0;
    ck_ok(vitx_map_to_picture(&there, map));
    vitx_image *png = draw(map, NULL, &opts);
    for (int y = 0; y < 40; y++)
        for (int x = 10; x < 50; x++)
            ck_assert_double_eq_tol(pixel(png, x, y)[0],
                                    (double)there->values[y * 60 + x] / 2 * 255, 1.5);
    vitx_image_free(png);
    vitx_map_free(there);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__input_frame_shows_what_the_model_saw)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    uint8_t want[32 * 32 * 3];
    opts.frame = VITX_FRAME_INPUT;
    opts.alpha = 0;
    vitx_image *png = draw(map, image, &opts);
    ck_ok(vx_preprocess_u8(want, image, &middle, &map->hooks));
    ck_assert_int_eq(vitx_image_width(png), 32);
    ck_assert_int_eq(vitx_image_height(png), 32);
    ck_assert_mem_eq(vitx_image_pixels(png), want, sizeof want);
    vitx_image_free(png);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

static int keep(const void *data, size_t bytes, void *payload)
{
    return vx_buffer_append(payload, data, bytes);
}

START_TEST(test_png__side_has_the_picture_on_its_left)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    vitx_image *overlay = draw(map, image, &opts);
    opts.layout = VITX_LAYOUT_SIDE;
    vitx_image *png = draw(map, image, &opts);
    const int w = vitx_image_width(png);
    ck_assert_int_gt(w, 120);
    ck_assert_int_eq(vitx_image_height(png), 40);
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 60; x++) {
            ck_assert_int_eq(difference(pixel(png, x, y), pixel(image, x, y)), 0);
            ck_assert_int_eq(difference(pixel(png, w - 60 + x, y), pixel(overlay, x, y)), 0);
        }
    vitx_image_free(png);
    vitx_image_free(overlay);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__colour_bar_runs_from_low_to_high)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.colorbar = 1;
    opts.colormap = "grey";
    opts.layout = VITX_LAYOUT_MAP;
    vitx_image *png = draw(map, image, &opts);
    const int w = vitx_image_width(png);
    ck_assert_int_eq(vitx_image_height(png), 40 + 26);
    ck_assert_int_le(pixel(png, 3, 40 + 8)[0], 4);
    ck_assert_int_ge(pixel(png, w - 4, 40 + 8)[0], 251);
    for (int x = 4; x < w - 4; x++)
        ck_assert_int_ge(pixel(png, x, 40 + 8)[0], pixel(png, x - 1, 40 + 8)[0]);
    int dark = 0; /* the numbers */
    for (int x = 0; x < w; x++)
        for (int y = 40 + 15; y < 40 + 26; y++)
            dark += pixel(png, x, y)[0] < 100;
    ck_assert_int_gt(dark, 30);
    vitx_image_free(png);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* Over a picture the bar has the colours that the overlay has where the picture is its mean. */
START_TEST(test_png__colour_bar_is_blended_as_the_overlay_is)
{
    vitx_map *map = make_grid_map();
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    uint8_t rgb[60 * 40 * 3];
    vitx_image *image;
    for (int i = 0; i < 60 * 40; i++) /* columns of 40 and 240, seen as often: 140 */
        memset(rgb + 3 * i, i % 2 ? 40 : 240, 3);
    ck_ok(vitx_image_from_rgb(&image, rgb, 60, 40, 0, NULL));
    opts.colorbar = 1;
    opts.colormap = "grey";
    for (int a = 0; a <= 4; a++) {
        opts.alpha = (float)a / 4;
        vitx_image *png = draw(map, image, &opts);
        const int w = vitx_image_width(png);
        ck_assert_int_le(abs(pixel(png, 3, 40 + 8)[0] - 140 * (4 - a) / 4), 4);
        ck_assert_int_le(abs(pixel(png, w - 4, 40 + 8)[0] - (140 * (4 - a) + 255 * a) / 4), 4);
        vitx_image_free(png);
    }
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* Dark pixels of the numbers under the bar: of the left half, and of the right one. */
static void bar_ink(int ink[2], const vitx_map *map, const vitx_render_opts *opts)
{
    vitx_image *png = draw(map, NULL, opts);
    const int w = vitx_image_width(png);
    ink[0] = ink[1] = 0;
    for (int x = 0; x < w; x++)
        for (int y = 40 + 15; y < 40 + 26; y++)
            ink[2 * x >= w] += pixel(png, x, y)[0] < 100;
    vitx_image_free(png);
}

START_TEST(test_png__colour_bar_marks_values_beyond_its_ends)
{
    vitx_map *maps[2] = {make_grid_map(), make_grid_map()};
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    int beyond[2], within[2];
    opts.colorbar = 1;
    opts.layout = VITX_LAYOUT_MAP;
    opts.scale = VITX_SCALE_RANGE;
    opts.low = 0;
    opts.high = 0.5f;
    for (size_t i = 0; i < maps[1]->count; i++)
        maps[1]->values[i] = fminf(fmaxf(maps[1]->values[i], 0), 0.5f);
    vx_map_finish(maps[1]);
    bar_ink(beyond, maps[0], &opts);
    bar_ink(within, maps[1], &opts);
    ck_assert_int_gt(beyond[0], within[0] + 8);
    ck_assert_int_gt(beyond[1], within[1] + 8);
    opts.low = -2;
    opts.high = 2;
    bar_ink(beyond, maps[0], &opts);
    bar_ink(within, maps[1], &opts);
    ck_assert_mem_eq(beyond, within, sizeof beyond);
    vitx_map_free(maps[0]);
    vitx_map_free(maps[1]);
}
END_TEST

/* Each of 4 x 4 patches is one square of 8 x 8 pixels, in the colour of its value. */
START_TEST(test_png__nearest_draws_squares)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.colormap = "grey";
    opts.layout = VITX_LAYOUT_MAP;
    opts.frame = VITX_FRAME_INPUT;
    opts.scale = VITX_SCALE_RANGE;
    opts.high = 1;
    for (int squares = 0; squares < 2; squares++) {
        int differ = 0;
        opts.interpolation = (vitx_interpolation)squares;
        vitx_image *png = draw(map, image, &opts);
        ck_assert_int_eq(vitx_image_width(png), 32);
        for (int i = 0; i < 32 * 32; i++) {
            const float v = map->values[i / 32 / 8 * 4 + i % 32 / 8];
            const int want = (int)(fmaxf(v, 0) * 255 + 0.5f);
            differ += abs(pixel(png, i % 32, i / 32)[0] - want) > 1;
        }
        ck_assert_msg(squares ? differ == 0 : differ > 500, "%d pixels differ", differ);
        vitx_image_free(png);
    }
    opts.interpolation = (vitx_interpolation)2;
    ck_fails(vitx_render(map, image, "x.png", &opts), VITX_INVALID, "interpolation 2 is none of");
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* What is drawn when nothing is chosen, and what would have to be chosen for the same. */
static void check_automatic(const vitx_map *map, vitx_scale scale, const char *colormap,
                            vitx_underlay underlay, float alpha)
{
    vitx_image *image = make_image(60, 40);
    for (int layout = 0; layout < 3; layout++) {
        vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
        opts.layout = (vitx_layout)layout;
        opts.colorbar = 1;
        vitx_image *got = draw(map, image, &opts);
        opts.scale = scale;
        opts.colormap = colormap;
        opts.underlay = underlay;
        opts.alpha = alpha;
        vitx_image *want = draw(map, image, &opts);
        const size_t bytes = 3 * (size_t)vitx_image_width(want) * (size_t)vitx_image_height(want);
        ck_assert_int_eq(vitx_image_width(got), vitx_image_width(want));
        ck_assert_int_eq(vitx_image_height(got), vitx_image_height(want));
        ck_assert_mem_eq(vitx_image_pixels(got), vitx_image_pixels(want), bytes);
        vitx_image_free(got);
        vitx_image_free(want);
    }
    vitx_image_free(image);
}

START_TEST(test_png__automatic_options_suit_the_map)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *grid = make_grid_map(), *pixels, *resized;
    vitx_map_info info = grid->info;
    info.shape[0] = info.shape[1] = 32;
    ck_ok(vx_map_create(&pixels, &info, &middle, &hooks));
    for (size_t i = 0; i < pixels->count; i++)
        pixels->values[i] = (float)(i % 7) - 2 + (i == 40 ? 50 : 0);
    vx_map_finish(pixels);
    ck_ok(vitx_map_resize(&resized, grid, 32, 32));
    check_automatic(grid, VITX_SCALE_MAX, "inferno", VITX_UNDERLAY_PHOTO, 0.5f);
    check_automatic(resized, VITX_SCALE_MAX, "inferno", VITX_UNDERLAY_PHOTO, 0.5f);
    check_automatic(pixels, VITX_SCALE_P99, "inferno", VITX_UNDERLAY_PHOTO, 0.5f);
    grid->info.is_signed = pixels->info.is_signed = resized->info.is_signed = 1;
    check_automatic(grid, VITX_SCALE_SIGNED, "coolwarm", VITX_UNDERLAY_GREY, 0.8f);
    check_automatic(resized, VITX_SCALE_SIGNED, "coolwarm", VITX_UNDERLAY_GREY, 0.8f);
    check_automatic(pixels, VITX_SCALE_SIGNED_P99, "coolwarm", VITX_UNDERLAY_GREY, 0.8f);
    /* A high floor would make everything look hot, on the grid as on the pixels. */
    grid->info.is_signed = 0;
    for (size_t i = 0; i < grid->count; i++)
        grid->values[i] = 0.6f + 0.4f * (float)i / (float)grid->count;
    vx_map_finish(grid);
    check_automatic(grid, VITX_SCALE_MINMAX, "inferno", VITX_UNDERLAY_PHOTO, 0.5f);
    vitx_map_free(resized);
    vitx_map_free(pixels);
    vitx_map_free(grid);
}
END_TEST

/* On a picture of the colour map's middle colour a signed overlay with alpha 1 is the map alone,
 * but where a colour strong enough for that would lie outside 0..255. */
START_TEST(test_png__signed_overlay_is_the_colour_map_on_its_middle_colour)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(2, (const int64_t[]){32, 32}, &hooks);
    static const char *const names[] = {"coolwarm", "rdbu"};
    const uint8_t mid[2][3] = {{221, 221, 221}, {247, 247, 246}};
    for (int i = 0; i < 2; i++) {
        uint8_t rgb[60 * 40 * 3];
        vitx_image *plain;
        vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
        for (int k = 0; k < 60 * 40; k++)
            memcpy(rgb + 3 * k, mid[i], 3);
        ck_ok(vitx_image_from_rgb(&plain, rgb, 60, 40, 0, NULL));
        opts.scale = VITX_SCALE_SIGNED;
        opts.colormap = names[i];
        opts.frame = VITX_FRAME_INPUT;
        opts.alpha = 1;
        opts.underlay = VITX_UNDERLAY_PHOTO;
        vitx_image *overlay = draw(map, plain, &opts);
        opts.layout = VITX_LAYOUT_MAP;
        vitx_image *alone = draw(map, NULL, &opts);
        int compared = 0;
        for (int k = 0; k < 32 * 32; k++) {
            const uint8_t *want = pixel(alone, k % 32, k / 32),
                          *got = pixel(overlay, k % 32, k / 32);
            const double part = fabs((double)map->values[k]) / (double)map->info.max;
            for (int c = 0; c < 3; c++) {
                const double full = mid[i][c] + (want[c] - mid[i][c]) / part;
                if (full < 0 || full > 255)
                    continue;
                ck_assert_int_le(abs(got[c] - want[c]), 2);
                compared++;
            }
        }
        ck_assert_int_gt(compared, 32 * 32);
        vitx_image_free(alone);
        vitx_image_free(overlay);
        vitx_image_free(plain);
    }
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__signed_overlay_leaves_the_picture_where_the_map_is_0)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    map->info.is_signed = 1;
    opts.underlay = VITX_UNDERLAY_PHOTO;
    for (size_t i = 0; i < map->count; i++)
        map->values[i] = i % 4 == 0 ? 1 : i % 4 == 3 ? -2 : 0; /* by columns: +, 0, 0, - */
    vitx_image *png = draw(map, image, &opts);
    for (int y = 0; y < 40; y++) {
        uint8_t want[3];
        for (int x = 26; x < 34; x++) /* between the two columns of zeroes */
            ck_assert_int_eq(difference(pixel(png, x, y), pixel(image, x, y)), 0);
        vx_colormap_rgb(want, vx_colormap_find("coolwarm"), 0); /* -2 is the largest magnitude */
        for (int c = 0; c < 3; c++)
            ck_assert_double_eq_tol(pixel(png, 49, y)[c],
                                    0.2 * pixel(image, 49, y)[c] + 0.8 * want[c], 1.5);
        /* half of it: 0.4 of the weight, and red */
        for (int c = 0; c < 3; c++) {
            const int least = (int)(0.6 * pixel(image, 10, y)[c]);
            ck_assert_int_ge(pixel(png, 10, y)[c], least - 1);
            ck_assert_int_le(pixel(png, 10, y)[c], least + 1 + (int)(0.4 * 255));
        }
        ck_assert_int_ge(pixel(png, 10, y)[0] - (int)(0.6 * pixel(image, 10, y)[0]), 90);
        ck_assert_int_le(pixel(png, 10, y)[2] - (int)(0.6 * pixel(image, 10, y)[2]), 40);
    }
    vitx_image_free(png);
    for (size_t i = 0; i < map->count; i++)
        map->values[i] = 0;
    png = draw(map, image, &opts);
    for (int y = 0; y < 40; y++)
        for (int x = 10; x < 50; x++)
            ck_assert_int_eq(difference(pixel(png, x, y), pixel(image, x, y)), 0);
    vitx_image_free(png);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__underlays)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.scale = VITX_SCALE_SIGNED;
    opts.underlay = VITX_UNDERLAY_NONE;
    vitx_image *none = draw(map, image, &opts);
    opts.layout = VITX_LAYOUT_MAP;
    vitx_image *alone = draw(map, image, &opts);
    ck_assert_mem_eq(vitx_image_pixels(none), vitx_image_pixels(alone), 60 * 40 * 3);
    opts.layout = VITX_LAYOUT_SIDE;
    vitx_image *side = draw(map, image, &opts);
    const int at = vitx_image_width(side) - 60;
    opts.layout = VITX_LAYOUT_OVERLAY;
    opts.underlay = VITX_UNDERLAY_GREY;
    opts.alpha = 0;
    vitx_image *grey = draw(map, image, &opts);
    for (int y = 4; y < 36; y++) /* what the model saw */
        for (int x = 14; x < 46; x++) {
            const uint8_t *p = pixel(image, x, y), *g = pixel(grey, x, y);
            const double light = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            ck_assert_int_eq(difference(pixel(side, x, y), p), 0);
            ck_assert_int_eq(difference(pixel(side, at + x, y), pixel(none, x, y)), 0);
            ck_assert(g[0] == g[1] && g[1] == g[2]);
            ck_assert_double_eq_tol(g[0], 96 + light * (255 - 96) / 255, 2);
        }
    opts.underlay = (vitx_underlay)4;
    ck_fails(vitx_render_write(map, image, keep, NULL, &opts), VITX_INVALID, "no format");
    opts.format = "png";
    ck_fails(vitx_render_write(map, image, keep, NULL, &opts), VITX_INVALID, "underlay 4");
    vitx_image_free(grey);
    vitx_image_free(side);
    vitx_image_free(alone);
    vitx_image_free(none);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__signed_colour_bar_has_its_0_in_the_middle)
{
    vitx_map *map = make_grid_map();
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.colorbar = 1;
    opts.layout = VITX_LAYOUT_MAP;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        opts.scale = is_signed ? VITX_SCALE_SIGNED : VITX_SCALE_MAX;
        vitx_image *png = draw(map, NULL, &opts);
        const int w = vitx_image_width(png);
        int dark = 0;
        for (int x = w / 2 - 3; x < w / 2 + 3; x++)
            for (int y = 40 + 15; y < 40 + 26; y++)
                dark += pixel(png, x, y)[0] < 100;
        ck_assert_msg(is_signed ? dark > 10 : dark == 0, "%d dark pixels", dark);
        const uint8_t *zero = pixel(png, w / 2, 40 + 8);
        if (is_signed)
            ck_assert_int_le(abs(zero[0] - zero[2]), 8);
        vitx_image_free(png);
    }
    vitx_map_free(map);
}
END_TEST

/* Layers are columns, heads rows; each tile is what its own layer and head would give. */
START_TEST(test_png__sheet_has_a_tile_for_each_layer_and_head)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(4, (const int64_t[]){2, 3, 4, 4}, &hooks);
    vitx_image *image = make_image(240, 160);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    map->info.layer = map->info.head = VITX_ALL;
    map->info.picture_width = 240;
    map->info.picture_height = 160;
    map->placement.scale_x = map->placement.scale_y = 4;
    vitx_image *sheet = draw(map, image, &opts);
    const int cell_w = 240 + 12, cell_h = 12 + 160 + 12;
    const int top = vitx_image_height(sheet) - 3 * cell_h;
    ck_assert_int_eq(vitx_image_width(sheet), 2 * cell_w + 12);
    ck_assert_int_gt(top, 40);
    for (int i = 0; i < 6; i++) {
        vitx_map *one = make_map(2, (const int64_t[]){4, 4}, &hooks);
        memcpy(one->values, map->values + 16 * i, 16 * sizeof(float));
        one->info.picture_width = 240;
        one->info.picture_height = 160;
        one->placement = map->placement;
        vitx_image *tile = draw(one, image, &opts);
        const int x0 = 12 + i / 3 * cell_w, y0 = top + i % 3 * cell_h + 12;
        for (int y = 0; y < 160; y++)
            for (int x = 0; x < 240; x++)
                ck_assert_int_eq(difference(pixel(sheet, x0 + x, y0 + y), pixel(tile, x, y)), 0);
        vitx_image_free(tile);
        vitx_map_free(one);
    }
    vitx_image_free(sheet);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__sheet_of_one_axis_is_about_square)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(3, (const int64_t[]){12, 4, 4}, &hooks);
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.layout = VITX_LAYOUT_MAP;
    map->info.layer = VITX_ALL;
    vitx_image *sheet = draw(map, NULL, &opts);
    const double ratio = (double)vitx_image_width(sheet) / vitx_image_height(sheet);
    ck_assert_msg(ratio > 0.6 && ratio < 1.7, "%d x %d", vitx_image_width(sheet),
                  vitx_image_height(sheet));
    vitx_image_free(sheet);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__large_pictures_become_small_tiles)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(3, (const int64_t[]){2, 4, 4}, &hooks);
    vitx_image *image = make_image(1200, 800);
    map->info.picture_width = 1200;
    map->info.picture_height = 800;
    map->placement.scale_x = map->placement.scale_y = 25;
    vitx_image *sheet = draw(map, image, &(vitx_render_opts)VITX_RENDER_OPTS_INIT);
    ck_assert_int_lt(vitx_image_width(sheet), 700);
    ck_assert_int_lt(vitx_image_height(sheet), 500);
    vitx_image_free(sheet);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

START_TEST(test_png__absurd_sheets_are_refused)
{
    const vitx_hooks hooks = plain_hooks();
    vitx_map *map = make_map(4, (const int64_t[]){80, 80, 1, 1}, &hooks);
    struct sink sink = {0};
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.format = "png";
    opts.layout = VITX_LAYOUT_MAP;
    map->info.picture_width = map->info.picture_height = 256;
    ck_fails(vitx_render_write(map, NULL, collect, &sink, &opts), VITX_UNSUPPORTED,
             "at most 268435456 pixels");
    vitx_map_free(map);
}
END_TEST

/* ------------------------------------------------------------------ every format ----------- */

START_TEST(test_render__wrong_options_are_named)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40), *other = make_image(40, 60);
    vitx_render_opts o;
    struct sink sink = {0};
    ck_fails(vitx_render(map, image, "x.gif", NULL), VITX_INVALID,
             "x.gif: the ending of the name is of no known format; there are png, npy, json");
    ck_fails(vitx_render(map, image, "png", NULL), VITX_INVALID, "png, npy, json");
    ck_fails(vitx_render(map, image, "a.png/b", NULL), VITX_INVALID, "png, npy, json");
    ck_fails(vitx_render(map, NULL, "x.png", NULL), VITX_INVALID, "needs the picture");
    ck_fails(vitx_render(map, other, "x.png", NULL), VITX_INVALID, "40 x 60");
    ck_fails(vitx_render(NULL, image, "x.png", NULL), VITX_INVALID, "map");
    ck_fails(vitx_render(map, image, NULL, NULL), VITX_INVALID, "path");
    ck_fails(vitx_render_write(map, image, collect, &sink, NULL), VITX_INVALID, "png, npy, json");
    vitx_render_opts_init(&o, sizeof o);
    o.format = "png";
    ck_fails(vitx_render_write(map, image, NULL, NULL, &o), VITX_INVALID, "write");
    vitx_image *none = (vitx_image *)&sink;
    ck_fails(vitx_render_image(&none, NULL, image, NULL), VITX_INVALID, "map is NULL");
    ck_assert_ptr_null(none);
    ck_fails(vitx_render_image(NULL, map, image, NULL), VITX_INVALID, "out is NULL");
    ck_fails(vitx_render_image(&none, map, NULL, NULL), VITX_INVALID, "needs the picture");
    o.colormap = "plasma";
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID,
             "turbo, viridis, inferno, jet, grey, coolwarm, rdbu, cividis");
    o.colormap = NULL;
    o.format = "html";
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "\"html\"");
    o.format = "png";
    static const float alphas[] = {-0.1f, 1.1f, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        o.alpha = alphas[i];
        ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "alpha");
    }
    o.alpha = 1;
    static const float smooths[] = {-0.1f, 257, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        o.smooth = smooths[i];
        ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "smooth");
    }
    o.smooth = 0;
    o.layout = (vitx_layout)3;
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "layout");
    o.layout = VITX_LAYOUT_MAP;
    o.scale = (vitx_scale)6;
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "scale");
    o.scale = VITX_SCALE_MAX;
    o.frame = (vitx_frame)2;
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "frame");
    o.struct_size = 3;
    ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_INVALID, "struct_size");
    ck_assert_uint_eq(sink.size, 0);
    vitx_image_free(other);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* Weights 1/4, 1/2, 1/4 (radius 1, and a sigma that gives them) by hand, edges both ways. */
/* Every width about a step of the filters' loops; rows that call for each of the filters. */
START_TEST(test_png__gives_back_every_pixel)
{
    static const int widths[] = {1, 2, 3, 4, 5, 6, 10, 11, 16, 17, 31, 64, 341, 5000};
    vitx_hooks hooks;
    rng r = {77};
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        const int height = 1 + (int)i * 3;
        vx_canvas canvas;
        vx_buffer out = {.hooks = &hooks};
        vx_sink sink = vx_sink_buffer(&out);
        vitx_image *image;
        ck_ok(vx_canvas_create(&canvas, widths[i], height, &hooks));
        for (int y = 0; y < height; y++) {
            uint8_t *row = vx_canvas_row(&canvas, 0, y);
            const uint8_t *above = y ? vx_canvas_row(&canvas, 0, y - 1) : row;
            const int kind = rng_int(&r, 0, 5);
            for (int k = 0; k < 3 * widths[i]; k++)
                row[k] = (uint8_t)(kind == 0   ? rng_int(&r, 0, 255)
                                   : kind == 1 ? k
                                   : kind == 2 ? above[k]
                                   : kind == 3 ? (above[k] + (k > 2 ? row[k - 3] : 0)) / 2
                                   : kind == 4 ? above[k] + k
                                               : 255);
        }
        ck_ok(vx_canvas_png(&sink, &canvas, NULL));
        ck_ok(vitx_image_open_memory(&image, out.data, out.size, "canvas", NULL));
        ck_assert_int_eq(vitx_image_width(image), widths[i]);
        ck_assert_int_eq(vitx_image_height(image), height);
        ck_assert_mem_eq(vitx_image_pixels(image), canvas.pixels, (size_t)(3 * widths[i] * height));
        vitx_image_free(image);
        vx_buffer_dispose(&out);
        vx_canvas_dispose(&canvas);
    }
}
END_TEST

START_TEST(test_canvas__a_character_the_font_lacks_is_one_box)
{
    static const uint8_t ink[3] = {0};
    const char *texts[] = {"\xe9\xb1\xbc/\xc3\xa9 7", "$/$ 7"}; /* a fish, an e with an accent */
    const vitx_hooks hooks = plain_hooks();
    vx_canvas canvas[2] = {0};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(vx_text_width(texts[i], 2), (5 * VX_TEXT_WIDTH - 1) * 2);
        ck_ok(vx_canvas_create(&canvas[i], 5 * VX_TEXT_WIDTH, VX_TEXT_HEIGHT, &hooks));
        vx_canvas_text(&canvas[i], 0, 0, texts[i], 1, ink);
    }
    ck_assert_int_lt(vx_canvas_row(&canvas[0], 0, 0)[0], 64);
    ck_assert_mem_eq(canvas[0].pixels, canvas[1].pixels,
                     (size_t)3 * canvas[0].width * canvas[0].height);
    for (int i = 0; i < 2; i++)
        vx_canvas_dispose(&canvas[i]);
}
END_TEST

START_TEST(test_blur__by_hand)
{
    const double sigma = sqrt(1 / (2 * log(2.0)));
    const float row[4] = {8, 0, 4, 16};
    static const float clamped[4] = {6, 3, 6, 13}, reflected[4] = {4, 3, 6, 10};
    vitx_hooks hooks;
    float out[8], impulse[7 * 9] = {0}, wide[7 * 9], sum = 0;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_blur(out, row, 1, 1, 4, sigma, 1, false, &hooks));
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq_tol(out[i], clamped[i], 1e-6);
    memcpy(out, row, sizeof row); /* two columns of one plane each, in place */
    memcpy(out + 4, row, sizeof row);
    ck_ok(vx_blur(out, out, 2, 4, 1, sigma, 1, true, &hooks));
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq_tol(out[i], reflected[i % 4], 1e-6);
    impulse[3 * 9 + 4] = 1;
    ck_ok(vx_blur(wide, impulse, 1, 7, 9, 0.75, vx_blur_radius(0.75), false, &hooks));
    for (int i = 0; i < 7 * 9; i++) {
        sum += wide[i];
        ck_assert_double_eq_tol(wide[i], wide[7 * 9 - 1 - i], 1e-7);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    ck_assert_double_eq_tol(wide[3 * 9 + 5] / wide[3 * 9 + 4], exp(-0.5 / (0.75 * 0.75)), 1e-6);
    for (int radius = 0; radius < 2; radius++) { /* a sigma whose square is 0 changes nothing */
        ck_ok(vx_blur(out, row, 1, 1, 4, 1e-200, radius, false, &hooks));
        for (int i = 0; i < 4; i++)
            ck_assert_double_eq(out[i], row[i]);
    }
}
END_TEST

START_TEST(test_render__every_format_through_file_and_function)
{
    vitx_map *map = make_grid_map();
    vitx_image *image = make_image(60, 40);
    char *folder = make_folder(), path[128];
    for (int i = 0; vitx_format_name(i); i++) {
        vitx_render_opts o = VITX_RENDER_OPTS_INIT;
        struct sink sink = {0};
        size_t bytes;
        snprintf(path, sizeof path, "%s/map.%s", folder, vitx_format_name(i));
        ck_ok(vitx_render(map, image, path, NULL));
        o.format = vitx_format_name(i);
        ck_ok(vitx_render_write(map, image, collect, &sink, &o));
        char *file = read_file(path, &bytes);
        ck_assert_uint_eq(bytes, sink.size);
        ck_assert_mem_eq(file, sink.data, bytes);
        free(file);
        free(sink.data);
        sink = (struct sink){.stop_at = 1};
        ck_fails(vitx_render_write(map, image, collect, &sink, &o), VITX_IO, "the writer stopped");
        snprintf(path, sizeof path, "%s/missing/map.%s", folder, vitx_format_name(i));
        ck_fails(vitx_render(map, image, path, NULL), VITX_IO, path);
    }
    snprintf(path, sizeof path, "%s/UPPER.PNG", folder);
    ck_ok(vitx_render(map, image, path, NULL));
    remove_folder(folder);
    free(folder);
    vitx_image_free(image);
    vitx_map_free(map);
}
END_TEST

/* Whichever allocation fails: VITX_NOMEM, nothing leaked, and the map is as good as before. */
START_TEST(test_render__survives_every_failing_allocation)
{
    struct meter meter = {0};
    const vitx_hooks hooks = metered(&meter);
    vitx_map *map = make_map(3, (const int64_t[]){2, 4, 4}, &hooks);
    vitx_image *image = make_image(600, 400);
    map->info.picture_width = 600;
    map->info.picture_height = 400;
    map->info.layer = VITX_ALL;
    map->placement.scale_x = map->placement.scale_y = 12.5;
    const int before = meter.live;
    for (int i = 0; vitx_format_name(i); i++)
        for (int frame = 0; frame < 2; frame++) {
            int status = VITX_NOMEM;
            for (int fail = 1; status != VITX_OK; fail++) {
                vitx_render_opts o = VITX_RENDER_OPTS_INIT;
                struct sink sink = {0};
                o.format = vitx_format_name(i);
                o.frame = (vitx_frame)frame;
                o.scale = VITX_SCALE_P99;
                meter.count = 0;
                meter.fail_at = fail;
                status = vitx_render_write(map, image, collect, &sink, &o);
                ck_assert(status == VITX_OK || status == VITX_NOMEM);
                ck_assert_int_eq(meter.live, before);
                ck_assert_int_lt(fail, 1000);
                free(sink.data);
            }
        }
    vitx_image_free(image);
    meter.fail_at = 0;
    vitx_map_free(map);
    ck_assert_int_eq(meter.live, 0);
}
END_TEST

/* ------------------------------------------------------------------ plots ------------------ */

static const double plot_x[] = {0, 0.5, 1}, plot_flat[] = {1, 1, 1}, plot_falling[] = {1, 0.25, 0};

static vitx_plot_opts plot_opts(const char *format)
{
    vitx_plot_opts o = VITX_PLOT_OPTS_INIT;
    o.format = format;
    o.title = "two curves";
    o.x_label = "share";
    return o;
}

/* Pixels of exactly that colour in rows y0..y1-1. */
static int count_colour(const vitx_image *image, int y0, int y1, const uint8_t rgb[3])
{
    const int width = vitx_image_width(image);
    const uint8_t *p = vitx_image_pixels(image) + (size_t)y0 * (size_t)width * 3;
    int n = 0;
    for (int i = 0; i < (y1 - y0) * width; i++, p += 3)
        n += memcmp(p, rgb, 3) == 0;
    return n;
}

START_TEST(test_plot__png_has_a_line_where_the_curve_is)
{
    static const uint8_t first[3] = {31, 119, 180}, second[3] = {220, 80, 20};
    const vitx_curve curves[] = {{"flat", plot_x, plot_flat, 3, 0},
                                 {"falling", plot_x, plot_falling, 3, 0}};
    const vitx_plot_opts o = plot_opts(NULL);
    char *folder = make_folder(), path[256];
    vitx_image *image;
    snprintf(path, sizeof path, "%s/plot.PNG", folder);
    ck_ok(vitx_plot(curves, 2, path, &o));
    ck_ok(vitx_image_open(&image, path));
    const int height = vitx_image_height(image), width = vitx_image_width(image);
    ck_assert_int_gt(width, 900);
    ck_assert_int_gt(height, 560);
    /* The flat curve is a line of 872 pixels near the top, and a sample of 40 in the legend. */
    const int blue = count_colour(image, 0, height, first);
    ck_assert_int_ge(blue, 910);
    ck_assert_int_eq(count_colour(image, 0, height / 4, first), blue);
    /* The other one goes all the way down. */
    for (int y = 120; y < 600; y += 60)
        ck_assert_int_gt(count_colour(image, y, y + 60, second), 40);
    vitx_image_free(image);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_plot__png_of_odd_curves)
{
    static const double far[] = {-1e30, 1e30}, one[] = {0.5}, same[] = {3, 3},
                        near[] = {1e17, 1e17 + 32};
    const vitx_curve curves[] = {{"far", same, far, 2, 0}, {"a point", one, one, 1, 0}};
    const vitx_curve close = {"close together", near, same, 2, 0};
    const vitx_curve point = {"", one, one, 1, 0};
    const vitx_plot_opts o = plot_opts("png");
    vx_buffer out = {.hooks = NULL};
    vitx_hooks hooks = plain_hooks();
    out.hooks = &hooks;
    ck_ok(vitx_plot_write(curves, 2, keep, &out, &o));
    ck_assert_uint_gt(out.size, 1000);
    ck_ok(vitx_plot_write(&point, 1, keep, &out, &o));
    ck_ok(vitx_plot_write(&close, 1, keep, &out, &o));
    vx_buffer_dispose(&out);
}
END_TEST

/* Curves of one style share a colour, and what others are compared with is grey. */
START_TEST(test_plot__styles)
{
    vitx_curve curves[] = {{"a", plot_x, plot_flat, 3, 2},
                           {"b", plot_x, plot_falling, 3, 2},
                           {"blind", plot_x, plot_falling, 3, VITX_CURVE_GREY}};
    const vitx_plot_opts o = plot_opts("png");
    vitx_hooks hooks = plain_hooks();
    vx_buffer out = {.hooks = &hooks};
    vitx_image *image;
    ck_ok(vitx_plot_write(curves, 3, keep, &out, &o));
    ck_ok(vitx_image_open_memory(&image, out.data, out.size, NULL, NULL));
    const int height = vitx_image_height(image);
    ck_assert_int_gt(count_colour(image, 0, height, (const uint8_t[3]){220, 80, 20}), 1500);
    ck_assert_int_eq(count_colour(image, 0, height, (const uint8_t[3]){31, 119, 180}), 0);
    ck_assert_int_gt(count_colour(image, 0, height, (const uint8_t[3]){130, 130, 130}), 20);
    curves[0].style = -2;
    ck_fails(vitx_plot_write(curves, 3, keep, &out, &o), VITX_INVALID, "style -2");
    vitx_image_free(image);
    vx_buffer_dispose(&out);
}
END_TEST

START_TEST(test_plot__many_curves_are_dashed)
{
    vitx_curve curves[25];
    const vitx_plot_opts o = plot_opts("png");
    vitx_hooks hooks = plain_hooks();
    vx_buffer out = {.hooks = &hooks};
    for (int i = 0; i < 25; i++)
        curves[i] = (vitx_curve){"curve", plot_x, i == 10 ? plot_flat : plot_falling, 3, 0};
    ck_ok(vitx_plot_write(curves, 25, keep, &out, &o));
    vitx_image *image;
    ck_ok(vitx_image_open_memory(&image, out.data, out.size, NULL, NULL));
    /* Half of the flat line and of its sample; and the first curve's sample. */
    const int blue = count_colour(image, 0, 120, (const uint8_t[3]){31, 119, 180});
    ck_assert_int_gt(blue, 300);
    ck_assert_int_lt(blue, 2000);
    vitx_image_free(image);
    vx_buffer_dispose(&out);
}
END_TEST

START_TEST(test_plot__npy_holds_x_and_the_curves)
{
    const vitx_curve curves[] = {{"flat", plot_x, plot_flat, 3, 0},
                                 {"falling", plot_x, plot_falling, 3, 0}};
    char *folder = make_folder(), path[256];
    snprintf(path, sizeof path, "%s/plot.npy", folder);
    ck_ok(vitx_plot(curves, 2, path, NULL));
    npy a = read_npy(path);
    ck_assert_int_eq(a.rank, 2);
    ck_assert_uint_eq(a.shape[0], 3);
    ck_assert_uint_eq(a.shape[1], 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq(a.data[i], plot_x[i]);
        ck_assert_double_eq(a.data[3 + i], plot_flat[i]);
        ck_assert_double_eq(a.data[6 + i], plot_falling[i]);
    }
    free_npy(&a);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_plot__refuses)
{
    const double nan[] = {0, NAN, 1}, other[] = {0, 0.6, 1};
    vitx_curve curves[] = {{"flat", plot_x, plot_flat, 3, 0}, {"other", other, plot_falling, 3, 0}};
    vitx_plot_opts o = plot_opts("npy");
    vitx_hooks hooks = plain_hooks();
    vx_buffer out = {.hooks = &hooks};
    ck_fails(vitx_plot_write(curves, 2, keep, &out, &o), VITX_INVALID, "do not share their x");
    curves[1].count = 2;
    ck_fails(vitx_plot_write(curves, 2, keep, &out, &o), VITX_INVALID, "do not share their x");
    curves[1] = (vitx_curve){"broken", plot_x, nan, 3, 0};
    ck_fails(vitx_plot_write(curves, 2, keep, &out, &o), VITX_INVALID,
             "curve \"broken\": point 1 is not finite");
    curves[1].count = 0;
    ck_fails(vitx_plot_write(curves, 2, keep, &out, &o), VITX_INVALID, "curve 1 of 2");
    ck_fails(vitx_plot_write(curves, 0, keep, &out, &o), VITX_INVALID, "0 curves");
    ck_fails(vitx_plot_write(NULL, 1, keep, &out, &o), VITX_INVALID, "0 curves");
    ck_fails(vitx_plot_write(curves, 1, NULL, &out, &o), VITX_INVALID, "NULL");
    ck_fails(vitx_plot(curves, 1, "x.json", NULL), VITX_INVALID, "there are png, npy");
    ck_fails(vitx_plot(curves, 1, "npy", NULL), VITX_INVALID, "there are png, npy");
    o.format = "gif";
    ck_fails(vitx_plot_write(curves, 1, keep, &out, &o), VITX_INVALID, "no format \"gif\"");
    ck_assert_uint_eq(out.size, 0);
    vx_buffer_dispose(&out);
}
END_TEST

START_TEST(test_plot__survives_every_failing_allocation)
{
    const vitx_curve curves[] = {{"flat", plot_x, plot_flat, 3, 0}};
    static const char *const formats[] = {"png", "npy"};
    struct meter meter = {0};
    const vitx_hooks hooks = metered(&meter);
    vitx_plot_opts o = plot_opts(formats[_i]);
    o.hooks = &hooks;
    int status = VITX_NOMEM;
    for (int n = 1; status != VITX_OK; n++) {
        vitx_hooks own = plain_hooks();
        vx_buffer out = {.hooks = &own};
        meter = (struct meter){.fail_at = n};
        status = vitx_plot_write(curves, 1, keep, &out, &o);
        ck_assert(status == VITX_NOMEM || (status == VITX_OK && meter.count < n && n > 1));
        ck_assert_int_eq(meter.live, 0);
        vx_buffer_dispose(&out);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("render");
    TCase *t = tcase_create("colours");
    tcase_add_test(t, test_colormap__matches_matplotlib);
    tcase_add_test(t, test_colormap__names_are_those_promised);
    tcase_add_test(t, test_colormap__diverging_ones_have_a_neutral_middle);
    tcase_add_test(t, test_colormap__is_that_of_the_page);
    tcase_add_test(t, test_colormap__ends_and_nan);
    suite_add_tcase(s, t);
    t = tcase_create("numbers");
    tcase_add_test(t, test_number__is_what_printf_gives);
    tcase_add_test(t, test_number__what_is_not_finite_is_null);
    tcase_add_test(t, test_number__keeps_its_point_in_any_locale);
    tcase_add_test(t, test_scale__each_mode);
    tcase_add_test(t, test_scale__constant_zero_and_negative_maps);
    tcase_add_test(t, test_scale__extremes_and_what_is_not_finite);
    tcase_add_test(t, test_scale__p99_of_few_points_is_the_maximum);
    suite_add_tcase(s, t);
    t = tcase_create("formats");
    tcase_add_test(t, test_npy__holds_the_raw_values);
    tcase_add_test(t, test_json__says_what_the_map_is);
    tcase_add_test(t, test_json__says_what_was_explained);
    tcase_add_test(t, test_json__nests_values_as_the_shape);
    tcase_add_test(t, test_render__wrong_options_are_named);
    tcase_add_test(t, test_render__every_format_through_file_and_function);
    tcase_add_test(t, test_render__survives_every_failing_allocation);
    suite_add_tcase(s, t);
    t = tcase_create("png");
    tcase_add_test(t, test_png__map_alone_shows_each_value);
    tcase_add_test(t, test_png__alpha_0_is_the_picture_where_it_was_seen);
    tcase_add_test(t, test_png__alpha_mixes_picture_and_map);
    tcase_add_test(t, test_png__the_map_lies_where_the_model_saw_it);
    tcase_add_test(t, test_png__input_frame_shows_what_the_model_saw);
    tcase_add_test(t, test_png__side_has_the_picture_on_its_left);
    tcase_add_test(t, test_png__colour_bar_runs_from_low_to_high);
    tcase_add_test(t, test_png__colour_bar_is_blended_as_the_overlay_is);
    tcase_add_test(t, test_png__colour_bar_marks_values_beyond_its_ends);
    tcase_add_test(t, test_png__nearest_draws_squares);
    tcase_add_test(t, test_png__automatic_options_suit_the_map);
    tcase_add_test(t, test_png__signed_overlay_is_the_colour_map_on_its_middle_colour);
    tcase_add_test(t, test_png__signed_overlay_leaves_the_picture_where_the_map_is_0);
    tcase_add_test(t, test_png__underlays);
    tcase_add_test(t, test_png__signed_colour_bar_has_its_0_in_the_middle);
    tcase_add_test(t, test_png__sheet_has_a_tile_for_each_layer_and_head);
    tcase_add_test(t, test_png__sheet_of_one_axis_is_about_square);
    tcase_add_test(t, test_png__large_pictures_become_small_tiles);
    tcase_add_test(t, test_png__absurd_sheets_are_refused);
    tcase_add_test(t, test_png__gives_back_every_pixel);
    tcase_add_test(t, test_canvas__a_character_the_font_lacks_is_one_box);
    tcase_add_test(t, test_blur__by_hand);
    suite_add_tcase(s, t);
    t = tcase_create("plot");
    tcase_add_test(t, test_plot__png_has_a_line_where_the_curve_is);
    tcase_add_test(t, test_plot__png_of_odd_curves);
    tcase_add_test(t, test_plot__many_curves_are_dashed);
    tcase_add_test(t, test_plot__styles);
    tcase_add_test(t, test_plot__npy_holds_x_and_the_curves);
    tcase_add_test(t, test_plot__refuses);
    tcase_add_loop_test(t, test_plot__survives_every_failing_allocation, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
