/*
 * test_names.c: names that training leaves behind. A tidy model's weight file is written anew under
 * other names: the answer stays, or one sentence says what is in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "model_files.h"
#include "util.h"

#define MOST_ROWS 18
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
    {"vit-torchvision", {{"", "model."}}, "model. before the names"},
    {"vit-torchvision", /* SWAG */
     {{"encoder.layers.encoder_layer_", "encoder.layers.layer_"}},
     ""},
    {"vit-torchvision", {{NULL, NULL}}, ""},
    {"vit-mmpretrain", {{NULL, NULL}}, "backbone. before the names"},
    {"vit-mmpretrain", {{"head.", "head."}, {"data", "data"}, {"backbone.", ""}}, ""},
    /* what transformers 5 has in memory */
    {"vit-hf",
     {{"vit.encoder.layer.0.attention.attention.query.", "vit.layers.0.attention.q_proj."},
      {"vit.encoder.layer.0.attention.attention.key.", "vit.layers.0.attention.k_proj."},
      {"vit.encoder.layer.0.attention.attention.value.", "vit.layers.0.attention.v_proj."},
      {"vit.encoder.layer.0.attention.output.dense.", "vit.layers.0.attention.o_proj."},
      {"vit.encoder.layer.0.intermediate.dense.", "vit.layers.0.mlp.fc1."},
      {"vit.encoder.layer.0.output.dense.", "vit.layers.0.mlp.fc2."},
      {"vit.encoder.layer.0.layernorm_", "vit.layers.0.layernorm_"},
      {"vit.encoder.layer.1.attention.attention.query.", "vit.layers.1.attention.q_proj."},
      {"vit.encoder.layer.1.attention.attention.key.", "vit.layers.1.attention.k_proj."},
      {"vit.encoder.layer.1.attention.attention.value.", "vit.layers.1.attention.v_proj."},
      {"vit.encoder.layer.1.attention.output.dense.", "vit.layers.1.attention.o_proj."},
      {"vit.encoder.layer.1.intermediate.dense.", "vit.layers.1.mlp.fc1."},
      {"vit.encoder.layer.1.output.dense.", "vit.layers.1.mlp.fc2."},
      {"vit.encoder.layer.1.layernorm_", "vit.layers.1.layernorm_"}},
     ""},
    {"deit-hf-teacher",
     {{"deit.encoder.layer.0.attention.attention.query.", "model.deit.layers.0.attention.q_proj."},
      {"deit.encoder.layer.0.attention.attention.key.", "model.deit.layers.0.attention.k_proj."},
      {"deit.encoder.layer.0.attention.attention.value.", "model.deit.layers.0.attention.v_proj."},
      {"deit.encoder.layer.0.attention.output.dense.", "model.deit.layers.0.attention.o_proj."},
      {"deit.encoder.layer.0.intermediate.dense.", "model.deit.layers.0.mlp.fc1."},
      {"deit.encoder.layer.0.output.dense.", "model.deit.layers.0.mlp.fc2."},
      {"deit.encoder.layer.0.layernorm_", "model.deit.layers.0.layernorm_"},
      {"deit.encoder.layer.1.attention.attention.query.", "model.deit.layers.1.attention.q_proj."},
      {"deit.encoder.layer.1.attention.attention.key.", "model.deit.layers.1.attention.k_proj."},
      {"deit.encoder.layer.1.attention.attention.value.", "model.deit.layers.1.attention.v_proj."},
      {"deit.encoder.layer.1.attention.output.dense.", "model.deit.layers.1.attention.o_proj."},
      {"deit.encoder.layer.1.intermediate.dense.", "model.deit.layers.1.mlp.fc1."},
      {"deit.encoder.layer.1.output.dense.", "model.deit.layers.1.mlp.fc2."},
      {"deit.encoder.layer.1.layernorm_", "model.deit.layers.1.layernorm_"},
      {"", "model."}},
     "model. before the names"},
    {"dinov2-hf",
     {{"dinov2.encoder.layer.0.attention.attention.query.",
       "dinov2.encoder.layer.0.attention.q_proj."},
      {"dinov2.encoder.layer.0.attention.attention.key.",
       "dinov2.encoder.layer.0.attention.k_proj."},
      {"dinov2.encoder.layer.0.attention.attention.value.",
       "dinov2.encoder.layer.0.attention.v_proj."},
      {"dinov2.encoder.layer.0.attention.output.dense.",
       "dinov2.encoder.layer.0.attention.o_proj."},
      {"dinov2.encoder.layer.1.attention.attention.query.",
       "dinov2.encoder.layer.1.attention.q_proj."},
      {"dinov2.encoder.layer.1.attention.attention.key.",
       "dinov2.encoder.layer.1.attention.k_proj."},
      {"dinov2.encoder.layer.1.attention.attention.value.",
       "dinov2.encoder.layer.1.attention.v_proj."},
      {"dinov2.encoder.layer.1.attention.output.dense.",
       "dinov2.encoder.layer.1.attention.o_proj."}},
     ""},
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

