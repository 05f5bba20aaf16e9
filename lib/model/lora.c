/* model/lora.c: see lora.h. */
#include "model/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/spelling.h"

#define CONFIG "adapter_config.json"
#define MAX_CONFIG ((size_t)1 << 20)
#define MAX_RANK 4096
#define PEFT "base_model.model." /* before all names of an adapter */

/* -------------------------------------------------------------------------- keys ---------- */

static bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* What peft puts into names: base_layer.; modules_to_save.NAME.; lora_A.NAME.weight, of which the
 * adapter's NAME goes ("default"), as it does in adapter_model.safetensors. */
static bool plain_key(char *key, size_t size, const vx_tensor *t, void *arg)
{
    size_t at = 0;
    bool changed = false;
    (void)arg;
    for (const char *p = t->key; *p && at + 1 < size;) {
        const bool start = p == t->key || p[-1] == '.';
        const char *dot = NULL;
        if (start && begins(p, "base_layer.")) {
            p += strlen("base_layer.");
            changed = true;
        } else if (start && begins(p, "modules_to_save.") &&
                   (dot = strchr(p + strlen("modules_to_save."), '.'))) {
            p = dot + 1;
            changed = true;
        } else if (start && (begins(p, "lora_A.") || begins(p, "lora_B.")) &&
                   strcmp(p + 7, "weight") != 0 && (dot = strchr(p + 7, '.'))) {
            for (int i = 0; i < 7 && at + 1 < size; i++)
                key[at++] = p[i];
            p = dot + 1;
            changed = true;
        } else {
            key[at++] = *p++;
        }
    }
    key[at] = '\0';
    return changed && at + 1 < size;
}

static bool is_replaced(const vx_tensor *t, void *arg)
{
    (void)arg;
    return strstr(t->key, ".original_module.") != NULL;
}

static bool is_factor(const vx_tensor *t)
{
    return strstr(t->key, ".lora_A.") || strstr(t->key, ".lora_B.");
}

static bool goes(const vx_tensor *t, void *arg)
{
    (void)arg;
    return is_factor(t);
}

/* -------------------------------------------------------------------------- the file ------ */

static bool is_of(const vx_tensor *t, void *arg)
{
    const vx_container *adapter = arg;
    return !is_factor(t) && vx_container_find(adapter, t->key);
}

static bool without_peft(char *key, size_t size, const vx_tensor *t, void *arg)
{
    (void)arg;
    return begins(t->key, PEFT) && snprintf(key, size, "%s", t->key + strlen(PEFT)) < (int)size;
}

/* The adapter's tensors and its file become the container's. */
static int take_over(vx_container *c, vx_container *adapter)
{
    size_t bytes = 0;
    vx_file **files;
    if (adapter->npz || adapter->file_count != 1)
        return vx_fail_in(VITX_UNSUPPORTED, adapter->path,
                          "save this adapter as safetensors, with peft's save_pretrained");
    VX_TRY(vx_container_rename(adapter, without_peft, NULL));
    VX_TRY(vx_container_rename(adapter, plain_key, NULL));
    vx_container_drop(c, is_of, adapter); /* modules_to_save take their place */
    for (int i = 0; i < adapter->count; i++)
        bytes += strlen(adapter->tensors[i].key) + 1;
    VX_TRY(vx_container_grow(c, adapter->count, bytes));
    VX_TRY(
        vx_new(&files, &c->hooks, (size_t)c->file_count + 1, sizeof(vx_file *), "a list of files"));
    memcpy(files, c->files, (size_t)c->file_count * sizeof(vx_file *));
    vx_release(&c->hooks, c->files);
    c->files = files;
    c->files[c->file_count++] = adapter->files[0];
    adapter->file_count = 0;
    for (int i = 0; i < adapter->count; i++) {
        vx_tensor *t = &c->tensors[c->count++];
        const char *key = adapter->tensors[i].key;
        *t = adapter->tensors[i];
        t->name = t->key = vx_container_keep(c, key, strlen(key));
    }
    return vx_container_sort(c);
}

static int open_one(vx_container *c, vx_shelf shelf, const char *folder, const char *name)
{
    char *path = NULL;
    vx_container *adapter = NULL;
    VX_TRY(vx_path_join(&path, &c->hooks, folder, name));
    int status = VITX_OK;
    if (strcmp(path, c->path) != 0 && vx_path_exists_in(shelf, path)) {
        status = vx_safetensors_open(&adapter, shelf, path, NULL, &c->hooks);
        if (status == VITX_OK)
            status = take_over(c, adapter);
        vx_container_close(adapter);
    }
    vx_release(&c->hooks, path);
    return status;
}

