/* text/tokenizer.c: finds the files of a tokenizer and has them read. */
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "text/gunzip.h"
#include "text/parts.h"

#define MOST_FILE ((size_t)256 << 20)
#define MOST_CONFIG ((size_t)4 << 20)

/* Where the files are, and what was read of tokenizer_config.json (NULL: it is not there). */
typedef struct place {
    vx_shelf shelf;
    const char *folder;
    const vitx_hooks *hooks;
    vx_json *config;
    vx_clean clean;
} place;

static int path_of(char **out, const place *p, const char *name)
{
    return vx_path_join(out, p->hooks, p->folder, name);
}

static int is_there(bool *out, const place *p, const char *name)
{
    char *path;
    VX_TRY(path_of(&path, p, name));
    *out = vx_path_exists_in(p->shelf, path);
    vx_release(p->hooks, path);
    return VITX_OK;
}

/* A file and its path, for messages. Both are given back by put_down. */
typedef struct loaded {
    char *path, *data;
    size_t bytes;
} loaded;

static int load(loaded *out, const place *p, const char *name)
{
    *out = (loaded){0};
    VX_TRY(path_of(&out->path, p, name));
    return vx_file_load_in(&out->data, &out->bytes, p->shelf, out->path, MOST_FILE, p->hooks);
}

static void put_down(loaded *l, const place *p)
{
    vx_release(p->hooks, l->data);
    vx_release(p->hooks, l->path);
}

static int read_config(place *p)
{
    loaded l;
    bool there;
    VX_TRY(is_there(&there, p, "tokenizer_config.json"));
    if (!there)
        return VITX_OK;
    int status = load(&l, p, "tokenizer_config.json");
    if (status == VITX_OK && l.bytes > MOST_CONFIG)
        status = vx_fail_in(VITX_FORMAT, l.path, "a configuration of %zu bytes", l.bytes);
    if (status == VITX_OK)
        status = vx_json_parse(&p->config, l.data, l.bytes, l.path, 1 << 18);
    put_down(&l, p);
    return status;
}

/* -------------------------------------------------------------------------- readers ------- */

typedef int reader(vx_tokenizer *t, const place *p, const loaded *file);

static int tokenizer_json(vx_tokenizer *t, const place *p, const loaded *file)
{
    (void)p;
    return vx_read_tokenizer_json(t, file->data, file->bytes, file->path);
}

static int vocab_merges(vx_tokenizer *t, const place *p, const loaded *file)
{
    loaded merges;
    int status = load(&merges, p, "merges.txt");
    if (status == VITX_OK)
        status = vx_read_vocab_merges(t, file->data, file->bytes, file->path, merges.data,
                                      merges.bytes, merges.path);
    put_down(&merges, p);
    return status;
}

static int vocab_txt(vx_tokenizer *t, const place *p, const loaded *file)
{
    bool lowercase = true;
    (void)vx_json_bool(vx_json_get(p->config, "do_lower_case"), &lowercase);
    return vx_read_vocab_txt(t, file->data, file->bytes, file->path, lowercase);
}

static int spiece(vx_tokenizer *t, const place *p, const loaded *file)
{
    (void)p;
    return vx_read_spiece(t, file->data, file->bytes, file->path, false);
}

static int xlmr(vx_tokenizer *t, const place *p, const loaded *file)
{
    (void)p;
    return vx_read_spiece(t, file->data, file->bytes, file->path, true);
}

static int simple_vocab(vx_tokenizer *t, const place *p, const loaded *file)
{
    (void)p;
    return vx_read_simple_vocab(t, file->data, file->bytes, file->path);
}

static int simple_vocab_gz(vx_tokenizer *t, const place *p, const loaded *file)
{
    vx_buffer text = {.hooks = p->hooks};
    int status = vx_gunzip(&text, file->data, file->bytes, MOST_FILE, file->path);
    if (status == VITX_OK)
        status = vx_read_simple_vocab(t, text.data, text.size, file->path);
    vx_buffer_dispose(&text);
    return status;
}

static const struct {
    const char *name;
    reader *read;
} files[] = {
    {"tokenizer.json", tokenizer_json},
    {"vocab.json", vocab_merges},
    {"vocab.txt", vocab_txt},
    {"spiece.model", spiece},
    {"sentencepiece.model", spiece},
    {"sentencepiece.bpe.model", xlmr},
    {"tokenizer.model", spiece},
    {"bpe_simple_vocab_16e6.txt", simple_vocab},
    {"bpe_simple_vocab_16e6.txt.gz", simple_vocab_gz},
};