/* A network that is not known: its prefix and what looks like its first tensor are named. */
START_TEST(test_names__what_is_there_is_named)
{
    static const renaming rows[] = {{"patch_embed.", "net.stem."}, {"", "net."}, {NULL, NULL}};
    char *folder = copy_golden("vit-timm");
    write_names(folder, rows, NULL);
    try_open(folder, VITX_UNSUPPORTED, "none of its 44 tensors, which all begin with net. is");
    try_open(folder, VITX_UNSUPPORTED, "net.stem.proj.weight [24, 3, 8, 8] has the shape of such");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* timm's Qwen3-VL has a plain ViT's tensors behind a prefix: its name alone tells. */
START_TEST(test_names__a_prefix_hides_no_foreign_architecture)
{
    static const renaming rows[] = {{"", "encoder."}, {NULL, NULL}};
    char *folder = copy_golden("vit-timm");
    write_names(folder, rows, NULL);
    edit_file(folder, "config.json", "vit_tiny_patch16_224", "qwen3_vit_88m");
    try_open(folder, VITX_UNSUPPORTED, "part of a Qwen3-VL, which rotates its queries and keys");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- adapters ------ */

#define ADAPTER "adapter_model.safetensors"

/* The golden model with peft's adapter beside it, in a fresh folder. */
static char *copy_lora(void)
{
    static const char *const files[] = {ADAPTER, "adapter_config.json"};
    char *folder = copy_golden("vit-hf-lora");
    for (int i = 0; i < 2; i++) {
        char from[300];
        size_t size;
        snprintf(from, sizeof from, "%s/%s", golden_model("vit-hf-lora"), files[i]);
        void *data = read_file(from, &size);
        write_file(in_folder(folder, files[i]), data, size);
        free(data);
    }
    return folder;
}

/* The tensors of another file behind those of w. */
static void join(weights_file *w, const weights_file *other)
{
    static const char offsets[] = "\"data_offsets\":[";
    char *out = calloc(1, 1);
    const char *at = other->header + 1;
    append(&out, w->header, strrchr(w->header, '}') - w->header);
    append(&out, ",", 1);
    for (const char *p; (p = strstr(at, offsets)) != NULL;) {
        char *end, text[64];
        p += sizeof offsets - 1;
        append(&out, at, (size_t)(p - at));
        const unsigned long first = strtoul(p, &end, 10), last = strtoul(end + 1, &end, 10);
        const int n =
            snprintf(text, sizeof text, "%lu,%lu", first + w->data_size, last + w->data_size);
        append(&out, text, (size_t)n);
        at = end;
    }
    append(&out, at, strlen(at));
    w->data = realloc(w->data, w->data_size + other->data_size + 1);
    memcpy(w->data + w->data_size, other->data, other->data_size);
    w->data_size += other->data_size;
    free(w->header);
    w->header = out;
    w->header_size = strlen(out);
}

/* What peft's model has in memory, in one file: state_dict() of it. */
START_TEST(test_names__a_model_with_its_adapter_in_one_file)
{
    static const renaming base[] = {
        {"classifier.", "base_model.model.classifier.original_module."},
        {"vit.encoder.layer.0.attention.attention.query.",
         "base_model.model.vit.encoder.layer.0.attention.attention.query.base_layer."},
        {"", "base_model.model."},
        {NULL, NULL}};
    static const renaming factors[] = {
        {"base_model.model.classifier.", "base_model.model.classifier.modules_to_save.default."},
        {NULL, NULL}};
    const answer tidy = tidy_answer("vit-hf-lora");
    char *folder = copy_lora(), path[300];
    snprintf(path, sizeof path, "%s", in_folder(folder, "model.safetensors"));
    weights_file w = load_weights(path), a = load_weights(in_folder(folder, ADAPTER));
    while (strstr(a.header, "lora_A.weight"))
        edit_header(&a, "lora_A.weight", "lora_A.default.weight");
    while (strstr(a.header, "lora_B.weight"))
        edit_header(&a, "lora_B.weight", "lora_B.default.weight");
    edit_header(&a, "\"__metadata__\":{\"format\":\"pt\"},", "");
    rename_keys(&a, factors);
    rename_keys(&w, base);
    join(&w, &a);
    save_weights(path, &w);
    unlink(in_folder(folder, ADAPTER));
    vitx_model *m = open_ok(folder);
    ck_assert_str_eq(info_with(m).adapter, "LoRA of rank 2, scale 1.5, on 6 matrices");
    ck_assert_str_eq(info_with(m).left_out, "");
    const answer is = answer_of(m);
    check_same(&is, &tidy, "one file");
    vitx_model_free(m);
    unlink(in_folder(folder, "adapter_config.json"));
    try_open(folder, VITX_UNSUPPORTED, "no adapter_config.json beside it says its lora_alpha");
    free_weights_file(&w);
    free_weights_file(&a);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_names__an_adapter_alone_says_what_is_missing)
{
    char *folder = copy_lora();
    unlink(in_folder(folder, "model.safetensors"));
    edit_file(folder, "adapter_config.json", "\"base_model_name_or_path\": null",
              "\"base_model_name_or_path\": \"google/vit\"");
    try_open(folder, VITX_IO, "holds an adapter alone: its base model google/vit is missing");
    try_open(in_folder(folder, ADAPTER), VITX_IO, "its base model google/vit is missing");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Every allocation fails once: no leak, and the failure comes out. */
START_TEST(test_names__no_allocation_leaks)
{
    static const renaming rows[] = {{"head.", "net.fc."},
                                    {"blocks.0.", "net.vit._orig_mod.blocks.0._orig_mod."},
                                    {"", "net.vit._orig_mod."},
                                    {NULL, NULL}};
    char *folders[] = {copy_golden("vit-timm"), copy_lora()};
    write_names(folders[0], rows, NULL);
    for (int k = 0; k < 2; k++) {
        int status = VITX_NOMEM;
        for (int n = 0; status != VITX_OK; n++) {
            ration r = {.left = n};
            vitx_hooks hooks = VITX_HOOKS_INIT;
            vitx_model_opts o = VITX_MODEL_OPTS_INIT;
            vitx_model *m = NULL;
            vitx_context *c = NULL;
            hooks.alloc = ration_alloc;
            hooks.release = ration_release;
            hooks.payload = &r;
            o.hooks = &hooks;
            status = vitx_model_open(&m, folders[k], &o);
            if (status == VITX_OK)
                status = vitx_context_create(&c, m, NULL);
            ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "%d: %s", n,
                          vitx_last_error());
            vitx_context_free(c);
            vitx_model_free(m);
            ck_assert_int_eq(r.live, 0);
        }
        remove_folder(folders[k]);
        free(folders[k]);
    }
}
END_TEST

START_TEST(test_names__adapters_that_are_not_merged)
{
    static const struct {
        const char *find, *replace; /* in adapter_config.json */
        const char *part;
    } cases[] = {
        {"\"use_dora\": false", "\"use_dora\": true", "use_dora is not supported"},
        {"\"peft_type\": \"LORA\"", "\"peft_type\": \"LOHA\"", "peft_type LOHA is not LORA"},
        {"\"alpha_pattern\": {}", "\"alpha_pattern\": {\"a\": 3}", "alpha_pattern"},
        {"\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"",
         "changes the base model"},
        {"\"lora_alpha\": 3", "\"lora_alpha\": \"3\"", "lora_alpha is no number"},
        {"\"lora_alpha\": 3", "\"alpha\": 3", "has no lora_alpha"},
        {"{", "[", "adapter_config.json"},
    };
    static const char *const names[][3] = {
        {"0.attention.q_proj.lora_A", "7.attention.q_proj.lora_A",
         "has no matrix for the adapter's"},
        {"0.attention.q_proj.lora_B", "0.attention.q_proj.lora_C", "do not fit matrix"},
        {"\"shape\":[2,24]", "\"shape\":[24,2]", "do not fit matrix"},
        {"0.attention.q_proj.lora_A.weight", "0.attention.q_proj.lora_magnitude_vector.weight",
         "is not part of family"},
    };
    char *folder = copy_lora(), path[300];
    for (int i = 0; i < COUNT(cases); i++) {
        char *kept = read_file(in_folder(folder, "adapter_config.json"), NULL);
        vitx_model *m;
        edit_file(folder, "adapter_config.json", cases[i].find, cases[i].replace);
        ck_assert_int_ne(vitx_model_open(&m, folder, NULL), VITX_OK);
        ck_assert_msg(strstr(vitx_last_error(), cases[i].part) != NULL, "%s", vitx_last_error());
        write_text(folder, "adapter_config.json", kept);
        free(kept);
    }
    snprintf(path, sizeof path, "%s", in_folder(folder, ADAPTER));
    for (int i = 0; i < COUNT(names); i++) {
        weights_file w = load_weights(path), kept = load_weights(path);
        vitx_model *m;
        edit_header(&w, names[i][0], names[i][1]);
        save_weights(path, &w);
        ck_assert_int_ne(vitx_model_open(&m, folder, NULL), VITX_OK);
        ck_assert_msg(strstr(vitx_last_error(), names[i][2]) != NULL, "%s", vitx_last_error());
        save_weights(path, &kept);
        free_weights_file(&w);
        free_weights_file(&kept);
    }
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

/* -------------------------------------------------------------------------- classifiers --- */

static const renaming no_rows[] = {{NULL, NULL}};

/* A head under a name of its own, alone or behind a backbone; with the name of its matrix. */
static const struct {
    const char *model;
    renaming rows[MOST_ROWS];
    const char *classifier;
} classified[] = {
    {"vit-timm", {{"head.", "fc."}}, "fc.weight"},
    {"vit-timm", {{"head.", "classifier."}}, "classifier.weight"},
    {"vit-timm", {{"head.", "head.1."}}, "head.1.weight"},
    {"vit-timm", {{"head.", "head.fc."}}, "head.fc.weight"},
    {"vit-timm", {{"head.", "heads.head."}}, "heads.head.weight"},
    {"vit-timm", {{"head.", "linear."}}, "linear.weight"},
    {"vit-timm", {{"head.", "my_own_thing.0."}}, "my_own_thing.0.weight"},
    {"vit-timm", {{"head.", "fc."}, {"", "backbone."}}, "fc.weight"},
    {"vit-timm",
     {{"head.", "module.classifier.1."}, {"", "module.vit."}},
     "module.classifier.1.weight"},
    {"vit-hf", {{"classifier.", "fc."}}, "fc.weight"},
    {"vit-hf", {{"classifier.", "model.head."}, {"", "model.backbone."}}, "model.head.weight"},
    {"dinov2-hf", {{"classifier.", "linear."}}, "linear.weight"},
    {"vit-torchvision", {{"heads.head.", "heads."}}, "heads.weight"},
    {"vit-mmpretrain", {{"head.layers.head.", "head.fc."}}, "head.fc.weight"},
    {"vit-timm", {{NULL, NULL}}, "head.weight"},
};

START_TEST(test_names__a_classifier_is_found)
{
    const answer tidy = tidy_answer(classified[_i].model);
    char *folder = copy_golden(classified[_i].model);
    write_names(folder, classified[_i].rows, NULL);
    vitx_model *m = open_ok(folder);
    ck_assert_str_eq(info_with(m).classifier, classified[_i].classifier);
    const answer is = answer_of(m);
    check_same(&is, &tidy, classified[_i].classifier);
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Without a bias the answer is the one with a bias of 0. */
START_TEST(test_names__a_classifier_needs_no_bias)
{
    static const renaming rows[][3] = {{{"head.bias", "queue"}, {NULL, NULL}},
                                       {{"head.bias", "queue"}, {"head.", "fc."}, {NULL, NULL}}};
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    answer with = tidy_answer("vit-timm");
    opts.ignore = "queue";
    for (int i = 0; i < 2; i++) {
        char *folder = copy_golden("vit-timm");
        vitx_model *m;
        write_names(folder, rows[i], NULL);
        ck_ok(vitx_model_open(&m, folder, &opts));
        const answer without = answer_of(m);
        ck_assert_str_eq(info_with(m).left_out, "by request (queue)");
        vitx_model_free(m);
        weights_file w = load_weights(golden_path("models/vit-timm/model.safetensors"));
        const char *at = strstr(strstr(w.header, "\"head.bias\""), "offsets\":[");
        const size_t begin = strtoul(at + strlen("offsets\":["), NULL, 10);
        for (int k = 0; k < 7; k++) {
            float bias;
            memcpy(&bias, w.data + begin + 4 * (size_t)k, 4);
            ck_assert_float_eq_tol(with.logits[k] - bias, without.logits[k], 2e-6f);
        }
        free_weights_file(&w);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* What may be a classifier and may be none. */
static const struct {
    renaming rows[MOST_ROWS];
    extra extras[3];
    const char *part;
} unclear[] = {
    {{{"head.", "fc."}},
     {{"aux.weight", "F32", "[5,24]", (size_t)5 * 24 * 4}},
     "2 matrices that may be its classifier (aux.weight [5, 24], fc.weight [7, 24])"},
    {{{"head.", "pre_logits.fc."}},
     {{NULL, NULL, NULL, 0}},
     "lacks tensor head.weight; pre_logits.fc.weight [7, 24] is there, but has no name of one"},
    {{{"head.", "fc."}},
     {{"fc2.weight", "F32", "[5,7]", (size_t)5 * 7 * 4}},
     "its head has several layers (fc.weight [7, 24], fc2.weight [5, 7]); vitx runs heads of one"},
    {{{"head.", "fc.1."}},
     {{"fc.0.weight", "F32", "[24]", 96}, {"fc.0.bias", "F32", "[24]", 96}},
     "tensor fc.0.bias is not part of family vit"},
    {{{"head.weight", "head.weigth"}}, {{NULL, NULL, NULL, 0}}, "lacks tensor head.weight"},
    {{{"blocks.1.", "blocks.0.1."}, {"blocks.2.", "blocks.1.0."}, {"blocks.0.", "blocks.0.0."}},
     {{NULL, NULL, NULL, 0}},
     "its blocks lie in chunks that begin with 0 each (blocks.1.0."},
};

START_TEST(test_names__what_is_unclear_is_named)
{
    char *folder = copy_golden("vit-timm");
    vitx_model *m;
    write_names(folder, unclear[_i].rows, unclear[_i].extras);
    const int status = vitx_model_open(&m, folder, NULL);
    ck_assert(status == VITX_UNSUPPORTED || status == VITX_FORMAT);
    ck_assert_msg(strstr(vitx_last_error(), unclear[_i].part) != NULL, "%s", vitx_last_error());
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- left out ------ */

/* Tensors that cannot change the answer. */
static const struct {
    renaming rows[MOST_ROWS];
    extra extras[4];
    const char *left_out;
} left[] = {
    {{{NULL, NULL}}, {{"n_averaged", "I64", "[]", 8}}, "counters (n_averaged)"},
    {{{NULL, NULL}},
     {{"normalizer.new_mean", "F32", "[3,1,1]", 12}, {"normalizer.new_std", "F32", "[3,1,1]", 12}},
     "mean and std of pixels (normalizer.new_mean and 1 more)"},
    {{{"", "1."}},
     {{"0.mean", "F32", "[1,3,1,1]", 12}, {"0.std", "F32", "[1,3,1,1]", 12}},
     "mean and std of pixels (0.mean and 1 more)"},
    {{{NULL, NULL}},
     {{"blocks.0.attn.relative_position_index", "I64", "[5,5]", 200}},
     "numbers of positions (blocks.0.attn.relative_position_index)"},
    {{{"", "module."}}, {{"n_averaged", "I64", "[]", 8}}, "counters (n_averaged)"},
    {{{"", "model."}},
     {{"global_step", "F32", "[]", 4}, {"any.thing", "I32", "[1]", 4}},
     "counters (any.thing and 1 more)"},
    {{{NULL, NULL}},
     {{"head_bn.num_batches_tracked", "I64", "[]", 8}},
     "counters (head_bn.num_batches_tracked)"},
    {{{NULL, NULL}},
     {{"pixel_mean", "F32", "[3,1,1]", 12}, {"pixel_std", "F32", "[3,1,1]", 12}},
     "mean and std of pixels (pixel_mean and 1 more)"},
    {{{NULL, NULL}},
     {{"mask_token", "F32", "[1,1,24]", 96}},
     "parts that do not answer (mask_token)"},
    {{{"", "net."}},
     {{"criterion.weight", "F32", "[7]", 28}, {"loss_fn.centre", "F32", "[7]", 28}},
     "parts of a loss (criterion.weight and 1 more)"},
    {{{"", "model."}},
     {{"model_ema.module.patch_embed.proj.weight", "F32", "[24,3,8,8]", (size_t)24 * 192 * 4}},
     "a copy that training keeps (model_ema.module.patch_embed.proj.weight)"},
    {{{NULL, NULL}}, {{NULL, NULL, NULL, 0}}, ""},
};

START_TEST(test_names__what_cannot_answer_is_left_out)
{
    const answer tidy = tidy_answer("vit-timm");
    char *folder = copy_golden("vit-timm");
    write_names(folder, left[_i].rows, left[_i].extras);
    vitx_model *m = open_ok(folder);
    ck_assert_str_eq(info_with(m).left_out, left[_i].left_out);
    const answer is = answer_of(m);
    check_same(&is, &tidy, left[_i].left_out);
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

static void hear(vitx_log_level level, const char *message, void *payload)
{
    if (level == VITX_LOG_WARNING)
        snprintf(payload, 400, "%s", message);
}

/* A std of 0 is none of the recipe's, a mean of 0 changes nothing. */
START_TEST(test_names__another_normalisation_is_heard)
{
    static const extra extras[] = {{"normalize.mean", "F32", "[3]", 12},
                                   {"normalize.std", "F32", "[1,3,1,1]", 12},
                                   {NULL, NULL, NULL, 0}};
    static const renaming rows[] = {{NULL, NULL}};
    char *folder = copy_golden("vit-timm"), heard[400] = "";
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    vitx_model *m;
    hooks.log = hear;
    hooks.payload = heard;
    opts.hooks = &hooks;
    ck_ok(vitx_model_open(&m, folder, &opts));
    vitx_model_free(m);
    ck_assert_str_eq(heard, "");
    write_names(folder, rows, extras);
    ck_ok(vitx_model_open(&m, folder, &opts));
    vitx_model_free(m);
    ck_assert_msg(strstr(heard, "tensor normalize.std is 0 0 0, but pictures are prepared with") !=
                      NULL,
                  "%s", heard);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What self-supervised training saves: a backbone, with what only the training needs. The answer is
 * the embedding of the tidy backbone. `rows` rename that of vit-timm without its head. */
#define MATRIX(name, rows)                                                                         \
    {                                                                                              \
        name, "F32", "[" #rows ",24]", (size_t)(rows)*96                                           \
    }
#define VECTOR(name, n)                                                                            \
    {                                                                                              \
        name, "F32", "[" #n "]", (size_t)(n)*4                                                     \
    }
static const struct {
    renaming rows[MOST_ROWS];
    extra extras[8];
    const char *left_out;
} trained[] = {
    {{{"", "teacher.backbone."}}, /* DINO */
     {MATRIX("teacher.head.mlp.0.weight", 9),
      VECTOR("teacher.head.mlp.0.bias", 9),
      MATRIX("teacher.head.last_layer.weight_v", 5),
      {"teacher.head.last_layer.weight_g", "F32", "[5,1]", 20}},
     "the head of its training (teacher.head.last_layer.weight_g and 3 more)"},
    {{{"blocks.0.", "backbone.blocks.0.0."},
      {"blocks.1.", "backbone.blocks.1.1."},
      {"blocks.2.", "backbone.blocks.1.2."},
      {"", "backbone."}}, /* iBOT, DINOv2: chunks, two heads */
     {MATRIX("dino_head.mlp.0.weight", 9), MATRIX("ibot_head.mlp.0.weight", 9),
      MATRIX("backbone.masked_embed", 1)},
     "the head of its training (dino_head.mlp.0.weight and 1 more), the token of masked patches "
     "(backbone.masked_embed)"},
    {{{"", "model."}}, /* MAE */
     {MATRIX("model.decoder_embed.weight", 9),
      MATRIX("model.decoder_pred.weight", 48),
      {"model.decoder_pos_embed", "F32", "[1,26,9]", (size_t)26 * 36},
      MATRIX("model.decoder_blocks.0.attn.qkv.weight", 27),
      {"model.mask_token", "F32", "[1,1,9]", 36}},
     "the decoder of its training (model.decoder_blocks.0.attn.qkv.weight and 3 more), parts that "
     "do not answer (model.mask_token)"},
    {{{"", "module.base_encoder."}}, /* MoCo v3 */
     {MATRIX("module.base_encoder.head.0.weight", 9),
      VECTOR("module.base_encoder.head.1.running_mean", 9),
      {"module.momentum_encoder.patch_embed.proj.weight", "F32", "[24,3,8,8]",
       (size_t)24 * 192 * 4},
      MATRIX("module.momentum_encoder.head.0.weight", 9),
      MATRIX("module.predictor.0.weight", 9)},
     "the head of its training (module.base_encoder.head.0.weight and 2 more), a copy that "
     "training keeps (module.momentum_encoder.head.0.weight and 1 more)"},
};

START_TEST(test_names__of_self_supervised_training)
{
    char *tidy_folder = copy_golden("vit-timm"), *folder = copy_golden("vit-timm");
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    vitx_model *m;
    opts.ignore = "*head.weight,*head.bias"; /* the classifier of vit-timm */
    edit_file(tidy_folder, "config.json", "\"num_classes\": 7", "\"num_classes\": 0");
    edit_file(folder, "config.json", "\"num_classes\": 7", "\"num_classes\": 0");
    ck_ok(vitx_model_open(&m, tidy_folder, &opts));
    const answer tidy = answer_of(m);
    vitx_model_free(m);
    write_names(folder, trained[_i].rows, trained[_i].extras);
    ck_ok(vitx_model_open(&m, folder, &opts));
    const char *left_out = info_with(m).left_out, *by_request = "by request (";
    ck_assert_msg(strncmp(left_out, by_request, strlen(by_request)) == 0, "%s", left_out);
    ck_assert_str_eq(strstr(left_out, "), ") + 3, trained[_i].left_out);
    const answer is = answer_of(m);
    ck_assert_int_eq(is.count, 24);
    check_same(&is, &tidy, trained[_i].left_out);
    vitx_model_free(m);
    remove_folder(folder);
    remove_folder(tidy_folder);
    free(folder);
    free(tidy_folder);
}
END_TEST

/* Angles that are not those of the network's rotation would change the answer. */
START_TEST(test_names__other_angles_are_refused)
{
    static const extra cosines[] = {{"rope.freqs_cos", "F32", "[16,8]", (size_t)16 * 32},
                                    {NULL, NULL, NULL, 0}};
    char *folder = copy_golden("eva02-timm");
    write_names(folder, no_rows, cosines);
    try_open(folder, VITX_UNSUPPORTED, "tensor rope.freqs_cos is not part of family eva02");
    remove_folder(folder);
    free(folder);
    vitx_model *m = open_ok(golden_model("eva02-timm-apart"));
    ck_assert_str_eq(
        info_with(m).left_out,
        "angles of rotation, which are computed (blocks.0.attn.rope.freqs_cos and 1 more)");
    vitx_model_free(m);
}
END_TEST

START_TEST(test_names__others_are_left_out_by_request)
{
    static const extra extras[] = {{"aux.0.weight", "F32", "[24]", 96},
                                   {"aux.0.bias", "F32", "[24]", 96},
                                   {"extra", "F32", "[1]", 4},
                                   {NULL, NULL, NULL, 0}};
    static const struct {
        const char *patterns;
        const char *left_out; /* NULL: refused with ... */
        const char *message;
    } cases[] = {{"aux.*,extra", "by request (aux.0.bias and 2 more)", NULL},
                 {"*a*x*,e?tra", "by request (aux.0.bias and 2 more)", NULL},
                 {"aux.0.*", NULL, "tensor extra is not part of"},
                 {"aux.*,extra,nothing", NULL, "ignore: \"nothing\" fits the name of no tensor"},
                 {"", NULL, "ignore: \"\" fits the name of no tensor"},
                 {"*", NULL, "holds no tensor"},
                 {"aux.*,extra,norm.*", NULL, "norm"}};
    const answer tidy = tidy_answer("vit-timm");
    char *folder = copy_golden("vit-timm");
    write_names(folder, no_rows, extras);
    for (int i = 0; i < COUNT(cases); i++) {
        vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
        vitx_model *m = NULL;
        opts.ignore = cases[i].patterns;
        const int status = vitx_model_open(&m, folder, &opts);
        if (!cases[i].left_out) {
            if (status == VITX_OK) { /* a network without a last norm */
                const answer is = answer_of(m);
                ck_assert(is.logits[0] != tidy.logits[0]);
                vitx_model_free(m);
                continue;
            }
            ck_assert_msg(strstr(vitx_last_error(), cases[i].message) != NULL, "%s",
                          vitx_last_error());
            continue;
        }
        ck_assert_msg(status == VITX_OK, "%s", vitx_last_error());
        ck_assert_str_eq(info_with(m).left_out, cases[i].left_out);
        const answer is = answer_of(m);
        check_same(&is, &tidy, cases[i].patterns);
        vitx_model_free(m);
    }
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
    tcase_add_test(t, test_names__a_prefix_hides_no_foreign_architecture);
    suite_add_tcase(s, t);
    t = tcase_create("classifiers");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_names__a_classifier_is_found, 0, COUNT(classified));
    tcase_add_test(t, test_names__a_classifier_needs_no_bias);
    tcase_add_loop_test(t, test_names__what_is_unclear_is_named, 0, COUNT(unclear));
    suite_add_tcase(s, t);
    t = tcase_create("left out");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_names__what_cannot_answer_is_left_out, 0, COUNT(left));
    tcase_add_test(t, test_names__what_is_there_is_named);
    tcase_add_test(t, test_names__another_normalisation_is_heard);
    tcase_add_loop_test(t, test_names__of_self_supervised_training, 0, COUNT(trained));
    tcase_add_test(t, test_names__other_angles_are_refused);
    tcase_add_test(t, test_names__others_are_left_out_by_request);
    suite_add_tcase(s, t);
    t = tcase_create("adapters");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_names__a_model_with_its_adapter_in_one_file);
    tcase_add_test(t, test_names__an_adapter_alone_says_what_is_missing);
    tcase_add_test(t, test_names__adapters_that_are_not_merged);
    tcase_add_test(t, test_names__no_allocation_leaks);
    suite_add_tcase(s, t);
    t = tcase_create("float64");
    tcase_add_test(t, test_names__float64_is_read);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(names_suite)
