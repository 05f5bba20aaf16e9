/*
 * The machine under the host twin (kernels/cuda/host/machine.h): its operations give what a GPU's
 * do, kernels that are right pass in each order, and each planted bug (test/cuda/bugs.def) is found
 * by the runs that must find it. VX_TEST_THREADS
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/bits.h"
#include "kernels/cuda/host/machine.h"
#include "kernels/cuda/runtime.h"
#include "test/cuda/bugs.h"
#include "util.h"

enum { ROWS = 7, N = 60, TOKENS = 75, E = VX_TILE_WIDTH };
enum { LANES = VX_EXCHANGE_BLOCKS * VX_EXCHANGE_THREADS };

/* What a run shows is written to a file: reports go to stderr. */
static char said[1500]; /* a message of Check has 8 KiB at most */

#if SANITIZED_THREADS
/* The races of this program are planted, many at one address. Names of functions would take
 * seconds. The sanitizer's library looks the function up, so it has to be visible. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "exitcode=0:symbolize=0:suppress_equal_addresses=0";
}
#endif

/* ---------------------------------------------- the three kernels ---------------------------- */

typedef struct bench {
    vx_gpu_stream stream;
    void *taken[8];
    int count;
} bench;

static void open_bench(bench *b)
{
    memset(b, 0, sizeof *b);
    ck_assert_int_eq(vx_gpu_stream_open(&b->stream), 0);
}

static void *room(bench *b, size_t bytes, const void *filled)
{
    void **at = &b->taken[b->count++];
    ck_assert_int_eq(vx_gpu_alloc(at, bytes), 0);
    if (filled)
        vx_gpu_upload(&b->stream, *at, filled, bytes);
    return *at;
}

static int read_back(bench *b, void *to, const void *from, size_t bytes)
{
    vx_gpu_download(&b->stream, to, from, bytes);
    return vx_gpu_sync(&b->stream, NULL);
}

static void close_bench(bench *b)
{
    while (b->count)
        vx_gpu_free(b->taken[--b->count]);
    vx_gpu_stream_close(&b->stream);
}

static int near(double got, double wanted, double limit)
{
    return fabs(got - wanted) <= limit; /* false for a NaN */
}

/* Numbers between -1 and 1, so far apart that a result is wrong if two are mixed up. */
static float number(int i)
{
    return (float)(i * 7919 % 1009) / 504.5f - 1;
}

static int norm_is_right(vx_bug bug)
{
    static __thread float x[ROWS * N], y[ROWS * N];
    bench b;
    int right = 1;
    open_bench(&b);
    for (int i = 0; i < ROWS * N; i++)
        x[i] = number(i);
    float *to = room(&b, sizeof y, NULL);
    vx_test_norm(bug, &b.stream, to, room(&b, sizeof x, x), ROWS, N);
    right &= read_back(&b, y, to, sizeof y) == 0;
    for (int r = 0; r < ROWS; r++) {
        double mean = 0, var = 0;
        for (int i = 0; i < N; i++)
            mean += x[r * N + i] / (double)N;
        for (int i = 0; i < N; i++)
            var += (x[r * N + i] - mean) * (x[r * N + i] - mean) / N;
        for (int i = 0; i < N; i++)
            right &= near(y[r * N + i], (x[r * N + N - 1 - i] - mean) / sqrt(var + 1e-5), 1e-4);
    }
    close_bench(&b);
    return right;
}

static uint16_t bf16_of(float x)
{
    return (uint16_t)(vx_float_bits(x) >> 16);
}

static double of_bf16(uint16_t x)
{
    return vx_bits_float((uint32_t)x << 16);
}

static int row_is_right(const uint16_t *q, const uint16_t *k, const uint16_t *v, const float *y,
                        const float *scores)
{
    double p[TOKENS], sum = 0;
    int right = 1;
    for (int j = 0; j < TOKENS; j++) {
        p[j] = 0;
        for (int e = 0; e < E; e++)
            p[j] += of_bf16(q[e]) * of_bf16(k[j * E + e]);
        right &= near(scores[j], p[j], 1e-4);
        p[j] = exp(p[j]);
        sum += p[j];
    }
    for (int e = 0; e < E; e++) {
        double wanted = 0;
        for (int j = 0; j < TOKENS; j++)
            wanted += p[j] / sum * of_bf16(v[j * E + e]);
        right &= near(y[e], wanted, 5e-3); /* P has 8 bits */
    }
    return right;
}

