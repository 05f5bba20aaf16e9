/*
 * Reports: the code of attention, what fits into a budget, text from outside, whole files read back
 * and compared with what the model answers, memory that runs out. VX_TEST_THREADS VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>
#include <zlib.h>

#include "base/json.h"
#include "engine/explained.h"
#include "kernels/bits.h"
#include "kernels/ops.h"
#include "report/escape.h"
#include "report/fused.h"
#include "report/page.h"
#include "report/record.h"
#include "util.h"

static vitx_hooks plain(void)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return hooks;
}

/* ------------------------------------------------------------------ reading back ----------- */

static float half_at(const uint8_t *p)
{
    return vx_half_to_float((uint16_t)(p[0] | p[1] << 8));
}

/* A zlib stream to malloc'ed bytes. */
static uint8_t *inflated(const uint8_t *data, size_t size, size_t *bytes)
{
    size_t room = 1 << 16;
    uint8_t *out = malloc(room);
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    ck_assert_int_eq(inflateInit(&z), Z_OK);
    *bytes = 0;
    for (int result = Z_OK; result != Z_STREAM_END;) {
        if (*bytes == room)
            out = realloc(out, room *= 2);
        z.next_out = out + *bytes;
        z.avail_out = (uInt)(room - *bytes);
        result = inflate(&z, Z_NO_FLUSH);
        ck_assert_msg(result == Z_OK || result == Z_STREAM_END, "inflate: %d", result);
        *bytes = room - z.avail_out;
    }
    ck_assert_uint_eq(z.avail_in, 0);
    inflateEnd(&z);
    return out;
}

/* A block of attention [G,R,T] as the page decodes it; checks its size. */
static float *decoded(const uint8_t *raw, size_t bytes, int groups, int rows, int tokens,
                      int prefix)
{
    const int patches = tokens - prefix, all = groups * rows;
    ck_assert_uint_eq(bytes, (size_t)all * (size_t)(2 + 2 * prefix + patches));
    const uint8_t *weights = raw + (size_t)all * (size_t)(2 + 2 * prefix);
    float *out = calloc((size_t)all * (size_t)tokens, sizeof *out);
    for (int i = 0; i < all; i++) {
        const float scale = half_at(raw + 2 * i);
        for (int k = 0; k < prefix; k++)
            out[i * tokens + k] = half_at(raw + 2 * all + 2 * (i * prefix + k));
        for (int k = 0; k < patches; k++) {
            const float u = (float)weights[i * patches + k] / 255;
            out[i * tokens + prefix + k] = scale * u * u;
        }
    }
    return out;
}

/* How far a decoded weight may be off: half a step of u, the rounding of the scale to half. */
static float allowed(float largest)
{
    return largest / 255 + largest * 0x1p-10f + 0x1p-24f;
}

static void check_row(const float *row, const float *back, int tokens, int prefix)
{
    float largest = 0;
    for (int i = prefix; i < tokens; i++)
        largest = fmaxf(largest, row[i]);
    for (int i = 0; i < tokens; i++) {
        const float off = fabsf(row[i] - back[i]);
        const float most = i < prefix ? row[i] * 0x1p-11f + 0x1p-25f : allowed(largest);
        ck_assert_msg(off <= most, "key %d of %d: %g became %g, row's largest %g", i, tokens,
                      (double)row[i], (double)back[i], (double)largest);
    }
}

/* ------------------------------------------------------------------ the code --------------- */

static void check_code(const float *row, int tokens, int prefix)
{
    const size_t bytes = vx_code_bytes(1, 1, tokens, prefix);
    uint8_t *raw = malloc(bytes);
    ck_assert(vx_code_row(raw, raw + 2, raw + 2 + 2 * prefix, row, tokens, prefix));
    float *back = decoded(raw, bytes, 1, 1, tokens, prefix);
    check_row(row, back, tokens, prefix);
    free(back);
    free(raw);
}

START_TEST(test_code__rows_come_back_within_the_step)
{
    static const int sizes[][2] = {{197, 1}, {198, 2}, {1374, 5}, {196, 0}, {2, 1}, {1, 0}, {9, 9}};
    rng r = {7};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const int tokens = sizes[s][0], prefix = sizes[s][1];
        float *row = malloc((size_t)tokens * sizeof *row);
        for (int kind = 0; kind < 60; kind++) {
            double sum = 0;
            for (int i = 0; i < tokens; i++)
                sum += row[i] = expf((float)(kind % 12) * rng_normal(&r));
            for (int i = 0; i < tokens; i++)
                row[i] = (float)(row[i] / sum);
            check_code(row, tokens, prefix);
        }
        free(row);
    }
}
END_TEST

START_TEST(test_code__edges_of_half)
{
    float row[6] = {0.5f, 0, 0, 0, 0, 0};
    uint8_t raw[14];
    check_code(row, 6, 1); /* scale 0 */
    ck_assert(vx_code_row(raw, raw + 2, raw + 4, row, 6, 1));
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(raw[4 + i], 0);
    /* Scales that round down and up, subnormal ones, one that becomes 0, and all of the weight. */
    static const float scales[] = {0.33337f, 0.99999f, 1,     1.0005f, 6e-5f, 6.1e-5f,
                                   3e-6f,    2e-7f,    6e-8f, 3.1e-8f, 2e-8f, 1e-20f};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        for (int k = 1; k < 6; k++)
            row[k] = scales[i] * (float)k / 5;
        row[0] = 0.001f * scales[i];
        check_code(row, 6, 1);
    }
    static const float bad[] = {-0.1f, NAN, INFINITY, 1.01f};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int k = 0; k < 6; k += 5) {
            float hostile[6] = {0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f};
            hostile[k] = bad[i];
            ck_assert(!vx_code_row(raw, raw + 2, raw + 4, hostile, 6, 1));
        }
}
END_TEST

START_TEST(test_pack__is_one_stream_whoever_makes_it)
{
    vitx_hooks hooks = plain();
    static const size_t sizes[] = {0, 1, 2, 131071, 131072, 131073, 262144, 400000, 1000003};
    vx_pool *pool;
    rng r = {3};
    uint8_t *raw = malloc(1000003);
    for (size_t i = 0; i < 1000003; i++)
        raw[i] = (uint8_t)(rng_int(&r, 0, 3) ? rng_int(&r, 60, 90) : 0);
    ck_ok(vx_pool_create(&pool, &hooks, 3));
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        vx_packed alone, shared;
        size_t bytes;
        ck_ok(vx_pack(&alone, raw, sizes[s], NULL, &hooks));
        ck_ok(vx_pack(&shared, raw, sizes[s], pool, &hooks));
        ck_assert_uint_eq(alone.bytes, shared.bytes);
        ck_assert_int_eq(memcmp(alone.data, shared.data, alone.bytes), 0);
        uint8_t *back = inflated(alone.data, alone.bytes, &bytes);
        ck_assert_uint_eq(bytes, sizes[s]);
        ck_assert_int_eq(memcmp(back, raw, bytes), 0);
        free(back);
        vx_packed_dispose(&alone, &hooks);
        vx_packed_dispose(&shared, &hooks);
    }
    vx_pool_free(pool);
    free(raw);
}
END_TEST

/* ------------------------------------------------------------------ text ------------------- */

/* What ends a script, an attribute or a line, or is no text at all. */
static const char *const hostile[] = {"</script><script>alert(1)</script>",
                                      "\"><img src=x onerror=alert(1)>",
                                      "<!-- <script>",
                                      "x\xe2\x80\xa8y\xe2\x80\xa9z",
                                      "\xe2\x80\xaegpj.exe\xe2\x81\xa6",
                                      "\xff\xfe\xc3(\xe2\x80",
                                      "it's & <b>\"bold\"</b>\x01\x7f",
                                      "\xe7\x8b\x97 \xf0\x9f\x90\x95",
                                      "\xe2",
                                      "\xe2\xe2\x80\x80\xe2\x80\xa8",
                                      ""};
enum { HOSTILE = (int)(sizeof hostile / sizeof hostile[0]) };

