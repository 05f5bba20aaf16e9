/*
 * kernels/plugin.h: a device that lies in a shared library of its own, and how it is found.
 *
 *      libvitx                              libvitx-cuda.so.0
 *      row "cuda" of devices.def  --------> vitx_device_plugin(abi), the one name that it exports
 *        load: opens the file when                    |
 *        the device is first asked for                v
 *      vx_site.cls  <---------------------- its vx_device_class, named "cuda"
 *
 * So libvitx knows no name of CUDA, and the plug-in needs no name of libvitx: memory, workers and
 * log come in vx_device_env. The header is C11 and C++17, as both sides include it. Both define
 * VX_VERSION, the version of vitx.
 *
 * What a plug-in promises:
 *   - It is, where cls is its class,
 *         extern "C" __attribute__((visibility("default")))
 *         const vx_device_class *vitx_device_plugin(uint64_t abi)
 *         {
 *             return abi == vx_plugin_abi() ? &cls : nullptr;
 *         }
 *   - name, precision_at, automatic, packings, packing_for, narrow_bytes, reserve_bytes,
 *     turned_bytes and instructions_of touch no GPU and no driver: the library asks for them
 *     without an instance.
 *   - Constructors of the file start nothing, as they run on machines without a GPU, too. The file
 *     stays loaded until the process ends.
 *   - probe is quick (below 1 ms if there is no driver) and starts nothing on the GPU: "auto" calls
 *     it for every context. Its reason stands behind "device cuda: ", without a full stop:
 *
 *         no driver                 no NVIDIA driver
 *         driver too old            the driver knows CUDA 12.4, this build needs 13.0
 *         a stub of the driver      libcuda.so is a stub
 *         no GPU, or none allowed   no GPU: <cudaGetErrorString>
 *         no GPU of that number     no GPU number 2: this machine has 2
 *         GPU too old               <its name> has compute capability 7.5, 8.0 is needed
 *
 *   - open and reserve say of memory "no memory for <what>: <n> bytes, <m> free of <k>", with
 *     VX_DEVICE_NOMEM; sync says of an operation that failed
 *     "<operation>: <cudaGetErrorString> (<kernel>)".
 */
#ifndef VX_KERNELS_PLUGIN_H
#define VX_KERNELS_PLUGIN_H

#include "kernels/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VX_PLUGIN_SYMBOL "vitx_device_plugin"

/* @return the class, static; NULL if `abi` is not the plug-in's own vx_plugin_abi() */
typedef const vx_device_class *vx_plugin_entry(uint64_t abi);

/* Goes up when a member of ops.h or device.h changes its meaning, but not its size and place. */
enum { VX_PLUGIN_REVISION = 1 };

#ifdef VX_VERSION
/* A number that differs where the two sides do not agree about the version, the operations, or the
 * structs that pass between them (FNV-1a). */
static inline uint64_t vx_plugin_abi(void)
{
#define VX_SIZE(type) (uint16_t)sizeof(type)
#define VX_AT(type, member) (uint16_t) offsetof(type, member)
#define VX_OP(name) VX_SIZE(vx_##name),
    static const uint16_t facts[] = {
#include "kernels/ops.def"
        /* clang-format off */
        VX_PLUGIN_REVISION, VX_ACT_COUNT, VX_CAM_COUNT, VX_LAYER_HEAD, VX_SIZE(vx_ops),
        VX_SIZE(vx_dims), VX_AT(vx_dims, classes), VX_SIZE(vx_recorded), VX_AT(vx_recorded, query),
        VX_SIZE(vx_weight), VX_AT(vx_weight, packing), VX_SIZE(vx_resampled),
        VX_AT(vx_resampled, down_first), VX_TAP_BITS, VX_SIZE(vx_device_env),
        VX_AT(vx_device_env, ordinal), VX_SIZE(struct vx_device), VX_AT(struct vx_device, ops),
        VX_AT(struct vx_device, env), VX_AT(struct vx_device, kernels), VX_SIZE(struct vx_packing),
        VX_AT(struct vx_packing, begin), VX_AT(struct vx_packing, pack), VX_SIZE(vx_device_class),
        VX_AT(vx_device_class, precision_at), VX_AT(vx_device_class, packing_for),
        VX_AT(vx_device_class, narrow_bytes), VX_AT(vx_device_class, probe),
        VX_AT(vx_device_class, open), VX_AT(vx_device_class, reserve),
        VX_AT(vx_device_class, mem_alloc), VX_AT(vx_device_class, mem_read),
        VX_AT(vx_device_class, upload), VX_AT(vx_device_class, sync)};
    /* clang-format on */
#undef VX_OP
#undef VX_AT
#undef VX_SIZE
#define VX_OP(name) " " #name
    static const char names[] = VX_VERSION
#include "kernels/ops.def"
        ;
#undef VX_OP
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        hash = (hash ^ facts[i]) * 0x100000001b3u;
    for (size_t i = 0; i < sizeof names; i++)
        hash = (hash ^ (unsigned char)names[i]) * 0x100000001b3u;
    return hash;
}
#endif

/* ------------------------------------------------------------------ libvitx's side --------- */

#ifndef __cplusplus
#include <pthread.h>

/* A plug-in that may be loaded. The lock guards what follows it; nothing is ever unloaded. */
typedef struct vx_plugin {
    const char *file;   /* "libvitx-cuda.so.0" */
    const char *folder; /* where `make install` puts it; "": nowhere */
    pthread_mutex_t lock;
    void *library;
    const vx_device_class *cls;
} vx_plugin;

/*
 * The class of a plug-in, loaded by the first call that can. Any thread.
 *
 * path: its file, a full path. NULL: the first of these that is there: `file` in the folder of the
 * object that holds libvitx's code (libvitx.so, or the program that libvitx.a is part of), in vitx/
 * and ../lib/vitx/ of that folder, and in `folder`. The environment, the working folder and the
 * loader's search path do not count.
 *
 * @return NULL with a one-line reason in why. The next call tries again
 */
const vx_device_class *vx_plugin_load(vx_plugin *plugin, const char *path, char *why,
                                      size_t why_size);

/* The same of the device "cuda". */
const vx_device_class *vx_plugin_load_cuda(const char *path, char *why, size_t why_size);
#endif

#ifdef __cplusplus
}
#endif
#endif