static int tile_is_right(vx_bug bug)
{
    static __thread uint16_t q[TOKENS * E], k[TOKENS * E], v[TOKENS * E];
    static __thread float y[TOKENS * E], scores[TOKENS * TOKENS];
    bench b;
    int right = 1;
    open_bench(&b);
    for (int i = 0; i < TOKENS * E; i++) {
        q[i] = bf16_of(number(3 * i) * 1.5f);
        k[i] = bf16_of(number(5 * i + 1));
        v[i] = bf16_of(number(11 * i + 2));
    }
    float *to = room(&b, sizeof y, NULL), *record = room(&b, sizeof scores, NULL);
    const uint16_t *gq = room(&b, sizeof q, q), *gk = room(&b, sizeof k, k);
    vx_test_tile(bug, &b.stream, to, record, gq, gk, room(&b, sizeof v, v), TOKENS);
    right &= read_back(&b, y, to, sizeof y) == 0;
    right &= read_back(&b, scores, record, sizeof scores) == 0;
    for (int i = 0; i < TOKENS; i++)
        right &= row_is_right(q + i * E, k, v, y + i * E, scores + i * TOKENS);
    close_bench(&b);
    return right;
}

static int exchange_is_right(vx_bug bug)
{
    float x[LANES], y[LANES], z[VX_EXCHANGE_BLOCKS + 1] = {0};
    bench b;
    int count = 0, right = 1;
    open_bench(&b);
    for (int i = 0; i < LANES; i++)
        x[i] = (float)i;
    float *to = room(&b, sizeof y, NULL), *sums = room(&b, sizeof z, z);
    int *counter = room(&b, sizeof count, &count);
    vx_test_exchange(bug, &b.stream, to, room(&b, sizeof x, x), sums, counter);
    right &= read_back(&b, y, to, sizeof y) == 0 && read_back(&b, z, sums, sizeof z) == 0;
    right &= read_back(&b, &count, counter, sizeof count) == 0 && count == LANES;
    for (int i = 0; i < LANES; i++) {
        const int from = i / 32 * 32 + (i % 32 + 5 * VX_EXCHANGES) % 32;
        right &= y[i] == (float)(8 * from + 7);
    }
    for (int i = 0; i <= VX_EXCHANGE_BLOCKS; i++)
        right &= z[i] == (float)i;
    close_bench(&b);
    return right;
}

/* ---------------------------------------------- the planted bugs ----------------------------- */

enum { R = 1, A = 2, S = 4, T = 8 };