/* -------------------------------------------------------------------------- options ------- */

/* What is done before anything else. */
static void set_clean(vx_tokenizer *t, vx_clean clean)
{
    static const vx_change lower = {.kind = VX_LOWER_TEXT},
                           space = {.kind = VX_REPLACE_SPACE, .to = {{' '}, 1}},
                           strip = {.kind = VX_STRIP, .left = true, .right = true},
                           drop = {.kind = VX_SIGLIP_CLEAN},
                           underscores = {.kind = VX_REPLACE, .from = {{'_'}, 1}, .to = {{' '}, 1}};
    vx_normaliser *const n = &t->clean;
    if (clean == VX_CLEAN_NONE || clean == VX_CLEAN_SIGLIP2)
        return;
    if (clean == VX_CLEAN_CANONICALIZE)
        n->steps[n->count++] = underscores;
    if (clean == VX_CLEAN_CANONICALIZE || clean == VX_CLEAN_SIGLIP)
        n->steps[n->count++] = drop;
    n->steps[n->count++] = space;
    n->steps[n->count++] = strip;
    if (clean != VX_CLEAN_WHITESPACE)
        n->steps[n->count++] = lower;
}

/* The special tokens are not lowered, so this is a step of what lies between them. */
static int lower_sections(vx_tokenizer *t, const char *name)
{
    vx_normaliser *const n = &t->normaliser;
    if (n->count > 0 && n->steps[0].kind == VX_LOWERCASE)
        return VITX_OK;
    if (n->count == VX_STEPS)
        return vx_fail_in(VITX_UNSUPPORTED, name, "a normalizer of more than %d steps", VX_STEPS);
    memmove(&n->steps[1], &n->steps[0], (size_t)n->count * sizeof n->steps[0]);
    n->steps[0] = (vx_change){.kind = VX_LOWERCASE};
    n->count++;
    return VITX_OK;
}

/* The id of a word that the configuration names: "pad_token", a string or an object with
 * content. */
static int configured(const vx_tokenizer *t, const place *p, const char *key)
{
    const vx_json *const node = vx_json_get(p->config, key);
    const char *word = vx_json_string(node);
    if (!word)
        word = vx_json_string(vx_json_get(node, "content"));
    return word ? vx_tokenizer_id(t, word) : -1;
}

static void set_pad(vx_tokenizer *t, const place *p)
{
    const int id = configured(t, p, "pad_token");
    if (id >= 0)
        t->pad = id;
}

/* Gemma's files may say here, and not in tokenizer.json, what is put around a text; transformers
 * then forgets the post_processor. */
static int set_ends(vx_tokenizer *t, const place *p, const char *name)
{
    static const char *const flags[] = {"add_bos_token", "add_eos_token"};
    static const char *const words[] = {"bos_token", "eos_token"};
    bool wanted[2] = {false, false};
    const bool before = vx_json_bool(vx_json_get(p->config, flags[0]), &wanted[0]);
    const bool behind = vx_json_bool(vx_json_get(p->config, flags[1]), &wanted[1]);
    if (t->kind != VX_BPE || t->bpe.suffix[0] || !(before || behind))
        return VITX_OK;
    t->before_count = t->behind_count = 0;
    for (int i = 0; i < 2; i++) {
        const int id = configured(t, p, words[i]);
        if (!wanted[i])
            continue;
        if (id < 0)
            return vx_fail_in(VITX_FORMAT, name,
                              "tokenizer_config.json has %s, but names no %s that is here",
                              flags[i], words[i]);
        if (i == 0)
            t->before[t->before_count++] = id;
        else
            t->behind[t->behind_count++] = id;
    }
    return VITX_OK;
}

static int read_file(vx_tokenizer *t, const place *p, const char *name, reader *read)
{
    static const char *const kinds[] = {"", "BPE", "Unigram", "WordPiece"};
    loaded l;
    int status = load(&l, p, name);
    if (status == VITX_OK)
        status = read(t, p, &l);
    if (status == VITX_OK && p->clean == VX_CLEAN_SIGLIP2)
        status = lower_sections(t, l.path);
    if (status == VITX_OK && read == tokenizer_json)
        status = set_ends(t, p, l.path);
    if (status == VITX_OK)
        status = vx_tokenizer_ready(t, l.path);
    if (status == VITX_OK) {
        set_clean(t, p->clean);
        set_pad(t, p);
        snprintf(t->about, sizeof t->about, "%s (%s, %d ids)", name, kinds[t->kind], t->size);
    }
    put_down(&l, p);
    return status;
}

