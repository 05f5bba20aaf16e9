/* text/tokens.c: see tokens.h. */
#include "text/tokens.h"

#include <limits.h>
#include <string.h>

int vx_spans_put(vx_spans *p, size_t from, size_t count, int id)
{
    VX_TRY(vx_grow(&p->at, &p->reserved, p->hooks, p->count, 1, sizeof *p->at, "a text's pieces"));
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
    VX_TRY(vx_grow(&s->at[place], &s->bytes[place], s->hooks, 0, bytes, 1, "the parts of a word"));
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
    size_t reserved = (size_t)t->reserved;
    if (t->reserved > INT_MAX / 2)
        return vx_fail(VITX_NOMEM, "more than %d tokens", t->count);
    if (!t->at)
        t->hooks = *hooks;
    VX_TRY(vx_grow(&t->at, &reserved, &t->hooks, (size_t)t->count, 1, sizeof *t->at, "tokens"));
    t->reserved = (int)reserved;
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
