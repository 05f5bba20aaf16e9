/*
 * What methods make of attention and gradients, on the operations alone: maps of a case so small
 * that its numbers were computed apart from this project, in double, and printed. T=5, H=2, L=2:
 *     A_l[h][i][j] = softmax_j(sin(1.3 i + 0.7 j^2 + 0.9 h + 1.1 l + 0.37 i j))
 *     G_l[h][i][j] = cos(0.5 i - 1.1 j + 0.8 h + 0.6 l + 0.23 i j) + 0.2
 * and tokens of C=3 channels, a[t][c] = sin(0.9 t + 1.7 c + 0.3 t c) and
 * g[t][c] = 0.5 cos(0.4 t - 0.8 c + 0.5 t c) + 0.1. Token 0 is the class token. The same numbers
 * come out of pytorch-grad-cam and numpy: tools/golden/check_methods.py.
 */
#include <math.h>
#include <string.h>

#include "kernel_bed.h"

enum { T = 5, H = 2, L = 2, C = 3, P = T - 1 };

typedef struct small {
    float a[L][H][T][T], g[L][H][T][T];
} small;

static small small_case(void)
{
    small s;
    for (int l = 0; l < L; l++)
        for (int h = 0; h < H; h++)
            for (int i = 0; i < T; i++) {
                double e[T], sum = 0;
                for (int j = 0; j < T; j++) {
                    sum += e[j] =
                        exp(sin(1.3 * i + 0.7 * j * j + 0.9 * h + 1.1 * l + 0.37 * i * j));
                    s.g[l][h][i][j] =
                        (float)(cos(0.5 * i - 1.1 * j + 0.8 * h + 0.6 * l + 0.23 * i * j) + 0.2);
                }
                for (int j = 0; j < T; j++)
                    s.a[l][h][i][j] = (float)(e[j] / sum);
            }
    return s;
}

/* Six printed digits, and what float32 takes. */
static void check_printed(const float *found, const double *printed, const char *what)
{
    double most = 0;
    for (int p = 0; p < P; p++)
        most = fmax(most, fabs(printed[p]));
    for (int p = 0; p < P; p++)
        expect(fabs(found[p] - printed[p]) < 6e-7 + TOL_KERNEL * most, "%s: %d: %.9g, not %.9g",
               what, p, (double)found[p], printed[p]);
}

/* The class token's row of (F_1 + I) (F_0 + I), each normalised; F_l from block l and the gradient
 * of block `pair[l]`. */
static void roll(float *map, const bed *b, const small *s, vx_product kind, const int *pair,
                 int64_t discard, vx_norm norm)
{
    float row[T] = {1}, next[T], f[T * T];
    for (int l = L - 1; l >= 0; l--) {
        b->dev->ops.attn_product(b->dev, &(vx_attn_product){.out = f,
                                                            .p = s->a[l][0][0],
                                                            .dp = s->g[pair[l]][0][0],
                                                            .kind = kind,
                                                            .head = -1,
                                                            .batch = 1,
                                                            .targets = 1,
                                                            .heads = H,
                                                            .tokens = T});
        b->dev->ops.discard_smallest(
            b->dev, &(vx_discard_smallest){
                        .f = f, .count = discard, .keep_first = 0, .batch = 1, .tokens = T});
        b->dev->ops.rollout_step(
            b->dev, &(vx_rollout_step){
                        .out = next, .row = row, .f = f, .norm = norm, .batch = 1, .tokens = T});
        memcpy(row, next, sizeof row);
    }
    memcpy(map, row + 1, P * sizeof *map);
}

