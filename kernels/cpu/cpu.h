/*
 * kernels/cpu/cpu.h: an instance of the device "cpu".
 *
 * Two tables: base.ops, which the engine calls and which spreads the work over the workers, and
 * `serial`, one thread's share of it. `serial` begins as the reference; the rows of cpu.def replace
 * it by the version for the best instruction set (isa.def) that the processor has. `pieces` are
 * parts of operations, chosen in the same way.
 */
#ifndef VX_CPU_CPU_H
#define VX_CPU_CPU_H

#include "kernels/cpu/blas.h"
#include "kernels/device.h"
#include "kernels/narrow.h"

/* y[m,n] = residual + gamma * act(c + bias): what follows the product in a linear. y may be c, and
 * residual may be y. */
typedef struct vx_epilogue {
    float *y;
    const float *c;
    const float *bias, *gamma; /* [n] or NULL */
    const float *residual;     /* [m,n] or NULL */
    int ldy, ldc, ldr;
    vx_act act;
    int m, n;
} vx_epilogue;

/* c[m,n] = alpha a b (+ c). a is [m,k], or [k,m] with a_is_km; b is [n,k], or [k,n] with
 * b_is_kn. */
typedef struct vx_gemm {
    float *c;
    const float *a, *b;
    int ldc, lda, ldb;
    int a_is_km, b_is_kn, accumulate;
    float alpha;
    int m, n, k;
    int whole_m; /* if this is a tile: rows of the product, which say how it is multiplied; or 0 */
} vx_gemm;

typedef void vx_epilogue_fn(const vx_epilogue *e);
/* acc[n] = acc + x, max(acc, x) or min(acc, x); x is recorded attention. NaN stays. */
typedef void vx_fuse_fn(float *acc, const void *x, vx_store store, size_t n, vx_fuse fuse);
/* dst[n] = src[n] * scale, either of them f32 or f16. dst may be src. */
typedef void vx_convert_fn(void *dst, vx_store to, const void *src, vx_store from, float scale,
                           size_t n);
/* to[m,n] = x by, every row by its own factor: a strip of attention as it is recorded. */
typedef struct vx_record_rows {
    void *to;
    vx_store store;
    size_t ldt; /* elements from row to row */
    const float *x;
    size_t ldx;
    const float *by; /* [m] */
    int m, n;
} vx_record_rows;
typedef void vx_record_rows_fn(const vx_record_rows *r);
/* to, which is f32, fused with that as in fuse. */
typedef void vx_fuse_rows_fn(const vx_record_rows *r, vx_fuse fuse);
/* Products of few rows, a [m,k]: every row of b is read once. b is [n,k], of the second [k,n]. */
typedef void vx_gemm_few_fn(const vx_gemm *g);
typedef void vx_gemm_few_kn_fn(const vx_gemm *g);
/* Our own product: where it is the faster one, and where there is no BLAS. pack: VX_GEMM_PACK. */
typedef void vx_gemm_own_fn(const vx_gemm *g, float *pack);
#define VX_GEMM_ROWS 192
#define VX_GEMM_DEPTH 256
#define VX_GEMM_COLUMNS 512
#define VX_GEMM_PACK (VX_GEMM_DEPTH * VX_GEMM_COLUMNS + VX_GEMM_ROWS * (VX_GEMM_DEPTH + 16))
/* Rows up to which gemm_few and gemm_few_kn are faster than the others. */
#define VX_GEMM_FEW 4
#define VX_GEMM_FEW_KN 6

/* y[m,n] = a[m,k] b[n,k]^T + bias[n] + add[m,n], summed in double and rounded once. Rows of y and
 * add are n long; bias and add may be NULL. pack: VX_WIDE_LINES + m times VX_WIDE_COLUMNS
 * doubles. */
typedef struct vx_wide {
    float *y;
    const double *a;
    const float *b, *bias, *add;
    double *pack;
    size_t lda; /* from row to row of a */
    int m, n, k;
} vx_wide;
typedef void vx_gemm_wide_fn(const vx_wide *g);
#define VX_WIDE_COLUMNS 16
#define VX_WIDE_LINES 256
#define VX_WIDE_APART 8 /* doubles of a line */

/* The number formats of packed matrices (panels.h). */
typedef enum vx_number {
    VX_NUMBER_F32 = 0,
    VX_NUMBER_BF16X3,
    VX_NUMBER_BF16,
    VX_NUMBER_INT8,
    VX_NUMBERS
} vx_number;

/* Rows of x into the form of a product: to [m, steps lines] with space between them, filled up with
 * 0. Of int8 x is scale (q - zero), q being 0..255, and a row's scale and zero are scales[i] and
 * scales[VX_ROW_SCALES + i]; else those are not written. */
