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
 * them. A[i,j] is the attention of query i to key j in one head of one block (rows sum to 1); T
 * tokens, of which the first `prefix_tokens` are no patches. Every statistic is a number for each
 * picture, block and head; what is kept is its mean and its standard deviation over the pictures.
 *
 * Each picture is run once. A block's attention is looked at while the next one waits and takes the
 * memory of one block, however deep the model.
 */

/** A collection of statistics. One thread at a time, as its context. */
typedef struct vitx_stats vitx_stats;

/** In the units given; means over the rows (queries) are plain. */
typedef enum vitx_stat {
    VITX_STAT_ENTROPY = 0,    /**< nats: mean over all rows of -sum_j A ln A. 0: one key has all;
                                   ln T: all have the same                                      */
    VITX_STAT_DISTANCE = 1,   /**< pixels of the model's input: sum A d / sum A over patch queries
                                   and patch keys, d between the patches' centres; 0 where no
                                   patch attends to a patch                                     */
    VITX_STAT_GINI = 2,       /**< mean over all rows of the Gini coefficient, sum_jk |A_j - A_k| /
                                   (2 T sum A). 0: all keys have the same; 1 - 1/T: one has all */
    VITX_STAT_TOP10 = 3,      /**< mean over all rows of the share of the ceil(T/10) largest keys */
    VITX_STAT_PREFIX = 4,     /**< mean over all rows of the share of the prefix tokens; 0 where
                                   there are none                                               */
    VITX_STAT_SINK = 5,       /**< mean over the patches' rows of the share of token 0 (the class
                                   token), where it is no patch, else 0                         */
    VITX_STAT_SIMILARITY = 6, /**< mean over the other heads of the block of the cosine between
                                   both matrices A, taken as vectors; 0 where there is no other */
    VITX_STAT_FOCUS = 7       /**< share of all attention that goes to the patches which get most,
                                   ceil(2 %) of the patches, from all queries together          */
} vitx_stat;

/** @return the name of statistic `index` ("entropy"), NULL past the last one. Static; any thread. */
VITX_API const char *vitx_stat_name(int index);
/** @return what it is, in a few words with its unit; NULL past the last one. Static; any thread. */
VITX_API const char *vitx_stat_summary(int index);

/**
 * Starts a collection without pictures.
 *
 * @param out      free it with vitx_stats_free()
 * @param context  runs the pictures; must outlive every vitx_stats_add(), but not the results
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM (also: the attention of one block of one picture is
 *         larger than the context's trace_budget)
 */
VITX_API int vitx_stats_create(vitx_stats **out, vitx_context *context);
VITX_API void vitx_stats_free(vitx_stats *stats);

/**
 * Runs `n` pictures and adds them: as many at a time as max_batch and the context's trace_budget
 * allow. All are added, or, after a failure, none. What vitx_forward() left in the context is gone.
 *
 * @return as vitx_classify(); VITX_FORMAT where a block's attention or output is not finite
 */
VITX_API int vitx_stats_add(vitx_stats *stats, const vitx_image *const *images, int n);

/** What was collected. */
typedef struct vitx_stats_info {
    size_t struct_size;
    int64_t pictures;            /**< added so far                                              */
    int layers, heads;           /**< blocks L; heads H of each                                 */
    int tokens, prefix_tokens;   /**< T; those that are no patches                              */
    int grid_height, grid_width; /**< patches                                                   */
    int patch_height, patch_width;
    double entropy_limit;        /**< ln T: the greatest entropy there can be                   */
    double distance_uniform;     /**< pixels: the distance of a head that attends alike to all  */
    int64_t artifacts;           /**< artifact tokens of all blocks: see vitx_stats_artifacts() */
    int warnings;                /**< how many vitx_stats_warning() has                         */
} vitx_stats_info;

#define VITX_STATS_INFO_INIT VITX_SIZED(vitx_stats_info)
VITX_API void vitx_stats_info_init(vitx_stats_info *out, size_t struct_size);
VITX_API int vitx_stats_get_info(vitx_stats_info *out, const vitx_stats *stats);

/**
 * Mean over the pictures, and standard deviation (of the pictures added: divided by their number,
 * so 0 for one picture).
 *
 * @return [layers, heads]; 0 throughout before the first picture. The values live as long as the
 *         collection and change with vitx_stats_add(). NULL for no vitx_stat
 */
VITX_API const double *vitx_stats_mean(const vitx_stats *stats, vitx_stat stat);
VITX_API const double *vitx_stats_spread(const vitx_stats *stats, vitx_stat stat);

