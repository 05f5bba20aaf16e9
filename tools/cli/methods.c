/* cli/methods.c: see methods.h. */
#include "methods.h"

#include <stdio.h>
#include <string.h>

int method_find(vitx_method_info *out, const char *name)
{
    const char *names[65] = {NULL};
    char list[512] = "";
    vitx_method_info_init(out, sizeof *out);
    for (int i = 0; i < vitx_method_count() && vitx_method_get(out, i) == VITX_OK; i++) {
        if (strcmp(out->name, name) == 0)
            return DONE;
        if (i < 64)
            names[i] = out->name;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", out->name);
    }
    const char *near = nearest(name, names);
    if (near)
        return wrong_usage("no method \"%s\"; did you mean %s?", name, near);
    return wrong_usage("no method \"%s\"; there are %s", name, list);
}
