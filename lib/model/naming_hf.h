/* model/naming_hf.h: what Hugging Face's namings share. */
#ifndef VX_MODEL_NAMING_HF_H
#define VX_MODEL_NAMING_HF_H

#include "model/recipe.h"

/* The blocks of CLIP and SigLIP, of both towers: a base, of names alone. */
extern const vx_naming vx_naming_hf_clip_blocks;
/* The first of config.json's "architectures", NULL: none. */
const char *vx_hf_architecture(const vx_config *config);
/* Whether there are a config.json and a file on pictures: network_told and pictures_told. */
void vx_hf_read_told(vx_hints *out, const vx_config *config);
/* hidden_act of an object of the file `path`; `name` where it is not said. */
int vx_hf_read_activation(vx_hints *out, const vx_json *object, const char *name, const char *path);
/* eps, heads (12 where the object, which may be NULL, does not say) and sizes. */
int vx_hf_read_sizes(vx_hints *out, const vx_json *object, const char *path);
/* vx_naming.read_recipe: processor_config.json, else preprocessor_config.json. */
int vx_hf_read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect);

#endif
