/* text/json_model.c: the "model" of a tokenizer.json: vocabularies and merges, read without a
 * tree. */
#include <string.h>

#include "text/json_members.h"
#include "text/parts.h"

enum { MOST_ENTRIES = 1 << 22 }; /* words, or pairs */

static int crowded(const char *name, const char *what)
{
    return vx_fail_in(VITX_UNSUPPORTED, name, "more than %d %s", MOST_ENTRIES, what);
}

/* {"word": id, ...} */
static int read_vocab(vx_tokenizer *t, vx_pull *r, vx_buffer *word, const char *name)
{
    VX_TRY(vx_pull_open(r, '{'));
    for (bool more;;) {
        int id;
        VX_TRY(vx_pull_more(r, &more));
        if (!more)
            return vx_pull_end(r);
        VX_TRY(vx_pull_key(r, word));
        VX_TRY(vx_pull_int(r, &id));
        if (t->vocab.count == MOST_ENTRIES)
            return crowded(name, "words");
        VX_TRY(vx_vocab_add(&t->vocab, word->data, word->size, id, name));
    }
}

int vx_read_json_vocab(vx_tokenizer *t, const char *text, size_t bytes, const char *name)
{
    vx_pull r = vx_pull_over(text, bytes, name);
    vx_buffer word = {.hooks = &t->hooks};
    const int status = read_vocab(t, &r, &word, name);
    vx_buffer_dispose(&word);
    return status;
}

/* -------------------------------------------------------------------------- BPE ----------- */

/* ["a", "b"] or "a b": the two words. */
static int read_pair(vx_pull *r, vx_buffer *left, vx_buffer *right)
{
    if (vx_pull_peek(r) == '[') {
        bool more;
        VX_TRY(vx_pull_open(r, '['));
        VX_TRY(vx_pull_more(r, &more));
        VX_TRY(more ? vx_pull_string(r, left) : vx_pull_refuse(r, "a merge of no words"));
        VX_TRY(vx_pull_more(r, &more));
        VX_TRY(more ? vx_pull_string(r, right) : vx_pull_refuse(r, "a merge of one word"));
        VX_TRY(vx_pull_more(r, &more));
        return more ? vx_pull_refuse(r, "a merge of more than two words") : VITX_OK;
    }
    VX_TRY(vx_pull_string(r, left));
    const char *const blank = memchr(left->data, ' ', left->size);
    if (!blank || memchr(blank + 1, ' ', left->size - (size_t)(blank + 1 - left->data)))
        return vx_pull_refuse(r, "a merge that is not two words with a blank between");
    const size_t first = (size_t)(blank - left->data);
    right->size = 0;
    VX_TRY(vx_buffer_append(right, blank + 1, left->size - first - 1));
    left->size = first;
    return VITX_OK;
}

static int read_merges(vx_tokenizer *t, vx_pull *r, vx_buffer *left, vx_buffer *right)
{
    uint32_t rank = 0;
    VX_TRY(vx_pull_open(r, '['));
    for (bool more;;) {
        VX_TRY(vx_pull_more(r, &more));
        if (!more)
            return vx_pull_end(r);
        VX_TRY(read_pair(r, left, right));
        if (rank == MOST_ENTRIES)
            return crowded(r->name, "merges");
        VX_TRY(
            vx_bpe_add(&t->bpe, left->data, left->size, right->data, right->size, rank++, r->name));
    }
}

/* A short string that may be missing, null or empty. */
static int read_affix(char *out, size_t size, const vx_json *node, const char *name,
                      const char *what)
{
    const char *const text = vx_json_string(node);
    out[0] = '\0';
    if (!node || vx_json_is_null(node))
        return VITX_OK;
    if (!text)
        return vx_fail_in(VITX_FORMAT, name, "%s is no string", what);
    if (strlen(text) >= size)
        return vx_fail_in(VITX_UNSUPPORTED, name, "%s of %zu bytes, %zu at most", what,
                          strlen(text), size - 1);
    memcpy(out, text, strlen(text) + 1);
    return VITX_OK;
}

