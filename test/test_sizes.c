/*
 * Inputs of other sizes than the model's own: resampled position embeddings and whole models
 * against PyTorch, timm and transformers; fits; pictures that keep their size; what is refused.
 * VX_TEST_DEVICES
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/size.h"
#include "explain/map.h"
#include "model/positions.h"
#include "util.h"

static vitx_context_opts sized(int height, int width, vitx_fit fit)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.threads = 1;
    o.fit = fit;
    o.input_height = height;
    o.input_width = width;
    return o;
}

static vitx_model *open_model(const char *name)
{
    char path[128];
    vitx_model *model;
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(&model, path, NULL));
    return model;
}

static vitx_context *create(vitx_model *model, const vitx_context_opts *o)
{
    vitx_context *c;
    ck_ok(vitx_context_create(&c, model, o));
    return c;
}

/* A slope with some noise, so that no two parts are alike. */
static vitx_image *noise(uint64_t seed, int width, int height)
{
    rng r = {seed};
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *image;
    for (int i = 0; i < 3 * width * height; i++)
        rgb[i] = (uint8_t)(i / 3 % width + i / 3 / width + rng_int(&r, 0, 100));
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

/* The part of a picture that begins at x, y; what lies beside it has the colour `beside`. */
static vitx_image *part(const vitx_image *image, int x, int y, int width, int height, int beside)
{
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *out;
    for (int i = 0; i < 3 * width * height; i++) {
        const int sx = i / 3 % width + x, sy = i / 3 / width + y;
        const bool in = sx >= 0 && sx < image->width && sy >= 0 && sy < image->height;
        rgb[i] = (uint8_t)(in ? image->pixels[3 * (sy * image->width + sx) + i % 3] : beside);
    }
    ck_ok(vitx_image_from_rgb(&out, rgb, width, height, 0, NULL));
    free(rgb);
    return out;
}

/* ------------------------------------------------------------------ position embeddings ---- */

/* The golden of a rule; one that is another's by another name has that one's. */
static const char *golden_rule(const char *name)
{
    return strstr(name, "-registers") ? "timm" : name;
}

static void check_positions(const char *name, int i, const vx_pos_grid *from, const vx_pos_grid *to)
{
    char file[64];
    vx_pos_rule rule;
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_pos_rule_find(&rule, name));
    snprintf(file, sizeof file, "sizes/positions/%d.npy", i);
    npy source = read_npy(golden_path(file));
    snprintf(file, sizeof file, "sizes/positions/%d.%s.npy", i, golden_rule(name));
    npy expected = read_npy(golden_path(file));
    const size_t count = (size_t)to->height * (size_t)to->width * 2;
    float *src = malloc(source.count * sizeof *src), *dst = malloc(count * sizeof *dst);
    ck_assert_uint_eq(source.count, (size_t)from->height * (size_t)from->width * 2);
    ck_assert_uint_eq(expected.count, count);
    for (size_t k = 0; k < source.count; k++)
        src[k] = (float)source.data[k];
    ck_ok(vx_positions_resample(dst, *to, src, *from, 2, rule, &hooks));
    const double error = max_error_f32(dst, expected.data, count);
    ck_assert_msg(error < 1e-6, "%s: %dx%d to %dx%d: error %g", name, from->height, from->width,
                  to->height, to->width, error);
    free(src);
    free(dst);
    free_npy(&source);
    free_npy(&expected);
}

START_TEST(test_positions__match_their_library)
{
    char *lines = read_file(golden_path("sizes/positions/grids.txt"), NULL), *save = NULL;
    int seen = 0;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        vx_pos_grid from, to;
        int i;
        ck_assert_int_eq(
            sscanf(line, "%d %d %d %d %d", &i, &from.height, &from.width, &to.height, &to.width),
            5);
        for (int rule = 0; vitx_pos_resample_name(rule); rule++, seen++)
            check_positions(vitx_pos_resample_name(rule), i, &from, &to);
    }
    ck_assert_int_ge(seen, 9 * 8);
    ck_assert_ptr_null(vitx_pos_resample_name(-1));
    free(lines);
}
END_TEST

/* Every rule has weights that sum to 1, and keeps a linear slope a slope inside. */
START_TEST(test_positions__keep_constants)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    float src[7 * 5], dst[64 * 64];
    for (int i = 0; i < 35; i++)
        src[i] = 0.75f;
    for (int rule = VX_POS_UNSET + 1; rule < VX_POS_RULES; rule++)
        for (int h = 1; h <= 64; h += 9)
            for (int w = 1; w <= 64; w += 7) {
                ck_ok(vx_positions_resample(dst, (vx_pos_grid){h, w}, src, (vx_pos_grid){7, 5}, 1,
                                            (vx_pos_rule)rule, &hooks));
                for (int i = 0; i < h * w; i++)
                    ck_assert_float_eq_tol(dst[i], 0.75f, 1e-6f);
            }
}
END_TEST

/* ------------------------------------------------------------------ whole models ----------- */

