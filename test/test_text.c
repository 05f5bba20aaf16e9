/* test_text.c: tokenizers: what transformers and sentencepiece make of the same texts, what is
 * refused, and what hostile files and texts cost. VX_TEST_THREADS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vitx/vitx.h>

#include "text/chars.h"
#include "text/pull.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "util.h"

static const char *const forms[] = {"clip", "clip_files",    "bert",      "bert_json", "unigram",
                                    "xlmr", "unigram_bytes", "bpe_bytes", "gemma",     "bpe"};
enum { FORMS = sizeof forms / sizeof forms[0] };

static vx_tokenizer *open_form(const char *form, vx_clean clean)
{
    char name[64];
    vx_tokenizer *t;
    snprintf(name, sizeof name, "text/%s", form);
    ck_ok(vx_tokenizer_open(&t, golden_path(name), clean));
    return t;
}

/* The texts of `cases` and their tokens, see tools/golden/make_text.py. */
typedef struct reader {
    unsigned char *data;
    size_t bytes, at;
} reader;

static uint32_t next_word(reader *r)
{
    const unsigned char *const p = r->data + r->at;
    ck_assert(r->at + 4 <= r->bytes);
    r->at += 4;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static reader open_cases(const char *form)
{
    char name[64];
    reader r = {0};
    snprintf(name, sizeof name, "text/%s/cases", form);
    r.data = read_file(golden_path(name), &r.bytes);
    return r;
}

static const char *next_text(reader *r, size_t *bytes)
{
    *bytes = next_word(r);
    const char *const text = (const char *)r->data + r->at;
    r->at += *bytes;
    ck_assert(r->at <= r->bytes);
    return text;
}

static void check_token(const char *form, const char *text, size_t bytes, int i, vx_token t, int id,
                        uint32_t start, uint32_t end)
{
    const bool nowhere = start == end && t.start == t.end; /* added, or stands for nothing */
    const bool placed = start == UINT32_MAX || nowhere || (t.start == start && t.end == end);
    ck_assert_msg(t.id == id && placed, "%s, \"%.*s\": token %d is %d at %u..%u, not %d at %u..%u",
                  form, (int)bytes, text, i, t.id, t.start, t.end, id, start, end);
    ck_assert(t.start <= t.end && t.end <= bytes);
}

START_TEST(test_text__gives_the_tokens_of_others)
{
    const char *const form = forms[_i];
    vx_tokenizer *const tokenizer = open_form(form, VX_CLEAN_NONE);
    reader r = open_cases(form);
    vx_tokens tokens = {0};
    int texts = 0;
    for (; r.at < r.bytes; texts++) {
        size_t bytes;
        const char *const text = next_text(&r, &bytes);
        const uint32_t count = next_word(&r);
        tokens.count = 0;
        ck_ok(vx_tokenizer_encode(&tokens, tokenizer, text, bytes, 0, NULL));
        ck_assert_msg(tokens.count == (int)count, "%s, \"%.*s\": %d tokens, not %u", form,
                      (int)bytes, text, tokens.count, count);
        for (int i = 0; i < tokens.count; i++) {
            const int id = (int)next_word(&r);
            const uint32_t start = next_word(&r), end = next_word(&r);
            check_token(form, text, bytes, i, tokens.at[i], id, start, end);
            ck_assert_int_lt(id, vx_tokenizer_size(tokenizer));
        }
    }
    ck_assert_int_ge(texts, 40);
    ck_assert_ptr_nonnull(strstr(vx_tokenizer_about(tokenizer), " ids)"));
    vx_tokens_free(&tokens);
    vx_tokenizer_free(tokenizer);
    free(r.data);
}
END_TEST

/* -------------------------------------------------------------------------- places -------- */

/* The place of token i, the added one before the text not counted. */
static void check_place(const vx_tokenizer *t, const char *text, int first, int last,
                        uint32_t start, uint32_t end)
{
    vx_tokens tokens = {0};
    ck_ok(vx_tokenizer_encode(&tokens, t, text, strlen(text), 0, NULL));
    ck_assert_int_lt(last + 1, tokens.count);
    ck_assert_uint_eq(tokens.at[first + 1].start, start);
    ck_assert_uint_eq(tokens.at[last + 1].end, end);
    vx_tokens_free(&tokens);
}

START_TEST(test_text__places_are_whole_letters)
{
    vx_tokenizer *clip = open_form("clip", VX_CLEAN_NONE);
    vx_tokenizer *bert = open_form("bert", VX_CLEAN_NONE);
    vx_tokenizer *cleaned = open_form("clip", VX_CLEAN_CANONICALIZE);
    check_place(clip, "cafe\xcc\x81 x", 0, 0, 0, 6); /* the accent is joined to the e */
    check_place(bert, "cafe\xcc\x81 x", 0, 0, 0, 6); /* and goes away here */
    check_place(bert, "\xe7\x8c\xab\xe7\x9a\x84", 1, 1, 3, 6);
    check_place(cleaned, "  A__photo!!  of", 0, 0, 2, 3);
    check_place(cleaned, "  A__photo!!  of", 1, 1, 5, 10);
    check_place(cleaned, "  A__photo!!  of", 2, 2, 14, 16);
    vx_tokenizer_free(clip);
    vx_tokenizer_free(bert);
    vx_tokenizer_free(cleaned);
}
END_TEST

/* -------------------------------------------------------------------------- cleaning ------ */

static void same_tokens(const vx_tokenizer *a, const char *text_a, size_t bytes_a,
                        const vx_tokenizer *b, const char *text_b, size_t bytes_b)
{
    vx_tokens x = {0}, y = {0};
    ck_ok(vx_tokenizer_encode(&x, a, text_a, bytes_a, 0, NULL));
    ck_ok(vx_tokenizer_encode(&y, b, text_b, bytes_b, 0, NULL));
    ck_assert_int_eq(x.count, y.count);
    for (int i = 0; i < x.count; i++)
        ck_assert_msg(x.at[i].id == y.at[i].id, "\"%s\" and \"%s\": token %d", text_a, text_b, i);
    vx_tokens_free(&x);
    vx_tokens_free(&y);
}

static const struct {
    vx_clean clean;
    const char *text, *as;
} cleaned[] = {
    {VX_CLEAN_LOWER, " A\t Photo\n", "a photo"},
    {VX_CLEAN_WHITESPACE, " A\t Photo\n", "A Photo"},
    {VX_CLEAN_CANONICALIZE, "Traffic_Light, it's!", "traffic light its"},
    {VX_CLEAN_SIGLIP, "Traffic_Light, it's!", "trafficlight its"},
    {VX_CLEAN_SIGLIP, "...", ""},
    {VX_CLEAN_SIGLIP2, "A  Photo!<eos>", "a  photo!<eos>"},
    {VX_CLEAN_SIGLIP2, "\xc4\xb0", "i\xcc\x87"},
    /* A capital sigma that ends a word. */
    {VX_CLEAN_LOWER, "\xce\xa3\xce\x91\xce\xa3", "\xcf\x83\xce\xb1\xcf\x82"},
};

START_TEST(test_text__cleans)
{
    vx_tokenizer *const plain = open_form("gemma", VX_CLEAN_NONE);
    vx_tokenizer *const t = open_form("gemma", cleaned[_i].clean);
    same_tokens(t, cleaned[_i].text, strlen(cleaned[_i].text), plain, cleaned[_i].as,
                strlen(cleaned[_i].as));
    vx_tokenizer_free(t);
    vx_tokenizer_free(plain);
}
END_TEST

START_TEST(test_text__bytes_that_are_no_utf8_count_one_each)
{
    static const char broken[] = "a\xff\xc3(\xe4\xb8 \xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf\xe4";
    static const char r[] = "\xef\xbf\xbd";
    char as[100] = "";
    size_t used = 0;
    for (const char *p = broken; *p; p++) {
        const bool whole = (unsigned char)*p < 0x80;
        memcpy(as + used, whole ? p : r, whole ? 1 : 3);
        used += whole ? 1 : 3;
    }
    for (int i = 0; i < FORMS; i++) {
        vx_tokenizer *const t = open_form(forms[i], VX_CLEAN_NONE);
        same_tokens(t, broken, strlen(broken), t, as, strlen(as));
        vx_tokenizer_free(t);
    }
}
END_TEST

/* -------------------------------------------------------------------------- limits -------- */

START_TEST(test_text__cuts_the_tail)
{
    static const char text[] = "a photo of a cat and a dog at night over the water";
    vx_tokenizer *const t = open_form(forms[_i], VX_CLEAN_NONE);
    vx_tokens all = {0}, some = {0};
    bool cut = true;
    ck_ok(vx_tokenizer_encode(&all, t, text, strlen(text), 0, &cut));
    ck_assert(!cut && all.count > 12);
    ck_ok(vx_tokenizer_encode(&some, t, text, strlen(text), all.count, &cut));
    ck_assert(!cut && some.count == all.count);
    some.count = 3; /* what is there stays */
    ck_ok(vx_tokenizer_encode(&some, t, text, strlen(text), 8, &cut));
    ck_assert(cut && some.count == 11);
    ck_assert_int_eq(some.at[10].id, vx_tokenizer_end(t));
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(some.at[3 + i].id, all.at[i].id);
    ck_fails(vx_tokenizer_encode(&some, t, text, strlen(text), -1, NULL), VITX_INVALID, "-1");
    if (all.at[0].start == all.at[0].end)
        ck_fails(vx_tokenizer_encode(&some, t, text, strlen(text), 1, NULL), VITX_INVALID,
                 "always added");
    ck_assert_int_eq(some.count, 11);
    vx_tokens_free(&all);
    vx_tokens_free(&some);
    vx_tokenizer_free(t);
}
END_TEST

START_TEST(test_text__says_what_it_is)
{
    vx_tokenizer *const clip = open_form("clip_files", VX_CLEAN_NONE);
    vx_tokenizer *const bert = open_form("bert", VX_CLEAN_NONE);
    vx_tokenizer *const gemma = open_form("bpe_bytes", VX_CLEAN_NONE);
    ck_assert_int_eq(vx_tokenizer_end(clip), vx_tokenizer_size(clip) - 1);
    ck_assert_int_eq(vx_tokenizer_pad(clip), vx_tokenizer_end(clip));
    ck_assert_int_eq(vx_tokenizer_id(clip, "<|startoftext|>"), vx_tokenizer_size(clip) - 2);
    ck_assert_int_eq(vx_tokenizer_id(clip, "no such word"), -1);
    ck_assert_int_eq(vx_tokenizer_pad(bert), 0);
    ck_assert_int_eq(vx_tokenizer_end(bert), 3);
    ck_assert_int_eq(vx_tokenizer_pad(gemma), 0);
    ck_assert_int_eq(vx_tokenizer_end(gemma), 1);
    ck_assert_ptr_eq(strstr(vx_tokenizer_about(clip), "vocab.json (BPE, "),
                     vx_tokenizer_about(clip));
    ck_fails(vx_tokenizer_open((vx_tokenizer *[1]){0}, golden_path("text"), VX_CLEAN_NONE), VITX_IO,
             "no tokenizer lies there");
    vx_tokenizer_free(clip);
    vx_tokenizer_free(bert);
    vx_tokenizer_free(gemma);
    vx_tokenizer_free(NULL);
}
END_TEST

/* -------------------------------------------------------------------------- refused ------- */

static int open_json(const char *text, vx_tokenizer **out)
{
    const vitx_memory_file file = {"tokenizer.json", text, strlen(text)};
    return vx_tokenizer_open_in(out, (vx_shelf){&file, 1}, "m", VX_CLEAN_NONE, NULL);
}

#define BPE_MODEL                                                                                  \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static const struct {
    int code;
    const char *text, *part;
} refusals[] = {
    {VITX_FORMAT, "", "an object was expected"},
    {VITX_FORMAT, "[]", "an object was expected"},
    {VITX_FORMAT, "{}", "it has no model"},
    {VITX_FORMAT, "{\"model\":null}", "it has no model"},
    {VITX_FORMAT, "{" BPE_MODEL "," BPE_MODEL "}", "\"model\" twice"},
    {VITX_FORMAT, "{" BPE_MODEL "} x", "after the end"},
    {VITX_FORMAT, "{" BPE_MODEL "]", "wrong"},
    {VITX_UNSUPPORTED, "{" BPE_MODEL ",\"speed\":1}", "\"speed\""},
    {VITX_UNSUPPORTED, "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}", "WordLevel"},
    {VITX_UNSUPPORTED,
     "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.5}}",
     "dropout 0.5"},
    {VITX_UNSUPPORTED,
     "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_id\":0}}", "unk_id"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}",
     "\"a\" occurs twice"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
     "two words have the id 0"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1000000000},\"merges\":[]}}",
     "1000000000"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "-1"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.5},\"merges\":[]}}",
     "whole number"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "is empty"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
     "\"a\" \"b\" is not in"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"ab\"]}}",
     "not two words"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}",
     "one word"},
    {VITX_FORMAT,
     "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"x\"}}",
     "\"x\" is not in"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", "unk_token"},
    {VITX_UNSUPPORTED, "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}",
     "without unk_id"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":7}}",
     "unk_id 7"},
    {VITX_FORMAT, "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]],\"unk_id\":0}}",
     "without a score"},
    {VITX_UNSUPPORTED, "{" BPE_MODEL ",\"normalizer\":{\"type\":\"NFKC\"}}", "\"NFKC\""},
    {VITX_UNSUPPORTED, "{" BPE_MODEL ",\"normalizer\":{\"type\":\"Lowercase\",\"x\":1}}", "\"x\""},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL
     ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[a-z]\"},\"content\":\"\"}}",
     "[a-z]"},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL
     ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}}",
     "pattern"},
    {VITX_FORMAT,
     "{" BPE_MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}}",
     "base64"},
    {VITX_FORMAT,
     "{" BPE_MODEL
     ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////////////w==\"}}",
     "replacements"},
    {VITX_UNSUPPORTED, "{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Digits\"}}", "\"Digits\""},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},"
     "\"behavior\":\"Removed\"}}",
     "\"x+\""},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" "
     "\"},\"behavior\":\"Isolated\"}}",
     "\"Isolated\""},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_"
     "scheme\":\"last\"}}",
     "\"last\""},
    {VITX_FORMAT,
     "{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\"}}",
     "one character"},
    {VITX_UNSUPPORTED, "{" BPE_MODEL ",\"post_processor\":{\"type\":\"Shrink\"}}", "\"Shrink\""},
    {VITX_FORMAT,
     "{" BPE_MODEL
     ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\"]}}",
     "pair"},
    {VITX_FORMAT,
     "{" BPE_MODEL ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],\"sep\":["
     "\"b\",99999999]}}",
     "no id"},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL
     ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],\"special_tokens\":{}}}",
     "0 times A"},
    {VITX_FORMAT,
     "{" BPE_MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
     "\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{}}}",
     "\"x\" has no ids"},
    {VITX_FORMAT, "{" BPE_MODEL ",\"added_tokens\":[{\"id\":5}]}", "without content"},
    {VITX_FORMAT, "{" BPE_MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"x\",\"special\":1}]}",
     "neither true nor false"},
    {VITX_UNSUPPORTED,
     "{" BPE_MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"x\",\"magic\":true}]}", "\"magic\""},
    {VITX_FORMAT, "{" BPE_MODEL ",\"padding\":{\"pad_id\":-3}}", "pad_id"},
};