START_TEST(test_escape__json_cannot_end_its_element)
{
    vitx_hooks hooks = plain();
    for (int i = 0; i < HOSTILE; i++) {
        vx_buffer b = {.hooks = &hooks}, quoted = {.hooks = &hooks};
        vx_sink out = vx_sink_buffer(&b), before = vx_sink_buffer(&quoted);
        vx_script_json state;
        vx_json *escaped, *json;
        vx_sink filter = vx_script_json_sink(&state, &out);
        ck_ok(vx_json_quote(&filter, hostile[i]));
        ck_ok(vx_script_json_end(&state));
        ck_ok(vx_json_quote(&before, hostile[i]));
        ck_assert_ptr_null(strpbrk(b.data, "<>&"));
        ck_assert_ptr_null(strstr(b.data, "\xe2\x80\xa8"));
        ck_assert_ptr_null(strstr(b.data, "\xe2\x80\xa9"));
        ck_assert(vx_utf8_valid(b.data, b.size));
        /* It says the same. */
        ck_ok(vx_json_parse(&escaped, b.data, b.size, "escaped", 2));
        ck_ok(vx_json_parse(&json, quoted.data, quoted.size, "quoted", 2));
        ck_assert_str_eq(vx_json_string(escaped), vx_json_string(json));
        vx_json_free(escaped);
        vx_json_free(json);
        /* A character may come byte by byte. */
        vx_buffer slow = {.hooks = &hooks};
        out = vx_sink_buffer(&slow);
        filter = vx_script_json_sink(&state, &out);
        for (size_t k = 0; k < quoted.size; k++)
            ck_ok(vx_sink_put(&filter, quoted.data + k, 1));
        ck_ok(vx_script_json_end(&state));
        ck_assert_str_eq(slow.data, b.data);
        vx_buffer_dispose(&slow);
        vx_buffer_dispose(&quoted);
        vx_buffer_dispose(&b);
    }
}
END_TEST

