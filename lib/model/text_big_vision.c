/*
 * model/text_big_vision.c: the text tower of Google's SigLIP and SigLIP 2 in the .npz files that
 * Google released (google-research/big_vision@0127fb6: models/proj/image_text/two_towers.py and
 * text_transformer.py; configs/proj/image_text/SigLIP_demo.ipynb, SigLIP2_demo.ipynb). Its names
 * and shapes are in naming_google.c.
 *
 * No configuration lies beside them. What SigLIP's code says holds: Flax's GELU, which is the tanh
 * approximation, pads that are attended to, the last of which is read. Files without a bias are of
 * other towers (LiT), of which nothing tells which token is read. Some files have "params/" before
 * their names, others do not.
 */
#include "model/text_kinds.h"

#define ROOT "params/" /* before all names, or nothing is */
#define GEMMA 256000   /* rows of the table of tokens in SigLIP 2; SigLIP has 32,000 or 250,000 */

static const char *const prefixes[] = {ROOT "txt/", NULL};
static const char *const bare_prefixes[] = {"txt/", NULL};

/* By the tokenizer's files, as transformers does; a table of Gemma's size tells it by itself, since
 * those may lie elsewhere. Punctuation of SigLIP's texts goes as in big_vision's own evaluation
 * (prompt_engineering.py: canonicalize_text). */
static int read_tokenizer(vx_text_rules *rules, const vx_text_files *files)
{
    const vx_tensor *tokens = vx_container_find(files->container, ROOT VX_BIG_VISION_TOKENS);
    if (!tokens)
        tokens = vx_container_find(files->container, VX_BIG_VISION_TOKENS);
    VX_TRY(vx_text_read_siglip(rules, files));
    if (tokens && tokens->rank == 2 && tokens->shape[0] >= GEMMA) {
        rules->clean = VX_CLEAN_SIGLIP2;
        rules->pad = 0;
    } else if (rules->clean == VX_CLEAN_SIGLIP) {
        rules->clean = VX_CLEAN_CANONICALIZE;
    }
    return VITX_OK;
}

static int read(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    if (!vx_container_find(files->container, ROOT "b") && !vx_container_find(files->container, "b"))
        return vx_fail_in(VITX_UNSUPPORTED, files->container->path,
                          "its text tower is big_vision's, but without a bias of the logits "
                          "(params/b) it is not SigLIP's: nothing says which of its tokens is "
                          "read");
    rules->kind = "SigLIP";
    rules->where = VX_TEXT_LAST;
    rules->sigmoid = true;
    hints->eps = 1e-6;
    hints->act = VX_ACT_GELU_TANH;
    return read_tokenizer(rules, files);
}

const vx_text_kind vx_text_kind_big_vision = {.family = {.name = "siglip"},
                                              .naming = &vx_naming_big_vision_texts,
                                              .prefixes = prefixes,
                                              .scale = ROOT "t",
                                              .bias = ROOT "b",
                                              .read = read};

const vx_text_kind vx_text_kind_big_vision_bare = {.family = {.name = "siglip"},
                                                   .naming = &vx_naming_big_vision_texts,
                                                   .prefixes = bare_prefixes,
                                                   .scale = "t",
                                                   .bias = "b",
                                                   .read = read};
