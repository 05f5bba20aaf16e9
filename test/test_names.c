/*
 * test_names.c: names that training leaves behind. A tidy model's weight file is written anew under
 * other names: the answer stays, or one sentence says what is in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "model_files.h"
#include "util.h"

#define MOST_ROWS 8
#define MOST_CLASSES 64

/* A key that begins with `from` begins with `to` instead; the first row that fits counts. */
typedef struct renaming {
    const char *from, *to; /* from NULL: no more rows */
} renaming;

/* A tensor that is not the network's; its bytes are 0. */
typedef struct extra {
    const char *name, *dtype, *shape;
    size_t bytes;
} extra;

/* -------------------------------------------------------------------------- files --------- */

static void append(char **to, const char *text, size_t n)
{
    const size_t had = strlen(*to);
    *to = realloc(*to, had + n + 1);
    memcpy(*to + had, text, n);
    (*to)[had + n] = '\0';
}

/* The key under which a tensor is written. */
static void append_key(char **to, const char *key, size_t n, const renaming *rows)
{
    for (; rows->from; rows++)
        if (strlen(rows->from) <= n && strncmp(key, rows->from, strlen(rows->from)) == 0)
            break;
    const size_t from = rows->from ? strlen(rows->from) : 0;
    if (rows->from)
        append(to, rows->to, strlen(rows->to));
    append(to, key + from, n - from);
}

/* Every key of the header, which stands between '"' and "\":{\"dtype\"". */
static void rename_keys(weights_file *w, const renaming *rows)
{
    static const char behind[] = "\":{\"dtype\"";
    char *out = calloc(1, 1);
    const char *at = w->header;
    for (const char *end; (end = strstr(at, behind)) != NULL;) {
        const char *key = end;
        while (key[-1] != '"')
            key--;
        append(&out, at, (size_t)(key - at));
        append_key(&out, key, (size_t)(end - key), rows);
        append(&out, behind, sizeof behind - 1);
        at = end + sizeof behind - 1;
    }
    append(&out, at, strlen(at));
    free(w->header);
    w->header = out;
    w->header_size = strlen(out);
}

static void add_tensor(weights_file *w, const extra *e)
{
    char entry[400];
    snprintf(entry, sizeof entry,
             "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]},", e->name,
             e->dtype, e->shape, w->data_size, w->data_size + e->bytes);
    w->data = realloc(w->data, w->data_size + e->bytes + 1);
    memset(w->data + w->data_size, 0, e->bytes);
    w->data_size += e->bytes;
    edit_header(w, "{", entry);
}

static void write_names(const char *folder, const renaming *rows, const extra *extras)
{
    weights_file w = load_weights(in_folder(folder, "model.safetensors"));
    rename_keys(&w, rows);
    for (; extras && extras->name; extras++)
        add_tensor(&w, extras);
    save_weights(in_folder(folder, "model.safetensors"), &w);
    free_weights_file(&w);
}

/* -------------------------------------------------------------------------- answers ------- */

typedef struct answer {
    float logits[MOST_CLASSES];
    int count;
} answer;

static answer answer_of(vitx_model *m)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    vitx_image *image;
    vitx_view logits;
    answer a = {.count = 0};
    o.threads = 1;
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    ck_ok(vitx_context_create(&c, m, &o));
    ck_ok(vitx_forward(c, (const vitx_image *const *)&image, 1));
    ck_ok(vitx_logits(&logits, c));
    a.count = (int)logits.shape[1];
    ck_assert_int_le(a.count, MOST_CLASSES);
    memcpy(a.logits, logits.data, (size_t)a.count * sizeof *a.logits);
    vitx_context_free(c);
    vitx_image_free(image);
    return a;
}

