/*
 * measure/tally.c: see tally.h; vitx/measure.h has the formulas.
 *
 * The Gini coefficient of a row is taken from its values in ascending order x_1..x_T,
 *   sum_jk |x_j - x_k| / (2 T sum x) = sum_i (2 i - T - 1) x_i / (T sum x),
 * and so is the share of the largest. Probabilities are not negative, so their bits sort as
 * integers.
 */
#include "measure/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dot.h"

/* ------------------------------------------------------------------ what tallies share ----- */

int vx_tally_common_create(vx_tally_common *out, const vx_arch *arch, const vitx_hooks *hooks)
{
    const int gh = arch->grid_height, gw = arch->grid_width, patches = gh * gw;
    const int across = 2 * gw - 1;
    *out = (vx_tally_common){.heads = arch->heads,
                             .tokens = vx_arch_tokens(arch),
                             .prefix = arch->prefix,
                             .grid_height = gh,
                             .grid_width = gw,
                             .top = (vx_arch_tokens(arch) + 9) / 10,
                             .few = (patches + 49) / 50};
    VX_TRY(vx_new(&out->distance, hooks, (size_t)gh * (size_t)across, sizeof *out->distance,
                  "distances of patches"));
    VX_TRY(vx_new(&out->ranks, hooks, (size_t)out->tokens, sizeof *out->ranks, "ranks"));
    for (int i = 0; i < out->tokens; i++)
        out->ranks[i] = 2.0 * i - out->tokens + 1;
    double sum = 0;
    for (int y = 0; y < gh; y++)
        for (int x = 1 - gw; x < gw; x++) {
            const double d = hypot((double)y * arch->patch_height, (double)x * arch->patch_width);
            out->distance[y * across + x + gw - 1] = d;
            /* Pairs of patches that are so far apart. */
            sum += d * (double)(gh - y) * (double)(gw - abs(x)) * (y ? 2 : 1);
        }
    out->distance_uniform = sum / ((double)patches * (double)patches);
    return VITX_OK;
}

void vx_tally_common_dispose(vx_tally_common *common, const vitx_hooks *hooks)
{
    vx_release(hooks, common->distance);
    vx_release(hooks, common->ranks);
    common->distance = common->ranks = NULL;
}

void vx_tally_place(vx_tally *tally, vx_arena *arena, const vx_tally_common *common)
{
    const size_t h = (size_t)common->heads, t = (size_t)common->tokens;
    tally->heads = vx_arena_take(arena, h, sizeof *tally->heads);
    tally->products = vx_arena_take(arena, h, h * sizeof *tally->products);
    tally->received = vx_arena_take(arena, h, t * sizeof *tally->received);
}

void vx_tally_room_place(vx_tally_room *room, vx_arena *arena, const vx_tally_common *common)
{
    const size_t h = (size_t)common->heads, t = (size_t)common->tokens;
    room->rows = vx_arena_take(arena, h, t * sizeof *room->rows);
    room->keys = vx_arena_take(arena, t, sizeof *room->keys);
    room->space = vx_arena_take(arena, t, sizeof *room->space);
    room->sorted = vx_arena_take(arena, t, sizeof *room->sorted);
}

void vx_tally_clear(vx_tally *tally, const vx_tally_common *common)
{
    const size_t h = (size_t)common->heads, t = (size_t)common->tokens;
    memset(tally->heads, 0, h * sizeof *tally->heads);
    memset(tally->products, 0, h * h * sizeof *tally->products);
    memset(tally->received, 0, h * t * sizeof *tally->received);
    tally->bad_head = -1;
}

void vx_tally_add(vx_tally *tally, const vx_tally *other, const vx_tally_common *common)
{
    const size_t h = (size_t)common->heads, t = (size_t)common->tokens;
    for (size_t i = 0; i < h; i++) {
        vx_head_tally *to = &tally->heads[i];
        const vx_head_tally *from = &other->heads[i];
        to->entropy += from->entropy;
        to->gini += from->gini;
        to->top += from->top;
        to->prefix += from->prefix;
        to->sink += from->sink;
        to->distance += from->distance;
        to->patches += from->patches;
    }
    for (size_t i = 0; i < h * h; i++)
        tally->products[i] += other->products[i];
    for (size_t i = 0; i < h * t; i++)
        tally->received[i] += other->received[i];
    if (tally->bad_head < 0)
        tally->bad_head = other->bad_head;
}

