/* text/normalise.c: see normalise.h. Every step reads one text and appends to another. */
#include "text/normalise.h"

#include <string.h>

#include "text/unicode.h"

typedef int change(vx_chars *out, const vx_chars *in, const vx_change *step,
                   const vx_normaliser *normaliser);

static int nfc(vx_chars *out, const vx_chars *in, const vx_change *step, const vx_normaliser *n)
{
    (void)step, (void)n;
    return vx_nfc(out, in->at, in->count);
}

static int nfd(vx_chars *out, const vx_chars *in, const vx_change *step, const vx_normaliser *n)
{
    (void)step, (void)n;
    return vx_nfd(out, in->at, in->count);
}

static int lowercase(vx_chars *out, const vx_chars *in, const vx_change *step,
                     const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_chars_reserve(out, in->count));
    for (size_t i = 0; i < in->count; i++) {
        uint32_t lower[2];
        const int count = vx_lower(lower, in->at[i].code);
        for (int k = 0; k < count; k++)
            VX_TRY(vx_chars_put(out, lower[k], in->at[i].start, in->at[i].end));
    }
    return VITX_OK;
}

static int lower_text(vx_chars *out, const vx_chars *in, const vx_change *step,
                      const vx_normaliser *n)
{
    (void)step, (void)n;
    return vx_lower_text(out, in->at, in->count);
}

/* `to`, each character in the place of all of at [count]. */
static int put_short(vx_chars *out, const vx_short *to, const vx_char *at, size_t count)
{
    uint32_t start, end;
    vx_chars_range(&start, &end, at, count);
    for (size_t k = 0; k < to->count; k++)
        VX_TRY(vx_chars_put(out, to->at[k], start, end));
    return VITX_OK;
}

static bool begins_with(const vx_char *at, size_t left, const vx_short *what)
{
    if (left < what->count)
        return false;
    for (size_t k = 0; k < what->count; k++)
        if (at[k].code != what->at[k])
            return false;
    return true;
}

static int replace(vx_chars *out, const vx_chars *in, const vx_change *step, const vx_normaliser *n)
{
    (void)n;
    for (size_t i = 0; i < in->count;) {
        if (begins_with(in->at + i, in->count - i, &step->from)) {
            VX_TRY(put_short(out, &step->to, in->at + i, step->from.count));
            i += step->from.count;
        } else {
            VX_TRY(vx_chars_copy(out, in->at + i, 1));
            i++;
        }
    }
    return VITX_OK;
}

/* Runs of at least `least` characters that `is` tells, by step->to. */
static int replace_runs(vx_chars *out, const vx_chars *in, const vx_change *step,
                        bool (*is)(uint32_t), size_t least)
{
    VX_TRY(vx_chars_reserve(out, in->count));
    for (size_t i = 0, run; i < in->count; i += run ? run : 1) {
        run = 0;
        while (i + run < in->count && is(in->at[i + run].code))
            run++;
        if (run >= least)
            VX_TRY(put_short(out, &step->to, in->at + i, run));
        else
            VX_TRY(vx_chars_copy(out, in->at + i, run ? run : 1));
    }
    return VITX_OK;
}

static bool is_blank(uint32_t code)
{
    return code == ' ';
}

static int replace_space(vx_chars *out, const vx_chars *in, const vx_change *step,
                         const vx_normaliser *n)
{
    (void)n;
    return replace_runs(out, in, step, vx_is_space, 1);
}

static int replace_blanks(vx_chars *out, const vx_chars *in, const vx_change *step,
                          const vx_normaliser *n)
{
    (void)n;
    return replace_runs(out, in, step, is_blank, 2);
}

static int strip(vx_chars *out, const vx_chars *in, const vx_change *step, const vx_normaliser *n)
{
    (void)n;
    size_t from = 0, to = in->count;
    if (to == 0)
        return VITX_OK;
    while (step->left && from < to && vx_is_space(in->at[from].code))
        from++;
    while (step->right && to > from && vx_is_space(in->at[to - 1].code))
        to--;
    return vx_chars_copy(out, in->at + from, to - from);
}

