/* base/dot.h: the sum of products of two vectors. */
#ifndef VX_BASE_DOT_H
#define VX_BASE_DOT_H

/* Four sums at once: the additions of one would wait for each other. */
static inline double vx_dot(const double *a, const double *b, int n)
{
    double sum[4] = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

#endif
