/*
 * test/plugin/fake.c: a plug-in that gives the scalar reference as the device "cuda", with two
 * "GPUs". The environment says what is wrong with it:
 *
 *      FAKE_VERSION=other   it belongs to another version
 *      FAKE_PROBE=TEXT      what probe says
 *      FAKE_MEMORY=TEXT     why an instance has no memory
 *      FAKE_SYNC=TEXT       what has failed when the queue is waited for
 */
#include "kernels/plugin.h"

#include <stdio.h>
#include <stdlib.h>

extern const vx_device_class vx_device_ref;
extern vx_plugin_entry vitx_device_plugin;

static vx_device_class fake;

static int says(const char *variable, char *text, size_t size)
{
    const char *value = getenv(variable);
    if (value)
        snprintf(text, size, "%s", value);
    return value != NULL;
}

static int probe(int ordinal, char *why, size_t why_size)
{
    if (says("FAKE_PROBE", why, why_size))
        return VX_DEVICE_FAILED;
    if (ordinal < 2)
        return 0;
    snprintf(why, why_size, "no GPU number %d: this machine has 2", ordinal);
    return VX_DEVICE_FAILED;
}

static int open_fake(vx_device **out, const vx_device_env *env, const char *precision,
                     unsigned features, char *err, size_t err_size)
{
    *out = NULL;
    if (says("FAKE_MEMORY", err, err_size))
        return VX_DEVICE_NOMEM;
    const int failed = vx_device_ref.open(out, env, precision, features, err, err_size);
    if (!failed) {
        (*out)->cls = &fake;
        snprintf((*out)->kernels, sizeof(*out)->kernels, "fake %d", env->ordinal);
    }
    return failed;
}

static int sync_fake(vx_device *dev, char *err, size_t err_size)
{
    (void)dev;
    return says("FAKE_SYNC", err, err_size) ? VX_DEVICE_FAILED : 0;
}

/* Called under a lock. */
__attribute__((visibility("default"))) const vx_device_class *vitx_device_plugin(uint64_t abi)
{
    char text[8];
    if (abi != vx_plugin_abi() + (uint64_t)says("FAKE_VERSION", text, sizeof text))
        return NULL;
    fake = vx_device_ref;
    fake.name = "cuda";
    fake.probe = probe;
    fake.open = open_fake;
    fake.sync = sync_fake;
    return &fake;
}
