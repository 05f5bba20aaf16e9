/*
 * kernels/cpu/device_cpu.c: the device "cpu": plain f32, vector kernels chosen when it is opened,
 * OpenBLAS for large products where there is one. It allocates in open and reserve only.
 */
#include "kernels/host.h"
#include "kernels/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

#define LINE ((size_t)64)

extern const vx_device_class vx_device_cpu;

/* ---------------------------------------------------------------------------- scratch ------ */

static size_t round_up(size_t n)
{
    return (n + LINE - 1) / LINE * LINE;
}

static size_t strip_floats(const vx_dims *max)
{
    const size_t patch =
        (size_t)max->channels * (size_t)max->patch_height * (size_t)max->patch_width;
    /* one of the product, one of the fused sum; or what a variant of attention_replaced has */
    const size_t rows = 2 * (size_t)max->tokens + (size_t)max->head_width;
    const size_t wide = 2 * (VX_WIDE_COLUMNS + 1) * patch; /* a panel and one patch, in double */
    const size_t weights = 2 * (size_t)max->width;         /* of token_cam's channels, in double */
    const size_t wanted[] = {rows, wide, weights};
    size_t most = VX_STRIP_FLOATS;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        most = wanted[i] > most ? wanted[i] : most;
    return most;
}

static size_t part_floats(const vx_dims *max)
{
    return 2 * (size_t)max->tokens * (size_t)max->head_width;
}

static size_t worker_bytes(const vx_dims *max)
{
    return round_up(strip_floats(max) * sizeof(float)) +
           round_up((size_t)max->tokens * sizeof(float)) +
           round_up(part_floats(max) * sizeof(float)) + VX_GEMM_PACK * sizeof(float);
}

vx_cpu_room vx_cpu_room_of(const vx_cpu *cpu, int worker)
{
    char *at = cpu->memory + (size_t)worker * worker_bytes(&cpu->max);
    vx_cpu_room s = {.strip = (float *)at, .strip_floats = strip_floats(&cpu->max)};
    at += round_up(s.strip_floats * sizeof(float));
    s.row = (float *)at;
    at += round_up((size_t)cpu->max.tokens * sizeof(float));
    s.part = (float *)at;
    at += round_up(part_floats(&cpu->max) * sizeof(float));
    s.pack = (float *)at;
    return s;
}

static size_t reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    return worker_bytes(max) * (size_t)dev->env.workers;
}

static int reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    const size_t bytes = reserve_bytes(dev, max);
    char *memory = vx_host_mem_alloc(bytes, &dev->env);
    if (!memory) {
        snprintf(err, err_size, "no memory for the scratch of %d workers (%zu bytes)",
                 dev->env.workers, bytes);
        return VX_DEVICE_NOMEM;
    }
    vx_host_mem_free(cpu->memory, &dev->env);
    cpu->memory = memory;
    cpu->max = *max;
    return 0;
}

/* ------------------------------------------------------------------------ open, close ------ */

static const struct isa {
    unsigned bit;
    const char *label;
    vx_fill_fn *fill;
} isas[] = {
#define VX_ISA(name, bit, label, ecx1, ebx7, xcr0) {bit, label, vx_fill_##name},
#include "kernels/cpu/isa.def"
#undef VX_ISA
};

/* The last instruction set that counts among `flags`: those of the rows above it are there, too. */
static const struct isa *isa_of(unsigned flags)
{
    const struct isa *best = isas;
    for (size_t i = 0; i < sizeof isas / sizeof *isas && (flags & isas[i].bit) == isas[i].bit; i++)
        best = &isas[i];
    return best;
}

/* `flags` up to that instruction set: a mask may leave out one in between. */
static unsigned flags_in_use(unsigned flags)
{
    const struct isa *best = isa_of(flags);
    unsigned bits = 0;
    for (const struct isa *isa = isas; isa <= best; isa++)
        bits |= isa->bit;
    return bits;
}

static void fill_tables(vx_cpu *cpu)
{
    vx_ops *serial = &cpu->serial, *ops = &cpu->base.ops;
    vx_ops_init_ref(serial);
#define VX_SPREAD(op)
#define VX_PLAIN(op) serial->op = vx_##op##_plain;
#define VX_KERNEL(op)
#define VX_PIECE(name)
#include "kernels/cpu/cpu.def"
#undef VX_SPREAD
#undef VX_PLAIN
    isa_of(cpu->flags)->fill(serial, &cpu->pieces);
    *ops = *serial;
#define VX_SPREAD(op) ops->op = vx_##op##_cpu;
#define VX_PLAIN(op)
#include "kernels/cpu/cpu.def"
#undef VX_SPREAD
#undef VX_PLAIN
#undef VX_KERNEL
#undef VX_PIECE
}

static void find_blas(vx_cpu *cpu, unsigned features)
{
    const vx_device_env *env = &cpu->base.env;
    char line[200], why[120] = "withheld";
    if (features & VX_CPU_BLAS)
        cpu->blas =
            vx_blas_open(env->workers, (vx_cpu_features() & VX_CPU_AVX512) != 0, why, sizeof why);
    snprintf(cpu->base.kernels, sizeof cpu->base.kernels, "%s; %.100s", isa_of(cpu->flags)->label,
             cpu->blas ? cpu->blas->name : "own matrix products");
    snprintf(line, sizeof line, "cpu: %s, %d workers, OpenBLAS: %s", isa_of(cpu->flags)->label,
             env->workers, why);
    if (env->log)
        env->log(line, env->owner);
}

static int open_cpu(vx_device **out, const vx_device_env *env, const char *precision,
                    unsigned features, char *err, size_t err_size)
{
    *out = NULL;
    if (vx_host_check_precision("cpu", precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    vx_cpu *cpu = env->alloc(sizeof *cpu, env->owner);
    if (!cpu) {
        snprintf(err, err_size, "no memory for the device cpu");
        return VX_DEVICE_NOMEM;
    }
    memset(cpu, 0, sizeof *cpu);
    cpu->base.cls = &vx_device_cpu;
    cpu->base.env = *env;
    cpu->flags = flags_in_use(vx_cpu_features() & features);
    fill_tables(cpu);
    find_blas(cpu, features);
    *out = &cpu->base;
    return 0;
}

static void close_cpu(vx_device *dev)
{
    if (!dev)
        return;
    vx_cpu *cpu = vx_cpu_of(dev);
    if (cpu->blas)
        vx_blas_close(dev->env.workers);
    vx_host_mem_free(cpu->memory, &dev->env);
    dev->env.release(cpu, dev->env.owner);
}

static int sync_cpu(vx_device *dev, char *err, size_t err_size)
{
    (void)dev; /* operations return when they are done */
    (void)err;
    (void)err_size;
    return 0;
}

const vx_device_class vx_device_cpu = {
    .name = "cpu",
    .precision_at = vx_host_precision_at,
    .packings = vx_host_packings,
    .packing_for = vx_host_packing_for,
    .probe = vx_host_probe,
    .host_memory = 1,
    .open = open_cpu,
    .close = close_cpu,
    .reserve = reserve,
    .reserve_bytes = reserve_bytes,
    .mem_alloc = vx_host_mem_alloc,
    .mem_free = vx_host_mem_free,
    .mem_write = vx_host_mem_copy,
    .mem_read = vx_host_mem_copy,
    .mem_copy = vx_host_mem_copy,
    .upload = vx_host_copy,
    .download = vx_host_copy,
    .sync = sync_cpu,
};
