/*
 * model/torch.c: what torch.save writes (torch/serialization.py, torch/_utils.py of PyTorch 1.6 to
 * 2.15): tensors as a pickle that names them and says where each lies, and their bytes.
 *
 *      a zip archive (1.6 and later)         NAME/data.pkl, NAME/data/KEY.., NAME/version,
 *                                            NAME/byteorder
 *      the form before                       pickles: a magic number, 1001, facts of the system,
 *                                            the value, the list of KEYs; then for each KEY in
 *                                            that order u64 elements, the elements
 *
 * In the pickle a tensor is a call of torch._utils._rebuild_tensor_v2 with (storage, offset, size,
 * stride, ..), and a storage is ('storage', torch.FloatStorage, KEY, place, elements). Nothing is
 * called (pickle.h); the calls are read as data. Several tensors may lie in one storage, in any
 * order of their elements.
 *
 * People save more than weights. A dictionary of texts and tensors with names of a network is a
 * candidate wherever it stands, and so is a whole module, of which its dictionaries of parameters
 * are read. If there are several the caller says which.
 */
#include "model/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "model/npz.h"
#include "model/pickle.h"
#include "model/zip.h"

#define MAX_PICKLE ((size_t)1 << 26)
#define FIRST_PIECE ((size_t)1 << 16) /* of the old form, whose pickle's length is not known */
#define MAX_CANDIDATES 16
#define MAX_DEPTH 4         /* of dictionaries in dictionaries */
#define MAX_MODULE_DEPTH 32 /* of modules in modules */
#define MAX_TENSORS (1 << 17)
#define MAX_STATE 512                 /* members of a module's object: keys and values */
#define MAX_STEPS ((uint64_t)1 << 26) /* values looked at: several may hold the same ones */
#define MAX_NAME 512
#define MAX_REPEATED ((uint64_t)1 << 24) /* elements that stand for others (stride 0) */
#define MIN_MATRICES                                                                               \
    4 /* a dictionary with fewer is no network: a loss, an optimizer's moments. \
                          One of several shards may have none. */
#define MAGIC "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

typedef struct storage {
    const char *key;
    size_t length;
    uint64_t offset, bytes;
    const vx_py *said; /* of the old form: a value that names it */
} storage;

typedef struct candidate {
    const vx_py *value;
    char path[128]; /* "state_dict", "ema.model"; "." is the file's own value */
    int tensors;
} candidate;

typedef struct archive {
    vx_container *c;
    const vx_file *file;
    vx_pickle pickle;
    vx_zip zip;
    char *text;        /* what the pickle's values point into */
    storage *storages; /* [count], sorted by key */
    int count;
    candidate *candidates; /* [MAX_CANDIDATES] */
    int candidate_count;
    /* While tensors are listed: counted first, then added. */
    bool adding;
    int tensors, matrices;
    size_t name_bytes;
    uint64_t repeated, steps;
    char name[MAX_NAME];
} archive;

/* -------------------------------------------------------------------------- values -------- */

/* The pairs of a dictionary, or of an object that is one (OrderedDict): key, value, .. */
static uint32_t pairs_of(vx_py *const **items, const vx_py *v)
{
    const bool has = v && (v->kind == VX_PY_DICT || (v->kind == VX_PY_OBJECT && v->pairs));
    *items = has ? v->items : NULL;
    return has ? v->count : 0;
}

static const vx_py *find_key(const vx_py *dict, const char *key)
{
    vx_py *const *items;
    const uint32_t n = pairs_of(&items, dict);
    for (uint32_t i = 0; i + 1 < n; i += 2)
        if (vx_py_is_text(items[i], key))
            return items[i + 1];
    return NULL;
}

/* What a whole module holds: NULL if the value is none. */
static const vx_py *module_state(const vx_py *v)
{
    const vx_py *state = v && v->kind == VX_PY_OBJECT ? v->made[2] : NULL;
    if (state && state->count > MAX_STATE)
        return NULL;
    return find_key(state, "_modules") && find_key(state, "_parameters") ? state : NULL;
}

