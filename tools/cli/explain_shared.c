/*
 * cli/explain_shared.c: one scale for all maps of a method. All pictures are explained a first
 * time, a batch at a time, only for the ends of the colours: no map is kept.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "inputs.h"
#include "progress.h"

static int check(const struct explain_plan *plan, char **files, int count)
{
    if (plan->ranks)
        return wrong_usage("--scale shared: --target topK is not known before the work; name the "
                           "classes");
    if (plan->page)
        return wrong_usage("--scale shared is for png; a page has a choice of scales");
    for (int i = 0; i < count; i++)
        if (strcmp(files[i], "-") == 0)
            return wrong_usage("--scale shared reads the pictures twice, which - cannot be");
    return DONE;
}

/* The first of the opts with the method of number j: where the ends of both lie. */
static int first_of(const struct explain_plan *plan, int j)
{
    int first = 0;
    while (strcmp(plan->opts[first].method, plan->opts[j].method) != 0)
        first++;
    return first;
}

static void widen(struct explain_plan *plan, const vitx_map *map, int j)
{
    const vitx_render_opts opts = explain_render_opts(plan);
    struct ends *ends = &plan->ends[first_of(plan, j)];
    float low, high;
    /* A map without a scale is refused: its method keeps none. */
    if (vitx_render_ends(&low, &high, map, &opts) != VITX_OK || !(low < high))
        return;
    const bool known = ends->low < ends->high;
    ends->low = known ? fminf(ends->low, low) : low;
    ends->high = known ? fmaxf(ends->high, high) : high;
}

/* Pictures of a batch; what fails is left to be said when it is explained again. */
static int look(struct explain_plan *plan, const struct batch *batch, int first, int n,
                vitx_map **maps)
{
    const int m = plan->opts_count;
    const vitx_image *const *images = (const vitx_image *const *)batch->images + first;
    const int code = (plan->settings->flip ? vitx_explain_flip : vitx_explain_many)(
        maps, plan->session->context, images, n, plan->opts, m);
    for (int i = 0; i < n * m; i++) {
        if (maps[i])
            widen(plan, maps[i], i % m);
        vitx_map_free(maps[i]);
        maps[i] = NULL;
    }
    return code;
}

static int look_at_batch(struct explain_plan *plan, const struct batch *batch, vitx_map **maps)
{
    int code = batch->count > 0 ? look(plan, batch, 0, batch->count, maps) : VITX_OK;
    const bool alone = code != VITX_OK && code != VITX_CANCELLED;
    for (int i = 0; i < batch->count && alone && code != VITX_CANCELLED; i++)
        code = look(plan, batch, i, 1, maps);
    return code == VITX_CANCELLED && progress_cancelled() ? SOME_FAILED : DONE;
}

static int look_at_all(struct explain_plan *plan, char **files, int *count, int *failed)
{
    const struct common *common = &plan->settings->common;
    const int size = common->batch < *count ? common->batch : *count;
    struct batch batch = {0};
    vitx_map **maps = calloc((size_t)size * (size_t)plan->opts_count, sizeof *maps);
    int kept = 0, status = DONE;
    if (!maps || !batch_create(&batch, size)) {
        complain(NULL, "no memory");
        status = SOME_FAILED;
    }
    for (int done = 0; done < *count && status == DONE; done += size) {
        const int n = *count - done < size ? *count - done : size;
        progress_step(done, n, files[done]);
        if (!batch_load(&batch, files + done, n, common))
            *failed = SOME_FAILED;
        status = look_at_batch(plan, &batch, maps);
        for (int i = 0; i < batch.count; i++)
            files[kept++] = batch.names[i];
    }
    batch_free(&batch);
    free(maps);
    *count = kept;
    return status;
}

int explain_shared(struct explain_plan *plan, char **files, int *count, int *failed)
{
    int status = check(plan, files, *count);
    if (status != DONE)
        return status;
    plan->ends = calloc((size_t)plan->opts_count, sizeof *plan->ends);
    if (!plan->ends) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    progress_begin(&plan->settings->common, *count, 1, NULL);
    status = look_at_all(plan, files, count, failed);
    progress_hide();
    if (status == DONE && *count == 0)
        return SOME_FAILED;
    /* All opts of a method have its scale. */
    for (int j = 0; j < plan->opts_count; j++)
        plan->ends[j] = plan->ends[first_of(plan, j)];
    return status;
}
