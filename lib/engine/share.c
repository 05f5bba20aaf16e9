/* engine/share.c: see share.h. */
#include "engine/share.h"

#include "engine/footprint.h"
#include "engine/forward.h"

/* Rows that keep a worker busy for as long as the next panels take to come from memory. */
enum { ENOUGH = 400 };

typedef struct share {
    const vx_run *f;
    int l, each; /* pictures of a worker at a time */
    vx_row_room room;
} share;

/* As many pictures at a time as leave no more than a tenth of the workers' time idle; 0: none. */
static int pictures_at_once(const vx_run *f)
{
    const int workers = f->dev->env.workers;
    const int enough = ENOUGH / f->tokens > 0 ? ENOUGH / f->tokens : 1;
    int each = f->batch / workers < enough ? f->batch / workers : enough;
    for (; each > 0; each--) {
        const int rounds = (f->batch + workers * each - 1) / (workers * each);
        if (10 * f->batch >= 9 * rounds * workers * each)
            break;
    }
    return each;
}

static bool keeps_nothing(const vx_run *f, int l)
{
    const vx_block_plan *p = f->plan ? &f->plan->blocks[l] : NULL;
    return vx_stream(f, l) == f->act->x && vx_stream(f, l + 1) == f->act->x &&
           (!p || (!p->tokens[VX_AT_NORM1] && !p->kept.qkv));
}

static void *bytes_on(void *at, size_t bytes)
{
    return (char *)at + bytes;
}

/* The record from picture `first` on. */
static void skip(vx_recorded *r, int first)
{
    const size_t t = (size_t)r->tokens, heads = r->keep == VX_KEEP_FUSED ? 1 : (size_t)r->heads;
    const size_t element = r->store == VX_STORE_F16 ? 2 : 4;
    const size_t picture = heads * t * (r->keep == VX_KEEP_ROW ? 1 : t) * element;
    if (r->keep != VX_KEEP_NONE)
        r->data = bytes_on(r->data, (size_t)first * picture);
}

/* Pictures i * each.. of one block. The stream is theirs, all else the worker's. */
static void run_share(void *arg, int i, int worker)
{
    const share *s = arg;
    const vx_run *f = s->f;
    const int first = i * s->each, left = f->batch - first;
    const size_t rows = (size_t)s->each * (size_t)f->tokens;
    vx_activations act = *f->act;
    act.x += (size_t)first * (size_t)f->tokens * (size_t)f->width;
    act.normed = bytes_on(act.normed, (size_t)worker * rows * s->room.y);
    act.y = (vx_narrow *)act.normed;
    act.wide = bytes_on(act.wide, (size_t)worker * rows * s->room.wide);
    vx_run part = *f;
    part.act = &act;
    part.dev = f->dev->cls->alone(f->dev, worker);
    part.ops = &part.dev->ops;
    part.batch = left < s->each ? left : s->each;
    part.rows = part.batch * f->tokens;
    vx_block_io b = vx_block_io_of(&part, s->l);
    skip(&b.record, first);
    vx_block_forward(&part, &b);
}

/* Not one that begins in the middle, nor one of class tokens, which are a row a picture. */
static bool is_whole(const vx_run *f, int l)
{
    const vx_pass *pass = f->pass;
    return !pass->starts && !vx_plan_class_only(f->plan, f->arch, l) &&
           (l > pass->first || (!pass->at_norm1 && !pass->attended));
}

bool vx_block_shared(const vx_run *f, int l)
{
    if (!f->dev->cls->alone || f->dev->env.workers < 2 || !is_whole(f, l) || !keeps_nothing(f, l))
        return false;
    share s = {f, l, pictures_at_once(f), vx_context_row_room(f->c)};
    if (!s.each)
        return false;
    f->dev->env.parallel(run_share, &s, (f->batch + s.each - 1) / s.each, f->dev->env.owner);
    return true;
}