static void compare(const char *folder, const char *what, const void *found, size_t count,
                    double tolerance)
{
    char path[160];
    snprintf(path, sizeof path, "sizes/%s/%s.npy", folder, what);
    npy expected = read_npy(golden_path(path));
    ck_assert_uint_eq(expected.count, count);
    const double error = max_error_f32(found, expected.data, count);
    ck_assert_msg(error < tolerance, "%s: %s: error %g", folder, what, error);
    free_npy(&expected);
}

/* From the picture to logits, the last block's attention and the gradient of the input. */
static void check_case(const char *device, const char *name, int height, int width, int target)
{
    char folder[96];
    vitx_model *model = open_model(name);
    vitx_image *image;
    vitx_context_opts o = sized(height, width, VITX_FIT_RECIPE);
    o.device = device;
    snprintf(folder, sizeof folder, "%s-%dx%d", name, height, width);
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    vitx_context *c = create(model, &o);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    trace.record = VITX_RECORD_ALL;
    trace.gradients = VITX_GRADIENT_INPUT;
    trace.targets = 1;
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    vitx_view view;
    float seed[7] = {0};
    ck_ok(vitx_input(&view, c));
    ck_assert(view.shape[2] == height && view.shape[3] == width);
    const size_t pixels = (size_t)(3 * height * width);
    compare(folder, "input", view.data, pixels, 1e-6);
    ck_ok(vitx_logits(&view, c));
    compare(folder, "logits", view.data, 7, TOL_LOGITS);
    ck_ok(vitx_attention(&view, c, c->arch.depth - 1));
    compare(folder, "attention", view.data, (size_t)view.stride[0], TOL_MAP);
    seed[target] = 1;
    ck_ok(vitx_backward(c, seed));
    ck_ok(vitx_input_gradient(&view, c));
    compare(folder, "gradient", view.data, pixels, TOL_GRADIENT);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}

START_TEST(test_sizes__match_float64)
{
    char *lines = read_file(golden_path("sizes/cases.txt"), NULL), *save = NULL;
    int seen = 0;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        int height, width, target;
        ck_assert_int_eq(sscanf(line, "%63s %d %d %d", name, &height, &width, &target), 4);
        check_case(_i ? "ref" : "cpu", name, height, width, target);
        seen++;
    }
    ck_assert_int_ge(seen, 10);
    free(lines);
}
END_TEST

static void check_photos(vitx_model *model, int height, int width)
{
    char path[64];
    snprintf(path, sizeof path, "sizes/deit_tiny-%dx%d.npy", height, width);
    npy logits = read_npy(golden_path(path));
    char *names = read_file(golden_path("sizes/photos.txt"), NULL), *save = NULL;
    const vitx_context_opts o = sized(height, width, VITX_FIT_RECIPE);
    vitx_context *c = create(model, &o);
    size_t i = 0;
    for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save), i++) {
        vitx_image *image;
        vitx_view view;
        ck_ok(vitx_image_open(&image, shared_path(name)));
        ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
        ck_ok(vitx_logits(&view, c));
        const double error = max_error_f32(view.data, logits.data + i * 1000, 1000);
        ck_assert_msg(error < TOL_LOGITS, "%s at %dx%d: error %g", name, height, width, error);
        vitx_image_free(image);
    }
    ck_assert_uint_eq(i, logits.shape[0]);
    vitx_context_free(c);
    free(names);
    free_npy(&logits);
}

START_TEST(test_sizes__real_photos)
{
    vitx_model *model;
    if (!have_real_model("the real DeiT-tiny at 384x384 and 224x320"))
        return;
    ck_ok(vitx_model_open(&model, shared_path("models/deit_tiny_patch16_224"), NULL));
    check_photos(model, 384, 384);
    check_photos(model, 224, 320);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ fits and places -------- */

/* So few samples that all methods together stay quick, as in test_table.c. */
static vitx_explain_opts opts_of(const vitx_method_info *m)
{
    static const char *const few[] = {"n=72", "steps=5"};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    o.target = 2;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k];
                o.set_count = 1;
            }
    return o;
}

static vitx_map *explain(vitx_context *c, const vitx_image *image, const vitx_explain_opts *o)
{
    vitx_map *map;
    const int status = vitx_explain(&map, c, image, o);
    ck_assert_msg(status == VITX_OK, "%s: %s", o->method, vitx_last_error());
    return map;
}

/* map's plane in its picture's coordinates is what `other` has there, its picture beginning at x, y
 * of the other's. */
