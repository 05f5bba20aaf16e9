/* cli/results.c: see results.h. */
#include "results.h"

#include <stdio.h>

#include "say.h"
#include "text.h"

bool output_works(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

int output_write(const void *data, size_t bytes, void *payload)
{
    (void)payload;
    return fwrite(data, 1, bytes, stdout) != bytes;
}

void print_text(struct text *text)
{
    if (text->failed)
        complain(NULL, "no memory");
    else if (text->data)
        fputs(text->data, stdout);
    text_free(text);
}

void json_text(const char *words)
{
    struct text text = {0};
    text_json(&text, words);
    print_text(&text);
}

const char *text_or(const char *text, const char *fallback)
{
    return text && *text ? text : fallback;
}
