/*
 * explain/maskclip.c: MaskCLIP (Zhou, Loy & Dai 2022, section 3.2): where no token of the last
 * block attends to another, each patch has an answer of its own.
 *
 *     v = W_o (W_v norm1(x));  y = x + v;  y = y + mlp(norm2(y));  map_p = score of head(norm(y_p))
 *
 * residual=drop: y = v. x are the tokens before the last block, the score of a text or another
 * vector is the raw cosine. Where the head pools by attention, that attention is the last one:
 * map_p is the head's answer to the value of patch p alone, as the authors take it of their
 * ResNets, and there is no residual to drop. Of a model with classes the score is what the
 * classifier answers to the patch.
 *
 * A text among others, t_0 and t_1 .. t_n, may be refined. s_pc is the cosine of patch p and t_c:
 *
 *     denoise=d: s_pc = -100 for all p where max_p softmax_c(scale s_p)_c < d
 *     smooth=s:  q_p = softmax(scale s_p);  map_p = q_p0, or where max_c q_pc < s,
 *                map_p = sum_r w_pr q_r0,  w = K K^T
 *
 * K are the keys W_o (W_k norm1(x)) of the patches (of a pooling head its own keys). Each channel
 * has length 1 over the patches (keys=channels), as the authors' code has it; or each patch's key
 * has, so that w are cosines (keys=patches).
 *
 * As in chongzhou96/MaskCLIP @ 245d31f (mmseg/models/backbones/vit.py, decode_heads/
 * maskclip_head.py), which keeps residual and perceptron. Its settings of eps, activation and means
 * are not the model's; vitx takes the model's own, and the model's scale, which is their 100 for
 * CLIP.
 */
#include <math.h>

#include "explain/dense.h"

typedef struct settings {
    bool residual, by_patches;
    double denoise, smooth; /* 0: not */
} settings;

static int check_among(const vx_job *job)
{
    static const char compares[] = "compares the cosines of a text and others";
    const settings *set = job->settings;
    const char *const which = set->denoise > 0 ? "denoise" : "smooth";
    if (!job->similarity.among && !job->opts.among_later)
        return vx_fail_field(VITX_INVALID, "among",
                             "maskclip: %s %s, and no texts to be told from are given: see among",
                             which, compares);
    if (job->score != VITX_SCORE_COSINE)
        return vx_fail(VITX_INVALID, "maskclip: %s %s, and the score is another", which, compares);
    return VITX_OK;
}

static int read_settings(settings *set, vx_job *job)
{
    int residual, keys;
    VX_TRY(vx_setting_choice(&residual, &job->given, "residual"));
    VX_TRY(vx_setting_number(&set->denoise, &job->given, "denoise", 0, 1));
    VX_TRY(vx_setting_number(&set->smooth, &job->given, "smooth", 0, 1));
    VX_TRY(vx_setting_choice(&keys, &job->given, "keys"));
    set->residual = residual == 0;
    set->by_patches = keys == 1;
    if (set->by_patches && set->smooth == 0)
        return vx_fail(VITX_INVALID,
                       "maskclip: keys=patches is for smooth, which is 0: it needs smooth=S, "
                       "above 0");
    if (set->denoise == 0 && set->smooth == 0) {
        job->similarity.among = false; /* the others are passed over, and the map says so */
        return VITX_OK;
    }
    return check_among(job);
}

static int prepare(vx_job *job, vx_plan *need)
{
    const int last = job->arch->depth - 1;
    VX_TRY(read_settings(job->settings, job));
    job->channels = true;
    if (job->arch->pool == VX_POOL_MAP) {
        vx_plan_need_tokens(need, last, VX_AT_OUTPUT);
        return VITX_OK;
    }
    vx_plan_need_tokens(need, last, VX_AT_NORM1);
    vx_plan_need_tokens(need, last, VX_AT_INPUT);
    return VITX_OK;
}

/* ------------------------------------------------------------------ a text among others ------ */

enum { OUT = -100 }; /* in place of the cosine of a text that is found nowhere */

/* What refining one map takes. P patches, C texts, the map's own first. */
typedef struct refined {
    const vx_job *job;
    int patches, texts;
    float *answers, *keys;      /* [P,classes], [P,D]: the latter counts with smooth */
    double *row;                /* [C] of one patch */
    double *most;               /* [C] the largest probability of each text */
    double *first, *best, *sum; /* [P], [P], [D] */
} refined;

static double cosine(const refined *r, int p, int text)
{
    const vx_similarity *s = &r->job->similarity;
    const size_t units = (size_t)r->job->arch->classes;
    const vx_target t = {.score = VITX_SCORE_COSINE,
                         .vector = text ? s->others + (size_t)(text - 1) * units : s->vector,
                         .count = (int)units};
    return vx_target_value(t, r->answers + (size_t)p * units, NULL);
}

static bool is_out(const refined *r, int text)
{
    const settings *set = r->job->settings;
    return r->most[text] < set->denoise;
}

/* row = the probabilities of the texts at patch p; of all if `whole`, else without those that are
 * found nowhere. */
static void softmax(const refined *r, int p, bool whole)
{
    const double scale = (double)r->job->similarity.scale;
    double max = -INFINITY, sum = 0;
    for (int c = 0; c < r->texts; c++) {
        r->row[c] = scale * (!whole && is_out(r, c) ? OUT : cosine(r, p, c));
        max = fmax(max, r->row[c]);
    }
    for (int c = 0; c < r->texts; c++) {
        r->row[c] = exp(r->row[c] - max);
        sum += r->row[c];
    }
    for (int c = 0; c < r->texts; c++)
        r->row[c] /= sum;
}

