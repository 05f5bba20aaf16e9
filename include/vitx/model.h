/*
 * vitx/model.h: weights, architecture, recipe and labels, from the files people have.
 *
 * A model is opened from a folder (model.safetensors, or model.safetensors.index.json with its
 * shards, or open_clip_model.safetensors, or Google's weights, the one .npz file there; config.json;
 * processor_config.json or preprocessor_config.json; open_clip_config.json; labels.zh.txt and the
 * like) or from one .safetensors or .npz file, whose folder is then searched for the others. Family,
 * sizes and naming are found in the tensors and the configuration; nothing is converted.
 */
#ifndef VITX_MODEL_H
#define VITX_MODEL_H

#include <vitx/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * An opened model. Immutable: any number of threads and contexts may share it. It keeps its
 * weight files open and reads the values when the first context of a device is created.
 */
typedef struct vitx_model vitx_model;

/** What a model's outputs are: how a number between 0 and 1 is made of each, if it is. */
typedef enum vitx_outputs {
    VITX_OUTPUTS_AUTO = 0,    /**< in options: as the model's files say, see vitx_model_opts    */
    VITX_OUTPUTS_SOFTMAX = 1, /**< one choice among the classes: probabilities sum to 1         */
    VITX_OUTPUTS_SIGMOID = 2, /**< each output is a yes or no of its own: 1 / (1 + exp(-logit)) */
    VITX_OUTPUTS_NONE = 3     /**< plain numbers (a regression, an embedding): no probability   */
} vitx_outputs;

/** @return "auto", "softmax", "sigmoid", "none"; NULL for others. Static; any thread. */
VITX_API const char *vitx_outputs_name(int outputs);

typedef struct vitx_model_opts {
    size_t struct_size;
    const vitx_hooks *hooks; /**< NULL: malloc, no log. Contexts of the model use them too.     */
    const char *labels;      /**< file with class names, one a line, or JSON (an array, an object
                                  index -> name or name -> index, a config.json with id2label or
                                  label2id); NULL: from the model's config                      */
    const char *language;    /**< class names from labels.LANGUAGE.txt beside the weights ("zh"; a
                                  file as `labels` is): letters, digits and - only, at most 16.
                                  "en" without such a file means the config's. NULL: no such file
                                  is looked for. Not together with `labels`                     */
    vitx_outputs outputs;    /**< what the outputs are, for files that do not say it (timm's) or
                                  are wrong. AUTO: "problem_type" of config.json
                                  (single_label_classification, multi_label_classification,
                                  regression); without one the softmax, and the sigmoid if there
                                  is one output. Of an embedding AUTO or NONE; of one output no
                                  SOFTMAX, which would always be 1                              */
} vitx_model_opts;

#define VITX_MODEL_OPTS_INIT { sizeof(vitx_model_opts), NULL, NULL, NULL, VITX_OUTPUTS_AUTO }
VITX_API void vitx_model_opts_init(vitx_model_opts *out, size_t struct_size);

/**
 * Opens a model and checks every tensor's presence, dtype, shape and place in the file.
 *
 * The weights' values are not read yet (so opening is quick); a NaN or an infinity among them is
 * reported by vitx_context_create(). A weight file that is written to or shrinks after opening
 * makes a later vitx_context_create() fail with VITX_IO and harms nothing else: values are
 * copied with positioned reads, never read through a memory mapping. One that is removed, or
 * replaced by renaming another, stays readable as it was.
 *
 * @param out   the model; free it with vitx_model_free()
 * @param path  folder, or .safetensors or .npz file
 * @return VITX_OK, VITX_IO (missing or unreadable files, that of the language among them),
 *         VITX_FORMAT (damaged or contradictory files), VITX_UNSUPPORTED (a dtype or an
 *         architecture vitx does not run; the message says which), VITX_INVALID (a language that
 *         is none; language and labels; outputs that the model cannot have), VITX_NOMEM
 */
VITX_API int vitx_model_open(vitx_model **out, const char *path, const vitx_model_opts *opts);

