/* test_search.c: the index of vitx-cli search as a file (tools/cli/search/index.h): what is written
 * is read again, torn files lose their last block alone, and hostile ones give nothing wrong; and
 * vitx_nearest (vitx/texts.h) against a plain search. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vitx/texts.h>

#include "tools/cli/say.h"
#include "tools/cli/search/index_parts.h"
#include "tools/cli/search/sum.h"
#include "util.h"

enum { UNITS = 7 };
static const char terms[] = "vitx: 1\nmodel: abc\n";
static char path[] = "/tmp/vitx-test-search-XXXXXX";

static void begin(void)
{
    const int fd = mkstemp(strcpy(path, "/tmp/vitx-test-search-XXXXXX"));
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void end(void)
{
    unlink(path);
}

/* What open says; the messages are swallowed. */
static int open_as(struct index *index, const char *with, int units, enum index_for what)
{
    char *said = NULL;
    size_t length;
    say_hold(&said, &length);
    const int status = index_open(index, path, with, units, what, true);
    say_release();
    ck_assert_int_eq(status != DONE, said != NULL);
    free(said);
    return status;
}

static void name_of(char *name, int i)
{
    sprintf(name, "folder/picture %d.png", i);
}

static float value_of(int i, int k)
{
    return (float)(i * 31 + k);
}

static void add(struct index *index, int i, int64_t mtime)
{
    char name[64];
    float vector[UNITS];
    name_of(name, i);
    for (int k = 0; k < UNITS; k++)
        vector[k] = value_of(i, k);
    ck_assert(index_add(index, name, (struct mark){100 + i, mtime}, vector, NULL));
}

/* Pictures 0 to count-1, of which every fifth is broken, in blocks of `together`. */
static void fill(int count, int together)
{
    struct index index;
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), DONE);
    for (int i = 0; i < count; i++) {
        char name[64];
        name_of(name, i);
        if (i % 5 == 4)
            ck_assert(index_add(&index, name, (struct mark){100 + i, 7}, NULL, "no picture"));
        else
            add(&index, i, 7);
        if ((i + 1) % together == 0)
            ck_assert(index_flush(&index));
    }
    ck_assert(index_flush(&index));
    index_close(&index);
}

/* Whether a picture is in the index as fill made it. */
static bool has(const struct index *index, int i)
{
    char name[64];
    float vector[UNITS];
    name_of(name, i);
    const int at = index_find(index, name);
    if (at < 0)
        return false;
    const struct entry *e = &index->entries[at];
    if (e->mark.size != 100 + i || (e->error != NULL) != (i % 5 == 4))
        return false;
    if (e->error)
        return strcmp(e->error, "no picture") == 0;
    if (!index_vector(index, at, vector))
        return false;
    for (int k = 0; k < UNITS; k++)
        if (vector[k] != value_of(i, k))
            return false;
    return true;
}

static int64_t bytes_of_file(void)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return (int64_t)info.st_size;
}

static char *load_file(size_t *bytes)
{
    *bytes = (size_t)bytes_of_file();
    char *data = malloc(*bytes + 1);
    FILE *file = fopen(path, "rb");
    ck_assert(file && fread(data, 1, *bytes, file) == *bytes);
    fclose(file);
    return data;
}

static void save_file(const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    ck_assert(file && fwrite(data, 1, bytes, file) == bytes);
    fclose(file);
}

START_TEST(what_is_written_is_read)
{
    struct index index;
    float vectors[3 * UNITS];
    begin();
    fill(30, 3);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
    ck_assert_int_eq(index.count, 30);
    for (int i = 0; i < 30; i++)
        ck_assert(has(&index, i));
    ck_assert(!has(&index, 30));
    for (int b = 0; b < index.block_count; b++) {
        ck_assert(index_read(&index, b, vectors));
        for (int row = 0; row < index.blocks[b].rows; row++)
            ck_assert_int_ge(index_owner(&index, b, row), 0);
    }
    index_close(&index);
    end();
}
END_TEST

