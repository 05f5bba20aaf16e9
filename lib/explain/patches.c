/* explain/patches.c: see patches.h. */
#include "explain/patches.h"

#include <string.h>

#include "engine/variants.h"

/* In place of a sequence: answers that are known. */
enum { WHOLE = -1, NOTHING = -2 };

/* A picture taken apart, and the variants that wait for their pass. */
typedef struct patches {
    const vx_job *job;
    bool drop;
    vitx_map *map; /* made of the scores */
    vx_target target;
    int count;      /* patches */
    double whole;   /* the score of all patches, which is the picture's own */
    double nothing; /* of none, where that is not the answer of a pass */
    bool nothing_known;
    float *tokens;       /* device: the picture's [T,D], then the baseline's */
    int *from;           /* [job->variants * T] which token a row is */
    int *starts;         /* [most + 1] */
    unsigned char *kept; /* [most, count] */
    int *sequence;       /* [most] where their answers will be; below 0: known without */
    int most, waiting, sequences, rows;
    int64_t forwards;
} patches;

int vx_setting_removal(vx_removal *out, const vx_job *job)
{
    VX_TRY(vx_setting_baseline(&out->fill, job, "remove"));
    out->drop = strcmp(vx_setting(job, "remove"), "drop") == 0;
    return VITX_OK;
}

void vx_patches_prepare(vx_job *job, int64_t variants)
{
    const int most = vx_variants_at_once(job->context, false);
    job->variants = variants < most ? (int)variants : most;
    job->variants = job->variants > 1 ? job->variants : 2; /* the picture and its baseline */
    job->ticks = variants * job->arch->depth;
}

int vx_patches_count(const unsigned char *kept, int count)
{
    int n = 0;
    for (int p = 0; p < count; p++)
        n += kept[p];
    return n;
}

static size_t token_floats(const patches *p)
{
    return (size_t)vx_arch_tokens(p->job->arch) * (size_t)p->job->arch->width;
}

/* The tokens of the picture and of what it is filled with, side by side in one embedding. */
static int embed(patches *p, int i, const vitx_map *map, const vx_removal *removal)
{
    vitx_context *c = p->job->context;
    const size_t input = vx_context_input_count(c), floats = token_floats(p);
    const int pictures = p->drop ? 1 : 2;
    VX_TRY(vx_block_reserve(c, &c->work, (size_t)pictures * floats * sizeof(float),
                            "tokens of a picture and its baseline"));
    memcpy(vx_variants_input(c, 0), c->host_input + (size_t)i * input, input * sizeof(float));
    if (!p->drop)
        VX_TRY(vx_baseline_fill(vx_variants_input(c, 1), &removal->fill, p->job, i, map));
    vx_variants_embed(c, pictures);
    p->tokens = c->work.memory;
    c->dev->ops.copy_rows(c->dev, &(vx_copy_rows){.y = p->tokens,
                                                  .x = c->variants.act.x,
                                                  .m = 1,
                                                  .n = pictures * (int64_t)floats,
                                                  .scale = 1});
    return VITX_OK;
}

static int begin(patches *out, const vx_job *job, int i, vitx_map *map, const vx_removal *removal)
{
    const vx_arch *a = job->arch;
    const vitx_hooks scratch = vx_scratch_hooks(&job->context->scratch);
    *out = (patches){.job = job,
                     .drop = removal->drop,
                     .map = map,
                     .target = vx_map_target(map),
                     .count = a->grid_height * a->grid_width,
                     .whole = map->info.value,
                     .most = removal->drop ? job->variants * VX_VARIANTS_SHORTER : job->variants};
    const size_t most = (size_t)out->most, rows = (size_t)job->variants;
    VX_TRY(vx_new(&out->from, &scratch, rows * (size_t)vx_arch_tokens(a), sizeof *out->from,
                  "rows of variants"));
    VX_TRY(vx_new(&out->starts, &scratch, most + 1, sizeof *out->starts, "variants"));
    VX_TRY(vx_new(&out->sequence, &scratch, most, sizeof *out->sequence, "variants"));
    VX_TRY(vx_new(&out->kept, &scratch, most, (size_t)out->count, "variants' patches"));
    return embed(out, i, map, removal);
}

static void dispose(patches *p)
{
    const vitx_hooks scratch = vx_scratch_hooks(&p->job->context->scratch);
    vx_release(&scratch, p->from);
    vx_release(&scratch, p->starts);
    vx_release(&scratch, p->sequence);
    vx_release(&scratch, p->kept);
}

