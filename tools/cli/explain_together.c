/*
 * cli/explain_together.c: one basis for all pictures, for the method features. The pictures are
 * read a batch at a time, before they are explained, and again then.
 */
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "inputs.h"
#include "progress.h"

/* The last components=N of the options; they have been checked. */
static int components_of(const vitx_explain_opts *opts)
{
    int components = 3;
    for (int i = 0; i < opts->set_count; i++)
        if (strncmp(opts->set[i], "components=", strlen("components=")) == 0)
            components = atoi(opts->set[i] + strlen("components="));
    return components;
}

/* The plan's opts of the method; NULL: there are none. */
static const vitx_explain_opts *find_features(const struct explain_plan *plan)
{
    for (int i = 0; i < plan->opts_count; i++)
        if (strcmp(plan->opts[i].method, "features") == 0)
            return &plan->opts[i];
    return NULL;
}

static int check(const struct explain_plan *plan, char **files, int count)
{
    if (!find_features(plan))
        return wrong_usage("--together is for --method features");
    if (plan->settings->layer == VITX_ALL)
        return wrong_usage("--together: one basis is of one layer, not of --layer all");
    for (int i = 0; i < count; i++)
        if (strcmp(files[i], "-") == 0)
            return wrong_usage("--together reads the pictures twice, which - cannot be");
    return DONE;
}

/* Moves the pictures of the batch that were read to files[kept..]; gives their new number. */
static int keep_read(char **files, int kept, const struct batch *batch)
{
    for (int i = 0; i < batch->count; i++)
        files[kept++] = batch->names[i];
    return kept;
}

/* All pictures into the basis; what cannot be read leaves `files`. */
static int add_all(vitx_basis *basis, struct explain_plan *plan, char **files, int *count,
                   int *failed)
{
    const struct common *common = &plan->settings->common;
    const int size = common->batch < *count ? common->batch : *count;
    struct batch batch;
    int kept = 0, status = DONE;
    if (!batch_create(&batch, size)) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int done = 0; done < *count && status == DONE; done += size) {
        const int n = *count - done < size ? *count - done : size;
        progress_step(done, n, files[done]);
        if (!batch_load(&batch, files + done, n, common))
            *failed = SOME_FAILED;
        if (batch.count > 0 &&
            vitx_basis_add(basis, plan->session->context, (const vitx_image *const *)batch.images,
                           batch.count) != VITX_OK) {
            if (!progress_cancelled())
                complain_last(batch.names[0]);
            status = SOME_FAILED;
        }
        kept = keep_read(files, kept, &batch);
    }
    batch_free(&batch);
    *count = kept;
    return status;
}

int explain_together(struct explain_plan *plan, char **files, int *count, int *failed)
{
    const struct common *common = &plan->settings->common;
    int status = check(plan, files, *count);
    if (status != DONE)
        return status;
    if (vitx_basis_create(&plan->basis, plan->session->context, plan->settings->layer,
                          components_of(find_features(plan))) != VITX_OK)
        return wrong_usage("%s", reason());
    progress_begin(common, *count, 1, NULL);
    status = add_all(plan->basis, plan, files, count, failed);
    progress_hide();
    if (status != DONE || *count == 0)
        return SOME_FAILED;
    if (vitx_basis_finish(plan->basis) != VITX_OK) {
        complain_last(NULL);
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->opts_count; i++)
        if (strcmp(plan->opts[i].method, "features") == 0)
            plan->opts[i].basis = plan->basis;
    return DONE;
}
