/*
 * cli/explain_run.c: pictures x methods x targets, one vitx_explain_many a batch, each map into its file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "inputs.h"
#include "methods.h"
#include "progress.h"
#include "results.h"

/* name  method  what was explained; of an embedding that is nothing where a map is the same for all units. */
static void print_line(const char *name, const vitx_map_info *info, const char *label)
{
    static const char *const words[] = {"", "unit ", "vector", "like"};
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    if (info->explains == VITX_EXPLAINED_UNIT && method_find(&method, info->method) == DONE &&
        !method.uses_target) {
        printf("%s  %s\n", name, info->method);
        return;
    }
    printf("%s  %s  %s", name, info->method, words[info->explains]);
    if (info->target >= 0)
        printf("%d", info->target);
    printf("%s%s\n", label ? " " : "", text_or(label, ""));
}

/* At the largest cosine there is, of a picture and itself, the gradient is 0 and a map of it is
 * what rounding left. Methods that run variants see these, not that one point. */
static void warn_of_maximum(const vitx_map_info *info, const char *picture)
{
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    if (info->score == VITX_SCORE_COSINE && info->value > 1 - 1e-5 && info->forwards == 0 &&
        method_find(&method, info->method) == DONE && method.uses_target)
        complain("warning",
                 "%s: %s: the cosine is at its maximum, 1, where gradients are 0: the map is "
                 "rounding; rise and occlusion run variants and show more",
                 picture, info->method);
}

static bool write_map(const struct explain_plan *plan, const vitx_map *map, const vitx_image *image,
                      const char *picture)
{
    const struct explain_settings *o = plan->settings;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    if (vitx_map_get_info(&info, map) != VITX_OK) {
        complain_last(picture);
        return false;
    }
    opts.layout = (vitx_layout)o->layout;
    opts.scale = (vitx_scale)o->scale;
    opts.frame = (vitx_frame)o->frame;
    opts.colormap = o->colormap;
    opts.alpha = (float)o->alpha;
    opts.smooth = (float)o->smooth;
    opts.colorbar = o->colorbar;
    opts.title = picture;
    opts.label = info.explains == VITX_EXPLAINED_VECTOR ? o->vector
                 : info.explains == VITX_EXPLAINED_PICTURE
                     ? o->like
                     : vitx_model_label(plan->session.model, info.target);
    char *name = output_name(o->out, picture, info.method, info.target, info.explains);
    if (!name)
        complain(picture, "no memory");
    bool written = name && (!plan->pattern || make_folders(name));
    /* {target} is known only now, so the check before the work could not see this. */
    if (written && pictures_have(&plan->pictures, name)) {
        complain(picture, "the map would replace the picture %s", name);
        written = false;
    }
    if (written && vitx_render(map, image, name, &opts) != VITX_OK) {
        complain_last(name);
        written = false;
    }
    progress_before_results();
    if (written && !o->common.quiet) {
        print_line(name, &info, opts.label);
        warn_of_maximum(&info, picture);
    }
    free(name);
    return written;
}

enum { ALL = -1 };

/* A batch under way. */
struct work {
    const struct explain_plan *plan;
    struct batch batch;
    int done, status;        /* pictures before the batch; exit status so far             */
    bool *settled;           /* [batch, opts_count]: the map was made, or reported        */
    vitx_map **maps;         /* [batch, opts_count]: of one call                          */
    vitx_explain_opts *opts; /* [opts_count]: of one call                                 */
    int *which;              /* [opts_count]: where these are in the plan                 */
};

static void worsen(struct work *w, int status)
{
    w->status = status > w->status ? status : w->status;
}

/* One call of the library: n pictures from `first` by those of the plan's opts (ALL, or one) that
 * the first of them lacks. Writes the maps that come out of it, of a failed call, too; where that
 * was for a single map, says why it failed. */
static int attempt(struct work *w, int first, int n, int only)
{
    const struct explain_plan *plan = w->plan;
    const int all = plan->opts_count;
    int m = 0;
    for (int j = 0; j < all; j++)
        if (!w->settled[first * all + j] && (only == ALL || only == j)) {
            w->opts[m] = plan->opts[j];
            w->which[m++] = j;
        }
    if (m == 0)
        return VITX_OK;
    progress_step(w->done + first, n, w->batch.names[first]);
    const int code =
        vitx_explain_many(w->maps, plan->session.context,
                          (const vitx_image *const *)w->batch.images + first, n, w->opts, m);
    if (code != VITX_OK && code != VITX_CANCELLED && n * m == 1) {
        complain(w->batch.names[first], "%s: %s", w->opts[0].method, reason());
        w->settled[first * all + w->which[0]] = true;
        worsen(w, SOME_FAILED);
    }
    for (int i = 0; i < n * m; i++) {
        const int picture = first + i / m;
        if (!w->maps[i])
            continue;
        if (!write_map(plan, w->maps[i], w->batch.images[picture], w->batch.names[picture]))
            worsen(w, SOME_FAILED);
        w->settled[picture * all + w->which[i % m]] = true;
        vitx_map_free(w->maps[i]);
    }
    return code;
}

/* A batch; where that fails what its pictures lack, picture by picture, and where one of these
 * fails, too, map by map, so that no failure costs what could have been done. */
static void explain_batch(struct work *w)
{
    const int n = w->batch.count, m = w->plan->opts_count;
    if (n == 0)
        return;
    memset(w->settled, 0, (size_t)n * (size_t)m * sizeof *w->settled);
    int code = attempt(w, 0, n, ALL);
    const int pictures = code == VITX_OK ? 0 : n;
    for (int i = 0; i < pictures && code != VITX_CANCELLED; i++) {
        if (n > 1)
            code = attempt(w, i, 1, ALL);
        for (int j = 0; j < m && code != VITX_CANCELLED; j++)
            code = attempt(w, i, 1, j);
    }
    if (code == VITX_CANCELLED && progress_cancelled())
        worsen(w, SOME_FAILED);
}

static bool work_create(struct work *w, int size)
{
    const size_t m = (size_t)w->plan->opts_count, all = (size_t)size * m;
    if (!batch_create(&w->batch, size))
        return false;
    w->settled = calloc(all, sizeof *w->settled);
    w->maps = calloc(all, sizeof(vitx_map *));
    w->opts = calloc(m, sizeof *w->opts);
    w->which = calloc(m, sizeof *w->which);
    if (w->settled && w->maps && w->opts && w->which)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void work_free(struct work *w)
{
    batch_free(&w->batch);
    free(w->settled);
    free(w->maps);
    free(w->opts);
    free(w->which);
}

int explain_run(const struct explain_plan *plan, char **files, int count)
{
    const struct common *common = &plan->settings->common;
    const int size = common->batch < count ? common->batch : count;
    struct work w = {.plan = plan};
    const bool ready = work_create(&w, size);
    if (!ready)
        w.status = SOME_FAILED;
    progress_begin(common, count);
    for (; ready && w.done < count && output_works(); w.done += size) {
        const int n = count - w.done < size ? count - w.done : size;
        if (progress_cancelled()) {
            worsen(&w, SOME_FAILED);
            break;
        }
        if (!batch_load(&w.batch, files + w.done, n, common))
            worsen(&w, SOME_FAILED);
        explain_batch(&w);
    }
    progress_hide();
    work_free(&w);
    return w.status;
}
