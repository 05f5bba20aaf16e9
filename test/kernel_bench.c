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
    vx_linear_bwd linear_bwd;
    vx_layernorm_bwd layernorm_bwd;
    vx_attention attention;
    vx_attention_bwd attention_bwd;
    vx_attention_replaced attention_replaced;
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

static void call_linear_bwd(void *arg)
{
    job *j = arg;
    j->ops->linear_bwd(j->dev, &j->linear_bwd);
}

static void call_layernorm_bwd(void *arg)
{
    job *j = arg;
    j->ops->layernorm_bwd(j->dev, &j->layernorm_bwd);
}

static void call_attention_bwd(void *arg)
{
    job *j = arg;
    j->ops->attention_bwd(j->dev, &j->attention_bwd);
}

static void call_attention_replaced(void *arg)
{
    job *j = arg;
    j->ops->attention_replaced(j->dev, &j->attention_replaced);
}

static void call_attn_product(void *arg)
{
    job *j = arg;
    j->ops->attn_product(j->dev, &(vx_attn_product){.out = j->y,
                                                    .p = j->x,
                                                    .dp = j->w,
                                                    .kind = VX_PRODUCT_RELU_MEAN,
                                                    .head = -1,
                                                    .batch = 1,
                                                    .targets = 1,
                                                    .heads = j->m,
                                                    .tokens = j->n});
}

static void call_attn_relu_mean(void *arg)
{
    job *j = arg;
    j->ops->attn_relu_mean(
        j->dev,
        &(vx_attn_relu_mean){
            .out = j->y, .dp = j->x, .head = -1, .gradients = 1, .heads = j->m, .tokens = j->n});
}

static void call_token_cam(void *arg)
{
    job *j = arg;
    j->ops->token_cam(j->dev, &(vx_token_cam){.out = j->y,
                                              .a = j->x,
                                              .g = j->w,
                                              .kind = VX_CAM_PLUSPLUS,
                                              .batch = 1,
                                              .targets = 1,
                                              .first = 1,
                                              .tokens = j->m,
                                              .width = j->n});
}

static void call_token_gram(void *arg)
{
    job *j = arg;
    j->ops->token_gram(j->dev, &(vx_token_gram){.out = j->y,
                                                .a = j->x,
                                                .g = j->w,
                                                .batch = 1,
                                                .targets = 1,
                                                .first = 1,
                                                .tokens = j->m,
                                                .width = j->n});
}

static void call_rotate(void *arg)
{
    job *j = arg;
    j->ops->rotate(j->dev, &(vx_rotate){.qkv = j->y,
                                        .table = j->x,
                                        .tables = 1,
                                        .rows = j->m,
                                        .tokens = j->m,
                                        .first = 1,
                                        .heads = j->n / 64,
                                        .head_width = 64,
                                        .half = j->act == VX_ACT_NONE});
}

static void call_mean_tokens_bwd(void *arg)
{
    job *j = arg;
    j->ops->mean_tokens_bwd(
        j->dev, &(vx_mean_tokens_bwd){
                    .dx = j->y, .dy = j->x, .first = 1, .batch = 1, .tokens = j->m, .width = j->n});
}

static void call_clear(void *arg)
{
    job *j = arg;
    j->ops->clear(j->dev, &(vx_clear){.y = j->y, .count = (int64_t)j->m * j->n});
}

static void call_copy_rows(void *arg)
{
    job *j = arg;
    j->ops->copy_rows(
        j->dev,
        &(vx_copy_rows){
            .y = j->y, .ldy = j->n, .x = j->x, .ldx = 2 * j->n, .m = j->m, .n = j->n, .scale = 1});
}

static void call_gather_rows(void *arg)
{
    job *j = arg;
    int from[512];
    for (int i = 0; i < j->m; i++)
        from[i] = i % 2 ? i : -1;
    j->ops->gather_rows(
        j->dev, &(vx_gather_rows){
                    .y = j->y, .a = j->x, .b = j->w, .from = from, .rows = j->m, .width = j->n});
}

static void call_add_weighted(void *arg)
{
    job *j = arg;
    j->ops->add_weighted(j->dev, &(vx_add_weighted){.sum = j->y,
                                                    .x = j->x,
                                                    .weights = j->w,
                                                    .squared = 0,
                                                    .groups = 1,
                                                    .samples = j->m,
                                                    .n = j->n});
}

