/*
 * image/resize.c: Pillow's resampling of 8-bit pictures, bit for bit.
 *
 * Facts, not code, are from Pillow's src/libImaging/Resample.c and Geometry.c. A pass along one
 * axis from `in` to `out` pixels: scale = in/out, stretch = max(scale, 1), and output pixel x is
 * the sum over the input pixels i around its centre c = (x + 0.5) scale of
 *     w_i = f((i - c + 0.5) / stretch), normalised to sum 1,
 * with weights rounded to 22 fractional bits and the sum rounded to 8 bits. An axis that keeps its
 * length is left alone. Nearest neighbour goes its own way.
 */
#include "image/resize.h"

#include "image/sampling.h"

#include <math.h>
#include <string.h>

#define WEIGHT_BITS VX_TAP_BITS /* 32 - 8 - 2: a sign, and sums of weights may pass 1 */
#define HALF (1 << (WEIGHT_BITS - 1))
#define PI 3.14159265358979323846

/* ------------------------------------------------------------------ filters -------------- */

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys 1981 with a = -0.5, in Pillow's order of operations. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct kernel {
    double (*weight)(double x);
    double support; /* the weight is 0 beyond +-support */
} kernel;

static const kernel kernels[] = {
    [VITX_BOX] = {box, 0.5},
    [VITX_BILINEAR] = {triangle, 1.0},
    [VITX_BICUBIC] = {cubic, 2.0},
    [VITX_LANCZOS] = {lanczos, 3.0},
};

/* ------------------------------------------------------------------ weights -------------- */

/* Which input pixels make an output pixel: first[i] .. first[i]+count[i]-1, weight[i*stride +
 * ..]. */
typedef struct taps {
    int n, stride;
    int *first, *count, *weight;
} taps;

static void free_taps(taps *t, const vitx_hooks *hooks)
{
    vx_release(hooks, t->first);
    vx_release(hooks, t->count);
    vx_release(hooks, t->weight);
    *t = (taps){0};
}

static int round_weight(double w)
{
    return (int)(w < 0 ? -0.5 + w * (1 << WEIGHT_BITS) : 0.5 + w * (1 << WEIGHT_BITS));
}

/* The input pixels around one output pixel, from *first on. @return how many. */
static int window(int *first, int in, double scale, const kernel *k, int pixel)
{
    const double support = k->support * (scale < 1.0 ? 1.0 : scale), center = (pixel + 0.5) * scale;
    const int low = (int)(center - support + 0.5), high = (int)(center + support + 0.5);
    *first = low < 0 ? 0 : low;
    return (high > in ? in : high) - *first;
}

/* The weights w of one output pixel, normalised, from input pixel *first on. @return how many. */
static int weigh(double *w, int *first, int in, double scale, const kernel *k, int pixel)
{
    const double inverse = 1.0 / (scale < 1.0 ? 1.0 : scale), center = (pixel + 0.5) * scale;
    const int count = window(first, in, scale, k, pixel);
    double sum = 0.0;
    for (int j = 0; j < count; j++)
        sum += w[j] = k->weight((*first + j - center + 0.5) * inverse);
    for (int j = 0; j < count && sum != 0.0; j++)
        w[j] /= sum;
    return count;
}

