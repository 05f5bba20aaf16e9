/*
 * kernels/cpu/device_cpu.c: the device "cpu": vector kernels chosen when it is opened, matrices
 * packed in the precision's format (panels.h), OpenBLAS for large products of others where there is
 * one. It allocates in open and reserve only.
 */
#include "kernels/host.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/panels.h"

#include <stdio.h>
#include <string.h>

#define LINE ((size_t)64)

extern const vx_device_class vx_device_cpu;

/* ---------------------------------------------------------------------------- scratch ------ */

static size_t round_up(size_t n)
{
    return (n + LINE - 1) / LINE * LINE;
}

static size_t patch_pixels(const vx_dims *max)
{
    return (size_t)max->channels * (size_t)max->patch_height * (size_t)max->patch_width;
}

static size_t strip_floats(const vx_dims *max)
{
    const size_t patch = patch_pixels(max);
    /* of attention, in f32 and packed, one of the product, one of the fused sum; or what a variant
     * of attention_replaced has */
    const size_t rows =
        4 * (round_up((size_t)max->tokens) + round_up((size_t)max->head_width) + 16);
    /* a panel, sums and one patch, in double */
    const size_t wide = 2 * ((VX_WIDE_LINES + 1) * VX_WIDE_COLUMNS + patch + VX_WIDE_APART);
    const size_t weights = 2 * (size_t)max->width; /* of token_cam's channels, in double */
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

/* Each with its tokens and columns filled up. */
static size_t panels_bytes(const vx_dims *max)
{
    return 4 * round_up((size_t)max->tokens) * round_up((size_t)max->head_width) * sizeof(float);
}

/* The longest row of a matrix, turned or not. */
static size_t longest(const vx_dims *max)
{
    const size_t qkv = 3 * (size_t)max->heads * (size_t)max->head_width;
    const size_t k = (size_t)(max->hidden > max->width ? max->hidden : max->width);
    return qkv > k ? qkv : k;
}

/* At least one row of the longest matrix, in the widest format. */
static size_t rows_bytes(const vx_dims *max)
{
    const size_t row = round_up(longest(max) * sizeof(float)) + 2 * LINE;
    return row > VX_ROWS_BYTES ? row : VX_ROWS_BYTES;
}

/* Four panels of such rows at least, and no more than the largest matrix. */
static size_t turned_bytes(const vx_dims *max)
{
    const size_t column = round_up(longest(max)) * sizeof(float);
    const size_t all = round_up((size_t)max->width) * column, least = 4 * VX_PANEL * column;
    const size_t bytes = all < VX_SHARED_BYTES ? all : VX_SHARED_BYTES;
    return bytes > least ? bytes : least;
}

/* One patch at least, and no more than a picture's, in bf16x3. */
static size_t patches_bytes(const vx_dims *max)
{
    const size_t columns = (size_t)vx_patch_columns((int)patch_pixels(max));
    const size_t row = round_up(columns * sizeof(float)) + 2 * LINE;
    const size_t all = (size_t)max->tokens * row;
    const size_t bytes = all < VX_SHARED_BYTES ? all : VX_SHARED_BYTES;
    return bytes > row ? bytes : row;
}

static size_t shared_bytes(const vx_dims *max)
{
    const size_t turned = turned_bytes(max), patches = patches_bytes(max);
    return round_up(turned > patches ? turned : patches);
}

static size_t worker_bytes(const vx_dims *max)
{
    return round_up(strip_floats(max) * sizeof(float)) + rows_bytes(max) +
           2 * VX_ROW_SCALES * sizeof(float) + round_up((size_t)max->tokens * sizeof(float)) +
           round_up(part_floats(max) * sizeof(float)) + panels_bytes(max) +
           VX_GEMM_PACK * sizeof(float);
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
    s.panels = at;
    at += panels_bytes(&cpu->max);
    s.pack = (float *)at;
    at += VX_GEMM_PACK * sizeof(float);
    s.rows = at;
    s.rows_bytes = rows_bytes(&cpu->max);
    s.scales = (float *)(at + s.rows_bytes);
    return s;
}

static size_t reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    return worker_bytes(max) * (size_t)dev->env.workers + shared_bytes(max);
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
    cpu->shared_bytes = shared_bytes(max);
    cpu->shared = memory + bytes - cpu->shared_bytes;
    cpu->max = *max;
    for (int w = 0; w < dev->env.workers; w++) {
        cpu->alone[w].memory = memory + (size_t)w * worker_bytes(max);
        cpu->alone[w].max = *max;
    }
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

static const struct extension {
    unsigned bit, on;
    const char *name;
    vx_extend_fn *extend;
} extensions[] = {
#define VX_EXTENSION(name, bit, on, ecx7, edx7, eax71, xcr0) {bit, on, #name, vx_extend_##name},
#include "kernels/cpu/extensions.def"
#undef VX_EXTENSION
    {0, 0, "", NULL},
};

/* The last instruction set that counts among `flags`: those of the rows above it are there, too. */
static const struct isa *isa_of(unsigned flags)
{
    const struct isa *best = isas;
    for (size_t i = 0; i < sizeof isas / sizeof *isas && (flags & isas[i].bit) == isas[i].bit; i++)
        best = &isas[i];
    return best;
}

/* `flags` up to that instruction set, since a mask may leave out one in between; and the extensions
 * whose own needs are there. */
static unsigned flags_in_use(unsigned flags)
{
    const struct isa *best = isa_of(flags);
    unsigned bits = 0;
    for (const struct isa *isa = isas; isa <= best; isa++)
        bits |= isa->bit;
    for (const struct extension *e = extensions; e->extend; e++)
        if ((bits & e->on) == e->on)
            bits |= flags & e->bit;
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
    for (const struct isa *isa = isas; isa <= isa_of(cpu->flags); isa++)
        isa->fill(serial, &cpu->pieces);
    for (const struct extension *e = extensions; e->extend; e++)
        if (cpu->flags & e->bit)
            e->extend(&cpu->pieces);
    *ops = *serial;
#define VX_SPREAD(op) ops->op = vx_##op##_cpu;
#define VX_PLAIN(op)
#include "kernels/cpu/cpu.def"
#undef VX_SPREAD
#undef VX_PLAIN
#undef VX_KERNEL
#undef VX_PIECE
}

/* "avx512 vnni bf16 amx" */
static void name_kernels(char *out, size_t size, unsigned flags)
{
    int n = snprintf(out, size, "%s", isa_of(flags)->label);
    for (const struct extension *e = extensions; e->extend; e++)
        if (flags & e->bit)
            n += snprintf(out + n, size - (size_t)n, " %s", e->name);
}

static void find_blas(vx_cpu *cpu, unsigned features)
{
    const vx_device_env *env = &cpu->base.env;
    char line[200], why[120] = "withheld", kernels[48];
    name_kernels(kernels, sizeof kernels, cpu->flags);
    if (features & VX_CPU_BLAS)
        cpu->blas =
            vx_blas_open(env->workers, (vx_cpu_features() & VX_CPU_AVX512) != 0, why, sizeof why);
    snprintf(cpu->base.kernels, sizeof cpu->base.kernels, "%s; %.100s", kernels,
             cpu->blas ? cpu->blas->name : "own matrix products");
    snprintf(line, sizeof line, "cpu: %s, %d workers, OpenBLAS: %s", kernels, env->workers, why);
    if (env->log)
        env->log(line, env->owner);
}

/* A process that stays with f32 is not given tiles, nor is one that may not have them. */
static void ask_for_tiles(vx_cpu *cpu, int wanted)
{
    const vx_device_env *env = &cpu->base.env;
    if (!(cpu->flags & VX_CPU_AMX) || (wanted && vx_cpu_allow_tiles()))
        return;
    cpu->flags &= ~VX_CPU_AMX;
    if (wanted && env->log)
        env->log("cpu: the processor has AMX, but the system does not let this process use it "
                 "(arch_prctl, XFEATURE_XTILEDATA)",
                 env->owner);
}

static const char *precision_at(int index)
{
    return index >= 0 && index < VX_NUMBERS ? vx_panel_forms[index].packing.name : NULL;
}

/* The system may still refuse the tiles; that is asked for when a device is opened. */
static const char *automatic(void)
{
    const unsigned fast = vx_cpu_features() & VX_CPU_AMX;
    return precision_at(fast ? VX_NUMBER_BF16X3 : VX_NUMBER_F32);
}

/* The three products of bf16x3 are quicker than one of f32 on tiles alone. */
static const char *instructions_of(const char *precision)
{
    static const unsigned by[VX_NUMBERS] = {[VX_NUMBER_BF16X3] = VX_CPU_AMX,
                                            [VX_NUMBER_BF16] = VX_CPU_AMX | VX_CPU_BF16,
                                            [VX_NUMBER_INT8] = VX_CPU_AMX | VX_CPU_VNNI};
    const unsigned features = vx_cpu_features();
    const vx_number number = ((const vx_panel_form *)vx_panel_packing(precision))->number;
    const char *name = number == VX_NUMBER_F32 ? isa_of(features)->label : NULL;
    for (const struct extension *e = extensions; e->extend; e++)
        if (features & e->bit & by[number])
            name = e->name;
    return name;
}

/* In f32 pixels are summed in double (wide_vec.h), and so they are without tiles. A head is read
 * once a picture. */
static const vx_packing *packing_for(const char *precision, vx_layer layer, int block)
{
    const vx_packing *packing = vx_panel_packing(precision);
    const int in_f32 = packing == &vx_panel_forms[VX_NUMBER_F32].packing;
    if (layer == VX_LAYER_PATCH && !in_f32 && vx_cpu_features() & VX_CPU_AMX)
        return &vx_patch_packing;
    if (layer == VX_LAYER_PATCH || layer == VX_LAYER_HEAD)
        return &vx_packing_plain;
    /* What the first block is off by goes through all others: docs/numerics.md. */
    if (packing == &vx_panel_forms[VX_NUMBER_INT8].packing && layer != VX_LAYER_POOL && block == 0)
        return &vx_panel_forms[VX_NUMBER_BF16].packing;
    return packing;
}

static const vx_packing *const packings[] = {&vx_packing_plain,
                                             &vx_panel_forms[0].packing,
                                             &vx_panel_forms[1].packing,
                                             &vx_panel_forms[2].packing,
                                             &vx_panel_forms[3].packing,
                                             &vx_patch_packing,
                                             NULL};

static void by_itself(void (*task)(void *arg, int i, int worker), void *arg, int count, void *owner)
{
    (void)owner;
    for (int i = 0; i < count; i++)
        task(arg, i, 0);
}

/* Memory is theirs when it is reserved. */
static void open_alone(vx_cpu *cpu)
{
    for (int w = 0; w < cpu->base.env.workers; w++) {
        cpu->alone[w] = *cpu;
        cpu->alone[w].alone = NULL;
        cpu->alone[w].base.env.workers = 1;
        cpu->alone[w].base.env.parallel = by_itself;
    }
}

static vx_device *alone(vx_device *dev, int worker)
{
    return &vx_cpu_of(dev)->alone[worker].base;
}

static int open_cpu(vx_device **out, const vx_device_env *env, const char *precision,
                    unsigned features, char *err, size_t err_size)
{
    *out = NULL;
    const char *name = vx_device_precision(&vx_device_cpu, precision);
    if (!name) {
        snprintf(err, err_size, "device cpu has no precision \"%.40s\"", precision);
        return VX_DEVICE_FAILED;
    }
    vx_cpu *cpu = env->alloc((1 + (size_t)env->workers) * sizeof *cpu, env->owner);
    if (!cpu) {
        snprintf(err, err_size, "no memory for the device cpu");
        return VX_DEVICE_NOMEM;
    }
    memset(cpu, 0, sizeof *cpu);
    cpu->alone = cpu + 1;
    cpu->base.cls = &vx_device_cpu;
    cpu->base.env = *env;
    cpu->number = ((const vx_panel_form *)vx_panel_packing(name))->number;
    cpu->flags = flags_in_use(vx_cpu_features() & features);
    ask_for_tiles(cpu, strcmp(name, "f32") != 0);
    fill_tables(cpu);
    find_blas(cpu, features);
    open_alone(cpu);
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

/* -------------------------------------------------------------------------- the peak ------ */

typedef struct peak_run {
    vx_cpu *cpu;
    vx_peak_fn *multiply;
    int64_t rounds;
} peak_run;

/* Zeroes, so that sums stay what they are. */
static void multiply_share(void *arg, int index, int worker)
{
    const peak_run *r = arg;
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, worker);
    (void)index;
    memset(room.strip, 0, (VX_PEAK_SUMS + VX_STEP / sizeof(float)) * sizeof(float));
    r->multiply(room.strip, (const char *)(room.strip + VX_PEAK_SUMS), r->rounds);
}

/* What has no instructions of its own is made of f32's. */
static double multiply(vx_device *dev, int64_t rounds)
{
    vx_cpu *cpu = vx_cpu_of(dev);
    const vx_number number = cpu->number;
    vx_peak_fn *own = number == VX_NUMBER_F32    ? NULL
                      : number == VX_NUMBER_INT8 ? cpu->pieces.peak_int8
                                                 : cpu->pieces.peak_bf16;
    peak_run r = {cpu, own ? own : cpu->pieces.peak_f32, rounds};
    float sums[VX_PEAK_SUMS] = {0};
    const char x[VX_STEP] = {0};
    const double one = r.multiply(sums, x, 1) * (own && number == VX_NUMBER_BF16X3 ? 1.0 / 3 : 1);
    dev->env.parallel(multiply_share, &r, dev->env.workers, dev->env.owner);
    return one * (double)rounds * dev->env.workers;
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
    .precision_at = precision_at,
    .automatic = automatic,
    .instructions_of = instructions_of,
    .packings = packings,
    .packing_for = packing_for,
    .attention_form = vx_attention_packing,
    .probe = vx_host_probe,
    .host_memory = 1,
    .open = open_cpu,
    .close = close_cpu,
    .alone = alone,
    .multiply = multiply,
    .turned_bytes = vx_panel_turned_bytes,
    .turn = vx_panel_turn,
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
