/*
 * explain/basis.c: the principal components of the tokens of several pictures.
 *
 * The tokens are maps of the method features with raw=yes, so they are what the method itself would
 * see; each batch's are gone when the next one comes.
 */
#include "explain/basis.h"

#include "engine/context.h"
#include "explain/map.h"

int vitx_basis_create(vitx_basis **out, const vitx_context *context, int layer, int components)
{
    if (out)
        *out = NULL;
    if (!out || !context)
        return vx_fail(VITX_INVALID, "vitx_basis_create: an argument is NULL");
    const vx_arch *a = &context->arch;
    const int most = a->width < VX_COMPONENTS_MOST ? a->width : VX_COMPONENTS_MOST;
    if (layer < VITX_AUTO || layer >= a->depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has %d (0 to %d)", layer,
                       a->depth, a->depth - 1);
    if (components < 1 || components > most)
        return vx_fail(VITX_INVALID, "%d components: 1 to %d are expected", components, most);
    vitx_basis *b;
    VX_TRY(vx_new(&b, &context->hooks, 1, sizeof *b, "a basis"));
    *b = (vitx_basis){.hooks = context->hooks,
                      .model = context->model,
                      .layer = layer == VITX_AUTO ? a->depth - 1 : layer,
                      .wanted = components};
    const int status = vx_moments_create(&b->moments, a->width, &b->hooks);
    if (status != VITX_OK)
        vitx_basis_free(b);
    else
        *out = b;
    return status;
}

void vitx_basis_free(vitx_basis *basis)
{
    if (!basis)
        return;
    const vitx_hooks hooks = basis->hooks;
    vx_moments_dispose(&basis->moments, &hooks);
    vx_components_dispose(&basis->components, &hooks);
    vx_release(&hooks, basis);
}

static void add_tokens(vitx_basis *b, vitx_context *c, const vitx_map *tokens)
{
    int rows, columns;
    const float *values = vx_map_plane(tokens, 0, &rows, &columns);
    vx_moments_share share = {&b->moments, values, rows, columns};
    vx_moments_begin(&share);
    vx_pool_run(c->pool, vx_moments_add, &share, vx_moments_tasks(&b->moments));
}

/* At most a batch; maps [n] are NULL before and after. */
static int add_batch(vitx_basis *b, vitx_context *c, const vitx_image *const *images, int n,
                     vitx_map **maps)
{
    static const char *const set[] = {"raw=yes"};
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    opts.method = "features";
    opts.layer = b->layer;
    opts.set = set;
    opts.set_count = 1;
    const int status = vitx_explain_many(maps, c, images, n, &opts, 1);
    for (int i = 0; i < n; i++) {
        if (status == VITX_OK)
            add_tokens(b, c, maps[i]);
        vitx_map_free(maps[i]);
        maps[i] = NULL;
    }
    return status;
}

int vitx_basis_add(vitx_basis *basis, vitx_context *context, const vitx_image *const *images, int n)
{
    if (!basis || !context || !images || n < 1)
        return vx_fail(VITX_INVALID, "vitx_basis_add: an argument is NULL or n is %d", n);
    if (basis->finished)
        return vx_fail(VITX_INVALID, "vitx_basis_add: the basis is finished");
    if (basis->model != context->model)
        return vx_fail(VITX_INVALID, "vitx_basis_add: the basis is of another model");
    const int batch = n < context->max_batch ? n : context->max_batch;
    vitx_map **maps;
    VX_TRY(vx_new(&maps, &basis->hooks, (size_t)batch, sizeof *maps, "maps"));
    int status = VITX_OK;
    for (int i = 0; i < n && status == VITX_OK; i += batch)
        status = add_batch(basis, context, images + i, n - i < batch ? n - i : batch, maps);
    vx_release(&basis->hooks, maps);
    return status;
}

int vitx_basis_finish(vitx_basis *basis)
{
    if (!basis)
        return vx_fail(VITX_INVALID, "vitx_basis_finish: basis is NULL");
    if (basis->finished)
        return vx_fail(VITX_INVALID, "vitx_basis_finish: the basis is finished");
    if (basis->moments.count == 0)
        return vx_fail(VITX_INVALID, "vitx_basis_finish: no picture was added");
    const int more = basis->wanted < basis->moments.width ? basis->wanted + 1 : basis->wanted;
    VX_TRY(vx_components_find(&basis->components, &basis->moments, more, &basis->hooks));
    vx_moments_dispose(&basis->moments, &basis->hooks);
    basis->finished = true;
    return VITX_OK;
}
