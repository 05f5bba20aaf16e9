/*
 * test/test_image.c: pictures come out as Pillow's, and damaged ones do no harm.
 */
#define _GNU_SOURCE /* mkfifo */
#include "util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vitx/image.h>

#include "image/image.h"
#include "image/resize.h"

/* ------------------------------------------------------------------ helpers -------------- */

/* Hooks that count what is held, and may refuse the n-th request. */
typedef struct ledger {
    size_t requests, refuse_at; /* 0: never */
    size_t held, peak, blocks;
} ledger;

static void *ledger_alloc(size_t bytes, void *payload)
{
    ledger *l = payload;
    if (++l->requests == l->refuse_at)
        return NULL;
    size_t *p = malloc(bytes + 16);
    ck_assert(p != NULL);
    p[0] = bytes;
    l->held += bytes;
    l->blocks++;
    l->peak = l->held > l->peak ? l->held : l->peak;
    return (char *)p + 16;
}

static void ledger_release(void *memory, void *payload)
{
    ledger *l = payload;
    size_t *p = (void *)((char *)memory - 16);
    l->held -= p[0];
    l->blocks--;
    free(p);
}

static vitx_hooks ledger_hooks(ledger *l)
{
    vitx_hooks h = VITX_HOOKS_INIT;
    h.alloc = ledger_alloc;
    h.release = ledger_release;
    h.payload = l;
    return h;
}

static vitx_hooks plain_hooks(void)
{
    vitx_hooks h;
    ck_ok(vx_hooks_resolve(&h, NULL));
    return h;
}

static uint64_t fnv(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t fnv_image(const vitx_image *image)
{
    return fnv(vitx_image_pixels(image),
               (size_t)vitx_image_width(image) * (size_t)vitx_image_height(image) * 3);
}

static uint8_t *seeded(uint64_t seed, int width, int height)
{
    const size_t n = (size_t)width * (size_t)height * 3;
    rng r = {seed};
    uint8_t *p = malloc(n);
    ck_assert(p != NULL);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(rng_next(&r) >> 56);
    return p;
}

/* A line of pictures.txt or shared.txt. */
typedef struct entry {
    char name[64];
    int width, height;
    uint64_t hash, crop;
} entry;

static FILE *open_table(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "image/%s", name);
    FILE *f = fopen(golden_path(path), "r");
    ck_assert_msg(f != NULL, "%s is missing", name);
    return f;
}

static bool next_entry(entry *e, FILE *table)
{
    unsigned long long hash;
    if (fscanf(table, "%63s %d %d %llx", e->name, &e->width, &e->height, &hash) != 4)
        return false;
    e->hash = hash;
    return true;
}

static uint8_t *read_picture(const char *name, size_t *bytes)
{
    char path[128];
    snprintf(path, sizeof path, "image/%s", name);
    return read_file(golden_path(path), bytes);
}

static int open_bytes(vitx_image **out, const void *data, size_t bytes, const char *name)
{
    return vitx_image_open_memory(out, data, bytes, name, NULL);
}

/* ------------------------------------------------------------------ decoding ------------- */

START_TEST(test_decode__every_kind_matches_pillow)
{
    FILE *table = open_table("pictures.txt");
    entry e;
    int n = 0;
    for (; next_entry(&e, table); n++) {
        size_t bytes;
        uint8_t *data = read_picture(e.name, &bytes);
        vitx_image *image;
        ck_ok(open_bytes(&image, data, bytes, e.name));
        ck_assert_msg(vitx_image_width(image) == e.width && vitx_image_height(image) == e.height,
                      "%s is %d x %d, expected %d x %d", e.name, vitx_image_width(image),
                      vitx_image_height(image), e.width, e.height);
        ck_assert_msg(fnv_image(image) == e.hash, "%s has other pixels than Pillow's", e.name);
        vitx_image_free(image);
        free(data);
    }
    ck_assert_int_gt(n, 70);
    fclose(table);
}
END_TEST

/* A line of kinds/kinds.txt: a file, a page, a window. */
typedef struct view {
    char name[64], window[48];
    int page, width, height;
    uint64_t hash;
} view;

static bool next_view(view *v, FILE *table)
{
    unsigned long long hash;
    if (fscanf(table, "%63s %d %47s %d %d %llx", v->name, &v->page, v->window, &v->width,
               &v->height, &hash) != 6)
        return false;
    v->hash = hash;
    return true;
}

static vitx_image_opts opts_of(const view *v)
{
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    opts.page = v->page;
    ck_assert(v->window[0] == '-' && v->window[1] == '\0'
                  ? true
                  : sscanf(v->window, "%lf,%lf", &opts.window_low, &opts.window_high) == 2);
    return opts;
}

/* Whether this vitx was built with what reads a file of that name. */
static bool readable(const char *name)
{
    static const char *const endings[][2] = {
        {".webp", "WebP"}, {".tif", "TIFF"}, {".avif", "AVIF"}, {".heic", "HEIC"}};
    const char *kind, *missing, *ending = strrchr(name, '.');
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++)
        for (int i = 0; (kind = vitx_image_kind(i, &missing)) != NULL; i++)
            if (missing && strcmp(ending, endings[e][0]) == 0 && strcmp(kind, endings[e][1]) == 0)
                return false;
    return true;
}

/* The files of both tables, those of kinds.txt once each, as far as this vitx reads them. */
typedef struct all_files {
    FILE *pictures, *kinds;
} all_files;

static all_files open_all(void)
{
    return (all_files){open_table("pictures.txt"), open_table("kinds/kinds.txt")};
}

static bool next_of_all(entry *e, all_files *all)
{
    view v;
    if (next_entry(e, all->pictures))
        return true;
    while (next_view(&v, all->kinds)) {
        if (v.page != 1 || v.window[0] != '-' || v.window[1] != '\0' || !readable(v.name))
            continue;
        *e = (entry){.width = v.width, .height = v.height, .hash = v.hash};
        snprintf(e->name, sizeof e->name, "kinds/%.57s", v.name);
        return true;
    }
    fclose(all->pictures);
    fclose(all->kinds);
    return false;
}

START_TEST(test_decode__other_kinds_match_pillow)
{
    FILE *table = open_table("kinds/kinds.txt");
    view v;
    int n = 0, other = 0;
    for (; next_view(&v, table); n++) {
        char path[100];
        snprintf(path, sizeof path, "image/kinds/%s", v.name);
        vitx_image_opts opts = opts_of(&v);
        vitx_image *image;
        const int status = vitx_image_open_with(&image, golden_path(path), &opts);
        if (!readable(v.name)) {
            ck_fails(status, VITX_UNSUPPORTED, "this vitx was built without lib");
            continue;
        }
        ck_ok(status);
        if (vitx_image_width(image) != v.width || vitx_image_height(image) != v.height ||
            fnv_image(image) != v.hash) {
            printf("%s, page %d, window %s: %d x %d, other pixels than Pillow's %d x %d\n", v.name,
                   v.page, v.window, vitx_image_width(image), vitx_image_height(image), v.width,
                   v.height);
            other++;
        }
        vitx_image_free(image);
    }
    ck_assert_int_gt(n, 50);
    ck_assert_int_eq(other, 0);
    fclose(table);
}
END_TEST

/* What the system's libraries decode; where colour is stored at half size, versions round
 * otherwise, by one. */
