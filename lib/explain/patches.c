/* explain/patches.c: see patches.h. */
#include "explain/patches.h"

#include <string.h>

#include "engine/run.h"
#include "engine/variants.h"

/* In place of a sequence: answers that are known. */
enum { WHOLE = -1, NOTHING = -2 };

/* A picture taken apart, and the variants that wait for their pass. */
typedef struct queue {
    vitx_context *c;
    const vx_patches *of;
    bool drop;
    int count;      /* patches */
    double nothing; /* the score of no patches, if that is not the answer of a pass */
    bool nothing_known;
    vx_far *tokens;      /* device: the picture's [T,D], then the baseline's */
    int *from;           /* [at_once * T] which token a row is */
    int *starts;         /* [most + 1] */
    unsigned char *kept; /* [most, count] */
    int *sequence;       /* [most] where their answers will be; below 0: known without */
    int most, waiting, sequences, rows;
    int64_t forwards;
} queue;

int vx_setting_removal(vx_removal *out, const vx_settings *given)
{
    VX_TRY(vx_setting_baseline(&out->fill, given, "remove"));
    out->drop = strcmp(vx_setting(given, "remove"), "drop") == 0;
    return VITX_OK;
}

int vx_patches_count(const unsigned char *kept, int count)
{
    int n = 0;
    for (int p = 0; p < count; p++)
        n += kept[p];
    return n;
}

static size_t token_floats(const queue *q)
{
    return (size_t)vx_arch_tokens(&q->c->arch) * (size_t)q->c->arch.width;
}

/* The tokens of the picture and of what it is filled with, side by side in one embedding. */
static int embed(queue *q)
{
    vitx_context *c = q->c;
    const size_t input = vx_context_input_count(c), floats = token_floats(q);
    const int pictures = q->drop ? 1 : 2;
    VX_TRY(vx_block_reserve(c, &c->work, (size_t)pictures * floats * sizeof(float),
                            "tokens of a picture and its baseline"));
    c->work_taken = true;
    if (!q->drop)
        VX_TRY(
            vx_baseline_fill(vx_variants_host_input(c, 1), &q->of->removal->fill, c, q->of->input));
    if (q->of->picture) {
        c->dev->ops.copy_rows(c->dev, &(vx_copy_rows){.y = vx_variants_input(c, 0),
                                                      .x = q->of->picture,
                                                      .m = 1,
                                                      .n = (int64_t)input,
                                                      .scale = 1});
    } else {
        memcpy(vx_variants_host_input(c, 0), q->of->input, input * sizeof(float));
        vx_variants_upload(c, 0, 1);
    }
    vx_variants_upload(c, 1, pictures - 1);
    vx_variants_embed(c, pictures);
    q->tokens = c->work.memory;
    c->dev->ops.copy_rows(c->dev, &(vx_copy_rows){.y = q->tokens,
                                                  .x = c->variants.act.x,
                                                  .m = 1,
                                                  .n = pictures * (int64_t)floats,
                                                  .scale = 1});
    return VITX_OK;
}

static int begin(queue *out, vitx_context *c, const vx_patches *of)
{
    const vx_arch *a = &c->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    *out = (queue){.c = c,
                   .of = of,
                   .drop = of->removal->drop,
                   .count = a->grid_height * a->grid_width,
                   .most = of->removal->drop ? of->at_once * VX_VARIANTS_SHORTER : of->at_once};
    const size_t most = (size_t)out->most, rows = (size_t)of->at_once;
    VX_TRY(vx_new(&out->from, &scratch, rows * (size_t)vx_arch_tokens(a), sizeof *out->from,
                  "rows of variants"));
    VX_TRY(vx_new(&out->starts, &scratch, most + 1, sizeof *out->starts, "variants"));
    VX_TRY(vx_new(&out->sequence, &scratch, most, sizeof *out->sequence, "variants"));
    VX_TRY(vx_new(&out->kept, &scratch, most, (size_t)out->count, "variants' patches"));
    return embed(out);
}

static void dispose(queue *q)
{
    const vitx_hooks scratch = vx_scratch_hooks(&q->c->scratch);
    vx_release(&scratch, q->from);
    vx_release(&scratch, q->starts);
    vx_release(&scratch, q->sequence);
    vx_release(&scratch, q->kept);
}

static int tokens_of(const queue *q, const unsigned char *kept)
{
    const vx_arch *a = &q->c->arch;
    return q->drop ? a->prefix + vx_patches_count(kept, q->count) : vx_arch_tokens(a);
}

/* The score of sequence `s` of the last pass. */
static double score_of(const queue *q, int s)
{
    const vx_variants *v = &q->c->variants;
    const size_t row = (size_t)s * (size_t)q->c->arch.classes;
    return vx_target_value(q->of->target, v->act.host.logits + row,
                           v->act.host.probabilities + row);
}

