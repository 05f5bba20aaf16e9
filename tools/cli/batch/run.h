/*
 * batch/run.h: what the files of `vitx-cli batch` share: a run, and what comes of a picture.
 *
 * cmd_batch.c has the options and the order of things; start.c opens the model, head.c says what
 * the plan has to hold; a run then does shard after shard (shard.c), each of which writes what its
 * form of output (sink.h) makes of its pictures.
 */
#ifndef CLI_BATCH_RUN_H
#define CLI_BATCH_RUN_H

#include "choose.h"
#include "lines.h"
#include "lock.h"
#include "plan.h"
#include "tools/cli/explain.h"

struct run_settings {
    struct explain_settings explain; /* which begins with a struct common */
    struct list deeds, shards;
    const char *out, *name, *shard;
    int form; /* a place in forms */
    int shard_size, top, progress;
    size_t shard_bytes;
    bool retry_failed, restart, plan_only, verify, normalize, gallery, pages, one_pass;
};

struct run {
    const struct run_settings *settings;
    struct session session;
    bool opened;
    bool classifies, explains, embeds, measures; /* --do */
    const struct form *form;
    int batch, top; /* pictures that run at once; classes of each */
    int units; /* numbers of each picture's vector: its embedding, or what labels that are texts are
                  compared with; 0: it gets none */
    /* Digests of session.labels, of --text and of --among; empty: there are none. */
    char labels[VITX_DIGEST_TEXT], texts[VITX_DIGEST_TEXT], among[VITX_DIGEST_TEXT];
    char *pattern;            /* of maps' files, below the folder; form files */
    struct explain_plan maps; /* of explains; opts_count is 0 without it */
    struct lanes lanes;
    vitx_context *measuring; /* of measures */
    const char *folder;
    struct locks locks;
    struct plan plan;
    struct choice choice;
    struct lines lines;
};

/* A picture and what came of it, as all sinks get it. */
struct outcome {
    const struct input *input;
    const vitx_image *image;    /* NULL: it could not be read */
    const vitx_prediction *top; /* [run.top] of classifies; index -1: no more classes */
    const float *embedding;     /* [units] of embeds */
    vitx_map *const *maps;      /* [run.maps.opts_count]; NULL: another map says the same */
    const char *error;          /* NULL: all there is to do was done. Else nothing above is to be
                                   relied on but the input */
};

/* The name of maps[j] among those of a picture, in `out`: its method, and behind a dot its target
 * if there are several: a number, topN, or the words of a text. */
enum { MAP_NAME = 256 };
void map_name(char out[MAP_NAME], const struct run *run, int j);
/* The picture's row in predictions.jsonl, without an end of line. */
void put_row(struct text *text, const struct run *run, const struct outcome *outcome);

/* The model and its contexts, for so many inputs (0: not known). Complains: an exit status;
 * run_end() whatever comes of it. */
int run_start(struct run *run, int inputs);
void run_end(struct run *run);
/* What has to be the same for all workers, for plan_agree(). */
bool put_head(struct text *text, const struct run *run);

/* Does a shard, unless it is done. Complains of what stops it, but not of SHARD_TAKEN. */
enum shard_end {
    SHARD_DONE,
    SHARD_TAKEN,   /* another worker does it */
    SHARD_STOPPED, /* by a signal, or as something could not be written */
    SHARD_NONE,    /* of a stream: there is no more */
    SHARD_OTHER    /* of a stream: it is not the one that was read before */
};
struct reading;
enum shard_end shard_do(struct run *run, struct reading *reading, int shard, int *failed);

#endif
