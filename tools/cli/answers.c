/* cli/answers.c: see answers.h. */
#include <stdlib.h>

#include "answers.h"
#include "inputs.h"
#include "labels.h"
#include "lanes.h"
#include "progress.h"
#include "results.h"

/* A batch under way. */
struct slot {
    struct batch batch;
    char *values;             /* a part of the work's                                   */
    bool *good;               /* [batch]: the picture has its values                    */
    bool complete, cancelled; /* all files have become pictures with values; Ctrl-C     */
};

struct work {
    const struct answers *how;
    const void *settings;
    struct session session;
    struct lanes lanes;
    struct slot *slots; /* [lanes.slots]                      */
    char *values;       /* of all pictures, or of all slots   */
    size_t size;        /* of a picture's                     */
    struct series series;
    int status; /* what has come of the pictures that are finished */
};

static const struct common *common_of(const struct work *w)
{
    return w->settings;
}

static bool load(void *payload, int piece, int at, int64_t *pixels)
{
    struct work *w = payload;
    struct slot *slot = &w->slots[at];
    const size_t values = (size_t)w->series.batch * w->size;
    slot->values = w->values + (size_t)(w->how->all ? piece : at) * values;
    slot->complete = lanes_load(&w->lanes, &slot->batch, &w->series, piece, common_of(w), pixels);
    slot->cancelled = false;
    return true;
}

/* Runs a batch; where it fails, its pictures one by one, so that one does not cost the others. */
static bool run(void *payload, int piece, int at, vitx_context *context)
{
    struct work *w = payload;
    struct slot *slot = &w->slots[at];
    const vitx_image *const *images = (const vitx_image *const *)slot->batch.images;
    const int n = slot->batch.count;
    (void)piece;
    int code = VITX_OK;
    if (n > 0)
        code = w->how->run(slot->values, &w->session, w->settings, context, images, n);
    const bool together = code == VITX_OK;
    for (int i = 0; i < n; i++) {
        char *mine = slot->values + (size_t)i * w->size;
        if (!together && code != VITX_CANCELLED)
            code = w->how->run(mine, &w->session, w->settings, context, images + i, 1);
        slot->good[i] = code == VITX_OK;
        slot->cancelled |= code == VITX_CANCELLED;
        if (code != VITX_OK && code != VITX_CANCELLED)
            complain_last(slot->batch.names[i]);
        slot->complete &= slot->good[i];
    }
    batch_drop_images(&slot->batch);
    return true;
}

static bool finish(void *payload, int piece, int at, bool begun)
{
    struct work *w = payload;
    struct slot *slot = &w->slots[at];
    if ((!begun || slot->cancelled) && progress_cancelled())
        w->status = SOME_FAILED;
    if (!begun)
        return false;
    for (int i = 0; i < slot->batch.count && !w->how->all; i++)
        if (slot->good[i])
            w->how->print(&w->session, w->settings, slot->batch.names[i],
                          slot->values + (size_t)i * w->size);
    if (!slot->complete)
        w->status = SOME_FAILED;
    batch_clear(&slot->batch);
    int first;
    const int done = series_extent(&w->series, piece, &first) + first;
    if (done < w->series.count)
        progress_step(done, 1, w->series.files[done]);
    return output_works();
}

static bool create_slots(struct work *w)
{
    const int n = w->lanes.slots;
    w->size = w->how->size(&w->session, w->settings);
    w->values = calloc((size_t)(w->how->all ? w->series.count : n * w->series.batch), w->size);
    w->slots = calloc((size_t)n, sizeof *w->slots);
    bool there = w->values && w->slots;
    for (int i = 0; i < n && there; i++) {
        w->slots[i].good = calloc((size_t)w->series.batch, sizeof *w->slots[i].good);
        there = w->slots[i].good && batch_create(&w->slots[i].batch, w->series.batch);
    }
    if (!there)
        complain(NULL, "no memory");
    return there;
}

static void free_slots(struct work *w)
{
    for (int i = 0; i < w->lanes.slots && w->slots; i++) {
        batch_free(&w->slots[i].batch);
        free(w->slots[i].good);
    }
    free(w->slots);
    free(w->values);
}

/* Room for the values, and the work. */
static int answer(struct work *w)
{
    int status = SOME_FAILED;
    if (create_slots(w)) {
        progress_begin(common_of(w), w->series.count, 1, "pictures");
        status = lanes_run(&w->lanes, &(struct pipeline){.count = series_pieces(&w->series),
                                                         .payload = w,
                                                         .load = load,
                                                         .run = run,
                                                         .finish = finish});
        progress_hide();
        status = status > w->status ? status : w->status;
        if (w->how->finish)
            status = w->how->finish(&w->session, w->settings, w->values, w->series.count, status);
    }
    free_slots(w);
    return status;
}

static int check_model(const struct work *w)
{
    const vitx_model_info *m = &w->session.info;
    if (m->units == w->how->units || w->session.labels)
        return DONE;
    if (m->units)
        complain(common_of(w)->model,
                 "has no classes; --label TEXT gives it some if it has a text tower, and vitx-cli "
                 "embed its embedding of %d numbers",
                 m->classes);
    else
        complain(common_of(w)->model,
                 "answers with %d classes, not with an embedding; vitx-cli classify gives them",
                 m->classes);
    return SOME_FAILED;
}

int answers_run(const struct answers *how, const void *settings, char **files, int count)
{
    const struct common *common = settings;
    const int batch = common->batch < count ? common->batch : count;
    struct work w = {.how = how,
                     .settings = settings,
                     .series = {files, count, batch},
                     .status = common->unread ? SOME_FAILED : DONE};
    int status = session_open(&w.session, common);
    const bool labels = status == DONE && how->texts && labels_asked(&w.session, common);
    if (status == DONE)
        status = check_label_cache(common, labels);
    if (status == DONE && labels)
        status = labels_open_watched(&w.session, common, NULL);
    if (status == DONE)
        status = check_model(&w);
    if (status == DONE)
        status = lanes_start(&w.lanes, &w.session, common, files, count, LANES_FORWARD);
    if (status == DONE)
        status = answer(&w);
    lanes_free(&w.lanes);
    session_close(&w.session);
    return status;
}
