/* test/kernel_bench.c: the least time of every operation and version, beside a bare OpenBLAS. */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel_bed.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least time of one call, measured for about a fifth of a second. */
static double least_time(void (*call)(void *arg), void *arg)
{
    double least = 1e9;
    call(arg);
    for (const double end = seconds() + 0.2; seconds() < end;) {
        const double start = seconds();
        call(arg);
        least = fmin(least, seconds() - start);
    }
    return least;
}

/* One operation with all its arguments. */
typedef struct job {
    vx_device *dev;
    const vx_ops *ops; /* dev's, or the reference's */
    void (*call)(void *arg);
    const char *what;
    double flops, bytes; /* of one call */
    vx_linear linear;
    vx_attention attention;
    vx_patch_embed patch_embed;
    float *x, *y, *w;
    vx_act act;
    int m, n;
} job;

static void call_linear(void *arg)
{
    job *j = arg;
    j->ops->linear(j->dev, &j->linear);
}

static void call_attention(void *arg)
{
    job *j = arg;
    j->ops->attention(j->dev, &j->attention);
}

static void call_patch_embed(void *arg)
{
    job *j = arg;
    j->ops->patch_embed(j->dev, &j->patch_embed);
}

static void call_layernorm(void *arg)
{
    job *j = arg;
    j->ops->layernorm(j->dev, j->y, j->n, j->x, j->n, j->w, j->w, 1e-6f, j->m, j->n);
}

static void call_softmax(void *arg)
{
    job *j = arg;
    j->ops->softmax(j->dev, j->y, j->x, j->m, j->n);
}

static void call_activate(void *arg)
{
    job *j = arg;
    j->ops->activate(j->dev, j->y, j->x, j->act, (int64_t)j->m * j->n);
}

static void call_mean_tokens(void *arg)
{
    job *j = arg;
    j->ops->mean_tokens(j->dev, j->y, j->x, 1, 1, j->m, j->n);
}

static void call_attn_fuse(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_fuse(j->dev, j->y, &a, VX_FUSE_MEAN, -1);
}

static void call_attn_row(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_row(j->dev, j->y, &a, -1, 1);
}

static void call_discard(void *arg)
{
    job *j = arg; /* with the copy without which the second call would see zeros */
    memcpy(j->y, j->x, (size_t)j->n * (size_t)j->n * sizeof(float));
    j->ops->discard_smallest(j->dev, j->y, (int64_t)(0.9 * j->n * j->n), 1, 1, j->n);
}

static void call_rollout(void *arg)
{
    job *j = arg;
    j->ops->rollout_step(j->dev, j->y, j->w, j->x, VX_NORM_ROWS, 1, j->n);
}

static const char *wanted = "";

static void report(const char *version, int threads, job *j)
{
    if (!strstr(version, wanted) && !strstr(j->what, wanted))
        return;
    const double t = least_time(j->call, j);
    printf("%-18s %d  %-34s %10.1f us", version, threads, j->what, t * 1e6);
    if (j->flops > 0)
        printf(" %8.1f GFLOP/s\n", j->flops / t * 1e-9);
    else
        printf(" %8.2f GB/s\n", j->bytes / t * 1e-9);
    fflush(stdout);
}

/* Memory for the largest of the timed shapes. */
static float *bench_x, *bench_y, *bench_w;
enum { BENCH_FLOATS = 1576 * 3072 };

static void time_rows(vx_device *dev, const vx_ops *ops, const char *version, int threads)
{
    const double tt = 197. * 197, mn = 197. * 768;
    job jobs[] = {
        {.call = call_layernorm, .what = "layernorm 197x768", .m = 197, .n = 768, .bytes = 8 * mn},
        {.call = call_softmax,
         .what = "softmax 12x197 x 197",
         .m = 12 * 197,
         .n = 197,
         .bytes = 96 * tt},
        {.call = call_activate,
         .what = "gelu 197x3072",
         .act = VX_ACT_GELU,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_activate,
         .what = "gelu_tanh 197x3072",
         .act = VX_ACT_GELU_TANH,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_activate,
         .what = "quick_gelu 197x3072",
         .act = VX_ACT_QUICK_GELU,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_mean_tokens,
         .what = "mean_tokens 197x768",
         .m = 197,
         .n = 768,
         .bytes = 4 * mn},
        {.call = call_attn_fuse,
         .what = "attn_fuse 12 heads, 197",
         .m = 12,
         .n = 197,
         .bytes = 52 * tt},
        {.call = call_attn_row,
         .what = "attn_row 12 heads, 197, mean",
         .m = 12,
         .n = 197,
         .bytes = 48 * tt},
        {.call = call_discard, .what = "discard_smallest 197, 90 %", .n = 197, .bytes = 4 * tt},
        {.call = call_rollout, .what = "rollout_step 197", .n = 197, .bytes = 4 * tt},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        jobs[i].dev = dev;
        jobs[i].ops = ops;
        jobs[i].x = bench_x;
        jobs[i].y = bench_y;
        jobs[i].w = bench_w;
        report(version, threads, &jobs[i]);
    }
}

/* OpenBLAS as a program that links it would run it: its own threads, its own choice of kernels. */
static struct bare {
    vx_sgemm_fn *sgemm;
    void (*set_threads)(int);
    const char *(*core)(void);
} bare;

static void call_bare(void *arg)
{
    const vx_linear *a = &((job *)arg)->linear;
    bare.sgemm(101, 111, 112, a->m, a->w->n, a->w->k, 1, a->x, a->w->k, a->w->data, a->w->k, 0,
               a->y, a->w->n);
}

