/*
 * kernels/cpu/patch_embed_bwd.c: d picture from d tokens: dy W gives the pixels of each patch as a
 * row [C, ph, pw], in a worker's strip, from where its lines are copied to their places. Tiles of
 * that product begin at lines.
 */
#include "kernels/cpu/cpu.h"

#include <string.h>

typedef struct unembedding {
    vx_cpu *cpu;
    const vx_patch_embed_bwd *a;
    int across, patches; /* patches in a row of patches, in a picture */
    vx_tiling tiling;    /* of one picture's product [patches, C*ph*pw] */
} unembedding;

static float *plane_of(const vx_patch_embed_bwd *a, int g, int c)
{
    return a->dimage +
           ((size_t)g * (size_t)a->channels + (size_t)c) * (size_t)a->height * (size_t)a->width;
}

/* Pixels n0..n0+n-1 of one patch. */
static void place_lines(const unembedding *e, int g, int patch, const float *row, int n0, int n)
{
    const vx_patch_embed_bwd *a = e->a;
    const int ph = a->patch_height, pw = a->patch_width;
    const size_t down = (size_t)(patch / e->across) * (size_t)ph;
    const size_t right = (size_t)(patch % e->across) * (size_t)pw;
    for (int line = n0 / pw; line < (n0 + n) / pw; line++, row += pw)
        memcpy(plane_of(a, g, line / ph) + (down + (size_t)(line % ph)) * (size_t)a->width + right,
               row, (size_t)pw * sizeof *row);
}

static void unembed_tile(void *arg, int i, int worker)
{
    const unembedding *e = arg;
    const vx_patch_embed_bwd *a = e->a;
    const vx_weight *w = a->w;
    const vx_cpu_room s = vx_cpu_room_of(e->cpu, worker);
    const int g = i / e->tiling.count;
    const vx_tile t = vx_cpu_tile(&e->tiling, i % e->tiling.count);
    const size_t token =
        (size_t)g * (size_t)(a->prefix_count + e->patches) + (size_t)a->prefix_count;
    const int most = (int)(s.strip_floats / (size_t)t.n), rows = vx_least(t.m, most);
    for (int m = t.m0; m < t.m0 + t.m; m += rows) {
        const vx_gemm part = {.c = s.strip,
                              .a = a->dy + (token + (size_t)m) * (size_t)w->n,
                              .b = (const float *)w->data + t.n0,
                              .ldc = t.n,
                              .lda = w->n,
                              .ldb = w->k,
                              .b_is_kn = 1,
                              .alpha = 1,
                              .m = vx_least(rows, t.m0 + t.m - m),
                              .n = t.n,
                              .k = w->n};
        vx_cpu_gemm(e->cpu, worker, &part);
        for (int r = 0; r < part.m; r++)
            place_lines(e, g, m + r, s.strip + (size_t)r * (size_t)t.n, t.n0, t.n);
    }
}

/* Pixels right of and below the last whole patches. */
static void clear_beyond(const vx_patch_embed_bwd *a, int down, int across)
{
    const size_t width = (size_t)a->width, used = (size_t)across * (size_t)a->patch_width;
    const int rows = down * a->patch_height;
    for (int i = 0; i < a->batch * a->channels; i++) {
        float *plane = plane_of(a, i / a->channels, i % a->channels);
        for (int y = 0; y < a->height; y++) {
            const size_t first = y < rows ? used : 0;
            if (first < width)
                memset(plane + (size_t)y * width + first, 0, (width - first) * sizeof *plane);
        }
    }
}

void vx_patch_embed_bwd_cpu(vx_device *dev, const vx_patch_embed_bwd *a)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    const int down = a->height / a->patch_height, across = a->width / a->patch_width;
    unembedding e = {.cpu = cpu, .a = a, .across = across, .patches = down * across};
    clear_beyond(a, down, across);
    if (e.patches == 0)
        return;
    e.tiling = a->batch < dev->env.workers
                   ? vx_cpu_tiling(cpu, e.patches, a->w->k, a->patch_width)
                   : (vx_tiling){1, 1, e.patches, a->w->k, e.patches, a->w->k};
    dev->env.parallel(unembed_tile, &e, a->batch * e.tiling.count, dev->env.owner);
}
