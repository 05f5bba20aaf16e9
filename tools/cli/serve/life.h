/* serve/life.h: the signals that end a server. */
#ifndef CLI_SERVE_LIFE_H
#define CLI_SERVE_LIFE_H

#include <stdbool.h>

/* From now on SIGTERM and SIGINT are remembered; a second one ends the program at once, and so does
 * the first one until life_serves(). */
bool life_begin(void);
void life_serves(void);
/* Whether one came, waiting for it at most that long; below 0: for ever. */
bool life_wait(double seconds);

#endif