START_TEST(test_text__refuses_by_name)
{
    vx_tokenizer *t = (vx_tokenizer *)refusals;
    ck_fails(open_json(refusals[_i].text, &t), refusals[_i].code, refusals[_i].part);
    ck_assert_ptr_null(t);
    ck_assert_ptr_nonnull(strstr(vitx_last_error(), "tokenizer.json"));
}
END_TEST

START_TEST(test_text__heeds_the_configuration)
{
    static const char json[] = "{" BPE_MODEL "}";
    static const struct {
        const char *config;
        int count, first, last, pad;
    } configs[] = {
        {"{\"pad_token\":\"b\"}", 1, 2, 2, 1},
        {"{\"pad_token\":{\"content\":\"a\"},\"add_eos_token\":true,\"eos_token\":\"b\"}", 2, 2, 1,
         0},
        {"{\"add_bos_token\":true,\"bos_token\":{\"content\":\"a\"},\"add_eos_token\":false}", 2, 0,
         2, -1},
    };
    vx_tokenizer *t;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        const vitx_memory_file files[] = {
            {"tokenizer.json", json, sizeof json - 1},
            {"tokenizer_config.json", configs[i].config, strlen(configs[i].config)}};
        vx_tokens tokens = {0};
        ck_ok(vx_tokenizer_open_in(&t, (vx_shelf){files, 2}, "m", VX_CLEAN_NONE, NULL));
        ck_ok(vx_tokenizer_encode(&tokens, t, "ab", 2, 0, NULL));
        ck_assert_int_eq(tokens.count, configs[i].count);
        ck_assert_int_eq(tokens.at[0].id, configs[i].first);
        ck_assert_int_eq(tokens.at[tokens.count - 1].id, configs[i].last);
        ck_assert_int_eq(vx_tokenizer_pad(t), configs[i].pad);
        vx_tokens_free(&tokens);
        vx_tokenizer_free(t);
    }
    const vitx_memory_file lacks[] = {{"tokenizer.json", json, sizeof json - 1},
                                      {"tokenizer_config.json", "{\"add_eos_token\":true}", 22}};
    ck_fails(vx_tokenizer_open_in(&t, (vx_shelf){lacks, 2}, "m", VX_CLEAN_NONE, NULL), VITX_FORMAT,
             "names no eos_token");
}
END_TEST