int vx_lora_open(vx_container *c, vx_shelf shelf, const char *folder)
{
    VX_TRY(open_one(c, shelf, folder, "adapter_model.safetensors"));
    return open_one(c, shelf, folder, "adapter_model.bin");
}

/* -------------------------------------------------------------------------- the config ---- */

static int load_config(vx_json **out, char **path, vx_shelf shelf, const char *folder,
                       const vitx_hooks *hooks)
{
    char *text = NULL;
    size_t bytes;
    VX_TRY(vx_path_join(path, hooks, folder, CONFIG));
    if (!vx_path_exists_in(shelf, *path))
        return VITX_OK;
    VX_TRY(vx_file_load_in(&text, &bytes, shelf, *path, MAX_CONFIG, hooks));
    const int status = vx_json_parse(out, text, bytes, *path, bytes / 2 + 64);
    vx_release(hooks, text);
    return status;
}

static int refuse_alone(const char *path, const vx_json *config)
{
    const char *base = vx_json_string(vx_json_get(config, "base_model_name_or_path"));
    return vx_fail_in(VITX_IO, path,
                      "holds an adapter alone: its base model%s%.100s is missing; put that model's "
                      "files into the same folder",
                      base && base[0] ? " " : "", base ? base : "");
}

int vx_lora_refuse_alone(vx_shelf shelf, const char *folder, const vitx_hooks *hooks)
{
    vx_json *config = NULL;
    char *path = NULL;
    int status = load_config(&config, &path, shelf, folder, hooks);
    if (status == VITX_OK)
        status = refuse_alone(folder, config);
    vx_json_free(config);
    vx_release(hooks, path);
    return status;
}

typedef struct settings {
    double alpha;
    bool root; /* use_rslora */
} settings;

/* Settings that change what is computed in another way are refused. */
static int read_settings(settings *out, const vx_json *c, const char *path)
{
    static const char *const flags[] = {"use_dora", "fan_in_fan_out", "use_qalora", "use_bdlora",
                                        "lora_bias"};
    const char *type = NULL, *start = vx_json_string(vx_json_get(c, "init_lora_weights"));
    const vx_json *pattern = vx_json_get(c, "alpha_pattern"),
                  *replication = vx_json_get(c, "layer_replication");
    bool found = false;
    VX_TRY(vx_config_string(&type, NULL, c, "peft_type", path));
    if (type && strcmp(type, "LORA") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path, "peft_type %.40s is not LORA", type);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set = false;
        VX_TRY(vx_config_bool(&set, NULL, c, flags[i], path));
        if (set)
            return vx_fail_in(VITX_UNSUPPORTED, path, "%s is not supported", flags[i]);
    }
    if (start && strcmp(start, "gaussian") != 0 && strcmp(start, "orthogonal") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "init_lora_weights %.40s changes the base model: merge the adapter with "
                          "peft",
                          start);
    if (pattern && !vx_json_is_null(pattern) && vx_json_size(pattern) > 0)
        return vx_fail_in(VITX_UNSUPPORTED, path, "an alpha_pattern is not supported");
    if (replication && !vx_json_is_null(replication))
        return vx_fail_in(VITX_UNSUPPORTED, path, "layer_replication is not supported");
    VX_TRY(vx_config_bool(&out->root, NULL, c, "use_rslora", path));
    VX_TRY(vx_config_number(&out->alpha, &found, c, "lora_alpha", 0, 1e6, path));
    return found ? VITX_OK : vx_fail_in(VITX_FORMAT, path, "has no lora_alpha");
}

/* -------------------------------------------------------------------------- factors ------- */

/* The tensor whose key is the factor's with another end. */
static vx_tensor *partner(const vx_container *c, const vx_tensor *a, const char *end)
{
    char key[400];
    const int stem = (int)(strstr(a->key, ".lora_A.") - a->key);
    if (snprintf(key, sizeof key, "%.*s%s", stem, a->key, end) >= (int)sizeof key)
        return NULL;
    const vx_tensor *found = vx_container_find(c, key);
    return found ? &c->tensors[found - c->tensors] : NULL;
}

