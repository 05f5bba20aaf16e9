/* Status, memory, buffers, arenas, files, text, random numbers and the worker threads.
 * VX_TEST_THREADS */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/cpus.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/sink.h"
#include "base/structs.h"
#include "base/text.h"
#include "engine/scratch.h"
#include "util.h"

static vitx_hooks plain(void)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return hooks;
}

START_TEST(test_status__message_is_one_clean_line)
{
    ck_assert_int_eq(vx_fail(VITX_IO, "a\nb\x1b[31m %d", 7), VITX_IO);
    ck_assert_str_eq(vitx_last_error(), "a?b?[31m 7");
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    vx_fail(VITX_IO, "%s", longer);
    ck_assert_uint_eq(strlen(vitx_last_error()), 511);
    /* What is left out is the middle, between whole characters: the reason stays. */
    vx_fail(VITX_IO, "a%s: no reason", longer);
    ck_assert_uint_eq(strlen(vitx_last_error()), 511);
    ck_assert(strstr(vitx_last_error(), "xx ... xx") && strstr(vitx_last_error(), "xx: no reason"));
    for (size_t i = 0; i < sizeof longer - 1; i++)
        longer[i] = "\xe7\x8c\xab"[i % 3]; /* a character of three bytes */
    for (int shift = 0; shift < 3; shift++) {
        vx_fail(VITX_IO, "%.*s%.1998s", shift, "ab", longer);
        ck_assert(vx_utf8_valid(vitx_last_error(), strlen(vitx_last_error())));
        ck_assert_uint_ge(strlen(vitx_last_error()), 500);
    }
    ck_assert_str_eq(vitx_status_name(VITX_OK), "ok");
    ck_assert_str_eq(vitx_status_name(VITX_CANCELLED), "cancelled");
    ck_assert_str_eq(vitx_status_name(1), "unknown");
    ck_assert_str_eq(vitx_status_name(-99), "unknown");
    ck_assert_str_eq(vitx_version(), VITX_VERSION);
}
END_TEST

START_TEST(test_status__names_what_a_message_is_about)
{
    ck_assert_int_eq(vx_fail_in(VITX_IO, "a\n.png", "no %d", 7), VITX_IO);
    ck_assert_str_eq(vitx_last_error(), "a?.png: no 7");
    ck_assert_str_eq(vitx_last_error_subject(), "a\n.png");
    ck_assert_ptr_null(vitx_last_error_field());
    vx_fail_in(VITX_FORMAT, vitx_last_error_subject(), " says %s", "nothing");
    ck_assert_str_eq(vitx_last_error(), "a?.png says nothing");
    ck_assert_str_eq(vitx_last_error_subject(), "a\n.png");
    vx_fail_field(VITX_NOMEM, "trace_budget", "raise trace_budget to %d", 7);
    ck_assert_str_eq(vitx_last_error(), "raise trace_budget to 7");
    ck_assert_str_eq(vitx_last_error_field(), "trace_budget");
    ck_assert_ptr_null(vitx_last_error_subject());
    vx_fail(VITX_IO, "no file");
    ck_assert_ptr_null(vitx_last_error_field());
    ck_assert_ptr_null(vitx_last_error_subject());
    char longer[9000]; /* longer than a message, and than any path */
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    vx_fail_in(VITX_IO, longer, "no reason");
    ck_assert_uint_eq(strlen(vitx_last_error()), 511);
    ck_assert(strstr(vitx_last_error(), "xx: no reason"));
    ck_assert_uint_eq(strlen(vitx_last_error_subject()), 4096);
}
END_TEST

static void *fail_elsewhere(void *arg)
{
    ck_assert_str_eq(vitx_last_error(), "");
    vx_fail(VITX_IO, "other thread");
    return arg;
}