/* Room for the weights of one output pixel. */
static int stride_of(int in, int out, const kernel *k)
{
    const double scale = (double)in / out;
    return (int)ceil(k->support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
}

/* The weights of output pixels from.. of `out`, made from `in` input pixels; w: room for one's. */
static void fill_taps(const taps *t, double *w, int in, int out, int from, const kernel *k)
{
    for (int i = 0; i < t->n; i++) {
        t->count[i] = weigh(w, &t->first[i], in, (double)in / out, k, from + i);
        for (int j = 0; j < t->count[i]; j++)
            t->weight[(size_t)i * (size_t)t->stride + (size_t)j] = round_weight(w[j]);
    }
}

/* The same for pixels from..from+n-1, in memory of their own. */
static int make_taps(taps *t, int in, int out, int from, int n, const kernel *k,
                     const vitx_hooks *hooks)
{
    double *w = NULL;
    *t = (taps){.n = n, .stride = stride_of(in, out, k)};
    const size_t weights = (size_t)n * (size_t)t->stride;
    int status = vx_new(&w, hooks, (size_t)t->stride, sizeof *w, "filter weights");
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new(&t->first, hooks, (size_t)n, sizeof *t->first, "filter places");
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new(&t->count, hooks, (size_t)n, sizeof *t->count, "filter places");
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new(&t->weight, hooks, weights, sizeof *t->weight, "filter weights");
    if (status != VITX_OK)
        goto cleanup;
    fill_taps(t, w, in, out, from, k);
cleanup:
    vx_release(hooks, w);
    if (status != VITX_OK)
        free_taps(t, hooks);
    return status;
}

static inline uint8_t round_sum(int sum)
{
    sum >>= WEIGHT_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* ------------------------------------------------------------------ the two passes ------- */

/*
 * Two rows at once: with a sample of the upper row in the low half of 64 bits and the lower row's
 * in the high half, one multiplication by a weight serves both. A sum of the low half stays within
 * int; taking it away, sign and all, leaves the high half's.
 */
static void pair_rows(uint64_t *dst, const uint8_t *upper, const uint8_t *lower, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = upper[i] | (uint64_t)lower[i] << 32;
}

static inline void store_pair(uint8_t *upper, uint8_t *lower, uint64_t sum)
{
    const int32_t low = (int32_t)(uint32_t)sum;
    *upper = round_sum(low);
    *lower = round_sum((int32_t)(uint32_t)((sum - (uint64_t)(int64_t)low) >> 32));
}

static const uint64_t both_halves = (uint64_t)HALF << 32 | HALF;

static void across_pair(uint8_t *upper, uint8_t *lower, const uint64_t *pairs, int origin,
                        const taps *t, int channels)
{
    for (int x = 0; x < t->n; x++) {
        const int *w = t->weight + (size_t)x * (size_t)t->stride;
        const uint64_t *p = pairs + (size_t)(t->first[x] - origin) * (size_t)channels;
        for (int c = 0; c < channels; c++, p++) {
            uint64_t sum = both_halves;
            for (int i = 0; i < t->count[x]; i++)
                sum += (uint64_t)(int64_t)w[i] * p[(size_t)i * (size_t)channels];
            store_pair(upper++, lower++, sum);
        }
    }
}

/* The same for three channels, with their sums in registers. */
static void across_pair_rgb(uint8_t *upper, uint8_t *lower, const uint64_t *pairs, int origin,
                            const taps *t)
{
    for (int x = 0; x < t->n; x++, upper += 3, lower += 3) {
        const int *w = t->weight + (size_t)x * (size_t)t->stride, *end = w + t->count[x];
        const uint64_t *p = pairs + (size_t)(t->first[x] - origin) * 3;
        uint64_t r = both_halves, g = both_halves, b = both_halves;
        for (; w < end; w++, p += 3) {
            const uint64_t weight = (uint64_t)(int64_t)*w;
            r += weight * p[0];
            g += weight * p[1];
            b += weight * p[2];
        }
        store_pair(upper, lower, r);
        store_pair(upper + 1, lower + 1, g);
        store_pair(upper + 2, lower + 2, b);
    }
}

/* src begins with input column `origin`, of which `columns` are used. */
static int across(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, int rows,
                  int origin, int columns, const taps *t, int channels, const vitx_hooks *hooks)
{
    const size_t samples = (size_t)columns * (size_t)channels;
    uint64_t *pairs;
    VX_TRY(vx_new(&pairs, hooks, samples, sizeof *pairs, "a pair of rows"));
    for (int y = 0; y < rows; y += 2) {
        const size_t next = y + 1 < rows ? 1 : 0; /* the last of an odd number goes with itself */
        uint8_t *upper = dst + (size_t)y * dst_stride, *lower = upper + next * dst_stride;
        const uint8_t *row = src + (size_t)y * src_stride;
        pair_rows(pairs, row, row + next * src_stride, samples);
        if (channels == 3)
            across_pair_rgb(upper, lower, pairs, origin, t);
        else
            across_pair(upper, lower, pairs, origin, t, channels);
    }
    vx_release(hooks, pairs);
    return VITX_OK;
}

enum { BLOCK = 64 }; /* bytes of a row whose sums stay in registers or nearby */

static inline void down_block(uint8_t *dst, const uint8_t *src, size_t stride, const int *w,
                              int count, int n)
{
    int sum[BLOCK];
    for (int i = 0; i < n; i++)
        sum[i] = HALF;
    for (int j = 0; j < count; j++, src += stride)
        for (int i = 0; i < n; i++)
            sum[i] += w[j] * src[i];
    for (int i = 0; i < n; i++)
        dst[i] = round_sum(sum[i]);
}

/* src begins with input row `origin`; `bytes` of each row are used. */
static void down(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, int origin,
                 size_t bytes, const taps *t)
{
    for (int y = 0; y < t->n; y++, dst += dst_stride) {
        const int *w = t->weight + (size_t)y * (size_t)t->stride;
        const uint8_t *rows = src + (size_t)(t->first[y] - origin) * src_stride;
        size_t x = 0;
        for (; x + BLOCK <= bytes; x += BLOCK)
            down_block(dst + x, rows + x, src_stride, w, t->count[y], BLOCK);
        if (x < bytes)
            down_block(dst + x, rows + x, src_stride, w, t->count[y], (int)(bytes - x));
    }
}

static void copy_rows(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                      int rows, size_t bytes)
{
    for (int y = 0; y < rows; y++, dst += dst_stride, src += src_stride)
        memcpy(dst, src, bytes);
}

/*
 * Pillow 13 goes down first where that takes away much more than going across does; its releases
 * before always went across first. (The condition was found by comparing 13.0.0 with both orders on
 * 3000 pairs of sizes.)
 */
bool vx_resize_goes_down_first(const vx_resize_part *p)
{
    return p->dst_h < p->src_h && p->src_h - p->dst_h > 2 * (p->src_w - p->dst_w);
}

/* The input pixels from *first to *first + result - 1 make the outputs of `t`. */
static int reach(int *first, const taps *t)
{
    *first = t->first[0];
    return t->first[t->n - 1] + t->count[t->n - 1] - *first;
}

/* `src` begins with the row whose results are the first. */
static int only_across(uint8_t *dst, size_t dst_stride, const uint8_t *src, int rows,
                       const vx_resize_part *p, const taps *x, const vitx_hooks *hooks)
{
    int first;
    const int columns = reach(&first, x);
    const size_t pixel = (size_t)p->channels;
    return across(dst, dst_stride, src + (size_t)first * pixel, (size_t)p->src_w * pixel, rows,
                  first, columns, x, p->channels, hooks);
}

static int across_then_down(const vx_resize_part *p, const taps *x, const taps *y,
                            const vitx_hooks *hooks)
{
    const size_t row = (size_t)p->width * (size_t)p->channels;
    const size_t src_stride = (size_t)p->src_w * (size_t)p->channels;
    int first;
    const int rows = reach(&first, y);
    uint8_t *middle;
    VX_TRY(vx_new(&middle, hooks, row, (size_t)rows, "resized rows"));
    const int status =
        only_across(middle, row, p->src + (size_t)first * src_stride, rows, p, x, hooks);
    if (status == VITX_OK)
        down(p->dst, p->dst_stride, middle, row, first, row, y);
    vx_release(hooks, middle);
    return status;
}

static int down_then_across(const vx_resize_part *p, const taps *x, const taps *y,
                            const vitx_hooks *hooks)
{
    const size_t pixel = (size_t)p->channels;
    int first;
    const int columns = reach(&first, x);
    const size_t row = (size_t)columns * pixel;
    uint8_t *middle;
    VX_TRY(vx_new(&middle, hooks, row, (size_t)p->height, "resized columns"));
    down(middle, row, p->src + (size_t)first * pixel, (size_t)p->src_w * pixel, 0, row, y);
    const int status = across(p->dst, p->dst_stride, middle, row, p->height, first, columns, x,
                              p->channels, hooks);
    vx_release(hooks, middle);
    return status;
}

static int resample(const vx_resize_part *p, const vitx_hooks *hooks)
{
    const kernel *k = &kernels[p->filter];
    const size_t pixel = (size_t)p->channels, row = (size_t)p->width * pixel;
    const size_t src_stride = (size_t)p->src_w * pixel;
    const bool goes_across = p->dst_w != p->src_w, goes_down = p->dst_h != p->src_h;
    const uint8_t *from_row = p->src + (size_t)p->top * src_stride;
    const uint8_t *from_column = p->src + (size_t)p->left * pixel;
    taps x = {0}, y = {0};
    int status = VITX_OK;
    if (goes_across)
        status = make_taps(&x, p->src_w, p->dst_w, p->left, p->width, k, hooks);
    if (status == VITX_OK && goes_down)
        status = make_taps(&y, p->src_h, p->dst_h, p->top, p->height, k, hooks);
    if (status != VITX_OK)
        goto cleanup;
    if (goes_across && goes_down)
        status = vx_resize_goes_down_first(p) ? down_then_across(p, &x, &y, hooks)
                                              : across_then_down(p, &x, &y, hooks);
    else if (goes_across)
        status = only_across(p->dst, p->dst_stride, from_row, p->height, p, &x, hooks);
    else if (goes_down)
        down(p->dst, p->dst_stride, from_column, src_stride, 0, row, &y);
    else
        copy_rows(p->dst, p->dst_stride, from_row + (size_t)p->left * pixel, src_stride, p->height,
                  row);
cleanup:
    free_taps(&x, hooks);
    free_taps(&y, hooks);
    return status;
}

/* ------------------------------------------------------------------ unrounded ------------ */

/* Columns left..left+width-1 of rows first..first+rows-1 of the source. */
static void floats_across(float *dst, double *w, const vx_resize_part *p, int first, int rows)
{
    const size_t pixel = (size_t)p->channels, row = (size_t)p->width * pixel;
    for (int x = 0; x < p->width; x++) {
        int from;
        const int count = weigh(w, &from, p->src_w, (double)p->src_w / p->dst_w,
                                &kernels[p->filter], p->left + x);
        for (size_t i = 0; i < (size_t)rows * pixel; i++) {
            const size_t y = i / pixel, c = i % pixel;
            const uint8_t *src =
                p->src + (((size_t)first + y) * (size_t)p->src_w + (size_t)from) * pixel + c;
            double sum = 0;
            for (int j = 0; j < count; j++)
                sum += w[j] * src[(size_t)j * pixel];
            dst[y * row + (size_t)x * pixel + c] = (float)sum;
        }
    }
}

/* Rows top..top+height-1; `middle` begins with row `origin` of the source. */
static void floats_down(float *dst, double *w, const vx_resize_part *p, const float *middle,
                        int origin)
{
    const size_t row = (size_t)p->width * (size_t)p->channels;
    for (int y = 0; y < p->height; y++) {
        int from;
        const int count =
            weigh(w, &from, p->src_h, (double)p->src_h / p->dst_h, &kernels[p->filter], p->top + y);
        const float *src = middle + (size_t)(from - origin) * row;
        for (size_t i = 0; i < row; i++) {
            double sum = 0;
            for (int j = 0; j < count; j++)
                sum += w[j] * (double)src[(size_t)j * row + i];
            dst[(size_t)y * p->dst_stride + i] = (float)sum;
        }
    }
}

int vx_resize_part_f32(float *dst, const vx_resize_part *p, const vitx_hooks *hooks)
{
    const kernel *k = &kernels[p->filter];
    const double sx = (double)p->src_w / p->dst_w, sy = (double)p->src_h / p->dst_h;
    const double stretch = fmax(fmax(sx, sy), 1);
    double *w = NULL;
    float *middle = NULL;
    int first, last;
    VX_TRY(
        vx_new(&w, hooks, (size_t)ceil(k->support * stretch) * 2 + 1, sizeof *w, "filter weights"));
    weigh(w, &first, p->src_h, sy, k, p->top);
    const int end = weigh(w, &last, p->src_h, sy, k, p->top + p->height - 1) + last;
    const size_t row = (size_t)p->width * (size_t)p->channels;
    const int status =
        vx_new(&middle, hooks, (size_t)(end - first), row * sizeof *middle, "resized rows");
    if (status == VITX_OK) {
        floats_across(middle, w, p, first, end - first);
        floats_down(dst, w, p, middle, first);
    }
    vx_release(hooks, middle);
    vx_release(hooks, w);
    return status;
}

/* ------------------------------------------------------------------ nearest -------------- */

/* The input pixel of output pixels from..from+n-1, -1 for none, and the range of those that there
 * are; place may be NULL. Pillow steps by adding, so the place of the last pixels carries the
 * rounding of all the steps before. */
static void find_places(int *place, int *first, int *end, int in, int out, int from, int n)
{
    const double scale = (double)in / out;
    double at = scale * 0.5;
    *first = *end = 0;
    for (int i = 0; i < from + n; i++, at += scale) {
        const int found = (int)at < in ? (int)at : -1;
        if (i >= from && place)
            place[i - from] = found;
        if (i >= from && found >= 0) {
            *first = *end ? *first : found;
            *end = found + 1;
        }
    }
}

static int *nearest_places(int in, int out, int from, int n, const vitx_hooks *hooks)
{
    int *place, first, end;
    if (vx_new(&place, hooks, (size_t)n, sizeof *place, "pixel places") != VITX_OK)
        return NULL;
    find_places(place, &first, &end, in, out, from, n);
    return place;
}

static int nearest(const vx_resize_part *p, const vitx_hooks *hooks)
{
    const size_t pixel = (size_t)p->channels;
    int *x = nearest_places(p->src_w, p->dst_w, p->left, p->width, hooks);
    int *y = x ? nearest_places(p->src_h, p->dst_h, p->top, p->height, hooks) : NULL;
    for (int j = 0; y && j < p->height; j++) {
        uint8_t *dst = p->dst + (size_t)j * p->dst_stride;
        const uint8_t *src = p->src + (size_t)(y[j] < 0 ? 0 : y[j]) * (size_t)p->src_w * pixel;
        for (int i = 0; i < p->width; i++, dst += pixel) {
            if (x[i] < 0 || y[j] < 0)
                memset(dst, 0, pixel);
            else
                memcpy(dst, src + (size_t)x[i] * pixel, pixel);
        }
    }
    const int status = y ? VITX_OK : VITX_NOMEM;
    vx_release(hooks, x);
    vx_release(hooks, y);
    return status;
}

/* ------------------------------------------------------------------ for a device --------- */

/* Pixels that are one input pixel each, or none. */
static bool moves(const vx_sampled_axis *a)
{
    return a->filter == VITX_NEAREST || (a->in == a->out && !a->unrounded);
}

void vx_sampled_axis_measure(vx_sampled_axis *a)
{
    const kernel *k = &kernels[a->filter];
    const double scale = (double)a->in / a->out;
    a->stride = moves(a) ? 1 : stride_of(a->in, a->out, k);
    if (a->filter == VITX_NEAREST) {
        find_places(NULL, &a->first, &a->count, a->in, a->out, a->from, a->n);
        a->count -= a->first;
    } else if (moves(a)) {
        a->first = a->from;
        a->count = a->n;
    } else {
        int last;
        const int count = window(&last, a->in, scale, k, a->from + a->n - 1);
        window(&a->first, a->in, scale, k, a->from);
        a->count = last + count - a->first;
    }
    a->count = a->count > 0 ? a->count : 1;
}

/* Rounded weights are made of one output pixel's as they are, which lie in front of them. */
static size_t bytes_before(const vx_sampled_axis *a)
{
    return moves(a) || a->unrounded ? 0 : (size_t)a->stride * sizeof(double);
}

static size_t bytes_of_weights(const vx_sampled_axis *a)
{
    return (size_t)a->n * (size_t)a->stride * (a->unrounded ? sizeof(double) : sizeof(int));
}

size_t vx_sampled_axis_bytes(const vx_sampled_axis *a)
{
    const size_t bytes = bytes_before(a) + bytes_of_weights(a) + 2 * (size_t)a->n * sizeof(int);
    return (bytes + 7) / 8 * 8;
}

static void fill_moves(const taps *t, const vx_sampled_axis *a)
{
    int first, end;
    if (a->filter == VITX_NEAREST)
        find_places(t->first, &first, &end, a->in, a->out, a->from, a->n);
    for (int i = 0; i < t->n; i++) {
        t->first[i] = a->filter == VITX_NEAREST ? t->first[i] : a->from + i;
        t->count[i] = t->first[i] >= 0;
        t->weight[i] = 1 << WEIGHT_BITS;
    }
}

vx_taps vx_sampled_axis_fill(const vx_sampled_axis *a, void *memory, const void *far)
{
    const kernel *k = &kernels[a->filter];
    const size_t before = bytes_before(a), places = before + bytes_of_weights(a);
    char *const at = memory;
    const char *const there = far;
    const taps t = {.n = a->n,
                    .stride = a->stride,
                    .first = (int *)(void *)(at + places),
                    .count = (int *)(void *)(at + places) + a->n,
                    .weight = (int *)(void *)(at + before)};
    double *exact = memory;
    if (moves(a))
        fill_moves(&t, a);
    else if (!a->unrounded)
        fill_taps(&t, exact, a->in, a->out, a->from, k);
    else
        for (int i = 0; i < a->n; i++, exact += a->stride)
            t.count[i] = weigh(exact, &t.first[i], a->in, (double)a->in / a->out, k, a->from + i);
    for (int i = 0; i < a->n; i++)
        t.first[i] = t.count[i] > 0 ? t.first[i] - a->first : 0;
    return (vx_taps){.first = (const int *)(const void *)(there + places),
                     .count = (const int *)(const void *)(there + places) + a->n,
                     .weight = there + before,
                     .n = a->n,
                     .stride = a->stride};
}

int vx_resize_part_u8(const vx_resize_part *part, const vitx_hooks *hooks)
{
    if (part->src_w < 1 || part->src_h < 1 || part->dst_w < 1 || part->dst_h < 1 ||
        part->left < 0 || part->top < 0 || part->width < 1 || part->height < 1 ||
        part->width > part->dst_w - part->left || part->height > part->dst_h - part->top ||
        part->channels < 1 || part->channels > 4 || (unsigned)part->filter > VITX_LANCZOS)
        return vx_fail(VITX_INVALID, "resizing %d x %d to %d x %d pixels, %d channels, filter %d",
                       part->src_w, part->src_h, part->dst_w, part->dst_h, part->channels,
                       (int)part->filter);
    return part->filter == VITX_NEAREST ? nearest(part, hooks) : resample(part, hooks);
}

int vx_resize_u8(uint8_t *dst, int dst_w, int dst_h, const uint8_t *src, int src_w, int src_h,
                 int channels, vitx_filter filter, const vitx_hooks *hooks)
{
    const vx_resize_part whole = {
        .dst = dst,
        .dst_stride = (size_t)(dst_w > 0 ? dst_w : 0) * (size_t)(channels > 0 ? channels : 0),
        .width = dst_w,
        .height = dst_h,
        .dst_w = dst_w,
        .dst_h = dst_h,
        .src = src,
        .src_w = src_w,
        .src_h = src_h,
        .channels = channels,
        .filter = filter,
    };
    return vx_resize_part_u8(&whole, hooks);
}
