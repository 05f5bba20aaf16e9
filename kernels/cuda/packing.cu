/*
 * kernels/cuda/packing.cu: see packing.h. Rows are turned into their form on the host, so that no
 * more than that form crosses to the GPU.
 */
#include "kernels/cuda/packing.h"

#include "kernels/bits.h"

#include <stdio.h>

static const char *const names[] = {"f32", "bf16x3", "bf16", "f16"};

const char *vx_cuda_number_name(int number)
{
    return number >= 0 && number < VX_CUDA_NUMBERS ? names[number] : NULL;
}

vx_cuda_number vx_cuda_number_of(const char *precision)
{
    int number = 0;
    if (!precision)
        return VX_CUDA_F32;
    if (strcmp(precision, "auto") == 0)
        return VX_CUDA_BF16X3;
    while (number < VX_CUDA_NUMBERS && strcmp(names[number], precision) != 0)
        number++;
    return (vx_cuda_number)number;
}

/* ------------------------------------------------------------------ rows on the host ---- */

static uint16_t to_bf16(float x)
{
    const uint32_t bits = vx_float_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40); /* a NaN stays one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static float of_bf16(uint16_t x)
{
    return vx_bits_float((uint32_t)x << 16);
}

/* A value that is not finite has no rest: infinity less itself would be a NaN. */
static uint16_t rest_of(float x)
{
    const float high = of_bf16(to_bf16(x)), rest = x - high;
    return high - high == 0 ? to_bf16(rest) : (uint16_t)0;
}

static void pack_row(void *out, const float *row, vx_cuda_number number, int k)
{
    const size_t part = vx_packed_part(k);
    uint16_t *const halves = (uint16_t *)out;
    memset(out, 0, vx_packed_ld(number, k) * vx_packed_element(number));
    switch (number) {
    case VX_CUDA_F32:
        memcpy(out, row, (size_t)k * sizeof *row);
        return;
    case VX_CUDA_F16:
        for (int i = 0; i < k; i++)
            halves[i] = vx_float_to_half(row[i]);
        return;
    case VX_CUDA_BF16:
        for (int i = 0; i < k; i++)
            halves[i] = to_bf16(row[i]);
        return;
    default:
        for (int i = 0; i < k; i++) {
            halves[i] = to_bf16(row[i]);
            halves[part + (size_t)i] = rest_of(row[i]);
            halves[2 * part + (size_t)i] = halves[i];
        }
    }
}

/* ------------------------------------------------------------------------- packings ---- */

template <vx_cuda_number number> static size_t packed_bytes(int n, int k)
{
    return (size_t)n * vx_packed_ld(number, k) * vx_packed_element(number);
}

/* In pieces of at most 2 MiB, but for a row that is longer. */
template <vx_cuda_number number>
static int pack(const vx_device_env *env, const vx_weight *w, const float *rows_f32, int first,
                int rows, char *err, size_t err_size)
{
    const size_t row = vx_packed_ld(number, w->k) * vx_packed_element(number);
    const size_t fits = ((size_t)2 << 20) / row, each = fits ? fits : 1;
    const size_t piece = each < (size_t)rows ? each : (size_t)rows;
    int status = 0;
    if (rows <= 0)
        return 0;
    char *room = (char *)env->alloc(piece * row, env->owner);
    if (!room) {
        snprintf(err, err_size, "no memory for %zu bytes of a matrix to be packed", piece * row);
        return VX_DEVICE_NOMEM;
    }
    for (size_t i = 0; i < (size_t)rows && status == 0; i += piece) {
        const size_t count = (size_t)rows - i < piece ? (size_t)rows - i : piece;
        char *to = (char *)const_cast<void *>(w->data) + ((size_t)first + i) * row;
        for (size_t j = 0; j < count; j++)
            pack_row(room + j * row, rows_f32 + (i + j) * (size_t)w->k, number, w->k);
        status = vx_cuda_copy_now(env, 'w', to, room, count * row, err, err_size);
    }
    env->release(room, env->owner);
    return status;
}

#define VX_PACKING(number, name)                                                                   \
    {                                                                                              \
        name, 1, packed_bytes<number>, NULL, pack<number>                                          \
    }
static const vx_packing forms[VX_CUDA_NUMBERS] = {
    VX_PACKING(VX_CUDA_F32, "f32 rows"), VX_PACKING(VX_CUDA_BF16X3, "bf16 rows, high low high"),
    VX_PACKING(VX_CUDA_BF16, "bf16 rows"), VX_PACKING(VX_CUDA_F16, "f16 rows")};

const vx_packing *const vx_cuda_packings[] = {&forms[VX_CUDA_F32], &forms[VX_CUDA_BF16X3],
                                              &forms[VX_CUDA_BF16], &forms[VX_CUDA_F16], NULL};

const vx_packing *vx_cuda_packing_for(const char *precision, vx_layer layer, int block)
{
    const vx_cuda_number number = vx_cuda_number_of(precision);
    (void)layer;
    (void)block;
    return number < VX_CUDA_NUMBERS ? &forms[number] : NULL;
}

vx_cuda_number vx_packing_number(const vx_packing *packing)
{
    return (vx_cuda_number)(packing - forms);
}
