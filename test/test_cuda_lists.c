/*
 * Lists of the CUDA device (kernels/cuda/list.h): what is between list_begin and list_end gives the
 * bits that it gives without, whether the list is played or a graph is launched, whatever changes
 * between two lists; and the twin's counts say that the third equal list is one graph. VX_TEST_CUDA
 * runs the first part on a GPU (cuda_bed.h). VX_TEST_THREADS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_bed.h"
#include "kernels/cuda/host/blaslt_host.h"
#include "kernels/cuda/host/machine.h"

static const vx_dims dims = {.batch = 2,
                             .tokens = 40,
                             .width = 32,
                             .heads = 2,
                             .head_width = 16,
                             .hidden = 64,
                             .channels = 3,
                             .patch_height = 4,
                             .patch_width = 4,
                             .classes = 24};

/* ------------------------------------------------------------------------------ a pass ----- */

/*
 * A chain of operations of every sort of entry: a product by cuBLASLt and its pass after it, rows,
 * kernels with one struct and with several arguments, a fill, a list of the host in a parameter.
 *
 *      y = x W^T;  p = softmax(y);  p: its smallest become 0;  z = scale p + z;  g = rows of z
 */
enum { ROWS = 24, K = 16, N = 24, MOST = 2 * ROWS * N };
typedef struct chain {
    vx_device *dev;
    vx_weight w;
    cuda_piece x, y, p, z, g;
    int m, from[3];
    int64_t smallest;
    float scale;
} chain;

static vx_far *at(const cuda_piece *piece)
{
    return cuda_at(piece);
}

static void new_contents(chain *c, uint64_t seed)
{
    float x[ROWS * K], z[ROWS * N];
    rng r = {seed};
    for (int i = 0; i < ROWS * K; i++)
        x[i] = rng_float(&r, -1, 1);
    for (int i = 0; i < ROWS * N; i++)
        z[i] = rng_float(&r, -1, 1);
    c->dev->cls->upload(c->dev, at(&c->x), x, sizeof x);
    c->dev->cls->upload(c->dev, at(&c->z), z, sizeof z);
    cuda_sync(c->dev);
}

static void fill_matrix(chain *c, const char *precision)
{
    char err[200] = "";
    float rows[N * K];
    rng r = {77};
    const vx_packing *packing = c->dev->cls->packing_for(precision, VX_LAYER_QKV, 0);
    void *data = c->dev->cls->mem_alloc(packing->bytes(N, K), &c->dev->env);
    for (int i = 0; i < N * K; i++)
        rows[i] = rng_float(&r, -1, 1);
    c->w = (vx_weight){.data = data, .n = N, .k = K, .packing = packing};
    ck_assert_msg(packing->pack(&c->dev->env, &c->w, rows, 0, N, err, sizeof err) == 0, "%s", err);
}

static chain open_chain(const char *precision, unsigned features)
{
    chain c = {.dev = cuda_open(0, precision, features, &dims),
               .m = ROWS,
               .from = {3, 0, 7},
               .smallest = 100,
               .scale = 0.5f};
    float zeros[ROWS * N] = {0};
    fill_matrix(&c, precision);
    c.x = cuda_send(c.dev, zeros, ROWS * K * sizeof(float), 0);
    c.y = cuda_send(c.dev, zeros, sizeof zeros, 0);
    c.p = cuda_send(c.dev, zeros, sizeof zeros, 0);
    c.z = cuda_send(c.dev, zeros, sizeof zeros, 0);
    c.g = cuda_send(c.dev, zeros, 3 * N * sizeof(float), 0);
    return c;
}

static void close_chain(chain *c)
{
    cuda_free(&c->x);
    cuda_free(&c->y);
    cuda_free(&c->p);
    cuda_free(&c->z);
    cuda_free(&c->g);
    c->dev->cls->mem_free((void *)(uintptr_t)c->w.data, &c->dev->env);
    c->dev->cls->close(c->dev);
}

static void queue_product(const chain *c)
{
    c->dev->ops.linear(c->dev, &(vx_linear){.y = at(&c->y),
                                            .ldy = N,
                                            .x = at(&c->x),
                                            .ldx = K,
                                            .w = &c->w,
                                            .m = c->m,
                                            .act = VX_ACT_GELU});
}

