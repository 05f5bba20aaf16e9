/*
 * cli/eval.h: what the files of eval share.
 *
 * cmd_eval.c has the options, and measures over pictures; eval_plan.c what is measured by what;
 * eval_case.c one picture; eval_scenes.c measures over generated scenes, eval_words.c what these
 * are asked for in words; eval_table.c is the
 * result, eval_curves.c its curves.
 */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include "direction.h"
#include "eval_mask.h"
#include "eval_table.h"

enum { BLIND = 2 }; /* how many blind maps there are */

struct eval_settings {
    struct common common;
    struct list methods, metrics, set, boxes, texts, among;
    const char *target, *vector, *like, *versus, *mask, *other, *curves;
    const char *text; /* the one of `texts`, or NULL */
    int layer, score;
    int scenes, seed, costly; /* scenes 0: pictures; seed, costly VITX_AUTO: not given */
    int words;                /* of --scenes: enum language; VITX_AUTO: asked for by class */
    bool among_things;        /* of --words: the sentences of all things are told apart */
    bool json, no_baselines, list;
};

/* Columns of the table belong to one of these. */
enum eval_group {
    GROUP_PICTURES = 0, /* all there is, without --scenes */
    GROUP_ONE = 0,      /* scenes of one object, by metrics that look at the map and the mask */
    GROUP_TWO = 1,      /* those of two */
    GROUP_MODEL = 2,    /* a few of one object, by metrics that run the model */
    GROUP_TIME = 3,     /* milliseconds: of no metric */
    EVAL_GROUPS = 4
};

/* How everything is measured. A row of the table is a method, or behind those a blind map. */
struct eval_plan {
    const struct eval_settings *settings;
    struct session session;
    struct list method_names;     /* what --method means */
    vitx_explain_opts *opts;      /* [methods] */
    const char **sets;            /* of opts */
    vitx_evaluate_opts *evaluate; /* [metrics] */
    const char **metric_sets;     /* [metrics, room for all sets] */
    struct list method_set;       /* borrowed texts */
    char coarse[32];              /* "step=N": of insertion and deletion over scenes */
    struct box *boxes;
    struct direction direction; /* in place of a target; that of all opts */
    struct table table;
    int target, methods, metrics;
};

/* ------------------------------------------------------------------ eval_plan.c ------------ */

/* All complain where they fail, and give an exit status. */

int eval_list_metrics(void);
/* What needs no model: the methods, the table with its rows and columns, whose option is whose. */
int eval_plan_create(struct eval_plan *plan);
/* One of opts for each method; needs an opened session. */
int eval_plan_methods(struct eval_plan *plan);
/* The options' values; needs a started session. Methods that --method all means, and that cannot
 * explain this model, are left out. */
int eval_plan_check(struct eval_plan *plan);
/* Says beforehand how many forward passes `count` pictures take, if that is long; not with
 * --quiet. */
void eval_plan_announce(const struct eval_plan *plan, int count);
void eval_plan_free(struct eval_plan *plan);

/* ------------------------------------------------------------------ eval_case.c ------------ */

/* A picture whose maps are measured one after the other. */
struct eval_case {
    const struct eval_plan *plan;
    const char *name;
    const vitx_image *image;
    struct mask mask, other;   /* of one size; inside NULL: there is none */
    unsigned groups;           /* bits: the columns that it counts for */
    bool *reported;            /* [metrics]: a failure of this picture */
    char said[512];            /* why its last map failed; "": none has */
    vitx_evaluate_opts *opts;  /* [metrics]: of one call */
    int *which;                /* [metrics]: where these are in the plan */
    vitx_evaluation **results; /* [metrics]: of the last call */
    int count;                 /* of those */
    int status;                /* SOME_FAILED when anything has */
};

bool eval_case_create(struct eval_case *c, const struct eval_plan *plan);
void eval_case_free(struct eval_case *c);
void eval_case_begin(struct eval_case *c, const char *name, const vitx_image *image);

/* Both report what fails, and give VITX_OK, or VITX_CANCELLED. */

/* The maps by opts[m], into maps[m]; where one fails, the others. */
int eval_case_explain(struct eval_case *c, vitx_map **maps, const vitx_explain_opts *opts, int m);
/* The blind map of that row. */
int eval_case_blind(struct eval_case *c, vitx_map **map, int row, int seed, int target);
/* All metrics of one map, into results; what there is goes into the table. */
int eval_case_measure(struct eval_case *c, struct table *t, const vitx_map *map, int row);

/* ------------------------------------------------------------------ eval_scenes.c ---------- */

/* What needs no model: options that exclude each other. */
int eval_scenes_check(const struct eval_settings *settings, int files);
/* Measures and prints. */
int eval_scenes(struct eval_plan *plan);

/* ------------------------------------------------------------------ eval_curves.c ---------- */

/* --curves against the chosen metrics. */
int eval_curves_check(const struct eval_plan *plan);
/* "curves/{metric}.png" for a metric; to be freed. */
char *eval_curves_name(const char *out, const char *metric);
/* The mean curves, if they are asked for. */
int eval_curves_write(const struct eval_plan *plan);

#endif