START_TEST(test_status__message_belongs_to_its_thread)
{
    pthread_t thread;
    vx_fail(VITX_INVALID, "this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(vitx_last_error(), "this thread");
}
END_TEST

static void *some_alloc(size_t bytes, void *payload)
{
    (void)payload;
    return malloc(bytes);
}

START_TEST(test_hooks__half_a_pair_is_refused)
{
    vitx_hooks out, in = VITX_HOOKS_INIT;
    in.alloc = some_alloc;
    ck_fails(vx_hooks_resolve(&out, &in), VITX_INVALID, "come together");
    in.struct_size = 3;
    ck_fails(vx_hooks_resolve(&out, &in), VITX_INVALID, "struct_size");
}
END_TEST

START_TEST(test_memory__products_that_do_not_fit)
{
    vitx_hooks hooks = plain();
    size_t n = 5;
    void *p = &n;
    ck_assert(!vx_mul_size(&n, SIZE_MAX / 2, 3) && n == 5);
    ck_assert(!vx_add_size(&n, SIZE_MAX, 1) && n == 5);
    ck_assert(vx_mul_size(&n, 0, SIZE_MAX) && n == 0);
    ck_fails(vx_new(&p, &hooks, SIZE_MAX, 16, "a thing"), VITX_NOMEM, "a thing");
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(test_memory__arrays_grow)
{
    vitx_hooks hooks = plain();
    int *at = NULL;
    size_t reserved = 0;
    for (int i = 0; i < 1000; i++) {
        ck_ok(vx_grow(&at, &reserved, &hooks, (size_t)i, 1, sizeof *at, "numbers"));
        at[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(at[i], i);
    ck_assert_uint_eq(reserved, 1024);
    ck_ok(vx_grow(&at, &reserved, &hooks, 1000, 5000, sizeof *at, "numbers"));
    ck_assert_uint_eq(reserved, 6000);
    int *const before = at;
    ck_fails(vx_grow(&at, &reserved, &hooks, 1000, SIZE_MAX, sizeof *at, "numbers"), VITX_NOMEM,
             "numbers");
    ck_fails(vx_grow(&at, &reserved, &hooks, 1000, SIZE_MAX / 2, sizeof *at, "numbers"), VITX_NOMEM,
             "numbers");
    ck_assert(at == before && reserved == 6000);
    vx_release(&hooks, at);
}
END_TEST

START_TEST(test_buffer__grows_and_formats)
{
    vitx_hooks hooks = plain();
    vx_buffer b = {.hooks = &hooks};
    char longer[3000];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (int i = 0; i < 100; i++)
        ck_ok(vx_buffer_printf(&b, "%d,", i));
    ck_ok(vx_buffer_printf(&b, "%s", longer));
    ck_ok(vx_buffer_append(&b, "", 0));
    ck_assert_uint_eq(b.size, 290 + 2999);
    ck_assert_uint_eq(strlen(b.data), b.size);
    ck_assert_int_eq(strncmp(b.data, "0,1,2,", 6), 0);
    vx_buffer_dispose(&b);
    vx_buffer_dispose(&b);
}
END_TEST

START_TEST(test_arena__second_run_gives_the_measured_places)
{
    vx_arena measure = {0};
    ck_assert_ptr_null(vx_arena_take(&measure, 3, 5));
    ck_assert_ptr_null(vx_arena_take(&measure, 100, 4));
    ck_assert_uint_eq(measure.size, 64 + 448);
    char *base = aligned_alloc(VX_ARENA_ALIGN, measure.size);
    vx_arena place = {.base = base};
    ck_assert_ptr_eq(vx_arena_take(&place, 3, 5), base);
    ck_assert_ptr_eq(vx_arena_take(&place, 100, 4), base + 64);
    ck_assert(!place.overflow);
    vx_arena_take(&measure, SIZE_MAX / 2, 3);
    ck_assert(measure.overflow);
    free(base);
}
END_TEST

/* A public struct in its first version, as it is now, and as headers to come will have it. */
typedef struct grown_1 {
    size_t struct_size;
    int a;
    float pad;
} grown_1;
typedef struct grown_2 {
    size_t struct_size;
    int a;
    float pad;
    const char *added;
} grown_2;
typedef struct grown_3 {
    grown_2 known;
    double more;
} grown_3;

START_TEST(test_structs__options_of_older_headers_take_the_defaults)
{
    grown_2 out = {sizeof out, 1, 2, "default"};
    const grown_1 old = {sizeof old, 5, 6};
    ck_ok(VX_STRUCT_READ(&out, NULL, grown_2, pad));
    ck_assert_int_eq(out.a, 1);
    ck_ok(VX_STRUCT_READ(&out, &old, grown_2, pad));
    ck_assert(out.struct_size == sizeof out && out.a == 5 && out.pad == 6);
    ck_assert_str_eq(out.added, "default");
    const grown_3 newer = {.known.struct_size = sizeof newer};
    ck_fails(VX_STRUCT_READ(&out, &newer, grown_2, pad), VITX_INVALID,
             "struct_size is 32, this library knows 16 to 24");
    const grown_2 forgotten = {.struct_size = 0};
    ck_fails(VX_STRUCT_READ(&out, &forgotten, grown_2, pad), VITX_INVALID,
             "grown_2.struct_size is 0");
    ck_assert_str_eq(out.added, "default");
}
END_TEST

START_TEST(test_structs__nothing_is_written_past_an_older_struct)
{
    const grown_2 full = {sizeof full, 7, 8, "added"};
    struct {
        grown_1 info;
        uint64_t guard;
    } old = {{sizeof old.info, 0, 0}, 0x5a5a5a5a5a5a5a5au};
    ck_ok(VX_STRUCT_WRITE(&old.info, &full, grown_2, pad));
    ck_assert(old.info.struct_size == sizeof old.info && old.info.a == 7 && old.info.pad == 8);
    ck_assert(old.guard == 0x5a5a5a5a5a5a5a5au);
    memset(&old.info, 0xff, sizeof old.info);
    vx_struct_init(&old.info, sizeof old.info, &full, sizeof full);
    ck_assert(old.info.struct_size == sizeof old.info && old.info.a == 7);
    ck_assert(old.guard == 0x5a5a5a5a5a5a5a5au);
    grown_3 newer;
    memset(&newer, 0xff, sizeof newer);
    vx_struct_init(&newer, sizeof newer, &full, sizeof full);
    ck_assert(newer.known.struct_size == sizeof newer && newer.more == 0);
    ck_assert_str_eq(newer.known.added, "added");
}
END_TEST

/* ------------------------------------------------------------------ files ------------------ */

START_TEST(test_file__reads_and_says_what_is_wrong)
{
    vitx_hooks hooks = plain();
    char *folder = make_folder(), path[200], buffer[8];
    vx_file *file;
    snprintf(path, sizeof path, "%s/data", folder);
    write_file(path, "0123456789", 10);
    ck_ok(vx_file_open(&file, path, &hooks));
    ck_assert_uint_eq(file->size, 10);
    ck_ok(vx_file_read(file, buffer, 3, 4));
    ck_assert_int_eq(memcmp(buffer, "3456", 4), 0);
    ck_fails(vx_file_read(file, buffer, 8, 4), VITX_IO, "data: ends at byte 10");
    ck_fails(vx_file_read(file, buffer, UINT64_MAX - 2, 4), VITX_FORMAT, "data");
    /* A file that is cut short after it was opened is an error, not a signal. */
    ck_assert_int_eq(truncate(path, 5), 0);
    ck_ok(vx_file_read(file, buffer, 0, 5));
    ck_fails(vx_file_read(file, buffer, 3, 4), VITX_IO, "it had 10");
    vx_file_close(file);
    vx_file_close(NULL);
    /* One that is written to shows. */
    write_file(path, "01234", 5);
    ck_ok(vx_file_open(&file, path, &hooks));
    ck_ok(vx_file_unchanged(file));
    const struct timespec times[2] = {{1, 5}, {1, 5}};
    write_file(path, "56789", 5);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0),
                     0); /* clocks of file systems are coarse */
    ck_fails(vx_file_unchanged(file), VITX_IO, "data: was written to");
    vx_file_close(file);
    write_file(path, "01234", 5);
    /* Its first bytes, as many as there are. */
    size_t start = sizeof buffer;
    ck_ok(vx_file_peek(buffer, &start, path, &hooks));
    ck_assert_uint_eq(start, 5);
    ck_assert_int_eq(memcmp(buffer, "01234", 5), 0);
    start = 2;
    ck_ok(vx_file_peek(buffer, &start, path, &hooks));
    ck_assert_uint_eq(start, 2);

    char *text;
    size_t bytes;
    ck_ok(vx_file_load(&text, &bytes, path, 5, &hooks));
    ck_assert_str_eq(text, "01234");
    vx_release(&hooks, text);
    ck_fails(vx_file_load(&text, &bytes, path, 4, &hooks), VITX_FORMAT, "at most 4");
    ck_assert_ptr_null(text);
    ck_fails(vx_file_open(&file, folder, &hooks), VITX_IO, "a folder");
    snprintf(path, sizeof path, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_fails(vx_file_open(&file, path, &hooks), VITX_IO,
             "pipe"); /* and does not wait for a writer */
    snprintf(path, sizeof path, "%s/nowhere", folder);
    ck_assert_int_eq(symlink("nothing", path), 0);
    ck_assert(vx_path_exists(path) && vx_path_exists(folder)); /* a link to nothing is something */
    ck_assert(!vx_path_exists("no/such/file") && !vx_path_exists("Makefile/file"));
    ck_fails(vx_file_open(&file, "", &hooks), VITX_IO, "an empty file name");
    char *longer = malloc(100001);
    memset(longer, 'x', 100000);
    longer[100000] = '\0';
    ck_fails(vx_file_open(&file, longer, &hooks), VITX_IO,
             "a file name of 100000 bytes is too long");
    free(longer);
    ck_fails(vx_file_open(&file, "no/such/file", &hooks), VITX_IO, "no/such/file: No such file");
    remove_folder(folder);
    free(folder);
}
END_TEST

static int save(const char *path, const void *data, size_t bytes, const vitx_hooks *hooks)
{
    vx_sink out = vx_sink_file(path, hooks);
    return vx_sink_end(&out, vx_sink_put(&out, data, bytes));
}

START_TEST(test_sink__replaces_a_file_in_one_step)
{
    vitx_hooks hooks = plain();
    char *folder = make_folder(), path[200], link[200];
    size_t bytes;
    struct stat info;
    snprintf(path, sizeof path, "%s/out", folder);
    ck_ok(save(path, "first", 5, &hooks));
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_ok(save(path, "second", 6, &hooks));
    char *text = read_file(path, &bytes);
    ck_assert_str_eq(text, "second");
    free(text);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0640);
    /* A link stays a link. */
    snprintf(link, sizeof link, "%s/link", folder);
    ck_assert_int_eq(symlink("out", link), 0);
    ck_ok(save(link, "third", 5, &hooks));
    text = read_file(path, &bytes);
    ck_assert_str_eq(text, "third");
    free(text);
    /* A name may be as long as the system lets it. */
    memset(link, 'n', sizeof link);
    char longest[512];
    snprintf(longest, sizeof longest, "%s/%.200s%.55s", folder, link, link);
    ck_ok(save(longest, "x", 1, &hooks));
    ck_ok(save(longest, "xy", 2, &hooks));
    ck_fails(save("no/such/folder/out", "x", 1, &hooks), VITX_IO, "no/such/folder/out");
    ck_fails(save("/dev/full", "x", 1, &hooks), VITX_IO, "/dev/full");
    remove_folder(folder);
    free(folder);
}
END_TEST

/* The entries of a folder, those that begin with a dot among them. */
static int count_files(const char *folder)
{
    char command[300];
    int count = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *f = popen(command, "r");
    ck_assert_int_eq(fscanf(f, "%d", &count), 1);
    pclose(f);
    return count;
}

typedef struct heard {
    int calls, stop_at;
    size_t bytes, largest;
} heard;

static int hear(const void *data, size_t bytes, void *payload)
{
    heard *h = payload;
    (void)data;
    if (++h->calls == h->stop_at)
        return 1;
    h->bytes += bytes;
    h->largest = bytes > h->largest ? bytes : h->largest;
    return 0;
}

START_TEST(test_sink__gathers_small_pieces_and_passes_large_ones)
{
    vitx_hooks hooks = plain();
    char *folder = make_folder(), path[200], *large = malloc(3 << 20);
    size_t bytes;
    memset(large, 'x', 3 << 20);
    snprintf(path, sizeof path, "%s/out", folder);
    vx_sink out = vx_sink_file(path, &hooks);
    for (int i = 0; i < 9000; i++)
        ck_ok(vx_sink_printf(&out, "%04d,%04d\n", i, i));
    ck_ok(vx_sink_put(&out, large, 100000));
    ck_ok(vx_sink_text(&out, "end"));
    ck_assert_uint_eq(out.put, 190003);
    ck_ok(vx_sink_end(&out, VITX_OK));
    char *text = read_file(path, &bytes);
    ck_assert_uint_eq(bytes, 190003);
    ck_assert_int_eq(memcmp(text + 89990, "8999,8999\nxx", 12), 0);
    ck_assert_str_eq(text + 190000, "end");
    free(text);
    /* A failure on the way leaves the old file, and nothing beside it. */
    out = vx_sink_file(path, &hooks);
    ck_ok(vx_sink_put(&out, large, 100000));
    ck_assert_int_eq(count_files(folder), 2);
    ck_assert_int_eq(vx_sink_end(&out, VITX_FORMAT), VITX_FORMAT);
    ck_assert_int_eq(count_files(folder), 1);
    text = read_file(path, &bytes);
    ck_assert_uint_eq(bytes, 190003);
    free(text);
    /* Nothing put: an empty file. */
    ck_ok(save(path, "", 0, &hooks));
    text = read_file(path, &bytes);
    ck_assert_uint_eq(bytes, 0);
    free(text);
    /* A writer is not called before there is much, hears of a MiB at a time, and may stop. */
    heard h = {0};
    out = vx_sink_writer(hear, &h, &hooks);
    ck_ok(vx_sink_text(&out, "small"));
    ck_assert_int_eq(h.calls, 0);
    ck_ok(vx_sink_put(&out, large, 3 << 20));
    ck_assert_int_eq(h.calls, 4);
    ck_assert_uint_eq(h.largest, 1 << 20);
    ck_ok(vx_sink_end(&out, VITX_OK));
    ck_assert_uint_eq(h.bytes, (3 << 20) + 5);
    h = (heard){.stop_at = 2};
    out = vx_sink_writer(hear, &h, &hooks);
    ck_fails(vx_sink_end(&out, vx_sink_put(&out, large, 3 << 20)), VITX_IO, "the writer stopped");
    ck_assert_int_eq(h.calls, 2);
    free(large);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_path__joins_and_splits)
{
    vitx_hooks hooks = plain();
    static const char *const rows[][2] = {
        {"a/b.x", "a"}, {"b.x", "."}, {"/b.x", "/"}, {"a/b/c", "a/b"}};
    char *p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_ok(vx_path_folder(&p, &hooks, rows[i][0]));
        ck_assert_str_eq(p, rows[i][1]);
        vx_release(&hooks, p);
    }
    ck_ok(vx_path_join(&p, &hooks, "a/", "b"));
    ck_assert_str_eq(p, "a/b");
    vx_release(&hooks, p);
    ck_ok(vx_path_join(&p, &hooks, "a", "b"));
    ck_assert_str_eq(p, "a/b");
    vx_release(&hooks, p);
}
END_TEST

START_TEST(test_text__numbers)
{
    double d;
    int i;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},
                {"-0.25", -0.25},
                {"1e-3", 1e-3},
                {"0.9", 0.9},
                {"12345678901234567890", 12345678901234567890.0},
                {".5", .5},
                {"5.", 5},
                {"+7", 7},
                {"1e300", 1e300},
                {"0.1", 0.1},
                {"1e-320", 0}};
    static const char *const bad[] = {"",    "-",   ".",  "1,5", "1e",    "nan",
                                      "inf", "0x1", "1 ", " 1",  "1e999", "3x"};
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        ck_assert_msg(vx_parse_double(good[k].text, &d), "%s", good[k].text);
        ck_assert_msg(fabs(d - good[k].value) <= 1e-15 * fabs(good[k].value) + 1e-300, "%s",
                      good[k].text);
    }
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        ck_assert_msg(!vx_parse_double(bad[k], &d), "%s", bad[k]);
    ck_assert(vx_parse_int("-2147483648", &i) && i == -2147483647 - 1);
    ck_assert(vx_parse_int("2147483647", &i) && i == 2147483647);
    ck_assert(!vx_parse_int("2147483648", &i) && !vx_parse_int("1.0", &i) && !vx_parse_int("", &i));
    ck_assert(!vx_parse_int("99999999999999999999999", &i));
    ck_assert(vx_same_word("TeNch", "tench") && !vx_same_word("tench", "tenc"));
}
END_TEST

