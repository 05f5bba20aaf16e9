/* test/fuzz/fuzz.c: see fuzz.h. */
#define _GNU_SOURCE /* mkdtemp */
#include "fuzz.h"

#include <stdbool.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

#define MEMORY ((size_t)256 << 20)
#define SMALL_FLOPS 2000000
#define SMALL_SIDE 256

long fuzz_accepted;

static size_t taken;
static long alive;

static void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s (%s)\n", what, vitx_last_error());
    abort();
}

/* -------------------------------------------------------------------------- memory -------- */

#define HEAD 16 /* before each block: its size; keeps the alignment of malloc */

static void *take(size_t bytes, void *payload)
{
    (void)payload;
    if (bytes > MEMORY - taken)
        return NULL;
    char *block = malloc(HEAD + bytes);
    if (!block)
        return NULL;
    memcpy(block, &bytes, sizeof bytes);
    taken += bytes;
    alive++;
    return block + HEAD;
}

static void give_back(void *memory, void *payload)
{
    (void)payload;
    size_t bytes;
    if (!memory)
        return;
    char *block = (char *)memory - HEAD;
    memcpy(&bytes, block, sizeof bytes);
    taken -= bytes;
    alive--;
    free(block);
}

const vitx_hooks *fuzz_hooks(void)
{
    static vitx_hooks hooks = VITX_HOOKS_INIT;
    hooks.alloc = take;
    hooks.release = give_back;
    return &hooks;
}

void fuzz_nothing_left(void)
{
    require(alive == 0 && taken == 0, "memory was not given back");
}

void fuzz_check_message(int status)
{
    const char *message = vitx_last_error();
    require(status == VITX_OK || (message[0] && !strchr(message, '\n')),
            "a failure without a message of one line");
    require(status != VITX_INVALID, "a hostile file is not the caller's mistake");
}

/* -------------------------------------------------------------------------- files --------- */

static char folder[64];

static void remove_folder(void)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};
    for (int i = 0; i < 2 && !folder[0]; i++) {
        snprintf(folder, sizeof folder, "%s/vitx-fuzz-XXXXXX", places[i]);
        if (!mkdtemp(folder))
            folder[0] = '\0';
        else
            atexit(remove_folder);
    }
    require(folder[0] != '\0', "no temporary folder");
    return folder;
}

const char *fuzz_write(const char *name, const void *data, size_t size)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size, "a file cannot be written");
    close(fd);
    return path;
}

/* -------------------------------------------------------------------------- models -------- */

static void run(vitx_model *model, const vitx_model_info *info)
{
    static const uint8_t rgb[5 * 7 * 3] = {255, 0, 9, 200, 130};
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *context;
    vitx_image *image;
    vitx_view logits;
    o.device = "ref";
    o.threads = 1;
    int status = vitx_context_create(&context, model, &o);
    fuzz_check_message(status);
    if (status != VITX_OK)
        return;
    const vitx_recipe *r = info->recipe;
    const int small = info->flops < SMALL_FLOPS && r->resize_height <= SMALL_SIDE &&
                      r->resize_width <= SMALL_SIDE && r->input_height <= SMALL_SIDE &&
                      r->input_width <= SMALL_SIDE;
    if (small && vitx_image_from_rgb(&image, rgb, 7, 5, 0, NULL) == VITX_OK) {
        status = vitx_forward(context, (const vitx_image *const[]){image}, 1);
        fuzz_check_message(status);
        if (status == VITX_OK)
            require(vitx_logits(&logits, context) == VITX_OK, "no logits after a forward pass");
        fuzz_accepted += status == VITX_OK;
        vitx_image_free(image);
    }
    vitx_context_free(context);
}

/* Names of classes are refused, as the caller's mistake, if the files are those of an embedding:
 * a configuration can say so ("num_classes": 0). Then the model is opened without names. */
static int open_model(vitx_model **out, const char *path, vitx_model_opts *o)
{
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    int status = vitx_model_open(out, path, o);
    if (status != VITX_INVALID || !o->labels)
        return status;
    o->labels = NULL;
    status = vitx_model_open(out, path, o);
    require(status != VITX_OK || (vitx_model_get_info(&info, *out) == VITX_OK && info.units),
            "names of classes refused by a model that has classes");
    return status;
}

