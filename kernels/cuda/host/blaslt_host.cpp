/*
 * kernels/cuda/host/blaslt_host.cpp: what the host twin has for cuBLASLt: plain loops over the
 * layouts. It asks for more than the library does: pointers and rows that begin at multiples of 16
 * bytes, layouts that fit together, distances that are no smaller than a row.
 */
#include "kernels/cuda/host/blaslt_host.h"

#include "kernels/cuda/blaslt.h"
#include "kernels/cuda/host/graph.h"

#include <stdlib.h>

namespace
{
struct descriptor {
    int transposed, other, epilogue;
    const void *bias;
};

struct layout {
    int type;
    int64_t rows, columns, ld;
};

enum { OK = 0, NO_MEMORY = 3, NOT_SUPPORTED = 15 };
} // namespace

static int behaviour;
static long made;

void vx_blaslt_host_behave(int how)
{
    __atomic_store_n(&behaviour, how, __ATOMIC_RELAXED);
}

static int behaves()
{
    return __atomic_load_n(&behaviour, __ATOMIC_RELAXED);
}

long vx_blaslt_host_products()
{
    return __atomic_load_n(&made, __ATOMIC_RELAXED);
}

static void demand(bool holds, const char *what)
{
    if (!holds)
        vx_machine_stop(NULL, 0, "cuBLASLt's twin: %s", what);
}

/* Either may wait for the whole GPU, which no capture of any thread survives. */
static int create(vx_lt_handle *lt)
{
    vx_host_no_captures("cublasLtCreate");
    *lt = malloc(1);
    return *lt ? OK : NO_MEMORY;
}

static int destroy(vx_lt_handle lt)
{
    vx_host_no_captures("cublasLtDestroy");
    free(lt);
    return OK;
}

static int drop(vx_lt_handle descriptor_or_layout)
{
    free(descriptor_or_layout);
    return OK;
}

static int desc_create(vx_lt_handle *desc, int compute, int scale_type)
{
    demand(compute == VX_LT_COMPUTE_32F && scale_type == VX_LT_R_32F, "it computes in f32 alone");
    *desc = calloc(1, sizeof(descriptor));
    return *desc ? OK : NO_MEMORY;
}

static int desc_set(vx_lt_handle desc, int attribute, const void *value, size_t bytes)
{
    descriptor *d = (descriptor *)desc;
    void *at = attribute == VX_LT_DESC_TRANSA         ? (void *)&d->transposed
               : attribute == VX_LT_DESC_TRANSB       ? (void *)&d->other
               : attribute == VX_LT_DESC_EPILOGUE     ? (void *)&d->epilogue
               : attribute == VX_LT_DESC_BIAS_POINTER ? (void *)&d->bias
                                                      : NULL;
    const size_t size = attribute == VX_LT_DESC_BIAS_POINTER ? sizeof(void *) : sizeof(int);
    demand(at != NULL && bytes == size, "no such attribute of that size");
    memcpy(at, value, bytes);
    return OK;
}

static int layout_create(vx_lt_handle *out, int type, uint64_t rows, uint64_t columns, int64_t ld)
{
    layout *l = (layout *)malloc(sizeof *l);
    *out = l;
    if (!l)
        return NO_MEMORY;
    *l = {type, (int64_t)rows, (int64_t)columns, ld};
    demand(ld >= l->rows, "a distance is smaller than a row");
    return OK;
}

static int preference_create(vx_lt_handle *preference)
{
    *preference = calloc(1, sizeof(uint64_t));
    return *preference ? OK : NO_MEMORY;
}

static int preference_set(vx_lt_handle preference, int attribute, const void *value, size_t bytes)
{
    const bool workspace = attribute == VX_LT_PREF_MAX_WORKSPACE_BYTES;
    demand(bytes == (workspace ? sizeof(uint64_t) : sizeof(uint32_t)), "size of a preference");
    if (workspace)
        memcpy(preference, value, bytes);
    return OK;
}

static bool known(int type)
{
    return type == VX_LT_R_32F || type == VX_LT_R_16F || type == VX_LT_R_16BF;
}

/* The shapes and types of a product; A is what is transposed. */
static void check(const descriptor *desc, const layout *a, const layout *b, const layout *c,
                  const layout *d)
{
    const int64_t n = desc->transposed ? a->columns : a->rows;
    const int64_t k = desc->transposed ? a->rows : a->columns;
    demand(!desc->other, "B is not transposed");
    demand(known(a->type) && a->type == b->type, "types of the operands");
    demand(d->type == c->type && (d->type == VX_LT_R_32F || d->type == a->type), "type of D");
    demand(b->rows == k && d->rows == n && d->columns == b->columns, "the shapes do not fit");
    demand(c->rows == d->rows && c->columns == d->columns, "C is not shaped as D");
    demand(n > 0 && k > 0 && b->columns > 0, "nothing to multiply");
    demand(n % 8 == 0, "the rows of D are no multiple of 8");
}