/* A call of a function of PyTorch's that makes a tensor. */
typedef struct call {
    const vx_py *arguments; /* NULL: no tensor */
    bool plain;             /* strides in a storage; else sparse, quantized and the like */
} call;

static bool begins(const vx_py *text, const char *with)
{
    const size_t n = strlen(with);
    return text->count >= n && memcmp(text->text, with, n) == 0;
}

static call tensor_call(const vx_py *v)
{
    static const char *const plain[] = {"_rebuild_tensor", "_rebuild_tensor_v2",
                                        "_rebuild_tensor_v3"};
    for (int i = 0; i < 4 && v && v->kind == VX_PY_OBJECT; i++) {
        const vx_py *called = v->made[0], *arguments = v->made[1];
        if (vx_py_is_global(called, "torch._tensor", "_rebuild_from_type_v2")) {
            called = vx_py_item(arguments, 0); /* (function, class, arguments, state) */
            arguments = vx_py_item(arguments, 2);
        }
        if (!called || called->kind != VX_PY_GLOBAL || !arguments ||
            !vx_py_is_text(called->items[0], "torch._utils") ||
            !begins(called->items[1], "_rebuild_"))
            break;
        for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++)
            if (vx_py_is_text(called->items[1], plain[k]))
                return (call){arguments, true};
        if (!begins(called->items[1], "_rebuild_parameter"))
            return (call){arguments, false};
        v = vx_py_item(arguments, 0);
    }
    return (call){NULL, false};
}

/* -------------------------------------------------------------------------- storages ------ */

