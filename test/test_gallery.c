/* test_gallery.c: the scripts and the page of a gallery (tools/cli/batch/gallery_sheet.h): they are
 * read back as a browser does, and compared with the pictures and maps that they are made of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "base/json.h"
#include "tools/cli/batch/gallery_sheet.h"
#include "tools/cli/batch/thumbnail.h"
#include "util.h"

#define EVIL "</script><b>\"\\\n\x01\xff\xe2\x80\xae&'.png"

/* ------------------------------------------------------------------ reading back ----------- */

static uint8_t *decode(const char *text, size_t length, size_t *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *out = malloc(length / 4 * 3 + 1);
    ck_assert_uint_eq(length % 4, 0);
    *bytes = 0;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t group = 0;
        int pads = 0;
        for (size_t j = i; j < i + 4; j++) {
            const char *at = strchr(digits, text[j]);
            pads += text[j] == '=';
            ck_assert(at || (text[j] == '=' && j + 2 >= length));
            group = group << 6 | (at ? (uint32_t)(at - digits) : 0);
        }
        for (int b = 0; b < 3 - pads; b++)
            out[(*bytes)++] = (uint8_t)(group >> (16 - 8 * b));
    }
    return out;
}

/* The data of a script: what stands between `before` and ");\n". */
static vx_json *data_of(const struct text *script, const char *before)
{
    vx_json *root;
    const size_t skip = strlen(before);
    ck_assert(!script->failed);
    ck_assert_uint_gt(script->length, skip + 3);
    ck_assert_mem_eq(script->data, before, skip);
    ck_assert_mem_eq(script->data + script->length - 3, ");\n", 3);
    ck_ok(vx_json_parse(&root, script->data + skip, script->length - skip - 3, "a script", 1000));
    return root;
}

static const vx_json *element(const vx_json *array, int index)
{
    const vx_json *node = vx_json_first(array);
    for (; node && index > 0; index--)
        node = vx_json_next(node);
    ck_assert_ptr_nonnull(node);
    return node;
}

static double number_of(const vx_json *node)
{
    double value = NAN;
    ck_assert(vx_json_number(node, &value));
    return value;
}

static const char *text_of(const vx_json *node)
{
    const char *text = vx_json_string(node);
    ck_assert_ptr_nonnull(text);
    return text;
}

/* A JPEG in base64. */
static vitx_image *picture_of(const char *base64)
{
    size_t bytes;
    vitx_image *image;
    uint8_t *file = decode(base64, strlen(base64), &bytes);
    ck_assert_uint_gt(bytes, 100);
    ck_assert(file[0] == 0xff && file[1] == 0xd8);
    ck_ok(vitx_image_open_memory(&image, file, bytes, NULL, NULL));
    free(file);
    return image;
}

/* ------------------------------------------------------------------ small things ----------- */

START_TEST(test_base64)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"\xfb\xff", "+/8="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text text = {0};
        text_put(&text, "");
        text_base64(&text, rows[i][0], strlen(rows[i][0]));
        ck_assert_str_eq(text.data, rows[i][1]);
        text_free(&text);
    }
}
END_TEST