START_TEST(test_decode__avif_and_heic_are_pillow_s_within_one)
{
    static const char *const names[] = {
        "444.avif",           "422.avif",           "420.avif",           "400.avif",
        "odd.avif",           "limited.avif",       "lossless.avif",      "alpha.avif",
        "animated.avif",      "orientation_2.avif", "orientation_3.avif", "orientation_4.avif",
        "orientation_5.avif", "orientation_6.avif", "orientation_7.avif", "orientation_8.avif",
        "444.heic",           "422.heic",           "420.heic",           "alpha.heic",
        "odd.heic",           "grey.heic"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[100];
        vitx_image *image, *expected;
        snprintf(path, sizeof path, "heif/%s", names[i]);
        const int status = vitx_image_open(&image, golden_path(path));
        if (!readable(names[i])) {
            ck_fails(status, VITX_UNSUPPORTED, "this vitx was built without lib");
            continue;
        }
        ck_ok(status);
        snprintf(path, sizeof path, "heif/%s.ppm", names[i]);
        ck_ok(vitx_image_open(&expected, golden_path(path)));
        const int w = vitx_image_width(image), h = vitx_image_height(image);
        ck_assert_int_eq(w, vitx_image_width(expected));
        ck_assert_int_eq(h, vitx_image_height(expected));
        for (int k = 0; k < w * h * 3; k++)
            ck_assert_msg(abs(vitx_image_pixels(image)[k] - vitx_image_pixels(expected)[k]) <= 1,
                          "%s: byte %d is %d, expected %d", names[i], k,
                          vitx_image_pixels(image)[k], vitx_image_pixels(expected)[k]);
        vitx_image_free(image);
        vitx_image_free(expected);
    }
}
END_TEST

/* Whole files only: every prefix is refused, and any allocation of ours may fail. */
START_TEST(test_refuse__prefixes_of_avif_and_heic)
{
    static const char *const names[] = {"heif/420.avif", "heif/alpha.avif", "heif/420.heic"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t bytes;
        uint8_t *data = read_file(golden_path(names[i]), &bytes);
        for (size_t n = 0; readable(names[i]) && n < bytes - 1; n += 23) {
            uint8_t *part = malloc(n + 1);
            vitx_image *image;
            memcpy(part, data, n);
            const int status = open_bytes(&image, part, n, names[i]);
            ck_assert_msg(status == VITX_FORMAT || status == VITX_UNSUPPORTED, "%zu of %s: %s", n,
                          names[i], vitx_status_name(status));
            free(part);
        }
        free(data);
    }
}
END_TEST

START_TEST(test_decode__files_and_memory_give_the_same)
{
    size_t bytes;
    uint8_t *data = read_picture("420.jpg", &bytes);
    vitx_image *a, *b;
    ck_ok(vitx_image_open(&a, golden_path("image/420.jpg")));
    ck_ok(vitx_image_open_memory(&b, data, bytes, NULL, NULL));
    ck_assert_uint_eq(fnv_image(a), fnv_image(b));
    vitx_image_free(a);
    vitx_image_free(b);
    free(data);
}
END_TEST

static void take_warning(vitx_log_level level, const char *message, void *payload)
{
    if (level == VITX_LOG_WARNING)
        snprintf(payload, 600, "%s", message);
}

static void count_warnings(vitx_log_level level, const char *message, void *payload)
{
    int *count = payload;
    *count += level == VITX_LOG_WARNING && strstr(message, "cut short") != NULL;
}

START_TEST(test_decode__truncated_files_on_request_as_pillow)
{
    FILE *table = open_table("truncated.txt");
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_hooks hooks = VITX_HOOKS_INIT;
    entry e;
    int kept, n = 0, warnings = 0;
    hooks.log = count_warnings;
    hooks.payload = &warnings;
    opts.hooks = &hooks;
    for (; next_entry(&e, table) && fscanf(table, "%d", &kept) == 1; n++) {
        size_t bytes;
        uint8_t *data = read_picture(e.name, &bytes);
        vitx_image *image;
        opts.allow_truncated = 1;
        ck_ok(vitx_image_open_memory(&image, data, (size_t)kept, e.name, &opts));
        ck_assert_int_eq(vitx_image_width(image), e.width);
        ck_assert_int_eq(vitx_image_height(image), e.height);
        ck_assert_msg(fnv_image(image) == e.hash, "%d bytes of %s", kept, e.name);
        vitx_image_free(image);
        opts.allow_truncated = 0;
        const int status = vitx_image_open_memory(&image, data, (size_t)kept, e.name, &opts);
        ck_assert_int_eq(status == VITX_OK, warnings == n); /* all of the picture was there */
        warnings = n + 1;
        vitx_image_free(image);
        free(data);
    }
    ck_assert_int_ge(n, 25);
    fclose(table);
}
END_TEST

/* Ramps of 960, 1600 and 4800 steps of 65536, one grey, and all of the range. */
START_TEST(test_decode__few_of_16_bits_bring_a_warning)
{
    static const struct {
        const char *name;
        bool warns;
    } files[] = {{"ten_bits.png", true},       {"twelve_bits_rgb.png", true},
                 {"thirteen_bits.png", false}, {"one_grey.png", false},
                 {"0_16.png", false},          {"6_16.png", false}};
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_hooks hooks = VITX_HOOKS_INIT;
    opts.hooks = &hooks;
    hooks.log = take_warning;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128], warning[600] = "";
        vitx_image *image;
        snprintf(path, sizeof path, "image/%s", files[i].name);
        hooks.payload = warning;
        ck_ok(vitx_image_open_with(&image, golden_path(path), &opts));
        ck_assert_msg((strstr(warning, "less than 1/16 of the range") != NULL) == files[i].warns,
                      "%s: %s", files[i].name, warning);
        vitx_image_free(image);
    }
}
END_TEST

START_TEST(test_decode__orientation_can_be_ignored)
{
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    opts.ignore_orientation = 1;
    vitx_image *image;
    ck_ok(vitx_image_open_with(&image, golden_path("image/orientation_6.jpg"), &opts));
    ck_assert_int_eq(vitx_image_width(image), 9);
    ck_assert_int_eq(vitx_image_height(image), 5);
    vitx_image_free(image);
    ck_ok(vitx_image_open(&image, golden_path("image/orientation_6.jpg")));
    ck_assert_int_eq(vitx_image_width(image), 5);
    vitx_image_free(image);
}
END_TEST

START_TEST(test_decode__shared_pictures_match_pillow_and_timm)
{
    if (!have_shared("test_decode__shared_pictures_match_pillow_and_timm"))
        return;
    const vitx_hooks hooks = plain_hooks();
    const vitx_recipe recipe = {.input_height = 224,
                                .input_width = 224,
                                .resize = VITX_RESIZE_SHORTEST,
                                .resize_height = 248,
                                .filter = VITX_BICUBIC,
                                .crop_round = 1};
    FILE *table = open_table("shared.txt");
    entry e;
    unsigned long long crop;
    uint8_t *seen = malloc(224 * 224 * 3);
    int n = 0;
    for (; next_entry(&e, table) && fscanf(table, "%llx", &crop) == 1; n++) {
        char path[128];
        vitx_image *image;
        vx_placement p;
        snprintf(path, sizeof path, "images/%s", e.name);
        ck_ok(vitx_image_open(&image, shared_path(path)));
        ck_assert_msg(fnv_image(image) == e.hash, "%s has other pixels than Pillow's", e.name);
        ck_ok(vx_place(&p, &recipe, e.width, e.height));
        ck_ok(vx_preprocess_u8(seen, image, &p, &hooks));
        ck_assert_msg(fnv(seen, 224 * 224 * 3) == crop, "%s has another crop than timm's", e.name);
        vitx_image_free(image);
    }
    ck_assert_int_ge(n, 20);
    free(seen);
    fclose(table);
}
END_TEST