START_TEST(test_escape__html_is_text)
{
    vitx_hooks hooks = plain();
    vx_buffer b = {.hooks = &hooks};
    vx_sink out = vx_sink_buffer(&b);
    for (int i = 0; i < HOSTILE; i++) {
        b.size = 0;
        ck_ok(vx_sink_text(&out, "|"));
        ck_ok(vx_html_text(&out, hostile[i]));
        ck_assert_ptr_null(strpbrk(b.data, "<>\"'\x01\x7f"));
        ck_assert(vx_utf8_valid(b.data, b.size));
    }
    b.size = 0;
    ck_ok(vx_html_text(&out, "a<b>&\"c'\xc3\xa4\xff\xc3"));
    ck_assert_str_eq(b.data, "a&lt;b&gt;&amp;&quot;c&#39;\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
    vx_buffer_dispose(&b);
}
END_TEST

START_TEST(test_escape__base64)
{
    vitx_hooks hooks = plain();
    static const char *const rows[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xef\xbe", "/+++"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vx_buffer b = {.hooks = &hooks};
        vx_sink out = vx_sink_buffer(&b);
        ck_ok(vx_sink_text(&out, ""));
        ck_ok(vx_base64(&out, (const uint8_t *)rows[i][0], strlen(rows[i][0])));
        ck_assert_str_eq(b.data, rows[i][1]);
        vx_buffer_dispose(&b);
    }
}
END_TEST

/* ------------------------------------------------------------------ the ladder ------------- */

enum { LAYERS = 4, HEADS = 3, SIDE = 12, TOKENS = SIDE * SIDE + 1 };

static float *attention_of(int layer)
{
    rng r = {(uint64_t)(layer + 1)};
    float *a = malloc(sizeof *a * HEADS * TOKENS * TOKENS);
    for (int row = 0; row < HEADS * TOKENS; row++) {
        double sum = 0;
        for (int i = 0; i < TOKENS; i++)
            sum += a[row * TOKENS + i] = expf(2 * rng_normal(&r));
        for (int i = 0; i < TOKENS; i++)
            a[row * TOKENS + i] = (float)(a[row * TOKENS + i] / sum);
    }
    return a;
}

static vx_record recorded(vitx_report_level wish, size_t share)
{
    vitx_hooks hooks = plain();
    vx_record r = {0};
    ck_ok(vx_record_start(&r, LAYERS, wish, share, &hooks));
    for (int l = 0; l < LAYERS; l++) {
        float *a = attention_of(l);
        const vx_record_rows rows = vx_record_rows_of(a, HEADS, TOKENS, TOKENS, 1);
        ck_ok(vx_record_layer(&r, l, &rows, 0, NULL, &hooks));
        free(a);
        if (wish == VITX_REPORT_AUTO) /* two ways at most, and one block of a third */
            ck_assert_uint_le(vx_record_bytes(&r), 3 * share + 3 * TOKENS * TOKENS * 2);
    }
    vx_record_settle(&r, &hooks);
    return r;
}

static int count_blocks(const vx_record *r, char way)
{
    int n = 0;
    for (int l = 0; l < LAYERS; l++) {
        const vx_report_layer *layer = &r->layer[l];
        n += layer->code[way == 'a'   ? VX_WAY_ALL
                         : way == 'm' ? VX_WAY_MEAN
                                      : VX_WAY_ROW]
                 .data != NULL;
    }
    return n;
}

START_TEST(test_record__keeps_the_richest_level_that_fits)
{
    vitx_hooks hooks = plain();
    vx_record all = recorded(VITX_REPORT_ALL, 0), mean = recorded(VITX_REPORT_MEAN, 0),
              row = recorded(VITX_REPORT_CLASS, 0), none = recorded(VITX_REPORT_NONE, 0);
    const size_t all_bytes = vx_record_bytes(&all), mean_bytes = vx_record_bytes(&mean),
                 row_bytes = vx_record_bytes(&row);
    const vx_report_layer *end = &mean.layer[LAYERS - 1];
    const size_t last =
        vx_block_bytes(end->code[VX_WAY_ALL].bytes) + vx_block_bytes(end->fused[VX_WAY_ALL].bytes);
    ck_assert_uint_gt(all_bytes, mean_bytes);
    ck_assert_uint_gt(mean_bytes - last, row_bytes);
    ck_assert_uint_eq(vx_record_bytes(&none), 0);
    ck_assert_int_eq(none.level, VITX_REPORT_NONE);
    ck_assert_int_eq(count_blocks(&all, 'a'), LAYERS);
    ck_assert_int_eq(count_blocks(&mean, 'm'), LAYERS);
    ck_assert_int_eq(count_blocks(&row, 'r'), LAYERS);
    const struct {
        size_t share;
        vitx_report_level level;
        int all, mean, row;
        const char *says;
    } rows[] = {
        {all_bytes, VITX_REPORT_ALL, LAYERS, 0, 0, ""},
        {all_bytes - 1, VITX_REPORT_MEAN, 1, LAYERS, LAYERS, "all heads of the last block"},
        {mean_bytes, VITX_REPORT_MEAN, 1, LAYERS, LAYERS, "all heads of the last block"},
        {mean_bytes - 1, VITX_REPORT_MEAN, 0, LAYERS, LAYERS, "mean over the heads and each"},
        {mean_bytes - last, VITX_REPORT_MEAN, 0, LAYERS, LAYERS, "for every block the mean"},
        {mean_bytes - last - 1, VITX_REPORT_CLASS, 0, LAYERS - 1, LAYERS, "last 3 blocks"},
        {row_bytes, VITX_REPORT_CLASS, 0, 0, LAYERS, "model's head reads."},
        {row_bytes - 1, VITX_REPORT_NONE, 0, 0, 0, "no attention"},
        {0, VITX_REPORT_NONE, 0, 0, 0, "no attention"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vx_record r = recorded(VITX_REPORT_AUTO, rows[i].share);
        ck_assert_msg(r.level == rows[i].level && count_blocks(&r, 'a') == rows[i].all &&
                          count_blocks(&r, 'm') == rows[i].mean &&
                          count_blocks(&r, 'r') == rows[i].row,
                      "share %zu: level %s, %d all, %d mean, %d row", rows[i].share,
                      vitx_report_level_name((int)r.level), count_blocks(&r, 'a'),
                      count_blocks(&r, 'm'), count_blocks(&r, 'r'));
        ck_assert_uint_le(vx_record_bytes(&r), rows[i].share);
        if (r.level != VITX_REPORT_ALL)
            ck_assert_int_eq(r.left_out[strlen(r.left_out) - 1], '.');
        ck_assert_msg(strstr(r.left_out, rows[i].says) && !rows[i].says[0] == !r.left_out[0],
                      "\"%s\" lacks \"%s\"", r.left_out, rows[i].says);
        /* What is kept of the last block is what the others keep. */
        if (rows[i].mean > 0)
            ck_assert_int_eq(memcmp(r.layer[LAYERS - 1].code[VX_WAY_MEAN].data,
                                    end->code[VX_WAY_MEAN].data, end->code[VX_WAY_MEAN].bytes),
                             0);
        vx_record_dispose(&r, &hooks);
    }
    vx_record_dispose(&all, &hooks);
    vx_record_dispose(&mean, &hooks);
    vx_record_dispose(&row, &hooks);
    vx_record_dispose(&none, &hooks);
}
END_TEST

/* Where every head fits whatever the numbers are, nothing else is coded; else the result is the
 * same. */
START_TEST(test_record__codes_no_more_than_it_needs)
{
    vitx_hooks hooks = plain();
    vx_record all = recorded(VITX_REPORT_ALL, 0);
    const size_t raw = vx_code_bytes(HEADS, TOKENS, TOKENS, 1),
                 fused = vx_fused_bytes(HEADS, TOKENS, TOKENS, 1);
    const size_t most =
        LAYERS * (vx_block_bytes(vx_pack_bound(raw)) + vx_block_bytes(vx_pack_bound(fused)));
    for (int low = 0; low < 2; low++) {
        vx_record r = {0};
        ck_ok(vx_record_start(&r, LAYERS, VITX_REPORT_AUTO, most - (size_t)low, &hooks));
        vx_record_expect(&r, HEADS, TOKENS, 1, 0);
        for (int l = 0; l < LAYERS; l++) {
            float *a = attention_of(l);
            const vx_record_rows rows = vx_record_rows_of(a, HEADS, TOKENS, TOKENS, 1);
            ck_ok(vx_record_layer(&r, l, &rows, 0, NULL, &hooks));
            free(a);
        }
        ck_assert_int_eq(count_blocks(&r, 'm'), low ? LAYERS : 0);
        ck_assert_int_eq(count_blocks(&r, 'r'), low ? LAYERS : 0);
        /* A poorer block in place of one keeps the others. */
        float *a = attention_of(0);
        const vx_record_rows mean = vx_record_rows_of(a, 1, TOKENS, TOKENS, 1);
        ck_ok(vx_record_layer(&r, 0, &mean, 0, NULL, &hooks));
        free(a);
        vx_record_settle(&r, &hooks);
        ck_assert_int_eq(r.level, VITX_REPORT_ALL);
        ck_assert_int_eq(count_blocks(&r, 'a'), LAYERS - 1);
        ck_assert_int_eq(count_blocks(&r, 'm'), 1);
        for (int l = 1; l < LAYERS; l++) {
            const vx_packed *x = &r.layer[l].code[VX_WAY_ALL], *y = &all.layer[l].code[VX_WAY_ALL];
            ck_assert_uint_eq(x->bytes, y->bytes);
            ck_assert_int_eq(memcmp(x->data, y->data, x->bytes), 0);
        }
        vx_record_dispose(&r, &hooks);
    }
    vx_record_dispose(&all, &hooks);
}
END_TEST

START_TEST(test_record__takes_means_rows_and_halves)
{
    vitx_hooks hooks = plain();
    float *a = attention_of(0);
    uint16_t *halves = malloc(sizeof *halves * HEADS * TOKENS * TOKENS);
    /* Keys in the slowest place: strides are obeyed. */
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < TOKENS; i++)
            for (int k = 0; k < TOKENS; k++)
                halves[(k * HEADS + h) * TOKENS + i] =
                    vx_float_to_half(a[(h * TOKENS + i) * TOKENS + k]);
    vx_record_rows rows = {
        (const char *)halves, VITX_F16, {TOKENS, 1, HEADS * TOKENS}, HEADS, TOKENS, TOKENS, 1};
    static const vx_take takes[] = {VX_TAKE_ALL, VX_TAKE_MEAN, VX_TAKE_QUERY, VX_TAKE_QUERY,
                                    VX_TAKE_QUERY};
    static const int queries[] = {0, 0, 5, VX_QUERY_PATCHES, VX_QUERY_PREFIX};
    for (int t = 0; t < 5; t++) {
        vx_packed packed;
        size_t bytes;
        ck_ok(vx_code_attention(&packed, NULL, &rows, takes[t], queries[t], "x", NULL, &hooks));
        uint8_t *raw = inflated(packed.data, packed.bytes, &bytes);
        const int g = takes[t] == VX_TAKE_MEAN ? 1 : HEADS;
        const int r = takes[t] == VX_TAKE_QUERY ? 1 : TOKENS;
        float *back = decoded(raw, bytes, g, r, TOKENS, 1);
        for (int i = 0; i < g * r; i++) {
            float want[TOKENS];
            for (int k = 0; k < TOKENS; k++) {
                double sum = 0;
                int n = 0;
                for (int h = 0; h < HEADS; h++)
                    for (int q = 0; q < TOKENS; q++) {
                        const bool head = takes[t] == VX_TAKE_MEAN || h == i / r;
                        const bool row = takes[t] != VX_TAKE_QUERY       ? q == i % r
                                         : queries[t] >= 0               ? q == queries[t]
                                         : queries[t] == VX_QUERY_PREFIX ? q < 1
                                                                         : q >= 1;
                        if (head && row) {
                            sum += (double)vx_half_to_float(
                                vx_float_to_half(a[(h * TOKENS + q) * TOKENS + k]));
                            n++;
                        }
                    }
                want[k] = (float)(sum / n);
            }
            if (t > 0 || i % 37 == 0)
                check_row(want, back + i * TOKENS, TOKENS, 1);
        }
        free(back);
        free(raw);
        vx_packed_dispose(&packed, &hooks);
    }
    free(halves);
    free(a);
}
END_TEST

/* ------------------------------------------------------------------ rollout ---------------- */

enum { SMALL = 9 }; /* tokens */

static float fused_value(const float *values, int heads, int fusion, int entry)
{
    float out = fusion == 0 ? 0 : values[entry];
    for (int h = 0; h < heads; h++) {
        const float v = values[h * SMALL * SMALL + entry];
        if (fusion == 0)
            out = (float)((double)out + 1.0 / heads * (double)v);
        else
            out = fusion == 1 ? fmaxf(out, v) : fminf(out, v);
    }
    return out;
}

/* The smallest as a reader has it: see report/fused.h. */
static float refined(const uint8_t *raw, const float *back, int heads, int entry, bool up)
{
    const int patches = SMALL - 2, row = entry / SMALL, i = entry % SMALL - 2;
    int best = 0;
    for (int h = 1; h < heads; h++)
        if (back[h * SMALL * SMALL + entry] < back[best * SMALL * SMALL + entry])
            best = h;
    if (i < 0)
        return back[best * SMALL * SMALL + entry];
    const uint8_t *weights = raw + heads * SMALL * (2 + 2 * 2);
    const double u = weights[(best * SMALL + row) * patches + i];
    const double root = (u + (up ? 0.25 : -0.25)) / 255;
    return u > 0 ? (float)((double)half_at(raw + 2 * (best * SMALL + row)) * (root * root)) : 0;
}

static float float_at(const uint8_t *p)
{
    return vx_bits_float((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                         (uint32_t)p[3] << 24);
}

/* Which steps drop entry i, by counting those that come before it. */
static int level_of(const float *f, int i)
{
    int before = 0;
    for (int k = 0; k < SMALL * SMALL; k++)
        before += f[k] < f[i] || (f[k] == f[i] && k < i);
    for (int s = 0; s < 19; s++)
        if (before < (int)(SMALL * SMALL * ((s + 1) / 20.0)))
            return s;
    return 19;
}

/* level by what stands in the file. */
static int level_in(const uint8_t *limit, const uint8_t *turn, float guessed)
{
    int level = 0;
    while (level < 19 && float_at(limit + 4 * level) < guessed)
        level++;
    return level + (int8_t)*turn;
}

/* Few values, so that many are equal, and many values. */
START_TEST(test_fused__levels_are_those_of_the_exact_weights)
{
    vitx_hooks hooks = plain();
    const int heads = _i % 2 == 0 ? 4 : 1, fusions = heads == 1 ? 1 : 3, n = SMALL * SMALL;
    const int reads[] = {1, 2, 0}, queries[] = {1, VX_QUERY_PREFIX, VX_QUERY_PATCHES};
    float a[4 * SMALL * SMALL], exact[SMALL * SMALL];
    rng r = {7};
    for (int i = 0; i < heads * n; i++) /* sums of four are exact, too */
        a[i] = _i < 2 ? (float)rng_int(&r, 0, 12) / 64 : (float)rng_int(&r, 0, 12288) / 65536;
    const vx_record_rows rows = vx_record_rows_of(a, heads, SMALL, SMALL, 2);
    for (int q = 0; q < 3; q++) {
        vx_packed packed, fused;
        size_t bytes;
        ck_ok(
            vx_code_attention(&packed, &fused, &rows, VX_TAKE_ALL, queries[q], "x", NULL, &hooks));
        uint8_t *code = inflated(packed.data, packed.bytes, &bytes);
        float *back = decoded(code, bytes, heads, SMALL, SMALL, 2);
        uint8_t *raw = inflated(fused.data, fused.bytes, &bytes);
        const int kept = reads[q] * SMALL, first = queries[q] == 1 ? SMALL : 0;
        const uint8_t *limit = raw + fusions * 4 * kept, *turn = limit + fusions * 4 * 19;
        const uint8_t *fine = turn + fusions * n;
        ck_assert_uint_eq(bytes, (size_t)(fusions * (4 * kept + 4 * 19 + n) +
                                          (fusions > 1 ? SMALL * ((SMALL - 2 + 7) / 8) : 0)));
        for (int k = 0; k < fusions; k++) {
            for (int i = 0; i < n; i++)
                exact[i] = fused_value(a, heads, k, i);
            for (int i = 0; i < n; i++) {
                float guessed = fused_value(back, heads, k, i);
                if (k == 2)
                    guessed = refined(code, back, heads, i,
                                      i % SMALL > 1 && fine[i / SMALL] >> (i % SMALL - 2) & 1);
                if (i >= first && i < first + kept) {
                    guessed = float_at(raw + 4 * (k * kept + i - first));
                    ck_assert(guessed == exact[i]);
                }
                /* Half of what the coding may be off, for the smallest. */
                ck_assert_float_le(fabsf(guessed - exact[i]), k == 2 ? 0.0006f : 0.001f);
                ck_assert_int_eq(level_in(limit + 4 * k * 19, turn + k * n + i, guessed),
                                 level_of(exact, i));
            }
        }
        free(raw);
        free(code);
        free(back);
        vx_packed_dispose(&packed, &hooks);
        vx_packed_dispose(&fused, &hooks);
    }
}
END_TEST

/* ------------------------------------------------------------------ whole files ------------ */

typedef struct bed {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} bed;

static bed open_bed(const char *folder, vitx_fit fit)
{
    bed b;
    char path[200];
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.threads = 2;
    o.fit = fit;
    snprintf(path, sizeof path, "test/golden/models/%s", folder);
    ck_ok(vitx_model_open(&b.model, path, NULL));
    ck_ok(vitx_context_create(&b.c, b.model, &o));
    ck_ok(vitx_image_open(&b.image, "test/golden/models/picture.png"));
    return b;
}

static void close_bed(bed *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

static vitx_map *map_of(const bed *b, const char *method)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = method;
    ck_ok(vitx_explain(&map, b->c, b->image, &o));
    return map;
}

static int keep(const void *data, size_t bytes, void *payload)
{
    return vx_buffer_append(payload, data, bytes);
}

/* A written file: its text, and its manifest. */
typedef struct file {
    vx_buffer text;
    vx_json *manifest;
} file;

static vitx_hooks file_hooks;

static file written(vitx_report *report)
{
    static const char before[] = "<script type=\"application/json\" id=\"vx-report\">";
    file_hooks = plain();
    file f = {.text = {.hooks = &file_hooks}};
    ck_ok(vitx_report_write(report, keep, &f.text));
    const char *json = strstr(f.text.data, before);
    ck_assert_ptr_nonnull(json);
    json += strlen(before);
    const char *end = strstr(json, "</script>");
    ck_ok(vx_json_parse(&f.manifest, json, (size_t)(end - json), "manifest", 1000000));
    return f;
}

static void close_file(file *f)
{
    vx_json_free(f->manifest);
    vx_buffer_dispose(&f->text);
}

/* The bytes of a block that the manifest names. */
static uint8_t *block_bytes(const file *f, const vx_json *name, size_t *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char tag[100];
    ck_assert_ptr_nonnull(vx_json_string(name));
    snprintf(tag, sizeof tag, "<script type=\"application/octet-stream\" id=\"%s\">",
             vx_json_string(name));
    const char *from = strstr(f->text.data, tag);
    ck_assert_ptr_nonnull(from);
    from += strlen(tag);
    const size_t length = strcspn(from, "<");
    ck_assert_uint_eq(length % 4, 0);
    uint8_t *packed = malloc(length), *to = packed;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *digit = strchr(digits, from[i + k]);
            group = group << 6 | (digit ? (uint32_t)(digit - digits) : 0);
        }
        for (int k = 16; k >= 0; k -= 8)
            *to++ = (uint8_t)(group >> k);
    }
    to -= length > 1 ? (from[length - 1] == '=') + (from[length - 2] == '=') : 0;
    uint8_t *out = inflated(packed, (size_t)(to - packed), bytes);
    free(packed);
    return out;
}

