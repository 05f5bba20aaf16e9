/*
 * kernels/cpu/panel_patch.c: the tokens of pictures in a packed precision, where tiles make bf16x3
 * the fastest product that is nearly f32's. Two steps a picture, each spread over all workers:
 *
 *      patches -> packed rows, for all workers        tokens = rows times panels (panel_linear.c)
 *
 * Neighbouring pixels are alike, and the filters cancel them (wide_vec.h), but not what bf16x3
 * rounds away of each pixel. So the pixels of a patch are in groups, and a group loses its mean m:
 *
 *      sum w x = sum w (x - m) + (A + B) m,        A + B = sum w
 *
 * bf16x3 holds m, which has 16 bits, exactly, and also A, which has 8, and B, the next 16. A patch
 * gets two more columns for each group, a filter too:
 *
 *      patch     | x - m                        | m m | m m | ...
 *      filter    | w                            | A B | A B | ...
 *
 * The filters are there twice, since the gradient of the picture reads plain ones
 * (patch_embed_bwd.c):
 *
 *      | plain [n,k] | up to 63 bytes | panels of bf16x3 |
 */
#include "kernels/bits.h"
#include "kernels/cpu/panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ROWS: packed at once. */
enum { ROWS = 16, GROUP = VX_PATCH_GROUP };

/* ------------------------------------------------------------------------ the filters ------ */

static const vx_packing *const panels = &vx_panel_forms[VX_NUMBER_BF16X3].packing;

static size_t plain_bytes(int n, int k)
{
    return (vx_packing_plain.bytes(n, k) + VX_LINE - 1) / VX_LINE * VX_LINE;
}

static size_t bytes(int n, int k)
{
    return plain_bytes(n, k) + panels->bytes(n, vx_patch_columns(k));
}

static vx_weight panels_of(const vx_weight *w)
{
    return (vx_weight){(const char *)w->data + plain_bytes(w->n, w->k),
                       w->bias,
                       w->n,
                       vx_patch_columns(w->k),
                       panels,
                       NULL};
}

/* w [k] with A and B of every group. */
static void extend_filter(float *to, const float *w, int k)
{
    memcpy(to, w, (size_t)k * sizeof *to);
    to += k;
    for (int first = 0; first < k; first += GROUP, to += 2) {
        double sum = 0;
        for (int i = first; i < k && i < first + GROUP; i++)
            sum += (double)w[i];
        to[0] = vx_bits_float(vx_float_bits((float)sum) & 0xffff0000u);
        to[1] = (float)(sum - (double)to[0]);
    }
}

static int pack(const vx_device_env *env, const vx_weight *w, const float *rows, int first,
                int count, char *err, size_t err_size)
{
    const vx_weight packed = panels_of(w);
    const size_t k = (size_t)w->k, columns = (size_t)packed.k;
    const int failed = vx_packing_plain.pack(env, w, rows, first, count, err, err_size);
    if (failed)
        return failed;
    float *panel = env->alloc(VX_PANEL * columns * sizeof *panel, env->owner);
    if (!panel) {
        snprintf(err, err_size, "no memory for %d filters of %zu numbers", VX_PANEL, columns);
        return VX_DEVICE_NOMEM;
    }
    for (int i = 0; i < count; i += VX_PANEL) {
        const int m = vx_least(VX_PANEL, count - i);
        for (int j = 0; j < m; j++)
            extend_filter(panel + (size_t)j * columns, rows + (size_t)(i + j) * k, w->k);
        panels->pack(env, &packed, panel, first + i, m, err, err_size); /* which cannot fail */
    }
    env->release(panel, env->owner);
    return 0;
}

const vx_packing vx_patch_packing = {"f32 and bf16x3", VX_PANEL, bytes, NULL, pack};

/* ------------------------------------------------------------------------- the tokens ------ */

/* Some patches of one picture. */
typedef struct patch_run {
    vx_cpu *cpu;
    const vx_patch_embed *a;
    const vx_panel_form *form;
    const float *picture;
    int across, columns;   /* patches in a row of patches; columns of a packed patch */
    int first, rows, each; /* the first, how many, and how many of a task */
} patch_run;

/* Short lines: a call of memcpy for each takes as long as the copy. */
static inline void copy_line(float *to, const float *from, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        memcpy(to + i, from + i, 4 * sizeof *to);
    for (; i < n; i++)
        to[i] = from[i];
}

/* m patches that lie beside each other in a picture, each as [C,ph,pw]. Line by line, since so the
 * picture is read in the order in which it lies. */
