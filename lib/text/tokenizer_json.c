/*
 * text/tokenizer_json.c: the parts of a tokenizer.json but its model: normalizer, pre_tokenizer,
 * post_processor, added_tokens. Whatever is not done here is refused by its name.
 */
#include <string.h>

#include "text/base64.h"
#include "text/json_members.h"
#include "text/parts.h"
#include "text/unicode.h"

static int unsupported(const char *name, const char *what, const char *value)
{
    return vx_fail_in(VITX_UNSUPPORTED, name, "%s \"%.80s\" is not done here", what,
                      value ? value : "");
}

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

/* A short string as characters. */
static int read_short(vx_short *out, const vx_json *node, const char *name, const char *what)
{
    const char *text = vx_json_string(node);
    if (!text)
        return vx_fail_in(VITX_FORMAT, name, "%s is no string", what);
    const char *const whole = text;
    out->count = 0;
    for (size_t left = strlen(text), n; left > 0; left -= n, text += n) {
        uint32_t code;
        if (out->count == VX_SHORT)
            return vx_fail_in(VITX_UNSUPPORTED, name, "%s \"%.40s...\" of more than %d characters",
                              what, whole, VX_SHORT);
        n = vx_utf8_read(&code, text, left);
        out->at[out->count++] = code;
    }
    return VITX_OK;
}

/* -------------------------------------------------------------------------- normalizer ---- */

static int put_change(vx_normaliser *n, vx_change step, const char *name)
{
    if (n->count == VX_STEPS)
        return vx_fail_in(VITX_UNSUPPORTED, name, "a normalizer of more than %d steps", VX_STEPS);
    n->steps[n->count++] = step;
    return VITX_OK;
}

static int read_replace(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "pattern", "content", NULL};
    static const char *const patterns[] = {"String", "Regex", NULL};
    const vx_json *const pattern = vx_json_get(node, "pattern");
    const char *const regex = vx_json_string(vx_json_get(pattern, "Regex"));
    vx_change step = {.kind = VX_REPLACE};
    VX_TRY(vx_json_only(node, keys, name, "the normalizer Replace"));
    VX_TRY(vx_json_only(pattern, patterns, name, "the pattern of a Replace"));
    VX_TRY(read_short(&step.to, vx_json_get(node, "content"), name, "the content of a Replace"));
    if (!regex) {
        VX_TRY(read_short(&step.from, vx_json_get(pattern, "String"), name,
                          "the pattern of a Replace"));
        if (step.from.count == 0)
            return unsupported(name, "the normalizer Replace with the pattern", "");
    } else if (is(regex, "\\s+")) {
        step.kind = VX_REPLACE_SPACE;
    } else if (is(regex, " {2,}")) {
        step.kind = VX_REPLACE_BLANKS;
    } else {
        return unsupported(name, "the normalizer Replace with the regex", regex);
    }
    return put_change(&t->normaliser, step, name);
}

static int read_bert_normaliser(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type",          "clean_text", "handle_chinese_chars",
                                       "strip_accents", "lowercase",  NULL};
    bool clean, space, accents, lower;
    VX_TRY(vx_json_only(node, keys, name, "the normalizer BertNormalizer"));
    VX_TRY(vx_json_flag(&clean, node, "clean_text", true, name));
    VX_TRY(vx_json_flag(&space, node, "handle_chinese_chars", true, name));
    VX_TRY(vx_json_flag(&lower, node, "lowercase", true, name));
    VX_TRY(vx_json_flag(&accents, node, "strip_accents", lower, name));
    if (clean)
        VX_TRY(put_change(&t->normaliser, (vx_change){.kind = VX_BERT_CLEAN}, name));
    if (space)
        VX_TRY(put_change(&t->normaliser, (vx_change){.kind = VX_BERT_SPACE}, name));
    if (accents)
        VX_TRY(put_change(&t->normaliser, (vx_change){.kind = VX_BERT_ACCENTS}, name));
    if (lower)
        VX_TRY(put_change(&t->normaliser, (vx_change){.kind = VX_LOWERCASE}, name));
    return VITX_OK;
}

