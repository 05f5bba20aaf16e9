/*
 * test_model.c: weight files, configurations and labels, good and hostile.
 *
 * VX_TEST_THREADS: two threads pack one model's weights at once.
 * Damaged files are made from the golden ones: a weight file is taken apart into header and data,
 * its header's text edited, and put together again.
 */
#define _XOPEN_SOURCE 700 /* realpath, symlink, truncate */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "far_memory.h"
#include "model/model.h"
#include "util.h"

/* -------------------------------------------------------------------------- helpers ------- */

typedef struct weights_file {
    char *header, *data; /* header ends in '\0' */
    size_t header_size, data_size;
} weights_file;

static const char *in_folder(const char *folder, const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *golden_model(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "models/%s", name);
    return golden_path(path);
}

static weights_file load_weights(const char *path)
{
    size_t size;
    unsigned char *file = read_file(path, &size);
    uint64_t n;
    memcpy(&n, file, 8);
    weights_file w = {.header_size = n, .data_size = size - 8 - n};
    w.header = malloc(n + 1);
    w.data = malloc(w.data_size + 1);
    memcpy(w.header, file + 8, n);
    w.header[n] = '\0';
    memcpy(w.data, file + 8 + n, w.data_size);
    free(file);
    return w;
}

static void save_weights(const char *path, const weights_file *w)
{
    const uint64_t n = w->header_size;
    const size_t size = 8 + w->header_size + w->data_size;
    char *file = malloc(size);
    memcpy(file, &n, 8);
    memcpy(file + 8, w->header, w->header_size);
    memcpy(file + 8 + w->header_size, w->data, w->data_size);
    write_file(path, file, size);
    free(file);
}

static void free_weights_file(weights_file *w)
{
    free(w->header);
    free(w->data);
}

/* The first `find` in *text becomes `replace`. */
static void edit(char **text, const char *find, const char *replace)
{
    char *at = strstr(*text, find);
    ck_assert_msg(at != NULL, "no %s in %.300s", find, *text);
    const size_t before = (size_t)(at - *text);
    char *out = malloc(strlen(*text) + strlen(replace) + 1);
    memcpy(out, *text, before);
    strcpy(out + before, replace);
    strcat(out, at + strlen(find));
    free(*text);
    *text = out;
}

static void edit_header(weights_file *w, const char *find, const char *replace)
{
    edit(&w->header, find, replace);
    w->header_size = strlen(w->header);
}

/* A golden model's files in a fresh folder. */
static char *copy_golden(const char *name)
{
    char *folder = make_folder();
    const char *files[] = {"model.safetensors",           "config.json",
                           "preprocessor_config.json",    "processor_config.json",
                           "open_clip_model.safetensors", "open_clip_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char from[512];
        snprintf(from, sizeof from, "%s/%s", golden_model(name), files[i]);
        size_t size;
        if (access(from, R_OK) != 0)
            continue;
        void *data = read_file(from, &size);
        write_file(in_folder(folder, files[i]), data, size);
        free(data);
    }
    return folder;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    write_file(in_folder(folder, name), text, strlen(text));
}

static void edit_file(const char *folder, const char *name, const char *find, const char *replace)
{
    char *text = read_file(in_folder(folder, name), NULL);
    edit(&text, find, replace);
    write_text(folder, name, text);
    free(text);
}

static void edit_weights(const char *folder, const char *find, const char *replace)
{
    weights_file w = load_weights(in_folder(folder, "model.safetensors"));
    edit_header(&w, find, replace);
    save_weights(in_folder(folder, "model.safetensors"), &w);
    free_weights_file(&w);
}

static void try_open(const char *path, int code, const char *part)
{
    vitx_model *m = (vitx_model *)1;
    ck_fails(vitx_model_open(&m, path, NULL), code, part);
    ck_assert(m == NULL);
}

static vitx_model *open_ok(const char *path)
{
    vitx_model *m = NULL;
    ck_ok(vitx_model_open(&m, path, NULL));
    return m;
}

static vitx_model_info info_of(const char *path)
{
    static vitx_recipe recipes[8]; /* of the last calls */
    static unsigned calls;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_model *m = open_ok(path);
    ck_ok(vitx_model_get_info(&info, m));
    recipes[calls % 8] = *info.recipe;
    info.recipe = &recipes[calls++ % 8];
    info.architecture = ""; /* it went with the model */
    vitx_model_free(m);
    return info;
}

static int pack(const vx_weights **out, vitx_model *m)
{
    return vx_model_weights(out, m, &(vx_site){.cls = vx_device_find("ref")}, "f32");
}

/* -------------------------------------------------------------------------- goldens ------- */

typedef struct golden {
    const char *name, *family, *naming, *activation, *pooling, *dtype;
    int depth, heads, patch_h, patch_w, grid_h, grid_w, prefix, labels;
    double eps;
    int64_t parameters;
    int input_h, input_w;
    vitx_resize resize;
    int resize_h, resize_w;
    vitx_filter filter;
    int round;
    double mean0, std0;
} golden;

#define HF "huggingface"
/* clang-format off */
static const golden goldens[] = {
    {"clip-hf", "clip", HF, "quick_gelu", "token", "F16", 2, 3, 8, 8, 5, 5, 1, 0, 1e-05, 14480, 40,
     40, VITX_RESIZE_SHORTEST, 44, 44, VITX_BICUBIC, 0, 0.48145466, 0.26862954},
    {"clip-hf-full", "clip", HF, "gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-05, 11024, 20,
     20, VITX_RESIZE_SHORTEST, 20, 20, VITX_BICUBIC, 0, 0.48145466, 0.26862954},
    {"clip-hf-bare", "clip", HF, "quick_gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-05, 10856,
     20, 20, VITX_RESIZE_SHORTEST, 20, 20, VITX_BICUBIC, 0, 0.48145466, 0.26862954},
    {"clip-timm", "clip", "timm", "quick_gelu", "token", "F16", 2, 3, 8, 8, 5, 5, 1, 0, 1e-05,
     14487, 40, 40, VITX_RESIZE_SHORTEST, 40, 40, VITX_BICUBIC, 1, 0.48145466, 0.26862954},
    {"siglip-hf", "siglip", HF, "gelu_tanh", "map", "F16", 2, 3, 8, 8, 5, 5, 0, 0, 1e-06, 18696, 40,
     40, VITX_RESIZE_EXACT, 40, 40, VITX_BICUBIC, 0, 0.5, 0.5},
    {"siglip-hf-class", "siglip", HF, "gelu_tanh", "avg", "F16", 2, 3, 4, 4, 5, 5, 0, 7, 1e-06,
     10959, 20, 20, VITX_RESIZE_EXACT, 20, 20, VITX_BICUBIC, 0, 0.5, 0.5},
    {"ijepa-hf", "vit", HF, "gelu", "avg", "F16", 2, 3, 4, 4, 5, 5, 0, 7, 1e-06, 10959, 20, 20,
     VITX_RESIZE_EXACT, 20, 20, VITX_BILINEAR, 0, 0.5, 0.5},
    {"siglip-hf-full", "siglip", HF, "gelu_tanh", "map", "F16", 2, 3, 4, 4, 5, 5, 0, 0, 1e-06,
     15240, 20, 20, VITX_RESIZE_EXACT, 20, 20, VITX_BICUBIC, 0, 0.5, 0.5},
    {"siglip-timm", "siglip", "timm", "gelu_tanh", "map", "F16", 2, 3, 8, 8, 5, 5, 0, 0, 1e-06,
     18696, 40, 40, VITX_RESIZE_SHORTEST, 44, 44, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-timm-map", "vit", "timm", "gelu", "map", "F16", 2, 3, 4, 4, 5, 5, 0, 0, 1e-06, 15415, 20,
     20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.5, 0.5},
    {"deit-hf-bare", "deit", HF, "gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 2, 0, 1e-12, 10880, 20,
     20, VITX_RESIZE_EXACT, 25, 25, VITX_BICUBIC, 0, 0.5, 0.5},
    {"vit-hf-bare", "vit", HF, "gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-12, 10832, 20,
     20, VITX_RESIZE_EXACT, 20, 20, VITX_BILINEAR, 0, 0.5, 0.5},
    {"vit-timm-bare", "vit", "timm", "gelu", "avg", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-6, 10832, 20,
     20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.5, 0.5},
    {"deit-hf", "deit", HF, "gelu_tanh", "token", "BF16", 2, 3, 4, 4, 5, 5, 2, 7, 1e-12, 11055, 20,
     20, VITX_RESIZE_EXACT, 25, 25, VITX_BICUBIC, 0, 0.5, 0.5},
    {"deit-timm", "deit", "timm", "gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-6, 11007, 20,
     20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.485, 0.229},
    {"deit-timm-distilled", "deit", "timm", "gelu", "token+dist", "F16", 2, 3, 4, 4, 5, 5, 2, 0,
     1e-6,
     11230, 20, 20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.485, 0.229},
    {"deit-hf-teacher", "deit", HF, "gelu", "token+dist", "F16", 2, 3, 4, 4, 5, 5, 2, 0, 1e-6,
     11230,
     20, 20, VITX_RESIZE_EXACT, 20, 20, VITX_BICUBIC, 0, 0.5, 0.5},
    {"dinov2-timm", "dinov2", "timm", "gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-6, 11103,
     20,
     20, VITX_RESIZE_SHORTEST, 20, 20, VITX_BICUBIC, 1, 0.485, 0.229},
    {"vit-timm-registers", "vit", "timm", "gelu", "token", "F16", 2, 3, 4, 4, 4, 6, 4, 0, 1e-6,
     11127,
     16, 24, VITX_RESIZE_COVER, 17, 26, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-hf-half", "vit", HF, "quick_gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-5, 11007,
     20, 20, VITX_RESIZE_SHORTEST, 23, 23, VITX_BICUBIC, 0, 0.5, 0.5},
    {"vit-hf-sharded", "vit", HF, "relu", "token", "F32", 3, 3, 8, 8, 3, 5, 1, 0, 1e-12, 18487, 24,
     40, VITX_RESIZE_EXACT, 24, 40, VITX_BILINEAR, 0, 0.5, 0.5},
    {"vit-hf", "vit", HF, "gelu", "token", "F32", 2, 3, 4, 4, 5, 5, 1, 7, 1e-12, 11007, 20, 20,
     VITX_RESIZE_EXACT, 20, 20, VITX_BILINEAR, 0, 0.5, 0.5},
    {"vit-timm-avg-norm", "vit", "timm", "gelu", "avg", "BF16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-6, 11007,
     20, 20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-timm-avg", "vit", "timm", "gelu_tanh", "avg", "F16", 2, 3, 4, 4, 5, 5, 1, 0, 1e-6, 11007,
     20, 20, VITX_RESIZE_EXACT, 22, 22, VITX_BILINEAR, 1, 0.5, 0.5},
    {"vit-timm-layerscale", "vit", "timm", "quick_gelu", "token", "F16", 2, 3, 4, 4, 5, 5, 1, 0,
     1e-6, 11103, 20, 20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-timm-no-class-token", "vit", "timm", "relu", "avg", "BF16", 2, 2, 4, 4, 5, 5, 0, 0, 1e-6,
     10815, 20, 20, VITX_RESIZE_SHORTEST, 22, 22, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-timm-oblong", "vit", "timm", "gelu", "token", "BF16", 2, 3, 8, 4, 3, 10, 1, 0, 1e-6,
     12279, 24, 40, VITX_RESIZE_COVER, 26, 44, VITX_BICUBIC, 1, 0.5, 0.5},
    {"vit-timm", "vit", "timm", "gelu", "token", "F32", 3, 3, 8, 8, 5, 5, 1, 7, 1e-6, 18943, 40, 40,
     VITX_RESIZE_SHORTEST, 44, 44, VITX_BICUBIC, 1, 0.5, 0.5},
};
/* clang-format on */
#define GOLDENS ((int)(sizeof goldens / sizeof goldens[0]))