/* ------------------------------------------------------------------ refusing ------------- */

START_TEST(test_refuse__other_formats_by_name)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {"8BPS\0\1\0\0", 8, "x.gif: a Photoshop picture; vitx reads JPEG, PNG, BMP, GIF, PNM"},
        {"\xff\x0a", 2, "a JPEG XL picture; vitx reads JPEG, PNG, BMP"},
        {"hello, world", 12, "not a picture; vitx reads JPEG, PNG, BMP, GIF, PNM"},
        {"\n <!DOCTYPE html><html>", 23,
         "x.gif: an HTML page, as servers send one in place of a file, not a "
         "picture; vitx reads JPEG"},
        {"\xef\xbb\xbf<HTML>", 9, "an HTML page"},
        {"<?xml version=\"1.0\"?><Error><Code>AccessDenied", 47, "an XML document, not a picture"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull gets, not a picture"},
        {"\x1f\x8b\10\0\0\0\0\0", 8, "packed by gzip, not a picture"},
        {"PK\3\4\24\0\0\0", 8, "a zip archive, not a picture"},
        {"\0\0\0\30ftypmp42\0\0", 14, "MP4 container, not a picture"},
        {"\x7b\0\0\0\0\0\0\0{\"a\"", 12, "safetensors weights, not a picture"},
        {"{\"error\": \"404\"}", 16, "JSON, not a picture"},
        {"", 0, "the file is empty"},
        {"\xff\xd8\xff", 3, "cut short"},
        {"\x89PNG\r\n\x1a\n", 8, "cut short"},
        {"BM", 2, "cut short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_image *image = (vitx_image *)&cases;
        ck_fails(open_bytes(&image, cases[i].bytes, cases[i].n, "x.gif"), VITX_FORMAT,
                 cases[i].message);
        ck_assert_ptr_null(image);
    }
}
END_TEST

/* What is read of a file of one kind only, or asked of one that has it not. */
START_TEST(test_refuse__pages_and_windows_that_make_no_sense)
{
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_image *image;
    opts.page = 2;
    ck_fails(vitx_image_open_with(&image, golden_path("image/24.bmp"), &opts), VITX_UNSUPPORTED,
             "page 2 is asked for; only a TIFF has pages, this is a BMP");
    opts.page = 4;
    if (readable("x.tif"))
        ck_fails(vitx_image_open_with(&image, golden_path("image/kinds/pages.tif"), &opts),
                 VITX_UNSUPPORTED, "page 4 is asked for, the TIFF has 3");
    opts.page = -1;
    ck_fails(vitx_image_open_with(&image, golden_path("image/24.bmp"), &opts), VITX_INVALID,
             "vitx_image_opts.page is -1");
    static const double windows[][2] = {{3, 2}, {1, 1}, {0, NAN}, {-INFINITY, 3}, {-1e308, 1e308}};
    opts.page = 0;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        opts.window_low = windows[i][0];
        opts.window_high = windows[i][1];
        ck_fails(vitx_image_open_with(&image, golden_path("image/0_16.png"), &opts), VITX_INVALID,
                 "vitx_image_opts.window_low is");
    }
}
END_TEST

START_TEST(test_decode__a_window_that_is_needed_or_changes_nothing_brings_a_warning)
{
    static const struct {
        const char *name, *warning;
        double low, high;
    } cases[] = {
        {"24.bmp", "its samples have 8 bits: the window changes nothing", 0, 9},
        {"0_16.png", "", 0, 9},
        {"ten_bits.png", "a window (--window 0,960) shows all of them", 0, 0},
        {"ten_bits.png", "", 0, 960},
        {"kinds/little.pfm", "are spread over 0 to 255; another picture has another range", 0, 0},
        {"kinds/little.pfm", "", -1, 9},
        {"kinds/grey_i16.tif", "are spread over 0 to 255", 0, 0},
        {"kinds/grey_16.tif", "", 0, 0},
    };
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_hooks hooks = VITX_HOOKS_INIT;
    char warning[600], path[128];
    opts.hooks = &hooks;
    hooks.log = take_warning;
    hooks.payload = warning;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitx_image *image;
        if (!readable(cases[i].name))
            continue;
        snprintf(path, sizeof path, "image/%s", cases[i].name);
        warning[0] = '\0';
        opts.window_low = cases[i].low;
        opts.window_high = cases[i].high;
        ck_ok(vitx_image_open_with(&image, golden_path(path), &opts));
        ck_assert_msg(cases[i].warning[0] ? strstr(warning, cases[i].warning) != NULL
                                          : warning[0] == '\0',
                      "%s warns: %s", path, warning);
        vitx_image_free(image);
    }
}
END_TEST

/* A TIFF of one strip with those tags, each a long. */
static size_t make_tiff(uint8_t *out, const uint32_t tags[][2], size_t count, size_t bytes)
{
    memcpy(out, "II*\0\10\0\0\0", 8);
    memset(out + 8, 0, bytes - 8);
    out[8] = (uint8_t)count;
    for (size_t i = 0; i < count; i++) {
        uint8_t *p = out + 10 + 12 * i;
        p[0] = (uint8_t)tags[i][0], p[1] = (uint8_t)(tags[i][0] >> 8), p[2] = 4, p[4] = 1;
        for (int k = 0; k < 4; k++)
            p[8 + k] = (uint8_t)(tags[i][1] >> 8 * k);
    }
    return bytes;
}

