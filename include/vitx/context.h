/*
 * vitx/context.h: running a model.
 *
 * A context owns everything that changes while a model runs: the memory of the activations, the
 * worker threads, the recorded attention. It takes its memory when it is created, in amounts that
 * vitx_context_get_info() tells, and vitx_context_preview() before; classifying allocates nothing
 * afterwards, except with VITX_FIT_KEEP where a picture is larger than all before.
 *
 * Thread rule: a context belongs to one thread at a time. Use one context per thread; they may
 * share a model. A call on a context that is in another call returns VITX_BUSY and changes nothing. This
 * check finds what meets in time; it makes no context safe to share. Worker threads do not live on in the child of a fork(): there a context goes on with
 * the calling thread alone; make a new one to have workers.
 */
#ifndef VITX_CONTEXT_H
#define VITX_CONTEXT_H

#include <vitx/base.h>
#include <vitx/image.h>
#include <vitx/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vitx_context vitx_context;

/** @return the name of device `index` ("cpu"), NULL past the last one. Static; any thread. */
VITX_API const char *vitx_device_name(int index);

/** How a picture meets the model's input. */
typedef enum vitx_fit {
    VITX_FIT_RECIPE = 0, /**< as the model's recipe says                                        */
    VITX_FIT_SQUASH = 1, /**< the whole picture resized to the input size with the recipe's
                              filter; a picture of that size is taken as it is                  */
    VITX_FIT_CROP = 2,   /**< resized in proportion to the smallest size that covers the input,
                              then centre crop                                                  */
    VITX_FIT_PAD = 3,    /**< resized in proportion to the largest size within the input, in its
                              middle; the rest has the recipe's mean colour                     */
    VITX_FIT_KEEP = 4    /**< the input takes the picture's own size, each side rounded to whole
                              patches (half up, at least one) and the whole picture resized to
                              that; with input_height and input_width, of the largest size in
                              proportion within these. Pictures of a call may differ: those that
                              follow one another and have one size run together                 */
} vitx_fit;

/** What the backward pass reads of the forward pass. */
typedef enum vitx_gradients {
    VITX_GRADIENTS_AUTO = 0,     /**< kept where the trace_budget has room for it, else recomputed */
    VITX_GRADIENTS_KEEP = 1,     /**< kept for every block that the backward pass reaches       */
    VITX_GRADIENTS_RECOMPUTE = 2 /**< the blocks' inputs are kept and each block is run once more
                                      before its backward: a tenth of the memory, one more forward */
} vitx_gradients;

/**
 * Called on the caller's thread while work is under way. `done` grows from 0 to `total` within
 * one public call, by one or more at a time; the unit is one block of one batch, forward or backward, or of
 * one variant of a picture. It must not call vitx with this context: calls that run it return VITX_BUSY.
 *
 * @return 0 to go on; anything else makes the running call return VITX_CANCELLED
 */
typedef int vitx_progress(int64_t done, int64_t total, void *payload);

typedef struct vitx_context_opts {
    size_t struct_size;
    const char *device;       /**< "cpu", "ref" (the scalar definition: slow); with a number, as
                                   "cpu:0", one of several of that kind; NULL or "auto": the
                                   first of vitx_device_name() that this machine has            */
    const char *precision;    /**< "f32"; NULL or "auto": the fastest the device has that keeps
                                   the f32 tolerance                                            */
    int threads;              /**< workers, the caller's thread among them; 0: as many as the
                                   process may use processors, by its affinity and the CPU quota
                                   of its control group; at most 256. Of more than that no more
                                   work at once, and a warning is logged                        */
    int max_batch;            /**< pictures that run at once, 1 to 1024; 0: 1. More pictures a
                                   call are run in several batches                              */
    vitx_fit fit;             /**< default VITX_FIT_RECIPE                                      */
    size_t trace_budget;      /**< bytes that recorded attention, and what gradients need, may
                                   take, of pictures and, apart, of their variants; 0: 1 GiB    */
    vitx_progress *progress;  /**< NULL: none                                                   */
    void *progress_payload;
    vitx_gradients gradients; /**< default VITX_GRADIENTS_AUTO                                  */
    const char *pos_resample; /**< how position embeddings are brought to a grid other than the
                                   file's: a name of vitx_pos_resample_name(); NULL: as the
                                   library that the file comes from does it                     */
    size_t memory_budget;     /**< bytes that activation_bytes may come to, and with them what
                                   methods and metrics take for the variants of a picture that they
                                   run at once: as many as fit. 0: any number                   */
    int input_height, input_width; /**< pixels of the input, multiples of the patch, at most 65535;
                                   0, 0: the recipe's. What the recipe resizes to grows with it:
                                   timm's floor(size / crop_pct), else in proportion            */
    int max_tokens;           /**< tokens that a picture may make; 0: 16384, or what the model
                                   makes by itself, where that is more                          */
} vitx_context_opts;

