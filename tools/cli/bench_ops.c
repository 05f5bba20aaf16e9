/* cli/bench_ops.c: see bench_ops.h. */
#include "bench_ops.h"

#include <stdio.h>
#include <stdlib.h>

#include "results.h"

enum { MOST_OPS = 64 };

static int longest_first(const void *a, const void *b)
{
    const double x = ((const vitx_op_time *)a)->seconds, y = ((const vitx_op_time *)b)->seconds;
    return (x < y) - (x > y);
}

/* Those that ran. */
static int read_ops(vitx_op_time *ops, const vitx_context *context)
{
    int count = 0;
    for (int i = 0; count < MOST_OPS; i++) {
        vitx_op_time_init(&ops[count], sizeof ops[count]);
        if (vitx_context_get_op_time(&ops[count], context, i) != VITX_OK)
            break;
        count += ops[count].calls > 0;
    }
    qsort(ops, (size_t)count, sizeof *ops, longest_first);
    return count;
}

/* "12.3", or `none` if there is nothing to tell. */
static const char *number(char text[32], double value, const char *none)
{
    if (value <= 0)
        return none;
    snprintf(text, 32, "%.1f", value);
    return text;
}

static void print_op(const vitx_op_time *op, const char *what, int runs, double ms,
                     const struct peak *peak, bool json)
{
    const double seconds = op->seconds > 0 ? op->seconds : 1e-9;
    const double flops = op->flops / seconds, bytes = op->bytes / seconds;
    const double most = op->flops > 0 ? peak->flops : peak->bytes;
    const double share = most > 0 ? 100 * (op->flops > 0 ? flops : bytes) / most : 0;
    const char *none = json ? "null" : "-";
    char gflops[32], gbs[32], of_peak[32];
    const char *format = "  %-22s  %7.1f  %9.3f  %7.1f  %9s  %9s  %9s\n";
    if (json) {
        printf("{\"what\":");
        json_text(what);
        format = ",\"op\":\"%s\",\"calls\":%.1f,\"ms\":%.4f,\"share\":%.2f,\"gflops\":%s,"
                 "\"gbs\":%s,\"of_peak\":%s}\n";
    }
    printf(format, op->name, (double)op->calls / runs, 1e3 * op->seconds / runs,
           ms > 0 ? 1e5 * op->seconds / ms : 0, number(gflops, flops / 1e9, none),
           number(gbs, bytes / 1e9, none), number(of_peak, share, none));
}

/* Pictures prepared, copies, methods on the host. */
static void print_rest(double rest, const char *what, int runs, double ms, bool json)
{
    if (json) {
        printf("{\"what\":");
        json_text(what);
        printf(",\"op\":null,\"calls\":null,\"ms\":%.4f,\"share\":%.2f,\"gflops\":null,"
               "\"gbs\":null,\"of_peak\":null}\n",
               rest / runs, 100 * rest / ms);
    } else {
        printf("  %-22s  %7s  %9.3f  %7.1f  %9s  %9s  %9s\n", "outside of operations", "-",
               rest / runs, 100 * rest / ms, "-", "-", "-");
    }
}

void ops_print(const vitx_context *context, const char *what, int runs, double ms,
               const struct peak *peak, bool json)
{
    vitx_op_time ops[MOST_OPS];
    const int count = read_ops(ops, context);
    double rest = ms;
    if (!json)
        printf("  %-22s  %7s  %9s  %7s  %9s  %9s  %9s\n", "operation", "calls", "ms", "share %",
               "GFLOP/s", "GB/s", "of peak %");
    for (int i = 0; i < count; i++) {
        print_op(&ops[i], what, runs, ms, peak, json);
        rest -= 1e3 * ops[i].seconds;
    }
    print_rest(rest > 0 ? rest : 0, what, runs, ms, json);
}
