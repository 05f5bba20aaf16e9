/*
 * kernels/device.h: what a device is.
 *
 * A device is one folder, one const vx_device_class and one row in devices.def. There are three
 * levels:
 *
 *      class      "cpu", "cuda": names, precisions, packings of weights
 *      site       one of the class's processors, by its number (the ordinal): its memory holds the
 *                 packed weights of models, which outlive instances
 *      instance   a site at work for one context: operations and a queue
 *
 * kernels/ knows no model, no file and no user, so what it needs from the outside (memory, workers,
 * a log) comes in vx_device_env.
 */
#ifndef VX_KERNELS_DEVICE_H
#define VX_KERNELS_DEVICE_H

#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

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
    int ordinal; /* of the site */
} vx_device_env;

/* The largest sizes an instance will meet; what it needs beside the tensors is reserved for them.
 * The CPU sizes its scratch by tokens, widths, channels and patches; the rest is for devices whose
 * scratch grows with the batch. */
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
#define VX_CPU_VNNI 8u   /* AVX-512 VNNI: int8 */
#define VX_CPU_BF16 16u  /* AVX-512 BF16 */
#define VX_CPU_AMX 32u   /* AMX TILE, INT8 and BF16, and the system lets the process use them */
/* And these the device cuda's. */
#define VX_CUDA_BLAS 1u  /* cuBLASLt; else products of its own */
#define VX_CUDA_MMA 2u   /* the matrix instructions in kernels of its own */
#define VX_CUDA_LISTS 4u /* list_begin and list_end: passes as graphs */
#define VX_FEATURES_ALL (~0u)

typedef struct vx_device_class vx_device_class;

/* One processor of a class: GPU 0, GPU 1. Classes that have one, as "cpu", call it 0. */
typedef struct vx_site {
    const vx_device_class *cls;
    int ordinal;
} vx_site;

/* An instance begins with this; a device's own struct holds it as its first member. */
struct vx_device {
    const vx_device_class *cls;
    /* Complete: the reference reads host memory, so it serves where that is the device's. */
    vx_ops ops;
    vx_device_env env;
    char kernels[160];          /* one line for people: instruction sets and libraries in use */
    struct vx_profile *profile; /* kernels/profile.h; NULL: no operation is timed */
};

/* Functions returning int give 0, or one of these with a one-line reason in err. */
enum { VX_DEVICE_NOMEM = 1, VX_DEVICE_FAILED = 2, VX_DEVICE_UNKNOWN = 3 };

/*
 * How a matrix lies in device memory: plain rows, or panels of a narrower type. Operations read
 * vx_weight.packing, so several of them serve one model: a precision is a name for those that a
 * class takes for the matrices (packing_for). A packing may keep several forms of the
 * matrix in its bytes, as one for x W^T and one for dy W. Bias and gamma of begin are a packing's
 * to keep, too, but what counts is what an operation is called with: the engine may pass a copy of
 * a weight without its bias.
 *
 * A matrix is packed by begin, then pack for all rows in order, with no instance at hand. It may be
 * packed again later, with other values. Of env they read alloc, release, log, owner and ordinal.
 */
struct vx_packing {
    const char *name; /* "plain" */
    int panel;        /* rows that are packed together */
    size_t (*bytes)(int n, int k);
    /* Or NULL. The bias (w->bias), and the LayerScale gamma [n] that the matrix's outputs are
     * multiplied by, hold their values already; each is memory of the device or NULL. */
    int (*begin)(const vx_device_env *env, const vx_weight *w, const vx_far *gamma, char *err,
                 size_t err_size);
    /* Packs rows first..first+rows-1 of w, given as f32 [rows,k] in host memory, into w->data.
     * first is a multiple of panel; so is rows, but for the last rows of the matrix. */
    int (*pack)(const vx_device_env *env, const vx_weight *w, const float *rows_f32, int first,
                int rows, char *err, size_t err_size);
};

