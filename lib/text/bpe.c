/* text/bpe.c: see bpe.h. */
#include "text/bpe.h"

#include <string.h>

#define MOST_PROBES 2048
#define COMMON 512 /* characters whose ids are kept in a table */
#define NONE UINT32_MAX

/* -------------------------------------------------------------------------- pairs --------- */

/* The place of a pair, or the empty one where it would be put; NULL where that takes too long. */
static vx_merge *place_of(const vx_bpe *bpe, uint32_t left, uint32_t right)
{
    const uint64_t hash = vx_hash_mixed(((uint64_t)left << 32 | right) + 1);
    for (size_t probe = 0; probe < MOST_PROBES; probe++) {
        vx_merge *const m = &bpe->merges[((size_t)hash + probe) & bpe->mask];
        if (m->id < 0 || (m->left == left && m->right == right))
            return m;
    }
    return NULL;
}

static const vx_merge *merge_of(const vx_bpe *bpe, int left, int right)
{
    const vx_merge *const m = bpe->merges ? place_of(bpe, (uint32_t)left, (uint32_t)right) : NULL;
    return m && m->id >= 0 ? m : NULL;
}

static int rehash(vx_bpe *bpe, const char *file)
{
    const size_t places = bpe->merges ? (bpe->mask + 1) * 2 : 1024;
    vx_merge *const old = bpe->merges;
    const size_t had = old ? bpe->mask + 1 : 0;
    vx_merge *fresh;
    VX_TRY(vx_new(&fresh, bpe->hooks, places, sizeof *fresh, "pairs"));
    for (size_t i = 0; i < places; i++)
        fresh[i].id = -1;
    bpe->merges = fresh;
    bpe->mask = places - 1;
    int status = VITX_OK;
    for (size_t i = 0; i < had && status == VITX_OK; i++) {
        vx_merge *const m = old[i].id < 0 ? NULL : place_of(bpe, old[i].left, old[i].right);
        if (m)
            *m = old[i];
        else if (old[i].id >= 0)
            status = vx_fail_in(VITX_FORMAT, file, "thousands of its pairs have the same hash");
    }
    vx_release(bpe->hooks, old);
    return status;
}

int vx_bpe_add_ids(vx_bpe *bpe, int left, int right, int id, uint32_t rank, const char *file)
{
    if (!bpe->merges || bpe->count * 2 >= bpe->mask)
        VX_TRY(rehash(bpe, file));
    vx_merge *const m = place_of(bpe, (uint32_t)left, (uint32_t)right);
    if (!m)
        return vx_fail_in(VITX_FORMAT, file, "thousands of its pairs have the same hash");
    bpe->count += m->id < 0;
    *m = (vx_merge){(uint32_t)left, (uint32_t)right, rank, id};
    return VITX_OK;
}

static int shown(size_t bytes)
{
    return (int)(bytes < 60 ? bytes : 60);
}

/* The id of one text with another behind it. */
static int find_joined(int *id, const vx_bpe *bpe, const char *left, size_t left_bytes,
                       const char *right, size_t right_bytes)
{
    char small[256];
    char *joined = small;
    if (left_bytes + right_bytes > sizeof small)
        VX_TRY(vx_new(&joined, bpe->hooks, left_bytes + right_bytes, 1, "a word"));
    memcpy(joined, left, left_bytes);
    memcpy(joined + left_bytes, right, right_bytes);
    *id = vx_vocab_find(bpe->vocab, joined, left_bytes + right_bytes);
    if (joined != small)
        vx_release(bpe->hooks, joined);
    return VITX_OK;
}

int vx_bpe_add(vx_bpe *bpe, const char *left, size_t left_bytes, const char *right,
               size_t right_bytes, uint32_t rank, const char *file)
{
    const size_t prefix = strlen(bpe->prefix);
    const int l = vx_vocab_find(bpe->vocab, left, left_bytes);
    const int r = vx_vocab_find(bpe->vocab, right, right_bytes);
    int both = -1;
    if (l >= 0 && r >= 0 && right_bytes >= prefix)
        VX_TRY(find_joined(&both, bpe, left, left_bytes, right + prefix, right_bytes - prefix));
    if (both < 0)
        return vx_fail_in(VITX_FORMAT, file, "the pair \"%.*s\" \"%.*s\" is not in the vocabulary",
                          shown(left_bytes), left, shown(right_bytes), right);
    return vx_bpe_add_ids(bpe, l, r, both, rank, file);
}

