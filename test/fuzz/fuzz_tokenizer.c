/*
 * The files of a tokenizer, and a text. The first byte: which file, by `names`, and a vx_clean; two
 * bytes: how long the text is; then the text, then the file. Behind a zero byte in vocab.json comes
 * merges.txt, behind one in tokenizer.json tokenizer_config.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/tokenizer.h"

static const char *const names[] = {"tokenizer.json",
                                    "vocab.json",
                                    "vocab.txt",
                                    "spiece.model",
                                    "tokenizer.model",
                                    "sentencepiece.bpe.model",
                                    "bpe_simple_vocab_16e6.txt",
                                    "bpe_simple_vocab_16e6.txt.gz"};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void encode(const vx_tokenizer *t, const char *text, size_t bytes, int limit)
{
    vx_tokens tokens = {0};
    bool cut = false;
    const int status = vx_tokenizer_encode(&tokens, t, text, bytes, limit, &cut);
    require(status == VITX_OK || status == VITX_NOMEM || status == VITX_INVALID,
            "a text that fails in another way");
    require(status == VITX_OK || tokens.count == 0, "tokens after a failure");
    require(limit == 0 || tokens.count <= limit, "more tokens than the limit");
    for (int i = 0; i < tokens.count; i++) {
        require(tokens.at[i].id >= 0 && tokens.at[i].id < vx_tokenizer_size(t),
                "an id beyond the size");
        require(tokens.at[i].start <= tokens.at[i].end && tokens.at[i].end <= bytes,
                "a place outside of the text");
    }
    vx_tokens_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const size_t wanted = data[1] | (size_t)data[2] << 8;
    const size_t bytes = wanted < size - 3 ? wanted : size - 3;
    const char *const text = (const char *)data + 3, *const file = text + bytes;
    const size_t left = size - 3 - bytes;
    const char *const stop = data[0] % 8 < 2 && left ? memchr(file, '\0', left) : NULL;
    const size_t first = stop ? (size_t)(stop - file) : left;
    const vitx_memory_file files[] = {{names[data[0] % 8], file, first},
                                      {data[0] % 8 ? "merges.txt" : "tokenizer_config.json",
                                       stop ? stop + 1 : "", stop ? left - first - 1 : 0}};
    vx_tokenizer *t;
    const int status = vx_tokenizer_open_in(&t, (vx_shelf){files, stop ? 2 : 1}, "m",
                                            (vx_clean)(data[0] / 8 % 6), fuzz_hooks());
    fuzz_check_message(status);
    if (status == VITX_OK) {
        fuzz_accepted++;
        encode(t, text, bytes, 0);
        encode(t, text, bytes, 77);
        vx_tokenizer_free(t);
    }
    fuzz_nothing_left();
    return 0;
}
