/*
 * cli/bundled.h: what comes with vitx-cli: the models that are taken without -m, "scenes" and
 * "pair" (for texts), and templates.
 *
 * It is looked for beside the program, so that both the source tree and what was installed may be
 * moved, and then where `make PREFIX=...` was told that things get installed.
 */
#ifndef CLI_BUNDLED_H
#define CLI_BUNDLED_H

/* Remembers how the program was called, for systems without /proc. */
void bundled_begin(const char *program);

/* The folder of the model of that name, to be freed; NULL where there is none, or no memory. */
char *bundled_model(const char *name);
/* A file of that name, "templates/imagenet80.txt"; the same. */
char *bundled_file(const char *name);
/* The folders that were searched for it, "A, B or C", to be freed; NULL without memory. */
char *bundled_places(const char *name);

#endif