static bool fit(const vx_tensor *w, const vx_tensor *a, const vx_tensor *b)
{
    return w->rank == 2 && a->rank == 2 && b->rank == 2 && !w->axes && !w->lora &&
           w->dtype != VX_DTYPE_OTHER && a->dtype != VX_DTYPE_OTHER && b->dtype != VX_DTYPE_OTHER &&
           a->shape[0] >= 1 && a->shape[0] <= MAX_RANK && a->shape[0] == b->shape[1] &&
           a->shape[1] == w->shape[1] && b->shape[0] == w->shape[0];
}

static int attach(vx_container *c, const vx_tensor *a, const settings *s)
{
    vx_tensor *w = partner(c, a, ".weight");
    const vx_tensor *b = partner(c, a, ".lora_B.weight");
    if (!w)
        return vx_fail_in(VITX_FORMAT, c->path,
                          "has no matrix for the adapter's tensor %.100s: the adapter was made for "
                          "another model",
                          a->name);
    if (!b || !fit(w, a, b))
        return vx_fail_in(VITX_FORMAT, c->path,
                          "tensor %.100s and its lora_B do not fit matrix %.100s", a->name,
                          w->name);
    vx_lora *lora = &c->loras[c->lora_count++];
    const double rank = (double)a->shape[0];
    *lora = (vx_lora){*a, *b, s->alpha / (s->root ? sqrt(rank) : rank)};
    lora->a.name = "lora_A.weight"; /* names of the container may move */
    lora->b.name = "lora_B.weight";
    w->lora = lora;
    return VITX_OK;
}

static int attach_all(vx_container *c, const settings *s, int count)
{
    VX_TRY(vx_new(&c->loras, &c->hooks, (size_t)count, sizeof *c->loras, "a list of adapters"));
    for (int i = 0; i < c->count; i++)
        if (strstr(c->tensors[i].key, ".lora_A."))
            VX_TRY(attach(c, &c->tensors[i], s));
    snprintf(c->adapter, sizeof c->adapter, "LoRA of rank %lld, scale %g, on %d matrices",
             (long long)c->loras[0].a.shape[0], c->loras[0].scale, c->lora_count);
    vx_container_drop(c, goes, NULL);
    return VITX_OK;
}

int vx_lora_attach(vx_container *c, vx_shelf shelf, const char *folder)
{
    int factors = 0, others = 0;
    settings s = {.root = false};
    vx_json *config = NULL;
    char *path = NULL;
    for (int i = 0; i < c->count; i++) {
        factors += strstr(c->tensors[i].key, ".lora_A.") != NULL;
        others += !is_factor(&c->tensors[i]);
    }
    if (factors == 0)
        return VITX_OK;
    vx_container_drop(c, is_replaced, NULL);
    VX_TRY(vx_container_rename(c, plain_key, NULL));
    VX_TRY(vx_spelling_take(c));
    int status = load_config(&config, &path, shelf, folder, &c->hooks);
    if (status == VITX_OK && others < factors) /* a head at most */
        status = refuse_alone(c->path, config);
    if (status == VITX_OK && !config)
        status =
            vx_fail_in(VITX_UNSUPPORTED, c->path,
                       "has an adapter (LoRA), but no " CONFIG " beside it says its lora_alpha");
    if (status == VITX_OK)
        status = read_settings(&s, config, path);
    if (status == VITX_OK)
        status = attach_all(c, &s, factors);
    vx_json_free(config);
    vx_release(&c->hooks, path);
    return status;
}

/* -------------------------------------------------------------------------- values -------- */

int vx_lora_add(const vx_lora *lora, float *dst, uint64_t first, uint64_t count)
{
    const uint64_t rank = (uint64_t)lora->a.shape[0], columns = (uint64_t)lora->a.shape[1];
    const vitx_hooks *hooks = &lora->a.file->hooks;
    float *a = NULL, row[MAX_RANK];
    VX_TRY(vx_new(&a, hooks, (size_t)lora->a.count, sizeof *a, "an adapter's factor"));
    int status = vx_tensor_read_f32(&lora->a, a, 0, lora->a.count);
    for (uint64_t at = 0; at < count && status == VITX_OK;) {
        const uint64_t r = (first + at) / columns, begin = (first + at) % columns;
        const uint64_t left = columns - begin, n = count - at < left ? count - at : left;
        status = vx_tensor_read_f32(&lora->b, row, r * rank, rank);
        for (uint64_t j = 0; j < n && status == VITX_OK; j++) {
            double sum = 0;
            for (uint64_t k = 0; k < rank; k++)
                sum += (double)row[k] * (double)a[k * columns + begin + j];
            dst[at + j] += (float)(lora->scale * sum);
        }
        at += n;
    }
    vx_release(hooks, a);
    return status;
}
