/*
 * vitx/evaluate.h: is a map right? Numbers for how well a map shows what the model's answer depends
 * on, and where an object is.
 *
 *     vitx_evaluation *e;
 *     vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
 *     vitx_evaluate_opts opts = VITX_EVALUATE_OPTS_INIT;
 *     opts.metric = "deletion";
 *     vitx_evaluate(&e, context, image, map, &opts);
 *     vitx_evaluation_get_info(&info, e);
 *     printf("%g\n", info.value);
 *     vitx_evaluation_free(e);
 *
 * docs/evaluation.md defines the metrics and says what each can tell. Compare a map's numbers with
 * the numbers of maps that know nothing: vitx_map_blind().
 */
#ifndef VITX_EVALUATE_H
#define VITX_EVALUATE_H

#include <vitx/explain.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is evaluated, and with which metric. */
typedef struct vitx_evaluate_opts {
    size_t struct_size;
    const char *metric;      /**< required: a name from vitx_metric_get()                       */
    const char *const *set;  /**< "key=value" options of the metric; a later one wins           */
    int set_count;
    const vitx_explain_opts *explain; /**< how the map was made, for metrics that explain again
                                           (vitx_metric_info.needs_explain); target and score
                                           come from the map. If `explain` has a vector, a text
                                           or a picture (like), curves show the cosine with that
                                           vector in place of a class's score; the first such
                                           `explain` of a call counts. Needed for maps that
                                           explain a vector, text or picture, useful for
                                           vitx_map_of_values(). Else `explain` may be NULL     */
    const uint8_t *mask;     /**< [mask_height, mask_width], where the object is (nonzero): one
                                  value per pixel of the picture. For metrics that need a mask  */
    int mask_height, mask_width; /**< must be the picture's size                                */
    const uint8_t *other;    /**< where another object is; size like `mask`. For metrics that
                                  compare two objects                                           */
    vitx_score score;        /**< the score of the curves (insertion, deletion, road); the first
                                  of a call that is not AUTO counts. AUTO: the probability of the
                                  map's class, or its logit if the model has one output or its
                                  outputs are plain numbers. With a vector: COSINE or DOT       */
    int versus;              /**< class for VITX_SCORE_DIFFERENCE; VITX_AUTO: the map's `versus`,
                                  or the most probable class that is not the target             */
} vitx_evaluate_opts;

#define VITX_EVALUATE_OPTS_INIT \
    { sizeof(vitx_evaluate_opts), NULL, NULL, 0, NULL, NULL, 0, 0, NULL, VITX_SCORE_AUTO, \
    VITX_AUTO }
VITX_API void vitx_evaluate_opts_init(vitx_evaluate_opts *out, size_t struct_size);

/** The result of a metric for a map. */
typedef struct vitx_evaluation vitx_evaluation;

/**
 * Measures one map of one picture.
 *
 * @param out      free it with vitx_evaluation_free()
 * @param context  a context of the model that the map explains, with the fit that the map was made
 *                 with
 * @param image    the picture that was explained
 * @param map      one plane: not all layers or all heads. Unchanged from vitx_explain(), or resized
 *                 over the model's input, or made by vitx_map_of_values()
 * @return VITX_OK, VITX_INVALID (an option, a mask of another size or without a pixel that the
 *         model saw, a map of another picture), VITX_UNSUPPORTED (curves of a model without
 *         classes, and neither vector nor score), VITX_NOMEM, VITX_CANCELLED, VITX_FORMAT,
 *         VITX_DEVICE
 */
VITX_API int vitx_evaluate(vitx_evaluation **out, vitx_context *context, const vitx_image *image,
                           const vitx_map *map, const vitx_evaluate_opts *opts);

/**
 * vitx_evaluate() with `m` metrics, which share the picture's own forward pass.
 *
 * @param out   [m]. After a failure `out` still holds the evaluations that were finished before,
 *              and they must be freed; the others are NULL
 * @param opts  [m], all of one struct_size
 */
VITX_API int vitx_evaluate_many(vitx_evaluation **out, vitx_context *context,
                                const vitx_image *image, const vitx_map *map,
                                const vitx_evaluate_opts *opts, int m);

/**
 * Finds what is wrong with options before there is a map or a picture. Nothing runs. opts.mask is
 * not read.
 *
 * @return like vitx_evaluate(), for errors that the options alone show
 */
