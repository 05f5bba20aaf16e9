/*
 * test_npz.c: Google's weights in NumPy's .npz: good and hostile archives, headers and names.
 *
 * Good files of NumPy are among the golden models; here archives are put together byte by byte, so
 * that every field can be made to lie. Names and shapes of a golden file are changed in place, to
 * others of the same length.
 */
#define _GNU_SOURCE /* memmem, truncate */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "archive.h"
#include "model/model.h"
#include "model_files.h"
#include "util.h"

/* -------------------------------------------------------------------------- archives ------ */

static char folder_path[256], file_path[300];

static void setup(void)
{
    char *folder = make_folder();
    snprintf(folder_path, sizeof folder_path, "%s", folder);
    snprintf(file_path, sizeof file_path, "%s/a.npz", folder);
    free(folder);
}

static void teardown(void)
{
    remove_folder(folder_path);
}

static int open_file(vx_container **out)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return vx_container_open(out, (vx_shelf){0}, file_path, NULL, &hooks);
}

static const float counted[6] = {0, 1, 2, 3, 4, 5};
static float zeros[3000];
#define DICT23 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"

/* Member 0 is stored, member 1 deflated. */
static archive two(bool zip64)
{
    archive_member m[2] = {
        archive_array("a.npy", DICT23, counted, sizeof counted, false),
        archive_array("b/c.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3000,), }\n",
                      zeros, sizeof zeros, true)};
    const archive a = archive_build(m, 2, zip64);
    archive_free_members(m, 2);
    return a;
}

/* -------------------------------------------------------------------------- zip ----------- */

START_TEST(test_npz__reads_what_it_finds)
{
    archive a = two(_i);
    vx_container *c;
    float read[3000];
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    ck_assert_int_eq(c->count, 2);
    const vx_tensor *t = vx_container_find(c, "a");
    ck_assert(t && t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->dtype == VX_F32);
    ck_ok(vx_tensor_read_f32(t, read, 1, 5));
    ck_assert_mem_eq(read, counted + 1, 5 * sizeof *read);
    ck_fails(vx_tensor_read_f32(t, read, 1, 6), VITX_INVALID, "6 elements");
    t = vx_container_find(c, "b/c");
    ck_assert(t && t->rank == 1 && t->count == 3000);
    ck_ok(vx_tensor_read_f32(t, read, 0, 3000));
    ck_assert_mem_eq(read, zeros, sizeof zeros);
    vx_container_rest(c);
    ck_ok(vx_tensor_read_f32(vx_container_find(c, "a"), read, 0, 1));
    vx_container_close(c);

    archive_put(&a, "a comment", 9); /* after the end record, which says how long it is */
    a.data[a.end + 20] = 9;
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    vx_container_close(c);
    free(a.data);
}
END_TEST

START_TEST(test_npz__an_archive_of_nothing_holds_no_tensor)
{
    archive a = archive_build(NULL, 0, false);
    vitx_model *m;
    write_file(file_path, a.data, a.size);
    ck_fails(vitx_model_open(&m, file_path, NULL), VITX_FORMAT, "holds no tensor");
    free(a.data);
}
END_TEST

enum place { LOCAL0, LOCAL1, ENTRY0, ENTRY1, DATA1, END, END64, LOCATOR64 };
enum { F = VITX_FORMAT, U = VITX_UNSUPPORTED };

/* One field is another. Offsets are those of the format. */
/* clang-format off */
static const struct edit {
    bool zip64;
    enum place place;
    int offset, bytes;
    uint64_t value;
    int code;
    const char *part;
} edits[] = {
    {false, END, 0, 4, 0, F, "no directory at its end"},
    {false, END, 4, 2, 1, U, "several parts"},
    {false, END, 8, 2, 1, U, "several parts"},
    {false, END, 10, 2, 3, U, "several parts"},
    {false, END, 8, 4, 0x00010001, F, "left over in its directory"},
    {false, END, 8, 4, 0x00030003, F, "cannot be listed"},
    {false, END, 8, 4, 0xffffffff, F, "cannot be listed"},
    {false, END, 12, 4, 0, F, "its directory is said to be 0 bytes"},
    {false, END, 12, 4, 0xffffffff, F, "its directory"},
    {false, END, 16, 4, 0, F, "its directory"},
    {false, END, 16, 4, 0xffffffff, F, "its directory"},
    {false, END, 20, 2, 1, F, "no directory at its end"},
    {true, END, 8, 4, 0x00010001, F, "two end records do not agree"},
    {true, END, 16, 4, 0, F, "two end records do not agree"},
    {true, LOCATOR64, 0, 4, 0, F, "its directory is said to be 4294967295"},
    {true, LOCATOR64, 4, 4, 1, U, "several parts"},
    {true, LOCATOR64, 8, 8, 0, F, "damaged zip64 record"},
    {true, LOCATOR64, 8, 8, UINT64_MAX, F, "zip64 record is said to be"},
    {true, LOCATOR64, 8, 8, UINT64_MAX - 55, F, "zip64 record is said to be"},
    {true, LOCATOR64, 16, 4, 2, U, "several parts"},
    {true, END64, 4, 8, 45, F, "damaged zip64 record"},
    {true, END64, 4, 8, UINT64_MAX, F, "damaged zip64 record"},
    {true, END64, 16, 4, 1, U, "several parts"},
    {true, END64, 24, 8, 3, U, "several parts"},
    {true, END64, 40, 8, UINT64_MAX, F, "its directory"},
    {true, END64, 48, 8, UINT64_MAX, F, "its directory"},
    {true, END64, 48, 8, 0, F, "its directory"},
    {false, ENTRY0, 0, 4, 0, F, "damaged directory"},
    {false, ENTRY1, 0, 4, 0, F, "damaged directory"},
    {false, ENTRY0, 8, 2, 1, U, "a.npy is encrypted"},
    {false, ENTRY0, 8, 2, 1 << 6, U, "a.npy is encrypted"},
    {false, ENTRY0, 8, 2, 1 << 13, U, "a.npy is encrypted"},
    {false, ENTRY0, 8, 2, 1 << 5, U, "flags 0x20"},
    {false, ENTRY0, 8, 2, 8, F, "do not agree"},
    {false, ENTRY0, 10, 2, 12, U, "packed by method 12"},
    {false, ENTRY0, 10, 2, 8, F, "do not agree"},
    {false, ENTRY1, 10, 2, 0, F, "is stored, but"},
    {false, ENTRY0, 16, 4, 7, F, "do not agree"},
    {false, ENTRY0, 20, 4, 7, F, "is stored, but"},
    {false, ENTRY1, 20, 4, 7, F, "cannot be packed in 7"},
    {false, ENTRY1, 20, 4, 0x7fffffff, F, "cannot be packed"},
    {false, ENTRY1, 24, 4, 0x7fffffff, F, "cannot be packed"},
    {false, ENTRY1, 24, 4, 12000, F, "do not agree"},
    {false, ENTRY0, 28, 2, 0, F, "damaged name"},
    {false, ENTRY0, 28, 2, 4, F, "damaged"},
    {false, ENTRY0, 28, 2, 0xffff, F, "damaged name"},
    {false, ENTRY0, 30, 2, 0xffff, F, "damaged name"},
    {false, ENTRY0, 30, 2, 3, F, "damaged extra fields"},
    {false, ENTRY0, 32, 2, 0xffff, F, "damaged name"},
    {false, ENTRY0, 34, 2, 1, U, "several parts"},
    {false, ENTRY0, 42, 4, 0x7fffffff, F, "behind the last one"},
    {false, ENTRY0, 42, 4, 1, F, "no header at 1"},
    {false, ENTRY1, 42, 4, 0, F, "do not agree"},
    {false, ENTRY0, 46, 1, 0, F, "damaged name"},
    {false, ENTRY0, 46, 1, 0xff, F, "damaged name"},
    {false, ENTRY0, 46, 1, 'x', F, "do not agree"},
    {false, ENTRY0, 50, 1, 'x', F, "do not agree"},
    {true, ENTRY0, 51, 2, 2, F, "damaged extra fields"},
    {true, ENTRY0, 53, 2, 23, F, "damaged extra fields"},
    {true, ENTRY0, 53, 2, 25, F, "damaged extra fields"},
    {true, ENTRY0, 55, 8, UINT64_MAX, F, "is stored, but"},
    {true, ENTRY1, 65, 8, UINT64_MAX, F, "cannot be packed"},
    {true, ENTRY0, 71, 8, UINT64_MAX, F, "behind the last one"},
    {false, LOCAL0, 0, 4, 0, F, "no header at 0"},
    {false, LOCAL0, 6, 2, 8, F, "do not agree"},
    {false, LOCAL0, 8, 2, 8, F, "do not agree"},
    {false, LOCAL0, 14, 4, 8, F, "do not agree"},
    {false, LOCAL0, 18, 4, 8, F, "do not agree"},
    {false, LOCAL0, 22, 4, 8, F, "do not agree"},
    {false, LOCAL0, 26, 2, 4, F, "do not agree"},
    {false, LOCAL0, 26, 2, 0xffff, F, "no header at 0"},
    {false, LOCAL0, 28, 2, 3, F, "do not agree"},
    {false, LOCAL1, 28, 2, 0xffff, F, "no header at"},
    {false, LOCAL0, 30, 1, 'b', F, "do not agree"},
    {true, LOCAL0, 39, 8, 5, F, "do not agree"},
    {true, LOCAL0, 35, 2, 7, F, "do not agree"},
};
/* clang-format on */