static int prepend(vx_chars *out, const vx_chars *in, const vx_change *step, const vx_normaliser *n)
{
    (void)n;
    if (in->count == 0)
        return VITX_OK;
    VX_TRY(put_short(out, &step->to, in->at, 1));
    return vx_chars_copy(out, in->at, in->count);
}

/* -------------------------------------------------------------------------- the charsmap -- */

static int put_text(vx_chars *out, const char *text, const vx_char *at, size_t count)
{
    uint32_t start, end;
    vx_chars_range(&start, &end, at, count);
    for (size_t left = strlen(text), n; left > 0; left -= n, text += n) {
        uint32_t code;
        n = vx_utf8_read(&code, text, left);
        VX_TRY(vx_chars_put(out, code, start, end));
    }
    return VITX_OK;
}

/* A grapheme of fewer than six bytes, then every character, is replaced as a whole by what its
 * shortest beginning that is in the table is replaced by. That is what the Rust tokenizers do. */
static int precompiled(vx_chars *out, const vx_chars *in, const vx_change *step,
                       const vx_normaliser *n)
{
    (void)step;
    for (size_t i = 0, count; i < in->count; i += count) {
        char bytes[4 * 6];
        size_t used = 0;
        const char *by;
        count = vx_grapheme(in->at + i, in->count - i);
        for (size_t k = 0; k < count && used < 6; k++)
            used += vx_utf8_write(bytes + used, in->at[i + k].code);
        if (used < 6 && vx_charsmap_shortest(&by, &n->charsmap, bytes, used)) {
            VX_TRY(put_text(out, by, in->at + i, count));
            continue;
        }
        for (size_t k = i; k < i + count; k++) {
            used = vx_utf8_write(bytes, in->at[k].code);
            if (vx_charsmap_shortest(&by, &n->charsmap, bytes, used))
                VX_TRY(put_text(out, by, in->at + k, 1));
            else
                VX_TRY(vx_chars_copy(out, in->at + k, 1));
        }
    }
    return VITX_OK;
}

/* Bytes that a replaced beginning may have: SentencePiece's tables have far shorter ones. */
enum { WINDOW = 64 };

static int spiece_space(vx_chars *out, const vx_chars *in, const vx_change *step,
                        const vx_normaliser *n)
{
    (void)n;
    const uint32_t mark = step->to.at[0];
    bool after_blank = false;
    size_t from = 0;
    while (step->right && from < in->count && in->at[from].code == ' ')
        from++;
    if (from == in->count)
        return VITX_OK;
    if (step->left)
        VX_TRY(vx_chars_put(out, mark, in->at[from].start, in->at[from].start));
    for (size_t i = from; i < in->count; i++) {
        const bool blank = in->at[i].code == ' ';
        if (blank && after_blank) {
            out->at[out->count - 1].end = in->at[i].end;
            continue;
        }
        VX_TRY(vx_chars_put(out, blank ? mark : in->at[i].code, in->at[i].start, in->at[i].end));
        after_blank = blank && step->right;
    }
    while (step->right && out->count > 0 && out->at[out->count - 1].code == mark)
        out->count--;
    return VITX_OK;
}