static void queue_rest(const chain *c)
{
    const vx_ops *ops = &c->dev->ops;
    ops->softmax(c->dev, &(vx_softmax){.y = at(&c->p), .x = at(&c->y), .m = c->m, .n = N});
    ops->discard_smallest(
        c->dev,
        &(vx_discard_smallest){.f = at(&c->p), .count = c->smallest, .batch = 1, .tokens = ROWS});
    ops->copy_rows(c->dev, &(vx_copy_rows){.y = at(&c->z),
                                           .ldy = N,
                                           .x = at(&c->p),
                                           .ldx = N,
                                           .m = c->m,
                                           .n = N,
                                           .scale = c->scale,
                                           .accumulate = 1});
    ops->gather_rows(
        c->dev,
        &(vx_gather_rows){.y = at(&c->g), .a = at(&c->z), .from = c->from, .rows = 3, .width = N});
}

static void begin(const chain *c)
{
    c->dev->cls->list_begin(c->dev);
}

static void end(const chain *c)
{
    c->dev->cls->list_end(c->dev);
}

static void queue_pass(const chain *c)
{
    begin(c);
    queue_product(c);
    queue_rest(c);
    end(c);
}

typedef struct answers {
    float z[ROWS * N], g[3 * N];
} answers;

static void fetch(answers *out, const chain *c)
{
    cuda_fetch(out->z, &c->z, "z");
    cuda_fetch(out->g, &c->g, "g");
}

/* A pass over new numbers gives on `c`, with lists, the bits that it gives on `plain`. */
static void check_pass(chain *c, chain *plain, uint64_t seed)
{
    answers found, expected;
    new_contents(c, seed);
    new_contents(plain, seed);
    plain->m = c->m;
    plain->smallest = c->smallest;
    plain->scale = c->scale;
    memcpy(plain->from, c->from, sizeof c->from);
    queue_pass(c);
    queue_pass(plain);
    fetch(&found, c);
    fetch(&expected, plain);
    ck_assert_msg(memcmp(&found, &expected, sizeof found) == 0, "pass %d differs", (int)seed);
}

typedef struct pair {
    chain with, without;
} pair;

static pair open_pair(const char *precision, unsigned features)
{
    return (pair){open_chain(precision, features),
                  open_chain(precision, features & ~VX_CUDA_LISTS)};
}

static void close_pair(pair *p)
{
    close_chain(&p->with);
    close_chain(&p->without);
}

static const char *const precisions[] = {"bf16", "f32", "bf16x3", "f16"};
static const unsigned features[] = {VX_FEATURES_ALL, VX_CUDA_LISTS | VX_CUDA_MMA, VX_CUDA_LISTS};
enum { PRECISIONS = 4, FEATURES = 3 };

START_TEST(test_lists__give_the_same_bits)
{
    for (int f = 0; f < (SANITIZED ? 1 : FEATURES); f++) {
        pair p = open_pair(precisions[_i], features[f]);
        for (uint64_t pass = 1; pass <= 6; pass++)
            check_pass(&p.with, &p.without, pass);
        close_pair(&p);
    }
}
END_TEST

/* What is in the arguments counts, the last of them, too, and what a pointer to the host shows. */
START_TEST(test_lists__that_differ_are_others)
{
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    chain *c = &p.with;
    cuda_piece other = cuda_send(c->dev, NULL, ROWS * N * sizeof(float), 0);
    const cuda_piece z = c->z;
    for (uint64_t pass = 1; pass < 5; pass++)
        check_pass(c, &p.without, pass);
    c->scale = 0.25f;
    check_pass(c, &p.without, 10);
    c->smallest = 101;
    check_pass(c, &p.without, 11);
    c->from[2] = 8;
    check_pass(c, &p.without, 12);
    c->m = 11;
    check_pass(c, &p.without, 13);
    c->z = other;
    check_pass(c, &p.without, 14);
    c->z = z;
    check_pass(c, &p.without, 15);
    cuda_free(&other);
    close_pair(&p);
}
END_TEST

