/*
 * kernels/cuda/host/warp.cpp: the operations of a warp. Layouts: PTX ISA, "Matrix Fragments for
 * mma.m16n8k16 with floating point type" and "Warp-level matrix instructions: ldmatrix".
 */
#include "kernels/cuda/host/warp.h"

#include "kernels/bits.h"

enum { LANES = 32 };

const char *vx_meeting_name(vx_meeting kind)
{
    static const char *const names[] = {"__syncwarp", "shuffle",  "ballot",          "mma (bf16)",
                                        "mma (f16)",  "ldmatrix", "ldmatrix (trans)"};
    return names[kind];
}

static void shuffle(vx_lane_words *const lanes[LANES])
{
    for (int i = 0; i < LANES; i++) {
        const vx_lane_words *from = lanes[lanes[i]->in[0] % LANES];
        lanes[i]->out[0] = from->in[1];
        lanes[i]->out[1] = from->in[2];
    }
}

static void ballot(vx_lane_words *const lanes[LANES])
{
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++)
        bits |= (lanes[i]->in[0] & 1u) << i;
    for (int i = 0; i < LANES; i++)
        lanes[i]->out[0] = bits;
}

/* The halves of a register: neighbours along k. */
static void pair(vx_meeting kind, uint32_t bits, float *low, float *high)
{
    if (kind == VX_MEET_MMA_BF16) {
        *low = vx_bits_float(bits << 16);
        *high = vx_bits_float(bits & 0xffff0000u);
    } else {
        *low = vx_half_to_float((uint16_t)bits);
        *high = vx_half_to_float((uint16_t)(bits >> 16));
    }
}

/* In: d (4 floats), a (4 registers), b (2 registers). */
static void mma(vx_meeting kind, vx_lane_words *const lanes[LANES])
{
    float a[16][16], b[16][8], d[16][8];
    for (int i = 0; i < LANES; i++) {
        const uint32_t *in = lanes[i]->in;
        const int g = i / 4, t = i % 4;
        for (int r = 0; r < 4; r++) {
            float *at = &a[g + r % 2 * 8][2 * t + r / 2 * 8];
            d[g + r / 2 * 8][2 * t + r % 2] = vx_bits_float(in[r]);
            pair(kind, in[4 + r], at, at + 1);
        }
        for (int r = 0; r < 2; r++)
            pair(kind, in[8 + r], &b[2 * t + 8 * r][g], &b[2 * t + 8 * r + 1][g]);
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++)
                d[i][j] += a[i][k] * b[k][j];
    for (int i = 0; i < LANES; i++)
        for (int r = 0; r < 4; r++)
            lanes[i]->out[r] = vx_float_bits(d[i / 4 + r / 2 * 8][2 * (i % 4) + r % 2]);
}

/* Eight rows of 16 bytes are read at once, if they lie in different eighths of 128 bytes. */
static void count_conflicts(vx_lane_words *const lanes[LANES], vx_machine_counts *counts)
{
    for (int matrix = 0; matrix < 4; matrix++) {
        int most = 1;
        for (int i = 0; i < 8; i++) {
            const uint32_t *own = lanes[8 * matrix + i]->in;
            int same = 1;
            for (int j = 0; j < i; j++) {
                const uint32_t *other = lanes[8 * matrix + j]->in;
                same += (own[0] / 16 % 8 == other[0] / 16 % 8) &&
                        (own[0] != other[0] || own[1] != other[1]);
            }
            most = same > most ? same : most;
        }
        counts->rows++;
        counts->conflicts += most - 1;
    }
}

/* In: the row's address (2 words), its 16 bytes. */
static void ldmatrix(vx_lane_words *const lanes[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int r = 0; r < 4; r++)
            lanes[i]->out[r] = lanes[8 * r + i / 4]->in[2 + i % 4];
}

static void ldmatrix_trans(vx_lane_words *const lanes[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int r = 0; r < 4; r++) {
            const int row = 8 * r + 2 * (i % 4), column = i / 4, shift = column % 2 * 16;
            const uint32_t low = lanes[row]->in[2 + column / 2] >> shift & 0xffffu;
            const uint32_t high = lanes[row + 1]->in[2 + column / 2] >> shift & 0xffffu;
            lanes[i]->out[r] = high << 16 | low;
        }
}

void vx_warp_compute(vx_meeting kind, vx_lane_words *const lanes[LANES], vx_machine_counts *counts)
{
    switch (kind) {
    case VX_MEET_SYNC:
        break;
    case VX_MEET_SHUFFLE:
        shuffle(lanes);
        break;
    case VX_MEET_BALLOT:
        ballot(lanes);
        break;
    case VX_MEET_MMA_BF16:
    case VX_MEET_MMA_F16:
        mma(kind, lanes);
        break;
    case VX_MEET_LDMATRIX:
        count_conflicts(lanes, counts);
        ldmatrix(lanes);
        break;
    case VX_MEET_LDMATRIX_TRANS:
        count_conflicts(lanes, counts);
        ldmatrix_trans(lanes);
        break;
    }
}
