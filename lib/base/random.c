/* base/random.c: see random.h; kernels/random.h has the arithmetic. */
#include "base/random.h"

#include "kernels/random.h"

uint64_t vx_random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    return vx_splitmix(vx_splitmix(seed, stream), index);
}

double vx_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return vx_uniform_of(vx_random_bits(seed, stream, index));
}

double vx_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    return vx_normal_of(vx_random_bits(seed, stream, index));
}

void vx_random_normals(float *out, uint64_t seed, uint64_t stream, uint64_t first, size_t count)
{
    const uint64_t start = vx_splitmix(seed, stream);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)vx_normal_of(vx_splitmix(start, first + i));
}
