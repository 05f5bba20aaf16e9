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
static const char *const parts[] = {"adapter_", "optimizer",     "scheduler",
                                    "scaler",   "training_args", "rng_state"};

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
    names_list weights, pickles, all;
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
    return false;
}

static int look_at(const char *name, void *arg)
{
    contents *c = arg;
    add(&c->all, name);
    if (strcmp(name, "snapshots") == 0)
        c->cache = true;
    c->adapter = c->adapter || strncmp(name, "adapter_model.", 14) == 0;
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
                          "is the cache of a model hub: give the folder in its snapshots");
    return vx_fail_in(VITX_IO, path,
                      "holds no weights in a .safetensors, .npz, .pth, .pt, .bin or .ckpt file%s%s",
                      c->all.count ? ", only: " : ": it is empty", c->all.text);
}

static int choose(char **weights, contents *c, vx_shelf shelf, const char *path)
{
    VX_TRY(vx_folder_names(shelf, path, look_at, c));
    const int pickle = c->weights.count == 0;
    if ((pickle ? c->pickles : c->weights).count == 1)
        return vx_path_join(weights, c->hooks, path, c->only[pickle]);
    return refuse(c, path);
}

int vx_folder_locate(char **weights, char **folder, vx_shelf shelf, const char *path,
                     const vitx_hooks *hooks)
{
    if (!shelf.count && !vx_path_is_folder(path)) {
        VX_TRY(vx_strdup(weights, hooks, path));
        return vx_path_folder(folder, hooks, path);
    }
    VX_TRY(vx_strdup(folder, hooks, path));
    for (size_t i = 0; i < COUNT(names); i++) {
        VX_TRY(vx_folder_file(weights, shelf, path, names[i], hooks));
        if (*weights)
            return VITX_OK;
    }
    contents c = {.hooks = hooks, .shelf = shelf};
    const int status = choose(weights, &c, shelf, path);
    vx_release(hooks, c.only[0]);
    vx_release(hooks, c.only[1]);
    return status;
}