static void check_place(const vitx_map *map, const vitx_map *other, int x, int y)
{
    vitx_map *a, *b;
    ck_ok(vitx_map_to_picture(&a, map));
    ck_ok(vitx_map_to_picture(&b, other));
    const int h = a->info.picture_height, w = a->info.picture_width;
    const int n = a->info.channels > 0 ? a->info.channels : 1;
    for (int i = 0; i < h; i++)
        for (int k = 0; k < w * n; k++) {
            const int oy = i + y, ox = k / n + x;
            const bool in =
                oy >= 0 && oy < b->info.picture_height && ox >= 0 && ox < b->info.picture_width;
            const float found = a->values[i * w * n + k];
            const float expected =
                in ? b->values[(oy * b->info.picture_width + ox) * n + k % n] : 0;
            ck_assert_msg(fabsf(found - expected) <=
                              1e-5f * fmaxf(fabsf(map->info.max), fabsf(map->info.min)),
                          "%s: at row %d, column %d: %g, not %g", map->info.method, i, k / n,
                          (double)found, (double)expected);
        }
    vitx_map_free(a);
    vitx_map_free(b);
}

/* A picture fitted without resampling, and what the model then sees, cut or filled by hand. */
static const struct place {
    vitx_fit fit;
    int width, height;        /* of the picture */
    int input_h, input_w;     /* asked for; 0: the model's own, 40 x 40 */
    int x, y, seen_w, seen_h; /* what is seen of it */
} places[] = {
    {VITX_FIT_PAD, 40, 24, 0, 0, 0, -8, 40, 40},  {VITX_FIT_PAD, 24, 48, 48, 32, -4, 0, 32, 48},
    {VITX_FIT_CROP, 60, 40, 0, 0, 10, 0, 40, 40}, {VITX_FIT_CROP, 56, 44, 24, 56, 0, 10, 56, 24},
    {VITX_FIT_KEEP, 56, 24, 0, 0, 0, 0, 56, 24},  {VITX_FIT_SQUASH, 48, 32, 32, 48, 0, 0, 48, 32},
};
enum { PLACES = sizeof places / sizeof places[0] };

START_TEST(test_every_method__lies_where_the_picture_is)
{
    const struct place *p = &places[_i];
    vitx_model *model = open_model("vit-timm");
    vitx_image *image = noise(7, p->width, p->height);
    vitx_image *seen = part(image, p->x, p->y, p->seen_w, p->seen_h, 128); /* 255 * 0.5 */
    const vitx_context_opts o = sized(p->input_h, p->input_w, p->fit),
                            plain = sized(p->seen_h, p->seen_w, VITX_FIT_SQUASH);
    vitx_context *c = create(model, &o), *d = create(model, &plain);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts e = opts_of(&m);
        vitx_map *map = explain(c, image, &e), *other = explain(d, seen, &e);
        const vitx_map_info *info = &map->info;
        ck_assert_int_eq(info->grid_height, p->seen_h / 8);
        ck_assert_int_eq(info->grid_width, p->seen_w / 8);
        ck_assert_int_eq(info->shape[0], m.on_pixels ? p->seen_h : p->seen_h / 8);
        ck_assert_int_eq(info->shape[1], m.on_pixels ? p->seen_w : p->seen_w / 8);
        ck_assert(info->seen[0] == p->x && info->seen[1] == p->y &&
                  info->seen[2] == p->x + p->seen_w && info->seen[3] == p->y + p->seen_h);
        ck_assert_msg(memcmp(map->values, other->values, map->count * sizeof(float)) == 0,
                      "%s: other values", m.name);
        check_place(map, other, -p->x, -p->y);
        vitx_map_free(map);
        vitx_map_free(other);
    }
    vitx_context_free(c);
    vitx_context_free(d);
    vitx_image_free(image);
    vitx_image_free(seen);
    vitx_model_free(model);
}
END_TEST

/* An asked-for size that is the model's own takes the old way, to the last bit. */
START_TEST(test_sizes__the_own_size_changes_nothing)
{
    vitx_model *model = open_model("vit-timm");
    vitx_image *image = noise(8, 57, 44);
    const vitx_context_opts plain = sized(0, 0, VITX_FIT_RECIPE),
                            same = sized(40, 40, VITX_FIT_RECIPE);
    vitx_context *c = create(model, &plain), *d = create(model, &same);
    vitx_view a, b;
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_forward(d, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_logits(&a, c));
    ck_ok(vitx_logits(&b, d));
    ck_assert_mem_eq(a.data, b.data, 7 * sizeof(float));
    ck_assert(!c->pos && !d->pos && !c->pos_memory.memory && !d->pos_memory.memory);
    vitx_context_free(c);
    vitx_context_free(d);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ pictures that keep theirs
 * -- */

enum { N = 5 };
static const int shapes[N][2] = {{40, 40}, {56, 24}, {57, 23}, {30, 70}, {56, 24}}; /* w, h */

static void make_shapes(vitx_image **images)
{
    for (int i = 0; i < N; i++)
        images[i] = noise((uint64_t)i + 1, shapes[i][0], shapes[i][1]);
}

static void free_shapes(vitx_image **images)
{
    for (int i = 0; i < N; i++)
        vitx_image_free(images[i]);
}

typedef struct watch {
    int64_t last, total;
} watch;

static int progress(int64_t done, int64_t total, void *payload)
{
    watch *w = payload;
    ck_assert(done > w->last && done <= total && (w->total == 0 || w->total == total));
    *w = (watch){done, total};
    return 0;
}

static int all_methods(vitx_explain_opts *opts)
{
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&m, i));
        opts[i] = opts_of(&m);
    }
    return vitx_method_count();
}

