/* engine/feed.c: see feed.h. */
#include "engine/feed.h"

#include <math.h>
#include <string.h>

#include "engine/run.h"
#include "engine/size.h"

static size_t input_floats(const vitx_context *c, const vx_feed *feed)
{
    return (size_t)c->arch.channels * (size_t)feed->height * (size_t)feed->width;
}

int vx_feed_check(const vitx_context *c, const vx_feed *feed, int n)
{
    if (feed->images)
        return VITX_OK;
    VX_TRY(vx_size_check_input(c, feed->height, feed->width));
    const size_t floats = input_floats(c, feed), row = (size_t)feed->width;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < floats; k++) {
            const float v = feed->tensors[(size_t)i * floats + k];
            if (!isfinite(v))
                return vx_fail(VITX_INVALID,
                               "input %d holds %s in channel %zu, row %zu, column %zu", i,
                               isnan(v) ? "a NaN" : "an infinity", k / row / (size_t)feed->height,
                               k / row % (size_t)feed->height, k % row);
        }
    return VITX_OK;
}

int vx_feed_alike(const vitx_context *c, const vx_feed *feed, int first, int n)
{
    return feed->images ? vx_size_alike(c, feed->images + first, n) : n;
}

int vx_feed_measure(int *alike, vitx_context *c, const vx_feed *feed, int first, int n)
{
    VX_TRY(feed->images ? vx_size_measure(c, feed->images[first])
                        : vx_size_measure_input(c, feed->height, feed->width));
    *alike = vx_feed_alike(c, feed, first, n);
    return VITX_OK;
}

typedef struct copying {
    const float *from;
    size_t floats;
} copying;

static void copy_input(const void *payload, int v, float *input, int worker)
{
    (void)worker;
    const copying *k = payload;
    memcpy(input, k->from + (size_t)v * k->floats, k->floats * sizeof *input);
}

int vx_feed_run(vitx_context *c, const vx_feed *feed, int first, int n, int next, vx_plan *plan)
{
    if (feed->images)
        return vx_context_run(c, feed->images + first, n, next, plan);
    VX_TRY(vx_size_take_input(c, feed->height, feed->width));
    const copying k = {feed->tensors, input_floats(c, feed)};
    return vx_context_run_inputs(c, NULL, &(vx_inputs){copy_input, &k, NULL}, first, n, plan);
}
