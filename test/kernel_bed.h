/*
 * test/kernel_bed.h: what the tests and the timing of kernels stand on.
 *
 * A `bed` is a device opened with some features withheld and some number of threads. Versions that
 * this machine lacks are skipped with a line.
 */
#ifndef VX_TEST_KERNEL_BED_H
#define VX_TEST_KERNEL_BED_H

#include <stdlib.h>

#include "base/pool.h"
#include "kernels/bits.h"
#include "kernels/cpu/cpu.h"
#include "kernels/device.h"
#include "kernels/profile.h"
#include "util.h"

/* Fewer cases of what differs in size alone. */
#define QUICK SANITIZED

/* ck_assert_msg() that tells Check nothing while it holds: --bench runs outside of Check. */
#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/*
 * With VX_TEST_CUDA (cuda_bed.h) the versions of the device cuda-host run on a GPU, and no others.
 * Operations are given memory that this program has asked for, so it must be memory that a GPU
 * reads and writes by the same address: it is the device's host_alloc then. What an operation gets
 * must not be an array of the stack or a static one, unless ops.h calls it host memory.
 */
void *bed_malloc(size_t bytes);
void *bed_calloc(size_t count, size_t bytes);
void bed_free(void *memory);
#ifndef VX_TEST_OWN_MALLOC
#define malloc bed_malloc
#define calloc bed_calloc
#define free bed_free
#endif

/* ------------------------------------------------------------------------------ the bed ---- */

enum { VERSIONS = 11, MOST_THREADS = 3, BEDS = VERSIONS * MOST_THREADS };
/* For loops over numbers of threads: one thread alone has no races. */
enum { LEAST_THREADS = SANITIZED_THREADS ? MOST_THREADS : 1 };

typedef struct bed {
    vx_device *dev;
    vx_pool *pool;
    int allocations_left; /* -1: any number */
    const struct version *version;
    vx_profile *profile; /* of a GPU: it waits for each operation */
} bed;

struct version {
    const char *name, *device;
    unsigned features;
    const char *must_say[2]; /* what dev->kernels holds where the version is there */
};
extern const struct version versions[VERSIONS];
/* Whether of[index] tells nothing new: to this processor it is one that stands before it. Under the
 * thread sanitizer also if it is not all that the device has: whatever the instructions, threads
 * share work in the same way. */
bool repeats(const struct version *of, int index);
extern const vx_dims largest;

vx_device_env bed_env(bed *b);
/* The class that serves a version, or of the name "cuda-host": the GPU's, if one is wished. */
const vx_device_class *bed_class(const char *device);
/* Opens b->dev with b's threads, and reserves; on a GPU it waits for each operation. */
void bed_device(bed *b, const char *precision, unsigned features, const vx_dims *dims);
/* Index 0..BEDS-1 runs over the versions and 1 to 3 threads. false: this machine lacks the
 * version. */
bool bed_open(bed *b, int index, const vx_dims *dims);
void bed_close(bed *b);

/* ----------------------------------------------------------------------- guarded memory ---- */

/* Outputs lie between guards and begin at no particular alignment; what nobody writes keeps its
 * pattern, a NaN that no computation gives. Inputs are exactly as large as they are, for the
 * address sanitizer. */
void *output(size_t bytes);
float *output_f32(size_t n);
float *copied(const float *x, size_t n);
bool untouched(float x);
void check_guards(const char *what);
void free_outputs(void);

/* What numbers an input holds. */
enum kind { NORMAL, LARGE, TINY, CONSTANT, OFFSET, MASKED, KINDS };
float *input(rng *r, size_t n, enum kind kind);
float *weights(rng *r, size_t n, float scale);

/* A matrix [n,k] in two parts in the device's own form, in output memory. The reference takes
 * `w`. */
vx_weight packed_weight(const bed *b, vx_layer layer, const float *w, const float *bias, int n,
                        int k);

/* Both NaN, the same infinity, or within `tolerance` of the larger of |b| and `floor`. */
void check_close(const float *a, const float *b, size_t n, double tolerance, double floor,
                 const char *what);

/* nmse_ff, but a single element may be small because its terms cancel: they are of size 1. */
double product_error(const float *a, const float *b, size_t n);
/* Every row of a product is near, and nothing was written between them. */
void check_products(const float *y, const float *expected, int rows, int columns, int ld,
                    const char *what);

/* "cpu, avx2, 3 threads: ..." in a buffer that the next call reuses. */
const char *say(const bed *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum { SIZES = 5 };
extern const int sizes[SIZES]; /* odd ones, rising */

/* test_softmax__matches_reference and so on: the operation of one bed against the reference. */
#define VX_OP(name) void test_##name##__matches_reference(int index);
#include "kernels/ops.def"
#undef VX_OP

/* test_kernels --bench: times what holds the word in its name or version (kernel_bench.c). */
int kernel_bench(const char *word);

/* A table for token 0 and a grid of the others, as square as it can be; no table if there are no
 * others. */
vx_relative relative_positions(rng *r, int tokens, int heads);
void free_relative(const vx_relative *relative);

#endif
