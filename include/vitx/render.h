/*
 * vitx/render.h: maps and statistics as files: png to look at, npy and json for programs.
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
    VITX_LAYOUT_SIDE = 1,    /**< the picture and, next to the picture, the overlay             */
    VITX_LAYOUT_MAP = 2      /**< the coloured map alone                                        */
} vitx_layout;

/** How raw values become 0..1 for the colours. */
typedef enum vitx_scale {
    VITX_SCALE_AUTO = 0,      /**< what suits the map. Without signs: MINMAX if the least value is
                                   above a quarter of the largest (rollout, rise: nearly
                                   everything would look hot), else MAX, and P99 for a map on
                                   pixels. With signs (vitx_map_info.is_signed): SIGNED;
                                   SIGNED_P99 for a map on pixels                                */
    VITX_SCALE_MAX = 1,       /**< negative values to 0, then divided by the maximum            */
    VITX_SCALE_MINMAX = 2,    /**< minimum to 0, maximum to 1                                   */
    VITX_SCALE_P99 = 3,       /**< negative values to 0, the 99th percentile and above to 1     */
    VITX_SCALE_SIGNED = 4,    /**< -max|v| to 0, 0 to 0.5, +max|v| to 1                         */
    VITX_SCALE_SIGNED_P99 = 5, /**< like SIGNED with the 99th percentile of |v|, clipped there  */
    VITX_SCALE_RANGE = 6      /**< vitx_render_opts.low to 0, .high to 1, clipped there: one
                                   scale for many maps. With low = -high the colours are like
                                   SIGNED                                                       */
} vitx_scale;

/** Which picture lies under the map. */
typedef enum vitx_frame {
    VITX_FRAME_PICTURE = 0, /**< the original one; what the model did not see is darkened       */
    VITX_FRAME_INPUT = 1    /**< the part the model saw, at the model's input size              */
} vitx_frame;

/** What is under the map in an overlay. */
typedef enum vitx_underlay {
    VITX_UNDERLAY_AUTO = 0,  /**< GREY with a signed scale, else PHOTO                          */
    VITX_UNDERLAY_GREY = 1,  /**< the picture in light grey, so that all colours are the map's  */
    VITX_UNDERLAY_PHOTO = 2, /**< the picture in its colours                                    */
    VITX_UNDERLAY_NONE = 3   /**< nothing: the colours of the map alone                         */
} vitx_underlay;

/** What is between the middles of two patches (of a map on pixels: of two of its values). */
typedef enum vitx_interpolation {
    VITX_INTERPOLATION_SMOOTH = 0, /**< values between theirs: bilinear                         */
    VITX_INTERPOLATION_NEAREST = 1 /**< nothing: each patch is a square of one colour           */
} vitx_interpolation;

typedef struct vitx_render_opts {
    size_t struct_size;
    const char *format;   /**< "png", "npy", "json"; NULL: from the ending of the path          */
    vitx_layout layout;   /**< default VITX_LAYOUT_OVERLAY                                      */
    vitx_scale scale;     /**< default VITX_SCALE_AUTO. A sheet scales each tile separately     */
    vitx_frame frame;     /**< default VITX_FRAME_PICTURE                                       */
    const char *colormap; /**< a name of vitx_colormap_name(); NULL: "inferno"; "coolwarm" with a
                               signed scale                                                     */
    float alpha;          /**< 0..1, weight of the map in an overlay; default VITX_AUTO: 0.5, 0.8
                               with a signed scale, 1 for a map with channels. With a signed
                               scale alpha is the weight of the largest |v|, and smaller |v|
                               have proportional weights: where the map is 0 the picture is
                               unchanged                                                        */
    int colorbar;         /**< nonzero: a bar of the colours as they look over the picture's mean
                               colour, with the raw values at its ends; ">=" or "<=" before one
                               if the map has values beyond it                                  */
    const char *title;    /**< name of the picture in json; NULL: ""                            */
    const char *label;    /**< name of the target class in json; NULL: null                     */
    float smooth;         /**< standard deviation, in pixels of the model's input and at most
                               256, of a Gaussian that blurs the map before scaling, in pictures
                               only. Default VITX_AUTO: half a patch for signed maps on pixels
                               (neighbour values there cancel), else 0                          */
    float low, high;      /**< for VITX_SCALE_RANGE: finite, low < high; default 0 and 0        */
    vitx_underlay underlay; /**< default VITX_UNDERLAY_AUTO. Read unless layout is
                                 VITX_LAYOUT_MAP                                                */
    vitx_interpolation interpolation; /**< default VITX_INTERPOLATION_SMOOTH; in pictures only  */
} vitx_render_opts;

