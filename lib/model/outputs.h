/* model/outputs.h: what a model's outputs are: one choice among many, answers of their own, or
 * numbers. */
#ifndef VX_MODEL_OUTPUTS_H
#define VX_MODEL_OUTPUTS_H

#include "model/arch.h"
#include "model/config.h"

/* Sets arch->outputs by what the caller asked for, else by config.json, else by how many there are.
 * arch->classes and units are known; path is the model's, for messages. VITX_INVALID if the model
 * cannot have what was asked for, VITX_FORMAT if config.json has a problem_type that nobody
 * knows. */
int vx_outputs_read(vx_arch *arch, vitx_source *from, vitx_outputs asked, const vx_config *config,
                    const char *path);

#endif
