/*
 * vitx/context.h: running a model.
 *
 * A context owns everything that changes while a model runs: the memory of the activations, the
 * worker threads, the recorded attention. A context takes its memory when it is created.
 * vitx_context_get_info() tells how much; vitx_context_preview() tells it before the context is
 * made. Classifying allocates nothing afterwards, except with VITX_FIT_KEEP if a picture is larger
 * than all before, and on "cuda" in the first calls, which keep lists of what they queue: up to 9
 * MiB of the host's memory.
 *
 * Thread rule: a context belongs to one thread at a time. Use one context per thread; contexts may
 * share a model. While one call runs on a context, a second call on that context returns VITX_BUSY
 * and changes nothing. This check finds only calls that overlap in time; it does not make a context
 * safe to share. Worker threads do not exist in the child of a fork(): a context continues there
 * with the calling thread alone. Make a new context there to have workers.
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

/**
 * The devices that vitx knows, in the order in which "auto" tries them. This machine need not have
 * all of them: vitx_precision_get() of a device fails with the reason.
 *
 * @return the name of device `index` ("cuda", "cpu"), NULL past the last one. Static; any thread
 */
VITX_API const char *vitx_device_name(int index);

/**
 * Loads the device "cuda" from a file.
 *
 * That device is a plug-in, libvitx-cuda.so with the major version at the end, because most
 * machines have no use for it. vitx looks for it when the device is first asked for, by name or by
 * "auto": in the folder of libvitx.so (or of the program that libvitx.a is linked into), in vitx/
 * and ../lib/vitx/ of that folder, then in the folder where `make install` has put it. No
 * environment variable and no working folder counts. A program that keeps the plug-in elsewhere
 * calls this function before its first context. A plug-in stays loaded until the process ends.
 *
 * Success does not say that there is a GPU: vitx_precision_get() of "cuda" does.
 *
 * @param path  the plug-in; a full path, which begins with "/"
 * @return VITX_OK (also if that file is loaded already), VITX_INVALID (path), VITX_DEVICE (the file
 *         is missing, is no plug-in or belongs to another version of vitx; another plug-in is
 *         loaded). Any thread
 */
VITX_API int vitx_device_load(const char *path);

/**
 * What a device knows of one of its precisions. Every precision runs on every machine; it is fast
 * where the machine has instructions for it.
 */
typedef struct vitx_precision_info {
    size_t struct_size;
    const char *name;         /**< for vitx_context_opts.precision: "f32"                       */
    const char *instructions; /**< those of this machine that multiply its numbers: "amx"; NULL:
                                   there are none, so they are made of others, and it is not
                                   faster than f32                                              */
    int is_default;           /**< nonzero: a context without a precision has this one          */
    int is_auto;              /**< nonzero: what "auto" means on this machine                   */
} vitx_precision_info;

#define VITX_PRECISION_INFO_INIT VITX_SIZED(vitx_precision_info)
VITX_API void vitx_precision_info_init(vitx_precision_info *out, size_t struct_size);

/**
 * The precisions of a device, the default first. Any thread.
 *
 * @param device  a name as in vitx_context_opts.device; NULL: "cpu"
 * @param index   0 for the first
 * @return VITX_OK; VITX_INVALID (there is none of that index, or out is NULL), VITX_DEVICE (unknown
 *         or missing device)
 */
VITX_API int vitx_precision_get(vitx_precision_info *out, const char *device, int index);

/** How a picture is brought to the size of the model's input. */
typedef enum vitx_fit {
    VITX_FIT_RECIPE = 0, /**< what the model's recipe says. With VITX_RESIZE_PATCHES each picture
                              has its own input size, as with VITX_FIT_KEEP, unless input_height
                              and input_width are set: then like VITX_FIT_SQUASH                */
    VITX_FIT_SQUASH = 1, /**< the whole picture resized to the input size with the recipe's
                              filter; a picture of that size is not changed                     */
    VITX_FIT_CROP = 2,   /**< resized in proportion to the smallest size that covers the input,
                              then centre crop                                                  */
    VITX_FIT_PAD = 3,    /**< resized in proportion to the largest size within the input and
                              centred there; the rest of the input has the recipe's mean colour */
    VITX_FIT_KEEP = 4    /**< the input has the picture's own size: each side is rounded to whole
                              patches (half up, at least one) and the whole picture is resized to
                              that. If input_height and input_width are set, the picture's size
                              is first scaled in proportion to the largest within these. Pictures
                              of a call may differ in size: neighbours of equal size run together */
} vitx_fit;

