/*
 * vitx/explain.h: maps that say where the model looked.
 *
 * A map holds raw, signed numbers on the model's patch grid (or on its input pixels, for methods
 * that work there), without clipping or scaling: those belong to rendering. Formulas and references
 * stand next to each method in lib/explain/; vitx_method_get() lists the methods.
 */
#ifndef VITX_EXPLAIN_H
#define VITX_EXPLAIN_H

#include <vitx/texts.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A finished map. Immutable: any number of threads may read it. Independent of the context. */
typedef struct vitx_map vitx_map;

/** The principal components of the patch tokens of several pictures: see vitx_basis_create(). */
typedef struct vitx_basis vitx_basis;

/** Which number a method explains. It is computed from the logits. */
typedef enum vitx_score {
    VITX_SCORE_AUTO = 0,        /**< the choice of the method's authors: the logit; for rise and
                                     lime the probability, if the model has one that can be
                                     explained                                                  */
    VITX_SCORE_LOGIT = 1,       /**< the target's logit. For a model without classes
                                     (vitx_model_info.units): that component of the embedding,
                                     and AUTO means this score                                  */
    VITX_SCORE_PROBABILITY = 2, /**< the target's probability: softmax over all classes, or its
                                     own sigmoid (vitx_model_info.outputs). Not for a model
                                     without classes, with plain numbers as outputs, or with one
                                     output (explain its logit)                                 */
    VITX_SCORE_DIFFERENCE = 3,  /**< the target's logit minus the logit of `versus`             */
    VITX_SCORE_COSINE = 4,      /**< in place of a target: the cosine of the model's outputs and
                                     a vector; for two texts the difference of two cosines. AUTO
                                     means this score if a vector, picture or text is given     */
    VITX_SCORE_DOT = 5          /**< in place of a target: the dot product of the model's outputs
                                     and a vector                                               */
} vitx_score;

/** What a score is made of. */
typedef enum vitx_explained {
    VITX_EXPLAINED_CLASS = 0,  /**< a class                                                     */
    VITX_EXPLAINED_UNIT = 1,   /**< a component of an embedding                                 */
    VITX_EXPLAINED_VECTOR = 2, /**< vitx_explain_opts.vector                                    */
    VITX_EXPLAINED_PICTURE = 3, /**< vitx_explain_opts.like                                     */
    VITX_EXPLAINED_TEXT = 4    /**< vitx_explain_opts.text                                      */
} vitx_explained;

