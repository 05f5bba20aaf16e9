/* serve/formats.c: see formats.h. */
#include "formats.h"

#include <string.h>

const struct format formats[FORMATS] = {
    [FORM_JSON] = {"json", "application/json"},
    [FORM_PNG] = {"png", "image/png"},
    [FORM_NPY] = {"npy", "application/x-npy"},
    [FORM_HTML] = {"html", "text/html; charset=utf-8"},
};

const char *format_type(const char *type)
{
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].type, type) == 0)
            return formats[i].type;
    return NULL;
}
