/* test/plugin/abi.cpp: kernels/plugin.h as the plug-in's compiler sees it. */
#include "kernels/plugin.h"

extern "C" uint64_t abi_of_cpp();
extern "C" uint64_t abi_of_cpp()
{
    return vx_plugin_abi();
}
