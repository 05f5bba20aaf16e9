/*
 * vitx/render.h: maps as files: png for the eye, npy and json for programs; statistics likewise.
 */
#ifndef VITX_RENDER_H
#define VITX_RENDER_H

#include <vitx/explain.h>
#include <vitx/measure.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a png shows. A map with several layers or heads becomes a sheet of such tiles. */
typedef enum vitx_layout {
    VITX_LAYOUT_OVERLAY = 0, /**< the picture with the coloured map over it                     */
    VITX_LAYOUT_SIDE = 1,    /**< the picture and, beside it, the overlay                       */
    VITX_LAYOUT_MAP = 2      /**< the coloured map alone                                        */
} vitx_layout;

/** How raw values become 0..1 for the colours. */
typedef enum vitx_scale {
    VITX_SCALE_AUTO = 0,      /**< what suits the map: VITX_SCALE_MAX, of one on pixels P99, or
                                   MINMAX where its least value is above a quarter of its
                                   largest (rise); where its values have signs
                                   (vitx_map_info.is_signed) SIGNED, of one on pixels SIGNED_P99 */
    VITX_SCALE_MAX = 1,       /**< negative values to 0, then divided by the maximum            */
    VITX_SCALE_MINMAX = 2,    /**< minimum to 0, maximum to 1                                   */
    VITX_SCALE_P99 = 3,       /**< negative values to 0, the 99th percentile and above to 1     */
    VITX_SCALE_SIGNED = 4,    /**< -max|v| to 0, 0 to 0.5, +max|v| to 1                         */
    VITX_SCALE_SIGNED_P99 = 5, /**< the same by the 99th percentile of |v|, clipped there       */
    VITX_SCALE_RANGE = 6      /**< vitx_render_opts.low to 0, .high to 1, clipped there: one scale
                                   for many maps. With low = -high it is as SIGNED is           */
} vitx_scale;

/** Which picture lies under the map. */
typedef enum vitx_frame {
    VITX_FRAME_PICTURE = 0, /**< the original one; what the model did not see is darkened       */
    VITX_FRAME_INPUT = 1    /**< the part the model saw, at the model's input size              */
} vitx_frame;

typedef struct vitx_render_opts {
    size_t struct_size;
    const char *format;   /**< "png", "npy", "json"; NULL: from the ending of the path          */
    vitx_layout layout;   /**< default VITX_LAYOUT_OVERLAY                                      */
    vitx_scale scale;     /**< default VITX_SCALE_AUTO. A sheet scales each tile by itself      */
    vitx_frame frame;     /**< default VITX_FRAME_PICTURE                                       */
    const char *colormap; /**< a name of vitx_colormap_name(); NULL: "turbo", of a map on pixels
                               "inferno", with a signed scale "coolwarm"                        */
    float alpha;          /**< 0..1, weight of the map in an overlay; default VITX_AUTO: 0.5, with
                               a signed scale 0.8. There it is the weight of the largest |v| and in
                               proportion below: where the map is 0 the picture stays as it is  */
    int colorbar;         /**< nonzero: a bar with the raw values at its ends                   */
    const char *title;    /**< name of the picture in json; NULL: ""                            */
    const char *label;    /**< name of the target class in json; NULL: null                     */
    float smooth;         /**< standard deviation, in pixels of the model's input and at most 256,
                               of a Gaussian over the map before it is scaled, in pictures only;
                               default VITX_AUTO: half a patch for signed maps on pixels, whose
                               neighbours cancel, else 0                                        */
    float low, high;      /**< of VITX_SCALE_RANGE: finite, low < high; default 0 and 0         */
} vitx_render_opts;

#define VITX_RENDER_OPTS_INIT { sizeof(vitx_render_opts), NULL, VITX_LAYOUT_OVERLAY, VITX_SCALE_AUTO, VITX_FRAME_PICTURE, NULL, VITX_AUTO, 0, NULL, NULL, VITX_AUTO, 0, 0 }
VITX_API void vitx_render_opts_init(vitx_render_opts *out, size_t struct_size);

/**
 * Writes a map to a file. Regular files are replaced in one step (a temporary file beside the
 * target is renamed), so a failure leaves an earlier file as it was.
 *
 * npy: little-endian float32, C order, the raw values in the map's shape.
 * json: one object with what vitx_map_info tells and the raw values, nested as the shape; "version" is
 * vitx_version().
 * png: the same object without the values is the text of its tEXt chunk "vitx".
 *
 * @param map    as vitx_explain() gave it, or resized
 * @param image  the picture that was explained; needed by png unless layout is VITX_LAYOUT_MAP,
 *               else it may be NULL
 * @return VITX_OK, VITX_INVALID (unknown ending, colour map or option; a picture of another size
 *         than the one explained), VITX_IO, VITX_NOMEM
 */
VITX_API int vitx_render(const vitx_map *map, const vitx_image *image, const char *path,
                         const vitx_render_opts *opts);

/** Receives output piece by piece. @return 0 to go on; anything else stops with VITX_IO. */
typedef int vitx_writer(const void *data, size_t bytes, void *payload);