START_TEST(test_text__reads_the_parts_alone)
{
    static const struct {
        const char *json, *text;
        int count, ids[6];
    } parts[] = {
        /* Of ways that are as good the first that is found. */
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"u\",0],[\"a\",-1],[\"b\",-1],"
         "[\"ab\",-2]],\"unk_id\":0}}",
         "ab",
         1,
         {3}},
        {"{" BPE_MODEL "}",
         "ab b",
         2,
         {2, 1}}, /* what is unknown goes where nothing stands for it */
        {"{" BPE_MODEL ",\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"a\"}}", "b", 1, {2}},
        {"{" BPE_MODEL ",\"normalizer\":{\"type\":\"Strip\"}}", " ab ", 1, {2}},
        {"{" BPE_MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
         "{\"type\":\"StripAccents\"}]}}",
         "\xc3\xa1"
         "b",
         1,
         {2}},
        {"{" BPE_MODEL ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" "
         "{2,}\"},\"content\":\"ab\"}}",
         "a   b",
         3,
         {0, 2, 1}},
        {"{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Whitespace\"}}", "a!b ab", 3, {0, 1, 2}},
        {"{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}}", "a b", 2, {0, 1}},
        {"{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_"
         "scheme\":\"first\"}}",
         "b b",
         2,
         {2, 2}},
        {"{" BPE_MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"add_"
         "prefix_space\":false}}",
         "b b",
         2,
         {1, 2}},
        {"{" BPE_MODEL ",\"added_tokens\":[{\"id\":9,\"content\":\"ab\",\"special\":true}]}",
         "ab",
         1,
         {2}},
        {"{" BPE_MODEL ",\"added_tokens\":[{\"id\":9,\"content\":\"xy\",\"special\":true},{\"id\":"
         "8,\"content\":\"xyb\"}]}",
         "axybxy",
         4,
         {0, 9, 1, 9}},
        {"{" BPE_MODEL
         ",\"added_tokens\":[{\"id\":9,\"content\":\"xy\",\"special\":true,\"single_word\":true}]}",
         "axy xy",
         2,
         {0, 9}},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"##b\":1,\"ab\":2},\"merges\":[[\"a\","
         "\"##b\"]],\"continuing_subword_prefix\":\"##\"}}",
         "ab",
         1,
         {2}},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"u\":3},\"merges\":[],"
         "\"ignore_merges\":true,\"unk_token\":\"u\"}}",
         "ab",
         1,
         {2}},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"u\":3},\"merges\":[],\"unk_token\":"
         "\"u\",\"fuse_unk\":true}}",
         "xxa",
         2,
         {3, 0}},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"u\":3},\"merges\":[],\"unk_token\":"
         "\"u\"}}",
         "xxa",
         3,
         {3, 3, 0}},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\\u0000\":3},\"merges\":[]}}",
         "a",
         1,
         {0}},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0,\"##b\":1,\"u\":2},\"unk_token\":"
         "\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":3}}",
         "abb",
         3,
         {0, 1, 1}},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0,\"##b\":1,\"u\":2},\"unk_token\":"
         "\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":3}}",
         "abbb",
         1,
         {2}},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"u\",0],[\"a\",-1],[\"b\",-1],[\"ab\",-2.5]"
         "],\"unk_id\":0}}",
         "abxx",
         3,
         {1, 2, 0}},
        {"{" BPE_MODEL
         ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},{"
         "\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"c\"}},{"
         "\"SpecialToken\":{\"id\":\"d\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{"
         "\"c\":{\"ids\":[4,5]},\"d\":{\"ids\":[6]}}}]}}",
         "ab",
         4,
         {4, 5, 6, 2}},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        vx_tokenizer *t;
        vx_tokens tokens = {0};
        ck_ok(open_json(parts[i].json, &t));
        ck_ok(vx_tokenizer_encode(&tokens, t, parts[i].text, strlen(parts[i].text), 0, NULL));
        ck_assert_msg(tokens.count == parts[i].count, "part %zu: %d tokens", i, tokens.count);
        for (int k = 0; k < tokens.count; k++)
            ck_assert_msg(tokens.at[k].id == parts[i].ids[k], "part %zu: token %d is %d", i, k,
                          tokens.at[k].id);
        vx_tokens_free(&tokens);
        vx_tokenizer_free(t);
    }
}
END_TEST