START_TEST(test_numbers__gradient_rollout)
{
    static const int straight[L] = {0, 1}, reversed[L] = {1, 0};
    static const struct {
        const char *what;
        const int *pair;
        vx_norm norm;
        double discard, map[P]; /* the map over its maximum */
    } cases[] = {
        {"vit-explain, 0", reversed, VX_NORM_COLUMNS, 0, {1, .100697, .022333, 0}},
        {"vit-explain, 0.5", reversed, VX_NORM_COLUMNS, 0.5, {1, .103088, .022363, 0}},
        {"mended, 0", straight, VX_NORM_ROWS, 0, {1, .067090, .003018, .001356}},
        {"mended, 0.5", straight, VX_NORM_ROWS, 0.5, {1, .067090, .003018, .001356}},
    };
    const small s = small_case();
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        float map[P], max = 0;
        roll(map, &b, &s, VX_PRODUCT_MEAN_RELU, cases[k].pair, (int64_t)(T * T * cases[k].discard),
             cases[k].norm);
        for (int p = 0; p < P; p++)
            max = fmaxf(max, map[p]);
        for (int p = 0; p < P; p++)
            map[p] /= max;
        check_printed(map, cases[k].map, say(&b, "%s", cases[k].what));
    }
    bed_close(&b);
}
END_TEST

START_TEST(test_numbers__generic)
{
    static const double raw[P] = {.672088, .067856, .010121, .001144};
    static const double by_rows[P] = {.297895, .026966, .004302, .000409};
    static const int straight[L] = {0, 1};
    const small s = small_case();
    bed b;
    float map[P];
    if (!bed_open(&b, _i, &largest))
        return;
    roll(map, &b, &s, VX_PRODUCT_RELU_MEAN, straight, 0, VX_NORM_NONE);
    check_printed(map, raw, say(&b, "generic"));
    roll(map, &b, &s, VX_PRODUCT_RELU_MEAN, straight, 0, VX_NORM_ROWS);
    check_printed(map, by_rows, say(&b, "generic, rows normalised"));
    bed_close(&b);
}
END_TEST

START_TEST(test_numbers__legrad)
{
    static const double map[P] = {.498793, .552846, .440114, .375341};
    const small s = small_case();
    bed b;
    float out[T];
    if (!bed_open(&b, _i, &largest))
        return;
    b.dev->ops.attn_relu_mean(b.dev, &(vx_attn_relu_mean){.out = out,
                                                          .dp = s.g[L - 1][0][0],
                                                          .head = -1,
                                                          .gradients = 1,
                                                          .heads = H,
                                                          .tokens = T});
    check_printed(out + 1, map, say(&b, "legrad"));
    bed_close(&b);
}
END_TEST

START_TEST(test_numbers__token_cams)
{
    static const double maps[VX_CAM_COUNT][P] = {
        [VX_CAM_GRADCAM] = {.223752, .234655, .114570, -.121444},
        [VX_CAM_PLUSPLUS] = {.149416, -.036941, .048889, -.060709},
        [VX_CAM_XGRAD] = {5.950755, -.243689, -5.470332, -.347736},
        [VX_CAM_HIRES] = {.002351, .166513, -.156622, -.123244},
        [VX_CAM_ELEMENTWISE] = {.582031, .469399, .171475, 0},
        [VX_CAM_LAYER] = {.002351, .166513, .120170, -.037791},
    };
    float a[T][C], g[T][C], out[P];
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) {
            a[t][c] = (float)sin(0.9 * t + 1.7 * c + 0.3 * t * c);
            g[t][c] = (float)(0.5 * cos(0.4 * t - 0.8 * c + 0.5 * t * c) + 0.1);
        }
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (int kind = 0; kind < VX_CAM_COUNT; kind++) {
        b.dev->ops.token_cam(b.dev, &(vx_token_cam){.out = out,
                                                    .a = a[0],
                                                    .g = g[0],
                                                    .kind = (vx_cam)kind,
                                                    .batch = 1,
                                                    .targets = 1,
                                                    .first = 1,
                                                    .tokens = T,
                                                    .width = C});
        check_printed(out, maps[kind], say(&b, "vx_cam %d", kind));
    }
    bed_close(&b);
}
END_TEST

static Suite *numbers_suite(void)
{
    Suite *suite = suite_create("golden numbers");
    TCase *tcase = tcase_create("golden numbers");
    tcase_add_loop_test(tcase, test_numbers__gradient_rollout, 0, BEDS);
    tcase_add_loop_test(tcase, test_numbers__generic, 0, BEDS);
    tcase_add_loop_test(tcase, test_numbers__legrad, 0, BEDS);
    tcase_add_loop_test(tcase, test_numbers__token_cams, 0, BEDS);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(numbers_suite)