/* -------------------------------------------------------------------------- characters ---- */

/* The text of a character at a place of a word. */
static size_t spell(char out[2 * VX_AFFIX + 4], const vx_bpe *bpe, uint32_t code, bool first,
                    bool last)
{
    size_t n = 0;
    if (!first)
        for (const char *p = bpe->prefix; *p; p++)
            out[n++] = *p;
    n += vx_utf8_write(out + n, code);
    if (last)
        for (const char *p = bpe->suffix; *p; p++)
            out[n++] = *p;
    return n;
}

/* `common` [first][last][code]. */
static size_t common_place(uint32_t code, bool first, bool last)
{
    return ((size_t)first * 2 + last) * COMMON + code;
}

static int id_of(const vx_bpe *bpe, uint32_t code, bool first, bool last)
{
    if (code < COMMON && bpe->common)
        return bpe->common[common_place(code, first, last)];
    char text[2 * VX_AFFIX + 4];
    return vx_vocab_find(bpe->vocab, text, spell(text, bpe, code, first, last));
}

int vx_bpe_finish(vx_bpe *bpe)
{
    int *common;
    VX_TRY(vx_new(&common, bpe->hooks, (size_t)4 * COMMON, sizeof *common, "a vocabulary"));
    for (int k = 0; k < 4; k++)
        for (uint32_t c = 0; c < COMMON; c++)
            common[common_place(c, k / 2, k % 2)] = id_of(bpe, c, k / 2, k % 2);
    bpe->common = common;
    return VITX_OK;
}

void vx_bpe_dispose(vx_bpe *bpe)
{
    if (!bpe->hooks)
        return;
    vx_release(bpe->hooks, bpe->merges);
    vx_release(bpe->hooks, bpe->common);
    *bpe = (vx_bpe){0};
}

/* -------------------------------------------------------------------------- a word -------- */

typedef struct symbol {
    int id; /* -1: joined to the one before */
    uint32_t prev, next;
    uint32_t from, count; /* characters of the word */
} symbol;

typedef struct symbols {
    symbol *at;
    uint32_t count;
    int unknown_from; /* -1: no unknown one waits to be joined with those that follow */
    uint32_t unknown_count;
} symbols;

static void put(symbols *s, int id, uint32_t from, uint32_t count)
{
    s->at[s->count] = (symbol){id, s->count - 1, s->count + 1, from, count};
    s->count++;
}

static void put_unknown(symbols *s, const vx_bpe *bpe)
{
    if (s->unknown_from >= 0)
        put(s, bpe->unknown, (uint32_t)s->unknown_from, s->unknown_count);
    s->unknown_from = -1;
}

/* The bytes of a character that is no symbol; false unless the vocabulary has them all. */
static bool put_bytes(symbols *s, const vx_bpe *bpe, uint32_t code, uint32_t at, bool first,
                      bool last)
{
    char text[2 * VX_AFFIX + 4];
    const size_t n = spell(text, bpe, code, first, last);
    for (size_t i = 0; i < n; i++)
        if (bpe->bytes[(unsigned char)text[i]] < 0)
            return false;
    for (size_t i = 0; i < n; i++)
        put(s, bpe->bytes[(unsigned char)text[i]], at, 1);
    return true;
}

static void put_character(symbols *s, const vx_bpe *bpe, uint32_t code, uint32_t at, bool last)
{
    const bool first = at == 0;
    const int id = id_of(bpe, code, first, last);
    if (id >= 0) {
        put_unknown(s, bpe);
        put(s, id, at, 1);
        return;
    }
    /* An unknown one that waits then comes behind the bytes, as in the Rust tokenizers. */
    if (bpe->byte_fallback && put_bytes(s, bpe, code, at, first, last))
        return;
    if (bpe->unknown < 0)
        return;
    if (s->unknown_from >= 0 && bpe->fuse_unknown) {
        s->unknown_count = at + 1 - (uint32_t)s->unknown_from;
        return;
    }
    put_unknown(s, bpe);
    s->unknown_from = (int)at;
    s->unknown_count = 1;
}

/* -------------------------------------------------------------------------- the queue ----- */

typedef struct waiting {
    uint64_t order; /* rank, then place */
    int id;         /* what the pair becomes: another pair by now, if it is not that any more */
} waiting;

typedef struct queue {
    waiting *at;
    size_t count;
} queue;