START_TEST(later_entries_stand_in_place_of_earlier_ones)
{
    struct index index;
    char name[64];
    begin();
    fill(10, 4);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), DONE);
    add(&index, 4, 8); /* it was broken */
    name_of(name, 5);
    ck_assert(index_add(&index, name, (struct mark){0, 0}, NULL, NULL)); /* gone */
    ck_assert(index_flush(&index));
    index_close(&index);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
    name_of(name, 4);
    const int at = index_find(&index, name);
    ck_assert(!index.entries[at].error && index.entries[at].block == index.block_count - 1);
    ck_assert(index.entries[at].mark.mtime == 8);
    name_of(name, 5);
    const int gone = index_find(&index, name);
    ck_assert(index.entries[gone].mark.size < 0 && index.entries[gone].block < 0);
    ck_assert_int_eq(index_owner(&index, 1, 0), -1); /* the row that picture 5 had */
    index_close(&index);
    end();
}
END_TEST

/* Cut anywhere, the file loses the blocks that are not whole, and takes more. */
START_TEST(a_torn_file_loses_its_last_block)
{
    struct index index;
    size_t bytes;
    begin();
    fill(12, 4);
    char *whole = load_file(&bytes);
    for (size_t cut = 0; cut < bytes; cut += cut < 200 ? 1 : 7) {
        save_file(whole, cut);
        ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), DONE);
        ck_assert_int_eq(index.count % 4, 0);
        ck_assert_int_lt(index.count, 12);
        for (int i = 0; i < index.count; i++)
            ck_assert(has(&index, i));
        add(&index, 20, 7);
        ck_assert(index_flush(&index));
        const int count = index.count;
        index_close(&index);
        ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
        ck_assert_int_eq(index.count, count);
        ck_assert(has(&index, 20));
        index_close(&index);
    }
    free(whole);
    end();
}
END_TEST

/* Each byte of it changed in turn: an error, or pictures that are right, or vectors that say that
 * they are damaged. */
START_TEST(a_changed_byte_is_seen)
{
    struct index index;
    size_t bytes;
    float vectors[4 * UNITS];
    int damaged = 0, refused = 0, lost = 0;
    begin();
    fill(8, 4);
    char *whole = load_file(&bytes);
    for (size_t at = 0; at < bytes; at++) {
        whole[at] ^= (char)(1 << at % 8);
        save_file(whole, bytes);
        whole[at] ^= (char)(1 << at % 8);
        if (open_as(&index, terms, UNITS, INDEX_TO_READ) != DONE) {
            refused++;
            index_close(&index);
            continue;
        }
        bool bad = false;
        for (int b = 0; b < index.block_count; b++)
            bad |= !index_read(&index, b, vectors);
        lost += index.count < 8;
        damaged += bad;
        for (int i = 0; i < index.count && !bad; i++)
            ck_assert(has(&index, i));
        index_close(&index);
    }
    ck_assert_int_gt(refused, 60);            /* the head */
    ck_assert_int_eq(damaged, 7 * UNITS * 4); /* seven vectors */
    ck_assert_int_gt(lost, 200);
    ck_assert_int_le(refused + damaged + lost, (int)bytes);
    ck_assert_int_ge(refused + damaged + lost, (int)bytes - 8); /* zeros behind the terms */
    free(whole);
    end();
}
END_TEST

/* A block as an enemy would write it: all sums are right. */
static void put_hostile(int which)
{
    size_t bytes;
    begin();
    fill(4, 4);
    char *data = load_file(&bytes);
    const size_t at = sizeof(struct index_head) + filled_up(strlen(terms));
    struct block_head h;
    struct table_entry e;
    memcpy(&h, data + at, sizeof h);
    char *table = data + at + sizeof h;
    memcpy(&e, table, sizeof e);
    switch (which) {
    case 0:
        h.entries = UINT32_MAX;
        break;
    case 1:
        h.entries = 0;
        break;
    case 2:
        h.vectors = UINT32_MAX;
        break;
    case 3:
        h.vectors = 0;
        break;
    case 4:
        h.table = UINT64_MAX - 7;
        break;
    case 5:
        h.table = 8;
        break;
    case 6:
        h.at = 0;
        break;
    case 7:
        e.name = UINT32_MAX;
        break;
    case 8:
        e.error = UINT32_MAX;
        break;
    case 9:
        e.name = 0;
        break;
    case 10:
        e.error = 1;
        break;
    case 11:
        e.name++;
        break;
    default:
        h.vectors--;
        break;
    }
    memcpy(table, &e, sizeof e);
    if (h.table < bytes)
        h.table_sum = sum_of(table, h.table);
    h.sum = sum_of(&h, offsetof(struct block_head, sum));
    memcpy(data + at, &h, sizeof h);
    save_file(data, bytes);
    free(data);
}