struct vx_device_class {
    const char *name;
    /* Of a row of the table whose class lies in a plug-in (plugin.h), which has no other member but
     * its name: gives the class, or NULL with the reason. NULL: this is the class. */
    const vx_device_class *(*load)(char *why, size_t why_size);
    /* Nonzero: device memory can be read by the host, which then makes variants of a picture, too.
     * Else the device makes them (variants.h). */
    int host_memory;
    int pictures; /* nonzero: the operation resample makes inputs of pictures, else the host does;
                      * not with host_memory */
    /* Variants are run so many at once that they have about so many tokens together, if memory
     * allows; 0: no more than a few. */
    int variant_tokens;
    /* What those with gradients may record at once; 0: no more than a few need. */
    size_t variant_bytes;
    /* The precisions that this machine runs, NULL past the last; the first is the default. */
    const char *(*precision_at)(int index);
    /* The fastest that keeps the tolerance of f32. NULL: the first. */
    const char *(*automatic)(void);
    /* The instructions of this machine that multiply a precision's numbers; NULL: there are none,
     * or none with which it can be faster than f32. NULL instead of a function: of the device's one
     * precision, its own. */
    const char *(*instructions_of)(const char *precision);
    const vx_packing *const *packings; /* all of them, ended by NULL */
    /* block: the matrix's, from 0 on; 0 outside of the blocks. */
    const vx_packing *(*packing_for)(const char *precision, vx_layer layer, int block);
    /* Or NULL. The packing in whose form attention reads qkv (vx_attention.qkv_form in ops.h) with
     * heads of that width and so many queries of each sequence, if no gradients are taken. NULL is
     * given for: as floats. */
    const vx_packing *(*attention_form)(const vx_device *dev, int head_width, int queries);
    /* Bytes of an element of vx_narrow. NULL: vx_narrow is float, so that one array serves as both;
     * a function that returns 4 does not say that. */
    size_t (*narrow_bytes)(const char *precision);
    /* Nonzero: attention_bwd makes the probabilities again from qkv, so none are kept for it, and
     * what methods want of their gradients, so these are not written first. */
    int recomputes_p;
    /* 0 if there is such a processor, and it can be used; else the reason is in why. */
    int (*probe)(int ordinal, char *why, size_t why_size);

    /* features: what of the processor may be used (a device's own bits; VX_FEATURES_ALL). */
    int (*open)(vx_device **out, const vx_device_env *env, const char *precision, unsigned features,
                char *err, size_t err_size);
    void (*close)(vx_device *dev); /* nothing is queued */
    /* Or NULL. The same device for one worker, 0..env.workers-1, alone, with the operations of a
     * block's forward pass: each is done by the thread that calls, with that worker's scratch, when
     * it returns. Those of several workers may be at work at once, but not beside `dev`. They are
     * the instance's, and have tables of operations of their own. Needs reserve. */
    vx_device *(*alone)(vx_device *dev, int worker);
    /* Or NULL. Lets all workers multiply `rounds` times, with the instructions that the precision's
     * products take, and nothing but registers. Needs reserve. @return operations */
    double (*multiply)(vx_device *dev, int64_t rounds);
    /* Or NULL, both of them: linear_bwd reads a matrix as it is packed. Else turn queues an
     * operation that writes to `to` (memory of the device) what linear_bwd makes of the matrix for
     * every product: (gamma W)^T. If the engine hands that over as w->turned, with the same gamma
     * in the operation, the results have the same bits, and the product takes less time. Instances
     * of one site read what any of them made. turned_bytes: of `to`; it reads n, k and packing of
     * w. 0: linear_bwd has no use for it. */
    size_t (*turned_bytes)(const vx_weight *w);
    void (*turn)(vx_device *dev, const vx_weight *w, const vx_far *gamma, void *to);
    int (*reserve)(vx_device *dev, const vx_dims *max, char *err, size_t err_size);
    /* Of dev it reads env.workers alone: asked before there is an instance, too. */
    size_t (*reserve_bytes)(const vx_device *dev, const vx_dims *max);