#define VITX_CONTEXT_OPTS_INIT { sizeof(vitx_context_opts), NULL, NULL, 0, 0, VITX_FIT_RECIPE, 0, NULL, NULL, VITX_GRADIENTS_AUTO, NULL, 0, 0, 0, 0 }
VITX_API void vitx_context_opts_init(vitx_context_opts *out, size_t struct_size);

/**
 * Makes a context for a model.
 *
 * The first context of a device reads the weights (they are then shared by all contexts of the
 * model on that device) and checks that every value is finite. Worker threads sleep between calls.
 *
 * @param out    the context; free it with vitx_context_free()
 * @param model  stays alive until the context is freed, whatever is freed first
 * @param opts   NULL: all defaults
 * @return VITX_OK, VITX_INVALID (an option; of a side that is no multiple of the patch the message
 *         names the two nearest), VITX_NOMEM (also: past memory_budget), VITX_UNSUPPORTED (more tokens
 *         than max_tokens), VITX_IO or VITX_FORMAT (the weights; the message names the tensor),
 *         VITX_DEVICE (unknown or failing device or precision)
 */
VITX_API int vitx_context_create(vitx_context **out, vitx_model *model,
                                 const vitx_context_opts *opts);
VITX_API void vitx_context_free(vitx_context *context);

/**
 * Another progress callback from the next call on.
 *
 * @param progress  NULL: none
 * @return VITX_OK, VITX_INVALID, VITX_BUSY (a call is under way)
 */
VITX_API int vitx_context_set_progress(vitx_context *context, vitx_progress *progress,
                                       void *payload);

/**
 * A number that grows with every call that runs or plans something, at its start. A view is valid as
 * long as this is what it was when the view was handed out, so a binding can refuse one that is stale.
 *
 * @return at least 1 after the first such call; 0 for NULL
 */
VITX_API uint64_t vitx_context_generation(const vitx_context *context);

/** What a context runs on and takes. Strings live as long as the context. */
typedef struct vitx_context_info {
    size_t struct_size;
    const char *device;      /**< "cpu"                                                         */
    const char *precision;   /**< "f32"                                                         */
    const char *kernels;     /**< one line: instruction sets and libraries in use               */
    int threads;
    int max_batch;
    size_t weight_bytes;     /**< packed weights, shared by the model's contexts on the device  */
    size_t activation_bytes; /**< this context's memory without recorded attention              */
    size_t trace_bytes;      /**< memory of recorded attention held now                         */
    int input_height, input_width; /**< with VITX_FIT_KEEP those of the last picture, before the
                                  first the size that memory was taken for; so all below        */
    int grid_height, grid_width;
    int tokens;
    int max_tokens;
    int64_t flops;           /**< multiply-adds of one forward of one picture, times two        */
    const char *pos_resample; /**< how the position embeddings were resampled; NULL: they were not */
    const vitx_recipe *recipe; /**< from picture to this input; lives as long as the context    */
} vitx_context_info;

#define VITX_CONTEXT_INFO_INIT VITX_SIZED(vitx_context_info)
VITX_API void vitx_context_info_init(vitx_context_info *out, size_t struct_size);
VITX_API int vitx_context_get_info(vitx_context_info *out, const vitx_context *context);

/**
 * What vitx_context_get_info() would say of a context made with these options, without making one:
 * nothing is allocated that stays, no weight is read. `kernels` is "" and `recipe` the one given.
 *
 * @param recipe       gets the recipe at that size, as much as fits; NULL: not wanted
 * @param recipe_size  sizeof(vitx_recipe) as the caller knows it, or 0
 * @return as vitx_context_create(), for what can be known of the options
 */