/** How the backward pass gets the activations of the forward pass. */
typedef enum vitx_gradients {
    VITX_GRADIENTS_AUTO = 0,     /**< kept if they fit in the trace_budget, else recomputed     */
    VITX_GRADIENTS_KEEP = 1,     /**< kept for every block that the backward pass reaches       */
    VITX_GRADIENTS_RECOMPUTE = 2 /**< the blocks' inputs are kept and each block is run once more
                                      before its backward: a tenth of the memory, one more
                                      forward                                                   */
} vitx_gradients;

/**
 * Called on the caller's thread while work is under way. Within one public call `done` grows from 0
 * to `total` in steps of one or more. The unit is one block of one batch, forward or backward, or
 * one block of one variant of a picture. A device that works beside its caller ("cuda") is told
 * first what to do: there a block counts when it is prepared, and the blocks of a pass are all
 * counted before the first of them runs. The callback must not call vitx with this context: calls
 * that run the context return VITX_BUSY.
 *
 * @return 0 to go on; anything else makes the running call return VITX_CANCELLED
 */
typedef int vitx_progress(int64_t done, int64_t total, void *payload);

typedef struct vitx_context_opts {
    size_t struct_size;
    const char *device;       /**< "cpu", "ref" (the scalar definition: slow), "cuda" (a GPU, see
                                   vitx_device_load()); with a number, like "cuda:1": one of
                                   several devices of that kind. NULL: "cpu". "auto": the first of
                                   vitx_device_name() that this machine has, so "cpu" if there is
                                   no GPU or no plug-in for it; why not "cuda" is logged as
                                   VITX_LOG_DEBUG                                               */
    const char *precision;    /**< what the products of the blocks take their numbers as; sums,
                                   norms and softmax are f32 in all. NULL: the device's first,
                                   "f32". "auto": the fastest on this machine that keeps the
                                   tolerance of f32: "bf16x3" on a cpu with AMX, else "f32". The
                                   cpu has "f32";
                                   "bf16x3": two bf16 for each number, 17 bits, the tolerance of
                                   f32 (1e-4 of the largest logit);
                                   "bf16": 8 bits, about 1e-2 of the largest logit; half the memory
                                   for weights;
                                   "int8": a scale for each output of a matrix and for each token,
                                   a few 1e-2; a quarter of the memory. "cuda" has "f32",
                                   "bf16x3" ("auto"), "bf16" and "f16" (11 bits; numbers above
                                   65504 become infinite).
                                   The best class changes only where two are that close. Maps of
                                   int8 are to look at, not to measure: docs/numerics.md          */
    int threads;              /**< workers, including the caller's thread; at most 256. 0: the
                                   number of processors that the process may use, by its affinity
                                   and the CPU quota of its control group. If `threads` is larger
                                   than that number, only that many work at once and a warning is
                                   logged                                                       */
    int max_batch;            /**< pictures that run at once, 1 to 1024; 0: 1. More pictures in
                                   one call run in several batches                              */
    vitx_fit fit;             /**< default VITX_FIT_RECIPE                                      */
    size_t trace_budget;      /**< limit in bytes for recorded attention and for what gradients
                                   need. Pictures and their variants are counted apart: each has
                                   this limit. If transposed weights fit beside that, a gradient
                                   makes them once, and later gradients are faster; else it makes
                                   parts of them again and again. They belong to the model, and
                                   its contexts share them. 0: 1 GiB                            */
    vitx_progress *progress;  /**< NULL: none                                                   */
    void *progress_payload;
    vitx_gradients gradients; /**< default VITX_GRADIENTS_AUTO                                  */
    const char *pos_resample; /**< how position embeddings are resampled to a grid other than the
                                   file's: a name of vitx_pos_resample_name(). NULL: the way of
                                   the library that the file comes from                         */
    size_t memory_budget;     /**< limit in bytes for activation_bytes plus the memory for
                                   variants of a picture. Methods and metrics run as many
                                   variants at once as fit in the limit. 0: no limit            */
    int input_height, input_width; /**< pixels of the input, multiples of the patch, at most
                                        65535; 0, 0: the recipe's. The recipe's resize size grows
                                        with the input: timm's floor(size / crop_pct), else in
                                        proportion                                              */
    int max_tokens;           /**< limit for the tokens of one picture; 0: 16384, or the model's
                                   default number of tokens if that is larger                   */
    int max_patches;          /**< replaces vitx_recipe.max_patches of a model whose recipe is
                                   VITX_RESIZE_PATCHES, which runs by its recipe and without
                                   input_height; else VITX_INVALID. 0: the recipe's              */
} vitx_context_opts;

