/* test_pipeline.c: pieces of work that go through stages (tools/cli/pipeline.h): all are done and
 * told of in their order, within the slots and the pixels, one piece a context at a time; and
 * stopped by each stage, and by Ctrl-C. VX_TEST_THREADS */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/pipeline.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"
#include "util.h"

enum { PIECES = 60, MOST = 8, LOAD = 1, RUN = 2, SAVE = 4, ALL_STAGES = 7 };

struct probe {
    int piece_of[3 * MOST]; /* [slot] */
    int done[PIECES];       /* which stages */
    atomic_int busy[MOST];  /* [context] */
    atomic_int pixels, most_pixels;
    int finished, begun;     /* by the calling thread */
    int stop_at, stop_piece; /* the stage and the piece that say that there is no more; 0: none */
    int interrupt_at;        /* the piece that presses Ctrl-C; -1: none */
    bool without_save;
    pthread_t caller;
    vitx_context *contexts[MOST];
};

/* Pieces overtake each other. */
static void dawdle(int piece)
{
    const struct timespec a_while = {.tv_nsec = piece * 7919 % 5 * 200000L};
    nanosleep(&a_while, NULL);
}

static bool stage(struct probe *p, int piece, int slot, int which)
{
    ck_assert_int_eq(p->piece_of[slot], piece);
    ck_assert_int_eq(p->done[piece], which - 1); /* all before, none behind */
    p->done[piece] |= which;
    if (piece % 3 == 0)
        complain("piece", "%d in stage %d", piece, which);
    dawdle(piece + which);
    if (piece == p->interrupt_at && which == RUN)
        kill(getpid(), SIGINT);
    return !(p->stop_at == which && p->stop_piece == piece);
}

static bool load(void *payload, int piece, int slot, int64_t *pixels)
{
    struct probe *p = payload;
    p->piece_of[slot] = piece;
    const int now = atomic_fetch_add(&p->pixels, 10) + 10;
    int most = p->most_pixels;
    while (now > most && !atomic_compare_exchange_weak(&p->most_pixels, &most, now)) {
    }
    *pixels = 10;
    return stage(p, piece, slot, LOAD);
}

static bool run(void *payload, int piece, int slot, vitx_context *context)
{
    struct probe *p = payload;
    int which = 0;
    while (p->contexts[which] != context)
        which++;
    ck_assert_int_eq(atomic_fetch_add(&p->busy[which], 1), 0);
    const bool more = stage(p, piece, slot, RUN);
    atomic_fetch_sub(&p->busy[which], 1);
    return more;
}

static bool save(void *payload, int piece, int slot)
{
    return stage(payload, piece, slot, SAVE);
}

static bool finish(void *payload, int piece, int slot, bool begun)
{
    struct probe *p = payload;
    ck_assert(pthread_equal(pthread_self(), p->caller));
    ck_assert_int_eq(piece, p->finished);
    p->finished++;
    if (begun) {
        ck_assert_int_eq(p->begun, piece); /* none behind one that was not */
        ck_assert_int_eq(p->piece_of[slot], piece);
        atomic_fetch_sub(&p->pixels, 10);
    }
    p->begun += begun;
    return !(p->stop_at == ALL_STAGES && p->stop_piece == piece);
}

static void go(struct probe *p, int count, int threads, int contexts, int slots, int64_t most)
{
    static char marks[MOST];
    for (int i = 0; i < MOST; i++) /* they are not looked into */
        p->contexts[i] = (vitx_context *)(void *)&marks[i];
    p->caller = pthread_self();
    const struct pipeline stages = {.count = count,
                                    .threads = threads,
                                    .slots = slots,
                                    .contexts = p->contexts,
                                    .context_count = contexts,
                                    .most_pixels = most,
                                    .payload = p,
                                    .load = load,
                                    .run = run,
                                    .save = p->without_save ? NULL : save,
                                    .finish = finish};
    ck_assert(pipeline_run(&stages));
    ck_assert_int_eq(p->finished, count);
}