static const char *fruit(int index)
{
    static const char *const names[] = {"apple", "pear", "plum"};
    return index >= 0 && index < 3 ? names[index] : NULL;
}

START_TEST(test_text__names_are_found_and_listed)
{
    char text[32], little[9];
    int index = -1;
    ck_assert_str_eq(vx_name_list(text, sizeof text, fruit), "apple, pear, plum");
    ck_assert_str_eq(vx_name_list(little, sizeof little, fruit), "apple, p");
    ck_assert_int_eq(vx_find_name(&index, "plum", fruit, "fruit"), VITX_OK);
    ck_assert_int_eq(index, 2);
    ck_fails(vx_find_name(&index, "Plum", fruit, "fruit"), VITX_INVALID,
             "no fruit \"Plum\"; there are: apple, pear, plum");
    ck_fails(vx_find_name(&index, NULL, fruit, "fruit"), VITX_INVALID, "no fruit is given");
    ck_assert_int_eq(index, 2);
}
END_TEST

/* ------------------------------------------------------------------ kept blocks ------------ */

typedef struct counter {
    int live, calls;
} counter;

static void *count_alloc(size_t bytes, void *payload)
{
    counter *c = payload;
    c->live++;
    c->calls++;
    return malloc(bytes);
}

static void count_release(void *memory, void *payload)
{
    counter *c = payload;
    c->live--;
    free(memory);
}

