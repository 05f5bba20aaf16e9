/*
 * vitx/measure.h: measuring models and maps.
 */
#ifndef VITX_MEASURE_H
#define VITX_MEASURE_H

#include <vitx/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ attention statistics --- */

/*
 * What the heads of a model do, over many pictures: docs/stats.md has the formulas and how to read
 * them. A[i,j] is the attention of query i to key j in one head of one block (rows sum to 1); T is
 * the number of tokens; the first `prefix_tokens` of them are no patches. Every statistic is a
 * number for each picture, block and head. The collection keeps the mean and the standard deviation
 * of that number over the pictures.
 *
 * Each picture is run once. Each block's attention is read before the next block runs. So the
 * attention takes the memory of one block, for any depth of the model.
 */

/** A collection of statistics. One thread at a time, like its context. */
typedef struct vitx_stats vitx_stats;

/** Units are given below; means over the rows (queries) are not weighted. */
typedef enum vitx_stat {
    VITX_STAT_ENTROPY = 0,    /**< nats: mean over all rows of -sum_j A ln A. 0: one key has all
                                   attention; ln T: all keys have equal shares                  */
    VITX_STAT_DISTANCE = 1,   /**< pixels of the model's input: sum A d / sum A over patch
                                   queries and patch keys, d is the distance between the patches'
                                   centres; 0 if no patch attends to a patch                    */
    VITX_STAT_GINI = 2,       /**< mean over all rows of the Gini coefficient, sum_jk |A_j - A_k|
                                   / (2 T sum A). 0: all keys have equal shares; 1 - 1/T: one key
                                   has all                                                      */
    VITX_STAT_TOP10 = 3,      /**< mean over all rows of the share of the ceil(T/10) largest keys */
    VITX_STAT_PREFIX = 4,     /**< mean over all rows of the share of the prefix tokens; 0 if
                                   there are none                                               */
    VITX_STAT_SINK = 5,       /**< mean over the patches' rows of the share of token 0 (the class
                                   token); 0 if token 0 is a patch                              */
    VITX_STAT_SIMILARITY = 6, /**< mean over the other heads of the block of the cosine between
                                   both matrices A, taken as vectors; 0 if there is no other head */
    VITX_STAT_FOCUS = 7       /**< share of all attention, over all queries, that goes to the
                                   ceil(2 %) of the patches that get most attention             */
} vitx_stat;

/** @return the name of statistic `index` ("entropy"); NULL past the last. Static; any thread. */
VITX_API const char *vitx_stat_name(int index);
/**
 * @return what statistic `index` is, in a few words with its unit; NULL past the last one. Static;
 *         any thread.
 */
VITX_API const char *vitx_stat_summary(int index);

/**
 * Starts a collection without pictures.
 *
 * @param out      free it with vitx_stats_free()
 * @param context  runs the pictures; must live until the last vitx_stats_add(). The results do not
 *                 need the context
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM (also: the attention of one block of one picture is
 *         larger than the context's trace_budget)
 */
VITX_API int vitx_stats_create(vitx_stats **out, vitx_context *context);
VITX_API void vitx_stats_free(vitx_stats *stats);

/**
 * Runs `n` pictures and adds them: as many at a time as max_batch and the context's trace_budget
 * allow. Either all are added or, after a failure, none. The results of an earlier vitx_forward()
 * in the context are lost.
 *
 * @return like vitx_classify(); VITX_FORMAT if a block's attention or output is not finite
 */
VITX_API int vitx_stats_add(vitx_stats *stats, const vitx_image *const *images, int n);

/** What was collected. */
typedef struct vitx_stats_info {
    size_t struct_size;
    int64_t pictures;            /**< added so far                                              */
    int layers, heads;           /**< blocks L; heads H of each                                 */
    int tokens, prefix_tokens;   /**< T; tokens that are no patches                             */
    int grid_height, grid_width; /**< patches                                                   */
    int patch_height, patch_width;
    double entropy_limit;        /**< ln T: the largest possible entropy                        */
    double distance_uniform;     /**< pixels: the distance of a head that attends equally to all */
    int64_t artifacts;           /**< artifact tokens of all blocks: see vitx_stats_artifacts() */
    int warnings;                /**< the number of warnings of vitx_stats_warning()            */
} vitx_stats_info;

#define VITX_STATS_INFO_INIT VITX_SIZED(vitx_stats_info)
VITX_API void vitx_stats_info_init(vitx_stats_info *out, size_t struct_size);
VITX_API int vitx_stats_get_info(vitx_stats_info *out, const vitx_stats *stats);

/**
 * Mean over the pictures, and standard deviation (divided by the number of pictures added, so 0 for
 * one picture).
 *
 * @return [layers, heads]; all 0 before the first picture. The values live as long as the
 *         collection and change with vitx_stats_add(). NULL if `stat` is no vitx_stat
 */
