/*
 * model/torch.c: what torch.save writes (torch/serialization.py, torch/_utils.py of PyTorch 1.6 to
 * 2.15): tensors as a pickle that names them and says where each lies, and their bytes.
 *
 *      a zip archive (1.6 and later)         NAME/data.pkl, NAME/data/KEY.., NAME/version,
 *                                            NAME/byteorder; of TorchScript NAME/constants.pkl
 *                                            and NAME/code, which are not read
 *      the form before                       pickles: a magic number, 1001, facts of the system,
 *                                            the value, the list of KEYs; then for each KEY in
 *                                            that order u64 elements, the elements; all
 *                                            little-endian, whatever the system was
 *
 * Nothing is called (pickle.h); the calls are read as data.
 */
#include "model/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/npz.h"
#include "model/torch_parts.h"

#define MAX_PICKLE ((size_t)1 << 26)
#define FIRST_PIECE ((size_t)1 << 16) /* of the old form, whose pickle's length is not known */
#define MAGIC "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

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
static int read_word(char *out, size_t size, const vx_torch *a, const char *path)
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

/* An archive without data.pkl. */
static int refuse_archive(const vx_torch *a)
{
    size_t length;
    if (find_member(&a->zip, "models/model.json", &length) >= 0 ||
        find_member(&a->zip, "serialized_exported_program.json", &length) >= 0)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "a program of torch.export, which vitx does not run: save the "
                          "state_dict() of the model");
    return vx_fail_in(VITX_FORMAT, a->file->path,
                      "a zip archive without a data.pkl, which torch.save did not write%s%.100s; "
                      "if the weights are in it, unpack it. NumPy's archives are named .npz",
                      a->zip.count ? "; it begins with " : "",
                      a->zip.count ? a->zip.members[0].name : "");
}

static int check_archive(vx_torch *a)
{
    char word[16];
    size_t length;
    int version;
    if (find_member(&a->zip, "data.pkl", &length) < 0)
        return refuse_archive(a);
    VX_TRY(read_word(word, sizeof word, a, "byteorder"));
    a->big = strcmp(word, "big") == 0;
    if (word[0] && !a->big && strcmp(word, "little") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "its numbers are %s-endian; vitx reads little- and big-endian ones",
                          word);
    VX_TRY(read_word(word, sizeof word, a, "version"));
    if (word[0] && (!vx_parse_int(word, &version) || version < 1 || version > 10))
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "version %s of PyTorch's archives; 1 to 10 are read", word);
    return VITX_OK;
}

/* Every member NAME/data/KEY; *any: one of them is packed. */
static int list_members(bool *any, vx_torch *a, const char *name, size_t length)
{
    VX_TRY(vx_new(&a->storages, &a->c->hooks, (size_t)a->zip.count + 1, sizeof *a->storages,
                  "a list of storages"));
    for (int i = 0; i < a->zip.count; i++) {
        const vx_zip_member *m = &a->zip.members[i];
        if (strncmp(m->name, name, length) != 0 || strncmp(m->name + length, "data/", 5) != 0)
            continue;
        const char *key = m->name + length + 5;
        const bool packed = m->method != 0; /* by another program: PyTorch packs nothing */
        a->storages[a->count++] = (vx_torch_storage){
            key, strlen(key), packed ? 0 : m->offset, m->size, packed ? i : -1, NULL};
        *any = *any || packed;
    }
    vx_torch_sort_storages(a);
    return VITX_OK;
}

/* A member's contents. PyTorch may be told to write 0 in place of checksums. */
static int load_member(vx_torch *a, int member)
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

static int add_zip(vx_torch *a)
{
    size_t length = 0, used;
    bool packed = false;
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
    VX_TRY(list_members(&packed, a, m->name, length));
    VX_TRY(vx_torch_add_network(a, root, "PyTorch zip"));
    return packed ? vx_npz_take_zip(a->c->npz, &a->zip) : VITX_OK;
}

/* -------------------------------------------------------------------------- old form ------ */

/* The storages that values name, sorted, each once. */
static int list_named(vx_torch *a)
{
    const vx_py *all = &a->pickle.persistent;
    VX_TRY(vx_new(&a->storages, &a->c->hooks, (size_t)all->count + 1, sizeof *a->storages,
                  "a list of storages"));
    for (uint32_t i = 0; i < all->count; i++) {
        const vx_py *key = vx_py_item(all->items[i]->made[0], 2);
        if (key && key->kind == VX_PY_TEXT &&
            vx_py_is_text(vx_py_item(all->items[i]->made[0], 0), "storage"))
            a->storages[a->count++] =
                (vx_torch_storage){key->text, key->count, 0, 0, -1, all->items[i]};
    }
    vx_torch_sort_storages(a);
    return VITX_OK;
}

/* Their places, from byte `at` of the file to its end. */
static int place_storages(vx_torch *a, const vx_py *keys, uint64_t at)
{
    const uint64_t size = a->file->size;
    const uint32_t count = keys->kind == VX_PY_LIST ? keys->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *type;
        const vx_py *key = keys->items[i];
        uint64_t elements, bytes;
        unsigned char told[8];
        vx_torch_storage *s = key->kind == VX_PY_TEXT ? vx_torch_find_storage(a, key) : NULL;
        if (!s || s->offset || !vx_torch_read_storage(&type, &key, &elements, &bytes, s->said))
            return vx_fail_in(VITX_FORMAT, a->file->path,
                              "storage %u is named by no tensor, or is of no known kind", i);
        if (at > size || size - at < 8 || bytes > size - at - 8)
            return vx_fail_in(VITX_FORMAT, a->file->path,
                              "cut short: storage %u of %llu elements of %s begins at byte %llu of "
                              "%llu",
                              i, (unsigned long long)elements, type, (unsigned long long)at,
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
static int read_pickles(vx_py *values[5], size_t *at, vx_torch *a, size_t bytes)
{
    *at = 0;
    for (int i = 0; i < 5; i++) {
        size_t used;
        VX_TRY(vx_pickle_read(&values[i], &a->pickle, a->text + *at, bytes - *at, &used));
        *at += used;
        if (i == 0 && (values[0]->kind != VX_PY_OTHER || values[0]->count != 10 ||
                       memcmp(values[0]->text, MAGIC, 10) != 0))
            return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                              "a pickle, but not one of torch.save: save its arrays in Python with "
                              "numpy.savez, or as tensors with torch.save");
    }
    if (values[1]->kind != VX_PY_INT || values[1]->number != 1001)
        return vx_fail_in(VITX_UNSUPPORTED, a->file->path,
                          "a form of torch.save other than number 1001");
    return VITX_OK;
}

static int add_old(vx_torch *a)
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
    return vx_torch_add_network(a, values[3], "PyTorch before 1.6");
}

/* -------------------------------------------------------------------------- opening ------- */

int vx_torch_add(bool *taken, vx_container *c, const vx_file *file)
{
    unsigned char bytes[4] = {0};
    vx_torch a = {.c = c, .file = file, .pickle = {.hooks = &c->hooks, .path = file->path}};
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
    vx_release(&c->hooks, a.networks);
    return status;
}