static void find_most(const refined *r)
{
    for (int p = 0; p < r->patches; p++) {
        softmax(r, p, true);
        for (int c = 0; c < r->texts; c++)
            r->most[c] = fmax(r->most[c], r->row[c]);
    }
}

/* 1 / the length of `count` numbers that lie `step` apart; of zeros it is 0. */
static double one_over_length(const float *x, int count, int step)
{
    double square = 0;
    for (int k = 0; k < count; k++)
        square += (double)x[(size_t)k * (size_t)step] * (double)x[(size_t)k * (size_t)step];
    return square > 0 ? 1 / sqrt(square) : 0;
}

static void scale_by(float *x, int count, int step, double factor)
{
    for (int k = 0; k < count; k++)
        x[(size_t)k * (size_t)step] = (float)((double)x[(size_t)k * (size_t)step] * factor);
}

static void scale_keys(const refined *r)
{
    const settings *set = r->job->settings;
    const int d = r->job->arch->width;
    const int lines = set->by_patches ? r->patches : d, count = set->by_patches ? d : r->patches;
    const int apart = set->by_patches ? d : 1, step = set->by_patches ? 1 : d;
    for (int i = 0; i < lines; i++) {
        float *line = r->keys + (size_t)i * (size_t)apart;
        scale_by(line, count, step, one_over_length(line, count, step));
    }
}

/* map = K (K^T first) where no text is sure, else first. */
static void smoothen(const refined *r, float *map)
{
    const settings *set = r->job->settings;
    const size_t d = (size_t)r->job->arch->width;
    scale_keys(r);
    for (int p = 0; p < r->patches; p++)
        for (size_t k = 0; k < d; k++)
            r->sum[k] += r->first[p] * (double)r->keys[(size_t)p * d + k];
    for (int p = 0; p < r->patches; p++) {
        double value = 0;
        for (size_t k = 0; k < d; k++)
            value += r->sum[k] * (double)r->keys[(size_t)p * d + k];
        map[p] = (float)(r->best[p] < set->smooth ? value : r->first[p]);
    }
}

static void find_first(const refined *r)
{
    for (int p = 0; p < r->patches; p++) {
        softmax(r, p, false);
        r->first[p] = r->row[0];
        for (int c = 0; c < r->texts; c++)
            r->best[p] = fmax(r->best[p], r->row[c]);
    }
}

static int fill(const refined *r, vitx_map *map, const vx_dense_of *of)
{
    const settings *set = r->job->settings;
    VX_TRY(vx_dense_answers(r->answers, r->job, of));
    if (set->denoise > 0)
        find_most(r);
    if (set->smooth > 0) {
        VX_TRY(vx_dense_keys(r->keys, r->job, of));
        find_first(r);
        smoothen(r, map->values);
    }
    for (int p = 0; p < r->patches; p++) {
        if (set->smooth == 0)
            map->values[p] = (float)(is_out(r, 0) ? OUT : cosine(r, p, 0));
        vx_map_saw(map, (double)map->values[p]);
    }
    return VITX_OK;
}

static int refine(const vx_job *job, vitx_map *map, const vx_dense_of *of)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix, texts = job->similarity.other_count + 1;
    const size_t p = (size_t)patches, c = (size_t)texts, d = (size_t)a->width;
    const vitx_hooks scratch = job->scratch;
    VX_TRY(check_among(job));
    refined r = {.job = job, .patches = patches, .texts = texts};
    VX_TRY(vx_new(&r.row, &scratch, 2 * c + 2 * p + d, sizeof *r.row, "probabilities of texts"));
    r.most = r.row + c;
    r.first = r.most + c;
    r.best = r.first + p;
    r.sum = r.best + p;
    int status = vx_new(&r.answers, &scratch, p * ((size_t)a->classes + (set->smooth > 0 ? d : 0)),
                        sizeof *r.answers, "answers to patches");
    if (status == VITX_OK) {
        r.keys = r.answers + p * (size_t)a->classes;
        status = fill(&r, map, of);
    }
    vx_release(&scratch, r.answers);
    vx_release(&scratch, r.row);
    return status;
}

/* ------------------------------------------------------------------ the method --------------- */

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const int last = job->arch->depth - 1;
    vx_dense_of of = {.residual = set->residual};
    if (job->arch->pool == VX_POOL_MAP) {
        of.x = vx_job_tokens(job, last, VX_AT_OUTPUT, i);
    } else {
        of.x = vx_job_tokens(job, last, VX_AT_INPUT, i);
        of.norm1 = vx_job_tokens(job, last, VX_AT_NORM1, i);
    }
    return set->denoise > 0 || set->smooth > 0 ? refine(job, map, &of)
                                               : vx_dense_map(job, map, &of);
}

static const vitx_method_option options[] = {
    {"residual", "keep", "keep|drop",
     "keep: the block's input and perceptron; drop: what its attention gives alone"},
    {"denoise", "0", "0 to 1",
     "with --among: a text that is nowhere as probable as that among the texts is not in the "
     "picture; 0: all are"},
    {"smooth", "0", "0 to 1",
     "with --among: the map is of probabilities, and patches where no text is as probable as that "
     "take those of patches with like keys; 0: the map is of cosines"},
    {"keys", "channels", "channels|patches",
     "with smooth: what has length 1, each channel of the keys, as in the authors' code, or each "
     "patch's key"},
};

const vx_method vx_method_maskclip = {
    .name = "maskclip",
    .summary = "the head's answer to each patch, if the last block mixes no tokens",
    .cost = "1 forward, and the last block's perceptron and the head for each patch",
    .reference = "Zhou, Loy & Dai 2022, Extract Free Dense Labels from CLIP",
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