typedef struct vitx_explain_opts {
    size_t struct_size;
    const char *method;     /**< a name of vitx_method_get(), like "rollout"; required          */
    int target;             /**< class (or unit of an embedding) to explain; VITX_AUTO: the one
                                 with the picture's largest output. The map stores the target,
                                 even if the method does not depend on a class
                                 (vitx_method_info.uses_target)                                 */
    int layer;              /**< block 0..depth-1, VITX_AUTO: the method's default, VITX_ALL    */
    int head;               /**< head 0..H-1, VITX_AUTO: heads fused, VITX_ALL                  */
    int query;              /**< token 0..T-1 whose attention is explained; VITX_AUTO: the token
                                 that the classification head reads. Methods that follow no
                                 attention accept only VITX_AUTO                                */
    const char *const *set; /**< "key=value" for the method's own options                       */
    int set_count;
    vitx_score score;       /**< default VITX_SCORE_AUTO                                        */
    int versus;             /**< class 0..K-1 of VITX_SCORE_DIFFERENCE; VITX_AUTO: the most
                                 probable class that is not the target                          */
    const vitx_image *baseline; /**< for methods with baseline=picture: the picture to compare
                                     with. Must have the size of the explained picture; NULL:
                                     none                                                       */
    const float *vector;    /**< [vector_count], in place of a target: the vector that the
                                 outputs are compared with, by VITX_SCORE_COSINE or
                                 VITX_SCORE_DOT. Finite and not all 0, of any Euclidean length.
                                 `target` must be VITX_AUTO then. NULL: none                    */
    int vector_count;       /**< K                                                              */
    const vitx_image *like; /**< a picture to compare with, of any size, in place of a target:
                                 its outputs are used as `vector`. The picture is run once per
                                 call. NULL: none                                               */
    const vitx_basis *basis; /**< for the method features: the components of several pictures, so
                                 that a colour means the same in all of them. Finished, of the
                                 same model, with at least as many components as the method
                                 shows. `layer` must be VITX_AUTO or the layer of the basis.
                                 NULL: the components of each picture alone                     */
    vitx_texts *texts;      /**< the text tower that belongs to the context's model, for `text`.
                                 NULL: none                                                     */
    const char *text;       /**< a text, in place of a target: the model's outputs are compared with
                                 its vector, which has length 1. Not together with `vector` or
                                 `like`. NULL: none                                             */
    const char *versus_text; /**< with `text`: a text to set against it. The score is the cosine
                                 with `text` minus the cosine with this one, so the map says what
                                 speaks for the one and not for the other. NULL: none           */
    int answer;             /**< nonzero: the map keeps what the model answered for its picture, for
                                 vitx_map_predictions() and vitx_map_embedding(). The maps of a
                                 picture share one copy of it                                   */
    const vitx_label_set *among; /**< with `text`: other texts that it is told from, for methods
                                 that compare texts (vitx_method_info.among); those that are
                                 `text` itself to the model are passed over, and one that is
                                 there twice counts twice. At most 10,000, of the texts' length
                                 of vectors; not with `versus_text`. NULL: the method compares
                                 with the empty text                                            */
    int among_later;        /**< for vitx_explain_bytes() and vitx_explain_forwards() alone, for
                                 those who ask what a map will cost before they run its texts.
                                 Nonzero: `vector` stands for a text of the tower `texts`, and
                                 `among` comes with that text                                   */
} vitx_explain_opts;

#define VITX_EXPLAIN_OPTS_INIT \
    { sizeof(vitx_explain_opts), NULL, VITX_AUTO, VITX_AUTO, VITX_AUTO, VITX_AUTO, NULL, 0, \
    VITX_SCORE_AUTO, VITX_AUTO, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0 }
VITX_API void vitx_explain_opts_init(vitx_explain_opts *out, size_t struct_size);

/**
 * Explains one picture with one method: one forward pass and, if the method needs gradients, one
 * backward pass. Only what the method needs is recorded. Methods that run variants of the picture
 * run the model more often: see vitx_method_info.cost.
 *
 * @param out  the map; free it with vitx_map_free()
 * @return VITX_OK, VITX_INVALID (unknown method or option, target, layer, head or query out of
 *         range), VITX_NOMEM (also: the context's trace_budget would be exceeded), VITX_UNSUPPORTED
 *         (the method cannot explain this model), VITX_FORMAT, VITX_CANCELLED, VITX_DEVICE
 */
VITX_API int vitx_explain(vitx_map **out, vitx_context *context, const vitx_image *image,
                          const vitx_explain_opts *opts);

/**
 * Explains `n` pictures in `m` ways. All maps of a picture come from one forward pass and one
 * backward pass; the different targets run side by side in the backward pass. Everything that one
 * of the methods needs is recorded, within the context's trace_budget.
 *
 * @param out   [n, m]: the map of picture i by opts[j] is out[i*m + j]. Free each map. After a
 *              failure or a cancelled call, `out` still holds the maps that were finished before,
 *              and they must be freed; the others are NULL
 * @param opts  [m], all of one struct_size
 */
VITX_API int vitx_explain_many(vitx_map **out, vitx_context *context,
                               const vitx_image *const *images, int n,
                               const vitx_explain_opts *opts, int m);

/**
 * vitx_explain_many() for inputs in place of pictures, in the form of vitx_forward_inputs(). For
 * the map, the input is the whole picture: vitx_map_to_picture() gives a map of height x width.
 */
