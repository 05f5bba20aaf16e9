/* cli/lanes.c: see lanes.h. */
#include "lanes.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"

enum {
    MOST_LANES = 64,
    PIECES_A_LANE = 2, /* fewer pictures run with all threads each */
    GPU_LANES = 2,     /* one prepares and copies while the other computes */
    SLOTS_A_THREAD = 3
};
/* Pictures that wait: some 3 bytes a pixel. */
#define MOST_PIXELS (INT64_C(200) * 1000 * 1000)

/* Bytes that a context may need. */
static size_t most_bytes(const struct session *session, const struct common *common,
                         enum lanes_for what)
{
    const size_t budget = common->budget ? common->budget : (size_t)1 << 30;
    const size_t traces = what == LANES_RECORD ? budget : 0, held = session->size.activation_bytes;
    return held < SIZE_MAX - traces - 1 ? held + traces + 1 : SIZE_MAX;
}

static bool on_cpu(const struct session *session)
{
    return strcmp(session->size.device, "cpu") == 0;
}

/* How many contexts; 1: it has all threads. */
static int choose(const struct session *session, const struct common *common, int pieces,
                  enum lanes_for what)
{
    const int threads = session->size.threads < MOST_LANES ? session->size.threads : MOST_LANES;
    const int most = on_cpu(session) ? threads : GPU_LANES;
    if (common->lanes)
        return common->lanes < pieces ? common->lanes : pieces;
    if (pieces < PIECES_A_LANE * most)
        return 1;
    const size_t fit = machine_memory() / 2 / most_bytes(session, common, what);
    return fit < 2 ? 1 : fit < (size_t)most ? (int)fit : most;
}

/* Pipes are read by the calling thread, which Ctrl-C reaches. */
static bool has_pipe(char **files, int count)
{
    for (int i = 0; i < count; i++)
        if (image_is_stream(files[i]))
            return true;
    return false;
}

/* The first has to be there; of the others as many as there is memory for. */
static int start_contexts(struct lanes *lanes, struct session *session, const struct common *common)
{
    struct common each = *common;
    const int threads = session->size.threads / lanes->count;
    if (lanes->count > 1)
        each.threads = threads > 1 ? threads : 1;
    const int status = session_start(session, &each, VITX_FIT_RECIPE);
    if (status != DONE)
        return status;
    const vitx_context_opts opts = session_context_opts(&each, VITX_FIT_RECIPE);
    lanes->contexts[0] = session->context;
    for (int i = 1; i < lanes->count; i++)
        if (vitx_context_create(&lanes->contexts[i], session->model, &opts) != VITX_OK)
            lanes->count = i;
    return DONE;
}

int lanes_start(struct lanes *lanes, struct session *session, const struct common *common,
                char **files, int count, enum lanes_for what)
{
    const int pieces = series_pieces(&(struct series){files, count, common->batch});
    const int threads = session->size.threads;
    const bool in_turn = pieces < 2 || threads < 2 || has_pipe(files, count);
    *lanes = (struct lanes){.count = 1, .threads = 1, .slots = 1};
    if (!in_turn && what != LANES_ONE)
        lanes->count = choose(session, common, pieces, what);
    if (!in_turn) {
        lanes->threads = !on_cpu(session) ? threads : lanes->count > 1 ? lanes->count : 2;
        lanes->threads = lanes->threads > lanes->count ? lanes->threads : lanes->count;
        lanes->slots = SLOTS_A_THREAD * lanes->threads;
    }
    lanes->contexts = calloc((size_t)lanes->count, sizeof *lanes->contexts);
    if (lanes->contexts)
        return start_contexts(lanes, session, common);
    complain(NULL, "no memory");
    return SOME_FAILED;
}

int lanes_run(const struct lanes *lanes, struct pipeline *stages)
{
    stages->threads = lanes->threads;
    stages->slots = lanes->slots;
    stages->contexts = lanes->contexts;
    stages->context_count = lanes->count;
    stages->most_pixels = MOST_PIXELS;
    return pipeline_run(stages) ? DONE : SOME_FAILED;
}

void lanes_free(struct lanes *lanes)
{
    for (int i = 1; i < lanes->count && lanes->contexts; i++)
        vitx_context_free(lanes->contexts[i]);
    free(lanes->contexts);
    *lanes = (struct lanes){0};
}

bool lanes_in_turn(const struct lanes *lanes)
{
    return lanes->threads < 2;
}

int series_pieces(const struct series *series)
{
    return series->count / series->batch + (series->count % series->batch > 0);
}

int series_extent(const struct series *series, int piece, int *first)
{
    *first = piece * series->batch;
    const int left = series->count - *first;
    return left < series->batch ? left : series->batch;
}

bool lanes_load(const struct lanes *lanes, struct batch *batch, const struct series *series,
                int piece, const struct common *common, int64_t *pixels)
{
    int first;
    const int n = series_extent(series, piece, &first);
    if (lanes_in_turn(lanes))
        progress_step(first, n, series->files[first]);
    const bool all = batch_load(batch, series->files + first, n, common);
    *pixels = batch_pixels(batch);
    return all;
}
