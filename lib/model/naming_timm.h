/* model/naming_timm.h: what timm's names of architectures imply; open_clip names its towers by
 * them. */
#ifndef VX_MODEL_NAMING_TIMM_H
#define VX_MODEL_NAMING_TIMM_H

#include "model/recipe.h"

/* Sizes, heads, activation, eps and pool_prefix of an architecture, where its name tells of others
 * than most have; network_told if the name is known. */
void vx_timm_implied(vx_hints *out, const char *architecture);
/* Of architectures that rotate queries and keys how they do it, their pooling and eps; other names
 * leave `out` as it is. */
void vx_timm_rotary(vx_hints *out, const char *architecture);
/* What model_args say of it. VITX_UNSUPPORTED, VITX_FORMAT. */
int vx_timm_rotary_arguments(vx_hints *out, const vx_config *config);
/* global_pool's words. VITX_UNSUPPORTED: another one. */
int vx_timm_pool(vx_pool_kind *out, const char *word, const char *path);

/* What a config.json of timm's kind says, for namings whose own files have none (vx_naming). */
const char *vx_timm_architecture(const vx_config *config);
int vx_timm_read_hints(vx_hints *out, const vx_config *config);
int vx_timm_read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect);

#endif