VITX_API int vitx_explain_inputs(vitx_map **out, vitx_context *context, const float *inputs, int n,
                                 int height, int width, const vitx_explain_opts *opts, int m);

/**
 * vitx_explain_many(), averaged over each picture and its mirror image (left and right swapped):
 * the mean of the picture's map and of the mirror image's map, which is mirrored back. Both explain
 * the same target (and versus), which the picture itself decides. A query that is a patch and a
 * baseline picture are mirrored, too. Takes twice the time: every picture is run alone, and a
 * progress callback goes from 0 to its total twice for each picture.
 *
 * In vitx_map_info `flip` is 1, `completeness_error` is 0, and all numbers about the score are
 * those of the picture. If a crop cannot lie in the middle of the picture to the pixel, both maps
 * are one pixel of the resized picture apart.
 *
 * @param out  [n, m] like vitx_explain_many(); after a failure the maps of the pictures that were
 *             finished before
 * @return like vitx_explain_many()
 */
VITX_API int vitx_explain_flip(vitx_map **out, vitx_context *context,
                               const vitx_image *const *images, int n,
                               const vitx_explain_opts *opts, int m);

/**
 * The bytes that vitx_explain_many() with these options needs in addition to the context's
 * activation_bytes: recordings and gradients of max_batch pictures, the variants that methods run
 * at once, and the transposed weights that gradients keep within the trace_budget (these are the
 * model's: if another call has made them, they take no more memory). This call allocates nothing
 * for all that and runs no picture, only texts. Views of an earlier vitx_forward() become
 * invalid. With VITX_FIT_KEEP the bytes are for pictures of the size in vitx_context_info. Options
 * whose limit depends on the grid (a query, kernelshap's n, occlusion's window) are not checked
 * then, because each picture has its own grid.
 *
 * @return like vitx_explain(), for errors that the options show without a picture
 */
VITX_API int vitx_explain_bytes(size_t *out, vitx_context *context, const vitx_explain_opts *opts,
                                int m);

/**
 * About how many forward passes it takes to explain one picture in these ways. A backward pass
 * counts like a forward pass. No picture runs. Errors are those of vitx_explain_bytes().
 */
VITX_API int vitx_explain_forwards(int64_t *out, vitx_context *context,
                                   const vitx_explain_opts *opts, int m);

/**
 * Reads a vector for vitx_explain_opts: a .npy file of `count` float16, float32 or float64 numbers,
 * little-endian, in one dimension (further dimensions must be 1). vitx_vectors_save() writes such
 * files.
 *
 * @param out  [count]
 * @return VITX_OK, VITX_INVALID (another count of numbers), VITX_IO, VITX_FORMAT (damaged, a number
 *         that is not finite), VITX_UNSUPPORTED (another type)
 */
VITX_API int vitx_vector_load(float *out, int count, const char *path);

/* ------------------------------------------------------------------ words of a text -------- */

/** A word of a text, and how much it carried. */
typedef struct vitx_word {
    size_t start, end; /**< bytes of the text                                                   */
    int tokens;        /**< tokens of the tower that it is made of; 0: it was cut off           */
    float relevance;   /**< the sum over these tokens                                           */
} vitx_word;

/** Which words of a text match a picture. Immutable; independent of all that it was made with. */
typedef struct vitx_words vitx_words;

typedef struct vitx_words_opts {
    size_t struct_size;
    const char *text;   /**< required                                                           */
    const char *method; /**< NULL or "gradient": for each token the sum of x * d cosine / d x,
                             signed; x is its row of the table with its position, or, if a norm
                             follows the table, what that makes of the row. "relevance": the text
                             side of Chefer, Gur & Wolf 2021 (Transformer-MM-Explainability @
                             58eaea8, CLIP_explainability.ipynb), but through all blocks: R +=
                             mean_h max(dA A, 0) R, the row that becomes the vector; never
                             below 0                                                            */
    const float *vector; /**< [K] the picture's vector, as vitx_embed() gives it, of any length, if
                              the program has it already: then the picture is not run, and context
                              and image may be NULL. NULL: none                                 */
} vitx_words_opts;