START_TEST(test_scratch__second_round_allocates_nothing)
{
    counter c = {0};
    const vitx_hooks hooks = {sizeof hooks, count_alloc, count_release, NULL, &c};
    vx_scratch scratch;
    vx_scratch_init(&scratch, &hooks);
    const vitx_hooks kept = vx_scratch_hooks(&scratch);
    int first = 0;
    for (int round = 0; round < 3; round++) {
        void *p[12]; /* more than are kept */
        for (int i = 0; i < (round == 2 ? 12 : 5); i++) {
            p[i] = vx_alloc(&kept, (size_t)(100 * (i + 1)));
            ck_assert_ptr_nonnull(p[i]);
            memset(p[i], i, (size_t)(100 * (i + 1)));
        }
        for (int i = 0; i < (round == 2 ? 12 : 5); i++) {
            ck_assert_int_eq(((char *)p[i])[100 * i], i);
            vx_release(&kept, p[i]);
        }
        if (round == 0)
            first = c.calls;
        if (round == 1)
            ck_assert_int_eq(c.calls, first);
    }
    vx_scratch_dispose(&scratch);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

/* ------------------------------------------------------------------ workers ---------------- */

typedef struct tally {
    atomic_int count[1000];
    int threads;
} tally;

static void mark(void *arg, int i, int worker)
{
    tally *t = arg;
    ck_assert(worker >= 0 && worker < t->threads);
    atomic_fetch_add(&t->count[i], 1);
}

START_TEST(test_pool__every_number_once)
{
    static tally t;
    vitx_hooks hooks = plain();
    const int threads = _i + 1;
    vx_pool *pool;
    memset(&t, 0, sizeof t);
    t.threads = threads;
    ck_ok(vx_pool_create(&pool, &hooks, threads));
    ck_assert_int_eq(vx_pool_threads(pool), threads);
    for (int round = 0; round < 200; round++)
        vx_pool_run(pool, mark, &t, round == 199 ? 0 : 1000 - (round % 7));
    for (int i = 0; i < 990; i++)
        ck_assert_int_eq(atomic_load(&t.count[i]), 199);
    usleep(2000); /* long enough for the workers to fall asleep */
    vx_pool_run(pool, mark, &t, 1000);
    ck_assert_int_eq(atomic_load(&t.count[5]), 200);
    vx_pool_free(pool);
}
END_TEST

static void check_mask(void *arg, int i, int worker)
{
    sigset_t set;
    (void)i;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (worker > 0)
        atomic_fetch_add((atomic_int *)arg, sigismember(&set, SIGUSR1) == 1 ? 0 : 1);
    usleep(100);
}

START_TEST(test_pool__workers_leave_signals_alone)
{
    vitx_hooks hooks = plain();
    vx_pool *pool;
    atomic_int open = 0;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_ok(vx_pool_create(&pool, &hooks, 3));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 32; signal++)
        ck_assert_int_eq(sigismember(&before, signal), sigismember(&after, signal));
    vx_pool_run(pool, check_mask, &open, 30);
    ck_assert_int_eq(atomic_load(&open), 0);
    vx_pool_free(pool);
    vx_pool_free(NULL);
    ck_fails(vx_pool_create(&pool, &hooks, 0), VITX_INVALID, "1 to 256");
    ck_fails(vx_pool_create(&pool, &hooks, 257), VITX_INVALID, "257");
    ck_assert_int_ge(vx_cpu_count(), 1);
}
END_TEST

