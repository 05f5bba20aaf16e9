/*
 * vitx/model.h: weights, architecture, recipe and labels, from the files people have.
 *
 * A model is opened from a folder or from one weight file; the other files are then searched in
 * the folder of that file. A folder holds model.safetensors, or model.safetensors.index.json with
 * its shards, or open_clip_model.safetensors, or pytorch_model.bin, or one weight file of any name
 * (.safetensors or .npz; if there is none of these .pth, .pt, .bin or .ckpt); config.json;
 * processor_config.json or preprocessor_config.json; open_clip_config.json; labels.zh.txt and the
 * like. Family, sizes and naming are found in the tensors and the configuration. Nothing is
 * converted.
 *
 * PyTorch's own files (torch.save) are pickles, which are Python programs. They are read as data,
 * and nothing in them is run.
 */
#ifndef VITX_MODEL_H
#define VITX_MODEL_H

#include <vitx/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * An opened model. Immutable: any number of threads and contexts may share a model. A model keeps
 * its weight files open and reads the values when the first context of a device is created.
 */
typedef struct vitx_model vitx_model;

/** What a model's outputs are: how each output becomes a number between 0 and 1, if at all. */
typedef enum vitx_outputs {
    VITX_OUTPUTS_AUTO = 0,    /**< in options: what the model's files say, see vitx_model_opts  */
    VITX_OUTPUTS_SOFTMAX = 1, /**< one choice among the classes: probabilities sum to 1         */
    VITX_OUTPUTS_SIGMOID = 2, /**< each output is a separate yes or no: 1 / (1 + exp(-logit))   */
    VITX_OUTPUTS_NONE = 3     /**< plain numbers (a regression, an embedding): no probability   */
} vitx_outputs;

/** @return "auto", "softmax", "sigmoid", "none"; NULL for others. Static; any thread. */
VITX_API const char *vitx_outputs_name(int outputs);

/** A file whose bytes the program already has. */
typedef struct vitx_memory_file {
    const char *name; /**< without a folder: "model.safetensors", "config.json"                 */
    const void *data; /**< [bytes]                                                              */
    size_t bytes;
} vitx_memory_file;

typedef struct vitx_model_opts {
    size_t struct_size;
    const vitx_hooks *hooks; /**< NULL: malloc, no log. Contexts of the model use them too.     */
    const char *labels;      /**< file with class names, one per line, or JSON (an array, an
                                  object index -> name or name -> index, a config.json with
                                  id2label or label2id); NULL: from the model's config          */
    const char *language;    /**< class names from labels.LANGUAGE.txt next to the weights, in
                                  the format of `labels`. LANGUAGE ("zh") has only letters,
                                  digits and -, at most 16 characters. "en" without such a file:
                                  the names of the config. NULL: no such file is used. Not
                                  together with `labels`                                        */
    vitx_outputs outputs;    /**< what the outputs are, if the files do not say this (timm's) or
                                  are wrong. AUTO: "problem_type" of config.json
                                  (single_label_classification, multi_label_classification,
                                  regression); without "problem_type" the softmax, or the sigmoid
                                  if there is one output. For an embedding only AUTO or NONE; for
                                  one output no SOFTMAX, which would always be 1                */
    const vitx_memory_file *files; /**< [file_count]: the files of the model's folder, in memory.
                                  Nothing is read from the disk then, except `labels`. `path` is a
                                  name for messages. The array may go after vitx_model_open();
                                  the data of weight files must stay as it is until the model and
                                  its contexts are freed. A text tower gets the files by
                                  vitx_texts_opts.files. NULL: files on the disk                */
    int file_count;          /**< 1 to 1024 with `files`, else 0                                */
    const char *weights_key; /**< which network of a PyTorch file that holds several: the key of
                                  its dictionary ("state_dict", "ema.model"); "." is what the
                                  file holds itself. NULL: the only one                         */
    int heads;               /**< attention heads, if no file says how many, or a file is wrong; 0:
                                  what the files say                                            */
    const char *ignore;      /**< tensors to leave out, as patterns of their names in the file:
                                  '*' stands for any characters, '?' for one, commas separate
                                  patterns ("head.mlp.*,queue"). Each must fit a tensor. What is
                                  left out is not read: only for tensors that do not change the
                                  answer. NULL: none                                            */
} vitx_model_opts;

#define VITX_MODEL_OPTS_INIT \
    { sizeof(vitx_model_opts), NULL, NULL, NULL, VITX_OUTPUTS_AUTO, NULL, 0, NULL, 0, NULL }
VITX_API void vitx_model_opts_init(vitx_model_opts *out, size_t struct_size);