START_TEST(hostile_blocks_are_not_there)
{
    struct index index;
    put_hostile(_i);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
    ck_assert_int_eq(index.block_count, 0);
    for (int i = 0; i < index.count; i++)
        ck_assert(index.entries[i].block < 0);
    index_close(&index);
    end();
}
END_TEST

START_TEST(other_files_are_refused)
{
    struct index index;
    struct index_head h;
    size_t bytes;
    begin();
    save_file("precious", 8);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), SOME_FAILED);
    index_close(&index);
    ck_assert_int_eq(bytes_of_file(), 8);
    save_file("", 0);
    fill(4, 4);
    ck_assert_int_eq(open_as(&index, "vitx: 1\nmodel: abd\n", UNITS, INDEX_TO_WRITE), SOME_FAILED);
    index_close(&index);
    ck_assert_int_eq(open_as(&index, terms, UNITS + 1, INDEX_TO_WRITE), SOME_FAILED);
    index_close(&index);
    char *data = load_file(&bytes);
    memcpy(&h, data, sizeof h);
    h.units = UINT32_MAX;
    h.terms = UINT32_MAX;
    h.sum = sum_of(&h, offsetof(struct index_head, sum));
    memcpy(data, &h, sizeof h);
    save_file(data, bytes);
    free(data);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), SOME_FAILED);
    index_close(&index);
    unlink(path);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), SOME_FAILED);
    index_close(&index);
    ck_assert_int_eq(open_as(&index, terms, MOST_UNITS + 1, INDEX_TO_WRITE), SOME_FAILED);
    index_close(&index);
}
END_TEST

START_TEST(without_a_file_vectors_are_kept_until_the_end)
{
    struct index index;
    ck_assert_int_eq(index_open(&index, NULL, terms, UNITS, INDEX_TO_WRITE, true), DONE);
    for (int i = 0; i < 10; i++)
        if (i % 5 != 4)
            add(&index, i, 7);
    ck_assert(index_flush(&index));
    for (int i = 0; i < 10; i++)
        ck_assert(has(&index, i) == (i % 5 != 4));
    index_close(&index);
}
END_TEST

START_TEST(what_is_dead_is_tidied_away)
{
    struct index index;
    begin();
    fill(100, 10);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), DONE);
    for (int again = 0; again < 3; again++)
        for (int i = 0; i < 100; i++)
            if (i % 5 != 4)
                add(&index, i, 7);
    ck_assert(index_flush(&index));
    const int64_t before = bytes_of_file();
    index_tidy(&index, terms);
    index_close(&index);
    ck_assert_int_lt(bytes_of_file(), before / 2);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
    ck_assert_int_eq(index.count, 100);
    ck_assert_int_eq(index.block_count, 1);
    for (int i = 0; i < 100; i++)
        ck_assert(has(&index, i));
    index_close(&index);
    end();
}
END_TEST

START_TEST(names_and_errors_of_any_length)
{
    struct index index;
    char *name = malloc(200001), error[5001];
    const float vector[UNITS] = {1};
    begin();
    memset(name, 'x', 200000);
    memset(error, 'e', 5000);
    name[200000] = error[5000] = '\0';
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_WRITE), DONE);
    ck_assert(index_add(&index, name, (struct mark){1, 1}, vector, NULL));
    ck_assert(index_add(&index, "y", (struct mark){1, 1}, NULL, error));
    ck_assert(index_flush(&index));
    index_close(&index);
    ck_assert_int_eq(open_as(&index, terms, UNITS, INDEX_TO_READ), DONE);
    ck_assert_int_ge(index_find(&index, name), 0);
    ck_assert_str_eq(index.entries[index_find(&index, "y")].error, error);
    index_close(&index);
    free(name);
    end();
}
END_TEST

/* ------------------------------------------------------------------ the nearest ------------ */

enum { MANY = 1000 };

static void draw(float *values, int count, unsigned seed)
{
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)((int)(seed >> 8) % 2001 - 1000) / 1000;
    }
}