/* Where the answer to a set of patches comes from. */
static int place_of(int *out, queue *q, const unsigned char *kept)
{
    const int n = vx_patches_count(kept, q->count);
    *out = n == q->count                                                   ? WHOLE
           : n == 0 && q->drop && vx_arch_reads_patches_alone(&q->c->arch) ? NOTHING
                                                                           : q->sequences;
    if (*out == NOTHING && !q->nothing_known) {
        VX_TRY(vx_variants_no_patches(q->c));
        q->nothing = score_of(q, 0);
        q->nothing_known = true;
    }
    return VITX_OK;
}

/* Adds the variant whose patches lie behind those that wait. */
static int append(queue *q)
{
    const unsigned char *kept = q->kept + (size_t)q->waiting * (size_t)q->count;
    const int prefix = q->c->arch.prefix;
    VX_TRY(place_of(&q->sequence[q->waiting], q, kept));
    if (q->sequence[q->waiting++] < 0)
        return VITX_OK;
    q->starts[q->sequences++] = q->rows;
    for (int t = 0; t < prefix; t++)
        q->from[q->rows++] = t;
    for (int t = 0; t < q->count; t++)
        if (kept[t])
            q->from[q->rows++] = prefix + t;
        else if (!q->drop)
            q->from[q->rows++] = -1 - (prefix + t); /* the baseline's */
    return VITX_OK;
}

/* Runs what waits, which begins with variant `first`, and hands out its scores. */
static int flush(queue *q, int64_t first)
{
    vitx_context *c = q->c;
    q->starts[q->sequences] = q->rows;
    if (q->sequences) {
        c->dev->ops.gather_rows(c->dev, &(vx_gather_rows){.y = c->variants.act.x,
                                                          .a = q->tokens,
                                                          .b = q->tokens + token_floats(q),
                                                          .from = q->from,
                                                          .rows = q->rows,
                                                          .width = c->arch.width});
        VX_TRY(vx_variants_run_blocks(c, &(vx_pass){.act = &c->variants.act,
                                                    .batch = q->sequences,
                                                    .starts = q->drop ? q->starts : NULL,
                                                    .tokens_of = q->drop ? q->from : NULL,
                                                    .ticks = q->sequences}));
    }
    if (q->waiting > q->sequences)
        VX_TRY(vx_context_advance(c, (q->waiting - q->sequences) * (int64_t)c->arch.depth));
    for (int e = 0; e < q->waiting; e++) {
        const int s = q->sequence[e];
        const double score = s == WHOLE ? q->of->whole : s == NOTHING ? q->nothing : score_of(q, s);
        if (q->of->map)
            vx_map_saw(q->of->map, score);
        q->of->take_score(q->of->payload, first + e, q->kept + (size_t)e * (size_t)q->count, score);
    }
    q->forwards += q->sequences;
    q->waiting = q->sequences = q->rows = 0;
    return VITX_OK;
}

static int run(queue *q)
{
    const vx_patches *of = q->of;
    const int room = of->at_once * vx_arch_tokens(&q->c->arch);
    const size_t count = (size_t)q->count;
    for (int64_t v = 0; v < of->n; v++) {
        if (q->waiting == q->most)
            VX_TRY(flush(q, v - q->waiting));
        unsigned char *kept = q->kept + (size_t)q->waiting * count;
        of->write_kept(of->payload, v, kept);
        if (q->rows + tokens_of(q, kept) > room) {
            VX_TRY(flush(q, v - q->waiting));
            memmove(q->kept, kept, count);
        }
        VX_TRY(append(q));
    }
    return flush(q, of->n - q->waiting);
}

int vx_patches_at_once(vitx_context *c, int64_t n)
{
    const int most = vx_variants_at_once(c, NULL), some = n < most ? (int)n : most;
    return some > 1 ? some : 2; /* the picture and its baseline */
}

int vx_patches_run(int64_t *forwards, vitx_context *c, const vx_patches *of)
{
    queue q;
    if (c->work_taken)
        return vx_fail(VITX_INVALID, "patches: the work memory is in use");
    int status = begin(&q, c, of);
    if (status == VITX_OK)
        status = run(&q);
    *forwards += q.forwards;
    dispose(&q);
    c->work_taken = false;
    return status;
}

/* ------------------------------------------------------------------ for a method ----------- */

void vx_patches_prepare(vx_job *job, int64_t n)
{
    job->variants = vx_patches_at_once(job->context, n);
    job->ticks = n * job->arch->depth;
}

int vx_patches_run_job(const vx_job *job, int i, vitx_map *map, const vx_removal *removal,
                       int64_t n, vx_patches_write_kept *write_kept,
                       vx_patches_take_score *take_score, void *payload)
{
    const float *input = NULL;
    if (!removal->drop && vx_baseline_reads(&removal->fill))
        VX_TRY(vx_job_host_input(&input, job, i));
    const vx_patches of = {.input = input,
                           .picture = vx_job_input(job, i),
                           .target = vx_map_target(map),
                           .whole = map->info.value,
                           .map = map,
                           .removal = removal,
                           .at_once = job->variants,
                           .n = n,
                           .write_kept = write_kept,
                           .take_score = take_score,
                           .payload = payload};
    map->info.forwards = 0;
    return vx_patches_run(&map->info.forwards, job->context, &of);
}
