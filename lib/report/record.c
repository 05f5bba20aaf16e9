/* report/record.c: see record.h. */
#include "report/record.h"

#include <stdio.h>

#include "report/fused.h"

#define MOST_BYTES ((size_t)1 << 28)

size_t vx_block_bytes(size_t packed)
{
    return packed ? (packed + 2) / 3 * 4 + VX_BLOCK_TAGS : 0;
}

static size_t sum(const vx_record *r, vx_way way)
{
    size_t bytes = 0;
    for (int l = 0; l < r->layers; l++)
        bytes += vx_block_bytes(r->layer[l].code[way].bytes) +
                 vx_block_bytes(r->layer[l].fused[way].bytes);
    return bytes;
}

static void dispose(vx_report_layer *layer, vx_way way, const vitx_hooks *hooks)
{
    vx_packed_dispose(&layer->code[way], hooks);
    vx_packed_dispose(&layer->fused[way], hooks);
}

static void drop(vx_record *r, vx_way way, int first, int end, const vitx_hooks *hooks)
{
    for (int l = first; l < end; l++)
        dispose(&r->layer[l], way, hooks);
}

vx_packed *vx_record_fused(vx_report_layer *layer)
{
    return &layer->fused[layer->code[VX_WAY_ALL].data ? VX_WAY_ALL : VX_WAY_MEAN];
}

static size_t pool_bytes(const vx_record *r)
{
    return vx_block_bytes(r->pool.bytes) + vx_block_bytes(r->pool_fused.bytes);
}

static bool automatic(const vx_record *r)
{
    return r->wish == VITX_REPORT_AUTO;
}

size_t vx_record_bytes(const vx_record *r)
{
    return sum(r, VX_WAY_ALL) + sum(r, VX_WAY_MEAN) + sum(r, VX_WAY_ROW) + pool_bytes(r);
}

int vx_record_start(vx_record *r, int layers, vitx_report_level wish, size_t share,
                    const vitx_hooks *hooks)
{
    vx_record_dispose(r, hooks);
    VX_TRY(vx_new(&r->layer, hooks, (size_t)layers, sizeof *r->layer, "attention of a picture"));
    r->layers = layers;
    r->wish = wish;
    r->share = share;
    return VITX_OK;
}

/* Bytes of the file, at most. */
static size_t most_bytes(int heads, int rows, int tokens, int prefix)
{
    return vx_block_bytes(vx_pack_bound(vx_code_bytes(heads, rows, tokens, prefix))) +
           vx_block_bytes(vx_pack_bound(vx_fused_bytes(heads, rows, tokens, prefix)));
}

void vx_record_expect(vx_record *r, int heads, int tokens, int prefix, int pool)
{
    const size_t fit = MOST_BYTES / (size_t)heads / (size_t)tokens / (size_t)tokens;
    if (!automatic(r) || r->all_gone || heads < 2 || fit < 2)
        return;
    const size_t aside = pool > 0 ? most_bytes(pool, 1, tokens, prefix) : 0;
    const size_t block = most_bytes(heads, tokens, tokens, prefix);
    r->whole = aside <= r->share && block <= (r->share - aside) / (size_t)r->layers;
}

/* ------------------------------------------------------------------ a block comes ---------- */

/* Larger blocks are not even tried. */
static bool may_fit(const vx_record *r, const vx_record_rows *rows, int heads)
{
    return !automatic(r) ||
           vx_code_bytes(heads, rows->rows, rows->tokens, rows->prefix) <= MOST_BYTES;
}

/* Whether every head of this block is of use. */
static bool wants_all(const vx_record *r, int layer, const vx_record_rows *rows)
{
    const bool last = layer == r->layers - 1;
    if (rows->rows == 1 || rows->heads == 1)
        return false;
    if (r->wish == VITX_REPORT_ALL || (r->wish == VITX_REPORT_MEAN && last))
        return true;
    return r->whole || (automatic(r) && (!r->all_gone || last) && may_fit(r, rows, rows->heads));
}

