/*
 * report/code.h: attention weights as bytes.
 *
 * A block of G heads and R query rows over T keys, of which the first P are prefix tokens and N are
 * patches (little-endian):
 *
 *      scale  f16 [G,R]     the row's largest patch weight, rounded to half
 *      prefix f16 [G,R,P]   the row's weights on the prefix tokens
 *      weight u8  [G,R,N]   round(255 sqrt(a / scale)), at most 255; 0 if scale is 0
 *
 * So a = scale (u / 255)^2 is off by 1/255 of the scale at most, and small weights by far less: a
 * linear step would lose most of them. The prefix stands apart because its weights, which are often
 * the largest of the row, would take the scale.
 */
#ifndef VX_REPORT_CODE_H
#define VX_REPORT_CODE_H

#include <vitx/base.h>

#include "report/pack.h"

/* Attention [H,R,T] somewhere in memory. */
typedef struct vx_record_rows {
    const char *data;
    vitx_dtype dtype;
    int64_t stride[3]; /* of head, row and key, in elements */
    int heads, rows, tokens, prefix;
} vx_record_rows;

/* f32 without gaps. */
vx_record_rows vx_record_rows_of(const float *data, int heads, int rows, int tokens, int prefix);

typedef enum vx_take {
    VX_TAKE_ALL = 0, /* as it is */
    VX_TAKE_MEAN,    /* the mean over the heads: G = 1 */
    VX_TAKE_QUERY    /* of each head one row: R = 1 */
} vx_take;

/*
 * The block, compressed. `query` is what the model's head reads: a row, or VX_QUERY_PATCHES or
 * VX_QUERY_PREFIX (kernels/ops.h), the mean over several. `fused` (NULL: not wanted; not with
 * VX_TAKE_QUERY) is what rollout needs beside it (report/fused.h), or none. VITX_INVALID, naming
 * `what`, if there is a number that is no weight.
 */
int vx_code_attention(vx_packed *out, vx_packed *fused, const vx_record_rows *rows, vx_take take,
                      int query, const char *what, vx_pool *pool, const vitx_hooks *hooks);

/* Row `r` of head `h` as f32 without gaps: in place, or copied to room [T]. */
const float *vx_rows_read(float *room, const vx_record_rows *from, int h, int r);
/* The mean of rows first..end-1 of heads h0..h1-1, in room [2,T]. */
const float *vx_rows_mean(float *room, const vx_record_rows *from, int h0, int h1, int first,
                          int end);

/* One row of T weights: scale [2], prefix [2P] and weight [N] are bytes. False if one of the
 * numbers is no weight. */
bool vx_code_row(uint8_t *scale, uint8_t *prefix, uint8_t *weight, const float *row, int tokens,
                 int prefix_tokens);
/* Bytes of such a block before they are compressed; (size_t)-1 if there are too many to count. */
size_t vx_code_bytes(int heads, int rows, int tokens, int prefix);

/* f32 or half, little-endian. */
void vx_put_floats(uint8_t *out, const float *values, size_t count);
void vx_put_halves(uint8_t *out, const float *values, size_t count);

#endif