/* -------------------------------------------------------------------------- hostile ------- */

/* A file of a form, as it is or changed: opened, and used if that can be done. */
static bool try_file(const char *name, const void *data, size_t bytes, const char *merges,
                     size_t merges_bytes)
{
    const vitx_memory_file files[] = {{name, data, bytes}, {"merges.txt", merges, merges_bytes}};
    static const char text[] = "a photo <mask> caf\xc3\xa9 \xe7\x8c\xab 12! \xe2\x96\x81";
    vx_tokenizer *t;
    const int status = vx_tokenizer_open_in(&t, (vx_shelf){files, 2}, "m", VX_CLEAN_SIGLIP2, NULL);
    if (status != VITX_OK) {
        ck_assert(status == VITX_FORMAT || status == VITX_UNSUPPORTED || status == VITX_IO);
        ck_assert(strlen(vitx_last_error()) > 0);
        return false;
    }
    vx_tokens tokens = {0};
    ck_ok(vx_tokenizer_encode(&tokens, t, text, strlen(text), 77, NULL));
    for (int i = 0; i < tokens.count; i++)
        ck_assert(tokens.at[i].id >= 0 && tokens.at[i].id < vx_tokenizer_size(t) &&
                  tokens.at[i].end <= strlen(text));
    vx_tokens_free(&tokens);
    vx_tokenizer_free(t);
    return true;
}