VITX_API const double *vitx_stats_mean(const vitx_stats *stats, vitx_stat stat);
VITX_API const double *vitx_stats_spread(const vitx_stats *stats, vitx_stat stat);

/**
 * @return [heads, heads]: mean over the pictures of the cosine between two heads of block `layer`;
 *          lifetime like vitx_stats_mean(). NULL if `layer` is no block.
 */
VITX_API const double *vitx_stats_similarity(const vitx_stats *stats, int layer);

/*
 * Limits of the words below. All are compared with means over the pictures.
 */
#define VITX_STATS_SINK 0.5     /**< sink from which a head attends to the class token           */
#define VITX_STATS_LOCAL 0.5    /**< distance / distance_uniform up to which a head is local     */
#define VITX_STATS_GLOBAL 0.9   /**< distance / distance_uniform from which a head is global     */
#define VITX_STATS_ALIKE 0.95   /**< cosine from which two heads do equal work                   */
#define VITX_STATS_DIFFUSE 0.95 /**< entropy / entropy_limit from which a head attends to
                                     everything */
#define VITX_STATS_STUCK 0.5    /**< focus from which a head is stuck on few patches             */
#define VITX_STATS_ARTIFACT 3.0 /**< norm over the median from which a patch token is an artifact */

/** What a head does, in one word; the first word that applies. */
typedef enum vitx_pattern {
    VITX_PATTERN_SINK = 0,   /**< sink >= VITX_STATS_SINK: the head attends to the class token   */
    VITX_PATTERN_LOCAL = 1,  /**< distance <= VITX_STATS_LOCAL * distance_uniform                */
    VITX_PATTERN_GLOBAL = 2, /**< distance >= VITX_STATS_GLOBAL * distance_uniform               */
    VITX_PATTERN_MIXED = 3   /**< between the two                                                */
} vitx_pattern;

/** @return "sink", "local", "global", "mixed". Static; any thread. */
VITX_API const char *vitx_pattern_name(vitx_pattern pattern);

typedef struct vitx_head_info {
    size_t struct_size;
    vitx_pattern pattern;
    int twin;               /**< the most similar other head of the block; -1: no other head     */
    double twin_similarity; /**< their cosine                                                    */
    int redundant_with;     /**< a head that does equal work, so that this head may be pruned;
                                 -1: none. Heads are checked in order. The first head is kept.
                                 Each later head is kept if its cosine with every head kept
                                 before is below VITX_STATS_ALIKE. For the other heads: the first
                                 kept head whose cosine is not below                             */
} vitx_head_info;

#define VITX_HEAD_INFO_INIT VITX_SIZED(vitx_head_info)
VITX_API void vitx_head_info_init(vitx_head_info *out, size_t struct_size);
/** @return VITX_OK, VITX_INVALID (no such layer or head; no picture was added yet) */
VITX_API int vitx_stats_head(vitx_head_info *out, const vitx_stats *stats, int layer, int head);

/**
 * Artifact tokens after one block: the model uses these patch tokens to store other information,
 * and their norm shows this (Darcet et al. 2023, Vision Transformers Need Registers). A patch token
 * is an artifact if the Euclidean norm of the block's output is more than VITX_STATS_ARTIFACT times
 * the median over the patch tokens of that picture. (Darcet et al. choose a limit by hand, 150 for
 * DINOv2; a multiple of the median works for every model.) The last block computes patches for this
 * even if the head reads only the class token.
 */
typedef struct vitx_artifacts {
    size_t struct_size;
    int64_t count;            /**< artifact tokens, all pictures                                */
    int64_t pictures;         /**< pictures that have artifact tokens                           */
    double largest;           /**< largest norm over its median, artifact or not                */
    double median;            /**< mean over the pictures of the median norm                    */
    const int64_t *positions; /**< [grid_height, grid_width]: in how many pictures each patch is
                                   an artifact; lives as long as the values of vitx_stats_mean() */
} vitx_artifacts;

#define VITX_ARTIFACTS_INIT VITX_SIZED(vitx_artifacts)
VITX_API void vitx_artifacts_init(vitx_artifacts *out, size_t struct_size);
/** @return VITX_OK, VITX_INVALID (no such layer; no picture was added yet) */
VITX_API int vitx_stats_artifacts(vitx_artifacts *out, const vitx_stats *stats, int layer);

/**
 * What should be checked. A warning is one sentence with the numbers that caused it; each kind
 * comes at most once:
 *
 *   spread over everything   a quarter of all heads or more are at VITX_STATS_DIFFUSE
 *   stuck on few patches     any head is at VITX_STATS_STUCK
 *   heads are alike          any head is redundant
 *   collapsed                in any block the mean of sink over the heads is at VITX_STATS_SINK
 *   artifact tokens          any block has one
 *
 * @return warning `index`, NULL past the last one; the string lives until the next vitx_stats_add()
 */
VITX_API const char *vitx_stats_warning(const vitx_stats *stats, int index);

#ifdef __cplusplus
}
#endif
#endif
