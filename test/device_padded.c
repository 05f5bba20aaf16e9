/*
 * test/device_padded.c: the device "padded": ref, but vx_narrow is double, which holds every float.
 * The numbers are those of ref, bit for bit; what lies between the operations of a block is twice
 * as large. So a place in the library that takes vx_narrow for float, or for four bytes, gives
 * wrong numbers here or touches memory that is not its own.
 *
 * Each operation with narrow tensors runs the reference on copies in floats. A tensor that the
 * operation writes is copied there and back whole, for the rows that the operation leaves alone.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "as_ref.h"
#include "kernels/narrow.h"

extern const vx_device_class vx_device_padded;

static size_t narrow_bytes(const char *precision)
{
    (void)precision;
    return sizeof(double);
}

/* The floats of `count` elements; NULL for NULL. */
static float *floats_of(const vx_narrow *from, size_t count)
{
    const double *wide = (const double *)from;
    if (!from || count == 0)
        return NULL;
    float *to = malloc(count * sizeof *to);
    if (!to)
        abort();
    for (size_t i = 0; i < count; i++)
        to[i] = (float)wide[i];
    return to;
}

/* Writes them back and frees them. */
static void put_back(vx_narrow *to, float *floats, size_t count)
{
    double *wide = (double *)to;
    for (size_t i = 0; floats && i < count; i++)
        wide[i] = (double)floats[i];
    free(floats);
}

/* Elements from the first to the last of m rows of n, ld apart. */
static size_t reach(int64_t m, int64_t ld, int64_t n)
{
    return m > 0 ? (size_t)((m - 1) * (ld ? ld : n) + n) : 0;
}

static void padded_linear(vx_device *dev, const vx_linear *a)
{
    vx_linear b = *a;
    const int k = a->w->k, n = a->w->n;
    const bool one = a->y_n && a->y_n == a->pre_n; /* swiglu in place */
    const size_t x = reach(a->m, a->ldx, k), pre = reach(a->m, a->ldp, n);
    const size_t y = one ? pre : reach(a->m, a->ldy, a->act == VX_ACT_SWIGLU ? n / 2 : n);
    float *in = floats_of(a->x_n, x), *out = floats_of(a->y_n, y);
    float *kept = one ? out : floats_of(a->pre_n, pre);
    b.x = a->x_n ? in : a->x;
    b.y = a->y_n ? out : a->y;
    b.pre = a->pre_n ? kept : a->pre;
    b.x_n = b.y_n = b.pre_n = NULL;
    vx_linear_ref(dev, &b);
    free(in);
    if (!one)
        put_back(a->pre_n, kept, pre);
    put_back(a->y_n, out, y);
}

static void padded_linear_bwd(vx_device *dev, const vx_linear_bwd *a)
{
    vx_linear_bwd b = *a;
    const int wide = a->act == VX_ACT_SWIGLU ? 2 * a->w->k : a->w->k;
    const size_t dx = reach(a->m, a->lddx, wide), dy = reach(a->m, a->lddy, a->w->n);
    const size_t pre = reach(a->targets ? a->m / a->targets : 0, a->ldp, wide);
    float *out = floats_of(a->dx_n, dx), *in = floats_of(a->dy_n, dy);
    float *kept = floats_of(a->pre_n, pre);
    b.dx = a->dx_n ? out : a->dx;
    b.dy = a->dy_n ? in : a->dy;
    b.pre = a->pre_n ? kept : a->pre;
    b.dx_n = NULL;
    b.dy_n = b.pre_n = NULL;
    vx_linear_bwd_ref(dev, &b);
    free(in);
    free(kept);
    put_back(a->dx_n, out, dx);
}

static void padded_layernorm(vx_device *dev, const vx_layernorm *a)
{
    vx_layernorm b = *a;
    const int n = vx_groups(a->groups) * a->n;
    const size_t y = reach(a->m, a->ldy, n);
    float *out = floats_of(a->y_n, y), *in = floats_of(a->x_n, reach(a->m, a->ldx, n));
    b.y = a->y_n ? out : a->y;
    b.x = a->x_n ? in : a->x;
    b.y_n = NULL;
    b.x_n = NULL;
    vx_layernorm_ref(dev, &b);
    free(in);
    put_back(a->y_n, out, y);
}

