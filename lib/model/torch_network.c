/*
 * model/torch_network.c: which tensors among all that was saved are the network.
 *
 * People save more than weights. A dictionary of texts and tensors with names of a network is a
 * candidate wherever it stands, and so is a whole module, of which its dictionaries of parameters
 * are read. If there are several the caller says which.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/npz.h"
#include "model/torch_parts.h"

#define MAX_DEPTH 6                   /* of dictionaries in dictionaries */
#define MAX_MODULE_DEPTH 32           /* of modules in modules */
#define MAX_STATE 512                 /* members of a module's object: keys and values */
#define MAX_STEPS ((uint64_t)1 << 26) /* values looked at: several may hold the same ones */
/* A dictionary with fewer is no network: a loss, an optimizer's moments. One of several shards may
 * have none. */
#define MIN_MATRICES 4

/* -------------------------------------------------------------------------- modules ------- */

/* Whether a value is an object of a class in that module. */
static bool lies_in(const vx_py *v, const char *module)
{
    const vx_py *class = v && v->kind == VX_PY_OBJECT ? v->made[0] : NULL;
    const size_t n = strlen(module);
    return class && class->kind == VX_PY_GLOBAL && class->items[0]->count >= n &&
           memcmp(class->items[0]->text, module, n) == 0;
}

/* What a whole module holds: NULL if the value is none. */
static const vx_py *module_state(const vx_py *v)
{
    const vx_py *state = v && v->kind == VX_PY_OBJECT ? v->made[2] : NULL;
    if (lies_in(v, "torch.fx.graph_module"))
        state = vx_py_item(v->made[1], 0); /* (what it holds, the code, ..) */
    if (state && state->count > MAX_STATE)
        return NULL;
    return vx_torch_get(state, "_modules") && vx_torch_get(state, "_parameters") ? state : NULL;
}

/* The same of a module of TorchScript: parameters, buffers and modules by their names. */
static const vx_py *script_state(const vx_py *v)
{
    const vx_py *state = lies_in(v, "__torch__") ? v->made[2] : NULL;
    return state && state->kind == VX_PY_DICT && state->count <= MAX_STATE ? state : NULL;
}

/* Writes prefix + key to a->name, whose first `length` bytes are the prefix. */
static int set_name(vx_torch *a, size_t length, const vx_py *key)
{
    if (key->count >= sizeof a->name - length || memchr(key->text, '\0', key->count) ||
        !vx_utf8_valid(key->text, key->count))
        return vx_fail_in(VITX_FORMAT, a->file->path, "a name of %u bytes after %.100s is no text",
                          key->count, a->name);
    memcpy(a->name + length, key->text, key->count);
    a->name[length + key->count] = '\0';
    return VITX_OK;
}

static int count_steps(vx_torch *a, uint64_t steps)
{
    a->steps += steps;
    return a->steps <= MAX_STEPS ? VITX_OK
                                 : vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                                              "its pickle names the same values too often");
}

/* The tensors of a dictionary; the first `length` bytes of a->name go before the names. `without`:
 * names of buffers that a state_dict leaves out, or NULL. */
static int list_dictionary(vx_torch *a, const vx_py *dict, size_t length, const vx_py *without)
{
    vx_py *const *items;
    const uint32_t n = vx_torch_pairs(&items, dict);
    VX_TRY(count_steps(a, (uint64_t)n * (1 + (without ? without->count : 0))));
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const vx_torch_call made = vx_torch_tensor(items[i + 1]);
        bool left_out = items[i]->kind != VX_PY_TEXT || !made.arguments;
        const vx_py *other;
        for (uint32_t k = 0; !left_out && (other = vx_py_item(without, k)) != NULL; k++)
            left_out = other->kind == VX_PY_TEXT && other->count == items[i]->count &&
                       memcmp(other->text, items[i]->text, items[i]->count) == 0;
        if (left_out)
            continue;
        VX_TRY(set_name(a, length, items[i]));
        VX_TRY(vx_torch_add_tensor(a, made));
    }
    return VITX_OK;
}