/**
 * Frees a model. Contexts that were made from it keep it alive: its memory goes, and its files are
 * closed, with the last of them. What the model has handed out (labels, recipes) lives as long. The
 * handle itself must not be used any more.
 */
VITX_API void vitx_model_free(vitx_model *model);

/** How a picture is resampled; as in Pillow. */
typedef enum vitx_filter {
    VITX_NEAREST = 0,
    VITX_BOX = 1,
    VITX_BILINEAR = 2,
    VITX_BICUBIC = 3, /**< a = -0.5 */
    VITX_LANCZOS = 4
} vitx_filter;

/** How a picture gets the shape of the model's input. */
typedef enum vitx_resize {
    VITX_RESIZE_SHORTEST = 0, /**< shortest side to `resize_height`, then centre crop            */
    VITX_RESIZE_EXACT = 1,    /**< to resize_height x resize_width, then centre crop             */
    VITX_RESIZE_NONE = 2,     /**< no resizing, only the centre crop (see vitx_recipe.no_crop)   */
    VITX_RESIZE_COVER = 3,    /**< sides in proportion, the smallest that cover resize_height x
                                   resize_width, rounded half to even, then centre crop (timm's
                                   ResizeKeepRatio, for inputs that are not square)              */
    VITX_RESIZE_WITHIN = 4    /**< sides in proportion, the largest within resize_height x
                                   resize_width, rounded likewise; the rest of the input has the
                                   colour `pad`                                                  */
} vitx_resize;

/** Where a field of the recipe came from. */
typedef enum vitx_source {
    VITX_FROM_DEFAULT = 0,      /**< the family's default: no file said anything                */
    VITX_FROM_CONFIG = 1,       /**< config.json                                                */
    VITX_FROM_PREPROCESSOR = 2, /**< preprocessor_config.json                                   */
    VITX_FROM_TENSORS = 3,      /**< the weights' shapes                                        */
    VITX_FROM_OPTIONS = 4,      /**< vitx_context_opts                                          */
    VITX_FROM_OPEN_CLIP = 5,    /**< open_clip_config.json                                      */
    VITX_FROM_PROCESSOR = 6     /**< processor_config.json                                      */
} vitx_source;

/** @return "default", "config.json", "preprocessor_config.json", "tensors", "options",
 *  "open_clip_config.json", "processor_config.json". Static. */
VITX_API const char *vitx_source_name(vitx_source source);
/** @return "nearest", "box", "bilinear", "bicubic", "lanczos". Static. */
VITX_API const char *vitx_filter_name(vitx_filter filter);

/** From picture to input tensor, and which file said so. Handed out by pointer: it
 * may grow at its end. */
typedef struct vitx_recipe {
    int input_height, input_width;   /**< pixels of the model's input                           */
    vitx_resize resize;
    int resize_height, resize_width; /**< target of the resize; SHORTEST uses resize_height     */
    vitx_filter filter;
    int crop_round;                  /**< centre-crop offset: 0: (H-h)/2 rounded down (Hugging
                                          Face); 1: rounded half to even (torchvision)          */
    float scale;                     /**< pixel 0..255 times this, before mean and std          */
    float mean[3], std[3];
    vitx_source from_input, from_resize, from_filter, from_crop, from_scale, from_mean, from_std;
    double crop_pct; /**< of an input of another size s, floor(s / crop_pct) is the size to resize
                          to; 0: it grows with the input, floor(s * resize / input)             */
    uint8_t pad[3];  /**< colour of what lies beside the picture                                */
    int no_crop;     /**< nonzero: there is no centre crop, and no padding either. A picture that
                          has not the input's size after the resize is refused, as by
                          transformers; any vitx_fit but VITX_FIT_RECIPE takes it               */
} vitx_recipe;