static int by_key(const void *a, const void *b)
{
    const storage *x = a, *y = b;
    const int order = memcmp(x->key, y->key, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static storage *find_storage(const archive *a, const vx_py *key)
{
    const storage wanted = {.key = key->text, .length = key->count};
    return a->count ? bsearch(&wanted, a->storages, (size_t)a->count, sizeof wanted, by_key) : NULL;
}

/* By the class of a storage, or by torch.dtype. */
static const struct dtype {
    const char *storage, *dtype, *name;
    vx_dtype is;
    unsigned char bytes;
} dtypes[] = {
    {"FloatStorage", "float32", "F32", VX_F32, 4},
    {"HalfStorage", "float16", "F16", VX_F16, 2},
    {"BFloat16Storage", "bfloat16", "BF16", VX_BF16, 2},
    {"DoubleStorage", "float64", "F64", VX_F64, 8},
    {"LongStorage", "int64", "I64", VX_DTYPE_OTHER, 8},
    {"IntStorage", "int32", "I32", VX_DTYPE_OTHER, 4},
    {"ShortStorage", "int16", "I16", VX_DTYPE_OTHER, 2},
    {"CharStorage", "int8", "I8", VX_DTYPE_OTHER, 1},
    {"ByteStorage", "uint8", "U8", VX_DTYPE_OTHER, 1},
    {"BoolStorage", "bool", "BOOL", VX_DTYPE_OTHER, 1},
    {"ComplexFloatStorage", "complex64", "C64", VX_DTYPE_OTHER, 8},
    {"ComplexDoubleStorage", "complex128", "C128", VX_DTYPE_OTHER, 16},
    {"UntypedStorage", "uint8", "bytes", VX_DTYPE_OTHER, 1},
    {"", "uint16", "U16", VX_DTYPE_OTHER, 2},
    {"", "uint32", "U32", VX_DTYPE_OTHER, 4},
    {"", "uint64", "U64", VX_DTYPE_OTHER, 8},
    {"", "float8_e4m3fn", "F8_E4M3", VX_DTYPE_OTHER, 1},
    {"", "float8_e5m2", "F8_E5M2", VX_DTYPE_OTHER, 1},
};

static const struct dtype *find_dtype(const vx_py *global, bool of_storage)
{
    if (!global || global->kind != VX_PY_GLOBAL || !begins(global->items[0], "torch"))
        return NULL;
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (vx_py_is_text(global->items[1], of_storage ? dtypes[i].storage : dtypes[i].dtype))
            return &dtypes[i];
    return NULL;
}

/* A whole number up to 2^53. */
static bool as_size(uint64_t *out, const vx_py *v)
{
    if (!v || v->kind != VX_PY_INT || v->number < 0 || v->number > (int64_t)1 << 53)
        return false;
    *out = (uint64_t)v->number;
    return true;
}

/* ('storage', class, key, place, elements), perhaps with a view of another storage. */
static bool read_storage(const struct dtype **dtype, const vx_py **key, uint64_t *elements,
                         const vx_py *persistent)
{
    const vx_py *said =
        persistent && persistent->kind == VX_PY_PERSISTENT ? persistent->made[0] : NULL;
    const vx_py *view = vx_py_item(said, 5);
    *dtype = find_dtype(vx_py_item(said, 1), true);
    *key = vx_py_item(said, 2);
    return vx_py_is_text(vx_py_item(said, 0), "storage") && *dtype && *key &&
           (*key)->kind == VX_PY_TEXT && as_size(elements, vx_py_item(said, 4)) &&
           (!view || view->kind == VX_PY_NONE);
}

/* -------------------------------------------------------------------------- tensors ------- */

/* Shape and axes; `last` becomes the place of the last element, counted from the first. */
static int read_axes(vx_tensor *t, uint64_t *last, const vx_py *size, const vx_py *stride,
                     const char *path)
{
    uint64_t packed = 1;
    bool is_packed = true;
    if (!size || !stride || size->kind != VX_PY_TUPLE || stride->kind != VX_PY_TUPLE ||
        size->count != stride->count || size->count > VX_MAX_RANK)
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s: size and stride are not tuples of one length up to %d",
                          t->name, VX_MAX_RANK);
    t->rank = (int)size->count;
    t->count = 1;
    *last = 0;
    for (int i = t->rank - 1; i >= 0; i--) {
        vx_axis *axis = &t->axis[i];
        uint64_t reach;
        if (!as_size(&axis->size, size->items[i]) || !as_size(&axis->stride, stride->items[i]))
            return vx_fail_in(VITX_FORMAT, path,
                              "tensor %.100s: size or stride %d is no whole number up to 2^53",
                              t->name, i);
        is_packed = is_packed && (axis->size == 1 || axis->stride == packed);
        if (!vx_mul_u64(&t->count, t->count, axis->size) ||
            (axis->size && !vx_mul_u64(&reach, axis->size - 1, axis->stride)) ||
            (axis->size && reach > UINT64_MAX / 2 - *last))
            return vx_fail_in(VITX_FORMAT, path, "the shape of tensor %.100s overflows", t->name);
        *last += axis->size ? reach : 0;
        packed = t->count;
        t->shape[i] = (int64_t)axis->size;
    }
    t->axes = is_packed || t->count == 0 ? 0 : t->rank;
    return VITX_OK;
}

/* Where the tensor lies in its storage. */
static int place(vx_tensor *t, archive *a, const vx_py *arguments, uint64_t last)
{
    const char *const path = a->file->path;
    const struct dtype *stored, *dtype;
    const vx_py *key, *said = vx_py_item(arguments, 6);
    uint64_t elements, first, size;
    if (!read_storage(&stored, &key, &elements, vx_py_item(arguments, 0)))
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "tensor %.100s lies in a storage of a kind that vitx does not know",
                          t->name);
    dtype = find_dtype(said, false);
    if (!dtype)
        dtype = stored;
    const storage *s = find_storage(a, key);
    if (!s || !vx_mul_u64(&size, elements, stored->bytes) || s->bytes != size)
        return vx_fail_in(
            VITX_FORMAT, path,
            "tensor %.100s: storage %.*s has %llu bytes, %llu elements of %s expected", t->name,
            (int)(key->count < 40 ? key->count : 40), key->text,
            (unsigned long long)(s ? s->bytes : 0), (unsigned long long)elements, stored->name);
    elements = s->bytes / dtype->bytes;
    if (!as_size(&first, vx_py_item(arguments, 1)) ||
        (t->count && (first > elements || last >= elements - first)))
        return vx_fail_in(VITX_FORMAT, path,
                          "tensor %.100s reaches past its storage of %llu elements", t->name,
                          (unsigned long long)elements);
    if (t->count > elements && t->count > MAX_REPEATED - a->repeated)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "tensor %.100s has %llu elements in a storage of %llu", t->name,
                          (unsigned long long)t->count, (unsigned long long)elements);
    a->repeated += t->count > elements ? t->count : 0;
    t->dtype = dtype->is;
    t->dtype_name = dtype->name;
    t->offset = s->offset + (t->count ? first * dtype->bytes : 0);
    t->bytes = t->count * dtype->bytes;
    return VITX_OK;
}