static int list_module(vx_torch *a, const vx_py *v, size_t length, int depth);

/* The modules among the values of a dictionary. */
static int list_inner(vx_torch *a, const vx_py *modules, size_t length, int depth)
{
    vx_py *const *items;
    const uint32_t n = vx_torch_pairs(&items, modules);
    VX_TRY(count_steps(a, (uint64_t)n * MAX_STATE));
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const vx_py *inner = items[i + 1];
        if (lies_in(inner, "torch.ao.nn.quantized") || lies_in(inner, "torch.nn.quantized"))
            a->instead = "quantized";
        if (items[i]->kind != VX_PY_TEXT || (!module_state(inner) && !script_state(inner)))
            continue;
        VX_TRY(set_name(a, length, items[i]));
        const size_t longer = length + items[i]->count;
        if (longer + 1 >= sizeof a->name)
            return vx_fail_in(VITX_FORMAT, a->file->path, "a name longer than %zu bytes",
                              sizeof a->name);
        a->name[longer] = '.';
        VX_TRY(list_module(a, inner, longer + 1, depth + 1));
    }
    return VITX_OK;
}

/* A set: a list, or in old protocols set([..]). */
static const vx_py *set_of(const vx_py *v)
{
    return v && v->kind == VX_PY_OBJECT ? vx_py_item(v->made[1], 0) : v;
}

/* Python's Module.state_dict(): parameters, buffers that are kept, modules in it. */
static int list_module(vx_torch *a, const vx_py *v, size_t length, int depth)
{
    const vx_py *state = module_state(v), *script = script_state(v);
    if (depth == MAX_MODULE_DEPTH)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path, "more than %d modules in each other",
                          MAX_MODULE_DEPTH);
    if (!state) {
        VX_TRY(list_dictionary(a, script, length, NULL));
        return list_inner(a, script, length, depth);
    }
    VX_TRY(list_dictionary(a, vx_torch_get(state, "_parameters"), length, NULL));
    VX_TRY(list_dictionary(a, vx_torch_get(state, "_buffers"), length,
                           set_of(vx_torch_get(state, "_non_persistent_buffers_set"))));
    return list_inner(a, vx_torch_get(state, "_modules"), length, depth);
}

static bool is_module(const vx_py *v)
{
    return module_state(v) || script_state(v);
}

static int list_tensors(vx_torch *a, const vx_py *value)
{
    a->tensors = a->matrices = 0;
    a->name_bytes = 0;
    return is_module(value) ? list_module(a, value, 0, 0) : list_dictionary(a, value, 0, NULL);
}

/* -------------------------------------------------------------------------- candidates ---- */

static bool ends_in(const vx_py *key, const char *end)
{
    const size_t n = strlen(end);
    return key->kind == VX_PY_TEXT && key->count >= n &&
           memcmp(key->text + key->count - n, end, n) == 0;
}