static const vx_json *picture_at(const file *f, int index)
{
    const vx_json *p = vx_json_first(vx_json_get(f->manifest, "pictures"));
    while (index-- > 0)
        p = vx_json_next(p);
    ck_assert_ptr_nonnull(p);
    return p;
}

static int int_of(const vx_json *object, const char *key)
{
    int value = -99;
    ck_assert_msg(vx_json_int(vx_json_get(object, key), &value), "no number %s", key);
    return value;
}

static double number_of(const vx_json *object, const char *key)
{
    double value = NAN;
    ck_assert_msg(vx_json_number(vx_json_get(object, key), &value), "no number %s", key);
    return value;
}

/* Every head of every block against the attention that vitx_forward() records. */
static void check_attention(const file *f, const bed *b)
{
    const vx_json *attention = vx_json_get(picture_at(f, 0), "attention");
    const int tokens = int_of(picture_at(f, 0), "tokens");
    const int prefix = int_of(picture_at(f, 0), "prefix");
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    trace.record = VITX_RECORD_ALL;
    ck_ok(vitx_context_set_trace(b->c, &trace));
    ck_ok(vitx_forward(b->c, (const vitx_image *const *)&b->image, 1));
    if (int_of(vx_json_get(f->manifest, "model"), "heads") == 1) { /* one head is its own mean */
        ck_assert_str_eq(vx_json_string(vx_json_get(attention, "level")), "mean");
        return;
    }
    ck_assert_str_eq(vx_json_string(vx_json_get(attention, "level")), "all");
    ck_assert(vx_json_is_null(vx_json_get(attention, "left_out")));
    const vx_json *layer = vx_json_first(vx_json_get(attention, "layers"));
    vitx_view v;
    for (int l = 0; layer; layer = vx_json_next(layer), l++) {
        size_t bytes;
        ck_ok(vitx_attention(&v, b->c, l));
        uint8_t *raw = block_bytes(f, vx_json_get(layer, "all"), &bytes);
        const int heads = (int)v.shape[1];
        float *back = decoded(raw, bytes, heads, tokens, tokens, prefix);
        for (int i = 0; i < heads * tokens; i++)
            check_row((const float *)v.data + i * tokens, back + i * tokens, tokens, prefix);
        free(back);
        free(raw);
    }
    ck_assert_int_eq(vitx_attention(&v, b->c, vx_json_size(vx_json_get(attention, "layers"))),
                     VITX_INVALID);
    const vx_json *pool = vx_json_get(attention, "pool");
    if (vitx_pool_attention(&v, b->c) == VITX_OK) {
        size_t bytes;
        uint8_t *raw = block_bytes(f, pool, &bytes);
        float *back = decoded(raw, bytes, (int)v.shape[1], 1, tokens, prefix);
        for (int i = 0; i < (int)v.shape[1]; i++)
            check_row((const float *)v.data + i * tokens, back + i * tokens, tokens, prefix);
        free(back);
        free(raw);
    } else {
        ck_assert(vx_json_is_null(pool));
    }
}

static void check_predictions(const file *f, const bed *b)
{
    const vx_json *p = picture_at(f, 0);
    const vx_json *row = vx_json_first(vx_json_get(p, "predictions"));
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_prediction top[5];
    ck_ok(vitx_model_get_info(&info, b->model));
    if (info.units) {
        float *values = calloc((size_t)info.classes, sizeof *values);
        double square = 0;
        ck_ok(vitx_embed(b->c, b->image, values, 0));
        for (int i = 0; i < info.classes; i++)
            square += (double)values[i] * (double)values[i];
        free(values);
        ck_assert_ptr_null(row);
        ck_assert(fabs(number_of(vx_json_get(p, "vector"), "norm") - sqrt(square)) < 1e-5);
        return;
    }
    ck_ok(vitx_classify(b->c, b->image, top, 5));
    ck_assert(vx_json_is_null(vx_json_get(p, "vector")));
    for (int i = 0; i < 5 && top[i].index >= 0; i++, row = vx_json_next(row)) {
        ck_assert_int_eq(int_of(row, "index"), top[i].index);
        /* A pass that records computes more tokens, in other sizes of products. */
        ck_assert(fabs(number_of(row, "logit") - (double)top[i].logit) <=
                  TOL_LOGITS * fmax(1, fabs((double)top[0].logit)));
        const char *label = vx_json_string(vx_json_get(row, "label"));
        ck_assert(label ? strcmp(label, top[i].label) == 0 : top[i].label == NULL);
    }
    ck_assert_ptr_null(row);
}