#define VITX_CONTEXT_OPTS_INIT \
    { sizeof(vitx_context_opts), NULL, NULL, 0, 0, VITX_FIT_RECIPE, 0, NULL, NULL, \
    VITX_GRADIENTS_AUTO, NULL, 0, 0, 0, 0, 0 }
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
 * @return VITX_OK, VITX_INVALID (an option; if a side is no multiple of the patch, the message
 *         names the two nearest multiples), VITX_NOMEM (also: memory_budget would be exceeded),
 *         VITX_UNSUPPORTED (more tokens than max_tokens), VITX_IO or VITX_FORMAT (the weights; the
 *         message names the tensor), VITX_DEVICE (unknown or failing device or precision)
 */
VITX_API int vitx_context_create(vitx_context **out, vitx_model *model,
                                 const vitx_context_opts *opts);
VITX_API void vitx_context_free(vitx_context *context);

/**
 * Sets another progress callback, used from the next call on.
 *
 * @param progress  NULL: none
 * @return VITX_OK, VITX_INVALID, VITX_BUSY (a call is under way)
 */
VITX_API int vitx_context_set_progress(vitx_context *context, vitx_progress *progress,
                                       void *payload);

/**
 * A number that grows at the start of every call that runs or plans something. A view is valid as
 * long as this number is unchanged since the view was returned. So a binding can refuse a stale
 * view.
 *
 * @return at least 1 after the first such call; 0 for NULL
 */
VITX_API uint64_t vitx_context_generation(const vitx_context *context);

/**
 * What a context runs on and how much memory the context takes. Strings live as long as the
 * context.
 */
typedef struct vitx_context_info {
    size_t struct_size;
    const char *device;      /**< "cpu", "cuda" (without a number)                              */
    const char *precision;   /**< "f32", "bf16x3", "bf16" or "int8"                             */
    const char *kernels;     /**< one line: instruction sets and libraries in use               */
    int threads;
    int max_batch;
    size_t weight_bytes;     /**< packed weights, shared by the model's contexts on the device;
                                  and the transposed ones that this context's gradients have
                                  been using until now                                          */
    size_t activation_bytes; /**< this context's memory without recorded attention; on a GPU with
                                  64 MiB, which is the most that pictures on their way take     */
    size_t trace_bytes;      /**< memory of recorded attention held now                         */
    int input_height, input_width; /**< with VITX_FIT_KEEP: those of the last picture or, before
                                        the first picture, the size that memory was taken for.
                                        This holds for all fields below, too                    */
    int grid_height, grid_width;
    int tokens;
    int max_tokens;
    int64_t flops;           /**< multiply-adds of one forward of one picture, times two        */
    const char *pos_resample; /**< how the position embeddings were resampled; NULL: not
                                   resampled                                                    */
    const vitx_recipe *recipe; /**< from picture to this input; lives as long as the context    */
} vitx_context_info;

#define VITX_CONTEXT_INFO_INIT VITX_SIZED(vitx_context_info)
VITX_API void vitx_context_info_init(vitx_context_info *out, size_t struct_size);
VITX_API int vitx_context_get_info(vitx_context_info *out, const vitx_context *context);

/**
 * Fills `out` like vitx_context_get_info() would for a context with these options, but makes no
 * context. No memory stays allocated and no weight is read. `kernels` is "" and `recipe` points to
 * the `recipe` that was passed.
 *
 * @param recipe       receives the recipe at that size, as many bytes as fit; NULL: not wanted
 * @param recipe_size  sizeof(vitx_recipe) in the caller's headers, or 0
 * @return like vitx_context_create(), for errors that the options alone show
 */
VITX_API int vitx_context_preview(vitx_context_info *out, vitx_recipe *recipe, size_t recipe_size,
                                  const vitx_model *model, const vitx_context_opts *opts);

/** One class of one picture. */
typedef struct vitx_prediction {
    int index;         /**< class, 0..K-1; -1 in entries beyond K                               */
    float logit;       /**< the model's raw output                                              */
    float probability; /**< by vitx_model_info.outputs: the softmax over all K logits, the
                            sigmoid of this logit or, if the outputs are plain numbers, the logit */
    const char *label; /**< name of the class or NULL; lives as long as the model               */
} vitx_prediction;