/* SplitMix64 as published: a sequence. */
static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

START_TEST(test_random__bits_are_splitmix64_of_splitmix64)
{
    /* The first outputs from 1234567, as printed on
     * rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64. */
    static const uint64_t known[] = {6457827717110365317u, 3203168211198807973u,
                                     9817491932198370423u, 4593380528125082431u,
                                     16408922859458223821u};
    uint64_t outer = 1234567;
    for (uint64_t stream = 0; stream < 5; stream++) {
        uint64_t inner = split_mix(&outer);
        ck_assert_uint_eq(inner, known[stream]);
        for (uint64_t i = 0; i < 5; i++)
            ck_assert_uint_eq(vx_random_bits(1234567, stream, i), split_mix(&inner));
    }
}
END_TEST

START_TEST(test_random__uniform_fills_the_unit_interval)
{
    enum { N = 100000, BINS = 20 };
    int bins[BINS] = {0};
    for (int i = 0; i < N; i++) {
        const double u = vx_random_uniform(0, 9, (uint64_t)i);
        ck_assert(u >= 0 && u < 1);
        ck_assert(u == (double)(vx_random_bits(0, 9, (uint64_t)i) >> 11) / 9007199254740992.0);
        bins[(int)(u * BINS)]++;
    }
    double chi = 0;
    for (int b = 0; b < BINS; b++)
        chi += pow(bins[b] - N / BINS, 2) / (N / BINS);
    ck_assert_double_lt(chi, 43.8); /* 19 degrees of freedom: 1 in 1000 */
}
END_TEST

