/*
 * kernels/cuda/host/blaslt_host.h: what tests ask of the twin's cuBLASLt.
 */
#ifndef VX_CUDA_HOST_BLASLT_HOST_H
#define VX_CUDA_HOST_BLASLT_HOST_H

#ifdef __cplusplus
extern "C" {
#endif

enum { VX_LT_WILLING = 0, VX_LT_NO_WAY, VX_LT_UNSUPPORTED, VX_LT_BREAKS };

/* How it behaves from now on, in all threads: as it should; it knows no way for any product; a
 * product is refused when it is queued; a product fails. */
void vx_blaslt_host_behave(int how);
/* Products that it has made. */
long vx_blaslt_host_products(void);

#ifdef __cplusplus
}
#endif

#endif