/* Two formulas divide by numbers that can come near 0: test_table.c. */
static double tolerance_of(const char *method)
{
    return strcmp(method, "gradcam++") == 0 || strcmp(method, "xgradcam") == 0 ? 1e-2 : TOL_MAP;
}

/* What a picture's maps are when it is explained alone. */
static void check_alone(vitx_context *c, const vitx_image *image, const vitx_explain_opts *opts,
                        vitx_map **maps, int m)
{
    for (int j = 0; j < m; j++) {
        vitx_map *map = explain(c, image, &opts[j]);
        const double most = fmax(1e-12, fmax(fabs(map->info.min), fabs(map->info.max)));
        ck_assert_uint_eq(map->count, maps[j]->count);
        for (size_t k = 0; k < map->count; k++)
            ck_assert_msg(fabs((double)map->values[k] - maps[j]->values[k]) <=
                              tolerance_of(opts[j].method) * most,
                          "%s: %g, not %g", opts[j].method, (double)maps[j]->values[k],
                          (double)map->values[k]);
        ck_assert(map->info.seen[2] == image->width && map->info.seen[3] == image->height);
        vitx_map_free(map);
        vitx_map_free(maps[j]);
    }
}

/* Sides are rounded to patches; pictures of many sizes give in one call what each gives alone. */
START_TEST(test_keep__pictures_of_many_sizes)
{
    enum { MOST = 64 };
    static const int grids[N][2] = {{5, 5}, {3, 7}, {3, 7}, {9, 4}, {3, 7}}; /* rows, columns */
    vitx_model *model = open_model("vit-timm");
    vitx_image *images[N];
    vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    watch w = {0};
    o.device = _i ? "ref" : "cpu";
    vitx_context *one = create(model, &o);
    o.max_batch = 3;
    o.progress = progress;
    o.progress_payload = &w;
    vitx_context *many = create(model, &o);
    vitx_prediction top[N * 2], alone[2];
    vitx_explain_opts e[MOST];
    vitx_map *maps[N * MOST];
    const int m = all_methods(e);
    make_shapes(images);
    ck_ok(vitx_classify_batch(many, (const vitx_image *const *)images, N, top, 2));
    ck_assert_int_eq(w.last, w.total);
    w = (watch){0};
    ck_ok(vitx_explain_many(maps, many, (const vitx_image *const *)images, N, e, m));
    ck_assert_int_eq(w.last, w.total);
    for (int i = 0; i < N; i++) {
        ck_ok(vitx_classify(one, images[i], alone, 2));
        ck_assert_int_eq(alone[0].index, top[2 * i].index);
        ck_assert_float_eq_tol(alone[0].logit, top[2 * i].logit, 1e-5f);
        vitx_context_info info = VITX_CONTEXT_INFO_INIT;
        ck_ok(vitx_context_get_info(&info, one));
        ck_assert(info.grid_height == grids[i][0] && info.grid_width == grids[i][1]);
        ck_assert_int_eq(info.tokens, 1 + grids[i][0] * grids[i][1]);
        check_alone(one, images[i], e, maps + i * m, m);
    }
    w = (watch){0};
    ck_fails(vitx_forward(many, (const vitx_image *const *)images, 2), VITX_INVALID,
             "several sizes");
    ck_ok(vitx_forward(many, (const vitx_image *const *)images + 1, 2));
    free_shapes(images);
    vitx_context_free(one);
    vitx_context_free(many);
    vitx_model_free(model);
}
END_TEST

