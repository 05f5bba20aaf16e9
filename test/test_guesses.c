/*
 * What stands in no tensor: contradictions between a configuration and its tensors are refused, and
 * what nobody says is told in one warning.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "little_model.h"
#include "model_files.h"
#include "util.h"

/* ------------------------------------------------------------------ contradictions --------- */

/* A model of 16 x 16 pixels, patches of 4, one block, with that text as its config.json. */
static void open_little(int width, const char *config, int code, const char *part)
{
    const little_model what = {.width = width, .config = config};
    char *folder = make_little_model(&what);
    vitx_model *m = NULL;
    if (code == VITX_OK)
        ck_ok(vitx_model_open(&m, folder, NULL));
    else
        ck_fails(vitx_model_open(&m, folder, NULL), code, part);
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}

#define ARCHITECTURE(name, more) "{\"architecture\": " name more "}"
#define SIZES                                                                                      \
    ", \"model_args\": {\"depth\": 1, \"patch_size\": 4, \"num_heads\": 2, \"img_size\": 16}"

START_TEST(test_config__of_another_network_is_refused)
{
    static const char *const others[] = {
        "\"resnet50\"",        "\"swin_tiny_patch4_window7_224\"",
        "\"convnext_base\"",   "\"mobilevit_s\"",
        "\"levit_128\"",       "\"vitamin_small_224\"",
        "\"tiny_vit_5m_224\"", "\"crossvit_9_240\"",
        "\"mixer_b16_224\"",   "\"vit_base_r50_s16_224\"",
        "\"efficientnet_b0\"", "\"maxvit_tiny_tf_224\"",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "{\"architecture\": %s" SIZES "}", others[i]);
        open_little(16, text, VITX_FORMAT, "is no Vision Transformer, but the tensors of");
    }
    open_little(16, "{\"pretrained_cfg\": {\"architecture\": \"resnet50\"}}", VITX_FORMAT,
                "architecture resnet50 is no Vision Transformer");
}
END_TEST

/* The same for Hugging Face's classes, unless model_type says what the network is. */
START_TEST(test_config__of_another_class_is_refused)
{
    static const struct {
        const char *classes;
        int code;
    } cases[] = {
        {"\"architectures\": [\"ResNetForImageClassification\"]", VITX_FORMAT},
        {"\"architectures\": [\"SwinForImageClassification\"]", VITX_FORMAT},
        {"\"architectures\": [\"ResNetForImageClassification\"], \"model_type\": \"resnet\"",
         VITX_UNSUPPORTED},
        {"\"architectures\": [\"ViTForImageClassification\"]", VITX_OK},
        {"\"architectures\": [\"MyClassifier\"], \"model_type\": \"vit\"", VITX_OK},
        {"\"architectures\": []", VITX_OK},
        {"\"model_type\": \"deit\"", VITX_FORMAT},
        {"\"model_type\": \"dinov2\"", VITX_FORMAT},
        {"\"model_type\": \"vit_msn\"", VITX_OK},
    };
    char path[1024], text[600], *folder = make_folder();
    size_t size;
    void *data = read_file(golden_path("models/vit-hf/model.safetensors"), &size);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    write_file(path, data, size);
    free(data);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_model *m = NULL;
        snprintf(text, sizeof text, "{%s, \"num_attention_heads\": 3, \"image_size\": 20}",
                 cases[i].classes);
        snprintf(path, sizeof path, "%s/config.json", folder);
        write_file(path, text, strlen(text));
        const int code = vitx_model_open(&m, folder, NULL);
        ck_assert_msg(code == cases[i].code, "%s: %s", cases[i].classes, vitx_last_error());
        vitx_model_free(m);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_config__names_that_are_no_names_are_refused)
{
    open_little(16, ARCHITECTURE("50", SIZES), VITX_FORMAT, "architecture is no string");
    open_little(16, ARCHITECTURE("[\"vit_tiny_patch16_224\"]", SIZES), VITX_FORMAT,
                "architecture is no string");
    open_little(16, "{\"pretrained_cfg\": {\"architecture\": true}}", VITX_FORMAT,
                "architecture is no string");
    open_little(16, "{\"architectures\": 5}", VITX_FORMAT, "architectures is no list of names");
    open_little(16, "{\"architectures\": [5]}", VITX_FORMAT, "architectures is no list of names");
    open_little(16, "{\"model_type\": 5}", VITX_FORMAT, "model_type is no string");
}
END_TEST

