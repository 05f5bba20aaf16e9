/*
 * model/torch_parts.h: the parts of the reader of torch.save's files: torch.c has the forms of the
 * file, torch_network.c finds a network among what was saved, torch_tensor.c reads one tensor.
 */
#ifndef VX_MODEL_TORCH_PARTS_H
#define VX_MODEL_TORCH_PARTS_H

#include "model/container.h"
#include "model/pickle.h"
#include "model/zip.h"

#define VX_TORCH_NETWORKS 16 /* in one file, at most */

typedef struct vx_torch_storage {
    const char *key;
    size_t length;
    uint64_t offset, bytes; /* offset: in the file, or in the member's contents */
    int member;             /* -1: the bytes lie in the file as they are */
    const vx_py *said;      /* of the form before 1.6: a value that names it */
} vx_torch_storage;

typedef struct vx_torch_network {
    const vx_py *value;
    char path[128]; /* "state_dict", "ema.model"; "." is the file's own value */
    int tensors;
    bool held; /* by an object of some class */
} vx_torch_network;

typedef struct vx_torch {
    vx_container *c;
    const vx_file *file;
    vx_pickle pickle;
    vx_zip zip;
    bool big;                   /* its numbers are big-endian */
    char *text;                 /* what the pickle's values point into */
    vx_torch_storage *storages; /* [count], sorted by key */
    int count;
    vx_torch_network *networks; /* [VX_TORCH_NETWORKS] */
    int network_count;
    bool in_object;      /* while networks are looked for */
    const char *instead; /* what is in the file where a network was looked for; NULL: unknown */
    /* While tensors are listed: counted first, then added. */
    bool adding;
    int tensors, matrices;
    size_t name_bytes;
    uint64_t repeated, steps;
    char name[512];
} vx_torch;

/* A call of a function of PyTorch's that makes a tensor. */
typedef struct vx_torch_call {
    const vx_py *arguments; /* NULL: no tensor */
    const char *special;    /* NULL: strides in a storage; else what it is, as "sparse" */
} vx_torch_call;

/* The pairs of a dictionary, or of an object that is one (OrderedDict): key, value, .. */
uint32_t vx_torch_pairs(vx_py *const **items, const vx_py *value);
const vx_py *vx_torch_get(const vx_py *dict, const char *key);

vx_torch_call vx_torch_tensor(const vx_py *value);
/* Of a tensor in strides: its size, NULL for others. */
const vx_py *vx_torch_size(vx_torch_call call);
/* Counts a tensor whose name is a->name, and adds it to the container if a->adding. */
int vx_torch_add_tensor(vx_torch *a, vx_torch_call call);

void vx_torch_sort_storages(vx_torch *a); /* what names one storage twice stays once */
vx_torch_storage *vx_torch_find_storage(const vx_torch *a, const vx_py *key);
/* Its key and size, from a value that names it; *type for messages. False: of no known kind. */
bool vx_torch_read_storage(const char **type, const vx_py **key, uint64_t *elements,
                           uint64_t *bytes, const vx_py *persistent);

/* Adds the tensors of the network in `root` that the file was made for. */
int vx_torch_add_network(vx_torch *a, vx_py *root, const char *form);

#endif