typedef struct vx_panel_rows {
    char *to;
    size_t ldt; /* bytes from row to row: vx_panel_row, or more */
    float *scales;
    const float *x; /* [m,k], rows ldx apart */
    int ldx, m, k;
} vx_panel_rows;
typedef void vx_rows_bf16_fn(const vx_panel_rows *r);
typedef void vx_rows_bf16x3_fn(const vx_panel_rows *r);
typedef void vx_rows_int8_fn(const vx_panel_rows *r);
/* The same with row i of x times by[i]: of bf16 or bf16x3. */
typedef void vx_rows_scaled_fn(const vx_panel_rows *r, const float *by, vx_number number);

/* What follows a product of packed matrices: y[m,n] = residual + gamma * act(c + bias), as floats
 * or as packed rows. next() does a row of 32 columns, or what is left of them: so little that the
 * tiles, which leave the vectors alone, go on multiplying meanwhile. */
#define VX_FINISH_COLUMNS 32
typedef struct vx_finish vx_finish;
typedef void vx_finish_next_fn(vx_finish *f);
struct vx_finish {
    vx_finish_next_fn *next; /* what the piece `finish` gives */
    const float *c;          /* rows ldc apart, whole panels */
    const float *scales;     /* of int8, whose sums c are not scaled yet (vx_panel_rows); or NULL */
    const char *tail;        /* ... and the tail of the first panel (panels.h), tail_apart apart */
    const float *bias, *gamma; /* [n] or NULL */
    const float *residual;     /* floats alone; or NULL */
    float *pre;                /* c + bias is written there, too; or NULL */
    char *y;                   /* or NULL; packed rows begin a line */
    vx_number to;              /* what y is written as; VX_NUMBER_F32: floats */
    size_t ldc, ldr, ldp;
    size_t ldy, tail_apart, part_apart; /* in bytes */
    int part;                           /* y has parts of so many columns, part_apart apart; or 0 */
    int from;                           /* where in the first of them column 0 lies */
    int m, n, row, column;              /* where next() goes on: rows first */
};
/* @return what next() is for an activation; of VX_ACT_SWIGLU, which y is made by later: for none */
typedef vx_finish_next_fn *vx_finish_fn(vx_act act);

/* c[m, 16 panels] = rows times panels, as f32. Every element is summed over k in the same order,
 * whatever m and panels are. */
typedef struct vx_panel_product {
    float *c;
    int ldc;
    const char *a; /* packed rows, lda bytes apart; of f32 the rows of x themselves */
    size_t lda;
    const float *scales;  /* of int8; NULL: c becomes the int32 sums */
    vx_finish *meanwhile; /* whose next() may be called while it is multiplied; or NULL */
    const char *b;        /* panels, ldb bytes apart */
    size_t ldb;
    int m, panels, steps;
    int k;    /* of f32: columns of x that there are */
    int more; /* added to what c holds; not of int8, whose sums are scaled at the end */
} vx_panel_product;
typedef void vx_panels_f32_fn(const vx_panel_product *p);
typedef void vx_panels_bf16_fn(const vx_panel_product *p);
typedef void vx_panels_bf16x3_fn(const vx_panel_product *p);
typedef void vx_panels_int8_fn(const vx_panel_product *p);

/* The product of a strip of attention: m is the number of rows that strip_rows of this thread was
 * called with last, 1 to VX_STRIP_ROWS, and `more` is 0. bf16 or bf16x3. NULL: panels_<format>. */
typedef void vx_strip_product_fn(const vx_panel_product *p, vx_number number);
/* 0: there are no more strips. */
typedef void vx_strip_rows_fn(int rows);
#define VX_STRIP_ROWS 32

/* Multiplies nothing but x, `rounds` times, and adds to sums [VX_PEAK_SUMS]. x: VX_STEP bytes.
 * @return operations; a multiplication and its addition are two */
typedef double vx_peak_fn(float *sums, const char *x, int64_t rounds);
typedef vx_peak_fn vx_peak_f32_fn, vx_peak_bf16_fn, vx_peak_int8_fn;
#define VX_PEAK_SUMS 1024

/* Panels of a matrix that is no weight: to[panels], x being [n,k], or [k,n] with x_is_kn. f32,
 * bf16 or bf16x3. The matrix may be packed rows of the same format instead of floats: then the
 * length of a row is a multiple of 32. */
typedef struct vx_panels_of {
    char *to;
    const float *x; /* rows ldx apart */
    int ldx, x_is_kn;
    int n, k;
    vx_number number;
    const char *rows; /* packed rows, ldr bytes apart, in place of x; or NULL */
    size_t ldr;
} vx_panels_of;
typedef void vx_panels_of_fn(const vx_panels_of *p);
/* The columns of x, which is [k,n], as packed rows: to[n]. bf16 or bf16x3. */
typedef void vx_rows_of_fn(const vx_panels_of *p);