static int read_precompiled(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "precompiled_charsmap", NULL};
    const vx_json *const map = vx_json_get(node, "precompiled_charsmap");
    const char *const text = vx_json_string(map);
    vx_buffer data = {.hooks = &t->hooks};
    VX_TRY(vx_json_only(node, keys, name, "the normalizer Precompiled"));
    if (map && !text && !vx_json_is_null(map))
        return vx_fail_in(VITX_FORMAT, name, "the charsmap of a Precompiled is no string");
    if (t->normaliser.charsmap.hooks)
        return vx_fail_in(VITX_UNSUPPORTED, name, "more than one Precompiled is not done here");
    int status = vx_base64_read(&data, text ? text : "", name, "the charsmap of a Precompiled");
    if (status == VITX_OK)
        status = vx_charsmap_read(&t->normaliser.charsmap, data.data, data.size, &t->hooks, name);
    vx_buffer_dispose(&data);
    VX_TRY(status);
    return put_change(&t->normaliser, (vx_change){.kind = VX_PRECOMPILED}, name);
}

static int read_strip(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "strip_left", "strip_right", NULL};
    vx_change step = {.kind = VX_STRIP};
    VX_TRY(vx_json_only(node, keys, name, "the normalizer Strip"));
    VX_TRY(vx_json_flag(&step.left, node, "strip_left", true, name));
    VX_TRY(vx_json_flag(&step.right, node, "strip_right", true, name));
    return put_change(&t->normaliser, step, name);
}

static int read_prepend(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "prepend", NULL};
    vx_change step = {.kind = VX_PREPEND};
    VX_TRY(vx_json_only(node, keys, name, "the normalizer Prepend"));
    VX_TRY(read_short(&step.to, vx_json_get(node, "prepend"), name, "what a Prepend prepends"));
    return put_change(&t->normaliser, step, name);
}

static int read_plain(vx_tokenizer *t, const vx_json *node, vx_change_kind kind, const char *name)
{
    static const char *const keys[] = {"type", NULL};
    VX_TRY(vx_json_only(node, keys, name, "a normalizer"));
    return put_change(&t->normaliser, (vx_change){.kind = kind}, name);
}

static int read_normaliser(vx_tokenizer *t, const vx_json *node, const char *name);

static int read_normalisers(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "normalizers", NULL};
    const vx_json *const list = vx_json_get(node, "normalizers");
    VX_TRY(vx_json_only(node, keys, name, "the normalizer Sequence"));
    if (!vx_json_is_array(list))
        return vx_fail_in(VITX_FORMAT, name, "the normalizers of a Sequence are no array");
    for (const vx_json *n = vx_json_first(list); n; n = vx_json_next(n))
        VX_TRY(read_normaliser(t, n, name));
    return VITX_OK;
}

static int read_normaliser(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const struct {
        const char *type;
        vx_change_kind kind;
    } plain[] = {{"NFC", VX_NFC},
                 {"NFD", VX_NFD},
                 {"Lowercase", VX_LOWERCASE},
                 {"StripAccents", VX_STRIP_ACCENTS}};
    static const struct {
        const char *type;
        int (*read)(vx_tokenizer *t, const vx_json *node, const char *name);
    } others[] = {{"Sequence", read_normalisers},
                  {"Replace", read_replace},
                  {"Strip", read_strip},
                  {"Prepend", read_prepend},
                  {"Precompiled", read_precompiled},
                  {"BertNormalizer", read_bert_normaliser}};
    const char *const type = vx_json_string(vx_json_get(node, "type"));
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (is(type, plain[i].type))
            return read_plain(t, node, plain[i].kind, name);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (is(type, others[i].type))
            return others[i].read(t, node, name);
    return unsupported(name, "the normalizer", type);
}

/* -------------------------------------------------------------------------- pre_tokenizer - */

#define CLIP_WORDS "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"
#define CLIP_SPECIALS "<\\|startoftext\\|>|<\\|endoftext\\|>|"