/**
 * The `k` most probable classes of one picture, best first (equal logits: lower index first). If
 * the outputs are plain numbers: the `k` largest.
 *
 * @param top  [k]
 * @param k    at least 1; entries beyond the model's classes get index -1
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (the model has no classes:
 *         vitx_model_info.units), VITX_FORMAT (the model answered with a NaN or an infinity),
 *         VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_classify(vitx_context *context, const vitx_image *image, vitx_prediction *top,
                           int k);

/** vitx_classify() for `n` pictures: `top` is [n, k]. Runs max_batch pictures at a time. */
VITX_API int vitx_classify_batch(vitx_context *context, const vitx_image *const *images, int n,
                                 vitx_prediction *top, int k);

/**
 * The embedding of one picture by a model without classes (vitx_model_info.units): what the model's
 * own library returns, that is the pooled features or, with a projection, the projected features.
 *
 * @param out        [K], where K is vitx_model_info.classes
 * @param normalize  nonzero: `out` is divided by its Euclidean length; 0: not divided
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (the model has classes), VITX_FORMAT (a NaN or an
 *         infinity; or all numbers are 0 and `normalize` is nonzero), VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_embed(vitx_context *context, const vitx_image *image, float *out, int normalize);

/** vitx_embed() for `n` pictures: `out` is [n, K]. Runs max_batch pictures at a time. */
VITX_API int vitx_embed_batch(vitx_context *context, const vitx_image *const *images, int n,
                              float *out, int normalize);

/**
 * Runs the forward pass of 1 to max_batch pictures and keeps the logits and, if
 * vitx_context_set_trace() asked for attention, the attention. With VITX_FIT_KEEP the pictures must
 * give inputs of one size. The views that vitx_logits(), vitx_input() and vitx_attention() return
 * belong to the last vitx_forward() and become invalid with the next call that runs the context.
 *
 * @return like vitx_classify()
 */
VITX_API int vitx_forward(vitx_context *context, const vitx_image *const *images, int n);

/*
 * vitx_classify_batch(), vitx_embed_batch() and vitx_forward() for inputs that the program has
 * made, in place of pictures. The inputs are already normalised, like the recipe does. `inputs` is
 * [n, 3, height, width], read during the call and not kept. Height and width must be the context's
 * own (vitx_context_info.input_height, input_width); with VITX_FIT_KEEP they may be any multiples
 * of the patch that max_tokens allows. VITX_INVALID: another size, or a number that is a NaN or an
 * infinity; nothing has run then. All other rules are those for pictures.
 */
VITX_API int vitx_classify_inputs(vitx_context *context, const float *inputs, int n, int height,
                                  int width, vitx_prediction *top, int k);
VITX_API int vitx_embed_inputs(vitx_context *context, const float *inputs, int n, int height,
                               int width, float *out, int normalize);
VITX_API int vitx_forward_inputs(vitx_context *context, const float *inputs, int n, int height,
                                 int width);

/**
 * Logits of the last vitx_forward(), or its embeddings: f32 [n, K].
 *
 * @return VITX_OK, VITX_INVALID (nothing ran)
 */
VITX_API int vitx_logits(vitx_view *out, const vitx_context *context);

/**
 * The normalised input of the last vitx_forward(): f32 [n, 3, H, W].
 *
 * @return VITX_OK, VITX_INVALID (nothing ran), VITX_DEVICE (if it had to be copied from the device)
 */
VITX_API int vitx_input(vitx_view *out, const vitx_context *context);

/* ------------------------------------------------------------------ where the time goes ---- */

/** What one operation of the device (linear, attention, ...) took since the profile was started. */
typedef struct vitx_op_time {
    size_t struct_size;
    const char *name; /**< "linear"; lives as long as the library                              */
    int64_t calls;    /**< workers that each have pictures of their own count one each */
    double seconds;   /**< of such workers the mean                                            */
    double flops;     /**< of its matrix products, a multiply-add counts two; 0: it has none     */
    double bytes;     /**< bytes read and written, each array counted once                     */
} vitx_op_time;

#define VITX_OP_TIME_INIT VITX_SIZED(vitx_op_time)
VITX_API void vitx_op_time_init(vitx_op_time *out, size_t struct_size);

