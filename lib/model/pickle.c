/*
 * model/pickle.c: see pickle.h. The instructions: pickletools.py of Python 3.13.
 *
 * The interpreter does not recurse, and each instruction makes at most one value and copies at most
 * the values that it takes from the stack. So time and memory are bounded by the pickle's length;
 * MAX_MEMORY bounds them for long ones.
 */
#include "model/pickle.h"

#include <string.h>

#define MAX_MEMORY ((size_t)1 << 28)
#define BLOCK ((size_t)1 << 18) /* enough for most pickles; what is not taken is not touched */

struct vx_pickle_block {
    struct vx_pickle_block *next;
    size_t used, size;
    max_align_t data[];
};

typedef struct reader {
    vx_pickle *p;
    const unsigned char *start, *at, *end;
    vx_py stack, memo;
} reader;

/* -------------------------------------------------------------------------- memory -------- */

static int take(void *out_pointer, vx_pickle *p, size_t bytes)
{
    struct vx_pickle_block *b = p->blocks;
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!b || b->size - b->used < bytes) {
        const size_t size = bytes > BLOCK ? bytes : BLOCK;
        if (size > MAX_MEMORY - p->taken)
            return vx_fail_in(VITX_UNSUPPORTED, p->path,
                              "the values of its pickle take more than %zu bytes", MAX_MEMORY);
        b = vx_alloc(p->hooks, sizeof *b + size); /* not cleared: what is taken is written */
        if (!b)
            return vx_fail(VITX_NOMEM, "no memory for the values of a pickle");
        p->taken += size;
        b->used = 0;
        b->size = size;
        b->next = p->blocks;
        p->blocks = b;
    }
    *(void **)out_pointer = (char *)b->data + b->used;
    b->used += bytes;
    return VITX_OK;
}

void vx_pickle_dispose(vx_pickle *p)
{
    while (p->blocks) {
        struct vx_pickle_block *next = p->blocks->next;
        vx_release(p->hooks, p->blocks);
        p->blocks = next;
    }
    p->taken = 0;
    p->persistent = (vx_py){0};
}

