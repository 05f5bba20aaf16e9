/*
 * model/tips.c: TIPSv2 (Google DeepMind; TIPS: Maninis et al. 2024, arXiv:2410.16512) in Hugging
 * Face's names, alone or beside its text tower: DINOv2's network with a register. In timm's names
 * it is a plain ViT (vit.c).
 */
#include "model/family.h"

static const char *const architectures[] = {"Tipsv2", NULL};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_hf_tips,
     .prefix = "vision_encoder.",
     .architectures = architectures,
     .recipe = &vx_hf_tips_processor},
    {.naming = &vx_naming_hf_tips,
     .prefix = "",
     .architectures = architectures,
     .recipe = &vx_hf_tips_processor},
    {0},
};

const vx_family vx_family_tips = {.name = "tips", .dialects = dialects};