static int add_tensor(archive *a, call made)
{
    const vx_py *size = vx_py_item(made.arguments, 2), *stride = vx_py_item(made.arguments, 3);
    const size_t length = strlen(a->name);
    uint64_t last = 0;
    a->tensors++;
    a->matrices += size && size->kind == VX_PY_TUPLE && size->count >= 2;
    a->name_bytes += length + 1;
    if (a->tensors > MAX_TENSORS)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path, "more than %d tensors", MAX_TENSORS);
    if (!a->adding)
        return VITX_OK;
    vx_tensor *t = &a->c->tensors[a->c->count++];
    *t = (vx_tensor){.name = vx_container_keep(a->c, a->name, length),
                     .file = a->file,
                     .member = -1,
                     .dtype = VX_DTYPE_OTHER,
                     .dtype_name = "sparse, quantized or of another special kind"};
    if (!made.plain)
        return VITX_OK;
    VX_TRY(read_axes(t, &last, size, stride, a->file->path));
    VX_TRY(place(t, a, made.arguments, last));
    if (t->axes)
        t->npz = a->c->npz;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- networks ------ */

/* Writes prefix + key to a->name, whose first `length` bytes are the prefix. */
static int set_name(archive *a, size_t length, const vx_py *key)
{
    if (key->count >= MAX_NAME - length || memchr(key->text, '\0', key->count) ||
        !vx_utf8_valid(key->text, key->count))
        return vx_fail_in(VITX_FORMAT, a->file->path, "a name of %u bytes after %.100s is no text",
                          key->count, a->name);
    memcpy(a->name + length, key->text, key->count);
    a->name[length + key->count] = '\0';
    return VITX_OK;
}

static int count_steps(archive *a, uint64_t steps)
{
    a->steps += steps;
    return a->steps <= MAX_STEPS ? VITX_OK
                                 : vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                                              "its pickle names the same values too often");
}

/* The tensors of a dictionary; the first `length` bytes of a->name go before the names. `without`:
 * names of buffers that a state_dict leaves out, or NULL. */
static int list_dictionary(archive *a, const vx_py *dict, size_t length, const vx_py *without)
{
    vx_py *const *items;
    const uint32_t n = pairs_of(&items, dict);
    VX_TRY(count_steps(a, (uint64_t)n * (1 + (without ? without->count : 0))));
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const call made = tensor_call(items[i + 1]);
        bool left_out = items[i]->kind != VX_PY_TEXT || !made.arguments;
        const vx_py *other;
        for (uint32_t k = 0; !left_out && (other = vx_py_item(without, k)) != NULL; k++)
            left_out = other->kind == VX_PY_TEXT && other->count == items[i]->count &&
                       memcmp(other->text, items[i]->text, items[i]->count) == 0;
        if (left_out)
            continue;
        VX_TRY(set_name(a, length, items[i]));
        VX_TRY(add_tensor(a, made));
    }
    return VITX_OK;
}

/* A set: a list, or in old protocols set([..]). */
static const vx_py *set_of(const vx_py *v)
{
    return v && v->kind == VX_PY_OBJECT ? vx_py_item(v->made[1], 0) : v;
}