START_TEST(test_model__tells_what_a_golden_model_is)
{
    const golden *g = &goldens[_i];
    vitx_model *m = open_ok(golden_model(g->name));
    vitx_model_info f = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&f, m));
    ck_assert_str_eq(f.family, g->family);
    ck_assert_str_eq(f.naming, g->naming);
    ck_assert_str_eq(f.activation, g->activation);
    ck_assert_str_eq(f.pooling, g->pooling);
    ck_assert_str_eq(f.weight_dtype, g->dtype);
    ck_assert_int_eq(f.depth, g->depth);
    ck_assert_int_eq(f.width, 24);
    ck_assert_int_eq(f.heads, g->heads);
    ck_assert_int_eq(f.mlp_hidden, 40);
    ck_assert(f.patch_height == g->patch_h && f.patch_width == g->patch_w);
    ck_assert(f.grid_height == g->grid_h && f.grid_width == g->grid_w);
    ck_assert_int_eq(f.prefix_tokens, g->prefix);
    ck_assert_int_eq(f.tokens, g->prefix + g->grid_h * g->grid_w);
    char answer[100];
    snprintf(answer, sizeof answer, "models/%s/logits.npy", g->name);
    npy logits = read_npy(golden_path(answer));
    ck_assert_int_eq(f.classes, (int)logits.shape[1]);
    free_npy(&logits);
    ck_assert_int_eq(f.labels, g->labels);
    ck_assert(f.norm_eps == (float)g->eps);
    ck_assert_int_eq(f.parameters, g->parameters);
    ck_assert_int_eq(f.weight_bytes, g->parameters * (strcmp(g->dtype, "F32") == 0 ? 4 : 2));
    ck_assert(f.recipe->input_height == g->input_h && f.recipe->input_width == g->input_w);
    ck_assert_int_eq(f.recipe->resize, g->resize);
    ck_assert(f.recipe->resize_height == g->resize_h && f.recipe->resize_width == g->resize_w);
    ck_assert_int_eq(f.recipe->filter, g->filter);
    ck_assert_int_eq(f.recipe->crop_round, g->round);
    ck_assert(f.recipe->scale == 1.0f / 255);
    ck_assert(f.recipe->mean[0] == (float)g->mean0 && f.recipe->std[0] == (float)g->std0);
    const vitx_source file =
        strcmp(g->naming, "timm") == 0 ? VITX_FROM_CONFIG : VITX_FROM_PREPROCESSOR;
    ck_assert(f.recipe->from_input == file && f.recipe->from_mean == file &&
              f.recipe->from_filter == file);
    ck_assert_int_eq(f.from_heads, VITX_FROM_CONFIG);
    const char *label = vitx_model_label(m, 0);
    ck_assert(g->labels ? label && strcmp(label, "tench") == 0 : label == NULL);
    ck_assert(vitx_model_label(m, -1) == NULL && vitx_model_label(m, 7) == NULL);
    vitx_model_free(m);
}
END_TEST

static const float *golden_tensor(const vx_container *c, const char *name, float *out)
{
    const vx_tensor *t = vx_container_find(c, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    ck_ok(vx_tensor_read_f32(t, out, 0, t->count));
    return out;
}

/* Where each tensor has to end up, on a device that keeps matrices as they are. */
START_TEST(test_model__packs_every_tensor_where_it_belongs)
{
    static float a[20000], p[2000], q[2000];
    const vx_weights *w;
    vitx_model *m = open_ok(golden_model("deit-hf"));
    ck_ok(pack(&w, m));
    far_open(); /* the host looks at a device's memory */
    const vx_container *c = m->container;
    golden_tensor(c, "deit.encoder.layer.1.attention.attention.key.weight", a);
    ck_assert_mem_eq((const float *)w->blocks[1].qkv.data + 24 * 24, a, sizeof(float) * 24 * 24);
    golden_tensor(c, "deit.encoder.layer.1.attention.attention.value.bias", a);
    ck_assert_mem_eq(w->blocks[1].qkv.bias + 48, a, sizeof(float) * 24);
    golden_tensor(c, "deit.encoder.layer.0.attention.attention.query.weight", a);
    ck_assert_mem_eq(w->blocks[0].qkv.data, a, sizeof(float) * 24 * 24);
    golden_tensor(c, "deit.embeddings.patch_embeddings.projection.weight", a);
    ck_assert_mem_eq(w->patch.data, a, sizeof(float) * 24 * 48);
    ck_assert(w->patch.n == 24 && w->patch.k == 48);
    golden_tensor(c, "deit.embeddings.position_embeddings", p);
    ck_assert_mem_eq(w->pos, p + 48, sizeof(float) * 25 * 24);
    golden_tensor(c, "deit.embeddings.cls_token", a);
    golden_tensor(c, "deit.embeddings.distillation_token", q);
    for (int i = 0; i < 24; i++)
        ck_assert(w->prefix[i] == a[i] + p[i] && w->prefix[24 + i] == q[i] + p[24 + i]);
    golden_tensor(c, "classifier.weight", a);
    ck_assert_mem_eq(w->head.data, a, sizeof(float) * 7 * 24);
    golden_tensor(c, "deit.encoder.layer.1.output.dense.weight", a);
    ck_assert_mem_eq(w->blocks[1].fc2.data, a, sizeof(float) * 24 * 40);
    golden_tensor(c, "deit.encoder.layer.1.layernorm_after.bias", a);
    ck_assert_mem_eq(w->blocks[1].norm2_b, a, sizeof(float) * 24);
    golden_tensor(c, "deit.layernorm.weight", a);
    ck_assert_mem_eq(w->norm_w, a, sizeof(float) * 24);
    ck_assert(!w->norm_pre_w && !w->fc_norm_w && !w->blocks[0].ls1);
    vitx_model_free(m);

    m = open_ok(golden_model("vit-timm-layerscale"));
    ck_ok(pack(&w, m));
    c = m->container;
    golden_tensor(c, "cls_token", a); /* no_embed_class: no position for it */
    ck_assert_mem_eq(w->prefix, a, sizeof(float) * 24);
    golden_tensor(c, "pos_embed", a);
    ck_assert_mem_eq(w->pos, a, sizeof(float) * 25 * 24);
    golden_tensor(c, "blocks.1.ls2.gamma", a);
    ck_assert_mem_eq(w->blocks[1].ls2, a, sizeof(float) * 24);
    golden_tensor(c, "blocks.0.attn.qkv.weight", a);
    ck_assert_mem_eq(w->blocks[0].qkv.data, a, sizeof(float) * 72 * 24);
    golden_tensor(c, "norm_pre.bias", a);
    ck_assert_mem_eq(w->norm_pre_b, a, sizeof(float) * 24);
    ck_assert(w->patch.bias == NULL);
    vitx_model_free(m);

    m = open_ok(golden_model("vit-timm-no-class-token"));
    ck_ok(pack(&w, m));
    ck_assert(w->prefix == NULL && w->blocks[0].qkv.bias == NULL && w->norm_w == NULL &&
              w->fc_norm_w != NULL);
    far_close();
    vitx_model_free(m);
}
END_TEST

START_TEST(test_model__packs_once_for_a_device)
{
    const vx_weights *a, *b, *other;
    vitx_model *m = open_ok(golden_model("vit-timm"));
    ck_ok(pack(&a, m));
    ck_ok(pack(&b, m));
    ck_ok(vx_model_weights(&other, m, &(vx_site){.cls = vx_device_find("cpu")}, "f32"));
    ck_assert(a == b && other != a && a->bytes >= 18943 * 4);
    ck_fails(vx_model_weights(&b, m, &(vx_site){.cls = vx_device_find("ref")}, "f8"), VITX_DEVICE,
             "f8");
    vitx_model_free(m);
}
END_TEST

static void *pack_thread(void *arg)
{
    void **slot = arg;
    const vx_weights *w = NULL;
    if (pack(&w, slot[0]) == VITX_OK)
        slot[1] = (void *)(uintptr_t)w;
    return NULL;
}

START_TEST(test_model__two_threads_pack_once)
{
    for (int round = 0; round < 20; round++) {
        vitx_model *m = open_ok(golden_model("vit-timm"));
        void *slots[3][2] = {{m, NULL}, {m, NULL}, {m, NULL}};
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, pack_thread, slots[i]), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        ck_assert(slots[0][1] && slots[0][1] == slots[1][1] && slots[0][1] == slots[2][1]);
        ck_assert(m->packed && !m->packed->next);
        vitx_model_free(m);
    }
}
END_TEST