static void call_reduce_channels(void *arg)
{
    job *j = arg;
    j->ops->reduce_channels(j->dev, &(vx_reduce_channels){.out = j->y,
                                                          .g = j->x,
                                                          .x = j->w,
                                                          .kind = VX_REDUCE_L2,
                                                          .batch = 1,
                                                          .targets = 1,
                                                          .channels = j->m,
                                                          .n = j->n});
}

static void call_patch_embed_bwd(void *arg)
{
    job *j = arg;
    const vx_weight w = {j->w, NULL, 768, 768, &vx_packing_plain, NULL};
    const vx_patch_embed_bwd a = {j->y, j->x, &w, 1, 3, 224, 224, 16, 16, 1};
    j->ops->patch_embed_bwd(j->dev, &a);
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
    j->ops->layernorm(j->dev, &(vx_layernorm){.y = j->y,
                                              .ldy = j->n,
                                              .x = j->x,
                                              .ldx = j->n,
                                              .weight = j->w,
                                              .bias = j->w,
                                              .eps = 1e-6f,
                                              .m = j->m,
                                              .n = j->n});
}

static void call_softmax(void *arg)
{
    job *j = arg;
    j->ops->softmax(j->dev, &(vx_softmax){.y = j->y, .x = j->x, .m = j->m, .n = j->n});
}

static void call_activate(void *arg)
{
    job *j = arg;
    j->ops->activate(
        j->dev, &(vx_activate){.y = j->y, .x = j->x, .act = j->act, .count = (int64_t)j->m * j->n});
}

static void call_swiglu(void *arg)
{
    job *j = arg;
    j->ops->swiglu(
        j->dev,
        &(vx_swiglu){.y = j->y, .ldy = j->n, .x = j->x, .ldx = 2 * j->n, .m = j->m, .n = j->n});
}

static void call_mean_tokens(void *arg)
{
    job *j = arg;
    j->ops->mean_tokens(
        j->dev, &(vx_mean_tokens){
                    .y = j->y, .x = j->x, .first = 1, .batch = 1, .tokens = j->m, .width = j->n});
}

static void call_attn_fuse(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_fuse(j->dev,
                      &(vx_attn_fuse){.out = j->y, .record = &a, .fuse = VX_FUSE_MEAN, .head = -1});
}

static void call_attn_row(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_row(j->dev, &(vx_attn_row){.out = j->y, .record = &a, .query = -1, .prefix = 1});
}

static void call_discard(void *arg)
{
    job *j = arg; /* with the copy without which the second call would see zeros */
    memcpy(j->y, j->x, (size_t)j->n * (size_t)j->n * sizeof(float));
    j->ops->discard_smallest(j->dev, &(vx_discard_smallest){.f = j->y,
                                                            .count = (int64_t)(0.9 * j->n * j->n),
                                                            .keep_first = 1,
                                                            .batch = 1,
                                                            .tokens = j->n});
}