VITX_API int vitx_context_preview(vitx_context_info *out, vitx_recipe *recipe, size_t recipe_size,
                                  const vitx_model *model, const vitx_context_opts *opts);

/** One class of one picture. */
typedef struct vitx_prediction {
    int index;         /**< class, 0..K-1; -1 in entries beyond K                               */
    float logit;       /**< the model's raw output                                              */
    float probability; /**< as vitx_model_info.outputs says: the softmax over all K logits, the
                            sigmoid of this one, or, if the outputs are plain numbers, the logit */
    const char *label; /**< name of the class or NULL; lives as long as the model               */
} vitx_prediction;

/**
 * The `k` most probable classes of one picture, best first (equal logits: lower index first); of
 * outputs that are plain numbers the largest.
 *
 * @param top  [k]
 * @param k    at least 1; entries beyond the model's classes get index -1
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (the model has no classes:
 *         vitx_model_info.units), VITX_FORMAT (the model answered with a NaN or an infinity),
 *         VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_classify(vitx_context *context, const vitx_image *image, vitx_prediction *top,
                           int k);

/** The same for `n` pictures: `top` is [n, k]. Runs max_batch pictures at a time. */
VITX_API int vitx_classify_batch(vitx_context *context, const vitx_image *const *images, int n,
                                 vitx_prediction *top, int k);

/**
 * The embedding of one picture by a model without classes (vitx_model_info.units): what its library
 * gives for it, that is the pooled features, or with a projection the projected ones.
 *
 * @param out        [K], K of vitx_model_info.classes
 * @param normalize  nonzero: divided by its Euclidean length; 0: as it is
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (the model has classes), VITX_FORMAT (a NaN, an
 *         infinity; or all 0 where it is to be normalised), VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_embed(vitx_context *context, const vitx_image *image, float *out, int normalize);

/** The same for `n` pictures: `out` is [n, K]. Runs max_batch pictures at a time. */
VITX_API int vitx_embed_batch(vitx_context *context, const vitx_image *const *images, int n,
                              float *out, int normalize);

/**
 * Runs the forward pass of 1 to max_batch pictures and keeps the logits and, where
 * vitx_context_set_trace() asked for it, the attention. With VITX_FIT_KEEP they must make inputs of one
 * size. The views that vitx_logits(),
 * vitx_input() and vitx_attention() hand out belong to the last vitx_forward() and become invalid
 * with the next call that runs the context.
 *
 * @return as vitx_classify()
 */
VITX_API int vitx_forward(vitx_context *context, const vitx_image *const *images, int n);

/*
 * The same for inputs that a program has made itself, in place of pictures: normalised already, as the
 * recipe would leave them. `inputs` is [n, 3, height, width], read during the call and not kept. Height
 * and width are the context's own (vitx_context_info.input_height, input_width); with VITX_FIT_KEEP
 * they are any multiples of the patch that max_tokens allows. VITX_INVALID: another size, or a number
 * that is a NaN or an infinity; nothing has run then. All else is as it is for pictures.
 */
VITX_API int vitx_classify_inputs(vitx_context *context, const float *inputs, int n, int height,
                                  int width, vitx_prediction *top, int k);
VITX_API int vitx_embed_inputs(vitx_context *context, const float *inputs, int n, int height,
                               int width, float *out, int normalize);
VITX_API int vitx_forward_inputs(vitx_context *context, const float *inputs, int n, int height,
                                 int width);

/** Logits of the last vitx_forward(), or its embeddings: f32 [n, K]. @return VITX_OK, VITX_INVALID (nothing ran). */
VITX_API int vitx_logits(vitx_view *out, const vitx_context *context);

/** The normalised input of the last vitx_forward(): f32 [n, 3, H, W]. */
VITX_API int vitx_input(vitx_view *out, const vitx_context *context);

/* ------------------------------------------------------------------ where the time goes ---- */