/**
 * Opens a model and checks every tensor's presence, dtype, shape and place in the file.
 *
 * The weights' values are not read yet (so opening is quick); a NaN or an infinity among them is
 * reported by vitx_context_create(). If a weight file is written to or shrinks after opening, a
 * later vitx_context_create() fails with VITX_IO, and nothing else is harmed: values are copied
 * with positioned reads, never read through a memory mapping. If a weight file is removed, or
 * replaced by renaming another file, the old content stays readable.
 *
 * @param out   the model; free it with vitx_model_free()
 * @param path  folder or weight file
 * @return VITX_OK, VITX_IO (missing or unreadable files, including the file of the language),
 *         VITX_FORMAT (damaged or contradictory files), VITX_UNSUPPORTED (a dtype or an
 *         architecture vitx does not run; the message says which), VITX_INVALID (a malformed
 *         language; both language and labels; outputs that the model cannot have; a weights_key
 *         for a file without keys; a pattern of `ignore` that fits no tensor), VITX_NOMEM
 */
VITX_API int vitx_model_open(vitx_model **out, const char *path, const vitx_model_opts *opts);

/**
 * Frees a model. Contexts that were made from the model keep the model alive: memory is freed and
 * files are closed together with the last context. Pointers that the model returned (labels,
 * recipes) stay valid until then. The handle itself must not be used any more.
 */
VITX_API void vitx_model_free(vitx_model *model);

/** How a picture is resampled, like in Pillow. */
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
    VITX_RESIZE_WITHIN = 4,   /**< sides in proportion, the largest within resize_height x
                                   resize_width, rounded half to even; the rest of the input has
                                   the colour `pad`                                              */
    VITX_RESIZE_PATCHES = 5   /**< each picture to a size of its own: about its own proportions,
                                   sides of whole patches, at most `max_patches` of them. Such a
                                   model (SigLIP 2 NaFlex) has no one input size: `input_height`
                                   and `input_width` are those of the file's position embeddings */
} vitx_resize;

/** The source of a field of the recipe. */
typedef enum vitx_source {
    VITX_FROM_DEFAULT = 0,      /**< the family's default: no file had a value                  */
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

/**
 * How a picture becomes the input tensor, and which file each value came from. vitx returns
 * pointers to this struct, because the struct may grow at its end.
 */
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
    double crop_pct; /**< for an input of another size s, the resize size is floor(s / crop_pct).
                          0: the resize size grows with the input, floor(s * resize / input)    */
    uint8_t pad[3];  /**< colour of the area next to the picture                                */
    int no_crop;     /**< nonzero: no centre crop and no padding. A picture that does not have
                          the input's size after the resize is refused, like in transformers.
                          Every vitx_fit other than VITX_FIT_RECIPE accepts such a picture      */
    int max_patches; /**< of VITX_RESIZE_PATCHES; else 0                                        */
    int unrounded;   /**< nonzero: a resized pixel is not rounded to 0..255, like in transformers'
                          processor of DINOv3, which resizes floats                             */
} vitx_recipe;

