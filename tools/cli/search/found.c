/* search/found.c: prints what was found; see search.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "search.h"
#include "tools/cli/progress.h"
#include "tools/cli/results.h"

/* A picture that was found. */
struct row {
    const char *name;
    float score;      /* what it is ranked by */
    float own, empty; /* cosines with the text alone, and with the empty one */
    double probability;
    bool here;
};

/* As vitx_map_info.probability: that of the logit, or the share beside the empty text. */
static double probability_of(const struct queries *q, double own, double empty)
{
    const double logit = here_logit(q, own, empty);
    return logit >= 0 ? 1 / (1 + exp(-logit)) : exp(logit) / (1 + exp(logit));
}

static bool fill_row(struct row *row, const struct found *found, int i, const struct index *index,
                     const struct queries *q, const struct query *query,
                     const struct pictures *pictures, float *vector)
{
    const int at = (int)found->entries[i];
    *row = (struct row){.name = pictures->all[index->entries[at].asked].name,
                        .score = found->scores[i]};
    if (!index_vector(index, at, vector)) {
        complain(row->name, "its vector cannot be read");
        return false;
    }
    vitx_similarities(&row->own, vector, 1, q->units, query->own);
    if (!q->texts)
        return true;
    vitx_similarities(&row->empty, vector, 1, q->units, q->empty);
    row->probability = probability_of(q, row->own, row->empty);
    row->here = here_logit(q, row->own, row->empty) > 0;
    return true;
}

static void print_json(const struct row *row, int rank, const struct queries *q,
                       const struct query *query, const struct search_settings *settings,
                       const struct text *why)
{
    struct text line = {0};
    text_put(&line, q->texts ? "{\"text\":" : settings->like ? "{\"like\":" : "{\"vector\":");
    text_json(&line, query->what);
    if (settings->versus) {
        text_put(&line, ",\"versus\":");
        text_json(&line, settings->versus);
    }
    text_format(&line, ",\"rank\":%d,\"image\":", rank);
    text_json(&line, row->name);
    text_put(&line, ",\"score\":");
    text_number(&line, row->score);
    text_put(&line, ",\"cosine\":");
    text_number(&line, row->own);
    if (q->texts) {
        text_put(&line, ",\"empty\":");
        text_number(&line, row->empty);
        text_put(&line, ",\"probability\":");
        text_number(&line, (float)row->probability);
        text_format(&line, ",\"here\":%s", row->here ? "true" : "false");
    }
    if (settings->why)
        text_format(&line, ",\"why\":[%s]", why->data ? why->data : "");
    text_put(&line, "}\n");
    print_text(&line);
}

/* score, probability, name */
static void print_row(const struct row *row, bool text)
{
    if (text)
        printf("%8.5f  %6.4f  %s\n", (double)row->score, row->probability, row->name);
    else
        printf("%8.5f  %s\n", (double)row->score, row->name);
}

/* What stands above the pictures of a query: which of several texts, and whether what it names is
 * anywhere among them. */
static void print_heading(const struct queries *q, const struct query *query,
                          const struct search_settings *settings, const struct row *rows, int count)
{
    bool here = !q->texts;
    for (int i = 0; i < count; i++)
        here |= rows[i].here;
    if (q->count > 1)
        printf("%s\n", query->what);
    if (count == 0 && settings->threshold > -2)
        printf("nothing: no picture has a score of %g or more\n", settings->threshold);
    else if (!here)
        printf("not here: no%s %s \"%s\"%s\n", settings->here ? " picture" : "ne of these pictures",
               q->sigmoid ? "probably shows" : "is nearer to", query->what,
               q->sigmoid ? "" : " than to the empty text");
}

/* Rows that can be read; how many. */
static int fill_rows(struct row *rows, const struct found *found, const struct index *index,
                     const struct queries *q, const struct query *query,
                     const struct pictures *pictures, int *status)
{
    float *vector = malloc((size_t)q->units * sizeof *vector);
    int count = 0;
    if (!vector) {
        complain(NULL, "no memory");
        *status = SOME_FAILED;
    }
    for (int i = 0; vector && i < found->count; i++) {
        if (fill_row(&rows[count], found, i, index, q, query, pictures, vector))
            count++;
        else
            *status = SOME_FAILED;
    }
    free(vector);
    return count;
}

static int print_one(const struct row *row, int rank, const struct queries *queries,
                     const struct query *query, const struct search_settings *settings,
                     struct why *why)
{
    struct text names = {0};
    if (!settings->json)
        print_row(row, queries->texts);
    const int status = why ? why_explain(why, row->name, !settings->json, &names) : DONE;
    if (settings->json)
        print_json(row, rank, queries, query, settings, &names);
    text_free(&names);
    return status;
}

int print_found(const struct found *found, const struct index *index, const struct queries *queries,
                int q, const struct pictures *pictures, const struct search_settings *settings,
                struct why *why)
{
    const struct query *query = &queries->all[q];
    struct row *rows = calloc((size_t)found->count + 1, sizeof *rows);
    int status = DONE;
    if (!rows) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    const int count = fill_rows(rows, found, index, queries, query, pictures, &status);
    progress_before_results();
    if (!settings->json)
        print_heading(queries, query, settings, rows, count);
    for (int i = 0; i < count && output_works() && !progress_interrupted(); i++) {
        const int made = print_one(&rows[i], i + 1, queries, query, settings, why);
        status = made > status ? made : status;
    }
    free(rows);
    return progress_interrupted() ? SOME_FAILED : status;
}