/* Weights in a form that is not read, for the message that there are none. */
static void note(vx_torch *a, const vx_py *key, const vx_py *value, vx_torch_call made)
{
    static const struct {
        const char *end, *what;
    } keys[] = {
        {"_packed_params", "quantized"},
        {"_flat_param", "flat parameters of FSDP, a part for each process; save a full state dict"},
        {"ds_version", "in parts (DeepSpeed's ZeRO 3); its zero_to_fp32.py joins them"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (ends_in(key, keys[i].end))
            a->instead = keys[i].what;
    const vx_py *called = value->kind == VX_PY_OBJECT ? value->made[0] : NULL;
    if (a->instead || key->kind != VX_PY_TEXT || !memchr(key->text, '.', key->count))
        return;
    if (made.special)
        a->instead = made.special;
    else if (called && called->kind == VX_PY_GLOBAL && lies_in(value, "numpy") &&
             vx_py_is_text(called->items[1], "_reconstruct"))
        a->instead = "arrays of NumPy's; save tensors, or an .npz file";
}

/* How many tensors a dictionary holds, if there are enough matrices with a network's names. */
static int count_network(vx_torch *a, const vx_py *dict, int least)
{
    vx_py *const *items;
    const uint32_t n = vx_torch_pairs(&items, dict);
    int matrices = 0, tensors = 0;
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const vx_torch_call made = vx_torch_tensor(items[i + 1]);
        const vx_py *size = vx_torch_size(made);
        note(a, items[i], items[i + 1], made);
        if (!made.arguments || items[i]->kind != VX_PY_TEXT)
            continue;
        tensors++;
        matrices += size && size->count >= 2 &&
                    (memchr(items[i]->text, '.', items[i]->count) != NULL ||
                     memchr(items[i]->text, '/', items[i]->count) != NULL);
    }
    return matrices >= least ? tensors : 0;
}

static int find_networks(vx_torch *a, vx_py *value, const char *path, int depth);

/* In what an object holds, as a Learner of fastai's or a class of somebody's own. */
static int find_held(vx_torch *a, const vx_py *value, const char *path, int depth)
{
    vx_py *const held = value->kind == VX_PY_OBJECT ? value->made[2] : NULL;
    if (!held || held->kind != VX_PY_DICT)
        return VITX_OK;
    const bool before = a->in_object;
    a->in_object = true;
    const int status = find_networks(a, held, path, depth);
    a->in_object = before;
    return status;
}

/* In the values of a dictionary, the items of a list. */
static int find_inner(vx_torch *a, const vx_py *value, const char *path, int depth)
{
    vx_py *const *items;
    const uint32_t n = vx_torch_pairs(&items, value);
    const bool list = value->kind == VX_PY_LIST || value->kind == VX_PY_TUPLE;
    char inner[sizeof a->networks->path];
    for (uint32_t i = 0; list && i < value->count; i++)
        if (snprintf(inner, sizeof inner, "%s%s%u", path, path[0] ? "." : "", i) <
            (int)sizeof inner)
            VX_TRY(find_networks(a, value->items[i], inner, depth + 1));
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const vx_py *key = items[i];
        if (key->kind != VX_PY_TEXT || memchr(key->text, '\0', key->count) ||
            !vx_utf8_valid(key->text, key->count))
            continue;
        if (snprintf(inner, sizeof inner, "%s%s%.*s", path, path[0] ? "." : "",
                     (int)(key->count < 100 ? key->count : 100), key->text) < (int)sizeof inner)
            VX_TRY(find_networks(a, items[i + 1], inner, depth + 1));
    }
    return VITX_OK;
}

/* Puts every network in `value` on the list. */
static int find_networks(vx_torch *a, vx_py *value, const char *path, int depth)
{
    const bool module = is_module(value);
    if (value->seen || depth == MAX_DEPTH)
        return VITX_OK;
    value->seen = true;
    if (module)
        VX_TRY(list_tensors(a, value));
    const int least = vx_safetensors_is_index(a->c->path) ? 0 : MIN_MATRICES;
    const int tensors = !module                ? count_network(a, value, least)
                        : a->matrices >= least ? a->tensors
                                               : 0;
    if (tensors && a->network_count == VX_TORCH_NETWORKS)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path, "more than %d networks in one file",
                          VX_TORCH_NETWORKS);
    if (tensors) {
        vx_torch_network *found = &a->networks[a->network_count++];
        *found = (vx_torch_network){.value = value, .tensors = tensors, .held = a->in_object};
        snprintf(found->path, sizeof found->path, "%s", path[0] ? path : ".");
    }
    if (module)
        return VITX_OK;
    VX_TRY(find_inner(a, value, path, depth));
    return find_held(a, value, path, depth);
}

/* -------------------------------------------------------------------------- choice -------- */

/* "state_dict (152 tensors), state_dict_ema (152 tensors)" */
static const char *list_networks(char *text, size_t size, const vx_torch *a)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < a->network_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s (%d tensors)", i ? ", " : "",
                               a->networks[i].path, a->networks[i].tensors);
    return text;
}

