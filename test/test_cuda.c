/*
 * The device cuda as its host twin: products in every precision, pictures, failures and what is
 * said of them, several contexts and several GPUs. (test_kernels has every operation in f32.) Every
 * second product is made with one warp as far ahead of the others as it can be. VX_TEST_THREADS
 *
 * The bounds. S = sum |x||w| of an element.
 *
 *   sum       k terms added in any order in f32 are off by at most k 2^-24 S.
 *   bf16      a number is off by at most 2^-8 of itself, a product by 2^-7 + 2^-16.
 *   f16       2^-11, and 2^-10 + 2^-22. Numbers below 2^-14 are off by up to 2^-25.
 *   bf16x3    high + low is off by 2^-17, and low * low is left out: 2^-15 for a product.
 *
 * An activation is no steeper than 1.2. What is stored in 16 bits is rounded once more, and where
 * cuBLASLt stores what a kernel then finishes, twice. Its GELU is off by 5e-4 (blaslt.h).
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_bed.h"
#include "image/sampling.h"
#include "kernel_bed.h"
#include "kernels/cuda/host/blaslt_host.h"
#include "kernels/cuda/host/machine.h"
#include "kernels/ref/ref.h"

enum { PRECISIONS = 4, FEATURES = 4, CASES = PRECISIONS * FEATURES };

static const struct {
    const char *name;
    double product, stored; /* relative error of a product, and of a number that is stored */
    double least;           /* absolute error of a number that is stored */
} precisions[PRECISIONS] = {{"f32", 0, 0, 0},
                            {"bf16x3", 0x1p-15, 0, 0},
                            {"bf16", 0x1p-7 + 0x1p-16, 0x1p-8, 0},
                            {"f16", 0x1p-10 + 0x1p-22, 0x1p-11, 0x1p-25}};

/* So few tokens that a product of many rows is made in several parts. */
static const vx_dims dims = {.batch = 1,
                             .tokens = 20,
                             .width = 64,
                             .heads = 1,
                             .head_width = 64,
                             .hidden = 128,
                             .channels = 3,
                             .patch_height = 7,
                             .patch_width = 7,
                             .classes = 200};

static const vx_device_class *cuda(void)
{
    return cuda_class();
}

static vx_device *open_on(int ordinal, const char *precision, unsigned features)
{
    return cuda_open(ordinal, precision, features, &dims);
}

/* ----------------------------------------------------------------------------- arrays ------ */

/* An array on the GPU, and what it holds; narrow: in the precision's own type. It begins `offset`
 * elements into its memory. */
typedef struct array {
    vx_device *dev;
    double *value;
    cuda_piece piece;
    size_t count;
    int type; /* 0 f32, 1 bf16, 2 f16 */
} array;

static size_t element(const array *a)
{
    return a->type ? 2 : 4;
}

