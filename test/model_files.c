/* model_files.c: see model_files.h. */
#define _GNU_SOURCE /* access, memmem */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "model_files.h"
#include "util.h"

const char *in_folder(const char *folder, const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *golden_model(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "models/%s", name);
    return golden_path(path);
}

weights_file load_weights(const char *path)
{
    size_t size;
    unsigned char *file = read_file(path, &size);
    uint64_t n;
    memcpy(&n, file, 8);
    weights_file w = {.header_size = n, .data_size = size - 8 - n};
    w.header = malloc(n + 1);
    w.data = malloc(w.data_size + 1);
    memcpy(w.header, file + 8, n);
    w.header[n] = '\0';
    memcpy(w.data, file + 8 + n, w.data_size);
    free(file);
    return w;
}

void save_weights(const char *path, const weights_file *w)
{
    const uint64_t n = w->header_size;
    const size_t size = 8 + w->header_size + w->data_size;
    char *file = malloc(size);
    memcpy(file, &n, 8);
    memcpy(file + 8, w->header, w->header_size);
    memcpy(file + 8 + w->header_size, w->data, w->data_size);
    write_file(path, file, size);
    free(file);
}

void free_weights_file(weights_file *w)
{
    free(w->header);
    free(w->data);
}

void edit(char **text, const char *find, const char *replace)
{
    char *at = strstr(*text, find);
    ck_assert_msg(at != NULL, "no %s in %.300s", find, *text);
    const size_t before = (size_t)(at - *text);
    char *out = malloc(strlen(*text) + strlen(replace) + 1);
    memcpy(out, *text, before);
    strcpy(out + before, replace);
    strcat(out, at + strlen(find));
    free(*text);
    *text = out;
}

void edit_header(weights_file *w, const char *find, const char *replace)
{
    edit(&w->header, find, replace);
    w->header_size = strlen(w->header);
}

char *copy_golden(const char *name)
{
    char *folder = make_folder();
    const char *files[] = {"model.safetensors",
                           "config.json",
                           "preprocessor_config.json",
                           "processor_config.json",
                           "open_clip_model.safetensors",
                           "open_clip_config.json",
                           "model.safetensors.index.json",
                           "model-00001-of-00004.safetensors",
                           "model-00002-of-00004.safetensors",
                           "model-00003-of-00004.safetensors",
                           "model-00004-of-00004.safetensors",
                           "weights.npz"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char from[512];
        snprintf(from, sizeof from, "%s/%s", golden_model(name), files[i]);
        size_t size;
        if (access(from, R_OK) != 0)
            continue;
        void *data = read_file(from, &size);
        write_file(in_folder(folder, files[i]), data, size);
        free(data);
    }
    return folder;
}

void write_text(const char *folder, const char *name, const char *text)
{
    write_file(in_folder(folder, name), text, strlen(text));
}

void edit_file(const char *folder, const char *name, const char *find, const char *replace)
{
    char *text = read_file(in_folder(folder, name), NULL);
    edit(&text, find, replace);
    write_text(folder, name, text);
    free(text);
}

void edit_weights(const char *folder, const char *find, const char *replace)
{
    weights_file w = load_weights(in_folder(folder, "model.safetensors"));
    edit_header(&w, find, replace);
    save_weights(in_folder(folder, "model.safetensors"), &w);
    free_weights_file(&w);
}

void try_open(const char *path, int code, const char *part)
{
    vitx_model *m = (vitx_model *)1;
    ck_fails(vitx_model_open(&m, path, NULL), code, part);
    ck_assert(m == NULL);
}

vitx_model *open_ok(const char *path)
{
    vitx_model *m = NULL;
    ck_ok(vitx_model_open(&m, path, NULL));
    return m;
}

vitx_model_info info_of(const char *path)
{
    static vitx_recipe recipes[8]; /* of the last calls */
    static unsigned calls;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_model *m = open_ok(path);
    ck_ok(vitx_model_get_info(&info, m));
    recipes[calls % 8] = *info.recipe;
    info.recipe = &recipes[calls++ % 8];
    info.architecture = ""; /* it went with the model */
    vitx_model_free(m);
    return info;
}

void replace_bytes(unsigned char *data, size_t size, const char *find, const char *replace)
{
    const size_t n = strlen(find);
    int count = 0;
    ck_assert_uint_eq(n, strlen(replace));
    for (unsigned char *at = data; (at = memmem(at, size - (size_t)(at - data), find, n)); count++)
        memcpy(at, replace, n);
    ck_assert_msg(count > 0, "no %s", find);
}
