/* The parts of vitx-cli serve that read what clients send: queries, base64, forms, JSON, Accept,
 * addresses, keys and shares. */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/serve/base64.h"
#include "tools/cli/serve/fields.h"
#include "tools/cli/serve/gate.h"
#include "tools/cli/json.h"
#include "tools/cli/serve/media.h"
#include "tools/cli/serve/multipart.h"
#include "tools/cli/serve/sniff.h"

/* ------------------------------------------------------------------ queries ---------------- */

START_TEST(test_query)
{
    struct fields f = {.count = 0};
    struct problem why;
    ck_assert(fields_query(&f, "a=1&&b=%C3%A4+c%2b&a=2&e&set.k=v%3D", &why));
    ck_assert_int_eq(f.count, 5);
    ck_assert_str_eq(fields_get(&f, "a"), "2");
    ck_assert_str_eq(fields_get(&f, "b"), "\xc3\xa4 c+");
    ck_assert_str_eq(fields_get(&f, "e"), "");
    ck_assert_str_eq(fields_get(&f, "set"), "k=v=");
    ck_assert_ptr_null(fields_get(&f, "A"));
    fields_drop(&f, "a");
    ck_assert_int_eq(f.count, 3);
    ck_assert_ptr_null(fields_get(&f, "a"));
    fields_free(&f);
}
END_TEST

/* A body of that form, which no zero ends. */
START_TEST(test_form_of_words)
{
    static const char body[] = {'t', '=', 'a', '+', '%', '4', '1', '&', '&', 'u', '='};
    struct fields f = {.count = 0};
    struct problem why;
    ck_assert(fields_form(&f, body, sizeof body, &why));
    ck_assert_int_eq(f.count, 2);
    ck_assert_str_eq(fields_get(&f, "t"), "a A");
    ck_assert_str_eq(fields_get(&f, "u"), "");
    ck_assert(fields_form(&f, body, 0, &why));
    ck_assert(!fields_form(&f, "a\0b=1", 5, &why));
    ck_assert(!fields_form(&f, "a=1\0", 4, &why));
    ck_assert(!fields_form(&f, body, 6, &why));
    fields_free(&f);
    const size_t bytes = (size_t)1 << 20;
    char *large = malloc(bytes);
    ck_assert_ptr_nonnull(large);
    memset(large, 'a', bytes);
    ck_assert(!fields_form(&f, large, bytes, &why));
    ck_assert_str_eq(why.code, "bad_option");
    free(large);
    fields_free(&f);
}
END_TEST

START_TEST(test_percent)
{
    char out[16];
    ck_assert_int_eq(percent_decode(out, "a%2Fb+c", 7, false), 5);
    ck_assert_str_eq(out, "a/b+c");
    ck_assert_int_eq(percent_decode(out, "%2", 2, false), -1);
    ck_assert_int_eq(percent_decode(out, "%2f", 2, false), -1);
    ck_assert_int_eq(percent_decode(out, "a%00", 4, false), -1);
}
END_TEST

START_TEST(test_bad_query)
{
    static const char *const bad[] = {"a=%", "a=%1", "a=%g0", "%=1", "a=%00", "=1", "a%00b=1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fields f = {.count = 0};
        struct problem why;
        ck_assert_msg(!fields_query(&f, bad[i], &why), "%s", bad[i]);
        ck_assert_int_eq(why.status, 400);
        fields_free(&f);
    }
}
END_TEST

START_TEST(test_too_many_fields)
{
    char query[FIELDS_MOST * 2 + 16] = "", name[FIELD_NAME_MOST + 2];
    struct fields f = {.count = 0};
    struct problem why;
    for (int i = 0; i < FIELDS_MOST; i++)
        strcat(query, "a&");
    ck_assert(fields_query(&f, query, &why));
    ck_assert(!fields_query(&f, "a", &why));
    ck_assert_str_eq(why.code, "too_many_options");
    fields_free(&f);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert(!fields_query(&f, name, &why));
    fields_free(&f);
}
END_TEST

/* ------------------------------------------------------------------ base64 ----------------- */