static uint16_t to_bf16(float x)
{
    const uint32_t bits = vx_float_bits(x);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static array array_of(vx_device *dev, size_t count, size_t offset, int type)
{
    array a = {dev, calloc(count + 1, sizeof(double)), {0}, count, type};
    expect(a.value != NULL, "no memory");
    a.piece = cuda_send(dev, NULL, count * element(&a), offset * element(&a));
    return a;
}

static void free_array(array *a)
{
    free(a->value);
    cuda_free(&a->piece);
}

static void *at(const array *a)
{
    return cuda_at(&a->piece);
}

static float *floats(const array *a)
{
    return at(a);
}

static double held(int type, const void *bytes, size_t i)
{
    if (type == 0)
        return (double)((const float *)bytes)[i];
    const uint16_t half = ((const uint16_t *)bytes)[i];
    return (double)(type == 1 ? vx_bits_float((uint32_t)half << 16) : vx_half_to_float(half));
}

/* value[] becomes what the array can hold, and goes there. */
static void send(array *a)
{
    void *bytes = malloc(a->count * element(a) + 1);
    expect(bytes != NULL, "no memory");
    for (size_t i = 0; i < a->count; i++) {
        const float x = (float)a->value[i];
        if (a->type)
            ((uint16_t *)bytes)[i] = a->type == 1 ? to_bf16(x) : vx_float_to_half(x);
        else
            ((float *)bytes)[i] = x;
        a->value[i] = held(a->type, bytes, i);
    }
    a->dev->cls->upload(a->dev, at(a), bytes, a->count * element(a));
    cuda_sync(a->dev);
    free(bytes);
}

static void fetch(array *a)
{
    void *bytes = malloc(a->count * element(a) + 1);
    expect(bytes != NULL, "no memory");
    cuda_fetch(bytes, &a->piece, "the operation");
    for (size_t i = 0; i < a->count; i++)
        a->value[i] = held(a->type, bytes, i);
    free(bytes);
}

static array drawn(vx_device *dev, rng *r, size_t count, size_t offset, int type, double scale)
{
    array a = array_of(dev, count, offset, type);
    for (size_t i = 0; i < count; i++)
        a.value[i] = (double)rng_normal(r) * scale;
    send(&a);
    return a;
}

static vx_weight packed(vx_device *dev, rng *r, const char *precision, float **plain, int n, int k)
{
    char err[200];
    const vx_packing *packing = cuda()->packing_for(precision, VX_LAYER_FC1, 0);
    void *data = cuda()->mem_alloc(packing->bytes(n, k), &dev->env);
    const vx_weight w = {.data = data, .n = n, .k = k, .packing = packing};
    *plain = weights(r, (size_t)n * (size_t)k, 0.5f);
    expect(data && packing->pack(&dev->env, &w, *plain, 0, n, err, sizeof err) == 0, "%s", err);
    return w;
}

static void free_packed(vx_device *dev, const vx_weight *w, float *plain)
{
    free(plain);
    cuda()->mem_free((void *)(uintptr_t)w->data, &dev->env);
}

/* ----------------------------------------------------------------------------- linear ------ */

enum { BIAS = 1, GAMMA = 2, RESIDUAL = 4, PRE = 8, IN_PLACE = 16, NORM = 32 };

typedef struct setting {
    int m, n, k, parts, pad, offset, x_narrow, y_narrow;
    vx_act act;
} setting;

/* Odd sizes, or multiples of 8, which cuBLASLt and the tensor cores take. */
static setting drawn_setting(rng *r, int round)
{
    static const int odd[] = {1, 7, 9, 17, 33, 65, 130}, even[] = {8, 16, 24, 64, 72, 128};
    const bool aligned = round % 3 != 0;
    setting s = {.parts = rng_int(r, 0, 63), .pad = aligned ? 8 * rng_int(r, 0, 1) : 3};
    s.m = odd[rng_int(r, 0, 6)];
    s.n = aligned ? even[rng_int(r, 0, 5)] : odd[rng_int(r, 0, 6)];
    s.k = aligned ? even[rng_int(r, 0, 5)] : odd[rng_int(r, 0, 6)];
    s.offset = aligned ? 0 : rng_int(r, 0, 3);
    s.act = (vx_act)rng_int(r, 0, VX_ACT_COUNT);
    s.x_narrow = rng_int(r, 0, 1);
    s.y_narrow = rng_int(r, 0, 1);
    if (s.act == VX_ACT_SWIGLU) {
        s.parts = (s.parts & (BIAS | NORM)) | PRE;
        s.n *= 2;
    }
    if (!(s.parts & RESIDUAL) || s.y_narrow)
        s.parts &= ~IN_PLACE;
    if (s.parts & NORM)
        s.x_narrow = 0;
    return s;
}

static int narrow_type(int precision)
{
    return precision < 2 ? 0 : precision - 1;
}

static void check_one(double got, double expected, double limit, const char *what, int i, int j)
{
    expect(fabs(got - expected) <= limit, "%s: (%d,%d) is %.9g, expected %.9g within %.3g", what, i,
           j, got, expected, limit);
}

typedef struct forward {
    array x, y, pre, bias, gamma, residual, norm, normed;
    float *w;
    int ldx, ldy, ldp, ldr;
} forward;

/* Element (i,j) before the activation, and how far off it may be. */
static double before(const forward *f, const setting *s, int precision, int i, int j, double *limit)
{
    double sum = 0, size = 0;
    for (int p = 0; p < s->k; p++) {
        const double term = f->x.value[i * f->ldx + p] * (double)f->w[j * s->k + p];
        sum += term;
        size += fabs(term);
    }
    const double bias = s->parts & BIAS ? f->bias.value[j] : 0, v = sum + bias;
    const double stored = precisions[precision].stored;
    *limit =
        size * (precisions[precision].product + (s->k + (s->parts & NORM ? 40 : 8)) * 0x1p-24) +
        (fabs(bias) + fabs(v)) * (stored + 0x1p-23) + 2 * precisions[precision].least + 1e-30;
    return v;
}

static void check_forward(forward *f, const setting *s, int precision, const char *what)
{
    const bool gated = s->act == VX_ACT_SWIGLU;
    const double stored = precisions[precision].stored + 0x1p-22;
    for (int i = 0; i < s->m; i++)
        for (int j = 0; j < (gated ? s->n / 2 : s->n); j++) {
            double limit, other_limit = 0, v = before(f, s, precision, i, j, &limit);
            if (s->parts & PRE)
                check_one(f->pre.value[i * f->ldp + j], v, limit, what, i, j);
            double y = gated ? v / (1 + exp(-v)) : vx_ref_act(s->act, v);
            if (gated) {
                const double u = before(f, s, precision, i, j + s->n / 2, &other_limit);
                limit = limit * 1.2 * (fabs(u) + other_limit) + fabs(y) * other_limit;
                y *= u;
            } else {
                const double g = s->parts & GAMMA ? f->gamma.value[j] : 1;
                limit = (1.2 * limit + fabs(y) * stored) * fabs(g);
                if (precision >= 2 && (s->act == VX_ACT_GELU || s->act == VX_ACT_GELU_TANH))
                    limit += 5e-4;
                y = y * g + (s->parts & RESIDUAL ? f->residual.value[i * f->ldr + j] : 0);
            }
            check_one(f->y.value[i * f->ldy + j], y,
                      limit + (fabs(y) + limit) * 2 * stored + precisions[precision].least, what, i,
                      j);
        }
}

/* The layernorm in front: x becomes what it makes of it. */
static void normalise(forward *f, const setting *s)
{
    for (int i = 0; i < s->m; i++) {
        double *x = f->x.value + i * f->ldx, mean = 0, square = 0;
        for (int p = 0; p < s->k; p++)
            mean += x[p] / s->k;
        for (int p = 0; p < s->k; p++)
            square += (x[p] - mean) * (x[p] - mean) / s->k;
        for (int p = 0; p < s->k; p++)
            x[p] = (x[p] - mean) / sqrt(square + 0.25) * f->norm.value[p] + f->norm.value[s->k + p];
    }
}

static void linear_case(vx_device *dev, rng *r, int precision, const setting *s, const char *what)
{
    const size_t m = (size_t)s->m, n = (size_t)s->n, offset = (size_t)s->offset;
    const int narrow = narrow_type(precision), gated = s->act == VX_ACT_SWIGLU;
    forward f = {.ldx = s->k + s->pad,
                 .ldy = (gated ? s->n / 2 : s->n) + s->pad,
                 .ldp = s->n + 2 * s->pad,
                 .ldr = s->n + s->pad};
    vx_weight w = packed(dev, r, precisions[precision].name, &f.w, s->n, s->k);
    f.x = drawn(dev, r, m * (size_t)f.ldx, offset, s->x_narrow ? narrow : 0, 0.5);
    f.bias = drawn(dev, r, n, offset, 0, 1);
    f.gamma = drawn(dev, r, n, 0, 0, 1);
    f.residual = drawn(dev, r, m * (size_t)f.ldr, offset, 0, 1);
    f.y = drawn(dev, r, m * (size_t)f.ldy, offset, s->y_narrow ? narrow : 0, 1);
    f.pre = drawn(dev, r, m * (size_t)f.ldp, offset, s->y_narrow ? narrow : 0, 1);
    w.bias = s->parts & BIAS ? floats(&f.bias) : NULL;
    vx_linear a = {.ldx = f.ldx, .ldy = f.ldy, .ldp = f.ldp, .ldr = f.ldr, .w = &w, .m = s->m};
    a.x = s->x_narrow ? NULL : at(&f.x);
    a.x_n = s->x_narrow ? at(&f.x) : NULL;
    a.y = s->y_narrow ? NULL : at(&f.y);
    a.y_n = s->y_narrow ? at(&f.y) : NULL;
    a.act = s->act;
    a.gamma = s->parts & GAMMA ? floats(&f.gamma) : NULL;
    a.residual = s->parts & RESIDUAL ? floats(&f.residual) : NULL;
    if (s->parts & IN_PLACE) {
        memcpy(f.y.value, f.residual.value, m * (size_t)f.ldr * sizeof(double));
        send(&f.y);
        a.residual = a.y;
    }
    if (s->parts & PRE) {
        a.pre = s->y_narrow ? NULL : at(&f.pre);
        a.pre_n = s->y_narrow ? at(&f.pre) : NULL;
    }
    f.norm = drawn(dev, r, 2 * (size_t)s->k, offset, 0, 1);
    f.normed = drawn(dev, r, m * (size_t)s->k, 0, 0, 1);
    if (s->parts & NORM) {
        a.norm = (vx_prologue){floats(&f.norm), floats(&f.norm) + s->k, 0.25f};
        a.normed = floats(&f.normed);
        a.keep_normed = s->parts & PRE;
        normalise(&f, s);
    }
    dev->ops.linear(dev, &a);
    fetch(&f.normed);
    fetch(&f.y);
    fetch(&f.pre);
    check_forward(&f, s, precision, what);
    free_packed(dev, &w, f.w);
    array *all[] = {&f.x, &f.y, &f.pre, &f.bias, &f.gamma, &f.residual, &f.norm, &f.normed};
    for (int i = 0; i < 8; i++)
        free_array(all[i]);
}

static const char *told(const char *op, int precision, unsigned features, const setting *s)
{
    static char text[300];
    snprintf(text, sizeof text,
             "%s %s, features %u: [%d,%d]x%d, act %d, parts %d, pad %d, offset %d, narrow %d %d",
             op, precisions[precision].name, features, s->m, s->n, s->k, (int)s->act, s->parts,
             s->pad, s->offset, s->x_narrow, s->y_narrow);
    return text;
}

START_TEST(test_linear__in_every_precision)
{
    const int precision = _i / FEATURES, rounds = SANITIZED ? 12 : 60;
    const unsigned features = (unsigned)_i % FEATURES;
    vx_device *dev = open_on(0, precisions[precision].name, features);
    rng r = {(uint64_t)_i + 1};
    for (int i = 0; i < rounds; i++) {
        const setting s = drawn_setting(&r, i);
        vx_machine_schedule(i % 2 ? VX_SCHEDULE_AHEAD : VX_SCHEDULE_FORWARD);
        linear_case(dev, &r, precision, &s, told("linear", precision, features, &s));
    }
    cuda()->close(dev);
}
END_TEST

/* ------------------------------------------------------------------------- its gradient ---- */

typedef struct backward {
    array dy, dx, pre, gamma;
    float *w;
    int lddy, lddx, ldp, tokens, targets;
} backward;

static double gradient(const backward *b, const setting *s, int precision, int i, int c,
                       double *limit)
{
    double sum = 0, size = 0;
    for (int j = 0; j < s->n; j++) {
        const double g = s->parts & GAMMA ? b->gamma.value[j] : 1;
        const double term = g * b->dy.value[i * b->lddy + j] * (double)b->w[j * s->k + c];
        sum += term;
        size += fabs(term);
    }
    *limit = size * (precisions[precision].product + (s->n + 8) * 0x1p-24) +
             2 * fabs(sum) * precisions[precision].stored + 2 * precisions[precision].least + 1e-30;
    return sum;
}

static void check_backward(backward *b, const setting *s, int precision, const char *what)
{
    const double stored = precisions[precision].stored + 0x1p-21;
    for (int i = 0; i < s->m; i++)
        for (int c = 0; c < s->k; c++) {
            double limit, d = gradient(b, s, precision, i, c, &limit);
            const double *pre =
                b->pre.value + vx_forward_row(i, b->tokens, b->targets) * (size_t)b->ldp;
            const double *dx = b->dx.value + (size_t)i * (size_t)b->lddx;
            if (s->act == VX_ACT_SWIGLU) {
                const double u = pre[c], v = pre[s->k + c], g = 1 / (1 + exp(-u));
                const double du = v * (g + u * g * (1 - g)), dv = u * g;
                check_one(dx[c], d * du,
                          (limit + fabs(d) * stored) * fabs(du) + fabs(d * v) * 1e-6 +
                              precisions[precision].least,
                          what, i, c);
                check_one(dx[s->k + c], d * dv,
                          (limit + fabs(d) * stored) * fabs(dv) + 1e-7 +
                              precisions[precision].least,
                          what, i, s->k + c);
                continue;
            }
            const double slope = vx_ref_act_slope(s->act, s->act ? pre[c] : 0);
            check_one(dx[c], d * slope,
                      limit * (fabs(slope) + stored) + fabs(d) * (2e-6 + stored * fabs(slope)) +
                          precisions[precision].least,
                      what, i, c);
        }
}

static void backward_case(vx_device *dev, rng *r, int precision, const setting *s, const char *what)
{
    const int narrow = narrow_type(precision), gated = s->act == VX_ACT_SWIGLU;
    const int columns = gated ? 2 * s->k : s->k, targets = s->m % 3 ? 1 : 3;
    const int tokens = s->m / targets % 2 ? 1 : 2;
    const size_t m = (size_t)s->m, offset = (size_t)s->offset;
    backward b = {.lddy = s->n + s->pad,
                  .lddx = columns + s->pad,
                  .ldp = columns + 2 * s->pad,
                  .tokens = s->m % (targets * tokens) ? 1 : tokens,
                  .targets = targets};
    const vx_weight w = packed(dev, r, precisions[precision].name, &b.w, s->n, s->k);
    b.dy = drawn(dev, r, m * (size_t)b.lddy, offset, s->x_narrow ? narrow : 0, 1);
    b.dx = drawn(dev, r, m * (size_t)b.lddx, offset, s->y_narrow ? narrow : 0, 1);
    b.pre = drawn(dev, r, m * (size_t)b.ldp, offset, s->y_narrow ? narrow : 0, 1);
    b.gamma = drawn(dev, r, (size_t)s->n, 0, 0, 1);
    vx_linear_bwd a = {.lddx = b.lddx, .lddy = b.lddy, .ldp = b.ldp, .w = &w, .act = s->act};
    a.dy = s->x_narrow ? NULL : at(&b.dy);
    a.dy_n = s->x_narrow ? at(&b.dy) : NULL;
    a.dx = s->y_narrow ? NULL : at(&b.dx);
    a.dx_n = s->y_narrow ? at(&b.dx) : NULL;
    if (s->act != VX_ACT_NONE) {
        a.pre = s->y_narrow ? NULL : at(&b.pre);
        a.pre_n = s->y_narrow ? at(&b.pre) : NULL;
    }
    a.gamma = s->parts & GAMMA ? floats(&b.gamma) : NULL;
    a.m = s->m;
    a.tokens = b.tokens;
    a.targets = targets;
    dev->ops.linear_bwd(dev, &a);
    fetch(&b.dx);
    check_backward(&b, s, precision, what);
    free_packed(dev, &w, b.w);
    array *all[] = {&b.dy, &b.dx, &b.pre, &b.gamma};
    for (int i = 0; i < 4; i++)
        free_array(all[i]);
}

START_TEST(test_linear_bwd__in_every_precision)
{
    const int precision = _i / FEATURES, rounds = SANITIZED ? 12 : 60;
    const unsigned features = (unsigned)_i % FEATURES;
    vx_device *dev = open_on(0, precisions[precision].name, features);
    rng r = {(uint64_t)_i + 101};
    for (int i = 0; i < rounds; i++) {
        setting s = drawn_setting(&r, i);
        s.parts &= GAMMA;
        vx_machine_schedule(i % 2 ? VX_SCHEDULE_AHEAD : VX_SCHEDULE_FORWARD);
        backward_case(dev, &r, precision, &s, told("linear_bwd", precision, features, &s));
    }
    cuda()->close(dev);
}
END_TEST

/* So large that the blocks of our own kernels are the large ones. */
START_TEST(test_products__in_large_blocks)
{
    const int precision = 2 + _i;
    vx_device *dev = open_on(0, precisions[precision].name, VX_CUDA_MMA);
    rng r = {(uint64_t)_i + 151};
    const setting forwards = {.m = 1450,
                              .n = 1482,
                              .k = 24,
                              .parts = BIAS | GAMMA | RESIDUAL,
                              .x_narrow = 1,
                              .act = VX_ACT_QUICK_GELU};
    const setting backwards = {.m = 1450, .n = 40, .k = 1480, .x_narrow = 1, .act = VX_ACT_GELU};
    linear_case(dev, &r, precision, &forwards, "linear in large blocks");
    backward_case(dev, &r, precision, &backwards, "linear_bwd in large blocks");
    cuda()->close(dev);
}
END_TEST

/* ------------------------------------------------------------------------------ patches ---- */

/* vx_patch_embed.y and vx_patch_embed_bwd.dimage against the sums; the gradients are those of as
 * many pictures. */
static void patch_case(vx_device *dev, rng *r, int precision, int side, int d, const char *what)
{
    enum { C = 3, B = 3, HEIGHT = 23, WIDTH = 30, LEAD = 2 };
    const int gh = HEIGHT / side, gw = WIDTH / side, k = C * side * side, patches = gh * gw;
    const size_t pixels = B * C * HEIGHT * WIDTH, rows = (size_t)(B * (LEAD + patches));
    float *plain;
    vx_weight w = packed(dev, r, precisions[precision].name, &plain, d, k);
    array image = drawn(dev, r, pixels, 0, 0, 1), y = drawn(dev, r, rows * (size_t)d, 0, 0, 1);
    array pos = drawn(dev, r, (size_t)(patches * d), 0, 0, 1);
    array prefix = drawn(dev, r, (size_t)(LEAD * d), 0, 0, 1),
          bias = drawn(dev, r, (size_t)d, 0, 0, 1);
    array dy = drawn(dev, r, rows * (size_t)d, 0, 0, 1), dimage = drawn(dev, r, pixels, 0, 0, 1);
    w.bias = floats(&bias);
    dev->ops.patch_embed(dev,
                         &(vx_patch_embed){floats(&y), floats(&image), &w, floats(&prefix),
                                           floats(&pos), B, C, HEIGHT, WIDTH, side, side, LEAD});
    dev->ops.patch_embed_bwd(dev, &(vx_patch_embed_bwd){floats(&dimage), floats(&dy), &w, B, C,
                                                        HEIGHT, WIDTH, side, side, LEAD});
    fetch(&y);
    fetch(&dimage);
    const double product = precisions[precision].product + (k + d) * 0x1p-24;
    double *sums = calloc(pixels, sizeof *sums), *sizes_ = calloc(pixels, sizeof *sizes_);
    expect(sums && sizes_, "no memory");
    for (int b = 0; b < B; b++)
        for (int t = 0; t < LEAD + patches; t++)
            for (int j = 0; j < d; j++) {
                const size_t row = (size_t)(b * (LEAD + patches) + t);
                double sum = t < LEAD ? prefix.value[t * d + j] : bias.value[j], size = 0;
                for (int p = 0; p < k && t >= LEAD; p++) {
                    const int c = p / side / side, py = p / side % side, px = p % side;
                    const int at_y = (t - LEAD) / gw * side + py,
                              at_x = (t - LEAD) % gw * side + px;
                    const size_t pixel = (size_t)(((b * C + c) * HEIGHT + at_y) * WIDTH + at_x);
                    const double of = (double)plain[j * k + p];
                    const double g = dy.value[row * (size_t)d + (size_t)j] * of;
                    sum += image.value[pixel] * of;
                    size += fabs(image.value[pixel] * of);
                    sums[pixel] += g;
                    sizes_[pixel] += fabs(g);
                }
                sum += t < LEAD ? 0 : pos.value[(t - LEAD) * d + j];
                check_one(y.value[row * (size_t)d + (size_t)j], sum,
                          size * product + fabs(sum) * 0x1p-20, what, t, j);
            }
    for (size_t i = 0; i < pixels; i++)
        check_one(dimage.value[i], sums[i], sizes_[i] * product, what, -1, (int)i);
    free(sums);
    free(sizes_);
    free_packed(dev, &w, plain);
    array *all[] = {&image, &y, &pos, &prefix, &bias, &dy, &dimage};
    for (int i = 0; i < 7; i++)
        free_array(all[i]);
}

START_TEST(test_patches__in_every_precision)
{
    static const int sides[] = {7, 4, 23};
    const int precision = _i / FEATURES;
    vx_device *dev = open_on(0, precisions[precision].name, (unsigned)_i % FEATURES);
    char err[100];
    const vx_dims more = {.batch = 1,
                          .tokens = 40,
                          .width = 64,
                          .heads = 1,
                          .head_width = 1,
                          .channels = 3,
                          .patch_height = 23,
                          .patch_width = 23,
                          .classes = 1};
    rng r = {(uint64_t)_i + 201};
    expect(cuda()->reserve(dev, &more, err, sizeof err) == 0, "%s", err);
    for (int i = 0; i < 3; i++)
        for (int d = 16; d < 40; d += 19)
            patch_case(dev, &r, precision, sides[i], d, precisions[precision].name);
    cuda()->close(dev);
}
END_TEST

/* ----------------------------------------------------------------------------- failures ---- */

/* A product [m,24] of rows of 16, of ones: 16 everywhere. */
typedef struct ones {
    vx_weight w;
    array x, y;
    int m;
} ones;

static ones make_ones(vx_device *dev, const char *precision, int m)
{
    char err[200];
    float rows[24 * 16];
    const vx_packing *packing = cuda()->packing_for(precision, VX_LAYER_HEAD, 0);
    void *data = cuda()->mem_alloc(packing->bytes(24, 16), &dev->env);
    ones o = {.w = {.data = data, .n = 24, .k = 16, .packing = packing}, .m = m};
    for (int i = 0; i < 24 * 16; i++)
        rows[i] = 1;
    expect(data && packing->pack(&dev->env, &o.w, rows, 0, 24, err, sizeof err) == 0, "%s", err);
    o.x = array_of(dev, (size_t)m * 16, 0, 0);
    o.y = array_of(dev, (size_t)m * 24, 0, 0);
    for (int i = 0; i < m * 16; i++)
        o.x.value[i] = 1;
    send(&o.x);
    return o;
}

static void run_ones(vx_device *dev, const ones *o)
{
    dev->ops.linear(
        dev,
        &(vx_linear){
            .y = floats(&o->y), .ldy = 24, .x = floats(&o->x), .ldx = 16, .w = &o->w, .m = o->m});
}

static void check_ones(ones *o)
{
    fetch(&o->y);
    for (int i = 0; i < o->m * 24; i++)
        expect(o->y.value[i] == 16, "element %d is %g", i, o->y.value[i]);
}

static void free_ones(vx_device *dev, ones *o)
{
    cuda()->mem_free((void *)(uintptr_t)o->w.data, &dev->env);
    free_array(&o->x);
    free_array(&o->y);
}

START_TEST(test_errors__stay_until_sync)
{
    if (!cuda_is_twin("errors stay until sync"))
        return;
    char err[200] = "";
    vx_device *dev = open_on(0, "bf16x3", VX_FEATURES_ALL);
    ones o = make_ones(dev, "bf16x3", 20);
    vx_machine_fail_launch(0);
    run_ones(dev, &o);
    run_ones(dev, &o); /* nothing is queued any more */
    dev->ops.clear(dev, &(vx_clear){.y = floats(&o.y), .count = 5});
    ck_assert_int_eq(cuda()->sync(dev, err, sizeof err), VX_DEVICE_FAILED);
    expect(strncmp(err, "linear: unspecified launch failure (", 36) == 0, "%s", err);
    cuda_sync(dev);
    run_ones(dev, &o);
    check_ones(&o);
    free_ones(dev, &o);
    cuda()->close(dev);
}
END_TEST

START_TEST(test_errors__say_how_much_memory)
{
    if (!cuda_is_twin("errors say how much memory"))
        return;
    char err[200] = "";
    vx_device *dev = open_on(0, "f32", VX_FEATURES_ALL);
    const vx_device_env env = cuda_env(0);
    const vx_dims more = {.batch = 8, .tokens = 1000, .width = 1000, .hidden = 4000};
    char wanted[100];
    vx_machine_gpus(1, (size_t)16 << 20);
    const size_t bytes = cuda()->reserve_bytes(dev, &more);
    ck_assert_int_eq(cuda()->reserve(dev, &more, err, sizeof err), VX_DEVICE_NOMEM);
    snprintf(wanted, sizeof wanted, ": %zu bytes, %d free of %d", bytes, 16 << 20, 16 << 20);
    expect(strstr(err, wanted) != NULL, "%s", err);
    ck_assert_ptr_null(cuda()->mem_alloc((size_t)17 << 20, &env));
    ck_assert_int_eq(cuda()->reserve(dev, &dims, err, sizeof err), 0);
    ones o = make_ones(dev, "f32", 20);
    run_ones(dev, &o);
    check_ones(&o);
    free_ones(dev, &o);
    cuda()->close(dev);
    vx_machine_gpus(1, (size_t)16 << 30);
}
END_TEST

/* Without room for the rows in the matrix's form nothing is done, and sync says so. */
START_TEST(test_errors__without_reserve)
{
    char err[200] = "";
    vx_device *dev;
    const vx_device_env env = cuda_env(0);
    ck_assert_int_eq(cuda()->open(&dev, &env, "bf16", 0, err, sizeof err), 0);
    ones o = make_ones(dev, "bf16", 20);
    run_ones(dev, &o);
    ck_assert_int_eq(cuda()->sync(dev, err, sizeof err), VX_DEVICE_FAILED);
    expect(strstr(err, "no room was reserved") != NULL, "%s", err);
    free_ones(dev, &o);
    cuda()->close(dev);
}
END_TEST

START_TEST(test_probe__says_what_is_wrong)
{
    if (!cuda_is_twin("probe says what is wrong"))
        return;
    char why[200] = "";
    ck_assert_int_eq(cuda()->probe(0, why, sizeof why), 0);
    ck_assert_int_ne(cuda()->probe(2, why, sizeof why), 0);
    ck_assert_str_eq(why, "no GPU number 2: this machine has 1");
    vx_machine_gpus(0, 0);
    ck_assert_int_ne(cuda()->probe(0, why, sizeof why), 0);
    ck_assert_str_eq(why, "no GPU: no CUDA-capable device is detected");
    vx_machine_gpus(1, (size_t)16 << 30);
}
END_TEST

/* ----------------------------------------------------------------------------- cuBLASLt ---- */

START_TEST(test_blas__is_used_and_replaced)
{
    if (!cuda_is_twin("blas is used and replaced"))
        return;
    static const int behaviours[] = {VX_LT_WILLING, VX_LT_NO_WAY, VX_LT_UNSUPPORTED};
    for (int i = 0; i < 3; i++) {
        vx_device *dev = open_on(0, "bf16", VX_FEATURES_ALL);
        ones o = make_ones(dev, "bf16", 20);
        const long before_all = vx_blaslt_host_products();
        vx_blaslt_host_behave(behaviours[i]);
        for (int run = 0; run < 3; run++) {
            run_ones(dev, &o);
            check_ones(&o);
        }
        ck_assert_int_eq(vx_blaslt_host_products() - before_all, i ? 0 : 3);
        vx_blaslt_host_behave(VX_LT_WILLING);
        free_ones(dev, &o);
        cuda()->close(dev);
    }
}
END_TEST

START_TEST(test_blas__failure_is_reported)
{
    if (!cuda_is_twin("blas failure is reported"))
        return;
    char err[200] = "";
    vx_device *dev = open_on(0, "bf16", VX_FEATURES_ALL);
    ones o = make_ones(dev, "bf16", 20);
    vx_blaslt_host_behave(VX_LT_BREAKS);
    run_ones(dev, &o);
    vx_blaslt_host_behave(VX_LT_WILLING);
    ck_assert_int_eq(cuda()->sync(dev, err, sizeof err), VX_DEVICE_FAILED);
    expect(strstr(err, "linear: ") && strstr(err, "cuBLASLt"), "%s", err);
    free_ones(dev, &o);
    cuda()->close(dev);
}
END_TEST

/* More shapes than there are plans. */
START_TEST(test_blas__plans_are_replaced)
{
    if (!cuda_is_twin("blas plans are replaced"))
        return;
    vx_device *dev = open_on(0, "f32", VX_FEATURES_ALL);
    ones o = make_ones(dev, "f32", 700);
    const long before_all = vx_blaslt_host_products();
    for (int round = 0; round < 2; round++)
        for (o.m = 9; o.m < 700; o.m += 2)
            run_ones(dev, &o);
    o.m = 700;
    run_ones(dev, &o);
    check_ones(&o);
    expect(vx_blaslt_host_products() > before_all + 600, "few products");
    free_ones(dev, &o);
    cuda()->close(dev);
}
END_TEST

/* ------------------------------------------------------------------- contexts and GPUs ------ */

static const unsigned worker_features[] = {VX_FEATURES_ALL, VX_CUDA_MMA, 0, VX_CUDA_BLAS};
static vx_weight shared_weight;

/* A context of its own that multiplies by a matrix that others use as well. */
static void *worker(void *arg)
{
    const int i = *(const int *)arg;
    vx_device *dev = open_on(0, "bf16", worker_features[i % 4]);
    ones o = make_ones(dev, "bf16", 20 + i);
    const vx_weight own = o.w;
    for (int run = 0; run < 5; run++) {
        o.w = shared_weight;
        run_ones(dev, &o);
        check_ones(&o);
    }
    o.w = own;
    free_ones(dev, &o);
    cuda()->close(dev);
    return NULL;
}

START_TEST(test_contexts__share_packed_weights)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int numbers[THREADS];
    vx_device *dev = open_on(0, "bf16", VX_FEATURES_ALL);
    ones o = make_ones(dev, "bf16", 1);
    shared_weight = o.w;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free_ones(dev, &o);
    cuda()->close(dev);
}
END_TEST

