/*
 * kernels/narrow.h: for devices whose narrow type is float. vx_<op>_floats gives an operation's
 * struct with every twin in the place of the member that it stands for, so that the kernels read
 * one of them alone.
 */
#ifndef VX_NARROW_H
#define VX_NARROW_H

#include "kernels/ops.h"

static inline float *vx_floats(float *array, const vx_narrow *twin)
{
    return twin ? (float *)twin : array;
}

static inline const float *vx_read_floats(const float *array, const vx_narrow *twin)
{
    return twin ? (const float *)twin : array;
}

static inline vx_linear vx_linear_floats(const vx_linear *a)
{
    vx_linear b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.pre = vx_floats(a->pre, a->pre_n);
    b.x = vx_read_floats(a->x, a->x_n);
    b.y_n = NULL;
    b.pre_n = NULL;
    b.x_n = NULL;
    return b;
}

static inline vx_linear_bwd vx_linear_bwd_floats(const vx_linear_bwd *a)
{
    vx_linear_bwd b = *a;
    b.dx = vx_floats(a->dx, a->dx_n);
    b.dy = vx_read_floats(a->dy, a->dy_n);
    b.pre = vx_read_floats(a->pre, a->pre_n);
    b.dx_n = NULL;
    b.dy_n = NULL;
    b.pre_n = NULL;
    return b;
}

static inline vx_layernorm vx_layernorm_floats(const vx_layernorm *a)
{
    vx_layernorm b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.x = vx_read_floats(a->x, a->x_n);
    b.y_n = NULL;
    b.x_n = NULL;
    return b;
}

static inline vx_layernorm_bwd vx_layernorm_bwd_floats(const vx_layernorm_bwd *a)
{
    vx_layernorm_bwd b = *a;
    b.dx = vx_floats(a->dx, a->dx_n);
    b.dy = vx_read_floats(a->dy, a->dy_n);
    b.x = vx_read_floats(a->x, a->x_n);
    b.pre = vx_read_floats(a->pre, a->pre_n);
    b.dx_n = NULL;
    b.dy_n = b.x_n = b.pre_n = NULL;
    return b;
}

static inline vx_rotate vx_rotate_floats(const vx_rotate *a)
{
    vx_rotate b = *a;
    b.qkv = vx_floats(a->qkv, a->qkv_n);
    b.qkv_n = NULL;
    return b;
}

static inline vx_attention vx_attention_floats(const vx_attention *a)
{
    vx_attention b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.qkv = vx_read_floats(a->qkv, a->qkv_n);
    b.y_n = NULL;
    b.qkv_n = NULL;
    return b;
}

static inline vx_attention_replaced vx_attention_replaced_floats(const vx_attention_replaced *a)
{
    vx_attention_replaced b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.qkv = vx_read_floats(a->qkv, a->qkv_n);
    b.columns = vx_read_floats(a->columns, a->columns_n);
    b.y_n = NULL;
    b.qkv_n = NULL;
    b.columns_n = NULL;
    return b;
}

static inline vx_attention_bwd vx_attention_bwd_floats(const vx_attention_bwd *a)
{
    vx_attention_bwd b = *a;
    b.dqkv = vx_floats(a->dqkv, a->dqkv_n);
    b.dy = vx_read_floats(a->dy, a->dy_n);
    b.qkv = vx_read_floats(a->qkv, a->qkv_n);
    b.dqkv_n = NULL;
    b.dy_n = NULL;
    b.qkv_n = NULL;
    return b;
}

static inline vx_clear vx_clear_floats(const vx_clear *a)
{
    vx_clear b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.y_n = NULL;
    return b;
}

static inline vx_copy_rows vx_copy_rows_floats(const vx_copy_rows *a)
{
    vx_copy_rows b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.x = vx_read_floats(a->x, a->x_n);
    b.y_n = NULL;
    b.x_n = NULL;
    return b;
}

static inline vx_replace_channels vx_replace_channels_floats(const vx_replace_channels *a)
{
    vx_replace_channels b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.y_n = NULL;
    return b;
}

static inline vx_gather_rows vx_gather_rows_floats(const vx_gather_rows *a)
{
    vx_gather_rows b = *a;
    b.y = vx_floats(a->y, a->y_n);
    b.a = vx_read_floats(a->a, a->a_n);
    b.y_n = NULL;
    b.a_n = NULL;
    return b;
}

#endif
