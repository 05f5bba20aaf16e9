/*
 * explain/lanczos.c: the Lanczos iteration with full reorthogonalisation (Golub & Van Loan 2013,
 * section 10.1), started again from its best vector where many steps were not enough.
 *
 *     A V_k = V_k T_k + b_k v_{k+1} e_k^T,   T_k tridiagonal: diagonal a, beside it b
 *
 * The largest eigenvalue of T_k approaches that of A, with the residual b_k |z_k|, z its vector.
 * Where k reaches n, or b_k vanishes, it is exact.
 */
#include "explain/lanczos.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "base/dot.h"

#define STEPS 256 /* of one start: a grid of 16 x 16 is exact */
#define STARTS 16
#define TOLERANCE 1e-11

/* Everything of one iteration; vectors of n, basis [steps,n]. */
typedef struct lanczos {
    const float *matrix; /* or */
    const double *wide;
    const double *found; /* [found_count,n]: all is orthogonal to these vectors */
    int found_count;
    int n, steps;
    double *basis, *next;
    double a[STEPS], b[STEPS], z[STEPS];
    double down[STEPS], up[STEPS]; /* pivots of vector_of */
} lanczos;

/* y += scale * x */
static void add(double *y, const double *x, double scale, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += scale * x[i];
}

static void multiply(double *y, const lanczos *l, const double *x)
{
    const int n = l->n;
    for (int i = 0; i < n && l->wide; i++)
        y[i] = vx_dot(l->wide + (size_t)i * (size_t)n, x, n);
    if (l->wide)
        return;
    for (int i = 0; i < n; i++) {
        const float *row = l->matrix + (size_t)i * (size_t)n;
        double sum[4] = {0};
        int j = 0;
        for (; j + 4 <= n; j += 4)
            for (int k = 0; k < 4; k++)
                sum[k] += row[j + k] * x[j + k];
        for (; j < n; j++)
            sum[0] += row[j] * x[j];
        y[i] = sum[0] + sum[1] + (sum[2] + sum[3]);
    }
}

static double *vector(const lanczos *l, int k)
{
    return l->basis + (size_t)k * (size_t)l->n;
}

/* x / |x| */
static void normalise(double *x, int n)
{
    const double length = sqrt(vx_dot(x, x, n));
    for (int i = 0; i < n; i++)
        x[i] /= length;
}

/* Takes the found vectors' parts out of x. */
static void leave_found(double *x, const lanczos *l)
{
    for (int j = 0; j < l->found_count; j++) {
        const double *v = l->found + (size_t)j * (size_t)l->n;
        add(x, v, -vx_dot(x, v, l->n), l->n);
    }
}

/* Numbers that no picture's tokens are orthogonal to: splitmix64 of the index, -1 to 1. */
static void start(double *x, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t h = ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
        h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
        h = (h ^ h >> 27) * 0x94d049bb133111ebu;
        x[i] = (double)((h ^ h >> 31) >> 11) * 0x1p-52 - 1;
    }
    normalise(x, n);
}

/* Step k: a[k], b[k], and the next vector, unless there is none. */
static void step(lanczos *l, int k)
{
    const int n = l->n;
    double *w = l->next;
    multiply(w, l, vector(l, k));
    l->a[k] = vx_dot(w, vector(l, k), n);
    for (int twice = 0; twice < 2; twice++) {
        leave_found(w, l);
        for (int j = 0; j <= k; j++)
            add(w, vector(l, j), -vx_dot(w, vector(l, j), n), n);
    }
    l->b[k] = sqrt(vx_dot(w, w, n));
    for (int i = 0; i < n && k + 1 < l->steps && l->b[k] > 0; i++)
        vector(l, k + 1)[i] = w[i] / l->b[k];
}

/* Whether every eigenvalue of T [count] lies below x: all pivots of T - x are negative. */
static bool all_below(const lanczos *l, int count, double x)
{
    double pivot = l->a[0] - x;
    for (int k = 1; k < count && pivot < 0; k++)
        pivot = l->a[k] - x - l->b[k - 1] * l->b[k - 1] / pivot;
    return pivot < 0;
}

