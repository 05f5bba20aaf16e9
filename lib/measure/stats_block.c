/* measure/stats_block.c: what one block of a batch adds to the totals. */
#include <math.h>
#include <string.h>

#include "measure/stats.h"

typedef struct block {
    vitx_stats *s;
    int layer;
    const float *attention, *output;
} block;

static void take_norms(double *norms, const float *x, int first, int last, int width)
{
    for (int t = first; t < last; t++) {
        const float *token = x + (size_t)t * (size_t)width;
        double sum = 0;
        for (int d = 0; d < width; d++)
            sum += (double)token[d] * (double)token[d];
        norms[t] = sqrt(sum);
    }
}

/* One chunk of the rows of one picture. */
static void tally_chunk(void *arg, int i, int worker)
{
    const block *b = arg;
    vitx_stats *s = b->s;
    const size_t t = (size_t)s->common.tokens, picture = (size_t)(i / s->chunks);
    const size_t heads = (size_t)s->arch.heads, width = (size_t)s->arch.width;
    const int first = (int)((int64_t)s->common.tokens * (i % s->chunks) / s->chunks),
              last = (int)((int64_t)s->common.tokens * (i % s->chunks + 1) / s->chunks);
    vx_tally_clear(&s->tallies[i], &s->common);
    vx_tally_rows(&s->tallies[i], b->attention + picture * heads * t * t, first, last, &s->common,
                  &s->rooms[worker]);
    take_norms(s->norms + picture * t, b->output + picture * t * width, first, last, s->arch.width);
}

/* All chunks of one picture, in order. */
static void tally_picture(void *arg, int i, int worker)
{
    const block *b = arg;
    vitx_stats *s = b->s;
    const size_t heads = (size_t)s->arch.heads, picture = (size_t)i;
    vx_tally *tally = &s->tallies[picture * (size_t)s->chunks];
    (void)worker;
    for (int k = 1; k < s->chunks; k++)
        vx_tally_add(tally, tally + k, &s->common);
    vx_tally_values(s->values + picture * VX_STAT_COUNT * heads,
                    s->cosines + picture * heads * heads, tally, &s->common);
}

static int check_picture(const block *b, int i)
{
    const vitx_stats *s = b->s;
    const double *norms = s->norms + (size_t)i * (size_t)s->common.tokens;
    const int bad = s->tallies[(size_t)i * (size_t)s->chunks].bad_head;
    if (bad >= 0)
        return vx_fail(VITX_FORMAT,
                       "the attention of block %d, head %d is not finite: the model's weights "
                       "overflow in single precision",
                       b->layer, bad);
    for (int t = 0; t < s->common.tokens; t++)
        if (!isfinite(norms[t]))
            return vx_fail(VITX_FORMAT,
                           "the output of block %d is not finite: the model's weights overflow in "
                           "single precision",
                           b->layer);
    return VITX_OK;
}

/* The mean, and the sum of squared distances from it, with value number `n` (Welford 1962). */
static void fold(double *mean, double *square, double value, int64_t n)
{
    const double before = value - *mean;
    *mean += before / (double)n;
    *square += before * (value - *mean);
}

/* Picture `i` of the batch becomes number `n` of the collection. */
static void fold_heads(const block *b, int i, int64_t n)
{
    vitx_stats *s = b->s;
    const size_t heads = (size_t)s->arch.heads, layer = (size_t)b->layer;
    const double *values = s->values + (size_t)i * VX_STAT_COUNT * heads;
    const double *cosines = s->cosines + (size_t)i * heads * heads;
    for (size_t stat = 0; stat < VX_STAT_COUNT; stat++) {
        const size_t at = (stat * (size_t)s->arch.depth + layer) * heads;
        for (size_t h = 0; h < heads; h++)
            fold(&s->next.mean[at + h], &s->next.square[at + h], values[stat * heads + h], n);
    }
    double *mean = s->next.cosine + layer * heads * heads;
    for (size_t k = 0; k < heads * heads; k++)
        mean[k] += (cosines[k] - mean[k]) / (double)n;
}

static void fold_norms(const block *b, int i, int64_t n)
{
    vitx_stats *s = b->s;
    const size_t layer = (size_t)b->layer, patches = vx_stats_patches(s);
    const double *norms = s->norms + (size_t)i * (size_t)s->common.tokens + s->common.prefix;
    int64_t *places = s->next.places + layer * patches, found = 0;
    double largest = 0;
    memcpy(s->sorted, norms, patches * sizeof *norms);
    const double median = vx_median(s->sorted, (int)patches);
    for (size_t p = 0; p < patches; p++) {
        const bool artifact = median > 0 && norms[p] > VITX_STATS_ARTIFACT * median;
        places[p] += artifact;
        found += artifact;
        largest = fmax(largest, norms[p]);
    }
    s->next.count[layer] += found;
    s->next.with[layer] += found > 0;
    s->next.median[layer] += (median - s->next.median[layer]) / (double)n;
    if (median > 0)
        s->next.largest[layer] = fmax(s->next.largest[layer], largest / median);
}

int vx_stats_block(vitx_stats *s, int layer, const float *attention, const float *output, int n)
{
    block b = {s, layer, attention, output};
    vx_pool_run(s->context->pool, tally_chunk, &b, n * s->chunks);
    vx_pool_run(s->context->pool, tally_picture, &b, n);
    for (int i = 0; i < n; i++)
        VX_TRY(check_picture(&b, i));
    for (int i = 0; i < n; i++) {
        fold_heads(&b, i, *s->next.pictures + i + 1);
        fold_norms(&b, i, *s->next.pictures + i + 1);
    }
    return VITX_OK;
}
