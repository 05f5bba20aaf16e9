/* test_labels.c: names of classes, good and hostile. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "model_files.h"
#include "util.h"

/* clang-format off */
static const struct {
    const char *text, *third; /* name of class 2; part of the message where code is not 0 */
    int code;
} label_files[] = {
    {"a\nb\nc\nd\ne\nf\ng", "c", 0},
    {"\xef\xbb\xbf" "a\r\nb\r\nc, cc\r\nd\r\ne\r\nf\r\ng\r\n\r\n\n", "c, cc", 0},
    {"a\nb\n\nd\ne\nf\ng\n", NULL, 0},
    {"n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 great white shark, white "
     "shark\nd\ne\nf\ng\n", "great white shark, white shark", 0},
    {"a\nb\nn01484850\nd\ne\nf\ng\n", "n01484850", 0},
    {"a\nb\n\xe9\xb1\xbc\nd\ne\nf\ng\n", "\xe9\xb1\xbc", 0},
    {"[\"a\",\"b\",\"c\",\"d\",null,\"f\",\"g\"]", "c", 0},
    {"\xef\xbb\xbf [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]", "c", 0},
    {"{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\",\"4\":\"e\",\"5\":\"f\",\"6\":\"g\"}", "c",
     0},
    {"{\"6\":[\"n1\",\"g\"],\"1\":\"b\",\"2\":[\"n2\",\"c\"],\"3\":\"d\",\"4\":\"e\",\"5\":\"f\","
     "\"0\":\"a\"}", "c", 0},
    {"{\"big\":[\"x\"],\"imagenet1k\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]}", "c", 0},
    {"{\"imagenet1k\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"],\"note\":\"x\"}", "c", 0},
    {"{\"a\":0,\"g\":6,\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5}", "c", 0},
    {"{\"0\":6,\"1\":5,\"2\":4,\"3\":3,\"4\":2,\"5\":1,\"6\":0}", "4", 0},
    {"{\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\",\"4\":\"e\",\"5\":\"f\","
     "\"6\":\"g\"},\"label2id\":{},\"x\":[1]}", "c", 0},
    {"{\"model_type\":\"vit\",\"label2id\":{\"a\":0,\"g\":6,\"b\":1,\"c\":2,\"d\":3,\"e\":4,"
     "\"f\":5}}", "c", 0},
    {"{\"a\":0,\"g\":7,\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5}",
     "7 of \"g\" is no class of a model of 7", VITX_FORMAT},
    {"{\"a\":0,\"g\":0,\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5}",
     "class 0 has two names: \"a\" and \"g\"", VITX_FORMAT},
    {"{\"label2id\":{\"a\":0}}", "neither an array", VITX_FORMAT},
    {"a\nb\nc\n", "3 class names, but the model has 7 classes", VITX_FORMAT},
    {"", "0 class names", VITX_FORMAT},
    {"[\"a\"]", "1 class names, but the model has 7", VITX_FORMAT},
    {"{\"a\":[\"x\"],\"b\":[\"y\"]}", "0 of its 2 arrays", VITX_FORMAT},
    {"{\"x\":[1,2,3,4,5,6,7]}", "class 0 is no string", VITX_FORMAT},
    {"{\"x\":7}", "neither an array", VITX_FORMAT},
    {"{}", "neither an array", VITX_FORMAT},
    {"{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\",\"4\":\"e\",\"5\":\"f\",\"7\":\"g\"}",
     "\"7\" is no class", VITX_FORMAT},
    {"{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\",\"4\":\"e\",\"5\":\"f\",\"06\":\"g\"}",
     "\"06\" is no class", VITX_FORMAT},
    {"{\"0\":\"a\",\"1\":\"b\",\"2\":{},\"3\":\"d\",\"4\":\"e\",\"5\":\"f\",\"6\":\"g\"}",
     "class 2 is no string", VITX_FORMAT},
    {"[\"a\",", "no valid JSON", VITX_FORMAT},
    {"a\nb\n\xff\nd\ne\nf\ng\n", "not UTF-8", VITX_FORMAT},
};
/* clang-format on */

