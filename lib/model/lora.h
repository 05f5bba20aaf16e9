/*
 * model/lora.h: low-rank adapters (Hu et al. 2021, arXiv:2106.09685) as peft saves them.
 *
 * A matrix W with factors A and B is read as W + scale B A, scale = lora_alpha / rank (divided by
 * the rank's root where adapter_config.json has use_rslora). The factors lie beside the network's
 * tensors, or in adapter_model.safetensors in the same folder; modules_to_save take the place of
 * the network's own.
 */
#ifndef VX_MODEL_LORA_H
#define VX_MODEL_LORA_H

#include "model/container.h"

/* Adds the tensors of the folder's adapter_model.safetensors, if there is one. */
int vx_lora_open(vx_container *c, vx_shelf shelf, const char *folder);

/* Attaches factors to their matrices; what is not of the network goes. VITX_FORMAT: factors without
 * a matrix (an adapter alone), or of other shapes; VITX_UNSUPPORTED: another kind of adapter, or no
 * adapter_config.json that says the scale. */
int vx_lora_attach(vx_container *c, vx_shelf shelf, const char *folder);

/* VITX_IO for a folder with an adapter alone: names the base model that is missing. */
int vx_lora_refuse_alone(vx_shelf shelf, const char *folder, const vitx_hooks *hooks);

/* Adds scale B A to elements first..first+count-1 of the matrix, which are in dst. */
int vx_lora_add(const vx_lora *lora, float *dst, uint64_t first, uint64_t count);

#endif
