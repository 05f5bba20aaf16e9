/*
 * model/text.h: the text tower in a model's files, as a model of its own.
 *
 * A text tower is a vx_arch like any other, but for its front: arch.vocabulary is above 0, and the
 * input of a text of T tokens is [T,D], the rows of the token table with the positions' added
 * (vx_text_row). Its outputs are the embedding [K] that it shares with the picture tower; the
 * engine divides nothing by a length. vitx_model.text has what no vx_arch has.
 *
 *      kinds    transformers' CLIPModel, CLIPTextModel[WithProjection], SiglipModel (also siglip2,
 *               whose text tower is the same), ChineseCLIPModel, AltCLIPModel, MetaClip2Model;
 *               OpenAI's and open_clip's CLIP, open_clip's custom text; cn_clip's; SigLIP in
 *               big_vision's archives
 *
 * Whatever the files ask for that is not done here is refused by its name.
 */
#ifndef VX_MODEL_TEXT_H
#define VX_MODEL_TEXT_H

#include <vitx/model.h>

#include "model/container.h"
#include "text/tokenizer.h"

typedef struct vitx_model vx_text_model; /* one whose arch.vocabulary is above 0 */

/* Where the row of a text lies that becomes its embedding. */
typedef enum vx_text_end {
    VX_TEXT_FIRST = 0, /* the first token: BERT's [CLS] */
    VX_TEXT_LAST,      /* the last of `context` tokens, filled up with `pad`: SigLIP */
    VX_TEXT_ID,        /* the first token that is `end` */
    VX_TEXT_LARGEST    /* the first token of the largest id */
} vx_text_end;

/* What the tower's files say beside its arch. */
typedef struct vx_text_rules {
    const char *kind; /* "CLIP", "SigLIP", "Chinese-CLIP", "AltCLIP", "MetaCLIP 2" */
    int context;      /* the most tokens of a text: arch.grid_width is the same */
    vx_text_end where;
    int end;        /* of VX_TEXT_ID */
    int pad;        /* of VX_TEXT_LAST; -1: what the tokenizer says */
    vx_clean clean; /* what the tokenizer does first */
    float scale;    /* exp(logit_scale); 1 if the files have none */
    float bias;     /* logit_bias; 0 if the files have none */
    bool sigmoid;   /* each label by itself (SigLIP); else the softmax over labels */
    const vx_tensor *tokens, *positions, *types; /* [V,D], [>= context,D], [>= 1,D] or NULL */
    int first_position;        /* the row of `positions` that token 0 has: 2 in AltCLIP */
    struct vx_text_rows *rows; /* text_rows.h */
    char *folder;              /* where the tokenizer's files lie */
} vx_text_rules;

/*
 * Opens the text tower in the files at `path` (as vitx_model_open finds them; opts: hooks, files,
 * weights_key, heads, ignore). VITX_UNSUPPORTED: there is none (the message says what there is: "a
 * timm file holds the picture half only"), or one that is not run; VITX_FORMAT, VITX_IO,
 * VITX_NOMEM. Free it with vitx_model_free().
 */
int vx_text_open(vx_text_model **out, const char *path, const vitx_model_opts *opts);

/* How many of a text's tokens are run: up to the row that is read. What stands behind the end
 * token of a causal tower cannot change the answer, and neither can pads that are masked. With
 * VX_TEXT_LAST it is `context`, whatever n is. VITX_INVALID: no end token is there. */
int vx_text_length(int *out, const vx_text_model *m, const vx_token *tokens, int n);

/* The input row [D] of a token at a place of a text: token table + positions [+ types]. Reads the
 * table where it lies in the file, no more of it than the row, and keeps some megabytes of such
 * rows. VITX_INVALID: an id beyond the table. Any thread. */
int vx_text_row(float *row, const vx_text_model *m, int id, int place);

#endif
