/* test/kernel_bed.c: see kernel_bed.h. */
#define VX_TEST_OWN_MALLOC
#include "cuda_bed.h"
#include "kernel_bed.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------ the bed ---- */

const struct version versions[VERSIONS] = {
    {"cpu, all", "cpu", VX_FEATURES_ALL, {"", ""}},
    {"cpu, avx512, BLAS", "cpu", VX_CPU_AVX512 | VX_CPU_AVX2 | VX_CPU_BLAS, {"avx512", "OpenBLAS"}},
    {"cpu, avx2, BLAS", "cpu", VX_CPU_AVX2 | VX_CPU_BLAS, {"avx2", "OpenBLAS"}},
    {"cpu, avx512", "cpu", VX_CPU_AVX512 | VX_CPU_AVX2, {"avx512", "own"}},
    {"cpu, avx2", "cpu", VX_CPU_AVX2, {"avx2", "own"}},
    {"cpu, baseline", "cpu", 0, {"baseline", "own"}},
    {"cuda-host, all", "cuda-host", VX_FEATURES_ALL, {"cuBLASLt", ", tensor cores"}},
    {"cuda-host, cuBLASLt", "cuda-host", VX_CUDA_BLAS, {"cuBLASLt", "no tensor cores"}},
    {"cuda-host, tensor cores", "cuda-host", VX_CUDA_MMA, {"own products", ", tensor cores"}},
    {"cuda-host, plain", "cuda-host", 0, {"own products", "no tensor cores"}},
    {"ref", "ref", VX_FEATURES_ALL, {"scalar", ""}},
};

/* ------------------------------------------------------- memory that a GPU reads, too ---- */

/* Taken at once, since such memory is slow to take, and given out one piece behind the other. It
 * begins anew when all pieces are free, which they are between two cases. */
enum { SHARED_BYTES = 1 << 28 };
static struct shared {
    char *memory;
    size_t used;
    int pieces;
} shared;

static void share_memory(const vx_device_class *cls)
{
    const vx_device_env env = {.ordinal = 0};
    if (shared.memory)
        return;
    expect(cls->host_alloc != NULL, "the device has no memory that both reach");
    shared.memory = cls->host_alloc(SHARED_BYTES, &env);
    expect(shared.memory != NULL, "no memory that both reach");
}

static bool is_shared(const void *memory)
{
    const uintptr_t at = (uintptr_t)memory, first = (uintptr_t)shared.memory;
    return shared.memory && at >= first && at < first + SHARED_BYTES;
}

void *bed_malloc(size_t bytes)
{
    if (!shared.memory)
        return malloc(bytes);
    const size_t whole = (bytes + 63) / 64 * 64 + 64; /* no two pieces touch */
    expect(whole <= SHARED_BYTES - shared.used, "more than %d bytes at once", SHARED_BYTES);
    void *memory = shared.memory + shared.used;
    shared.used += whole;
    shared.pieces++;
    return memory;
}

void *bed_calloc(size_t count, size_t bytes)
{
    if (!shared.memory)
        return calloc(count, bytes);
    return memset(bed_malloc(count * bytes), 0, count * bytes);
}

void bed_free(void *memory)
{
    if (!is_shared(memory))
        free(memory);
    else if (--shared.pieces == 0)
        shared.used = 0;
}

/* ------------------------------------------------------------------------- a bed's own ---- */

static void *bed_alloc(size_t bytes, void *owner)
{
    bed *b = owner;
    if (b->allocations_left == 0)
        return NULL;
    b->allocations_left -= b->allocations_left > 0;
    return bed_malloc(bytes);
}

static void bed_release(void *memory, void *owner)
{
    (void)owner;
    bed_free(memory);
}

static void bed_parallel(void (*task)(void *, int, int), void *arg, int count, void *owner)
{
    vx_pool_run(((bed *)owner)->pool, task, arg, count);
}

vx_device_env bed_env(bed *b)
{
    return (vx_device_env){.alloc = bed_alloc,
                           .release = bed_release,
                           .parallel = bed_parallel,
                           .owner = b,
                           .workers = vx_pool_threads(b->pool)};
}

const vx_dims largest = {.batch = 3,
                         .tokens = 197,
                         .width = 192,
                         .heads = 12,
                         .head_width = 64,
                         .hidden = 768,
                         .channels = 3,
                         .patch_height = 16,
                         .patch_width = 16,
                         .classes = 1000};

/* The twin asks nobody's threads: once is enough. A sanitizer watches test_cuda, test_cuda_small
 * and test_cuda_attention, which have every operation, and one version here; that of threads
 * none. */
static bool twin_serves(int index)
{
    const bool all = versions[index / MOST_THREADS].features == VX_FEATURES_ALL;
    return index % MOST_THREADS == 0 && !SANITIZED_THREADS && (all || !SANITIZED);
}

