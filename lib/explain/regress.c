/* explain/regress.c: see regress.h. */
#include "explain/regress.h"

#include <math.h>

/* A pivot so far below its own diagonal is rounding. */
#define LEAST_PIVOT 1e-12

int vx_regress_create(vx_regress *out, int n, const vitx_hooks *hooks)
{
    const size_t count = (size_t)n;
    size_t square;
    *out = (vx_regress){.n = n, .hooks = hooks};
    if (!vx_mul_size(&square, count, count))
        return vx_fail(VITX_NOMEM, "a regression on %d patches is more than can be counted", n);
    VX_TRY(vx_new(&out->gram, hooks, square, sizeof *out->gram, "normal equations"));
    VX_TRY(vx_new(&out->right, hooks, count, sizeof *out->right, "normal equations"));
    return vx_new(&out->ones, hooks, count, sizeof *out->ones, "normal equations");
}

void vx_regress_dispose(vx_regress *r)
{
    if (!r->hooks)
        return;
    vx_release(r->hooks, r->gram);
    vx_release(r->hooks, r->right);
    vx_release(r->hooks, r->ones);
}

static double *row_of(const vx_regress *r, int i)
{
    return r->gram + (size_t)i * (size_t)r->n;
}

void vx_regress_add(vx_regress *r, const unsigned char *z, double weight, double y)
{
    int count = 0;
    for (int i = 0; i < r->n; i++)
        if (z[i])
            r->ones[count++] = i;
    for (int a = 0; a < count; a++) {
        double *row = row_of(r, r->ones[a]);
        for (int b = 0; b <= a; b++)
            row[r->ones[b]] += weight;
        r->right[r->ones[a]] += weight * y;
    }
    r->weight += weight;
    r->sum += weight * y;
}

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* gram = L L^T in place, of its first m rows. */
static int factor(vx_regress *r, int m)
{
    for (int i = 0; i < m; i++) {
        double *row = row_of(r, i);
        const double diagonal = row[i];
        for (int j = 0; j < i; j++)
            row[j] = (row[j] - dot(row, row_of(r, j), j)) / row_of(r, j)[j];
        const double pivot = diagonal - dot(row, row, i);
        if (!(pivot > LEAST_PIVOT * diagonal))
            return vx_fail(VITX_INVALID, "the samples do not tell the patches apart: take more");
        row[i] = sqrt(pivot);
    }
    return VITX_OK;
}

/* gram x = right for the first m. */
static int solve(vx_regress *r, int m, double *x)
{
    VX_TRY(factor(r, m));
    for (int i = 0; i < m; i++)
        x[i] = (r->right[i] - dot(row_of(r, i), x, i)) / row_of(r, i)[i];
    for (int i = m - 1; i >= 0; i--) {
        x[i] /= row_of(r, i)[i];
        for (int j = 0; j < i; j++)
            x[j] -= row_of(r, i)[j] * x[i];
    }
    return VITX_OK;
}

int vx_regress_ridge(vx_regress *r, double alpha, double *beta)
{
    /* Less the weighted means, the intercept is gone: sum w (z - m)(z - m)^T = gram - s s^T / W
     * with s = sum w z, which is the diagonal and so taken before it changes. */
    for (int i = 0; i < r->n; i++)
        beta[i] = row_of(r, i)[i];
    for (int i = 0; i < r->n; i++) {
        for (int j = 0; j <= i; j++)
            row_of(r, i)[j] -= beta[i] * beta[j] / r->weight;
        row_of(r, i)[i] += alpha;
        r->right[i] -= beta[i] * r->sum / r->weight;
    }
    return solve(r, r->n, beta);
}

int vx_regress_with_sum(vx_regress *r, double total, double *beta)
{
    /* beta_last = total - the others, so z_i becomes z_i - z_last and y becomes y - total
     * z_last. */
    const int last = r->n - 1;
    const double *tail = row_of(r, last);
    for (int i = 0; i < last; i++) {
        for (int j = 0; j <= i; j++)
            row_of(r, i)[j] += tail[last] - tail[i] - tail[j];
        r->right[i] -= r->right[last] + total * (tail[i] - tail[last]);
    }
    VX_TRY(solve(r, last, beta));
    beta[last] = total;
    for (int i = 0; i < last; i++)
        beta[last] -= beta[i];
    return VITX_OK;
}
