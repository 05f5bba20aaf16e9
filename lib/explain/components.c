/*
 * explain/components.c: see components.h.
 *
 *     m = mean of x,  S = sum (x - m)(x - m)^T,  S v = lambda v
 *
 * over all tokens x of all pictures. With d = x - o, o the first token, S is
 * sum d d^T - (sum d)(sum d)^T / count: everything in double, so that what is lost in the
 * difference does not matter.
 */
#include "explain/components.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "explain/lanczos.h"

enum { ROWS = 8 }; /* of the products in one task */

/* Beside the largest eigenvalue, one of this size is rounding. */
#define NO_SPREAD 1e-14

int vx_moments_create(vx_moments *m, int width, const vitx_hooks *hooks)
{
    const size_t d = (size_t)width;
    *m = (vx_moments){.width = width};
    /* One block: origin, sum, edge, products. */
    VX_TRY(vx_new(&m->origin, hooks, d + 3, d * sizeof *m->origin, "products of tokens"));
    m->sum = m->origin + d;
    m->edge = m->sum + d;
    m->products = m->edge + d;
    return VITX_OK;
}

void vx_moments_dispose(vx_moments *m, const vitx_hooks *hooks)
{
    vx_release(hooks, m->origin);
    *m = (vx_moments){0};
}

static bool is_edge(const vx_moments_share *share, int patch)
{
    const int row = patch / share->columns, column = patch % share->columns;
    return row == 0 || column == 0 || row == share->rows - 1 || column == share->columns - 1;
}

void vx_moments_begin(const vx_moments_share *share)
{
    vx_moments *m = share->to;
    const int patches = share->rows * share->columns;
    for (int c = 0; c < m->width && m->count == 0; c++)
        m->origin[c] = (double)share->tokens[c];
    for (int p = 0; p < patches; p++) {
        const float *token = share->tokens + (size_t)p * (size_t)m->width;
        const bool edge = is_edge(share, p);
        for (int c = 0; c < m->width; c++) {
            const double d = (double)token[c] - m->origin[c];
            m->sum[c] += d;
            m->edge[c] += edge ? d : 0;
        }
        m->edge_count += edge;
    }
    m->count += patches;
}

int vx_moments_tasks(const vx_moments *m)
{
    return (m->width + ROWS - 1) / ROWS;
}

/* Row r of the products gets one token's, from the diagonal on: the other half is the same. */
static void add_row(double *row, const vx_moments *m, const float *token, int r)
{
    const double left = (double)token[r] - m->origin[r];
    for (int c = r; c < m->width; c++)
        row[c] += left * ((double)token[c] - m->origin[c]);
}

void vx_moments_add(void *arg, int task, int worker)
{
    const vx_moments_share *share = arg;
    vx_moments *m = share->to;
    const size_t width = (size_t)m->width;
    const int patches = share->rows * share->columns, first = task * ROWS;
    const int end = first + ROWS < m->width ? first + ROWS : m->width;
    (void)worker;
    for (int p = 0; p < patches; p++)
        for (int r = first; r < end; r++)
            add_row(m->products + (size_t)r * width, m, share->tokens + (size_t)p * width, r);
}

/* S, both halves. */
static void fill_scatter(double *scatter, const vx_moments *m)
{
    const size_t width = (size_t)m->width;
    for (size_t r = 0; r < width; r++)
        for (size_t c = r; c < width; c++) {
            const double s = m->products[r * width + c] - m->sum[r] * m->sum[c] / (double)m->count;
            scatter[r * width + c] = scatter[c * width + r] = s;
        }
}

/* The largest weight by magnitude is positive, of equal ones the first. */
static void settle_sign(double *vector, int width)
{
    int peak = 0;
    for (int c = 1; c < width; c++)
        peak = fabs(vector[c]) > fabs(vector[peak]) ? c : peak;
    for (int c = 0; c < width && vector[peak] < 0; c++)
        vector[c] = c == peak ? vector[c] : -vector[c];
    vector[peak] = fabs(vector[peak]);
}

/* From eigenvalues to spreads; what is rounding becomes 0. */
static int settle(vx_components *c, const vx_moments *m)
{
    const double largest = c->spread[0];
    if (!isfinite(largest))
        return vx_fail(VITX_FORMAT, "the tokens hold a NaN or an infinity: the model's weights "
                                    "overflow in single precision");
    for (int k = 0; k < c->count; k++) {
        double *vector = c->vectors + (size_t)k * (size_t)c->width;
        const double lambda = c->spread[k];
        c->spread[k] = sqrt(fmax(lambda, 0) / (double)m->count);
        if (lambda > NO_SPREAD * largest && lambda > 1e-300) {
            settle_sign(vector, c->width);
            continue;
        }
        memset(vector, 0, (size_t)c->width * sizeof *vector);
        c->spread[k] = 0;
    }
    for (int i = 0; i < c->width; i++) {
        const double edge = m->edge[i] / (double)m->edge_count;
        c->mean[i] = m->origin[i] + m->sum[i] / (double)m->count;
        c->edge += (edge - m->sum[i] / (double)m->count) * c->vectors[i];
    }
    return VITX_OK;
}

int vx_components_find(vx_components *out, const vx_moments *m, int count, const vitx_hooks *hooks)
{
    const size_t width = (size_t)m->width, n = (size_t)count;
    double *scatter;
    *out = (vx_components){.width = m->width, .count = count};
    VX_TRY(vx_new(&scatter, hooks, width, width * sizeof *scatter, "products of tokens"));
    int status = vx_new(&out->mean, hooks, width * (n + 1) + n, sizeof *out->mean, "components");
    if (status == VITX_OK) {
        out->vectors = out->mean + width;
        out->spread = out->vectors + n * width;
        fill_scatter(scatter, m);
        status = vx_largest_eigenpairs(out->spread, out->vectors, count, scatter, m->width, hooks);
    }
    vx_release(hooks, scatter);
    if (status == VITX_OK)
        status = settle(out, m);
    if (status != VITX_OK)
        vx_components_dispose(out, hooks);
    return status;
}

void vx_components_dispose(vx_components *c, const vitx_hooks *hooks)
{
    vx_release(hooks, c->mean);
    *c = (vx_components){0};
}

void vx_components_project(double *out, const vx_components *c, const float *token)
{
    for (int k = 0; k < c->count; k++) {
        const double *vector = c->vectors + (size_t)k * (size_t)c->width;
        out[k] = 0;
        for (int i = 0; i < c->width; i++)
            out[k] += ((double)token[i] - c->mean[i]) * vector[i];
    }
}