START_TEST(test_base64)
{
    static const struct {
        const char *text, *bytes;
    } good[] = {{"", ""},
                {"Zg==", "f"},
                {"Zg", "f"},
                {"Zm8=", "fo"},
                {"Zm8", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"+/+/", "\xfb\xff\xbf"},
                {"Zm9v\r\nYg==\r\n", "foob"},
                {"Zg=\n=\n", "f"},
                {"\n", ""}};
    static const char *const bad[] = {
        "Z",      "Zg=",       "Zh==",  "Zm9=", "Zg===", "Z g=", "Zg==\nZg==",
        "Zg==\t", "Zm9vY\r\n", "Zg\n=", "=",    "====",  "-_-_", "Zm9vY"};
    uint8_t out[16];
    size_t n;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(base64_decode(out, &n, good[i].text, strlen(good[i].text)), "%s",
                      good[i].text);
        ck_assert_uint_eq(n, strlen(good[i].bytes));
        ck_assert_mem_eq(out, good[i].bytes, n);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!base64_decode(out, &n, bad[i], strlen(bad[i])), "%s", bad[i]);
}
END_TEST

/* ------------------------------------------------------------------ forms ------------------ */

#define BEGIN "--xyz\r\nContent-Disposition: form-data; name="

/* The parts' names and sizes as one word, "method:7 image:3f "; NULL: malformed. */
static const char *parts_of(const char *type, const char *body)
{
    static char out[256];
    struct multipart reader;
    struct part part;
    int more;
    out[0] = '\0';
    if (!multipart_begin(&reader, type, body, strlen(body)))
        return NULL;
    while ((more = multipart_next(&reader, &part)) == 1)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s:%zu%s ", part.name, part.bytes,
                 part.file ? "f" : "");
    return more == 0 ? out : NULL;
}

START_TEST(test_form)
{
    const char *type = "multipart/form-data; boundary=xyz";
    ck_assert_str_eq(parts_of(type,
                              BEGIN "\"method\"\r\n\r\nrollout\r\n" BEGIN
                                    "image; filename=\"a;name=b.png\"\r\nX: y\r\n\r\n\r\n-\r\n"
                                    "--xyz--\r\n"),
                     "method:7 image:3f ");
    ck_assert_str_eq(parts_of(type, BEGIN "\"e\"\r\n\r\n\r\n--xyz--"), "e:0 ");
    ck_assert_str_eq(parts_of("multipart/form-data;BOUNDARY=\"xyz\"; charset=utf-8",
                              BEGIN "a\r\n\r\n--xyzz\r\n--xy\r\n--xyz--"),
                     "a:12 ");
    ck_assert_str_eq(parts_of(type, "--xyz--"), "");
}
END_TEST

