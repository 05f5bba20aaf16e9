/*
 * test_memory_files.c: a model whose files are in memory is the model on the disk.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { MOST = 16 };

/* The files of a folder of golden models, each in memory of its own size. */
typedef struct shelf {
    vitx_memory_file files[MOST];
    int count;
} shelf;

static shelf load(const char *folder)
{
    shelf s = {.count = 0};
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        size_t bytes;
        if (e->d_name[0] == '.' || strstr(e->d_name, ".npy"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        char *text = read_file(path, &bytes), *exact = malloc(bytes + 1);
        memcpy(exact, text, bytes);
        free(text);
        ck_assert_int_lt(s.count, MOST);
        s.files[s.count++] = (vitx_memory_file){strdup(e->d_name), exact, bytes};
    }
    closedir(dir);
    return s;
}

static void unload(shelf *s)
{
    for (int i = 0; i < s->count; i++) {
        free((void *)(uintptr_t)s->files[i].name);
        free((void *)(uintptr_t)s->files[i].data);
    }
}

static vitx_memory_file *file_of(shelf *s, const char *name)
{
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->files[i].name, name) == 0)
            return &s->files[i];
    return NULL;
}

static int open_shelf(vitx_model **out, const shelf *s)
{
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    opts.files = s->files;
    opts.file_count = s->count;
    return vitx_model_open(out, "in memory", &opts);
}

static void run(float *logits, int most, vitx_model *model)
{
    vitx_context *c;
    vitx_image *image;
    vitx_view view;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    opts.threads = 1;
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    ck_ok(vitx_context_create(&c, model, &opts));
    const vitx_image *const images[] = {image};
    ck_ok(vitx_forward(c, images, 1));
    ck_ok(vitx_logits(&view, c));
    ck_assert_int_le(view.shape[1], most);
    memcpy(logits, view.data, (size_t)view.shape[1] * sizeof(float));
    vitx_context_free(c);
    vitx_image_free(image);
}

static const char *const folders[] = {"vit-timm",       "vit-hf-sharded", "vit-npz",
                                      "clip-open-clip", "deit-hf",        "dinov2-meta-bare"};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

START_TEST(test_memory__gives_what_the_disk_gives)
{
    char path[256], from_disk[VITX_DIGEST_TEXT], from_memory[VITX_DIGEST_TEXT];
    float expected[64] = {0}, found[64] = {0};
    vitx_model *disk, *memory;
    snprintf(path, sizeof path, "test/golden/models/%s", folders[_i]);
    shelf s = load(path);
    ck_ok(vitx_model_open(&disk, path, NULL));
    shelf *array = malloc(sizeof *array); /* it may go after the call */
    *array = s;
    ck_ok(open_shelf(&memory, array));
    free(array);
    run(expected, 64, disk);
    run(found, 64, memory);
    ck_assert_mem_eq(found, expected, sizeof found);
    ck_ok(vitx_model_digest(from_disk, disk));
    ck_ok(vitx_model_digest(from_memory, memory));
    ck_assert_str_eq(from_memory, from_disk);
    for (int k = 0; k < 5; k++) {
        const char *a = vitx_model_label(disk, k), *b = vitx_model_label(memory, k);
        ck_assert(a == b || (a && b && strcmp(a, b) == 0));
    }
    vitx_model_free(disk);
    vitx_model_free(memory);
    unload(&s);
}
END_TEST

/* A text tower's files are handed over again; all but the weights may go after the call. */
static vitx_texts *open_texts(vitx_model *model, const shelf *s)
{
    vitx_texts *texts;
    vitx_texts_opts opts = VITX_TEXTS_OPTS_INIT;
    shelf *copy = malloc(sizeof *copy);
    *copy = *s;
    for (int i = 0; i < s->count; i++)
        if (!strstr(s->files[i].name, ".safetensors")) {
            void *data = malloc(s->files[i].bytes);
            memcpy(data, s->files[i].data, s->files[i].bytes);
            copy->files[i].data = data;
        }
    opts.files = copy->files;
    opts.file_count = copy->count;
    ck_ok(vitx_texts_create(&texts, model, &opts));
    for (int i = 0; i < s->count; i++)
        if (copy->files[i].data != s->files[i].data)
            free((void *)(uintptr_t)copy->files[i].data);
    free(copy);
    return texts;
}

static const struct {
    const char *folder, *tokenizer;
} towers[] = {
    {"clip", "tokenizer.json"}, {"chinese-clip", "vocab.txt"}, {"siglip", "spiece.model"}};

