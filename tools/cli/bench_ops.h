/* cli/bench_ops.h: bench --ops: the time of a row by operation of the device. */
#ifndef VITX_CLI_BENCH_OPS_H
#define VITX_CLI_BENCH_OPS_H

#include <stdbool.h>
#include <vitx/vitx.h>

/* What the device does at most; a second. */
struct peak {
    double flops, bytes;
};

/* Prints what the context's profile counted in `runs` runs that took `ms` together: a line for each
 * operation that ran, the longest first, and one for the time outside of operations. */
void ops_print(const vitx_context *context, const char *what, int runs, double ms,
               const struct peak *peak, bool json);

#endif