/* One thread that has contexts on two GPUs: each chooses its own again. */
START_TEST(test_contexts__on_two_gpus)
{
    if (!cuda_is_twin("contexts on two gpus"))
        return;
    vx_machine_gpus(2, (size_t)16 << 30);
    vx_device *dev[2] = {open_on(0, "bf16x3", VX_FEATURES_ALL), open_on(1, "bf16x3", 0)};
    ones o[2] = {make_ones(dev[0], "bf16x3", 11), make_ones(dev[1], "bf16x3", 12)};
    for (int i = 0; i < 6; i++)
        run_ones(dev[i % 2], &o[i % 2]);
    for (int i = 0; i < 2; i++)
        check_ones(&o[i]);
    for (int i = 0; i < 2; i++) {
        free_ones(dev[i], &o[i]);
        cuda()->close(dev[i]);
    }
    vx_machine_gpus(1, (size_t)16 << 30);
}
END_TEST

static void attend(vx_device *dev, const cuda_piece *y, const cuda_piece *qkv)
{
    dev->ops.attention(dev, &(vx_attention){.y_n = cuda_at(y),
                                            .qkv_n = cuda_at(qkv),
                                            .scale = 0.25f,
                                            .batch = 1,
                                            .tokens = 197,
                                            .heads = 1,
                                            .head_width = 64});
    cuda_sync(dev);
}