/* The id of the word for what is unknown; -1 where none is named. */
static int read_unknown(int *out, const vx_tokenizer *t, const vx_json *node, const char *name)
{
    const char *const word = vx_json_string(node);
    *out = word ? vx_vocab_word(&t->vocab, word) : -1;
    if (node && !word && !vx_json_is_null(node))
        return vx_fail_in(VITX_FORMAT, name, "unk_token is no string");
    if (word && *out < 0)
        return vx_fail_in(VITX_FORMAT, name, "unk_token \"%.60s\" is not in the vocabulary", word);
    return VITX_OK;
}

static int read_bpe_options(vx_tokenizer *t, const vx_json *options, const char *name)
{
    vx_bpe *const bpe = &t->bpe;
    double dropout = 0;
    const vx_json *const drop = vx_json_get(options, "dropout");
    if (drop && !vx_json_is_null(drop) && (!vx_json_number(drop, &dropout) || dropout != 0))
        return vx_fail_in(VITX_UNSUPPORTED, name, "a model with dropout %g is not done here",
                          dropout);
    VX_TRY(read_unknown(&bpe->unknown, t, vx_json_get(options, "unk_token"), name));
    VX_TRY(read_affix(bpe->prefix, sizeof bpe->prefix,
                      vx_json_get(options, "continuing_subword_prefix"), name,
                      "continuing_subword_prefix"));
    VX_TRY(read_affix(bpe->suffix, sizeof bpe->suffix, vx_json_get(options, "end_of_word_suffix"),
                      name, "end_of_word_suffix"));
    VX_TRY(vx_json_flag(&bpe->fuse_unknown, options, "fuse_unk", false, name));
    VX_TRY(vx_json_flag(&bpe->byte_fallback, options, "byte_fallback", false, name));
    return vx_json_flag(&bpe->ignore_merges, options, "ignore_merges", false, name);
}

static int read_bpe(vx_tokenizer *t, const vx_part *vocab, const vx_part *merges,
                    const vx_json *options, const char *name)
{
    t->kind = VX_BPE;
    VX_TRY(vx_read_json_vocab(t, vocab->text, vocab->bytes, name));
    VX_TRY(read_bpe_options(t, options, name));
    if (!vx_part_given(merges))
        return vx_fail_in(VITX_FORMAT, name, "the model BPE has no merges");
    vx_pull r = vx_pull_over(merges->text, merges->bytes, name);
    vx_buffer left = {.hooks = &t->hooks}, right = {.hooks = &t->hooks};
    const int status = read_merges(t, &r, &left, &right);
    vx_buffer_dispose(&left);
    vx_buffer_dispose(&right);
    return status;
}

/* -------------------------------------------------------------------------- WordPiece ----- */