static bool wants_mean(const vx_record *r, const vx_record_rows *rows)
{
    if (rows->rows == 1 || r->wish == VITX_REPORT_CLASS || (r->whole && rows->heads > 1))
        return false;
    if (r->wish == VITX_REPORT_ALL)
        return rows->heads == 1; /* more is not known */
    return may_fit(r, rows, 1);
}

static bool wants_row(const vx_record *r, const vx_record_rows *rows)
{
    return ((r->wish != VITX_REPORT_ALL && !r->whole) || rows->rows == 1) && !r->row_gone &&
           (rows->heads > 1 || rows->rows == 1);
}

/* Above the share? Then the poorer ways go on. */
static void make_room(vx_record *r, const vitx_hooks *hooks)
{
    if (!automatic(r))
        return;
    if (!r->row_gone && sum(r, VX_WAY_ROW) > r->share) {
        r->row_gone = true;
        drop(r, VX_WAY_ROW, 0, r->layers, hooks);
    }
    if (!r->all_gone && sum(r, VX_WAY_ALL) > r->share) {
        r->all_gone = true;
        drop(r, VX_WAY_ALL, 0, r->layers - 1, hooks);
    }
    for (int l = 0; l < r->layers && sum(r, VX_WAY_MEAN) + sum(r, VX_WAY_ROW) > r->share; l++)
        drop(r, VX_WAY_MEAN, l, l + 1, hooks);
}

/* The block that comes, on its way into the record. */
typedef struct coming {
    vx_report_layer *to;
    const vx_record_rows *rows;
    int layer, query;
    vx_pool *pool;
    const vitx_hooks *hooks;
} coming;

static int code(const coming *c, vx_way way, vx_take take, bool wanted)
{
    char what[48];
    vx_packed *fused = way == VX_WAY_ROW ? NULL : &c->to->fused[way];
    if (!wanted)
        return VITX_OK;
    snprintf(what, sizeof what, "attention of block %d", c->layer);
    return vx_code_attention(&c->to->code[way], fused, c->rows, take, c->query, what, c->pool,
                             c->hooks);
}

int vx_record_layer(vx_record *r, int layer, const vx_record_rows *rows, int query, vx_pool *pool,
                    const vitx_hooks *hooks)
{
    vx_report_layer new = {.came = true};
    const vx_take row = rows->rows == 1 ? VX_TAKE_ALL : VX_TAKE_QUERY;
    if (r->wish == VITX_REPORT_NONE)
        return VITX_OK;
    const bool all = wants_all(r, layer, rows);
    if (automatic(r) && !all && rows->rows > 1 && rows->heads > 1)
        r->all_gone = true;
    const coming c = {&new, rows, layer, query, pool, hooks};
    int status = code(&c, VX_WAY_ALL, VX_TAKE_ALL, all);
    if (status == VITX_OK)
        status = code(&c, VX_WAY_MEAN, VX_TAKE_MEAN, wants_mean(r, rows));
    if (status == VITX_OK)
        status = code(&c, VX_WAY_ROW, row, wants_row(r, rows));
    vx_report_layer *to = status == VITX_OK ? &r->layer[layer] : &new;
    for (int way = 0; way < VX_WAYS; way++)
        dispose(to, (vx_way)way, hooks);
    if (status != VITX_OK)
        return status;
    *to = new;
    make_room(r, hooks);
    return VITX_OK;
}

int vx_record_pool(vx_record *r, const vx_record_rows *rows, const vitx_hooks *hooks)
{
    vx_packed new, fused;
    if (r->wish == VITX_REPORT_NONE)
        return VITX_OK;
    VX_TRY(vx_code_attention(&new, &fused, rows, VX_TAKE_ALL, 0, "attention of the pooling head",
                             NULL, hooks));
    vx_packed_dispose(&r->pool, hooks);
    vx_packed_dispose(&r->pool_fused, hooks);
    r->pool = new;
    r->pool_fused = fused;
    return VITX_OK;
}