static void check_map(const file *f, const vitx_map *map)
{
    const vx_json *m = vx_json_first(vx_json_get(picture_at(f, 0), "maps"));
    vitx_map_info info = VITX_MAP_INFO_INIT;
    size_t bytes;
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_str_eq(vx_json_string(vx_json_get(m, "method")), info.method);
    ck_assert_str_eq(vx_json_string(vx_json_get(m, "code")), "f32");
    uint8_t *raw = block_bytes(f, vx_json_get(m, "block"), &bytes);
    ck_assert_uint_eq(bytes, (size_t)(info.shape[0] * info.shape[1]) * 4);
    ck_assert_int_eq(memcmp(raw, vitx_map_values(map), bytes), 0); /* on a little-endian host */
    free(raw);
}

static char folders[MOST_MODELS][128];

/* Towers, registers, pooling heads, inputs that are not square: every golden model. */
START_TEST(test_report__says_what_the_model_answers)
{
    const char *folder = strrchr(folders[_i], '/');
    if (SANITIZED_THREADS && _i % 4 != 0) /* threads are used in the same way for all */
        return;
    bed b = open_bed(folder ? folder + 1 : folders[_i], VITX_FIT_SQUASH);
    vitx_report *report;
    vitx_map *map = map_of(&b, "attention");
    ck_ok(vitx_report_create(&report, b.model, NULL));
    ck_ok(vitx_report_add(report, b.image, "folder/of mine/picture.png"));
    ck_ok(vitx_report_add_map(report, map, NULL));
    ck_ok(vitx_report_run(report, b.c, b.image));
    file f = written(report), again = written(report);
    ck_assert_uint_eq(f.text.size, again.text.size);
    ck_assert_int_eq(memcmp(f.text.data, again.text.data, f.text.size), 0);
    ck_assert_str_eq(vx_json_string(vx_json_get(picture_at(&f, 0), "name")), "picture.png");
    ck_assert_ptr_null(strstr(f.text.data, "of mine"));
    ck_assert_int_eq(int_of(vx_json_get(f.manifest, "stats"), "pictures"), 1);
    check_predictions(&f, &b);
    check_map(&f, map);
    check_attention(&f, &b);
    close_file(&f);
    close_file(&again);
    vitx_report_free(report);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* The same report twice: by a run, and from answers alone. */
START_TEST(test_report__takes_answers_from_anywhere)
{
    static const char *const models[] = {"vit-timm", "siglip-hf-class",
                                         "dinov2-timm-registers-swiglu", "deit-hf",
                                         "vit-timm-oblong"};
    bed b = open_bed(models[_i], VITX_FIT_PAD);
    const vitx_image *image = b.image;
    vitx_report *ran, *given;
    vitx_map *map = map_of(&b, "attention");
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_model_info model = VITX_MODEL_INFO_INIT;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_stats *stats;
    vitx_view v;
    ck_ok(vitx_model_get_info(&model, b.model));
    ck_ok(vitx_report_create(&ran, b.model, NULL));
    ck_ok(vitx_report_add(ran, image, "x.png"));
    ck_ok(vitx_report_add_map(ran, map, NULL));
    ck_ok(vitx_report_run(ran, b.c, image));

    ck_ok(vitx_report_create(&given, b.model, NULL));
    ck_ok(vitx_report_add(given, image, "/y/x.png"));
    ck_ok(vitx_context_get_info(&info, b.c));
    ck_ok(vitx_report_set_input(given, &info));
    ck_ok(vitx_report_add_map(given, map, NULL));
    vitx_map_free(map);
    ck_ok(vitx_stats_create(&stats, b.c));
    ck_ok(vitx_stats_add(stats, &image, 1));
    ck_ok(vitx_report_add_stats(given, stats));
    vitx_stats_free(stats);
    /* To the last bit, which classifying by itself does not give: see check_predictions. */
    file one = written(ran);
    const vx_json *row = vx_json_first(vx_json_get(picture_at(&one, 0), "predictions"));
    vitx_prediction top[6] = {{.index = -1}};
    for (int i = 0; row; row = vx_json_next(row), i++)
        top[i] = (vitx_prediction){int_of(row, "index"), (float)number_of(row, "logit"),
                                   (float)number_of(row, "probability"),
                                   vx_json_string(vx_json_get(row, "label"))};
    ck_ok(vitx_report_add_predictions(given, top, 5));
    vitx_prediction back[7];
    ck_ok(vitx_report_get_predictions(back, 7, given));
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(back[i].index, i < 5 ? top[i].index : -1);
        ck_assert(back[i].index < 0 || back[i].logit == top[i].logit);
    }
    trace.record = VITX_RECORD_ALL;
    ck_ok(vitx_context_set_trace(b.c, &trace));
    ck_ok(vitx_forward(b.c, &image, 1));
    for (int l = model.depth - 1; l >= 0; l--) { /* in any order */
        ck_ok(vitx_attention(&v, b.c, l));
        ck_ok(vitx_report_add_attention(given, l, &v, 0));
    }
    if (strcmp(model.pooling, "map") == 0) {
        ck_ok(vitx_pool_attention(&v, b.c));
        ck_ok(vitx_report_add_pool_attention(given, &v, 0));
    }
    file two = written(given);
    ck_assert_uint_eq(one.text.size, two.text.size);
    ck_assert_int_eq(memcmp(one.text.data, two.text.data, one.text.size), 0);
    close_file(&one);
    close_file(&two);
    vitx_report_free(ran);
    vitx_report_free(given);
    close_bed(&b);
}
END_TEST