/**
 * Starts to time each operation, with counts from 0; or stops, and the counts stay. A device that
 * defers operations waits after each operation while timing is on. The first call allocates memory.
 *
 * @param on  0: stop
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM
 */
VITX_API int vitx_context_set_profile(vitx_context *context, int on);

/**
 * The time of operation `index`, 0 to the number of operations - 1; operations that never ran are
 * included.
 *
 * @return VITX_OK, VITX_INVALID (no such operation, or the profile was never on)
 */
VITX_API int vitx_context_get_op_time(vitx_op_time *out, const vitx_context *context, int index);

/**
 * Measures the peak speed of the device with the context's threads, as a reference for operations:
 * of the instructions that multiply the numbers of the context's precision, on registers alone (or,
 * on a device that does not offer that, of a product of matrices of 1024 x 1024), and of a copy of
 * 64 MiB. Takes 130 MiB during the call, and less than a second on most machines. Small arrays that
 * stay in a cache can be read faster than `bytes` says.
 *
 * @param flops  per second, multiplied
 * @param bytes  per second, read and written by the copy
 * @return VITX_OK, VITX_INVALID (a profile is on; a context with VITX_FIT_KEEP has run nothing
 *         yet), VITX_NOMEM, VITX_DEVICE
 */
VITX_API int vitx_context_measure_peak(vitx_context *context, double *flops, double *bytes);

/* ------------------------------------------------------------------ recording attention ---- */

/**
 * What is kept from each recorded layer's attention probabilities (softmax output; rows sum to 1).
 */
typedef enum vitx_record {
    VITX_RECORD_NONE = 0,
    VITX_RECORD_ROW = 1,   /**< one query's row: [n, H, 1, T]                                   */
    VITX_RECORD_FUSED = 2, /**< heads are fused while they are computed: [n, 1, T, T]           */
    VITX_RECORD_ALL = 3    /**< everything: [n, H, T, T]                                        */
} vitx_record;

/** How several heads become one matrix. */
typedef enum vitx_fuse { VITX_FUSE_MEAN = 0, VITX_FUSE_MAX = 1, VITX_FUSE_MIN = 2 } vitx_fuse;

/** For layer, head and query: the default of the method or model. */
#define VITX_AUTO (-1)
/** For layer and head: all layers or all heads, in a leading axis of the map. */
#define VITX_ALL (-2)

/**
 * What vitx_backward() computes gradients of; add values to combine them. With token gradients the
 * tokens are kept, too.
 */
typedef enum vitx_gradient {
    VITX_GRADIENT_ATTENTION = 1, /**< each recorded block's attention probabilities             */
    VITX_GRADIENT_NORM1 = 2,     /**< the output of the block's first norm                      */
    VITX_GRADIENT_OUTPUT = 4,    /**< the tokens after the block                                */
    VITX_GRADIENT_INPUT = 8,     /**< the normalised input                                      */
    VITX_GRADIENT_ANY = 15
} vitx_gradient;

typedef struct vitx_trace_opts {
    size_t struct_size;
    vitx_record record;
    vitx_fuse fuse;    /**< for VITX_RECORD_FUSED                                               */
    int query;         /**< for VITX_RECORD_ROW: a token 0..T-1. VITX_AUTO: the token that the
                            head reads (class token); if the head reads the mean of the patches,
                            the mean over the patch rows; if the head reads two tokens, the mean
                            over both rows                                                      */
    const int *layers; /**< blocks to record, any order; NULL: all. Copied                      */
    int layer_count;
    vitx_dtype storage; /**< VITX_F32, or VITX_F16 for half the memory                          */
    int gradients;      /**< sum of vitx_gradient, for the blocks in `layers`; 0: none. Blocks
                             that the backward pass goes through keep their whole attention, in
                             f32, unless the attention is recomputed, as it always is on a GPU:
                             vitx_view.shape tells                                               */
    int targets;        /**< gradients of each picture that vitx_backward() runs at once, 1 to
                             1024; 0 without gradients                                          */
    int tokens;         /**< tokens that vitx_tokens() gives, for the blocks in `layers`: sum of
                             1 << vitx_tokens_at; 0: those of `gradients` only                  */
} vitx_trace_opts;

#define VITX_TRACE_OPTS_INIT \
    { sizeof(vitx_trace_opts), VITX_RECORD_NONE, VITX_FUSE_MEAN, VITX_AUTO, NULL, 0, VITX_F32, \
    0, 0, 0 }
