/*
 * Methods on given attention, without a model: the golden numbers of test/golden/explain, and
 * properties. Maps: resizing and the way back to the picture. VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/context.h"
#include "explain/method.h"
#include "util.h"

/* ------------------------------------------------------------------ a context without a model */

typedef struct bench {
    vitx_context c;
    double settings[512]; /* of the last job */
    bool attention_only;  /* the last job needs recorded attention and nothing else */
    float *attention;     /* [L,H,T,T] in device memory */
} bench;

static void *lend(size_t bytes, void *owner)
{
    (void)owner;
    return malloc(bytes);
}

static void give_back(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static void alone(void (*task)(void *arg, int i, int worker), void *arg, int count, void *owner)
{
    (void)owner;
    for (int i = 0; i < count; i++)
        task(arg, i, 0);
}

/* A device with L blocks of attention a [L,H,T,T], `prefix` tokens before a grid of gh x gw. */
static void open_bench(bench *b, const char *device, const double *a, int layers, int heads,
                       int prefix, int gh, int gw, vx_pool_kind pool)
{
    char text[160];
    const int t = prefix + gh * gw;
    const size_t plane = (size_t)heads * (size_t)t * (size_t)t;
    memset(b, 0, sizeof *b);
    ck_ok(vx_hooks_resolve(&b->c.hooks, NULL));
    b->c.arch = (vx_arch){.depth = layers,
                          .heads = heads,
                          .head_width = 4,
                          .width = 4 * heads,
                          .hidden = 8,
                          .classes = 3,
                          .channels = 3,
                          .patch_height = 2,
                          .patch_width = 2,
                          .grid_height = gh,
                          .grid_width = gw,
                          .prefix = prefix,
                          .pool = pool};
    b->c.env =
        (vx_device_env){.alloc = lend, .release = give_back, .parallel = alone, .workers = 1};
    const vx_device_class *cls = vx_device_find(device);
    ck_assert_int_eq(cls->open(&b->c.dev, &b->c.env, "f32", VX_FEATURES_ALL, text, sizeof text), 0);
    const vx_dims dims = {1, t, 4 * heads, heads, 4, 8, 3, 2, 2, 3, 0};
    ck_assert_int_eq(cls->reserve(b->c.dev, &dims, text, sizeof text), 0);
    vx_scratch_init(&b->c.scratch, &b->c.hooks);
    ck_ok(vx_plan_create(&b->c.need, &b->c.arch, &b->c.hooks));
    ck_ok(vx_plan_create(&b->c.variants.need, &b->c.arch, &b->c.hooks));
    b->attention = cls->mem_alloc((size_t)layers * plane * sizeof(float), &b->c.env);
    float *host = malloc((size_t)layers * plane * sizeof(float));
    for (size_t i = 0; i < (size_t)layers * plane; i++)
        host[i] = (float)a[i];
    cls->upload(b->c.dev, b->attention, host, (size_t)layers * plane * sizeof(float));
    ck_assert_int_eq(cls->sync(b->c.dev, text, sizeof text), 0);
    free(host);
    for (int l = 0; l < layers; l++)
        b->c.need.attention[l] = (vx_recorded){.data = b->attention + (size_t)l * plane,
                                               .keep = VX_KEEP_ALL,
                                               .prefix = prefix,
                                               .batch = 1,
                                               .heads = heads,
                                               .tokens = t};
}

static void close_bench(bench *b)
{
    const vx_device_class *cls = b->c.dev->cls;
    cls->mem_free(b->attention, &b->c.env);
    if (b->c.work.memory)
        cls->mem_free(b->c.work.memory, &b->c.env);
    cls->close(b->c.dev);
    vx_plan_dispose(&b->c.need, &b->c.hooks);
    vx_plan_dispose(&b->c.variants.need, &b->c.hooks);
    vx_scratch_dispose(&b->c.scratch);
}

static const vx_method *method(const char *name)
{
    for (int i = 0; vx_method_at(i); i++)
        if (strcmp(vx_method_at(i)->name, name) == 0)
            return vx_method_at(i);
    ck_abort_msg("no method %s", name);
    return NULL;
}

/* A job on all blocks (or one), fused heads unless `head` says one, with settings. */
static vx_job job_of(bench *b, const char *name, const char *const *set, int set_count,
                     vitx_explain_opts *opts, int layer, int head, int query)
{
    vitx_explain_opts_init(opts, sizeof *opts);
    opts->method = name;
    opts->set = set;
    opts->set_count = set_count;
    memset(b->settings, 0, sizeof b->settings);
    vx_job job = vx_job_of(&b->c, method(name), opts);
    job.settings = b->settings;
    job.heads = b->c.arch.heads;
    job.layer_first = job.layer_last = layer;
    job.head_first = job.head_last = head;
    job.query = query;
    vx_plan need;
    ck_ok(vx_plan_create(&need, job.arch, &b->c.hooks));
    ck_assert_uint_le(job.method->settings_size, sizeof b->settings);
    ck_ok(job.method->prepare(&job, &need));
    b->attention_only = !job.gradient && job.variants == 0 && need.own_from == need.depth;
    for (int l = 0; l < need.depth; l++)
        for (int at = 0; at < VX_AT_COUNT; at++)
            b->attention_only = b->attention_only && !need.blocks[l].tokens_wanted[at];
    vx_plan_dispose(&need, &b->c.hooks);
    return job;
}

/* The values of picture 0. */
static int run_job(const vx_job *job, float *out)
{
    vitx_map map = {.values = out}, *maps = &map;
    return vx_job_run(job, 0, 1, &maps);
}

/* ------------------------------------------------------------------ rollout goldens -------- */

static const char *const devices[] = {"ref", "cpu"};

static void check_rollouts(const char *device, const char *name, int layers, int heads, int prefix,
                           int gh, int gw)
{
    char path[64], text[4][32];
    snprintf(path, sizeof path, "explain/%s_attention.npy", name);
    npy a = read_npy(golden_path(path));
    snprintf(path, sizeof path, "explain/%s_rollout.npy", name);
    npy maps = read_npy(golden_path(path));
    snprintf(path, sizeof path, "explain/%s_rollout.txt", name);
    char *lines = read_file(golden_path(path), NULL);
    bench b;
    open_bench(&b, device, a.data, layers, heads, prefix, gh, gw, VX_POOL_TOKEN);
    const size_t patches = (size_t)(gh * gw);
    size_t row = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), row++) {
        char form[16], fuse[16], discard[16];
        int start, query;
        ck_assert_int_eq(sscanf(line, "%15s %15s %15s %d %d", form, fuse, discard, &start, &query),
                         5);
        const bool compat = strcmp(form, "compat") == 0;
        snprintf(text[0], sizeof text[0], "fuse=%s", fuse);
        snprintf(text[1], sizeof text[1], "discard=%s", discard);
        snprintf(text[2], sizeof text[2], "start=%d", start);
        snprintf(text[3], sizeof text[3], "compat=%s", compat ? "vit-explain" : "none");
        const char *set[] = {text[0], text[1], text[2], text[3]};
        vitx_explain_opts opts;
        vx_job job = job_of(&b, "rollout", set, 4, &opts, layers - 1, -1, query);
        float *out = malloc(patches * sizeof *out);
        double *expected = maps.data + row * patches, max = 0;
        ck_ok(run_job(&job, out));
        for (size_t p = 0; p < patches; p++)
            max = fmax(max, expected[p]);
        for (size_t p = 0; p < patches && compat && max > 0; p++)
            expected[p] /= max;
        const double error = max_error_f32(out, expected, patches);
        ck_assert_msg(error < 1e-5, "%s, %s: %s: error %g", device, name, line, error);
        free(out);
    }
    ck_assert_uint_eq(row, maps.shape[0]);
    close_bench(&b);
    free(lines);
    free_npy(&a);
    free_npy(&maps);
}