START_TEST(test_sizes)
{
    static const int rows[][5] = {{500, 375, 192, 192, 144}, {375, 500, 192, 144, 192},
                                  {100, 60, 192, 100, 60},   {65535, 1, 192, 192, 1},
                                  {1, 65535, 192, 1, 192},   {14, 14, 48, 14, 14},
                                  {224, 224, 48, 48, 48},    {1, 1, 1, 1, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int width, height;
        thumbnail_size(&width, &height, rows[i][0], rows[i][1], rows[i][2]);
        ck_assert_int_eq(width, rows[i][3]);
        ck_assert_int_eq(height, rows[i][4]);
    }
}
END_TEST

/* Left half dark, right half light: a small picture has both, and their mean where they meet. */
static vitx_image *halves(int width, int height)
{
    uint8_t *rgb = malloc(3 * (size_t)width * (size_t)height);
    for (int i = 0; i < width * height; i++)
        memset(rgb + 3 * i, i % width < width / 2 ? 40 : 200, 3);
    vitx_image *image;
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

static void check_halves(int width, int height)
{
    vitx_image *image = halves(width, height);
    struct text text = {0}, again = {0};
    ck_assert(thumbnail_picture(&text, image) && thumbnail_picture(&again, image));
    ck_assert_str_eq(text.data, again.data);
    vitx_image *small = picture_of(text.data);
    int w, h;
    thumbnail_size(&w, &h, width, height, THUMBNAIL_SIDE);
    ck_assert_int_eq(vitx_image_width(small), w);
    ck_assert_int_eq(vitx_image_height(small), h);
    const uint8_t *row = vitx_image_pixels(small) + 3 * (size_t)(h / 2) * (size_t)w;
    ck_assert_int_lt(abs(row[1] - (w > 1 ? 40 : 120)), 6);
    ck_assert_int_lt(abs(row[3 * (w - 1) + 1] - (w > 1 ? 200 : 120)), 6);
    vitx_image_free(small);
    vitx_image_free(image);
    text_free(&again);
    text_free(&text);
}

START_TEST(test_small_pictures)
{
    check_halves(500, 375);
    check_halves(224, 224); /* 7 pixels become 6 */
    check_halves(64, 48);
    check_halves(2000, 3);
    check_halves(2, 1000);
}
END_TEST

/* ------------------------------------------------------------------ texts ------------------ */

/* Whole characters, and never beyond the text's end. */
START_TEST(test_beginning)
{
    static const char text[] = "a\xe7\x8c\xab"
                               "b\0cd";
    static const int bytes[] = {0, 1, 1, 1, 4, 5, 5, 5};
    for (int most = 0; most < 8; most++)
        ck_assert_int_eq(text_beginning(text, most), bytes[most]);
    ck_assert_int_eq(text_beginning("", 4), 0);
}
END_TEST

/* What is known of each text stands in the list; of runs without texts nothing does. */
START_TEST(test_texts)
{
    static const struct gallery_text texts[] = {{true, 0.25, 0.125, 0.5}, {.known = false}};
    struct gallery_picture picture = {.key = "a", .texts = texts, .text_count = 2};
    struct gallery_row row = {0};
    ck_assert(gallery_row_make(&row, &picture));
    ck_assert_str_eq(row.list.data, "[\"a\",null,-1,null,null,[[0.25,0.125,0.5],null]]");
    gallery_row_free(&row);
    row = (struct gallery_row){0};
    picture.text_count = 0;
    ck_assert(gallery_row_make(&row, &picture));
    ck_assert_str_eq(row.list.data, "[\"a\",null,-1,null,null]");
    gallery_row_free(&row);
}
END_TEST

/* ------------------------------------------------------------------ a shard ---------------- */

enum { METHODS = 4, BEST = 5 };
static const char *const methods[METHODS] = {"rollout", "gradcam", "saliency", "features"};

/* The bundled model's answers and maps of one of its scenes. */
struct scene {
    vitx_model *model;
    vitx_context *context;
    vitx_image *image;
    vitx_prediction top[BEST];
    vitx_map *maps[METHODS];
    vitx_render_opts opts[METHODS];
    struct gallery_picture picture;
};

static void open_scene(struct scene *s)
{
    vitx_explain_opts opts[METHODS];
    *s = (struct scene){0};
    ck_ok(vitx_model_open(&s->model, "weights/scenes", NULL));
    ck_ok(vitx_context_create(&s->context, s->model, NULL));
    ck_ok(vitx_image_open(&s->image, "docs/images/scenes/two.png"));
    ck_ok(vitx_classify(s->context, s->image, s->top, BEST));
    for (int i = 0; i < METHODS; i++) {
        vitx_explain_opts_init(opts + i, sizeof opts[i]);
        vitx_render_opts_init(s->opts + i, sizeof s->opts[i]);
        opts[i].method = methods[i];
    }
    const vitx_image *image = s->image;
    ck_ok(vitx_explain_many(s->maps, s->context, &image, 1, opts, METHODS));
    s->picture = (struct gallery_picture){.key = EVIL,
                                          .image = s->image,
                                          .top = s->top,
                                          .top_count = BEST,
                                          .maps = s->maps,
                                          .map_count = METHODS,
                                          .opts = s->opts,
                                          .report = "../pages/a.html"};
}

static void close_scene(struct scene *s)
{
    for (int i = 0; i < METHODS; i++)
        vitx_map_free(s->maps[i]);
    vitx_image_free(s->image);
    vitx_context_free(s->context);
    vitx_model_free(s->model);
}

static void add(struct gallery_sheet *sheet, const struct gallery_picture *picture)
{
    struct gallery_row row = {0};
    ck_assert(gallery_row_make(&row, picture));
    gallery_sheet_put(sheet, &row);
    gallery_row_free(&row);
}

static void check_list(const struct scene *s, const struct text *script)
{
    vx_json *root = data_of(script, "gallery.list(7,");
    ck_assert_int_eq(vx_json_size(root), 2);
    const vx_json *good = element(root, 0), *bad = element(root, 1);
    ck_assert_str_eq(text_of(element(good, 0)),
                     "</script><b>\"\\\n\x01\xef\xbf\xbd\xe2\x80\xae&'.png");
    ck_assert(vx_json_is_null(element(good, 1)));
    ck_assert_int_eq((int)number_of(element(good, 2)), s->top[0].index);
    ck_assert_float_eq((float)number_of(element(good, 3)), s->top[0].probability);
    ck_assert_str_eq(text_of(element(good, 4)), s->top[0].label);
    ck_assert_str_eq(text_of(element(bad, 1)), "it is no picture");
    ck_assert_int_eq((int)number_of(element(bad, 2)), -1);
    ck_assert(vx_json_is_null(element(bad, 3)));
    vx_json_free(root);
}

/* The values of a map on the grid, as the map has them but for the 255 steps. */
static void check_values(const vx_json *node, const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    size_t bytes;
    const char *text = text_of(vx_json_get(node, "values"));
    uint8_t *levels = decode(text, strlen(text), &bytes);
    const double low = number_of(vx_json_get(node, "low"));
    const double high = number_of(vx_json_get(node, "high"));
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_int_eq((int)number_of(vx_json_get(node, "height")), (int)info.shape[0]);
    ck_assert_int_eq((int)number_of(vx_json_get(node, "width")), (int)info.shape[1]);
    ck_assert_uint_eq(bytes, (size_t)(info.shape[0] * info.shape[1]));
    ck_assert(high > low);
    for (size_t i = 0; i < bytes; i++) {
        const double v = fmin(high, fmax(low, (double)vitx_map_values(map)[i]));
        ck_assert_double_eq_tol(low + (high - low) * levels[i] / 255, v, 0.002 * (high - low));
    }
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq_tol(number_of(element(vx_json_get(node, "box"), i)),
                                info.seen[i] / (i % 2 ? info.picture_height : info.picture_width),
                                1e-5);
    free(levels);
}

/* saliency has a value for each pixel of the input, which become fewer. */
static void check_gathered(const vx_json *node)
{
    const char *text = text_of(vx_json_get(node, "values"));
    uint8_t largest = 0;
    size_t bytes;
    uint8_t *levels = decode(text, strlen(text), &bytes);
    ck_assert_int_eq((int)number_of(vx_json_get(node, "height")), THUMBNAIL_GRID);
    ck_assert_uint_eq(bytes, THUMBNAIL_GRID * THUMBNAIL_GRID);
    for (size_t i = 0; i < bytes; i++)
        largest = levels[i] > largest ? levels[i] : largest;
    ck_assert_uint_eq(largest, 255);
    free(levels);
}

static void check_sheet(const struct scene *s, const struct text *script)
{
    vx_json *root = data_of(script, "gallery.sheet(7,");
    ck_assert_int_eq(vx_json_size(root), 2);
    const vx_json *good = element(root, 0), *bad = element(root, 1);
    const vx_json *maps = vx_json_get(good, "maps"), *top = vx_json_get(good, "top");
    vitx_image *small = picture_of(text_of(vx_json_get(good, "picture")));
    ck_assert_int_eq(vitx_image_width(small), THUMBNAIL_SIDE);
    vitx_image_free(small);
    ck_assert_int_eq((int)number_of(element(vx_json_get(good, "size"), 0)),
                     vitx_image_width(s->image));
    ck_assert_int_eq(vx_json_size(top), BEST);
    ck_assert_int_eq((int)number_of(element(element(top, 4), 0)), s->top[4].index);
    ck_assert_int_eq(vx_json_size(maps), METHODS);
    check_values(element(maps, 0), s->maps[0]);
    check_values(element(maps, 1), s->maps[1]);
    check_gathered(element(maps, 2));
    small = picture_of(text_of(vx_json_get(element(maps, 3), "drawing")));
    vitx_image_free(small);
    ck_assert_str_eq(text_of(vx_json_get(good, "report")), "../pages/a.html");
    ck_assert_ptr_null(vx_json_get(bad, "picture"));
    ck_assert_int_eq(vx_json_size(vx_json_get(bad, "maps")), 0);
    vx_json_free(root);
}

START_TEST(test_shard)
{
    struct scene s;
    struct gallery_sheet sheet = {0};
    open_scene(&s);
    gallery_sheet_begin(&sheet, 7);
    add(&sheet, &s.picture);
    add(&sheet, &(struct gallery_picture){.key = "b.png", .error = "it is no picture"});
    gallery_sheet_end(&sheet);
    check_list(&s, &sheet.list);
    check_sheet(&s, &sheet.sheet);
    gallery_sheet_free(&sheet);
    close_scene(&s);
}
END_TEST

/* A map that failed is null, and the others are there. */
START_TEST(test_missing_map)
{
    struct scene s;
    struct gallery_row row = {0};
    open_scene(&s);
    vitx_map *all[METHODS] = {s.maps[0], NULL, s.maps[2], NULL};
    s.picture.maps = all;
    ck_assert(gallery_row_make(&row, &s.picture));
    ck_assert_ptr_nonnull(strstr(row.sheet.data, "},null,{"));
    ck_assert_ptr_nonnull(strstr(row.sheet.data, "},null]"));
    gallery_row_free(&row);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ the page --------------- */

static int times(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

/* No name leaves its element, and nothing may be asked of the network. */
START_TEST(test_page)
{
    static const char *const names[] = {"rollout", EVIL};
    const struct gallery_run run = {.title = EVIL,
                                    .model = EVIL,
                                    
                                    .shards = 40,
                                    .maps = names,
                                    .map_count = 2,
                                    .texts = (const char *const[]){EVIL},
                                    .text_count = 1,
                                    .text_of = (const int[]){-1, 0},
                                    .probable = true};
    struct text page = {0}, again = {0};
    gallery_page(&page, &run);
    gallery_page(&again, &run);
    ck_assert(!page.failed);
    ck_assert_str_eq(page.data, again.data);
    ck_assert_int_eq(times(page.data, "</script>"), 2);
    ck_assert_int_eq(times(page.data, "<script"), 2);
    ck_assert_ptr_nonnull(strstr(page.data, "default-src 'none'; script-src 'sha256-"));
    ck_assert_ptr_nonnull(strstr(page.data, "\"shards\":40"));
    ck_assert_ptr_nonnull(strstr(page.data, "\"text_of\":[-1,0]"));
    ck_assert_ptr_null(strstr(page.data, "<!-- run -->"));
    ck_assert_ptr_null(strstr(page.data, "http:"));
    ck_assert_ptr_null(strstr(page.data, "https:"));
    text_free(&again);
    text_free(&page);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("gallery");
    TCase *tcase = tcase_create("gallery");
    tcase_add_test(tcase, test_base64);
    tcase_add_test(tcase, test_sizes);
    tcase_add_test(tcase, test_small_pictures);
    tcase_add_test(tcase, test_beginning);
    tcase_add_test(tcase, test_texts);
    tcase_add_test(tcase, test_shard);
    tcase_add_test(tcase, test_missing_map);
    tcase_add_test(tcase, test_page);
    suite_add_tcase(s, tcase);
    return s;
}

VX_TEST_MAIN(suite)