#define VITX_WORDS_OPTS_INIT { sizeof(vitx_words_opts), NULL, NULL, NULL }
VITX_API void vitx_words_opts_init(vitx_words_opts *out, size_t struct_size);

/**
 * Says which words of a text carry its cosine with a picture: a backward pass in the text tower,
 * from the cosine with the picture's vector. A word is a run of characters without white space; a
 * Chinese or Japanese character and a mark of punctuation are words of their own, unless one token
 * stands for several.
 *
 * @param out      free it with vitx_words_free()
 * @param context  of the picture tower that the text tower belongs to; runs the picture once
 * @return like vitx_explain(); VITX_INVALID also: no text, one of more than 1 MiB, an unknown
 *         method
 */
VITX_API int vitx_explain_words(vitx_words **out, vitx_texts *texts, vitx_context *context,
                                const vitx_image *image, const vitx_words_opts *opts);
VITX_API void vitx_words_free(vitx_words *words);

/** What was found. Strings and arrays live as long as the handle. */
typedef struct vitx_words_info {
    size_t struct_size;
    const char *text;
    const char *method;
    const vitx_word *words; /**< [count], in the order of the text                              */
    int count;
    int cut;                /**< nonzero: the text was too long, and its end was left out       */
    double value;           /**< the cosine                                                     */
    double empty_value;     /**< that of the empty text                                         */
    double added;           /**< what the tokens carried that are no words: those that begin, end
                                 or fill up the text                                            */
} vitx_words_info;

#define VITX_WORDS_INFO_INIT VITX_SIZED(vitx_words_info)
VITX_API void vitx_words_info_init(vitx_words_info *out, size_t struct_size);
VITX_API int vitx_words_get_info(vitx_words_info *out, const vitx_words *words);

/* ------------------------------------------------------------------ one basis -------------- */

/**
 * Starts a basis for the method features: the principal components of the patch tokens behind one
 * block, of all pictures that are added. The pictures' tokens are not kept, only their mean and
 * their products, width x width doubles. Steps: create, add pictures (any number of calls), finish,
 * then explain with vitx_explain_opts.basis. One thread at a time until it is finished; after that
 * any number of threads may read it. It is independent of the context.
 *
 * @param out         free it with vitx_basis_free()
 * @param layer       block 0..depth-1; VITX_AUTO: the last one
 * @param components  1 to 64, at most the model's width. The basis also holds one more, if the
 *                    width allows it: foreground=yes needs one more
 * @return VITX_OK, VITX_INVALID, VITX_NOMEM
 */
VITX_API int vitx_basis_create(vitx_basis **out, const vitx_context *context, int layer,
                               int components);
/**
 * Adds the tokens of `n` pictures, max_batch at a time. A progress callback goes from 0 to its
 * total for each of these batches. After a failure the basis holds the batches that were finished
 * before.
 *
 * @param context  of the same model as the context of vitx_basis_create()
 * @return like vitx_explain()
 */
VITX_API int vitx_basis_add(vitx_basis *basis, vitx_context *context,
                            const vitx_image *const *images, int n);
/**
 * Computes the components. The sign of each: its largest weight by magnitude is positive. No
 * pictures can be added afterwards.
 *
 * @return VITX_OK, VITX_INVALID (no pictures, or finished before), VITX_FORMAT (tokens that are not
 *         finite), VITX_NOMEM
 */
VITX_API int vitx_basis_finish(vitx_basis *basis);
VITX_API void vitx_basis_free(vitx_basis *basis);

/* ------------------------------------------------------------------ maps ------------------- */

VITX_API void vitx_map_free(vitx_map *map);

