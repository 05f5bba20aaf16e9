/*
 * test/far_memory.h: device memory that the host cannot read.
 *
 *      |  pages, PROT_NONE while no gate is open   | guard page |
 *      | unused        | bytes, rounded up to 64   | PROT_NONE  |
 *
 * Whoever touches it while no gate is open, behind its end, or after it was freed gets a SIGSEGV at
 * that very line. Gates are the process's: while one device works, all far memory is open.
 */
#ifndef VX_TEST_FAR_MEMORY_H
#define VX_TEST_FAR_MEMORY_H

#include <stdbool.h>

#include "kernels/device.h"

/* As vx_device_class.mem_alloc and mem_free; env->alloc is asked for a small record of each
 * block. */
void *far_alloc(size_t bytes, const vx_device_env *env);
void far_free(void *memory, const vx_device_env *env);

/* The other members of a class whose memory this is; its one packing is the plain one. */
extern const vx_packing *const far_packings[];
const vx_packing *far_packing_for(const char *precision, vx_layer layer, int which);
int far_mem_write(const vx_device_env *env, void *device_dst, const void *host_src, size_t bytes,
                  char *err, size_t err_size);
int far_mem_read(const vx_device_env *env, void *host_dst, const void *device_src, size_t bytes,
                 char *err, size_t err_size);
int far_mem_copy(const vx_device_env *env, void *device_dst, const void *device_src, size_t bytes,
                 char *err, size_t err_size);

/* May be nested, and called by several threads. */
void far_open(void);
void far_close(void);

/* Whether all of these bytes are far memory; whether one of them is. */
bool far_holds(const void *at, size_t bytes);
bool far_meets(const void *at, size_t bytes);

/* Whether that is an address of memory that is not far: of the heap, a stack, the program. */
bool near_holds(const void *at);

/* Copies between near and far memory that end the process with a line if a side is not where it has
 * to be. */
void far_upload(void *far, const void *near, size_t bytes);
void far_download(void *near, const void *far, size_t bytes);

#endif