static int put_cut(vx_tokenizer *t, vx_cut step, const char *name)
{
    vx_pretokeniser *const p = &t->pretokeniser;
    if (p->count == VX_STEPS)
        return vx_fail_in(VITX_UNSUPPORTED, name, "a pre_tokenizer of more than %d steps",
                          VX_STEPS);
    p->steps[p->count++] = step;
    return VITX_OK;
}

static int read_split(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "pattern", "behavior", "invert", NULL};
    static const char *const patterns[] = {"String", "Regex", NULL};
    const vx_json *const pattern = vx_json_get(node, "pattern");
    const char *const regex = vx_json_string(vx_json_get(pattern, "Regex"));
    const char *const text = vx_json_string(vx_json_get(pattern, "String"));
    const char *const behaviour = vx_json_string(vx_json_get(node, "behavior"));
    bool invert;
    VX_TRY(vx_json_only(node, keys, name, "the pre_tokenizer Split"));
    VX_TRY(vx_json_only(pattern, patterns, name, "the pattern of a Split"));
    VX_TRY(vx_json_flag(&invert, node, "invert", false, name));
    const bool clip = is(regex, CLIP_SPECIALS CLIP_WORDS);
    if (clip || is(regex, CLIP_WORDS)) {
        if (!is(behaviour, "Removed") || !invert)
            return unsupported(name, "CLIP's pre_tokenizer Split with the behavior", behaviour);
        return put_cut(t, (vx_cut){.kind = VX_CUT_CLIP, .specials = clip}, name);
    }
    if (regex || !text)
        return unsupported(name, "the pre_tokenizer Split with the regex", regex);
    if (!is(text, " "))
        return unsupported(name, "the pre_tokenizer Split with the pattern", text);
    if (!is(behaviour, "MergedWithPrevious") || invert)
        return unsupported(name, "the pre_tokenizer Split with the behavior", behaviour);
    return put_cut(t, (vx_cut){.kind = VX_CUT_BEHIND, .mark = ' '}, name);
}

static int read_byte_level(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                       NULL};
    bool prefix, regex;
    VX_TRY(vx_json_only(node, keys, name, "the pre_tokenizer ByteLevel"));
    VX_TRY(vx_json_flag(&prefix, node, "add_prefix_space", true, name));
    VX_TRY(vx_json_flag(&regex, node, "use_regex", true, name));
    return put_cut(t,
                   (vx_cut){.kind = regex ? VX_CUT_GPT2 : VX_CUT_BYTES,
                            .mark = ' ',
                            .scheme = prefix ? VX_ALWAYS : VX_NEVER},
                   name);
}

static int read_metaspace(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {
        "type", "replacement", "prepend_scheme", "split", "str_rep", "add_prefix_space", NULL};
    const char *const scheme = vx_json_string(vx_json_get(node, "prepend_scheme"));
    vx_cut step = {.kind = VX_CUT_METASPACE};
    vx_short mark;
    bool prefix;
    VX_TRY(vx_json_only(node, keys, name, "the pre_tokenizer Metaspace"));
    VX_TRY(read_short(&mark, vx_json_get(node, "replacement"), name, "a Metaspace's replacement"));
    VX_TRY(vx_json_flag(&prefix, node, "add_prefix_space", true, name));
    VX_TRY(vx_json_flag(&step.split, node, "split", true, name));
    if (mark.count != 1)
        return vx_fail_in(VITX_FORMAT, name, "a Metaspace's replacement is not one character");
    step.mark = mark.at[0];
    if (scheme && !is(scheme, "always") && !is(scheme, "first") && !is(scheme, "never"))
        return unsupported(name, "the prepend_scheme", scheme);
    step.scheme = is(scheme, "first") ? VX_FIRST : is(scheme, "never") ? VX_NEVER : VX_ALWAYS;
    if (!prefix && scheme && step.scheme != VX_NEVER)
        return vx_fail_in(VITX_FORMAT, name,
                          "a Metaspace's add_prefix_space contradicts its prepend_scheme");
    step.scheme = prefix ? step.scheme : VX_NEVER;
    return put_cut(t, step, name);
}

static int read_pretokeniser(vx_tokenizer *t, const vx_json *node, const char *name);

