/*
 * vitx/explain.h: maps that say where the model looked.
 *
 * A map holds raw, signed numbers on the model's patch grid (or on its input pixels, for methods
 * that work there), without clipping or scaling: those belong to rendering. Formulas and
 * references stand beside each method in lib/explain/; vitx_method_get() lists them.
 */
#ifndef VITX_EXPLAIN_H
#define VITX_EXPLAIN_H

#include <vitx/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A finished map. Immutable: any number of threads may read it. Independent of the context. */
typedef struct vitx_map vitx_map;

/** What of the model's answer a method explains: a number made of the logits. */
typedef enum vitx_score {
    VITX_SCORE_AUTO = 0,        /**< what the method's authors take: the logit, of rise and lime
                                     the probability where the model has one that can be
                                     explained                                                  */
    VITX_SCORE_LOGIT = 1,       /**< the target's logit; of a model without classes
                                     (vitx_model_info.units) that component of its embedding,
                                     which is what AUTO means there                             */
    VITX_SCORE_PROBABILITY = 2, /**< its probability: softmax over all classes, or its own sigmoid
                                     (vitx_model_info.outputs); not of a model without classes,
                                     of outputs that are plain numbers, or of one output, whose
                                     logit says more                                            */
    VITX_SCORE_DIFFERENCE = 3,  /**< its logit less that of the class `versus`                  */
    VITX_SCORE_COSINE = 4,      /**< in place of a target: the cosine of the model's outputs and
                                     a vector, which is what AUTO means where there is one      */
    VITX_SCORE_DOT = 5          /**< likewise: the outputs times the vector, summed             */
} vitx_score;

/** What a score is made of. */
typedef enum vitx_explained {
    VITX_EXPLAINED_CLASS = 0,  /**< a class                                                     */
    VITX_EXPLAINED_UNIT = 1,   /**< a component of an embedding                                 */
    VITX_EXPLAINED_VECTOR = 2, /**< vitx_explain_opts.vector                                    */
    VITX_EXPLAINED_PICTURE = 3 /**< vitx_explain_opts.like                                      */
} vitx_explained;

typedef struct vitx_explain_opts {
    size_t struct_size;
    const char *method;     /**< a name of vitx_method_get(), as "rollout"; required            */
    int target;             /**< class (or unit of an embedding) to explain; VITX_AUTO: the one with
                                 the picture's largest output. Recorded with the map; methods that do not depend on a class say so     */
    int layer;              /**< block 0..depth-1, VITX_AUTO: the method's default, VITX_ALL    */
    int head;               /**< head 0..H-1, VITX_AUTO: heads fused, VITX_ALL                  */
    int query;              /**< token 0..T-1 whose attention is explained; VITX_AUTO: the one
                                 the classification head reads. Methods that follow no attention
                                 take no other                                                  */
    const char *const *set; /**< "key=value" for the method's own options                       */
    int set_count;
    vitx_score score;       /**< default VITX_SCORE_AUTO                                        */
    int versus;             /**< class 0..K-1 of VITX_SCORE_DIFFERENCE; VITX_AUTO: the most
                                 probable class that is not the target                          */
    const vitx_image *baseline; /**< for methods with baseline=picture: what the picture is
                                 compared with. As large as the explained picture; NULL: none   */
    const float *vector;    /**< [vector_count] in place of a target: what the outputs are compared
                                 with, by VITX_SCORE_COSINE or VITX_SCORE_DOT. Finite and not all
                                 0, of any length; `target` is VITX_AUTO then. NULL: none       */
    int vector_count;       /**< K                                                              */
    const vitx_image *like; /**< likewise, the vector being the model's outputs for this picture,
                                 of any size: what makes the explained one similar to it. It is
                                 run once a call. NULL: none                                    */
} vitx_explain_opts;

#define VITX_EXPLAIN_OPTS_INIT { sizeof(vitx_explain_opts), NULL, VITX_AUTO, VITX_AUTO, VITX_AUTO, VITX_AUTO, NULL, 0, VITX_SCORE_AUTO, VITX_AUTO, NULL, NULL, 0, NULL }
VITX_API void vitx_explain_opts_init(vitx_explain_opts *out, size_t struct_size);