/* Python's Module.state_dict(): parameters, buffers that are kept, modules in it. */
static int list_module(archive *a, const vx_py *state, size_t length, int depth)
{
    vx_py *const *items;
    const vx_py *without = set_of(find_key(state, "_non_persistent_buffers_set"));
    if (depth == MAX_MODULE_DEPTH)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path, "more than %d modules in each other",
                          MAX_MODULE_DEPTH);
    VX_TRY(list_dictionary(a, find_key(state, "_parameters"), length, NULL));
    VX_TRY(list_dictionary(a, find_key(state, "_buffers"), length, without));
    const uint32_t n = pairs_of(&items, find_key(state, "_modules"));
    VX_TRY(count_steps(a, (uint64_t)n * MAX_STATE));
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const vx_py *inner = module_state(items[i + 1]);
        if (items[i]->kind != VX_PY_TEXT || !inner)
            continue;
        VX_TRY(set_name(a, length, items[i]));
        const size_t longer = length + items[i]->count;
        if (longer + 1 >= MAX_NAME)
            return vx_fail_in(VITX_FORMAT, a->file->path, "a name longer than %d bytes", MAX_NAME);
        a->name[longer] = '.';
        VX_TRY(list_module(a, inner, longer + 1, depth + 1));
    }
    return VITX_OK;
}

static int list_tensors(archive *a, const vx_py *value)
{
    const vx_py *state = module_state(value);
    a->tensors = a->matrices = 0;
    a->name_bytes = 0;
    return state ? list_module(a, state, 0, 0) : list_dictionary(a, value, 0, NULL);
}

/* How many tensors a dictionary holds, if there are enough matrices with a network's names. */
static int count_network(const vx_py *dict, int least)
{
    vx_py *const *items;
    const uint32_t n = pairs_of(&items, dict);
    int matrices = 0, tensors = 0;
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        const call made = tensor_call(items[i + 1]);
        const vx_py *size = made.arguments ? vx_py_item(made.arguments, 2) : NULL;
        if (!made.arguments || items[i]->kind != VX_PY_TEXT)
            continue;
        tensors++;
        matrices += size && size->kind == VX_PY_TUPLE && size->count >= 2 &&
                    (memchr(items[i]->text, '.', items[i]->count) != NULL ||
                     memchr(items[i]->text, '/', items[i]->count) != NULL);
    }
    return matrices >= least ? tensors : 0;
}

/* Puts every network in `value` on the list. */
static int find_networks(archive *a, vx_py *value, const char *path, int depth)
{
    vx_py *const *items;
    const bool module = module_state(value) != NULL;
    const uint32_t n = pairs_of(&items, value);
    if (value->seen || depth == MAX_DEPTH)
        return VITX_OK;
    value->seen = true;
    if (module)
        VX_TRY(list_tensors(a, value));
    const int least = vx_safetensors_is_index(a->c->path) ? 0 : MIN_MATRICES;
    const int tensors = !module                ? count_network(value, least)
                        : a->matrices >= least ? a->tensors
                                               : 0;
    if (tensors && a->candidate_count == MAX_CANDIDATES)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path, "more than %d networks in one file",
                          MAX_CANDIDATES);
    if (tensors) {
        candidate *found = &a->candidates[a->candidate_count++];
        *found = (candidate){.value = value, .tensors = tensors};
        snprintf(found->path, sizeof found->path, "%s", path[0] ? path : ".");
    }
    for (uint32_t i = 0; i + 1 < n && !module; i += 2) {
        char inner[sizeof a->candidates->path];
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

/* "state_dict (152 tensors), state_dict_ema (152 tensors)" */
static const char *list_candidates(char *text, size_t size, const archive *a)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < a->candidate_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s (%d tensors)", i ? ", " : "",
                               a->candidates[i].path, a->candidates[i].tensors);
    return text;
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