static void copy_patches(const patch_run *r, float *to, int patch, int m)
{
    const vx_patch_embed *a = r->a;
    const size_t n = (size_t)a->patch_width, row = (size_t)r->columns;
    const size_t down = (size_t)(patch / r->across) * (size_t)a->patch_height;
    const size_t right = (size_t)(patch % r->across) * n;
    for (int c = 0; c < a->channels; c++)
        for (int y = 0; y < a->patch_height; y++, to += n) {
            const size_t line = (size_t)c * (size_t)a->height + down + (size_t)y;
            const float *from = r->picture + line * (size_t)a->width + right;
            for (size_t j = 0; j < (size_t)m; j++)
                copy_line(to + j * row, from + j * n, n);
        }
}

/* Four sums, so that the compiler has a vector of them. */
static inline float sum_of(const float *x, int n)
{
    float a = 0, b = 0, c = 0, d = 0;
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        a += x[i];
        b += x[i + 1];
        c += x[i + 2];
        d += x[i + 3];
    }
    for (; i < n; i++)
        a += x[i];
    return (a + c) + (b + d);
}

/* x [n] - m; m to both places of `mean`. If the mean is not finite, m is 0, and x keeps what is not
 * finite in it. */
static inline void remove_mean(float *x, float *mean, int n)
{
    const float whole = vx_bits_float(vx_float_bits(sum_of(x, n) / (float)n) & 0xffffff00u);
    const float m = isfinite(whole) ? whole : 0;
    for (int i = 0; i < n; i++)
        x[i] -= m;
    mean[0] = mean[1] = m;
}

static void remove_means(float *row, int k)
{
    float *mean = row + k;
    int first = 0;
    for (; first + GROUP <= k; first += GROUP, mean += 2)
        remove_mean(row + first, mean, GROUP);
    if (first < k)
        remove_mean(row + first, mean, k - first);
}

static void pack_patches(void *arg, int index, int worker)
{
    const patch_run *r = arg;
    const int k = r->columns, end = vx_least((index + 1) * r->each, r->rows);
    const size_t row = vx_panel_apart(r->form, k);
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const int most = s.strip_floats / (size_t)k < ROWS ? (int)(s.strip_floats / (size_t)k) : ROWS;
    for (int i = index * r->each, m; i < end; i += m) {
        m = vx_least(vx_least(most, end - i), r->across - (r->first + i) % r->across);
        copy_patches(r, s.strip, r->first + i, m);
        for (int j = 0; j < m; j++)
            remove_means(s.strip + (size_t)j * (size_t)k, r->a->w->k);
        vx_panel_pack_rows(
            r->cpu, r->form->number,
            &(vx_panel_rows){r->cpu->shared + (size_t)i * row, row, s.scales, s.strip, k, m, k});
    }
}

/* The tokens of the patches at hand, with their positions. */
static void embed(patch_run *r, const vx_weight *w, float *y)
{
    const vx_device_env *env = &r->cpu->base.env;
    const float *pos = r->a->pos;
    r->each = vx_ceil_div(r->rows, 4 * env->workers);
    env->parallel(pack_patches, r, vx_ceil_div(r->rows, r->each), env->owner);
    vx_panel_linear(r->cpu,
                    &(vx_linear){.y = y,
                                 .ldy = w->n,
                                 .x = (const float *)(const void *)r->cpu->shared,
                                 .ldx = w->k,
                                 .w = w,
                                 .residual = pos ? pos + (size_t)r->first * (size_t)w->n : NULL,
                                 .ldr = w->n,
                                 .act = VX_ACT_NONE,
                                 .m = r->rows,
                                 .x_formed = 1},
                    NULL, NULL);
}

void vx_panel_patch_embed(vx_cpu *cpu, const vx_patch_embed *a)
{
    const vx_weight w = panels_of(a->w);
    const int down = a->height / a->patch_height, across = a->width / a->patch_width;
    const size_t d = (size_t)w.n, prefix = (size_t)a->prefix_count;
    const size_t fit = cpu->shared_bytes / vx_panel_apart(vx_panel_form_of(&w), w.k);
    const int patches = down * across, most = fit < (size_t)patches ? (int)fit : patches;
    float *y = a->y;
    for (int b = 0; b < a->batch; b++, y += (size_t)patches * d) {
        if (prefix)
            memcpy(y, a->prefix, prefix * d * sizeof *y);
        y += prefix * d;
        patch_run r = {
            .cpu = cpu, .a = a, .form = vx_panel_form_of(&w), .across = across, .columns = w.k};
        r.picture =
            a->image + (size_t)b * (size_t)a->channels * (size_t)a->height * (size_t)a->width;
        for (; r.first < patches; r.first += r.rows) {
            r.rows = vx_least(most, patches - r.first);
            embed(&r, &w, y + (size_t)r.first * d);
        }
    }
}
