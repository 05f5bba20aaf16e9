/*
 * report/record.h: the attention of one picture, as much of it as the picture's share of the file
 * holds.
 *
 * Blocks are coded while they come, in up to three ways, and what does not fit any more is dropped
 * at once:
 *
 *      all    every head        until the sum is above the share; then only that of the last block
 *      mean   over the heads    the first ones make way for the last ones
 *      row    of the query      until the sum is above the share
 *
 * Only the first way is coded if it is known to fit (vx_record_expect).
 *
 * When all have come, vx_record_settle keeps the richest way that fits:
 *
 *      ALL    all
 *      MEAN   mean and row of every block, and all of the last one if there is room
 *      CLASS  row of every block, and mean of the last ones
 *      NONE   nothing
 */
#ifndef VX_REPORT_RECORD_H
#define VX_REPORT_RECORD_H

#include <vitx/report.h>

#include "report/code.h"

/* Base64 of so many bytes, with the tags around it. */
#define VX_BLOCK_TAGS 72
size_t vx_block_bytes(size_t packed);

typedef enum vx_way { VX_WAY_ALL = 0, VX_WAY_MEAN, VX_WAY_ROW, VX_WAYS } vx_way;

typedef struct vx_report_layer {
    vx_packed code[VX_WAYS];
    vx_packed fused[VX_WAYS]; /* beside `code`, for rollout: report/fused.h; none of ROW */
    bool came;                /* something was given for this block */
} vx_report_layer;

typedef struct vx_record {
    vitx_report_level wish; /* AUTO, or the one to keep whatever the size */
    size_t share;           /* bytes of the file */
    int layers;             /* 0: nothing was started */
    vx_report_layer *layer; /* [layers] */
    vx_packed pool, pool_fused;
    bool all_gone, row_gone; /* did not fit */
    bool whole;              /* every head of every block fits, however badly it compresses */
    bool settled;
    vitx_report_level level; /* when settled */
    char left_out[256];      /* when settled: a sentence, or "" */
} vx_record;

int vx_record_start(vx_record *record, int layers, vitx_report_level wish, size_t share,
                    const vitx_hooks *hooks);
/* All blocks will come as [heads,tokens,tokens], and that of a pooling head of `pool` heads (0:
 * none). If the share is large enough for it whatever the numbers are, no poorer way is coded. */
void vx_record_expect(vx_record *record, int heads, int tokens, int prefix, int pool);
/* `rows` is [H,T,T], [1,T,T] or [H,1,T]. */
int vx_record_layer(vx_record *record, int layer, const vx_record_rows *rows, int query,
                    vx_pool *pool, const vitx_hooks *hooks);
int vx_record_pool(vx_record *record, const vx_record_rows *rows, const vitx_hooks *hooks);
/* What is kept for rollout of a block: beside all heads, or beside their mean. */
vx_packed *vx_record_fused(vx_report_layer *layer);
void vx_record_settle(vx_record *record, const vitx_hooks *hooks);
/* Bytes of the file that it takes now. */
size_t vx_record_bytes(const vx_record *record);
void vx_record_dispose(vx_record *record, const vitx_hooks *hooks);

#endif