START_TEST(test_labels__reads_what_people_have)
{
    char *folder = make_folder();
    char path[300];
    snprintf(path, sizeof path, "%s/labels", folder);
    write_file(path, label_files[_i].text, strlen(label_files[_i].text));
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    opts.labels = path;
    vitx_model *m;
    if (label_files[_i].code) {
        ck_fails(vitx_model_open(&m, golden_model("vit-timm"), &opts), label_files[_i].code,
                 label_files[_i].third);
        ck_assert(strstr(vitx_last_error(), path) != NULL);
    } else {
        ck_ok(vitx_model_open(&m, golden_model("vit-timm"), &opts));
        const char *name = vitx_model_label(m, 2);
        ck_assert(label_files[_i].third ? name && strcmp(name, label_files[_i].third) == 0 : !name);
        vitx_model_free(m);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_labels__reads_the_shared_ones)
{
    static const struct {
        const char *file, *zero, *last;
    } files[] = {
        {"labels/synset_words.txt", "tench, Tinca tinca",
         "toilet tissue, toilet paper, bathroom tissue"},
        {"labels/imagenet-simple-labels.json", "tench", "toilet paper"},
        {"labels/imagenet1k_en_chinese-clip.txt", "tench", "toilet paper"},
        {"labels/imagenet1k_zh_chinese-clip.txt", "\xe4\xb8\x81\xe9\xb2\xb7", NULL},
        {"labels/en_classnames.json", "tench", "toilet paper"},
        {"labels/cn_classnames.json", "\xe4\xb8\x81\xe9\xb2\xb7", NULL},
    };
    if (!have_shared("label files"))
        return;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[300];
        vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
        vitx_model *m;
        snprintf(path, sizeof path, "%s", shared_path(files[i].file));
        opts.labels = path;
        ck_ok(vitx_model_open(&m, shared_path("models/deit_tiny_patch16_224"), &opts));
        ck_assert_str_eq(vitx_model_label(m, 0), files[i].zero);
        ck_assert(vitx_model_label(m, 999) != NULL);
        if (files[i].last)
            ck_assert_str_eq(vitx_model_label(m, 999), files[i].last);
        vitx_model_free(m);
    }
}
END_TEST

static int warnings;
static void count_warnings(vitx_log_level level, const char *message, void *payload)
{
    (void)message;
    (void)payload;
    warnings += level == VITX_LOG_WARNING;
}