/** The same to a callback; opts->format is required. */
VITX_API int vitx_render_write(const vitx_map *map, const vitx_image *image, vitx_writer *write,
                               void *payload, const vitx_render_opts *opts);

/**
 * The drawing that a png holds, as pixels: vitx_image_pixels() gives them.
 *
 * @param out   free it with vitx_image_free()
 * @param opts  its format is not looked at
 * @return as vitx_render() for a png; VITX_UNSUPPORTED (a drawing too large)
 */
VITX_API int vitx_render_image(vitx_image **out, const vitx_map *map, const vitx_image *image,
                               const vitx_render_opts *opts);

/** @return the ending of format `index` ("png"), NULL past the last one. Static. */
VITX_API const char *vitx_format_name(int index);
/** @return the name of colour map `index`, NULL past the last one. Static. */
VITX_API const char *vitx_colormap_name(int index);

/**
 * Writes `n` vectors of `count` numbers as a .npy file, float32 [n, count], replaced as by
 * vitx_render().
 */
VITX_API int vitx_vectors_save(const float *values, int n, int count, const char *path);
/** The same to a callback. */
VITX_API int vitx_vectors_write(const float *values, int n, int count, vitx_writer *write,
                                void *payload);

/* ------------------------------------------------------------------ statistics ------------- */

typedef struct vitx_stats_render_opts {
    size_t struct_size;
    const char *format;   /**< "png", "json"; NULL: from the ending of the path                 */
    vitx_stat stat;       /**< what a png shows; default VITX_STAT_ENTROPY                      */
    const char *colormap; /**< of a png: a name of vitx_colormap_name(); NULL: "viridis"        */
    const char *title;    /**< name of the model; NULL: ""                                      */
} vitx_stats_render_opts;

#define VITX_STATS_RENDER_OPTS_INIT { sizeof(vitx_stats_render_opts), NULL, VITX_STAT_ENTROPY, NULL, NULL }
VITX_API void vitx_stats_render_opts_init(vitx_stats_render_opts *out, size_t struct_size);

/**
 * Writes statistics to a file, which is replaced as by vitx_render().
 *
 * png: the means of one statistic, layers across, heads down, with a colour bar from the least to
 * the largest.
 *
 * json: one object, {"model","pictures","layers","heads","tokens","prefix_tokens","grid":[h,w],
 * "patch":[h,w],"entropy_limit","distance_uniform", "statistics":{NAME:{"mean":[[..]..],
 * "spread":[[..]..]}..}, "patterns":[["local"..]..], "similarity":[[[..]..]..],
 * "redundant":[{"layer","head","with","cosine"}..], "artifacts":[{"layer","count","pictures",
 * "largest","median","positions":[[row,column,count]..]}..], "warnings":["..."..]}. Matrices are
 * [layers][heads], similarity [layers][heads][heads]; artifacts has all layers, positions what is
 * not 0.
 *
 * @return VITX_OK, VITX_INVALID (no picture was added; unknown ending, statistic or colour map),
 *         VITX_UNSUPPORTED (a png too large), VITX_IO, VITX_NOMEM
 */
VITX_API int vitx_stats_render(const vitx_stats *stats, const char *path,
                               const vitx_stats_render_opts *opts);
/** The same to a callback; opts->format is required. */
VITX_API int vitx_stats_render_write(const vitx_stats *stats, vitx_writer *write, void *payload,
                                     const vitx_stats_render_opts *opts);

/* ------------------------------------------------------------------ curves --------------- */

/** One line of a plot, as of vitx_evaluation_info. */
typedef struct vitx_curve {
    const char *name;    /**< in the legend                                                     */
    const double *x, *y; /**< [count], finite; x grows                                          */
    int count;           /**< at least 1                                                        */
} vitx_curve;

typedef struct vitx_plot_opts {
    size_t struct_size;
    const char *format;      /**< "png", "npy"; NULL: from the ending of the path               */
    const char *title;       /**< NULL: ""                                                      */
    const char *x_label;     /**< NULL: ""                                                      */
    const vitx_hooks *hooks; /**< NULL: malloc                                                  */
} vitx_plot_opts;

#define VITX_PLOT_OPTS_INIT { sizeof(vitx_plot_opts), NULL, NULL, NULL, NULL }
VITX_API void vitx_plot_opts_init(vitx_plot_opts *out, size_t struct_size);

/**
 * Writes `n` curves to a file, which is replaced as by vitx_render().
 *
 * png: the curves in one plot with a legend. npy: little-endian float32 [n + 1, count], C order: x in
 * row 0, then y of curve after curve, which must share their x.
 *
 * @return VITX_OK, VITX_INVALID (unknown ending; values that are not finite; of npy curves that do
 *         not share their x), VITX_UNSUPPORTED (a png too large), VITX_IO, VITX_NOMEM
 */
VITX_API int vitx_plot(const vitx_curve *curves, int n, const char *path,
                       const vitx_plot_opts *opts);
/** The same to a callback; opts->format is required. */
VITX_API int vitx_plot_write(const vitx_curve *curves, int n, vitx_writer *write, void *payload,
                             const vitx_plot_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
