/* test_config.c: configurations of models and processors, good and hostile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "model_files.h"
#include "util.h"

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
     VITX_FORMAT, "lacks tensor blocks.0.attn.q_norm.weight"},
    {"vit-timm", "config.json", "\"model_args\": {", "\"model_args\": {\"block_fn\": \"x\",",
     VITX_UNSUPPORTED, "block_fn"},
    {"vit-timm", "config.json", "\"model_args\": {",
     "\"model_args\": {\"norm_layer\": \"rmsnorm\",", VITX_FORMAT, "have a bias"},
    {"vit-timm-rms", "config.json", "\"norm_layer\": \"rmsnorm\"", "\"norm_layer\": null",
     VITX_UNSUPPORTED, "its norms have no bias"},
    {"vit-timm", "config.json", "\"model_args\": {",
     "\"model_args\": {\"norm_layer\": \"batchnorm\",", VITX_UNSUPPORTED, "batchnorm"},
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
    {"siglip-hf", "config.json", "siglip_vision_model", "siglip2_vision_model", VITX_FORMAT,
     "model_type siglip2_vision_model does not go with tensor"},
    {"siglip-hf", "config.json", "\"vision_use_head\": true", "\"vision_use_head\": false",
     VITX_UNSUPPORTED, "vision_use_head is false"},
    {"clip-hf", "config.json", "\"clip_vision_model\"", "\"clipseg\"", VITX_UNSUPPORTED,
     "model_type clipseg"},
    {"vit-hf", "config.json", "\"model_type\": \"vit\"", "\"model_type\": \"yolos\"",
     VITX_UNSUPPORTED, "model_type yolos"},
    {"vit-hf", "preprocessor_config.json", "ViTImageProcessor", "ConvNextImageProcessor",
     VITX_UNSUPPORTED, "prepared by ConvNextImageProcessor"},
    {"siglip-hf", "preprocessor_config.json", "SiglipImageProcessor", "Siglip2ImageProcessor",
     VITX_UNSUPPORTED, "prepared by Siglip2ImageProcessor, which does not fit the weights"},
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
    {"vit-timm", "config.json", "vit_tiny_patch16_224", "vit_small_patch16_rope_mixed_ape_224",
     VITX_FORMAT, "lacks tensor rope.freqs"},
    {"pe-timm-core", "config.json", "vit_pe_core_base_patch16_224", "vit_mine", VITX_UNSUPPORTED,
     "is a Perception Encoder by its tensors (norm_pre.weight, and attn_pool.latent)"},
    {"pe-timm-spatial", "config.json", "vit_pe_spatial_tiny_patch16_512", "vit_mine",
     VITX_UNSUPPORTED, "(norm_pre.weight, and no norm behind the blocks)"},
    {"pe-timm-core", "config.json", "\"num_heads\": 3",
     "\"attn_pool_num_heads\": 5, \"num_heads\": 3", VITX_FORMAT,
     "pooling head has 5 attention heads, which cannot share the width of 24"},
    {"sapiens2-timm", "config.json", "\"num_heads\": 4", "\"num_heads\": 1", VITX_FORMAT,
     "k_proj.weight has 16 rows, which make no number of heads of 32 that divides 1"},
    {"vit-timm-diff", "config.json", "\"num_heads\": 3", "\"num_heads\": 6", VITX_FORMAT,
     "the number of attention heads is 6, but"},
    {"sapiens2-hf", "config.json", "\"silu\"", "\"gelu\"", VITX_UNSUPPORTED,
     "hidden_act \"gelu\" of a gate is not silu"},
    {"sapiens2-hf", "config.json", "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": -1", VITX_FORMAT,
     "rms_norm_eps"},
    {"tips-hf", "config.json", "\"tipsv2_vision_model\"", "\"tipsv2_dpt\"", VITX_UNSUPPORTED,
     "model_type tipsv2_dpt is not supported"},
    {"dinov3-hf-gated", "config.json", "\"silu\"", "\"gelu\"", VITX_UNSUPPORTED,
     "hidden_act \"gelu\" of a gate is not silu"},
    {"dinov3-hf-gated", "config.json", "\"use_gated_mlp\": true", "\"use_gated_mlp\": false",
     VITX_UNSUPPORTED, "\"silu\""},
    {"dinov3-hf", "config.json", "\"use_gated_mlp\": false", "\"use_gated_mlp\": true",
     VITX_UNSUPPORTED, "of a gate is not silu"},
    {"dinov3-hf", "config.json", "\"dinov3_vit\"", "\"dinov2\"", VITX_FORMAT,
     "model_type is dinov2, but the tensors are a DINOv3's"},
    {"dinov3-timm", "config.json", "\"num_heads\": 3", "\"num_heads\": 4", VITX_FORMAT,
     "have a width of 6, no multiple of 4"},
    {"dinov3-timm", "config.json", "\"num_heads\"",
     "\"rope_type\": \"mrope\", \"num_heads\"", VITX_UNSUPPORTED, "rope_type \"mrope\""},
    {"dinov3-timm", "config.json", "\"num_heads\"",
     "\"rope_grid_indexing\": \"ji\", \"num_heads\"", VITX_UNSUPPORTED, "neither ij nor xy"},
    {"dinov3-timm", "config.json", "\"num_heads\"",
     "\"ref_feat_shape\": [4, 5], \"num_heads\"", VITX_UNSUPPORTED, "4 x 5 is no square"},
    {"dinov3-timm", "config.json", "vit_small_patch16_dinov3_qkvb", "vit_small_patch16_224",
     VITX_UNSUPPORTED, "no configuration says that queries and keys are rotated"},
    {"vit-timm-q-v-bias", "config.json", "\"num_heads\"",
     "\"use_post_norm\": true, \"num_heads\"", VITX_UNSUPPORTED, "use_post_norm"},
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
    /* a head that the configuration tells of has to be there */
    {"vit-timm-bare", "config.json", "\"num_classes\": 0", "\"num_classes\": 7", VITX_FORMAT,
     "lacks tensor head.weight"},
    {"vit-timm-bare", "config.json", "\"num_classes\": 0",
     "\"architectures\": [\"TimmWrapperForImageClassification\"], \"num_classes\": 7",
     VITX_FORMAT, "lacks tensor head.weight"},
    {"vit-hf-bare", "config.json", "ViTModel", "ViTForImageClassification", VITX_FORMAT,
     "lacks tensor classifier.weight"},
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

