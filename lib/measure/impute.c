/*
 * measure/impute.c: see impute.h.
 *
 * The vectors lie on the picture with a border of one pixel around it. Outside and where pixels are
 * known they hold 0, so that products need no look at what the neighbours are.
 */
#include "measure/impute.h"

#include <stdbool.h>
#include <string.h>

#define BESIDE (1.0 / 6)
#define CORNER (1.0 / 12)
#define TOLERANCE 1e-7

typedef struct equations {
    int height, width;
    size_t ld; /* of a row with its border */
    const uint8_t *unknown;
    double *x, *r, *p, *q; /* solution, residual, direction, matrix times direction */
    int first, last;       /* rows that have unknown pixels */
} equations;

size_t vx_impute_room(int height, int width)
{
    return 4 * ((size_t)height + 2) * ((size_t)width + 2);
}

/* The neighbours of a place, weighted. */
static inline double around(const double *v, size_t ld)
{
    const double *up = v - ld, *down = v + ld;
    return BESIDE * (v[-1] + v[1] + up[0] + down[0]) +
           CORNER * (up[-1] + up[1] + down[-1] + down[1]);
}

/* The weights of the neighbours that there are. */
static double weight_sum(const equations *s, int y, int x)
{
    const int down = (y > 0) + (y < s->height - 1), across = (x > 0) + (x < s->width - 1);
    return BESIDE * (down + across) + CORNER * (down * across);
}

/* q = A p; gives p . q. */
static double multiply(const equations *s)
{
    double sum = 0;
    for (int y = s->first; y <= s->last; y++) {
        const uint8_t *unknown = s->unknown + (size_t)y * (size_t)s->width;
        const bool inside = y > 0 && y < s->height - 1;
        const double *p = s->p + ((size_t)y + 1) * s->ld + 1;
        double *q = s->q + ((size_t)y + 1) * s->ld + 1;
        for (int x = 0; x < s->width; x++) {
            if (!unknown[x])
                continue;
            const double d = inside && x > 0 && x < s->width - 1 ? 1 : weight_sum(s, y, x);
            q[x] = d * p[x] - around(p + x, s->ld);
            sum += p[x] * q[x];
        }
    }
    return sum;
}

/* x += alpha p, r -= alpha q; gives r . r. */
static double advance(const equations *s, double alpha)
{
    double sum = 0;
    for (size_t i = ((size_t)s->first + 1) * s->ld; i < ((size_t)s->last + 2) * s->ld; i++) {
        s->x[i] += alpha * s->p[i];
        s->r[i] -= alpha * s->q[i];
        sum += s->r[i] * s->r[i];
    }
    return sum;
}

/* p = r + beta p */
static void turn(const equations *s, double beta)
{
    for (size_t i = ((size_t)s->first + 1) * s->ld; i < ((size_t)s->last + 2) * s->ld; i++)
        s->p[i] = s->r[i] + beta * s->p[i];
}

/* r = p = the right-hand side, from a plane; gives how many pixels are unknown. */
static size_t begin(equations *s, const float *plane)
{
    const size_t w = (size_t)s->width;
    size_t count = 0;
    s->first = s->height;
    s->last = -1;
    for (int y = 0; y < s->height; y++)
        for (size_t x = 0; x < w; x++)
            if (!s->unknown[(size_t)y * w + x])
                s->q[((size_t)y + 1) * s->ld + 1 + x] = plane[(size_t)y * w + x];
    for (int y = 0; y < s->height; y++)
        for (size_t x = 0; x < w; x++) {
            const size_t i = ((size_t)y + 1) * s->ld + 1 + x;
            if (!s->unknown[(size_t)y * w + x])
                continue;
            s->r[i] = s->p[i] = around(s->q + i, s->ld);
            s->first = y < s->first ? y : s->first;
            s->last = y;
            count++;
        }
    memset(s->q, 0, ((size_t)s->height + 2) * s->ld * sizeof *s->q);
    return count;
}

static void solve(const equations *s, size_t count)
{
    double rr = advance(s, 0);
    const double enough = TOLERANCE * TOLERANCE * rr;
    for (size_t k = 0; k < count && rr > enough; k++) {
        const double before = rr;
        rr = advance(s, before / multiply(s));
        turn(s, rr / before);
    }
}

void vx_impute(float *plane, const uint8_t *unknown, int height, int width, double *room)
{
    const size_t size = vx_impute_room(height, width) / 4, w = (size_t)width;
    equations s = {.height = height, .width = width, .ld = w + 2, .unknown = unknown};
    memset(room, 0, 4 * size * sizeof *room);
    s.x = room;
    s.r = room + size;
    s.p = room + 2 * size;
    s.q = room + 3 * size;
    const size_t count = begin(&s, plane);
    if (count == 0)
        return;
    solve(&s, count);
    for (size_t y = 0; y < (size_t)height; y++)
        for (size_t x = 0; x < w; x++)
            if (unknown[y * w + x])
                plane[y * w + x] = (float)s.x[(y + 1) * s.ld + 1 + x];
}
