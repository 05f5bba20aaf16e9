/* report/share.c: how much of the file each picture may take. */
#include <string.h>

#include "report/page.h"
#include "report/report.h"

/* A text, which stands in the file three times at most: some bytes become three or six. */
static size_t text_bytes(const char *text)
{
    size_t bytes = 0;
    for (const char *p = text; p && *p; p++) {
        const bool escaped = strchr("<>&\"'\\", *p) || *p == 0x7f || (*p > 0 && *p < 0x20);
        bytes += escaped ? 18 : (unsigned char)*p >= 0x80 ? 9 : 3;
    }
    return bytes;
}

/* What a picture takes beside its blocks: in the manifest, and in the page without a script. */
static size_t facts_bytes(const vitx_report *r, const vx_report_picture *p)
{
    size_t bytes = 4096 + 100 * (size_t)r->model->arch.depth + text_bytes(p->name);
    for (int i = 0; i < p->predictions; i++)
        bytes += 200 + text_bytes(p->labels[i]);
    for (const vx_report_map *m = p->maps; m; m = m->next)
        bytes += 1200 + strlen(m->settings) + text_bytes(m->label);
    return bytes;
}

static size_t picture_bytes(const vitx_report *r, const vx_report_picture *p)
{
    size_t bytes = facts_bytes(r, p) + vx_block_bytes(p->jpeg.bytes) +
                   vx_block_bytes(p->first.bytes) + vx_record_bytes(&p->record);
    for (const vx_report_map *m = p->maps; m; m = m->next)
        bytes += vx_block_bytes(m->block.bytes);
    return bytes;
}

/* Statistics as JSON, at most: an artifact has its place and a count. */
static size_t stats_bytes(const vitx_report *r)
{
    const size_t depth = (size_t)r->model->arch.depth, heads = (size_t)r->model->arch.heads;
    const size_t tokens =
        (size_t)(r->last && r->last->place.known ? vx_report_tokens(r, r->last)
                                                 : vx_arch_tokens(&r->model->arch));
    return depth * (heads * (2 * VX_STAT_COUNT * 14 + heads * 14 + 24) + 200 + 12 * tokens);
}

/* The page itself, and the statistics. */
static size_t fixed_bytes(const vitx_report *r)
{
    size_t bytes = vx_page_bytes() + 8192 + text_bytes(r->title) + text_bytes(r->command);
    for (const vx_report_absent *a = r->absent; a; a = a->next)
        bytes += 100 + text_bytes(a->label) + text_bytes(a->command);
    return bytes + (r->given_stats.size ? r->given_stats.size : stats_bytes(r));
}

size_t vx_report_share(const vitx_report *r, int pictures)
{
    size_t used = fixed_bytes(r);
    for (const vx_report_picture *p = r->pictures; p; p = p->next)
        used += picture_bytes(r, p);
    const size_t budget = (size_t)r->budget;
    return used < budget ? (budget - used) / (size_t)(pictures > 0 ? pictures : 1) : 0;
}
