/* text/wordpiece.c: see wordpiece.h. */
#include "text/wordpiece.h"

#include <string.h>

/* The longest piece at `text`: its bytes, 0: none. */
static size_t longest(int *id, const vx_vocab *vocab, uint64_t hash, const char *text,
                      const size_t *ends, size_t count, size_t prefix)
{
    size_t found = 0, used = prefix;
    for (size_t k = 0; k < count; k++) {
        hash = vx_hash_bytes(hash, text + used, ends[k] - used);
        used = ends[k];
        if (!vx_vocab_begins(vocab, hash))
            break;
        const int at = vx_vocab_at(vocab, hash, text, used);
        if (at >= 0) {
            *id = at;
            found = k + 1;
        }
    }
    return found;
}

/* Writes the piece of `count` characters, the prefix before it if it is not the first. */
static uint64_t write_rest(char *text, size_t *ends, const vx_wordpiece *w, const vx_char *at,
                           size_t count, bool first)
{
    const size_t prefix = first ? 0 : strlen(w->prefix);
    memcpy(text, w->prefix, prefix);
    size_t used = prefix;
    for (size_t k = 0; k < count; k++) {
        used += vx_utf8_write(text + used, at[k].code);
        ends[k] = used;
    }
    return vx_hash_bytes(VX_HASH, text, prefix);
}

int vx_wordpiece_encode(vx_tokens *out, const vx_wordpiece *w, vx_workspace *scratch,
                        const vx_char *word, size_t count)
{
    char *text;
    size_t *ends;
    const int before = out->count;
    if (count == 0)
        return VITX_OK;
    if (count > w->most)
        return vx_tokens_put(out, scratch->hooks, w->unknown, word, count);
    /* No piece is longer than the vocabulary's longest: what is written is bounded by it. */
    VX_TRY(vx_workspace_take(&text, scratch, 0, count * 4 + VX_WORDPIECE_PREFIX, 1));
    VX_TRY(vx_workspace_take(&ends, scratch, 1, count, sizeof *ends));
    for (size_t i = 0, n; i < count; i += n) {
        const size_t window = count - i < w->vocab->longest ? count - i : w->vocab->longest;
        const uint64_t hash = write_rest(text, ends, w, word + i, window, i == 0);
        int id = -1;
        n = longest(&id, w->vocab, hash, text, ends, window, i == 0 ? 0 : strlen(w->prefix));
        if (n == 0) {
            out->count = before;
            return vx_tokens_put(out, scratch->hooks, w->unknown, word, count);
        }
        VX_TRY(vx_tokens_put(out, scratch->hooks, id, word + i, n));
    }
    return VITX_OK;
}
