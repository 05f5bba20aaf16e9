/* serve/formats.h: what the forms of answers are called. */
#ifndef CLI_SERVE_FORMATS_H
#define CLI_SERVE_FORMATS_H

#include "ask.h"

enum { FORMATS = FORM_HTML + 1 };

struct format {
    const char *word; /* of the option format */
    const char *type; /* of the content */
};
extern const struct format formats[FORMATS]; /* by enum form */

/* The constant that is equal to it; NULL: no answer has that type. */
const char *format_type(const char *type);

#endif
