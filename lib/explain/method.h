/*
 * explain/method.h: what an explanation method is.
 *
 * A method is one file that ends in one const vx_method, and one row in methods.def. It runs in two
 * steps: `prepare` checks the job and writes down what the forward pass must record; `run` turns
 * the recordings of one picture into the values of its map. Between the two lies one forward pass
 * that serves all methods of the call.
 */
#ifndef VX_EXPLAIN_METHOD_H
#define VX_EXPLAIN_METHOD_H

#include "engine/context.h"
#include "explain/map.h"

typedef struct vx_method vx_method;

/* One method applied to pictures; made from a vitx_explain_opts. */
typedef struct vx_job {
    const vx_method *method;
    vitx_context *context;
    const vx_arch *arch;
    const vitx_explain_opts *opts;
    int layer_first, layer_last; /* the blocks asked for; equal unless VITX_ALL */
    int head_first, head_last;   /* heads asked for; -1, -1: fused              */
    int query;                   /* a token, or -1: mean over the patch rows    */
    union {                      /* what prepare worked out for run             */
        struct {
            vx_fuse fuse;
        } attention;
        struct {
            vx_fuse fuse;
            int start;
            double discard;
            bool compat;
        } rollout;
    } set;
} vx_job;

struct vx_method {
    const char *name, *summary, *cost, *reference;
    bool uses_target;
    const vitx_method_option *options; /* [option_count] */
    int option_count;
    /* Reads the options into job->set and adds to `need`. */
    int (*prepare)(vx_job *job, vx_plan *need);
    /* The map of picture `i` of the batch: out [layers, heads, gh, gw] without gaps. */
    int (*run)(const vx_job *job, int i, float *out);
};

/* By index, NULL past the last. */
const vx_method *vx_method_at(int index);

/* The value of an option: what was set last, else its default. Unknown keys were refused before. */
const char *vx_setting(const vx_job *job, const char *key);
/* It as a number within low..high; as one of the words of the option's `values` ("a|b|c"). */
int vx_setting_number(double *out, const vx_job *job, const char *key, double low, double high);
int vx_setting_int(int *out, const vx_job *job, const char *key, int low, int high);
int vx_setting_choice(int *out, const vx_job *job, const char *key);

/* How heads are fused, of an option whose values are "mean|max|min". */
int vx_setting_fuse(vx_fuse *out, const vx_job *job);
#define VX_OPTION_FUSE                                                                             \
    { "fuse", "mean", "mean|max|min", "how the heads become one, where no head is chosen" }

#endif