static int read_pretokenisers(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "pretokenizers", NULL};
    const vx_json *const list = vx_json_get(node, "pretokenizers");
    VX_TRY(vx_json_only(node, keys, name, "the pre_tokenizer Sequence"));
    if (!vx_json_is_array(list))
        return vx_fail_in(VITX_FORMAT, name, "the pretokenizers of a Sequence are no array");
    for (const vx_json *p = vx_json_first(list); p; p = vx_json_next(p))
        VX_TRY(read_pretokeniser(t, p, name));
    return VITX_OK;
}

static int read_pretokeniser(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", NULL};
    static const struct {
        const char *type;
        vx_cut_kind kind;
    } plain[] = {{"BertPreTokenizer", VX_CUT_BERT},
                 {"WhitespaceSplit", VX_CUT_SPACE},
                 {"Whitespace", VX_CUT_WORDS}};
    const char *const type = vx_json_string(vx_json_get(node, "type"));
    if (is(type, "Sequence"))
        return read_pretokenisers(t, node, name);
    if (is(type, "Split"))
        return read_split(t, node, name);
    if (is(type, "ByteLevel"))
        return read_byte_level(t, node, name);
    if (is(type, "Metaspace"))
        return read_metaspace(t, node, name);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (!is(type, plain[i].type))
            continue;
        VX_TRY(vx_json_only(node, keys, name, "a pre_tokenizer"));
        return put_cut(t, (vx_cut){.kind = plain[i].kind}, name);
    }
    return unsupported(name, "the pre_tokenizer", type);
}

/* -------------------------------------------------------------------------- post_processor */

/* What is put around a text already stays inside: later processors come around it. */
static int put_before(vx_tokenizer *t, int id, int at, const char *name)
{
    if (t->before_count == VX_AROUND)
        return vx_fail_in(VITX_UNSUPPORTED, name, "more than %d tokens before a text", VX_AROUND);
    memmove(&t->before[at + 1], &t->before[at],
            (size_t)(t->before_count - at) * sizeof t->before[0]);
    t->before[at] = id;
    t->before_count++;
    return VITX_OK;
}

static int put_behind(vx_tokenizer *t, int id, const char *name)
{
    if (t->behind_count == VX_AROUND)
        return vx_fail_in(VITX_UNSUPPORTED, name, "more than %d tokens behind a text", VX_AROUND);
    t->behind[t->behind_count++] = id;
    return VITX_OK;
}

static int read_id(int *out, const vx_json *node, const char *name, const char *what)
{
    if (!vx_json_int(node, out) || *out < 0 || *out >= VX_IDS)
        return vx_fail_in(VITX_FORMAT, name, "%s is no id from 0 to %d", what, VX_IDS - 1);
    return VITX_OK;
}

/* ["</s>", 2] */
static int read_pair(int *id, const vx_json *pair, const char *name)
{
    const vx_json *const first = vx_json_first(pair);
    if (!vx_json_is_array(pair) || vx_json_size(pair) != 2 || !vx_json_string(first))
        return vx_fail_in(VITX_FORMAT, name, "a post_processor's token is no pair of text and id");
    return read_id(id, vx_json_next(first), name, "a post_processor's token");
}

static int read_cls_sep(vx_tokenizer *t, const vx_json *node, bool roberta, const char *name)
{
    static const char *const keys[] = {"type", "sep", "cls", "trim_offsets", "add_prefix_space",
                                       NULL};
    bool trim;
    int cls, sep;
    VX_TRY(vx_json_only(node, keys, name, "the post_processor"));
    VX_TRY(vx_json_flag(&trim, node, "trim_offsets", roberta, name));
    VX_TRY(read_pair(&cls, vx_json_get(node, "cls"), name));
    VX_TRY(read_pair(&sep, vx_json_get(node, "sep"), name));
    t->trim = t->trim || trim;
    VX_TRY(put_before(t, cls, 0, name));
    return put_behind(t, sep, name);
}