const vx_device_class *bed_class(const char *device)
{
    const bool gpu = cuda_wished() && strcmp(device, "cuda-host") == 0;
    const vx_device_class *cls = gpu ? cuda_class() : vx_device_find(device);
    expect(cls != NULL, "no device %s", device);
    return cls;
}

void bed_device(bed *b, const char *precision, unsigned features, const vx_dims *dims)
{
    char err[200] = "";
    const vx_device_env env = bed_env(b);
    const vx_device_class *cls = bed_class(b->version->device);
    if (cuda_wished())
        share_memory(cls);
    expect(cls->open(&b->dev, &env, precision, features, err, sizeof err) == 0, "%s", err);
    expect(cls->reserve(b->dev, dims, err, sizeof err) == 0, "%s", err);
    if (!cuda_wished())
        return;
    b->profile = bed_malloc(sizeof *b->profile);
    vx_profile_begin(b->dev, b->profile);
}

static void close_device(bed *b)
{
    vx_profile_end(b->dev);
    bed_free(b->profile);
    b->dev->cls->close(b->dev);
    vx_pool_free(b->pool);
}

static bool same_here(const struct version *a, const struct version *b)
{
    const unsigned here = vx_cpu_features() | VX_CPU_BLAS;
    return strcmp(a->device, "cpu") == 0 && strcmp(b->device, "cpu") == 0 &&
           (a->features & here) == (b->features & here);
}

bool repeats(const struct version *of, int index)
{
    const unsigned here = vx_cpu_features() | VX_CPU_BLAS;
    const bool all = of[index].features == VX_FEATURES_ALL;
    if (SANITIZED_THREADS && !all)
        return true;
    if (!all && of[index].features & ~here && strcmp(of[index].device, "cpu") == 0)
        return false; /* it is not here at all: who opens it says so */
    for (int i = 0; i < index; i++)
        if (same_here(&of[i], &of[index]))
            return true;
    return false;
}

bool bed_open(bed *b, int index, const vx_dims *dims)
{
    vitx_hooks hooks;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    if (SANITIZED && index % MOST_THREADS == 1) /* three threads go every way that two go */
        return false;
    if (repeats(versions, index / MOST_THREADS))
        return false;
    *b = (bed){.allocations_left = -1, .version = &versions[index / MOST_THREADS]};
    const bool cuda = strcmp(b->version->device, "cuda-host") == 0;
    if (strcmp(b->version->device, "ref") == 0 && index % MOST_THREADS)
        return false; /* it has no threads */
    if ((cuda && !twin_serves(index)) || (!cuda && cuda_wished()))
        return false;
    expect(vx_pool_create(&b->pool, &hooks, 1 + index % MOST_THREADS) == 0, "no threads");
    bed_device(b, "f32", b->version->features, dims);
    if (strstr(b->dev->kernels, b->version->must_say[0]) &&
        strstr(b->dev->kernels, b->version->must_say[1]))
        return true;
    if (index % MOST_THREADS == 0)
        printf("skipped: \"%s\" is not on this machine (%s)\n", b->version->name, b->dev->kernels);
    close_device(b);
    return false;
}

void bed_close(bed *b)
{
    char err[200];
    expect(b->dev->cls->sync(b->dev, err, sizeof err) == 0, "%s", err);
    expect(!b->profile || !b->profile->failed, "%s", b->profile->why);
    close_device(b);
}

/* ----------------------------------------------------------------------- guarded memory ---- */

enum { GUARD = 37, MOST_BLOCKS = 48 };
static const uint32_t pattern = 0x7fa5c3e1u;
static struct block {
    uint32_t *memory;
    size_t words;
} blocks[MOST_BLOCKS];
static int block_count;

/* Memory of a device, for packed weights: it guards that itself. */
static struct site_block {
    void *memory;
    const vx_device_class *cls;
    int ordinal;
} site_blocks[MOST_BLOCKS];
static int site_block_count;

static void *site_output(const bed *b, size_t bytes)
{
    const vx_device_env env = bed_env((bed *)(uintptr_t)b);
    const vx_device_class *cls = b->dev->cls;
    expect(site_block_count < MOST_BLOCKS, "too many packed weights");
    void *memory = cls->mem_alloc(bytes, &env);
    expect(memory != NULL, "no memory");
    site_blocks[site_block_count++] = (struct site_block){memory, cls, env.ordinal};
    return memory;
}

void *output(size_t bytes)
{
    expect(block_count < MOST_BLOCKS, "too many outputs");
    struct block *b = &blocks[block_count++];
    b->words = (bytes + 3) / 4;
    b->memory = bed_malloc((b->words + 2 * GUARD) * 4);
    expect(b->memory != NULL, "no memory");
    for (size_t i = 0; i < b->words + 2 * GUARD; i++)
        b->memory[i] = pattern;
    return b->memory + GUARD;
}

float *output_f32(size_t n)
{
    return output(n * sizeof(float));
}

float *copied(const float *x, size_t n)
{
    float *y = output_f32(n);
    memcpy(y, x, n * sizeof *y);
    return y;
}

