/*
 * explain/lanczos.h: the largest eigenvalue of a symmetric matrix, and its vector.
 */
#ifndef VX_EXPLAIN_LANCZOS_H
#define VX_EXPLAIN_LANCZOS_H

#include "base/memory.h"

/*
 * The algebraically largest eigenpair of a symmetric matrix [n,n], n >= 1; u has length 1. In
 * double, from a fixed start, so the same matrix gives the same answer. The residual |a u - lambda
 * u| is at most 1e-11 of the matrix's largest eigenvalue by magnitude that was met, unless two
 * eigenvalues are closer than single precision tells apart: then u is a vector between theirs. A
 * NaN or an infinity in the matrix gives NaN.
 *
 * @param matrix  both halves are read
 * @return VITX_OK, VITX_NOMEM
 */
int vx_largest_eigenpair(double *lambda, double *u, const float *matrix, int n,
                         const vitx_hooks *hooks);

#endif
