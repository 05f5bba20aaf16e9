/*
 * batch/commit.h: the files that a shard writes. They are NAME.part until all of them are complete
 * and on the disk; then all get their names, and last of all the marker of the shard is written. A
 * shard without a marker is made again, whatever is there.
 */
#ifndef CLI_BATCH_COMMIT_H
#define CLI_BATCH_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/cli/digest.h"

/* A file under way; to be written from one thread. */
struct part;

struct parts {
    const char *folder;
    struct part **all;
    int count, room;
    bool stopped; /* something could not be written, which was complained of */
};

/* NAME, below the folder; folders are made. NULL: it cannot be, which was complained of. */
struct part *part_open(struct parts *parts, const char *name);
/* A file of that name that is there already, and stays as it is. false: no memory. */
bool part_keep(struct parts *parts, const char *name, const char *key, int64_t bytes,
               const char *digest);
/* Whose results it holds; false: no memory. */
bool part_belongs(struct part *part, const char *key);
/* Nothing is done any more once something has failed: false. */
bool part_write(struct part *part, const void *data, size_t bytes);
/* Its digest is known then. */
bool part_close(struct part *part);
int64_t part_bytes(const struct part *part);

/* Those of part i, once it is closed. */
struct part_info {
    const char *name, *key; /* key NULL: it is the whole shard's */
    int64_t bytes;
    char digest[DIGEST_TEXT];
};
struct part_info part_info(const struct parts *parts, int i);

/* Closes what is open, waits until all bytes are on the disk, and gives all their names. */
bool parts_commit(struct parts *parts);
/* Removes what has no name of its own yet, and frees all. */
void parts_end(struct parts *parts);

/* FOLDER/NAME to be freed (folder NULL: NAME); NULL without memory. */
char *path_in(const char *folder, const char *name);
/* One small file, in one step, and on the disk; complains if it fails. */
bool file_put(const char *folder, const char *name, const char *text, size_t bytes);
/* The file's bytes, ended by '\0', at most `most` of them; NULL: there is none (*error: errno). */
char *file_get(const char *folder, const char *name, size_t most, size_t *bytes, int *error);
/* What is in the folder is there after a power cut, too. */
bool folder_sync(const char *path);

#endif