static int choose(const candidate **out, archive *a)
{
    char list[300];
    const char *key = a->c->weights_key;
    *out = NULL;
    if (a->candidate_count == 0)
        return vx_fail_in(
            VITX_FORMAT, a->file->path,
            "holds no network: no dictionary in it has %d matrices or more with names "
            "as blocks.0.attn.qkv.weight",
            MIN_MATRICES);
    for (int i = 0; key && i < a->candidate_count; i++)
        if (strcmp(a->candidates[i].path, key) == 0)
            *out = &a->candidates[i];
    if (key && !*out)
        return vx_fail_field_in(VITX_FORMAT, a->file->path, "weights_key",
                                "has no weights under weights_key \"%.40s\"; it has %s", key,
                                list_candidates(list, sizeof list, a));
    if (!key && a->candidate_count > 1)
        return vx_fail_field_in(VITX_FORMAT, a->file->path, "weights_key",
                                "has weights under several keys: %s. Say which with weights_key",
                                list_candidates(list, sizeof list, a));
    if (!key && is_average(a->candidates[0].path))
        vx_log(&a->c->hooks, VITX_LOG_WARNING,
               "%s: its only weights, %s, are a moving average of the trained ones (EMA)",
               a->file->path, a->candidates[0].path);
    if (!*out)
        *out = &a->candidates[0];
    return VITX_OK;
}

/* Adds the tensors of the value that the file was made for. */
static int add_network(archive *a, vx_py *root, const char *form)
{
    const candidate *chosen;
    vx_container *const c = a->c;
    VX_TRY(vx_new(&a->candidates, &c->hooks, MAX_CANDIDATES, sizeof *a->candidates,
                  "the networks of a file"));
    VX_TRY(find_networks(a, root, "", 0));
    VX_TRY(choose(&chosen, a));
    VX_TRY(list_tensors(a, chosen->value));
    VX_TRY(vx_container_grow(c, a->tensors, a->name_bytes));
    if (!c->npz)
        VX_TRY(vx_npz_new(&c->npz, &c->hooks));
    a->adding = true;
    VX_TRY(list_tensors(a, chosen->value));
    const bool own = strcmp(chosen->path, ".") == 0;
    snprintf(c->form, sizeof c->form, "%s%s%s%s", form, own ? "" : ", key ",
             own ? "" : chosen->path, module_state(chosen->value) ? ", a whole module" : "");
    return VITX_OK;
}

/* -------------------------------------------------------------------------- zip ----------- */

/* The member NAME/`path`; -1 where there is none. *length becomes that of NAME/. */
static int find_member(const vx_zip *zip, const char *path, size_t *length)
{
    for (int i = 0; i < zip->count; i++) {
        const char *name = zip->members[i].name, *slash = strchr(name, '/');
        if (slash && strcmp(slash + 1, path) == 0) {
            *length = (size_t)(slash + 1 - name);
            return i;
        }
    }
    return -1;
}

/* The first line of the member NAME/`path`; "" where there is none. */
static int read_word(char *out, size_t size, const archive *a, const char *path)
{
    size_t length;
    const int i = find_member(&a->zip, path, &length);
    out[0] = '\0';
    if (i < 0)
        return VITX_OK;
    const vx_zip_member *m = &a->zip.members[i];
    const size_t n = m->size < size - 1 ? (size_t)m->size : size - 1;
    if (m->method != 0)
        return VITX_OK;
    VX_TRY(vx_file_read(a->file, out, m->offset, n));
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return VITX_OK;
}

static int check_archive(const archive *a)
{
    char word[16];
    size_t length;
    int version;
    if (find_member(&a->zip, "data.pkl", &length) < 0)
        return vx_fail_in(VITX_FORMAT, a->file->path,
                          "a zip archive without a data.pkl, which torch.save did not write; "
                          "NumPy's archives are named .npz");
    if (find_member(&a->zip, "constants.pkl", &length) >= 0)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "a TorchScript program, which vitx does not run: save the state_dict() "
                          "of the model");
    VX_TRY(read_word(word, sizeof word, a, "byteorder"));
    if (word[0] && strcmp(word, "little") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "its numbers are %s-endian; vitx reads little-endian ones", word);
    VX_TRY(read_word(word, sizeof word, a, "version"));
    if (word[0] && (!vx_parse_int(word, &version) || version < 1 || version > 10))
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "version %s of PyTorch's archives; 1 to 10 are read", word);
    return VITX_OK;
}