START_TEST(test_config__names_of_vision_transformers_are_read)
{
    static const char *const names[] = {"vit_tiny_patch4_16", "my_vit",       "ViT-B/16",
                                        "deit_tiny",          "flexivit_own", "VisionTransformer",
                                        "dino_vits16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "{\"architecture\": \"%s\"" SIZES "}", names[i]);
        open_little(16, text, VITX_OK, "");
    }
    open_little(16, "{\"architecture\": null" SIZES "}", VITX_OK, "");
}
END_TEST

/* A name stands for sizes, and for heads that no tensor shows. */
START_TEST(test_config__sizes_of_a_name_have_to_be_the_tensors)
{
    static const struct {
        int width;
        const char *config, *part;
    } wrong[] = {
        {192, ARCHITECTURE("\"vit_base_patch16_224\"", ""), "has a width of 768, but in"},
        {64, ARCHITECTURE("\"vit_tiny_patch4_16\"", ""), "has a width of 192, but in"},
        {192, ARCHITECTURE("\"vit_tiny_patch4_16\"", ""), "has a depth of 12, but in"},
        {64, ARCHITECTURE("\"deit3_small_patch4_16\"", ", \"num_features\": 64"),
         "has a width of 384, but in"},
        {64, ARCHITECTURE("\"vit_base_patch4_16\"", ", \"model_args\": {\"img_size\": 16}"),
         "has a width of 768"},
        {16,
         ARCHITECTURE("\"vit_tiny_patch16_224\"",
                      ", \"num_features\": 192, \"model_args\": {\"num_heads\": 2}"),
         "the number of features is 192"},
        {16,
         ARCHITECTURE("\"vit_tiny_patch16_224\"",
                      ", \"model_args\": {\"num_heads\": 2, \"embed_dim\": 24}"),
         "the width is 24"},
        {16,
         ARCHITECTURE("\"vit_tiny_patch16_224\"",
                      ", \"model_args\": {\"num_heads\": 2, \"in_chans\": 1}"),
         "the number of channels is 1"},
        {16,
         ARCHITECTURE("\"vit_tiny_patch16_224\"",
                      ", \"model_args\": {\"num_heads\": 2, \"qkv_bias\": false}"),
         "says qkv_bias is false, but"},
        {16, ARCHITECTURE("\"vit_tiny_patch16_224\"", ", \"model_args\": {\"num_heads\": 3}"),
         "cannot be shared by 3 attention heads"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        open_little(wrong[i].width, wrong[i].config, VITX_FORMAT, wrong[i].part);
    open_little(64, ARCHITECTURE("\"vit_test2_patch8_16\"", ""), VITX_FORMAT,
                "has a patch height of 8, but in");
    open_little(16,
                ARCHITECTURE("\"vit_tiny_patch16_224\"", ", \"model_args\": {\"num_heads\": 2}"),
                VITX_OK, "");
}
END_TEST

/* ------------------------------------------------------------------ guesses ---------------- */

typedef struct heard {
    int warnings;
    char text[1024]; /* the last of them */
} heard;

static void hear(vitx_log_level level, const char *message, void *payload)
{
    heard *h = payload;
    if (level < VITX_LOG_WARNING)
        return;
    h->warnings++;
    snprintf(h->text, sizeof h->text, "%s", message);
}

/* Opens the folder; what is heard must be info.guesses. */
static heard listen(const char *folder)
{
    heard h = {0};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_context *c;
    vitx_model *m;
    hooks.log = hear;
    hooks.payload = &h;
    o.hooks = &hooks;
    ck_ok(vitx_model_open(&m, folder, &o));
    ck_ok(vitx_model_get_info(&info, m));
    ck_ok(vitx_context_create(&c, m, NULL));
    ck_assert((info.guesses[0] != '\0') == (h.warnings == 1) && h.warnings <= 1);
    ck_assert(h.warnings == 0 || strstr(h.text, info.guesses));
    vitx_context_free(c);
    vitx_model_free(m);
    return h;
}

static void check_heard(const little_model *what, const char *const *parts)
{
    char *folder = make_little_model(what);
    const heard h = listen(folder);
    ck_assert_int_eq(h.warnings, parts[0] != NULL);
    for (; *parts; parts++)
        ck_assert_msg(strstr(h.text, *parts) != NULL, "no \"%s\" in: %s", *parts, h.text);
    remove_folder(folder);
    free(folder);
}

#define CFG                                                                                        \
    ", \"pretrained_cfg\": {\"mean\": 0.5, \"std\": 0.5, \"crop_pct\": 1, "                        \
    "\"interpolation\": \"bilinear\"}"

/* A width that no published network has: the option says. */
START_TEST(test_guesses__unusual_heads_are_said_by_the_caller)
{
    static const int widths[] = {16, 64, 128};
    for (int i = 0; i < 3; i++) {
        char *folder = make_little_model(&(little_model){.width = widths[i], .config = ""});
        vitx_model_opts o = VITX_MODEL_OPTS_INIT;
        vitx_model_info info = VITX_MODEL_INFO_INIT;
        vitx_model *m;
        ck_fails(vitx_model_open(&m, folder, NULL), VITX_UNSUPPORTED, "or with heads");
        ck_assert_str_eq(vitx_last_error_field(), "heads");
        o.heads = 4;
        ck_ok(vitx_model_open(&m, folder, &o));
        ck_ok(vitx_model_get_info(&info, m));
        ck_assert(info.heads == 4 && info.from_heads == VITX_FROM_OPTIONS);
        ck_assert_ptr_null(strstr(info.guesses, "heads"));
        vitx_model_free(m);
        o.heads = 5;
        ck_fails(vitx_model_open(&m, folder, &o), VITX_FORMAT, "cannot be shared by 5");
        o.heads = -1;
        ck_fails(vitx_model_open(&m, folder, &o), VITX_INVALID, "heads = -1");
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

START_TEST(test_guesses__are_told_in_one_warning)
{
    static const char *const none[] = {NULL};
    static const char *const all[] = {
        "guessed, since no file",    "3 attention heads of 64", "activation gelu", "norm eps 1e-06",
        "mean 0.5 0.5 0.5, std 0.5", "resizing to 17",          "filter bicubic",  NULL};
    static const char *const heads[] = {"3 attention heads of 64, activation gelu, norm eps 1e-06.",
                                        NULL};
    check_heard(&(little_model){0}, none);
    check_heard(&(little_model){.width = 192, .config = ""}, all);
    check_heard(&(little_model){.width = 192, .config = "{\"architecture\": \"my_vit\"" CFG "}"},
                heads);
    check_heard(&(little_model){.width = 128,
                                .config = "{\"architecture\": \"vit_tiny_patch16_224\"" SIZES "}"},
                none);
}
END_TEST

/* transformers cannot prepare pictures without that file. */
START_TEST(test_guesses__pictures_without_a_processor)
{
    char path[1024], *folder = make_folder();
    const char *const files[] = {"model.safetensors", "config.json"};
    for (int i = 0; i < 2; i++) {
        char from[512];
        size_t size;
        snprintf(from, sizeof from, "models/vit-hf/%s", files[i]);
        void *data = read_file(golden_path(from), &size);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        write_file(path, data, size);
        free(data);
    }
    const heard h = listen(folder);
    ck_assert_int_eq(h.warnings, 1);
    ck_assert(strstr(h.text, "guessed, since no file beside it says so: mean 0.5 0.5 0.5, std"));
    ck_assert_int_eq(listen(golden_path("models/vit-hf")).warnings, 0);
    ck_assert_int_eq(listen("weights/scenes").warnings, 0);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What else tensors may be: told, unless a configuration says heads. */
START_TEST(test_guesses__networks_with_the_same_tensors)
{
    static const struct {
        const char *model, *part;
    } rows[] = {{"vit-timm-post-norm", "norms before attention and mlp (timm's rpn"},
                {"deit3-meta", "queries and keys as they are (a RoPE-ViT"},
                {"vit-timm-layerscale", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = copy_golden(rows[i].model);
        vitx_model_opts o = VITX_MODEL_OPTS_INIT;
        vitx_model_info info = VITX_MODEL_INFO_INIT;
        vitx_model *m;
        ck_assert_int_eq(remove(in_folder(folder, "config.json")), 0);
        o.heads = 3;
        ck_ok(vitx_model_open(&m, folder, &o));
        ck_ok(vitx_model_get_info(&info, m));
        ck_assert_msg(rows[i].part ? strstr(info.guesses, rows[i].part) != NULL
                                   : !strstr(info.guesses, "RoPE") && !strstr(info.guesses, "rpn"),
                      "%s: %s", rows[i].model, info.guesses);
        vitx_model_free(m);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("guesses");
    TCase *t = tcase_create("contradictions");
    tcase_add_test(t, test_config__of_another_network_is_refused);
    tcase_add_test(t, test_config__of_another_class_is_refused);
    tcase_add_test(t, test_config__names_that_are_no_names_are_refused);
    tcase_add_test(t, test_config__names_of_vision_transformers_are_read);
    tcase_add_test(t, test_config__sizes_of_a_name_have_to_be_the_tensors);
    suite_add_tcase(s, t);
    t = tcase_create("guesses");
    tcase_add_test(t, test_guesses__unusual_heads_are_said_by_the_caller);
    tcase_add_test(t, test_guesses__are_told_in_one_warning);
    tcase_add_test(t, test_guesses__pictures_without_a_processor);
    tcase_add_test(t, test_guesses__networks_with_the_same_tensors);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
