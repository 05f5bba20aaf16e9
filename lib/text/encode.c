/*
 * text/encode.c: a text through the parts of a tokenizer.
 *
 *      bytes -> characters -> clean -> cut at added tokens
 *            between them: -> normalise -> cut at those of the normalised text
 *                  between them: -> cut into words -> pieces of words: tokens
 */
#include "text/parts.h"
#include "text/unicode.h"

#define MOST_BYTES ((size_t)16 << 20)

typedef struct encoding {
    const vx_tokenizer *t;
    vx_tokens *out;
    int most; /* tokens that are wanted: what follows need not be looked at. INT32_MAX: all */
    vx_chars text;
    vx_spans plain, normal;
    vx_chars section;
    vx_cut_words words, spare;
    vx_workspace scratch;
} encoding;

static bool enough(const encoding *e, int first)
{
    return e->out->count - first > e->most;
}

static int encode_word(encoding *e, const vx_char *word, size_t count)
{
    const vx_tokenizer *const t = e->t;
    if (t->kind == VX_BPE)
        return vx_bpe_encode(e->out, &t->bpe, &e->scratch, word, count);
    if (t->kind == VX_UNIGRAM)
        return vx_unigram_encode(e->out, &t->unigram, &e->scratch, word, count);
    return vx_wordpiece_encode(e->out, &t->wordpiece, &e->scratch, word, count);
}

static int encode_words(encoding *e, const vx_char *at, size_t count, int first)
{
    e->words.chars.count = 0;
    VX_TRY(vx_chars_copy(&e->words.chars, at, count));
    VX_TRY(vx_pretokenise(&e->words, &e->spare, &e->t->pretokeniser));
    for (size_t i = 0; i < e->words.pieces.count && !enough(e, first); i++) {
        const vx_span p = e->words.pieces.at[i];
        VX_TRY(encode_word(e, e->words.chars.at + p.from, p.count));
    }
    return VITX_OK;
}

static int encode_section(encoding *e, const vx_char *at, size_t count, int first)
{
    e->section.count = 0;
    VX_TRY(vx_chars_copy(&e->section, at, count));
    VX_TRY(vx_normalise(&e->section, &e->spare.chars, &e->t->normaliser));
    e->normal.count = 0;
    VX_TRY(vx_added_cut(&e->normal, &e->t->normal, e->section.at, e->section.count));
    for (size_t i = 0; i < e->normal.count && !enough(e, first); i++) {
        const vx_span p = e->normal.at[i];
        if (p.id >= 0)
            VX_TRY(vx_tokens_put(e->out, &e->t->hooks, p.id, e->section.at + p.from, p.count));
        else
            VX_TRY(encode_words(e, e->section.at + p.from, p.count, first));
    }
    return VITX_OK;
}

static int put_around(encoding *e, const int *ids, int count, uint32_t place)
{
    const vx_char nowhere = {0, place, place};
    for (int i = 0; i < count; i++)
        VX_TRY(vx_tokens_put(e->out, &e->t->hooks, ids[i], &nowhere, 1));
    return VITX_OK;
}

/* White space at the ends of what a token stands for, in the caller's text. */
static void trim(vx_token *token, const char *text)
{
    for (uint32_t code, n; token->start < token->end; token->start += n) {
        n = (uint32_t)vx_utf8_read(&code, text + token->start, token->end - token->start);
        if (!vx_is_space(code))
            break;
    }
    for (uint32_t at = token->end; at > token->start; token->end = at) {
        uint32_t code;
        do
            at--;
        while (at > token->start && ((unsigned char)text[at] & 0xc0) == 0x80);
        (void)vx_utf8_read(&code, text + at, token->end - at);
        if (!vx_is_space(code))
            break;
    }
}

static int encode(encoding *e, const char *text, size_t bytes, bool *cut)
{
    const vx_tokenizer *const t = e->t;
    VX_TRY(vx_chars_decode(&e->text, text, bytes));
    VX_TRY(vx_normalise(&e->text, &e->spare.chars, &t->clean));
    VX_TRY(vx_added_cut(&e->plain, &t->plain, e->text.at, e->text.count));
    VX_TRY(put_around(e, t->before, t->before_count, 0));
    const int first = e->out->count;
    for (size_t i = 0; i < e->plain.count && !enough(e, first); i++) {
        const vx_span p = e->plain.at[i];
        if (p.id >= 0)
            VX_TRY(vx_tokens_put(e->out, &t->hooks, p.id, e->text.at + p.from, p.count));
        else
            VX_TRY(encode_section(e, e->text.at + p.from, p.count, first));
    }
    *cut = enough(e, first);
    if (*cut)
        e->out->count = first + e->most;
    for (int i = first; i < e->out->count && t->trim; i++)
        trim(&e->out->at[i], text);
    return put_around(e, t->behind, t->behind_count, (uint32_t)bytes);
}

static void dispose(encoding *e)
{
    vx_chars_dispose(&e->text);
    vx_spans_dispose(&e->plain);
    vx_spans_dispose(&e->normal);
    vx_chars_dispose(&e->section);
    vx_chars_dispose(&e->words.chars);
    vx_spans_dispose(&e->words.pieces);
    vx_chars_dispose(&e->spare.chars);
    vx_spans_dispose(&e->spare.pieces);
    vx_workspace_dispose(&e->scratch);
}

int vx_tokenizer_encode(vx_tokens *out, const vx_tokenizer *t, const char *text, size_t bytes,
                        int limit, bool *cut)
{
    const vitx_hooks *const h = &t->hooks;
    const int around = t->before_count + t->behind_count, before = out->count;
    bool was_cut = false;
    if (bytes > MOST_BYTES)
        return vx_fail(VITX_INVALID, "a text of %zu bytes; 16 MiB at most", bytes);
    if (limit < 0 || (limit > 0 && limit < around))
        return vx_fail(VITX_INVALID, "a text of %d tokens at most, but %d are always added", limit,
                       around);
    encoding e = {.t = t,
                  .out = out,
                  .most = limit ? limit - around : INT32_MAX,
                  .text.hooks = h,
                  .plain.hooks = h,
                  .normal.hooks = h,
                  .section.hooks = h,
                  .words = {{.hooks = h}, {.hooks = h}},
                  .spare = {{.hooks = h}, {.hooks = h}},
                  .scratch.hooks = h};
    const int status = encode(&e, text, bytes, &was_cut);
    dispose(&e);
    if (status != VITX_OK)
        out->count = before;
    if (cut)
        *cut = was_cut;
    return status;
}
