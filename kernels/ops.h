/*
 * kernels/ops.h: the arguments of the operations and the operation table.
 *
 * Everything above kernels/ computes through this table only. All float pointers are memory of the
 * device (vx_device_class.mem_alloc). Letters as in ops.def.
 */
#ifndef VX_KERNELS_OPS_H
#define VX_KERNELS_OPS_H

#include <stddef.h>
#include <stdint.h>

typedef struct vx_device vx_device;

/* clang-format off */
typedef enum vx_act {
    VX_ACT_NONE = 0,
    VX_ACT_GELU,       /* x/2 (1 + erf(x / sqrt 2)), Hendrycks & Gimpel 2016     */
    VX_ACT_GELU_TANH,  /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))          */
    VX_ACT_QUICK_GELU, /* x / (1 + exp(-1.702 x))                                */
    VX_ACT_RELU,       /* max(x, 0)                                              */
    VX_ACT_COUNT
} vx_act;

typedef enum vx_fuse { VX_FUSE_MEAN = 0, VX_FUSE_MAX, VX_FUSE_MIN } vx_fuse;
typedef enum vx_norm { VX_NORM_ROWS = 0, VX_NORM_COLUMNS } vx_norm;
typedef enum vx_store { VX_STORE_F32 = 0, VX_STORE_F16 } vx_store;
typedef enum vx_keep { VX_KEEP_NONE = 0, VX_KEEP_ROW, VX_KEEP_FUSED, VX_KEEP_ALL } vx_keep;

/* A matrix [n,k] in the form the device packed it (vx_device_class.weight_pack), with its bias. */
typedef struct vx_weight {
    const void *data;  /* vx_device_class.weight_bytes(n, k) bytes */
    const float *bias; /* [n] or NULL                              */
    int n, k;
} vx_weight;

/* y[m,n] = residual[m,n] + gamma[n] * act(x[m,k] W^T + bias). */
typedef struct vx_linear {
    float *y;              /* [m,n], rows ldy apart; must not overlap x                       */
    int ldy;
    const float *x;        /* [m,k], rows ldx apart                                           */
    int ldx;
    const vx_weight *w;
    const float *gamma;    /* [n] LayerScale or NULL                                          */
    const float *residual; /* [m,n], rows ldr apart, or NULL; may be y itself                 */
    int ldr;
    vx_act act;
    int m;
} vx_linear;

/*
 * Tokens of pictures: y[b,p,:] = prefix[p,:] for p < prefix_count, then for every patch, row by
 * row, w * patch + bias + pos[patch,:]. A patch is read as [channel,row,column] (a convolution
 * whose stride is its kernel). Pixels beyond the last whole patch are not read.
 */
typedef struct vx_patch_embed {
    float *y;            /* [B, prefix_count + gh*gw, D]                                       */
    const float *image;  /* [B,C,H,W]                                                          */
    const vx_weight *w;  /* [D, C*ph*pw]                                                       */
    const float *prefix; /* [prefix_count, D], position embedding already added; or NULL       */
    const float *pos;    /* [gh*gw, D] or NULL                                                 */
    int batch, channels, height, width, patch_height, patch_width, prefix_count;
} vx_patch_embed;

/* What attention leaves behind of its probabilities, and where. */
typedef struct vx_recorded {
    void *data;     /* ROW [B,H,T], FUSED [B,T,T], ALL [B,H,T,T]; NULL with VX_KEEP_NONE       */
    vx_keep keep;
    vx_store store; /* type of data: float, or IEEE half in uint16_t (round to nearest even)   */
    vx_fuse fuse;   /* of VX_KEEP_FUSED                                                        */
    int query;      /* of VX_KEEP_ROW: the token; < 0: the mean over tokens first..T-1         */
    int first;
    int batch, heads, tokens;
} vx_recorded;

/*
 * y[b,t,h*E+e] = sum_s p[b,h,t,s] v[b,s,h,e],  p[b,h,t,:] = softmax_s(scale * q[b,t,h,:] . k[b,s,h,:]).
 * qkv holds, for every token, q of all heads, then k, then v (each H*E wide). [B,H,T,T] exists only
 * where record.keep is VX_KEEP_ALL; otherwise a strip of rows per worker does. Vaswani et al. 2017, eq. 1.
 */
typedef struct vx_attention {
    float *y;         /* [B,T,H*E]                          */
    const float *qkv; /* [B,T,3*H*E]                        */
    float scale;      /* 1/sqrt(E) for every present family */
    int batch, tokens, heads, head_width;
    vx_recorded record; /* its batch, heads, tokens equal the above unless keep is NONE */
} vx_attention;
/* clang-format on */

/* One type per operation, vx_linear_fn and so on; the table; the reference versions. */
#define VX_OP(name, args) typedef void vx_##name##_fn args;
#include "kernels/ops.def"
#undef VX_OP

typedef struct vx_ops {
#define VX_OP(name, args) vx_##name##_fn *name;
#include "kernels/ops.def"
#undef VX_OP
} vx_ops;

#define VX_OP(name, args) vx_##name##_fn vx_##name##_ref;
#include "kernels/ops.def"
#undef VX_OP

/* Fills every member with its reference version. */
void vx_ops_init_ref(vx_ops *ops);

#endif