static void check_same(const answer *is, const answer *tidy, const char *what)
{
    ck_assert_msg(is->count == tidy->count, "%s: %d outputs", what, is->count);
    for (int i = 0; i < is->count; i++)
        ck_assert_msg(is->logits[i] == tidy->logits[i], "%s: output %d is %g, expected %g", what, i,
                      (double)is->logits[i], (double)tidy->logits[i]);
}

static vitx_model_info info_with(vitx_model *m)
{
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&info, m));
    return info;
}

static answer tidy_answer(const char *name)
{
    vitx_model *m = open_ok(golden_model(name));
    const answer a = answer_of(m);
    vitx_model_free(m);
    return a;
}

/* -------------------------------------------------------------------------- wrapping ------ */

static const struct {
    const char *model;
    renaming rows[MOST_ROWS];
    const char *wrapping;
} wrapped[] = {
    {"vit-timm", {{"", "module."}}, "module. before the names"},
    {"vit-timm", {{"", "model._orig_mod."}}, "model._orig_mod. before the names"},
    {"vit-timm", {{"", "teacher.backbone."}}, "teacher.backbone. before the names"},
    {"vit-timm", {{"", "net."}}, "net. before the names"},
    {"vit-timm", {{"", "encoder."}}, "encoder. before the names"},
    {"vit-timm", {{"", "vit."}}, "vit. before the names"},
    {"vit-timm", {{"", "model._orig_mod.module."}}, "model._orig_mod.module. before the names"},
    {"vit-timm", {{"", "ema_model."}}, "ema_model. before the names"},
    {"vit-timm", {{"", "whatever 1."}}, "whatever 1. before the names"},
    /* the network within a part, its head beside it */
    {"vit-timm", {{"head.", "head."}, {"", "backbone."}}, "backbone. before the names"},
    {"vit-timm",
     {{"head.", "module.head."}, {"", "module.backbone."}},
     "module.backbone. before the names"},
    /* within the names, and blocks in chunks */
    {"vit-timm",
     {{"blocks.0.", "blocks.0._orig_mod."}, {"blocks.1.", "blocks.1._checkpoint_wrapped_module."}},
     "wrappers within them"},
    {"vit-timm",
     {{"blocks.0.", "_fsdp_wrapped_module.blocks.0._fsdp_wrapped_module."},
      {"", "_fsdp_wrapped_module."}},
     "_fsdp_wrapped_module. before the names, wrappers within them"},
    {"vit-timm",
     {{"blocks.0.", "blocks.0.0."}, {"blocks.1.", "blocks.0.1."}, {"blocks.2.", "blocks.1.2."}},
     "blocks in chunks"},
    {"dinov2-meta-registers-swiglu",
     {{"backbone.blocks.", "module.backbone.blocks.0."}, {"", "module."}},
     "module. before the names, blocks in chunks"},
    /* other libraries' names */
    {"vit-hf", {{"", "model."}}, "model. before the names"},
    {"vit-hf-bare", {{"", "backbone."}}, "backbone. before the names"},
    {"deit-hf-teacher", {{"", "module."}}, "module. before the names"},
    {"dinov2-hf", {{"classifier.", "classifier."}, {"", "model."}}, "model. before the names"},
    {"clip-hf", {{"", "model."}}, "model. before the names"},
    {"siglip-hf", {{"", "module."}}, "module. before the names"},
    {"vit-timm", {{NULL, NULL}}, ""},
    {"vit-timm-wrapped", {{NULL, NULL}}, "timm_model. before the names"},
};

