/*
 * batch/sink.h: what is written of a shard's pictures.
 *
 * A sink is a struct of functions; a form of output (--write) is a row of sinks in sinks.c. A new
 * form is one file and one row. The files that sinks open are committed together (commit.h).
 */
#ifndef CLI_BATCH_SINK_H
#define CLI_BATCH_SINK_H

#include <stdio.h>

#include "commit.h"
#include "run.h"
#include "tools/cli/json.h"

/* What a sink has made of one picture, to be written in the pictures' order. */
struct item {
    char *name; /* owned */
    struct text data;
};
struct parcel {
    struct item *items;
    int count, room;
};
/* A new item, with that name: printf's words. NULL without memory. */
struct text *parcel_add(struct parcel *parcel, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void parcel_clear(struct parcel *parcel);
void parcel_free(struct parcel *parcel);

/* What the functions of a sink get. */
struct sinking {
    const struct run *run;
    struct parts *parts;
    int shard;
    void *state; /* the sink's own */
    /* Of --retry-failed: the results of the run before, as far as they have been taken over. */
    FILE *old;
    const struct json *outputs;
    int64_t rows;
};

struct sink {
    const char *name;
    /* Before the first picture; false: complained of. */
    bool (*open)(struct sinking *s);
    /* The slow part of a picture without an error, on any thread: nothing but the parcel is
     * written. false: the library's reason says why, and the picture has failed. NULL: nothing. */
    bool (*pack)(const struct sinking *s, const struct outcome *outcome, struct parcel *parcel);
    /* In the pictures' order, before anything of the picture is added: what may fail for it. false:
     * the library's reason says why, and the picture has failed. NULL: nothing. */
    bool (*take)(struct sinking *s, const struct outcome *outcome);
    /* Every picture, those with an error, too, in their order. false: nothing more can be written,
     * which was complained of. */
    bool (*add)(struct sinking *s, const struct outcome *outcome, const struct parcel *parcel);
    /* Behind the last one. */
    bool (*close)(struct sinking *s);
    void (*free)(struct sinking *s); /* always called */
};

enum { MOST_SINKS = 8 };
struct form {
    const char *name;
    const struct sink *sinks[MOST_SINKS]; /* ended by NULL */
};
extern const struct form forms[];
extern const char *const form_names[]; /* for --write; ended by NULL */

/* The sinks of a run into out[MOST_SINKS], ended by NULL. */
void sinks_of(const struct run *run, const struct sink **out);

/* --retry-failed takes over what did not fail: the results of one picture after the other, from
 * the shard's files of the run before. false: they are not as they should be. */
typedef bool sink_recall(struct sinking *s, const char *key);
sink_recall recall_row, recall_files, recall_members, recall_arrays, recall_pictures;
/* NULL: the sink needs the pictures themselves, so all of the shard is done again. */
sink_recall *recall_of(const struct sink *sink);
/* The shard's file of that suffix, in s->old. */
bool old_open(struct sinking *s, const char *suffix);
/* Bytes of it, into the part. */
bool old_copy(struct sinking *s, struct part *part, uint64_t bytes);
/* Whether the name of a result is KEY.something */
bool is_of_key(const char *name, const char *key);

/* A map as a file of that format, of the picture; its mask if --mask asks for it. */
bool put_map(struct text *text, const struct run *run, const struct outcome *outcome, int j,
             const char *format);
/* The gallery's page, which all shards share, unless it is there as it should be; under the lock of
 * the plan. Complains. */
bool gallery_put_page(const struct run *run);
/* "00012.SUFFIX" */
void shard_name(char *out, size_t size, int shard, const char *suffix);

#endif
