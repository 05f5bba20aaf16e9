/* render/vectors.c: embeddings as NumPy files. */
#include <vitx/render.h>

#include "base/sink.h"
#include "render/npy.h"

static int format(vx_sink *out, const float *values, int n, int count)
{
    const int64_t shape[] = {n, count};
    size_t total;
    if (n < 1 || count < 1 || !vx_mul_size(&total, (size_t)n, (size_t)count))
        return vx_fail(VITX_INVALID, "%d vectors of %d numbers: at least one of each is needed", n,
                       count);
    VX_TRY(vx_npy_header(out, shape, 2));
    return vx_npy_values(out, values, total);
}

int vitx_vectors_save(const float *values, int n, int count, const char *path)
{
    vitx_hooks hooks;
    if (!values || !path)
        return vx_fail(VITX_INVALID, "vitx_vectors_save: an argument is NULL");
    VX_TRY(vx_hooks_resolve(&hooks, NULL));
    vx_sink out = vx_sink_file(path, &hooks);
    return vx_sink_end(&out, format(&out, values, n, count));
}

int vitx_vectors_write(const float *values, int n, int count, vitx_writer *write, void *payload)
{
    vitx_hooks hooks;
    if (!values || !write)
        return vx_fail(VITX_INVALID, "vitx_vectors_write: an argument is NULL");
    VX_TRY(vx_hooks_resolve(&hooks, NULL));
    vx_sink out = vx_sink_writer(write, payload, &hooks);
    return vx_sink_end(&out, format(&out, values, n, count));
}