/* A photograph that does not compress well. */
static vitx_image *noise(int width, int height, uint64_t seed)
{
    rng r = {seed};
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    vitx_image *image;
    for (int i = 0; i < width * height * 3; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

static bool is_served(const bed *b, const vitx_image *image)
{
    bool there;
    ck_ok(vx_explained_serves(&there, b->c, image));
    return there;
}

/* A report of the picture by a run, in which a map of that method is made before (NULL: none). */
static file run_behind(const bed *b, const vitx_map *shown, const char *method)
{
    vitx_report *report;
    ck_ok(vitx_report_create(&report, b->model, NULL));
    ck_ok(vitx_report_add(report, b->image, "p.png"));
    ck_ok(vitx_report_add_map(report, shown, NULL));
    if (method)
        vitx_map_free(map_of(b, method));
    const bool kept = method && strcmp(method, "generic") == 0;
    ck_assert_int_eq(is_served(b, b->image), kept && b->c->arch.depth > 1);
    ck_ok(vitx_report_run(report, b->c, b->image));
    ck_assert(!is_served(b, b->image));
    file f = written(report);
    vitx_report_free(report);
    return f;
}

/* The blocks that a method has run are not run again, and the file is the same. */
START_TEST(test_report__takes_what_explaining_left_behind)
{
    const char *folder = strrchr(folders[_i], '/');
    bed b = open_bed(folder ? folder + 1 : folders[_i], VITX_FIT_SQUASH);
    vitx_map *map = map_of(&b, "generic");
    vitx_image *other = noise(50, 40, 3);
    const vitx_image *image = b.image;
    ck_assert_int_eq(is_served(&b, b.image), b.c->arch.depth > 1);
    ck_assert(!is_served(&b, other));
    ck_ok(vitx_forward(b.c, &image, 1));
    ck_assert(!is_served(&b, b.image));
    vitx_image_free(other);

    file plainly = run_behind(&b, map, NULL);
    static const char *const methods[] = {"generic", "rollout"};
    for (int i = 0; i < 2; i++) {
        file behind = run_behind(&b, map, methods[i]);
        ck_assert_uint_eq(plainly.text.size, behind.text.size);
        ck_assert_int_eq(memcmp(plainly.text.data, behind.text.data, plainly.text.size), 0);
        close_file(&behind);
    }
    close_file(&plainly);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

START_TEST(test_report__many_pictures_keep_to_the_budget)
{
    static const int64_t budgets[] = {400000, 600000, 1500000, 8000000};
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_report_level before = VITX_REPORT_NONE;
    for (int i = 0; i < 4; i++) {
        vitx_report_opts o = VITX_REPORT_OPTS_INIT;
        vitx_report_info info = VITX_REPORT_INFO_INIT;
        vitx_report *report;
        o.budget = budgets[i] + (int64_t)vx_page_bytes();
        o.pictures = 20;
        ck_ok(vitx_report_create(&report, b.model, &o));
        for (int k = 0; k < 20; k++) {
            vitx_image *image = noise(700, 300 + k, (uint64_t)k);
            char name[20];
            snprintf(name, sizeof name, "%d.png", k);
            ck_ok(vitx_report_add(report, image, name));
            ck_ok(vitx_report_run(report, b.c, image));
            vitx_image_free(image);
        }
        file f = written(report);
        ck_ok(vitx_report_get_info(&info, report));
        ck_assert_int_eq(info.pictures, 20);
        ck_assert_uint_eq((uint64_t)info.bytes, f.text.size);
        ck_assert_msg(info.bytes <= o.budget, "%lld bytes, budget %lld", (long long)info.bytes,
                      (long long)o.budget);
        ck_assert_int_le(info.level, before);
        before = info.level;
        ck_assert_str_eq(vx_json_string(vx_json_get(vx_json_get(f.manifest, "embed"), "level")),
                         vitx_report_level_name((int)info.level));
        ck_assert_int_eq(int_of(vx_json_get(f.manifest, "stats"), "pictures"), 20);
        ck_assert(info.level == VITX_REPORT_ALL ? !info.left_out[0] : info.left_out[0] != 0);
        close_file(&f);
        vitx_report_free(report);
    }
    ck_assert_int_eq(before, VITX_REPORT_ALL);
    close_bed(&b);
}
END_TEST

START_TEST(test_report__pictures_may_have_grids_of_their_own)
{
    bed b = open_bed("vit-timm", VITX_FIT_KEEP);
    vitx_image *other = noise(90, 50, 1);
    const vitx_image *images[] = {b.image, other, b.image};
    vitx_report *report;
    ck_ok(vitx_report_create(&report, b.model, NULL));
    for (int i = 0; i < 3; i++) {
        ck_ok(vitx_report_add(report, images[i], "p"));
        ck_ok(vitx_report_run(report, b.c, images[i]));
    }
    file f = written(report);
    for (int i = 0; i < 3; i++) {
        const vx_json *p = picture_at(&f, i);
        const vx_json *grid = vx_json_get(p, "grid"), *first = vx_json_first(grid);
        const int w = vitx_image_width(images[i]), h = vitx_image_height(images[i]);
        int gh, gw;
        ck_assert(vx_json_int(first, &gh) && vx_json_int(vx_json_next(first), &gw));
        ck_assert_int_eq(gh, (h + 4) / 8);
        ck_assert_int_eq(gw, (w + 4) / 8);
        const vx_json *layer = vx_json_first(vx_json_get(vx_json_get(p, "attention"), "layers"));
        const int tokens = int_of(p, "tokens"),
                  heads = int_of(vx_json_get(f.manifest, "model"), "heads");
        size_t bytes;
        ck_assert_int_eq(tokens, gh * gw + 1);
        uint8_t *raw = block_bytes(&f, vx_json_get(layer, "all"), &bytes);
        ck_assert_uint_eq(bytes, vx_code_bytes(heads, tokens, tokens, 1));
        free(raw);
    }
    /* Of those with the first grid. */
    ck_assert_int_eq(int_of(vx_json_get(f.manifest, "stats"), "pictures"), 2);
    close_file(&f);
    vitx_report_free(report);
    vitx_image_free(other);
    close_bed(&b);
}
END_TEST

static int count_text(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* What the JSON should say of a text. */
static void check_said(const vx_json *said, const char *text)
{
    vitx_hooks hooks = plain();
    vx_buffer b = {.hooks = &hooks};
    vx_sink out = vx_sink_buffer(&b);
    vx_json *json;
    ck_ok(vx_json_quote(&out, text));
    ck_ok(vx_json_parse(&json, b.data, b.size, "text", 2));
    ck_assert_str_eq(vx_json_string(said), vx_json_string(json));
    vx_json_free(json);
    vx_buffer_dispose(&b);
}

START_TEST(test_report__names_are_text)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_map *map = map_of(&b, "rollout");
    int scripts = -1, tags = -1, comments = -1;
    for (int i = HOSTILE - 1; i >= 0; i--) { /* the empty one first */
        const vitx_prediction top = {1, 2, 0.5f, hostile[i]};
        vitx_report_opts o = VITX_REPORT_OPTS_INIT;
        vitx_report *report;
        char name[200];
        o.title = o.command = hostile[i];
        snprintf(name, sizeof name, "C:\\my\\%s/x%s", hostile[i], hostile[i]);
        ck_ok(vitx_report_create(&report, b.model, &o));
        ck_ok(vitx_report_add(report, b.image, name));
        ck_ok(vitx_report_add_map(report, map, hostile[i]));
        ck_ok(vitx_report_add_predictions(report, &top, 1));
        ck_ok(vitx_report_add_absent(report, 3, hostile[i], hostile[i]));
        file f = written(report);
        scripts = scripts < 0 ? count_text(f.text.data, "<script") : scripts;
        tags = tags < 0 ? count_text(f.text.data, "<") : tags;
        comments = comments < 0 ? count_text(f.text.data, "<!--") : comments;
        ck_assert_int_eq(count_text(f.text.data, "<script"), scripts);
        ck_assert_int_eq(count_text(f.text.data, "<"), tags);
        ck_assert_int_eq(count_text(f.text.data, "<!--"), comments);
        ck_assert_ptr_null(strstr(f.text.data, "<img"));
        ck_assert_ptr_null(strstr(f.text.data, "my\\"));
        ck_assert(vx_utf8_valid(f.text.data, f.text.size));
        check_said(vx_json_get(f.manifest, "title"), hostile[i]);
        check_said(vx_json_get(f.manifest, "command"), hostile[i]);
        const vx_json *p = picture_at(&f, 0);
        check_said(vx_json_get(vx_json_first(vx_json_get(p, "maps")), "label"), hostile[i]);
        check_said(vx_json_get(vx_json_first(vx_json_get(p, "predictions")), "label"), hostile[i]);
        check_said(vx_json_get(vx_json_first(vx_json_get(f.manifest, "absent")), "label"),
                   hostile[i]);
        close_file(&f);
        vitx_report_free(report);
    }
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ what goes wrong -------- */

START_TEST(test_report__refuses_what_does_not_belong)
{
    bed b = open_bed("vit-timm", VITX_FIT_CROP), other = open_bed("vit-timm-3x3", VITX_FIT_CROP);
    vitx_image *large = noise(100, 100, 2);
    vitx_report *report = NULL;
    vitx_report_opts o = VITX_REPORT_OPTS_INIT;
    vitx_map *map = map_of(&b, "attention"), *wide, *foreign;
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vx_buffer sink = {.hooks = NULL};
    ck_fails(vitx_report_create(NULL, b.model, NULL), VITX_INVALID, "out is NULL");
    ck_fails(vitx_report_create(&report, NULL, NULL), VITX_INVALID, "model is NULL");
    o.lang = "xx";
    ck_fails(vitx_report_create(&report, b.model, &o), VITX_INVALID, "en, zh");
    o.lang = "zh";
    o.budget = -1;
    ck_fails(vitx_report_create(&report, b.model, &o), VITX_INVALID, "budget");
    o.budget = 0;
    o.level = (vitx_report_level)9;
    ck_fails(vitx_report_create(&report, b.model, &o), VITX_INVALID, "level 9");
    o.level = VITX_REPORT_AUTO;
    ck_ok(vitx_report_create(&report, b.model, &o));
    ck_fails(vitx_report_run(report, b.c, b.image), VITX_INVALID, "no picture was added");
    ck_fails(vitx_report_add_map(report, map, NULL), VITX_INVALID, "no picture was added");
    vitx_prediction top;
    ck_fails(vitx_report_get_predictions(&top, 1, report), VITX_INVALID, "no picture was added");
    ck_fails(vitx_report_write(report, keep, &sink), VITX_INVALID, "without a picture");
    ck_fails(vitx_report_save(report, NULL), VITX_INVALID, "path is NULL");
    ck_ok(vitx_report_add(report, b.image, "p.png"));
    ck_fails(vitx_report_run(report, other.c, b.image), VITX_INVALID, "another model");
    ck_fails(vitx_report_run(report, b.c, large), VITX_INVALID, "100 x 100");
    e.method = "attention";
    ck_ok(vitx_explain(&foreign, b.c, large, &e));
    ck_fails(vitx_report_add_map(report, foreign, NULL), VITX_INVALID, "100 x 100");
    ck_ok(vitx_map_to_picture(&wide, map));
    ck_fails(vitx_report_add_map(report, wide, NULL), VITX_INVALID, "vitx_map_to_picture");
    vitx_map_free(wide);
    vitx_map_free(foreign);
    ck_ok(vitx_explain(&foreign, other.c, b.image, &e));
    ck_ok(vitx_report_add_map(report, map, NULL));
    ck_fails(vitx_report_add_map(report, foreign, NULL), VITX_INVALID, "patches");
    vitx_map_free(foreign);
    /* Attention of another shape, or of no weights. */
    float *weights = calloc(4 * 26 * 26, sizeof *weights);
    vitx_view v = {weights, VITX_F32, 4, {1, 4, 26, 26}, {4 * 26 * 26, 26 * 26, 26, 1}};
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&info, b.model));
    ck_assert_int_eq(info.tokens, 26);
    v.shape[1] = info.heads;
    ck_fails(vitx_report_add_attention(report, info.depth, &v, 0), VITX_INVALID, "out of range");
    ck_fails(vitx_report_add_attention(report, 0, &v, 1), VITX_INVALID, "picture 1");
    ck_fails(vitx_report_add_attention(report, 0, NULL, 0), VITX_INVALID, "view");
    v.shape[3] = 25;
    ck_fails(vitx_report_add_attention(report, 0, &v, 0), VITX_INVALID, "26 tokens");
    v.shape[3] = 26;
    weights[30] = NAN;
    ck_fails(vitx_report_add_attention(report, 0, &v, 0), VITX_INVALID, "block 0: a number");
    weights[30] = 0;
    ck_ok(vitx_report_add_attention(report, 0, &v, 0));
    v.shape[1] = 1;
    ck_ok(vitx_report_add_attention(report, 1, &v, 0)); /* heads fused */
    v.shape[1] = info.heads;
    v.shape[2] = 1;
    ck_ok(vitx_report_add_attention(report, 2, &v, 0)); /* a row */
    v.shape[2] = 2;
    ck_fails(vitx_report_add_attention(report, 2, &v, 0), VITX_INVALID, "26 tokens");
    file f = written(report);
    const vx_json *layer =
        vx_json_first(vx_json_get(vx_json_get(picture_at(&f, 0), "attention"), "layers"));
    ck_assert(vx_json_string(vx_json_get(layer, "all")) != NULL);
    layer = vx_json_next(layer);
    ck_assert(vx_json_string(vx_json_get(layer, "mean")) != NULL);
    layer = vx_json_next(layer);
    ck_assert(vx_json_string(vx_json_get(layer, "class")) != NULL);
    ck_assert_str_eq(vx_json_string(vx_json_get(f.manifest, "lang")), "zh");
    ck_assert_ptr_nonnull(strstr(f.text.data, "<html lang=\"zh\">"));
    close_file(&f);
    /* In a file now. */
    v.shape[2] = 1;
    ck_fails(vitx_report_add_attention(report, 2, &v, 0), VITX_INVALID, "in a file already");
    ck_fails(vitx_report_run(report, b.c, b.image), VITX_INVALID, "in a file already");
    ck_ok(vitx_report_add(report, b.image, "more.png"));
    ck_ok(vitx_report_run(report, b.c, b.image));
    free(weights);
    vitx_report_free(report);
    vitx_report_free(NULL);
    vitx_map_free(map);
    vitx_image_free(large);
    close_bed(&b);
    close_bed(&other);
}
END_TEST

/* Refused attention must not settle where in the picture the input lies: what comes after says. */
START_TEST(test_report__refused_attention_leaves_nothing)
{
    bed b = open_bed("vit-timm", VITX_FIT_PAD);
    vitx_image *wide = noise(100, 60, 3);
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_model_info model = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_context_get_info(&info, b.c));
    ck_ok(vitx_model_get_info(&model, b.model));
    float *weights = calloc((size_t)(model.heads * 26 * 26), sizeof *weights);
    file files[2];
    for (int refused = 0; refused < 2; refused++) {
        vitx_view v = {weights,
                       VITX_F32,
                       4,
                       {1, model.heads, 26, 26},
                       {model.heads * 26 * 26, 26 * 26, 26, 1}};
        vitx_report *report;
        ck_ok(vitx_report_create(&report, b.model, NULL));
        ck_ok(vitx_report_add(report, wide, "wide.png"));
        if (refused) {
            v.shape[3] = 25;
            ck_fails(vitx_report_add_attention(report, 0, &v, 0), VITX_INVALID, "26 tokens");
            v.shape[3] = 26;
            ck_fails(vitx_report_add_attention(report, -1, &v, 0), VITX_INVALID, "out of range");
            ck_fails(vitx_report_add_pool_attention(report, &v, 0), VITX_INVALID, "pooling head");
            weights[30] = 2;
            ck_fails(vitx_report_add_attention(report, 0, &v, 0), VITX_INVALID, "no weight");
            weights[30] = 0;
        }
        ck_ok(vitx_report_set_input(report, &info));
        ck_ok(vitx_report_add_attention(report, 0, &v, 0));
        files[refused] = written(report);
        vitx_report_free(report);
    }
    ck_assert_uint_eq(files[0].text.size, files[1].text.size);
    ck_assert_int_eq(memcmp(files[0].text.data, files[1].text.data, files[0].text.size), 0);
    close_file(&files[0]);
    close_file(&files[1]);
    free(weights);
    vitx_image_free(wide);
    close_bed(&b);
}
END_TEST

static int stop_at(const void *data, size_t bytes, void *payload)
{
    int *left = payload;
    (void)data;
    (void)bytes;
    return (*left)-- <= 0;
}

/* A whole report; how far it came is its status. */
static int make_report(const bed *b, const vitx_map *map, const vitx_hooks *hooks, int pieces)
{
    vitx_report_opts o = VITX_REPORT_OPTS_INIT;
    vitx_report *report;
    o.hooks = hooks;
    o.command = "c";
    o.lang = "en";
    VX_TRY(vitx_report_create(&report, b->model, &o));
    int status = vitx_report_add(report, b->image, "p.png");
    if (status == VITX_OK)
        status = vitx_report_add_map(report, map, "label");
    if (status == VITX_OK)
        status = vitx_report_run(report, b->c, b->image);
    if (status == VITX_OK)
        status = vitx_report_add_absent(report, 1, "l", "c");
    if (status == VITX_OK)
        status = vitx_report_write(report, stop_at, &pieces);
    vitx_report_free(report);
    return status;
}

START_TEST(test_report__memory_runs_out)
{
    bed b = open_bed("siglip-timm", VITX_FIT_SQUASH);
    vitx_map *map = map_of(&b, "attention");
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    int status = VITX_NOMEM;
    for (int left = 0; status != VITX_OK; left++) {
        r.left = left;
        status = make_report(&b, map, &hooks, 1000);
        ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "after %d: %s", left,
                      vitx_last_error());
        ck_assert_int_eq(r.live, 0);
        ck_assert_int_lt(left, 2000);
    }
    ck_assert_int_gt(r.calls, 100);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* A map that could not be added leaves no trace: the next one is the first. */
START_TEST(test_report__a_map_that_failed_leaves_nothing)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_map *one = map_of(&b, "attention"), *two = map_of(&b, "saliency");
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_report_opts o = VITX_REPORT_OPTS_INIT;
    vitx_report *report;
    o.hooks = &hooks;
    ck_ok(vitx_report_create(&report, b.model, &o));
    ck_ok(vitx_report_add(report, b.image, "p.png"));
    ck_ok(vitx_report_add_map(report, two, NULL));
    file want = written(report);
    vitx_report_free(report);
    int status = VITX_NOMEM, left = 0;
    for (; status != VITX_OK; left++) {
        r.left = -1;
        ck_ok(vitx_report_create(&report, b.model, &o));
        ck_ok(vitx_report_add(report, b.image, "p.png"));
        r.left = left;
        status = vitx_report_add_map(report, one, NULL);
        r.left = -1;
        if (status != VITX_OK) {
            ck_assert_int_eq(status, VITX_NOMEM);
            ck_ok(vitx_report_add_map(report, two, NULL));
            file f = written(report);
            ck_assert_uint_eq(f.text.size, want.text.size);
            ck_assert_int_eq(memcmp(f.text.data, want.text.data, f.text.size), 0);
            close_file(&f);
        }
        vitx_report_free(report);
    }
    ck_assert_int_gt(left, 5);
    ck_assert_int_eq(r.live, 0);
    close_file(&want);
    vitx_map_free(one);
    vitx_map_free(two);
    close_bed(&b);
}
END_TEST

