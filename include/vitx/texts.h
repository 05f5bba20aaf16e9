/*
 * vitx/texts.h: words. The text tower of a model that was trained on pictures and texts (CLIP,
 * SigLIP, Chinese-CLIP, ...): embeddings of texts, and classes that are texts.
 *
 *     vitx_texts_create(&texts, model, NULL);
 *     vitx_label_set_create(&labels, texts, (const char *const[]){"a cat", "一只狗"}, 2, NULL);
 *     vitx_classify_texts(context, &image, 1, labels, top, 2);
 *
 * Both towers give vectors of one length, and the score of a picture and a text is their cosine.
 * The picture's vector is that of vitx_embed(). vitx_explain_opts.text explains a text's score, and
 * vitx_explain_words() says which of its words carried it.
 *
 * All texts are UTF-8 and end with a zero byte. A byte that is no UTF-8 counts as U+FFFD. A text
 * that is longer than the tower reads is cut at its end, like in the tower's own library.
 */
#ifndef VITX_TEXTS_H
#define VITX_TEXTS_H

#include <vitx/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A text tower at work, with its tokenizer. Any thread may call it: calls on one handle wait for
 * each other, and one with many texts lets others in between. It keeps the vectors of texts that
 * were explained, up to 16 MiB.
 */
typedef struct vitx_texts vitx_texts;

typedef struct vitx_texts_opts {
    size_t struct_size;
    const char *path;      /**< folder or weight file with the text tower, if it lies apart from the
                                picture tower; NULL: the model's own path                       */
    const char *tokenizer; /**< folder of the tokenizer's files (tokenizer.json, vocab.txt,
                                spiece.model ..: docs/text.md); NULL: the folder of the text
                                tower                                                           */
    const char *clean;     /**< what is done to a text before the tokenizer's own rules: "none",
                                "whitespace", "lower", "canonicalize" (open_clip's names),
                                "siglip", "siglip2" (transformers'). NULL: what the library does
                                that the files come from                                        */
    const vitx_context_opts *context; /**< device, precision, threads, trace_budget,
                                memory_budget, gradients and progress of the text tower; its other
                                members are not read. NULL: defaults                            */
    const vitx_memory_file *files; /**< [file_count]: the files of the text tower and of its
                                tokenizer, in memory, as in vitx_model_opts: nothing but a folder
                                in `tokenizer` is read from the disk then. The array may go after
                                the call; the data of weight files must stay as it is until the
                                text tower is freed. Needed, with path NULL, if the model's own
                                files were in memory. NULL: files on the disk                   */
    int file_count;        /**< 1 to 1024 with `files`, else 0                                  */
    int heads;             /**< attention heads of the text tower, if no file says how many, or a
                                file is wrong; 0: what the files say                            */
} vitx_texts_opts;

#define VITX_TEXTS_OPTS_INIT { sizeof(vitx_texts_opts), NULL, NULL, NULL, NULL, NULL, 0, 0 }
VITX_API void vitx_texts_opts_init(vitx_texts_opts *out, size_t struct_size);

/**
 * Opens the text tower that belongs to a model. Its weights are read now, but for the table of
 * tokens: of that one only the rows of the tokens at hand are ever read. At the model's own path
 * the `weights_key` and `ignore` with which the model was opened hold for the text tower, too;
 * `heads` do not, since the towers may differ in them.
 *
 * @param out    free it with vitx_texts_free()
 * @param model  an opened picture tower whose outputs are an embedding; may be freed before
 * @return VITX_OK, VITX_UNSUPPORTED (the files hold no text tower, or one that vitx does not run:
 *         the message says which; the towers' vectors differ in length), VITX_IO (no tokenizer),
 *         VITX_FORMAT, VITX_INVALID (also: the model's files were in memory, and `files` has
 *         none), VITX_NOMEM, VITX_DEVICE
 */
VITX_API int vitx_texts_create(vitx_texts **out, vitx_model *model, const vitx_texts_opts *opts);
VITX_API void vitx_texts_free(vitx_texts *texts);

