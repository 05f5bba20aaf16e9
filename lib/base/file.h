/*
 * base/file.h: reading a regular file at given places.
 *
 * Why no mmap: a page of a mapping that lies past the end of a file that was cut short raises
 * SIGBUS, and a library can only survive that by a signal handler, which belongs to the process.
 * A mapping also changes under the reader when somebody writes into the file. pread copies: a
 * short read is an error like any other, and what was read once stays as it was.
 */
#ifndef VX_BASE_FILE_H
#define VX_BASE_FILE_H

#include <stdint.h>

#include <vitx/model.h> /* vitx_memory_file */

#include "base/memory.h"

/* Reads need no lock: one vx_file may be read by several threads. */
typedef struct vx_file {
    vitx_hooks hooks;
    int fd;                        /* -1: `memory` has it */
    const char *memory;            /* the caller's, or NULL */
    uint64_t size;                 /* when it was opened */
    int64_t written_s, written_ns; /* time of the last change before that */
    char *path;                    /* as the caller wrote it, for messages */
} vx_file;

/* VITX_IO for what is missing, unreadable or no regular file (a FIFO would block, a folder cannot
 * be read). Free with vx_file_close, which accepts NULL. */
int vx_file_open(vx_file **out, const char *path, const vitx_hooks *hooks);
void vx_file_close(vx_file *file);

/* Files in the caller's memory that stand for those of a folder. count 0: there are none, and what
 * ends in _in does what the function without _in does. Names are compared with a path's last
 * part. */
typedef struct vx_shelf {
    const vitx_memory_file *files;
    int count;
} vx_shelf;

int vx_file_open_in(vx_file **out, vx_shelf shelf, const char *path, const vitx_hooks *hooks);
int vx_file_load_in(char **out, size_t *bytes, vx_shelf shelf, const char *path, size_t max_bytes,
                    const vitx_hooks *hooks);
bool vx_path_exists_in(vx_shelf shelf, const char *path);
/* Calls visit with the name of everything in a folder, but for names that begin with a dot, in no
 * order; ends at the first failure, which it returns. VITX_IO for an unreadable folder. */
typedef int vx_name_fn(const char *name, void *arg);
int vx_folder_names(vx_shelf shelf, const char *folder, vx_name_fn *visit, void *arg);

/* Exactly `bytes` bytes from `offset`; VITX_IO where the file has become shorter. */
int vx_file_read(const vx_file *file, void *dst, uint64_t offset, size_t bytes);

/* VITX_IO where somebody has written to the file since it was opened. */
int vx_file_unchanged(const vx_file *file);

/* Whether both are one file, which nobody had written to between their opening. */
bool vx_file_same(const vx_file *a, const vx_file *b);

/* A whole file, at most max_bytes (VITX_FORMAT beyond), with a '\0' after it. Give *out back with
 * vx_release. */
int vx_file_load(char **out, size_t *bytes, const char *path, size_t max_bytes,
                 const vitx_hooks *hooks);

/* The first *bytes bytes of a file; *bytes becomes less where it is shorter. */
int vx_file_peek(void *dst, size_t *bytes, const char *path, const vitx_hooks *hooks);

bool vx_path_is_folder(const char *path);
/* Whether there is something of that name, be it a link to nothing or out of reach: opening it then
 * says what is wrong. */
bool vx_path_exists(const char *path);
/* What follows the last dot of the file's name; NULL if it has none. */
const char *vx_path_ending(const char *path);
/* folder + "/" + name, or the folder a path lies in ("." for a bare name). */
int vx_path_join(char **out, const vitx_hooks *hooks, const char *folder, const char *name);
int vx_path_folder(char **out, const vitx_hooks *hooks, const char *path);

#endif