/* Every member NAME/data/KEY. */
static int list_members(archive *a, const char *name, size_t length)
{
    VX_TRY(vx_new(&a->storages, &a->c->hooks, (size_t)a->zip.count + 1, sizeof *a->storages,
                  "a list of storages"));
    for (int i = 0; i < a->zip.count; i++) {
        const vx_zip_member *m = &a->zip.members[i];
        if (strncmp(m->name, name, length) != 0 || strncmp(m->name + length, "data/", 5) != 0)
            continue;
        if (m->method != 0)
            return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                              "member %.100s is packed; PyTorch stores its tensors as they are",
                              m->name);
        const char *key = m->name + length + 5;
        a->storages[a->count++] = (storage){key, strlen(key), m->offset, m->size, NULL};
    }
    if (a->count)
        qsort(a->storages, (size_t)a->count, sizeof *a->storages, by_key);
    return VITX_OK;
}

/* A member's contents. PyTorch may be told to write 0 in place of checksums. */
static int load_member(archive *a, int member)
{
    const vx_zip_member *m = &a->zip.members[member];
    vx_zip_stream *stream;
    if (m->size > MAX_PICKLE)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "a pickle of %llu bytes; at most %zu are read",
                          (unsigned long long)m->size, MAX_PICKLE);
    VX_TRY(vx_new(&a->text, &a->c->hooks, (size_t)m->size + 1, 1, "a pickle"));
    if (m->method == 0 && m->crc == 0)
        return vx_file_read(a->file, a->text, m->offset, (size_t)m->size);
    VX_TRY(vx_zip_start(&stream, &a->zip, member));
    const int status = vx_zip_read(stream, a->text, m->size);
    vx_zip_stop(stream);
    return status;
}

static int add_zip(archive *a)
{
    size_t length = 0, used;
    vx_py *root;
    VX_TRY(vx_zip_open(&a->zip, a->file, &a->c->hooks));
    VX_TRY(check_archive(a));
    const int member = find_member(&a->zip, "data.pkl", &length);
    const vx_zip_member *m = &a->zip.members[member];
    VX_TRY(load_member(a, member));
    VX_TRY(vx_pickle_read(&root, &a->pickle, a->text, (size_t)m->size, &used));
    if (used != m->size)
        return vx_fail_in(VITX_FORMAT, a->file->path, "%llu bytes follow its pickle",
                          (unsigned long long)(m->size - used));
    VX_TRY(list_members(a, m->name, length));
    return add_network(a, root, "PyTorch zip");
}

/* -------------------------------------------------------------------------- old form ------ */

/* The storages that values name, sorted, each once. */
static int list_named(archive *a)
{
    const vx_py *all = &a->pickle.persistent;
    VX_TRY(vx_new(&a->storages, &a->c->hooks, (size_t)all->count + 1, sizeof *a->storages,
                  "a list of storages"));
    for (uint32_t i = 0; i < all->count; i++) {
        const vx_py *key = vx_py_item(all->items[i]->made[0], 2);
        if (key && key->kind == VX_PY_TEXT &&
            vx_py_is_text(vx_py_item(all->items[i]->made[0], 0), "storage"))
            a->storages[a->count++] = (storage){key->text, key->count, 0, 0, all->items[i]};
    }
    if (a->count)
        qsort(a->storages, (size_t)a->count, sizeof *a->storages, by_key);
    int kept = 0;
    for (int i = 0; i < a->count; i++)
        if (i == 0 || by_key(&a->storages[i], &a->storages[kept - 1]) != 0)
            a->storages[kept++] = a->storages[i];
    a->count = kept;
    return VITX_OK;
}