/* threads, contexts, slots */
static const int shapes[][3] = {{1, 1, 1}, {2, 1, 2}, {2, 2, 6}, {3, 1, 9}, {4, 4, 12}, {8, 2, 24}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

START_TEST(test_pipeline__does_all)
{
    for (int without = 0; without < 2; without++) {
        struct probe p = {.interrupt_at = -1, .without_save = without};
        go(&p, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], INT64_MAX);
        ck_assert_int_eq(p.begun, PIECES);
        for (int i = 0; i < PIECES; i++)
            ck_assert_int_eq(p.done[i], without ? LOAD + RUN : ALL_STAGES);
    }
}
END_TEST

/* A piece more than may be held at once is there only if it was begun before the others were
 * counted: as many as there are threads. */
START_TEST(test_pipeline__keeps_to_the_pixels)
{
    struct probe p = {.interrupt_at = -1};
    go(&p, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], 20);
    ck_assert_int_eq(p.begun, PIECES);
    ck_assert_int_le(p.most_pixels, 10 * (2 + shapes[_i][0]));
    struct probe one = {.interrupt_at = -1};
    go(&one, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], 1);
    ck_assert_int_eq(one.begun, PIECES);
}
END_TEST

START_TEST(test_pipeline__stops)
{
    static const int stages[] = {LOAD, RUN, SAVE, ALL_STAGES};
    for (int s = 0; s < 4; s++) {
        struct probe p = {.interrupt_at = -1, .stop_at = stages[s], .stop_piece = 20};
        go(&p, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], INT64_MAX);
        ck_assert_int_gt(p.begun, 20);
        ck_assert_int_le(p.begun, 21 + shapes[_i][2]);
        for (int i = p.begun; i < PIECES; i++)
            ck_assert_int_eq(p.done[i], 0);
    }
}
END_TEST

START_TEST(test_pipeline__ends_with_ctrl_c)
{
    struct common quiet = {.quiet = true};
    struct probe p = {.interrupt_at = 20};
    progress_begin(&quiet, PIECES, 1, "pieces");
    go(&p, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], INT64_MAX);
    ck_assert(progress_interrupted());
    ck_assert_int_gt(p.begun, 20);
    ck_assert_int_le(p.begun, 21 + shapes[_i][2]);
}
END_TEST

/* What stages complain of comes in the order of the pieces, whatever came first. */
START_TEST(test_pipeline__complains_in_order)
{
    char text[1 << 14];
    int ends[2], last = -1;
    fflush(stderr);
    const int kept = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    struct probe p = {.interrupt_at = -1};
    go(&p, PIECES, shapes[_i][0], shapes[_i][1], shapes[_i][2], INT64_MAX);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    const ssize_t length = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt((int)length, 0);
    text[length] = '\0';
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        int piece, which;
        ck_assert_int_eq(sscanf(line, "vitx-cli: piece: %d in stage %d", &piece, &which), 2);
        ck_assert_int_gt(piece * 8 + which, last);
        last = piece * 8 + which;
    }
    ck_assert_int_eq(lines, PIECES / 3 * 3);
    close(ends[0]);
    close(kept);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pipeline");
    TCase *t = tcase_create("pipeline");
    tcase_add_loop_test(t, test_pipeline__does_all, 0, SHAPES);
    tcase_add_loop_test(t, test_pipeline__keeps_to_the_pixels, 0, SHAPES);
    tcase_add_loop_test(t, test_pipeline__stops, 0, SHAPES);
    tcase_add_loop_test(t, test_pipeline__complains_in_order, 0, SHAPES);
    /* In a process of its own: Ctrl-C is for good. */
    const char *fork = getenv("CK_FORK");
    tcase_add_loop_test(t, test_pipeline__ends_with_ctrl_c, 0,
                        fork && strcmp(fork, "no") == 0 ? 0 : SHAPES);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