static const struct {
    const char *form, *file;
} damaged[] = {{"clip", "tokenizer.json"},
               {"clip_files", "vocab.json"},
               {"bert", "vocab.txt"},
               {"bert_json", "tokenizer.json"},
               {"unigram", "spiece.model"},
               {"xlmr", "tokenizer.json"},
               {"bpe_bytes", "spiece.model"},
               {"gemma", "tokenizer.json"},
               {"unigram", "sentencepiece.bpe.model"},
               {"unigram", "sentencepiece.model"}};

START_TEST(test_text__survives_damage)
{
    char name[96];
    size_t bytes, merges_bytes;
    const char *const file = damaged[_i].file;
    snprintf(name, sizeof name, "text/%s/%s", damaged[_i].form,
             strncmp(file, "sentencepiece.", 14) == 0 ? "spiece.model" : file);
    char *const data = read_file(golden_path(name), &bytes);
    char *const merges = read_file(golden_path("text/clip_files/merges.txt"), &merges_bytes);
    rng r = {(uint64_t)_i + 1};
    int refused = 0;
    ck_assert(try_file(file, data, bytes, merges, merges_bytes));
    for (int k = 0; k < (SANITIZED ? 60 : 200); k++) {
        const size_t at = (size_t)rng_next(&r) % bytes;
        char *const cut = malloc(at + 1); /* exact, so that a byte too much is seen */
        memcpy(cut, data, at);
        refused += !try_file(file, cut, at, merges, merges_bytes);
        free(cut);
        const char was = data[at];
        data[at] = (char)rng_next(&r);
        refused += !try_file(file, data, bytes, merges, merges_bytes);
        data[at] = was;
    }
    ck_assert_int_gt(refused, 5);
    free(data);
    free(merges);
}
END_TEST