/* With a size, the largest of the picture's proportions within it. */
START_TEST(test_keep__within_a_size)
{
    static const struct {
        int width, height, grid_w, grid_h;
    } rows[] = {{400, 300, 8, 6}, {300, 400, 6, 8}, {10, 10, 8, 8},  {1000, 3, 8, 1},
                {64, 64, 8, 8},   {99, 100, 8, 8},  {1, 60000, 1, 8}};
    vitx_model *model = open_model("vit-timm");
    const vitx_context_opts o = sized(64, 64, VITX_FIT_KEEP);
    vitx_context *c = create(model, &o);
    const void *memory = c->memory.memory;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vitx_prediction top;
        vitx_image *image = noise(i, rows[i].width, rows[i].height);
        ck_ok(vitx_classify(c, image, &top, 1));
        ck_assert_int_eq(c->arch.grid_height, rows[i].grid_h);
        ck_assert_int_eq(c->arch.grid_width, rows[i].grid_w);
        ck_assert_ptr_eq(c->memory.memory, memory); /* taken once, for the whole size */
        vitx_image_free(image);
    }
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_keep__statistics_are_of_one_size)
{
    vitx_model *model = open_model("vit-timm");
    vitx_image *images[N];
    vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    o.max_batch = 2;
    vitx_context *c = create(model, &o);
    o = sized(24, 56, VITX_FIT_SQUASH);
    vitx_context *fixed = create(model, &o);
    vitx_stats *stats, *expected;
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    make_shapes(images);
    ck_ok(vitx_stats_create(&stats, c));
    ck_ok(vitx_stats_create(&expected, fixed));
    ck_fails(vitx_stats_add(stats, (const vitx_image *const *)images, 2), VITX_INVALID,
             "of one size");
    ck_ok(vitx_stats_add(stats, (const vitx_image *const *)images + 1, 2));
    ck_fails(vitx_stats_add(stats, (const vitx_image *const *)images, 1), VITX_INVALID,
             "5 rows of 5 patches, those before 3 of 7");
    ck_ok(vitx_stats_add(stats, (const vitx_image *const *)images + 4, 1));
    ck_ok(vitx_stats_add(expected, (const vitx_image *const *)images + 1, 2));
    ck_ok(vitx_stats_add(expected, (const vitx_image *const *)images + 4, 1));
    ck_ok(vitx_stats_get_info(&info, stats));
    ck_assert(info.pictures == 3 && info.grid_height == 3 && info.grid_width == 7);
    for (int stat = 0; vitx_stat_name(stat); stat++)
        for (int i = 0; i < info.layers * info.heads; i++)
            ck_assert_double_eq_tol(vitx_stats_mean(stats, (vitx_stat)stat)[i],
                                    vitx_stats_mean(expected, (vitx_stat)stat)[i], 1e-5);
    vitx_stats_free(stats);
    vitx_stats_free(expected);
    vitx_context_free(c);
    vitx_context_free(fixed);
    free_shapes(images);
    vitx_model_free(model);
}
END_TEST

/* Every metric measures a picture of another size than the last one's. */
START_TEST(test_keep__every_metric)
{
    vitx_model *model = open_model("vit-timm");
    vitx_image *images[N];
    const vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP), fixed = sized(24, 56, VITX_FIT_SQUASH);
    vitx_context *c = create(model, &o), *d = create(model, &fixed);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    static uint8_t mask[56 * 24], other_mask[56 * 24];
    make_shapes(images);
    memset(mask + 300, 1, 500);
    memset(other_mask + 900, 1, 300);
    e.method = "attn-gradcam";
    vitx_map *map = explain(c, images[1], &e), *other = explain(d, images[1], &e);
    for (int i = 0; i < vitx_metric_count(); i++) {
        vitx_metric_info m = VITX_METRIC_INFO_INIT;
        vitx_evaluate_opts v = VITX_EVALUATE_OPTS_INIT;
        vitx_evaluation *result[2];
        vitx_evaluation_info info[2] = {VITX_EVALUATION_INFO_INIT, VITX_EVALUATION_INFO_INIT};
        vitx_prediction top;
        ck_ok(vitx_metric_get(&m, i));
        v.metric = m.name;
        v.explain = &e;
        v.mask = mask;
        v.other = other_mask;
        v.mask_height = 24;
        v.mask_width = 56;
        ck_ok(vitx_classify(c, images[3], &top, 1)); /* another size between */
        ck_ok(vitx_evaluate(&result[0], c, images[1], map, &v));
        ck_ok(vitx_evaluate(&result[1], d, images[1], other, &v));
        for (int k = 0; k < 2; k++)
            ck_ok(vitx_evaluation_get_info(&info[k], result[k]));
        ck_assert_msg(fabs(info[0].value - info[1].value) < 1e-5, "%s: %g, not %g", m.name,
                      info[0].value, info[1].value);
        vitx_evaluation_free(result[0]);
        vitx_evaluation_free(result[1]);
    }
    vitx_map_free(map);
    vitx_map_free(other);
    vitx_context_free(c);
    vitx_context_free(d);
    free_shapes(images);
    vitx_model_free(model);
}
END_TEST

/* A row that was asked for when the input was larger. */
START_TEST(test_keep__a_query_beyond_the_picture)
{
    vitx_model *model = open_model("vit-timm");
    vitx_image *images[N];
    const vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    vitx_context *c = create(model, &o);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vitx_view view;
    vitx_map *map;
    make_shapes(images);
    trace.record = VITX_RECORD_ROW;
    trace.query = 25;
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_ok(vitx_forward(c, (const vitx_image *const[]){images[0]}, 1));
    ck_fails(vitx_forward(c, (const vitx_image *const[]){images[1]}, 1), VITX_INVALID, "query 25");
    ck_fails(vitx_attention(&view, c, 0), VITX_INVALID, "nothing to view");
    ck_ok(vitx_forward(c, (const vitx_image *const[]){images[3]}, 1));
    ck_ok(vitx_attention(&view, c, 0));
    ck_assert_int_eq(view.shape[3], 37);
    e.method = "rollout";
    e.query = 30;
    ck_ok(vitx_explain(&map, c, images[3], &e));
    vitx_map_free(map);
    ck_fails(vitx_explain(&map, c, images[1], &e), VITX_INVALID, "query 30");
    vitx_context_free(c);
    free_shapes(images);
    vitx_model_free(model);
}
END_TEST