/* ------------------------------------------------------------------ the end ---------------- */

static int count(const vx_record *r, vx_way way)
{
    int n = 0;
    for (int l = 0; l < r->layers; l++)
        n += r->layer[l].code[way].data != NULL;
    return n;
}

static int count_came(const vx_record *r)
{
    int n = 0;
    for (int l = 0; l < r->layers; l++)
        n += r->layer[l].came;
    return n;
}

/* What is missing, for the reader. */
static void tell(vx_record *r)
{
    static const char *const held[] = {
        [VITX_REPORT_MEAN] = "for every block the mean over the heads and each head's row of the "
                             "query that the model's head reads",
        [VITX_REPORT_CLASS] = "for each head the row of the query that the model's head reads",
        [VITX_REPORT_NONE] = "no attention"};
    const int means = count(r, VX_WAY_MEAN);
    char more[64] = "";
    if (!r->all_gone && !r->row_gone)
        return;
    if (r->level == VITX_REPORT_MEAN && count(r, VX_WAY_ALL))
        snprintf(more, sizeof more, ", and all heads of the last block");
    if (r->level == VITX_REPORT_CLASS && means)
        snprintf(more, sizeof more, ", and the mean over the heads of the last %d block%s", means,
                 means > 1 ? "s" : "");
    if (r->level != VITX_REPORT_ALL)
        snprintf(r->left_out, sizeof r->left_out,
                 "All heads of all blocks do not fit into the file; it holds %s%s.", held[r->level],
                 more);
}

/* With every head there, mean and row can be computed. A block that has no more keeps those. */
static void keep_all(vx_record *r, const vitx_hooks *hooks)
{
    for (int l = 0; l < r->layers; l++) {
        if (!r->layer[l].code[VX_WAY_ALL].data)
            continue;
        drop(r, VX_WAY_MEAN, l, l + 1, hooks);
        drop(r, VX_WAY_ROW, l, l + 1, hooks);
    }
}

/* All heads of the last block stay beside all means, if there is room. */
static void keep_last(vx_record *r, size_t pool, const vitx_hooks *hooks)
{
    const int last = r->layers - 1;
    if (last >= 0 && (r->level != VITX_REPORT_MEAN || vx_record_bytes(r) - pool > r->share))
        drop(r, VX_WAY_ALL, last, last + 1, hooks);
}

static void choose_level(vx_record *r, const vitx_hooks *hooks)
{
    const size_t pool = pool_bytes(r);
    const int came = count_came(r);
    r->share -= pool < r->share ? pool : r->share;
    make_room(r, hooks);
    if (!r->all_gone && count(r, VX_WAY_ALL) > 0)
        r->level = VITX_REPORT_ALL;
    else if (came > 0 && count(r, VX_WAY_MEAN) == came)
        r->level = VITX_REPORT_MEAN;
    else
        r->level = count(r, VX_WAY_ROW) > 0 ? VITX_REPORT_CLASS : VITX_REPORT_NONE;
    if (r->level == VITX_REPORT_ALL)
        keep_all(r, hooks);
    else
        keep_last(r, pool, hooks);
}

void vx_record_settle(vx_record *r, const vitx_hooks *hooks)
{
    if (r->settled)
        return;
    r->settled = true;
    r->level = r->wish;
    if (automatic(r))
        choose_level(r, hooks);
    if (count_came(r) == 0)
        r->level = VITX_REPORT_NONE;
    tell(r);
}

void vx_record_dispose(vx_record *r, const vitx_hooks *hooks)
{
    if (r->layer) {
        drop(r, VX_WAY_ALL, 0, r->layers, hooks);
        drop(r, VX_WAY_MEAN, 0, r->layers, hooks);
        drop(r, VX_WAY_ROW, 0, r->layers, hooks);
    }
    vx_packed_dispose(&r->pool, hooks);
    vx_packed_dispose(&r->pool_fused, hooks);
    vx_release(hooks, r->layer);
    *r = (vx_record){0};
}
