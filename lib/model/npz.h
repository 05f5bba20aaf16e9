/* model/npz.h: the inside of an .npz file, for container.c. */
#ifndef VX_MODEL_NPZ_H
#define VX_MODEL_NPZ_H

#include "model/container.h"
#include "model/zip.h"

/* A reader for tensors that lie in a file in another order: those of member -1. */
int vx_npz_new(vx_npz **out, const vitx_hooks *hooks);

/* Members of this archive are read from now on; it becomes the reader's. VITX_UNSUPPORTED if there
 * is one already. */
int vx_npz_take_zip(vx_npz *npz, vx_zip *zip);

/* A tensor whose elements lie in the file as they are, in C order, is read there from now on, any
 * part of it by itself: nothing is kept at hand, and no checksum is compared. Others stay. */
void vx_npz_show_bytes(vx_tensor *tensor);

/* A tensor's elements, in the order of its axes and the file's type. They stay until another tensor
 * is asked for. */
int vx_npz_load(const void **out, const vx_tensor *tensor);

void vx_npz_rest(vx_npz *npz);  /* frees what vx_npz_load keeps; NULL is accepted, as below */
void vx_npz_close(vx_npz *npz); /* the file stays the container's */

#endif
