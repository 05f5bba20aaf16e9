/*
 * kernels/cpu/fill_vec.h: the *_vec.h files of one instruction set, and their functions in the
 * tables. The last thing that a kernels_<isa>.c includes, after its VX_ISA_NAME and VX_VECTOR_BITS.
 */
#ifndef VX_CPU_FILL_VEC_H
#define VX_CPU_FILL_VEC_H

#include "kernels/cpu/attention_vec.h"
#include "kernels/cpu/floats_vec.h"
#include "kernels/cpu/gemm_vec.h"
#include "kernels/cpu/maps_vec.h"
#include "kernels/cpu/panels_vec.h"
#include "kernels/cpu/peak_vec.h"
#include "kernels/cpu/records_vec.h"
#include "kernels/cpu/turned_vec.h"
#include "kernels/cpu/wide_vec.h"

void VX_NAME(fill)(vx_ops *serial, vx_pieces *pieces)
{
#define VX_SPREAD(op)
#define VX_PLAIN(op)
#define VX_KERNEL(op) serial->op = VX_NAME(op);
#define VX_PIECE(name) pieces->name = VX_NAME(name);
#define VX_EXTRA(name)
#if VX_VECTOR_BITS == 512
#define VX_FORMAT(name)
#endif
#include "kernels/cpu/cpu.def"
#undef VX_SPREAD
#undef VX_PLAIN
#undef VX_KERNEL
#undef VX_PIECE
}

#endif
