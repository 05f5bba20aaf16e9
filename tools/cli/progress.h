/*
 * cli/progress.h: how far the work is, in one line on a terminal; and Ctrl-C.
 *
 *      43% [##########..............]  0:12 left  3/100 dog.jpg
 *
 * The line is for terminals only, and not with --quiet. It appears when a call of the library has
 * lasted half a second, is drawn at most ten times a second, and is taken away before anything
 * else is written. Percentage and time left are those of all the work that progress_begin stated.
 *
 * From progress_begin on the first Ctrl-C makes the running call of the library return
 * VITX_CANCELLED, and the next one ends the program. After the first one main cleans up and then
 * ends the program by the same signal, so that a shell's loop ends with it.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Work on `count` things of `steps` steps each; `what` names the things ("pictures") in the message
 * of Ctrl-C; NULL: it does not count. */
void progress_begin(const struct common *common, int count, int steps, const char *what);
/* `done` steps are done, and the next call of the library works on n more; name is kept. */
void progress_step(int done, int n, const char *name);
/* For vitx_context_opts.progress, on any thread; the line is drawn by the one that began. */
int progress_tick(int64_t done, int64_t total, void *payload);

/* From now on SIGTERM does what Ctrl-C does, and the program ends with the command's status after
 * either. */
void progress_stoppable(void);

/* Whether Ctrl-C waits for the end of the running call: for a short one that completes what is
 * nearly done. A second Ctrl-C does not wait. */
void progress_let_end(bool call);

/* Takes the line away; before results, only where these go to a terminal, too. */
void progress_hide(void);
void progress_before_results(void);

/* Whether Ctrl-C was pressed; the second says so, once, and how much is done. To be asked where
 * there is still work to do. */
bool progress_interrupted(void);
bool progress_cancelled(void);
/* Dies of Ctrl-C if it was pressed. */
void progress_end(void);

/* Milliseconds on a clock that only goes forward. */
double now_ms(void);

#endif
