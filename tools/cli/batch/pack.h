/*
 * batch/pack.h: the members of an archive (tar, plain or compressed; zip), one after the other, by
 * libarchive, whose header only archive.c includes.
 *
 * An archive comes from anywhere: how many members it has, how long they are, how long their names
 * are, and how much comes out of how few bytes, all that is limited. Names are for keys alone; no
 * file is ever made of them. Links, devices and folders are passed over.
 */
#ifndef CLI_BATCH_PACK_H
#define CLI_BATCH_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the ending of the name. */
bool is_pack(const char *name);

struct pack;
struct pack_member {
    const char *name; /* valid until the next one */
    int64_t number;   /* among all members, from 0 */
    int64_t size;     /* -1: the archive does not say */
    int64_t mtime;
};
enum pack_step { PACK_MEMBER, PACK_END, PACK_FAILED };

/* path NULL: standard input. NULL: *why has the reason, to be freed (NULL: no memory). */
struct pack *pack_open(const char *path, char **why);
/* The next member that is a file. After PACK_FAILED: pack_why(). */
enum pack_step pack_next(struct pack *pack, struct pack_member *out);
/* The bytes of the member, to be freed; false: pack_why(). */
bool pack_take(struct pack *pack, void **data, size_t *bytes);
const char *pack_why(const struct pack *pack);
void pack_close(struct pack *pack);

#endif