/** @return [heads, heads]: mean over the pictures of the cosine between two heads of block `layer`;
 *          as above. NULL for no block. */
VITX_API const double *vitx_stats_similarity(const vitx_stats *stats, int layer);

/*
 * Limits of the words below. All are compared with means over the pictures.
 */
#define VITX_STATS_SINK 0.5     /**< sink from which a head attends to the class token           */
#define VITX_STATS_LOCAL 0.5    /**< distance / distance_uniform up to which a head is local     */
#define VITX_STATS_GLOBAL 0.9   /**< the same from which it is global                            */
#define VITX_STATS_ALIKE 0.95   /**< cosine from which two heads do the same                     */
#define VITX_STATS_DIFFUSE 0.95 /**< entropy / entropy_limit from which a head attends to everything */
#define VITX_STATS_STUCK 0.5    /**< focus from which a head is stuck on few patches             */
#define VITX_STATS_ARTIFACT 3.0 /**< norm over the median from which a patch token is an artifact */

/** What a head does, in a word; the first that applies. */
typedef enum vitx_pattern {
    VITX_PATTERN_SINK = 0,   /**< sink >= VITX_STATS_SINK: it rests on the class token           */
    VITX_PATTERN_LOCAL = 1,  /**< distance <= VITX_STATS_LOCAL * distance_uniform                */
    VITX_PATTERN_GLOBAL = 2, /**< distance >= VITX_STATS_GLOBAL * distance_uniform               */
    VITX_PATTERN_MIXED = 3   /**< between the two                                                */
} vitx_pattern;

/** @return "sink", "local", "global", "mixed". Static; any thread. */
VITX_API const char *vitx_pattern_name(vitx_pattern pattern);

typedef struct vitx_head_info {
    size_t struct_size;
    vitx_pattern pattern;
    int twin;               /**< the head of the same block that is most alike; -1: no other     */
    double twin_similarity; /**< their cosine                                                    */
    int redundant_with;     /**< a head that does the same, so that this one may be pruned; -1:
                                 none. Heads are gone through in order: the first is kept, and so
                                 is each one whose cosine with every head kept before is below
                                 VITX_STATS_ALIKE; of the others, the first kept one that is not */
} vitx_head_info;

#define VITX_HEAD_INFO_INIT VITX_SIZED(vitx_head_info)
VITX_API void vitx_head_info_init(vitx_head_info *out, size_t struct_size);
/** @return VITX_OK, VITX_INVALID (no such layer or head; no picture was added yet) */
VITX_API int vitx_stats_head(vitx_head_info *out, const vitx_stats *stats, int layer, int head);

/**
 * Artifact tokens behind one block: patch tokens in whose place the model keeps something of its
 * own, which shows in their norm (Darcet et al. 2023, Vision Transformers Need Registers). A patch
 * token is one where the Euclidean norm of the block's output is more than VITX_STATS_ARTIFACT
 * times the median over the patch tokens of that picture. (Darcet et al. pick a limit by hand, 150
 * for DINOv2; a multiple of the median serves every model.) The last block computes patches
 * for this, too, where the head reads the class token alone.
 */
typedef struct vitx_artifacts {
    size_t struct_size;
    int64_t count;            /**< artifact tokens, all pictures                                */
    int64_t pictures;         /**< pictures that have any                                       */
    double largest;           /**< largest norm over its median, artifact or not                */
    double median;            /**< mean over the pictures of the median norm                    */
    const int64_t *positions; /**< [grid_height, grid_width]: in how many pictures each patch is
                                   one; lives as the values of vitx_stats_mean()                */
} vitx_artifacts;

#define VITX_ARTIFACTS_INIT VITX_SIZED(vitx_artifacts)
VITX_API void vitx_artifacts_init(vitx_artifacts *out, size_t struct_size);
/** @return VITX_OK, VITX_INVALID (no such layer; no picture was added yet) */
VITX_API int vitx_stats_artifacts(vitx_artifacts *out, const vitx_stats *stats, int layer);

/**
 * What deserves a look, a sentence each with the numbers that caused it, at most one of a kind:
 *
 *   spread over everything   a quarter of all heads or more are at VITX_STATS_DIFFUSE
 *   stuck on few patches     any head is at VITX_STATS_STUCK
 *   heads are alike          any head is redundant
 *   collapsed                in any block the mean of sink over the heads is at VITX_STATS_SINK
 *   artifact tokens          any block has one
 *
 * @return warning `index`, NULL past the last one; it lives until the next vitx_stats_add()
 */
VITX_API const char *vitx_stats_warning(const vitx_stats *stats, int index);

#ifdef __cplusplus
}
#endif
#endif