static int append(vx_pickle *p, vx_py *list, vx_py *value)
{
    if (list->count == list->room) {
        const uint32_t room = list->room ? 2 * list->room : 8;
        vx_py **items;
        VX_TRY(take(&items, p, room * sizeof *items));
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = value;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- bytes --------- */

static int damaged(const reader *r, const char *what)
{
    return vx_fail_in(VITX_FORMAT, r->p->path, "damaged pickle: %s at byte %zu", what,
                      (size_t)(r->at - r->start));
}

static int need(reader *r, uint64_t bytes)
{
    if (bytes <= (uint64_t)(r->end - r->at))
        return VITX_OK;
    r->p->cut = true;
    return damaged(r, "it is cut short");
}

/* The next `bytes` bytes, little-endian. */
static int number(uint64_t *out, reader *r, int bytes)
{
    VX_TRY(need(r, (uint64_t)bytes));
    *out = 0;
    for (int i = bytes - 1; i >= 0; i--)
        *out = *out << 8 | r->at[i];
    r->at += bytes;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- stack --------- */

static int push_new(vx_py **out, reader *r, vx_py_kind kind)
{
    VX_TRY(take(out, r->p, sizeof **out));
    **out = (vx_py){.kind = (unsigned char)kind};
    return append(r->p, &r->stack, *out);
}

/* A value that is not changed, and has no memory of its own. */
static int push_same(reader *r, vx_py *same, vx_py_kind kind)
{
    same->kind = (unsigned char)kind;
    return append(r->p, &r->stack, same);
}

static int push_bool(reader *r, int value)
{
    r->p->numbers[value].number = value;
    return push_same(r, &r->p->numbers[value], VX_PY_INT);
}

static int push_number(reader *r, int64_t value)
{
    vx_py *v;
    VX_TRY(push_new(&v, r, VX_PY_INT));
    v->number = value;
    return VITX_OK;
}

/* The next `bytes` bytes as a value that points to them. */
static int push_bytes(reader *r, vx_py_kind kind, uint64_t bytes)
{
    vx_py *v;
    VX_TRY(need(r, bytes));
    if (bytes > UINT32_MAX)
        return damaged(r, "a text of more than 4 GiB");
    VX_TRY(push_new(&v, r, kind));
    v->text = (const char *)r->at;
    v->count = (uint32_t)bytes;
    r->at += bytes;
    return VITX_OK;
}

/* The same, with their number before them in `width` bytes. */
static int push_counted(reader *r, vx_py_kind kind, int width)
{
    uint64_t bytes;
    VX_TRY(number(&bytes, r, width));
    return push_bytes(r, kind, bytes);
}

/* A line, without its end. */
static int push_line(reader *r, vx_py_kind kind)
{
    const unsigned char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (!end)
        return need(r, UINT64_MAX);
    VX_TRY(push_bytes(r, kind, (uint64_t)(end - r->at)));
    r->at++;
    return VITX_OK;
}

/* An integer of so many bytes, two's complement; longer ones stay bytes. */
static int push_long(reader *r, int width)
{
    uint64_t bytes, value;
    VX_TRY(number(&bytes, r, width));
    if (bytes > 8)
        return push_bytes(r, VX_PY_OTHER, bytes);
    VX_TRY(number(&value, r, (int)bytes));
    if (bytes && bytes < 8 && value >> (8 * bytes - 1))
        value |= UINT64_MAX << 8 * bytes;
    return push_number(r, (int64_t)value);
}

/* The value i below the top; NULL where there is none, or a mark before it. */
static vx_py *top(const reader *r, uint32_t i)
{
    for (uint32_t k = 0; k <= i; k++)
        if (k >= r->stack.count || r->stack.items[r->stack.count - 1 - k]->kind == VX_PY_MARK)
            return NULL;
    return r->stack.items[r->stack.count - 1 - i];
}

/* Takes what is above the last mark, and the mark, from the stack: *values [*count], until the
 * next push. */
static int pop_mark(vx_py ***values, uint32_t *count, reader *r)
{
    uint32_t at = r->stack.count;
    while (at && r->stack.items[at - 1]->kind != VX_PY_MARK)
        at--;
    if (at == 0)
        return damaged(r, "no mark");
    *values = r->stack.items + at;
    *count = r->stack.count - at;
    r->stack.count = at - 1;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- values -------- */

/* `count` values become the items of a new one. */
static int push_items(reader *r, vx_py_kind kind, vx_py *const *values, uint32_t count)
{
    vx_py *v;
    vx_py **items = NULL;
    if (kind == VX_PY_DICT && count % 2)
        return damaged(r, "a key without a value");
    if (count) {
        VX_TRY(take(&items, r->p, count * sizeof *items));
        memcpy(items, values, count * sizeof *items);
    }
    VX_TRY(push_new(&v, r, kind));
    v->items = items;
    v->count = v->room = count;
    return VITX_OK;
}

static int push_marked(reader *r, vx_py_kind kind)
{
    vx_py **values;
    uint32_t count;
    VX_TRY(pop_mark(&values, &count, r));
    return push_items(r, kind, values, count);
}

/* The last `count` values of the stack become one. */
static int push_tuple(reader *r, uint32_t count)
{
    if (!top(r, count - 1))
        return damaged(r, "an empty stack");
    r->stack.count -= count;
    return push_items(r, VX_PY_TUPLE, r->stack.items + r->stack.count, count);
}

/* Puts values into the list, dictionary or object at the top. */
static int put(reader *r, vx_py *const *values, uint32_t count, bool pairs)
{
    vx_py *v = top(r, 0);
    const bool fits = v && (v->kind == VX_PY_OBJECT ? !v->count || v->pairs == pairs
                            : pairs                 ? v->kind == VX_PY_DICT
                                                    : v->kind == VX_PY_LIST);
    if (!fits || (pairs && count % 2))
        return damaged(r, "values for what takes none");
    v->pairs = pairs;
    for (uint32_t i = 0; i < count; i++)
        VX_TRY(append(r->p, v, values[i]));
    return VITX_OK;
}

static int put_marked(reader *r, bool pairs)
{
    vx_py **values;
    uint32_t count;
    VX_TRY(pop_mark(&values, &count, r));
    return put(r, values, count, pairs);
}

static int put_last(reader *r, uint32_t count)
{
    if (!top(r, count))
        return damaged(r, "an empty stack");
    r->stack.count -= count;
    return put(r, r->stack.items + r->stack.count, count, count == 2);
}

static int memo_put(reader *r, uint64_t at)
{
    vx_py *const v = top(r, 0);
    if (!v || at > (uint64_t)(r->end - r->start)) /* writers count from 0 */
        return damaged(r, "a value is remembered wrongly");
    while (r->memo.count <= at)
        VX_TRY(append(r->p, &r->memo, NULL));
    r->memo.items[at] = v;
    return VITX_OK;
}

static int memo_get(reader *r, int width)
{
    uint64_t at;
    VX_TRY(number(&at, r, width));
    if (at >= r->memo.count || !r->memo.items[at])
        return damaged(r, "a value that was not remembered");
    return append(r->p, &r->stack, r->memo.items[at]);
}

/* -------------------------------------------------------------------------- names --------- */

/* What is called by who wants to start a program, to read a file or to go to the network. The names
 * would do nothing here; who gets such a file should hear of it. A module stands for all that is in
 * it. Names that modules of people may have ("code", "trace") are not here without a function. */
static const char harmful[] =
    "os sys subprocess pty runpy ctypes _ctypes shutil webbrowser pdb bdb timeit cProfile marshal "
    "builtins.eval builtins.exec builtins.execfile builtins.compile builtins.__import__ "
    "builtins.open builtins.file builtins.input builtins.breakpoint io.open _io.open io.FileIO "
    "_io.FileIO commands.getoutput commands.getstatusoutput popen2.popen2 code.interact "
    "code.InteractiveInterpreter code.InteractiveConsole profile.run imp.load_source "
    "imp.load_module importlib pickle.load pickle.loads _pickle.load _pickle.loads torch.load "
    "torch.hub numpy.load socket.socket socket.create_connection urllib.request urllib.urlopen "
    "urllib2.urlopen http.client httplib requests.get requests.post requests.api requests.request "
    "ftplib smtplib pip.main pip._internal asyncio.create_subprocess_shell "
    "asyncio.create_subprocess_exec multiprocessing.Process multiprocessing.process";

/* Whether `name` is the word at `word`, of n bytes, or lies in it. */
static bool lies_in(const char *name, const char *word, size_t n)
{
    return strncmp(name, word, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

static int refuse_harmful(const reader *r, const vx_py *module, const vx_py *name)
{
    static const char *const same[][2] = {
        {"__builtin__", "builtins"}, {"posix", "os"}, {"nt", "os"}};
    char whole[300];
    const char *where = module->text;
    size_t m = module->count < 100 ? module->count : 100;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (vx_py_is_text(module, same[i][0])) {
            where = same[i][1]; /* the names that people know */
            m = strlen(where);
        }
    const size_t n = name->count < 100 ? name->count : 100;
    memcpy(whole, where, m);
    whole[m] = '.';
    memcpy(whole + m + 1, name->text, n);
    whole[m + 1 + n] = '\0';
    for (const char *word = harmful; *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        if (lies_in(whole, word, length))
            return vx_fail_in(VITX_UNSUPPORTED, r->p->path,
                              "its pickle asks to run %s; vitx runs nothing, and does not read "
                              "the rest",
                              whole);
        word += length;
    }
    return VITX_OK;
}

/* The two last values, module and name, become one. */
static int push_global(reader *r)
{
    vx_py *const module = top(r, 1), *const name = top(r, 0);
    if (!module || module->kind != VX_PY_TEXT || name->kind != VX_PY_TEXT)
        return damaged(r, "a name that is no text");
    VX_TRY(refuse_harmful(r, module, name));
    r->stack.count -= 2;
    return push_items(r, VX_PY_GLOBAL, r->stack.items + r->stack.count, 2);
}

static int read_global(reader *r)
{
    VX_TRY(push_line(r, VX_PY_TEXT));
    VX_TRY(push_line(r, VX_PY_TEXT));
    return push_global(r);
}

/* -------------------------------------------------------------------------- objects ------- */

typedef struct made_value {
    vx_py value;
    vx_py *made[3];
} made_value;

static int push_made(reader *r, vx_py_kind kind, vx_py *called, vx_py *arguments)
{
    made_value *whole;
    VX_TRY(take(&whole, r->p, sizeof *whole));
    vx_py *const v = &whole->value;
    whole->made[0] = called;
    whole->made[1] = arguments;
    whole->made[2] = NULL;
    *v = (vx_py){.kind = (unsigned char)kind, .made = whole->made};
    VX_TRY(append(r->p, &r->stack, v));
    return kind == VX_PY_PERSISTENT ? append(r->p, &r->p->persistent, v) : VITX_OK;
}

/* From the last values: what is called, the arguments, and in NEWOBJ_EX those with names. */
static int push_object(reader *r, uint32_t count)
{
    vx_py *const called = top(r, count - 1), *const arguments = called ? top(r, count - 2) : NULL;
    if (!called || arguments->kind != VX_PY_TUPLE)
        return damaged(r, "arguments that are no tuple");
    r->stack.count -= count;
    return push_made(r, VX_PY_OBJECT, called, arguments);
}

/* After a mark: the class, then its arguments (OBJ); or the arguments, then the class (INST). */
static int push_old_object(reader *r, bool class_first)
{
    vx_py **values, *called;
    uint32_t count;
    VX_TRY(pop_mark(&values, &count, r));
    if (count == 0)
        return damaged(r, "an object of no class");
    called = values[class_first ? 0 : count - 1];
    VX_TRY(push_items(r, VX_PY_TUPLE, values + class_first, count - 1));
    return push_made(r, VX_PY_OBJECT, called, r->stack.items[--r->stack.count]);
}

static int push_instance(reader *r)
{
    VX_TRY(read_global(r));
    return push_old_object(r, false);
}

static int push_persistent(reader *r)
{
    vx_py *const said = top(r, 0);
    if (!said)
        return damaged(r, "an empty stack");
    r->stack.count--;
    return push_made(r, VX_PY_PERSISTENT, said, NULL);
}

/* An object's state; that of anything else is of no use here. */
static int build(reader *r)
{
    vx_py *const object = top(r, 1);
    if (!object)
        return damaged(r, "an empty stack");
    if (object->kind == VX_PY_OBJECT)
        object->made[2] = top(r, 0);
    r->stack.count--;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- instructions -- */

static int proto(reader *r)
{
    uint64_t version;
    VX_TRY(number(&version, r, 1));
    return version >= 2 && version <= 5 ? VITX_OK : damaged(r, "a protocol other than 2 to 5");
}

static int frame(reader *r)
{
    uint64_t bytes;
    VX_TRY(number(&bytes, r, 8));
    return need(r, bytes);
}

static int pop(reader *r)
{
    return r->stack.count-- ? VITX_OK : damaged(r, "an empty stack");
}

static int push_plain(reader *r, vx_py_kind kind)
{
    vx_py *v;
    return push_new(&v, r, kind);
}

static int push_small(reader *r, int bytes)
{
    uint64_t value;
    VX_TRY(number(&value, r, bytes));
    if (value < 2)
        return push_bool(r, (int)value);
    return push_number(r, bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

static int memo_put_at(reader *r, int width)
{
    uint64_t at;
    VX_TRY(number(&at, r, width));
    return memo_put(r, at);
}

/* Values: numbers, texts, and what holds others. */
static int run_value(reader *r, unsigned char code, bool *known)
{
    switch (code) {
    case '(':
        return push_same(r, &r->p->mark, VX_PY_MARK);
    case 'N':
        return push_same(r, &r->p->none, VX_PY_NONE);
    case 0x88:
    case 0x89:
        return push_bool(r, code == 0x88);
    case 'J':
        return push_small(r, 4);
    case 'K':
        return push_small(r, 1);
    case 'M':
        return push_small(r, 2);
    case 0x8a:
        return push_long(r, 1);
    case 0x8b:
        return push_long(r, 4);
    case 'G':
        return push_bytes(r, VX_PY_OTHER, 8);
    case 'I': /* Python 2's integers of 64 bits */
    case 'L':
    case 'F':
        return push_line(r, VX_PY_OTHER);
    case 'X':
    case 'T':
        return push_counted(r, VX_PY_TEXT, 4);
    case 0x8c:
    case 'U':
        return push_counted(r, VX_PY_TEXT, 1);
    case 0x8d:
        return push_counted(r, VX_PY_TEXT, 8);
    case 'B':
        return push_counted(r, VX_PY_BYTES, 4);
    case 'C':
        return push_counted(r, VX_PY_BYTES, 1);
    case 0x8e:
    case 0x96:
        return push_counted(r, VX_PY_BYTES, 8);
    case ')':
        return push_same(r, &r->p->empty, VX_PY_TUPLE);
    case 0x85:
    case 0x86:
    case 0x87:
        return push_tuple(r, code - 0x84u);
    case ']':
    case 0x8f: /* a set */
        return push_plain(r, VX_PY_LIST);
    case '}':
        return push_plain(r, VX_PY_DICT);
    case 't':
        return push_marked(r, VX_PY_TUPLE);
    case 'l':
    case 0x91:
        return push_marked(r, VX_PY_LIST);
    case 'd':
        return push_marked(r, VX_PY_DICT);
    }
    *known = false;
    return VITX_OK;
}

/* What changes values, the stack and the memory. */
static int run_change(reader *r, unsigned char code)
{
    vx_py **values;
    uint32_t count;
    switch (code) {
    case 0x80:
        return proto(r);
    case 0x95:
        return frame(r);
    case '0':
        return pop(r);
    case '1':
        return pop_mark(&values, &count, r);
    case 'a':
        return put_last(r, 1);
    case 'e':
    case 0x90:
        return put_marked(r, false);
    case 's':
        return put_last(r, 2);
    case 'u':
        return put_marked(r, true);
    case 'q':
        return memo_put_at(r, 1);
    case 'r':
        return memo_put_at(r, 4);
    case 0x94:
        return memo_put(r, r->memo.count);
    case 'h':
        return memo_get(r, 1);
    case 'j':
        return memo_get(r, 4);
    case 'c':
        return read_global(r);
    case 0x93:
        return push_global(r);
    case 'R':
    case 0x81:
        return push_object(r, 2);
    case 0x92:
        return push_object(r, 3);
    case 'o':
        return push_old_object(r, true);
    case 'i':
        return push_instance(r);
    case 'b':
        return build(r);
    case 'Q':
        return push_persistent(r);
    }
    return vx_fail_in(VITX_UNSUPPORTED, r->p->path,
                      "its pickle has instruction 0x%02x at byte %zu, which no tensors need", code,
                      (size_t)(r->at - r->start) - 1);
}

int vx_pickle_read(vx_py **out, vx_pickle *pickle, const char *bytes, size_t size, size_t *used)
{
    const unsigned char *const start = (const unsigned char *)bytes;
    reader r = {.p = pickle, .start = start, .at = start, .end = start + size};
    pickle->cut = false;
    *out = NULL;
    VX_TRY(need(&r, 2));
    if (r.at[0] != 0x80)
        return damaged(&r, "no protocol");
    for (;;) {
        bool known = true;
        VX_TRY(need(&r, 1));
        const unsigned char code = *r.at++;
        if (code == '.')
            break;
        VX_TRY(run_value(&r, code, &known));
        if (!known)
            VX_TRY(run_change(&r, code));
    }
    *out = top(&r, 0);
    *used = (size_t)(r.at - start);
    return *out && r.stack.count == 1 ? VITX_OK : damaged(&r, "its end leaves not one value");
}

/* -------------------------------------------------------------------------- asking -------- */

bool vx_py_is_text(const vx_py *v, const char *text)
{
    const size_t n = strlen(text);
    return v && v->kind == VX_PY_TEXT && v->count == n && memcmp(v->text, text, n) == 0;
}

bool vx_py_is_global(const vx_py *v, const char *module, const char *name)
{
    return v && v->kind == VX_PY_GLOBAL && vx_py_is_text(v->items[0], module) &&
           vx_py_is_text(v->items[1], name);
}

const vx_py *vx_py_item(const vx_py *v, uint32_t i)
{
    return v && (v->kind == VX_PY_TUPLE || v->kind == VX_PY_LIST) && i < v->count ? v->items[i]
                                                                                  : NULL;
}