/* A piece for unknown text and another one: XLM-R's number of the first, 3, is beyond them. */
START_TEST(test_text__few_pieces_are_not_those_of_xlm_r)
{
    static const char model[] = "\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02"
                                "\n\x0a\n\x01"
                                "a\x15\0\0\xa0\xc0\x18\x01\x12\x02\x18\x01";
    const vitx_memory_file file = {"sentencepiece.bpe.model", model, sizeof model - 1};
    vx_tokenizer *t;
    ck_fails(vx_tokenizer_open_in(&t, (vx_shelf){&file, 1}, "m", VX_CLEAN_SIGLIP2, NULL),
             VITX_FORMAT, "2 pieces");
}
END_TEST

/* So deep and so long that a walk by recursion, or in quadratic time, would not end well. */
START_TEST(test_text__is_not_led_astray)
{
    enum { DEEP = 100000 };
    vx_tokenizer *t;
    char *const text = malloc(DEEP + 100);
    int n = sprintf(text, "{\"decoder\":");
    memset(text + n, '[', DEEP);
    text[n + DEEP] = '\0';
    ck_fails(open_json(text, &t), VITX_FORMAT, "64 deep");
    free(text);
}
END_TEST

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static const char *const words[] = {"a",
                                    "ab",
                                    "aA",
                                    "\xcc\x81\xcc\xa3",
                                    "\xe7\x8c\xab",
                                    "!",
                                    " ",
                                    "\xe2\x96\x81",
                                    "\xff",
                                    "\xce\xa3'",
                                    "ah",
                                    "a ",
                                    "",
                                    "\xf0\x9f\x99\x82",
                                    "\xe2\x80\xae",
                                    "<mask>"};