static size_t place_of(const archive *a, enum place place)
{
    const size_t at[] = {a->local[0],   a->local[1], a->entry[0], a->entry[1],
                         a->content[1], a->end,      a->end64,    a->locator};
    return at[place];
}

START_TEST(test_npz__refuses_a_field_that_lies)
{
    const struct edit *e = &edits[_i];
    archive a = two(e->zip64);
    vx_container *c = NULL;
    memcpy(a.data + place_of(&a, e->place) + e->offset, &e->value, (size_t)e->bytes);
    write_file(file_path, a.data, a.size);
    ck_fails(open_file(&c), e->code, e->part);
    ck_assert(strstr(vitx_last_error(), "a.npz: ") != NULL && c == NULL);
    free(a.data);
}
END_TEST

START_TEST(test_npz__refuses_members_that_share)
{
    archive_member m[3] = {archive_array("a.npy", DICT23, counted, sizeof counted, false),
                           archive_array("a.npy", DICT23, counted, sizeof counted, false),
                           archive_array("b.txt", DICT23, counted, sizeof counted, false)};
    vx_container *c;
    archive a = archive_build(m, 2, false);
    write_file(file_path, a.data, a.size);
    ck_fails(open_file(&c), VITX_FORMAT, "member a.npy occurs twice");
    free(a.data);

    a = archive_build(m + 1, 2, false);
    write_file(file_path, a.data, a.size);
    ck_fails(open_file(&c), VITX_FORMAT, "member b.txt is no .npy array");
    free(a.data);

    m[1].name = "b.npy"; /* its header lies in the data of the first */
    unsigned char *inside = (unsigned char *)m[0].data + m[0].size - 60;
    archive one = archive_build(m + 1, 1, false);
    memcpy(inside, one.data, 35);
    free(one.data);
    a = archive_build(m, 2, false);
    const uint32_t at = (uint32_t)(a.content[0] + m[0].size - 60);
    memcpy(a.data + a.entry[1] + 42, &at, 4);
    write_file(file_path, a.data, a.size);
    ck_fails(open_file(&c), VITX_FORMAT, "members a.npy and b.npy overlap");
    free(a.data);
    archive_free_members(m, 3);
}
END_TEST

/* Sizes that follow the data, as a writer does that cannot go back. */
START_TEST(test_npz__takes_sizes_from_the_directory)
{
    archive a = two(false);
    vx_container *c;
    a.data[a.local[0] + 6] |= 8;
    a.data[a.entry[0] + 8] |= 8;
    memset(a.data + a.local[0] + 14, 0, 12);
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    vx_container_close(c);
    free(a.data);
}
END_TEST

