/*
 * cli/explain_write.c: maps into their files, several at a time, and the lines that name them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "parallel.h"
#include "progress.h"
#include "results.h"

/* name  method  what was explained, and against what; of an embedding that is nothing if a map is
 * the same for all units. */
static void print_line(const vitx_model *model, const char *name, const vitx_map_info *info,
                       const char *label)
{
    static const char *const words[] = {"", "unit ", "vector", "like", "text"};
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    if (info->explains == VITX_EXPLAINED_UNIT && method_find(&method, info->method) == DONE &&
        !method.uses_target) {
        printf("%s  %s\n", name, info->method);
        return;
    }
    printf("%s  %s  %s", name, info->method, words[info->explains]);
    if (info->target >= 0)
        printf("%d", info->target);
    printf("%s", label ? " " : "");
    put_printable(stdout, text_or(label, ""));
    printf("%s", info->versus_text[0] ? " versus " : "");
    put_printable(stdout, info->versus_text);
    if (info->score == VITX_SCORE_DIFFERENCE && info->versus >= 0) {
        const char *other = vitx_model_label(model, info->versus);
        printf(" versus %d%s", info->versus, other ? " " : "");
        put_printable(stdout, text_or(other, ""));
    }
    printf("\n");
}

vitx_render_opts explain_render_opts(const struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.layout = (vitx_layout)o->layout;
    opts.underlay = (vitx_underlay)o->underlay;
    opts.scale = plan->scale;
    opts.low = plan->low;
    opts.high = plan->high;
    opts.frame = (vitx_frame)o->frame;
    opts.colormap = o->colormap;
    opts.alpha = (float)o->alpha;
    opts.smooth = (float)o->smooth;
    opts.interpolation = (vitx_interpolation)o->interpolate;
    opts.colorbar = o->colorbar;
    opts.format = o->format;
    return opts;
}

vitx_render_opts explain_map_opts(const struct explain_plan *plan, const vitx_map_info *info,
                                  const char *picture)
{
    const struct explain_settings *o = plan->settings;
    vitx_render_opts opts = explain_render_opts(plan);
    for (int j = 0; j < plan->opts_count && plan->ends; j++)
        if (strcmp(plan->opts[j].method, info->method) == 0 &&
            plan->ends[j].low < plan->ends[j].high) {
            opts.scale = VITX_SCALE_RANGE;
            opts.low = plan->ends[j].low;
            opts.high = plan->ends[j].high;
        }
    opts.title = picture;
    opts.label = info->explains == VITX_EXPLAINED_TEXT     ? info->text
                 : info->explains == VITX_EXPLAINED_VECTOR ? o->vector
                 : info->explains == VITX_EXPLAINED_PICTURE
                     ? o->like
                     : vitx_model_label(plan->session->model, info->target);
    return opts;
}

/* To standard output; what fails there is said by main. */
static enum written print_map(const vitx_map *map, const vitx_image *image, const char *picture,
                              const vitx_render_opts *opts)
{
    progress_before_results();
    const int code = vitx_render_write(map, image, output_write, NULL, opts);
    if (code != VITX_OK && output_works())
        complain_last(picture);
    return code == VITX_OK ? WRITTEN : output_works() ? NOT_WRITTEN : NO_MORE;
}

static enum written save_map(const struct explain_plan *plan, const char *name, const vitx_map *map,
                             const vitx_image *image, const char *picture,
                             const vitx_render_opts *opts)
{
    if (plan->pattern && !make_folders(name))
        return NO_MORE;
    /* {target} is known only now, so the check before the work could not see this. */
    const char *replaced = sources_find(&plan->sources, name);
    if (replaced) {
        complain(picture, "the map would replace %s %s", replaced, name);
        return NOT_WRITTEN;
    }
    const int code = vitx_render(map, image, name, opts);
    if (code == VITX_OK)
        return WRITTEN;
    complain_last(name);
    /* Names and folders have been looked at before: the disk is full, or has gone. */
    return code == VITX_IO ? NO_MORE : NOT_WRITTEN;
}

/* The maps of a call. */
struct writing {
    const struct explain_plan *plan;
    struct map_writing *maps;
};

/* Whether maps get files of their own. */
static bool has_files(const struct explain_plan *plan)
{
    return !plan->page && !plan->to_output && plan->settings->out;
}