/* Panels of W^T from those of W [n,k], for some columns of it. f32 and bf16 stay what they are,
 * int8 becomes bf16. */
typedef struct vx_turned {
    char *to;                 /* [panels] */
    const char *from;         /* the first column in the first panel of W: one that begins a step */
    const char *tail;         /* of the first panel of W */
    const float *gamma;       /* [n] what the rows of W are multiplied by, or NULL */
    size_t panel, from_panel; /* bytes from panel to panel */
    int panels, n;
    vx_number number; /* of W */
} vx_turned;
typedef void vx_turned_fn(const vx_turned *t);

/* x[m,n] = exp(scale (x - largest of its row)), scale > 0; and by[m] = 1 / the sum of a row of
 * them. to: the same as packed rows, ldt bytes apart, of bf16 and bf16x3. These need not be written
 * to x: only if kept. */
typedef struct vx_exponentials {
    float *x; /* rows ldx apart */
    float *by;
    char *to;
    size_t ldx, ldt;
    vx_number number;
    float scale;
    int m, n, kept;
} vx_exponentials;
typedef void vx_exponentials_fn(const vx_exponentials *a);

/* y[n] *= act'(x[n]) */
typedef void vx_slope_fn(float *y, const float *x, vx_act act, size_t n);
/* One row of swiglu and of swiglu_bwd: n columns of the result, 2n of x and dx. */
typedef void vx_swiglu_row_fn(float *y, const float *x, size_t n);
typedef void vx_swiglu_bwd_row_fn(float *dx, const float *dy, const float *x, size_t n);
/* One row of layernorm_bwd. */
typedef void vx_layernorm_bwd_row_fn(const vx_layernorm_bwd *a, float *dx, const float *dy,
                                     const float *x);
/* One head of rotate: the pairs of x [2n], by table [2n]. */
typedef void vx_rotate_head_fn(float *x, const float *table, int half, int inverse, size_t n);
/* ds[m,n] = scale * p * (dp - rowsum(p * dp)). ds may be p or dp. */
typedef void vx_softmax_bwd_fn(float *ds, const float *p, const float *dp, float scale, int m,
                               int n);

/* acc[n] += p * dp, of VX_PRODUCT_RELU_MEAN max(p * dp, 0). */
typedef void vx_product_fn(float *acc, const float *p, const float *dp, vx_product kind, size_t n);
/* y[n] = max(x[n] * scale, 0). y may be x. */
typedef void vx_scaled_relu_fn(float *y, const float *x, float scale, size_t n);
/* acc[n] += over rows, ld apart, of max(x, 0). */
typedef void vx_relu_sums_fn(double *acc, const float *x, size_t ld, size_t rows, size_t n);
/* w[n]: what n channels of a and g [T,.], rows ld apart, weigh; VX_CAM_GRADCAM, _PLUSPLUS,
 * _XGRAD. */
typedef void vx_cam_weights_fn(double *w, const float *a, const float *g, vx_cam kind, size_t ld,
                               size_t tokens, size_t n);
/* One token of token_cam; w is that of vx_cam_weights_fn, where the kind has weights. */
typedef double vx_cam_token_fn(const double *w, const float *a, const float *g, vx_cam kind,
                               size_t n);
/* y[T,n] = a, times g where that is not NULL, less the mean over T; rows ldy and lda apart. */
typedef void vx_centre_fn(float *y, size_t ldy, const float *a, const float *g, size_t lda,
                          size_t tokens, size_t n);
/* n pixels of the operations of these names, whose samples or channels lie `step` apart. */
typedef void vx_weighted_sums_fn(float *sum, const float *x, const float *weights, int squared,
                                 int s, size_t step, size_t n);
typedef void vx_reduced_fn(float *out, const float *g, const float *x, vx_reduce kind, int c,
                           size_t step, size_t n);

#define VX_SPREAD(op)
#define VX_PLAIN(op)
#define VX_KERNEL(op)
#define VX_PIECE(name) vx_##name##_fn *name;
typedef struct vx_pieces {
#include "kernels/cpu/cpu.def"
} vx_pieces;
#undef VX_SPREAD
#undef VX_PLAIN
#undef VX_KERNEL
#undef VX_PIECE

/* A strip of probabilities, of patches, or of a product, per worker: 1 MiB, unless what has to be
 * there at once is more. */
#define VX_STRIP_FLOATS (256 * 1024)

/* Packed rows of x, per worker: what stays in the second cache, and at least one row. */
#define VX_ROWS_BYTES ((size_t)1 << 20)
#define VX_ROW_SCALES 1024

/* What all workers read, at most: columns of a matrix that are turned at once, patches that are
 * packed at once. */
#define VX_SHARED_BYTES ((size_t)8 << 20)