/**
 * Explains one picture with one method: one forward pass, and where the method asks for gradients one
 * backward pass, that record just what the method needs. Methods that look at variants of the picture
 * run those as well; all of that is told by vitx_method_info.cost.
 *
 * @param out  the map; free it with vitx_map_free()
 * @return VITX_OK, VITX_INVALID (unknown method or option, target, layer, head or query out of
 *         range), VITX_NOMEM (also: past the context's trace_budget), VITX_UNSUPPORTED (the method
 *         cannot explain this model), VITX_FORMAT, VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_explain(vitx_map **out, vitx_context *context, const vitx_image *image,
                          const vitx_explain_opts *opts);

/**
 * Explains `n` pictures in `m` ways; all maps of a picture come out of one forward pass, and one
 * backward pass in which the different targets run side by side. The union of what the methods need
 * is recorded, within the context's trace_budget.
 *
 * @param out   [n, m]: the map of picture i by opts[j] is out[i*m + j]. Each is to be freed. On
 *              failure, and when it was cancelled, maps that were finished before are there, too,
 *              and are to be freed; the others are NULL
 * @param opts  [m], all of one struct_size
 */
VITX_API int vitx_explain_many(vitx_map **out, vitx_context *context,
                               const vitx_image *const *images, int n,
                               const vitx_explain_opts *opts, int m);

/**
 * The same for inputs in place of pictures, as vitx_forward_inputs() takes them. To the map the input is
 * the whole picture: vitx_map_to_picture() gives a map of height x width.
 */
VITX_API int vitx_explain_inputs(vitx_map **out, vitx_context *context, const float *inputs, int n,
                                 int height, int width, const vitx_explain_opts *opts, int m);

/**
 * The bytes that vitx_explain_many() with these options holds beside the context's activation_bytes:
 * recordings and gradients of max_batch pictures, and the variants that methods run at once. Nothing
 * is allocated for it and nothing runs. Views of an earlier vitx_forward() become invalid. With
 * VITX_FIT_KEEP it counts for pictures of the size that vitx_context_info tells, and options that the
 * grid bounds (a query, kernelshap's n, occlusion's window) are left to the pictures, which have their own.
 *
 * @return as vitx_explain(), for what can be known of the options without a picture
 */
VITX_API int vitx_explain_bytes(size_t *out, vitx_context *context, const vitx_explain_opts *opts,
                                int m);

/**
 * About how many forward passes explaining one picture in these ways takes, backward passes counted
 * as forwards. Nothing runs; errors as vitx_explain_bytes().
 */
VITX_API int vitx_explain_forwards(int64_t *out, vitx_context *context,
                                   const vitx_explain_opts *opts, int m);

/**
 * Reads a vector for vitx_explain_opts: a .npy file of `count` float16, float32 or float64 numbers,
 * little-endian, in one dimension (others may be 1), as vitx_vectors_save() writes one.
 *
 * @param out  [count]
 * @return VITX_OK, VITX_INVALID (another number of them), VITX_IO, VITX_FORMAT (damaged, a number that
 *         is not finite), VITX_UNSUPPORTED (another type)
 */
VITX_API int vitx_vector_load(float *out, int count, const char *path);

VITX_API void vitx_map_free(vitx_map *map);