START_TEST(test_rollout__small_golden)
{
    check_rollouts(devices[_i], "small", 2, 2, 1, 2, 2);
}
END_TEST

START_TEST(test_rollout__large_golden_with_two_prefix_tokens)
{
    check_rollouts(devices[_i], "large", 4, 3, 2, 3, 3);
}
END_TEST

/* methods.md 2.14 as printed in the literature it was computed from: rownorm, mean heads, raw. */
START_TEST(test_rollout__printed_numbers)
{
    static const double raw[] = {.205407, .087720, .180691, .105034};
    npy a = read_npy(golden_path("explain/small_attention.npy"));
    bench b;
    float out[4];
    vitx_explain_opts opts;
    open_bench(&b, devices[_i], a.data, 2, 2, 1, 2, 2, VX_POOL_TOKEN);
    vx_job job = job_of(&b, "rollout", NULL, 0, &opts, 1, -1, 0);
    ck_ok(run_job(&job, out));
    for (int p = 0; p < 4; p++)
        ck_assert_double_eq_tol(out[p], raw[p], 6e-7);
    close_bench(&b);
    free_npy(&a);
}
END_TEST

/* ------------------------------------------------------------------ properties ------------- */

/* Random rows that sum to 1, [L,H,T,T]. */
static double *random_attention(rng *r, int layers, int heads, int t)
{
    double *a = malloc((size_t)(layers * heads * t * t) * sizeof *a);
    for (int row = 0; row < layers * heads * t; row++) {
        double sum = 0;
        for (int j = 0; j < t; j++)
            sum += a[row * t + j] = exp(rng_normal(r));
        for (int j = 0; j < t; j++)
            a[row * t + j] /= sum;
    }
    return a;
}