/* A kernel is given more than 48 KiB once on a GPU, in whatever context; a capture must not. */
START_TEST(test_shared_memory__is_asked_for_once)
{
    if (!cuda_is_twin("shared memory is asked for once"))
        return;
    const vx_dims d = {.batch = 1,
                       .tokens = 197,
                       .width = 64,
                       .heads = 1,
                       .head_width = 64,
                       .hidden = 64,
                       .channels = 3,
                       .patch_height = 4,
                       .patch_width = 4,
                       .classes = 8};
    vx_machine_gpus(2, (size_t)16 << 30);
    for (int i = 0; i < 4; i++) {
        vx_machine_counts before, after;
        vx_device *dev = cuda_open(i / 2, "bf16", VX_FEATURES_ALL, &d);
        uint16_t *zeros = calloc(197 * 192, sizeof *zeros);
        cuda_piece qkv = cuda_send(dev, zeros, 197 * 192 * sizeof *zeros, 0),
                   y = cuda_send(dev, zeros, 197 * 64 * sizeof *zeros, 0);
        vx_machine_count(&before);
        for (int run = 0; run < 3; run++) {
            dev->cls->list_begin(dev);
            attend(dev, &y, &qkv);
            dev->cls->list_end(dev);
            attend(dev, &y, &qkv);
        }
        vx_machine_count(&after);
        ck_assert_int_eq(after.allowed - before.allowed, i % 2 == 0);
        cuda_free(&qkv);
        cuda_free(&y);
        free(zeros);
        dev->cls->close(dev);
    }
    vx_machine_gpus(1, (size_t)16 << 30);
}
END_TEST