/* Contents are checked when they are read. */
START_TEST(test_npz__refuses_damaged_contents)
{
    static const struct {
        int from_end; /* of member 1's data, or of member 0's */
        int member;
        const char *part;
    } cases[] = {{1, 0, "member a.npy is damaged: its checksum is wrong"},
                 {24, 0, "its checksum is wrong"},
                 {2, 1, "member b/c.npy is damaged"},
                 {5, 1, "member b/c.npy is damaged"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        archive a = two(false);
        vx_container *c;
        float read[3000];
        const size_t ends[2] = {a.local[1], a.entry[0]};
        a.data[ends[cases[i].member] - (size_t)cases[i].from_end] ^= 0x10;
        write_file(file_path, a.data, a.size);
        ck_ok(open_file(&c));
        const vx_tensor *t = &c->tensors[cases[i].member];
        for (int again = 0; again < 2; again++) {
            ck_fails(vx_tensor_read_f32(t, read, 0, 1), VITX_FORMAT, cases[i].part);
            ck_ok(vx_tensor_read_f32(&c->tensors[!cases[i].member], read, 0, 1));
        }
        vx_container_close(c);
        free(a.data);
    }
}
END_TEST

/* A deflated member that ends elsewhere than its sizes say, though its .npy header agrees. */
START_TEST(test_npz__refuses_contents_of_another_length)
{
    static const char *const parts[] = {"inflates to more", "inflates to less", "end before"};
    for (int i = 0; i < 3; i++) {
        const size_t said = sizeof zeros + (i == 0 ? -4 : i == 1 ? 4 : 0);
        char dict[80];
        snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu,)}",
                 said / 4);
        archive_member m = archive_array("b.npy", dict, zeros, sizeof zeros, true);
        archive a = archive_build(&m, 1, false);
        const uint32_t size = (uint32_t)(m.size - sizeof zeros + said);
        uint32_t packed = (uint32_t)(a.entry[0] - a.content[0]);
        if (i == 2) { /* room for one byte more, taken from the next record */
            archive_put(&a, "", 1);
            memmove(a.data + a.entry[0] + 1, a.data + a.entry[0], a.size - 1 - a.entry[0]);
            packed++;
            a.entry[0]++;
            a.end++;
            const uint32_t directory = (uint32_t)a.entry[0];
            memcpy(a.data + a.end + 16, &directory, 4);
        }
        memcpy(a.data + a.local[0] + 18, &packed, 4);
        memcpy(a.data + a.local[0] + 22, &size, 4);
        memcpy(a.data + a.entry[0] + 20, &packed, 4);
        memcpy(a.data + a.entry[0] + 24, &size, 4);
        write_file(file_path, a.data, a.size);
        vx_container *c;
        float read[2];
        ck_ok(open_file(&c));
        ck_fails(vx_tensor_read_f32(&c->tensors[0], read, 0, 1), VITX_FORMAT, parts[i]);
        vx_container_close(c);
        free(a.data);
        archive_free_members(&m, 1);
    }
}
END_TEST

typedef struct account {
    size_t most, left; /* largest allocation; how many until one fails */
    int alive;
} account;

static void *account_alloc(size_t bytes, void *payload)
{
    account *a = payload;
    if (a->left == 0)
        return NULL;
    a->left--;
    a->alive++;
    if (bytes > a->most)
        a->most = bytes;
    return malloc(bytes);
}

static void account_release(void *memory, void *payload)
{
    ((account *)payload)->alive--;
    free(memory);
}

/* 40 MB of zeros in 40 KB: opening takes little, reading what the shape says. */
START_TEST(test_npz__opening_does_not_unfold)
{
    const size_t bytes = 40 << 20;
    void *nothing = calloc(bytes, 1);
    archive_member m =
        archive_array("a.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (10485760,)}",
                      nothing, bytes, true);
    archive a = archive_build(&m, 1, false);
    account counts = {.left = SIZE_MAX};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vx_container *c;
    float read[1];
    hooks.alloc = account_alloc;
    hooks.release = account_release;
    hooks.payload = &counts;
    write_file(file_path, a.data, a.size);
    ck_assert_uint_lt(a.size, 50000);
    ck_ok(vx_container_open(&c, (vx_shelf){0}, file_path, NULL, &hooks));
    ck_assert_uint_lt(counts.most, 200000);
    ck_ok(vx_tensor_read_f32(&c->tensors[0], read, 10485759, 1));
    ck_assert_uint_eq(counts.most, bytes);
    vx_container_rest(c);
    vx_container_close(c);
    ck_assert_int_eq(counts.alive, 0);
    free(a.data);
    free(nothing);
    archive_free_members(&m, 1);
}
END_TEST

/* -------------------------------------------------------------------------- npy ----------- */