static void time_linear(vx_device *dev, const char *version, int threads)
{
    static const int shapes[][3] = {{197, 2304, 768},  {197, 768, 768},   {197, 3072, 768},
                                    {197, 768, 3072},  {1576, 2304, 768}, {1576, 3072, 768},
                                    {1576, 768, 3072}, {197, 576, 192},   {197, 768, 192},
                                    {197, 192, 768},   {1, 1000, 768},    {8, 1000, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        char what[64], note[96];
        const vx_weight w = {bench_w, bench_x, n, k};
        job j = {.dev = dev,
                 .ops = &dev->ops,
                 .call = call_linear,
                 .what = what,
                 .flops = 2.0 * m * n * k};
        j.linear = (vx_linear){.y = bench_y,
                               .ldy = n,
                               .x = bench_x,
                               .ldx = k,
                               .w = &w,
                               .m = m,
                               .act = n == 4 * k ? VX_ACT_GELU : VX_ACT_NONE};
        snprintf(what, sizeof what, "linear %dx%dx%d%s", m, n, k, n == 4 * k ? ", gelu" : "");
        report(version, threads, &j);
        if (!bare.sgemm || !strstr(dev->kernels, "OpenBLAS"))
            continue;
        bare.set_threads(threads);
        snprintf(note, sizeof note, "(bare %s)", bare.core());
        snprintf(what, sizeof what, "  sgemm %dx%dx%d for linear", m, n, k);
        j.call = call_bare;
        report(note, threads, &j);
        bare.set_threads(1);
    }
}

static void time_attention(vx_device *dev, const char *version, int threads)
{
    static const struct {
        const char *what;
        int batch, heads;
        vx_keep keep;
        vx_store store;
    } rows[] = {{"attention 12x64, keep none", 1, 12, VX_KEEP_NONE, VX_STORE_F32},
                {"attention 12x64, keep all f32", 1, 12, VX_KEEP_ALL, VX_STORE_F32},
                {"attention 12x64, keep all f16", 1, 12, VX_KEEP_ALL, VX_STORE_F16},
                {"attention 12x64, keep fused", 1, 12, VX_KEEP_FUSED, VX_STORE_F32},
                {"attention 12x64, keep row", 1, 12, VX_KEEP_ROW, VX_STORE_F32},
                {"attention 3x64, keep none", 1, 3, VX_KEEP_NONE, VX_STORE_F32},
                {"attention 8 pictures, keep none", 8, 12, VX_KEEP_NONE, VX_STORE_F32}};
    float *record = malloc(sizeof *record * 12 * 197 * 197);
    for (size_t i = 0; record && i < sizeof rows / sizeof *rows; i++) {
        job j = {.dev = dev, .ops = &dev->ops, .call = call_attention, .what = rows[i].what};
        j.attention = (vx_attention){.y = bench_y,
                                     .qkv = bench_x,
                                     .scale = 0.125f,
                                     .batch = rows[i].batch,
                                     .tokens = 197,
                                     .heads = rows[i].heads,
                                     .head_width = 64,
                                     .record = {record, rows[i].keep, rows[i].store, VX_FUSE_MEAN,
                                                0, 0, rows[i].batch, rows[i].heads, 197}};
        j.flops = 4.0 * rows[i].batch * rows[i].heads * 197 * 197 * 64;
        report(version, threads, &j);
    }
    free(record);
    const vx_weight w = {bench_w, bench_w, 768, 768};
    job j = {
        .dev = dev, .ops = &dev->ops, .call = call_patch_embed, .what = "patch_embed 224, 16, 768"};
    j.patch_embed =
        (vx_patch_embed){bench_y, bench_x, &w, bench_w, bench_w, 1, 3, 224, 224, 16, 16, 1};
    j.flops = 2.0 * 196 * 768 * 768;
    report(version, threads, &j);
}

static void load_bare(void)
{
#ifdef VX_OPENBLAS_SONAME
    void *library =
        VX_OPENBLAS_SONAME[0] ? dlopen(VX_OPENBLAS_SONAME, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbols[3] = {NULL, NULL, NULL};
    if (library) {
        symbols[0] = dlsym(library, "openblas_get_corename");
        symbols[1] = dlsym(library, "openblas_set_num_threads");
        symbols[2] = dlsym(library, "cblas_sgemm");
    }
    if (symbols[0] && symbols[1]) {
        memcpy(&bare.core, &symbols[0], sizeof symbols[0]);
        memcpy(&bare.set_threads, &symbols[1], sizeof symbols[0]);
        memcpy(&bare.sgemm, &symbols[2], sizeof symbols[0]);
    }
#endif
}

int kernel_bench(const char *word)
{
    wanted = word;
    vx_ops reference;
    rng r = {17};
    vx_ops_init_ref(&reference);
    bench_x = input(&r, BENCH_FLOATS, NORMAL);
    bench_y = input(&r, BENCH_FLOATS, NORMAL);
    bench_w = weights(&r, BENCH_FLOATS, 0.02f);
    load_bare();
    printf("%-18s %s  %-34s %13s\n", "version", "threads", "operation", "least time");
    time_rows(NULL, &reference, "ref", 1);
    for (int version = 1; version < VERSIONS - 1; version++)
        for (int threads = 1; threads <= 2; threads++) {
            bed b;
            if (!bed_open(&b, version * MOST_THREADS + threads - 1, &largest))
                continue;
            const char *name = b.version->name;
            const bool own = strstr(b.dev->kernels, "own") != NULL;
            if (own || version == 1)
                time_rows(b.dev, &b.dev->ops, name, threads);
            time_linear(b.dev, name, threads);
            time_attention(b.dev, name, threads);
            bed_close(&b);
        }
    free(bench_x);
    free(bench_y);
    free(bench_w);
    return 0;
}
