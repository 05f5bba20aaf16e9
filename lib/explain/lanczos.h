/*
 * explain/lanczos.h: the largest eigenvalues of a symmetric matrix, and their vectors.
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

/*
 * The `count` largest eigenpairs of a symmetric matrix [n,n] in double, from the largest on,
 * 1 <= count <= n; vectors [count,n]. Each is found among what is orthogonal to those before it.
 * Otherwise like vx_largest_eigenpair.
 */
int vx_largest_eigenpairs(double *lambdas, double *vectors, int count, const double *matrix, int n,
                          const vitx_hooks *hooks);

#endif