#define HEAD(descr, order, shape)                                                                  \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"
/* clang-format off */
static const struct {
    const char *dict;
    size_t bytes;
    int code; /* 0: accepted */
    const char *part;
} headers[] = {
    {HEAD("'<f4'", "False", "(2, 3)"), 24, 0, "[2, 3]"},
    {HEAD("'<f4'", "False", "(2, 3)") "            \n", 24, 0, "[2, 3]"},
    {"{\"shape\":(2,3,),\n\t\"descr\":\"<f4\",\"fortran_order\":True}\n", 24, 0, "[2, 3]"},
    {HEAD("'<f4'", "False", "(2L, 3L)"), 24, 0, "[2, 3]"},
    {HEAD("'<f4'", "False", "()"), 4, 0, "[]"},
    {HEAD("'<f4'", "True", "(6,)"), 24, 0, "[6]"},
    {HEAD("'<f4'", "False", "(0, 3)"), 0, 0, "[0, 3]"},
    {HEAD("'<f4'", "True", "(0, 9007199254740992, 9007199254740992)"), 0, 0,
     "[0, 9007199254740992"},
    {HEAD("'<f2'", "False", "(2, 3)"), 12, 0, "[2, 3]"},
    {HEAD("'|V2'", "False", "(2, 3)"), 12, 0, "[2, 3]"},
    {HEAD("'<V2'", "False", "(2, 3)"), 12, 0, "[2, 3]"},
    {HEAD("'>f4'", "False", "(2, 3)"), 24, 0, "[2, 3]"},
    {HEAD("'<i8'", "False", "()"), 8, 0, "[]"},
    {HEAD("'|b1'", "False", "(3,)"), 3, 0, "[3]"},
    {HEAD("'<U5'", "False", "(2,)"), 40, 0, "[2]"},
    {HEAD("'|O'", "False", "(2,)"), 40, U, "dtype \"|O\""},
    {HEAD("'<M8[ns]'", "False", "(2,)"), 16, U, "dtype \"<M8[ns]\""},
    {HEAD("'<f0'", "False", "(2,)"), 0, U, "dtype \"<f0\""},
    {HEAD("'<f-4'", "False", "(2,)"), 8, U, "dtype"},
    {HEAD("'f4'", "False", "(2,)"), 8, U, "dtype"},
    {HEAD("''", "False", "(2,)"), 8, U, "dtype"},
    {HEAD("[('x', '<f4')]", "False", "(2,)"), 8, F, "plain array"},
    {HEAD("'<f4', 'descr': '<f4'", "False", "(2,)"), 8, F, "plain array"},
    {HEAD("'<f4', 'x': '<f4'", "False", "(2,)"), 8, F, "plain array"},
    {HEAD("'<f4444444444444444'", "False", "(2,)"), 8, F, "plain array"},
    {HEAD("'<f4'", "0", "(2,)"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "(2)"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "[2]"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "(2, -3)"), 24, F, "plain array"},
    {HEAD("'<f4'", "False", "(2 3)"), 24, F, "plain array"},
    {HEAD("'<f4'", "False", "(,)"), 4, F, "plain array"},
    {HEAD("'<f4'", "False", "(0x2,)"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "(9007199254740993,)"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "(99999999999999999999999,)"), 8, F, "plain array"},
    {HEAD("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, F, "plain array"},
    {HEAD("'<f4'", "False", "(1,") , 4, F, "plain array"},
    {HEAD("'<f4'", "False", "(1,)") "x", 4, F, "plain array"},
    {"{'descr': '<f4', 'shape': (1,)}", 4, F, "plain array"},
    {"{'descr': '<f4", 4, F, "plain array"},
    {"{", 4, F, "plain array"},
    {"", 4, F, "plain array"},
    {HEAD("'<f4'", "False", "(2, 3)"), 20, F,
     "takes 20 bytes behind its header, but [2, 3] of <f4 are 24"},
    {HEAD("'<f4'", "False", "(2, 3)"), 28, F, "takes 28 bytes"},
    {HEAD("'<f4'", "False", "(4294967296, 4294967296)"), 24, F, "overflows"},
    {HEAD("'<f8'", "False", "(1099511627776, 4194304)"), 24, F, "overflows"},
};
/* clang-format on */

START_TEST(test_npz__keeps_to_numpys_headers)
{
    for (int deflated = 0; deflated < 2; deflated++) {
        archive_member m =
            archive_array("a.npy", headers[_i].dict, zeros, headers[_i].bytes, deflated);
        archive a = archive_build(&m, 1, false);
        vx_container *c = NULL;
        char shape[200];
        write_file(file_path, a.data, a.size);
        if (headers[_i].code) {
            ck_fails(open_file(&c), headers[_i].code, headers[_i].part);
        } else {
            ck_ok(open_file(&c));
            const vx_tensor *t = vx_container_find(c, "a");
            vx_shape_text(shape, sizeof shape, t->shape, t->rank);
            ck_assert_msg(strncmp(shape, headers[_i].part, strlen(headers[_i].part)) == 0, "%s",
                          shape);
            float read[6] = {1};
            const int status = vx_tensor_read_f32(t, read, 0, t->count < 6 ? t->count : 6);
            ck_assert_int_eq(status, t->dtype == VX_DTYPE_OTHER ? VITX_UNSUPPORTED : VITX_OK);
            vx_container_close(c);
        }
        free(a.data);
        archive_free_members(&m, 1);
    }
}
END_TEST

START_TEST(test_npz__reads_all_versions_of_headers)
{
    static const struct {
        unsigned char bytes[12];
        size_t length;
        int code;
        const char *part;
    } versions[] = {
        {"\x93NUMPY\1\0\x3a\0", 10, 0, NULL},
        {"\x93NUMPY\2\0\x3a\0\0\0", 12, 0, NULL},
        {"\x93NUMPY\3\0\x3a\0\0\0", 12, 0, NULL},
        {"\x93NUMPY\4\0\x3a\0\0\0", 12, U, "version 4.0"},
        {"\x93NUMPY\1\1\x3a\0", 10, U, "version 1.1"},
        {"\x93NUMPX\1\0\x3a\0", 10, F, "a.npy is no .npy array"},
        {"\x93NUMPY\2\0\x3a\0\1\0", 12, F, "header of 65594 bytes"},
        {"\x93NUMPY\2\0\xff\xff\0\0", 12, F, "ends too early"},
        {"\x93NUM", 4, F, "ends too early"},
    };
    static const char dict[] = HEAD("'<f4'", "False", "(2, 3)");
    ck_assert_uint_eq(sizeof dict - 1, 0x3a - 1);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char data[200];
        const size_t n = versions[i].length;
        memcpy(data, versions[i].bytes, n);
        memcpy(data + n, dict, sizeof dict - 1);
        data[n + 0x39] = '\n';
        memcpy(data + n + 0x3a, counted, sizeof counted);
        const archive_member m = {"a.npy", data, n == 4 ? 4 : n + 0x3a + sizeof counted, false};
        archive a = archive_build(&m, 1, false);
        vx_container *c;
        float read[6];
        write_file(file_path, a.data, a.size);
        if (versions[i].code) {
            ck_fails(open_file(&c), versions[i].code, versions[i].part);
        } else {
            ck_ok(open_file(&c));
            ck_ok(vx_tensor_read_f32(&c->tensors[0], read, 0, 6));
            ck_assert_mem_eq(read, counted, sizeof read);
            vx_container_close(c);
        }
        free(a.data);
    }
}
END_TEST

/* -------------------------------------------------------------------------- order --------- */

enum { N0 = 5, N1 = 37, N2 = 3, N3 = 41, N = N0 * N1 * N2 * N3 };

/* Every permutation of four dimensions, of arrays in C and in Fortran order, F32 and F16, whole and
 * layer by layer, forwards and backwards. The value of an element is its index in C order. */
START_TEST(test_npz__shows_dimensions_in_any_order)
{
    static float wide[N], expected[N], read[N];
    static uint16_t half[N];
    const bool fortran = _i & 1, sixteen = _i & 2;
    const size_t size[4] = {N0, N1, N2, N3};
    for (size_t i = 0, at = 0; i < N; i++) {
        size_t rest = i, stride = 1;
        size_t index[4];
        for (int k = 3; k >= 0; k--) {
            index[k] = rest % size[k];
            rest /= size[k];
        }
        at = i;
        if (fortran)
            for (int k = at = 0; k < 4; k++) {
                at += index[k] * stride;
                stride *= size[k];
            }
        wide[at] = (float)i;
        half[at] = (uint16_t)i; /* a half's bits: exact, and increasing */
    }
    char dict[100];
    snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d, %d, %d)}",
             sixteen ? "<f2" : "<f4", fortran ? "True" : "False", N0, N1, N2, N3);
    archive_member m = archive_array("a.npy", dict, sixteen ? (void *)half : wide,
                                     sixteen ? sizeof half : sizeof wide, _i & 4);
    archive a = archive_build(&m, 1, false);
    vx_container *c;
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    float *in_c = malloc(sizeof read); /* the array as it is, in C order */
    ck_ok(vx_tensor_read_f32(&c->tensors[0], in_c, 0, N));
    for (int i = 0; i < N && !sixteen; i++)
        ck_assert(in_c[i] == (float)i);
    for (int i = 1; i < N && sixteen; i++)
        ck_assert(in_c[i] > in_c[i - 1]);
    for (int p = 0; p < 256; p++) {
        const unsigned char order[4] = {p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 & 3};
        if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) != 15)
            continue;
        vx_tensor t = c->tensors[0];
        vx_tensor_permute(&t, order, (const unsigned char[]){2, 1, 1, 0});
        ck_assert(t.rank == 3 && t.shape[0] == (int64_t)(size[order[0]] * size[order[1]]) &&
                  t.shape[2] == (int64_t)size[order[3]]);
        size_t stride[4] = {N1 * N2 * N3, N2 * N3, N3, 1}, n = 0;
        for (size_t i = 0; i < size[order[0]]; i++)
            for (size_t j = 0; j < size[order[1]]; j++)
                for (size_t k = 0; k < size[order[2]]; k++)
                    for (size_t l = 0; l < size[order[3]]; l++)
                        expected[n++] = in_c[i * stride[order[0]] + j * stride[order[1]] +
                                             k * stride[order[2]] + l * stride[order[3]]];
        ck_ok(vx_tensor_read_f32(&t, read, 0, N));
        ck_assert_mem_eq(read, expected, sizeof read);
    }
    for (int k = 0; k < 2 * N0; k++) {
        const int i = k < N0 ? k : 2 * N0 - 1 - k, part = N / N0;
        vx_tensor t = c->tensors[0];
        vx_tensor_slice(&t, (uint64_t)i);
        ck_assert(t.rank == 3 && t.shape[0] == N1 && t.count == (uint64_t)part);
        ck_ok(vx_tensor_read_f32(&t, read, 0, t.count));
        ck_assert_mem_eq(read, in_c + i * part, sizeof *read * (size_t)part);
        vx_tensor_permute(&t, (const unsigned char[]){2, 0, 1}, (const unsigned char[]){1, 2, 0});
        ck_ok(vx_tensor_read_f32(&t, read, 7, t.count - 7));
        for (int e = 7; e < part; e++)
            ck_assert(read[e - 7] == in_c[i * part + e % (N1 * N2) * N3 + e / (N1 * N2)]);
    }
    vx_container_close(c);
    free(in_c);
    free(a.data);
    archive_free_members(&m, 1);
}
END_TEST

