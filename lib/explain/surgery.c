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
 * Features: much of a patch's embedding is the same for every text. With z_p the embedding of patch
 * p, of length 1, map_p = z_p d. For one text t the paper takes the empty text's share e away: d =
 * t - e. For a text among others, t_0 and t_1 .. t_n, it takes their weighted mean away, where what
 * the whole picture z says more of counts more:
 *
 *     w = softmax_c(2 z t_c) (n + 1);  d = w_0 t_0 - sum_c w_c t_c / (n + 1)
 *
 * Without texts (vx_similarity.empty) d is the vector itself: differences between patches are right
 * only as far as e does not tell them apart.
 *
 * Written from the paper's formulas.
 */
#include <math.h>

#include "explain/dense.h"
#include "explain/score.h"

typedef struct settings {
    int blocks;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    VX_TRY(vx_setting_blocks(&set->blocks, job));
    return vx_dense_prepare(job, need, set->blocks, NULL);
}

enum { SHARPER = 2 };

/* Text c of the text itself and the others. */
static const float *text_at(const vx_similarity *s, int c, size_t units)
{
    return c ? s->others + (size_t)(c - 1) * units : s->vector;
}

/* d of a text among others. p [n+1] */
static void weigh(double *d, double *p, const vx_similarity *s, const float *z, int units)
{
    vx_target t = {.score = VITX_SCORE_COSINE, .count = units};
    const int n = s->other_count + 1;
    double sum = 0;
    for (int c = 0; c < n; c++) {
        t.vector = text_at(s, c, (size_t)units);
        p[c] = exp(SHARPER * vx_target_value(t, z, NULL));
        sum += p[c];
    }
    for (int c = 0; c < n; c++) {
        const float *text = text_at(s, c, (size_t)units);
        const double times = (n * (c == 0) - 1) * p[c] / sum;
        for (int k = 0; k < units; k++)
            d[k] += times * (double)text[k];
    }
}

/* d [units] of picture i, and room for what it is made of. */
static void direction(float *out, double *room, const vx_job *job, int i)
{
    const vx_similarity *s = &job->similarity;
    const int units = job->arch->classes;
    for (int k = 0; k < units; k++)
        room[k] = s->among ? 0 : (double)s->vector[k] - (double)s->empty[k];
    if (s->among)
        weigh(room, room + units, s, vx_job_outputs(job, i), units);
    for (int k = 0; k < units; k++)
        out[k] = (float)room[k];
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_similarity *s = &job->similarity;
    const size_t units = (size_t)job->arch->classes, texts = (size_t)s->other_count + 1;
    const vitx_hooks scratch = job->scratch;
    double *room;
    if (job->score != VITX_SCORE_COSINE || !s->empty)
        return vx_dense_run(job, i, map, set->blocks, NULL, NULL);
    VX_TRY(vx_new(&room, &scratch, 2 * units + texts, sizeof *room, "a text's direction"));
    float *with = (float *)(room + units + texts);
    direction(with, room, job, i);
    const int status = vx_dense_run(job, i, map, set->blocks, NULL, with);
    vx_release(&scratch, room);
    return status;
}

static const vitx_method_option options[] = {VX_OPTION_BLOCKS};

const vx_method vx_method_surgery = {
    .name = "surgery",
    .summary = "the head's answer to each patch, mixed by alike values in a second stream",
    .cost = "1 forward, and the attention of the last blocks once more",
    .reference = "Li et al. 2023, CLIP Surgery",
    .uses_target = true,
    .among = true,
    .is_signed = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
