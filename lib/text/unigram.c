/* text/unigram.c: see unigram.h. */
#include "text/unigram.h"

#define NOWHERE UINT32_MAX

/* Before a character (the last: behind the word): the best way to come here. */
typedef struct node {
    double score;
    uint32_t from; /* the character at which the last piece began; NOWHERE: none came here yet */
    int id;
} node;

static void come(node *to, double score, uint32_t from, int id)
{
    if (to->from == NOWHERE || score > to->score)
        *to = (node){score, from, id};
}

static double sum(const vx_unigram *u, double a, double b)
{
    return u->single ? (double)((float)a + (float)b) : a + b;
}

/* All pieces that begin at character `i`. */
static void extend(node *nodes, const vx_unigram *u, const vx_char *word, size_t count, size_t i)
{
    char text[VX_UNIGRAM_BYTES + 4];
    size_t used = 0;
    uint64_t hash = VX_HASH;
    bool single = false; /* the character is a piece by itself */
    for (size_t k = i; k < count && used < VX_UNIGRAM_BYTES; k++) {
        const size_t n = vx_utf8_write(text + used, word[k].code);
        hash = vx_hash_bytes(hash, text + used, n);
        used += n;
        if (!vx_vocab_begins(u->vocab, hash))
            break;
        const int id = vx_vocab_at(u->vocab, hash, text, used);
        if (id < 0)
            continue;
        come(&nodes[k + 1], sum(u, u->scores[id], nodes[i].score), (uint32_t)i, id);
        single = single || k == i;
    }
    if (!single)
        come(&nodes[i + 1], sum(u, u->unknown_score, nodes[i].score), (uint32_t)i, u->unknown);
}

static int put_bytes(vx_tokens *out, bool *done, const vx_unigram *u, vx_workspace *scratch,
                     const vx_char *at, size_t count)
{
    const int before = out->count;
    *done = u->byte_fallback;
    for (size_t i = 0; i < count && *done; i++) {
        char bytes[4];
        const size_t n = vx_utf8_write(bytes, at[i].code);
        for (size_t k = 0; k < n && *done; k++) {
            const int id = u->bytes[(unsigned char)bytes[k]];
            *done = id >= 0;
            if (*done)
                VX_TRY(vx_tokens_put(out, scratch->hooks, id, at + i, 1));
        }
    }
    if (!*done)
        out->count = before;
    return VITX_OK;
}

/* What is unknown. The name of the unknown piece may be written in the text itself. */
static int put_unknown(vx_tokens *out, const vx_unigram *u, vx_workspace *scratch,
                       const vx_char *at, size_t count)
{
    bool done = false;
    char text[VX_UNIGRAM_BYTES + 4] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < VX_UNIGRAM_BYTES; i++)
        used += vx_utf8_write(text + used, at[i].code);
    if (vx_vocab_find(u->vocab, text, used) != u->unknown)
        VX_TRY(put_bytes(out, &done, u, scratch, at, count));
    return done ? VITX_OK : vx_tokens_put(out, scratch->hooks, u->unknown, at, count);
}

int vx_unigram_encode(vx_tokens *out, const vx_unigram *u, vx_workspace *scratch,
                      const vx_char *word, size_t count)
{
    node *nodes;
    if (count == 0)
        return VITX_OK;
    VX_TRY(vx_workspace_take(&nodes, scratch, 0, count + 1, sizeof *nodes));
    for (size_t i = 0; i <= count; i++)
        nodes[i] = (node){0, NOWHERE, -1};
    for (size_t i = 0; i < count; i++)
        extend(nodes, u, word, count, i);
    /* Backwards along the best way, which is turned round: from[i] becomes where i leads to. */
    uint32_t next = NOWHERE;
    for (uint32_t at = (uint32_t)count; at != 0;) {
        const uint32_t from = nodes[at].from;
        nodes[at].from = next;
        next = at;
        at = from;
    }
    for (uint32_t at = 0; next != NOWHERE;) {
        uint32_t to = next;
        const int id = nodes[to].id;
        next = nodes[to].from;
        while (id == u->unknown && next != NOWHERE && nodes[next].id == u->unknown) {
            to = next;
            next = nodes[to].from;
        }
        if (id == u->unknown)
            VX_TRY(put_unknown(out, u, scratch, word + at, to - at));
        else
            VX_TRY(vx_tokens_put(out, scratch->hooks, id, word + at, to - at));
        at = to;
    }
    return VITX_OK;
}