static int open_at(vx_tokenizer *t, place *p)
{
    VX_TRY(read_config(p));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        bool there;
        VX_TRY(is_there(&there, p, files[i].name));
        if (there)
            return read_file(t, p, files[i].name, files[i].read);
    }
    return vx_fail_in(VITX_IO, p->folder,
                      "no tokenizer lies there: none of tokenizer.json, vocab.json, vocab.txt, "
                      "spiece.model, sentencepiece.model, sentencepiece.bpe.model, "
                      "tokenizer.model, "
                      "bpe_simple_vocab_16e6.txt.gz");
}

int vx_tokenizer_open_in(vx_tokenizer **out, vx_shelf shelf, const char *folder, vx_clean clean,
                         const vitx_hooks *hooks)
{
    vitx_hooks h;
    vx_tokenizer *t;
    *out = NULL;
    VX_TRY(vx_hooks_resolve(&h, hooks));
    VX_TRY(vx_new(&t, &h, 1, sizeof *t, "a tokenizer"));
    t->hooks = h;
    t->pad = -1;
    t->plain.hooks = t->normal.hooks = t->vocab.hooks = t->bpe.hooks = &t->hooks;
    t->bpe.vocab = t->unigram.vocab = t->wordpiece.vocab = &t->vocab;
    t->bpe.bytes = t->unigram.bytes = t->bytes;
    place p = {shelf, folder, &t->hooks, NULL, clean};
    const int status = open_at(t, &p);
    vx_json_free(p.config);
    if (status == VITX_OK)
        *out = t;
    else
        vx_tokenizer_free(t);
    return status;
}

int vx_tokenizer_open(vx_tokenizer **out, const char *folder, vx_clean clean)
{
    return vx_tokenizer_open_in(out, (vx_shelf){NULL, 0}, folder, clean, NULL);
}

void vx_tokenizer_free(vx_tokenizer *t)
{
    if (!t)
        return;
    const vitx_hooks h = t->hooks;
    vx_added_dispose(&t->plain);
    vx_added_dispose(&t->normal);
    vx_charsmap_dispose(&t->normaliser.charsmap);
    vx_added_dispose(&t->normaliser.kept);
    vx_vocab_dispose(&t->vocab);
    vx_bpe_dispose(&t->bpe);
    vx_release(&h, t->scores);
    vx_release(&h, t);
}

static void grow_size(vx_tokenizer *t, const int *ids, int count)
{
    for (int i = 0; i < count; i++)
        t->size = ids[i] >= t->size ? ids[i] + 1 : t->size;
}

int vx_tokenizer_ready(vx_tokenizer *t, const char *name)
{
    if (t->vocab.count == 0)
        return vx_fail_in(VITX_FORMAT, name, "its vocabulary is empty");
    VX_TRY(vx_vocab_finish(&t->vocab));
    VX_TRY(vx_added_finish(&t->plain));
    VX_TRY(vx_added_finish(&t->normal));
    t->size = t->vocab.size > t->size ? t->vocab.size : t->size;
    grow_size(t, t->before, t->before_count);
    grow_size(t, t->behind, t->behind_count);
    t->unigram.scores = t->scores;
    for (int i = 0; i < 256 && !t->has_bytes; i++) {
        char word[8];
        snprintf(word, sizeof word, "<0x%02X>", i);
        t->bytes[i] = vx_vocab_word(&t->vocab, word);
    }
    return t->kind == VX_BPE ? vx_bpe_finish(&t->bpe) : VITX_OK;
}

int vx_tokenizer_id(const vx_tokenizer *t, const char *word)
{
    const vx_added *const both[] = {&t->plain, &t->normal};
    for (int i = 0; i < 2; i++) {
        const int index = vx_vocab_word(&both[i]->words, word);
        if (index >= 0)
            return both[i]->tokens[index].id;
    }
    return vx_vocab_word(&t->vocab, word);
}

int vx_tokenizer_size(const vx_tokenizer *t)
{
    return t->size;
}

int vx_tokenizer_pad(const vx_tokenizer *t)
{
    return t->pad;
}

int vx_tokenizer_end(const vx_tokenizer *t)
{
    return t->behind_count > 0 ? t->behind[t->behind_count - 1] : -1;
}

const char *vx_tokenizer_about(const vx_tokenizer *t)
{
    return t->about;
}