/* The distribution function of each value is the place it was made from. */
START_TEST(test_random__normal_is_the_inverse_of_its_distribution)
{
    enum { N = 30000 };
    double sum = 0, squares = 0, far = 0;
    float some[64];
    for (int i = 0; i < N; i++) {
        const double z = vx_random_normal(3, 1, (uint64_t)i);
        const double place = ((double)(vx_random_bits(3, 1, (uint64_t)i) >> 12) + 0.5) * 0x1p-52;
        const double tail = z < 0 ? place : 1 - place; /* small ones are good to their digits */
        ck_assert_double_eq_tol(0.5 * erfc(fabs(z) / sqrt(2)) / tail, 1, 5e-6);
        ck_assert(z < 0 ? place < 0.5 : place > 0.5);
        sum += z / N;
        squares += z * z / N;
        far = fmax(far, fabs(z));
    }
    ck_assert_double_eq_tol(sum, 0, 4 / sqrt(N));
    ck_assert_double_eq_tol(squares, 1, 4 * sqrt(2.0 / N));
    ck_assert(far > 4 && far < 7);
    vx_random_normals(some, 3, 1, 1000, 64);
    for (int i = 0; i < 64; i++)
        ck_assert_float_eq(some[i], (float)vx_random_normal(3, 1, 1000 + (uint64_t)i));
}
END_TEST

