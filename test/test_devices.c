/*
 * Devices: opening, refusing, failing allocations, memory; halves; and that the loaded OpenBLAS
 * stays out of the process's way. VX_TEST_THREADS
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

START_TEST(test_half__every_half_survives)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float x = vx_half_to_float((uint16_t)h);
        if (isnan(x))
            expect(isnan(vx_half_to_float(vx_float_to_half(x))), "%x", h);
        else
            expect(vx_float_to_half(x) == h, "%x", h);
    }
    ck_assert_float_eq(vx_half_to_float(0x3c00), 1);
    ck_assert_float_eq(vx_half_to_float(0x0001), 0x1p-24f);
    ck_assert_uint_eq(vx_float_to_half(65519.99f), 0x7bff);
    ck_assert_uint_eq(vx_float_to_half(65520), 0x7c00);
    ck_assert_uint_eq(vx_float_to_half(0x1p-25f), 0); /* half way: to even */
    ck_assert_uint_eq(vx_float_to_half(0x1.8p-24f), 2);
}
END_TEST

START_TEST(test_half__vectors_round_as_the_scalar)
{
    enum { N = 1003 };
    bed b;
    rng r = {14};
    if (!bed_open(&b, _i, &largest))
        return;
    static float x[N], back[N];
    static uint16_t half[N];
    for (int round = 0; round < (QUICK ? 3 : 100) && strcmp(b.version->device, "cpu") == 0;
         round++) {
        const vx_pieces *pieces = &vx_cpu_of(b.dev)->pieces;
        for (int i = 0; i < N; i++)
            x[i] = vx_bits_float((uint32_t)rng_next(&r) & 0xfffff000u); /* many ties */
        pieces->convert(half, VX_STORE_F16, x, VX_STORE_F32, 1, N);
        pieces->convert(back, VX_STORE_F32, half, VX_STORE_F16, 1, N);
        for (int i = 0; i < N; i++) {
            if (isnan(x[i])) {
                expect(isnan(back[i]), "%a", (double)x[i]);
                continue;
            }
            expect(half[i] == vx_float_to_half(x[i]), "%a", (double)x[i]);
            expect(back[i] == vx_half_to_float(half[i]), "%a", (double)x[i]);
        }
    }
    bed_close(&b);
}
END_TEST

/* A product of [size,size] matrices is right. */
static void check_product(const bed *b, int size)
{
    rng r = {15};
    const size_t n = (size_t)size * (size_t)size;
    float *x = weights(&r, n, 0.5f), *w = weights(&r, n, 0.5f);
    float *y = output_f32(n), *expected = output_f32(n);
    const vx_weight plain = {w, NULL, size, size, &vx_packing_plain, NULL},
                    packed = packed_weight(b, VX_LAYER_FC1, w, NULL, size, size);
    vx_linear a = {.y = expected, .ldy = size, .x = x, .ldx = size, .w = &plain, .m = size};
    vx_linear_ref(NULL, &a);
    a.y = y;
    a.w = &packed;
    b->dev->ops.linear(b->dev, &a);
    check_guards("linear");
    ck_assert_double_lt(nmse_ff(y, expected, n), TOL_NMSE);
    free(x);
    free(w);
    free_outputs();
}

START_TEST(test_device__opens_and_closes_a_hundred_times)
{
    bed b, second;
    for (int i = 0; i < 100; i++) {
        ck_assert(bed_open(&b, i % 2 * (MOST_THREADS - 1), &largest));
        const bool two = i % 10 == 0 && bed_open(&second, MOST_THREADS - 1, &largest);
        if (i == 0)
            printf("kernels: %s\n", b.dev->kernels);
        check_product(&b, 33);
        if (two)
            bed_close(&second);
        bed_close(&b);
    }
}
END_TEST

START_TEST(test_device__has_every_operation)
{
    for (int v = 0; v < VERSIONS; v++) {
        bed b;
        if (!bed_open(&b, v * MOST_THREADS, &largest))
            continue;
        const char *device = b.version->name;
#define VX_OP(name) expect(b.dev->ops.name != NULL, "%s lacks " #name, device);
#include "kernels/ops.def"
#undef VX_OP
        bed_close(&b);
    }
}
END_TEST