/* The text tower in the same files: its tables' first and last rows, its weights if they are
 * small. */
static void fuzz_text(const char *path)
{
    static float row[1 << 16];
    vx_text_model *m = NULL;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    const vx_weights *w;
    int length;
    o.hooks = fuzz_hooks();
    const int status = vx_text_open(&m, path, &o);
    fuzz_check_message(status);
    require((status == VITX_OK) == (m != NULL), "a status that does not fit the text tower");
    if (m) {
        const int last = m->arch.vocabulary - 1, context = m->text.context;
        const vx_token tokens[2] = {{.id = last}, {.id = m->text.end}};
        require(m->arch.depth >= 1 && m->arch.heads >= 1 && last >= 0 && context >= 1 &&
                    m->arch.width % m->arch.heads == 0 && m->arch.width <= 1 << 16 &&
                    m->arch.grid_width == context && m->text.scale > 0,
                "a text tower of impossible sizes");
        fuzz_check_message(vx_text_row(row, m, 0, 0));
        fuzz_check_message(vx_text_row(row, m, last, context - 1));
        require(vx_text_row(row, m, last + 1, 0) != VITX_OK, "a row beyond the table");
        require(vx_text_length(&length, m, tokens, 2) != VITX_OK ||
                    (length >= 1 && length <= context),
                "a text of an impossible length");
        if (vx_arch_flops(&m->arch) < SMALL_FLOPS)
            fuzz_check_message(
                vx_model_weights(&w, m, &(vx_site){.cls = vx_device_find("ref")}, "f32"));
        fuzz_accepted++;
    }
    vitx_model_free(m);
    fuzz_nothing_left();
}

void fuzz_model(const char *path, const char *labels)
{
    vitx_model *model = NULL;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    int index;
    o.hooks = fuzz_hooks();
    o.labels = labels;
    const int status = open_model(&model, path, &o);
    fuzz_check_message(status);
    require((status == VITX_OK) == (model != NULL), "a status that does not fit the model");
    if (model) {
        require(vitx_model_get_info(&info, model) == VITX_OK,
                "a model that cannot tell what it is");
        require(info.depth >= 1 && info.heads >= 1 && info.width % info.heads == 0 &&
                    info.tokens >= 1 && info.classes >= 1 && info.recipe->input_height >= 1 &&
                    info.recipe->std[0] > 0,
                "a model of impossible sizes");
        for (int i = 0; i < info.classes && i < 16; i++) {
            const char *label = vitx_model_label(model, i);
            require(!label || label[0], "an empty class name");
            if (label)
                (void)vitx_model_find_label(&index, model, label);
        }
        run(model, &info);
    }
    vitx_model_free(model);
    fuzz_nothing_left();
    fuzz_text(path);
}

/* ------------------------------------------------------------------ pictures -------------- */

static volatile uint8_t pixels_seen; /* of all pixels: every one is there */

static void open_picture(const uint8_t *data, size_t size, bool otherwise)
{
    vitx_image *image = NULL;
    vitx_image_opts o = VITX_IMAGE_OPTS_INIT;
    o.hooks = fuzz_hooks();
    o.max_pixels = 1 << 20;
    if (otherwise) {
        o.allow_truncated = 1;
        o.window_low = -100;
        o.window_high = 1000;
        o.page = 2 - size % 2;
    }
    const int status = vitx_image_open_memory(&image, data, size, NULL, &o);
    fuzz_check_message(status);
    if (status == VITX_OK) {
        const size_t bytes = (size_t)vitx_image_width(image) * (size_t)vitx_image_height(image) * 3;
        const uint8_t *pixels = vitx_image_pixels(image);
        for (size_t i = 0; i < bytes; i++)
            pixels_seen ^= pixels[i];
        fuzz_accepted++;
    }
    vitx_image_free(image);
    fuzz_nothing_left();
}

void fuzz_picture(const uint8_t *data, size_t size)
{
    open_picture(data, size, false);
    open_picture(data, size, true);
}
