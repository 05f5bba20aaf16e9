/*
 * model/members.h: the table of weights.def: where each weight lies, which tensors it comes from,
 * how large it is; and the shapes of all tensors by role.
 */
#ifndef VX_MODEL_MEMBERS_H
#define VX_MODEL_MEMBERS_H

#include "model/fill.h"
#include "model/weights.h"

#define VX_ROLE_DIMS 5 /* dimensions of a role's tensor, at most */

typedef enum vx_group {
    VX_GROUP_FRONT, /* read before the blocks */
    VX_GROUP_BLOCK, /* in each of them        */
    VX_GROUP_POOL,  /* vx_weights.pool        */
    VX_GROUP_BACK   /* behind the blocks      */
} vx_group;

/* What randomising makes of a member that has no stream of random numbers. */
enum { VX_KEPT = -1, VX_ONES = -2, VX_ZEROS = -3 };

struct vx_member {
    const char *name;
    vx_group group;
    bool matrix;       /* a vx_weight; else a const vx_far * */
    vx_layer layer;    /* of a matrix */
    size_t offset;     /* in vx_block_weights if the group is BLOCK, else in vx_weights */
    vx_role roles[5];  /* the member is there if the model has one of them; ended by VX_NO_ROLE */
    vx_role biases[5]; /* its bias, the same */
    int stream;
    unsigned char
        shape[VX_ROLE_DIMS + 1]; /* n, then factors of k: letters of members.c; ended by 0 */
    vx_fill_fn *fill;            /* NULL: the tensors of roles[0] and biases[0] as they stand */
};

/* The rows, in the order of weights.def; NULL behind the last. */
const vx_member *vx_member_at(int index);

/* The place of a member: a const vx_far ** or a vx_weight *. */
void *vx_member_of(const vx_weights *w, const vx_member *m, int block);

/* The vector that a matrix's outputs are multiplied by, in device memory; or NULL. */
const vx_far *vx_member_gamma(const vx_weights *w, const vx_member *m, int block);

/* The first tensor that the model has of a list of roles, NULL if it has none. */
const vx_tensor *vx_found_any(const vx_found *found, const vx_role *roles, int block);

/* Calls visit for the members of a group (in block `block` if it is BLOCK), or for all of them in
 * the order in which a forward pass reads groups. Ends at the first failure, which it returns. */
typedef int vx_visit_fn(const vx_member *m, void *place, int block, void *arg);
int vx_visit_group(const vx_weights *w, vx_group group, int block, vx_visit_fn *visit, void *arg);
int vx_visit_all(const vx_weights *w, int depth, vx_visit_fn *visit, void *arg);

/* What the letters of shapes stand for. Members need arch alone. */
typedef struct vx_sizes {
    const vx_arch *arch;
    int64_t position_rows;
    int registers, relative_rows, relative_hidden;
    int frequency_heads;
    int key_rows;           /* of the block at hand */
    int type_rows, head_in; /* of a text tower: rows of TYPES and of HEAD_IN_W */
    bool concatenates;      /* the head has columns for two vectors */
} vx_sizes;

/* Rows and columns of a matrix; a vector has n elements in rows of k, or k 1. */
void vx_member_size(int64_t *n, int64_t *k, const vx_member *m, const vx_arch *arch);

/* Whether a model may lack a role; VX_WITH: it is there if the role before it is; VX_CENTRED: the
 * same, but in a model whose norms do not subtract the mean (vx_arch.rms), which has none. */
typedef enum vx_need { VX_REQUIRED = 0, VX_OPTIONAL, VX_WITH, VX_CENTRED } vx_need;
vx_need vx_role_need(vx_role role);

/* The shape that the tensor of a role must have. @return its number of dimensions. */
int vx_role_shape(int64_t shape[VX_ROLE_DIMS], vx_role role, const vx_sizes *sizes);
int vx_role_rank(vx_role role);
/* The dimensions of 1 that it begins with, and that a file may leave out. */
int vx_role_leading_ones(vx_role role);

#endif
