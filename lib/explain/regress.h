/*
 * explain/regress.h: weighted least squares on sets of patches.
 *
 * Samples are y ~ z . beta with z in {0,1}^n and a weight each. Their normal equations are summed
 * as they come, in double, so that memory does not grow with their number, and solved by Cholesky's
 * method.
 */
#ifndef VX_EXPLAIN_REGRESS_H
#define VX_EXPLAIN_REGRESS_H

#include "base/memory.h"

typedef struct vx_regress {
    int n;
    double *gram;       /* [n,n] sum w z z^T, the lower triangle; its diagonal is sum w z */
    double *right;      /* [n] sum w z y */
    double weight, sum; /* sum w, sum w y */
    int *ones;          /* [n] work */
    const vitx_hooks *hooks;
} vx_regress;

/* Keeps the hooks. After a failure, too, it is to be disposed. */
int vx_regress_create(vx_regress *out, int n, const vitx_hooks *hooks);
void vx_regress_dispose(vx_regress *r);

void vx_regress_add(vx_regress *r, const unsigned char *z, double weight, double y);

/*
 * Both end the regression: what was summed is lost. VITX_INVALID if the samples do not determine
 * beta.
 *
 * Ridge with an intercept, which is not penalised: the beta that minimises
 * sum w (y - b0 - z . beta)^2 + alpha |beta|^2; as scikit-learn's Ridge(alpha) with sample_weight.
 */
int vx_regress_ridge(vx_regress *r, double alpha, double *beta);
/* Without an intercept, among the beta whose sum is `total`. Samples with z all 1 change
 * nothing. */
int vx_regress_with_sum(vx_regress *r, double total, double *beta);

#endif
