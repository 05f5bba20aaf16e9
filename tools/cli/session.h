/* cli/session.h: what the commands share between parsing and the library: the opened model and its
 * context. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <vitx/vitx.h>

#include "options.h"

struct session {
    const char *path; /* of the model: what -m says, or the bundled one's folder */
    char *bundled;    /* the latter, owned; NULL with -m */
    vitx_model *model;
    vitx_context *context;
    vitx_texts *texts;      /* NULL: not opened (labels.h) */
    vitx_label_set *labels; /* classes that are texts; NULL: there are none */
    vitx_label_set *among;  /* texts of --among; NULL: there are none */
    vitx_model_info info; /* for the size that was asked for: grid, tokens, flops, recipe */
    vitx_context_info size;
    vitx_recipe recipe; /* what info.recipe points to */
    bool varies;        /* each picture has a size of its own: these are not its */
};

/* WRONG_USAGE for what is no device, SOME_FAILED for one that this machine does not have. NULL: the
 * default. */
int check_device(const char *device);
/* Of a device that is there; NULL: the default. */
int check_precision(const char *device, const char *precision);

/* The bundled model that stands in for -m: another one where the command line has words for a text
 * tower. */
const char *bundled_name(const struct common *common);

/* Both give an exit status and complain where it is not DONE. */
int session_open(struct session *session, const struct common *common);
int session_start(struct session *session, const struct common *common, vitx_fit fit);
/* What session_start makes the context with. */
vitx_context_opts session_context_opts(const struct common *common, vitx_fit fit);
void session_close(struct session *session);

/* Bytes that the machine has; 0 if nothing says so. */
size_t machine_memory(void);

/* What a context is made with. */
vitx_context_opts context_opts_of(const struct common *common, vitx_fit fit);

/* The log of the library goes to standard error, as far as --quiet and --verbose let it. The
 * settings must outlive what is made with the hooks. */
vitx_hooks hooks_of(const struct common *common);

#endif