START_TEST(test_names__are_seen_through)
{
    const answer tidy = tidy_answer(wrapped[_i].model);
    char *folder = copy_golden(wrapped[_i].model);
    write_names(folder, wrapped[_i].rows, NULL);
    vitx_model *m = open_ok(folder);
    ck_assert_str_eq(info_with(m).wrapping, wrapped[_i].wrapping);
    const answer is = answer_of(m);
    check_same(&is, &tidy, wrapped[_i].wrapping);
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Two networks in one file: none is taken, both are named. */
START_TEST(test_names__of_two_networks_are_both_named)
{
    static const renaming student[] = {{"", "student.backbone."}, {NULL, NULL}};
    static const extra teacher[] = {
        {"teacher.backbone.patch_embed.proj.weight", "F32", "[24,3,8,8]", (size_t)24 * 192 * 4},
        {NULL, NULL, NULL, 0}};
    char *folder = copy_golden("vit-timm");
    write_names(folder, student, teacher);
    try_open(folder, VITX_UNSUPPORTED,
             "a network behind student.backbone. and another behind teacher.backbone.");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* A head within the network and another beside it. */
START_TEST(test_names__of_two_heads_are_both_named)
{
    static const renaming rows[] = {{"", "backbone."}, {NULL, NULL}};
    static const extra head[] = {{"head.weight", "F32", "[7,24]", (size_t)7 * 24 * 4},
                                 {NULL, NULL, NULL, 0}};
    char *folder = copy_golden("vit-timm");
    write_names(folder, rows, head);
    try_open(folder, VITX_FORMAT, "backbone.head.weight");
    try_open(folder, VITX_FORMAT, "both stand for head.weight");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- float64 ------- */

/* Every tensor of 4 bytes an element as one of 8. */
static void widen(weights_file *w)
{
    static const char offsets[] = "\"data_offsets\":[";
    double *data = malloc(2 * w->data_size + 1);
    char *out = calloc(1, 1);
    const char *at = w->header;
    for (const char *p; (p = strstr(at, offsets)) != NULL;) {
        char *end, text[64];
        p += sizeof offsets - 1;
        append(&out, at, (size_t)(p - at));
        const unsigned long first = strtoul(p, &end, 10), last = strtoul(end + 1, &end, 10);
        const int n = snprintf(text, sizeof text, "%lu,%lu", 2 * first, 2 * last);
        append(&out, text, (size_t)n);
        at = end;
    }
    append(&out, at, strlen(at));
    for (size_t i = 0; i < w->data_size / 4; i++) {
        float value;
        memcpy(&value, w->data + 4 * i, 4);
        data[i] = (double)value;
    }
    free(w->header);
    free(w->data);
    w->header = out;
    w->header_size = strlen(out);
    w->data = (char *)data;
    w->data_size *= 2;
    while (strstr(w->header, "\"F32\""))
        edit_header(w, "\"F32\"", "\"F64\"");
}

START_TEST(test_names__float64_is_read)
{
    const answer tidy = tidy_answer("vit-timm");
    char *folder = copy_golden("vit-timm"), path[300];
    snprintf(path, sizeof path, "%s", in_folder(folder, "model.safetensors"));
    weights_file w = load_weights(path);
    widen(&w);
    save_weights(path, &w);
    vitx_model *m = open_ok(folder);
    ck_assert_str_eq(info_with(m).weight_dtype, "F64");
    const answer is = answer_of(m);
    check_same(&is, &tidy, "F64");
    vitx_model_free(m);
    memset(w.data, 0x7e, w.data_size); /* 1.6e300, more than a float holds */
    save_weights(path, &w);
    m = open_ok(folder);
    vitx_context *c;
    ck_fails(vitx_context_create(&c, m, NULL), VITX_FORMAT, "holds an infinity at element 0");
    vitx_model_free(m);
    free_weights_file(&w);
    remove_folder(folder);
    free(folder);
}
END_TEST

static Suite *names_suite(void)
{
    Suite *s = suite_create("names");
    TCase *t = tcase_create("wrapping");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_names__are_seen_through, 0, COUNT(wrapped));
    tcase_add_test(t, test_names__of_two_networks_are_both_named);
    tcase_add_test(t, test_names__of_two_heads_are_both_named);
    suite_add_tcase(s, t);
    t = tcase_create("float64");
    tcase_add_test(t, test_names__float64_is_read);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(names_suite)
