/* text/added.c: see added.h. */
#include "text/added.h"

#include "text/unicode.h"

int vx_added_put(vx_added *a, const char *text, size_t bytes, vx_added_token token,
                 const char *file)
{
    a->words.hooks = a->hooks;
    a->words.prefixes = true;
    if (bytes > VX_ADDED_BYTES)
        return vx_fail_in(VITX_UNSUPPORTED, file, "an added token of %zu bytes, %d at most", bytes,
                          VX_ADDED_BYTES);
    if (token.id < 0 || token.id >= VX_IDS)
        return vx_fail_in(VITX_FORMAT, file, "the id %d of an added token is out of range",
                          token.id);
    VX_TRY(vx_vocab_add(&a->words, text, bytes, (int)a->count, file));
    VX_TRY(vx_grow(&a->tokens, &a->reserved, a->hooks, a->count, 1, sizeof *a->tokens,
                   "added tokens"));
    a->tokens[a->count++] = token;
    return VITX_OK;
}

int vx_added_finish(vx_added *a)
{
    return a->count ? vx_vocab_finish(&a->words) : VITX_OK;
}

void vx_added_dispose(vx_added *a)
{
    if (!a->hooks)
        return;
    vx_vocab_dispose(&a->words);
    vx_release(a->hooks, a->tokens);
    *a = (vx_added){0};
}

size_t vx_added_longest(size_t *token, const vx_added *a, const vx_char *at, size_t count)
{
    char bytes[VX_ADDED_BYTES + 4];
    size_t used = 0, found = 0;
    uint64_t hash = VX_HASH;
    for (size_t k = 0; k < count && used < a->words.longest; k++) {
        const size_t n = vx_utf8_write(bytes + used, at[k].code);
        hash = vx_hash_bytes(hash, bytes + used, n);
        used += n;
        if (!vx_vocab_begins(&a->words, hash))
            break;
        const int index = vx_vocab_at(&a->words, hash, bytes, used);
        if (index >= 0) {
            *token = (size_t)index;
            found = k + 1;
        }
    }
    return found;
}

/* Where a token's piece lies once it has taken the white space beside it. */
static void take_space(size_t *from, size_t *to, const vx_added_token *t, const vx_char *at,
                       size_t done, size_t count)
{
    while (t->left && *from > done && vx_is_space(at[*from - 1].code))
        --*from;
    while (t->right && *to < count && vx_is_space(at[*to].code))
        ++*to;
}

int vx_added_cut(vx_spans *out, const vx_added *a, const vx_char *at, size_t count)
{
    size_t done = 0; /* what is behind it is in pieces */
    for (size_t i = 0; i < count && a->count;) {
        size_t token = 0;
        const size_t n = vx_added_longest(&token, a, at + i, count - i);
        size_t from = i, to = i + n;
        i += n ? n : 1;
        if (n == 0)
            continue;
        const vx_added_token *const t = &a->tokens[token];
        if (t->alone && ((from > 0 && vx_is_word(at[from - 1].code)) ||
                         (to < count && vx_is_word(at[to].code))))
            continue;
        take_space(&from, &to, t, at, done, count);
        if (from < done) /* a token of white space that the one before has taken */
            continue;
        if (from > done)
            VX_TRY(vx_spans_put(out, done, from - done, -1));
        VX_TRY(vx_spans_put(out, from, to - from, t->id));
        done = to;
    }
    return done < count ? vx_spans_put(out, done, count - done, -1) : VITX_OK;
}