/* The smallest number above all eigenvalues of T, by bisection. */
static double largest_of(const lanczos *l, int count)
{
    double low = l->a[0], size = 0;
    for (int k = 0; k < count; k++) {
        const double around = (k > 0 ? l->b[k - 1] : 0) + (k + 1 < count ? l->b[k] : 0);
        low = fmax(low, l->a[k]);
        size = fmax(size, fabs(l->a[k]) + around);
    }
    double high = size * (1 + 4 * DBL_EPSILON) + DBL_MIN;
    for (double middle = (low + high) / 2; middle > low && middle < high;
         middle = (low + high) / 2) {
        if (all_below(l, count, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Its vector z, of length 1: T - lambda factored from both ends, meeting where the pivot is nearest
 * to 0 (Parlett & Dhillon 1997). lambda lies above all eigenvalues, so no pivot is 0 before. */
static void vector_of(lanczos *l, int count, double lambda)
{
    double *const down = l->down, *const up = l->up;
    int meet = 0;
    for (int k = 0; k < count; k++)
        down[k] = l->a[k] - lambda - (k > 0 ? l->b[k - 1] * l->b[k - 1] / down[k - 1] : 0);
    for (int k = count - 1; k >= 0; k--)
        up[k] = l->a[k] - lambda - (k + 1 < count ? l->b[k] * l->b[k] / up[k + 1] : 0);
    for (int k = 1; k < count; k++)
        if (fabs(down[k] + up[k] - l->a[k] + lambda) <
            fabs(down[meet] + up[meet] - l->a[meet] + lambda))
            meet = k;
    l->z[meet] = 1;
    for (int k = meet - 1; k >= 0; k--)
        l->z[k] = -l->b[k] / down[k] * l->z[k + 1];
    for (int k = meet + 1; k < count; k++)
        l->z[k] = -l->b[k - 1] / up[k] * l->z[k - 1];
    normalise(l->z, count);
}

/* Steps from vector 0 until the residual is small, or there are no more. Leaves z, `count` long. */
static bool iterate(lanczos *l, double *lambda, int *count)
{
    double size = 0; /* of the eigenvalues met so far */
    for (int k = 0; k < l->steps; k++) {
        step(l, k);
        *count = k + 1;
        if (!isfinite(l->a[k]) || !isfinite(l->b[k])) {
            *lambda = NAN;
            return true;
        }
        size = fmax(size, fabs(l->a[k]));
        const bool end = l->b[k] <= TOLERANCE * size || k + 1 == l->n - l->found_count;
        if (!end && k % 4 != 3 && k + 1 < l->steps)
            continue;
        *lambda = largest_of(l, k + 1);
        vector_of(l, k + 1, *lambda);
        if (end || l->b[k] * fabs(l->z[k]) <= TOLERANCE * fmax(size, fabs(*lambda)))
            return true;
    }
    return false;
}

/* From the matrix to one pair; u [n]. */
static int find_pair(lanczos *l, double *lambda, double *u, const vitx_hooks *hooks)
{
    const int n = l->n, free = n - l->found_count;
    l->steps = free < STEPS ? free : STEPS;
    VX_TRY(vx_new(&l->basis, hooks, (size_t)l->steps + 1, (size_t)n * sizeof(double),
                  "Lanczos vectors"));
    l->next = vector(l, l->steps);
    start(vector(l, 0), n);
    for (int twice = 0; twice < 2 && l->found_count > 0; twice++) {
        leave_found(vector(l, 0), l);
        normalise(vector(l, 0), n);
    }
    bool done = false;
    for (int i = 0; i < STARTS && !done; i++) {
        int count = 0;
        done = iterate(l, lambda, &count);
        for (int k = 0; k < n; k++)
            u[k] = isnan(*lambda) ? NAN : 0;
        for (int k = 0; k < count; k++)
            add(u, vector(l, k), l->z[k], n);
        normalise(u, n);
        for (int k = 0; k < n; k++)
            vector(l, 0)[k] = u[k];
    }
    vx_release(hooks, l->basis);
    return VITX_OK;
}

int vx_largest_eigenpair(double *lambda, double *u, const float *matrix, int n,
                         const vitx_hooks *hooks)
{
    lanczos l = {.matrix = matrix, .n = n};
    return find_pair(&l, lambda, u, hooks);
}

int vx_largest_eigenpairs(double *lambdas, double *vectors, int count, const double *matrix, int n,
                          const vitx_hooks *hooks)
{
    lanczos l = {.wide = matrix, .n = n, .found = vectors};
    for (; l.found_count < count; l.found_count++)
        VX_TRY(find_pair(&l, &lambdas[l.found_count], vectors + (size_t)l.found_count * (size_t)n,
                         hooks));
    return VITX_OK;
}