static void padded_layernorm_bwd(vx_device *dev, const vx_layernorm_bwd *a)
{
    vx_layernorm_bwd b = *a;
    const int n = vx_groups(a->groups) * a->n, wide = a->act == VX_ACT_SWIGLU ? 2 * n : n;
    const size_t dx = reach(a->m, a->lddx, wide);
    const int rows = a->m ? (int)vx_forward_row(a->m - 1, a->tokens, a->targets) + 1 : 0;
    float *in = floats_of(a->dy_n, reach(a->m, a->lddy, n)), *out = floats_of(a->dx_n, dx);
    float *x = floats_of(a->x_n, reach(rows, a->ldx, n));
    float *pre = floats_of(a->pre_n, reach(rows, a->ldp, wide));
    b.dx = a->dx_n ? out : a->dx;
    b.dy = a->dy_n ? in : a->dy;
    b.x = a->x_n ? x : a->x;
    b.pre = a->pre_n ? pre : a->pre;
    b.dx_n = NULL;
    b.dy_n = b.x_n = b.pre_n = NULL;
    vx_layernorm_bwd_ref(dev, &b);
    free(in);
    free(x);
    free(pre);
    put_back(a->dx_n, out, dx);
}

static void padded_rotate(vx_device *dev, const vx_rotate *a)
{
    vx_rotate b = *a;
    const size_t count = (size_t)a->rows * 3 * (size_t)a->heads * (size_t)a->head_width;
    float *out = floats_of(a->qkv_n, count);
    b.qkv = a->qkv_n ? out : a->qkv;
    b.qkv_n = NULL;
    vx_rotate_ref(dev, &b);
    put_back(a->qkv_n, out, count);
}

static void padded_attention(vx_device *dev, const vx_attention *a)
{
    vx_attention b = *a;
    const size_t rows = a->batch == 0 ? 0 : vx_start_of(a->starts, a->batch, a->tokens);
    const size_t width = (size_t)a->heads * (size_t)a->head_width;
    float *out = floats_of(a->y_n, rows * width), *in = floats_of(a->qkv_n, rows * 3 * width);
    b.y = a->y_n ? out : a->y;
    b.qkv = a->qkv_n ? in : a->qkv;
    b.y_n = NULL;
    b.qkv_n = NULL;
    vx_attention_ref(dev, &b);
    free(in);
    put_back(a->y_n, out, rows * width);
}

static void padded_attention_replaced(vx_device *dev, const vx_attention_replaced *a)
{
    vx_attention_replaced b = *a;
    const size_t n = (size_t)a->count, width = (size_t)a->heads * (size_t)a->head_width;
    float *out = floats_of(a->y_n, n * width), *columns = floats_of(a->columns_n, n * 3 * width);
    float *in = floats_of(a->qkv_n, (size_t)a->tokens * 3 * width);
    b.y = a->y_n ? out : a->y;
    b.qkv = a->qkv_n ? in : a->qkv;
    b.columns = a->columns_n ? columns : a->columns;
    b.y_n = NULL;
    b.qkv_n = b.columns_n = NULL;
    vx_attention_replaced_ref(dev, &b);
    free(in);
    free(columns);
    put_back(a->y_n, out, n * width);
}

static void padded_attention_bwd(vx_device *dev, const vx_attention_bwd *a)
{
    vx_attention_bwd b = *a;
    const size_t width = (size_t)a->heads * (size_t)a->head_width;
    const size_t pictures = (size_t)a->batch, gradients = pictures * (size_t)a->targets;
    const size_t dqkv = gradients * (size_t)a->tokens * 3 * width;
    float *out = floats_of(a->dqkv_n, dqkv);
    float *in = floats_of(a->dy_n, gradients * (size_t)a->queries * width);
    float *qkv = floats_of(a->qkv_n, pictures * (size_t)a->tokens * 3 * width);
    b.dqkv = a->dqkv_n ? out : a->dqkv;
    b.dy = a->dy_n ? in : a->dy;
    b.qkv = a->qkv_n ? qkv : a->qkv;
    b.dqkv_n = NULL;
    b.dy_n = b.qkv_n = NULL;
    vx_attention_bwd_ref(dev, &b);
    free(in);
    free(qkv);
    put_back(a->dqkv_n, out, dqkv);
}

