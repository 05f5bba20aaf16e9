/* text/pretokenise.c: see pretokenise.h. A step reads the words so far and appends new ones. */
#include "text/pretokenise.h"

#include <string.h>

#include "text/unicode.h"

/* The characters of a word and how many are left of them. */
typedef size_t length(const vx_char *at, size_t left, const vx_cut *step);

static bool starts(const vx_char *at, size_t left, const char *with)
{
    for (size_t i = 0; with[i]; i++)
        if (i >= left || at[i].code != (unsigned char)with[i])
            return false;
    return true;
}

/* -------------------------------------------------------------------------- CLIP, GPT-2 --- */

/* The English endings that begin with an apostrophe; 0 if there is none. */
static size_t ending(const vx_char *at, size_t left)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    if (at[0].code != '\'')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (starts(at, left, endings[i]))
            return strlen(endings[i]);
    return 0;
}

static bool is_rest(uint32_t code)
{
    return !vx_is_space(code) && !vx_is_letter(code) && !vx_is_number(code);
}

static size_t run(const vx_char *at, size_t left, bool (*is)(uint32_t))
{
    size_t n = 0;
    while (n < left && is(at[n].code))
        n++;
    return n;
}

static size_t clip_length(const vx_char *at, size_t left, const vx_cut *step)
{
    static const char *const specials[] = {"<|startoftext|>", "<|endoftext|>"};
    const size_t apostrophe = ending(at, left);
    for (int i = 0; i < 2 && step->specials; i++)
        if (starts(at, left, specials[i]))
            return strlen(specials[i]);
    if (apostrophe)
        return apostrophe;
    if (vx_is_number(at[0].code))
        return 1;
    const size_t letters = run(at, left, vx_is_letter);
    return letters ? letters : run(at, left, is_rest);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t gpt2_length(const vx_char *at, size_t left, const vx_cut *step)
{
    (void)step;
    static bool (*const kinds[])(uint32_t) = {vx_is_letter, vx_is_number, is_rest};
    const size_t apostrophe = ending(at, left), blank = at[0].code == ' ';
    if (apostrophe)
        return apostrophe;
    for (int i = 0; i < 3; i++) {
        const size_t n = blank < left ? run(at + blank, left - blank, kinds[i]) : 0;
        if (n)
            return blank + n;
    }
    const size_t spaces = run(at, left, vx_is_space);
    return spaces > 1 && spaces < left ? spaces - 1 : spaces;
}

/* -------------------------------------------------------------------------- others -------- */

static bool is_bert_mark(uint32_t code)
{
    return code < 0x80 ? vx_is_ascii_punctuation(code) : vx_is_punctuation(code);
}

static bool is_plain(uint32_t code)
{
    return !vx_is_space(code) && !is_bert_mark(code);
}

static size_t bert_length(const vx_char *at, size_t left, const vx_cut *step)
{
    (void)step;
    return is_bert_mark(at[0].code) ? 1 : run(at, left, is_plain);
}

static bool is_no_space(uint32_t code)
{
    return !vx_is_space(code);
}

static size_t space_length(const vx_char *at, size_t left, const vx_cut *step)
{
    (void)step;
    return run(at, left, is_no_space);
}

static bool is_symbol(uint32_t code)
{
    return !vx_is_word(code) && !vx_is_space(code);
}

static size_t words_length(const vx_char *at, size_t left, const vx_cut *step)
{
    (void)step;
    const size_t n = run(at, left, vx_is_word);
    return n ? n : run(at, left, is_symbol);
}

static size_t behind_length(const vx_char *at, size_t left, const vx_cut *step)
{
    size_t n = 0;
    while (n < left && at[n].code != step->mark)
        n++;
    return n < left ? n + 1 : n;
}

static size_t before_length(const vx_char *at, size_t left, const vx_cut *step)
{
    size_t n = 1;
    while (n < left && at[n].code != step->mark)
        n++;
    return n;
}

/* Cuts every word by `of`; where it gives 0 a character (white space) goes. */
static int cut_words(vx_spans *out, const vx_cut_words *words, const vx_cut *step, length *of)
{
    for (size_t i = 0; i < words->pieces.count; i++) {
        const vx_span piece = words->pieces.at[i];
        const vx_char *const at = words->chars.at + piece.from;
        for (size_t k = 0, n; k < piece.count; k += n ? n : 1)
            if ((n = of(at + k, piece.count - k, step)) > 0)
                VX_TRY(vx_spans_put(out, piece.from + k, n, -1));
    }
    return VITX_OK;
}

static int cut(vx_cut_words *words, vx_cut_words *spare, const vx_cut *step, length *of)
{
    spare->pieces.count = 0;
    VX_TRY(cut_words(&spare->pieces, words, step, of));
    const vx_spans held = words->pieces;
    words->pieces = spare->pieces;
    spare->pieces = held;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- that change --- */

typedef int rewrite(vx_chars *out, const vx_char *at, size_t count, const vx_cut *step);

/* Rewrites every word; the words stay words. */
static int rewrite_words(vx_cut_words *words, vx_cut_words *spare, const vx_cut *step, rewrite *how)
{
    spare->chars.count = spare->pieces.count = 0;
    VX_TRY(vx_chars_reserve(&spare->chars, words->chars.count));
    for (size_t i = 0; i < words->pieces.count; i++) {
        const vx_span piece = words->pieces.at[i];
        const size_t from = spare->chars.count;
        VX_TRY(how(&spare->chars, words->chars.at + piece.from, piece.count, step));
        VX_TRY(vx_spans_put(&spare->pieces, from, spare->chars.count - from, -1));
    }
    const vx_cut_words held = *words;
    *words = *spare;
    *spare = held;
    return VITX_OK;
}

uint32_t vx_byte_shown(unsigned char b)
{
    if ((b >= 33 && b <= 126) || (b >= 161 && b != 173))
        return b;
    return 256u + (b <= 32 ? b : b <= 160 ? b - 127u + 33u : 67u);
}

static int show_bytes(vx_chars *out, const vx_char *at, size_t count, const vx_cut *step)
{
    (void)step;
    for (size_t i = 0; i < count; i++) {
        char bytes[4];
        const size_t n = vx_utf8_write(bytes, at[i].code);
        for (size_t k = 0; k < n; k++)
            VX_TRY(
                vx_chars_put(out, vx_byte_shown((unsigned char)bytes[k]), at[i].start, at[i].end));
    }
    return VITX_OK;
}

/* What is put before a word stands where the word begins. */
static int put_before(vx_chars *out, const vx_char *at, size_t count, const vx_cut *step)
{
    const bool wanted =
        step->scheme == VX_ALWAYS || (step->scheme == VX_FIRST && count > 0 && at[0].start == 0);
    if (count > 0 && wanted && at[0].code != step->mark)
        VX_TRY(vx_chars_put(out, step->mark, at[0].start, at[0].end));
    return VITX_OK;
}

static int blank_before(vx_chars *out, const vx_char *at, size_t count, const vx_cut *step)
{
    VX_TRY(put_before(out, at, count, step));
    return vx_chars_copy(out, at, count);
}

static int mark_blanks(vx_chars *out, const vx_char *at, size_t count, const vx_cut *step)
{
    vx_char first = count > 0 ? at[0] : (vx_char){0};
    first.code = first.code == ' ' ? step->mark : first.code;
    VX_TRY(put_before(out, &first, count > 0, step));
    for (size_t i = 0; i < count; i++)
        VX_TRY(
            vx_chars_put(out, at[i].code == ' ' ? step->mark : at[i].code, at[i].start, at[i].end));
    return VITX_OK;
}

static int byte_level(vx_cut_words *words, vx_cut_words *spare, const vx_cut *step)
{
    if (step->scheme != VX_NEVER)
        VX_TRY(rewrite_words(words, spare, step, blank_before));
    if (step->kind == VX_CUT_GPT2)
        VX_TRY(cut(words, spare, step, gpt2_length));
    return rewrite_words(words, spare, step, show_bytes);
}

static int metaspace(vx_cut_words *words, vx_cut_words *spare, const vx_cut *step)
{
    VX_TRY(rewrite_words(words, spare, step, mark_blanks));
    return step->split ? cut(words, spare, step, before_length) : VITX_OK;
}

static int take_step(vx_cut_words *words, vx_cut_words *spare, const vx_cut *step)
{
    static length *const lengths[] = {
        [VX_CUT_CLIP] = clip_length,   [VX_CUT_BEHIND] = behind_length, [VX_CUT_BERT] = bert_length,
        [VX_CUT_SPACE] = space_length, [VX_CUT_WORDS] = words_length,
    };
    if (step->kind == VX_CUT_BYTES || step->kind == VX_CUT_GPT2)
        return byte_level(words, spare, step);
    if (step->kind == VX_CUT_METASPACE)
        return metaspace(words, spare, step);
    return cut(words, spare, step, lengths[step->kind]);
}

int vx_pretokenise(vx_cut_words *words, vx_cut_words *spare, const vx_pretokeniser *p)
{
    words->pieces.count = 0;
    if (words->chars.count > 0)
        VX_TRY(vx_spans_put(&words->pieces, 0, words->chars.count, -1));
    for (int i = 0; i < p->count; i++)
        VX_TRY(take_step(words, spare, &p->steps[i]));
    return VITX_OK;
}
