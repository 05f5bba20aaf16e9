/*
 * model/pickle.h: Python's pickles, read as data and never run.
 *
 * A pickle is a program for a stack machine that builds values. Some of its instructions call a
 * function or make an object of a class. Here a class or a function is no more than its name
 * (GLOBAL), and a call is a value that holds this name and the arguments (OBJECT). Nothing is ever
 * called, imported or looked up; what a name means is decided by who reads the values (torch.c).
 */
#ifndef VX_MODEL_PICKLE_H
#define VX_MODEL_PICKLE_H

#include <stdint.h>

#include "base/memory.h"

typedef enum vx_py_kind {
    VX_PY_NONE,
    VX_PY_INT,   /* number; True and False are 1 and 0 */
    VX_PY_OTHER, /* a float, or an integer of more than 64 bits, whose bytes are `text` */
    VX_PY_TEXT,  /* text [count], UTF-8 unless the file lies; no '\0' after it */
    VX_PY_BYTES, /* text [count] */
    VX_PY_TUPLE, /* items [count], as in a list and a set */
    VX_PY_LIST,
    VX_PY_DICT,       /* items [count]: key, value, key, value */
    VX_PY_GLOBAL,     /* items [2]: module and name, TEXT */
    VX_PY_OBJECT,     /* made [3]: what was called, the tuple of its arguments, its state (or NULL);
                     items [count]: what was put into it, pairs if `pairs` */
    VX_PY_PERSISTENT, /* made [1]: what the writer said in place of an object */
    VX_PY_MARK        /* inside the interpreter only */
} vx_py_kind;

typedef struct vx_py vx_py;
struct vx_py {
    unsigned char kind; /* vx_py_kind */
    bool pairs, seen;   /* seen: for the reader, false at first */
    uint32_t count, room;
    union {
        int64_t number;
        const char *text;
        vx_py **items;
    };
    vx_py **made;
};

/* The memory of the values: begin with {.hooks, .path}, `path` for messages. It must not be
 * moved. */
typedef struct vx_pickle {
    const vitx_hooks *hooks;
    const char *path;
    struct vx_pickle_block *blocks;
    size_t taken;
    vx_py persistent; /* items: every PERSISTENT value, in the order of the file */
    vx_py mark, none, numbers[2], empty; /* the same wherever they occur; empty: () */
    bool cut; /* after a failure: the bytes ended before the pickle did */
} vx_pickle;

/*
 * Reads one pickle of protocol 2 to 5 from the beginning of `bytes`. *used becomes its length. The
 * values point into `bytes` and live until vx_pickle_dispose.
 *
 * VITX_FORMAT for what is no pickle, VITX_UNSUPPORTED for an instruction that tensors do not need
 * and for the name of a function that starts programs or reads files (os.system), VITX_NOMEM.
 */
int vx_pickle_read(vx_py **out, vx_pickle *pickle, const char *bytes, size_t size, size_t *used);
void vx_pickle_dispose(vx_pickle *pickle);

/* Whether a value is this text; this name of a class or function. NULL is none. */
bool vx_py_is_text(const vx_py *value, const char *text);
bool vx_py_is_global(const vx_py *value, const char *module, const char *name);
/* Item i of a tuple or list, NULL where there is none. */
const vx_py *vx_py_item(const vx_py *value, uint32_t i);

#endif