static double product(const float *a, const float *b, int units)
{
    double sum = 0;
    for (int k = 0; k < units; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

/* Best first, of equal ones the earlier, -1 and 0 behind the last one: a plain search. */
static void check_nearest(const int64_t *index, const float *score, int k, const float *vectors,
                          int n, int units, const float *query, const int64_t *ids)
{
    bool *taken = calloc((size_t)n + 1, sizeof *taken);
    float *all = malloc((size_t)(n + 1) * sizeof *all);
    ck_assert_int_eq(vitx_similarities(all, vectors, n, units, query), VITX_OK);
    for (int i = 0; i < n; i++)
        ck_assert(isnan(all[i]) ||
                  fabs(all[i] - product(vectors + i * units, query, units)) < 1e-4 * units);
    for (int j = 0; j < k; j++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!taken[i] && !isnan(all[i]) && (!ids || ids[i] >= 0) &&
                (best < 0 || all[i] > all[best]))
                best = i;
        ck_assert_int_eq(index[j], best < 0 ? -1 : ids ? ids[best] : best);
        ck_assert(score[j] == (best < 0 ? 0 : all[best]));
        taken[best < 0 ? n : best] = true;
    }
    free(taken);
    free(all);
}

START_TEST(nearest_is_what_a_plain_search_finds)
{
    static const int all_units[] = {1, 7, 16, 33, 100}, all_k[] = {1, 3, 20, 255, 700, 1500};
    const int units = all_units[_i];
    float *vectors = malloc(sizeof(float) * MANY * (size_t)units), query[100], score[1500];
    int64_t index[1500];
    draw(vectors, MANY * units, 3);
    draw(query, units, 4);
    memcpy(vectors + 500 * units, vectors + 20 * units, sizeof(float) * (size_t)units); /* ties */
    vectors[77 * units] = NAN;
    for (int i = 0; i < (int)(sizeof all_k / sizeof *all_k); i++) {
        ck_assert_int_eq(vitx_nearest(index, score, all_k[i], vectors, MANY, units, query),
                         VITX_OK);
        check_nearest(index, score, all_k[i], vectors, MANY, units, query, NULL);
    }
    free(vectors);
}
END_TEST

START_TEST(nearest_in_parts_is_nearest_of_all)
{
    enum { U = 5 };
    float vectors[MANY * U], query[U], score[300];
    int64_t index[300], ids[MANY];
    draw(vectors, MANY * U, 5 + (unsigned)_i);
    draw(query, U, 6);
    for (int i = 0; i < MANY; i++)
        ids[i] = i % 3 == 1 ? -1 : 10 * i;
    for (int k = 1; k <= 300; k += 37) {
        for (int i = 0; i < k; i++) {
            index[i] = -1;
            score[i] = 0;
        }
        for (int at = 0, n; at < MANY; at += n) {
            n = at * 7 % 300 + 1 < MANY - at ? at * 7 % 300 + 1 : MANY - at;
            ck_assert_int_eq(
                vitx_nearest_more(index, score, k, vectors + at * U, n, U, query, ids + at),
                VITX_OK);
        }
        check_nearest(index, score, k, vectors, MANY, U, query, ids);
    }
}
END_TEST

START_TEST(nearest_checks_its_arguments)
{
    float v[4] = {0}, score[4];
    int64_t index[4];
    ck_assert_int_eq(vitx_nearest(NULL, score, 1, v, 1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, NULL, 1, v, 1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 0, v, 1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 1, NULL, 1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 1, v, -1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 1, v, 1, 0, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 1, v, 1, 4, NULL), VITX_INVALID);
    ck_assert_int_eq(vitx_similarities(NULL, v, 1, 4, v), VITX_INVALID);
    ck_assert_int_eq(vitx_nearest(index, score, 4, NULL, 0, 4, v), VITX_OK);
    ck_assert_int_eq(index[0], -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("search");
    TCase *file = tcase_create("the index");
    tcase_add_test(file, what_is_written_is_read);
    tcase_add_test(file, later_entries_stand_in_place_of_earlier_ones);
    tcase_add_test(file, a_torn_file_loses_its_last_block);
    tcase_add_test(file, a_changed_byte_is_seen);
    tcase_add_loop_test(file, hostile_blocks_are_not_there, 0, 13);
    tcase_add_test(file, other_files_are_refused);
    tcase_add_test(file, without_a_file_vectors_are_kept_until_the_end);
    tcase_add_test(file, what_is_dead_is_tidied_away);
    tcase_add_test(file, names_and_errors_of_any_length);
    suite_add_tcase(s, file);
    TCase *nearest = tcase_create("the nearest");
    tcase_add_loop_test(nearest, nearest_is_what_a_plain_search_finds, 0, 5);
    tcase_add_loop_test(nearest, nearest_in_parts_is_nearest_of_all, 0, 3);
    tcase_add_test(nearest, nearest_checks_its_arguments);
    suite_add_tcase(s, nearest);
    return s;
}

VX_TEST_MAIN(suite)