/* Options that the grid bounds are the picture's to judge, not the model's own grid. */
START_TEST(test_keep__options_are_bounded_by_the_picture_s_grid)
{
    static const struct {
        const char *method, *set;
        int width, height;
        const char *message; /* NULL: it runs */
    } cases[] = {
        {"kernelshap", "n=20", 16, 16, NULL}, /* 2 x 2: there are 14 sets */
        {"kernelshap", "n=1", 16, 16, "kernelshap: n=1: at least 8 samples"},
        {"kernelshap", "n=42", 57, 23, NULL}, /* 3 x 7 */
        {"kernelshap", "n=41", 57, 23, "kernelshap: n=41: at least 42 samples"},
        {"kernelshap", "n=144", 64, 72, NULL}, /* larger than the model's own */
        {"kernelshap", "n=143", 64, 72, "kernelshap: n=143: at least 144 samples"},
        {"occlusion", "window=2", 16, 16, NULL},
        {"occlusion", "window=3", 16, 16, "occlusion: window=3: the grid has 2 x 2 patches"},
        {"occlusion", "window=8", 64, 72, NULL},
        {"occlusion", "window=9", 64, 72, "occlusion: window=9: the grid has 9 x 8 patches"},
        {"attention", NULL, 64, 72, NULL}, /* query 70 */
        {"attention", NULL, 16, 16, "query 70 is out of range"},
    };
    vitx_model *model = open_model("vit-timm");
    const vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    vitx_context *c = create(model, &o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_image *image = noise(i, cases[i].width, cases[i].height);
        vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
        vitx_map *map = NULL;
        size_t bytes;
        e.method = cases[i].method;
        e.set = &cases[i].set;
        e.set_count = cases[i].set != NULL;
        e.query = cases[i].set ? VITX_AUTO : 70;
        ck_ok(vitx_explain_bytes(&bytes, c, &e, 1));
        const int status = vitx_explain(&map, c, image, &e);
        if (cases[i].message)
            ck_fails(status, VITX_INVALID, cases[i].message);
        else
            ck_ok(status);
        vitx_map_free(map);
        vitx_image_free(image);
    }
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* With more samples than there are sets the Shapley values are exact, and more change nothing. */
START_TEST(test_keep__kernelshap_of_four_patches_is_exact)
{
    vitx_model *model = open_model("vit-timm");
    const vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    vitx_context *c = create(model, &o);
    vitx_image *image = noise(5, 16, 16);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    static const char *const sets[] = {"n=14", "n=20", "n=auto"};
    vitx_map *maps[3];
    e.method = "kernelshap";
    e.set_count = 1;
    for (int i = 0; i < 3; i++) {
        e.set = &sets[i];
        ck_ok(vitx_explain(&maps[i], c, image, &e));
        ck_ok(vitx_map_get_info(&info, maps[i]));
        ck_assert_double_lt(fabs(info.completeness_error), 1e-4);
        for (int p = 0; p < 4; p++)
            ck_assert_float_eq(maps[i]->values[p], maps[0]->values[p]);
    }
    for (int i = 0; i < 3; i++)
        vitx_map_free(maps[i]);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ what is refused -------- */

START_TEST(test_sizes__bad_options)
{
    static const struct {
        int height, width, max_tokens;
        size_t memory;
        vitx_fit fit;
        const char *pos;
        int code;
        const char *part;
    } rows[] = {
        {-1, -1, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "height -1: 1 to 65535 pixels"},
        {40, 0, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "width 0: 1 to 65535"},
        {0, 40, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "height 0: 1 to 65535"},
        {8, 100000, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "width 100000: 1 to 65535"},
        {40, 42, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "40 and 48 are"},
        {3, 40, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID,
         "multiple of the patch's 8 pixels; 8 is"},
        {65535, 8, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "65528 is"},
        {4096, 4096, 0, 0, VITX_FIT_RECIPE, NULL, VITX_UNSUPPORTED, "262145 tokens"},
        {65528, 65528, 0, 0, VITX_FIT_SQUASH, NULL, VITX_UNSUPPORTED, "67092482 tokens"},
        {1600, 1600, 0, 0, VITX_FIT_RECIPE, NULL, VITX_UNSUPPORTED, "max_tokens is 16384"},
        {80, 80, 100, 0, VITX_FIT_PAD, NULL, VITX_UNSUPPORTED, "101 tokens (10 rows of 10"},
        {40, 40, -1, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "max_tokens = -1"},
        {40, 40, 65537, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "max_tokens = 65537"},
        {80, 80, 0, 100000, VITX_FIT_RECIPE, NULL, VITX_NOMEM, "the budget is 100000"},
        {8, 65528, 0, 0, VITX_FIT_RECIPE, NULL, VITX_INVALID, "would be resized to"},
        {0, 0, 0, 0, (vitx_fit)5, NULL, VITX_INVALID, "fit = 5"},
        {0, 0, 0, 0, VITX_FIT_RECIPE, "nearest", VITX_INVALID, "none of timm, timm-npz, hf"},
    };
    vitx_model *model = open_model("vit-timm");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vitx_context *c = (vitx_context *)1;
        vitx_context_info info = VITX_CONTEXT_INFO_INIT;
        vitx_context_opts o = sized(rows[i].height, rows[i].width, rows[i].fit);
        o.max_tokens = rows[i].max_tokens;
        o.memory_budget = rows[i].memory;
        o.pos_resample = rows[i].pos;
        ck_fails(vitx_context_create(&c, model, &o), rows[i].code, rows[i].part);
        ck_assert_ptr_null(c);
        ck_fails(vitx_context_preview(&info, NULL, 0, model, &o), rows[i].code, rows[i].part);
    }
    vitx_model_free(model);
}
END_TEST

/* Pictures past the bounds are refused, and the context goes on. */
START_TEST(test_keep__pictures_past_the_bounds)
{
    vitx_model *model = open_model("vit-timm");
    vitx_context_opts o = sized(0, 0, VITX_FIT_KEEP);
    vitx_prediction top;
    vitx_image *small = noise(1, 24, 24), *large = noise(2, 96, 96);
    o.max_tokens = 100;
    vitx_context *c = create(model, &o);
    ck_fails(vitx_classify(c, large, &top, 1), VITX_UNSUPPORTED,
             "96 x 96 pixels makes 145 tokens (12 rows of 12");
    ck_ok(vitx_classify(c, small, &top, 1));
    vitx_context_free(c);
    o.max_tokens = 0;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_context_preview(&info, NULL, 0, model, &o));
    o.memory_budget = info.activation_bytes;
    c = create(model, &o);
    ck_fails(vitx_classify(c, large, &top, 1), VITX_NOMEM, "96 x 96 pixels makes 145 tokens: the");
    ck_fails(vitx_classify(c, large, &top, 1), VITX_NOMEM, "the budget is");
    ck_ok(vitx_classify(c, small, &top, 1));
    ck_fails(vitx_classify(c, NULL, &top, 1), VITX_INVALID, "NULL");
    vitx_context_free(c);
    vitx_image_free(small);
    vitx_image_free(large);
    vitx_model_free(model);
}
END_TEST