/** What a map is. Strings are static or live as long as the map. */
typedef struct vitx_map_info {
    size_t struct_size;
    const char *method;
    int target;        /**< class or unit explained; VITX_AUTO if a vector was explained        */
    float logit;       /**< the target's logit; 0 if a vector was explained. For a text scale *
                            cosine + bias, see vitx_texts_info                                  */
    float probability; /**< the target's probability, like in vitx_prediction; 0 if the model has
                            no classes. For a text: if the tower's outputs are SIGMOID, that of
                            its logit; else the share of the softmax over this text and the empty
                            one. Below 0.5: what it names is not there                          */
    int layer;         /**< block, VITX_ALL, or VITX_AUTO if the method uses no layer           */
    int head;          /**< head, VITX_ALL, or VITX_AUTO if heads are fused                     */
    int query;         /**< token, or VITX_AUTO: the mean over the patches, or over the two
                            tokens that a distilled model reads, or the method has no query     */
    int rank;          /**< of `shape`: 2, plus one for all layers, plus one for all heads, plus
                            one for channels                                                    */
    int64_t shape[4];  /**< [layers, heads, height, width, channels]; layers and heads only if the
                            map has all of them, channels only if `channels` is above 0         */
    int grid_height, grid_width;       /**< patches of the model                                */
    int picture_height, picture_width; /**< the picture it explains                             */
    double seen[4];    /**< x0, y0, x1, y1: the part of the picture that the model saw, in pixels
                            of the picture, not clipped to the picture                          */
    float min, max;    /**< of the values                                                       */
    int is_signed;     /**< nonzero: values below 0 are evidence against the target; 0: values
                            below 0 mean nothing                                                */
    vitx_score score;  /**< what was explained                                                  */
    int versus;        /**< class for VITX_SCORE_DIFFERENCE, else VITX_AUTO                     */
    double value;      /**< the score of the picture                                            */
    double base_value; /**< the score of the baseline if the method has a baseline, else 0      */
    double completeness_error; /**< sum of the values - (value - base_value), for methods whose
                                    values should add up to that difference, else 0             */
    int64_t forwards;  /**< pictures or variants that were run for this map alone, without the
                            forward pass that all maps share                                    */
    vitx_explained explains; /**< what the score is made of                                     */
    vitx_outputs outputs;    /**< the model's outputs: how `probability` comes from `logit`     */
    int nothing;             /**< nonzero: the map says nothing. Either all values are 0, or they
                                  are rounding errors: the score's change over the method's
                                  variants, or the gradient, is a millionth of its size or less.
                                  The values are kept unchanged. Pictures of the map are drawn
                                  like 0, and vitx_evaluate() measures nothing                */
    const char *model;       /**< name of the model's folder or file, without the path before it */
    const char *settings;    /**< "key=value key=value": every option of the method, the default
                                  or the value that was set; "" if the method has no options    */
    int flip;                /**< nonzero: averaged over the picture and its mirror image       */
    int channels;            /**< numbers per patch, the last axis of `shape`: a map of colours
                                  (method features). Such maps are rendered and resized, but not
                                  evaluated or averaged. 0: one number per patch, and no such
                                  axis                                                          */
    double mask;             /**< above 0: a mask of vitx_map_mask(), of that share             */
    const char *text;        /**< the text explained; "" if none was                            */
    const char *versus_text; /**< the text set against it; "" if none was                       */
    double empty_value;      /**< if a text was explained: the cosine with the empty text. A text
                                  whose `text_value` is not above it fits no better than no text:
                                  what it names is taken for not there                          */
    double text_value;       /**< the cosine with the text alone, whatever the score and
                                  `versus_text`; 0 if none was explained                        */
    int among;               /**< how many other texts it was told from; 0: vitx_explain_opts.among
                                  was NULL                                                      */
} vitx_map_info;

#define VITX_MAP_INFO_INIT VITX_SIZED(vitx_map_info)
VITX_API void vitx_map_info_init(vitx_map_info *out, size_t struct_size);
VITX_API int vitx_map_get_info(vitx_map_info *out, const vitx_map *map);

