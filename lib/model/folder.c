/*
 * model/folder.c: see folder.h.
 *
 * Libraries look for names, and so does vitx; but a folder with one weight file of another name
 * leaves no doubt either.
 */
#include "model/folder.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/lora.h"

/* The names that libraries write, in the order in which they are taken. */
static const char *const names[] = {
    "model.safetensors",           "model.safetensors.index.json",
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
    "pytorch_model.bin",           "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin"};

/* The endings of weight files of any name, and those of PyTorch's own, which are read where there
 * is none of the former. */
static const char *const endings[] = {"safetensors", "npz"};
static const char *const pickles[] = {"bin", "pth", "pt", "ckpt", "tar", "pkl"};

/* How names begin of a model's parts alone: what peft trains, and what training keeps beside it. */
static const char *const parts[] = {
    "adapter_",  "optimizer",     "scheduler",         "scaler",        "training_args",
    "rng_state", "random_states", "custom_checkpoint", "dl_state_dict", "sampler"};

/* Weights of other programs, by the ending. */
static const struct {
    const char *ending, *what;
} others[] = {
    {"h5", "weights of Keras or TensorFlow"},
    {"keras", "a model of Keras"},
    {"msgpack", "weights of Flax"},
    {"onnx", "an ONNX model"},
    {"gguf", "GGUF weights (llama.cpp's)"},
    {"pb", "a model of TensorFlow"},
    {"tflite", "a model of TensorFlow Lite"},
    {"pt2", "a program of torch.export"},
    {"distcp", "a part of a distributed checkpoint of PyTorch, which "
               "torch.distributed.checkpoint.format_utils joins"},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

int vx_folder_file(char **out, vx_shelf shelf, const char *folder, const char *name,
                   const vitx_hooks *hooks)
{
    VX_TRY(vx_path_join(out, hooks, folder, name));
    if (vx_path_exists_in(shelf, *out))
        return VITX_OK;
    vx_release(hooks, *out);
    *out = NULL;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- contents ------ */

/* Names for a message: as many as there is room for. */
typedef struct names_list {
    char text[240];
    size_t at;
    int count;
} names_list;

static void add(names_list *l, const char *name)
{
    const size_t left = sizeof l->text - l->at;
    if (strlen(name) + 6 < left)
        l->at += (size_t)snprintf(l->text + l->at, left, "%s%.120s", l->count ? ", " : "", name);
    else if (l->at && l->text[l->at - 1] != '.' && left > 5)
        l->at += (size_t)snprintf(l->text + l->at, left, ", ...");
    l->count++;
}

typedef struct contents {
    const vitx_hooks *hooks;
    const char *path;
    names_list weights, pickles, folders, all;
    char other[80]; /* a file of another program, and what it is */
    const char *what;
    char *only[2]; /* the first of the weights and of the pickles, to be released */
    vx_shelf shelf;
    bool shards, cache, adapter;
} contents;

static bool ends_in(const char *name, const char *const *list, size_t count)
{
    const char *ending = vx_path_ending(name);
    for (size_t i = 0; ending && i < count; i++)
        if (vx_same_word(ending, list[i]))
            return true;
    return false;
}

static bool is_part(const char *name)
{
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strncmp(name, parts[i], strlen(parts[i])) == 0)
            return true;
    return strstr(name, "optim_states") != NULL; /* DeepSpeed's */
}

static void look_for_others(contents *c, const char *name)
{
    for (size_t i = 0; i < COUNT(others) && !c->what; i++)
        if (ends_in(name, &others[i].ending, 1)) {
            c->what = others[i].what;
            snprintf(c->other, sizeof c->other, "%s", name);
        }
}

static int look_for_folder(contents *c, const char *name)
{
    char *path;
    if (c->shelf.count || name[0] == '.')
        return VITX_OK;
    VX_TRY(vx_path_join(&path, c->hooks, c->path, name));
    if (vx_path_is_folder(path))
        add(&c->folders, name);
    vx_release(c->hooks, path);
    return VITX_OK;
}

static int look_at(const char *name, void *arg)
{
    contents *c = arg;
    add(&c->all, name);
    if (strcmp(name, "snapshots") == 0)
        c->cache = true;
    c->adapter = c->adapter || strncmp(name, "adapter_model.", 14) == 0;
    look_for_others(c, name);
    VX_TRY(look_for_folder(c, name));
    const bool pickle = ends_in(name, pickles, COUNT(pickles));
    if ((!pickle && !ends_in(name, endings, COUNT(endings))) || is_part(name))
        return VITX_OK;
    c->shards = c->shards || strstr(name, "-of-");
    if (!c->only[pickle])
        VX_TRY(vx_strdup(&c->only[pickle], c->hooks, name));
    add(pickle ? &c->pickles : &c->weights, name);
    return VITX_OK;
}

static int refuse(const contents *c, const char *path)
{
    const names_list *several = c->weights.count ? &c->weights : &c->pickles;
    if (several->count > 1)
        return vx_fail_in(VITX_IO, path, "holds %d weight files (%s)%s: say which of them is meant",
                          several->count, several->text,
                          c->shards ? ", perhaps the parts of one model, but not their .index.json"
                                    : "");
    if (c->adapter)
        return vx_lora_refuse_alone(c->shelf, path, c->hooks);
    if (c->cache)
        return vx_fail_in(VITX_IO, path,
                          "is the cache of a model hub: give one of the folders in its snapshots");
    if (c->what)
        return vx_fail_in(VITX_IO, path,
                          "holds no weights that vitx reads; %s is %s: save the weights as "
                          "safetensors",
                          c->other, c->what);
    return vx_fail_in(VITX_IO, path,
                      "holds no weights in a .safetensors, .npz, .pth, .pt, .bin or .ckpt file%s%s"
                      "%s%s",
                      c->all.count ? ", only: " : ": it is empty", c->all.text,
                      c->folders.count ? "; perhaps one of its folders does: " : "",
                      c->folders.text);
}

static int choose(char **weights, contents *c, vx_shelf shelf, const char *path)
{
    VX_TRY(vx_folder_names(shelf, path, look_at, c));
    const int pickle = c->weights.count == 0;
    if ((pickle ? c->pickles : c->weights).count == 1)
        return vx_path_join(weights, c->hooks, path, c->only[pickle]);
    return refuse(c, path);
}

/* The cache of a model hub, models--OWNER--NAME, has the files in snapshots/COMMIT. */
static int take_snapshot(const char *name, void *arg)
{
    contents *c = arg;
    if (!c->only[0])
        VX_TRY(vx_strdup(&c->only[0], c->hooks, name));
    add(&c->all, name);
    return VITX_OK;
}

/* *inner: the folder of its one snapshot; NULL for what is no cache, or has several. */
static int find_snapshot(char **inner, vx_shelf shelf, const char *path, const vitx_hooks *hooks)
{
    contents c = {.hooks = hooks};
    char *snapshots;
    *inner = NULL;
    VX_TRY(vx_path_join(&snapshots, hooks, path, "snapshots"));
    int status = VITX_OK;
    if (!shelf.count && vx_path_is_folder(snapshots))
        status = vx_folder_names(shelf, snapshots, take_snapshot, &c);
    if (status == VITX_OK && c.all.count == 1)
        status = vx_path_join(inner, hooks, snapshots, c.only[0]);
    vx_release(hooks, c.only[0]);
    vx_release(hooks, snapshots);
    return status;
}

static int locate_in(char **weights, char **folder, vx_shelf shelf, const char *path,
                     const vitx_hooks *hooks)
{
    VX_TRY(vx_strdup(folder, hooks, path));
    for (size_t i = 0; i < COUNT(names); i++) {
        VX_TRY(vx_folder_file(weights, shelf, path, names[i], hooks));
        if (*weights)
            return VITX_OK;
    }
    contents c = {.hooks = hooks, .shelf = shelf, .path = path};
    const int status = choose(weights, &c, shelf, path);
    vx_release(hooks, c.only[0]);
    vx_release(hooks, c.only[1]);
    return status;
}

int vx_folder_locate(char **weights, char **folder, vx_shelf shelf, const char *path,
                     const vitx_hooks *hooks)
{
    char *inner;
    if (!shelf.count && !vx_path_is_folder(path)) {
        VX_TRY(vx_strdup(weights, hooks, path));
        return vx_path_folder(folder, hooks, path);
    }
    VX_TRY(find_snapshot(&inner, shelf, path, hooks));
    const int status = locate_in(weights, folder, shelf, inner ? inner : path, hooks);
    vx_release(hooks, inner);
    return status;
}
