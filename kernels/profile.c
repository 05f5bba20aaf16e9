/* kernels/profile.c: see profile.h. One macro over ops.def wraps all operations. */
#define _POSIX_C_SOURCE 199309L
#include "kernels/profile.h"

#include <string.h>
#include <time.h>

#include "kernels/work.h"

static const char *const names[] = {
#define VX_OP(name) #name,
#include "kernels/ops.def"
#undef VX_OP
};

const char *vx_op_name(int index)
{
    return names[index];
}

double vx_profile_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void wait_for(vx_device *dev)
{
    vx_profile *p = dev->profile;
    char why[sizeof p->why] = "";
    const int failed = dev->cls->sync(dev, why, sizeof why);
    if (failed && !p->failed) {
        p->failed = failed;
        memcpy(p->why, why, sizeof why);
    }
}

/* A call of no rows, which does nothing, is not counted. */
static void count(vx_op_count *row, vx_work work, double since)
{
    if (work.bytes <= 0)
        return;
    row->calls++;
    row->seconds += vx_profile_now() - since;
    row->flops += work.flops;
    row->bytes += work.bytes;
}

#define VX_OP(name)                                                                                \
    static void timed_##name(vx_device *dev, const vx_##name *a)                                   \
    {                                                                                              \
        const vx_work work = vx_##name##_work(a);                                                  \
        const double start = vx_profile_now();                                                     \
        dev->profile->own.name(dev, a);                                                            \
        wait_for(dev);                                                                             \
        count(&dev->profile->counts[VX_OP_##name], work, start);                                   \
    }
#include "kernels/ops.def"
#undef VX_OP

void vx_profile_begin(vx_device *dev, vx_profile *profile)
{
    memset(profile, 0, sizeof *profile);
    profile->own = dev->ops;
    dev->profile = profile;
#define VX_OP(name) dev->ops.name = timed_##name;
#include "kernels/ops.def"
#undef VX_OP
}

void vx_profile_end(vx_device *dev)
{
    if (dev->profile)
        dev->ops = dev->profile->own;
    dev->profile = NULL;
}
