/*
 * model/container.h: files that hold named tensors.
 *
 * A container format is one file: it opens a path, checks everything that can be checked without
 * reading values, and lists its tensors in a vx_container. Values are read by vx_tensor_read_f32.
 *
 * A tensor need not lie in the file in the order in which it is read: `axes` says where its
 * elements are. vx_tensor_permute changes shape and axes alone, so a naming can show the tensors
 * of a library that stores its matrices otherwise in the shapes that vitx expects.
 */
#ifndef VX_MODEL_CONTAINER_H
#define VX_MODEL_CONTAINER_H

#include "base/file.h"

typedef enum vx_dtype { VX_F32 = 0, VX_F16, VX_BF16, VX_F64, VX_DTYPE_OTHER } vx_dtype;

#define VX_MAX_RANK 8

/* Elements of a packed tensor: `size` of them, `stride` elements apart. */
typedef struct vx_axis {
    uint64_t size, stride;
} vx_axis;

typedef struct vx_npz vx_npz; /* what reads the members of an .npz file: npz.h */

typedef struct vx_tensor {
    const char *name;       /* as the file spells it, for messages */
    const char *key;        /* the name that namings look up: without what training wraps around */
    const char *dtype_name; /* as the file spells it: "F32", "I64" */
    vx_dtype dtype;         /* OTHER: listed, but cannot be read */
    int rank;
    int64_t shape[VX_MAX_RANK];
    uint64_t count;  /* product of shape */
    uint64_t offset; /* first byte in the file, or in the member's contents */
    uint64_t bytes;
    const vx_file *file;
    /* NULL: the elements lie in the file in C order. Else npz.h reads them, from a member of an
     * .npz file or, with member -1, from the file. */
    vx_npz *npz;
    int member;
    bool big;                   /* big-endian in the file; npz.h turns the bytes around */
    const struct vx_lora *lora; /* NULL, or what is added to the values (lora.h) */
    int axes; /* 0: C order. Else the axes in the order in which they are read:   */
    vx_axis axis[VX_MAX_RANK]; /* the shape with some of its dimensions divided; see permute */
} vx_tensor;

/* The factors of an adapter: scale b a is added to a matrix. */
typedef struct vx_lora {
    vx_tensor a, b; /* [rank, columns], [rows, rank] */
    double scale;
} vx_lora;

typedef struct vx_container {
    vitx_hooks hooks;
    vx_tensor *tensors; /* [count], sorted by key */
    int count;
    vx_file **files; /* [file_count] */
    int file_count;
    char *names; /* what the names point into */
    size_t names_size;
    char *path;              /* for messages */
    vx_shelf shelf;          /* where its files are, while it is opened */
    vx_npz *npz;             /* NULL: no .npz file, and no tensor of another order */
    const char *weights_key; /* while it is opened: which of several networks, NULL: the only one */
    vx_lora *loras;          /* [lora_count] */
    int lora_count;
    char adapter[80];    /* vitx_model_info.adapter */
    char ignored[160];   /* what vx_ignore dropped, for people */
    const char *through; /* NULL, or: vx_container_find looks behind this prefix first */
    char form[200];      /* for people: "safetensors", "PyTorch zip, key state_dict" */
} vx_container;

/* The format follows from the ending: .npz, or what vx_safetensors_open reads. `weights_key` says
 * which network of a file that has several (torch.c); NULL: there is one. */
int vx_container_open(vx_container **out, vx_shelf shelf, const char *path, const char *weights_key,
                      const vitx_hooks *hooks);

/* A .safetensors file or one of PyTorch's, as the first bytes say; with an ending of .index.json
 * the shards it names (beside it; names with a slash are refused). Every check of the format's
 * specification; VITX_FORMAT names the tensor. */
int vx_safetensors_open(vx_container **out, vx_shelf shelf, const char *path,
                        const char *weights_key, const vitx_hooks *hooks);
/* An .npz file of NumPy. Its tensors are read by one thread at a time. */
int vx_npz_open(vx_container **out, vx_shelf shelf, const char *path, const vitx_hooks *hooks);
void vx_container_close(vx_container *container); /* accepts NULL */

/* Gives back what reading has kept at hand; reading on is allowed. */
void vx_container_rest(vx_container *container);

/* Whether a path names the index of a sharded file. */
bool vx_safetensors_is_index(const char *path);

/* By key, NULL if there is none. */
const vx_tensor *vx_container_find(const vx_container *container, const char *key);

/* Gives tensors other keys: `rename` writes the one that t gets, of at most `size` bytes, and
 * returns whether it is another. VITX_FORMAT where two tensors get the same. */
typedef bool vx_rename_fn(char *key, size_t size, const vx_tensor *t, void *arg);
int vx_container_rename(vx_container *container, vx_rename_fn *rename, void *arg);

/* Forgets the tensors that `goes` says. */
void vx_container_drop(vx_container *container, bool (*goes)(const vx_tensor *t, void *arg),
                       void *arg);

/* Elements first..first+count-1 in C order as f32. VITX_FORMAT, naming the tensor and the index,
 * for a NaN or an infinity. */
int vx_tensor_read_f32(const vx_tensor *tensor, float *dst, uint64_t first, uint64_t count);

/* Shows dimension order[0], order[1].. of a packed tensor's `rank` ones, in that order; the first
 * groups[0] of them become one dimension, the next groups[1] another. {0} ends the groups. */
void vx_tensor_permute(vx_tensor *tensor, const unsigned char *order, const unsigned char *groups);

/* Element i of the first dimension, which goes; i must be within it. */
void vx_tensor_slice(vx_tensor *tensor, uint64_t i);

/* "F32", "F16", "BF16", "F64"; "other". */
const char *vx_dtype_name(vx_dtype dtype);
/* Bytes of an element; 0 for OTHER. */
size_t vx_dtype_size(vx_dtype dtype);

/* "[197, 192]" into text; returns text. */
const char *vx_shape_text(char *text, size_t size, const int64_t *shape, int rank);

/* ------------------------------------------------------------ for those who write formats -- */

/* A container for which `open` reads the file at container->path. */
int vx_container_make(vx_container **out, vx_shelf shelf, const char *path, const char *weights_key,
                      const vitx_hooks *hooks, int (*open)(vx_container *container));
/* Room for `count` more tensors and `bytes` more of names; pointers into the old names are
 * moved. */
int vx_container_grow(vx_container *container, int count, size_t bytes);
/* VITX_INVALID: `form`, as "NumPy's archives", has no keys to choose by. */
int vx_container_keyless(const char *weights_key, const char *path, const char *form);
/* Copies a name into that room. */
const char *vx_container_keep(vx_container *container, const char *name, size_t length);
/* Makes names keys, and sorts. VITX_FORMAT where two tensors have the same. */
int vx_container_sort(vx_container *container);

static inline bool vx_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    if (b && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

#endif