START_TEST(test_rollout__row_sums_to_one)
{
    rng r = {3};
    double *a = random_attention(&r, 3, 2, 7);
    bench b;
    float out[6];
    vitx_explain_opts opts;
    open_bench(&b, devices[_i], a, 3, 2, 1, 2, 3, VX_POOL_TOKEN);
    /* From a patch query: the patch columns and the class column together are 1. With no prefix
     * dropped that is the sum of the map, so compare with the class column's share. */
    b.c.arch.prefix = 0;
    b.c.arch.grid_height = 1;
    b.c.arch.grid_width = 7;
    float whole[7];
    vx_job job = job_of(&b, "rollout", NULL, 0, &opts, 2, -1, 4);
    ck_ok(run_job(&job, whole));
    double sum = 0;
    for (int j = 0; j < 7; j++)
        sum += whole[j];
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    b.c.arch.prefix = 1;
    b.c.arch.grid_height = 2;
    b.c.arch.grid_width = 3;
    job = job_of(&b, "rollout", NULL, 0, &opts, 2, -1, 4);
    ck_ok(run_job(&job, out));
    ck_assert_int_eq(memcmp(out, whole + 1, sizeof out), 0); /* dropped, not renormalised */
    close_bench(&b);
    free(a);
}
END_TEST

START_TEST(test_methods__uniform_attention_gives_uniform_map)
{
    double a[2 * 2 * 7 * 7];
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] = 1.0 / 7;
    for (int m = 0; vx_method_at(m); m++)
        for (int query = -1; query <= 0; query++) {
            bench b;
            float out[6];
            vitx_explain_opts opts;
            open_bench(&b, devices[_i], a, 2, 2, 1, 2, 3, VX_POOL_TOKEN);
            vx_job job = job_of(&b, vx_method_at(m)->name, NULL, 0, &opts, 1, -1, query);
            if (b.attention_only)
                ck_ok(run_job(&job, out));
            for (int p = 0; p < 6 && b.attention_only; p++)
                ck_assert_msg(fabsf(out[p] - out[0]) < 1e-6f && out[p] > 0, "%s",
                              vx_method_at(m)->name);
            close_bench(&b);
        }
}
END_TEST

/* Renaming the patches renames the map: A'[p(i),p(j)] = A[i,j] gives map'[p(j)] = map[j]. */
START_TEST(test_methods__permuted_patches_permute_the_map)
{
    enum { T = 10, L = 3, H = 2 };
    static const int to[T] = {0, 4, 2, 9, 1, 3, 8, 6, 5, 7}; /* the class token stays */
    rng r = {11};
    double *a = random_attention(&r, L, H, T), *moved = malloc(L * H * T * T * sizeof *moved);
    for (int lh = 0; lh < L * H; lh++)
        for (int i = 0; i < T; i++)
            for (int j = 0; j < T; j++)
                moved[(lh * T + to[i]) * T + to[j]] = a[(lh * T + i) * T + j];
    for (int m = 0; vx_method_at(m); m++) {
        bench b;
        float out[9], other[9];
        vitx_explain_opts opts;
        open_bench(&b, devices[_i], a, L, H, 1, 3, 3, VX_POOL_TOKEN);
        vx_job job = job_of(&b, vx_method_at(m)->name, NULL, 0, &opts, L - 1, -1, 0);
        if (!b.attention_only) {
            close_bench(&b);
            continue;
        }
        ck_ok(run_job(&job, out));
        close_bench(&b);
        open_bench(&b, devices[_i], moved, L, H, 1, 3, 3, VX_POOL_TOKEN);
        job = job_of(&b, vx_method_at(m)->name, NULL, 0, &opts, L - 1, -1, 0);
        ck_ok(run_job(&job, other));
        for (int p = 0; p < 9; p++)
            ck_assert_msg(fabsf(other[to[p + 1] - 1] - out[p]) < 1e-6f, "%s",
                          vx_method_at(m)->name);
        close_bench(&b);
    }
    free(a);
    free(moved);
}
END_TEST