static const vx_torch_network *find_path(const vx_torch *a, const char *path)
{
    for (int i = 0; i < a->network_count; i++)
        if (strcmp(a->networks[i].path, path) == 0)
            return &a->networks[i];
    return NULL;
}

/* What an object holds counts where there is nothing else. Lightning keeps the arguments of a
 * module, perhaps networks before their training, beside its state_dict, from which alone it
 * loads. */
static void leave_others_out(vx_torch *a)
{
    static const char arguments[] = "hyper_parameters.";
    const bool lightning = find_path(a, "state_dict") != NULL;
    bool any = false;
    int left = 0;
    for (int i = 0; i < a->network_count; i++)
        any = any || !a->networks[i].held;
    for (int i = 0; i < a->network_count; i++)
        if (!(any && a->networks[i].held) &&
            !(lightning && strncmp(a->networks[i].path, arguments, sizeof arguments - 1) == 0))
            a->networks[left++] = a->networks[i];
    a->network_count = left;
}

static bool is_average(const char *path)
{
    for (const char *at = strstr(path, "ema"); at; at = strstr(at + 1, "ema")) {
        const bool starts = at == path || at[-1] == '_' || at[-1] == '.';
        if (starts && (at[3] == '\0' || at[3] == '_' || at[3] == '.'))
            return true;
    }
    return false;
}

static int refuse_none(const vx_torch *a)
{
    if (a->instead)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "holds no network of plain tensors: its weights are %s", a->instead);
    return vx_fail_in(VITX_FORMAT, a->file->path,
                      "holds no network: no dictionary in it has %d matrices or more with names "
                      "as blocks.0.attn.qkv.weight",
                      MIN_MATRICES);
}

static int choose(const vx_torch_network **out, vx_torch *a)
{
    char list[300];
    const char *key = a->c->weights_key;
    if (a->network_count == 0)
        return refuse_none(a);
    if (!key)
        leave_others_out(a);
    *out = key ? find_path(a, key) : &a->networks[0];
    if (!*out)
        return vx_fail_field_in(VITX_FORMAT, a->file->path, "weights_key",
                                "has no weights under weights_key \"%.40s\"; it has %s", key,
                                list_networks(list, sizeof list, a));
    if (!key && a->network_count > 1)
        return vx_fail_field_in(VITX_FORMAT, a->file->path, "weights_key",
                                "has weights under several keys: %s. Say which with weights_key",
                                list_networks(list, sizeof list, a));
    if (!key && is_average((*out)->path))
        vx_log(&a->c->hooks, VITX_LOG_WARNING,
               "%s: its only weights, %s, are a moving average of the trained ones (EMA)",
               a->file->path, (*out)->path);
    return VITX_OK;
}

int vx_torch_add_network(vx_torch *a, vx_py *root, const char *form)
{
    const vx_torch_network *chosen = NULL;
    vx_container *const c = a->c;
    VX_TRY(vx_new(&a->networks, &c->hooks, VX_TORCH_NETWORKS, sizeof *a->networks,
                  "the networks of a file"));
    VX_TRY(find_networks(a, root, "", 0));
    if (lies_in(root, "__torch__") && !a->instead)
        a->instead = "constants of a TorchScript program; save it before it is frozen";
    VX_TRY(choose(&chosen, a));
    VX_TRY(list_tensors(a, chosen->value));
    VX_TRY(vx_container_grow(c, a->tensors, a->name_bytes));
    if (!c->npz)
        VX_TRY(vx_npz_new(&c->npz, &c->hooks));
    a->adding = true;
    VX_TRY(list_tensors(a, chosen->value));
    const bool own = strcmp(chosen->path, ".") == 0;
    snprintf(c->form, sizeof c->form, "%s%s%s%s", form, own ? "" : ", key ",
             own ? "" : chosen->path,
             script_state(chosen->value)   ? ", a TorchScript module"
             : module_state(chosen->value) ? ", a whole module"
                                           : "");
    return VITX_OK;
}