/* More members at once than readers are kept, each read layer by layer. */
START_TEST(test_npz__reads_many_members_by_turns)
{
    archive_member m[ARCHIVE_MEMBERS];
    char names[ARCHIVE_MEMBERS][20];
    static float values[3 * 5000];
    for (int i = 0; i < ARCHIVE_MEMBERS; i++) {
        snprintf(names[i], sizeof names[i], "t%02d.npy", i);
        for (int k = 0; k < 3 * 5000; k++)
            values[k] = (float)(i * 100000 + k);
        m[i] = archive_array(names[i], HEAD("'<f4'", "False", "(3, 5000)"), values, sizeof values,
                             i % 2);
    }
    archive a = archive_build(m, ARCHIVE_MEMBERS, false);
    vx_container *c;
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    vx_tensor *slices = malloc(3 * ARCHIVE_MEMBERS * sizeof *slices);
    for (int layer = 0; layer < 3; layer++)
        for (int i = 0; i < ARCHIVE_MEMBERS; i++) {
            vx_tensor *t = &slices[layer * ARCHIVE_MEMBERS + i];
            float read[2];
            *t = c->tensors[i];
            vx_tensor_slice(t, (uint64_t)layer);
            ck_ok(vx_tensor_read_f32(t, read, 4998, 2));
            ck_assert(read[1] == (float)(i * 100000 + layer * 5000 + 4999));
        }
    vx_container_close(c);
    free(slices);
    free(a.data);
    archive_free_members(m, ARCHIVE_MEMBERS);
}
END_TEST

/* -------------------------------------------------------------------------- models -------- */

static const char *golden(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    return path;
}

static int pack(const vx_weights **out, vitx_model *m)
{
    return vx_model_weights(out, m, &(vx_site){.cls = vx_device_find("ref")}, "f32");
}

static unsigned char *load_golden(const char *name, size_t *size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/weights.npz", golden(name));
    return read_file(path, size);
}

static void classify(float logits[7], const char *name)
{
    vitx_model *m;
    vitx_context *c;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_image *image;
    vitx_view view;
    o.device = "ref";
    ck_ok(vitx_model_open(&m, golden(name), NULL));
    ck_ok(vitx_context_create(&c, m, &o));
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_logits(&view, c));
    memcpy(logits, view.data, 7 * sizeof *logits);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(m);
}

/* The same weights in Google's layout and in timm's: the same answer to the bit. */
START_TEST(test_npz__is_what_timm_makes_of_it)
{
    float google[7], timm[7];
    classify(google, "vit-npz-deflated");
    classify(timm, "vit-timm-3x3");
    ck_assert_mem_eq(google, timm, sizeof timm);
}
END_TEST

START_TEST(test_npz__tells_what_a_model_is)
{
    static const struct {
        const char *name, *family, *naming, *dtype, *pooling, *act;
        int depth, heads, prefix, grid;
        vitx_filter filter;
        int resize, units, classes;
    } cases[] = {
        {"vit-npz", "vit", "google", "F32", "token", "gelu", 2, 3, 1, 3, VITX_BICUBIC, 13, 0, 7},
        {"vit-npz-deflated", "vit", "google", "F16", "token", "gelu", 2, 3, 1, 3, VITX_BICUBIC, 13,
         0, 7},
        {"vit-big-vision", "vit", "big_vision", "F16", "token", "gelu", 2, 2, 1, 5, VITX_BILINEAR,
         20, 0, 7},
        /* the head of a tower projects */
        {"vit-big-vision-scan", "vit", "big_vision", "BF16", "avg", "gelu", 3, 3, 0, 5,
         VITX_BICUBIC, 22, 1, 7},
        {"vit-big-vision-map", "vit", "big_vision", "F16", "map", "gelu", 2, 3, 0, 5, VITX_BICUBIC,
         22, 0, 7},
        {"siglip-big-vision", "siglip", "big_vision", "BF16", "map", "gelu", 2, 3, 0, 5,
         VITX_BICUBIC, 22, 1, 24},
        {"siglip-big-vision-tower", "siglip", "big_vision", "F16", "map", "gelu_tanh", 2, 3, 0, 5,
         VITX_BICUBIC, 44, 1, 24},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_model *m;
        vitx_model_info f = VITX_MODEL_INFO_INIT;
        ck_ok(vitx_model_open(&m, golden(cases[i].name), NULL));
        ck_ok(vitx_model_get_info(&f, m));
        ck_assert_str_eq(f.family, cases[i].family);
        ck_assert_str_eq(f.naming, cases[i].naming);
        ck_assert_str_eq(f.weight_dtype, cases[i].dtype);
        ck_assert_str_eq(f.pooling, cases[i].pooling);
        ck_assert_str_eq(f.activation, cases[i].act);
        ck_assert_int_eq(f.units, cases[i].units);
        ck_assert(f.depth == cases[i].depth && f.heads == cases[i].heads && f.width == 24);
        ck_assert(f.prefix_tokens == cases[i].prefix && f.grid_height == cases[i].grid);
        ck_assert(f.norm_eps == 1e-6f && f.from_heads == VITX_FROM_TENSORS &&
                  f.classes == cases[i].classes);
        ck_assert(f.recipe->filter == cases[i].filter && f.recipe->mean[0] == 0.5f &&
                  f.recipe->std[0] == 0.5f && f.recipe->resize_height == cases[i].resize);
        vitx_model_free(m);
    }
}
END_TEST