static int read_wordpiece(vx_tokenizer *t, const vx_part *vocab, const vx_json *options,
                          const char *name)
{
    vx_wordpiece *const w = &t->wordpiece;
    const vx_json *const most = vx_json_get(options, "max_input_chars_per_word");
    uint64_t characters = 100;
    t->kind = VX_WORDPIECE;
    t->vocab.prefixes = true;
    VX_TRY(vx_read_json_vocab(t, vocab->text, vocab->bytes, name));
    VX_TRY(read_unknown(&w->unknown, t, vx_json_get(options, "unk_token"), name));
    if (w->unknown < 0)
        return vx_fail_in(VITX_FORMAT, name, "the model WordPiece has no unk_token");
    VX_TRY(read_affix(w->prefix, sizeof w->prefix,
                      vx_json_get(options, "continuing_subword_prefix"), name,
                      "continuing_subword_prefix"));
    if (most && (!vx_json_u64(most, &characters) || characters > 1000))
        return vx_fail_in(VITX_UNSUPPORTED, name, "max_input_chars_per_word above 1000");
    w->most = (size_t)characters;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- Unigram ------- */

/* Scores were single numbers once, which were written with all the digits of a double. Reading
 * gives the last bit wrong at times: what is that near to a single is one. */
static double exact(double value)
{
    const double single = (double)(float)value;
    const double off = value > single ? value - single : single - value;
    const double size = single < 0 ? -single : single;
    return off <= 1e-15 * size ? single : value;
}

static int put_score(vx_tokenizer *t, size_t *reserved, double score)
{
    const size_t at = t->vocab.count - 1;
    VX_TRY(vx_grow(&t->scores, reserved, &t->hooks, at, 1, sizeof *t->scores, "scores"));
    t->scores[at] = exact(score);
    return VITX_OK;
}

/* [["piece", score], ...], the ids are their places. */
static int read_pieces(vx_tokenizer *t, vx_pull *r, vx_buffer *word)
{
    size_t reserved = 0;
    VX_TRY(vx_pull_open(r, '['));
    for (bool more;;) {
        double score;
        VX_TRY(vx_pull_more(r, &more));
        if (!more)
            return vx_pull_end(r);
        VX_TRY(vx_pull_open(r, '['));
        VX_TRY(vx_pull_more(r, &more));
        VX_TRY(more ? vx_pull_string(r, word) : vx_pull_refuse(r, "a piece without text"));
        VX_TRY(vx_pull_more(r, &more));
        VX_TRY(more ? vx_pull_number(r, &score) : vx_pull_refuse(r, "a piece without a score"));
        VX_TRY(vx_pull_more(r, &more));
        if (more)
            return vx_pull_refuse(r, "a piece of more than text and score");
        if (t->vocab.count == MOST_ENTRIES)
            return crowded(r->name, "pieces");
        if (word->size > VX_UNIGRAM_BYTES)
            return vx_fail_in(VITX_UNSUPPORTED, r->name, "a piece of %zu bytes, %d at most",
                              word->size, VX_UNIGRAM_BYTES);
        VX_TRY(vx_vocab_add(&t->vocab, word->data, word->size, (int)t->vocab.count, r->name));
        VX_TRY(put_score(t, &reserved, score));
    }
}

static int read_unigram(vx_tokenizer *t, const vx_part *vocab, const vx_json *options,
                        const char *name)
{
    vx_unigram *const u = &t->unigram;
    vx_pull r = vx_pull_over(vocab->text, vocab->bytes, name);
    vx_buffer word = {.hooks = &t->hooks};
    t->kind = VX_UNIGRAM;
    t->vocab.prefixes = true;
    const int status = read_pieces(t, &r, &word);
    vx_buffer_dispose(&word);
    VX_TRY(status);
    VX_TRY(vx_json_flag(&u->byte_fallback, options, "byte_fallback", false, name));
    if (!vx_json_int(vx_json_get(options, "unk_id"), &u->unknown))
        return vx_fail_in(VITX_UNSUPPORTED, name, "a Unigram without unk_id is not done here");
    if (u->unknown < 0 || u->unknown >= t->vocab.size)
        return vx_fail_in(VITX_FORMAT, name, "unk_id %d is not in the vocabulary", u->unknown);
    double least = t->scores[0];
    for (int i = 1; i < t->vocab.size; i++)
        least = t->scores[i] < least ? t->scores[i] : least;
    u->unknown_score = least - 10;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- which --------- */

enum { TYPE, VOCAB, MERGES, UNK, UNK_ID, PREFIX, SUFFIX, FUSE, BYTES, IGNORE, DROPOUT, MOST, ALL };

/* Behind "{" and other members. */
static int append_member(vx_buffer *out, const vx_part *m)
{
    if (out->size > 1)
        VX_TRY(vx_buffer_append(out, ",", 1));
    VX_TRY(vx_buffer_append(out, "\"", 1));
    VX_TRY(vx_buffer_append(out, m->key, strlen(m->key)));
    VX_TRY(vx_buffer_append(out, "\":", 2));
    return vx_buffer_append(out, m->text, m->bytes);
}

/* Everything but the vocabulary and the merges, as one tree. */
static int read_options(vx_json **out, const vx_part *m, const vitx_hooks *hooks, const char *name)
{
    vx_buffer text = {.hooks = hooks};
    int status = vx_buffer_append(&text, "{", 1);
    for (int i = 0; i < ALL && status == VITX_OK; i++) {
        if (i == VOCAB || i == MERGES || !m[i].text)
            continue;
        if (m[i].bytes > 4096) {
            status = vx_fail_in(VITX_UNSUPPORTED, name, "the model's \"%s\" of %zu bytes", m[i].key,
                                m[i].bytes);
            break;
        }
        status = append_member(&text, &m[i]);
    }
    if (status == VITX_OK)
        status = vx_buffer_append(&text, "}", 1);
    if (status == VITX_OK)
        status = vx_json_parse(out, text.data, text.size, name, 1000);
    vx_buffer_dispose(&text);
    return status;
}

/* Older files do not say the type: what is there tells. */
static const char *type_of(const vx_json *options, const vx_part *m)
{
    const char *const type = vx_json_string(vx_json_get(options, "type"));
    if (type || m[TYPE].text)
        return type ? type : "";
    return m[MERGES].text ? "BPE" : m[UNK_ID].text ? "Unigram" : "WordPiece";
}

/* Members of other models than this one. */
static int refuse_others(const vx_part *m, const char *type, const char *name)
{
    static const struct {
        const char *type;
        bool has[ALL];
    } models[] = {
        {"BPE",
         {[MERGES] = true,
          [UNK] = true,
          [PREFIX] = true,
          [SUFFIX] = true,
          [FUSE] = true,
          [BYTES] = true,
          [IGNORE] = true,
          [DROPOUT] = true}},
        {"Unigram", {[UNK_ID] = true, [BYTES] = true}},
        {"WordPiece", {[UNK] = true, [PREFIX] = true, [MOST] = true}},
    };
    for (size_t k = 0; k < sizeof models / sizeof models[0]; k++) {
        if (strcmp(type, models[k].type) != 0)
            continue;
        for (int i = UNK < MERGES ? UNK : MERGES; i < ALL; i++)
            if (m[i].text && !models[k].has[i])
                return vx_fail_in(VITX_UNSUPPORTED, name,
                                  "the model %s has \"%s\", which is not done here", type,
                                  m[i].key);
        return VITX_OK;
    }
    return vx_fail_in(VITX_UNSUPPORTED, name, "the model \"%.60s\" is not done here", type);
}

int vx_read_json_model(vx_tokenizer *t, const char *text, size_t bytes, const char *name)
{
    vx_part m[ALL] = {[TYPE] = {"type", NULL, 0},
                      [VOCAB] = {"vocab", NULL, 0},
                      [MERGES] = {"merges", NULL, 0},
                      [UNK] = {"unk_token", NULL, 0},
                      [UNK_ID] = {"unk_id", NULL, 0},
                      [PREFIX] = {"continuing_subword_prefix", NULL, 0},
                      [SUFFIX] = {"end_of_word_suffix", NULL, 0},
                      [FUSE] = {"fuse_unk", NULL, 0},
                      [BYTES] = {"byte_fallback", NULL, 0},
                      [IGNORE] = {"ignore_merges", NULL, 0},
                      [DROPOUT] = {"dropout", NULL, 0},
                      [MOST] = {"max_input_chars_per_word", NULL, 0}};
    vx_json *options = NULL;
    VX_TRY(vx_parts_find(m, ALL, text, bytes, &t->hooks, name, "the model"));
    if (!vx_part_given(&m[VOCAB]))
        return vx_fail_in(VITX_FORMAT, name, "the model has no vocab");
    VX_TRY(read_options(&options, m, &t->hooks, name));
    const char *const type = type_of(options, m);
    int status = refuse_others(m, type, name);
    if (status == VITX_OK && strcmp(type, "BPE") == 0)
        status = read_bpe(t, &m[VOCAB], &m[MERGES], options, name);
    else if (status == VITX_OK && strcmp(type, "Unigram") == 0)
        status = read_unigram(t, &m[VOCAB], options, name);
    else if (status == VITX_OK)
        status = read_wordpiece(t, &m[VOCAB], options, name);
    vx_json_free(options);
    return status;
}