/* The ids that a template's special token stands for, before (at `*at`) or behind. */
static int read_special(vx_tokenizer *t, const vx_json *tokens, const char *id, int *at,
                        const char *name)
{
    const vx_json *const ids = vx_json_get(vx_json_get(tokens, id), "ids");
    if (!vx_json_is_array(ids) || vx_json_size(ids) == 0)
        return vx_fail_in(VITX_FORMAT, name, "the template's token \"%.60s\" has no ids",
                          id ? id : "");
    for (const vx_json *n = vx_json_first(ids); n; n = vx_json_next(n)) {
        int value;
        VX_TRY(read_id(&value, n, name, "an id of the post_processor"));
        VX_TRY(at ? put_before(t, value, (*at)++, name) : put_behind(t, value, name));
    }
    return VITX_OK;
}

static int read_template(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "single", "pair", "special_tokens", NULL};
    const vx_json *const list = vx_json_get(node, "single");
    int texts = 0, at = 0;
    VX_TRY(vx_json_only(node, keys, name, "the post_processor TemplateProcessing"));
    if (!vx_json_is_array(list))
        return vx_fail_in(VITX_FORMAT, name, "the single template is no array");
    for (const vx_json *n = vx_json_first(list); n; n = vx_json_next(n)) {
        const vx_json *const special = vx_json_get(n, "SpecialToken");
        if (special)
            VX_TRY(read_special(t, vx_json_get(node, "special_tokens"),
                                vx_json_string(vx_json_get(special, "id")), texts ? NULL : &at,
                                name));
        else if (is(vx_json_string(vx_json_get(vx_json_get(n, "Sequence"), "id")), "A"))
            texts++;
        else
            return vx_fail_in(VITX_UNSUPPORTED, name,
                              "a template of more than special tokens and A is not done here");
    }
    if (texts != 1)
        return vx_fail_in(VITX_UNSUPPORTED, name, "a template with %d times A is not done here",
                          texts);
    return VITX_OK;
}

static int read_post(vx_tokenizer *t, const vx_json *node, const char *name);

static int read_posts(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"type", "processors", NULL};
    const vx_json *const list = vx_json_get(node, "processors");
    VX_TRY(vx_json_only(node, keys, name, "the post_processor Sequence"));
    if (!vx_json_is_array(list))
        return vx_fail_in(VITX_FORMAT, name, "the processors of a Sequence are no array");
    for (const vx_json *p = vx_json_first(list); p; p = vx_json_next(p))
        VX_TRY(read_post(t, p, name));
    return VITX_OK;
}