static int by_longest(vx_chars *out, const vx_chars *in, const vx_change *step,
                      const vx_normaliser *n)
{
    (void)step;
    for (size_t i = 0; i < in->count;) {
        size_t kept;
        const size_t whole = vx_added_longest(&kept, &n->kept, in->at + i, in->count - i);
        if (whole > 0) {
            VX_TRY(vx_chars_copy(out, in->at + i, whole));
            i += whole;
            continue;
        }
        char bytes[WINDOW + 4];
        uint8_t ends[WINDOW + 4] = {0}; /* behind a byte: how many characters end there */
        size_t used = 0;
        const char *by;
        for (size_t k = i; k < in->count && used < WINDOW; k++) {
            used += vx_utf8_write(bytes + used, in->at[k].code);
            ends[used - 1] = (uint8_t)(k - i + 1);
        }
        const size_t found = vx_charsmap_longest(&by, &n->charsmap, bytes, used);
        const size_t count = found ? ends[found - 1] : 0;
        if (count > 0)
            VX_TRY(put_text(out, by, in->at + i, count));
        else
            VX_TRY(vx_chars_copy(out, in->at + i, 1));
        i += count ? count : 1;
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- for BERT ------ */

static int bert_clean(vx_chars *out, const vx_chars *in, const vx_change *step,
                      const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_chars_reserve(out, in->count));
    for (size_t i = 0; i < in->count; i++) {
        vx_char c = in->at[i];
        const bool space = c.code == '\t' || c.code == '\n' || c.code == '\r';
        if (c.code == 0 || c.code == 0xfffd || (!space && vx_is_control(c.code)))
            continue;
        if (vx_is_space(c.code))
            c.code = ' ';
        VX_TRY(vx_chars_copy(out, &c, 1));
    }
    return VITX_OK;
}

static int bert_space(vx_chars *out, const vx_chars *in, const vx_change *step,
                      const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_chars_reserve(out, in->count));
    for (size_t i = 0; i < in->count; i++) {
        const vx_char c = in->at[i], blank = {' ', c.start, c.end};
        const bool apart = vx_is_ideograph(c.code);
        if (apart)
            VX_TRY(vx_chars_copy(out, &blank, 1));
        VX_TRY(vx_chars_copy(out, &c, 1));
        if (apart)
            VX_TRY(vx_chars_copy(out, &blank, 1));
    }
    return VITX_OK;
}

/* In place. What a mark stood on is in the mark's place, too: nobody sees half of a letter. */
static void drop_marks(vx_chars *text, bool (*is)(uint32_t))
{
    size_t kept = 0;
    for (size_t i = 0; i < text->count; i++) {
        const vx_char c = text->at[i];
        if (!is(c.code))
            text->at[kept++] = c;
        else if (kept > 0 && text->at[kept - 1].end == c.start)
            text->at[kept - 1].end = c.end;
    }
    text->count = kept;
}

static int bert_accents(vx_chars *out, const vx_chars *in, const vx_change *step,
                        const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_nfd(out, in->at, in->count));
    drop_marks(out, vx_is_accent);
    return VITX_OK;
}

static int strip_accents(vx_chars *out, const vx_chars *in, const vx_change *step,
                         const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_chars_copy(out, in->at, in->count));
    drop_marks(out, vx_is_mark);
    return VITX_OK;
}

static int siglip_clean(vx_chars *out, const vx_chars *in, const vx_change *step,
                        const vx_normaliser *n)
{
    (void)step, (void)n;
    VX_TRY(vx_chars_reserve(out, in->count));
    for (size_t i = 0; i < in->count; i++)
        if (!vx_is_ascii_punctuation(in->at[i].code))
            VX_TRY(vx_chars_copy(out, in->at + i, 1));
    return VITX_OK;
}

/* -------------------------------------------------------------------------- all ----------- */

static change *const changes[] = {
    [VX_NFC] = nfc,
    [VX_NFD] = nfd,
    [VX_LOWERCASE] = lowercase,
    [VX_REPLACE] = replace,
    [VX_REPLACE_SPACE] = replace_space,
    [VX_REPLACE_BLANKS] = replace_blanks,
    [VX_STRIP] = strip,
    [VX_STRIP_ACCENTS] = strip_accents,
    [VX_PREPEND] = prepend,
    [VX_PRECOMPILED] = precompiled,
    [VX_CHARSMAP] = by_longest,
    [VX_SPIECE_SPACE] = spiece_space,
    [VX_BERT_CLEAN] = bert_clean,
    [VX_BERT_SPACE] = bert_space,
    [VX_BERT_ACCENTS] = bert_accents,
    [VX_SIGLIP_CLEAN] = siglip_clean,
    [VX_LOWER_TEXT] = lower_text,
};

int vx_normalise(vx_chars *text, vx_chars *spare, const vx_normaliser *normaliser)
{
    for (int i = 0; i < normaliser->count; i++) {
        spare->count = 0;
        VX_TRY(changes[normaliser->steps[i].kind](spare, text, &normaliser->steps[i], normaliser));
        vx_chars_swap(text, spare);
    }
    return VITX_OK;
}
