/*
 * model/wrapping.h: what training wraps around the names of a network's tensors.
 *
 * DataParallel, torch.compile, Lightning, and every class that holds a network as a member put
 * something before the names ("module.", "model._orig_mod."), within them ("blocks.0._orig_mod."),
 * or cut the blocks into chunks ("blocks.0.3."). It is taken off the keys of the container; names
 * stay as the file has them.
 */
#ifndef VX_MODEL_WRAPPING_H
#define VX_MODEL_WRAPPING_H

#include "model/config.h"
#include "model/container.h"

#define VX_PREFIX 200 /* characters of a prefix, with the '\0' */

typedef struct vx_wrapping {
    char prefix[VX_PREFIX]; /* taken off; "": none */
    bool common;            /* it is what all keys begin with: no network was found behind one */
    bool parts, chunks;     /* something was taken out within the names */
} vx_wrapping;

/* VITX_UNSUPPORTED where several networks lie in the file; the message names them. */
int vx_wrapping_take(vx_wrapping *out, vx_container *container, const vx_config *config);

/* vitx_model_info.wrapping, in `text`; returns text. */
const char *vx_wrapping_text(char *text, size_t size, const vx_wrapping *w);

#endif
