/*
 * test/text/tokenize.c: tokens of many texts, for tools/golden/check_text.py and for measuring.
 *
 *      tokenize FOLDER CLEAN LIMIT [time] < texts > tokens
 *
 * CLEAN is a vx_clean as a number. In: for each text 32 bits, its length, then its bytes. Out: for
 * each text 32 bits, the number of tokens, then for each its id, start and end in 32 bits each. All
 * in this machine's byte order. With `time` nothing is written but how long it took, in
 * seconds of the processor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vitx/vitx.h>

#include "text/tokenizer.h"

/* Of the processor: others may be at work on it, too. */
static double now(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static int fail(const char *what)
{
    fprintf(stderr, "tokenize: %s: %s\n", what, vitx_last_error());
    return 1;
}

/* The next text in malloc'ed memory; NULL at the end. */
static char *next_text(uint32_t *bytes)
{
    if (fread(bytes, sizeof *bytes, 1, stdin) != 1)
        return NULL;
    char *const text = malloc((size_t)*bytes + 1);
    if (text && fread(text, 1, *bytes, stdin) == *bytes)
        return text;
    free(text);
    return NULL;
}

static void write_tokens(const vx_tokens *tokens)
{
    const uint32_t count = (uint32_t)tokens->count;
    fwrite(&count, sizeof count, 1, stdout);
    for (int i = 0; i < tokens->count; i++) {
        const uint32_t three[3] = {(uint32_t)tokens->at[i].id, tokens->at[i].start,
                                   tokens->at[i].end};
        fwrite(three, sizeof three, 1, stdout);
    }
}

int main(int argc, char **argv)
{
    vx_tokenizer *tokenizer;
    vx_tokens tokens = {0};
    if (argc < 4)
        return fail("FOLDER CLEAN LIMIT are wanted");
    const double start = now();
    if (vx_tokenizer_open(&tokenizer, argv[1], (vx_clean)atoi(argv[2])) != VITX_OK)
        return fail(argv[1]);
    const double opened = now();
    double took = 0;
    long texts = 0, count = 0;
    uint32_t bytes;
    for (char *text; (text = next_text(&bytes)) != NULL; free(text)) {
        const double before = now();
        tokens.count = 0;
        if (vx_tokenizer_encode(&tokens, tokenizer, text, bytes, atoi(argv[3]), NULL) != VITX_OK)
            return fail("a text");
        took += now() - before;
        texts++;
        count += tokens.count;
        if (argc < 5)
            write_tokens(&tokens);
    }
    if (argc >= 5)
        printf("%s, pad %d, end %d: opened in %.3f s; %ld texts, %ld tokens in %.3f s\n",
               vx_tokenizer_about(tokenizer), vx_tokenizer_pad(tokenizer),
               vx_tokenizer_end(tokenizer), opened - start, texts, count, took);
    vx_tokens_free(&tokens);
    vx_tokenizer_free(tokenizer);
    return 0;
}