/** What a model is. Strings live as long as the model. */
typedef struct vitx_model_info {
    size_t struct_size;        /**< set it before the call: VITX_MODEL_INFO_INIT does           */
    const char *family;        /**< "vit", "deit", "dinov2", "clip", "siglip"                   */
    const char *naming;        /**< "timm", "huggingface", "open_clip", "meta", "google",
                                    "big_vision"                                                */
    const char *architecture;  /**< as the config names it; "" if it does not                   */
    const char *activation;    /**< "gelu", "gelu_tanh", "quick_gelu", "relu", "swiglu"         */
    const char *pooling;       /**< what the head reads: "token" (class token), "avg" (mean of the
                                    patches), "map" (attention of a learnt query), "token+avg"
                                    (class token and mean, one behind the other), "token+dist"
                                    (class and distillation token, each with a head of its own; the
                                    answers are averaged)                                       */
    const char *weight_dtype;  /**< "F32", "F16", "BF16" or "mixed"                             */
    int depth;                 /**< blocks                                                      */
    int width;                 /**< D                                                           */
    int heads;                 /**< H                                                           */
    int mlp_hidden;
    int patch_height, patch_width;
    int grid_height, grid_width; /**< patches                                                   */
    int prefix_tokens;         /**< tokens before the patches: class, distillation, registers   */
    int tokens;                /**< T = prefix_tokens + grid_height*grid_width                  */
    int classes;               /**< K: classes, or numbers of the embedding (see `units`)       */
    int labels;                /**< how many classes have a name                                */
    float norm_eps;
    vitx_source from_eps, from_activation, from_heads;
    int64_t parameters;        /**< elements of the tensors that are used                       */
    int64_t weight_bytes;      /**< bytes those tensors take in the file                        */
    int64_t flops;             /**< multiply-adds of one forward of one picture, times two      */
    const vitx_recipe *recipe; /**< lives as long as the model                                  */
    int units;                 /**< nonzero: a model without a classifier; its K outputs are the
                                    components of an embedding, which have no names and no
                                    probabilities                                               */
    int registers;             /**< of the prefix tokens, the last ones: registers. What is left is
                                    the class token, if there is one, and a distillation token  */
    int pos_height, pos_width; /**< grid that the file's position embeddings are for; where the
                                    input's is another, they are resampled                      */
    const char *pos_resample;  /**< how, by default: a name of vitx_pos_resample_name(). Static */
    vitx_outputs outputs;      /**< what the outputs are; never AUTO                            */
    vitx_source from_outputs;  /**< TENSORS: there is one output                                */
    const char *guesses;       /**< what no tensor and no file says and was taken all the same
                                    (heads, activation, eps, how pictures are made), for people;
                                    "" if nothing was. vitx_model_open() logs it as one warning */
} vitx_model_info;

#define VITX_MODEL_INFO_INIT VITX_SIZED(vitx_model_info)
VITX_API void vitx_model_info_init(vitx_model_info *out, size_t struct_size);

/** Fills `out` (its struct_size must be set). @return VITX_OK or VITX_INVALID. */
VITX_API int vitx_model_get_info(vitx_model_info *out, const vitx_model *model);

/**
 * The ways to resample position embeddings, each as the library of that name does it:
 * "timm": bicubic, antialiased. "timm-npz": bilinear; what timm does to Google's .npz files. "hf":
 * bicubic, a = -0.75, not antialiased; transformers' interpolate_pos_encoding. "hf-registers": its
 * DINOv2 with registers, antialiased. "open_clip": bicubic, antialiased. "dinov2": Meta's, as hf but
 * with steps 1 / ((n + 0.1) / m). "dinov2-registers": Meta's with registers, antialiased. "jax":
 * bilinear with the corners in place, scipy.ndimage.zoom(order=1); big_vision. Those that say the
 * same give the same numbers.
 *
 * @return NULL past the last. Static; any thread.
 */
VITX_API const char *vitx_pos_resample_name(int index);

/** @return the name of class `index`, NULL if it has none. Lives as long as the model. */
VITX_API const char *vitx_model_label(const vitx_model *model, int index);

/**
 * Finds a class by its number in decimal, its whole name, or one of the comma-separated parts of
 * its name ("tench" in "tench, Tinca tinca"); letter case of ASCII is ignored.
 *
 * @return VITX_OK, or VITX_INVALID where none or more than one class matches (the message says
 *         which) or the number is not below the number of classes
 */
VITX_API int vitx_model_find_label(int *out_index, const vitx_model *model, const char *text);

#ifdef __cplusplus
}
#endif
#endif
