/*
 * serve/jobfiles.h: the files of jobs, so that they outlive the program: ID.request from before the
 * client hears of the job until its answer is there, ID.result from then on. Each is complete or
 * not there: it is written beside its place and renamed.
 */
#ifndef CLI_SERVE_JOBFILES_H
#define CLI_SERVE_JOBFILES_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "tools/cli/text.h"
#include "work.h"

/* Parts of a file, one behind the other: "LENGTH:bytes," as often as there are parts. */
void part_put(struct text *out, const void *data, size_t bytes);
/* The part at *at, which moves behind it; false where there is none that is whole. */
bool part_take(const void **data, size_t *bytes, const struct text *file, size_t *at);
/* The same of a text, which has no zero byte and is copied; a longer one is refused. */
bool part_take_text(char *out, size_t room, const struct text *file, size_t *at);

/* All complain where they fail. ending: "request" or "result". */
bool jobfile_write(const char *folder, const char *id, const char *ending, const struct text *data);
enum jobfile_read { JOBFILE_READ, JOBFILE_GONE, JOBFILE_UNREADABLE };
/* text_free() it whatever comes of it. GONE: there is none; UNREADABLE: not now. */
enum jobfile_read jobfile_read(struct text *out, const char *folder, const char *id,
                               const char *ending);
/* What is not there is fine. */
void jobfile_remove(const char *folder, const char *id, const char *ending);

struct jobfile {
    char id[JOB_ID];
    bool result; /* else a request */
    time_t time; /* when it was written */
    long nanoseconds;
    size_t bytes;
};

/* Makes the folder, and keeps it for this program until the file is closed; -1: another one has it,
 * or complained. */
int jobfiles_lock(const char *folder);
/* Those of a folder that is kept, the oldest first; removes what is half written. */
bool jobfiles_list(struct jobfile **out, int *count, const char *folder);

#endif