START_TEST(test_class__names_and_sizes)
{
    const vx_device_class *cls = cuda();
    ck_assert_str_eq(vx_device_precision(cls, NULL), "f32");
    ck_assert_str_eq(vx_device_precision(cls, "auto"), "bf16x3");
    ck_assert_ptr_null(cls->packing_for("int8", VX_LAYER_QKV, 0));
    for (int i = 0; i < PRECISIONS; i++) {
        const vx_packing *packing = cls->packing_for(precisions[i].name, VX_LAYER_QKV, 0);
        ck_assert_str_eq(cls->precision_at(i), precisions[i].name);
        ck_assert_ptr_eq(packing, cls->packings[i]);
        ck_assert_uint_eq(cls->narrow_bytes(precisions[i].name), i < 2 ? 4 : 2);
        ck_assert_uint_eq(packing->bytes(5, 17), (size_t)(5 * 24 * (i == 0 ? 4 : i == 1 ? 6 : 2)));
    }
    ck_assert_ptr_null(cls->precision_at(PRECISIONS));
    ck_assert_ptr_null(cls->packings[PRECISIONS]);
}
END_TEST

/* ----------------------------------------------------------------------------- pictures ---- */

enum { WIDTH = 40, HEIGHT = 33, INPUT = 3 * WIDTH * HEIGHT };