/** What a text tower is. Strings live as long as the handle. */
typedef struct vitx_texts_info {
    size_t struct_size;
    const char *kind;      /**< "CLIP", "SigLIP", "Chinese-CLIP", "AltCLIP", "MetaCLIP 2"       */
    const char *tokenizer; /**< "tokenizer.json (BPE, 49408 ids)"                               */
    int depth, width, heads;
    int context;           /**< the most tokens of a text, added ones among them                */
    int vocabulary;        /**< rows of the table of tokens                                     */
    int units;             /**< K: numbers of a vector                                          */
    float scale, bias;     /**< the logit of a picture and a text is scale * cosine + bias      */
    vitx_outputs outputs;  /**< SOFTMAX: one of the labels fits; SIGMOID: each label by itself, so
                                that none may fit                                               */
    int64_t parameters;
    int64_t weight_bytes;  /**< in the file                                                     */
} vitx_texts_info;

#define VITX_TEXTS_INFO_INIT VITX_SIZED(vitx_texts_info)
VITX_API void vitx_texts_info_init(vitx_texts_info *out, size_t struct_size);
VITX_API int vitx_texts_get_info(vitx_texts_info *out, const vitx_texts *texts);

/** A token of a text. */
typedef struct vitx_text_token {
    int id;
    size_t start, end; /**< bytes of the text that it stands for; equal: it was added           */
} vitx_text_token;

/**
 * The tokens of a text, with those that are added at its ends; none that fill it up.
 *
 * @param out    [room]: as many as there is room for; NULL with room 0
 * @param count  how many there are
 * @param cut    nonzero: the text was too long, and its end is left out; may be NULL
 * @return VITX_OK, VITX_INVALID (more than 16 MiB of text), VITX_NOMEM
 */
VITX_API int vitx_texts_tokens(vitx_text_token *out, int room, int *count, int *cut,
                               vitx_texts *texts, const char *text);

/**
 * The vectors of n texts: what the model's own library returns for them.
 *
 * @param out        [n, K], where K is vitx_texts_info.units
 * @param n          at least 1
 * @param normalize  nonzero: each is divided by its Euclidean length
 * @return VITX_OK, VITX_INVALID, VITX_FORMAT (a NaN or an infinity), VITX_NOMEM, VITX_CANCELLED,
 *         VITX_DEVICE
 */
VITX_API int vitx_texts_embed(float *out, vitx_texts *texts, const char *const *list, int n,
                              int normalize);

/**
 * A digest of what the vectors of n texts depend on: the tower's weights, what its files say beside
 * them, the device and precision, and the texts in their order with their tokens. Equal digests:
 * equal vectors, but for rounding that depends on the processor and the number of threads. The
 * first call reads the weight files once, unless the tower lies in the files of the model and that
 * one's digest was known (vitx_model_digest) when the tower was opened; no text is run.
 *
 * @param n  at least 1
 * @return VITX_OK, VITX_INVALID, VITX_IO (also: a file was written to after it was opened),
 *         VITX_FORMAT, VITX_NOMEM
 */
VITX_API int vitx_texts_digest(char out[VITX_DIGEST_TEXT], vitx_texts *texts,
                               const char *const *list, int n);

/* ------------------------------------------------------------------ labels ----------------- */

/** Classes that are texts. Immutable: any thread may read it. Independent of the tower. */
typedef struct vitx_label_set vitx_label_set;

typedef struct vitx_label_set_opts {
    size_t struct_size;
    const char *const *templates; /**< [template_count] sentences in which "{}" stands for the
                                label. The vector of a label is the mean over all of them, each of
                                length 1, divided by its length. NULL: the label as it stands   */
    int template_count;    /**< 0 with NULL; at most 10,000                                     */
    const char *cache;     /**< a file that keeps the vectors. If it has those of the same texts, of
                                the same weights, they are read; else it is written. A file that
                                cannot be written is a warning in the log, one that holds
                                something else is VITX_INVALID. NULL: none                      */
} vitx_label_set_opts;

#define VITX_LABEL_SET_OPTS_INIT { sizeof(vitx_label_set_opts), NULL, 0, NULL }
VITX_API void vitx_label_set_opts_init(vitx_label_set_opts *out, size_t struct_size);

/**
 * @param out     free it with vitx_label_set_free()
 * @param labels  [n], copied; each at least one character that is no space
 * @param n       1 to 1,000,000
 * @return like vitx_texts_embed(); VITX_INVALID also: an empty label, a template without "{}",
 *         more than 2^31 bytes of texts
 */