/* A picture that the model's recipe cannot take is shown; the others keep their page. */
START_TEST(test_report__a_picture_that_cannot_be_run)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_image *thin = noise(65535, 1, 3);
    vitx_report *report;
    ck_ok(vitx_report_create(&report, b.model, NULL));
    ck_ok(vitx_report_add(report, b.image, "p.png"));
    ck_ok(vitx_report_run(report, b.c, b.image));
    ck_ok(vitx_report_add(report, thin, "thin.png"));
    ck_fails(vitx_report_run(report, b.c, thin), VITX_UNSUPPORTED, "65535 x 1");
    file f = written(report);
    const vx_json *seen = vx_json_first(vx_json_get(picture_at(&f, 1), "seen"));
    static const double whole[] = {0, 0, 65535, 1};
    for (int i = 0; i < 4; i++, seen = vx_json_next(seen)) {
        double value = -1;
        ck_assert(vx_json_number(seen, &value));
        ck_assert_double_eq(value, whole[i]);
    }
    close_file(&f);
    vitx_report_free(report);
    vitx_image_free(thin);
    close_bed(&b);
}
END_TEST

START_TEST(test_report__a_writer_stops)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_map *map = map_of(&b, "attention");
    int pieces = 0;
    while (make_report(&b, map, NULL, pieces) == VITX_IO) {
        ck_assert_ptr_nonnull(strstr(vitx_last_error(), "the writer stopped"));
        pieces++;
    }
    ck_assert_int_gt(pieces, 0);
    ck_ok(make_report(&b, map, NULL, pieces));
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

