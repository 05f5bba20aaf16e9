/*
 * model/members.c: weights.def as two tables.
 */
#include "model/members.h"

#include <stddef.h>

/* The letters of weights.def. ONE to BROWS stand for tensors, the others for members, too. */
typedef enum letter {
    END = 0,
    ONE,   /* 1; a file may leave it out where a shape begins with it */
    ROWS,  /* rows of the position embeddings: prefix_pos + G */
    KD,    /* columns of a head in the file: the width, twice that for two vectors, or M */
    V,     /* rows of a table of tokens */
    TY,    /* rows of a table of the tokens' types */
    M,     /* rows of a matrix before the head's */
    R,     /* registers */
    TWO,   /* 2 */
    L,     /* depth */
    HF,    /* heads of learnt rotary positions, as the file has them */
    EF,    /* half of such a head's width */
    I,     /* rows of fc1 and qkv in one */
    KV,    /* rows of keys, and of values */
    E2,    /* numbers of a head's queries */
    O,     /* columns of proj and fc2 in one */
    FT,    /* F, or of twins half of it */
    FT1,   /* F1, or half of it */
    BF,    /* hidden width of a perceptron of relative positions */
    BROWS, /* rows of a table of relative positions: B, or without the last three */
    D,     /* width */
    D2,    /* 2 D */
    D3,    /* 3 D */
    A3,    /* 3 numbers of all heads */
    AP,    /* what proj reads */
    S,     /* what the attention gives that is normalised together */
    Q,     /* numbers of queries and keys that are normalised together */
    F,     /* hidden width */
    FP,    /* of a pooling head */
    F1,    /* rows of fc1: F, or 2 F of SwiGLU */
    K,     /* classes */
    W,     /* what the head reads: D, or 2 D of two vectors */
    C,     /* channels of the picture */
    PH,    /* height of a patch */
    PW,    /* width of a patch */
    L2,    /* 2 L */
    DH,    /* D / 2 */
    P,     /* prefix tokens */
    G,     /* patches of the grid that the position embeddings are for */
    H,     /* heads */
    B      /* numbers that a head has for relative positions: vx_relative_count */
} letter;

static int64_t size_of(letter at, const vx_sizes *s)
{
    const vx_arch *a = s->arch;
    const int64_t sizes[] = {[ONE] = 1,
                             [ROWS] = s->position_rows,
                             [KD] = s->head_in ? s->head_in
                                               : (s->concatenates ? 2 : 1) * (int64_t)a->width,
                             [V] = a->vocabulary,
                             [TY] = s->type_rows,
                             [M] = s->head_in,
                             [R] = s->registers,
                             [I] = vx_arch_fc1(a) + 3 * (int64_t)a->width,
                             [BF] = s->relative_hidden,
                             [BROWS] = s->relative_rows,
                             [TWO] = 2,
                             [L] = a->depth,
                             [HF] = s->frequency_heads,
                             [EF] = s->frequency_heads ? a->width / 2 / s->frequency_heads : 0,
                             [L2] = 2 * (int64_t)a->depth,
                             [DH] = a->width / 2,
                             [D] = a->width,
                             [D2] = 2 * (int64_t)a->width,
                             [D3] = 3 * (int64_t)a->width,
                             [A3] = 3 * (int64_t)vx_arch_attention(a),
                             [AP] = vx_arch_attended(a),
                             [S] = a->attn_norm,
                             [KV] = s->key_rows,
                             [FT] = a->twins ? a->hidden / 2 : a->hidden,
                             [FT1] = a->twins ? vx_arch_fc1(a) / 2 : vx_arch_fc1(a),
                             [E2] = a->attn_norm / 2,
                             [O] = (int64_t)a->width + a->hidden,
                             [Q] = a->qk_norm,
                             [F] = a->hidden,
                             [FP] = a->pool_hidden,
                             [F1] = vx_arch_fc1(a),
                             [K] = a->classes,
                             [W] = vx_arch_pooled(a),
                             [C] = a->channels,
                             [PH] = a->patch_height,
                             [PW] = a->patch_width,
                             [P] = a->prefix,
                             [G] = (int64_t)a->pos_height * a->pos_width,
                             [H] = a->heads,
                             [B] = (int64_t)vx_relative_count(a->pos_height, a->pos_width)};
    return sizes[at];
}

/* -------------------------------------------------------------------------- roles --------- */