/* One worker's memory. */
typedef struct vx_cpu_room {
    float *strip;  /* [strip_floats] */
    float *row;    /* [tokens] */
    float *part;   /* [2,tokens,head_width]: the share of one task in a head's dk and dv */
    char *panels;  /* four matrices [tokens,head_width] or the other way, in any format */
    float *pack;   /* [VX_GEMM_PACK] */
    char *rows;    /* [rows_bytes] of a packed product: rows of x, or of the matrix in f32 */
    float *scales; /* [2,VX_ROW_SCALES] of such rows */
    size_t strip_floats, rows_bytes;
} vx_cpu_room;

typedef struct vx_cpu {
    vx_device base;
    vx_ops serial;
    vx_pieces pieces;
    const vx_blas *blas; /* NULL: gemm_own alone */
    unsigned flags;      /* VX_CPU_* in use */
    vx_number number;    /* of the precision */
    char *memory;        /* all workers' scratch, and behind it: */
    char *shared;        /* [shared_bytes] panels of W^T (panel_linear_bwd.c), or packed patches */
    size_t shared_bytes;
    vx_dims max;          /* what it was reserved for */
    struct vx_cpu *alone; /* [workers] for one worker each, without `alone` and `shared` */
} vx_cpu;

#define VX_SPREAD(op) vx_##op##_fn vx_##op##_cpu;
#define VX_PLAIN(op) vx_##op##_fn vx_##op##_plain;
#define VX_KERNEL(op)
#define VX_PIECE(name)
#include "kernels/cpu/cpu.def"
#undef VX_SPREAD
#undef VX_PLAIN
#undef VX_KERNEL
#undef VX_PIECE

/* vx_fill_<isa>: the kernels and pieces of one instruction set (fill_vec.h). */
typedef void vx_fill_fn(vx_ops *serial, vx_pieces *pieces);
#define VX_ISA(name, bit, label, ecx1, ebx7, xcr0) vx_fill_fn vx_fill_##name;
#include "kernels/cpu/isa.def"
#undef VX_ISA

/* vx_extend_<extension>: what an extension has of its own, in place of the instruction set's. */
typedef void vx_extend_fn(vx_pieces *pieces);
#define VX_EXTENSION(name, bit, on, ecx7, edx7, eax71, xcr0) vx_extend_fn vx_extend_##name;
#include "kernels/cpu/extensions.def"
#undef VX_EXTENSION

/* Asks the system for the tiles of AMX, for the whole process. @return whether it has them */
int vx_cpu_allow_tiles(void);

/* The bits of isa.def and extensions.def that the processor has and whose registers the system
 * saves (features.c). */
unsigned vx_cpu_features(void);

static inline vx_cpu *vx_cpu_of(vx_device *dev)
{
    return (vx_cpu *)dev;
}

vx_cpu_room vx_cpu_room_of(const vx_cpu *cpu, int worker);
void vx_cpu_gemm(const vx_cpu *cpu, int worker, const vx_gemm *g);

/* p [rows,keys], rows ldp apart, += relative, for the queries first..first+rows-1. tokens_of: of
 * the sequence. */
void vx_cpu_add_relative(const vx_cpu *cpu, float *p, size_t ldp, const vx_relative *r, int head,
                         int first, const int *tokens_of, int rows, int keys);

static inline int vx_ceil_div(int a, int b)
{
    return a / b + (a % b != 0);
}

static inline int vx_least(int a, int b)
{
    return a < b ? a : b;
}

/* How often next() is called for all of y. */
static inline int64_t vx_finish_calls(const vx_finish *f)
{
    return (int64_t)f->m * vx_ceil_div(f->n, VX_FINISH_COLUMNS);
}

/* How a product [m,n] is cut into tiles for the workers. */
typedef struct vx_tiling {
    int count, across; /* tiles in all, in a row of tiles */
    int m, n, rows, columns;
} vx_tiling;
typedef struct vx_tile {
    int m0, m, n0, n; /* first row, rows; first column, columns */
} vx_tile;

/* Tiles begin at columns that are multiples of `unit`. */
vx_tiling vx_cpu_tiling(const vx_cpu *cpu, int m, int n, int unit);
vx_tile vx_cpu_tile(const vx_tiling *t, int index);

/* dx of a tile becomes act'(pre) * dx, if the activation has a slope of its own. */
void vx_cpu_slopes(const vx_cpu *cpu, const vx_linear_bwd *a, vx_tile t);

/* Calls task(cpu, op, first, count) for parts of 0..items-1, some per worker; `least` items at
 * least. op is the operation's struct, or one of the caller's own. */
typedef void vx_part_fn(vx_cpu *cpu, const void *op, int64_t first, int64_t count);
void vx_cpu_spread(vx_cpu *cpu, vx_part_fn *task, const void *op, int64_t items, int64_t least);

#endif