/* attention: the fusions and single heads are what their names say. */
START_TEST(test_attention__fusions)
{
    static const char *const fuse[] = {"fuse=mean", "fuse=max", "fuse=min"};
    rng r = {5};
    double *a = random_attention(&r, 2, 3, 5);
    bench b;
    float out[4];
    vitx_explain_opts opts;
    open_bench(&b, devices[_i], a, 2, 3, 1, 2, 2, VX_POOL_TOKEN);
    for (int layer = 0; layer < 2; layer++)
        for (int query = -1; query < 5; query++)
            for (int kind = -3; kind < 3; kind++) { /* below 0: a head */
                vx_job job = job_of(&b, "attention", &fuse[kind < 0 ? 0 : kind], 1, &opts, layer,
                                    kind < 0 ? kind + 3 : -1, query);
                ck_ok(run_job(&job, out));
                for (int p = 0; p < 4; p++) {
                    double v[3];
                    for (int h = 0; h < 3; h++) {
                        const double *A = a + (layer * 3 + h) * 25;
                        v[h] =
                            query >= 0
                                ? A[query * 5 + p + 1]
                                : (A[5 + p + 1] + A[10 + p + 1] + A[15 + p + 1] + A[20 + p + 1]) /
                                      4;
                    }
                    const double expected = kind < 0    ? v[kind + 3]
                                            : kind == 0 ? (v[0] + v[1] + v[2]) / 3
                                            : kind == 1 ? fmax(v[0], fmax(v[1], v[2]))
                                                        : fmin(v[0], fmin(v[1], v[2]));
                    ck_assert_double_eq_tol(out[p], expected, 1e-6);
                }
            }
    close_bench(&b);
    free(a);
}
END_TEST

START_TEST(test_rollout__bad_options)
{
    static const struct {
        const char *set, *part;
    } rows[] = {{"discard=1", "below 1"},           {"discard=-0.1", "from 0 to 1"},
                {"discard=x", "discard=x"},         {"start=2", "from 0 to 1"},
                {"start=-1", "start=-1"},           {"fuse=median", "mean|max|min"},
                {"compat=yes", "none|vit-explain"}, {"discard=nan", "discard=nan"},
                {"discard=0,5", "discard=0,5"}};
    double a[2 * 2 * 25] = {0};
    bench b;
    open_bench(&b, "ref", a, 2, 2, 1, 2, 2, VX_POOL_TOKEN);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
        opts.set = &rows[i].set;
        opts.set_count = 1;
        vx_job job = vx_job_of(&b.c, method("rollout"), &opts);
        job.settings = b.settings;
        job.layer_first = job.layer_last = 1;
        job.head_first = job.head_last = -1;
        ck_fails(job.method->prepare(&job, &b.c.need), VITX_INVALID, rows[i].part);
    }
    close_bench(&b);
}
END_TEST

