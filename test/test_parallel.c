/* test_parallel.c: pieces of work on several threads (tools/cli/parallel.h): all are done, told of
 * in their order and stopped; and maps that are drawn at once are those drawn one by one.
 * VX_TEST_THREADS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "tools/cli/parallel.h"
#include "tools/cli/say.h"
#include "little_model.h"
#include "model_files.h"
#include "util.h"

enum { PIECES = 40, THREADS = 4 };

struct probe {
    int done[PIECES];           /* by the threads: how often work was called            */
    int finished, begun;        /* by the calling one: how many so far; those with begun */
    int stop_work, stop_finish; /* the piece that says stop; -1: none              */
};

static bool work(void *payload, int i)
{
    struct probe *p = payload;
    p->done[i]++;
    if (i % 3 == 0)
        complain("piece", "number %d", i);
    if (i % 6 == 0)
        complain(NULL, "and more of %d", i);
    return i != p->stop_work;
}

static bool listens(void *payload, int i)
{
    (void)payload;
    return i != 9;
}

static bool finish(void *payload, int i, bool begun)
{
    struct probe *p = payload;
    ck_assert_int_eq(i, p->finished);
    ck_assert_int_eq(p->done[i], begun);
    p->finished++;
    p->begun += begun;
    return i != p->stop_finish;
}

static void run(struct probe *p, int count, int threads)
{
    struct piece_state states[PIECES];
    do_in_parallel(&(struct pieces){.count = count,
                                    .threads = threads,
                                    .states = states,
                                    .payload = p,
                                    .work = work,
                                    .listens = listens,
                                    .finish = finish});
    ck_assert_int_eq(p->finished, count);
}

/* What is said to standard error meanwhile; to be freed. */
static char *said_by(struct probe *p, int count, int threads)
{
    char *text = calloc(1, 1 << 16);
    FILE *file = tmpfile();
    fflush(stderr);
    const int before = dup(STDERR_FILENO);
    ck_assert(text && file && before >= 0);
    ck_assert(dup2(fileno(file), STDERR_FILENO) >= 0);
    run(p, count, threads);
    fflush(stderr);
    ck_assert(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    ck_assert(fread(text, 1, (1 << 16) - 1, file) > 0 || count == 0);
    fclose(file);
    return text;
}

START_TEST(all_pieces_in_order)
{
    char wanted[1 << 14] = "";
    for (int i = 0; i < PIECES; i += 3) {
        if (i != 9)
            sprintf(wanted + strlen(wanted), "vitx-cli: piece: number %d\n", i);
        if (i % 6 == 0)
            sprintf(wanted + strlen(wanted), "vitx-cli: and more of %d\n", i);
    }
    for (int threads = 0; threads <= 12; threads++) {
        struct probe p = {.stop_work = -1, .stop_finish = -1};
        char *said = said_by(&p, PIECES, threads);
        ck_assert_int_eq(p.begun, PIECES);
        ck_assert_str_eq(said, wanted);
        free(said);
    }
}
END_TEST

START_TEST(few_pieces)
{
    for (int count = 0; count < 3; count++) {
        struct probe p = {.stop_work = -1, .stop_finish = -1};
        free(said_by(&p, count, THREADS));
        ck_assert_int_eq(p.begun, count);
    }
}
END_TEST

/* None is begun after a stop; what is under way ends, and is told of. */
START_TEST(a_piece_stops_the_rest)
{
    for (int threads = 1; threads <= THREADS; threads++) {
        struct probe p = {.stop_work = 7, .stop_finish = -1};
        free(said_by(&p, PIECES, threads));
        ck_assert_int_ge(p.begun, 8);
        ck_assert(threads > 1 || p.begun == 8);
        struct probe q = {.stop_work = -1, .stop_finish = 0};
        free(said_by(&q, PIECES, threads));
        ck_assert_int_ge(q.begun, 1);
        ck_assert(threads > 1 || q.begun == 1);
    }
}
END_TEST

/* ------------------------------------------------------------------ drawing ---------------- */

enum { PICTURES = 3, METHODS = 3, MAPS = PICTURES * METHODS };
static const char *const formats[] = {"png", "json", "npy"};

struct bytes {
    char *data;
    size_t count;
};

struct drawings {
    vitx_map *maps[MAPS];
    vitx_image *images[PICTURES];
    struct bytes out[MAPS];
};

static int keep(const void *data, size_t bytes, void *payload)
{
    struct bytes *b = payload;
    b->data = realloc(b->data, b->count + bytes);
    if (!b->data)
        return 1;
    memcpy(b->data + b->count, data, bytes);
    b->count += bytes;
    return 0;
}

static bool draw(void *payload, int i)
{
    struct drawings *d = payload;
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    opts.format = formats[i % 3];
    opts.layout = (vitx_layout)(i / 3 % 3);
    opts.colorbar = i % 2;
    opts.title = "a picture";
    return vitx_render_write(d->maps[i], d->images[i / METHODS], keep, &d->out[i], &opts) ==
           VITX_OK;
}

static bool drawn(void *payload, int i, bool begun)
{
    (void)payload;
    (void)i;
    return begun;
}

static void draw_all(struct drawings *d, int threads)
{
    struct piece_state states[MAPS];
    memset(d->out, 0, sizeof d->out);
    do_in_parallel(&(struct pieces){.count = MAPS,
                                    .threads = threads,
                                    .states = states,
                                    .payload = d,
                                    .work = draw,
                                    .listens = listens,
                                    .finish = drawn});
}

static void explain_all(struct drawings *d)
{
    static const char *const methods[METHODS] = {"generic", "rollout", "saliency"};
    vitx_explain_opts opts[METHODS];
    vitx_context *context;
    vitx_context_opts how = VITX_CONTEXT_OPTS_INIT;
    vitx_model *model = open_ok(golden_model("vit-timm"));
    how.threads = 1;
    how.max_batch = PICTURES;
    ck_ok(vitx_context_create(&context, model, &how));
    for (int i = 0; i < PICTURES; i++)
        d->images[i] = little_picture((unsigned)i + 1);
    for (int j = 0; j < METHODS; j++) {
        vitx_explain_opts_init(&opts[j], sizeof opts[j]);
        opts[j].method = methods[j];
    }
    ck_ok(vitx_explain_many(d->maps, context, (const vitx_image *const *)d->images, PICTURES, opts,
                            METHODS));
    vitx_context_free(context);
    vitx_model_free(model);
}

START_TEST(maps_drawn_at_once)
{
    struct drawings one, many;
    explain_all(&one);
    many = one;
    draw_all(&one, 1);
    for (int round = 0; round < 3; round++) {
        draw_all(&many, THREADS);
        for (int i = 0; i < MAPS; i++) {
            ck_assert_uint_gt(one.out[i].count, 0);
            ck_assert_uint_eq(many.out[i].count, one.out[i].count);
            ck_assert_mem_eq(many.out[i].data, one.out[i].data, one.out[i].count);
            free(many.out[i].data);
        }
    }
    for (int i = 0; i < MAPS; i++) {
        free(one.out[i].data);
        vitx_map_free(one.maps[i]);
    }
    for (int i = 0; i < PICTURES; i++)
        vitx_image_free(one.images[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parallel");
    TCase *tests = tcase_create("parallel");
    tcase_add_test(tests, all_pieces_in_order);
    tcase_add_test(tests, few_pieces);
    tcase_add_test(tests, a_piece_stops_the_rest);
    tcase_add_test(tests, maps_drawn_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
