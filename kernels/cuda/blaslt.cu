/*
 * kernels/cuda/blaslt.cu: how products of a shape are done by cuBLASLt is asked once and kept, for
 * as many shapes as there is room.
 */
#include "kernels/cuda/blaslt.h"

#include <stdio.h>

/* All that a way depends on. Without gaps: keys are compared byte by byte. */
struct key {
    int64_t lda, ldw, ldc, ldd;
    int m, n, k;
    int type, type_d, turned, epilogue, accumulate;
};

struct plan {
    key of;
    bool used, possible;
    bool proven; /* it was queued once: the library may refuse what its heuristic has offered */
    vx_lt_handle desc, a, w, c, d;
    vx_lt_algo algo;
};

static const char product_name[] = "product by cuBLASLt";

enum { PLANS = 256, PROBES = 8 };

struct vx_products {
    const vx_blaslt *lt;
    vx_lt_handle handle, preference;
    plan plans[PLANS];
    unsigned turn; /* the place that is given up next, if all are taken */
};

static void forget(const vx_blaslt *lt, plan *p)
{
    const vx_lt_handle layouts[] = {p->a, p->w, p->c, p->d};
    for (vx_lt_handle layout : layouts)
        if (layout)
            lt->layout_destroy(layout);
    if (p->desc)
        lt->desc_destroy(p->desc);
    memset(p, 0, sizeof *p);
}

size_t vx_products_bytes(void)
{
    return sizeof(vx_products);
}

void vx_products_close(vx_products *products)
{
    if (!products)
        return;
    for (plan &p : products->plans)
        forget(products->lt, &p);
    if (products->preference)
        products->lt->preference_destroy(products->preference);
    vx_captures_lock();
    if (products->handle)
        products->lt->destroy(products->handle);
    vx_captures_unlock();
}

static int start(vx_products *products)
{
    static const int alignments[] = {
        VX_LT_PREF_MIN_ALIGNMENT_A_BYTES, VX_LT_PREF_MIN_ALIGNMENT_B_BYTES,
        VX_LT_PREF_MIN_ALIGNMENT_C_BYTES, VX_LT_PREF_MIN_ALIGNMENT_D_BYTES};
    const vx_blaslt *lt = products->lt;
    const uint32_t aligned = 16;
    /* Neither does the library say that two threads may do it at once. */
    vx_captures_lock();
    int status = lt->create(&products->handle);
    vx_captures_unlock();
    if (status)
        products->handle = NULL;
    if (!status && (status = lt->preference_create(&products->preference)) != 0)
        products->preference = NULL;
    for (int i = 0; i < 4 && !status; i++)
        status = lt->preference_set(products->preference, alignments[i], &aligned, sizeof aligned);
    return status;
}

int vx_products_open(vx_products *room, char *why, size_t why_size)
{
    const vx_blaslt *lt = vx_blaslt_load(why, why_size);
    if (!lt)
        return VX_DEVICE_FAILED;
    memset(room, 0, sizeof *room);
    room->lt = lt;
    const int status = start(room);
    if (status == 0)
        return 0;
    snprintf(why, why_size, "it does not start (status %d)", status);
    vx_products_close(room);
    return VX_DEVICE_FAILED;
}

size_t vx_products_version(const vx_products *products)
{
    return products->lt->version();
}

/* ---------------------------------------------------------------------------- plans ---- */