/* One long word, in each form: linear time (and a little), bounded memory. */
START_TEST(test_text__long_words_take_no_quadratic_time)
{
    const size_t bytes = SANITIZED ? (size_t)10000 : (size_t)1 << 16;
    char *const text = malloc(bytes);
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        const size_t n = strlen(words[w]) ? strlen(words[w]) : 1;
        for (size_t i = 0; i < bytes; i++)
            text[i] = words[w][i % n];
        vx_tokenizer *const t = open_form(forms[_i], w % 2 ? VX_CLEAN_LOWER : VX_CLEAN_NONE);
        vx_tokens tokens = {0};
        bool cut;
        const double start = seconds();
        ck_ok(vx_tokenizer_encode(&tokens, t, text, bytes, 0, &cut));
        ck_ok(vx_tokenizer_encode(&tokens, t, text, bytes, 64, &cut));
        ck_assert_msg(seconds() - start < 10, "%s: \"%s\" again and again took %.1f s", forms[_i],
                      words[w], seconds() - start);
        vx_tokens_free(&tokens);
        vx_tokenizer_free(t);
    }
    free(text);
}
END_TEST

START_TEST(test_text__has_a_largest_text)
{
    const size_t bytes = ((size_t)16 << 20) + 1;
    char *const text = calloc(bytes, 1);
    vx_tokenizer *const t = open_form("bert", VX_CLEAN_NONE);
    vx_tokens tokens = {0};
    ck_fails(vx_tokenizer_encode(&tokens, t, text, bytes, 0, NULL), VITX_INVALID, "16 MiB");
    ck_ok(vx_tokenizer_encode(&tokens, t, text, bytes - 1, 0, NULL));
    ck_assert_int_eq(tokens.count, 2); /* zero bytes go */
    vx_tokens_free(&tokens);
    vx_tokenizer_free(t);
    free(text);
}
END_TEST

START_TEST(test_text__gives_memory_back_when_it_runs_out)
{
    static const char text[] =
        "A photo of a dog, it's caf\xc3\xa9 e\xcc\x81 \xe7\x8c\xab <mask> of the";
    char name[64];
    int k = 0, status = VITX_NOMEM;
    snprintf(name, sizeof name, "text/%s", forms[_i]);
    for (; status != VITX_OK; k++) {
        ration left = {k, 0, 0};
        const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &left};
        vx_tokenizer *t;
        vx_tokens tokens = {0};
        status = vx_tokenizer_open_in(&t, (vx_shelf){NULL, 0}, golden_path(name),
                                      VX_CLEAN_CANONICALIZE, &hooks);
        if (status == VITX_OK) {
            status = vx_tokenizer_encode(&tokens, t, text, strlen(text), 0, NULL);
            ck_assert(status == VITX_OK || tokens.count == 0);
            vx_tokenizer_free(t);
        }
        vx_tokens_free(&tokens);
        ck_assert_int_eq(left.live, 0);
        ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "%s after %d allocations: %s",
                      forms[_i], k, vitx_last_error());
    }
    ck_assert_int_gt(k, 15);
}
END_TEST

/* -------------------------------------------------------------------------- threads ------- */

static void *encode_all(void *shared)
{
    const vx_tokenizer *const t = shared;
    static const char text[] = "a photo of a cat and it's 12:30 in \xe7\x8c\xab";
    vx_tokens tokens = {0};
    long sum = 0;
    for (int i = 0; i < 200; i++) {
        tokens.count = 0;
        if (vx_tokenizer_encode(&tokens, t, text, strlen(text), 0, NULL) != VITX_OK)
            return NULL;
        for (int k = 0; k < tokens.count; k++)
            sum += tokens.at[k].id * (k + 1);
    }
    vx_tokens_free(&tokens);
    return (void *)(sum + 1);
}