/** @return the values, C order, of the shape in vitx_map_info; they live as long as the map. */
VITX_API const float *vitx_map_values(const vitx_map *map);

/**
 * The `k` most probable classes of the map's picture, ranked as by vitx_classify(). The answer is
 * that of the forward pass which made the map: none runs for it. For a map of
 * vitx_explain_opts.answer and for what is made of it (resized, a mask). For a map of
 * vitx_explain_flip() the answer is that of the picture itself, not of its mirror image.
 *
 * The target's numbers are vitx_map_info.logit and .probability to the last bit, in all maps of a
 * call alike. vitx_classify() records nothing, and so may sum in another order: in f32 the two
 * agree to rounding, some 1e-6 of a logit, and two classes that are as close as that may change
 * places. In bf16 and int8 they agree as far as the precision goes: where a method needs gradients,
 * attention is computed more finely.
 *
 * @param top    [k]
 * @param k      at least 1; entries beyond the model's classes get index -1
 * @param model  whose labels are wanted, which then live as long as it; NULL: labels are NULL
 * @return VITX_OK, VITX_INVALID (the map keeps no answer; a model of another number of classes),
 *         VITX_UNSUPPORTED (the model has no classes)
 */
VITX_API int vitx_map_predictions(vitx_prediction *top, int k, const vitx_map *map,
                                  const vitx_model *model);

/**
 * The embedding of the map's picture by a model without classes, as vitx_embed() gives it. All
 * other rules are those of vitx_map_predictions().
 *
 * @param out  [K], where K is vitx_model_info.classes
 * @return VITX_OK, VITX_INVALID, VITX_UNSUPPORTED (the model has classes), VITX_FORMAT (all numbers
 *         are 0 and `normalize` is nonzero)
 */
VITX_API int vitx_map_embedding(float *out, int normalize, const vitx_map *map);

/**
 * The map resized bilinearly to `height` x `width` over the model's input (half-pixel centres,
 * edges clamped: like torch's interpolate(mode="bilinear", align_corners=False)). Leading axes
 * stay.
 */
VITX_API int vitx_map_resize(vitx_map **out, const vitx_map *map, int height, int width);

/**
 * The map in the coordinates of the original picture: crop and resize are undone, one value per
 * pixel, [.., picture_height, picture_width]. Pixels that the model did not see (outside `seen`)
 * are 0.
 */
VITX_API int vitx_map_to_picture(vitx_map **out, const vitx_map *map);

/**
 * Where most of a map's mass is: 1 in the smallest set of values that together are at least `share`
 * of the sum of all values, and 0 in the others. Values below 0 count as 0. For equal values the
 * ones that come first are taken. Each layer and head has a set of its own. If no value is above 0,
 * all are 0. In vitx_map_info `mask` is the share, and is_signed is 0.
 *
 * @param share  above 0, at most 1
 * @return VITX_OK, VITX_INVALID (a share out of range, a map with channels, a mask), VITX_NOMEM
 */
VITX_API int vitx_map_mask(vitx_map **out, const vitx_map *map, double share);

/* ------------------------------------------------------------------ what there is --------- */

/** One `key=value` option of a method. Strings are static. */
typedef struct vitx_method_option {
    const char *key;
    const char *fallback; /**< the default                                                      */
    const char *values;   /**< the allowed values: "mean|max|min", "0 to 1"                     */
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
    int is_signed;                     /**< nonzero: values below 0 in its maps mean something  */
    int on_pixels;                     /**< nonzero: a map has the size of the model's input, not
                                            of its grid (unless an option says otherwise)       */
    int channels;                      /**< above 0: maps have a last axis of so many numbers per
                                            patch (unless an option says otherwise):
                                            vitx_map_info.channels                              */
    int among;                         /**< nonzero: takes vitx_explain_opts.among (maskclip passes
                                            it over unless denoise or smooth is set)            */
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