static int cancel(int64_t done, int64_t total, void *payload)
{
    (void)total;
    return done >= *(const int64_t *)payload;
}

/* A run that is cancelled leaves the picture without attention, and can be done again. */
START_TEST(test_report__runs_again_after_a_cancelled_run)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    vitx_report *one, *two;
    int64_t at = 2;
    ck_ok(vitx_report_create(&one, b.model, NULL));
    ck_ok(vitx_report_create(&two, b.model, NULL));
    ck_ok(vitx_report_add(one, b.image, "p.png"));
    ck_ok(vitx_report_add(two, b.image, "p.png"));
    ck_ok(vitx_context_set_progress(b.c, cancel, &at));
    ck_assert_int_eq(vitx_report_run(one, b.c, b.image), VITX_CANCELLED);
    ck_ok(vitx_context_set_progress(b.c, NULL, NULL));
    ck_ok(vitx_report_run(one, b.c, b.image));
    ck_ok(vitx_report_run(two, b.c, b.image));
    file f = written(one), g = written(two);
    ck_assert_uint_eq(f.text.size, g.text.size);
    ck_assert_int_eq(memcmp(f.text.data, g.text.data, f.text.size), 0);
    close_file(&f);
    close_file(&g);
    vitx_report_free(one);
    vitx_report_free(two);
    close_bed(&b);
}
END_TEST

/* Maps on pixels, of all heads, of fewer values than patches. */
START_TEST(test_report__takes_maps_of_every_shape)
{
    bed b = open_bed("vit-timm", VITX_FIT_PAD);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *heads, *pixels = map_of(&b, "saliency"), *small, *large;
    vitx_map_info info = VITX_MAP_INFO_INIT, fine = VITX_MAP_INFO_INIT;
    vitx_report *report;
    e.method = "attention";
    e.layer = e.head = VITX_ALL;
    ck_ok(vitx_explain(&heads, b.c, b.image, &e));
    ck_ok(vitx_map_get_info(&info, heads));
    ck_ok(vitx_map_get_info(&fine, pixels));
    ck_ok(vitx_map_resize(&small, pixels, 2, 3));
    ck_ok(vitx_map_resize(&large, pixels, 200, 100));
    ck_ok(vitx_report_create(&report, b.model, NULL));
    ck_ok(vitx_report_add(report, b.image, "p.png"));
    ck_ok(vitx_report_add_map(report, small, NULL));
    ck_ok(vitx_report_add_map(report, large, NULL));
    ck_ok(vitx_report_add_map(report, pixels, "mine"));
    ck_ok(vitx_report_add_map(report, heads, NULL));
    file f = written(report);
    const vx_json *maps = vx_json_get(picture_at(&f, 0), "maps"), *m = vx_json_first(maps);
    ck_assert_int_eq(vx_json_size(maps), 3 + (int)(info.shape[0] * info.shape[1]));
    static const size_t counts[] = {6, 20000, 1600};
    for (int i = 0; i < 3; i++, m = vx_json_next(m)) {
        const vitx_map *of = i == 0 ? small : i == 1 ? large : pixels;
        size_t bytes;
        const bool half = strcmp(vx_json_string(vx_json_get(m, "code")), "f16") == 0;
        uint8_t *raw = block_bytes(&f, vx_json_get(m, "block"), &bytes);
        ck_assert_str_eq(vx_json_string(vx_json_get(m, "on")), "input");
        ck_assert_uint_eq(bytes, counts[i] * (half ? 2 : 4));
        ck_assert(half == (fmaxf(-fine.min, fine.max) >= 0x1p-13f));
        for (size_t k = 0; k < counts[i]; k++) {
            const float value = vitx_map_values(of)[k];
            float back;
            memcpy(&back, raw + 4 * k, half ? 0 : 4);
            back = half ? half_at(raw + 2 * k) : back;
            ck_assert(fabsf(value - back) <= (half ? fabsf(value) * 0x1p-11f + 0x1p-25f : 0));
        }
        free(raw);
    }
    for (int64_t i = 0; m; m = vx_json_next(m), i++) {
        size_t bytes;
        uint8_t *raw = block_bytes(&f, vx_json_get(m, "block"), &bytes);
        ck_assert_int_eq(int_of(m, "layer"), (int)(i / info.shape[1]));
        ck_assert_int_eq(int_of(m, "head"), (int)(i % info.shape[1]));
        ck_assert_uint_eq(bytes, 25 * 4);
        ck_assert_int_eq(memcmp(raw, vitx_map_values(heads) + 25 * i, bytes), 0);
        free(raw);
    }
    close_file(&f);
    vitx_report_free(report);
    vitx_map_free(small);
    vitx_map_free(large);
    vitx_map_free(pixels);
    vitx_map_free(heads);
    close_bed(&b);
}
END_TEST

START_TEST(test_report__saves_in_one_step)
{
    bed b = open_bed("vit-timm", VITX_FIT_RECIPE);
    char *folder = make_folder(), path[200];
    vitx_report *report;
    size_t bytes;
    snprintf(path, sizeof path, "%s/out.html", folder);
    ck_ok(vitx_report_create(&report, b.model, NULL));
    ck_ok(vitx_report_add(report, b.image, "p.png"));
    ck_ok(vitx_report_save(report, path));
    file f = written(report);
    char *text = read_file(path, &bytes);
    ck_assert_uint_eq(bytes, f.text.size);
    ck_assert_int_eq(memcmp(text, f.text.data, bytes), 0);
    free(text);
    ck_fails(vitx_report_save(report, "no/such/folder/x.html"), VITX_IO, "no/such/folder/x.html");
    close_file(&f);
    vitx_report_free(report);
    remove_folder(folder);
    free(folder);
    close_bed(&b);
}
END_TEST

static Suite *report_suite(void)
{
    Suite *s = suite_create("report");
    TCase *tcase = tcase_create("report");
    tcase_add_test(tcase, test_code__rows_come_back_within_the_step);
    tcase_add_test(tcase, test_code__edges_of_half);
    tcase_add_test(tcase, test_pack__is_one_stream_whoever_makes_it);
    tcase_add_test(tcase, test_escape__json_cannot_end_its_element);
    tcase_add_test(tcase, test_escape__html_is_text);
    tcase_add_test(tcase, test_escape__base64);
    tcase_add_test(tcase, test_record__keeps_the_richest_level_that_fits);
    tcase_add_test(tcase, test_record__codes_no_more_than_it_needs);
    tcase_add_test(tcase, test_record__takes_means_rows_and_halves);
    tcase_add_loop_test(tcase, test_fused__levels_are_those_of_the_exact_weights, 0, 4);
    tcase_add_loop_test(tcase, test_report__says_what_the_model_answers, 0, model_folders(folders));
    tcase_add_loop_test(tcase, test_report__takes_answers_from_anywhere, 0, 5);
    tcase_add_loop_test(tcase, test_report__takes_what_explaining_left_behind, 0,
                        model_folders(folders));
    tcase_add_loop_test(tcase, test_report__many_pictures_keep_to_the_budget, 0,
                        !SANITIZED_THREADS);
    tcase_add_test(tcase, test_report__pictures_may_have_grids_of_their_own);
    tcase_add_test(tcase, test_report__names_are_text);
    tcase_add_test(tcase, test_report__refuses_what_does_not_belong);
    tcase_add_test(tcase, test_report__refused_attention_leaves_nothing);
    tcase_add_test(tcase, test_report__memory_runs_out);
    tcase_add_test(tcase, test_report__a_map_that_failed_leaves_nothing);
    tcase_add_test(tcase, test_report__a_picture_that_cannot_be_run);
    tcase_add_test(tcase, test_report__a_writer_stops);
    tcase_add_test(tcase, test_report__runs_again_after_a_cancelled_run);
    tcase_add_test(tcase, test_report__takes_maps_of_every_shape);
    tcase_add_test(tcase, test_report__saves_in_one_step);
    suite_add_tcase(s, tcase);
    return s;
}

VX_TEST_MAIN(report_suite)
