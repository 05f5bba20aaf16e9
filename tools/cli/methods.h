/* cli/methods.h: names of methods on the command line. */
#ifndef CLI_METHODS_H
#define CLI_METHODS_H

#include "session.h"

/* The method of that name; where there is none, complains, naming those there are, and gives
 * WRONG_USAGE. */
int method_find(vitx_method_info *out, const char *name);

#endif