/* ------------------------------------------------------------------ one row ---------------- */

/* Four sums at once, like vx_dot. */
static double total(const double *a, int n)
{
    double s[4] = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += a[i + k];
    for (; i < n; i++)
        s[0] += a[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* One round of a radix sort: by the byte of key - low that `shift` leaves lowest. */
static void sort_byte(uint32_t *to, const uint32_t *from, int n, uint32_t low, int shift)
{
    uint32_t start[256] = {0}, sum = 0;
    for (int i = 0; i < n; i++)
        start[(from[i] - low) >> shift & 255]++;
    for (int digit = 0; digit < 256; digit++) {
        const uint32_t count = start[digit];
        start[digit] = sum;
        sum += count;
    }
    for (int i = 0; i < n; i++)
        to[start[(from[i] - low) >> shift & 255]++] = from[i];
}

/* Puts the last keys in their places that are out of order; false where there are many. */
static bool sort_rest(uint32_t *keys, int n)
{
    int64_t moves = 8 * (int64_t)n;
    for (int i = 1; i < n; i++) {
        const uint32_t key = keys[i];
        int at = i;
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
        moves -= i - at;
        if (moves < 0)
            return false;
    }
    return true;
}

/*
 * Sorts the keys in place. Two rounds on the 16 highest bits of their range order nearly all of
 * them: bits of probabilities are about their logarithms, which spread. Where that was not enough
 * (many are nearly alike beside a few that are not) four rounds are.
 */
static void sort_keys(uint32_t *keys, uint32_t *space, int n)
{
    uint32_t low = keys[0], high = keys[0];
    int shift = 0;
    for (int i = 1; i < n; i++) {
        low = keys[i] < low ? keys[i] : low;
        high = keys[i] > high ? keys[i] : high;
    }
    while ((high - low) >> shift > 0xffff)
        shift++;
    sort_byte(space, keys, n, low, shift);
    sort_byte(keys, space, n, low, shift + 8);
    if (shift == 0 || sort_rest(keys, n))
        return;
    for (int round = 0; round < 4; round += 2) {
        sort_byte(space, keys, n, 0, 8 * round);
        sort_byte(keys, space, n, 0, 8 * round + 8);
    }
}

static double value_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

static void tally_order(vx_head_tally *head, const float *a, double sum,
                        const vx_tally_common *common, const vx_tally_room *room)
{
    const int t = common->tokens;
    double top = 0;
    memcpy(room->keys, a, (size_t)t * sizeof *room->keys);
    sort_keys(room->keys, room->space, t);
    for (int i = 0; i < t; i++)
        room->sorted[i] = value_of(room->keys[i]);
    for (int i = t - common->top; i < t; i++)
        top += room->sorted[i];
    head->gini += sum > 0 ? vx_dot(room->sorted, common->ranks, t) / (t * sum) : 0;
    head->top += top;
}

/* A row of patch `patch`, of which only the patches' columns count. */
static void tally_distance(vx_head_tally *head, const double *row, int patch,
                           const vx_tally_common *common)
{
    const int gw = common->grid_width, y0 = patch / gw, x0 = patch % gw;
    const double *a = row + common->prefix;
    double far = 0, sum = 0;
    for (int y = 0; y < common->grid_height; y++, a += gw) {
        const double *d = common->distance + abs(y - y0) * (2 * gw - 1) + gw - 1 - x0;
        for (int x = 0; x < gw; x++) {
            far += a[x] * d[x];
            sum += a[x];
        }
    }
    head->distance += far;
    head->patches += sum;
}

/* One query of one head; false where a value is not finite. */
static bool tally_row(vx_head_tally *head, double *received, double *row, const float *a, int query,
                      const vx_tally_common *common, const vx_tally_room *room)
{
    const int t = common->tokens, prefix = common->prefix;
    double entropy = 0, before = 0;
    for (int j = 0; j < t; j++) {
        row[j] = (double)a[j];
        received[j] += row[j];
    }
    const double sum = total(row, t);
    if (!isfinite(sum))
        return false;
    for (int j = 0; j < t; j++)
        entropy -= row[j] > 0 ? row[j] * log(row[j]) : 0;
    for (int j = 0; j < prefix; j++)
        before += row[j];
    head->entropy += entropy;
    head->prefix += before;
    tally_order(head, a, sum, common, room);
    if (query >= prefix) {
        head->sink += prefix ? row[0] : 0;
        tally_distance(head, row, query - prefix, common);
    }
    return true;
}

void vx_tally_rows(vx_tally *tally, const float *a, int first, int last,
                   const vx_tally_common *common, const vx_tally_room *room)
{
    const size_t heads = (size_t)common->heads, t = (size_t)common->tokens;
    for (int i = first; i < last; i++) {
        for (size_t h = 0; h < heads; h++)
            if (!tally_row(&tally->heads[h], tally->received + h * t, room->rows + h * t,
                           a + (h * t + (size_t)i) * t, i, common, room)) {
                tally->bad_head = (int)h;
                return;
            }
        for (size_t h = 0; h < heads; h++)
            for (size_t g = 0; g <= h; g++)
                tally->products[h * heads + g] +=
                    vx_dot(room->rows + h * t, room->rows + g * t, common->tokens);
    }
}

/* ------------------------------------------------------------------ one picture ------------ */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double vx_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* The share of all rows together that the patches get which get most. */
static double focus(double *received, const vx_tally_common *common)
{
    const int patches = common->tokens - common->prefix;
    double all = 0, most = 0;
    for (int j = 0; j < common->tokens; j++)
        all += received[j];
    qsort(received + common->prefix, (size_t)patches, sizeof *received, ascending);
    for (int j = common->tokens - common->few; j < common->tokens; j++)
        most += received[j];
    return all > 0 ? most / all : 0;
}

static void fill_cosines(double *cosines, const double *products, size_t heads)
{
    for (size_t h = 0; h < heads; h++)
        for (size_t g = 0; g <= h; g++) {
            const double length = sqrt(products[h * heads + h]) * sqrt(products[g * heads + g]);
            const double cosine = h == g ? 1 : length > 0 ? products[h * heads + g] / length : 0;
            cosines[h * heads + g] = cosines[g * heads + h] = cosine;
        }
}

void vx_tally_values(double *values, double *cosines, vx_tally *tally,
                     const vx_tally_common *common)
{
    const size_t heads = (size_t)common->heads, t = (size_t)common->tokens;
    const double rows = common->tokens, patches = common->tokens - common->prefix;
    fill_cosines(cosines, tally->products, heads);
    for (size_t h = 0; h < heads; h++) {
        const vx_head_tally *head = &tally->heads[h];
        double others = 0;
        for (size_t g = 0; g < heads; g++)
            others += g == h ? 0 : cosines[h * heads + g];
        values[VITX_STAT_ENTROPY * heads + h] = head->entropy / rows;
        values[VITX_STAT_DISTANCE * heads + h] =
            head->patches > 0 ? head->distance / head->patches : 0;
        values[VITX_STAT_GINI * heads + h] = head->gini / rows;
        values[VITX_STAT_TOP10 * heads + h] = head->top / rows;
        values[VITX_STAT_PREFIX * heads + h] = head->prefix / rows;
        values[VITX_STAT_SINK * heads + h] = head->sink / patches;
        values[VITX_STAT_SIMILARITY * heads + h] = heads > 1 ? others / (double)(heads - 1) : 0;
        values[VITX_STAT_FOCUS * heads + h] = focus(tally->received + h * t, common);
    }
}
