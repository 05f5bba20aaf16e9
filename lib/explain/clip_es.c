/*
 * explain/clip_es.c: CLIP-ES (Lin et al. 2023, sections 3.2 and 3.4): Grad-CAM of a text, spread
 * by how patches attend to each other.
 *
 *     z = head(mean over patches of norm(x));  s = score of z;  g = d s / d a
 *     cam_p = max(0, sum_c w_c a[p,c]),  w_c = mean over patches of g[t,c],  a = norm1 of the last
 *     block
 *     S = mean over heads and the last `blocks` blocks of the attention, patches alone;  three
 *     times: columns of S divided by their sums, then rows;  M = (S + S^T) / 2
 *     map = M M (box * cam)
 *
 * box is 1 in the bounding boxes of the areas where cam is above `box` of its range (neighbours at
 * edges and corners are of one area), else 0.
 *
 * Of a text s is its probability among others (vx_similarity.others), a softmax of scaled cosines:
 * those that the caller gives, as the paper's texts of backgrounds (ground, sky, ..), or the empty
 * text. Of another vector it is the cosine, as a softmax of one alone has no gradient. As in
 * linyq2117/CLIP-ES @ 3893f81 (generate_cams_voc12.py, utils.py, clip/model.py), which scales cam
 * to 0..1 before it is spread, in 255 steps where boxes are found, and whose boxes at the right and
 * the lower edge lack the last column or row.
 */
#include <math.h>
#include <string.h>

#include "explain/patch_gradient.h"

enum { BLOCKS = 8, ROUNDS = 3 };

typedef struct settings {
    int blocks;
    double box;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    const int depth = job->arch->depth;
    set->blocks = depth < BLOCKS ? depth : BLOCKS;
    if (!vx_setting_is_auto(&job->given, "blocks"))
        VX_TRY(vx_setting_int(&set->blocks, &job->given, "blocks", 1, depth));
    VX_TRY(vx_setting_number(&set->box, &job->given, "box", 0, 1));
    vx_plan_need_tokens(need, depth - 1, VX_AT_NORM1);
    vx_plan_need_attention(need, depth - set->blocks, depth - 1, VX_KEEP_FUSED, VX_FUSE_MEAN, -1);
    return vx_patch_gradient_prepare(job, need);
}

/* What a run on the host needs: P patches, T tokens. */
typedef struct room {
    int patches, height, width;
    float *tokens, *gradient;  /* [T,D] each; tokens has room for [T,T], too */
    double *affinity;          /* [P,P] */
    double *cam, *next, *sums; /* [P] each */
    int *areas;                /* [2P] */
} room;

/* ------------------------------------------------------------------ the cam and its boxes --- */

static void find_cam(const room *r, const vx_arch *a)
{
    const int d = a->width;
    for (int p = 0; p < r->patches; p++)
        r->cam[p] = 0;
    for (int c = 0; c < d; c++) {
        double w = 0;
        for (int t = a->prefix; t < vx_arch_tokens(a); t++)
            w += (double)r->gradient[t * d + c] / r->patches;
        for (int p = 0; p < r->patches; p++)
            r->cam[p] += w * (double)r->tokens[(a->prefix + p) * d + c];
    }
    for (int p = 0; p < r->patches; p++)
        r->cam[p] = fmax(r->cam[p], 0);
}

typedef struct box {
    int top, left, bottom, right;
} box;

/* The area of patch p, whose patches are marked 1 before and 2 afterwards; stack [P]. */
static box area_of(const room *r, int *marks, int *stack, int p)
{
    box b = {p / r->width, p % r->width, p / r->width, p % r->width};
    int count = 0;
    marks[p] = 2;
    stack[count++] = p;
    while (count > 0) {
        const int at = stack[--count], y = at / r->width, x = at % r->width;
        b = (box){y < b.top ? y : b.top, x < b.left ? x : b.left, y > b.bottom ? y : b.bottom,
                  x > b.right ? x : b.right};
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < r->height; v++)
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < r->width; u++) {
                const int other = v * r->width + u;
                if (marks[other] != 1)
                    continue;
                marks[other] = 2;
                stack[count++] = other;
            }
    }
    return b;
}

/* next = cam within the boxes, 0 elsewhere. */
static void keep_boxes(const room *r, double part)
{
    int *marks = r->areas, *stack = r->areas + r->patches;
    double low = INFINITY, high = -INFINITY;
    for (int p = 0; p < r->patches; p++) {
        low = fmin(low, r->cam[p]);
        high = fmax(high, r->cam[p]);
    }
    for (int p = 0; p < r->patches; p++) {
        marks[p] = r->cam[p] > low + part * (high - low);
        r->next[p] = 0;
    }
    for (int p = 0; p < r->patches; p++) {
        if (marks[p] != 1)
            continue;
        const box b = area_of(r, marks, stack, p);
        for (int y = b.top; y <= b.bottom; y++)
            for (int x = b.left; x <= b.right; x++)
                r->next[y * r->width + x] = r->cam[y * r->width + x];
    }
}