static const struct {
    vx_need need;
    unsigned char shape[VX_ROLE_DIMS + 1]; /* letters */
} tensors[VX_ROLES] = {
    [VX_NO_ROLE] = {VX_OPTIONAL, {END}},
#define VX_VECTOR(group, member, role, need, n) [VX_##role] = {VX_##need, {n}},
#define VX_MATRIX(group, member, role, need, need_b, layer, stream, n, ...)                        \
    [VX_##role##_W] = {VX_##need, {n, __VA_ARGS__}}, [VX_##role##_B] = {VX_##need_b, {n}},
#define VX_TENSOR(role, need, ...) [VX_##role] = {VX_##need, {__VA_ARGS__}},
#include "model/weights.def"
};

vx_need vx_role_need(vx_role role)
{
    return tensors[role].need;
}

int vx_role_rank(vx_role role)
{
    int rank = 0;
    while (tensors[role].shape[rank])
        rank++;
    return rank;
}

int vx_role_shape(int64_t shape[VX_ROLE_DIMS], vx_role role, const vx_sizes *sizes)
{
    const int rank = vx_role_rank(role);
    for (int i = 0; i < rank; i++)
        shape[i] = size_of(tensors[role].shape[i], sizes);
    return rank;
}

int vx_role_leading_ones(vx_role role)
{
    int n = 0;
    while (tensors[role].shape[n] == ONE)
        n++;
    return n;
}

/* -------------------------------------------------------------------------- members ------- */

#define OFFSET_FRONT(member) offsetof(vx_weights, member)
#define OFFSET_BACK(member) offsetof(vx_weights, member)
#define OFFSET_POOL(member) offsetof(vx_weights, pool.member)
#define OFFSET_BLOCK(member) offsetof(vx_block_weights, member)
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#define ROW(where, member, ...)                                                                    \
    {.name = #member, .group = VX_GROUP_##where, .offset = OFFSET_##where(member), __VA_ARGS__},

static const vx_member members[] = {
#define VX_VECTOR(group, member, role, need, n)                                                    \
    ROW(group, member, .roles = {VX_##role}, .stream = VX_KEPT, .shape = {n})
#define VX_NORM(group, member, role, need, n)                                                      \
    ROW(group, member##_w, .roles = {VX_##role##_W}, .stream = VX_ONES, .shape = {n})              \
    ROW(group, member##_b, .roles = {VX_##role##_B}, .stream = VX_ZEROS, .shape = {n})
#define VX_MATRIX(group, member, role, need, need_b, what, from, ...)                              \
    ROW(group, member, .matrix = true, .layer = VX_LAYER_##what, .roles = {VX_##role##_W},         \
        .biases = {VX_##role##_B}, .stream = from, .shape = {__VA_ARGS__})
#define VX_MADE_VECTOR(group, member, from, first, ...)                                            \
    ROW(group, member, .roles = LIST from, .stream = first, .shape = {__VA_ARGS__},                \
        .fill = vx_fill_##member)
#define VX_MADE_MATRIX(group, member, from, bias, what, first, ...)                                \
    ROW(group, member, .matrix = true, .layer = VX_LAYER_##what, .roles = LIST from,               \
        .biases = LIST bias, .stream = first, .shape = {__VA_ARGS__}, .fill = vx_fill_##member)
#include "model/weights.def"
};
#define MEMBERS ((int)(sizeof members / sizeof members[0]))

const vx_member *vx_member_at(int index)
{
    return index >= 0 && index < MEMBERS ? &members[index] : NULL;
}

static void *at(const vx_weights *w, vx_group group, size_t offset, int block)
{
    const char *base = group == VX_GROUP_BLOCK ? (const char *)&w->blocks[block] : (const char *)w;
    return (void *)(uintptr_t)(base + offset);
}

void *vx_member_of(const vx_weights *w, const vx_member *m, int block)
{
    return at(w, m->group, m->offset, block);
}

/* The vectors that scale matrices. */
static const struct {
    vx_group group;
    size_t matrix, vector;
} scaled[] = {
#define VX_SCALED(where, matrix, vector)                                                           \
    {VX_GROUP_##where, OFFSET_##where(matrix), OFFSET_##where(vector)},
#include "model/weights.def"
};

const vx_far *vx_member_gamma(const vx_weights *w, const vx_member *m, int block)
{
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++)
        if (scaled[i].group == m->group && scaled[i].matrix == m->offset)
            return *(const vx_far **)at(w, m->group, scaled[i].vector, block);
    return NULL;
}

const vx_tensor *vx_found_any(const vx_found *found, const vx_role *roles, int block)
{
    for (; *roles; roles++)
        if (vx_found_at(found, *roles, block))
            return vx_found_at(found, *roles, block);
    return NULL;
}

void vx_member_size(int64_t *n, int64_t *k, const vx_member *m, const vx_arch *arch)
{
    const vx_sizes sizes = {.arch = arch};
    *n = size_of(m->shape[0], &sizes);
    *k = 1;
    for (int i = 1; m->shape[i]; i++)
        *k *= size_of(m->shape[i], &sizes);
}

int vx_visit_group(const vx_weights *w, vx_group group, int block, vx_visit_fn *visit, void *arg)
{
    for (int i = 0; i < MEMBERS; i++)
        if (members[i].group == group)
            VX_TRY(visit(&members[i], vx_member_of(w, &members[i], block), block, arg));
    return VITX_OK;
}

int vx_visit_all(const vx_weights *w, int depth, vx_visit_fn *visit, void *arg)
{
    VX_TRY(vx_visit_group(w, VX_GROUP_FRONT, 0, visit, arg));
    for (int b = 0; b < depth; b++)
        VX_TRY(vx_visit_group(w, VX_GROUP_BLOCK, b, visit, arg));
    VX_TRY(vx_visit_group(w, VX_GROUP_POOL, 0, visit, arg));
    return vx_visit_group(w, VX_GROUP_BACK, 0, visit, arg);
}
