/* text/unicode.c: see unicode.h; by utf8proc. */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#define FIRST_MARK 0x300 /* below it nothing composes with what stands before */

/* -------------------------------------------------------------------------- categories ---- */

bool vx_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static utf8proc_category_t category(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code);
}

bool vx_is_letter(uint32_t code)
{
    if (code < 0x80)
        return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool vx_is_number(uint32_t code)
{
    if (code < 0x80)
        return code >= '0' && code <= '9';
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool vx_is_punctuation(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool vx_is_accent(uint32_t code)
{
    return code >= FIRST_MARK && category(code) == UTF8PROC_CATEGORY_MN;
}

bool vx_is_mark(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool vx_is_control(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_CC && c <= UTF8PROC_CATEGORY_CO;
}

/* Alphabetic beyond the letters: letters in circles, and the numbers that are letters. */
static bool is_alphabetic(uint32_t code)
{
    return category(code) == UTF8PROC_CATEGORY_NL || (code >= 0x24b6 && code <= 0x24e9) ||
           (code >= 0x1f130 && code <= 0x1f149) || (code >= 0x1f150 && code <= 0x1f169) ||
           (code >= 0x1f170 && code <= 0x1f189);
}

bool vx_is_word(uint32_t code)
{
    if (code < 0x80)
        return vx_is_letter(code) || vx_is_number(code) || code == '_';
    const utf8proc_category_t c = category(code);
    return vx_is_letter(code) || vx_is_mark(code) || c == UTF8PROC_CATEGORY_ND ||
           c == UTF8PROC_CATEGORY_PC || is_alphabetic(code) || code == 0x200c || code == 0x200d;
}

bool vx_is_ascii_punctuation(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
}

/* 2B920 is what the Rust tokenizers say, where BERT's own code has 2B820. */
bool vx_is_ideograph(uint32_t c)
{
    if (c < 0x3400)
        return false;
    return (c >= 0x4e00 && c <= 0x9fff) || c <= 0x4dbf || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
           (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* -------------------------------------------------------------------------- lower case ---- */

int vx_lower(uint32_t out[2], uint32_t code)
{
    if (code < 0x80) {
        out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
        return 1;
    }
    if (code == 0x130) { /* the one letter whose lower case has two */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

static bool is_cased(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT) || code == 0xaa ||
           code == 0xba || (code >= 0x2160 && code <= 0x217f) || (code >= 0x24b6 && code <= 0x24e9);
}

/* Case_Ignorable: what stands inside a word without ending it. */
static bool is_passed_over(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_SK || code == '\'' || code == '.' ||
           code == ':' || code == 0xb7 || code == 0x387 || code == 0x2018 || code == 0x2019 ||
           code == 0x2024 || code == 0x2027 || code == 0xfe13 || code == 0xfe52 || code == 0xfe55 ||
           code == 0xff07 || code == 0xff0e || code == 0xff1a;
}

/* Whether the sigma at `i` ends a word. What stands before it was already seen by the caller. */
static bool ends_word(const vx_char *at, size_t count, size_t i)
{
    for (size_t j = i + 1; j < count; j++)
        if (!is_passed_over(at[j].code))
            return !is_cased(at[j].code);
    return true;
}

int vx_lower_text(vx_chars *out, const vx_char *at, size_t count)
{
    bool after_letter = false; /* the last character that is not passed over is a cased letter */
    size_t settled = 0;        /* the sigmas before it have the same answer as `ends` */
    bool ends = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t lower[2];
        const int n = vx_lower(lower, at[i].code);
        if (at[i].code == 0x3a3 && after_letter) {
            /* Looked for once a run of characters that are passed over. */
            if (i >= settled) {
                ends = ends_word(at, count, i);
                settled = i + 1;
                while (settled < count && is_passed_over(at[settled].code))
                    settled++;
            }
            if (ends)
                lower[0] = 0x3c2;
        }
        if (!is_passed_over(at[i].code))
            after_letter = is_cased(at[i].code);
        for (int k = 0; k < n; k++)
            VX_TRY(vx_chars_put(out, lower[k], at[i].start, at[i].end));
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- NFD, NFC ------ */

static int combining_class(uint32_t code)
{
    return code < FIRST_MARK ? 0 : utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
}

/* Orders marks by their class, equal ones as they stood: by counting, since a hostile text may
 * have millions of marks on one letter. */
static int order_marks(vx_chars *out, size_t from)
{
    const size_t count = out->count - from;
    if (count < 2)
        return VITX_OK;
    size_t places[257] = {0};
    bool ordered = true;
    for (size_t i = 0; i < count; i++) {
        const int c = combining_class(out->at[from + i].code);
        places[c + 1]++;
        ordered = ordered && (i == 0 || combining_class(out->at[from + i - 1].code) <= c);
    }
    if (ordered)
        return VITX_OK;
    for (int c = 0; c < 256; c++)
        places[c + 1] += places[c];
    vx_char *const copy = vx_alloc(out->hooks, count * sizeof *copy);
    if (!copy)
        return vx_fail(VITX_NOMEM, "no memory for %zu marks", count);
    memcpy(copy, out->at + from, count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        out->at[from + places[combining_class(copy[i].code)]++] = copy[i];
    vx_release(out->hooks, copy);
    return VITX_OK;
}

int vx_nfd(vx_chars *out, const vx_char *at, size_t count)
{
    size_t marks = out->count; /* where the marks behind the last letter begin */
    VX_TRY(vx_chars_reserve(out, count));
    for (size_t i = 0; i < count; i++) {
        utf8proc_int32_t parts[8];
        int boundary = 0;
        utf8proc_ssize_t n = 1;
        parts[0] = (utf8proc_int32_t)at[i].code;
        if (at[i].code >= 0xc0)
            n = utf8proc_decompose_char(parts[0], parts, 8, UTF8PROC_DECOMPOSE, &boundary);
        for (utf8proc_ssize_t k = 0; k < n && k < 8; k++) {
            const bool letter = combining_class((uint32_t)parts[k]) == 0;
            if (letter)
                VX_TRY(order_marks(out, marks));
            VX_TRY(vx_chars_put(out, (uint32_t)parts[k], at[i].start, at[i].end));
            marks = letter ? out->count : marks;
        }
    }
    return order_marks(out, marks);
}

/* The character that two make together, 0 if none. */
static uint32_t composed(uint32_t a, uint32_t b)
{
    if (b < FIRST_MARK)
        return 0;
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    const utf8proc_ssize_t n =
        utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return n == 1 ? (uint32_t)pair[0] : 0;
}

static void widen(vx_char *c, const vx_char *by)
{
    c->start = by->start < c->start ? by->start : c->start;
    c->end = by->end > c->end ? by->end : c->end;
}

/* In place over what is decomposed, by the standard's algorithm: a mark joins the last letter
 * unless one of the same class, or a higher one, stands between. */
static void compose(vx_chars *out, size_t from)
{
    size_t kept = from, letter = SIZE_MAX;
    int last = 0; /* class of what was kept behind the letter, -1 if nothing was */
    for (size_t i = from; i < out->count; i++) {
        const vx_char c = out->at[i];
        const int class = combining_class(c.code);
        uint32_t joined = 0;
        if (letter != SIZE_MAX && (last < 0 || (last != 0 && last < class)))
            joined = composed(out->at[letter].code, c.code);
        if (joined) {
            out->at[letter].code = joined;
            widen(&out->at[letter], &c);
            continue;
        }
        if (class == 0) {
            letter = kept;
            last = -1;
        } else {
            last = class;
        }
        out->at[kept++] = c;
    }
    out->count = kept;
}

int vx_nfc(vx_chars *out, const vx_char *at, size_t count)
{
    bool plain = true;
    for (size_t i = 0; i < count && plain; i++)
        plain = at[i].code < FIRST_MARK;
    if (plain)
        return vx_chars_copy(out, at, count);
    const size_t from = out->count;
    VX_TRY(vx_nfd(out, at, count));
    compose(out, from);
    return VITX_OK;
}

size_t vx_grapheme(const vx_char *at, size_t count)
{
    utf8proc_int32_t state = 0;
    size_t n = 1;
    while (n < count && !utf8proc_grapheme_break_stateful((utf8proc_int32_t)at[n - 1].code,
                                                          (utf8proc_int32_t)at[n].code, &state))
        n++;
    return n;
}
