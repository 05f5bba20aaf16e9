/* test_json.c: reading and writing JSON: what is refused, and that large input costs little. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "base/json.h"
#include "util.h"

static int parse(vx_json **out, const char *text)
{
    return vx_json_parse(out, text, strlen(text), "x.json", 100000);
}

START_TEST(test_json__reads_every_kind)
{
    vx_json *j;
    int i;
    uint64_t u;
    double d;
    bool b;
    ck_ok(parse(&j, "\xef\xbb\xbf "
                    "{\"b\":[1,-2.5e1,true,null,\"\\u00e9\\ud83d\\ude00\\n\"],\"a\":{},\"c\":"
                    "9007199254740992} \n"));
    ck_assert(vx_json_is_object(j));
    ck_assert_int_eq(vx_json_size(j), 3);
    ck_assert_str_eq(vx_json_key(vx_json_first(j)), "a"); /* sorted by key */
    const vx_json *item = vx_json_first(vx_json_get(j, "b"));
    ck_assert(vx_json_int(item, &i) && i == 1);
    item = vx_json_next(item);
    ck_assert(vx_json_number(item, &d) && d == -25 && vx_json_int(item, &i) &&
              !vx_json_u64(item, &u));
    item = vx_json_next(item);
    ck_assert(vx_json_bool(item, &b) && b && !vx_json_int(item, &i));
    item = vx_json_next(item);
    ck_assert(vx_json_is_null(item) && !vx_json_string(item));
    item = vx_json_next(item);
    ck_assert_str_eq(vx_json_string(item), "\xc3\xa9\xf0\x9f\x98\x80\n");
    ck_assert(vx_json_u64(vx_json_get(j, "c"), &u) && u == (uint64_t)1 << 53);
    ck_assert(!vx_json_int(vx_json_get(j, "c"), &i));
    ck_assert(vx_json_get(vx_json_get(vx_json_get(j, "a"), "x"), "y") == NULL);
    ck_assert(vx_json_first(NULL) == NULL && vx_json_size(NULL) == 0 &&
              vx_json_get(NULL, "a") == NULL);
    vx_json_free(j);
    vx_json_free(NULL);
}
END_TEST

static const struct {
    const char *text, *part;
} refused[] = {
    {"", "a value was expected"},
    {"   ", "a value was expected"},
    {"{", "a string was expected"},
    {"{}x", "something after"},
    {"{} {}", "something after"},
    {"[1,]", "a value was expected"},
    {"[1 2]", "',' or ']'"},
    {"{\"a\" 1}", "':'"},
    {"{\"a\":1,}", "a string was expected"},
    {"{a:1}", "a string was expected"},
    {"\n\n{'a':1}", "line 3"},
    {"tru", "a value was expected"},
    {"nan", "a value was expected"},
    {"NaN", "a value was expected"},
    {"Infinity", "a value was expected"},
    {"01", "leading zero"},
    {"-", "a value was expected"},
    {"+1", "a value was expected"},
    {".5", "a value was expected"},
    {"1.", "after its point"},
    {"1e", "exponent"},
    {"1e999", "beyond the range"},
    {"{\"k\":-1e999}", "at key k"},
    {"[1234567890123456789012345678901234567890123456789012345678901234567890]", "60 characters"},
    {"\"", "without its end"},
    {"\"\x01\"", "control character"},
    {"\"a\nb\"", "control character"},
    {"\"\\x\"", "unknown escape"},
    {"\"\\u12\"", "four hex digits"},
    {"\"\\u0000\"", "zero byte"},
    {"{\"a\\u0000b\":1}", "zero byte"},
    {"\"\\ud800\"", "surrogate"},
    {"\"\\ud800\\u0041\"", "surrogate"},
    {"\"\\udc00\"", "surrogate"},
    {"\"\xff\"", "not UTF-8"},
    {"\"\xc0\x80\"", "not UTF-8"},
    {"\"\xed\xa0\x80\"", "not UTF-8"},
    {"\"\xf4\x90\x80\x80\"", "not UTF-8"},
    {"\"\xe2\x82\"", "not UTF-8"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "\"a\" occurs twice"},
    {"[{\"x\":{\"\":1,\"\":2}}]", "occurs twice"},
    {"{\"a\":1,\"\\u0061\":2}", "\"a\" occurs twice"},
};

START_TEST(test_json__refuses)
{
    vx_json *j = (vx_json *)1;
    ck_fails(parse(&j, refused[_i].text), VITX_FORMAT, refused[_i].part);
    ck_assert(j == NULL);
    ck_assert(strncmp(vitx_last_error(), "x.json: ", 8) == 0);
}
END_TEST