VITX_API int vitx_label_set_create(vitx_label_set **out, vitx_texts *texts,
                                   const char *const *labels, int n,
                                   const vitx_label_set_opts *opts);
VITX_API void vitx_label_set_free(vitx_label_set *set);

/** What a set holds. */
typedef struct vitx_label_set_info {
    size_t struct_size;
    int count;             /**< labels                                                          */
    int units;             /**< K: numbers of a vector                                          */
    int templates;         /**< 0: labels as they stand                                         */
    int cut;               /**< texts that were too long for the tower, and lost their ends     */
    int cached;            /**< nonzero: the vectors were read from the cache                   */
    float scale, bias;     /**< of vitx_texts_info                                              */
    vitx_outputs outputs;
} vitx_label_set_info;

#define VITX_LABEL_SET_INFO_INIT VITX_SIZED(vitx_label_set_info)
VITX_API void vitx_label_set_info_init(vitx_label_set_info *out, size_t struct_size);
VITX_API int vitx_label_set_get_info(vitx_label_set_info *out, const vitx_label_set *set);

/** @return label `index` as it was given, NULL if there is none. Lives as long as the set. */
VITX_API const char *vitx_label_set_label(const vitx_label_set *set, int index);
/** @return the vectors [count, K], each of length 1; they live as long as the set. */
VITX_API const float *vitx_label_set_vectors(const vitx_label_set *set);

/**
 * The best labels for n pictures: a forward pass of the picture tower, and count x K
 * multiplications.
 *
 * @param context  of a model whose vectors have the labels' length
 * @param top      [n, k], best first: index and label of the set, logit = scale * cosine + bias,
 *                 probability by vitx_label_set_info.outputs; entries beyond the labels get index
 *                 -1. Labels live as long as the set
 * @return like vitx_embed_batch(); VITX_INVALID also: vectors of another length
 */
VITX_API int vitx_classify_texts(vitx_context *context, const vitx_image *const *images, int n,
                                 const vitx_label_set *set, vitx_prediction *top, int k);
/**
 * The same for one vector that the program has already, of any length.
 *
 * @param vector  [K] of vitx_embed()
 * @return VITX_OK, VITX_INVALID (also: a number of the vector that is not finite), VITX_NOMEM
 */
VITX_API int vitx_label_set_rank(vitx_prediction *top, int k, const vitx_label_set *set,
                                 const float *vector);

/* ------------------------------------------------------------------ very many vectors ------ */

/*
 * Exact search, in the calling thread: memory is read once, and nothing is allocated. Cosines come
 * of vectors of length 1 (vitx_embed_batch() and vitx_texts_embed() with `normalize`). Past a
 * million vectors an index of another library is faster, which misses some: docs/search.md.
 */

/**
 * score[i] = vectors[i,:] . query, summed in single precision.
 *
 * @param vectors  [n, units]
 * @param query    [units]
 * @return VITX_OK, VITX_INVALID
 */
VITX_API int vitx_similarities(float *score, const float *vectors, int64_t n, int units,
                               const float *query);

/**
 * The k vectors of n that have the greatest scores with a query, best first, of equal ones the
 * earlier. A score that is no number is below all others, and its vector is left out.
 *
 * @param index  [k]: their places; -1 behind the last one
 * @param score  [k]: 0 where index is -1
 * @param k      at least 1
 * @param n      may be 0
 * @return VITX_OK, VITX_INVALID
 */
VITX_API int vitx_nearest(int64_t *index, float *score, int k, const float *vectors, int64_t n,
                          int units, const float *query);

/**
 * The same for vectors that come in several parts: index and score hold the best of the parts
 * before, best first, and index -1 behind them (before the first part: everywhere).
 *
 * @param ids  [n]: what stands in `index` for each vector, from 0 on; a vector whose id is below 0
 *             is left out. Of equal scores the one that came earlier is the better
 */
VITX_API int vitx_nearest_more(int64_t *index, float *score, int k, const float *vectors, int64_t n,
                               int units, const float *query, const int64_t *ids);

#ifdef __cplusplus
}
#endif
#endif
