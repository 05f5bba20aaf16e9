/*
 * explain/gem.c: GEM, the Grounding Everything Module (Bousselham et al. 2024, section 3).
 *
 * A second stream beside the last blocks, without perceptrons. In each block, of the q, k and v of
 * the first stream, head by head (E: their width; unit(x): rows of length 1):
 *
 *     u = unit(x);  A_x = softmax(t y y^T),  y = unit(softmax(t u u^T) u),  for x in {v, k, q}
 *     second += W_o (A_v v + A_k v + A_q v) / 3;  t = mean over tokens of |norm1| / sqrt(E)
 *     map_p = score of head(norm(second_p))
 *
 * It begins as the input of the first of these blocks. The score of a text or another vector is the
 * raw cosine; of a model with classes it is what the classifier answers to the patch. q and k are
 * taken before norms and rotations of theirs, which the paper's models do not have.
 *
 * As in WalBouss/GEM @ 5fa677c (gem_utils.py, gem_wrapper.py; ss_attn_iter 1), which enlarges the
 * map and scales it to 0..1. Its depth=7 is 6 blocks.
 */
#include <math.h>

#include "explain/dense.h"

typedef struct settings {
    int blocks;
} settings;

static double sharpness(const vx_arch *arch, const float *norm1)
{
    const int tokens = vx_arch_tokens(arch), width = arch->width;
    double sum = 0;
    for (int t = 0; t < tokens; t++) {
        double square = 0;
        for (int c = 0; c < width; c++)
            square += (double)norm1[t * width + c] * (double)norm1[t * width + c];
        sum += sqrt(square);
    }
    return sum / tokens / sqrt((double)arch->head_width);
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_blocks(&set->blocks, job));
    return vx_dense_prepare(job, need, set->blocks, sharpness);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    return vx_dense_run(job, i, map, set->blocks, sharpness, NULL);
}

static const vitx_method_option options[] = {VX_OPTION_BLOCKS};

const vx_method vx_method_gem = {
    .name = "gem",
    .summary = "the head's answer to each patch, mixed by what is alike in a second stream",
    .cost = "1 forward, and the attention of the last blocks six times",
    .reference = "Bousselham et al. 2024, Grounding Everything",
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