/* Copies and waits inside of a list are done in their order. */
START_TEST(test_lists__are_broken_by_copies)
{
    pair p = open_pair("f32", VX_FEATURES_ALL);
    float first[3][ROWS * N], other[ROWS * K];
    answers last[3];
    for (int i = 0; i < ROWS * K; i++)
        other[i] = (float)(i % 7);
    for (int run = 0; run < 3; run++) {
        const chain *c = run < 2 ? &p.with : &p.without;
        const vx_device_class *cls = c->dev->cls;
        new_contents((chain *)c, 5);
        begin(c);
        queue_product(c);
        queue_rest(c);
        cls->download(c->dev, first[run], at(&c->z), sizeof first[run]);
        if (run)
            cuda_sync(c->dev);
        queue_product(c);
        cls->upload(c->dev, at(&c->x), other, sizeof other);
        queue_product(c);
        queue_rest(c);
        end(c);
        fetch(&last[run], c);
    }
    for (int run = 0; run < 2; run++) {
        ck_assert_int_eq(memcmp(first[run], first[2], sizeof first[2]), 0);
        ck_assert_int_eq(memcmp(&last[run], &last[2], sizeof last[2]), 0);
    }
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------------- what is queued -- */

static vx_machine_counts counts_of(const chain *c, bool fresh)
{
    vx_machine_counts before, after;
    if (fresh)
        new_contents((chain *)c, 3);
    vx_machine_count(&before);
    queue_pass(c);
    vx_machine_count(&after);
    after.queued -= before.queued;
    after.graphs -= before.graphs;
    after.captures -= before.captures;
    return after;
}

static void expect_counts(const chain *c, int64_t queued, int64_t graphs, int64_t captures)
{
    const vx_machine_counts n = counts_of(c, true);
    ck_assert_int_eq(n.queued, queued);
    ck_assert_int_eq(n.graphs, graphs);
    ck_assert_int_eq(n.captures, captures);
}

/* Until then, whatever a list does. */
static void warm_up(chain *c)
{
    new_contents(c, 1);
    queue_pass(c);
    cuda_sync(c->dev);
}

START_TEST(test_lists__third_is_one_graph)
{
    if (!cuda_is_twin("the third list is one graph"))
        return;
    chain c = open_chain("bf16", VX_FEATURES_ALL);
    vx_machine_schedule(_i ? VX_SCHEDULE_AHEAD : VX_SCHEDULE_REVERSE);
    warm_up(&c); /* the first product of a shape breaks the list */
    const int64_t each = counts_of(&c, true).queued;
    ck_assert_int_gt(each, 8);
    expect_counts(&c, 1, 1, 1);
    for (int i = 0; i < 3; i++)
        expect_counts(&c, 1, 1, 0);
    c.m--; /* another shape of the product */
    expect_counts(&c, each, 0, 0);
    expect_counts(&c, each, 0, 0);
    expect_counts(&c, 1, 1, 1);
    c.m++; /* the first is still there */
    expect_counts(&c, 1, 1, 0);
    close_chain(&c);
    vx_machine_schedule(VX_SCHEDULE_FORWARD);
}
END_TEST

START_TEST(test_lists__need_their_feature)
{
    if (!cuda_is_twin("without lists"))
        return;
    chain c = open_chain("bf16", VX_FEATURES_ALL & ~VX_CUDA_LISTS);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(counts_of(&c, true).graphs, 0);
    close_chain(&c);
}
END_TEST

/* As many as are kept have a graph each; with one more than that the oldest is gone each time. */
START_TEST(test_lists__oldest_goes)
{
    if (!cuda_is_twin("the oldest list goes"))
        return;
    enum { KEPT = 8 };
    pair p = open_pair("f32", VX_CUDA_LISTS);
    for (int count = KEPT; count <= KEPT + 1; count++)
        for (int round = 0; round < 4; round++)
            for (int i = 0; i < count; i++) {
                vx_machine_counts before, after;
                p.with.scale = (float)(100 * count + i);
                vx_machine_count(&before);
                check_pass(&p.with, &p.without, (uint64_t)(1 + i + 10 * round));
                vx_machine_count(&after);
                ck_assert_int_eq(after.graphs - before.graphs, count == KEPT && round > 0);
                ck_assert_int_eq(after.captures - before.captures, count == KEPT && round == 1);
            }
    close_pair(&p);
}
END_TEST

/* What is used again and again stays, however many others there are. */
START_TEST(test_lists__that_are_used_stay)
{
    if (!cuda_is_twin("lists that are used stay"))
        return;
    chain c = open_chain("f32", VX_CUDA_LISTS);
    for (int i = 0; i < 20; i++) {
        c.scale = (float)(1 + i);
        ck_assert_int_eq(counts_of(&c, true).graphs, 0);
        c.scale = 0;
        ck_assert_int_eq(counts_of(&c, true).graphs, i > 0);
    }
    close_chain(&c);
}
END_TEST

/* More memory to work in: what has the old one in it is forgotten. */
START_TEST(test_lists__are_forgotten_by_reserve)
{
    if (!cuda_is_twin("lists are forgotten by reserve"))
        return;
    char err[200] = "";
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    vx_machine_counts counts;
    vx_dims more = dims;
    more.tokens = 400;
    more.hidden = 4000;
    for (uint64_t pass = 1; pass < 4; pass++)
        check_pass(&p.with, &p.without, pass);
    expect_counts(&p.with, 1, 1, 0);
    vx_machine_count(&counts);
    const int64_t alive = counts.alive;
    ck_assert_int_eq(p.with.dev->cls->reserve(p.with.dev, &more, err, sizeof err), 0);
    vx_machine_count(&counts);
    ck_assert_int_eq(counts.alive, alive - 1);
    ck_assert_int_eq(counts_of(&p.with, true).graphs, 0);
    for (uint64_t pass = 1; pass < 4; pass++)
        check_pass(&p.with, &p.without, pass);
    expect_counts(&p.with, 1, 1, 0);
    close_pair(&p);
}
END_TEST

/* Longer than the memory there was: the next one has more. Longer than the most: never a graph. */
START_TEST(test_lists__of_any_length)
{
    if (!cuda_is_twin("lists of any length"))
        return;
    static const int lengths[] = {2000, 9000};
    chain c = open_chain("f32", VX_CUDA_LISTS);
    for (int l = 0; l < (SANITIZED ? 1 : 2); l++)
        for (int pass = 0; pass < 8; pass++) {
            vx_machine_counts before, after;
            float g[3 * N];
            vx_machine_count(&before);
            c.dev->ops.clear(c.dev, &(vx_clear){.y = at(&c.g), .count = N});
            begin(&c);
            for (int i = 0; i < lengths[l]; i++)
                c.dev->ops.copy_rows(c.dev, &(vx_copy_rows){.y = at(&c.g) + (i % 3 ? 0 : N),
                                                            .ldy = N,
                                                            .x = at(&c.g) + 2 * N,
                                                            .ldx = N,
                                                            .m = 1,
                                                            .n = 4,
                                                            .scale = (float)i});
            end(&c);
            vx_machine_count(&after);
            cuda_fetch(g, &c.g, "g");
            ck_assert_int_eq(after.graphs - before.graphs, l == 0 && pass > 3);
        }
    close_chain(&c);
}
END_TEST

/* ---------------------------------------------------------------------- what goes wrong ---- */

static int said;
static char last_said[200];

static void hear(const char *line, void *owner)
{
    (void)owner;
    said++;
    snprintf(last_said, sizeof last_said, "%s", line);
}

/* A capture that fails changes nothing but the time. Three of a list, and one line in the log. */
START_TEST(test_captures__may_fail)
{
    if (!cuda_is_twin("captures may fail"))
        return;
    static const vx_captures ways[] = {VX_CAPTURES_NONE, VX_CAPTURES_INVALID, VX_CAPTURES_NO_GRAPH};
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    vx_machine_counts before, after;
    p.with.dev->env.log = hear;
    said = 0;
    vx_machine_captures(ways[_i]);
    vx_machine_count(&before);
    for (uint64_t pass = 1; pass < 9; pass++)
        check_pass(&p.with, &p.without, pass);
    vx_machine_count(&after);
    ck_assert_int_eq(after.captures - before.captures, 3);
    ck_assert_int_eq(after.graphs - before.graphs, 0);
    ck_assert_int_eq(said, 1);
    ck_assert_ptr_nonnull(strstr(last_said, "a pass is no graph: "));
    vx_machine_captures(VX_CAPTURES_SUCCEED);
    p.with.scale = 3; /* another list */
    for (uint64_t pass = 1; pass < 4; pass++)
        check_pass(&p.with, &p.without, pass);
    expect_counts(&p.with, 1, 1, 0);
    close_pair(&p);
}
END_TEST

/* A launch that fails in the capture alone: nobody hears of it, and the next pass is a graph. */
START_TEST(test_captures__launch_that_fails_in_one)
{
    if (!cuda_is_twin("a launch that fails in a capture"))
        return;
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    check_pass(&p.with, &p.without, 1);
    check_pass(&p.with, &p.without, 2);
    answers found, expected;
    for (int run = 0; run < 2; run++) {
        new_contents(run ? &p.with : &p.without, 3);
        vx_machine_fail_launch(run ? 2 : -1);
        queue_pass(run ? &p.with : &p.without);
        vx_machine_fail_launch(-1);
        fetch(run ? &found : &expected, run ? &p.with : &p.without);
    }
    ck_assert_int_eq(memcmp(&found, &expected, sizeof found), 0);
    expect_counts(&p.with, 1, 1, 1);
    close_pair(&p);
}
END_TEST

static void sync_says(chain *c, const char *words)
{
    char err[200] = "";
    ck_assert_int_eq(c->dev->cls->sync(c->dev, err, sizeof err), VX_DEVICE_FAILED);
    ck_assert_msg(strstr(err, words) != NULL, "\"%s\" lacks \"%s\"", err, words);
}

/* An error of a list that is played is its operation's; one of a graph is a graph's. Nothing after
 * it is queued, and the next pass is as if nothing had been. */
START_TEST(test_errors__of_lists_are_reported)
{
    if (!cuda_is_twin("errors of lists"))
        return;
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    chain *c = &p.with;
    check_pass(c, &p.without, 1);
    vx_machine_fail_launch(2);
    queue_pass(c);
    vx_machine_fail_launch(-1);
    begin(c);
    queue_rest(c);
    end(c);
    sync_says(c, "softmax: unspecified launch failure (");
    for (uint64_t pass = 2; pass < 5; pass++)
        check_pass(c, &p.without, pass);
    expect_counts(c, 1, 1, 0);
    new_contents(c, 3);
    vx_machine_fail_launch(3);
    queue_pass(c);
    vx_machine_fail_launch(-1);
    sync_says(c, "graph: unspecified launch failure");
    ck_assert_int_eq(counts_of(c, true).graphs, 0); /* such a graph is not trusted again */
    for (uint64_t pass = 2; pass < 5; pass++)
        check_pass(c, &p.without, pass);
    close_pair(&p);
}
END_TEST

/* What fails while the list is written is reported, and the list is not played. */
START_TEST(test_errors__without_reserve)
{
    if (!cuda_is_twin("lists without reserve"))
        return;
    char err[200] = "";
    chain c = open_chain("bf16", 0);
    vx_device *bare;
    ck_assert_int_eq(c.dev->cls->open(&bare, &c.dev->env, "bf16", VX_CUDA_LISTS, err, sizeof err),
                     0);
    chain with = c;
    with.dev = bare;
    for (int i = 0; i < 4; i++) {
        queue_pass(&with);
        sync_says(&with, "linear: ");
    }
    bare->cls->close(bare);
    close_chain(&c);
}
END_TEST

/* Products that cuBLASLt does not make, for whatever reason, and one that fails. */
START_TEST(test_products__of_lists_are_replaced)
{
    if (!cuda_is_twin("products of lists are replaced"))
        return;
    static const int ways[] = {VX_LT_NO_WAY, VX_LT_UNSUPPORTED};
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    vx_blaslt_host_behave(ways[_i]);
    const long made = vx_blaslt_host_products();
    for (uint64_t pass = 1; pass < 6; pass++)
        check_pass(&p.with, &p.without, pass);
    ck_assert_int_eq(vx_blaslt_host_products(), made);
    expect_counts(&p.with, 1, 1, 0);
    vx_blaslt_host_behave(VX_LT_WILLING);
    close_pair(&p);
}
END_TEST

START_TEST(test_products__of_lists_that_fail)
{
    if (!cuda_is_twin("products of lists that fail"))
        return;
    pair p = open_pair("bf16", VX_FEATURES_ALL);
    check_pass(&p.with, &p.without, 1);
    vx_blaslt_host_behave(VX_LT_BREAKS);
    new_contents(&p.with, 2);
    queue_pass(&p.with);
    vx_blaslt_host_behave(VX_LT_WILLING);
    sync_says(&p.with, "linear: unspecified launch failure (product by cuBLASLt)");
    for (uint64_t pass = 2; pass < 6; pass++)
        check_pass(&p.with, &p.without, pass);
    close_pair(&p);
}
END_TEST

/* Memory of the host for lists is refused, at first and when they become longer. */
static int refuse_from;

static void *scarce(size_t bytes, void *owner)
{
    (void)owner;
    return refuse_from-- > 0 ? malloc(bytes) : NULL;
}

START_TEST(test_memory__of_lists_may_be_refused)
{
    if (!cuda_is_twin("memory of lists"))
        return;
    for (int given = 0; given < 12; given++) {
        pair p = open_pair("bf16", VX_FEATURES_ALL);
        p.with.dev->env.alloc = scarce;
        refuse_from = given;
        for (uint64_t pass = 1; pass < 6; pass++)
            check_pass(&p.with, &p.without, pass);
        const vx_machine_counts n = counts_of(&p.with, true);
        ck_assert_int_eq(n.graphs, given > 1);
        close_pair(&p);
    }
}
END_TEST

/* --------------------------------------------------------------------- several threads ----- */

/* Captures, while other threads make and destroy handles of cuBLASLt, and allocate. */
static void *worker(void *arg)
{
    const int number = *(const int *)arg;
    vx_machine_captures(VX_CAPTURES_SLOW);
    for (int round = 0; round < (SANITIZED_THREADS ? 1 : 4); round++) {
        pair p = open_pair("bf16", VX_FEATURES_ALL);
        p.with.m -= number;
        for (uint64_t pass = 1; pass < 5; pass++)
            check_pass(&p.with, &p.without, pass);
        expect_counts(&p.with, 1, 1, 0);
        close_pair(&p);
    }
    return NULL;
}

START_TEST(test_threads__have_lists_of_their_own)
{
    if (!cuda_is_twin("lists of several threads"))
        return;
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_lists");
    TCase *t = tcase_create("bits"), *rest = tcase_create("what is queued");
    if (SANITIZED_THREADS) { /* the kernels have tests of their own, and one thread has no races */
        tcase_add_test(t, test_threads__have_lists_of_their_own);
        suite_add_tcase(s, t);
        suite_add_tcase(s, rest);
        return s;
    }
    tcase_add_loop_test(t, test_lists__give_the_same_bits, 0, SANITIZED ? 2 : PRECISIONS);
    tcase_add_test(t, test_lists__that_differ_are_others);
    tcase_add_test(t, test_lists__are_broken_by_copies);
    tcase_add_loop_test(rest, test_lists__third_is_one_graph, 0, 2);
    tcase_add_test(rest, test_lists__need_their_feature);
    tcase_add_test(rest, test_lists__oldest_goes);
    tcase_add_test(rest, test_lists__that_are_used_stay);
    tcase_add_test(rest, test_lists__are_forgotten_by_reserve);
    tcase_add_test(rest, test_lists__of_any_length);
    tcase_add_loop_test(rest, test_captures__may_fail, 0, 3);
    tcase_add_test(rest, test_captures__launch_that_fails_in_one);
    tcase_add_test(rest, test_errors__of_lists_are_reported);
    tcase_add_test(rest, test_errors__without_reserve);
    tcase_add_loop_test(rest, test_products__of_lists_are_replaced, 0, 2);
    tcase_add_test(rest, test_products__of_lists_that_fail);
    tcase_add_test(rest, test_memory__of_lists_may_be_refused);
    tcase_add_test(rest, test_threads__have_lists_of_their_own);
    suite_add_tcase(s, t);
    suite_add_tcase(s, rest);
    return s;
}

VX_TEST_MAIN(suite)
