/* base/random.c: see random.h. */
#include "base/random.h"

#include <math.h>

#define GAMMA 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio, odd */

/* SplitMix64's finaliser: Stafford's variant 13 of MurmurHash3's. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Output `index` of SplitMix64 started with `seed`. */
static uint64_t output(uint64_t seed, uint64_t index)
{
    return mix(seed + (index + 1) * GAMMA);
}

uint64_t vx_random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    return output(output(seed, stream), index);
}

double vx_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(vx_random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

/* ln x of x in (0,1), to 1e-10: the series of the inverse hyperbolic tangent at |s| <= 0.172. */
static double natural_log(double x)
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
static double inverse_tail(double q)
{
    const double r = sqrt(-natural_log(q < 0 ? 0.5 + q : 0.5 - q));
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

static double normal(uint64_t bits)
{
    /* (k + 1/2) 2^-52 - 1/2, exact: the place is never 0 or 1. */
    const double q = ((double)(bits >> 12) + 0.5) * 0x1p-52 - 0.5;
    if (fabs(q) > 0.425)
        return inverse_tail(q);
    const double r = 0.180625 - q * q;
    return q * (((5.9109374720e1 * r + 1.5929113202e2) * r + 5.0434271938e1) * r + 3.3871327179) /
           (((6.7187563600e1 * r + 7.8757757664e1) * r + 1.7895169469e1) * r + 1);
}

double vx_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    return normal(vx_random_bits(seed, stream, index));
}

void vx_random_normals(float *out, uint64_t seed, uint64_t stream, uint64_t first, size_t count)
{
    const uint64_t start = output(seed, stream);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)normal(output(start, first + i));
}