static void call_rollout(void *arg)
{
    job *j = arg;
    j->ops->rollout_step(
        j->dev,
        &(vx_rollout_step){
            .out = j->y, .row = j->w, .f = j->x, .norm = VX_NORM_ROWS, .batch = 1, .tokens = j->n});
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
        {.call = call_rotate, .what = "rotate 197x768", .m = 197, .n = 768, .bytes = 16 * mn},
        {.call = call_rotate,
         .what = "rotate 197x768, pairs beside",
         .act = VX_ACT_GELU,
         .m = 197,
         .n = 768,
         .bytes = 16 * mn},
        {.call = call_swiglu,
         .what = "swiglu 257x4096",
         .m = 257,
         .n = 4096,
         .bytes = 12. * 257 * 4096},
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
        {.call = call_attn_product,
         .what = "attn_product 12 heads, 197",
         .m = 12,
         .n = 197,
         .bytes = 100 * tt},
        {.call = call_attn_relu_mean,
         .what = "attn_relu_mean 12 heads, 197",
         .m = 12,
         .n = 197,
         .bytes = 48 * tt},
        {.call = call_token_cam,
         .what = "token_cam++ 197x768",
         .m = 197,
         .n = 768,
         .bytes = 8 * mn},
        {.call = call_token_gram,
         .what = "token_gram 197x768",
         .m = 197,
         .n = 768,
         .flops = 2. * 196 * 196 * 768},
        {.call = call_patch_embed_bwd,
         .what = "patch_embed_bwd 224, 16, 768",
         .flops = 2. * 196 * 768 * 768},
        {.call = call_mean_tokens_bwd,
         .what = "mean_tokens_bwd 197x768",
         .m = 197,
         .n = 768,
         .bytes = 4 * mn},
        {.call = call_clear, .what = "clear 197x3072", .m = 197, .n = 3072, .bytes = 16 * mn},
        {.call = call_copy_rows, .what = "copy_rows 197x768", .m = 197, .n = 768, .bytes = 8 * mn},
        {.call = call_gather_rows,
         .what = "gather_rows 197x768",
         .m = 197,
         .n = 768,
         .bytes = 8 * mn},
        {.call = call_add_weighted,
         .what = "add_weighted 8 of 3x224x224",
         .m = 8,
         .n = 150528,
         .bytes = 40. * 150528},
        {.call = call_reduce_channels,
         .what = "reduce_channels L2, x, 224x224",
         .m = 3,
         .n = 50176,
         .bytes = 28. * 50176},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        jobs[i].dev = dev;
        jobs[i].ops = ops;
        jobs[i].x = bench_x;
        jobs[i].y = bench_y;
        jobs[i].w = bench_w;
        if (dev || jobs[i].bytes > 0) /* products by the reference take seconds */
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
        const vx_weight w = {bench_w, bench_x, n, k, &vx_packing_plain, NULL};
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
        int queries, tokens; /* tokens: of sequences behind each other, 0: 197 of each picture */
    } rows[] = {{"attention 12x64, keep none", 1, 12, VX_KEEP_NONE, VX_STORE_F32, 0, 0},
                {"attention 12x64, keep all f32", 1, 12, VX_KEEP_ALL, VX_STORE_F32, 0, 0},
                {"attention 12x64, keep all f16", 1, 12, VX_KEEP_ALL, VX_STORE_F16, 0, 0},
                {"attention 12x64, keep fused", 1, 12, VX_KEEP_FUSED, VX_STORE_F32, 0, 0},
                {"attention 12x64, keep row", 1, 12, VX_KEEP_ROW, VX_STORE_F32, 0, 0},
                {"attention 3x64, keep none", 1, 3, VX_KEEP_NONE, VX_STORE_F32, 0, 0},
                {"attention 8 pictures, keep none", 8, 12, VX_KEEP_NONE, VX_STORE_F32, 0, 0},
                {"attention 8 pictures, 1 query", 8, 12, VX_KEEP_NONE, VX_STORE_F32, 1, 0},
                {"attention 16 sequences of 98", 16, 12, VX_KEEP_NONE, VX_STORE_F32, 0, 98},
                {"attention 32 sequences of 49", 32, 12, VX_KEEP_NONE, VX_STORE_F32, 0, 49}};
    int starts[33];
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
                                                0, 0, rows[i].batch, rows[i].heads, 197},
                                     .starts = rows[i].tokens ? starts : NULL,
                                     .queries = rows[i].queries};
        const int tokens = rows[i].tokens ? rows[i].tokens : 197;
        for (int b = 0; b <= rows[i].batch; b++)
            starts[b] = b * tokens;
        j.flops = 4.0 * rows[i].batch * rows[i].heads * tokens * 64 *
                  (rows[i].queries ? rows[i].queries : tokens);
        report(version, threads, &j);
    }
    free(record);
    const vx_weight w = {bench_w, bench_w, 768, 768, &vx_packing_plain, NULL};
    job j = {
        .dev = dev, .ops = &dev->ops, .call = call_patch_embed, .what = "patch_embed 224, 16, 768"};
    j.patch_embed =
        (vx_patch_embed){bench_y, bench_x, &w, bench_w, bench_w, 1, 3, 224, 224, 16, 16, 1};
    j.flops = 2.0 * 196 * 768 * 768;
    report(version, threads, &j);
}