/* A SigLIP of one block and of zeros, whose sizes alone tell: patches of `side`, `width`, a grid of
 * grid x grid. */
static void write_tower(const char *path, int side, int width, int grid)
{
    enum { HEADS = 2, HIDDEN = 2, MEMBERS = 35 };
    const int e = width / HEADS, n = grid * grid;
    const struct {
        const char *name;
        int shape[4]; /* up to the first 0 */
    } tensors[MEMBERS] = {
        {"embedding/kernel", {side, side, 3, width}},
        {"embedding/bias", {width}},
        {"pos_embedding", {1, n, width}},
        {"Transformer/encoder_norm/scale", {width}},
        {"Transformer/encoder_norm/bias", {width}},
#define HALF(a, norm, mlp)                                                                         \
    {a "MultiHeadDotProductAttention_0/query/kernel", {width, HEADS, e}},                          \
        {a "MultiHeadDotProductAttention_0/key/kernel", {width, HEADS, e}},                        \
        {a "MultiHeadDotProductAttention_0/value/kernel", {width, HEADS, e}},                      \
        {a "MultiHeadDotProductAttention_0/query/bias", {HEADS, e}},                               \
        {a "MultiHeadDotProductAttention_0/key/bias", {HEADS, e}},                                 \
        {a "MultiHeadDotProductAttention_0/value/bias", {HEADS, e}},                               \
        {a "MultiHeadDotProductAttention_0/out/kernel", {HEADS, e, width}},                        \
        {a "MultiHeadDotProductAttention_0/out/bias", {width}}, {a norm "scale", {width}},         \
        {a norm "bias", {width}}, {a mlp "Dense_0/kernel", {width, HIDDEN}},                       \
        {a mlp "Dense_0/bias", {HIDDEN}}, {a mlp "Dense_1/kernel", {HIDDEN, width}},               \
    {                                                                                              \
        a mlp "Dense_1/bias",                                                                      \
        {                                                                                          \
            width                                                                                  \
        }                                                                                          \
    }
        HALF("Transformer/encoderblock_0/", "LayerNorm_1/", "MlpBlock_0/"),
        HALF("MAPHead_0/", "LayerNorm_0/", "MlpBlock_0/"),
        {"Transformer/encoderblock_0/LayerNorm_0/scale", {width}},
        {"MAPHead_0/probe", {1, 1, width}},
    };
    archive_member members[MEMBERS + 1];
    char name[120], dict[120], shape[60];
    void *nothing = calloc((size_t)width * (size_t)width + 3072 * (size_t)width, 2);
    for (int i = 0; i <= MEMBERS; i++) {
        const int *s = tensors[i < MEMBERS ? i : 33].shape;
        size_t bytes = 2, at = 0;
        for (int d = 0; d < 4 && s[d]; d++) {
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%d, ", s[d]);
            bytes *= (size_t)s[d];
        }
        snprintf(name, sizeof name, "params/img/%s.npy",
                 i < MEMBERS ? tensors[i].name : "Transformer/encoderblock_0/LayerNorm_0/bias");
        snprintf(dict, sizeof dict, "{'descr': '<f2', 'fortran_order': False, 'shape': (%s), }\n",
                 shape);
        members[i] = archive_array(name, dict, nothing, bytes, true);
        members[i].name = strdup(name);
    }
    const archive a = archive_build(members, MEMBERS + 1, false);
    write_file(path, a.data, a.size);
    for (int i = 0; i <= MEMBERS; i++)
        free((char *)(uintptr_t)members[i].name);
    archive_free_members(members, MEMBERS + 1);
    free(a.data);
    free(nothing);
}

