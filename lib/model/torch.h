/* model/torch.h: what torch.save writes (.pth, .pt, .bin, .ckpt), for safetensors.c. */
#ifndef VX_MODEL_TORCH_H
#define VX_MODEL_TORCH_H

#include "model/container.h"

/* Adds the tensors of a file of PyTorch's, by its first bytes; *taken false for any other. If there
 * are several networks in it, the container's weights_key says which. */
int vx_torch_add(bool *taken, vx_container *container, const vx_file *file);

#endif
