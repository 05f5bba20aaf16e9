/* text/vocab_txt.c: BERT's vocab.txt: a piece a line, its id is its place. How a text is cut is not
 * said: transformers' BertTokenizer does. */
#include <string.h>

#include "text/parts.h"

static void bert_rules(vx_tokenizer *t, bool lowercase)
{
    vx_change *const steps = t->normaliser.steps;
    int n = 0;
    steps[n++].kind = VX_BERT_CLEAN;
    steps[n++].kind = VX_BERT_SPACE;
    if (lowercase) {
        steps[n++].kind = VX_BERT_ACCENTS;
        steps[n++].kind = VX_LOWERCASE;
    }
    t->normaliser.count = n;
    t->pretokeniser.steps[0] = (vx_cut){.kind = VX_CUT_BERT};
    t->pretokeniser.count = 1;
}

static int specials(vx_tokenizer *t, const char *name)
{
    static const char *const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    int ids[5];
    for (int i = 0; i < 5; i++) {
        ids[i] = vx_vocab_word(&t->vocab, words[i]);
        if (ids[i] < 0 && i > 0 && i < 4)
            return vx_fail_in(VITX_FORMAT, name, "it has no %s", words[i]);
        if (ids[i] >= 0)
            VX_TRY(vx_added_put(&t->plain, words[i], strlen(words[i]),
                                (vx_added_token){.id = ids[i]}, name));
    }
    t->pad = ids[0];
    t->wordpiece.unknown = ids[1];
    t->before[t->before_count++] = ids[2];
    t->behind[t->behind_count++] = ids[3];
    return VITX_OK;
}

/* Lines end in "\n" alone: U+2028 is a piece. */
int vx_read_vocab_txt(vx_tokenizer *t, const char *text, size_t bytes, const char *name,
                      bool lowercase)
{
    const char *const end = text + bytes, *line;
    size_t n;
    t->kind = VX_WORDPIECE;
    t->vocab.prefixes = true;
    t->wordpiece.most = 100;
    memcpy(t->wordpiece.prefix, "##", 3);
    for (int id = 0; vx_next_line(&line, &n, &text, end); id++)
        VX_TRY(vx_vocab_add(&t->vocab, line, n, id, name));
    bert_rules(t, lowercase);
    return specials(t, name);
}
