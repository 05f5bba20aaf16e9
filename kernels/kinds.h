/*
 * kernels/kinds.h: which of several things an operation (ops.h) computes, records or reads.
 */
#ifndef VX_KERNELS_KINDS_H
#define VX_KERNELS_KINDS_H

/* clang-format off */
typedef enum vx_act {
    VX_ACT_NONE = 0,
    VX_ACT_GELU,       /* x/2 (1 + erf(x / sqrt 2)), Hendrycks & Gimpel 2016     */
    VX_ACT_GELU_TANH,  /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))          */
    VX_ACT_QUICK_GELU, /* x / (1 + exp(-1.702 x))                                */
    VX_ACT_RELU,       /* max(x, 0)                                              */
    VX_ACT_COUNT,      /* the functions of one number end here                   */
    VX_ACT_SWIGLU = VX_ACT_COUNT /* for the halves u, v of a row: silu(u) v; see vx_swiglu. Only
                                  * linear and linear_bwd know it */
} vx_act;

typedef enum vx_fuse { VX_FUSE_MEAN = 0, VX_FUSE_MAX, VX_FUSE_MIN } vx_fuse;
typedef enum vx_norm { VX_NORM_ROWS = 0, VX_NORM_COLUMNS, VX_NORM_NONE } vx_norm;
typedef enum vx_store { VX_STORE_F32 = 0, VX_STORE_F16 } vx_store;
typedef enum vx_keep { VX_KEEP_NONE = 0, VX_KEEP_ROW, VX_KEEP_FUSED, VX_KEEP_ALL } vx_keep;

/* One matrix from attention p and its gradient dp (Chefer et al. 2021, eq. 5; vit-explain's
 * form). */
typedef enum vx_product {
    VX_PRODUCT_RELU_MEAN = 0, /* mean over heads of max(p*dp, 0) */
    VX_PRODUCT_MEAN_RELU      /* max(mean over heads of p*dp, 0) */
} vx_product;

/* One number from the channels of a pixel. */
typedef enum vx_reduce {
    VX_REDUCE_MAX = 0, /* max |v|            */
    VX_REDUCE_SUM,     /* sum v              */
    VX_REDUCE_L1,      /* sum |v|            */
    VX_REDUCE_MEAN,    /* sum |v| / channels */
    VX_REDUCE_L2       /* sqrt(sum v^2)      */
} vx_reduce;

/*
 * Maps of token activations a and gradients g (P tokens, channels c; sums over tokens t unless said
 * otherwise). Before any clipping: see docs/methods.
 */
typedef enum vx_cam {
    VX_CAM_GRADCAM = 0, /* sum_c w_c a, w_c = mean g                                            */
    VX_CAM_PLUSPLUS,    /* w_c = sum max(g,0) g^2 / (2 g^2 + (sum a) g^3 + 1e-6), 0 where g = 0 */
    VX_CAM_XGRAD,       /* w_c = sum g a / (sum a + 1e-7)                                       */
    VX_CAM_HIRES,       /* sum_c g a                                                            */
    VX_CAM_ELEMENTWISE, /* sum_c max(g a, 0)                                                    */
    VX_CAM_LAYER,       /* sum_c max(g, 0) a                                                    */
    VX_CAM_COUNT
} vx_cam;

/* Which matrix of a model: a device may choose a packing by it (vx_device_class.packing_for). */
typedef enum vx_layer {
    VX_LAYER_PATCH = 0, /* the patch embedding              */
    VX_LAYER_QKV,       /* of a block, as the next three    */
    VX_LAYER_PROJ,
    VX_LAYER_FC1,
    VX_LAYER_FC2,
    VX_LAYER_POOL,      /* the matrices of a pooling head   */
    VX_LAYER_HEAD
} vx_layer;
/* clang-format on */

#endif
