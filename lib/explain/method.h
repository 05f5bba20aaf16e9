/*
 * explain/method.h: what an explanation method is.
 *
 * A method is one file that ends in one const vx_method, and one row in methods.def. It runs in two
 * steps: `prepare` checks the job and writes down what the forward and backward pass must record;
 * `run` turns the recordings of one picture into the values of its map. Between the two lie one
 * forward pass and one backward pass that serve all methods of the call. What `prepare` works out
 * for `run` is a struct of the method's own file: job->settings. A method that runs variants of the
 * picture does so in `run` (explain/variants.h, explain/patches.h).
 *
 * A method includes headers of explain/, base/ and image/ only: it sees the context through its
 * job. Sizes are arch's (vx_arch_tokens(arch): T) and recipe's, operations are dev->ops.
 */
#ifndef VX_EXPLAIN_METHOD_H
#define VX_EXPLAIN_METHOD_H

#include "engine/trace.h"
#include "explain/similarity.h"
#include "explain/map.h"
#include "explain/score.h"
#include "explain/settings.h"

typedef struct vx_method vx_method;

/* One method applied to pictures; made from a vitx_explain_opts. */
typedef struct vx_job {
    const vx_method *method;
    vitx_context *context; /* closed here: what a method needs of it stands below */
    vx_device *dev;
    const vx_arch *arch;
    const vitx_recipe *recipe;
    const vx_plan *plan;    /* what the passes record, once they have run */
    vx_plan *variants_need; /* what the passes of variants record: prepare adds to it */
    vitx_hooks scratch;     /* for buffers of a run on the host */
    bool grid_open;         /* only options are checked: the picture will have a grid of its own */
    vitx_explain_opts opts; /* read: complete, whatever version the caller's was */
    vx_settings given;      /* the method's options, and what opts set of them */
    void *settings;         /* [method->settings_size] bytes, zeroed for prepare */
    int layer_first, layer_last; /* the blocks asked for; equal unless VITX_ALL */
    int heads;                   /* that the map can be of: a block's, or the pooling head's */
    int head_first, head_last;   /* heads asked for; -1, -1: fused              */
    int query;                   /* a token, or a mean of rows: vx_query_first  */
    vitx_score score;            /* resolved: never VITX_SCORE_AUTO             */
    vx_similarity similarity;    /* what the outputs are compared with, if it has a vector */

    /* Set by prepare. */
    bool gradient;      /* takes part in the backward pass                         */
    bool pixels;        /* the map is [H,W] of the input (prepared: method->on_pixels) */
    int64_t ticks;      /* blocks of passes that run() goes through, of one picture  */
    int variants;       /* variants run() runs at once; 0: none                    */
    bool variants_kept; /* ... with what variants_need records                     */
    bool channels;      /* run() goes through engine/channels.h: explain/ablation.c */
    int map_channels;   /* of the map (prepared: method->channels)                 */
    bool at_pool;       /* the map is of the pooling head's attention, not of a block's */

    int cotangent; /* which of the K gradients of a picture's logits is this job's; -1: none */
} vx_job;

struct vx_method {
    const char *name, *summary, *cost, *reference;
    bool uses_target;
    bool is_signed;              /* values below 0 mean something */
    bool on_pixels;              /* maps have the size of the model's input */
    int channels;                /* numbers per patch, as the last axis of a map; 0: one, and
                                          no axis */
    bool no_layers, no_heads;    /* layer and head of the options mean nothing to it */
    bool uses_query;             /* the query of the options does */
    bool of_pool_query, of_pool; /* if a head pools by attention, the map is of it: where no block
                                    is asked for and the query is the head's own, or always */
    bool among;                  /* compares texts: takes vitx_explain_opts.among */
    bool of_score;               /* maps are in the score's unit, as parts of it */
    vitx_score score;            /* what VITX_SCORE_AUTO means; left out: the logit */
    const vitx_method_option *options; /* [option_count] */
    int option_count;
    int kind; /* the method's own business: which one of those that a file makes it is */
    size_t settings_size; /* of the method's own struct; 0: none */
    /* Reads the options into job->settings and adds to `need`. */
    int (*prepare)(vx_job *job, vx_plan *need);
    /* The map of picture `i` of the batch: fills map->values [layers, heads, h, w], in the shape
     * that map->info has already. Info of every map of the batch is complete before the first
     * run. */
    int (*run)(const vx_job *job, int i, vitx_map *map);
    /* In place of run: the maps of all n pictures; picture i's is maps[i]. For methods that queue
     * operations for all of them and read the results once. */
    int (*run_batch)(const vx_job *job, int n, vitx_map *const *maps);
};