START_TEST(test_model__real_deit_tiny)
{
    if (!have_shared("DeiT-tiny"))
        return;
    const vitx_model_info f = info_of(shared_path("models/deit_tiny_patch16_224"));
    ck_assert_str_eq(f.family, "deit");
    ck_assert(f.depth == 12 && f.width == 192 && f.heads == 3 && f.tokens == 197 &&
              f.classes == 1000);
    ck_assert_int_eq(f.parameters, 5717416);
    ck_assert_int_eq(f.flops, 2507366400); /* 2 x 1.25 G multiply-adds */
    ck_assert(f.recipe->resize_height == 248 && f.recipe->mean[1] == 0.456f);

    char *folder = make_folder(); /* without a configuration: a ViT of heads of 64 */
    char target[600];
    ck_assert(realpath(shared_path("models/deit_tiny_patch16_224/model.safetensors"), target) !=
              NULL);
    ck_assert_int_eq(symlink(target, in_folder(folder, "alone.safetensors")), 0);
    const vitx_model_info g = info_of(in_folder(folder, "alone.safetensors"));
    ck_assert_str_eq(g.family, "vit");
    ck_assert(g.heads == 3 && g.from_heads == VITX_FROM_DEFAULT && g.grid_height == 14);
    ck_assert(g.recipe->from_input == VITX_FROM_TENSORS && g.recipe->input_height == 224);
    ck_assert(g.recipe->resize_height == 248 && g.recipe->from_resize == VITX_FROM_DEFAULT);
    ck_assert(g.recipe->mean[0] == 0.5f);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- container ----- */

typedef struct file_case {
    const char *header;
    size_t data;
    const char *part; /* NULL: accepted */
} file_case;

#define T(dtype, shape, begin, end)                                                                \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
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
    return vx_safetensors_open(out, path, &hooks);
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
    /* what `git clone` leaves where git-lfs is not installed */
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\n";
    write_file(path, pointer, sizeof pointer - 1);
    ck_fails(open_container(&c, path), VITX_FORMAT, "git lfs pull");
    static const struct {
        const char *begin, *part;
    } others[] = {{"PK\3\4\0\0\10\10", "a zip archive or a pickle"},
                  {"\200\2}q\0(X\16", "save the model as safetensors"},
                  {"{\n  \"arc", "JSON, not weights"},
                  {"\211PNG\r\n\32\n", "no safetensors file"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        write_file(path, others[i].begin, 8);
        ck_fails(open_container(&c, path), VITX_FORMAT, others[i].part);
    }
    /* what a download leaves that went wrong, and other programs' files */
    static const struct {
        const char *text, *part;
    } kinds[] = {
        {"<!DOCTYPE html>\n<html><title>404</title>", "an HTML page, as servers send one"},
        {"<!doctype html>", "no safetensors file"},
        {"GGUF\3 and more", "GGUF weights (llama.cpp's), no safetensors file"},
        {"\x1f\x8b\10 packed", "packed by gzip"},
        {"\211HDF\r\n\32\n", "HDF5"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_text(folder, "a.safetensors", kinds[i].text);
        ck_fails(open_container(&c, in_folder(folder, "a.safetensors")), VITX_FORMAT,
                 kinds[i].part);
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

START_TEST(test_safetensors__checks_shards_against_their_index)
{
    static const struct {
        const char *find, *replace, *part;
    } edits[] = {
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
    const char *names[] = {"model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                           "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
                           "model.safetensors.index.json",     "config.json",
                           "preprocessor_config.json"};
    char *folder = make_folder();
    char *index = NULL;
    for (int i = 0; i < 7; i++) {
        size_t size;
        char from[300];
        snprintf(from, sizeof from, "%s/%s", golden_model("vit-hf-sharded"), names[i]);
        char *data = read_file(from, &size);
        write_file(in_folder(folder, names[i]), data, size);
        if (i == 4)
            index = data;
        else
            free(data);
    }
    vitx_model_free(open_ok(folder));
    vitx_model_free(open_ok(in_folder(folder, names[4])));
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *text = strdup(index);
        edit(&text, edits[i].find, edits[i].replace);
        write_text(folder, names[4], text);
        free(text);
        try_open(folder, VITX_FORMAT, edits[i].part);
    }
    write_text(folder, names[4], "{\"weight_map\": {}}");
    try_open(folder, VITX_FORMAT, "holds no tensor");
    write_text(folder, names[4], index);
    ck_assert_int_eq(unlink(in_folder(folder, names[2])), 0);
    try_open(folder, VITX_IO, "model-00003");
    ck_assert_int_eq(link(in_folder(folder, names[1]), "build/test-link"), 0);
    ck_assert_int_eq(rename("build/test-link", in_folder(folder, names[2])), 0);
    try_open(folder, VITX_FORMAT, "is in both");

    char *many = malloc(1 << 16);
    strcpy(many, "{\"weight_map\":{");
    for (int i = 0; i < 300; i++)
        sprintf(many + strlen(many), "%s\"t%d\":\"s%d\"", i ? "," : "", i, i);
    strcat(many, "}}");
    write_text(folder, names[4], many);
    try_open(folder, VITX_FORMAT, "more than 256 shards");
    free(many);
    free(index);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- tensors ------- */

/* clang-format off */
static const struct {
    const char *model, *find, *replace;
    int code;
    const char *part;
} tensor_edits[] = {
    {"vit-timm", "\"head.weight\":{\"dtype\":\"F32\",\"shape\":[7,24]",
     "\"head.weight\":{\"dtype\":\"F32\",\"shape\":[24,7]", VITX_FORMAT,
     "the number of classes is 7, but in"},
    {"vit-timm", "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[7]",
     "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[1,7]", VITX_FORMAT,
     "tensor head.bias has shape [1, 7], expected [7]"},
    {"vit-timm", "\"shape\":[72,24]", "\"shape\":[24,72]", VITX_FORMAT,
     "tensor blocks.0.attn.qkv.weight has shape [24, 72], expected [72, 24]"},
    {"vit-timm", "\"shape\":[24,3,8,8]", "\"shape\":[24,3,64]", VITX_FORMAT,
     "patch_embed.proj.weight has shape [24, 3, 64]"},
    {"vit-timm", "\"shape\":[24,3,8,8]", "\"shape\":[24,12,4,4]", VITX_UNSUPPORTED, "12 channels"},
    {"vit-timm", "\"shape\":[24,3,8,8]", "\"shape\":[24,3,4,16]", VITX_FORMAT, "patch height is 8"},
    {"vit-timm", "\"shape\":[1,26,24]", "\"shape\":[1,24,26]", VITX_FORMAT,
     "24 position embeddings"},
    {"vit-timm", "\"shape\":[1,26,24]", "\"shape\":[1,1,26,24]", VITX_FORMAT,
     "expected 3 dimensions"},
    {"vit-timm", "\"cls_token\"", "\"cls_tokem\"", VITX_FORMAT, "position embeddings"},
    {"vit-timm", "\"blocks.1.norm2.bias\"", "\"blocks.1.norm3.bias\"", VITX_FORMAT,
     "lacks tensor blocks.1.norm2.bias"},
    {"vit-timm", "\"blocks.1.mlp.fc1.bias\"", "\"blocks.1.mlp.fc3.bias\"", VITX_FORMAT,
     "lacks tensor blocks.1.mlp.fc1.bias"},
    {"vit-timm-q-v-bias", "\"blocks.0.attn.v_bias\"", "\"blocks.0.attn.w_bias\"", VITX_FORMAT,
     "lacks tensor blocks.0.attn.v_bias"},
    {"vit-timm", "\"patch_embed.proj.bias\"", "\"blocks.0.attn.q_bias\"", VITX_UNSUPPORTED,
     "has tensor blocks.0.attn.q_bias beside blocks.0.attn.qkv.bias"},
    {"vit-timm", "\"norm.bias\"", "\"norn.bias\"", VITX_FORMAT, "lacks tensor norm.bias"},
    {"vit-timm", "\"norm.weight\"", "\"norn.weight\"", VITX_UNSUPPORTED,
     "tensor norm.bias is not part of family vit"},
    {"vit-timm", "\"head.bias\"", "\"heat.bias\"", VITX_FORMAT, "lacks tensor head.bias"},
    {"vit-timm", "\"pos_embed\"", "\"pos_embet\"", VITX_UNSUPPORTED,
     "rotate queries and keys instead, as DINOv3"},
    {"deit-timm-distilled", "\"head_dist.weight\"", "\"head_dost.weight\"", VITX_FORMAT,
     "lacks tensor head_dist.weight"},
    {"deit-timm-distilled", "\"head_dist.bias\"", "\"head_dost.bias\"", VITX_FORMAT,
     "lacks tensor head_dist.bias"},
    {"deit-timm-distilled", "\"dist_token\"", "\"reg_token\"", VITX_FORMAT,
     "lacks tensor dist_token"},
    {"deit-hf-teacher", "\"cls_classifier.weight\"", "\"cls_classifier.wight\"", VITX_FORMAT,
     "lacks tensor classifier.weight"},
    {"deit3-meta", "\"blocks.1.gamma_2\"", "\"blocks.1.gamma_3\"", VITX_FORMAT,
     "lacks tensor blocks.1.ls2.gamma"},
    {"vit-timm-registers", "\"shape\":[1,3,24]", "\"shape\":[72]", VITX_FORMAT,
     "reg_token has shape [72], expected 3 dimensions"},
    {"vit-timm-registers", "\"shape\":[1,3,24]", "\"shape\":[3,1,24]", VITX_FORMAT,
     "reg_token has shape [3, 1, 24], expected [1, 1, 24]"},
    {"vit-timm-registers", "\"cls_token\"", "\"dist_token\"", VITX_UNSUPPORTED,
     "registers and a distillation token"},
    {"dinov2-hf-registers-swiglu", "embeddings.register_tokens\"", "embeddings.register_tokenz\"",
     VITX_FORMAT,
     "config.json says the number of registers is 4, but in"},
    {"clip-hf", "\"visual_projection.weight\"", "\"text_projection.weight\"", VITX_FORMAT,
     "lacks tensor visual_projection.weight"},
    {"siglip-hf", "\"head.attention.in_proj_weight\"", "\"head.attention.in_proj_wight\"",
     VITX_FORMAT,
     "lacks tensor head.attention.in_proj_weight"},
    {"dinov2-timm-registers-swiglu", "\"shape\":[24,32]", "\"shape\":[32,24]", VITX_FORMAT,
     "blocks.0.mlp.fc2.weight has shape [32, 24], expected [24, 64]"},
    {"dinov2-hf", "\"shape\":[7,48]", "\"shape\":[14,24]", VITX_FORMAT,
     "classifier.weight has shape [14, 24], expected [14, 48]"},
    {"vit-timm", "\"blocks.0.attn.qkv.bias\"", "\"blocks.0.attn.qkv.bios\"", VITX_UNSUPPORTED,
     "is not part of family vit in the names of timm"},
    {"vit-timm", "\"blocks.2.norm1.bias\"", "\"blocks.2000.norm1.bias\"", VITX_UNSUPPORTED,
     "at most 1024 blocks"},
    {"vit-timm", "\"blocks.2.norm1.bias\"", "\"blocks.99999999999999999999.norm1.bias\"",
     VITX_FORMAT, "lacks tensor blocks.2.norm1.bias"},
    {"vit-timm", "\"blocks.2.norm1.bias\"", "\"blocks.5.norm1.bias\"", VITX_FORMAT,
     "the depth is 3, but"},
    {"vit-timm", "\"head.weight\":{\"dtype\":\"F32\"", "\"head.weight\":{\"dtype\":\"I32\"",
     VITX_UNSUPPORTED, "tensor head.weight is I32; vitx reads F32, F16 and BF16"},
    {"vit-timm", "{\"blocks",
     "{\"\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[0,0]},\"blocks", VITX_UNSUPPORTED,
     "is not part of family vit"},
    {"vit-hf", "\"vit.encoder.layer.0.attention.attention.key.bias\"",
     "\"vit.encoder.layer.0.attention.attention.kay.bias\"", VITX_FORMAT,
     "lacks tensor vit.encoder.layer.0.attention.attention.key.bias"},
    {"vit-hf", "\"classifier.weight\"", "\"classifier.wight\"", VITX_FORMAT,
     "lacks tensor classifier.weight"},
    {"vit-hf", "\"vit.layernorm.weight\"", "\"vit.layernorn.weight\"", VITX_UNSUPPORTED,
     "in the names of Hugging Face"},
};
/* clang-format on */

START_TEST(test_model__names_the_tensor_that_is_wrong)
{
    char *folder = copy_golden(tensor_edits[_i].model);
    edit_weights(folder, tensor_edits[_i].find, tensor_edits[_i].replace);
    try_open(folder, tensor_edits[_i].code, tensor_edits[_i].part);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* One sentence that says what was found. An extra, empty tensor is enough to be recognised. */
/* clang-format off */
static const struct {
    const char *tensor, *part;
} foreigners[] = {
    {"blocks.0.attn.q_norm.weight", "normalises its queries"},
    {"blocks.0.attn.relative_position_bias_table", "relative position bias"},
    {"blocks.0.attn.rel_pos_h", "relative position bias"},
    {"blocks.0.mlp.fc1_g.weight", "EVA"},
    {"blocks.0.attn.norm.weight", "norm within its attention"},
    {"blocks.0.mlp.norm.weight", "norm within its perceptron"},
    {"blocks.0.attn.lambda_q1", "differential attention"},
    {"blocks.0.attns.0.qkv.weight", "parallel blocks"},
    {"layer.0.attention.q_proj.weight", "DINOv3"},
    {"visual.attnpool.c_proj.weight", "residual network of a CLIP"},
    {"visual.attn_pool.query", "CoCa"},
    {"text_model.final_layer_norm.weight", "text part"},
    {"embeddings.token_embedding.weight", "text part"},
    {"decoder_blocks.0.norm1.weight", "decoder"},
    {"layers.1.downsample.reduction.weight", "in stages, as ResNet and Swin"},
    {"layers.0.blocks.0.attn.q_bias", "in stages, as Swin"}, /* Swin V2 */
    {"patch_embed.backbone.stem.conv.weight", "hybrid of a convolutional"},
    {"patch_embed.conv.0.weight", "several convolutions"}, /* VOLO */
    {"levels.0.pos_embed", "as NesT"},
    {"head.projection.weight", "Hiera"},
    {"head.fc.weight", "as Hiera"},
    {"merger.norm.weight", "Qwen3-VL"},
    {"aligner.fc1.weight", "DeepSeek"},
    {"pos_embed_window", "Hiera"},
    {"blocks.0.attn.proj_l.weight", "CaiT"},
    {"blocks.0.attn.pos_proj.weight", "ConViT"},
    {"rope.freqs", "rotates its queries"},
    {"embeds.proj.weight", "NaFlexViT"},
    {"blocks.0.mlp_tokens.fc1.weight", "MLP-Mixer"},
    {"stages.0.blocks.0.conv_dw.weight", "ConvNeXt"},
    {"convnextv2.embeddings.layernorm.weight", "ConvNeXt"},
    {"lm_head.weight", "language model"},
    {"blocks.0.mlp.w12.weight", "tensor blocks.0.mlp.w12.weight is not part of family vit"},
    {"something.else", "tensor something.else is not part of family vit in the names of timm"},
};
/* clang-format on */

START_TEST(test_model__refuses_what_it_does_not_run)
{
    char *folder = copy_golden("vit-timm"), extra[300];
    snprintf(extra, sizeof extra,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},",
             foreigners[_i].tensor);
    edit_weights(folder, "{", extra);
    try_open(folder, VITX_UNSUPPORTED, foreigners[_i].part);
    ck_assert(strstr(vitx_last_error(), foreigners[_i].tensor) != NULL);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_model__lets_harmless_tensors_be)
{
    const char *extra[][2] = {{"vit-timm", "mask_token"},
                              {"vit-hf", "vit.pooler.dense.weight"},
                              {"deit-hf", "deit.embeddings.mask_token"}};
    for (int i = 0; i < 3; i++) {
        char *folder = copy_golden(extra[i][0]), text[300];
        snprintf(text, sizeof text,
                 "{\"%s\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[0,0]},", extra[i][1]);
        edit_weights(folder, "{", text);
        vitx_model_free(open_ok(folder));
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* timm's CLIP has a projection where a classifier has its head, unless it was fine-tuned. */
START_TEST(test_model__fine_tuned_clip_has_classes)
{
    static const char *const edits[][2] = {
        {"\"tag\": \"metaclip_2pt5b\"", "\"tag\": \"openai_ft_in1k\""},
        {"\"num_features\"", "\"label_names\": [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"], "
                             "\"num_features\""},
    };
    ck_assert(info_of(golden_model("clip-timm")).units);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *folder = copy_golden("clip-timm");
        edit_file(folder, "config.json", edits[i][0], edits[i][1]);
        const vitx_model_info f = info_of(folder);
        ck_assert(!f.units && f.classes == 7);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* A size that is one number is the shortest side's, in CLIP's processor alone. */
START_TEST(test_model__size_of_an_old_clip_processor)
{
    char *folder = copy_golden("clip-hf-bare");
    edit_file(folder, "preprocessor_config.json", "\"size\": {\n    \"shortest_edge\": 20\n  }",
              "\"size\": 22");
    edit_file(folder, "preprocessor_config.json",
              "\"crop_size\": {\n    \"height\": 20,\n    \"width\": 20\n  }", "\"crop_size\": 20");
    const vitx_model_info f = info_of(folder);
    ck_assert_int_eq(f.recipe->resize, VITX_RESIZE_SHORTEST);
    ck_assert_int_eq(f.recipe->resize_height, 22);
    ck_assert_int_eq(f.recipe->input_height, 20);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Older files of CLIP say it twice, and the second counts; what it leaves out has the class's
 * default. */
START_TEST(test_model__vision_config_dict_counts)
{
    char *folder = copy_golden("clip-hf-full");
    edit_file(folder, "config.json", "\"vision_config\": {",
              "\"vision_config_dict\": {\"num_attention_heads\": 4, \"hidden_act\": \"gelu_new\"}, "
              "\"vision_config\": {");
    vitx_model_info f = info_of(folder);
    ck_assert_int_eq(f.heads, 4);
    ck_assert_str_eq(f.activation, "gelu_tanh");
    edit_file(folder, "config.json", "\"vision_config_dict\": {\"num_attention_heads\": 4, ",
              "\"vision_config_dict\": {");
    f = info_of(folder);
    ck_assert_int_eq(f.heads, 12);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Of one architecture's names, the class's default is another. */
START_TEST(test_model__eps_by_model_type)
{
    static const struct {
        const char *type;
        float eps;
    } types[] = {{"vit", 1e-12f}, {"vit_msn", 1e-6f}, {"vit_mae", 1e-12f}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char *folder = copy_golden("vit-hf-bare"), text[64];
        snprintf(text, sizeof text, "\"model_type\": \"%s\"", types[i].type);
        edit_file(folder, "config.json", "\"layer_norm_eps\"", "\"layer_norm_epz\"");
        edit_file(folder, "config.json", "\"model_type\": \"vit\"", text);
        const vitx_model_info f = info_of(folder);
        ck_assert(f.norm_eps == types[i].eps && strcmp(f.pooling, "token") == 0);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* open_clip's pictures are as large as its tower's; one that is a timm model pools as timm_pool
 * says. */
START_TEST(test_model__open_clip_defaults)
{
    char *folder = copy_golden("clip-open-clip-trunk");
    edit_file(folder, "open_clip_config.json", "\"fill_color\": 90",
              "\"fill_color\": [1, 2, 3], \"size\": 24");
    vitx_model_info f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_WITHIN && f.recipe->input_height == 20);
    ck_assert(f.recipe->pad[0] == 1 && f.recipe->pad[1] == 2 && f.recipe->pad[2] == 3);
    ck_assert_str_eq(f.pooling, "token");
    edit_file(folder, "open_clip_config.json", "\"timm_pool\"", "\"timm_pol\"");
    edit_file(folder, "open_clip_config.json", "\"image_size\"", "\"image_sise\"");
    f = info_of(folder);
    ck_assert_str_eq(f.pooling, "avg");
    ck_assert(f.recipe->input_height == 224 && f.pos_height == 5);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* A head that the configuration tells of has to be there. */
START_TEST(test_model__without_a_head_is_an_embedding)
{
    static const char *const edits[][4] = {
        {"vit-timm-bare", "\"num_classes\": 0", "\"num_classes\": 7", "lacks tensor head.weight"},
        {"vit-hf-bare", "ViTModel", "ViTForImageClassification", "lacks tensor classifier.weight"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *folder = copy_golden(edits[i][0]);
        edit_file(folder, "config.json", edits[i][1], edits[i][2]);
        try_open(folder, VITX_FORMAT, edits[i][3]);
        remove_folder(folder);
        free(folder);
    }
    char *folder = copy_golden("vit-hf-bare"), labels[1100];
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    vitx_model *m;
    write_text(folder, "labels.txt", "tench\n");
    snprintf(labels, sizeof labels, "%s", in_folder(folder, "labels.txt"));
    opts.labels = labels;
    ck_fails(vitx_model_open(&m, folder, &opts), VITX_INVALID, "whose outputs are an embedding");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* transformers' wrapper without a head keeps the number of classes. */
START_TEST(test_model__a_wrapper_without_a_head_is_an_embedding)
{
    char *folder = copy_golden("vit-timm-bare");
    edit_file(folder, "config.json", "\"num_classes\": 0",
              "\"architectures\": [\"TimmWrapperModel\"], \"num_classes\": 7");
    const vitx_model_info f = info_of(folder);
    ck_assert(f.units && f.classes == 24);
    edit_file(folder, "config.json", "TimmWrapperModel", "TimmWrapperForImageClassification");
    try_open(folder, VITX_FORMAT, "lacks tensor head.weight");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Headless and unknown files, written from nothing. */
START_TEST(test_model__says_what_a_file_without_a_head_is)
{
    static const struct {
        const char *header;
        int code;
        const char *part;
    } cases[] = {
        {"{}", VITX_FORMAT, "holds no tensor"},
        {"{\"conv1.weight\":" T("F32", "[0]", 0, 0) "}", VITX_UNSUPPORTED,
         "no Vision Transformer that vitx knows"},
        {"{\"embeddings.patch_embeddings.projection.weight\":" T("F32", "[0]", 0, 0) "}",
         VITX_FORMAT, "expected 4 dimensions"},
        {"{\"patch_embed.proj.weight\":" T("F32", "[1,3,1,1]", 0, 12) "}", VITX_FORMAT,
         "lacks tensor blocks.0.norm1.weight"},
        {"{\"patch_embed.proj.weight\":" T(
             "F32", "[1,3,1,1]", 0, 12) ",\"blocks.0.norm1.weight\":" T("F32", "[0]", 12, 12) "}",
         VITX_UNSUPPORTED, "its norms have no bias"},
        {"{\"vit.embeddings.patch_embeddings.projection.weight\":" T("F32", "[1,3,1,1]", 0, 12) "}",
         VITX_FORMAT, "lacks tensor vit.encoder.layer.0.layernorm_before.weight"},
        {"{\"patch_embed.proj.weight\":" T("F32", "[0,3,1,1]", 0, 0) "}", VITX_UNSUPPORTED,
         "a width from 1"},
        {"{\"patch_embed.proj.weight\":" T("F32", "[0,3,1000000,1]", 0, 0) "}", VITX_UNSUPPORTED,
         "from 1"},
        {"{\"backbone.patch_embed.proj.weight\":" T(
             "F32", "[1,3,1,1]", 0,
             12) ",\"backbone.mask_token\":" T("F32", "[0]", 12, 12) ",\"backbone.blocks.0.ls1."
                                                                     "gamma\":" T("F32", "[0]", 12,
                                                                                  12) ",\"linear_"
                                                                                      "head."
                                                                                      "weight\""
                                                                                      ":" T("F32",
                                                                                            "[0,"
                                                                                            "5]",
                                                                                            12,
                                                                                            12) "}",
         VITX_UNSUPPORTED, "the last four blocks"},
        {"{\"deit.embeddings.patch_embeddings.projection.weight\":" T(
             "F32", "[1,3,1,1]", 0, 12) ",\"distillation_classifier.weight\":" T("F32", "[0]", 12,
                                                                                 12) "}",
         VITX_FORMAT, "lacks tensor deit.encoder.layer.0.layernorm_before.weight"},
    };
    char *folder = make_folder(), data[12] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const weights_file w = {(char *)(uintptr_t)cases[i].header, data, strlen(cases[i].header),
                                strstr(cases[i].header, "12]") ? 12 : 0};
        save_weights(in_folder(folder, "x.safetensors"), &w);
        try_open(in_folder(folder, "x.safetensors"), cases[i].code, cases[i].part);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

static void poke(const char *folder, const char *tensor, size_t element, float value)
{
    weights_file w = load_weights(in_folder(folder, "model.safetensors"));
    const char *at = strstr(w.header, tensor);
    ck_assert(at != NULL);
    const char *offsets = strstr(at, "\"data_offsets\":[");
    memcpy(w.data + strtoul(offsets + 16, NULL, 10) + 4 * element, &value, 4);
    save_weights(in_folder(folder, "model.safetensors"), &w);
    free_weights_file(&w);
}

START_TEST(test_model__names_the_value_that_is_not_finite)
{
    static const struct {
        const char *tensor;
        size_t element;
        float value;
    } cases[] = {
        {"blocks.1.mlp.fc1.weight", 17, NAN},
        {"blocks.2.attn.qkv.weight", 72 * 24 - 1, INFINITY},
        {"pos_embed", 0, -INFINITY},
        {"pos_embed", 24, NAN},
        {"cls_token", 23, NAN},
        {"head.bias", 6, NAN},
        {"patch_embed.proj.weight", 4607, NAN},
        {"norm.weight", 3, INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *folder = copy_golden("vit-timm"), part[100];
        poke(folder, cases[i].tensor, cases[i].element, cases[i].value);
        vitx_model *m = open_ok(folder);
        const vx_weights *w = (const vx_weights *)1;
        snprintf(part, sizeof part, "tensor %s holds %s at element %zu", cases[i].tensor,
                 isnan(cases[i].value) ? "a NaN" : "an infinity", cases[i].element);
        ck_fails(pack(&w, m), VITX_FORMAT, part);
        ck_assert(w == NULL);
        ck_fails(pack(&w, m), VITX_FORMAT, part);
        vitx_model_free(m);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* 65,536 tokens of width 32,768, in a file without contents. */
START_TEST(test_model__refuses_more_activations_than_int_counts)
{
    static const struct {
        const char *name, *shape;
        uint64_t count;
    } tensors[] = {
        {"patch_embed.proj.weight", "32768,3,1,1", 98304},
        {"pos_embed", "1,65536,32768", UINT64_C(1) << 31},
        {"blocks.0.norm1.weight", "32768", 32768},
        {"blocks.0.norm1.bias", "32768", 32768},
        {"blocks.0.attn.qkv.weight", "98304,32768", UINT64_C(98304) * 32768},
        {"blocks.0.attn.proj.weight", "32768,32768", UINT64_C(32768) * 32768},
        {"blocks.0.norm2.weight", "32768", 32768},
        {"blocks.0.norm2.bias", "32768", 32768},
        {"blocks.0.mlp.fc1.weight", "1,32768", 32768},
        {"blocks.0.mlp.fc2.weight", "32768,1", 32768},
        {"head.weight", "2,32768", 65536},
        {"head.bias", "2", 2},
    };
    char header[4096], *folder = make_folder();
    uint64_t at = 0, n = 8;
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        const uint64_t end = at + 4 * tensors[i].count;
        n += (uint64_t)snprintf(
            header + n, sizeof header - n,
            "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
            i ? "," : "{", tensors[i].name, tensors[i].shape, (unsigned long long)at,
            (unsigned long long)end);
        at = end;
    }
    header[n++] = '}';
    const uint64_t length = n - 8;
    memcpy(header, &length, 8);
    write_file(in_folder(folder, "model.safetensors"), header, n);
    ck_assert_int_eq(truncate(in_folder(folder, "model.safetensors"), (off_t)(n + at)), 0);
    try_open(folder, VITX_UNSUPPORTED, "65536 tokens of width 32768");
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_model__survives_a_file_that_shrinks)
{
    char *folder = copy_golden("vit-timm");
    const char *path = in_folder(folder, "model.safetensors");
    vitx_model *m = open_ok(folder);
    const vx_weights *w;
    ck_assert_int_eq(truncate(path, 5000), 0);
    ck_fails(pack(&w, m), VITX_IO, "model.safetensors");
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_fails(pack(&w, m), VITX_IO, "model.safetensors");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);

    folder = copy_golden("vit-timm"); /* other values in the same place are no part of this model */
    path = in_folder(folder, "model.safetensors");
    const struct timespec times[2] = {{1, 5}, {1, 5}};
    m = open_ok(folder);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    ck_fails(pack(&w, m), VITX_IO, "model.safetensors: was written to");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);

    folder = copy_golden("vit-timm"); /* one that is deleted stays readable */
    m = open_ok(folder);
    remove_folder(folder);
    ck_ok(pack(&w, m));
    vitx_model_free(m);
    free(folder);
}
END_TEST

START_TEST(test_model__refuses_every_truncation)
{
    char *folder = copy_golden("vit-timm-oblong");
    const char *path = in_folder(folder, "model.safetensors");
    size_t size;
    char *data = read_file(path, &size);
    for (size_t n = 0; n < size; n += n < 4000 ? 97 : 1531) {
        vitx_model *m;
        write_file(path, data, n);
        ck_assert_int_eq(vitx_model_open(&m, folder, NULL), VITX_FORMAT);
    }
    free(data);
    remove_folder(folder);
    free(folder);
}
END_TEST

static void try_mutant(const char *folder)
{
    vitx_model *m = NULL;
    const vx_weights *w = NULL;
    const int status = vitx_model_open(&m, folder, NULL);
    ck_assert(status == VITX_OK || status == VITX_FORMAT || status == VITX_UNSUPPORTED ||
              status == VITX_IO);
    ck_assert((status == VITX_OK) == (m != NULL));
    if (m) {
        const int packed = pack(&w, m);
        ck_assert(packed == VITX_OK || packed == VITX_FORMAT);
        vitx_model_info f = VITX_MODEL_INFO_INIT;
        int index;
        ck_ok(vitx_model_get_info(&f, m));
        ck_assert(f.heads >= 1 && f.tokens >= 1 && f.recipe->std[0] > 0 &&
                  f.recipe->input_height >= 1);
        (void)vitx_model_find_label(&index, m, "tench");
    }
    vitx_model_free(m);
}

/* Each tensor goes by a name that is left alone: refused, or a model that can be packed. */
START_TEST(test_model__survives_each_tensor_that_is_missing)
{
    const char *name = goldens[_i].name;
    char *folder = copy_golden(name), harmless[200];
    const char *path = in_folder(folder, "model.safetensors");
    vitx_model *m = open_ok(golden_model(name));
    const char *const first = m->naming->harmless[0];
    const size_t length = (size_t)snprintf(harmless, sizeof harmless, "\"%s%s",
                                           *first == '*' ? m->dialect->prefix : "",
                                           *first == '*' ? first + 1 : first);
    snprintf(harmless + length, sizeof harmless - length, "%s\"",
             harmless[length - 1] == '.' ? "x" : "");
    for (int i = 0; i < m->container->count && access(path, R_OK) == 0; i++) {
        char find[200];
        weights_file good = load_weights(path), bad = good;
        bad.header = strdup(good.header);
        snprintf(find, sizeof find, "\"%s\"", m->container->tensors[i].name);
        edit_header(&bad, find, harmless);
        save_weights(path, &bad);
        try_mutant(folder);
        save_weights(path, &good);
        free(bad.header);
        free_weights_file(&good);
    }
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Two heads of a projection have no biases, or both. */
START_TEST(test_model__two_heads_have_two_biases)
{
    char *folder = copy_golden("deit-timm-distilled");
    edit_file(folder, "config.json", "deit_tiny_distilled_patch16_224",
              "vit_base_patch16_clip_224");
    ck_assert(info_of(folder).units);
    edit_weights(folder, "\"head.bias\"", "\"mask_token\"");
    try_open(folder, VITX_FORMAT, "lacks tensor head.bias");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* A dimension of 1 may be left out. */
START_TEST(test_model__counts_registers)
{
    static const char *const shapes[] = {"\"shape\":[1,3,24]", "\"shape\":[3,24]"};
    for (int i = 0; i < 2; i++) {
        char *folder = copy_golden("vit-timm-registers");
        edit_weights(folder, shapes[0], shapes[i]);
        ck_assert_int_eq(info_of(folder).registers, 3);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* Digits become other digits, punctuation other punctuation: most mutants get past the parser. */
static void mutate(rng *r, char *text, size_t size, int count)
{
    for (int i = 0; i < count; i++) {
        char *c = &text[rng_int(r, 0, (int)size - 1)];
        if (*c >= '0' && *c <= '9')
            *c = (char)('0' + rng_int(r, 0, 9));
        else if (rng_int(r, 0, 3) == 0)
            *c = "{}[]\",:0-.eE\\ntz \x80"[rng_int(r, 0, 17)];
        else
            *c ^= (char)(1 << rng_int(r, 0, 7));
    }
}

START_TEST(test_model__survives_mutated_files)
{
    const char *names[] = {"vit-timm-oblong", "vit-hf-half"};
    const char *files[] = {"model.safetensors", "config.json", "preprocessor_config.json"};
    rng r = {1234 + (uint64_t)_i};
    char *folder = copy_golden(names[_i]);
    for (int f = 0; f < 3; f++) {
        const char *path = in_folder(folder, files[f]);
        size_t size;
        if (access(path, R_OK) != 0)
            continue;
        char *good = read_file(path, &size), *bad = malloc(size);
        uint64_t header = size;
        if (f == 0)
            memcpy(&header, good, 8);
        for (int i = 0; i < (f ? 250 : 500); i++) { /* of weights 1,000 in both runs together */
            const size_t kept = i % 5 == 4 ? (size_t)rng_int(&r, 0, (int)size) : size;
            memcpy(bad, good, size);
            mutate(&r, bad + (f ? 0 : i % 10 ? 8 : 0), header, rng_int(&r, 1, 4));
            write_file(in_folder(folder, files[f]), bad, kept);
            try_mutant(folder);
        }
        write_file(in_folder(folder, files[f]), good, size);
        free(good);
        free(bad);
    }
    vitx_model_free(open_ok(folder));
    remove_folder(folder);
    free(folder);
}
END_TEST

/* -------------------------------------------------------------------------- config -------- */

/* clang-format off */
static const struct {
    const char *model, *file, *find, *replace;
    int code;
    const char *part;
} config_edits[] = {
    {"vit-timm", "config.json", "{", "[{", VITX_FORMAT, "no valid JSON"},
    {"vit-timm", "config.json", "\"num_heads\": 3", "\"num_heads\": 5", VITX_FORMAT,
     "cannot be shared by 5"},
    {"vit-timm", "config.json", "\"num_heads\": 3", "\"num_heads\": 0", VITX_FORMAT,
     "num_heads is no whole number"},
    {"vit-timm", "config.json", "\"num_heads\": 3", "\"num_heads\": \"3\"", VITX_FORMAT,
     "num_heads"},
    {"vit-timm", "config.json", "\"depth\": 3", "\"depth\": 12", VITX_FORMAT,
     "the depth is 12, but in"},
    {"vit-timm", "config.json", "\"num_classes\": 7", "\"num_classes\": 1000", VITX_FORMAT,
     "number of classes is 1000"},
    {"vit-timm", "config.json", "\"embed_dim\": 24", "\"embed_dim\": 25", VITX_FORMAT,
     "the width is 25"},
    {"vit-timm", "config.json", "\"patch_size\": 8", "\"patch_size\": 16", VITX_FORMAT,
     "patch height is 16"},
    {"vit-timm", "config.json", "\"model_args\": {", "\"model_args\": {\"qk_norm\": true,",
     VITX_UNSUPPORTED, "qk_norm"},
    {"vit-timm-avg", "config.json", "\"model_args\": {",
     "\"model_args\": {\"pool_include_prefix\": true,", VITX_UNSUPPORTED, "pool_include_prefix"},
    {"vit-timm", "config.json", "\"model_args\": {", "\"model_args\": {\"block_fn\": \"x\",",
     VITX_UNSUPPORTED, "block_fn"},
    {"vit-timm", "config.json", "\"model_args\": {",
     "\"model_args\": {\"norm_layer\": \"rmsnorm\",", VITX_UNSUPPORTED, "rmsnorm"},
    {"vit-timm", "config.json", "\"model_args\": {", "\"model_args\": {\"act_layer\": \"silu\",",
     VITX_UNSUPPORTED, "silu"},
    {"vit-timm", "config.json", "\"model_args\": {", "\"model_args\": [{", VITX_FORMAT, "JSON"},
    {"deit-timm", "config.json", "\"global_pool\": \"token\"", "\"global_pool\": \"max\"",
     VITX_UNSUPPORTED, "\"max\" is none of token, avg, map"},
    {"deit-timm", "config.json", "\"pretrained_cfg\": {",
     "\"pretrained_cfg\": {\"global_pool\": \"map\",",
     VITX_FORMAT, "lacks attn_pool.latent"},
    {"vit-timm-map", "config.json", "\"global_pool\": \"map\",\n    \"class",
     "\"global_pool\": \"avg\",\n    \"class", VITX_FORMAT, "holds attn_pool.latent"},
    {"siglip-hf", "config.json", "siglip_vision_model", "siglip2_vision_model", VITX_UNSUPPORTED,
     "model_type siglip2_vision_model, which takes pictures of any shape"},
    {"siglip-hf", "config.json", "\"vision_use_head\": true", "\"vision_use_head\": false",
     VITX_UNSUPPORTED, "vision_use_head is false"},
    {"clip-hf", "config.json", "\"clip_vision_model\"", "\"clipseg\"", VITX_UNSUPPORTED,
     "model_type clipseg"},
    {"vit-hf", "config.json", "\"model_type\": \"vit\"", "\"model_type\": \"yolos\"",
     VITX_UNSUPPORTED, "model_type yolos"},
    {"vit-hf", "preprocessor_config.json", "ViTImageProcessor", "ConvNextImageProcessor",
     VITX_UNSUPPORTED, "prepared by ConvNextImageProcessor"},
    {"siglip-hf", "preprocessor_config.json", "SiglipImageProcessor", "Siglip2ImageProcessor",
     VITX_UNSUPPORTED, "prepared by Siglip2ImageProcessor"},
    {"vit-hf", "preprocessor_config.json", "ViTImageProcessor", "ViT", VITX_UNSUPPORTED,
     "prepared by ViT;"},
    {"clip-hf-class", "processor_config.json", "\"image_processor\": {",
     "\"image_processor\": 1, \"x\": {", VITX_FORMAT, "image_processor is no object"},
    {"clip-hf-class", "processor_config.json", "\"resample\": 3", "\"resample\": 6", VITX_FORMAT,
     "/processor_config.json: resample"},
    {"clip-open-clip", "open_clip_config.json", "\"model_cfg\": {",
     "\"model_cfg\": 5, \"x\": {", VITX_FORMAT, "model_cfg is no object"},
    {"clip-open-clip", "open_clip_config.json", "\"vision_cfg\": {",
     "\"vision_cfg\": [], \"x\": {", VITX_FORMAT, "vision_cfg is no object"},
    {"clip-open-clip", "open_clip_config.json", "\"preprocess_cfg\": {",
     "\"preprocess_cfg\": \"\", \"x\": {", VITX_FORMAT, "preprocess_cfg is no object"},
    {"clip-hf-full", "config.json", "\"vision_config\": {",
     "\"vision_config\": 1, \"x\": {", VITX_FORMAT, "vision_config is no object"},
    {"clip-open-clip", "open_clip_config.json", "\"width\": 24", "\"width\": 48", VITX_FORMAT,
     "open_clip_config.json says the width is 48"},
    {"clip-open-clip", "open_clip_config.json", "\"head_width\": 8", "\"head_width\": 0",
     VITX_FORMAT, "head_width"},
    {"clip-open-clip", "open_clip_config.json", "\"head_width\": 8", "\"head_width\": 48",
     VITX_FORMAT, "heads of 48 do not fit a width of 24"},
    {"clip-open-clip", "open_clip_config.json", "\"embed_dim\": 7", "\"embed_dim\": 8", VITX_FORMAT,
     "the embedding's size is 8"},
    {"clip-open-clip", "open_clip_config.json", "\"quick_gelu\": true", "\"quick_gelu\": 3",
     VITX_FORMAT, "quick_gelu"},
    {"clip-open-clip", "open_clip_config.json", "\"width\": 24",
     "\"global_average_pool\": true, \"width\": 24", VITX_UNSUPPORTED, "global_average_pool"},
    {"clip-open-clip", "open_clip_config.json", "\"width\": 24",
     "\"scale_fc\": true, \"width\": 24",
     VITX_UNSUPPORTED, "vision_cfg.scale_fc"},
    {"clip-open-clip-avg", "open_clip_config.json", "\"squash\"", "\"stretch\"", VITX_UNSUPPORTED,
     "resize_mode \"stretch\""},
    {"clip-open-clip-trunk", "open_clip_config.json", "\"fill_color\": 90", "\"fill_color\": 256",
     VITX_FORMAT, "fill_color"},
    {"clip-open-clip-trunk", "open_clip_config.json", "\"fill_color\": 90", "\"fill_color\": 9.5",
     VITX_FORMAT, "fill_color 9.5 is no whole number"},
    {"clip-open-clip-avg", "open_clip_config.json", "\"pool_type\": \"avg\"",
     "\"pool_type\": \"none\"", VITX_UNSUPPORTED, "pool_type \"none\""},
    {"clip-open-clip-avg", "open_clip_config.json", "\"tanh\"", "\"erf\"", VITX_UNSUPPORTED,
     "approximate"},
    {"clip-open-clip-avg", "open_clip_config.json", "\"std\": [\n      0.5", "\"std\": [\n      0",
     VITX_FORMAT, "std"},
    {"siglip-open-clip", "open_clip_config.json", "\"timm_pool\": \"map\"",
     "\"timm_pool\": \"rot_attn\"", VITX_UNSUPPORTED, "rot_attn"},
    {"vit-timm-no-class-token", "config.json", "\"global_pool\": \"avg\",\n    \"class",
     "\"global_pool\": \"token\",\n    \"class", VITX_FORMAT, "class token is read"},
    {"vit-timm", "config.json", "vit_tiny_patch16_224", "vit_base_patch16_rpn_224",
     VITX_UNSUPPORTED, "rpn"},
    {"vit-timm", "config.json", "vit_tiny_patch16_224", "vit_small_patch16_rope_ape_224",
     VITX_UNSUPPORTED, "rotates its queries"},
    {"vit-timm-q-v-bias", "config.json", "\"num_heads\"",
     "\"use_rot_pos_emb\": true, \"num_heads\"", VITX_UNSUPPORTED, "use_rot_pos_emb"},
    {"vit-timm-q-v-bias", "config.json", "\"num_heads\"",
     "\"use_post_norm\": true, \"num_heads\"", VITX_UNSUPPORTED, "use_post_norm"},
    {"vit-timm-q-v-bias", "config.json", "eva_giant_patch14_224", "eva02_enormous_patch14_clip_224",
     VITX_UNSUPPORTED, "EVA-02"},
    {"vit-timm", "config.json", "vit_tiny_patch16_224", "vit_pe_spatial_tiny_patch16_512",
     VITX_UNSUPPORTED, "Perception Encoder"},
    {"vit-timm", "config.json", "\"crop_mode\": \"center\"", "\"crop_mode\": \"stretch\"",
     VITX_UNSUPPORTED, "stretch"},
    {"dinov2-timm-registers-swiglu", "config.json", "\"num_heads\"",
     "\"act_layer\": \"gelu\", \"num_heads\"", VITX_UNSUPPORTED, "gated perceptron is not silu"},
    {"vit-timm", "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": 0", VITX_FORMAT, "crop_pct"},
    {"vit-timm", "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": -0.9", VITX_FORMAT, "crop_pct"},
    {"vit-timm", "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": 1e308", VITX_FORMAT,
     "crop_pct"},
    {"vit-timm", "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": 100", VITX_FORMAT, "makes 0x0"},
    {"vit-timm", "config.json", "\"interpolation\": \"bicubic\"", "\"interpolation\": \"hamming\"",
     VITX_UNSUPPORTED, "hamming"},
    {"vit-timm", "config.json",
     "\"input_size\": [\n      3,\n      40,\n      40\n    ],\n    \"fixed_input_size\": true",
     "\"input_size\": [\n      3,\n      4,\n      40\n    ],\n    \"fixed_input_size\": false",
      VITX_UNSUPPORTED, "4x40 holds no patch of 8x8"},
    {"vit-timm", "config.json", "\"input_size\": [\n      3,", "\"input_size\": [\n      3,3,",
     VITX_FORMAT, "input_size"},
    {"vit-timm", "config.json", "\"std\": [\n      0.5,", "\"std\": [\n      0,", VITX_FORMAT,
     "std"},
    {"vit-timm", "config.json", "\"std\": [\n      0.5,", "\"std\": [\n      1e300,", VITX_FORMAT,
     "std"},
    {"vit-timm", "config.json", "\"mean\": [\n      0.5,", "\"mean\": [\n      \"a\",", VITX_FORMAT,
     "mean"},
    {"vit-hf", "config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\"",
     VITX_UNSUPPORTED, "hidden_act \"silu\""},
    {"vit-hf", "config.json", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": -1", VITX_FORMAT,
     "layer_norm_eps"},
    {"vit-hf", "config.json", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": \"x\"", VITX_FORMAT,
     "layer_norm_eps"},
    {"vit-hf", "config.json", "\"num_attention_heads\": 3", "\"num_attention_heads\": 7",
     VITX_FORMAT, "7 attention heads"},
    {"vit-hf", "config.json", "\"num_attention_heads\": 3", "\"num_attention_heads\": 100",
     VITX_FORMAT, "100 attention heads"},
    {"vit-hf", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 12", VITX_FORMAT,
     "depth is 12"},
    {"vit-hf", "config.json", "\"intermediate_size\": 40", "\"intermediate_size\": 3072",
     VITX_FORMAT, "hidden width is 3072"},
    {"vit-hf", "config.json", "\"image_size\": 20", "\"image_size\": 3", VITX_FORMAT, "3x3 pixels"},
    {"vit-hf", "preprocessor_config.json", "\"height\": 20,\n    \"width\": 20",
     "\"shortest_edge\": 20", VITX_UNSUPPORTED, "shortest_edge"},
    {"vit-hf", "preprocessor_config.json", "\"height\": 20,", "\"longest_edge\": 20,",
     VITX_UNSUPPORTED, "longest_edge"},
    {"vit-hf", "preprocessor_config.json", "\"resample\": 2", "\"resample\": 5", VITX_UNSUPPORTED,
     "hamming"},
    {"vit-hf", "preprocessor_config.json", "\"resample\": 2", "\"resample\": 6", VITX_FORMAT,
     "resample"},
    {"vit-hf", "preprocessor_config.json", "\"do_resize\": true",
     "\"do_resize\": true, \"do_pad\": true, \"pad_size\": 24", VITX_UNSUPPORTED, "pad_size"},
    {"vit-hf", "preprocessor_config.json", "\"do_resize\": true", "\"do_resize\": \"yes\"",
     VITX_FORMAT, "do_resize"},
    {"vit-hf", "preprocessor_config.json", "\"rescale_factor\": 0", "\"rescale_factor\": -0",
     VITX_FORMAT, "rescale_factor"},
    {"vit-hf", "preprocessor_config.json", "{", "[] {", VITX_FORMAT, "preprocessor_config.json"},
};
/* clang-format on */

START_TEST(test_config__refuses)
{
    char *folder = copy_golden(config_edits[_i].model);
    edit_file(folder, config_edits[_i].file, config_edits[_i].find, config_edits[_i].replace);
    try_open(folder, config_edits[_i].code, config_edits[_i].part);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* An input of another size than the position embeddings' is no contradiction: they are
 * resampled. */
START_TEST(test_config__another_size_is_resampled)
{
    static const struct {
        const char *model, *file, *find, *replace, *how;
        int grid_h, grid_w, pos;
    } rows[] = {
        {"vit-timm", "config.json",
         "\"input_size\": [\n      3,\n      40,\n      40\n    ],\n    \"fixed_input_size\": true",
         "\"input_size\": [\n      3,\n      48,\n      40\n    ],\n    \"fixed_input_size\": "
         "false",
         "timm", 6, 5, 5},
        {"vit-timm", "config.json", "\"img_size\": [\n      40,", "\"img_size\": [\n      80,",
         "timm", 10, 5, 5}, /* it wins over pretrained_cfg.input_size, still 40 */
        {"vit-hf", "config.json", "\"image_size\": 20", "\"image_size\": 224", "hf", 5, 5, 5},
        {"vit-hf", "preprocessor_config.json", "\"height\": 20", "\"height\": 24", "hf", 6, 5, 5},
        {"vit-hf", "preprocessor_config.json",
         "\"size\": {\n    \"height\": 20,\n    \"width\": 20\n  }", "\"sise\": 0", "hf", 56, 56,
         5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vitx_model_info info = VITX_MODEL_INFO_INIT;
        char *folder = copy_golden(rows[i].model);
        edit_file(folder, rows[i].file, rows[i].find, rows[i].replace);
        vitx_model *m = open_ok(folder);
        ck_ok(vitx_model_get_info(&info, m));
        ck_assert(info.grid_height == rows[i].grid_h && info.grid_width == rows[i].grid_w);
        ck_assert(info.pos_height == rows[i].pos && info.pos_width == rows[i].pos);
        ck_assert_str_eq(info.pos_resample, rows[i].how);
        ck_assert_int_eq(info.tokens, info.prefix_tokens + rows[i].grid_h * rows[i].grid_w);
        vitx_model_free(m);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

START_TEST(test_config__takes_the_class_defaults_for_what_is_missing)
{
    char *folder = copy_golden("vit-hf");
    edit_file(folder, "config.json", "\"layer_norm_eps\"", "\"layer_norm_epz\"");
    edit_file(folder, "config.json", "\"hidden_act\"", "\"hidden_uct\"");
    edit_file(folder, "config.json", "\"num_attention_heads\"", "\"num_attention_hats\"");
    edit_file(folder, "preprocessor_config.json", "\"resample\"", "\"resumple\"");
    edit_file(folder, "preprocessor_config.json", "\"image_mean\"", "\"image_moan\"");
    vitx_model_info f = info_of(folder);
    ck_assert(f.norm_eps == 1e-12f && f.from_eps == VITX_FROM_DEFAULT);
    ck_assert(strcmp(f.activation, "gelu") == 0 && f.from_activation == VITX_FROM_DEFAULT);
    ck_assert(f.heads == 12 && f.from_heads == VITX_FROM_DEFAULT);
    ck_assert(f.recipe->filter == VITX_BILINEAR && f.recipe->from_filter == VITX_FROM_DEFAULT);
    ck_assert(f.recipe->mean[2] == 0.5f && f.recipe->from_mean == VITX_FROM_DEFAULT);
    ck_assert(f.recipe->from_std == VITX_FROM_PREPROCESSOR);

    unlink(in_folder(folder, "preprocessor_config.json")); /* the model's own size, then */
    f = info_of(folder);
    ck_assert(f.recipe->input_height == 20 && f.recipe->from_input == VITX_FROM_CONFIG);
    ck_assert(f.recipe->resize == VITX_RESIZE_EXACT && f.recipe->resize_height == 20);
    remove_folder(folder);
    free(folder);
    folder = copy_golden("deit-hf");
    unlink(in_folder(folder, "preprocessor_config.json"));
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_EXACT &&
              f.recipe->resize_height == 22); /* 20 * 256 / 224 */
    ck_assert(f.recipe->filter == VITX_BICUBIC && f.recipe->input_height == 20);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* DINOv2: eps 1e-6 by class; a size that is a number means the shortest edge; what its processor,
 * BiT's, takes for granted, or, without a file, what the checkpoints do. */
START_TEST(test_config__takes_the_defaults_of_dinov2)
{
    char *folder = copy_golden("dinov2-hf");
    edit_file(folder, "config.json", "\"layer_norm_eps\"", "\"layer_norm_epz\"");
    write_text(
        folder, "preprocessor_config.json",
        "{\"image_processor_type\": \"BitImageProcessor\", \"size\": 23, \"crop_size\": 20}");
    vitx_model_info f = info_of(folder);
    ck_assert(f.norm_eps == 1e-6f && f.from_eps == VITX_FROM_DEFAULT);
    ck_assert(f.recipe->resize == VITX_RESIZE_SHORTEST && f.recipe->resize_height == 23);
    ck_assert(f.recipe->input_height == 20 && f.recipe->filter == VITX_BICUBIC);
    ck_assert(f.recipe->mean[0] == 0.48145466f && f.recipe->std[2] == 0.27577711f);
    write_text(folder, "preprocessor_config.json", "{\"size\": 23, \"crop_size\": 20}");
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_SHORTEST && f.recipe->mean[0] == 0.48145466f);
    write_text(folder, "preprocessor_config.json",
               "{\"size\": {\"height\": 21, \"width\": 25}, \"crop_size\": 20}");
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_EXACT && f.recipe->resize_width == 25);
    unlink(in_folder(folder, "preprocessor_config.json"));
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_SHORTEST && f.recipe->resize_height == 22);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What timm's names of architectures imply; the weights' width of 24 is anybody's, and told as
 * such. */
#define OWN "\"model_args\": {\"embed_dim\": 24}"
START_TEST(test_config__names_of_architectures_imply)
{
    static const struct {
        const char *config;
        int heads;
        float eps;
    } cases[] = {
        {"{\"architecture\": \"vit_tiny_patch16_224\", " OWN "}", 3, 1e-6f},
        {"{\"architecture\": \"vit_base_patch16_224\", " OWN "}", 12, 1e-6f},
        {"{\"architecture\": \"vit_giant_patch14_dinov2\", " OWN "}", 24, 1e-6f},
        {"{\"architecture\": \"vit_giant_patch14_reg4_dinov2\", " OWN "}", 24, 1e-6f},
        {"{\"architecture\": \"vit_giant_patch14_reg1_tipsv2\", " OWN "}", 24, 1e-6f},
        {"{\"architecture\": \"vit_giant_patch16_radio_v3\", " OWN "}", 24, 1e-6f},
        {"{\"architecture\": \"vit_base_patch16_clip_224\", " OWN "}", 12, 1e-5f},
        {"{\"architecture\": \"eva_giant_patch14_clip_224\", \"model_args\": {\"num_heads\": 3}}",
         3, 1e-6f},
        {"{\"architecture\": \"vit_base_patch16_clip_224\", \"model_args\": {\"embed_dim\": 24, "
         "\"norm_layer\": \"layernorm\"}}",
         12, 1e-6f},
    };
    char *folder = copy_golden("vit-timm");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(folder, "config.json", cases[i].config);
        const vitx_model_info f = info_of(folder);
        ck_assert_int_eq(f.heads, cases[i].heads);
        ck_assert(f.norm_eps == cases[i].eps);
        /* PretrainedCfg's, not the architecture's */
        ck_assert(f.recipe->mean[0] == 0.485f && f.recipe->resize_height == 45);
        ck_assert(f.recipe->from_mean == VITX_FROM_DEFAULT);
    }
    write_text(folder, "config.json",
               "{\"architecture\": \"vit_base_patch16_224\", " OWN ", \"global_pool\": \"token\", "
               "\"pretrained_cfg\": {\"global_pool\": \"avg\"}}");
    ck_assert_str_eq(info_of(folder).pooling, "avg");
    /* the root's is written for people alone */
    write_text(folder, "config.json",
               "{\"architecture\": \"vit_base_patch16_224\", " OWN ", \"global_pool\": \"avg\", "
               "\"pretrained_cfg\": {}}");
    ck_assert_str_eq(info_of(folder).pooling, "token");
    write_text(folder, "config.json",
               "{\"architecture\": \"vit_base_patch16_224\", " OWN ", \"global_pool\": \"avgmax\", "
               "\"pretrained_cfg\": {}}");
    try_open(folder, VITX_UNSUPPORTED, "avgmax");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What timm 1.0.31 does: img_size wins, unless the model takes any size. */
START_TEST(test_config__img_size_of_a_fixed_model_is_its_input)
{
    char *folder = copy_golden("vit-timm");
    edit_file(folder, "config.json", "\"input_size\": [\n      3,\n      40,\n      40",
              "\"input_size\": [\n      3,\n      48,\n      56");
    vitx_model_info f = info_of(folder);
    ck_assert_int_eq(f.recipe->input_height, 40);
    ck_assert_int_eq(f.recipe->input_width, 40);
    edit_file(folder, "config.json", "\"num_heads\"", "\"dynamic_img_size\": true, \"num_heads\"");
    f = info_of(folder);
    ck_assert_int_eq(f.recipe->input_height, 48);
    ck_assert_int_eq(f.recipe->input_width, 56);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* The nested one counts, where there is one (transformers' image_processing_base.py). */
START_TEST(test_config__reads_processor_config)
{
    char *folder = copy_golden("clip-hf-class");
    vitx_model_info f = info_of(folder);
    const vitx_recipe *r = f.recipe;
    ck_assert_str_eq(f.pooling, "avg");
    ck_assert(r->mean[0] == 0.48145466f && r->from_mean == VITX_FROM_PROCESSOR);
    ck_assert(r->from_input == VITX_FROM_PROCESSOR && r->from_resize == VITX_FROM_PROCESSOR &&
              r->from_filter == VITX_FROM_PROCESSOR && r->from_crop == VITX_FROM_PROCESSOR &&
              r->from_scale == VITX_FROM_PROCESSOR && r->from_std == VITX_FROM_PROCESSOR);
    unlink(in_folder(folder, "preprocessor_config.json"));
    f = info_of(folder);
    ck_assert(f.recipe->from_mean == VITX_FROM_PROCESSOR);
    write_text(folder, "processor_config.json", "{\"processor_class\": \"CLIPProcessor\"}");
    f = info_of(folder); /* then there is none */
    ck_assert(f.recipe->from_mean == VITX_FROM_DEFAULT && f.recipe->input_height == 20);
    write_text(
        folder, "preprocessor_config.json",
        "{\"image_processor_type\": \"CLIPImageProcessorFast\", \"crop_size\": 20, \"size\": "
        "[22, 24]}");
    f = info_of(folder);
    ck_assert(f.recipe->from_input == VITX_FROM_PREPROCESSOR);
    ck_assert(f.recipe->resize == VITX_RESIZE_EXACT && f.recipe->resize_width == 24);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_config__reads_what_hubs_hold)
{
    char *folder = copy_golden("vit-hf");
    /* as facebook/deit-tiny-patch16-224: a ViT with DeiT's feature extractor, sizes as numbers */
    write_text(
        folder, "preprocessor_config.json",
        "{\"crop_size\": 20, \"do_center_crop\": true, \"do_normalize\": true, \"do_resize\": true,"
        "\"feature_extractor_type\": \"DeiTFeatureExtractor\", \"image_mean\": [0.485, 0.456, "
        "0.406],"
        "\"image_std\": [0.229, 0.224, 0.225], \"size\": 23}");
    vitx_model_info f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_EXACT && f.recipe->resize_height == 23 &&
              f.recipe->resize_width == 23);
    ck_assert(f.recipe->input_height == 20 && f.recipe->filter == VITX_BICUBIC &&
              f.recipe->mean[0] == 0.485f);
    ck_assert(f.recipe->crop_round == 0);
    /* a size that is one number, as default_to_square says */
    write_text(folder, "preprocessor_config.json",
               "{\"size\": 23, \"do_center_crop\": true, \"crop_size\": 20, \"default_to_square\": "
               "false}");
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_SHORTEST && f.recipe->resize_height == 23);
    /* nothing done to the picture but the crop, the range -1..1 */
    write_text(
        folder, "preprocessor_config.json",
        "{\"crop_size\": {\"height\": 20, \"width\": 20}, \"do_center_crop\": true, \"do_resize\": "
        "false,"
        "\"do_normalize\": false, \"rescale_factor\": 0.5, \"size\": {\"shortest_edge\": 9}}");
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_NONE && f.recipe->scale == 0.5f);
    ck_assert_int_eq(f.recipe->no_crop, 0);
    ck_assert(f.recipe->mean[0] == 0 && f.recipe->std[0] == 1 &&
              f.recipe->from_mean == VITX_FROM_PREPROCESSOR);
    write_text(folder, "preprocessor_config.json",
               "{\"do_resize\": false, \"do_rescale\": false, \"size\": null}");
    f = info_of(folder);
    ck_assert(f.recipe->resize == VITX_RESIZE_NONE && f.recipe->input_height == 20 &&
              f.recipe->scale == 1);
    ck_assert_int_ne(f.recipe->no_crop, 0);
    write_text(folder, "preprocessor_config.json", "{\"do_resize\": true, \"size\": 20}");
    ck_assert_int_eq(info_of(folder).recipe->no_crop, 0);
    remove_folder(folder);
    free(folder);

    folder =
        copy_golden("deit-timm"); /* an old timm file: pretrained_cfg flattened, heads by name */
    write_text(folder, "config.json",
               "\xef\xbb\xbf{\"architecture\": \"deit_tiny_patch16_224\", \"num_classes\": 7, "
               "\"input_size\": [3, 20, 20],"
               "\"interpolation\": \"bilinear\", \"crop_pct\": 1.0, \"mean\": [0.1, 0.2, 0.3], "
               "\"std\": 0.25,"
               "\"test_input_size\": [3, 288, 288], \"global_pool\": null, " OWN "}");
    f = info_of(folder);
    ck_assert(f.heads == 3 && f.recipe->filter == VITX_BILINEAR && f.recipe->resize_height == 20);
    ck_assert(f.recipe->mean[1] == 0.2f && f.recipe->std[2] == 0.25f &&
              strcmp(f.family, "deit") == 0);
    write_text(folder, "config.json", "{\"architecture\": \"deit3_small_patch16_224\", " OWN "}");
    f = info_of(folder);
    ck_assert(f.heads == 6 && strcmp(f.family, "deit") == 0 && f.recipe->mean[0] == 0.485f);
    ck_assert(f.recipe->from_mean == VITX_FROM_DEFAULT && f.recipe->resize_height == 22);
    write_text(folder, "config.json", "{\"architecture\": \"my_vit\"}");
    try_open(folder, VITX_UNSUPPORTED, "\"num_heads\": N");
    unlink(in_folder(folder, "config.json"));
    try_open(folder, VITX_UNSUPPORTED, "how many attention heads share the width of 24");
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_model__says_what_a_path_lacks)
{
    char *folder = make_folder();
    vitx_model *m;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    try_open(folder, VITX_IO, "neither model.safetensors nor");
    write_text(folder, "pytorch_model.bin", "x");
    try_open(folder, VITX_IO, "pytorch_model.bin is a Python program");
    try_open(in_folder(folder, "nothing"), VITX_IO, "nothing");
    try_open(in_folder(folder, "pytorch_model.bin"), VITX_FORMAT, "too short");
    ck_fails(vitx_model_open(&m, NULL, NULL), VITX_INVALID, "path is NULL");
    ck_fails(vitx_model_open(NULL, folder, NULL), VITX_INVALID, "out is NULL");
    opts.struct_size = 3;
    ck_fails(vitx_model_open(&m, folder, &opts), VITX_INVALID, "struct_size");
    remove_folder(folder);
    free(folder);
    m = open_ok(golden_model("vit-timm/model.safetensors"));
    vitx_model_info info = {0};
    ck_fails(vitx_model_get_info(&info, m), VITX_INVALID, "struct_size");
    ck_fails(vitx_model_get_info(NULL, m), VITX_INVALID, "NULL");
    vitx_model_free(m);
    vitx_model_free(NULL);
    ck_assert_str_eq(vitx_source_name(VITX_FROM_PREPROCESSOR), "preprocessor_config.json");
    ck_assert_str_eq(vitx_source_name(VITX_FROM_PROCESSOR), "processor_config.json");
    ck_assert_str_eq(vitx_filter_name(VITX_LANCZOS), "lanczos");
}
END_TEST

/* -------------------------------------------------------------------------- labels -------- */

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

/* -------------------------------------------------------------------------- memory -------- */

typedef struct failing {
    int left;  /* allocations until one fails; negative: none does */
    int alive; /* given out and not returned */
} failing;

static void *failing_alloc(size_t bytes, void *payload)
{
    failing *f = payload;
    if (f->left == 0)
        return NULL;
    f->left--;
    f->alive++;
    return malloc(bytes);
}

static void failing_release(void *memory, void *payload)
{
    ((failing *)payload)->alive--;
    free(memory);
}

/* What a shell command prints first. */
static void first_word(char out[80], const char *command)
{
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%79s", out), 1);
    pclose(f);
}

START_TEST(test_model__digest_is_that_of_sha256sum)
{
    static const char *const rows[][2] = {
        {"vit-timm", "cd test/golden/models/vit-timm && sha256sum model.safetensors"},
        {"vit-npz", "cd test/golden/models/vit-npz && sha256sum weights.npz"},
        {"vit-hf-sharded",
         "cd test/golden/models/vit-hf-sharded && sha256sum model-*.safetensors | sha256sum"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[100], digest[VITX_DIGEST_TEXT], again[VITX_DIGEST_TEXT], want[80];
        vitx_model *m;
        snprintf(path, sizeof path, "test/golden/models/%s", rows[i][0]);
        ck_ok(vitx_model_open(&m, path, NULL));
        ck_ok(vitx_model_digest(digest, m));
        ck_ok(vitx_model_digest(again, m));
        first_word(want, rows[i][1]);
        ck_assert_str_eq(digest, want);
        ck_assert_str_eq(again, want);
        ck_assert_int_eq(vitx_model_digest(NULL, m), VITX_INVALID);
        ck_assert_int_eq(vitx_model_digest(digest, NULL), VITX_INVALID);
        vitx_model_free(m);
    }
}
END_TEST

/* Files that change, or have gone away from under the name. */
START_TEST(test_model__digest_of_a_file_that_changes)
{
    char *folder = make_folder(), path[200], command[400], digest[VITX_DIGEST_TEXT];
    vitx_model *m;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(command, sizeof command, "cp test/golden/models/vit-timm/* %s", folder);
    ck_assert_int_eq(system(command), 0);
    ck_ok(vitx_model_open(&m, folder, NULL));
    ck_assert_int_eq(truncate(path, 1000), 0);
    ck_fails(vitx_model_digest(digest, m), VITX_IO, "model.safetensors");
    ck_fails(vitx_model_digest(digest, m), VITX_IO, "model.safetensors");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_model__survives_each_allocation_that_fails)
{
    static const char *const names[] = {"vit-timm", "deit-hf-teacher", "vit-hf-sharded"};
    failing f = {0};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    hooks.alloc = failing_alloc;
    hooks.release = failing_release;
    hooks.payload = &f;
    opts.hooks = &hooks;
    char *folder = copy_golden("vit-timm"), path[300];
    snprintf(path, sizeof path, "%s/labels.zh.txt", folder);
    write_text(folder, "labels.zh.txt", "a\nb\nc\nd\ne\nf\ng");
    for (int k = 0; k < 5; k++) {
        opts.labels = k == 3 ? path : NULL;
        opts.language = k == 4 ? "zh" : NULL;
        int n = 0;
        for (bool done = false; !done; n++) {
            vitx_model *m = NULL;
            const vx_weights *w = NULL;
            f = (failing){.left = n};
            int status = vitx_model_open(&m, k == 4 ? folder : golden_model(names[k % 3]), &opts);
            if (status == VITX_OK)
                status = pack(&w, m);
            ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "allocation %d: %s", n,
                          vitx_last_error());
            done = status == VITX_OK;
            vitx_model_free(m);
            ck_assert_msg(f.alive == 0, "allocation %d: %d not returned", n, f.alive);
        }
        ck_assert_int_gt(n, 15);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

static Suite *suite(void)
{
#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))
    Suite *s = suite_create("model");
    TCase *t = tcase_create("goldens");
    tcase_add_loop_test(t, test_model__tells_what_a_golden_model_is, 0, GOLDENS);
    tcase_add_test(t, test_model__packs_every_tensor_where_it_belongs);
    tcase_add_test(t, test_model__packs_once_for_a_device);
    tcase_add_test(t, test_model__two_threads_pack_once);
    tcase_add_test(t, test_model__real_deit_tiny);
    suite_add_tcase(s, t);
    t = tcase_create("safetensors");
    tcase_add_loop_test(t, test_safetensors__keeps_to_the_format, 0, COUNT(file_cases));
    tcase_add_test(t, test_safetensors__refuses_lengths_that_lie);
    tcase_add_test(t, test_safetensors__bounds_the_values_of_a_header);
    tcase_add_test(t, test_safetensors__reads_halfs_exactly);
    tcase_add_test(t, test_safetensors__checks_shards_against_their_index);
    suite_add_tcase(s, t);
    t = tcase_create("tensors");
    tcase_add_loop_test(t, test_model__names_the_tensor_that_is_wrong, 0, COUNT(tensor_edits));
    tcase_add_loop_test(t, test_model__refuses_what_it_does_not_run, 0, COUNT(foreigners));
    tcase_add_test(t, test_model__lets_harmless_tensors_be);
    tcase_add_test(t, test_model__fine_tuned_clip_has_classes);
    tcase_add_test(t, test_model__size_of_an_old_clip_processor);
    tcase_add_test(t, test_model__vision_config_dict_counts);
    tcase_add_test(t, test_model__eps_by_model_type);
    tcase_add_test(t, test_model__open_clip_defaults);
    tcase_add_test(t, test_model__without_a_head_is_an_embedding);
    tcase_add_test(t, test_model__a_wrapper_without_a_head_is_an_embedding);
    tcase_add_test(t, test_model__says_what_a_file_without_a_head_is);
    tcase_add_test(t, test_model__names_the_value_that_is_not_finite);
    tcase_add_test(t, test_model__survives_a_file_that_shrinks);
    tcase_add_test(t, test_model__refuses_more_activations_than_int_counts);
    tcase_add_test(t, test_model__refuses_every_truncation);
    tcase_add_loop_test(t, test_model__survives_each_tensor_that_is_missing, 0, GOLDENS);
    tcase_add_test(t, test_model__two_heads_have_two_biases);
    tcase_add_test(t, test_model__counts_registers);
    tcase_add_loop_test(t, test_model__survives_mutated_files, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("config");
    tcase_add_loop_test(t, test_config__refuses, 0, COUNT(config_edits));
    tcase_add_test(t, test_config__another_size_is_resampled);
    tcase_add_test(t, test_config__takes_the_class_defaults_for_what_is_missing);
    tcase_add_test(t, test_config__takes_the_defaults_of_dinov2);
    tcase_add_test(t, test_config__names_of_architectures_imply);
    tcase_add_test(t, test_config__img_size_of_a_fixed_model_is_its_input);
    tcase_add_test(t, test_config__reads_what_hubs_hold);
    tcase_add_test(t, test_config__reads_processor_config);
    tcase_add_test(t, test_model__says_what_a_path_lacks);
    suite_add_tcase(s, t);
    t = tcase_create("labels");
    tcase_add_loop_test(t, test_labels__reads_what_people_have, 0, COUNT(label_files));
    tcase_add_test(t, test_labels__reads_the_shared_ones);
    tcase_add_test(t, test_labels__leaves_out_what_does_not_fit_the_config);
    tcase_add_test(t, test_labels__of_a_language);
    tcase_add_test(t, test_labels__finds_a_class);
    suite_add_tcase(s, t);
    t = tcase_create("digest");
    tcase_add_test(t, test_model__digest_is_that_of_sha256sum);
    tcase_add_test(t, test_model__digest_of_a_file_that_changes);
    suite_add_tcase(s, t);
    t = tcase_create("memory");
    tcase_add_test(t, test_model__survives_each_allocation_that_fails);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