static int read_post(vx_tokenizer *t, const vx_json *node, const char *name)
{
    const char *const type = vx_json_string(vx_json_get(node, "type"));
    bool trim;
    if (is(type, "Sequence"))
        return read_posts(t, node, name);
    if (is(type, "TemplateProcessing"))
        return read_template(t, node, name);
    if (is(type, "RobertaProcessing") || is(type, "BertProcessing"))
        return read_cls_sep(t, node, is(type, "RobertaProcessing"), name);
    if (!is(type, "ByteLevel"))
        return unsupported(name, "the post_processor", type);
    VX_TRY(vx_json_flag(&trim, node, "trim_offsets", true, name));
    t->trim = t->trim || trim;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- added_tokens -- */

/* The text of a token that is looked for in normalised text, as it is after normalising. */
static int normalised(vx_buffer *out, vx_tokenizer *t, const char *text)
{
    vx_chars chars = {.hooks = &t->hooks}, spare = {.hooks = &t->hooks};
    int status = vx_chars_decode(&chars, text, strlen(text));
    if (status == VITX_OK)
        status = vx_normalise(&chars, &spare, &t->normaliser);
    if (status == VITX_OK)
        status = vx_chars_encode(out, chars.at, chars.count);
    vx_chars_dispose(&chars);
    vx_chars_dispose(&spare);
    return status;
}

static int put_token(vx_tokenizer *t, const char *content, bool normal, vx_added_token token,
                     const char *name)
{
    if (!normal)
        return vx_added_put(&t->plain, content, strlen(content), token, name);
    vx_buffer text = {.hooks = &t->hooks};
    int status = normalised(&text, t, content);
    if (status == VITX_INVALID) /* said of a text; here it is the file's fault */
        status = vx_fail_in(VITX_UNSUPPORTED, name, "an added token that normalising makes long");
    if (status == VITX_OK && text.size > 0)
        status = vx_added_put(&t->normal, text.data, text.size, token, name);
    vx_buffer_dispose(&text);
    return status;
}

static int read_added_token(vx_tokenizer *t, const vx_json *node, const char *name)
{
    static const char *const keys[] = {"id",     "content",    "single_word", "lstrip",
                                       "rstrip", "normalized", "special",     NULL};
    vx_added_token token;
    bool normal, special;
    VX_TRY(vx_json_only(node, keys, name, "an added token"));
    const char *const content = vx_json_string(vx_json_get(node, "content"));
    if (!content)
        return vx_fail_in(VITX_FORMAT, name, "an added token without content");
    VX_TRY(read_id(&token.id, vx_json_get(node, "id"), name, "an added token's id"));
    VX_TRY(vx_json_flag(&token.left, node, "lstrip", false, name));
    VX_TRY(vx_json_flag(&token.right, node, "rstrip", false, name));
    VX_TRY(vx_json_flag(&token.alone, node, "single_word", false, name));
    VX_TRY(vx_json_flag(&special, node, "special", false, name));
    VX_TRY(vx_json_flag(&normal, node, "normalized", !special, name));
    /* The id that the model has for the same text counts, whatever is said here. */
    const int known = vx_vocab_word(&t->vocab, content);
    token.id = known >= 0 ? known : token.id;
    t->size = token.id >= t->size ? token.id + 1 : t->size;
    return content[0] ? put_token(t, content, normal, token, name) : VITX_OK;
}

static int read_added(vx_tokenizer *t, const vx_json *list, const char *name)
{
    if (list && !vx_json_is_array(list))
        return vx_fail_in(VITX_FORMAT, name, "added_tokens is no array");
    for (const vx_json *n = vx_json_first(list); n; n = vx_json_next(n))
        VX_TRY(read_added_token(t, n, name));
    return VITX_OK;
}

/* -------------------------------------------------------------------------- all ----------- */

typedef int part_reader(vx_tokenizer *t, const vx_json *node, const char *name);

static int read_part(vx_tokenizer *t, const vx_part *member, part_reader *read, const char *name)
{
    vx_json *tree;
    VX_TRY(vx_part_parse(&tree, member, name));
    const int status = tree ? read(t, tree, name) : VITX_OK;
    vx_json_free(tree);
    return status;
}

static int read_padding(vx_tokenizer *t, const vx_json *node, const char *name)
{
    const vx_json *const id = vx_json_get(node, "pad_id");
    return id ? read_id(&t->pad, id, name, "pad_id") : VITX_OK;
}

int vx_read_tokenizer_json(vx_tokenizer *t, const char *text, size_t bytes, const char *name)
{
    enum { VERSION, TRUNCATION, PADDING, ADDED, NORMALISER, CUTS, POST, DECODER, MODEL, ALL };
    vx_part m[ALL] = {
        {"version", NULL, 0},        {"truncation", NULL, 0}, {"padding", NULL, 0},
        {"added_tokens", NULL, 0},   {"normalizer", NULL, 0}, {"pre_tokenizer", NULL, 0},
        {"post_processor", NULL, 0}, {"decoder", NULL, 0},    {"model", NULL, 0}};
    VX_TRY(vx_parts_find(m, ALL, text, bytes, &t->hooks, name, "it"));
    if (!vx_part_given(&m[MODEL]))
        return vx_fail_in(VITX_FORMAT, name, "it has no model");
    VX_TRY(read_part(t, &m[PADDING], read_padding, name));
    VX_TRY(read_part(t, &m[NORMALISER], read_normaliser, name));
    VX_TRY(read_part(t, &m[CUTS], read_pretokeniser, name));
    VX_TRY(read_part(t, &m[POST], read_post, name));
    VX_TRY(vx_read_json_model(t, m[MODEL].text, m[MODEL].bytes, name));
    return read_part(t, &m[ADDED], read_added, name);
}