static const struct planted {
    const char *name;
    vx_bug bug;
    int (*is_right)(vx_bug bug);
    int runs;
    const char *text;
} planted[] = {
#define VX_BUG(kernel, name, runs, text, what)                                                     \
    {#kernel "." #name, VX_BUG_##kernel##_##name, kernel##_is_right, runs, text},
#include "test/cuda/bugs.def"
#undef VX_BUG
};
enum { PLANTED = sizeof planted / sizeof planted[0] };

/* What was written to stderr while `run` ran. */
static void listen(void (*run)(void *), void *arg)
{
    FILE *file = tmpfile();
    const int before = dup(STDERR_FILENO);
    ck_assert_ptr_nonnull(file);
    fflush(NULL);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    run(arg);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = 0;
    fclose(file);
}

typedef struct trial {
    const struct planted *p;
    int schedule, right;
} trial;

static void here(void *arg)
{
    trial *t = arg;
    vx_machine_schedule(t->schedule);
    t->right = t->p->is_right(t->p->bug);
}

/* In a process of its own, which a report ends. */
static void apart(void *arg)
{
    trial *t = arg;
    int status = 0;
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        here(t);
        _exit(t->right ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    t->right = WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int is_found(const struct planted *p, int schedule)
{
    trial t = {p, schedule, 1};
    listen(SANITIZED_THREADS ? here : apart, &t);
    if (SANITIZED_THREADS)
        return strstr(said, "data race") != NULL;
    return !t.right;
}

static void must_find(const struct planted *p, int schedule, int with_text)
{
    ck_assert_msg(is_found(p, schedule), "%s was not found in order %d", p->name, schedule);
    if (with_text)
        ck_assert_msg(strstr(said, p->text), "%s in order %d does not say \"%s\" but: %s", p->name,
                      schedule, p->text, said);
}

START_TEST(finds_planted_bug)
{
    const struct planted *p = &planted[_i];
    if (SANITIZED_THREADS) {
        if (p->runs & T)
            must_find(p, VX_SCHEDULE_FORWARD, 0);
    } else if (SANITIZED) {
        if (p->runs & S)
            must_find(p, VX_SCHEDULE_REVERSE, 0);
    } else {
        if (p->runs & R)
            must_find(p, VX_SCHEDULE_REVERSE, 1);
        if (p->runs & A)
            must_find(p, VX_SCHEDULE_AHEAD, 1);
    }
}
END_TEST

/* test_cuda_machine --found: what each order finds, for docs/cuda.md. The thread sanitizer, which
 * reports a place once, has forward order alone. */
START_TEST(print_found)
{
    for (int i = 0; i < PLANTED; i++) {
        char found[VX_SCHEDULES + 1] = "";
        for (int k = 0; k < (SANITIZED_THREADS ? (planted[i].runs & T) / T : VX_SCHEDULES); k++)
            found[k] = is_found(&planted[i], k) ? 'x' : '-';
        printf("%-32s %s  %.*s\n", planted[i].name, found, (int)strcspn(said, "\n"), said);
    }
}
END_TEST

/* ---------------------------------------------- what is right -------------------------------- */

static void all_right(void *arg)
{
    int *right = arg;
    *right =
        norm_is_right(VX_BUG_none) && tile_is_right(VX_BUG_none) && exchange_is_right(VX_BUG_none);
}

enum { MANY = 3 };

START_TEST(right_kernels_pass)
{
    int right = 0;
    vx_machine_seed(17);
    vx_machine_schedule(_i);
    listen(all_right, &right);
    vx_machine_schedule(VX_SCHEDULE_FORWARD);
    ck_assert_msg(right, "order %d gives another result; %s", _i, said);
    ck_assert_msg(!strstr(said, "data race"), "order %d: %s", _i, said);
}
END_TEST

static void *one_of_many(void *arg)
{
    int *right = arg;
    *right = 1;
    for (int i = 0; i < 3; i++)
        *right &= tile_is_right(VX_BUG_none) && exchange_is_right(VX_BUG_none);
    return NULL;
}

static void many(void *arg)
{
    pthread_t threads[MANY];
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, one_of_many, (int *)arg + i), 0);
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(threads_launch_at_once)
{
    int right[MANY] = {0};
    listen(many, right);
    ck_assert_msg(right[0] && right[1] && right[2] && !strstr(said, "data race"), "%s", said);
}
END_TEST

static uint32_t warp_wanted(int row, int lane, const uint32_t *in)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(in[i] % 3 == 0) << i;
    switch (row) {
    case 0:
        return in[lane ^ 5];
    case 1:
        return in[lane + 3 < 32 ? lane + 3 : lane];
    case 2:
        return in[lane >= 3 ? lane - 3 : lane];
    case 3:
        return in[lane % 8 + 3 < 8 ? lane + 3 : lane];
    case 4:
        return in[lane / 2];
    case 5:
        return bits;
    default:
        return 2; /* one is 7, so not all are something else */
    }
}

START_TEST(warp_operations)
{
    uint32_t in[32], out[7][32];
    bench b;
    open_bench(&b);
    for (int i = 0; i < 32; i++)
        in[i] = (uint32_t)(i * 5 + 2);
    uint32_t *to = room(&b, sizeof out, NULL);
    vx_test_warp(&b.stream, to, room(&b, sizeof in, in));
    ck_assert_int_eq(read_back(&b, out, to, sizeof out), 0);
    for (int row = 0; row < 7; row++)
        for (int lane = 0; lane < 32; lane++)
            ck_assert_uint_eq(out[row][lane], warp_wanted(row, lane, in));
    close_bench(&b);
}
END_TEST

/* Halfway cases go to the even neighbour; f16 ends at 65504, bf16 where f32 does. */
START_TEST(narrow_numbers)
{
    enum { COUNT = 8 };
    const float x[COUNT] = {
        1, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1p-11f, 1 + 3 * 0x1p-11f, 65520, 0x1p-24f, 1e30f};
    const float bf16[COUNT] = {1, 1, 1 + 0x1p-6f, 1, 1, 65536, 0x1p-24f, 0x1.94p99f};
    const float f16[COUNT] = {1,           1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1,
                              1 + 0x1p-9f, INFINITY,    0x1p-24f,        INFINITY};
    float out[6][COUNT];
    bench b;
    open_bench(&b);
    float *to = room(&b, sizeof out, NULL);
    vx_test_numbers(&b.stream, to, room(&b, sizeof x, x), COUNT);
    ck_assert_int_eq(read_back(&b, out, to, sizeof out), 0);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_float_eq(out[0][i], bf16[i]);
        ck_assert_float_eq(out[1][i], f16[i]);
        ck_assert_float_eq(out[2][i], 0);
        if (isfinite(f16[i]))
            ck_assert_float_eq(out[3][i], 0);
        ck_assert_float_eq_tol(out[5][i], 1 / sqrtf(x[i]), 1e-6f / sqrtf(x[i]));
    }
    ck_assert_float_eq_tol(out[4][0], 2, 1e-6f);
    ck_assert_float_eq_tol(out[4][6], 1, 1e-6f);
    close_bench(&b);
}
END_TEST