START_TEST(test_refuse__tiffs_before_they_are_decoded)
{
    static const struct {
        const char *message;
        int status;
        uint32_t width, height, bits, compression, colour, channels, strip_bytes;
    } cases[] = {
        {"100000 x 100000 pixels, at most", VITX_UNSUPPORTED, 100000, 100000, 8, 1, 1, 1, 9},
        {"damaged TIFF: ", VITX_FORMAT, 0, 3, 8, 1, 1, 1, 9},
        {"a TIFF of compression 34925", VITX_UNSUPPORTED, 3, 3, 8, 34925, 1, 1, 9},
        {"a TIFF of compression 6", VITX_UNSUPPORTED, 3, 3, 8, 6, 6, 3, 9},
        {"a TIFF of photometric interpretation 8", VITX_UNSUPPORTED, 3, 3, 8, 1, 8, 3, 27},
        {"a TIFF of 2 channels, at least 3", VITX_UNSUPPORTED, 3, 3, 8, 1, 2, 2, 27},
        {"3 channels of 4 bits, sample format 1", VITX_UNSUPPORTED, 3, 3, 4, 1, 2, 3, 27},
        {"cut short: 300 bytes", VITX_FORMAT, 30, 30, 8, 1, 1, 1, 900},
        {"damaged TIFF: ", VITX_FORMAT, 3, 3, 8, 5, 1, 1, 9},
    };
    if (!readable("x.tif"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[300];
        const uint32_t tags[][2] = {
            {256, cases[i].width},       {257, cases[i].height}, {258, cases[i].bits},
            {259, cases[i].compression}, {262, cases[i].colour}, {273, 200},
            {277, cases[i].channels},    {278, cases[i].height}, {279, cases[i].strip_bytes}};
        const size_t bytes = make_tiff(file, tags, sizeof tags / sizeof tags[0], sizeof file);
        ledger l = {0};
        const vitx_hooks hooks = ledger_hooks(&l);
        vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
        vitx_image *image;
        opts.hooks = &hooks;
        ck_fails(vitx_image_open_memory(&image, file, bytes, "x", &opts), cases[i].status,
                 cases[i].message);
        ck_assert_uint_lt(l.peak, 4000);
        ck_assert_uint_eq(l.blocks, 0);
    }
}
END_TEST

START_TEST(test_refuse__damaged_pngs)
{
    static const struct {
        const char *name;
        int status;
        const char *message;
    } cases[] = {
        {"empty_size.png", VITX_FORMAT, "0 x 0 pixels"},
        {"huge_size.png", VITX_UNSUPPORTED,
         "100000 x 100000 pixels, at most 178956970 are accepted"},
        {"too_little.png", VITX_FORMAT, "less picture data than 4840 bytes"},
        {"bomb.png", VITX_FORMAT, "do not inflate to 52 bytes"},
        {"no_palette.png", VITX_FORMAT, "no palette"},
        {"checksum.png", VITX_FORMAT, "chunk IDAT at byte 33 has a wrong checksum"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        vitx_image *image;
        snprintf(path, sizeof path, "image/refused/%s", cases[i].name);
        ck_fails(vitx_image_open(&image, golden_path(path)), cases[i].status, cases[i].message);
        ck_assert_ptr_null(image);
    }
}
END_TEST

/* No file that ends early is a picture. */
/* 13377 x 13377 pixels of 64 bits from 8 bytes: nothing is allocated for them. A gigabyte that is
 * no picture is not read. */
START_TEST(test_refuse__large_claims_cost_no_memory)
{
    static const uint8_t claim[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x34\x41\0\0\x34\x41\x10\x06\0\0\0\x1a\xf8\xac\xd9"
        "\0\0\0\10IDAT\x78\x9c\3\0\0\0\0\1\x48\x06\x89\xd2\0\0\0\0IEND\xae\x42\x60\x82";
    ledger l = {0};
    const vitx_hooks hooks = ledger_hooks(&l);
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_image *image;
    opts.hooks = &hooks;
    ck_fails(vitx_image_open_memory(&image, claim, sizeof claim - 1, "claim", &opts), VITX_FORMAT,
             "8 bytes of picture data cannot inflate to 1431566409");
    ck_assert_uint_lt(l.peak, 10000);

    char *folder = make_folder(), path[200];
    snprintf(path, sizeof path, "%s/zeros.jpg", folder);
    write_file(path, "", 1);
    ck_assert_int_eq(truncate(path, (1 << 30) - 1), 0); /* takes no room on the disk */
    l = (ledger){0};
    ck_fails(vitx_image_open_with(&image, path, &opts), VITX_FORMAT, "zeros.jpg: not a picture");
    ck_assert_uint_lt(l.peak, 10000);
    remove_folder(folder);
    free(folder);
    ck_fails(vitx_image_open(NULL, "x"), VITX_INVALID, "out is NULL");
    ck_assert(vitx_image_width(NULL) == 0 && vitx_image_height(NULL) == 0 &&
              !vitx_image_pixels(NULL));
}
END_TEST

START_TEST(test_refuse__every_prefix_of_every_kind)
{
    all_files all = open_all();
    entry e;
    while (next_of_all(&e, &all)) {
        size_t bytes;
        uint8_t *data = read_picture(e.name, &bytes);
        for (size_t n = 0; n<bytes; n += n + 100> bytes || n < 60 ? 1 : 17) {
            uint8_t *part = malloc(n + 1); /* of its own, so that reading past it is seen */
            vitx_image *image;
            memcpy(part, data, n);
            const int status = open_bytes(&image, part, n, e.name);
            /* What follows the picture's data may be missing: of a PNG their checksums and IEND, of
             * the other kinds the next picture, too. */
            const bool whole = strstr(e.name, ".png") ? n + 28 >= bytes : e.name[0] == 'k';
            if (strstr(e.name, "/plain")) /* its last number may be cut */
                e.hash = status == VITX_OK ? fnv_image(image) : 0;
            if (status == VITX_OK && whole)
                ck_assert_msg(fnv_image(image) == e.hash, "%zu bytes of %s", n, e.name);
            if (status == VITX_OK && whole)
                vitx_image_free(image);
            else
                ck_assert_msg(status == VITX_FORMAT || status == VITX_UNSUPPORTED,
                              "%zu bytes of %s give %s", n, e.name, vitx_status_name(status));
            free(part);
        }
        free(data);
    }
}
END_TEST

START_TEST(test_refuse__files_that_are_no_files)
{
    char *folder = make_folder();
    char path[256];
    vitx_image *image;
    snprintf(path, sizeof path, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(vitx_image_open(&image, path), VITX_IO);
    ck_assert_int_eq(vitx_image_open(&image, folder), VITX_IO);
    snprintf(path, sizeof path, "%s/absent.png", folder);
    ck_fails(vitx_image_open(&image, path), VITX_IO, "absent.png");
    ck_fails(vitx_image_open(&image, NULL), VITX_INVALID, "path is NULL");
    ck_assert_ptr_null(image);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_refuse__too_many_pixels_before_decoding)
{
    ledger l = {0};
    const vitx_hooks hooks = ledger_hooks(&l);
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    static const char *const names[] = {"420.jpg", "2_8.png", "24.bmp"};
    opts.hooks = &hooks;
    for (size_t i = 0; i < 3; i++) {
        size_t bytes;
        uint8_t *data = read_picture(names[i], &bytes);
        vitx_image *image;
        opts.max_pixels = 30;
        ck_fails(vitx_image_open_memory(&image, data, bytes, "x", &opts), VITX_UNSUPPORTED,
                 "at most 30 are accepted");
        opts.max_pixels = 1000;
        ck_ok(vitx_image_open_memory(&image, data, bytes, "x", &opts));
        vitx_image_free(image);
        opts.max_pixels = -1;
        ck_fails(vitx_image_open_memory(&image, data, bytes, "x", &opts), VITX_INVALID,
                 "max_pixels");
        free(data);
    }
    ck_assert_uint_eq(l.blocks, 0);
}
END_TEST

/* The place of a JPEG's marker segment. */
static uint8_t *find_marker(uint8_t *data, size_t bytes, uint8_t marker)
{
    for (size_t i = 0; i + 1 < bytes; i++)
        if (data[i] == 0xff && data[i + 1] == marker)
            return data + i;
    ck_abort_msg("no marker %02x", marker);
    return NULL;
}

/* A small file must not claim a large picture: little memory is taken before it is found out. */
START_TEST(test_refuse__jpeg_larger_than_its_data)
{
    static const char *const names[] = {"420.jpg", "progressive.jpg"};
    for (int i = 0; i < 2; i++) {
        ledger l = {0};
        const vitx_hooks hooks = ledger_hooks(&l);
        vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
        size_t bytes;
        uint8_t *data = read_picture(names[i], &bytes);
        uint8_t *frame = find_marker(data, bytes, i == 0 ? 0xc0 : 0xc2);
        vitx_image *image;
        opts.hooks = &hooks;
        memcpy(frame + 5, "\x20\x00\x40\x00", 4); /* 16384 x 8192 */
        ck_fails(vitx_image_open_memory(&image, data, bytes, "x", &opts), VITX_FORMAT,
                 "bytes, at least");
        ck_assert_uint_lt(l.peak, 1000);
        free(data);
    }
}
END_TEST

START_TEST(test_refuse__jpeg_of_endless_scans)
{
    size_t bytes;
    uint8_t *data = read_picture("grey_progressive.jpg", &bytes);
    uint8_t *scan = find_marker(data, bytes, 0xda), *end = data + bytes - 2, *next = scan + 2;
    while (!(next[0] == 0xff && next[1] != 0))
        next++;
    const size_t head = (size_t)(scan - data), one = (size_t)(next - scan), n = 5000;
    uint8_t *many = malloc(head + n * one + 2);
    vitx_image *image;
    memcpy(many, data, head);
    for (size_t i = 0; i < n; i++)
        memcpy(many + head + i * one, scan, one);
    memcpy(many + head + n * one, end, 2);
    ck_fails(open_bytes(&image, many, head + n * one + 2, "x"), VITX_UNSUPPORTED, "too many scans");
    free(many);
    free(data);
}
END_TEST

START_TEST(test_refuse__huffman_tables_that_overflow)
{
    size_t bytes;
    uint8_t *data = read_picture("444.jpg", &bytes);
    uint8_t *table = find_marker(data, bytes, 0xc4);
    vitx_image *image;
    memset(table + 5, 0xff, 16);
    ck_fails(open_bytes(&image, data, bytes, "x"), VITX_FORMAT, "Huffman table");
    free(data);
}
END_TEST

/* The frames of a camera leave them out, and decoders have the standard's; of a progressive file,
 * and of the numbers 2 and 3, nobody knows them. libjpeg refuses both. */
START_TEST(test_refuse__tables_that_the_standard_does_not_have)
{
    size_t bytes;
    vitx_image *image;
    uint8_t *data = read_picture("no_tables_grey.jpg", &bytes);
    uint8_t *scan = find_marker(data, bytes, 0xda);
    scan[6] = 0x20;
    ck_fails(open_bytes(&image, data, bytes, "x"), VITX_FORMAT, "needs the DC Huffman table 2");
    free(data);
    data = read_picture("grey_progressive.jpg", &bytes);
    for (uint8_t *p = data; p + 1 < data + bytes; p++)
        if (p[0] == 0xff && p[1] == 0xc4)
            p[1] = 0xfe; /* a comment */
    ck_fails(open_bytes(&image, data, bytes, "x"), VITX_FORMAT, "needs the DC Huffman table 0");
    free(data);
}
END_TEST

START_TEST(test_refuse__options_of_another_size)
{
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_image *image;
    opts.struct_size = 3;
    ck_fails(vitx_image_open_memory(&image, "", 0, NULL, &opts), VITX_INVALID, "struct_size");
    ck_fails(vitx_image_open_memory(&image, NULL, 5, NULL, NULL), VITX_INVALID, "data is NULL");
}
END_TEST

/* ------------------------------------------------------------------ orientation ---------- */

/* A JPEG's head with an APP1 of this TIFF, or a PNG with an eXIf chunk. */
static int orientation_in(bool png, const void *tiff, size_t n)
{
    uint8_t file[200] = {0};
    if (png) {
        memcpy(file, "\x89PNG\r\n\x1a\n", 8);
        file[11] = (uint8_t)n;
        memcpy(file + 12, "eXIf", 4);
        memcpy(file + 16, tiff, n);
        return vx_exif_orientation(file, 16 + n + 4);
    }
    memcpy(file, "\xff\xd8\xff\xe1\0\0Exif\0", 12);
    file[5] = (uint8_t)(n + 8);
    memcpy(file + 12, tiff, n);
    return vx_exif_orientation(file, 12 + n);
}

START_TEST(test_exif__both_byte_orders_and_hostile_offsets)
{
    static const struct {
        const char *tiff;
        size_t n;
        int expected;
    } cases[] = {
        {"II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 6},
        {"MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\5\0\0", 22, 5},
        {"MM\0*\0\0\0\10\0\1\1\x12\0\4\0\0\0\1\0\0\0\7", 22, 7},
        {"II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\11\0\0\0", 22, 1}, /* 9 is none */
        {"II*\0\10\0\0\0\1\0\x12\1\2\0\1\0\0\0\6\0\0\0", 22, 1},  /* a text */
        {"II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 21, 1},  /* ends early */
        {"II*\0\xff\xff\xff\xff\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 1},
        {"II*\0\x14\0\0\0\xff\xff\x12\1\3\0\1\0\0\0\xff\xff\0\0", 22, 1},
        {"II*\0\10\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 22, 1},
        {"IM*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 1},
        {"II*\0", 4, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int png = 0; png < 2; png++)
            ck_assert_msg(orientation_in(png, cases[i].tiff, cases[i].n) == cases[i].expected,
                          "case %zu, png %d", i, png);
    ck_assert_int_eq(vx_exif_orientation((const uint8_t *)"\xff\xd8\xff\xe1\xff\xff", 6), 1);
    ck_assert_int_eq(vx_exif_orientation((const uint8_t *)"", 0), 1);
}
END_TEST

/* ------------------------------------------------------------------ from pixels ---------- */

/* Two rows of two pixels; alpha, and what lies between the rows, is not looked at. What Pillow's
 * convert("RGB") makes of modes L, LA and RGBA; BGR is RGB turned round. */
START_TEST(test_from_pixels__layouts)
{
    static const uint8_t rgb[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                         grey[12] = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
    static const struct {
        vitx_pixels layout;
        uint8_t bytes[20];
        size_t stride;
        const uint8_t *expected;
    } cases[] = {
        {VITX_PIXELS_RGB, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 0, rgb},
        {VITX_PIXELS_RGB, {1, 2, 3, 4, 5, 6, 99, 7, 8, 9, 10, 11, 12}, 7, rgb},
        {VITX_PIXELS_BGR, {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}, 0, rgb},
        {VITX_PIXELS_RGBA, {1, 2, 3, 0, 4, 5, 6, 9, 7, 8, 9, 255, 10, 11, 12, 1}, 0, rgb},
        {VITX_PIXELS_BGRA, {3, 2, 1, 0, 6, 5, 4, 9, 99, 9, 8, 7, 255, 12, 11, 10, 1}, 9, rgb},
        {VITX_PIXELS_GREY, {1, 2, 3, 4}, 0, grey},
        {VITX_PIXELS_GREY, {1, 2, 99, 99, 3, 4}, 4, grey},
        {VITX_PIXELS_GREY_ALPHA, {1, 0, 2, 7, 3, 255, 4, 1}, 0, grey},
    };
    vitx_image *image;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_ok(vitx_image_from_pixels(&image, cases[i].bytes, cases[i].layout, 2, 2, cases[i].stride,
                                     NULL));
        ck_assert_mem_eq(vitx_image_pixels(image), cases[i].expected, 12);
        vitx_image_free(image);
    }
    ck_fails(vitx_image_from_pixels(&image, rgb, VITX_PIXELS_RGBA, 2, 1, 7, NULL), VITX_INVALID,
             "stride 7, at least 8");
    ck_fails(vitx_image_from_pixels(&image, rgb, (vitx_pixels)6, 1, 1, 0, NULL), VITX_INVALID,
             "layout = 6");
    ck_fails(vitx_image_from_pixels(&image, rgb, (vitx_pixels)-1, 1, 1, 0, NULL), VITX_INVALID,
             "layout = -1");
    ck_fails(vitx_image_from_pixels(&image, NULL, VITX_PIXELS_GREY, 1, 1, 0, NULL), VITX_INVALID,
             "vitx_image_from_pixels: pixels is NULL");
    ck_assert_ptr_null(image);
}
END_TEST

START_TEST(test_from_rgb__copies_rows_of_any_stride)
{
    static const uint8_t padded[2][8] = {{1, 2, 3, 4, 5, 6, 99, 99}, {7, 8, 9, 10, 11, 12, 99, 99}};
    static const uint8_t expected[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    vitx_image *image;
    ck_ok(vitx_image_from_rgb(&image, padded[0], 2, 2, 8, NULL));
    ck_assert_mem_eq(vitx_image_pixels(image), expected, 12);
    vitx_image_free(image);
    ck_fails(vitx_image_from_rgb(&image, padded[0], 2, 2, 5, NULL), VITX_INVALID, "stride 5");
    ck_fails(vitx_image_from_rgb(&image, padded[0], 0, 2, 0, NULL), VITX_INVALID, "0 x 2");
    ck_fails(vitx_image_from_rgb(&image, NULL, 2, 2, 0, NULL), VITX_INVALID, "NULL");
    ck_fails(vitx_image_from_rgb(&image, padded[0], 65536, 1, 0, NULL), VITX_UNSUPPORTED, "65536");
    vitx_image_free(NULL);
}
END_TEST

/* ------------------------------------------------------------------ resizing ------------- */

START_TEST(test_resize__matches_pillow)
{
    const vitx_hooks hooks = plain_hooks();
    FILE *table = open_table("resizes.txt");
    int filter, w, h, to_w, to_h, n = 0;
    unsigned long long seed, hash;
    while (fscanf(table, "%d %llu %d %d %d %d %llx", &filter, &seed, &w, &h, &to_w, &to_h, &hash) ==
           7) {
        const size_t bytes = (size_t)to_w * (size_t)to_h * 3;
        uint8_t *src = seeded(seed, w, h), *dst = malloc(bytes);
        ck_ok(vx_resize_u8(dst, to_w, to_h, src, w, h, 3, (vitx_filter)filter, &hooks));
        ck_assert_msg(fnv(dst, bytes) == hash, "filter %d, %d x %d to %d x %d", filter, w, h, to_w,
                      to_h);
        free(src);
        free(dst);
        n++;
    }
    ck_assert_int_eq(n, 200);
    fclose(table);
}
END_TEST

/* Channels are resized alike and apart: two, and four, give what three give. */
START_TEST(test_resize__channels_do_not_mix)
{
    const vitx_hooks hooks = plain_hooks();
    enum { W = 13, H = 9, TO_W = 5, TO_H = 14 };
    uint8_t *rgb = seeded(5, W, H), expected[TO_W * TO_H * 3], some[W * H * 4],
            got[TO_W * TO_H * 4];
    ck_ok(vx_resize_u8(expected, TO_W, TO_H, rgb, W, H, 3, VITX_BICUBIC, &hooks));
    for (int channels = 1; channels <= 4; channels++) {
        for (int i = 0; i < W * H; i++)
            for (int c = 0; c < channels; c++)
                some[i * channels + c] = rgb[3 * i + c % 3];
        ck_ok(vx_resize_u8(got, TO_W, TO_H, some, W, H, channels, VITX_BICUBIC, &hooks));
        for (int i = 0; i < TO_W * TO_H; i++)
            for (int c = 0; c < channels; c++)
                ck_assert_int_eq(got[i * channels + c], expected[3 * i + c % 3]);
    }
    free(rgb);
}
END_TEST

START_TEST(test_resize__a_constant_stays_and_the_same_size_is_a_copy)
{
    const vitx_hooks hooks = plain_hooks();
    enum { N = 31 };
    uint8_t flat[N * N * 3], out[40 * 40 * 3], *noise = seeded(9, N, N);
    for (int filter = VITX_NEAREST; filter <= VITX_LANCZOS; filter++) {
        for (int value = 0; value < 256; value += 51) {
            memset(flat, value, sizeof flat);
            for (int size = 1; size <= 40; size += 13) {
                ck_ok(
                    vx_resize_u8(out, size, 41 - size, flat, N, N, 3, (vitx_filter)filter, &hooks));
                for (int i = 0; i < size * (41 - size) * 3; i++)
                    ck_assert_int_eq(out[i], value);
            }
        }
        ck_ok(vx_resize_u8(out, N, N, noise, N, N, 3, (vitx_filter)filter, &hooks));
        ck_assert_mem_eq(out, noise, N * N * 3);
    }
    free(noise);
}
END_TEST

/* A part is the same bits as the whole, cropped, whichever pass goes first. */
START_TEST(test_resize__a_part_equals_the_whole_cropped)
{
    const vitx_hooks hooks = plain_hooks();
    rng r = {3};
    for (int i = 0; i < 400; i++) {
        const int w = rng_int(&r, 1, 40), h = rng_int(&r, 1, 40);
        const int to_w = rng_int(&r, 1, 40), to_h = rng_int(&r, 1, 40);
        const int left = rng_int(&r, 0, to_w - 1), top = rng_int(&r, 0, to_h - 1);
        const int width = rng_int(&r, 1, to_w - left), height = rng_int(&r, 1, to_h - top);
        uint8_t *src = seeded((uint64_t)i, w, h), whole[40 * 40 * 3], part[40 * 50 * 3];
        const vitx_filter filter = (vitx_filter)(i % 5);
        ck_ok(vx_resize_u8(whole, to_w, to_h, src, w, h, 3, filter, &hooks));
        ck_ok(vx_resize_part_u8(&(vx_resize_part){.dst = part,
                                                  .dst_stride = 150,
                                                  .left = left,
                                                  .top = top,
                                                  .width = width,
                                                  .height = height,
                                                  .dst_w = to_w,
                                                  .dst_h = to_h,
                                                  .src = src,
                                                  .src_w = w,
                                                  .src_h = h,
                                                  .channels = 3,
                                                  .filter = filter},
                                &hooks));
        for (int y = 0; y < height; y++)
            ck_assert_mem_eq(part + y * 150, whole + ((top + y) * to_w + left) * 3,
                             (size_t)width * 3);
        free(src);
    }
}
END_TEST

START_TEST(test_resize__refuses_sizes_that_make_no_sense)
{
    const vitx_hooks hooks = plain_hooks();
    uint8_t p[12] = {0};
    ck_fails(vx_resize_u8(p, 0, 1, p, 1, 1, 3, VITX_BOX, &hooks), VITX_INVALID, "0 x 1");
    ck_fails(vx_resize_u8(p, 1, 1, p, 1, -1, 3, VITX_BOX, &hooks), VITX_INVALID, "1 x -1");
    ck_fails(vx_resize_u8(p, 1, 1, p, 1, 1, 5, VITX_BOX, &hooks), VITX_INVALID, "5 channels");
    ck_fails(vx_resize_u8(p, 1, 1, p, 1, 1, 3, (vitx_filter)7, &hooks), VITX_INVALID, "filter 7");
}
END_TEST

/* ------------------------------------------------------------------ preprocessing -------- */

static const vitx_recipe imagenet = {
    .scale = 1.0f / 255.0f, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};

START_TEST(test_preprocess__matches_torchvision_timm_and_transformers)
{
    enum { SQUASH = 4 };
    const vitx_hooks hooks = plain_hooks();
    FILE *table = open_table("preprocesses.txt");
    int how, crop, filter, w, h, rw, rh, iw, ih, n = 0;
    unsigned long long seed, hash, hash_f32;
    while (fscanf(table, "%d %d %d %llu %d %d %d %d %d %d %llx %llx", &how, &crop, &filter, &seed,
                  &w, &h, &rw, &rh, &iw, &ih, &hash, &hash_f32) == 12) {
        const size_t samples = (size_t)iw * (size_t)ih * 3;
        uint8_t *rgb = seeded(seed, w, h), *seen = malloc(samples);
        float *input = malloc(samples * sizeof *input);
        vitx_recipe r = imagenet;
        vitx_image *image;
        vx_placement p;
        r.input_width = iw;
        r.input_height = ih;
        r.resize = (vitx_resize)how;
        r.resize_width = rw;
        r.resize_height = rh;
        r.filter = (vitx_filter)filter;
        r.crop_round = crop;
        ck_ok(vitx_image_from_rgb(&image, rgb, w, h, 0, NULL));
        if (how == SQUASH)
            vx_recipe_squash(&r);
        ck_ok(vx_place(&p, &r, w, h));
        ck_ok(vx_preprocess_u8(seen, image, &p, &hooks));
        ck_ok(vx_preprocess(input, image, &r, &p, &hooks));
        ck_assert_msg(fnv(seen, samples) == hash, "pixels of seed %llu, how %d", seed, how);
        ck_assert_msg(fnv(input, samples * sizeof *input) == hash_f32, "input of seed %llu, how %d",
                      seed, how);
        vitx_image_free(image);
        free(rgb);
        free(seen);
        free(input);
        n++;
    }
    ck_assert_int_eq(n, 90);
    fclose(table);
}
END_TEST

START_TEST(test_place__says_where_the_input_lies)
{
    vitx_recipe r = imagenet;
    vx_placement p;
    r.input_width = r.input_height = 224;
    r.resize = VITX_RESIZE_SHORTEST;
    r.resize_height = 248;
    r.filter = VITX_BICUBIC;
    ck_ok(vx_place(&p, &r, 640, 427));
    ck_assert_int_eq(p.resized_w, 371);
    ck_assert_int_eq(p.resized_h, 248);
    ck_assert_int_eq(p.left, 73);
    ck_assert_int_eq(p.top, 12);
    ck_assert_double_eq_tol(p.scale_x, 640.0 / 371, 1e-12);
    r.crop_round = 1;
    ck_ok(vx_place(&p, &r, 640, 427));
    ck_assert_int_eq(p.left, 74); /* 73.5, to even */
    vx_recipe_squash(&r);
    ck_ok(vx_place(&p, &r, 640, 427));
    ck_assert_int_eq(p.resized_w, 224);
    ck_assert_int_eq(p.left, 0);
    ck_assert_double_eq_tol(p.scale_y, 427.0 / 224, 1e-12);
    ck_assert_int_eq(p.filter, VITX_BICUBIC);
}
END_TEST

/* do_resize and do_center_crop false: transformers runs pictures of the input's size and no
 * others. */
START_TEST(test_place__a_recipe_without_a_crop_needs_the_input_s_size)
{
    void (*const fits[])(vitx_recipe *) = {vx_recipe_squash, vx_recipe_crop, vx_recipe_pad};
    vitx_recipe r = imagenet;
    vx_placement p;
    r.input_width = 224;
    r.input_height = 208;
    r.resize = VITX_RESIZE_NONE;
    ck_ok(vx_place(&p, &r, 300, 100)); /* cropped across, padded down, as center_crop does it */
    ck_assert(p.left == 38 && p.top == -54);
    r.no_crop = 1;
    ck_ok(vx_place(&p, &r, 224, 208));
    ck_assert(p.left == 0 && p.top == 0 && p.resized_w == 224 && p.resized_h == 208);
    ck_fails(vx_place(&p, &r, 224, 209), VITX_UNSUPPORTED,
             "a picture of 224 x 209 pixels for an input of 224 x 208");
    ck_assert_str_eq(vitx_last_error_field(), "fit");
    ck_fails(vx_place(&p, &r, 223, 208), VITX_UNSUPPORTED, "fit (squash, crop or pad)");
    ck_fails(vx_place(&p, &r, 448, 416), VITX_UNSUPPORTED, "neither resizes nor crops");
    for (int i = 0; i < 3; i++) {
        vitx_recipe other = r;
        fits[i](&other);
        ck_ok(vx_place(&p, &other, 448, 300));
    }
}
END_TEST

START_TEST(test_place__refuses_what_would_be_absurdly_large)
{
    vitx_recipe r = imagenet;
    vx_placement p;
    r.input_width = r.input_height = 224;
    r.resize_height = r.resize_width = 248;
    ck_fails(vx_place(&p, &r, 1, 60000), VITX_UNSUPPORTED, "1 x 60000 pixels would be resized");
    r.resize = VITX_RESIZE_COVER;
    ck_fails(vx_place(&p, &r, 60000, 1), VITX_UNSUPPORTED, "60000 x 1");
    r.resize = VITX_RESIZE_EXACT;
    r.resize_width = r.resize_height = 60000;
    ck_fails(vx_place(&p, &r, 3, 3), VITX_UNSUPPORTED, "60000 x 60000");
    r.resize_width = 0;
    ck_fails(vx_place(&p, &r, 3, 3), VITX_INVALID, "recipe");
    r.input_width = -1;
    ck_fails(vx_place(&p, &r, 3, 3), VITX_INVALID, "recipe");
    ck_fails(vx_place(&p, &imagenet, 0, 3), VITX_INVALID, "0 x 3");
}
END_TEST

/* ------------------------------------------------------------------ hostile input -------- */

/* One to eight bytes changed, put in or taken out. */
static uint8_t *mutate(rng *r, const uint8_t *data, size_t *bytes)
{
    size_t n = *bytes;
    uint8_t *out = malloc(n + 8);
    memcpy(out, data, n);
    for (int i = rng_int(r, 1, 8); i > 0 && n > 1; i--) {
        const size_t at = (size_t)rng_int(r, 0, (int)n - 1);
        switch (rng_int(r, 0, 3)) {
        case 0:
            out[at] = (uint8_t)rng_next(r);
            break;
        case 1:
            out[at] ^= (uint8_t)(1 << rng_int(r, 0, 7));
            break;
        case 2:
            memmove(out + at + 1, out + at, n - at);
            out[at] = (uint8_t)(rng_int(r, 0, 1) ? 0xff : rng_next(r));
            n++;
            break;
        default:
            memmove(out + at, out + at + 1, n - at - 1);
            n--;
            break;
        }
    }
    *bytes = n;
    return realloc(out, n); /* no byte more, so that reading past it is seen */
}

/* A PNG's checksums are made right again: without that nothing behind them would be tested. */
static void mend_checksums(uint8_t *d, size_t bytes)
{
    for (size_t at = 8; bytes >= 20 && at <= bytes - 12;) {
        const size_t n =
            (size_t)d[at] << 24 | (size_t)d[at + 1] << 16 | (size_t)d[at + 2] << 8 | d[at + 3];
        uint32_t crc = 0xffffffff;
        if (n > bytes - at - 12)
            break;
        for (size_t i = 0; i < n + 4; i++) {
            crc ^= d[at + 4 + i];
            for (int k = 0; k < 8; k++)
                crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
        for (int k = 0; k < 4; k++)
            d[at + 8 + n + (size_t)k] = (uint8_t)(~crc >> (24 - 8 * k));
        at += 12 + n;
    }
}

/* VX_MUTATIONS in the environment asks for more than the usual per picture. */
START_TEST(test_hostile__mutated_pictures_do_no_harm)
{
    all_files all = open_all();
    const int count = getenv("VX_MUTATIONS") ? atoi(getenv("VX_MUTATIONS")) : 25;
    ledger l = {0};
    const vitx_hooks hooks = ledger_hooks(&l);
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    rng r = {2024 + (uint64_t)count};
    entry e;
    int opened = 0, tried = 0;
    opts.hooks = &hooks;
    opts.max_pixels = 1 << 18;
    while (next_of_all(&e, &all)) {
        size_t bytes;
        uint8_t *data = read_picture(e.name, &bytes);
        for (int i = 0; i < count; i++, tried++) {
            size_t n = bytes;
            uint8_t *copy = mutate(&r, data, &n);
            vitx_image *image;
            if (i % 8 != 0)
                mend_checksums(copy, n);
            const int status = vitx_image_open_memory(&image, copy, n, e.name, &opts);
            ck_assert_msg(status == VITX_OK || status == VITX_FORMAT || status == VITX_UNSUPPORTED,
                          "%s gives %s", e.name, vitx_last_error());
            ck_assert((status == VITX_OK) == (image != NULL));
            opened += status == VITX_OK;
            vitx_image_free(image);
            free(copy);
        }
        free(data);
    }
    ck_assert_int_ge(tried, 1000);
    ck_assert_int_gt(opened, 50); /* else nothing but headers was tested */
    ck_assert_uint_eq(l.blocks, 0);
}
END_TEST

/* 6 + 6 bytes a sample for a progressive JPEG of four components, and its file twice. */
START_TEST(test_hostile__memory_is_a_small_multiple_of_the_picture)
{
    all_files all = open_all();
    entry e;
    while (next_of_all(&e, &all)) {
        ledger l = {0};
        const vitx_hooks hooks = ledger_hooks(&l);
        vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
        size_t bytes;
        uint8_t *data = read_picture(e.name, &bytes);
        vitx_image *image;
        opts.hooks = &hooks;
        ck_ok(vitx_image_open_memory(&image, data, bytes, e.name, &opts));
        vitx_image_free(image);
        const size_t blocks = (size_t)((e.width + 31) / 32) * (size_t)((e.height + 31) / 32);
        ck_assert_uint_le(l.peak, 16 * 1024 * blocks + 2 * bytes + 100000);
        ck_assert_uint_eq(l.blocks, 0);
        free(data);
    }
}
END_TEST

/* Opens a picture and preprocesses it, with the n-th allocation refused; the status. */
static int use_picture(const char *path, ledger *l)
{
    const vitx_hooks hooks = ledger_hooks(l);
    vitx_image_opts opts = VITX_IMAGE_OPTS_INIT;
    vitx_recipe r = imagenet;
    vitx_image *image;
    vx_placement p;
    float input[3 * 8 * 8];
    opts.hooks = &hooks;
    int status = vitx_image_open_with(&image, path, &opts);
    if (status != VITX_OK)
        return status;
    r.input_width = r.input_height = 8;
    r.resize = VITX_RESIZE_SHORTEST;
    r.resize_height = 9;
    r.filter = VITX_BICUBIC;
    ck_ok(vx_place(&p, &r, vitx_image_width(image), vitx_image_height(image)));
    status = vx_preprocess(input, image, &r, &p, &hooks);
    vitx_image_free(image);
    return status;
}

START_TEST(test_hostile__any_allocation_may_fail)
{
    static const char *const names[] = {"progressive.jpg",
                                        "cmyk.jpg",
                                        "orientation_6.jpg",
                                        "6_16_interlaced.png",
                                        "3_4.png",
                                        "many_chunks.png",
                                        "orientation_6.png",
                                        "24.bmp",
                                        "8.bmp",
                                        "kinds/plain.gif",
                                        "kinds/raw_65535.pgm",
                                        "kinds/lossy.webp",
                                        "kinds/palette.tif",
                                        "kinds/ycbcr.tif",
                                        "kinds/rgb_jpeg.tif",
                                        "../heif/alpha.avif",
                                        "../heif/420.heic"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        if (!readable(names[i]))
            continue;
        snprintf(path, sizeof path, "image/%s", names[i]);
        int status = VITX_NOMEM;
        size_t n = 0;
        while (status != VITX_OK) {
            ledger l = {.refuse_at = ++n};
            status = use_picture(golden_path(path), &l);
            ck_assert_uint_eq(l.blocks, 0);
            ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "%s, allocation %zu: %s", path,
                          n, vitx_last_error());
            ck_assert_uint_lt(n, 200);
        }
        ck_assert_uint_gt(n, 4);
    }
}
END_TEST

static Suite *image_suite(void)
{
    Suite *s = suite_create("image");
    TCase *c = tcase_create("decode");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_decode__every_kind_matches_pillow);
    tcase_add_test(c, test_decode__other_kinds_match_pillow);
    tcase_add_test(c, test_decode__avif_and_heic_are_pillow_s_within_one);
    tcase_add_test(c, test_decode__files_and_memory_give_the_same);
    tcase_add_test(c, test_decode__truncated_files_on_request_as_pillow);
    tcase_add_test(c, test_decode__few_of_16_bits_bring_a_warning);
    tcase_add_test(c, test_decode__a_window_that_is_needed_or_changes_nothing_brings_a_warning);
    tcase_add_test(c, test_decode__orientation_can_be_ignored);
    tcase_add_test(c, test_decode__shared_pictures_match_pillow_and_timm);
    tcase_add_test(c, test_from_pixels__layouts);
    tcase_add_test(c, test_from_rgb__copies_rows_of_any_stride);
    tcase_add_test(c, test_exif__both_byte_orders_and_hostile_offsets);
    suite_add_tcase(s, c);

    c = tcase_create("refuse");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_refuse__other_formats_by_name);
    tcase_add_test(c, test_refuse__pages_and_windows_that_make_no_sense);
    tcase_add_test(c, test_refuse__tiffs_before_they_are_decoded);
    tcase_add_test(c, test_refuse__prefixes_of_avif_and_heic);
    tcase_add_test(c, test_refuse__damaged_pngs);
    tcase_add_test(c, test_refuse__large_claims_cost_no_memory);
    tcase_add_test(c, test_refuse__every_prefix_of_every_kind);
    tcase_add_test(c, test_refuse__files_that_are_no_files);
    tcase_add_test(c, test_refuse__too_many_pixels_before_decoding);
    tcase_add_test(c, test_refuse__jpeg_larger_than_its_data);
    tcase_add_test(c, test_refuse__jpeg_of_endless_scans);
    tcase_add_test(c, test_refuse__huffman_tables_that_overflow);
    tcase_add_test(c, test_refuse__tables_that_the_standard_does_not_have);
    tcase_add_test(c, test_refuse__options_of_another_size);
    suite_add_tcase(s, c);

    c = tcase_create("resize");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_resize__matches_pillow);
    tcase_add_test(c, test_resize__channels_do_not_mix);
    tcase_add_test(c, test_resize__a_constant_stays_and_the_same_size_is_a_copy);
    tcase_add_test(c, test_resize__a_part_equals_the_whole_cropped);
    tcase_add_test(c, test_resize__refuses_sizes_that_make_no_sense);
    suite_add_tcase(s, c);

    c = tcase_create("preprocess");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_preprocess__matches_torchvision_timm_and_transformers);
    tcase_add_test(c, test_place__says_where_the_input_lies);
    tcase_add_test(c, test_place__a_recipe_without_a_crop_needs_the_input_s_size);
    tcase_add_test(c, test_place__refuses_what_would_be_absurdly_large);
    suite_add_tcase(s, c);

    c = tcase_create("hostile");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_hostile__mutated_pictures_do_no_harm);
    tcase_add_test(c, test_hostile__memory_is_a_small_multiple_of_the_picture);
    tcase_add_test(c, test_hostile__any_allocation_may_fail);
    suite_add_tcase(s, c);
    return s;
}

VX_TEST_MAIN(image_suite)