VITX_API void vitx_trace_opts_init(vitx_trace_opts *out, size_t struct_size);

/**
 * The bytes that recording takes for `batch` pictures and, with gradients (kept, not recomputed),
 * the backward pass. This includes transposed weights if they fit in the trace_budget, too, whether
 * or not the model has them already. Allocates nothing.
 */
VITX_API int vitx_trace_bytes(size_t *out, const vitx_model *model, const vitx_trace_opts *opts,
                              int batch);
/**
 * vitx_trace_bytes() for contexts with these options (their device, precision, trace_budget,
 * gradients and input size count; NULL: all defaults). With VITX_GRADIENTS_RECOMPUTE it is never
 * less than what the context takes. VITX_DEVICE for an unknown device or precision, like
 * vitx_context_create().
 */
VITX_API int vitx_trace_bytes_with(size_t *out, const vitx_model *model,
                                   const vitx_context_opts *context, const vitx_trace_opts *opts,
                                   int batch);

/**
 * Sets what vitx_forward() records from now on (before the first call: nothing). Allocates once,
 * for max_batch pictures. If the context's trace_budget would be exceeded, returns VITX_NOMEM and
 * changes nothing.
 *
 * @param opts  NULL: record nothing
 */
VITX_API int vitx_context_set_trace(vitx_context *context, const vitx_trace_opts *opts);

/**
 * The recorded attention of one block: a view of rank 4, not a copy. vitx_record gives the shape.
 *
 * @param layer  0..depth-1
 * @return VITX_OK, VITX_INVALID (the layer was not recorded)
 */
VITX_API int vitx_attention(vitx_view *out, vitx_context *context, int layer);

/**
 * The weights of an attention-pooling head (vitx_model_info.pooling "map"): the attention of the
 * head's one query over the tokens, f32 [n, H, 1, T] with H = vitx_model_info.pool_heads. It is 0
 * at prefix tokens that the head leaves out. Recorded if vitx_trace_opts.record is not NONE.
 *
 * @return VITX_OK, VITX_INVALID (not recorded), VITX_UNSUPPORTED (the model has no such head)
 */
VITX_API int vitx_pool_attention(vitx_view *out, vitx_context *context);

/* ------------------------------------------------------------------ gradients -------------- */

/**
 * The backward pass of the last vitx_forward(): from gradients of the logits to what
 * vitx_context_set_trace() asked for in `gradients`. Any linear combination of the logits is a
 * score. The pass stops at the last block that is needed. May be called again with other dlogits.
 *
 * @param dlogits  [n, targets, K], n pictures of the last vitx_forward(): d score / d logit. For a
 *                 logit k: 1 at k, else 0. For a probability p_k of a softmax: p_k ((j == k) - p_j)
 *                 at j. For a probability p_k of a sigmoid: p_k (1 - p_k) at k, else 0
 * @return VITX_OK, VITX_INVALID (nothing ran, no gradients asked for, a number that is not finite),
 *         VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_backward(vitx_context *context, const float *dlogits);

/** The place in a block where tokens are read. */
typedef enum vitx_tokens_at {
    VITX_AT_NORM1 = 0, /**< the output of the block's first norm                                */
    VITX_AT_OUTPUT = 1 /**< after the block, residual added                                     */
} vitx_tokens_at;

/**
 * Views of the results of the last vitx_backward(), f32. Gradient g = i*targets + k belongs to
 * target k of picture i. Valid as long as views of vitx_attention(), but at most until the next
 * vitx_backward().
 * Attention: [n*targets, H, T, T]; tokens: [n*targets, T, D]; input: [n*targets, 3, H, W].
 *
 * @return VITX_OK, VITX_INVALID (not asked for, or vitx_backward() has not run)
 */
VITX_API int vitx_attention_gradient(vitx_view *out, vitx_context *context, int layer);
VITX_API int vitx_tokens_gradient(vitx_view *out, vitx_context *context, int layer,
                                  vitx_tokens_at at);
VITX_API int vitx_input_gradient(vitx_view *out, vitx_context *context);
/**
 * The tokens, f32 [n, T, D], of blocks for which vitx_trace_opts.tokens or a gradient at that place
 * was requested. Valid as long as views of vitx_attention().
 */
VITX_API int vitx_tokens(vitx_view *out, vitx_context *context, int layer, vitx_tokens_at at);

#ifdef __cplusplus
}
#endif
#endif
