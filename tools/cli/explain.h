/*
 * cli/explain.h: what the files of explain share.
 *
 * cmd_explain.c has the options, explain_plan.c makes a plan of them, and complains about all that
 * can be wrong with them, explain_make.c makes the maps of a batch by the plan, explain_run.c those
 * of all pictures.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "direction.h"
#include "inputs.h"
#include "lanes.h"
#include "methods.h"
#include "outputs.h"
#include <vitx/render.h>

enum { MAX_TOP = 100 }; /* K of --target topK */

struct explain_settings {
    struct common common;
    struct list methods, targets, units, texts, among, set;
    const char *out, *format, *query, *colormap, *versus, *baseline, *vector, *like;
    int layer, head;
    const char *scale;
    int score, layout, underlay, frame, interpolate;
    double alpha, smooth;
    const char *title;   /* of a page, as the rest of the line */
    int embed;           /* as vitx_report_level */
    double embed_budget; /* MB */
    int components;      /* 0: not given */
    double mask;         /* percent; 0: none */
    bool colorbar, json, skip_existing, flip, together;
    bool by_default; /* the method is one that nobody named */
};

/* What the first and the last colour of all maps of a method mean; known if low < high. */
struct ends {
    float low, high;
};

/* All the ways in which each picture is explained. */
struct explain_plan {
    const struct explain_settings *settings;
    const struct session *session;
    struct session opened; /* the session, unless it was given                 */
    struct lanes lanes;
    struct list methods;     /* what --method means */
    struct list set;         /* --set, and --components as one of them */
    vitx_explain_opts *opts; /* [opts_count]: methods x targets */
    const char **sets;       /* what opts[].set point to */
    int *targets;            /* [target_count]: classes, units, ranks, or VITX_AUTO; of --text as
                                many of these */
    int target_count, opts_count;
    int ranks; /* how many of each picture's best classes are wanted; 0: not as such */
    int score, versus, query;
    vitx_scale scale;
    float low, high;      /* of VITX_SCALE_RANGE */
    bool shared;          /* --scale shared */
    struct ends *ends;    /* [opts_count]: --scale shared; NULL: each map has its own */
    vitx_image *baseline; /* NULL: none */
    struct direction direction;
    float *stand_ins;        /* [texts, classes]: until explain_plan_speak(); NULL: none */
    vitx_basis *basis;       /* --together: made by explain_run; NULL: none */
    struct sources sources;  /* what no output may replace */
    bool pattern, to_output; /* -o: has a field; is standard output */
    bool page;               /* ... and is to hold maps of all methods and targets */
    struct page *pages;      /* where these go; else NULL */
};

/* All give an exit status and complain where it is not DONE. */

/* What is wrong with the settings, as far as no model is needed. */
int explain_check(const struct explain_settings *settings, int files);
/* Opens the model, makes the plan of what is to be done to `files` and starts the session; free the
 * plan whatever comes of it. */
int explain_plan(struct explain_plan *plan, const struct explain_settings *settings, char **files,
                 int count);
/* The same for a session that is started and stays open, and for pictures that are not known yet:
 * -o is not looked at, but for {target} in it, and --scale shared and --together are not done. The
 * session's context is used; the plan then serves any context that is made alike. */
int explain_plan_on(struct explain_plan *plan, const struct explain_settings *settings,
                    const struct session *session);
/* The same, and no text tower is run: vectors stand in for the texts, and what is asked of the
 * library about the plan costs no more than looking. */
int explain_plan_silently(struct explain_plan *plan, const struct explain_settings *settings,
                          const struct session *session);
/* Before such a plan is carried out: its texts take their places. */
void explain_plan_speak(struct explain_plan *plan);
void explain_plan_free(struct explain_plan *plan);

/* --together: makes the basis of the method features from all pictures, and gives it to the plan.
 * Takes pictures that cannot be read out of `files`; *failed is SOME_FAILED then. */
int explain_together(struct explain_plan *plan, char **files, int *count, int *failed);
/* --scale shared: explains all pictures for the ends of each method's scale. Takes pictures that
 * cannot be read out of `files`; *failed is SOME_FAILED then. */
