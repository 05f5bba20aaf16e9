/*
 * measure/stats.h: the inside of a collection of attention statistics.
 *
 * The engine runs a batch with a watched plan (engine/trace.h). Behind each block the watch gives
 * the block's attention and output to vx_stats_block, where workers tally chunks of query rows of
 * all pictures; the chunks of a picture are then added in order, so the numbers do not depend on
 * who did what. A call adds to a copy of the totals: a failure leaves `now` as it was.
 */
#ifndef VX_MEASURE_STATS_H
#define VX_MEASURE_STATS_H

#include "engine/run.h"
#include "measure/tally.h"

#define VX_STATS_TASKS 16 /* at least so many parts for the workers to share */
#define VX_STATS_WARNINGS 5
#define VX_STATS_WARNING_TEXT 320

/* Over pictures. L layers, H heads, N patches. */
typedef struct vx_totals {
    int64_t *pictures; /* [1] */
    double *mean;      /* [VX_STAT_COUNT,L,H] */
    double *square;    /* [VX_STAT_COUNT,L,H]: sum of squared distances from the mean */
    double *cosine;    /* [L,H,H]: means */
    double *median;    /* [L]: mean of the pictures' median norms */
    double *largest;   /* [L]: largest norm over the median */
    int64_t *count;    /* [L]: artifact tokens */
    int64_t *with;     /* [L]: pictures that have any */
    int64_t *places;   /* [L,N]: artifacts at each place */
} vx_totals;

/* Looks at the attention [n,H,T,T] of block `layer` of a batch, in host memory, too. */
typedef int vx_stats_also(void *payload, int layer, const float *attention);

struct vitx_stats {
    vitx_hooks hooks;
    vitx_context *context;
    vx_arch arch;
    vx_tally_common common;
    vx_plan plan;
    int batch;   /* pictures at a time */
    int chunks;  /* parts of a picture's query rows */
    int running; /* pictures of the batch under way */
    vx_stats_also *also;
    void *also_for;

    void *memory; /* of everything below */
    size_t totals_bytes;
    void *now_at, *next_at; /* totals lie in one piece */
    vx_totals now;          /* what is handed out */
    vx_totals next;         /* of the call under way */

    /* What follows from `now`: vx_stats_judge. */
    double *spread;        /* [VX_STAT_COUNT,L,H] */
    vitx_head_info *heads; /* [L,H] */
    char (*warnings)[VX_STATS_WARNING_TEXT];
    int warning_count;

    /* Work on a batch of B pictures. */
    vx_tally *tallies;    /* [B,chunks] */
    vx_tally_room *rooms; /* [workers] */
    double *values;       /* [B,VX_STAT_COUNT,H] */
    double *cosines;      /* [B,H,H] */
    double *norms;        /* [B,T] */
    double *sorted;       /* [N] */
    float *attention;     /* [B,H,T,T] on the host, if it cannot read the device; else NULL */
    float *output;        /* [B,T,D], the same */
};

/* N, the patches of a picture. */
static inline size_t vx_stats_patches(const vitx_stats *s)
{
    return (size_t)(s->common.tokens - s->common.prefix);
}

/* Adding to a copy of the totals: begin; for batch after batch block with every layer, then count;
 * then end, which makes the copy valid. attention [n,H,T,T] and output [n,T,D] are host memory,
 * n <= s->batch. VITX_FORMAT if they are not finite. */
void vx_stats_begin(vitx_stats *s);
int vx_stats_block(vitx_stats *s, int layer, const float *attention, const float *output, int n);
void vx_stats_count(vitx_stats *s, int n);
void vx_stats_end(vitx_stats *s);

/* vitx_stats_add for one picture, in a public call that has entered the context. Every block is
 * shown to `also`; afterwards the picture's answers are in the context, and the attention of a
 * pooling head in s->plan.pool_p. */
int vx_stats_add_watched(vitx_stats *s, const vitx_image *image, vx_stats_also *also,
                         void *payload);

/* Fills spread, heads and warnings (verdict.c). */
void vx_stats_judge(vitx_stats *s);

#endif