bool untouched(float x)
{
    return vx_float_bits(x) == pattern;
}

void check_guards(const char *what)
{
    for (int i = 0; i < block_count; i++)
        for (size_t j = 0; j < GUARD; j++) {
            const uint32_t *after = blocks[i].memory + GUARD + blocks[i].words;
            expect(blocks[i].memory[j] == pattern && after[j] == pattern,
                   "%s wrote outside its output", what);
        }
}

void free_outputs(void)
{
    while (block_count)
        bed_free(blocks[--block_count].memory);
    while (site_block_count) {
        const struct site_block *s = &site_blocks[--site_block_count];
        const vx_device_env env = {.release = bed_release, .ordinal = s->ordinal};
        s->cls->mem_free(s->memory, &env);
    }
}

static float draw(rng *r, enum kind kind)
{
    const float x = rng_normal(r);
    switch (kind) {
    case LARGE:
        return x * 1e18f;
    case TINY:
        return x * 1e-40f;
    case CONSTANT:
        return 1234.567f;
    case OFFSET:
        return 1e4f + x;
    case MASKED:
        return rng_int(r, 0, 3) ? x : -1e30f;
    default:
        return x * 2;
    }
}

float *input(rng *r, size_t n, enum kind kind)
{
    float *x = bed_malloc(n * sizeof *x + (n == 0));
    expect(x != NULL, "no memory");
    for (size_t i = 0; i < n; i++)
        x[i] = draw(r, kind);
    return x;
}

float *weights(rng *r, size_t n, float scale)
{
    float *x = input(r, n, NORMAL);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    return x;
}

vx_weight packed_weight(const bed *b, vx_layer layer, const float *w, const float *bias, int n,
                        int k)
{
    char err[200];
    const vx_device_class *cls = b->dev->cls;
    const vx_packing *packing = cls->packing_for(cls->precision_at(0), layer, 0);
    const size_t bytes = packing->bytes(n, k);
    /* It copies to its own memory alone. */
    const bool own = strcmp(b->version->device, "cuda-host") == 0;
    const vx_weight packed = {
        own ? site_output(b, bytes) : output(bytes), bias, n, k, packing, NULL};
    const int half = n / 2 / packing->panel * packing->panel; /* whole panels */
    const float *rest = w + (size_t)half * (size_t)k;
    const vx_device_env env = bed_env((bed *)(uintptr_t)b);
    if (packing->begin)
        expect(packing->begin(&env, &packed, NULL, err, sizeof err) == 0, "%s", err);
    if (half)
        expect(packing->pack(&env, &packed, w, 0, half, err, sizeof err) == 0, "%s", err);
    expect(packing->pack(&env, &packed, rest, half, n - half, err, sizeof err) == 0, "%s", err);
    return packed;
}

void check_close(const float *a, const float *b, size_t n, double tolerance, double floor,
                 const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i]) && !untouched(a[i]))
            continue;
        const double limit = tolerance * fmax(fabs((double)b[i]), floor);
        expect(a[i] == b[i] || fabs((double)a[i] - (double)b[i]) <= limit,
               "%s: element %zu of %zu is %.9g, expected %.9g", what, i, n, (double)a[i],
               (double)b[i]);
    }
}

double product_error(const float *a, const float *b, size_t n)
{
    double error = 0, power = (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        if (!(fabs(d) < 1e30))
            return INFINITY;
        error += d * d;
        power += (double)b[i] * (double)b[i];
    }
    return error / power;
}

void check_products(const float *y, const float *expected, int rows, int columns, int ld,
                    const char *what)
{
    for (int i = 0; i < rows; i++, y += ld, expected += ld) {
        const double error = product_error(y, expected, (size_t)columns);
        expect(error < TOL_NMSE, "%s: row %d is off by %g", what, i, error);
        for (int j = columns; j < ld; j++)
            expect(untouched(y[j]), "%s: wrote between rows", what);
    }
}

const char *say(const bed *b, const char *format, ...)
{
    static char line[400];
    va_list args;
    va_start(args, format);
    const int n =
        snprintf(line, sizeof line, "%s, %d threads: ", b->version->name, vx_pool_threads(b->pool));
    vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    return line;
}

const int sizes[SIZES] = {1, 7, 17, 33, 197};

vx_relative relative_positions(rng *r, int tokens, int heads)
{
    vx_relative out = {.height = tokens - 1, .width = 1, .prefix = 1};
    for (int w = 1; w * w <= tokens - 1; w++)
        if ((tokens - 1) % w == 0)
            out = (vx_relative){.height = (tokens - 1) / w, .width = w, .prefix = 1};
    if (tokens > 1)
        out.table = weights(r, (size_t)heads * vx_relative_count(out.height, out.width), 1);
    return out;
}

void free_relative(const vx_relative *relative)
{
    bed_free((void *)(uintptr_t)relative->table);
}
