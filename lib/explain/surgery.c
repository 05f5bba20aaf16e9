/*
 * explain/surgery.c: CLIP Surgery (Li et al. 2023, sections 3.2 and 3.3).
 *
 * Architecture: a second stream beside the last blocks, without perceptrons, with attention of the
 * first stream's values to themselves, head by head (E: their width):
 *
 *     second += W_o softmax(v v^T / sqrt E) v;   map_p = score of head(norm(second_p))
 *
 * It begins as the input of the first of these blocks. The score of a text or another vector is the
 * raw cosine; of a model with classes it is what the classifier answers to the patch.
 *
 * Features: much of a patch's embedding is the same for every text. For one text t the paper takes
 * the empty text's share e away: with z_p the embedding of patch p, of length 1, map_p = z_p (t -
 * e), that is the cosine with t less the cosine with e. Without an empty text's vector
 * (vx_similarity.empty) the map is the cosine with t alone: differences between patches are right
 * only as far as e does not tell them apart. For several texts at once the paper has another
 * formula, which vitx does not.
 *
 * Written from the paper's formulas.
 */
#include "explain/dense.h"

typedef struct settings {
    int blocks;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_blocks(&set->blocks, job));
    return vx_dense_prepare(job, need, set->blocks, NULL);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const float *empty = job->score == VITX_SCORE_COSINE ? job->similarity.empty : NULL;
    return vx_dense_run(job, i, map, set->blocks, NULL, empty);
}

static const vitx_method_option options[] = {VX_OPTION_BLOCKS};

const vx_method vx_method_surgery = {
    .name = "surgery",
    .summary = "the head's answer to each patch, mixed by alike values in a second stream",
    .cost = "1 forward, and the attention of the last blocks once more",
    .reference = "Li et al. 2023, CLIP Surgery",
    .uses_target = true,
    .is_signed = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