START_TEST(test_json__stops_at_the_given_length)
{
    vx_json *j;
    ck_ok(vx_json_parse(&j, "[1]garbage", 3, "x", 10));
    vx_json_free(j);
    ck_fails(vx_json_parse(&j, "[1]\0", 4, "x", 10), VITX_FORMAT, "something after");
    ck_fails(vx_json_parse(&j, "\"\0\"", 3, "x", 10), VITX_FORMAT, "control character");
    ck_fails(vx_json_parse(&j, "\"\\\0\"", 4, "x", 10), VITX_FORMAT, "unknown escape");
}
END_TEST

START_TEST(test_json__bounds_nesting_and_values)
{
    vx_json *j;
    char text[300];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    ck_ok(vx_json_parse(&j, text, 128, "x", 100));
    vx_json_free(j);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    ck_fails(vx_json_parse(&j, text, 130, "x", 100), VITX_FORMAT, "more than 64 deep");
    ck_ok(vx_json_parse(&j, "[1,2,{}]", 8, "x", 4));
    vx_json_free(j);
    ck_fails(vx_json_parse(&j, "[1,2,{}]", 8, "x", 3), VITX_FORMAT, "more than 3 values");
}
END_TEST

/* 200,000 keys in falling order; comparing each with each would take minutes. */
START_TEST(test_json__finds_one_duplicate_among_many)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    vx_json *j;
    for (int twice = 0; twice < 2; twice++) {
        vx_buffer b = {.hooks = &hooks};
        ck_ok(vx_buffer_append(&b, "{", 1));
        for (int i = 200000; i > 0; i--)
            ck_ok(vx_buffer_printf(&b, "\"%d\":0,", i));
        ck_ok(vx_buffer_printf(&b, "\"%s\":0}", twice ? "77777" : "x"));
        if (twice) {
            ck_fails(vx_json_parse(&j, b.data, b.size, "x", 300000), VITX_FORMAT,
                     "\"77777\" occurs twice");
        } else {
            ck_ok(vx_json_parse(&j, b.data, b.size, "x", 300000));
            ck_assert_int_eq(vx_json_size(j), 200001);
            const char *last = "";
            for (const vx_json *m = vx_json_first(j); m; last = vx_json_key(m), m = vx_json_next(m))
                ck_assert(strcmp(last, vx_json_key(m)) < 0);
            vx_json_free(j);
        }
        vx_buffer_dispose(&b);
    }
}
END_TEST

START_TEST(test_json__quotes_what_it_reads_back)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    vx_buffer b = {.hooks = &hooks};
    const char *text = "a\"b\\c\n\t\r\x01\x7f \xc3\xa9\xf0\x9f\x98\x80/";
    vx_json *j;
    vx_sink out = vx_sink_buffer(&b);
    ck_ok(vx_json_quote(&out, text));
    ck_ok(vx_json_parse(&j, b.data, b.size, "x", 10));
    ck_assert_str_eq(vx_json_string(j), text);
    vx_json_free(j);
    b.size = 0;
    ck_ok(vx_json_quote(&out, "x\xff\xc3y\xed\xa0\x80"));
    ck_assert_str_eq(b.data, "\"x\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    vx_buffer_dispose(&b);
}
END_TEST

START_TEST(test_json__survives_mutations)
{
    const char seed[] = "{\"a\":[1,2.5,-3e2,{\"b\":\"\\u00e9\\ud83d\\ude00x\"}],\"c\":null,\"d\":"
                        "true,\"e\":{\"f\":[]}}";
    rng r = {7};
    int good = 0;
    for (int i = 0; i < 20000; i++) {
        char text[sizeof seed];
        memcpy(text, seed, sizeof seed);
        size_t n = sizeof seed - 1;
        for (int k = rng_int(&r, 1, 3); k > 0; k--)
            text[rng_int(&r, 0, (int)n - 1)] = "{}[]\",:0e.\\u\x80 -"[rng_int(&r, 0, 15)];
        if (rng_int(&r, 0, 3) == 0)
            n = (size_t)rng_int(&r, 0, (int)n);
        char *copy = malloc(n + 1); /* so that reading past the end is seen */
        memcpy(copy, text, n);
        vx_json *j;
        const int status = vx_json_parse(&j, copy, n, "x", 40);
        ck_assert_msg(status == VITX_OK || status == VITX_FORMAT, "%.*s: %s", (int)n, text,
                      vitx_last_error());
        good += status == VITX_OK;
        vx_json_free(j);
        free(copy);
    }
    ck_assert_int_gt(good, 100);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json");
    TCase *t = tcase_create("json");
    tcase_add_test(t, test_json__reads_every_kind);
    tcase_add_loop_test(t, test_json__refuses, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(t, test_json__stops_at_the_given_length);
    tcase_add_test(t, test_json__bounds_nesting_and_values);
    tcase_add_test(t, test_json__finds_one_duplicate_among_many);
    tcase_add_test(t, test_json__quotes_what_it_reads_back);
    tcase_add_test(t, test_json__survives_mutations);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
