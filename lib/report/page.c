/* report/page.c: see page.h. */
#include "report/page.h"

size_t vx_page_bytes(void)
{
    const vx_page_data *d = &vx_page_embedded;
    return d->top + d->css + d->bottom + d->script;
}

int vx_page_open(vx_page *page, const vitx_hooks *hooks)
{
    const vx_page_data *d = &vx_page_embedded;
    *page = (vx_page){0};
    VX_TRY(vx_new(&page->memory, hooks, vx_page_bytes(), 1, "the parts of the page"));
    page->top = page->memory;
    page->css = page->top + d->top;
    page->bottom = page->css + d->css;
    page->script = page->bottom + d->bottom;
    const int status = vx_unpack(page->memory, vx_page_bytes(), d->packed, d->packed_bytes, hooks);
    if (status != VITX_OK)
        vx_page_close(page, hooks);
    return status;
}

void vx_page_close(vx_page *page, const vitx_hooks *hooks)
{
    vx_release(hooks, page->memory);
    page->memory = NULL;
}
