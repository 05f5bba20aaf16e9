/*
 * text/clip_vocab.c: CLIP's own files: vocab.json with merges.txt, and bpe_simple_vocab_16e6.txt,
 * in which the ids are places. Neither says how a text is cut: transformers' CLIPTokenizer does.
 */
#include <string.h>

#include "text/parts.h"

enum { MOST_MERGES = 1 << 22, MERGES = 49152 - 256 - 2 };

static int special(vx_tokenizer *t, const char *text, int *id, const char *name)
{
    *id = vx_vocab_word(&t->vocab, text);
    if (*id < 0)
        return VITX_OK;
    return vx_added_put(&t->plain, text, strlen(text), (vx_added_token){.id = *id}, name);
}

int vx_clip_rules(vx_tokenizer *t, const char *name)
{
    static const char *const starts[] = {"<|startoftext|>", "<start_of_text>"};
    static const char *const ends[] = {"<|endoftext|>", "<end_of_text>"};
    int start = -1, end = -1;
    for (int i = 0; i < 2 && (start < 0 || end < 0); i++) {
        VX_TRY(special(t, starts[i], &start, name));
        VX_TRY(special(t, ends[i], &end, name));
    }
    if (start < 0 || end < 0 || vx_vocab_word(&t->vocab, "a</w>") < 0)
        return vx_fail_in(VITX_UNSUPPORTED, name,
                          "a vocabulary without <|startoftext|>, <|endoftext|> and \"a</w>\" is "
                          "none of CLIP's, and others are not done here");
    memcpy(t->bpe.suffix, "</w>", 5);
    t->bpe.unknown = end;
    t->normaliser.steps[0] = (vx_change){.kind = VX_NFC};
    t->normaliser.steps[1] = (vx_change){.kind = VX_REPLACE_SPACE, .to = {{' '}, 1}};
    t->normaliser.steps[2] = (vx_change){.kind = VX_LOWERCASE};
    t->normaliser.count = 3;
    t->pretokeniser.steps[0] = (vx_cut){.kind = VX_CUT_CLIP, .specials = true};
    t->pretokeniser.steps[1] = (vx_cut){.kind = VX_CUT_BYTES, .scheme = VX_NEVER};
    t->pretokeniser.count = 2;
    t->before[t->before_count++] = start;
    t->behind[t->behind_count++] = end;
    t->pad = end;
    return VITX_OK;
}

bool vx_next_line(const char **line, size_t *bytes, const char **at, const char *end)
{
    if (*at >= end)
        return false;
    const char *const stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *bytes = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    if (*bytes > 0 && (*line)[*bytes - 1] == '\r')
        --*bytes;
    return true;
}

/* "a b": where b begins. */
static int cut_pair(size_t *first, const char *line, size_t bytes, const char *name)
{
    const char *const blank = memchr(line, ' ', bytes);
    if (!blank || blank == line || blank + 1 == line + bytes ||
        memchr(blank + 1, ' ', bytes - (size_t)(blank + 1 - line)))
        return vx_fail_in(VITX_FORMAT, name, "the line \"%.*s\" is not two words",
                          (int)(bytes < 60 ? bytes : 60), line);
    *first = (size_t)(blank - line);
    return VITX_OK;
}

int vx_read_vocab_merges(vx_tokenizer *t, const char *vocab, size_t vocab_bytes,
                         const char *vocab_name, const char *merges, size_t merges_bytes,
                         const char *merges_name)
{
    const char *at = merges, *line;
    size_t bytes, first;
    uint32_t rank = 0;
    t->kind = VX_BPE;
    VX_TRY(vx_read_json_vocab(t, vocab, vocab_bytes, vocab_name));
    VX_TRY(vx_clip_rules(t, vocab_name));
    while (vx_next_line(&line, &bytes, &at, merges + merges_bytes)) {
        if (bytes == 0 || (rank == 0 && bytes >= 8 && memcmp(line, "#version", 8) == 0))
            continue;
        if (rank == MOST_MERGES)
            return vx_fail_in(VITX_UNSUPPORTED, merges_name, "more than %d merges", MOST_MERGES);
        VX_TRY(cut_pair(&first, line, bytes, merges_name));
        VX_TRY(vx_bpe_add(&t->bpe, line, first, line + first + 1, bytes - first - 1, rank++,
                          merges_name));
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- OpenAI's file - */

/* The byte symbols in the order of their ids: those shown as themselves, then the others. */
static int add_bytes(vx_tokenizer *t, const char *suffix, int *id, const char *name)
{
    for (int others = 0; others < 2; others++) {
        for (int b = 0; b < 256; b++) {
            const uint32_t shown = vx_byte_shown((unsigned char)b);
            char text[16];
            if ((shown >= 256) != others)
                continue;
            const size_t n = vx_utf8_write(text, shown);
            memcpy(text + n, suffix, strlen(suffix));
            VX_TRY(vx_vocab_add(&t->vocab, text, n + strlen(suffix), (*id)++, name));
        }
    }
    return VITX_OK;
}

/* The line with its blank left out. */
static int add_joined(vx_tokenizer *t, vx_buffer *joined, const char *line, size_t bytes,
                      size_t first, int id, const char *name)
{
    joined->size = 0;
    VX_TRY(vx_buffer_append(joined, line, first));
    VX_TRY(vx_buffer_append(joined, line + first + 1, bytes - first - 1));
    return vx_vocab_add(&t->vocab, joined->data, joined->size, id, name);
}

static int read_lines(vx_tokenizer *t, vx_buffer *joined, const char *text, size_t size,
                      const char *name)
{
    const char *at = text, *line;
    size_t bytes, first;
    int id = 0, rank = 0;
    VX_TRY(add_bytes(t, "", &id, name));
    VX_TRY(add_bytes(t, "</w>", &id, name));
    (void)vx_next_line(&line, &bytes, &at, text + size); /* the version */
    while (rank < MERGES && vx_next_line(&line, &bytes, &at, text + size)) {
        VX_TRY(cut_pair(&first, line, bytes, name));
        VX_TRY(add_joined(t, joined, line, bytes, first, id++, name));
        VX_TRY(vx_bpe_add(&t->bpe, line, first, line + first + 1, bytes - first - 1,
                          (uint32_t)rank++, name));
    }
    VX_TRY(vx_vocab_add(&t->vocab, "<|startoftext|>", 15, id, name));
    return vx_vocab_add(&t->vocab, "<|endoftext|>", 13, id + 1, name);
}

int vx_read_simple_vocab(vx_tokenizer *t, const char *text, size_t bytes, const char *name)
{
    vx_buffer joined = {.hooks = &t->hooks};
    t->kind = VX_BPE;
    const int status = read_lines(t, &joined, text, bytes, name);
    vx_buffer_dispose(&joined);
    VX_TRY(status);
    return vx_clip_rules(t, name);
}
