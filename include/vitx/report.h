/*
 * vitx/report.h: one HTML page about pictures, in one file, that needs no network.
 *
 * A report holds pictures. Each picture has predictions, maps, and the attention of all blocks and
 * heads. The page lets a reader look at all of them: which layer, which head, what a patch looks
 * at, another class, another method. docs/report.md explains the page.
 *
 *     vitx_report_create(&report, model, NULL);
 *     vitx_report_add(report, image, "dog.jpg");
 *     vitx_report_add_map(report, map, NULL);          // maps first: attention gets what is left
 *     vitx_report_run(report, context, image);         // predictions, attention, statistics
 *     vitx_report_save(report, "dog.html");
 *     vitx_report_free(report);
 *
 * vitx_report_run() runs the model once for the last picture; behind vitx_explain() of that picture
 * it may run one block alone. Without it, everything can be given by the vitx_report_add_ functions
 * from answers that the program already has.
 *
 * A report keeps what the file will hold, in its compressed form, and nothing else. It copies all
 * that it is given: pictures, maps and statistics may be freed after each call. The page holds the
 * base name of a picture, never its folder, and no metadata of its file. Equal calls give equal
 * bytes.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VITX_REPORT_H
#define VITX_REPORT_H

#include <vitx/explain.h>
#include <vitx/measure.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vitx_report vitx_report;

/** How much of the attention a picture in a report has. */
typedef enum vitx_report_level {
    VITX_REPORT_AUTO = 0,  /**< the first of the following that fits in the budget              */
    VITX_REPORT_ALL = 1,   /**< all heads of all blocks, [H,T,T] each                           */
    VITX_REPORT_MEAN = 2,  /**< for all blocks the mean over the heads, [T,T], and of each head
                                the row of the query that the model's head reads; and all heads
                                of the last block if they fit                                   */
    VITX_REPORT_CLASS = 3, /**< those rows; and the means of as many of the last blocks as fit  */
    VITX_REPORT_NONE = 4   /**< no attention                                                    */
} vitx_report_level;

/** @return "auto", "all", "mean", "class", "none"; NULL past the last. Static; any thread. */
VITX_API const char *vitx_report_level_name(int level);

typedef struct vitx_report_opts {
    size_t struct_size;
    const char *title;       /**< of the page; NULL: the name of the model                      */
    const char *command;     /**< how to make this page again, for people; NULL: not shown      */
    const char *lang;        /**< "en" or "zh": language of the page. NULL: the reader's own, if
                                  the page has it                                               */
    int64_t budget;          /**< bytes that the file should not exceed; 0: 16,000,000. Attention
                                  that does not fit is left out by vitx_report_level, and the
                                  page says so. Maps are never left out; photos become smaller  */
    int pictures;            /**< how many will be added: each gets an equal share of what is
                                  left of the budget; 0: 1                                      */
    vitx_report_level level; /**< default VITX_REPORT_AUTO. Any other: this level, whatever the
                                  budget says                                                   */
    const vitx_hooks *hooks; /**< NULL: malloc, no log                                          */
} vitx_report_opts;

#define VITX_REPORT_OPTS_INIT \
    { sizeof(vitx_report_opts), NULL, NULL, NULL, 0, 0, VITX_REPORT_AUTO, NULL }
VITX_API void vitx_report_opts_init(vitx_report_opts *out, size_t struct_size);

/**
 * Starts a report without pictures. If the digest of the weights (vitx_model_digest()), which is in
 * the page, is not known yet, a thread of the report reads the weight files meanwhile.
 *
 * @param out    free it with vitx_report_free()
 * @param model  the model that gave the answers; must live until the report is freed
 * @param opts   copied; NULL: all defaults
 * @return VITX_OK, VITX_INVALID (an unknown language or level, a negative number), VITX_NOMEM
 */
VITX_API int vitx_report_create(vitx_report **out, vitx_model *model,
                                const vitx_report_opts *opts);
VITX_API void vitx_report_free(vitx_report *report);

/**
 * Begins a picture. The calls below are about the picture that was added last. The photo is
 * embedded as a JPEG whose longer side has at most 1024 pixels.
 *
 * @param name  a file name or any text; only what follows its last slash or backslash is shown
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM
 */
VITX_API int vitx_report_add(vitx_report *report, const vitx_image *image, const char *name);

/**
 * Runs the picture once and adds predictions (the best 5; the length of the embedding for a model
 * without classes), the attention of every block, that of a pooling head, and statistics of the
 * attention. Each block is compressed before the next one runs: memory is that of one block.
 *
 * If the last call on the context was vitx_explain() of this picture alone, by a method that needs
 * gradients of all blocks, then the blocks have run already, and only the last one runs again. In
 * f32 and bf16x3 the report gets the same to the last bit. In bf16 and int8 it gets the attention
 * that the maps were made with, whose scores are finer than those of a run without gradients.
 *
 * The statistics are about all pictures of the report that were run and have the grid of the first.
 *
 * @param image    the picture that was added last
 * @param context  of the report's model. All calls for one report must use one context, which must
 *                 live until the last of them. The results of an earlier vitx_forward() are lost
 * @return like vitx_stats_add(). After a failure the picture has no attention, and the report can
 *         still be used
 */
