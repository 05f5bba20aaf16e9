/*
 * batch/listing.h: the pictures that the words of the command line stand for: files, folders,
 * patterns that no shell expanded, lists, and archives.
 */
#ifndef CLI_BATCH_LISTING_H
#define CLI_BATCH_LISTING_H

#include <stdint.h>

#include "keys.h"
#include "tools/cli/words.h"

/* Exit status: not all is done, and the same command goes on with it. */
enum { STOPPED = 75 };

enum { NO_ARCHIVE = -1 };
#define STREAM_NAME "standard input" /* of the input that stands for a stream that broke off */

struct input {
    const char *key; /* owned by the listing's keys */
    char *name;      /* of the file; or ARCHIVE:MEMBER, for people alone */
    char *error;     /* why there is no picture; NULL: there may be one */
    int archive;     /* its place among the archives, NO_ARCHIVE: a file */
    int64_t member;  /* of the archive, counted from 0 */
    int64_t size;    /* bytes; -1: not known */
    int64_t mtime;   /* seconds since 1970; 0: not known */
};

struct listing {
    struct input *inputs;
    int count, room;
    struct list archives; /* their files */
    struct list folders;  /* that stood for the pictures in them */
    struct keys keys;
    bool stream; /* a tar on standard input: what is in it is not known before */
};

/* Complains where words mean nothing: an exit status. listing_free() whatever comes of it. */
int listing_make(struct listing *out, char **words, int count);
/* Takes name and error (malloc) whatever comes of it; false without memory. key NULL: that of
 * `path`. */
bool listing_add(struct listing *listing, struct input *input, const char *path);
void listing_free(struct listing *listing);

#endif
