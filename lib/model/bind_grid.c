/*
 * model/bind_grid.c: the grid of patches that a model's positions are for: the image size's, or a
 * square one. This is the one place that takes a square root of a number of tokens.
 */
#include "model/bind.h"

static int64_t square_root(int64_t n)
{
    int64_t s = 0;
    while ((s + 1) * (s + 1) <= n)
        s++;
    return s;
}

/* What is wrong with position embeddings that make neither the image size's patches nor a
 * square. */
static int refuse_positions(const vx_reader *r, int rows, int64_t patches)
{
    const vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    if (h->image_height)
        return vx_fail_in(VITX_FORMAT, r->container->path,
                          " has %d position embeddings, but %dx%d pixels (%s) in patches of "
                          "%dx%d and %d more tokens make %lld",
                          rows, h->image_height, h->image_width, vx_said_by(r), a->patch_height,
                          a->patch_width, a->prefix, (long long)(patches + a->prefix));
    return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                      "%d position embeddings make no square of patches; say the image "
                      "size in config.json (timm: model_args.img_size, Hugging Face: "
                      "image_size)",
                      rows);
}

/* A perceptron makes the table, for whatever grid the pictures have. */
static int read_made_relative(vx_reader *r)
{
    const vx_hints *h = r->hints;
    vx_arch *a = r->arch;
    VX_TRY(
        vx_role_size(&r->sizes.relative_hidden, r, VX_WAY_FC1_W, 0, 0, VX_MAX_HIDDEN, "a width"));
    VX_TRY(vx_role_size(&a->heads, r, VX_WAY_FC2_W, 0, 0, a->width, "a number of heads"));
    a->pos_height = h->image_height / a->patch_height;
    a->pos_width = h->image_width / a->patch_width;
    if (a->pos_height > 0 && a->pos_width > 0)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                      "makes its relative positions for the size of the input, and nothing says "
                      "that; say it in config.json (\"pretrained_cfg\": {\"input_size\": [3, H, "
                      "W]})");
}

/* A table of relative positions, whose last three rows are for prefix tokens, tells the heads and
 * the grid: the image size's, or a square one. */
int vx_read_relative(vx_reader *r)
{
    const vx_hints *h = r->hints;
    vx_arch *a = r->arch;
    const bool made = vx_role_has(r, VX_WAY_FC1_W, 0);
    a->relative = made || vx_role_has(r, VX_RELATIVE, 0);
    if (!a->relative)
        return h->relative ? vx_role_missing(r, VX_RELATIVE, 0) : VITX_OK;
    if (h->relative_known && !h->relative)
        return vx_fail_in(VITX_FORMAT, vx_said_by(r),
                          " says that there are no relative positions, but %s has a table of them",
                          r->container->path);
    if (made)
        return read_made_relative(r);
    VX_TRY(vx_role_size(&r->sizes.relative_rows, r, VX_RELATIVE, 0, 0, 4 * VX_MAX_TOKENS, "rows"));
    VX_TRY(vx_role_size(&a->heads, r, VX_RELATIVE, 0, 1, a->width, "a number of heads"));
    const int rows = r->sizes.relative_rows, ends = a->prefix ? 3 : 0;
    const int side = (int)square_root(rows < ends ? 0 : rows - ends);
    a->pos_height = h->image_height / a->patch_height;
    a->pos_width = h->image_width / a->patch_width;
    if (a->pos_height > 0 && a->pos_width > 0 &&
        vx_relative_count(a->pos_height, a->pos_width) == (size_t)(rows + 3 - ends))
        return VITX_OK;
    a->pos_height = a->pos_width = (side + 1) / 2;
    if (side % 2 && side * side == rows - ends)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                      "its table of relative positions has %d rows, which neither the image size "
                      "(%dx%d) nor a square of patches makes",
                      rows, h->image_height, h->image_width);
}

/* Relative and rotary positions stand beside position embeddings, or in their place: then there are
 * 0 rows. */
static int count_positions(vx_reader *r, int *rows)
{
    const vx_naming *naming = r->match->dialect->naming;
    char name[200];
    *rows = 0;
    r->arch->rotary = r->hints->rotary;
    if (!vx_role_find(r->container, naming, r->match->prefix, VX_POSITIONS, 0))
        return r->arch->rotary.kind || r->arch->relative
                   ? VITX_OK
                   : vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                                "has no position embeddings (%s), and no configuration says that "
                                "queries and keys are rotated instead, as in a DINOv3",
                                vx_role_name(name, sizeof name, naming, r->match->prefix,
                                             VX_POSITIONS, 0));
    VX_TRY(vx_role_size(rows, r, VX_POSITIONS, 0, 1, VX_MAX_TOKENS, "a number of tokens"));
    r->sizes.position_rows = *rows;
    return VITX_OK;
}

/* The grid of the position embeddings: the image size's where they are as many, else a square one,
 * which is then resampled; and which prefix tokens have rows among them: all, none, or the class
 * token without the registers. */
int vx_read_grid(vx_reader *r)
{
    vx_arch *a = r->arch;
    const vx_hints *h = r->hints;
    const int ways[] = {a->prefix, r->sizes.registers && r->found->model[VX_CLASS_TOKEN] ? 1 : 0,
                        0};
    int rows = 0;
    VX_TRY(count_positions(r, &rows));
    if (rows == 0)
        return VITX_OK;
    a->pos_height = h->image_height / a->patch_height;
    a->pos_width = h->image_width / a->patch_width;
    const int64_t patches = (int64_t)a->pos_height * a->pos_width;
    if (h->image_height && patches == 0)
        return refuse_positions(r, rows, patches);
    for (int i = 0; i < 3 && patches > 0; i++)
        if (rows == patches + ways[i]) {
            a->prefix_pos = ways[i];
            return VITX_OK;
        }
    for (int i = 0; i < 3; i++) {
        const int64_t side = square_root(rows - ways[i]);
        if (side > 0 && side * side == rows - ways[i]) {
            a->prefix_pos = ways[i];
            a->pos_height = a->pos_width = (int)side;
            return VITX_OK;
        }
    }
    return refuse_positions(r, rows, patches);
}
