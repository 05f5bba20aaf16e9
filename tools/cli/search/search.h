/*
 * search/search.h: what the files of search share.
 *
 * pictures.c lists the pictures, index*.c keep their vectors, fill.c embeds those that are new,
 * query.c makes vectors of what is asked, scan.c finds the nearest, found.c prints them, why.c
 * explains them, faiss.c writes vectors for others.
 */
#ifndef CLI_SEARCH_SEARCH_H
#define CLI_SEARCH_SEARCH_H

#include "index.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

struct search_settings {
    struct common common;
    struct list texts, methods, set, among;
    const char *like, *vector, *versus, *index, *faiss, *why;
    int top;          /* 0: all */
    double threshold; /* at most -2: none */
    bool here, json, no_update, retry;
};

/* ------------------------------------------------------------------ pictures --------------- */

/* A picture that is searched. */
struct picture {
    const char *name; /* as the user knows it, of pictures.names */
    char *key;        /* its name in the index; owned */
    struct mark mark;
};

struct pictures {
    struct list names;
    struct picture *all;
    int count;
    char *folder; /* whose names in the index have no folder before them; with a slash */
    bool failed;  /* some were no files or folders that can be read, which was said */
};

/* The files that the words of the command line stand for, each once. index: the file's path, NULL:
 * nothing is kept. Complains; an exit status. pictures_free() whatever comes of it. */
int pictures_list(struct pictures *pictures, char **words, int count, const char *index);
/* The same from an index: all that it holds. */
int pictures_of_index(struct pictures *pictures, const struct index *index);
/* What tells whether the file has changed; false: errno, EINVAL for what is no file. */
bool mark_file(struct mark *mark, const char *name);
void pictures_free(struct pictures *pictures);
/* Where an index of these words lies without --index, to be freed: in the one folder that they are;
 * NULL: nowhere. */
char *index_place(char **words, int count, const char *terms);

/* What the vectors depend on, for index_open; false: it is not known, which was said. */
bool put_terms(struct text *text, const struct session *session, const struct common *common);

/* ------------------------------------------------------------------ embedding -------------- */

/* Marks the entries that are asked for, embeds the pictures that the index lacks, and forgets those
 * that are gone. *broken: how many have no vector. An exit status; failures of single pictures are
 * SOME_FAILED. */
int fill_index(struct index *index, struct session *session, const struct search_settings *settings,
               const struct pictures *pictures, int *broken);
/* Marks the entries alone. */
void ask_for(struct index *index, const struct pictures *pictures);
/* How many of the entries that are asked for have a vector. */
int count_asked(const struct index *index);
/* The entry that is asked for whose vector a row of a block is; -1: there is none. */
int asked_owner(const struct index *index, int block, int row);

/* ------------------------------------------------------------------ queries ---------------- */

struct query {
    const char *what; /* the text, or the name of the picture or the file */
    float *vector;    /* [units]: what is ranked by; owned */
    float *own;       /* [units]: without --versus; owned */
};

struct queries {
    struct query *all;
    int count, units;
    bool texts;
    float *empty; /* [units] of the empty text; NULL: there are no texts */
    float scale, bias;
    bool sigmoid;
};

/* Opens towers as they are needed. An exit status; queries_free() whatever comes of it. */
int queries_make(struct queries *queries, struct session *session,
                 const struct search_settings *settings);
void queries_free(struct queries *queries);
/* The logit of what vitx_map_info.probability is of, by the cosines with the text and the empty
 * one: above 0 what the text names is here. */
double here_logit(const struct queries *queries, double own, double empty);

/* ------------------------------------------------------------------ finding ---------------- */

/* The nearest to one query, best first. */
struct found {
    int64_t *entries; /* [room]: -1 behind the last one */
    float *scores;
    int room, count;
};

/* Of all queries: found [queries->count], with room for settings->top. *damaged: blocks that could
 * not be read; their entries have no vector any more. An exit status; SOME_FAILED is only for
 * memory and Ctrl-C. found_free() whatever comes of it. */
int scan(struct found *found, int *damaged, struct index *index, const struct queries *queries,
         const struct search_settings *settings, int threads);
void found_free(struct found *found, int count);

struct why;

/* Prints the nearest to query q, and explains them if --why says so (why not NULL). An exit
 * status. */
int print_found(const struct found *found, const struct index *index, const struct queries *queries,
                int q, const struct pictures *pictures, const struct search_settings *settings,
                struct why *why);

/* ------------------------------------------------------------------ why -------------------- */

/* That --why is possible, before any work. */
int why_check(const struct search_settings *settings);
/* For the pictures of one query. The session gets a context with all threads. An exit status;
 * why_free() whatever comes of it. */
int why_open(struct why **why, struct session *session, const struct search_settings *settings,
             const struct pictures *pictures, const char *text, char **files, int count);
/* The maps of a picture. lines: a line of each goes to standard output; else their names to
 * *names. An exit status. */
int why_explain(struct why *why, const char *picture, bool lines, struct text *names);
/* What is written last: a page. */
int why_end(struct why *why);
void why_free(struct why *why);

/* ------------------------------------------------------------------ for others ------------- */

/* FILE and FILE.names. An exit status. */
int write_faiss(const struct index *index, const struct pictures *pictures,
                const struct search_settings *settings);

#endif