/** What one operation of the device (linear, attention, ...) took since the profile was begun. */
typedef struct vitx_op_time {
    size_t struct_size;
    const char *name; /**< "linear"; lives as long as the library                              */
    int64_t calls;
    double seconds;
    double flops;     /**< of its products of matrices, a multiply-add being two; 0: it has none */
    double bytes;     /**< what it read and wrote, each array counted once                     */
} vitx_op_time;

#define VITX_OP_TIME_INIT VITX_SIZED(vitx_op_time)
VITX_API void vitx_op_time_init(vitx_op_time *out, size_t struct_size);

/**
 * Times each operation from now on, counted from 0; or stops, and the counts stay. A device that puts
 * operations off waits after each while it is timed. Takes memory the first time.
 *
 * @param on  0: stop
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM
 */
VITX_API int vitx_context_set_profile(vitx_context *context, int on);

/**
 * The time of operation `index`, 0 to the number of operations - 1; operations that never ran are
 * among them.
 *
 * @return VITX_OK, VITX_INVALID (there is none, or the profile was never on)
 */
VITX_API int vitx_context_get_op_time(vitx_op_time *out, const vitx_context *context, int index);

/**
 * Measures what the device does at most with the context's threads, to compare operations with: a
 * product of matrices of 1024 x 1024, and a copy of 64 MiB. Takes 130 MiB meanwhile, and less than a
 * second on most machines. Small arrays that stay in a cache can be read faster than `bytes` says.
 *
 * @param flops  per second, of the product
 * @param bytes  per second, read and written by the copy
 * @return VITX_OK, VITX_INVALID (a profile is on; a context with VITX_FIT_KEEP has run nothing yet),
 *         VITX_NOMEM, VITX_DEVICE
 */
VITX_API int vitx_context_measure_peak(vitx_context *context, double *flops, double *bytes);

/* ------------------------------------------------------------------ recording attention ---- */

/** What is kept of each recorded layer's attention probabilities (softmax output; rows sum to 1). */
typedef enum vitx_record {
    VITX_RECORD_NONE = 0,
    VITX_RECORD_ROW = 1,   /**< one query's row: [n, H, 1, T]                                   */
    VITX_RECORD_FUSED = 2, /**< heads fused while they are computed: [n, 1, T, T]               */
    VITX_RECORD_ALL = 3    /**< everything: [n, H, T, T]                                        */
} vitx_record;

/** How heads become one. */
typedef enum vitx_fuse { VITX_FUSE_MEAN = 0, VITX_FUSE_MAX = 1, VITX_FUSE_MIN = 2 } vitx_fuse;

/** For layer, head and query: what the method or model takes by itself. */
#define VITX_AUTO (-1)
/** For layer and head: each of them, as a leading axis of the map. */
#define VITX_ALL (-2)

/** What vitx_backward() is to find gradients of; sums of these. Tokens come with their activations. */
typedef enum vitx_gradient {
    VITX_GRADIENT_ATTENTION = 1, /**< each recorded block's attention probabilities             */
    VITX_GRADIENT_NORM1 = 2,     /**< what its first norm gives                                 */
    VITX_GRADIENT_OUTPUT = 4,    /**< the tokens behind it                                      */
    VITX_GRADIENT_INPUT = 8,     /**< the normalised input                                      */
    VITX_GRADIENT_ANY = 15
} vitx_gradient;

typedef struct vitx_trace_opts {
    size_t struct_size;
    vitx_record record;
    vitx_fuse fuse;    /**< of VITX_RECORD_FUSED                                                */
    int query;         /**< of VITX_RECORD_ROW: a token 0..T-1; VITX_AUTO: the one the head reads
                            (class token), or the mean over the patch rows where it reads their
                            mean, or over both rows where it reads two tokens                   */
    const int *layers; /**< blocks to record, any order; NULL: all. Copied                      */
    int layer_count;
    vitx_dtype storage; /**< VITX_F32, or VITX_F16 for half the memory                          */
    int gradients;      /**< sum of vitx_gradient, for the blocks in `layers`; 0: none. Blocks that
                             the backward pass goes through keep their attention whole, in f32,
                             unless it is recomputed: vitx_view.shape tells                      */
    int targets;        /**< gradients of each picture that vitx_backward() runs at once, 1 to
                             1024; 0 without gradients                                          */
} vitx_trace_opts;