START_TEST(test_text__many_threads_share_one)
{
    vx_tokenizer *const t = open_form(forms[_i], VX_CLEAN_LOWER);
    void *const alone = encode_all(t), *sums[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, encode_all, t), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &sums[i]);
    for (int i = 0; i < 4; i++)
        ck_assert(alone && sums[i] == alone);
    vx_tokenizer_free(t);
}
END_TEST

/* -------------------------------------------------------------------------- Unicode ------- */

static void check_form(int (*form)(vx_chars *, const vx_char *, size_t), const char *text,
                       const char *as)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    vx_chars in = {.hooks = &hooks}, out = {.hooks = &hooks};
    vx_buffer bytes = {.hooks = &hooks};
    ck_ok(vx_chars_decode(&in, text, strlen(text)));
    ck_ok(form(&out, in.at, in.count));
    ck_ok(vx_chars_encode(&bytes, out.at, out.count));
    ck_ok(vx_buffer_append(&bytes, "", 0));
    ck_assert_str_eq(bytes.data, as);
    vx_chars_dispose(&in);
    vx_chars_dispose(&out);
    vx_buffer_dispose(&bytes);
}

START_TEST(test_text__composes_and_decomposes)
{
    check_form(vx_nfc, "e\xcc\x81", "\xc3\xa9");
    check_form(vx_nfc, "e\xcc\xa7\xcc\x81", "\xc8\xa9\xcc\x81");
    check_form(vx_nfc, "e\xcc\x81\xcc\xa7", "\xc8\xa9\xcc\x81"); /* ordered first */
    check_form(vx_nfc, "x\xcc\x87\xcc\xa3", "\xe1\xba\x8b\xcc\xa3");
    check_form(vx_nfc, "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"); /* Hangul */
    check_form(vx_nfc, "\xe2\x84\xab", "\xc3\x85");                             /* Angstrom */
    check_form(vx_nfc, "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"); /* is never composed */
    check_form(vx_nfd, "\xc7\xad", "o\xcc\xa8\xcc\x84");
    check_form(vx_nfd, "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
    check_form(vx_nfd, "a\xcc\x87\xcc\xa3", "a\xcc\xa3\xcc\x87");
    check_form(vx_lower_text, "\xce\x9f\xce\xa3.\xce\x9f\xce\xa3",
               "\xce\xbf\xcf\x83.\xce\xbf\xcf\x82");
    check_form(vx_lower_text, "\xce\xa3", "\xcf\x83");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("text");
    TCase *tc = tcase_create("text");
    tcase_add_loop_test(tc, test_text__gives_the_tokens_of_others, 0, FORMS);
    tcase_add_test(tc, test_text__places_are_whole_letters);
    tcase_add_loop_test(tc, test_text__cleans, 0, sizeof cleaned / sizeof cleaned[0]);
    tcase_add_test(tc, test_text__bytes_that_are_no_utf8_count_one_each);
    tcase_add_loop_test(tc, test_text__cuts_the_tail, 0, FORMS);
    tcase_add_test(tc, test_text__says_what_it_is);
    tcase_add_loop_test(tc, test_text__refuses_by_name, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tc, test_text__heeds_the_configuration);
    tcase_add_test(tc, test_text__reads_the_parts_alone);
    tcase_add_loop_test(tc, test_text__survives_damage, 0, sizeof damaged / sizeof damaged[0]);
    tcase_add_test(tc, test_text__few_pieces_are_not_those_of_xlm_r);
    tcase_add_test(tc, test_text__is_not_led_astray);
    tcase_add_loop_test(tc, test_text__long_words_take_no_quadratic_time, 0, FORMS);
    tcase_add_test(tc, test_text__has_a_largest_text);
    tcase_add_loop_test(tc, test_text__gives_memory_back_when_it_runs_out, 0, FORMS);
    tcase_add_test(tc, test_text__composes_and_decomposes);
    suite_add_tcase(s, tc);
    tc = tcase_create("threads");
    tcase_add_loop_test(tc, test_text__many_threads_share_one, 0, FORMS);
    suite_add_tcase(s, tc);
    return s;
}

VX_TEST_MAIN(suite)
