/*
 * model/head.c: see head.h.
 *
 * Google's files for fine-tuning have such heads, and so has a network that was given a new number
 * of classes with zeros to begin with.
 */
#include "model/head.h"

#define PIECE 4096 /* weights read at once */

static int is_zero(bool *out, const vx_tensor *t)
{
    float piece[PIECE];
    for (uint64_t at = 0; at < t->count; at += PIECE) {
        const uint64_t left = t->count - at, n = left < PIECE ? left : PIECE;
        VX_TRY(vx_tensor_read_f32(t, piece, at, n));
        for (uint64_t i = 0; i < n; i++)
            if (piece[i] != 0) {
                *out = false;
                return VITX_OK;
            }
    }
    *out = true;
    return VITX_OK;
}

int vx_head_check(const vitx_model *model)
{
    static const vx_role roles[] = {VX_HEAD_W, VX_HEAD_T, VX_HEAD2_W};
    const vx_tensor *first = NULL;
    bool zero = true;
    if (model->arch.units)
        return VITX_OK;
    for (int i = 0; i < 3 && zero; i++) {
        const vx_tensor *t = model->found.model[roles[i]];
        if (!t)
            continue;
        first = first ? first : t;
        VX_TRY(is_zero(&zero, t));
    }
    if (first && zero)
        vx_log(
            &model->hooks, VITX_LOG_WARNING,
            "%s: all weights of its classifier are 0 (tensor %.100s): it gives every picture the "
            "same answer, and there is nothing to explain; with \"num_classes\": 0 in a "
            "config.json of timm's kind its embedding is the answer",
            model->path, first->name);
    return VITX_OK;
}