/** What a map is. Strings are static or live as long as the map. */
typedef struct vitx_map_info {
    size_t struct_size;
    const char *method;
    int target;        /**< class or unit explained; VITX_AUTO where it was a vector            */
    float logit;       /**< its logit; 0 where it was a vector                                  */
    float probability; /**< its probability, as vitx_prediction has it; 0 where the model has no
                            classes                                                             */
    int layer;         /**< block, VITX_ALL, or VITX_AUTO where the method has none             */
    int head;          /**< head, VITX_ALL, or VITX_AUTO where heads are fused                  */
    int query;         /**< token, or VITX_AUTO for the mean over the patches or over the two
                            tokens that a distilled model reads, and where the method knows no
                            query                                                               */
    int rank;          /**< of `shape`: 2, plus one for all layers, plus one for all heads      */
    int64_t shape[4];  /**< [layers, heads, height, width] without the axes that are single     */
    int grid_height, grid_width;       /**< patches of the model                                */
    int picture_height, picture_width; /**< the picture it explains                             */
    double seen[4];    /**< x0, y0, x1, y1: the part of the picture that the model saw, in its
                            pixels, before any clipping to the picture                          */
    float min, max;    /**< of the values                                                       */
    int is_signed;     /**< nonzero: values below 0 speak against the target; 0: they mean nothing */
    vitx_score score;  /**< what was explained                                                  */
    int versus;        /**< class of VITX_SCORE_DIFFERENCE, else VITX_AUTO                      */
    double value;      /**< the score of the picture                                            */
    double base_value; /**< the score of the baseline, where the method has one, else 0         */
    double completeness_error; /**< sum of the values - (value - base_value), for methods whose
                            values are to add up to that difference, else 0                     */
    int64_t forwards;  /**< pictures or variants that were run for this map alone, beyond the
                            forward pass all maps share                                         */
    vitx_explained explains; /**< what the score is made of                                     */
    vitx_outputs outputs;    /**< of the model: how `probability` comes from `logit`            */
    int nothing;             /**< nonzero: the map says nothing. All values are 0; or what it comes
                                  from is rounding: the score's change over the method's
                                  variants, or the gradient, is a millionth of its size or less.
                                  The values are there as they came out; pictures of them are
                                  drawn as 0, and vitx_evaluate() measures nothing            */
    const char *model;       /**< name of the model's folder or file, without the way to it     */
    const char *settings;    /**< "key=value key=value": every option of the method, by default or
                            as it was set; "" where it has none                                 */
} vitx_map_info;

#define VITX_MAP_INFO_INIT VITX_SIZED(vitx_map_info)
VITX_API void vitx_map_info_init(vitx_map_info *out, size_t struct_size);
VITX_API int vitx_map_get_info(vitx_map_info *out, const vitx_map *map);

/** @return the values, C order, of the shape in vitx_map_info; they live as long as the map. */
VITX_API const float *vitx_map_values(const vitx_map *map);

/**
 * The map resized bilinearly to `height` x `width` over the model's input (half-pixel centres,
 * edges clamped: as torch's interpolate(mode="bilinear", align_corners=False)). Leading axes stay.
 */
VITX_API int vitx_map_resize(vitx_map **out, const vitx_map *map, int height, int width);

/**
 * The map in the coordinates of the original picture: crop and resize undone, one value a pixel,
 * [.., picture_height, picture_width]. Pixels that the model did not see (outside `seen`) are 0.
 */
VITX_API int vitx_map_to_picture(vitx_map **out, const vitx_map *map);

/* ------------------------------------------------------------------ what there is --------- */

/** One `key=value` option of a method. Strings are static. */
typedef struct vitx_method_option {
    const char *key;
    const char *fallback; /**< the default                                                      */
    const char *values;   /**< what it takes: "mean|max|min", "0 to 1"                          */
    const char *help;
} vitx_method_option;

typedef struct vitx_method_info {
    size_t struct_size;
    const char *name;
    const char *summary;               /**< one line                                            */
    const char *cost;                  /**< in forward passes, in words                         */
    const char *reference;             /**< paper                                               */
    int uses_target;                   /**< nonzero: the map depends on the class               */
    const vitx_method_option *options; /**< [option_count]                                      */
    int option_count;
    int is_signed;                     /**< nonzero: its maps have values below 0 that mean
                                            something                                           */
    int on_pixels;                     /**< nonzero: a map has the size of the model's input, not
                                            of its grid (unless an option says otherwise)       */
} vitx_method_info;

#define VITX_METHOD_INFO_INIT VITX_SIZED(vitx_method_info)
VITX_API void vitx_method_info_init(vitx_method_info *out, size_t struct_size);
VITX_API int vitx_method_count(void);
/** @param index  0..vitx_method_count()-1. @return VITX_OK or VITX_INVALID. */
VITX_API int vitx_method_get(vitx_method_info *out, int index);

#ifdef __cplusplus
}
#endif
#endif