/* One picture's input on the device has the bits of vx_preprocess. */
static void compare_picture(vx_device *dev, const vitx_image *image, const vitx_recipe *recipe)
{
    vitx_hooks hooks;
    vx_placement place;
    vx_sampling s;
    vx_resampled one;
    float expected[INPUT], found[INPUT];
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_place(&place, recipe, image->width, image->height));
    ck_ok(vx_preprocess(expected, image, recipe, &place, &hooks));
    vx_sampling_plan(&s, image, recipe, &place);
    void *sent = calloc(s.bytes, 1);
    cuda_piece there = cuda_send(dev, sent, s.bytes, 0), room = cuda_send(dev, NULL, s.room, 0);
    cuda_piece y = cuda_send(dev, NULL, sizeof found, 4);
    vx_sampling_fill(&one, &s, sent, cuda_at(&there), cuda_at(&room));
    dev->cls->upload(dev, cuda_at(&there), sent, s.bytes);
    vx_resample a = {.y = cuda_at(&y), .pictures = &one, .batch = 1};
    vx_sampling_normalise(&a, recipe, &place);
    dev->ops.resample(dev, &a);
    cuda_fetch(found, &y, "resample");
    for (int i = 0; i < INPUT; i++)
        expect(memcmp(&found[i], &expected[i], sizeof *found) == 0,
               "%d x %d, filter %d: number %d is %.9g, not %.9g", image->width, image->height,
               (int)recipe->filter, i, (double)found[i], (double)expected[i]);
    cuda_free(&there);
    cuda_free(&room);
    cuda_free(&y);
    free(sent);
}

