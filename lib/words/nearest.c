/* words/nearest.c: the nearest of very many vectors. */
#include <math.h>
#include <stdbool.h>

#include <vitx/texts.h>

#include "base/status.h"
#include "words/scores.h"

/* Vectors that are scored at once: their scores lie on the stack. */
enum { TOGETHER = 256 };

/* Of a part: those that are better than the last of the best. */
typedef struct candidates {
    int64_t ids[TOGETHER];
    float scores[TOGETHER];
    int count;
} candidates;

/* The best so far, best first. */
typedef struct ranked {
    int64_t *index;
    float *score;
    int count, room;
} ranked;

static int check(const void *out, const float *vectors, int64_t n, int units, const float *query,
                 const char *what)
{
    if (!out || (!vectors && n > 0) || !query || n < 0 || units < 1)
        return vx_fail(VITX_INVALID, "%s: an argument is NULL, or a count is out of range", what);
    return VITX_OK;
}

/* Sorted, best first; of equal ones the earlier stays in front. */
static void put(candidates *c, int64_t id, float score)
{
    int at = c->count++;
    for (; at > 0 && c->scores[at - 1] < score; at--) {
        c->ids[at] = c->ids[at - 1];
        c->scores[at] = c->scores[at - 1];
    }
    c->ids[at] = id;
    c->scores[at] = score;
}

/* From the back: what moves further back is no longer needed where it was. */
static void merge(ranked *r, const candidates *c)
{
    const int all = r->count + c->count, count = all < r->room ? all : r->room;
    int old = r->count, fresh = c->count;
    for (int at = all - 1; fresh > 0; at--) {
        const bool later = old > 0 && r->score[old - 1] < c->scores[fresh - 1];
        const int64_t id = later ? r->index[old - 1] : c->ids[fresh - 1];
        const float score = later ? r->score[old - 1] : c->scores[fresh - 1];
        old -= later;
        fresh -= !later;
        if (at < count) {
            r->index[at] = id;
            r->score[at] = score;
        }
    }
    r->count = count;
}

static void take(ranked *r, const float *scores, int n, int64_t first, const int64_t *ids)
{
    candidates c = {.count = 0};
    for (int i = 0; i < n; i++) {
        const int64_t id = ids ? ids[first + i] : first + i;
        const bool better = r->count < r->room || scores[i] > r->score[r->room - 1];
        if (better && id >= 0 && !isnan(scores[i]))
            put(&c, id, scores[i]);
    }
    if (c.count > 0)
        merge(r, &c);
}

static void add(ranked *r, const float *vectors, int64_t n, int units, const float *query,
                const int64_t *ids)
{
    float scores[TOGETHER];
    for (int64_t i = 0; i < n; i += TOGETHER) {
        const int m = n - i < TOGETHER ? (int)(n - i) : TOGETHER;
        vx_scores(scores, vectors + i * units, query, m, units);
        take(r, scores, m, i, ids);
    }
}

int vitx_similarities(float *score, const float *vectors, int64_t n, int units, const float *query)
{
    VX_TRY(check(score, vectors, n, units, query, "vitx_similarities"));
    vx_scores(score, vectors, query, n, units);
    return VITX_OK;
}

int vitx_nearest(int64_t *index, float *score, int k, const float *vectors, int64_t n, int units,
                 const float *query)
{
    for (int i = 0; i < k && index && score; i++) {
        index[i] = -1;
        score[i] = 0;
    }
    return vitx_nearest_more(index, score, k, vectors, n, units, query, NULL);
}

int vitx_nearest_more(int64_t *index, float *score, int k, const float *vectors, int64_t n,
                      int units, const float *query, const int64_t *ids)
{
    ranked r = {.index = index, .score = score, .room = k};
    VX_TRY(check(index, vectors, n, units, query, "vitx_nearest"));
    if (!score || k < 1)
        return vx_fail(VITX_INVALID, "vitx_nearest: score is NULL, or k is %d", k);
    while (r.count < k && index[r.count] >= 0)
        r.count++;
    add(&r, vectors, n, units, query, ids);
    return VITX_OK;
}
