/* engine/channels.c: see channels.h. */
#include "engine/channels.h"

#include "engine/footprint.h"
#include "engine/forward.h"
#include "engine/run.h"

bool vx_channels_serve(const vx_arch *arch, int layer)
{
    return vx_plan_class_only(NULL, arch, layer) && !arch->vocabulary && !arch->qk_norm &&
           !arch->relative && arch->rotary.kind == VX_ROTATE_NONE;
}

int vx_channels_at_once(const vitx_context *c)
{
    const int width = c->arch.width;
    const int many = c->memory_budget ? 0 : c->dev->cls->variant_tokens;
    const int most = many > VX_CHANNELS_AT_ONCE ? many : VX_CHANNELS_AT_ONCE;
    const int parts = (width - 1) / most + 1;
    return (width - 1) / parts + 1;
}

static void place(vx_channels *v, vx_arena *arena, const vitx_context *c, int rows)
{
    const vx_arch *a = &c->arch;
    vx_activations_place_rows(&v->act, arena, c, rows);
    v->qkv = vx_arena_take(arena, (size_t)vx_arch_tokens(a),
                           3 * (size_t)a->heads * (size_t)a->head_width * c->narrow);
}

size_t vx_channels_bytes(const vitx_context *c)
{
    vx_channels v;
    vx_arena arena = {0};
    place(&v, &arena, c, vx_channels_at_once(c));
    return arena.overflow ? SIZE_MAX : arena.size;
}

/* The numbers of rows that every run hands to its operations. */
static int reserve_starts(vitx_context *c, int rows)
{
    vx_channels *v = &c->channels;
    const size_t n = (size_t)rows;
    vx_release(&c->hooks, v->starts);
    v->starts = NULL;
    VX_TRY(vx_new(&v->starts, &c->hooks, 2 * n + 1, sizeof *v->starts, "rows of channels"));
    v->from = v->starts + n + 1;
    for (int i = 0; i <= rows; i++)
        v->starts[i] = i;
    return VITX_OK;
}

int vx_channels_reserve(vitx_context *c)
{
    vx_channels *v = &c->channels;
    const int rows = vx_channels_at_once(c);
    const size_t bytes = vx_channels_bytes(c);
    if (v->capacity > 0)
        return VITX_OK;
    if (bytes == SIZE_MAX)
        return vx_fail(VITX_NOMEM, "%d rows of channels are more than can be counted", rows);
    VX_TRY(vx_context_allow_extra(c, 0, rows, bytes));
    VX_TRY(vx_block_reserve(c, &v->memory, bytes, "channels of a picture"));
    vx_arena arena = {.base = v->memory.memory};
    place(v, &arena, c, rows);
    VX_TRY(reserve_starts(c, rows));
    VX_TRY(vx_activations_reserve_host(c, &v->act, 0, rows));
    v->capacity = rows;
    const int status = vx_context_reserve_device(c);
    v->capacity = status == VITX_OK ? rows : 0;
    return status;
}

/* Rows of act->x, from block `first` on; its attention, where there is a block, was done before. */
static vx_pass pass_of(const vitx_context *c, int first, int n)
{
    return (vx_pass){.act = &c->channels.act,
                     .batch = n,
                     .starts = c->channels.starts,
                     .first = first,
                     .attended = true};
}

static int run(vitx_context *c, const vx_pass *pass)
{
    VX_TRY(vx_pass_blocks(c, pass));
    return vx_context_answers(c, &c->channels.act, pass->batch);
}

void vx_channels_begin(vitx_context *c, vx_channels_of p)
{
    const vx_weight *w = &c->weights->blocks[c->arch.depth - 1].qkv;
    c->dev->ops.linear(c->dev, &(vx_linear){.y_n = c->channels.qkv,
                                            .ldy = w->n,
                                            .x = p.y,
                                            .ldx = w->k,
                                            .w = w,
                                            .m = vx_arch_tokens(&c->arch)});
}

/* clang-format off */
int vx_channels_run(vitx_context *c, vx_channels_of p, const int *channels, float value, int n)
{
    const int last = c->arch.depth - 1;
    const vx_pass pass = pass_of(c, last, n);
    const vx_run f = vx_run_of(c, &pass);
    const int D = f.width, A = f.attention_width;
    vx_narrow *columns = f.act->wide, *attended = vx_attended(&f, n);
    vx_weight w = f.w->blocks[last].qkv;

    /* What the weights make of a row that is 1 in one channel is their column. */
    w.bias = NULL;
    f.ops->clear(f.dev, &(vx_clear){.y = f.act->normed, .count = D});
    f.ops->replace_channels(f.dev, &(vx_replace_channels){
        .y = f.act->x, .x = f.act->normed, .channels = channels, .value = 1, .count = n,
        .tokens = 1, .width = D});
    f.ops->linear(f.dev, &(vx_linear){
        .y_n = columns, .ldy = 3 * A, .x = f.act->x, .ldx = D, .w = &w, .m = n});
    f.ops->attention_replaced(f.dev, &(vx_attention_replaced){
        .y_n = attended, .qkv_n = c->channels.qkv, .x = p.y, .columns_n = columns,
        .channels = channels,
        .value = value, .scale = f.scale, .count = n, .query = 0, .tokens = f.tokens, .width = D,
        .heads = f.arch->heads, .head_width = f.arch->head_width});
    f.ops->gather_rows(f.dev, &(vx_gather_rows){
        .y = f.act->x, .a = p.x, .from = c->channels.from, .rows = n, .width = D});
    return run(c, &pass);
}
/* clang-format on */

int vx_channels_run_output(vitx_context *c, const vx_far *output, const int *channels, float value,
                           int n)
{
    const vx_pass pass = pass_of(c, c->arch.depth, n);
    c->dev->ops.replace_channels(c->dev, &(vx_replace_channels){.y = pass.act->x,
                                                                .x = output,
                                                                .channels = channels,
                                                                .value = value,
                                                                .count = n,
                                                                .tokens = 1,
                                                                .width = c->arch.width});
    return run(c, &pass);
}
