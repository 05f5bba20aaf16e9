/*
 * measure/metric.h: what a metric of maps is.
 *
 * A metric is one file that ends in one const vx_metric, and one row in metrics.def. It runs in two
 * steps, as a method does: `prepare` reads the options and says what will be run and how long the
 * curve will be; `run` fills in the numbers. Between the two the picture is run once, for all
 * metrics of the call.
 *
 * A metric includes headers of measure/, explain/, base/ and image/ only: it sees the context
 * through its subject, and runs what it needs through the functions below, patches.h and
 * random_weights.h.
 */
#ifndef VX_MEASURE_METRIC_H
#define VX_MEASURE_METRIC_H

#include <vitx/evaluate.h>

#include "engine/inputs.h"
#include "explain/method.h"

typedef struct vx_metric vx_metric;

/* The map that is measured, and what all metrics of a call share. */
typedef struct vx_subject {
    vitx_context *context; /* closed here: what a metric needs of it stands below */
    const vx_arch *arch;
    const vitx_recipe *recipe;
    vitx_hooks scratch;  /* for buffers of a run on the host */
    int workers;         /* that fill inputs at once */
    size_t input_floats; /* C*input_height*input_width */
    const vitx_image *image;
    const vitx_map *map; /* of one plane, finite */
    const float *plane;  /* [height,width]: its values */
    int height, width;
    int input_height, input_width; /* the model's input */
    int seen_height, seen_width; /* the part of it that is covered by patches, from the top left */
    /* The vector that is compared with, if opts.explain has one or a picture; if not, both have
     * none. [VX_AS_IT_IS] is for score dot, [VX_OF_LENGTH_1] for the cosine. A picture's vector is
     * 1, 1, .. until run(). */
    vx_similarity similarity[2];
    vitx_score asked; /* what curves are to be of; AUTO: nobody said */
    int versus;       /* of a difference; VITX_AUTO: nobody said */
    /* Behind prepare; not where all metrics of the call have only_map. */
    float *input;       /* [C,input_height,input_width] normalised, on the host */
    vx_target explains; /* what the map explains */
    vx_target follows;  /* what curves are of (followed.h) */
    double value;       /* of `explains` for the picture itself */
    double followed;    /* of `follows` */
} vx_subject;
enum { VX_AS_IT_IS, VX_OF_LENGTH_1 };

/* One metric applied to a map; made from a vitx_evaluate_opts. */
typedef struct vx_trial {
    const vx_metric *metric;
    const vx_subject *subject;
    vitx_evaluate_opts opts;
    vitx_explain_opts
        explain;    /* opts.explain, complete, for the map's own target; if it is needed */
    void *settings; /* [metric->settings_size] bytes, zeroed for prepare */

    vx_settings given; /* the metric's options, and what opts set of them */

    /* Set by prepare. */
    int points;    /* of each curve */
    int64_t ticks; /* blocks of passes that run() goes through */
    int variants;  /* variants run() runs at once; 0: none */
} vx_trial;

/* The inside of an evaluation: its arrays, still to be filled, are info's. */
struct vitx_evaluation {
    vitx_hooks hooks;
    vitx_evaluation_info info;
    double *values; /* [metric->value_count] */
    double *x;      /* [points] */
    double *curves; /* [metric->curve_count, points] */
};

struct vx_metric {
    const char *name, *summary, *cost, *reference;
    bool higher_is_better;
    bool needs_mask, needs_other, needs_explain;
    bool only_map; /* run() reads the map and the masks, and nothing of what the picture gave */
    const char *const *value_names; /* [value_count]; left out: the name alone */
    int value_count;
    const char *const *curve_names; /* [curve_count] */
    int curve_count;
    const char *x_name;
    const vitx_method_option *options; /* [option_count] */
    int option_count;
    size_t settings_size;            /* of the metric's own struct; 0: none */
    int (*prepare)(vx_trial *trial); /* NULL: nothing to prepare */
    int (*run)(const vx_trial *trial, vitx_evaluation *out); /* fills values, x and curves */
};

/* By index, NULL past the last. */
const vx_metric *vx_metric_at(int index);
/* How many values it gives: those it names, or the one of its own name. */
int vx_metric_value_count(const vx_metric *m);

/* ------------------------------------------------------------------ running variants ------- */

/* For prepare: run() reads what the map explains, or what curves are of. */
int vx_trial_need_explained(const vx_trial *trial);
int vx_trial_need_followed(const vx_trial *trial);
/* The latter, and run() will score `n` variants. */
int vx_trial_variants(vx_trial *trial, int n);
/* Runs the n inputs and gives what curves are of for each: out [n]. Adds n
 * to evaluation->info.forwards. */
int vx_trial_score(double *out, const vx_trial *trial, vitx_evaluation *evaluation,
                   const vx_inputs *inputs, int n);

/* Whether the device makes inputs (vx_inputs.queue), and device memory for what it makes them of:
 * `floats` floats until run() explains, or takes patches away, or returns. What is written to it
 * from the host stays there as it is until run() returns. */
bool vx_trial_is_far(const vx_trial *trial);
int vx_trial_work(vx_far **out, const vx_trial *trial, size_t floats, const char *what);
void vx_trial_write(const vx_trial *trial, vx_far *device, const float *host, size_t floats);

/* For prepare: run() will explain n inputs, which need trial->explain. */
int vx_trial_explains(vx_trial *trial, int n);
/* Does it: out [n] maps, to be freed, all of the shape of the map that is measured; on failure
 * none. */
int vx_trial_explain(vitx_map **out, const vx_trial *trial, const vx_inputs *inputs, int n);

#endif
