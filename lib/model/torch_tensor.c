/*
 * model/torch_tensor.c: one tensor of torch.save's files (torch/_utils.py, torch/serialization.py).
 *
 * In the pickle a tensor is a call of torch._utils._rebuild_tensor_v2 with (storage, offset, size,
 * stride, ..), and a storage is ('storage', torch.FloatStorage, KEY, place, elements). Several
 * tensors may lie in one storage, in any order of their elements.
 */
#include <stdlib.h>
#include <string.h>

#include "model/torch_parts.h"

#define MAX_TENSORS (1 << 17)
#define MAX_REPEATED ((uint64_t)1 << 24) /* elements that stand for others (stride 0) */

/* -------------------------------------------------------------------------- values -------- */

uint32_t vx_torch_pairs(vx_py *const **items, const vx_py *v)
{
    const bool has = v && (v->kind == VX_PY_DICT || (v->kind == VX_PY_OBJECT && v->pairs));
    *items = has ? v->items : NULL;
    return has ? v->count : 0;
}

const vx_py *vx_torch_get(const vx_py *dict, const char *key)
{
    vx_py *const *items;
    const uint32_t n = vx_torch_pairs(&items, dict);
    for (uint32_t i = 0; i + 1 < n; i += 2)
        if (vx_py_is_text(items[i], key))
            return items[i + 1];
    return NULL;
}

static bool begins(const vx_py *text, const char *with)
{
    const size_t n = strlen(with);
    return text->count >= n && memcmp(text->text, with, n) == 0;
}

/* -------------------------------------------------------------------------- calls --------- */

/* The functions that make tensors, by how their names go on after "_rebuild_". */
static const struct maker {
    const char *name;
    bool first;          /* its first argument is the tensor */
    const char *special; /* else: what such a tensor is; NULL: it has strides in a storage */
} makers[] = {
    {"tensor", false, NULL}, /* _v2, _v3 */
    {"parameter", true, NULL},
    {"device_tensor_from_cpu_tensor", true, NULL},
    {"sparse", false, "sparse"},
    {"qtensor", false, "quantized"},
    {"meta", false, "without values (device meta)"},
    {"device_tensor_from_numpy", false, "an array of NumPy's"},
    {"", false, "of a special kind (nested, or of a class of its own)"},
};

/* A view that turns numbers around when it is read. */
static bool is_turned(const vx_py *arguments)
{
    for (uint32_t i = 6; i < 8; i++) {
        const vx_py *said = vx_py_item(arguments, i);
        if (vx_torch_get(said, "neg") || vx_torch_get(said, "conj"))
            return true;
    }
    return false;
}

vx_torch_call vx_torch_tensor(const vx_py *v)
{
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
        const struct maker *m = makers;
        const vx_py name = {.kind = VX_PY_TEXT,
                            .count = called->items[1]->count - 9,
                            .text = called->items[1]->text + 9};
        while (!begins(&name, m->name))
            m++;
        if (!m->first)
            return (vx_torch_call){arguments, m->special ? m->special
                                              : is_turned(arguments)
                                                  ? "a negated or conjugated view"
                                                  : NULL};
        v = vx_py_item(arguments, 0);
    }
    return (vx_torch_call){NULL, NULL};
}

const vx_py *vx_torch_size(vx_torch_call call)
{
    const vx_py *size = call.special ? NULL : vx_py_item(call.arguments, 2);
    return size && size->kind == VX_PY_TUPLE ? size : NULL;
}

/* -------------------------------------------------------------------------- storages ------ */

static int by_key(const void *a, const void *b)
{
    const vx_torch_storage *x = a, *y = b;
    const int order = memcmp(x->key, y->key, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

void vx_torch_sort_storages(vx_torch *a)
{
    int kept = 0;
    if (a->count)
        qsort(a->storages, (size_t)a->count, sizeof *a->storages, by_key);
    for (int i = 0; i < a->count; i++)
        if (i == 0 || by_key(&a->storages[i], &a->storages[kept - 1]) != 0)
            a->storages[kept++] = a->storages[i];
    a->count = kept;
}

vx_torch_storage *vx_torch_find_storage(const vx_torch *a, const vx_py *key)
{
    const vx_torch_storage wanted = {.key = key->text, .length = key->count};
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

bool vx_torch_read_storage(const char **type, const vx_py **key, uint64_t *elements,
                           uint64_t *bytes, const vx_py *persistent)
{
    const struct dtype *dtype;
    const bool known = read_storage(&dtype, key, elements, persistent);
    *type = known ? dtype->name : NULL;
    return known && vx_mul_u64(bytes, *elements, dtype->bytes);
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
static int place(vx_tensor *t, int *member, vx_torch *a, const vx_py *arguments, uint64_t last)
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
    const vx_torch_storage *s = vx_torch_find_storage(a, key);
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
    *member = s->member;
    t->dtype = dtype->is;
    t->dtype_name = dtype->name;
    t->offset = s->offset + (t->count ? first * dtype->bytes : 0);
    t->bytes = t->count * dtype->bytes;
    return VITX_OK;
}

/* Turned, packed or big-endian ones are read whole, by npz.c. */
static void choose_reader(vx_tensor *t, const vx_torch *a, int member)
{
    t->member = member;
    t->big = a->big && t->dtype != VX_DTYPE_OTHER;
    if (t->axes || t->big || member >= 0)
        t->npz = a->c->npz;
}

int vx_torch_add_tensor(vx_torch *a, vx_torch_call call)
{
    const vx_py *size = vx_torch_size(call);
    const size_t length = strlen(a->name);
    uint64_t last = 0;
    int member = -1;
    a->tensors++;
    a->matrices += size && size->count >= 2;
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
                     .dtype_name = call.special};
    if (call.special)
        return VITX_OK;
    VX_TRY(read_axes(t, &last, size, vx_py_item(call.arguments, 3), a->file->path));
    VX_TRY(place(t, &member, a, call.arguments, last));
    choose_reader(t, a, member);
    return VITX_OK;
}