#define VITX_TRACE_OPTS_INIT { sizeof(vitx_trace_opts), VITX_RECORD_NONE, VITX_FUSE_MEAN, VITX_AUTO, NULL, 0, VITX_F32, 0, 0 }
VITX_API void vitx_trace_opts_init(vitx_trace_opts *out, size_t struct_size);

/** The bytes that recording takes for `batch` pictures, and with gradients (kept, not recomputed) the
 * backward pass, without allocating anything. */
VITX_API int vitx_trace_bytes(size_t *out, const vitx_model *model, const vitx_trace_opts *opts,
                              int batch);
/** The same for contexts made with these options (their size counts; NULL: all defaults). */
VITX_API int vitx_trace_bytes_with(size_t *out, const vitx_model *model,
                                   const vitx_context_opts *context, const vitx_trace_opts *opts,
                                   int batch);

/**
 * Says what vitx_forward() records from now on (until then: nothing). Allocates for max_batch
 * pictures, once; refuses with VITX_NOMEM, and changes nothing, where the context's trace_budget
 * would be exceeded.
 *
 * @param opts  NULL: record nothing
 */
VITX_API int vitx_context_set_trace(vitx_context *context, const vitx_trace_opts *opts);

/**
 * The recorded attention of one block: a view of rank 4 in the shape that vitx_record gives, no
 * copy.
 *
 * @param layer  0..depth-1
 * @return VITX_OK, VITX_INVALID (the layer was not recorded)
 */
VITX_API int vitx_attention(vitx_view *out, vitx_context *context, int layer);

/**
 * What an attention-pooling head (vitx_model_info.pooling "map") pools with: the attention of its one
 * query over the tokens (0 at prefix tokens that it leaves out), f32 [n, H, 1, T]. Recorded wherever
 * vitx_trace_opts.record is not NONE.
 *
 * @return VITX_OK, VITX_INVALID (not recorded), VITX_UNSUPPORTED (the model has no such head)
 */
VITX_API int vitx_pool_attention(vitx_view *out, vitx_context *context);

/* ------------------------------------------------------------------ gradients -------------- */

/**
 * The backward pass of the last vitx_forward(): from gradients of the logits, any linear combination
 * of which is a score, to what vitx_context_set_trace() asked for in `gradients`. It stops where
 * nothing below is wanted. May be called again with other dlogits.
 *
 * @param dlogits  [n, targets, K], n pictures of the last vitx_forward(): d score / d logit. A logit k:
 *                 1 at k, else 0. A probability p_k: p_k ((j == k) - p_j) at j if it is a softmax,
 *                 p_k (1 - p_k) at k and else 0 if it is a sigmoid
 * @return VITX_OK, VITX_INVALID (nothing ran, no gradients asked for, a number that is not finite),
 *         VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_backward(vitx_context *context, const float *dlogits);

/** Where in a block tokens are looked at. */
typedef enum vitx_tokens_at {
    VITX_AT_NORM1 = 0, /**< what the block's first norm gives                                   */
    VITX_AT_OUTPUT = 1 /**< behind the block, residual added                                    */
} vitx_tokens_at;

/**
 * Views of what the last vitx_backward() left behind, f32; gradient g = i*targets + k belongs to
 * target k of picture i. Valid as vitx_attention()'s, and until the next vitx_backward().
 * Attention: [n*targets, H, T, T]; tokens: [n*targets, T, D]; input: [n*targets, 3, H, W].
 *
 * @return VITX_OK, VITX_INVALID (not asked for, or vitx_backward() has not run)
 */
VITX_API int vitx_attention_gradient(vitx_view *out, vitx_context *context, int layer);
VITX_API int vitx_tokens_gradient(vitx_view *out, vitx_context *context, int layer, vitx_tokens_at at);
VITX_API int vitx_input_gradient(vitx_view *out, vitx_context *context);
/** Tokens themselves, f32 [n, T, D], of blocks whose gradients at that place were asked for. */
VITX_API int vitx_tokens(vitx_view *out, vitx_context *context, int layer, vitx_tokens_at at);

#ifdef __cplusplus
}
#endif
#endif
