/* test_safetensors.c: the container of weights, good and hostile. */
#define _XOPEN_SOURCE 700 /* strdup */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "model/model.h"
#include "model_files.h"
#include "util.h"

typedef struct file_case {
    const char *header;
    size_t data;
    const char *part; /* NULL: accepted */
} file_case;

/* clang-format off */
static const file_case file_cases[] = {
    /* what the format allows */
    {"{\"a\":" T("F32", "[2]", 0, 8) "}", 8, NULL},
    {"{\"a\":" T("F32", "[2]", 0, 8) "}     ", 8, NULL},
    {"{}", 0, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T("F32", "[]", 0, 4) "}", 4, NULL},
    {"{\"b\":" T("F16", "[1]", 0, 2) ",\"a\":" T("F32", "[1]", 2, 6) "}", 6, NULL},
    /* unaligned */
    {"{\"a\":" T("F32", "[1]", 2, 6) ",\"b\":" T("U8", "[2]", 0, 2) "}", 6, NULL},
    /* any order */
    {"{\"a\":" T("F32", "[0,7]", 0, 0) ",\"b\":" T("F32", "[1]", 0, 4) ",\"c\":" T("I64", "[0]", 4,
     4) "}", 4, NULL},
    {"{\"a\":" T("F4", "[2]", 0, 1) ",\"b\":" T("F8_E4M3", "[3]", 1, 4) ",\"c\":" T("F6_E2M3",
     "[4]", 4, 7) "}", 7, NULL},
    {"{\"a\":" T("BOOL", "[1,1,1,1,1,1,1,1]", 0, 1) "}", 1, NULL},
    {"{\"a\":" T("F32", "[0,9007199254740992,9007199254740992]", 0, 0) "}", 0, NULL},
    /* places */
    {"{\"a\":" T("F32", "[2]", 0, 8) "}", 9, "9 follow the header"},
    {"{\"a\":" T("F32", "[2]", 0, 8) "}", 7, "7 follow the header"},
    {"{}", 1, "1 follow the header"},
    {"{\"a\":" T("F32", "[1]", 4, 8) "}", 8, "hole"},
    {"{\"a\":" T("F32", "[1]", 0, 4) ",\"b\":" T("F32", "[1]", 8, 12) "}", 12, "hole"},
    {"{\"a\":" T("F32", "[2]", 0, 8) ",\"b\":" T("F32", "[2]", 4, 12) "}", 12, "overlap"},
    {"{\"a\":" T("F32", "[2]", 0, 8) ",\"b\":" T("F32", "[2]", 0, 8) "}", 8, "overlap"},
    {"{\"a\":" T("F32", "[0]", 4, 4) ",\"b\":" T("F32", "[2]", 0, 8) "}", 8, "overlap"},
    {"{\"a\":" T("F32", "[1]", 4, 0) "}", 4, "before its begin"},
    {"{\"a\":" T("F32", "[1]", -4, 0) "}", 4, "data_offsets"},
    {"{\"a\":" T("F32", "[1]", 0, 4.5) "}", 4, "data_offsets"},
    {"{\"a\":" T("F32", "[1]", 0, 1e300) "}", 4, "data_offsets"},
    {"{\"a\":" T("F32", "[1]", 0, 9007199254740993e3) "}", 4, "data_offsets"},
    {"{\"a\":" T("F32", "[1]", 9007199254740988, 9007199254740992) "}", 4, "hole"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{\"0\":0,\"1\":4}}}", 4,
     "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
    /* shapes */
    {"{\"a\":" T("F32", "[3]", 0, 8) "}", 8, "takes 8 bytes, but [3] of F32"},
    {"{\"a\":" T("F4", "[3]", 0, 1) "}", 1, "12 bits"},
    {"{\"a\":" T("F32", "[4294967296,4294967296]", 0, 8) "}", 8, "overflows"},
    {"{\"a\":" T("F32", "[4611686018427387904,4]", 0, 8) "}", 8, "2^53"},
    {"{\"a\":" T("F64", "[1099511627776,4194304]", 0, 8) "}", 8, "overflows"},
    {"{\"a\":" T("F32", "[-1]", 0, 4) "}", 4, "dimension 0"},
    {"{\"a\":" T("F32", "[1.5]", 0, 4) "}", 4, "dimension 0"},
    {"{\"a\":" T("F32", "[1,1e300]", 0, 4) "}", 4, "dimension 1"},
    {"{\"a\":" T("F32", "[\"1\"]", 0, 4) "}", 4, "dimension 0"},
    {"{\"a\":" T("F32", "[null]", 0, 4) "}", 4, "dimension 0"},
    {"{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "more than 8 dimensions"},
    {"{\"a\":" T("F32", "4", 0, 4) "}", 4, "no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
    /* the rest */
    {"{\"a\":" T("F99", "[1]", 0, 4) "}", 4, "\"F99\""},
    {"{\"a\":" T("f32", "[1]", 0, 4) "}", 4, "\"f32\""},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
    {"{\"a\":7}", 0, "no object"},
    {"{\"a\":null}", 0, "no object"},
    {"{\"a\":" T("F32", "[1]", 0, 4) ",\"a\":" T("F32", "[1]", 4, 8) "}", 8, "\"a\" occurs twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "\"dtype\" occurs twice"},
    {"{\"a\\u0000b\":" T("F32", "[1]", 0, 4) "}", 4, "zero byte"},
    {"{\"__metadata__\":{\"n\":1}}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"n\":null}}", 0, "__metadata__"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    {"{\"__metadata__\":\"x\"}", 0, "__metadata__"},
    {" {}", 0, "does not begin with {"},
    {"[]", 0, "does not begin with {"},
    {"", 0, "does not begin with {"},
    {"{", 0, "no valid JSON"},
    {"{}{}", 0, "no valid JSON"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0,
     "more than 64 deep"},
    {"{\"\xff\":" T("F32", "[1]", 0, 4) "}", 4, "not UTF-8"},
};
/* clang-format on */

static int open_container(vx_container **out, const char *path)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return vx_safetensors_open(out, (vx_shelf){0}, path, NULL, &hooks);
}

START_TEST(test_safetensors__keeps_to_the_format)
{
    const file_case *t = &file_cases[_i];
    char *folder = make_folder(), data[64] = {0};
    const char *path = in_folder(folder, "a.safetensors");
    const weights_file w = {(char *)(uintptr_t)t->header, data, strlen(t->header), t->data};
    vx_container *c = NULL;
    save_weights(path, &w);
    if (t->part) {
        ck_fails(open_container(&c, path), VITX_FORMAT, t->part);
        ck_assert(strstr(vitx_last_error(), "a.safetensors") != NULL && c == NULL);
    } else {
        ck_ok(open_container(&c, path));
        for (int i = 1; i < c->count; i++)
            ck_assert(strcmp(c->tensors[i - 1].name, c->tensors[i].name) < 0);
        ck_assert(vx_container_find(c, "") == NULL && vx_container_find(c, "zz") == NULL);
        vx_container_close(c);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Other programs' files, and what a download leaves that went wrong. */
static const struct {
    const char *begin;
    size_t bytes; /* 0: the text's */
    const char *part;
} other_files[] = {
    /* what `git clone` leaves where git-lfs is not installed */
    {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\n", 0, "git lfs pull"},
    {"PK\3\4\0\0\10\10", 8, "zip"},
    {"\200\2}q\0(X\16", 8, "damaged pickle"},
    {"{\n  \"arc", 8, "JSON, not weights"},
    {"\211PNG\r\n\32\n", 8, "no safetensors file"},
    {"<!DOCTYPE html>\n<html><title>404</title>", 0, "an HTML page, as servers send one"},
    {"<!doctype html>", 0, "no safetensors file"},
    {"GGUF\3 and more", 0, "GGUF weights (llama.cpp's), no safetensors file"},
    {"\x1f\x8b\10 packed", 0, "packed by gzip"},
    {"\211HDF\r\n\32\n", 0, "HDF5"},
};

START_TEST(test_safetensors__says_what_else_a_file_is)
{
    char *folder = make_folder();
    const char *path = in_folder(folder, "a.safetensors");
    const size_t bytes = other_files[_i].bytes;
    vx_container *c;
    write_file(path, other_files[_i].begin, bytes ? bytes : strlen(other_files[_i].begin));
    ck_fails(open_container(&c, path), VITX_FORMAT, other_files[_i].part);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_safetensors__refuses_lengths_that_lie)
{
    char *folder = make_folder();
    const char *path = in_folder(folder, "a.safetensors");
    vx_container *c;
    const struct {
        uint64_t n;
        size_t size;
        const char *part;
    } cases[] = {
        {0, 0, "too short"},
        {0, 7, "too short"},
        {100, 12, "cut short"},
        {3, 10, "cut short"},
        {100000001, 1000, "at most 100000000"},
        {UINT64_MAX, 1000, "at most"},
        {UINT64_MAX - 7, 1000, "at most"},
        {100000000, 1000, "cut short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[1000];
        memset(file, '{', sizeof file);
        memcpy(file, &cases[i].n, 8);
        write_file(path, file, cases[i].size);
        ck_fails(open_container(&c, path), VITX_FORMAT, cases[i].part);
    }
    /* gzip writes no time: as a length that is 559,903, within the bound */
    char packed[600] = "\x1f\x8b\10";
    write_file(path, packed, sizeof packed);
    ck_fails(open_container(&c, path), VITX_FORMAT, "packed by gzip");
    ck_fails(open_container(&c, folder), VITX_IO, "folder");
    ck_fails(open_container(&c, in_folder(folder, "none")), VITX_IO, "none");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* A header may be long, but what it makes vitx allocate stays in proportion. */
START_TEST(test_safetensors__bounds_the_values_of_a_header)
{
    char *folder = make_folder();
    const char *path = in_folder(folder, "a.safetensors");
    const size_t size = 4 << 20;
    weights_file w = {.header = malloc(size + 1), .header_size = size, .data = folder};
    strcpy(w.header, "{\"a\":[");
    const size_t start = strlen(w.header);
    for (size_t i = start; i < size; i++)
        w.header[i] = (i - start) % 2 ? ',' : '1';
    memcpy(w.header + size - 3, "1]}", 3);
    save_weights(path, &w);
    vx_container *c;
    ck_fails(open_container(&c, path), VITX_FORMAT, "more than");
    free(w.header);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* All 65,536 halfs, and bfloat16, against the formulas. */
START_TEST(test_safetensors__reads_halfs_exactly)
{
    char *folder = make_folder();
    const char *path = in_folder(folder, "a.safetensors");
    static uint16_t halfs[65536];
    static float read[65536];
    for (int bf = 0; bf < 2; bf++) {
        for (int i = 0; i < 65536; i++)
            halfs[i] = (uint16_t)i;
        weights_file w = {.data = (char *)halfs, .data_size = sizeof halfs};
        char header[200];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[65536],\"data_offsets\":[0,131072]}}",
                 bf ? "BF16" : "F16");
        w.header = header;
        w.header_size = strlen(header);
        save_weights(path, &w);
        vx_container *c;
        ck_ok(open_container(&c, path));
        const vx_tensor *t = vx_container_find(c, "a");
        const int infinite = bf ? 0x7f80 : 0x7c00;
        for (int sign = 0; sign < 2; sign++) {
            const uint64_t first = sign ? 0x8000 : 0;
            ck_ok(vx_tensor_read_f32(t, read, first, (uint64_t)infinite));
            for (int i = 0; i < infinite; i++) {
                const int e = bf ? i >> 7 : i >> 10, bits = bf ? 7 : 10, bias = bf ? 127 : 15;
                const double m = i & ((1 << bits) - 1), one = 1 << bits;
                const double v = e ? ldexp(1 + m / one, e - bias) : ldexp(m / one, 1 - bias);
                ck_assert_msg((double)read[i] == (sign ? -v : v), "%d: %g, expected %g", i,
                              (double)read[i], v);
                ck_assert(signbit(read[i]) ? sign : !sign);
            }
            char part[60];
            snprintf(part, sizeof part, "tensor a holds an infinity at element %d",
                     (int)first + infinite);
            ck_fails(vx_tensor_read_f32(t, read, first, 32768), VITX_FORMAT, part);
            snprintf(part, sizeof part, "tensor a holds a NaN at element %d",
                     (int)first + infinite + 1);
            ck_fails(vx_tensor_read_f32(t, read, first + (uint64_t)infinite + 1, 5), VITX_FORMAT,
                     part);
        }
        ck_fails(vx_tensor_read_f32(t, read, 65536, 1), VITX_INVALID, "65536");
        ck_fails(vx_tensor_read_f32(t, read, UINT64_MAX, 2), VITX_INVALID, "asked for");
        ck_ok(vx_tensor_read_f32(t, read, 65536, 0));
        vx_container_close(c);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

#define INDEX "model.safetensors.index.json"

/* clang-format off */
static const struct {
    const char *find, *replace, *part;
} index_edits[] = {
    {"\"classifier.bias\": \"model-00001", "\"classifier.bias\": \"model-00002",
     "expected in model-00002"},
    {"\"classifier.bias\": \"model-00001-of-00004.safetensors\"",
     "\"classifier.bias\": \"../x.safetensors\"", "no plain file name"},
    {"\"classifier.bias\": \"model-00001-of-00004.safetensors\"",
     "\"classifier.bias\": \"a/b.safetensors\"", "no plain file name"},
    {"\"classifier.bias\": \"model-00001-of-00004.safetensors\"", "\"classifier.bias\": 7",
     "no plain file name"},
    {"\"classifier.bias\": \"model-00001-of-00004.safetensors\"", "\"classifier.bias\": \"\"",
     "no plain file name"},
    {"\"classifier.bias\"", "\"classifier.bios\"", "classifier.bi"},
    {"\"classifier.bias\": \"model-00001-of-00004.safetensors\",", "",
     "does not list tensor classifier.bias"},
    {"\"weight_map\": {", "\"weight_map\": {\"zzz\": \"model-00001-of-00004.safetensors\",",
     "zzz is not in"},
    {"weight_map", "weight_mop", "no weight_map"},
};
/* clang-format on */

START_TEST(test_safetensors__refuses_an_index_that_lies)
{
    char *folder = copy_golden("vit-hf-sharded");
    edit_file(folder, INDEX, index_edits[_i].find, index_edits[_i].replace);
    try_open(folder, VITX_FORMAT, index_edits[_i].part);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_safetensors__checks_shards_against_their_index)
{
    const char *second = "model-00002-of-00004.safetensors",
               *third = "model-00003-of-00004.safetensors";
    char *folder = copy_golden("vit-hf-sharded");
    vitx_model_free(open_ok(folder));
    vitx_model_free(open_ok(in_folder(folder, INDEX)));
    ck_assert_int_eq(unlink(in_folder(folder, third)), 0);
    try_open(folder, VITX_IO, "model-00003");
    ck_assert_int_eq(link(in_folder(folder, second), "build/test-link"), 0);
    ck_assert_int_eq(rename("build/test-link", in_folder(folder, third)), 0);
    try_open(folder, VITX_FORMAT, "is in both");

    char *many = malloc(1 << 16);
    strcpy(many, "{\"weight_map\":{");
    for (int i = 0; i < 300; i++)
        sprintf(many + strlen(many), "%s\"t%d\":\"s%d\"", i ? "," : "", i, i);
    strcat(many, "}}");
    write_text(folder, INDEX, many);
    try_open(folder, VITX_FORMAT, "more than 256 shards");
    write_text(folder, INDEX, "{\"weight_map\": {}}");
    try_open(folder, VITX_FORMAT, "holds no tensor");
    free(many);
    remove_folder(folder);
    free(folder);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("safetensors");
    tcase_add_loop_test(t, test_safetensors__keeps_to_the_format, 0, COUNT(file_cases));
    tcase_add_loop_test(t, test_safetensors__says_what_else_a_file_is, 0, COUNT(other_files));
    tcase_add_test(t, test_safetensors__refuses_lengths_that_lie);
    tcase_add_test(t, test_safetensors__bounds_the_values_of_a_header);
    tcase_add_test(t, test_safetensors__reads_halfs_exactly);
    tcase_add_loop_test(t, test_safetensors__refuses_an_index_that_lies, 0, COUNT(index_edits));
    tcase_add_test(t, test_safetensors__checks_shards_against_their_index);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