START_TEST(test_pictures__have_the_bits_of_the_host)
{
    static const int shapes[][2] = {{300, 200}, {70, 400}, {WIDTH, 77}, {9, 13}, {1, 1}};
    vx_device *dev = open_on(0, "f32", VX_FEATURES_ALL);
    vitx_recipe recipe = {.input_height = HEIGHT,
                          .input_width = WIDTH,
                          .scale = 1.0f / 255.0f,
                          .mean = {0.485f, 0.456f, 0.406f},
                          .std = {0.229f, 0.224f, 0.225f},
                          .pad = {124, 116, 7}};
    for (int i = 0; i < 5; i++) {
        const size_t n = (size_t)shapes[i][0] * (size_t)shapes[i][1] * 3;
        uint8_t *rgb = malloc(n);
        vitx_image *image;
        rng r = {(uint64_t)i};
        for (size_t k = 0; k < n; k++)
            rgb[k] = (uint8_t)rng_int(&r, 0, 255);
        ck_ok(vitx_image_from_rgb(&image, rgb, shapes[i][0], shapes[i][1], 0, NULL));
        for (int way = 0; way < 2 * (VITX_LANCZOS + 1); way++) {
            recipe.filter = (vitx_filter)(way / 2);
            recipe.unrounded = way % 2;
            if (way % 3)
                vx_recipe_pad(&recipe);
            else
                vx_recipe_crop(&recipe);
            compare_picture(dev, image, &recipe);
        }
        vitx_image_free(image);
        free(rgb);
    }
    dev->cls->close(dev);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda");
    TCase *c = tcase_create("products"), *rest = tcase_create("device");
    tcase_add_loop_test(c, test_linear__in_every_precision, 0, CASES);
    tcase_add_loop_test(c, test_linear_bwd__in_every_precision, 0, CASES);
    tcase_add_loop_test(c, test_products__in_large_blocks, 0,
                        SANITIZED_THREADS ? 0
                        : SANITIZED       ? 1
                                          : 2);
    tcase_add_loop_test(c, test_patches__in_every_precision, 0, CASES);
    tcase_add_test(rest, test_pictures__have_the_bits_of_the_host);
    tcase_add_test(rest, test_class__names_and_sizes);
    tcase_add_test(rest, test_errors__stay_until_sync);
    tcase_add_test(rest, test_errors__say_how_much_memory);
    tcase_add_test(rest, test_errors__without_reserve);
    tcase_add_test(rest, test_probe__says_what_is_wrong);
    tcase_add_test(rest, test_blas__is_used_and_replaced);
    tcase_add_test(rest, test_blas__failure_is_reported);
    tcase_add_test(rest, test_blas__plans_are_replaced);
    tcase_add_test(rest, test_contexts__share_packed_weights);
    tcase_add_test(rest, test_contexts__on_two_gpus);
    tcase_add_test(rest, test_shared_memory__is_asked_for_once);
    suite_add_tcase(s, c);
    suite_add_tcase(s, rest);
    return s;
}

VX_TEST_MAIN(suite)