    /* The memory of a site, 64-byte aligned; NULL when there is none left. Needs no
     * instance, since a model's packed weights outlive the context that caused them to be packed;
     * of env only alloc, release, owner and ordinal. */
    void *(*mem_alloc)(size_t bytes, const vx_device_env *env);
    /* No instance may have work queued that touches the memory. */
    void (*mem_free)(void *memory, const vx_device_env *env);

    /* Or NULL. Memory of the host that copies reach by the shortest way (pinned), for what is
     * copied with every batch. alloc gives NULL if there is none left: any other memory serves. */
    void *(*host_alloc)(size_t bytes, const vx_device_env *env);
    void (*host_free)(void *memory, const vx_device_env *env);

    /* Copies without an instance (packing weights), done on return: from the host, to the host,
     * within the device. */
    int (*mem_write)(const vx_device_env *env, void *device_dst, const void *host_src, size_t bytes,
                     char *err, size_t err_size);
    int (*mem_read)(const vx_device_env *env, void *host_dst, const void *device_src, size_t bytes,
                    char *err, size_t err_size);
    int (*mem_copy)(const vx_device_env *env, void *device_dst, const void *device_src,
                    size_t bytes, char *err, size_t err_size);

    /* Copies. A device may put copies and operations off until the next sync. Until then
     *   - the host_src of an upload must not change or be freed;
     *   - the host_dst of a download must not be read, written or freed;
     *   - device memory that was given to either, or to an operation, must not be freed.
     * What an operation is called with may be reused when it returns: its struct, the vx_weight or
     * vx_recorded that it points to, and arrays that ops.h calls host memory. */
    void (*upload)(vx_device *dev, void *device_dst, const void *host_src, size_t bytes);
    /* Or NULL, both of them. An upload that need not wait for what was queued before it, which
     * neither reads nor writes its destination; nor does what is queued after it, until a join.
     * What is queued after that comes after all such uploads. Not in a list. sync waits for them,
     * too. */
    void (*upload_early)(vx_device *dev, void *device_dst, const void *host_src, size_t bytes);
    void (*upload_join)(vx_device *dev);
    void (*download)(vx_device *dev, void *host_dst, const void *device_src, size_t bytes);
    /* Waits for everything queued; reports what went wrong since the last call. After a failure
     * nothing is queued either. */
    int (*sync)(vx_device *dev, char *err, size_t err_size);

    /* Or NULL, both of them. Around operations that belong together, as those of a pass: the device
     * may put them off until the end, and queue all of them as one. Copies and sync may be called
     * between the two; what was called before them is done before them. Nothing is nested, and
     * begin is followed by end whatever happens. */
    void (*list_begin)(vx_device *dev);
    void (*list_end)(vx_device *dev);
};

/* @return a row of the table, NULL past the last: only its name if the class is in a plug-in. */
const vx_device_class *vx_device_at(int index);
/* @return the class of that name, loaded if it is in a plug-in; NULL if there is none. */
const vx_device_class *vx_device_find(const char *name);

/* A GPU is taken only if the program asks for it. */
#define VX_DEFAULT_DEVICE "cpu"

/* A site by its name: "cpu", "cuda" (its processor 0), "cuda:1"; NULL: VX_DEFAULT_DEVICE;
 * "auto": the first of the table that is there. VX_DEVICE_UNKNOWN: no device has that name, and why
 * is empty. With 0, why says which device before it in the table is not there ("cuda: no NVIDIA
 * driver"), or is empty. */
int vx_site_find(vx_site *out, const char *name, char *why, size_t why_size);

static inline size_t vx_narrow_bytes(const vx_device_class *cls, const char *precision)
{
    return cls->narrow_bytes ? cls->narrow_bytes(precision) : sizeof(float);
}

/* @return the class's own string for a precision (NULL: its first; "auto": automatic()), NULL if it
 * has none. */
const char *vx_device_precision(const vx_device_class *cls, const char *name);

#ifdef __cplusplus
}
#endif

#endif
