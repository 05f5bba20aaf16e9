/* engine/profile.c: the time of each operation of a context's device, and what the device can do at
 * most. */
#include <string.h>

#include "base/structs.h"
#include "engine/context.h"
#include "engine/run.h"
#include "kernels/profile.h"

void vitx_op_time_init(vitx_op_time *out, size_t struct_size)
{
    const vitx_op_time full = VITX_OP_TIME_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* Workers that may be at work alone (engine/share.h), each of which has a profile. */
static int shares_of(const vx_device *dev)
{
    return dev->cls->alone ? dev->env.workers : 0;
}

int vitx_context_set_profile(vitx_context *context, int on)
{
    if (!context)
        return vx_fail(VITX_INVALID, "vitx_context_set_profile: the context is NULL");
    vx_device *dev = context->dev;
    const int shares = shares_of(dev);
    if (!context->profile && on)
        VX_TRY(vx_new(&context->profile, &context->hooks, 1 + (size_t)shares,
                      sizeof *context->profile, "a profile"));
    for (int i = 0; i <= shares; i++) {
        vx_device *part = i ? dev->cls->alone(dev, i - 1) : dev;
        vx_profile_end(part);
        if (on)
            vx_profile_begin(part, &context->profile[i]);
    }
    return VITX_OK;
}

/* What workers do at the same time takes as long as the mean of them. */
static vx_op_count counted(const vitx_context *c, int index)
{
    const int shares = shares_of(c->dev);
    vx_op_count sum = c->profile->counts[index];
    for (int i = 1; i <= shares; i++) {
        const vx_op_count *part = &c->profile[i].counts[index];
        sum.calls += part->calls;
        sum.seconds += part->seconds / shares;
        sum.flops += part->flops;
        sum.bytes += part->bytes;
    }
    return sum;
}

int vitx_context_get_op_time(vitx_op_time *out, const vitx_context *context, int index)
{
    if (!out || !context)
        return vx_fail(VITX_INVALID, "vitx_context_get_op_time: an argument is NULL");
    if (!context->profile || index < 0 || index >= VX_OP_COUNT)
        return vx_fail(
            VITX_INVALID,
            context->profile ? "there is no operation %d" : "no profile was asked for (%d)", index);
    const vx_op_count row = counted(context, index);
    const vitx_op_time time = {.name = vx_op_name(index),
                               .calls = row.calls,
                               .seconds = row.seconds,
                               .flops = row.flops,
                               .bytes = row.bytes};
    return VX_STRUCT_WRITE(out, &time, vitx_op_time, bytes);
}

/* ------------------------------------------------------------------------------- the peak -- */

enum { SIDE = 1024, RUNS = 5, COPIED = 16 * 1024 * 1024 /* floats: 64 MiB, past any cache */ };

/* The operations whose rates are the peaks, over memory that begins with zeroes. */
static void product(vx_device *dev, vx_far *memory, const vx_weight *w)
{
    dev->ops.linear(
        dev,
        &(vx_linear){
            .y = memory, .ldy = SIDE, .x = memory + SIDE * SIDE, .ldx = SIDE, .w = w, .m = SIDE});
}

static void copy(vx_device *dev, vx_far *memory, const vx_weight *w)
{
    (void)w;
    dev->ops.copy_rows(
        dev, &(vx_copy_rows){.y = memory, .x = memory + COPIED, .m = 1, .n = COPIED, .scale = 1});
}

/* The best rate of a few runs, by a profile of their own. The first one is not counted. */
static int best_of(double *best, vitx_context *c, int op, vx_far *memory, const vx_weight *w,
                   void (*run)(vx_device *dev, vx_far *memory, const vx_weight *w))
{
    vx_profile profile;
    for (int i = 0; i <= RUNS; i++) {
        vx_profile_begin(c->dev, &profile);
        run(c->dev, memory, w);
        const int status = vx_context_sync(c);
        vx_profile_end(c->dev);
        VX_TRY(status);
        const vx_op_count *row = &profile.counts[op];
        const double work = row->flops > 0 ? row->flops : row->bytes;
        const double rate = row->seconds > 0 ? work / row->seconds : 0;
        *best = i > 0 && rate > *best ? rate : *best;
    }
    return VITX_OK;
}

/* Instructions alone. @return operations a second; *seconds: what it took */
static double rate_of_instructions(vx_device *dev, int64_t rounds, double *seconds)
{
    const double since = vx_profile_now(), done = dev->cls->multiply(dev, rounds);
    *seconds = vx_profile_now() - since;
    return *seconds > 0 ? done / *seconds : 0;
}

/* The best of some runs, each of as many rounds as take a few milliseconds. */
static double best_of_instructions(vx_device *dev)
{
    double best = 0, seconds = 0;
    int64_t rounds = 1 << 12;
    while (rounds < 1 << 30 && seconds < 5e-3) {
        rounds *= 2;
        rate_of_instructions(dev, rounds, &seconds);
    }
    for (int i = 0; i < RUNS; i++) {
        const double rate = rate_of_instructions(dev, rounds, &seconds);
        best = rate > best ? rate : best;
    }
    return best;
}

/* A matrix [SIDE,SIDE] of zeroes, packed into w->data. */
static int pack_zeroes(vitx_context *c, const vx_weight *w)
{
    char why[160];
    float *rows;
    VX_TRY(vx_new(&rows, &c->hooks, (size_t)SIDE * SIDE, sizeof *rows, "a matrix to time"));
    memset(rows, 0, (size_t)SIDE * SIDE * sizeof *rows);
    int failed = 0;
    if (w->packing->begin)
        failed = w->packing->begin(&c->env, w, NULL, why, sizeof why);
    if (!failed)
        failed = w->packing->pack(&c->env, w, rows, 0, SIDE, why, sizeof why);
    vx_release(&c->hooks, rows);
    return failed ? vx_fail(VITX_DEVICE, "device %s: %s", c->dev->cls->name, why) : VITX_OK;
}

int vitx_context_measure_peak(vitx_context *context, double *flops, double *bytes)
{
    if (!context || !flops || !bytes)
        return vx_fail(VITX_INVALID, "vitx_context_measure_peak: an argument is NULL");
    const vx_device_class *cls = context->dev->cls;
    const size_t floats = 2 * (size_t)COPIED * sizeof(float);
    vx_weight w = {.n = SIDE,
                   .k = SIDE,
                   .packing = cls->packing_for(context->weights->precision, VX_LAYER_FC1, 1)};
    *flops = *bytes = 0;
    if (context->dev->profile || !context->sized)
        return vx_fail(VITX_INVALID, "vitx_context_measure_peak: %s",
                       context->sized ? "a profile is on" : "no picture has run");
    char *memory = cls->mem_alloc(floats + w.packing->bytes(SIDE, SIDE), &context->env);
    if (!memory)
        return vx_fail(VITX_NOMEM, "no memory to measure the device's speed with");
    vx_far *numbers = (vx_far *)(void *)memory;
    w.data = memory + floats;
    context->dev->ops.clear(context->dev, &(vx_clear){.y = numbers, .count = 2 * (int64_t)COPIED});
    int status = vx_context_sync(context);
    if (status == VITX_OK)
        status = pack_zeroes(context, &w);
    if (status == VITX_OK && cls->multiply)
        *flops = best_of_instructions(context->dev);
    else if (status == VITX_OK)
        status = best_of(flops, context, VX_OP_linear, numbers, &w, product);
    if (status == VITX_OK)
        status = best_of(bytes, context, VX_OP_copy_rows, numbers, &w, copy);
    cls->mem_free(memory, &context->env);
    return status;
}