int explain_shared(struct explain_plan *plan, char **files, int *count, int *failed);
/* What a picture is drawn with, but for its name and the scale of its method. */
vitx_render_opts explain_render_opts(const struct explain_plan *plan);
/* What that map of the picture is drawn with; texts are borrowed. */
vitx_render_opts explain_map_opts(const struct explain_plan *plan, const vitx_map_info *info,
                                  const char *picture);

/* The maps of a batch, until they are written. */
struct making {
    const struct explain_plan *plan;
    const struct batch *batch; /* whose pictures they are */
    vitx_context *context;
    int size;                /* pictures that fit */
    int status;              /* exit status of the batch */
    bool cancelled;          /* Ctrl-C, or who waited has gone */
    bool lacks_memory;       /* a map was not made for want of memory */
    vitx_prediction *top;    /* [size, ranks]: the best classes of the pictures     */
    bool *settled;           /* [size, opts_count]: the map was made, or reported   */
    vitx_map **maps;         /* [size, opts_count]: of one call                     */
    vitx_map **kept;         /* [size, opts_count]: of all                          */
    vitx_explain_opts *opts; /* [opts_count]: of one call                           */
    int *which;              /* [opts_count]: where these are in the plan           */
    char **reasons;          /* [opts_count]: why a picture's maps failed, NULL: they did not */
};

/* For up to `size` pictures at once; complains if there is no memory. Free it whatever comes of
 * it. */
bool making_create(struct making *making, const struct explain_plan *plan, int size);
/* The maps of the pictures of a batch that is not empty, into kept; if that fails what its pictures
 * lack, picture by picture, and if one of these fails, too, map by map, so that no failure costs
 * what could have been done. Complains of what fails. An exit status. some: maps that are not
 * wanted are settled before. */
int making_run(struct making *making, vitx_context *context, const struct batch *batch, bool some);
/* One call of the library for all maps of one picture by several makings, whose plans agree in
 * --flip. best: the picture's best classes, as many as a plan wants ranks. No failure is complained
 * of: maps that are missing are not settled. *forwards: what it took; 0: it failed. */
void makings_run(struct making *makings, int count, vitx_context *context,
                 const struct batch *batch, const vitx_prediction *best, double *forwards);
/* For the next batch: frees the maps; none is settled. */
void making_clear(struct making *making);
void making_free(struct making *making);

/* Explains the pictures and writes the maps, a line each. */
int explain_run(const struct explain_plan *plan, char **files, int count);

enum written { WRITTEN, NOT_WRITTEN, NO_MORE }; /* NO_MORE: nor will the next one be */

/* A map on its way into its file. */
struct map_writing {
    const vitx_map *map;
    const vitx_image *image;
    const char *picture;
    enum written written; /* what came of it */
    bool begun;           /* save_maps came as far as that */
    bool stopped;         /* this map or one before it was NO_MORE */
    vitx_map *mask;       /* the rest is in use while it is written */
    vitx_map_info info;
    vitx_render_opts opts;
    char *name;
};
struct piece_state;

/* Writes the maps, several at a time, and names them in their order. None is begun after a NO_MORE;
 * those under way then may still be written, and are named. states [count]. */
void write_maps(const struct explain_plan *plan, struct map_writing *maps, int count,
                struct piece_state *states);
/* The same in two steps: maps into their files, one after the other, on any thread (false: after a
 * NO_MORE); their lines. */
bool save_maps(const struct explain_plan *plan, struct map_writing *maps, int count);
void name_maps(const struct explain_plan *plan, struct map_writing *maps, int count);

/* ------------------------------------------------------------------ pages ------------------ */

/* The page of the pictures that are explained; with a field in -o one page after the other. */
struct page;

/* For `count` pictures, and reads and hashes the weights from now on, beside all other work;
 * complains if that fails. Free *out whatever comes of it. */
bool page_create(struct page **out, const struct explain_plan *plan, char **files, int count);

enum page_added { PAGE_ADDED, PAGE_FAILED, PAGE_STOPPED }; /* STOPPED: no page can be written */

/* A picture with its maps [opts_count], NULL where there is none; a picture without a map is
 * left out. */
enum page_added page_add(struct page *page, const char *picture, const vitx_image *image,
                         vitx_map *const *maps);
/* The page so far to a writer, in place of page_end(); complains if that fails. */
bool page_write(struct page *page, vitx_writer *write, void *payload);
/* Writes what is not written yet, and names it; gives an exit status. */
int page_end(struct page *page);
void page_free(struct page *page);

#endif