/* The number behind "take " in a refusal. */
static size_t bytes_asked(void)
{
    const char *at = strstr(vitx_last_error(), " take ");
    ck_assert_ptr_nonnull(at);
    return strtoull(at + 6, NULL, 10);
}

/* Methods that run variants run as many as the budget has room for, and say what they need where
 * that is not even a few. */
START_TEST(test_budget__counts_variants)
{
    static const char *const methods[] = {"occlusion", "smoothgrad", "scorecam", "ablationcam"};
    vitx_model *model = open_model("vit-timm");
    vitx_context_opts o = sized(0, 0, VITX_FIT_RECIPE);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_image *image = noise(1, 40, 40);
    vitx_map *free_map, *map;
    vitx_map_info shape = VITX_MAP_INFO_INIT;
    e.method = methods[_i];
    vitx_context *c = create(model, &o);
    ck_ok(vitx_explain(&free_map, c, image, &e));
    ck_ok(vitx_map_get_info(&shape, free_map));
    const size_t all = c->variants.memory.bytes + c->channels.memory.bytes + c->memory.bytes;
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_uint_gt(all, c->memory.bytes);
    const size_t full = info.activation_bytes + all - c->memory.bytes;
    vitx_context_free(c);
    ck_ok(vitx_context_preview(&info, NULL, 0, model, &o));
    o.memory_budget = info.activation_bytes;
    c = create(model, &o);
    ck_fails(vitx_explain(&map, c, image, &e), VITX_NOMEM, "and, beside them, ");
    const size_t needed = bytes_asked();
    ck_assert(needed > o.memory_budget && needed <= full);
    vitx_context_free(c);
    for (int k = 0; k < 3; k++) { /* the least; between; what it takes without a budget */
        o.memory_budget = needed + (full - needed) / 2 * (size_t)k;
        c = create(model, &o);
        ck_ok(vitx_explain(&map, c, image, &e));
        ck_ok(vitx_context_get_info(&info, c));
        ck_assert_uint_le(info.activation_bytes + c->variants.memory.bytes +
                              c->channels.memory.bytes,
                          o.memory_budget);
        ck_assert_double_lt(max_error_ff(vitx_map_values(map), vitx_map_values(free_map),
                                         (size_t)(shape.shape[0] * shape.shape[1])),
                            TOL_MAP);
        vitx_map_free(map);
        vitx_context_free(c);
    }
    o.memory_budget = needed - 1;
    c = create(model, &o);
    ck_fails(vitx_explain(&map, c, image, &e), VITX_NOMEM, "raise memory_budget");
    vitx_context_free(c);
    vitx_map_free(free_map);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* What is said before is what is taken. */
START_TEST(test_preview__says_what_is_taken)
{
    static const int sizes[][2] = {{0, 0}, {56, 24}, {96, 96}};
    vitx_model *model = open_model("vit-hf");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        vitx_context_opts o = sized(sizes[i][0], sizes[i][1], VITX_FIT_RECIPE);
        vitx_context_info before = VITX_CONTEXT_INFO_INIT, after = VITX_CONTEXT_INFO_INIT;
        vitx_recipe recipe;
        o.max_batch = 3;
        o.threads = 2;
        ck_ok(vitx_context_preview(&before, &recipe, sizeof recipe, model, &o));
        vitx_context *c = create(model, &o);
        ck_ok(vitx_context_get_info(&after, c));
        ck_assert_uint_eq(before.activation_bytes, after.activation_bytes);
        ck_assert_uint_eq(before.weight_bytes, after.weight_bytes);
        ck_assert_int_eq(before.flops, after.flops);
        ck_assert(before.tokens == after.tokens && before.threads == after.threads &&
                  before.max_batch == after.max_batch);
        ck_assert_ptr_eq(before.recipe, &recipe);
        ck_assert_int_eq(recipe.input_height, after.recipe->input_height);
        ck_assert_int_eq(recipe.resize_width, after.recipe->resize_width);
        ck_assert(i ? strcmp(after.pos_resample, "hf") == 0 : !after.pos_resample);
        vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
        size_t bytes;
        trace.record = VITX_RECORD_ALL;
        ck_ok(vitx_trace_bytes_with(&bytes, model, &o, &trace, 3));
        ck_ok(vitx_context_set_trace(c, &trace));
        ck_ok(vitx_context_get_info(&after, c));
        ck_assert_uint_eq(bytes, after.trace_bytes);
        vitx_context_free(c);
    }
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ memory ----------------- */

/* From size to size: answers, maps, statistics. */
static int go_through_sizes(const vitx_hooks *hooks, const char *device)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_stats *stats = NULL;
    vitx_image *images[N];
    vitx_map *maps[2 * N] = {NULL};
    vitx_prediction top[N];
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = sized(0, 0, VITX_FIT_KEEP);
    vitx_explain_opts e[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    e[0].method = "scorecam";
    e[1].method = "ablationcam";
    mo.hooks = hooks;
    co.device = device;
    make_shapes(images);
    int status = vitx_model_open(&model, "test/golden/models/vit-timm", &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_classify_batch(c, (const vitx_image *const *)images, N, top, 1);
    if (status == VITX_OK)
        status = vitx_explain_many(maps, c, (const vitx_image *const *)images + 1, 3, e, 2);
    if (status == VITX_OK)
        status = vitx_stats_create(&stats, c);
    if (status == VITX_OK)
        status = vitx_stats_add(stats, (const vitx_image *const *)images, 1);
    for (int i = 0; i < 2 * N; i++)
        vitx_map_free(maps[i]);
    vitx_stats_free(stats);
    vitx_context_free(c);
    vitx_model_free(model);
    free_shapes(images);
    return status;
}

START_TEST(test_memory__every_allocation_may_fail)
{
    const char *device = _i ? "ref" : "cpu";
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(go_through_sizes(&hooks, device));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    ck_assert_int_gt(needed, 60);
    for (int n = 0; n < needed; n++) {
        r = (ration){.left = n};
        const int status = go_through_sizes(&hooks, device);
        ck_assert_msg(status == VITX_NOMEM, "with %d allocations: %s, %s", n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

static Suite *sizes_suite(void)
{
    Suite *suite = suite_create("sizes");
    TCase *tcase = tcase_create("sizes");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_positions__match_their_library);
    tcase_add_test(tcase, test_positions__keep_constants);
    tcase_add_loop_test(tcase, test_sizes__match_float64, 0, 2);
    tcase_add_test(tcase, test_sizes__real_photos);
    tcase_add_loop_test(tcase, test_every_method__lies_where_the_picture_is, 0, PLACES);
    tcase_add_test(tcase, test_sizes__the_own_size_changes_nothing);
    tcase_add_loop_test(tcase, test_keep__pictures_of_many_sizes, 0, 2);
    tcase_add_test(tcase, test_keep__within_a_size);
    tcase_add_test(tcase, test_keep__statistics_are_of_one_size);
    tcase_add_test(tcase, test_keep__every_metric);
    tcase_add_test(tcase, test_keep__a_query_beyond_the_picture);
    tcase_add_test(tcase, test_keep__options_are_bounded_by_the_picture_s_grid);
    tcase_add_test(tcase, test_keep__kernelshap_of_four_patches_is_exact);
    tcase_add_test(tcase, test_sizes__bad_options);
    tcase_add_test(tcase, test_keep__pictures_past_the_bounds);
    tcase_add_loop_test(tcase, test_budget__counts_variants, 0, 4);
    tcase_add_test(tcase, test_preview__says_what_is_taken);
    tcase_add_loop_test(tcase, test_memory__every_allocation_may_fail, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(sizes_suite)