static int tokens_of(const patches *p, const unsigned char *kept)
{
    const vx_arch *a = p->job->arch;
    return p->drop ? a->prefix + vx_patches_count(kept, p->count) : vx_arch_tokens(a);
}

/* The score of sequence `s` of the last pass. */
static double score_of(const patches *p, int s)
{
    const vx_variants *v = &p->job->context->variants;
    const size_t row = (size_t)s * (size_t)p->job->arch->classes;
    return vx_target_value(p->target, v->host_logits + row, v->host_probabilities + row);
}

/* Where the answer to a set of patches comes from. */
static int place_of(int *out, patches *p, const unsigned char *kept)
{
    const int n = vx_patches_count(kept, p->count);
    *out = n == p->count                                                    ? WHOLE
           : n == 0 && p->drop && vx_arch_reads_patches_alone(p->job->arch) ? NOTHING
                                                                            : p->sequences;
    if (*out == NOTHING && !p->nothing_known) {
        VX_TRY(vx_variants_no_patches(p->job->context));
        p->nothing = score_of(p, 0);
        p->nothing_known = true;
    }
    return VITX_OK;
}

/* Adds the variant whose patches lie behind those that wait. */
static int append(patches *p)
{
    const unsigned char *kept = p->kept + (size_t)p->waiting * (size_t)p->count;
    const int prefix = p->job->arch->prefix;
    VX_TRY(place_of(&p->sequence[p->waiting], p, kept));
    if (p->sequence[p->waiting++] < 0)
        return VITX_OK;
    p->starts[p->sequences++] = p->rows;
    for (int t = 0; t < prefix; t++)
        p->from[p->rows++] = t;
    for (int t = 0; t < p->count; t++)
        if (kept[t])
            p->from[p->rows++] = prefix + t;
        else if (!p->drop)
            p->from[p->rows++] = -1 - (prefix + t); /* the baseline's */
    return VITX_OK;
}

/* Runs what waits, which begins with variant `first`, and hands out its scores. */
static int flush(patches *p, int64_t first, vx_patches_take *take, void *payload)
{
    const vx_job *job = p->job;
    vitx_context *c = job->context;
    p->starts[p->sequences] = p->rows;
    if (p->sequences) {
        c->dev->ops.gather_rows(c->dev, &(vx_gather_rows){.y = c->variants.act.x,
                                                          .a = p->tokens,
                                                          .b = p->tokens + token_floats(p),
                                                          .from = p->from,
                                                          .rows = p->rows,
                                                          .width = job->arch->width});
        VX_TRY(vx_variants_run_blocks(c, &(vx_pass){.act = &c->variants.act,
                                                    .batch = p->sequences,
                                                    .starts = p->drop ? p->starts : NULL,
                                                    .ticks = p->sequences}));
    }
    if (p->waiting > p->sequences)
        VX_TRY(vx_context_advance(c, (p->waiting - p->sequences) * (int64_t)job->arch->depth));
    for (int e = 0; e < p->waiting; e++) {
        const int s = p->sequence[e];
        const double score = s == WHOLE ? p->whole : s == NOTHING ? p->nothing : score_of(p, s);
        vx_map_saw(p->map, score);
        take(payload, first + e, p->kept + (size_t)e * (size_t)p->count, score);
    }
    p->forwards += p->sequences;
    p->waiting = p->sequences = p->rows = 0;
    return VITX_OK;
}

static int run(patches *p, int64_t n, vx_patches_choose *choose, vx_patches_take *take,
               void *payload)
{
    const int room = p->job->variants * vx_arch_tokens(p->job->arch);
    const size_t count = (size_t)p->count;
    for (int64_t v = 0; v < n; v++) {
        if (p->waiting == p->most)
            VX_TRY(flush(p, v - p->waiting, take, payload));
        unsigned char *kept = p->kept + (size_t)p->waiting * count;
        choose(payload, v, kept);
        if (p->rows + tokens_of(p, kept) > room) {
            VX_TRY(flush(p, v - p->waiting, take, payload));
            memmove(p->kept, kept, count);
        }
        VX_TRY(append(p));
    }
    return flush(p, n - p->waiting, take, payload);
}

int vx_patches_run(const vx_job *job, int i, vitx_map *map, const vx_removal *removal, int64_t n,
                   vx_patches_choose *choose, vx_patches_take *take, void *payload)
{
    patches p;
    int status = begin(&p, job, i, map, removal);
    if (status == VITX_OK)
        status = run(&p, n, choose, take, payload);
    map->info.forwards = p.forwards;
    dispose(&p);
    return status;
}