/* Their places, from byte `at` of the file to its end. */
static int place_storages(archive *a, const vx_py *keys, uint64_t at)
{
    const uint64_t size = a->file->size;
    const uint32_t count = keys->kind == VX_PY_LIST ? keys->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct dtype *dtype;
        const vx_py *key = keys->items[i];
        uint64_t elements, bytes;
        unsigned char told[8];
        storage *s = key->kind == VX_PY_TEXT ? find_storage(a, key) : NULL;
        if (!s || s->offset || !read_storage(&dtype, &key, &elements, s->said))
            return vx_fail_in(VITX_FORMAT, a->file->path,
                              "storage %u is named by no tensor, or is of no known kind", i);
        if (at > size || size - at < 8 || !vx_mul_u64(&bytes, elements, dtype->bytes) ||
            bytes > size - at - 8)
            return vx_fail_in(VITX_FORMAT, a->file->path,
                              "cut short: storage %u of %llu elements of %s begins at byte %llu of "
                              "%llu",
                              i, (unsigned long long)elements, dtype->name, (unsigned long long)at,
                              (unsigned long long)size);
        VX_TRY(vx_file_read(a->file, told, at, 8));
        for (int k = 0; k < 8; k++)
            if (told[k] != (unsigned char)(elements >> 8 * k))
                return vx_fail_in(VITX_FORMAT, a->file->path,
                                  "storage %u has another number of elements than its tensors say",
                                  i);
        s->offset = at + 8;
        s->bytes = bytes;
        at += 8 + bytes;
    }
    return at == size ? VITX_OK
                      : vx_fail_in(VITX_FORMAT, a->file->path, "%llu bytes follow its tensors",
                                   (unsigned long long)(size - at));
}

/* The five pickles at the file's beginning, of which `bytes` bytes have been read. */
static int read_pickles(vx_py *values[5], size_t *at, archive *a, size_t bytes)
{
    *at = 0;
    for (int i = 0; i < 5; i++) {
        size_t used;
        VX_TRY(vx_pickle_read(&values[i], &a->pickle, a->text + *at, bytes - *at, &used));
        *at += used;
        if (i == 0 && (values[0]->kind != VX_PY_OTHER || values[0]->count != 10 ||
                       memcmp(values[0]->text, MAGIC, 10) != 0))
            return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                              "a pickle, but not one of torch.save");
    }
    const vx_py *little = find_key(values[2], "little_endian");
    if (values[1]->kind != VX_PY_INT || values[1]->number != 1001)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "a form of torch.save other than number 1001");
    if (little && little->kind == VX_PY_INT && !little->number)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "its numbers are big-endian; vitx reads little-endian ones");
    return VITX_OK;
}

static int add_old(archive *a)
{
    vx_py *values[5];
    size_t at, bytes = FIRST_PIECE;
    for (;; bytes *= 4) { /* values point into what was read: from the beginning again */
        bytes = a->file->size < bytes ? (size_t)a->file->size : bytes;
        vx_release(&a->c->hooks, a->text);
        a->text = NULL;
        VX_TRY(vx_new(&a->text, &a->c->hooks, bytes + 1, 1, "a pickle"));
        VX_TRY(vx_file_read(a->file, a->text, 0, bytes));
        const int status = read_pickles(values, &at, a, bytes);
        if (status == VITX_OK)
            break;
        if (!a->pickle.cut || bytes == a->file->size || bytes >= MAX_PICKLE)
            return status;
        vx_pickle_dispose(&a->pickle);
    }
    VX_TRY(list_named(a));
    VX_TRY(place_storages(a, values[4], at));
    return add_network(a, values[3], "PyTorch before 1.6");
}

/* -------------------------------------------------------------------------- opening ------- */

int vx_torch_add(bool *taken, vx_container *c, const vx_file *file)
{
    unsigned char bytes[4] = {0};
    archive a = {.c = c, .file = file, .pickle = {.hooks = &c->hooks, .path = file->path}};
    *taken = false;
    if (file->size < sizeof bytes)
        return VITX_OK;
    VX_TRY(vx_file_read(file, bytes, 0, sizeof bytes));
    const bool zip = memcmp(bytes, "PK\3\4", 4) == 0;
    if (!zip && (bytes[0] != 0x80 || bytes[1] < 2 || bytes[1] > 5))
        return VITX_OK;
    *taken = true;
    const int status = zip ? add_zip(&a) : add_old(&a);
    if (a.zip.hooks)
        vx_zip_dispose(&a.zip);
    vx_pickle_dispose(&a.pickle);
    vx_release(&c->hooks, a.text);
    vx_release(&c->hooks, a.storages);
    vx_release(&c->hooks, a.candidates);
    return status;
}
