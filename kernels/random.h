/*
 * kernels/random.h: random numbers that are functions of a counter, for the processor and the GPU
 * alike (lib/base/random.h says which). C11 and C++17.
 *
 * Integers, and floating point in +, -, *, / and sqrt, each rounded: where no product and sum are
 * made one, the bits are the same everywhere.
 */
#ifndef VX_KERNELS_RANDOM_H
#define VX_KERNELS_RANDOM_H

#include <math.h>
#include <stdint.h>

/* What stands in front of a function; the kernels of a GPU say it in their way. */
#ifndef VX_RANDOM
#define VX_RANDOM static inline
#endif

/* Output `index` of SplitMix64 started with `seed`. Its finaliser is Stafford's variant 13 of
 * MurmurHash3's; the step is 2^64 over the golden ratio, odd. */
VX_RANDOM uint64_t vx_splitmix(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0,1), a multiple of 2^-53. */
VX_RANDOM double vx_uniform_of(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

/* ln x of x in (0,1), to 1e-10: the series of the inverse hyperbolic tangent at |s| <= 0.172. */
VX_RANDOM double vx_natural_log(double x)
{
    int exponent;
    double m = frexp(x, &exponent); /* [0.5,1) */
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    const double s = (m - 1) / (m + 1), q = s * s;
    const double series = 1 + q * (1. / 3 + q * (1. / 5 + q * (1. / 7 + q * (1. / 9 + q / 11))));
    return exponent * 0.69314718055994531 + 2 * s * series;
}

/* The normal distribution's inverse at 0.5 + q beyond |q| = 0.425. */
VX_RANDOM double vx_normal_tail(double q)
{
    const double r = sqrt(-vx_natural_log(q < 0 ? 0.5 + q : 0.5 - q));
    double x;
    if (r <= 5) {
        const double t = r - 1.6;
        x = (((1.7023821103e-1 * t + 1.3067284816) * t + 2.7568153900) * t + 1.4234372777) /
            ((1.2021132975e-1 * t + 7.3700164250e-1) * t + 1);
    } else {
        const double t = r - 5;
        x = (((1.7337203997e-2 * t + 4.2868294337e-1) * t + 3.0812263860) * t + 6.6579051150) /
            ((1.2258202635e-2 * t + 2.4197894225e-1) * t + 1);
    }
    return q < 0 ? -x : x;
}

/* Of the standard normal distribution. */
VX_RANDOM double vx_normal_of(uint64_t bits)
{
    /* (k + 1/2) 2^-52 - 1/2, exact: the place is never 0 or 1. */
    const double q = ((double)(bits >> 12) + 0.5) * 0x1p-52 - 0.5;
    if (fabs(q) > 0.425)
        return vx_normal_tail(q);
    const double r = 0.180625 - q * q;
    return q * (((5.9109374720e1 * r + 1.5929113202e2) * r + 5.0434271938e1) * r + 3.3871327179) /
           (((6.7187563600e1 * r + 7.8757757664e1) * r + 1.7895169469e1) * r + 1);
}

#endif