static int describe(const vx_blaslt *lt, plan *p, const vx_lt_product *of)
{
    const int transposed = of->turned ? VX_LT_OP_N : VX_LT_OP_T;
    const int epilogue = (of->epilogue ? of->epilogue
                          : of->bias   ? 0
                                       : VX_LT_EPILOGUE_DEFAULT) |
                         (of->bias ? VX_LT_EPILOGUE_BIAS : 0);
    const uint64_t m = (uint64_t)of->m, n = (uint64_t)of->n, k = (uint64_t)of->k;
    int status = lt->desc_create(&p->desc, VX_LT_COMPUTE_32F, VX_LT_R_32F);
    if (!status)
        status = lt->desc_set(p->desc, VX_LT_DESC_TRANSA, &transposed, sizeof transposed);
    if (!status)
        status = lt->desc_set(p->desc, VX_LT_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (!status)
        status =
            lt->layout_create(&p->w, of->type, of->turned ? n : k, of->turned ? k : n, of->ldw);
    if (!status)
        status = lt->layout_create(&p->a, of->type, k, m, of->lda);
    if (!status)
        status = lt->layout_create(&p->c, of->type_d, n, m, of->c ? of->ldc : of->ldd);
    return status ? status : lt->layout_create(&p->d, of->type_d, n, m, of->ldd);
}

static int set_bias(const vx_blaslt *lt, plan *p, const void *bias)
{
    return bias ? lt->desc_set(p->desc, VX_LT_DESC_BIAS_POINTER, &bias, sizeof bias) : 0;
}

/* Fills a plan that is empty; without a way it is kept, too, so that nobody asks again. */
static void make(vx_cuda *cuda, plan *p, const key *of, const vx_lt_product *product)
{
    vx_products *products = cuda->products;
    const vx_blaslt *lt = products->lt;
    vx_lt_found found;
    int count = 0;
    const uint64_t room = cuda->workspace_bytes;
    memset(&found, 0, sizeof found);
    p->of = *of;
    p->used = true;
    p->possible = describe(lt, p, product) == 0 && set_bias(lt, p, product->bias) == 0 &&
                  lt->preference_set(products->preference, VX_LT_PREF_MAX_WORKSPACE_BYTES, &room,
                                     sizeof room) == 0 &&
                  lt->heuristic(products->handle, p->desc, p->w, p->a, p->c, p->d,
                                products->preference, 1, &found, &count) == 0 &&
                  count == 1 && found.status == 0 && found.workspace_bytes <= room;
    p->algo = found.algo;
}

/* FNV-1a */
static unsigned hash_of(const key *of)
{
    const unsigned char *bytes = (const unsigned char *)of;
    unsigned hash = 0x811c9dc5u;
    for (size_t i = 0; i < sizeof *of; i++)
        hash = (hash ^ bytes[i]) * 0x01000193u;
    return hash;
}

static plan *find_plan(vx_cuda *cuda, const key *of, const vx_lt_product *product)
{
    vx_products *products = cuda->products;
    const unsigned from = hash_of(of);
    plan *p = NULL;
    for (unsigned i = 0; i < PROBES; i++) {
        p = &products->plans[(from + i) % PLANS];
        if (p->used && memcmp(&p->of, of, sizeof *of) == 0)
            return p;
        if (!p->used)
            break;
    }
    if (p->used) {
        p = &products->plans[(from + products->turn++ % PROBES) % PLANS];
        forget(products->lt, p);
    }
    make(cuda, p, of, product);
    return p;
}

static key key_of(const vx_lt_product *p)
{
    key of;
    memset(&of, 0, sizeof of);
    of.lda = p->lda;
    of.ldw = p->ldw;
    of.ldc = p->c ? p->ldc : 0;
    of.ldd = p->ldd;
    of.m = p->m;
    of.n = p->n;
    of.k = p->k;
    of.type = p->type;
    of.type_d = p->type_d;
    of.turned = p->turned;
    of.epilogue = p->epilogue | (p->bias ? VX_LT_EPILOGUE_BIAS : 0);
    of.accumulate = p->c != NULL;
    return of;
}

/* Queues it now. false: the library has refused it. */
static bool queue(vx_cuda *cuda, plan *way, const vx_lt_product *p)
{
    const float one = 1, beta = p->c ? 1 : 0;
    const vx_blaslt *lt = cuda->products->lt;
    /* cuBLASLt's manual allows c == d for one and the same layout. */
    const vx_lt_handle c = !p->c || p->ldc == p->ldd ? way->d : way->c;
    int status = set_bias(lt, way, p->bias);
    if (!status)
        status = lt->matmul(cuda->products->handle, way->desc, &one, p->w, way->w, p->a, way->a,
                            &beta, p->c ? p->c : p->d, c, p->d, way->d, &way->algo, cuda->workspace,
                            cuda->workspace_bytes, cuda->stream.handle);
    if (status == VX_LT_STATUS_EXECUTION_FAILED)
        vx_gpu_fail(&cuda->stream, VX_GPU_LAUNCH_FAILED, product_name);
    else if (status != 0)
        way->possible = false;
    way->proven = way->proven || status == 0;
    return way->possible;
}

/* All that a product's way and its queueing depend on, for a list. */
struct listed {
    vx_cuda *cuda;
    vx_lt_product product;
    const void *workspace;
    size_t workspace_bytes;
};

static void play_product(vx_gpu_stream *stream, const vx_entry *entry)
{
    const listed *l = reinterpret_cast<const listed *>(entry + 1);
    const key of = key_of(&l->product);
    plan *way = find_plan(l->cuda, &of, &l->product);
    if (!way->possible || !queue(l->cuda, way, &l->product))
        vx_gpu_fail(stream, VX_GPU_LAUNCH_FAILED, product_name);
}

/* false: it is to be queued now. */
static bool add_to_list(vx_cuda *cuda, const plan *way, const vx_lt_product *p)
{
    const vx_entry entry = {play_product, NULL, product_name, NULL, 0, {}, {}, 0};
    if (!cuda->stream.list)
        return false;
    if (!way->proven) { /* if the library refuses it, another product has to be made in its place */
        vx_list_break(cuda->lists);
        return false;
    }
    listed *to = static_cast<listed *>(vx_list_add(&cuda->stream, &entry, sizeof *to));
    if (!to)
        return false;
    to->cuda = cuda;
    to->product = *p;
    to->workspace = cuda->workspace;
    to->workspace_bytes = cuda->workspace_bytes;
    vx_clear_gaps(to);
    return true;
}

bool vx_products_multiply(vx_cuda *cuda, const vx_lt_product *p)
{
    const key of = key_of(p);
    if (cuda->stream.error)
        return true; /* nothing is queued any more */
    plan *way = find_plan(cuda, &of, p);
    if (!way->possible)
        return false;
    return add_to_list(cuda, way, p) || queue(cuda, way, p);
}
