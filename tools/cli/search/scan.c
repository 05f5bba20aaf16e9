/* search/scan.c: the nearest vectors of an index, some blocks a piece of work; see search.h. */
#include <stdlib.h>

#include "search.h"
#include "tools/cli/parallel.h"
#include "tools/cli/progress.h"

enum { TOGETHER = 16 }; /* blocks of a piece */

struct scanning {
    struct index *index;
    const struct queries *queries;
    const struct search_settings *settings;
    struct found *found;  /* of all pieces so far */
    struct found **parts; /* of each piece, for each query; NULL: none yet, or no more */
    bool failed;
};

/* Room of one piece. */
struct room {
    float *vectors;
    float own[MOST_ENTRIES], empty[MOST_ENTRIES];
    int64_t ids[MOST_ENTRIES], here[MOST_ENTRIES];
};

static bool found_create(struct found *f, int room)
{
    *f = (struct found){.room = room};
    f->entries = malloc((size_t)room * sizeof *f->entries);
    f->scores = calloc((size_t)room, sizeof *f->scores);
    for (int i = 0; i < room && f->entries; i++)
        f->entries[i] = -1;
    return f->entries && f->scores;
}

void found_free(struct found *found, int count)
{
    for (int i = 0; i < count && found; i++) {
        free(found[i].entries);
        free(found[i].scores);
        found[i] = (struct found){.room = 0};
    }
}

/* ------------------------------------------------------------------ a piece ---------------- */

static int last_block(const struct scanning *s, int piece)
{
    const int end = (piece + 1) * TOGETHER;
    return end < s->index->block_count ? end : s->index->block_count;
}

static int rows_of_piece(const struct scanning *s, int piece)
{
    int rows = 0;
    for (int b = piece * TOGETHER; b < last_block(s, piece); b++)
        rows += s->index->blocks[b].rows;
    return rows;
}

/* For each query; NULL without memory. */
static struct found *part_create(const struct scanning *s, int rows)
{
    const int n = s->queries->count;
    struct found *part = calloc((size_t)n + 1, sizeof *part);
    bool there = part != NULL;
    for (int q = 0; q < n && there; q++)
        there = found_create(&part[q], rows < s->found[q].room ? rows : s->found[q].room);
    if (there)
        return part;
    found_free(part, n);
    free(part);
    return NULL;
}

/* The entries of a block that are searched; how many those are. */
static int find_ids(const struct index *index, int block, int64_t *ids)
{
    int asked = 0;
    for (int row = 0; row < index->blocks[block].rows; row++) {
        ids[row] = asked_owner(index, block, row);
        asked += ids[row] >= 0;
    }
    return asked;
}

/* Leaves out pictures in which what the text names is not. */
static const int64_t *only_here(const struct scanning *s, struct room *room, int rows,
                                const float *own)
{
    vitx_similarities(room->own, room->vectors, rows, s->index->units, own);
    for (int i = 0; i < rows; i++)
        room->here[i] = here_logit(s->queries, (double)room->own[i], (double)room->empty[i]) > 0
                            ? room->ids[i]
                            : -1;
    return room->here;
}

static void scan_block(struct scanning *s, struct found *part, struct room *room, int block)
{
    struct index_block *b = &s->index->blocks[block];
    const int units = s->index->units;
    const bool here = s->settings->here;
    if (find_ids(s->index, block, room->ids) == 0)
        return;
    b->bad = !index_read(s->index, block, room->vectors);
    if (here && !b->bad)
        vitx_similarities(room->empty, room->vectors, b->rows, units, s->queries->empty);
    for (int q = 0; q < s->queries->count && !b->bad; q++) {
        const struct query *query = &s->queries->all[q];
        struct found *f = &part[q];
        const int64_t *ids = here ? only_here(s, room, b->rows, query->own) : room->ids;
        vitx_nearest_more(f->entries, f->scores, f->room, room->vectors, b->rows, units,
                          query->vector, ids);
    }
}

/* On any thread. */
static bool scan_piece(void *payload, int piece)
{
    struct scanning *s = payload;
    const int rows = rows_of_piece(s, piece);
    if (rows == 0)
        return true;
    struct room *room = calloc(1, sizeof *room);
    struct found *part = s->parts[piece] = part_create(s, rows);
    const bool there =
        room && part && (room->vectors = malloc(index_block_bytes(s->index))) != NULL;
    for (int b = piece * TOGETHER; b < last_block(s, piece) && there; b++)
        scan_block(s, part, room, b);
    if (!there)
        complain(NULL, "no memory");
    if (room)
        free(room->vectors);
    free(room);
    return there;
}

/* The nearest of a piece among those of all: vectors of one number, the score. */
static bool merge_piece(void *payload, int piece, bool begun)
{
    struct scanning *s = payload;
    struct found *part = s->parts[piece];
    const float one = 1;
    s->failed |= !begun || progress_interrupted();
    for (int q = 0; q < s->queries->count && part && !s->failed; q++) {
        const struct found *f = &part[q];
        struct found *all = &s->found[q];
        vitx_nearest_more(all->entries, all->scores, all->room, f->scores, f->room, 1, &one,
                          f->entries);
    }
    found_free(part, s->queries->count);
    free(part);
    return !s->failed;
}

/* ------------------------------------------------------------------ all -------------------- */

/* Entries of damaged blocks have no vector any more; how many blocks those are. */
static int give_up_damaged(struct index *index)
{
    int damaged = 0;
    for (int b = 0; b < index->block_count; b++) {
        for (int row = 0; row < index->blocks[b].rows && index->blocks[b].bad; row++) {
            const int at = index_owner(index, b, row);
            if (at >= 0)
                index->entries[at].block = -1;
        }
        damaged += index->blocks[b].bad;
        index->blocks[b].bad = false;
    }
    return damaged;
}

static bool create(struct scanning *s, struct piece_state **states, int pieces)
{
    const int asked = count_asked(s->index), top = s->settings->top;
    const int room = top > 0 && top < asked ? top : asked;
    s->parts = calloc((size_t)pieces + 1, sizeof(struct found *));
    *states = calloc((size_t)pieces + 1, sizeof **states);
    bool there = s->parts && *states;
    for (int q = 0; q < s->queries->count && there; q++)
        there = found_create(&s->found[q], room > 0 ? room : 1);
    return there;
}

int scan(struct found *found, int *damaged, struct index *index, const struct queries *queries,
         const struct search_settings *settings, int threads)
{
    struct scanning s = {.index = index, .queries = queries, .settings = settings, .found = found};
    struct piece_state *states;
    const int pieces = (index->block_count + TOGETHER - 1) / TOGETHER;
    if (!create(&s, &states, pieces)) {
        complain(NULL, "no memory");
        s.failed = true;
    } else {
        do_in_parallel(&(struct pieces){.count = pieces,
                                        .threads = threads,
                                        .states = states,
                                        .payload = &s,
                                        .work = scan_piece,
                                        .finish = merge_piece});
    }
    for (int q = 0; q < queries->count && !s.failed; q++)
        while (found[q].count < found[q].room && found[q].entries[found[q].count] >= 0 &&
               (double)found[q].scores[found[q].count] >= settings->threshold)
            found[q].count++;
    *damaged = give_up_damaged(index);
    free(s.parts);
    free(states);
    return s.failed ? SOME_FAILED : DONE;
}