/* ------------------------------------------------------------------ the affinity ------------ */

static int add_attention(const room *r, const vx_job *job, int i, vx_far *fused)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a), p = (size_t)r->patches, first = t - p;
    memset(r->affinity, 0, p * p * sizeof *r->affinity);
    for (int l = a->depth - set->blocks; l < a->depth; l++) {
        const vx_recorded record = vx_job_attention(job, l, i);
        job->dev->ops.attn_fuse(
            job->dev,
            &(vx_attn_fuse){.out = fused, .record = &record, .fuse = VX_FUSE_MEAN, .head = -1});
        VX_TRY(vx_job_read(job, r->tokens, fused, t * t));
        for (size_t y = 0; y < p; y++)
            for (size_t x = 0; x < p; x++)
                r->affinity[y * p + x] += (double)r->tokens[(first + y) * t + first + x];
    }
    return VITX_OK;
}

/* Divides columns, then rows by their sums. */
static void balance(const room *r)
{
    const size_t n = (size_t)r->patches;
    memset(r->sums, 0, n * sizeof *r->sums);
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++)
            r->sums[x] += r->affinity[y * n + x];
    for (size_t y = 0; y < n; y++) {
        double *row = r->affinity + y * n, sum = 0;
        for (size_t x = 0; x < n; x++)
            sum += row[x] = r->sums[x] > 0 ? row[x] / r->sums[x] : 0;
        for (size_t x = 0; x < n && sum > 0; x++)
            row[x] /= sum;
    }
}

/* next = M next, M the mean of the affinity and its transpose. */
static void spread(const room *r)
{
    const size_t n = (size_t)r->patches;
    memset(r->sums, 0, n * sizeof *r->sums);
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++) {
            r->sums[y] += r->affinity[y * n + x] * r->next[x] / 2;
            r->sums[x] += r->affinity[y * n + x] * r->next[y] / 2;
        }
    memcpy(r->next, r->sums, n * sizeof *r->next);
}

/* ------------------------------------------------------------------ the map ----------------- */

static int run_with(const room *r, const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a);
    vx_far *fused;
    VX_TRY(vx_patch_gradient(r->gradient, job, i, map));
    VX_TRY(vx_job_read(job, r->tokens, vx_job_tokens(job, a->depth - 1, VX_AT_NORM1, i),
                       t * (size_t)a->width));
    find_cam(r, a);
    keep_boxes(r, set->box);
    VX_TRY(vx_job_work(&fused, job, t * t, "attention of all blocks"));
    VX_TRY(add_attention(r, job, i, fused));
    for (int round = 0; round < ROUNDS; round++)
        balance(r);
    spread(r);
    spread(r);
    for (int p = 0; p < r->patches; p++)
        map->values[p] = (float)r->next[p];
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const vx_arch *a = job->arch;
    const size_t t = (size_t)vx_arch_tokens(a), d = (size_t)a->width;
    const size_t p = (size_t)(a->grid_height * a->grid_width);
    const vitx_hooks scratch = job->scratch;
    room r = {.patches = (int)p, .height = a->grid_height, .width = a->grid_width};
    VX_TRY(vx_new(&r.affinity, &scratch, p + 4, p * sizeof *r.affinity, "affinity of patches"));
    int status = vx_new(&r.tokens, &scratch, (t > d ? t : d) + d, t * sizeof *r.tokens,
                        "affinity of patches");
    if (status == VITX_OK) {
        r.cam = r.affinity + p * p;
        r.next = r.cam + p;
        r.sums = r.next + p;
        r.areas = (int *)(void *)(r.sums + p);
        r.gradient = r.tokens + (t > d ? t : d) * t;
        status = run_with(&r, job, i, map);
    }
    vx_release(&scratch, r.tokens);
    vx_release(&scratch, r.affinity);
    return status;
}

static const vitx_method_option options[] = {
    {"blocks", "auto", "1 to the number of blocks",
     "attention of so many of the last blocks; auto: 8, or all of fewer"},
    {"box", "0.4", "0 to 1", "areas above this share of the range are spread, within their boxes"},
};

const vx_method vx_method_clip_es = {
    .name = "clip-es",
    .summary = "Grad-CAM of the mean over patches, spread by attention between patches",
    .cost = "1 forward, the last block once more and its backward",
    .reference = "Lin et al. 2023, CLIP is Also an Efficient Segmenter",
    .uses_target = true,
    .among = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
