/* text/tokens.c: see tokens.h. */
#include "text/tokens.h"

#include <limits.h>
#include <string.h>

int vx_spans_put(vx_spans *p, size_t from, size_t count, int id)
{
    if (p->count == p->reserved) {
        const size_t reserved = vx_grown(p->reserved, p->count + 1);
        vx_span *grown = reserved ? vx_alloc(p->hooks, reserved * sizeof *grown) : NULL;
        if (!grown)
            return vx_fail(VITX_NOMEM, "no memory for a text's %zu pieces", p->count);
        if (p->count)
            memcpy(grown, p->at, p->count * sizeof *grown);
        vx_release(p->hooks, p->at);
        p->at = grown;
        p->reserved = reserved;
    }
    p->at[p->count++] = (vx_span){from, count, id};
    return VITX_OK;
}

void vx_spans_dispose(vx_spans *p)
{
    vx_release(p->hooks, p->at);
    p->at = NULL;
    p->count = p->reserved = 0;
}

int vx_workspace_take(void *out_pointer, vx_workspace *s, int place, size_t count, size_t size)
{
    size_t bytes;
    if (!vx_mul_size(&bytes, count, size))
        return vx_fail(VITX_NOMEM, "a word of more characters than can be counted");
    if (bytes > s->bytes[place] || !s->at[place]) {
        const size_t reserved = vx_grown(s->bytes[place], bytes);
        void *const fresh = reserved ? vx_alloc(s->hooks, reserved) : NULL;
        if (!fresh)
            return vx_fail(VITX_NOMEM, "no memory for a word of %zu parts", count);
        vx_release(s->hooks, s->at[place]);
        s->at[place] = fresh;
        s->bytes[place] = reserved;
    }
    memcpy(out_pointer, &s->at[place], sizeof s->at[place]);
    return VITX_OK;
}

void vx_workspace_dispose(vx_workspace *s)
{
    for (int i = 0; i < 3; i++)
        vx_release(s->hooks, s->at[i]);
    *s = (vx_workspace){.hooks = s->hooks};
}

static int reserve_token(vx_tokens *t, const vitx_hooks *hooks)
{
    const size_t need = (size_t)t->count + 1;
    const size_t reserved = vx_grown((size_t)t->reserved, need);
    vx_token *const grown =
        reserved && reserved <= INT_MAX ? vx_alloc(hooks, reserved * sizeof *grown) : NULL;
    if (!grown)
        return vx_fail(VITX_NOMEM, "no memory for %zu tokens", need);
    if (t->count)
        memcpy(grown, t->at, (size_t)t->count * sizeof *grown);
    const int count = t->count;
    vx_tokens_free(t);
    *t = (vx_tokens){grown, count, (int)reserved, *hooks};
    return VITX_OK;
}

int vx_tokens_put(vx_tokens *t, const vitx_hooks *hooks, int id, const vx_char *at, size_t count)
{
    if (t->count == t->reserved)
        VX_TRY(reserve_token(t, hooks));
    vx_token *const token = &t->at[t->count++];
    token->id = id;
    vx_chars_range(&token->start, &token->end, at, count);
    return VITX_OK;
}

void vx_tokens_free(vx_tokens *t)
{
    if (t->at)
        vx_release(&t->hooks, t->at);
    *t = (vx_tokens){0};
}
