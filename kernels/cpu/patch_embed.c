/* kernels/cpu/patch_embed.c: the tokens of pictures: patches are copied into rows, a strip at a
 * time, then multiplied with sums in double (wide_vec.h says why). A worker's strip:
 *
 *      | panel of the filters, sums | patches [rows, k] |    doubles */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/panels.h"

#include <string.h>

typedef struct embedding {
    vx_cpu *cpu;
    const vx_patch_embed *a;
    int across, patches; /* patches in a row of patches, in a picture */
    int strips, rows;    /* per picture; patches of one strip */
    size_t apart;        /* from patch to patch of a strip */
} embedding;

/* One patch as [C, ph, pw]. */
static void copy_patch(double *dst, const float *picture, const vx_patch_embed *a, int row,
                       int column)
{
    const size_t width = (size_t)a->patch_width;
    for (int c = 0; c < a->channels; c++)
        for (int y = 0; y < a->patch_height; y++, dst += width) {
            const size_t line =
                (size_t)c * (size_t)a->height + (size_t)row * (size_t)a->patch_height + (size_t)y;
            const float *src = picture + line * (size_t)a->width + (size_t)column * width;
            for (size_t x = 0; x < width; x++)
                dst[x] = (double)src[x];
        }
}

static void embed_strip(void *arg, int i, int worker)
{
    const embedding *e = arg;
    const vx_patch_embed *a = e->a;
    const size_t d = (size_t)a->w->n, prefix = (size_t)a->prefix_count;
    const int b = i / e->strips, first = i % e->strips * e->rows;
    const int rows = vx_least(e->rows, e->patches - first);
    const float *picture =
        a->image + (size_t)b * (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    float *tokens = a->y + (size_t)b * (prefix + (size_t)e->patches) * d;
    double *pack = (double *)(void *)vx_cpu_room_of(e->cpu, worker).strip;
    double *patches = pack + (size_t)(VX_WIDE_LINES + e->rows) * VX_WIDE_COLUMNS;
    if (first == 0 && prefix)
        memcpy(tokens, a->prefix, prefix * d * sizeof *tokens);
    for (int r = 0; r < rows; r++)
        copy_patch(patches + (size_t)r * e->apart, picture, a, (first + r) / e->across,
                   (first + r) % e->across);
    e->cpu->pieces.gemm_wide(&(vx_wide){.y = tokens + (prefix + (size_t)first) * d,
                                        .a = patches,
                                        .b = a->w->data,
                                        .bias = a->w->bias,
                                        .add = a->pos ? a->pos + (size_t)first * d : NULL,
                                        .pack = pack,
                                        .lda = e->apart,
                                        .m = rows,
                                        .n = a->w->n,
                                        .k = a->w->k});
}

void vx_patch_embed_cpu(vx_device *dev, const vx_patch_embed *a)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    if (a->w->packing == &vx_patch_packing && cpu->flags & VX_CPU_AMX) {
        vx_panel_patch_embed(cpu, a);
        return;
    }
    const int down = a->height / a->patch_height, across = a->width / a->patch_width;
    /* not whole pages, whose rows would fall on the same places of the first cache */
    const size_t apart = (size_t)a->w->k | VX_WIDE_APART;
    const size_t room =
        (vx_cpu_room_of(cpu, 0).strip_floats / 2 - VX_WIDE_LINES * VX_WIDE_COLUMNS) /
        (apart + VX_WIDE_COLUMNS);
    embedding e = {.cpu = cpu, .a = a, .across = across, .patches = down * across, .apart = apart};
    /* One strip per worker, smaller ones where the scratch is. */
    e.strips = vx_ceil_div(dev->env.workers, a->batch);
    e.rows = vx_ceil_div(e.patches, e.strips);
    e.rows = vx_least(e.rows, room < INT32_MAX ? (int)room : INT32_MAX);
    e.rows = e.rows > 0 ? e.rows : 1;
    e.strips = e.patches ? vx_ceil_div(e.patches, e.rows) : 1;
    dev->env.parallel(embed_strip, &e, a->batch * e.strips, dev->env.owner);
}
