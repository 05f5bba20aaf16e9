/* cli/common.c: the options of every command. */
#include "options.h"

static const char *const fits[] = {"recipe", "squash", "crop",
                                   "pad",    "keep",   NULL};               /* as vitx_fit */
static const char *const gradients[] = {"auto", "keep", "recompute", NULL}; /* as vitx_gradients */

static const char *const outputs[] = {"auto", "softmax", "sigmoid", "none",
                                      NULL}; /* as vitx_outputs */

const struct option common_options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, model),
     .value = "MODEL",
     .path = true,
     .help = "model's folder or weight file (default: the bundled one)",
     .more =
         "The bundled model is a small ViT of drawn scenes; vitx-cli info tells its path. A "
         "folder holds\n"
         "model.safetensors (or shards with their index, or pytorch_model.bin, or one weight file "
         "of any name:\n"
         ".safetensors, .npz, .pth, .pt, .bin, .ckpt), config.json and perhaps "
         "preprocessor_config.json or\n"
         "processor_config.json. PyTorch's files are read as data; nothing in them is run."},
    {.name = "weights-key",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, weights_key),
     .value = "KEY",
     .help = "which network of a PyTorch file that holds several, like state_dict_ema",
     .more = "KEY is that of a dictionary; ema.model is model in ema, and . the file's own "
             "dictionary. If there\n"
             "are several and no KEY, the message lists them."},
    {.name = "labels",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, labels),
     .value = "FILE",
     .path = true,
     .help = "class names: one per line, or JSON",
     .more = "JSON is an array of names, an object from index to name or from name to index, or a "
             "config.json\n"
             "of Hugging Face. Default: the model's config.json. For classify, batch and serve the "
             "lines may also be texts."},
    {.name = "text-model",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, words.model),
     .value = "MODEL",
     .path = true,
     .help = "folder or file of the text tower, if it lies apart (default: the model's own)"},
    {.name = "tokenizer",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, words.tokenizer),
     .value = "FOLDER",
     .path = true,
     .help = "folder of the tokenizer's files (default: that of the text tower)"},
    {.name = "clean-text",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, words.clean),
     .value = "none|whitespace|lower|canonicalize|siglip|siglip2",
     .help = "what is done to texts before the tokenizer (default: what the model's library does)"},
    {.name = "lang",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, language),
     .value = "LANG",
     .help = "class names in a language, like zh or en (default: the model's)",
     .more = "Names come from the file labels.LANG.txt next to the weights, one name per line. en "
             "without such a\n"
             "file: the model's own names. A page of explain speaks the language, too, if that is "
             "en or zh; then\n"
             "a model without such a file, or --labels, keeps its names. auto: as without --lang."},
    {.name = "outputs",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct common, outputs),
     .value = "auto|softmax|sigmoid|none",
     .choices = outputs,
     .help = "what the model's outputs are (default: what its files say)",
     .more = "softmax: one choice among the classes. sigmoid: each output is a separate yes or no. "
             "none: plain\n"
             "numbers. auto: problem_type of config.json, else softmax, or sigmoid if there is one "
             "output."},
    {.name = "heads",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, heads),
     .value = "N",
     .low = 1,
     .high = 65536,
     .help = "attention heads of the model (default: what its files say)"},
    {.name = "ignore",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, ignore),
     .value = "PATTERN",
     .help = "tensors of the weight file to leave out, like 'head.mlp.*'",
     .more = "* stands for any characters, ? for one; commas separate patterns. Only for tensors "
             "that do not\n"
             "change the answer. What no model needs, like counters, is left out without it; "
             "vitx-cli info\n"
             "says what."},
    {.name = "device",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, device),
     .value = "NAME",
     .help = "device to run on: cpu, cuda, cuda:1, ref or auto: cuda if there is one, else cpu "
             "(default cpu)",
     .more =
         "cuda is a GPU, cuda:1 the second one. vitx-cli info lists the devices that this machine "
         "has, and says why\n"
         "it has not the others. ref is the definition of every operation: slow."},
    {.name = "precision",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, precision),
     .value = "NAME",
     .help = "arithmetic of the products: f32, bf16x3, bf16, int8 or auto (default f32)",
     .more = "bf16x3 keeps the tolerance of f32 (1e-4 of the largest logit); bf16 is off by about "
             "1e-2, with half "
             "the memory for weights; int8 by a few 1e-2, with a quarter of the memory. auto: the "
             "fastest here that "
             "keeps the tolerance of f32. cuda has f16, and no int8. vitx-cli info says which of "
             "them this machine has instructions for."},
    {.name = "threads",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, threads),
     .value = "N",
     .low = 0,
     .high = 256,
     .help = "worker threads (default 0: one for each processor that may be used)"},
    {.name = "batch",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, batch),
     .value = "B",
     .low = 1,
     .high = 1024,
     .help = "pictures that run at once (default 1)",
     .more = "explain also draws the maps of a batch at once, with as many threads as there are."},
    {.name = "lanes",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, lanes),
     .value = "N",
     .low = 1,
     .high = 256,
     .word = "auto",
     .word_value = 0,
     .help = "batches that are worked on side by side, each with its share of the threads "
             "(default: auto)",
     .more = "auto takes as many as there are threads, if there are enough pictures and memory "
             "enough, and two on a GPU.\n"
             "Only classify, embed and explain have more than one. Several batches are read beside "
             "the network\n"
             "in any case."},
    {.name = "fit",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct common, fit),
     .value = "recipe|squash|crop|pad|keep",
     .choices = fits,
     .help = "how a picture is brought to the input size (default recipe; bench: squash)",
     .more =
         "recipe does what the model's files say. squash resizes the whole picture to the input's "
         "size; a\n"
         "picture of that size is not changed. crop resizes in proportion until the picture "
         "covers the input\n"
         "and cuts off the rest. pad resizes until the picture fits and fills the rest with the "
         "recipe's\n"
         "mean colour. keep makes the input as large as the picture, with sides rounded to whole "
         "patches;\n"
         "with --size, as large as fits within that size."},
    {.name = "size",
     .kind = OPTION_SIZE,
     .offset = offsetof(struct common, size),
     .value = "S|HxW",
     .help = "pixels of the model's input, multiples of its patch (default: the model's own)",
     .more =
         "S stands for SxS. Position embeddings are resampled, and the recipe's resize size grows "
         "with the\n"
         "input. vitx-cli info -m MODEL --size S says what this takes."},
    {.name = "pos-resample",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, pos_resample),
     .value = "NAME",
     .help = "whose way to resample position embeddings (default: that of the model's library)",
     .more = "timm, timm-npz, hf, hf-registers, hf-naflex, open_clip, dinov2, dinov2-registers or "
             "jax."},
    {.name = "max-tokens",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, max_tokens),
     .value = "N",
     .low = 1,
     .high = 65536,
     .help = "limit for the tokens of one picture (default 16384)"},
    {.name = "max-patches",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, max_patches),
     .value = "N",
     .low = 1,
     .high = 65536,
     .help = "patches that a picture becomes at most (default: the recipe's, often 256)",
     .more = "Only for models that take pictures of any shape (SigLIP 2 NaFlex)."},
    {.name = "max-pixels",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, max_pixels),
     .value = "N",
     .low = 1,
     .high = 2147483647,
     .help = "limit for the pixels of one picture (default 178956970)",
     .more = "Larger pictures are refused before they are decoded."},
    {.name = "allow-truncated",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct common, allow_truncated),
     .help = "reads truncated JPEG and PNG files, with a warning",
     .more = "The missing part is grey in a JPEG, black in a PNG."},
    {.name = "window",
     .kind = OPTION_WINDOW,
     .offset = offsetof(struct common, window),
     .value = "LOW,HIGH",
     .help = "samples of 16 bits or float: LOW becomes black, HIGH white",
     .more =
         "In the file's own numbers, for PNG, TIFF and PNM; values between are spread evenly. "
         "Without it,\n"
         "16 bits keep their high byte, and other samples are spread from the picture's least to "
         "its greatest,\n"
         "with a warning."},
    {.name = "page",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, page),
     .value = "N",
     .low = 1,
     .high = 65535,
     .help = "which picture of a TIFF with several pages (default 1)"},
    {.name = "memory",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct common, memory),
     .value = "BYTES",
     .help = "memory for activations, of variants too (default: the machine's)"},
    {.name = "budget",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct common, budget),
     .value = "BYTES",
     .help = "memory for recordings and gradients, like 500M (default 1G)",
     .more = "K, M and G stand for 1024, 1024^2 and 1024^3. Work that needs more is refused. "
             "Gradients are faster if there is room for transposed weights, too."},
    {.name = "gradients",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct common, gradients),
     .value = "auto|keep|recompute",
     .choices = gradients,
     .help = "activations for gradients: kept, or computed again (default auto)",
     .more =
         "keep takes memory within --budget; recompute takes a tenth of that memory and one more "
         "forward.\n"
         "auto keeps if there is room."},
    {.name = "quiet",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct common, quiet),
     .help = "no progress, no warnings, no list of written files"},
    {.name = "verbose",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct common, verbose),
     .help = "what the library has to say, on standard error"},
};

const int common_option_count = (int)(sizeof common_options / sizeof common_options[0]);