/* One weight file of any name is the model; of several none is taken. */
START_TEST(test_model__takes_the_only_weight_file_of_a_folder)
{
    char *folder = copy_golden("vit-timm"), from[300], to[300];
    snprintf(from, sizeof from, "%s", in_folder(folder, "model.safetensors"));
    snprintf(to, sizeof to, "%s", in_folder(folder, "my best run.safetensors"));
    ck_assert_int_eq(rename(from, to), 0);
    ck_assert_int_eq(info_of(folder).depth, 3);
    write_text(folder, "optimizer.safetensors", "what training keeps");
    ck_assert_int_eq(info_of(folder).depth, 3);
    write_text(folder, "other.safetensors", "x");
    try_open(folder, VITX_IO, "holds 2 weight files");
    try_open(folder, VITX_IO, "my best run.safetensors");
    unlink(to);
    write_text(folder, "model-00001-of-00002.safetensors", "x");
    try_open(folder, VITX_IO, "but not their .index.json");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What training keeps beside the weights, by the names that accelerate and DeepSpeed give. */
START_TEST(test_model__leaves_what_training_keeps)
{
    static const char *const kept[] = {
        "optimizer.bin",     "scheduler.bin",           "sampler.bin",       "random_states_0.pkl",
        "rng_state_0.pth",   "custom_checkpoint_0.pkl", "training_args.bin", "scaler.pt",
        "dl_state_dict.bin", "zero_optim_states.pt"};
    char *folder = copy_golden("vit-timm"), from[300], to[300];
    snprintf(from, sizeof from, "%s", in_folder(folder, "model.safetensors"));
    snprintf(to, sizeof to, "%s", in_folder(folder, "net.bin"));
    ck_assert_int_eq(rename(from, to), 0);
    for (int i = 0; i < COUNT(kept); i++)
        write_text(folder, kept[i], "x");
    ck_assert_int_eq(info_of(folder).depth, 3);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* The cache of a model hub: models--OWNER--NAME/snapshots/COMMIT/. */
START_TEST(test_model__takes_the_one_snapshot_of_a_hubs_cache)
{
    char *folder = make_folder(), *model = copy_golden("vit-timm"), to[300], other[300];
    mkdir(in_folder(folder, "snapshots"), 0700);
    snprintf(to, sizeof to, "%s/abc", in_folder(folder, "snapshots"));
    snprintf(other, sizeof other, "%s/def", in_folder(folder, "snapshots"));
    ck_assert_int_eq(rename(model, to), 0);
    ck_assert_int_eq(info_of(folder).depth, 3);
    mkdir(other, 0700);
    try_open(folder, VITX_IO, "give one of the folders in its snapshots");
    rmdir(other);
    remove_folder(to);
    rmdir(in_folder(folder, "snapshots"));
    remove_folder(folder);
    free(model);
    free(folder);
}
END_TEST

START_TEST(test_model__says_what_a_path_lacks)
{
    char *folder = make_folder();
    vitx_model *m;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    try_open(
        folder, VITX_IO,
        "holds no weights in a .safetensors, .npz, .pth, .pt, .bin or .ckpt file: it is empty");
    write_text(folder, "notes.txt", "x");
    try_open(folder, VITX_IO, "only: notes.txt");
    mkdir(in_folder(folder, "checkpoint-500"), 0700);
    try_open(folder, VITX_IO, "perhaps one of its folders does: checkpoint-500");
    rmdir(in_folder(folder, "checkpoint-500"));
    write_text(folder, "tf_model.h5", "x");
    try_open(folder, VITX_IO,
             "holds no weights that vitx reads; tf_model.h5 is weights of Keras or TensorFlow");
    write_text(folder, "pytorch_model.bin", "x");
    try_open(folder, VITX_FORMAT, "pytorch_model.bin: 1 bytes, too short");
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

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config");
    tcase_add_loop_test(t, test_config__refuses, 0, COUNT(config_edits));
    tcase_add_test(t, test_config__another_size_is_resampled);
    tcase_add_test(t, test_config__takes_the_class_defaults_for_what_is_missing);
    tcase_add_test(t, test_config__takes_the_defaults_of_dinov2);
    tcase_add_test(t, test_config__names_of_architectures_imply);
    tcase_add_test(t, test_config__img_size_of_a_fixed_model_is_its_input);
    tcase_add_test(t, test_config__reads_what_hubs_hold);
    tcase_add_test(t, test_config__reads_processor_config);
    tcase_add_test(t, test_model__takes_the_only_weight_file_of_a_folder);
    tcase_add_test(t, test_model__leaves_what_training_keeps);
    tcase_add_test(t, test_model__takes_the_one_snapshot_of_a_hubs_cache);
    tcase_add_test(t, test_model__says_what_a_path_lacks);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