/* By index, NULL past the last. */
const vx_method *vx_method_at(int index);

/* A job of which nothing is resolved or prepared yet; opts are complete. */
vx_job vx_job_of(vitx_context *c, const vx_method *method, const vitx_explain_opts *opts);
/* Reads the options, resolves what they leave open, and refuses what can be seen to be wrong before
 * a text is run. */
int vx_job_check(vx_job *job, vitx_context *c, const vitx_explain_opts *given);
/* Then: runs its texts and asks the method, which adds its needs to context->need. settings and the
 * vector are the context's scratch, also after a failure. */
int vx_job_prepare(vx_job *job);
/* The map of picture `i` of the batch that has just run, still without values; to be freed. image
 * NULL: the picture is the input itself. */
int vx_job_map(vitx_map **out, const vx_job *job, const vitx_image *image, int i);

/* Fills the maps of the n pictures from `first` on: of the whole batch if the method has run_batch,
 * else of one. */
int vx_job_run(const vx_job *job, int first, int n, vitx_map *const *maps);

/* What block `layer` left behind for picture `i` of the batch. */
vx_recorded vx_job_attention(const vx_job *job, int layer, int i);

/* What the model answered for picture `i`: its outputs [classes]. */
const float *vx_job_outputs(const vx_job *job, int i);

/* What the passes left behind for picture `i`. The gradient is [T,T] or [H,T,T] as the plan keeps
 * it. */
vx_far *vx_job_dattention(const vx_job *job, int layer, int i);
const vx_far *vx_job_tokens(const vx_job *job, int layer, vx_at at, int i);  /* [T,D] */
const vx_far *vx_job_dtokens(const vx_job *job, int layer, vx_at at, int i); /* [T,D] */
const vx_far *vx_job_dinput(const vx_job *job, int i);                       /* [C,H,W] */
const vx_far *vx_job_input(const vx_job *job, int i);                        /* [C,H,W] */
int vx_job_host_input(const float **out, const vx_job *job, int i);          /* ... on the host */
size_t vx_job_input_floats(const vx_job *job);                               /* C*H*W */
/* How many of n pictures one operation can take: all, unless gradients of other jobs lie between
 * those of this one. */
static inline int vx_job_at_once(const vx_job *job, int n)
{
    return job->gradient && job->plan->targets > 1 ? 1 : n;
}
/* The attention of the pooling head, and its gradient, [H,T]. */
const vx_far *vx_job_pool(const vx_job *job, int i);
const vx_far *vx_job_dpool(const vx_job *job, int i);
/* What the map of picture `i` explains. */
vx_target vx_map_target(const vitx_map *map);

/* ------------------------------------------------------------------ for run --------------- */

/* Device memory of `floats` floats, until run() returns. Once in a run: what run() calls gets its
 * memory from run(), unless its header says that it takes the work memory itself. `what` is for the
 * message if there is not as much. */
int vx_job_work(vx_far **out, const vx_job *job, size_t floats, const char *what);
/* Floats that begin where the device likes to read: a piece of work memory of at least that
 * many. */
static inline size_t vx_job_piece(size_t floats)
{
    return (floats + 15) / 16 * 16;
}
/* How many pictures, of n, with so many floats of work memory each, are worth having at once: at
 * least 1. */
static inline int vx_job_fit(size_t floats, int n)
{
    const size_t most = ((size_t)4 << 20) / (floats ? floats : 1); /* 16 MiB: two large pictures */
    return most < 1 ? 1 : most < (size_t)n ? (int)most : n;
}
/* Device to host, after all that was queued; waits for the device. VITX_DEVICE. */
int vx_job_read(const vx_job *job, float *host, const vx_far *device, size_t floats);
/* Host to device. The host's floats stay as they are until the next vx_job_read. */
void vx_job_write(const vx_job *job, vx_far *device, const float *host, size_t floats);
/* LeGrad's two steps for the batch's n pictures (vx_pass_answer in engine/pass.h): the head's
 * answer to block `layer` alone, [n,classes] each, to the host (bare: a pooling head's, without the
 * norm before it); then, from its gradients [n,classes] on the host, the gradient of that block's
 * attention. */
int vx_job_answer(const vx_job *job, int n, int layer, bool bare, float *logits,
                  float *probabilities);
int vx_job_answer_backward(const vx_job *job, int n, int layer, const float *cotangents);
/* task(arg, i, worker) for i = 0..count-1, shared by the context's threads, in no order. */
void vx_job_parallel(const vx_job *job, void (*task)(void *arg, int i, int worker), void *arg,
                     int count);

#endif
