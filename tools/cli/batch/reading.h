/*
 * batch/reading.h: the bytes of a shard's inputs, on several threads. What lies in archives is read
 * in its order, piece by piece: a thread waits for its turn, and decodes beside the others.
 */
#ifndef CLI_BATCH_READING_H
#define CLI_BATCH_READING_H

#include "plan.h"

struct reading;

/* Complains if it fails. */
struct reading *reading_begin(struct plan *plan, const struct cut *cut);
void reading_end(struct reading *reading);

/* Before the pieces of each shard. count: of its inputs; -1: of a stream. */
void reading_shard(struct reading *reading);

/* One input, with its bytes if it is in an archive. */
struct taken {
    const struct input *input;
    struct input own; /* what input points to, of a stream */
    bool passed;      /* set before: its bytes are not needed, if they need not be read */
    int64_t wanted;   /* the same: the size that a member of an archive has to have; -1: any */
    void *data;       /* NULL: a file, or none */
    size_t bytes;
    char *error;
};
/* The inputs first .. first + n - 1 of the plan, or the next n ones of the stream; how many those
 * are. The pieces of a shard are counted from 0; each calls this once. */
int reading_take(struct reading *reading, int piece, int first, int n, struct taken *out);
void taken_clear(struct taken *taken);

/* Of a stream: whether the shard has all its inputs (false where a signal stopped
 * the reading); whether all of it has been read. */
bool reading_full(const struct reading *reading);
bool reading_over(const struct reading *reading);
/* Of a stream: a checksum of the names of the shard's inputs. */
uint32_t reading_crc(const struct reading *reading);
/* Of a stream: passes over a shard; how many inputs it had. */
int reading_skip(struct reading *reading);

#endif