/* Rows of 64 bytes: eight of them lie in two eighths of the banks. 80 bytes: each in its own. */
START_TEST(rows_in_the_same_banks)
{
    static const int strides[] = {64, 32, 40, 8};
    static const int64_t conflicts[] = {4 * 7, 4 * 3, 0, 0};
    uint32_t out[128];
    bench b;
    open_bench(&b);
    uint32_t *to = room(&b, sizeof out, NULL);
    for (int i = 0; i < 4; i++) {
        vx_machine_counts before, after;
        vx_machine_count(&before);
        vx_test_rows(&b.stream, to, strides[i]);
        vx_machine_count(&after);
        ck_assert_int_eq(read_back(&b, out, to, sizeof out), 0);
        ck_assert_int_eq(after.rows - before.rows, 4);
        ck_assert_int_eq(after.conflicts - before.conflicts, conflicts[i]);
        ck_assert_int_eq(after.launches - before.launches, 1);
        for (int lane = 0; lane < 32; lane++)
            for (int m = 0; m < 4; m++) {
                const uint32_t at = (uint32_t)((8 * m + lane / 4) * strides[i] + lane % 4 * 2);
                ck_assert_uint_eq(out[4 * lane + m], (at + 1) << 16 | at);
            }
    }
    close_bench(&b);
}
END_TEST

/* ---------------------------------------------- the runtime ---------------------------------- */

START_TEST(failed_launch_is_kept)
{
    const uint32_t in[32] = {0};
    const char *what = NULL;
    bench b;
    open_bench(&b);
    void *from = room(&b, sizeof in, in), *to = room(&b, 7 * sizeof in, NULL);
    vx_machine_fail_launch(1);
    for (int i = 0; i < 3; i++)
        vx_test_warp(&b.stream, to, from);
    const int error = vx_gpu_sync(&b.stream, &what);
    ck_assert_str_eq(vx_gpu_error_name(error), "cudaErrorLaunchFailure");
    ck_assert_str_eq(what, "warp");
    vx_test_warp(&b.stream, to, from);
    ck_assert_int_eq(vx_gpu_sync(&b.stream, &what), 0);
    ck_assert_ptr_null(what);
    close_bench(&b);
}
END_TEST

START_TEST(gpus_and_memory)
{
    vx_gpu_info info;
    void *at, *other;
    int count;
    vx_machine_gpus(2, 1 << 20);
    ck_assert_int_eq(vx_gpu_count(&count), 0);
    ck_assert_int_eq(count, 2);
    ck_assert_int_ne(vx_gpu_use(2), 0);
    ck_assert_int_eq(vx_gpu_use(1), 0);
    ck_assert_int_eq(vx_gpu_alloc(&at, 1000000), 0);
    ck_assert_int_eq(vx_gpu_describe(1, &info), 0);
    ck_assert_uint_eq(info.memory_total - info.memory_free, 1000000);
    const int error = vx_gpu_alloc(&other, 100000);
    ck_assert(vx_gpu_no_memory(error) && !other);
    ck_assert_str_eq(vx_gpu_error_text(error), "out of memory");
    ck_assert_int_eq(vx_gpu_use(0), 0);
    ck_assert_int_eq(vx_gpu_alloc(&other, 100000), 0);
    vx_gpu_free(other);
    vx_gpu_free(at);
    vx_machine_gpus(0, 0);
    ck_assert_str_eq(vx_gpu_error_name(vx_gpu_count(&count)), "cudaErrorNoDevice");
    vx_machine_gpus(1, (size_t)16 << 30);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_machine");
    TCase *c = tcase_create("machine");
    tcase_add_loop_test(c, right_kernels_pass, 0, VX_SCHEDULES);
    tcase_add_test(c, threads_launch_at_once);
    tcase_add_test(c, warp_operations);
    tcase_add_test(c, narrow_numbers);
    tcase_add_test(c, rows_in_the_same_banks);
    tcase_add_test(c, failed_launch_is_kept);
    tcase_add_test(c, gpus_and_memory);
    tcase_add_loop_test(c, finds_planted_bug, 0, PLANTED);
    suite_add_tcase(s, c);
    return s;
}

static Suite *found(void)
{
    Suite *s = suite_create("found");
    TCase *c = tcase_create("found");
    tcase_add_test(c, print_found);
    suite_add_tcase(s, c);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc > 1 && strcmp(argv[1], "--found") == 0 ? found() : suite());
}