START_TEST(test_device__refuses_an_unknown_precision)
{
    bed b;
    char err[100];
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    for (int i = 0; vx_device_at(i); i++) {
        const vx_device_class *cls = vx_device_at(i);
        vx_device *dev = (vx_device *)&b;
        ck_assert_int_ne(cls->open(&dev, &env, "f8", VX_FEATURES_ALL, err, sizeof err), 0);
        ck_assert(dev == NULL && strstr(err, "\"f8\"") && strstr(err, cls->name));
        ck_assert_ptr_eq(vx_device_find(cls->name), cls);
        ck_assert_str_eq(cls->precision_at(0), "f32");
        ck_assert_ptr_eq(vx_device_precision(cls, NULL), cls->precision_at(0));
        for (int k = 0; cls->precision_at(k); k++)
            ck_assert_ptr_eq(vx_device_precision(cls, cls->precision_at(k)), cls->precision_at(k));
        const char *automatic = vx_device_precision(cls, "auto");
        ck_assert(strcmp(automatic, "f32") == 0 || strcmp(automatic, "bf16x3") == 0);
    }
    ck_assert_ptr_null(vx_device_find("toaster"));
    bed_close(&b);
}
END_TEST

START_TEST(test_device__survives_failing_allocations)
{
    bed b;
    char err[200];
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    for (int i = 0; vx_device_at(i); i++) {
        const vx_device_class *cls = vx_device_at(i);
        vx_device *dev;
        b.allocations_left = 0;
        ck_assert_int_ne(cls->open(&dev, &env, NULL, VX_FEATURES_ALL, err, sizeof err), 0);
        ck_assert(dev == NULL && strstr(err, "memory"));
        ck_assert_ptr_null(cls->mem_alloc(100, &env));
        b.allocations_left = 1;
        ck_assert_int_eq(cls->open(&dev, &env, NULL, VX_FEATURES_ALL, err, sizeof err), 0);
        const int status = cls->reserve(dev, &largest, err, sizeof err);
        ck_assert(status == 0 ? cls->reserve_bytes(dev, &largest) == 0
                              : strstr(err, "memory") != NULL);
        b.allocations_left = -1;
        ck_assert_int_eq(cls->reserve(dev, &largest, err, sizeof err), 0);
        ck_assert_int_eq(cls->reserve(dev, &largest, err, sizeof err), 0);
        cls->close(dev);
        cls->close(NULL);
    }
    bed_close(&b);
}
END_TEST

START_TEST(test_device__memory_is_aligned)
{
    bed b;
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    const size_t bytes[] = {0, 1, 63, 64, 1000, 9 << 20};
    for (int i = 0; i < 6; i++) {
        char *p = b.dev->cls->mem_alloc(bytes[i], &env);
        ck_assert(p != NULL && (uintptr_t)p % 64 == 0);
        memset(p, 1, bytes[i]);
        b.dev->cls->mem_free(p, &env);
    }
    b.dev->cls->mem_free(NULL, &env);
    ck_assert_ptr_null(b.dev->cls->mem_alloc(SIZE_MAX - 8, &env));
    bed_close(&b);
}
END_TEST

/* The program that uses us must not see our OpenBLAS: neither its symbols nor its settings. */
START_TEST(test_blas__stays_private)
{
    bed b;
    ck_assert_int_eq(unsetenv("OPENBLAS_CORETYPE"), 0);
    ck_assert_int_eq(setenv("OPENBLAS_NUM_THREADS", "7", 1), 0);
    ck_assert_int_eq(setenv("OPENBLAS_VERBOSE", "2", 1), 0);
    ck_assert(bed_open(&b, 0, &largest));
    ck_assert_str_eq(getenv("OPENBLAS_NUM_THREADS"), "7");
    ck_assert_ptr_null(getenv("OPENBLAS_CORETYPE"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "cblas_sgemm"));
    check_product(&b, 197);
    bed_close(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("devices");
    TCase *device = tcase_create("device");
    tcase_add_test(device, test_half__every_half_survives);
    tcase_add_loop_test(device, test_half__vectors_round_as_the_scalar, 0, BEDS);
    tcase_add_test(device, test_device__opens_and_closes_a_hundred_times);
    tcase_add_test(device, test_device__has_every_operation);
    tcase_add_test(device, test_device__refuses_an_unknown_precision);
    tcase_add_test(device, test_device__survives_failing_allocations);
    tcase_add_test(device, test_device__memory_is_aligned);
    tcase_add_test(device, test_blas__stays_private);
    suite_add_tcase(s, device);
    return s;
}

VX_TEST_MAIN(suite)
