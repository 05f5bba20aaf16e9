/*
 * kernels/device.h: what a device is.
 *
 * A device is one folder, one const vx_device_class and one row in devices.def. The class makes
 * instances; a context owns one. kernels/ knows no model, no file and no user, so what it needs
 * from the outside (memory, workers, a log) comes in vx_device_env.
 */
#ifndef VX_KERNELS_DEVICE_H
#define VX_KERNELS_DEVICE_H

#include "kernels/ops.h"

/* What the owner lends to a device. alloc may return NULL; release takes what alloc gave. */
typedef struct vx_device_env {
    void *(*alloc)(size_t bytes, void *owner);
    void (*release)(void *memory, void *owner);
    /* Calls task(arg, i, worker) for every i in 0..count-1, spread over the workers, and returns
     * when all are done; worker is 0..workers-1 and no two running calls share one. */
    void (*parallel)(void (*task)(void *arg, int i, int worker), void *arg, int count, void *owner);
    void (*log)(const char *line, void *owner);
    void *owner;
    int workers;
} vx_device_env;

/* The largest sizes an instance will meet; what it needs beside the tensors is reserved for them. */
typedef struct vx_dims {
    int batch, tokens, width, heads, head_width, hidden, channels, patch_height, patch_width,
        classes;
    int sequences; /* of fewer tokens, at once: batch*tokens rows at most; 0: no more than batch */
} vx_dims;

/* Features a caller may withhold, so that tests reach every version of a kernel: bits of a device's
 * own. These are the device cpu's. */
#define VX_CPU_AVX2 1u   /* AVX2, FMA and F16C */
#define VX_CPU_AVX512 2u /* AVX-512 F, BW, DQ, VL */
#define VX_CPU_BLAS 4u   /* OpenBLAS */
#define VX_FEATURES_ALL (~0u)

typedef struct vx_device_class vx_device_class;

/* An instance begins with this; a device's own struct holds it as its first member. */
struct vx_device {
    const vx_device_class *cls;
    /* Complete: the reference reads host memory, so it serves where that is the device's. */
    vx_ops ops;
    vx_device_env env;
    char kernels[160]; /* one line for people: instruction sets and libraries in use */
    struct vx_profile *profile; /* kernels/profile.h; NULL: no operation is timed */
};

/* Functions returning int give 0, or one of these with a one-line reason in err. */
enum { VX_DEVICE_NOMEM = 1, VX_DEVICE_FAILED = 2 };

struct vx_device_class {
    const char *name;
    int host_memory; /* nonzero: device memory can be read by the host */
    /* The precisions that this machine runs, NULL past the last; the first is what "auto" means. */
    const char *(*precision_at)(int index);

    /* features: what of the processor may be used (a device's own bits; VX_FEATURES_ALL). */
    int (*open)(vx_device **out, const vx_device_env *env, const char *precision, unsigned features,
                char *err, size_t err_size);
    void (*close)(vx_device *dev); /* nothing is queued */
    int (*reserve)(vx_device *dev, const vx_dims *max, char *err, size_t err_size);
    /* Of dev it reads env.workers alone: asked before there is an instance, too. */
    size_t (*reserve_bytes)(const vx_device *dev, const vx_dims *max);

    /* Device memory, 64-byte aligned; NULL when there is none left. Needs no instance, since a
     * model's packed weights outlive the context that caused them to be packed; of env only alloc,
     * release and owner. */
    void *(*mem_alloc)(size_t bytes, const vx_device_env *env);
    /* No instance may have work queued that touches the memory. */
    void (*mem_free)(void *memory, const vx_device_env *env);

    /* Packs rows first..first+rows-1 of a matrix [n,k], given as f32 [rows,k] in host memory. */
    size_t (*weight_bytes)(const char *precision, int n, int k);
    void (*weight_pack)(const char *precision, void *packed, const float *rows_f32, int first,
                        int rows, int n, int k);

    /* Copies. A device may put copies and operations off until the next sync. Until then
     *   - the host_src of an upload must not change or be freed;
     *   - the host_dst of a download must not be read, written or freed;
     *   - device memory that was given to either, or to an operation, must not be freed.
     * What an operation is called with may be reused when it returns: its struct, the vx_weight or
     * vx_recorded that it points to, and arrays that ops.h calls host memory. With dev NULL (packing weights, before there is
     * an instance) a copy is done on return. */
    void (*upload)(vx_device *dev, void *device_dst, const void *host_src, size_t bytes);
    void (*download)(vx_device *dev, void *host_dst, const void *device_src, size_t bytes);
    /* Waits for everything queued; reports what went wrong since the last call. After a failure
     * nothing is queued either. */
    int (*sync)(vx_device *dev, char *err, size_t err_size);
};

/* @return the class of that name, NULL if there is none; or by index, NULL past the last. */
const vx_device_class *vx_device_find(const char *name);
const vx_device_class *vx_device_at(int index);

/* @return the class's own string for a precision (NULL, "auto": its first), NULL where it has none. */
const char *vx_device_precision(const vx_device_class *cls, const char *name);

#endif