/* Two users of one place would overwrite each other. */
START_TEST(test_job__work_memory_has_one_user)
{
    double a[2 * 2 * 25] = {0};
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    float *work, *again;
    bench b;
    open_bench(&b, "ref", a, 2, 2, 1, 2, 2, VX_POOL_TOKEN);
    const vx_job job = vx_job_of(&b.c, method("rollout"), &opts);
    ck_ok(vx_job_work(&work, &job, 100, "rows"));
    ck_fails(vx_job_work(&again, &job, 1, "rows"), VITX_INVALID,
             "rollout takes its work memory twice");
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ the trace's plan ------- */

START_TEST(test_plan__needs_merge_into_the_least_that_serves_both)
{
    vx_arch arch = {.depth = 4, .heads = 3, .grid_height = 2, .grid_width = 2, .prefix = 1};
    vitx_hooks hooks;
    vx_plan plan;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_plan_create(&plan, &arch, &hooks));
    vx_plan_need_attention(&plan, 1, 3, VX_KEEP_FUSED, VX_FUSE_MAX, 0);
    vx_plan_need_attention(&plan, 2, 2, VX_KEEP_FUSED, VX_FUSE_MAX, 7);
    vx_plan_need_attention(&plan, 3, 3, VX_KEEP_ROW, VX_FUSE_MEAN, 0);
    vx_plan_need_attention(&plan, 0, 0, VX_KEEP_ROW, VX_FUSE_MEAN, 4);
    vx_plan_need_attention(&plan, 0, 0, VX_KEEP_ROW, VX_FUSE_MAX, 4);
    ck_assert_int_eq(plan.attention[0].keep, VX_KEEP_ROW);
    ck_assert_int_eq(plan.attention[1].keep, VX_KEEP_FUSED);
    ck_assert_int_eq(plan.attention[2].keep, VX_KEEP_FUSED);
    ck_assert_int_eq(plan.attention[3].keep, VX_KEEP_ALL);
    vx_plan_need_attention(&plan, 0, 0, VX_KEEP_ROW, VX_FUSE_MEAN, 3);
    vx_plan_need_attention(&plan, 1, 1, VX_KEEP_FUSED, VX_FUSE_MIN, 0);
    ck_assert_int_eq(plan.attention[0].keep, VX_KEEP_ALL);
    ck_assert_int_eq(plan.attention[1].keep, VX_KEEP_ALL);
    ck_assert_uint_eq(vx_recorded_bytes(&plan.attention[1], &arch), 3 * 25 * 4);
    ck_assert_uint_eq(vx_recorded_bytes(&plan.attention[2], &arch), 25 * 4);
    plan.attention[1].store = VX_STORE_F16;
    ck_assert_uint_eq(vx_recorded_bytes(&plan.attention[1], &arch), 3 * 25 * 2);
    vx_plan_dispose(&plan, &hooks);
}
END_TEST

/* ------------------------------------------------------------------ maps ------------------- */

static vitx_map *make_map(const double *values, int h, int w, const vx_placement *place, int ph,
                          int pw)
{
    vitx_hooks hooks;
    vitx_map *map;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    vitx_map_info info = VITX_MAP_INFO_INIT;
    info.method = "rollout";
    info.rank = 2;
    info.shape[0] = h;
    info.shape[1] = w;
    info.shape[2] = info.shape[3] = 1;
    info.picture_height = ph;
    info.picture_width = pw;
    ck_ok(vx_map_create(&map, &info, place, &hooks));
    for (int i = 0; i < h * w; i++)
        map->values[i] = (float)values[i];
    vx_map_finish(map);
    return map;
}

START_TEST(test_map__resize_matches_torch)
{
    static const char *const files[] = {"explain/resize_dst.npy", "explain/resize_down.npy"};
    const vx_placement place = {.scale_x = 1, .scale_y = 1, .input_w = 7, .input_h = 5};
    npy src = read_npy(golden_path("explain/resize_src.npy"));
    npy dst = read_npy(golden_path(files[_i]));
    vitx_map *map = make_map(src.data, 5, 7, &place, 5, 7), *out;
    ck_ok(vitx_map_resize(&out, map, (int)dst.shape[0], (int)dst.shape[1]));
    ck_assert_double_lt(max_error_f32(vitx_map_values(out), dst.data, dst.count), 1e-6);
    vitx_map_free(out);
    ck_fails(vitx_map_resize(&out, map, 0, 4), VITX_INVALID, "0 x 4");
    ck_assert_ptr_null(out);
    vitx_map_free(map);
    free_npy(&src);
    free_npy(&dst);
}
END_TEST

/* Floats have no room for the difference of values that they have room for. */
START_TEST(test_map__resize_of_large_values)
{
    const vx_placement place = {.scale_x = 1, .scale_y = 1, .input_w = 2, .input_h = 2};
    static const double values[4] = {-3e38, 3e38, 3e38, -3e38};
    vitx_map *map = make_map(values, 2, 2, &place, 2, 2), *out;
    ck_ok(vitx_map_resize(&out, map, 3, 4));
    const float *v = vitx_map_values(out);
    static const double row[4] = {-3e38, -1.5e38, 1.5e38, 3e38};
    for (int x = 0; x < 4; x++) {
        ck_assert_double_eq_tol(v[x] / 3e38, row[x] / 3e38, 1e-6);
        ck_assert_double_eq_tol(v[4 + x] / 3e38, 0, 1e-6);
        ck_assert_double_eq_tol(v[8 + x] / 3e38, -row[x] / 3e38, 1e-6);
    }
    vitx_map_free(out);
    vitx_map_free(map);
}
END_TEST