START_TEST(test_memory__texts_are_those_of_the_disk)
{
    static const char *const list[] = {"a photo of a cat", "一只狗"};
    char path[256];
    float expected[2 * 64], found[2 * 64];
    vitx_texts_info info = VITX_TEXTS_INFO_INIT;
    vitx_texts_opts opts = VITX_TEXTS_OPTS_INIT;
    vitx_model *disk, *memory;
    vitx_texts *of_disk, *of_memory;
    snprintf(path, sizeof path, "test/golden/words/%s", towers[_i].folder);
    shelf s = load(path);
    ck_ok(vitx_model_open(&disk, path, NULL));
    ck_ok(open_shelf(&memory, &s));
    ck_ok(vitx_texts_create(&of_disk, disk, NULL));
    of_memory = open_texts(memory, &s);
    ck_ok(vitx_texts_get_info(&info, of_disk));
    ck_assert_int_le(info.units, 64);
    ck_ok(vitx_texts_embed(expected, of_disk, list, 2, 1));
    ck_ok(vitx_texts_embed(found, of_memory, list, 2, 1));
    ck_assert_mem_eq(found, expected, 2 * (size_t)info.units * sizeof *found);
    vitx_texts_free(of_memory);
    ck_fails(vitx_texts_create(&of_memory, memory, NULL), VITX_INVALID,
             "was opened from files in memory");
    opts.file_count = 1;
    ck_fails(vitx_texts_create(&of_memory, memory, &opts), VITX_INVALID, "from files in memory");
    opts.path = path; /* of the disk, whatever the model is */
    opts.file_count = 0;
    ck_ok(vitx_texts_create(&of_memory, memory, &opts));
    vitx_texts_free(of_memory);
    opts.files = s.files;
    ck_fails(vitx_texts_create(&of_memory, memory, &opts), VITX_INVALID, "file_count = 0");
    opts.file_count = 1; /* what is missing is not looked for on the disk */
    opts.files = file_of(&s, "model.safetensors");
    ck_fails(vitx_texts_create(&of_memory, disk, &opts), VITX_UNSUPPORTED, "no config.json");
    opts.files = s.files;
    opts.file_count = s.count;
    vitx_memory_file *tokenizer = file_of(&s, towers[_i].tokenizer);
    const char *name = tokenizer->name;
    tokenizer->name = "other";
    ck_fails(vitx_texts_create(&of_memory, disk, &opts), VITX_IO, "no tokenizer lies there");
    tokenizer->name = name;
    vitx_texts_free(of_disk);
    vitx_model_free(disk);
    vitx_model_free(memory);
    unload(&s);
}
END_TEST

START_TEST(test_memory__what_is_refused)
{
    vitx_model *model;
    shelf s = load("test/golden/models/vit-timm");
    vitx_memory_file *weights = file_of(&s, "model.safetensors");
    ck_assert_ptr_nonnull(weights);
    const size_t bytes = weights->bytes;
    for (size_t less = 0; less < bytes; less += bytes / 7 + 1) {
        weights->bytes = less;
        ck_assert_int_ne(open_shelf(&model, &s), VITX_OK);
        ck_assert_ptr_null(model);
        ck_assert_ptr_nonnull(strstr(vitx_last_error(), "in memory/model.safetensors"));
    }
    weights->bytes = bytes;
    const char *name = weights->name;
    weights->name = "other.safetensors"; /* the only one */
    ck_ok(open_shelf(&model, &s));
    vitx_model_free(model);
    weights->name = "other.bin";
    ck_ok(open_shelf(&model, &s)); /* its first bytes say what it is */
    vitx_model_free(model);
    weights->name = "other.txt";
    ck_fails(open_shelf(&model, &s), VITX_IO, "holds no weights");
    weights->name = "a/b";
    ck_fails(open_shelf(&model, &s), VITX_INVALID, "in memory has no data, or no name");
    weights->name = name;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    opts.file_count = 2;
    ck_fails(vitx_model_open(&model, "x", &opts), VITX_INVALID, "files is NULL");
    opts.files = s.files;
    opts.file_count = 0;
    ck_fails(vitx_model_open(&model, "x", &opts), VITX_INVALID, "file_count = 0");
    opts.file_count = s.count;
    opts.language = "zh";
    ck_fails(vitx_model_open(&model, "x", &opts), VITX_IO, "there is no labels.zh.txt");
    unload(&s);

    s = load("test/golden/models/vit-hf-sharded");
    for (int i = 0; i < s.count; i++) /* a shard is missing */
        if (strstr(s.files[i].name, "-00002-")) {
            const vitx_memory_file gone = s.files[i];
            s.files[i] = s.files[s.count - 1];
            s.files[s.count - 1] = gone;
        }
    s.count--;
    ck_fails(open_shelf(&model, &s), VITX_IO, "is not among the files in memory");
    s.count++;
    unload(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("memory files");
    TCase *t = tcase_create("memory files");
    tcase_add_loop_test(t, test_memory__gives_what_the_disk_gives, 0, FOLDERS);
    tcase_add_loop_test(t, test_memory__texts_are_those_of_the_disk, 0, 3);
    tcase_add_test(t, test_memory__what_is_refused);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
