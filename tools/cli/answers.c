/* cli/answers.c: see answers.h. */
#include <stdlib.h>

#include "answers.h"
#include "inputs.h"
#include "progress.h"
#include "results.h"

struct work {
    const struct answers *how;
    const void *settings;
    struct session session;
    struct batch batch;
    char *values; /* of the batch, or of all pictures */
    size_t size;  /* of a picture's */
};

static const struct common *common_of(const struct work *w)
{
    return w->settings;
}

/* Runs a batch; where it fails, its pictures one by one, so that one does not cost the others. */
static bool run_batch(const struct work *w, char *to)
{
    const vitx_image *const *images = (const vitx_image *const *)w->batch.images;
    bool all = true;
    if (w->batch.count == 0)
        return true;
    int code = w->how->run(to, &w->session, w->settings, images, w->batch.count);
    const bool together = code == VITX_OK;
    for (int i = 0; i < w->batch.count; i++) {
        char *mine = to + (size_t)i * w->size;
        if (!together && code != VITX_CANCELLED)
            code = w->how->run(mine, &w->session, w->settings, images + i, 1);
        if (code == VITX_CANCELLED)
            return !progress_cancelled();
        if (code != VITX_OK)
            complain_last(w->batch.names[i]);
        else if (!w->how->all)
            w->how->print(&w->session, w->settings, w->batch.names[i], mine);
        all &= code == VITX_OK;
    }
    return all;
}

static int run_all(struct work *w, char **files, int count)
{
    const struct common *common = common_of(w);
    const int size = w->batch.capacity;
    int status = DONE;
    progress_begin(common, count, 1, "pictures");
    for (int i = 0; i < count && output_works(); i += size) {
        const int n = count - i < size ? count - i : size;
        progress_step(i, n, files[i]);
        if (progress_cancelled()) {
            status = SOME_FAILED;
            break;
        }
        if (!batch_load(&w->batch, files + i, n, common))
            status = SOME_FAILED;
        if (!run_batch(w, w->values + (w->how->all ? (size_t)i * w->size : 0)))
            status = SOME_FAILED;
    }
    progress_hide();
    return status;
}

/* Room for the values, and the work. */
static int answer(struct work *w, char **files, int count)
{
    const int size = common_of(w)->batch < count ? common_of(w)->batch : count;
    int status = SOME_FAILED;
    w->size = w->how->size(&w->session, w->settings);
    w->values = calloc((size_t)(w->how->all ? count : size), w->size);
    if (!w->values)
        complain(NULL, "no memory");
    if (w->values && batch_create(&w->batch, size)) {
        status = run_all(w, files, count);
        if (w->how->finish)
            status = w->how->finish(&w->session, w->settings, w->values, count, status);
        batch_free(&w->batch);
    }
    free(w->values);
    return status;
}

static int check_model(const struct work *w)
{
    const vitx_model_info *m = &w->session.info;
    if (m->units == w->how->units)
        return DONE;
    if (m->units)
        complain(common_of(w)->model,
                 "has no classes; vitx-cli embed gives its embedding of %d numbers", m->classes);
    else
        complain(common_of(w)->model,
                 "answers with %d classes, not with an embedding; vitx-cli classify gives them",
                 m->classes);
    return SOME_FAILED;
}

int answers_run(const struct answers *how, const void *settings, char **files, int count)
{
    struct work w = {.how = how, .settings = settings};
    int status = session_open(&w.session, common_of(&w));
    if (status == DONE)
        status = check_model(&w);
    if (status == DONE)
        status = session_start(&w.session, common_of(&w), VITX_FIT_RECIPE);
    if (status == DONE)
        status = answer(&w, files, count);
    session_close(&w.session);
    return status;
}
