/*
 * model/container.h: files that hold named tensors.
 *
 * A container format is one file: it opens a path, checks everything that can be checked without
 * reading values, and lists its tensors in a vx_container. Values are read by vx_tensor_read_f32.
 */
#ifndef VX_MODEL_CONTAINER_H
#define VX_MODEL_CONTAINER_H

#include "base/file.h"

typedef enum vx_dtype { VX_F32 = 0, VX_F16, VX_BF16, VX_DTYPE_OTHER } vx_dtype;

#define VX_MAX_RANK 8

typedef struct vx_tensor {
    const char *name;
    const char *dtype_name; /* as the file spells it: "F32", "I64" */
    vx_dtype dtype;         /* OTHER: listed, but cannot be read */
    int rank;
    int64_t shape[VX_MAX_RANK];
    uint64_t count;  /* product of shape */
    uint64_t offset; /* first byte in the file */
    uint64_t bytes;
    const vx_file *file;
} vx_tensor;

typedef struct vx_container {
    vitx_hooks hooks;
    vx_tensor *tensors; /* [count], sorted by name */
    int count;
    vx_file **files; /* [file_count] */
    int file_count;
    char *names; /* what the names point into */
    size_t names_size;
    char *path; /* for messages */
} vx_container;

/* A .safetensors file, or with an ending of .index.json the shards it names (beside it; names with
 * a slash are refused). Every check of the format's specification; VITX_FORMAT names the tensor. */
int vx_safetensors_open(vx_container **out, const char *path, const vitx_hooks *hooks);
void vx_container_close(vx_container *container); /* accepts NULL */

/* Whether a path names the index of a sharded file. */
bool vx_safetensors_is_index(const char *path);

/* By name, NULL if there is none. */
const vx_tensor *vx_container_find(const vx_container *container, const char *name);

/* Elements first..first+count-1 in C order as f32. VITX_FORMAT, naming the tensor and the index,
 * for a NaN or an infinity. */
int vx_tensor_read_f32(const vx_tensor *tensor, float *dst, uint64_t first, uint64_t count);

/* "F32", "F16", "BF16"; "other". */
const char *vx_dtype_name(vx_dtype dtype);

/* "[197, 192]" into text; returns text. */
const char *vx_shape_text(char *text, size_t size, const int64_t *shape, int rank);

#endif
