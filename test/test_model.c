/*
 * test_model.c: models, good and hostile: tensors, values, files that change, memory that ends.
 *
 * VX_TEST_THREADS: two threads pack one model's weights at once.
 */
#define _XOPEN_SOURCE 700 /* realpath, symlink, truncate, popen, utimensat, pthread */
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
#include "model_files.h"
#include "util.h"

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
    {"vit-timm", "\"head.bias\"", "\"heat.bias\"", VITX_UNSUPPORTED,
     "tensor heat.bias is not part of family vit in the names of timm (shape [7])"},
    {"vit-timm", "\"pos_embed\"", "\"pos_embet\"", VITX_UNSUPPORTED,
     "queries and keys are rotated instead, as in a DINOv3"},
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
    {"vit-timm-diff", "\"blocks.0.attn.lambda_k2\"", "\"blocks.0.attn.lambda_k3\"", VITX_FORMAT,
     "lacks tensor blocks.0.attn.lambda_k2"},
    {"vit-timm-diff", "\"blocks.0.attn.sub_norm.weight\"", "\"blocks.0.attn.sub_nurm.weight\"",
     VITX_FORMAT, "lacks tensor blocks.0.attn.norm.weight"},
    {"vit-timm-diff-parallel", "\"blocks.0.out_proj.weight\"", "\"blocks.0.out_prom.weight\"",
     VITX_FORMAT, "lacks tensor blocks.0.mlp.fc2.weight"},
    {"vit-timm-twins", "\"blocks.1.attns.1.attn.qkv.weight\"",
     "\"blocks.1.attns.1.attn.qkw.weight\"", VITX_FORMAT,
     "lacks tensor blocks.1.attns.1.attn.qkv.weight"},
    {"vit-timm-twins", "\"blocks.0.ffns.1.norm.bias\"", "\"blocks.0.ffns.1.nurm.bias\"",
     VITX_FORMAT, "lacks tensor blocks.0.ffns.1.norm.bias"},
    {"sapiens2-timm", "\"shape\":[16,32]", "\"shape\":[32,16]", VITX_FORMAT,
     "has shape [32, 16], expected [32, 32]"},
    {"pe-timm-core", "\"attn_pool.mlp.fc1.weight\"", "\"attn_pool.mlp.fc3.weight\"", VITX_FORMAT,
     "lacks tensor attn_pool.mlp.fc1.weight"},
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
     VITX_UNSUPPORTED, "head.weight is I32, perhaps quantized; vitx reads F64, F32, F16 and BF16"},
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
    {"blocks.0.attn.rel_pos_h", "SAM"},
    {"blocks.0.attns.2.norm.weight", "tensor blocks.0.attns.2.norm.weight is not part"},
    {"radio_model.model.patch_generator.embedder.weight", "a C-RADIO in Hugging Face's names"},
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
    {"head.fc.weight", "tensor head.fc.weight is not part of family vit"},
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

START_TEST(test_model__an_embedding_has_no_names_of_classes)
{
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
    write_text(folder, "config.json", "{\"model_args\": {\"num_heads\": 8}}");
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
    Suite *s = suite_create("model");
    TCase *t = tcase_create("goldens");
    tcase_add_loop_test(t, test_model__tells_what_a_golden_model_is, 0, GOLDENS);
    tcase_add_test(t, test_model__packs_every_tensor_where_it_belongs);
    tcase_add_test(t, test_model__real_deit_tiny);
    suite_add_tcase(s, t);
    t = tcase_create("threads");
    tcase_add_test(t, test_model__packs_once_for_a_device);
    tcase_add_test(t, test_model__two_threads_pack_once);
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
    tcase_add_test(t, test_model__an_embedding_has_no_names_of_classes);
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
