/*
 * cli/bundled.h: the model that comes with vitx-cli and is taken without -m.
 *
 * It is looked for beside the program, so that both the source tree and what was installed may be
 * moved, and then where `make PREFIX=...` was told that things get installed.
 */
#ifndef CLI_BUNDLED_H
#define CLI_BUNDLED_H

/* Remembers how the program was called, for systems without /proc. */
void bundled_begin(const char *program);

/* Its folder, to be freed; NULL where there is none, or no memory. */
char *bundled_model(void);
/* The folders that were searched, "A, B or C", to be freed; NULL without memory. */
char *bundled_places(void);

#endif
