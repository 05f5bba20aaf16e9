/* cli/session.h: what the commands share between parsing and the library: the opened model, the
 * pictures of a batch, and JSON on standard output. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <vitx/vitx.h>

#include "options.h"

struct session {
    const char *path; /* of the model: what -m says, or the bundled one's folder */
    char *bundled;    /* the latter, owned; NULL with -m */
    vitx_model *model;
    vitx_context *context;
    vitx_model_info info; /* for the size that was asked for: grid, tokens, flops, recipe */
    vitx_context_info size;
    vitx_recipe recipe; /* what info.recipe points to */
    bool keep;          /* each picture has a size of its own: these are not its */
};

/* Both give an exit status and complain where it is not DONE. */
int session_open(struct session *session, const struct common *common);
int session_start(struct session *session, const struct common *common, vitx_fit fit);
void session_close(struct session *session);

/* What a context is made with. */
vitx_context_opts context_opts_of(const struct common *common, vitx_fit fit);

/* Complains where it fails. */
bool image_load(vitx_image **out, const char *file, const struct common *common);

/* Pictures that run together; names[i] is images[i]'s file. */
struct batch {
    vitx_image **images;
    char **names;
    int *order; /* the file's place among those given to batch_load */
    int count, capacity;
};

bool batch_create(struct batch *batch, int capacity);
/* Opens files[0..n-1], n at most the capacity; complains about those that fail: false then. */
bool batch_load(struct batch *batch, char **files, int n, const struct common *common);
void batch_clear(struct batch *batch);
void batch_free(struct batch *batch);

/* Whether standard output still takes what is written. */
bool output_works(void);

/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD; NULL becomes null. */
void json_text(const char *text);

const char *text_or(const char *text, const char *fallback);

#endif
