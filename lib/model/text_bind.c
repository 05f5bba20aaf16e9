/*
 * model/text_bind.c: binds the tensors of a text tower to roles. Sizes are read from the tensors'
 * shapes, as bind.c reads those of pictures' networks; what the configuration says must agree.
 */
#include "model/bind.h"
#include "model/leftovers.h"
#include "model/text_kinds.h"

#define MAX_VOCABULARY (1 << 24)
#define MAX_WIDTH 65536

static int read_tables(vx_reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    vx_arch *a = r->arch;
    int rows;
    VX_TRY(vx_role_size(&a->vocabulary, r, VX_TOKENS, 0, 0, MAX_VOCABULARY, "a vocabulary"));
    VX_TRY(vx_role_size(&a->width, r, VX_TOKENS, 0, 1, MAX_WIDTH, "a width"));
    VX_TRY(vx_role_size(&rows, r, VX_PLACES, 0, 0, VX_MAX_TOKENS, "a number of positions"));
    r->sizes.position_rows = rows;
    if (vx_role_named(naming, VX_TYPES))
        VX_TRY(vx_role_size(&r->sizes.type_rows, r, VX_TYPES, 0, 0, MAX_VOCABULARY,
                            "a number of types"));
    if (vx_role_named(naming, VX_HEAD_IN_W))
        VX_TRY(vx_role_size(&r->sizes.head_in, r, VX_HEAD_IN_W, 0, 0, MAX_WIDTH, "a width"));
    VX_TRY(vx_agree(r, "the vocabulary", r->hints->vocabulary, a->vocabulary));
    return vx_agree(r, "the number of positions", r->hints->context, rows);
}

/* Whatever a kind has beside a head is there in each of its files; a head where the configuration
 * tells of one, with all of its parts. */
static int check_parts(const vx_reader *r)
{
    const vx_naming *naming = r->match->dialect->naming;
    for (int i = VX_NO_ROLE + 1; i < VX_MODEL_ROLES; i++) {
        const bool of_head = i == VX_HEAD_W || i == VX_HEAD_T || i == VX_HEAD_B;
        if (vx_role_named(naming, (vx_role)i) && !r->found->model[i] && !(of_head && r->arch->bare))
            return vx_role_missing(r, (vx_role)i, 0);
    }
    return VITX_OK;
}

/* The norms of BERT's blocks stand where arch.h wants them: each begins the next block. */
static void move_norms(const vx_reader *r)
{
    const vx_tensor **model = r->found->model;
    const vx_tensor *weight = model[VX_NORM_PRE_W], *bias = model[VX_NORM_PRE_B];
    model[VX_NORM_PRE_W] = model[VX_NORM_PRE_B] = NULL;
    for (int b = 0; b < r->arch->depth; b++) {
        const vx_tensor **block = r->found->blocks[b];
        model[VX_NORM_W] = block[VX_NORM1_W - VX_MODEL_ROLES];
        model[VX_NORM_B] = block[VX_NORM1_B - VX_MODEL_ROLES];
        block[VX_NORM1_W - VX_MODEL_ROLES] = weight;
        block[VX_NORM1_B - VX_MODEL_ROLES] = bias;
        weight = model[VX_NORM_W];
        bias = model[VX_NORM_B];
    }
}

/* No number of heads is guessed: widths are shared otherwise than in pictures' networks. */
static int settle_heads(vx_reader *r, vx_hints *hints, const vx_text_kind *kind)
{
    if (!hints->heads && kind->head_width && r->arch->width % kind->head_width == 0)
        hints->heads = r->arch->width / kind->head_width;
    if (!hints->heads)
        return vx_fail_field_in(VITX_UNSUPPORTED, r->container->path, "heads",
                                "nothing says how many attention heads share the width of %d of "
                                "its text tower; say it with heads",
                                r->arch->width);
    return vx_read_heads(r, hints);
}

static int read_all(vx_reader *r, vx_hints *hints, const vx_text_kind *kind,
                    const vitx_hooks *hooks)
{
    vx_arch *a = r->arch;
    VX_TRY(read_tables(r));
    VX_TRY(vx_read_block_sizes(r));
    if (a->swiglu || a->parallel || a->twins || a->qk_norm)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "the blocks of its text tower have gates, or norms of queries and keys, "
                          "which vitx does not run in texts");
    VX_TRY(vx_new(&r->found->blocks, hooks, (size_t)a->depth, sizeof *r->found->blocks,
                  "the list of blocks"));
    VX_TRY(vx_new(&r->used, hooks, (size_t)r->container->count, sizeof *r->used,
                  "the list of used tensors"));
    VX_TRY(vx_take_model_roles(r));
    VX_TRY(check_parts(r));
    VX_TRY(vx_take_block_roles(r));
    VX_TRY(vx_leave_out(&r->found->left_out, r));
    return settle_heads(r, hints, kind);
}

/* What the rules need of the tables; the rows of positions before the first token's are no room. */
static int read_rules(vx_text_rules *rules, const vx_reader *r)
{
    const vx_tensor *const *model = r->found->model;
    const int rows = (int)r->sizes.position_rows - rules->first_position;
    rules->tokens = model[VX_TOKENS];
    rules->positions = model[VX_PLACES];
    rules->types = model[VX_TYPES];
    if (rows < 1)
        return vx_fail_in(VITX_FORMAT, r->container->path,
                          "tensor %.100s has %d rows, of which the first text token has number %d",
                          model[VX_PLACES]->name, (int)r->sizes.position_rows,
                          rules->first_position);
    if (rules->where == VX_TEXT_LAST || rules->context == 0 || rules->context > rows)
        rules->context = rows;
    if (rules->where == VX_TEXT_ID && rules->end >= r->arch->vocabulary)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                          " says that id %d ends a text, but %s has %d rows of tokens", rules->end,
                          r->container->path, r->arch->vocabulary);
    if (rules->pad >= r->arch->vocabulary)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                          " says that id %d fills texts up, but %s has %d rows of tokens",
                          rules->pad, r->container->path, r->arch->vocabulary);
    return VITX_OK;
}

int vx_text_bind(vx_found *found, vx_arch *arch, vx_text_rules *rules, const vx_text_kind *kind,
                 const vx_match *match, vx_hints *hints, const vx_text_files *files)
{
    *found = (vx_found){0};
    *arch = (vx_arch){0};
    vx_reader r = {.found = found,
                   .arch = arch,
                   .sizes = {.arch = arch},
                   .match = match,
                   .hints = hints,
                   .container = files->container,
                   .config = files->config};
    int status = read_all(&r, hints, kind, files->hooks);
    if (status == VITX_OK)
        status = read_rules(rules, &r);
    vx_release(files->hooks, r.used);
    VX_TRY(status);
    if (kind->norm_stays)
        move_norms(&r);
    arch->grid_height = 1;
    arch->grid_width = rules->context;
    arch->pool = rules->where == VX_TEXT_FIRST ? VX_POOL_TOKEN : VX_POOL_LAST;
    arch->causal = hints->causal;
    arch->norm_stays = kind->norm_stays;
    arch->eps = (float)hints->eps;
    arch->act = hints->act;
    arch->outputs = VITX_OUTPUTS_NONE;
    return VITX_OK;
}