/** What a model is. Strings live as long as the model. */
typedef struct vitx_model_info {
    size_t struct_size;        /**< set before the call; VITX_MODEL_INFO_INIT does this         */
    const char *family;        /**< "vit", "deit", "dinov2", "dinov3", "eva02", "rope", "pe",
                                    "clip", "siglip", "beit", "aimv2", "internvit", "sapiens2",
                                    "tips"                                                      */
    const char *naming;        /**< "timm", "huggingface", "open_clip", "openai", "cn_clip", "meta",
                                    "google", "big_vision", "torchvision", "mmpretrain"         */
    const char *architecture;  /**< the name in the config; "" if the config has none           */
    const char *activation;    /**< "gelu", "gelu_tanh", "quick_gelu", "relu", "swiglu"         */
    const char *pooling;       /**< what the head reads: "token" (class token), "avg" (mean of
                                    the patches), "map" (attention of a learnt query),
                                    "token+avg" (class token, then mean, in one vector),
                                    "token+dist" (class and distillation token, each with its own
                                    head; the two outputs are averaged)                         */
    const char *weight_dtype;  /**< "F32", "F16", "BF16", "F64" or "mixed"                      */
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
    int units;                 /**< nonzero: a model without a classifier. Its K outputs are the
                                    components of an embedding, without names and probabilities */
    int registers;             /**< number of registers; registers are the last of the prefix
                                    tokens. The other prefix tokens are the class token and the
                                    distillation token, if there are any                        */
    int pos_height, pos_width; /**< grid of the file's position embeddings. If the input's grid
                                    is another, the embeddings are resampled                    */
    const char *pos_resample;  /**< how, by default: a name of vitx_pos_resample_name(). Static */
    vitx_outputs outputs;      /**< what the outputs are; never AUTO                            */
    vitx_source from_outputs;  /**< TENSORS: there is one output                                */
    const char *guesses;       /**< values that are assumed, because no tensor and no file has
                                    them (heads, activation, eps, how pictures are prepared), as
                                    text for people; "" if none. vitx_model_open() logs this text
                                    as one warning                                              */
    const char *wrapping;      /**< what training put around the names of the tensors, and is not
                                    read, as text for people: "model._orig_mod. before the names",
                                    "blocks in chunks"; "" if the names are the library's own   */
    const char *container;     /**< the form of the weights' file: "safetensors", "NumPy .npz",
                                    "PyTorch zip", "PyTorch before 1.6"; for a part of a PyTorch
                                    file with its key: "PyTorch zip, key state_dict"            */
    int rotary;                /**< nonzero: queries and keys of the patches are rotated by their
                                    place in the grid, for any grid. Then pos_height and pos_width
                                    may be 0: there are no position embeddings                  */
    const char *classifier;    /**< name in the file of the classifier's matrix, or of the matrix
                                    that makes the embedding; "" if there is none               */
    const char *left_out;      /**< tensors of the file that are not read, as text for people:
                                    "counters (n_averaged), the head of its training
                                    (head.mlp.0.weight and 7 more)"; "" if all are read         */
    const char *adapter;       /**< the adapter that is added to the weights, as text for people:
                                    "LoRA of rank 8, scale 2, on 24 matrices"; "" if none       */
    int pool_heads;            /**< heads of an attention-pooling head (pooling "map"); else 0   */
    const char *block;         /**< the steps of a block, as text for people: "norm - attention, 3
                                    heads of 64 - add - norm - mlp 768, gelu - add"             */
    const char *text;          /**< the text tower in the same files, as text for people: "CLIP: 12
                                    blocks, width 512, 77 tokens, 49408 ids"; of one that vitx does
                                    not run "not run: " and why; "" if there is none            */
} vitx_model_info;

#define VITX_MODEL_INFO_INIT VITX_SIZED(vitx_model_info)
VITX_API void vitx_model_info_init(vitx_model_info *out, size_t struct_size);

/** Fills `out` (its struct_size must be set). @return VITX_OK or VITX_INVALID. */
VITX_API int vitx_model_get_info(vitx_model_info *out, const vitx_model *model);

/**
 * The ways to resample position embeddings, each like in the library of that name. "timm": bicubic,
 * antialiased. "timm-npz": bilinear; timm's way for Google's .npz files. "hf": bicubic, a = -0.75,
 * not antialiased; transformers' interpolate_pos_encoding. "hf-registers": transformers' DINOv2
 * with registers, antialiased. "open_clip": bicubic, antialiased. "dinov2": Meta's, like hf but
 * with steps 1 / ((n + 0.1) / m). "dinov2-registers": Meta's with registers, antialiased. "jax":
 * bilinear with the corners in place, scipy.ndimage.zoom(order=1); big_vision. Ways with equal
 * descriptions give equal numbers.
 *
 * @return NULL past the last. Static; any thread.
 */
VITX_API const char *vitx_pos_resample_name(int index);

/** @return the name of class `index`, NULL if it has none. Lives as long as the model. */
VITX_API const char *vitx_model_label(const vitx_model *model, int index);

/** Bytes of vitx_model_digest()'s text, with the zero byte at its end. */
#define VITX_DIGEST_TEXT 65

/**
 * The SHA-256 of the weight file in 64 hexadecimal digits, like sha256sum and model hubs show it.
 * For weights in several files: the SHA-256 of the list that `sha256sum FILE..` prints for them in
 * the order of their names. The first call reads the files once; later calls do not. Any thread.
 *
 * @return VITX_OK, VITX_INVALID, VITX_IO (also: a file was written to after the model was opened)
 */
VITX_API int vitx_model_digest(char out[VITX_DIGEST_TEXT], vitx_model *model);

/**
 * Finds a class by its number in decimal, its whole name, or one of the comma-separated parts of
 * its name ("tench" in "tench, Tinca tinca"); letter case of ASCII is ignored.
 *
 * @return VITX_OK, or VITX_INVALID if none or more than one class matches (the message says which)
 *         or the number is not below the number of classes
 */
VITX_API int vitx_model_find_label(int *out_index, const vitx_model *model, const char *text);

#ifdef __cplusplus
}
#endif
#endif