VITX_API int vitx_report_run(vitx_report *report, vitx_context *context, const vitx_image *image);

/**
 * What the picture was run with, for answers that do not come from vitx_report_run(): size of the
 * input, grid, recipe, device and precision. Without this call the first map tells the grid and the
 * part of the picture that the model saw; without a map the model's own recipe does. If the recipe
 * cannot take the picture, the page shows all of it. Must come before maps and attention.
 *
 * @param info  of vitx_context_get_info() after the picture was run
 */
VITX_API int vitx_report_set_input(vitx_report *report, const vitx_context_info *info);

/**
 * Predictions, best first, in place of those that were there.
 *
 * @param top  [k], labels are copied; entries with index -1 are left out. For a model without
 *             classes: labels that are texts, as vitx_classify_texts() gives them
 * @param k    1 to 100
 */
VITX_API int vitx_report_add_predictions(vitx_report *report, const vitx_prediction *top, int k);

/**
 * The predictions of the picture that was added last, best first.
 *
 * @param top  [k]; entries beyond those there are get index -1. Labels live until the picture gets
 *             other predictions, or the report is freed
 * @param k    at least 1
 * @return VITX_OK, VITX_INVALID (no picture)
 */
VITX_API int vitx_report_get_predictions(vitx_prediction *top, int k, vitx_report *report);

/** The answer of a model without classes: only its Euclidean length is shown. */
VITX_API int vitx_report_add_embedding(vitx_report *report, const float *values, int count);

/**
 * Adds a map of the picture. A map of several layers or heads becomes as many maps. The first map
 * of a picture is the one that the page shows first.
 *
 * @param label  name of the target; NULL: the model's label, if it has one
 * @return VITX_OK, VITX_INVALID (a map of a picture of another size, or on another grid),
 *         VITX_NOMEM
 */
VITX_API int vitx_report_add_map(vitx_report *report, const vitx_map *map, const char *label);

/**
 * Adds which words of a text match the picture that was added last: the page shows the sentence
 * beside the maps of that text.
 *
 * @param words  of vitx_explain_words() for that picture
 */
VITX_API int vitx_report_add_words(vitx_report *report, const vitx_words *words);

/**
 * Adds the attention of one block, as vitx_attention() gives it: [n,H,T,T], [n,1,T,T] (heads fused:
 * used as their mean) or [n,H,1,T] (the row of the query that the model's head reads).
 *
 * @param layer    block 0..depth-1; a block that is added again replaces what was there
 * @param picture  0..n-1: which one of the view
 * @return VITX_OK, VITX_INVALID (another shape, a number that is no weight from 0 to 1; the report
 *         was saved already), VITX_NOMEM
 */
VITX_API int vitx_report_add_attention(vitx_report *report, int layer, const vitx_view *attention,
                                       int picture);
/** The same for vitx_pool_attention(): [n,H,1,T]. */
VITX_API int vitx_report_add_pool_attention(vitx_report *report, const vitx_view *attention,
                                            int picture);

/**
 * Statistics for the whole report, in place of those that vitx_report_run() collects.
 *
 * @return VITX_OK, VITX_INVALID (no picture was added to them), VITX_NOMEM
 */
VITX_API int vitx_report_add_stats(vitx_report *report, const vitx_stats *stats);

/**
 * Names a class that has no map, and the command that would make one: the page lists both.
 *
 * @param label    NULL: the model's label, if it has one
 * @param command  NULL: none
 */
VITX_API int vitx_report_add_absent(vitx_report *report, int target, const char *label,
                                    const char *command);

/** What a report holds. */
typedef struct vitx_report_info {
    size_t struct_size;
    int pictures;
    vitx_report_level level; /**< the lowest that one of the pictures has                       */
    const char *left_out;    /**< one sentence: what the budget left out; "" if nothing. Lives
                                  until the next call                                           */
    int64_t bytes;           /**< of the file that was written last; 0: none yet                */
} vitx_report_info;

#define VITX_REPORT_INFO_INIT VITX_SIZED(vitx_report_info)
VITX_API void vitx_report_info_init(vitx_report_info *out, size_t struct_size);
VITX_API int vitx_report_get_info(vitx_report_info *out, vitx_report *report);

/**
 * Writes the page. The file is replaced like by vitx_render(). Afterwards no attention can be added
 * to the pictures that are there, but further pictures can.
 *
 * @return VITX_OK, VITX_INVALID (no picture), VITX_IO (also: the weight file, whose digest is in
 *         the page, cannot be read), VITX_NOMEM
 */
VITX_API int vitx_report_save(vitx_report *report, const char *path);
/** vitx_report_save() to a callback, piece by piece. */
VITX_API int vitx_report_write(vitx_report *report, vitx_writer *write, void *payload);

#ifdef __cplusplus
}
#endif
#endif