START_TEST(test_labels__leaves_out_what_does_not_fit_the_config)
{
    char *folder = copy_golden("vit-hf");
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    vitx_model *m;
    hooks.log = count_warnings;
    opts.hooks = &hooks;
    edit_file(folder, "config.json", "\"6\": \"hen\"", "\"6\": \"hen\", \"7\": \"cock\"");
    ck_ok(vitx_model_open(&m, folder, &opts));
    ck_assert(vitx_model_label(m, 0) == NULL && warnings == 1);
    vitx_model_free(m);
    edit_file(folder, "config.json", ", \"7\": \"cock\"", "");
    edit_file(folder, "config.json", "\"6\": \"hen\"", "\"x\": \"hen\"");
    edit_file(folder, "config.json", "\"5\": \"stingray\"", "\"5\": 5");
    edit_file(folder, "config.json", "\"4\": \"hammerhead\"", "\"4\": \"LABEL_4\"");
    ck_ok(vitx_model_open(&m, folder, &opts));
    ck_assert(vitx_model_label(m, 6) == NULL && vitx_model_label(m, 5) == NULL &&
              vitx_model_label(m, 4) == NULL);
    ck_assert_str_eq(vitx_model_label(m, 3), "tiger shark");
    ck_assert_int_eq(warnings, 2); /* one line, however many names */
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);

    folder = copy_golden("vit-timm"); /* names without descriptions; names as an object */
    edit_file(folder, "config.json", "label_descriptions", "label_inscriptions");
    m = open_ok(folder);
    ck_assert_str_eq(vitx_model_label(m, 2), "n00000002");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_labels__of_a_language)
{
    static const char *const odd[] = {"", "zh/", "../zh", "zh.txt", "zh ", "abcdefghijklmnopq"};
    char *folder = copy_golden("vit-timm");
    char file[300];
    int i;
    vitx_model *m;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    write_text(folder, "labels.zh.txt", "a\nb\n\xe9\xb1\xbc\nd\ne\nf\ng\n");
    write_text(folder, "labels.pt-BR.txt", "a\nb\n");
    for (int k = 0; k < 2; k++) { /* the folder, and the file in it */
        const char *path = k ? file : folder;
        opts.language = "zh";
        ck_ok(vitx_model_open(&m, path, &opts));
        ck_assert_str_eq(vitx_model_label(m, 2), "\xe9\xb1\xbc");
        ck_ok(vitx_model_find_label(&i, m, "\xe9\xb1\xbc"));
        ck_assert_int_eq(i, 2);
        vitx_model_free(m);
        opts.language = "pt-BR";
        ck_fails(vitx_model_open(&m, path, &opts), VITX_FORMAT,
                 "labels.pt-BR.txt: 2 class names, but the model has 7");
        opts.language = "fr";
        ck_fails(vitx_model_open(&m, path, &opts), VITX_IO,
                 ": no class names in the language \"fr\": there is no labels.fr.txt");
        opts.language = "en";
        ck_ok(vitx_model_open(&m, path, &opts));
        ck_assert_str_eq(vitx_model_label(m, 2), "great white shark");
        vitx_model_free(m);
    }
    write_text(folder, "labels.en.txt", "a\nb\nfish\nd\ne\nf\ng\n");
    ck_ok(vitx_model_open(&m, folder, &opts));
    ck_assert_str_eq(vitx_model_label(m, 2), "fish");
    vitx_model_free(m);
    opts.labels = in_folder(folder, "labels.zh.txt");
    ck_fails(vitx_model_open(&m, folder, &opts), VITX_INVALID, "one of them");
    opts.labels = NULL;
    for (size_t k = 0; k < sizeof odd / sizeof odd[0]; k++) {
        opts.language = odd[k];
        ck_fails(vitx_model_open(&m, folder, &opts), VITX_INVALID, "the language \"");
    }
    /* a program built when the struct ended before it */
    opts.struct_size = offsetof(vitx_model_opts, language);
    ck_ok(vitx_model_open(&m, folder, &opts));
    ck_assert_str_eq(vitx_model_label(m, 2), "great white shark");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_labels__finds_a_class)
{
    char *folder = make_folder();
    char path[300];
    int i = -1;
    vitx_model *m;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    snprintf(path, sizeof path, "%s/labels", folder);
    write_text(folder, "labels",
               "tench, Tinca tinca\ngoldfish,Carassius auratus\ncrane\ncrane, machine\n"
               "maillot\nmaillot, tank suit , maillot\n\n[x]");
    edit_file(folder, "labels", "\n\n[x]", "\nlast");
    opts.labels = path;
    ck_ok(vitx_model_open(&m, golden_model("vit-timm"), &opts));
    static const struct {
        const char *text;
        int index;
    } good[] = {{"0", 0},
                {"6", 6},
                {"006", 6},
                {"tench", 0},
                {"TENCH", 0},
                {"Tinca tinca", 0},
                {"tench, tinca TINCA", 0},
                {"carassius auratus", 1},
                {"machine", 3},
                {"tank suit", 5},
                {"last", 6},
                {"crane, machine", 3}};
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        ck_ok(vitx_model_find_label(&i, m, good[k].text));
        ck_assert_msg(i == good[k].index, "%s: %d", good[k].text, i);
    }
    i = 42;
    ck_fails(vitx_model_find_label(&i, m, "crane"), VITX_INVALID,
             "2 (crane) and 3 (crane, machine)");
    ck_fails(vitx_model_find_label(&i, m, "7"), VITX_INVALID, "classes 0 to 6");
    ck_fails(vitx_model_find_label(&i, m, "99999999999999999999"), VITX_INVALID, "classes 0 to 6");
    ck_fails(vitx_model_find_label(&i, m, "-1"), VITX_INVALID, "none of the 7 classes");
    ck_fails(vitx_model_find_label(&i, m, ""), VITX_INVALID, "none");
    ck_fails(vitx_model_find_label(&i, m, "ten"), VITX_INVALID, "\"ten\" names none");
    ck_fails(vitx_model_find_label(&i, m, "tench, "), VITX_INVALID, "none");
    ck_fails(vitx_model_find_label(NULL, m, "x"), VITX_INVALID, "NULL");
    ck_assert_int_eq(i, 42);
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
    m = open_ok(golden_model("deit-timm"));
    ck_fails(vitx_model_find_label(&i, m, "tench"), VITX_INVALID, "has no class names");
    ck_ok(vitx_model_find_label(&i, m, "3"));
    vitx_model_free(m);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("labels");
    TCase *t = tcase_create("labels");
    tcase_add_loop_test(t, test_labels__reads_what_people_have, 0, COUNT(label_files));
    tcase_add_test(t, test_labels__reads_the_shared_ones);
    tcase_add_test(t, test_labels__leaves_out_what_does_not_fit_the_config);
    tcase_add_test(t, test_labels__of_a_language);
    tcase_add_test(t, test_labels__finds_a_class);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