#define VITX_RENDER_OPTS_INIT \
    { sizeof(vitx_render_opts), NULL, VITX_LAYOUT_OVERLAY, VITX_SCALE_AUTO, VITX_FRAME_PICTURE, \
      NULL, VITX_AUTO, 0, NULL, NULL, VITX_AUTO, 0, 0, VITX_UNDERLAY_AUTO, \
      VITX_INTERPOLATION_SMOOTH }
VITX_API void vitx_render_opts_init(vitx_render_opts *out, size_t struct_size);

/**
 * Writes a map to a file. Regular files are replaced in one step (a temporary file next to the
 * target is renamed), so a failure does not change an earlier file.
 *
 * npy: little-endian float32, C order, the raw values in the map's shape.
 * A png of a map with channels (vitx_map_info.channels) has no colour map: the first three channels
 * are red, green and blue, each from its least value (dark) to its largest in the picture or, with
 * a basis, from -2 to 2 standard deviations. If there are fewer than three, the last one stands for
 * those that are missing. Each pixel has the colour of the nearest patch; scale, colormap, smooth
 * and colorbar are not used.
 * A png of a mask (vitx_map_mask()) is the picture with the rest darkened, by alpha (default 0.75);
 * with VITX_LAYOUT_MAP it is white and black.
 * json: one object with the members of vitx_map_info and the raw values, nested like the shape;
 * "version" is vitx_version().
 * png: the json object, without the values, is the text of the png's tEXt chunk "vitx".
 *
 * @param map    a map from vitx_explain(), or such a map resized
 * @param image  the picture that was explained; needed for png unless layout is VITX_LAYOUT_MAP,
 *               else `image` may be NULL
 * @return VITX_OK, VITX_INVALID (unknown ending, colour map or option; a picture of another size
 *         than the one explained), VITX_UNSUPPORTED (a png of raw tokens, or too large), VITX_IO,
 *         VITX_NOMEM
 */
VITX_API int vitx_render(const vitx_map *map, const vitx_image *image, const char *path,
                         const vitx_render_opts *opts);

/** vitx_render() to a callback; opts->format is required. */
VITX_API int vitx_render_write(const vitx_map *map, const vitx_image *image, vitx_writer *write,
                               void *payload, const vitx_render_opts *opts);

/**
 * The drawing that a png holds, as pixels: vitx_image_pixels() gives them.
 *
 * @param out   free it with vitx_image_free()
 * @param opts  `format` is not read
 * @return like vitx_render() for a png; VITX_UNSUPPORTED (a drawing too large)
 */
VITX_API int vitx_render_image(vitx_image **out, const vitx_map *map, const vitx_image *image,
                               const vitx_render_opts *opts);

/**
 * The values that become the first and the last colour in a png of this map: what VITX_SCALE_AUTO,
 * or another scale of opts, makes of the map after smoothing, over all its layers and heads. One
 * scale for many maps (VITX_SCALE_RANGE) is the smallest `low` and the largest `high` of theirs.
 * *low = *high if all values are equal.
 *
 * @return VITX_OK, VITX_INVALID (an option; a map of colours or of a mask, which has no scale),
 *         VITX_NOMEM
 */
VITX_API int vitx_render_ends(float *low, float *high, const vitx_map *map,
                              const vitx_render_opts *opts);