static int heuristic(vx_lt_handle, vx_lt_handle desc, vx_lt_handle a, vx_lt_handle b,
                     vx_lt_handle c, vx_lt_handle d, vx_lt_handle, int wanted, vx_lt_found *found,
                     int *count)
{
    check((const descriptor *)desc, (const layout *)a, (const layout *)b, (const layout *)c,
          (const layout *)d);
    demand(wanted == 1, "one way is wanted");
    memset(found, 0, sizeof *found);
    *count = 0;
    if (behaves() == VX_LT_NO_WAY)
        return OK;
    found->algo.data[0] = 0x5eed;
    *count = 1;
    return OK;
}

static size_t size_of(int type)
{
    return type == VX_LT_R_32F ? 4 : 2;
}

static float get(const void *at, int type, int64_t i)
{
    if (type == VX_LT_R_32F)
        return ((const float *)at)[i];
    return type == VX_LT_R_16F ? vx_get(((const vx_f16 *)at)[i]) : vx_get(((const vx_bf16 *)at)[i]);
}

static void put(void *at, int type, int64_t i, float x)
{
    if (type == VX_LT_R_32F)
        ((float *)at)[i] = x;
    else if (type == VX_LT_R_16F)
        vx_put((vx_f16 *)at + i, x);
    else
        vx_put((vx_bf16 *)at + i, x);
}

static void check_place(const void *at, const layout *l, const char *what)
{
    demand(at && (uintptr_t)at % 16 == 0, what);
    demand((size_t)l->ld * size_of(l->type) % 16 == 0, what);
}

/* Columns of a matrix as floats, `rows` apart. turned: its rows. */
static float *floats_of(const void *at, const layout *l, bool turned)
{
    const int64_t rows = turned ? l->columns : l->rows, columns = turned ? l->rows : l->columns;
    float *out = (float *)malloc((size_t)(rows * columns) * sizeof *out);
    for (int64_t j = 0; j < columns && out; j++)
        for (int64_t i = 0; i < rows; i++)
            out[j * rows + i] = get(at, l->type, turned ? i * l->ld + j : j * l->ld + i);
    return out;
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            sum[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static float act(int epilogue, float x)
{
    if (epilogue & VX_LT_EPILOGUE_GELU)
        return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    return epilogue & VX_LT_EPILOGUE_RELU && x < 0 ? 0 : x;
}

/* A product, with all that it needs. */
namespace
{
struct product {
    descriptor desc;
    layout la, lb, lc, ld;
    float by, add;
    const void *a, *b, *c;
    void *d;
};
} // namespace

static void multiply(void *what)
{
    const product *p = (const product *)what;
    const bool biased = (p->desc.epilogue & VX_LT_EPILOGUE_BIAS) != 0;
    __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    float *left = floats_of(p->a, &p->la, !p->desc.transposed),
          *right = floats_of(p->b, &p->lb, false);
    demand(left && right, "no memory");
    for (int64_t j = 0; j < p->ld.columns; j++)
        for (int64_t i = 0; i < p->ld.rows; i++) {
            float v = p->by * dot(left + i * p->lb.rows, right + j * p->lb.rows, p->lb.rows);
            v += p->add != 0 ? p->add * get(p->c, p->lc.type, j * p->lc.ld + i) : 0;
            v += biased ? get(p->desc.bias, p->ld.type, i) : 0;
            put(p->d, p->ld.type, j * p->ld.ld + i, act(p->desc.epilogue, v));
        }
    free(left);
    free(right);
}

static int matmul(vx_lt_handle, vx_lt_handle desc_, const void *alpha, const void *a,
                  vx_lt_handle a_, const void *b, vx_lt_handle b_, const void *beta, const void *c,
                  vx_lt_handle c_, void *d, vx_lt_handle d_, const vx_lt_algo *algo, void *, size_t,
                  void *stream)
{
    product p = {*(const descriptor *)desc_,
                 *(const layout *)a_,
                 *(const layout *)b_,
                 *(const layout *)c_,
                 *(const layout *)d_,
                 *(const float *)alpha,
                 *(const float *)beta,
                 a,
                 b,
                 c,
                 d};
    check(&p.desc, &p.la, &p.lb, &p.lc, &p.ld);
    demand(algo->data[0] == 0x5eed, "no algorithm");
    check_place(a, &p.la, "A is not aligned");
    check_place(b, &p.lb, "B is not aligned");
    check_place(c, &p.lc, "C is not aligned");
    check_place(d, &p.ld, "D is not aligned");
    demand(c != d || p.lc.ld == p.ld.ld, "C is D, but with another distance");
    const bool biased = (p.desc.epilogue & VX_LT_EPILOGUE_BIAS) != 0;
    demand(!biased || (p.desc.bias && (uintptr_t)p.desc.bias % 16 == 0), "the bias is not aligned");
    if (behaves() >= VX_LT_UNSUPPORTED)
        return behaves() == VX_LT_BREAKS ? (int)VX_LT_STATUS_EXECUTION_FAILED : (int)NOT_SUPPORTED;
    vx_host_do(stream, multiply, &p, sizeof p);
    return OK;
}

static size_t version()
{
    return 130100;
}

const vx_blaslt *vx_blaslt_load(char *, size_t)
{
    static const vx_blaslt twin = {create,   destroy,        desc_create, drop,
                                   desc_set, layout_create,  drop,        preference_create,
                                   drop,     preference_set, heuristic,   matmul,
                                   version};
    return &twin;
}
