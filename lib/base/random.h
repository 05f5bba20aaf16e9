/*
 * base/random.h: random numbers that are functions of where they stand.
 *
 * A number is made of (seed, stream, index) and of nothing before it: sample 17 of a method can be
 * made alone, by any worker, in any batch. A method takes a stream per sample and an index per
 * value.
 *
 * bits(seed, stream, index) is output `index` of SplitMix64 started with output `stream` of
 * SplitMix64 started with `seed` (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
 * generators"; its outputs are a function of a counter). Not for secrets.
 *
 * The same on every machine: integers, and floating point in +, -, *, / and sqrt alone, without
 * libm's log or cos. Only a compiler that fuses multiplication and addition may change the last
 * bits of vx_random_normal.
 */
#ifndef VX_BASE_RANDOM_H
#define VX_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t vx_random_bits(uint64_t seed, uint64_t stream, uint64_t index);

/* In [0,1), a multiple of 2^-53. */
double vx_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Of the standard normal distribution: its inverse (Wichura 1988, algorithm AS 241, PPND7: good to
 * about 1e-7 of the value) at a uniform place inside (0,1). |value| < 8.3. */
double vx_random_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* out[i] = (float)vx_random_normal(seed, stream, first + i), i = 0..count-1. */
void vx_random_normals(float *out, uint64_t seed, uint64_t stream, uint64_t first, size_t count);

#endif