/* The map or its mask, what it is drawn with, and its file; on any thread. */
static enum written save(const struct explain_plan *plan, struct map_writing *w)
{
    const struct explain_settings *o = plan->settings;
    if (o->mask > 0 && vitx_map_mask(&w->mask, w->map, o->mask / 100) != VITX_OK) {
        complain_last(w->picture);
        return NOT_WRITTEN;
    }
    w->info = (vitx_map_info)VITX_MAP_INFO_INIT;
    if (vitx_map_get_info(&w->info, w->mask ? w->mask : w->map) != VITX_OK) {
        complain_last(w->picture);
        return NOT_WRITTEN;
    }
    w->opts = explain_map_opts(plan, &w->info, w->picture);
    if (!has_files(plan))
        return WRITTEN;
    w->name = output_name(o->out, w->picture, w->info.method, w->info.target, w->info.explains,
                          w->info.text);
    if (!w->name) {
        complain(w->picture, "no memory");
        return NOT_WRITTEN;
    }
    return save_map(plan, w->name, w->mask ? w->mask : w->map, w->image, w->picture, &w->opts);
}

static bool save_one(void *payload, int i)
{
    const struct writing *all = payload;
    all->maps[i].written = save(all->plan, &all->maps[i]);
    return all->maps[i].written != NO_MORE;
}

/* After the first file that says there will be no more the others need not say so. */
static bool listens(void *payload, int i)
{
    const struct map_writing *maps = ((const struct writing *)payload)->maps;
    return i == 0 || !maps[i - 1].stopped;
}

/* What goes to standard output: the map, the line that names its file, its json. */
static void print_one(const struct explain_plan *plan, struct map_writing *w)
{
    const struct explain_settings *o = plan->settings;
    const vitx_map *map = w->mask ? w->mask : w->map;
    if (has_files(plan))
        progress_before_results();
    if (w->written == WRITTEN && plan->to_output && !plan->page)
        w->written = print_map(map, w->image, w->picture, &w->opts);
    else if (w->written == WRITTEN && has_files(plan) && !o->common.quiet && !o->json)
        print_line(plan->session->model, w->name, &w->info, w->opts.label);
    w->opts.format = "json";
    if (o->json && w->written == WRITTEN)
        w->written = print_map(map, w->image, w->picture, &w->opts);
    if (w->written == WRITTEN && !o->common.quiet)
        warn_of_nothing(&w->info, w->picture, plan->page ? "the page says so" : "it is drawn as 0");
}

static bool finish_one(void *payload, int i, bool begun)
{
    const struct writing *all = payload;
    struct map_writing *w = &all->maps[i];
    const bool before = i > 0 && w[-1].stopped;
    if (begun && (!before || has_files(all->plan))) /* no file without its line */
        print_one(all->plan, w);
    else
        w->written = NO_MORE;
    w->stopped = before || w->written == NO_MORE;
    free(w->name);
    vitx_map_free(w->mask);
    w->name = NULL;
    w->mask = NULL;
    return !w->stopped;
}

/* How many maps are drawn at once. A drawing takes some 16 bytes for each pixel of its picture. */
static int drawing_threads(const struct explain_plan *plan, const struct map_writing *maps,
                           int count)
{
    const int64_t room = INT64_C(1) << 30;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    int64_t largest = 1;
    if (!has_files(plan) || vitx_context_get_info(&info, plan->session->context) != VITX_OK)
        return 1;
    for (int i = 0; i < count; i++) {
        const int64_t pixels =
            (int64_t)vitx_image_width(maps[i].image) * vitx_image_height(maps[i].image);
        largest = pixels > largest ? pixels : largest;
    }
    const int64_t most = room / (16 * largest);
    return most < 1 ? 1 : most < info.threads ? (int)most : info.threads;
}

void write_maps(const struct explain_plan *plan, struct map_writing *maps, int count,
                struct piece_state *states)
{
    struct writing all = {plan, maps};
    do_in_parallel(&(struct pieces){.count = count,
                                    .threads = drawing_threads(plan, maps, count),
                                    .states = states,
                                    .payload = &all,
                                    .work = save_one,
                                    .listens = listens,
                                    .finish = finish_one});
}

bool save_maps(const struct explain_plan *plan, struct map_writing *maps, int count)
{
    struct writing all = {plan, maps};
    bool more = true;
    for (int i = 0; i < count && more; i++) {
        maps[i].begun = true;
        more = save_one(&all, i);
    }
    return more;
}

void name_maps(const struct explain_plan *plan, struct map_writing *maps, int count)
{
    struct writing all = {plan, maps};
    for (int i = 0; i < count; i++)
        finish_one(&all, i, maps[i].begun);
}