/* A linear ramp over the input comes back as the ramp that the crop and the resize imply. */
START_TEST(test_map__to_picture_undoes_crop_and_resize)
{
    enum { G = 8, IN = 64 };
    /* picture 200 x 100, shortest side to 80, crop 64: resized 160 x 80, left 48, top 8 */
    const vx_placement place = {.resized_w = 160,
                                .resized_h = 80,
                                .left = 48,
                                .top = 8,
                                .input_w = IN,
                                .input_h = IN,
                                .scale_x = 200.0 / 160,
                                .scale_y = 100.0 / 80};
    double ramp[G * G];
    for (int y = 0; y < G; y++)
        for (int x = 0; x < G; x++)
            ramp[y * G + x] =
                100 + (x + .5) * IN / G; /* 100 + input column at the patch's centre */
    vitx_map *map = make_map(ramp, G, G, &place, 100, 200), *out;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_to_picture(&out, map));
    ck_ok(vitx_map_get_info(&info, out));
    ck_assert_int_eq(info.shape[0], 100);
    ck_assert_int_eq(info.shape[1], 200);
    ck_assert_double_eq_tol(info.seen[0], 60, 1e-9);
    ck_assert_double_eq_tol(info.seen[1], 10, 1e-9);
    ck_assert_double_eq_tol(info.seen[2], 140, 1e-9);
    ck_assert_double_eq_tol(info.seen[3], 90, 1e-9);
    const float *v = vitx_map_values(out);
    for (int y = 0; y < 100; y++)
        for (int x = 0; x < 200; x++) {
            const bool seen = x + .5 >= 60 && x + .5 <= 140 && y + .5 >= 10 && y + .5 <= 90;
            if (!seen) {
                ck_assert_float_eq(v[y * 200 + x], 0);
                continue;
            }
            const double column = (x + .5) / 1.25 - 48;
            const double clamped =
                fmin(fmax(column, 4), 60); /* beyond the outer centres: constant */
            ck_assert_double_eq_tol(v[y * 200 + x], 100 + clamped, 1e-4);
        }
    vitx_map *again; /* there already: nothing changes */
    ck_ok(vitx_map_to_picture(&again, out));
    ck_assert_int_eq(memcmp(vitx_map_values(again), v, 100 * 200 * sizeof *v), 0);
    vitx_map_free(again);
    vitx_map_free(map);
    vitx_map_free(out);
    vitx_map_free(NULL);
}
END_TEST

START_TEST(test_methods__table_is_complete)
{
    vitx_method_info info = VITX_METHOD_INFO_INIT;
    for (int i = 0; i < vitx_method_count(); i++) {
        ck_ok(vitx_method_get(&info, i));
        ck_assert(info.name && info.summary && info.cost && info.reference);
        for (int k = 0; k < info.option_count; k++)
            ck_assert(info.options[k].key && info.options[k].fallback && info.options[k].values &&
                      info.options[k].help);
    }
    ck_assert_int_ge(vitx_method_count(), 2);
    ck_fails(vitx_method_get(&info, vitx_method_count()), VITX_INVALID, "method");
    ck_fails(vitx_method_get(&info, -1), VITX_INVALID, "method");
}
END_TEST

static Suite *explain_suite(void)
{
    Suite *suite = suite_create("explain");
    TCase *tcase = tcase_create("explain");
    tcase_add_loop_test(tcase, test_rollout__small_golden, 0, 2);
    tcase_add_loop_test(tcase, test_rollout__large_golden_with_two_prefix_tokens, 0, 2);
    tcase_add_loop_test(tcase, test_rollout__printed_numbers, 0, 2);
    tcase_add_loop_test(tcase, test_rollout__row_sums_to_one, 0, 2);
    tcase_add_loop_test(tcase, test_methods__uniform_attention_gives_uniform_map, 0, 2);
    tcase_add_loop_test(tcase, test_methods__permuted_patches_permute_the_map, 0, 2);
    tcase_add_loop_test(tcase, test_attention__fusions, 0, 2);
    tcase_add_test(tcase, test_rollout__bad_options);
    tcase_add_test(tcase, test_job__work_memory_has_one_user);
    tcase_add_test(tcase, test_plan__needs_merge_into_the_least_that_serves_both);
    tcase_add_loop_test(tcase, test_map__resize_matches_torch, 0, 2);
    tcase_add_test(tcase, test_map__resize_of_large_values);
    tcase_add_test(tcase, test_map__to_picture_undoes_crop_and_resize);
    tcase_add_test(tcase, test_methods__table_is_complete);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(explain_suite)