/* As the names of timm's SigLIPs have it, by the sizes that they stand for. */
START_TEST(test_npz__gelu_of_a_siglip_is_that_of_its_size)
{
    static const struct {
        int side, width, grid;
        const char *act;
    } cases[] = {{16, 8, 2, "gelu"},        {32, 8, 2, "gelu_tanh"}, {16, 1152, 2, "gelu_tanh"},
                 {14, 1152, 2, "gelu"},     {16, 1024, 24, "gelu"},  {16, 1024, 32, "gelu_tanh"},
                 {16, 1536, 2, "gelu_tanh"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_model *m;
        vitx_model_info f = VITX_MODEL_INFO_INIT;
        write_tower(file_path, cases[i].side, cases[i].width, cases[i].grid);
        ck_ok(vitx_model_open(&m, file_path, NULL));
        ck_ok(vitx_model_get_info(&f, m));
        ck_assert_str_eq(f.family, "siglip");
        ck_assert_str_eq(f.activation, cases[i].act);
        vitx_model_free(m);
    }
}
END_TEST

#define BLOCK0 "encoderblock_0/MultiHeadDotProductAttention_1/"
#define BLOCK1 "encoderblock_1/MultiHeadDotProductAttention_1/"
#define MAP "MAPHead_0/MultiHeadDotProductAttention_0/"
/* clang-format off */
static const struct {
    const char *model, *find, *replace;
    int code;
    const char *part;
} changes[] = {
    {"vit-npz", "embedding/kernel", "embedding/kornol", U,
     "tensors is patch_embed.proj.weight (timm)"},
    {"vit-npz", "head/kernel", "feet/kernel", F, "lacks tensor head/kernel"},
    {"vit-npz", "head/", "feet/", U, "tensor feet/"},
    {"vit-npz", "Transformer/posembed_input", "Transformer/posembed_onput", U,
     "has no position embeddings (Transformer/posembed_input/pos_embedding)"},
    {"vit-npz", "encoderblock_1/LayerNorm_2/bias", "encoderblock_1/LayerNorm_3/bias", F,
     "lacks tensor Transformer/encoderblock_1/LayerNorm_2/bias"},
    {"vit-npz", "encoderblock_1/LayerNorm_2/bias", "encoderblock_9/LayerNorm_2/bias", F,
     "lacks tensor Transformer/encoderblock_1/LayerNorm_2/bias"},
    {"vit-npz", "encoderblock_", "encoderblick_", F, "lacks tensor Transformer/encoderblock_0/"},
    {"vit-npz", "cls.npy", "cla.npy", U, "10 position embeddings make no square"},
    {"vit-npz", BLOCK0 "key/bias", BLOCK0 "kay/bias", U,
     "kay/bias is not part of family vit"},
    {"vit-npz", "MlpBlock_3/Dense_1/bias", "MlpBlock_3/Dense_2/bias", U,
     "is not part of family vit in the names of Google's vision_transformer"},
    {"vit-npz", "(24, 3, 8), }", "(3, 24, 8), }", F, "has 24 attention heads, others have 3"},
    {"vit-npz", "(24, 3, 8), }", "(24, 8, 3), }", F, "has 8 attention heads, others have 3"},
    {"vit-npz", "(24, 3, 8), }", "(24, 24,), } ", F, "expected 3 dimensions"},
    {"vit-npz", "(3, 8, 24), }", "(24, 24,), } ", F, "expected 3 dimensions"},
    {"vit-npz", "(24, 40), }", "(40, 24), }", F, "has shape [24, 40], expected [24, 24]"},
    {"vit-npz", "(4, 4, 3, 24), }", "(4, 3, 4, 24), }", U, "4 channels"},
    {"vit-npz", "(4, 4, 3, 24), }", "(48, 24, ), }   ", F, "expected 4 dimensions"},
    {"vit-npz", "'<f4', 'fortran_order': False, 'shape': (1, 10, 24)",
     "'<i4', 'fortran_order': False, 'shape': (1, 10, 24)", U, "pos_embedding is <i4; vitx reads"},
    {"vit-npz", "encoder_norm/scale", "pre_logits/scale_x", U, "is not part"},
    {"vit-npz", "Transformer/encoder_norm/", "MAPHead_0/encoder_norm__/", U,
     "is not part of family vit"},
    {"vit-npz", "Transformer/encoder_norm/", "conv_root/encoder_norm__/", U, "hybrid of ResNet"},
    {"vit-npz", "Transformer/encoder_norm/", "MixerBlock_0/der_norm__0/", U, "MLP-Mixer"},
    {"vit-big-vision", "params/", "porims/", U, "the first is porims/"},
    {"vit-big-vision-map", "MAPHead_0/probe", "MAPHead_0/prabe", U, "is not part of family vit"},
    {"vit-big-vision-map", MAP "key/bias", MAP "kay/bias", U, "is not part of family vit"},
    {"vit-big-vision-map", MAP "value/kernel", MAP "velue/kernel", F,
     "lacks tensor params/" MAP "value/kernel"},
    {"vit-big-vision-map", MAP "out/kernel", MAP "aut/kernel", F,
     "lacks tensor params/" MAP "out/kernel"},
    {"vit-big-vision-map", "params/head/", "params/heed/", U, "tensor params/heed/"},
    {"vit-big-vision-scan", "encoderblock/LayerNorm_0/bias", "encoderblock/LayerNorm_9/bias", F,
     "lacks tensor params/img/Transformer/encoderblock_0/LayerNorm_0/bias"},
    {"vit-big-vision-scan", "'shape': (3, 40), }", "'shape': (2, 60), }", F, "has shape [60]"},
    {"vit-big-vision-scan", "'shape': (3, 40), }", "'shape': (120,1), }", F, "shape"},
    {"vit-big-vision-scan", "params/img/pos_embedding.npy", "params/img/pos_embidding.npy", U,
     "has no position embeddings (params/img/pos_embedding)"},
};
/* clang-format on */

START_TEST(test_npz__names_the_tensor_that_is_wrong)
{
    size_t size;
    vitx_model *m;
    unsigned char *data = load_golden(changes[_i].model, &size);
    replace_bytes(data, size, changes[_i].find, changes[_i].replace);
    write_file(file_path, data, size);
    ck_fails(vitx_model_open(&m, file_path, NULL), changes[_i].code, changes[_i].part);
    free(data);
}
END_TEST

START_TEST(test_npz__reads_heads_from_every_block)
{
    static const char block[] = "Transformer/" BLOCK1 "query/kernel.npy";
    size_t size;
    vitx_model *m;
    unsigned char *data = load_golden("vit-npz", &size);
    unsigned char *at = memmem(data, size, block, sizeof block - 1);
    ck_assert(at != NULL);
    at = memmem(at, size - (size_t)(at - data), "(24, 3, 8), }", 13);
    memcpy(at, "(24, 4, 6), }", 13);
    write_file(file_path, data, size);
    ck_fails(vitx_model_open(&m, file_path, NULL), VITX_FORMAT,
             "has 4 attention heads, others have 3");
    memcpy(at, "(24, 3, 8), }", 13);
    write_file(file_path, data, size);
    char config[300];
    snprintf(config, sizeof config, "%s/config.json", folder_path);
    write_file(config, "{\"model_args\": {\"num_heads\": 6}}", 32);
    ck_fails(vitx_model_open(&m, folder_path, NULL), VITX_FORMAT, "says num_heads is 6, but in");
    static const char map[] = "{\"model_args\": {\"global_pool\": \"map\"}}";
    write_file(config, map, sizeof map - 1);
    ck_fails(vitx_model_open(&m, folder_path, NULL), VITX_FORMAT, "lacks such a head");
    free(data);
}
END_TEST

/* One tensor that stands for 1024 blocks, and has a name of 20 KB for each. */
START_TEST(test_npz__bounds_the_names_of_blocks)
{
    static const char start[] = "Transformer/encoderblock/", end[] = ".npy";
    enum { LONG = 20000 };
    const float kernel[24] = {0};
    char *name = malloc(LONG + 1);
    memset(name, 'a', LONG);
    memcpy(name, start, sizeof start - 1);
    memcpy(name + LONG - (sizeof end - 1), end, sizeof end);
    archive_member members[] = {
        archive_array("embedding/kernel.npy",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3, 8), }\n", kernel,
                      sizeof kernel, false),
        archive_array(name, "{'descr': '<f4', 'fortran_order': False, 'shape': (1024, 0), }\n",
                      kernel, 0, false)};
    const archive a = archive_build(members, 2, false);
    vitx_model *m;
    write_file(file_path, a.data, a.size);
    ck_fails(vitx_model_open(&m, file_path, NULL), VITX_UNSUPPORTED, "bytes of their names");
    archive_free_members(members, 2);
    free(a.data);
    free(name);
}
END_TEST