static void padded_clear(vx_device *dev, const vx_clear *a)
{
    vx_clear b = *a;
    float *out = floats_of(a->y_n, (size_t)a->count);
    b.y = a->y_n ? out : a->y;
    b.y_n = NULL;
    vx_clear_ref(dev, &b);
    put_back(a->y_n, out, (size_t)a->count);
}

static void padded_copy_rows(vx_device *dev, const vx_copy_rows *a)
{
    vx_copy_rows b = *a;
    const size_t y = reach(a->m, a->ldy, a->n), x = reach(a->ldx ? a->m : 1, a->ldx, a->n);
    float *out = floats_of(a->y_n, y), *in = floats_of(a->x_n, a->m ? x : 0);
    b.y = a->y_n ? out : a->y;
    b.x = a->x_n ? in : a->x;
    b.y_n = NULL;
    b.x_n = NULL;
    vx_copy_rows_ref(dev, &b);
    free(in);
    put_back(a->y_n, out, y);
}

static void padded_replace_channels(vx_device *dev, const vx_replace_channels *a)
{
    vx_replace_channels b = *a;
    const size_t y = (size_t)a->count * (size_t)a->tokens * (size_t)a->width;
    float *out = floats_of(a->y_n, y);
    b.y = a->y_n ? out : a->y;
    b.y_n = NULL;
    vx_replace_channels_ref(dev, &b);
    put_back(a->y_n, out, y);
}

static void padded_gather_rows(vx_device *dev, const vx_gather_rows *a)
{
    vx_gather_rows b = *a;
    const size_t y = reach(a->rows, a->ldy, a->width);
    int last = -1;
    for (int r = 0; r < a->rows; r++)
        last = a->from[r] > last ? a->from[r] : last;
    float *out = floats_of(a->y_n, y);
    float *in = floats_of(a->a_n, (size_t)(last + 1) * (size_t)a->width);
    b.y = a->y_n ? out : a->y;
    b.a = a->a_n ? in : a->a;
    b.y_n = NULL;
    b.a_n = NULL;
    vx_gather_rows_ref(dev, &b);
    free(in);
    put_back(a->y_n, out, y);
}

static int open_padded(vx_device **out, const vx_device_env *env, const char *precision,
                       unsigned features, char *err, size_t err_size)
{
    const int failed = as_ref_open(out, &vx_device_padded, "scalar reference, narrow type double",
                                   env, precision, features, err, err_size);
    if (failed)
        return failed;
    vx_ops *ops = &(*out)->ops;
    ops->linear = padded_linear;
    ops->linear_bwd = padded_linear_bwd;
    ops->layernorm = padded_layernorm;
    ops->layernorm_bwd = padded_layernorm_bwd;
    ops->rotate = padded_rotate;
    ops->attention = padded_attention;
    ops->attention_replaced = padded_attention_replaced;
    ops->attention_bwd = padded_attention_bwd;
    ops->clear = padded_clear;
    ops->copy_rows = padded_copy_rows;
    ops->replace_channels = padded_replace_channels;
    ops->gather_rows = padded_gather_rows;
    return 0;
}

const vx_device_class vx_device_padded = {
    .name = "padded",
    .host_memory = 0,
    .precision_at = vx_host_precision_at,
    .packings = vx_host_packings,
    .packing_for = vx_host_packing_for,
    .narrow_bytes = narrow_bytes,
    .probe = vx_host_probe,
    .open = open_padded,
    .close = as_ref_close,
    .reserve = as_ref_reserve,
    .reserve_bytes = as_ref_reserve_bytes,
    .mem_alloc = vx_host_mem_alloc,
    .mem_free = vx_host_mem_free,
    .mem_write = vx_host_mem_copy,
    .mem_read = vx_host_mem_copy,
    .mem_copy = vx_host_mem_copy,
    .upload = vx_host_copy,
    .download = vx_host_copy,
    .sync = as_ref_sync,
};