static Suite *base_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *tcase = tcase_create("base");
    tcase_add_test(tcase, test_status__message_is_one_clean_line);
    tcase_add_test(tcase, test_status__names_what_a_message_is_about);
    tcase_add_test(tcase, test_status__message_belongs_to_its_thread);
    tcase_add_test(tcase, test_hooks__half_a_pair_is_refused);
    tcase_add_test(tcase, test_structs__options_of_older_headers_take_the_defaults);
    tcase_add_test(tcase, test_structs__nothing_is_written_past_an_older_struct);
    tcase_add_test(tcase, test_memory__products_that_do_not_fit);
    tcase_add_test(tcase, test_memory__arrays_grow);
    tcase_add_test(tcase, test_buffer__grows_and_formats);
    tcase_add_test(tcase, test_arena__second_run_gives_the_measured_places);
    tcase_add_test(tcase, test_file__reads_and_says_what_is_wrong);
    tcase_add_test(tcase, test_sink__replaces_a_file_in_one_step);
    tcase_add_test(tcase, test_sink__gathers_small_pieces_and_passes_large_ones);
    tcase_add_test(tcase, test_path__joins_and_splits);
    tcase_add_test(tcase, test_text__numbers);
    tcase_add_test(tcase, test_text__names_are_found_and_listed);
    tcase_add_test(tcase, test_scratch__second_round_allocates_nothing);
    tcase_add_loop_test(tcase, test_pool__every_number_once, 0, 4);
    tcase_add_test(tcase, test_pool__workers_leave_signals_alone);
    tcase_add_test(tcase, test_random__bits_are_splitmix64_of_splitmix64);
    tcase_add_test(tcase, test_random__uniform_fills_the_unit_interval);
    tcase_add_test(tcase, test_random__normal_is_the_inverse_of_its_distribution);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(base_suite)