START_TEST(test_npz__takes_the_only_archive_of_a_folder)
{
    size_t size;
    vitx_model *m;
    unsigned char *data = load_golden("vit-npz", &size);
    char other[300];
    ck_fails(vitx_model_open(&m, folder_path, NULL), VITX_IO, "holds no weights");
    write_file(file_path, data, size);
    ck_ok(vitx_model_open(&m, folder_path, NULL));
    vitx_model_free(m);
    snprintf(other, sizeof other, "%s/b.npz", folder_path);
    write_file(other, data, size);
    ck_fails(vitx_model_open(&m, folder_path, NULL), VITX_IO, "holds 2 weight files");
    ck_ok(vitx_model_open(&m, other, NULL));
    vitx_model_free(m);
    free(data);
}
END_TEST

START_TEST(test_npz__names_the_value_that_is_not_finite)
{
    archive_member m =
        archive_array("a.npy", DICT23, (const float[]){0, 1, NAN, 3, INFINITY, 5}, 24, true);
    archive a = archive_build(&m, 1, false);
    vx_container *c;
    float read[6];
    write_file(file_path, a.data, a.size);
    ck_ok(open_file(&c));
    ck_fails(vx_tensor_read_f32(&c->tensors[0], read, 0, 6), VITX_FORMAT,
             "tensor a holds a NaN at element 2");
    ck_fails(vx_tensor_read_f32(&c->tensors[0], read, 3, 3), VITX_FORMAT,
             "an infinity at element 4");
    vx_container_close(c);
    free(a.data);
    archive_free_members(&m, 1);
}
END_TEST

START_TEST(test_npz__survives_a_file_that_shrinks)
{
    size_t size;
    vitx_model *m;
    const vx_weights *w;
    unsigned char *data = load_golden("vit-npz-deflated", &size);
    write_file(file_path, data, size);
    ck_ok(vitx_model_open(&m, file_path, NULL));
    ck_assert_int_eq(truncate(file_path, 5000), 0);
    ck_fails(pack(&w, m), VITX_IO, "a.npz");
    vitx_model_free(m);
    free(data);
}
END_TEST

static const char *const mutated[] = {"vit-npz", "vit-npz-deflated", "vit-big-vision-scan",
                                      "siglip-big-vision"};

START_TEST(test_npz__refuses_every_truncation)
{
    size_t size;
    unsigned char *data = load_golden(mutated[_i], &size);
    for (size_t n = 0; n < size; n += n < size - 400 ? 1531 : 7) {
        vitx_model *m;
        write_file(file_path, data, n);
        ck_assert_int_eq(vitx_model_open(&m, file_path, NULL), VITX_FORMAT);
    }
    free(data);
}
END_TEST

START_TEST(test_npz__survives_mutated_files)
{
    size_t size;
    unsigned char *good = load_golden(mutated[_i], &size), *bad = malloc(size);
    rng r = {99 + (uint64_t)_i};
    int opened = 0;
    for (int i = 0; i < 300; i++) {
        memcpy(bad, good, size);
        for (int k = rng_int(&r, 1, 3); k > 0; k--) {
            /* half of them in the directory at the end */
            const int low = i % 2 ? (int)size - 5000 : 0;
            unsigned char *at = &bad[rng_int(&r, low, (int)size - 1)];
            *at ^= (unsigned char)(1 << rng_int(&r, 0, 7));
        }
        write_file(file_path, bad, size);
        vitx_model *m = NULL;
        const vx_weights *w;
        const int status = vitx_model_open(&m, file_path, NULL);
        ck_assert(status == VITX_OK || status == VITX_FORMAT || status == VITX_UNSUPPORTED);
        if (m) {
            const int packed = pack(&w, m);
            ck_assert(packed == VITX_OK || packed == VITX_FORMAT);
            opened++;
        }
        vitx_model_free(m);
    }
    ck_assert_int_gt(opened, 10);
    free(good);
    free(bad);
}
END_TEST

START_TEST(test_npz__survives_each_allocation_that_fails)
{
    account f = {0};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    hooks.alloc = account_alloc;
    hooks.release = account_release;
    hooks.payload = &f;
    opts.hooks = &hooks;
    size_t n = 0;
    for (bool done = false; !done; n++) {
        vitx_model *m = NULL;
        const vx_weights *w = NULL;
        f = (account){.left = n};
        int status = vitx_model_open(&m, golden(mutated[_i]), &opts);
        if (status == VITX_OK)
            status = pack(&w, m);
        ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "allocation %zu: %s", n,
                      vitx_last_error());
        done = status == VITX_OK;
        vitx_model_free(m);
        ck_assert_msg(f.alive == 0, "allocation %zu: %d not returned", n, f.alive);
    }
    ck_assert_uint_gt(n, 60);
}
END_TEST

static Suite *suite(void)
{
#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))
    Suite *s = suite_create("npz");
    TCase *t = tcase_create("zip");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_npz__reads_what_it_finds, 0, 2);
    tcase_add_test(t, test_npz__an_archive_of_nothing_holds_no_tensor);
    tcase_add_loop_test(t, test_npz__refuses_a_field_that_lies, 0, COUNT(edits));
    tcase_add_test(t, test_npz__refuses_members_that_share);
    tcase_add_test(t, test_npz__takes_sizes_from_the_directory);
    tcase_add_test(t, test_npz__refuses_damaged_contents);
    tcase_add_test(t, test_npz__refuses_contents_of_another_length);
    tcase_add_test(t, test_npz__opening_does_not_unfold);
    suite_add_tcase(s, t);
    t = tcase_create("npy");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_npz__keeps_to_numpys_headers, 0, COUNT(headers));
    tcase_add_test(t, test_npz__reads_all_versions_of_headers);
    tcase_add_loop_test(t, test_npz__shows_dimensions_in_any_order, 0, 8);
    tcase_add_test(t, test_npz__reads_many_members_by_turns);
    suite_add_tcase(s, t);
    t = tcase_create("models");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_npz__is_what_timm_makes_of_it);
    tcase_add_test(t, test_npz__tells_what_a_model_is);
    tcase_add_test(t, test_npz__gelu_of_a_siglip_is_that_of_its_size);
    tcase_add_loop_test(t, test_npz__names_the_tensor_that_is_wrong, 0, COUNT(changes));
    tcase_add_test(t, test_npz__reads_heads_from_every_block);
    tcase_add_test(t, test_npz__bounds_the_names_of_blocks);
    tcase_add_test(t, test_npz__takes_the_only_archive_of_a_folder);
    tcase_add_test(t, test_npz__names_the_value_that_is_not_finite);
    tcase_add_test(t, test_npz__survives_a_file_that_shrinks);
    tcase_add_loop_test(t, test_npz__refuses_every_truncation, 0, COUNT(mutated));
    tcase_add_loop_test(t, test_npz__survives_mutated_files, 0, COUNT(mutated));
    tcase_add_loop_test(t, test_npz__survives_each_allocation_that_fails, 0, COUNT(mutated));
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
