/*
 * kernels/cpu/panel_patch.c: the tokens of pictures in a packed precision, where tiles make bf16x3
 * the fastest product that is nearly f32's. Two steps, each spread over all workers:
 *
 *      patches -> packed rows, for all workers        tokens = rows times panels (panel_linear.c)
 *
 * Prefix tokens have rows of 0, so that all tokens of all pictures are one product; they are
 * written over what it makes of them. If the memory holds fewer rows than there are, some are done
 * after the others.
 *
 * Neighbouring pixels are alike and the filters cancel them (wide_vec.h), but not what bf16x3
 * rounds away of each. So pixels are split into groups, and of a group x the mean m is taken away:
 *
 *      sum w x = sum w (x - m) + (m, m) . (A, B)       A + B = sum w
 *
 * m has the 16 bits that bf16x3 holds, A has 8, and B the next 16. Every row of patches ends with
 * the two m of every group, every filter with its A and B:
 *
 *      | x - m [k] | m m | m m | ...                   | w [k] | A B | A B | ...
 *
 * The filters are there twice: the gradient of the picture reads plain ones (patch_embed_bwd.c).
 *
 *      | plain [n,k] | up to 63 bytes | panels of bf16x3 |
 */
#include "kernels/bits.h"
#include "kernels/cpu/panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 8 }; /* that are packed at once, while they lie in the first cache */
enum { GROUP = VX_PATCH_GROUP };

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
    return (vx_weight){(const char *)w->data + plain_bytes(w->n, w->k), w->bias, w->n,
                       vx_patch_columns(w->k), panels};
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

typedef struct patch_run {
    vx_cpu *cpu;
    const vx_patch_embed *a;
    const vx_panel_form *form;
    size_t first;       /* token of those of all pictures where the rows at hand begin */
    int rows, each;     /* at hand; of a task */
    int across, tokens; /* patches in a row of patches; tokens of a picture */
    int columns;        /* of a packed patch */
} patch_run;

/* The patch of a token as [C,ph,pw]; 0 for a prefix token. */
static void copy_patch(const patch_run *r, float *to, size_t token)
{
    const vx_patch_embed *a = r->a;
    const size_t height = (size_t)a->height, width = (size_t)a->width;
    const size_t ph = (size_t)a->patch_height, pw = (size_t)a->patch_width;
    const size_t c = (size_t)a->channels, tokens = (size_t)r->tokens;
    const int patch = (int)(token % tokens) - a->prefix_count;
    if (patch < 0) {
        memset(to, 0, c * ph * pw * sizeof *to);
        return;
    }
    const float *from = a->image + token / tokens * c * height * width +
                        (size_t)(patch / r->across) * ph * width + (size_t)(patch % r->across) * pw;
    for (size_t i = 0; i < c; i++)
        for (size_t y = 0; y < ph; y++, to += pw)
            memcpy(to, from + (i * height + y) * width, pw * sizeof *to);
}

/* Takes the mean of every group away, and writes both m behind the k pixels. What is not finite is
 * left as it is, so that the row does not look like numbers. */
static void remove_means(float *row, int k)
{
    enum { LANES = 16 };
    float *mean = row + k;
    for (int first = 0; first < k; first += GROUP, mean += 2) {
        float lanes[LANES] = {0}, *x = row + first, sum = 0;
        const int n = vx_least(GROUP, k - first), whole = n / LANES * LANES;
        for (int i = 0; i < whole; i += LANES)
            for (int j = 0; j < LANES; j++)
                lanes[j] += x[i + j];
        for (int i = whole; i < n; i++)
            lanes[0] += x[i];
        for (int j = 0; j < LANES; j++)
            sum += lanes[j];
        const float m = vx_bits_float(vx_float_bits(sum / (float)n) & 0xffffff00u);
        mean[0] = mean[1] = isfinite(m) ? m : 0;
        for (int i = 0; i < n; i++)
            x[i] -= mean[0];
    }
}

static void pack_patches(void *arg, int index, int worker)
{
    const patch_run *r = arg;
    const int k = r->columns, end = vx_least((index + 1) * r->each, r->rows);
    const size_t row = vx_panel_apart(r->form, k);
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const int most = s.strip_floats / (size_t)k < ROWS ? (int)(s.strip_floats / (size_t)k) : ROWS;
    for (int i = index * r->each, m; i < end; i += m) {
        m = vx_least(most, end - i);
        for (int j = 0; j < m; j++) {
            float *patch = s.strip + (size_t)j * (size_t)k;
            copy_patch(r, patch, r->first + (size_t)(i + j));
            remove_means(patch, r->a->w->k);
        }
        vx_panel_pack_rows(
            r->cpu, r->form->number,
            &(vx_panel_rows){r->cpu->shared + (size_t)i * row, row, s.scales, s.strip, k, m, k});
    }
}

/* What a tile of the tokens still lacks: positions, and the prefix. */
static void complete(vx_cpu *cpu, const void *arg, vx_tile t)
{
    const patch_run *r = arg;
    const vx_patch_embed *a = r->a;
    const size_t d = (size_t)a->w->n, n0 = (size_t)t.n0;
    for (int i = 0, m; i < t.m; i += m) {
        const size_t at = r->first + (size_t)(t.m0 + i);
        const int token = (int)(at % (size_t)r->tokens), patch = token - a->prefix_count;
        float *y = a->y + at * d + n0;
        m = vx_least(t.m - i, patch < 0 ? 1 : r->tokens - token);
        if (patch < 0)
            memcpy(y, a->prefix + (size_t)token * d + n0, (size_t)t.n * sizeof *y);
        else if (a->pos)
            cpu->pieces.epilogue(&(vx_epilogue){.y = y,
                                                .c = y,
                                                .residual = a->pos + (size_t)patch * d + n0,
                                                .ldy = a->w->n,
                                                .ldc = a->w->n,
                                                .ldr = a->w->n,
                                                .act = VX_ACT_NONE,
                                                .m = m,
                                                .n = t.n});
    }
}

void vx_panel_patch_embed(vx_cpu *cpu, const vx_patch_embed *a)
{
    const vx_weight w = panels_of(a->w);
    const vx_device_env *env = &cpu->base.env;
    const int across = a->width / a->patch_width;
    patch_run r = {.cpu = cpu,
                   .a = a,
                   .form = vx_panel_form_of(&w),
                   .across = across,
                   .columns = w.k,
                   .tokens = a->prefix_count + a->height / a->patch_height * across};
    const size_t all = (size_t)a->batch * (size_t)r.tokens;
    const size_t fit = cpu->shared_bytes / vx_panel_apart(r.form, w.k);
    for (; r.first < all; r.first += (size_t)r.rows) {
        r.rows = (int)(all - r.first < fit ? all - r.first : fit);
        r.each = vx_ceil_div(vx_ceil_div(r.rows, 4 * env->workers), ROWS) * ROWS;
        env->parallel(pack_patches, &r, vx_ceil_div(r.rows, r.each), env->owner);
        vx_panel_linear(cpu,
                        &(vx_linear){.y = a->y + r.first * (size_t)w.n,
                                     .ldy = w.n,
                                     .x = (const float *)(const void *)cpu->shared,
                                     .ldx = w.k,
                                     .w = &w,
                                     .act = VX_ACT_NONE,
                                     .m = r.rows,
                                     .x_formed = 1},
                        complete, &r);
    }
}