START_TEST(test_bad_form)
{
    static const char *const types[] = {"multipart/form-data", "multipart/form-data; boundary=",
                                        "multipart/form-data; boundary=\"xyz",
                                        "multipart/form-data; boundary=xyz; boundary=abc",
                                        "multipart/form-data; boundary=\"xyz \""};
    static const char *const bodies[] = {
        "",
        "preamble\r\n" BEGIN "a\r\n\r\nb\r\n--xyz--",
        BEGIN "a\r\n\r\nb",
        BEGIN "a\r\n\r\nb\r\n--xyz",
        BEGIN "a\r\n\r\nb\r\n--xyz--epilogue",
        BEGIN "a\r\n\r\nb\n--xyz--",
        BEGIN "a\n\nb\r\n--xyz--",
        BEGIN "\"\"\r\n\r\nb\r\n--xyz--",
        BEGIN "a\r\nContent-Disposition: form-data; name=b\r\n\r\nb\r\n--xyz--",
        BEGIN "a; name=b\r\n\r\nb\r\n--xyz--",
        BEGIN "a\r\nContent-Transfer-Encoding: base64\r\n\r\nYg==\r\n--xyz--",
        BEGIN "a\r\nno colon\r\n\r\nb\r\n--xyz--",
        "--xyz\r\n\r\nb\r\n--xyz--",
        "--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\nb\r\n--xyz--"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        ck_assert_msg(!parts_of(types[i], BEGIN "a\r\n\r\nb\r\n--xyz--"), "%s", types[i]);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        ck_assert_msg(!parts_of("multipart/form-data; boundary=xyz", bodies[i]), "%zu: %s", i,
                      bodies[i]);
}
END_TEST

START_TEST(test_long_head)
{
    static char body[PART_HEAD_MOST + 256];
    snprintf(body, sizeof body, BEGIN "a\r\nX: %0*d\r\n\r\nb\r\n--xyz--", PART_HEAD_MOST, 0);
    ck_assert_ptr_null(parts_of("multipart/form-data; boundary=xyz", body));
}
END_TEST

/* ------------------------------------------------------------------ JSON ------------------- */

START_TEST(test_json_fields)
{
    static const char text[] = "{\"image\":\"x\",\"top\":5,\"method\":[\"a\",\"b\"],\"flip\":true,"
                               "\"set\":{\"k\":0.5},\"none\":null} ";
    struct json *json = json_read(text, strlen(text));
    struct fields f = {.count = 0};
    struct problem why;
    ck_assert_ptr_nonnull(json);
    ck_assert(fields_json(&f, json, "image", &why));
    ck_assert_int_eq(f.count, 5);
    ck_assert_str_eq(fields_get(&f, "top"), "5");
    ck_assert_str_eq(fields_get(&f, "method"), "b");
    ck_assert_str_eq(fields_get(&f, "flip"), "true");
    ck_assert_str_eq(fields_get(&f, "set"), "k=0.5");
    fields_free(&f);
    json_free(json);
}
END_TEST

START_TEST(test_bad_json)
{
    static const char *const no_json[] = {"", "{", "{} {}", "nul", "{\"a\":1}x"};
    static const char *const no_options[] = {
        "[1]", "1", "{\"a\":{}}", "{\"a\":[[1]]}", "{\"set\":{\"k\":[]}}", "{\"\":1}", "[null]"};
    struct problem why;
    for (size_t i = 0; i < sizeof no_json / sizeof no_json[0]; i++)
        ck_assert_ptr_null(json_read(no_json[i], strlen(no_json[i])));
    ck_assert_ptr_null(json_read("{}\0x", 4));
    static const char zero[] = "{\"method\":\"rollout\\u0000x\"}", escaped[] = "[\"\\\\u0000\"]";
    ck_assert_ptr_null(read_object(zero, sizeof zero - 1, &why));
    ck_assert_int_eq(why.status, 400);
    ck_assert_ptr_nonnull(strstr(why.text, "holds \\u0000"));
    ck_assert_ptr_null(read_object("[]", 2, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "no JSON object"));
    struct json *text = json_read(escaped, sizeof escaped - 1);
    ck_assert_str_eq(json_string(json_first(text)), "\\u0000");
    json_free(text);
    for (size_t i = 0; i < sizeof no_options / sizeof no_options[0]; i++) {
        struct json *json = json_read(no_options[i], strlen(no_options[i]));
        struct fields f = {.count = 0};
        ck_assert_msg(json && !fields_json(&f, json, "image", &why), "%s", no_options[i]);
        fields_free(&f);
        json_free(json);
    }
}
END_TEST

/* ------------------------------------------------------------------ kinds of content ------- */

START_TEST(test_accept)
{
    static const char *const types[] = {"application/json", "image/png", "text/html"};
    static const struct {
        const char *accept;
        int chosen;
    } cases[] = {{NULL, 0},
                 {"", 0},
                 {"*/*", 0},
                 {"image/*", 1},
                 {"TEXT/HTML", 2},
                 {"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", 2},
                 {"application/json;q=0.2, image/png;q=0.3", 1},
                 {"application/json;q=0, */*;q=0.1", 1},
                 {"application/json; charset=utf-8", 0},
                 {"application/json;q=0", -1},
                 {"application/jsonx", -1},
                 {"audio/*, video/*;q=0.5", -1},
                 {",,;;,", -1},
                 {"image/png;q=0.001, text/html;q=0.002", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(media_choose(cases[i].accept, types, 3) == cases[i].chosen, "%s",
                      cases[i].accept ? cases[i].accept : "none");
    ck_assert(media_is("application/json; charset=utf-8", "application/json"));
    ck_assert(media_is("Application/JSON", "application/json"));
    ck_assert(!media_is("application/jsonl", "application/json"));
    ck_assert(!media_is(NULL, "application/json"));
}
END_TEST

START_TEST(test_ppm)
{
    int64_t pixels;
    ck_assert(sniff_picture("P6\n30 20\n255\n", 13, &pixels));
    ck_assert_int_eq(pixels, 600);
    ck_assert(sniff_picture("P6\n4000000 4000000\n", 19, &pixels));
    ck_assert_int_ge(pixels, 16000000000000);
    ck_assert(sniff_picture("P6\n99999999999999999999 2", 25, &pixels));
    ck_assert_int_ge(pixels, 100000000);
    ck_assert(!sniff_picture("P5\n3 2\n255\n", 11, &pixels));
}
END_TEST

/* ------------------------------------------------------------------ keys ------------------- */

START_TEST(test_keys)
{
    char path[] = "/tmp/vitx-keys-XXXXXX";
    const int fd = mkstemp(path);
    static const char keys[] = "# a comment\n\nfirst-key-0123456789\r\nsecond-key-0123456789\n";
    struct gate *gate;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, keys, sizeof keys - 1), sizeof keys - 1);
    close(fd);
    ck_assert_int_eq(gate_open(&gate, path, 100), 0);
    unlink(path);
    ck_assert(gate_has_keys(gate));
    ck_assert_int_eq(gate_key(gate, "Bearer first-key-0123456789", NULL), 0);
    ck_assert_int_eq(gate_key(gate, "bearer  second-key-0123456789", NULL), 1);
    ck_assert_int_eq(gate_key(gate, NULL, "second-key-0123456789"), 1);
    ck_assert_int_eq(gate_key(gate, NULL, NULL), -1);
    ck_assert_int_eq(gate_key(gate, "Bearer ", NULL), -1);
    ck_assert_int_eq(gate_key(gate, "Bearer first-key-012345678", NULL), -1);
    ck_assert_int_eq(gate_key(gate, "Bearer # a comment", NULL), -1);
    ck_assert_int_eq(gate_key(gate, "Basic first-key-0123456789", NULL), -1);
    gate_close(gate);
}
END_TEST

START_TEST(test_shares)
{
    struct gate *gate;
    struct share *a, *b, *c;
    ck_assert_int_eq(gate_open(&gate, NULL, 100), 0);
    ck_assert(!gate_has_keys(gate));
    ck_assert(gate_enter(gate, &a, "one", 2));
    ck_assert(gate_enter(gate, &b, "one", 2));
    ck_assert(!gate_enter(gate, &c, "one", 2));
    ck_assert(gate_enter(gate, &c, "two", 2));
    gate_leave(gate, a);
    ck_assert(gate_enter(gate, &a, "one", 2));
    gate_leave(gate, a);
    gate_leave(gate, b);
    gate_leave(gate, c);
    gate_leave(gate, NULL);
    ck_assert(gate_take(gate, 60));
    ck_assert(!gate_take(gate, 41));
    ck_assert(gate_take(gate, 40));
    gate_give(gate, 60);
    ck_assert(gate_take(gate, 60));
    gate_close(gate);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_parts");
    TCase *tests = tcase_create("parts");
    tcase_add_test(tests, test_query);
    tcase_add_test(tests, test_form_of_words);
    tcase_add_test(tests, test_percent);
    tcase_add_test(tests, test_bad_query);
    tcase_add_test(tests, test_too_many_fields);
    tcase_add_test(tests, test_base64);
    tcase_add_test(tests, test_form);
    tcase_add_test(tests, test_bad_form);
    tcase_add_test(tests, test_long_head);
    tcase_add_test(tests, test_json_fields);
    tcase_add_test(tests, test_bad_json);
    tcase_add_test(tests, test_accept);
    tcase_add_test(tests, test_ppm);
    tcase_add_test(tests, test_keys);
    tcase_add_test(tests, test_shares);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