static void time_attention_replaced(vx_device *dev, const char *version, int threads)
{
    enum { N = 256, TOKENS = 197, HEADS = 12, E = 64 };
    int channels[N];
    for (int i = 0; i < N; i++)
        channels[i] = i;
    job j = {.dev = dev,
             .ops = &dev->ops,
             .call = call_attention_replaced,
             .what = "attention_replaced 256 of 12x64"};
    j.attention_replaced = (vx_attention_replaced){.y = bench_y,
                                                   .qkv = bench_x,
                                                   .x = bench_w,
                                                   .columns = bench_w,
                                                   .channels = channels,
                                                   .scale = 0.125f,
                                                   .count = N,
                                                   .tokens = TOKENS,
                                                   .width = HEADS * E,
                                                   .heads = HEADS,
                                                   .head_width = E};
    j.flops = 4.0 * N * HEADS * TOKENS * E;
    report(version, threads, &j);
}

static void call_bare_bwd(void *arg)
{
    const vx_linear_bwd *a = &((job *)arg)->linear_bwd;
    bare.sgemm(101, 111, 111, a->m, a->w->k, a->w->n, 1, a->dy, a->w->n, a->w->data, a->w->k, 0,
               a->dx, a->w->k);
}

static void time_linear_bwd(vx_device *dev, const char *version, int threads)
{
    static const struct {
        int m, n, k, gamma;
    } rows[] = {{197, 768, 3072, 0},  {197, 3072, 768, 0},  {197, 768, 768, 0},
                {197, 768, 768, 1},   {197, 2304, 768, 0},  {1576, 768, 3072, 0},
                {1576, 3072, 768, 0}, {1576, 768, 3072, 1}, {197, 192, 768, 0},
                {197, 768, 192, 0},   {197, 576, 192, 0},   {1, 1000, 768, 0},
                {1, 768, 3072, 0},    {3, 3072, 768, 0},    {8, 768, 3072, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int m = rows[i].m, n = rows[i].n, k = rows[i].k;
        char what[64], note[96];
        const vx_weight w = {bench_w, NULL, n, k, &vx_packing_plain, NULL};
        job j = {.dev = dev,
                 .ops = &dev->ops,
                 .call = call_linear_bwd,
                 .what = what,
                 .flops = 2.0 * m * n * k};
        j.linear_bwd = (vx_linear_bwd){.dx = bench_y,
                                       .lddx = k,
                                       .dy = bench_x,
                                       .lddy = n,
                                       .w = &w,
                                       .gamma = rows[i].gamma ? bench_w : NULL,
                                       .pre = bench_x,
                                       .ldp = k,
                                       .act = k == 4 * n ? VX_ACT_GELU : VX_ACT_NONE,
                                       .m = m,
                                       .tokens = m,
                                       .targets = 1};
        snprintf(what, sizeof what, "linear_bwd %dx%dx%d%s%s", m, n, k, k == 4 * n ? ", gelu" : "",
                 rows[i].gamma ? ", gamma" : "");
        report(version, threads, &j);
        if (!bare.sgemm || !strstr(dev->kernels, "OpenBLAS"))
            continue;
        bare.set_threads(threads);
        snprintf(note, sizeof note, "(bare %s)", bare.core());
        snprintf(what, sizeof what, "  sgemm %dx%dx%d for linear_bwd", m, n, k);
        j.call = call_bare_bwd;
        report(note, threads, &j);
        bare.set_threads(1);
    }
}

/* The five products of attention_bwd, one head after the other. */
static void call_bare_attention_bwd(void *arg)
{
    const vx_attention_bwd *a = &((job *)arg)->attention_bwd;
    const int t = a->tokens, e = a->head_width, d = a->heads * e;
    static float p[2 * 197 * 197];
    for (int i = 0; i < a->batch * a->heads; i++) {
        const size_t at = (size_t)(i / a->heads * t) * 3 * (size_t)d + (size_t)(i % a->heads * e);
        const float *q = a->qkv + at, *dy = a->dy + at / 3, *k = q + d, *v = k + d;
        float *dq = a->dqkv + at, *dp = p + t * t;
        bare.sgemm(101, 111, 112, t, t, e, 1, q, 3 * d, k, 3 * d, 0, p, t);
        bare.sgemm(101, 111, 112, t, t, e, 1, dy, d, v, 3 * d, 0, dp, t);
        bare.sgemm(101, 112, 111, t, e, t, 1, p, t, dy, d, 0, dq + 2 * d, 3 * d);
        bare.sgemm(101, 111, 111, t, e, t, 1, p, t, k, 3 * d, 0, dq, 3 * d);
        bare.sgemm(101, 112, 111, t, e, t, 1, p, t, q, 3 * d, 0, dq + d, 3 * d);
    }
}

static void time_attention_bwd(vx_device *dev, const char *version, int threads)
{
    static const struct {
        const char *what;
        int batch, heads, queries, p, dp, dqkv;
        double products;
    } rows[] = {{"attention_bwd 12x64", 1, 12, 197, 0, 0, 1, 5},
                {"attention_bwd 12x64, p", 1, 12, 197, 1, 0, 1, 4},
                {"attention_bwd 12x64, p, dp", 1, 12, 197, 1, 1, 1, 4},
                {"attention_bwd 12x64, only dp", 1, 12, 197, 1, 1, 0, 1},
                {"attention_bwd 12x64, 1 query, p, dp", 1, 12, 1, 1, 1, 1, 4},
                {"attention_bwd 12x64, 1 query", 1, 12, 1, 0, 0, 1, 5},
                {"attention_bwd 3x64", 1, 3, 197, 0, 0, 1, 5},
                {"attention_bwd 8 pictures", 8, 12, 197, 0, 0, 1, 5}};
    float *p = calloc(12 * 197 * 197, sizeof *p), *dp = calloc(12 * 197 * 197, sizeof *dp);
    for (size_t i = 0; p && dp && i < sizeof rows / sizeof *rows; i++) {
        job j = {.dev = dev, .ops = &dev->ops, .call = call_attention_bwd, .what = rows[i].what};
        j.attention_bwd = (vx_attention_bwd){.dqkv = rows[i].dqkv ? bench_y : NULL,
                                             .dp = rows[i].dp ? dp : NULL,
                                             .dy = bench_w,
                                             .qkv = bench_x,
                                             .p = rows[i].p ? p : NULL,
                                             .scale = 0.125f,
                                             .batch = rows[i].batch,
                                             .targets = 1,
                                             .tokens = 197,
                                             .heads = rows[i].heads,
                                             .head_width = 64,
                                             .queries = rows[i].queries};
        j.flops =
            2.0 * rows[i].products * rows[i].batch * rows[i].heads * rows[i].queries * 197 * 64;
        report(version, threads, &j);
        if (!bare.sgemm || !strstr(dev->kernels, "OpenBLAS") || rows[i].products < 5 ||
            rows[i].queries < 197)
            continue;
        char note[96];
        bare.set_threads(threads);
        snprintf(note, sizeof note, "(bare %s)", bare.core());
        j.what = "  its sgemms, attention_bwd";
        j.call = call_bare_attention_bwd;
        report(note, threads, &j);
        bare.set_threads(1);
    }
    free(p);
    free(dp);
    static const int targets[] = {1, 3};
    for (int i = 0; i < 2; i++) {
        job j = {.dev = dev, .ops = &dev->ops, .call = call_layernorm_bwd};
        j.what = i ? "layernorm_bwd 197x768, 3 targets" : "layernorm_bwd 197x768";
        j.bytes = (12. * targets[i] + 4) * 197 * 768;
        j.layernorm_bwd = (vx_layernorm_bwd){.dx = bench_y,
                                             .lddx = 768,
                                             .dy = bench_w,
                                             .lddy = 768,
                                             .x = bench_x,
                                             .ldx = 768,
                                             .weight = bench_w,
                                             .eps = 1e-6f,
                                             .accumulate = 1,
                                             .m = 197 * targets[i],
                                             .n = 768,
                                             .tokens = 197,
                                             .targets = targets[i]};
        report(version, threads, &j);
    }
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
            time_linear_bwd(b.dev, name, threads);
            time_attention(b.dev, name, threads);
            time_attention_replaced(b.dev, name, threads);
            time_attention_bwd(b.dev, name, threads);
            bed_close(&b);
        }
    free(bench_x);
    free(bench_y);
    free(bench_w);
    return 0;
}
