/* kernels/device.c: the table of devices. The tests' programs have a longer one
 * (test/devices.c). */
#include "kernels/device.h"

#include <stdio.h>
#include <string.h>

#ifndef VX_DEVICES
#define VX_DEVICES "kernels/devices.def"
#endif

#define VX_DEVICE(name) extern const vx_device_class vx_device_##name;
#include VX_DEVICES
#undef VX_DEVICE

static const vx_device_class *const devices[] = {
#define VX_DEVICE(name) &vx_device_##name,
#include VX_DEVICES
#undef VX_DEVICE
};

const vx_device_class *vx_device_at(int index)
{
    const int count = (int)(sizeof devices / sizeof devices[0]);
    return index >= 0 && index < count ? devices[index] : NULL;
}

static const vx_device_class *row_of(const char *name)
{
    for (int i = 0; vx_device_at(i); i++)
        if (strcmp(vx_device_at(i)->name, name) == 0)
            return vx_device_at(i);
    return NULL;
}

static const vx_device_class *class_of(const vx_device_class *row, char *why, size_t why_size)
{
    return row->load ? row->load(why, why_size) : row;
}

const vx_device_class *vx_device_find(const char *name)
{
    char why[16];
    const vx_device_class *row = row_of(name);
    return row ? class_of(row, why, sizeof why) : NULL;
}

/* "cuda:1": the length of its class's name, and the number; of "cuda" 0. */
static size_t split(const char *name, int *ordinal)
{
    const char *colon = strrchr(name, ':');
    *ordinal = 0;
    if (!colon || !colon[1] || strlen(colon + 1) > 4 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return strlen(name);
    for (const char *digit = colon + 1; *digit; digit++)
        *ordinal = *ordinal * 10 + (*digit - '0');
    return (size_t)(colon - name);
}

static int find_site(vx_site *out, const vx_device_class *row, int ordinal, char *why,
                     size_t why_size)
{
    *out = (vx_site){class_of(row, why, why_size), ordinal};
    return out->cls ? out->cls->probe(ordinal, why, why_size) : VX_DEVICE_FAILED;
}

static int find_named(vx_site *out, const char *name, char *why, size_t why_size)
{
    char kind[32];
    int ordinal;
    const size_t length = split(name, &ordinal);
    snprintf(kind, sizeof kind, "%.*s", (int)length, name);
    const vx_device_class *row = length < sizeof kind ? row_of(kind) : NULL;
    return row ? find_site(out, row, ordinal, why, why_size) : VX_DEVICE_UNKNOWN;
}

int vx_site_find(vx_site *out, const char *name, char *why, size_t why_size)
{
    int status = VX_DEVICE_UNKNOWN;
    const vx_device_class *row;
    if (why_size)
        why[0] = '\0';
    if (!name || strcmp(name, "auto") != 0)
        return find_named(out, name ? name : VX_DEFAULT_DEVICE, why, why_size);
    for (int i = 0; status != 0 && (row = vx_device_at(i)) != NULL; i++) {
        char text[480];
        status = find_site(out, row, 0, text, sizeof text);
        if (status != 0)
            snprintf(why, why_size, "%s: %s", row->name, text);
    }
    return status;
}

const char *vx_device_precision(const vx_device_class *cls, const char *name)
{
    const int automatic = name && strcmp(name, "auto") == 0;
    if (automatic && cls->automatic)
        return cls->automatic();
    if (!name || automatic)
        return cls->precision_at(0);
    for (int i = 0; cls->precision_at(i); i++)
        if (strcmp(cls->precision_at(i), name) == 0)
            return cls->precision_at(i);
    return NULL;
}
