/* kernels/cuda/plugin_cuda.cu: the one name that the plug-in exports (kernels/plugin.h). */
#include "kernels/plugin.h"

#include "kernels/cuda/runtime.h"

extern "C" const vx_device_class VX_GPU_CLASS;

extern "C" __attribute__((visibility("default"))) const vx_device_class *
vitx_device_plugin(uint64_t abi)
{
    return abi == vx_plugin_abi() ? &VX_GPU_CLASS : NULL;
}
