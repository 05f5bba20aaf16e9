/* text/tokens.h: appending tokens, and the memory that one encoding works in. */
#ifndef VX_TEXT_TOKENS_H
#define VX_TEXT_TOKENS_H

#include "text/chars.h"
#include "text/tokenizer.h"

/* Characters from..from+count of some text. */
typedef struct vx_span {
    size_t from, count;
    int id; /* -1: text; else the token that it is as a whole */
} vx_span;

typedef struct vx_spans {
    const vitx_hooks *hooks;
    vx_span *at;
    size_t count, reserved;
} vx_spans;

int vx_spans_put(vx_spans *pieces, size_t from, size_t count, int id);
void vx_spans_dispose(vx_spans *pieces);

/* Memory that is used again for each word and grows with the longest. */
typedef struct vx_workspace {
    const vitx_hooks *hooks;
    void *at[3];
    size_t bytes[3];
} vx_workspace;

/* At least so many of that size, in one of the three places; what was there is lost. */
int vx_workspace_take(void *out_pointer, vx_workspace *scratch, int place, size_t count,
                      size_t size);
void vx_workspace_dispose(vx_workspace *scratch);

/* A token that stands for at [count >= 1]. */
int vx_tokens_put(vx_tokens *tokens, const vitx_hooks *hooks, int id, const vx_char *at,
                  size_t count);

#endif