/** @return the ending of format `index` ("png"), NULL past the last one. Static. */
VITX_API const char *vitx_format_name(int index);
/** @return the name of colour map `index`, NULL past the last one. Static. */
VITX_API const char *vitx_colormap_name(int index);

/**
 * Writes `n` vectors of `count` numbers as a .npy file, float32 [n, count]. The file is replaced
 * like by vitx_render().
 */
VITX_API int vitx_vectors_save(const float *values, int n, int count, const char *path);
/** vitx_vectors_save() to a callback. */
VITX_API int vitx_vectors_write(const float *values, int n, int count, vitx_writer *write,
                                void *payload);

/* ------------------------------------------------------------------ statistics ------------- */

typedef struct vitx_stats_render_opts {
    size_t struct_size;
    const char *format;   /**< "png", "json"; NULL: from the ending of the path                 */
    vitx_stat stat;       /**< what a png shows; default VITX_STAT_ENTROPY                      */
    const char *colormap; /**< for a png: a name of vitx_colormap_name(); NULL: "viridis"       */
    const char *title;    /**< name of the model; NULL: ""                                      */
} vitx_stats_render_opts;

#define VITX_STATS_RENDER_OPTS_INIT \
    { sizeof(vitx_stats_render_opts), NULL, VITX_STAT_ENTROPY, NULL, NULL }
VITX_API void vitx_stats_render_opts_init(vitx_stats_render_opts *out, size_t struct_size);

/**
 * Writes statistics to a file. The file is replaced like by vitx_render().
 *
 * png: the means of one statistic, layers from left to right, heads from top to bottom, with a
 * colour bar from the smallest to the largest.
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
/** vitx_stats_render() to a callback; opts->format is required. */
VITX_API int vitx_stats_render_write(const vitx_stats *stats, vitx_writer *write, void *payload,
                                     const vitx_stats_render_opts *opts);

/* ------------------------------------------------------------------ curves --------------- */

/** One line of a plot, for example from vitx_evaluation_info. */
typedef struct vitx_curve {
    const char *name;    /**< name in the legend                                                */
    const double *x, *y; /**< [count], finite; x grows                                          */
    int count;           /**< at least 1                                                        */
    int style;           /**< 0: a colour of its own; VITX_CURVE_GREY: grey and dashed, for what
                              the others are compared with; 1, 2, ..: curves of one number share a
                              colour, and all but the first of them are dashed                  */
} vitx_curve;

#define VITX_CURVE_GREY (-1)

typedef struct vitx_plot_opts {
    size_t struct_size;
    const char *format;      /**< "png", "npy"; NULL: from the ending of the path               */
    const char *title;       /**< NULL: ""                                                      */
    const char *x_label;     /**< NULL: ""                                                      */
    const vitx_hooks *hooks; /**< NULL: malloc                                                  */
    const char *y_label;     /**< one line above the axes; NULL: ""                             */
} vitx_plot_opts;

#define VITX_PLOT_OPTS_INIT { sizeof(vitx_plot_opts), NULL, NULL, NULL, NULL, NULL }
VITX_API void vitx_plot_opts_init(vitx_plot_opts *out, size_t struct_size);

/**
 * Writes `n` curves to a file. The file is replaced like by vitx_render().
 *
 * png: the curves in one plot with a legend. npy: little-endian float32 [n + 1, count], C order: x
 * in row 0, then the y of each curve. For npy all curves must have equal x.
 *
 * @return VITX_OK, VITX_INVALID (unknown ending; values that are not finite; for npy: curves with
 *         different x), VITX_UNSUPPORTED (a png too large), VITX_IO, VITX_NOMEM
 */
VITX_API int vitx_plot(const vitx_curve *curves, int n, const char *path,
                       const vitx_plot_opts *opts);
/** vitx_plot() to a callback; opts->format is required. */
VITX_API int vitx_plot_write(const vitx_curve *curves, int n, vitx_writer *write, void *payload,
                             const vitx_plot_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