static void push(queue *q, waiting w)
{
    size_t i = q->count++;
    for (; i > 0 && q->at[(i - 1) / 2].order > w.order; i = (i - 1) / 2)
        q->at[i] = q->at[(i - 1) / 2];
    q->at[i] = w;
}

static waiting pop(queue *q)
{
    const waiting top = q->at[0], w = q->at[--q->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < q->count; i = child) {
        if (child + 1 < q->count && q->at[child + 1].order < q->at[child].order)
            child++;
        if (q->at[child].order >= w.order)
            break;
        q->at[i] = q->at[child];
    }
    q->at[i] = w;
    return top;
}

static void push_pair(queue *q, const vx_bpe *bpe, const symbols *s, uint32_t left)
{
    const uint32_t right = left < s->count ? s->at[left].next : NONE;
    if (right >= s->count)
        return;
    const vx_merge *const m = merge_of(bpe, s->at[left].id, s->at[right].id);
    if (m)
        push(q, (waiting){(uint64_t)m->rank << 32 | left, m->id});
}

/* The characters of both; what was unknown may stand behind what came after it. */
static void cover(symbol *l, const symbol *r)
{
    const uint32_t from = r->from < l->from ? r->from : l->from;
    const uint32_t l_end = l->from + l->count, r_end = r->from + r->count;
    l->from = from;
    l->count = (r_end > l_end ? r_end : l_end) - from;
}

/* At most 2*count are waiting: every one that goes lets two come, count - 1 times. */
static void join_all(symbols *s, const vx_bpe *bpe, queue *q)
{
    for (uint32_t i = 0; i + 1 < s->count; i++)
        push_pair(q, bpe, s, i);
    while (q->count > 0) {
        const waiting w = pop(q);
        const uint32_t l = (uint32_t)w.order;
        const uint32_t r = s->at[l].next;
        if (s->at[l].id < 0 || r >= s->count)
            continue;
        const vx_merge *const m = merge_of(bpe, s->at[l].id, s->at[r].id);
        if (!m || m->id != w.id)
            continue;
        s->at[l].id = m->id;
        cover(&s->at[l], &s->at[r]);
        s->at[l].next = s->at[r].next;
        s->at[r].id = -1;
        if (s->at[l].next < s->count)
            s->at[s->at[l].next].prev = l;
        push_pair(q, bpe, s, s->at[l].prev);
        push_pair(q, bpe, s, l);
    }
}

static int whole_word(int *id, const vx_bpe *bpe, vx_workspace *scratch, const vx_char *word,
                      size_t count)
{
    char *text;
    VX_TRY(vx_workspace_take(&text, scratch, 2, count, 4));
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += vx_utf8_write(text + bytes, word[i].code);
    *id = vx_vocab_find(bpe->vocab, text, bytes);
    return VITX_OK;
}

/* What is unknown may become its bytes, with those set before and behind it. */
static size_t most_symbols(const vx_bpe *bpe, const vx_char *word, size_t count)
{
    size_t bytes = count + strlen(bpe->suffix);
    if (!bpe->byte_fallback)
        return count;
    for (size_t i = 0; i < count; i++)
        bytes += (word[i].code >= 0x80) + (word[i].code >= 0x800) + (word[i].code >= 0x10000);
    return bytes + count * strlen(bpe->prefix);
}

int vx_bpe_encode(vx_tokens *out, const vx_bpe *bpe, vx_workspace *scratch, const vx_char *word,
                  size_t count)
{
    if (count == 0)
        return VITX_OK;
    if (bpe->ignore_merges) {
        int id;
        VX_TRY(whole_word(&id, bpe, scratch, word, count));
        if (id >= 0)
            return vx_tokens_put(out, scratch->hooks, id, word, count);
    }
    symbols s = {.unknown_from = -1};
    queue q = {0};
    VX_TRY(vx_workspace_take(&s.at, scratch, 0, most_symbols(bpe, word, count), sizeof *s.at));
    for (size_t i = 0; i < count; i++)
        put_character(&s, bpe, word[i].code, (uint32_t)i, i + 1 == count);
    put_unknown(&s, bpe);
    VX_TRY(vx_workspace_take(&q.at, scratch, 1, (size_t)s.count * 2 + 1, sizeof *q.at));
    join_all(&s, bpe, &q);
    for (uint32_t i = 0; i < s.count; i = s.at[i].next)
        VX_TRY(vx_tokens_put(out, scratch->hooks, s.at[i].id, word + s.at[i].from, s.at[i].count));
    return VITX_OK;
}
