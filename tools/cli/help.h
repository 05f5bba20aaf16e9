/* cli/help.h: the help of the program and of its commands, from their tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "options.h"

/* The commands end with NULL. `everything`: at length. */
void program_help(const struct command *const *commands, bool everything);
void command_help(const struct command *command, bool everything);

#endif