VITX_API int vitx_evaluate_check(vitx_context *context, const vitx_evaluate_opts *opts, int m);
/**
 * About how many forward passes it takes to measure one map with these options. Nothing runs.
 * Errors are those of vitx_evaluate_check().
 */
VITX_API int vitx_evaluate_forwards(int64_t *out, vitx_context *context,
                                    const vitx_evaluate_opts *opts, int m);


VITX_API void vitx_evaluation_free(vitx_evaluation *evaluation);

/**
 * Pointers live as long as the evaluation. If a map says nothing (vitx_map_info.nothing), all
 * values and curves are NaN and nothing is run. Infidelity is NaN, too, if the score never changes,
 * whatever is taken away. vitx_metric_info has the names of the values and curves.
 */
typedef struct vitx_evaluation_info {
    size_t struct_size;
    const char *metric;
    double value;         /**< the metric: values[0]                                            */
    const double *values; /**< [value_count]                                                    */
    int value_count;
    const double *x;      /**< [point_count]: where the curves' points lie, in increasing order */
    const double *curves; /**< [curve_count, point_count]; NULL if there are none               */
    int point_count, curve_count;
    int64_t forwards;     /**< pictures that were run for this metric alone, explanations not
                               counted                                                          */
} vitx_evaluation_info;

#define VITX_EVALUATION_INFO_INIT VITX_SIZED(vitx_evaluation_info)
VITX_API void vitx_evaluation_info_init(vitx_evaluation_info *out, size_t struct_size);
VITX_API int vitx_evaluation_get_info(vitx_evaluation_info *out,
                                      const vitx_evaluation *evaluation);

/* ------------------------------------------------------------------ maps to compare with --- */

/**
 * A map of values that were made elsewhere.
 *
 * @param out     free it with vitx_map_free(). Its method is "values"
 * @param values  [height, width] over the part of the picture that the model sees, finite: the size
 *                of the model's grid of patches, or any other size. Copied
 * @param target  class that the values explain; VITX_AUTO: the most probable class (the model is
 *                run to find this class)
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM, VITX_CANCELLED, VITX_FORMAT, VITX_DEVICE
 */
VITX_API int vitx_map_of_values(vitx_map **out, vitx_context *context, const vitx_image *image,
                                const float *values, int height, int width, int target);

/** Maps that know neither the picture nor the model. */
typedef enum vitx_blind {
    VITX_BLIND_RANDOM = 0, /**< a uniform random number for each patch                          */
    VITX_BLIND_CENTRE = 1  /**< a Gaussian over the middle of the input, with a standard
                                   deviation of a quarter of each side                           */
} vitx_blind;

/** @return "random", "centre"; NULL for others. Static; any thread. */
VITX_API const char *vitx_blind_name(int blind);

/**
 * Makes a blind map on the model's grid. A useful map has better metrics than a blind map.
 *
 * @param seed  for VITX_BLIND_RANDOM
 * @return like vitx_map_of_values()
 */
VITX_API int vitx_map_blind(vitx_map **out, vitx_context *context, const vitx_image *image,
                               vitx_blind blind, int seed, int target);

/* ------------------------------------------------------------------ what there is --------- */

typedef struct vitx_metric_info {
    size_t struct_size;
    const char *name;
    const char *summary;              /**< one line                                             */
    const char *cost;                 /**< in forward passes, in words                          */
    const char *reference;            /**< paper                                                */
    int higher_is_better;             /**< nonzero: higher values are better; 0: lower ones     */
    int needs_mask, needs_other, needs_explain; /**< which members vitx_evaluate_opts must have */
    const char *const *value_names;   /**< [value_count]; the first is the metric itself        */
    int value_count;
    const char *const *curve_names;   /**< [curve_count]                                        */
    int curve_count;
    const char *x_name;               /**< what the curves run over; NULL if there are none     */
    const vitx_method_option *options; /**< [option_count]                                      */
    int option_count;
} vitx_metric_info;

#define VITX_METRIC_INFO_INIT VITX_SIZED(vitx_metric_info)
VITX_API void vitx_metric_info_init(vitx_metric_info *out, size_t struct_size);
VITX_API int vitx_metric_count(void);
/** @param index  0..vitx_metric_count()-1. @return VITX_OK or VITX_INVALID. */
VITX_API int vitx_metric_get(vitx_metric_info *out, int index);

#ifdef __cplusplus
}
#endif
#endif
