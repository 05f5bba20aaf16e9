/*
 * batch/journal.h: what is known of a shard. state/NNNNN.jsonl has a line for each of its pictures
 * as they are finished; state/NNNNN.done, the marker, is there once all its files have their names:
 * how many inputs it had, which of them failed and why, and the digests of the files.
 */
#ifndef CLI_BATCH_JOURNAL_H
#define CLI_BATCH_JOURNAL_H

#include "commit.h"
#include "tools/cli/json.h"
#include "listing.h"
#include "tools/cli/text.h"

/* The lines of a shard, whose first ones are those of an attempt that did not come to its end. */
struct journal;

/* Complains if it fails. */
struct journal *journal_open(const char *folder, int shard);
/* error NULL: all is well. crc: of what was made of it, `made` files. false: not written. */
bool journal_add(struct journal *journal, const char *key, const char *error, int made,
                 uint32_t crc);
/* Whether that picture gave other bytes in an attempt before. */
bool journal_differs(const struct journal *journal, const char *key, uint32_t crc);
void journal_close(struct journal *journal);

/* A marker under way. */
struct marking {
    int inputs, failed;
    uint32_t names;       /* of a stream: reading_crc() */
    struct text failures; /* rows, with commas between them */
    struct text accepted; /* the same: inputs that have another size than in the plan */
};
void marking_fail(struct marking *marking, const struct input *input, const char *error);
void marking_accept(struct marking *marking, const struct input *input, int64_t size);
/* Writes it; complains if that fails. */
bool marking_write(struct marking *marking, const char *folder, int shard,
                   const struct parts *parts);
void marking_free(struct marking *marking);

/* The shard's marker, to be freed; NULL: there is none. */
struct json *marker_read(const char *folder, int shard);
/* Whether the files that it tells of are there, and have that size; verify: and that digest. */
bool marker_fits(const struct json *marker, const char *folder, bool verify);
/* Removes what a --retry-failed that was killed has left under way beside these files. */
void marker_tidy(const struct json *marker, const char *folder);
int marker_inputs(const struct json *marker);
/* Of a stream: the same without what stands for the stream, where that broke off. */
int marker_pictures(const struct json *marker);
int marker_failed(const struct json *marker);
uint32_t marker_names(const struct json *marker);
/* Whether the key is among the failed ones; the size that was accepted for it, -1: none. */
bool marker_has_failed(const struct json *marker, const char *key);
int64_t marker_accepted(const struct json *marker, const char *key);

/* failed.jsonl of all markers of shards 0 .. shards-1, in their order; -1: until there is none.
 * Complains if it fails. */
bool failures_gather(const char *folder, int shards);
/* Removes the shard's marker with what it tells of, and its journal. */
void discard_shard(const char *folder, int shard);
/* Whether any shard is done. */
bool has_markers(const char *folder);
/* --restart: removes markers with what they tell of, journals and the plan. */
bool discard_all(const char *folder);

#endif
