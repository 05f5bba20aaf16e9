/*
 * products.c: the matrix products of a ViT's forward pass, done by OpenBLAS alone with threads of
 * its own: what is left of a forward pass when everything but the products is free. To be held
 * beside `vitx-cli bench` of the same sizes in the same minute.
 *
 *     build/products [BATCH [THREADS [WIDTH DEPTH HEADS HIDDEN TOKENS]]]
 *     default: ViT-B/16, 1, 2
 *
 * Built by `make build/products`; links OpenBLAS directly, unlike the library.
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

extern void openblas_set_num_threads(int threads);
extern char *openblas_get_corename(void);

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* y [m,n] = x [m,k] w [n,k]^T */
static void linear(float *y, const float *x, const float *w, int m, int n, int k)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, x, k, w, k, 0, y, n);
}

typedef struct sizes {
    int batch, width, depth, heads, hidden, tokens;
} sizes;

/* Every product of one forward pass; each block has weights of its own, as in a model. */
static void forward(const sizes *s, const float *x, float *y, float *p, const float *weights)
{
    const int m = s->batch * s->tokens, d = s->width, f = s->hidden, t = s->tokens,
              e = d / s->heads;
    const float *w = weights;
    linear(y, x, w, s->batch * (t - 1), d, d); /* patches of 16x16x3 */
    for (int l = 0; l < s->depth; l++) {
        linear(y, x, w, m, 3 * d, d);
        w += (size_t)3 * (size_t)d * (size_t)d;
        for (int b = 0; b < s->batch; b++)
            for (int h = 0; h < s->heads; h++) {
                const float *q = x + (size_t)b * (size_t)t * 3 * (size_t)d + (size_t)h * (size_t)e;
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, t, e, 1, q, 3 * d, q + d,
                            3 * d, 0, p, t);
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, t, e, t, 1, p, t, q + 2 * d,
                            3 * d, 0, y + (size_t)b * (size_t)t * (size_t)d + (size_t)h * (size_t)e,
                            d);
            }
        linear(y, x, w, m, d, d);
        w += (size_t)d * (size_t)d;
        linear(y, x, w, m, f, d);
        w += (size_t)f * (size_t)d;
        linear(y, x, w, m, d, f);
        w += (size_t)f * (size_t)d;
    }
}

static float *filled(size_t count)
{
    float *p = malloc(count * sizeof *p);
    for (size_t i = 0; p && i < count; i++)
        p[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000 - 1;
    return p;
}

int main(int argc, char **argv)
{
    int v[7] = {1, 2, 768, 12, 12, 3072, 197};
    for (int i = 1; i < argc && i <= 7; i++)
        v[i - 1] = atoi(argv[i]);
    const sizes s = {v[0], v[2], v[3], v[4], v[5], v[6]};
    const size_t rows = (size_t)s.batch * (size_t)s.tokens, d = (size_t)s.width,
                 f = (size_t)s.hidden;
    const size_t wide = 3 * d > f ? 3 * d : f;
    float *x = filled(rows * wide), *y = filled(rows * wide),
          *p = filled((size_t)s.tokens * (size_t)s.tokens);
    float *w = filled((size_t)s.depth * (4 * d * d + 2 * d * f));
    double times[30];
    int runs = 0;
    if (!x || !y || !p || !w)
        return 1;
    openblas_set_num_threads(v[1]);
    forward(&s, x, y, p, w);
    for (const double start = seconds(); runs < 5 || (runs < 30 && seconds() < start + 4); runs++) {
        const double begin = seconds();
        forward(&s, x, y, p, w);
        times[runs] = seconds() - begin;
    }
    qsort(times, (size_t)runs, sizeof times[0], compare);
    printf("products of a forward pass, width %d, depth %d, batch %d, %d threads, OpenBLAS %s: "
           "median %.1f ms, min %.1f ms\n",
           s.width, s.depth, s.batch, v[1], openblas_get_corename(), times[runs / 2] * 1e3,
           times[0] * 1e3);
    free(x), free(y), free(p), free(w);
    return 0;
}
